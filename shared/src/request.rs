//! AccessRequest: who asks for which template and why, who decided what, and how it stands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::schema::{
    DURATION, IMAGE_OR_EMPTY, LABEL_OR_EMPTY, QUANTITY, SUBDOMAIN, SUBDOMAIN_OR_EMPTY, TEXT, rules,
};

/// One person's or pipeline's request for what a template of this namespace offers. After creation nothing in `spec`
/// changes but that decisions are added and that it is released.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "AccessRequest",
    namespaced,
    status = "AccessRequestStatus",
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
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.template == oldSelf.template && self.duration == oldSelf.duration && self.reason == oldSelf.reason && self.pod == oldSelf.pod && self.container == oldSelf.container && self.memory == oldSelf.memory && self.cpu == oldSelf.cpu && self.node == oldSelf.node && self.image == oldSelf.image",
     "what was asked for cannot change: ask again"),
    ("self.requester == oldSelf.requester", "the requester cannot change"),
    ("!oldSelf.released || (self.released && self.releasedBy == oldSelf.releasedBy && self.releaseReason == oldSelf.releaseReason)",
     "a release is final"),
    ("self.released == (self.releasedBy != '') && (self.released || self.releaseReason == '')",
     "releasedBy and releaseReason go with released"),
    ("self.decisions.size() >= oldSelf.decisions.size() && self.decisions.size() <= oldSelf.decisions.size() + 1",
     "one decision at a time, and none is taken back"),
    ("oldSelf.decisions.all(o, self.decisions.exists(d, d.by == o.by))", "a decision is not taken back"),
    ("self.decisions.size() == oldSelf.decisions.size() || !(oldSelf.released || oldSelf.decisions.exists(d, d.decision == 'Deny'))",
     "it was denied or released: nothing is left to decide"),
])))]
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

/// Who asks, as the API server saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requester {
    /// The username.
    #[schemars(length(min = 1, max = 512), regex(pattern = TEXT))]
    pub username: String,
    /// The uid; empty where the authenticator gives none, as with client certificates.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub uid: String,
    /// All groups, in the API server's order.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(length(max = 512)))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub groups: Vec<String>,
}

/// One person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "a decision is final")])))]
pub struct Decision {
    /// Who decides: the caller.
    #[schemars(length(min = 1, max = 512))]
    pub by: String,
    /// Yes or no.
    pub decision: Verdict,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = 1024), regex(pattern = TEXT))]
    pub reason: String,
    /// The uid of the request that was looked at: names are reused, uids are not.
    #[schemars(length(max = 64))]
    pub request: String,
    /// The template as it was looked at.
    pub template: TemplatePin,
    /// The request's `status.offerDigest` as it was looked at; empty where that is.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub offer: String,
}

/// A template in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplatePin {
    /// Its `metadata.uid`.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Its `metadata.generation`.
    pub generation: i64,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Yes, if enough others say so too.
    Approve,
    /// No, finally.
    Deny,
}

/// How the request stands; written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequestStatus {
    /// Pending, Approved (the grant is being made), Active, or how it ended: Denied, Released, Expired, Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// When the last approval that was needed took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Time>,
    /// When it ends by itself. Fixed at approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// When this record is deleted: `endedAt` and the template's `historyTtl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<Time>,
    /// What would be lent, in words that a person can check, while decisions are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 2048)))]
    pub offered: Vec<String>,
    /// Tells what is offered from what it may become: an approval counts for this alone. Empty where the template says it
    /// all, as for `exec`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub offer_digest: String,
    /// What is lent, in words that a person can check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 2048)))]
    pub granted: Vec<String>,
    /// The Grant that holds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub grant: String,
    /// The session's account in oz-sessions, for which its holder mints tokens.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub account: String,
    /// The pod that was chosen or named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub pod: String,
    /// The container to enter where none is named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub container: String,
    /// Milliseconds from creation to each phase.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub timings: BTreeMap<String, i64>,
    /// Accepted (it can be granted as asked), Approved, Ready (usable now).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Decisions are missing.
    Pending,
    /// Enough were given; the grant is being made.
    Approved,
    /// Usable now.
    Active,
    /// Someone said no.
    Denied,
    /// The requester, or who may revoke, ended it.
    Released,
    /// Its time, or the time to decide, was over.
    Expired,
    /// It could not be granted, or not be kept up; the conditions say why.
    Failed,
}

impl Phase {
    /// Is nothing left to come?
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Denied | Self::Released | Self::Expired | Self::Failed)
    }

    /// The word, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Active => "Active",
            Self::Denied => "Denied",
            Self::Released => "Released",
            Self::Expired => "Expired",
            Self::Failed => "Failed",
        }
    }
}

impl AccessRequest {
    /// The present phase; Pending where the controller has not looked yet.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().and_then(|s| s.phase).unwrap_or(Phase::Pending)
    }
}
