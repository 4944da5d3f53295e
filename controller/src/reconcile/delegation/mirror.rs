//! What a delegation binds: its role, or a mirror of each binding that names its origin. Pure.

use k8s_openapi::api::rbac::v1::{RoleRef, Subject};
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use oz_shared::delegation::{BindingRef, Origin, OriginKind};
use oz_shared::names::{GRANT_LABEL, delegated_name};
use oz_shared::{Delegation, Grant};
use serde_json::json;

use crate::children::{self, Child, Found, Kind};

const RBAC: &str = "rbac.authorization.k8s.io";

/// A RoleBinding or a ClusterRoleBinding as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    pub(crate) kind: Kind,
    pub(crate) meta: ObjectMeta,
    pub(crate) role: RoleRef,
    pub(crate) subjects: Vec<Subject>,
}

/// A role that is to be bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Where; empty: in the whole cluster.
    pub(crate) namespace: String,
    /// `Role` or `ClusterRole`.
    pub(crate) role_kind: String,
    pub(crate) role: String,
    /// The binding of the origin that it mirrors: name and uid. None of a role that is bound as it stands.
    pub(crate) of: Option<(String, String)>,
}

impl Binding {
    /// Does it name the origin, exactly? What Oz has bound, and what goes, does not.
    fn names(&self, origin: &Origin, home: &str) -> bool {
        let is_ours = self.meta.labels.as_ref().is_some_and(|labels| labels.contains_key(GRANT_LABEL));
        let goes = self.meta.deletion_timestamp.is_some();
        let namespace = if origin.namespace.is_empty() { home } else { &origin.namespace };
        !is_ours
            && !goes
            && self.subjects.iter().any(|subject| {
                subject.kind == origin.kind.as_str()
                    && subject.name == origin.name
                    && match origin.kind {
                        OriginKind::ServiceAccount => subject.namespace.as_deref() == Some(namespace),
                        _ => subject.api_group.as_deref() == Some(RBAC),
                    }
            })
    }

    /// As part of a grant.
    pub(crate) fn found(&self) -> Found {
        children::found(self.kind, &self.meta, self.subjects.is_empty())
    }
}

/// What the origin holds by these bindings.
pub(crate) fn sources(origin: &Origin, home: &str, bindings: &[Binding]) -> Vec<Source> {
    let naming = bindings.iter().filter(|binding| binding.names(origin, home));
    let mut all: Vec<Source> = naming
        .map(|binding| Source {
            namespace: binding.meta.namespace.clone().unwrap_or_default(),
            role_kind: binding.role.kind.clone(),
            role: binding.role.name.clone(),
            of: Some((
                binding.meta.name.clone().unwrap_or_default(),
                binding.meta.uid.clone().unwrap_or_default(),
            )),
        })
        .collect();
    all.sort();
    all
}

/// The name of the binding for it.
pub(crate) fn name_of(delegation_uid: &str, source: &Source) -> String {
    let (name, uid) = source.of.as_ref().map_or(("", ""), |(name, uid)| (name, uid));
    delegated_name(delegation_uid, &[&source.namespace, name, uid, &source.role_kind, &source.role])
}

/// The binding itself, in the name of the grant that holds it.
pub(crate) fn child(delegation: &Delegation, grant: &Grant, source: &Source, subjects: &[Subject]) -> Child {
    let kind = if source.namespace.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
    let name = name_of(&delegation.uid().unwrap_or_default(), source);
    let role = json!({"apiGroup": RBAC, "kind": source.role_kind, "name": source.role});
    let fields = json!({"subjects": subjects, "roleRef": role});
    let body = children::body(kind, &source.namespace, &name, grant, fields);
    Child { kind, namespace: source.namespace.clone(), name, body }
}

/// Does this binding say what that one is to say, by the same grant?
pub(crate) fn is_as(binding: &Binding, child: &Child, grant_uid: &str) -> bool {
    let told = |subjects: &[Subject]| {
        let mut told: Vec<String> = subjects.iter().map(|s| json!(s).to_string()).collect();
        told.sort();
        told.dedup();
        told
    };
    let wanted: Vec<Subject> = serde_json::from_value(child.body["subjects"].clone()).unwrap_or_default();
    let role = &child.body["roleRef"];
    binding.found().is(child)
        && binding.found().owner.as_deref() == Some(grant_uid)
        && binding.meta.deletion_timestamp.is_none()
        && told(&binding.subjects) == told(&wanted)
        && role["kind"] == binding.role.kind
        && role["name"] == binding.role.name
}

/// As it stands in the status.
pub(crate) fn reference(delegation_uid: &str, source: &Source) -> BindingRef {
    BindingRef {
        namespace: source.namespace.clone(),
        name: name_of(delegation_uid, source),
        role: format!("{}/{}", source.role_kind, source.role),
        of: source.of.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(),
    }
}
