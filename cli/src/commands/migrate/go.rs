//! Durations as Go writes them (`time.ParseDuration`): `1h30m0s`, `1.5h`, `300ms`.

/// A thousand million: the units are in nanoseconds.
const SECOND: i128 = 1_000_000_000;
/// More digits than a duration of Go can hold.
const DIGITS: usize = 18;

/// Seconds, and whether they are exactly that: parts of a second are cut off. `None`: no such duration.
pub(super) fn seconds(text: &str) -> Option<(i64, bool)> {
    let (sign, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1 } else { 1 }, rest),
        None => (1, text),
    };
    if rest == "0" {
        return Some((0, true));
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| !c.is_ascii_digit() && c != '.');
        total = total.checked_add(amount(number, length(unit)?)?)?;
        rest = after;
    }
    let total = sign * total;
    Some((i64::try_from(total / SECOND).ok()?, total % SECOND == 0))
}

fn split(text: &str, of: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()))
}

/// In nanoseconds.
fn length(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

fn amount(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.len() <= DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let value = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let part = value(fraction)? * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(value(whole)? * unit + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (text, seconds_, exact) in [
            ("1h", 3600, true),
            ("90m", 5400, true),
            ("1h30m0s", 5400, true),
            ("1.5h", 5400, true),
            (".5h", 1800, true),
            ("1500ms", 1, false),
            ("1h1us", 3600, false),
            ("0", 0, true),
            ("-1h", -3600, true),
        ] {
            assert_eq!(seconds(text), Some((seconds_, exact)), "{text}");
        }
        for bad in ["", "-", "1", "h", "1d", "1h ", " 1h", ".h", "1..5h", "1h30", "9999999999999999999h"] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
