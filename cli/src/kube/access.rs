//! What a template would lend on a pod, seen from outside: the same pure function that the controller grants by.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use oz_shared::exec::{self, Misfit, Offer};
use oz_shared::template::{ExecAccess, PodSource};

/// What `kubectl exec` enters unless told.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// A shell, the better of the two that may be there.
const SHELL: [&str; 3] = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"];

/// A pod, as far as an offer depends on it.
pub(crate) fn pod_facts(pod: &Pod) -> exec::Pod {
    let spec = pod.spec.clone().unwrap_or_default();
    let first = spec.containers.first().map(|c| c.name.clone()).unwrap_or_default();
    let names = spec.containers.iter().map(|c| c.name.clone());
    let init = spec.init_containers.iter().flatten().map(|c| c.name.clone());
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|c| c.name.clone());
    let containers: Vec<String> = names.chain(init).chain(ephemeral).collect();
    let annotated = pod.annotations().get(DEFAULT_CONTAINER).filter(|c| containers.contains(c)).cloned();
    let mounts_token = spec.volumes.iter().flatten().any(|volume| {
        let sources = volume.projected.as_ref().and_then(|p| p.sources.as_ref());
        sources.into_iter().flatten().any(|s| s.service_account_token.is_some())
    });
    exec::Pod {
        name: pod.name_any(),
        default_container: annotated.unwrap_or(first),
        mounted_account: mounts_token
            .then(|| spec.service_account_name.unwrap_or_else(|| "default".to_owned())),
        containers,
    }
}

/// What would be lent; on a pod that is not known, as if it were one that fits.
///
/// # Errors
/// It does not fit the pod.
pub(crate) fn preview(
    access: &ExecAccess,
    pod: Option<&exec::Pod>,
    named: &str,
    container: &str,
) -> Result<Offer, Misfit> {
    if let Some(pod) = pod {
        return exec::offer(access, pod, container);
    }
    let name = if named.is_empty() {
        format!("(a ready one of {})", source_in_words(&access.pods))
    } else {
        named.to_owned()
    };
    let mut containers = access.containers.clone();
    if !container.is_empty() && !containers.iter().any(|c| c == container) {
        containers.push(container.to_owned());
    }
    let stand_in = exec::Pod { name, default_container: String::new(), mounted_account: None, containers };
    exec::offer(access, &stand_in, container)
}

/// Which pods a template means.
pub(crate) fn source_in_words(source: &PodSource) -> String {
    if let Some(workload) = &source.workload {
        return format!("{}/{}", workload.kind.as_str(), workload.name);
    }
    let labels = source.selector.iter().flat_map(|s| &s.match_labels);
    labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What a shell runs where the template leaves the choice.
pub(crate) fn default_command() -> Vec<String> {
    SHELL.iter().map(|s| (*s).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_in_the_words_of_an_offer() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "api-0", "annotations": {DEFAULT_CONTAINER: "side"}},
            "spec": {
                "serviceAccountName": "api",
                "initContainers": [{"name": "init"}],
                "containers": [{"name": "main"}, {"name": "side"}],
                "volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
            },
        }))
        .unwrap();
        let facts = pod_facts(&pod);
        assert_eq!(facts.containers, ["main", "side", "init"]);
        assert_eq!(
            (facts.default_container.as_str(), facts.mounted_account.as_deref()),
            ("side", Some("api"))
        );
    }

    #[test]
    fn without_a_pod_the_terms_are_shown() {
        let access: ExecAccess = serde_json::from_value(json!({
            "pods": {"selector": {"matchLabels": {"app": "api"}}}, "connections": ["exec"],
        }))
        .unwrap();
        let offer = preview(&access, None, "", "").unwrap();
        assert_eq!(offer.words[0], "exec into pod (a ready one of app=api), any container, any command");
    }
}
