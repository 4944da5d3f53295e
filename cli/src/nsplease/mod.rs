//! `nsplease`: the pipeline's way to a namespace. The same program under another name, and what it does can be done again
//! and again: the live request for that name is found, and a token minted anew.

mod given;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::{NamespaceRequest, NamespaceRequestSpec};

use self::given::{Given, origin};
use crate::app::App;
use crate::asking::{Asking, PatienceArgs, Stop};
use crate::commands::{asked_namespaces as asked, label, unnamed};
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, is_mine, mint, name_like, outcome, release};
use crate::output::{Printer, one_line};
use crate::settings::{GlobalArgs, Settings};

/// The class that is asked for where nothing else names one.
const CLASS: &str = "ci";
/// How often another name is tried where one is taken: whoever runs at the same time takes one each.
const ATTEMPTS: usize = 50;
/// The longest reason that the API takes, in characters.
const LONGEST_REASON: usize = 1024;

/// A namespace for a pipeline: asked for, waited for, and given back
#[derive(Debug, clap::Parser)]
#[command(
    name = "nsplease",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  nsplease request pr-17 --kubeconfig kube.yaml
  eval \"$(nsplease request pr-17 --class review --env)\"
  nsplease release pr-17

It acts as whatever credential kubectl would: KUBECONFIG, or in a pod its own account. Requests are made in the namespace
-n, or $REQUESTS_NAMESPACE, or that of the context or pod."
)]
struct Cli {
    /// The kubeconfig's context to use
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// Where requests are made
    #[arg(short, long, global = true, value_name = "NS")]
    namespace: Option<String>,
    /// How long one call of the API server may take
    #[arg(long, global = true, value_name = "TIME", value_parser = crate::duration::request_timeout)]
    request_timeout: Option<Duration>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Get the namespace, or a fresh token for it, and a kubeconfig that leads there
    Request(RequestArgs),
    /// Give it back: it is deleted with all that is in it
    Release {
        /// What it was asked for as
        #[arg(value_name = "NAME", value_parser = label)]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct RequestArgs {
    /// What the namespace is to be called
    #[arg(value_name = "NAME", value_parser = label)]
    name: String,
    /// The class; $NSPLEASE_CLASS, or ci, when left out
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// For how long, from the approval on: 45m, 8h, 2d
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    duration: Option<SignedDuration>,
    /// Why; the job's address when left out
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    reason: Option<String>,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Where to write the kubeconfig; nsplease-NAME.yaml when left out
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    form: FormArgs,
}

/// What is told to the CI system. The token stands in the kubeconfig alone.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct FormArgs {
    /// Print shell exports: KUBECONFIG and NSPLEASE_NAMESPACE
    #[arg(long)]
    env: bool,
    /// For GitHub Actions: mask the token, set the same for later steps, and the outputs kubeconfig and namespace
    #[arg(long)]
    github: bool,
    /// For GitLab CI: write the same to a dotenv file, nsplease.env when none is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "nsplease.env", require_equals = true)]
    gitlab: Option<PathBuf>,
}

/// The grammar of its command line.
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Was the program called by this name? Its kubeconfigs may have kubectl run it as `oz token`.
pub(crate) fn is_meant(args: &[OsString]) -> bool {
    let name = args.first().and_then(|p| Path::new(p).file_stem()).and_then(|n| n.to_str());
    name.is_some_and(|n| n.ends_with("nsplease")) && args.get(1).is_none_or(|arg| arg != "token")
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let printer = Printer::new();
    let cli = match <Cli as clap::Parser>::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return printer.grammar(&error, args, false),
    };
    let variable = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let settings = Settings {
        context: cli.context,
        namespace: cli.namespace.or_else(|| variable("REQUESTS_NAMESPACE")),
        ..GlobalArgs::default().into()
    };
    let settings = origin(Settings {
        request_timeout: cli.request_timeout.unwrap_or(settings.request_timeout),
        ..settings
    });
    let app = App { settings, ..App::new(GlobalArgs::default(), printer) };
    let result = match cli.command {
        Command::Request(args) => app.block_on(request(&args, &app)),
        Command::Release { name } => app.block_on(give_back(&name, &app)),
    };
    app.finish(result, false)
}

async fn request(args: &RequestArgs, app: &App) -> Result<u8, Error> {
    let class = args.class.clone().or_else(|| std::env::var("NSPLEASE_CLASS").ok());
    let class = class.filter(|c| !c.is_empty()).unwrap_or_else(|| CLASS.to_owned());
    // What cannot be told is better known before anything is asked for.
    let given = Given::prepare(args)?;
    let cluster = app.cluster().await?;
    let request = lent(args, &class, app, &cluster).await?;
    let token = mint(&cluster, &request).await?;
    given.tell(app, &cluster, &request, &token)?;
    Ok(exit::DONE)
}

