//! The private copy of a workload's pod that a `shell` template lends. Pure: the controller makes the pod by it, and
//! the CLI shows by it what would be made.
//!
//! The pod template is handled as JSON, so that nothing that this version does not know is lost.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::AccessRequestSpec;
use crate::exec;
use crate::names::DEFAULT_CONTAINER;
use crate::plain::{self, some_of};
use crate::quantity::milli;
use crate::template::{Amounts, Keep, PatchVerb, ShellAccess, VolumeClaims, WorkloadKind, WorkloadRef};

/// How long the copy has to end, in seconds: a stream into it ends with it.
const GRACE: i64 = 1;

/// Runs where the template names no command: waits, and ends at once when told to.
const WAITING_SHELL: &str = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done";

/// The most levels that a patch's value, and the patched pod, may have; a pod of Kubernetes' own fields has some fifteen.
const MAX_DEPTH: (usize, usize) = (16, 48);

/// The most bytes that the copy may have, as JSON; etcd takes 1.5 MB an object.
const MAX_BYTES: usize = 1024 * 1024;

/// The workload's pod template as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The workload's kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The pod template: `metadata` and `spec`.
    pub template: Value,
    /// The names of a StatefulSet's volume claim templates.
    pub claims: Vec<String>,
}

impl Source {
    /// The pod template of a workload as the API server returns it. `None` where it has none, or one that is none: kinds of
    /// others may hold anything.
    #[must_use]
    pub fn read(kind: WorkloadKind, object: &Value) -> Option<Self> {
        let path = match kind {
            WorkloadKind::CronJob => "/spec/jobTemplate/spec/template",
            _ => "/spec/template",
        };
        let template = object.pointer(path).filter(|t| t.pointer("/spec/containers").is_some())?;
        serde_json::from_value::<PodTemplateSpec>(template.clone()).ok()?;
        let claims = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
        let claims = claims.into_iter().flatten().filter_map(|c| c.pointer("/metadata/name")?.as_str());
        Some(Self {
            kind,
            name: text(object, "/metadata/name")?,
            uid: text(object, "/metadata/uid")?,
            template: template.clone(),
            claims: claims.map(str::to_owned).collect(),
        })
    }

    /// The workload to whose pod template this one points instead of having its own, as an Argo Rollout may.
    #[must_use]
    pub fn elsewhere(kind: WorkloadKind, object: &Value) -> Option<WorkloadRef> {
        let other = object.pointer("/spec/workloadRef").filter(|_| kind == WorkloadKind::Rollout)?;
        let other = serde_json::from_value(other.clone()).ok();
        other.filter(|_| Self::read(kind, object).is_none())
    }

    /// The pod template of a workload that points to it: `object` is the one whose pods are meant, `template` the other's.
    #[must_use]
    pub fn through(
        kind: WorkloadKind,
        object: &Value,
        other: WorkloadKind,
        template: &Value,
    ) -> Option<Self> {
        let (name, uid) = (text(object, "/metadata/name")?, text(object, "/metadata/uid")?);
        Some(Self { kind, name, uid, ..Self::read(other, template)? })
    }

    /// The names of its ordinary containers.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        names(items(&self.template["spec"], "containers"))
    }

    /// The labels of the workload's pods.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        strings(self.template.pointer("/metadata/labels"))
    }
}

fn text(object: &Value, path: &str) -> Option<String> {
    object.pointer(path)?.as_str().map(str::to_owned)
}

fn strings(object: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = object.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

/// What a request asks of the copy. Empty: as the template or the workload has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The container to enter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub container: String,
    /// Memory and CPU.
    #[serde(default)]
    pub amounts: Amounts,
    /// The node; for a DaemonSet's pod.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub node: String,
    /// The pod whose claims are shared; for a StatefulSet's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub pod: String,
}

impl Asked {
    /// What this request asks.
    #[must_use]
    pub fn by(request: &AccessRequestSpec) -> Self {
        Self {
            container: request.container.clone(),
            amounts: Amounts { memory: request.memory.clone(), cpu: request.cpu.clone() },
            node: request.node.clone(),
            pod: request.pod.clone(),
        }
    }
}

