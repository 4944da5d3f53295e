//! Asking for federations, as who answers for a partner does it, and acting as the partner.

use oz_shared::names::{SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use oz_shared::{Federation, NamespaceRequest, Request as _, conditions};
use serde_json::{Value, json};
use support::rights::{self, account, bind_everywhere, cluster_role, user};
use support::{Call, Identity, RUN_LABEL, eventually, run};
use tokio::sync::OnceCell;

use crate::bodies::with;
use crate::spaces::{Spaces, pipeline};
use crate::world::{LIMIT, World};

/// The shortest life that the API server gives a token, in seconds.
const TOKEN_LIFE: i64 = 600;
/// What `oz enable --federations` gives, given once for all tests.
static OPTED_IN: OnceCell<()> = OnceCell::const_new();

/// Where federations are.
const ALL: &str = "/apis/ozaccess.io/v1alpha1/federations";

/// A class for partners, and somebody who may ask for them.
pub(crate) struct Partners<'a> {
    pub(crate) spaces: Spaces<'a>,
    pub(crate) asker: Identity,
}

impl<'a> Partners<'a> {
    /// `spec` goes over a class by which a partner may have two further namespaces, under its own name, without approval.
    pub(crate) async fn new(world: &'a World, spec: Value) -> Partners<'a> {
        let whole = json!({
            "names": {"prefix": "Partner"},
            "federation": {"further": 2, "clusterRoles": [reader(world), writer(world), "view"]},
        });
        let spaces = Spaces::new(world, with(whole, &spec)).await;
        opt_in(world).await;
        let asker = pipeline(world, "asker").await;
        for (who, role, subject) in [
            ("asker", "oz-federation-requester", account(&world.ns.name, "asker")),
            ("bob", "oz-federation-approver", user("bob")),
        ] {
            bind_everywhere(&world.admin, &format!("{}-{who}", world.ns.name), role, &[subject])
                .await
                .unwrap();
        }
        let partners = Partners { spaces, asker };
        for (who, verb) in [(&world.bob, "patch"), (&partners.asker, "create")] {
            let attributes = json!({"verb": verb, "group": "ozaccess.io", "resource": "federations"});
            rights::until(&world.admin, who.user(), attributes, true).await.unwrap();
        }
        partners
    }

    /// The same once more, with a new token.
    pub(crate) async fn again(world: &'a World) -> Partners<'a> {
        let token = world.admin.mint(&world.ns.name, "asker", 3600).await.unwrap();
        let asker = world.admin.with_token(&token).await.unwrap();
        Partners { spaces: Spaces::again(world).await, asker }
    }

    pub(crate) fn world(&self) -> &'a World {
        self.spaces.world
    }

    /// The name of a federation, and of its first namespace, that no other test asks for.
    pub(crate) fn name(&self, stem: &str) -> String {
        self.spaces.name(stem)
    }

    pub(crate) async fn ask(&self, stem: &str, spec: Value) {
        let (name, who) = (self.name(stem), self.asker.user());
        let whole = json!({
            "organization": "slate", "cluster": stem, "class": self.spaces.class, "namespace": name, "further": 2,
            "requester": {"username": who.username, "uid": who.uid, "groups": who.groups},
        });
        let body = json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "Federation",
            "metadata": {"name": name, "labels": {RUN_LABEL: run()}}, "spec": with(whole, &spec),
        });
        self.world().must(&self.asker, Call::post(ALL, body)).await;
    }

    pub(crate) fn path(&self, stem: &str) -> String {
        format!("{ALL}/{}", self.name(stem))
    }

    pub(crate) async fn federation(&self, stem: &str) -> Result<Federation, String> {
        self.world().asked(stem).await
    }

    pub(crate) async fn until(&self, stem: &str, what: &str, is: impl Fn(&Federation) -> bool) -> Federation {
        eventually(&format!("federation {stem} {what}"), LIMIT, || async {
            let federation = self.federation(stem).await?;
            if is(&federation) { Ok(federation) } else { Err(format!("{:?}", federation.status)) }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn until_phase(&self, stem: &str, phase: &str) -> Federation {
        let is = |f: &Federation| f.status.is_some() && f.phase().as_str() == phase;
        self.until(stem, &format!("is {phase}"), is).await
    }

    /// Waits until it has ended in this phase, its condition Ready giving this reason.
    pub(crate) async fn until_ended(&self, stem: &str, phase: &str, reason: &str) -> Federation {
        let federation = self.until_phase(stem, phase).await;
        assert_eq!(told(&federation).0, reason, "{:?}", federation.status);
        federation
    }

    /// Asked for, and lent.
    pub(crate) async fn lent(&self, stem: &str, spec: Value) -> Federation {
        self.ask(stem, spec).await;
        self.until_phase(stem, "Active").await
    }

    pub(crate) async fn release(&self, stem: &str) {
        let spec =
            json!({"released": true, "releasedBy": self.asker.user().username, "releaseReason": "done"});
        self.world().must(&self.asker, Call::merge(self.path(stem), json!({"spec": spec}))).await;
    }

    /// The first token, which who asked hands over.
    pub(crate) async fn enter(&self, federation: &Federation) -> Identity {
        self.mint(&self.asker, &federation.status.as_ref().unwrap().account).await
    }

    /// A token for this account by this one's right.
    pub(crate) async fn mint(&self, who: &Identity, account: &str) -> Identity {
        eventually(&format!("{} mints for {account}", who.user().username), LIMIT, || async {
            let token =
                who.mint(SESSIONS_NAMESPACE, account, TOKEN_LIFE).await.map_err(|e| format!("{e:#}"))?;
            who.with_token(&token).await.map_err(|e| format!("{e:#}"))
        })
        .await
        .unwrap()
    }

    /// The partner asks for a further namespace, in its first one.
    pub(crate) async fn ask_further(&self, partner: &Identity, stem: &str, name: &str, spec: Value) {
        let who = partner.user();
        let whole = json!({
            "class": self.spaces.class, "namespaces": [format!("{}-{name}", self.name(stem))],
            "requester": {"username": who.username, "uid": who.uid, "groups": who.groups},
        });
        let body = json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": name},
            "spec": with(whole, &spec),
        });
        self.world().must(partner, Call::post(self.in_first(stem, ""), body)).await;
    }

    /// Where the partner's requests are.
    pub(crate) fn in_first(&self, stem: &str, request: &str) -> String {
        let path =
            format!("/apis/ozaccess.io/v1alpha1/namespaces/{}/namespacerequests/{request}", self.name(stem));
        path.trim_end_matches('/').to_owned()
    }

    pub(crate) async fn until_further(&self, stem: &str, name: &str, phase: &str) -> NamespaceRequest {
        let path = self.in_first(stem, name);
        eventually(&format!("{path} is {phase}"), LIMIT, || async {
            let request: NamespaceRequest =
                serde_json::from_value(self.world().look(&path).await?).map_err(|e| e.to_string())?;
            let is = request.status.is_some() && request.phase().as_str() == phase;
            if is { Ok(request) } else { Err(format!("{:?}", request.status)) }
        })
        .await
        .unwrap()
    }

    /// Waits until nothing is left of what was lent: no namespace, no Grant, nothing that carries its label.
    pub(crate) async fn until_nothing_left(&self, federation: &Federation) {
        let request: NamespaceRequest = serde_json::from_value(json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": "same"},
            "spec": {"class": "same", "namespaces": ["same"], "requester": {"username": "same"}},
            "status": federation.status,
        }))
        .unwrap();
        self.spaces.until_nothing_left(&request).await;
    }
}

