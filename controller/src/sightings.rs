//! What delegations wait for and rest on, as watches tell of it. One metadata watch for each kind and namespace that any of
//! them needs, opened when it does and closed when none does; of the objects nothing is kept.
//!
//! Events are counted from a version of the cluster that is in the delegation's status: a watch that begins there tells of
//! all that has happened since, so that neither a restart nor a second look counts anything twice. Where the API server
//! remembers no longer what has happened since, as it does for minutes, objects that are younger than the last count still
//! count as added; what was updated and deleted meanwhile is not to be known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{
    ApiResource, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta, WatchEvent, WatchParams,
};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use oz_shared::Delegation;
use oz_shared::delegation::{EventKind, EventTrigger, ObservedKind};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::report;

/// The first and the longest pause before a watch that failed is opened again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How many objects are read at a time where all of them must be.
const PAGE: u32 = 500;
/// What the API server calls a version that it remembers no longer.
const EXPIRED: u16 = 410;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Watched {
    Observed(ObservedKind),
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
}

impl Watched {
    fn resource(self) -> ApiResource {
        let rbac = "rbac.authorization.k8s.io";
        let (group, version, plural, kind) = match self {
            Self::Observed(kind) => {
                let (group, version, plural) = kind.resource();
                (group, version, plural, kind.as_str())
            }
            Self::Role => (rbac, "v1", "roles", "Role"),
            Self::ClusterRole => (rbac, "v1", "clusterroles", "ClusterRole"),
            Self::RoleBinding => (rbac, "v1", "rolebindings", "RoleBinding"),
            Self::ClusterRoleBinding => (rbac, "v1", "clusterrolebindings", "ClusterRoleBinding"),
        };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// The objects of a kind in a namespace, or, where that is empty, in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) kind: Watched,
    pub(crate) namespace: String,
}

impl Place {
    /// Where a trigger's objects are.
    pub(crate) fn of(kind: ObservedKind, namespace: &str) -> Self {
        let namespace = if kind == ObservedKind::Node { "" } else { namespace };
        Self { kind: Watched::Observed(kind), namespace: namespace.to_owned() }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let resource = self.kind.resource();
        if self.namespace.is_empty() {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &self.namespace, &resource)
        }
    }
}

/// Which arming of which list of triggers: its iteration, and whether it is that of the deletion triggers.
pub(crate) type Arming = (i64, bool);

/// How often something has happened, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: i32,
    /// The version up to which that is so.
    pub(crate) version: String,
    /// What is older than this is counted.
    pub(crate) counted_at: Timestamp,
}

/// Something to be counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) place: Place,
    /// Which of its triggers.
    pub(crate) slot: usize,
    pub(crate) arming: Arming,
    pub(crate) trigger: EventTrigger,
    /// What is on record.
    pub(crate) tally: Tally,
}

/// One delegation's part in a watch.
#[derive(Debug)]
struct Interest {
    delegation: ObjectRef<Delegation>,
    /// Is every change to be told?
    looks: bool,
    counts: BTreeMap<usize, Counted>,
}

/// A watch that is open.
struct Feed {
    /// By the delegations' uids.
    interests: HashMap<String, Interest>,
    /// Up to which version everything was told.
    position: String,
    /// Why it tells of nothing at present.
    fault: Option<String>,
    /// Tells the watch from those that were here before it.
    opened: u64,
    _task: AbortOnDropHandle<()>,
}

/// All watches that are open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sightings(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    feeds: Mutex<HashMap<Place, Feed>>,
    opened: AtomicU64,
    look: Box<dyn Fn(ObjectRef<Delegation>) + Send + Sync>,
}

