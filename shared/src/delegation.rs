//! Delegation: what one subject holds is lent to others when triggers are met, and taken back when others are.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, CustomResourceExt as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::namespace_class::SubjectKind;
use crate::request::{Release, Requester};
use crate::schema::{DURATION, LABEL_OR_EMPTY, TEXT, rules};
use crate::template::{history_ttl, label_value};

/// Lends what its origin holds to its destinations each time that all its triggers are met, until all its deletion triggers
/// are, as often as `repeat` says. Whoever writes one must be able to hand on himself what it lends. After creation nothing
/// in `spec` changes but that it is released.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "Delegation",
    namespaced,
    status = "DelegationStatus",
    shortname = "ozdel",
    category = "oz",
    derive = "PartialEq",
    doc = "What one subject holds, lent to others when triggers are met and taken back when others are.",
    printcolumn = r#"{"name":"From","type":"string","jsonPath":".spec.origin.name"}"#,
    printcolumn = r#"{"name":"To","type":"string","jsonPath":".spec.destinations[*].name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Iteration","type":"integer","jsonPath":".status.iteration"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.since"}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".spec.requester.username","priority":1}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.origin == oldSelf.origin && self.destinations == oldSelf.destinations && self.triggers == oldSelf.triggers && self.deletionTriggers == oldSelf.deletionTriggers && self.repeat == oldSelf.repeat && self.scope == oldSelf.scope && self.reason == oldSelf.reason && self.historyTtl == oldSelf.historyTtl",
     "what is delegated cannot change: release it, and make another"),
    ("self.requester == oldSelf.requester", "the requester cannot change"),
    ("!oldSelf.released || (self.released && self.releasedBy == oldSelf.releasedBy && self.releaseReason == oldSelf.releaseReason)",
     "a release is final"),
    ("self.released == (self.releasedBy != '') && (self.released || self.releaseReason == '')",
     "releasedBy and releaseReason go with released"),
])))]
pub struct DelegationSpec {
    /// Whose rights are lent.
    pub origin: Origin,
    /// To whom.
    #[schemars(length(min = 1, max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub destinations: Vec<Destination>,
    /// What must come about, all of it, for an iteration to begin.
    #[schemars(length(min = 1, max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub triggers: Vec<Trigger>,
    /// What must come about, all of it, after it has begun, for it to end.
    #[schemars(length(min = 1, max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub deletion_triggers: Vec<Trigger>,
    /// How many iterations there are: a number up to a million, or `Forever`.
    #[serde(default)]
    pub repeat: Repeat,
    /// Where the origin's rights are lent. Namespace: those that it has by RoleBindings here. Cluster: also those by
    /// ClusterRoleBindings; a ClusterRole is then bound in the whole cluster alone.
    #[serde(default)]
    pub scope: Scope,
    /// Why, for those who read it later.
    #[serde(default)]
    #[schemars(length(max = 1024), regex(pattern = TEXT))]
    pub reason: String,
    /// How long it stays as history after its end.
    #[serde(default = "history_ttl")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub history_ttl: String,
    /// Who delegates, exactly as the API server knows the caller (`kubectl auth whoami`).
    pub requester: Requester,
    /// Set to end it, by the requester or by who holds the verb `revoke` on it. Never unset.
    #[serde(default)]
    pub released: bool,
    /// Who released it: the caller.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub released_by: String,
    /// Why it was released.
    #[serde(default)]
    #[schemars(length(max = 1024), regex(pattern = TEXT))]
    pub release_reason: String,
}

/// Whose rights are lent: those of a role, or all that a subject is bound to by its exact name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.kind == 'ServiceAccount' || self.__namespace__ == ''", "a ServiceAccount, and nothing else, has a namespace"),
    ("!self.name.startsWith('system:')", "what is Kubernetes' own is nobody's to lend"),
    ("!(self.kind in ['Role', 'ClusterRole']) || !self.name.startsWith('oz-')", "Oz's own roles are nobody's to lend"),
    ("self.kind != 'ServiceAccount' || self.name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')", "this is no name of a ServiceAccount"),
    ("!self.__namespace__.startsWith('kube-') && !(self.__namespace__ in ['oz-system', 'oz-sessions'])", "what accounts of Kubernetes and of Oz hold is nobody's to lend"),
])))]
pub struct Origin {
    /// Role, ClusterRole, ServiceAccount, User or Group.
    pub kind: OriginKind,
    /// The name.
    #[schemars(length(min = 1, max = 253), regex(pattern = TEXT))]
    pub name: String,
    /// Of a ServiceAccount, its namespace; empty: this one.
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = LABEL_OR_EMPTY))]
    pub namespace: String,
}

