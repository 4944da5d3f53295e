//! The namespaces that a grant lends: which of them are there, whose they are, and how they are made or taken over. A
//! namespace is the grant's for as long as its label says so, and nobody but this controller may write that.

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use oz_shared::Grant;
use oz_shared::grant::NamespaceTerms;
use oz_shared::names::{SESSIONS_NAMESPACE, place_name, suffixed};
use oz_shared::namespace_class::OnTaken;
use oz_shared::request::NamespaceRef;

use crate::children::{self, Kind, belongs_to, is_place};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};
use crate::write;

/// One namespace of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lent {
    /// It is to be made, or to be taken over.
    Missing(String),
    /// It is the grant's.
    There(NamespaceRef),
    /// It is being deleted, and what keeps it.
    Going(NamespaceRef, String),
    /// Its name is taken, and why that does not pass.
    Taken(String),
    /// Its name is taken until that namespace, which is being deleted, has gone.
    Waiting(String),
    /// Another grant has taken it over.
    HandedOn,
    /// It was there, and is not any more.
    Gone,
    /// Its holder has as many as he may.
    NoPlace,
}

/// Reads what there is of the grant's namespaces: as the watch knows it, or afresh.
pub(super) async fn observe(grant: &Grant, afresh: bool, context: &Context) -> Result<Vec<Lent>, Error> {
    let Some(terms) = &grant.spec.namespaces else { return Ok(Vec::new()) };
    let made = grant.status.as_ref().map(|s| s.namespaces.as_slice()).unwrap_or_default();
    if made.is_empty() {
        let look = terms.names.iter().map(|name| unrecorded(grant, terms, name, afresh, context));
        return try_join_all(look).await;
    }
    try_join_all(made.iter().map(|recorded| recorded_one(grant, recorded, afresh, context))).await
}

/// A namespace that the status does not tell of yet: none but one with the grant's label is it.
async fn unrecorded(
    grant: &Grant,
    terms: &NamespaceTerms,
    wanted: &str,
    afresh: bool,
    context: &Context,
) -> Result<Lent, Error> {
    let own = grant.name_any();
    for name in candidates(grant, terms, wanted) {
        let known = context.children.namespace(&name);
        let found = if known.is_none() && afresh { read(&name, context).await? } else { known };
        if let Some(found) = found.filter(|n| belongs_to(n, &own)) {
            return there(&found, context).await;
        }
    }
    Ok(Lent::Missing(wanted.to_owned()))
}

async fn recorded_one(
    grant: &Grant,
    recorded: &NamespaceRef,
    afresh: bool,
    context: &Context,
) -> Result<Lent, Error> {
    let found = match context.children.namespace(&recorded.name) {
        Some(found) if !afresh && found.uid().as_deref() == Some(&recorded.uid) => Some(found),
        // Gone must not be an old answer.
        _ => read(&recorded.name, context).await?,
    };
    match found.filter(|n| n.uid().as_deref() == Some(&recorded.uid)) {
        None => Ok(Lent::Gone),
        Some(found) if belongs_to(&found, &grant.name_any()) => there(&found, context).await,
        Some(_) => Ok(Lent::HandedOn),
    }
}

async fn read(name: &str, context: &Context) -> Result<Option<PartialObjectMeta<Namespace>>, Error> {
    let api: Api<Namespace> = Api::all(context.client.clone());
    api.get_metadata_opt(name).await.doing("look whether the namespace is there")
}

async fn there(found: &PartialObjectMeta<Namespace>, context: &Context) -> Result<Lent, Error> {
    let namespace = NamespaceRef { name: found.name_any(), uid: found.uid().unwrap_or_default() };
    if found.metadata.deletion_timestamp.is_none() {
        return Ok(Lent::There(namespace));
    }
    let api: Api<Namespace> = Api::all(context.client.clone());
    let whole = api.get_opt(&namespace.name).await.doing("look what keeps the namespace")?;
    Ok(match whole.filter(|n| n.uid().as_deref() == Some(&namespace.uid)) {
        None => Lent::Gone,
        Some(whole) => {
            let kept = kept(&whole);
            Lent::Going(namespace, kept)
        }
    })
}