/// Why there is no copy as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// More than the template lends.
    #[error("the template lends {what} above zero and up to {most}, not {asked}")]
    TooMuch {
        /// `memory` or `cpu`.
        what: &'static str,
        /// The most.
        most: String,
        /// What was asked for.
        asked: String,
    },
    /// The template lends none.
    #[error("the template does not let a request choose its {0}")]
    NotChosen(&'static str),
    /// The pod is not one of the StatefulSet's.
    #[error("{1} is not the name of a pod of StatefulSet {0}, such as {0}-0")]
    NotItsPod(String, String),
    /// There is no such container.
    #[error("{kind} {name} has no container {container}; it has {}", .there.join(", "), kind = .kind.as_str())]
    NoSuchContainer {
        /// The workload's kind.
        kind: WorkloadKind,
        /// Its name.
        name: String,
        /// The container that is missing.
        container: String,
        /// Those that it has.
        there: Vec<String>,
    },
    /// The template offers another container.
    #[error("the template does not offer container {0}")]
    NotOffered(String),
    /// A patch does not apply.
    #[error("the template's patches do not apply: {0}")]
    Patch(String),
    /// What the patches left is no pod.
    #[error("with the template's patches this is no pod any more: {0}")]
    NoPod(String),
    /// Too large for the API server.
    #[error("the copy would be too large")]
    TooLarge,
    /// The pod is lent by connections that cannot be written down.
    #[error(transparent)]
    Connections(#[from] exec::Misfit),
}

/// A copy as it would be made: `metadata` with labels and annotations, and `spec`, without its deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its spec.
    pub spec: Value,
    /// The container to enter.
    pub container: String,
}

impl Copied {
    /// All containers: ordinary and init ones.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        names(containers(&self.spec))
    }

    /// The account whose token is mounted in it, if one is.
    #[must_use]
    pub fn mounted_account(&self) -> Option<String> {
        let mounted = self.spec["automountServiceAccountToken"] != json!(false)
            || volumes(&self.spec).any(|v| token_sources(v).next().is_some());
        mounted.then(|| self.account().to_owned())
    }

    /// The account that it runs under.
    #[must_use]
    pub fn account(&self) -> &str {
        account(&self.spec)
    }

    /// The image of the container to enter.
    #[must_use]
    pub fn image(&self) -> &str {
        let entered = containers(&self.spec).find(|c| c["name"] == self.container.as_str());
        entered.and_then(|c| c["image"].as_str()).unwrap_or_default()
    }

    /// Tells this copy from every other: hexadecimal, 64 characters.
    #[must_use]
    pub fn digest(&self) -> String {
        plain::digest(&json!([self.labels, self.annotations, self.spec]))
    }

    /// The whole pod: called `name`, ending after `seconds` at the latest.
    #[must_use]
    pub fn pod(mut self, seconds: i64) -> Value {
        self.spec["activeDeadlineSeconds"] = json!(seconds.max(1));
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"labels": self.labels, "annotations": self.annotations}, "spec": self.spec})
    }
}

/// The copy that `shell` lends of `source`.
///
/// # Errors
/// When more is asked for than the template lends, the container is not there, or a patch does not apply.
pub fn copy(shell: &ShellAccess, asked: &Asked, source: &Source) -> Result<Copied, Misfit> {
    within(shell, asked)?;
    let mut spec = source.template["spec"].clone();
    let container = chosen(shell, asked, source)?;
    drop_what_is_the_workloads(&mut spec, &shell.keep);
    claims(&mut spec, shell.volume_claims, asked, source);
    place(&mut spec, shell, asked);
    for it in containers_mut(&mut spec).filter(|c| c["name"] == container.as_str()) {
        furnish(it, shell, asked);
    }

    let mut annotations = strings(source.template.pointer("/metadata/annotations"));
    if shell.purge_annotations {
        annotations.clear();
    }
    annotations.extend(shell.annotations.clone());
    let mut pod = json!({"metadata": {"labels": shell.labels, "annotations": annotations}, "spec": spec});
    patch(&mut pod, shell)?;

    let labels = strings(pod.pointer("/metadata/labels"));
    let annotations = strings(pod.pointer("/metadata/annotations"));
    let mut spec = pod["spec"].take();
    if !spec.is_object() || !containers_mut(&mut spec).any(|c| c["name"] == container.as_str()) {
        return Err(Misfit::NoPod("the container to enter is gone".to_owned()));
    }
    hold(&mut spec, &shell.keep);
    serde_json::from_value::<PodSpec>(spec.clone()).map_err(|e| Misfit::NoPod(e.to_string()))?;
    if spec.to_string().len() > MAX_BYTES {
        return Err(Misfit::TooLarge);
    }
    Ok(Copied { labels, annotations, spec, container })
}

