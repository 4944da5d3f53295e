//! Who refused. A test that only asks whether something was refused passes for the wrong reason sooner or later.

use std::fmt;

use oz_shared::names::GATE_REVISION;

use crate::Answer;

/// How a request ended, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out, or admitted where it is a connection.
    Allowed,
    /// The admission policy of this name refused it, with 403 and in the gate's own words.
    Policy(String),
    /// The admission policy refused it by accident: an evaluation error, another code, a message without the revision.
    PolicyFault(String, u16),
    /// The schema or a CEL rule of Oz's CRDs.
    Crd,
    /// RBAC, its escalation check included.
    Rbac,
    /// Whatever else, with this code.
    Other(u16),
}

impl Outcome {
    /// Reads it from the answer.
    #[must_use]
    pub fn of(answer: &Answer) -> Outcome {
        let message = answer.message();
        if answer.is_success() || (answer.connected && behind_admission(answer.code, &message)) {
            return Outcome::Allowed;
        }
        if let Some((_, rest)) = message.split_once("ValidatingAdmissionPolicy '") {
            let policy = rest.split('\'').next().unwrap_or_default().to_owned();
            return if answer.code == 403 && message.trim_end().ends_with(GATE_REVISION) {
                Outcome::Policy(policy)
            } else {
                Outcome::PolicyFault(policy, answer.code)
            };
        }
        match answer.code {
            422 if message.contains(".ozaccess.io \"") && message.contains("is invalid") => Outcome::Crd,
            403 if message.contains("\" cannot ")
                || message.contains("attempting to grant RBAC permissions") =>
            {
                Outcome::Rbac
            }
            code => Outcome::Other(code),
        }
    }
}

/// Answers to a connection without an upgrade that only come once admission has let it pass.
fn behind_admission(code: u16, message: &str) -> bool {
    code == 101
        || (matches!(code, 400 | 403)
            && ["pgrade", "does not have a host", "is not valid for pod"]
                .iter()
                .any(|words| message.contains(words)))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Allowed => write!(f, "allowed"),
            Outcome::Policy(name) => write!(f, "refused by policy {name}"),
            Outcome::PolicyFault(name, code) => {
                write!(f, "policy {name} failed with {code}, not in its own words")
            }
            Outcome::Crd => write!(f, "refused by the CRD"),
            Outcome::Rbac => write!(f, "refused by RBAC"),
            Outcome::Other(code) => write!(f, "answered {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(code: u16, message: &str) -> Outcome {
        Outcome::of(&Answer { code, body: json!({"message": message}), connected: false })
    }

    #[test]
    fn a_refusal_is_told_apart_from_a_fault() {
        let words =
            "x is forbidden: ValidatingAdmissionPolicy 'oz-guard' with binding 'oz-guard' denied request: no";
        assert_eq!(outcome(403, &format!("{words} {GATE_REVISION}")), Outcome::Policy("oz-guard".into()));
        assert_eq!(outcome(403, words), Outcome::PolicyFault("oz-guard".into(), 403));
        assert_eq!(
            outcome(422, &format!("{words} {GATE_REVISION}")),
            Outcome::PolicyFault("oz-guard".into(), 422)
        );
    }

    #[test]
    fn other_refusals_have_their_own_words() {
        assert_eq!(
            outcome(403, "pods is forbidden: User \"a\" cannot list resource \"pods\""),
            Outcome::Rbac
        );
        assert_eq!(outcome(403, "pods \"a\" is forbidden: violates PodSecurity"), Outcome::Other(403));
        assert_eq!(outcome(422, "Role \"a\" is invalid"), Outcome::Other(422));
        assert_eq!(outcome(422, "AccessRequest.ozaccess.io \"a\" is invalid: spec"), Outcome::Crd);
    }
}
