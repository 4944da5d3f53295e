//! Does the controller work, and who could become it?

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use oz_shared::names::SYSTEM_NAMESPACE;

use super::finding::{Check, Outcome};
use crate::duration::human;
use crate::installation::{self, CONTROLLER_NAME};
use crate::kube::{Cluster, Fault};

/// A holder renews its lease long before it ends.
pub(super) const RENEWAL: SignedDuration = SignedDuration::from_secs(5);

/// More subjects than this are counted, not named.
pub(super) const NAMED: usize = 6;

pub(super) async fn controller(cluster: &Cluster) -> Check {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    match cluster.call("read the Deployment", api.get(CONTROLLER_NAME)).await {
        Ok(deployment) => {
            let words =
                format!("{}, {}", installation::counts(&deployment), installation::image(&deployment));
            let available = deployment.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
            let events = format!("kubectl get pods,events -n {SYSTEM_NAMESPACE}");
            match (installation::is_complete(&deployment), available) {
                (true, 1..) => Check::new("controller", Outcome::Ok, words),
                (_, 1..) => Check::new("controller", Outcome::Warning, words).remedy(events),
                _ => Check::new(
                    "controller",
                    Outcome::Failed,
                    format!("{words}: nothing is granted, and ends by itself only"),
                )
                .remedy(events),
            }
        }
        Err(fault) if fault.code() == Some(404) => {
            Check::new("controller", Outcome::Failed, "is missing").remedy("oz install")
        }
        Err(fault) => Check::unseen("controller", &fault),
    }
}

pub(super) async fn lease(cluster: &Cluster) -> Check {
    let api: Api<Lease> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let lease = match cluster.call("read the lease", api.get(CONTROLLER_NAME)).await {
        Ok(lease) => lease,
        Err(fault) if fault.code() == Some(404) => {
            return Check::new("lease", Outcome::Failed, "no controller has ever held the lease")
                .remedy("oz check again in a while");
        }
        Err(fault) => return Check::unseen("lease", &fault),
    };
    let spec = lease.spec.unwrap_or_default();
    let (holder, renewed) = (spec.holder_identity.unwrap_or_default(), spec.renew_time.map(|t| t.0));
    let length = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(0).into());
    let age = renewed.map(|t| cluster.now().duration_since(t));
    judge_lease(&holder, age, length)
}

pub(super) fn judge_lease(holder: &str, age: Option<SignedDuration>, length: SignedDuration) -> Check {
    let pods = format!("kubectl logs -n {SYSTEM_NAMESPACE} deployment/{CONTROLLER_NAME}");
    match age {
        _ if holder.is_empty() => {
            Check::new("lease", Outcome::Failed, "nobody holds it: no controller works").remedy(pods)
        }
        Some(age) if age <= length + RENEWAL => {
            Check::new("lease", Outcome::Ok, format!("held by {holder}, renewed {} ago", human(age)))
        }
        Some(age) => Check::new(
            "lease",
            Outcome::Failed,
            format!("held by {holder}, last renewed {} ago: no controller works", human(age)),
        )
        .remedy(pods),
        None => Check::new("lease", Outcome::Failed, format!("held by {holder}, never renewed")).remedy(pods),
    }
}

/// Who may write in the controller's namespace may become the controller.
pub(super) async fn home(cluster: &Cluster) -> Check {
    match powerful_at_home(cluster).await {
        Ok(found) if found.is_empty() => {
            Check::new("oz-system", Outcome::Ok, "nobody but Oz and Kubernetes' own may write there")
        }
        Ok(found) => {
            let more = if found.len() > NAMED {
                format!(" and {} more", found.len() - NAMED)
            } else {
                String::new()
            };
            let named = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            Check::new("oz-system", Outcome::Warning, format!("could become the controller: {named}{more}"))
                .remedy("give nobody rights in oz-system, also not cluster-wide")
        }
        Err(fault) => Check::unseen("oz-system", &fault),
    }
}

