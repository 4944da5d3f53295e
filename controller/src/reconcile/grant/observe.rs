//! Reads what the life of a grant depends on: its request, its pods, and which of its parts are there.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::grant::{PodRef, RequestRef, RoleTerms};
use oz_shared::lasting::more_than_reading;
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::request::Verdict;
use oz_shared::template::OnEnd;
use oz_shared::{AccessRequest, Federation, Grant, NamespaceRequest};

use super::container::{self, Container};
use super::namespaces::{self, Lent};
use super::plan::{awaits, end, lends, parts};
use crate::children::{self, Found};
use crate::context::Context;
use crate::reconcile::request::{Kind, may, request_ref, role_of};
use crate::reconcile::{Doing as _, Error};

/// What the world looks like to one grant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// The request that it is for.
    pub(crate) request: RequestFacts,
    /// Has the Federation's grant that it stands by come to its end?
    pub(crate) parent_ended: bool,
    /// Those of its pods that are gone or replaced.
    pub(crate) pods_gone: Vec<PodRef>,
    /// Has Oz no right any more to delete the bindings of the holder's own name?
    pub(crate) powerless: bool,
    /// Why the role that it lends is no longer what was agreed to.
    pub(crate) role_lost: Option<String>,
    /// Why a part of it can never be made.
    pub(crate) invalid: Option<String>,
    /// The container that it makes.
    pub(crate) container: Container,
    /// The namespaces that it lends, in the order of its terms.
    pub(crate) namespaces: Vec<Lent>,
    /// Have the kinds gone by which its namespaces were lent?
    pub(crate) abandoned: bool,
    /// The labelled objects that are there.
    pub(crate) children: Vec<Found>,
    /// Was `children` just read from the API server, bindings in full?
    pub(crate) complete: bool,
}

/// A request as its grant sees it, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum RequestFacts {
    /// Deleted, being deleted, or another of the same name.
    #[default]
    Gone,
    /// It has come to its end; the record may say so for long.
    Final,
    /// It was released: by whom, and why.
    Released(String),
    /// Somebody said no, if late: by whom, and why.
    Denied(String),
    /// It stands, and its account was to be made anew so often.
    Standing(i32),
}

pub(super) async fn observe(grant: &Grant, context: &Context) -> Result<Observed, Error> {
    let now = context.clock.latest();
    let name = grant.name_any();
    let mut seen = Observed { request: request(&grant.spec.request, context).await?, ..Observed::default() };
    seen.children = context.children.labelled(|label| label == name);

    seen.parent_ended = parent_ended(grant, now, context).await?;
    let reported = grant.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let ended = conditions::is_true(reported, ENDED);
    if !ended {
        // What a pass made that was broken off need not be known yet.
        let standing = matches!(seen.request, RequestFacts::Standing(_));
        let afresh = !standing || conditions::get(reported, ENDED).is_some();
        seen.namespaces = namespaces::observe(grant, afresh, context).await?;
        look_at_ground(grant, &mut seen, context).await?;
    }
    // The watches may be a moment behind. That is no matter while there is something to take away; but "nothing is left"
    // and "a part is missing" are said only of what was just read.
    let ending = !ended && end(grant, &seen, now).is_some();
    if ending && namespaces::own(&seen.namespaces).next().is_some() {
        seen.abandoned = namespaces::are_abandoned(grant, context).await?;
    }
    let doubtful = if ended {
        false
    } else if ending {
        // What is left of it when it lends nothing any more, and nothing else has to go, is told of what was just read, too.
        !seen.children.iter().any(|c| lends(grant, &seen, c)) && !awaits(grant, &seen, now)
    } else {
        let expected = parts(grant, &seen);
        conditions::is_true(reported, READY)
            && expected.iter().any(|e| !seen.children.iter().any(|c| c.is(e)))
    };
    if doubtful {
        seen.children = children::list(&context.client, &name, &places(grant, &seen))
            .await
            .doing("list the grant's parts")?;
        seen.complete = true;
        if !ending {
            // Another replica may be taking it back already, for a reason that this one's watch has not brought yet.
            seen.request = request_afresh(&grant.spec.request, context).await?;
            // A namespace that goes takes its binding along.
            seen.namespaces = namespaces::observe(grant, true, context).await?;
        }
        // What is to be evicted is looked for when everything else is gone: revoking does not wait for it.
        if ending && grant.spec.terms.on_end == OnEnd::Evict {
            seen.pods_gone = pods_gone(grant, context).await?;
        }
    }
    Ok(seen)
}

/// Reads what the grant rests on. Where it is over without that, nothing that cannot be read delays its end.
async fn look_at_ground(grant: &Grant, seen: &mut Observed, context: &Context) -> Result<(), Error> {
    let over = end(grant, seen, context.clock.latest()).is_some();
    if !over {
        seen.pods_gone = pods_gone(grant, context).await?;
        if let Some(role) = &grant.spec.role {
            seen.role_lost = role_lost(role, context).await?;
        }
    }
    seen.container = match container::observe(grant, context).await {
        Err(error) if over => Container::Unknown(error.to_string()),
        looked => looked?,
    };
    if let (true, true, Some(role)) = (over, grant.spec.account.is_empty(), &grant.spec.role) {
        let rbac = "rbac.authorization.k8s.io";
        // By this right the gate tells, too, where Oz may write: bindings it may delete everywhere to lend whole namespaces.
        let may = may(&context.client, &role.namespace, "delete", rbac, "roles", "").await;
        seen.powerless = !may.doing("ask whether the binding may be deleted")?;
    }
    Ok(())
}