impl Sightings {
    /// No watch; `look` is called with each delegation that something has happened for.
    pub(crate) fn new(
        client: Client,
        clock: Clock,
        look: impl Fn(ObjectRef<Delegation>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            clock,
            feeds: Mutex::default(),
            opened: AtomicU64::default(),
            look: Box::new(look),
        }))
    }

    /// The version that a place is of now.
    pub(crate) async fn version(&self, place: &Place) -> kube::Result<String> {
        let list = place.api(&self.0.client).list_metadata(&ListParams::default().limit(1)).await?;
        Ok(list.metadata.resource_version.unwrap_or_default())
    }

    /// Says all that a delegation needs from now on: each change in `places`, and the counts.
    pub(crate) fn want(
        &self,
        delegation: &ObjectRef<Delegation>,
        uid: &str,
        places: &HashSet<Place>,
        counted: Vec<Counted>,
    ) {
        let mut wanted: HashMap<Place, BTreeMap<usize, Counted>> =
            places.iter().map(|place| (place.clone(), BTreeMap::new())).collect();
        for count in counted {
            wanted.entry(count.place.clone()).or_default().insert(count.slot, count);
        }
        let mut feeds = self.feeds();
        feeds.retain(|place, feed| {
            if !wanted.contains_key(place) {
                feed.interests.remove(uid);
            }
            !feed.interests.is_empty()
        });
        for (place, counts) in wanted {
            let looks = places.contains(&place);
            let oldest = counts.values().map(|c| c.tally.version.clone()).reduce(older);
            let Some(feed) = feeds.get_mut(&place) else {
                let interest = Interest { delegation: delegation.clone(), looks, counts };
                let interests = HashMap::from([(uid.to_owned(), interest)]);
                let feed = self.open(&place, interests, oldest);
                feeds.insert(place, feed);
                continue;
            };
            let interest = feed.interests.entry(uid.to_owned()).or_insert_with(|| Interest {
                delegation: delegation.clone(),
                looks,
                counts: BTreeMap::new(),
            });
            interest.looks = looks;
            interest.counts.retain(|slot, known| counts.get(slot).is_some_and(|c| c.arming == known.arming));
            let mut back = None;
            for (slot, count) in counts {
                if interest.counts.contains_key(&slot) {
                    continue;
                }
                // What the watch has told already, it must tell again: the others know how far they have counted.
                if is_newer(&feed.position, &count.tally.version) {
                    back = Some(back.map_or_else(
                        || count.tally.version.clone(),
                        |b| older(b, count.tally.version.clone()),
                    ));
                }
                interest.counts.insert(slot, count);
            }
            if let Some(back) = back {
                let interests = std::mem::take(&mut feed.interests);
                *feed = self.open(&place, interests, Some(back));
            }
        }
    }

    /// The delegation is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.feeds().retain(|_, feed| {
            feed.interests.remove(uid);
            !feed.interests.is_empty()
        });
    }

    /// What was counted for one of its triggers since it was wanted, with what was on record.
    pub(crate) fn tally(&self, place: &Place, uid: &str, slot: usize, arming: Arming) -> Option<Tally> {
        let feeds = self.feeds();
        let counted = feeds.get(place)?.interests.get(uid)?.counts.get(&slot)?;
        (counted.arming == arming).then(|| counted.tally.clone())
    }

    /// Why a place is not watched, though it should be.
    pub(crate) fn fault(&self, place: &Place) -> Option<String> {
        self.feeds().get(place)?.fault.clone()
    }

    fn open(&self, place: &Place, interests: HashMap<String, Interest>, from: Option<String>) -> Feed {
        let opened = self.0.opened.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(follow(
            Watch { sightings: self.clone(), place: place.clone(), opened },
            from.clone(),
        ));
        Feed {
            interests,
            position: from.unwrap_or_default(),
            fault: None,
            opened,
            _task: AbortOnDropHandle::new(task),
        }
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<Place, Feed>> {
        self.0.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watch, as it tells what it sees. What one tells that was replaced meanwhile counts for nothing.
struct Watch {
    sightings: Sightings,
    place: Place,
    opened: u64,
}

impl Watch {
    /// Works on the watch's own feed, if it is that still.
    fn told<T>(&self, tell: impl FnOnce(&mut Feed, &Inner) -> T) -> Option<T> {
        let mut feeds = self.sightings.feeds();
        let feed = feeds.get_mut(&self.place).filter(|feed| feed.opened == self.opened)?;
        Some(tell(feed, &self.sightings.0))
    }

    /// Notes what happened to an object.
    fn saw(&self, on: EventKind, object: &ObjectMeta) {
        let version = object.resource_version.clone().unwrap_or_default();
        self.told(|feed, inner| {
            let now = inner.clock.now();
            feed.position.clone_from(&version);
            for interest in feed.interests.values_mut() {
                let mut any = interest.looks;
                let counted = interest.counts.values_mut().filter(|c| is_newer(&version, &c.tally.version));
                for counted in counted.filter(|c| c.trigger.on == on && is_of(&c.trigger, object)) {
                    counted.tally = Tally {
                        count: counted.tally.count.saturating_add(1),
                        version: version.clone(),
                        counted_at: now.max(created(object).unwrap_or(now)),
                    };
                    any = true;
                }
                if any {
                    (inner.look)(interest.delegation.clone());
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
                let mut any = interest.looks;
                for counted in interest.counts.values_mut().filter(|c| c.trigger.on == EventKind::Added) {
                    let since = counted.tally.counted_at;
                    let is_new = |o: &&ObjectMeta| {
                        created(o).is_some_and(|created| created > since) && is_of(&counted.trigger, o)
                    };
                    let new = i32::try_from(objects.iter().filter(is_new).count()).unwrap_or(i32::MAX);
                    if new > 0 {
                        let count = counted.tally.count.saturating_add(new);
                        counted.tally = Tally { count, version: version.to_owned(), counted_at: now };
                        any = true;
                    }
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
            if feed.fault != fault {
                feed.fault = fault;
                feed.interests.values().for_each(|i| (inner.look)(i.delegation.clone()));
            }
        });
    }

    /// All that looks here is looked at.
    fn look_again(&self) {
        self.told(|feed, inner| {
            let looking = feed.interests.values().filter(|i| i.looks);
            looking.for_each(|i| (inner.look)(i.delegation.clone()));
        });
    }
}

/// Tells of a place for as long as it is not dropped.
async fn follow(watch: Watch, mut from: Option<String>) {
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

fn is_of(trigger: &EventTrigger, object: &ObjectMeta) -> bool {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    trigger.is_of(object.name.as_deref().unwrap_or_default(), object.labels.as_ref().unwrap_or(&NONE))
}

fn created(object: &ObjectMeta) -> Option<Timestamp> {
    object.creation_timestamp.as_ref().map(|t| t.0)
}

/// Is a version later than another? Kubernetes' are numbers that grow; of any that are not, each other one is.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

fn older(a: String, b: String) -> String {
    if is_newer(&a, &b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert!(is_newer("10", "9") && !is_newer("9", "10") && !is_newer("9", "9"));
        assert!(is_newer("x", "9") && !is_newer("x", "x"));
        assert_eq!(older("10".to_owned(), "9".to_owned()), "9");
    }

    #[test]
    fn nodes_are_no_namespaces() {
        assert_eq!(Place::of(ObservedKind::Node, "shop").namespace, "");
        assert_eq!(Place::of(ObservedKind::Pod, "shop").namespace, "shop");
    }
}
