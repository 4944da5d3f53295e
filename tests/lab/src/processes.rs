//! Which processes belong to a cluster. They are found by what they are, in /proc, and never by a number that was written
//! down: a stranger who got the number of a process that died is not met.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// As this side of the sandbox numbers it.
    pub(crate) pid: u32,
    /// Its command line.
    pub(crate) arguments: Vec<String>,
    /// Its number in each namespace of process numbers, from here inwards.
    pub(crate) numbers: Vec<u32>,
    /// Names its namespace of process numbers.
    pub(crate) namespace: OsString,
}

impl Process {
    /// The program's own name.
    pub(crate) fn name(&self) -> &str {
        let program = self.arguments.first().map(String::as_str).unwrap_or_default();
        Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// All processes that can be seen and are not about to vanish.
pub(crate) fn all() -> Result<Vec<Process>> {
    let table = fs::read_dir("/proc").context("failed to read /proc")?;
    let pids = table.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(look).collect())
}

/// A process that ends while it is looked at is not there.
fn look(pid: u32) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let namespace = fs::read_link(folder.join("ns/pid")).ok()?.into_os_string();
    let line = fs::read(folder.join("cmdline")).ok()?;
    let arguments: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let numbers = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    Some(Process { pid, arguments, numbers, namespace })
}
