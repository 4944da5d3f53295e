//! Which objects are looked at when something happens: watch events in, names to reconcile out.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Resource, ResourceExt as _};
use oz_shared::names::{grant_name, is_grant_name};
use oz_shared::{AccessRequest, Delegation, Federation, Grant, NamespaceRequest};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::reconcile::delegation;
use crate::reconcile::request::{Kind as _, request_ref};

/// Objects of a kind, as the watch knows them, and where to say that one of them is to be looked at.
struct Queue<K: Resource<DynamicType = ()> + Clone + 'static> {
    known: Store<K>,
    looks: UnboundedSender<ObjectRef<K>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), looks: self.looks.clone() }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + Send + 'static> Queue<K> {
    fn new(known: Store<K>) -> (Self, Looks<K>) {
        let (looks, receiver) = unbounded_channel();
        (Self { known, looks }, Box::pin(stream(receiver)))
    }

    fn look(&self, object: ObjectRef<K>) {
        let _ = self.looks.send(object);
    }

    fn all(&self) {
        for object in self.known.state() {
            self.look(ObjectRef::from_obj(object.as_ref()));
        }
    }
}

/// Which objects of a kind are to be looked at.
pub(crate) type Looks<K> = Pin<Box<dyn Stream<Item = ObjectRef<K>> + Send>>;

/// Where to say that an object is to be looked at. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Triggers {
    access: Queue<AccessRequest>,
    namespaces: Queue<NamespaceRequest>,
    federations: Queue<Federation>,
    delegations: Queue<Delegation>,
    grants: Queue<Grant>,
    /// Names of grants of which something may be left though they are gone.
    to_sweep: UnboundedSender<String>,
}

/// What triggers bring: objects to reconcile, by kind, and grant names to sweep after.
pub(crate) struct Triggered {
    pub(crate) access: Looks<AccessRequest>,
    pub(crate) namespaces: Looks<NamespaceRequest>,
    pub(crate) federations: Looks<Federation>,
    pub(crate) delegations: Looks<Delegation>,
    pub(crate) grants: Looks<Grant>,
    pub(crate) suspects: Pin<Box<dyn Stream<Item = String> + Send>>,
}

impl Triggers {
    pub(crate) fn new(
        access: Store<AccessRequest>,
        namespaces: Store<NamespaceRequest>,
        federations: Store<Federation>,
        delegations: Store<Delegation>,
        grants: Store<Grant>,
    ) -> (Self, Triggered) {
        let (access, to_access) = Queue::new(access);
        let (namespaces, to_namespaces) = Queue::new(namespaces);
        let (federations, to_federations) = Queue::new(federations);
        let (delegations, to_delegations) = Queue::new(delegations);
        let (grants, to_grants) = Queue::new(grants);
        let (to_sweep, suspects) = unbounded_channel();
        let triggered = Triggered {
            access: to_access,
            namespaces: to_namespaces,
            federations: to_federations,
            delegations: to_delegations,
            grants: to_grants,
            suspects: Box::pin(stream(suspects)),
        };
        (Self { access, namespaces, federations, delegations, grants, to_sweep }, triggered)
    }

    pub(crate) fn access_request(&self, event: &Event<AccessRequest>) {
        self.request(event, &self.access);
    }

    pub(crate) fn namespace_request(&self, event: &Event<NamespaceRequest>) {
        self.request(event, &self.namespaces);
    }

    pub(crate) fn federation(&self, event: &Event<Federation>) {
        self.request(event, &self.federations);
    }

    pub(crate) fn delegation(&self, event: &Event<Delegation>) {
        self.request(event, &self.delegations);
    }

    /// Something happened that this delegation waits for, or rests on.
    pub(crate) fn delegated(&self, delegation: ObjectRef<Delegation>) {
        self.delegations.look(delegation);
    }

    /// The clocks moved apart, or near each other again: delegations tell of that.
    pub(crate) fn clocks(&self) {
        self.delegations.all();
    }

