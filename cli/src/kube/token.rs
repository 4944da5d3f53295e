//! The session's token: minted by its holder himself, with his own credential, for what is left of the loan. Also what
//! goes into a kubeconfig with it.

use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, ResourceExt as _};
use oz_shared::NamespaceRequest;
use oz_shared::Request as _;
use oz_shared::names::{PARTNER, SESSIONS_NAMESPACE};

use super::asked::Asked;
use super::client::{Cluster, Fault};
use super::exec::SessionError;
use super::way::{Again, Way};
use crate::kubeconfig::{Credential, Entry, OurEntry, PREFIX};

/// The shortest life the API server mints.
const SHORTEST: i64 = 600;
/// The longest life that the policy lets a session's token have.
const LONGEST: i64 = 43_200;
/// The same of a partner's, which is to hold while nobody uses it.
const LONGEST_PARTNER: i64 = 30 * 86_400;
/// The policy counts what is left when the question arrives, and in whole seconds: asking for a little less is always
/// within it. A token lives on for a minute past its end as it is.
const MARGIN: i64 = 5;
/// The same for a slow line, once the policy has refused.
const WIDE_MARGIN: i64 = 60;
/// How long the API server still takes a token after its end, at least: a token that ends so shortly before the loan
/// lasts as long as the loan. At least the wide margin, and the seconds that are lost on the way.
const LINGERS: i64 = WIDE_MARGIN + 4;
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
    /// Until when the loan is good, and a token at most.
    pub(crate) until: Timestamp,
    /// When the token itself ends, by the API server.
    pub(crate) expires: Timestamp,
}

impl Token {
    /// Is it good for as long as the loan is?
    pub(crate) fn lasts(&self) -> bool {
        self.expires.as_second() + LINGERS >= self.until.as_second()
    }

    /// Until when it is good.
    pub(crate) fn end(&self) -> Timestamp {
        if self.lasts() { self.until } else { self.expires }
    }

    /// When another is to be had: after four fifths of its life, so that none is used to its last second. The last one
    /// is not followed by any.
    pub(crate) fn renew(&self, now: Timestamp) -> Timestamp {
        let left = self.expires.as_second() - now.as_second();
        let due = Timestamp::from_second(now.as_second() + left * 4 / 5);
        if self.lasts() { self.until } else { due.unwrap_or(now) }
    }
}

