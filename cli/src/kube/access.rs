//! What a template would lend, seen from outside: by the same pure functions that the controller grants by, of what the user
//! may read with his own rights.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::{Api, ResourceExt as _};
use oz_shared::copy::{self, Asked};
use oz_shared::exec::{self, Offer};
use oz_shared::lasting::lasting;
use oz_shared::names::{DEFAULT_CONTAINER, GRANT_LABEL, copy_name, grant_name};
use oz_shared::template::{
    AccessTemplateSpec, DebugAccess, ExecAccess, PodSource, RoleAccess, RoleKind, ShellAccess,
};
use oz_shared::{AccessRequest, AccessTemplate, debug, duration};
use serde_json::{Value, json};

use super::client::{Cluster, Fault};
use super::workloads::source;

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

/// Why it cannot be told what would be lent, or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("nothing: {0}")]
    Misfit(String),
    #[error("nothing: {0} is not there")]
    Absent(String),
    #[error("nothing is made for it: {0} lends what is there already")]
    NotMade(String),
}

fn misfit(misfit: impl ToString) -> Unknown {
    Unknown::Misfit(misfit.to_string())
}

/// What would be lent to this request, as far as the user may see it.
///
/// # Errors
/// He may not see it, or it does not fit.
pub(crate) async fn offer(
    cluster: &Cluster,
    request: &AccessRequest,
    spec: &AccessTemplateSpec,
) -> Result<Offer, Unknown> {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let (name, uid) = (named_pod(request), request.uid().unwrap_or_default());
    match (&spec.exec, &spec.shell, &spec.debug, &spec.role) {
        (Some(access), ..) => {
            let pod = read_pod(cluster, &namespace, &name).await.ok().flatten();
            let mut offer = preview(access, pod.as_ref(), &name, &request.spec.container).map_err(misfit)?;
            if pod.is_none() {
                let unseen =
                    "whether the pod's own token can be read inside is not known: you may not read the pod";
                offer.words.push(unseen.to_owned());
            }
            Ok(offer)
        }
        (_, Some(shell), ..) => {
            let (copied, source) = copied(cluster, request, &namespace, shell).await?;
            copy::offer(shell, &copied, &source, &copy_name(&source.name, &uid), &[]).map_err(misfit)
        }
        (_, _, Some(access), _) => {
            let pod = read_pod(cluster, &namespace, &name).await.ok().flatten();
            let pod = pod.unwrap_or_else(|| stand_in(&access.pods, &name, &access.target));
            let container = debugger(access, request, &pod)?;
            debug::offer(access, &pod, &container).map_err(misfit)
        }
        (.., Some(access)) => Ok(role(cluster, &namespace, access).await),
        _ => Err(misfit("the template offers nothing")),
    }
}

/// The pod, or the debugging container, that would be made for this request: what it is, and the object.
///
/// # Errors
/// What it is made of cannot be read, or nothing is made.
pub(crate) async fn made(
    cluster: &Cluster,
    request: &AccessRequest,
    template: &AccessTemplate,
) -> Result<(String, Value), Unknown> {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let (spec, uid) = (&template.spec, request.uid().unwrap_or_default());
    if let Some(shell) = &spec.shell {
        let asked = &request.spec.duration;
        let lent_for = duration::parse(if asked.is_empty() { &spec.duration.default } else { asked });
        let (copied, source) = copied(cluster, request, &namespace, shell).await?;
        let mut pod = copied.pod(lent_for.map_err(misfit)?.as_secs());
        pod["metadata"]["name"] = json!(copy_name(&source.name, &uid));
        pod["metadata"]["namespace"] = json!(namespace);
        pod["metadata"]["labels"][GRANT_LABEL] = json!(grant_name(&uid));
        let what = format!("A copy of a pod of {} {}:", source.kind.as_str(), source.name);
        return Ok((what, pod));
    }
    let Some(access) = &spec.debug else { return Err(Unknown::NotMade(template.name_any())) };
    let name = named_pod(request);
    let pod = match read_pod(cluster, &namespace, &name).await? {
        Some(pod) => pod,
        None if name.is_empty() => stand_in(&access.pods, &name, &access.target),
        None => return Err(Unknown::Absent(format!("pod {name}"))),
    };
    Ok((format!("An ephemeral container in pod {}:", pod.name), debugger(access, request, &pod)?))
}

