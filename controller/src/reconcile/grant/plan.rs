//! Decides what becomes of a grant. Pure and total. The only place that ends one, for every kind of request.
//!
//! A grant is made once. After it was ready nothing of it is ever made again: a part that goes missing ends it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::grant::PodRef;
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::request::NamespaceRef;
use oz_shared::template::OnEnd;
use oz_shared::{Federation, Grant, GrantStatus};

use super::container::{Container, Order, State, There};
use super::namespaces::{self, Lent};
use super::observe::{Observed, RequestFacts};
use crate::children::{self, Child, Found, Kind, is_place};
use crate::reconcile::{later, request};
use crate::report::Note;

/// How long a grant may take to be made: what fails is tried again this long.
const MAKING: SignedDuration = SignedDuration::from_mins(5);
/// How long after its end a pod that is to be evicted is tried again before that is given up.
const EVICTING: SignedDuration = SignedDuration::from_secs(60);
/// How often a namespace that does not go is looked at without its watch telling of anything.
const GOING: SignedDuration = SignedDuration::from_secs(30);
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
    /// The copy, to be deleted.
    pub(crate) delete: Option<PodRef>,
    /// The namespaces to be deleted.
    pub(crate) remove: Vec<NamespaceRef>,
    /// The account, to be made anew: what was of its name is gone.
    pub(crate) renew: Option<Child>,
    /// What the grant rests on, to be made first, and `make` beside it; the rest is planned again then.
    pub(crate) order: Option<Order>,
    /// To make before everything else: what holds owners of namespaces, before they are owners.
    pub(crate) furnish: Vec<Child>,
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
    pub(super) reason: String,
    pub(super) message: String,
    /// Will it be told alike when it is looked for again? If not, it is noted as soon as it is known.
    lasts: bool,
}

impl End {
    fn new(reason: &str, message: impl Into<String>, lasts: bool) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), lasts }
    }
}

/// Is it over, and why? What people did counts before what time did.
pub(super) fn end(grant: &Grant, seen: &Observed, now: Timestamp) -> Option<End> {
    let over = |reason, message: &str| Some(End::new(reason, message, true));
    if grant.metadata.deletion_timestamp.is_some() {
        return over("Deleted", "the grant was deleted");
    }
    match &seen.request {
        RequestFacts::Gone => return over("Deleted", "the request was deleted"),
        RequestFacts::Final => return over("Deleted", "the request has come to its end"),
        RequestFacts::Released(words) => return over("Released", words),
        RequestFacts::Denied(words) => return over("Denied", words),
        RequestFacts::Standing(_) => {}
    }
    if seen.parent_ended {
        return over("FederationEnded", "the federation by which it was asked for has ended");
    }
    if let Some(noted) = reported(grant, ENDED).filter(|c| c.status == "False") {
        return over(&noted.reason, &noted.message);
    }
    if now >= grant.deadline() {
        return over("Expired", "its time was over");
    }
    if let Some(pod) = seen.pods_gone.first() {
        let message = format!(
            "pod {} is gone or was replaced; a grant is for one pod, not for its namesakes",
            pod.name
        );
        return Some(End::new("PodGone", message, true));
    }
    if let Some(why) = &seen.invalid {
        return Some(End::new("PartInvalid", why.as_str(), false));
    }
    if let Some(why) = &seen.role_lost
        && !(reads_everywhere(grant) && reports(grant, READY))
    {
        return Some(End::new("RoleChanged", why.as_str(), false));
    }
    if let Some(end) =
        namespaces_ended(grant, &seen.namespaces).or_else(|| container_ended(grant, &seen.container))
    {
        return Some(end);
    }
    if !reports(grant, READY) && now >= made_by(grant) {
        let waiting = match &seen.container {
            Container::There(There { state: State::Waiting(words), .. }) => format!(": {words}"),
            _ => waiting_for(&seen.namespaces).map(|words| format!(": {words}")).unwrap_or_default(),
        };
        return Some(End::new("NotMade", format!("it could not be made in time{waiting}"), false));
    }
    if seen.complete && reports(grant, READY) {
        let rotates = rotation(grant, seen).is_some();
        let lost = parts(grant, seen).into_iter().find(|e| {
            let there = seen.children.iter().any(|c| c.is(e) && !c.terminating);
            !(there || rotates && e.kind == Kind::ServiceAccount)
        });
        if let Some(lost) = lost {
            let place =
                if lost.namespace.is_empty() { String::new() } else { format!("{}/", lost.namespace) };
            let message = format!("{:?} {place}{} was deleted", lost.kind, lost.name);
            return Some(End::new("PartMissing", message, true));
        }
    }
    None
}

