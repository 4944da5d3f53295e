//! Triggers as people write them.

use std::collections::BTreeMap;

use oz_shared::delegation::{EventKind, EventSelector, EventTrigger, ObservedKind, Trigger};
use oz_shared::trigger_time::TimeTrigger;

/// Reads a TRIGGER. Whether a time means anything is for [`in_zone`] to say.
///
/// # Errors
/// It is none: what to write.
pub(super) fn parse(text: &str) -> Result<Trigger, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    match word.to_lowercase().as_str() {
        "added" => event(EventKind::Added, rest),
        "updated" => event(EventKind::Updated, rest),
        "deleted" => event(EventKind::Deleted, rest),
        "cron" => Ok(Trigger { cron: rest.trim().to_owned(), ..Trigger::default() }),
        _ if text.is_empty() => Err("write a time, cron:EXPR, or added:KIND/NAME".to_owned()),
        _ => Ok(Trigger { time: text.to_owned(), ..Trigger::default() }),
    }
}

/// Gives those that are times of day or schedules their zone, and looks whether all of them mean something.
///
/// # Errors
/// One of them does not.
pub(super) fn in_zone(mut triggers: Vec<Trigger>, zone: &str) -> Result<Vec<Trigger>, String> {
    for trigger in triggers.iter_mut().filter(|trigger| trigger.event.is_none()) {
        let read = match trigger.cron.is_empty() {
            true => TimeTrigger::parse(&trigger.time, zone)?,
            false => TimeTrigger::parse_cron(&trigger.cron, zone)?,
        };
        if matches!(read, TimeTrigger::Clock { .. } | TimeTrigger::Cron { .. }) {
            zone.clone_into(&mut trigger.time_zone);
        }
    }
    Ok(triggers)
}

/// `KIND/NAME`, or `KIND/LABEL=VALUE,...`, and how often. None of these kinds has names with a colon.
fn event(on: EventKind, text: &str) -> Result<Trigger, String> {
    let wrong = || "write KIND/NAME or KIND/LABEL=VALUE,..., and how often: added:pod/web-*:3".to_owned();
    let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
    let kind = kind_of(kind).ok_or_else(|| {
        let kinds: Vec<String> = ObservedKind::ALL.iter().map(|kind| kind.as_str().to_lowercase()).collect();
        format!("{kind:?} cannot be waited for: {}", kinds.join(", "))
    })?;
    let (what, count) = match rest.rsplit_once(':') {
        Some((what, count)) => {
            (what, count.parse::<i32>().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(wrong)?)
        }
        None => (rest, 1),
    };
    let named = !what.contains('=');
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
    if what.is_empty() || named && !what.chars().all(fits) {
        return Err(wrong());
    }
    let mut labels = BTreeMap::new();
    if !named {
        for pair in what.split(',') {
            let (key, value) = pair.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)?;
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
    let event = EventTrigger {
        on,
        kind,
        name: if named { what.to_owned() } else { String::new() },
        selector: (!named).then_some(EventSelector { match_labels: labels }),
        count,
    };
    Ok(Trigger { event: Some(event), ..Trigger::default() })
}

/// As kubectl takes it, in singular and plural.
fn kind_of(word: &str) -> Option<ObservedKind> {
    let word = word.to_lowercase();
    let short = match word.as_str() {
        "po" => "pod",
        "no" => "node",
        "svc" => "service",
        "sa" => "serviceaccount",
        "ep" => "endpoints",
        "deploy" => "deployment",
        "sts" => "statefulset",
        other => other,
    };
    let is = |kind: &ObservedKind| kind.as_str().eq_ignore_ascii_case(short) || kind.resource().2 == short;
    ObservedKind::ALL.into_iter().find(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_events() {
        for time in ["now", "14h", "18:00", "6:00pm", "2026-12-24T18:00:00Z", "never"] {
            let trigger = in_zone(vec![parse(time).unwrap()], "Europe/Berlin").unwrap().remove(0);
            assert_eq!(trigger.time, time);
            assert_eq!(trigger.time_zone == "Europe/Berlin", ["18:00", "6:00pm"].contains(&time), "{time}");
        }
        let cron = in_zone(vec![parse("cron:0 8 * * 1-5").unwrap()], "").unwrap().remove(0);
        assert_eq!(cron.cron, "0 8 * * 1-5");
        for bad in ["teatime", "25:00", "cron:", "cron:x"] {
            assert!(parse(bad).and_then(|trigger| in_zone(vec![trigger], "")).is_err(), "{bad}");
        }
        assert!(in_zone(vec![parse("18:00").unwrap()], "Middle/Earth").is_err());
    }

    #[test]
    fn events_by_name_and_by_labels() {
        let event = |text: &str| parse(text).unwrap().event.unwrap();
        let pods = event("added:pod/web-*:3");
        assert_eq!(
            (pods.on, pods.kind, pods.name.as_str(), pods.count),
            (EventKind::Added, ObservedKind::Pod, "web-*", 3)
        );
        assert_eq!(event("deleted:deployments/api").kind, ObservedKind::Deployment);
        assert_eq!(event("Updated:SVC/api").kind, ObservedKind::Service);
        let labels = event("added:job/app=x,tier=y:2");
        assert_eq!(
            (labels.count, labels.selector.unwrap().match_labels.len(), labels.name.as_str()),
            (2, 2, "")
        );
        for bad in [
            "added:",
            "added:pod",
            "added:pod/",
            "added:configmap/x",
            "added:pod/x:0",
            "added:pod/x:y",
            "added:pod/a b",
            "added:pod/=x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
