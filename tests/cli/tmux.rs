//! A terminal that draws: what is on the screen, not what was sent to it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::home::Home;
use crate::world::LIMIT;

/// Between two looks: each starts a process.
const PAUSE: Duration = Duration::from_millis(100);

/// A tmux server of its own with one window, 80 by 24. It ends when this is dropped.
pub(crate) struct Tmux<'a> {
    home: &'a Home,
    socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// Opens the window with a shell that runs this line.
    pub(crate) fn open(home: &'a Home, line: &str) -> Tmux<'a> {
        // A server that is ending still has its socket.
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let socket = home.path().join(format!("tmux-{}", OPENED.fetch_add(1, Ordering::Relaxed)));
        let tmux = Tmux { home, socket };
        let shell = format!("PS1='mine$ ' ENV= sh -c '{line}; echo code=$?; exec sleep 86400'");
        tmux.ask(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &shell]);
        tmux
    }

    /// The screen, without trailing blanks.
    pub(crate) fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// One of tmux's own words about the window, as `alternate_on`.
    pub(crate) fn is(&self, what: &str) -> String {
        self.ask(&["display-message", "-p", &format!("#{{{what}}}")]).trim().to_owned()
    }

    /// Types keys, by their names in tmux.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let mut words = vec!["send-keys"];
        words.extend(keys);
        self.ask(&words);
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Waits until the screen is as it should be.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is(&screen) {
                return screen;
            }
            assert!(start.elapsed() < LIMIT, "{what}: not so on\n{screen}");
            std::thread::sleep(PAUSE);
        }
    }

    fn ask(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(words);
        command.env_clear().envs(self.home.environment()).env("LC_ALL", "C.UTF-8");
        command.current_dir(self.home.path());
        let done = command.output().unwrap_or_else(|error| panic!("tmux: {error}; cargo lab up installs it"));
        assert!(done.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}
