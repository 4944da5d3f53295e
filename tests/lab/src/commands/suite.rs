//! Commands that hand over to another program: the test suite, the benchmark, kubectl.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::{env, up};
use crate::lab::Lab;
use crate::run::command;
use crate::{cluster, kubectl, programs};

/// A program that was ended by a signal has no code of its own.
const KILLED: u8 = 1;

/// Starts the cluster, then runs the whole suite, or the benchmark, against it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Passed on as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// `cargo lab test`.
pub(super) fn test(lab: &Lab, args: &Args) -> Result<ExitCode> {
    prepare(lab)?;
    if lab.given.is_none() {
        up::away(lab)?;
    }
    let mut test = command([programs::cargo()]);
    test.args(["test", "--workspace", "--no-fail-fast"]);
    hand_over(test.args(&args.args).current_dir(&lab.workspace).envs(env::variables(lab)?))
}

/// `cargo lab bench`.
pub(super) fn bench(lab: &Lab, args: &Args) -> Result<ExitCode> {
    prepare(lab)?;
    let mut bench = command([programs::cargo()]);
    bench.args(["run", "--quiet", "--release", "--package", "oz-tests", "--bin", "oz-bench", "--"]);
    hand_over(bench.args(&args.args).current_dir(&lab.workspace).envs(env::variables(lab)?))
}

/// `cargo lab kubectl`.
pub(super) fn kubectl(lab: &Lab, args: &[OsString]) -> Result<ExitCode> {
    if lab.given.is_none() {
        cluster::require(lab)?;
    }
    hand_over(kubectl::admin(lab, [])?.args(args))
}

/// Tests run Oz's programs even where the cluster is bare.
fn prepare(lab: &Lab) -> Result<()> {
    up::run(lab, &up::Args::default())?;
    programs::build(lab).map(drop)
}

/// The other program's exit code becomes the lab's.
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().context("failed to start a program")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(KILLED)))
}
