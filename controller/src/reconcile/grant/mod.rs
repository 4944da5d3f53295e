//! The reconciler of Grants: makes what a grant lends, once, and takes it away. The only code that revokes.

mod apply;
mod container;
mod namespaces;
mod observe;
mod plan;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use kube::runtime::controller::Action;
use oz_shared::Grant;

pub(crate) use apply::{make, revoke};
pub(super) use container::STARTING;
pub(super) use observe::told;

use crate::context::{Context, request_reference};
use crate::reconcile::{Error, delegation, pass, wake};

/// One pass over one grant.
pub(crate) async fn reconcile(grant: Arc<Grant>, context: Arc<Context>) -> Result<Action, Error> {
    if grant.spec.request.kind == delegation::NAME {
        // What it holds comes and goes: that is for the delegation to say.
        return delegation::grant(grant, context).await;
    }
    let regarding = request_reference(&grant.spec.request);
    pass("Grant", grant.as_ref(), &context, regarding.clone(), async {
        let mut seen = observe::observe(&grant, &context).await?;
        let now = context.clock.latest();
        let mut plan = plan::plan(&grant, &seen, now);
        if let Some(order) = &plan.order {
            apply::order(&grant, order, &plan.make, &mut seen, &context).await?;
            plan = plan::plan(&grant, &seen, now);
        }
        match apply::apply(&grant, &plan, &context).await {
            Err(Error::Invalid(words)) if seen.invalid.is_none() => {
                seen.invalid = Some(words);
                plan = plan::plan(&grant, &seen, now);
                apply::apply(&grant, &plan, &context).await?;
            }
            applied => applied?,
        }
        for note in plan.notes {
            context.events.publish(regarding.clone(), note);
        }
        Ok(wake(plan.wake, now))
    })
    .await
}
