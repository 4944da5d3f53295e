//! The debugging container that a `debug` template puts beside those of a running pod. Pure: the controller adds it as
//! it is here, and the CLI shows it.

use serde_json::{Value, json};

use crate::exec::{self, Offer, Pod, Ways};
use crate::template::{Connection, DebugAccess, DebugProfile, OnEnd};

/// Why a template's offer does not fit the pod or the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The image asked for is not one that the template offers.
    #[error("the template does not offer image {0}; it offers {list}", list = .1.join(", "))]
    ImageNotOffered(String, Vec<String>),
    /// The container whose processes it is to see is not in the pod.
    #[error("pod {0} has no container {1}")]
    NoTarget(String, String),
    /// The connections cannot be written down.
    #[error(transparent)]
    Connections(#[from] exec::Misfit),
}

/// The container called `name` as it is added to `pod`, with the image asked for, or the template's first.
///
/// # Errors
/// The image is not offered, or the target is not there.
pub fn container(access: &DebugAccess, pod: &Pod, name: &str, image: &str) -> Result<Value, Misfit> {
    let image = match (image, access.images.first()) {
        ("", Some(first)) => first.as_str(),
        (asked, _) if access.images.iter().any(|i| i == asked) => asked,
        (asked, _) => return Err(Misfit::ImageNotOffered(asked.to_owned(), access.images.clone())),
    };
    let target = if access.target.is_empty() { &pod.default_container } else { &access.target };
    if !pod.containers.contains(target) {
        return Err(Misfit::NoTarget(pod.name.clone(), target.clone()));
    }
    let mut container = json!({
        "name": name, "image": image, "targetContainerName": target, "stdin": true, "tty": true,
        "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
    });
    for (field, words) in [("command", &access.command), ("args", &access.args)] {
        if !words.is_empty() {
            container[field] = json!(words);
        }
    }
    if !access.env.is_empty() {
        container["env"] = json!(access.env);
    }
    if let Some(context) = security_context(access.profile) {
        container["securityContext"] = context;
    }
    Ok(container)
}

/// kubectl's debugging profiles.
fn security_context(profile: DebugProfile) -> Option<Value> {
    match profile {
        DebugProfile::General => Some(json!({"capabilities": {"add": ["SYS_PTRACE"]}})),
        DebugProfile::Baseline => None,
        DebugProfile::Restricted => Some(json!({
            "allowPrivilegeEscalation": false, "runAsNonRoot": true,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        })),
        DebugProfile::NetAdmin => Some(json!({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}})),
        DebugProfile::SysAdmin => Some(json!({"privileged": true})),
    }
}

/// What is lent with that container: attaching to it, and nothing else of the pod.
///
/// # Errors
/// When the rules would not fit a Role.
pub fn offer(access: &DebugAccess, pod: &Pod, container: &Value) -> Result<Offer, Misfit> {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let beside = Pod {
        containers: vec![name.clone()],
        default_container: name.clone(),
        mounted_account: None,
        ..pod.clone()
    };
    let ways = Ways { connections: &[Connection::Attach], containers: &[name], commands: &[] };
    let mut offer = exec::lend(ways, &beside, "")?;
    let mut words = vec![format!(
        "a debugging container in pod {}: image {}, profile {:?}, seeing the processes of container {}",
        pod.name,
        container["image"].as_str().unwrap_or_default(),
        access.profile,
        container["targetContainerName"].as_str().unwrap_or_default(),
    )];
    words.append(&mut offer.words);
    if let Some(account) = &pod.mounted_account {
        words.push(format!(
            "the pod's own token (service account {account}) may be read through the target's processes, and outlives the loan"
        ));
    }
    words.push(match access.on_end {
        OnEnd::Leave => {
            "at the end the debugging container, and streams into it, are left as they are".to_owned()
        }
        OnEnd::Evict => "at the end the pod is evicted".to_owned(),
    });
    Ok(Offer { words, ..offer })
}
