//! `oz shell`

use std::time::Duration;

use oz_shared::Request as _;
use oz_shared::{AccessRequest, Phase};

use crate::app::App;
use crate::error::Error;
use crate::kube::{Goal, named, outcome};
use crate::session::{SessionArgs, enter};
use crate::target::{Kind, Target};
use crate::waiting::wait;

/// How long a request that is not active yet is waited for. It expires by itself, mostly earlier.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  oz shell access-request-api-exec-7k2pd
  oz shell access-request-api-exec-7k2pd -- tail -n 20 /var/log/api.log
  tar c . | oz shell access-request-api-exec-7k2pd -- tar x -C /tmp";

/// Open a shell, or run a command, under an access that you hold
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The request: NAME, or accessrequest/NAME
    #[arg(index = 1, value_name = "NAME")]
    target: Target,
    #[command(flatten)]
    session: SessionArgs,
}

impl Args {
    pub(super) const fn runs_remote_command(&self) -> bool {
        !self.session.command.is_empty()
    }
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    if args.target.kind == Kind::Federation {
        return Err(Error::usage("a partner's access is for the partner to use")
            .hint(format!("oz kubeconfig export {} hands it over", args.target)));
    }
    if args.target.kind == Kind::Delegation {
        return Err(Error::usage(
            "a delegation has no credential of its own: whom it lends to holds it by his own name",
        ));
    }
    if args.target.kind == Kind::Namespaces {
        return Err(Error::usage("a lent namespace has no shell of its own")
            .hint(format!("oz kubeconfig update -n {} writes its context, for kubectl", cluster.namespace)));
    }
    let mut request: AccessRequest = named(&cluster, &args.target).await?;
    if let Some(ended) = outcome(&request) {
        let again =
            format!("ask again: oz access-request {} -n {}", request.spec.template, cluster.namespace);
        return Err(Error::from(ended).hint(again));
    }
    if request.phase() != Phase::Active {
        let template = cluster.template(&request.spec.template).await.ok();
        let note = "Ctrl-C leaves the request";
        let more = format!("oz describe {} -n {} tells more", args.target.name, cluster.namespace);
        request = wait(app, &cluster, request, template.as_ref(), (Goal::Ready, PATIENCE), note)
            .await
            .map_err(|ended| Error::from(ended).hint(more))?;
    }
    enter(app, &cluster, &request, &args.session).await
}
