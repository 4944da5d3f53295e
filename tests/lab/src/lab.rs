//! Which cluster this is about and where its things lie. Nothing here touches the machine.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;
use crate::kubernetes::Version;
use crate::requirements::Unmet;

/// Long enough for a word or two, short enough for names derived from it.
const NAME_LIMIT: usize = 24;

/// What the name of somebody else's cluster ends with.
const AWAY: &str = "-away";

/// Folders of which the sandbox has its own: the lab's files cannot lie there.
const REPLACED: [&str; 2] = ["/var", "/run"];

/// One cluster of the lab.
#[derive(Debug)]
pub(crate) struct Lab {
    /// What the user calls it.
    pub(crate) name: String,
    /// All that belongs to this cluster.
    pub(crate) dir: PathBuf,
    /// What is built once a machine.
    pub(crate) cache: PathBuf,
    /// Where this checkout of Oz lies.
    pub(crate) workspace: PathBuf,
    /// A cluster that was there before: the lab neither starts nor stops it.
    pub(crate) given: Option<PathBuf>,
    /// The Kubernetes that `up` builds and starts.
    pub(crate) version: Version,
    /// Has it a node, or does `up` start a control plane alone?
    pub(crate) node: bool,
}

impl Lab {
    /// Finds the folders from the environment.
    pub(crate) fn new(name: &str, given: Option<PathBuf>) -> Result<Lab> {
        if !is_name(name) {
            return Err(Unmet::one(format!(
                "{name:?} is no name for a cluster: up to {NAME_LIMIT} of a-z, 0-9 and -, a letter or digit at both ends"
            )));
        }
        let state = base("XDG_STATE_HOME", ".local/state")?.join("oz-lab");
        let cache = base("XDG_CACHE_HOME", ".cache")?.join("oz-lab");
        let given = given.map(std::path::absolute).transpose().context("OZ_LAB_KUBECONFIG")?;
        if given.is_none() {
            for path in [&state, &cache] {
                if let Some(replaced) = REPLACED.iter().find(|replaced| path.starts_with(replaced)) {
                    return Err(Unmet::one(format!(
                        "{} lies under {replaced}, of which a cluster has its own: set XDG_STATE_HOME and XDG_CACHE_HOME",
                        path.display()
                    )));
                }
            }
        }
        // '@' is in no name: a given cluster never meets one of the lab's own.
        let dir = state.join(if given.is_some() { format!("{name}@given") } else { name.to_owned() });
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let workspace = workspace.canonicalize().context("this checkout is no longer where it was built")?;
        Ok(Lab {
            name: name.to_owned(),
            dir,
            cache,
            workspace,
            given,
            version: Version::default(),
            node: true,
        })
    }

    /// The folder of all clusters.
    pub(crate) fn state(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// The kubeconfig of one identity.
    pub(crate) fn kubeconfig(&self, who: &str) -> PathBuf {
        self.kubeconfigs().join(format!("{who}.yaml"))
    }

    /// The folder of the kubeconfigs.
    pub(crate) fn kubeconfigs(&self) -> PathBuf {
        self.dir.join("kubeconfigs")
    }

    /// The folder of links by which the one Kubernetes binary knows what to be.
    pub(crate) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The audit log of the API server, one JSON object a line.
    pub(crate) fn audit(&self) -> PathBuf {
        self.dir.join("audit.jsonl")
    }

    /// The log of one component.
    pub(crate) fn log(&self, component: &str) -> PathBuf {
        self.dir.join("log").join(format!("{component}.log"))
    }

    /// The control plane that tests use as somebody else's cluster.
    pub(crate) fn away(&self) -> Result<Lab> {
        let name = format!("{}{AWAY}", self.name);
        Ok(Lab { version: self.version, node: false, ..Lab::new(&name, None)? })
    }

    /// Holds this cluster for one `up` or `down` at a time, until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<Lock> {
        lock(
            &self
                .state()
                .join(format!(".{}.lock", self.dir.file_name().unwrap_or_default().to_string_lossy())),
        )
    }
}

/// A lock between processes, held until it is dropped. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held: who waits for it sees that the file is no longer the one of that name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Waits for and takes the lock of that file.
pub(crate) fn lock(path: &Path) -> Result<Lock> {
    if let Some(folder) = path.parent() {
        files::folder(folder)?;
    }
    loop {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("failed to open {}", path.display()))?;
        if file.try_lock().is_err() {
            crate::run::say("another lab command is at it, waiting for its end");
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        let held = file.metadata().with_context(|| format!("failed to look at {}", path.display()))?;
        if fs::metadata(path).is_ok_and(|named| named.ino() == held.ino()) {
            return Ok(Lock { path: path.to_owned(), _file: file });
        }
    }
}

fn base(variable: &str, below_home: &str) -> Result<PathBuf> {
    if let Some(set) = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(set);
    }
    match env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(below_home)),
        None => Err(Unmet::one(format!(
            "neither HOME nor {variable} is set: the lab knows no folder to write to"
        ))),
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=NAME_LIMIT).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_safe_as_parts_of_paths_and_arguments() {
        for good in ["oz", "two", "a", "site-a", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", "a@given", "abcdefghijklmnopqrstuvwxy"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
