//! `oz classes`

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::NamespaceClass;
use oz_shared::names::GATE_PROBE;

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::Cluster;

const EXAMPLES: &str = "\
Examples:
  oz classes -n oz-requests
  oz classes --all -o wide";

/// List the classes of namespaces that you may ask for here
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    list: ListArgs,
    /// Also those that you may not ask for in this namespace
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    if args.list.all_namespaces {
        return Err(Error::usage("classes are in no namespace; that they may be asked for in is one: -n NS"));
    }
    let cluster = app.cluster().await?;
    if args.list.watch {
        return list::follow(app, &cluster, &args.list, None, async |class: &NamespaceClass| {
            Ok(args.all || may_ask(&cluster, class).await?)
        })
        .await;
    }
    let mut classes = cluster.list("list classes", None, &args.list.params()).await?;
    if !args.all {
        classes.items = offered(&cluster, classes.items).await?;
    }
    list::print(app, &cluster, &args.list, classes)
}

/// The classes that the user may ask for in his namespace.
///
/// # Errors
/// They cannot be listed.
pub(super) async fn on_offer(cluster: &Cluster) -> Result<Vec<NamespaceClass>, Error> {
    offered(cluster, cluster.list("list classes", None, &ListParams::default()).await?.items).await
}

async fn offered(cluster: &Cluster, classes: Vec<NamespaceClass>) -> Result<Vec<NamespaceClass>, Error> {
    let mut offered = Vec::new();
    for class in classes {
        if may_ask(cluster, &class).await? {
            offered.push(class);
        }
    }
    Ok(offered)
}

async fn may_ask(cluster: &Cluster, class: &NamespaceClass) -> Result<bool, Error> {
    let name = class.name_any();
    let here = name != GATE_PROBE && class.spec.is_offered_in(&cluster.namespace);
    Ok(here && cluster.may::<NamespaceClass>("request", &cluster.namespace, &name).await?)
}
