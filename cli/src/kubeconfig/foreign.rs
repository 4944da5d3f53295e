//! A kubeconfig that somebody else wrote. A kubeconfig can run programs, read files and send everything through a proxy, so
//! what is taken out of one is named here, and nothing else is: a server, its certificate authority, a token, a namespace.
//! What would mean something else without the rest is refused, not trimmed.

use base64::Engine as _;
use jiff::Timestamp;
use serde_yaml::{Mapping, Value};

use super::entry::Section;
use super::server::{BadServer, server};
use super::sheet::{Flaw, documents};

/// The largest file that is looked at, in bytes: what is wanted has some ten thousand.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;
/// The longest token, in bytes: more than fits into a request's head is none.
const TOKEN_LIMIT: usize = 16 << 10;

/// Why a file is not taken in. No message quotes a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not what anyone would write by hand or by program.
    #[error("it has more than {} KiB", SIZE_LIMIT >> 10)]
    TooLarge,
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not a kubeconfig.
    #[error("it is no kubeconfig{}: {detail}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// Where, from 1, if that is known.
        line: Option<usize>,
        /// What is wrong, without quoting the file.
        detail: &'static str,
    },
    /// Which of them?
    #[error("it has {0} contexts and none of them is current; leave one")]
    Which(usize),
    /// A part that another names.
    #[error("it has no {0} of the name that it uses")]
    Missing(&'static str),
    /// Programs differ on which of them counts.
    #[error("it has more than one {0} of the name that it uses")]
    Twice(&'static str),
    /// A field that would do more than hand over a token.
    #[error("its {kind} has {field}: {why}")]
    Field {
        /// `cluster` or `user`.
        kind: &'static str,
        /// The field; none of the file's own words.
        field: &'static str,
        /// What it would do.
        why: &'static str,
    },
    /// A field that is not known.
    #[error("its {0} has a field that is not known, and might change what it means: {1:?}")]
    Unknown(&'static str, String),
    /// A field without which there is nothing to take, or with something else in it.
    #[error("its {0} has no usable {1}")]
    Unusable(&'static str, &'static str),
    /// Not a server to send a token to.
    #[error("its server will not do: {0}")]
    Server(#[from] BadServer),
}

/// What is taken out of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The context's name there, as it stands.
    pub(crate) name: String,
    /// The API server's URL: https, and nothing but a server.
    pub(crate) server: String,
    /// The name that the server's certificate is checked against, when it is not the URL's.
    pub(crate) tls_server_name: Option<String>,
    /// Its CA certificates: PEM in base64.
    pub(crate) certificate_authority_data: Option<String>,
    /// The context's namespace.
    pub(crate) namespace: Option<String>,
    /// The bearer token.
    pub(crate) token: String,
    /// When the token ends, if it says so itself.
    pub(crate) expires: Option<Timestamp>,
    /// Whose it is, if it says so itself.
    pub(crate) subject: Option<String>,
    /// How many other contexts there were.
    pub(crate) others: usize,
}

const RUNS: &str = "it would run a program on this machine";
const READS: &str = "it would read a file of this machine";
const ACTS: &str = "without it the token acts as somebody else";
const IDENTITY: &str = "it is another credential than a token";

/// The fields of a user that are refused where they hold anything, and why.
const USER: [(&str, &str); 14] = [
    ("exec", RUNS),
    ("auth-provider", RUNS),
    ("tokenFile", READS),
    ("client-certificate", READS),
    ("client-key", READS),
    ("client-certificate-data", IDENTITY),
    ("client-key-data", IDENTITY),
    ("username", IDENTITY),
    ("password", IDENTITY),
    ("as", ACTS),
    ("as-uid", ACTS),
    ("as-groups", ACTS),
    ("as-user-extra", ACTS),
    ("impersonate", ACTS),
];

/// The same for a cluster.
const CLUSTER: [(&str, &str); 3] = [
    ("certificate-authority", READS),
    ("proxy-url", "everything would go through somebody's proxy"),
    ("insecure-skip-tls-verify", "anyone on the way could take the token"),
];

/// Takes out of a foreign kubeconfig what its current context, or its only one, says.
///
/// # Errors
/// Whatever else it holds that would mean something, and whatever cannot be read for certain.
pub(crate) fn read(bytes: &[u8]) -> Result<Foreign, Refusal> {
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(Refusal::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotText)?;
    let malformed = |detail| Refusal::Malformed { line: None, detail };
    let (config, tail) = documents(text.trim_start_matches('\u{feff}')).map_err(|flaw| match flaw {
        Flaw::Malformed { line, detail } => Refusal::Malformed { line, detail },
        Flaw::Shape(detail) => malformed(detail),
    })?;
    if tail.iter().any(|document| !document.is_null()) {
        return Err(malformed("it holds several documents"));
    }
    let config = config.as_mapping().ok_or_else(|| malformed("it is not a mapping"))?;

    let contexts = list(config, Section::Contexts)?;
    let current = config.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = match (current, contexts.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.get("name").and_then(Value::as_str).ok_or(Refusal::Missing("context"))?,
        (None, several) => return Err(Refusal::Which(several.len())),
    };
    let context = item(config, Section::Contexts, name)?;
    let named = |key, kind| text_of(context, key).ok_or(Refusal::Missing(kind));
    let cluster = item(config, Section::Clusters, named("cluster", "cluster")?)?;
    let user = item(config, Section::Users, named("user", "user")?)?;
    only("context", context, &["cluster", "user", "namespace", "extensions"], &[])?;
    let known =
        ["server", "tls-server-name", "certificate-authority-data", "disable-compression", "extensions"];
    only("cluster", cluster, &known, &CLUSTER)?;
    only("user", user, &["token", "extensions"], &USER)?;

    let token = text_of(user, "token").filter(|token| is_token(token));
    let token = token.ok_or(Refusal::Unusable("user", "token"))?.to_owned();
    let namespace = optional("context", context, "namespace", is_label)?;
    let tls_server_name = optional("cluster", cluster, "tls-server-name", is_host)?;
    let authority = optional("cluster", cluster, "certificate-authority-data", is_certificates)?;
    Ok(Foreign {
        name: name.to_owned(),
        server: server(text_of(cluster, "server").ok_or(Refusal::Unusable("cluster", "server"))?)?,
        tls_server_name,
        certificate_authority_data: authority,
        namespace,
        expires: end_of(&token),
        subject: subject_of(&token),
        token,
        others: contexts.len().saturating_sub(1),
    })
}

fn list(config: &Mapping, section: Section) -> Result<Vec<&Value>, Refusal> {
    match config.get(section.key()) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Sequence(items)) => Ok(items.iter().collect()),
        Some(_) => {
            Err(Refusal::Malformed { line: None, detail: "clusters, users and contexts must be lists" })
        }
    }
}

