//! `oz deny`

use kube::ResourceExt;
use oz_shared::request::{TemplatePin, Verdict};

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{decide, outcome};
use crate::output::one_line;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  oz deny access-request-api-exec-7k2pd --reason 'use the read replica'";

/// Say no to a request, finally
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME
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
        let request = cluster.request(&target.name).await?;
        if let Some(ended) = outcome(&request) {
            return Err(Error::new(exit::ENDED, format!("there is nothing left to decide: {ended}")));
        }
        // A no holds whatever the template says, even where it is gone.
        let template = cluster.template(&request.spec.template).await.ok();
        let pin = TemplatePin {
            uid: template.as_ref().and_then(ResourceExt::uid).unwrap_or_default(),
            generation: template.and_then(|t| t.metadata.generation).unwrap_or_default(),
        };
        decide(&cluster, &request, &me, Verdict::Deny, &args.reason, pin).await?;
        app.printer.say(&format!("Denied {}.", request.name_any()));
    }
    Ok(exit::DONE)
}
