//! The one Kubernetes client that Oz's programs build.
//!
//! kube's own builder leaves Nagle's algorithm on: with resumed TLS sessions every connection after the first then waits
//! for a delayed acknowledgement, and so does each keystroke of a shell. This one sets `TCP_NODELAY`, keeps proxies,
//! extra headers and credentials as kube does, leaves retries to its callers, learns the API server's clock from the
//! answers that pass, and keeps each of them readable, however deep what someone has put into it.

mod clock;
mod depth;
mod plugin;

use std::error::Error as StdError;
use std::time::Duration;

use std::sync::Arc;

pub use clock::ServerClock;
use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use plugin::{Plugin, PluginLayer};
use tower::{BoxError, Service, ServiceBuilder};

/// How long a connection may be silent before its peer is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credential, the certificate or the address in the configuration cannot be used.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// The credential plugin gave none.
    #[error("{0}")]
    Plugin(String),
    /// The proxy is of a kind that Oz does not speak.
    #[error("the proxy {0} is not supported: use http:// or https://")]
    Proxy(String),
}

/// A client for `config`, and the API server's clock as this client comes to know it.
///
/// # Errors
/// When the configuration's credential, certificate authority or proxy cannot be used; nothing is sent yet.
pub fn client(mut config: Config) -> Result<(Client, ServerClock), Error> {
    let plugin = Plugin::take(&mut config).map_err(Error::Plugin)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    // A watch says nothing for minutes: a peer that is gone without a word is noticed by the probes alone.
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE / 3));
    tcp.set_keepalive_retries(Some(3));
    match config.proxy_url.clone() {
        None => stack(config, plugin, tcp),
        Some(url) => {
            let url = with_scheme(url)?;
            let auth = proxy_authorization(&url);
            match url.scheme_str() {
                Some("http") => stack(config, plugin, with_authorization(Tunnel::new(url, tcp), auth)),
                Some("https") => {
                    let tls = config.rustls_https_connector_with_connector(tcp)?;
                    stack(config, plugin, with_authorization(Tunnel::new(url, tls), auth))
                }
                // Without its user part: that may hold a password.
                other => Err(Error::Proxy(format!(
                    "{}://{}",
                    other.unwrap_or_default(),
                    url.host().unwrap_or_default()
                ))),
            }
        }
    }
}

/// A mere `host:port` speaks http, as everywhere.
fn with_scheme(url: Uri) -> Result<Uri, Error> {
    if url.scheme().is_some() {
        return Ok(url);
    }
    let host = url.authority().map(|a| a.as_str()).unwrap_or_default();
    format!("http://{host}").parse().map_err(|_| Error::Proxy(url.host().unwrap_or_default().to_owned()))
}

fn with_authorization<C>(tunnel: Tunnel<C>, value: Option<http::HeaderValue>) -> Tunnel<C> {
    match value {
        Some(value) => tunnel.with_auth(value),
        None => tunnel,
    }
}

/// `Basic …` from the user part of a proxy's address, percent-decoded.
fn proxy_authorization(url: &Uri) -> Option<http::HeaderValue> {
    use base64::Engine as _;
    let (user, _) = url.authority()?.as_str().rsplit_once('@')?;
    let user: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(user);
    let mut value = http::HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn stack<C>(config: Config, plugin: Option<Arc<Plugin>>, connector: C) -> Result<(Client, ServerClock), Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError> + StdError + Send + Sync + 'static,
{
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let clock = ServerClock::default();
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .option_layer(plugin.map(PluginLayer))
        .layer(config.extra_headers_layer()?)
        .layer(clock.layer())
        .map_response(depth::bounded)
        .map_err(BoxError::from)
        .service(http);
    Ok((ClientBuilder::new(service, config.default_namespace).build(), clock))
}
