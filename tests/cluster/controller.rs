//! A controller that a test owns: a process outside the cluster, with the token of the controller's own account, built
//! with its fault points. The one in the cluster is stopped meanwhile and comes back when the process ends.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex as Fast, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use oz_shared::names::SYSTEM_NAMESPACE;
use serde_json::json;
use support::{Afterwards, Call, Identity, Lab, eventually};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::world::{LIMIT, World, kubectl, scenario};

/// The built program with fault points; without it, it is built.
const PROGRAM: &str = "OZ_CONTROLLER_FAULT_BIN";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/oz-system/deployments/oz-controller";
/// Longer than all tests, in seconds.
const TOKEN_LIFE: i64 = 4 * 3600;
/// A pod of the controller has 30 s to end.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// One test at a time owns the controller.
static ONE: Mutex<()> = Mutex::const_new(());
static STOPPED: OnceCell<Child> = OnceCell::const_new();
static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
/// The logs of the controllers of the test that runs.
static LOGS: Fast<Vec<PathBuf>> = Fast::new(Vec::new());

/// The right to run controllers, while no other runs anywhere.
pub(crate) struct Controllers {
    program: PathBuf,
    dir: TempDir,
    _leftovers: Child,
    _one: Option<MutexGuard<'static, ()>>,
}

/// One that runs. It is killed when this is dropped.
pub(crate) struct Controller {
    child: Child,
    /// Where it serves /metrics and the others.
    pub(crate) address: std::net::SocketAddr,
}

/// Runs a test that owns the controller, in a world of its own.
pub(crate) async fn alone(subject: &str, body: impl AsyncFnOnce(&World, &Controllers)) {
    let controllers = Controllers::take().await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    scenario(subject, async |world| body(world, &controllers).await).await;
}

impl Controllers {
    async fn take() -> Result<Controllers> {
        let lab = Lab::find()?;
        let one = ONE.lock().await;
        let admin = Identity::from_kubeconfig(&lab.kubeconfig("admin")).await?;
        STOPPED.get_or_try_init(|| stop_deployment(&lab, &admin)).await?;
        LOGS.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(Controllers { _one: Some(one), ..Controllers::of(&lab).await? })
    }

    /// Those of a cluster that is this test's alone.
    pub(crate) async fn of(lab: &Lab) -> Result<Controllers> {
        let admin = Identity::from_kubeconfig(&lab.kubeconfig("admin")).await?;
        let built = BUILT.get_or_try_init(|| async { program() }).await?;
        let dir = tempfile::tempdir()?;
        let leftovers = leftovers(dir.path()).arm()?;
        // What was built may be built anew while the tests run.
        let program = dir.path().join("controller-under-test");
        if fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).context("failed to copy the controller")?;
        }
        let token = admin.mint(SYSTEM_NAMESPACE, "oz-controller", TOKEN_LIFE).await?;
        let mut kubeconfig: serde_json::Value =
            serde_yaml::from_str(&fs::read_to_string(lab.kubeconfig("admin"))?)?;
        for user in kubeconfig["users"].as_array_mut().into_iter().flatten() {
            user["user"] = json!({"token": token});
        }
        fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string())?;
        Ok(Controllers { program, dir, _leftovers: leftovers, _one: None })
    }

    /// Starts one.
    pub(crate) fn start(&self) -> Controller {
        self.spawn(None, &[])
    }

    /// Starts one with settings of its own, as environment variables; it kills itself before its write of this number, if any.
    pub(crate) fn start_with(&self, settings: &[(&str, &str)], kill_at: Option<u32>) -> Controller {
        self.spawn(kill_at, settings)
    }

    /// Starts one that kills itself before its write of this number, the first being 1.
    pub(crate) fn start_killed_at(&self, write: u32) -> Controller {
        self.spawn(Some(write), &[])
    }

    fn spawn(&self, kill_at: Option<u32>, settings: &[(&str, &str)]) -> Controller {
        // Another may take the port in between; then the controller says so and ends.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.dir.path().join(format!("{}.log", address.port()));
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(self.dir.path().join("kubeconfig"))
            .args(["--no-leader-election", "--http-address", &address.to_string()])
            .env_remove("OZ_KILL_AT_WRITE")
            .env("OZ_LOG", "oz_controller=debug,info")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        if let Some(write) = kill_at {
            command.env("OZ_KILL_AT_WRITE", write.to_string());
        }
        logs.push(log);
        Controller { child: command.spawn().unwrap(), address }
    }
}

