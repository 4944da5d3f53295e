//! Does the gate refuse? Dry runs that must be refused, one a policy, each breaking that policy alone. These are the
//! controller's own: it asks them before it grants, and here whoever installs or checks Oz does.
//!
//! Half of them are refused to everybody. The others are refused to the controller only, or to people who hold less than an
//! administrator, and so they are asked as the controller, which takes the right to impersonate it.

use futures::StreamExt as _;
use http::Method;
use kube::Client;
use kube::api::DynamicObject;
use kube::core::Status;
use oz_shared::names::{
    CONTROLLER_USERNAME, GATE_PROBE, GATE_REVISION, GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE,
};
use oz_shared::request::Requester;
use serde_json::{Value, json};

use crate::kube::{Cluster, Fault};
use crate::settings::Settings;

/// Requests in flight at once: each is a connection of its own.
const AT_ONCE: usize = 4;

/// What became of a dry run that must be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was, by its policy in the present revision.
    Refused,
    /// It was not: the gate is open there.
    Open(String),
    /// It could not be asked.
    Unknown(String),
}

struct Probe {
    policy: &'static str,
    as_controller: bool,
    method: Method,
    path: String,
    body: Value,
}

/// Asks all probes; the policy of each with its answer.
///
/// # Errors
/// The API server does not answer at all.
pub(crate) async fn probe(
    cluster: &Cluster,
    settings: &Settings,
) -> Result<Vec<(&'static str, Answer)>, Fault> {
    let me = cluster.whoami().await?;
    let controller = match settings.impersonate {
        // One cannot be two others at once.
        Some(_) => None,
        None => {
            let controller =
                Settings { impersonate: Some(CONTROLLER_USERNAME.to_owned()), ..settings.clone() };
            Some(Cluster::connect(&controller).await?)
        }
    };
    let asked = list(&me).into_iter().map(|probe| {
        let controller = controller.as_ref();
        async move {
            let policy = probe.policy;
            let answer = match (probe.as_controller, controller) {
                (false, _) => ask(cluster, probe).await,
                (true, Some(controller)) => ask(controller, probe).await,
                (true, None) => Answer::Unknown(
                    "asked only without --as: it takes impersonating the controller".to_owned(),
                ),
            };
            (policy, answer)
        }
    });
    Ok(futures::stream::iter(asked).buffered(AT_ONCE).collect().await)
}

async fn ask(cluster: &Cluster, probe: Probe) -> Answer {
    let policy = probe.policy;
    let request = match request(probe) {
        Ok(request) => request,
        Err(error) => return Answer::Unknown(error.to_string()),
    };
    match cluster.call("probe the gate", send(&cluster.client, request)).await {
        Ok(()) => Answer::Open("let through what it must refuse".to_owned()),
        Err(Fault::Api { status, .. }) => judge(policy, &status),
        Err(fault) => Answer::Unknown(fault.to_string()),
    }
}

fn request(probe: Probe) -> http::Result<http::Request<Vec<u8>>> {
    let json =
        if probe.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    // A connection has no dry run; of a deletion the body counts.
    let (path, body) = match probe.body {
        Value::Null => (probe.path, Vec::new()),
        body => (format!("{}?dryRun=All", probe.path), body.to_string().into_bytes()),
    };
    http::Request::builder()
        .method(probe.method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, json)
        .body(body)
}

