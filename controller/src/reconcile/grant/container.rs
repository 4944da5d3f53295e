//! The container that a grant is entered by where Oz itself made it: in a copy of a pod, or put into a running one. What
//! is known of it, in the kubelet's and the scheduler's own words.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::{Api, ResourceExt as _};
use oz_shared::Grant;
use oz_shared::copy::Source;
use oz_shared::grant::{CopyTerms, DebugTerms, PodRef};

use oz_shared::template::Keep;
use serde_json::Value;

use crate::children::{self, belongs_to};
use crate::context::Context;
use crate::reconcile::request::source;
use crate::reconcile::{Doing as _, Error, later};

/// What a container waits for that does not come by waiting.
const STUCK: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Said of one that starts as it should, whatever it is at: each step told apart would be written twice.
pub(in crate::reconcile) const STARTING: &str = "the container is being started";

/// The container that a grant rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Container {
    /// The grant makes none.
    #[default]
    None,
    /// It is to be made.
    Missing(Box<Order>),
    /// It cannot be made, and why.
    Impossible(String),
    /// A pod of that name is there, and it is not the grant's.
    Strange(String),
    /// It was there, and is not any more.
    Gone(String),
    /// It is there.
    There(There),
    /// It could not be looked at, and why.
    Unknown(String),
}

/// How what a grant rests on is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// By making namespaces.
    Namespaces,
    /// By making this pod.
    Copy(Value),
    /// By putting this container into that pod.
    Debug(PodRef, Value),
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct There {
    pub(crate) pod: PodRef,
    pub(crate) state: State,
    /// Is its pod being deleted?
    pub(crate) terminating: bool,
    /// What keeps its pod from going.
    pub(crate) finalizers: Vec<String>,
    /// When its time is over; known once it runs.
    pub(crate) ends_at: Option<Timestamp>,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not yet, and what it waits for.
    Waiting(String),
    /// It will not start, and why.
    Stuck(String),
    Running,
    /// It ended: because its pod's time was over, or otherwise.
    Ended {
        expired: bool,
        words: String,
    },
}

/// Reads what there is of the container that this grant makes.
pub(super) async fn observe(grant: &Grant, context: &Context) -> Result<Container, Error> {
    if let Some(terms) = &grant.spec.copy {
        let api: Api<Pod> = Api::namespaced(context.client.clone(), &terms.namespace);
        let copy = async { api.get_opt(&terms.name).await.doing("read the copy") };
        if grant.status.as_ref().is_some_and(|s| s.copy.is_some()) {
            return Ok(match copy.await? {
                Some(pod) => of(grant, &pod),
                None => Container::Gone(terms.name.clone()),
            });
        }
        // Most likely it is to be made.
        let workload = &terms.shell.workload;
        let (copy, source) = tokio::join!(copy, source(&context.client, &terms.namespace, workload));
        match copy? {
            Some(pod) => Ok(of(grant, &pod)),
            None => Ok(missing_copy(grant, terms, source.doing("read the workload")?)),
        }
    } else if let (Some(_), Some(rests_on)) = (&grant.spec.debug, grant.spec.pods.first()) {
        let api: Api<Pod> = Api::namespaced(context.client.clone(), &rests_on.namespace);
        Ok(match api.get_opt(&rests_on.name).await.doing("read the pod")? {
            Some(pod) if pod.uid().as_deref() == Some(&rests_on.uid) => of(grant, &pod),
            _ => Container::Gone(rests_on.name.clone()),
        })
    } else {
        Ok(Container::None)
    }
}

/// What is known of the grant's container, this being its pod.
pub(super) fn of(grant: &Grant, pod: &Pod) -> Container {
    match (&grant.spec.copy, &grant.spec.debug, grant.spec.pods.first()) {
        (Some(terms), ..) => of_copy(grant, terms, pod),
        (None, Some(terms), Some(rests_on)) => of_debug(terms, rests_on, pod),
        _ => Container::None,
    }
}

/// The copy that is to be made of its workload as that stands.
fn missing_copy(grant: &Grant, terms: &CopyTerms, source: Option<Source>) -> Container {
    let workload = &terms.shell.workload;
    let impossible =
        |why: &str| Container::Impossible(format!("{} {} {why}", workload.kind.as_str(), workload.name));
    match source {
        None => impossible("is not there any more"),
        Some(source) if source.uid != terms.workload_uid => impossible("is another one now"),
        Some(source) => match children::copied_pod(grant, terms, &source) {
            Ok(pod) => Container::Missing(Box::new(Order::Copy(pod))),
            Err(why) => Container::Impossible(why),
        },
    }
}

