//! Oz's own programs, built as they are released: optimized and without any library that an empty image would lack.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::run::{attached, command, output};

/// The programs under test.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) oz: PathBuf,
    pub(crate) controller: PathBuf,
}

/// Where they are, or will be.
pub(crate) fn find(lab: &Lab) -> Result<Programs> {
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = output(command([cargo()]).args(metadata).current_dir(&lab.workspace))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata gave no JSON")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata tells no target directory")?;
    let folder = PathBuf::from(target).join(host()?).join("release");
    Ok(Programs { oz: folder.join("oz"), controller: folder.join("oz-controller") })
}

/// Builds them; a moment if nothing changed.
pub(crate) fn build(lab: &Lab) -> Result<Programs> {
    let host = host()?;
    let mut build = command([cargo()]);
    build.args(["build", "--release", "--target", &host, "--package", "oz", "--package", "oz-controller"]);
    build.current_dir(&lab.workspace).stdout(std::io::stderr());
    build.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    attached(&mut build).context("failed to build Oz's programs")?;
    find(lab)
}

/// The cargo that runs the lab, so that one toolchain builds everything.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// This machine's target triple: naming it keeps the flags from build scripts and macros, which cannot be static.
fn host() -> Result<String> {
    let said = output(&mut command(["rustc", "-vV"]))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV tells no host")
}
