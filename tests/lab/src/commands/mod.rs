//! The command line: one file a command.

mod down;
mod env;
mod status;
mod suite;
mod up;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub(crate) use self::up::Oz;
use crate::kubernetes::Version;
use crate::lab::Lab;

/// A real Kubernetes on this machine with Oz in it.
///
/// Everything is built from package registries: Kubernetes from Go modules, the container runtime from Debian's packages.
/// It takes Linux, root, Go and a few gigabytes; `cargo lab up` says what is missing. With OZ_LAB_KUBECONFIG set to an
/// administrator's kubeconfig (of kind, k3d, …) that cluster is used instead, and none of this is needed.
#[derive(Debug, Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Which cluster. Several run side by side without meeting.
    #[arg(long, global = true, env = "OZ_LAB_NAME", default_value = "oz", value_name = "NAME")]
    name: String,

    /// Which Kubernetes `up` starts, and with it `test`, `bench` and `demo`. A cluster of another one is made anew.
    #[arg(
        long,
        global = true,
        env = "OZ_LAB_KUBERNETES",
        value_enum,
        default_value_t,
        value_name = "VERSION"
    )]
    kubernetes: Version,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Status,
    Test(suite::Args),
    Bench(suite::Args),
    Demo,
    Kubectl(KubectlArgs),
    Env,
}

/// Runs kubectl as the administrator of the cluster.
#[derive(Debug, clap::Args)]
struct KubectlArgs {
    /// Passed on as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let given = std::env::var_os("OZ_LAB_KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let lab = Lab { version: cli.kubernetes, ..Lab::new(&cli.name, given)? };
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        Command::Up(args) => up::run(&lab, &args).map(done),
        Command::Down(args) => down::run(&lab, &args).map(done),
        Command::Status => status::run(&lab),
        Command::Test(args) => suite::test(&lab, &args),
        Command::Bench(args) => suite::bench(&lab, &args),
        Command::Demo => {
            up::run(&lab, &up::Args::default())?;
            crate::demo::run(&lab).map(done)
        }
        Command::Kubectl(args) => suite::kubectl(&lab, &args.args),
        Command::Env => env::run(&lab).map(done),
    }
}
