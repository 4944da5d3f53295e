//! The controller as a process of this machine, and the machine itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oz_shared::names::SYSTEM_NAMESPACE;
use support::{Call, Identity};

/// The program as it lies in the image.
const IN_IMAGE: &str = "/oz-controller";

/// One controller.
#[derive(Debug, Clone)]
pub(crate) struct Controller {
    pid: u32,
    program: String,
    /// The name under which it holds the lease: its pod's. Empty outside pods.
    identity: String,
}

impl Controller {
    /// The one that leads: by the lease among those in pods of this machine, else one that runs outside any pod.
    pub(crate) async fn find(admin: &Identity) -> Result<Controller> {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/oz-controller");
        let lease = admin.call(Call::get(path)).await?;
        let holder = lease.body["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        let found = all();
        let leader = found.iter().find(|c| c.program == IN_IMAGE && c.identity == holder);
        // Other clusters' controllers are pods too: without the lease nothing tells them apart.
        let outside = || found.iter().find(|c| c.program != IN_IMAGE);
        match leader.or_else(outside) {
            Some(controller) => Ok(controller.clone()),
            None => bail!("the controller that leads ({holder}) is no process of this machine"),
        }
    }

    /// Resident memory now, and the most there ever was, in MB (10⁶ bytes).
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid)).context("the controller is gone")?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024.0 / 1e6)
        };
        field("VmRSS:").zip(field("VmHWM:")).context("the controller's memory cannot be read")
    }
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.program == IN_IMAGE { &self.identity } else { "outside the cluster" };
        write!(f, "{} (process {}, {place})", self.program, self.pid)
    }
}

fn all() -> Vec<Controller> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| controller(&entry.path(), entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn controller(folder: &Path, pid: u32) -> Option<Controller> {
    let command = fs::read(folder.join("cmdline")).ok()?;
    let program = String::from_utf8_lossy(command.split(|byte| *byte == 0).next()?).into_owned();
    let is_controller = Path::new(&program).file_name()? == "oz-controller";
    let environment = fs::read(folder.join("environ")).unwrap_or_default();
    let identity = environment.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"OZ_IDENTITY="));
    let identity = String::from_utf8_lossy(identity.unwrap_or_default()).into_owned();
    is_controller.then_some(Controller { pid, program, identity })
}

/// What the figures depend on: to be read before they are believed.
pub(crate) async fn machine(admin: &Identity) -> Vec<(&'static str, String)> {
    let unknown = |error: anyhow::Error| format!("unknown: {error:#}");
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let version = match admin.call(Call::get("/version")).await {
        Ok(answer) => answer.body["gitVersion"].as_str().unwrap_or("unknown").to_owned(),
        Err(error) => unknown(error),
    };
    let build = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
    vec![
        ("at", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("machine", format!("{processors} processors, load {} at the start", load())),
        ("cluster", format!("Kubernetes {version}")),
        ("controller", Controller::find(admin).await.map_or_else(unknown, |c| c.to_string())),
        ("oz-bench", build.to_owned()),
    ]
}

/// Runnable processes of the last minute, on average.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}
