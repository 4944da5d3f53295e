//! Writes what a plan for a delegation says: takes away first, then the record, then makes.

use kube::{Api, ResourceExt as _};
use oz_shared::{Delegation, Grant};

use super::plan::{Plan, not_done};
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
    revoke(&plan.revoke, context).await?;
    let grants: Api<Grant> = Api::all(context.client.clone());
    if let Some((name, uid)) = &plan.drop_grant {
        write::delete(&grants, name, uid).await.doing("delete the grant")?;
    }
    let api: Api<Delegation> =
        Api::namespaced(context.client.clone(), &delegation.namespace().unwrap_or_default());
    if plan.forget {
        let uid = delegation.uid().unwrap_or_default();
        write::delete(&api, &delegation.name_any(), &uid).await.doing("delete the delegation's record")?;
        return Ok(None);
    }
    let mut delegation = delegation;
    if let Some(status) = &plan.status {
        delegation = write::status(&api, &delegation, delegation.status.as_ref(), status)
            .await
            .doing("write the delegation's status")?;
    }
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