/// What is known of the copy, if this pod is it.
fn of_copy(grant: &Grant, terms: &CopyTerms, pod: &Pod) -> Container {
    let uid = pod.uid().unwrap_or_default();
    let known = grant.status.as_ref().and_then(|s| s.copy.as_ref());
    let owned = belongs_to(pod, &grant.name_any())
        && pod.owner_references().iter().any(|o| Some(&o.uid) == grant.metadata.uid.as_ref());
    if !owned || known.is_some_and(|k| k.uid != uid) {
        return Container::Strange(terms.name.clone());
    }
    let status = pod.status.clone().unwrap_or_default();
    let statuses = status.container_statuses.as_deref().unwrap_or_default();
    let own = statuses.iter().find(|s| s.name == terms.container);
    let state = if let Some(account) = unasked_token(terms, pod) {
        State::Stuck(format!(
            "on its way in it was given a token of service account {account}, which its template does not keep: allow that by keep: [ServiceAccountToken], or patch /spec/serviceAccountName"
        ))
    } else if status.phase.as_deref() == Some("Failed") && status.reason.is_some() {
        let reason = status.reason.clone().unwrap_or_default();
        State::Ended {
            expired: reason == "DeadlineExceeded",
            words: said(&reason, status.message.as_deref()),
        }
    } else {
        let before = status.init_container_statuses.iter().flatten().find_map(stuck_before);
        match own.and_then(|s| s.state.as_ref()).map(state) {
            Some(State::Waiting(words)) => before.unwrap_or(State::Waiting(words)),
            Some(state) => state,
            None => before.unwrap_or_else(|| State::Waiting(unscheduled(pod))),
        }
    };
    let started = status.start_time.filter(|_| state == State::Running).map(|t| t.0);
    Container::There(There {
        pod: PodRef {
            namespace: terms.namespace.clone(),
            name: terms.name.clone(),
            uid,
            container: terms.container.clone(),
        },
        state,
        terminating: pod.metadata.deletion_timestamp.is_some(),
        finalizers: pod.finalizers().to_vec(),
        ends_at: started.map(|t| later(t, SignedDuration::from_secs(terms.seconds))),
    })
}

/// The account of a token that a webhook put into the copy, against its template.
fn unasked_token(terms: &CopyTerms, pod: &Pod) -> Option<String> {
    if terms.shell.keep.contains(&Keep::ServiceAccountToken) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let mut sources = spec.volumes.iter().flatten().flat_map(|v| v.projected.iter());
    let has_token = sources.any(|p| p.sources.iter().flatten().any(|s| s.service_account_token.is_some()));
    has_token.then(|| spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()))
}

/// What is known of the debugging container in this pod.
fn of_debug(terms: &DebugTerms, rests_on: &PodRef, pod: &Pod) -> Container {
    let name = terms.container["name"].as_str().unwrap_or_default();
    let added = pod.spec.iter().flat_map(|s| s.ephemeral_containers.iter().flatten()).any(|c| c.name == name);
    if !added {
        let order = Order::Debug(rests_on.clone(), terms.container.clone());
        return Container::Missing(Box::new(order));
    }
    let statuses = pod.status.iter().flat_map(|s| s.ephemeral_container_statuses.iter().flatten());
    let own = statuses.into_iter().find(|s| s.name == name).and_then(|s| s.state.as_ref());
    let started = own.and_then(|s| s.running.as_ref()).and_then(|r| r.started_at.as_ref()).map(|t| t.0);
    Container::There(There {
        pod: rests_on.clone(),
        state: own.map_or_else(|| State::Waiting(STARTING.to_owned()), state),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        finalizers: pod.finalizers().to_vec(),
        ends_at: started.map(|t| later(t, SignedDuration::from_secs(terms.seconds))),
    })
}

fn state(state: &ContainerState) -> State {
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.as_deref().unwrap_or("it ended");
        let words = format!("{} (exit code {})", said(reason, ended.message.as_deref()), ended.exit_code);
        return State::Ended { expired: false, words };
    }
    if state.running.is_some() {
        return State::Running;
    }
    let waiting = state.waiting.clone().unwrap_or_default();
    let reason = waiting.reason.unwrap_or_default();
    if matches!(reason.as_str(), "ContainerCreating" | "PodInitializing") && waiting.message.is_none() {
        return State::Waiting(STARTING.to_owned());
    }
    let words = said(&reason, waiting.message.as_deref());
    if STUCK.contains(&reason.as_str()) { State::Stuck(words) } else { State::Waiting(words) }
}

/// An init container that keeps the others from ever starting.
fn stuck_before(status: &ContainerStatus) -> Option<State> {
    let told = |words: &str| State::Stuck(format!("init container {}: {words}", status.name));
    match state(status.state.as_ref()?) {
        State::Stuck(words) => Some(told(&words)),
        State::Ended { words, .. }
            if status.state.as_ref()?.terminated.as_ref().is_some_and(|t| t.exit_code != 0) =>
        {
            Some(told(&words))
        }
        _ => None,
    }
}

fn unscheduled(pod: &Pod) -> String {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let scheduled = conditions.into_iter().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    match scheduled {
        Some(c) => said(c.reason.as_deref().unwrap_or_default(), c.message.as_deref()),
        None => STARTING.to_owned(),
    }
}

fn said(reason: &str, message: Option<&str>) -> String {
    let words = match message {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    };
    let no_shell = words.contains("executable file not found") || words.contains("exec: \"sh\"");
    if no_shell { format!("{words}; if the image has no shell, ask for a debug template") } else { words }
}
