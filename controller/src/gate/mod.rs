//! Is the gate in force? Everything that a grant rests on (who asked, who agreed) is kept by admission policies, so
//! nothing is granted unless dry runs that must be refused are refused, each by its own policy in its present revision.
//!
//! What was seen holds until any of the policies or bindings changes, as their watches tell, and for five minutes at
//! most. After a change nothing is granted until every API server must have noticed it: a refusal in between may come
//! from what stood before. So it is for a controller that has just begun, unless what it finds was written long before.
//! Nothing is asked while nothing is to be granted.

mod probes;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future::ready};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::gate::POLICIES;

use crate::clock::Clock;

/// How long a successful probe holds while nothing is seen to change.
const HOLDS: Duration = Duration::from_secs(300);
/// How long an API server may work by what stood before a change: it looks once a second.
const SETTLES: Duration = Duration::from_secs(2);
/// How old the last change must be for a controller that begins to take it as settled: more than clocks differ by.
const LONG_AGO: SignedDuration = SignedDuration::from_secs(60);
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
    clock: Clock,
    told: Arc<Mutex<Told>>,
    /// When the probes were last asked that were all refused. Held while probing, so that one does it for all.
    refused: tokio::sync::Mutex<Option<Instant>>,
}

/// What the watches told last.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    /// Of anything but what was there at first?
    changed: bool,
}

impl Gate {
    /// The gate, and the work of watching it, which must be driven.
    pub(crate) fn watch(client: &Client, clock: Clock) -> (Self, impl Stream<Item = ()> + Send + 'static) {
        let told = Arc::new(Mutex::new(Told { at: Instant::now(), changed: false }));
        let (policies, p) = watched(client, &told);
        let (bindings, b) = watched(client, &told);
        let refused = tokio::sync::Mutex::new(None);
        let inner = Inner { client: client.clone(), policies, bindings, clock, told, refused };
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
        let told = *self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let age = self.0.clock.now().duration_since(since);
        if (told.changed || age < LONG_AGO) && told.at.elapsed() < SETTLES {
            return State::Open("a policy or binding of the gate changed a moment ago".to_owned());
        }
        if !refused.is_some_and(|at| at > told.at && at.elapsed() < HOLDS) {
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
    told: &Arc<Mutex<Told>>,
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
    let told = told.clone();
    let mut known = false;
    let stream = watcher(Api::<PartialObjectMeta<K>>::all(client.clone()), watcher::Config::default().labels(PART_OF_OZ))
        .default_backoff()
        .reflect(writer)
        .filter_map(move |event| {
            let first = !known && matches!(&event, Ok(Event::Init | Event::InitApply(_) | Event::InitDone));
            known |= matches!(&event, Ok(Event::InitDone));
            {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                *told = Told { at: Instant::now(), changed: told.changed || !first };
            }
            if let Err(error) = event {
                tracing::warn!(error = %crate::report::chain(&error), kind = %<K as Resource>::kind(&()), "watch interrupted");
            }
            ready(None)
        });
    (store, stream)
}
