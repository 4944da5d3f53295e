//! The way to the cluster as its user: which kubeconfig, which context, as whom. Found once; what it takes to go it
//! again, from anywhere and whatever the current context is then; and the name under which what was got by it is kept.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use sha2::{Digest as _, Sha256};

use super::client::Fault;
use crate::settings::{Settings, kubeconfig_variable};

/// How long a connection may take to come about: less than a request may.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A kubeconfig that was written so lately may still be in the middle of it; when it is read again then.
const JUST: Duration = Duration::from_secs(2);
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// How the cluster is reached, as whom, and where that was found.
pub(crate) struct Way {
    /// In kube's terms.
    pub(crate) config: Config,
    /// From a pod's own account rather than a kubeconfig?
    pub(crate) in_pod: bool,
    /// Does the kubeconfig itself name a proxy for this cluster?
    pub(crate) own_proxy: bool,
    /// The files of the kubeconfig.
    files: Vec<PathBuf>,
    /// The context in it.
    context: Option<String>,
    /// The flags that say as whom.
    acting: Vec<String>,
}

/// What another `oz` needs in order to go the same way.
pub(crate) struct Again {
    /// Flags of the command line.
    pub(crate) flags: Vec<String>,
    /// Environment variables, name and value.
    pub(crate) env: Vec<(String, String)>,
}

impl Way {
    /// Reads the kubeconfig, or takes the pod's own credential where there is none.
    ///
    /// # Errors
    /// [`Fault::Config`].
    pub(crate) async fn find(settings: &Settings) -> Result<Self, Fault> {
        let files = files(settings);
        let mut pauses = PAUSES.into_iter();
        loop {
            let found = Self::read(settings, files.clone()).await;
            // kubectl writes in place: what is read meanwhile may be torn.
            let again = if found.is_err() && just_written(&files) { pauses.next() } else { None };
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return found,
            }
        }
    }

    async fn read(settings: &Settings, files: Vec<PathBuf>) -> Result<Self, Fault> {
        let kubeconfig = read(&files)?;
        let nothing = kubeconfig.contexts.is_empty() && settings.context.is_none();
        let mut way = if nothing
            && settings.kubeconfig.is_none()
            && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        {
            let config = Config::incluster().map_err(|e| Fault::Config(e.to_string()))?;
            Self { config, in_pod: true, own_proxy: false, files, context: None, acting: Vec::new() }
        } else if nothing && kubeconfig.current_context.is_none() {
            return Err(Fault::Config("it names no cluster".to_owned()));
        } else {
            Self { files, ..Self::through(kubeconfig, settings.context.clone()).await? }
        };
        way.config.default_retry = false;
        way.config.connect_timeout = Some(settings.request_timeout.min(CONNECT_TIMEOUT));
        if let Some(user) = &settings.impersonate {
            let auth = &mut way.config.auth_info;
            auth.impersonate = Some(user.clone());
            auth.impersonate_uid.clone_from(&settings.impersonate_uid);
            auth.impersonate_groups =
                (!settings.impersonate_groups.is_empty()).then(|| settings.impersonate_groups.clone());
            way.acting.push(format!("--as={user}"));
            way.acting.extend(settings.impersonate_uid.iter().map(|uid| format!("--as-uid={uid}")));
            way.acting.extend(settings.impersonate_groups.iter().map(|group| format!("--as-group={group}")));
        }
        Ok(way)
    }

    /// The way that one context of a kubeconfig names, or its current one.
    ///
    /// # Errors
    /// [`Fault::Config`].
    pub(crate) async fn through(kubeconfig: Kubeconfig, context: Option<String>) -> Result<Self, Fault> {
        let context = context.or_else(|| kubeconfig.current_context.clone());
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let own_proxy = has_proxy(&kubeconfig, context.as_deref());
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(described)?;
        if !own_proxy && super::proxy::direct(&config.cluster_url) {
            config.proxy_url = None;
        }
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        Ok(Self { config, in_pod: false, own_proxy, files: Vec::new(), context, acting: Vec::new() })
    }

    /// The namespace that counts.
    pub(crate) fn namespace(&self, settings: &Settings) -> String {
        settings.namespace.clone().unwrap_or_else(|| self.config.default_namespace.clone())
    }

    /// The files of the kubeconfig, as seen from anywhere.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())).collect()
    }

    /// The context in it.
    pub(crate) fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// What it takes to go this way again. None where it will not be there: in a pod, or out of a pipe.
    pub(crate) fn again(&self) -> Option<Again> {
        let files: Vec<PathBuf> =
            self.files.iter().map(std::path::absolute).collect::<Result<_, _>>().ok()?;
        if self.in_pod || !files.iter().all(|file| file.is_file()) {
            return None;
        }
        let (mut flags, mut env) = (Vec::new(), Vec::new());
        match files.as_slice() {
            [] => return None,
            [only] => flags.push(format!("--kubeconfig={}", only.to_str()?)),
            several => {
                let list = std::env::join_paths(several).ok()?.into_string().ok()?;
                env.push(("KUBECONFIG".to_owned(), list));
            }
        }
        flags.push(format!("--context={}", self.context.as_ref()?));
        flags.extend(self.acting.iter().cloned());
        Some(Again { flags, env })
    }

    /// A name for what this user gets for one request on this cluster: another for every other server, certificate
    /// authority, credential, namespace or request. 64 hexadecimal digits, from which nothing can be read.
    pub(crate) fn key(&self, namespace: &str, request: &str, uid: &str) -> String {
        let Config { cluster_url, root_cert, tls_server_name, accept_invalid_certs, auth_info, .. } =
            &self.config;
        let who = serde_json::to_value(auth_info).unwrap_or_default();
        let server = (cluster_url.to_string(), root_cert, tls_server_name, accept_invalid_certs);
        let all = serde_json::json!([server, who, namespace, request, uid]).to_string();
        let mut key = String::new();
        for byte in Sha256::digest(all) {
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// Has the user's own credential plugin, if there is one, run with this in its environment and nothing to ask with.
    pub(crate) fn tell_plugin(&mut self, name: &str, value: &str) {
        if let Some(exec) = &mut self.config.auth_info.exec {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
            let pair = [("name", name), ("value", value)].map(|(k, v)| (k.to_owned(), v.to_owned()));
            exec.env.get_or_insert_default().push(pair.into());
        }
    }
}

/// Does the cluster of this context name a proxy?
fn has_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let named = kubeconfig.contexts.iter().find(|c| Some(c.name.as_str()) == context);
    let cluster = named.and_then(|c| c.context.as_ref()).map(|c| c.cluster.as_str());
    let named = kubeconfig.clusters.iter().find(|c| Some(c.name.as_str()) == cluster);
    named.and_then(|c| c.cluster.as_ref()).and_then(|c| c.proxy_url.as_ref()).is_some_and(|p| !p.is_empty())
}

