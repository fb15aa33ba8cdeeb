//! How much of the audit log one person can fill.
//!
//! Each entry is a write to the disk, and a program may cause a thousand in a second. Beyond a limit, entries are only
//! counted. One entry says at once that counting began, and later ones say how many there were of each action, so the log
//! accounts for all of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use retort_model::{Action, Time};

/// Refusals of one person that are written per minute.
const REFUSALS_PER_MINUTE: u32 = 60;

/// People and addresses that are tracked at a time. All others share one limit.
const COUNTED: usize = 10_000;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Whose entries are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    /// The project; none for entries outside of projects.
    pub(crate) project: Option<i64>,
    /// The person, or the address of someone who is not signed in; none for all beyond the bound.
    pub(crate) name: Option<String>,
}

/// Entries that were counted instead of written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Whose they are.
    pub(crate) writer: Writer,
    /// The person, if they are known.
    pub(crate) person: Option<String>,
    /// What was done.
    pub(crate) action: Action,
    /// Whether it was refused.
    pub(crate) is_refused: bool,
    /// How many there were.
    pub(crate) count: u64,
    /// When the first was counted.
    pub(crate) first: Time,
    /// When the count is to be written, in microseconds since 1970.
    due: i64,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is written.
    Written,
    /// It is the first of its action that is only counted, which the log says at once.
    FirstCounted,
    /// It is only counted.
    Counted,
}

#[derive(Debug, Default)]
struct Written {
    day: i64,
    today: u64,
    minute: i64,
    refusals: u32,
    counted: Vec<Counted>,
}

/// What each person wrote.
#[derive(Debug, Default)]
pub(crate) struct AuditLimits(Mutex<HashMap<Writer, Written>>);

impl AuditLimits {
    /// Decides whether an entry is written, if `per_day` entries of a writer are written in a day.
    pub(crate) fn add(
        &self,
        writer: Writer,
        (person, action, is_refused): (Option<&str>, Action, bool),
        now: Time,
        per_day: u64,
    ) -> Fate {
        let at = now.unix_micros();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= COUNTED && !all.contains_key(&writer) {
            all.retain(|_, one| one.minute == at / MINUTE || !one.counted.is_empty());
        }
        let writer = match all.len() >= COUNTED && !all.contains_key(&writer) {
            true => Writer { name: None, ..writer },
            false => writer,
        };
        let written = all.entry(writer.clone()).or_default();
        if written.day != at / DAY {
            (written.day, written.today) = (at / DAY, 0);
        }
        if written.minute != at / MINUTE {
            (written.minute, written.refusals) = (at / MINUTE, 0);
        }
        written.refusals = written.refusals.saturating_add(u32::from(is_refused));
        let window = if written.today >= per_day {
            HOUR
        } else if is_refused && written.refusals > REFUSALS_PER_MINUTE {
            MINUTE
        } else {
            written.today += 1;
            return Fate::Written;
        };
        let known = |one: &&mut Counted| one.action == action && one.is_refused == is_refused;
        if let Some(counted) = written.counted.iter_mut().find(known) {
            counted.count += 1;
            return Fate::Counted;
        }
        let (person, due) = (person.map(str::to_owned), (at / window + 1) * window);
        written.counted.push(Counted {
            writer,
            person,
            action,
            is_refused,
            count: 1,
            first: now,
            due,
        });
        Fate::FirstCounted
    }

    /// Removes and returns the counts that are due at `now`, or all.
    pub(crate) fn take(&self, now: Option<Time>) -> Vec<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |one: &mut Counted| now.is_none_or(|now| one.due <= now.unix_micros());
        all.values_mut().flat_map(|written| written.counted.extract_if(.., is_due)).collect()
    }

    /// Puts back a count that could not be written.
    pub(crate) fn take_back(&self, counted: Counted) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.entry(counted.writer.clone()).or_default();
        let same = |other: &&mut Counted| {
            other.action == counted.action && other.is_refused == counted.is_refused
        };
        match one.counted.iter_mut().find(same) {
            Some(other) => {
                other.count += counted.count;
                other.first = counted.first;
            }
            None => one.counted.push(counted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_DAY: u64 = 200;

    fn at(seconds: i64) -> Time {
        Time::from_unix_micros(1_699_920_000_000_000 + seconds * 1_000_000).unwrap()
    }

    fn add(limits: &AuditLimits, name: &str, is_refused: bool, seconds: i64) -> Fate {
        let writer = Writer { project: Some(1), name: Some(name.into()) };
        limits.add(writer, (Some(name), Action::Edit, is_refused), at(seconds), PER_DAY)
    }

    fn written(limits: &AuditLimits, name: &str, is_refused: bool, seconds: i64) -> usize {
        (0..500).filter(|_| add(limits, name, is_refused, seconds) == Fate::Written).count()
    }

    #[test]
    fn refusals_are_written_up_to_a_limit_in_a_minute_and_then_counted() {
        let limits = AuditLimits::default();
        let noted = [("ann", 0), ("ben", 1), ("ann", 2)];
        let noted = noted.map(|(name, seconds)| written(&limits, name, true, seconds));
        assert_eq!(noted, [60, 60, 0]);
        assert_eq!(limits.take(Some(at(59))), []);
        let mut counts = limits.take(Some(at(60)));
        counts.sort_by_key(|one| one.person.clone());
        let counts: Vec<_> = counts.iter().map(|one| (one.person.as_deref(), one.count)).collect();
        assert_eq!(counts, [(Some("ann"), 940), (Some("ben"), 440)]);
        assert_eq!(limits.take(None), []);
        assert_eq!(written(&limits, "ann", true, 61), 60);
    }

    #[test]
    fn entries_are_written_up_to_a_limit_in_a_day_and_then_counted_by_action() {
        let limits = AuditLimits::default();
        assert_eq!([0, 10].map(|at| written(&limits, "ann", false, at)), [200, 0]);
        assert_eq!(add(&limits, "ann", true, 20), Fate::FirstCounted);
        assert_eq!(add(&limits, "ann", true, 20), Fate::Counted);
        assert_eq!(limits.take(Some(at(3_599))), []);
        let counts = limits.take(Some(at(3_600)));
        let counts: Vec<_> = counts.iter().map(|one| (one.is_refused, one.count)).collect();
        assert_eq!(counts, [(false, 800), (true, 2)]);
        assert_eq!(written(&limits, "ann", false, 86_400), 200);
    }

    #[test]
    fn counts_that_could_not_be_written_are_not_lost() {
        let limits = AuditLimits::default();
        written(&limits, "ann", true, 0);
        for counted in limits.take(None) {
            limits.take_back(counted);
        }
        written(&limits, "ann", true, 1);
        let counts: Vec<_> = limits.take(None).iter().map(|one| (one.count, one.first)).collect();
        assert_eq!(counts, [(940, at(0))]);
    }

    #[test]
    fn no_more_names_are_counted_than_there_is_room_for() {
        let limits = AuditLimits::default();
        for number in 0..3 * COUNTED {
            add(&limits, &number.to_string(), true, 0);
        }
        assert!(limits.0.lock().unwrap().len() <= COUNTED + 1);
        // Those past the bound share one limit.
        let counts: u64 = limits.take(None).iter().map(|one| one.count).sum();
        assert_eq!(counts, 2 * COUNTED as u64 - 60);
    }
}
