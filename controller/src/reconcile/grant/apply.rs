//! Writes what a plan for a grant says: takes away first, then makes, the status last.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _};
use oz_shared::Grant;

use super::container::{self, Container, Order};
use super::namespaces;
use super::observe::Observed;
use super::plan::Plan;
use crate::children::{Child, Found, Kind, is_place};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};
use crate::write;

/// Makes what the grant rests on, and beside it those parts that do not need it, and notes how that stands.
pub(super) async fn order(
    grant: &Grant,
    order: &Order,
    parts: &[Child],
    seen: &mut Observed,
    context: &Context,
) -> Result<(), Error> {
    match order {
        Order::Namespaces => {
            let (lent, made) =
                tokio::join!(namespaces::make(grant, &seen.namespaces, context), make(parts, context));
            seen.namespaces = lent?;
            made?;
            seen.children.extend(parts.iter().map(|part| Found::made(part, grant)));
        }
        Order::Copy(pod) => {
            seen.container = container(grant, write::create_pod(&context.client, pod).await, context).await?;
        }
        Order::Debug(pod, added) => {
            let added = write::add_container(&context.client, pod, added).await;
            seen.container = container(grant, added, context).await?;
        }
    }
    Ok(())
}

/// How the container stands that was just made. What the API server refuses for good is told in its own words.
async fn container(grant: &Grant, made: kube::Result<Pod>, context: &Context) -> Result<Container, Error> {
    match made {
        Ok(pod) => Ok(container::of(grant, &pod)),
        // Made by another replica, or before a restart, in the moment since it was looked for.
        Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {
            container::observe(grant, context).await
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 404 | 422) => {
            Ok(Container::Impossible(status.message))
        }
        Err(error) => Err(error).doing("make the pod"),
    }
}

pub(super) async fn apply(grant: &Grant, plan: &Plan, context: &Context) -> Result<(), Error> {
    revoke(&plan.revoke, context).await?;
    if let Err(error) = revoke(&plan.tidy, context).await {
        tracing::info!(grant = grant.name_any(), %error, "left to the garbage collector");
    }
    if let Some(pod) = &plan.delete {
        write::delete(&write::namespaced::<Pod>(&context.client, &pod.namespace), &pod.name, &pod.uid)
            .await
            .doing("delete the copy")?;
    }
    for pod in &plan.evict {
        if let Err(error) = write::evict(&context.client, pod).await {
            // Disruption budgets and lost rights: the plan tries again, and says so in the end.
            tracing::warn!(pod = pod.name, error = %crate::report::chain(&error), "failed to evict");
        }
    }
    if let Some(account) = &plan.renew {
        // One that is there by now is not what was meant to be made: the next look tells.
        let api = account.kind.api(&context.client, &account.namespace);
        let object = serde_json::from_value(account.body.clone()).map_err(kube::Error::SerdeError);
        write::create(&api, &object.doing("make the account anew")?).await.doing("make the account anew")?;
    }
    namespaces::delete(grant, &plan.remove, context).await?;
    furnish(&plan.furnish, context).await?;
    make(&plan.make, context).await?;
    let api: Api<Grant> = Api::all(context.client.clone());
    if let Some(status) = &plan.status {
        let written = write::status(&api, grant, grant.status.as_ref(), status)
            .await
            .doing("write the grant's status")?;
        context.supersede(grant, &written);
    }
    if plan.forget {
        let uid = grant.uid().unwrap_or_default();
        write::delete(&api, &grant.name_any(), &uid).await.doing("delete the ended grant")?;
        context.superseded.forget(&uid);
    }
    Ok(())
}

/// Takes parts of grants away; what fails keeps nothing else from going. Bindings first, those of the whole cluster before
/// others: a deletion ends the right with
/// the next request, and where someone's finalizer holds the binding, it is emptied as well.
///
/// # Errors
/// The first failure, after everything was tried.
pub(crate) async fn revoke(parts: &[Found], context: &Context) -> Result<(), Error> {
    let client = &context.client;
    let delete = |part: &Found| {
        let (api, part) = (part.kind.api(client, &part.namespace), part.clone());
        async move {
            // A place may be another's in this moment.
            let version = is_place(&part.name).then_some(part.version);
            write::delete_version(&api, &part.name, &part.uid, version).await
        }
    };
    let (mut bindings, others): (Vec<&Found>, Vec<&Found>) = parts.iter().partition(|p| p.kind.is_binding());
    bindings.sort_by_key(|b| b.kind != Kind::ClusterRoleBinding);
    let empty = |part: &Found| {
        let (api, part) = (part.kind.api(client, &part.namespace), part.clone());
        async move { write::empty_binding(&api, &part.name, &part.uid).await }
    };
    let held = bindings.iter().filter(|b| b.terminating || !b.finalizers.is_empty());
    let (deleted, emptied) = tokio::join!(
        join_all(bindings.iter().filter(|b| !b.terminating).map(|b| delete(b))),
        join_all(held.map(|b| empty(b))),
    );
    let then = join_all(others.into_iter().filter(|p| !p.terminating).map(delete)).await;
    deleted.into_iter().chain(then).collect::<kube::Result<()>>().doing("delete a part of the grant")?;
    emptied.into_iter().collect::<kube::Result<()>>().doing("empty a binding")
}

/// Makes parts, all at once: none of them needs another to be there.
pub(crate) async fn make(parts: &[Child], context: &Context) -> Result<(), Error> {
    let make = parts.iter().map(|part| async move {
        let api = part.kind.api(&context.client, &part.namespace);
        write::put(&api, &part.name, &part.body).await.map(drop)
    });
    made(join_all(make).await)
}

/// Makes what people have written down, in which a field that is none is a mistake.
async fn furnish(parts: &[Child], context: &Context) -> Result<(), Error> {
    let make = parts.iter().map(|part| async move {
        let api = part.kind.api(&context.client, &part.namespace);
        write::apply(&api, &part.name, &part.body).await.map(drop)
    });
    made(join_all(make).await)
}

fn made(all: Vec<kube::Result<()>>) -> Result<(), Error> {
    match all.into_iter().collect() {
        Err(kube::Error::Api(status)) if is_invalid(status.code, &status.message) => {
            Err(Error::Invalid(status.message))
        }
        made => made.doing("make a part of the grant"),
    }
}

/// Will the API server never take the object? What it cannot even read it calls its own failure.
fn is_invalid(code: u16, message: &str) -> bool {
    let unreadable = ["failed to convert new object", "failed to create typed patch object"];
    matches!(code, 400 | 422) || (code == 500 && unreadable.iter().any(|words| message.starts_with(words)))
}
