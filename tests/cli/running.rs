//! A program that runs without a terminal: what it has said so far, signals to it, and its end.

use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::world::LIMIT;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(15);

type Collected = Arc<Mutex<Vec<u8>>>;

/// One that was started. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    words: String,
    stdout: Collected,
    stderr: Collected,
    readers: Vec<JoinHandle<()>>,
}

/// What it had said when it ended.
pub(crate) struct Said {
    /// The exit code; where a signal ended it, that signal's number, negative.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) bytes: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Said {
    /// Standard output as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out: String = self.stdout().chars().take(2000).collect();
        write!(f, "exit code {}\n--- stdout\n{out}\n--- stderr\n{}", self.code, self.stderr)
    }
}

impl Running {
    /// Starts it with this to read on standard input.
    pub(crate) fn start(command: Command, input: Vec<u8>) -> Running {
        let (running, mut stdin) = Running::waiting_for_input(command);
        // Whoever ends without reading everything is no failure here.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        running
    }

    /// Starts it with nobody who reads its standard output.
    pub(crate) fn unread(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::spawn(command);
        drop(running.child.stdout.take());
        running.collect();
        running
    }

    /// Starts it with a standard input that never ends. Keep what is given beside it for as long.
    pub(crate) fn waiting_for_input(mut command: Command) -> (Running, ChildStdin) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::spawn(command);
        let input = running.child.stdin.take().unwrap();
        running.collect();
        (running, input)
    }

    fn spawn(mut command: Command) -> Running {
        let words = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("failed to start {words}: {error}"));
        let (stdout, stderr) = (Collected::default(), Collected::default());
        Running { child, words, stdout, stderr, readers: Vec::new() }
    }

    fn collect(&mut self) {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        self.readers.extend(stdout.map(|pipe| reader(pipe, &self.stdout)));
        self.readers.extend(stderr.map(|pipe| reader(pipe, &self.stderr)));
    }

    /// Waits until standard error holds this.
    pub(crate) fn until_says(&mut self, text: &str) -> String {
        let stderr = Arc::clone(&self.stderr);
        self.until_holds(&stderr, text)
    }

    /// Waits until standard output holds this.
    pub(crate) fn until_prints(&mut self, text: &str) -> String {
        let stdout = Arc::clone(&self.stdout);
        self.until_holds(&stdout, text)
    }

    fn until_holds(&mut self, collected: &Collected, text: &str) -> String {
        let start = Instant::now();
        loop {
            let said = lossy(collected);
            if said.contains(text) {
                return said;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < LIMIT,
                "{} did not say {text:?} ({ended:?}): {said}",
                self.words
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends a signal by its name: `INT`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let said = || format!("{}\n{}", lossy(&self.stdout), lossy(&self.stderr));
            assert!(start.elapsed() < LIMIT, "{} does not end: {}", self.words, said());
            std::thread::sleep(PAUSE);
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let bytes = std::mem::take(&mut *self.stdout.lock().unwrap());
        Said { code: code(status), bytes, stderr: lossy(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(sent.success(), "SIG{name} was not sent");
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
}

fn lossy(bytes: &Collected) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}

fn reader(mut pipe: impl Read + Send + 'static, into: &Collected) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length) = pipe.read(&mut buffer) {
            if length == 0 {
                break;
            }
            into.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    })
}
