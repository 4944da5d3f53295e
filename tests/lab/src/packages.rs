//! The programs that come from Debian packages: found, or installed after saying so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::requirements::Unmet;
use crate::run::{attached, command, on_path, output, say, succeeds};

/// Where CNI plugins lie: Debian's package, then the usual place elsewhere.
const CNI_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// Programs that root finds even when the user's PATH lacks the system folders.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// What is asked of a machine by one package.
enum Asks {
    /// All of these programs, wherever they come from.
    Programs(&'static [&'static str]),
    /// The plugins `bridge`, `host-local`, `portmap` and `loopback`.
    CniPlugins,
    /// A busybox that runs in an image that holds nothing else.
    StaticBusybox,
}

const PACKAGES: [(&str, Asks); 12] = [
    ("containerd", Asks::Programs(&["containerd", "ctr"])),
    ("runc", Asks::Programs(&["runc"])),
    ("containernetworking-plugins", Asks::CniPlugins),
    ("iptables", Asks::Programs(&["iptables", "iptables-save"])),
    ("conntrack", Asks::Programs(&["conntrack"])),
    ("busybox-static", Asks::StaticBusybox),
    ("iproute2", Asks::Programs(&["ip"])),
    ("openssl", Asks::Programs(&["openssl"])),
    ("util-linux", Asks::Programs(&["unshare", "nsenter", "setsid", "mount"])),
    ("tmux", Asks::Programs(&["tmux"])),
    ("zsh", Asks::Programs(&["zsh"])),
    ("fish", Asks::Programs(&["fish"])),
];

/// The PATH with the folders of system programs, for every component.
pub(crate) fn system_path() -> String {
    let mut path = std::env::var("PATH").unwrap_or_default();
    for folder in SYSTEM_FOLDERS {
        if !std::env::split_paths(&path).any(|known| known == Path::new(folder)) {
            path = format!("{path}:{folder}");
        }
    }
    path
}

/// The folder of the CNI plugins.
pub(crate) fn cni_folder() -> Option<PathBuf> {
    CNI_FOLDERS.iter().map(PathBuf::from).find(|folder| folder.join("bridge").is_file())
}

/// The static busybox of this machine.
pub(crate) fn busybox() -> Option<PathBuf> {
    let candidates = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    candidates.into_iter().find(|path| path.is_file() && is_static(path))
}

/// Installs what is missing.
pub(crate) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err(Unmet::one(format!(
            "these programs are missing, by the names of Debian's packages: {}. Without apt-get the lab cannot install \
             them; OZ_LAB_KUBECONFIG uses a cluster that is already there",
            missing.join(" ")
        )));
    }
    say(&format!("installing Debian packages: {}", missing.join(" ")));
    let had_service = containerd_enabled();
    let mut install = command(["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"]);
    install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr());
    if attached(&mut install).is_err() {
        say("the package lists may be old: apt-get update, then once more");
        attached(command(["apt-get", "update"]).stdout(std::io::stderr()))?;
        attached(&mut install).context("failed to install what the lab needs")?;
    }
    if missing.contains(&"containerd") && !had_service && on_path("systemctl") {
        // The lab runs containerds of its own; the package's service would only hold memory.
        let _ = output(&mut command(["systemctl", "disable", "--now", "containerd.service"]));
    }
    let still = self::missing();
    if still.is_empty() {
        Ok(())
    } else {
        Err(Unmet::one(format!("apt-get ran, but this is still missing: {}", still.join(" "))))
    }
}

fn containerd_enabled() -> bool {
    on_path("systemctl")
        && succeeds(&mut command(["systemctl", "is-enabled", "--quiet", "containerd.service"]))
}

fn missing() -> Vec<&'static str> {
    let lacks = |asks: &Asks| match asks {
        Asks::Programs(programs) => !programs.iter().all(|program| is_there(program)),
        Asks::CniPlugins => cni_folder().is_none(),
        Asks::StaticBusybox => busybox().is_none(),
    };
    PACKAGES.iter().filter(|(_, asks)| lacks(asks)).map(|(package, _)| *package).collect()
}

fn is_there(program: &str) -> bool {
    let path = system_path();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// ldd refuses what needs no loader.
fn is_static(program: &Path) -> bool {
    !succeeds(command(["ldd"]).arg(program))
}
