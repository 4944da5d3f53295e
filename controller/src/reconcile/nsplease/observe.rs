//! Reads what a request to the adapter depends on: its ConfigMap, its namespace and that one's account, and its Secret. All
//! of it is read afresh, since nothing may be issued twice for want of a newer answer.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{Api, ObjectMeta};
use kube::{Client, ResourceExt as _};
use oz_shared::names::{
    ANSWER_ANNOTATION, GRANT_LABEL, ISSUE_TOKEN_LABEL, ISSUED_LABEL, NSPLEASE, REQUESTS_LABEL,
};

use super::settings::{Policy, Settings, Verdict};
use super::{ACCOUNT, ISSUED_TO, RENEW_AT};
use crate::context::Context;
use crate::gate;
use crate::reconcile::{Doing as _, Error};

/// A ConfigMap, as a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) uid: String,
    /// The uid of the namespace that owns it: the one that it has brought.
    pub(super) owner: Option<String>,
    /// What its annotation asks for, if anything that has a meaning.
    pub(super) policy: Option<Policy>,
    /// What it was told.
    pub(super) answer: Option<String>,
}

/// What there is of a request's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Place {
    #[default]
    Free,
    /// Somebody else's namespace. Does it go?
    Foreign {
        terminating: bool,
    },
    Ours(Ours),
}

/// A namespace that the adapter made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) uid: String,
    pub(super) terminating: bool,
    pub(super) policy: Policy,
    /// The uid of the ConfigMap that its token was issued to last, once that is on record.
    pub(super) issued: Option<String>,
    /// What the annotation on its account says.
    pub(super) said: Option<String>,
}

/// What there is of a Secret of that name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Token {
    #[default]
    Missing,
    /// Somebody else's Secret.
    Foreign,
    Issued(Issued),
}

/// A Secret that the adapter made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Issued {
    pub(super) uid: String,
    pub(super) version: String,
    /// The uid of the namespace that it is for.
    pub(super) namespace: String,
    /// The uid of the ConfigMap that it was issued to.
    pub(super) to: String,
    /// Does it say that it is on record?
    pub(super) recorded: bool,
    pub(super) renew_at: Option<Timestamp>,
}

/// What the world looks like to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Observed {
    /// Nothing where it is gone, or going.
    pub(super) request: Option<Request>,
    pub(super) place: Place,
    pub(super) token: Token,
    /// Why the gate is not in force.
    pub(super) open: Option<String>,
}

pub(super) async fn observe(name: &str, settings: &Settings, context: &Context) -> Result<Observed, Error> {
    let client = &context.client;
    let requests: Api<ConfigMap> = Api::namespaced(client.clone(), &settings.requests);
    let found = requests.get_metadata_opt(name).await.doing("read the ConfigMap")?;
    let request = found
        .filter(|found| found.metadata.deletion_timestamp.is_none())
        .map(|found| request(&found.metadata, settings));
    if request.is_none() || settings.verdict(name) != Verdict::Valid {
        return Ok(Observed { request, ..Observed::default() });
    }
    let (place, token) = tokio::try_join!(place(name, settings, client), token(name, settings, client))?;
    let open = match context.gate.state().await {
        gate::State::Enforced { .. } => None,
        gate::State::Open(hole) => Some(hole),
    };
    Ok(Observed { request, place, token, open })
}

fn request(meta: &ObjectMeta, settings: &Settings) -> Request {
    let name = meta.name.clone().unwrap_or_default();
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|a| a.get(key));
    Request {
        uid: meta.uid.clone().unwrap_or_default(),
        owner: owner(meta),
        policy: annotation(&settings.annotation).and_then(|said| Policy::read(said)),
        answer: annotation(ANSWER_ANNOTATION).cloned(),
        name,
    }
}

/// The uid of the namespace of its own name that owns it.
fn owner(meta: &ObjectMeta) -> Option<String> {
    let mut owners = meta.owner_references.iter().flatten();
    let is_it = |name: &str| Some(name) == meta.name.as_deref();
    owners.find(|o| o.api_version == "v1" && o.kind == "Namespace" && is_it(&o.name)).map(|o| o.uid.clone())
}

async fn place(name: &str, settings: &Settings, client: &Client) -> Result<Place, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata_opt(name).await.doing("look whose the namespace is")?;
    let Some(found) = found else { return Ok(Place::Free) };
    let terminating = found.metadata.deletion_timestamp.is_some();
    let label = |key: &str| found.labels().get(key).map(String::as_str);
    // Nobody but the controller writes these labels, and it has none of them without the others.
    let policy = label(ISSUE_TOKEN_LABEL).and_then(Policy::read);
    let ours = label(GRANT_LABEL) == Some(NSPLEASE) && label(REQUESTS_LABEL) == Some(&settings.requests);
    let (true, Some(policy)) = (ours, policy) else { return Ok(Place::Foreign { terminating }) };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    let account = accounts.get_metadata_opt(ACCOUNT).await.doing("read the account's annotation")?;
    Ok(Place::Ours(Ours {
        uid: found.uid().unwrap_or_default(),
        terminating,
        policy,
        issued: label(ISSUED_LABEL).map(str::to_owned),
        said: account.and_then(|a| a.annotations().get(&settings.annotation).cloned()),
    }))
}

async fn token(name: &str, settings: &Settings, client: &Client) -> Result<Token, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &settings.requests);
    let found = secrets.get_metadata_opt(name).await.doing("look for the Secret")?;
    let Some(found) = found else { return Ok(Token::Missing) };
    if found.labels().get(GRANT_LABEL).map(String::as_str) != Some(NSPLEASE) {
        return Ok(Token::Foreign);
    }
    let annotation = |key: &str| found.annotations().get(key).cloned().unwrap_or_default();
    Ok(Token::Issued(Issued {
        uid: found.uid().unwrap_or_default(),
        version: found.resource_version().unwrap_or_default(),
        namespace: owner(&found.metadata).unwrap_or_default(),
        to: annotation(ISSUED_TO),
        recorded: found.labels().contains_key(ISSUED_LABEL),
        renew_at: annotation(RENEW_AT).parse().ok(),
    }))
}
