//! The commands, one file each: a doc comment that is the help, `Args`, and one function `run`. To add one: write its
//! file, name it in [`Command`] and in [`run`].

mod access_request;
mod approve;
mod check;
mod classes;
mod completion;
mod delegate;
mod deny;
mod describe;
mod enable;
mod extend;
mod federation_request;
mod grants;
mod install;
mod kubeconfig;
mod list;
mod migrate;
mod namespace_request;
mod pending;
mod release;
mod requests;
mod revoke;
mod rotate;
mod shell;
mod templates;
mod token;
mod uninstall;
mod version;

use std::ffi::OsString;

pub(crate) use self::completion::{answered as completion_answered, files as static_completions};
pub(crate) use self::namespace_request::{asked as asked_namespaces, label, unnamed};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::settings::GlobalArgs;

/// Borrow access to a Kubernetes cluster: asked for, agreed to, bounded in time, gone afterwards
#[derive(Debug, clap::Parser)]
#[command(
    name = "oz",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = exit::HELP
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    AccessRequest(access_request::Args),
    NamespaceRequest(namespace_request::Args),
    FederationRequest(federation_request::Args),
    Delegate(delegate::Args),
    Extend(extend::Args),
    Templates(templates::Args),
    Classes(classes::Args),
    Requests(requests::Args),
    Pending(pending::Args),
    Grants(grants::Args),
    Describe(describe::Args),
    Approve(approve::Args),
    Deny(deny::Args),
    Release(release::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
    Shell(shell::Args),
    Kubeconfig(kubeconfig::Args),
    Token(token::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
    Enable(enable::Args),
    Check(check::Args),
    Migrate(migrate::Args),
    Completion(completion::Args),
    Version(version::Args),
}

impl Command {
    /// Is the exit code that of a command in the pod?
    pub(crate) fn runs_remote_command(&self) -> bool {
        match self {
            Self::AccessRequest(args) => args.runs_remote_command(),
            Self::Shell(args) => args.runs_remote_command(),
            _ => false,
        }
    }
}

/// The same for a command line that could not be read.
pub(crate) fn remote_command_follows(args: &[OsString]) -> bool {
    let ours = args.split(|arg| arg == "--").next().unwrap_or_default();
    ours.len() < args.len() && ours.iter().any(|arg| arg == "access-request" || arg == "shell")
}

/// Runs a command. Those that talk to the cluster run inside [`App::block_on`].
///
/// # Errors
/// Whatever the command could not do.
pub(crate) fn run(command: Command, app: &App) -> Result<u8, Error> {
    match command {
        Command::AccessRequest(args) => app.block_on(access_request::run(args, app)),
        Command::NamespaceRequest(args) => app.block_on(namespace_request::run(args, app)),
        Command::FederationRequest(args) => app.block_on(federation_request::run(args, app)),
        Command::Delegate(args) => app.block_on(delegate::run(args, app)),
        Command::Extend(args) => app.block_on(extend::run(args, app)),
        Command::Classes(args) => app.block_on(classes::run(args, app)),
        Command::Templates(args) => app.block_on(templates::run(args, app)),
        Command::Requests(args) => app.block_on(requests::run(args, app)),
        Command::Pending(args) => app.block_on(pending::run(args, app)),
        Command::Grants(args) => app.block_on(grants::run(args, app)),
        Command::Describe(args) => app.block_on(describe::run(args, app)),
        Command::Approve(args) => app.block_on(approve::run(args, app)),
        Command::Deny(args) => app.block_on(deny::run(args, app)),
        Command::Release(args) => app.block_on(release::run(args, app)),
        Command::Rotate(args) => app.block_on(rotate::run(args, app)),
        Command::Revoke(args) => app.block_on(revoke::run(args, app)),
        Command::Shell(args) => app.block_on(shell::run(args, app)),
        Command::Kubeconfig(args) => app.block_on(kubeconfig::run(args, app)),
        Command::Token(args) => app.block_on(token::run(args, app)),
        Command::Install(args) => app.block_on(install::run(args, app)),
        Command::Uninstall(args) => app.block_on(uninstall::run(args, app)),
        Command::Enable(args) => app.block_on(enable::run(args, app)),
        Command::Check(args) => app.block_on(check::run(args, app)),
        Command::Migrate(args) => migrate::run(&args, app),
        Command::Completion(args) => completion::run(&args, app),
        Command::Version(args) => version::run(&args, app),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn a_command_for_the_pod_is_told_from_ours() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(remote_command_follows(&args("oz shell x --bad -- ls")));
        assert!(!remote_command_follows(&args("oz shell x --bad")));
        assert!(!remote_command_follows(&args("oz approve x --bad -- shell")));
    }
}
