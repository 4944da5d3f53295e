//! The decision on a request, case by case, and what must hold for every world that a generator can think of.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use oz_shared::conditions::{self, APPROVED, ENDED, READY};
use oz_shared::request::Verdict;
use oz_shared::{AccessRequest, AccessTemplate, Grant, GrantStatus, Phase, Request as _, exec};
use proptest::prelude::*;
use serde_json::json;

use super::access::Found;
use super::observe;

use super::plan::{Plan, plan};
use super::targets::{NoTarget, Target};
use crate::gate::State;

type Deciding = observe::Deciding<AccessRequest>;
type Observed = observe::Observed<AccessRequest>;

const CREATED: &str = "2026-01-01T12:00:00Z";

fn at(seconds: i64) -> Timestamp {
    CREATED.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn request(decisions: &[(&str, Verdict, i64)]) -> AccessRequest {
    let decisions: Vec<_> = decisions
        .iter()
        .map(|(by, verdict, generation)| {
            json!({"by": by, "decision": verdict, "request": "u-1", "template": {"uid": "t-1", "generation": generation}})
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": "r", "namespace": "shop", "uid": "u-1", "creationTimestamp": CREATED, "generation": 1},
        "spec": {"template": "web", "reason": "INC-1", "requester": {"username": "alice"}, "decisions": decisions},
    }))
    .unwrap()
}

fn template(approvals: i32) -> AccessTemplate {
    serde_json::from_value(json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate",
        "metadata": {"name": "web", "namespace": "shop", "uid": "t-1", "generation": 3},
        "spec": {"exec": {"pods": {"selector": {"matchLabels": {"app": "web"}}}, "connections": ["exec"]},
                 "duration": {"default": "30m", "max": "1h"}, "approvals": approvals},
    }))
    .unwrap()
}

fn deciding(approvals: i32) -> Deciding {
    Deciding {
        policy: Some((template(approvals), found(Ok(())))),
        may_request: true,
        gate: State::Enforced { since: at(-60) },
    }
}

/// The pod that the template offers, or why there is none.
fn found(why: Result<(), NoTarget>) -> Result<Found, NoTarget> {
    why.map(|()| {
        Found::Pod(Target {
            uid: "p-1".into(),
            debuggers: 0,
            pod: exec::Pod {
                name: "web-0".into(),
                containers: vec!["main".into()],
                default_container: "main".into(),
                mounted_account: None,
            },
        })
    })
}

/// The template as it is in that world.
fn in_it(world: &mut Deciding) -> &mut AccessTemplate {
    &mut world.policy.as_mut().unwrap().0
}

fn with_target(mut world: Deciding, why: NoTarget) -> Deciding {
    world.policy.as_mut().unwrap().1 = Err(why);
    world
}

fn decide(request: &AccessRequest, deciding: Deciding, now: Timestamp) -> Plan {
    plan(request, &Observed { grant: None, deciding: Some(deciding) }, now)
}

fn outcome(plan: &Plan) -> (Option<Phase>, String) {
    let status = plan.status.clone().unwrap_or_default();
    let condition = match status.phase {
        Some(Phase::Pending) => APPROVED,
        _ => READY,
    };
    (
        status.phase,
        conditions::get(&status.conditions, condition).map(|c| c.reason.clone()).unwrap_or_default(),
    )
}

const YES: Verdict = Verdict::Approve;
const NO: Verdict = Verdict::Deny;

#[test]
fn grants_what_was_agreed_to_and_no_more() {
    let plan = decide(&request(&[("bob", YES, 3)]), deciding(1), at(10));
    let grant = plan.grant.unwrap();
    assert_eq!(grant.name_any(), "oz-u1");
    assert_eq!(grant.spec.approved_at.0, at(10));
    assert_eq!(grant.spec.expires_at.0, at(10 + 1800));
    assert_eq!(grant.spec.holder.username, "alice");
    assert_eq!(grant.spec.terms.approved_by, ["bob"]);
    assert!(grant.spec.account.ends_with(&format!("-x{}", at(10 + 1800).as_second())));
    assert_eq!(grant.spec.pods[0].uid, "p-1");
}

