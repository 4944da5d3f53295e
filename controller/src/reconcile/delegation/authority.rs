//! May the author of a delegation hand on what it lends? Asked of the API server in his name, with the groups that he had, each
//! time that anything is bound.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::Delegation;
use oz_shared::delegation::{Destination, ObservedKind, OriginKind, Scope};
use oz_shared::namespace_class::SubjectKind;
use oz_shared::request::Requester;

use crate::reconcile::{Doing as _, Error};

const RBAC: &str = "rbac.authorization.k8s.io";

/// A right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    namespace: String,
    name: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.name.is_empty() {
            write!(f, "/{}", self.name)?;
        }
        if self.namespace.is_empty() {
            f.write_str(" in the cluster")
        } else {
            write!(f, " in {}", self.namespace)
        }
    }
}

/// All that the author must hold. The policy oz-delegation asks the same.
pub(super) fn needed(delegation: &Delegation) -> Vec<Right> {
    let spec = &delegation.spec;
    let home = delegation.namespace().unwrap_or_default();
    let everywhere = spec.scope == Scope::Cluster;
    let right = |verb, group, resource, namespace: &str, name: &str| Right {
        verb,
        group,
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let mut all = vec![right("create", RBAC, "rolebindings", &home, "")];
    if everywhere {
        all.push(right("create", RBAC, "clusterrolebindings", "", ""));
    }
    let origin = &spec.origin;
    all.push(match origin.kind {
        OriginKind::Role => right("bind", RBAC, "roles", &home, &origin.name),
        OriginKind::ClusterRole if everywhere => right("bind", RBAC, "clusterroles", "", &origin.name),
        OriginKind::ClusterRole => right("bind", RBAC, "clusterroles", &home, &origin.name),
        OriginKind::ServiceAccount => {
            let namespace = delegation.namespace_of(&origin.namespace);
            right("impersonate", "", "serviceaccounts", &namespace, &origin.name)
        }
        OriginKind::User => right("impersonate", "", "users", "", &origin.name),
        OriginKind::Group => right("impersonate", "", "groups", "", &origin.name),
    });
    let waits = spec.triggers.iter().chain(&spec.deletion_triggers).filter_map(|t| t.event.as_ref());
    let mut kinds: Vec<ObservedKind> = waits.map(|event| event.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    all.extend(kinds.into_iter().map(|kind| {
        let (group, _, resource) = kind.resource();
        right("watch", group, resource, if kind == ObservedKind::Node { "" } else { &home }, "")
    }));
    all
}

/// What the author may no longer do, in words; nothing: he may hand it on.
pub(super) async fn lost(delegation: &Delegation, client: &Client) -> Result<Option<String>, Error> {
    let requester = &delegation.spec.requester;
    if let Some(himself) = himself(delegation) {
        return Ok(Some(himself));
    }
    if is_another(requester, client).await? {
        return Ok(Some(format!("the account {} is gone, or another of its name now", requester.username)));
    }
    let asked = needed(delegation).into_iter().map(|right| async move {
        let held = holds(requester, &right, client).await?;
        Ok::<_, Error>((!held).then_some(right))
    });
    let missing = try_join_all(asked).await?.into_iter().flatten().next();
    Ok(missing.map(|right| format!("{} may not {right}", requester.username)))
}

/// Why it lends to its author himself, if it does: what Oz binds would then be what lets him hand it on. The policy
/// oz-delegation refuses the same. Where a destination with a `*` means his account as well, that is left out.
pub(super) fn himself(delegation: &Delegation) -> Option<String> {
    let requester = &delegation.spec.requester;
    let is_author = |to: &&Destination| match to.kind {
        SubjectKind::User => to.name == requester.username,
        SubjectKind::Group => requester.groups.contains(&to.name),
        SubjectKind::ServiceAccount => {
            account(requester) == Some((&delegation.namespace_of(&to.namespace), &to.name))
        }
    };
    let to = delegation.spec.destinations.iter().find(is_author)?;
    let words = format!("{} {}", to.kind.as_str(), to.name);
    Some(format!("nobody delegates to himself, nor to a group of his own: {words}"))
}

/// The account that the author is: its namespace and name.
pub(super) fn account(requester: &Requester) -> Option<(&str, &str)> {
    requester.username.strip_prefix("system:serviceaccount:")?.split_once(':')
}

async fn holds(requester: &Requester, right: &Right, client: &Client) -> Result<bool, Error> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(requester.username.clone()),
            uid: given(&requester.uid),
            groups: Some(requester.groups.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                namespace: given(&right.namespace),
                name: given(&right.name),
                verb: Some(right.verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer =
        api.create(&PostParams::default(), &review).await.doing("ask whether the author may hand it on")?;
    Ok(answer.status.is_some_and(|s| s.allowed && s.denied != Some(true)))
}

/// Is the author an account that is not the one that wrote it any more? RBAC tells accounts by name alone.
async fn is_another(requester: &Requester, client: &Client) -> Result<bool, Error> {
    let Some((namespace, name)) = account(requester) else { return Ok(false) };
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let there = api.get_metadata_opt(name).await.doing("read the author's account")?;
    // Who acts as the account by impersonation has no uid.
    Ok(there
        .is_none_or(|account| !requester.uid.is_empty() && account.uid().as_deref() != Some(&requester.uid)))
}