/// The pod that was chosen, or named; or nothing.
fn named_pod(request: &AccessRequest) -> String {
    let chosen = request.status.as_ref().map(|s| s.pod.clone()).unwrap_or_default();
    if chosen.is_empty() { request.spec.pod.clone() } else { chosen }
}

async fn read_pod(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<exec::Pod>, Fault> {
    if name.is_empty() {
        return Ok(None);
    }
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    Ok(cluster.call("read the pod", api.get_opt(name)).await?.map(|pod| pod_facts(&pod)))
}

async fn copied(
    cluster: &Cluster,
    request: &AccessRequest,
    namespace: &str,
    shell: &ShellAccess,
) -> Result<(copy::Copied, copy::Source), Unknown> {
    let workload = &shell.workload;
    let absent = || Unknown::Absent(format!("{} {}", workload.kind.as_str(), workload.name));
    let source = source(cluster, namespace, workload).await?.ok_or_else(absent)?;
    Ok((copy::copy(shell, &Asked::by(&request.spec), &source).map_err(misfit)?, source))
}

fn debugger(access: &DebugAccess, request: &AccessRequest, pod: &exec::Pod) -> Result<Value, Unknown> {
    let name = grant_name(&request.uid().unwrap_or_default());
    debug::container(access, pod, &name, &request.spec.image).map_err(misfit)
}

/// The role with its rules, where they may be read.
async fn role(cluster: &Cluster, namespace: &str, access: &RoleAccess) -> Offer {
    let client = cluster.client.clone();
    let rules: Option<Vec<PolicyRule>> = match access.kind {
        RoleKind::Role => {
            let api: Api<Role> = Api::namespaced(client, namespace);
            cluster
                .call("read the role", api.get(&access.name))
                .await
                .ok()
                .map(|r| r.rules.unwrap_or_default())
        }
        RoleKind::ClusterRole => {
            let api: Api<ClusterRole> = Api::all(client);
            cluster
                .call("read the role", api.get(&access.name))
                .await
                .ok()
                .map(|r| r.rules.unwrap_or_default())
        }
    };
    let mut words = vec![format!("{} {} in namespace {namespace}", access.kind.as_str(), access.name)];
    match &rules {
        Some(rules) => words.extend(
            lasting(rules).into_iter().map(|l| format!("it can make access that outlasts the loan: {l}")),
        ),
        None => words.push("what it holds is not known: you may not read it".to_owned()),
    }
    Offer { rules: rules.unwrap_or_default(), words, container: String::new() }
}

/// A pod that is not known, as if it were one that fits.
fn stand_in(pods: &PodSource, named: &str, container: &str) -> exec::Pod {
    let name = if named.is_empty() {
        format!("(a ready one of {})", source_in_words(pods))
    } else {
        named.to_owned()
    };
    let container = if container.is_empty() { "(the one that kubectl would enter)" } else { container };
    let containers = vec![container.to_owned()];
    exec::Pod { name, default_container: container.to_owned(), mounted_account: None, containers }
}

/// What would be lent; on a pod that is not known, as if it were one that fits.
fn preview(
    access: &ExecAccess,
    pod: Option<&exec::Pod>,
    named: &str,
    container: &str,
) -> Result<Offer, exec::Misfit> {
    if let Some(pod) = pod {
        return exec::offer(access, pod, container);
    }
    let mut containers = access.containers.clone();
    if !container.is_empty() && !containers.iter().any(|c| c == container) {
        containers.push(container.to_owned());
    }
    exec::offer(access, &exec::Pod { containers, ..stand_in(&access.pods, named, "") }, container)
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
