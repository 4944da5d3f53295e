//! When a trigger that waits for a time is met. Pure: the instant to count from is passed in, and the time zones are
//! the ones compiled in, so that every machine gives the same answer.
//!
//! Where a zone's clock is set, as it is twice a year for daylight saving, this holds, which is what users of cron
//! know:
//! - A clock time, or a schedule of set hours and minutes, that the clock skips is met at the instant of the change.
//! - If the clock passes it twice, it is met once, the first time.
//! - A schedule with `*` or `*/n` as its minute or hour follows the clock as it stands: what is skipped is not made up
//!   for, what is repeated is met again.

use std::str::FromStr as _;

use croner::Cron;
use jiff::civil::{self, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::duration;

/// The most of a text that an error repeats, in characters.
const SHOWN: usize = 64;
/// The longest text that is looked at, in bytes: a cron line that lists every minute, hour, day, month and weekday.
const LONGEST: usize = 512;
/// How far back a change of the clock may lie whose skipped or repeated times still count: no zone ever moved further.
const LONGEST_CHANGE: SignedDuration = SignedDuration::from_hours(26);

/// When a time trigger is met.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "few exist at once, and none for long")]
pub enum TimeTrigger {
    /// At no time.
    Never,
    /// This long after what it counts from; zero is at once.
    After(SignedDuration),
    /// At an instant, and ever after.
    At(Timestamp),
    /// Each day at a time of the clock.
    Clock {
        /// The time of day.
        time: civil::Time,
        /// Whose clock.
        zone: TimeZone,
    },
    /// By a cron schedule.
    Cron {
        /// Five fields.
        schedule: Cron,
        /// Whose clock.
        zone: TimeZone,
    },
}

impl TimeTrigger {
    /// Reads `now`, a duration (`14h`, `1d12h`), an instant (RFC 3339 with its offset), a time of the clock (`18:00`,
    /// `18:00:30`, `6pm`, `6:00pm`) or `Never`. `zone` is an IANA name, such as Europe/Paris; "" is UTC.
    ///
    /// # Errors
    /// The text is none of these or out of bounds, or the zone is unknown: what to write instead.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let zone = time_zone(zone)?;
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::After(SignedDuration::ZERO));
        }
        let read = if text.len() > LONGEST {
            None
        } else if text.contains(['T', 't']) {
            instant(text).map(Self::At)
        } else if let Some(time) = clock(text) {
            Some(Self::Clock { time, zone })
        } else {
            span(text).map(Self::After)
        };
        read.ok_or_else(|| {
            format!(
                "{:?} is no time: write now, Never, a duration up to ten years such as 14h or 1d12h, a time of the \
                 clock such as 18:00, 6pm or 6:00pm, or an instant such as 2030-01-31T18:00:00+01:00",
                shown(text)
            )
        })
    }

    /// Reads a cron schedule of five fields: minute, hour, day of the month, month, day of the week, as a CronJob has
    /// them; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Months and weekdays may be given by three
    /// letters. If both days are set, either will do. A sixth field is refused: to some it is seconds, to others years.
    ///
    /// # Errors
    /// The text is no such schedule, no day ever matches it, or the zone is unknown: what to write instead.
    pub fn parse_cron(text: &str, zone: &str) -> Result<Self, String> {
        let zone = time_zone(zone)?;
        let refused = |why: &str| {
            Err(format!(
                "{:?} is no schedule, {why}: write minute, hour, day of the month, month and day of the week, such as \
                 30 8 * * MON-FRI, or @hourly, @daily, @weekly, @monthly or @yearly",
                shown(text)
            ))
        };
        if text.len() > LONGEST || !is_plain_cron(text) {
            return refused("it is not five fields of numbers, *, lists, ranges and steps");
        }
        let Ok(schedule) = Cron::from_str(text) else {
            return refused("a value is out of its field's bounds");
        };
        if next_of(&schedule, DateTime::constant(2000, 1, 1, 0, 0, 0, 0)).is_none() {
            return refused("no such day exists");
        }
        Ok(Self::Cron { schedule, zone })
    }

    /// The first instant at or after `from` at which it is met; of a clock time or schedule, the first after `from`.
    /// `None`: never.
    ///
    /// What is already over is met at once, and what lies beyond the end of time at the end of time: an end is never
    /// lost for being late. Schedules end with the year 4999.
    #[must_use]
    pub fn instant(&self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(wait) => Some(from.checked_add(*wait).unwrap_or(Timestamp::MAX)),
            Self::At(at) => Some(from.max(*at)),
            Self::Clock { time, zone } => next(zone, from, true, |earliest| {
                let today = earliest.date().to_datetime(*time);
                if today >= earliest { Some(today) } else { today.checked_add(1.day()).ok() }
            }),
            Self::Cron { schedule, zone } => {
                let set = !schedule.pattern.minutes.from_wildcard && !schedule.pattern.hours.from_wildcard;
                next(zone, from, set, |earliest| next_of(schedule, earliest))
            }
        }
    }
}

