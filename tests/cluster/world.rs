//! What each test starts from: a namespace that Oz is enabled in, and the people in it with their rights. The
//! administrator prepares and looks; the acts under test are the people's own.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use oz_shared::names::{CEILING_ROLE, NAMESPACE_ROLE, SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use support::rights::{self, account, user};
use support::{Afterwards, Call, Identity, Lab, Namespace, RUN_LABEL, eventually, run};
use tokio::sync::OnceCell;

use crate::bodies;

/// What should come within a second or two, on a machine that compiles beside it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The controller grants nothing that was asked within two seconds of a change; stored times are whole seconds.
const GATE_SETTLES: jiff::SignedDuration = jiff::SignedDuration::from_secs(4);

/// Removes the run's namespaces when the process ends, however it does.
static CLEANER: OnceCell<Child> = OnceCell::const_new();

/// A namespace, and the people in it: alice asks; bob and dave may approve and revoke; dave writes the templates.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) ns: Namespace,
    pub(crate) admin: Identity,
    pub(crate) alice: Identity,
    pub(crate) bob: Identity,
    pub(crate) carol: Identity,
    pub(crate) dave: Identity,
}

/// Runs a test in a world of its own. Where it fails, tells what there is to see.
pub(crate) async fn scenario(subject: &str, body: impl AsyncFnOnce(&World)) {
    let world = World::new(subject).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    world.enable().await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    tell_failure(&world, body).await;
}

/// The same where nobody has enabled Oz.
pub(crate) async fn not_enabled(subject: &str, body: impl AsyncFnOnce(&World)) {
    let world = World::new(subject).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    tell_failure(&world, body).await;
}

/// Runs the body of a test. Where it fails, tells what there is to see.
pub(crate) async fn tell_failure(world: &World, body: impl AsyncFnOnce(&World)) {
    if let Err(panic) = AssertUnwindSafe(body(world)).catch_unwind().await {
        println!("{}", crate::diagnosis::of(world).await);
        resume_unwind(panic);
    }
    if let Err(error) = world.ns.clone().remove().await {
        println!("failed to remove namespace {}: {error:#}", world.ns.name);
    }
}

impl World {
    async fn new(subject: &str) -> Result<World> {
        let lab = Lab::find()?;
        CLEANER.get_or_try_init(|| async { cleaner(&lab) }).await?;
        World::at(lab, subject).await
    }

    /// In another cluster than the one that the tests are for.
    pub(crate) async fn at(lab: Lab, subject: &str) -> Result<World> {
        let who = async |name: &str| Identity::from_kubeconfig(&lab.kubeconfig(name)).await;
        let admin = who("admin").await?;
        let ns = Namespace::create(&admin, &format!("cluster-{subject}")).await?;
        let (alice, bob, carol, dave) =
            (who("alice").await?, who("bob").await?, who("carol").await?, who("dave").await?);
        ns.bind("asking", "oz-requester", &[user("alice")]).await?;
        ns.bind("deciding", "oz-approver", &[user("bob"), user("dave")]).await?;
        ns.bind("dave", "admin", &[user("dave")]).await?;
        ns.bind("writing", "oz-author", &[user("dave")]).await?;
        let world = World { lab, ns, admin, alice, bob, carol, dave };
        // The API server learns of bindings in order.
        world.until_may(&world.dave, "create", "ozaccess.io", "accesstemplates", true).await?;
        world.until_gate_settled().await?;
        Ok(world)
    }

