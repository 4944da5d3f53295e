//! The most that Oz may hand out: rules that it may write into Roles, and ClusterRoles that it may bind as they are.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::Api;
use oz_shared::role::in_words;

use super::power::lasting;
use crate::kube::Cluster;

/// The ceiling, for people.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// A line a rule, and a line a ClusterRole.
    pub(crate) words: Vec<String>,
    /// What of it gives more than the time it is lent for.
    pub(crate) lasting: Vec<String>,
    /// ClusterRoles that this user may not read.
    pub(crate) unread: Vec<String>,
}

/// What these rules of the ceiling come to.
pub(crate) async fn ceiling(cluster: &Cluster, rules: &[PolicyRule]) -> Ceiling {
    let (named, rules) = bindable(rules);
    let mut found =
        Ceiling { words: rules.iter().map(in_words).collect(), lasting: lasting(&rules), unread: Vec::new() };
    let api: Api<ClusterRole> = Api::all(cluster.client.clone());
    for name in named {
        found.words.push(format!("bind ClusterRole {name}, for templates that lend a role"));
        match cluster.call("read a ClusterRole", api.get_opt(&name)).await {
            Ok(role) => {
                // As the controller looks at it: it lends such a role only where a template says so.
                let rules = role.and_then(|r| r.rules).unwrap_or_default();
                if !oz_shared::lasting::lasting(&rules).is_empty() {
                    found.lasting.push(format!("ClusterRole {name}, by templates with allowLasting"));
                }
            }
            Err(_) => found.unread.push(name),
        }
    }
    found
}

/// The ClusterRoles that may be bound by name, and all other rules. A rule without names stays among those.
fn bindable(rules: &[PolicyRule]) -> (Vec<String>, Vec<PolicyRule>) {
    let by_name = |rule: &&PolicyRule| {
        rule.verbs == ["bind", "lend"]
            && rule.resources.as_deref() == Some(&["clusterroles".to_owned()])
            && rule.resource_names.as_ref().is_some_and(|names| !names.is_empty())
    };
    let (binds, rest): (Vec<&PolicyRule>, Vec<&PolicyRule>) = rules.iter().partition(by_name);
    let names = binds.into_iter().flat_map(|rule| rule.resource_names.clone().unwrap_or_default());
    (names.collect(), rest.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_ships_outlasts_nothing() {
        for role in crate::installation::of_kind("ClusterRole") {
            if role["metadata"]["labels"]["ozaccess.io/ceiling"] == "true" {
                let rules: Vec<PolicyRule> = serde_json::from_value(role["rules"].clone()).unwrap();
                let (named, rules) = bindable(&rules);
                assert_eq!(lasting(&rules), [""; 0]);
                assert!(named.iter().all(|name| name == "view"), "{named:?}");
            }
        }
    }

    #[test]
    fn only_what_names_the_roles_is_looked_up() {
        let rule = |names: &[&str], verbs: &[&str]| -> PolicyRule {
            serde_json::from_value(
                json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
                "resourceNames": names, "verbs": verbs}),
            )
            .unwrap()
        };
        let (named, rest) = bindable(&[
            rule(&["view", "edit"], &["bind", "lend"]),
            rule(&[], &["bind", "lend"]),
            rule(&["x"], &["bind", "get"]),
        ]);
        assert_eq!(named, ["view", "edit"]);
        assert_eq!((rest.len(), lasting(&rest).len()), (2, 1));
    }
}
