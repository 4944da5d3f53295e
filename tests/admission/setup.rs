//! Once a run, before the first test: the controller is stopped, the gate is seen to be in force, and the rights that are
//! no namespace's own are given. All of it is taken back when the process ends.

use std::process::Child;
use std::time::Duration;

use anyhow::{Result, bail};
use oz_shared::names::{CONTROLLER_USERNAME, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use serde_json::json;
use support::rights::{bind_everywhere, cluster_role, group, user};
use support::{Afterwards, Call, Identity, Lab, Outcome, RUN_LABEL, eventually, run};
use tokio::sync::OnceCell;

/// A pod of the controller has 30 s to end.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Policies are enforced within a second or so of being made.
const GATE_LIMIT: Duration = Duration::from_secs(30);

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/oz-system/deployments/oz-controller";

/// The group, of the run, by which the controller holds what `oz enable --namespaces` gives it: in a group, so that it is
/// held by those tests alone that ask for it.
pub(crate) const LENDER: &str = "lender";
/// The same with far too much.
pub(crate) const LENDER_WIDE: &str = "lender-wide";

/// Done once, also where it fails: the tests after that fail at once.
static SETUP: OnceCell<Result<Child, String>> = OnceCell::const_new();

/// The lab, with all of this done.
pub(crate) async fn lab() -> Result<Lab> {
    let lab = Lab::find()?;
    let done =
        SETUP.get_or_init(|| async { prepare(&lab).await.map_err(|error| format!("{error:#}")) }).await;
    match done {
        Ok(_) => Ok(lab),
        Err(error) => bail!("the cluster is not fit for these tests: {error}"),
    }
}

/// A name of this run: of a ClusterRole, of a binding, of a person with rights everywhere.
pub(crate) fn own(name: &str) -> String {
    format!("{name}-{}", run())
}

async fn prepare(lab: &Lab) -> Result<Child> {
    let admin = Identity::from_kubeconfig(&lab.kubeconfig("admin")).await?;
    let replicas =
        admin.call(Call::get(DEPLOYMENT)).await?.object()?["spec"]["replicas"].as_i64().unwrap_or(0);
    // Armed before anything is done, so that nothing stays undone.
    let guard = afterwards(lab, replicas).arm()?;
    stop_controller(&admin).await?;
    await_gate(&admin).await?;

    bind_everywhere(&admin, &own("tests-wide-edit"), "edit", &[user(&own("wide"))]).await?;
    bind_everywhere(&admin, &own("tests-boss"), "cluster-admin", &[user(&own("boss"))]).await?;
    let rules = [
        (
            "bind-view",
            json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
            "resourceNames": ["view"], "verbs": ["bind"]}]),
        ),
        // Writes everywhere by RBAC, with none of the verbs that the policies ask for.
        (
            "patcher",
            json!([{"apiGroups": ["ozaccess.io"], "verbs": ["*"],
            "resources": ["accessrequests", "accessrequests/status", "accessrequests/finalizers", "grants",
                "namespacerequests", "namespacerequests/status"]}]),
        ),
        // Connects, and neither reads, makes nor evicts pods.
        (
            "connect",
            json!([{"apiGroups": [""], "resources": ["pods/exec", "pods/attach"], "verbs": ["get", "create"]}]),
        ),
        ("read-pods", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}])),
        ("make-pods", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}])),
        (
            "debug",
            json!([{"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]}]),
        ),
        // What lent namespaces will need of the controller.
        (
            "cluster",
            json!([
                {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch", "delete"]},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles", "clusterrolebindings"], "verbs": ["create"]},
            ]),
        ),
        // Far too much for who lends namespaces, everywhere; but it deletes no Roles, as only where a namespace opted in.
        (
            "lender",
            json!([
                {"apiGroups": [""], "verbs": ["*"], "resources": ["namespaces", "namespaces/finalize", "namespaces/status",
                    "resourcequotas", "resourcequotas/status", "limitranges", "configmaps", "secrets", "serviceaccounts", "pods"]},
                {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["*"]},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings", "clusterrolebindings"], "verbs": ["*"]},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create", "patch", "bind", "escalate"]},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind", "lend"]},
                {"apiGroups": ["ozaccess.io"], "resources": ["namespaceclasses"], "verbs": ["*"]},
            ]),
        ),
        // Far too much: so that only policies are left to refuse.
        (
            "everything",
            json!([{"apiGroups": ["", "apps", "rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]}]),
        ),
    ];
    for (name, rules) in rules {
        cluster_role(&admin, &own(&format!("tests-{name}")), rules).await?;
    }
    bind_everywhere(&admin, &own("tests-roles-wide"), &own("tests-everything"), &[user(&own("roles-wide"))])
        .await?;
    let lender = [group(&own(LENDER))];
    bind_everywhere(&admin, &own("tests-lends"), "oz-controller-namespaces", &lender).await?;
    bind_everywhere(&admin, &own("tests-lends-by"), "oz-ceiling-namespaces", &lender).await?;
    let wide = [group(&own(LENDER_WIDE))];
    bind_everywhere(&admin, &own("tests-lends-wide"), &own("tests-lender"), &wide).await?;
    Ok(guard)
}

/// As the controller where the guard lets nobody else delete.
fn afterwards(lab: &Lab, replicas: i64) -> Afterwards {
    let kubectl = |words: &[&str]| {
        let mut all = vec![lab.kubectl().display().to_string(), "--kubeconfig".to_owned()];
        all.push(lab.kubeconfig("admin").display().to_string());
        all.extend(words.iter().map(ToString::to_string));
        all
    };
    let ours = format!("{RUN_LABEL}={}", run());
    let sessions = ["--as", CONTROLLER_USERNAME, "-n", SESSIONS_NAMESPACE];
    Afterwards::default()
        .then(kubectl(&[
            "delete",
            "clusterrolebindings,clusterroles,namespaces,namespaceclasses,federations",
            "-l",
            &ours,
            "--wait=false",
            "--ignore-not-found",
        ]))
        .then(kubectl(&["delete", support::filling::KINDS, "-l", &ours, "--wait=false"]))
        .then(kubectl(
            &[
                &sessions[..],
                &[
                    "delete",
                    "rolebindings,roles,serviceaccounts",
                    "-l",
                    &ours,
                    "--wait=false",
                    "--ignore-not-found",
                ],
            ]
            .concat(),
        ))
        .then(kubectl(&[
            "--as",
            CONTROLLER_USERNAME,
            "--as-group",
            "system:masters",
            "-n",
            SYSTEM_NAMESPACE,
            "delete",
            "roles",
            "-l",
            &ours,
            "--wait=false",
            "--ignore-not-found",
        ]))
        .then(kubectl(&[
            "--as",
            CONTROLLER_USERNAME,
            "delete",
            "grants",
            "-l",
            &ours,
            "--wait=false",
            "--ignore-not-found",
        ]))
        .then(kubectl(&[
            "-n",
            SYSTEM_NAMESPACE,
            "scale",
            "deployment/oz-controller",
            &format!("--replicas={replicas}"),
        ]))
}

async fn stop_controller(admin: &Identity) -> Result<()> {
    admin.call(Call::merge(DEPLOYMENT, json!({"spec": {"replicas": 0}}))).await?.object()?;
    let pods = Call::get(format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods"))
        .query("labelSelector", "app.kubernetes.io/name=oz-controller");
    eventually("the controller's pods are gone", STOP_LIMIT, || async {
        let deployment = admin.call(Call::get(DEPLOYMENT)).await.map_err(|error| format!("{error:#}"))?;
        let seen = &deployment.body["status"]["observedGeneration"];
        if *seen != deployment.body["metadata"]["generation"] {
            return Err(format!("the Deployment was last looked at in generation {seen}"));
        }
        let there = admin.call(pods.clone()).await.map_err(|error| format!("{error:#}"))?;
        match there.body["items"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            count => Err(format!("{count:?} pods")),
        }
    })
    .await
}

/// A request in another's name is refused by policy once policies are in force at all.
async fn await_gate(admin: &Identity) -> Result<()> {
    let forged = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": "forged"},
        "spec": {"template": "gate-probe", "requester": {"username": "nobody"}},
    });
    let path = format!("/apis/ozaccess.io/v1alpha1/namespaces/{SYSTEM_NAMESPACE}/accessrequests");
    eventually("the gate is in force", GATE_LIMIT, || async {
        let answer = admin
            .call(Call::post(&path, forged.clone()).dry())
            .await
            .map_err(|error| format!("{error:#}"))?;
        match Outcome::of(&answer) {
            Outcome::Policy(_) => Ok(()),
            other => Err(format!("{other}: {answer}")),
        }
    })
    .await
}
