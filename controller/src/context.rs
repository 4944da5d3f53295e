//! What every pass works with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::{Api, Client, CustomResourceExt as _, Resource};
use oz_shared::grant::RequestRef;
use oz_shared::{AccessRequest, Delegation, Federation, Grant, NamespaceRequest};

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::report::Events;
use crate::sightings::Sightings;

/// Shared by all passes of all kinds.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) requests: Store<AccessRequest>,
    pub(crate) namespace_requests: Store<NamespaceRequest>,
    pub(crate) federations: Store<Federation>,
    pub(crate) delegations: Store<Delegation>,
    pub(crate) grants: Store<Grant>,
    pub(crate) children: Index,
    pub(crate) sightings: Sightings,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) backoff: Backoff,
    pub(crate) superseded: Superseded,
    /// Held while pods are searched: they can be large, so few searches go on at once.
    pub(crate) searching: tokio::sync::Semaphore,
}

impl Context {
    /// Has this process itself already written a newer version of the object? Then the watch brings it in a moment, and
    /// a pass over the old one would decide again what is decided.
    pub(crate) fn is_superseded<K: Resource>(&self, object: &K) -> bool {
        self.superseded.is(object.meta().uid.as_deref(), object.meta().resource_version.as_deref())
    }

    /// Do the kinds stand by which namespaces are lent, and is none being deleted? While they go, requests and grants
    /// go that nobody meant to end: what people keep in their namespaces is not taken for that.
    pub(crate) async fn lends_namespaces(&self) -> kube::Result<bool> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let (requests, federations, grants) = tokio::try_join!(
            api.get_metadata_opt(NamespaceRequest::crd_name()),
            api.get_metadata_opt(Federation::crd_name()),
            api.get_metadata_opt(Grant::crd_name()),
        )?;
        let stands = |kind: Option<PartialObjectMeta<_>>| {
            kind.is_some_and(|kind| kind.metadata.deletion_timestamp.is_none())
        };
        Ok(stands(requests) && stands(federations) && stands(grants))
    }

    /// Notes that `read` was replaced by `written`.
    pub(crate) fn supersede<K: Resource>(&self, read: &K, written: &K) {
        if read.meta().resource_version != written.meta().resource_version {
            self.superseded.note(read.meta().uid.as_deref(), read.meta().resource_version.as_deref());
        }
    }
}

/// The last version of each object that this process replaced.
#[derive(Debug, Default)]
pub(crate) struct Superseded(Mutex<HashMap<String, String>>);

impl Superseded {
    fn is(&self, uid: Option<&str>, version: Option<&str>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(uid), Some(version)) = (uid, version) else { return false };
        let superseded = known.get(uid).is_some_and(|v| v == version);
        if !superseded {
            known.remove(uid);
        }
        superseded
    }

    fn note(&self, uid: Option<&str>, version: Option<&str>) {
        if let (Some(uid), Some(version)) = (uid, version) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(uid.to_owned(), version.to_owned());
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// The request of a grant as the object that Events are written on.
pub(crate) fn request_reference(request: &RequestRef) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{}/{}", oz_shared::GROUP, oz_shared::VERSION)),
        kind: Some(request.kind.clone()),
        namespace: Some(request.namespace.clone()).filter(|n| !n.is_empty()),
        name: Some(request.name.clone()),
        uid: Some(request.uid.clone()),
        ..ObjectReference::default()
    }
}
