use std::collections::BTreeSet;

use super::*;

/// Clocks change by an hour in the north and in the south, and by half an hour.
const ZONES: [&str; 4] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"];

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn timing(cron: &str, zone: &str) -> Timing {
    Timing {
        rule: TimeRule::Cron(cron.parse().unwrap()),
        zone: zone.parse().unwrap(),
        window: WindowKind::All,
        settle_minutes: 0,
    }
}

/// The moments of a rule from one moment on and before another.
fn moments(timing: &Timing, from: &str, before: &str) -> Vec<Time> {
    let mut found = Vec::new();
    let mut moment = moved(at(from), -1);
    while let Some(next) = timing.after(moment).filter(|next| *next < at(before)) {
        assert!(next > moment);
        found.push(next);
        moment = next;
    }
    found
}

fn check(cron: &str, zone: &str, (from, before): (&str, &str), expect: &[&str]) {
    let timing = timing(cron, zone);
    let found = moments(&timing, from, before);
    for pair in found.windows(2) {
        assert_eq!(timing.at_or_before(pair[1]), Some(pair[1]), "{cron} {zone}");
        assert_eq!(timing.at_or_before(moved(pair[1], -1)), Some(pair[0]), "{cron} {zone}");
    }
    let found: Vec<_> = found.iter().map(Time::to_string).collect();
    assert_eq!(found, expect, "{cron} {zone}");
}

