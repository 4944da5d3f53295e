//! A cluster of a test's own, for what would take the others' away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context as _, Result, bail};
use support::{Afterwards, Lab, run};

/// A cluster of the lab that is taken down with this process.
pub(crate) struct Spare {
    pub(crate) lab: Lab,
    _down: Child,
}

impl Spare {
    /// Brings one up. None, saying so, where the cluster is not the lab's own.
    pub(crate) fn up(how: &[&str]) -> Result<Option<Spare>> {
        if std::env::var_os("OZ_LAB_KUBECONFIG").is_some_and(|path| !path.is_empty()) {
            println!(
                "not shown: this takes a cluster of its own, which only `cargo lab` without OZ_LAB_KUBECONFIG brings up"
            );
            return Ok(None);
        }
        let name = format!("spare-{}", run());
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let beside = PathBuf::from(std::env::var_os("OZ_LAB_DIR").context(support::lab::NO_CLUSTER)?);
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = workspace.join("Cargo.toml").display().to_string();
        let cargo = cargo.to_string_lossy().into_owned();
        let lab = [
            &cargo,
            "run",
            "--quiet",
            "--manifest-path",
            &manifest,
            "--package",
            "oz-lab",
            "--",
            "--name",
            &name,
        ];
        let down = Afterwards::default().then([&lab[..], &["down"]].concat()).arm()?;
        let up = Command::new(lab[0]).args(&lab[1..]).arg("up").args(how).status();
        if !up.context("failed to start cargo")?.success() {
            bail!("failed to bring up cluster {name}");
        }
        let lab = Lab::at(beside.with_file_name(&name))?;
        Ok(Some(Spare { lab, _down: down }))
    }
}
