//! Finds the pod that an `exec` or `debug` template lends: the one that was named, or a ready one, by its labels or by
//! the workload that owns it.

use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, ObjectMeta};
use kube::client::Body;
use kube::core::{Request, Selector, SelectorExt as _};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use oz_shared::exec;
use oz_shared::names::GRANT_LABEL;
use oz_shared::template::{PodSource, RoleAccess, WorkloadKind, WorkloadRef};
use serde::Deserialize;

use crate::reconcile::{Doing as _, Error};

/// How many pods are read at once.
const PAGE: u32 = 20;
/// The most bytes of pods that are read from the API server's cache, which knows no pages.
const CACHED: usize = 8 << 20;
/// How many of those are looked at more closely.
const CANDIDATES: usize = 4;

/// The pod that would be lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uid: String,
    /// How many debugging containers run in it.
    pub(crate) debuggers: usize,
    pub(crate) pod: exec::Pod,
}

/// Why nothing of what the template offers is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTarget {
    #[error("the template offers nothing")]
    NotNeeded,
    #[error("Oz is not enabled in this namespace: oz enable {0}")]
    NotEnabled(String),
    #[error("{kind} {name} is not there", kind = .0.kind.as_str(), name = .0.name)]
    NoWorkload(WorkloadRef),
    #[error("{kind} {name} is not there", kind = .0.kind.as_str(), name = .0.name)]
    NoRole(RoleAccess),
    #[error("{0}")]
    BeyondCeiling(String),
    #[error("pod {0} is not there")]
    NoPod(String),
    #[error("pod {0} is not one of those that the template offers")]
    NotOffered(String),
    #[error("pod {0} is not running")]
    NotRunning(String),
    #[error("none of the pods that the template offers is ready")]
    NoneReady,
    #[error("what the template offers cannot be looked for: {0}")]
    Unusable(String),
}

/// The pod called `named`, or a ready one if that is empty.
pub(super) async fn find(
    client: &Client,
    namespace: &str,
    source: &PodSource,
    named: &str,
) -> Result<Result<Target, NoTarget>, Error> {
    told(namespace, search(client, namespace, source, named).await)
}

/// What looking for it came to; where the API server refused to look, that is an answer too.
pub(super) fn told<T>(
    namespace: &str,
    looked: kube::Result<Result<T, NoTarget>>,
) -> Result<Result<T, NoTarget>, Error> {
    match looked {
        Ok(found) => Ok(found),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            Ok(Err(NoTarget::NotEnabled(namespace.to_owned())))
        }
        // Labels that are none, a workload of a kind that is served otherwise: asking again gives the same answer.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Err(NoTarget::Unusable(status.message)))
        }
        // A name that makes no URL, an object that is not what its kind says.
        Err(
            error @ (kube::Error::BuildRequest(_) | kube::Error::HttpError(_) | kube::Error::SerdeError(_)),
        ) => Ok(Err(NoTarget::Unusable(crate::report::chain(&error)))),
        Err(error) => Err(error).doing("find what the template offers"),
    }
}

async fn search(
    client: &Client,
    namespace: &str,
    source: &PodSource,
    named: &str,
) -> kube::Result<Result<Target, NoTarget>> {
    let workload = match &source.workload {
        None => None,
        Some(reference) => match Workload::read(client, namespace, reference).await? {
            Some(workload) => Some(workload),
            None => return Ok(Err(NoTarget::NoWorkload(reference.clone()))),
        },
    };
    let selector = match (&workload, &source.selector) {
        (Some(workload), _) => workload.selector.clone(),
        // The schema cannot hold keys to a pattern, and they end in a query.
        (None, Some(labels)) if !labels.match_labels.keys().all(|k| is_label_key(k)) => {
            return Ok(Err(NoTarget::Unusable("a key of its selector is no label".to_owned())));
        }
        (None, Some(labels)) => Selector::from_iter(labels.match_labels.clone()),
        // The schema demands one of the two; without either, nothing is offered.
        (None, None) => return Ok(Err(NoTarget::NoneReady)),
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    if !named.is_empty() {
        let Some(pod) = pods.get_opt(named).await? else { return Ok(Err(NoTarget::NoPod(named.to_owned()))) };
        if is_lent(&pod)
            || !selector.matches(pod.labels())
            || !owned(client, namespace, &workload, &pod).await?
        {
            return Ok(Err(NoTarget::NotOffered(named.to_owned())));
        }
        return Ok(if is_running(&pod) {
            Ok(target(&pod))
        } else {
            Err(NoTarget::NotRunning(named.to_owned()))
        });
    }
    // A list that must be current waits for the API server's cache, up to a tenth of a second. So candidates come from
    // the cache as it is, and what counts is each of them read again.
    for name in cached(client, namespace, &selector).await? {
        let Some(pod) = pods.get_opt(&name).await? else { continue };
        if is_ready(&pod)
            && selector.matches(pod.labels())
            && owned(client, namespace, &workload, &pod).await?
        {
            return Ok(Ok(target(&pod)));
        }
    }
    // Page by page until one fits: pods can be large, and there can be thousands.
    let mut page = ListParams::default().labels_from(&selector).fields("status.phase=Running").limit(PAGE);
    loop {
        let list = pods.list(&page).await?;
        for pod in list.items.into_iter().filter(is_ready) {
            if owned(client, namespace, &workload, &pod).await? {
                return Ok(Ok(target(&pod)));
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(Err(NoTarget::NoneReady)),
        }
    }
}

/// The names of some ready pods, the oldest first, as the API server's cache has them; none where they are too many.
async fn cached(client: &Client, namespace: &str, selector: &Selector) -> kube::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: ObjectMeta,
        status: PodStatus,
    }
    let list = ListParams::default().labels_from(selector).fields("status.phase=Running").match_any();
    let request =
        Request::new(Pod::url_path(&(), Some(namespace))).list(&list).map_err(kube::Error::BuildRequest)?;
    let response = client.send(request.map(Body::from)).await?;
    if !response.status().is_success() {
        return Ok(Vec::new());
    }
    let Ok(body) = Limited::new(response.into_body(), CACHED).collect().await else { return Ok(Vec::new()) };
    let list: List = serde_json::from_slice(&body.to_bytes()).map_err(kube::Error::SerdeError)?;
    let ready =
        list.items.into_iter().map(|i| Pod { metadata: i.metadata, spec: None, status: Some(i.status) });
    let mut ready: Vec<Pod> = ready.filter(is_ready).collect();
    // The one that has been there longest is the least likely to go next.
    ready.sort_by_cached_key(|p| (p.creation_timestamp().map(|t| t.0), p.name_any()));
    Ok(ready.into_iter().take(CANDIDATES).map(|p| p.name_any()).collect())
}

