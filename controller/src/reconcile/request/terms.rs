//! What a request comes to under its template as it is now: is it within bounds, who has agreed, what would be lent, and
//! the Grant that lends it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use oz_shared::conditions::whole_second;
use oz_shared::grant::{Holder, NamespaceAccess, PodRef, RequestRef, TemplateTerms, Terms};
use oz_shared::names::{SessionKind, account_name, grant_name};
use oz_shared::request::{Decision, TemplatePin, Verdict};
use oz_shared::template::{ExecAccess, ReasonPolicy};
use oz_shared::{AccessRequest, AccessTemplate, Grant, GrantSpec, duration, exec};

use super::targets::{NoTarget, Target};
use crate::reconcile::later;

/// The controller's own look at what admission has checked at creation, against the template as it is now.
pub(super) fn bounds(
    request: &AccessRequest,
    template: &AccessTemplate,
) -> Result<SignedDuration, (&'static str, String)> {
    let (spec, terms) = (&request.spec, &template.spec);
    let unreadable = |e: duration::DurationError| ("DurationOutOfBounds", e.to_string());
    let max = duration::parse(&terms.duration.max).map_err(unreadable)?;
    let wanted = if spec.duration.is_empty() { &terms.duration.default } else { &spec.duration };
    let wanted = duration::parse(wanted).map_err(unreadable)?;
    if wanted > max {
        let message =
            format!("{} lends for at most {}, not {}", spec.template, terms.duration.max, spec.duration);
        return Err(("DurationOutOfBounds", message));
    }
    if terms.reason == ReasonPolicy::Required && spec.reason.trim().is_empty() {
        return Err(("ReasonRequired", format!("{} asks for a reason", spec.template)));
    }
    Ok(wanted)
}

/// Who approved, or the approval that was given to another state of the template. What admission holds about deciders
/// is looked at again: it holds nothing where the template is gone for a moment.
pub(super) fn approvals<'a>(
    request: &'a AccessRequest,
    template: &AccessTemplate,
) -> Result<Vec<String>, &'a Decision> {
    let pin = pin(template);
    let mut by = Vec::new();
    for decision in request.spec.decisions.iter().filter(|d| d.decision == Verdict::Approve) {
        if decision.template != pin {
            return Err(decision);
        }
        let is_account = decision.by.starts_with("system:serviceaccount:");
        let counts = decision.by != request.spec.requester.username
            && Some(&decision.request) == request.metadata.uid.as_ref()
            && (!is_account || template.spec.approvers.service_accounts)
            && !by.contains(&decision.by);
        if counts {
            by.push(decision.by.clone());
        }
    }
    Ok(by)
}

fn pin(template: &AccessTemplate) -> TemplatePin {
    TemplatePin {
        uid: template.metadata.uid.clone().unwrap_or_default(),
        generation: template.metadata.generation.unwrap_or_default(),
    }
}

/// Why no pod can be lent.
pub(super) enum NoPod {
    /// It may be there later, or elsewhere.
    Absent(&'static str, String),
    /// Waiting does not help.
    Unusable(&'static str, String),
}

pub(super) type Offered<'a> = Result<(&'a Target, exec::Offer), NoPod>;

pub(super) fn offer<'a>(
    access: &ExecAccess,
    target: &'a Result<Target, NoTarget>,
    container: &str,
) -> Offered<'a> {
    match target {
        Ok(target) => match exec::offer(access, &target.pod, container) {
            Ok(offer) => Ok((target, offer)),
            Err(misfit) => Err(NoPod::Unusable("ContainerNotOffered", misfit.to_string())),
        },
        Err(why @ NoTarget::NotEnabled(_)) => Err(NoPod::Unusable("NotEnabled", why.to_string())),
        Err(why @ NoTarget::Unusable(_)) => Err(NoPod::Unusable("TemplateUnusable", why.to_string())),
        Err(why @ NoTarget::NoneReady) => Err(NoPod::Absent("NoPodReady", why.to_string())),
        Err(why) => Err(NoPod::Absent("PodNotOffered", why.to_string())),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "a grant is made of all of these, and they are made nowhere else"
)]
pub(super) fn grant(
    request: &AccessRequest,
    template: &AccessTemplate,
    access: &ExecAccess,
    target: &Target,
    offer: exec::Offer,
    approved_by: Vec<String>,
    lent_for: SignedDuration,
    now: Timestamp,
) -> Grant {
    let uid = request.uid().unwrap_or_default();
    let namespace = request.namespace().unwrap_or_default();
    let name = grant_name(SessionKind::Pods, &uid);
    let approved_at = whole_second(now);
    let expires_at = later(approved_at, lent_for);
    let spec = GrantSpec {
        holder: Holder {
            username: request.spec.requester.username.clone(),
            uid: request.spec.requester.uid.clone(),
        },
        request: RequestRef {
            kind: "AccessRequest".to_owned(),
            namespace: namespace.clone(),
            name: request.name_any(),
            uid,
        },
        reason: request.spec.reason.clone(),
        account: account_name(&name, expires_at),
        approved_at: Time(approved_at),
        expires_at: Time(expires_at),
        access: vec![NamespaceAccess { namespace: namespace.clone(), rules: offer.rules }],
        pods: vec![PodRef {
            namespace,
            name: target.pod.name.clone(),
            uid: target.uid.clone(),
            container: offer.container,
        }],
        granted: offer.words,
        terms: Terms {
            template: TemplateTerms { name: template.name_any(), pin: pin(template) },
            approved_by,
            history_ttl: template.spec.history_ttl.clone(),
            on_end: access.on_end,
        },
    };
    Grant::new(&name, spec)
}
