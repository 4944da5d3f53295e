//! The control groups of a cluster's pods: made for the kubelet, removed after it. Version 1 (one tree a controller),
//! version 2 and both at once are the same here: a folder in each tree.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{files, wait};

/// A group is busy until the kernel has let go of its last process.
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);

/// The group above those of every cluster.
const ABOVE: &str = "oz-lab";

/// Its path from the top of each tree, as the kubelet wants it.
pub(crate) fn path(name: &str, slot: u8) -> String {
    format!("/{ABOVE}/{name}-{slot}")
}

/// Makes the group in every tree: the kubelet refuses to start below one that is not there.
pub(crate) fn make(path: &str) -> Result<()> {
    trees()?.iter().try_for_each(|tree| files::folder(&below(tree, path)))
}

/// Removes the group with those below it from every tree, and the one above when it is empty.
pub(crate) fn remove(path: &str) -> Result<()> {
    for tree in trees()? {
        wait::until_true(&format!("{path} to be free"), REMOVAL_LIMIT, || Ok(removed(&below(&tree, path))))?;
        // Another cluster's groups keep it, rightly.
        let _ = fs::remove_dir(tree.join(ABOVE));
    }
    Ok(())
}

fn below(tree: &Path, path: &str) -> PathBuf {
    tree.join(path.trim_start_matches('/'))
}

/// Folders of groups are removed one by one from the bottom; their files go with them.
fn removed(group: &Path) -> bool {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                removed(&entry.path());
            }
        }
    }
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Where the trees are mounted.
fn trees() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/mounts").context("failed to read /proc/mounts")?;
    let trees = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let at = words.next()?;
        matches!(words.next()?, "cgroup" | "cgroup2").then(|| PathBuf::from(at))
    });
    Ok(trees.collect())
}
