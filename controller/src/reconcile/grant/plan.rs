//! Decides what becomes of a grant. Pure and total. The only place that ends one, for every kind of request.
//!
//! A grant is made once. After it was ready nothing of it is ever made again: a part that goes missing ends it.

use jiff::{SignedDuration, Timestamp};
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::grant::PodRef;
use oz_shared::template::OnEnd;
use oz_shared::{Grant, GrantStatus};

use super::observe::{Observed, RequestFacts};
use crate::children::{self, Child, Found, Kind};
use crate::reconcile::later;
use crate::report::Note;

/// How long a grant may take to be made: what fails is tried again this long.
const MAKING: SignedDuration = SignedDuration::from_mins(5);
/// How long after its end a pod that is to be evicted is tried again before that is given up.
const EVICTING: SignedDuration = SignedDuration::from_secs(60);
/// How soon an eviction, or a part that is held up, is looked at again.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// Everything that one pass over a grant will do, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// To take away: bindings are emptied first, then all are deleted.
    pub(crate) revoke: Vec<Found>,
    /// To take away if that can be done: they lend nothing any more, and the garbage collector takes them as well.
    pub(crate) tidy: Vec<Found>,
    pub(crate) evict: Vec<PodRef>,
    /// To make.
    pub(crate) make: Vec<Child>,
    /// The status to write, if it is another than the present one.
    pub(crate) status: Option<GrantStatus>,
    /// It has ended and its request knows: delete it.
    pub(crate) forget: bool,
    pub(crate) notes: Vec<Note>,
    pub(crate) wake: Option<Timestamp>,
}

/// Why a grant is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// A word for the condition.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Is it over, and why? What people did counts before what time did.
pub(super) fn end(grant: &Grant, seen: &Observed, now: Timestamp) -> Option<End> {
    let over = |reason, message: &str| Some(End { reason, message: message.to_owned() });
    if grant.metadata.deletion_timestamp.is_some() {
        return over("Deleted", "the grant was deleted");
    }
    match &seen.request {
        RequestFacts::Gone => return over("Deleted", "the request was deleted"),
        RequestFacts::Final => return over("Deleted", "the request has come to its end"),
        RequestFacts::Released(words) => return over("Released", words),
        RequestFacts::Denied(words) => return over("Denied", words),
        RequestFacts::Standing => {}
    }
    if now >= grant.spec.expires_at.0 {
        return over("Expired", "its time was over");
    }
    if let Some(pod) = seen.pods_gone.first() {
        let message = format!(
            "pod {} is gone or was replaced; a grant is for one pod, not for its namesakes",
            pod.name
        );
        return Some(End { reason: "PodGone", message });
    }
    if !reports(grant, READY) && now >= later(grant.spec.approved_at.0, MAKING) {
        return over("NotMade", "it could not be made in time");
    }
    if seen.complete && reports(grant, READY) {
        let lost = children::of(grant)
            .into_iter()
            .find(|e| !seen.children.iter().any(|c| c.is(e) && !c.terminating));
        if let Some(lost) = lost {
            let message = format!("{:?} {}/{} was deleted", lost.kind, lost.namespace, lost.name);
            return Some(End { reason: "PartMissing", message });
        }
    }
    None
}

pub(crate) fn plan(grant: &Grant, seen: &Observed, now: Timestamp) -> Plan {
    if reports(grant, ENDED) {
        return after(seen);
    }
    match end(grant, seen, now) {
        Some(end) => ending(grant, seen, &end, now),
        None if reports(grant, READY) => Plan { wake: Some(grant.spec.expires_at.0), ..Plan::default() },
        None => making(grant, seen, now),
    }
}

fn making(grant: &Grant, seen: &Observed, now: Timestamp) -> Plan {
    let make =
        children::of(grant).into_iter().filter(|e| !seen.children.iter().any(|c| c.is(e) && !c.terminating));
    let mut status = grant.status.clone().unwrap_or_default();
    let until = grant.spec.expires_at.0;
    conditions::set(
        &mut status.conditions,
        READY,
        true,
        "Made",
        &format!("until {until}"),
        grant.metadata.generation,
        now,
    );
    let wake = until.min(later(grant.spec.approved_at.0, MAKING));
    Plan { make: make.collect(), status: Some(status), wake: Some(wake), ..Plan::default() }
}

