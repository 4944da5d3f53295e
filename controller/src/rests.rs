//! Notices at once when something that a grant rests on changes: its pod goes or is replaced, a pod that was made or added
//! to for it starts or ends, the role that it lends becomes another. One metadata watch for the pods of each namespace and
//! for each role that there is such a grant for; nothing of it is kept.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::Grant;
use oz_shared::template::RoleKind;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;

use crate::watches::Triggers;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Ground {
    /// The pods of a namespace.
    Pods(String),
    /// One Role, by namespace and name.
    Role(String, String),
    ClusterRole(String),
}

impl Ground {
    /// All that this grant rests on.
    fn of(grant: &Grant) -> impl Iterator<Item = Self> {
        let pods = rests_on(grant).map(|(namespace, ..)| Self::Pods(namespace.to_owned()));
        pods.chain(grant.spec.role.iter().map(|role| match role.kind {
            RoleKind::Role => Self::Role(role.namespace.clone(), role.name.clone()),
            RoleKind::ClusterRole => Self::ClusterRole(role.name.clone()),
        }))
    }
}

/// Keeps the watches that the present grants need. `changed` tells that the grants may be others now.
pub(crate) async fn run(
    client: Client,
    grants: Store<Grant>,
    mut changed: tokio::sync::watch::Receiver<()>,
    triggers: Triggers,
) {
    let mut watches: HashMap<Ground, AbortOnDropHandle<()>> = HashMap::new();
    loop {
        let wanted: HashSet<Ground> =
            grants.state().iter().flat_map(|g| Ground::of(g).collect::<Vec<_>>()).collect();
        watches.retain(|ground, _| wanted.contains(ground));
        for ground in wanted {
            watches.entry(ground.clone()).or_insert_with(|| {
                let watch = watch(client.clone(), ground, grants.clone(), triggers.clone());
                AbortOnDropHandle::new(tokio::spawn(watch))
            });
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn watch(client: Client, ground: Ground, grants: Store<Grant>, triggers: Triggers) {
    match &ground {
        Ground::Pods(namespace) => {
            let api: Api<PartialObjectMeta<Pod>> = Api::namespaced(client, namespace);
            let is_concerned = |grant: &Grant, event: &_| is_concerned(grant, namespace, event);
            follow(api, watcher::Config::default(), &grants, &triggers, is_concerned).await;
        }
        Ground::Role(namespace, name) => {
            let api: Api<PartialObjectMeta<Role>> = Api::namespaced(client, namespace);
            let lends = |grant: &Grant, _: &_| Ground::of(grant).any(|g| g == ground);
            follow(api, named(name), &grants, &triggers, lends).await;
        }
        Ground::ClusterRole(name) => {
            let api: Api<PartialObjectMeta<ClusterRole>> = Api::all(client);
            let lends = |grant: &Grant, _: &_| Ground::of(grant).any(|g| g == ground);
            follow(api, named(name), &grants, &triggers, lends).await;
        }
    }
}

fn named(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

/// Has each grant looked at that an event concerns.
async fn follow<K>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    grants: &Store<Grant>,
    triggers: &Triggers,
    is_concerned: impl Fn(&Grant, &watcher::Result<Event<PartialObjectMeta<K>>>) -> bool,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + DeserializeOwned + 'static,
{
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        for grant in grants.state().iter().filter(|g| is_concerned(g, &event)) {
            triggers.ground(grant);
        }
        if let Err(error) = event {
            tracing::warn!(kind = %K::kind(&()), error = %crate::report::chain(&error), "watch interrupted");
        }
    }
}

/// The pods that a grant rests on, by namespace and name, with the uid where that is known.
fn rests_on(grant: &Grant) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    let there = grant.spec.pods.iter().map(|p| (p.namespace.as_str(), p.name.as_str(), Some(p.uid.as_str())));
    there.chain(grant.spec.copy.iter().map(|c| (c.namespace.as_str(), c.name.as_str(), None)))
}

/// Does this event tell something of one of the grant's pods? After an interruption any of them may be another. Of a pod
/// that was made or added to for the grant each change counts.
fn is_concerned(
    grant: &Grant,
    namespace: &str,
    event: &watcher::Result<Event<PartialObjectMeta<Pod>>>,
) -> bool {
    let mut pods = rests_on(grant).filter(|(ns, ..)| *ns == namespace);
    match event {
        Ok(Event::Delete(pod)) => pods.any(|(_, name, _)| name == pod.name_any()),
        Ok(Event::Apply(pod) | Event::InitApply(pod)) => pods.any(|(_, name, uid)| {
            let followed = uid.is_none() || grant.spec.debug.is_some() || pod.uid().as_deref() != uid;
            name == pod.name_any() && followed
        }),
        Ok(Event::InitDone) => pods.next().is_some(),
        Ok(Event::Init) | Err(_) => false,
    }
}
