//! The reconciler of Delegations: an iteration begins when its triggers are met, is bound for as long as it lasts, and ends when
//! its deletion triggers are. A pass goes on until there is nothing more to do: each step is on record before the next.

mod apply;
mod authority;
mod lent;
mod mirror;
mod observe;
mod plan;
mod triggers;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _, ResourceExt as _};
use oz_shared::delegation::DelegationPhase;
use oz_shared::names::{GATE_PROBE, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use oz_shared::{Delegation, Grant};

use self::observe::Ground;
use crate::children;
use crate::context::{Context, request_reference};
use crate::reconcile::{Doing as _, Error, pass, pass_by, wake};

/// Its name, as grants have it.
pub(crate) const NAME: &str = "Delegation";
/// How long what was looked at holds for the next step of the same pass.
const LOOKED: Duration = Duration::from_secs(1);
/// The most steps in one pass: several times what a whole iteration takes.
const STEPS: usize = 16;

/// One pass over one delegation.
pub(crate) async fn reconcile(delegation: Arc<Delegation>, context: Arc<Context>) -> Result<Action, Error> {
    if delegation.namespace().as_deref() == Some(SYSTEM_NAMESPACE) && delegation.name_any() == GATE_PROBE {
        return Ok(Action::await_change());
    }
    let regarding = delegation.object_ref(&());
    let armed = delegation.status.as_ref().map(|status| &status.deletion_triggers[..]).unwrap_or_default();
    let due = triggers::next(&delegation.spec.deletion_triggers, armed);
    pass_by(NAME, delegation.as_ref(), &context, regarding.clone(), due, async {
        // What it goes on from is what it wrote: the watch may be behind.
        let Some(mut present) = read(&delegation, &context).await? else {
            context.sightings.forget(&delegation.uid().unwrap_or_default());
            return Ok(Action::await_change());
        };
        let mut looked: Option<(Instant, Ground)> = None;
        for _ in 0..STEPS {
            // What is lent ends by whichever clock is ahead.
            let now = match present.phase() {
                DelegationPhase::Active => context.clock.latest(),
                _ => context.clock.now(),
            };
            let known = looked.take().filter(|(at, _)| at.elapsed() < LOOKED).map(|(_, ground)| ground);
            let mut seen = observe::observe(&present, now, known, &context).await?;
            let mut plan = plan::plan(&present, &seen, now);
            if !plan.ask.is_empty() {
                seen.versions = match observe::versions(&present, &plan.ask, &context).await {
                    Ok(versions) => versions,
                    Err(error) => {
                        apply::tell(&present, "CannotWatch", &error, &context).await?;
                        return Err(error);
                    }
                };
                plan = plan::plan(&present, &seen, now);
            }
            let applied = apply::apply(present, &plan, &context).await?;
            if plan.revoke.is_empty() && plan.make.is_empty() {
                // Nothing but the record has changed.
                looked = seen.ground.map(|ground| (Instant::now(), ground));
            }
            for note in plan.notes {
                context.events.publish(regarding.clone(), note);
            }
            match applied {
                None => return Ok(Action::await_change()),
                Some(_) if !plan.again => return Ok(wake(plan.wake, now)),
                Some(written) => present = written,
            }
        }
        Ok(Action::requeue(Duration::from_millis(5)))
    })
    .await
}

/// The delegation as the API server has it, if it is still that one.
async fn read(delegation: &Delegation, context: &Context) -> Result<Option<Delegation>, Error> {
    let api: Api<Delegation> =
        Api::namespaced(context.client.clone(), &delegation.namespace().unwrap_or_default());
    let present = api.get_opt(&delegation.name_any()).await.doing("read the delegation")?;
    Ok(present.filter(|present| present.uid() == delegation.uid()))
}

/// One pass over the grant of a delegation: if that is gone, so is what it lent.
pub(crate) async fn grant(grant: Arc<Grant>, context: Arc<Context>) -> Result<Action, Error> {
    let regarding = request_reference(&grant.spec.request);
    pass("Grant", grant.as_ref(), &context, regarding, async {
        let request = &grant.spec.request;
        let is_it = |delegation: &Delegation| delegation.uid().as_deref() == Some(&request.uid);
        let known = context.delegations.get(&ObjectRef::new(&request.name).within(&request.namespace));
        if known.is_some_and(|known| is_it(&known)) {
            return Ok(Action::await_change());
        }
        let api: Api<Delegation> = Api::namespaced(context.client.clone(), &request.namespace);
        let there = api.get_metadata_opt(&request.name).await.doing("read the grant's delegation")?;
        if there.and_then(|there| there.uid()).as_deref() == Some(&request.uid) {
            return Ok(Action::await_change());
        }
        let places = [request.namespace.clone(), SESSIONS_NAMESPACE.to_owned()];
        let parts = children::list(&context.client, &grant.name_any(), &places).await;
        let parts = parts.doing("list the grant's parts");
        let grants: Api<Grant> = Api::all(context.client.clone());
        let pin = (grant.name_any(), grant.uid().unwrap_or_default());
        let known = parts.as_deref().unwrap_or_default();
        apply::take(known, Some(&pin), &grants, &context).await?;
        context.sightings.forget(&request.uid);
        parts?;
        Ok(Action::await_change())
    })
    .await
}
