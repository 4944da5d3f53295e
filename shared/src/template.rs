//! AccessTemplate: what may be asked for in a namespace, for how long, and who must agree.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::schema::{DURATION, LABEL, rules};

/// What may be asked for in this namespace: exactly one of `exec`, `shell`, `debug` or `role`, for how long at most, and
/// with whose consent. Whoever writes one must be able to do himself what it offers.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "AccessTemplate",
    namespaced,
    shortname = "atpl",
    category = "oz",
    derive = "PartialEq",
    doc = "What may be asked for in a namespace, for how long at most, and with whose consent.",
    printcolumn = r#"{"name":"Description","type":"string","jsonPath":".spec.description","priority":1}"#,
    printcolumn = r#"{"name":"Default","type":"string","jsonPath":".spec.duration.default"}"#,
    printcolumn = r#"{"name":"Max","type":"string","jsonPath":".spec.duration.max"}"#,
    printcolumn = r#"{"name":"Approvals","type":"integer","jsonPath":".spec.approvals"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("[has(self.exec), has(self.shell), has(self.debug), has(self.role)].filter(x, x).size() == 1",
     "exactly one of exec, shell, debug, role"),
])))]
pub struct AccessTemplateSpec {
    /// One line for people who choose among templates.
    #[serde(default)]
    #[schemars(length(max = 256), regex(pattern = crate::schema::TEXT))]
    pub description: String,
    /// Lends connections into running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecAccess>,
    /// Reserved: a shell in a copy of a workload's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Reserved>,
    /// Reserved: an ephemeral container beside a pod's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<Reserved>,
    /// Reserved: a Role or ClusterRole, bound for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleAccess>,
    /// How long it is lent.
    pub duration: DurationBounds,
    /// How many different people must approve. 0: nobody, it is lent to whoever may ask.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 8))]
    pub approvals: i32,
    /// Who, beyond people, may decide.
    #[serde(default)]
    pub approvers: Approvers,
    /// Must a request say why?
    #[serde(default)]
    pub reason: ReasonPolicy,
    /// A request that is not granted within this time expires.
    #[serde(default = "pending_timeout")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub pending_timeout: String,
    /// Where a pod must start, how long it may take; added to the deadline.
    #[serde(default = "start_timeout")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub start_timeout: String,
    /// How long a request stays as history after its end.
    #[serde(default = "history_ttl")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub history_ttl: String,
}

fn one() -> i32 {
    1
}
fn pending_timeout() -> String {
    "1h".to_owned()
}
fn start_timeout() -> String {
    "5m".to_owned()
}
fn history_ttl() -> String {
    "168h".to_owned()
}

/// How long something is lent: hours, minutes and seconds, `1h30m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("duration(self.default) > duration('0s') && duration(self.default) <= duration(self.max)",
     "default must be above zero and at most max"),
    ("duration(self.max) <= duration('87600h')", "max is at most ten years, 87600h"),
])))]
pub struct DurationBounds {
    /// Where the request names none.
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub default: String,
    /// The most that a request may name.
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub max: String,
}

/// Who, beyond people, may decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approvers {
    /// May ServiceAccounts decide, as a chat bot would? They need the verb `approve` as people do.
    #[serde(default)]
    pub service_accounts: bool,
}

/// Must a request say why?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReasonPolicy {
    /// A request without a reason is refused.
    #[default]
    Required,
    /// A reason may be left out.
    Optional,
}

/// Connections into running pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecAccess {
    /// Which pods. A request may name one of them; else a ready one is chosen, once.
    pub pods: PodSource,
    /// Which containers may be entered. None named: any of the pod's.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = LABEL)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub containers: Vec<String>,
    /// Which commands may be run by `exec`, each with exactly these arguments. None named: any.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 64), inner(length(max = 1024))))]
    pub commands: Vec<Vec<String>>,
    /// Which connections: `exec`, `attach`, `portforward`, `log`. A port-forward reaches every port of the pod, a log
    /// every container.
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub connections: Vec<Connection>,
    /// What becomes of the pod at the end. Streams and processes inside a live pod outlast the loan: `Leave` leaves
    /// them, `Evict` evicts the pod so that they end with it.
    #[serde(default)]
    pub on_end: OnEnd,
}

/// What becomes of the pod when the loan ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnEnd {
    /// The pod stays; so does what was started in it.
    #[default]
    Leave,
    /// The pod is evicted, within its disruption budget.
    Evict,
}

/// A way into a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// Run a command (`pods/exec`).
    Exec,
    /// Join the main process (`pods/attach`).
    Attach,
    /// Reach the pod's ports (`pods/portforward`).
    PortForward,
    /// Read the logs (`pods/log`).
    Log,
}

impl Connection {
    /// The word used in templates and as the subresource of pods.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Log => "log",
        }
    }
}

/// Which pods: by the workload that owns them, or by their labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.selector) != has(self.workload)", "name the pods by selector or by workload, one of the two"),
])))]
pub struct PodSource {
    /// The pods that carry all these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<PodSelector>,
    /// The pods that this workload owns, directly or through a ReplicaSet. Labels alone do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadRef>,
}

/// Labels, all of which a pod must carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSelector {
    /// At least one label, at most 16.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = label_value()))]
    pub match_labels: BTreeMap<String, String>,
}

/// The schema of a label's value.
fn label_value() -> serde_json::Value {
    serde_json::json!({"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"})
}

/// A workload of this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadRef {
    /// Its kind. `Rollout` is Argo's.
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::SUBDOMAIN))]
    pub name: String,
}

/// The kinds of workload whose pods can be named by ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they are Kubernetes' own names")]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    Rollout,
}

impl WorkloadKind {
    /// API group, version and plural of this kind.
    #[must_use]
    pub const fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::StatefulSet => ("apps", "v1", "statefulsets"),
            Self::DaemonSet => ("apps", "v1", "daemonsets"),
            Self::ReplicaSet => ("apps", "v1", "replicasets"),
            Self::Job => ("batch", "v1", "jobs"),
            Self::Rollout => ("argoproj.io", "v1alpha1", "rollouts"),
        }
    }

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::Rollout => "Rollout",
        }
    }
}

/// A shape that this version of Oz keeps but does not serve: requests for such a template fail, saying so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Reserved {
    /// Whatever the template says.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// Reserved: a role bound for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct RoleAccess {
    /// `Role` or `ClusterRole`.
    pub kind: RoleKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whatever else the template says.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// The two kinds of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they are Kubernetes' own names")]
pub enum RoleKind {
    Role,
    ClusterRole,
}
