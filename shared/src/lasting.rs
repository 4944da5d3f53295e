//! Which rights can make access that outlasts the loan of them: found before a role is lent.
//!
//! What is known to make nothing that stays is listed here; everything else counts, as kinds come that Oz has never heard
//! of, and each of them may run pods or write Secrets for whoever makes one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

/// Kinds that may be written: what they say gives nobody any right. API group and resource.
const HARMLESS: &[(&str, &str)] = &[
    ("", "events"),
    ("", "limitranges"),
    ("", "persistentvolumeclaims"),
    ("", "pods/eviction"),
    ("", "replicationcontrollers/scale"),
    ("", "resourcequotas"),
    ("apps", "deployments/scale"),
    ("apps", "replicasets/scale"),
    ("apps", "statefulsets/scale"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("coordination.k8s.io", "leases"),
    ("events.k8s.io", "events"),
    ("policy", "poddisruptionbudgets"),
];

/// Subresources that are read by a plain GET; a GET of any other may be a connection, and what it starts goes on.
const READ: &[&str] = &["log", "scale", "status"];

/// Says why a right outlasts a loan of it, or that it does not.
fn outlasts(group: &str, resource: &str, verb: &str) -> Option<&'static str> {
    if [group, resource, verb].iter().any(|s| s.contains('*')) {
        return Some("a wildcard holds everything, also what is yet to come");
    }
    let secrets = (group, resource) == ("", "secrets");
    match (verb, resource.split_once('/')) {
        ("get" | "list" | "watch", _) if secrets => Some("secrets hold credentials that stay valid"),
        ("list" | "watch", _) | ("get", None) => None,
        ("get", Some((_, sub))) if READ.contains(&sub) => None,
        ("get", Some(_)) => Some("a connection starts what goes on"),
        ("delete" | "deletecollection", _) => {
            // Who takes away what holds others back lets them in; and by bindings Oz itself takes back what it lent.
            let holds_back = ["admissionregistration.k8s.io", "rbac.authorization.k8s.io", "ozaccess.io"]
                .contains(&group)
                || resource.ends_with("policies")
                || resource == "serviceaccounts";
            holds_back.then_some("what it held back, or took back, stays")
        }
        ("create" | "update" | "patch", _) if HARMLESS.contains(&(group, resource)) => None,
        ("create" | "update" | "patch", _) => {
            Some("what is made or changed there stays, and may give access")
        }
        (verb, _) if verb.starts_with("impersonate") => Some("who impersonates somebody can do what he can"),
        _ => Some("the verb may hand on what stays"),
    }
}

/// What in these rules can make access that outlasts a loan of them: a line for each way, none where there is none.
/// A rule for named objects counts as one for all: what a name stands for can be anything. URLs do not count: a binding
/// in a namespace gives none.
#[must_use]
pub fn lasting(rules: &[PolicyRule]) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    if let Some(why) = outlasts(group, resource, verb) {
                        found.entry(why).or_default().insert(format!("{verb} {resource}"));
                    }
                }
            }
        }
    }
    found.into_iter().map(|(why, of)| format!("{why} ({})", Vec::from_iter(of).join(", "))).collect()
}

