use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::rbac::v1::{RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use oz_shared::delegation::{
    DelegationPhase, DelegationStatus, ObservedKind, Origin, OriginKind, TriggerStatus,
};
use oz_shared::names::GRANT_LABEL;
use oz_shared::{Delegation, Grant, conditions};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::authority::himself;
use super::mirror::{Binding, Source, sources};
use super::observe::{Ground, Observed};
use super::plan::{Plan, plan};
use super::triggers;
use crate::children::Kind;
use crate::gate;
use crate::sightings::Tally;

const UID: &str = "7f2a91bb-03c1-4f0e-9d8c-000000000001";
const START: i64 = 1_795_348_800; // 2026-11-22 12:00 UTC

/// A cluster of one delegation: what was recorded and made, what happened, and what time it is.
#[derive(Debug, Clone)]
struct World {
    delegation: Delegation,
    grant: Option<Grant>,
    grants_made: u32,
    bindings: Vec<Binding>,
    now: Timestamp,
    /// How many pods were added so far: the cluster's version.
    pods: i64,
    sources: Vec<Source>,
    subjects: Vec<Subject>,
    lost: bool,
    open: bool,
    /// Can what is to end it be watched?
    blind: bool,
    /// By how many seconds the clock of ends is ahead of the API server's.
    ahead: i64,
    /// Are the clocks too far apart for NTP's to count?
    clocks_apart: bool,
    /// Writes until the controller dies.
    left: Option<usize>,
    steps: usize,
}

fn user(name: &str) -> Subject {
    let api_group = Some("rbac.authorization.k8s.io".to_owned());
    Subject { kind: "User".to_owned(), name: name.to_owned(), api_group, namespace: None }
}

fn source(of: &str) -> Source {
    Source {
        namespace: "shop".to_owned(),
        role_kind: "ClusterRole".to_owned(),
        role: "view".to_owned(),
        of: Some((of.to_owned(), of.to_owned())),
    }
}

impl World {
    fn new(spec: Value) -> Self {
        let mut all = json!({
            "origin": {"kind": "ServiceAccount", "name": "ci"},
            "destinations": [{"kind": "User", "name": "bob"}], "requester": {"username": "alice"},
        });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut delegation = Delegation::new("d", serde_json::from_value(all).unwrap());
        delegation.metadata.namespace = Some("shop".to_owned());
        delegation.metadata.uid = Some(UID.to_owned());
        delegation.metadata.generation = Some(1);
        let now = Timestamp::from_second(START).unwrap();
        delegation.metadata.creation_timestamp = Some(Time(now));
        Self {
            delegation,
            grant: None,
            grants_made: 0,
            bindings: Vec::new(),
            now,
            pods: 0,
            sources: vec![source("ops")],
            subjects: vec![user("bob")],
            lost: false,
            open: false,
            blind: false,
            ahead: 0,
            clocks_apart: false,
            left: None,
            steps: 0,
        }
    }

    fn status(&self) -> DelegationStatus {
        self.delegation.status.clone().unwrap_or_default()
    }

    fn stands(&self) -> (DelegationPhase, i64) {
        (self.delegation.phase(), self.status().iteration)
    }

    /// What `observe` reads, from what is on record alone.
    fn seen(&self) -> Observed {
        let status = self.status();
        let active = self.delegation.phase() == DelegationPhase::Active;
        let armed: &[TriggerStatus] = if active { &status.deletion_triggers } else { &status.triggers };
        let tallies = armed.iter().map(|armed| {
            let from: i64 = armed.version.parse().ok()?;
            let counted_at = armed.counted_at.as_ref()?.0;
            let count = armed.count + i32::try_from(self.pods - from).unwrap();
            Some(Tally { count, version: self.pods.to_string(), counted_at })
        });
        let since =
            self.delegation.metadata.creation_timestamp.clone().unwrap().0 - SignedDuration::from_secs(60);
        Observed {
            tallies: tallies.collect(),
            gate: Some(if self.open {
                gate::State::Open("a hole".to_owned())
            } else {
                gate::State::Enforced { since }
            }),
            ground: Some(Ground {
                lost: self.lost.then(|| "alice may not".to_owned()),
                sources: self.sources.clone(),
                subjects: self.subjects.clone(),
                held: self.bindings.clone(),
                ..Ground::default()
            }),
            grant: self.grant.clone(),
            parts: self.bindings.iter().map(Binding::found).collect(),
            blind: self.blind.then(|| "forbidden".to_owned()),
            now: Some(self.now - SignedDuration::from_secs(self.ahead)),
            clocks_apart: self.clocks_apart,
            ..Observed::default()
        }
    }

    fn plan(&self) -> Plan {
        let mut seen = self.seen();
        let mut plan = plan(&self.delegation, &seen, self.now);
        if !plan.ask.is_empty() {
            seen.versions = BTreeMap::from([(ObservedKind::Pod, self.pods.to_string())]);
            plan = super::plan::plan(&self.delegation, &seen, self.now);
        }
        plan
    }

    /// May another write be made?
    fn lives(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// Does what a plan says, write by write; false: it died.
    fn apply(&mut self, plan: &Plan) -> bool {
        let is_over = |status: &DelegationStatus| status.phase.is_some_and(DelegationPhase::is_final);
        let due = plan.status.as_ref().filter(|status| !plan.revoke.is_empty() && !is_over(status));
        if !self.record(due) {
            return false;
        }
        for revoked in &plan.revoke {
            if !self.lives() {
                return false;
            }
            self.bindings.retain(|b| b.found().uid != revoked.uid);
        }
        if plan.drop_grant.is_some() {
            if !self.lives() {
                return false;
            }
            self.grant = None;
        }
        if due.is_none() && !self.record(plan.status.as_ref()) {
            return false;
        }
        if let Some(grant) = &plan.grant {
            if !self.lives() {
                return false;
            }
            self.grants_made += 1;
            let mut grant = grant.clone();
            grant.metadata.uid = Some(format!("grant-{}", self.grants_made));
            self.grant = Some(grant);
        }
        for child in &plan.make {
            if !self.lives() {
                return false;
            }
            self.check_that_it_may_be_bound();
            let body = &child.body;
            let binding = Binding {
                kind: Kind::RoleBinding,
                meta: serde_json::from_value(body["metadata"].clone()).unwrap(),
                role: serde_json::from_value::<RoleRef>(body["roleRef"].clone()).unwrap(),
                subjects: serde_json::from_value(body["subjects"].clone()).unwrap(),
            };
            self.bindings.retain(|b| b.meta.name != binding.meta.name);
            let uid = Some(format!("{}-{}", child.name, self.pods));
            self.bindings.push(Binding { meta: ObjectMeta { uid, ..binding.meta }, ..binding });
        }
        true
    }

    fn record(&mut self, status: Option<&DelegationStatus>) -> bool {
        let Some(status) = status else { return true };
        if !self.lives() {
            return false;
        }
        assert!(status.iteration >= self.status().iteration, "the iteration went back");
        assert!(!self.delegation.phase().is_final(), "it came back from its end");
        self.delegation.status = Some(status.clone());
        true
    }

    /// The promise: nothing is bound but in an iteration that was begun, and is not over.
    fn check_that_it_may_be_bound(&self) {
        let status = self.status();
        assert_eq!(status.phase, Some(DelegationPhase::Active));
        assert!(status.triggers.iter().all(|t| t.met) && !status.triggers.is_empty());
        let over = |t: &TriggerStatus| t.met || t.at.as_ref().is_some_and(|at| at.0 <= self.now);
        assert!(!status.deletion_triggers.iter().all(over), "bound after its end");
        assert!(!self.lost && !self.open && !self.delegation.spec.released);
        assert_eq!(status.grant.map(|g| g.uid), self.grant.as_ref().and_then(|g| g.metadata.uid.clone()));
    }

    /// Steps until there is nothing more to do; false: it died.
    fn settle(&mut self) -> bool {
        for _ in 0..64 {
            self.steps += 1;
            let plan = self.plan();
            if !self.apply(&plan) {
                return false;
            }
            if plan.forget {
                return true;
            }
            if !plan.again {
                let next = self.plan();
                let still = Plan { wake: next.wake, ..Plan::default() };
                assert!(next == still || next.forget, "planning again does something: {next:?}");
                self.check_what_is_left();
                return true;
            }
        }
        panic!("it never settles: {:?}", self.plan());
    }

    fn check_what_is_left(&self) {
        let status = self.status();
        if status.iteration > 0 && !self.delegation.phase().is_final() {
            let agree = conditions::get(&status.conditions, "ClocksAgree");
            assert_eq!(agree.is_some_and(|agree| agree.status == "False"), self.clocks_apart, "{agree:?}");
        }
        if self.delegation.phase() == DelegationPhase::Active {
            let bound = if self.subjects.is_empty() { 0 } else { self.sources.len() };
            if !self.open && !self.blind {
                assert_eq!(self.bindings.len(), bound);
                assert!(self.bindings.iter().all(|b| b.subjects == self.subjects));
                assert_eq!(self.status().bindings.len(), bound);
            }
        } else {
            assert!(self.bindings.is_empty() && self.grant.is_none(), "something is left: {self:?}");
        }
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_seed_runs_from_evening_to_morning() {
    let mut world = World::new(
        json!({"triggers": [{"time": "6:00pm"}], "deletionTriggers": [{"time": "14h"}], "repeat": 365}),
    );
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Waiting, 1));
    assert_eq!(world.plan().wake, Some(at("2026-11-22T18:00:00Z")));
    for day in 1..=3 {
        world.now = at(&format!("2026-11-{}T18:00:00Z", 21 + day));
        world.settle();
        assert_eq!(world.stands(), (DelegationPhase::Active, day));
        assert_eq!(
            world.grant.as_ref().unwrap().spec.expires_at.0,
            at(&format!("2026-11-{}T08:00:00Z", 22 + day))
        );
        world.now = at(&format!("2026-11-{}T08:00:00Z", 22 + day));
        world.settle();
        assert_eq!(world.stands(), (DelegationPhase::Waiting, day + 1));
    }
}

#[test]
fn an_end_that_came_while_nobody_looked_is_the_first_thing() {
    let spec = json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "1h"}]});
    let mut world = World::new(spec.clone());
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Active, 1));
    world.later(3600);
    let first = world.plan();
    assert!(!first.revoke.is_empty() && first.drop_grant.is_none());
    assert!(first.status.as_ref().unwrap().deletion_triggers.iter().all(|t| t.met));
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Completed, 1));
    // What should have begun and ended meanwhile was never bound.
    let mut world = World::new(json!({"triggers": [{"time": "1h"}], "deletionTriggers": [{"time": "1h"}]}));
    world.settle();
    world.later(3 * 3600);
    world.settle();
    assert_eq!((world.stands(), world.grants_made), ((DelegationPhase::Completed, 1), 0));
    // It is kept as history, and then deleted.
    world.later(168 * 3600);
    assert!(world.plan().forget);
}

