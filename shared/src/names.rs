//! Names, labels and marks that more than one part must agree on. The admission policies spell the same strings.

/// The controller's own namespace.
pub const SYSTEM_NAMESPACE: &str = "oz-system";
/// Where session accounts live, and nothing else.
pub const SESSIONS_NAMESPACE: &str = "oz-sessions";
/// The controller as the API server knows it.
pub const CONTROLLER_USERNAME: &str = "system:serviceaccount:oz-system:oz-controller";
/// Carried by all that a grant made; its value is the grant's name. The guard policy holds it.
pub const GRANT_LABEL: &str = "ozaccess.io/grant";
/// The value of [`GRANT_LABEL`] on what stands in a lent namespace for as long as that does, whichever grant holds it.
pub const PART_OF_NAMESPACE: &str = "namespace";
/// The value of [`GRANT_LABEL`] on all that the nsplease adapter makes. It is no grant's name.
pub const NSPLEASE: &str = "nsplease";
/// Carried by the namespace of the nsplease adapter's requests, with the value `requests`: an administrator puts it there, and
/// only there may the controller write Secrets.
pub const NSPLEASE_LABEL: &str = "ozaccess.io/nsplease";
/// Carried by a namespace that the nsplease adapter made: where it was asked for.
pub const REQUESTS_LABEL: &str = "ozaccess.io/requests";
/// Carried by a namespace that the nsplease adapter made: how often its token is issued.
pub const ISSUE_TOKEN_LABEL: &str = "ozaccess.io/issue-token";
/// Carried by a namespace that the nsplease adapter made once its token is issued, with the uid of the ConfigMap that it was
/// issued to last; and by the Secret that holds it once that is on record.
pub const ISSUED_LABEL: &str = "ozaccess.io/issued";
/// On the ConfigMap of a request to the nsplease adapter, where there is no Secret for it: why.
pub const ANSWER_ANNOTATION: &str = "ozaccess.io/answer";
/// Carried by a lent namespace: the class it is of.
pub const CLASS_LABEL: &str = "ozaccess.io/class";
/// Carried by a lent namespace in which only Oz writes NetworkPolicies; its value is `Oz`.
pub const NETWORK_POLICIES_LABEL: &str = "ozaccess.io/network-policies";
/// The label of a namespace by which Kubernetes enforces a Pod Security level.
pub const POD_SECURITY_LABEL: &str = "pod-security.kubernetes.io/enforce";
/// Ends each message of the gate's policies: which revision refused.
pub const GATE_REVISION: &str = "[oz 2]";
/// The template, and the request, kept in [`SYSTEM_NAMESPACE`] so that dry runs have something to be refused on.
pub const GATE_PROBE: &str = "gate-probe";
/// The annotation that names the container which kubectl, and so Oz, enters unless told.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Bound in a namespace by `oz enable`: what the controller does there.
pub const NAMESPACE_ROLE: &str = "oz-controller-namespace";
/// Bound in a namespace by `oz enable`: the most that may be lent there.
pub const CEILING_ROLE: &str = "oz-ceiling";
/// Bound in a namespace by `oz enable --bind-requester`: there people may be bound by their own names.
pub const BIND_REQUESTER_ROLE: &str = "oz-controller-bind-requester";
/// Bound in the whole cluster by `oz enable --namespaces`: what the controller does to make and delete namespaces.
pub const NAMESPACES_ROLE: &str = "oz-controller-namespaces";
/// Bound in the whole cluster by `oz enable --namespaces`: by which ClusterRoles namespaces may be owned.
pub const NAMESPACES_CEILING_ROLE: &str = "oz-ceiling-namespaces";

