//! What a request comes to under its template as it is now: is it within bounds, who has agreed, what would be lent, and
//! the Grant that lends it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use oz_shared::conditions::whole_second;
use oz_shared::copy::{self, Asked, Copied};
use oz_shared::grant::{
    CopyTerms, DebugTerms, Holder, NamespaceAccess, PodRef, RequestRef, RoleTerms, TemplateTerms, Terms,
};
use oz_shared::names::{GRANT_LABEL, SessionKind, account_name, copy_name, grant_name};
use oz_shared::request::{Decision, TemplatePin, Verdict};
use oz_shared::template::{DebugAccess, ExecAccess, Identity, OnEnd, ReasonPolicy, RoleAccess, ShellAccess};
use oz_shared::{AccessRequest, AccessTemplate, Grant, GrantSpec, debug, duration, exec, plain, role};
use serde_json::{Value, json};

use super::observe::Found;
use super::roles::LentRole;
use super::targets::{NoTarget, Target};
use super::workloads::Workload;
use crate::reconcile::later;

/// The most debugging containers that run in one pod: none of them can be taken out again.
const MAX_DEBUGGERS: usize = 8;

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

/// Why nothing can be lent.
pub(super) enum NoOffer {
    /// It may be there later, or elsewhere.
    Absent(&'static str, String),
    /// Waiting does not help.
    Unusable(&'static str, String),
}

/// What would be lent, whatever the template's kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offer {
    /// In words.
    pub(super) words: Vec<String>,
    /// Tells it from what it may become; empty where the template says it all.
    pub(super) digest: String,
    /// The rules of the session's own Role; none where a role of somebody else's is bound.
    rules: Vec<PolicyRule>,
    /// The session's kind; none where the holder acts as himself.
    session: Option<SessionKind>,
    pods: Vec<PodRef>,
    copy: Option<(Copied, String)>,
    debug: Option<Value>,
    role: Option<RoleTerms>,
    on_end: OnEnd,
}

impl Offer {
    fn of(words: Vec<String>, rules: Vec<PolicyRule>) -> Self {
        Self {
            words,
            digest: String::new(),
            rules,
            session: Some(SessionKind::Pods),
            pods: Vec::new(),
            copy: None,
            debug: None,
            role: None,
            on_end: OnEnd::Leave,
        }
    }
}

/// What the template offers to this request, of what was found.
pub(super) fn offer(
    request: &AccessRequest,
    template: &AccessTemplate,
    found: &Result<Found, NoTarget>,
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
    let offer = match (found, &spec.exec, &spec.debug, &spec.shell, &spec.role) {
        (Found::Pod(target), Some(access), ..) => entering(request, access, target),
        (Found::Pod(target), None, Some(access), ..) => debugging(request, access, target),
        (Found::Workload(workload), _, _, Some(shell), _) => copying(request, shell, workload),
        (Found::Role(role), .., Some(access)) => binding(request, access, role),
        _ => Err(NoOffer::Unusable("TemplateUnusable", NoTarget::NotNeeded.to_string())),
    }?;
    match plain::words(offer.words) {
        Ok(words) => Ok(Offer { words, ..offer }),
        Err(error) => Err(NoOffer::Unusable("TooMuchToShow", error.to_string())),
    }
}

fn entering(request: &AccessRequest, access: &ExecAccess, target: &Target) -> Result<Offer, NoOffer> {
    let misfit = |m: exec::Misfit| NoOffer::Unusable("ContainerNotOffered", m.to_string());
    let offer = exec::offer(access, &target.pod, &request.spec.container).map_err(misfit)?;
    let pods = vec![pod(request, target, offer.container)];
    Ok(Offer { pods, on_end: access.on_end, ..Offer::of(offer.words, offer.rules) })
}

fn debugging(request: &AccessRequest, access: &DebugAccess, target: &Target) -> Result<Offer, NoOffer> {
    if target.debuggers >= MAX_DEBUGGERS {
        let message =
            format!("pod {} has {} debugging containers already", target.pod.name, target.debuggers);
        return Err(NoOffer::Unusable("TooManyDebuggers", message));
    }
    let misfit = |m: debug::Misfit| NoOffer::Unusable("DebugNotOffered", m.to_string());
    let name = grant_name(&request.uid().unwrap_or_default());
    let container = debug::container(access, &target.pod, &name, &request.spec.image).map_err(misfit)?;
    let offer = debug::offer(access, &target.pod, &container).map_err(misfit)?;
    let pods = vec![pod(request, target, name)];
    let digest = plain::digest(&container);
    Ok(Offer {
        digest,
        pods,
        debug: Some(container),
        on_end: access.on_end,
        ..Offer::of(offer.words, offer.rules)
    })
}

fn copying(request: &AccessRequest, shell: &ShellAccess, workload: &Workload) -> Result<Offer, NoOffer> {
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
    Ok(Offer {
        digest: copied.digest(),
        copy: Some((copied, source.uid.clone())),
        ..Offer::of(offer.words, offer.rules)
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
    Ok(Offer { digest, session, role: Some(role), ..Offer::of(words, Vec::new()) })
}

fn pod(request: &AccessRequest, target: &Target, container: String) -> PodRef {
    PodRef {
        namespace: request.namespace().unwrap_or_default(),
        name: target.pod.name.clone(),
        uid: target.uid.clone(),
        container,
    }
}

/// The Grant that lends `offer` for `lent_for` from now on, or from when its pod runs.
pub(super) fn grant(
    request: &AccessRequest,
    template: &AccessTemplate,
    offer: Offer,
    approved_by: Vec<String>,
    lent_for: SignedDuration,
    now: Timestamp,
) -> Grant {
    let uid = request.uid().unwrap_or_default();
    let namespace = request.namespace().unwrap_or_default();
    let approved_at = whole_second(now);
    let starting = offer.copy.is_some() || offer.debug.is_some();
    let start_timeout = duration::parse(&template.spec.start_timeout).unwrap_or(SignedDuration::ZERO);
    let start_by = later(approved_at, start_timeout);
    let expires_at = later(if starting { start_by } else { approved_at }, lent_for);
    let copy = offer.copy.zip(template.spec.shell.clone()).map(|((copied, workload_uid), shell)| CopyTerms {
        namespace: namespace.clone(),
        name: copy_name(&shell.workload.name, &uid),
        digest: copied.digest(),
        container: copied.container,
        workload_uid,
        seconds: lent_for.as_secs(),
        start_by: Time(start_by),
        asked: Asked::by(&request.spec),
        shell,
    });
    let rules = Some(offer.rules).filter(|rules| !rules.is_empty());
    let spec = GrantSpec {
        holder: Holder {
            username: request.spec.requester.username.clone(),
            uid: request.spec.requester.uid.clone(),
        },
        request: RequestRef {
            kind: "AccessRequest".to_owned(),
            namespace: namespace.clone(),
            name: request.name_any(),
            uid: uid.clone(),
        },
        reason: request.spec.reason.clone(),
        account: offer.session.map(|kind| account_name(kind, &uid, expires_at)).unwrap_or_default(),
        approved_at: Time(approved_at),
        expires_at: Time(expires_at),
        access: rules.map(|rules| NamespaceAccess { namespace, rules }).into_iter().collect(),
        pods: offer.pods,
        copy,
        debug: offer.debug.map(|container| DebugTerms {
            seconds: lent_for.as_secs(),
            start_by: Time(start_by),
            container,
        }),
        role: offer.role,
        granted: offer.words,
        terms: Terms {
            template: TemplateTerms { name: template.name_any(), pin: pin(template) },
            approved_by,
            history_ttl: template.spec.history_ttl.clone(),
            on_end: offer.on_end,
        },
    };
    Grant::new(&grant_name(&uid), spec)
}
