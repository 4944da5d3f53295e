//! What a template would lend, seen from outside: by the same pure functions that the controller grants by, of what the user
//! may read with his own rights.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use kube::{Api, ResourceExt as _};
use oz_shared::copy::{self, Asked};
use oz_shared::exec::{self, Offer, Ways};
use oz_shared::names::{GRANT_LABEL, copy_name, grant_name};
use oz_shared::template::{
    AccessTemplateSpec, DebugAccess, ExecAccess, PodSource, RoleAccess, RoleKind, ShellAccess,
};
use oz_shared::{AccessRequest, AccessTemplate, debug, duration, plain, role};
use serde_json::{Value, json};

use super::client::{Cluster, Fault};
use super::workloads::source;

/// A shell, the better of the two that may be there.
const SHELL: [&str; 3] = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"];

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

/// What would be lent to this request, as far as the user may see it. Its rules are those of the session's own Role: none
/// where they are not known exactly, or where a role of somebody else's is bound.
///
/// # Errors
/// It is not there, or does not fit.
pub(crate) async fn offer(
    cluster: &Cluster,
    request: &AccessRequest,
    spec: &AccessTemplateSpec,
) -> Result<Offer, Unknown> {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let (name, uid) = (named_pod(request), request.uid().unwrap_or_default());
    match (&spec.exec, &spec.shell, &spec.debug, &spec.role) {
        (Some(access), ..) => {
            let (pod, container) = (seen(cluster, &namespace, &name).await?, &request.spec.container);
            let mut offer = preview(access, pod.as_ref(), &name, container).map_err(misfit)?;
            if pod.is_none() {
                let unseen =
                    "whether the pod's own token can be read inside is not known: you may not read the pod";
                offer.words.push(unseen.to_owned());
                // Which containers it has decides which of the template's count, and with which commands.
                let any = access.containers.is_empty() && access.commands.is_empty();
                if name.is_empty() || (container.is_empty() && !any) {
                    offer.rules.clear();
                }
            }
            Ok(offer)
        }
        (_, Some(shell), ..) => {
            let pod = copy_name(&shell.workload.name, &uid);
            match copied(cluster, request, &namespace, shell).await {
                Ok((copied, source)) => copy::offer(shell, &copied, &source, &pod, &[]).map_err(misfit),
                Err(Unknown::Fault(fault)) if fault.code() == Some(403) => unseen_copy(shell, pod),
                Err(unknown) => Err(unknown),
            }
        }
        (_, _, Some(access), _) => {
            let pod = seen(cluster, &namespace, &name).await?;
            let pod = pod.unwrap_or_else(|| stand_in(&access.pods, &name, &access.target));
            let container = debugger(access, request, &pod)?;
            let mut offer = debug::offer(access, &pod, &container).map_err(misfit)?;
            if name.is_empty() {
                offer.rules.clear();
            }
            Ok(offer)
        }
        (.., Some(access)) => bound(cluster, request, &namespace, access).await,
        _ => Err(misfit("the template offers nothing")),
    }
}

/// What would be made for a request.
pub(crate) struct Made {
    /// What it is.
    pub(crate) what: String,
    /// The pod, or the debugging container.
    pub(crate) object: Value,
    /// Tells it from what it may become, as the request's `status.offerDigest` does.
    pub(crate) digest: String,
}