/// Several API servers' clocks, or NTP's that was asked and is silent now.
#[test]
fn an_end_stands_whatever_the_next_clock_says() {
    let spec = json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "1h"}], "repeat": 2});
    for writes in 1..6 {
        let mut world = World::new(spec.clone());
        world.settle();
        world.later(3600);
        world.left = Some(writes);
        world.settle();
        world.left = None;
        world.later(-40);
        world.settle();
        assert_eq!(world.stands(), (DelegationPhase::Waiting, 2), "after {writes} writes");
        for seconds in [80, 10] {
            world.later(seconds);
            world.settle();
        }
        assert_eq!(world.stands(), (DelegationPhase::Active, 2), "after {writes} writes");
    }
}

#[test]
fn a_late_beginning_does_not_make_it_longer() {
    let mut world = World::new(json!({"triggers": [{"time": "1h"}], "deletionTriggers": [{"time": "1h"}]}));
    world.settle();
    world.later(5400);
    world.settle();
    assert_eq!(
        world.status().deletion_triggers[0].at.as_ref().unwrap().0,
        world.now + SignedDuration::from_secs(1800)
    );
}

#[test]
fn events_are_counted_from_arming() {
    let mut world = World::new(json!({
        "triggers": [{"event": {"change": "Added", "kind": "Pod", "name": "*", "count": 2}}],
        "deletionTriggers": [{"event": {"change": "Added", "kind": "Pod", "name": "*"}}], "repeat": 2,
    }));
    world.pods = 7;
    world.settle();
    assert_eq!(world.status().triggers[0].version, "7");
    world.pods = 8;
    world.settle();
    assert_eq!((world.stands(), world.status().triggers[0].count), ((DelegationPhase::Waiting, 1), 1));
    world.pods = 9;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Active, 1));
    assert_eq!(world.grant.as_ref().unwrap().spec.expires_at.0, oz_shared::grant::NO_SET_END);
    world.pods = 10;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Waiting, 2));
}

