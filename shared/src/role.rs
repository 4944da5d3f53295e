//! What a `role` template lends, in words. Pure: the controller shows by it what it binds, and the CLI what would be
//! bound; and RBAC rules read alike wherever they are told.

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::lasting::lasting;
use crate::plain;
use crate::template::{Identity, RoleAccess};

/// The most rules of a role that are told one by one.
const MAX_RULES: usize = 40;
/// The most of one rule, or of one way to outlast a loan, that is told, in characters: whole classes of kinds can be in it.
const MAX_WORDS: usize = 1024;

/// The role can make access that outlasts the loan, and its template does not allow that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {name} can make access that outlasts the loan, and the template does not allow that: {}",
    .ways.join("; ")
)]
pub struct Lasts {
    kind: &'static str,
    name: String,
    ways: Vec<String>,
}

/// What is lent to `requester` with a role that holds these rules.
///
/// # Errors
/// It can make access that outlasts the loan, and the template does not allow that.
pub fn offer(
    access: &RoleAccess,
    namespace: &str,
    requester: &str,
    rules: &[PolicyRule],
) -> Result<Vec<String>, Lasts> {
    let (kind, name) = (access.kind.as_str(), access.name.clone());
    let ways = lasting(rules);
    if !ways.is_empty() && !access.allow_lasting {
        return Err(Lasts { kind, name, ways });
    }
    let mut words = vec![format!("{kind} {name} in namespace {namespace}, as it stands:")];
    words.extend(rules_in_words(rules));
    let lasts = |way: &String| plain::cut(way, MAX_WORDS);
    words.extend(ways.iter().map(|way| format!("it can make access that outlasts the loan: {}", lasts(way))));
    if access.identity == Identity::Requester {
        words.push(format!("it is bound to {requester} by name: its end depends on Oz's controller"));
    }
    Ok(words)
}

/// Rules as a person reads them, a line each: as many as can be shown, and how many more there are.
#[must_use]
pub fn rules_in_words(rules: &[PolicyRule]) -> Vec<String> {
    let shown = rules.iter().take(MAX_RULES).map(|r| format!("  {}", plain::cut(&in_words(r), MAX_WORDS)));
    let more = rules.len().checked_sub(MAX_RULES).filter(|more| *more > 0);
    shown.chain(more.map(|more| format!("  and {more} more rules"))).collect()
}

/// A rule as a person reads it: `get,list on pods, deployments.apps named api`. Kinds are named as kubectl names them, with
/// their group unless it is the core's.
#[must_use]
pub fn in_words(rule: &PolicyRule) -> String {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let resources = list(&rule.resources);
    let mut on: Vec<String> = match rule.api_groups.as_deref().unwrap_or_default() {
        [] => resources,
        groups => groups.iter().flat_map(|group| resources.iter().map(|r| qualified(r, group))).collect(),
    };
    on.extend(list(&rule.non_resource_urls));
    let names = list(&rule.resource_names);
    let named = if names.is_empty() { String::new() } else { format!(" named {}", names.join(", ")) };
    format!("{} on {}{named}", rule.verbs.join(","), on.join(", "))
}

fn qualified(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(value: Value) -> Vec<PolicyRule> {
        serde_json::from_value(value).unwrap()
    }

    fn access(changes: &[(&str, Value)]) -> RoleAccess {
        let mut access = json!({"kind": "ClusterRole", "name": "seeing"});
        changes.iter().for_each(|(key, value)| access[*key] = value.clone());
        serde_json::from_value(access).unwrap()
    }

    #[test]
    fn rules_read_as_sentences() {
        let rules = rules(json!([
            {"apiGroups": [""], "resources": ["pods/exec", "pods/attach"], "verbs": ["get", "create"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"], "resourceNames": ["api", "db"]},
            {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["list"]},
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]},
            {"resources": ["unknown"], "verbs": ["get"]},
        ]));
        assert_eq!(
            rules.iter().map(in_words).collect::<Vec<_>>(),
            [
                "get,create on pods/exec, pods/attach",
                "get on deployments.apps named api, db",
                "list on pods, deployments, pods.apps, deployments.apps",
                "* on *.*",
                "get on /metrics, /healthz/*",
                "get on unknown",
            ]
        );
    }

    #[test]
    fn each_rule_and_whose_it_becomes() {
        let rules = rules(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
        let words = ["ClusterRole seeing in namespace shop, as it stands:", "  get on pods"];
        assert_eq!(offer(&access(&[]), "shop", "alice", &rules).unwrap(), words);
        let by_name = offer(&access(&[("identity", json!("Requester"))]), "shop", "alice", &rules).unwrap();
        assert_eq!(by_name[..2], words);
        assert_eq!(by_name[2..], ["it is bound to alice by name: its end depends on Oz's controller"]);
    }

    #[test]
    fn what_outlasts_the_loan_is_refused_or_told() {
        let rules = rules(json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]));
        let refused = offer(&access(&[]), "shop", "alice", &rules).unwrap_err().to_string();
        assert!(
            refused.starts_with("ClusterRole seeing can make access that outlasts the loan"),
            "{refused}"
        );
        assert!(refused.ends_with("secrets hold credentials that stay valid (get secrets)"), "{refused}");
        let words = offer(&access(&[("allowLasting", json!(true))]), "shop", "alice", &rules).unwrap();
        assert!(words[2].starts_with("it can make access that outlasts the loan: secrets hold"), "{words:?}");
    }

    #[test]
    fn however_large_it_is_it_can_be_shown() {
        let many = |n: usize| (0..n).map(|n| format!("things{n}")).collect::<Vec<_>>();
        let rule = json!({"apiGroups": ["example.com"], "resources": many(500), "verbs": ["create"]});
        let rules = rules(json!(vec![rule; 200]));
        let words = offer(&access(&[("allowLasting", json!(true))]), "shop", "alice", &rules).unwrap();
        assert_eq!(words[MAX_RULES + 1], "  and 160 more rules");
        assert!(plain::words(words).is_ok());
    }
}
