//! Decides what becomes of a request. Pure and total: unknown means no, and time comes in from outside.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use oz_shared::conditions::{self, ACCEPTED, APPROVED, ENDED, READY, whole_second};
use oz_shared::request::{TemplatePin, Verdict};
use oz_shared::{Grant, Phase, Policy as _, RequestStatus, duration, plain};

use super::kind::{Kind, NoOffer, Offer, Times};
use super::observe::{Deciding, Observed};
use super::terms::{approvals, bounds, grant, pin};
use crate::gate;
use crate::reconcile::grant::{STARTING, told};
use crate::reconcile::later;
use crate::report::Note;

/// How long a record stays where no template says so any more.
const HISTORY: SignedDuration = SignedDuration::from_hours(168);
/// A policy is live about a second after it is written: what was asked sooner may have passed it by.
const POLICY_DELAY: SignedDuration = SignedDuration::from_secs(2);
/// How soon a closed gate is looked at again.
const GATE_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// Everything that one pass over a request will do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// The grant to make.
    pub(crate) grant: Option<Box<Grant>>,
    /// The status to write, if it is another than the present one.
    pub(crate) status: Option<RequestStatus>,
    /// The record's time is over: delete it.
    pub(crate) forget: bool,
    pub(crate) notes: Vec<Note>,
    pub(crate) wake: Option<Timestamp>,
}

/// What would be lent: in words, its digest, and by which state of the policy.
#[derive(Default)]
struct Offered {
    words: Vec<String>,
    digest: String,
    by: Option<TemplatePin>,
}

