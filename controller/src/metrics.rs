//! What is measured, in Prometheus' terms. Labels have few values, never names of objects or people.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::clock::Skew;

type Label = [(&'static str, &'static str); 1];

const API_SERVER: Label = [("clock", "api-server")];
const NTP: Label = [("clock", "ntp")];

/// All metrics of the process.
pub(crate) struct Metrics {
    registry: Registry,
    passes: Family<[(&'static str, &'static str); 2], Counter>,
    seconds: Family<Label, Histogram, fn() -> Histogram>,
    grants: Gauge,
    requests: Family<Label, Gauge>,
    skew: Family<Label, Gauge<f64, AtomicU64>>,
    ntp: Gauge,
    leader: Gauge,
    swept: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("oz");
        let metrics = Self {
            passes: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14))),
            grants: Gauge::default(),
            requests: Family::default(),
            skew: Family::default(),
            ntp: Gauge::default(),
            leader: Gauge::default(),
            swept: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("passes", "Passes over one object, by kind and outcome", metrics.passes.clone());
        registry.register_with_unit("pass", "How long a pass took", Unit::Seconds, metrics.seconds.clone());
        registry.register("grants", "Grants that exist", metrics.grants.clone());
        registry.register("requests", "Requests that exist, by phase", metrics.requests.clone());
        registry.register_with_unit(
            "clock_skew",
            "Another clock minus this machine's, by whose it is: the API server's, or what NTP agrees on",
            Unit::Seconds,
            metrics.skew.clone(),
        );
        registry.register(
            "ntp_believed",
            "1 while NTP is agreed on and near enough to the API server's clock",
            metrics.ntp.clone(),
        );
        registry.register("leader", "1 while this replica holds the lease", metrics.leader.clone());
        registry.register(
            "swept_objects",
            "Labelled objects without a grant that were deleted",
            metrics.swept.clone(),
        );
        Self { registry, ..metrics }
    }
}

/// What is counted at the moment of asking.
pub(crate) struct Counts {
    pub(crate) grants: usize,
    pub(crate) requests: Vec<(&'static str, usize)>,
    pub(crate) skew: Skew,
}

impl Metrics {
    pub(crate) fn pass(&self, kind: &'static str, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "success" } else { "error" };
        self.passes.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
        self.seconds.get_or_create(&[("kind", kind)]).observe(took.as_secs_f64());
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    pub(crate) fn swept(&self, objects: usize) {
        self.swept.inc_by(objects as u64);
    }

    /// The exposition text.
    pub(crate) fn text(&self, counts: &Counts) -> String {
        self.grants.set(i64::try_from(counts.grants).unwrap_or(i64::MAX));
        for (phase, n) in &counts.requests {
            self.requests.get_or_create(&[("phase", phase)]).set(i64::try_from(*n).unwrap_or(i64::MAX));
        }
        self.skew.get_or_create(&API_SERVER).set(counts.skew.server.as_secs_f64());
        match counts.skew.ntp {
            Some(ntp) => drop(self.skew.get_or_create(&NTP).set(ntp.as_secs_f64())),
            None => drop(self.skew.remove(&NTP)),
        }
        self.ntp.set(counts.skew.is_believed().into());
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            let _ = writeln!(text, "# encoding failed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn clocks_are_told_by_whose_they_are() {
        let metrics = Metrics::default();
        let told = |ntp: Option<i64>| {
            let skew =
                Skew { server: SignedDuration::from_millis(1500), ntp: ntp.map(SignedDuration::from_secs) };
            metrics.text(&Counts { grants: 0, requests: Vec::new(), skew })
        };
        let believed = told(Some(20));
        for line in [
            "oz_clock_skew_seconds{clock=\"api-server\"} 1.5",
            "oz_clock_skew_seconds{clock=\"ntp\"} 20.0",
            "oz_ntp_believed 1",
        ] {
            assert!(believed.contains(line), "{believed}");
        }
        let refused = told(Some(3600));
        assert!(
            refused.contains("{clock=\"ntp\"} 3600.0") && refused.contains("oz_ntp_believed 0"),
            "{refused}"
        );
        let silent = told(None);
        assert!(!silent.contains("clock=\"ntp\"") && silent.contains("oz_ntp_believed 0"), "{silent}");
    }
}
