//! What an iteration lends, as its grant and in words. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use oz_shared::conditions::whole_second;
use oz_shared::delegation::{DelegationStatus, Scope};
use oz_shared::grant::{DelegatedTerms, Holder, NO_SET_END, RequestRef, TemplateTerms, Terms};
use oz_shared::names::grant_name;
use oz_shared::plain::{clean, cut, some_of, words};
use oz_shared::request::TemplatePin;
use oz_shared::template::OnEnd;
use oz_shared::{Delegation, Grant, GrantSpec};

use super::mirror::Source;
use super::observe::Ground;
use super::triggers::all_by;

/// The most bindings of one delegation: what its status holds.
pub(super) const BINDINGS: usize = 256;
/// The most subjects of one binding.
pub(super) const SUBJECTS: usize = 512;

/// The grant that holds an iteration.
pub(super) fn grant_of(delegation: &Delegation, status: &DelegationStatus, now: Timestamp) -> Grant {
    let spec = &delegation.spec;
    let uid = delegation.uid().unwrap_or_default();
    let home = delegation.namespace().unwrap_or_default();
    let (origin, destinations) = (delegation.origin_words(), delegation.destination_words());
    let expires_at = all_by(&spec.deletion_triggers, &status.deletion_triggers).unwrap_or(NO_SET_END);
    let place = match (spec.scope, spec.origin.kind.is_role()) {
        (Scope::Namespace, _) => format!("in {home}"),
        (Scope::Cluster, true) => "in the whole cluster".to_owned(),
        (Scope::Cluster, false) => format!("in {home} and in the whole cluster"),
    };
    let said =
        line(&format!("what {origin} holds {place}, as it comes and goes, to {}", some_of(&destinations)));
    let grant = GrantSpec {
        holder: Holder { username: cut(&destinations.join(", "), 512), uid: String::new() },
        request: RequestRef {
            kind: super::NAME.to_owned(),
            namespace: home,
            name: delegation.name_any(),
            uid: uid.clone(),
        },
        parent: String::new(),
        reason: spec.reason.clone(),
        account: String::new(),
        approved_at: Time(whole_second(now)),
        expires_at: Time(expires_at),
        access: Vec::new(),
        pods: Vec::new(),
        copy: None,
        debug: None,
        role: None,
        namespaces: None,
        delegated: Some(DelegatedTerms { iteration: status.iteration, origin, destinations }),
        granted: words(vec![said]).unwrap_or_default(),
        terms: Terms {
            template: TemplateTerms {
                name: String::new(),
                pin: TemplatePin { uid: String::new(), generation: 0 },
            },
            approved_by: Vec::new(),
            history_ttl: spec.history_ttl.clone(),
            on_end: OnEnd::Leave,
        },
    };
    Grant::new(&grant_name(&uid), grant)
}

/// A line of what is lent, clean and cut: that one is too long keeps none of them from being shown.
fn line(text: &str) -> String {
    /// In no writing more than the 2,048 bytes that are stored.
    const CHARACTERS: usize = 500;
    cut(&clean(text), CHARACTERS)
}

/// What is lent, in words.
pub(super) fn granted(delegation: &Delegation, lent: &[&Source]) -> Vec<String> {
    /// Leaves room for what comes after them.
    const SHOWN: usize = 48;
    let mut all: Vec<String> = lent
        .iter()
        .take(SHOWN)
        .map(|source| {
            let place = if source.namespace.is_empty() { "the whole cluster" } else { &source.namespace };
            let of = source.of.as_ref().map(|(name, _)| format!(", by {name}")).unwrap_or_default();
            line(&format!("{}/{} in {place}{of}", source.role_kind, source.role))
        })
        .collect();
    if lent.len() > SHOWN {
        all.push(format!("and {} more", lent.len() - SHOWN));
    }
    if !lent.is_empty() {
        all.push(line(&format!("to {}", some_of(&delegation.destination_words()))));
    }
    words(all).unwrap_or_default()
}

/// Is all of it lent, and if not, why?
pub(super) fn stands(ground: &Ground, lent: usize, going: bool) -> (bool, &'static str, String) {
    if let Some(closed) = &ground.closed {
        return (false, "NotEnabled", closed.clone());
    }
    if let Some(missing) = &ground.missing {
        return (false, "OriginHoldsNothing", missing.clone());
    }
    if ground.subjects.is_empty() {
        return (false, "NoDestination", "none of its destinations is there".to_owned());
    }
    if !ground.beyond.is_empty() {
        let message = format!(
            "Oz may not lend {}: allow it by a ClusterRole with the label ozaccess.io/ceiling: \"true\" (in the whole cluster: ozaccess.io/ceiling-delegations) that has the verbs bind and lend (delegate-everywhere) on it",
            some_of(&ground.beyond)
        );
        return (false, "BeyondCeiling", message);
    }
    if lent < ground.sources.len() || ground.subjects.len() > SUBJECTS {
        let message = format!("at most {BINDINGS} bindings are followed, and {SUBJECTS} accounts bound");
        return (false, "TooMany", message);
    }
    if going {
        return (false, "HeldUp", "a binding that was taken back is held by a finalizer".to_owned());
    }
    (true, "Lent", String::new())
}
