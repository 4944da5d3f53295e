//! How the adapter is set up: nsplease's own environment variables, with its values and defaults, resolved once.

use k8s_openapi::ByteString;
use kube::Config;
use oz_shared::names::is_reserved_name;
use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

/// The most that a compiled pattern may take.
const PATTERN_LIMIT: usize = 1 << 20;

/// The way of nsplease: a ConfigMap brings a namespace, and a Secret with a token for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Serve the ConfigMaps of nsplease. Needs manifests/nsplease.
    #[arg(long, env = "OZ_NSPLEASE")]
    nsplease: bool,
    /// The API server's address in the Secrets, as pipelines reach it. Default: the controller's own.
    #[arg(long, env = "OZ_NSPLEASE_SERVER", default_value = "", hide_default_value = true)]
    nsplease_server: String,
    /// The namespace of the ConfigMaps and Secrets.
    #[arg(long, env = "REQUESTS_NAMESPACE", default_value = REQUESTS_NAMESPACE)]
    requests_namespace: String,
    /// Patterns, one of which each name matches, between spaces. They match anywhere in it unless enclosed in ^$.
    #[arg(long, env = "VALID_REGEXES", default_value = VALID_REGEXES)]
    valid_regexes: String,
    /// Names of ConfigMaps that are nobody's request, between spaces.
    #[arg(long, env = "IGNORE_SILENTLY", default_value = IGNORE_SILENTLY)]
    ignore_silently: String,
    /// The annotation that tells how often a token is issued: on the account, and on a ConfigMap that asks for less.
    #[arg(long, env = "TOKEN_POLICY_ANNOTATION", default_value = TOKEN_POLICY_ANNOTATION)]
    token_policy_annotation: String,
    /// How often, unless the ConfigMap says only-once: only-once or multiple-times.
    #[arg(long, env = "TOKEN_POLICY_DEFAULT", default_value = TOKEN_POLICY_DEFAULT)]
    token_policy_default: String,
    /// The Pod Security level that its namespaces enforce: privileged, baseline or restricted.
    #[arg(long, env = "OZ_NSPLEASE_POD_SECURITY", default_value = POD_SECURITY)]
    nsplease_pod_security: String,
}

const REQUESTS_NAMESPACE: &str = "nsplease-requests";
const VALID_REGEXES: &str = "^ci-commit-[0-9a-f]+$ ^ci-branch-[a-z0-9-]+$ ^nsp-[a-z0-9-]+$";
const IGNORE_SILENTLY: &str = "kube-root-ca.crt";
const TOKEN_POLICY_ANNOTATION: &str = "nsplease.container.training/issue-token";
const TOKEN_POLICY_DEFAULT: &str = "multiple-times";
const POD_SECURITY: &str = "baseline";

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("VALID_REGEXES: {0}")]
    Regex(#[from] regex::Error),
    #[error("TOKEN_POLICY_DEFAULT: {0:?} is neither only-once nor multiple-times")]
    Policy(String),
    #[error("OZ_NSPLEASE_POD_SECURITY: {0:?} is neither privileged, baseline nor restricted")]
    PodSecurity(String),
    #[error("REQUESTS_NAMESPACE: {0:?} is no name for it")]
    Namespace(String),
    #[error("OZ_NSPLEASE_SERVER: {0:?} is not the address of an API server")]
    Server(String),
}

/// How often the token of a namespace is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    OnlyOnce,
    MultipleTimes,
}

impl Policy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyOnce => "only-once",
            Self::MultipleTimes => "multiple-times",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::OnlyOnce, Self::MultipleTimes].into_iter().find(|p| p.as_str() == text)
    }
}

/// The settings as they are used.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) requests: String,
    valid: Vec<Regex>,
    ignored: Vec<String>,
    pub(super) annotation: String,
    pub(super) default: Policy,
    /// The Pod Security level of its namespaces.
    pub(super) pod_security: String,
    /// The API server's address, as the Secrets tell it.
    pub(super) server: String,
    /// The certificates of its authority, as PEM; empty where those of the system are used.
    pub(super) authority: String,
}

/// What is thought of a ConfigMap's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Ignored,
    Refused(String),
}

impl Options {
    /// The settings, where the adapter is on.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn settings(&self, config: &Config) -> Result<Option<Settings>, Error> {
        if !self.nsplease {
            return Ok(None);
        }
        let server = or(&self.nsplease_server, &config.cluster_url.to_string()).to_owned();
        if !server.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some() && url.host().is_some()) {
            return Err(Error::Server(server));
        }
        let requests = or(&self.requests_namespace, REQUESTS_NAMESPACE);
        if misnamed(requests) || (requests != REQUESTS_NAMESPACE && is_reserved_name(requests)) {
            return Err(Error::Namespace(requests.to_owned()));
        }
        let default = or(&self.token_policy_default, TOKEN_POLICY_DEFAULT);
        let pod_security = or(&self.nsplease_pod_security, POD_SECURITY);
        if !["privileged", "baseline", "restricted"].contains(&pod_security) {
            return Err(Error::PodSecurity(pod_security.to_owned()));
        }
        let valid = or(&self.valid_regexes, VALID_REGEXES).split_ascii_whitespace().map(|pattern| {
            // Names are ASCII, and so are the classes of nsplease's own grep.
            RegexBuilder::new(pattern).unicode(false).size_limit(PATTERN_LIMIT).build()
        });
        Ok(Some(Settings {
            requests: requests.to_owned(),
            valid: valid.collect::<Result<_, _>>()?,
            ignored: or(&self.ignore_silently, IGNORE_SILENTLY)
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            annotation: or(&self.token_policy_annotation, TOKEN_POLICY_ANNOTATION).to_owned(),
            default: Policy::read(default).ok_or_else(|| Error::Policy(default.to_owned()))?,
            pod_security: pod_security.to_owned(),
            server: server.trim_end_matches('/').to_owned(),
            authority: config.root_cert.iter().flatten().map(|der| pem(der)).collect(),
        }))
    }
}

