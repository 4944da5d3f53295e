//! What delegations wait for and rest on, as watches tell of it. One metadata watch for each kind and namespace that any of
//! them needs, opened when it does and closed when none does; of the objects nothing is kept.
//!
//! Events are counted from a version of the cluster that is in the delegation's status: a watch that begins there tells of
//! all that has happened since, so that neither a restart nor a second look counts anything twice. Where the API server
//! remembers no longer what has happened since, as it does for minutes, objects that are younger than the last count still
//! count as added, and what is to be gone by name, for something to end, counts as deleted if it is not there. What else was
//! updated and deleted meanwhile is not to be known. So that this is seldom, how far was counted is put on record also where
//! nothing has come about.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{
    ApiResource, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta, WatchEvent, WatchParams,
};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::Delegation;
use oz_shared::delegation::{EventKind, EventTrigger, ObservedKind};
use oz_shared::names::GRANT_LABEL;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::report;

/// The first and the longest pause before a watch that failed is opened again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How many objects are read at a time where all of them must be.
const PAGE: u32 = 500;
/// What the API server calls a version that it remembers no longer.
const EXPIRED: u16 = 410;
/// How old the version on record may be: less than the API server remembers, and seldom enough to be no load.
const RECORDED: Duration = Duration::from_secs(100);
/// The least time between two looks at a delegation for changes in what it rests on: what changes all the time is looked at
/// so often.
const LOOKS: Duration = Duration::from_millis(250);

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

    /// What is watched to see changes here. Of accounts all are: destinations may be in any number of namespaces.
    fn watched(&self) -> Self {
        match self.kind {
            Watched::Observed(ObservedKind::ServiceAccount) => Self { namespace: String::new(), ..*self },
            _ => self.clone(),
        }
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
    /// Which version is on record, and since when it was.
    pub(crate) recorded: (String, Instant),
}

impl Counted {
    /// Something happened to an object; does it count?
    fn saw(&mut self, on: EventKind, object: &ObjectMeta, now: Timestamp) -> bool {
        let version = object.resource_version.clone().unwrap_or_default();
        let counts =
            self.trigger.on == on && is_newer(&version, &self.tally.version) && is_of(&self.trigger, object);
        if counts {
            let counted_at = created(object).map_or(now, |created| now.max(created));
            self.tally = Tally { count: self.tally.count.saturating_add(1), version, counted_at };
        }
        counts
    }

    /// It is on record so, by this process or by another.
    fn is_recorded(&mut self, on_record: Self) {
        if self.recorded.0 == on_record.recorded.0 {
            return;
        }
        let (count, version) = (on_record.tally.count, on_record.tally.version);
        if self.tally.count == count && is_newer(&version, &self.tally.version) {
            self.tally.version = version;
        }
        self.recorded = on_record.recorded;
    }

    /// These objects are there, and how they came about was not told; does any count?
    fn found(&mut self, objects: &[ObjectMeta], version: &str, now: Timestamp) -> bool {
        let since = self.tally.counted_at;
        let is_new = |o: &&ObjectMeta| created(o).is_some_and(|at| at > since) && is_of(&self.trigger, o);
        let new = match self.trigger.on {
            EventKind::Added => i32::try_from(objects.iter().filter(is_new).count()).unwrap_or(i32::MAX),
            EventKind::Deleted => i32::from(self.is_gone(objects)),
            EventKind::Updated => 0,
        };
        if new > 0 {
            let count = self.tally.count.saturating_add(new);
            self.tally = Tally { count, version: version.to_owned(), counted_at: now };
        }
        new > 0
    }

    /// Is the one object that it is about not there? Once, and only of what ends something: nothing begins by what nobody saw.
    fn is_gone(&self, objects: &[ObjectMeta]) -> bool {
        let (_, ends) = self.arming;
        let is_one = self.trigger.selector.is_none() && !self.trigger.name.contains('*');
        ends && is_one && self.tally.count == 0 && !objects.iter().any(|o| is_of(&self.trigger, o))
    }
}

/// One delegation's part in a watch.
#[derive(Debug)]
struct Interest {
    delegation: ObjectRef<Delegation>,
    /// In which namespaces each change is to be told; of what has none, in that of no name.
    looks: HashSet<String>,
    counts: BTreeMap<usize, Counted>,
}

/// A watch that is open.
struct Feed {
    /// By the delegations' uids.
    interests: HashMap<String, Interest>,
    /// Up to which version everything was told.
    position: String,
    /// Does it tell, and if not, why? None: it was just opened.
    stands: Option<Result<(), String>>,
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
    paced: Mutex<Paced>,
}