/// What keeps a namespace that is being deleted, in Kubernetes' own words.
fn kept(namespace: &Namespace) -> String {
    let conditions = namespace.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let words = conditions.filter(|c| c.status == "True").filter_map(|c| c.message.clone());
    words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The names that the namespace wanted as `name` can have.
fn candidates(grant: &Grant, terms: &NamespaceTerms, name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if terms.extends.is_empty() && terms.on_taken == OnTaken::Suffix {
        names.push(suffixed(name, &grant.spec.request.uid));
    }
    names
}

/// Makes the namespaces that are missing, or takes them over: first the places that its holder needs for them.
pub(super) async fn make(grant: &Grant, seen: &[Lent], context: &Context) -> Result<Vec<Lent>, Error> {
    let Some(terms) = &grant.spec.namespaces else { return Ok(Vec::new()) };
    if !terms.extends.is_empty() {
        // One by one, and all that want them in the same order: who loses the first has none that he would delete.
        let mut taken = Vec::new();
        for lent in seen {
            taken.push(take_over(grant, terms, lent, context).await?);
            if matches!(taken.last(), Some(Lent::Taken(_))) {
                return Ok(taken);
            }
        }
        take_places_over(grant, terms, context).await?;
        return Ok(taken);
    }
    if !claim_places(grant, terms, 0, context).await? {
        return Ok(vec![Lent::NoPlace]);
    }
    join_all(seen.iter().map(|lent| make_one(grant, terms, lent, context))).await.into_iter().collect()
}

async fn make_one(
    grant: &Grant,
    terms: &NamespaceTerms,
    lent: &Lent,
    context: &Context,
) -> Result<Lent, Error> {
    let Lent::Missing(wanted) = lent else { return Ok(lent.clone()) };
    let api: Api<Namespace> = Api::all(context.client.clone());
    let mut last = lent.clone();
    for name in candidates(grant, terms, wanted) {
        let namespace = children::namespace(grant, terms, &name).doing("make the namespace")?;
        match write::create(&api, &namespace).await {
            Ok(made) => {
                return Ok(Lent::There(NamespaceRef { uid: made.uid().unwrap_or_default(), name }));
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                return Ok(Lent::Taken(status.message));
            }
            Err(error) => return Err(error).doing("make the namespace"),
        }
        last = match read(&name, context).await? {
            None => Lent::Missing(wanted.clone()),
            // Made by another replica, or before a restart. One that is older than the grant is not its own, whatever it
            // says.
            Some(found) if is_own(grant, &found) => return self::there(&found, context).await,
            Some(found) if found.metadata.deletion_timestamp.is_some() => Lent::Waiting(name),
            Some(_) => Lent::Taken(format!("there is a namespace {name} already: Oz adopts none")),
        };
    }
    Ok(last)
}

fn is_own(grant: &Grant, found: &PartialObjectMeta<Namespace>) -> bool {
    belongs_to(found, &grant.name_any())
        && found.metadata.creation_timestamp >= grant.metadata.creation_timestamp
}

/// Takes a namespace over from the grant that is extended: from then on this one deletes it, and that one does not.
async fn take_over(
    grant: &Grant,
    terms: &NamespaceTerms,
    lent: &Lent,
    context: &Context,
) -> Result<Lent, Error> {
    let Lent::Missing(name) = lent else { return Ok(lent.clone()) };
    let recorded = context
        .grants
        .get(&kube::runtime::reflector::ObjectRef::new(&terms.extends))
        .and_then(|old| old.status.as_ref()?.namespaces.iter().find(|n| &n.name == name).cloned());
    let Some(namespace) = recorded else {
        return Ok(Lent::Taken(format!("the request that {name} was lent to is over")));
    };
    let api: Api<Namespace> = Api::all(context.client.clone());
    let own = grant.name_any();
    match write::hand_on(&api, name, Some(&namespace.uid), (&terms.extends, &own), None).await {
        Ok(taken) if taken.metadata.deletion_timestamp.is_none() => Ok(Lent::There(namespace)),
        // Its end had begun before.
        Ok(_) => Ok(Lent::Going(namespace, String::new())),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {
            // What is gone keeps the others from nothing.
            match read(name, context).await?.filter(|n| n.uid().as_deref() == Some(&namespace.uid)) {
                None => Ok(Lent::Gone),
                Some(found) if belongs_to(&found, &own) => there(&found, context).await,
                Some(_) => Ok(Lent::Taken(format!("{name} is kept on by another request"))),
            }
        }
        Err(error) => Err(error).doing("take the namespace over"),
    }
}

/// Claims a place for each namespace, so that nobody has more than he may, however many are asked for at once: each
/// place is an object that can be made only once. Are there enough?
/// `taken` of them it has, of which the watch need not tell yet.
async fn claim_places(
    grant: &Grant,
    terms: &NamespaceTerms,
    taken: usize,
    context: &Context,
) -> Result<bool, Error> {
    let ((whose, uid), class) = (grant.counts_for(), &grant.spec.terms.template.pin.uid);
    let most = usize::try_from(terms.max_live).unwrap_or(0);
    let own = context.children.places(&grant.name_any()).len().max(taken);
    let mut missing = terms.names.len().saturating_sub(own);
    while missing > 0 {
        let all = (0..most).map(|n| place_name(class, whose, uid, n));
        let Some(name) = context.children.claim_place(all) else {
            // Another replica may have claimed them for it.
            return Ok(places(grant, context).await? >= terms.names.len());
        };
        let place = children::place(grant, &name);
        let api = place.kind.api(&context.client, &place.namespace);
        let object = serde_json::from_value(place.body).map_err(kube::Error::SerdeError);
        match write::create(&api, &object.doing("claim a place")?).await {
            Ok(_) => missing -= 1,
            // Another replica was first; or it was made for this grant, and the answer lost.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let there = api.get_metadata_opt(&name).await.doing("look whose the place is")?;
                if there.is_some_and(|place| belongs_to(&place, &grant.name_any())) {
                    missing -= 1;
                }
            }
            Err(error) => {
                context.children.forget_claim(&name);
                return Err(error).doing("claim a place");
            }
        }
    }
    Ok(true)
}

