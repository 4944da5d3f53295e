//! What must be put right once the tests are over, however they end: passed, failed, aborted or killed.
//!
//! libtest has no last step, and a destructor does not run in a process that is killed. So a shell waits beside the tests
//! for the end of its standard input, which only this process holds, and then runs what it was given.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Ignores the signals that a terminal sends to the whole group; reads to the end; then runs its lines.
const WAIT: &str = "trap '' INT TERM HUP; cat >/dev/null; ";

/// A list of commands that run when this process has ended.
#[derive(Debug, Default)]
pub struct Afterwards {
    script: String,
}

impl Afterwards {
    /// Adds a command. Only its errors are shown; it runs also when an earlier one failed.
    #[must_use]
    pub fn then<I, S>(mut self, words: I) -> Afterwards
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let quoted: Vec<String> =
            words.into_iter().map(|word| quoted(&word.as_ref().to_string_lossy())).collect();
        self.script.push_str(&quoted.join(" "));
        self.script.push_str(" >/dev/null; ");
        self
    }

    /// Begins to wait. Keep the child for as long as the process lives: its standard input is what is waited for.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn arm(self) -> Result<Child> {
        Command::new("sh")
            .args(["-c", &format!("{WAIT}{}", self.script)])
            .stdin(Stdio::piped())
            .spawn()
            .context("failed to start sh")
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_when_nobody_holds_its_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's over");
        let mut child = Afterwards::default()
            .then(["false"])
            .then([OsStr::new("touch"), file.as_os_str()])
            .arm()
            .unwrap();
        assert!(!file.exists());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(file.exists());
    }
}
