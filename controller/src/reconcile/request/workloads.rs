//! Finds the workload of which a `shell` template lends a copied pod, and what would take notice of the copy.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::copy::Source;
use oz_shared::template::WorkloadRef;
use serde::de::DeserializeOwned;

use super::targets::{self, NoTarget};
use crate::reconcile::Error;

/// A workload, and what in its namespace selects pods by label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Workload {
    pub(crate) source: Source,
    /// Services and disruption budgets, by kind and name.
    pub(crate) selecting: Vec<(String, Selector)>,
    /// Network policies, by name.
    pub(crate) policies: Vec<(String, Selector)>,
}

impl Workload {
    /// What would take a pod with these labels for one of its own.
    pub(super) fn taking(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        self.selecting.iter().filter(|(_, s)| s.matches(labels)).map(|(name, _)| name.clone()).collect()
    }

    /// The network policies that hold the workload's pods, but not a pod with these labels.
    pub(super) fn uncovered(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let workload = self.source.labels();
        let missing = self.policies.iter().filter(|(_, s)| s.matches(&workload) && !s.matches(labels));
        missing.map(|(name, _)| name.clone()).collect()
    }
}

pub(super) async fn find(
    client: &Client,
    namespace: &str,
    reference: &WorkloadRef,
) -> Result<Result<Workload, NoTarget>, Error> {
    targets::told(namespace, read(client, namespace, reference).await)
}

async fn read(
    client: &Client,
    namespace: &str,
    reference: &WorkloadRef,
) -> kube::Result<Result<Workload, NoTarget>> {
    let (source, services, budgets, policies) = tokio::try_join!(
        source(client, namespace, reference),
        all::<Service>(client, namespace),
        all::<PodDisruptionBudget>(client, namespace),
        all::<NetworkPolicy>(client, namespace),
    )?;
    let Some(source) = source else { return Ok(Err(NoTarget::NoWorkload(reference.clone()))) };
    let mut selecting = Vec::new();
    for service in services {
        // A Service without a selector selects nothing.
        if let Some(labels) = service.spec.as_ref().and_then(|s| s.selector.clone()).filter(|s| !s.is_empty())
        {
            selecting.push((format!("Service {}", service.name_any()), Selector::from_iter(labels)));
        }
    }
    for budget in budgets {
        // One that selects every pod selects this one whatever its labels.
        let selector = budget.spec.as_ref().and_then(|s| s.selector.clone()).and_then(parse);
        if let Some(selector) = selector.filter(|s| !s.selects_all()) {
            selecting.push((format!("PodDisruptionBudget {}", budget.name_any()), selector));
        }
    }
    let policies = policies.into_iter().filter_map(|policy| {
        let name = policy.name_any();
        Some((name, parse(policy.spec?.pod_selector.unwrap_or_default())?))
    });
    Ok(Ok(Workload { source, selecting, policies: policies.collect() }))
}

fn parse(selector: LabelSelector) -> Option<Selector> {
    Selector::try_from(selector).ok()
}

/// The pod template of the workload. An Argo Rollout may point at that of another.
pub(crate) async fn source(
    client: &Client,
    namespace: &str,
    reference: &WorkloadRef,
) -> kube::Result<Option<Source>> {
    let Some(object) = targets::workload(client, namespace, reference).await? else { return Ok(None) };
    let object = serde_json::to_value(&object).map_err(kube::Error::SerdeError)?;
    let Some(other) = Source::elsewhere(reference.kind, &object) else {
        return Ok(Source::read(reference.kind, &object));
    };
    let Some(template) = targets::workload(client, namespace, &other).await? else { return Ok(None) };
    let template = serde_json::to_value(&template).map_err(kube::Error::SerdeError)?;
    Ok(Source::through(reference.kind, &object, other.kind, &template))
}

/// All objects of a kind, as the API server's cache has them: they only decide what is warned of.
async fn all<K>(client: &Client, namespace: &str) -> kube::Result<Vec<K>>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default().match_any()).await?.items)
}
