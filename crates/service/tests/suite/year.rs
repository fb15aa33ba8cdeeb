//! A year of schedules in three time zones by a clock that is set, held against what each window must have: worked out
//! beside the service, by the offsets of the zones and the items' versions. `RETORT_SEEDS` says how many years.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use retort_model::{ConversationFilter, ItemFilter, JobState, Time, TimeRule, Timing, WindowKind};
use retort_service::{Caller, Clock, Edit, Error, ExportOptions, SchedulePlan, preview_package};
use serde_json::{Value, json};

use crate::support::*;

/// Minutes since 1970.
type Minute = i64;

fn minute(text: &str) -> Minute {
    Time::parse(text).unwrap().unix_micros() / 60_000_000
}

fn time(minute: Minute) -> Time {
    Time::from_unix_micros(minute * 60_000_000).unwrap()
}

/// A time zone in 2027: its offsets from UTC in minutes, each with when it begins.
struct Zone {
    name: &'static str,
    offsets: [(&'static str, i64); 3],
    /// When the schedule runs. Some of these times are skipped, and some come twice, when clocks change.
    cron: &'static str,
}

const ZONES: [Zone; 3] = [
    Zone {
        name: "Europe/Berlin",
        offsets: [
            ("2026-12-01T00:00:00Z", 60),
            ("2027-03-28T01:00:00Z", 120),
            ("2027-10-31T01:00:00Z", 60),
        ],
        cron: "30 2 * * *",
    },
    Zone {
        name: "America/New_York",
        offsets: [
            ("2026-12-01T00:00:00Z", -300),
            ("2027-03-14T07:00:00Z", -240),
            ("2027-11-07T06:00:00Z", -300),
        ],
        cron: "30 1,2 * * *",
    },
    // Clocks change by half an hour.
    Zone {
        name: "Australia/Lord_Howe",
        offsets: [
            ("2026-12-01T00:00:00Z", 660),
            ("2027-04-03T15:00:00Z", 630),
            ("2027-10-02T15:30:00Z", 660),
        ],
        cron: "45,15 1,2 * * *",
    },
];

impl Zone {
    fn offset_at(&self, at: Minute) -> i64 {
        let begun = self.offsets.iter().rev().find(|(from, _)| minute(from) <= at);
        begun.unwrap().1
    }

    /// When a local time is: the first time that it comes; where it is skipped, as much later as clocks went forward.
    fn moment(&self, local: Minute) -> Minute {
        let moments = self.offsets.iter().map(|(_, offset)| (local - offset, *offset));
        let found = moments.filter(|(at, offset)| self.offset_at(*at) == *offset).map(|(at, _)| at);
        found.min().unwrap_or_else(|| local - self.offset_at(local - 24 * 60))
    }

    /// The last moment up to the given one at which the schedule runs.
    fn last_moment(&self, now: Minute) -> Minute {
        let today = (now + self.offset_at(now)).div_euclid(24 * 60);
        let days = (today - 2)..=(today + 1);
        let moments = days.flat_map(|day| self.times().map(move |of_day| day * 24 * 60 + of_day));
        moments.map(|local| self.moment(local)).filter(|at| *at <= now).max().unwrap()
    }

    /// The times of the cron expression: each minute with each hour.
    fn times(&self) -> impl Iterator<Item = i64> + '_ {
        let list =
            |text: &str| -> Vec<i64> { text.split(',').map(|one| one.parse().unwrap()).collect() };
        let mut fields = self.cron.split(' ');
        let (minutes, hours) = (list(fields.next().unwrap()), list(fields.next().unwrap()));
        hours
            .into_iter()
            .flat_map(move |hour| minutes.clone().into_iter().map(move |minute| hour * 60 + minute))
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What is known of a conversation beside the store.
#[derive(Clone, Debug)]
struct Known {
    created: Minute,
    turns: usize,
    is_deleted: bool,
}

impl Known {
    fn row(&self, id: &str) -> Value {
        let turn = |number| {
            [
                json!({"role": "user", "content": format!("{id} {number}?")}),
                json!({"role": "assistant", "content": format!("{id} {number}!")}),
            ]
        };
        let messages: Vec<Value> = (0..self.turns).flat_map(turn).collect();
        json!({"id": id, "created_at": time(self.created).to_string(), "messages": messages})
    }
}

/// A schedule, and what it owes.
struct Watched {
    zone: &'static Zone,
    window: WindowKind,
    settle: i64,
    id: i64,
    /// Conversations that a next window must have, if they are in its period and not deleted.
    owed: BTreeSet<String>,
    /// The last moment at which it was due.
    looked_to: Minute,
    /// Where its last period ended.
    done_to: Minute,
    windows: usize,
    changes_to: Option<i64>,
    last_job: i64,
    /// For periods: those that were delivered, which never come again.
    delivered: BTreeSet<String>,
    late: u64,
}

impl Watched {
    fn new(office: &Office, caller: &Caller, zone: &'static Zone, window: WindowKind) -> Self {
        let now = office.clock.now().unix_micros() / 60_000_000;
        let settle = if window == WindowKind::Period { 40 } else { 0 };
        let options = ExportOptions::default().with("data_format", "retort").unwrap();
        let name = format!("{}-{window}", zone.name.replace('/', "-"));
        let plan = SchedulePlan {
            selection: ItemFilter::Conversations(ConversationFilter::default()),
            dataset: options.resolve("any".parse().unwrap(), None).unwrap(),
            pattern: format!("{name}-{{n}}").parse().unwrap(),
            timing: Timing {
                rule: TimeRule::Cron(zone.cron.parse().unwrap()),
                zone: zone.name.parse().unwrap(),
                window,
                settle_minutes: u32::try_from(settle).unwrap(),
            },
            keep: None,
            deliver_to: None,
        };
        let id = office.service.add_schedule(caller, &name, plan).unwrap().schedule.id;
        Self {
            zone,
            window,
            settle,
            id,
            owed: BTreeSet::new(),
            looked_to: zone.last_moment(now - settle),
            done_to: zone.last_moment(now - settle),
            windows: 0,
            changes_to: None,
            last_job: 0,
            delivered: BTreeSet::new(),
            late: 0,
        }
    }

    /// A conversation came or changed.
    fn owes(&mut self, id: &str, is_new: bool) {
        if self.window == WindowKind::Changed || is_new {
            self.owed.insert(id.to_owned());
        }
    }

    /// Compares what was exported since with what was owed.
    fn check(
        &mut self,
        office: &Office,
        caller: &Caller,
        now: Minute,
        known: &BTreeMap<String, Known>,
        by_hand: bool,
    ) {
        let due = self.zone.last_moment(now - self.settle);
        let by_hand = by_hand && (self.window == WindowKind::Changed || due > self.done_to);
        let is_due = std::mem::replace(&mut self.looked_to, due) < due || by_hand;
        let is_expected = |id: &&String| {
            let one = &known[*id];
            !one.is_deleted && (self.window == WindowKind::Changed || one.created < due)
        };
        let expected: BTreeSet<String> = if is_due {
            self.owed.iter().filter(is_expected).cloned().collect()
        } else {
            BTreeSet::new()
        };
        let runs = office.service.schedule_runs(caller, self.id).unwrap();
        let new: Vec<_> = runs.iter().filter(|run| run.id > self.last_job).collect();
        let at = time(now);
        let label = format!("{} {} at {at}", self.zone.name, self.window);
        assert!(new.len() <= 1, "{label}: {} runs for one time", new.len());
        let Some(run) = new.first() else {
            assert!(expected.is_empty(), "{label}: no window for {expected:?}");
            return;
        };
        assert_eq!(run.state, JobState::Completed, "{label}: {:?}", run.error);
        self.last_job = run.id;
        let dataset = office.service.dataset(caller, run.dataset.unwrap()).unwrap();
        let mut package = office.service.open_dataset(&dataset).unwrap();
        let window = package.manifest().window.clone().unwrap();
        let mut found = BTreeSet::new();
        for line in preview_package(&mut package).unwrap() {
            let record: Value = serde_json::from_str(&line).unwrap();
            let id = record["id"].as_str().unwrap().to_owned();
            let turns = record["rounds"].as_array().map(Vec::len);
            assert_eq!(turns, Some(known[&id].turns), "{label}: an old state of {id}");
            assert!(found.insert(id), "{label}: twice in a window");
        }
        assert_eq!(found, expected, "{label}");
        if self.window == WindowKind::Period {
            let (from, before) = (self.done_to, due);
            assert_eq!(window.span.from, Some(time(from).to_string()), "{label}");
            assert_eq!(window.span.before, Some(time(before).to_string()), "{label}");
            let late = found.iter().filter(|id| known[*id].created < from).count() as u64;
            assert_eq!(window.span.late, late, "{label}");
            self.late += late;
            assert!(
                found.iter().all(|id| self.delivered.insert(id.clone())),
                "{label}: in two windows"
            );
            self.done_to = due;
        }
        self.owed.retain(|id| !found.contains(id));
        self.windows += 1;
        assert_eq!(window.span.number, self.windows as u64, "{label}");
        if let Some(changes_to) = self.changes_to {
            assert_eq!(window.span.changes_after, changes_to, "{label}: windows do not join");
        }
        self.changes_to = Some(window.span.changes_to);
    }
}

/// A year from the middle of January 2027.
fn year(seed: u64) {
    let mut chance = Chance(seed);
    // In memory where that is at hand: what a disk takes to sync hundreds of exports says nothing here.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let (one, other) = (Office::at(folder.path()), Office::worker_at(folder.path(), "other"));
    let local = one.local();
    let mut now = one.clock.now().unix_micros() / 60_000_000;
    let end = now + 365 * 24 * 60;
    let kinds = [WindowKind::Changed, WindowKind::Period, WindowKind::Changed];
    let turn = usize::try_from(chance.below(3)).unwrap();
    let watch = |(at, zone): (usize, &'static Zone)| {
        Watched::new(&one, &local, zone, kinds[(at + turn) % 3])
    };
    let mut watched: Vec<Watched> = ZONES.iter().enumerate().map(watch).collect();
    let (mut known, mut edits) = (BTreeMap::<String, Known>::new(), 0);
    while now < end {
        let mut rows = Vec::new();
        for _ in 0..chance.below(3) {
            let id = format!("c{}", known.len());
            // Most come at once, some late, a few very late.
            let behind = chance.one_of(&[0, 1, 30, 600, 3 * 24 * 60, 60 * 24 * 60]);
            let created = now - chance.one_of(&[0, 1, behind]);
            let new = Known { created, turns: 1, is_deleted: false };
            rows.push(new.row(&id));
            known.insert(id.clone(), new);
            watched.iter_mut().for_each(|one| one.owes(&id, true));
        }
        if !rows.is_empty() {
            one.import(&rows, None);
        }
        for _ in 0..chance.below(3) {
            let Some(at) = known.len().checked_sub(1) else { break };
            // More often one of the last.
            let at = at - usize::try_from(chance.below(at as u64 + 1)).unwrap() / 4;
            let (id, known) = known.iter_mut().nth(at).unwrap();
            match chance.below(4) {
                0 if !known.is_deleted => {
                    assert_eq!(one.service.edit(&local, &named(&[id]), &Edit::Delete).unwrap(), 1);
                    known.is_deleted = true;
                }
                1 if !known.is_deleted => {
                    edits += 1;
                    let title = Edit::Title(Some(format!("edit {edits}")));
                    assert_eq!(one.service.edit(&local, &named(&[id]), &title).unwrap(), 1);
                    watched.iter_mut().for_each(|one| one.owes(id, false));
                }
                _ if !known.is_deleted => {
                    known.turns += 1;
                    one.import(&[known.row(id)], None);
                    watched.iter_mut().for_each(|one| one.owes(id, false));
                }
                _ => {}
            }
        }
        // The servers look again after a minute or a night, or were off for up to a month.
        let day = 24 * 60;
        let outage = chance.one_of(&[1, 60, 5 * 60, day, day + 1, 2 * day, 4 * day, 9 * day]);
        let minutes = if chance.below(40) == 0 { 30 * day } else { outage };
        now += minutes;
        for office in [&one, &other] {
            office.clock.advance(Duration::from_secs(60 * u64::try_from(minutes).unwrap()));
        }
        let by_hand = chance.below(12) == 0;
        let by_hand = by_hand.then(|| usize::try_from(chance.below(3)).unwrap());
        if let Some(at) = by_hand {
            let run = one.service.run_schedule(&local, watched[at].id);
            assert!(run.is_ok() || matches!(run, Err(Error::Conflict(_))), "{run:?}");
        }
        std::thread::scope(|scope| {
            let all = |office: &Office| while office.work().unwrap().is_some() {};
            if chance.below(3) > 0 {
                let other = &other;
                scope.spawn(move || all(other));
            }
            all(&one);
        });
        for (at, watched) in watched.iter_mut().enumerate() {
            watched.check(&one, &local, now, &known, by_hand == Some(at));
        }
    }
    let windows: Vec<_> = watched.iter().map(|one| one.windows).collect();
    let late: u64 = watched.iter().map(|one| one.late).sum();
    assert!(windows.iter().all(|windows| *windows > 10) && late > 0, "{windows:?}, {late} late");
}

#[test]
fn each_conversation_of_a_year_is_in_exactly_one_window() {
    let seeds = std::env::var("RETORT_SEEDS").map_or(1, |seeds| seeds.parse().unwrap());
    let first = std::env::var("RETORT_SEED").map_or(7, |seed| seed.parse().unwrap());
    for seed in first..first + seeds {
        println!("seed {seed}");
        year(seed);
    }
}
