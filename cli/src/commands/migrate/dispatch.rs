//! Users of dispatch (netsys.io), as requests for namespaces. Pure: objects in, objects and notes out. What each field meant
//! is told by that tool's code: a user is an account in the namespace `dispatch`, which holds the ClusterRole edit in each
//! namespace that he owns; an OwnedNamespace is one of these.

use std::collections::{BTreeMap, BTreeSet};

use oz_shared::request::Requester;
use serde_json::{Value, json};

use super::UNASKED;
use super::object::{Metadata, Migrated, Old, Whole, ours, tell};
use crate::commands::namespace_request::label;

const VERSION: &str = "netsys.io/v1";
/// The one namespace in which that tool read its objects, and had the accounts.
const HOME: &str = "dispatch";
/// The class, and what its namespaces begin with.
const CLASS: &str = "dispatch";
/// Where people without a namespace of their own ask.
const REQUESTS: &str = "oz-requests";
/// The most owners of a request.
const OWNERS: usize = 32;
/// The most live namespaces of one requester.
const MOST_LIVE: usize = 1000;

/// What a DispatchUser or an OwnedNamespace says: who owns which namespaces.
struct Theirs {
    metadata: Metadata,
    owner: String,
    namespaces: Vec<String>,
    notes: Vec<String>,
}

/// Translates them all. The namespaces are asked for by `requester`, or by whom the cluster fills in.
pub(super) fn migrate(objects: Vec<Value>, requester: Option<&Requester>) -> Whole {
    let theirs: Vec<_> = objects.into_iter().map(read).collect();
    let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in theirs.iter().flatten().filter(|one| one.is_read()) {
        for namespace in &one.namespaces {
            owners.entry(namespace).or_default().insert(&one.owner);
        }
    }
    let mut asked = BTreeSet::new();
    let each: Vec<Result<Migrated, String>> = theirs
        .iter()
        .map(|one| {
            let one = one.as_ref().map_err(Clone::clone)?;
            if !one.is_read() {
                return Ok(Migrated::without(format!("dispatch read the namespace {HOME} alone")));
            }
            let mut migrated = Migrated::told(one.notes.clone());
            let mut without = Vec::new();
            for name in &one.namespaces {
                if !asked.insert(name.as_str()) {
                    migrated.notes.push(format!("namespace {name} is asked for already, above, for all its owners"));
                    continue;
                }
                match request(name, &owners[name.as_str()], requester) {
                    Ok(object) => {
                        migrated.notes.push(format!("namespace {name} becomes {CLASS}-{name}: a namespace that is there is never taken over"));
                        migrated.objects.push(object);
                    }
                    Err(why) => without.push(why),
                }
            }
            if !without.is_empty() {
                migrated.left_out = Some(without.join("; "));
            }
            Ok(migrated)
        })
        .collect();
    let count = each.iter().flatten().map(|one| one.objects.len()).sum();
    let common = if count > 0 { class(count, requester.is_some()) } else { Migrated::default() };
    Whole { common, each }
}

impl Theirs {
    /// Did that tool read it?
    fn is_read(&self) -> bool {
        self.metadata.namespace.as_deref().is_none_or(|namespace| namespace == HOME)
    }
}

fn read(object: Value) -> Result<Theirs, String> {
    let Old { version, kind, mut fields } = Old::of(object)?;
    if version != VERSION {
        return Err(format!("{kind} of {version} is none of dispatch's, whose version is {VERSION}"));
    }
    let is_user = match kind.as_str() {
        "DispatchUser" => true,
        "OwnedNamespace" => false,
        _ => return Err(format!("{kind} of {version} is no kind that can be migrated")),
    };
    let mut notes = Vec::new();
    let metadata = Metadata::take(&mut fields, &mut notes)?;
    let mut spec = fields.inner("spec")?;
    let (owner, namespaces) = match is_user {
        true => (spec.text("userID")?, spec.texts("namespaces")?),
        false => (spec.text("ownerID")?, spec.text("namespace")?.into_iter().collect()),
    };
    let owner = owner.ok_or(format!("{} is missing", spec.at(if is_user { "userID" } else { "ownerID" })))?;
    tell(&[&fields, &spec], &mut notes);
    Ok(Theirs { metadata, owner, namespaces, notes })
}

/// A request for the counterpart of one namespace.
fn request(name: &str, owners: &BTreeSet<&str>, requester: Option<&Requester>) -> Result<Value, String> {
    let own = format!("{CLASS}-{name}");
    label(&own).map_err(|_| format!("{own} can be no namespace's name"))?;
    if owners.len() > OWNERS {
        return Err(format!("{name} has {} owners, and a request names {OWNERS} at most", owners.len()));
    }
    let owners: Vec<Value> = owners
        .iter()
        .map(|owner| json!({"kind": "ServiceAccount", "namespace": HOME, "name": owner}))
        .collect();
    let mut spec = json!({"class": CLASS, "namespaces": [own], "owners": owners});
    if let Some(requester) = requester {
        spec["requester"] = json!(requester);
    }
    Ok(ours("NamespaceRequest", json!({"name": own, "namespace": REQUESTS}), spec))
}

