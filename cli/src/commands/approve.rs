//! `oz approve`

use kube::ResourceExt as _;
use oz_shared::request::Verdict;
use oz_shared::{AccessRequest, Federation, NamespaceRequest, Policy as _};

use super::describe::{Described, Page, about, terms};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, decide, is_mine, named, outcome};
use crate::output::one_line;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  oz approve access-request-api-exec-7k2pd
  oz approve access-request-api-exec-7k2pd --reason 'on call tonight' -y";

/// Say yes to a request, after seeing what would be granted
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME
    #[arg(value_name = "NAME", required = true)]
    targets: Vec<Target>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = one_line)]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    if !args.yes && !app.ui.interactive() {
        return Err(Error::usage("without a terminal nobody can be asked whether this is right")
            .hint("add -y to approve unasked"));
    }
    let cluster = app.cluster().await?;
    for target in &args.targets {
        match target.kind {
            Kind::Access => approve::<AccessRequest>(&args, app, &cluster, target).await?,
            Kind::Namespaces => approve::<NamespaceRequest>(&args, app, &cluster, target).await?,
            Kind::Federation => approve::<Federation>(&args, app, &cluster, target).await?,
            Kind::Delegation => {
                return Err(Error::usage("a delegation is asked of nobody, so there is nothing to decide")
                    .hint(format!("oz describe {target} shows it; oz revoke {target} ends it")));
            }
        }
    }
    Ok(exit::DONE)
}

async fn approve<R: Described>(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    target: &Target,
) -> Result<(), Error> {
    let request: R = named(cluster, target).await?;
    let name = request.name_any();
    let (me, policy) = tokio::join!(cluster.whoami(), cluster.policy::<R>(request.policy()));
    let me = me?;
    if let Some(ended) = outcome(&request) {
        return Err(Error::new(exit::ENDED, format!("there is nothing left to decide: {ended}")));
    }
    if request.decisions().iter().any(|d| d.by == me.username && d.decision == Verdict::Approve) {
        app.printer.say(&format!("You have approved {name} already."));
        return Ok(());
    }
    if is_mine(&request, &me) {
        return Err(Error::new(exit::DENIED, "denied: you asked for this, so someone else must decide it"));
    }
    // Who decides need not be allowed to read all classes: the request tells by which state of its own it offers.
    let told = request.status().is_some_and(|s| s.offered_by.is_some());
    let policy = match policy {
        Err(fault) if fault.code() == Some(403) && told => None,
        policy => Some(policy?),
    };
    let mut page = Page::default();
    about(&mut page, &request);
    let shown = terms(cluster, &request, policy.as_ref()).await;
    page.extend(shown.page);
    app.printer.say(&page.text());
    if !args.yes && !app.ui.confirm(&format!("Grant this to {}?", request.requester().username))? {
        app.printer.say("Nothing was decided.");
        return Ok(());
    }
    let Some(pin) = shown.pin else { return Err(Error::internal("what is asked under has no uid")) };
    let decided = decide(cluster, &request, &me, Verdict::Approve, &args.reason, pin).await?;
    let given = decided.decisions().iter().filter(|d| d.decision == Verdict::Approve).count();
    let of = policy.map(|p| format!(" of {}", p.consent().approvals)).unwrap_or_default();
    app.printer.say(&format!("Approved {} ({given}{of}).", decided.name_any()));
    Ok(())
}
