//! `oz kubeconfig`

mod export;
mod import;

use std::collections::BTreeSet;

use kube::api::ListParams;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Federation, NamespaceRequest, Phase};

use super::list::left_out;
use crate::app::App;
use crate::cache::Cache;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, Fault, Listing, Unread, entries, is_mine, mint, own_name};
use crate::kubeconfig::{Entry, OurEntry};
use crate::target::{Kind, Target};

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
    let mut held = Held::default();
    held.by::<AccessRequest>(app, &cluster, scope.as_deref(), &me).await?;
    match held.by::<NamespaceRequest>(app, &cluster, scope.as_deref(), &me).await {
        // Who is lent access alone need not see requests for namespaces; what he has of them is left as it is.
        Err(fault) if matches!(fault.code(), Some(403 | 404)) => {}
        seen => seen?,
    }
    let Held { entries, live, complete, failed } = held;
    let (now, server) = (cluster.now(), cluster.server());
    // Only what the lists are complete for can be told to be dead.
    let keep = |ours: &OurEntry| {
        let Some((namespace, target)) = ours.request.split_once('/') else { return true };
        let listed = scope.as_deref().is_none_or(|scope| scope == namespace)
            && target.parse::<Target>().is_ok_and(|target| complete.contains(&target.kind));
        live.contains(&ours.request) || !listed || ours.server.as_deref() != Some(server.as_str())
    };
    let ((gone, names), written) = store.change(|draft| {
        let gone = draft.prune(now, keep);
        let mut names = Vec::new();
        for entry in &entries {
            let entry = Entry { name: own_name(&draft.ours(), entry), ..entry.clone() };
            draft.put(&entry)?;
            names.push(entry.name);
        }
        Ok((gone, names))
    })?;
    for backup in written.backups {
        app.printer.say(&format!("Kept the kubeconfig as it was in {}", backup.display()));
    }
    for name in gone.iter().filter(|name| !names.contains(name)) {
        app.printer.say(&format!("Removed {name}"));
    }
    for name in &names {
        app.printer.data(name)?;
    }
    failed.map_or(Ok(exit::DONE), Err)
}

/// What the user holds, as a kubeconfig shows it.
#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    /// The marks of all that is active.
    live: BTreeSet<String>,
    /// Of which kinds all is known.
    complete: Vec<Kind>,
    failed: Option<Error>,
}

impl Held {
    /// Adds what he holds by requests of one kind.
    async fn by<R: Asked>(
        &mut self,
        app: &App,
        cluster: &Cluster,
        scope: Option<&str>,
        me: &Requester,
    ) -> Result<(), Fault> {
        let Listing { items, unread } =
            cluster.list::<R>("list requests", scope, &ListParams::default()).await?;
        left_out(app, &unread);
        // What cannot be read may be his.
        let mark = |u: &Unread| format!("{}/{}", u.namespace, R::KIND.target(&u.name));
        self.live.extend(unread.iter().map(mark));
        let active = |r: &&R| {
            is_mine(*r, me) && r.phase() == Phase::Active && r.release().is_none() && !r.by_own_name()
        };
        for request in items.iter().filter(active) {
            self.live.insert(request.mark());
            match mint(cluster, request).await {
                Ok(token) => self.entries.extend(entries(cluster, request, &token)),
                Err(error) => {
                    let error = Error::from(error);
                    app.printer.warn(&format!("{}: {}", request.target(), error.message));
                    self.failed = Some(error);
                }
            }
        }
        self.complete.push(R::KIND);
        Ok(())
    }
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
        let Some((namespace, target)) = entry.request.split_once('/') else { continue };
        let Ok(target) = target.parse::<Target>() else { continue };
        let over = match target.kind {
            Kind::Access => over::<AccessRequest>(cluster, namespace, &target.name).await,
            Kind::Namespaces => over::<NamespaceRequest>(cluster, namespace, &target.name).await,
            Kind::Federation => over::<Federation>(cluster, namespace, &target.name).await,
            // It has no credential of its own, and so no context.
            Kind::Delegation => continue,
        };
        let over = match over {
            Ok(over) => over,
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

async fn over<R: Asked>(cluster: &Cluster, namespace: &str, name: &str) -> Result<bool, Fault> {
    let api = cluster.asked::<R>(Some(namespace));
    let request = cluster.call("read the request", api.get(name)).await?;
    Ok(request.phase().is_final() || request.release().is_some())
}
