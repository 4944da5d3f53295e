//! What tells the kinds of request apart; everything else about requests is told once, in the other files.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource};
use oz_shared::grant::{CopyTerms, DebugTerms, NamespaceTerms, PodRef, RoleTerms};
use oz_shared::names::SessionKind;
use oz_shared::template::OnEnd;
use oz_shared::{Policy, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::reconcile::Error;

/// A kind of request.
pub(crate) trait Kind:
    Request
    + Resource<DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Under what it asks.
    type Policy: Policy + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync;
    /// What the policy offers to it, found in the cluster.
    type Found: Clone + std::fmt::Debug + Send + Sync;
    /// Its own name.
    const NAME: &'static str;
    /// What people call its policy.
    const POLICY: &'static str;
    /// The resource of its policies.
    const POLICIES: &'static str;
    /// The reason where there is no such policy.
    const NO_POLICY: &'static str;

    /// The requests of this kind, as the watch knows them.
    fn store(context: &Context) -> &Store<Self>;

    /// Where its requests are: in this namespace, or, where the kind is the whole cluster's, everywhere.
    fn api(client: &Client, namespace: &str) -> Api<Self>;

    /// Where its policies are.
    fn policies(client: &Client, namespace: &str) -> Api<Self::Policy>;

    /// Why nothing under any policy is lent to such a request, in a word and in words.
    fn refused(&self) -> Option<(&'static str, String)>;

    /// Is it over with what it asks for if that is not there now? Else it waits for it.
    fn names_its_target(&self) -> bool;

    /// Reads what the policy offers to it.
    fn find(
        &self,
        policy: &Self::Policy,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Found, Error>> + Send;

    /// What would be lent if it were approved now.
    fn offer(&self, policy: &Self::Policy, found: &Self::Found, times: &Times) -> Result<Offer, NoOffer>;
}

/// A request by its namespace, which is empty where the kind is the whole cluster's.
pub(crate) fn request_ref<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> ObjectRef<K> {
    let reference = ObjectRef::new(name);
    if namespace.is_empty() { reference } else { reference.within(namespace) }
}

/// When that which is approved now is lent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) approved_at: Timestamp,
    pub(crate) lent_for: SignedDuration,
}

/// Why nothing can be lent, in a word and in words.
pub(crate) enum NoOffer {
    /// It may be there later, or elsewhere.
    Absent(&'static str, String),
    /// Waiting does not help.
    Unusable(&'static str, String),
}

/// What would be lent, whatever the kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    /// In words.
    pub(crate) words: Vec<String>,
    /// Tells it from what it may become; empty where the policy says it all.
    pub(crate) digest: String,
    /// The session's kind; none where the holder acts as himself, or by another session.
    pub(crate) session: Option<SessionKind>,
    /// When a pod must have started, where one must; its time counts from then.
    pub(crate) start_by: Option<Timestamp>,
    /// The grant of the Federation by which it is lent, and whose approval is its own; or nothing.
    pub(crate) parent: String,
    /// When it ends, where that is not for the time asked for to say.
    pub(crate) expires_at: Option<Timestamp>,
    /// The rules of the session's own Role; none where a role of somebody else's is bound.
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) pods: Vec<PodRef>,
    pub(crate) copy: Option<CopyTerms>,
    pub(crate) debug: Option<DebugTerms>,
    pub(crate) role: Option<RoleTerms>,
    pub(crate) namespaces: Option<NamespaceTerms>,
    pub(crate) on_end: OnEnd,
}

impl Offer {
    pub(crate) fn of(words: Vec<String>, session: Option<SessionKind>) -> Self {
        Self {
            words,
            digest: String::new(),
            session,
            start_by: None,
            parent: String::new(),
            expires_at: None,
            rules: Vec::new(),
            pods: Vec::new(),
            copy: None,
            debug: None,
            role: None,
            namespaces: None,
            on_end: OnEnd::Leave,
        }
    }
}