/// The body of the one item of this name.
fn item<'a>(config: &'a Mapping, section: Section, name: &str) -> Result<&'a Mapping, Refusal> {
    let named = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(name);
    let mut found = list(config, section)?.into_iter().filter(named);
    let first = found.next().and_then(|item| item.get(section.kind())).and_then(Value::as_mapping);
    match found.next() {
        Some(_) => Err(Refusal::Twice(section.kind())),
        None => first.ok_or(Refusal::Missing(section.kind())),
    }
}

/// Refuses whatever is neither known and harmless, nor empty.
fn only(
    kind: &'static str,
    body: &Mapping,
    known: &[&str],
    refused: &[(&'static str, &'static str)],
) -> Result<(), Refusal> {
    for (key, value) in body {
        let key = key.as_str().unwrap_or_default();
        if known.contains(&key) || is_empty(value) {
            continue;
        }
        return Err(match refused.iter().find(|(field, _)| *field == key) {
            Some((field, why)) => Refusal::Field { kind, field, why },
            None => Refusal::Unknown(kind, key.chars().take(64).collect()),
        });
    }
    Ok(())
}

/// As good as left out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Tagged(_) => false,
    }
}

fn text_of<'a>(body: &'a Mapping, key: &str) -> Option<&'a str> {
    body.get(key)?.as_str().filter(|text| !text.is_empty())
}

