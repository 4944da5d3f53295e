//! Grant: what is lent, to whom, for which request, until when. Written by the controller alone, deleted once it has
//! ended: the Grants that exist are the answer to "who has access now".

use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::conditions::{self, ENDED};
use crate::copy::Asked;
use crate::namespace_class::{NamespaceResource, OnTaken, Subject};
use crate::request::{NamespaceRef, TemplatePin};
use crate::schema::rules;
use crate::template::{OnEnd, RoleKind, ShellAccess};

/// What is lent, to whom and until when. It owns what was made for it, so deleting it ends the access by itself.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "Grant",
    status = "GrantStatus",
    shortname = "ozg",
    category = "oz",
    derive = "PartialEq",
    doc = "What is lent now, to whom and until when. Written by Oz's controller alone; deleting one ends the access.",
    printcolumn = r#"{"name":"Holder","type":"string","jsonPath":".spec.holder.username"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.request.namespace"}"#,
    printcolumn = r#"{"name":"Request","type":"string","jsonPath":".spec.request.name"}"#,
    printcolumn = r#"{"name":"Template","type":"string","jsonPath":".spec.terms.template.name"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expiresAt"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason","priority":1}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".spec.account","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self == oldSelf", "a grant does not change hands, grow or end later"),
])))]
pub struct GrantSpec {
    /// To whom.
    pub holder: Holder,
    /// For which request.
    pub request: RequestRef,
    /// The Federation's grant by whose account it was asked for: when that ends, so does this.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub parent: String,
    /// Why, as the requester put it.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// The account in oz-sessions under which the holder acts; its name ends in the deadline.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub account: String,
    /// When it was approved, by the API server's clock.
    pub approved_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// What is lent: a Role of the account's name in each of these namespaces.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub access: Vec<NamespaceAccess>,
    /// The pods that it rests on: when one is gone or replaced, the grant ends.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub pods: Vec<PodRef>,
    /// The copy of a workload's pod that is made for it: when that is gone, the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyTerms>,
    /// The debugging container that is put into its pod: when that has ended, the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<DebugTerms>,
    /// The role that is bound for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleTerms>,
    /// The namespaces that are made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceTerms>,
    /// The iteration of a delegation that it holds. What is bound for it follows its origin, so it stands in the delegation's
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<DelegatedTerms>,
    /// The same in words.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 2048)))]
    pub granted: Vec<String>,
    /// The terms as they stood at approval; later changes of the template do not reach the grant.
    pub terms: Terms,
}

/// To whom something is lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// The username.
    #[schemars(length(min = 1, max = 512))]
    pub username: String,
    /// The uid, or empty.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub uid: String,
}

/// The request that a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RequestRef {
    /// `AccessRequest`, `NamespaceRequest`, `Federation` or `Delegation`.
    #[schemars(length(max = 64))]
    pub kind: String,
    /// Its namespace, or empty.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid. A request of the same name with another uid is another request.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// The rules lent in one namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceAccess {
    /// The namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// RBAC rules, each for named objects.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<PolicyRule>,
}

/// One pod, not its namesakes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PodRef {
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// The container to enter where none is named.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub container: String,
}

/// The copy of a workload's pod, as it is to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopyTerms {
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The container to enter.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// The uid of the workload: another one of its name is not copied.
    #[schemars(length(min = 1, max = 64))]
    pub workload_uid: String,
    /// The digest of the copy that was agreed to: another one is not made.
    #[schemars(length(min = 1, max = 64))]
    pub digest: String,
    /// How long it runs, in seconds from its start.
    pub seconds: i64,
    /// When it must be running.
    pub start_by: Time,
    /// What the request asks of it.
    pub asked: Asked,
    /// The template's own terms.
    pub shell: ShellAccess,
}

/// The debugging container, as it is put into the grant's pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DebugTerms {
    /// How long it is lent, in seconds from its start.
    pub seconds: i64,
    /// When it must be running.
    pub start_by: Time,
    /// The ephemeral container.
    #[schemars(schema_with = "ephemeral_container")]
    pub container: serde_json::Value,
}

