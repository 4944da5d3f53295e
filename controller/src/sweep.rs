//! Takes away what carries the label of a grant that is not there: the garbage collector does the same by owner, but
//! not for an object whose owner was never what it said.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use oz_shared::Grant;

use crate::children::Found;
use crate::context::Context;
use crate::reconcile::{Doing as _, Error, grant::revoke};
use crate::report;

/// Looks at each grant name that `suspects` brings, for as long as it does.
pub(crate) async fn run(context: Arc<Context>, suspects: impl Stream<Item = String>) {
    let mut suspects = std::pin::pin!(suspects);
    while let Some(name) = suspects.next().await {
        if context.grants.get(&ObjectRef::new(&name)).is_some() {
            continue;
        }
        if let Err(error) = one(&name, &context).await {
            tracing::warn!(grant = name, error = %report::chain(&error), "failed to sweep");
        }
    }
}

async fn one(name: &str, context: &Context) -> Result<(), Error> {
    let suspects: Vec<Found> =
        context.children.labelled(|label| label == name).into_iter().filter(|c| !c.terminating).collect();
    if suspects.is_empty() {
        return Ok(());
    }
    let api: Api<Grant> = Api::all(context.client.clone());
    let grant = api.get_opt(name).await.doing("look for the owner of a labelled object")?;
    let owner = grant.and_then(|g| g.uid());
    let orphans: Vec<Found> = suspects.into_iter().filter(|c| owner.is_none() || c.owner != owner).collect();
    if orphans.is_empty() {
        return Ok(());
    }
    tracing::info!(grant = name, objects = orphans.len(), "sweeping what no grant owns");
    context.metrics.swept(orphans.len());
    revoke(&orphans, context).await
}
