//! Sees every version of every object of a kind from its start on, so that nothing that happened in between is missed.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

/// In seconds; the API server's own longest is five minutes.
const WATCH: u32 = 280;

/// What was seen, in order.
pub(crate) struct Witness<K> {
    seen: Arc<Mutex<Vec<Seen<K>>>>,
    task: tokio::task::JoinHandle<()>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Seen<K> {
    /// It was created.
    Made(K),
    /// It was changed.
    Changed(K),
    /// It was deleted.
    Gone(K),
    /// The watch broke: what was not seen cannot be known.
    Lost(String),
}

impl<K> Witness<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Begins to look, at all namespaces.
    pub(crate) async fn start(client: Client) -> Witness<K> {
        let api: Api<K> = Api::all(client);
        let start = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(look(api, start, seen.clone()));
        Witness { seen, task }
    }

    /// All that was seen up to now.
    ///
    /// # Panics
    /// When something may have been missed.
    pub(crate) fn seen(&self) -> Vec<Seen<K>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Seen::Lost(why)) = seen.iter().find(|s| matches!(s, Seen::Lost(_))) {
            panic!("the watch broke: {why}");
        }
        seen
    }
}

impl<K> Drop for Witness<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look<K>(api: Api<K>, start: String, seen: Arc<Mutex<Vec<Seen<K>>>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let note = |what| seen.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    let mut version = start;
    loop {
        let params = WatchParams::default().timeout(WATCH);
        let mut events = match api.watch(&params, &version).await {
            Ok(events) => pin!(events),
            Err(error) => return note(Seen::Lost(error.to_string())),
        };
        while let Some(event) = events.next().await {
            let what = match event {
                Ok(WatchEvent::Added(object)) => Seen::Made(object),
                Ok(WatchEvent::Modified(object)) => Seen::Changed(object),
                Ok(WatchEvent::Deleted(object)) => Seen::Gone(object),
                Ok(WatchEvent::Bookmark(mark)) => {
                    version = mark.metadata.resource_version;
                    continue;
                }
                Ok(WatchEvent::Error(error)) => return note(Seen::Lost(error.to_string())),
                Err(error) => return note(Seen::Lost(error.to_string())),
            };
            if let Seen::Made(object) | Seen::Changed(object) | Seen::Gone(object) = &what {
                version = object.meta().resource_version.clone().unwrap_or(version);
            }
            note(what);
        }
    }
}
