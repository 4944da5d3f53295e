//! The user's credential plugin, client-go's `exec`: run once for all that this process sends, and again when what it gave
//! has ended. kube runs it for every connector and once more for the header, so that one which asks people asks them twice.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use base64::Engine as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use kube::Config;
use kube::client::AuthError;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tower::{BoxError, Layer, Service};

/// How long before its end a token is no longer sent: a request takes its time, and clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// The plugins that were run, with what they gave: a process may have several clients for one.
static RUN: Mutex<BTreeMap<String, Arc<Plugin>>> = Mutex::new(BTreeMap::new());

/// One plugin.
pub(crate) struct Plugin {
    exec: ExecConfig,
    given: tokio::sync::Mutex<Given>,
    /// Did the API server refuse that?
    refused: AtomicBool,
}

/// What it gave.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    token: Option<String>,
    expiration_timestamp: Option<Timestamp>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Plugin {
    /// The plugin that `config` names, if it does, having been run. What identifies by certificate is put into `config`.
    ///
    /// # Errors
    /// It gives no credential: in words, without what it was given or printed.
    pub(crate) fn take(config: &mut Config) -> Result<Option<Arc<Self>>, String> {
        let auth = &mut config.auth_info;
        let Some(exec) = auth.exec.take() else { return Ok(None) };
        if auth.token.is_some() || auth.token_file.is_some() || auth.username.is_some() {
            return Ok(None);
        }
        let key = json!([exec, config.cluster_url.to_string()]).to_string();
        let mut all = RUN.lock().unwrap_or_else(PoisonError::into_inner);
        let plugin = match all.get(&key) {
            Some(plugin) => plugin.clone(),
            None => {
                let given = run(&exec, std::io::stdin().is_terminal())?;
                let given = tokio::sync::Mutex::new(given);
                let plugin = Arc::new(Self { exec, given, refused: AtomicBool::new(false) });
                all.insert(key, plugin.clone());
                plugin
            }
        };
        if let Ok(given) = plugin.given.try_lock()
            && let (Some(certificate), Some(secret)) =
                (&given.client_certificate_data, &given.client_key_data)
        {
            let encoded = |pem: &String| base64::engine::general_purpose::STANDARD.encode(pem);
            let identity =
                json!({"client-certificate-data": encoded(certificate), "client-key-data": encoded(secret)});
            let identity: AuthInfo = serde_json::from_value(identity).map_err(|e| e.to_string())?;
            auth.client_certificate_data = identity.client_certificate_data;
            auth.client_key_data = identity.client_key_data;
        }
        Ok(Some(plugin))
    }

    /// The token to send. Once the first has ended nobody is asked for the next: a program may have the terminal by then.
    async fn token(&self) -> Result<Option<HeaderValue>, String> {
        let mut given = self.given.lock().await;
        let over = given.expiration_timestamp.is_some_and(|end| end - MARGIN <= Timestamp::now());
        if given.token.is_some() && (self.refused.swap(false, Ordering::Relaxed) || over) {
            let exec = self.exec.clone();
            let again = tokio::task::spawn_blocking(move || run(&exec, false)).await;
            *given = again.map_err(|e| e.to_string())??;
        }
        let Some(token) = &given.token else { return Ok(None) };
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| format!("{} gave what is no token", name(&self.exec)))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn name(exec: &ExecConfig) -> &str {
    exec.command.as_deref().unwrap_or_default()
}

/// Runs it. On a terminal it may ask, unless its user says never; what stands on standard input otherwise is not for it.
fn run(exec: &ExecConfig, terminal: bool) -> Result<Given, String> {
    let command = name(exec);
    let quiet = exec.interactive_mode == Some(ExecInteractiveMode::Never);
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !terminal {
        return Err(format!("{command} asks for it on a terminal, and there is none"));
    }
    let interactive = terminal && !quiet;
    let mut spec = json!({"interactive": interactive});
    if let Some(cluster) = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info) {
        spec["cluster"] = json!(cluster);
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec});
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    let done = Command::new(command)
        .args(exec.args.iter().flatten())
        .envs(pairs)
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(if quiet { Stdio::piped() } else { Stdio::inherit() })
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| match exec.install_hint.as_deref().unwrap_or_default() {
            "" => format!("{command} cannot be run: {error}"),
            hint => format!("{command} cannot be run: {error}\n{hint}"),
        })?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        return Err(format!("{command} failed ({}){said}", done.status));
    }
    #[derive(Deserialize)]
    struct Answer {
        status: Given,
    }
    // As client-go, which also takes YAML. What it gave is not for anybody's eyes.
    let answer: Answer =
        serde_yaml::from_slice(&done.stdout).map_err(|_| format!("{command} gave no credential"))?;
    match &answer.status {
        Given { token: None, client_certificate_data: None, .. } => {
            Err(format!("{command} gave neither a token nor a certificate"))
        }
        _ => Ok(answer.status),
    }
}

/// Sends the plugin's token along.
#[derive(Clone)]
pub(crate) struct PluginLayer(pub(crate) Arc<Plugin>);