pub(super) async fn powerful_at_home(cluster: &Cluster) -> Result<Vec<String>, Fault> {
    let params = ListParams::default();
    let client = &cluster.client;
    let (cluster_roles, cluster_bindings) =
        (Api::<ClusterRole>::all(client.clone()), Api::<ClusterRoleBinding>::all(client.clone()));
    let (roles, bindings) = (
        Api::<Role>::namespaced(client.clone(), SYSTEM_NAMESPACE),
        Api::<RoleBinding>::namespaced(client.clone(), SYSTEM_NAMESPACE),
    );
    let cluster_roles = cluster.call("list ClusterRoles", cluster_roles.list(&params)).await?.items;
    let cluster_bindings =
        cluster.call("list ClusterRoleBindings", cluster_bindings.list(&params)).await?.items;
    let roles = cluster.call("list Roles", roles.list(&params)).await?.items;
    let bindings = cluster.call("list RoleBindings", bindings.list(&params)).await?.items;

    let rules = |kind: &str, name: &str| -> Vec<PolicyRule> {
        let rules = match kind {
            "Role" => roles.iter().find(|r| r.name_any() == name).and_then(|r| r.rules.clone()),
            _ => cluster_roles.iter().find(|r| r.name_any() == name).and_then(|r| r.rules.clone()),
        };
        rules.unwrap_or_default()
    };
    let mut found = Vec::new();
    for binding in &cluster_bindings {
        let role = &binding.role_ref;
        found.extend(strangers(&rules(&role.kind, &role.name), binding.subjects.as_deref(), &role.name));
    }
    for binding in &bindings {
        let role = &binding.role_ref;
        found.extend(strangers(&rules(&role.kind, &role.name), binding.subjects.as_deref(), &role.name));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Subjects of a binding that are neither Kubernetes' own nor Oz, where the role lets them become the controller.
pub(super) fn strangers(rules: &[PolicyRule], subjects: Option<&[Subject]>, role: &str) -> Vec<String> {
    if installation::lasting(rules).is_empty() && !rules.iter().any(execs) {
        return Vec::new();
    }
    let own = |s: &&Subject| {
        installation::controller_subject(s)
            || (s.kind == "ServiceAccount" && s.namespace.as_deref() == Some("kube-system"))
            || (s.kind != "ServiceAccount"
                && s.name.starts_with("system:")
                && !FOR_ALL.contains(&s.name.as_str()))
    };
    let name = |s: &Subject| match &s.namespace {
        Some(namespace) => format!("{} {namespace}/{} ({role})", s.kind, s.name),
        None => format!("{} {} ({role})", s.kind, s.name),
    };
    subjects.unwrap_or_default().iter().filter(|s| !own(s)).map(name).collect()
}

/// Groups of Kubernetes' that hold everybody.
pub(super) const FOR_ALL: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous"];

pub(super) fn execs(rule: &PolicyRule) -> bool {
    rule.resources.iter().flatten().any(|r| r == "pods/exec" || r == "pods/attach")
        && rule.resource_names.as_deref().unwrap_or_default().is_empty()
        && rule.verbs.iter().any(|v| v == "create" || v == "get")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_lease_counts_while_it_is_fresh() {
        let seconds = SignedDuration::from_secs;
        let judge = |holder, age: Option<i64>| judge_lease(holder, age.map(seconds), seconds(15)).result;
        assert_eq!(judge("a", Some(7)), Outcome::Ok);
        assert_eq!(judge("a", Some(-1)), Outcome::Ok);
        for (holder, age) in [("a", Some(60)), ("", Some(1)), ("a", None)] {
            assert_eq!(judge(holder, age), Outcome::Failed, "{holder} {age:?}");
        }
    }

    #[test]
    fn who_could_become_the_controller() {
        let rules = |value: Value| serde_json::from_value::<Vec<PolicyRule>>(value).unwrap();
        let subjects: Vec<Subject> = serde_json::from_value(json!([
            {"kind": "Group", "name": "system:masters"}, {"kind": "Group", "name": "system:authenticated"},
            {"kind": "User", "name": "eve"}, {"kind": "ServiceAccount", "name": "x", "namespace": "kube-system"},
            {"kind": "ServiceAccount", "name": "oz-controller", "namespace": "oz-system"},
            {"kind": "ServiceAccount", "name": "argo", "namespace": "argo"},
        ]))
        .unwrap();
        let edit = rules(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]));
        assert_eq!(
            strangers(&edit, Some(&subjects), "edit"),
            ["Group system:authenticated (edit)", "User eve (edit)", "ServiceAccount argo/argo (edit)"]
        );
        let view = rules(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]));
        assert!(strangers(&view, Some(&subjects), "view").is_empty());
        let exec = rules(json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]));
        assert_eq!(strangers(&exec, Some(&subjects[2..3]), "exec"), ["User eve (exec)"]);
    }
}
