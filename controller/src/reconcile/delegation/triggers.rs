//! When the triggers of a delegation are met. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use oz_shared::conditions::whole_second;
use oz_shared::delegation::{ObservedKind, Trigger, TriggerStatus};
use oz_shared::trigger_time::TimeTrigger;

use crate::sightings::{Tally, is_newer};

/// The versions from which events are counted, by kind.
pub(crate) type Versions = BTreeMap<ObservedKind, String>;

/// Why a list of triggers cannot be waited for yet, or at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unarmed {
    /// The versions of these kinds are to be found out first.
    Versions(Vec<ObservedKind>),
    /// One of them means nothing: what to write instead.
    Unreadable(String),
}

/// The time that a trigger waits for; none: an event.
fn time(trigger: &Trigger) -> Result<Option<TimeTrigger>, String> {
    match (&trigger.event, trigger.time.is_empty(), trigger.cron.is_empty()) {
        (Some(_), true, true) => Ok(None),
        (None, false, true) => TimeTrigger::parse(&trigger.time, &trigger.time_zone).map(Some),
        (None, true, false) => TimeTrigger::parse_cron(&trigger.cron, &trigger.time_zone).map(Some),
        _ => Err("a trigger is exactly one of time, cron and event".to_owned()),
    }
}

/// Do all of them mean something?
pub(super) fn readable(triggers: &[Trigger]) -> Result<(), String> {
    triggers.iter().try_for_each(|trigger| time(trigger).map(drop))
}

/// The triggers as they are waited for from `base` on, and events from `now`.
pub(super) fn arm(
    triggers: &[Trigger],
    base: Timestamp,
    now: Timestamp,
    versions: &Versions,
) -> Result<Vec<TriggerStatus>, Unarmed> {
    let mut missing = Vec::new();
    let mut armed = Vec::new();
    for trigger in triggers {
        let mut status = TriggerStatus::default();
        match (time(trigger).map_err(Unarmed::Unreadable)?, &trigger.event) {
            (Some(time), _) => status.at = time.instant(base).map(|at| Time(whole_second(at))),
            (None, Some(event)) => match versions.get(&event.kind) {
                Some(version) => {
                    status.version.clone_from(version);
                    status.counted_at = Some(Time(whole_second(now)));
                }
                None if missing.contains(&event.kind) => {}
                None => missing.push(event.kind),
            },
            (None, None) => {}
        }
        armed.push(status);
    }
    if missing.is_empty() { Ok(armed) } else { Err(Unarmed::Versions(missing)) }
}

/// The same triggers as they stand now.
pub(super) fn current(
    triggers: &[Trigger],
    armed: &[TriggerStatus],
    tallies: &[Option<Tally>],
    now: Timestamp,
) -> Vec<TriggerStatus> {
    let tallies = tallies.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let each = triggers.iter().zip(armed).zip(tallies);
    each.map(|((trigger, armed), tally)| {
        let mut status = armed.clone();
        match (&trigger.event, tally) {
            // Nothing that came about is taken back.
            _ if armed.met => {}
            (None, _) => status.met = armed.at.as_ref().is_some_and(|at| at.0 <= now),
            (Some(event), Some(tally)) if tally.count > armed.count => {
                status.count = tally.count.min(event.count);
                status.version.clone_from(&tally.version);
                status.counted_at = Some(Time(whole_second(tally.counted_at)));
                status.met = status.count >= event.count;
                status.at = status.met.then(|| Time(whole_second(now)));
            }
            // Nothing has come about up to that version.
            (Some(_), Some(tally))
                if tally.count == armed.count && is_newer(&tally.version, &armed.version) =>
            {
                status.version.clone_from(&tally.version);
            }
            (Some(_), _) => {}
        }
        status
    })
    .collect()
}

/// Has anything been counted that is not on record?
pub(super) fn counted(before: &[TriggerStatus], now: &[TriggerStatus]) -> bool {
    before.iter().map(|t| t.count).ne(now.iter().map(|t| t.count))
}

/// Have all come about? None at all is not all.
pub(super) fn all_met(triggers: &[Trigger], status: &[TriggerStatus]) -> bool {
    !status.is_empty() && status.len() == triggers.len() && status.iter().all(|t| t.met)
}

/// When the last of them came about.
pub(super) fn since(status: &[TriggerStatus], now: Timestamp) -> Timestamp {
    whole_second(status.iter().filter_map(|t| t.at.as_ref()).map(|at| at.0).max().unwrap_or(now).min(now))
}

/// When the next of them comes about by itself.
pub(super) fn next(triggers: &[Trigger], status: &[TriggerStatus]) -> Option<Timestamp> {
    let times =
        triggers.iter().zip(status).filter(|(trigger, status)| trigger.event.is_none() && !status.met);
    times.filter_map(|(_, status)| status.at.as_ref()).map(|at| at.0).min()
}

/// When all have come about, where times alone say so.
pub(super) fn all_by(triggers: &[Trigger], status: &[TriggerStatus]) -> Option<Timestamp> {
    if triggers.iter().any(|t| t.event.is_some()) {
        return None;
    }
    let instants = status.iter().map(|t| t.at.as_ref().map(|at| at.0)).collect::<Option<Vec<_>>>();
    instants.and_then(|all| all.into_iter().max())
}
