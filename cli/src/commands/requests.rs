//! `oz requests`

use oz_shared::AccessRequest;

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::is_mine;

const EXAMPLES: &str = "\
Examples:
  oz requests
  oz requests --mine -A
  oz requests -A -w
  oz requests -o json | jq '.items[].spec.reason'";

/// List requests and how they stand
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    list: ListArgs,
    /// Only your own
    #[arg(long)]
    mine: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let scope = args.list.scope(&cluster);
    let me = if args.mine { Some(cluster.whoami().await?) } else { None };
    let wanted = |request: &AccessRequest| me.as_ref().is_none_or(|me| is_mine(request, me));
    if args.list.watch {
        return list::follow(app, &cluster, &args.list, scope, async |request: &AccessRequest| {
            Ok(wanted(request))
        })
        .await;
    }
    let mut listing = cluster.list("list requests", scope, &args.list.params()).await?;
    listing.items.retain(wanted);
    list::print(app, &cluster, &args.list, listing)
}
