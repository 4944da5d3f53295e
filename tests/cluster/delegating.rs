//! Delegations as the tests write and watch them: dave may hand on what he names, and wait for anything.

use oz_shared::Delegation;
use oz_shared::names::{
    DELEGATIONS_CEILING_ROLE, DELEGATIONS_EVERYWHERE_ROLE, DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE,
    GRANT_LABEL, SYSTEM_NAMESPACE, grant_name,
};
use serde_json::{Value, json};
use support::rights::{account, bind_everywhere, cluster_role, user};
use support::{Call, Identity, RUN_LABEL, eventually, run, with};

use crate::world::{LIMIT, World};

const RBAC: &str = "rbac.authorization.k8s.io";

/// What delegations need in a world.
pub(crate) struct Delegating<'a> {
    pub(crate) world: &'a World,
}

impl<'a> Delegating<'a> {
    /// With the rights of `oz enable NS --delegations=secrets`, and dave's.
    pub(crate) async fn new(world: &'a World) -> Delegating<'a> {
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        for role in [DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE] {
            world.ns.bind(role, role, &controller).await.unwrap();
        }
        let it = Delegating { world };
        let rules = json!([
            {"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["create"]},
            {"apiGroups": [RBAC], "resources": ["roles", "clusterroles"], "verbs": ["bind"]},
            {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
            {"apiGroups": ["", "apps", "batch", "discovery.k8s.io"], "resources": ["*"], "verbs": ["watch"]},
        ]);
        cluster_role(&world.admin, &it.role("hands-on"), rules).await.unwrap();
        world.ns.bind("delegating", "oz-delegator", &[user("dave"), user("carol")]).await.unwrap();
        world.ns.bind("handing-on", &it.role("hands-on"), &[user("dave")]).await.unwrap();
        world.ns.bind("revoking", "oz-delegation-revoker", &[user("bob")]).await.unwrap();
        world.until_may(&world.bob, "revoke", "ozaccess.io", "delegations", true).await.unwrap();
        it
    }

    /// A ClusterRole of the test's own.
    pub(crate) fn role(&self, name: &str) -> String {
        format!("{}-{name}", self.world.ns.name)
    }

    /// Lets Oz delegate in the whole cluster, this ClusterRole; and dave, too.
    pub(crate) async fn everywhere(&self, role: &str) {
        let admin = &self.world.admin;
        let ceiling = json!([{"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": [role],
            "verbs": ["bind", "delegate-everywhere"]}]);
        let dave = json!([
            {"apiGroups": [RBAC], "resources": ["clusterrolebindings"], "verbs": ["create"]},
            {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": [role], "verbs": ["bind"]},
            {"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["watch"]},
        ]);
        cluster_role(admin, &self.role("ceiling"), ceiling).await.unwrap();
        cluster_role(admin, &self.role("dave"), dave).await.unwrap();
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        for (name, role, who) in [
            ("b-ceiling", self.role("ceiling"), controller.to_vec()),
            ("b-more", DELEGATIONS_EVERYWHERE_ROLE.to_owned(), controller.to_vec()),
            ("b-aggregated", DELEGATIONS_CEILING_ROLE.to_owned(), controller.to_vec()),
            ("b-dave", self.role("dave"), vec![user("dave")]),
        ] {
            bind_everywhere(admin, &self.role(name), &role, &who).await.unwrap();
        }
        let may = json!({"verb": "watch", "resource": "nodes"});
        support::rights::until(admin, self.world.dave.user(), may, true).await.unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.world.ns.oz(&format!("delegations/{name}"))
    }

    /// Writes one in dave's name: from now on, of his Role `reads` to carol.
    pub(crate) async fn write(&self, name: &str, spec: Value) -> Value {
        self.write_as(&self.world.dave, name, spec).await.object().unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub(crate) async fn write_as(&self, who: &Identity, name: &str, spec: Value) -> support::Answer {
        let user = who.user();
        let whole = json!({
            "origin": {"kind": "Role", "name": "reads"}, "destinations": [{"kind": "User", "name": "carol"}],
            "triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}], "reason": "INC-1",
            "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
        });
        let body = json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "Delegation",
            "metadata": {"name": name, "labels": {RUN_LABEL: run()}}, "spec": with(whole, &spec),
        });
        who.call(Call::post(self.world.ns.oz("delegations"), body)).await.unwrap()
    }

    /// A Role that lets read this.
    pub(crate) async fn reads(&self, name: &str, resource: &str) {
        let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": ["get", "list"]}]);
        let role = json!({"metadata": {"name": name}, "rules": rules});
        self.world.must(&self.world.admin, Call::post(self.world.ns.rbac("roles"), role)).await;
    }

    /// Binds it as an administrator.
    pub(crate) async fn bind(&self, name: &str, role: &str, subjects: &[Value]) {
        let binding = json!({"metadata": {"name": name}, "subjects": subjects,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role}});
        self.world.must(&self.world.admin, Call::post(self.world.ns.rbac("rolebindings"), binding)).await;
    }

    pub(crate) async fn unbind(&self, name: &str) {
        let path = self.world.ns.rbac(&format!("rolebindings/{name}"));
        self.world.must(&self.world.admin, Call::delete(path)).await;
    }

    /// An account of the namespace, by its real token.
    pub(crate) async fn account(&self, name: &str) -> Identity {
        let world = self.world;
        world
            .must(
                &world.admin,
                Call::post(world.ns.core("serviceaccounts"), json!({"metadata": {"name": name}})),
            )
            .await;
        let token = world.admin.mint(&world.ns.name, name, 3600).await.unwrap();
        world.admin.with_token(&token).await.unwrap()
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Delegation, String> {
        let body = self.world.look(&self.path(name)).await?;
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    pub(crate) async fn until(&self, name: &str, what: &str, is: impl Fn(&Delegation) -> bool) -> Delegation {
        eventually(&format!("delegation {name} {what}"), LIMIT, || async {
            let delegation = self.get(name).await?;
            if is(&delegation) { Ok(delegation) } else { Err(format!("{:?}", delegation.status)) }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn until_phase(&self, name: &str, phase: &str) -> Delegation {
        self.until(name, &format!("is {phase}"), |d| d.status.is_some() && d.phase().as_str() == phase).await
    }

    /// Active, and all of it bound.
    pub(crate) async fn until_lent(&self, name: &str) -> Delegation {
        self.until(name, "is lent", |d| d.phase().as_str() == "Active" && word(d, "Ready") == "Lent").await
    }

    /// Waits until someone may, or may not, list this in the namespace: as himself.
    pub(crate) async fn until_reads(&self, who: &Identity, resource: &str, may: bool) {
        let path = self.world.ns.core(resource);
        let word = if may { "reads" } else { "no longer reads" };
        eventually(&format!("{} {word} {resource}", who.user().username), LIMIT, || async {
            let code = who.call(Call::get(&path)).await.map_err(|error| format!("{error:#}"))?.code;
            if code == if may { 200 } else { 403 } { Ok(()) } else { Err(code.to_string()) }
        })
        .await
        .unwrap();
    }

    pub(crate) async fn release(&self, who: &Identity, name: &str) {
        let by = &who.user().username;
        let spec = json!({"spec": {"released": true, "releasedBy": by, "releaseReason": "done"}});
        self.world.must(who, Call::merge(self.path(name), spec)).await;
    }

    /// Waits until there is neither its grant nor anything of it.
    pub(crate) async fn until_nothing_left(&self, delegation: &Delegation) {
        let grant = grant_name(delegation.metadata.uid.as_deref().unwrap());
        self.world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        eventually("no binding of it is left", LIMIT, || async {
            let left = self.bound(&grant).await?;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await
        .unwrap();
    }

    /// The bindings of a grant, by name.
    pub(crate) async fn bound(&self, grant: &str) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for kind in ["rolebindings", "clusterrolebindings"] {
            let path = format!("/apis/{RBAC}/v1/{kind}");
            let call = Call::get(path).query("labelSelector", &format!("{GRANT_LABEL}={grant}"));
            let list = self.world.admin.call(call).await.map_err(|error| format!("{error:#}"))?;
            let items = list.body["items"].as_array().cloned().unwrap_or_default();
            names.extend(items.iter().filter_map(|i| i["metadata"]["name"].as_str().map(str::to_owned)));
        }
        names.sort();
        Ok(names)
    }
}

/// The reason of a condition.
pub(crate) fn word(delegation: &Delegation, condition: &str) -> String {
    let conditions = delegation.status.iter().flat_map(|s| &s.conditions);
    conditions.filter(|c| c.type_ == condition).map(|c| c.reason.clone()).next().unwrap_or_default()
}
