//! Asks the probes of the gate: each must be refused by its own policy in the present revision.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, DynamicObject, PostParams};
use kube::{Client, Error};
use oz_shared::gate::{self, Probe};
use oz_shared::names::{GATE_PROBE, GATE_REVISION, SYSTEM_NAMESPACE};
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Phase, RequestStatus};

use crate::write;

/// Succeeds when every policy refuses its probe.
///
/// # Errors
/// Which policy let its probe through, or what kept it from being asked.
pub(super) async fn all(client: &Client) -> Result<(), String> {
    let me = whoami(client).await?;
    keep_request(client, &me).await?;
    let answers = futures::future::join_all(gate::probes(&me).into_iter().map(|p| refused(client, p))).await;
    answers.into_iter().collect()
}

/// The requester as the API server knows this process.
async fn whoami(client: &Client) -> Result<Requester, String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .map_err(|e| format!("who am I: {}", crate::report::chain(&e)))?;
    let user = review.status.and_then(|s| s.user_info).unwrap_or_default();
    Ok(Requester {
        username: user.username.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
    })
}

/// Makes the request that is kept to be refused on, where it is missing. It is never granted, and its
/// `approvedAt` is there so that its own maker may not delete it.
async fn keep_request(client: &Client, me: &Requester) -> Result<(), String> {
    let api: Api<AccessRequest> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let failed =
        |e: Error| format!("the kept request {SYSTEM_NAMESPACE}/{GATE_PROBE}: {}", crate::report::chain(&e));
    let request = match api.get_opt(GATE_PROBE).await.map_err(failed)? {
        Some(request) => request,
        None => {
            let request = gate::request(GATE_PROBE, me, "1m");
            let request = serde_json::from_value(request).map_err(|e| failed(Error::SerdeError(e)))?;
            match write::create(&api, &request).await {
                Err(Error::Api(status)) if status.code == 409 => api.get(GATE_PROBE).await.map_err(failed)?,
                other => other.map_err(failed)?,
            }
        }
    };
    if request.status.as_ref().is_none_or(|s| s.approved_at.is_none()) {
        let status = RequestStatus {
            phase: Some(Phase::Failed),
            approved_at: request.metadata.creation_timestamp.clone(),
            ..RequestStatus::default()
        };
        write::status(&api, &request, request.status.as_ref(), &status).await.map_err(failed)?;
    }
    Ok(())
}

async fn refused(client: &Client, probe: Probe) -> Result<(), String> {
    let Probe { policy, method, uri, content_type, body, .. } = probe;
    let request =
        http::Request::builder().method(method).uri(uri).header(http::header::CONTENT_TYPE, content_type);
    let request = request.body(body).map_err(|e| format!("{policy}: {e}"))?;
    match client.request::<DynamicObject>(request).await {
        Err(Error::Api(status)) if gate::is_refusal(policy, status.code, &status.message) => Ok(()),
        Err(Error::Api(status)) => Err(format!(
            "{policy} did not refuse a dry run in revision {GATE_REVISION}; the API server said {}: {}",
            status.code, status.message
        )),
        // An answer that is no error, and no object either, was let through too.
        Ok(_) | Err(Error::SerdeError(_)) => {
            Err(format!("{policy} let a dry run through that it must refuse"))
        }
        Err(error) => Err(format!("{policy} could not be asked: {}", crate::report::chain(&error))),
    }
}
