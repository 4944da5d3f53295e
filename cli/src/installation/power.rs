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

/// Verbs that make or change something.
const WRITES: [&str; 3] = ["create", "update", "patch"];
/// What runs pods for whoever writes it.
const WORKLOADS: [&str; 9] = [
    "pods",
    "replicationcontrollers",
    "podtemplates",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
];
/// What says who may do what.
const RBAC: [&str; 4] = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"];

/// What of these rules gives more than the time it is lent for; empty where nothing does.
pub(crate) fn lasting(rules: &[PolicyRule]) -> Vec<String> {
    let mut found: Vec<String> = rules.iter().flat_map(lasting_in).collect();
    found.sort();
    found.dedup();
    found
}

fn lasting_in(rule: &PolicyRule) -> Vec<String> {
    let has = |list: &Option<Vec<String>>, what: &str| list.iter().flatten().any(|x| x == what);
    let verb = |verbs: &[&str]| rule.verbs.iter().any(|v| verbs.contains(&v.as_str()));
    let mut found = Vec::new();
    if rule.verbs.iter().any(|v| v == "*") || has(&rule.api_groups, "*") || has(&rule.resources, "*") {
        found.push(format!("a wildcard: {}", line(rule)));
    }
    if verb(&["impersonate", "escalate", "bind"]) {
        found.push(format!("acting or granting beyond one's own rights: {}", line(rule)));
    }
    for resource in rule.resources.iter().flatten() {
        let why = match resource.as_str() {
            "secrets" => "Secrets hold tokens and passwords",
            "serviceaccounts/token" if verb(&["create"]) => "tokens of other accounts",
            "nodes/proxy" => "everything on a node, past the API server",
            "pods/ephemeralcontainers" if verb(&["update", "patch"]) => {
                "containers that stay, with any Secret in them"
            }
            "certificatesigningrequests" | "certificatesigningrequests/approval" | "signers" => {
                "certificates that cannot be revoked"
            }
            "validatingadmissionpolicies"
            | "validatingadmissionpolicybindings"
            | "mutatingadmissionpolicies"
            | "mutatingadmissionpolicybindings"
            | "validatingwebhookconfigurations"
            | "mutatingwebhookconfigurations"
                if verb(&WRITES) || verb(&["delete"]) =>
            {
                "the gate itself"
            }
            r if RBAC.contains(&r) && verb(&WRITES) => "rights of one's own making",
            r if WORKLOADS.contains(&r) && verb(&WRITES) => "pods that run on, with any Secret in them",
            _ => continue,
        };
        found.push(format!("{why}: {} {resource}", rule.verbs.join(", ")));
    }
    found
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
    fn each_lasting_power_is_found() {
        for (group, resource, verb) in [
            ("", "secrets", "get"),
            ("", "pods", "create"),
            ("apps", "deployments", "patch"),
            ("batch", "cronjobs", "update"),
            ("rbac.authorization.k8s.io", "rolebindings", "create"),
            ("", "serviceaccounts/token", "create"),
            ("", "serviceaccounts", "impersonate"),
            ("", "nodes/proxy", "get"),
            ("", "pods/ephemeralcontainers", "patch"),
            ("*", "pods", "get"),
            ("", "*", "get"),
            ("", "configmaps", "*"),
            ("rbac.authorization.k8s.io", "roles", "escalate"),
            ("certificates.k8s.io", "certificatesigningrequests", "create"),
        ] {
            let rule = rules(json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]));
            assert_eq!(lasting(&rule).len(), 1, "{verb} {resource}: {:?}", lasting(&rule));
        }
        let harmless = rules(
            json!([{"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "delete"]}]),
        );
        assert_eq!(lasting(&harmless), [""; 0]);
    }
}
