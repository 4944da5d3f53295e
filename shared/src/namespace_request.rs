//! NamespaceRequest: namespaces of a class, asked for by one person or pipeline, under one account.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::namespace_class::Subject;
use crate::request::{Decision, Release, Request, RequestStatus, Requester, request_rules};
use crate::schema::{DURATION, LABEL, SUBDOMAIN, SUBDOMAIN_OR_EMPTY, TEXT, rules};

/// One person's or pipeline's request for namespaces. They live until its deadline, and are deleted with all that is in
/// them. After creation nothing in `spec` changes but that decisions are added and that it is released.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ozaccess.io",
    version = "v1alpha1",
    kind = "NamespaceRequest",
    namespaced,
    status = "RequestStatus",
    shortname = "nsreq",
    category = "oz",
    derive = "PartialEq",
    doc = "A request for namespaces of a class: who asks, why, who decided, and how it stands.",
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.class"}"#,
    printcolumn = r#"{"name":"Namespaces","type":"string","jsonPath":".spec.namespaces"}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".spec.requester.username"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".status.expiresAt"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = request_rules("self.class == oldSelf.class && self.namespaces == oldSelf.namespaces && self.owners == oldSelf.owners && self.credential == oldSelf.credential && self.extends == oldSelf.extends")))]
pub struct NamespaceRequestSpec {
    /// The class that is asked for.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub class: String,
    /// What the namespaces are to be called.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[
        ("self.all(n, !n.startsWith('kube-') && !(n in ['default', 'oz-system', 'oz-sessions', 'oz-requests', 'nsplease-requests']))",
         "kube-*, default and Oz's own namespaces are not to be had"),
    ])))]
    pub namespaces: Vec<String>,
    /// Who owns them beside whoever asks. They are bound by name.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub owners: Vec<Subject>,
    /// By what whoever asks owns them.
    #[serde(default)]
    pub credential: Credential,
    /// The request whose namespaces this one takes over, to keep them for longer.
    #[serde(default)]
    pub extends: RequestPin,
    /// For how long, from the approval on: `1h30m`. Empty: the class's default.
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

/// By what the requester owns the namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("(self.type == 'Of') == (self.name != '') && (self.type == 'Of') == (self.uid != '')", "name and uid go with type Of"),
])))]
pub struct Credential {
    /// Session: by an account of its own, for which the requester mints tokens. Requester: himself, bound by name. Of: by
    /// the account of another request of his, so that one token does for all.
    #[serde(default, rename = "type")]
    pub kind: CredentialKind,
    /// Of which request: its name, in this namespace.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = SUBDOMAIN_OR_EMPTY))]
    pub name: String,
    /// Its uid.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// The kinds of credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialKind {
    /// An account of its own, for which the requester mints tokens.
    #[default]
    Session,
    /// The requester himself, bound by name.
    Requester,
    /// The account of another request of the same requester: one token for all.
    Of,
}

/// A request of this namespace, not its namesakes; or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("(self.name == '') == (self.uid == '')", "name and uid go together"),
])))]
pub struct RequestPin {
    /// Its name.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = SUBDOMAIN_OR_EMPTY))]
    pub name: String,
    /// Its uid.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
}

impl Request for NamespaceRequest {
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
}
