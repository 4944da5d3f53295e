//! While the gate is open nothing is granted; what slipped in meanwhile is not granted later.

use oz_shared::conditions::APPROVED;
use serde_json::json;

use crate::controller::alone;
use crate::gate::Altered;
use crate::lending::{message, word};

#[tokio::test]
async fn a_relaxed_binding_stops_all_granting() {
    alone("relaxed", async |world, controllers| {
        let controller = controllers.start();
        controller.until_ready().await;
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        // So that an earlier answer of the gate is known.
        let before = world.lent("before", json!({})).await;
        let open = Altered::relaxed(world, "oz-request-create").await;
        // Asked while the API server may still act on the old binding: whatever becomes of it, it settles nothing.
        world.ask("meanwhile", json!({})).await;
        world.until_forgery_is(false).await;
        world.ask("r", json!({})).await;
        let named = |r: &_| message(r, APPROVED).contains("oz-request-create");
        let waiting = world.until("r", "the open policy is named", named).await;
        assert_eq!(word(&waiting, APPROVED), "GateNotEnforced");
        assert!(waiting.status.unwrap().grant.is_empty());
        drop(open);
        // The binding is the old one, so what was asked under it is granted.
        let after = world.until_phase("r", "Active").await;
        let meanwhile = world.until_phase("meanwhile", "Active").await;
        for (name, request) in [("before", before), ("r", after), ("meanwhile", meanwhile)] {
            world.release(&world.alice, name).await;
            world.until_nothing_left(&request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_binding_that_was_gone_voids_what_was_asked_before() {
    alone("recreated", async |world, controllers| {
        let controller = controllers.start();
        controller.until_ready().await;
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let gone = Altered::deleted(world, "oz-connect").await;
        // Seen by what the controller says of any request.
        world.ask("r", json!({})).await;
        let named = |r: &_| message(r, APPROVED).contains("oz-connect is missing");
        let waiting = world.until("r", "the missing binding is named", named).await;
        assert_eq!(word(&waiting, APPROVED), "GateNotEnforced");
        drop(gone);
        world.until_ended("r", "Failed", "OlderThanGate").await;
        let fresh = support::eventually("a new request is granted", crate::world::LIMIT, || async {
            // Until the policy has surely been in force, a request is refused for its age.
            let name = format!("fresh-{}", jiff::Timestamp::now().as_millisecond());
            world.ask(&name, json!({})).await;
            let request = world.until(&name, "it is decided", |r| r.phase().as_str() != "Pending").await;
            if request.phase().is_final() { Err(format!("{:?}", request.status)) } else { Ok(name) }
        })
        .await
        .unwrap();
        let request = world.until_phase(&fresh, "Active").await;
        world.release(&world.alice, &fresh).await;
        world.until_nothing_left(&request).await;
    })
    .await;
}
