//! Decides what becomes of a delegation. Pure and total.
//!
//! Everything follows from what is on record: nothing is bound but in an iteration that is on record as begun, and an event
//! counts from when its count is. So a pass that was broken off anywhere is taken up where it was.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource as _, ResourceExt as _};
use oz_shared::conditions::{self, CLOCKS_AGREE, READY, whole_second};
use oz_shared::delegation::{DelegationPhase, DelegationStatus, GrantRef, ObservedKind};
use oz_shared::names::is_reserved_namespace;
use oz_shared::{Delegation, Grant, duration};

use super::lent::{BINDINGS, SUBJECTS, grant_of, granted, stands};
use super::mirror::{Binding, Source, child, is_as, name_of, reference};
use super::observe::Observed;
use super::triggers::{self, Unarmed, all_met, arm, current};
use crate::children::{Child, Found};
use crate::gate;
use crate::reconcile::grant::told;
use crate::reconcile::later;
use crate::report::Note;

/// It can be lent as it stands.
const ACCEPTED: &str = oz_shared::conditions::ACCEPTED;
/// How old the gate must be: the API servers look at their policies once a second.
const POLICY_DELAY: SignedDuration = SignedDuration::from_secs(2);
/// How soon a closed gate is looked at again.
const GATE_RETRY: SignedDuration = SignedDuration::from_secs(1);
/// How long after one iteration was over the next begins at the soonest, so that triggers which are always met do not have
/// the controller do nothing else.
const PACE: SignedDuration = SignedDuration::from_secs(5);
/// How soon what another replica went on with is read again.
const READ_AGAIN: SignedDuration = SignedDuration::from_millis(100);
/// How often the author's rights, and Oz's, are asked for while something is lent and nothing changes: at the most so often,
/// and where many are lent, of one delegation after the other.
const ASK: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(20), SignedDuration::from_secs(1));
/// How often it is recorded how far events were counted, while none comes: the API server remembers a few minutes.
const RECORD: SignedDuration = SignedDuration::from_secs(120);
/// How long what is lent stays lent while what is to end it cannot be seen: an API server restarts in less.
const BLIND: SignedDuration = SignedDuration::from_secs(60);
/// Why nothing can end it, or begin it.
const CANNOT_WATCH: &str = "CannotWatch";
/// Where `historyTtl` means nothing.
const HISTORY: SignedDuration = SignedDuration::from_hours(168);

/// Everything that one step does, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// The versions of these kinds are to be found out, and the step to be planned again.
    pub(crate) ask: Vec<ObservedKind>,
    /// To take away.
    pub(crate) revoke: Vec<Found>,
    /// The grant to be deleted: name and uid.
    pub(crate) drop_grant: Option<(String, String)>,
    /// The record to be deleted.
    pub(crate) forget: bool,
    /// To record.
    pub(crate) status: Option<DelegationStatus>,
    /// The grant to be made.
    pub(crate) grant: Option<Grant>,
    /// The bindings to be made or changed.
    pub(crate) make: Vec<Child>,
    /// Is another step to follow at once?
    pub(crate) again: bool,
    pub(crate) notes: Vec<Note>,
    pub(crate) wake: Option<Timestamp>,
}

/// The next step.
pub(crate) fn plan(delegation: &Delegation, seen: &Observed, now: Timestamp) -> Plan {
    let step = Step { delegation, seen, now };
    let status = delegation.status.clone().unwrap_or_default();
    if status.phase.is_some_and(DelegationPhase::is_final) {
        return step.over(&status);
    }
    if delegation.metadata.deletion_timestamp.is_some() {
        return step.nothing_left();
    }
    if let Some(release) = delegation.release() {
        return step.end(
            DelegationPhase::Released,
            "Released",
            &told("released", release.by, release.reason),
        );
    }
    if status.iteration < 1 {
        return step.accept(status);
    }
    if seen.moved {
        return Plan { wake: Some(later(now, READ_AGAIN)), ..Plan::default() };
    }
    let mut plan = match delegation.phase() {
        DelegationPhase::Active => step.active(status),
        _ => step.waiting(status),
    };
    step.clocks(&mut plan);
    plan
}

/// The status that says why what should be done is not; none: it says so already.
pub(super) fn not_done(
    delegation: &Delegation,
    reason: &str,
    why: &str,
    now: Timestamp,
) -> Option<DelegationStatus> {
    let mut status = delegation.status.clone().unwrap_or_default();
    let generation = delegation.metadata.generation;
    conditions::set(&mut status.conditions, READY, false, reason, why, generation, now);
    (delegation.status.as_ref() != Some(&status)).then_some(status)
}