impl<S> Layer<S> for PluginLayer {
    type Service = PluginService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PluginService { inner, plugin: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct PluginService<S> {
    inner: S,
    plugin: Arc<Plugin>,
}

impl<S, Req, Res> Service<Request<Req>> for PluginService<S>
where
    S: Service<Request<Req>, Response = Response<Res>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        let spare = self.inner.clone();
        // The one that is ready is used.
        let mut inner = std::mem::replace(&mut self.inner, spare);
        let plugin = self.plugin.clone();
        Box::pin(async move {
            let token =
                plugin.token().await.map_err(|words| kube::Error::Auth(AuthError::AuthExec(words)))?;
            if let Some(token) = token {
                request.headers_mut().insert(header::AUTHORIZATION, token);
            }
            let answer = inner.call(request).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                plugin.refused.store(true, Ordering::Relaxed);
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin that is this script; it counts its runs in the file `runs`.
    fn script(folder: &std::path::Path, mode: &str, text: &str) -> ExecConfig {
        let runs = folder.join("runs");
        let text = format!("echo run >> {}; {text}", runs.display());
        serde_json::from_value(json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", text],
            "interactiveMode": mode, "env": [{"name": "TOLD", "value": "s3cr3t"}],
        }))
        .unwrap()
    }

    fn config(exec: &ExecConfig) -> Config {
        let mut config = Config::new("https://10.0.0.1".parse().unwrap());
        config.auth_info.exec = Some(exec.clone());
        config
    }

    fn answer(status: &str) -> String {
        format!(r#"echo '{{"kind": "ExecCredential", "status": {status}}}'"#)
    }

    fn runs(folder: &std::path::Path) -> usize {
        std::fs::read_to_string(folder.join("runs")).unwrap_or_default().lines().count()
    }

    #[tokio::test]
    async fn it_is_run_once_until_what_it_gave_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let exec = script(folder.path(), "Never", &answer(r#"{"token": "t"}"#));
        for _ in 0..3 {
            let mut config = config(&exec);
            let plugin = Plugin::take(&mut config).unwrap().unwrap();
            assert!(config.auth_info.exec.is_none(), "kube is not to run it again");
            let header = plugin.token().await.unwrap().unwrap();
            assert_eq!((header.to_str().unwrap(), header.is_sensitive()), ("Bearer t", true));
        }
        assert_eq!(runs(folder.path()), 1);
        let plugin = Plugin::take(&mut config(&exec)).unwrap().unwrap();
        plugin.refused.store(true, Ordering::Relaxed);
        plugin.token().await.unwrap();
        plugin.token().await.unwrap();
        assert_eq!(runs(folder.path()), 2, "once more, as it was refused");

        let folder = tempfile::tempdir().unwrap();
        let brief = answer(r#"{"token": "t", "expirationTimestamp": "2026-01-01T00:00:00Z"}"#);
        let plugin = Plugin::take(&mut config(&script(folder.path(), "Never", &brief))).unwrap().unwrap();
        plugin.token().await.unwrap();
        plugin.token().await.unwrap();
        assert_eq!(runs(folder.path()), 3, "each time, as it has ended each time");
    }

    #[tokio::test]
    async fn a_certificate_is_the_clients_own() {
        let folder = tempfile::tempdir().unwrap();
        let text = answer(r#"{"clientCertificateData": "C", "clientKeyData": "K"}"#);
        let mut config = config(&script(folder.path(), "Never", &text));
        let plugin = Plugin::take(&mut config).unwrap().unwrap();
        assert_eq!(config.auth_info.client_certificate_data.as_deref(), Some("Qw=="));
        assert!(config.auth_info.client_key_data.is_some() && plugin.token().await.unwrap().is_none());
        // In YAML, as some give it.
        let yaml = script(folder.path(), "Never", "printf 'kind: ExecCredential\\nstatus:\\n  token: y\\n'");
        assert_eq!(run(&yaml, false).unwrap().token.as_deref(), Some("y"));
    }

    #[test]
    fn why_it_gave_none() {
        let folder = tempfile::tempdir().unwrap();
        let of = |mode: &str, text: &str| run(&script(folder.path(), mode, text), false).err().unwrap();
        for (text, words) in [
            ("echo \"secret $TOLD\"; echo why >&2; exit 3", "sh failed (exit status: 3): why"),
            ("echo secret", "sh gave no credential"),
            ("echo '{}'", "sh gave no credential"),
            ("echo '{\"status\": {}}'", "sh gave neither a token nor a certificate"),
        ] {
            let said = of("Never", text);
            assert_eq!(said, words);
            assert!(!said.contains("secret") && !said.contains("s3cr3t"), "{said}");
        }
        assert_eq!(of("Always", "exit 0"), "sh asks for it on a terminal, and there is none");
        let mut missing = script(folder.path(), "Never", "");
        missing.command = Some("no-such-plugin".to_owned());
        missing.install_hint = Some("get it from the shop".to_owned());
        let said = run(&missing, false).err().unwrap();
        assert!(
            said.starts_with("no-such-plugin cannot be run: ") && said.ends_with("\nget it from the shop")
        );
    }

    #[test]
    fn it_is_told_whether_it_may_ask() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "case $KUBERNETES_EXEC_INFO in *'\"interactive\":true'*) a=yes;; *) a=no;; esac; \
             [ -n \"$TOLD\" ] && {}",
            answer(r#"{"token": "'$a'"}"#)
        );
        for (mode, terminal, told) in [
            ("IfAvailable", true, "yes"),
            ("IfAvailable", false, "no"),
            ("Never", true, "no"),
            ("Always", true, "yes"),
        ] {
            let given = run(&script(folder.path(), mode, &text), terminal).unwrap();
            assert_eq!(given.token.as_deref(), Some(told), "{mode} {terminal}");
        }
    }
}