fn ready(world: &World) -> (String, Timestamp) {
    let status = world.status();
    let ready = conditions::get(&status.conditions, "Ready").unwrap();
    (ready.reason.clone(), ready.last_transition_time.0)
}

#[test]
fn what_cannot_be_seen_to_end_does_not_stay_lent() {
    let mut world = World::new(json!({
        "triggers": [{"time": "now"}],
        "deletionTriggers": [{"event": {"change": "Deleted", "kind": "Pod", "name": "web-0"}}],
    }));
    world.settle();
    world.later(100);
    world.blind = true;
    world.settle();
    assert_eq!((ready(&world), world.bindings.len()), (("CannotWatch".to_owned(), world.now), 1));
    // Nothing is added, and what is lent stays for a moment.
    world.sources.push(source("more"));
    world.later(59);
    world.open = true;
    world.settle();
    assert_eq!((ready(&world).0.as_str(), world.bindings.len()), ("CannotWatch", 1));
    assert_eq!(world.plan().wake, Some(world.now + SignedDuration::from_secs(1)));
    world.later(1);
    world.settle();
    assert_eq!((ready(&world).0.as_str(), world.bindings.len()), ("CannotWatch", 0));
    assert!(world.status().bindings.is_empty() && world.status().granted.is_empty());
    // A watch that was just opened, as after a restart, is not known to see.
    let seen = Observed {
        blind: None,
        opening: true,
        gate: World { open: false, ..world.clone() }.seen().gate,
        ..world.seen()
    };
    let next = plan(&world.delegation, &seen, world.now);
    assert!(next.make.is_empty(), "{next:?}");
    (world.blind, world.open) = (false, false);
    world.settle();
    assert_eq!((ready(&world).0.as_str(), world.bindings.len()), ("Lent", 2));
    // A new one is another matter: it has told nothing wrong yet.
    let seen = Observed { opening: true, ..world.seen() };
    assert_eq!(plan(&world.delegation, &seen, world.now).status, None);
}