struct Step<'a> {
    delegation: &'a Delegation,
    seen: &'a Observed,
    now: Timestamp,
}

impl Step<'_> {
    fn set(&self, status: &mut DelegationStatus, kind: &str, is: bool, reason: &str, message: &str) {
        let generation = self.delegation.metadata.generation;
        conditions::set(&mut status.conditions, kind, is, reason, message, generation, self.now);
        status.observed_generation = generation;
    }

    /// Says in the status whether the clocks agree, once they did not.
    fn clocks(&self, plan: &mut Plan) {
        let on_record = self.delegation.status.as_ref();
        let Some(mut status) = plan.status.clone().or_else(|| on_record.cloned()) else { return };
        let agree = !self.seen.clocks_apart;
        let is_over = status.phase.is_some_and(DelegationPhase::is_final);
        if is_over || conditions::get(&status.conditions, CLOCKS_AGREE).is_none() && agree {
            return;
        }
        let (reason, message) = if agree {
            ("NearEnough", "")
        } else {
            (
                "NtpRefused",
                "the NTP servers are more than a minute from the API server's clock, which alone counts",
            )
        };
        self.set(&mut status, CLOCKS_AGREE, agree, reason, message);
        plan.status = self.changed(status);
    }

    /// The status, if it is another than is on record.
    fn changed(&self, status: DelegationStatus) -> Option<DelegationStatus> {
        (self.delegation.status.as_ref() != Some(&status)).then_some(status)
    }

    /// The grant of this delegation, whichever iteration it holds.
    fn grant(&self) -> Option<&Grant> {
        let uid = self.delegation.uid();
        self.seen.grant.as_ref().filter(|g| Some(&g.spec.request.uid) == uid.as_ref())
    }

    /// Takes away all that is lent.
    fn nothing_left(&self) -> Plan {
        let mine = self.grant().is_some() || self.seen.grant.is_none();
        let read = self.seen.ground.iter().flat_map(|ground| ground.held.iter().map(Binding::found));
        let mut parts: Vec<Found> = read.collect();
        let known = self.seen.parts.iter().filter(|p| !parts.iter().any(|read| read.uid == p.uid));
        let known: Vec<Found> = known.cloned().collect();
        parts.extend(known);
        parts.retain(|_| mine);
        let grant = self.grant().map(|g| (g.name_any(), g.uid().unwrap_or_default()));
        Plan {
            revoke: parts.into_iter().filter(|p| !p.is_harmless()).collect(),
            drop_grant: grant,
            ..Plan::default()
        }
    }

    /// The end for good.
    fn end(&self, phase: DelegationPhase, reason: &'static str, message: &str) -> Plan {
        let mut status = self.delegation.status.clone().unwrap_or_default();
        let ttl = duration::parse(&self.delegation.spec.history_ttl).unwrap_or(HISTORY);
        let ended = whole_second(self.now);
        status.phase = Some(phase);
        status.since = Some(Time(ended));
        status.ended_at = Some(Time(ended));
        status.delete_after = Some(Time(later(ended, ttl)));
        status.grant = None;
        status.bindings.clear();
        status.granted.clear();
        if status.iteration < 1 {
            self.set(&mut status, ACCEPTED, false, reason, message);
        }
        self.set(&mut status, READY, false, reason, message);
        let note = Note { warning: phase == DelegationPhase::Failed, reason, message: message.to_owned() };
        Plan { status: Some(status), again: true, notes: vec![note], ..self.nothing_left() }
    }

    /// It has ended.
    fn over(&self, status: &DelegationStatus) -> Plan {
        let mut plan = self.nothing_left();
        let left = !plan.revoke.is_empty() || plan.drop_grant.is_some();
        let until = status.delete_after.as_ref().map(|t| t.0);
        let gone = self.delegation.metadata.deletion_timestamp.is_some();
        plan.forget = !left && !gone && until.is_some_and(|until| until <= self.now);
        plan.again = left;
        plan.wake = until;
        plan
    }

    /// It is looked at for the first time.
    fn accept(&self, mut status: DelegationStatus) -> Plan {
        let home = self.delegation.namespace().unwrap_or_default();
        if is_reserved_namespace(&home) {
            let message = format!("in {home} nothing is delegated");
            return self.end(DelegationPhase::Failed, "ReservedNamespace", &message);
        }
        let spec = &self.delegation.spec;
        if let Err(why) = triggers::readable(&spec.triggers).and(triggers::readable(&spec.deletion_triggers))
        {
            return self.end(DelegationPhase::Failed, "TriggerUnreadable", &why);
        }
        let since = match &self.seen.gate {
            Some(gate::State::Enforced { since }) => *since,
            Some(gate::State::Open(hole)) => return self.held_up(status, hole),
            None => return self.held_up(status, "it was not asked"),
        };
        let created = self.delegation.meta().creation_timestamp.as_ref().map_or(Timestamp::MIN, |t| t.0);
        if created < later(since, POLICY_DELAY) {
            let message = "it was written before the gate was in force: make another";
            return self.end(DelegationPhase::Failed, "OlderThanGate", message);
        }
        self.set(&mut status, ACCEPTED, true, "Accepted", "");
        self.wait(status, 1)
    }

    /// The gate is not in force: nothing is accepted and nothing lent.
    fn held_up(&self, mut status: DelegationStatus, hole: &str) -> Plan {
        let message = format!("nothing is lent while the gate is not in force: {hole}");
        let kind = if status.iteration < 1 { ACCEPTED } else { READY };
        self.set(&mut status, kind, false, "GateNotEnforced", &message);
        status.phase = status.phase.or(Some(DelegationPhase::Waiting));
        Plan { status: self.changed(status), wake: Some(later(self.now, GATE_RETRY)), ..Plan::default() }
    }

    /// Its triggers are waited for from now on.
    fn wait(&self, mut status: DelegationStatus, iteration: i64) -> Plan {
        // Whichever clock ended the iteration before: NTP's begins nothing.
        let now = self.seen.now.map_or(self.now, |now| now.min(self.now));
        let from = whole_second(now);
        status.triggers = match arm(&self.delegation.spec.triggers, from, now, &self.seen.versions) {
            Ok(armed) => armed,
            Err(Unarmed::Versions(ask)) => return Plan { ask, ..Plan::default() },
            Err(Unarmed::Unreadable(why)) => {
                return self.end(DelegationPhase::Failed, "TriggerUnreadable", &why);
            }
        };
        status.phase = Some(DelegationPhase::Waiting);
        status.iteration = iteration.max(status.iteration);
        status.since = Some(Time(from));
        status.deletion_triggers.clear();
        status.grant = None;
        status.bindings.clear();
        status.granted.clear();
        self.set(&mut status, READY, false, "Waiting", "its triggers have not all come about");
        Plan { status: Some(status), again: true, ..Plan::default() }
    }

    fn waiting(&self, mut status: DelegationStatus) -> Plan {
        let spec = &self.delegation.spec;
        let left = self.nothing_left();
        if !left.revoke.is_empty() || left.drop_grant.is_some() {
            // Of an iteration that another replica took for going on.
            return Plan { again: true, ..left };
        }
        let met = current(&spec.triggers, &status.triggers, &self.seen.tallies, self.now);
        if met != status.triggers {
            status.triggers = met;
            return Plan { status: Some(status), again: true, ..Plan::default() };
        }
        let since = status.since.as_ref().map_or(self.now, |t| t.0);
        let soonest = if status.iteration > 1 { later(since, PACE) } else { since };
        if !all_met(&spec.triggers, &met) || self.now < soonest {
            let why =
                self.seen.blind.as_ref().map(|why| format!("what it waits for cannot be watched: {why}"));
            let (reason, message) = match &why {
                Some(why) => (CANNOT_WATCH, why.as_str()),
                None => ("Waiting", "its triggers have not all come about"),
            };
            self.set(&mut status, READY, false, reason, message);
            let next = triggers::next(&spec.triggers, &met);
            let next = if all_met(&spec.triggers, &met) { Some(soonest) } else { next };
            // To record how far they were counted.
            let counts = spec.triggers.iter().zip(&met).any(|(t, met)| t.event.is_some() && !met.met);
            let look = counts.then(|| later(self.now, RECORD));
            let wake = next.into_iter().chain(look).min();
            return Plan { status: self.changed(status), wake, ..Plan::default() };
        }
        self.begin(status)
    }

    /// All triggers are met.
    fn begin(&self, mut status: DelegationStatus) -> Plan {
        let Some(ground) = &self.seen.ground else {
            return Plan { wake: Some(later(self.now, GATE_RETRY)), ..Plan::default() };
        };
        if let Some(lost) = &ground.lost {
            return self.end(DelegationPhase::Failed, "MayNotDelegate", lost);
        }
        match &self.seen.gate {
            Some(gate::State::Enforced { .. }) => {}
            Some(gate::State::Open(hole)) => return self.held_up(status, hole),
            None => return self.held_up(status, "it was not asked"),
        }
        // It began when its triggers were met: nothing that kept the controller from it makes it last longer.
        let since = triggers::since(&status.triggers, self.now);
        let spec = &self.delegation.spec;
        status.deletion_triggers = match arm(&spec.deletion_triggers, since, self.now, &self.seen.versions) {
            Ok(armed) => armed,
            Err(Unarmed::Versions(ask)) => return Plan { ask, ..Plan::default() },
            Err(Unarmed::Unreadable(why)) => {
                return self.end(DelegationPhase::Failed, "TriggerUnreadable", &why);
            }
        };
        status.phase = Some(DelegationPhase::Active);
        status.since = Some(Time(since));
        status.lent_at = status.lent_at.or(Some(Time(whole_second(self.now))));
        self.set(&mut status, READY, false, "Binding", "");
        // The same words each time, so that Events of many iterations are counted as one.
        let note = Note { warning: false, reason: "Begun", message: "an iteration has begun".to_owned() };
        Plan { status: Some(status), again: true, notes: vec![note], ..Plan::default() }
    }

    fn active(&self, mut status: DelegationStatus) -> Plan {
        let spec = &self.delegation.spec;
        let triggers = &spec.deletion_triggers[..];
        let met = current(triggers, &status.deletion_triggers, &self.seen.tallies, self.now);
        let due = all_met(triggers, &met);
        if due && met == status.deletion_triggers {
            return self.end_of_iteration(status);
        }
        if due || triggers::counted(&status.deletion_triggers, &met) {
            // The end is on record before the grant goes: it stands, whatever the next clock says.
            let left = if due { self.nothing_left().revoke } else { Vec::new() };
            status.deletion_triggers = met;
            return Plan { revoke: left, status: Some(status), again: true, ..Plan::default() };
        }
        let Some(ground) = &self.seen.ground else {
            return Plan { wake: Some(later(self.now, GATE_RETRY)), ..Plan::default() };
        };
        if let Some(lost) = &ground.lost {
            return self.end(DelegationPhase::Failed, "MayNotDelegate", lost);
        }
        status.deletion_triggers = met;
        let blind = self.blind(&status);
        if let Some((why, None)) = &blind {
            // It counts from when it is said first.
            status.conditions.retain(|condition| condition.type_ != READY);
            self.set(&mut status, READY, false, CANNOT_WATCH, why);
            return Plan { status: Some(status), again: true, ..Plan::default() };
        }
        let blind_until = blind.as_ref().and_then(|(_, until)| *until);
        let grant = match self.holding(&mut status) {
            Ok(grant) => grant,
            Err(step) => return *step,
        };
        let uid = self.delegation.uid().unwrap_or_default();
        let owner = grant.uid().unwrap_or_default();
        let subjects = &ground.subjects[..ground.subjects.len().min(SUBJECTS)];
        let sources =
            if subjects.is_empty() || ground.closed.is_some() || blind_until.is_some_and(|t| t <= self.now) {
                &[][..]
            } else {
                &ground.sources[..]
            };
        let sources = &sources[..sources.len().min(BINDINGS)];
        let wanted: Vec<Child> =
            sources.iter().map(|source| child(self.delegation, grant, source, subjects)).collect();
        // A binding that is to change is changed; one that is another's, or going, goes first.
        let revoke: Vec<Found> = ground
            .held
            .iter()
            .map(|held| held.found())
            .filter(|held| {
                let is_wanted = wanted.iter().any(|w| held.is(w));
                !held.is_harmless() && (!is_wanted || held.terminating || held.owner.as_ref() != Some(&owner))
            })
            .collect();
        // What is held may be for other subjects yet.
        let is_held = |wanted: &Child| ground.held.iter().any(|held| held.found().is(wanted));
        let lent = sources.iter().zip(&wanted).filter(|(_, wanted)| is_held(wanted));
        let lent: Vec<&Source> = lent.map(|(source, _)| source).collect();
        let missing: Vec<Child> =
            wanted.into_iter().filter(|w| !ground.held.iter().any(|held| is_as(held, w, &owner))).collect();
        if !revoke.is_empty() {
            return Plan { revoke, again: true, ..Plan::default() };
        }
        let going = ground.held.iter().any(|held| held.found().terminating);
        let open = match &self.seen.gate {
            Some(gate::State::Enforced { .. }) => None,
            Some(gate::State::Open(hole)) => Some(hole.as_str()),
            None => Some("it was not asked"),
        };
        // What is lent is on record, whatever keeps the rest from being.
        status.bindings = lent.iter().map(|source| reference(&uid, source)).collect();
        status.granted = granted(self.delegation, &lent);
        if let (false, None, false, None) = (missing.is_empty(), open, going, blind_until) {
            return Plan { make: missing, status: self.changed(status), again: true, ..Plan::default() };
        }
        if let (false, Some(hole), None) = (missing.is_empty(), open, blind_until) {
            return self.held_up(status, hole);
        }
        let (ready, reason, message) = match blind {
            Some((why, _)) => (false, CANNOT_WATCH, why),
            None => stands(ground, sources.len(), going),
        };
        self.set(&mut status, READY, ready, reason, &message);
        let next = triggers::next(triggers, &status.deletion_triggers);
        let live = i32::try_from(self.seen.live).unwrap_or(i32::MAX);
        let ask = later(self.now, ASK.0.max(ASK.1.saturating_mul(live)));
        let blind_until = blind_until.filter(|until| *until > self.now);
        let wake = [next, blind_until].into_iter().flatten().fold(ask, Timestamp::min);
        debug_assert!(sources.iter().all(|s| name_of(&uid, s).len() <= 63), "{:?}", spec.origin);
        Plan { status: self.changed(status), wake: Some(wake), ..Plan::default() }
    }

    /// Why what is to end it cannot be seen, and, where that is on record, until when it stays lent all the same.
    fn blind(&self, status: &DelegationStatus) -> Option<(String, Option<Timestamp>)> {
        let said = conditions::get(&status.conditions, READY).filter(|ready| ready.reason == CANNOT_WATCH);
        // A watch that was opened and tells of nothing yet is not known to see again.
        let opening = self.seen.opening && said.is_some();
        let why = match &self.seen.blind {
            Some(why) => format!("what is to end it cannot be watched: {why}"),
            None if opening => "what is to end it is not watched yet".to_owned(),
            None => return None,
        };
        Some((why, said.map(|said| later(said.last_transition_time.0, BLIND))))
    }

    /// The grant that holds this iteration, or the step towards it.
    fn holding(&self, status: &mut DelegationStatus) -> Result<&Grant, Box<Plan>> {
        let deleted = || {
            let message = "its grant was deleted";
            Err(Box::new(self.end(DelegationPhase::Released, "GrantDeleted", message)))
        };
        let Some(grant) = &self.seen.grant else {
            if status.grant.is_some() {
                return deleted();
            }
            return Err(Box::new(match &self.seen.gate {
                Some(gate::State::Enforced { .. }) => Plan {
                    grant: Some(grant_of(self.delegation, status, self.now)),
                    again: true,
                    ..Plan::default()
                },
                Some(gate::State::Open(hole)) => self.held_up(status.clone(), hole),
                None => self.held_up(status.clone(), "it was not asked"),
            }));
        };
        if self.grant().is_none() {
            let message = format!("{} is another's grant", grant.name_any());
            return Err(Box::new(self.end(DelegationPhase::Failed, "NameTaken", &message)));
        }
        if grant.spec.delegated.as_ref().is_none_or(|d| d.iteration != status.iteration) {
            // Of an iteration that is over.
            return Err(Box::new(Plan { again: true, ..self.nothing_left() }));
        }
        let pin = GrantRef { name: grant.name_any(), uid: grant.uid().unwrap_or_default() };
        if grant.metadata.deletion_timestamp.is_some()
            || status.grant.as_ref().is_some_and(|known| *known != pin)
        {
            return deleted();
        }
        if status.grant.is_none() {
            status.grant = Some(pin);
            return Err(Box::new(Plan { status: Some(status.clone()), again: true, ..Plan::default() }));
        }
        Ok(grant)
    }

    /// All deletion triggers are met: everything is taken back, and then the next iteration waits, if there is one.
    fn end_of_iteration(&self, status: DelegationStatus) -> Plan {
        let left = self.nothing_left();
        if !left.revoke.is_empty() || left.drop_grant.is_some() {
            return Plan { again: true, ..left };
        }
        let repeat = self.delegation.spec.repeat;
        if !repeat.goes_on_after(status.iteration) {
            let message = format!("iteration {} of {repeat} is over", status.iteration);
            return self.end(DelegationPhase::Completed, "Completed", &message);
        }
        let next = status.iteration.saturating_add(1);
        let mut plan = self.wait(status, next);
        let message = "an iteration is over".to_owned();
        plan.notes.push(Note { warning: false, reason: "TakenBack", message });
        plan
    }
}
