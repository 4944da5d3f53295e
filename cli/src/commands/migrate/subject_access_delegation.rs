//! Rules of subject-access-delegation (authz.k8s.io), as Delegations. Pure: objects in, objects and notes out. What each
//! field meant is told by that tool's README and types: what an origin is bound to is bound to its destinations as well, each
//! time that all triggers are met, until all deletion triggers are.

use jiff::SignedDuration;
use oz_shared::delegation::{DelegationSpec, EventKind, ObservedKind};
use oz_shared::duration;
use oz_shared::request::Requester;
use oz_shared::trigger_time::TimeTrigger;
use serde_json::{Value, json};

use super::fields::Fields;
use super::object::{Metadata, Migrated, Old, Whole, ours, tell};
use super::{UNASKED, go};

const VERSION: &str = "authz.k8s.io/v1alpha1";
/// The most that a Delegation may have.
const DESTINATIONS: usize = 32;
const TRIGGERS: usize = 8;
const REPEAT: i64 = 1_000_000;
const COUNT: i64 = 1000;

/// Translates them all. They are made by `requester`, or by whom the cluster fills in.
pub(super) fn migrate(objects: Vec<Value>, requester: Option<&Requester>) -> Whole {
    let each: Vec<_> = objects.into_iter().map(|object| one(object, requester)).collect();
    let mut common = Migrated::default();
    if each.iter().flatten().any(|one| !one.objects.is_empty()) {
        common.notes.push(
            "whoever applies these must be able to hand on himself what they lend; iterations are counted from 1 again"
                .to_owned(),
        );
        common.notes.push(
            "what that tool has bound stays bound beside it: delete its object, and see that its bindings are gone"
                .to_owned(),
        );
        if requester.is_none() {
            common.notes.push(UNASKED.to_owned());
        }
    }
    Whole { common, each }
}

fn one(object: Value, requester: Option<&Requester>) -> Result<Migrated, String> {
    let Old { version, kind, mut fields } = Old::of(object)?;
    if (version.as_str(), kind.as_str()) != (VERSION, "SubjectAccessDelegation") {
        return Err(format!(
            "{kind} of {version} is none of subject-access-delegation's: SubjectAccessDelegation of {VERSION}"
        ));
    }
    let mut notes = Vec::new();
    let metadata = Metadata::take(&mut fields, &mut notes)?;
    let mut spec = fields.inner("spec")?;
    let made = match rule(&mut spec, &mut notes)? {
        Ok(made) => made,
        Err(why) => return Ok(Migrated { notes, ..Migrated::without(why) }),
    };
    tell(&[&fields, &spec], &mut notes);
    let with = |requester: &Requester| {
        let mut made = made.clone();
        made["requester"] = json!(requester);
        made
    };
    let nobody = Requester { username: String::new(), uid: String::new(), groups: Vec::new() };
    serde_json::from_value::<DelegationSpec>(with(&nobody)).map_err(|error| format!("spec: {error}"))?;
    let made = requester.map(with).unwrap_or(made);
    let delegation = ours("Delegation", metadata.ours(metadata.beside(&metadata.name)), made);
    Ok(Migrated { objects: vec![delegation], notes, left_out: None })
}

