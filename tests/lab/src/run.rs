//! Running other programs: every failure names the command and carries what it said.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// Tells the user what happens next. On stderr, because stdout is data.
pub(crate) fn say(what: &str) {
    eprintln!("lab: {what}");
}

/// A command by its words, the first one being the program.
pub(crate) fn command<I, S>(words: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut words = words.into_iter();
    let mut command = match words.next() {
        Some(program) => Command::new(program),
        None => Command::new("true"),
    };
    command.args(words);
    command
}

/// Runs it to its end and gives its stdout; an exit code other than 0 is an error with what it wrote to stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    finish(command, None)
}

/// As [`output`], with `input` on its stdin.
pub(crate) fn output_with(command: &mut Command, input: &str) -> Result<String> {
    finish(command, Some(input))
}

/// Runs it with the user's terminal; an exit code other than 0 is an error.
pub(crate) fn attached(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("failed to start {line}"))?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// Whether it can be run and exits with 0.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of that name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn finish(command: &mut Command, input: Option<&str>) -> Result<String> {
    let line = line(command);
    let Output { status, stdout, stderr } =
        spawn(command, input).with_context(|| format!("failed to run {line}"))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        bail!("{line}: {status}: {}", said.trim());
    }
    String::from_utf8(stdout).map_err(|_| anyhow!("{line}: its output is not UTF-8"))
}

fn spawn(command: &mut Command, input: Option<&str>) -> Result<Output> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let Some((mut pipe, input)) = child.stdin.take().zip(input) else {
        return Ok(child.wait_with_output()?);
    };
    // Written from a thread: what answers while it still reads would otherwise fill its pipe and wait for ever.
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || pipe.write_all(input.as_bytes()));
        let output = child.wait_with_output();
        // A program that stops reading early says why by its exit code.
        let _ = writer.join();
        Ok(output?)
    })
}

/// The command as a reader would type it, shortened.
fn line(command: &Command) -> String {
    const LIMIT: usize = 200;
    let program = std::path::Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy().replace('\n', " "));
    }
    if line.chars().count() > LIMIT {
        line = line.chars().take(LIMIT).collect::<String>() + "…";
    }
    line
}
