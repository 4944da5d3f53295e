//! Deciding and releasing: one patch each, held to the object that was looked at by its uid. Names are reused.

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use oz_shared::request::{Decision, Requester, TemplatePin, Verdict};
use serde_json::json;

use super::asked::Asked;
use super::client::{Cluster, Fault};

/// Adds the user's decision. Two who decide at once do not meet: the entry is appended, nothing is replaced.
///
/// # Errors
/// The API server refuses it: among others when the request or its template is no longer the one looked at.
pub(crate) async fn decide<R: Asked>(
    cluster: &Cluster,
    request: &R,
    me: &Requester,
    verdict: Verdict,
    reason: &str,
    template: TemplatePin,
) -> Result<R, Fault> {
    let uid = request.uid().unwrap_or_default();
    let decision = Decision {
        by: me.username.clone(),
        decision: verdict,
        reason: reason.to_owned(),
        request: uid.clone(),
        template,
        offer: request.status().map(|s| s.offer_digest.clone()).unwrap_or_default(),
    };
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/spec/decisions/-", "value": decision},
    ]);
    let doing = format!("decide request {}", request.name_any());
    let patch = serde_json::from_value(operations)
        .map_err(|e| Fault::Protocol { doing: doing.clone(), cause: e.to_string() })?;
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let api = cluster.asked::<R>(Some(&namespace));
    let with = PatchParams::default();
    cluster.call(&doing, api.patch(&request.name_any(), &with, &Patch::Json::<()>(patch))).await
}

/// Ends a request, the user's own or, with the verb `revoke`, another's.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn release<R: Asked>(
    cluster: &Cluster,
    request: &R,
    me: &Requester,
    reason: &str,
) -> Result<R, Fault> {
    let body = json!({
        "metadata": {"uid": request.uid()},
        "spec": {"released": true, "releasedBy": me.username, "releaseReason": reason},
    });
    let doing = format!("release request {}", request.name_any());
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
    let api = cluster.asked::<R>(Some(&namespace));
    let with = PatchParams::default();
    cluster.call(&doing, api.patch(&request.name_any(), &with, &Patch::Merge(body))).await
}
