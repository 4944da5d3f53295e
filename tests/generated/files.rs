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
    for mut command in [oz::command(), oz::nsplease_command()] {
        command.build();
        pages(&command, &root.join(MANUAL), &mut files)?;
    }
    Ok(files)
}

/// Where the manual pages are, which nothing but this makes.
pub(crate) const MANUAL: &str = "completions/man";

/// The manual page of a command, and those of the commands below it.
fn pages(command: &clap::Command, folder: &Path, files: &mut Vec<(PathBuf, String)>) -> anyhow::Result<()> {
    let page =
        clap_mangen::Man::new(command.clone()).manual("Oz").source(concat!("oz ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    files.push((folder.join(page.get_filename()), String::from_utf8(text)?));
    command.get_subcommands().try_for_each(|below| pages(below, folder, files))
}