#[test]
fn what_stands_is_on_record_while_the_rest_cannot_be_made() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    world.sources.push(Source { role: "r".repeat(5000), ..source(&"n".repeat(400)) });
    let next = world.plan();
    assert_eq!((next.make.len(), next.status.is_none()), (1, true), "nothing new stands: {next:?}");
    world.sources.remove(0);
    world.sources.push(source("ops"));
    world.settle();
    let status = world.status();
    assert_eq!((status.bindings.len(), status.granted.len()), (2, 3));
    let long = status.bindings.iter().find(|b| b.role.contains("rrr")).unwrap();
    assert_eq!((long.role.chars().count(), long.of.chars().count()), (300, 253));
    // One of two is lost to another's object of that name.
    world.bindings.retain(|b| b.role.name == "view");
    let next = world.plan();
    assert_eq!((next.make.len(), next.status.unwrap().bindings.len()), (1, 1));
    // What is to be bound to others is held until it is.
    world.settle();
    world.subjects.push(user("eve"));
    let next = world.plan();
    assert_eq!((next.make.len(), next.status), (2, None));
}

#[test]
fn what_a_newer_iteration_holds_is_read_again_before_it_is_taken() {
    let spec = json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "1h"}], "repeat": 9});
    let mut world = World::new(spec);
    let first = world.plan();
    world.apply(&first);
    assert_eq!(world.stands(), (DelegationPhase::Waiting, 1));
    let mut other = world.clone();
    other.settle();
    assert_eq!(other.stands(), (DelegationPhase::Active, 1));
    (world.grant, world.bindings) = (other.grant, other.bindings);
    let seen = Observed { moved: true, ..world.seen() };
    let next = plan(&world.delegation, &seen, world.now);
    assert_eq!(Plan { wake: next.wake, ..Plan::default() }, next);
    assert!(next.wake.is_some());
    // It is on record as waiting still: what is bound is nobody's.
    let next = world.plan();
    assert!(!next.revoke.is_empty() && next.drop_grant.is_some());
    // Whoever released it means every iteration.
    world.delegation.spec.released = true;
    let next = plan(&world.delegation, &seen, world.now);
    assert!(!next.revoke.is_empty() && next.drop_grant.is_some());
}

