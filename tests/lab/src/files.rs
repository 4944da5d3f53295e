//! Writing files whole or not at all, and secrets for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Writes a file that anybody may read.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content, PUBLIC)
}

/// Writes a file that holds a secret.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content, PRIVATE)
}

/// Makes a folder and those above it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))
}

/// What a file holds, or nothing when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

/// Removes a folder with all that it holds; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = || -> std::io::Result<()> {
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?.write_all(content)?;
        fs::rename(&new, path)
    };
    written().with_context(|| format!("failed to write {}", path.display()))
}