#[test]
fn waits_for_enough_people() {
    for decisions in [&[][..], &[("bob", YES, 3)], &[("bob", YES, 3), ("alice", YES, 3)]] {
        let plan = decide(&request(decisions), deciding(2), at(10));
        assert_eq!(outcome(&plan), (Some(Phase::Pending), "WaitingForApproval".into()), "{decisions:?}");
        assert_eq!(plan.wake, Some(at(3600)));
    }
}

#[test]
fn accounts_count_only_where_the_template_says_so() {
    let asked = request(&[("system:serviceaccount:shop:bot", YES, 3)]);
    assert_eq!(outcome(&decide(&asked, deciding(1), at(1))).0, Some(Phase::Pending));
    let mut lets = deciding(1);
    in_it(&mut lets).spec.approvers.service_accounts = true;
    assert!(decide(&asked, lets, at(1)).grant.is_some());
}

#[test]
fn refuses_each_for_its_own_reason() {
    let asked = request(&[("bob", YES, 3)]);
    let with = |change: &dyn Fn(&mut Deciding)| {
        let mut world = deciding(1);
        change(&mut world);
        outcome(&decide(&asked, world, at(10)))
    };
    let failed = |reason: &str| (Some(Phase::Failed), reason.to_owned());
    assert_eq!(with(&|w| w.policy = None), failed("TemplateNotFound"));
    assert_eq!(with(&|w| in_it(w).metadata.generation = Some(4)), failed("TemplateChanged"));
    assert_eq!(with(&|w| in_it(w).metadata.uid = Some("t-2".into())), failed("TemplateChanged"));
    assert_eq!(with(&|w| w.may_request = false), failed("MayNotRequest"));
    assert_eq!(with(&|w| w.policy.as_mut().unwrap().1 = Err(NoTarget::NoneReady)), failed("NoPodReady"));
    assert_eq!(
        with(&|w| w.policy.as_mut().unwrap().1 = Err(NoTarget::NotEnabled("shop".into()))),
        failed("NotEnabled")
    );
    assert_eq!(with(&|w| in_it(w).spec.exec = None), failed("TemplateUnusable"));
    assert_eq!(with(&|w| w.gate = State::Enforced { since: at(0) }), failed("OlderThanGate"));
    let open = with(&|w| w.gate = State::Open("oz-guard is missing".into()));
    assert_eq!(open, (Some(Phase::Pending), "GateNotEnforced".to_owned()));
    let shorter = |w: &mut Deciding| {
        let bounds = &mut in_it(w).spec.duration;
        (bounds.default, bounds.max) = ("2h".into(), "1h".into());
    };
    assert_eq!(with(&shorter), failed("DurationOutOfBounds"));
    let mut nobody = asked.clone();
    nobody.spec.reason = "  ".into();
    assert_eq!(outcome(&decide(&nobody, deciding(1), at(10))), failed("ReasonRequired"));
    let mut system = asked.clone();
    system.spec.requester.username = "system:node:n1".into();
    assert_eq!(outcome(&decide(&system, deciding(1), at(10))), failed("RequesterNotLendable"));
    for namespace in ["oz-system", "oz-sessions", "kube-system"] {
        let mut reserved = asked.clone();
        reserved.metadata.namespace = Some(namespace.into());
        assert_eq!(outcome(&decide(&reserved, deciding(1), at(10))), failed("ReservedNamespace"));
    }
}

#[test]
fn one_no_is_final_and_a_release_comes_first() {
    let denied = request(&[("bob", YES, 3), ("eve", NO, 1)]);
    assert_eq!(outcome(&decide(&denied, deciding(1), at(10))), (Some(Phase::Denied), "Denied".into()));
    let mut released = denied;
    (released.spec.released, released.spec.released_by) = (true, "alice".into());
    assert_eq!(outcome(&decide(&released, deciding(1), at(10))), (Some(Phase::Released), "Released".into()));
}

