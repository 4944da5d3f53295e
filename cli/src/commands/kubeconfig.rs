//! `oz kubeconfig`

mod export;
mod import;

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::Request as _;
use oz_shared::{AccessRequest, Phase};

use super::list::left_out;
use crate::app::App;
use crate::cache::Cache;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault, Listing, context_name, entry, is_mine, mint};
use crate::kubeconfig::OurEntry;
use crate::session::by_own_name;

const EXAMPLES: &str = "\
Examples:
  oz kubeconfig update -A
  oz kubeconfig prune
  (umask 077; oz kubeconfig export access-request-api-exec-7k2pd > lent.yaml)
  oz kubeconfig import lent.yaml";

/// Keep the contexts in your kubeconfig, hand one on, or take one in
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a context with a fresh token for each access that you hold, and remove those that have ended
    Update {
        /// In all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
    },
    /// Remove the contexts of accesses that have ended; what is not Oz's is never touched
    Prune,
    Export(export::Args),
    Import(import::Args),
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    match args.action {
        Action::Update { all_namespaces } => update(app, all_namespaces).await,
        Action::Prune => prune(app).await,
        Action::Export(args) => export::run(args, app).await,
        Action::Import(args) => import::run(args, app).await,
    }
}

async fn update(app: &App, all_namespaces: bool) -> Result<u8, Error> {
    let store = app.settings.store()?;
    let cluster = app.cluster().await?;
    let scope = (!all_namespaces).then(|| cluster.namespace.clone());
    let me = cluster.whoami().await?;
    let Listing { items, unread } =
        cluster.list::<AccessRequest>("list requests", scope.as_deref(), &ListParams::default()).await?;
    left_out(app, &unread);
    let active: Vec<AccessRequest> = items
        .into_iter()
        .filter(|r| is_mine(r, &me) && r.phase() == Phase::Active && !r.spec.released && !by_own_name(r))
        .collect();
    let mut entries = Vec::new();
    let mut failed = None;
    for request in &active {
        match mint(&cluster, request).await {
            Ok(token) => entries.push(entry(&cluster, request, &token)),
            Err(error) => {
                let error = Error::from(error);
                app.printer.warn(&format!("{}: {}", request.name_any(), error.message));
                failed = Some(error);
            }
        }
    }
    let read = active.iter().map(|r| context_name(&r.namespace().unwrap_or_default(), &r.name_any()));
    let live: BTreeSet<String> =
        read.chain(unread.iter().map(|r| context_name(&r.namespace, &r.name))).collect();
    let (now, server) = (cluster.now(), cluster.server());
    // Only what this list is complete for can be told to be dead.
    let keep = |ours: &OurEntry| {
        let here = !ours.request.is_empty() && (scope.is_none() || ours.namespace == scope);
        live.contains(&ours.name) || !here || ours.server.as_deref() != Some(server.as_str())
    };
    let (gone, written) = store.change(|draft| {
        let gone = draft.prune(now, keep);
        for entry in &entries {
            draft.put(entry)?;
        }
        Ok(gone)
    })?;
    for backup in written.backups {
        app.printer.say(&format!("Kept the kubeconfig as it was in {}", backup.display()));
    }
    for name in gone.iter().filter(|name| !live.contains(*name)) {
        app.printer.say(&format!("Removed {name}"));
    }
    for entry in &entries {
        app.printer.data(&entry.name)?;
    }
    failed.map_or(Ok(exit::DONE), Err)
}

async fn prune(app: &App) -> Result<u8, Error> {
    let store = app.settings.store()?;
    let ours = store.ours()?;
    let mut dead = BTreeSet::new();
    let mut now = jiff::Timestamp::now();
    // Which of those that have time left were ended early is known to the cluster alone; without it time must do.
    if !ours.is_empty() {
        match app.cluster().await {
            Ok(cluster) => {
                dead = ended(&cluster, &ours).await;
                now = cluster.now();
            }
            Err(error) => app.printer.warn(&format!("only what has expired is removed: {}", error.message)),
        }
    }
    for name in store.prune(now, |entry| !dead.contains(&entry.name))? {
        app.printer.data(&name)?;
    }
    if let Some(cache) = Cache::open() {
        cache.prune(jiff::Timestamp::now());
        ours.iter().filter(|entry| dead.contains(&entry.name)).for_each(|entry| cache.forget(&entry.request));
    }
    Ok(exit::DONE)
}

/// The contexts whose requests have ended, as far as this cluster knows.
async fn ended(cluster: &Cluster, ours: &[OurEntry]) -> BTreeSet<String> {
    let server = cluster.server();
    let mut dead = BTreeSet::new();
    for entry in ours.iter().filter(|e| e.server.as_deref() == Some(server.as_str())) {
        let Some((namespace, name)) = entry.request.split_once('/') else { continue };
        let api = cluster.requests(Some(namespace));
        let over = match cluster.call("read the request", api.get(name)).await {
            Ok(request) => request.phase().is_final() || request.spec.released,
            Err(fault @ Fault::Api { .. }) => fault.code() == Some(404),
            // Asking on would take the same time again for each.
            Err(_) => break,
        };
        if over {
            dead.insert(entry.name.clone());
        }
    }
    dead
}
