//! The one place where a failure becomes a message, the next command to type, and an exit code. Modules have error
//! enums of their own; each is turned here.

use ::kube::core::Status;

use crate::exit;
use crate::kube::{Ended, Fault, SessionError, Unknown};
use crate::kubeconfig;
use crate::signals::Interrupt;

/// What the user is told, and the code the process ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    /// One of [`crate::exit`].
    pub(crate) code: u8,
    /// What happened and why. Empty: nothing is said.
    pub(crate) message: String,
    /// What to type next, or where to look.
    pub(crate) hints: Vec<String>,
}

impl Error {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    /// The command line is wrong, or names what does not exist.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// None of the others.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(exit::INTERNAL, message)
    }

    /// The reader of our output has gone, as `head` does: nothing is wrong.
    pub(crate) fn broken_pipe() -> Self {
        Self::new(exit::DONE, "")
    }

    /// Ended by a signal.
    pub(crate) fn interrupted(interrupt: Interrupt) -> Self {
        Self::new(interrupt.exit_code(), "")
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::broken_pipe(),
            _ => Self::internal(format!("failed to write: {error}")),
        }
    }
}

impl From<kubeconfig::Error> for Error {
    fn from(error: kubeconfig::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        let code = match &ended {
            Ended::Denied { .. } => exit::REJECTED,
            Ended::NobodyDecided | Ended::TimedOut { .. } => exit::TIMED_OUT,
            Ended::Expired
            | Ended::Released { .. }
            | Ended::Deleted
            | Ended::Finished(_)
            | Ended::Broken(_) => exit::ENDED,
            Ended::Failed(_) => exit::NOT_READY,
            Ended::Lost(_) => exit::UNREACHABLE,
        };
        Self::new(code, ended.to_string())
    }
}

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Fault(fault) => fault.into(),
            Unknown::NotMade(_) => Self::usage(unknown.to_string()),
            Unknown::Misfit(_) | Unknown::Absent(_) => Self::new(exit::NOT_READY, unknown.to_string()),
        }
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Fault(fault) => fault.into(),
            SessionError::Over => Self::new(exit::ENDED, error.to_string()),
            SessionError::NotReady(_) => Self::new(exit::NOT_READY, error.to_string()),
            SessionError::Lost(_) => Self::new(exit::UNREACHABLE, error.to_string()),
            SessionError::Remote(_) | SessionError::Io(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Api { doing, status } => api(doing, status),
            Fault::Timeout { .. } | Fault::Unreachable { .. } => {
                Self::new(exit::UNREACHABLE, fault.to_string()).hint("see whether kubectl version answers")
            }
            Fault::Config(_) => {
                Self::usage(fault.to_string()).hint("kubectl config get-contexts lists the contexts")
            }
            Fault::Credential(_) => {
                Self::new(exit::DENIED, fault.to_string()).hint("log in to the cluster again")
            }
            Fault::Protocol { .. } => Self::internal(fault.to_string()),
        }
    }
}

/// An answer of the API server that is a refusal.
fn api(doing: &str, status: &Status) -> Error {
    let message = status.message.as_str();
    match status.code {
        401 => Error::new(exit::DENIED, "the cluster does not accept your credentials (401)")
            .hint("log in again; kubectl auth whoami says who you are to the cluster"),
        403 => forbidden(message),
        404 if no_such_kind(status) => {
            Error::internal("Oz is not installed on this cluster, or not in this version")
                .hint("oz install, by an administrator of the cluster")
        }
        404 => Error::usage(not_found(doing, status)),
        409 => Error::internal(format!("failed to {doing}: {message}")).hint("try again"),
        422 => Error::new(exit::DENIED, invalid(message)),
        429 | 502..=504 => Error::new(
            exit::UNREACHABLE,
            format!("the cluster is not able to answer ({}): {message}", status.code),
        )
        .hint("try again in a while"),
        code => Error::internal(format!("failed to {doing}: {message} ({code})")),
    }
}

/// Is it the kind that the server does not know, rather than an object?
fn no_such_kind(status: &Status) -> bool {
    status.details.as_ref().is_none_or(|d| d.name.is_empty())
        && (status.message.contains("could not find the requested resource")
            || status.message.contains("page not found"))
}

fn not_found(doing: &str, status: &Status) -> String {
    let place = doing.find(" in namespace ").map_or("", |at| &doing[at..]);
    match status.details.as_ref().map(|d| (d.kind.as_str(), d.name.as_str())) {
        Some(("accessrequests", name)) if !name.is_empty() => format!("there is no request {name}{place}"),
        Some(("namespacerequests", name)) if !name.is_empty() => {
            format!("there is no NamespaceRequest {name}{place}")
        }
        Some(("delegations", name)) if !name.is_empty() => format!("there is no delegation {name}{place}"),
        Some(("federations", name)) if !name.is_empty() => format!("there is no federation {name}"),
        Some(("namespaceclasses", name)) if !name.is_empty() => format!("there is no class {name}"),
        Some(("accesstemplates", name)) if !name.is_empty() => format!("there is no template {name}{place}"),
        _ => format!("failed to {doing}: {}", status.message),
    }
}

