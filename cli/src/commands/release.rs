//! `oz release`

use kube::ResourceExt as _;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Federation, NamespaceRequest};

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, delegations, named, outcome, release};
use crate::output::one_line;
use crate::session::forget;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  oz release access-request-api-exec-7k2pd
  oz release nsreq/alice-try-4mz0q
  oz requests --mine -o name | xargs oz release";

/// Give back what you hold, or take back a request; namespaces are deleted
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME, delegation/NAME
    #[arg(value_name = "NAME", required = true)]
    targets: Vec<Target>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = one_line)]
    reason: String,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    for target in &args.targets {
        match target.kind {
            Kind::Access => give_back::<AccessRequest>(&args, app, &cluster, &me, target).await?,
            Kind::Namespaces => give_back::<NamespaceRequest>(&args, app, &cluster, &me, target).await?,
            Kind::Federation => give_back::<Federation>(&args, app, &cluster, &me, target).await?,
            Kind::Delegation => end(&args, app, &cluster, &me, &target.name).await?,
        }
    }
    Ok(exit::DONE)
}

async fn end(args: &Args, app: &App, cluster: &Cluster, me: &Requester, name: &str) -> Result<(), Error> {
    let delegation = cluster.delegation(name).await?;
    match delegations::over(&delegation) {
        Some(over) => app.printer.say(&format!("{name} is over: {over}.")),
        None => {
            delegations::end(cluster, &delegation, me, &args.reason).await?;
            app.printer.say(&format!("Released {name}."));
        }
    }
    Ok(())
}

async fn give_back<R: Asked>(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    me: &Requester,
    target: &Target,
) -> Result<(), Error> {
    let request: R = named(cluster, target).await?;
    let name = request.name_any();
    match outcome(&request) {
        Some(ended) => app.printer.say(&format!("{name} is over: {ended}.")),
        None => {
            release(cluster, &request, me, &args.reason).await?;
            app.printer.say(&format!("Released {name}."));
        }
    }
    forget(app, &request);
    Ok(())
}