impl Inner {
    /// Has a delegation looked at, now or, where it was just now, in a moment.
    fn look_in_time(self: &Arc<Self>, delegation: &ObjectRef<Delegation>) {
        let now = Instant::now();
        let next = self.paced.lock().unwrap_or_else(PoisonError::into_inner).next(delegation, now);
        match next {
            None => {}
            Some(at) if at <= now => (self.look)(delegation.clone()),
            Some(at) => {
                let (inner, delegation) = (self.clone(), delegation.clone());
                tokio::spawn(async move {
                    tokio::time::sleep_until(at.into()).await;
                    (inner.look)(delegation);
                });
            }
        }
    }
}

/// When those delegations were looked at last that were of late, or will be next.
#[derive(Debug, Default)]
struct Paced(HashMap<ObjectRef<Delegation>, Instant>);

impl Paced {
    /// When it is to be looked at for what happens now; none: it will be anyway, after this.
    fn next(&mut self, delegation: &ObjectRef<Delegation>, now: Instant) -> Option<Instant> {
        self.0.retain(|_, at| now < *at + LOOKS);
        let at = match self.0.get(delegation) {
            None => now,
            Some(at) if now < *at => return None,
            Some(at) => *at + LOOKS,
        };
        self.0.insert(delegation.clone(), at);
        Some(at)
    }
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
            paced: Mutex::default(),
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
        let mut wanted: HashMap<Place, (HashSet<String>, BTreeMap<usize, Counted>)> = HashMap::new();
        for place in places {
            wanted.entry(place.watched()).or_default().0.insert(place.namespace.clone());
        }
        for count in counted {
            wanted.entry(count.place.clone()).or_default().1.insert(count.slot, count);
        }
        let mut feeds = self.feeds();
        feeds.retain(|place, feed| {
            if !wanted.contains_key(place) {
                feed.interests.remove(uid);
            }
            !feed.interests.is_empty()
        });
        for (place, (looks, counts)) in wanted {
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
                looks: HashSet::new(),
                counts: BTreeMap::new(),
            });
            interest.looks = looks;
            interest.counts.retain(|slot, known| counts.get(slot).is_some_and(|c| c.arming == known.arming));
            let mut back = None;
            for (slot, count) in counts {
                if let Some(known) = interest.counts.get_mut(&slot) {
                    known.is_recorded(count);
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

    /// The delegation is over, or gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.keep(|known| known != uid);
    }

    /// Those for which this is not so are gone.
    pub(crate) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.feeds().retain(|_, feed| {
            feed.interests.retain(|uid, _| is_there(uid));
            !feed.interests.is_empty()
        });
    }

    /// Notes what the watch of delegations tells, and what is known after it: whatever is gone needs no watch.
    pub(crate) fn told(&self, event: &Event<Delegation>, known: &Store<Delegation>) {
        match event {
            Event::Delete(delegation) => self.forget(&delegation.uid().unwrap_or_default()),
            Event::InitDone => {
                let there: HashSet<String> = known.state().iter().filter_map(|d| d.uid()).collect();
                self.keep(|uid| there.contains(uid));
            }
            Event::Init | Event::InitApply(_) | Event::Apply(_) => {}
        }
    }

    /// What was counted for one of its triggers since it was wanted, with what was on record. Where that is old, as of the
    /// version up to which everything was told.
    pub(crate) fn tally(&self, place: &Place, uid: &str, slot: usize, arming: Arming) -> Option<Tally> {
        let feeds = self.feeds();
        let feed = feeds.get(place)?;
        let counted = feed.interests.get(uid)?.counts.get(&slot).filter(|c| c.arming == arming)?;
        let mut tally = counted.tally.clone();
        if counted.recorded.1.elapsed() >= RECORDED && is_newer(&feed.position, &tally.version) {
            tally.version.clone_from(&feed.position);
        }
        Some(tally)
    }

    /// Is a place watched, and if not, why? None: its watch tells of nothing yet.
    pub(crate) fn stands(&self, place: &Place) -> Option<Result<(), String>> {
        self.feeds().get(place)?.stands.clone()
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
            stands: None,
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
pub(crate) fn is_newer(version: &str, than: &str) -> bool {
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(name: &str, version: u32, created: i64) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: Some(version.to_string()),
            creation_timestamp: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(created))),
            ..ObjectMeta::default()
        }
    }

    fn counted(on: EventKind, version: u32, counted_at: i64) -> Counted {
        let trigger =
            EventTrigger { on, kind: ObservedKind::Pod, name: "web-*".to_owned(), selector: None, count: 9 };
        let tally = Tally { count: 0, version: version.to_string(), counted_at: at(counted_at) };
        let place = Place::of(ObservedKind::Pod, "shop");
        let recorded = (tally.version.clone(), Instant::now());
        Counted { place, slot: 0, arming: (1, false), trigger, tally, recorded }
    }

    #[test]
    fn each_event_counts_once() {
        let mut added = counted(EventKind::Added, 10, 100);
        assert!(!added.saw(EventKind::Added, &pod("web-0", 10, 100), at(101)), "it was there before");
        assert!(!added.saw(EventKind::Added, &pod("db-0", 11, 101), at(101)));
        assert!(!added.saw(EventKind::Updated, &pod("web-0", 12, 100), at(101)));
        assert!(added.saw(EventKind::Added, &pod("web-1", 13, 101), at(102)));
        // The watch is opened again from an older version.
        assert!(!added.saw(EventKind::Added, &pod("web-1", 13, 101), at(103)));
        assert!(added.saw(EventKind::Added, &pod("web-2", 14, 102), at(103)));
        assert_eq!(added.tally, Tally { count: 2, version: "14".to_owned(), counted_at: at(103) });
    }

    #[test]
    fn what_came_about_unseen_counts_where_that_can_be_told() {
        let mut added = counted(EventKind::Added, 10, 100);
        let there = [pod("web-0", 5, 50), pod("web-1", 99, 100), pod("web-2", 98, 101), pod("db-0", 97, 150)];
        assert!(added.found(&there, "200", at(160)));
        assert_eq!(added.tally, Tally { count: 1, version: "200".to_owned(), counted_at: at(160) });
        // Neither by another list, nor by what the watch tells of before it.
        assert!(!added.found(&there, "201", at(170)));
        assert!(!added.saw(EventKind::Added, &pod("web-2", 98, 101), at(170)));
        for on in [EventKind::Updated, EventKind::Deleted] {
            assert!(!counted(on, 10, 100).found(&there, "200", at(160)));
        }
    }

    #[test]
    fn what_is_on_record_is_not_taken_back_by_what_was_counted_before() {
        let mut known = counted(EventKind::Deleted, 10, 100);
        known.is_recorded(counted(EventKind::Deleted, 50, 100));
        assert_eq!((known.tally.version.as_str(), known.recorded.0.as_str()), ("50", "50"));
        known.is_recorded(counted(EventKind::Deleted, 40, 100));
        assert_eq!((known.tally.version.as_str(), known.recorded.0.as_str()), ("50", "40"));
        // Another replica has counted more: this one will, too.
        let mut ahead = counted(EventKind::Deleted, 60, 100);
        ahead.tally.count = 1;
        known.is_recorded(ahead);
        assert_eq!((known.tally.version.as_str(), known.tally.count), ("50", 0));
        assert!(known.saw(EventKind::Deleted, &pod("web-0", 60, 50), at(170)));
    }

    #[test]
    fn what_must_be_gone_for_an_end_and_is_counts_once() {
        let of = |name: &str, ends: bool| {
            let mut counted = counted(EventKind::Deleted, 10, 100);
            counted.trigger.name = name.to_owned();
            counted.arming.1 = ends;
            counted
        };
        let there = [pod("web-1", 5, 50)];
        let mut gone = of("web-0", true);
        assert!(gone.found(&there, "200", at(160)) && gone.tally.count == 1);
        assert!(!gone.found(&there, "300", at(170)));
        assert!(!of("web-1", true).found(&there, "200", at(160)), "it is there");
        assert!(!of("db-*", true).found(&there, "200", at(160)), "nobody knows whether any was");
        assert!(!of("web-0", false).found(&there, "200", at(160)), "it would begin something");
    }

    #[test]
    fn accounts_are_watched_in_the_whole_cluster() {
        let accounts = Watched::Observed(ObservedKind::ServiceAccount);
        let [a, b] = ["a", "b"].map(|namespace| Place { kind: accounts, namespace: namespace.to_owned() });
        assert_eq!(a.watched(), b.watched());
        let bindings = Place { kind: Watched::RoleBinding, namespace: "a".to_owned() };
        assert_eq!(bindings.watched(), bindings);
    }

    #[test]
    fn what_changes_all_the_time_is_looked_at_now_and_then_and_after_the_last_change() {
        let (mut paced, start) = (Paced::default(), Instant::now());
        let [one, other] = ["one", "other"].map(|name| ObjectRef::new(name).within("shop"));
        let mut next = |of, after| paced.next(of, start + after).map(|at| at - start);
        assert_eq!(next(&one, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(next(&one, LOOKS / 5), Some(LOOKS));
        assert_eq!(next(&one, LOOKS / 2), None, "it will be");
        assert_eq!(next(&other, LOOKS / 2), Some(LOOKS / 2));
        assert_eq!(next(&one, LOOKS), Some(LOOKS * 2), "that look may have been made already");
        assert_eq!(next(&one, LOOKS * 4), Some(LOOKS * 4));
    }

    #[test]
    fn nodes_are_no_namespaces() {
        assert_eq!(Place::of(ObservedKind::Node, "shop").namespace, "");
        assert_eq!(Place::of(ObservedKind::Pod, "shop").namespace, "shop");
    }
}
