//! Finds the role that a `role` template lends, and whether that can make access which outlasts the loan.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::{Api, Client};
use oz_shared::lasting::lasting;
use oz_shared::template::{RoleAccess, RoleKind};

use super::targets::{self, NoTarget};
use crate::reconcile::Error;

/// A role as it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LentRole {
    /// How many rules it has.
    pub(crate) rules: usize,
    /// What of it outlasts a loan, in words.
    pub(crate) lasting: Vec<String>,
}

pub(super) async fn find(
    client: &Client,
    namespace: &str,
    role: &RoleAccess,
) -> Result<Result<LentRole, NoTarget>, Error> {
    let rules = rules(client, namespace, role.kind, &role.name).await;
    targets::told(namespace, rules.map(|rules| rules.map(of).ok_or_else(|| NoTarget::NoRole(role.clone()))))
}

fn of(rules: Vec<PolicyRule>) -> LentRole {
    LentRole { rules: rules.len(), lasting: lasting(&rules) }
}

async fn rules(
    client: &Client,
    namespace: &str,
    kind: RoleKind,
    name: &str,
) -> kube::Result<Option<Vec<PolicyRule>>> {
    Ok(match kind {
        RoleKind::Role => {
            let api: Api<Role> = Api::namespaced(client.clone(), namespace);
            api.get_opt(name).await?.map(|r| r.rules.unwrap_or_default())
        }
        RoleKind::ClusterRole => {
            let api: Api<ClusterRole> = Api::all(client.clone());
            api.get_opt(name).await?.map(|r| r.rules.unwrap_or_default())
        }
    })
}