fn ephemeral_container(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A role that is bound, not copied: it is lent as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleTerms {
    /// The namespace in which it is bound; empty: in the whole cluster, to read there and no more.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// `Role` or `ClusterRole`.
    pub kind: RoleKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid: another one of its name is not lent.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// May it come to hold what outlasts the loan?
    #[serde(default)]
    pub allow_lasting: bool,
}

/// One iteration of a delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DelegatedTerms {
    /// Which one, from 1.
    pub iteration: i64,
    /// Whose rights are lent: `ServiceAccount/shop:ci`.
    #[schemars(length(max = 512))]
    pub origin: String,
    /// To whom, likewise.
    #[schemars(length(max = 32), inner(length(max = 512)))]
    pub destinations: Vec<String>,
}

/// The end of a grant whose end is not a time's to say.
pub const NO_SET_END: jiff::Timestamp = jiff::Timestamp::constant(253_370_764_800, 0);

/// The namespaces, as they are to be made. They are nobody's dependants: the controller deletes them at the end, and they
/// outlast an uninstallation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceTerms {
    /// What they are to be called.
    #[schemars(length(min = 1, max = 16), inner(length(max = 63)))]
    pub names: Vec<String>,
    /// What becomes of one whose name is taken.
    #[serde(default)]
    pub on_taken: OnTaken,
    /// Their labels.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
    /// Their annotations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,
    /// The ClusterRole of their owners.
    #[schemars(length(min = 1, max = 253))]
    pub role: String,
    /// The account of another grant that owns them, where they share one.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub shared_account: String,
    /// Who owns them by name.
    #[serde(default)]
    #[schemars(length(max = 33))]
    pub owners: Vec<Subject>,
    /// What stands in each of them.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub resources: Vec<NamespaceResource>,
    /// How many its holder may have of this class at a time.
    pub max_live: i32,
    /// How many further ones its holder may have by asking in the first one.
    #[serde(default)]
    pub further: i32,
    /// The grant from which they are taken over; empty where they are made.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub extends: String,
}

/// The terms of the loan, copied when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The template in the state that was approved.
    pub template: TemplateTerms,
    /// Who approved.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub approved_by: Vec<String>,
    /// How long the request stays as history.
    #[schemars(length(max = 12))]
    pub history_ttl: String,
    /// What becomes of the pods at the end.
    #[serde(default)]
    pub on_end: OnEnd,
}

/// A template in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateTerms {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid and generation.
    #[serde(flatten)]
    pub pin: TemplatePin,
}

/// How the grant stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantStatus {
    /// The copy, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<PodRef>,
    /// The namespaces, once they were made, in the order of their names in the terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub namespaces: Vec<NamespaceRef>,
    /// How often its account was made anew.
    #[serde(default, skip_serializing_if = "crate::request::is_zero")]
    pub rotations: i32,
    /// When the copy ends by itself, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// Ready: everything was made. Nothing is ever made again after that. Ended: everything was taken back, and why; False
    /// while it is being taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl Grant {
    /// The pods that it rests on: those that were there, and the copy once it is.
    pub fn pods(&self) -> impl Iterator<Item = &PodRef> {
        self.spec.pods.iter().chain(self.status.iter().filter_map(|s| s.copy.as_ref()))
    }

    /// Has neither its end begun, as far as it tells, nor its time come?
    #[must_use]
    pub fn stands(&self, now: jiff::Timestamp) -> bool {
        let ended = self.status.as_ref().is_some_and(|s| conditions::get(&s.conditions, ENDED).is_some());
        self.metadata.deletion_timestamp.is_none() && !ended && now < self.deadline()
    }

    /// Against whom its namespaces count, by name and uid: who holds it, or the federation by which they were asked for.
    #[must_use]
    pub fn counts_for(&self) -> (&str, &str) {
        match self.spec.parent.as_str() {
            "" => (&self.spec.holder.username, &self.spec.holder.uid),
            parent => (parent, ""),
        }
    }

    /// When it ends by itself: as was fixed at approval, or when its copy does.
    #[must_use]
    pub fn deadline(&self) -> jiff::Timestamp {
        let copy = self.status.as_ref().and_then(|s| s.ends_at.as_ref()).map(|t| t.0);
        copy.map_or(self.spec.expires_at.0, |end| end.min(self.spec.expires_at.0))
    }
}
