//! What a grant is made of in the cluster: its account, the Roles and the bindings, its namespaces and what stands in
//! them. Here is what they look like, and which of them are there.

use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Namespace, ResourceQuota, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use oz_shared::Grant;
use oz_shared::copy::{self, Source};
use oz_shared::grant::{CopyTerms, NamespaceTerms};
use oz_shared::names::{
    GRANT_LABEL, PART_OF_NAMESPACE, PARTNER, PARTNER_ROLE, ROTATION_LABEL, SESSIONS_NAMESPACE,
};
use oz_shared::namespace_class::{NamespaceResource, ResourceKind, Subject, SubjectKind};
use serde_json::{Value, json};

/// The kinds of object that are made: those that a grant is made of, and then those that stand in its namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ClusterRoleBinding,
    RoleBinding,
    ServiceAccount,
    Role,
    ResourceQuota,
    LimitRange,
    NetworkPolicy,
    ConfigMap,
}

impl Kind {
    /// Those that a grant is made of.
    pub(crate) const PARTS: [Self; 4] =
        [Self::ClusterRoleBinding, Self::RoleBinding, Self::ServiceAccount, Self::Role];

    pub(crate) const fn is_binding(self) -> bool {
        matches!(self, Self::ClusterRoleBinding | Self::RoleBinding)
    }

    /// Can there be any in this namespace? What belongs to none is looked for once, beside the accounts.
    fn is_in(self, namespace: &str) -> bool {
        !matches!(self, Self::ClusterRoleBinding | Self::ServiceAccount) || namespace == SESSIONS_NAMESPACE
    }

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::ClusterRoleBinding => ApiResource::erase::<ClusterRoleBinding>(&()),
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
            Self::ResourceQuota => ApiResource::erase::<ResourceQuota>(&()),
            Self::LimitRange => ApiResource::erase::<LimitRange>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
        }
    }

    pub(crate) fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        match self {
            Self::ClusterRoleBinding => Api::all_with(client.clone(), &self.resource()),
            _ => Api::namespaced_with(client.clone(), namespace, &self.resource()),
        }
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
    /// Its resourceVersion.
    pub(crate) version: String,
    /// The value of the grant label.
    pub(crate) grant: String,
    /// The uid of the Grant that owns it.
    pub(crate) owner: Option<String>,
    pub(crate) terminating: bool,
    /// Of an account: how often it had been made anew when it was made.
    pub(crate) rotation: i32,
    /// Of a binding, where it was read in full: does it name nobody?
    pub(crate) empty: bool,
    pub(crate) finalizers: Vec<String>,
}

impl Found {
    /// A part of this grant that was just made.
    pub(crate) fn made(child: &Child, grant: &Grant) -> Self {
        Self {
            kind: child.kind,
            namespace: child.namespace.clone(),
            name: child.name.clone(),
            uid: String::new(),
            version: String::new(),
            grant: grant.name_any(),
            owner: grant.uid(),
            rotation: 0,
            terminating: false,
            empty: false,
            finalizers: Vec::new(),
        }
    }

    /// Gone but for somebody's finalizer, and lending nothing any more.
    pub(crate) fn is_harmless(&self) -> bool {
        self.terminating && (!self.kind.is_binding() || self.empty)
    }

    pub(crate) fn is(&self, child: &Child) -> bool {
        (self.kind, &self.namespace, &self.name) == (child.kind, &child.namespace, &child.name)
    }
}

/// Everything that `grant` is made of, its pod, its places and its namespaces apart; `lent` are those of them that are
/// there. Roles come before the bindings that need them.
pub(crate) fn of(grant: &Grant, lent: &[&str]) -> Vec<Child> {
    let spec = &grant.spec;
    let owners = spec.namespaces.iter().flat_map(|terms| lent.iter().map(|name| owners(grant, terms, name)));
    let asks = spec.namespaces.iter().filter(|terms| terms.further > 0);
    let asks = asks.flat_map(|_| lent.iter().map(|name| invitation(grant, name)));
    let role = spec.role.iter().map(|role| {
        let subject = if spec.account.is_empty() { holder(grant) } else { session(grant) };
        let role_ref = json!({"apiGroup": RBAC, "kind": role.kind, "name": role.name});
        let name = if spec.account.is_empty() { grant.name_any() } else { spec.account.clone() };
        let fields = json!({"subjects": subject, "roleRef": role_ref});
        let kind = if role.namespace.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
        let body = body(kind, &role.namespace, &name, grant, fields);
        Child { kind, namespace: role.namespace.clone(), name, body }
    });
    let session = if spec.account.is_empty() { Vec::new() } else { of_session(grant) };
    session.into_iter().chain(role).chain(owners).chain(asks).collect()
}

