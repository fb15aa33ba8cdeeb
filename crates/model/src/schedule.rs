//! Schedules: when an export runs by itself, which window of the history it takes, and the name of its dataset.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

mod cron;
mod deliver;
#[cfg(test)]
mod tests;

pub use cron::Cron;
pub use deliver::{DeliverTo, FolderPattern};

use crate::name::DatasetName;
use crate::named;
use crate::time::Time;

/// Which of the matching items a run exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WindowKind {
    /// All of them, each time.
    #[default]
    All,
    /// Those that are new or changed since the last run.
    Changed,
    /// Those created in the period that ended, and those of earlier periods that arrived late.
    Period,
}

named!(WindowKind, "window", All = "all", Changed = "changed", Period = "period");

/// Whether a schedule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScheduleState {
    /// It runs.
    Active,
    /// Someone paused it.
    Paused,
    /// It failed too often, or its owner is gone.
    Disabled,
}

named!(
    ScheduleState,
    "state of a schedule",
    Active = "active",
    Paused = "paused",
    Disabled = "disabled"
);

/// Which datasets of a schedule are kept; the others are deleted when a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The newest ones, up to this number.
    Datasets(u64),
    /// Those that are at most this many days old.
    Days(u64),
}

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "UTC" {
            return Ok(Self::default());
        }
        TimeZone::get(name).map(Self).map_err(|_| {
            let name: String = name.chars().take(80).collect();
            format!("there is no time zone `{name}`; one is named like `Europe/Berlin` or `UTC`")
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeRule {
    /// By the local clock.
    Cron(Cron),
    /// Every few hours, counted from a moment.
    EveryHours(u32, Time),
}

/// When a schedule runs, and which window it takes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// When it runs.
    pub rule: TimeRule,
    /// The time zone of the rule and of dates in names.
    pub zone: Zone,
    /// Which items a run takes.
    pub window: WindowKind,
    /// Minutes to wait after the end of a period for items that arrive late.
    pub settle_minutes: u32,
}

fn stamp(time: Time) -> Timestamp {
    Timestamp::from_microsecond(time.unix_micros()).unwrap_or_default()
}

fn time(stamp: Timestamp) -> Option<Time> {
    Time::from_unix_micros(stamp.as_microsecond())
}

fn moved(time: Time, micros: i64) -> Time {
    Time::from_unix_micros(time.unix_micros().saturating_add(micros)).unwrap_or(time)
}

const HOUR_MICROS: i64 = 3_600_000_000;

impl Timing {
    /// The rule's first moment after the given one.
    fn after(&self, moment: Time) -> Option<Time> {
        match &self.rule {
            TimeRule::Cron(cron) => cron.after(stamp(moment), &self.zone.0).and_then(time),
            TimeRule::EveryHours(hours, from) => {
                let step = i64::from(*hours) * HOUR_MICROS;
                Some(moved(every(step, *from, moment), step))
            }
        }
    }

    /// The rule's last moment up to the given one.
    pub fn at_or_before(&self, moment: Time) -> Option<Time> {
        match &self.rule {
            TimeRule::Cron(cron) => cron.at_or_before(stamp(moment), &self.zone.0).and_then(time),
            TimeRule::EveryHours(hours, from) => {
                Some(every(i64::from(*hours) * HOUR_MICROS, *from, moment))
            }
        }
    }

    /// How long after a moment of the rule the run starts.
    fn settle_micros(&self) -> i64 {
        match self.window {
            WindowKind::Period => i64::from(self.settle_minutes) * 60_000_000,
            WindowKind::All | WindowKind::Changed => 0,
        }
    }

    /// When it runs next. One run catches up on all that were missed.
    pub fn next_run(&self, now: Time) -> Option<Time> {
        let settle = self.settle_micros();
        self.after(moved(now, -settle)).map(|moment| moved(moment, settle))
    }

    /// The last moment of the rule that has settled. The first period of a schedule that is made now begins there.
    pub fn last_settled(&self, now: Time) -> Option<Time> {
        self.at_or_before(moved(now, -self.settle_micros()))
    }

    /// The period that a run takes: from the end of the last period, inclusive, to the rule's last moment that has settled,
    /// exclusive. None if no period has ended since.
    pub fn period(&self, delivered_to: Time, now: Time) -> Option<(Time, Time)> {
        let end = self.last_settled(now)?;
        (end > delivered_to).then_some((delivered_to, end))
    }

    /// The local date and time of a moment, for names: `2026-11-29` and `0230`.
    fn local(&self, moment: Time) -> (String, String) {
        let local = self.zone.0.to_datetime(stamp(moment));
        (local.date().to_string(), format!("{:02}{:02}", local.hour(), local.minute()))
    }

    /// The name of a run's dataset, for the moment that it is named after.
    ///
    /// # Errors
    /// The number makes the name too long.
    pub fn name(
        &self,
        pattern: &NamePattern,
        moment: Time,
        number: u64,
    ) -> Result<DatasetName, String> {
        let (date, clock) = self.local(moment);
        pattern.name(&date, &clock, number)
    }

    /// The folder in the destination that a dataset becomes, for the moment and number that the run is named after.
    pub fn folder(&self, to: &DeliverTo, (moment, number): (Time, u64), dataset: &str) -> String {
        let (date, clock) = self.local(moment);
        to.folder(&date, &clock, number, dataset)
    }
}

/// The last moment up to `moment` that is a whole number of steps from `from`.
fn every(step: i64, from: Time, moment: Time) -> Time {
    let since = moment.unix_micros().saturating_sub(from.unix_micros());
    moved(from, since.div_euclid(step).saturating_mul(step))
}

/// How long a schedule waits before it tries again after this many failures in a row: not long at first, as the cause may
/// be a restart. Its next regular time may come earlier.
pub fn retry_wait(failures: u64) -> Duration {
    Duration::from_secs(match failures {
        0 | 1 => 60,
        2 => 5 * 60,
        3 => 30 * 60,
        _ => 2 * 60 * 60,
    })
}

/// The names of a schedule's datasets: a name with `{date}`, `{time}` or `{n}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    fn name(&self, date: &str, clock: &str, number: u64) -> Result<DatasetName, String> {
        let name = self.0.replace("{date}", date).replace("{time}", clock);
        name.replace("{n}", &number.to_string()).parse().map_err(|error| format!("{error}"))
    }
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = Self(text.to_owned());
        // The longest name within a lifetime.
        let example = pattern.name("2026-11-29", "0230", 1_000_000)?;
        if example.as_str() == text {
            return Err(format!(
                "every dataset of a schedule needs a name of its own: put `{{date}}`, `{{time}}` or `{{n}}` into `{text}`"
            ));
        }
        Ok(pattern)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which part of the history an export of a schedule takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The series of windows that it belongs to; each window begins where the one before it ended.
    pub series: String,
    /// Its number in the series, from 1.
    pub number: u64,
    /// The store's number of the last change before it.
    pub changes_after: i64,
    /// The store's number of its last change.
    pub changes_to: i64,
    /// The period: its start, inclusive, and its end, exclusive.
    pub period: Option<(Time, Time)>,
    /// Items of earlier periods that arrived too late for them.
    pub late: u64,
}
