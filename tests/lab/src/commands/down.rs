//! `cargo lab down`: nothing of the cluster remains.

use std::fs;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::requirements::{Unmet, is_root};
use crate::run::say;
use crate::{cluster, files, given};

/// Ends the cluster and removes everything of it: processes, mounts, network, control groups and files.
///
/// The built Kubernetes stays for the next time. From a given cluster (OZ_LAB_KUBECONFIG) what `up` made is removed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Every cluster of the lab, whatever its name.
    #[arg(long)]
    all: bool,

    /// Every cluster, and the built Kubernetes too.
    #[arg(long)]
    purge: bool,
}

pub(super) fn run(lab: &Lab, args: &Args) -> Result<()> {
    if let Some(path) = &lab.given {
        let _lock = lab.lock()?;
        given::down(lab, path)?;
        say("nothing of the lab is left in that cluster");
        return Ok(());
    }
    if !is_root()? {
        return Err(Unmet::one("root: it started the cluster. Use `sudo -E cargo lab down`"));
    }
    if args.all || args.purge {
        for name in names(lab)? {
            end(&Lab::new(&name, None)?)?;
        }
    } else {
        end(lab)?;
        // A name too long for one has none beside it.
        if let Ok(away) = lab.away()
            && away.dir.exists()
        {
            end(&away)?;
        }
    }
    // Where another cluster lives, it is not empty.
    let _ = fs::remove_dir(lab.state());
    if args.purge {
        files::remove_folder(&lab.cache)?;
        say(&format!("removed {}", lab.cache.display()));
    }
    Ok(())
}

fn end(lab: &Lab) -> Result<()> {
    let _lock = lab.lock()?;
    let there = lab.dir.exists();
    cluster::remove(lab)?;
    say(&format!("cluster {} {}", lab.name, if there { "is gone" } else { "is not there" }));
    Ok(())
}

/// The lab's own clusters, running or not.
fn names(lab: &Lab) -> Result<Vec<String>> {
    if !lab.state().is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(lab.state()).context("failed to read the folder of all clusters")?;
    let names = entries.flatten().filter(|entry| entry.path().is_dir());
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| Lab::new(name, None).is_ok()).collect())
}
