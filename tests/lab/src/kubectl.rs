//! kubectl against the cluster, as its administrator.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::requirements::Unmet;
use crate::run::{command, on_path, output, output_with};

/// The program: the lab's own, or for a given cluster the user's if there is one.
pub(crate) fn program(lab: &Lab) -> Result<PathBuf> {
    let own = lab.bin().join("kubectl");
    if lab.given.is_none() || own.exists() {
        return Ok(own);
    }
    if on_path("kubectl") {
        return Ok(PathBuf::from("kubectl"));
    }
    Err(Unmet::one("kubectl on the PATH, to reach the cluster that OZ_LAB_KUBECONFIG names"))
}

/// A call by the owner of that kubeconfig.
pub(crate) fn by<const N: usize>(lab: &Lab, who: &str, words: [&str; N]) -> Result<Command> {
    let mut kubectl = command([program(lab)?]);
    kubectl.arg("--kubeconfig").arg(lab.kubeconfig(who)).args(words);
    // Not in the user's home: it would be the only thing that outlives the cluster.
    kubectl.env("KUBECACHEDIR", lab.dir.join("cache"));
    Ok(kubectl)
}

/// A call by the administrator.
pub(crate) fn admin<const N: usize>(lab: &Lab, words: [&str; N]) -> Result<Command> {
    by(lab, "admin", words)
}

/// What the administrator's call prints.
pub(crate) fn say<const N: usize>(lab: &Lab, words: [&str; N]) -> Result<String> {
    output(&mut admin(lab, words)?)
}

/// An object or a list, or nothing when there is none.
pub(crate) fn get<const N: usize>(lab: &Lab, words: [&str; N]) -> Result<Option<Value>> {
    let text = output(admin(lab, ["get", "--ignore-not-found", "-o", "json"])?.args(words))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text).map(Some).context("kubectl get gave no JSON")
}

/// Applies objects with the lab as their manager.
pub(crate) fn apply(lab: &Lab, objects: &str) -> Result<String> {
    let words = ["apply", "--server-side", "--force-conflicts", "--field-manager", "oz-lab", "-f", "-"];
    output_with(&mut admin(lab, words)?, objects)
}
