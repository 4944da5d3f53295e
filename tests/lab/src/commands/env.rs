//! `cargo lab env`, and the environment that tests get.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::{cluster, kubectl, programs};

/// Prints the lines that make a shell use the cluster: `eval "$(cargo lab env)"`.
pub(super) fn run(lab: &Lab) -> Result<()> {
    if lab.given.is_none() {
        cluster::require(lab)?;
    }
    for (name, value) in variables(lab)? {
        println!("export {name}={}", quoted(&value.to_string_lossy()));
    }
    println!("export KUBECONFIG={}", quoted(&lab.kubeconfig("admin").display().to_string()));
    let folders = [kubectl::program(lab)?, programs::find(lab)?.oz];
    let folders =
        folders.iter().filter_map(|program| program.parent()).filter(|folder| *folder != Path::new(""));
    let folders: Vec<String> = folders.map(|folder| quoted(&folder.display().to_string())).collect();
    println!("export PATH={}:\"$PATH\"", folders.join(":"));
    Ok(())
}

/// What tests, the demonstration and the benchmark find the cluster by.
pub(super) fn variables(lab: &Lab) -> Result<Vec<(&'static str, OsString)>> {
    let programs = programs::find(lab)?;
    let mut variables: Vec<(&str, OsString)> = vec![
        ("OZ_LAB_NAME", lab.name.clone().into()),
        ("OZ_LAB_DIR", lab.dir.clone().into()),
        ("OZ_BIN", programs.oz.into()),
        ("OZ_CONTROLLER_BIN", programs.controller.into()),
        ("KUBECTL", absolute(kubectl::program(lab)?)?.into()),
    ];
    if lab.given.is_none() {
        variables.push(("OZ_LAB_AUDIT", lab.audit().into()));
        variables.push(("OZ_LAB_AWAY_DIR", lab.away()?.dir.into()));
    }
    Ok(variables)
}

/// A test may clear its PATH.
fn absolute(program: PathBuf) -> Result<PathBuf> {
    if program.is_absolute() {
        return Ok(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(&program))
        .find(|path| path.is_file())
        .with_context(|| format!("{} is not on the PATH", program.display()))
}

/// For a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
