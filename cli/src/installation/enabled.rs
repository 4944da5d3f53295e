//! The namespaces in which Oz may lend: those with two RoleBindings, one for what the controller does there and one for the
//! most that it may hand out. A third lets it bind people by their own names, a fourth
//! delegate, and a fifth wait for Secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{RoleBinding, Subject};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use oz_shared::names::{
    BIND_REQUESTER_ROLE, CEILING_ROLE, DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE, NAMESPACE_ROLE,
    SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};

use super::CONTROLLER_NAME;
use crate::kube::{Cluster, Fault};

/// The bindings, each named like the ClusterRole that it binds.
pub(crate) const BINDINGS: [&str; 2] = [NAMESPACE_ROLE, CEILING_ROLE];

/// The same, and those that are there only where people may be bound by name, and where Oz delegates.
pub(crate) const ALL_BINDINGS: [&str; 5] =
    [NAMESPACE_ROLE, CEILING_ROLE, BIND_REQUESTER_ROLE, DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE];

/// One of them, as `oz enable` makes it.
pub(crate) fn binding(namespace: &str, role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "oz"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": CONTROLLER_NAME, "namespace": SYSTEM_NAMESPACE}],
    })
}

/// Is this the controller's account?
pub(crate) fn controller_subject(subject: &Subject) -> bool {
    subject.kind == "ServiceAccount"
        && subject.name == CONTROLLER_NAME
        && subject.namespace.as_deref() == Some(SYSTEM_NAMESPACE)
}

/// Does a binding of that name say what ours says, and nothing else?
pub(crate) fn is_ours(found: &RoleBinding) -> bool {
    let role = &found.role_ref;
    role.kind == "ClusterRole"
        && role.name == found.name_any()
        && ALL_BINDINGS.contains(&role.name.as_str())
        && matches!(found.subjects.as_deref(), Some([one]) if controller_subject(one))
}

/// A namespace with at least one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// Its name.
    pub(crate) namespace: String,
    /// The bindings that are not there, or say something else.
    pub(crate) missing: Vec<&'static str>,
    /// May people be bound by their own names there?
    pub(crate) by_name: bool,
    /// Does Oz delegate there?
    pub(crate) delegates: bool,
}

/// All namespaces with at least one of the bindings.
///
/// # Errors
/// RoleBindings may not be listed everywhere.
pub(crate) async fn enabled(cluster: &Cluster) -> Result<Vec<Enabled>, Fault> {
    let api: Api<RoleBinding> = Api::all(cluster.client.clone());
    let mut found: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for name in ALL_BINDINGS {
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        for binding in cluster.call("list the enabled namespaces", api.list(&params)).await? {
            if is_ours(&binding) {
                found.entry(binding.namespace().unwrap_or_default()).or_default().push(name);
            }
        }
    }
    let of = |(namespace, there): (String, Vec<&'static str>)| Enabled {
        namespace,
        missing: BINDINGS.into_iter().filter(|name| !there.contains(name)).collect(),
        by_name: there.contains(&BIND_REQUESTER_ROLE),
        delegates: there.contains(&DELEGATIONS_ROLE),
    };
    Ok(found.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: Value) -> RoleBinding {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_enable_makes_is_ours_and_nothing_else_is() {
        for role in ALL_BINDINGS {
            assert!(is_ours(&parsed(binding("shop", role))));
        }
        let mut other = binding("shop", CEILING_ROLE);
        other["roleRef"]["name"] = json!("edit");
        assert!(!is_ours(&parsed(other)));
        let mut wider = binding("shop", CEILING_ROLE);
        wider["subjects"] = json!([wider["subjects"][0].clone(), {"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]);
        assert!(!is_ours(&parsed(wider)));
        let mut nobody = binding("shop", CEILING_ROLE);
        nobody["subjects"] = json!([]);
        assert!(!is_ours(&parsed(nobody)));
    }
}
