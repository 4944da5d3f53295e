//! The objects that the tests send.

use serde_json::{Value, json};
use support::User;
pub(crate) use support::with;

/// A template that lends exec into the pods `app=web` for half an hour to whoever may ask; `spec` goes over that.
pub(crate) fn template(name: &str, spec: Value) -> Value {
    let whole = json!({
        "exec": {"pods": {"selector": {"matchLabels": {"app": "web"}}}, "connections": ["exec"]},
        "duration": {"default": "30m", "max": "1h"}, "approvals": 0,
    });
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate", "metadata": {"name": name},
        "spec": with(whole, &spec),
    })
}

/// Pods by the workload that owns them.
pub(crate) fn of_workload(kind: &str, name: &str) -> Value {
    json!({"exec": {"pods": {"selector": null, "workload": {"kind": kind, "name": name}}}})
}

/// A request in this person's name for the template `web`; `spec` goes over that.
pub(crate) fn request(user: &User, name: &str, spec: &Value) -> Value {
    let whole = json!({
        "template": "web", "reason": "INC-1",
        "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
    });
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": name},
        "spec": with(whole, spec),
    })
}

/// What a pod of the tests is made of: two containers that end at once when told to.
pub(crate) fn pod_spec() -> Value {
    let container = |name: &str| {
        json!({"name": name, "image": "localhost/busybox:1", "imagePullPolicy": "Never",
            "command": ["sh", "-c", "echo started; exec sleep 3600"]})
    };
    json!({
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
        "containers": [container("main"), container("side")],
    })
}

/// A pod that is nobody's.
pub(crate) fn pod(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": app}}, "spec": pod_spec()})
}

/// A workload of this kind and name, with the label `app` of the same name on its pods.
pub(crate) fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    let mut spec = json!({"template": {"metadata": {"labels": labels}, "spec": pod_spec()}});
    if kind == "Job" {
        spec["template"]["spec"]["restartPolicy"] = json!("Never");
    } else {
        spec["selector"] = json!({"matchLabels": labels});
    }
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
    }
    json!({"metadata": {"name": name}, "spec": spec})
}
