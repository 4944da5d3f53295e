//! What must hold of a kubeconfig that Oz has been at: by the shape of its text, by the state of the disk, and with
//! many at it at once.

mod crowd;
mod disk;
mod lists;
mod shapes;

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_yaml::Value;
use tempfile::TempDir;

use super::{Credential, Entry, Error, Store};

/// A secret to look for where none may be.
const TOKEN: &str = "s3cr3t-t0ken";

fn entry(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        server: "https://10.0.0.1:6443".to_owned(),
        certificate_authority_data: Some("QUJD".to_owned()),
        tls_server_name: None,
        proxy_url: None,
        insecure_skip_tls_verify: false,
        namespace: "shop".to_owned(),
        credential: Credential::Token(TOKEN.to_owned()),
        expires_at: time("2026-11-22T12:00:00Z"),
        request: "shop/api-exec-7k2p".to_owned(),
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A directory with a kubeconfig `config` in it.
struct Home {
    dir: TempDir,
    store: Store,
}

impl Home {
    fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::locate(Some(&dir.path().join("config")), None, None).unwrap();
        Self { dir, store }
    }

    fn with(text: &str) -> Self {
        let home = Self::empty();
        fs::write(home.path("config"), text).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("config")).unwrap()
    }

    fn tree(&self) -> Value {
        serde_yaml::from_str(&self.text()).unwrap()
    }

    /// The names of the files in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn put(&self, name: &str) -> Result<super::Written, Error> {
        self.store.put(&entry(name))
    }
}

/// The names in one list of a tree, in order.
fn names(tree: &Value, list: &str) -> Vec<String> {
    let items = tree[list].as_sequence().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().unwrap_or("?").to_owned()).collect()
}

/// `text` without the lines that are not in `other`: what is left of it there, in order.
fn kept(text: &str, other: &str) -> bool {
    let mut lines = other.split_inclusive('\n');
    text.split_inclusive('\n').all(|line| lines.any(|other| other == line))
}