/// An empty variable is one that is not set, as in a shell's `:=`.
fn or<'a>(given: &'a str, default: &'a str) -> &'a str {
    if given.trim().is_empty() { default } else { given }
}

impl Settings {
    /// May there be a namespace of this name for a ConfigMap of that name?
    pub(super) fn verdict(&self, name: &str) -> Verdict {
        if self.ignored.iter().any(|ignored| ignored == name) {
            return Verdict::Ignored;
        }
        if !self.valid.iter().any(|pattern| pattern.is_match(name.as_bytes())) {
            let patterns: Vec<&str> = self.valid.iter().map(Regex::as_str).collect();
            return Verdict::Refused(format!("{name} matches none of {}", patterns.join(" ")));
        }
        if misnamed(name) {
            return Verdict::Refused(format!("{name} is no name for a namespace"));
        }
        if is_reserved_name(name) || name == self.requests {
            return Verdict::Refused(format!("{name} is nobody's to ask for"));
        }
        Verdict::Valid
    }
}

/// A namespace's name is a DNS label.
fn misnamed(name: &str) -> bool {
    let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    !(1..=63).contains(&bytes.len())
        || !bytes.iter().all(|c| letter(*c) || *c == b'-')
        || ![bytes.first(), bytes.last()].into_iter().flatten().all(|c| letter(*c))
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// As Kubernetes writes bytes.
pub(super) fn base64(bytes: &[u8]) -> String {
    let text = serde_json::to_value(ByteString(bytes.to_vec())).ok();
    text.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(words: &[&str]) -> Result<Option<Settings>, Error> {
        let words = [&["oz-controller"], words].concat();
        Command::parse_from(words).options.settings(&Config::new("https://10.0.0.1:6443/".parse().unwrap()))
    }

    /// Those of an adapter that is on.
    pub(in super::super) fn settings(words: &[&str]) -> Settings {
        parsed(&[&["--nsplease"], words].concat()).unwrap().unwrap()
    }

    #[test]
    fn off_unless_told_and_as_nsplease_is_by_default() {
        assert!(parsed(&[]).unwrap().is_none());
        let plain =
            settings(&["--valid-regexes", "", "--requests-namespace", "", "--token-policy-default", ""]);
        assert_eq!((plain.requests.as_str(), plain.default), ("nsplease-requests", Policy::MultipleTimes));
        assert_eq!(plain.annotation, "nsplease.container.training/issue-token");
        assert_eq!(plain.server, "https://10.0.0.1:6443");
        assert_eq!(plain.verdict("kube-root-ca.crt"), Verdict::Ignored);
        for name in ["ci-commit-0af", "ci-branch-main", "nsp-x"] {
            assert_eq!(plain.verdict(name), Verdict::Valid, "{name}");
        }
        for name in [
            "x",
            "ci-commit-",
            "ci-commit-0ag",
            "a-nsp-x",
            "nsp-x.y",
            "nsp-x-",
            "default",
            &format!("nsp-{}", "a".repeat(60)),
        ] {
            assert!(matches!(plain.verdict(name), Verdict::Refused(_)), "{name}");
        }
    }

    #[test]
    fn whatever_the_patterns_say_some_names_are_nobodys() {
        let wide = settings(&[
            "--valid-regexes",
            "[[:alnum:]]",
            "--requests-namespace",
            "asked",
            "--ignore-silently",
            "a b",
        ]);
        assert_eq!(wide.verdict("any-thing"), Verdict::Valid);
        assert_eq!(wide.verdict("b"), Verdict::Ignored);
        let own = [
            "kube-system",
            "kube-x",
            "default",
            "oz-system",
            "oz-sessions",
            "oz-requests",
            "asked",
            "nsplease-requests",
        ];
        for name in own.into_iter().chain(["a.b", "-a", "kube-root-ca.crt"]) {
            assert!(matches!(wide.verdict(name), Verdict::Refused(_)), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_at_once() {
        assert!(matches!(parsed(&["--nsplease", "--valid-regexes", "^(a$"]), Err(Error::Regex(_))));
        assert!(matches!(parsed(&["--nsplease", "--token-policy-default", "often"]), Err(Error::Policy(_))));
        assert!(matches!(
            parsed(&["--nsplease", "--requests-namespace", "oz-sessions"]),
            Err(Error::Namespace(_))
        ));
        assert!(matches!(parsed(&["--nsplease", "--nsplease-server", "k8s"]), Err(Error::Server(_))));
        assert!(parsed(&["--valid-regexes", "^(a$"]).unwrap().is_none());
    }

    #[test]
    fn certificates_are_told_as_text() {
        let text = pem(&[7; 60]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[1].len(), lines[2].len()), (4, 64, 16));
    }
}
