//! Self-contained kubeconfigs: one cluster, one user, one context.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// As kubeconfigs carry certificates and keys.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The text of a kubeconfig.
pub(crate) fn compose(cluster_name: &str, cluster: &Value, user_name: &str, user: &Value) -> Result<String> {
    let context = format!("{user_name}@{cluster_name}");
    serde_yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": user_name, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": cluster_name, "user": user_name}}],
        "current-context": context,
    }))
    .context("failed to write a kubeconfig")
}
