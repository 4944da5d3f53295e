//! What a grant is made of in the cluster: its account, the Roles and the bindings. Here is what they look like, and
//! which of them are there.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, future::ready};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, ListParams, PartialObjectMeta};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::Grant;
use oz_shared::copy::{self, Source};
use oz_shared::grant::CopyTerms;
use oz_shared::names::{GRANT_LABEL, SESSIONS_NAMESPACE};
use serde_json::{Value, json};

/// The kinds of object that a grant is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    RoleBinding,
    ServiceAccount,
    Role,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::RoleBinding, Self::ServiceAccount, Self::Role];

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
        }
    }

    pub(crate) fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }
}

/// An object to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Child {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) body: Value,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The value of the grant label.
    pub(crate) grant: String,
    /// The uid of the Grant that owns it.
    pub(crate) owner: Option<String>,
    pub(crate) terminating: bool,
    /// Of a binding, where it was read in full: does it name nobody?
    pub(crate) empty: bool,
    pub(crate) finalizers: Vec<String>,
}

impl Found {
    /// Gone but for somebody's finalizer, and lending nothing any more.
    pub(crate) fn is_harmless(&self) -> bool {
        self.terminating && (self.kind != Kind::RoleBinding || self.empty)
    }

    pub(crate) fn is(&self, child: &Child) -> bool {
        (self.kind, &self.namespace, &self.name) == (child.kind, &child.namespace, &child.name)
    }
}

/// Everything that `grant` is made of, its pod apart. Roles come before the bindings that need them.
pub(crate) fn of(grant: &Grant) -> Vec<Child> {
    let spec = &grant.spec;
    let role = spec.role.iter().map(|role| {
        let subject = if spec.account.is_empty() { holder(grant) } else { session(grant) };
        let role_ref = json!({"apiGroup": RBAC, "kind": role.kind, "name": role.name});
        let name = if spec.account.is_empty() { grant.name_any() } else { spec.account.clone() };
        let fields = json!({"subjects": subject, "roleRef": role_ref});
        let body = body(Kind::RoleBinding, &role.namespace, &name, grant, fields);
        Child { kind: Kind::RoleBinding, namespace: role.namespace.clone(), name, body }
    });
    if spec.account.is_empty() { role.collect() } else { of_session(grant).into_iter().chain(role).collect() }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn holder(grant: &Grant) -> Value {
    json!([{"kind": "User", "apiGroup": RBAC, "name": grant.spec.holder.username}])
}

fn session(grant: &Grant) -> Value {
    json!([{"kind": "ServiceAccount", "namespace": SESSIONS_NAMESPACE, "name": grant.spec.account}])
}

/// The session's account, its holder's right to mint for it, and what it may do by Roles of its own.
fn of_session(grant: &Grant) -> Vec<Child> {
    let spec = &grant.spec;
    let account = &spec.account;
    let mint = json!([
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [account], "verbs": ["create"]},
        {"apiGroups": ["ozaccess.io"], "resources": ["sessions"],
         "resourceNames": [format!("{account}/{}", spec.holder.uid)], "verbs": ["mint"]},
    ]);
    let role_ref = json!({"apiGroup": RBAC, "kind": "Role", "name": account});

    let child = |kind, namespace: &str, fields: Value| Child {
        kind,
        namespace: namespace.to_owned(),
        name: account.clone(),
        body: body(kind, namespace, account, grant, fields),
    };
    let mut children = vec![
        child(Kind::ServiceAccount, SESSIONS_NAMESPACE, json!({"automountServiceAccountToken": false})),
        child(Kind::Role, SESSIONS_NAMESPACE, json!({"rules": mint})),
    ];
    for access in &spec.access {
        children.push(child(Kind::Role, &access.namespace, json!({"rules": access.rules})));
    }
    children.push(child(
        Kind::RoleBinding,
        SESSIONS_NAMESPACE,
        json!({"subjects": holder(grant), "roleRef": role_ref}),
    ));
    for access in &spec.access {
        children.push(child(
            Kind::RoleBinding,
            &access.namespace,
            json!({"subjects": session(grant), "roleRef": role_ref}),
        ));
    }
    children
}

