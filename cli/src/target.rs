//! `[KIND/]NAME`: what a command is about. A bare NAME is an AccessRequest.

use std::str::FromStr;

/// The name of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
}

/// Why a text names no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{0:?} is not a kind that can be named here; a bare NAME is an AccessRequest")]
    Kind(String),
    #[error("{0:?} is not the name of an object: lower case letters, digits, - and .")]
    Name(String),
}

/// All that people and kubectl call an AccessRequest.
const ACCESS_REQUEST: [&str; 5] =
    ["accessrequest", "accessrequests", "areq", "accessrequest.ozaccess.io", "accessrequests.ozaccess.io"];

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let name = match text.split_once('/') {
            Some((kind, name)) if ACCESS_REQUEST.contains(&kind.to_lowercase().as_str()) => name,
            Some((kind, _)) => return Err(TargetError::Kind(kind.to_owned())),
            None => text,
        };
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            return Err(TargetError::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_as_kubectl_prints_them() {
        for text in ["x-1", "areq/x-1", "AccessRequest/x-1", "accessrequest.ozaccess.io/x-1"] {
            assert_eq!(text.parse(), Ok(Target { name: "x-1".into() }), "{text}");
        }
        for bad in ["", "pod/x", "areq/", "areq/../x", "a b", "X"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