/// Asks, unless that has been done, and waits.
async fn lent(
    args: &RequestArgs,
    class: &str,
    app: &App,
    cluster: &Cluster,
) -> Result<NamespaceRequest, Error> {
    let me = cluster.whoami().await?;
    let _custody = app.custody.take();
    let asking = Asking::<NamespaceRequest> {
        app,
        cluster,
        me: &me,
        policy: None,
        stop: Stop::Ready,
        patience: args.patience,
        go_on: "oz describe",
    };
    let spec = NamespaceRequestSpec {
        duration: args.duration.map(oz_shared::duration::format).unwrap_or_default(),
        reason: args.reason.clone().unwrap_or_else(|| reason(&args.name)),
        ..asked(class, vec![args.name.clone()], &me)
    };
    for _ in 0..ATTEMPTS {
        let all = requests(cluster).await?;
        let live = all.iter().find(|r| is_mine(*r, &me) && is_for(r, &args.name) && outcome(*r).is_none());
        if let Some(live) = live {
            if live.spec.class != class {
                let has = &live.spec.class;
                return Err(Error::usage(format!("you have {} already, of class {has}", args.name))
                    .hint(format!("nsplease release {}, or --class {has}", args.name)));
            }
            return asking.join(live.clone()).await;
        }
        let mut request = unnamed(spec.clone());
        request.metadata.name = Some(free(&args.name, &all));
        if let Some(made) = asking.ask_named(request).await? {
            return Ok(made);
        }
    }
    Err(Error::internal(format!("others ask for {} all the time: try again", args.name)))
}

async fn requests(cluster: &Cluster) -> Result<Vec<NamespaceRequest>, Error> {
    let api = cluster.asked::<NamespaceRequest>(Some(&cluster.namespace));
    Ok(cluster.call("list requests", api.list(&ListParams::default())).await?.items)
}

fn is_for(request: &NamespaceRequest, name: &str) -> bool {
    matches!(request.spec.namespaces.as_slice(), [only] if only == name)
        && request.metadata.deletion_timestamp.is_none()
}

/// `NAME`, or the first of `NAME-2`, `NAME-3` that no request is called, over or not. Two who run at once find the same,
/// and one of them gets it.
fn free(name: &str, all: &[NamespaceRequest]) -> String {
    let taken = |wanted: &String| all.iter().any(|r| r.name_any() == *wanted);
    let numbered = (2..).map(|n: u32| name_like(name, &n.to_string()));
    std::iter::once(name.to_owned()).chain(numbered).find(|n| !taken(n)).unwrap_or_default()
}

/// Where the job can be looked at, as its CI system tells.
fn reason(name: &str) -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let github = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
    };
    let told = github().or_else(|| variable("CI_JOB_URL")).or_else(|| variable("BUILD_URL"));
    let told = told.map(|t| t.chars().take(LONGEST_REASON).collect::<String>());
    told.and_then(|t| one_line(&t).ok()).unwrap_or_else(|| format!("nsplease request {name}"))
}

async fn give_back(name: &str, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let mut any = false;
    for request in requests(&cluster).await? {
        if is_mine(&request, &me) && is_for(&request, name) && outcome(&request).is_none() {
            release(&cluster, &request, &me, "the pipeline is done with it").await?;
            any = true;
        }
    }
    app.printer.say(&match any {
        true => format!("Released {name}."),
        false => format!("You have no {name}: nothing to release."),
    });
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds() {
        command().debug_assert();
    }

    #[test]
    fn it_is_known_by_its_name() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(is_meant(&args("/usr/bin/nsplease request x")) && is_meant(&args("kubectl-nsplease")));
        assert!(!is_meant(&args("oz request x")) && !is_meant(&args("/bin/nsplease token nsreq/x")));
        assert!(!is_meant(&[]));
    }

    #[test]
    fn names_of_requests_follow_one_another() {
        let all = |names: &[&str]| -> Vec<NamespaceRequest> {
            let spec = asked("c", vec!["x".to_owned()], &oz_shared::request::Requester::default());
            names.iter().map(|n| NamespaceRequest::new(n, spec.clone())).collect()
        };
        assert_eq!(free("pr-1", &all(&[])), "pr-1");
        assert_eq!(free("pr-1", &all(&["pr-1", "pr-1-3"])), "pr-1-2");
        let long = "a".repeat(63);
        assert_eq!(free(&long, &all(&[&long])).len(), 63);
    }
}