/// What all of them had in common: it stood in that tool's code.
fn class(count: usize, is_asked: bool) -> Migrated {
    let spec = json!({
        "description": "for a developer's application", "from": [REQUESTS], "names": {"pattern": format!("{CLASS}-[a-z0-9-]+")},
        "role": "edit", "ttl": {"default": "2160h", "max": "8760h"}, "approvals": 0, "reason": "Optional",
        "maxLive": count.clamp(10, MOST_LIVE),
    });
    let mut notes = vec![
        format!(
            "owners are the accounts in {HOME}, so that the tokens that are out go on to do; these have no end: name people by \
             what the cluster knows them as instead (User/NAME), or have them ask themselves (oz namespace-request)"
        ),
        format!("class {CLASS}: nobody had to agree, and nobody has to: approvals: 1 or more asks for it"),
        format!(
            "class {CLASS}: a namespace ends, after 2160h unless asked for otherwise: ttl; before that: oz extend"
        ),
        format!("class {CLASS}: Pod Security baseline is enforced, where nothing was: podSecurity"),
    ];
    if !is_asked {
        notes.push(UNASKED.to_owned());
    }
    Migrated { objects: vec![ours("NamespaceClass", json!({"name": CLASS}), spec)], notes, left_out: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::{NamespaceClass, NamespaceRequest};

    fn user(id: &str, namespaces: &[&str]) -> Value {
        json!({"apiVersion": VERSION, "kind": "DispatchUser", "metadata": {"name": format!("user-{id}"), "namespace": "dispatch"},
            "spec": {"userID": id, "namespaces": namespaces}})
    }

    fn owned(id: &str, namespace: &str) -> Value {
        json!({"apiVersion": VERSION, "kind": "OwnedNamespace", "metadata": {"name": format!("{id}-{namespace}"), "namespace": "dispatch"},
            "spec": {"ownerID": id, "namespace": namespace}})
    }

    fn has(notes: &[String], words: &str) -> bool {
        notes.iter().any(|note| note.contains(words))
    }

    #[test]
    fn one_namespace_and_all_its_owners() {
        let me = Requester { username: "admin".into(), uid: "7".into(), groups: Vec::new() };
        let whole = migrate(
            vec![user("1", &["web", "db"]), user("2", &["web"]), owned("1", "web"), owned("3", "old")],
            Some(&me),
        );
        let each: Vec<Migrated> = whole.each.into_iter().map(Result::unwrap).collect();
        let objects: Vec<NamespaceRequest> = each
            .iter()
            .flat_map(|one| &one.objects)
            .map(|object| serde_json::from_value(object.clone()).unwrap())
            .collect();
        let asked: Vec<(Vec<String>, Vec<String>)> = objects
            .iter()
            .map(|o| (o.spec.namespaces.clone(), o.spec.owners.iter().map(ToString::to_string).collect()))
            .collect();
        let account = |id: &str| format!("ServiceAccount/dispatch:{id}");
        assert_eq!(
            asked,
            [
                (vec!["dispatch-web".to_owned()], vec![account("1"), account("2")]),
                (vec!["dispatch-db".to_owned()], vec![account("1")]),
                (vec!["dispatch-old".to_owned()], vec![account("3")]),
            ]
        );
        assert!(
            objects
                .iter()
                .all(|o| o.spec.requester == me && o.metadata.namespace.as_deref() == Some("oz-requests"))
        );
        assert!(
            each[1].objects.is_empty()
                && has(&each[1].notes, "asked for already")
                && has(&each[2].notes, "asked for already")
        );
        let class: NamespaceClass = serde_json::from_value(whole.common.objects[0].clone()).unwrap();
        assert_eq!(
            (class.spec.role.as_str(), class.spec.names.pattern.as_str()),
            ("edit", "dispatch-[a-z0-9-]+")
        );
        assert!(has(&whole.common.notes, "have no end") && !has(&whole.common.notes, "left out"));
    }

    #[test]
    fn who_asks_may_be_left_out() {
        let whole = migrate(vec![user("1", &["web"])], None);
        let one = whole.each[0].as_ref().unwrap();
        assert!(one.objects[0]["spec"]["requester"].is_null() && has(&whole.common.notes, "--requester"));
    }

    #[test]
    fn what_has_no_counterpart() {
        let mut elsewhere = user("1", &["web"]);
        elsewhere["metadata"]["namespace"] = json!("other");
        let whole = migrate(vec![elsewhere], None);
        assert!(whole.common.objects.is_empty() && whole.each[0].as_ref().unwrap().left_out.is_some());
        let whole = migrate(vec![user("1", &["x".repeat(60).as_str(), "web"])], None);
        let one = whole.each[0].as_ref().unwrap();
        assert!(one.objects.len() == 1 && one.left_out.as_ref().unwrap().contains("no namespace's name"));
        let many: Vec<Value> = (0..33).map(|n| user(&n.to_string(), &["web"])).collect();
        assert!(
            migrate(many, None).each[0].as_ref().unwrap().left_out.as_ref().unwrap().contains("33 owners")
        );
        let more = json!({"apiVersion": VERSION, "kind": "DispatchUser", "metadata": {"name": "a"},
            "spec": {"userID": 7, "quota": 1}});
        let whole = migrate(vec![more], None);
        assert!(has(&whole.each[0].as_ref().unwrap().notes, "spec.quota has no counterpart"));
    }

    #[test]
    fn others_are_refused() {
        for (version, kind) in
            [("v1", "ServiceAccount"), (VERSION, "Other"), ("netsys.io/v2", "DispatchUser")]
        {
            let whole =
                migrate(vec![json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})], None);
            let error = whole.each[0].as_ref().unwrap_err();
            assert!(error.contains(version) && error.contains(kind), "{error}");
        }
        let nobody = json!({"apiVersion": VERSION, "kind": "DispatchUser", "metadata": {"name": "a"}, "spec": {"namespaces": ["x"]}});
        assert!(migrate(vec![nobody], None).each[0].as_ref().unwrap_err().contains("spec.userID is missing"));
    }
}