/// What is lent with the copy: rules for the pod called `name`, the same in words, the container to enter.
/// `uncovered`: the network policies that hold the workload's pods but would not hold the copy.
///
/// # Errors
/// When the rules would not fit a Role.
pub fn offer(
    shell: &ShellAccess,
    copied: &Copied,
    source: &Source,
    name: &str,
    uncovered: &[String],
) -> Result<exec::Offer, Misfit> {
    let pod = exec::Pod {
        name: name.to_owned(),
        containers: copied.containers(),
        default_container: copied.container.clone(),
        mounted_account: copied.mounted_account(),
    };
    let ways = exec::Ways { connections: &shell.connections, containers: &[], commands: &[] };
    let mut offer = exec::lend(ways, &pod, "")?;
    let mut words = vec![format!(
        "a copy of a pod of {} {}: pod {name}, container {}, image {}",
        source.kind.as_str(),
        source.name,
        copied.container,
        copied.image()
    )];
    words.append(&mut offer.words);
    words.extend(reach::of(&copied.spec, source));
    if shell.keep.contains(&Keep::ServiceAccountToken) && pod.mounted_account.is_none() {
        words.push(format!(
            "a token of service account {} that admission puts into it is kept",
            copied.account()
        ));
    }
    if !shell.patches.is_empty() {
        words.push(format!("the template patches the copy ({} operations)", shell.patches.len()));
    }
    if !uncovered.is_empty() {
        let policies = some_of(uncovered);
        words.push(format!("it is outside of network policies that hold the workload's pods: {policies}"));
    }
    words.push("at the end the copy is deleted, and open streams with it".to_owned());
    Ok(exec::Offer { words, ..offer })
}

/// Is no more asked for than the template lends?
///
/// # Errors
/// What is.
pub fn within(shell: &ShellAccess, asked: &Asked) -> Result<(), Misfit> {
    let most = shell.max_resources.clone().unwrap_or_default();
    for (what, asked, most) in
        [("memory", &asked.amounts.memory, &most.memory), ("cpu", &asked.amounts.cpu, &most.cpu)]
    {
        if asked.is_empty() {
            continue;
        }
        match (milli(asked), milli(most)) {
            (_, None) => return Err(Misfit::NotChosen(what)),
            // A limit of nothing is no limit.
            (Some(wanted), Some(bound)) if (1..=bound).contains(&wanted) => {}
            _ => return Err(Misfit::TooMuch { what, most: most.clone(), asked: asked.clone() }),
        }
    }
    if !asked.node.is_empty() && shell.workload.kind != WorkloadKind::DaemonSet {
        return Err(Misfit::NotChosen("node"));
    }
    let shares =
        shell.workload.kind == WorkloadKind::StatefulSet && shell.volume_claims == VolumeClaims::Share;
    if !asked.pod.is_empty() && !shares {
        return Err(Misfit::NotChosen("pod"));
    }
    if !asked.pod.is_empty() && !is_ordinal(asked.pod.strip_prefix(&format!("{}-", shell.workload.name))) {
        return Err(Misfit::NotItsPod(shell.workload.name.clone(), asked.pod.clone()));
    }
    Ok(())
}

/// The number of one of a StatefulSet's pods. Anything else after its name could be another one's pod, with claims of the
/// same name.
fn is_ordinal(text: Option<&str>) -> bool {
    text.is_some_and(|t| t.parse::<u32>().is_ok_and(|n| n.to_string() == t))
}

fn chosen(shell: &ShellAccess, asked: &Asked, source: &Source) -> Result<String, Misfit> {
    let there = source.containers();
    if !asked.container.is_empty() && !shell.container.is_empty() && asked.container != shell.container {
        return Err(Misfit::NotOffered(asked.container.clone()));
    }
    let annotated = strings(source.template.pointer("/metadata/annotations")).remove(DEFAULT_CONTAINER);
    let named = [&asked.container, &shell.container].into_iter().find(|c| !c.is_empty());
    let container = named.cloned().or(annotated.filter(|a| there.contains(a))).or(there.first().cloned());
    match container {
        Some(container) if there.contains(&container) => Ok(container),
        container => Err(Misfit::NoSuchContainer {
            kind: source.kind,
            name: source.name.clone(),
            container: container.unwrap_or_default(),
            there,
        }),
    }
}

