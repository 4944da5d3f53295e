//! Durations as the API writes them: hours, minutes and seconds, `1h30m`. CEL's `duration()` in the API server's
//! policies knows these units and no longer ones.

use jiff::SignedDuration;

/// The longest that is accepted anywhere: ten years of 365 days.
pub const MAX: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no duration: write hours, minutes and seconds, such as 1h30m, 45m or 90s, up to ten years"
)]
pub struct DurationError {
    text: String,
}

/// Reads `1h30m`. Empty, zero, negative, longer than [`MAX`] or in any other unit is an error.
///
/// # Errors
/// The text is not of that form or out of bounds.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let error = || DurationError { text: text.chars().take(64).collect() };
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'h' | b'm' | b's')) {
        return Err(error());
    }
    let duration: SignedDuration = text.parse().map_err(|_| error())?;
    if duration.is_positive() && duration <= MAX { Ok(duration) } else { Err(error()) }
}

/// The shortest form of whole seconds: `5400` gives `1h30m`.
#[must_use]
pub fn format(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_api_admits() {
        assert_eq!(parse("1h30m"), Ok(SignedDuration::from_secs(5400)));
        assert_eq!(parse("90s"), Ok(SignedDuration::from_secs(90)));
        for bad in ["", "1d", "0s", "-1h", "1h ", "h", "30m1h", "1.5h", "99999999999h", "1h\n", "1 hour"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn writes_what_it_reads(seconds in 1_i64..315_360_000) {
            let duration = SignedDuration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
