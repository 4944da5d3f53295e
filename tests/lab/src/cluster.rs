//! A cluster of the lab's own: whether it runs, starting it, ending it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::components::{self, Component, FIRST, NODE};
use crate::configuration::{self, CONTAINERD, Config};
use crate::lab::{Lab, lock};
use crate::network::Network;
use crate::processes::Process;
use crate::requirements::Unmet;
use crate::run::{output, say, succeeds};
use crate::sandbox::{self, Sandbox};
use crate::{cgroups, files, images, kubectl, packages, pki, wait};

/// Where kube-proxy says that it has written its rules.
pub(crate) const PROXY_HEALTH: &str = "127.0.0.1:10256";

/// Seconds on an idle machine; minutes while compilers hold both cores.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// From a shell to the program that it becomes.
const LAUNCH_LIMIT: Duration = Duration::from_secs(10);
/// So much of a log shows why something died.
const LOG_LINES: usize = 15;

/// What is kept about a cluster from one command to the next.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its range of addresses.
    pub(crate) slot: u8,
    /// Changes with the binary, the settings and the configuration.
    fingerprint: String,
    /// Has it a node?
    node: bool,
}

/// A cluster that runs.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) sandbox: Sandbox,
    pub(crate) network: Network,
}

/// What this cluster would be made of now.
struct Blueprint {
    components: Vec<Component>,
    configs: Vec<Config>,
    cgroup: String,
    fingerprint: String,
}

impl Record {
    pub(crate) fn read(lab: &Lab) -> Result<Option<Record>> {
        Record::at(&lab.dir)
    }

