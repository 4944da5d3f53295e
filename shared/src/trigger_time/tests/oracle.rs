//! Whole years against a calendar of its own: it goes through the year minute by minute, asks the zone for nothing but
//! its offset, and reckons dates by itself.

use std::collections::BTreeSet;

use super::*;

const DAY: i64 = 24 * 60;
const HOUR: i64 = 60;

/// One field of a schedule: its text, and what it means.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<i64>,
}

impl Field {
    fn has(&self, value: i64) -> bool {
        self.values.contains(&value)
    }

    fn is_star(&self) -> bool {
        self.text == "*"
    }
}

fn field(first: i64, last: i64) -> impl Strategy<Value = Field> {
    let range = (first..=last, first..=last).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        Just(Field { text: "*".into(), values: (first..=last).collect() }),
        (first..=last).prop_map(|v| Field { text: v.to_string(), values: [v].into() }),
        range.clone().prop_map(|(a, b)| Field { text: format!("{a}-{b}"), values: (a..=b).collect() }),
        (range, 2..9_usize).prop_map(|((a, b), n)| Field {
            text: format!("{a}-{b}/{n}"),
            values: (a..=b).step_by(n).collect(),
        }),
        (2..9_usize)
            .prop_map(move |n| Field { text: format!("*/{n}"), values: (first..=last).step_by(n).collect() }),
        prop::collection::btree_set(first..=last, 1..4).prop_map(|values| Field {
            text: values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            values,
        }),
    ]
}

/// Few times an hour, so that a year has few thousands of them.
fn minute() -> impl Strategy<Value = Field> {
    prop_oneof![
        (0..60_i64).prop_map(|v| Field { text: v.to_string(), values: [v].into() }),
        (20..60_usize).prop_map(|n| Field { text: format!("*/{n}"), values: (0..60).step_by(n).collect() }),
        prop::collection::btree_set(0..60_i64, 1..3).prop_map(|values| Field {
            text: values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            values,
        }),
    ]
}

#[derive(Debug, Clone)]
struct Schedule {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Schedule {
    fn text(&self) -> String {
        let Self { minute, hour, day, month, weekday } = self;
        [minute, hour, day, month, weekday].map(|field| field.text.as_str()).join(" ")
    }

    /// Is it met but once, and made up for when skipped?
    fn is_set(&self) -> bool {
        !self.minute.text.starts_with('*') && !self.hour.text.starts_with('*')
    }

