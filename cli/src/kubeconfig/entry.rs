//! What Oz puts into a kubeconfig, as data: one cluster, one user and one context of the same name, and the mark
//! by which each is known again.

use std::fmt;

use jiff::Timestamp;
use serde_yaml::{Mapping, Value};

use super::render;

/// What every name of ours begins with.
pub(crate) const PREFIX: &str = "oz-";

/// The name of the extension that marks what is ours.
const EXTENSION: &str = "ozaccess.io";

/// What the API machinery calls the exec plugin's protocol.
const EXEC_API: &str = "client.authentication.k8s.io/v1";

/// Shown by kubectl where it cannot find the plugin.
const INSTALL_HINT: &str =
    "This access was lent by oz, which is not found: install it, then run oz kubeconfig update.";

/// How the user of an entry proves who he is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A bearer token, written into the file.
    Token(String),
    /// An exec credential plugin, run by kubectl whenever it needs a token.
    Exec {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Environment variables beside the caller's own: name and value.
        env: Vec<(String, String)>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Exec { command, .. } => {
                f.debug_struct("Exec").field("command", command).finish_non_exhaustive()
            }
        }
    }
}

/// One loan, as it stands in a kubeconfig.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name of the cluster, the user and the context: [`PREFIX`] and more, no control characters.
    pub(crate) name: String,
    /// The API server's URL.
    pub(crate) server: String,
    /// The cluster's CA certificates: PEM in base64.
    pub(crate) certificate_authority_data: Option<String>,
    /// The name the server's certificate is checked against, when it is not the URL's.
    pub(crate) tls_server_name: Option<String>,
    /// The proxy on the way to the server.
    pub(crate) proxy_url: Option<String>,
    /// Whether the server's certificate goes unchecked, as in the context this was borrowed through.
    pub(crate) insecure_skip_tls_verify: bool,
    /// The context's namespace.
    pub(crate) namespace: String,
    /// The user's credential.
    pub(crate) credential: Credential,
    /// When the loan ends.
    pub(crate) expires_at: Timestamp,
    /// The request behind it: `namespace/name`; empty where someone else's was handed over.
    pub(crate) request: String,
}

impl fmt::Debug for Entry {
    /// Leaves out what may hold a secret: the credential, and the proxy's URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .field("credential", &self.credential)
            .field("expires_at", &self.expires_at)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// An entry of ours found in a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OurEntry {
    /// The context's name.
    pub(crate) name: String,
    /// The context's namespace, where it has one.
    pub(crate) namespace: Option<String>,
    /// When the loan ends.
    pub(crate) expires: Timestamp,
    /// The request behind it: `namespace/name`; empty where someone else's was handed over.
    pub(crate) request: String,
    /// The server of the cluster that the context names, where there is one.
    pub(crate) server: Option<String>,
}

/// The three lists of a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Clusters,
    Users,
    Contexts,
}

impl Section {
    /// In the order in which they are written.
    pub(super) const ALL: [Self; 3] = [Self::Clusters, Self::Users, Self::Contexts];

    /// The key of the list.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Users => "users",
            Self::Contexts => "contexts",
        }
    }

    /// The key inside an item, which is also what people call such an item.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Users => "user",
            Self::Contexts => "context",
        }
    }
}

/// What the extension says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) expires: Timestamp,
    pub(super) request: String,
}

impl Mark {
    /// The mark of an item of `section`. A mark that cannot be read is none: such an item is not touched.
    pub(super) fn of(section: Section, item: &Value) -> Option<Self> {
        if !item.get("name")?.as_str()?.starts_with(PREFIX) {
            return None;
        }
        let extensions = item.get(section.kind())?.get("extensions")?.as_sequence()?;
        let ours = extensions.iter().find(|e| e.get("name").and_then(Value::as_str) == Some(EXTENSION))?;
        let body = ours.get("extension")?;
        Some(Self {
            expires: body.get("expires")?.as_str()?.parse().ok()?,
            request: body.get("request")?.as_str()?.to_owned(),
        })
    }

    fn value(&self) -> Value {
        let body = map([("expires", text(self.expires.to_string())), ("request", text(&self.request))]);
        Value::Sequence(vec![map([("extension", body), ("name", text(EXTENSION))])])
    }
}

impl Entry {
    /// The mark that its three items carry.
    pub(super) fn mark(&self) -> Mark {
        Mark { expires: self.expires_at, request: self.request.clone() }
    }

    /// Its item of one list, with the keys in the order in which kubectl writes them.
    pub(super) fn item(&self, section: Section) -> Value {
        let body = match section {
            Section::Clusters => self.cluster(),
            Section::Users => self.user(),
            Section::Contexts => map([
                ("cluster", text(&self.name)),
                ("extensions", self.mark().value()),
                ("namespace", text(&self.namespace)),
                ("user", text(&self.name)),
            ]),
        };
        // The body's key sorts before `name` in two lists of three; kubectl sorts them all.
        match section {
            Section::Users => map([("name", text(&self.name)), (section.kind(), body)]),
            Section::Clusters | Section::Contexts => {
                map([(section.kind(), body), ("name", text(&self.name))])
            }
        }
    }

    /// A kubeconfig of nothing but this, without our mark: for somebody who need not have Oz.
    pub(crate) fn alone(&self) -> String {
        let mut text = String::from("apiVersion: v1\nkind: Config\n");
        for section in Section::ALL {
            let mut item = self.item(section);
            if let Some(Value::Mapping(body)) = item.get_mut(section.kind()) {
                body.shift_remove("extensions");
            }
            text.push_str(&format!("{}:\n{}\n", section.key(), render::block_item(&item, 0)));
        }
        let mut name = String::new();
        render::quote(&mut name, &self.name);
        text.push_str(&format!("current-context: {name}\n"));
        text
    }

    fn cluster(&self) -> Value {
        let optional = |key, value: &Option<String>| value.as_ref().map(|value| (key, text(value)));
        // client-go refuses a CA beside `insecure-skip-tls-verify`.
        let authority = self.certificate_authority_data.clone().filter(|_| !self.insecure_skip_tls_verify);
        let keys = [
            optional("certificate-authority-data", &authority),
            Some(("extensions", self.mark().value())),
            self.insecure_skip_tls_verify.then_some(("insecure-skip-tls-verify", Value::Bool(true))),
            optional("proxy-url", &self.proxy_url),
            Some(("server", text(&self.server))),
            optional("tls-server-name", &self.tls_server_name),
        ];
        map(keys.into_iter().flatten())
    }

    fn user(&self) -> Value {
        let mark = ("extensions", self.mark().value());
        match &self.credential {
            Credential::Token(token) => map([mark, ("token", text(token))]),
            Credential::Exec { command, args, env } => {
                let pair =
                    |(name, value): &(String, String)| map([("name", text(name)), ("value", text(value))]);
                let env = (!env.is_empty()).then(|| ("env", Value::Sequence(env.iter().map(pair).collect())));
                let keys = [
                    Some(("apiVersion", text(EXEC_API))),
                    (!args.is_empty()).then(|| ("args", Value::Sequence(args.iter().map(text).collect()))),
                    Some(("command", text(command))),
                    env,
                    Some(("installHint", text(INSTALL_HINT))),
                    Some(("interactiveMode", text("Never"))),
                    Some(("provideClusterInfo", Value::Bool(false))),
                ];
                map([("exec", map(keys.into_iter().flatten())), mark])
            }
        }
    }
}

fn text(value: impl AsRef<str>) -> Value {
    Value::String(value.as_ref().to_owned())
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (text(key), value)).collect::<Mapping>())
}