/// Everything that the grant is made of, its namespaces being what they are.
pub(super) fn parts(grant: &Grant, seen: &Observed) -> Vec<Child> {
    let lent: Vec<&str> = namespaces::to_delete(&seen.namespaces).map(|n| n.name.as_str()).collect();
    let mut parts = children::of(grant, &lent);
    if reads_nothing(grant, seen).is_some() {
        parts.retain(|part| part.kind != Kind::ClusterRoleBinding);
    }
    parts
}

/// Is there a role by which its holder reads in the whole cluster, beside what else it lends?
fn reads_everywhere(grant: &Grant) -> bool {
    grant.spec.role.as_ref().is_some_and(|role| role.namespace.is_empty())
}

/// Why its holder reads nothing in the whole cluster any more. That role is not what was agreed to; what is lent besides it
/// goes on, as people keep things there. It is not lent again, whatever becomes of it.
fn reads_nothing(grant: &Grant, seen: &Observed) -> Option<String> {
    if !reads_everywhere(grant) || !reports(grant, READY) {
        return None;
    }
    let noted = grant.status.as_ref().map(|s| s.reads_nothing.clone()).filter(|why| !why.is_empty());
    noted.or_else(|| seen.role_lost.clone())
}

/// Can the namespaces not be had, or are they not the grant's any more?
fn namespaces_ended(grant: &Grant, lent: &[Lent]) -> Option<End> {
    let over = |reason, message: &str| Some(End::new(reason, message, false));
    let most = grant.spec.namespaces.as_ref().map(|terms| terms.max_live).unwrap_or_default();
    for one in lent {
        match one {
            Lent::NoPlace => {
                let class = &grant.spec.terms.template.name;
                return over(
                    "TooMany",
                    &format!("one may have {most} namespaces of class {class}: release some first"),
                );
            }
            Lent::Taken(why) => return over("NameTaken", why),
            _ => {}
        }
    }
    let over_with = |one: &Lent| match one {
        Lent::Gone | Lent::HandedOn => true,
        // Deleted before it was taken over; or a partner's only one, without which it has no business here.
        Lent::Going(..) => {
            !reports(grant, READY) || grant.spec.request.kind == <Federation as request::Kind>::NAME
        }
        _ => false,
    };
    if lent.is_empty() || !lent.iter().all(over_with) {
        None
    } else if lent.contains(&Lent::HandedOn) {
        over("Extended", "another request keeps its namespaces on")
    } else {
        over("NamespaceGone", "its namespaces were deleted")
    }
}

/// The namespace that is waited for, in words.
fn waiting_for(lent: &[Lent]) -> Option<String> {
    lent.iter().find_map(|one| match one {
        Lent::Waiting(name) => Some(format!("a namespace {name} is there that is being deleted")),
        _ => None,
    })
}

/// When it must have become ready.
fn made_by(grant: &Grant) -> Timestamp {
    let spec = &grant.spec;
    let start_by = spec.copy.as_ref().map(|c| &c.start_by).or(spec.debug.as_ref().map(|d| &d.start_by));
    start_by.map_or_else(|| later(spec.approved_at.0, MAKING), |t| t.0)
}