/// The files of the kubeconfig, in the order in which kubectl merges them; missing ones are left out, unless named.
fn files(settings: &Settings) -> Vec<PathBuf> {
    if let Some(files) = &settings.kubeconfigs {
        return files.clone();
    }
    match (&settings.kubeconfig, kubeconfig_variable()) {
        (Some(path), _) => vec![path.clone()],
        (None, Some(list)) => std::env::split_paths(&list).filter(|p| p.exists()).collect(),
        (None, None) => {
            let home = dirs::home_dir().map(|home| home.join(".kube").join("config"));
            home.into_iter().filter(|p| p.exists()).collect()
        }
    }
}

fn just_written(files: &[PathBuf]) -> bool {
    let modified = |file: &PathBuf| file.metadata().and_then(|m| m.modified()).ok();
    files.iter().filter_map(modified).any(|time| time.elapsed().is_ok_and(|age| age < JUST))
}

/// All files of the kubeconfig as one.
fn read(files: &[PathBuf]) -> Result<Kubeconfig, Fault> {
    let mut all = Kubeconfig::default();
    for path in files {
        all = all.merge(Kubeconfig::read_from(path).map_err(described)?).map_err(described)?;
    }
    Ok(all)
}

/// The token that a context of ours holds in the kubeconfig.
pub(crate) fn token_in_kubeconfig(settings: &Settings, name: &str) -> Option<String> {
    let users = read(&files(settings)).ok()?.auth_infos;
    let user = serde_json::to_value(users.into_iter().find(|user| user.name == name)?.auth_info?).ok()?;
    Some(user.get("token")?.as_str()?.to_owned())
}

