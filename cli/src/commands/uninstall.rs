//! `oz uninstall`

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Preconditions};
use kube::{Api, ResourceExt as _};
use oz_shared::grant::RequestRef;
use oz_shared::names::{GRANT_LABEL, PART_OF_NAMESPACE, SYSTEM_NAMESPACE};
use oz_shared::{AccessRequest, Federation, Grant, NamespaceRequest};
use serde_json::Value;
use tokio::time::Instant;

use super::install::refuse;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation::{
    self, ALL_BINDINGS, CLUSTER_BINDINGS, CONTROLLER_NAME, Choices, DELEGATION_BINDINGS, FEDERATION_BINDINGS,
    Right, name_of,
};
use crate::kube::{Asked, Cluster, Fault};
use crate::output::{Listed, Table};

/// How long a controller that runs may take to end every loan. After that the garbage collector does it.
const ENDS: Duration = Duration::from_secs(45);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
Examples:
  oz uninstall
  oz uninstall -y --keep-crds       keeps the templates and the record of requests";

/// End every loan, then take Oz out of the cluster; namespaces that were lent stay
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Leave the kinds, and so all templates and requests, for a later install
    #[arg(long)]
    keep_crds: bool,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", value_parser = crate::duration::request_timeout, default_value = "3m")]
    timeout: Duration,
}

/// The order is one in which the gate never stands open while anything could still be granted: loans, the controller,
/// which alone grants, what it left, its rights, the kinds, and last the policies. Those let the cluster's own collectors
/// through, so that nothing waits for them.
pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let deadline = Instant::now() + args.timeout;
    let cluster = app.cluster().await?;
    let choices = Choices { fill: installation::is_filled(&cluster).await?, ..Choices::default() };
    let objects: Vec<Value> =
        installation::objects(&choices)?.into_iter().map(|(_, object)| object).collect();
    permitted(&cluster, &objects).await?;
    if !is_there(&cluster, &objects).await? {
        app.printer.say("Oz is not installed on this cluster.");
        return Ok(exit::DONE);
    }
    let grants = installation::live(&cluster).await?;
    confirm(&args, app, &cluster, &grants).await?;

    end_loans(app, &cluster, &grants).await?;
    app.printer.say("Removing the controller …");
    remove(&cluster, &objects, &["Deployment", "PodDisruptionBudget"], deadline).await?;
    controllers_gone(&cluster, deadline).await?;
    // Only now: the controller would delete the namespaces of a loan that ends, and those of a grant that is gone.
    if args.keep_crds {
        forget_namespaces(app, &cluster).await?;
    }
    sweep(app, &cluster, deadline).await?;
    let lent = installation::lent(&cluster).await?;

    app.printer.say("Removing rights and namespaces …");
    for name in ALL_BINDINGS {
        unbind(&cluster, name).await?;
    }
    for name in CLUSTER_BINDINGS.into_iter().chain(FEDERATION_BINDINGS).chain(DELEGATION_BINDINGS) {
        let binding = installation::cluster_binding(name);
        installation::delete(&cluster, &binding).await?;
    }
    remove(&cluster, &objects, &["NamespaceClass", "ClusterRoleBinding", "ClusterRole"], deadline).await?;
    let theirs = left_by_others(&cluster).await;
    remove_namespaces(app, &cluster, &objects, deadline).await?;
    let filling = ["MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"];
    remove(&cluster, &objects, &filling, deadline).await?;
    if !args.keep_crds {
        app.printer.say("Removing the kinds …");
        remove(&cluster, &objects, &["CustomResourceDefinition"], deadline).await?;
    }
    app.printer.say("Removing the admission policies …");
    remove(&cluster, &objects, &["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"], deadline)
        .await?;

    app.printer.say(match args.keep_crds {
        true => "Oz is uninstalled. Its kinds are left, with all templates and requests; nothing guards them until it is installed again.",
        false if !lent.is_empty() => "Oz is uninstalled.",
        false => "Oz is uninstalled; nothing of it is left.",
    });
    if !lent.is_empty() {
        let names: Vec<&str> = lent.iter().map(|n| n.name.as_str()).collect();
        app.printer.say(&format!(
            "Namespaces that it had lent are left, with all that is in them: {}",
            names.join(", ")
        ));
        app.printer.say(&format!("  they carry its label: kubectl get namespaces -l {GRANT_LABEL}"));
    }
    if !theirs.is_empty() {
        app.printer.say("These bindings of your own named its roles, and give nothing now:");
        theirs.iter().for_each(|binding| app.printer.say(&format!("  {binding}")));
    }
    Ok(exit::DONE)
}