/// The binding that makes its owners what they are in a lent namespace.
fn owners(grant: &Grant, terms: &NamespaceTerms, namespace: &str) -> Child {
    let mut subjects: Vec<Value> = terms.owners.iter().map(subject).collect();
    let account = if terms.shared_account.is_empty() { &grant.spec.account } else { &terms.shared_account };
    if !account.is_empty() {
        subjects.push(json!({"kind": "ServiceAccount", "namespace": SESSIONS_NAMESPACE, "name": account}));
    }
    let role_ref = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": terms.role});
    let name = grant.name_any();
    let fields = json!({"subjects": subjects, "roleRef": role_ref});
    let body = body(Kind::RoleBinding, namespace, &name, grant, fields);
    Child { kind: Kind::RoleBinding, namespace: namespace.to_owned(), name, body }
}

/// The binding by which a partner asks for further namespaces, in its first one.
fn invitation(grant: &Grant, namespace: &str) -> Child {
    let name = grant.spec.account.clone();
    let role_ref = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": PARTNER_ROLE});
    let fields = json!({"subjects": session(grant), "roleRef": role_ref});
    let body = body(Kind::RoleBinding, namespace, &name, grant, fields);
    Child { kind: Kind::RoleBinding, namespace: namespace.to_owned(), name, body }
}

fn subject(subject: &Subject) -> Value {
    let (kind, name) = (subject.kind, &subject.name);
    match kind {
        SubjectKind::ServiceAccount => json!({"kind": kind, "namespace": subject.namespace, "name": name}),
        SubjectKind::User | SubjectKind::Group => json!({"kind": kind, "apiGroup": RBAC, "name": name}),
    }
}

/// A namespace of the grant, as it is made. It is owned by nothing: what people keep in it is not the collector's.
pub(crate) fn namespace(grant: &Grant, terms: &NamespaceTerms, name: &str) -> kube::Result<Namespace> {
    let mut labels = json!(terms.labels);
    labels["app.kubernetes.io/managed-by"] = json!("oz");
    labels[GRANT_LABEL] = json!(grant.name_any());
    let mut annotations = filled(&json!(terms.annotations), name, grant);
    annotations[REQUEST] = json!(request_of(grant));
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
    });
    serde_json::from_value(namespace).map_err(kube::Error::SerdeError)
}

/// What the class has stand in a lent namespace. It is part of that, not of the grant, and goes with it.
pub(crate) fn furnishing(grant: &Grant, namespace: &str) -> Vec<Child> {
    let resources = grant.spec.namespaces.iter().flat_map(|terms| &terms.resources);
    resources.map(|resource| furnish(resource, grant, namespace)).collect()
}

fn furnish(resource: &NamespaceResource, grant: &Grant, namespace: &str) -> Child {
    let (kind, fields) = match resource.kind {
        ResourceKind::ResourceQuota => (Kind::ResourceQuota, json!({"spec": resource.spec})),
        ResourceKind::LimitRange => (Kind::LimitRange, json!({"spec": resource.spec})),
        ResourceKind::NetworkPolicy => (Kind::NetworkPolicy, json!({"spec": resource.spec})),
        ResourceKind::ConfigMap => (Kind::ConfigMap, json!({"data": resource.data})),
        ResourceKind::RoleBinding => {
            let subjects = resource.subjects.iter().flatten().map(|one| match one.name.as_str() {
                // Who asks may be an account.
                "${REQUESTER}" if one.kind == SubjectKind::User => {
                    subject(&Subject::of(&grant.spec.holder.username))
                }
                _ => subject(one),
            });
            let subjects: Vec<Value> = subjects.collect();
            let role_ref = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": resource.role});
            (Kind::RoleBinding, json!({"subjects": subjects, "roleRef": role_ref}))
        }
    };
    let api = kind.resource();
    let mut body = filled(&fields, namespace, grant);
    body["apiVersion"] = json!(api.api_version);
    body["kind"] = json!(api.kind);
    body["metadata"] = json!({
        "name": resource.name, "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "oz", GRANT_LABEL: PART_OF_NAMESPACE},
    });
    Child { kind, namespace: namespace.to_owned(), name: resource.name.clone(), body }
}

