//! What stands in the columns of each kind's table.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use oz_shared::Request as _;
use oz_shared::delegation::DelegationPhase;
use oz_shared::grant::{GrantSpec, NO_SET_END};
use oz_shared::namespace_class::Prefix;
use oz_shared::request::{Decision, Verdict};
use oz_shared::template::{AccessTemplateSpec, ReasonPolicy, WorkloadRef};
use oz_shared::{
    AccessRequest, AccessTemplate, Delegation, Federation, Grant, NamespaceClass, NamespaceRequest, Phase,
    conditions,
};

use crate::duration::human;
use crate::kube::Asked;
use crate::target::Kind;

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
        let mut cells = vec![
            self.name_any(),
            lends(spec),
            spec.duration.default.clone(),
            spec.duration.max.clone(),
            spec.approvals.to_string(),
            reason(spec.reason).to_owned(),
        ];
        if wide {
            cells.extend([kind(spec).to_owned(), of(spec)]);
            cells.push(age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now));
        }
        cells.push(spec.description.clone());
        cells
    }
}

/// Must a request say why?
fn reason(policy: ReasonPolicy) -> &'static str {
    match policy {
        ReasonPolicy::Required => "required",
        ReasonPolicy::Optional => "optional",
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

/// What a grant lends: the kind, and of namespaces the names.
fn lent(grant: &Grant) -> String {
    let spec = &grant.spec;
    if spec.delegated.is_some() {
        return "delegation".to_owned();
    }
    let Some(terms) = &spec.namespaces else {
        return match (&spec.copy, &spec.debug, &spec.role) {
            (Some(_), ..) => "shell",
            (_, Some(_), _) => "debug",
            (.., Some(_)) => "role",
            _ => "exec",
        }
        .to_owned();
    };
    let made: Vec<&str> = grant.status.iter().flat_map(|s| &s.namespaces).map(|n| n.name.as_str()).collect();
    format!("namespaces {}", if made.is_empty() { terms.names.join(",") } else { made.join(",") })
}

/// Of what it is.
fn held(grant: &GrantSpec) -> String {
    if let Some(delegated) = &grant.delegated {
        return delegated.origin.clone();
    }
    match (&grant.copy, &grant.role, &grant.namespaces) {
        (Some(copy), ..) => workload(&copy.shell.workload),
        (_, Some(everywhere), Some(namespaces)) => {
            format!("ClusterRole/{}, everywhere ClusterRole/{}", namespaces.role, everywhere.name)
        }
        (_, Some(role), _) => format!("{}/{}", role.kind.as_str(), role.name),
        (.., Some(namespaces)) => format!("ClusterRole/{}", namespaces.role),
        _ => grant.pods.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(","),
    }
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
            let pod = if status.pod.is_empty() { self.spec.pod.clone() } else { status.pod };
            cells.extend([self.spec.duration.clone(), pod, decided(&self.spec.decisions), status.grant]);
        }
        cells
    }
}

