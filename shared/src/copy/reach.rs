//! What a copy reaches beyond itself, in words: whoever agrees to it must know.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Source, account, containers, items, volumes};
use crate::plain::some_of;

/// One line for each way, of the pod as it would be made.
pub(super) fn of(spec: &Value, source: &Source) -> Vec<String> {
    let mut words = Vec::new();
    let (account, usual) = (account(spec), account(&source.template["spec"]));
    if account != usual {
        words.push(format!("it runs under service account {account}, not {usual}"));
    }
    let on_node = on_node(spec);
    if !on_node.is_empty() {
        let ways = some_of(&on_node);
        words.push(format!("it can take hold of its node, which outlasts the loan: {ways}"));
    }
    let secrets = secrets(spec);
    if !secrets.is_empty() {
        words.push(format!("it reads Secrets, and whoever reads one keeps it: {}", some_of(&secrets)));
    }
    let claims: Vec<String> = texts(volumes(spec), "/persistentVolumeClaim/claimName").collect();
    if !claims.is_empty() {
        words.push(format!("it shares volume claims: {}", some_of(&claims)));
    }
    words
}

fn on_node(spec: &Value) -> Vec<String> {
    let mut ways: Vec<String> = ["hostPID", "hostIPC", "hostNetwork"]
        .into_iter()
        .filter(|way| spec[*way] == Value::Bool(true))
        .map(str::to_owned)
        .collect();
    ways.extend(texts(volumes(spec), "/hostPath/path").map(|path| format!("hostPath {path}")));
    for container in containers(spec) {
        let name = container["name"].as_str().unwrap_or_default();
        let context = &container["securityContext"];
        if context["privileged"] == Value::Bool(true) {
            ways.push(format!("container {name} is privileged"));
        }
        let added = context.pointer("/capabilities/add").and_then(Value::as_array).into_iter().flatten();
        let added: Vec<String> = added.filter_map(|c| c.as_str().map(str::to_owned)).collect();
        if !added.is_empty() {
            ways.push(format!("container {name} has {}", some_of(&added)));
        }
    }
    ways
}

fn secrets(spec: &Value) -> Vec<String> {
    let projected = volumes(spec)
        .flat_map(|v| v.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten());
    let env = containers(spec).flat_map(|c| items(c, "env"));
    let env_from = containers(spec).flat_map(|c| items(c, "envFrom"));
    let all = texts(volumes(spec), "/secret/secretName")
        .chain(texts(projected, "/secret/name"))
        .chain(texts(env, "/valueFrom/secretKeyRef/name"))
        .chain(texts(env_from, "/secretRef/name"));
    Vec::from_iter(BTreeSet::from_iter(all))
}

fn texts<'a>(values: impl Iterator<Item = &'a Value>, path: &str) -> impl Iterator<Item = String> {
    values.filter_map(move |v| v.pointer(path)?.as_str().map(str::to_owned))
}