/// The kinds of origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OriginKind {
    /// A Role of this namespace.
    Role,
    /// A ClusterRole, bound in this namespace, or under scope Cluster everywhere.
    ClusterRole,
    /// All that a program's account is bound to.
    ServiceAccount,
    /// All that a person is bound to by username.
    User,
    /// All that a group is bound to.
    Group,
}

impl OriginKind {
    /// The word, as RBAC has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::ClusterRole => "ClusterRole",
            Self::ServiceAccount => "ServiceAccount",
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Is it bound as it stands? Else its bindings are followed.
    #[must_use]
    pub const fn is_role(self) -> bool {
        matches!(self, Self::Role | Self::ClusterRole)
    }
}

/// To whom something is lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.kind == 'ServiceAccount' || self.__namespace__ == ''", "a ServiceAccount, and nobody else, has a namespace"),
    ("self.kind == 'ServiceAccount' || !self.name.startsWith('system:')", "to Kubernetes' own users and groups nothing is lent"),
    ("self.kind == 'ServiceAccount' ? self.name.matches('^[a-z0-9*]([-a-z0-9.*]*[a-z0-9*])?$') : !self.name.contains('*')", "* stands for anything in names of ServiceAccounts alone, which are of small letters, digits, - and ."),
    ("!self.__namespace__.startsWith('kube-') && !(self.__namespace__ in ['oz-system', 'oz-sessions'])", "to accounts of Kubernetes and of Oz nothing is lent"),
])))]
pub struct Destination {
    /// ServiceAccount, User or Group.
    pub kind: SubjectKind,
    /// The name. In that of a ServiceAccount `*` stands for anything: all accounts that are there under such a name, as they
    /// come and go.
    #[schemars(length(min = 1, max = 253), regex(pattern = TEXT))]
    pub name: String,
    /// Of a ServiceAccount, its namespace; empty: this one.
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = LABEL_OR_EMPTY))]
    pub namespace: String,
}

/// One thing that must come about: exactly one of `time`, `cron` and `event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("[self.time != '', self.cron != '', has(self.event)].filter(given, given).size() == 1", "a trigger is exactly one of time, cron and event"),
    ("self.timeZone == '' || !has(self.event)", "timeZone goes with time and cron"),
])))]
pub struct Trigger {
    /// `now`; a duration from when it is waited for, `14h`; an instant, `2026-12-24T18:00:00Z`; a time of day, `6:00pm` or
    /// `18:00`; or `Never`. It is made an instant once an iteration.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = TEXT))]
    pub time: String,
    /// The next instant of a schedule in cron's five fields: `0 18 * * 1-5`.
    #[serde(default)]
    #[schemars(length(max = 128), regex(pattern = TEXT))]
    pub cron: String,
    /// The zone of a time of day or a schedule: `Europe/Berlin`. Empty: UTC.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^[A-Za-z0-9_+/-]*$"))]
    pub time_zone: String,
    /// Something that happens to an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventTrigger>,
}

/// Something that happens to objects of this namespace (Nodes: of the cluster), so often, counted from when it is waited for.
/// What was there before does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("(self.name != '') != has(self.selector)", "objects are told by name or by selector"),
])))]
pub struct EventTrigger {
    /// Added, Updated or Deleted.
    // Not `on`, which YAML may read as true.
    #[serde(rename = "change")]
    pub on: EventKind,
    /// The kind of the objects.
    pub kind: ObservedKind,
    /// Their name; `*` stands for anything.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = r"^([a-zA-Z0-9*]([-a-zA-Z0-9:._*]*[a-zA-Z0-9*])?)?$"))]
    pub name: String,
    /// Their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<EventSelector>,
    /// How often.
    #[serde(default = "crate::template::one")]
    #[schemars(range(min = 1, max = 1000))]
    pub count: i32,
}

/// Objects by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSelector {
    /// All these labels, at least one.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = label_value()))]
    pub match_labels: BTreeMap<String, String>,
}

impl EventTrigger {
    /// Is an object of this name and these labels meant?
    #[must_use]
    pub fn is_of(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        match &self.selector {
            Some(selector) => {
                !selector.match_labels.is_empty()
                    && selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            }
            None => matches(&self.name, name),
        }
    }
}

/// What may happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they say what they mean")]
pub enum EventKind {
    Added,
    Updated,
    Deleted,
}

impl EventKind {
    /// The word, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "Added",
            Self::Updated => "Updated",
            Self::Deleted => "Deleted",
        }
    }
}

/// The kinds of object that a trigger may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they are Kubernetes' own names")]
pub enum ObservedKind {
    Pod,
    Node,
    Service,
    Secret,
    ServiceAccount,
    Endpoints,
    EndpointSlice,
    Deployment,
    StatefulSet,
    Job,
}

