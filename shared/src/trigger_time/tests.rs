use proptest::prelude::*;

use super::*;

mod oracle;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(text: &str, zone: &str) -> TimeTrigger {
    TimeTrigger::parse_cron(text, zone).unwrap()
}

/// The first times after `from` at which it is met.
fn times(trigger: &TimeTrigger, from: &str, n: usize) -> Vec<String> {
    std::iter::successors(trigger.instant(at(from)), |met| trigger.instant(*met))
        .take(n)
        .map(|met| met.to_string())
        .collect()
}

#[test]
fn texts_are_read() {
    let read = |text| TimeTrigger::parse(text, "").unwrap();
    assert_eq!(read("Never"), TimeTrigger::Never);
    assert_eq!(read("now"), TimeTrigger::After(SignedDuration::ZERO));
    assert_eq!(read("14h"), TimeTrigger::After(SignedDuration::from_hours(14)));
    assert_eq!(read("1d12h"), TimeTrigger::After(SignedDuration::from_hours(36)));
    assert_eq!(read("2d"), TimeTrigger::After(SignedDuration::from_hours(48)));
    for (text, met) in [
        ("2030-01-31T18:00:00+01:00", "2030-01-31T17:00:00Z"),
        ("2030-01-31T18:00:00.25-00:30", "2030-01-31T18:30:00.25Z"),
        ("2030-01-31t18:00:00z", "2030-01-31T18:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(read(text), TimeTrigger::At(at(met)), "{text}");
    }
    for (text, (hour, minute, second)) in [
        ("6:00pm", (18, 0, 0)),
        ("06:05:09PM", (18, 5, 9)),
        ("6pm", (18, 0, 0)),
        ("12am", (0, 0, 0)),
        ("12pm", (12, 0, 0)),
        ("12:59am", (0, 59, 0)),
        ("11pm", (23, 0, 0)),
        ("18:00", (18, 0, 0)),
        ("6:00", (6, 0, 0)),
        ("18:00:30", (18, 0, 30)),
        ("0:00", (0, 0, 0)),
    ] {
        let time = civil::Time::constant(hour, minute, second, 0);
        assert_eq!(read(text), TimeTrigger::Clock { time, zone: TimeZone::UTC }, "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_the_way_out() {
    for bad in [
        "",
        " ",
        "18",
        "24:00",
        "18:60",
        "18:00:60",
        "6:0pm",
        "0am",
        "13pm",
        "18:00pm",
        "6:00 pm",
        "pm",
        "0s",
        "-1h",
        "1w",
        "4000d",
        "9999d",
        "99999d",
        "d",
        "1h2d",
        "tomorrow",
        "2030-01-31",
        "2030-01-31T18:00:00",
        "2030-02-30T18:00:00Z",
        "2030-01-31T18:00Z",
        "2030-01-31 18:00:00Z",
        "2030-01-31T18:00:00Z[Europe/Paris]",
        "2030-01-31T18:00:00+01:00[Europe/Paris]",
        "0000-01-01T00:00:00Z",
        "-002030-01-31T18:00:00Z",
        "20300131T180000Z",
        "2030-01-31T18:00:00.Z",
        "2030-01-31T18:00:00+1",
        "2030-01-31T18:00:00+\u{e9}9:00",
    ] {
        let error = TimeTrigger::parse(bad, "").unwrap_err();
        assert!(error.starts_with(&format!("{bad:?} is no time")) && error.contains("6:00pm"), "{error}");
    }
    let long = "1".repeat(100_000);
    assert!(TimeTrigger::parse(&long, "").unwrap_err().len() < 400);
    for bad in ["Europe/Pari", "../../etc/passwd", "CET-1CEST", "local", "Etc/Unknown", "+01:00", " UTC"] {
        let error = TimeTrigger::parse("18:00", bad).unwrap_err();
        assert!(error.contains("is no time zone") && error.contains("Europe/Paris"), "{error}");
        assert!(TimeTrigger::parse_cron("0 18 * * *", bad).is_err());
    }
}

#[test]
fn schedules_are_those_of_a_cron_job() {
    for good in [
        "0 18 * * *",
        "*/15 8-17 * * mon-FRI",
        "0 0 1,15 JAN-mar *",
        " 5  4 * *  sun ",
        "0-30/10 * * * 7",
        "@daily",
        "@Hourly",
        "0 0 29 2 *",
        "0 0 31 2 MON",
    ] {
        assert!(TimeTrigger::parse_cron(good, "").is_ok(), "{good}");
    }
    for bad in [
        "",
        "* * * *",
        "* * * * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5/15 * * * *",
        "*/0 * * * *",
        "17-8 * * * *",
        ", * * * *",
        "1, * * * *",
        "* , * * *",
        "MON * * * *",
        "0 0 JAN * *",
        "0 0 1 1FEB *",
        "0 0 L * *",
        "0 0 1W * *",
        "0 0 * * MON#2",
        "0 0 * * +MON",
        "0 0 ? * *",
        "0 0 31 2 *",
        "0 0 31 4,6,9,11 *",
        "@reboot",
        "daily",
        "\u{661} * * * *",
    ] {
        let error = TimeTrigger::parse_cron(bad, "").unwrap_err();
        assert!(
            error.starts_with(&format!("{bad:?} is no schedule")) && error.contains("@hourly"),
            "{error}"
        );
    }
    let line = |last: u32| (0..=last).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let days = |last: u32| (1..=last).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let longest = format!("{} {} {} {} {}", line(59), line(23), days(31), days(12), line(6));
    assert!(TimeTrigger::parse_cron(&longest, "").is_ok(), "{}", longest.len());
}

#[test]
fn what_is_over_is_met_at_once_and_nothing_overflows() {
    let now = at("2030-01-31T18:00:00.5Z");
    let met = |trigger: TimeTrigger| trigger.instant(now);
    assert_eq!(met(TimeTrigger::Never), None);
    assert_eq!(met(TimeTrigger::After(SignedDuration::ZERO)), Some(now));
    assert_eq!(met(TimeTrigger::At(at("2029-01-01T00:00:00Z"))), Some(now));
    assert_eq!(met(TimeTrigger::At(at("2031-01-01T00:00:00Z"))), Some(at("2031-01-01T00:00:00Z")));
    assert_eq!(TimeTrigger::After(duration::MAX).instant(Timestamp::MAX), Some(Timestamp::MAX));
    let clock = TimeTrigger::parse("18:00", "").unwrap();
    assert_eq!(clock.instant(Timestamp::MAX), None);
    assert_eq!(
        times(&clock, "2030-01-31T17:59:59.999Z", 2),
        ["2030-01-31T18:00:00Z", "2030-02-01T18:00:00Z"]
    );
    assert_eq!(times(&clock, "2030-01-31T18:00:00.5Z", 1), ["2030-02-01T18:00:00Z"]);
    assert_eq!(cron("0 0 29 2 *", "").instant(at("4999-01-01T00:00:00Z")), None);
    assert_eq!(times(&cron("0 0 29 2 *", ""), "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
}

/// Each change of the clock, with the instants worked out by hand.
#[test]
fn a_clock_that_is_set_forward_is_met_at_the_change_and_one_set_back_once() {
    for (text, zone, from, met) in [
        ("2:30", "Europe/Paris", "2030-03-30T12:00:00Z", ["2030-03-31T01:00:00Z", "2030-04-01T00:30:00Z"]),
        ("2:30", "Europe/Paris", "2030-10-26T12:00:00Z", ["2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"]),
        // From within the hour that is there for the second time.
        ("2:30", "Europe/Paris", "2030-10-27T01:15:00Z", ["2030-10-28T01:30:00Z", "2030-10-29T01:30:00Z"]),
        ("3:00", "Europe/Paris", "2030-03-30T12:00:00Z", ["2030-03-31T01:00:00Z", "2030-04-01T01:00:00Z"]),
        // Winter time is the exception there, by an offset below the standard one.
        ("1:30", "Europe/Dublin", "2030-03-30T12:00:00Z", ["2030-03-31T01:00:00Z", "2030-04-01T00:30:00Z"]),
        ("1:30", "Europe/Dublin", "2030-10-26T12:00:00Z", ["2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"]),
        // Half an hour.
        (
            "2:15",
            "Australia/Lord_Howe",
            "2030-10-05T00:00:00Z",
            ["2030-10-05T15:30:00Z", "2030-10-06T15:15:00Z"],
        ),
        (
            "1:45",
            "Australia/Lord_Howe",
            "2030-04-06T00:00:00Z",
            ["2030-04-06T14:45:00Z", "2030-04-07T15:15:00Z"],
        ),
        // Midnight itself is skipped.
        (
            "0:00",
            "America/Asuncion",
            "2020-10-03T12:00:00Z",
            ["2020-10-04T04:00:00Z", "2020-10-05T03:00:00Z"],
        ),
        // Samoa had no 30 December.
        ("18:00", "Pacific/Apia", "2011-12-30T05:00:00Z", ["2011-12-30T10:00:00Z", "2011-12-31T04:00:00Z"]),
        // Kwajalein had no 21 August, by then a day ahead of its neighbours.
        (
            "6pm",
            "Pacific/Kwajalein",
            "1993-08-21T06:30:00Z",
            ["1993-08-21T12:00:00Z", "1993-08-22T06:00:00Z"],
        ),
    ] {
        let trigger = TimeTrigger::parse(text, zone).unwrap();
        assert_eq!(times(&trigger, from, 2), met, "{text} {zone}");
        let (hour, minute) = match &trigger {
            TimeTrigger::Clock { time, .. } => (time.hour(), time.minute()),
            _ => unreachable!(),
        };
        assert_eq!(times(&cron(&format!("{minute} {hour} * * *"), zone), from, 2), met, "{text} {zone}");
    }
}

#[test]
fn a_schedule_with_a_star_follows_the_clock_and_one_without_is_made_up_for() {
    let (spring, autumn) = ("2030-03-31T00:10:00Z", "2030-10-27T00:10:00Z");
    let half_hours = cron("*/30 * * * *", "Europe/Paris");
    assert_eq!(
        times(&half_hours, spring, 3),
        ["2030-03-31T00:30:00Z", "2030-03-31T01:00:00Z", "2030-03-31T01:30:00Z"]
    );
    assert_eq!(
        times(&half_hours, autumn, 3),
        ["2030-10-27T00:30:00Z", "2030-10-27T01:00:00Z", "2030-10-27T01:30:00Z"]
    );
    let at_two = cron("*/30 2 * * *", "Europe/Paris");
    assert_eq!(times(&at_two, spring, 2), ["2030-04-01T00:00:00Z", "2030-04-01T00:30:00Z"]);
    assert_eq!(
        times(&at_two, autumn, 3),
        ["2030-10-27T00:30:00Z", "2030-10-27T01:00:00Z", "2030-10-27T01:30:00Z"]
    );
    let set = cron("15,45 2,3 * * *", "Europe/Paris");
    assert_eq!(
        times(&set, spring, 3),
        ["2030-03-31T01:00:00Z", "2030-03-31T01:15:00Z", "2030-03-31T01:45:00Z"]
    );
    assert_eq!(
        times(&set, autumn, 3),
        ["2030-10-27T00:15:00Z", "2030-10-27T00:45:00Z", "2030-10-27T02:15:00Z"]
    );
}

proptest! {
    #[test]
    fn hostile_texts_never_panic(text in ".{0,60}", zone in ".{0,20}") {
        let _ = TimeTrigger::parse(&text, &zone);
        let _ = TimeTrigger::parse_cron(&text, &zone);
    }

    #[test]
    fn nothing_that_is_read_panics(
        text in "[0-9apmhsdtzTZ:.+-]{0,25}|[0-9]{1,2}:[0-9]{2}(am|pm)?|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-9]{2}:00Z",
        from in any_instant(),
        zone in any_zone(),
    ) {
        if let Ok(trigger) = TimeTrigger::parse(&text, &zone) {
            prop_assert!(trigger.instant(from).is_none_or(|met| met >= from));
        }
    }

    #[test]
    fn no_schedule_panics(
        text in "([0-9*/,-]{1,6} ){2}[0-9*/,?LW-]{1,4} [0-9A-Za-z*,-]{1,4} [0-9*,#LMON-]{1,4}|([0-9]{1,2} ){2}[*0-9]{1,2} \\* [*0-7]",
        from in any_instant(),
        zone in any_zone(),
    ) {
        if let Ok(trigger) = TimeTrigger::parse_cron(&text, &zone) {
            prop_assert!(trigger.instant(from).is_none_or(|met| met > from));
        }
    }
}

/// Mostly of our time, and from one end of time to the other.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    let nanoseconds =
        |range: std::ops::RangeInclusive<i128>| range.prop_map(|ns| Timestamp::from_nanosecond(ns).unwrap());
    prop_oneof![
        nanoseconds(0..=at("2100-01-01T00:00:00Z").as_nanosecond()),
        nanoseconds(Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond()),
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
    ]
}

fn any_zone() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect();
    assert!(names.len() > 400, "{}", names.len());
    prop::sample::select(names)
}
