//! `oz` as a program: its size, its start, and the wait of someone who types a command until he sees a prompt.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

use super::{WARM_UP, column, ms};
use crate::report::{Figure, Report};
use crate::world::{AUTOMATIC, World};

/// A start is short: more of them, and cheap.
const STARTS: u32 = 100;
/// No prompt comes later.
const PROMPT_LIMIT: Duration = Duration::from_secs(30);
/// What busybox's shell asks with, in `/`.
const PROMPTS: [&str; 2] = ["/ # ", "/ $ "];

/// The program, or why there is none.
fn oz() -> Result<PathBuf> {
    let path = std::env::var_os("OZ_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = path.context("OZ_BIN names no oz")?;
    if !path.is_file() {
        bail!("{} is not there", path.display());
    }
    Ok(path)
}

/// `oz` with nothing of this process's environment.
fn command(oz: &Path, home: &Path) -> Command {
    let mut command = Command::new(oz);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn size(report: &mut Report) {
    match oz().and_then(|oz| Ok(std::fs::metadata(oz)?.len())) {
        Ok(bytes) => report.add(Figure::OzSize, &[bytes as f64 / 1e6]),
        Err(error) => report.skip("size", &format!("{error:#}")),
    }
}

pub(crate) fn start(report: &mut Report) {
    let waits = || -> Result<Vec<f64>> {
        let (oz, home) = (oz()?, tempfile::tempdir()?);
        let mut waits = Vec::new();
        for round in 0..WARM_UP + STARTS {
            let start = Instant::now();
            let status = command(&oz, home.path()).arg("version").status().context("failed to start oz")?;
            if !status.success() {
                bail!("`oz version` ends with {status}");
            }
            if round >= WARM_UP {
                waits.push(ms(start.elapsed()));
            }
        }
        Ok(waits)
    };
    match waits() {
        Ok(waits) => report.add(Figure::OzStart, &waits),
        Err(error) => report.skip("start", &format!("{error:#}")),
    }
}

/// The program, if it can ask for access; where it cannot, that is said.
pub(crate) fn with_access_request(report: &mut Report) -> Result<Option<PathBuf>> {
    let home = tempfile::tempdir()?;
    let knows = |oz: &Path| command(oz, home.path()).args(["access-request", "--help"]).status();
    match oz() {
        Ok(oz) if knows(&oz)?.success() => return Ok(Some(oz)),
        Ok(oz) => report.skip("prompt", &format!("{} knows no `access-request`", oz.display())),
        Err(error) => report.skip("prompt", &format!("{error:#}")),
    }
    Ok(None)
}

/// How long it takes from a command of alice's to its prompt.
pub(crate) async fn until_prompt(world: &World, oz: &Path, args: &'static [&str]) -> Result<Duration> {
    // Afresh each time: `oz` adds a context for each loan, and a long file is another measure.
    let (oz, home) = (oz.to_owned(), tempfile::tempdir()?);
    write_kubeconfig(world, &home.path().join(".kube/config"))?;
    tokio::task::spawn_blocking(move || Terminal::open(&oz, home.path(), args)?.until_prompt()).await?
}

pub(crate) async fn prompt(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let Some(oz) = with_access_request(report)? else { return Ok(()) };
    let mut waits = Vec::new();
    for round in 0..WARM_UP + n {
        let wait = until_prompt(world, &oz, &["access-request", AUTOMATIC]).await?;
        if round >= WARM_UP {
            waits.push(wait);
        }
    }
    report.add(Figure::Prompt, &column(&waits, |wait| *wait));
    Ok(())
}

/// Alice's, with the namespace that her command is for.
fn write_kubeconfig(world: &World, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(world.lab.kubeconfig("alice"))
        .context("failed to read alice's kubeconfig")?;
    let mut config: Value = serde_yaml::from_str(&text)?;
    config["contexts"][0]["context"]["namespace"] = Value::String(world.ns.name.clone());
    std::fs::create_dir_all(path.parent().context("a path without a folder")?)?;
    Ok(std::fs::write(path, serde_yaml::to_string(&config)?)?)
}

/// `oz access-request` on a terminal of its own.
struct Terminal {
    start: Instant,
    output: std::sync::mpsc::Receiver<(Instant, Vec<u8>)>,
    input: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
}

impl Terminal {
    fn open(oz: &Path, home: &Path, args: &[&str]) -> Result<Terminal> {
        let size = PtySize { rows: 40, cols: 120, ..PtySize::default() };
        let pty = native_pty_system().openpty(size)?;
        let (mut reader, input) = (pty.master.try_clone_reader()?, pty.master.take_writer()?);
        let mut command = CommandBuilder::new(oz);
        command.args(args);
        command.env_clear();
        for (name, value) in
            [("HOME", home.as_os_str()), ("PATH", "/usr/bin:/bin".as_ref()), ("TERM", "xterm".as_ref())]
        {
            command.env(name, value);
        }
        command.cwd(home);
        let start = Instant::now();
        let child = pty.slave.spawn_command(command).context("failed to start oz on a terminal")?;
        drop(pty.slave);
        let (tell, output) = std::sync::mpsc::channel();
        // The terminal must stay open for as long as it is read; at its end reading fails.
        std::thread::spawn(move || {
            let _master = pty.master;
            let mut buffer = [0; 4096];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || tell.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                    break;
                }
            }
        });
        Ok(Terminal { start, output, input, child })
    }

    /// How long it took to the prompt; leaves the shell, and waits for the end of `oz`.
    fn until_prompt(mut self) -> Result<Duration> {
        let mut seen = Vec::new();
        let wait = loop {
            match self.output.recv_timeout(PROMPT_LIMIT.saturating_sub(self.start.elapsed())) {
                Ok((at, bytes)) => {
                    seen.extend(bytes);
                    let text = String::from_utf8_lossy(&seen);
                    if PROMPTS.iter().any(|prompt| text.contains(prompt)) {
                        break at.duration_since(self.start);
                    }
                }
                Err(_) => {
                    let _ = self.child.kill();
                    bail!("no prompt came; the terminal showed: {}", String::from_utf8_lossy(&seen).trim());
                }
            }
        };
        self.input.write_all(b"exit\r")?;
        self.input.flush()?;
        // Read on, or `oz` might wait for its terminal.
        let end = Instant::now();
        while self.output.recv_timeout(PROMPT_LIMIT.saturating_sub(end.elapsed())).is_ok() {}
        if self.child.try_wait()?.is_none() && end.elapsed() >= PROMPT_LIMIT {
            self.child.kill()?;
            bail!("oz did not end with its shell");
        }
        self.child.wait()?;
        Ok(wait)
    }
}