fn optional(
    kind: &'static str,
    body: &Mapping,
    key: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<String>, Refusal> {
    match body.get(key).filter(|value| !is_empty(value)) {
        None => Ok(None),
        Some(value) => match value.as_str().filter(|text| fits(text)) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Refusal::Unusable(kind, key)),
        },
    }
}

fn is_token(text: &str) -> bool {
    text.len() <= TOKEN_LIMIT && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_label(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 63 && text.bytes().all(fits)
}

fn is_host(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
    text.len() <= 253 && text.bytes().all(fits)
}

/// Certificates, and nothing secret beside them.
fn is_certificates(text: &str) -> bool {
    let decoded = base64::engine::general_purpose::STANDARD.decode(text).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    decoded.contains("-----BEGIN CERTIFICATE-----")
        && decoded.matches("-----BEGIN ").count() == decoded.matches("-----BEGIN CERTIFICATE-----").count()
}

/// When a JSON web token ends by its own words, which nobody has checked here.
fn end_of(token: &str) -> Option<Timestamp> {
    Timestamp::from_second(claims(token)?.get("exp")?.as_i64()?).ok()
}

/// Whose it is, likewise.
fn subject_of(token: &str) -> Option<String> {
    claims(token)?.get("sub")?.as_str().map(str::to_owned)
}

/// The uid of the account that it is of, likewise.
pub(crate) fn uid_of(token: &str) -> Option<String> {
    claims(token)?.get("kubernetes.io")?.get("serviceaccount")?.get("uid")?.as_str().map(str::to_owned)
}

fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"exp":1795348800}`, with what is around it.
    const TOKEN: &str = "e30.eyJleHAiOjE3OTUzNDg4MDB9.c2ln";
    /// A certificate's shell, in base64.
    const CA: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";

    /// A plain one; more lines for its cluster, its user and its context.
    fn file(cluster: &str, user: &str, context: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lent\n\
             clusters:\n- name: c\n  cluster:\n    server: https://api.example.com:6443\n    certificate-authority-data: {CA}\n{cluster}\
             users:\n- name: u\n  user:\n    token: {TOKEN}\n{user}\
             contexts:\n- name: lent\n  context:\n    cluster: c\n    user: u\n    namespace: shop\n{context}"
        )
    }

    fn refused(text: &str) -> String {
        match read(text.as_bytes()) {
            Ok(_) => panic!("taken in: {text}"),
            Err(refusal) => {
                let words = refusal.to_string();
                assert!(!words.contains(TOKEN) && !words.contains('\n'), "{words}");
                words
            }
        }
    }

    #[test]
    fn a_token_a_server_and_its_authority() {
        let text = file("    proxy-url: ''\n    insecure-skip-tls-verify: false\n", "    exec: null\n", "");
        let taken = read(text.as_bytes()).unwrap();
        assert_eq!((taken.name.as_str(), taken.namespace.as_deref()), ("lent", Some("shop")));
        assert_eq!((taken.server.as_str(), taken.token.as_str()), ("https://api.example.com:6443", TOKEN));
        assert_eq!(taken.certificate_authority_data.as_deref(), Some(CA));
        assert_eq!(taken.expires.map(|t| t.as_second()), Some(1_795_348_800));
        assert_eq!(taken.others, 0);
    }

    #[test]
    fn the_only_context_needs_not_be_current() {
        let text = file("", "", "").replace("current-context: lent\n", "");
        assert_eq!(read(text.as_bytes()).unwrap().name, "lent");
        let two = format!("{text}- name: other\n  context: {{cluster: x, user: y}}\n");
        assert!(refused(&two).contains("2 contexts"));
        let current = format!("{two}current-context: lent\n");
        assert_eq!(read(current.as_bytes()).unwrap().others, 1);
    }

    #[test]
    fn what_would_do_more_is_refused() {
        for (field, value) in [
            ("exec", "{command: sh, args: [-c, id], apiVersion: client.authentication.k8s.io/v1}"),
            ("auth-provider", "{name: gcp}"),
            ("tokenFile", "/root/.ssh/id_ed25519"),
            ("client-certificate", "/x"),
            ("client-key", "/x"),
            ("client-certificate-data", "QQ=="),
            ("client-key-data", "QQ=="),
            ("username", "me"),
            ("password", "hunter2"),
            ("as", "admin"),
            ("as-uid", "1"),
            ("as-groups", "[system:masters]"),
            ("as-user-extra", "{a: [b]}"),
        ] {
            let words = refused(&file("", &format!("    {field}: {value}\n"), ""));
            assert!(words.starts_with(&format!("its user has {field}: ")), "{words}");
            assert!(!words.contains("hunter2") && !words.contains("ssh"), "{words}");
        }
        for (field, value) in [
            ("certificate-authority", "/etc/shadow"),
            ("proxy-url", "http://evil.example.com"),
            ("insecure-skip-tls-verify", "true"),
        ] {
            let words = refused(&file(&format!("    {field}: {value}\n"), "", ""));
            assert!(words.starts_with(&format!("its cluster has {field}: ")), "{words}");
        }
        assert!(refused(&file("", "    new-thing: 1\n", "")).contains("\"new-thing\""));
        assert!(refused(&file("", "    <<: {exec: {command: sh}}\n", "")).contains("\"<<\""));
        assert!(refused(&file("", "", "    impersonate: x\n")).contains("its context has a field"));
    }

    #[test]
    fn what_is_not_what_it_should_be_is_refused() {
        let plain = file("", "", "");
        let with = |from: &str, to: &str| refused(&plain.replace(from, to));
        assert!(with("https://api", "http://api").contains("not https"));
        assert!(with("https://api.example.com:6443", "[]").contains("no usable server"));
        for token in ["''", "'a b'", "\"a\\nb\"", "[a]", "12", "{a: b}"] {
            assert!(with(TOKEN, token).contains("no usable token"), "{token}");
        }
        assert!(with(TOKEN, &"x".repeat(20_000)).contains("no usable token"));
        for namespace in ["\"a\\eb\"", "a/b", "Shop", "[a]"] {
            assert!(
                with("namespace: shop", &format!("namespace: {namespace}")).contains("no usable namespace")
            );
        }
        for authority in ["/etc/ssl/ca.pem", "QUJD", "[a]"] {
            assert!(with(CA, authority).contains("no usable certificate-authority-data"), "{authority}");
        }
        assert!(with("cluster: c\n", "cluster: d\n").contains("no cluster"));
        assert!(with("name: u", "name: [u]").contains("no user"));
        assert!(with("current-context: lent", "current-context: x").contains("no context"));
        let twice = file("", "- name: u\n  user: {token: other}\n", "");
        assert!(refused(&twice).contains("more than one user"));
    }

    #[test]
    fn hostile_files() {
        let doubling = |depth: u32| {
            let mut text = "a0: &a0 [x, x]\n".to_owned();
            for n in 1..depth {
                text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
            }
            text
        };
        let started = std::time::Instant::now();
        for (text, words) in [
            (" ".repeat(2 << 20), "more than"),
            (doubling(12), "beyond reason"),
            ("[".repeat(100_000), "beyond reason"),
            ("{".repeat(900), "no kubeconfig"),
            ("a: 1\na: 2\n".to_owned(), "stands twice"),
            (file("    server: https://other\n", "", ""), "stands twice"),
            ("\u{1b}[2J: [".to_owned(), "no kubeconfig"),
            ("just text".to_owned(), "not a mapping"),
            (String::new(), "not a mapping"),
            (format!("{}---\nkind: Config\n", file("", "", "")), "several documents"),
            ("kind: Config\nusers: {a: b}\n".to_owned(), "0 contexts"),
            ("kind: Config\ncontexts: {a: b}\n".to_owned(), "must be lists"),
        ] {
            let said = refused(&text);
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(read(b"\xff\xfe").err(), Some(Refusal::NotText));
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn a_token_that_says_nothing_of_its_end() {
        for token in ["opaque", "a.b.c", "e30.e30.c2ln", "e30.eyJleHAiOiJ4In0.c2ln", "..", "a.eyJ"] {
            assert_eq!(end_of(token), None, "{token}");
        }
    }
}