    /// Waits until the gate's policies and bindings were last written so long ago that the controller grants.
    pub(crate) async fn until_gate_settled(&self) -> Result<()> {
        eventually("the gate's last change has settled", LIMIT, || async {
            let mut last = String::new();
            for kind in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
                let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}");
                let list = self.look(&path).await?;
                let objects = list["items"].as_array().into_iter().flatten();
                let writes =
                    objects.flat_map(|o| o["metadata"]["managedFields"].as_array().into_iter().flatten());
                let times = writes.filter(|w| w["subresource"].is_null()).filter_map(|w| w["time"].as_str());
                last = times.fold(last, |last, time| last.max(time.to_owned()));
            }
            let last: jiff::Timestamp = last.parse().map_err(|e| format!("{last:?}: {e}"))?;
            let age = jiff::Timestamp::now().duration_since(last);
            if age > GATE_SETTLES { Ok(()) } else { Err(format!("it was changed {age:#} ago")) }
        })
        .await
    }

    /// What `oz enable` does.
    pub(crate) async fn enable(&self) -> Result<()> {
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        self.ns.bind("oz-controller", NAMESPACE_ROLE, &controller).await?;
        self.ns.bind("oz-ceiling", CEILING_ROLE, &controller).await?;
        let as_controller = self.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await?;
        let as_controller = self.admin.with_token(&as_controller).await?;
        self.until_may(&as_controller, "create", "", "pods/exec", true).await
    }

    /// Waits until someone may, or may not, do this in the namespace.
    pub(crate) async fn until_may(
        &self,
        who: &Identity,
        verb: &str,
        group: &str,
        what: &str,
        may: bool,
    ) -> Result<()> {
        let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
        let attributes = json!({"namespace": self.ns.name, "verb": verb, "group": group,
            "resource": resource, "subresource": subresource});
        rights::until(&self.admin, who.user(), attributes, may).await
    }

    /// Sends what must succeed.
    pub(crate) async fn must(&self, who: &Identity, call: Call) -> Value {
        let name = &who.user().username;
        who.call(call)
            .await
            .and_then(support::Answer::object)
            .unwrap_or_else(|error| panic!("as {name}: {error:#}"))
    }

    /// Makes a template, as dave, and waits until requests are held to it. `spec` goes over [`bodies::template`].
    pub(crate) async fn template(&self, name: &str, spec: Value) {
        self.must(&self.dave, Call::post(self.ns.oz("accesstemplates"), bodies::template(name, spec))).await;
        let too_long =
            bodies::request(self.alice.user(), "probe", &json!({"template": name, "duration": "87599h"}));
        let call = Call::post(self.ns.oz("accessrequests"), too_long).dry();
        eventually(&format!("requests are held to template {name}"), LIMIT, || async {
            let answer = self.alice.call(call.clone()).await.map_err(|error| format!("{error:#}"))?;
            if answer.message().contains("lends for at most") { Ok(()) } else { Err(answer.to_string()) }
        })
        .await
        .unwrap();
    }

    /// A pod of this name that runs and is ready, with the label `app`.
    pub(crate) async fn pod(&self, name: &str, app: &str) -> Value {
        self.must(&self.admin, Call::post(self.ns.core("pods"), bodies::pod(name, app))).await;
        self.until_ready(name).await
    }

    /// Waits until a pod is ready.
    pub(crate) async fn until_ready(&self, name: &str) -> Value {
        eventually(&format!("pod {name} is ready"), LIMIT, || async {
            let pod = self.look(&self.ns.core(&format!("pods/{name}"))).await?;
            let ready = pod["status"]["conditions"].as_array().into_iter().flatten();
            let ready = ready.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            if ready { Ok(pod) } else { Err(pod["status"].to_string()) }
        })
        .await
        .unwrap()
    }

    /// What the administrator sees there, or how the API server answered.
    pub(crate) async fn look(&self, path: &str) -> Result<Value, String> {
        let answer = self.admin.call(Call::get(path)).await.map_err(|error| format!("{error:#}"))?;
        if answer.is_success() { Ok(answer.body) } else { Err(answer.to_string()) }
    }

    /// Waits until nothing is there.
    pub(crate) async fn until_gone(&self, path: &str) {
        eventually(&format!("{path} is gone"), LIMIT, || async {
            match self.admin.call(Call::get(path)).await {
                Ok(answer) if answer.code == 404 => Ok(()),
                Ok(answer) => Err(format!("{} {}", answer.code, answer.body["metadata"])),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await
        .unwrap();
    }
}

fn cleaner(lab: &Lab) -> Result<Child> {
    let label = format!("{RUN_LABEL}={}", run());
    let delete = |kinds: &'static str| ["delete", kinds, "-l", &label, "--wait=false", "-o", "name"];
    let all = kubectl(
        lab,
        &delete(
            "namespaces,clusterrolebindings,clusterroles,persistentvolumes,namespaceclasses.ozaccess.io,federations.ozaccess.io",
        ),
    );
    // These kinds are not served everywhere.
    also_kubectl(all, lab, &delete(support::filling::KINDS)).arm().context("failed to prepare the cleaning")
}

/// A command of kubectl's as the administrator, for afterwards.
pub(crate) fn kubectl(lab: &Lab, words: &[&str]) -> Afterwards {
    also_kubectl(Afterwards::default(), lab, words)
}

/// One more.
pub(crate) fn also_kubectl(afterwards: Afterwards, lab: &Lab, words: &[&str]) -> Afterwards {
    let mut all = vec![lab.kubectl().display().to_string(), "--kubeconfig".to_owned()];
    all.push(lab.kubeconfig("admin").display().to_string());
    all.extend(words.iter().map(ToString::to_string));
    afterwards.then(all)
}