impl ObservedKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pod,
        Self::Node,
        Self::Service,
        Self::Secret,
        Self::ServiceAccount,
        Self::Endpoints,
        Self::EndpointSlice,
        Self::Deployment,
        Self::StatefulSet,
        Self::Job,
    ];

    /// Its API group, version and resource.
    #[must_use]
    pub const fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pod => ("", "v1", "pods"),
            Self::Node => ("", "v1", "nodes"),
            Self::Service => ("", "v1", "services"),
            Self::Secret => ("", "v1", "secrets"),
            Self::ServiceAccount => ("", "v1", "serviceaccounts"),
            Self::Endpoints => ("", "v1", "endpoints"),
            Self::EndpointSlice => ("discovery.k8s.io", "v1", "endpointslices"),
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::StatefulSet => ("apps", "v1", "statefulsets"),
            Self::Job => ("batch", "v1", "jobs"),
        }
    }

    /// The word, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Service => "Service",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
            Self::Endpoints => "Endpoints",
            Self::EndpointSlice => "EndpointSlice",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
        }
    }
}

/// How many iterations there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Repeat {
    /// So many.
    Times(i64),
    /// One after the other without end.
    Forever(Forever),
}

impl Default for Repeat {
    fn default() -> Self {
        Self::Times(1)
    }
}

impl Repeat {
    /// Is another iteration to follow the one of this number, counted from 1?
    #[must_use]
    pub const fn goes_on_after(self, iteration: i64) -> bool {
        match self {
            Self::Times(times) => iteration < times,
            Self::Forever(_) => true,
        }
    }
}

impl std::fmt::Display for Repeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::Forever(_) => f.write_str("Forever"),
        }
    }
}

impl JsonSchema for Repeat {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Repeat".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let rules = rules(&[(
            "type(self) == int ? self >= 1 && self <= 1000000 : self == 'Forever'",
            "repeat is a number from 1 to 1000000, or Forever",
        )]);
        schemars::json_schema!({"x-kubernetes-int-or-string": true, "nullable": false, "x-kubernetes-validations": rules})
    }
}

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "it says what it means")]
pub enum Forever {
    Forever,
}

/// Where the origin's rights are lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// In this namespace.
    #[default]
    Namespace,
    /// In the whole cluster as well.
    Cluster,
}

/// How a delegation stands; written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegationStatus {
    /// Waiting (for its triggers), Active (lent now), or how it ended: Released, Completed, Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<DelegationPhase>,
    /// Which iteration this is, from 1.
    #[serde(default)]
    pub iteration: i64,
    /// Since when it waits, or is lent: durations count from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The triggers of this iteration, in their order, once it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub triggers: Vec<TriggerStatus>,
    /// The deletion triggers of this iteration, in their order, while it is lent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub deletion_triggers: Vec<TriggerStatus>,
    /// The grant that holds what is lent in this iteration, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantRef>,
    /// What is bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub bindings: Vec<BindingRef>,
    /// What is lent, in words that a person can check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 2048)))]
    pub granted: Vec<String>,
    /// When it was first lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lent_at: Option<Time>,
    /// When it ended for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// When this record is deleted: `endedAt` and `historyTtl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<Time>,
    /// The generation that this says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted (it can be lent as it stands), Ready (lent now, all of it), ClocksAgree (False: NTP and the API server are so
    /// far apart that NTP's time does not count; there only once they were).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How a trigger stands in this iteration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// When it is met, or was. Of a time: fixed when it began to be waited for; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Has it come about?
    #[serde(default)]
    pub met: bool,
    /// Of an event: how often it has happened.
    #[serde(default, skip_serializing_if = "crate::request::is_zero")]
    pub count: i32,
    /// Of an event: the cluster's version up to which it was counted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub version: String,
    /// Of an event: when it was counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Time>,
}

/// A grant, not its namesakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantRef {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// A binding that was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct BindingRef {
    /// Its namespace; empty: a ClusterRoleBinding.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The role that is bound: `ClusterRole/view`.
    #[schemars(length(max = 300))]
    pub role: String,
    /// The binding of the origin that it mirrors; empty where a role is lent.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub of: String,
}

/// Where a delegation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DelegationPhase {
    /// Its triggers are not all met.
    Waiting,
    /// Lent now.
    Active,
    /// The requester, or who may revoke, ended it.
    Released,
    /// Its last iteration is over.
    Completed,
    /// It could not be lent, or its author may no longer hand it on; the conditions say why.
    Failed,
}

impl DelegationPhase {
    /// Is nothing left to come?
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Released | Self::Completed | Self::Failed)
    }

    /// The word, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Active => "Active",
            Self::Released => "Released",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}

