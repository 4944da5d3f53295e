//! The clocks that count: the API server's and, where it is asked, NTP's.
//!
//! What begins and what is recorded goes by the API server's clock. What ends, ends as soon as one of the two says so. For
//! what comes by NTP is signed by nobody, and so it may bring an end forward, begin nothing, and put nothing off: not even
//! by being ahead when a deadline is fixed, and silent when it comes. It may not bring an end forward by more than
//! [`FARTHEST`] either: of clocks further apart than that one is wrong, and the API server's counts alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use oz_client::ServerClock;

/// How far NTP may stand from the API server's clock to be believed: what a cluster may drift whose nodes' clocks nobody
/// sets, and little enough to lose when somebody lies.
pub(crate) const FARTHEST: Duration = Duration::from_secs(60);
/// How long what was last agreed on by NTP counts: a machine's own clock drifts by less than half a second meanwhile.
const LASTS: Duration = Duration::from_secs(3600);

/// Cheap to clone; all clones share what is learnt.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    server: ServerClock,
    ntp: Arc<Mutex<Option<Measured>>>,
}

/// What NTP said, and when it did by a clock that nobody sets.
#[derive(Debug, Clone, Copy)]
struct Measured {
    offset: SignedDuration,
    at: Instant,
}

impl Clock {
    pub(crate) fn new(server: ServerClock) -> Self {
        Self { server, ntp: Arc::default() }
    }

    /// The present instant by the API server's clock: for what begins and what is recorded.
    pub(crate) fn now(&self) -> Timestamp {
        self.server.now()
    }

    /// The present instant by whichever clock is ahead: for what ends. Never before [`Clock::now`].
    pub(crate) fn latest(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.skew(Instant::now()).latest()).unwrap_or(now)
    }

    /// How the other clocks stand.
    pub(crate) fn skew(&self, at: Instant) -> Skew {
        let measured = *self.ntp.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = measured.filter(|measured| at.saturating_duration_since(measured.at) < LASTS);
        Skew { server: self.server.skew(), ntp: lasting.map(|measured| measured.offset) }
    }

    /// Notes what was agreed on by NTP: its clock minus this machine's.
    pub(crate) fn measured(&self, offset: SignedDuration, at: Instant) {
        *self.ntp.lock().unwrap_or_else(PoisonError::into_inner) = Some(Measured { offset, at });
    }
}

/// Other clocks, each minus this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skew {
    /// The API server's.
    pub(crate) server: SignedDuration,
    /// NTP's, where it is asked and has been agreed on of late.
    pub(crate) ntp: Option<SignedDuration>,
}

impl Skew {
    /// Is NTP near enough to the API server's clock?
    pub(crate) fn is_believed(self) -> bool {
        self.ntp.is_some_and(|ntp| ntp.saturating_sub(self.server).unsigned_abs() <= FARTHEST)
    }

    /// Is NTP too far from the API server's clock to be believed?
    pub(crate) fn is_refused(self) -> bool {
        self.ntp.is_some() && !self.is_believed()
    }

    /// That of the clock that is ahead.
    pub(crate) fn latest(self) -> SignedDuration {
        match self.ntp {
            Some(ntp) if self.is_believed() => self.server.max(ntp),
            _ => self.server,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(n: i64) -> SignedDuration {
        SignedDuration::from_secs(n)
    }

    #[test]
    fn ntp_brings_ends_forward_and_never_puts_them_off() {
        let latest = |server, ntp| Skew { server, ntp }.latest();
        assert_eq!(latest(seconds(3), None), seconds(3));
        assert_eq!(latest(seconds(3), Some(seconds(20))), seconds(20));
        assert_eq!(latest(seconds(3), Some(seconds(-20))), seconds(3));
        assert_eq!(latest(seconds(3), Some(seconds(63))), seconds(63));
        for liar in [seconds(64), seconds(-58), seconds(3600), SignedDuration::MAX, SignedDuration::MIN] {
            assert_eq!(latest(seconds(3), Some(liar)), seconds(3), "{liar}");
            assert!(Skew { server: seconds(3), ntp: Some(liar) }.is_refused(), "{liar}");
        }
    }

    #[test]
    fn what_was_agreed_on_outlasts_silence_for_an_hour() {
        let (clock, start) = (Clock::new(ServerClock::default()), Instant::now());
        assert_eq!(clock.skew(start), Skew { server: SignedDuration::ZERO, ntp: None });
        clock.measured(seconds(20), start);
        let later = |after| clock.skew(start + after).latest();
        assert_eq!(later(Duration::ZERO), seconds(20));
        assert_eq!(later(LASTS - Duration::from_secs(1)), seconds(20));
        assert_eq!(later(LASTS), SignedDuration::ZERO);
        clock.measured(seconds(10), start + LASTS);
        assert_eq!(later(LASTS), seconds(10));
        let (now, latest) = (clock.now(), clock.latest());
        assert!(latest >= now + seconds(10), "{now} {latest}");
    }

    proptest! {
        #[test]
        fn never_behind_the_api_server_nor_far_ahead(
            server in -1_000_000_000_i64..1_000_000_000,
            by in prop_oneof![-100_000_i64..100_000, any::<i64>()],
        ) {
            let server = SignedDuration::from_millis(server);
            let ntp = server.saturating_add(SignedDuration::from_millis(by));
            let ahead = Skew { server, ntp: Some(ntp) }.latest() - server;
            prop_assert!(!ahead.is_negative() && ahead.unsigned_abs() <= FARTHEST);
        }
    }
}
