//! AccessRequests: what a template offers, found in the cluster, and what would be lent of it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::Store;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::copy::{self, Asked};
use oz_shared::grant::{CopyTerms, DebugTerms, PodRef, RoleTerms};
use oz_shared::names::{GRANT_LABEL, SessionKind, copy_name, grant_name, is_reserved_namespace};
use oz_shared::template::{DebugAccess, ExecAccess, Identity, RoleAccess, ShellAccess};
use oz_shared::{AccessRequest, AccessTemplate, debug, duration, exec, plain, role};
use serde_json::json;

use super::kind::{Kind, NoOffer, Offer, Times};
use super::roles::{self, LentRole};
use super::targets::{self, NoTarget, Target};
use super::workloads::{self, Workload};
use crate::context::Context;
use crate::reconcile::{Error, later};

/// The most debugging containers that run in one pod: none of them can be taken out again.
const MAX_DEBUGGERS: usize = 8;

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

impl Kind for AccessRequest {
    type Policy = AccessTemplate;
    type Found = Result<Found, NoTarget>;
    const NAME: &'static str = "AccessRequest";
    const POLICY: &'static str = "template";
    const POLICIES: &'static str = "accesstemplates";
    const NO_POLICY: &'static str = "TemplateNotFound";

    fn store(context: &Context) -> &Store<Self> {
        &context.requests
    }

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
    }

    fn policies(client: &Client, namespace: &str) -> Api<AccessTemplate> {
        Api::namespaced(client.clone(), namespace)
    }

    fn refused(&self) -> Option<(&'static str, String)> {
        is_reserved_namespace(&self.namespace().unwrap_or_default()).then(|| {
            ("ReservedNamespace", "nothing is lent in Oz's and Kubernetes' own namespaces".to_owned())
        })
    }

    fn names_its_target(&self) -> bool {
        !self.spec.pod.is_empty()
    }

    async fn find(&self, template: &AccessTemplate, context: &Context) -> Result<Self::Found, Error> {
        let (client, spec) = (&context.client, &template.spec);
        let namespace = &self.namespace().unwrap_or_default();
        if let Some(pods) = spec.pods() {
            let _permit = context.searching.acquire().await;
            Ok(targets::find(client, namespace, pods, &self.spec.pod).await?.map(Found::Pod))
        } else if let Some(shell) = &spec.shell {
            let found = workloads::find(client, namespace, &shell.workload).await?;
            Ok(found.map(|workload| Found::Workload(Box::new(workload))))
        } else if let Some(role) = &spec.role {
            Ok(roles::find(client, namespace, role).await?.map(Found::Role))
        } else {
            Ok(Err(NoTarget::NotNeeded))
        }
    }

    fn offer(&self, template: &AccessTemplate, found: &Self::Found, times: &Times) -> Result<Offer, NoOffer> {
        offer(self, template, found, times)
    }
}

/// What the template offers to this request, of what was found.
fn offer(
    request: &AccessRequest,
    template: &AccessTemplate,
    found: &Result<Found, NoTarget>,
    times: &Times,
) -> Result<Offer, NoOffer> {
    let found = match found {
        Ok(found) => found,
        Err(why @ NoTarget::NotEnabled(_)) => return Err(NoOffer::Unusable("NotEnabled", why.to_string())),
        Err(why @ NoTarget::Unusable(_)) => {
            return Err(NoOffer::Unusable("TemplateUnusable", why.to_string()));
        }
        Err(why @ NoTarget::BeyondCeiling(_)) => {
            return Err(NoOffer::Unusable("BeyondCeiling", why.to_string()));
        }
        Err(why @ NoTarget::NoneReady) => return Err(NoOffer::Absent("NoPodReady", why.to_string())),
        Err(why @ (NoTarget::NoWorkload(_) | NoTarget::NoRole(_))) => {
            return Err(NoOffer::Absent("NotFound", why.to_string()));
        }
        Err(why) => return Err(NoOffer::Absent("PodNotOffered", why.to_string())),
    };
    let spec = &template.spec;
    let start_timeout = duration::parse(&spec.start_timeout).unwrap_or(SignedDuration::ZERO);
    let starting =
        Starting { start_by: later(times.approved_at, start_timeout), seconds: times.lent_for.as_secs() };
    match (found, &spec.exec, &spec.debug, &spec.shell, &spec.role) {
        (Found::Pod(target), Some(access), ..) => entering(request, access, target),
        (Found::Pod(target), None, Some(access), ..) => debugging(request, access, target, &starting),
        (Found::Workload(workload), _, _, Some(shell), _) => copying(request, shell, workload, &starting),
        (Found::Role(role), .., Some(access)) => binding(request, access, role),
        _ => Err(NoOffer::Unusable("TemplateUnusable", NoTarget::NotNeeded.to_string())),
    }
}

