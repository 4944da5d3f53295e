//! `oz rotate`

use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use oz_shared::names::GRANT_LABEL;
use oz_shared::{Federation, NamespaceRequest, Phase, Request as _};
use serde_json::json;
use tokio::time::Instant;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault, outcome};
use crate::output::clean;
use crate::target::{Kind, Target};

/// How long the controller may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  oz rotate fed/site-a
  (umask 077; oz kubeconfig export fed/site-a > site-a.yaml)";

/// Make a partner's account anew: its tokens are worth nothing then, and what it made inside is listed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The federation: federation/NAME, or NAME
    #[arg(value_name = "NAME")]
    target: Target,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    if args.target.kind != Kind::Federation && !args.target.bare {
        return Err(Error::usage("only a partner's account is made anew: oz rotate fed/NAME"));
    }
    let (name, cluster) = (&args.target.name, app.cluster().await?);
    let federation = cluster.find::<Federation>(name).await?;
    if let Some(ended) = outcome(&federation) {
        return Err(ended.into());
    }
    if federation.phase() != Phase::Active {
        let error = Error::new(exit::NOT_READY, format!("fed/{name} is not granted yet"));
        return Err(error.hint(format!("oz describe fed/{name} tells more")));
    }
    let wanted = federation.spec.rotations.saturating_add(1);
    let api = cluster.asked::<Federation>(None);
    let patch = json!({"metadata": {"uid": federation.uid()}, "spec": {"rotations": wanted}});
    let (doing, with) = (format!("rotate federation {name}"), PatchParams::default());
    cluster.call(&doing, api.patch(name, &with, &Patch::Merge(patch))).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = cluster.find::<Federation>(name).await?;
        if let Some(ended) = outcome(&now) {
            return Err(ended.into());
        }
        if now.status.as_ref().is_some_and(|s| s.rotations >= wanted) {
            break;
        }
        if Instant::now() > deadline {
            let message =
                format!("the account of {name} is not made anew yet: the controller goes on with it");
            return Err(
                Error::new(exit::NOT_READY, message).hint("oz check shows whether the controller runs")
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    app.printer.say(&format!(
        "The account of {name} is another one now: within seconds older tokens are worth nothing."
    ));
    inside(app, &cluster, &federation).await;
    let repeat = app.settings.repeat();
    app.printer
        .say(&format!("  hand over the next:  (umask 077; oz kubeconfig export fed/{name}{repeat} > FILE)"));
    Ok(exit::DONE)
}

/// What its partner made in its namespaces by which somebody may still come in: that ends with the namespaces alone.
async fn inside(app: &App, cluster: &Cluster, federation: &Federation) {
    let first = federation.status.iter().flat_map(|s| &s.namespaces).map(|n| n.name.clone());
    let mut namespaces: Vec<String> = first.collect();
    let mut unseen = Vec::new();
    if let Some(first) = namespaces.first().cloned() {
        match cluster.list::<NamespaceRequest>("list requests", Some(&first), &ListParams::default()).await {
            Ok(list) => {
                let live = list.items.iter().filter(|r| !r.phase().is_final());
                let lent = live.flat_map(|r| r.status.iter().flat_map(|s| &s.namespaces));
                namespaces.extend(lent.map(|n| n.name.clone()));
            }
            Err(_) => unseen.push(format!("further namespaces asked for in {first}")),
        }
    }
    let mut made = Vec::new();
    for namespace in &namespaces {
        match made_in(cluster, namespace).await {
            Ok(found) => made.extend(found),
            Err(_) => unseen.push(format!("namespace {namespace}")),
        }
    }
    if !made.is_empty() {
        app.printer.warn(
            "by these, which it made inside, somebody may still come in; they end with their namespaces:",
        );
        made.iter().for_each(|line| app.printer.say(&format!("  {}", clean(line))));
    }
    if !unseen.is_empty() {
        let unseen = unseen.join(", ");
        app.printer.warn(&format!("what it made inside is not known, you may not look: {}", clean(&unseen)));
    }
}

/// Accounts, tokens that do not end, and bindings that are not Oz's.
async fn made_in(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Fault> {
    let client = || cluster.client.clone();
    let theirs = ListParams::default().labels(&format!("!{GRANT_LABEL}"));
    let tokens = theirs.clone().fields("type=kubernetes.io/service-account-token");
    let (accounts, secrets, bindings) = (
        Api::<ServiceAccount>::namespaced(client(), namespace),
        Api::<Secret>::namespaced(client(), namespace),
        Api::<RoleBinding>::namespaced(client(), namespace),
    );
    let (accounts, secrets, bindings) = tokio::join!(
        cluster.call("list accounts", accounts.list_metadata(&theirs)),
        cluster.call("list tokens", secrets.list_metadata(&tokens)),
        cluster.call("list bindings", bindings.list(&theirs)),
    );
    let mut found = Vec::new();
    for account in accounts?.items.iter().filter(|a| a.name_any() != "default") {
        found.push(format!("ServiceAccount {namespace}/{}", account.name_any()));
    }
    for secret in secrets? {
        found.push(format!("token Secret {namespace}/{}", secret.name_any()));
    }
    for binding in bindings? {
        let subjects = binding.subjects.iter().flatten().map(|s| format!("{} {}", s.kind, s.name));
        let subjects: Vec<String> = subjects.collect();
        found.push(format!("RoleBinding {namespace}/{} ({})", binding.name_any(), subjects.join(", ")));
    }
    Ok(found)
}
