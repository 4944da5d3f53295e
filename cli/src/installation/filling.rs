//! The optional policy that fills in who asks: can this API server keep it, and is it there?

use serde_json::Value;

use super::manifests::fill_requester;
use super::objects::find;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault};

/// The group that its kinds are of.
const SERVED: &str = "admissionregistration.k8s.io/v1";
/// Their resource.
const POLICIES: &str = "mutatingadmissionpolicies";

/// Was it installed? Half of it counts.
///
/// # Errors
/// It may not be read.
pub(crate) async fn is_filled(cluster: &Cluster) -> Result<bool, Error> {
    for object in &fill_requester()? {
        if find(cluster, object)
            .await?
            .is_some_and(|live| live["metadata"]["deletionTimestamp"] == Value::Null)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does the API server serve such policies, in the version in which they stay?
///
/// # Errors
/// It does not, or does not say.
pub(crate) async fn can_fill(cluster: &Cluster) -> Result<(), Error> {
    let kinds =
        cluster.call("ask for the policies it serves", cluster.client.list_api_group_resources(SERVED));
    let kinds = kinds.await.map_err(|fault: Fault| Error::from(fault))?;
    if kinds.resources.iter().any(|resource| resource.name == POLICIES) {
        return Ok(());
    }
    Err(Error::new(exit::NOT_READY, format!("this cluster cannot fill in who asks: it serves no {POLICIES} of {SERVED}"))
        .hint("Kubernetes 1.36 or newer does; without --fill-requester Oz works all the same, and oz fills it in itself"))
}
