//! The API server's clock, learnt from the `Date` of its answers.
//!
//! Deadlines are measured on the API server's clock, as its admission policies measure them. A `Date` has whole seconds,
//! so one answer says only that the offset lies between two bounds a little over a second apart; the bounds of many
//! answers are intersected. While "no offset" is possible, none is assumed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response, header};
use jiff::{SignedDuration, Timestamp};
use tower::{Layer, Service};

/// How far the API server's clock stands from this machine's. Cheap to clone; all clones share what is learnt.
#[derive(Debug, Clone, Default)]
pub struct ServerClock(Arc<Mutex<Bounds>>);

impl ServerClock {
    /// The present instant by the API server's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.skew()).unwrap_or_else(|_| Timestamp::now())
    }

    /// The API server's clock minus this machine's; zero while that is possible.
    pub fn skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.0.lock().unwrap_or_else(PoisonError::into_inner).estimate())
    }

    pub(crate) fn layer(&self) -> ClockLayer {
        ClockLayer(self.clone())
    }

    fn learn(&self, sent: Timestamp, received: Timestamp, date: Timestamp) {
        let narrowed = Bounds {
            low: date.as_millisecond() - received.as_millisecond(),
            high: date.as_millisecond() + 1_000 - sent.as_millisecond(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).narrow(narrowed);
    }
}

/// The offset lies between these, both in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: i64,
    high: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { low: i64::MIN, high: i64::MAX }
    }
}

impl Bounds {
    /// Bounds that contradict what was learnt mean that a clock was set: the new ones count.
    fn narrow(&mut self, new: Bounds) {
        let both = Bounds { low: self.low.max(new.low), high: self.high.min(new.high) };
        *self = if both.low <= both.high { both } else { new };
    }

    fn estimate(self) -> i64 {
        if self.low <= 0 && self.high >= 0 { 0 } else { self.low.midpoint(self.high) }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ClockLayer(ServerClock);

impl<S> Layer<S> for ClockLayer {
    type Service = ClockService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClockService { inner, clock: self.0.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ClockService<S> {
    inner: S,
    clock: ServerClock,
}

impl<S, Req, Res> Service<Request<Req>> for ClockService<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let clock = self.clock.clone();
        let sent = Timestamp::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let date = response.headers().get(header::DATE).and_then(|d| d.to_str().ok());
            if let Some(date) = date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok()) {
                clock.learn(sent, Timestamp::now(), date.timestamp());
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn no_offset_is_assumed_while_it_is_possible() {
        let clock = ServerClock::default();
        assert_eq!(clock.skew(), SignedDuration::ZERO);
        clock.learn(at(1_700_000_000_400), at(1_700_000_000_420), at(1_700_000_000_000));
        assert_eq!(clock.skew(), SignedDuration::ZERO);
    }

    #[test]
    fn answers_narrow_the_offset_and_a_set_clock_starts_anew() {
        let clock = ServerClock::default();
        clock.learn(at(1_000_000), at(1_000_100), at(1_030_000));
        clock.learn(at(1_000_900), at(1_001_000), at(1_030_000));
        let skew = clock.skew().as_millis();
        assert!((29_990..=30_100).contains(&skew), "{skew}");
        clock.learn(at(2_000_000), at(2_000_010), at(1_990_000));
        let skew = clock.skew().as_millis();
        assert!((-10_010..=-9_000).contains(&skew), "{skew}");
    }
}
