//! Two controllers at work at once, without the lease: no second grant, and no status that goes back.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt as _;
use oz_shared::Request as _;
use oz_shared::names::GRANT_LABEL;
use oz_shared::{AccessRequest, Grant, NamespaceRequest, Phase};
use serde_json::json;
use support::eventually;

use crate::controller::alone;
use crate::killed::Life;
use crate::lives::{CopyLeftToItsTime, Exec, LENT};
use crate::spaces::Spaces;
use crate::witness::{Seen, Witness};
use crate::world::LIMIT;

#[tokio::test]
async fn controllers_make_each_grant_once() {
    once("two", 50, &Exec { approvals: 0 }).await;
}

#[tokio::test]
async fn controllers_make_each_copy_once() {
    once("two-copies", 10, &CopyLeftToItsTime).await;
}

/// Neither knows what the other has given away: the places do.
#[tokio::test]
async fn controllers_give_nobody_more_than_he_may_have() {
    alone("two-crowds", async |world, controllers| {
        let spaces = &Spaces::new(world, json!({"maxLive": 5})).await;
        let (one, other) = (controllers.start(), controllers.start());
        one.until_ready().await;
        other.until_ready().await;
        let namespaces = Witness::<Namespace>::start(world.admin.client()).await;
        let name = |n: usize| spaces.name(&format!("n{n}"));
        let ask = |n: usize| async move { spaces.ask(&format!("r{n}"), &[&name(n)], json!({})).await };
        join_all((0..40).map(ask)).await;
        let settled =
            |r: &NamespaceRequest| r.status.is_some() && ["Active", "Failed"].contains(&r.phase().as_str());
        let of = |n: usize| async move { spaces.until(&format!("r{n}"), "is settled", settled).await };
        let all = join_all((0..40).map(of)).await;
        let active: Vec<&NamespaceRequest> = all.iter().filter(|r| r.phase() == Phase::Active).collect();
        // Both may claim for the same request, and then fewer are left for the others; or one of them finds no place for it in
        // the moment in which the other claims one, and what that one made goes again.
        assert!((1..=5).contains(&active.len()), "{}", active.len());
        let class = |n: &Namespace| n.labels().get("ozaccess.io/class") == Some(&spaces.class);
        let made = || namespaces.seen().iter().filter(|s| matches!(s, Seen::Made(n) if class(n))).count();
        assert!((active.len()..=5).contains(&made()), "no namespace was made that had no place: {}", made());
        let left = || {
            let gone = namespaces.seen().iter().filter(|s| matches!(s, Seen::Gone(n) if class(n))).count();
            made() - gone
        };
        eventually("those that failed left nothing", LIMIT, || async {
            if left() == active.len() { Ok(()) } else { Err(format!("{} are left", left())) }
        })
        .await
        .unwrap();
        for request in active {
            spaces.release(&request.name_any()).await;
            let ended = spaces.until_ended(&request.name_any(), "Released", "Released").await;
            spaces.until_nothing_left(&ended).await;
        }
    })
    .await;
}

/// So many requests for what a life is lent by.
async fn once(subject: &str, count: usize, life: &impl Life<Asked = AccessRequest>) {
    alone(subject, async |world, controllers| {
        life.prepare(world).await;
        let (one, other) = (controllers.start(), controllers.start());
        one.until_ready().await;
        other.until_ready().await;
        let grants = Witness::<Grant>::start(world.admin.client()).await;
        let requests = Witness::<AccessRequest>::start(world.admin.client()).await;
        let pods = Witness::<Pod>::start(world.admin.client()).await;
        let names: Vec<String> = (0..count).map(|n| format!("r{n}")).collect();
        join_all(names.iter().map(|name| world.ask(name, json!({"template": LENT})))).await;
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
            if gone >= count { Ok(()) } else { Err(gone) }
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
        assert_eq!(made.len(), count);
        assert!(made.values().all(|count| *count == 1), "{made:?}");
        let ours: Vec<&str> = lent.iter().map(|r| r.status.as_ref().unwrap().grant.as_str()).collect();
        let is_ours = |pod: &Pod| pod.labels().get(GRANT_LABEL).is_some_and(|g| ours.contains(&g.as_str()));
        let made = pods.seen().iter().filter(|s| matches!(s, Seen::Made(pod) if is_ours(pod))).count();
        assert_eq!(made, count * life.pods());

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
