//! AccessRequest: what a template of its namespace offers, asked for by one person or pipeline.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::{Decision, Release, Request, RequestStatus, Requester, request_rules};
use crate::schema::{
    DURATION, IMAGE_OR_EMPTY, LABEL_OR_EMPTY, QUANTITY, SUBDOMAIN, SUBDOMAIN_OR_EMPTY, TEXT,
};

/// One person's or pipeline's request for what a template of this namespace offers. After creation nothing in `spec`
/// changes but that decisions are added and that it is released.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "AccessRequest",
    namespaced,
    status = "RequestStatus",
    shortname = "areq",
    category = "oz",
    derive = "PartialEq",
    doc = "A request for what a template offers: who asks, why, who decided, and how it stands.",
    printcolumn = r#"{"name":"Template","type":"string","jsonPath":".spec.template"}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".spec.requester.username"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".status.expiresAt"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = request_rules("self.template == oldSelf.template && self.pod == oldSelf.pod && self.container == oldSelf.container && self.memory == oldSelf.memory && self.cpu == oldSelf.cpu && self.node == oldSelf.node && self.image == oldSelf.image")))]
pub struct AccessRequestSpec {
    /// The template of this namespace that is asked for.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub template: String,
    /// For how long, from the approval on: `1h30m`. Empty: the template's default.
    #[serde(default)]
    #[schemars(length(max = 12), regex(pattern = DURATION))]
    pub duration: String,
    /// Why, for those who decide and those who read later.
    #[serde(default)]
    #[schemars(length(max = 1024), regex(pattern = TEXT))]
    pub reason: String,
    /// The pod that is meant. Empty: a ready one is chosen.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = SUBDOMAIN_OR_EMPTY))]
    pub pod: String,
    /// The container that is meant. Empty: whichever the template offers.
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = LABEL_OR_EMPTY))]
    pub container: String,
    /// Memory for the copy of the pod: `128Mi`. Empty: as the template or the workload has it.
    #[serde(default)]
    #[schemars(length(max = 20), regex(pattern = QUANTITY))]
    pub memory: String,
    /// Cores for the copy of the pod: `2`, `500m`. Empty: as the template or the workload has it.
    #[serde(default)]
    #[schemars(length(max = 20), regex(pattern = QUANTITY))]
    pub cpu: String,
    /// The node that the copy of a DaemonSet's pod is to run on. Empty: any.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = SUBDOMAIN_OR_EMPTY))]
    pub node: String,
    /// The image of the debugging container, one that the template offers. Empty: its first.
    #[serde(default)]
    #[schemars(length(max = 512), regex(pattern = IMAGE_OR_EMPTY))]
    pub image: String,
    /// Who asks, exactly as the API server knows the caller (`kubectl auth whoami`).
    pub requester: Requester,
    /// What was decided, one entry a decider. Added to, never changed; one Deny is final.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["by"]))]
    pub decisions: Vec<Decision>,
    /// Set to end it, by the requester or by who holds the verb `revoke` on the template. Never unset.
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

impl Request for AccessRequest {
    fn policy(&self) -> &str {
        &self.spec.template
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
}
