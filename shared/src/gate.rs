//! The gate's policies, and the requests that each of them must refuse: one a policy, each breaking that policy alone.
//!
//! The controller asks them before it grants anything, and whoever installs or checks Oz does. All but the connection are
//! dry runs; the controller's own exemptions do not hold for those, so they show the policies as everybody meets them.

use serde_json::{Value, json};

use crate::names::{GATE_PROBE, GATE_REVISION, GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use crate::request::Requester;

/// The policies that must be there, each with its bindings.
pub const POLICIES: [(&str, &[&str]); 13] = [
    ("oz-request-create", &["oz-request-create"]),
    ("oz-request-template", &["oz-request-template-create", "oz-request-template-update"]),
    ("oz-request-class", &["oz-request-class-create", "oz-request-class-update"]),
    ("oz-request-update", &["oz-request-update"]),
    ("oz-request-delete", &["oz-request-delete"]),
    ("oz-template", &["oz-template"]),
    ("oz-namespaces", &["oz-namespaces"]),
    ("oz-delegation", &["oz-delegation"]),
    ("oz-guard", &["oz-guard"]),
    ("oz-sessions", &["oz-sessions"]),
    ("oz-records", &["oz-records"]),
    ("oz-connect", &["oz-connect"]),
    ("oz-controller", &["oz-controller"]),
];

/// A request that must be refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// By which policy.
    pub policy: &'static str,
    /// Is it refused to the controller only, or to people who hold less than an administrator? Then an administrator
    /// asks it as the controller.
    pub as_controller: bool,
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub uri: String,
    /// The content type of the body.
    pub content_type: &'static str,
    /// The body, or nothing.
    pub body: Vec<u8>,
}

impl Probe {
    fn new(policy: &'static str, method: &'static str, path: &str, body: &Value) -> Self {
        Self {
            policy,
            as_controller: false,
            method,
            uri: format!("{path}?dryRun=All"),
            content_type: if method == "PATCH" { "application/merge-patch+json" } else { "application/json" },
            body: body.to_string().into_bytes(),
        }
    }

    fn by_controller(self) -> Self {
        Self { as_controller: true, ..self }
    }
}

/// Is an answer with this code and message the refusal by `policy` in the present revision?
#[must_use]
pub fn is_refusal(policy: &str, code: u16, message: &str) -> bool {
    code == 403 && is_by(policy, message) && message.ends_with(GATE_REVISION)
}

/// Is this message a refusal by `policy`, in whatever revision?
#[must_use]
pub fn is_by(policy: &str, message: &str) -> bool {
    message.contains(&format!("ValidatingAdmissionPolicy '{policy}'"))
}

/// A request for the template that is kept for probes.
#[must_use]
pub fn request(name: &str, requester: &Requester, duration: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": name},
        "spec": {"template": GATE_PROBE, "duration": duration, "requester": requester,
                 "reason": "kept for the controller's own checks of the gate"},
    })
}

