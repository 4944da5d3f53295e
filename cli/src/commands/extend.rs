//! `oz extend`

use jiff::SignedDuration;
use oz_shared::namespace_request::RequestPin;
use oz_shared::{NamespaceRequest, NamespaceRequestSpec, Phase, Request as _};

use super::namespace_request::{How, asked, submit};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked as _, is_mine, outcome};
use crate::output::one_line;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  oz extend alice-try-4mz0q --duration 2d
  oz extend nsreq/alice-try-4mz0q --duration 1d --reason 'not done yet'";

/// Ask to keep namespaces for longer: the same ones, from the approval on
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The request by which you have them: NAME, or namespacerequest/NAME
    #[arg(value_name = "NAME")]
    target: Target,
    /// For how long, from the approval on: 45m, 8h, 2d
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    duration: Option<SignedDuration>,
    /// Why, instead of the reason given at first
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    reason: Option<String>,
    #[command(flatten)]
    how: How,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let (target, cluster) = (&args.target, app.cluster().await?);
    if target.kind != Kind::Namespaces && !target.bare {
        return Err(Error::usage(
            "only namespaces are extended: ask for the access again, with oz access-request",
        ));
    }
    let (me, old) = tokio::join!(cluster.whoami(), cluster.find::<NamespaceRequest>(&target.name));
    let (me, old) = (me?, old?);
    if !is_mine(&old, &me) {
        let holder = &old.spec.requester.username;
        return Err(Error::new(
            exit::DENIED,
            format!("denied: they are lent to {holder}, who alone can extend it"),
        ));
    }
    if let Some(ended) = outcome(&old) {
        return Err(Error::from(ended).hint(format!("ask again: {} -n {}", old.again(), cluster.namespace)));
    }
    if old.phase() != Phase::Active {
        return Err(Error::new(exit::NOT_READY, format!("{} is not granted yet", old.target())));
    }
    let status = old.status.clone().unwrap_or_default();
    let class = cluster.policy::<NamespaceRequest>(&old.spec.class).await.ok();
    let spec = NamespaceRequestSpec {
        owners: old.spec.owners.clone(),
        credential: old.spec.credential.clone(),
        extends: RequestPin { name: target.name.clone(), uid: old.metadata.uid.clone().unwrap_or_default() },
        duration: args.duration.map(oz_shared::duration::format).unwrap_or_default(),
        reason: args.reason.clone().unwrap_or_else(|| old.spec.reason.clone()),
        ..asked(&old.spec.class, status.namespaces.into_iter().map(|n| n.name).collect(), &me)
    };
    submit(&args.how, app, &cluster, &me, spec, class.as_ref()).await
}
