//! One watch: opened from a version, or from a look at all there is, and opened again when it ends or fails.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::api::{DynamicObject, ListParams, ObjectMeta, PartialObjectMeta, WatchEvent, WatchParams};
use oz_shared::delegation::EventKind;

use oz_shared::names::GRANT_LABEL;

use super::{Feed, Inner, Place, Sightings, Watched};
use crate::report;

/// The first and the longest pause before a watch that failed is opened again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How many objects are read at a time where all of them must be.
const PAGE: u32 = 500;
/// What the API server calls a version that it remembers no longer.
const EXPIRED: u16 = 410;

/// One watch, as it tells what it sees. What one tells that was replaced meanwhile counts for nothing.
pub(super) struct Watch {
    pub(super) sightings: Sightings,
    pub(super) place: Place,
    pub(super) opened: u64,
}

impl Watch {
    /// Works on the watch's own feed, if it is that still.
    fn told<T>(&self, tell: impl FnOnce(&mut Feed, &Arc<Inner>) -> T) -> Option<T> {
        let mut feeds = self.sightings.feeds();
        let feed = feeds.get_mut(&self.place).filter(|feed| feed.opened == self.opened)?;
        Some(tell(feed, &self.sightings.0))
    }

    /// Notes what happened to an object.
    fn saw(&self, on: EventKind, object: &ObjectMeta) {
        let version = object.resource_version.clone().unwrap_or_default();
        let namespace = object.namespace.as_deref().unwrap_or_default();
        // What Oz itself has bound is never mirrored.
        let is_ours = object.labels.as_ref().is_some_and(|labels| labels.contains_key(GRANT_LABEL));
        let looks = !is_ours || matches!(self.place.kind, Watched::Observed(_));
        self.told(|feed, inner| {
            let now = inner.clock.now();
            feed.position.clone_from(&version);
            for interest in feed.interests.values_mut() {
                let mut counts = false;
                for counted in interest.counts.values_mut() {
                    counts |= counted.saw(on, object, now);
                }
                if counts {
                    (inner.look)(interest.delegation.clone());
                } else if looks && interest.looks.contains(namespace) {
                    inner.look_in_time(&interest.delegation);
                }
            }
        });
    }

    /// Notes what is there where it was not told how it came about.
    fn found(&self, objects: &[ObjectMeta], version: &str) {
        self.told(|feed, inner| {
            let now = inner.clock.now();
            version.clone_into(&mut feed.position);
            for interest in feed.interests.values_mut() {
                let mut any = !interest.looks.is_empty();
                for counted in interest.counts.values_mut() {
                    any |= counted.found(objects, version, now);
                }
                if any {
                    (inner.look)(interest.delegation.clone());
                }
            }
        });
    }

    /// Notes up to which version everything was told.
    fn passed(&self, version: &str) {
        self.told(|feed, _| version.clone_into(&mut feed.position));
    }

    /// Notes why it tells of nothing, or that it does. Whom it concerns is looked at.
    fn stands(&self, fault: Option<String>) {
        self.told(|feed, inner| {
            let stands = Some(fault.map_or(Ok(()), Err));
            if feed.stands != stands {
                feed.stands = stands;
                feed.interests.values().for_each(|i| (inner.look)(i.delegation.clone()));
            }
        });
    }

    /// All that looks here is looked at.
    fn look_again(&self) {
        self.told(|feed, inner| {
            let looking = feed.interests.values().filter(|i| !i.looks.is_empty());
            looking.for_each(|i| inner.look_in_time(&i.delegation));
        });
    }
}

/// Tells of a place for as long as it is not dropped.
pub(super) async fn follow(watch: Watch, mut from: Option<String>) {
    let api = watch.place.api(&watch.sightings.0.client);
    let mut pause = PAUSE.0;
    loop {
        let begun = match from.take() {
            Some(version) => Ok(version),
            None => begin(&watch, &api).await,
        };
        let followed = match begun {
            Ok(version) => {
                from = Some(version.clone());
                listen(&watch, &api, version, &mut from).await
            }
            Err(error) => Err(error),
        };
        match followed {
            // The API server ends each watch after some minutes.
            Ok(()) => pause = PAUSE.0,
            Err(kube::Error::Api(status)) if status.code == EXPIRED => from = None,
            Err(error) => {
                let error = report::chain(&error);
                let place = &watch.place;
                tracing::warn!(kind = ?place.kind, namespace = place.namespace, error, "watch interrupted");
                watch.stands(Some(error));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// The version that a place is of, with what came about there unseen.
async fn begin(watch: &Watch, api: &Api<DynamicObject>) -> kube::Result<String> {
    let mut params = ListParams::default().limit(PAGE);
    let mut objects: Vec<ObjectMeta> = Vec::new();
    loop {
        let page = api.list_metadata(&params).await?;
        objects.extend(page.items.into_iter().map(|o| o.metadata));
        match page.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => params = params.continue_token(&more),
            None => {
                let version = page.metadata.resource_version.unwrap_or_default();
                watch.found(&objects, &version);
                return Ok(version);
            }
        }
    }
}

/// Tells of what happens from a version on, until the watch ends; `reached` is where it is to be opened again.
async fn listen(
    watch: &Watch,
    api: &Api<DynamicObject>,
    version: String,
    reached: &mut Option<String>,
) -> kube::Result<()> {
    let events = api.watch_metadata(&WatchParams::default(), &version).await?;
    watch.stands(None);
    // What is looked at may have changed between the look and the watch.
    watch.look_again();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let (on, object) = match event? {
            WatchEvent::Added(object) => (EventKind::Added, object),
            WatchEvent::Modified(object) => (EventKind::Updated, object),
            WatchEvent::Deleted(object) => (EventKind::Deleted, object),
            WatchEvent::Bookmark(bookmark) => {
                watch.passed(&bookmark.metadata.resource_version);
                *reached = Some(bookmark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        let PartialObjectMeta { metadata, .. } = object;
        watch.saw(on, &metadata);
        reached.clone_from(&metadata.resource_version);
    }
    Ok(())
}