/// The pod, or the debugging container, that would be made for this request.
///
/// # Errors
/// What it is made of cannot be read, or nothing is made.
pub(crate) async fn made(
    cluster: &Cluster,
    request: &AccessRequest,
    template: &AccessTemplate,
) -> Result<Made, Unknown> {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let (spec, uid) = (&template.spec, request.uid().unwrap_or_default());
    if let Some(shell) = &spec.shell {
        let asked = &request.spec.duration;
        let lent_for = duration::parse(if asked.is_empty() { &spec.duration.default } else { asked });
        let (copied, source) = copied(cluster, request, &namespace, shell).await?;
        let digest = copied.digest();
        let mut object = copied.pod(lent_for.map_err(misfit)?.as_secs());
        object["metadata"]["name"] = json!(copy_name(&source.name, &uid));
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["labels"][GRANT_LABEL] = json!(grant_name(&uid));
        let what = format!("A copy of a pod of {} {}:", source.kind.as_str(), source.name);
        return Ok(Made { what, object, digest });
    }
    let Some(access) = &spec.debug else { return Err(Unknown::NotMade(template.name_any())) };
    let name = named_pod(request);
    let pod = match read_pod(cluster, &namespace, &name).await? {
        Some(pod) => pod,
        None if name.is_empty() => stand_in(&access.pods, &name, &access.target),
        None => return Err(Unknown::Absent(format!("pod {name}"))),
    };
    let object = debugger(access, request, &pod)?;
    let digest = plain::digest(&object);
    Ok(Made { what: format!("An ephemeral container in pod {}:", pod.name), object, digest })
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
    Ok(cluster.call("read the pod", api.get_opt(name)).await?.map(|pod| exec::Pod::from(&pod)))
}

/// The pod of this name; none where it is not named, or the user may not read it.
async fn seen(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<exec::Pod>, Unknown> {
    match read_pod(cluster, namespace, name).await {
        Ok(None) if !name.is_empty() => Err(Unknown::Absent(format!("pod {name}"))),
        Ok(pod) => Ok(pod),
        Err(fault) if fault.code() == Some(403) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
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

/// A copy of what the user may not read: its name is known, and so is what is lent on it.
fn unseen_copy(shell: &ShellAccess, pod: String) -> Result<Offer, Unknown> {
    let workload = format!("{} {}", shell.workload.kind.as_str(), shell.workload.name);
    let mut words = vec![format!("a copy of a pod of {workload}: pod {pod}")];
    let ways = Ways { connections: &shell.connections, containers: &[], commands: &[] };
    let pod = exec::Pod {
        name: pod,
        containers: Vec::new(),
        default_container: String::new(),
        mounted_account: None,
    };
    let mut offer = exec::lend(ways, &pod, "").map_err(misfit)?;
    words.append(&mut offer.words);
    words.push(format!("what else it reaches is not known: you may not read {workload}"));
    Ok(Offer { words, ..offer })
}

/// The role that would be bound, with its rules where they may be read.
async fn bound(
    cluster: &Cluster,
    request: &AccessRequest,
    namespace: &str,
    access: &RoleAccess,
) -> Result<Offer, Unknown> {
    let (client, kind, name) = (cluster.client.clone(), access.kind.as_str(), &access.name);
    let rules = match access.kind {
        RoleKind::Role => {
            let api: Api<Role> = Api::namespaced(client, namespace);
            cluster.call("read the role", api.get_opt(name)).await.map(|role| role.map(|r| r.rules))
        }
        RoleKind::ClusterRole => {
            let api: Api<ClusterRole> = Api::all(client);
            cluster.call("read the role", api.get_opt(name)).await.map(|role| role.map(|r| r.rules))
        }
    };
    let requester = &request.spec.requester.username;
    let words = match rules {
        Ok(Some(rules)) => {
            role::offer(access, namespace, requester, &rules.unwrap_or_default()).map_err(misfit)?
        }
        Ok(None) => return Err(Unknown::Absent(format!("{kind} {name}"))),
        Err(fault) if fault.code() == Some(403) => {
            let unseen = "what it holds is not known: you may not read it";
            vec![format!("{kind} {name} in namespace {namespace}"), unseen.to_owned()]
        }
        Err(fault) => return Err(fault.into()),
    };
    Ok(Offer { rules: Vec::new(), words, container: String::new() })
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
    fn without_a_pod_the_terms_are_shown() {
        let access: ExecAccess = serde_json::from_value(json!({
            "pods": {"selector": {"matchLabels": {"app": "api"}}}, "connections": ["exec"],
        }))
        .unwrap();
        let offer = preview(&access, None, "", "").unwrap();
        assert_eq!(offer.words[0], "exec into pod (a ready one of app=api), any container, any command");
    }
}
