//! AccessTemplate: what may be asked for in a namespace, for how long, and who must agree.

use k8s_openapi::api::core::v1::Toleration;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::policy::{Consent, Policy};
use crate::schema::{DURATION, IMAGE, LABEL, LABEL_OR_EMPTY, PATCH_PATH, QUANTITY, ROLE, rules};

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
    /// Lends a shell in a private copy of a workload's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<ShellAccess>,
    /// Lends a debugging container beside those of a running pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<DebugAccess>,
    /// Lends a Role or ClusterRole in this namespace.
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

impl Policy for AccessTemplate {
    fn consent(&self) -> Consent<'_> {
        let spec = &self.spec;
        Consent {
            duration: &spec.duration,
            approvals: spec.approvals,
            approvers: &spec.approvers,
            reason: spec.reason,
            pending_timeout: &spec.pending_timeout,
            history_ttl: &spec.history_ttl,
        }
    }
}

impl AccessTemplateSpec {
    /// The connections into a pod that it lends; none where it lends a role.
    #[must_use]
    pub fn connections(&self) -> &[Connection] {
        match (&self.exec, &self.shell, &self.debug) {
            (Some(exec), ..) => &exec.connections,
            (_, Some(shell), _) => &shell.connections,
            (.., Some(_)) => &[Connection::Attach],
            _ => &[],
        }
    }

    /// The commands that may be run by `exec`. None named: any.
    #[must_use]
    pub fn commands(&self) -> &[Vec<String>] {
        self.exec.as_ref().map(|e| e.commands.as_slice()).unwrap_or_default()
    }

    /// The running pods among which a request may choose, where it lends one of those.
    #[must_use]
    pub fn pods(&self) -> Option<&PodSource> {
        self.exec.as_ref().map(|e| &e.pods).or(self.debug.as_ref().map(|d| &d.pods))
    }

    /// Does a container have to start before it is lent?
    #[must_use]
    pub const fn starts(&self) -> bool {
        self.shell.is_some() || self.debug.is_some()
    }
}

pub(crate) fn one() -> i32 {
    1
}
pub(crate) fn pending_timeout() -> String {
    "1h".to_owned()
}
fn start_timeout() -> String {
    "5m".to_owned()
}
pub(crate) fn history_ttl() -> String {
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
    ("!has(self.workload) || self.workload.kind != 'CronJob'", "a CronJob's pods come and go: name them by selector"),
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
pub(crate) fn label_value() -> serde_json::Value {
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
    CronJob,
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
            Self::CronJob => ("batch", "v1", "cronjobs"),
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
            Self::CronJob => "CronJob",
            Self::Rollout => "Rollout",
        }
    }
}

/// A shell in a private copy of a workload's pod. The copy keeps the image, environment, volumes, security context and
/// placement of the workload's pods; it loses their labels, so that no Service and no controller takes it for one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShellAccess {
    /// The workload whose pod is copied, as its pod template stands when the copy is made.
    pub workload: WorkloadRef,
    /// The container to enter. Empty: the one that the annotation `kubectl.kubernetes.io/default-container` names, else
    /// the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = LABEL_OR_EMPTY))]
    pub container: String,
    /// What that container runs. Neither `command` nor `args`: a shell that waits, and ends when it is told to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// The arguments of `command`, or of the image's own entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment variables of that container, added to or put in place of the workload's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<Variable>,
    /// What that container requests and is limited to, in place of what the workload says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Amounts>,
    /// The most that a request may ask for. What is not named here cannot be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_resources: Option<Amounts>,
    /// Labels of the copy. Those that a Service or a disruption budget would select it by are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = label_value()))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the copy, added to or put in place of the workload's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Drop the annotations of the workload's pods first?
    #[serde(default)]
    pub purge_annotations: bool,
    /// Further labels that the node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = label_value()))]
    pub node_selector: BTreeMap<String, String>,
    /// Further taints that the copy tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
    /// What becomes of the workload's persistent volumes.
    #[serde(default)]
    pub volume_claims: VolumeClaims,
    /// What is kept of that which a copy otherwise loses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub keep: Vec<Keep>,
    /// JSON patches (RFC 6902) of the copy, made last. Under `/metadata` they reach labels and annotations alone; what
    /// every copy has (its deadline, its end, its owner, no token) is set after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub patches: Vec<PatchOperation>,
    /// Which connections into the copy: `exec`, `attach`, `portforward`, `log`.
    #[serde(default = "shell_connections")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub connections: Vec<Connection>,
}

fn shell_connections() -> Vec<Connection> {
    vec![Connection::Exec, Connection::Log]
}

