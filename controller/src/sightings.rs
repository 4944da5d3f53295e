//! What delegations wait for and rest on, as watches tell of it. One metadata watch for each kind and namespace that any of
//! them needs, opened when it does and closed when none does; of the objects nothing is kept.
//!
//! Events are counted from a version of the cluster that is in the delegation's status: a watch that begins there tells of
//! all that has happened since, so that neither a restart nor a second look counts anything twice. Where the API server
//! remembers no longer what has happened since, as it does for minutes, objects that are younger than the last count still
//! count as added, and what is to be gone by name, for something to end, counts as deleted if it is not there. What else was
//! updated and deleted meanwhile is not to be known. So that this is seldom, how far was counted is put on record also where
//! nothing has come about.

mod counted;
mod follow;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt as _};
use oz_shared::Delegation;
use tokio_util::task::AbortOnDropHandle;

use self::counted::{Arming, older};
pub(crate) use self::counted::{Counted, Place, Tally, Watched, is_newer};
use self::follow::{Watch, follow};
use crate::clock::Clock;

/// How old the version on record may be: less than the API server remembers, and seldom enough to be no load.
const RECORDED: Duration = Duration::from_secs(100);
/// The least time between two looks at a delegation for changes in what it rests on: what changes all the time is looked at
/// so often.
const LOOKS: Duration = Duration::from_millis(250);

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
