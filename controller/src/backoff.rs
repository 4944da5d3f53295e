//! How long to wait before a failed pass over one object is tried again: doubling, per object, bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(25);
/// Revocations are retried too, so the longest pause is short.
const LONGEST: Duration = Duration::from_secs(30);

/// Failures in a row, by object uid.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Notes a failure; returns the pause.
    pub(crate) fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = failures.entry(uid.to_owned()).or_insert(0);
        let pause = FIRST.saturating_mul(1 << (*n).min(16)).min(LONGEST);
        *n = n.saturating_add(1);
        pause
    }

    /// Notes a success.
    pub(crate) fn succeeded(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_is_bounded_and_starts_anew() {
        let backoff = Backoff::default();
        assert_eq!([backoff.failed("a"), backoff.failed("a")], [FIRST, FIRST * 2]);
        assert_eq!(backoff.failed("b"), FIRST);
        assert_eq!((0..40).map(|_| backoff.failed("a")).last(), Some(LONGEST));
        backoff.succeeded("a");
        assert_eq!(backoff.failed("a"), FIRST);
    }
}