impl Listed for NamespaceRequest {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["NAME", "CLASS", "NAMESPACES", "REQUESTER", "PHASE", "ENDS", "AGE", "REASON"];
        if wide {
            headers.extend(["DURATION", "OWNERS", "DECISIONS", "GRANT"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        let made: Vec<&str> = status.namespaces.iter().map(|n| n.name.as_str()).collect();
        let mut cells = vec![
            self.name_any(),
            self.spec.class.clone(),
            if made.is_empty() { self.spec.namespaces.join(",") } else { made.join(",") },
            self.spec.requester.username.clone(),
            self.phase().as_str().to_owned(),
            ends(self, now),
            age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
            self.spec.reason.clone(),
        ];
        if wide {
            let owners = self.spec.owners.iter().map(ToString::to_string);
            cells.extend([
                self.spec.duration.clone(),
                owners.collect::<Vec<_>>().join(","),
                decided(&self.spec.decisions),
                status.grant,
            ]);
        }
        cells
    }
}

impl Listed for Federation {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers =
            vec!["NAME", "ORGANIZATION", "CLUSTER", "CLASS", "NAMESPACE", "PHASE", "ENDS", "AGE", "REASON"];
        if wide {
            headers.extend(["REQUESTER", "FURTHER", "CLUSTER-ROLE", "DURATION", "DECISIONS", "GRANT"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let (spec, status) = (&self.spec, self.status.clone().unwrap_or_default());
        let made = status.namespaces.first().map_or(&spec.namespace, |n| &n.name);
        let mut cells = vec![
            self.name_any(),
            spec.organization.clone(),
            spec.cluster.clone(),
            spec.class.clone(),
            made.clone(),
            self.phase().as_str().to_owned(),
            ends(self, now),
            age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
            spec.reason.clone(),
        ];
        if wide {
            cells.extend([
                spec.requester.username.clone(),
                spec.further.to_string(),
                spec.cluster_role.clone(),
                spec.duration.clone(),
                decided(&spec.decisions),
                status.grant,
            ]);
        }
        cells
    }
}

impl Listed for Delegation {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers =
            vec!["NAME", "FROM", "TO", "REQUESTER", "PHASE", "ITERATION", "NEXT", "AGE", "REASON"];
        if wide {
            headers.extend(["SCOPE", "BINDINGS", "GRANT"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        let mut cells = vec![
            self.name_any(),
            self.origin_words(),
            self.destination_words().join(","),
            self.spec.requester.username.clone(),
            self.phase().as_str().to_owned(),
            format!("{}/{}", status.iteration, self.spec.repeat),
            turns(self, now),
            age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
            self.spec.reason.clone(),
        ];
        if wide {
            cells.extend([
                format!("{:?}", self.spec.scope),
                status.bindings.len().to_string(),
                status.grant.map(|g| g.name).unwrap_or_default(),
            ]);
        }
        cells
    }
}

/// When a delegation begins or ends next, as far as times say so.
fn turns(delegation: &Delegation, now: Timestamp) -> String {
    let Some(status) = &delegation.status else { return "-".to_owned() };
    let (triggers, armed) = match delegation.phase() {
        DelegationPhase::Waiting => (&delegation.spec.triggers, &status.triggers),
        DelegationPhase::Active => (&delegation.spec.deletion_triggers, &status.deletion_triggers),
        _ => {
            let ended = status.ended_at.as_ref().map(|t| human(now.duration_since(t.0)));
            return ended.map_or_else(|| "ended".to_owned(), |since| format!("{since} ago"));
        }
    };
    let times: Option<Vec<Timestamp>> = triggers
        .iter()
        .zip(armed)
        .filter(|(trigger, _)| trigger.event.is_none())
        .map(|(_, armed)| armed.at.as_ref().map(|at| at.0))
        .collect();
    match times.map(|times| times.into_iter().max()) {
        None => "never".to_owned(),
        Some(Some(at)) if at > now => format!("in {}", human(at.duration_since(now))),
        Some(_) if triggers.iter().any(|t| t.event.is_some()) => "on cue".to_owned(),
        Some(Some(_)) => "now".to_owned(),
        Some(None) => "-".to_owned(),
    }
}

impl Listed for NamespaceClass {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["NAME", "NAMES", "ROLE", "DEFAULT", "MAX", "APPROVALS", "REASON"];
        headers.extend(if wide {
            &["MAX-LIVE", "POD-SECURITY", "CONTENTS", "AGE", "DESCRIPTION"][..]
        } else {
            &["DESCRIPTION"][..]
        });
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let spec = &self.spec;
        let prefix = match spec.names.prefix {
            Prefix::None => "",
            Prefix::Requester => "REQUESTER- ",
            Prefix::Partner => "PARTNER- ",
        };
        let mut cells = vec![
            self.name_any(),
            format!("{prefix}{}", spec.names.pattern),
            spec.role.clone(),
            spec.ttl.default.clone(),
            spec.ttl.max.clone(),
            spec.approvals.to_string(),
            reason(spec.reason).to_owned(),
        ];
        if wide {
            let contents = spec.resources.iter().map(|r| format!("{:?}/{}", r.kind, r.name));
            cells.extend([
                spec.max_live.to_string(),
                spec.pod_security.as_str().to_owned(),
                contents.collect::<Vec<_>>().join(","),
                age(self.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
            ]);
        }
        cells.push(spec.description.clone());
        cells
    }
}

/// Who said yes and who no: `+bob,-dave`.
fn decided(decisions: &[Decision]) -> String {
    let one = |d: &Decision| match d.decision {
        Verdict::Approve => format!("+{}", d.by),
        Verdict::Deny => format!("-{}", d.by),
    };
    decisions.iter().map(one).collect::<Vec<_>>().join(",")
}

impl Listed for Grant {
    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers =
            vec!["HOLDER", "NAMESPACE", "REQUEST", "TEMPLATE", "LENDS", "ENDS", "READY", "REASON"];
        if wide {
            headers.extend(["NAME", "OF", "ACCOUNT", "APPROVED-BY", "GRANTED"]);
        }
        headers
    }

    fn cells(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let spec = &self.spec;
        let conditions = self.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        let mut cells = vec![
            spec.holder.username.clone(),
            spec.request.namespace.clone(),
            spec.request
                .kind
                .parse()
                .map_or_else(|_| spec.request.name.clone(), |k: Kind| k.target(&spec.request.name)),
            spec.terms.template.name.clone(),
            lent(self),
            match self.deadline() {
                end if end == NO_SET_END => "on cue".to_owned(),
                end => format!("in {}", human(end.duration_since(now))),
            },
            match conditions::get(conditions, conditions::READY) {
                Some(ready) => ready.status.clone(),
                // Its delegation says it.
                None if spec.delegated.is_some() => "-".to_owned(),
                None => String::new(),
            },
            spec.reason.clone(),
        ];
        if wide {
            cells.push(self.name_any());
            cells.push(held(spec));
            cells.extend([spec.account.clone(), spec.terms.approved_by.join(","), spec.granted.join("; ")]);
        }
        cells
    }
}

/// When it ends, or that it has ended.
pub(crate) fn ends<R: Asked>(request: &R, now: Timestamp) -> String {
    let status = request.status();
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
