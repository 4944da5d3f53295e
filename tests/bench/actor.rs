//! Someone with a kubeconfig, of whom clients are made afresh: a command line has no connection when it starts.

use std::path::Path;

use anyhow::{Context as _, Result};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use support::{Identity, User};

/// A person as his command line knows him.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) user: User,
    config: Config,
}

impl Actor {
    /// By the current context of that kubeconfig.
    pub(crate) async fn from_kubeconfig(path: &Path) -> Result<Actor> {
        let user = Identity::from_kubeconfig(path).await?.user().clone();
        let file =
            Kubeconfig::read_from(path).with_context(|| format!("failed to read {}", path.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Actor { user, config })
    }

    /// A client without any connection, made as Oz's programs make theirs.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(oz_client::client(self.config.clone())?.0)
    }

    /// A client for the same API server with this token and nothing else.
    pub(crate) fn bearer(&self, token: &str) -> Result<Client> {
        let auth_info: AuthInfo = serde_json::from_value(json!({"token": token}))?;
        let mut config = self.config.clone();
        config.auth_info = auth_info;
        Ok(oz_client::client(config)?.0)
    }
}
