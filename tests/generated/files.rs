//! Which files are generated, and from what.

use std::path::{Path, PathBuf};

/// Path and content of every generated file.
pub(crate) fn generated() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for crd in oz_shared::custom_resource_definitions() {
        let yaml = serde_yaml::to_string(&serde_json::to_value(&crd)?)?;
        let text =
            format!("# Generated from shared/src by `cargo run -p oz-tests --bin oz-generate`.\n{yaml}");
        files.push((root.join(format!("manifests/crds/{}.yaml", crd.spec.names.plural)), text));
    }
    for (name, script) in oz::completions() {
        files.push((root.join("completions").join(name), script));
    }
    Ok(files)
}
