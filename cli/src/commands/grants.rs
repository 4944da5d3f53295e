//! `oz grants`

use oz_shared::Request as _;
use oz_shared::namespace_class::Subject;
use oz_shared::{AccessRequest, Grant, Phase};

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::is_mine;

const EXAMPLES: &str = "\
Examples:
  oz grants -A
  oz grants -A --user alice -o wide";

/// List what is lent now, to whom and until when
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    list: ListArgs,
    /// Only what this user holds
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Is this user named among those that it is delegated to? Who has it by a group is for the API server to know.
fn is_delegated(grant: &Grant, user: &str) -> bool {
    let to = Subject::of(user).to_string();
    grant.spec.delegated.as_ref().is_some_and(|terms| terms.destinations.contains(&to))
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let scope = args.list.scope(&cluster);
    let here = |grant: &Grant| {
        scope.is_none_or(|ns| {
            let lent = grant.status.iter().flat_map(|s| &s.namespaces);
            grant.spec.request.namespace == ns
                || grant.spec.access.iter().any(|a| a.namespace == ns)
                || lent.into_iter().any(|n| n.name == ns)
        }) && args
            .user
            .as_ref()
            .is_none_or(|user| grant.spec.holder.username == *user || is_delegated(grant, user))
    };
    match cluster.list::<Grant>("list grants", None, &args.list.params()).await {
        Ok(mut grants) if !args.list.watch => {
            grants.items.retain(here);
            list::print(app, &cluster, &args.list, grants)
        }
        Ok(_) => list::follow(app, &cluster, &args.list, None, async |grant: &Grant| Ok(here(grant))).await,
        Err(fault) if fault.code() == Some(403) => {
            app.printer
                .say("You may not list grants (ClusterRole oz-auditor): these are your own active requests.");
            let me = cluster.whoami().await?;
            let mine = |request: &AccessRequest| {
                is_mine(request, &me)
                    && request.phase() == Phase::Active
                    && args.user.as_ref().is_none_or(|user| *user == me.username)
            };
            if args.list.watch {
                return list::follow(app, &cluster, &args.list, scope, async |r: &AccessRequest| Ok(mine(r)))
                    .await;
            }
            let mut listing = cluster.list("list requests", scope, &args.list.params()).await?;
            listing.items.retain(mine);
            list::print(app, &cluster, &args.list, listing)
        }
        Err(fault) => Err(fault.into()),
    }
}
