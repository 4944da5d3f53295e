//! One reconciler a kind, each in four steps, each a file: `observe` reads, `plan` decides without reading, waiting or
//! failing, `apply` is the only one that writes, and `mod` glues them.

pub(crate) mod delegation;
pub(crate) mod grant;
pub(crate) mod nsplease;
pub(crate) mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};

use crate::context::Context;
use crate::report::{self, Note};

/// The longest that one pass may take: many times what the slowest needs.
const PASS: Duration = Duration::from_secs(30);

/// Why a pass did not come to its end. It is tried again, unless that is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused, or did not answer.
    #[error("failed to {doing}: {}", report::chain(source))]
    Api {
        /// What was being done, after "failed to".
        doing: &'static str,
        /// What came back.
        source: kube::Error,
    },
    /// The API server will not have an object as it is, however often it is tried: its own words.
    #[error("{0}")]
    Invalid(String),
    /// The pass took too long.
    #[error("a pass took longer than {} s", PASS.as_secs())]
    TooSlow,
}

impl Error {
    /// Someone else wrote in between: nothing is wrong, the next pass sees it.
    fn is_conflict(&self) -> bool {
        // 422 without details is a JSON patch whose test did not hold.
        matches!(self, Self::Api { source: kube::Error::Api(status), .. }
            if status.code == 409 || (status.code == 422 && status.message.contains("the server rejected our request")))
    }
}

/// Says what was being done when the API failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for kube::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Api { doing, source })
    }
}

/// `t + d`, at the end of time where that overflows.
pub(crate) fn later(t: Timestamp, d: SignedDuration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

/// When a pass is to be made again without anything having changed.
pub(crate) fn wake(at: Option<Timestamp>, now: Timestamp) -> Action {
    match at {
        None => Action::await_change(),
        Some(at) => {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            // Instants are kept in whole seconds while clocks are not: never wake a moment too early.
            Action::requeue(wait.max(Duration::from_millis(5)))
        }
    }
}

/// Runs one pass over `object`: bounded in time, counted, its failure told on the object's request.
pub(crate) async fn pass<K, F>(
    kind: &'static str,
    object: &K,
    context: &Arc<Context>,
    regarding: ObjectReference,
    work: F,
) -> Result<Action, Error>
where
    K: Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, Error>>,
{
    pass_by(kind, object, context, regarding, None, work).await
}

/// The same; if it fails, another is made at `due` at the latest, where that is to come.
pub(crate) async fn pass_by<K, F>(
    kind: &'static str,
    object: &K,
    context: &Arc<Context>,
    regarding: ObjectReference,
    due: Option<Timestamp>,
    work: F,
) -> Result<Action, Error>
where
    K: Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, Error>>,
{
    let uid = object.uid().unwrap_or_default();
    if context.is_superseded(object) {
        return Ok(Action::await_change());
    }
    let started = Instant::now();
    let result = tokio::time::timeout(PASS, work).await.unwrap_or(Err(Error::TooSlow));
    context.metrics.pass(kind, result.is_ok(), started.elapsed());
    match result {
        Ok(action) => {
            context.backoff.succeeded(&uid);
            Ok(action)
        }
        Err(error) if error.is_conflict() => {
            tracing::debug!(kind, name = object.name_any(), "written by someone else in between");
            Ok(Action::requeue(until(context.backoff.failed(&uid), due, context.clock.latest())))
        }
        Err(error) => {
            let pause = until(context.backoff.failed(&uid), due, context.clock.latest());
            tracing::warn!(kind, name = object.name_any(), %error, pause_ms = pause.as_millis() as u64, "will try again");
            let note = Note { warning: true, reason: "Retrying", message: error.to_string() };
            context.events.publish(regarding, note);
            Ok(Action::requeue(pause))
        }
    }
}

/// The pause, or what is left until `due` where that is to come before.
fn until(pause: Duration, due: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = due.and_then(|due| Duration::try_from(due.duration_since(now)).ok());
    left.filter(|left| !left.is_zero()).map_or(pause, |left| left.min(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_not_put_off_by_what_failed_before() {
        let (now, pause) = (Timestamp::UNIX_EPOCH, Duration::from_secs(30));
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        assert_eq!(until(pause, at(4), now), Duration::from_secs(4));
        for due in [None, at(-4), at(0), at(31)] {
            assert_eq!(until(pause, due, now), pause, "{due:?}");
        }
    }
}