fn forbidden(message: &str) -> Error {
    if let Some(sentence) = policy_sentence(message) {
        let error = Error::new(exit::DENIED, format!("denied: {sentence}"));
        let hint = if sentence.contains("(verb request on namespaceclasses)") {
            "oz classes lists what you may ask for in a namespace"
        } else if sentence.contains("(verb request on") {
            "oz templates lists what you may ask for"
        } else if sentence.contains("asks for a reason") {
            "say why: --reason TEXT"
        } else if sentence.contains("has changed since you looked") {
            "the same command again shows it as it is now"
        } else if sentence.contains("someone else must decide") {
            "oz describe NAME shows what is missing"
        } else {
            return error;
        };
        return error.hint(hint);
    }
    match rbac_sentence(message) {
        Some((sentence, role)) => Error::new(exit::DENIED, format!("denied: {sentence}"))
            .hint(format!("ask who runs the cluster for {role}, or name another namespace with -n")),
        None => Error::new(exit::DENIED, format!("denied: {message}")),
    }
}

/// What a policy says, without the machinery around it and without the revision behind it.
pub(crate) fn policy_sentence(message: &str) -> Option<&str> {
    let (_, sentence) = message.split_once("ValidatingAdmissionPolicy '")?;
    let (_, sentence) = sentence.split_once("denied request: ")?;
    let sentence = sentence.trim_end();
    // The revision in brackets at the end is for the controller, which checks which one refused.
    Some(match sentence.rfind(" [oz ") {
        Some(at) if sentence.ends_with(']') => &sentence[..at],
        _ => sentence,
    })
}

/// RBAC's refusal in fewer words, and the role that would help.
fn rbac_sentence(message: &str) -> Option<(String, &'static str)> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, rest) = rest.split_once('"')?;
    let (_, rest) = rest.split_once("cannot ")?;
    let (verb, rest) = rest.split_once(' ')?;
    let (resource, rest) = rest.strip_prefix("resource \"")?.split_once('"')?;
    let place = match rest.split_once("in the namespace \"").and_then(|(_, n)| n.split_once('"')) {
        Some((namespace, _)) => format!("in namespace {namespace}"),
        None => "in all namespaces".to_owned(),
    };
    let role = match resource {
        "grants" => "the ClusterRole oz-auditor",
        "namespacerequests" => "the ClusterRole oz-namespace-requester or oz-namespace-approver",
        "accessrequests" | "accesstemplates" => "the ClusterRole oz-requester or oz-approver",
        "namespaceclasses" => "the ClusterRole oz-classes",
        _ => "that right",
    };
    Some((format!("{user} may not {verb} {resource} {place}"), role))
}

/// What a rule of the API's own says: the part after the value that it quotes.
fn invalid(message: &str) -> String {
    let rest = message.split_once(" is invalid: ").map_or(message, |(_, rest)| rest);
    let mut field = "";
    let mut text = rest;
    if let Some((path, tail)) = rest.split_once(": Invalid value: ") {
        field = path;
        text = tail.rsplit_once("\": ").or_else(|| tail.split_once(": ")).map_or(tail, |(_, text)| text);
    }
    match field {
        "" | "spec" => format!("denied: {text}"),
        field => format!("denied: {field}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> Error {
        api("do it", &Status::failure(message, "").with_code(code))
    }

    #[test]
    fn a_policy_speaks_for_itself() {
        let error = answer(
            403,
            "accessrequests.ozaccess.io \"a-1\" is forbidden: ValidatingAdmissionPolicy 'oz-request-create' with binding \
             'oz-request-create' denied request: you may not ask for db-shell here (verb request on accesstemplates) [oz 1]",
        );
        assert_eq!(error.code, exit::DENIED);
        assert_eq!(
            error.message,
            "denied: you may not ask for db-shell here (verb request on accesstemplates)"
        );
        assert_eq!(error.hints, ["oz templates lists what you may ask for"]);
    }

    #[test]
    fn rbac_is_put_in_few_words() {
        let error = answer(
            403,
            "accessrequests.ozaccess.io is forbidden: User \"carol\" cannot list resource \"accessrequests\" in API group \
             \"ozaccess.io\" in the namespace \"shop\"",
        );
        assert_eq!(error.message, "denied: carol may not list accessrequests in namespace shop");
        assert!(error.hints[0].contains("oz-requester"));
    }

    #[test]
    fn a_rule_of_the_crd_loses_the_value_it_quotes() {
        let error = answer(
            422,
            "AccessRequest.ozaccess.io \"a-1\" is invalid: spec: Invalid value: \"object\": it was denied or released: \
             nothing is left to decide",
        );
        assert_eq!(error.message, "denied: it was denied or released: nothing is left to decide");
    }

    #[test]
    fn codes() {
        assert_eq!(answer(401, "Unauthorized").code, exit::DENIED);
        assert_eq!(answer(503, "no").code, exit::UNREACHABLE);
        assert_eq!(answer(500, "no").code, exit::INTERNAL);
        assert_eq!(answer(404, "the server could not find the requested resource").code, exit::INTERNAL);
        assert_eq!(answer(404, "accessrequests.ozaccess.io \"x\" not found").code, exit::USAGE);
    }
}
