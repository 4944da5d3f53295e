//! What this user may do, where Oz may lend, and what it could hand out.

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use oz_shared::names::CEILING_ROLE;

use super::finding::{Check, NOT_YOURS_TO_SEE, Outcome};
use crate::installation::{self, Ceiling, Right};
use crate::kube::{Cluster, Fault};
use crate::output::clean;

/// What this user may do with Oz, here.
pub(super) async fn you(cluster: &Cluster) -> Result<Check, Fault> {
    let me = cluster.whoami().await?;
    let namespace = cluster.namespace.as_str();
    let right = |verb, resource: &str, namespace: &str| Right {
        verb,
        group: oz_shared::GROUP.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
    };
    let rights = [
        ("ask", right("request", "accesstemplates", namespace)),
        ("approve", right("approve", "accesstemplates", namespace)),
        ("revoke", right("revoke", "accesstemplates", namespace)),
        ("write templates", right("create", "accesstemplates", namespace)),
        ("read all grants", right("list", "grants", "")),
    ];
    let missing =
        installation::missing_rights(cluster, rights.iter().map(|(_, r)| r.clone()).collect()).await?;
    let (no, yes): (Vec<_>, Vec<_>) = rights.iter().partition(|(_, r)| missing.contains(r));
    let words = |list: &[&(&str, Right)]| list.iter().map(|(what, _)| *what).collect::<Vec<_>>().join(", ");
    let detail = match (yes.is_empty(), no.is_empty()) {
        (true, _) => format!(
            "{} may do nothing with all templates of {namespace}; single ones: oz templates",
            clean(&me.username)
        ),
        (false, true) => format!("{} may, in {namespace}, {}", clean(&me.username), words(&yes)),
        (false, false) => {
            format!("{} may, in {namespace}, {}; not: {}", clean(&me.username), words(&yes), words(&no))
        }
    };
    Ok(Check::new("you", Outcome::Ok, detail))
}

pub(super) async fn namespaces(cluster: &Cluster) -> (Vec<String>, Vec<Check>) {
    let enabled = match installation::enabled(cluster).await {
        Ok(enabled) => enabled,
        Err(fault) => return (Vec::new(), vec![Check::unseen("namespaces", &fault)]),
    };
    let whole: Vec<String> =
        enabled.iter().filter(|e| e.missing.is_empty()).map(|e| e.namespace.clone()).collect();
    let mut checks = vec![match whole.is_empty() {
        true => {
            Check::new("namespaces", Outcome::Warning, "Oz may lend nowhere").remedy("oz enable NAMESPACE")
        }
        false => Check::new("namespaces", Outcome::Ok, format!("Oz may lend in {}", whole.join(", "))),
    }];
    for half in enabled.iter().filter(|e| !e.missing.is_empty()) {
        let detail = format!("{} has no RoleBinding {}", half.namespace, half.missing.join(", "));
        checks.push(
            Check::new("namespaces", Outcome::Warning, detail)
                .about(half.namespace.clone())
                .remedy(format!("oz enable {}", half.namespace)),
        );
    }
    let by_name: Vec<&str> = enabled.iter().filter(|e| e.by_name).map(|e| e.namespace.as_str()).collect();
    if !by_name.is_empty() {
        let detail = format!(
            "people may be bound by their own names in {}: the end depends on the controller",
            by_name.join(", ")
        );
        checks.push(Check::new("namespaces", Outcome::Ok, detail));
    }
    let delegates: Vec<&str> = enabled.iter().filter(|e| e.delegates).map(|e| e.namespace.as_str()).collect();
    if !delegates.is_empty() {
        let detail = format!(
            "what people could hand on themselves may be delegated in {}: the end depends on the controller",
            delegates.join(", ")
        );
        checks.push(Check::new("namespaces", Outcome::Ok, detail));
    }
    (whole, checks)
}

pub(super) async fn ceiling(cluster: &Cluster) -> (Vec<String>, Vec<Check>) {
    let api: Api<ClusterRole> = Api::all(cluster.client.clone());
    let rules = match cluster.call("read the ceiling", api.get(CEILING_ROLE)).await {
        Ok(role) => role.rules.unwrap_or_default(),
        Err(fault) if fault.code() == Some(404) => {
            let missing =
                Check::new("ceiling", Outcome::Failed, format!("there is no ClusterRole {CEILING_ROLE}"));
            return (Vec::new(), vec![missing.remedy("oz install")]);
        }
        Err(fault) => return (Vec::new(), vec![Check::unseen("ceiling", &fault)]),
    };
    let Ceiling { words, lasting, unread } = installation::ceiling(cluster, &rules).await;
    let mut checks = vec![match words.is_empty() {
        true => Check::new("ceiling", Outcome::Failed, "Oz can hand out nothing").remedy("oz install"),
        false => Check::new("ceiling", Outcome::Ok, format!("Oz could hand out: {}", words.join("; "))),
    }];
    for power in lasting {
        checks.push(
            Check::new("ceiling", Outcome::Warning, format!("outlasts any loan: {power}"))
                .remedy("kubectl get clusterrole -l ozaccess.io/ceiling=true shows where it comes from"),
        );
    }
    for role in unread {
        checks.push(
            Check::new("ceiling", Outcome::Unknown, NOT_YOURS_TO_SEE).about(format!("ClusterRole {role}")),
        );
    }
    (words, checks)
}