#[test]
fn ntp_begins_nothing() {
    let mut world =
        World::new(json!({"triggers": [{"time": "1h"}], "deletionTriggers": [{"time": "1h"}], "repeat": 2}));
    world.settle();
    world.later(3600);
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Active, 1));
    world.later(3600);
    world.ahead = 50;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Waiting, 2));
    assert_eq!(
        world.status().triggers[0].at.as_ref().unwrap().0,
        world.now + SignedDuration::from_secs(3600 - 50)
    );
}

#[test]
fn clocks_that_are_too_far_apart_are_told_of() {
    let mut world = World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "1h"}]}));
    let said = |world: &World| {
        let status = world.status();
        conditions::get(&status.conditions, "ClocksAgree")
            .map(|c| (c.status.clone(), c.last_transition_time.0))
    };
    world.settle();
    assert_eq!(said(&world), None);
    let began = world.now;
    world.clocks_apart = true;
    world.settle();
    assert_eq!(said(&world), Some(("False".to_owned(), began)));
    world.later(60);
    world.settle();
    assert_eq!(said(&world), Some(("False".to_owned(), began)));
    world.clocks_apart = false;
    world.settle();
    assert_eq!(said(&world), Some(("True".to_owned(), world.now)));
    assert_eq!((ready(&world).0.as_str(), world.bindings.len()), ("Lent", 1));
}

#[test]
fn many_are_asked_for_in_turn() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    for (live, seconds) in [(0, 20), (20, 20), (1000, 1000)] {
        let seen = Observed { live, ..world.seen() };
        let wake = plan(&world.delegation, &seen, world.now).wake;
        assert_eq!(wake, Some(world.now + SignedDuration::from_secs(seconds)));
    }
}

#[test]
fn how_far_was_counted_is_on_record_before_anything_counts() {
    for lent in [false, true] {
        let event = json!([{"event": {"change": "Deleted", "kind": "Pod", "name": "web-0"}}]);
        let (begin, end) =
            if lent { (json!([{"time": "now"}]), event) } else { (event, json!([{"time": "1h"}])) };
        let mut world = World::new(json!({"triggers": begin, "deletionTriggers": end}));
        world.settle();
        let wake = world.plan().wake.unwrap();
        assert!(wake <= world.now + SignedDuration::from_secs(120), "{wake}");
        let mut seen = world.seen();
        seen.tallies[0].as_mut().unwrap().version = "77".to_owned();
        let status = plan(&world.delegation, &seen, world.now).status.unwrap();
        let trigger = if lent { &status.deletion_triggers[0] } else { &status.triggers[0] };
        assert_eq!((trigger.version.as_str(), trigger.count, trigger.met), ("77", 0, false));
        world.delegation.status = Some(status);
        let mut seen = world.seen();
        seen.tallies[0].as_mut().unwrap().version = "60".to_owned();
        seen.tallies[0].as_mut().unwrap().count = 0;
        assert_eq!(plan(&world.delegation, &seen, world.now).status, None, "an older one is not put back");
    }
}

#[test]
fn nobody_delegates_to_himself() {
    let to = |who: Value, destination: Value| {
        let spec = json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}],
            "requester": who, "destinations": [{"kind": "User", "name": "bob"}, destination]});
        himself(&World::new(spec).delegation)
    };
    let alice = || json!({"username": "alice", "groups": ["leads"]});
    let ci = || json!({"username": "system:serviceaccount:shop:ci"});
    for (who, destination) in [
        (alice(), json!({"kind": "User", "name": "alice"})),
        (alice(), json!({"kind": "Group", "name": "leads"})),
        (ci(), json!({"kind": "ServiceAccount", "name": "ci"})),
        (ci(), json!({"kind": "ServiceAccount", "name": "ci", "namespace": "shop"})),
    ] {
        assert!(to(who, destination.clone()).is_some(), "{destination}");
    }
    for (who, destination) in [
        (alice(), json!({"kind": "User", "name": "leads"})),
        (alice(), json!({"kind": "Group", "name": "alice"})),
        (alice(), json!({"kind": "ServiceAccount", "name": "alice"})),
        (ci(), json!({"kind": "ServiceAccount", "name": "ci", "namespace": "pay"})),
        (ci(), json!({"kind": "ServiceAccount", "name": "*"})),
    ] {
        assert_eq!(to(who, destination), None);
    }
}

