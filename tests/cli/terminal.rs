//! `oz` on a terminal of its own, with someone who types and reads.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::home::{Home, program};
use crate::running::signal;
use crate::world::LIMIT;

/// What busybox's shell asks with, in `/` and as root.
pub(crate) const PROMPT: &str = "/ # ";

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(15);

/// The terminal's session is a shell's, as in life: were it that of `oz`, the system would reset the terminal at its end.
/// What the shell catches, `oz` gets with the system's default.
const SESSION: &str = r#"trap : INT TERM HUP; "$@"; echo "(oz ended: $?)"; while :; do read -r line; done"#;

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

/// A terminal and the `oz` on it, which is killed when this is dropped.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    input: Box<dyn std::io::Write + Send>,
    output: Arc<Mutex<Vec<u8>>>,
    /// What [`Terminal::until`] has found already.
    read: usize,
    before: String,
}

impl Terminal {
    /// Starts `oz`.
    pub(crate) fn open(home: &Home, args: &[&str]) -> Terminal {
        Terminal::with(home, args, &[])
    }

    /// The same with more in the environment.
    pub(crate) fn with(home: &Home, args: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", SESSION, "sh"]);
        command.arg(program());
        command.args(args);
        command.env_clear();
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        command.cwd(home.path());
        let before = settings(pty.master.as_ref());
        let mut reader = pty.master.try_clone_reader().unwrap();
        let input = pty.master.take_writer().unwrap();
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let output = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 {
                    break;
                }
                into.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Terminal { master: pty.master, child, input, output, read: 0, before }
    }

    /// All that was shown so far, escapes included.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Waits until this is shown, after what was waited for before. Gives what came up to its end.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let found = {
                let output = self.output.lock().unwrap();
                let rest = &output[self.read..];
                let at = rest.windows(text.len()).position(|window| window == text.as_bytes());
                at.map(|at| String::from_utf8_lossy(&rest[..at + text.len()]).into_owned())
            };
            if let Some(found) = found {
                self.read += found.len();
                return found;
            }
            let shown = || self.shown();
            assert!(start.elapsed() < LIMIT, "{text:?} was not shown: {}", shown().escape_debug());
            std::thread::sleep(PAUSE);
        }
    }

    /// Types.
    pub(crate) fn send(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Types a line, and waits for the prompt after what it printed. Gives all of that.
    pub(crate) fn line(&mut self, text: &str) -> String {
        self.send(&format!("{text}\r"));
        self.until("\n");
        self.until(PROMPT)
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.master.resize(PtySize { rows, cols: columns, ..PtySize::default() }).unwrap();
    }

    /// Sends `oz` a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.oz(), name);
    }

    /// Is the terminal raw?
    pub(crate) fn is_raw(&self) -> bool {
        settings(self.master.as_ref()) != self.before
    }

    /// Closes the window: the terminal is gone, for the shell and for `oz`.
    pub(crate) fn close(mut self) -> Orphan {
        let oz = self.oz();
        let _ = self.child.kill();
        let _ = self.child.wait();
        Orphan(oz)
    }

    fn oz(&self) -> u32 {
        let shell = self.child.process_id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        children.trim().parse().unwrap()
    }

    /// Waits for the end of `oz`: its exit code, having checked that the terminal is as it was before.
    pub(crate) fn end(&mut self) -> u32 {
        self.until("(oz ended: ");
        let code = self.until(")");
        assert_eq!(settings(self.master.as_ref()), self.before, "the terminal's settings");
        code.trim_end_matches(')').parse().unwrap()
    }
}

/// An `oz` whose terminal is gone.
pub(crate) struct Orphan(u32);

impl Orphan {
    /// Waits until it has ended.
    pub(crate) fn until_gone(&self) {
        let start = Instant::now();
        let is_there = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
            // One that nobody has asked for its end is a Z.
            status.contains("(oz)") && !status.contains(") Z ")
        };
        while is_there() {
            assert!(start.elapsed() < LIMIT, "oz does not end without its terminal");
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As `stty -a` shows them.
fn settings(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}
