//! Federations and what was asked for by them, ended while no controller ran.

use serde_json::json;
use support::Call;

use crate::controller::alone;
use crate::partners::Partners;
use crate::spaces::until_reads;

/// It is deleted, and so is a request by it; or its grant is. Whoever comes next ends all of it.
#[tokio::test]
async fn what_ended_meanwhile_is_ended_afterwards() {
    alone("fed-away", async |world, controllers| {
        let controller = controllers.start();
        let partners = Partners::new(world, json!({})).await;
        let mut lent = Vec::new();
        for stem in ["deleted", "revoked"] {
            let federation = partners.lent(stem, json!({})).await;
            let partner = partners.enter(&federation).await;
            until_reads(&partner, &partners.name(stem), "configmaps", &[200]).await;
            partners.ask_further(&partner, stem, "x", json!({})).await;
            partners.ask_further(&partner, stem, "y", json!({})).await;
            let further = [
                partners.until_further(stem, "x", "Active").await,
                partners.until_further(stem, "y", "Active").await,
            ];
            lent.push((federation, partner, further));
        }
        controller.kill();
        let (_, partner, _) = &lent[0];
        world.must(partner, Call::delete(partners.in_first("deleted", "x"))).await;
        world.must(&world.bob, Call::delete(partners.path("deleted"))).await;
        let grant = &lent[1].0.status.as_ref().unwrap().grant;
        world.must(&world.admin, Call::delete(format!("/apis/ozaccess.io/v1alpha1/grants/{grant}"))).await;
        let next = controllers.start();
        for (stem, (federation, partner, further)) in ["deleted", "revoked"].into_iter().zip(&lent) {
            until_reads(partner, &partners.name(stem), "configmaps", &[401]).await;
            partners.until_nothing_left(federation).await;
            for request in further {
                partners.spaces.until_nothing_left(request).await;
            }
        }
        partners.until_ended("revoked", "Released", "GrantDeleted").await;
        next.kill();
    })
    .await;
}
