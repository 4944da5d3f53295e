//! Following one request by watch, and what its end means for who waits for it.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use oz_shared::request::{Release, Verdict};
use oz_shared::{Phase, conditions};
use tokio::time::Instant;

use super::asked::Asked;
use super::client::{Cluster, Fault};

/// A server may end a watch at any time; it is taken up again after this, which grows while it fails.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Where watching is not permitted, how often the request is read instead.
const POLL: Duration = Duration::from_secs(2);
/// How long one watch lasts, in seconds: a connection that died unnoticed is found out by then.
const WATCH_SECONDS: u32 = 60;
/// How long a cluster may be away before waiting is given up.
const GIVE_UP: Duration = Duration::from_secs(120);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Enough people agreed.
    Approved,
    /// It can be used.
    Ready,
}

/// Why waiting came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("{by} denied the request{}", because(reason))]
    Denied { by: String, reason: String },
    #[error("nobody decided in time: the request expired")]
    NobodyDecided,
    #[error("{} within {after}", if *approved { "it did not become usable" } else { "nobody decided" })]
    TimedOut { after: String, approved: bool },
    #[error("the access has expired")]
    Expired,
    #[error("the access was released by {by}{}", because(reason))]
    Released { by: String, reason: String },
    #[error("the request was deleted")]
    Deleted,
    #[error("the access is over: {0}")]
    Finished(String),
    #[error("the access could not be granted: {0}")]
    Failed(String),
    #[error("the access has ended: {0}")]
    Broken(String),
    #[error("the cluster cannot be reached any more: {0}")]
    Lost(String),
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// How a request in an end state ended; none while it goes on.
pub(crate) fn outcome<R: Asked>(request: &R) -> Option<Ended> {
    let by = |r: Release<'_>| Ended::Released { by: r.by.to_owned(), reason: r.reason.to_owned() };
    let (status, released) = (request.status(), request.release().map(by));
    let conditions = status.map(|s| s.conditions.as_slice()).unwrap_or_default();
    match request.phase() {
        Phase::Pending | Phase::Approved | Phase::Active => released,
        Phase::Denied => {
            let denial = request.decisions().iter().find(|d| d.decision == Verdict::Deny);
            let (by, reason) =
                denial.map_or(("someone".to_owned(), String::new()), |d| (d.by.clone(), d.reason.clone()));
            Some(Ended::Denied { by, reason })
        }
        Phase::Expired if status.is_none_or(|s| s.approved_at.is_none()) => Some(Ended::NobodyDecided),
        Phase::Expired => Some(Ended::Expired),
        Phase::Released if released.is_some() => released,
        Phase::Released
            if conditions::get(conditions, conditions::READY).is_some_and(|c| c.reason == "Finished") =>
        {
            Some(Ended::Finished(why(conditions)))
        }
        Phase::Released => Some(Ended::Released { by: "the controller".to_owned(), reason: why(conditions) }),
        Phase::Failed if status.is_some_and(|s| s.timings.contains_key("active")) => {
            Some(Ended::Broken(why(conditions)))
        }
        Phase::Failed => Some(Ended::Failed(why(conditions))),
    }
}

