//! What stands in the columns of each kind's table.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use oz_shared::Request as _;
use oz_shared::grant::GrantSpec;
use oz_shared::request::Verdict;
use oz_shared::template::{AccessTemplateSpec, ReasonPolicy, WorkloadRef};
use oz_shared::{AccessRequest, AccessTemplate, Grant, Phase, conditions};

use crate::duration::human;

/// A kind that can be listed.
pub(crate) trait Listed {
    /// The headers, without the namespace.
    fn headers(wide: bool) -> Vec<&'static str>;
    /// The cells under them.
    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String>;
}

impl Listed for AccessTemplate {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["NAME", "LENDS", "DEFAULT", "MAX", "APPROVALS", "REASON"];
        headers.extend(if wide { &["KIND", "OF", "AGE", "DESCRIPTION"][..] } else { &["DESCRIPTION"][..] });
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let spec = &self.spec;
        let reason = match spec.reason {
            ReasonPolicy::Required => "required",
            ReasonPolicy::Optional => "optional",
        };
        let mut cells = vec![
            self.name_any(),
            lends(spec),
            spec.duration.default.clone(),
            spec.duration.max.clone(),
            spec.approvals.to_string(),
            reason.to_owned(),
        ];
        if wide {
            cells.extend([kind(spec).to_owned(), of(spec)]);
            cells.push(age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now));
        }
        cells.push(spec.description.clone());
        cells
    }
}

/// What a template lends, in a word or two.
pub(crate) fn lends(spec: &AccessTemplateSpec) -> String {
    match &spec.exec {
        Some(exec) => exec.connections.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(","),
        None => kind(spec).to_owned(),
    }
}

/// The field of a template that says what it lends.
fn kind(spec: &AccessTemplateSpec) -> &'static str {
    match (&spec.exec, &spec.shell, &spec.debug, &spec.role) {
        (Some(_), ..) => "exec",
        (_, Some(_), ..) => "shell",
        (_, _, Some(_), _) => "debug",
        (.., Some(_)) => "role",
        _ => "",
    }
}

/// Of what a template lends it: pods, a workload, or a role.
pub(crate) fn of(spec: &AccessTemplateSpec) -> String {
    match (spec.pods(), &spec.shell, &spec.role) {
        (Some(pods), ..) => crate::kube::source_in_words(pods),
        (_, Some(shell), _) => workload(&shell.workload),
        (.., Some(role)) => format!("{}/{}", role.kind.as_str(), role.name),
        _ => String::new(),
    }
}

fn workload(workload: &WorkloadRef) -> String {
    format!("{}/{}", workload.kind.as_str(), workload.name)
}

/// The kind of what a grant holds, and of what it is.
fn held(grant: &GrantSpec) -> [String; 2] {
    let pods = || grant.pods.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(",");
    let (kind, of) = match (&grant.copy, &grant.debug, &grant.role) {
        (Some(copy), ..) => ("shell", workload(&copy.shell.workload)),
        (_, Some(_), _) => ("debug", pods()),
        (.., Some(role)) => ("role", format!("{}/{}", role.kind.as_str(), role.name)),
        _ => ("exec", pods()),
    };
    [kind.to_owned(), of]
}

impl Listed for AccessRequest {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["NAME", "TEMPLATE", "REQUESTER", "PHASE", "ENDS", "AGE", "REASON"];
        if wide {
            headers.extend(["DURATION", "POD", "DECISIONS", "GRANT"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        let mut cells = vec![
            self.name_any(),
            self.spec.template.clone(),
            self.spec.requester.username.clone(),
            self.phase().as_str().to_owned(),
            ends(self, now),
            age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
            self.spec.reason.clone(),
        ];
        if wide {
            let decisions = self.spec.decisions.iter().map(|d| match d.decision {
                Verdict::Approve => format!("+{}", d.by),
                Verdict::Deny => format!("-{}", d.by),
            });
            let pod = if status.pod.is_empty() { self.spec.pod.clone() } else { status.pod };
            cells.extend([
                self.spec.duration.clone(),
                pod,
                decisions.collect::<Vec<_>>().join(","),
                status.grant,
            ]);
        }
        cells
    }
}

impl Listed for Grant {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["HOLDER", "NAMESPACE", "REQUEST", "TEMPLATE", "ENDS", "READY", "REASON"];
        if wide {
            headers.extend(["NAME", "KIND", "OF", "ACCOUNT", "APPROVED-BY", "GRANTED"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let spec = &self.spec;
        let conditions = self.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        let mut cells = vec![
            spec.holder.username.clone(),
            spec.request.namespace.clone(),
            spec.request.name.clone(),
            spec.terms.template.name.clone(),
            format!("in {}", human(self.deadline().duration_since(now))),
            conditions::get(conditions, conditions::READY).map(|c| c.status.clone()).unwrap_or_default(),
            spec.reason.clone(),
        ];
        if wide {
            cells.push(self.name_any());
            cells.extend(held(spec));
            cells.extend([spec.account.clone(), spec.terms.approved_by.join(","), spec.granted.join("; ")]);
        }
        cells
    }
}

/// When it ends, or that it has ended.
pub(crate) fn ends(request: &AccessRequest, now: Timestamp) -> String {
    let status = request.status.as_ref();
    match (request.phase(), status.and_then(|s| s.expires_at.as_ref())) {
        (Phase::Active | Phase::Approved, Some(end)) => {
            let left = end.0.duration_since(now);
            if left.is_positive() { format!("in {}", human(left)) } else { "now".to_owned() }
        }
        (phase, _) if phase.is_final() => match status.and_then(|s| s.ended_at.as_ref()) {
            Some(end) => format!("{} ago", human(now.duration_since(end.0))),
            None => "ended".to_owned(),
        },
        _ => "-".to_owned(),
    }
}

/// How long ago, as kubectl's AGE.
fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map(|t| human(now.duration_since(t).max(SignedDuration::ZERO))).unwrap_or_default()
}

/// An instant for people: to the second, in UTC.
pub(crate) fn stamp(t: Timestamp) -> String {
    t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
