//! Kubernetes itself: one binary built from Go modules, once a machine, kept under the user's cache folder.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::files;
use crate::lab::{Lab, lock};
use crate::run::{command, say};

/// Which Kubernetes.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Version {
    /// What everything is tried on.
    #[default]
    #[value(name = "1.36")]
    V1_36,
    /// The oldest that Oz works on.
    #[value(name = "1.30")]
    V1_30,
}

impl Version {
    /// Its release, as in the file of its modules.
    fn release(self) -> &'static str {
        match self {
            Version::V1_36 => "v1.36.3",
            Version::V1_30 => "v1.30.14",
        }
    }

    /// The file of its modules, beside which lies that of their sums.
    fn modules(self) -> &'static str {
        match self {
            Version::V1_36 => "go.mod",
            Version::V1_30 => "1.30.mod",
        }
    }
}

/// Linked into both, or the scheduler refuses to start and kubectl calls itself v0.0.0.
const VERSION_PACKAGES: [&str; 2] = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// How often a build without a terminal says that it is alive.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);
/// How often the clock of a build on a terminal moves.
const TICK: Duration = Duration::from_millis(100);
/// Go's last words that are shown when it fails.
const LAST_WORDS: usize = 15;

/// Where the binary is, or will be.
pub(crate) fn binary(lab: &Lab) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    let modules = sources(lab).join(lab.version.modules());
    for path in [modules.with_extension("sum"), modules, sources(lab).join("main.go")] {
        hash.update(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
    }
    hash.update(link_flags(lab.version));
    let key = format!("{:x}", hash.finalize());
    Ok(lab.cache.join(format!("kubernetes-{}", &key[..16])).join("kc"))
}

/// Builds it, unless it is there.
pub(crate) fn ensure(lab: &Lab) -> Result<PathBuf> {
    let binary = binary(lab)?;
    if binary.is_file() {
        return Ok(binary);
    }
    let folder = binary.parent().context("the binary lies in a folder")?;
    let _lock = lock(&folder.with_extension("lock"))?;
    if binary.is_file() {
        return Ok(binary);
    }
    files::folder(folder)?;
    say(&format!(
        "building Kubernetes {} from Go modules, once on this machine: about 7 minutes on two cores, 6 GB of build cache",
        lab.version.release()
    ));
    let started = Instant::now();
    let new = folder.join("kc.new");
    build(lab, &new)?;
    fs::rename(&new, &binary).with_context(|| format!("failed to name {}", binary.display()))?;
    say(&format!("built {} in {} s", binary.display(), started.elapsed().as_secs()));
    Ok(binary)
}

fn sources(lab: &Lab) -> PathBuf {
    lab.workspace.join("tests/lab/kubernetes")
}

fn link_flags(version: Version) -> String {
    let release = version.release();
    let minor = release.split('.').nth(1).unwrap_or_default();
    let facts = [
        ("gitVersion", release),
        ("gitMajor", "1"),
        ("gitMinor", minor),
        ("gitTreeState", "clean"),
        ("gitCommit", "unknown"),
    ];
    let mut flags = "-s -w".to_owned();
    for package in VERSION_PACKAGES {
        for (name, value) in facts {
            flags.push_str(&format!(" -X {package}.{name}={value}"));
        }
    }
    flags
}

fn build(lab: &Lab, to: &Path) -> Result<()> {
    // -v names each package as it is compiled.
    let mut go = command(["go", "build", "-v", "-trimpath", "-modfile", lab.version.modules()]);
    go.args(["-ldflags", &link_flags(lab.version), "-o"])
        .arg(to)
        .arg(".")
        .current_dir(sources(lab))
        .env("CGO_ENABLED", "0");
    let mut go =
        go.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("failed to start go build")?;
    let progress = Progress::new();
    let mut last = VecDeque::new();
    if let Some(stderr) = go.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line.context("failed to read what go build says")?;
            progress.step(&line);
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = go.wait().context("failed to wait for go build")?;
    progress.bar.finish_and_clear();
    if !status.success() {
        bail!("go build: {status}\n  {}", Vec::from(last).join("\n  "));
    }
    Ok(())
}

/// A spinner with a clock on a terminal; elsewhere a line now and then.
struct Progress {
    bar: ProgressBar,
    plain: bool,
    started: Instant,
    packages: std::cell::Cell<u32>,
    said: std::cell::Cell<Instant>,
}

impl Progress {
    fn new() -> Progress {
        let plain = !std::io::stderr().is_terminal();
        let bar = if plain { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let now = Instant::now();
        Progress { bar, plain, started: now, packages: 0.into(), said: now.into() }
    }

    fn step(&self, package: &str) {
        self.packages.set(self.packages.get() + 1);
        let message = format!("package {}: {package}", self.packages.get());
        if self.plain && self.said.get().elapsed() >= PLAIN_INTERVAL {
            self.said.set(Instant::now());
            say(&format!("building Kubernetes, {} s, {message}", self.started.elapsed().as_secs()));
        }
        self.bar.set_message(message);
    }
}