/// Has the container that it rests on come to an end, or can it not start?
fn container_ended(grant: &Grant, container: &Container) -> Option<End> {
    let over = |reason, message: String| Some(End::new(reason, message, false));
    let ready = reports(grant, READY);
    match container {
        Container::None => None,
        Container::Missing(_) if ready => over("PodGone", "the debugging container is gone".to_owned()),
        Container::Missing(_) | Container::Unknown(_) => None,
        Container::Impossible(why) => over("PodRefused", why.clone()),
        Container::Strange(pod) => over("NameTaken", format!("pod {pod} is somebody else's")),
        Container::Gone(pod) => over("PodGone", format!("pod {pod} is gone")),
        Container::There(there) => match &there.state {
            State::Ended { expired: true, .. } => over("Expired", "its time was over".to_owned()),
            State::Ended { words, .. } if ready && grant.spec.debug.is_some() => {
                over("Finished", format!("the debugging container ended: {words}"))
            }
            State::Ended { words, .. } if ready => {
                over("PodEnded", format!("pod {} ended: {words}", there.pod.name))
            }
            State::Ended { words, .. } | State::Stuck(words) => {
                over("PodFailed", format!("pod {} does not start: {words}", there.pod.name))
            }
            State::Waiting(_) | State::Running if there.terminating => {
                over("PodGone", format!("pod {} is being deleted", there.pod.name))
            }
            State::Waiting(_) | State::Running => None,
        },
    }
}

/// Does this part lend anything: the account by which the holder acts, or a binding of somebody by name?
pub(super) fn lends(grant: &Grant, seen: &Observed, part: &Found) -> bool {
    let by_name = grant.spec.account.is_empty() || grant.spec.namespaces.is_some();
    match part.kind {
        Kind::ServiceAccount => !part.terminating,
        // Where Oz may not delete it, the garbage collector does, once the grant is gone.
        Kind::RoleBinding => by_name && !part.is_harmless() && !seen.powerless,
        _ => false,
    }
}

pub(crate) fn plan(grant: &Grant, seen: &Observed, now: Timestamp) -> Plan {
    if reports(grant, ENDED) {
        return after(seen);
    }
    match end(grant, seen, now) {
        Some(end) => ending(grant, seen, &end, now),
        None if reports(grant, READY) => standing(grant, seen, now),
        None => making(grant, seen, now),
    }
}

/// How often the account was to be made anew, if that is more often than it was.
fn rotation(grant: &Grant, seen: &Observed) -> Option<i32> {
    let done = grant.status.as_ref().map(|s| s.rotations).unwrap_or_default();
    match seen.request {
        RequestFacts::Standing(wanted) if wanted > done && !grant.spec.account.is_empty() => Some(wanted),
        _ => None,
    }
}

/// Nothing is made any more, but for an account that is to be made anew: the one before is taken away, and whether the one
/// that is there is of before or after is told by its label.
fn standing(grant: &Grant, seen: &Observed, now: Timestamp) -> Plan {
    let deadline = grant.deadline();
    let everywhere =
        || seen.children.iter().filter(|c| c.kind == Kind::ClusterRoleBinding && !c.is_harmless());
    if let Some(why) = reads_nothing(grant, seen)
        && (everywhere().next().is_some()
            || grant.status.as_ref().is_some_and(|s| s.reads_nothing.is_empty()))
    {
        let mut status = grant.status.clone().unwrap_or_default();
        let message = format!("until {deadline}; it reads nothing in the whole cluster any more: {why}");
        conditions::set(
            &mut status.conditions,
            READY,
            true,
            "Made",
            &message,
            grant.metadata.generation,
            now,
        );
        status.reads_nothing = why;
        let notes = vec![Note { warning: true, reason: "RoleChanged", message }];
        let notes = if grant.status.as_ref() == Some(&status) { Vec::new() } else { notes };
        let wake = Some(later(now, RETRY).min(deadline));
        return Plan {
            revoke: everywhere().cloned().collect(),
            status: changed(grant, status),
            notes,
            wake,
            ..Plan::default()
        };
    }
    let Some(rotation) = rotation(grant, seen) else {
        return Plan { wake: Some(deadline), ..Plan::default() };
    };
    let plan = Plan { wake: Some(later(now, RETRY).min(deadline)), ..Plan::default() };
    match seen.children.iter().find(|c| c.kind == Kind::ServiceAccount) {
        Some(account) if account.terminating => plan,
        Some(account) if account.rotation < rotation => Plan { revoke: vec![account.clone()], ..plan },
        Some(account) => {
            let mut status = grant.status.clone().unwrap_or_default();
            status.rotations = account.rotation;
            let message = "its account was made anew: tokens for the one before are worth nothing".to_owned();
            let notes = vec![Note { warning: false, reason: "Rotated", message }];
            Plan { status: changed(grant, status), notes, ..plan }
        }
        None => Plan { renew: Some(children::account_of(grant, rotation)), ..plan },
    }
}

