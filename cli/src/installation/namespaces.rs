//! Whether Oz may lend whole namespaces: two ClusterRoleBindings, one for what the controller does to make them and one for
//! the roles by which they may be owned; two likewise for partners' clusters, and two for delegating
//! everywhere. Also which namespaces it has lent.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, ResourceExt as _};
use oz_shared::names::{
    CLASS_LABEL, DELEGATIONS_CEILING_ROLE, DELEGATIONS_EVERYWHERE_ROLE, FEDERATIONS_CEILING_ROLE,
    FEDERATIONS_ROLE, GRANT_LABEL, NAMESPACES_CEILING_ROLE, NAMESPACES_ROLE, SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};

use super::{CONTROLLER_NAME, controller_subject};
use crate::kube::{Cluster, Fault};

/// The bindings, each named like the ClusterRole that it binds.
pub(crate) const CLUSTER_BINDINGS: [&str; 2] = [NAMESPACES_ROLE, NAMESPACES_CEILING_ROLE];

/// Those by which partners' clusters are let in.
pub(crate) const FEDERATION_BINDINGS: [&str; 2] = [FEDERATIONS_ROLE, FEDERATIONS_CEILING_ROLE];

/// Those by which Oz delegates in the whole cluster.
pub(crate) const DELEGATION_BINDINGS: [&str; 2] = [DELEGATIONS_EVERYWHERE_ROLE, DELEGATIONS_CEILING_ROLE];

/// One of them, as `oz enable --namespaces`, `--federations` or `--delegations` makes it.
pub(crate) fn cluster_binding(role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": {"app.kubernetes.io/part-of": "oz"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": CONTROLLER_NAME, "namespace": SYSTEM_NAMESPACE}],
    })
}

/// Does a binding of one of those names say what ours says, and nothing else?
pub(crate) fn says_the_same(found: &ClusterRoleBinding) -> bool {
    let role = &found.role_ref;
    role.kind == "ClusterRole"
        && role.name == found.name_any()
        && (CLUSTER_BINDINGS.contains(&role.name.as_str())
            || FEDERATION_BINDINGS.contains(&role.name.as_str())
            || DELEGATION_BINDINGS.contains(&role.name.as_str()))
        && matches!(found.subjects.as_deref(), Some([one]) if controller_subject(one))
}

/// Two of these bindings as they are there, in this order.
///
/// # Errors
/// They may not be read.
pub(crate) async fn bound(
    cluster: &Cluster,
    names: [&str; 2],
) -> Result<[Option<ClusterRoleBinding>; 2], Fault> {
    let api: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    let read =
        async |name: &str| cluster.call(&format!("read ClusterRoleBinding {name}"), api.get_opt(name)).await;
    Ok([read(names[0]).await?, read(names[1]).await?])
}

/// The ClusterRoles that a ceiling lets Oz bind; `any ClusterRole` where no names bound them.
///
/// # Errors
/// The ceiling may not be read.
pub(crate) async fn bindable(cluster: &Cluster, ceiling: &str) -> Result<Vec<String>, Fault> {
    let api: Api<ClusterRole> = Api::all(cluster.client.clone());
    let role = cluster.call(&format!("read ClusterRole {ceiling}"), api.get_opt(ceiling)).await?;
    let has = |list: &[String], what: &str| list.iter().any(|one| one == what || one == "*");
    let rules = role.and_then(|role| role.rules).unwrap_or_default();
    let binds = rules.iter().filter(|rule| {
        has(&rule.verbs, "bind") && has(rule.resources.as_deref().unwrap_or_default(), "clusterroles")
    });
    let mut roles = BTreeSet::new();
    for rule in binds {
        match rule.resource_names.as_deref().unwrap_or_default() {
            [] => roles.extend(["any ClusterRole".to_owned()]),
            names => roles.extend(names.iter().cloned()),
        }
    }
    Ok(roles.into_iter().collect())
}

/// A namespace that Oz made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lent {
    /// Its name.
    pub(crate) name: String,
    /// The class it is of, where the label tells.
    pub(crate) class: String,
    /// The grant that its label names.
    pub(crate) grant: String,
}

/// All namespaces that carry the label of a grant.
///
/// # Errors
/// They may not be listed.
pub(crate) async fn lent(cluster: &Cluster) -> Result<Vec<Lent>, Fault> {
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let params = ListParams::default().labels(GRANT_LABEL);
    let list = cluster.call("list the lent namespaces", api.list_metadata(&params)).await?;
    let of = |namespace: PartialObjectMeta<Namespace>| {
        let label = |key: &str| namespace.labels().get(key).cloned().unwrap_or_default();
        Lent { name: namespace.name_any(), class: label(CLASS_LABEL), grant: label(GRANT_LABEL) }
    };
    Ok(list.items.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enable_makes_is_ours_and_nothing_else_is() {
        let parsed = |value: Value| serde_json::from_value::<ClusterRoleBinding>(value).unwrap();
        let roles = crate::installation::of_kind("ClusterRole");
        for role in CLUSTER_BINDINGS.into_iter().chain(FEDERATION_BINDINGS).chain(DELEGATION_BINDINGS) {
            assert!(says_the_same(&parsed(cluster_binding(role))));
            assert!(roles.iter().any(|r| r["metadata"]["name"] == role), "{role}");
        }
        let mut other = cluster_binding(NAMESPACES_ROLE);
        other["roleRef"]["name"] = json!("cluster-admin");
        assert!(!says_the_same(&parsed(other)));
        let mut wider = cluster_binding(NAMESPACES_CEILING_ROLE);
        wider["subjects"] = json!([wider["subjects"][0].clone(), {"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]);
        assert!(!says_the_same(&parsed(wider)));
        assert!(!says_the_same(&parsed(cluster_binding("cluster-admin"))));
    }
}
