//! Durations as people type them: what the API takes, and days. The API itself knows no days.

use jiff::SignedDuration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write days, hours, minutes and seconds, such as 2d, 1h30m or 45m, up to ten years")]
pub(crate) struct DurationError;

/// Reads `2d`, `1d12h`, `1h30m`.
///
/// # Errors
/// Anything else, zero, and more than ten years.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let text = text.trim();
    let Some((days, rest)) = text.split_once('d') else {
        return oz_shared::duration::parse(text).map_err(|_| DurationError);
    };
    if days.is_empty() || days.len() > 6 || !days.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError);
    }
    let hours = days.parse::<i64>().map_err(|_| DurationError)? * 24;
    let rest = match rest {
        "" => SignedDuration::ZERO,
        rest => oz_shared::duration::parse(rest).map_err(|_| DurationError)?,
    };
    let total = SignedDuration::from_hours(hours).checked_add(rest).ok_or(DurationError)?;
    if total.is_positive() && total <= oz_shared::duration::MAX { Ok(total) } else { Err(DurationError) }
}

/// kubectl's `--request-timeout`: a duration, or a bare number of seconds, or 0 for none.
///
/// # Errors
/// Anything else.
pub(crate) fn request_timeout(text: &str) -> Result<std::time::Duration, DurationError> {
    /// "None" still ends some day.
    const NONE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    match text.parse::<u64>() {
        Ok(0) => Ok(NONE),
        Ok(seconds) => Ok(std::time::Duration::from_secs(seconds).min(NONE)),
        Err(_) => Ok(std::time::Duration::try_from(parse(text)?).map_err(|_| DurationError)?.min(NONE)),
    }
}

/// For people: the two largest units, `2d4h`, `1h30m`, `45s`.
pub(crate) fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    let two =
        |a: i64, b: i64, x: char, y: char| if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") };
    match (days, hours, minutes) {
        (1.., ..) => two(days, hours, 'd', 'h'),
        (_, 1.., _) => two(hours, minutes, 'h', 'm'),
        (_, _, 10..) => format!("{minutes}m"),
        (_, _, 1..) => two(minutes, seconds % 60, 'm', 's'),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_hours() {
        let api = |text| parse(text).map(oz_shared::duration::format);
        assert_eq!(api("2d"), Ok("48h".into()));
        assert_eq!(api("1d12h"), Ok("36h".into()));
        assert_eq!(api("90m"), Ok("1h30m".into()));
        for bad in ["", "d", "0d", "-1d", "1h2d", "1.5h", "99999d", "1w", "10", "0s", "1d1d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn request_timeouts_as_kubectl_takes_them() {
        assert_eq!(request_timeout("5").unwrap().as_secs(), 5);
        assert_eq!(request_timeout("1m").unwrap().as_secs(), 60);
        assert!(request_timeout("0").unwrap().as_secs() > 3600);
        assert!(request_timeout("soon").is_err());
    }

    #[test]
    fn people_read_two_units() {
        let read = |s| human(SignedDuration::from_secs(s));
        let spans = [0, 59, 61, 599, 600, 3600, 5400, 90_000, 172_800].map(read);
        assert_eq!(spans, ["0s", "59s", "1m1s", "9m59s", "10m", "1h", "1h30m", "1d1h", "2d"]);
        assert_eq!(read(-5), "0s");
    }
}