/// An answer that is no error, whatever it holds, means that it was let through.
async fn send(client: &Client, request: http::Request<Vec<u8>>) -> kube::Result<()> {
    match client.request::<DynamicObject>(request).await {
        Ok(_) | Err(kube::Error::SerdeError(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a refusal says.
fn judge(policy: &str, status: &Status) -> Answer {
    let message = status.message.as_str();
    if message.contains(&format!("ValidatingAdmissionPolicy '{policy}'")) {
        return match status.code == 403 && message.ends_with(GATE_REVISION) {
            true => Answer::Refused,
            false => Answer::Open(format!("refuses in another revision than {GATE_REVISION}: {message}")),
        };
    }
    match status.code {
        403 if message.contains(" cannot ") => Answer::Unknown("you may not ask it".to_owned()),
        404 if message.contains(GATE_PROBE) => {
            Answer::Unknown("the controller has not yet made the request that this is asked about".to_owned())
        }
        code => Answer::Open(format!("did not refuse; the API server said {code}: {message}")),
    }
}

fn access_request(name: &str, requester: &Value, duration: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": name},
        "spec": {"template": GATE_PROBE, "duration": duration, "requester": requester, "reason": "a check of the gate"},
    })
}

fn list(me: &Requester) -> Vec<Probe> {
    let oz = format!("/apis/ozaccess.io/v1alpha1/namespaces/{SYSTEM_NAMESPACE}");
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/roles");
    let role = |labels: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "gate-probe", "labels": labels}});
    let post =
        |policy, path: String, body| Probe { policy, as_controller: false, method: Method::POST, path, body };
    let as_controller = |probe: Probe| Probe { as_controller: true, ..probe };
    let kept = format!("{oz}/accessrequests/{GATE_PROBE}");
    vec![
        post(
            "oz-request-create",
            format!("{oz}/accessrequests"),
            access_request("gate-probe-forged", &json!({"username": "somebody-else"}), "1m"),
        ),
        post(
            "oz-request-template",
            format!("{oz}/accessrequests"),
            access_request("gate-probe-long", &json!(me), "2m"),
        ),
        as_controller(Probe {
            method: Method::PATCH,
            ..post(
                "oz-request-update",
                kept.clone(),
                json!({"metadata": {"labels": {"gate-probe": "must-be-refused"}}}),
            )
        }),
        as_controller(Probe {
            method: Method::DELETE,
            ..post(
                "oz-request-delete",
                kept,
                json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
            )
        }),
        as_controller(post(
            "oz-template",
            format!("{oz}/accesstemplates"),
            json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate", "metadata": {"name": "gate-probe-template"},
                "spec": {"exec": {"pods": {"selector": {"matchLabels": {"ozaccess.io/gate-probe": "none"}}}, "connections": ["attach"]},
                         "duration": {"default": "1m", "max": "1m"}},
            }),
        )),
        post("oz-guard", roles.clone(), role(json!({GRANT_LABEL: "gate-probe"}))),
        post(
            "oz-sessions",
            format!("/api/v1/namespaces/{SESSIONS_NAMESPACE}/configmaps"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gate-probe"}}),
        ),
        post(
            "oz-records",
            "/apis/ozaccess.io/v1alpha1/grants".to_owned(),
            json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "metadata": {"name": "gate-probe"},
                "spec": {"holder": {"username": "gate-probe"}, "approvedAt": "2026-01-01T00:00:00Z",
                         "expiresAt": "2026-01-01T00:00:00Z",
                         "request": {"kind": "AccessRequest", "name": GATE_PROBE, "uid": "none"},
                         "terms": {"template": {"name": GATE_PROBE, "uid": "none", "generation": 1}, "historyTtl": "1m"}},
            }),
        ),
        // The pod is not there, and the controller may connect to none.
        as_controller(post(
            "oz-connect",
            format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/gate-probe/exec?command=true&stdout=true"),
            Value::Null,
        )),
        as_controller(post("oz-controller", roles, role(json!({})))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_probed_once() {
        let mut probed: Vec<&str> = list(&Requester::default()).iter().map(|p| p.policy).collect();
        let policies = crate::installation::of_kind("ValidatingAdmissionPolicy");
        let mut there: Vec<&str> = policies.iter().filter_map(|p| p["metadata"]["name"].as_str()).collect();
        probed.sort_unstable();
        there.sort_unstable();
        assert_eq!(probed, there);
    }

    #[test]
    fn nothing_that_a_probe_asks_is_done() {
        for probe in list(&Requester::default()) {
            let connects = probe.body.is_null();
            assert!(!connects || probe.policy == "oz-connect");
            let request = request(probe).unwrap();
            assert!(connects || request.uri().query() == Some("dryRun=All"), "{}", request.uri());
        }
    }

    #[test]
    fn a_refusal_counts_only_from_its_policy_and_revision() {
        let judge = |code: u16, message: &str| {
            let status: Status = serde_json::from_value(json!({"code": code, "message": message})).unwrap();
            judge("oz-guard", &status)
        };
        let by = "roles is forbidden: ValidatingAdmissionPolicy 'oz-guard' with binding 'oz-guard' denied request: no";
        assert_eq!(judge(403, &format!("{by} [oz 1]")), Answer::Refused);
        assert!(matches!(judge(403, &format!("{by} [oz 0]")), Answer::Open(_)));
        assert!(matches!(judge(422, &format!("{by} [oz 1]")), Answer::Open(_)));
        assert!(matches!(judge(403, "User \"alice\" cannot create resource \"roles\""), Answer::Unknown(_)));
        assert!(matches!(
            judge(403, "ValidatingAdmissionPolicy 'other' denied request: no [oz 1]"),
            Answer::Open(_)
        ));
    }
}
