//! `oz release`

use kube::ResourceExt as _;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{outcome, release};
use crate::output::one_line;
use crate::session::forget;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  oz release access-request-api-exec-7k2pd
  oz requests --mine -o name | xargs oz release";

/// Give back an access that you hold, or take back a request
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME
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
        let request = cluster.request(&target.name).await?;
        let name = request.name_any();
        match outcome(&request) {
            Some(ended) => app.printer.say(&format!("{name} is over: {ended}.")),
            None => {
                release(&cluster, &request, &me, &args.reason).await?;
                app.printer.say(&format!("Released {name}."));
            }
        }
        forget(app, &cluster.namespace, &name);
    }
    Ok(exit::DONE)
}