/// An environment variable with a plain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// Its name.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"))]
    pub name: String,
    /// Its value.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Amounts of memory and CPU above zero, as Kubernetes quantities: `128Mi`, `500m`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.memory) || self.memory == '' || quantity(self.memory).isGreaterThan(quantity('0'))",
     "memory must be above zero: a limit of nothing is no limit"),
    ("!has(self.cpu) || self.cpu == '' || quantity(self.cpu).isGreaterThan(quantity('0'))",
     "cpu must be above zero: a limit of nothing is no limit"),
])))]
pub struct Amounts {
    /// Memory in bytes: `128Mi`, `1G`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 20), regex(pattern = QUANTITY))]
    pub memory: String,
    /// Cores: `2`, `0.5`, `500m`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 20), regex(pattern = QUANTITY))]
    pub cpu: String,
}

/// What becomes of a workload's persistent volumes in a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeClaims {
    /// The copy has none of them, nor what would be mounted from them.
    #[default]
    Omit,
    /// The copy mounts them as well: what is written there is written for the workload.
    Share,
}

/// Parts of a pod that a copy loses unless its template keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Keep {
    /// Liveness, readiness and startup probes.
    Probes,
    /// `postStart` and `preStop` hooks.
    Lifecycle,
    /// `readinessGates`.
    ReadinessGates,
    /// `topologySpreadConstraints`.
    TopologySpread,
    /// Ports of the node.
    HostPorts,
    /// Tokens of the service account. Who reads one keeps its rights until the copy is gone.
    ServiceAccountToken,
}

/// One operation of a JSON patch (RFC 6902).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.from) == (self.op in ['move', 'copy'])", "move and copy take a from, the others do not"),
])))]
pub struct PatchOperation {
    /// What is done.
    pub op: PatchVerb,
    /// Where, as a JSON pointer (RFC 6901): `/spec/containers/0/image`.
    #[schemars(length(min = 1, max = 512), regex(pattern = PATCH_PATH))]
    pub path: String,
    /// From where, for `move` and `copy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = PATCH_PATH))]
    pub from: Option<String>,
    /// What, for `add`, `replace` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub value: Option<serde_json::Value>,
}

/// A schema that keeps whatever is there.
fn anything(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true})
}

/// The operations of RFC 6902.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the RFC's own names")]
pub enum PatchVerb {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

/// A debugging container, put beside those of a running pod. It cannot be taken out again: it stays until it ends by
/// itself or the pod does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DebugAccess {
    /// Which pods. A request may name one of them; else a ready one is chosen, once.
    pub pods: PodSource,
    /// The images that may be used, the first unless the request names another.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512), regex(pattern = IMAGE)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub images: Vec<String>,
    /// What the container may do; kubectl's profiles of the same names.
    #[serde(default)]
    pub profile: DebugProfile,
    /// The container whose processes it sees. Empty: the one that kubectl would enter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = LABEL_OR_EMPTY))]
    pub target: String,
    /// What it runs, in place of the image's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// The arguments of `command`, or of the image's own entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment variables: plain values, never from Secrets or ConfigMaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<Variable>,
    /// What becomes of the pod at the end: `Leave` leaves the debugging container running in it, `Evict` evicts the pod.
    #[serde(default)]
    pub on_end: OnEnd,
}

/// What a debugging container may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DebugProfile {
    /// Trace the target's processes (SYS_PTRACE).
    #[default]
    General,
    /// No more than the Pod Security level `baseline` allows.
    Baseline,
    /// No more than the Pod Security level `restricted` allows.
    Restricted,
    /// Administer the pod's network (NET_ADMIN, NET_RAW).
    NetAdmin,
    /// Everything: a privileged container.
    SysAdmin,
}

/// A Role or ClusterRole, lent in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleAccess {
    /// `Role` or `ClusterRole`.
    pub kind: RoleKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = ROLE))]
    pub name: String,
    /// Lend it although it can make access that outlasts the loan (write RBAC, read Secrets, make pods, ...)? Shown to
    /// who approves.
    #[serde(default)]
    pub allow_lasting: bool,
    /// As whom the holder acts.
    #[serde(default)]
    pub identity: Identity,
}

/// As whom the holder of a role acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Identity {
    /// As an account of the session's own, whose credential ends by itself.
    #[default]
    Session,
    /// As himself, with the credential that he has: the end then depends on Oz's controller. The namespace must have
    /// opted in.
    Requester,
}

/// The two kinds of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they are Kubernetes' own names")]
pub enum RoleKind {
    Role,
    ClusterRole,
}

impl RoleKind {
    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::ClusterRole => "ClusterRole",
        }
    }
}