/// The deadline in an account's name.
pub(crate) fn deadline(account: &str) -> Option<Timestamp> {
    let (_, seconds) = account.rsplit_once("-x")?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

/// How long a token of this account shall live.
pub(crate) fn lifetime(account: &str, left: i64) -> i64 {
    left.clamp(SHORTEST, if account.starts_with(PARTNER) { LONGEST_PARTNER } else { LONGEST })
}

/// Does RBAC refuse, as it does until a fresh binding is known, rather than a policy?
pub(crate) fn is_rbac_refusal(fault: &Fault) -> bool {
    match fault {
        Fault::Api { status, .. } => status.code == 403 && status.message.contains(" cannot "),
        _ => false,
    }
}

/// The account under which a request is used: its own, or that of the request that it names.
///
/// # Errors
/// There is none, or not any more.
pub(crate) async fn account<R: Asked>(cluster: &Cluster, request: &R) -> Result<String, SessionError> {
    let own = request.status().map(|s| s.account.clone()).unwrap_or_default();
    let account = match request.shares() {
        None => own,
        Some((name, uid)) => {
            let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
            let api = cluster.asked::<NamespaceRequest>(Some(&namespace));
            match cluster.call(&format!("read request {name}, whose account is used"), api.get(name)).await {
                Ok(other) if other.uid().as_deref() == Some(uid) && other.release().is_none() => {
                    other.status.map(|s| s.account).unwrap_or_default()
                }
                Ok(_) => String::new(),
                Err(fault) if fault.code() == Some(404) => String::new(),
                Err(fault) => return Err(SessionError::Fault(fault)),
            }
        }
    };
    match (account.is_empty(), request.shares()) {
        (false, _) => Ok(account),
        (true, None) => {
            Err(SessionError::NotReady("this grant has no account to mint a token for".to_owned()))
        }
        (true, Some((name, _))) => Err(SessionError::NotReady(format!(
            "it is used by the account of request {name}, which has ended"
        ))),
    }
}

/// Mints a token for the account of an active request.
///
/// # Errors
/// The loan is over, or the API server refuses.
pub(crate) async fn mint<R: Asked>(cluster: &Cluster, request: &R) -> Result<Token, SessionError> {
    let account = account(cluster, request).await?;
    let end = request.status().and_then(|s| s.expires_at.as_ref()).map(|t| t.0);
    let until = deadline(&account).or(end).unwrap_or_else(|| cluster.now());
    mint_for(cluster, &account, None, end.map_or(until, |end| end.min(until))).await
}

/// Mints a token for this account, which is good until then at most, by whatever right the caller has to. An account that mints
/// its own next one says which it is by its `uid`: none of its name that was made since is meant.
///
/// # Errors
/// The loan is over, or the API server refuses.
pub(crate) async fn mint_for(
    cluster: &Cluster,
    account: &str,
    uid: Option<&str>,
    until: Timestamp,
) -> Result<Token, SessionError> {
    let api: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), SESSIONS_NAMESPACE);
    let started = tokio::time::Instant::now();
    let (mut margin, mut attempt) = (MARGIN, 0);
    loop {
        let left = until.as_second() - cluster.now().as_second();
        if left <= 0 {
            return Err(SessionError::Over);
        }
        let spec = TokenRequestSpec {
            expiration_seconds: Some(lifetime(account, left - margin)),
            ..TokenRequestSpec::default()
        };
        let metadata = ObjectMeta { uid: uid.map(str::to_owned), ..ObjectMeta::default() };
        let question = TokenRequest { metadata, spec, ..TokenRequest::default() };
        let with = PostParams::default();
        let answer = cluster.call("mint a token", api.create_token_request(account, &with, &question)).await;
        match answer {
            Ok(answer) => {
                let Some(status) = answer.status else {
                    let (doing, cause) = ("mint a token".to_owned(), "the answer holds none".to_owned());
                    return Err(Fault::Protocol { doing, cause }.into());
                };
                return Ok(Token { secret: status.token, until, expires: status.expiration_timestamp.0 });
            }
            Err(fault) if is_rbac_refusal(&fault) && started.elapsed() < FRESH => {
                tokio::time::sleep(pause(&mut attempt)).await
            }
            Err(fault) if fault.to_string().contains(" s are left") && margin == MARGIN => {
                margin = WIDE_MARGIN
            }
            // The account is gone, or the policy counts past its deadline.
            Err(fault) if fault.code() == Some(404) || fault.to_string().contains(" s ago") => {
                return Err(SessionError::Over);
            }
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
    let tail: String = whole.chars().skip(whole.len() - 6).collect();
    let head: String = whole.chars().take(MAX_NAME - 9 - tail.len()).collect();
    format!("{head}-{:08x}{tail}", hash(&whole))
}

/// FNV-1a: tells names apart, and proves nothing.
fn hash(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// What a kubeconfig gets for an active request, a context for each namespace that it is for: the server as the user
/// reaches it, and the session's token, or, where the loan outlives that, the plugin that mints the next.
pub(crate) fn entries<R: Asked>(cluster: &Cluster, request: &R, token: &Token) -> Vec<Entry> {
    let config = &cluster.way.config;
    // A proxy of the environment is found there by kubectl as well, and may be another tomorrow.
    let proxy = config.proxy_url.as_ref().filter(|_| cluster.way.own_proxy);
    let from = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let plugin = if token.lasts() { None } else { plugin(&cluster.way, request, &from) };
    let credential = plugin.unwrap_or_else(|| Credential::Token(token.secret.clone()));
    let entry = |(name, namespace): (String, String)| Entry {
        name,
        server: cluster.server(),
        certificate_authority_data: config.root_cert.as_deref().map(pem),
        tls_server_name: config.tls_server_name.clone(),
        proxy_url: proxy.map(ToString::to_string),
        insecure_skip_tls_verify: config.accept_invalid_certs,
        request: request.mark(),
        namespace,
        credential: credential.clone(),
        expires_at: token.until,
    };
    request.contexts().into_iter().map(entry).collect()
}

/// The name that an entry gets beside those of ours that are there: its own, unless that leads to another cluster.
pub(crate) fn own_name(ours: &[OurEntry], entry: &Entry) -> String {
    let elsewhere =
        |e: &&OurEntry| e.name == entry.name && e.server.as_deref().is_some_and(|s| s != entry.server);
    match ours.iter().find(elsewhere) {
        None => entry.name.clone(),
        Some(_) => format!("{}-{:08x}", entry.name, hash(&entry.server)),
    }
}

/// `oz token`, with all that it needs in order to reach this cluster as its user, who may have moved to another context
/// by then, or to the session's own. None where that cannot be said.
fn plugin<R: Asked>(way: &Way, request: &R, namespace: &str) -> Option<Credential> {
    let Again { flags, env } = way.again()?;
    let mut args = vec!["token".to_owned(), request.target()];
    args.push(format!("--uid={}", request.uid()?));
    args.push(format!("--namespace={namespace}"));
    args.extend(flags);
    Some(Credential::Exec { command: program(), args, env })
}

/// The same for who acts by his pod's account, and goes on in that pod: no kubeconfig stands in the way there.
pub(crate) fn plugin_in_pod<R: Asked>(cluster: &Cluster, request: &R) -> Option<Credential> {
    if !cluster.way.in_pod {
        return None;
    }
    let namespace = request.namespace()?;
    let args = vec![
        "token".to_owned(),
        request.target(),
        format!("--uid={}", request.uid()?),
        format!("--namespace={namespace}"),
    ];
    let env = vec![("KUBECONFIG".to_owned(), "/dev/null".to_owned())];
    Some(Credential::Exec { command: program(), args, env })
}

/// The program that runs, or its bare name where that is gone, as during an upgrade: kubectl then looks for it.
pub(crate) fn program() -> String {
    let path = std::env::current_exe().ok().filter(|path| path.is_file());
    path.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or_else(|| "oz".to_owned())
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
        let lifetimes = |account: &str| [5, 1000, 99_999, 9_999_999].map(|left| lifetime(account, left));
        assert_eq!(lifetimes("oz-p-7f-x1"), [600, 1000, 43_200, 43_200]);
        assert_eq!(lifetimes("oz-f-7f-x1"), [600, 1000, 99_999, 2_592_000]);
    }

    fn token(expires: i64, until: i64) -> Token {
        let at = |second| Timestamp::from_second(second).unwrap();
        Token { secret: "t".to_owned(), until: at(until), expires: at(expires) }
    }

    #[test]
    fn a_token_is_followed_by_another_before_it_ends() {
        let now = Timestamp::from_second(1_000).unwrap();
        let short = token(1_600, 90_000);
        assert!(!short.lasts());
        assert_eq!((short.renew(now).as_second(), short.end().as_second()), (1_480, 1_600));
    }

    #[test]
    fn the_last_token_ends_with_the_loan() {
        let now = Timestamp::from_second(1_000).unwrap();
        // By either margin, and where the shortest that is minted is longer than the loan.
        for expires in [1_995, 1_940, 2_500] {
            let last = token(expires, 2_000);
            assert!(last.lasts());
            assert_eq!((last.renew(now).as_second(), last.end().as_second()), (2_000, 2_000));
        }
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