impl Delegation {
    /// The present phase; Waiting where the controller has not looked yet.
    #[must_use]
    pub fn phase(&self) -> DelegationPhase {
        self.status.as_ref().and_then(|s| s.phase).unwrap_or(DelegationPhase::Waiting)
    }

    /// Its release, once there is one.
    #[must_use]
    pub fn release(&self) -> Option<Release<'_>> {
        Release::of(self.spec.released, &self.spec.released_by, &self.spec.release_reason)
    }

    /// The namespace of an account that is named here.
    #[must_use]
    pub fn namespace_of(&self, named: &str) -> String {
        if named.is_empty() { self.namespace().unwrap_or_default() } else { named.to_owned() }
    }

    /// Its origin, in words: `ServiceAccount/shop:ci`.
    #[must_use]
    pub fn origin_words(&self) -> String {
        let origin = &self.spec.origin;
        self.subject_words(origin.kind.as_str(), &origin.namespace, &origin.name)
    }

    /// Its destinations, in words.
    #[must_use]
    pub fn destination_words(&self) -> Vec<String> {
        let destinations = self.spec.destinations.iter();
        destinations.map(|d| self.subject_words(d.kind.as_str(), &d.namespace, &d.name)).collect()
    }

    fn subject_words(&self, kind: &str, namespace: &str, name: &str) -> String {
        match kind {
            "ServiceAccount" => format!("{kind}/{}:{name}", self.namespace_of(namespace)),
            _ => format!("{kind}/{name}"),
        }
    }
}

/// Its definition, as the API server keeps it: kube takes what may be left out and is a number or a word for nullable unless
/// told, and the API server keeps no `nullable: false`.
pub(crate) fn definition() -> CustomResourceDefinition {
    let mut definition = Delegation::crd();
    let schemas = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    let schemas = schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()?.properties.as_mut());
    let specs = schemas.filter_map(|properties| properties.get_mut("spec")?.properties.as_mut());
    specs.filter_map(|spec| spec.get_mut("repeat")).for_each(|repeat| repeat.nullable = None);
    definition
}

/// Is `name` of this pattern, in which `*` stands for anything, also for nothing?
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("a*b", "ab"),
            ("a*b*c", "axbyc"),
            ("**", "x"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("a", "ab"), ("a*a", "a"), ("a*b", "ba"), ("*-x", "x"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn reads_what_the_seed_says() {
        let spec: DelegationSpec = serde_json::from_value(json!({
            "origin": {"kind": "Role", "name": "deploy"},
            "destinations": [{"kind": "ServiceAccount", "name": "ci-*"}],
            "triggers": [{"time": "6:00pm"}], "deletionTriggers": [{"time": "14h"}], "repeat": 365,
            "requester": {"username": "alice"},
        }))
        .unwrap();
        assert_eq!(spec.repeat, Repeat::Times(365));
        assert!(spec.repeat.goes_on_after(364) && !spec.repeat.goes_on_after(365));
        assert_eq!((spec.history_ttl.as_str(), spec.scope), ("168h", Scope::Namespace));
        assert_eq!(serde_json::from_value::<Repeat>(json!("Forever")).unwrap().to_string(), "Forever");
        assert!(serde_json::from_value::<Repeat>(json!("forever")).is_err());
        assert_eq!(serde_json::to_value(Repeat::Forever(Forever::Forever)).unwrap(), json!("Forever"));
    }

    #[test]
    fn no_repeat_is_one() {
        let definition = serde_json::to_value(definition()).unwrap();
        let repeat = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            ["repeat"];
        assert_eq!((&repeat["nullable"], &repeat["default"]), (&json!(null), &json!(1)));
    }

    #[test]
    fn objects_are_told_by_name_or_by_labels() {
        let of = |fields: serde_json::Value| {
            let mut trigger = json!({"change": "Added", "kind": "Pod"});
            trigger.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value::<EventTrigger>(trigger).unwrap()
        };
        let labels = BTreeMap::from([("app".to_owned(), "api".to_owned())]);
        assert!(of(json!({"name": "api-*"})).is_of("api-0", &labels));
        assert!(!of(json!({"name": "api"})).is_of("api-0", &labels));
        assert!(of(json!({"selector": {"matchLabels": {"app": "api"}}})).is_of("x", &labels));
        assert!(!of(json!({"selector": {"matchLabels": {"app": "db"}}})).is_of("x", &labels));
        assert!(!of(json!({"selector": {"matchLabels": {}}})).is_of("x", &labels));
    }

    proptest! {
        #[test]
        fn a_pattern_is_as_a_regular_expression_has_it(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            // The plain definition: a star takes any number of letters.
            fn slowly(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|n| slowly(rest, &name[n..])),
                    Some((c, rest)) => name.first() == Some(c) && slowly(rest, &name[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &name), slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