/// How a request ends, or why it waits.
enum Outcome {
    Ends(Phase, &'static str, String),
    /// Why, in a word and in words, what would be lent, and when to look again.
    Waits {
        reason: &'static str,
        message: String,
        offered: Offered,
        wake: Timestamp,
    },
    Grants(Box<Grant>),
}

pub(crate) fn plan<K: Kind>(request: &K, seen: &Observed<K>, now: Timestamp) -> Plan {
    if request.meta().deletion_timestamp.is_some() {
        return Plan::default();
    }
    if request.phase().is_final() {
        let after = request.status().and_then(|s| s.delete_after.as_ref()).map(|t| t.0);
        return Plan { forget: after.is_some_and(|t| t <= now), wake: after, ..Plan::default() };
    }
    match &seen.grant {
        Some(grant) if Some(&grant.spec.request.uid) == request.meta().uid.as_ref() => {
            held(request, grant, now)
        }
        // The first letters of two uids are alike; the other one was first.
        Some(_) => ends(
            request,
            seen,
            Phase::Failed,
            "NameTaken",
            "another grant has this request's name: ask again",
            now,
        ),
        None => undecided(request, seen, now),
    }
}

/// A grant exists: the status follows it.
fn held<K: Kind>(request: &K, grant: &Grant, now: Timestamp) -> Plan {
    let empty = Vec::new();
    let reported = grant.status.as_ref().map_or(&empty, |s| &s.conditions);
    if let Some(ended) = conditions::get(reported, ENDED).filter(|c| c.status == "True") {
        let phase = phase_after(&ended.reason);
        let mut status = following(request, grant, now);
        let history = Some(grant.spec.terms.history_ttl.as_str());
        finish(&mut status, request, phase, &ended.reason, &ended.message, history, now);
        return written(request, status, None);
    }
    let mut status = following(request, grant, now);
    let ready = conditions::get(reported, READY);
    let usable = ready.is_some_and(|c| c.status == "True");
    let phase = if usable { Phase::Active } else { Phase::Approved };
    // Never back from Active: while a grant is being ended it is not ready any more.
    status.phase = Some(if request.phase() == Phase::Active { Phase::Active } else { phase });
    let (reason, message) = match ready {
        Some(c) => (c.reason.as_str(), c.message.as_str()),
        // What the grant will say first is no second write.
        None if grant.spec.copy.is_some() || grant.spec.debug.is_some() => ("Starting", STARTING),
        None => ("Making", "the grant is being made"),
    };
    conditions::set(&mut status.conditions, READY, usable, reason, message, request.meta().generation, now);
    stamp(&mut status, request, phase, now);
    written(request, status, None)
}

/// What the status says of a grant, whatever its state.
fn following<K: Kind>(request: &K, grant: &Grant, now: Timestamp) -> RequestStatus {
    let spec = &grant.spec;
    let mut status = request.status().cloned().unwrap_or_default();
    status.approved_at = Some(spec.approved_at.clone());
    status.expires_at = Some(Time(grant.deadline()));
    status.offered.clear();
    status.offer_digest.clear();
    status.offered_by = None;
    status.granted.clone_from(&spec.granted);
    status.grant = grant.name_any();
    status.account.clone_from(&spec.account);
    status.rotations = grant.status.as_ref().map(|s| s.rotations).unwrap_or_default();
    if let Some(pod) = spec.pods.first() {
        status.pod.clone_from(&pod.name);
        status.container.clone_from(&pod.container);
    }
    if let Some(made) = grant.status.as_ref().filter(|s| !s.namespaces.is_empty()) {
        status.namespaces.clone_from(&made.namespaces);
    }
    if let Some(copy) = &spec.copy {
        status.pod.clone_from(&copy.name);
        status.container.clone_from(&copy.container);
    }
    let by = &spec.terms.approved_by;
    let message = if by.is_empty() {
        "no approval was needed".to_owned()
    } else {
        format!("approved by {}", by.join(", "))
    };
    let generation = request.meta().generation;
    conditions::set(&mut status.conditions, ACCEPTED, true, "Accepted", "", generation, now);
    conditions::set(&mut status.conditions, APPROVED, true, "Approved", &message, generation, now);
    status
}

/// Grants end for reasons that are told by words; the request ends in the phase that fits.
fn phase_after(reason: &str) -> Phase {
    match reason {
        "Expired" => Phase::Expired,
        "Released" | "Deleted" | "Finished" | "Extended" | "NamespaceGone" | "FederationEnded" => {
            Phase::Released
        }
        "Denied" => Phase::Denied,
        _ => Phase::Failed,
    }
}

/// No grant exists.
fn undecided<K: Kind>(request: &K, seen: &Observed<K>, now: Timestamp) -> Plan {
    let outcome = if request.phase() == Phase::Pending {
        decide(request, seen.deciding.as_ref(), now)
    } else {
        // It was granted, and the grant went without us: whoever deleted it ended the access.
        Outcome::Ends(Phase::Released, "GrantDeleted", "the grant was deleted".to_owned())
    };
    match outcome {
        Outcome::Ends(phase, reason, message) => ends(request, seen, phase, reason, &message, now),
        Outcome::Waits { reason, message, offered, wake } => {
            let mut status = request.status().cloned().unwrap_or_default();
            status.phase = Some(Phase::Pending);
            Offered { words: status.offered, digest: status.offer_digest, by: status.offered_by } = offered;
            let generation = request.meta().generation;
            conditions::set(&mut status.conditions, ACCEPTED, true, "Accepted", "", generation, now);
            conditions::set(&mut status.conditions, APPROVED, false, reason, &message, generation, now);
            written(request, status, Some(wake))
        }
        Outcome::Grants(grant) => {
            // The status follows when the grant is there.
            let message = grant.spec.granted.join("; ");
            let notes = vec![Note { warning: false, reason: "Approved", message }];
            Plan { grant: Some(grant), notes, ..Plan::default() }
        }
    }
}

fn ends<K: Kind>(
    request: &K,
    seen: &Observed<K>,
    phase: Phase,
    reason: &'static str,
    message: &str,
    now: Timestamp,
) -> Plan {
    let policy = seen.deciding.as_ref().and_then(|d| d.policy.as_ref());
    let history = policy.map(|(policy, _)| policy.consent().history_ttl);
    let mut status = request.status().cloned().unwrap_or_default();
    finish(&mut status, request, phase, reason, message, history, now);
    written(request, status, None)
}

fn finish<K: Kind>(
    status: &mut RequestStatus,
    request: &K,
    phase: Phase,
    reason: &str,
    message: &str,
    history_ttl: Option<&str>,
    now: Timestamp,
) {
    let history = history_ttl.and_then(|d| duration::parse(d).ok()).unwrap_or(HISTORY);
    status.phase = Some(phase);
    status.ended_at = Some(Time(whole_second(now)));
    status.delete_after = Some(Time(later(whole_second(now), history)));
    let generation = request.meta().generation;
    if phase == Phase::Failed && status.approved_at.is_none() {
        conditions::set(&mut status.conditions, ACCEPTED, false, reason, message, generation, now);
    }
    conditions::set(&mut status.conditions, READY, false, reason, message, generation, now);
    stamp(status, request, phase, now);
}

/// Milliseconds from creation to a phase, noted once.
fn stamp<K: Kind>(status: &mut RequestStatus, request: &K, phase: Phase, now: Timestamp) {
    let Some(created) = request.creation_timestamp() else { return };
    let elapsed = now.as_millisecond().saturating_sub(created.0.as_millisecond()).max(0);
    status.timings.entry(phase.as_str().to_lowercase()).or_insert(elapsed);
}

/// The plan that writes `status` if it says anything new, and tells of a new phase.
fn written<K: Kind>(request: &K, status: RequestStatus, wake: Option<Timestamp>) -> Plan {
    if request.status() == Some(&status) {
        return Plan { wake, ..Plan::default() };
    }
    let mut notes = Vec::new();
    let phase = status.phase.unwrap_or(Phase::Pending);
    if request.status().and_then(|s| s.phase) != Some(phase) && phase != Phase::Approved {
        let condition = if phase == Phase::Pending { APPROVED } else { READY };
        let said =
            conditions::get(&status.conditions, condition).map(|c| c.message.clone()).unwrap_or_default();
        let message = match phase {
            // Who may read Events need not be one who may read reasons.
            Phase::Denied | Phase::Released => "the request's conditions say by whom and why".to_owned(),
            _ => said,
        };
        notes.push(Note { warning: phase == Phase::Failed, reason: phase.as_str(), message });
    }
    Plan { status: Some(status), notes, wake, ..Plan::default() }
}

fn decide<K: Kind>(request: &K, deciding: Option<&Deciding<K>>, now: Timestamp) -> Outcome {
    let failed = |reason, message: String| Outcome::Ends(Phase::Failed, reason, message);
    if let Some(release) = request.release() {
        let message = told("released", release.by, release.reason);
        return Outcome::Ends(Phase::Released, "Released", message);
    }
    if let Some(no) = request.decisions().iter().find(|d| d.decision == Verdict::Deny) {
        return Outcome::Ends(Phase::Denied, "Denied", told("denied", &no.by, &no.reason));
    }
    if let Some((reason, message)) = request.refused() {
        return failed(reason, message);
    }
    let username = &request.requester().username;
    if username.starts_with("system:") && !username.starts_with("system:serviceaccount:") {
        return failed("RequesterNotLendable", format!("nothing is lent to {username}"));
    }
    let Some(deciding) = deciding else {
        return failed("NotObserved", "what the decision needs could not be read".to_owned());
    };
    let Some((policy, found)) = &deciding.policy else {
        return failed(K::NO_POLICY, format!("there is no {} {} here", K::POLICY, request.policy()));
    };
    let terms = policy.consent();
    let lent_for = match bounds(request, policy) {
        Ok(lent_for) => lent_for,
        Err((reason, message)) => return failed(reason, message),
    };
    let created = request.creation_timestamp().map_or(Timestamp::MIN, |t| t.0);
    let pending = duration::parse(terms.pending_timeout).unwrap_or(SignedDuration::ZERO);
    let too_late = later(created, pending);
    if now >= too_late {
        let message = format!("it was not granted within {}", terms.pending_timeout);
        return Outcome::Ends(Phase::Expired, "PendingTimeout", message);
    }
    // What was named and cannot be lent is told before anyone is asked to agree.
    let times = Times { approved_at: whole_second(now), lent_for };
    let offer = request.offer(policy, found, &times).and_then(shown);
    match &offer {
        Err(NoOffer::Unusable(reason, message)) => return failed(reason, message.clone()),
        Err(NoOffer::Absent(reason, message)) if request.names_its_target() => {
            return failed(reason, message.clone());
        }
        _ => {}
    }
    let offered = offer.as_ref().map(|o| Offered {
        words: o.words.clone(),
        digest: o.digest.clone(),
        by: Some(pin(policy)),
    });
    let offered = offered.unwrap_or_default();
    let approved_by = match approvals(request, policy) {
        Ok(names) => names,
        Err(stale) => {
            let message = format!("{} has changed since {} approved: ask again", request.policy(), stale.by);
            return failed("TemplateChanged", message);
        }
    };
    let yes =
        request.decisions().iter().find(|d| d.decision == Verdict::Approve && d.offer != offered.digest);
    if let (Ok(_), Some(stale)) = (&offer, yes) {
        let message = format!(
            "what {} offers has changed since {} approved, or the approval does not say to what: ask again",
            request.policy(),
            stale.by
        );
        return failed("OfferChanged", message);
    }
    // What a partner asks for was agreed to with its federation, by which it may ask.
    let agreed = offer.as_ref().is_ok_and(|o| !o.parent.is_empty());
    let needed = if agreed { 0 } else { usize::try_from(terms.approvals).unwrap_or(usize::MAX) };
    if approved_by.len() < needed {
        let missing = needed - approved_by.len();
        let message = format!("{} of {needed} approvals, {missing} to come", approved_by.len());
        return Outcome::Waits { reason: "WaitingForApproval", message, offered, wake: too_late };
    }
    let since = match &deciding.gate {
        gate::State::Enforced { since } => *since,
        gate::State::Open(hole) => {
            let message = format!("nothing is granted while the gate is not in force: {hole}");
            let wake = later(now, GATE_RETRY).min(too_late);
            return Outcome::Waits { reason: "GateNotEnforced", message, offered, wake };
        }
    };
    if created < later(since, POLICY_DELAY) {
        return failed("OlderThanGate", "it was asked before the gate was in force: ask again".to_owned());
    }
    if !agreed && !deciding.may_request {
        let message = format!("{username} may not ask for {} any more", request.policy());
        return failed("MayNotRequest", message);
    }
    match offer {
        Err(NoOffer::Absent(reason, message) | NoOffer::Unusable(reason, message)) => failed(reason, message),
        Ok(offer) => Outcome::Grants(Box::new(grant(request, policy, offer, approved_by, &times))),
    }
}

/// The offer, if all of it can be shown to who decides.
fn shown(offer: Offer) -> Result<Offer, NoOffer> {
    match plain::words(offer.words) {
        Ok(words) => Ok(Offer { words, ..offer }),
        Err(error) => Err(NoOffer::Unusable("TooMuchToShow", error.to_string())),
    }
}