fn ending(grant: &Grant, seen: &Observed, end: &End, now: Timestamp) -> Plan {
    let revoke: Vec<Found> = seen.children.iter().filter(|c| !c.is_harmless()).cloned().collect();
    let mut status = grant.status.clone().unwrap_or_default();
    let generation = grant.metadata.generation;
    let since = conditions::get(&status.conditions, READY)
        .filter(|c| c.status == "False")
        .map(|c| c.last_transition_time.0);
    let stays = evictable(grant, seen);
    let account_gone =
        seen.complete && !seen.children.iter().any(|c| c.kind == Kind::ServiceAccount && !c.terminating);
    if !seen.complete || !(revoke.is_empty() || account_gone) {
        // What is left is looked at again at once; what is held up by someone's finalizer, after a while.
        let wake =
            if revoke.iter().all(|c| c.terminating) && !revoke.is_empty() { later(now, RETRY) } else { now };
        return Plan { revoke, evict: stays, wake: Some(wake), ..Plan::default() };
    }
    let evicting = later(since.unwrap_or(now), EVICTING);
    if !stays.is_empty() && now < evicting {
        conditions::set(
            &mut status.conditions,
            READY,
            false,
            end.reason,
            "evicting the pod",
            generation,
            now,
        );
        let status = changed(grant, status);
        let wake = Some(later(now, RETRY).min(evicting));
        return Plan { tidy: revoke, evict: stays, status, wake, ..Plan::default() };
    }
    let message = told(grant, seen, end, &stays);
    conditions::set(&mut status.conditions, READY, false, end.reason, &end.message, generation, now);
    conditions::set(&mut status.conditions, ENDED, true, end.reason, &message, generation, now);
    Plan { tidy: revoke, status: changed(grant, status), ..Plan::default() }
}

/// The pods that the terms want evicted and that are still there. A pod that was replaced is nobody's to evict.
fn evictable(grant: &Grant, seen: &Observed) -> Vec<PodRef> {
    if grant.spec.terms.on_end == OnEnd::Leave {
        return Vec::new();
    }
    grant.spec.pods.iter().filter(|p| !seen.pods_gone.contains(p)).cloned().collect()
}

/// Why it ended, and what could not be ended with it.
fn told(grant: &Grant, seen: &Observed, end: &End, stays: &[PodRef]) -> String {
    let mut message = end.message.clone();
    for held in seen.children.iter().filter(|c| !c.finalizers.is_empty()) {
        message += &format!(
            "; {:?} {}/{} lends nothing any more, but {} keeps it from going",
            held.kind,
            held.namespace,
            held.name,
            held.finalizers.join(", ")
        );
    }
    for pod in stays {
        message += &format!("; pod {} could not be evicted", pod.name);
    }
    if end.reason != "PodGone"
        && !grant.spec.pods.is_empty()
        && (grant.spec.terms.on_end == OnEnd::Leave || !stays.is_empty())
    {
        message += "; a stream that was open, or a process left in the pod, is not cut";
    }
    message
}

/// It has ended: it stays until its request has taken note. What turns up late goes too; but what cannot be taken away
/// here goes with the grant, by the garbage collector. What is going already was emptied before.
fn after(seen: &Observed) -> Plan {
    let late: Vec<Found> = seen.children.iter().filter(|c| !c.terminating).cloned().collect();
    let lends = late.iter().any(|c| c.kind == Kind::ServiceAccount);
    let noted = matches!(seen.request, RequestFacts::Gone | RequestFacts::Final);
    if lends {
        Plan { revoke: late, ..Plan::default() }
    } else {
        Plan { tidy: late, forget: noted, ..Plan::default() }
    }
}

fn reports(grant: &Grant, condition: &str) -> bool {
    grant.status.as_ref().is_some_and(|s| conditions::is_true(&s.conditions, condition))
}

fn changed(grant: &Grant, status: GrantStatus) -> Option<GrantStatus> {
    (grant.status.as_ref() != Some(&status)).then_some(status)
}
