//! Asking for namespaces, as a pipeline does it, and waiting for what the controller makes of it.

use oz_shared::conditions::{self, READY};
use oz_shared::names::{GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use oz_shared::request::NamespaceRef;
use oz_shared::{NamespaceRequest, Request as _};
use serde_json::{Value, json};
use support::rights::{self, account};
use support::{Call, Identity, RUN_LABEL, eventually, run};

use crate::bodies::with;
use crate::world::{LIMIT, World};

/// The shortest life that the API server gives a token, in seconds.
const TOKEN_LIFE: i64 = 600;
/// A class of namespaces, and a pipeline that may ask for them.
pub(crate) struct Spaces<'a> {
    pub(crate) world: &'a World,
    pub(crate) class: String,
    pub(crate) pipeline: Identity,
}

impl<'a> Spaces<'a> {
    /// `spec` goes over a class that gives anyone who may ask `edit` in up to a hundred namespaces.
    pub(crate) async fn new(world: &'a World, spec: Value) -> Spaces<'a> {
        opt_in(world).await;
        let class = world.ns.name.clone();
        make_class(world, &class, spec).await;
        let spaces = Spaces { world, pipeline: pipeline(world, "pipeline").await, class };
        spaces.until_held().await;
        spaces
    }

    /// The same once more, with a new token.
    pub(crate) async fn again(world: &'a World) -> Spaces<'a> {
        let token = world.admin.mint(&world.ns.name, "pipeline", 3600).await.unwrap();
        let pipeline = world.admin.with_token(&token).await.unwrap();
        Spaces { world, pipeline, class: world.ns.name.clone() }
    }

    /// Another class, for the same pipeline.
    pub(crate) async fn class(&self, stem: &str, spec: Value) -> Spaces<'a> {
        let class = format!("{}-{stem}", self.class);
        make_class(self.world, &class, spec).await;
        let spaces = Spaces { world: self.world, pipeline: self.pipeline.clone(), class };
        spaces.until_held().await;
        spaces
    }

    /// Waits until requests are held to the class.
    async fn until_held(&self) {
        let body = self.body(&self.pipeline, "probe", &["probe"], &json!({"duration": "87599h"}));
        let call = Call::post(self.world.ns.oz("namespacerequests"), body).dry();
        eventually("requests are held to the class", LIMIT, || async {
            let answer = self.pipeline.call(call.clone()).await.map_err(|error| format!("{error:#}"))?;
            if answer.message().contains("lends for at most") { Ok(()) } else { Err(answer.to_string()) }
        })
        .await
        .unwrap();
    }

    /// The name of a namespace that no other test asks for.
    pub(crate) fn name(&self, stem: &str) -> String {
        format!("{}-{stem}", self.world.ns.name)
    }

    pub(crate) fn path(&self, request: &str) -> String {
        self.world.ns.oz(&format!("namespacerequests/{request}"))
    }

    fn body(&self, who: &Identity, name: &str, namespaces: &[&str], spec: &Value) -> Value {
        let user = who.user();
        let whole = json!({
            "class": self.class, "namespaces": namespaces,
            "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
        });
        json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": name},
            "spec": with(whole, spec),
        })
    }

    pub(crate) async fn ask_as(&self, who: &Identity, name: &str, namespaces: &[&str], spec: Value) {
        let body = self.body(who, name, namespaces, &spec);
        self.world.must(who, Call::post(self.world.ns.oz("namespacerequests"), body)).await;
    }

    /// The pipeline asks.
    pub(crate) async fn ask(&self, name: &str, namespaces: &[&str], spec: Value) {
        self.ask_as(&self.pipeline, name, namespaces, spec).await;
    }

    /// The pipeline asks, and gets it.
    pub(crate) async fn lent(&self, name: &str, namespaces: &[&str], spec: Value) -> NamespaceRequest {
        self.ask(name, namespaces, spec).await;
        self.until_phase(name, "Active").await
    }

    pub(crate) async fn request(&self, name: &str) -> Result<NamespaceRequest, String> {
        self.world.asked(name).await
    }

    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&NamespaceRequest) -> bool,
    ) -> NamespaceRequest {
        eventually(&format!("request {name} {what}"), LIMIT, || async {
            let request = self.request(name).await?;
            if is(&request) { Ok(request) } else { Err(format!("{:?}", request.status)) }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn until_phase(&self, name: &str, phase: &str) -> NamespaceRequest {
        let is = |r: &NamespaceRequest| r.status.is_some() && r.phase().as_str() == phase;
        self.until(name, &format!("is {phase}"), is).await
    }

    /// Waits until a request has ended in this phase, its condition Ready giving this reason.
    pub(crate) async fn until_ended(&self, name: &str, phase: &str, reason: &str) -> NamespaceRequest {
        let request = self.until_phase(name, phase).await;
        assert_eq!(told(&request).0, reason, "{:?}", request.status);
        request
    }

    pub(crate) async fn release_as(&self, who: &Identity, name: &str) {
        let spec = json!({"released": true, "releasedBy": who.user().username, "releaseReason": "done"});
        self.world.must(who, Call::merge(self.path(name), json!({"spec": spec}))).await;
    }

    pub(crate) async fn release(&self, name: &str) {
        self.release_as(&self.pipeline, name).await;
    }

    /// The pipeline mints a token for what it was lent.
    pub(crate) async fn enter(&self, request: &NamespaceRequest) -> Identity {
        let account = &request.status.as_ref().unwrap().account;
        eventually(&format!("the pipeline mints for {account}"), LIMIT, || async {
            let token = self.pipeline.mint(SESSIONS_NAMESPACE, account, TOKEN_LIFE).await;
            let token = token.map_err(|e| format!("{e:#}"))?;
            self.pipeline.with_token(&token).await.map_err(|e| format!("{e:#}"))
        })
        .await
        .unwrap()
    }

    /// A namespace as the administrator sees it.
    pub(crate) async fn namespace(&self, name: &str) -> Result<Value, String> {
        self.world.look(&format!("/api/v1/namespaces/{name}")).await
    }

    /// Waits until nothing is left of what was lent: no namespace, no Grant, nothing that carries its label.
    pub(crate) async fn until_nothing_left(&self, request: &NamespaceRequest) {
        let status = request.status.as_ref().unwrap();
        for NamespaceRef { name, uid } in &status.namespaces {
            eventually(&format!("namespace {name} is gone"), LIMIT, || async {
                match self.namespace(name).await {
                    Ok(there) if there["metadata"]["uid"] == **uid => Err(there["status"].to_string()),
                    _ => Ok(()),
                }
            })
            .await
            .unwrap();
        }
        let grant = &status.grant;
        self.world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        eventually(&format!("nothing carries the label of {grant}"), LIMIT, || async {
            let left = self.world.labelled(&format!("{GRANT_LABEL}={grant}")).await?;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await
        .unwrap();
    }
}

/// The names of the namespaces that a request has got.
pub(crate) fn names(request: &NamespaceRequest) -> Vec<String> {
    request.status.iter().flat_map(|s| &s.namespaces).map(|n| n.name.clone()).collect()
}

/// Reason and message of the condition Ready.
pub(crate) fn told(request: &NamespaceRequest) -> (String, String) {
    let conditions = request.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions::get(conditions, READY).map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default()
}

/// Waits until somebody is answered so on reading these objects of a namespace.
pub(crate) async fn until_reads(who: &Identity, namespace: &str, what: &str, codes: &[u16]) {
    let path = format!("/api/v1/namespaces/{namespace}/{what}");
    eventually(&format!("{} reads {path}: {codes:?}", who.user().username), LIMIT, || async {
        let code = who.call(Call::get(&path)).await.map_err(|e| format!("{e:#}"))?.code;
        if codes.contains(&code) { Ok(()) } else { Err(code.to_string()) }
    })
    .await
    .unwrap();
}

async fn make_class(world: &World, name: &str, spec: Value) {
    let whole = json!({
        "from": [world.ns.name], "names": {"pattern": ".*"}, "role": "edit", "ttl": {"default": "30m", "max": "2h"},
        "approvals": 0, "reason": "Optional", "maxLive": 100, "labels": {RUN_LABEL: run()},
    });
    let body = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass",
        "metadata": {"name": name, "labels": {RUN_LABEL: run()}}, "spec": with(whole, &spec),
    });
    world.must(&world.admin, Call::post("/apis/ozaccess.io/v1alpha1/namespaceclasses", body)).await;
}

/// A ServiceAccount that may ask for any class in the world's namespace, and no more.
pub(crate) async fn pipeline(world: &World, name: &str) -> Identity {
    world
        .must(&world.admin, Call::post(world.ns.core("serviceaccounts"), json!({"metadata": {"name": name}})))
        .await;
    world
        .ns
        .bind(&format!("{name}-asks"), "oz-namespace-requester", &[account(&world.ns.name, name)])
        .await
        .unwrap();
    let token = world.admin.mint(&world.ns.name, name, 3600).await.unwrap();
    let identity = world.admin.with_token(&token).await.unwrap();
    world.until_may(&identity, "create", "ozaccess.io", "namespacerequests", true).await.unwrap();
    identity
}

/// What `oz enable --namespaces` does. It stays.
async fn opt_in(world: &World) {
    bind_controller(world, &["oz-controller-namespaces", "oz-ceiling-namespaces"]).await;
    let as_controller = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
    let as_controller = world.admin.with_token(&as_controller).await.unwrap();
    for (verb, group, resource, name) in
        [("create", "", "namespaces", ""), ("bind", "rbac.authorization.k8s.io", "clusterroles", "edit")]
    {
        let attributes = json!({"verb": verb, "group": group, "resource": resource, "name": name});
        rights::until(&world.admin, as_controller.user(), attributes, true).await.unwrap();
    }
}

/// Binds roles to the controller in the whole cluster, each by a binding of its name.
pub(crate) async fn bind_controller(world: &World, roles: &[&str]) {
    for role in roles {
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [account(SYSTEM_NAMESPACE, "oz-controller")],
        });
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        let answer = world.admin.call(Call::post(path, binding)).await.unwrap();
        assert!(answer.is_success() || answer.code == 409, "{answer}");
    }
}