#[test]
fn events_hold_no_reasons() {
    let mut asked = request(&[("eve", NO, 1)]);
    asked.spec.decisions[0].reason = "private".into();
    let denied = decide(&asked, deciding(1), at(10));
    (asked.spec.released, asked.spec.released_by, asked.spec.release_reason) =
        (true, "alice".into(), "private".into());
    let released = decide(&asked, deciding(1), at(10));
    for plan in [denied, released] {
        let status = plan.status.unwrap();
        assert!(conditions::get(&status.conditions, READY).unwrap().message.contains("private"));
        assert!(plan.notes.iter().all(|n| !n.message.contains("private")) && plan.notes.len() == 1);
    }
}

#[test]
fn what_is_named_and_not_there_is_told_before_anyone_agrees() {
    let mut asked = request(&[]);
    asked.spec.pod = "db-0".into();
    let world = with_target(deciding(1), NoTarget::NotOffered("db-0".into()));
    assert_eq!(outcome(&decide(&asked, world, at(1))), (Some(Phase::Failed), "PodNotOffered".into()));
    asked.spec.pod = String::new();
    let world = with_target(deciding(1), NoTarget::NoneReady);
    assert_eq!(outcome(&decide(&asked, world, at(1))).0, Some(Phase::Pending));
}

#[test]
fn a_request_that_nobody_answers_expires() {
    assert_eq!(outcome(&decide(&request(&[]), deciding(1), at(3599))).0, Some(Phase::Pending));
    assert_eq!(
        outcome(&decide(&request(&[]), deciding(1), at(3600))),
        (Some(Phase::Expired), "PendingTimeout".into())
    );
}

fn granted(condition: Option<(&str, &str)>) -> Grant {
    let mut grant = *decide(&request(&[("bob", YES, 3)]), deciding(1), at(10)).grant.unwrap();
    if let Some((type_, reason)) = condition {
        let mut status = GrantStatus::default();
        conditions::set(&mut status.conditions, type_, true, reason, "", None, at(11));
        grant.status = Some(status);
    }
    grant
}

fn held(request: &AccessRequest, grant: Grant, now: Timestamp) -> Plan {
    plan(request, &Observed { grant: Some(Arc::new(grant)), deciding: None }, now)
}

#[test]
fn the_status_follows_the_grant() {
    let mut asked = request(&[("bob", YES, 3)]);
    let phases = [
        (None, Phase::Approved),
        (Some((READY, "Made")), Phase::Active),
        (None, Phase::Active),
        (Some((ENDED, "Expired")), Phase::Expired),
    ];
    for (condition, phase) in phases {
        let plan = held(&asked, granted(condition), at(12));
        assert!(plan.grant.is_none());
        asked.status = plan.status.or(asked.status);
        assert_eq!(asked.phase(), phase);
    }
    let status = asked.status.as_ref().unwrap();
    assert_eq!(status.delete_after.as_ref().unwrap().0, at(12) + SignedDuration::from_hours(168));
    let plan = held(&asked, granted(Some((ENDED, "Expired"))), at(13));
    assert_eq!((plan.status, plan.forget), (None, false));
    assert!(held(&asked, granted(None), at(12 + 168 * 3600)).forget);
}

#[test]
fn a_grant_that_went_without_us_is_not_made_again() {
    let mut asked = request(&[("bob", YES, 3)]);
    asked.status = held(&asked, granted(None), at(12)).status;
    let plan = plan(&asked, &Observed { grant: None, deciding: Some(deciding(1)) }, at(20));
    assert_eq!(plan.grant, None);
    assert_eq!(outcome(&plan), (Some(Phase::Released), "GrantDeleted".into()));
}

