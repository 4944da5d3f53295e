//! Two controllers at work at once, without the lease: no second grant, and no status that goes back.

use std::collections::BTreeMap;

use futures::future::join_all;
use oz_shared::{AccessRequest, Grant, Phase};
use serde_json::json;
use support::eventually;

use crate::controller::alone;
use crate::witness::{Seen, Witness};
use crate::world::LIMIT;

const REQUESTS: usize = 50;

#[tokio::test]
async fn controllers_make_each_grant_once() {
    alone("two", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let (one, other) = (controllers.start(), controllers.start());
        one.until_ready().await;
        other.until_ready().await;
        let grants = Witness::<Grant>::start(world.admin.client()).await;
        let requests = Witness::<AccessRequest>::start(world.admin.client()).await;
        let names: Vec<String> = (0..REQUESTS).map(|n| format!("r{n}")).collect();
        join_all(names.iter().map(|name| world.ask(name, json!({})))).await;
        let lent = join_all(names.iter().map(|name| world.until_phase(name, "Active"))).await;
        join_all(names.iter().map(|name| world.release(&world.alice, name))).await;
        join_all(names.iter().map(|name| world.until_ended(name, "Released", "Released"))).await;
        for request in &lent {
            world.until_nothing_left(request).await;
        }
        eventually("the end of every grant was seen", LIMIT, || async {
            let gone = grants
                .seen()
                .iter()
                .filter(|s| matches!(s, Seen::Gone(g) if g.spec.request.namespace == world.ns.name))
                .count();
            if gone >= REQUESTS { Ok(()) } else { Err(gone) }
        })
        .await
        .unwrap();

        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        for seen in grants.seen() {
            if let Seen::Made(grant) = seen
                && grant.spec.request.namespace == world.ns.name
            {
                *made.entry(grant.spec.request.uid).or_default() += 1;
            }
        }
        assert_eq!(made.len(), REQUESTS);
        assert!(made.values().all(|count| *count == 1), "{made:?}");

        let mut phases: BTreeMap<String, Vec<Phase>> = BTreeMap::new();
        for seen in requests.seen() {
            if let Seen::Made(request) | Seen::Changed(request) = seen
                && request.metadata.namespace.as_ref() == Some(&world.ns.name)
            {
                let of = phases.entry(request.metadata.name.clone().unwrap_or_default()).or_default();
                if of.last() != Some(&request.phase()) {
                    of.push(request.phase());
                }
            }
        }
        for (name, phases) in phases {
            let order: Vec<usize> = phases.iter().map(|p| rank(*p)).collect();
            assert!(order.is_sorted() && phases.last() == Some(&Phase::Released), "{name}: {phases:?}");
        }
    })
    .await;
}

fn rank(phase: Phase) -> usize {
    match phase {
        Phase::Pending => 0,
        Phase::Approved => 1,
        Phase::Active => 2,
        _ => 3,
    }
}