    /// A request came, changed or went: itself and its grant.
    fn request<K>(&self, event: &Event<K>, queue: &Queue<K>)
    where
        K: Resource<DynamicType = ()> + Clone + Send + 'static,
    {
        match event {
            Event::Apply(request) | Event::Delete(request) => {
                queue.look(ObjectRef::from_obj(request));
                let grant = grant_name(&request.uid().unwrap_or_default());
                self.grants.look(ObjectRef::new(&grant));
            }
            Event::InitDone => self.everything(),
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// A grant came, changed or went: itself, its request, the grant that it takes over, those that stand by it, and what
    /// it may have left.
    pub(crate) fn grant(&self, event: &Event<Grant>) {
        match event {
            Event::Apply(grant) | Event::Delete(grant) => {
                self.grants.look(ObjectRef::from_obj(grant));
                let extended = grant.spec.namespaces.iter().map(|n| &n.extends).filter(|e| !e.is_empty());
                extended.for_each(|extended| self.grants.look(ObjectRef::new(extended)));
                let request = &grant.spec.request;
                match request.kind.as_str() {
                    NamespaceRequest::NAME => {
                        self.namespaces.look(request_ref(&request.namespace, &request.name));
                    }
                    Federation::NAME => {
                        self.federations.look(request_ref(&request.namespace, &request.name));
                        let name = grant.name_any();
                        let all = self.grants.known.state();
                        all.iter().filter(|g| g.spec.parent == name).for_each(|g| self.ground(g));
                    }
                    delegation::NAME => {
                        self.delegations.look(request_ref(&request.namespace, &request.name));
                    }
                    _ => self.access.look(request_ref(&request.namespace, &request.name)),
                }
                if matches!(event, Event::Delete(_)) {
                    let _ = self.to_sweep.send(grant.name_any());
                }
            }
            Event::InitDone => self.everything(),
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// A labelled object came, changed or went; without a name, any may have. What is part of a namespace is no grant's.
    pub(crate) fn part(&self, grant: Option<String>) {
        match grant {
            Some(name) if is_grant_name(&name) => {
                let delegated = self.grants.known.get(&ObjectRef::new(&name));
                if let Some(grant) = delegated.filter(|g| g.spec.request.kind == delegation::NAME) {
                    let request = &grant.spec.request;
                    self.delegations.look(request_ref(&request.namespace, &request.name));
                }
                self.grants.look(ObjectRef::new(&name));
                let _ = self.to_sweep.send(name);
            }
            Some(_) => {}
            None => self.everything(),
        }
    }

    /// Something may be left of this grant.
    pub(crate) fn suspect(&self, grant: String) {
        let _ = self.to_sweep.send(grant);
    }

    /// Something that this grant rests on changed.
    pub(crate) fn ground(&self, grant: &Grant) {
        self.grants.look(ObjectRef::from_obj(grant));
    }

    /// A watch was interrupted: what it did not tell may have happened to anything.
    fn everything(&self) {
        self.access.all();
        self.namespaces.all();
        self.federations.all();
        self.delegations.all();
        self.grants.all();
    }
}

fn stream<T>(mut receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> {
    futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// Keeps a store current for as long as the process lives, and tells of each event after the store knows it. An object
/// that this version cannot read is left out, and that is said: it must not keep the others from being seen.
pub(crate) async fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    writer: reflector::store::Writer<K>,
    told: impl Fn(&Event<K>) + Send,
) where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let events = watch_objects(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| std::future::ready(event.map(readable).transpose()))
        .modify(|object| {
            // Anyone may write these, and nothing is decided by them.
            object.meta_mut().managed_fields = None;
            object.meta_mut().annotations = None;
        })
        .reflect(writer);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => told(&event),
            Err(error) => {
                tracing::warn!(error = %crate::report::chain(&error), kind = %K::kind(&()), "watch interrupted");
            }
        }
    }
}

fn readable<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    let read = |object: DeserializeGuard<K>| {
        let failed = |e: &InvalidObject| {
            tracing::error!(kind = %K::kind(&()), name = e.metadata.name, error = e.error, "this object cannot be read");
        };
        object.0.inspect_err(failed).ok()
    };
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(read(object)?),
        Event::Apply(object) => Event::Apply(read(object)?),
        Event::Delete(object) => Event::Delete(read(object)?),
    })
}