/// Reason and message of the condition Ready.
pub(crate) fn told(federation: &Federation) -> (String, String) {
    let conditions = federation.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let ready = conditions::get(conditions, conditions::READY);
    ready.map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default()
}

/// A ClusterRole of this world by which nodes are read; a partner may have it.
pub(crate) fn reader(world: &World) -> String {
    format!("{}-reader", world.ns.name)
}

/// One that does more.
pub(crate) fn writer(world: &World) -> String {
    format!("{}-writer", world.ns.name)
}

/// What `oz enable --federations` does, which stays; and the roles of this world, and that they may be lent everywhere.
async fn opt_in(world: &World) {
    for (name, verbs) in
        [(reader(world), json!(["get", "list", "watch"])), (writer(world), json!(["get", "patch"]))]
    {
        let rules = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": verbs}]);
        cluster_role(&world.admin, &name, rules).await.unwrap();
    }
    let ceiling = json!({
        "metadata": {"name": format!("{}-ceiling", world.ns.name),
            "labels": {RUN_LABEL: run(), "ozaccess.io/ceiling-federations": "true"}},
        "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
            "resourceNames": [reader(world), writer(world)], "verbs": ["bind", "lend-everywhere"]}],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    world.must(&world.admin, Call::post(path, ceiling)).await;
    OPTED_IN
        .get_or_init(|| {
            crate::spaces::bind_controller(world, &["oz-controller-federations", "oz-ceiling-federations"])
        })
        .await;
    let as_controller = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
    let as_controller = world.admin.with_token(&as_controller).await.unwrap();
    for (verb, name) in [("bind", "oz-partner".to_owned()), ("lend-everywhere", writer(world))] {
        let attributes = json!({"verb": verb, "group": "rbac.authorization.k8s.io", "resource": "clusterroles", "name": name});
        rights::until(&world.admin, as_controller.user(), attributes, true).await.unwrap();
    }
}
