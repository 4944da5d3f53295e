//! What all measures share: a namespace with one pod, templates, and people with just the roles that Oz ships. All of it
//! is removed in the end, also when the process is killed.

use std::ffi::OsString;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _};
use kube::Api;
use kube::api::ListParams;
use oz_shared::Request as _;
use oz_shared::names::{CEILING_ROLE, CONTROLLER_USERNAME, NAMESPACE_ROLE, SYSTEM_NAMESPACE};
use oz_shared::{AccessRequest, Grant};
use serde_json::{Value, json};
use support::rights::{self, account, user};
use support::{Afterwards, Call, Identity, Lab, Namespace, RUN_LABEL, User, eventually, run};

use crate::actor::Actor;
use crate::lending::{Asking, release};

/// Nobody needs to agree; the record stays, as records do.
pub(crate) const AUTOMATIC: &str = "automatic";
/// One person must agree.
pub(crate) const APPROVED: &str = "approved";
/// Nobody needs to agree; the record goes with its end, so that lives can be counted to their ends.
pub(crate) const BRIEF: &str = "brief";
/// A shell in a copy of the pod; nobody needs to agree; the record goes with its end.
pub(crate) const COPY: &str = "copy";
/// How long a record of [`BRIEF`] and [`COPY`] stays.
const BRIEF_HISTORY: &str = "1s";

/// A pod on a machine that also compiles.
const POD_LIMIT: Duration = Duration::from_secs(90);
/// For the first grant: its controller may have just started.
const FIRST_LIMIT: Duration = Duration::from_secs(60);
/// For a thousand grants to end, and for a namespace with their records.
const END_LIMIT: Duration = Duration::from_secs(900);
/// Between two looks at whether they have.
const END_PAUSE: Duration = Duration::from_millis(500);
/// What follows the end of a grant takes less.
const QUIET: Duration = Duration::from_millis(50);
/// How many releases are sent at once.
const AT_ONCE: usize = 16;

/// Namespaces, people, a pod.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) admin: Identity,
    /// The administrator as a command line.
    pub(crate) bare: Actor,
    /// Asks.
    pub(crate) alice: Actor,
    /// Agrees.
    pub(crate) bob: Actor,
    /// Where there is something to borrow.
    pub(crate) ns: Namespace,
    /// Two that Oz has no part in, for what a bare client does.
    pub(crate) scratch: [Namespace; 2],
    /// The one pod.
    pub(crate) pod: String,
    guard: Child,
}

impl World {
    /// The namespaces, empty. Nothing is made before the removal of all is assured.
    pub(crate) async fn begin() -> Result<World> {
        let lab = Lab::find()?;
        let admin = Identity::from_kubeconfig(&lab.kubeconfig("admin")).await?;
        let bare = Actor::from_kubeconfig(&lab.kubeconfig("admin")).await?;
        let alice = Actor::from_kubeconfig(&lab.kubeconfig("alice")).await?;
        let bob = Actor::from_kubeconfig(&lab.kubeconfig("bob")).await?;
        let mine = format!("{RUN_LABEL}={}", run());
        let mut delete: Vec<OsString> =
            vec![lab.kubectl().into(), "--kubeconfig".into(), lab.kubeconfig("admin").into()];
        delete.extend(
            [
                "delete",
                "namespaces,clusterrolebindings,namespaceclasses.ozaccess.io,federations.ozaccess.io",
                "--wait=false",
                "--ignore-not-found",
                "-l",
                &mine,
            ]
            .map(OsString::from),
        );
        let guard = Afterwards::default().then(delete).arm()?;
        let (ns, target, sessions) = tokio::try_join!(
            Namespace::create(&admin, "oz-bench"),
            Namespace::create(&admin, "oz-bench-bare"),
            Namespace::create(&admin, "oz-bench-bare"),
        )?;
        let scratch = [target, sessions];
        Ok(World { lab, admin, bare, alice, bob, ns, scratch, pod: String::new(), guard })
    }

