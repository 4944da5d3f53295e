//! The session's token: minted by its holder himself, with his own credential, for what is left of the loan. Also what
//! goes into a kubeconfig with it.

use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use oz_shared::AccessRequest;
use oz_shared::names::SESSIONS_NAMESPACE;

use super::client::{Cluster, Fault};
use super::exec::SessionError;
use crate::kubeconfig::{Credential, Entry, PREFIX};

/// The shortest life the API server mints.
const SHORTEST: i64 = 600;
/// The longest life that the policy lets a session's token have.
const LONGEST: i64 = 43_200;
/// The policy counts what is left when the question arrives, and in whole seconds: asking for a little less is always
/// within it. A token lives on for a minute past its end as it is.
const MARGIN: i64 = 5;
/// The same for a slow line, once the policy has refused.
const WIDE_MARGIN: i64 = 60;
/// A binding made a moment ago may not have reached the authorizer yet.
pub(crate) const FRESH: Duration = Duration::from_secs(2);
/// Before the next attempt meanwhile: short at first, when most are through.
pub(crate) fn pause(attempt: &mut u32) -> Duration {
    *attempt += 1;
    Duration::from_millis(25 << (*attempt - 1).min(4))
}

/// The longest name of a context: as a label.
const MAX_NAME: usize = 63;

/// A token, and when it dies.
#[derive(Clone)]
pub(crate) struct Token {
    /// What is sent.
    pub(crate) secret: String,
    /// Until when the loan, and with it the token, is good.
    pub(crate) until: Timestamp,
}

/// Seconds from now to the deadline in an account's name.
fn deadline(account: &str) -> Option<Timestamp> {
    let (_, seconds) = account.rsplit_once("-x")?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

/// How long the token shall live.
fn lifetime(left: i64) -> i64 {
    left.clamp(SHORTEST, LONGEST)
}

/// Does RBAC refuse, as it does until a fresh binding is known, rather than a policy?
pub(crate) fn is_rbac_refusal(fault: &Fault) -> bool {
    match fault {
        Fault::Api { status, .. } => status.code == 403 && status.message.contains(" cannot "),
        _ => false,
    }
}

/// Mints a token for the account of an active request.
///
/// # Errors
/// The loan is over, or the API server refuses.
pub(crate) async fn mint(cluster: &Cluster, request: &AccessRequest) -> Result<Token, SessionError> {
    let status = request.status.clone().unwrap_or_default();
    if status.account.is_empty() {
        return Err(SessionError::NotReady("this grant has no account to mint a token for".to_owned()));
    }
    let end = status.expires_at.map(|t| t.0);
    let until = deadline(&status.account).or(end).unwrap_or_else(|| cluster.now());
    let until = end.map_or(until, |end| end.min(until));
    let api: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), SESSIONS_NAMESPACE);
    let started = tokio::time::Instant::now();
    let (mut margin, mut attempt) = (MARGIN, 0);
    loop {
        let left = until.as_second() - cluster.now().as_second();
        if left <= 0 {
            return Err(SessionError::Over);
        }
        let spec = TokenRequestSpec {
            expiration_seconds: Some(lifetime(left - margin)),
            ..TokenRequestSpec::default()
        };
        let question = TokenRequest { spec, ..TokenRequest::default() };
        let with = PostParams::default();
        let answer =
            cluster.call("mint a token", api.create_token_request(&status.account, &with, &question)).await;
        match answer {
            Ok(answer) => {
                let secret = answer.status.map(|s| s.token).unwrap_or_default();
                return Ok(Token { secret, until });
            }
            Err(fault) if is_rbac_refusal(&fault) && started.elapsed() < FRESH => {
                tokio::time::sleep(pause(&mut attempt)).await
            }
            Err(fault) if fault.to_string().contains(" s are left") && margin == MARGIN => {
                margin = WIDE_MARGIN
            }
            Err(fault) if fault.code() == Some(404) => return Err(SessionError::Over),
            Err(fault) => return Err(SessionError::Fault(fault)),
        }
    }
}

/// `oz-NAMESPACE-REQUEST`, cut to the length of a label without losing what tells two apart.
pub(crate) fn context_name(namespace: &str, request: &str) -> String {
    let whole = format!("{PREFIX}{namespace}-{request}");
    if whole.len() <= MAX_NAME {
        return whole;
    }
    // The end holds the random part; a hash of the whole stands for what is cut.
    let mut hash: u32 = 2_166_136_261;
    for byte in whole.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    }
    let tail: String = whole.chars().skip(whole.len() - 6).collect();
    let head: String = whole.chars().take(MAX_NAME - 9 - tail.len()).collect();
    format!("{head}-{hash:08x}{tail}")
}

/// What a kubeconfig gets for an active request: the server as the user reaches it, and the session's token.
pub(crate) fn entry(cluster: &Cluster, request: &AccessRequest, token: &Token) -> Entry {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let config = cluster.config();
    // A proxy of the environment is found there by kubectl as well, and may be another tomorrow.
    let proxy = config.proxy_url.as_ref().filter(|_| cluster.own_proxy);
    Entry {
        name: context_name(&namespace, &request.name_any()),
        server: cluster.server(),
        certificate_authority_data: config.root_cert.as_deref().map(pem),
        tls_server_name: config.tls_server_name.clone(),
        proxy_url: proxy.map(ToString::to_string),
        insecure_skip_tls_verify: config.accept_invalid_certs,
        request: format!("{namespace}/{}", request.name_any()),
        namespace,
        credential: Credential::Token(token.secret.clone()),
        expires_at: token.until,
    }
}

/// Certificates as a kubeconfig holds them: PEM in base64.
fn pem(certificates: &[Vec<u8>]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = base64.encode(certificate);
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    base64.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_in_the_name() {
        assert_eq!(deadline("oz-p-7f-x1795348800").map(|t| t.as_second()), Some(1_795_348_800));
        assert_eq!(deadline("oz-p-7f"), None);
        assert_eq!([lifetime(5), lifetime(1000), lifetime(99_999)], [600, 1000, 43_200]);
    }

    #[test]
    fn context_names_are_bounded_and_differ() {
        assert_eq!(
            context_name("shop", "access-request-api-exec-7k2pd"),
            "oz-shop-access-request-api-exec-7k2pd"
        );
        let long = |n: &str| context_name(n, &format!("access-request-{}-7k2pd", "t".repeat(42)));
        assert!(long("shop").len() <= 63);
        assert_ne!(long("shop"), long("shop2"));
    }
}
