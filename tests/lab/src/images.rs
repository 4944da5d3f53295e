//! Images made by hand, because no registry is at hand: an archive that containerd, kind, k3d and Docker all load, written
//! here byte by byte and the same each time, so that its digest says whether a cluster has it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::configuration::PAUSE;
use crate::lab::Lab;
use crate::run::{command, output, say};
use crate::sandbox::Sandbox;
use crate::{cluster, files, packages};

/// The controller under test.
pub(crate) const CONTROLLER: &str = "localhost/oz-controller:lab";
/// A small system with a shell.
const BUSYBOX: &str = "localhost/busybox:1";
/// One program and no shell, as distroless images are.
const NOSHELL: &str = "localhost/noshell:1";

/// Nobody in particular, as distroless images call it.
const NONROOT: &str = "65532:65532";
/// Longer than any test; `sleep infinity` is not known to every busybox.
const FOR_EVER: &str = "2147483647";

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// What goes into an image.
struct Recipe<'a> {
    name: &'a str,
    folders: &'a [(&'a str, u32)],
    files: Vec<(&'a str, u32, Vec<u8>)>,
    links: Vec<(String, &'a str)>,
    config: Value,
}

/// An image that is ready to be loaded.
struct Image {
    name: String,
    digest: String,
    archive: Vec<u8>,
}

/// Loads the images that tests use, where the cluster lacks them.
pub(crate) fn ensure(lab: &Lab, sandbox: &Sandbox) -> Result<()> {
    test_images()?.iter().try_for_each(|image| load(lab, sandbox, image).map(drop))
}

/// Loads the controller.
pub(crate) fn ensure_controller(lab: &Lab, sandbox: &Sandbox, program: &Path) -> Result<()> {
    let image = controller(program)?;
    if load(lab, sandbox, &image)? {
        say(&format!("loaded {CONTROLLER}"));
    }
    Ok(())
}

/// Writes all images into a folder, for a user to load them into a cluster of his own.
pub(crate) fn write_all(folder: &Path, program: &Path) -> Result<Vec<PathBuf>> {
    files::folder(folder)?;
    let mut images = test_images()?;
    images.push(controller(program)?);
    let write = |image: Image| {
        let name = image.name.trim_start_matches("localhost/").replace(':', "-");
        let path = folder.join(format!("{name}.tar"));
        files::write(&path, &image.archive).map(|()| path)
    };
    images.into_iter().map(write).collect()
}

/// Whether it had to be loaded.
fn load(lab: &Lab, sandbox: &Sandbox, image: &Image) -> Result<bool> {
    let table = cluster::ctr(sandbox, ["images", "list"])?;
    let is_there = table.lines().any(|line| {
        let mut columns = line.split_whitespace();
        columns.next() == Some(&image.name) && columns.nth(1) == Some(&image.digest)
    });
    // An archive that is still there was being loaded when somebody pressed Ctrl-C: the image may be half unpacked.
    let path = lab.dir.join(format!("{}.tar", image.name.replace(['/', ':'], "-")));
    if is_there && !path.exists() {
        return Ok(false);
    }
    files::write(&path, &image.archive)?;
    let loaded = cluster::ctr(sandbox, ["images", "import", &path.display().to_string()]);
    loaded.with_context(|| format!("failed to load {}", image.name))?;
    fs::remove_file(&path).context("failed to remove an archive")?;
    Ok(true)
}

fn test_images() -> Result<Vec<Image>> {
    let path = packages::busybox().context("there is no static busybox")?;
    let busybox = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let applets = output(command([&path]).arg("--list"))?;
    let links: Vec<(String, &str)> = applets
        .lines()
        .filter(|name| *name != "busybox")
        .map(|name| (format!("bin/{name}"), "busybox"))
        .collect();
    let system = |name, command: &[&str]| Recipe {
        name,
        folders: &[("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777)],
        files: vec![
            ("bin/busybox", 0o755, busybox.clone()),
            ("etc/group", 0o644, b"root:x:0:\nnonroot:x:65532:\n".to_vec()),
            (
                "etc/passwd",
                0o644,
                b"root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/home:/bin/sh\n".to_vec(),
            ),
        ],
        links: links.clone(),
        config: json!({"Cmd": command, "Env": ["PATH=/bin"]}),
    };
    let noshell = Recipe {
        name: NOSHELL,
        folders: &[("bin", 0o755)],
        // busybox is what its name says: this one can sleep and nothing else.
        files: vec![("bin/sleep", 0o755, busybox.clone())],
        links: Vec::new(),
        config: json!({"Entrypoint": ["/bin/sleep"], "Cmd": [FOR_EVER], "Env": ["PATH=/bin"]}),
    };
    [system(PAUSE, &["/bin/sleep", FOR_EVER]), system(BUSYBOX, &["/bin/sh"]), noshell]
        .iter()
        .map(image)
        .collect()
}

/// The program and nothing else.
fn controller(program: &Path) -> Result<Image> {
    let content = fs::read(program).with_context(|| format!("failed to read {}", program.display()))?;
    image(&Recipe {
        name: CONTROLLER,
        folders: &[],
        files: vec![("oz-controller", 0o755, content)],
        links: Vec::new(),
        config: json!({"Entrypoint": ["/oz-controller"], "User": NONROOT}),
    })
}

/// An archive that is an OCI layout and, for older programs, a Docker archive as well.
fn image(recipe: &Recipe<'_>) -> Result<Image> {
    let layer = layer(recipe).with_context(|| format!("failed to write the layer of {}", recipe.name))?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": recipe.config,
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        "history": [{"created_by": "cargo lab"}],
    });
    let config = serde_json::to_vec(&config)?;
    let describe =
        |kind: &str, blob: &[u8]| json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()});
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": describe(CONFIG_TYPE, &config),
        "layers": [describe(LAYER_TYPE, &layer)],
    }))?;
    let mut entry = describe(MANIFEST_TYPE, &manifest);
    entry["annotations"] =
        json!({"io.containerd.image.name": recipe.name, "org.opencontainers.image.ref.name": recipe.name});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]});
    let docker = json!([{"Config": blob(&config), "RepoTags": [recipe.name], "Layers": [blob(&layer)]}]);

    let mut archive = tar::Builder::new(Vec::new());
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    for (path, content) in [
        ("oci-layout".to_owned(), serde_json::to_vec(&layout)?),
        ("index.json".to_owned(), serde_json::to_vec(&index)?),
        ("manifest.json".to_owned(), serde_json::to_vec(&docker)?),
        (blob(&config), config.clone()),
        (blob(&layer), layer.clone()),
        (blob(&manifest), manifest.clone()),
    ] {
        append(&mut archive, &path, EntryType::Regular, 0o644, &content)?;
    }
    let archive = archive.into_inner().context("failed to write an archive")?;
    Ok(Image { name: recipe.name.to_owned(), digest: digest(&manifest), archive })
}

fn layer(recipe: &Recipe<'_>) -> Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    for (path, mode) in recipe.folders {
        append(&mut layer, &format!("{path}/"), EntryType::Directory, *mode, &[])?;
    }
    for (path, mode, content) in &recipe.files {
        append(&mut layer, path, EntryType::Regular, *mode, content)?;
    }
    for (path, target) in &recipe.links {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        layer.append_link(&mut header, path, target)?;
    }
    Ok(layer.into_inner()?)
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> Result<()> {
    let mut header = header(kind, mode, content.len() as u64);
    archive.append_data(&mut header, path, content).with_context(|| format!("failed to append {path}"))
}

/// Root's, and of no time: the same input is the same image.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// The content's name in the form that manifests use.
fn digest(content: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(content))
}

fn blob(content: &[u8]) -> String {
    format!("blobs/sha256/{:x}", Sha256::digest(content))
}

/// As Go, and so every container runtime, calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
