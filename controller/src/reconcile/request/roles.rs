//! Finds the role that a `role` template lends, whether Oz may lend it there, and whether it can make access that outlasts
//! the loan.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::PostParams;
use kube::{Api, Client};
use oz_shared::lasting::lasting;
use oz_shared::template::{Identity, RoleAccess, RoleKind};

use super::targets::{self, NoTarget};
use crate::reconcile::Error;

/// A role as it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LentRole {
    pub(crate) uid: String,
    pub(crate) rules: Vec<PolicyRule>,
}

impl LentRole {
    /// What of it outlasts a loan, in words.
    pub(crate) fn lasting(&self) -> Vec<String> {
        lasting(&self.rules)
    }
}

pub(super) async fn find(
    client: &Client,
    namespace: &str,
    role: &RoleAccess,
) -> Result<Result<LentRole, NoTarget>, Error> {
    targets::told(namespace, read(client, namespace, role).await)
}

async fn read(
    client: &Client,
    namespace: &str,
    role: &RoleAccess,
) -> kube::Result<Result<LentRole, NoTarget>> {
    let (kind, name) = (role.kind.as_str(), &role.name);
    let beyond = |why: String| Ok(Err(NoTarget::BeyondCeiling(why)));
    if role.identity == Identity::Requester
        && !may(client, namespace, "bind-requester", oz_shared::GROUP, "accesstemplates", "").await?
    {
        return beyond(format!(
            "namespace {namespace} has not opted in to binding people by name: oz enable {namespace} --bind-requester"
        ));
    }
    let (verb, resource) = match role.kind {
        RoleKind::Role => ("bind", "roles"),
        // To bind some, for owners of lent namespaces, Oz may everywhere.
        RoleKind::ClusterRole => ("lend", "clusterroles"),
    };
    if !may(client, namespace, verb, "rbac.authorization.k8s.io", resource, name).await? {
        return beyond(format!(
            "Oz may not lend {kind} {name} in {namespace}: allow it by a ClusterRole with the label ozaccess.io/ceiling: \"true\" that has the verbs bind and lend on it"
        ));
    }
    let found = role_of(client, namespace, role.kind, name).await?;
    Ok(found.ok_or_else(|| NoTarget::NoRole(role.clone())))
}

/// May this process do that there?
pub(crate) async fn may(
    client: &Client,
    namespace: &str,
    verb: &str,
    group: &str,
    resource: &str,
    name: &str,
) -> kube::Result<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                verb: Some(verb.to_owned()),
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                name: Some(name.to_owned()).filter(|n| !n.is_empty()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|s| s.allowed && s.denied != Some(true)))
}

/// The role itself.
pub(crate) async fn role_of(
    client: &Client,
    namespace: &str,
    kind: RoleKind,
    name: &str,
) -> kube::Result<Option<LentRole>> {
    let (meta, rules) = match kind {
        RoleKind::Role => {
            let api: Api<Role> = Api::namespaced(client.clone(), namespace);
            api.get_opt(name).await?.map(|r| (r.metadata, r.rules))
        }
        RoleKind::ClusterRole => {
            let api: Api<ClusterRole> = Api::all(client.clone());
            api.get_opt(name).await?.map(|r| (r.metadata, r.rules))
        }
    }
    .unzip();
    // What is looked at must be what will be bound: a name can be read otherwise in a URL.
    let meta = meta.filter(|m| m.name.as_deref() == Some(name) && m.deletion_timestamp.is_none());
    Ok(meta.map(|m| LentRole { uid: m.uid.unwrap_or_default(), rules: rules.flatten().unwrap_or_default() }))
}
