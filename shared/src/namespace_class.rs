//! NamespaceClass: a kind of namespace that may be asked for, and what stands in each one of it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::policy::{Consent, Policy};
use crate::schema::{DURATION, LABEL, LABEL_OR_ALL, ROLE, SUBDOMAIN, TEXT, rules};
use crate::template::{
    Approvers, DurationBounds, ReasonPolicy, history_ttl, label_value, one, pending_timeout,
};

/// A kind of namespace: what those may be called, who owns them by which role, what stands in them, for how long, and
/// with whose consent. Whoever writes one must be able to do himself what it offers.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "NamespaceClass",
    plural = "namespaceclasses",
    shortname = "nsclass",
    category = "oz",
    derive = "PartialEq",
    doc = "A kind of namespace that may be asked for: names, owners, contents, time, consent.",
    printcolumn = r#"{"name":"Description","type":"string","jsonPath":".spec.description","priority":1}"#,
    printcolumn = r#"{"name":"Role","type":"string","jsonPath":".spec.role"}"#,
    printcolumn = r#"{"name":"Default","type":"string","jsonPath":".spec.ttl.default"}"#,
    printcolumn = r#"{"name":"Max","type":"string","jsonPath":".spec.ttl.max"}"#,
    printcolumn = r#"{"name":"Approvals","type":"integer","jsonPath":".spec.approvals"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.resources.filter(r, r.kind == 'RoleBinding').size() <= 4", "at most four of the resources are RoleBindings"),
    ("!self.role.startsWith('oz-')", "Oz's own roles are nobody's to own a namespace by"),
])))]
pub struct NamespaceClassSpec {
    /// One line for people who choose among classes.
    #[serde(default)]
    #[schemars(length(max = 256), regex(pattern = TEXT))]
    pub description: String,
    /// In which namespaces it may be asked for. Who may ask and who may decide there is for the rights in those to say;
    /// `*` stands for all, and with it whoever holds everything in any namespace has the class.
    #[serde(default = "requests")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63), regex(pattern = LABEL_OR_ALL)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub from: Vec<String>,
    /// What its namespaces may be called. Keep to names that are the class's alone: whoever makes accounts in a namespace
    /// has what the cluster's bindings give to accounts of that name, from whatever stood there before.
    pub names: NameRules,
    /// What becomes of a request for a name that is taken. Refuse: it fails. Suffix: it gets the name with a dash and five
    /// letters or digits after it.
    #[serde(default)]
    pub on_taken: OnTaken,
    /// The ClusterRole by which a namespace is owned. What can be made with it lasts as long as the namespace, and no
    /// longer.
    #[schemars(length(min = 1, max = 253), regex(pattern = ROLE))]
    pub role: String,
    /// May owners write NetworkPolicies, if their role lets them? Else only those of `resources` stand.
    #[serde(default)]
    pub owners_write_network_policies: bool,
    /// How long a namespace lives.
    pub ttl: DurationBounds,
    /// How many different people must approve. 0: nobody, whoever may ask gets it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 8))]
    pub approvals: i32,
    /// Who, beyond people, may decide.
    #[serde(default)]
    pub approvers: Approvers,
    /// Must a request say why?
    #[serde(default)]
    pub reason: ReasonPolicy,
    /// How many namespaces of this class one requester may have at a time.
    #[serde(default = "max_live")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_live: i32,
    /// What a Federation may have of this class. Without it the class is for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federation: Option<FederationTerms>,
    /// The Pod Security level that is enforced.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Further labels of the namespace.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = label_value()))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[
        ("self.all(k, !k.matches('(^|[.])(kubernetes|k8s)[.]io/') && !k.startsWith('ozaccess.io/'))",
         "labels of Kubernetes and of Oz are not the class's to set"),
    ])))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the namespace. `${NAMESPACE}` and `${REQUESTER}` in a value stand for what they say.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 1024}))]
    pub annotations: BTreeMap<String, String>,
    /// What stands in each namespace. Its owners can neither change nor delete it.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub resources: Vec<NamespaceResource>,
    /// A request that is not granted within this time expires.
    #[serde(default = "pending_timeout")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub pending_timeout: String,
    /// How long a request stays as history after its end.
    #[serde(default = "history_ttl")]
    #[schemars(length(min = 2, max = 12), regex(pattern = DURATION))]
    pub history_ttl: String,
}

impl Policy for NamespaceClass {
    fn consent(&self) -> Consent<'_> {
        let spec = &self.spec;
        Consent {
            duration: &spec.ttl,
            approvals: spec.approvals,
            approvers: &spec.approvers,
            reason: spec.reason,
            pending_timeout: &spec.pending_timeout,
            history_ttl: &spec.history_ttl,
        }
    }
}

impl NamespaceClassSpec {
    /// May it be asked for in this namespace?
    #[must_use]
    pub fn is_offered_in(&self, namespace: &str) -> bool {
        self.from.iter().any(|from| from == namespace || from == "*")
    }
}

/// What a partner's cluster may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FederationTerms {
    /// How many namespaces, at most, beside the first one.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub further: i32,
    /// The ClusterRoles of which it may have one to read in the whole cluster.
    #[serde(default)]
    #[schemars(length(max = 4), inner(length(min = 1, max = 253), regex(pattern = ROLE)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[
        ("self.all(r, !r.startsWith('oz-'))", "Oz's own roles are nobody's to have"),
    ])))]
    pub cluster_roles: Vec<String>,
}

