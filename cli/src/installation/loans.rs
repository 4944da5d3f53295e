//! Ending loans in bulk: by release, as `oz revoke` does, so that the controller takes everything back in order; and where it
//! does not, by deleting the grants, after which the garbage collector takes back what they own.

use std::time::Duration;

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Preconditions};
use oz_shared::{Delegation, Grant};
use tokio::time::Instant;

use crate::kube::{Asked, Cluster, Fault, delegations, outcome, release};

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(250);
/// Requests in flight at once: each is a connection of its own.
const AT_ONCE: usize = 4;

/// All grants; none where the kind is not there.
///
/// # Errors
/// They may not be listed.
pub(crate) async fn live(cluster: &Cluster) -> Result<Vec<Grant>, Fault> {
    match cluster.call("list grants", cluster.grants().list(&ListParams::default())).await {
        Ok(list) => Ok(list.items),
        Err(fault) if fault.code() == Some(404) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// Releases every request of a kind that is not over, of one namespace or of all; what could not be, and why.
///
/// # Errors
/// They may not be listed.
pub(crate) async fn end_all<R: Asked>(
    cluster: &Cluster,
    namespace: Option<&str>,
    reason: &str,
) -> Result<Vec<(R, Fault)>, Fault> {
    // What cannot be read ends with its grant.
    let requests = match cluster.list::<R>("list requests", namespace, &ListParams::default()).await {
        Ok(list) => list.items,
        Err(fault) if fault.code() == Some(404) => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let me = cluster.whoami().await?;
    let ends = requests.into_iter().filter(|r| outcome(r).is_none()).map(|request| {
        let me = &me;
        async move { release(cluster, &request, me, reason).await.err().map(|fault| (request, fault)) }
    });
    let ended = futures::stream::iter(ends).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    Ok(ended.into_iter().flatten().collect())
}

/// Releases every delegation that is not over and that is `meant`, of one namespace or of all; what could not be, and why.
///
/// # Errors
/// They may not be listed.
pub(crate) async fn end_delegations(
    cluster: &Cluster,
    namespace: Option<&str>,
    meant: impl Fn(&Delegation) -> bool,
    reason: &str,
) -> Result<Vec<(Delegation, Fault)>, Fault> {
    let all = match cluster.list::<Delegation>("list delegations", namespace, &ListParams::default()).await {
        Ok(list) => list.items,
        Err(fault) if fault.code() == Some(404) => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let me = cluster.whoami().await?;
    let mut failed = Vec::new();
    for delegation in all.into_iter().filter(|d| delegations::over(d).is_none() && meant(d)) {
        if let Err(fault) = delegations::end(cluster, &delegation, &me, reason).await {
            failed.push((delegation, fault));
        }
    }
    Ok(failed)
}

/// Waits until no grant that `counts` is left; those that are at the deadline.
///
/// # Errors
/// They may not be listed.
pub(crate) async fn wait_until_gone(
    cluster: &Cluster,
    counts: impl Fn(&Grant) -> bool,
    deadline: Instant,
) -> Result<Vec<Grant>, Fault> {
    loop {
        let left: Vec<Grant> = live(cluster).await?.into_iter().filter(&counts).collect();
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Deletes these grants, and no later ones of the same names.
///
/// # Errors
/// The first refusal.
pub(crate) async fn delete(cluster: &Cluster, grants: &[Grant]) -> Result<(), Fault> {
    for grant in grants {
        let preconditions = Preconditions { uid: grant.uid(), resource_version: None };
        let with = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match cluster.call("delete a grant", cluster.grants().delete(&grant.name_any(), &with)).await {
            Ok(_) => {}
            Err(fault) if matches!(fault.code(), Some(404 | 409)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