fn body(kind: Kind, namespace: &str, name: &str, grant: &Grant, fields: Value) -> Value {
    let resource = kind.resource();
    let mut body = json!({"apiVersion": resource.api_version, "kind": resource.kind});
    body["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("oz");
    mark(&mut body, namespace, name, grant);
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

/// The metadata of everything that a grant makes: whose it is, by label and by owner.
fn mark(object: &mut Value, namespace: &str, name: &str, grant: &Grant) {
    let metadata = &mut object["metadata"];
    metadata["name"] = json!(name);
    metadata["namespace"] = json!(namespace);
    metadata["labels"][GRANT_LABEL] = json!(grant.name_any());
    let request = &grant.spec.request;
    metadata["annotations"]["ozaccess.io/request"] = json!(format!("{}/{}", request.namespace, request.name));
    // As its controller, so that none other adopts it.
    metadata["ownerReferences"] = json!([{
        "apiVersion": Grant::api_version(&()), "kind": Grant::kind(&()), "controller": true,
        "name": grant.name_any(), "uid": grant.uid(),
    }]);
}

/// The copy that the grant rests on, as it is made of the workload's present pod template.
///
/// # Errors
/// The workload has changed since the copy was agreed to.
pub(crate) fn copied_pod(grant: &Grant, terms: &CopyTerms, source: &Source) -> Result<Value, String> {
    let copied = copy::copy(&terms.shell, &terms.asked, source).map_err(|misfit| misfit.to_string())?;
    if copied.digest() != terms.digest {
        return Err(format!("{} has changed since the copy was agreed to: ask again", source.name));
    }
    let mut pod = copied.pod(terms.seconds);
    mark(&mut pod, &terms.namespace, &terms.name, grant);
    Ok(pod)
}

/// The labelled objects of the whole cluster, as metadata, kept current by watches.
#[derive(Clone)]
pub(crate) struct Index {
    bindings: Store<PartialObjectMeta<RoleBinding>>,
    accounts: Store<PartialObjectMeta<ServiceAccount>>,
    roles: Store<PartialObjectMeta<Role>>,
}

impl Index {
    /// The index, and the stream of grant names whose objects came, changed or went, which must be driven for it to be
    /// current. No name: the watch starts anew, and anything may have.
    pub(crate) fn watch(client: &Client) -> (Self, impl Stream<Item = Option<String>> + Send + 'static) {
        let (bindings, b) = watched::<RoleBinding>(Api::all(client.clone()));
        let (accounts, a) = watched::<ServiceAccount>(Api::namespaced(client.clone(), SESSIONS_NAMESPACE));
        let (roles, r) = watched::<Role>(Api::all(client.clone()));
        (Self { bindings, accounts, roles }, futures::stream::select_all([b.boxed(), a.boxed(), r.boxed()]))
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.bindings.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.roles.wait_until_ready().await
    }

    /// The objects whose label passes `wanted`, as last seen; a binding's subjects are not known.
    pub(crate) fn labelled(&self, wanted: impl Fn(&str) -> bool) -> Vec<Found> {
        let mut found = collect(&self.bindings, Kind::RoleBinding, &wanted);
        found.extend(collect(&self.accounts, Kind::ServiceAccount, &wanted));
        found.extend(collect(&self.roles, Kind::Role, &wanted));
        found
    }
}

fn watched<K>(
    api: Api<PartialObjectMeta<K>>,
) -> (Store<PartialObjectMeta<K>>, impl Stream<Item = Option<String>> + Send + 'static)
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, watcher::Config::default().labels(GRANT_LABEL))
        .default_backoff()
        .modify(|object| {
            object.metadata.managed_fields = None;
            object.metadata.annotations = None;
        })
        .reflect(writer)
        .filter_map(|event| {
            ready(match event {
                Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                    object.labels().get(GRANT_LABEL).cloned().map(Some)
                }
                Ok(Event::InitDone) => Some(None),
                Ok(Event::Init) => None,
                Err(error) => {
                    tracing::warn!(error = %crate::report::chain(&error), kind = %K::kind(&()), "watch interrupted");
                    None
                }
            })
        });
    (store, stream)
}

fn collect<K>(store: &Store<PartialObjectMeta<K>>, kind: Kind, wanted: impl Fn(&str) -> bool) -> Vec<Found>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let objects: Vec<Arc<_>> = store.state_filter(|o| o.labels().get(GRANT_LABEL).is_some_and(|l| wanted(l)));
    objects.iter().map(|o| found(kind, o.meta(), false)).collect()
}

/// The objects of this grant as the API server has them now, in the namespaces where it can have any.
pub(crate) async fn list(client: &Client, grant: &str, namespaces: &[String]) -> kube::Result<Vec<Found>> {
    let params = ListParams::default().labels(&format!("{GRANT_LABEL}={grant}"));
    let mut calls = Vec::new();
    for kind in Kind::ALL {
        for namespace in namespaces {
            if kind == Kind::ServiceAccount && namespace != SESSIONS_NAMESPACE {
                continue;
            }
            let (api, params) = (kind.api(client, namespace), params.clone());
            calls.push(async move {
                let objects = api.list(&params).await?.items;
                Ok::<_, kube::Error>(
                    objects
                        .into_iter()
                        .map(|o| {
                            let empty =
                                o.data.get("subjects").and_then(Value::as_array).is_none_or(Vec::is_empty);
                            found(kind, &o.metadata, empty)
                        })
                        .collect::<Vec<_>>(),
                )
            });
        }
    }
    Ok(futures::future::try_join_all(calls).await?.into_iter().flatten().collect())
}

fn found(kind: Kind, meta: &kube::api::ObjectMeta, empty: bool) -> Found {
    Found {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        grant: meta.labels.as_ref().and_then(|l| l.get(GRANT_LABEL)).cloned().unwrap_or_default(),
        owner: meta
            .owner_references
            .iter()
            .flatten()
            .find(|o| o.kind == Grant::kind(&()) && o.api_version.starts_with("ozaccess.io/"))
            .map(|o| o.uid.clone()),
        terminating: meta.deletion_timestamp.is_some(),
        empty,
        finalizers: meta.finalizers.clone().unwrap_or_default(),
    }
}