#[test]
fn a_grant_for_another_request_of_that_name_is_left_alone() {
    let mut other = granted(Some((READY, "Made")));
    other.spec.request.uid = "u-2".into();
    assert_eq!(outcome(&held(&request(&[]), other, at(12))), (Some(Phase::Failed), "NameTaken".into()));
}

fn worlds() -> impl Strategy<Value = (AccessRequest, Deciding, Timestamp)> {
    let who = prop::sample::select(vec!["alice", "bob", "eve", "system:serviceaccount:a:b"]);
    let verdict = prop_oneof![4 => Just(YES), 1 => Just(NO)];
    let decisions = prop::collection::vec((who, verdict, 2..4_i64), 0..4);
    let gate = prop_oneof![
        4 => (-100..100_i64).prop_map(|s| State::Enforced { since: at(s) }),
        1 => Just(State::Open("open".into())),
    ];
    let target = prop_oneof![4 => Just(true), 1 => Just(false)];
    (decisions, 0..4_i32, any::<bool>(), any::<bool>(), gate, target, -10..8000_i64, "[0-9]{0,4}[hms]?")
        .prop_map(|(decisions, approvals, may, released, gate, target, now, duration)| {
            let mut asked = request(&decisions);
            asked.spec.released = released && now % 5 == 0;
            asked.spec.duration = duration;
            let mut world = Deciding { may_request: may, gate, ..deciding(approvals) };
            if !target {
                world = with_target(world, NoTarget::NoneReady);
            }
            (asked, world, at(now))
        })
}

proptest! {
    #[test]
    fn never_a_grant_that_was_not_agreed_to((asked, world, now) in worlds()) {
        let plan = decide(&asked, world.clone(), now);
        if let Some(grant) = &plan.grant {
            let (template, found) = world.policy.as_ref().unwrap();
            let mut by: Vec<_> = asked.spec.decisions.iter()
                .filter(|d| d.decision == YES && d.by != "alice" && !d.by.starts_with("system:") && d.template.generation == 3)
                .map(|d| &d.by).collect();
            by.sort();
            by.dedup();
            prop_assert!(by.len() >= template.spec.approvals as usize);
            prop_assert!(asked.spec.decisions.iter().all(|d| d.decision == YES && d.template.generation == 3));
            prop_assert!(!asked.spec.released && world.may_request && found.is_ok());
            let stood_before = matches!(world.gate, State::Enforced { since } if since < at(0));
            prop_assert!(stood_before);
            prop_assert!(now < at(3600));
            let lent = grant.spec.expires_at.0.duration_since(grant.spec.approved_at.0);
            prop_assert!(lent.is_positive() && lent <= SignedDuration::from_hours(1));
            prop_assert!(grant.spec.approved_at.0 <= now);
        }
    }

    #[test]
    fn planning_again_does_nothing((mut asked, world, now) in worlds()) {
        let first = decide(&asked, world.clone(), now);
        if let Some(grant) = first.grant {
            let seen = Observed { grant: Some(Arc::new(*grant)), deciding: None };
            asked.status = plan(&asked, &seen, now).status;
            prop_assert_eq!(plan(&asked, &seen, now).status, None);
        } else {
            asked.status = first.status;
            let again = decide(&asked, world, now);
            prop_assert_eq!((again.grant, again.status), (None, None));
        }
    }

    #[test]
    fn no_way_back_from_the_end((mut asked, world, now) in worlds(), later in 0..100_000_i64, has_grant in any::<bool>()) {
        asked.status = decide(&asked, world.clone(), now).status;
        prop_assume!(asked.phase().is_final());
        let grant = has_grant.then(|| Arc::new(granted(Some((READY, "Made")))));
        let again = plan(&asked, &Observed { grant, deciding: Some(world) }, now + SignedDuration::from_secs(later));
        prop_assert_eq!((again.grant, again.status), (None, None));
    }
}
