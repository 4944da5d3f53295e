//! Which cluster the tests use. They never start one: `cargo lab` does.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Said by every test that finds no cluster, instead of passing.
pub const NO_CLUSTER: &str =
    "no cluster: run `cargo lab test`, or `cargo lab up` and `eval $(cargo lab env)`";

/// A running cluster with Oz installed in it.
#[derive(Debug, Clone)]
pub struct Lab {
    dir: PathBuf,
}

impl Lab {
    /// The cluster that `OZ_LAB_DIR` names.
    ///
    /// # Errors
    /// [`NO_CLUSTER`] when the variable is not set or no cluster's kubeconfigs lie there.
    pub fn find() -> Result<Lab> {
        let Some(dir) = std::env::var_os("OZ_LAB_DIR").filter(|dir| !dir.is_empty()) else {
            bail!(NO_CLUSTER)
        };
        Lab::at(PathBuf::from(dir))
    }

    /// Somebody else's cluster, which `OZ_LAB_AWAY_DIR` names: without Oz, with an authority of its own.
    ///
    /// # Errors
    /// When the variable is not set or no cluster's kubeconfigs lie there.
    pub fn away() -> Result<Lab> {
        let Some(dir) = std::env::var_os("OZ_LAB_AWAY_DIR").filter(|dir| !dir.is_empty()) else {
            bail!(
                "no second cluster: run `cargo lab test`, or set OZ_LAB_AWAY_DIR to a folder with kubeconfigs/admin.yaml of one"
            )
        };
        Lab::at(PathBuf::from(dir))
    }

    /// The cluster whose kubeconfigs lie in this folder.
    ///
    /// # Errors
    /// [`NO_CLUSTER`] when they do not.
    pub fn at(dir: PathBuf) -> Result<Lab> {
        let lab = Lab { dir };
        let admin = lab.kubeconfig("admin");
        if !admin.is_file() {
            bail!("{NO_CLUSTER} ({} is not there)", admin.display());
        }
        Ok(lab)
    }

    /// The kubeconfig of one identity: `admin`, `alice`, `bob`, `carol`, `dave` (certificates), `pipeline` (a token).
    #[must_use]
    pub fn kubeconfig(&self, who: &str) -> PathBuf {
        self.dir.join("kubeconfigs").join(format!("{who}.yaml"))
    }

    /// The `kubectl` to use: `KUBECTL`, or the one on the path.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        std::env::var_os("KUBECTL")
            .filter(|path| !path.is_empty())
            .map_or_else(|| "kubectl".into(), PathBuf::from)
    }
}
