//! What a request comes to under its policy as that is now: is it within bounds, who has agreed, and the Grant that lends
//! what is offered.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use oz_shared::grant::{Holder, NamespaceAccess, RequestRef, TemplateTerms, Terms};
use oz_shared::names::{account_name, grant_name};
use oz_shared::request::{Decision, TemplatePin, Verdict};
use oz_shared::template::ReasonPolicy;
use oz_shared::{Grant, GrantSpec, Policy, duration};

use super::kind::{Kind, Offer, Times};
use crate::reconcile::later;

/// The controller's own look at what admission has checked at creation, against the template as it is now.
pub(super) fn bounds<K: Kind>(
    request: &K,
    policy: &K::Policy,
) -> Result<SignedDuration, (&'static str, String)> {
    let terms = policy.consent();
    let unreadable = |e: duration::DurationError| ("DurationOutOfBounds", e.to_string());
    let max = duration::parse(&terms.duration.max).map_err(unreadable)?;
    let wanted = if request.duration().is_empty() { &terms.duration.default } else { request.duration() };
    let wanted = duration::parse(wanted).map_err(unreadable)?;
    if wanted > max {
        let message = format!(
            "{} lends for at most {}, not {}",
            request.policy(),
            terms.duration.max,
            request.duration()
        );
        return Err(("DurationOutOfBounds", message));
    }
    if terms.reason == ReasonPolicy::Required && request.reason().trim().is_empty() {
        return Err(("ReasonRequired", format!("{} asks for a reason", request.policy())));
    }
    Ok(wanted)
}

/// Who approved, or the approval that was given to another state of the policy. What admission holds about deciders is
/// looked at again: it holds nothing where the policy is gone for a moment.
pub(super) fn approvals<'a, K: Kind>(
    request: &'a K,
    policy: &K::Policy,
) -> Result<Vec<String>, &'a Decision> {
    let pin = pin(policy);
    let mut by = Vec::new();
    for decision in request.decisions().iter().filter(|d| d.decision == Verdict::Approve) {
        if decision.template != pin {
            return Err(decision);
        }
        let is_account = decision.by.starts_with("system:serviceaccount:");
        let counts = decision.by != request.requester().username
            && Some(&decision.request) == request.meta().uid.as_ref()
            && (!is_account || policy.consent().approvers.service_accounts)
            && !by.contains(&decision.by);
        if counts {
            by.push(decision.by.clone());
        }
    }
    Ok(by)
}

pub(super) fn pin(policy: &impl Policy) -> TemplatePin {
    let meta = policy.meta();
    TemplatePin { uid: meta.uid.clone().unwrap_or_default(), generation: meta.generation.unwrap_or_default() }
}

/// The Grant that lends `offer` from now on, or from when its pod runs.
pub(super) fn grant<K: Kind>(
    request: &K,
    policy: &K::Policy,
    offer: Offer,
    approved_by: Vec<String>,
    times: &Times,
) -> Grant {
    let uid = request.uid().unwrap_or_default();
    let namespace = request.namespace().unwrap_or_default();
    let lent = later(offer.start_by.unwrap_or(times.approved_at), times.lent_for);
    let expires_at = offer.expires_at.unwrap_or(lent);
    let requester = request.requester();
    let rules = Some(offer.rules).filter(|rules| !rules.is_empty());
    let spec = GrantSpec {
        holder: Holder { username: requester.username.clone(), uid: requester.uid.clone() },
        request: RequestRef {
            kind: K::NAME.to_owned(),
            namespace: namespace.clone(),
            name: request.name_any(),
            uid: uid.clone(),
        },
        parent: offer.parent,
        reason: request.reason().to_owned(),
        account: offer.session.map(|kind| account_name(kind, &uid, expires_at)).unwrap_or_default(),
        approved_at: Time(times.approved_at),
        expires_at: Time(expires_at),
        access: rules.map(|rules| NamespaceAccess { namespace, rules }).into_iter().collect(),
        pods: offer.pods,
        copy: offer.copy,
        debug: offer.debug,
        role: offer.role,
        namespaces: offer.namespaces,
        delegated: None,
        granted: offer.words,
        terms: Terms {
            template: TemplateTerms { name: policy.name_any(), pin: pin(policy) },
            approved_by,
            history_ttl: policy.consent().history_ttl.to_owned(),
            on_end: offer.on_end,
        },
    };
    Grant::new(&grant_name(&uid), spec)
}
