//! The only calls that change anything in the cluster. Each passes a fault point, carries the controller's name as field
//! manager, and where it takes something away names it by uid.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::Eviction;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt as _, core::NamespaceResourceScope};
use oz_shared::FIELD_MANAGER;
use oz_shared::grant::PodRef;
use oz_shared::names::GRANT_LABEL;
use oz_shared::request::NamespaceRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::children::belongs_to;
use crate::fault;

/// Creates `object`, or, where one of its name is there, has that say what it is to say, by server-side apply: that alone would
/// do, but costs the API server more.
pub(crate) async fn put(api: &Api<DynamicObject>, name: &str, object: &Value) -> kube::Result<DynamicObject> {
    let new: DynamicObject = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    match create(api, &new).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        created => return created,
    }
    apply(api, name, object).await
}

/// Writes `object` by server-side apply, creating it where it is not there. A field that is none is an error (500).
pub(crate) async fn apply(
    api: &Api<DynamicObject>,
    name: &str,
    object: &Value,
) -> kube::Result<DynamicObject> {
    fault::before_write();
    api.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await
}

/// Creates `object`; an existing one is an error (409).
pub(crate) async fn create<K>(api: &Api<K>, object: &K) -> kube::Result<K>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    fault::before_write();
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    api.create(&params, object).await
}

/// Replaces an object by `object`, which names the version that it is a change of; another one is an error (409).
pub(crate) async fn replace<K>(api: &Api<K>, name: &str, object: &K) -> kube::Result<K>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    fault::before_write();
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    api.replace(name, &params, object).await
}

/// Merges `metadata` into that of the object with this uid; another one of that name is an error (409).
pub(crate) async fn metadata<K>(api: &Api<K>, name: &str, uid: &str, mut metadata: Value) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    fault::before_write();
    metadata["uid"] = json!(uid);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(name, &params, &Patch::Strategic(json!({"metadata": metadata}))).await.map(drop)
}

/// Mints a token for an account, for this API server: the token, and when it ends.
pub(crate) async fn mint(
    client: &Client,
    namespace: &str,
    account: &str,
    seconds: i64,
) -> kube::Result<(String, jiff::Timestamp)> {
    fault::before_write();
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let asked = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(seconds), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let minted = api.create_token_request(account, &PostParams::default(), &asked).await?;
    let minted = minted.status.map(|minted| (minted.token, minted.expiration_timestamp.0));
    minted.ok_or_else(|| kube::Error::Service("the API server minted nothing".into()))
}

/// Creates a pod given as JSON, so that nothing unknown to this version is lost on the way; an existing one is an error
/// (409).
pub(crate) async fn create_pod(client: &Client, pod: &Value) -> kube::Result<Pod> {
    fault::before_write();
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let url = format!("{}?fieldManager={FIELD_MANAGER}", Pod::url_path(&(), Some(namespace)));
    let request = ::http::Request::post(url)
        .header(::http::header::CONTENT_TYPE, "application/json")
        .body(pod.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// Puts an ephemeral container into the pod with this uid; another pod of that name is an error (409).
pub(crate) async fn add_container(client: &Client, pod: &PodRef, container: &Value) -> kube::Result<Pod> {
    fault::before_write();
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = json!({"metadata": {"uid": pod.uid}, "spec": {"ephemeralContainers": [container]}});
    api.patch_subresource("ephemeralcontainers", &pod.name, &params, &Patch::Strategic(&patch)).await
}

/// Replaces the status of the object that was read. If its status has become another in the meantime, that is an error
/// (422); whatever else has changed does not matter, so that nobody keeps a status from being written by writing.
pub(crate) async fn status<K, S>(api: &Api<K>, read: &K, before: Option<&S>, status: &S) -> kube::Result<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    fault::before_write();
    let meta = read.meta();
    let name = meta.name.clone().unwrap_or_default();
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": "/status", "value": before},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let patch: json_patch::Patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch_status(&name, &params, &Patch::<()>::Json(patch)).await
}

/// Takes every subject out of a binding: the rights end with the next request, whatever finalizer holds the binding.
/// One that is gone, or another of that name, is left.
pub(crate) async fn empty_binding<K>(api: &Api<K>, name: &str, uid: &str) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    fault::before_write();
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = json!({"metadata": {"uid": uid}, "subjects": null});
    done_or_gone(api.patch(name, &params, &Patch::Merge(&patch)).await.map(drop))
}

/// Deletes the object with this uid; one that is gone, or another of that name, is left.
pub(crate) async fn delete<K>(api: &Api<K>, name: &str, uid: &str) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    delete_version(api, name, uid, None).await
}

/// The same, and where a version is given, only while it is of that one.
pub(crate) async fn delete_version<K>(
    api: &Api<K>,
    name: &str,
    uid: &str,
    version: Option<String>,
) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    fault::before_write();
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: version }),
        ..DeleteParams::background()
    };
    done_or_gone(api.delete(name, &params).await.map(drop))
}

/// Gives an object with this grant's label to another grant; `owner` is its owner from then on, where it has one. If it
/// is not that grant's any more, or, where a uid is given, another of its name, that is an error (422, or 404).
pub(crate) async fn hand_on<K>(
    api: &Api<K>,
    name: &str,
    uid: Option<&str>,
    (from, to): (&str, &str),
    owner: Option<&Value>,
) -> kube::Result<K>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    fault::before_write();
    let label = format!("/metadata/labels/{}", GRANT_LABEL.replace('/', "~1"));
    let mut patch = vec![
        json!({"op": "test", "path": label, "value": from}),
        json!({"op": "replace", "path": label, "value": to}),
    ];
    patch.extend(uid.map(|uid| json!({"op": "test", "path": "/metadata/uid", "value": uid})));
    patch.extend(
        owner.map(|owner| json!({"op": "replace", "path": "/metadata/ownerReferences", "value": [owner]})),
    );
    let patch: json_patch::Patch = serde_json::from_value(json!(patch)).map_err(kube::Error::SerdeError)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(name, &params, &Patch::<()>::Json(patch)).await
}

/// Deletes the namespace with this uid, if it is this grant's still when it goes; else it is left.
pub(crate) async fn delete_namespace(
    client: &Client,
    namespace: &NamespaceRef,
    grant: &str,
) -> kube::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let there = api.get_metadata_opt(&namespace.name).await?.filter(|n| {
        n.uid().as_deref() == Some(&namespace.uid)
            && belongs_to(n, grant)
            && n.metadata.deletion_timestamp.is_none()
    });
    let Some(there) = there else { return Ok(()) };
    // Another grant may be taking it over in this moment.
    delete_version(&api, &namespace.name, &namespace.uid, there.metadata.resource_version).await
}

/// Evicts the pod with this uid, within its disruption budget (429 while the budget is used up).
pub(crate) async fn evict(client: &Client, pod: &PodRef) -> kube::Result<()> {
    fault::before_write();
    let eviction: Eviction = serde_json::from_value(json!({
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }))
    .map_err(kube::Error::SerdeError)?;
    let url = format!("/api/v1/namespaces/{}/pods/{}/eviction", pod.namespace, pod.name);
    let body = serde_json::to_vec(&eviction).map_err(kube::Error::SerdeError)?;
    let request = ::http::Request::post(url)
        .header(::http::header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(kube::Error::HttpError)?;
    done_or_gone(client.request_text(request).await.map(drop))
}

/// Not found, and a uid that is no longer there (409), mean that nothing is left to do.
fn done_or_gone(result: kube::Result<()>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        other => other,
    }
}

/// The API for a namespaced kind.
pub(crate) fn namespaced<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}