fn making(grant: &Grant, seen: &Observed, now: Timestamp) -> Plan {
    let mut status = grant.status.clone().unwrap_or_default();
    let generation = grant.metadata.generation;
    let first = conditions::get(&status.conditions, READY).is_none();
    let starting = match &seen.container {
        Container::Missing(order) => return Plan { order: Some(order.as_ref().clone()), ..Plan::default() },
        Container::There(there) => {
            status.copy = grant.spec.copy.is_some().then(|| there.pod.clone());
            status.ends_at = there.ends_at.map(Time);
            match &there.state {
                State::Waiting(words) => Some(words),
                _ => None,
            }
        }
        _ => None,
    };
    let missing = || -> Vec<Child> {
        let parts = parts(grant, seen).into_iter();
        parts.filter(|e| !seen.children.iter().any(|c| c.is(e) && !c.terminating)).collect()
    };
    if seen.namespaces.iter().any(|one| matches!(one, Lent::Missing(_))) {
        // Beside them the session alone: owners come after what holds them.
        let make = missing().into_iter().filter(|part| part.namespace == SESSIONS_NAMESPACE).collect();
        let wake = Some(later(now, RETRY).min(made_by(grant)));
        return Plan { order: Some(Order::Namespaces), make, wake, ..Plan::default() };
    }
    if let Some(words) = waiting_for(&seen.namespaces) {
        conditions::set(&mut status.conditions, READY, false, "Waiting", &words, generation, now);
        let wake = Some(later(now, RETRY).min(made_by(grant)));
        return Plan { status: changed(grant, status), wake, ..Plan::default() };
    }
    status.namespaces = namespaces::to_delete(&seen.namespaces).cloned().collect();
    let furnish = status.namespaces.iter().flat_map(|n| children::furnishing(grant, &n.name)).collect();
    if let Some(words) = starting {
        // The rest is made while the pod starts; whether it is all there is looked at again when it runs.
        let make = if first { missing() } else { Vec::new() };
        conditions::set(&mut status.conditions, READY, false, "Starting", words, generation, now);
        return Plan { make, status: changed(grant, status), wake: Some(made_by(grant)), ..Plan::default() };
    }
    let until = status.ends_at.as_ref().map_or(grant.spec.expires_at.0, |t| t.0);
    conditions::set(&mut status.conditions, READY, true, "Made", &format!("until {until}"), generation, now);
    let wake = Some(until.min(made_by(grant)));
    let tidy = surplus(grant, seen);
    Plan { tidy, furnish, make: missing(), status: Some(status), wake, ..Plan::default() }
}

/// Places beyond those that its namespaces take: two controllers may have claimed for it at once.
fn surplus(grant: &Grant, seen: &Observed) -> Vec<Found> {
    let needed = grant.spec.namespaces.as_ref().map_or(0, |terms| terms.names.len());
    let mut places: Vec<&Found> = seen.children.iter().filter(|c| is_place(&c.name)).collect();
    places.sort_unstable_by_key(|place| &place.name);
    places.into_iter().skip(needed).cloned().collect()
}

