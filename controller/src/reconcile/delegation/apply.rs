//! Writes what a plan for a delegation says: what is due is recorded and taken away, then all else is recorded and made.

use kube::{Api, ResourceExt as _};
use oz_shared::delegation::{DelegationPhase, DelegationStatus};
use oz_shared::{Delegation, Grant};

use super::plan::{Plan, not_done};
use crate::children::Found;
use crate::context::Context;
use crate::reconcile::grant::{make, revoke};
use crate::reconcile::{Doing as _, Error};
use crate::write;

/// The delegation as it stands after it; none: its record is gone.
pub(super) async fn apply(
    delegation: Delegation,
    plan: &Plan,
    context: &Context,
) -> Result<Option<Delegation>, Error> {
    let grants: Api<Grant> = Api::all(context.client.clone());
    let api: Api<Delegation> =
        Api::namespaced(context.client.clone(), &delegation.namespace().unwrap_or_default());
    let is_over = |status: &DelegationStatus| status.phase.is_some_and(DelegationPhase::is_final);
    let mut delegation = delegation;
    let mut status = plan.status.as_ref();
    let mut recorded = Ok(());
    // That an end is due is on record before anything goes, so that one who comes after gives nothing back; and it goes though
    // that cannot be recorded. That all is over is on record once everything went.
    if let Some(due) = status.filter(|status| !plan.revoke.is_empty() && !is_over(status)) {
        match write::status(&api, &delegation, delegation.status.as_ref(), due).await {
            Ok(written) => delegation = written,
            Err(error) => recorded = Err(error),
        }
        status = None;
    }
    let taken = take(&plan.revoke, plan.drop_grant.as_ref(), &grants, context).await;
    recorded.doing("write the delegation's status")?;
    if plan.forget && taken.is_ok() {
        let uid = delegation.uid().unwrap_or_default();
        write::delete(&api, &delegation.name_any(), &uid).await.doing("delete the delegation's record")?;
        return Ok(None);
    }
    if let Some(status) = status.filter(|status| taken.is_ok() || !is_over(status)) {
        delegation = write::status(&api, &delegation, delegation.status.as_ref(), status)
            .await
            .doing("write the delegation's status")?;
    }
    taken?;
    if let Some(grant) = &plan.grant {
        match write::create(&grants, grant).await {
            // Made by another replica, or before a restart: whose it is is for the next look to see.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made.doing("make the grant")?),
        }
    }
    if let Err(error) = make(&plan.make, context).await {
        tell(&delegation, "NotBound", &error, context).await?;
        return Err(error);
    }
    Ok(Some(delegation))
}

/// Takes parts away, and then their grant, even if they would not go: then the garbage collector takes them, whatever right
/// of the controller's somebody has deleted.
pub(super) async fn take(
    parts: &[Found],
    grant: Option<&(String, String)>,
    grants: &Api<Grant>,
    context: &Context,
) -> Result<(), Error> {
    let revoked = revoke(parts, context).await;
    if let Some((name, uid)) = grant {
        write::delete(grants, name, uid).await.doing("delete the grant")?;
    }
    revoked
}

/// Says in the status why a step was not made.
pub(super) async fn tell(
    delegation: &Delegation,
    reason: &str,
    error: &Error,
    context: &Context,
) -> Result<(), Error> {
    let Some(status) = not_done(delegation, reason, &error.to_string(), context.clock.now()) else {
        return Ok(());
    };
    let api: Api<Delegation> =
        Api::namespaced(context.client.clone(), &delegation.namespace().unwrap_or_default());
    let written = write::status(&api, delegation, delegation.status.as_ref(), &status).await;
    written.map(drop).doing("write the delegation's status")
}
