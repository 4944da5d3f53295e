//! Waiting for the controller to run, with the words of its pods when it does not.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};
use oz_shared::names::SYSTEM_NAMESPACE;
use tokio::time::Instant;

use super::CONTROLLER_NAME;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// The label by which the Deployment selects its pods.
const PODS: &str = "app.kubernetes.io/name=oz-controller";
/// Lines of a crashed program that are shown.
const LAST_LINES: i64 = 8;
/// Waiting longer does not help.
const HOPELESS: [&str; 6] = [
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// Waits until every replica of the present revision is available. What its pods complain of is said at once, and where no
/// time will mend it, the wait ends.
///
/// # Errors
/// It is not available at the deadline, or cannot become so.
pub(crate) async fn available(app: &App, cluster: &Cluster, deadline: Instant) -> Result<Deployment, Error> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let mut said: Vec<String> = Vec::new();
    loop {
        let deployment = cluster.call("read the Deployment", deployments.get(CONTROLLER_NAME)).await?;
        if is_complete(&deployment) {
            return Ok(deployment);
        }
        let trouble = trouble(cluster, &deployment).await?;
        // Every replica has the same trouble: it is told once, and what ends the wait is told by its error.
        for trouble in trouble.iter().filter(|t| !t.is_hopeless()) {
            if !said.contains(&trouble.reason) {
                app.printer.warn(&trouble.words());
                said.push(trouble.reason.clone());
            }
        }
        if let Some(hopeless) = trouble.iter().find(|t| t.is_hopeless()) {
            let mut message = format!("the controller does not start: {}", hopeless.words());
            if let Some(last) = last_words(cluster, hopeless).await {
                message.push_str(&format!("\nits last words:\n{last}"));
            }
            return Err(next_steps(Error::new(exit::NOT_READY, message), hopeless));
        }
        if Instant::now() > deadline {
            let why = trouble.last().map_or_else(|| counts(&deployment), Trouble::words);
            return Err(Error::new(
                exit::NOT_READY,
                format!("the controller did not become available in time: {why}"),
            )
            .hint(format!("kubectl get pods,events -n {SYSTEM_NAMESPACE}"))
            .hint("the same command again goes on where this ended; --timeout gives it longer"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn next_steps(error: Error, trouble: &Trouble) -> Error {
    let error = error.hint(format!("kubectl describe pod -n {SYSTEM_NAMESPACE} {}", trouble.pod));
    match trouble.reason.as_str() {
        "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
            error.hint("oz install --image IMAGE, with one that the nodes can pull")
        }
        _ => error,
    }
}

/// As `kubectl rollout status` sees it.
pub(crate) fn is_complete(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
        && status.updated_replicas.unwrap_or(0) >= wanted
        && status.replicas.unwrap_or(0) <= wanted
        && status.available_replicas.unwrap_or(0) >= wanted
}

/// `1 of 2 available`.
pub(crate) fn counts(deployment: &Deployment) -> String {
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let available = deployment.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
    format!("{available} of {wanted} available")
}

/// What keeps a pod from running.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    pod: String,
    reason: String,
    message: String,
}

impl Trouble {
    fn words(&self) -> String {
        let of = if self.pod.is_empty() { "the Deployment".to_owned() } else { format!("pod {}", self.pod) };
        format!("{of}: {}: {}", self.reason, self.message)
    }

    fn is_hopeless(&self) -> bool {
        HOPELESS.contains(&self.reason.as_str())
    }
}

async fn trouble(cluster: &Cluster, deployment: &Deployment) -> Result<Vec<Trouble>, Fault> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let list =
        cluster.call("list the controller's pods", pods.list(&ListParams::default().labels(PODS))).await?;
    // Pods of an earlier revision may be in trouble of their own, which is what this install is to mend.
    let image = image(deployment);
    let mut found: Vec<Trouble> =
        list.items.iter().filter(|pod| of_image(pod, image)).flat_map(pod_trouble).collect();
    let conditions = deployment.status.iter().flat_map(|s| s.conditions.iter().flatten());
    found.extend(conditions.filter(|c| c.type_ == "ReplicaFailure" && c.status == "True").map(|c| Trouble {
        pod: String::new(),
        reason: c.reason.clone().unwrap_or_default(),
        message: c.message.clone().unwrap_or_default(),
    }));
    Ok(found)
}

/// The image in the Deployment.
pub(crate) fn image(deployment: &Deployment) -> &str {
    let pod = deployment.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    pod.and_then(|p| p.containers.first()).and_then(|c| c.image.as_deref()).unwrap_or_default()
}

fn of_image(pod: &Pod, image: &str) -> bool {
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    pod.metadata.deletion_timestamp.is_none()
        && containers.into_iter().any(|c| c.image.as_deref() == Some(image))
}

fn pod_trouble(pod: &Pod) -> Vec<Trouble> {
    let status = pod.status.clone().unwrap_or_default();
    let trouble = |reason: &str, message: &str| Trouble {
        pod: pod.name_any(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let unscheduled =
        status.conditions.iter().flatten().filter(|c| c.type_ == "PodScheduled" && c.status == "False");
    let mut found: Vec<Trouble> = unscheduled
        .map(|c| trouble(c.reason.as_deref().unwrap_or_default(), c.message.as_deref().unwrap_or_default()))
        .collect();
    for container in status.container_statuses.iter().flatten() {
        if let Some((reason, message)) = waiting(container) {
            found.push(trouble(&reason, &message));
        }
    }
    found
}

/// Why a container waits, unless it is merely being made.
fn waiting(container: &ContainerStatus) -> Option<(String, String)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_default();
    if reason.is_empty() || reason == "ContainerCreating" || reason == "PodInitializing" {
        return None;
    }
    let message = waiting.message.clone().filter(|m| !m.is_empty());
    Some((reason, message.unwrap_or_else(|| container.image.clone())))
}

/// What a program that crashed wrote last.
async fn last_words(cluster: &Cluster, trouble: &Trouble) -> Option<String> {
    if trouble.reason != "CrashLoopBackOff" {
        return None;
    }
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let with = LogParams { previous: true, tail_lines: Some(LAST_LINES), ..LogParams::default() };
    cluster
        .call("read the controller's log", pods.logs(&trouble.pod, &with))
        .await
        .ok()
        .filter(|log| !log.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_s_own_words() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "oz-controller-1"},
            "spec": {"containers": [{"name": "controller", "image": "r/x:1"}]},
            "status": {"containerStatuses": [{
                "name": "controller", "image": "r/x:1", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"r/x:1\""}},
            }]},
        }))
        .unwrap();
        let found = pod_trouble(&pod);
        assert_eq!(
            found[0].words(),
            "pod oz-controller-1: ImagePullBackOff: Back-off pulling image \"r/x:1\""
        );
        assert!(found[0].is_hopeless() && of_image(&pod, "r/x:1") && !of_image(&pod, "r/x:2"));
    }

    #[test]
    fn complete_means_all_of_the_new_and_none_of_the_old() {
        let deployment = |status: serde_json::Value| -> Deployment {
            serde_json::from_value(json!({
                "metadata": {"generation": 2},
                "spec": {"replicas": 2, "selector": {}, "template": {}},
                "status": status,
            }))
            .unwrap()
        };
        let done =
            json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2});
        assert!(is_complete(&deployment(done)));
        for status in [
            json!({"observedGeneration": 1, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}),
            json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 2, "availableReplicas": 2}),
            json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3, "availableReplicas": 2}),
            json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}),
        ] {
            assert!(!is_complete(&deployment(status)));
        }
    }
}