/// What of these rules is more than to look at objects that are no Secrets: a line each, none where there is nothing.
/// For what is bound in the whole cluster, where URLs count.
#[must_use]
pub fn more_than_reading(rules: &[PolicyRule]) -> Vec<String> {
    let reads = |verb: &String| ["get", "list", "watch"].contains(&verb.as_str());
    let writes = rules.iter().filter(|rule| !rule.verbs.iter().all(reads));
    let urls =
        rules.iter().filter(|rule| rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()));
    let told = |why: &str, rule: &PolicyRule| format!("{why} ({})", crate::role::in_words(rule));
    let mut found = lasting(rules);
    found.extend(writes.map(|rule| told("it does more than read", rule)));
    found.extend(urls.map(|rule| told("it is for URLs that are no objects", rule)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(group: &str, resource: &str, verb: &str) -> Vec<String> {
        lasting(&[PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: vec![verb.to_owned()],
            ..PolicyRule::default()
        }])
    }

    #[test]
    fn looking_and_what_is_known_to_be_harmless_end_with_the_loan() {
        for (group, resource, verb) in [
            ("", "pods", "list"),
            ("", "pods", "delete"),
            ("", "pods/log", "get"),
            ("", "pods/eviction", "create"),
            ("", "persistentvolumeclaims", "update"),
            ("apps", "deployments", "watch"),
            ("apps", "deployments/scale", "patch"),
            ("example.com", "things", "get"),
            ("example.com", "things/status", "get"),
        ] {
            assert_eq!(found(group, resource, verb), Vec::<String>::new(), "{verb} {group}/{resource}");
        }
        let urls = PolicyRule {
            non_resource_urls: Some(vec!["*".to_owned()]),
            verbs: vec!["*".to_owned()],
            ..PolicyRule::default()
        };
        assert!(lasting(&[urls]).is_empty());
    }

    #[test]
    fn what_makes_access_that_stays_is_found_by_any_of_its_names() {
        for (group, resource, verb) in [
            ("*", "pods", "get"),
            ("", "*", "get"),
            ("", "configmaps", "*"),
            ("", "pods/*", "get"),
            ("", "*/exec", "get"),
            ("", "*/scale", "update"),
            ("", "secrets", "get"),
            ("", "secrets", "watch"),
            // Programs read from them what they run and whom they trust.
            ("", "configmaps", "update"),
            ("", "secrets", "create"),
            ("", "pods", "create"),
            ("", "pods/exec", "get"),
            ("", "pods/portforward", "get"),
            ("", "pods/ephemeralcontainers", "patch"),
            ("", "pods/binding", "create"),
            ("", "services", "create"),
            ("", "endpoints", "update"),
            ("", "serviceaccounts/token", "create"),
            ("", "serviceaccounts", "impersonate"),
            ("authentication.k8s.io", "serviceaccounts", "impersonate:serviceaccount"),
            ("", "configmaps", "impersonate-on:serviceaccount:list"),
            ("", "nodes/proxy", "get"),
            ("", "pods", "proxy"),
            ("apps", "deployments", "patch"),
            ("batch", "cronjobs", "create"),
            ("networking.k8s.io", "networkpolicies", "delete"),
            ("networking.k8s.io", "ingresses", "create"),
            ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "deletecollection"),
            ("rbac.authorization.k8s.io", "rolebindings", "create"),
            ("rbac.authorization.k8s.io", "rolebindings", "delete"),
            ("", "serviceaccounts", "deletecollection"),
            ("rbac.authorization.k8s.io", "roles", "escalate"),
            ("certificates.k8s.io", "signers", "approve"),
            ("ozaccess.io", "accesstemplates", "approve"),
            ("ozaccess.io", "sessions", "mint"),
            ("tekton.dev", "taskruns", "create"),
            ("kubevirt.io", "virtualmachineinstances/console", "get"),
            ("security.openshift.io", "securitycontextconstraints", "use"),
        ] {
            assert!(!found(group, resource, verb).is_empty(), "{verb} {group}/{resource}");
        }
    }

    #[test]
    fn reading_is_no_more_than_to_look() {
        let rule = |resource: &str, verbs: &[&str], urls: Option<&str>| PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec![resource.to_owned()]).filter(|_| urls.is_none()),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            non_resource_urls: urls.map(|url| vec![url.to_owned()]),
            ..PolicyRule::default()
        };
        for reads in [rule("nodes", &["get", "list", "watch"], None), rule("pods/log", &["get"], None)] {
            assert_eq!(more_than_reading(&[reads]), Vec::<String>::new());
        }
        for more in [
            rule("nodes", &["get", "delete"], None),
            rule("pods/eviction", &["create"], None),
            rule("events", &["patch"], None),
            rule("secrets", &["list"], None),
            rule("nodes/proxy", &["get"], None),
            rule("pods/exec", &["get"], None),
            rule("*", &["get"], None),
            rule("pods", &["*"], None),
            rule("", &["get"], Some("/metrics")),
        ] {
            assert!(!more_than_reading(std::slice::from_ref(&more)).is_empty(), "{more:?}");
            let first = rule("nodes", &["get"], None);
            assert!(!more_than_reading(&[first, more]).is_empty());
        }
    }

    proptest! {
        #[test]
        fn nothing_unknown_is_written_unseen(group in "[a-z]{1,9}\\.[a-z]{2,3}", resource in "[a-z]{1,12}", verb in "[a-z]{1,12}") {
            let looks = ["get", "list", "watch", "delete", "deletecollection"].contains(&verb.as_str());
            prop_assert!(looks || !found(&group, &resource, &verb).is_empty());
        }
    }
}
