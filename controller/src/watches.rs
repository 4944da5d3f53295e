//! Which objects are looked at when something happens: watch events in, names to reconcile out.

use futures::{Stream, StreamExt as _};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Resource, ResourceExt as _};
use oz_shared::names::grant_name;
use oz_shared::{AccessRequest, Grant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where to say that an object is to be looked at. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Triggers {
    requests: Store<AccessRequest>,
    grants: Store<Grant>,
    to_requests: UnboundedSender<ObjectRef<AccessRequest>>,
    to_grants: UnboundedSender<ObjectRef<Grant>>,
    /// Names of grants of which something may be left though they are gone.
    to_sweep: UnboundedSender<String>,
}

impl Triggers {
    /// The triggers, and what they bring: requests and grants to reconcile, grant names to sweep after.
    pub(crate) fn new(
        requests: Store<AccessRequest>,
        grants: Store<Grant>,
    ) -> (
        Self,
        impl Stream<Item = ObjectRef<AccessRequest>> + Send,
        impl Stream<Item = ObjectRef<Grant>> + Send,
        impl Stream<Item = String> + Send,
    ) {
        let (to_requests, r) = unbounded_channel();
        let (to_grants, g) = unbounded_channel();
        let (to_sweep, s) = unbounded_channel();
        (Self { requests, grants, to_requests, to_grants, to_sweep }, stream(r), stream(g), stream(s))
    }

    /// A request came, changed or went: itself and its grant.
    pub(crate) fn request(&self, event: &Event<AccessRequest>) {
        match event {
            Event::Apply(request) | Event::Delete(request) => {
                let _ = self.to_requests.send(ObjectRef::from_obj(request));
                let grant = grant_name(&request.uid().unwrap_or_default());
                let _ = self.to_grants.send(ObjectRef::new(&grant));
            }
            Event::InitDone => self.everything(),
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// A grant came, changed or went: itself, its request, and what it may have left.
    pub(crate) fn grant(&self, event: &Event<Grant>) {
        match event {
            Event::Apply(grant) | Event::Delete(grant) => {
                let _ = self.to_grants.send(ObjectRef::from_obj(grant));
                let request = &grant.spec.request;
                let _ = self.to_requests.send(ObjectRef::new(&request.name).within(&request.namespace));
                if matches!(event, Event::Delete(_)) {
                    let _ = self.to_sweep.send(grant.name_any());
                }
            }
            Event::InitDone => self.everything(),
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// A labelled object came, changed or went; without a name, any may have.
    pub(crate) fn part(&self, grant: Option<String>) {
        match grant {
            Some(name) => {
                let _ = self.to_grants.send(ObjectRef::new(&name));
                let _ = self.to_sweep.send(name);
            }
            None => self.everything(),
        }
    }

    /// Something that this grant rests on changed.
    pub(crate) fn ground(&self, grant: &Grant) {
        let _ = self.to_grants.send(ObjectRef::from_obj(grant));
    }

    /// A watch was interrupted: what it did not tell may have happened to anything.
    fn everything(&self) {
        for request in self.requests.state() {
            let _ = self.to_requests.send(ObjectRef::from_obj(request.as_ref()));
        }
        for grant in self.grants.state() {
            let _ = self.to_grants.send(ObjectRef::from_obj(grant.as_ref()));
        }
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
