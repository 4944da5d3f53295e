//! `cargo lab status`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::install::NAMESPACE;
use crate::lab::Lab;
use crate::{components, given, identities, kubectl};

/// The cluster runs, or is a given one and answers.
const UP: u8 = 0;
/// The cluster does not run, or not whole.
const DOWN: u8 = 3;

/// Prints whether the cluster is up, its processes, node and pods, and where the kubeconfigs are.
pub(super) fn run(lab: &Lab) -> Result<ExitCode> {
    let (text, code) = describe(lab)?;
    // A reader who has seen enough, as `head` has, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::from(code))
}

fn describe(lab: &Lab) -> Result<(String, u8)> {
    let mut text = String::new();
    if lab.given.is_some() {
        writeln!(text, "cluster {} is a given one\n{}", lab.name, given::answers(lab)?)?;
    } else {
        let Some(cluster) = Cluster::find(lab)? else {
            return Ok((format!("cluster {} is not up\n", lab.name), DOWN));
        };
        writeln!(text, "cluster {} is up at {}\n", lab.name, cluster.network.server())?;
        let processes = cluster.processes()?;
        for component in components::all(lab, cluster.network) {
            let pid = processes.iter().find(|process| process.name() == component.name);
            let pid = pid.map_or_else(|| "-".to_owned(), |process| process.pid.to_string());
            writeln!(text, "{:<24} {pid:>8}  {}", component.name, lab.log(component.name).display())?;
        }
        writeln!(text)?;
    }
    let pods = kubectl::say(lab, ["--namespace", NAMESPACE, "get", "pods", "-o", "wide"])?;
    let pods = if pods.is_empty() { format!("no pods in {NAMESPACE}\n") } else { pods };
    writeln!(text, "{}\n{pods}", kubectl::say(lab, ["get", "nodes", "-o", "wide"])?)?;
    for name in std::iter::once("admin").chain(identities::names()) {
        let path = lab.kubeconfig(name);
        let path = if path.is_file() { path.display().to_string() } else { "-".to_owned() };
        writeln!(text, "{name:<10} {path}")?;
    }
    Ok((text, UP))
}