impl Controller {
    /// Has it ended?
    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// As a power failure would.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn terminate(mut self) -> Result<ExitStatus> {
        let pid = self.child.id().to_string();
        if !Command::new("kill").args(["-TERM", &pid]).status()?.success() {
            bail!("failed to signal {pid}");
        }
        let child = &std::sync::Mutex::new(&mut self.child);
        eventually("the controller has ended", LIMIT, || async {
            let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            ended.map_err(|e| e.to_string())?.ok_or("it runs".to_owned())
        })
        .await
    }

    /// What it answers to GET: the status line's code, and the text.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let fault = |e: std::io::Error| e.to_string();
        let mut stream = tokio::net::TcpStream::connect(self.address).await.map_err(fault)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: controller\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(fault)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(fault)?;
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no answer")?;
        Ok((code, answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default()))
    }

    /// Waits until it is ready.
    pub(crate) async fn until_ready(&self) {
        eventually("the controller is ready", LIMIT, || async {
            match self.get("/readyz").await? {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a killed run of tests would leave: controllers at work, and their credential.
fn leftovers(dir: &Path) -> Afterwards {
    let dir = dir.display().to_string();
    Afterwards::default().then(["pkill", "-KILL", "-f", &format!("^{dir}/")]).then(["rm", "-rf", &dir])
}

/// The last lines of each log of this test's controllers.
pub(crate) fn last_words(lines: usize) -> String {
    let logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    for log in logs.iter().rev().take(3).rev() {
        let all = fs::read_to_string(log).unwrap_or_default();
        let skip = all.lines().count().saturating_sub(lines);
        text += &format!("controller {}:\n", log.display());
        text.extend(all.lines().skip(skip).map(|line| format!("  {line}\n")));
    }
    text
}

fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = workspace.join("target/fault");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "oz-controller",
            "--features",
            "fault-points",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&workspace)
        .status()
        .context("failed to start cargo")?;
    if !built.success() {
        bail!("failed to build the controller with fault points");
    }
    Ok(target.join("debug/oz-controller"))
}

/// Stops the controller in the cluster. What is given back starts it again when this process ends.
async fn stop_deployment(lab: &Lab, admin: &Identity) -> Result<Child> {
    let replicas =
        admin.call(Call::get(DEPLOYMENT)).await?.object()?["spec"]["replicas"].as_i64().unwrap_or(0);
    let scale =
        ["-n", SYSTEM_NAMESPACE, "scale", "deployment/oz-controller", &format!("--replicas={replicas}")];
    let guard = kubectl(lab, &scale).arm()?;
    stop(admin).await?;
    Ok(guard)
}

/// Stops the controller in the cluster for good.
pub(crate) async fn stop(admin: &Identity) -> Result<()> {
    admin.call(Call::merge(DEPLOYMENT, json!({"spec": {"replicas": 0}}))).await?.object()?;
    let pods = Call::get(format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods"))
        .query("labelSelector", "app.kubernetes.io/name=oz-controller");
    eventually("the controller's pods are gone", STOP_LIMIT, || async {
        let deployment = admin.call(Call::get(DEPLOYMENT)).await.map_err(|error| format!("{error:#}"))?;
        if deployment.body["status"]["observedGeneration"] != deployment.body["metadata"]["generation"] {
            return Err("the Deployment was not looked at yet".to_owned());
        }
        let there = admin.call(pods.clone()).await.map_err(|error| format!("{error:#}"))?;
        match there.body["items"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            count => Err(format!("{count:?} pods")),
        }
    })
    .await
}