/// Bound in the whole cluster by `oz enable --federations`: what the controller does to let partners in.
pub const FEDERATIONS_ROLE: &str = "oz-controller-federations";
/// Bound in the whole cluster by `oz enable --federations`: by which ClusterRoles a partner may read everywhere.
pub const FEDERATIONS_CEILING_ROLE: &str = "oz-ceiling-federations";
/// Bound in a partner's first namespace to its account: there it asks for further ones.
pub const PARTNER_ROLE: &str = "oz-partner";
/// Bound in a namespace by `oz enable NS --delegations`: what the controller does to delegate there.
pub const DELEGATIONS_ROLE: &str = "oz-controller-delegations";
/// Bound in a namespace by `oz enable NS --delegations=secrets`: Secrets may be waited for there.
pub const DELEGATIONS_SECRETS_ROLE: &str = "oz-controller-delegations-secrets";
/// Bound in the whole cluster by `oz enable --delegations`: what the controller does to delegate everywhere.
pub const DELEGATIONS_EVERYWHERE_ROLE: &str = "oz-controller-delegations-everywhere";
/// Bound in the whole cluster by `oz enable --delegations`: which ClusterRoles may be delegated everywhere.
pub const DELEGATIONS_CEILING_ROLE: &str = "oz-ceiling-delegations";
/// How the names of partners' accounts begin.
pub const PARTNER: &str = "oz-f-";
/// On a partner's account: how often it had been made anew when it was made.
pub const ROTATION_LABEL: &str = "ozaccess.io/rotation";

/// How the policies treat a session, told by the prefix of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// `oz-p-`: bound to named pods, every connection asked for.
    Pods,
    /// `oz-n-`: held by RBAC alone.
    Roles,
    /// `oz-f-`: likewise, and it mints its own next token.
    Federation,
}

impl SessionKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Pods => "oz-p-",
            Self::Roles => "oz-n-",
            Self::Federation => PARTNER,
        }
    }
}

/// The name of the grant for the request with this uid: the uid's first twelve letters and digits.
///
/// The same uid always gives the same name, so that a grant cannot be made twice. Two uids that begin alike meet at
/// the API server, which refuses the second.
#[must_use]
pub fn grant_name(request_uid: &str) -> String {
    format!("oz-{}", id(request_uid))
}

/// The session account of the grant for the request with this uid, with the deadline, in seconds since 1970, that
/// minting is held to.
#[must_use]
pub fn account_name(kind: SessionKind, request_uid: &str, deadline: jiff::Timestamp) -> String {
    format!("{}{}-x{}", kind.prefix(), id(request_uid), deadline.as_second())
}

/// The binding by which the delegation with this uid lends a role, or mirrors a binding, told by what makes it another:
/// its namespace, its name, its uid and the role.
#[must_use]
pub fn delegated_name(delegation_uid: &str, of: &[&str]) -> String {
    let of = crate::plain::digest(&serde_json::json!(of));
    format!("oz-d-{}-{}", id(delegation_uid), of.chars().take(16).collect::<String>())
}

/// The copy of a pod of `workload`, or the container put into one, for the request with this uid: a DNS label.
#[must_use]
pub fn copy_name(workload: &str, request_uid: &str) -> String {
    /// A label's length less the id and what joins them.
    const ROOM: usize = 63 - 12 - 4;
    let workload: String = workload.replace('.', "-").chars().take(ROOM).collect();
    format!("{}-oz-{}", workload.trim_end_matches('-'), id(request_uid))
}

/// The name that a lent namespace gets where `wanted` is taken: a DNS label.
#[must_use]
pub fn suffixed(wanted: &str, request_uid: &str) -> String {
    /// As many letters and digits of the uid.
    const SUFFIX: usize = 5;
    let wanted: String = wanted.chars().take(63 - SUFFIX - 1).collect();
    let suffix: String = id(request_uid).chars().take(SUFFIX).collect();
    format!("{}-{suffix}", wanted.trim_end_matches('-'))
}

/// What a namespace's name begins with where a class asks for the requester's: `ci-builder-` for the ServiceAccount
/// `builder` in `ci`. It tells people apart who keep to it, and is no proof of who asked.
#[must_use]
pub fn prefix_of(username: &str) -> String {
    let name = username.strip_prefix("system:serviceaccount:").unwrap_or(username);
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("{}-", name.chars().map(letter).collect::<String>().trim_matches('-'))
}

