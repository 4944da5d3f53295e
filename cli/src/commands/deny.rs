//! `oz deny`

use kube::{Resource as _, ResourceExt};
use oz_shared::request::{Requester, TemplatePin, Verdict};
use oz_shared::{AccessRequest, Federation, NamespaceRequest};

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, decide, named, outcome};
use crate::output::one_line;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  oz deny access-request-api-exec-7k2pd --reason 'use the read replica'";

/// Say no to a request, finally
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME
    #[arg(value_name = "NAME", required = true)]
    targets: Vec<Target>,
    /// Why, for who asked
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = one_line)]
    reason: String,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    for target in &args.targets {
        match target.kind {
            Kind::Access => deny::<AccessRequest>(&args, app, &cluster, &me, target).await?,
            Kind::Namespaces => deny::<NamespaceRequest>(&args, app, &cluster, &me, target).await?,
            Kind::Federation => deny::<Federation>(&args, app, &cluster, &me, target).await?,
            Kind::Delegation => {
                return Err(Error::usage("a delegation is asked of nobody, so there is nothing to decide")
                    .hint(format!("oz describe {target} shows it; oz revoke {target} ends it")));
            }
        }
    }
    Ok(exit::DONE)
}

async fn deny<R: Asked>(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    me: &Requester,
    target: &Target,
) -> Result<(), Error> {
    let request: R = named(cluster, target).await?;
    if let Some(ended) = outcome(&request) {
        return Err(Error::new(exit::ENDED, format!("there is nothing left to decide: {ended}")));
    }
    // A no holds whatever the template or class says, even where it is gone.
    let policy = cluster.policy::<R>(request.policy()).await.ok();
    let pin = TemplatePin {
        uid: policy.as_ref().and_then(ResourceExt::uid).unwrap_or_default(),
        generation: policy.and_then(|p| p.meta().generation).unwrap_or_default(),
    };
    decide(cluster, &request, me, Verdict::Deny, &args.reason, pin).await?;
    app.printer.say(&format!("Denied {}.", request.name_any()));
    Ok(())
}
