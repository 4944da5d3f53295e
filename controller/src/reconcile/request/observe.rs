//! Reads what the decision on a request needs, all of it afresh: the policy, the right to ask, what is offered, the gate.

use std::sync::Arc;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::names::grant_name;
use oz_shared::{GROUP, Grant, Phase, Policy};

use super::kind::Kind;
use crate::context::Context;
use crate::gate;
use crate::reconcile::{Doing as _, Error};

/// What the world looks like to one request.
#[derive(Debug, Clone)]
pub(crate) struct Observed<K: Kind> {
    /// The grant of this request's name, whoever it is for.
    pub(crate) grant: Option<Arc<Grant>>,
    /// Read only while there is something to decide.
    pub(crate) deciding: Option<Deciding<K>>,
}

/// What a decision rests on.
#[derive(Debug, Clone)]
pub(crate) struct Deciding<K: Kind> {
    /// The policy, and what it offers as it stands.
    pub(crate) policy: Option<(K::Policy, K::Found)>,
    /// Does the requester still hold the verb `request` on the policy?
    pub(crate) may_request: bool,
    pub(crate) gate: gate::State,
}

pub(super) async fn observe<K: Kind>(request: &K, context: &Context) -> Result<Observed<K>, Error> {
    if request.phase().is_final() {
        return Ok(Observed { grant: None, deciding: None });
    }
    let name = grant_name(&request.uid().unwrap_or_default());
    let known = context.grants.get(&ObjectRef::new(&name));
    let undecided = known.is_none() && request.phase() == Phase::Pending && request.release().is_none();
    if !undecided || request.refused().is_some() {
        let grant = match known {
            Some(grant) => Some(grant),
            None => grant(&name, context).await?,
        };
        return Ok(Observed { grant, deciding: None });
    }
    let namespace = request.namespace().unwrap_or_default();
    let policies = K::policies(&context.client, &namespace);
    let (grant, policy, may_request, gate) = tokio::join!(
        grant(&name, context),
        policy(&policies, request.policy()),
        may_request(&context.client, &namespace, request),
        context.gate.state(),
    );
    let grant = grant?;
    if grant.is_some() {
        return Ok(Observed { grant, deciding: None });
    }
    let policy = match policy? {
        Some(policy) => {
            let found = request.find(&policy, context).await?;
            Some((policy, found))
        }
        None => None,
    };
    Ok(Observed { grant, deciding: Some(Deciding { policy, may_request: may_request?, gate }) })
}

/// From the API server, where the watch knows none: "there is none" must not be an old answer.
async fn grant(name: &str, context: &Context) -> Result<Option<Arc<Grant>>, Error> {
    let api: Api<Grant> = Api::all(context.client.clone());
    Ok(api.get_opt(name).await.doing("read the grant")?.map(Arc::new))
}

async fn policy<P>(api: &Api<P>, name: &str) -> Result<Option<P>, Error>
where
    P: Policy + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.get_opt(name).await {
        // One that this version cannot read offers nothing that it could lend.
        Err(kube::Error::SerdeError(error)) => {
            tracing::warn!(kind = %P::kind(&()), name, %error, "this object cannot be read");
            Ok(None)
        }
        other => other.doing("read what is asked for"),
    }
}

async fn may_request<K: Kind>(client: &Client, namespace: &str, request: &K) -> Result<bool, Error> {
    let requester = request.requester();
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(requester.username.clone()),
            uid: Some(requester.uid.clone()).filter(|u| !u.is_empty()),
            groups: Some(requester.groups.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some(K::POLICIES.to_owned()),
                namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
                name: Some(request.policy().to_owned()),
                verb: Some("request".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer =
        api.create(&PostParams::default(), &review).await.doing("ask whether the requester may still ask")?;
    Ok(answer.status.is_some_and(|s| s.allowed && s.denied != Some(true)))
}
