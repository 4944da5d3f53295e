//! Reads what the decision on a request needs, all of it afresh: the template, the right to ask, the pod, the gate.

use std::sync::Arc;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::names::{grant_name, is_reserved_namespace};
use oz_shared::{AccessRequest, AccessTemplate, GROUP, Grant, Phase};

use super::roles::{self, LentRole};
use super::targets::{self, NoTarget, Target};
use super::workloads::{self, Workload};
use crate::context::Context;
use crate::gate;
use crate::reconcile::{Doing as _, Error};

/// What the world looks like to one request.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// The grant of this request's name, whoever it is for.
    pub(crate) grant: Option<Arc<Grant>>,
    /// Read only while there is something to decide.
    pub(crate) deciding: Option<Deciding>,
}

/// What a decision rests on.
#[derive(Debug, Clone)]
pub(crate) struct Deciding {
    pub(crate) template: Option<AccessTemplate>,
    /// Does the requester still hold the verb `request` on the template?
    pub(crate) may_request: bool,
    /// What the template offers, as it stands.
    pub(crate) target: Result<Found, NoTarget>,
    pub(crate) gate: gate::State,
}

/// What a template offers, found in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// The pod that would be entered.
    Pod(Target),
    /// The workload of which a pod would be copied.
    Workload(Box<Workload>),
    /// The role that would be bound.
    Role(LentRole),
}

pub(super) async fn observe(request: &AccessRequest, context: &Context) -> Result<Observed, Error> {
    if request.phase().is_final() {
        return Ok(Observed { grant: None, deciding: None });
    }
    let name = grant_name(&request.uid().unwrap_or_default());
    let grant = grant(&name, context).await?;
    let undecided = grant.is_none() && request.phase() == Phase::Pending && !request.spec.released;
    let namespace = request.namespace().unwrap_or_default();
    if !undecided || is_reserved_namespace(&namespace) {
        return Ok(Observed { grant, deciding: None });
    }
    let (template, may_request, gate) = tokio::join!(
        template(&context.client, &namespace, &request.spec.template),
        may_request(&context.client, &namespace, request),
        context.gate.state(),
    );
    let template = template?;
    let target = match &template {
        Some(template) => find(template, &namespace, request, context).await?,
        None => Err(NoTarget::NotNeeded),
    };
    Ok(Observed { grant, deciding: Some(Deciding { template, may_request: may_request?, target, gate }) })
}

async fn find(
    template: &AccessTemplate,
    namespace: &str,
    request: &AccessRequest,
    context: &Context,
) -> Result<Result<Found, NoTarget>, Error> {
    let (client, spec) = (&context.client, &template.spec);
    let pods = spec.exec.as_ref().map(|e| &e.pods).or(spec.debug.as_ref().map(|d| &d.pods));
    if let Some(pods) = pods {
        let _permit = context.searching.acquire().await;
        Ok(targets::find(client, namespace, pods, &request.spec.pod).await?.map(Found::Pod))
    } else if let Some(shell) = &spec.shell {
        let found = workloads::find(client, namespace, &shell.workload).await?;
        Ok(found.map(|workload| Found::Workload(Box::new(workload))))
    } else if let Some(role) = &spec.role {
        Ok(roles::find(client, namespace, role).await?.map(Found::Role))
    } else {
        Ok(Err(NoTarget::NotNeeded))
    }
}

/// From the watch, or where it knows none, from the API server: "there is none" must not be an old answer.
async fn grant(name: &str, context: &Context) -> Result<Option<Arc<Grant>>, Error> {
    if let Some(grant) = context.grants.get(&ObjectRef::new(name)) {
        return Ok(Some(grant));
    }
    let api: Api<Grant> = Api::all(context.client.clone());
    Ok(api.get_opt(name).await.doing("read the grant")?.map(Arc::new))
}

async fn template(client: &Client, namespace: &str, name: &str) -> Result<Option<AccessTemplate>, Error> {
    let api: Api<AccessTemplate> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(name).await {
        // A template that this version cannot read offers nothing that it could lend.
        Err(kube::Error::SerdeError(error)) => {
            tracing::warn!(namespace, name, %error, "a template cannot be read");
            Ok(None)
        }
        other => other.doing("read the template"),
    }
}

async fn may_request(client: &Client, namespace: &str, request: &AccessRequest) -> Result<bool, Error> {
    let requester = &request.spec.requester;
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(requester.username.clone()),
            uid: Some(requester.uid.clone()).filter(|u| !u.is_empty()),
            groups: Some(requester.groups.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some("accesstemplates".to_owned()),
                namespace: Some(namespace.to_owned()),
                name: Some(request.spec.template.clone()),
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
