//! What the Go tool's PodAccessTemplate says of the copy, in the words of `spec.shell`.

use std::collections::BTreeMap;

use oz_shared::quantity;
use oz_shared::template::Keep;
use serde_json::{Value, json};

use super::fields::Fields;

/// A copy of a pod, which that tool lent for exec alone.
pub(super) fn shell(spec: &mut Fields, workload: Value, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut shell = json!({"workload": workload, "connections": ["exec"]});
    let mut max = BTreeMap::new();
    for (key, what) in [("maxMemory", "memory"), ("maxCpu", "cpu")] {
        if let Some(amount) = amount(&spec.at(key), spec.text(key)?, notes) {
            max.insert(what, amount);
        }
    }
    put(&mut shell, "maxResources", json!(max));
    if spec.text("maxStorage")?.is_some() {
        notes.push(format!("{} has no counterpart: a request chooses memory and CPU", spec.at("maxStorage")));
    }
    let mut wishes = spec.inner("controllerTargetMutationConfig")?;
    put(&mut shell, "container", json!(wishes.text("defaultContainerName")?.unwrap_or_default()));
    let (command, args) = (wishes.texts("command")?, wishes.texts("args")?);
    if command.is_empty() && args.is_empty() {
        notes.push(
            "the container to enter runs a shell that waits, no longer the workload's own command".to_owned(),
        );
    }
    put(&mut shell, "command", json!(command));
    put(&mut shell, "args", json!(args));
    put(&mut shell, "env", environment(&mut wishes, notes)?);
    put(&mut shell, "resources", resources(&mut wishes, notes)?);
    put(&mut shell, "annotations", json!(wishes.named("podAnnotations")?));
    put(&mut shell, "labels", json!(wishes.named("podLabels")?));
    put(&mut shell, "nodeSelector", json!(wishes.named("nodeSelector")?));
    if wishes.flag("purgeAnnotations")? {
        shell["purgeAnnotations"] = json!(true);
    }
    put(&mut shell, "keep", kept(&mut wishes, notes)?);
    put(&mut shell, "patches", patches(&mut wishes, notes)?);
    notes.extend(wishes.left().into_iter().map(|path| format!("{path} has no counterpart")));
    notes.push(
        "the copy has no account token, persistent volumes, hooks, readiness gates or ports of the node, as it had: \
         spec.shell.keep and volumeClaims: Share would keep them"
            .to_owned(),
    );
    Ok(shell)
}

/// Sets what is not empty.
fn put(object: &mut Value, key: &str, value: Value) {
    let is_empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !is_empty {
        object[key] = value;
    }
}

/// In the notation that the API takes, where it is that. That tool took zero for no bound given.
fn amount(path: &str, text: Option<String>, notes: &mut Vec<String>) -> Option<String> {
    let text = text?;
    match quantity::milli(&text) {
        Some(1..) => return Some(text),
        Some(_) => {}
        None => notes.push(format!("{path}: {text} is left out: write it as 128Mi, 1.5 or 500m")),
    }
    None
}

fn environment(wishes: &mut Fields, notes: &mut Vec<String>) -> Result<Value, String> {
    let path = wishes.at("env");
    let mut variables = Vec::new();
    for variable in wishes.items("env")? {
        let mut variable = Fields::of(&path, variable)?;
        let name = variable.text("name")?.unwrap_or_default();
        if variable.take("valueFrom").is_null() {
            variables.push(json!({"name": name, "value": variable.text("value")?.unwrap_or_default()}));
        } else {
            notes.push(format!(
                "{path}: {name} is left out: a template gives plain values, none from elsewhere (valueFrom)"
            ));
        }
    }
    Ok(json!(variables))
}

/// One amount of each, where that tool knew a request and a limit.
fn resources(wishes: &mut Fields, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut resources = wishes.inner("resources")?;
    let (mut requests, mut limits) = (resources.inner("requests")?, resources.inner("limits")?);
    let mut amounts = BTreeMap::new();
    for what in ["memory", "cpu"] {
        let request = amount(&requests.at(what), requests.text(what)?, notes);
        let limit = amount(&limits.at(what), limits.text(what)?, notes);
        if request != limit && request.is_some() {
            let both = limit.as_ref().or(request.as_ref()).cloned().unwrap_or_default();
            notes.push(format!(
                "{}: {what} is requested and limited alike, at {both}",
                resources.at("requests")
            ));
        }
        if let Some(amount) = limit.or(request) {
            amounts.insert(what, amount);
        }
    }
    for fields in [&requests, &limits, &resources] {
        notes.extend(fields.left().into_iter().map(|path| format!("{path} has no counterpart")));
    }
    Ok(json!(amounts))
}

fn kept(wishes: &mut Fields, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut keep = Vec::new();
    let mut probes = 0;
    for probe in ["keepLivenessProbe", "keepReadinessProbe", "keepStartupProbe"] {
        probes += i32::from(wishes.flag(probe)?);
    }
    if probes > 0 {
        keep.push(Keep::Probes);
    }
    if (1..3).contains(&probes) {
        notes.push("of the probes all are kept: keep: [Probes] knows no single ones".to_owned());
    }
    if wishes.flag("keepTopologySpreadConstraints")? {
        keep.push(Keep::TopologySpread);
    }
    if wishes.flag("keepTerminationGracePeriod")? {
        notes.push(format!(
            "{} has no counterpart: a copy ends within a second",
            wishes.at("keepTerminationGracePeriod")
        ));
    }
    Ok(json!(keep))
}

fn patches(wishes: &mut Fields, notes: &mut Vec<String>) -> Result<Value, String> {
    let at = wishes.at("patchSpecOperations");
    let mut patches = Vec::new();
    for operation in wishes.items("patchSpecOperations")? {
        let mut operation = Fields::of(&at, operation)?;
        let (op, path) =
            (operation.text("op")?.unwrap_or_default(), operation.text("path")?.unwrap_or_default());
        let value = operation.take("value");
        let reaches = |root: &&str| {
            path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !["/spec", "/metadata/labels", "/metadata/annotations"].iter().any(reaches) {
            notes.push(format!("{at}: {op} {path} is left out: patches reach /spec, labels and annotations"));
            continue;
        }
        if op == "move" || op == "copy" {
            notes.push(format!("{at}: {op} {path} is left out: it does not say from where"));
            continue;
        }
        let mut patch = json!({"op": op, "path": path});
        if op != "remove" && !value.is_null() {
            patch["value"] = value;
        }
        patches.push(patch);
    }
    if !patches.is_empty() {
        notes.push(format!("{at}: a copy is patched after what it loses, so places in lists may be others: see oz describe NAME --pod"));
    }
    Ok(json!(patches))
}
