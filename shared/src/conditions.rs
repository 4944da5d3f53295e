//! Conditions: the upstream type, with the rule that the transition time moves only when the status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::plain::{clean, cut};

/// The request can be granted as it was asked.
pub const ACCEPTED: &str = "Accepted";
/// Enough people agreed.
pub const APPROVED: &str = "Approved";
/// Usable now.
pub const READY: &str = "Ready";
/// Everything was taken back; the reason says what ended it. False while that goes on.
pub const ENDED: &str = "Ended";
/// The time servers that the controller asks are near the API server's clock; there only once they were not.
pub const CLOCKS_AGREE: &str = "ClocksAgree";

/// The longest message that is stored, in characters; more is cut.
const MAX_MESSAGE: usize = 2048;

/// Sets one condition, its message clean and cut, in `conditions`, keeping the order, and the transition time unless the status changes.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if status { "True" } else { "False" };
    let message = cut(&clean(message), MAX_MESSAGE);
    let mut condition = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: Time(whole_second(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// The condition of this type.
#[must_use]
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Is the condition of this type there and True?
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|c| c.status == "True")
}

/// Kubernetes stores times in whole seconds: what is compared with a stored one is cut likewise.
#[must_use]
pub fn whole_second(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_with_the_status_alone() {
        let (t1, t2) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T01:00:00Z".parse().unwrap());
        let mut conditions = Vec::new();
        set(&mut conditions, READY, false, "Making", "a", None, t1);
        set(&mut conditions, READY, false, "Making", "b", None, t2);
        assert_eq!(conditions[0].last_transition_time.0, t1);
        assert_eq!(conditions[0].message, "b");
        set(&mut conditions, READY, true, "Made", "", None, t2);
        assert_eq!(conditions[0].last_transition_time.0, t2);
        assert_eq!(conditions.len(), 1);
    }
}
