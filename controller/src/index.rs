//! The labelled objects of the whole cluster, as the watches tell of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future::ready};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::names::{GRANT_LABEL, SESSIONS_NAMESPACE};
use oz_shared::request::NamespaceRef;

use crate::children::{Found, Kind, belongs_to, found, is_place};

/// The labelled objects of the whole cluster, as metadata, kept current by watches.
#[derive(Clone)]
pub(crate) struct Index {
    everywhere: Store<PartialObjectMeta<ClusterRoleBinding>>,
    bindings: Store<PartialObjectMeta<RoleBinding>>,
    accounts: Store<PartialObjectMeta<ServiceAccount>>,
    roles: Store<PartialObjectMeta<Role>>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    claims: Arc<Claims>,
}

impl Index {
    /// The index, and the stream of grant names whose objects came, changed or went, which must be driven for it to be
    /// current. No name: the watch starts anew, and anything may have.
    pub(crate) fn watch(client: &Client) -> (Self, impl Stream<Item = Option<String>> + Send + 'static) {
        let (everywhere, e) = watched::<ClusterRoleBinding>(Api::all(client.clone()), |_| ());
        let (bindings, b) = watched::<RoleBinding>(Api::all(client.clone()), |_| ());
        let (accounts, a) =
            watched::<ServiceAccount>(Api::namespaced(client.clone(), SESSIONS_NAMESPACE), |_| ());
        let claims = Arc::new(Claims::default());
        let known = claims.clone();
        // What the watch tells of needs no remembering.
        let (roles, r) =
            watched::<Role>(Api::all(client.clone()), move |role| known.forget(&role.name_any()));
        let (namespaces, n) = watched::<Namespace>(Api::all(client.clone()), |_| ());
        let touched = futures::stream::select_all([e.boxed(), b.boxed(), a.boxed(), r.boxed(), n.boxed()]);
        (Self { everywhere, bindings, accounts, roles, namespaces, claims }, touched)
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.everywhere.wait_until_ready().await?;
        self.bindings.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.roles.wait_until_ready().await?;
        self.namespaces.wait_until_ready().await
    }

    /// The lent namespace of this name, as last seen.
    pub(crate) fn namespace(&self, name: &str) -> Option<PartialObjectMeta<Namespace>> {
        self.namespaces.get(&ObjectRef::new(name)).map(|n| n.as_ref().clone())
    }

    /// The lent namespaces with this label, as last seen.
    pub(crate) fn namespaces(&self, grant: &str) -> Vec<NamespaceRef> {
        let lent = self.namespaces.state_filter(|n| belongs_to(n, grant));
        lent.iter().map(|n| NamespaceRef { name: n.name_any(), uid: n.uid().unwrap_or_default() }).collect()
    }

    /// The places of this grant, as last seen.
    pub(crate) fn places(&self, grant: &str) -> Vec<String> {
        let own = self.roles.state_filter(|r| is_place(&r.name_any()) && belongs_to(r, grant));
        own.iter().map(|r| r.name_any()).collect()
    }

    /// The first of these places that is neither there, as last seen, nor claimed; it is claimed from now on.
    pub(crate) fn claim_place(&self, mut names: impl Iterator<Item = String>) -> Option<String> {
        let is_there =
            |name: &str| self.roles.get(&ObjectRef::new(name).within(SESSIONS_NAMESPACE)).is_some();
        names.find(|name| !is_there(name) && self.claims.claim(name))
    }

    /// Takes a claim back: the place could not be made.
    pub(crate) fn forget_claim(&self, name: &str) {
        self.claims.forget(name);
    }

    /// The objects whose label passes `wanted`, as last seen; a binding's subjects are not known.
    pub(crate) fn labelled(&self, wanted: impl Fn(&str) -> bool) -> Vec<Found> {
        let mut found = collect(&self.everywhere, Kind::ClusterRoleBinding, &wanted);
        found.extend(collect(&self.bindings, Kind::RoleBinding, &wanted));
        found.extend(collect(&self.accounts, Kind::ServiceAccount, &wanted));
        found.extend(collect(&self.roles, Kind::Role, &wanted));
        found
    }
}

/// Places that this process has claimed, or found taken, a moment ago: the watch need not have brought them yet.
#[derive(Debug, Default)]
struct Claims(Mutex<HashMap<String, Instant>>);

impl Claims {
    /// Many times what a watch is behind.
    const REMEMBERED: Duration = Duration::from_secs(15);

    /// Claims this one, unless it is claimed.
    fn claim(&self, name: &str) -> bool {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, at| at.elapsed() < Self::REMEMBERED);
        let free = !claims.contains_key(name);
        if free {
            claims.insert(name.to_owned(), Instant::now());
        }
        free
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn watched<K>(
    api: Api<PartialObjectMeta<K>>,
    seen: impl Fn(&PartialObjectMeta<K>) + Send + 'static,
) -> (Store<PartialObjectMeta<K>>, impl Stream<Item = Option<String>> + Send + 'static)
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, watcher::Config::default().labels(GRANT_LABEL))
        .default_backoff()
        .modify(|object| {
            object.metadata.managed_fields = None;
            object.metadata.annotations = None;
        })
        .reflect(writer)
        .filter_map(move |event| {
            ready(match event {
                Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                    seen(&object);
                    object.labels().get(GRANT_LABEL).cloned().map(Some)
                }
                Ok(Event::InitDone) => Some(None),
                Ok(Event::Init) => None,
                Err(error) => {
                    tracing::warn!(error = %crate::report::chain(&error), kind = %K::kind(&()), "watch interrupted");
                    None
                }
            })
        });
    (store, stream)
}

fn collect<K>(store: &Store<PartialObjectMeta<K>>, kind: Kind, wanted: impl Fn(&str) -> bool) -> Vec<Found>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let objects: Vec<Arc<_>> = store.state_filter(|o| o.labels().get(GRANT_LABEL).is_some_and(|l| wanted(l)));
    objects.iter().map(|o| found(kind, o.meta(), false)).collect()
}
