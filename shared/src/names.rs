//! Names, labels and marks that more than one part must agree on. The admission policies spell the same strings.

/// The controller's own namespace.
pub const SYSTEM_NAMESPACE: &str = "oz-system";
/// Where session accounts live, and nothing else.
pub const SESSIONS_NAMESPACE: &str = "oz-sessions";
/// The controller as the API server knows it.
pub const CONTROLLER_USERNAME: &str = "system:serviceaccount:oz-system:oz-controller";
/// Carried by all that a grant made; its value is the grant's name. The guard policy holds it.
pub const GRANT_LABEL: &str = "ozaccess.io/grant";
/// Ends each message of the gate's policies: which revision refused.
pub const GATE_REVISION: &str = "[oz 1]";
/// The template, and the request, kept in [`SYSTEM_NAMESPACE`] so that dry runs have something to be refused on.
pub const GATE_PROBE: &str = "gate-probe";
/// Bound in a namespace by `oz enable`: what the controller does there.
pub const NAMESPACE_ROLE: &str = "oz-controller-namespace";
/// Bound in a namespace by `oz enable`: the most that may be lent there.
pub const CEILING_ROLE: &str = "oz-ceiling";

/// How the policies treat a session, told by the prefix of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// `oz-p-`: bound to named pods, every connection asked for.
    Pods,
}

impl SessionKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Pods => "oz-p-",
        }
    }
}

/// The name of the grant for the request with this uid: the prefix, and the uid's first twelve letters and digits.
///
/// The same uid always gives the same name, so that a grant cannot be made twice. Two uids that begin alike meet at
/// the API server, which refuses the second.
#[must_use]
pub fn grant_name(kind: SessionKind, request_uid: &str) -> String {
    let id: String =
        request_uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>().to_lowercase();
    format!("{}{id}", kind.prefix())
}

/// The session account of a grant: its name with the deadline, in seconds since 1970, that minting is held to.
#[must_use]
pub fn account_name(grant: &str, deadline: jiff::Timestamp) -> String {
    format!("{grant}-x{}", deadline.as_second())
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
        let name = grant_name(SessionKind::Pods, "7F2A91bb-03c1-4f0e-9d8c-000000000001");
        assert_eq!(name, "oz-p-7f2a91bb03c1");
        let deadline = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(account_name(&name, deadline), "oz-p-7f2a91bb03c1-x1795348800");
    }

    #[test]
    fn reserved_namespaces() {
        assert!(["kube-system", "oz-system", "oz-sessions"].into_iter().all(is_reserved_namespace));
        assert!(!["default", "shop", "kubeflow"].into_iter().any(is_reserved_namespace));
    }
}
