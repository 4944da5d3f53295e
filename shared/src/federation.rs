//! Federation: a partner's cluster, or a pipeline of its, deploys here by an account of its own.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::{Decision, Release, Request, RequestStatus, Requester, request_rules};
use crate::schema::{DURATION, LABEL, ROLE_OR_EMPTY, SUBDOMAIN, TEXT, rules};

/// A standing request of one who answers for a partner: a namespace of a class, an account that owns it and renews its
/// own token, and, as far as that was asked for, further namespaces and reading in the whole cluster. After creation
/// nothing in `spec` changes but that decisions are added, that it is released, and that its account is made anew.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "Federation",
    status = "RequestStatus",
    shortname = "ozfed",
    category = "oz",
    derive = "PartialEq",
    doc = "A request for a partner's standing access: who it is, what it gets, who decided, and how it stands.",
    printcolumn = r#"{"name":"Organization","type":"string","jsonPath":".spec.organization"}"#,
    printcolumn = r#"{"name":"Cluster","type":"string","jsonPath":".spec.cluster"}"#,
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.class"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".status.namespaces[0].name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".status.expiresAt"}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".spec.requester.username","priority":1}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = request_rules("self.organization == oldSelf.organization && self.cluster == oldSelf.cluster && self.class == oldSelf.class && self.__namespace__ == oldSelf.__namespace__ && self.further == oldSelf.further && self.clusterRole == oldSelf.clusterRole")))]
pub struct FederationSpec {
    /// Whose partner it is.
    #[schemars(length(min = 1, max = 128), regex(pattern = TEXT))]
    pub organization: String,
    /// What its cluster is called over there.
    #[schemars(length(min = 1, max = 128), regex(pattern = TEXT))]
    pub cluster: String,
    /// The class that its namespaces are of.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub class: String,
    /// What its first namespace, in which it asks for further ones, is to be called.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[
        ("!self.startsWith('kube-') && !(self in ['default', 'oz-system', 'oz-sessions', 'oz-requests', 'nsplease-requests'])",
         "kube-*, default and Oz's own namespaces are not to be had"),
    ])))]
    pub namespace: String,
    /// How many further namespaces it may have at a time.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub further: i32,
    /// The ClusterRole by which it reads in the whole cluster; empty: it does not.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = ROLE_OR_EMPTY))]
    pub cluster_role: String,
    /// For how long, from the approval on: `8760h`. Empty: the class's default.
    #[serde(default)]
    #[schemars(length(max = 12), regex(pattern = DURATION))]
    pub duration: String,
    /// Why, for those who decide and those who read later.
    #[serde(default)]
    #[schemars(length(max = 1024), regex(pattern = TEXT))]
    pub reason: String,
    /// Who asks, exactly as the API server knows the caller (`kubectl auth whoami`).
    pub requester: Requester,
    /// What was decided, one entry a decider. Added to, never changed; one Deny is final.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["by"]))]
    pub decisions: Vec<Decision>,
    /// How often its account was to be made anew, so that older tokens are worth nothing: set one higher by the requester,
    /// or by who holds the verb `revoke` on the class.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self >= oldSelf && self <= oldSelf + 10", "rotations are only added, and few at a time")])))]
    pub rotations: i32,
    /// Set to end it, by the requester or by who holds the verb `revoke` on the class. Never unset.
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

impl Request for Federation {
    fn policy(&self) -> &str {
        &self.spec.class
    }
    fn requester(&self) -> &Requester {
        &self.spec.requester
    }
    fn duration(&self) -> &str {
        &self.spec.duration
    }
    fn reason(&self) -> &str {
        &self.spec.reason
    }
    fn decisions(&self) -> &[Decision] {
        &self.spec.decisions
    }
    fn release(&self) -> Option<Release<'_>> {
        Release::of(self.spec.released, &self.spec.released_by, &self.spec.release_reason)
    }
    fn status(&self) -> Option<&RequestStatus> {
        self.status.as_ref()
    }
    fn rotations(&self) -> i32 {
        self.spec.rotations
    }
}
