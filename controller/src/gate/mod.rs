//! Is the gate in force? Everything that a grant rests on (who asked, who agreed) is kept by admission policies, so
//! nothing is granted unless dry runs that must be refused are refused, each by its own policy in its present revision.
//!
//! What was seen holds until any of the policies or bindings changes, as their watches tell, and for five minutes at
//! most. After a change nothing is granted until every API server must have noticed it: a refusal in between may come
//! from what stood before. Nothing is asked while nothing is to be granted.

mod probes;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future::ready};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::gate::POLICIES;

/// How long a successful probe holds while nothing is seen to change.
const HOLDS: Duration = Duration::from_secs(300);
/// How long an API server may work by what stood before a change: it looks once a second.
const SETTLES: Duration = Duration::from_secs(2);
/// The label that the gate's objects carry, so that the watches see no others.
const PART_OF_OZ: &str = "app.kubernetes.io/part-of=oz";

/// What may be concluded about requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Each policy refuses what it must. Requests made after `since` passed it.
    Enforced {
        /// When a policy or binding was last written: what was there before may have let other things pass.
        since: Timestamp,
    },
    /// Something is missing, or let a probe through: nothing may be granted.
    Open(String),
}

/// Knows whether the gate is in force. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    client: Client,
    policies: Store<PartialObjectMeta<ValidatingAdmissionPolicy>>,
    bindings: Store<PartialObjectMeta<ValidatingAdmissionPolicyBinding>>,
    /// When a watch last told of anything.
    changed: Arc<Mutex<Instant>>,
    /// When the probes were last asked that were all refused. Held while probing, so that one does it for all.
    refused: tokio::sync::Mutex<Option<Instant>>,
}

impl Gate {
    /// The gate, and the work of watching it, which must be driven.
    pub(crate) fn watch(client: &Client) -> (Self, impl Stream<Item = ()> + Send + 'static) {
        let changed = Arc::new(Mutex::new(Instant::now()));
        let (policies, p) = watched(client, &changed);
        let (bindings, b) = watched(client, &changed);
        let refused = tokio::sync::Mutex::new(None);
        let inner = Inner { client: client.clone(), policies, bindings, changed, refused };
        (Self(Arc::new(inner)), futures::stream::select(p, b))
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.0.policies.wait_until_ready().await?;
        self.0.bindings.wait_until_ready().await
    }

    /// The present state; probes unless an earlier answer still holds.
    pub(crate) async fn state(&self) -> State {
        let since = match self.since() {
            Ok(since) => since,
            Err(missing) => return State::Open(missing),
        };
        let mut refused = self.0.refused.lock().await;
        let changed = *self.0.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.elapsed() < SETTLES {
            return State::Open("a policy or binding of the gate changed a moment ago".to_owned());
        }
        if !refused.is_some_and(|at| at > changed && at.elapsed() < HOLDS) {
            *refused = None;
            let asked = Instant::now();
            if let Err(hole) = probes::all(&self.0.client).await {
                return State::Open(hole);
            }
            *refused = Some(asked);
        }
        State::Enforced { since }
    }

    /// When a policy or binding was last written, or which one is missing.
    fn since(&self) -> Result<Timestamp, String> {
        let mut last = Timestamp::MIN;
        for (policy, bindings) in POLICIES {
            let at = written(&self.0.policies, policy)
                .ok_or_else(|| format!("ValidatingAdmissionPolicy {policy} is missing"))?;
            last = last.max(at);
            for binding in bindings {
                let at = written(&self.0.bindings, binding)
                    .ok_or_else(|| format!("ValidatingAdmissionPolicyBinding {binding} is missing"))?;
                last = last.max(at);
            }
        }
        Ok(last)
    }
}

/// When it was created or last changed, its status apart. Whoever edits `managedFields` could lift the policy as well.
fn written<K>(store: &Store<PartialObjectMeta<K>>, name: &str) -> Option<Timestamp>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let object =
        store.find(|o| o.meta().name.as_deref() == Some(name) && o.meta().deletion_timestamp.is_none())?;
    let changes =
        object.managed_fields().iter().filter(|m| m.subresource.as_deref().unwrap_or_default().is_empty());
    changes.filter_map(|m| m.time.as_ref()).chain(object.creation_timestamp().as_ref()).map(|t| t.0).max()
}

fn watched<K>(
    client: &Client,
    changed: &Arc<Mutex<Instant>>,
) -> (Store<PartialObjectMeta<K>>, impl Stream<Item = ()> + Send + use<K>)
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Lookup<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store();
    let changed = changed.clone();
    let stream = watcher(Api::<PartialObjectMeta<K>>::all(client.clone()), watcher::Config::default().labels(PART_OF_OZ))
        .default_backoff()
        .reflect(writer)
        .filter_map(move |event| {
            *changed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            if let Err(error) = event {
                tracing::warn!(error = %crate::report::chain(&error), kind = %<K as Resource>::kind(&()), "watch interrupted");
            }
            ready(None)
        });
    (store, stream)
}
