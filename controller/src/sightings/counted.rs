//! What is to be counted, and how what happens to an object changes a count. Pure.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, ObjectMeta};
use kube::{Api, Client};
use oz_shared::delegation::{EventKind, EventTrigger, ObservedKind};

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
    pub(super) fn watched(&self) -> Self {
        match self.kind {
            Watched::Observed(ObservedKind::ServiceAccount) => Self { namespace: String::new(), ..*self },
            _ => self.clone(),
        }
    }

    pub(super) fn api(&self, client: &Client) -> Api<DynamicObject> {
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
    pub(super) fn saw(&mut self, on: EventKind, object: &ObjectMeta, now: Timestamp) -> bool {
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
    pub(super) fn is_recorded(&mut self, on_record: Self) {
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
    pub(super) fn found(&mut self, objects: &[ObjectMeta], version: &str, now: Timestamp) -> bool {
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
    pub(super) fn is_gone(&self, objects: &[ObjectMeta]) -> bool {
        let (_, ends) = self.arming;
        let is_one = self.trigger.selector.is_none() && !self.trigger.name.contains('*');
        ends && is_one && self.tally.count == 0 && !objects.iter().any(|o| is_of(&self.trigger, o))
    }
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

pub(super) fn older(a: String, b: String) -> String {
    if is_newer(&a, &b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
            creation_timestamp: Some(Time(at(created))),
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
    fn nodes_are_no_namespaces() {
        assert_eq!(Place::of(ObservedKind::Node, "shop").namespace, "");
        assert_eq!(Place::of(ObservedKind::Pod, "shop").namespace, "shop");
    }
}
