//! Objects of any kind: applied, read and deleted by what their manifest says of them.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy,
};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio::time::Instant;

use super::FIELD_MANAGER;
use crate::kube::{Cluster, Fault};

/// A kind is served, and an account of a new namespace made, within a second or two.
const SETTLES: Duration = Duration::from_secs(15);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// Requests in flight at once: each is a connection of its own.
const AT_ONCE: usize = 6;
/// The audience is only read, and the token thrown away: as short as the API server allows, in seconds.
const SHORTEST_TOKEN: i64 = 600;

/// Group, version and kind.
pub(crate) fn kind_of(object: &Value) -> GroupVersionKind {
    let (version, kind) =
        (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    GroupVersionKind::gvk(group, version, kind)
}

/// `Role oz-system/oz-controller`.
pub(crate) fn name_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

fn api(cluster: &Cluster, object: &Value) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&kind_of(object));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
        None => Api::all_with(cluster.client.clone(), &resource),
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Makes the object so, whoever wrote these fields before. Waits a while for its kind to be served.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn apply(cluster: &Cluster, object: &Value) -> Result<DynamicObject, Fault> {
    let doing = format!("apply {}", name_of(object));
    let (api, with) = (api(cluster, object), PatchParams::apply(FIELD_MANAGER).force());
    let started = Instant::now();
    loop {
        match cluster.call(&doing, api.patch(name(object), &with, &Patch::Apply(object))).await {
            Err(fault) if fault.code() == Some(404) && started.elapsed() < SETTLES => {
                tokio::time::sleep(LOOK).await
            }
            answer => return answer,
        }
    }
}

/// Makes the object, which must not be there.
///
/// # Errors
/// It is there, or the API server refuses it.
pub(crate) async fn create(cluster: &Cluster, object: &Value) -> Result<(), Fault> {
    let doing = format!("create {}", name_of(object));
    let body: DynamicObject = serde_json::from_value(object.clone())
        .map_err(|e| Fault::Protocol { doing: doing.clone(), cause: e.to_string() })?;
    let with = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    cluster.call(&doing, api(cluster, object).create(&with, &body)).await.map(drop)
}

/// Makes the object's spec so and nothing else: what others added to it goes as well.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn replace(cluster: &Cluster, object: &Value) -> Result<(), Fault> {
    let doing = format!("replace {}", name_of(object));
    let mut live = read(cluster, object).await?;
    live["spec"] = object["spec"].clone();
    let live: DynamicObject = serde_json::from_value(live)
        .map_err(|e| Fault::Protocol { doing: doing.clone(), cause: e.to_string() })?;
    let with = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    cluster.call(&doing, api(cluster, object).replace(name(object), &with, &live)).await.map(drop)
}

/// Reads what the manifest names, as it is in the cluster.
///
/// # Errors
/// It is not there, or may not be read.
pub(crate) async fn read(cluster: &Cluster, object: &Value) -> Result<Value, Fault> {
    let doing = format!("read {}", name_of(object));
    let found = cluster.call(&doing, api(cluster, object).get(name(object))).await?;
    serde_json::to_value(found).map_err(|e| Fault::Protocol { doing, cause: e.to_string() })
}

