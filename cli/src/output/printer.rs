//! Where printing happens. Nothing else in this crate writes to the standard streams, but a shell's own bytes.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::ErrorKind;

use super::escape::{clean, clean_lines};
use crate::error::Error;
use crate::exit;

/// Colour on standard error: on a terminal, unless NO_COLOR is set to anything.
pub(crate) fn color_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        && std::io::stderr().is_terminal()
}

/// Writes data to standard output and talk to standard error.
pub(crate) struct Printer {
    color: bool,
    raw: AtomicBool,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self { color: color_wanted(), raw: AtomicBool::new(false) }
    }

    /// While the terminal is raw a line must end with a carriage return as well.
    pub(crate) fn set_raw(&self, raw: bool) {
        self.raw.store(raw, Ordering::Relaxed);
    }

    /// A line, or lines, of data, exactly as given.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader who has gone is no failure, and ends the program.
    pub(crate) fn data(&self, text: &str) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Something for the person at the terminal.
    pub(crate) fn say(&self, text: &str) {
        self.talk("", "", text);
    }

    /// Something went wrong that does not stop the command.
    pub(crate) fn warn(&self, text: &str) {
        self.talk("\x1b[33m", "warning: ", text);
    }

    /// Why the command failed, and what to type next.
    pub(crate) fn error(&self, error: &Error) {
        if error.message.is_empty() {
            return;
        }
        // Lines of a message from elsewhere stand to the right: none of them passes for one of ours.
        let indented = |text: &str| text.replace('\n', "\n  ");
        self.talk("\x1b[31m", "error: ", &indented(&error.message));
        for hint in &error.hints {
            self.talk("", "hint: ", &indented(hint));
        }
    }

    /// clap's own answer to what was typed: help and version are data, the rest is a usage error. It quotes arguments as
    /// they are, and they may come from elsewhere, as with xargs.
    pub(crate) fn grammar(&self, error: &clap::Error, typed: &[OsString], own_failure: bool) -> ExitCode {
        let risky = |arg: &OsString| matches!(clean(&arg.to_string_lossy()), Cow::Owned(_));
        if error.use_stderr() && typed.iter().any(risky) {
            self.talk("", "", error.render().to_string().trim_end());
        } else {
            let _ = error.print();
        }
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::from(exit::DONE),
            _ if own_failure => ExitCode::from(exit::OWN_FAILURE),
            _ => ExitCode::from(exit::USAGE),
        }
    }

    /// Talk is best effort: where standard error is closed there is nobody to tell.
    fn talk(&self, style: &str, label: &str, text: &str) {
        let mut text = clean_lines(text);
        let mut end = "\n";
        if self.raw.load(Ordering::Relaxed) {
            text = text.replace('\n', "\r\n");
            end = "\r\n";
        }
        let mut err = std::io::stderr().lock();
        let _ = if self.color && !style.is_empty() {
            write!(err, "{style}{label}\x1b[0m{text}{end}")
        } else {
            write!(err, "{label}{text}{end}")
        };
    }
}
