//! Cron expressions: five fields that say at which minutes of the local clock something runs.
//!
//! When clocks go forward, a run at a time that is skipped moves by the same amount. When they go back, a time that comes
//! twice runs the first time only, unless the hour of the expression begins with `*`: that follows real time and runs at both.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days in which an expression that ever matches does so: between two 29ths of February, there are up to eight years.
const DAYS: usize = 3_000;

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// A bit for each value that matches.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// The hour begins with `*`.
    any_hour: bool,
    /// The day of the month or of the week begins with `*`: then both must match, otherwise one is enough.
    any_day: bool,
}

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the values, from the smallest on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        name: "day of the week",
        least: 0,
        most: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

impl Field {
    fn value(&self, text: &str) -> Result<u32, String> {
        let named =
            self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let number = named.map(|(_, number)| number).or_else(|| text.parse().ok());
        number.filter(|number| (self.least..=self.most).contains(number)).ok_or_else(|| {
            format!("the {} is {} to {}, not `{text}`", self.name, self.least, self.most)
        })
    }

    /// The values that the text names, a bit each.
    fn read(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => {
                    let step: Option<u32> = step.parse().ok().filter(|step| *step > 0);
                    let step = step.ok_or_else(|| {
                        format!("the step of the {} in `{item}` is not a number above 0", self.name)
                    })?;
                    (range, Some(step))
                }
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((first, last)) => (self.value(first)?, self.value(last)?),
                None => {
                    let first = self.value(range)?;
                    (first, if step.is_some() { self.most } else { first })
                }
            };
            if first > last {
                return Err(format!("the {} `{range}` ends before it begins", self.name));
            }
            for value in (first..=last).step_by(step.unwrap_or(1) as usize) {
                bits |= 1 << value;
            }
        }
        Ok(bits)
    }
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let Ok([minutes, hours, days, months, weekdays]) = <[&str; 5]>::try_from(fields) else {
            return Err(format!(
                "`{text}` is not a cron expression: give five fields (minute, hour, day of the month, month, day of \
                 the week), such as `0 2 * * *` for every night at two"
            ));
        };
        let read = |field: usize, text: &str| FIELDS[field].read(text);
        let mut weekday_bits = read(4, weekdays)?;
        if weekday_bits & (1 << 7) != 0 {
            weekday_bits |= 1;
        }
        let cron = Self {
            text: [minutes, hours, days, months, weekdays].join(" "),
            minutes: read(0, minutes)?,
            hours: read(1, hours)?,
            days: read(2, days)?,
            months: read(3, months)?,
            weekdays: weekday_bits,
            any_hour: hours.starts_with('*'),
            any_day: days.starts_with('*') || weekdays.starts_with('*'),
        };
        match cron.after(Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            Some(_) => Ok(cron),
            None => Err(format!("the cron expression `{text}` never matches")),
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The numbers of the bits that are set.
fn numbers(bits: u64) -> impl Iterator<Item = i8> {
    (0..60).filter(move |bit| bits & (1 << bit) != 0)
}

impl Cron {
    fn is_on(&self, date: Date) -> bool {
        let day = self.days & (1 << date.day()) != 0;
        let weekday = self.weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        self.months & (1 << date.month()) != 0
            && if self.any_day { day && weekday } else { day || weekday }
    }

    /// The moments at which it runs on a local date, in any order, and some of them twice.
    fn moments<'c>(
        &'c self,
        date: Date,
        zone: &'c TimeZone,
    ) -> impl Iterator<Item = Timestamp> + 'c {
        let hours = numbers(if self.is_on(date) { self.hours } else { 0 });
        hours.flat_map(|hour| numbers(self.minutes).map(move |minute| (hour, minute))).flat_map(
            move |(hour, minute)| {
                let moment = zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
                let again = self.any_hour.then(|| moment.later().ok()).flatten();
                moment.compatible().ok().into_iter().chain(again)
            },
        )
    }

    /// The first moment after the given one at which it runs.
    pub fn after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // A skipped time may move to the next day.
        let mut date = zone.to_datetime(moment).date().yesterday().ok()?;
        let mut found: Option<Timestamp> = None;
        for _ in 0..DAYS {
            let here = self.moments(date, zone).filter(|one| *one > moment).min();
            match (found, here) {
                (Some(before), here) => return here.map_or(found, |here| Some(here.min(before))),
                (None, here) => found = here,
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last moment up to the given one at which it ran.
    pub fn at_or_before(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = zone.to_datetime(moment).date().tomorrow().ok()?;
        let mut found: Option<Timestamp> = None;
        for _ in 0..DAYS {
            let here = self.moments(date, zone).filter(|one| *one <= moment).max();
            match (found, here) {
                (Some(after), here) => return here.map_or(found, |here| Some(here.max(after))),
                (None, here) => found = here,
            }
            date = date.yesterday().ok()?;
        }
        None
    }
}
