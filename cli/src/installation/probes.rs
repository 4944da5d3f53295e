//! Does the gate refuse? Dry runs that must be refused, one a policy, each breaking that policy alone. These are the
//! controller's own: it asks them before it grants, and here whoever installs or checks Oz does.
//!
//! Half of them are refused to everybody. The others are refused to the controller only, or to people who hold less than an
//! administrator, and so they are asked as the controller, which takes the right to impersonate it.

use futures::StreamExt as _;
use kube::Client;
use kube::api::DynamicObject;
use kube::core::Status;
use oz_shared::gate::{self, Probe};
use oz_shared::names::{CONTROLLER_USERNAME, GATE_PROBE, GATE_REVISION};

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
    let asked = gate::probes(&me).into_iter().map(|probe| {
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
    let request = http::Request::builder().method(probe.method).uri(probe.uri);
    request.header(http::header::CONTENT_TYPE, probe.content_type).body(probe.body)
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
    if gate::is_refusal(policy, status.code, message) {
        return Answer::Refused;
    }
    if gate::is_by(policy, message) {
        return Answer::Open(format!("refuses in another revision than {GATE_REVISION}: {message}"));
    }
    match status.code {
        403 if message.contains(" cannot ") => Answer::Unknown("you may not ask it".to_owned()),
        404 if message.contains(GATE_PROBE) => {
            Answer::Unknown("the controller has not yet made the request that this is asked about".to_owned())
        }
        code => Answer::Open(format!("did not refuse; the API server said {code}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_policy_is_probed() {
        let policies = crate::installation::of_kind("ValidatingAdmissionPolicy");
        let mut there: Vec<&str> = policies.iter().filter_map(|p| p["metadata"]["name"].as_str()).collect();
        let mut probed = gate::POLICIES.map(|(policy, _)| policy);
        there.sort_unstable();
        probed.sort_unstable();
        assert_eq!(there, probed);
    }

    #[test]
    fn a_refusal_counts_only_from_its_policy_and_revision() {
        let judge = |code: u16, message: &str| {
            let status: Status = serde_json::from_value(json!({"code": code, "message": message})).unwrap();
            judge("oz-guard", &status)
        };
        let by = "roles is forbidden: ValidatingAdmissionPolicy 'oz-guard' with binding 'oz-guard' denied request: no";
        assert_eq!(judge(403, &format!("{by} [oz 2]")), Answer::Refused);
        assert!(matches!(judge(403, &format!("{by} [oz 0]")), Answer::Open(_)));
        assert!(matches!(judge(422, &format!("{by} [oz 2]")), Answer::Open(_)));
        assert!(matches!(judge(403, "User \"alice\" cannot create resource \"roles\""), Answer::Unknown(_)));
        assert!(matches!(
            judge(403, "ValidatingAdmissionPolicy 'other' denied request: no [oz 2]"),
            Answer::Open(_)
        ));
    }
}
