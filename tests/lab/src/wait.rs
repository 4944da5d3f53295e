//! Waiting for a condition: the one place that polls.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Short beside everything that is waited for, long beside one look at it.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks until `probe` finds something, fails, or `limit` has passed; `what` completes "gave up waiting for …".
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("gave up waiting for {what} after {} s", limit.as_secs());
        }
        sleep(INTERVAL);
    }
}

/// As [`until`], for a plain yes or no.
pub(crate) fn until_true(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, limit, || Ok(probe()?.then_some(())))
}
