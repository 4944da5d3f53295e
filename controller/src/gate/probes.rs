//! The dry runs that must be refused: one a policy, each breaking that policy alone. The controller's own exemptions do
//! not hold for dry runs, so they show the policies as everybody else meets them.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::response::StatusSummary;
use kube::{Client, Error};
use oz_shared::names::{GATE_PROBE, GATE_REVISION, GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use oz_shared::{AccessRequest, AccessRequestStatus, Phase};
use serde_json::{Value, json};

use crate::write;

/// A refused request: `PATCH /path body`.
struct Probe {
    policy: &'static str,
    method: http::Method,
    path: String,
    body: Value,
}

/// Succeeds when every policy refuses its probe.
///
/// # Errors
/// Which policy let its probe through, or what kept it from being asked.
pub(super) async fn all(client: &Client) -> Result<(), String> {
    let me = whoami(client).await?;
    let kept = kept_request(client, &me).await?;
    let probes = list(&me, &kept);
    let answers = futures::future::join_all(probes.into_iter().map(|p| refused(client, p))).await;
    answers.into_iter().collect()
}

/// The requester as the API server knows this process.
async fn whoami(client: &Client) -> Result<Value, String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .map_err(|e| format!("who am I: {}", crate::report::chain(&e)))?;
    let user = review.status.and_then(|s| s.user_info).unwrap_or_default();
    Ok(json!({
        "username": user.username, "uid": user.uid.unwrap_or_default(), "groups": user.groups.unwrap_or_default(),
    }))
}

/// The name of the request that is kept to be refused on; made where it is missing. It is never granted, and its
/// `approvedAt` is there so that its own maker may not delete it.
async fn kept_request(client: &Client, me: &Value) -> Result<String, String> {
    let api: Api<AccessRequest> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let failed =
        |e: Error| format!("the kept request {SYSTEM_NAMESPACE}/{GATE_PROBE}: {}", crate::report::chain(&e));
    let request = match api.get_opt(GATE_PROBE).await.map_err(failed)? {
        Some(request) => request,
        None => {
            let request = request(GATE_PROBE, me, "1m");
            let request = serde_json::from_value(request).map_err(|e| failed(Error::SerdeError(e)))?;
            match write::create(&api, &request).await {
                Err(Error::Api(status)) if status.code == 409 => api.get(GATE_PROBE).await.map_err(failed)?,
                other => other.map_err(failed)?,
            }
        }
    };
    if request.status.as_ref().is_none_or(|s| s.approved_at.is_none()) {
        let status = AccessRequestStatus {
            phase: Some(Phase::Failed),
            approved_at: request.metadata.creation_timestamp.clone(),
            ..AccessRequestStatus::default()
        };
        write::status(&api, &request, request.status.as_ref(), &status).await.map_err(failed)?;
    }
    Ok(GATE_PROBE.to_owned())
}

fn request(name: &str, requester: &Value, duration: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": name},
        "spec": {"template": GATE_PROBE, "duration": duration, "requester": requester,
                 "reason": "kept for the controller's own checks of the gate"},
    })
}

fn list(me: &Value, kept: &str) -> Vec<Probe> {
    let oz = format!("/apis/ozaccess.io/v1alpha1/namespaces/{SYSTEM_NAMESPACE}");
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/roles");
    let post = |policy, path: String, body| Probe { policy, method: http::Method::POST, path, body };
    let role = |labels: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
               "metadata": {"name": "gate-probe", "labels": labels}})
    };
    vec![
        post(
            "oz-request-create",
            format!("{oz}/accessrequests"),
            request("gate-probe-forged", &json!({"username": "somebody-else"}), "1m"),
        ),
        post("oz-request-template", format!("{oz}/accessrequests"), request("gate-probe-long", me, "2m")),
        Probe {
            policy: "oz-request-update",
            method: http::Method::PATCH,
            path: format!("{oz}/accessrequests/{kept}"),
            body: json!({"metadata": {"labels": {"gate-probe": "must-be-refused"}}}),
        },
        Probe {
            policy: "oz-request-delete",
            method: http::Method::DELETE,
            path: format!("{oz}/accessrequests/{kept}"),
            // Where a deletion has a body, its query does not count.
            body: json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
        },
        post(
            "oz-template",
            format!("{oz}/accesstemplates"),
            json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate", "metadata": {"name": "gate-probe-template"},
                "spec": {"exec": {"pods": {"selector": {"matchLabels": {"ozaccess.io/gate-probe": "none"}}},
                                  "connections": ["attach"]},
                         "duration": {"default": "1m", "max": "1m"}},
            }),
        ),
        post("oz-guard", roles.clone(), role(json!({GRANT_LABEL: "gate-probe"}))),
        post(
            "oz-sessions",
            format!("/apis/events.k8s.io/v1/namespaces/{SESSIONS_NAMESPACE}/events"),
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "gate-probe"},
                "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "ozaccess.io/controller",
                "reportingInstance": "gate-probe", "action": "Probe", "reason": "Probe", "type": "Normal",
                "regarding": {"namespace": SESSIONS_NAMESPACE, "kind": "ServiceAccount", "name": "default"},
            }),
        ),
        post(
            "oz-records",
            "/apis/ozaccess.io/v1alpha1/grants".to_owned(),
            json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "metadata": {"name": "gate-probe"},
                "spec": {"holder": {"username": "gate-probe"}, "approvedAt": "2026-01-01T00:00:00Z",
                         "expiresAt": "2026-01-01T00:00:00Z",
                         "request": {"kind": "AccessRequest", "name": kept, "uid": "none"},
                         "terms": {"template": {"name": kept, "uid": "none", "generation": 1}, "historyTtl": "1m"}},
            }),
        ),
        // The pod is not there, and the controller may connect to none.
        Probe {
            policy: "oz-connect",
            method: http::Method::POST,
            path: format!(
                "/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/gate-probe/exec?command=true&stdout=true"
            ),
            body: Value::Null,
        },
        post("oz-controller", roles, role(json!({}))),
    ]
}

async fn refused(client: &Client, probe: Probe) -> Result<(), String> {
    let Probe { policy, method, path, body } = probe;
    let content_type =
        if method == http::Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    // A connection has no dry run, and a deletion says so in its body.
    let path = if body.is_null() { path } else { format!("{path}?dryRun=All") };
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content_type)
        .body(body)
        .map_err(|e| format!("{policy}: {e}"))?;
    let status = match client.request::<DynamicObject>(request).await {
        Ok(_) => return Err(format!("{policy} let a dry run through that it must refuse")),
        Err(Error::Api(status)) => status,
        // An answer that is no error, and no object either, was let through too.
        Err(Error::SerdeError(_)) => {
            return Err(format!("{policy} let a request through that it must refuse"));
        }
        Err(error) => return Err(format!("{policy} could not be asked: {}", crate::report::chain(&error))),
    };
    let by_policy = status.message.contains(&format!("ValidatingAdmissionPolicy '{policy}'"));
    let by_revision = status.message.ends_with(GATE_REVISION);
    if status.code == 403 && status.status == Some(StatusSummary::Failure) && by_policy && by_revision {
        Ok(())
    } else {
        Err(format!(
            "{policy} did not refuse a dry run in revision {GATE_REVISION}; the API server said {}: {}",
            status.code, status.message
        ))
    }
}
