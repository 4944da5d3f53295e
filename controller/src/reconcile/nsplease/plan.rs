//! Decides what is to be done next for a request. Pure and total; one step at a time, each told by what the ones before it
//! have left, so that it does not matter who did those, nor when.

use jiff::{SignedDuration, Timestamp};

use super::observe::{Issued, Observed, Ours, Place, Request, Token};
use super::settings::{Policy, Settings, Verdict};
use crate::reconcile::later;

/// How soon to look again where no watch will tell: a namespace of somebody else that goes, a gate that is not in force.
const RETRY: SignedDuration = SignedDuration::from_secs(3);

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, unless something changes or that instant comes.
    Rest(Option<Timestamp>),
    /// Say on the ConfigMap why there is no Secret for it, and how, in one word.
    Answer { request: Request, reason: &'static str, words: String },
    /// Take that back.
    Retract(Request),
    /// Make the namespace.
    Make(Policy),
    /// Have the namespace own the ConfigMap.
    Own { request: Request, namespace: String },
    /// Record that its token is issued only once from now on.
    Tighten(Ours),
    /// Delete the Secret of a namespace that is gone.
    Discard(Issued),
    /// Make the account and its rights, mint, and write the Secret: into this one, or a new one.
    Issue { ours: Ours, to: String, into: Option<Issued> },
    /// Record that the token was issued to the ConfigMap with this uid.
    Record { ours: Ours, to: String },
    /// Let the Secret be deleted: it is on record.
    Release(Issued),
}

/// The next step for the request of this name.
pub(super) fn plan(name: &str, seen: &Observed, settings: &Settings, now: Timestamp) -> Step {
    let Some(request) = &seen.request else { return Step::Rest(None) };
    match settings.verdict(name) {
        Verdict::Ignored => Step::Rest(None),
        Verdict::Refused(words) => answer(request, "Refused", words, None),
        Verdict::Valid => gated(request, seen, placed(request, seen, settings, now), now),
    }
}

/// Nothing is given while the gate is not in force; what was given is put on record all the same.
fn gated(request: &Request, seen: &Observed, step: Step, now: Timestamp) -> Step {
    match (&seen.open, step) {
        (Some(hole), Step::Make(_) | Step::Issue { .. }) => {
            let words = format!("nothing is given while the gate is not in force: {hole}");
            answer(request, "Waiting", words, Some(later(now, RETRY)))
        }
        (_, step) => step,
    }
}

/// What comes once the answer stands: nothing more.
fn answer(request: &Request, reason: &'static str, words: String, wake: Option<Timestamp>) -> Step {
    let words = format!("{reason}: {words}");
    if request.answer.as_ref() == Some(&words) {
        return Step::Rest(wake);
    }
    Step::Answer { request: request.clone(), reason, words }
}

fn placed(request: &Request, seen: &Observed, settings: &Settings, now: Timestamp) -> Step {
    let name = &request.name;
    let retry = Some(later(now, RETRY));
    let served = |uid: &str| request.owner.as_deref().is_none_or(|owner| owner == uid);
    match &seen.place {
        // It goes with the namespace that it has brought; that is not made anew for it.
        Place::Free if request.owner.is_some() => Step::Rest(None),
        Place::Ours(ours) if !served(&ours.uid) => Step::Rest(None),
        Place::Ours(ours) if ours.terminating && request.owner.is_some() => Step::Rest(None),
        Place::Ours(ours) if ours.terminating => {
            answer(request, "Waiting", format!("namespace {name} is being deleted"), None)
        }
        Place::Foreign { terminating: true } => {
            answer(request, "Waiting", format!("a namespace {name} is there that is being deleted"), retry)
        }
        Place::Foreign { terminating: false } => {
            answer(request, "Refused", format!("there is a namespace {name} already: none is adopted"), None)
        }
        _ if seen.token == Token::Foreign => {
            let words = format!("there is a Secret {name} here already: none is overwritten");
            answer(request, "Refused", words, None)
        }
        // The stricter of what is asked for and what is the rule.
        Place::Free => Step::Make(match request.policy {
            Some(Policy::OnlyOnce) => Policy::OnlyOnce,
            _ => settings.default,
        }),
        Place::Ours(ours) if request.owner.is_none() => {
            Step::Own { request: request.clone(), namespace: ours.uid.clone() }
        }
        Place::Ours(ours) => owned(request, ours, &seen.token, now),
    }
}

fn owned(request: &Request, ours: &Ours, token: &Token, now: Timestamp) -> Step {
    let said = ours.said.as_deref().map(Policy::read);
    if said == Some(Some(Policy::OnlyOnce)) && ours.policy == Policy::MultipleTimes {
        return Step::Tighten(ours.clone());
    }
    let secret = match token {
        Token::Issued(secret) if secret.namespace != ours.uid => return Step::Discard(secret.clone()),
        Token::Issued(secret) => Some(secret),
        Token::Missing | Token::Foreign => None,
    };
    // What a Secret says is put on record before anything else is done about it.
    if let Some(secret) = secret {
        if ours.issued.as_ref() != Some(&secret.to) && (ours.issued.is_none() || secret.to == request.uid) {
            return Step::Record { ours: ours.clone(), to: secret.to.clone() };
        }
        if !secret.recorded {
            return Step::Release(secret.clone());
        }
    }
    let issued_to_it = ours.issued.as_ref() == Some(&request.uid);
    let is_due = |secret: &Issued| secret.renew_at.is_none_or(|at| at <= now);
    let wanted = !issued_to_it || secret.is_some_and(is_due);
    if ours.policy == Policy::OnlyOnce && ours.issued.is_some() {
        // The Secret that is there serves whoever asks again; there will be no other.
        let words = "the token of this namespace was issued, and is issued only once".to_owned();
        return if secret.is_some() || issued_to_it {
            rest(request, None)
        } else {
            answer(request, "NotIssued", words, None)
        };
    }
    if !wanted {
        return rest(request, secret.and_then(|s| s.renew_at));
    }
    if said == Some(None) {
        let words = "the annotation on the account says neither only-once nor multiple-times".to_owned();
        return answer(request, "NotIssued", words, None);
    }
    Step::Issue { ours: ours.clone(), to: request.uid.clone(), into: secret.cloned() }
}

fn rest(request: &Request, wake: Option<Timestamp>) -> Step {
    match request.answer {
        Some(_) => Step::Retract(request.clone()),
        None => Step::Rest(wake),
    }
}
