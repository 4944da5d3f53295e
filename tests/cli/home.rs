//! Someone's machine: an empty home with a kubeconfig in it, and `oz` started with nothing else in its environment.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::Lab;
use tempfile::TempDir;

use crate::running::{Running, Said};
use crate::world::World;

/// What the suite runs.
const PROGRAM: &str = "OZ_BIN";

/// A home, and whose it is.
pub(crate) struct Home {
    dir: TempDir,
    kubectl: PathBuf,
}

impl Home {
    /// With this person's kubeconfig, whose namespace is the test's.
    pub(crate) fn of(world: &World, who: &str) -> Home {
        Home::with(world, who, |_| ())
    }

    /// The same with another address for the cluster. The certificate is still that of the real one.
    pub(crate) fn by_way_of(world: &World, who: &str, address: std::net::SocketAddr) -> Home {
        Home::with(world, who, |config| {
            let cluster = &mut config["clusters"][0]["cluster"];
            let (host, _) = host_and_port(cluster["server"].as_str().unwrap());
            if cluster["tls-server-name"].is_null() {
                cluster["tls-server-name"] = json!(host);
            }
            cluster["server"] = json!(format!("https://{address}"));
        })
    }

    /// The same with something else changed in it.
    pub(crate) fn with(world: &World, who: &str, change: impl FnOnce(&mut Value)) -> Home {
        Home::in_cluster(&world.lab, who, |config| {
            config["contexts"][0]["context"]["namespace"] = json!(world.ns.name);
            change(config);
        })
    }

    /// With this person's kubeconfig for that cluster.
    pub(crate) fn in_cluster(lab: &Lab, who: &str, change: impl FnOnce(&mut Value)) -> Home {
        let text = fs::read_to_string(lab.kubeconfig(who)).unwrap();
        let mut config: Value = serde_yaml::from_str(&text).unwrap();
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::create_dir(dir.path().join(".kube")).unwrap();
        symlink(program(), dir.path().join("bin/oz")).unwrap();
        symlink(program(), dir.path().join("bin/nsplease")).unwrap();
        let home = Home { dir, kubectl: lab.kubectl() };
        home.write_kubeconfig(&serde_yaml::to_string(&config).unwrap());
        home
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The file that `oz` reads and edits.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path().join(".kube/config")
    }

    /// What stands in it.
    pub(crate) fn read_kubeconfig(&self) -> String {
        fs::read_to_string(self.kubeconfig()).unwrap()
    }

    /// Replaces it, readable for its owner alone.
    pub(crate) fn write_kubeconfig(&self, text: &str) {
        fs::write(self.kubeconfig(), text).unwrap();
        fs::set_permissions(self.kubeconfig(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The contexts that `oz` has put there.
    pub(crate) fn contexts(&self) -> Vec<String> {
        let config: Value = serde_yaml::from_str(&self.read_kubeconfig()).unwrap();
        let contexts = config["contexts"].as_array().cloned().unwrap_or_default();
        let names = contexts.iter().filter_map(|c| c["name"].as_str());
        names.filter(|name| name.starts_with("oz-")).map(str::to_owned).collect()
    }

    /// All that a program started here finds in its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = format!("{}:/usr/bin:/bin", self.path().join("bin").display());
        vec![("HOME", self.path().into()), ("PATH", path.into()), ("TERM", "xterm-256color".into())]
    }

    /// `oz` with these arguments, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).env_clear().envs(self.environment()).current_dir(self.path());
        command
    }

    /// `nsplease` with these arguments, not started yet.
    pub(crate) fn nsplease(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path().join("bin/nsplease"));
        command.args(args).env_clear().envs(self.environment()).current_dir(self.path());
        command
    }

    /// Starts `oz` without a terminal and with nothing to read.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args), Vec::new())
    }

    /// Runs `oz` to its end.
    pub(crate) fn oz(&self, args: &[&str]) -> Said {
        self.start(args).end()
    }

    /// Runs `oz`, which must succeed, and gives its standard output without the line end.
    pub(crate) fn must(&self, args: &[&str]) -> String {
        let said = self.oz(args);
        assert_eq!(said.code, 0, "oz {args:?}: {said}");
        said.stdout().trim_end().to_owned()
    }

    /// Runs kubectl to its end.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Said {
        self.kubectl_fed(args, Vec::new())
    }

    /// The same with something to read.
    pub(crate) fn kubectl_fed(&self, args: &[&str], input: Vec<u8>) -> Said {
        let mut command = Command::new(&self.kubectl);
        command.args(args).env_clear().envs(self.environment()).current_dir(self.path());
        Running::start(command, input).end()
    }
}

/// The built `oz`.
pub(crate) fn program() -> PathBuf {
    let path = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("{PROGRAM} names no oz: run `cargo lab test`"));
    assert!(path.is_file(), "{PROGRAM}: {} is not there", path.display());
    fs::canonicalize(path).unwrap()
}

/// Of a kubeconfig's `server`.
pub(crate) fn host_and_port(server: &str) -> (String, u16) {
    let uri: http::Uri = server.parse().unwrap();
    let host = uri.host().unwrap().trim_matches(['[', ']']).to_owned();
    (host, uri.port_u16().unwrap_or(443))
}
