//! Templates of each kind, and what has to be there before one can be written.

use oz_shared::names::SYSTEM_NAMESPACE;
use serde_json::{Value, json};
use support::rights::{account, cluster_role, user};
use support::{Call, eventually, with};

use crate::bodies;
use crate::world::{LIMIT, World};

/// The image that is offered for debugging.
pub(crate) const IMAGE: &str = "localhost/busybox:1";

/// A template that lends a shell in a copy of a pod of this workload; `shell` goes over that.
pub(crate) fn shell_of(kind: &str, name: &str, shell: &Value) -> Value {
    let whole = json!({"workload": {"kind": kind, "name": name}});
    json!({"exec": null, "shell": with(whole, shell)})
}

/// Makes a Deployment `api` whose pods run, and the template `web` that lends copies of them.
pub(crate) async fn deployed(world: &World, shell: &Value) -> Value {
    let pod = make(world, "apps/v1", bodies::workload("Deployment", "api")).await;
    world.template("web", shell_of("Deployment", "api", shell)).await;
    pod
}

/// Makes a workload and waits for a pod of it.
pub(crate) async fn make(world: &World, group: &str, body: Value) -> Value {
    let kind = body["kind"].as_str().unwrap_or("Deployment").to_lowercase();
    world.must(&world.dave, Call::post(world.ns.path(group, &format!("{kind}s")), body)).await;
    let pod = eventually("the workload has a pod", LIMIT, || async {
        let list = world.look(&world.ns.core("pods")).await?;
        let owned = |p: &&Value| p["metadata"]["ownerReferences"].is_array();
        list["items"].as_array().into_iter().flatten().find(owned).cloned().ok_or("none yet".to_owned())
    })
    .await
    .unwrap();
    world.until_ready(pod["metadata"]["name"].as_str().unwrap()).await
}

/// A template that lends a debugging container in the pods `app=web`; `debug` goes over that.
pub(crate) fn debug(debug: &Value) -> Value {
    let whole =
        json!({"pods": {"selector": {"matchLabels": {"app": "web"}}}, "images": [IMAGE], "command": ["sh"]});
    json!({"exec": null, "debug": with(whole, debug)})
}

/// dave may add ephemeral containers, which no role of Kubernetes' own lets him.
pub(crate) async fn may_debug(world: &World) {
    let rules = json!([{"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]}]);
    let role = json!({"metadata": {"name": "debugging"}, "rules": rules});
    world.must(&world.admin, Call::post(world.ns.rbac("roles"), role)).await;
    let binding = json!({"metadata": {"name": "debugging"}, "subjects": [user("dave")],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "debugging"}});
    world.must(&world.admin, Call::post(world.ns.rbac("rolebindings"), binding)).await;
    world.until_may(&world.dave, "patch", "", "pods/ephemeralcontainers", true).await.unwrap();
}

/// A template that lends this role; `role` goes over that.
pub(crate) fn lends(kind: &str, name: &str, role: &Value) -> Value {
    json!({"exec": null, "role": with(json!({"kind": kind, "name": name}), role)})
}

/// A Role of the namespace with one rule.
pub(crate) async fn role(world: &World, name: &str, rule: Value) {
    let role = json!({"metadata": {"name": name}, "rules": [rule]});
    world.must(&world.admin, Call::post(world.ns.rbac("roles"), role)).await;
}

/// dave may hand on every Role of the namespace, and the ClusterRole `view`.
pub(crate) async fn may_bind(world: &World) {
    let rule = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "clusterroles"], "verbs": ["bind"]});
    let name = format!("{}-binds", world.ns.name);
    cluster_role(&world.admin, &name, json!([rule])).await.unwrap();
    world.ns.bind("binds", &name, &[user("dave")]).await.unwrap();
    world.until_may(&world.dave, "bind", "rbac.authorization.k8s.io", "roles", true).await.unwrap();
}

/// The namespace lets Oz bind roles to people by name.
pub(crate) async fn opted_in(world: &World) {
    let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
    world.ns.bind("bind-requester", "oz-controller-bind-requester", &controller).await.unwrap();
    let token = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
    let as_controller = world.admin.with_token(&token).await.unwrap();
    let (group, what) = ("ozaccess.io", "accesstemplates");
    world.until_may(&as_controller, "bind-requester", group, what, true).await.unwrap();
}
