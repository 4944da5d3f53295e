//! RBAC rules in words, and which of them outlast a loan: whoever is lent such a right for an hour can make himself one for
//! a year.

use k8s_openapi::api::rbac::v1::PolicyRule;

/// One line a rule: `get, create pods/exec, pods/attach`.
pub(crate) fn in_words(rules: &[PolicyRule]) -> Vec<String> {
    rules.iter().map(line).collect()
}

fn line(rule: &PolicyRule) -> String {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let urls = list(&rule.non_resource_urls);
    let groups = list(&rule.api_groups);
    let mut whats: Vec<String> = Vec::new();
    for group in &groups {
        for resource in list(&rule.resources) {
            whats.push(if group.is_empty() { resource } else { format!("{resource}.{group}") });
        }
    }
    whats.extend(urls);
    let names = list(&rule.resource_names);
    let named = if names.is_empty() { String::new() } else { format!(" named {}", names.join(", ")) };
    format!("{} {}{named}", rule.verbs.join(", "), whats.join(", "))
}

/// What of these rules gives more than the time it is lent for, as the controller judges the roles that it lends; empty
/// where nothing does. The connections that Oz lends are left out: one by one, each for a named pod, and a policy asks.
pub(crate) fn lasting(rules: &[PolicyRule]) -> Vec<String> {
    let others: Vec<PolicyRule> = rules.iter().filter(|rule| !is_by_name(rule)).cloned().collect();
    oz_shared::lasting::lasting(&others)
}

fn is_by_name(rule: &PolicyRule) -> bool {
    let only = |list: &Option<Vec<String>>, allowed: &[&str]| {
        list.as_ref().is_some_and(|list| list.iter().all(|x| allowed.contains(&x.as_str())))
    };
    (only(&rule.api_groups, &[""])
        && only(&rule.resources, &["pods/exec", "pods/attach", "pods/portforward"]))
        || (only(&rule.api_groups, &[oz_shared::GROUP]) && only(&rule.resources, &["connections"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(value: Value) -> Vec<PolicyRule> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rules_read_as_sentences() {
        let rules = rules(json!([
            {"apiGroups": [""], "resources": ["pods/exec", "pods/attach"], "verbs": ["get", "create"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"], "resourceNames": ["api"]},
        ]));
        assert_eq!(
            in_words(&rules),
            ["get, create pods/exec, pods/attach", "get deployments.apps named api"]
        );
    }

    #[test]
    fn the_connections_that_are_lent_by_name_are_left_out_alone() {
        let lent = rules(json!([
            {"apiGroups": [""], "resources": ["pods/exec", "pods/attach", "pods/portforward"], "verbs": ["get", "create"]},
            {"apiGroups": ["ozaccess.io"], "resources": ["connections"], "verbs": ["exec", "attach", "portforward"]},
        ]));
        assert_eq!(lasting(&lent), [""; 0]);
        for more in [
            json!([{"apiGroups": [""], "resources": ["pods/exec", "pods/proxy"], "verbs": ["get"]}]),
            json!([{"apiGroups": ["ozaccess.io"], "resources": ["connections", "sessions"], "verbs": ["mint"]}]),
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
        ] {
            assert!(!lasting(&rules(more.clone())).is_empty(), "{more}");
        }
    }
}
