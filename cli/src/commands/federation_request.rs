//! `oz federation-request`

use jiff::SignedDuration;
use kube::core::ObjectMeta;
use oz_shared::request::Requester;
use oz_shared::template::ReasonPolicy;
use oz_shared::{Federation, FederationSpec};

use super::namespace_request::label;
use crate::app::App;
use crate::asking::{Asking, PatienceArgs, Stop};
use crate::error::Error;
use crate::exit;
use crate::kube::Asked as _;
use crate::output::{Format, clean, one_line, stamp};

const EXAMPLES: &str = "\
Examples:
  # A namespace site-a for a partner's cluster, and up to three more that it asks for itself
  oz federation-request site-a --class partner --organization slate --further 3 --duration 365d
  (umask 077; oz kubeconfig export fed/site-a --server https://api.example.com:6443 > site-a.yaml)

  # It also reads in the whole cluster, by a role that the class names
  oz federation-request site-a --class partner --organization slate --cluster-role node-reader

  # On the partner's side
  oz kubeconfig import site-a.yaml";

/// Let a partner's cluster in: a namespace, an account that renews its own token, and what else its class offers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The federation's name; unless a namespace is named, also that of its first one
    #[arg(value_name = "NAME", value_parser = label)]
    name: String,
    /// The class
    #[arg(long, value_name = "CLASS")]
    class: String,
    /// Whose partner it is
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    organization: String,
    /// What its cluster is called over there, unless it is NAME
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    cluster: Option<String>,
    /// What its first namespace is to be called, unless it is NAME
    #[arg(long = "first", value_name = "NAMESPACE", value_parser = label)]
    first: Option<String>,
    /// How many more it may have, by asking in the first one
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=100))]
    further: i32,
    /// The ClusterRole by which it reads in the whole cluster
    #[arg(long, value_name = "ROLE", default_value = "", hide_default_value = true)]
    cluster_role: String,
    /// For how long, from the approval on: 90d, 365d
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    duration: Option<SignedDuration>,
    /// Why, for those who decide and those who read later
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    reason: Option<String>,
    /// Wait for this and stop there
    #[arg(long, value_name = "STATE", default_value = "ready")]
    wait: Stop,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Print the request in this form
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let class = match cluster.policy::<Federation>(&args.class).await {
        Ok(class) => Some(class),
        // Who may ask for one need not be allowed to read it.
        Err(fault) if fault.code() == Some(403) => None,
        Err(fault) => return Err(Error::from(fault).hint("oz classes lists what there is")),
    };
    let mut reason = args.reason.clone().unwrap_or_default();
    let required = class.as_ref().is_some_and(|c| c.spec.reason == ReasonPolicy::Required);
    if required && reason.is_empty() {
        if !app.ui.interactive() {
            return Err(
                Error::usage(format!("{} asks for a reason", args.class)).hint("say why: --reason TEXT")
            );
        }
        reason = one_line(&app.ui.line("Reason")?).map_err(Error::usage)?;
    }
    let asking = Asking {
        app,
        cluster: &cluster,
        me: &me,
        policy: class.as_ref(),
        stop: args.wait,
        patience: args.patience,
        go_on: "oz describe",
    };
    let _custody = app.custody.take();
    let Some(federation) = asking.ask_named(asked(&args, &me, reason)).await? else {
        let message = format!("there is a federation {} already", args.name);
        return Err(Error::usage(message).hint(format!("oz describe fed/{}", args.name)));
    };
    if args.wait == Stop::Ready {
        ready(app, &federation);
    }
    match args.output {
        Some(format) => app.printer.data(&format.object(&federation)?)?,
        None => app.printer.data(&clean(&federation.target()))?,
    }
    Ok(exit::DONE)
}

fn asked(args: &Args, me: &Requester, reason: String) -> Federation {
    let or_name = |given: &Option<String>| given.clone().unwrap_or_else(|| args.name.clone());
    let spec = FederationSpec {
        organization: args.organization.clone(),
        cluster: or_name(&args.cluster),
        class: args.class.clone(),
        namespace: or_name(&args.first),
        further: args.further,
        cluster_role: args.cluster_role.clone(),
        duration: args.duration.map(oz_shared::duration::format).unwrap_or_default(),
        reason,
        requester: me.clone(),
        decisions: Vec::new(),
        rotations: 0,
        released: false,
        released_by: String::new(),
        release_reason: String::new(),
    };
    let metadata = ObjectMeta { name: Some(args.name.clone()), ..ObjectMeta::default() };
    Federation { metadata, spec, status: None }
}

/// What it has got, and how it is handed over.
fn ready(app: &App, federation: &Federation) {
    let status = federation.status.clone().unwrap_or_default();
    let first = status.namespaces.first().map(|n| n.name.clone()).unwrap_or_default();
    let until = status.expires_at.map(|t| format!(" until {}", stamp(t.0))).unwrap_or_default();
    let target = federation.target();
    app.printer.say(&format!("{} has namespace {}{until}.", federation.spec.organization, clean(&first)));
    let repeat = app.settings.repeat();
    app.printer.say(&format!("  hand it over:   (umask 077; oz kubeconfig export {target}{repeat} > FILE)"));
    app.printer.say("  over there:     oz kubeconfig import FILE");
    app.printer.say(&format!("  a new account:  oz rotate {target}{repeat}"));
    app.printer.say(&format!("  end it:         oz release {target}{repeat}"));
}