fn described(error: KubeconfigError) -> Fault {
    Fault::Config(match error {
        KubeconfigError::CurrentContextNotSet => {
            "no current context is set; name one with --context".to_owned()
        }
        KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn way(change: impl FnOnce(&mut serde_json::Value)) -> Way {
        let mut config = json!({
            "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
            "users": [{"name": "u", "user": {"token": "a"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "current-context": "x",
        });
        change(&mut config);
        Way::through(serde_json::from_value(config).unwrap(), None).await.unwrap()
    }

    #[tokio::test]
    async fn nobody_shares_a_key() {
        let mine = way(|_| ()).await;
        let key = mine.key("shop", "a", "1");
        assert_eq!((key.len(), &key), (64, &way(|_| ()).await.key("shop", "a", "1")));
        let elsewhere = way(|c| c["clusters"][0]["cluster"]["server"] = json!("https://10.0.0.2:6443")).await;
        let other = way(|c| c["users"][0]["user"]["token"] = json!("b")).await;
        let acting = way(|c| c["users"][0]["user"]["as"] = json!("bob")).await;
        let keys = [
            elsewhere.key("shop", "a", "1"),
            other.key("shop", "a", "1"),
            acting.key("shop", "a", "1"),
            mine.key("shop2", "a", "1"),
            mine.key("shop", "a1", ""),
            mine.key("shop", "a", "2"),
        ];
        assert!(!keys.contains(&key), "{keys:?}");
    }

    #[tokio::test]
    async fn the_same_way_again() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let mut way = way(|_| ()).await;
        assert!(way.again().is_none(), "from no file");
        std::fs::write(&one, "").unwrap();
        way.files = vec![one.clone()];
        way.acting = vec!["--as=bob".to_owned()];
        let again = way.again().unwrap();
        assert_eq!(again.flags, [&format!("--kubeconfig={}", one.display()), "--context=x", "--as=bob"]);
        assert!(again.env.is_empty());
        way.files.push(two.clone());
        assert!(way.again().is_none(), "not there");
        std::fs::write(&two, "").unwrap();
        let again = way.again().unwrap();
        assert_eq!(again.flags[0], "--context=x");
        assert_eq!(again.env, [("KUBECONFIG".to_owned(), format!("{}:{}", one.display(), two.display()))]);
        way.in_pod = true;
        assert!(way.again().is_none());
    }

    #[tokio::test]
    async fn what_is_being_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let whole = serde_json::json!({
            "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
            "users": [{"name": "u", "user": {"token": "a"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x",
        })
        .to_string();
        let settings =
            Settings { kubeconfig: Some(path.clone()), ..crate::settings::GlobalArgs::default().into() };
        for torn in ["", &whole[..whole.len() / 2], "clusters: []\n"] {
            std::fs::write(&path, torn).unwrap();
            let (path, whole) = (path.clone(), whole.clone());
            let writer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(40));
                std::fs::write(path, whole).unwrap();
            });
            assert!(Way::find(&settings).await.is_ok(), "{torn:?}");
            writer.join().unwrap();
        }
        // What stays broken is told, and at once where nobody writes.
        std::fs::write(&path, "").unwrap();
        assert!(Way::find(&settings).await.is_err());
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
        assert!(!just_written(&[path]));
    }

    #[tokio::test]
    async fn the_plugin_is_told() {
        let mut plain = way(|_| ()).await;
        plain.tell_plugin("A", "b");
        assert!(plain.config.auth_info.exec.is_none());
        let exec = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}});
        let mut plugged = way(|c| c["users"][0]["user"] = exec).await;
        plugged.tell_plugin("A", "b");
        let exec = plugged.config.auth_info.exec.unwrap();
        assert_eq!(exec.interactive_mode, Some(ExecInteractiveMode::Never));
        let env = exec.env.unwrap();
        assert_eq!((env[0]["name"].as_str(), env[0]["value"].as_str()), ("A", "b"));
    }
}