/// When a container must be running, and how long it is lent from then on.
struct Starting {
    start_by: Timestamp,
    seconds: i64,
}

fn entering(request: &AccessRequest, access: &ExecAccess, target: &Target) -> Result<Offer, NoOffer> {
    let misfit = |m: exec::Misfit| NoOffer::Unusable("ContainerNotOffered", m.to_string());
    let offer = exec::offer(access, &target.pod, &request.spec.container).map_err(misfit)?;
    let pods = vec![pod(request, target, offer.container)];
    let rules = offer.rules;
    Ok(Offer { rules, pods, on_end: access.on_end, ..Offer::of(offer.words, Some(SessionKind::Pods)) })
}

fn debugging(
    request: &AccessRequest,
    access: &DebugAccess,
    target: &Target,
    starting: &Starting,
) -> Result<Offer, NoOffer> {
    if target.debuggers >= MAX_DEBUGGERS {
        let message =
            format!("pod {} has {} debugging containers already", target.pod.name, target.debuggers);
        return Err(NoOffer::Unusable("TooManyDebuggers", message));
    }
    let misfit = |m: debug::Misfit| NoOffer::Unusable("DebugNotOffered", m.to_string());
    let name = grant_name(&request.uid().unwrap_or_default());
    let container = debug::container(access, &target.pod, &name, &request.spec.image).map_err(misfit)?;
    let offer = debug::offer(access, &target.pod, &container).map_err(misfit)?;
    Ok(Offer {
        digest: plain::digest(&container),
        start_by: Some(starting.start_by),
        rules: offer.rules,
        pods: vec![pod(request, target, name)],
        debug: Some(DebugTerms { seconds: starting.seconds, start_by: Time(starting.start_by), container }),
        on_end: access.on_end,
        ..Offer::of(offer.words, Some(SessionKind::Pods))
    })
}

fn copying(
    request: &AccessRequest,
    shell: &ShellAccess,
    workload: &Workload,
    starting: &Starting,
) -> Result<Offer, NoOffer> {
    let misfit = |m: copy::Misfit| NoOffer::Unusable("CopyNotOffered", m.to_string());
    let source = &workload.source;
    let copied = copy::copy(shell, &Asked::by(&request.spec), source).map_err(misfit)?;
    let mut labels = copied.labels.clone();
    labels.insert(GRANT_LABEL.to_owned(), grant_name(&request.uid().unwrap_or_default()));
    let taking = workload.taking(&labels);
    if !taking.is_empty() {
        let message =
            format!("with the labels of its template the copy would be taken by {}", plain::some_of(&taking));
        return Err(NoOffer::Unusable("LabelsSelected", message));
    }
    let name = copy_name(&source.name, &request.uid().unwrap_or_default());
    let uncovered = workload.uncovered(&labels);
    let offer = copy::offer(shell, &copied, source, &name, &uncovered).map_err(misfit)?;
    let digest = copied.digest();
    Ok(Offer {
        digest: digest.clone(),
        start_by: Some(starting.start_by),
        rules: offer.rules,
        copy: Some(CopyTerms {
            namespace: request.namespace().unwrap_or_default(),
            name,
            container: copied.container,
            workload_uid: source.uid.clone(),
            digest,
            seconds: starting.seconds,
            start_by: Time(starting.start_by),
            asked: Asked::by(&request.spec),
            shell: shell.clone(),
        }),
        ..Offer::of(offer.words, Some(SessionKind::Pods))
    })
}

fn binding(request: &AccessRequest, access: &RoleAccess, found: &LentRole) -> Result<Offer, NoOffer> {
    let namespace = request.namespace().unwrap_or_default();
    let lasts = |lasts: role::Lasts| NoOffer::Unusable("LastingPower", lasts.to_string());
    let words =
        role::offer(access, &namespace, &request.spec.requester.username, &found.rules).map_err(lasts)?;
    let session = match access.identity {
        Identity::Session => Some(SessionKind::Roles),
        Identity::Requester => None,
    };
    let digest = plain::digest(&json!([found.uid, found.rules]));
    let role = RoleTerms {
        namespace,
        kind: access.kind,
        name: access.name.clone(),
        uid: found.uid.clone(),
        allow_lasting: access.allow_lasting,
    };
    Ok(Offer { digest, role: Some(role), ..Offer::of(words, session) })
}

fn pod(request: &AccessRequest, target: &Target, container: String) -> PodRef {
    PodRef {
        namespace: request.namespace().unwrap_or_default(),
        name: target.pod.name.clone(),
        uid: target.uid.clone(),
        container,
    }
}
