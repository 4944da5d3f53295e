//! `oz describe delegation/NAME`

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::{Resource as _, ResourceExt as _};
use oz_shared::Delegation;
use oz_shared::delegation::{DelegationPhase, DelegationStatus, Scope, Trigger, TriggerStatus};

use super::{Page, events};
use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, delegations};
use crate::output::stamp;
use crate::target::Kind;

pub(super) async fn describe(app: &App, cluster: &Cluster, name: &str) -> Result<u8, Error> {
    let delegation = cluster.delegation(name).await?;
    let (me, events) = tokio::join!(cluster.whoami(), events(cluster, &delegation));
    let mut page = page(&delegation, cluster.now(), &TimeZone::system());
    if !events.is_empty() {
        page.heading("Events (whoever may write Events here can write these)");
        page.lines(events);
    }
    if delegations::over(&delegation).is_none() {
        let mine = me.is_ok_and(|me| {
            let requester = &delegation.spec.requester;
            requester.username == me.username && requester.uid == me.uid
        });
        let verb = if mine { "release" } else { "revoke" };
        page.heading("Next");
        page.lines([format!(
            "oz {verb} {} -n {}{}",
            Kind::Delegation.target(name),
            cluster.namespace,
            app.settings.repeat()
        )]);
    }
    app.printer.data(&page.text())?;
    Ok(exit::DONE)
}

fn page(delegation: &Delegation, now: Timestamp, zone: &TimeZone) -> Page {
    let spec = &delegation.spec;
    let status = delegation.status.clone().unwrap_or_default();
    let mut page = Page::default();
    page.field("Delegation", &delegation.name_any());
    page.field("Namespace", &delegation.namespace().unwrap_or_default());
    page.field("Requester", &spec.requester.username);
    page.field("Reason", if spec.reason.is_empty() { "(none given)" } else { &spec.reason });
    page.field("From", &delegation.origin_words());
    page.field("To", &delegation.destination_words().join(", "));
    page.field(
        "Scope",
        match spec.scope {
            Scope::Namespace => "this namespace",
            Scope::Cluster => "the whole cluster",
        },
    );
    page.field("Phase", delegation.phase().as_str());
    if let Some(over) = delegations::over(delegation) {
        let at = status.ended_at.as_ref().map(|t| format!("{} ", local(t.0, zone))).unwrap_or_default();
        page.field("Ended", &format!("{at}({over})"));
    }
    page.field("Iteration", &format!("{} of {}", status.iteration, spec.repeat));
    page.field("Since", &status.since.as_ref().map(|t| local(t.0, zone)).unwrap_or_default());
    page.field("Next", &next(delegation, &status, now, zone));
    page.heading("Begins when all of this has come about");
    page.lines(lines(&spec.triggers, &status.triggers, zone));
    page.heading("Ends when all of this has come about after that");
    page.lines(lines(&spec.deletion_triggers, &status.deletion_triggers, zone));
    page.field("Grant", &status.grant.as_ref().map(|g| g.name.clone()).unwrap_or_default());
    if !status.granted.is_empty() {
        page.heading("Granted");
        page.lines(status.granted.clone());
    }
    let created = delegation.meta().creation_timestamp.as_ref();
    let made = created.map(|t| format!("{} ({} ago)", stamp(t.0), human(now.duration_since(t.0))));
    page.field("Made", &made.unwrap_or_default());
    page.field(
        "Deleted",
        &status.delete_after.as_ref().map(|t| format!("after {}", local(t.0, zone))).unwrap_or_default(),
    );
    if !status.conditions.is_empty() {
        page.heading("Conditions");
        page.lines(status.conditions.iter().map(|c| {
            let message = if c.message.is_empty() { String::new() } else { format!(": {}", c.message) };
            format!("{}={} {}{message}", c.type_, c.status, c.reason)
        }));
    }
    page
}

