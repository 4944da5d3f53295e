//! The sandbox of a cluster: one process that holds a network, mount, process, host name and IPC namespace, in which every
//! part of the cluster runs.
//!
//! In it /var and /run are the cluster's own, so containerd, kubelet and the CNI plugins keep to their usual paths and
//! nothing of theirs reaches the machine. Its keeper is process 1 inside: when it is killed, the kernel ends every
//! process, mount, bridge and firewall rule of the cluster with it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::processes::{self, Process};
use crate::run::{command, output, succeeds};
use crate::{files, packages, wait};

/// Mounts, then waits for children for ever: as process 1 it inherits the orphans of containerd.
const KEEPER: &str = "set -e
mount --bind \"$1/var\" /var
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
ip link set lo up
: > /run/sandbox-ready
while :; do sleep 2147483647 & wait $!; done";

/// Starts a program that outlives the one who asked; its parent is then the keeper.
const LAUNCHER: &str = "log=$1; shift; setsid \"$@\" </dev/null >>\"$log\" 2>&1 &";

/// Mounting takes milliseconds; a busy machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The kernel ends all processes at once; those that write to a slow disk take a while to go.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A running sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    keeper: Process,
}

impl Sandbox {
    /// The one that runs for this cluster, if any.
    pub(crate) fn find(lab: &Lab) -> Result<Option<Sandbox>> {
        let keeper = keepers(lab)?.into_iter().find(|process| process.numbers.last() == Some(&1));
        Ok(keeper.map(|keeper| Sandbox { keeper }))
    }

    /// Makes one. There must be none.
    pub(crate) fn start(lab: &Lab) -> Result<Sandbox> {
        let var = lab.dir.join("var");
        for folder in ["lib", "log", "tmp", "cache"] {
            files::folder(&var.join(folder))?;
        }
        link("/run", &var.join("run"))?;
        link("/run/lock", &var.join("lock"))?;
        let log = std::fs::File::create(lab.log("sandbox")).context("failed to open the sandbox's log")?;
        command([
            "setsid",
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
        ])
        .args(["--mount-proc", "--propagation", "slave", "sh", "-c", KEEPER])
        .arg(mark(lab))
        .arg(&lab.dir)
        .env("PATH", packages::system_path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("failed to share the sandbox's log")?)
        .stderr(log)
        .spawn()
        .context("failed to start unshare")?;
        wait::until("the sandbox", START_LIMIT, || {
            let sandbox = Sandbox::find(lab)?;
            Ok(sandbox.filter(|sandbox| succeeds(&mut sandbox.command(["test", "-e", "/run/sandbox-ready"]))))
        })
    }

    /// A command that runs inside.
    pub(crate) fn command<I, S>(&self, words: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let mut inside = command(["nsenter", "--mount", "--pid", "--net", "--uts", "--ipc", "--target"]);
        inside.arg(self.keeper.pid.to_string()).arg("--").args(words).env("PATH", packages::system_path());
        inside
    }

    /// Starts a program inside that stays when the lab ends.
    pub(crate) fn launch(&self, words: &[String], log: &Path) -> Result<()> {
        let mut launch = self.command(["sh", "-c", LAUNCHER, "sh"]);
        output(launch.arg(log).args(words)).map(drop)
    }

    /// All processes inside but the keeper; containers' own included only where they share its numbering.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        let inside =
            |process: &Process| process.namespace == self.keeper.namespace && process.pid != self.keeper.pid;
        Ok(processes::all()?.into_iter().filter(inside).collect())
    }

    /// The keeper as this machine numbers it.
    pub(crate) fn pid(&self) -> u32 {
        self.keeper.pid
    }
}

/// Ends the sandbox with all that runs in it, and returns when it is gone.
pub(crate) fn stop(lab: &Lab) -> Result<()> {
    wait::until_true("the processes of the cluster to end", STOP_LIMIT, || {
        let keepers = keepers(lab)?;
        for process in &keepers {
            // Gone in between is what is wanted.
            let _ = output(&mut command(["kill", "-KILL", &process.pid.to_string()]));
        }
        Ok(keepers.is_empty())
    })
}

/// The keeper and the `unshare` that waits for it. Programs in the sandbox carry no such mark.
fn keepers(lab: &Lab) -> Result<Vec<Process>> {
    let mark = mark(lab);
    let holds = |process: &Process| {
        matches!(process.name(), "setsid" | "unshare" | "sh") && process.arguments.contains(&mark)
    };
    Ok(processes::all()?.into_iter().filter(holds).collect())
}

/// The argument by which this cluster's keeper is known, and no other's.
fn mark(lab: &Lab) -> String {
    format!("oz-lab:{}", lab.dir.display())
}

fn link(target: &str, at: &Path) -> Result<()> {
    match std::os::unix::fs::symlink(target, at) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("failed to link {}", at.display()))
        }
        _ => Ok(()),
    }
}
