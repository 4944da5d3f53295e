//! The life of a grant, case by case, and what must hold for every world that a generator can think of.

use jiff::{SignedDuration, Timestamp};
use oz_shared::Grant;
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::request::NamespaceRef;
use proptest::prelude::*;
use serde_json::json;

use super::container::Order;
use super::namespaces::Lent;
use super::observe::{Observed, RequestFacts};
use super::plan::{Plan, plan};
use crate::children::{self, Found, Kind};

const START: &str = "2026-01-01T12:00:00Z";

fn at(seconds: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn grant(on_end: &str) -> Grant {
    serde_json::from_value(json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "metadata": {"name": "oz-u1", "uid": "g-1"},
        "spec": {
            "holder": {"username": "alice"},
            "request": {"kind": "AccessRequest", "namespace": "shop", "name": "r", "uid": "u-1"},
            "account": "oz-p-u1-x1767270600", "approvedAt": START, "expiresAt": at(600).to_string(),
            "access": [{"namespace": "shop", "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["web-0"]}]}],
            "pods": [{"namespace": "shop", "name": "web-0", "uid": "p-1", "container": "main"}],
            "terms": {"template": {"name": "web", "uid": "t", "generation": 1}, "historyTtl": "1h", "onEnd": on_end},
        },
    }))
    .unwrap()
}

fn found(grant: &Grant) -> Vec<Found> {
    children::of(grant, &[])
        .into_iter()
        .map(|c| Found {
            kind: c.kind,
            uid: format!("{}/{}", c.namespace, c.name),
            namespace: c.namespace,
            name: c.name,
            version: "1".into(),
            grant: "oz-u1".into(),
            owner: Some("g-1".into()),
            rotation: 0,
            terminating: false,
            empty: false,
            finalizers: vec![],
        })
        .collect()
}

fn standing(children: Vec<Found>) -> Observed {
    Observed { request: RequestFacts::Standing(0), children, complete: true, ..Observed::default() }
}

fn ready(mut grant: Grant) -> Grant {
    grant.status = plan(&grant, &standing(vec![]), at(0)).status;
    assert!(conditions::is_true(&grant.status.as_ref().unwrap().conditions, READY));
    grant
}

fn ended(plan: &Plan) -> Option<(String, String)> {
    let condition =
        conditions::get(&plan.status.as_ref()?.conditions, ENDED).filter(|c| c.status == "True")?;
    Some((condition.reason.clone(), condition.message.clone()))
}

#[test]
fn is_made_once() {
    let fresh = grant("Leave");
    let first = plan(&fresh, &standing(vec![]), at(0));
    assert_eq!(first.make.len(), 5);
    assert_eq!(first.wake, Some(at(300)));
    // Half made before a crash: the rest is made.
    let half = found(&fresh)[..2].to_vec();
    assert_eq!(plan(&fresh, &standing(half), at(0)).make.len(), 3);
    // Once ready, a part that is missing ends it, and nothing is made again.
    let done = ready(fresh);
    let all = found(&done);
    assert_eq!(plan(&done, &standing(all.clone()), at(1)), Plan { wake: Some(at(600)), ..Plan::default() });
    let lost = plan(&done, &standing(all[..4].to_vec()), at(1));
    assert_eq!((lost.make.len(), lost.revoke.len()), (0, 4));
    // ... but not because a watch is a moment behind.
    let behind = Observed { complete: false, ..standing(vec![]) };
    assert_eq!(plan(&done, &behind, at(1)), Plan { wake: Some(at(600)), ..Plan::default() });
}

#[test]
fn ends_for_each_reason() {
    let done = ready(grant("Leave"));
    let reason = |seen: Observed, now| ended(&plan(&done, &seen, now)).unwrap().0;
    let nothing = || Observed { complete: true, ..standing(vec![]) };
    assert_eq!(reason(nothing(), at(600)), "Expired");
    assert_eq!(ended(&plan(&grant("Leave"), &nothing(), at(300))).unwrap().0, "NotMade");
    let invalid = Observed { invalid: Some("no such resource".into()), ..nothing() };
    assert_eq!(ended(&plan(&grant("Leave"), &invalid, at(1))).unwrap().0, "PartInvalid");
    assert_eq!(reason(Observed { request: RequestFacts::Gone, ..nothing() }, at(1)), "Deleted");
    assert_eq!(
        reason(Observed { request: RequestFacts::Released("by bob".into()), ..nothing() }, at(900)),
        "Released"
    );
    assert_eq!(reason(Observed { pods_gone: done.spec.pods.clone(), ..nothing() }, at(1)), "PodGone");
}

#[test]
fn says_ended_only_of_what_was_just_read() {
    let done = ready(grant("Leave"));
    let unsure = Observed { complete: false, ..standing(vec![]) };
    let plan = plan(&done, &unsure, at(600));
    assert_eq!((plan.status, plan.wake), (None, Some(at(600))));
}

#[test]
fn a_finalizer_of_someone_else_keeps_nothing_from_ending() {
    let done = ready(grant("Leave"));
    let mut left: Vec<Found> =
        found(&done).into_iter().filter(|c| c.kind == Kind::RoleBinding).take(1).collect();
    left[0].terminating = true;
    left[0].finalizers = vec!["a.b/c".into()];
    let full = plan(&done, &standing(left.clone()), at(600));
    assert_eq!(full.tidy.len(), 1, "a binding that still names somebody is emptied");
    left[0].empty = true;
    let (_, message) = ended(&plan(&done, &standing(left), at(600))).unwrap();
    assert!(message.contains("a.b/c"), "{message}");
}

#[test]
fn what_it_may_not_take_away_is_left_to_the_collector_once_the_account_is_gone() {
    let done = ready(grant("Leave"));
    let all = found(&done);
    let first = plan(&done, &standing(all.clone()), at(600));
    assert_eq!((first.revoke.len(), ended(&first)), (5, None));
    let left: Vec<Found> = all.into_iter().filter(|c| c.kind != Kind::ServiceAccount).collect();
    let unsure = plan(&done, &Observed { complete: false, ..standing(left.clone()) }, at(600));
    assert_eq!((unsure.revoke.len(), ended(&unsure)), (4, None));
    let then = plan(&done, &standing(left), at(600));
    assert_eq!((then.tidy.len(), then.revoke.len()), (4, 0));
    assert!(ended(&then).is_some());
}

#[test]
fn evicts_where_the_terms_say_so_and_gives_up_in_the_end() {
    let mut done = ready(grant("Evict"));
    let first = plan(&done, &standing(vec![]), at(600));
    assert_eq!((first.evict.len(), ended(&first)), (1, None));
    done.status = first.status;
    let later = plan(&done, &standing(vec![]), at(661));
    assert!(ended(&later).unwrap().1.contains("could not be evicted"));
    let gone = Observed { pods_gone: done.spec.pods.clone(), ..standing(vec![]) };
    assert!(ended(&plan(&done, &gone, at(605))).is_some());
}

#[test]
fn is_forgotten_when_its_request_knows() {
    let mut done = ready(grant("Leave"));
    done.status = plan(&done, &standing(vec![]), at(600)).status;
    let seen = |request| Observed { request, ..standing(vec![]) };
    assert!(!plan(&done, &seen(RequestFacts::Standing(0)), at(601)).forget);
    assert!(plan(&done, &seen(RequestFacts::Final), at(601)).forget);
    let held = found(&done).into_iter().map(|c| Found { terminating: true, ..c }).collect();
    assert!(
        plan(&done, &Observed { children: held, complete: false, ..seen(RequestFacts::Final) }, at(601))
            .forget
    );
    let late = Observed { children: found(&done), ..seen(RequestFacts::Final) };
    let plan = plan(&done, &late, at(601));
    assert_eq!((plan.forget, plan.revoke.len()), (false, 5));
}

fn space(name: &str) -> NamespaceRef {
    NamespaceRef { name: name.into(), uid: format!("n-{name}") }
}

/// A grant of the namespaces `a` and `b`, by a session of its own and to bob by name.
fn spaces() -> Grant {
    let mut lent = grant("Leave");
    lent.spec.access.clear();
    lent.spec.pods.clear();
    lent.spec.account = "oz-n-u1-x1767270600".into();
    lent.spec.namespaces = serde_json::from_value(json!({
        "names": ["a", "b"], "role": "edit", "maxLive": 5,
        "owners": [{"kind": "User", "name": "bob"}],
        "resources": [{"kind": "ConfigMap", "name": "about", "data": {"who": "${REQUESTER}", "where": "in ${NAMESPACE}"}}],
    }))
    .unwrap();
    lent
}

fn lending(lent: Vec<Lent>, children: Vec<Found>) -> Observed {
    Observed { namespaces: lent, ..standing(children) }
}

fn both() -> Vec<Lent> {
    ["a", "b"].map(|name| Lent::There(space(name))).to_vec()
}

fn made() -> (Grant, Vec<Found>) {
    let mut lent = spaces();
    let missing = ["a", "b"].map(|name| Lent::Missing(name.into())).to_vec();
    let first = plan(&lent, &lending(missing, vec![]), at(0));
    assert_eq!(
        (first.order, first.make.len()),
        (Some(Order::Namespaces), 3),
        "the session is made beside them"
    );
    let session: Vec<Found> = first.make.iter().map(|c| Found::made(c, &lent)).collect();
    // Nobody owns the one that is there while the other is still to come: what holds owners comes first.
    let half = vec![Lent::There(space("a")), Lent::Missing("b".into())];
    let half = plan(&lent, &lending(half, session.clone()), at(0));
    assert_eq!((half.order, half.make, half.furnish), (Some(Order::Namespaces), vec![], vec![]));
    assert!(half.wake.is_some());
    let half = vec![Lent::There(space("a")), Lent::Waiting("b".into())];
    let half = plan(&lent, &lending(half, session.clone()), at(0));
    assert_eq!((half.make, half.furnish), (vec![], vec![]));
    let second = plan(&lent, &lending(both(), session.clone()), at(0));
    let furnished: Vec<_> =
        second.furnish.iter().map(|c| (c.namespace.as_str(), c.body["data"].clone())).collect();
    let about = |name: &str| json!({"who": "alice", "where": format!("in {name}")});
    assert_eq!(furnished, [("a", about("a")), ("b", about("b"))]);
    assert!(
        second
            .make
            .iter()
            .all(|c| c.kind == Kind::RoleBinding && c.body["subjects"].as_array().unwrap().len() == 2)
    );
    assert_eq!(second.make.len(), 2);
    let mut parts = session;
    parts.extend(second.make.iter().map(|c| Found::made(c, &lent)));
    lent.status = second.status;
    assert_eq!(lent.status.as_ref().unwrap().namespaces, [space("a"), space("b")]);
    (lent, parts)
}

#[test]
fn namespaces_are_made_before_anyone_owns_them_and_deleted_when_nobody_does() {
    let (mut lent, parts) = made();
    let on = plan(&lent, &lending(both(), parts.clone()), at(1));
    assert_eq!(on, Plan { wake: Some(at(600)), ..Plan::default() });
    let place = Found { name: "oz-place-x-0".into(), kind: Kind::Role, ..parts[0].clone() };
    let all: Vec<Found> = parts.iter().cloned().chain([place.clone()]).collect();
    let first = plan(&lent, &Observed { complete: false, ..lending(both(), all) }, at(600));
    assert_eq!((first.revoke.len(), first.remove.len()), (5, 2), "its place is kept");
    let going = vec![Lent::Going(space("a"), "held by x".into()), Lent::Gone];
    let waits = plan(&lent, &Observed { complete: false, ..lending(going, vec![place.clone()]) }, at(601));
    assert_eq!((waits.revoke.len(), waits.tidy.len(), ended(&waits)), (0, 0, None));
    let said = conditions::get(&waits.status.as_ref().unwrap().conditions, READY).unwrap().message.clone();
    assert!(said.contains("held by x"), "{said}");
    lent.status = waits.status;
    let gone = plan(&lent, &lending(vec![Lent::Gone, Lent::Gone], vec![place]), at(9999));
    assert_eq!((ended(&gone).unwrap().0.as_str(), gone.tidy.len()), ("Expired", 1), "and then goes");
}

#[test]
fn namespaces_end_it_for_each_reason() {
    let (lent, parts) = made();
    let why = |lent: &Grant, namespaces: Vec<Lent>| {
        let seen = lending(namespaces, vec![]);
        ended(&plan(lent, &seen, at(1))).map(|(reason, _)| reason)
    };
    let reason = |namespaces| why(&lent, namespaces);
    assert_eq!(reason(vec![Lent::Gone, Lent::Gone]).as_deref(), Some("NamespaceGone"));
    assert_eq!(reason(vec![Lent::Gone, Lent::HandedOn]).as_deref(), Some("Extended"));
    // What is left of them goes on.
    let left = vec![Lent::Gone, Lent::There(space("b"))];
    let parts: Vec<Found> = parts.into_iter().filter(|p| p.namespace != "a").collect();
    assert_eq!(ended(&plan(&lent, &lending(left, parts), at(1))), None);
    let fresh = spaces();
    assert_eq!(why(&fresh, vec![Lent::NoPlace]).as_deref(), Some("TooMany"));
    // What was to be taken over, and is going.
    let going = vec![Lent::Gone, Lent::Going(space("b"), String::new())];
    let status = plan(&fresh, &lending(going, vec![]), at(1)).status.unwrap();
    assert_eq!(conditions::get(&status.conditions, READY).unwrap().reason, "NamespaceGone");
    // The one that was made goes again.
    let taken = vec![Lent::There(space("a")), Lent::Taken("it is there".into())];
    let plan = plan(&fresh, &lending(taken, vec![]), at(1));
    assert_eq!((plan.remove, plan.make.len(), plan.order), (vec![space("a")], 0, None));
}

/// The grant of a federation with its first namespace, ready, and what it is made of.
fn federation() -> (Grant, Vec<Found>) {
    let mut lent = spaces();
    lent.spec.request.kind = "Federation".into();
    lent.spec.request.namespace.clear();
    lent.spec.account = "oz-f-u1-x1767270600".into();
    lent.spec.role =
        serde_json::from_value(json!({"kind": "ClusterRole", "name": "seeing", "uid": "c-1"})).unwrap();
    let terms = lent.spec.namespaces.as_mut().unwrap();
    (terms.names, terms.further) = (vec!["a".into()], 2);
    let seen = lending(vec![Lent::There(space("a"))], vec![]);
    let first = plan(&lent, &seen, at(0));
    lent.status = first.status;
    let parts = first.make.iter().map(|c| Found::made(c, &lent)).collect();
    (lent, parts)
}

#[test]
fn a_partner_is_bound_where_it_acts_and_everywhere_to_read() {
    let (lent, _) = federation();
    let bindings: Vec<_> = children::of(&lent, &["a"])
        .into_iter()
        .filter(|c| c.kind.is_binding())
        .map(|c| {
            (
                c.namespace,
                c.name,
                c.body["roleRef"]["name"].clone(),
                c.body["subjects"].as_array().unwrap().len(),
            )
        })
        .collect();
    let account = &lent.spec.account;
    let binding = |namespace: &str, name: &str, role: &str, subjects| {
        (namespace.to_owned(), name.to_owned(), json!(role), subjects)
    };
    assert_eq!(
        bindings,
        [
            // Its holder, and itself.
            binding("oz-sessions", account, account, 2),
            binding("", account, "seeing", 1),
            binding("a", "oz-u1", "edit", 2),
            binding("a", account, "oz-partner", 1),
        ]
    );
    let everywhere =
        children::of(&lent, &["a"]).into_iter().find(|c| c.kind == Kind::ClusterRoleBinding).unwrap();
    assert_eq!(everywhere.body["metadata"].get("namespace"), None);
    let mut alone = lent;
    alone.spec.namespaces.as_mut().unwrap().further = 0;
    assert!(children::of(&alone, &["a"]).iter().all(|c| c.body["roleRef"]["name"] != "oz-partner"));
}

#[test]
fn an_account_is_made_anew_step_by_step() {
    let (mut lent, parts) = federation();
    let seen = |wanted, parts: &[Found]| Observed {
        request: RequestFacts::Standing(wanted),
        ..lending(vec![Lent::There(space("a"))], parts.to_vec())
    };
    let account = |parts: &mut Vec<Found>| parts.iter().position(|c| c.kind == Kind::ServiceAccount).unwrap();
    let idle = Plan { wake: Some(at(600)), ..Plan::default() };
    assert_eq!(plan(&lent, &seen(0, &parts), at(1)), idle);
    // The old one goes, and nothing else.
    let mut parts = parts;
    let n = account(&mut parts);
    let first = plan(&lent, &seen(2, &parts), at(1));
    assert_eq!((first.revoke.as_slice(), first.renew.is_some(), ended(&first)), (&parts[n..=n], false, None));
    parts[n].terminating = true;
    let waits = plan(&lent, &seen(2, &parts), at(1));
    assert_eq!((waits.revoke.len(), waits.renew.is_some(), ended(&waits)), (0, false, None));
    let gone = parts.remove(n);
    let then = plan(&lent, &seen(2, &parts), at(1));
    let made = then.renew.unwrap();
    assert_eq!(
        (made.name.as_str(), made.body["metadata"]["labels"]["ozaccess.io/rotation"].as_str()),
        (lent.spec.account.as_str(), Some("2"))
    );
    assert_eq!(then.status, None);
    // Another part that is missing meanwhile still ends it.
    let fewer: Vec<Found> = parts.iter().filter(|c| c.kind != Kind::ClusterRoleBinding).cloned().collect();
    let lost = plan(&lent, &seen(2, &fewer), at(1));
    assert!(lost.renew.is_none() && !lost.revoke.is_empty(), "{lost:?}");
    // One that was made for an earlier turn goes again; that of this turn is it.
    parts.push(Found { rotation: 1, terminating: false, ..gone });
    assert_eq!(plan(&lent, &seen(2, &parts), at(1)).revoke.len(), 1);
    parts.last_mut().unwrap().rotation = 2;
    let done = plan(&lent, &seen(2, &parts), at(1));
    assert_eq!((done.revoke.len(), done.status.as_ref().unwrap().rotations), (0, 2));
    lent.status = done.status;
    assert_eq!(plan(&lent, &seen(2, &parts), at(1)), idle);
    // What an older answer says is done already.
    assert_eq!(plan(&lent, &seen(1, &parts), at(1)), idle);
    // After that a missing account is what it ever was.
    parts.pop();
    let end = plan(&lent, &seen(2, &parts), at(1));
    assert!(end.renew.is_none() && !end.revoke.is_empty(), "{end:?}");
    // Whoever has no account has none to be made anew.
    let by_name = grant("Leave");
    assert!(plan(&ready(by_name), &seen(3, &[]), at(601)).renew.is_none());
}

#[test]
fn what_stands_by_a_federation_ends_with_it() {
    let (lent, parts) = made();
    let seen = Observed { parent_ended: true, ..lending(both(), parts) };
    let first = plan(&lent, &seen, at(1));
    assert!(!first.revoke.is_empty() && first.remove.len() == 2);
    let gone = Observed { namespaces: vec![Lent::Gone, Lent::Gone], children: vec![], ..seen };
    assert_eq!(ended(&plan(&lent, &gone, at(2))).unwrap().0, "FederationEnded");
}

fn worlds() -> impl Strategy<Value = (Grant, Observed, Timestamp)> {
    let request = prop_oneof![
        6 => Just(RequestFacts::Standing(0)),
        1 => Just(RequestFacts::Gone),
        1 => Just(RequestFacts::Final),
        1 => Just(RequestFacts::Released("by alice".into())),
    ];
    let parts = prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 5);
    (request, parts, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..1200_i64).prop_map(
        |(request, parts, complete, is_ready, pod_gone, evict, now)| {
            let mut lent = grant(if evict { "Evict" } else { "Leave" });
            if is_ready {
                lent = ready(lent);
            }
            let children = found(&lent)
                .into_iter()
                .zip(parts)
                .filter(|(_, (there, ..))| *there)
                .map(|(c, (_, terminating, empty))| Found { terminating, empty, ..c })
                .collect();
            let pods_gone = if pod_gone { lent.spec.pods.clone() } else { vec![] };
            (lent, Observed { request, pods_gone, children, complete, ..Observed::default() }, at(now))
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_made_when_it_is_over((lent, seen, now) in worlds()) {
        let plan = plan(&lent, &seen, now);
        let stuck = lent.status.is_none() && now >= at(300);
        let over = stuck || now >= at(600) || seen.request != RequestFacts::Standing(0) || !seen.pods_gone.is_empty();
        if over {
            prop_assert!(plan.make.is_empty());
            // Everything that still lends something is taken away, now.
            let lending: Vec<_> = seen.children.iter().filter(|c| !c.is_harmless()).cloned().collect();
            let taken: Vec<_> = plan.revoke.iter().chain(&plan.tidy).cloned().collect();
            prop_assert_eq!(&taken, &lending);
            // It is not over while its account is there.
            if lending.iter().any(|c| c.kind == Kind::ServiceAccount) {
                prop_assert!(ended(&plan).is_none() && plan.wake.is_some());
            }
        } else {
            prop_assert!(plan.make.is_empty() || plan.revoke.is_empty());
            // Either it goes on, and its end is waited for; or a part was missing, and it has ended.
            prop_assert!(plan.wake.is_some() || ended(&plan).is_some_and(|(reason, _)| reason == "PartMissing"));
        }
    }

    #[test]
    fn comes_to_its_end((mut lent, mut seen, now) in worlds(), steps in 3..8_i64) {
        let mut now = now.max(at(600));
        for _ in 0..(steps + 20) {
            let plan = plan(&lent, &seen, now);
            // What is revoked is emptied and goes; what is to be read again is read.
            seen.children.retain(|c| !(plan.revoke.contains(c) || plan.tidy.contains(c)) || c.terminating);
            for child in &mut seen.children {
                child.empty = true;
            }
            seen.complete = true;
            if plan.status.is_some() {
                lent.status = plan.status;
            }
            now += SignedDuration::from_secs(10);
        }
        prop_assert!(conditions::is_true(&lent.status.unwrap_or_default().conditions, ENDED));
    }
}