/// The workload's object as it stands.
pub(crate) async fn workload(
    client: &Client,
    namespace: &str,
    reference: &WorkloadRef,
) -> kube::Result<Option<DynamicObject>> {
    let (group, version, plural) = reference.kind.resource();
    let kind = GroupVersionKind::gvk(group, version, reference.kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    Ok(api.get_opt(&reference.name).await?.filter(|o| o.name_any() == reference.name))
}

/// A workload as it stands: its uid counts, its name is reused.
struct Workload {
    kind: WorkloadKind,
    uid: String,
    selector: Selector,
}

impl Workload {
    /// The workload, unless it is not there or its selector selects everything or cannot be read.
    async fn read(client: &Client, namespace: &str, reference: &WorkloadRef) -> kube::Result<Option<Self>> {
        let Some(object) = workload(client, namespace, reference).await? else { return Ok(None) };
        let selector = object.data.pointer("/spec/selector").cloned().unwrap_or_default();
        let selector =
            serde_json::from_value::<LabelSelector>(selector).ok().and_then(|s| Selector::try_from(s).ok());
        Ok(match (object.uid(), selector) {
            (Some(uid), Some(selector)) if !selector.selects_all() => {
                Some(Self { kind: reference.kind, uid, selector })
            }
            _ => None,
        })
    }
}

/// Does the workload own the pod, directly or through a ReplicaSet? True where no workload is asked for.
async fn owned(
    client: &Client,
    namespace: &str,
    workload: &Option<Workload>,
    pod: &Pod,
) -> kube::Result<bool> {
    let Some(workload) = workload else { return Ok(true) };
    let Some(owner) = controller(pod.owner_references()) else { return Ok(false) };
    if owner.uid == workload.uid {
        return Ok(true);
    }
    let through_replica_set = matches!(workload.kind, WorkloadKind::Deployment | WorkloadKind::Rollout);
    if !through_replica_set || owner.kind != "ReplicaSet" {
        return Ok(false);
    }
    let api: Api<k8s_openapi::api::apps::v1::ReplicaSet> = Api::namespaced(client.clone(), namespace);
    let Some(set) = api.get_metadata_opt(&owner.name).await? else { return Ok(false) };
    Ok(set.uid().as_deref() == Some(&owner.uid)
        && controller(set.owner_references()).is_some_and(|o| o.uid == workload.uid))
}

fn is_label_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

fn controller(owners: &[OwnerReference]) -> Option<&OwnerReference> {
    owners.iter().find(|o| o.controller == Some(true))
}

fn is_running(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running")
}

/// Is it somebody's own: a copy that was made for a grant?
fn is_lent(pod: &Pod) -> bool {
    pod.labels().contains_key(GRANT_LABEL)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    is_running(pod)
        && !is_lent(pod)
        && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn target(pod: &Pod) -> Target {
    let ephemeral = pod.status.iter().flat_map(|s| s.ephemeral_container_statuses.iter().flatten());
    let running = |s: &&ContainerStatus| s.state.as_ref().is_some_and(|s| s.terminated.is_none());
    Target {
        uid: pod.uid().unwrap_or_default(),
        debuggers: ephemeral.filter(running).count(),
        pod: pod.into(),
    }
}
