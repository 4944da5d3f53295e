//! Workloads as the user may read them with his own rights: what would be copied, and whose pods are meant.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use oz_shared::copy::Source;
use oz_shared::template::{PodSource, WorkloadRef};
use serde_json::Value;

use super::client::{Cluster, Fault};

/// The pod template of a workload as it stands. None: there is no such workload, or it has none.
///
/// # Errors
/// It may not be read.
pub(crate) async fn source(
    cluster: &Cluster,
    namespace: &str,
    workload: &WorkloadRef,
) -> Result<Option<Source>, Fault> {
    let Some(object) = read(cluster, namespace, workload).await? else { return Ok(None) };
    let Some(other) = Source::elsewhere(workload.kind, &object) else {
        return Ok(Source::read(workload.kind, &object));
    };
    let template = read(cluster, namespace, &other).await?;
    Ok(template.and_then(|template| Source::through(workload.kind, &object, other.kind, &template)))
}

/// The labels by which the pods can be listed. None where the workload may not be read, or tells of none.
pub(crate) async fn labels(cluster: &Cluster, namespace: &str, pods: &PodSource) -> Option<String> {
    let labels: BTreeMap<String, String> = match (&pods.selector, &pods.workload) {
        (Some(selector), _) => selector.match_labels.clone(),
        (_, Some(workload)) => {
            let object = read(cluster, namespace, workload).await.ok()??;
            serde_json::from_value(object.pointer("/spec/selector/matchLabels")?.clone()).ok()?
        }
        _ => return None,
    };
    Some(labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

async fn read(cluster: &Cluster, namespace: &str, workload: &WorkloadRef) -> Result<Option<Value>, Fault> {
    let (group, version, plural) = workload.kind.resource();
    let kind = GroupVersionKind::gvk(group, version, workload.kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
    let doing = format!("read {} {}", workload.kind.as_str(), workload.name);
    let object = cluster.call(&doing, api.get_opt(&workload.name)).await?;
    Ok(object.and_then(|o| serde_json::to_value(o).ok()))
}
