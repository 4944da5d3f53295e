//! What tests on a real cluster share: finding the cluster, being someone there, raw requests and who refused them,
//! a namespace a test, and waiting for conditions instead of time.
//!
//! No test lives here, and nothing here knows what Oz should do.

pub mod afterwards;
pub mod filling;
pub mod http;
pub mod identity;
pub mod lab;
pub mod namespace;
pub mod objects;
pub mod refusal;
pub mod rights;
pub mod served;
pub mod wait;

pub use afterwards::Afterwards;
pub use http::{Answer, Call};
pub use identity::{Identity, User};
pub use lab::Lab;
pub use namespace::Namespace;
pub use objects::with;
pub use refusal::Outcome;
pub use served::is_served;
pub use wait::eventually;

use std::sync::LazyLock;

/// Carried by all that a run of tests makes, with the run's [`run`] as value, so that it can be found and removed.
pub const RUN_LABEL: &str = "tests.ozaccess.io/run";

static RUN: LazyLock<String> = LazyLock::new(|| {
    let now = jiff::Timestamp::now().as_microsecond().unsigned_abs();
    format!("{}{}", base36(now % 36_u64.pow(6)), base36(u64::from(std::process::id()) % 36_u64.pow(3)))
});

/// This run of tests, in letters and digits: the same throughout the process, another in the next one.
#[must_use]
pub fn run() -> &'static str {
    &RUN
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}