/// What makes a pod one of the workload's, and what would act on it as if it were.
fn drop_what_is_the_workloads(spec: &mut Value, keep: &[Keep]) {
    let has = |k| keep.contains(&k);
    let on_host_network = spec["hostNetwork"] == json!(true);
    for gone in [
        "nodeName",
        "priorityClassName",
        "priority",
        "preemptionPolicy",
        "hostname",
        "subdomain",
        "setHostnameAsFQDN",
        "schedulingGates",
        "ephemeralContainers",
    ] {
        remove(spec, gone);
    }
    if !has(Keep::TopologySpread) {
        remove(spec, "topologySpreadConstraints");
    }
    if !has(Keep::ReadinessGates) {
        remove(spec, "readinessGates");
    }
    for container in containers_mut(spec) {
        if !has(Keep::Probes) {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                remove(container, probe);
            }
        }
        if !has(Keep::Lifecycle) {
            remove(container, "lifecycle");
        }
        if has(Keep::HostPorts) {
            continue;
        }
        if on_host_network {
            // There each port is one of the node's.
            remove(container, "ports");
        }
        for port in items_mut(container, "ports") {
            remove(port, "hostPort");
            remove(port, "hostIP");
        }
    }
}

/// Takes the persistent volumes out, or puts a StatefulSet's own in.
fn claims(spec: &mut Value, policy: VolumeClaims, asked: &Asked, source: &Source) {
    let mut all: Vec<Value> = spec["volumes"].as_array().cloned().unwrap_or_default();
    if policy == VolumeClaims::Share {
        let pod = if asked.pod.is_empty() { format!("{}-0", source.name) } else { asked.pod.clone() };
        for name in &source.claims {
            all.retain(|v| v["name"] != name.as_str());
            all.push(json!({"name": name, "persistentVolumeClaim": {"claimName": format!("{name}-{pod}")}}));
        }
    } else {
        all.retain(|v| v.get("persistentVolumeClaim").is_none());
    }
    let there: Vec<&str> = all.iter().filter_map(|v| v["name"].as_str()).collect();
    for container in containers_mut(spec) {
        for mounts in ["volumeMounts", "volumeDevices"] {
            if let Some(list) = container.get_mut(mounts).and_then(Value::as_array_mut) {
                list.retain(|m| m["name"].as_str().is_some_and(|name| there.contains(&name)));
            }
        }
    }
    if !all.is_empty() || spec.get("volumes").is_some() {
        spec["volumes"] = Value::Array(all);
    }
}

fn place(spec: &mut Value, shell: &ShellAccess, asked: &Asked) {
    if !shell.node_selector.is_empty() {
        change_object(spec, "nodeSelector", |selector| {
            selector.extend(shell.node_selector.iter().map(|(k, v)| (k.clone(), json!(v))));
        });
    }
    if !shell.tolerations.is_empty() {
        change_list(spec, "tolerations", |list| list.extend(shell.tolerations.iter().map(|t| json!(t))));
    }
    if asked.node.is_empty() {
        return;
    }
    // As the DaemonSet controller does: by the scheduler, which says what keeps it.
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let mut terms = spec.pointer(required).and_then(Value::as_array).cloned().unwrap_or_default();
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in &mut terms {
        term["matchFields"] = json!([{"key": "metadata.name", "operator": "In", "values": [asked.node]}]);
    }
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": terms});
}

/// The container to enter: what it runs, with which environment and amounts.
fn furnish(container: &mut Value, shell: &ShellAccess, asked: &Asked) {
    if shell.command.is_empty() && shell.args.is_empty() {
        container["command"] = json!(["sh", "-c", WAITING_SHELL]);
        remove(container, "args");
    } else {
        remove(container, "args");
        if !shell.command.is_empty() {
            container["command"] = json!(shell.command);
        }
        if !shell.args.is_empty() {
            container["args"] = json!(shell.args);
        }
    }
    if !shell.env.is_empty() {
        change_list(container, "env", |env| {
            for variable in &shell.env {
                env.retain(|e| e["name"] != variable.name.as_str());
                env.push(json!(variable));
            }
        });
    }
    for amounts in [shell.resources.as_ref(), Some(&asked.amounts)].into_iter().flatten() {
        for (what, amount) in [("memory", &amounts.memory), ("cpu", &amounts.cpu)] {
            for list in ["requests", "limits"].into_iter().filter(|_| !amount.is_empty()) {
                container["resources"][list][what] = json!(amount);
            }
        }
    }
}

