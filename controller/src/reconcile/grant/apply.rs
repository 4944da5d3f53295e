//! Writes what a plan for a grant says: takes away first, then makes, the status last.

use futures::future::join_all;
use kube::{Api, ResourceExt as _};
use oz_shared::Grant;

use super::plan::Plan;
use crate::children::{Child, Found, Kind};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};
use crate::write;

pub(super) async fn apply(grant: &Grant, plan: &Plan, context: &Context) -> Result<(), Error> {
    revoke(&plan.revoke, context).await?;
    for pod in &plan.evict {
        if let Err(error) = write::evict(&context.client, pod).await {
            // Disruption budgets and lost rights: the plan tries again, and says so in the end.
            tracing::warn!(pod = pod.name, error = %crate::report::chain(&error), "failed to evict");
        }
    }
    make(&plan.make, context).await?;
    let api: Api<Grant> = Api::all(context.client.clone());
    if let Some(status) = &plan.status {
        let written = write::status(&api, grant, status).await.doing("write the grant's status")?;
        context.supersede(grant, &written);
    }
    if plan.forget {
        let uid = grant.uid().unwrap_or_default();
        write::delete(&api, &grant.name_any(), &uid).await.doing("delete the ended grant")?;
        context.superseded.forget(&uid);
    }
    Ok(())
}

/// Takes parts of grants away. What fails keeps nothing else from going: first every binding is emptied, which ends the
/// rights whatever finalizer holds it, then everything is deleted.
///
/// # Errors
/// The first failure, after everything was tried.
pub(crate) async fn revoke(parts: &[Found], context: &Context) -> Result<(), Error> {
    let client = &context.client;
    let bindings = parts.iter().filter(|p| p.kind == Kind::RoleBinding);
    let emptied =
        join_all(bindings.map(|b| write::empty_binding(client, &b.namespace, &b.name, &b.uid))).await;
    let deleted = join_all(
        parts
            .iter()
            .filter(|p| !p.terminating)
            .map(|p| async move { write::delete(&p.kind.api(client, &p.namespace), &p.name, &p.uid).await }),
    )
    .await;
    emptied.into_iter().collect::<kube::Result<()>>().doing("empty a binding")?;
    deleted.into_iter().collect::<kube::Result<()>>().doing("delete a part of the grant")
}

/// Makes parts, at once where they do not need each other: a binding is refused until its Role is there.
async fn make(parts: &[Child], context: &Context) -> Result<(), Error> {
    let one = |part: &Child| {
        let (api, part) = (part.kind.api(&context.client, &part.namespace), part.clone());
        async move { write::apply(&api, &part.name, &part.body).await.map(drop) }
    };
    let (bindings, others): (Vec<&Child>, Vec<&Child>) =
        parts.iter().partition(|p| p.kind == Kind::RoleBinding);
    for wave in [others, bindings] {
        join_all(wave.into_iter().map(one))
            .await
            .into_iter()
            .collect::<kube::Result<()>>()
            .doing("make a part of the grant")?;
    }
    Ok(())
}
