//! Who may do what: giving rights, and waiting until the API server acts on them, since it learns of bindings by watch.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Call, Identity, User, eventually};

/// A busy API server takes a second; this is for a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(20);

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A person as a binding's subject.
#[must_use]
pub fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

/// A group as a binding's subject.
#[must_use]
pub fn group(name: &str) -> Value {
    json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

/// A ServiceAccount as a binding's subject.
#[must_use]
pub fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

/// Makes a ClusterRole that carries the run's label.
///
/// # Errors
/// When it was refused.
pub async fn cluster_role(admin: &Identity, name: &str, rules: Value) -> Result<()> {
    let role =
        json!({"metadata": {"name": name, "labels": {crate::RUN_LABEL: crate::run()}}, "rules": rules});
    admin.call(Call::post(format!("{RBAC}/clusterroles"), role)).await?.object()?;
    Ok(())
}

/// Binds a ClusterRole everywhere; the binding carries the run's label.
///
/// # Errors
/// When it was refused.
pub async fn bind_everywhere(admin: &Identity, name: &str, role: &str, subjects: &[Value]) -> Result<()> {
    let binding = json!({
        "metadata": {"name": name, "labels": {crate::RUN_LABEL: crate::run()}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    });
    admin.call(Call::post(format!("{RBAC}/clusterrolebindings"), binding)).await?.object()?;
    Ok(())
}

/// Waits until the authorizer says that this user may, or may not, do this: `attributes` as in a SubjectAccessReview's
/// `resourceAttributes`.
///
/// # Errors
/// When it does not in time.
pub async fn until(admin: &Identity, user: &User, attributes: Value, allowed: bool) -> Result<()> {
    let review = json!({"spec": {
        "user": user.username, "uid": user.uid, "groups": user.groups, "resourceAttributes": attributes,
    }});
    let word = if allowed { "may" } else { "may no longer" };
    eventually(&format!("{} {word} {attributes}", user.username), LIMIT, || async {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        match admin.call(Call::post(path, review.clone())).await {
            Ok(answer) if answer.body["status"]["allowed"] == json!(allowed) => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.code, answer.body["status"])),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await
}