/// The first instant after `from` at which the zone's clock shows a time that `wanted` gives, or, if `once`, has come
/// to it or passed it for the first time. `wanted` is the first such time at or after the one it is given.
///
/// Goes from one change of the clock to the next: between two changes it runs evenly.
fn next(
    zone: &TimeZone,
    from: Timestamp,
    once: bool,
    wanted: impl Fn(DateTime) -> Option<DateTime>,
) -> Option<Timestamp> {
    let mut offset = zone.to_offset(from);
    let shows = offset.to_datetime(from);
    let second = shows.checked_sub(SignedDuration::from_nanos(shows.subsec_nanosecond().into())).ok()?;
    let mut earliest = second.checked_add(1.second()).ok()?;
    if once {
        // Up to where the clock has been before it was set back.
        let since = from.checked_sub(LONGEST_CHANGE).unwrap_or(Timestamp::MIN);
        let until = from.checked_add(SignedDuration::from_nanos(1)).unwrap_or(from);
        for change in zone.preceding(until).take_while(|change| change.timestamp() > since) {
            let before = change.timestamp().checked_sub(SignedDuration::from_nanos(1)).ok()?;
            earliest = earliest.max(zone.to_offset(before).to_datetime(change.timestamp()));
        }
    }
    for change in zone.following(from) {
        let (end, start) =
            (offset.to_datetime(change.timestamp()), change.offset().to_datetime(change.timestamp()));
        let found = wanted(earliest)?;
        if found < end {
            break;
        }
        if once && found < start {
            return Some(change.timestamp());
        }
        earliest = if once { found } else { start };
        offset = change.offset();
    }
    offset.to_timestamp(wanted(earliest)?).ok()
}

/// The schedule's first time at or after `earliest`.
fn next_of(schedule: &Cron, earliest: DateTime) -> Option<DateTime> {
    schedule.find_next_occurrence(&earliest, true).ok()
}

/// Only the zones that are compiled in, by their own names: nothing is read from the machine.
fn time_zone(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(|| {
        format!("{:?} is no time zone: write a name such as Europe/Paris, or nothing for UTC", shown(name))
    })
}

/// `2030-01-31T18:00:00+01:00` of the years 1 to 9999, and none of the further forms that the library takes.
fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (clock, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, None),
        None => {
            let (clock, offset) = time.split_at_checked(time.rfind(['+', '-'])?)?;
            (clock, Some(&offset[1..]))
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let is_form = shaped(date, "0000-00-00")
        && shaped(clock, "00:00:00")
        && offset.is_none_or(|offset| shaped(offset, "00:00"))
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && !date.starts_with("0000");
    if is_form { text.parse().ok() } else { None }
}

/// Does the text have a digit wherever the form has `0`, and the form's own character elsewhere?
fn shaped(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(t, f)| if f == b'0' { t.is_ascii_digit() } else { t == f })
}

/// `18:00`, `18:00:30`, `6pm`, `6:00pm`.
fn clock(text: &str) -> Option<civil::Time> {
    let text = text.to_ascii_lowercase();
    let (digits, noon) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (text.as_str(), None),
    };
    let is_form = ["0:00", "00:00", "0:00:00", "00:00:00"].iter().any(|form| shaped(digits, form))
        || noon.is_some() && ["0", "00"].iter().any(|form| shaped(digits, form));
    if !is_form {
        return None;
    }
    let mut parts = digits.split(':').map(|part| part.parse::<i8>().unwrap_or(-1));
    let (hour, minute, second) = (parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let hour = match noon {
        None => hour,
        Some(noon) if (1..=12).contains(&hour) => hour % 12 + noon,
        Some(_) => return None,
    };
    civil::Time::new(hour, minute, second, 0).ok()
}

/// A duration as the API writes it, and days before it.
fn span(text: &str) -> Option<SignedDuration> {
    let Some((days, rest)) = text.split_once('d') else { return duration::parse(text).ok() };
    if days.is_empty() || days.len() > 4 || !days.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let days = SignedDuration::from_hours(days.parse::<i64>().ok()? * 24);
    let rest = if rest.is_empty() { SignedDuration::ZERO } else { duration::parse(rest).ok()? };
    let span = days.checked_add(rest)?;
    (span.is_positive() && span <= duration::MAX).then_some(span)
}

/// Is it what a CronJob's schedule may hold? The library knows more (last days, nearest weekdays, years), takes a
/// month's name for any number, and nothing at all for a list.
fn is_plain_cron(text: &str) -> bool {
    const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let text = text.to_ascii_lowercase();
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [nickname] = *fields {
        return NICKNAMES.contains(&nickname);
    }
    let is_number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    fields.len() == 5
        && fields.iter().enumerate().all(|(i, field)| {
            let names: &[&str] = match i {
                3 => &MONTHS,
                4 => &WEEKDAYS,
                _ => &[],
            };
            let is_value = |part: &str| is_number(part) || names.contains(&part);
            field.split(',').all(|item| {
                let (values, step) = item.split_once('/').map_or((item, None), |(v, step)| (v, Some(step)));
                let is_several = values == "*"
                    || values.split_once('-').is_some_and(|(first, last)| is_value(first) && is_value(last));
                step.map_or(is_several || is_value(values), |step| is_several && is_number(step))
            })
        })
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