#[test]
fn a_lost_right_ends_it_at_once() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    assert_eq!(world.bindings.len(), 1);
    world.lost = true;
    let first = world.plan();
    assert!(
        !first.revoke.is_empty() && first.status.as_ref().unwrap().phase == Some(DelegationPhase::Failed)
    );
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Failed, 1));
}

#[test]
fn nothing_is_lent_while_the_gate_is_open() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.open = true;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Waiting, 0));
    assert!(!conditions::is_true(&world.status().conditions, "Accepted"));
    world.open = false;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Active, 1));
    // What is lent stays, and nothing is added.
    world.open = true;
    world.sources.push(source("more"));
    world.settle();
    assert_eq!(world.bindings.len(), 1);
    world.sources.clear();
    world.settle();
    assert_eq!(world.bindings.len(), 0);
}

#[test]
fn older_than_the_gate_it_lends_nothing() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    let mut seen = world.seen();
    seen.gate = Some(gate::State::Enforced { since: world.now });
    let first = plan(&world.delegation, &seen, world.now);
    world.apply(&first);
    assert_eq!(world.delegation.phase(), DelegationPhase::Failed);
}

#[test]
fn who_deletes_the_grant_ends_it() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    world.grant = None;
    world.settle();
    assert_eq!(world.stands(), (DelegationPhase::Released, 1));
}

#[test]
fn what_another_grant_of_that_name_holds_is_left() {
    let mut world =
        World::new(json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    let mut grant = world.grant.clone().unwrap();
    grant.spec.request.uid = "another".to_owned();
    world.grant = Some(grant);
    let end = world.plan();
    assert!(end.revoke.is_empty() && end.drop_grant.is_none());
    assert_eq!(end.status.unwrap().phase, Some(DelegationPhase::Failed));
}

#[test]
fn an_unreadable_trigger_says_so() {
    let mut world =
        World::new(json!({"triggers": [{"time": "teatime"}], "deletionTriggers": [{"time": "Never"}]}));
    world.settle();
    assert_eq!(world.delegation.phase(), DelegationPhase::Failed);
    assert!(world.status().conditions[0].message.contains("teatime"));
    assert!(triggers::readable(&world.delegation.spec.triggers).is_err());
}

#[test]
fn triggers_that_are_always_met_leave_time_for_others() {
    let mut world = World::new(
        json!({"triggers": [{"time": "now"}], "deletionTriggers": [{"time": "now"}], "repeat": "Forever"}),
    );
    world.settle();
    assert_eq!((world.stands(), world.grants_made), ((DelegationPhase::Waiting, 2), 0));
    assert_eq!(world.plan().wake, Some(world.now + SignedDuration::from_secs(5)));
}

#[test]
fn only_what_names_the_origin_exactly_is_mirrored() {
    let binding = |name: &str, labels: &[(&str, &str)], subject: Value| Binding {
        kind: Kind::RoleBinding,
        meta: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("shop".to_owned()),
            uid: Some(name.to_owned()),
            labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..ObjectMeta::default()
        },
        role: RoleRef { kind: "Role".to_owned(), name: "r".to_owned(), ..RoleRef::default() },
        subjects: vec![serde_json::from_value(subject).unwrap()],
    };
    let rbac = "rbac.authorization.k8s.io";
    let all = [
        binding("exact", &[], json!({"kind": "ServiceAccount", "name": "ci", "namespace": "shop"})),
        binding("namesake", &[], json!({"kind": "ServiceAccount", "name": "ci", "namespace": "other"})),
        binding("longer", &[], json!({"kind": "ServiceAccount", "name": "ci2", "namespace": "shop"})),
        binding(
            "user",
            &[],
            json!({"kind": "User", "apiGroup": rbac, "name": "system:serviceaccount:shop:ci"}),
        ),
        binding(
            "ours",
            &[(GRANT_LABEL, "oz-x")],
            json!({"kind": "ServiceAccount", "name": "ci", "namespace": "shop"}),
        ),
        binding("person", &[], json!({"kind": "User", "apiGroup": rbac, "name": "ci"})),
        binding("odd", &[], json!({"kind": "User", "apiGroup": "x", "name": "ci"})),
    ];
    let names = |kind, namespace: &str| {
        let origin = Origin { kind, name: "ci".to_owned(), namespace: namespace.to_owned() };
        let found = sources(&origin, "shop", &all);
        found.into_iter().map(|s| s.of.unwrap().0).collect::<Vec<_>>()
    };
    assert_eq!(names(OriginKind::ServiceAccount, ""), ["exact"]);
    assert_eq!(names(OriginKind::ServiceAccount, "other"), ["namesake"]);
    assert_eq!(names(OriginKind::User, ""), ["person"]);
    assert!(names(OriginKind::Group, "").is_empty());
}