async fn permitted(cluster: &Cluster, objects: &[Value]) -> Result<(), Error> {
    let mut needed: Vec<Right> =
        objects.iter().flat_map(|object| ["get", "delete"].map(|verb| Right::on(verb, object))).collect();
    let oz = |verb, resource: &str| Right {
        verb,
        group: oz_shared::GROUP.to_owned(),
        resource: resource.to_owned(),
        namespace: String::new(),
    };
    needed.extend([
        oz("list", "grants"),
        oz("delete", "grants"),
        oz("list", "accessrequests"),
        oz("patch", "accessrequests"),
        oz("list", "namespacerequests"),
        oz("delete", "namespacerequests"),
    ]);
    let namespaces = serde_json::json!({"apiVersion": "v1", "kind": "Namespace"});
    needed.push(Right::on("list", &namespaces));
    for verb in ["list", "delete"] {
        let anywhere =
            serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"});
        needed.push(Right::on(verb, &anywhere));
    }
    refuse(&installation::missing_rights(cluster, needed).await?, "uninstall Oz")
}

/// Is anything of Oz there?
async fn is_there(cluster: &Cluster, objects: &[Value]) -> Result<bool, Fault> {
    for object in objects {
        if installation::find(cluster, object).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(!installation::enabled(cluster).await?.is_empty())
}

async fn confirm(args: &Args, app: &App, cluster: &Cluster, grants: &[Grant]) -> Result<(), Error> {
    match grants.is_empty() {
        true => app.printer.say("Nothing is lent now."),
        false => {
            let rows: Vec<Vec<String>> = grants.iter().map(|g| g.cells(false, cluster.now())).collect();
            app.printer.say(&Table::new(&Grant::headers(false)).whole(&rows));
            app.printer.say(&match grants.len() {
                1 => "This loan is live, and will be ended.".to_owned(),
                n => format!("These {n} loans are live, and will be ended."),
            });
            if grants.iter().any(|g| g.spec.namespaces.is_some()) {
                app.printer
                    .say("Their sessions end; the namespaces that are lent stay, with all that is in them.");
            }
        }
    }
    if !args.keep_crds {
        app.printer.say("All templates go with Oz, and all requests, the record of who had what (--keep-crds leaves them).");
    }
    if args.yes {
        return Ok(());
    }
    if !app.ui.interactive() {
        return Err(Error::usage("there is nobody to ask whether that is meant").hint("oz uninstall -y"));
    }
    let question = format!("Uninstall Oz from {}?", cluster.server());
    match app.ui.confirm(&question)? {
        true => Ok(()),
        false => Err(Error::new(exit::REJECTED, "nothing was changed")),
    }
}

/// Releases everything, and gives the controller, where there is one, the time to take it back in order.
async fn end_loans(app: &App, cluster: &Cluster, grants: &[Grant]) -> Result<(), Error> {
    let access = |grant: &Grant| grant.spec.namespaces.is_none();
    let nothing_lent = !grants.iter().any(access);
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let deployment = cluster.call("read the Deployment", deployments.get_opt(CONTROLLER_NAME)).await?;
    let works = deployment.is_some_and(|d| d.status.and_then(|s| s.available_replicas).unwrap_or(0) > 0);
    for (request, fault) in
        installation::end_all::<AccessRequest>(cluster, None, "Oz is being uninstalled").await?
    {
        let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
        app.printer.warn(&format!("{namespace}/{name} was not released: {}", Error::from(fault).message));
    }
    for (delegation, fault) in
        installation::end_delegations(cluster, None, |_| true, "Oz is being uninstalled").await?
    {
        let (namespace, name) = (delegation.namespace().unwrap_or_default(), delegation.name_any());
        app.printer.warn(&format!("{namespace}/{name} was not released: {}", Error::from(fault).message));
    }
    if nothing_lent && !works {
        return Ok(());
    }
    if !works {
        app.printer
            .warn("no controller runs: what is lent is taken back by the cluster's own garbage collector");
        return Ok(());
    }
    app.printer.say("Ending what is lent …");
    let left = installation::wait_until_gone(cluster, access, Instant::now() + ENDS).await?;
    if !left.is_empty() {
        app.printer.warn(&format!("{} loans were not ended by the controller in time", left.len()));
    }
    Ok(())
}

/// Requests whose namespaces are left go where requests stay: a controller that comes later would take those for its own to
/// delete.
async fn forget_namespaces(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let grants = installation::live(cluster).await?;
    for of in grants.iter().filter(|g| g.spec.namespaces.is_some()).map(|g| &g.spec.request) {
        let gone = if of.namespace.is_empty() {
            forget::<Federation>(cluster, of).await
        } else {
            forget::<NamespaceRequest>(cluster, of).await
        };
        let place = if of.namespace.is_empty() { &of.kind } else { &of.namespace };
        match gone {
            Ok(()) => {
                app.printer.say(&format!("Deleted request {place}/{}: its namespaces stay.", of.name));
            }
            Err(fault) if matches!(fault.code(), Some(404 | 409)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(())
}

async fn forget<R: Asked>(cluster: &Cluster, of: &RequestRef) -> Result<(), Fault> {
    let api = cluster.asked::<R>(Some(&of.namespace));
    let this = Preconditions { uid: Some(of.uid.clone()), resource_version: None };
    let with = DeleteParams::default().preconditions(this);
    cluster.call("delete a request for namespaces", api.delete(&of.name, &with)).await.map(drop)
}

/// What the controller did not take back, the garbage collector does once the grants are gone. Nothing new can come.
async fn sweep(app: &App, cluster: &Cluster, deadline: Instant) -> Result<(), Error> {
    let left = installation::live(cluster).await?;
    if !left.is_empty() {
        app.printer.say(&format!("Deleting {} grants …", left.len()));
        installation::delete_grants(cluster, &left).await?;
    }
    let left = installation::wait_until_gone(cluster, |_| true, deadline).await?;
    if let Some(grant) = left.first() {
        return Err(stuck(format!("{} loans have not ended, {} among them", left.len(), grant.name_any())));
    }
    loop {
        let parts = parts(cluster).await?;
        if parts.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(stuck(format!(
                "{} of what grants had made is still there: {}",
                parts.len(),
                parts.join(", ")
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn stuck(what: String) -> Error {
    Error::new(exit::NOT_READY, format!("{what}; the controller is gone, everything else is left as it was"))
        .hint("oz uninstall again goes on where this ended")
}

/// What carries the label of a grant.
async fn parts(cluster: &Cluster) -> Result<Vec<String>, Fault> {
    // What stands in a lent namespace for good stays with it.
    let params = ListParams::default().labels(&format!("{GRANT_LABEL},{GRANT_LABEL}!={PART_OF_NAMESPACE}"));
    let client = &cluster.client;
    let (pods, everywhere, bindings, roles, accounts) = (
        Api::<PartialObjectMeta<Pod>>::all(client.clone()),
        Api::<PartialObjectMeta<ClusterRoleBinding>>::all(client.clone()),
        Api::<PartialObjectMeta<RoleBinding>>::all(client.clone()),
        Api::<PartialObjectMeta<Role>>::all(client.clone()),
        Api::<PartialObjectMeta<ServiceAccount>>::all(client.clone()),
    );
    let mut found = Vec::new();
    for pod in cluster.call("list pods", pods.list_metadata(&params)).await? {
        found.push(format!("Pod {}/{}", pod.namespace().unwrap_or_default(), pod.name_any()));
    }
    for binding in cluster.call("list bindings", everywhere.list_metadata(&params)).await? {
        found.push(format!("ClusterRoleBinding {}", binding.name_any()));
    }
    for binding in cluster.call("list bindings", bindings.list_metadata(&params)).await? {
        found.push(format!("RoleBinding {}/{}", binding.namespace().unwrap_or_default(), binding.name_any()));
    }
    for role in cluster.call("list roles", roles.list_metadata(&params)).await? {
        found.push(format!("Role {}/{}", role.namespace().unwrap_or_default(), role.name_any()));
    }
    for account in cluster.call("list accounts", accounts.list_metadata(&params)).await? {
        found.push(format!(
            "ServiceAccount {}/{}",
            account.namespace().unwrap_or_default(),
            account.name_any()
        ));
    }
    Ok(found)
}

/// Deletes all objects of these kinds, kind after kind, and waits until they are gone.
async fn remove(
    cluster: &Cluster,
    objects: &[Value],
    kinds: &[&str],
    deadline: Instant,
) -> Result<(), Error> {
    for kind in kinds {
        let due: Vec<Value> = objects.iter().filter(|o| o["kind"] == *kind).cloned().collect();
        for object in &due {
            installation::delete(cluster, object).await?;
        }
        let left = installation::gone(cluster, &due, deadline).await?;
        if let Some(object) = left.first() {
            return Err(still_there(object));
        }
    }
    Ok(())
}

fn still_there(object: &Value) -> Error {
    let finalizers = object["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let finalizers: Vec<&str> = finalizers.iter().filter_map(Value::as_str).collect();
    let why = match finalizers.is_empty() {
        true => String::new(),
        false => format!(" (finalizers: {})", finalizers.join(", ")),
    };
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    // A namespace says what keeps it.
    let messages: Vec<&str> = conditions
        .iter()
        .filter(|c| c["status"] == "True" && object["kind"] == "Namespace")
        .filter_map(|c| c["message"].as_str())
        .collect();
    Error::new(
        exit::NOT_READY,
        format!(
            "{} is not gone in time{why}{}",
            name_of(object),
            messages.iter().map(|m| format!("; {m}")).collect::<String>()
        ),
    )
    .hint("oz uninstall again goes on where this ended")
}

/// The Deployment is gone before its last pod is.
async fn controllers_gone(cluster: &Cluster, deadline: Instant) -> Result<(), Error> {
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let params = ListParams::default().labels("app.kubernetes.io/name=oz-controller");
    loop {
        let left = cluster.call("list the controller's pods", pods.list_metadata(&params)).await?.items;
        let Some(pod) = left.first() else { return Ok(()) };
        if Instant::now() > deadline {
            return Err(Error::new(
                exit::NOT_READY,
                format!("the controller's pod {} is not gone in time", pod.name_any()),
            )
            .hint("oz uninstall again goes on where this ended"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The bindings that `oz enable` made; others of that name are somebody's own.
async fn unbind(cluster: &Cluster, name: &str) -> Result<(), Fault> {
    let api: Api<RoleBinding> = Api::all(cluster.client.clone());
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    for binding in cluster.call("list the enabled namespaces", api.list(&params)).await? {
        if installation::is_ours(&binding) {
            installation::delete(
                cluster,
                &installation::binding(&binding.namespace().unwrap_or_default(), name),
            )
            .await?;
        }
    }
    Ok(())
}

/// Only those that are Oz's by their label.
async fn remove_namespaces(
    app: &App,
    cluster: &Cluster,
    objects: &[Value],
    deadline: Instant,
) -> Result<(), Error> {
    let mut ours = Vec::new();
    for namespace in objects.iter().filter(|o| o["kind"] == "Namespace") {
        let Some(live) = installation::find(cluster, namespace).await? else { continue };
        if live["metadata"]["labels"]["app.kubernetes.io/part-of"] == "oz" {
            ours.push(namespace.clone());
        } else {
            app.printer.warn(&format!("{} is not Oz's by its labels, and is left", name_of(namespace)));
        }
    }
    for namespace in &ours {
        installation::delete(cluster, namespace).await?;
    }
    match installation::gone(cluster, &ours, deadline).await?.first() {
        None => Ok(()),
        Some(namespace) => Err(still_there(namespace)),
    }
}

/// Bindings that people made to Oz's roles. They are theirs; that they are empty now is said.
async fn left_by_others(cluster: &Cluster) -> Vec<String> {
    let roles: Vec<String> = installation::of_kind("ClusterRole")
        .iter()
        .filter_map(|role| role["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    let named = |kind: &str, name: &str| kind == "ClusterRole" && roles.iter().any(|r| r == name);
    let mut found = Vec::new();
    let bindings: Api<RoleBinding> = Api::all(cluster.client.clone());
    if let Ok(list) = cluster.call("list bindings", bindings.list(&ListParams::default())).await {
        let theirs = list.items.into_iter().filter(|b| named(&b.role_ref.kind, &b.role_ref.name));
        found.extend(
            theirs.map(|b| format!("RoleBinding {} in {}", b.name_any(), b.namespace().unwrap_or_default())),
        );
    }
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    if let Ok(list) = cluster.call("list bindings", bindings.list(&ListParams::default())).await {
        let theirs = list.items.into_iter().filter(|b| named(&b.role_ref.kind, &b.role_ref.name));
        found.extend(theirs.map(|b| format!("ClusterRoleBinding {}", b.name_any())));
    }
    found
}
