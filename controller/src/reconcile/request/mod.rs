//! The reconciler of requests, of each kind: it decides, and makes the grant. Ending grants is not its work.

mod access;
mod apply;
mod federations;
mod kind;
mod namespaces;
mod observe;
mod plan;
mod roles;
mod targets;
mod terms;
mod workloads;

#[cfg(test)]
mod tests;

pub(crate) use kind::{Kind, request_ref};
pub(super) use roles::{may, role_of};
pub(super) use workloads::source;

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use oz_shared::names::{GATE_PROBE, SYSTEM_NAMESPACE};

use crate::context::Context;
use crate::reconcile::{Error, pass, wake};

/// One pass over one request.
pub(crate) async fn reconcile<K: Kind>(request: Arc<K>, context: Arc<Context>) -> Result<Action, Error> {
    if request.namespace().as_deref() == Some(SYSTEM_NAMESPACE) && request.name_any() == GATE_PROBE {
        return Ok(Action::await_change());
    }
    let regarding = request.object_ref(&());
    pass(K::NAME, request.as_ref(), &context, regarding.clone(), async {
        let mut seen = observe::observe(request.as_ref(), &context).await?;
        let now = context.clock.now();
        let mut plan = plan::plan(request.as_ref(), &seen, now);
        let mut notes = std::mem::take(&mut plan.notes);
        if let Some(grant) = &plan.grant {
            seen.grant = Some(apply::grant(grant, &context).await?);
            plan = plan::plan(request.as_ref(), &seen, now);
            notes.append(&mut plan.notes);
        }
        apply::rest(request.as_ref(), &plan, &context).await?;
        for note in notes {
            context.events.publish(regarding.clone(), note);
        }
        Ok(wake(plan.wake, now))
    })
    .await
}
