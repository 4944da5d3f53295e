//! The objects that the cases send.

use serde_json::{Value, json};
use support::User;
pub(crate) use support::with;

/// A template; `spec` names what it offers.
pub(crate) fn template(name: &str, spec: Value) -> Value {
    let whole = json!({"duration": {"default": "30m", "max": "1h"}});
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate", "metadata": {"name": name},
        "spec": with(whole, &spec),
    })
}

/// Connections into the pods `app=web`.
pub(crate) fn exec(connections: &[&str]) -> Value {
    json!({"pods": {"selector": {"matchLabels": {"app": "web"}}}, "connections": connections})
}

/// A shell in a copy of the Deployment `web`.
pub(crate) fn shell(connections: &[&str]) -> Value {
    json!({"workload": {"kind": "Deployment", "name": "web"}, "connections": connections})
}

/// A debugging container, of the first of two images, in the pods `app=web`.
pub(crate) fn debug() -> Value {
    json!({"pods": {"selector": {"matchLabels": {"app": "web"}}}, "images": ["busybox:1", "reg.io/net/shoot:v2"]})
}

/// A request for half an hour of `web`.
pub(crate) fn request(user: &User, name: &str, spec: Value) -> Value {
    let whole = json!({
        "template": "web", "reason": "INC-1", "duration": "30m",
        "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
    });
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": name},
        "spec": with(whole, &spec),
    })
}

/// A class of namespaces that `admin` owns, to be asked for anywhere; `spec` says what else.
pub(crate) fn class(name: &str, spec: Value) -> Value {
    let whole = json!({"from": ["*"], "names": {"pattern": ".*"}, "role": "admin", "ttl": {"default": "30m", "max": "1h"}});
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass",
        "metadata": {"name": name, "labels": {support::RUN_LABEL: support::run()}},
        "spec": with(whole, &spec),
    })
}

/// A request for namespaces; `spec` says of which class, and how they are called.
pub(crate) fn namespace_request(user: &User, name: &str, spec: Value) -> Value {
    let whole = json!({"requester": {"username": user.username, "uid": user.uid, "groups": user.groups}});
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": name},
        "spec": with(whole, &spec),
    })
}

/// Someone's yes to this request, for the template in this state.
pub(crate) fn approval(by: &User, request: &Value, pin: &Value) -> Value {
    json!({"by": by.username, "decision": "Approve", "request": request["metadata"]["uid"], "template": pin})
}

/// The JSON patch that adds a decision, pinned to the request's uid.
pub(crate) fn adding(request: &Value, decision: Value) -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": request["metadata"]["uid"]},
        {"op": "add", "path": "/spec/decisions/-", "value": decision},
    ])
}

/// An owner that does not exist: the garbage collector deletes what has only such.
pub(crate) fn dangling_owner() -> Value {
    json!([{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}])
}

/// A pod of this owner that ends by itself, as the controller's must.
pub(crate) fn copy(name: &str, labels: &Value, owner: &Value) -> Value {
    with(pod(name, labels), &json!({"metadata": {"ownerReferences": [owner]}}))
}

/// A pod that ends by itself.
pub(crate) fn pod(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels}, "spec": {
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": 600,
        "containers": [{"name": "main", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
            "command": ["sleep", "3600"], "resources": {"requests": {"cpu": "2m"}}}],
    }})
}

/// A rule of a Role, for named things.
pub(crate) fn rule(groups: &[&str], resources: &[&str], names: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "resourceNames": names, "verbs": verbs})
}

/// A Role.
pub(crate) fn role(name: &str, labels: &Value, rules: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": name, "labels": labels}, "rules": rules,
    })
}

/// A RoleBinding to a role of this kind and name.
pub(crate) fn binding(name: &str, labels: &Value, role: (&str, &str), subjects: &[Value]) -> Value {
    let (kind, role) = role;
    json!({
        "metadata": {"name": name, "labels": labels}, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
    })
}