    /// Everything that is borrowed and everybody's roles; ends with the first grant made.
    pub(crate) async fn furnish(&mut self) -> Result<()> {
        let deployment = json!({"metadata": {"name": "api"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "api"}},
            "template": {"metadata": {"labels": {"app": "api"}}, "spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "api", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
                    "command": ["sleep", "86400"]}],
            }},
        }});
        self.make(self.ns.path("apps/v1", "deployments"), deployment).await?;
        self.give_roles().await?;
        self.offer().await?;
        self.pod = self.ready_pod().await?;
        let mut tries = 0;
        // Rights and templates reach the API server's caches by watch.
        eventually("a first request is granted", FIRST_LIMIT, || {
            tries += 1;
            self.first(format!("first-{tries}"))
        })
        .await
        .context("does oz-controller run? (cargo lab status)")
    }

    async fn first(&self, name: String) -> Result<(), String> {
        let grant = async {
            let mut asking = Asking::prepare(self, &name).await?;
            asking.send(AUTOMATIC).await?;
            let active = asking.until_active().await?;
            asking.end(self, &active).await
        };
        let granted = tokio::time::timeout(FIRST_LIMIT / 3, grant).await;
        granted.map_err(|_| "a request that stays Pending".to_owned())?.map_err(|error| format!("{error:#}"))
    }

    async fn make(&self, path: String, body: Value) -> Result<Value> {
        self.admin.call(Call::post(path, body)).await?.object()
    }

    async fn give_roles(&self) -> Result<()> {
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        self.ns.bind("oz-controller", NAMESPACE_ROLE, &controller).await?;
        self.ns.bind("oz-ceiling", CEILING_ROLE, &controller).await?;
        self.ns.bind("author-rights", "admin", &[user("dave")]).await?;
        self.ns.bind("author", "oz-author", &[user("dave")]).await?;
        self.ns.bind("approver", "oz-approver", &[user(&self.bob.user.username)]).await?;
        self.ns.bind("asks", "oz-namespace-requester", &[user(&self.alice.user.username)]).await?;
        self.ns.bind("requester", "oz-requester", &[user(&self.alice.user.username)]).await?;
        // The API server learns of bindings in order; the last one tells of all.
        let asks = json!({"namespace": self.ns.name, "verb": "create", "group": oz_shared::GROUP,
            "resource": "accessrequests"});
        rights::until(&self.admin, &self.alice.user, asks, true).await?;
        let controller = User {
            username: CONTROLLER_USERNAME.to_owned(),
            uid: String::new(),
            groups: vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()],
        };
        let lends =
            json!({"namespace": self.ns.name, "verb": "create", "resource": "pods", "subresource": "exec"});
        rights::until(&self.admin, &controller, lends, true).await
    }

    /// Templates are dave's to write, as an author's.
    async fn offer(&self) -> Result<()> {
        let dave = Identity::from_kubeconfig(&self.lab.kubeconfig("dave")).await?;
        let workload = json!({"kind": "Deployment", "name": "api"});
        let exec = json!({"exec": {"pods": {"workload": workload}, "connections": ["exec"]}});
        let copy = json!({"shell": {"workload": workload}});
        for (name, lends, approvals, history) in [
            (AUTOMATIC, &exec, 0, "168h"),
            (APPROVED, &exec, 1, "168h"),
            (BRIEF, &exec, 0, BRIEF_HISTORY),
            (COPY, &copy, 0, BRIEF_HISTORY),
        ] {
            let terms = json!({"approvals": approvals, "reason": "Optional", "historyTtl": history,
                "duration": {"default": "30m", "max": "1h"}});
            let body = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate",
                "metadata": {"name": name}, "spec": support::with(lends.clone(), &terms)});
            dave.call(Call::post(self.ns.oz("accesstemplates"), body)).await?.object()?;
        }
        Ok(())
    }

    async fn ready_pod(&self) -> Result<String> {
        let pods = self.ns.core("pods");
        eventually("the pod is ready", POD_LIMIT, || async {
            let found = self.admin.call(Call::get(&pods)).await.map_err(|error| format!("{error:#}"))?;
            let pod = &found.body["items"][0];
            let conditions = pod["status"]["conditions"].as_array();
            let ready =
                conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True");
            match pod["metadata"]["name"].as_str() {
                Some(name) if ready => Ok(name.to_owned()),
                _ => Err(pod["status"].to_string()),
            }
        })
        .await
    }

    /// Releases everything that is lent, as alice, and waits until it is taken back.
    pub(crate) async fn release_all(&self) -> Result<()> {
        let client = self.alice.client()?;
        let api: Api<AccessRequest> = Api::namespaced(client.clone(), &self.ns.name);
        let requests = api.list(&ListParams::default()).await?.items;
        let open = requests.iter().filter(|request| !request.phase().is_final() && !request.spec.released);
        let releases: Vec<Result<()>> = stream::iter(open)
            .map(|request| release(&client, &self.alice.user, request))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        releases.into_iter().collect::<Result<()>>()?;
        let left = eventually("all grants have ended", END_LIMIT, || async {
            let grants = self.grants().await.map_err(|error| format!("{error:#}"))?;
            if grants.0 == 0 {
                return Ok(());
            }
            // To list them is work for the API server, which has enough of it.
            tokio::time::sleep(END_PAUSE).await;
            Err(format!("{} grants", grants.0))
        });
        left.await
    }

    /// Waits until the grant of an ended request is gone, and a little longer: Events are written last.
    pub(crate) async fn until_quiet(&self, request: &AccessRequest) -> Result<()> {
        let grant = request.status.as_ref().map(|s| s.grant.as_str()).unwrap_or_default();
        let path = format!("/apis/{}/{}/grants/{grant}", oz_shared::GROUP, oz_shared::VERSION);
        while self.admin.call(Call::get(&path)).await?.code != 404 {
            tokio::time::sleep(QUIET / 5).await;
        }
        tokio::time::sleep(QUIET).await;
        Ok(())
    }

    /// How many grants there are: of this run, and of others.
    pub(crate) async fn grants(&self) -> Result<(usize, usize)> {
        let api: Api<Grant> = Api::all(self.admin.client());
        let grants = api.list(&ListParams::default()).await?.items;
        let own = grants.iter().filter(|grant| grant.spec.request.namespace == self.ns.name).count();
        Ok((own, grants.len() - own))
    }

    /// Takes everything back, then removes it.
    pub(crate) async fn end(mut self) -> Result<()> {
        let released = self.release_all().await;
        let names = [&self.ns, &self.scratch[0], &self.scratch[1]].map(|namespace| namespace.name.clone());
        for namespace in [&self.ns, &self.scratch[0], &self.scratch[1]] {
            namespace.clone().remove().await?;
        }
        for name in names {
            let path = format!("/api/v1/namespaces/{name}");
            eventually(&format!("namespace {name} is gone"), END_LIMIT, || async {
                match self.admin.call(Call::get(&path)).await {
                    Ok(answer) if answer.code == 404 => Ok(()),
                    Ok(answer) => Err(answer.body["status"].to_string()),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await?;
        }
        drop(self.guard.stdin.take());
        self.guard.wait()?;
        released
    }

    /// Adds bob's yes to a request, pinned to what is asked and offered.
    pub(crate) async fn approve(
        &self,
        client: &kube::Client,
        request: &AccessRequest,
        pin: &Value,
    ) -> Result<()> {
        let (Some(name), Some(uid)) = (&request.metadata.name, &request.metadata.uid) else {
            bail!("no request")
        };
        let decision =
            json!({"by": self.bob.user.username, "decision": "Approve", "request": uid, "template": pin});
        let patch = serde_json::to_vec(&json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/spec/decisions/-", "value": decision},
        ]))?;
        let request = http::Request::patch(self.ns.oz(&format!("accessrequests/{name}")))
            .header(http::header::CONTENT_TYPE, "application/json-patch+json")
            .body(patch)?;
        client.request_text(request).await?;
        Ok(())
    }
}