/// The same, or none where it, or its kind, is not there.
///
/// # Errors
/// It may not be read.
pub(crate) async fn find(cluster: &Cluster, object: &Value) -> Result<Option<Value>, Fault> {
    match read(cluster, object).await {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.code() == Some(404) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Deletes what the manifest names; false where there is nothing. What it owns goes before it does.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn delete(cluster: &Cluster, object: &Value) -> Result<bool, Fault> {
    let doing = format!("delete {}", name_of(object));
    let owns = object["kind"] == "Deployment";
    let with = DeleteParams {
        propagation_policy: owns.then_some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    match cluster.call(&doing, api(cluster, object).delete(name(object), &with)).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.code() == Some(404) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Waits until none of these is there any more; those that still are at the deadline.
///
/// # Errors
/// They may not be read.
pub(crate) async fn gone(
    cluster: &Cluster,
    objects: &[Value],
    deadline: Instant,
) -> Result<Vec<Value>, Fault> {
    loop {
        let looks = objects.iter().map(|object| find(cluster, object));
        let mut left = Vec::new();
        for look in futures::stream::iter(looks).buffered(AT_ONCE).collect::<Vec<_>>().await {
            left.extend(look?);
        }
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Something that one must be permitted to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// What is done.
    pub(crate) verb: &'static str,
    /// To which group's ...
    pub(crate) group: String,
    /// ... resource.
    pub(crate) resource: String,
    /// In this namespace; empty for what is in none.
    pub(crate) namespace: String,
}

impl Right {
    /// To do this with the kind of the object, where it is.
    pub(crate) fn on(verb: &'static str, object: &Value) -> Self {
        let resource = ApiResource::from_gvk(&kind_of(object));
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        Self { verb, group: resource.group, resource: resource.plural, namespace }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if self.namespace.is_empty() { Ok(()) } else { write!(f, " in {}", self.namespace) }
    }
}

/// Those of the rights that the user does not have.
///
/// # Errors
/// The API server does not say.
pub(crate) async fn missing_rights(cluster: &Cluster, mut rights: Vec<Right>) -> Result<Vec<Right>, Fault> {
    rights.sort();
    rights.dedup();
    let questions = rights.into_iter().map(|right| async move {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (resource, subresource) =
            right.resource.split_once('/').map_or((right.resource.as_str(), None), |(r, s)| (r, Some(s)));
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            group: some(&right.group),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            namespace: some(&right.namespace),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
        let with = PostParams::default();
        let answer = cluster.call("ask what you may do", api.create(&with, &review)).await?;
        Ok::<_, Fault>((!answer.status.is_some_and(|s| s.allowed)).then_some(right))
    });
    let answers = futures::stream::iter(questions).buffered(AT_ONCE).collect::<Vec<_>>().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}

/// What the API server takes tokens for: what it puts into one that asks for nothing in particular.
///
/// # Errors
/// None may be minted for an account of that namespace, or there is none.
pub(crate) async fn audiences(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Fault> {
    let api: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(SHORTEST_TOKEN), ..TokenRequestSpec::default() };
    let (question, with) = (TokenRequest { spec, ..TokenRequest::default() }, PostParams::default());
    let doing = "ask for which audience the API server takes tokens";
    let started = Instant::now();
    loop {
        match cluster.call(doing, api.create_token_request("default", &with, &question)).await {
            Ok(answer) => return Ok(answer.spec.audiences),
            Err(fault) if fault.code() == Some(404) && started.elapsed() < SETTLES => {
                tokio::time::sleep(LOOK).await
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Major and minor version of the API server, and all of it as text.
///
/// # Errors
/// It does not say.
pub(crate) async fn server_version(cluster: &Cluster) -> Result<(u32, u32, String), Fault> {
    let info = cluster.call("ask for the API server's version", cluster.client.apiserver_version()).await?;
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
    Ok((number(&info.major), number(&info.minor), info.git_version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::{Choices, objects};

    #[test]
    fn the_resource_of_every_kind_is_known() {
        let mut resources: Vec<String> = objects(&Choices::default())
            .unwrap()
            .iter()
            .map(|(_, object)| ApiResource::from_gvk(&kind_of(object)).plural)
            .collect();
        resources.sort();
        resources.dedup();
        assert_eq!(
            resources,
            [
                "accesstemplates",
                "clusterrolebindings",
                "clusterroles",
                "customresourcedefinitions",
                "deployments",
                "namespaceclasses",
                "namespaces",
                "poddisruptionbudgets",
                "rolebindings",
                "roles",
                "serviceaccounts",
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
            ]
        );
    }

    #[test]
    fn rights_in_words() {
        let role = serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                                      "metadata": {"name": "x", "namespace": "oz-system"}});
        assert_eq!(
            Right::on("patch", &role).to_string(),
            "patch roles.rbac.authorization.k8s.io in oz-system"
        );
        let namespace =
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
        assert_eq!(Right::on("create", &namespace).to_string(), "create namespaces");
        assert_eq!(
            (name_of(&role), name_of(&namespace)),
            ("Role oz-system/x".to_owned(), "Namespace x".to_owned())
        );
    }
}
