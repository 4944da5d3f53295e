//! What most tests start from: a pod, a template that lends it at once and one that wants a yes, and people at their
//! machines.

use std::time::Duration;

use anyhow::Result;
use oz_shared::AccessRequest;
use serde_json::{Value, json};
use support::rights::user;
use support::{Call, Identity, Lab, eventually};
use tokio::sync::OnceCell;

use crate::home::Home;
use crate::spaces::Spaces;
use crate::world::{LIMIT, World, scenario};

/// Lends at once.
pub(crate) const FREE: &str = "web";
/// Lends when one other agrees, and asks for a reason.
pub(crate) const ASKED: &str = "web-asked";
/// The pod.
pub(crate) const POD: &str = "web-0";

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/oz-system/deployments/oz-controller";
/// Another suite may own the controller for as long as it runs.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(1800);

static CONTROLLER: OnceCell<()> = OnceCell::const_new();

/// Runs a test on the stage.
pub(crate) async fn staged(subject: &str, body: impl AsyncFnOnce(&World)) {
    CONTROLLER.get_or_try_init(controller).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    scenario(&format!("cli-{subject}"), async |world| {
        world.template(FREE, json!({"description": "a shell in web", "reason": "Optional"})).await;
        let asked = json!({"description": "the same, with a yes", "approvals": 1, "reason": "Required"});
        world.template(ASKED, asked).await;
        world.pod(POD, "web").await;
        body(world).await;
    })
    .await;
}

/// Runs a test that makes its own classes.
pub(crate) async fn spaced_by(subject: &str, body: impl AsyncFnOnce(&World)) {
    CONTROLLER.get_or_try_init(controller).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    scenario(&format!("cli-{subject}"), body).await;
}

/// Runs a test with a class of namespaces, for which a pipeline and alice may ask. `spec` goes over it.
pub(crate) async fn spaced(subject: &str, spec: Value, body: impl AsyncFnOnce(&World, &Spaces<'_>)) {
    CONTROLLER.get_or_try_init(controller).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    scenario(&format!("cli-{subject}"), async |world| {
        world.ns.bind("alice-spaces", "oz-namespace-requester", &[user("alice")]).await.unwrap();
        world.ns.bind("bob-spaces", "oz-namespace-approver", &[user("bob")]).await.unwrap();
        let spaces = Spaces::new(world, spec).await;
        for (who, verb) in [(&world.alice, "create"), (&world.bob, "patch")] {
            world.until_may(who, verb, "ozaccess.io", "namespacerequests", true).await.unwrap();
        }
        body(world, &spaces).await;
    })
    .await;
}

async fn controller() -> Result<()> {
    let admin = Identity::from_kubeconfig(&Lab::find()?.kubeconfig("admin")).await?;
    eventually("the controller is available", CONTROLLER_LIMIT, || async {
        let answer = admin.call(Call::get(DEPLOYMENT)).await.map_err(|error| format!("{error:#}"))?;
        let status = &answer.body["status"];
        if status["availableReplicas"].as_i64() > Some(0) { Ok(()) } else { Err(status.to_string()) }
    })
    .await
}

impl World {
    /// Alice is lent the pod. Gives the request's name.
    pub(crate) fn borrowed(&self, home: &Home) -> String {
        home.must(&["access-request", FREE, "--wait", "ready"])
    }

    /// Alice waits for a yes, with more on her command line. Gives what waits, and the request's name.
    pub(crate) async fn waiting(&self, home: &Home, args: &[&str]) -> (crate::running::Running, String) {
        let mut words = vec!["access-request", ASKED, "--reason", "INC-1"];
        words.extend(args);
        let mut running = home.start(&words);
        running.until_says("oz approve");
        (running, self.only_request().await.metadata.name.unwrap())
    }

    /// A Role of the namespace with these rules, bound to this person.
    pub(crate) async fn role(&self, name: &str, rules: Value, who: &str) {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        let binding = json!({
            "metadata": {"name": name}, "subjects": [user(who)],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        });
        self.must(&self.admin, Call::post(self.ns.rbac("roles"), role)).await;
        self.must(&self.admin, Call::post(self.ns.rbac("rolebindings"), binding)).await;
    }

    /// The one request that there is, once the controller has looked at it.
    pub(crate) async fn only_request(&self) -> AccessRequest {
        eventually("there is one request, and it was looked at", LIMIT, || async {
            let list = self.requests().await?;
            match list.as_slice() {
                [one] if one.status.is_some() => Ok(one.clone()),
                others => Err(format!("{} requests", others.len())),
            }
        })
        .await
        .unwrap()
    }

    /// Every request in the namespace.
    pub(crate) async fn requests(&self) -> Result<Vec<AccessRequest>, String> {
        let list: Value = self.look(&self.ns.oz("accessrequests")).await?;
        serde_json::from_value(list["items"].clone()).map_err(|error| error.to_string())
    }

    /// Waits until the namespace holds no request.
    pub(crate) async fn until_no_requests(&self) {
        eventually("no request is left", LIMIT, || async {
            match self.requests().await?.len() {
                0 => Ok(()),
                count => Err(format!("{count} requests")),
            }
        })
        .await
        .unwrap();
    }
}
