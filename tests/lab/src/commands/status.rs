//! `cargo lab status`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::install::NAMESPACE;
use crate::lab::Lab;
use crate::{components, given, identities, kubectl};

/// The cluster does not run, or not whole.
const DOWN: u8 = 3;

/// Prints whether the cluster is up, its processes, node and pods, and where the kubeconfigs are.
pub(super) fn run(lab: &Lab) -> Result<ExitCode> {
    if lab.given.is_some() {
        println!("cluster {} is a given one\n{}", lab.name, given::answers(lab)?);
    } else {
        let Some(cluster) = Cluster::find(lab)? else {
            println!("cluster {} is not up", lab.name);
            return Ok(ExitCode::from(DOWN));
        };
        println!("cluster {} is up at {}\n", lab.name, cluster.network.server());
        let processes = cluster.processes()?;
        for component in components::all(lab, cluster.network) {
            let pid = processes.iter().find(|process| process.name() == component.name);
            let pid = pid.map_or_else(|| "-".to_owned(), |process| process.pid.to_string());
            println!("{:<24} {pid:>8}  {}", component.name, lab.log(component.name).display());
        }
        println!();
    }
    print!("{}", kubectl::say(lab, ["get", "nodes", "-o", "wide"])?);
    println!();
    let pods = kubectl::say(lab, ["--namespace", NAMESPACE, "get", "pods", "-o", "wide"])?;
    print!("{}", if pods.is_empty() { format!("no pods in {NAMESPACE}\n") } else { pods });
    println!();
    for name in std::iter::once("admin").chain(identities::names()) {
        let path = lab.kubeconfig(name);
        println!("{name:<10} {}", if path.is_file() { path.display().to_string() } else { "-".to_owned() });
    }
    Ok(ExitCode::SUCCESS)
}