fn patch(pod: &mut Value, shell: &ShellAccess) -> Result<(), Misfit> {
    let reaches = |path: &str| {
        ["/spec", "/metadata/labels", "/metadata/annotations"]
            .into_iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    for operation in &shell.patches {
        if !reaches(&operation.path) || !operation.from.as_deref().is_none_or(reaches) {
            return Err(Misfit::Patch(format!("{} is not theirs to change", operation.path)));
        }
        // Before it is copied, written or dropped, all of which recurse.
        if operation.value.as_ref().is_some_and(|v| is_deeper(v, MAX_DEPTH.0)) {
            return Err(Misfit::Patch(format!("the value for {} is nested too deep", operation.path)));
        }
        let mut one = json!({"op": operation.op, "path": operation.path});
        match &operation.from {
            Some(from) => one["from"] = json!(from),
            // A null is dropped on its way through the API server: a missing value is one.
            None => one["value"] = operation.value.clone().unwrap_or(Value::Null),
        }
        let one: json_patch::PatchOperation =
            serde_json::from_value(one).map_err(|e| Misfit::Patch(e.to_string()))?;
        json_patch::patch(pod, &[one]).map_err(|e| Misfit::Patch(e.to_string()))?;
        if is_deeper(pod, MAX_DEPTH.1) {
            return Err(Misfit::Patch(format!("with {} the pod is nested too deep", operation.path)));
        }
        // Patches can copy what they have copied.
        if operation.op == PatchVerb::Copy && pod.to_string().len() > MAX_BYTES {
            return Err(Misfit::TooLarge);
        }
    }
    Ok(())
}

/// Has it more than so many levels? Without recursion: it may have thousands.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut ahead = vec![(value, 0)];
    while let Some((value, level)) = ahead.pop() {
        if level > levels {
            return true;
        }
        match value {
            Value::Array(list) => ahead.extend(list.iter().map(|v| (v, level + 1))),
            Value::Object(object) => ahead.extend(object.values().map(|v| (v, level + 1))),
            _ => {}
        }
    }
    false
}

/// What every copy has, whatever the patches say: it ends for good, at once, and holds no token unless that is kept.
fn hold(spec: &mut Value, keep: &[Keep]) {
    spec["restartPolicy"] = json!("Never");
    spec["terminationGracePeriodSeconds"] = json!(GRACE);
    remove(spec, "ephemeralContainers");
    if keep.contains(&Keep::ServiceAccountToken) {
        return;
    }
    spec["automountServiceAccountToken"] = json!(false);
    for volume in items_mut(spec, "volumes") {
        if let Some(sources) = volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut) {
            sources.retain(|s| !is_credential(s));
        }
    }
}

fn account(spec: &Value) -> &str {
    spec["serviceAccountName"].as_str().filter(|a| !a.is_empty()).unwrap_or("default")
}

fn volumes(spec: &Value) -> impl Iterator<Item = &Value> {
    items(spec, "volumes")
}

fn token_sources(volume: &Value) -> impl Iterator<Item = &Value> {
    let sources = volume.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten();
    sources.filter(|s| is_credential(s))
}

/// Does this source of a projected volume give the pod a credential of its own?
fn is_credential(source: &Value) -> bool {
    ["serviceAccountToken", "podCertificate"].iter().any(|kind| source.get(kind).is_some())
}

/// Ordinary and init containers.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().flat_map(|list| items(spec, list))
}

fn names<'a>(named: impl Iterator<Item = &'a Value>) -> Vec<String> {
    named.filter_map(|n| n["name"].as_str().map(str::to_owned)).collect()
}

fn containers_mut(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flat_map(Map::iter_mut);
    lists
        .filter(|(key, _)| matches!(key.as_str(), "containers" | "initContainers"))
        .flat_map(|(_, list)| list.as_array_mut().into_iter().flatten())
        .filter(|c| c.is_object())
}

fn remove(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}

/// The items of the list at `key`, none where there is no list.
fn items<'a>(parent: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    parent[key].as_array().into_iter().flatten()
}

/// The same, to change them.
fn items_mut<'a>(parent: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    parent.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Changes the object at `key`, made where there is none.
fn change_object(parent: &mut Value, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut object = match parent.get_mut(key).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    change(&mut object);
    parent[key] = Value::Object(object);
}

/// Changes the list at `key`, made where there is none.
fn change_list(parent: &mut Value, key: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let mut list = match parent.get_mut(key).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    change(&mut list);
    parent[key] = Value::Array(list);
}

mod reach;
#[cfg(test)]
mod tests;
