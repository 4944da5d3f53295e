//! `oz`: borrow access to a Kubernetes cluster, also as `kubectl oz`.
//!
//! [`run`] is the program; [`command`] is its grammar, for those who generate completions and reference pages from
//! it. Where things are: a command is a file in `commands`; what talks to the API server is in `kube`; the user's
//! kubeconfig in `kubeconfig`; all printing in `output`; all asking in `ui`; what a failure says and which code the
//! process ends with in `error` and `exit`.

mod app;
mod asking;
mod cache;
mod commands;
mod duration;
mod error;
mod exit;
mod installation;
mod kube;
#[allow(dead_code, unused_imports, reason = "an editor is written whole")]
mod kubeconfig;
mod nsplease;
mod output;
mod session;
mod settings;
mod signals;
mod target;
mod terminal;
mod ui;
mod waiting;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::app::App;
use crate::commands::Cli;
use crate::output::Printer;

/// The grammar of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The same of `nsplease`, which is this program under another name.
#[must_use]
pub fn nsplease_command() -> clap::Command {
    nsplease::command()
}

/// The static completion scripts, by the names that shells look for.
#[must_use]
pub fn completions() -> Vec<(&'static str, String)> {
    commands::static_completions()
}

/// Runs `oz` with these arguments, the first of which is the program's own name. The code is one of those in `exit`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if nsplease::is_meant(&args) {
        return nsplease::run(&args);
    }
    if commands::completion_answered(&args) {
        return ExitCode::SUCCESS;
    }
    let printer = Printer::new();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return printer.grammar(&error, &args, commands::remote_command_follows(&args)),
    };
    let app = App::new(cli.global, printer);
    let own_failure = cli.command.runs_remote_command();
    let result = commands::run(cli.command, &app);
    app.finish(result, own_failure)
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command();
    if is_kubectl_plugin(args.first()) {
        command = command.bin_name("kubectl oz").display_name("kubectl oz");
    }
    let matches = command.clone().try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// kubectl runs `kubectl-oz` for `kubectl oz`.
fn is_kubectl_plugin(program: Option<&OsString>) -> bool {
    let name = program.and_then(|p| Path::new(p).file_stem()).and_then(|n| n.to_str());
    name.is_some_and(|n| n.starts_with("kubectl-"))
}
