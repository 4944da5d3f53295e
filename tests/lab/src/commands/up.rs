//! `cargo lab up`: from nothing, from the ruins of a killed cluster, or from one that runs already, to one that is ready.

use anyhow::Result;

use crate::install::Controller;
use crate::lab::Lab;
use crate::programs::{self, Programs};
use crate::requirements::{self, Plan};
use crate::run::say;
use crate::{cluster, given, identities, images, install, kubernetes, packages};

/// Starts the cluster, installs Oz and makes identities; updates what is there already.
///
/// The first time on a machine Kubernetes is built, which takes some minutes. What a killed cluster of that name left
/// behind is removed first.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// The bare cluster with its identities, without Oz.
    #[arg(long)]
    no_oz: bool,
}

/// What became of Oz.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Oz {
    /// It is there and its controller is available.
    Installed,
    /// It was not asked for.
    Left,
}

/// The same for somebody else's cluster beside it: a control plane, and people, without Oz.
pub(super) fn away(lab: &Lab) -> Result<()> {
    run(&lab.away()?, &Args { no_oz: true })
}

pub(super) fn run(lab: &Lab, args: &Args) -> Result<()> {
    let _lock = lab.lock()?;
    let with_oz = !args.no_oz;
    let oz = match &lab.given {
        Some(path) => {
            let programs = with_oz.then(|| programs::build(lab)).transpose()?;
            given::up(lab, path, programs.as_ref())?
        }
        None => own(lab, with_oz)?,
    };
    let what = if oz == Oz::Installed { "Oz is installed" } else { "without Oz" };
    say(&format!("ready, {what}: export KUBECONFIG={}", lab.kubeconfig("admin").display()));
    Ok(())
}

fn own(lab: &Lab, with_oz: bool) -> Result<Oz> {
    let build = !kubernetes::binary(lab)?.is_file();
    let start = cluster::Cluster::find(lab)?.is_none();
    requirements::check(lab, &Plan { start, build })?;
    packages::ensure()?;
    let kubernetes = kubernetes::ensure(lab)?;
    let programs: Option<Programs> = with_oz.then(|| programs::build(lab)).transpose()?;
    let cluster = cluster::ensure(lab, &kubernetes)?;
    if lab.node {
        images::ensure(lab, &cluster.sandbox)?;
    }
    let mut oz = Oz::Left;
    if let Some(programs) = programs {
        images::ensure_controller(lab, &cluster.sandbox, &programs.controller)?;
        let controller =
            Controller { image: images::CONTROLLER, pull: "Never", program: &programs.controller };
        install::apply(lab, &controller)?;
        oz = Oz::Installed;
    }
    identities::ensure(lab)?;
    Ok(oz)
}