/// One probe a policy, asked by `me`. Those on the kept request need it to be there ([`GATE_PROBE`]).
#[must_use]
pub fn probes(me: &Requester) -> Vec<Probe> {
    let oz = format!("/apis/ozaccess.io/v1alpha1/namespaces/{SYSTEM_NAMESPACE}");
    let requests = format!("{oz}/accessrequests");
    let kept = format!("{requests}/{GATE_PROBE}");
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/roles");
    let role = |labels: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
               "metadata": {"name": "gate-probe", "labels": labels}})
    };
    let somebody = Requester { username: "somebody-else".to_owned(), ..Requester::default() };
    let template = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate", "metadata": {"name": "gate-probe-template"},
        "spec": {"exec": {"pods": {"selector": {"matchLabels": {"ozaccess.io/gate-probe": "none"}}}, "connections": ["attach"]},
                 "duration": {"default": "1m", "max": "1m"}},
    });
    let class = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass", "metadata": {"name": "gate-probe-class"},
        "spec": {"names": {"pattern": "gate-probe"}, "role": "gate-probe", "ttl": {"default": "1m", "max": "1m"}},
    });
    let namespaces = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": "gate-probe-long"},
        "spec": {"class": GATE_PROBE, "namespaces": ["gate-probe"], "duration": "2m", "requester": me},
    });
    let delegation = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Delegation", "metadata": {"name": "gate-probe"},
        "spec": {"origin": {"kind": "Role", "name": "gate-probe"}, "destinations": [{"kind": "User", "name": "gate-probe"}],
                 "triggers": [{"time": "Never"}], "deletionTriggers": [{"time": "now"}], "requester": me},
    });
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "gate-probe"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "ozaccess.io/controller",
        "reportingInstance": "gate-probe", "action": "Probe", "reason": "Probe", "type": "Normal",
        "regarding": {"namespace": SESSIONS_NAMESPACE, "kind": "ServiceAccount", "name": "default"},
    });
    let grant = json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "metadata": {"name": "gate-probe"},
        "spec": {"holder": {"username": "gate-probe"}, "approvedAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-01-01T00:00:00Z",
                 "request": {"kind": "AccessRequest", "name": GATE_PROBE, "uid": "none"},
                 "terms": {"template": {"name": GATE_PROBE, "uid": "none", "generation": 1}, "historyTtl": "1m"}},
    });
    // Where a deletion has a body, its query does not count.
    let deletion = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    let label = json!({"metadata": {"labels": {"gate-probe": "must-be-refused"}}});
    // Where the requester is filled in (manifests/admission-fill) it is forged in vain: released it may not be either.
    let mut forged = request("gate-probe-forged", &somebody, "1m");
    forged["spec"]["released"] = json!(true);
    forged["spec"]["releasedBy"] = json!("somebody-else");
    vec![
        Probe::new("oz-request-create", "POST", &requests, &forged),
        Probe::new("oz-request-template", "POST", &requests, &request("gate-probe-long", me, "2m")),
        Probe::new("oz-request-class", "POST", &format!("{oz}/namespacerequests"), &namespaces),
        Probe::new("oz-request-update", "PATCH", &kept, &label).by_controller(),
        Probe::new("oz-request-delete", "DELETE", &kept, &deletion).by_controller(),
        Probe::new("oz-template", "POST", &format!("{oz}/accesstemplates"), &template).by_controller(),
        Probe::new("oz-namespaces", "POST", "/apis/ozaccess.io/v1alpha1/namespaceclasses", &class)
            .by_controller(),
        Probe::new("oz-delegation", "POST", &format!("{oz}/delegations"), &delegation),
        Probe::new("oz-guard", "POST", &roles, &role(json!({GRANT_LABEL: "gate-probe"}))),
        Probe::new(
            "oz-sessions",
            "POST",
            &format!("/apis/events.k8s.io/v1/namespaces/{SESSIONS_NAMESPACE}/events"),
            &event,
        ),
        Probe::new("oz-records", "POST", "/apis/ozaccess.io/v1alpha1/grants", &grant),
        // A connection has no dry run. The pod is not there, and the controller may connect to none.
        Probe {
            policy: "oz-connect",
            as_controller: true,
            method: "POST",
            uri: format!(
                "/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{GATE_PROBE}/exec?command=true&stdout=true"
            ),
            content_type: "application/json",
            body: Vec::new(),
        },
        Probe::new("oz-controller", "POST", &roles, &role(json!({}))).by_controller(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_probed_once_and_nothing_is_done() {
        let probes = probes(&Requester::default());
        let probed: Vec<&str> = probes.iter().map(|p| p.policy).collect();
        assert_eq!(probed, POLICIES.map(|(policy, _)| policy));
        for probe in probes {
            let connects = probe.policy == "oz-connect";
            assert_eq!((probe.body.is_empty(), probe.uri.ends_with("?dryRun=All")), (connects, !connects));
        }
    }

    #[test]
    fn a_refusal_counts_only_from_its_policy_and_revision() {
        let by = "roles is forbidden: ValidatingAdmissionPolicy 'oz-guard' with binding 'oz-guard' denied request: no";
        assert!(is_refusal("oz-guard", 403, &format!("{by} [oz 2]")));
        assert!(!is_refusal("oz-guard", 403, &format!("{by} [oz 0]")));
        assert!(!is_refusal("oz-guard", 422, &format!("{by} [oz 2]")));
        assert!(!is_refusal("oz-records", 403, &format!("{by} [oz 2]")));
        assert!(!is_refusal("oz-guard", 403, "User \"alice\" cannot create resource \"roles\""));
    }
}
