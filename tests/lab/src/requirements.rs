//! What the machine must have before anything is started, and what to do when it lacks it.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::run::{command, on_path, output};

/// The parts take about 0.9 GB; the rest is for pods and for the compiler.
const MEMORY: u64 = 3 << 30;
/// Go's build cache after the first build is 6 GB, the modules 1.5 GB.
const DISK_TO_BUILD: u64 = 8 << 30;
/// From this version on Go fetches the toolchain that a module asks for.
const GO: (u32, u32) = (1, 21);

/// Things that the user must provide first. The lab exits with 2.
#[derive(Debug)]
pub(crate) struct Unmet(Vec<String>);

impl Unmet {
    /// One thing.
    pub(crate) fn one(what: impl Into<String>) -> anyhow::Error {
        Unmet(vec![what.into()]).into()
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            several => {
                f.write_str("this cannot work yet:")?;
                several.iter().try_for_each(|what| write!(f, "\n  - {what}"))
            }
        }
    }
}

impl std::error::Error for Unmet {}

/// What is about to be done, for which the machine has to be fit.
pub(crate) struct Plan {
    /// A cluster will be started, not only looked at.
    pub(crate) start: bool,
    /// Kubernetes will be built.
    pub(crate) build: bool,
}

/// Checks everything, and reports all that is missing at once.
pub(crate) fn check(lab: &Lab, plan: &Plan) -> Result<()> {
    let mut missing = Vec::new();
    if std::env::consts::OS != "linux" {
        missing.push(format!(
            "a Linux kernel: this is {}. Run the lab in a Linux machine, or set OZ_LAB_KUBECONFIG to an \
             administrator's kubeconfig of a cluster that is there (kind, k3d)",
            std::env::consts::OS
        ));
        return Err(Unmet(missing).into());
    }
    if !is_root()? {
        missing.push(
            "root: containers, bridges and mounts need it. Use `sudo -E cargo lab …`, or set OZ_LAB_KUBECONFIG to an \
             administrator's kubeconfig of a cluster that is there"
                .to_owned(),
        );
    }
    if plan.start {
        let available = available_memory()?;
        if available < MEMORY {
            missing.push(format!("memory: {} available, {} needed", gigabytes(available), gigabytes(MEMORY)));
        }
    }
    if plan.build {
        missing.extend(go_missing());
        let free = free_disk(&lab.cache)?;
        if free < DISK_TO_BUILD {
            missing.push(format!(
                "disk: {} free for {} and Go's build cache, {} needed for the first build (XDG_CACHE_HOME and GOCACHE \
                 may point elsewhere)",
                gigabytes(free),
                lab.cache.display(),
                gigabytes(DISK_TO_BUILD)
            ));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Unmet(missing).into()) }
}

/// Whether this process may do all on this machine.
pub(crate) fn is_root() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status").context("failed to read /proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    Ok(effective == Some("0"))
}

fn go_missing() -> Option<String> {
    let what = format!("Go {}.{} or newer on the PATH, to build Kubernetes (https://go.dev/dl)", GO.0, GO.1);
    if !on_path("go") {
        return Some(what);
    }
    let said = output(command(["go", "env", "GOVERSION"]).env("GOTOOLCHAIN", "local")).unwrap_or_default();
    match go_version(&said) {
        Some(version) if version >= GO => None,
        _ => Some(format!("{what}: the one there says {:?}", said.trim())),
    }
}

/// `go1.26.8` is (1, 26).
fn go_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn available_memory() -> Result<u64> {
    let table = fs::read_to_string("/proc/meminfo").context("failed to read /proc/meminfo")?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes << 10).context("/proc/meminfo tells no MemAvailable")
}

fn free_disk(folder: &Path) -> Result<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let table = output(command(["df", "--output=avail", "--block-size=1"]).arg(there))?;
    let bytes = table.lines().nth(1).and_then(|line| line.trim().parse().ok());
    bytes.with_context(|| format!("df tells no free space of {}", there.display()))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::go_version;

    #[test]
    fn versions_of_go_are_read_as_go_prints_them() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.21rc2"), Some((1, 21)));
        assert_eq!(go_version("devel +abc"), None);
    }
}