/// What comes next by itself, in the reader's own time.
fn next(delegation: &Delegation, status: &DelegationStatus, now: Timestamp, zone: &TimeZone) -> String {
    let (what, triggers, armed) = match delegation.phase() {
        DelegationPhase::Waiting => ("begins", &delegation.spec.triggers, &status.triggers),
        DelegationPhase::Active => ("ends", &delegation.spec.deletion_triggers, &status.deletion_triggers),
        _ => return String::new(),
    };
    if armed.is_empty() {
        return "Oz's controller has not looked at it yet".to_owned();
    }
    let waits = triggers.iter().zip(armed).any(|(t, armed)| t.event.is_some() && !armed.met);
    let times: Option<Vec<Timestamp>> = triggers
        .iter()
        .zip(armed)
        .filter(|(t, _)| t.event.is_none())
        .map(|(_, armed)| armed.at.as_ref().map(|at| at.0))
        .collect();
    match times.map(|times| times.into_iter().max()) {
        None => format!("{what} by itself never"),
        Some(None) => format!("{what} when its events come about"),
        Some(Some(at)) => {
            let left = at.duration_since(now);
            let when = if left.is_positive() { format!("in {}", human(left)) } else { "now".to_owned() };
            let events = if waits { ", at the soonest, when its events have come about as well" } else { "" };
            format!("{what} {} ({when}{events})", local(at, zone))
        }
    }
}

fn lines(triggers: &[Trigger], armed: &[TriggerStatus], zone: &TimeZone) -> Vec<String> {
    let armed = armed.iter().map(Some).chain(std::iter::repeat(None));
    triggers.iter().zip(armed).map(|(trigger, armed)| line(trigger, armed, zone)).collect()
}

fn line(trigger: &Trigger, armed: Option<&TriggerStatus>, zone: &TimeZone) -> String {
    let at = armed.and_then(|armed| armed.at.as_ref()).map(|at| local(at.0, zone));
    let met = armed.is_some_and(|armed| armed.met);
    let Some(event) = &trigger.event else {
        let text =
            if trigger.cron.is_empty() { trigger.time.clone() } else { format!("cron {}", trigger.cron) };
        let in_zone =
            if trigger.time_zone.is_empty() { String::new() } else { format!(" {}", trigger.time_zone) };
        let at = at.map(|at| format!(": {at}")).unwrap_or_default();
        return format!("{text}{in_zone}{at}{}", if met { ", past" } else { "" });
    };
    let what = match &event.selector {
        Some(selector) => {
            selector.match_labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
        }
        None => event.name.clone(),
    };
    let on = event.on.as_str().to_lowercase();
    let count = armed.map_or_else(
        || format!("{} times", event.count),
        |armed| format!("{} of {} times", armed.count, event.count),
    );
    format!("{}/{what} {on}: {count}{}", event.kind.as_str(), if met { ", done" } else { "" })
}

/// An instant on the reader's own clock, and how that stands to UTC.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_next_instant_is_the_readers() {
        let delegation: Delegation = serde_json::from_value(json!({
            "metadata": {"name": "nights", "namespace": "shop"},
            "spec": {
                "origin": {"kind": "Role", "name": "deploy"}, "destinations": [{"kind": "Group", "name": "night"}],
                "triggers": [{"time": "6:00pm"}, {"event": {"change": "Added", "kind": "Pod", "name": "web-*", "count": 3}}],
                "deletionTriggers": [{"time": "14h"}], "repeat": 365, "requester": {"username": "alice"},
            },
            "status": {"phase": "Waiting", "iteration": 2, "triggers": [
                {"at": "2026-11-22T18:00:00Z", "met": false}, {"met": false, "count": 1},
            ]},
        }))
        .unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let text = page(&delegation, now, &TimeZone::get("Europe/Berlin").unwrap()).text();
        for line in [
            "Iteration:  2 of 365",
            "Next:       begins 2026-11-22 19:00:00 +01:00 (in 6h, at the soonest, when its events have come about as well)",
            "  Pod/web-* added: 1 of 3 times",
            "  14h",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
