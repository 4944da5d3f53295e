//! Which rights can make access that outlasts the loan of them: found before a role is lent.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

/// API group, resource and verbs by which something is made that stays: accounts, tokens, bindings, code that runs as
/// somebody, or the secrets of others. `*` stands for any verb that writes or connects.
const LASTING: &[(&str, &str, &[&str], &str)] = &[
    ("", "secrets", READ_OR_WRITE, "secrets hold credentials that stay valid"),
    ("", "serviceaccounts", WRITE, "accounts outlast the loan"),
    ("", "serviceaccounts", &["impersonate"], "who impersonates an account acts as it"),
    ("", "serviceaccounts/token", &["create"], "tokens outlast the loan"),
    ("", "users", &["impersonate"], "who impersonates a user acts as it"),
    ("", "groups", &["impersonate"], "who impersonates a group acts as it"),
    ("", "pods", WRITE, "a pod runs on, as any account of its namespace"),
    ("", "pods/ephemeralcontainers", WRITE, "a container runs on, as the pod's account"),
    ("", "pods/exec", CONNECT, "a process in a pod runs on, as the pod's account"),
    ("", "pods/attach", CONNECT, "a process in a pod runs on, as the pod's account"),
    ("", "pods/proxy", CONNECT, "what a pod serves may do anything"),
    ("", "services/proxy", CONNECT, "what a service serves may do anything"),
    ("", "replicationcontrollers", WRITE, "its pods run on"),
    ("", "podtemplates", WRITE, "what is made of it runs on"),
    ("", "nodes", WRITE, "a node runs every pod"),
    ("", "nodes/proxy", CONNECT, "a node runs every pod"),
    ("apps", "*", WRITE, "its pods run on"),
    ("batch", "*", WRITE, "its pods run on"),
    ("argoproj.io", "*", WRITE, "its pods run on"),
    ("rbac.authorization.k8s.io", "*", WRITE, "bindings outlast the loan"),
    ("rbac.authorization.k8s.io", "*", &["bind", "escalate"], "rights that are handed on outlast the loan"),
    ("certificates.k8s.io", "*", WRITE, "certificates outlast the loan"),
    ("certificates.k8s.io", "*", &["approve", "sign"], "certificates outlast the loan"),
    ("admissionregistration.k8s.io", "*", WRITE, "what admits everything can let anything through"),
    ("apiextensions.k8s.io", "*", WRITE, "kinds that others rely on"),
    ("apiregistration.k8s.io", "*", WRITE, "who serves an API sees what is sent to it"),
    ("authentication.k8s.io", "*", &["impersonate"], "who impersonates acts as somebody else"),
    ("ozaccess.io", "accesstemplates", WRITE, "what is offered outlasts the loan"),
    ("ozaccess.io", "accesstemplates", &["approve", "request"], "access that is asked for outlasts the loan"),
    ("ozaccess.io", "sessions", &["mint"], "tokens outlast the loan"),
];
const WILDCARD: &str = "a wildcard holds everything, also what is yet to come";
const WRITE: &[&str] = &["create", "update", "patch"];
const READ_OR_WRITE: &[&str] = &["get", "list", "watch", "create", "update", "patch"];
const CONNECT: &[&str] = &["get", "create"];

/// What in these rules can make access that outlasts a loan of them: a line for each way, none where there is none.
/// A rule for named objects counts as one for all: what a name stands for can be anything.
#[must_use]
pub fn lasting(rules: &[PolicyRule]) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        let resources = rule.resources.as_deref().unwrap_or_default();
        let groups = rule.api_groups.as_deref().unwrap_or_default();
        if groups.iter().chain(resources).chain(&rule.verbs).any(|s| s == "*") && !resources.is_empty() {
            found.entry(WILDCARD).or_default().extend(resources.iter().map(String::as_str));
            continue;
        }
        for (group, resource, verbs, why) in LASTING {
            if groups.iter().any(|g| g == group) && rule.verbs.iter().any(|v| verbs.contains(&v.as_str())) {
                let named = resources.iter().map(String::as_str).filter(|r| holds(r, resource));
                found.entry(why).or_default().extend(named);
            }
        }
    }
    let said = |(why, of): (&str, BTreeSet<&str>)| format!("{why} ({})", Vec::from_iter(of).join(", "));
    found.into_iter().filter(|(_, of)| !of.is_empty()).map(said).collect()
}

/// Does a rule's resource cover this one? `*/scale` and `pods/*` are RBAC's own wildcards for subresources.
fn holds(named: &str, resource: &str) -> bool {
    match (resource, named.split_once('/')) {
        ("*", _) => true,
        (_, Some(("*", sub))) => resource.split_once('/').is_some_and(|(_, s)| s == sub || sub == "*"),
        (_, Some((parent, "*"))) => resource.split_once('/').is_some_and(|(p, _)| p == parent),
        _ => named == resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
        PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
            ..PolicyRule::default()
        }
    }

    #[test]
    fn reading_what_is_no_secret_ends_with_the_loan() {
        for rule in [
            rule("", "pods", &["get", "list", "watch", "delete"]),
            rule("", "configmaps", &["get", "create", "update"]),
            rule("apps", "deployments", &["get", "list"]),
            rule("", "services", &["create"]),
        ] {
            assert_eq!(lasting(std::slice::from_ref(&rule)), Vec::<String>::new(), "{rule:?}");
        }
        let urls = PolicyRule {
            non_resource_urls: Some(vec!["/metrics".to_owned()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        };
        assert!(lasting(&[urls]).is_empty());
    }

    #[test]
    fn what_makes_access_that_stays_is_found_by_any_of_its_names() {
        for rule in [
            rule("*", "*", &["*"]),
            rule("", "*", &["get"]),
            rule("", "configmaps", &["*"]),
            rule("", "secrets", &["get"]),
            rule("", "pods", &["create"]),
            rule("", "pods/*", &["create"]),
            rule("", "*/exec", &["create"]),
            rule("", "serviceaccounts/token", &["create"]),
            rule("", "serviceaccounts", &["impersonate"]),
            rule("apps", "deployments", &["patch"]),
            rule("apps", "deployments/scale", &["update"]),
            rule("batch", "cronjobs", &["create"]),
            rule("rbac.authorization.k8s.io", "rolebindings", &["create"]),
            rule("rbac.authorization.k8s.io", "roles", &["escalate"]),
            rule("certificates.k8s.io", "certificatesigningrequests", &["create"]),
            rule("", "nodes/proxy", &["get"]),
            rule("ozaccess.io", "accesstemplates", &["approve"]),
        ] {
            assert!(!lasting(std::slice::from_ref(&rule)).is_empty(), "{rule:?}");
        }
    }
}