    /// `local`: minutes of the wall clock since the midnight that began 1970.
    fn has(&self, local: i64) -> bool {
        if !self.minute.has(local.rem_euclid(HOUR)) || !self.hour.has(local.rem_euclid(DAY) / HOUR) {
            return false;
        }
        let days = local.div_euclid(DAY);
        let (month, day) = date(days);
        // It began with a Thursday.
        let (is_day, is_weekday) = (self.day.has(day), self.weekday.has((days + 4).rem_euclid(7)));
        let is_either = match (self.day.is_star(), self.weekday.is_star()) {
            (false, false) => is_day || is_weekday,
            _ => is_day && is_weekday,
        };
        self.month.has(month) && is_either
    }
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let often = |first, last| prop_oneof![3 => Just(Field { text: "*".into(), values: (first..=last).collect() }), 1 => field(first, last)];
    // Hours around those at which clocks are set.
    let hour = prop_oneof![2 => (0..4_i64).prop_map(|v| Field { text: v.to_string(), values: [v].into() }), 3 => field(0, 23)];
    (minute(), hour, often(1, 31), often(1, 12), often(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| Schedule { minute, hour, day, month, weekday })
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from the start of 1970 to that of the year.
fn start_of(year: i64) -> i64 {
    (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum()
}

/// Month and day of the month of a day counted from the start of 1970.
fn date(mut days: i64) -> (i64, i64) {
    let mut year = 1970 + days / 366;
    while start_of(year + 1) <= days {
        year += 1;
    }
    days -= start_of(year);
    let february = if is_leap(year) { 29 } else { 28 };
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if days < length {
            return (month, days + 1);
        }
        days -= length;
    }
    unreachable!()
}

fn offset(zone: &TimeZone, minute: i64) -> i64 {
    let seconds = i64::from(zone.to_offset(Timestamp::from_second(minute * 60).unwrap()).seconds());
    assert_eq!(seconds % 60, 0, "{zone:?}");
    seconds / 60
}

/// Every minute, from the first up to the last, at which it is met; and the minutes at which the clock is set.
fn walk(
    zone: &TimeZone,
    (first, last): (i64, i64),
    once: bool,
    has: impl Fn(i64) -> bool,
) -> (Vec<i64>, Vec<i64>) {
    let (mut met, mut changes) = (Vec::new(), Vec::new());
    let mut was = offset(zone, first);
    let mut reached = first + was - 1;
    for hour in (first..last).step_by(60) {
        let steady = offset(zone, hour) == was && offset(zone, hour + 59) == was;
        for minute in hour..hour + 60 {
            let now = if steady { was } else { offset(zone, minute) };
            if now != was {
                changes.push(minute);
            }
            was = now;
            let local = minute + now;
            let is_met = if once { (reached + 1..=local).any(&has) } else { has(local) };
            if is_met {
                met.push(minute);
            }
            reached = reached.max(local);
        }
    }
    (met, changes)
}

/// A year of the trigger's own iterations is what the walk finds; and so is the answer from any instant around a change
/// of the clock.
fn agrees(what: &str, trigger: &TimeTrigger, zone: &str, year: i64, once: bool, has: impl Fn(i64) -> bool) {
    let (first, last) = (start_of(year) * DAY, start_of(year + 1) * DAY);
    let what = format!("{what} in {zone}");
    let (met, changes) = walk(&time_zone(zone).unwrap(), (first - 3 * DAY, last + 9 * DAY), once, has);
    let instant = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    let expected: Vec<Timestamp> =
        met.iter().filter(|m| (first + 1..last).contains(m)).map(|m| instant(*m)).collect();
    let found: Vec<Timestamp> =
        std::iter::successors(trigger.instant(instant(first)), |met| trigger.instant(*met))
            .take_while(|met| *met < instant(last))
            // One that does not go on is found out, too.
            .take(expected.len() + 1)
            .collect();
    let differs = expected.iter().zip(&found).find(|(a, b)| a != b);
    assert_eq!((differs, found.len()), (None, expected.len()), "{what} in {year}");
    for change in changes.into_iter().filter(|change| (first..last).contains(change)) {
        for from in (change - 200..change + 200).step_by(7).chain([change - 1, change, change + 1]) {
            for from in [instant(from), instant(from) + SignedDuration::from_millis(1500)] {
                let expected = met.iter().map(|m| instant(*m)).find(|met| *met > from);
                let Some(expected) = expected else { continue };
                assert_eq!(trigger.instant(from), Some(expected), "{what} from {from}");
            }
        }
    }
}

fn schedule_agrees(schedule: &Schedule, zone: &str, year: i64) {
    let Ok(trigger) = TimeTrigger::parse_cron(&schedule.text(), zone) else {
        let never = schedule.day.values.iter().all(|day| *day > 28) && schedule.weekday.is_star();
        assert!(never, "{}", schedule.text());
        return;
    };
    agrees(&schedule.text(), &trigger, zone, year, schedule.is_set(), |local| schedule.has(local));
}

fn clock_agrees(minute_of_day: i64, zone: &str, year: i64) {
    let text = format!("{:02}:{:02}", minute_of_day / HOUR, minute_of_day % HOUR);
    let trigger = TimeTrigger::parse(&text, zone).unwrap();
    agrees(&text, &trigger, zone, year, true, |local| local.rem_euclid(DAY) == minute_of_day);
}

/// Since 1973 every zone's offset is a whole number of minutes.
const YEARS: std::ops::Range<i64> = 1973..2060;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_year_of_a_schedule(schedule in schedule(), zone in any_zone(), year in YEARS) {
        schedule_agrees(&schedule, &zone, year);
    }

    #[test]
    fn a_year_of_a_clock_time(
        minute in prop_oneof![0..4 * HOUR, 0..DAY],
        zone in any_zone(),
        year in YEARS,
    ) {
        clock_agrees(minute, &zone, year);
    }

    /// The zones whose clocks do what few do, in the years in which they did.
    #[test]
    fn a_year_of_the_odd_zones(
        schedule in schedule(),
        minute in prop_oneof![0..4 * HOUR, 0..DAY],
        (zone, year) in prop::sample::select(vec![
            ("Australia/Lord_Howe", 2030),
            ("Pacific/Apia", 2011),
            ("Pacific/Kwajalein", 1993),
            ("Pacific/Kiritimati", 1994),
            ("Europe/Dublin", 2030),
            ("Europe/Paris", 2024),
            ("America/New_York", 2030),
            ("America/St_Johns", 2008),
            ("America/Sao_Paulo", 2018),
            ("Asia/Gaza", 2030),
            ("Asia/Pyongyang", 2015),
            ("Asia/Kathmandu", 1986),
            ("America/Caracas", 2016),
            ("Antarctica/Troll", 2015),
            ("Africa/Casablanca", 2030),
            ("Africa/El_Aaiun", 2087),
            ("America/Scoresbysund", 2024),
        ]),
    ) {
        schedule_agrees(&schedule, zone, year);
        clock_agrees(minute, zone, year);
    }
}
