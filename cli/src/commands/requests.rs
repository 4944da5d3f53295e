//! `oz requests`

use oz_shared::{AccessRequest, Delegation, Federation, NamespaceRequest};

use super::list::{self, Item, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::{Asked, Cluster, is_mine};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  oz requests
  oz requests nsreq -A                  those for namespaces
  oz requests delegations -A            what is delegated, now or some day
  oz requests --mine -A
  oz requests -A -w
  oz requests -o json | jq '.items[].spec.reason'";

/// List requests and how they stand
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Of which kind: accessrequest, namespacerequest (nsreq), federation (fed) or delegation
    #[arg(value_name = "KIND", default_value = "accessrequest")]
    kind: Kind,
    #[command(flatten)]
    list: ListArgs,
    /// Only your own
    #[arg(long)]
    mine: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    match args.kind {
        Kind::Access => show::<AccessRequest>(&args, app, &cluster).await,
        Kind::Namespaces => show::<NamespaceRequest>(&args, app, &cluster).await,
        Kind::Federation => show::<Federation>(&args, app, &cluster).await,
        Kind::Delegation => delegations(&args, app, &cluster).await,
    }
}

async fn delegations(args: &Args, app: &App, cluster: &Cluster) -> Result<u8, Error> {
    let scope = args.list.scope(cluster);
    let me = if args.mine { Some(cluster.whoami().await?) } else { None };
    let wanted = |delegation: &Delegation| {
        let requester = &delegation.spec.requester;
        me.as_ref().is_none_or(|me| requester.username == me.username && requester.uid == me.uid)
    };
    if args.list.watch {
        let wanted = async |delegation: &Delegation| Ok(wanted(delegation));
        return list::follow(app, cluster, &args.list, scope, wanted).await;
    }
    let mut listing = cluster.list("list delegations", scope, &args.list.params()).await?;
    listing.items.retain(wanted);
    list::print(app, cluster, &args.list, listing)
}

async fn show<R: Asked + Item>(args: &Args, app: &App, cluster: &Cluster) -> Result<u8, Error> {
    // What is in no namespace is in none of them.
    let scope = args.list.scope(cluster).filter(|_| R::KIND != Kind::Federation);
    let me = if args.mine { Some(cluster.whoami().await?) } else { None };
    let wanted = |request: &R| me.as_ref().is_none_or(|me| is_mine(request, me));
    if args.list.watch {
        return list::follow(app, cluster, &args.list, scope, async |request: &R| Ok(wanted(request))).await;
    }
    let mut listing = cluster.list("list requests", scope, &args.list.params()).await?;
    listing.items.retain(wanted);
    list::print(app, cluster, &args.list, listing)
}
