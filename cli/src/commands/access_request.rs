//! `oz access-request`

mod form;

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, AccessTemplate};

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Ended, Fault, Goal, Withdrawn, submit, withdraw};
use crate::output::{Format, clean, one_line};
use crate::session::{self, SessionArgs, admit, by_own_name, enter, fits};
use crate::signals::Interrupts;
use crate::waiting::{self, approver_line};

/// How long a decision is waited for unless told otherwise: a template's own limit ends it earlier.
const PATIENCE: Duration = Duration::from_secs(3600);

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
    wait: Option<WaitFor>,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    timeout: Option<SignedDuration>,
    /// Leave the request when the waiting is broken off
    #[arg(long)]
    keep: bool,
    /// Print the request in this form, and open no shell
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "command")]
    output: Option<Format>,
    #[command(flatten)]
    session: SessionArgs,
}

/// Where to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WaitFor {
    /// Once it is asked for
    None,
    /// Once enough people agreed
    Approved,
    /// Once it can be used
    Ready,
}

impl Args {
    pub(super) const fn runs_remote_command(&self) -> bool {
        !self.session.command.is_empty()
    }

    /// Where to stop without a shell; none: a shell.
    fn stop(&self) -> Option<WaitFor> {
        self.wait.or(self.output.map(|_| WaitFor::Ready))
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
    let mut interrupts = Interrupts::new()?;
    let mut named = String::new();
    let waited = {
        let work = async {
            let request = submit(&cluster, &me, &ask, |name| {
                app.printer.say(&format!("Generating `{name}` CR..."));
                name.clone_into(&mut named);
            })
            .await
            .map_err(Failure::Unasked)?;
            wait(&args, app, &cluster, request, template.as_ref()).await.map_err(Failure::Unmet)
        };
        tokio::select! {
            done = work => done,
            interrupt = interrupts.next() => Err(Failure::Interrupted(interrupt)),
        }
    };
    let request = match waited {
        Ok(request) => request,
        Err(failure) => return Err(broken_off(&args, app, &cluster, &named, &me, failure).await),
    };
    // A shell ends the access itself where that is asked for, so it must not be broken off unawares.
    let _custody = args.stop().is_none().then_some(custody);
    finish(&args, app, &cluster, &request).await
}

/// Why nothing came of it.
enum Failure {
    Unasked(Fault),
    Unmet(Ended),
    Interrupted(crate::signals::Interrupt),
}

async fn finish(args: &Args, app: &App, cluster: &Cluster, request: &AccessRequest) -> Result<u8, Error> {
    let Some(stop) = args.stop() else { return enter(app, cluster, request, &args.session).await };
    if stop == WaitFor::Ready {
        let own = by_own_name(request);
        if !own {
            admit(app, cluster, request, &args.session).await?;
        }
        if own || !args.session.no_kubeconfig {
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

/// Waits, telling what happens.
async fn wait(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    request: AccessRequest,
    template: Option<&AccessTemplate>,
) -> Result<AccessRequest, Ended> {
    let goal = match args.stop() {
        Some(WaitFor::None) => {
            if template.is_none_or(|t| t.spec.approvals > 0) {
                app.printer.say(&approver_line(app, cluster, &request.name_any()));
            }
            return Ok(request);
        }
        Some(WaitFor::Approved) => Goal::Approved,
        Some(WaitFor::Ready) | None => Goal::Ready,
    };
    let limit = patience(args, template);
    let note = if args.keep { "Ctrl-C leaves the request" } else { "Ctrl-C withdraws" };
    waiting::wait(app, cluster, request, template, (goal, limit), note).await
}

/// As long as was said; else until the request expires by itself, which says more than giving up a moment earlier.
fn patience(args: &Args, template: Option<&AccessTemplate>) -> Duration {
    /// The controller is told of an expiry, and tells of it.
    const SLACK: Duration = Duration::from_secs(60);
    let parse =
        |text: &String| oz_shared::duration::parse(text).ok().and_then(|d| Duration::try_from(d).ok());
    let said = args.timeout.and_then(|t| Duration::try_from(t).ok());
    let own =
        template.and_then(|t| Some(parse(&t.spec.pending_timeout)? + parse(&t.spec.start_timeout)? + SLACK));
    said.or(own).unwrap_or(PATIENCE)
}

/// What becomes of the request when nobody waits for it any more.
async fn broken_off(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    name: &str,
    me: &Requester,
    failure: Failure,
) -> Error {
    let (error, withdraws) = match failure {
        Failure::Unasked(fault) => {
            // Without an answer it is not known whether the request was made.
            let unknown = matches!(fault, Fault::Timeout { .. });
            (Error::from(fault), unknown)
        }
        Failure::Unmet(ended) => {
            let withdraws = matches!(ended, Ended::TimedOut { .. });
            let describe = format!("oz describe {name} -n {} tells more", cluster.namespace);
            let error = Error::from(ended);
            (if withdraws { error } else { error.hint(describe) }, withdraws)
        }
        Failure::Interrupted(interrupt) => (Error::interrupted(interrupt), true),
    };
    if !withdraws || name.is_empty() {
        return error;
    }
    if args.keep {
        app.printer
            .say(&format!("The request stays: oz shell {name} -n {} goes on with it.", cluster.namespace));
        return error;
    }
    match withdraw(cluster, name, me).await {
        Ok(Withdrawn::Deleted) => app.printer.say(&format!("Withdrew {name}.")),
        Ok(Withdrawn::Released) => app.printer.say(&format!("Released {name}, which had been approved.")),
        Ok(Withdrawn::Over) => {}
        Err(fault) => {
            let why = Error::from(fault).message;
            app.printer.warn(&format!("{name} could not be withdrawn: {why}"));
            app.printer.say(&format!("  end it: oz release {name} -n {}", cluster.namespace));
        }
    }
    error
}
