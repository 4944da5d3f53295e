//! Waiting for what will be true soon, with an end and with a word about what was seen last.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks: short beside what is waited for, long enough to leave the API server its time.
const PAUSE: Duration = Duration::from_millis(40);

/// Looks again and again until `look` gives a value; an `Err` says what stood there instead.
///
/// # Errors
/// When `limit` has passed: `what` did not happen, and what the last look saw.
///
/// ```no_run
/// # async fn example(pod: &str) -> anyhow::Result<()> {
/// # async fn phase(_: &str) -> String { String::new() }
/// support::eventually("the pod runs", std::time::Duration::from_secs(20), || async {
///     match phase(pod).await.as_str() {
///         "Running" => Ok(()),
///         other => Err(format!("phase {other}")),
///     }
/// })
/// .await
/// # }
/// ```
pub async fn eventually<T, S, F, L>(what: &str, limit: Duration, mut look: L) -> Result<T>
where
    S: Display,
    F: Future<Output = Result<T, S>>,
    L: FnMut() -> F,
{
    let start = Instant::now();
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(seen) if start.elapsed() >= limit => {
                bail!("after {:.1} s still not so: {what}; last seen: {seen}", limit.as_secs_f32())
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