/// `value` with `${NAMESPACE}` and `${REQUESTER}` in its texts as what they stand for. Whatever those hold stays within the
/// text that it is put into, and is not read again.
fn filled(value: &Value, namespace: &str, grant: &Grant) -> Value {
    match value {
        Value::String(text) => {
            let parts = text.split("${NAMESPACE}");
            let parts = parts.map(|part| part.replace("${REQUESTER}", &grant.spec.holder.username));
            json!(parts.collect::<Vec<_>>().join(namespace))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, namespace, grant)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), filled(value, namespace, grant)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// The place that a namespace of this grant's holder takes: an object that says nothing but that it is there.
pub(crate) fn place(grant: &Grant, name: &str) -> Child {
    let body = body(Kind::Role, SESSIONS_NAMESPACE, name, grant, json!({"rules": []}));
    Child { kind: Kind::Role, namespace: SESSIONS_NAMESPACE.to_owned(), name: name.to_owned(), body }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn holder(grant: &Grant) -> [Value; 1] {
    [json!({"kind": "User", "apiGroup": RBAC, "name": grant.spec.holder.username})]
}

fn session(grant: &Grant) -> [Value; 1] {
    [json!({"kind": "ServiceAccount", "namespace": SESSIONS_NAMESPACE, "name": grant.spec.account})]
}

/// The session's account, as it is made anew for the n-th time. Of the same name, it is another one to those who hold a
/// token for the one before.
pub(crate) fn account_of(grant: &Grant, rotation: i32) -> Child {
    let (kind, name) = (Kind::ServiceAccount, grant.spec.account.clone());
    let fields = json!({"automountServiceAccountToken": false});
    let mut body = body(kind, SESSIONS_NAMESPACE, &name, grant, fields);
    if rotation > 0 {
        body["metadata"]["labels"][ROTATION_LABEL] = json!(rotation.to_string());
    }
    Child { kind, namespace: SESSIONS_NAMESPACE.to_owned(), name, body }
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
    let mut minters = holder(grant).to_vec();
    if account.starts_with(PARTNER) {
        minters.extend(session(grant));
    }
    let mut children =
        vec![account_of(grant, 0), child(Kind::Role, SESSIONS_NAMESPACE, json!({"rules": mint}))];
    for access in &spec.access {
        children.push(child(Kind::Role, &access.namespace, json!({"rules": access.rules})));
    }
    children.push(child(
        Kind::RoleBinding,
        SESSIONS_NAMESPACE,
        json!({"subjects": minters, "roleRef": role_ref}),
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

pub(crate) fn body(kind: Kind, namespace: &str, name: &str, grant: &Grant, fields: Value) -> Value {
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
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"][GRANT_LABEL] = json!(grant.name_any());
    metadata["annotations"][REQUEST] = json!(request_of(grant));
    // As its controller, so that none other adopts it.
    metadata["ownerReferences"] = json!([owner(grant)]);
}

/// The reference by which a grant owns what it makes.
pub(crate) fn owner(grant: &Grant) -> Value {
    json!({
        "apiVersion": Grant::api_version(&()), "kind": Grant::kind(&()), "controller": true,
        "name": grant.name_any(), "uid": grant.uid(),
    })
}

/// Tells people whose something is; nothing is decided by it.
const REQUEST: &str = "ozaccess.io/request";

fn request_of(grant: &Grant) -> String {
    let request = &grant.spec.request;
    let whole = if request.namespace.is_empty() { &request.kind } else { &request.namespace };
    format!("{whole}/{}", request.name)
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

/// The objects of this grant as the API server has them now, in the namespaces where it can have any.
pub(crate) async fn list(client: &Client, grant: &str, namespaces: &[String]) -> kube::Result<Vec<Found>> {
    let params = ListParams::default().labels(&format!("{GRANT_LABEL}={grant}"));
    let mut calls = Vec::new();
    for kind in Kind::PARTS {
        for namespace in namespaces {
            if !kind.is_in(namespace) {
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

pub(crate) fn found(kind: Kind, meta: &kube::api::ObjectMeta, empty: bool) -> Found {
    let label = |key: &str| meta.labels.as_ref().and_then(|l| l.get(key)).cloned();
    Found {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        version: meta.resource_version.clone().unwrap_or_default(),
        grant: label(GRANT_LABEL).unwrap_or_default(),
        owner: meta
            .owner_references
            .iter()
            .flatten()
            .find(|o| o.kind == Grant::kind(&()) && o.api_version.starts_with("ozaccess.io/"))
            .map(|o| o.uid.clone()),
        rotation: label(ROTATION_LABEL).and_then(|n| n.parse().ok()).unwrap_or_default(),
        terminating: meta.deletion_timestamp.is_some(),
        empty,
        finalizers: meta.finalizers.clone().unwrap_or_default(),
    }
}