    fn at(dir: &Path) -> Result<Option<Record>> {
        // What is not understood was cut short or is of another version: as good as none.
        Ok(files::read_if_there(&dir.join("cluster.json"))?.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

impl Cluster {
    /// The one that runs with all its parts.
    pub(crate) fn find(lab: &Lab) -> Result<Option<Cluster>> {
        let (Some(record), Some(sandbox)) = (Record::read(lab)?, Sandbox::find(lab)?) else {
            return Ok(None);
        };
        if record.node != lab.node {
            return Ok(None);
        }
        let cluster = Cluster { sandbox, network: Network::of(record.slot) };
        let whole = missing(&cluster.processes()?, &all_names(lab, cluster.network)).is_none();
        Ok(whole.then_some(cluster))
    }

    /// The components that run.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        self.sandbox.processes()
    }

    fn alive(&self, lab: &Lab, names: &[&str]) -> Result<()> {
        match missing(&self.processes()?, names) {
            None => Ok(()),
            Some(name) => Err(died(lab, name)),
        }
    }

    fn until(
        &self,
        lab: &Lab,
        what: &str,
        suspect: &str,
        names: &[&str],
        probe: impl Fn() -> bool,
    ) -> Result<()> {
        let waited = wait::until_true(what, READY_LIMIT, || {
            if probe() {
                return Ok(true);
            }
            self.alive(lab, names).map(|()| false)
        });
        // What died has told why; of what lives, the one most likely at fault is asked.
        let Err(error) = waited else { return Ok(()) };
        self.alive(lab, names)?;
        Err(anyhow!("{error:#}\n{}", last_words(lab, suspect)))
    }
}

/// Starts the cluster unless it runs as it would be started now. What an earlier one left behind is removed first.
pub(crate) fn ensure(lab: &Lab, kubernetes: &Path) -> Result<Cluster> {
    let cni = packages::cni_folder().context("the CNI plugins were there a moment ago")?;
    if let Some(cluster) = Cluster::find(lab)? {
        let blueprint = blueprint(lab, cluster.network, kubernetes, &cni);
        if Record::read(lab)?.is_some_and(|record| record.fingerprint == blueprint.fingerprint) {
            // It may have been interrupted on its way.
            await_ready(lab, &cluster)?;
            return Ok(cluster);
        }
        say("the cluster runs with other programs or settings: making it anew");
    } else if lab.dir.exists() {
        say("removing what an earlier cluster of that name left behind");
    }
    remove(lab)?;
    let started = Instant::now();
    let cluster = start(lab, kubernetes, &cni)?;
    say(&format!("cluster {} is up after {:.1} s", lab.name, started.elapsed().as_secs_f32()));
    Ok(cluster)
}

/// Ends the cluster and removes everything of it.
pub(crate) fn remove(lab: &Lab) -> Result<()> {
    let record = Record::read(lab)?;
    sandbox::stop(lab)?;
    if let Some(record) = record {
        Network::of(record.slot).remove();
        cgroups::remove(&cgroups::path(&lab.name, record.slot))?;
    }
    files::remove_folder(&lab.dir)
}

fn start(lab: &Lab, kubernetes: &Path, cni: &Path) -> Result<Cluster> {
    let (network, blueprint) = {
        // Two that start at the same moment must not choose the same range.
        let _lock = lock(&lab.state().join(".slots.lock"))?;
        let network = Network::choose(&recorded_slots(lab)?)?;
        let blueprint = blueprint(lab, network, kubernetes, cni);
        files::folder(&lab.dir.join("log"))?;
        let record =
            Record { slot: network.slot(), fingerprint: blueprint.fingerprint.clone(), node: lab.node };
        files::write(&lab.dir.join("cluster.json"), &serde_json::to_vec(&record)?)?;
        (network, blueprint)
    };
    say(&format!("starting cluster {} at {}", lab.name, network.server()));
    link_programs(lab, kubernetes, &blueprint.components)?;
    configuration::write(lab, &blueprint.configs)?;
    pki::make(lab, network)?;
    cgroups::make(&blueprint.cgroup)?;
    let sandbox =
        Sandbox::start(lab).map_err(|error| anyhow!("{error:#}\n{}", last_words(lab, "sandbox")))?;
    network.lay(&sandbox)?;
    let cluster = Cluster { sandbox, network };

    let (first, rest): (Vec<_>, Vec<_>) =
        blueprint.components.iter().partition(|component| FIRST.contains(&component.name));
    launch(lab, &cluster, &first)?;
    if lab.node {
        cluster.until(lab, "containerd", "containerd", &["containerd"], || {
            succeeds(&mut cluster.sandbox.command(["ctr", "--address", CONTAINERD, "version"]))
        })?;
        // While the API server is busy coming up.
        images::ensure(lab, &cluster.sandbox)?;
    }
    let first: Vec<_> = first.iter().map(|component| component.name).collect();
    cluster.until(lab, "the API server to be ready", "kube-apiserver", &first, || {
        kubectl::admin(lab, ["get", "--raw", "/readyz"]).is_ok_and(|mut command| succeeds(&mut command))
    })?;
    launch(lab, &cluster, &rest)?;
    await_ready(lab, &cluster)?;
    Ok(cluster)
}

fn launch(lab: &Lab, cluster: &Cluster, components: &[&Component]) -> Result<()> {
    for component in components {
        let launched = cluster.sandbox.launch(&component.words, &lab.log(component.name));
        launched.with_context(|| format!("failed to start {}", component.name))?;
    }
    // A process is a shell first: one that is not seen yet has not ended.
    for component in components {
        let seen = || Ok(missing(&cluster.processes()?, &[component.name]).is_none());
        wait::until_true(component.name, LAUNCH_LIMIT, seen).map_err(|_| died(lab, component.name))?;
    }
    Ok(())
}

/// Returns when a pod could run, where there is a node for it.
fn await_ready(lab: &Lab, cluster: &Cluster) -> Result<()> {
    let names = all_names(lab, cluster.network);
    if lab.node {
        cluster.until(lab, "the node to be ready", "kubelet", &names, || {
            let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            kubectl::say(lab, ["get", "node", NODE, "-o", ready]).is_ok_and(|status| status == "True")
        })?;
        cluster.until(lab, "kube-proxy to write its rules", "kube-proxy", &names, || {
            let url = format!("http://{PROXY_HEALTH}/healthz");
            succeeds(&mut cluster.sandbox.command(["busybox", "wget", "-q", "-O", "-", &url]))
        })?;
    }
    cluster.until(
        lab,
        "the controller manager to make service accounts",
        "kube-controller-manager",
        &names,
        || {
            kubectl::admin(lab, ["get", "serviceaccount", "default"])
                .is_ok_and(|mut command| succeeds(&mut command))
        },
    )
}

fn blueprint(lab: &Lab, network: Network, kubernetes: &Path, cni: &Path) -> Blueprint {
    let cgroup = cgroups::path(&lab.name, network.slot());
    let components = components::all(lab, network);
    let configs = configuration::all(lab, network, &cgroup, cni);
    let mut hash = Sha256::new();
    hash.update(kubernetes.display().to_string());
    for component in &components {
        hash.update(component.words.join("\n"));
    }
    for config in &configs {
        hash.update(&config.text);
    }
    let fingerprint = format!("{:x}", hash.finalize());
    Blueprint { components, configs, cgroup, fingerprint }
}

fn recorded_slots(lab: &Lab) -> Result<Vec<u8>> {
    let mut slots = Vec::new();
    for entry in fs::read_dir(lab.state()).context("failed to read the folder of all clusters")?.flatten() {
        slots.extend(Record::at(&entry.path()).ok().flatten().map(|record| record.slot));
    }
    Ok(slots)
}

/// The one binary under the name of each component.
fn link_programs(lab: &Lab, kubernetes: &Path, components: &[Component]) -> Result<()> {
    files::folder(&lab.bin())?;
    let own = components.iter().map(|component| component.name).filter(|name| *name != "containerd");
    for name in own.chain(["kubectl"]) {
        let link = lab.bin().join(name);
        std::os::unix::fs::symlink(kubernetes, &link)
            .with_context(|| format!("failed to link {}", link.display()))?;
    }
    Ok(())
}

fn all_names(lab: &Lab, network: Network) -> Vec<&'static str> {
    components::all(lab, network).iter().map(|component| component.name).collect()
}

fn missing<'a>(processes: &[Process], names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| !processes.iter().any(|process| process.name() == *name))
}

fn died(lab: &Lab, name: &str) -> anyhow::Error {
    anyhow!("{name} ended\n{}", last_words(lab, name))
}

/// The end of a component's log, and where the rest is.
fn last_words(lab: &Lab, name: &str) -> String {
    let path = lab.log(name);
    let text = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    format!("  the log of {name} ({}) ends:\n    {}", path.display(), last.join("\n    "))
}

/// The cluster, or what to do about there being none.
pub(crate) fn require(lab: &Lab) -> Result<Cluster> {
    match Cluster::find(lab)? {
        Some(cluster) => Ok(cluster),
        None => Err(Unmet::one(format!("cluster {} is not up: cargo lab --name {} up", lab.name, lab.name))),
    }
}

/// Runs a command in the sandbox for its output.
pub(crate) fn ctr<const N: usize>(sandbox: &Sandbox, words: [&str; N]) -> Result<String> {
    output(sandbox.command(["ctr", "--address", CONTAINERD, "--namespace", "k8s.io"]).args(words))
}
