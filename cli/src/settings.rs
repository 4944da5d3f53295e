//! kubectl's flags, and what they come to with the environment: resolved once, before anything is sent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::kubeconfig::{self, Store};

/// How long one request to the API server may take unless told otherwise: an API server that is up answers within a
/// second, and kubectl waits for ever.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Flags of kubectl, taken by every command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct GlobalArgs {
    /// The kubeconfig's context to use
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// The namespace, instead of the context's
    #[arg(short, long, global = true, value_name = "NS")]
    namespace: Option<String>,
    /// The kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    impersonate: Option<String>,
    /// Act in this group; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "impersonate")]
    impersonate_groups: Vec<String>,
    /// Act with this uid
    #[arg(long = "as-uid", global = true, value_name = "UID", requires = "impersonate")]
    impersonate_uid: Option<String>,
    /// How long one request to the API server may take: 30s, 1m, or 0 for no limit
    #[arg(long, global = true, value_name = "TIME", value_parser = crate::duration::request_timeout)]
    request_timeout: Option<Duration>,
}

/// The flags as they count.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The context asked for.
    pub(crate) context: Option<String>,
    /// The namespace asked for.
    pub(crate) namespace: Option<String>,
    /// The kubeconfig named on the command line.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The files that count instead of all others; none of them: the pod's own account.
    pub(crate) kubeconfigs: Option<Vec<PathBuf>>,
    /// Whom to impersonate.
    pub(crate) impersonate: Option<String>,
    /// In which groups.
    pub(crate) impersonate_groups: Vec<String>,
    /// With which uid.
    pub(crate) impersonate_uid: Option<String>,
    /// How long one request may take.
    pub(crate) request_timeout: Duration,
}

impl From<GlobalArgs> for Settings {
    fn from(args: GlobalArgs) -> Self {
        let some = |text: Option<String>| text.filter(|t| !t.is_empty());
        Self {
            context: some(args.context),
            namespace: some(args.namespace),
            kubeconfig: args.kubeconfig.filter(|p| !p.as_os_str().is_empty()),
            kubeconfigs: None,
            impersonate: some(args.impersonate),
            impersonate_groups: args.impersonate_groups,
            impersonate_uid: some(args.impersonate_uid),
            request_timeout: args.request_timeout.unwrap_or(REQUEST_TIMEOUT),
        }
    }
}

impl Settings {
    /// The kubeconfig that is read and edited.
    ///
    /// # Errors
    /// When there is no home directory and nothing else says where it is.
    pub(crate) fn store(&self) -> Result<Store, kubeconfig::Error> {
        Store::locate(self.kubeconfig.as_deref(), kubeconfig_variable(), dirs::home_dir())
    }

    /// The flags that a command to paste must repeat in order to reach the same cluster.
    pub(crate) fn repeat(&self) -> String {
        self.context.as_ref().map(|c| format!(" --context {c}")).unwrap_or_default()
    }
}

/// `KUBECONFIG`, if it is set to anything.
pub(crate) fn kubeconfig_variable() -> Option<OsString> {
    std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty())
}
