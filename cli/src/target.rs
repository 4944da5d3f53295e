//! `[KIND/]NAME`: what a command is about. A bare NAME is an AccessRequest.

use std::fmt;
use std::str::FromStr;

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For what a template offers.
    Access,
    /// For namespaces of a class.
    Namespaces,
    /// For a partner's cluster.
    Federation,
    /// What one subject holds, lent to others on cue. Nobody is asked for it.
    Delegation,
}

/// All that people and kubectl call an AccessRequest.
const ACCESS_REQUEST: [&str; 5] =
    ["accessrequest", "accessrequests", "areq", "accessrequest.ozaccess.io", "accessrequests.ozaccess.io"];

/// The same of a NamespaceRequest.
const NAMESPACE_REQUEST: [&str; 5] = [
    "namespacerequest",
    "namespacerequests",
    "nsreq",
    "namespacerequest.ozaccess.io",
    "namespacerequests.ozaccess.io",
];

/// The same of a Federation.
const FEDERATION: [&str; 6] =
    ["fed", "federation", "federations", "ozfed", "federation.ozaccess.io", "federations.ozaccess.io"];

/// The same of a Delegation.
const DELEGATION: [&str; 6] =
    ["del", "delegation", "delegations", "ozdel", "delegation.ozaccess.io", "delegations.ozaccess.io"];

impl FromStr for Kind {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let word = text.to_lowercase();
        match word.as_str() {
            word if ACCESS_REQUEST.contains(&word) => Ok(Self::Access),
            word if NAMESPACE_REQUEST.contains(&word) => Ok(Self::Namespaces),
            word if FEDERATION.contains(&word) => Ok(Self::Federation),
            word if DELEGATION.contains(&word) => Ok(Self::Delegation),
            _ => Err(TargetError::Kind(text.to_owned())),
        }
    }
}

impl Kind {
    /// A request of this kind as people name it: `NAME`, `nsreq/NAME`, `fed/NAME` or `delegation/NAME`.
    pub(crate) fn target(self, name: &str) -> String {
        match self {
            Self::Access => name.to_owned(),
            Self::Namespaces => format!("nsreq/{name}"),
            Self::Federation => format!("fed/{name}"),
            Self::Delegation => format!("delegation/{name}"),
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Of which kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// Was no kind named?
    pub(crate) bare: bool,
}

/// Why a text names no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(
        "{0:?} is not a kind that can be named here: accessrequest, namespacerequest, federation or delegation"
    )]
    Kind(String),
    #[error("{0:?} is not the name of an object: lower case letters, digits, - and .")]
    Name(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (kind, name, bare) = match text.split_once('/') {
            Some((kind, name)) => (kind.parse()?, name, false),
            None => (Kind::Access, text, true),
        };
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            return Err(TargetError::Name(name.to_owned()));
        }
        Ok(Self { kind, name: name.to_owned(), bare })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.target(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_as_kubectl_prints_them() {
        for text in ["x-1", "areq/x-1", "AccessRequest/x-1", "accessrequest.ozaccess.io/x-1"] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.kind, target.to_string()), (Kind::Access, "x-1".to_owned()), "{text}");
            assert_eq!(target.bare, !text.contains('/'));
        }
        for text in ["nsreq/x-1", "NamespaceRequest/x-1", "namespacerequest.ozaccess.io/x-1"] {
            let target: Target = text.parse().unwrap();
            assert_eq!(
                (target.kind, target.to_string()),
                (Kind::Namespaces, "nsreq/x-1".to_owned()),
                "{text}"
            );
        }
        for text in ["fed/x-1", "Federation/x-1", "ozfed/x-1"] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.kind, target.to_string()), (Kind::Federation, "fed/x-1".to_owned()), "{text}");
        }
        for text in ["delegation/x-1", "Delegations/x-1", "ozdel/x-1", "del/x-1"] {
            let target: Target = text.parse().unwrap();
            assert_eq!(
                (target.kind, target.to_string()),
                (Kind::Delegation, "delegation/x-1".to_owned()),
                "{text}"
            );
        }
        for bad in ["", "pod/x", "areq/", "areq/../x", "nsreq/../x", "a b", "X"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
