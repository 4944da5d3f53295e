//! A cluster that was there before (kind, k3d, any administrator's kubeconfig): Oz is put in and taken out, and the cluster
//! itself is neither started nor stopped.

use std::env;
use std::path::Path;

use anyhow::{Context, Result};

use crate::commands::Oz;
use crate::images;
use crate::install::Controller;
use crate::lab::Lab;
use crate::programs::Programs;
use crate::requirements::Unmet;
use crate::run::{command, on_path, output};
use crate::{files, identities, install, kubectl};

/// Names the image of the controller that the user has loaded.
const IMAGE: &str = "OZ_LAB_IMAGE";

/// Makes identities there and installs Oz.
pub(crate) fn up(lab: &Lab, given: &Path, programs: Option<&Programs>) -> Result<Oz> {
    if !on_path("openssl") {
        return Err(Unmet::one("openssl on the PATH, to make keys"));
    }
    take_kubeconfig(lab, given)?;
    let mut oz = Oz::Left;
    if let Some(programs) = programs {
        let image = env::var(IMAGE).ok().filter(|image| !image.is_empty());
        let image = image.map_or_else(|| Err(explain(lab, programs)), Ok)?;
        let controller = Controller { image: &image, pull: "IfNotPresent", program: &programs.controller };
        install::apply(lab, &controller)?;
        oz = Oz::Installed;
    }
    identities::ensure(lab)?;
    Ok(oz)
}

/// Removes what [`up`] made.
pub(crate) fn down(lab: &Lab, given: &Path) -> Result<()> {
    if lab.dir.is_dir() {
        take_kubeconfig(lab, given)?;
        install::remove(lab)?;
        identities::remove(lab)?;
    }
    files::remove_folder(&lab.dir)
}

/// Whether the cluster answers.
pub(crate) fn answers(lab: &Lab) -> Result<String> {
    kubectl::say(lab, ["version"])
}

/// A copy with every certificate in it, of the current context alone.
fn take_kubeconfig(lab: &Lab, given: &Path) -> Result<()> {
    files::folder(&lab.kubeconfigs())?;
    let mut view = command([kubectl::program(lab)?]);
    view.arg("--kubeconfig").arg(given).args(["config", "view", "--raw", "--minify", "--flatten"]);
    let text = output(&mut view).with_context(|| format!("failed to read {}", given.display()))?;
    files::write_private(&lab.kubeconfig("admin"), text.as_bytes())
}

fn explain(lab: &Lab, programs: &Programs) -> anyhow::Error {
    let folder = lab.dir.join("images");
    let archives = match images::write_all(&folder, &programs.controller) {
        Ok(archives) => archives,
        Err(error) => return error,
    };
    let list = archives.iter().map(|path| format!("\n      {}", path.display())).collect::<String>();
    Unmet::one(format!(
        "the cluster's nodes cannot fetch the controller's image from this machine. Load these archives:{list}\n    \
         kind: `kind load image-archive FILE`; k3d: `k3d image import FILE`; containerd: \
         `ctr -n k8s.io images import FILE`\n    then say which image that is: {IMAGE}={} cargo lab up (again whenever \
         the controller has changed)",
        images::CONTROLLER
    ))
}
