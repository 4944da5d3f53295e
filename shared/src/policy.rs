//! What templates and classes have in common: consent and time.

use kube::Resource;

use crate::template::{Approvers, DurationBounds, ReasonPolicy};

/// Under what something may be asked for: a template, or a class.
pub trait Policy: Resource<DynamicType = ()> {
    /// Its terms of consent and time.
    fn consent(&self) -> Consent<'_>;
}

/// With whose consent, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// How long it is lent.
    pub duration: &'a DurationBounds,
    /// How many different people must approve.
    pub approvals: i32,
    /// Who, beyond people, may decide.
    pub approvers: &'a Approvers,
    /// Must a request say why?
    pub reason: ReasonPolicy,
    /// A request that is not granted within this time expires.
    pub pending_timeout: &'a str,
    /// How long a request stays as history after its end.
    pub history_ttl: &'a str,
}