/// Where a grant can have parts.
fn places(grant: &Grant, seen: &Observed) -> Vec<String> {
    let mut all: Vec<String> = grant.spec.access.iter().map(|a| a.namespace.clone()).collect();
    all.extend(namespaces::own(&seen.namespaces).map(|n| n.name.clone()));
    all.extend(grant.spec.role.iter().map(|r| r.namespace.clone()).filter(|n| !n.is_empty()));
    all.push(SESSIONS_NAMESPACE.to_owned());
    all.sort_unstable();
    all.dedup();
    all
}

async fn request(reference: &RequestRef, context: &Context) -> Result<RequestFacts, Error> {
    match reference.kind.as_str() {
        AccessRequest::NAME => known::<AccessRequest>(reference, context).await,
        NamespaceRequest::NAME => known::<NamespaceRequest>(reference, context).await,
        Federation::NAME => known::<Federation>(reference, context).await,
        _ => Ok(RequestFacts::Gone),
    }
}

async fn request_afresh(reference: &RequestRef, context: &Context) -> Result<RequestFacts, Error> {
    match reference.kind.as_str() {
        AccessRequest::NAME => read::<AccessRequest>(reference, context).await,
        NamespaceRequest::NAME => read::<NamespaceRequest>(reference, context).await,
        Federation::NAME => read::<Federation>(reference, context).await,
        _ => Ok(RequestFacts::Gone),
    }
}

async fn known<K: Kind>(reference: &RequestRef, context: &Context) -> Result<RequestFacts, Error> {
    let known = K::store(context).get(&request_ref(&reference.namespace, &reference.name));
    // Gone must not be an old answer; everything else that the watch says can only have moved on towards the end.
    if let Some(request) = known.filter(|r| r.uid().as_deref() == Some(&reference.uid)) {
        return Ok(facts(request.as_ref()));
    }
    read::<K>(reference, context).await
}

async fn read<K: Kind>(reference: &RequestRef, context: &Context) -> Result<RequestFacts, Error> {
    let api = K::api(&context.client, &reference.namespace);
    let request = api.get_opt(&reference.name).await.doing("read the grant's request")?;
    Ok(request
        .filter(|r| r.uid().as_deref() == Some(&reference.uid))
        .map_or(RequestFacts::Gone, |r| facts(&r)))
}

fn facts(request: &impl Kind) -> RequestFacts {
    if request.meta().deletion_timestamp.is_some() {
        RequestFacts::Gone
    } else if request.phase().is_final() {
        RequestFacts::Final
    } else if let Some(release) = request.release() {
        RequestFacts::Released(told("released", release.by, release.reason))
    } else if let Some(no) = request.decisions().iter().find(|d| d.decision == Verdict::Deny) {
        RequestFacts::Denied(told("denied", &no.by, &no.reason))
    } else {
        RequestFacts::Standing(request.rotations())
    }
}

/// Is the Federation's grant that this one stands by gone, or going? Gone must not be an old answer.
async fn parent_ended(grant: &Grant, now: Timestamp, context: &Context) -> Result<bool, Error> {
    let parent = &grant.spec.parent;
    if parent.is_empty() {
        return Ok(false);
    }
    if let Some(known) = context.grants.get(&ObjectRef::new(parent)) {
        return Ok(!known.stands(now));
    }
    let api: Api<Grant> = Api::all(context.client.clone());
    let there = api.get_opt(parent).await.doing("read the federation's grant")?;
    Ok(there.is_none_or(|parent| !parent.stands(now)))
}

/// What somebody did, in words: `released by alice: done`.
pub(in crate::reconcile) fn told(what: &str, by: &str, reason: &str) -> String {
    if reason.is_empty() { format!("{what} by {by}") } else { format!("{what} by {by}: {reason}") }
}

/// A role is lent as it stands; but another one of its name is not, nor what has come to outlast the loan.
async fn role_lost(terms: &RoleTerms, context: &Context) -> Result<Option<String>, Error> {
    let (kind, name) = (terms.kind.as_str(), &terms.name);
    let role = role_of(&context.client, &terms.namespace, terms.kind, name).await.doing("read the role")?;
    let Some(role) = role else { return Ok(Some(format!("{kind} {name} is gone"))) };
    if role.uid != terms.uid {
        return Ok(Some(format!("{kind} {name} is another one now")));
    }
    if terms.namespace.is_empty() {
        let more = more_than_reading(&role.rules);
        return Ok((!more.is_empty())
            .then(|| format!("{kind} {name} has come to hold more than reading: {}", more.join("; "))));
    }
    let lasting = if terms.allow_lasting { Vec::new() } else { role.lasting() };
    Ok((!lasting.is_empty()).then(|| {
        format!("{kind} {name} has come to make access that outlasts the loan: {}", lasting.join("; "))
    }))
}

async fn pods_gone(grant: &Grant, context: &Context) -> Result<Vec<PodRef>, Error> {
    let mut gone = Vec::new();
    for pod in &grant.spec.pods {
        let api: Api<Pod> = Api::namespaced(context.client.clone(), &pod.namespace);
        let there = api.get_metadata_opt(&pod.name).await.doing("look whether the pod is still the same")?;
        if there.and_then(|p| p.uid()).as_deref() != Some(&pod.uid) {
            gone.push(pod.clone());
        }
    }
    Ok(gone)
}