/// What may happen to a delegation.
#[derive(Debug, Clone)]
enum Happens {
    Later(i64),
    Pod,
    Source(usize),
    Subject(bool),
    Gate(bool),
    Clocks(bool),
    Lost,
    Released,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (1_i64..20_000).prop_map(Happens::Later),
        4 => Just(Happens::Pod),
        2 => (0_usize..4).prop_map(Happens::Source),
        1 => any::<bool>().prop_map(Happens::Subject),
        1 => any::<bool>().prop_map(Happens::Gate),
        1 => any::<bool>().prop_map(Happens::Clocks),
        1 => Just(Happens::Lost),
        1 => Just(Happens::Released),
    ]
}

fn trigger() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"time": "now"})),
        (1_i64..30_000).prop_map(|s| json!({"time": format!("{s}s")})),
        Just(json!({"time": "Never"})),
        Just(json!({"time": "18:00"})),
        Just(json!({"cron": "*/20 * * * *"})),
        (1..4).prop_map(|n| json!({"event": {"change": "Added", "kind": "Pod", "name": "*", "count": n}})),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(trigger(), 1..3);
    (list(), list(), 1_i64..4).prop_map(|(triggers, deletion, repeat)| {
        json!({"triggers": triggers, "deletionTriggers": deletion, "repeat": repeat})
    })
}

impl World {
    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Later(seconds) => self.later(*seconds),
            Happens::Pod => self.pods += 1,
            Happens::Source(n) => {
                self.sources = ["a", "b", "c"].iter().take(*n).map(|of| source(of)).collect();
            }
            Happens::Subject(two) => {
                self.subjects = if *two { vec![user("bob"), user("eve")] } else { vec![user("bob")] };
            }
            Happens::Gate(open) => self.open = *open,
            Happens::Clocks(apart) => self.clocks_apart = *apart,
            Happens::Lost => self.lost = true,
            Happens::Released => {
                self.delegation.spec.released = true;
                self.delegation.spec.released_by = "alice".to_owned();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens, `check_that_it_may_be_bound` and `check_what_is_left` hold, and it settles.
    #[test]
    fn nothing_is_bound_before_its_time_or_after(spec in spec(), story in prop::collection::vec(happens(), 0..24)) {
        let mut world = World::new(spec);
        world.settle();
        for what in &story {
            world.happen(what);
            world.settle();
        }
    }

    /// A controller that dies at any write comes to the same end as one that does not.
    #[test]
    fn dying_at_any_write_changes_nothing(
        spec in spec(),
        story in prop::collection::vec(happens(), 0..12),
        deaths in prop::collection::vec(0_usize..6, 12),
    ) {
        let mut lives = World::new(spec);
        let mut dies = lives.clone();
        lives.settle();
        dies.settle();
        for (what, death) in story.iter().zip(deaths) {
            lives.happen(what);
            dies.happen(what);
            lives.settle();
            dies.left = Some(death);
            let survived = dies.settle();
            dies.left = None;
            if !survived {
                dies.settle();
            }
            prop_assert_eq!(lives.stands(), dies.stands());
            prop_assert_eq!(lives.status().triggers, dies.status().triggers);
            prop_assert_eq!(lives.status().deletion_triggers, dies.status().deletion_triggers);
            prop_assert_eq!(lives.status().bindings, dies.status().bindings);
            let names = |w: &World| w.bindings.iter().map(|b| b.meta.name.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(&lives), names(&dies));
        }
    }
}
