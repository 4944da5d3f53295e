//! The reconciler of AccessRequests: it decides, and makes the grant. Ending grants is not its work.

mod apply;
mod observe;
mod plan;
mod roles;
mod targets;
mod terms;
mod workloads;

#[cfg(test)]
mod tests;

pub(super) use roles::{may, role_of};
pub(super) use workloads::source;

use std::sync::Arc;

use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use oz_shared::AccessRequest;
use oz_shared::names::{GATE_PROBE, SYSTEM_NAMESPACE};

use crate::context::Context;
use crate::reconcile::{Error, pass, wake};

/// One pass over one request.
pub(crate) async fn reconcile(request: Arc<AccessRequest>, context: Arc<Context>) -> Result<Action, Error> {
    if request.namespace().as_deref() == Some(SYSTEM_NAMESPACE) && request.name_any() == GATE_PROBE {
        return Ok(Action::await_change());
    }
    let regarding = request.object_ref(&());
    pass("AccessRequest", request.as_ref(), &context, regarding.clone(), async {
        let mut seen = observe::observe(&request, &context).await?;
        let now = context.clock.now();
        let mut plan = plan::plan(&request, &seen, now);
        let mut notes = std::mem::take(&mut plan.notes);
        if let Some(grant) = &plan.grant {
            seen.grant = Some(apply::grant(grant, &context).await?);
            plan = plan::plan(&request, &seen, now);
            notes.append(&mut plan.notes);
        }
        apply::rest(&request, &plan, &context).await?;
        for note in notes {
            context.events.publish(regarding.clone(), note);
        }
        Ok(wake(plan.wake, now))
    })
    .await
}
