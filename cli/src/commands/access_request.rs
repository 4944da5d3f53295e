//! `oz access-request`

mod form;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use oz_shared::AccessRequest;

use crate::app::App;
use crate::asking::{Asking, PatienceArgs, Stop};
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked as _, Cluster};
use crate::output::{Format, clean, one_line};
use crate::session::{self, SessionArgs, admit, enter, fits};

const EXAMPLES: &str = "\
Examples:
  # A shell in a pod, as soon as someone agrees
  oz access-request api-exec --pod api-0 --reason INC-42

  # A shell in a copy of the database's pod, with its own memory and cores
  oz access-request db-shell -m 128Mi -c 2 --reason INC-42

  # A debugging container beside one pod's own
  oz access-request api-debug --pod api-0 --image busybox:1.36 --reason INC-42

  # A role, for kubectl
  oz access-request incident-view --duration 1h --reason INC-42

  # One command; its exit code becomes this program's, and the access ends with it
  oz access-request api-exec --reason INC-42 --rm -- id

  # Ask now, use it later
  oz access-request api-exec --reason INC-42 --duration 2h --wait none
  oz shell access-request-api-exec-7k2pd

  # In a script: wait until it is usable, then use the context it left in the kubeconfig
  oz access-request api-exec --reason nightly --wait ready -o json";

/// Ask for what a template offers, wait until it is granted, and open a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The template; chosen from a list when left out
    #[arg(index = 1)]
    template: Option<String>,
    /// The pod that is meant, instead of a ready one
    #[arg(long)]
    pod: Option<String>,
    /// The container that is meant
    #[arg(long)]
    container: Option<String>,
    /// Memory for the copy of the pod: 128Mi
    #[arg(short, long, value_name = "AMOUNT", value_parser = form::amount)]
    memory: Option<String>,
    /// Cores for the copy of the pod: 2, 500m
    #[arg(short, long, value_name = "AMOUNT", value_parser = form::amount)]
    cpu: Option<String>,
    /// The node for the copy of a DaemonSet's pod
    #[arg(long)]
    node: Option<String>,
    /// The image of the debugging container, one that the template offers
    #[arg(long)]
    image: Option<String>,
    /// For how long, from the approval on: 45m, 1h30m, 2d
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    duration: Option<SignedDuration>,
    /// Why, for those who decide and those who read later
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    reason: Option<String>,
    /// Wait for this and stop there, without a shell
    #[arg(long, value_name = "STATE")]
    wait: Option<Stop>,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Print the request in this form, and open no shell
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "command")]
    output: Option<Format>,
    #[command(flatten)]
    session: SessionArgs,
}

impl Args {
    pub(super) const fn runs_remote_command(&self) -> bool {
        !self.session.command.is_empty()
    }

    /// Where to stop without a shell; none: a shell.
    fn stop(&self) -> Option<Stop> {
        self.wait.or(self.output.map(|_| Stop::Ready))
    }
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    if args.wait.is_some() && args.runs_remote_command() {
        return Err(Error::usage("--wait stops before a command could run: leave out one of the two"));
    }
    let cluster = app.cluster().await?;
    let (me, template) =
        tokio::join!(cluster.whoami(), form::template(app, &cluster, args.template.as_deref()));
    let (me, (name, template)) = (me?, template?);
    if args.stop().is_none() {
        fits(app, template.as_ref(), &args.session.command)?;
    }
    let ask = form::ask(&args, app, &cluster, name, template.as_ref()).await?;

    let custody = app.custody.take();
    let asking = Asking {
        app,
        cluster: &cluster,
        me: &me,
        policy: template.as_ref(),
        stop: args.stop().unwrap_or(Stop::Ready),
        patience: args.patience,
        go_on: "oz shell",
    };
    let request = asking.ask(ask.request(&me), &ask.base()).await?;
    // A shell ends the access itself where that is asked for, so it must not be broken off unawares.
    let _custody = args.stop().is_none().then_some(custody);
    finish(&args, app, &cluster, &request).await
}

async fn finish(args: &Args, app: &App, cluster: &Cluster, request: &AccessRequest) -> Result<u8, Error> {
    let Some(stop) = args.stop() else { return enter(app, cluster, request, &args.session).await };
    if stop == Stop::Ready {
        let own = request.by_own_name();
        if !own {
            admit(app, cluster, request, args.session.kubeconfig).await?;
        }
        if own || !args.session.kubeconfig.no_kubeconfig {
            let template = cluster.template(&request.spec.template).await.ok();
            for line in session::kubectl_lines(request, template.as_ref()) {
                app.printer.say(&format!("  {line}"));
            }
        }
    }
    // Without -o the bare name: what `oz shell "$(oz access-request … --wait none)"` takes.
    match args.output {
        Some(format) => app.printer.data(&format.object(request)?)?,
        None => app.printer.data(&clean(&request.name_any()))?,
    }
    Ok(exit::DONE)
}
