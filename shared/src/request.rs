//! What every kind of request has in common: who asks, who decided what, and how it stands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Resource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::schema::{TEXT, rules};

/// A request of any kind.
pub trait Request: Resource<DynamicType = ()> {
    /// The name of the template or class that it asks under.
    fn policy(&self) -> &str;
    /// Who asks.
    fn requester(&self) -> &Requester;
    /// For how long; empty: as the policy has it.
    fn duration(&self) -> &str;
    /// Why.
    fn reason(&self) -> &str;
    /// What was decided.
    fn decisions(&self) -> &[Decision];
    /// Its release, once there is one.
    fn release(&self) -> Option<Release<'_>>;
    /// How it stands, once the controller has looked.
    fn status(&self) -> Option<&RequestStatus>;
    /// How often its account was to be made anew.
    fn rotations(&self) -> i32 {
        0
    }

    /// The present phase; Pending where the controller has not looked yet.
    fn phase(&self) -> Phase {
        self.status().and_then(|s| s.phase).unwrap_or(Phase::Pending)
    }
}

/// Who ended a request before its time, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a> {
    /// The caller.
    pub by: &'a str,
    /// His reason, or nothing.
    pub reason: &'a str,
}

impl<'a> Release<'a> {
    pub(crate) fn of(released: bool, by: &'a str, reason: &'a str) -> Option<Self> {
        released.then_some(Self { by, reason })
    }
}

/// The CEL rules of a request's spec: after creation nothing in it changes but that decisions are added and that it is
/// released. `unchanged` compares the fields that are the kind's own.
pub(crate) fn request_rules(unchanged: &str) -> serde_json::Value {
    rules(&[
        (
            &format!("{unchanged} && self.duration == oldSelf.duration && self.reason == oldSelf.reason"),
            "what was asked for cannot change: ask again",
        ),
        ("self.requester == oldSelf.requester", "the requester cannot change"),
        (
            "!oldSelf.released || (self.released && self.releasedBy == oldSelf.releasedBy && self.releaseReason == oldSelf.releaseReason)",
            "a release is final",
        ),
        (
            "self.released == (self.releasedBy != '') && (self.released || self.releaseReason == '')",
            "releasedBy and releaseReason go with released",
        ),
        (
            "self.decisions.size() >= oldSelf.decisions.size() && self.decisions.size() <= oldSelf.decisions.size() + 1",
            "one decision at a time, and none is taken back",
        ),
        ("oldSelf.decisions.all(o, self.decisions.exists(d, d.by == o.by))", "a decision is not taken back"),
        (
            "self.decisions.size() == oldSelf.decisions.size() || !(oldSelf.released || oldSelf.decisions.exists(d, d.decision == 'Deny'))",
            "it was denied or released: nothing is left to decide",
        ),
    ])
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

/// How a request stands; written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestStatus {
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
    /// The template or class by which that is offered, in its present state: what an approval has to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_by: Option<TemplatePin>,
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
    /// How often that account was made anew.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotations: i32,
    /// The namespaces that were made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub namespaces: Vec<NamespaceRef>,
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

pub(crate) fn is_zero(n: &i32) -> bool {
    *n == 0
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

/// One namespace, not its namesakes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its uid.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}
