//! Delegations: found and released. They are asked of nobody, so they share little with requests.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use oz_shared::Delegation;
use oz_shared::request::Requester;
use serde_json::json;

use super::ask::{random, request_name};
use super::client::{Cluster, Fault};

/// A name for one that has none.
pub(crate) fn made_up_name() -> String {
    request_name("delegation", random())
}

impl Cluster {
    /// Those of a namespace, or of all.
    pub(crate) fn delegations(&self, namespace: Option<&str>) -> Api<Delegation> {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// A delegation of this namespace.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn delegation(&self, name: &str) -> Result<Delegation, Fault> {
        let doing = format!("read delegation {name} in namespace {}", self.namespace);
        self.call(&doing, self.delegations(Some(&self.namespace)).get(name)).await
    }
}

/// Why it is over, if it is.
pub(crate) fn over(delegation: &Delegation) -> Option<String> {
    if let Some(release) = delegation.release() {
        let why = if release.reason.is_empty() { String::new() } else { format!(": {}", release.reason) };
        return Some(format!("released by {}{why}", release.by));
    }
    delegation.phase().is_final().then(|| delegation.phase().as_str().to_lowercase())
}

/// Ends a delegation, the user's own or, with the verb `revoke`, another's.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn end(
    cluster: &Cluster,
    delegation: &Delegation,
    me: &Requester,
    reason: &str,
) -> Result<Delegation, Fault> {
    let body = json!({
        "metadata": {"uid": delegation.uid()},
        "spec": {"released": true, "releasedBy": me.username, "releaseReason": reason},
    });
    let doing = format!("release delegation {}", delegation.name_any());
    let namespace = delegation.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let api = cluster.delegations(Some(&namespace));
    let with = PatchParams::default();
    cluster.call(&doing, api.patch(&delegation.name_any(), &with, &Patch::Merge(body))).await
}
