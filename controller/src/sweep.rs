//! Takes away what carries the label of a grant that is not there: the garbage collector does the same by owner, but
//! not for an object whose owner was never what it said, nor for a namespace, which has none.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, CustomResourceExt as _, ResourceExt as _};
use oz_shared::names::grant_name;
use oz_shared::request::NamespaceRef;
use oz_shared::{Federation, Grant, NamespaceRequest, Request};

use crate::children::Found;
use crate::context::Context;
use crate::reconcile::{Doing as _, Error, grant::revoke};
use crate::{report, write};

/// The longest that one look may take.
const LOOK: Duration = Duration::from_secs(30);
/// How soon one that failed is made again.
const RETRY: Duration = Duration::from_secs(5);

/// Looks at each grant name that `suspects` brings, for as long as it does; `again` has it brought once more.
pub(crate) async fn run(
    context: Arc<Context>,
    suspects: impl Stream<Item = String>,
    again: impl Fn(String) + Clone + Send + 'static,
) {
    let mut suspects = std::pin::pin!(suspects);
    while let Some(name) = suspects.next().await {
        if context.grants.get(&ObjectRef::new(&name)).is_some() {
            continue;
        }
        let looked = tokio::time::timeout(LOOK, one(&name, &context)).await.unwrap_or(Err(Error::TooSlow));
        if let Err(error) = looked {
            tracing::warn!(grant = name, error = %report::chain(&error), "failed to sweep");
            let again = again.clone();
            tokio::spawn(async move {
                tokio::time::sleep(RETRY).await;
                again(name);
            });
        }
    }
}

async fn one(name: &str, context: &Context) -> Result<(), Error> {
    let suspects: Vec<Found> =
        context.children.labelled(|label| label == name).into_iter().filter(|c| !c.terminating).collect();
    let namespaces = context.children.namespaces(name);
    if suspects.is_empty() && namespaces.is_empty() {
        return Ok(());
    }
    let api: Api<Grant> = Api::all(context.client.clone());
    let grant = api.get_opt(name).await.doing("look for the owner of a labelled object")?;
    let owner = grant.and_then(|g| g.uid());
    if owner.is_none() && !namespaces.is_empty() {
        abandoned(name, &namespaces, context).await?;
    }
    let orphans: Vec<Found> = suspects.into_iter().filter(|c| owner.is_none() || c.owner != owner).collect();
    if orphans.is_empty() {
        return Ok(());
    }
    tracing::info!(grant = name, objects = orphans.len(), "sweeping what no grant owns");
    context.metrics.swept(orphans.len());
    revoke(&orphans, context).await
}

/// Namespaces of a grant that somebody deleted. They go as well, as long as the request that they were made for tells of
/// them; what an uninstallation left is nobody's to delete, and neither is anything while the kind itself is being deleted.
async fn abandoned(grant: &str, namespaces: &[NamespaceRef], context: &Context) -> Result<(), Error> {
    let asked =
        asked_at(&context.namespace_requests, grant).or_else(|| asked_at(&context.federations, grant));
    let Some(since) = asked else { return Ok(()) };
    let kinds = [NamespaceRequest::crd_name(), Federation::crd_name(), Grant::crd_name()];
    if !context.stand_since(&kinds, Some(&since)).await.doing("look whether namespaces are still lent")? {
        return Ok(());
    }
    tracing::info!(
        grant,
        namespaces = namespaces.len(),
        "deleting the namespaces of a grant that was deleted"
    );
    context.metrics.swept(namespaces.len());
    for namespace in namespaces {
        write::delete_namespace(&context.client, namespace, grant).await.doing("delete the namespace")?;
    }
    Ok(())
}

/// When the request that this is the grant of was made, if there is one.
fn asked_at<R: Request + Clone + 'static>(requests: &Store<R>, grant: &str) -> Option<Time> {
    let request = requests.find(|r| grant_name(&r.uid().unwrap_or_default()) == grant)?;
    request.meta().creation_timestamp.clone()
}