fn ending(grant: &Grant, seen: &Observed, end: &End, now: Timestamp) -> Plan {
    let mut remove: Vec<NamespaceRef> = namespaces::to_delete(&seen.namespaces).cloned().collect();
    let mut going = namespaces::going(&seen.namespaces);
    let mut end = end.clone();
    if seen.abandoned {
        remove.clear();
        going.clear();
        end.message += "; its namespaces are left: the kind went by which they were lent";
    }
    let end = &end;
    // Places are kept for as long as the namespaces are there, and what the watch tells of them may be another's by now.
    let places = going.is_empty() && seen.complete;
    let parts = seen.children.iter().filter(|c| places || !is_place(&c.name));
    let revoke: Vec<Found> = parts.filter(|c| !c.is_harmless()).cloned().collect();
    let message = Vec::from_iter([&end.message].into_iter().chain(&going).map(String::as_str)).join("; ");
    let mut status = grant.status.clone().unwrap_or_default();
    let generation = grant.metadata.generation;
    let evict = evictable(grant, seen);
    let copy = remaining_copy(grant, seen);
    let delete = copy.filter(|there| !there.terminating).map(|there| there.pod.clone());
    conditions::set(&mut status.conditions, READY, false, &end.reason, &message, generation, now);
    conditions::set(&mut status.conditions, ENDED, false, &end.reason, &end.message, generation, now);

    let unsure = !seen.complete && !awaits(grant, seen, now);
    if unsure || seen.children.iter().any(|c| lends(grant, seen, c)) {
        // What is left is looked at again at once; what is held up by someone's finalizer, after a while.
        let held = !revoke.is_empty() && revoke.iter().all(|c| c.terminating);
        let wake = if held { later(now, RETRY) } else { now };
        let status = if end.lasts { None } else { changed(grant, status) };
        return Plan { revoke, delete, remove, evict, status, wake: Some(wake), ..Plan::default() };
    }
    if !going.is_empty() {
        // However long that takes: a namespace that does not go is not forgotten.
        let (status, wake) = (changed(grant, status), Some(later(now, GOING)));
        return Plan { tidy: revoke, remove, status, wake, ..Plan::default() };
    }
    let given_up = given_up(grant, now);
    if (!evict.is_empty() || copy.is_some()) && now < given_up {
        let wake = Some(later(now, RETRY).min(given_up));
        let status = changed(grant, status);
        return Plan { tidy: revoke, delete, evict, status, wake, ..Plan::default() };
    }
    let message = told(grant, seen, end, &evict);
    conditions::set(&mut status.conditions, ENDED, true, &end.reason, &message, generation, now);
    Plan { tidy: revoke, status: changed(grant, status), ..Plan::default() }
}

/// The pods that the terms want evicted and that are still there. A pod that was replaced is nobody's to evict.
fn evictable(grant: &Grant, seen: &Observed) -> Vec<PodRef> {
    if grant.spec.terms.on_end == OnEnd::Leave {
        return Vec::new();
    }
    grant.spec.pods.iter().filter(|p| !seen.pods_gone.contains(p)).cloned().collect()
}

/// When pods that do not go are given up.
fn given_up(grant: &Grant, now: Timestamp) -> Timestamp {
    later(reported(grant, ENDED).map_or(now, |c| c.last_transition_time.0), EVICTING)
}

/// Is it the copy, or a namespace, that an end waits for? The parts need not be looked at again before that has gone.
pub(super) fn awaits(grant: &Grant, seen: &Observed, now: Timestamp) -> bool {
    (remaining_copy(grant, seen).is_some() && now < given_up(grant, now))
        || (!seen.abandoned && namespaces::own(&seen.namespaces).next().is_some())
}

/// The copy, as long as something may run in it.
fn remaining_copy<'a>(grant: &Grant, seen: &'a Observed) -> Option<&'a There> {
    match &seen.container {
        Container::There(there) if grant.spec.copy.is_some() => {
            Some(there).filter(|t| !(t.terminating && matches!(t.state, State::Ended { .. })))
        }
        _ => None,
    }
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
    if seen.powerless {
        message += "; Oz may not delete the binding any more: it goes with the grant";
    }
    if let Container::Unknown(why) = &seen.container {
        message += &format!("; its pod goes with the grant: {why}");
    }
    if let Some(there) = remaining_copy(grant, seen) {
        message += &format!("; pod {} has not ended yet: its node may not answer", there.pod.name);
    }
    if let Container::There(there) = &seen.container
        && grant.spec.copy.is_some()
        && !there.finalizers.is_empty()
    {
        let held = there.finalizers.join(", ");
        message += &format!("; pod {} has ended, but {held} keeps it from going", there.pod.name);
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

fn reported<'a>(grant: &'a Grant, condition: &str) -> Option<&'a Condition> {
    conditions::get(&grant.status.as_ref()?.conditions, condition)
}

fn reports(grant: &Grant, condition: &str) -> bool {
    reported(grant, condition).is_some_and(|c| c.status == "True")
}

fn changed(grant: &Grant, status: GrantStatus) -> Option<GrantStatus> {
    (grant.status.as_ref() != Some(&status)).then_some(status)
}