fn requests() -> Vec<String> {
    vec!["oz-requests".to_owned()]
}

fn max_live() -> i32 {
    10
}

/// What namespaces may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameRules {
    /// An RE2 expression for the whole name: `ci-[a-z0-9-]+`. Whatever it says, a name is a DNS label.
    #[schemars(length(min = 1, max = 256), regex(pattern = TEXT))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[
        ("'name'.matches(self) in [true, false] && 'name'.matches('^(?:' + self + ')$') in [true, false]", "the pattern must be an RE2 expression"),
    ])))]
    pub pattern: String,
    /// What names begin with. Requester: with the requester's name and a dash; of the name, what is no letter or digit is
    /// a dash, and of a ServiceAccount, its namespace and name count. Partner: with the Federation's name and a dash.
    #[serde(default)]
    pub prefix: Prefix,
}

/// What the name of a namespace begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Prefix {
    /// Anything.
    #[default]
    None,
    /// The requester's name and a dash. Of the name, what is no letter or digit is a dash; of a ServiceAccount, its
    /// namespace and name count.
    Requester,
    /// The name of the Federation and a dash; the first namespace may be called as the Federation is. Nobody else gets one.
    Partner,
}

/// What becomes of a request for a name that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTaken {
    /// It fails.
    #[default]
    Refuse,
    /// It gets the name with a dash and five letters or digits after it.
    Suffix,
}

/// A Pod Security level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Nothing is held back.
    Privileged,
    /// What is known to break out of a container is.
    #[default]
    Baseline,
    /// Everything that good practice forgoes is.
    Restricted,
}

impl PodSecurity {
    /// The word, as labels carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// An object that stands in each namespace of a class. In its texts, but not in names of fields, `${NAMESPACE}` stands for
/// the namespace's name and `${REQUESTER}` for the requester's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.spec) == (self.kind in ['ResourceQuota', 'LimitRange', 'NetworkPolicy'])", "spec is for ResourceQuota, LimitRange and NetworkPolicy"),
    ("has(self.data) == (self.kind == 'ConfigMap')", "data is for ConfigMap"),
    ("has(self.role) == (self.kind == 'RoleBinding') && has(self.subjects) == has(self.role)", "role and subjects are for RoleBinding"),
    ("!self.name.startsWith('oz-') && !(self.kind == 'ConfigMap' && self.name == 'kube-root-ca.crt')", "the name is taken"),
    ("!has(self.role) || !self.role.startsWith('oz-')", "Oz's own roles are nobody's to have in a lent namespace"),
])))]
pub struct NamespaceResource {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: String,
    /// The spec of a ResourceQuota, LimitRange or NetworkPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub spec: Option<Value>,
    /// The data of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 16384}))]
    pub data: Option<BTreeMap<String, String>>,
    /// The ClusterRole of a RoleBinding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub role: Option<String>,
    /// To whom a RoleBinding gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub subjects: Option<Vec<Subject>>,
}

fn anything(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The kinds of object that a class may put into its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResourceKind {
    /// Bounds of what may be used.
    ResourceQuota,
    /// Defaults and bounds of single pods.
    LimitRange,
    /// Who may talk to whom.
    NetworkPolicy,
    /// Settings.
    ConfigMap,
    /// Rights for those who keep the cluster.
    RoleBinding,
}

/// Somebody by name, as RBAC knows him.
// `namespace` is a reserved word of CEL, which newer API servers take as it is and older ones do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("(self.kind == 'ServiceAccount') == (self.__namespace__ != '')", "a ServiceAccount, and nobody else, has a namespace"),
    ("!self.name.startsWith('system:')", "Kubernetes' own users and groups own nothing"),
    ("!self.__namespace__.startsWith('kube-') && !(self.__namespace__ in ['oz-system', 'oz-sessions'])", "accounts of Kubernetes and of Oz own nothing"),
])))]
pub struct Subject {
    /// User, Group or ServiceAccount.
    pub kind: SubjectKind,
    /// The name.
    #[schemars(length(min = 1, max = 253), regex(pattern = TEXT))]
    pub name: String,
    /// Of a ServiceAccount, its namespace.
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = crate::schema::LABEL_OR_EMPTY))]
    pub namespace: String,
}

impl Subject {
    /// Somebody by his username, as RBAC binds him.
    #[must_use]
    pub fn of(username: &str) -> Self {
        let account = username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        match account {
            Some((namespace, name)) => Self {
                kind: SubjectKind::ServiceAccount,
                name: name.to_owned(),
                namespace: namespace.to_owned(),
            },
            None => Self { kind: SubjectKind::User, name: username.to_owned(), namespace: String::new() },
        }
    }
}

/// The kinds of subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// A person, by username.
    User,
    /// All who are in a group.
    Group,
    /// A program's account.
    ServiceAccount,
}

impl SubjectKind {
    /// The word, as RBAC has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.as_str();
        if self.namespace.is_empty() {
            write!(f, "{kind}/{}", self.name)
        } else {
            write!(f, "{kind}/{}:{}", self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_bound_as_what_they_are() {
        let account = Subject::of("system:serviceaccount:ci:builder");
        assert_eq!(
            (account.kind, account.namespace.as_str(), account.name.as_str()),
            (SubjectKind::ServiceAccount, "ci", "builder")
        );
        assert_eq!(Subject::of("alice").kind, SubjectKind::User);
    }
}