/// What the conditions say about a failure: the first that is not as it should be.
fn why(list: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> String {
    let said = |c: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| !c.message.is_empty();
    let ended = conditions::get(list, conditions::ENDED).filter(said);
    let failed = [conditions::ACCEPTED, conditions::APPROVED, conditions::READY]
        .into_iter()
        .find_map(|kind| conditions::get(list, kind).filter(|c| c.status == "False").filter(said));
    failed.or(ended).map_or_else(|| "no reason was given".to_owned(), |c| c.message.clone())
}

/// Something happened to the request.
#[derive(Debug)]
pub(crate) enum Change<R> {
    /// It reads so now.
    Now(Box<R>),
    /// It was deleted, or another has its name.
    Gone,
    /// The API server does not answer; it is tried again.
    Trouble(Fault),
}

type Events<R> = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<R>>> + Send>>;

/// Follows one request, from the state in which it is known.
pub(crate) struct Follow<R> {
    api: Api<R>,
    name: String,
    uid: Option<String>,
    version: Option<String>,
    events: Option<Events<R>>,
    pause: Duration,
    /// Not before this is anything sent again.
    resume: Option<Instant>,
    polling: bool,
}

impl<R: Asked> Follow<R> {
    pub(crate) fn new(cluster: &Cluster, request: &R) -> Self {
        let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
        Self {
            api: cluster.asked(Some(&namespace)),
            name: request.name_any(),
            uid: request.uid(),
            version: request.resource_version(),
            events: None,
            pause: FIRST_PAUSE,
            resume: None,
            polling: false,
        }
    }

    /// The next change. May be dropped while it waits, and called again.
    pub(crate) async fn next(&mut self) -> Change<R> {
        loop {
            if let Some(resume) = self.resume {
                tokio::time::sleep_until(resume).await;
                self.resume = None;
            }
            if let Some(events) = &mut self.events {
                let event = events.next().await;
                if let Some(change) = self.take(event) {
                    return change;
                }
                continue;
            }
            match self.version.clone().filter(|_| !self.polling) {
                None => return self.read().await,
                Some(version) => {
                    let only = format!("metadata.name={}", self.name);
                    let with = WatchParams::default().fields(&only).timeout(WATCH_SECONDS);
                    match limited(self.api.watch(&with, &version)).await {
                        Ok(events) => {
                            self.pause = FIRST_PAUSE;
                            self.events = Some(events.boxed());
                        }
                        Err(fault) if fault.code() == Some(403) => self.polling = true,
                        Err(fault) => {
                            self.version = None;
                            return self.trouble(fault);
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, event: Option<kube::Result<WatchEvent<R>>>) -> Option<Change<R>> {
        match event {
            Some(Ok(WatchEvent::Added(request) | WatchEvent::Modified(request))) => Some(self.seen(request)),
            Some(Ok(WatchEvent::Deleted(_))) => Some(Change::Gone),
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                self.version = Some(bookmark.metadata.resource_version);
                None
            }
            // The version is too old, or the watch broke: read it, then watch from there.
            Some(Ok(WatchEvent::Error(_)) | Err(_)) => {
                self.events = None;
                self.version = None;
                None
            }
            None => {
                self.events = None;
                None
            }
        }
    }

    async fn read(&mut self) -> Change<R> {
        if self.polling {
            self.resume = Some(Instant::now() + POLL);
        }
        match limited(self.api.get(&self.name)).await {
            Ok(request) => {
                self.pause = FIRST_PAUSE;
                self.seen(request)
            }
            Err(fault) if fault.code() == Some(404) => Change::Gone,
            Err(fault) => self.trouble(fault),
        }
    }

    fn seen(&mut self, request: R) -> Change<R> {
        if self.uid.is_some() && request.uid() != self.uid {
            return Change::Gone;
        }
        self.version = request.resource_version();
        Change::Now(Box::new(request))
    }

    fn trouble(&mut self, fault: Fault) -> Change<R> {
        self.resume = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Change::Trouble(fault)
    }
}

/// The answer's beginning must come in time; a watch then goes on as long as it may.
async fn limited<T>(answer: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    const LIMIT: Duration = Duration::from_secs(30);
    let doing = "follow the request";
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| Fault::of(doing, error)),
        Err(_) => Err(Fault::Timeout { doing: doing.to_owned(), after: LIMIT }),
    }
}

/// Is the goal reached?
fn reached<R: Asked>(request: &R, goal: Goal) -> bool {
    match goal {
        Goal::Ready => request.phase() == Phase::Active,
        Goal::Approved => matches!(request.phase(), Phase::Approved | Phase::Active),
    }
}

/// Waits until the goal is reached; `on_change` hears of each state before.
///
/// # Errors
/// It ended otherwise, or took longer than `limit`.
pub(crate) async fn until<R: Asked>(
    cluster: &Cluster,
    request: R,
    goal: Goal,
    limit: Duration,
    mut on_change: impl FnMut(&R),
) -> Result<R, Ended> {
    let timed_out = Instant::now() + limit;
    let mut follow = Follow::new(cluster, &request);
    let mut request = request;
    let mut away: Option<Instant> = None;
    loop {
        if reached(&request, goal) && request.release().is_none() {
            return Ok(request);
        }
        if let Some(ended) = outcome(&request) {
            return Err(ended);
        }
        on_change(&request);
        match tokio::time::timeout_at(timed_out, follow.next()).await {
            Err(_) => {
                let limit = jiff::SignedDuration::try_from(limit).unwrap_or(jiff::SignedDuration::MAX);
                let approved = request.phase() == Phase::Approved;
                return Err(Ended::TimedOut { after: crate::duration::human(limit), approved });
            }
            Ok(Change::Now(now)) => {
                away = None;
                request = *now;
            }
            Ok(Change::Gone) => return Err(Ended::Deleted),
            Ok(Change::Trouble(fault)) => {
                if away.get_or_insert_with(Instant::now).elapsed() > GIVE_UP {
                    return Err(Ended::Lost(fault.to_string()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::AccessRequest;
    use serde_json::json;

    fn request(phase: &str, spec: serde_json::Value, status: serde_json::Value) -> AccessRequest {
        let mut base = json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": "x"},
            "spec": {"template": "t", "requester": {"username": "alice"}}, "status": {"phase": phase},
        });
        let merge = |into: &mut serde_json::Value, more: serde_json::Value| {
            for (key, value) in more.as_object().unwrap() {
                into[key] = value.clone();
            }
        };
        merge(&mut base["spec"], spec);
        merge(&mut base["status"], status);
        serde_json::from_value(base).unwrap()
    }

    #[test]
    fn every_end_says_who_and_why() {
        let said = |r: &AccessRequest| outcome(r).map(|e| e.to_string());
        let deny = json!({"decisions": [{"by": "bob", "decision": "Deny", "reason": "not today", "request": "u",
            "template": {"uid": "t", "generation": 1}}]});
        assert_eq!(said(&request("Denied", deny, json!({}))).unwrap(), "bob denied the request: not today");
        let released = json!({"released": true, "releasedBy": "carol"});
        assert_eq!(
            said(&request("Released", released, json!({}))).unwrap(),
            "the access was released by carol"
        );
        assert!(matches!(outcome(&request("Expired", json!({}), json!({}))), Some(Ended::NobodyDecided)));
        let approved = json!({"approvedAt": "2026-11-22T12:00:00Z"});
        assert!(matches!(outcome(&request("Expired", json!({}), approved)), Some(Ended::Expired)));
        let failed = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "NoPod",
            "message": "no pod is ready", "lastTransitionTime": "2026-11-22T12:00:00Z"}]});
        assert_eq!(
            said(&request("Failed", json!({}), failed)).unwrap(),
            "the access could not be granted: no pod is ready"
        );
        let lost = json!({"timings": {"active": 5}, "conditions": [{"type": "Ready", "status": "False",
            "reason": "PodGone", "message": "pod x is gone", "lastTransitionTime": "2026-11-22T12:00:00Z"}]});
        assert_eq!(said(&request("Failed", json!({}), lost)).unwrap(), "the access has ended: pod x is gone");
        let finished = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Finished",
            "message": "it ended", "lastTransitionTime": "2026-11-22T12:00:00Z"}]});
        assert!(matches!(outcome(&request("Released", json!({}), finished)), Some(Ended::Finished(_))));
        assert!(outcome(&request("Active", json!({}), json!({}))).is_none());
    }
}
