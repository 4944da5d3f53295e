//! Which RBAC rules outlast a loan: whoever is lent such a right for an hour can make himself one for a year.

use k8s_openapi::api::rbac::v1::PolicyRule;

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