/// The account in oz-sessions, if this is the username of a partner's.
#[must_use]
pub fn partner_account(username: &str) -> Option<&str> {
    let account = username.strip_prefix("system:serviceaccount:")?.strip_prefix(SESSIONS_NAMESPACE)?;
    account.strip_prefix(':').filter(|account| account.starts_with(PARTNER))
}

/// The place that the n-th live namespace of one requester and class takes: an object of this name is there once.
#[must_use]
pub fn place_name(class_uid: &str, username: &str, user_uid: &str, n: usize) -> String {
    let whose = crate::plain::digest(&serde_json::json!([class_uid, username, user_uid]));
    format!("{PLACE}{}-{n}", whose.chars().take(16).collect::<String>())
}

/// How the names of places begin.
pub const PLACE: &str = "oz-place-";

/// Is this the name of a grant, as far as can be told from it?
#[must_use]
pub fn is_grant_name(label: &str) -> bool {
    label
        .strip_prefix("oz-")
        .is_some_and(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Is this name nobody's to have lent to him?
#[must_use]
pub fn is_reserved_name(namespace: &str) -> bool {
    is_reserved_namespace(namespace) || matches!(namespace, "default" | "oz-requests" | "nsplease-requests")
}

fn id(request_uid: &str) -> String {
    request_uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>().to_lowercase()
}

/// Is this namespace Oz's own or Kubernetes' own, where nothing is ever lent?
#[must_use]
pub fn is_reserved_namespace(namespace: &str) -> bool {
    namespace == SYSTEM_NAMESPACE || namespace == SESSIONS_NAMESPACE || namespace.starts_with("kube-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_named_after_its_request() {
        let uid = "7F2A91bb-03c1-4f0e-9d8c-000000000001";
        assert_eq!(grant_name(uid), "oz-7f2a91bb03c1");
        let deadline = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(account_name(SessionKind::Pods, uid, deadline), "oz-p-7f2a91bb03c1-x1795348800");
        let partner = account_name(SessionKind::Federation, uid, deadline);
        let username = |namespace: &str| format!("system:serviceaccount:{namespace}:{partner}");
        assert_eq!(partner_account(&username("oz-sessions")), Some(partner.as_str()));
        for other in [
            &username("shop"),
            &username("oz-sessions-x"),
            &partner,
            "system:serviceaccount:oz-sessions:oz-n-x",
        ] {
            assert_eq!(partner_account(other), None, "{other}");
        }
        let mirror = delegated_name(uid, &["shop", "ops", "1"]);
        assert!(mirror.starts_with("oz-d-7f2a91bb03c1-") && mirror.len() <= 63 && !is_grant_name(&mirror));
        assert_ne!(mirror, delegated_name(uid, &["shop", "ops1", ""]));
        assert_eq!(copy_name("db", uid), "db-oz-7f2a91bb03c1");
        assert_eq!(copy_name(&"a.b-".repeat(30), uid).len(), 63);
    }

    #[test]
    fn namespaces_are_named_by_whoever_asks() {
        assert_eq!(suffixed("shop", "7F2A91bb-03c1"), "shop-7f2a9");
        assert_eq!(suffixed(&"a-".repeat(31), "7F2A91bb").len(), 63);
        assert_eq!(prefix_of("Alice@example.com"), "alice-example-com-");
        assert_eq!(prefix_of("system:serviceaccount:ci:builder"), "ci-builder-");
        assert_ne!(place_name("c", "a", "", 0), place_name("c", "a", "", 1));
        assert_ne!(place_name("c", "a", "", 0), place_name("c", "", "a", 0));
        assert!(is_grant_name("oz-7f2a91bb03c1"));
        assert!(!["oz-", "oz-p-x", PART_OF_NAMESPACE, NSPLEASE, ""].into_iter().any(is_grant_name));
        assert!(is_reserved_name("default") && is_reserved_name("kube-x") && !is_reserved_name("shop"));
    }

    #[test]
    fn reserved_namespaces() {
        assert!(["kube-system", "oz-system", "oz-sessions"].into_iter().all(is_reserved_namespace));
        assert!(!["default", "shop", "kubeflow"].into_iter().any(is_reserved_namespace));
    }
}