#[test]
fn an_expression_matches_the_minutes_that_it_names() {
    let days = ("2026-01-01", "2026-01-03");
    check("0 2 * * *", "UTC", days, &["2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"]);
    check("30 1-3/2 2 jan *", "UTC", days, &["2026-01-02T01:30:00Z", "2026-01-02T03:30:00Z"]);
    // The 1st was a Thursday. Where both days are given, one of them is enough.
    check("0 0 2 * thu", "UTC", days, &["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
    check("0 0 */2 * thu", "UTC", ("2026-01-01", "2026-01-15"), &["2026-01-01T00:00:00Z"]);
    check(
        "5,10 0 * * 7",
        "UTC",
        ("2026-01-01", "2026-01-05"),
        &["2026-01-04T00:05:00Z", "2026-01-04T00:10:00Z"],
    );
    check(
        "0 0 29 2 *",
        "UTC",
        ("2026-01-01", "2033-01-01"),
        &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
    );
}

#[test]
fn a_wrong_expression_is_refused_with_its_field() {
    for (text, part) in [
        ("0 2 * *", "give five fields"),
        ("60 * * * *", "the minute is 0 to 59, not `60`"),
        ("* 24 * * *", "the hour is 0 to 23"),
        ("0 0 0 * *", "the day of the month is 1 to 31"),
        ("0 0 * foo *", "the month is 1 to 12, not `foo`"),
        ("*/0 * * * *", "the step of the minute"),
        ("0 5-2 * * *", "the hour `5-2` ends before it begins"),
        ("0 0 30 2 *", "never matches"),
    ] {
        let error = text.parse::<Cron>().unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let error = "Europe/Atlantis".parse::<Zone>().unwrap_err();
    assert!(error.contains("there is no time zone `Europe/Atlantis`"), "{error}");
}

#[test]
fn a_time_that_is_skipped_runs_later_and_one_that_comes_twice_runs_once() {
    let spring = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    check("30 2 * * *", "Europe/Berlin", spring, &["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    let autumn = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    check("30 2 * * *", "Europe/Berlin", autumn, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // Midnight itself is skipped.
    let midnight = ("2026-09-05T12:00:00Z", "2026-09-07T12:00:00Z");
    check(
        "0 0 * * *",
        "America/Santiago",
        midnight,
        &["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"],
    );
}

#[test]
fn in_a_year_each_local_day_runs_once_and_each_quarter_hour_of_real_time_too() {
    let year = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    for zone in ZONES {
        for cron in ["0 0 * * *", "30 2 * * *"] {
            let timing = timing(cron, zone);
            let found = moments(&timing, year.0, year.1);
            assert_eq!(found.len(), 365, "{cron} {zone}");
            let days: BTreeSet<_> = found.iter().map(|one| timing.local(*one).0).collect();
            assert_eq!(days.len(), 365, "{cron} {zone}");
        }
        // Around the days on which clocks change.
        for (from, before, days) in [
            ("2026-03-28", "2026-03-30", 2),
            ("2026-04-04", "2026-04-06", 2),
            ("2026-09-05", "2026-09-07", 2),
            ("2026-10-03", "2026-10-05", 2),
            ("2026-10-24", "2026-10-26", 2),
        ] {
            let found = moments(&timing("*/15 * * * *", zone), from, before);
            assert_eq!(found.len(), days * 24 * 4, "{zone} {from}");
        }
    }
}

/// Days come and go, servers are off from a minute to a month, and clocks change: the periods of all runs cover the year
/// once, without a gap, and each run comes in time when the server is on.
#[test]
fn the_periods_of_a_year_follow_one_another_without_a_gap() {
    arbtest::arbtest(|u| {
        let zone = *u.choose(&ZONES)?;
        let cron = *u.choose(&["0 2 * * *", "30 */12 * * *", "0 0 * * 1", "30 2 1 * *"])?;
        let settle_minutes = *u.choose(&[0, 10, 180])?;
        let window = WindowKind::Period;
        let timing = Timing { window, settle_minutes, ..timing(cron, zone) };
        let (mut now, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let first = timing.last_settled(now).unwrap();
        let (mut delivered, mut next) = (first, timing.next_run(now).unwrap());
        while now < end {
            let outage = *u.choose(&[0, 0, 0, 1, 60, 24 * 60, 31 * 24 * 60])?;
            now = moved(next.max(now), outage * 60_000_000);
            let (from, before) = timing.period(delivered, now).expect("a period has settled");
            assert_eq!(from, delivered);
            assert!(before <= now && moved(before, i64::from(settle_minutes) * 60_000_000) <= now);
            // Nothing that has settled is left for later.
            assert!(
                moved(timing.after(before).unwrap(), i64::from(settle_minutes) * 60_000_000) > now
            );
            assert_eq!(timing.period(before, now), None);
            delivered = before;
            next = timing.next_run(now).unwrap();
            assert!(next > now);
        }
        Ok(())
    });
}

#[test]
fn every_few_hours_counts_from_its_start() {
    let rule = TimeRule::EveryHours(6, at("2026-03-29T00:10:00Z"));
    let timing = Timing { rule, ..timing("0 0 * * *", "Europe/Berlin") };
    let found: Vec<_> = moments(&timing, "2026-03-28T23:00:00Z", "2026-03-29T13:00:00Z")
        .iter()
        .map(Time::to_string)
        .collect();
    assert_eq!(found, ["2026-03-29T00:10:00Z", "2026-03-29T06:10:00Z", "2026-03-29T12:10:00Z"]);
}

#[test]
fn names_have_the_local_date_or_a_number() {
    let timing = timing("0 2 * * *", "Australia/Lord_Howe");
    let pattern: NamePattern = "support_{date}_{time}-{n}".parse().unwrap();
    let name = timing.name(&pattern, at("2026-01-01T15:30:00Z"), 7).unwrap();
    assert_eq!(name.as_str(), "support_2026-01-02_0230-7");
    for (text, part) in [
        ("support", "a name of its own"),
        ("a/{date}", "path separator"),
        ("{day}", "contains `{`"),
        (&*"x".repeat(60).as_str().to_owned(), "a name of its own"),
    ] {
        let error = text.parse::<NamePattern>().unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_dataset_is_delivered_to_a_folder_within_the_destination() {
    let timing = timing("0 2 * * *", "Europe/Berlin");
    for (prefix, by_date, folder, fixed) in [
        ("", false, "nightly", ""),
        ("", true, "date=2026-03-29/nightly", ""),
        ("team/a_b/", true, "team/a_b/date=2026-03-29/nightly", "team/a_b"),
        ("x/{date}/t={time}/{n}", false, "x/2026-03-29/t=0330/7/nightly", "x"),
    ] {
        let to = DeliverTo { destination: "lake".into(), prefix: prefix.parse().unwrap(), by_date };
        let moment = at("2026-03-29T01:30:00Z");
        assert_eq!(timing.folder(&to, (moment, 7), "nightly"), folder);
        assert_eq!(to.prefix.fixed(), fixed);
    }
    for (prefix, part) in [
        ("a//b", "an empty folder"),
        ("/etc", "an empty folder"),
        ("a/../../etc", "begins with `.`"),
        (".ssh", "begins with `.`"),
        ("{day}", "other characters"),
        ("a\\b", "other characters"),
        ("a#1", "other characters"),
        (&*"x".repeat(201), "longer than 200"),
    ] {
        let error = prefix.parse::<FolderPattern>().unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