/// How many places the grant has, read afresh.
async fn places(grant: &Grant, context: &Context) -> Result<usize, Error> {
    let (own, at) = (grant.name_any(), [SESSIONS_NAMESPACE.to_owned()]);
    let there = children::list(&context.client, &own, &at).await.doing("look for its places")?;
    Ok(there.iter().filter(|found| is_place(&found.name)).count())
}

/// The places of the grant that is extended become this one's; those that it has given back already are claimed anew, if
/// nobody else was first.
async fn take_places_over(grant: &Grant, terms: &NamespaceTerms, context: &Context) -> Result<(), Error> {
    let (api, owner) = (Kind::Role.api(&context.client, SESSIONS_NAMESPACE), children::owner(grant));
    let (from, to) = (&terms.extends, &grant.name_any());
    let places = context.children.places(from);
    let take = places.iter().map(|name| write::hand_on(&api, name, None, (from, to), Some(&owner)));
    let mut taken = 0;
    for done in join_all(take).await {
        match done {
            Ok(_) => taken += 1,
            // Taken over, or gone, in the moment since they were looked for.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 422) => {}
            Err(error) => return Err(error).doing("take a place over"),
        }
    }
    claim_places(grant, terms, taken, context).await.map(drop)
}

/// The namespaces that are to be deleted at the end.
pub(super) fn to_delete(seen: &[Lent]) -> impl Iterator<Item = &NamespaceRef> {
    seen.iter().filter_map(|lent| match lent {
        Lent::There(namespace) => Some(namespace),
        _ => None,
    })
}

/// The namespaces that are the grant's now, whatever becomes of them.
pub(super) fn own(seen: &[Lent]) -> impl Iterator<Item = &NamespaceRef> {
    seen.iter().filter_map(|lent| match lent {
        Lent::There(namespace) | Lent::Going(namespace, _) => Some(namespace),
        _ => None,
    })
}

/// What is still to go, and what keeps it.
pub(super) fn going(seen: &[Lent]) -> Vec<String> {
    seen.iter()
        .filter_map(|lent| match lent {
            Lent::There(namespace) => Some(format!("namespace {} is to be deleted", namespace.name)),
            Lent::Going(namespace, kept) if kept.is_empty() => {
                Some(format!("namespace {} is being deleted", namespace.name))
            }
            Lent::Going(namespace, kept) => {
                Some(format!("namespace {} is being deleted: {kept}", namespace.name))
            }
            _ => None,
        })
        .collect()
}

/// Have the kinds gone by which they were lent? Then they are nobody's to delete but people's.
pub(super) async fn are_abandoned(grant: &Grant, context: &Context) -> Result<bool, Error> {
    context.lends_namespaces(grant).await.map(|lends| !lends).doing("look whether namespaces are still lent")
}

/// Deletes namespaces of an ended grant, each by its uid and only while it is still the grant's.
pub(super) async fn delete(
    grant: &Grant,
    namespaces: &[NamespaceRef],
    context: &Context,
) -> Result<(), Error> {
    if namespaces.is_empty() || are_abandoned(grant, context).await? {
        return Ok(());
    }
    let own = grant.name_any();
    try_join_all(namespaces.iter().map(|n| write::delete_namespace(&context.client, n, &own)))
        .await
        .map(drop)
        .doing("delete the namespace")
}
