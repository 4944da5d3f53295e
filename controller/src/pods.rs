//! Notices at once when a pod that a grant rests on goes or is replaced, and when one that was made or added to for a
//! grant starts or ends: one metadata watch in each namespace that has such a grant, nothing of it kept.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use oz_shared::Grant;
use tokio_util::task::AbortOnDropHandle;

use crate::watches::Triggers;

/// Keeps the watches that the present grants need. `changed` tells that the grants may be others now.
pub(crate) async fn run(
    client: Client,
    grants: Store<Grant>,
    mut changed: tokio::sync::watch::Receiver<()>,
    triggers: Triggers,
) {
    let mut watches: HashMap<String, AbortOnDropHandle<()>> = HashMap::new();
    loop {
        let wanted: HashSet<String> = grants
            .state()
            .iter()
            .flat_map(|g| rests_on(g).map(|p| p.0.to_owned()).collect::<Vec<_>>())
            .collect();
        watches.retain(|namespace, _| wanted.contains(namespace));
        for namespace in wanted {
            watches.entry(namespace.clone()).or_insert_with(|| {
                let watch = watch(client.clone(), namespace, grants.clone(), triggers.clone());
                AbortOnDropHandle::new(tokio::spawn(watch))
            });
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn watch(client: Client, namespace: String, grants: Store<Grant>, triggers: Triggers) {
    let api: Api<PartialObjectMeta<Pod>> = Api::namespaced(client, &namespace);
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        for grant in grants.state().iter().filter(|g| is_concerned(g, &namespace, &event)) {
            triggers.pod(grant);
        }
        if let Err(error) = event {
            tracing::warn!(namespace, error = %crate::report::chain(&error), "the watch of pods was interrupted");
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