/// The spec, or why there can be none.
///
/// # Errors
/// It is not what an API server would have stored.
fn rule(spec: &mut Fields, notes: &mut Vec<String>) -> Result<Result<Value, String>, String> {
    let origin = subject(&spec.at("originSubject"), spec.take("originSubject"), notes)?;
    let path = spec.at("destinationSubjects");
    let destinations = spec.items("destinationSubjects")?;
    let destinations =
        destinations.into_iter().map(|one| subject(&path, one, notes)).collect::<Result<Vec<_>, _>>()?;
    let repeat = whole(&spec.at("repeat"), spec.take("repeat"))?.unwrap_or(1);
    let triggers = triggers(spec, "triggers", notes)?;
    let deletion = self::triggers(spec, "deletionTriggers", notes)?;
    let (triggers, deletion) = match (triggers, deletion) {
        (Ok(triggers), Ok(deletion)) => (triggers, deletion),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let has = destinations.len();
    if !(1..=DESTINATIONS).contains(&has) {
        return Ok(Err(format!("{path} has {has}, and a Delegation has from 1 to {DESTINATIONS}")));
    }
    if !(1..=REPEAT).contains(&repeat) {
        return Ok(Err(format!(
            "spec.repeat is {repeat}, and a Delegation's is from 1 to {REPEAT}, or Forever"
        )));
    }
    let mut made = json!({
        "origin": origin, "destinations": destinations, "triggers": triggers, "deletionTriggers": deletion, "repeat": repeat,
    });
    // That tool followed bindings of both kinds, and bound ClusterRoles in the whole cluster.
    if origin["kind"] != "Role" {
        made["scope"] = json!("Cluster");
        notes.push(
            "scope: Cluster: what the origin has in the whole cluster is lent as well, as it was; Namespace lends what it has \
             in this one"
                .to_owned(),
        );
    }
    Ok(Ok(made))
}

fn subject(path: &str, value: Value, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut subject = Fields::of(path, value)?;
    let (Some(kind), Some(name)) = (subject.text("kind")?, subject.text("name")?) else {
        return Err(format!("{path} has no kind or no name"));
    };
    tell(&[&subject], notes);
    Ok(json!({"kind": kind, "name": name}))
}

/// All triggers of one list, or why there can be none.
fn triggers(
    spec: &mut Fields,
    key: &str,
    notes: &mut Vec<String>,
) -> Result<Result<Vec<Value>, String>, String> {
    let path = spec.at(key);
    let old = spec.items(key)?;
    if !(1..=TRIGGERS).contains(&old.len()) {
        return Ok(Err(format!("{path} has {}, and a Delegation has from 1 to {TRIGGERS}", old.len())));
    }
    let mut made = Vec::new();
    for trigger in old {
        let mut trigger = Fields::of(&path, trigger)?;
        let (Some(kind), Some(value)) = (trigger.text("kind")?, trigger.text("value")?) else {
            return Err(format!("{path} has one without kind or value"));
        };
        let count = whole(&trigger.at("replicas"), trigger.take("replicas"))?.unwrap_or(0).max(1);
        tell(&[&trigger], notes);
        let one =
            if kind == "Time" { time(&value, &path, notes) } else { event(&kind, &value, count, &path) };
        match one {
            Ok(one) => made.push(one),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(made))
}

fn time(text: &str, path: &str, notes: &mut Vec<String>) -> Result<Value, String> {
    let text = match go::seconds(text) {
        Some((..=0, _)) => "now".to_owned(),
        Some((seconds, exact)) => {
            let length = SignedDuration::from_secs(seconds);
            if length > duration::MAX {
                return Err(format!("{path}: {text} is longer than ten years"));
            }
            let length = duration::format(length);
            if !exact {
                notes.push(format!("{path}: {text} becomes {length}"));
            }
            length
        }
        None => text.to_owned(),
    };
    match TimeTrigger::parse(&text, "").map_err(|why| format!("{path}: {why}"))? {
        TimeTrigger::Clock { .. } => notes.push(format!(
            "{path}: {text} was of the zone that the tool's pod had, and is of UTC: timeZone: Europe/Paris, say, makes it another's"
        )),
        TimeTrigger::Never | TimeTrigger::After(_) | TimeTrigger::At(_) | TimeTrigger::Cron { .. } => {}
    }
    Ok(json!({"time": text}))
}

/// `AddPod`, `DelNode`, `UpdateService`, and so on.
fn event(kind: &str, name: &str, count: i64, path: &str) -> Result<Value, String> {
    let events = [("Add", EventKind::Added), ("Update", EventKind::Updated), ("Del", EventKind::Deleted)];
    let found = events.iter().find_map(|(word, on)| {
        let of = kind.strip_prefix(word)?;
        ObservedKind::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(of))
            .map(|kind| (on, kind))
    });
    let Some((on, kind)) = found else {
        return Err(format!("{path}: a Delegation can wait for nothing like {kind}"));
    };
    if count > COUNT {
        return Err(format!("{path}: replicas is {count}, and a Delegation waits for {COUNT} at most"));
    }
    Ok(json!({"event": {"change": on, "kind": kind, "name": name, "count": count}}))
}

fn whole(path: &str, value: Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or(format!("{path} is no whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::Delegation;

    /// The example of that tool's README.
    fn example() -> Value {
        json!({
            "apiVersion": VERSION, "kind": "SubjectAccessDelegation",
            "metadata": {"name": "my-subject-access-delegation", "namespace": "dev-namespace", "labels": {"team": "dev"}},
            "spec": {
                "repeat": 365,
                "originSubject": {"kind": "User", "name": "Employee"},
                "destinationSubjects": [
                    {"kind": "User", "name": "Remote-Employee1"}, {"kind": "User", "name": "Remote-Employee2"},
                ],
                "triggers": [{"kind": "Time", "value": "6:00pm"}],
                "deletionTriggers": [{"kind": "Time", "value": "14h"}],
            },
            "status": {"processed": true},
        })
    }

    fn me() -> Requester {
        Requester { username: "admin".into(), uid: "7".into(), groups: Vec::new() }
    }

    fn migrated(change: impl FnOnce(&mut Value)) -> Result<Migrated, String> {
        let mut old = example();
        change(&mut old);
        migrate(vec![old], Some(&me())).each.remove(0)
    }

    fn has(notes: &[String], words: &str) -> bool {
        notes.iter().any(|note| note.contains(words))
    }

    #[test]
    fn the_example_becomes_a_delegation() {
        let whole = migrate(vec![example()], Some(&me()));
        let one = whole.each[0].as_ref().unwrap();
        assert_eq!(
            one.objects,
            [json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "Delegation",
                "metadata": {"name": "my-subject-access-delegation", "namespace": "dev-namespace", "labels": {"team": "dev"}},
                "spec": {
                    "origin": {"kind": "User", "name": "Employee"},
                    "destinations": [
                        {"kind": "User", "name": "Remote-Employee1"}, {"kind": "User", "name": "Remote-Employee2"},
                    ],
                    "triggers": [{"time": "6:00pm"}], "deletionTriggers": [{"time": "14h"}],
                    "repeat": 365, "scope": "Cluster",
                    "requester": {"username": "admin", "uid": "7", "groups": []},
                },
            })]
        );
        serde_json::from_value::<Delegation>(one.objects[0].clone()).unwrap();
        assert!(
            has(&one.notes, "6:00pm was of the zone") && has(&one.notes, "scope: Cluster"),
            "{:?}",
            one.notes
        );
        assert!(has(&whole.common.notes, "hand on") && !has(&whole.common.notes, "--requester"));
        let unasked = migrate(vec![example()], None);
        assert!(has(&unasked.common.notes, "--requester"));
        assert!(unasked.each[0].as_ref().unwrap().objects[0]["spec"]["requester"].is_null());
    }

    #[test]
    fn every_trigger_has_its_counterpart() {
        let one = migrated(|old| {
            old["spec"]["originSubject"] = json!({"kind": "Role", "name": "deploy"});
            old["spec"]["repeat"] = Value::Null;
            old["spec"]["triggers"] = json!([
                {"kind": "AddPod", "value": "web-*", "replicas": 3}, {"kind": "DelNode", "value": "node-1"},
                {"kind": "UpdateService", "value": "*", "replicas": 0}, {"kind": "AddEndPoints", "value": "web"},
            ]);
            old["spec"]["deletionTriggers"] = json!([
                {"kind": "Time", "value": "1.5h"}, {"kind": "Time", "value": "2030-01-31T18:00:00Z"},
                {"kind": "Time", "value": "-1m"}, {"kind": "Time", "value": "90s500ms"},
            ]);
        })
        .unwrap();
        let spec = &one.objects[0]["spec"];
        let event = |on: &str, kind: &str, name: &str, count: i32| json!({"event": {"change": on, "kind": kind, "name": name, "count": count}});
        assert_eq!(
            spec["triggers"],
            json!([
                event("Added", "Pod", "web-*", 3),
                event("Deleted", "Node", "node-1", 1),
                event("Updated", "Service", "*", 1),
                event("Added", "Endpoints", "web", 1),
            ])
        );
        let times =
            json!([{"time": "1h30m"}, {"time": "2030-01-31T18:00:00Z"}, {"time": "now"}, {"time": "1m30s"}]);
        assert_eq!(spec["deletionTriggers"], times);
        assert_eq!((&spec["repeat"], &spec["scope"]), (&json!(1), &Value::Null));
        assert!(has(&one.notes, "90s500ms becomes 1m30s") && !has(&one.notes, "scope"), "{:?}", one.notes);
    }

    #[test]
    fn what_has_no_counterpart_is_left_out_or_told() {
        for (pointer, value, words) in [
            ("/spec/deletionTriggers", json!([]), "from 1 to 8"),
            ("/spec/triggers", json!(vec![json!({"kind": "Time", "value": "1h"}); 9]), "has 9"),
            ("/spec/triggers/0/kind", json!("AddVolume"), "nothing like AddVolume"),
            ("/spec/triggers/0/value", json!("tomorrow"), "\"tomorrow\" is no time"),
            ("/spec/triggers/0/value", json!("876000h"), "longer than ten years"),
            ("/spec/triggers/0", json!({"kind": "AddPod", "value": "x", "replicas": 1001}), "1000 at most"),
            ("/spec/destinationSubjects", json!([]), "from 1 to 32"),
            ("/spec/repeat", json!(-1), "or Forever"),
            ("/spec/repeat", json!(1_000_001), "or Forever"),
        ] {
            let one = migrated(|old| *old.pointer_mut(pointer).unwrap() = value).unwrap();
            assert!(one.objects.is_empty(), "{pointer}");
            assert!(one.left_out.as_ref().unwrap().contains(words), "{:?}", one.left_out);
        }
        let one = migrated(|old| old["spec"]["originSubject"]["namespace"] = json!("other")).unwrap();
        assert!(has(&one.notes, "spec.originSubject.namespace has no counterpart"), "{:?}", one.notes);
    }

    #[test]
    fn what_that_tool_would_not_have_taken_is_refused() {
        for (pointer, value, words) in [
            ("/apiVersion", json!("v1"), "is none of"),
            ("/kind", json!("Pod"), "is none of"),
            ("/metadata/name", Value::Null, "metadata.name"),
            ("/spec/originSubject", Value::Null, "no kind or no name"),
            ("/spec/originSubject/kind", json!("Pod"), "spec: "),
            ("/spec/destinationSubjects/1/kind", json!("Role"), "spec: "),
            ("/spec/destinationSubjects", json!("x"), "is no list"),
            ("/spec/triggers/0/value", Value::Null, "without kind or value"),
            ("/spec/repeat", json!("often"), "no whole number"),
        ] {
            let error = migrated(|old| *old.pointer_mut(pointer).unwrap() = value).unwrap_err();
            assert!(error.contains(words), "{pointer}: {error}");
        }
    }
}
