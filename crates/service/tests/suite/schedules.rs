//! Schedules: what they export, in whose name, and that nothing is missing and nothing comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use retort_model::{
    ConversationFilter, ItemFilter, JobState, Keep, ProjectRole, ScheduleState, Status, Time,
    TimeRule, Timing, WindowKind,
};
use retort_service::{
    Caller, Clock, DatasetPlan, Edit, Error, ExportOptions, SchedulePlan, Scheduled,
    preview_package,
};
use serde_json::{Value, json};

use crate::support::*;

fn history(name: &str) -> DatasetPlan {
    let options = ExportOptions::default().with("data_format", "history").unwrap();
    options.resolve(name.parse().unwrap(), None).unwrap()
}

fn timing(cron: &str, zone: &str, window: WindowKind) -> Timing {
    Timing {
        rule: TimeRule::Cron(cron.parse().unwrap()),
        zone: zone.parse().unwrap(),
        window,
        settle_minutes: 0,
    }
}

fn plan(window: WindowKind, filter: ConversationFilter) -> SchedulePlan {
    SchedulePlan {
        selection: ItemFilter::Conversations(filter),
        dataset: history("any"),
        pattern: "nightly_{date}".parse().unwrap(),
        timing: timing("0 2 * * *", "UTC", window),
        keep: None,
        deliver_to: None,
    }
}

fn everything() -> ConversationFilter {
    ConversationFilter::default()
}

impl Office {
    fn schedule(&self, caller: &Caller, plan: SchedulePlan) -> Scheduled {
        self.service.add_schedule(caller, "nightly", plan).unwrap()
    }

    fn see(&self, caller: &Caller, id: i64) -> Scheduled {
        self.service.schedule(caller, id).unwrap()
    }

    /// Advances the clock to a moment.
    fn wait_until(&self, moment: Time) {
        let by = moment.unix_micros() - self.clock.now().unix_micros();
        self.clock.advance(Duration::from_micros(u64::try_from(by).unwrap_or(0)));
    }

    /// Runs everything that is due or queued; returns what failed.
    fn work_all(&self) -> Vec<String> {
        let mut failed = Vec::new();
        loop {
            match self.work() {
                Ok(Some(_)) => {}
                Ok(None) => return failed,
                Err(error) => failed.push(error.to_string()),
            }
        }
    }

    /// Each dataset's receipt and its records by id, the oldest first.
    fn delivered(&self, caller: &Caller) -> Vec<(String, Value, BTreeMap<String, Value>)> {
        let mut datasets = self.service.datasets(caller).unwrap();
        datasets.reverse();
        let read = |dataset: &retort_service::Dataset| {
            let mut package = self.service.open_dataset(dataset).unwrap();
            let manifest = serde_json::from_str(&package.manifest().to_json()).unwrap();
            let records = preview_package(&mut package).unwrap();
            let records = records.iter().map(|line| serde_json::from_str(line).unwrap());
            let by_id = records
                .map(|record: Value| (record["convo_id"].as_str().unwrap().to_owned(), record));
            (dataset.name.clone(), manifest, by_id.collect())
        };
        datasets.iter().map(read).collect()
    }

    fn delivered_ids(&self, caller: &Caller) -> Vec<Vec<String>> {
        let all = self.delivered(caller);
        all.into_iter().map(|(_, _, records)| records.into_keys().collect()).collect()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_schedule_exports_each_night_what_is_new_and_catches_up_once() {
    let office = Office::new();
    let local = office.local();
    office.import(&[chat("a"), chat("b")], None);
    // 2027-01-15T08:00:00Z.
    let made = office.schedule(&local, plan(WindowKind::Changed, everything()));
    let next = made.schedule.next_at.unwrap();
    assert_eq!(next.to_string(), "2027-01-16T02:00:00Z");
    assert!(office.work_all().is_empty());
    assert!(office.delivered(&local).is_empty(), "not yet");
    office.wait_until(next);
    assert!(office.work_all().is_empty());
    // Nothing new: no dataset, and no failure.
    office.clock.advance(DAY);
    assert!(office.work_all().is_empty());
    let seen = office.see(&local, made.schedule.id).schedule;
    assert_eq!((seen.delivered, seen.failures, &*seen.last_note.unwrap()), (1, 0, "nothing new"));
    // The server is off for a month.
    office.import(&[chat("c")], None);
    office.clock.advance(DAY * 31);
    assert!(office.work_all().is_empty());
    let seen = office.see(&local, made.schedule.id).schedule;
    assert_eq!(seen.next_at.unwrap().to_string(), "2027-02-18T02:00:00Z");
    let all = office.delivered(&local);
    let names: Vec<_> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["nightly_2027-01-16", "nightly_2027-02-17"]);
    assert_eq!(office.delivered_ids(&local), [vec!["a", "b"], vec!["c"]]);
    let windows: Vec<_> = all.iter().map(|(_, manifest, _)| manifest["window"].clone()).collect();
    assert_eq!(windows[0]["schedule"], json!("nightly"));
    assert_eq!([&windows[0]["number"], &windows[1]["number"]], [&json!(1), &json!(2)]);
    assert_eq!(windows[0]["changes_to"], windows[1]["changes_after"]);
    assert_eq!(windows[0]["series"], windows[1]["series"]);
    let runs = office.service.schedule_runs(&local, made.schedule.id).unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|job| job.state == JobState::Completed));
}

/// Conversations are imported, changed, deleted and restored; runs are missed, started by hand, and due at two servers at
/// once. What each window must hold is worked out from the versions beside the store.
#[test]
fn every_change_is_in_exactly_one_window() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::at(folder.path());
    let other = Office::worker_at(folder.path(), "other");
    let local = office.local();
    let zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    let mut random = 7_u64;
    let mut next = |most: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % most
    };
    // In these weeks clocks go back in Berlin and in New York.
    office.wait_until(Time::parse("2027-10-25").unwrap());
    other.wait_until(Time::parse("2027-10-25").unwrap());
    let timing = timing("30 2 * * *", zones[next(3) as usize], WindowKind::Changed);
    let made =
        office.schedule(&local, SchedulePlan { timing, ..plan(WindowKind::Changed, everything()) });
    let id = made.schedule.id;
    // What is in the store, and what of it was not delivered yet.
    let (mut known, mut owed) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    let mut deleted = BTreeSet::new();
    let mut seen = 0;
    for step in 0..24 {
        for _ in 0..next(4) {
            let name = format!("c{}", next(12));
            match next(4) {
                0 if known.contains_key(&name) && !deleted.contains(&name) => {
                    office.service.edit(&local, &named(&[&name]), &Edit::Delete).unwrap();
                    deleted.insert(name.clone());
                    owed.remove(&name);
                }
                1 if deleted.contains(&name) => {
                    office.service.edit(&local, &named(&[&name]), &Edit::Restore).unwrap();
                    deleted.remove(&name);
                    owed.insert(name.clone());
                }
                _ if !deleted.contains(&name) => {
                    let version = known.entry(name.clone()).or_default();
                    *version += 1;
                    let more = (1..*version).flat_map(|turn| {
                        [
                            json!({"role": "user", "content": format!("more {turn}")}),
                            json!({"role": "assistant", "content": "yes"}),
                        ]
                    });
                    let mut chat = chat(&name);
                    chat["messages"].as_array_mut().unwrap().extend(more);
                    office.import(&[chat], None);
                    owed.insert(name.clone());
                }
                _ => {}
            }
        }
        // The servers are off for a while, or look at the same time.
        let minutes = [24 * 60, 24 * 60, 24 * 60 + 1, 60, 3 * 24 * 60][next(5) as usize];
        office.clock.advance(Duration::from_secs(60 * minutes));
        other.clock.advance(Duration::from_secs(60 * minutes));
        if step % 7 == 3 {
            // Started by hand: a run that is due then finds nothing new.
            let queued = office.service.run_schedule(&local, id);
            assert!(queued.is_ok() || matches!(queued, Err(Error::Conflict(_))), "{queued:?}");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(other.work_all().is_empty()));
            assert!(office.work_all().is_empty());
        });
        let all = office.delivered(&local);
        assert!(all.len() <= seen + 1, "two runs for one time");
        for (_, manifest, records) in &all[seen..] {
            let delivered: BTreeSet<_> = records.keys().cloned().collect();
            assert_eq!(delivered, owed, "step {step}: {}", manifest["window"]);
            for (name, record) in records {
                let messages = record["convo"]["messages"].as_array().unwrap().len() as u64;
                assert_eq!(messages, known[name] * 2, "step {step}: an old state of {name}");
            }
            owed.clear();
        }
        seen = all.len();
    }
    assert!(seen > 5, "{seen}");
    let windows: Vec<_> = office
        .delivered(&local)
        .into_iter()
        .map(|(_, manifest, _)| manifest["window"].clone())
        .collect();
    for (index, pair) in windows.windows(2).enumerate() {
        assert_eq!(pair[0]["changes_to"], pair[1]["changes_after"], "{index}");
        assert_eq!(pair[1]["number"], json!(index + 2));
    }
}

#[test]
fn a_period_takes_what_was_created_in_it_and_what_came_late() {
    let office = Office::new();
    let local = office.local();
    let dated = |id: &str, at: &str| {
        let mut chat = chat(id);
        chat["created_at"] = json!(at);
        chat
    };
    let timing =
        Timing { settle_minutes: 30, ..timing("0 0 * * *", "Europe/Berlin", WindowKind::Period) };
    let made =
        office.schedule(&local, SchedulePlan { timing, ..plan(WindowKind::Period, everything()) });
    // The day ends at 23:00 UTC.
    let next = made.schedule.next_at.unwrap();
    assert_eq!(next.to_string(), "2027-01-15T23:30:00Z");
    office.import(
        &[dated("first", "2027-01-15T22:59:59Z"), dated("second", "2027-01-15T23:00:00Z")],
        None,
    );
    office.wait_until(next);
    office.work_all();
    office.import(&[dated("late", "2027-01-15T12:00:00Z")], None);
    office.clock.advance(DAY);
    office.work_all();
    let all = office.delivered(&local);
    assert_eq!(office.delivered_ids(&local), [vec!["first"], vec!["late", "second"]]);
    assert_eq!(all[0].0, "nightly_2027-01-15");
    let window = &all[1].1["window"];
    assert_eq!(window["from"], json!("2027-01-15T23:00:00Z"));
    assert_eq!(window["before"], json!("2027-01-16T23:00:00Z"));
    assert_eq!([&all[0].1["window"]["late"], &window["late"]], [&json!(0), &json!(1)]);
}

#[test]
fn schedules_with_nothing_to_export_do_not_hold_up_others() {
    let office = Office::new();
    let local = office.local();
    office.import(&[chat("a")], None);
    let favorites = ConversationFilter { statuses: vec![Status::Favorite], ..everything() };
    for number in 0..3 {
        let plan = plan(WindowKind::Changed, favorites.clone());
        office.service.add_schedule(&local, &format!("empty {number}"), plan).unwrap();
    }
    let made = office.schedule(&local, plan(WindowKind::Changed, everything()));
    office.wait_until(made.schedule.next_at.unwrap());
    assert!(office.work().unwrap().is_some(), "the first look runs the one that has something");
    assert_eq!(office.delivered_ids(&local), [vec!["a"]]);
}

#[test]
fn a_schedule_sees_what_its_owner_may_see_and_ends_with_them() {
    let office = Office::new();
    let (person, ann) = office.join("ann@example.com", ProjectRole::Member);
    office.import(&[chat("of-ann")], Some("ann@example.com"));
    office.import(&[chat("of-bob")], Some("bob@example.com"));
    office.service.prove_name(&office.local(), person.id).unwrap();
    let made = office.schedule(&ann, plan(WindowKind::Changed, everything()));
    office.wait_until(made.schedule.next_at.unwrap());
    assert!(office.work_all().is_empty());
    assert_eq!(office.delivered_ids(&ann), [vec!["of-ann"]]);
    // As an admin, she also sees what was there before: a new series begins.
    office.service.set_role(&office.local(), person.id, Some(ProjectRole::Admin)).unwrap();
    office.clock.advance(DAY);
    assert!(office.work_all().is_empty());
    let all = office.delivered(&office.local());
    assert_eq!(all[1].2.len(), 2);
    assert_ne!(all[0].1["window"]["series"], all[1].1["window"]["series"]);
    office.service.set_role(&office.local(), person.id, None).unwrap();
    office.clock.advance(DAY);
    assert!(office.work_all().is_empty());
    let seen = office.see(&office.local(), made.schedule.id).schedule;
    assert_eq!((seen.state, seen.next_at), (ScheduleState::Disabled, None));
    assert_eq!(seen.reason.unwrap(), "its owner `ann@example.com` is no longer in the project");
    let told = office.service.notices(&ann, None, 100).unwrap();
    let last = told.last().unwrap();
    assert_eq!((last.state, last.schedule.as_deref()), (JobState::Failed, Some("nightly")));
    assert!(last.disabled.as_deref().unwrap().contains("no longer in the project"));
}

#[test]
fn runs_that_fail_come_again_until_the_schedule_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("chat.jinja");
    std::fs::write(&template, "{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    let office = Office::with_models(&[("ours", template.to_str().unwrap())]);
    let local = office.local();
    office.import(&[chat("a")], None);
    let dataset = crate::support::plan("any", &[("template", "ours")]);
    let made = office
        .schedule(&local, SchedulePlan { dataset, ..plan(WindowKind::Changed, everything()) });
    let id = made.schedule.id;
    std::fs::remove_file(&template).unwrap();
    office.wait_until(made.schedule.next_at.unwrap());
    let mut waits = Vec::new();
    for _ in 0..5 {
        let began = office.clock.now();
        office.work_all();
        let seen = office.see(&local, id).schedule;
        assert_eq!(seen.delivered, 0);
        let Some(next) = seen.next_at else { break };
        waits.push((next.unix_micros() - began.unix_micros()) / 60_000_000);
        office.wait_until(next);
    }
    assert_eq!(waits, [1, 5, 30, 120]);
    let seen = office.see(&local, id).schedule;
    assert_eq!(seen.state, ScheduleState::Disabled);
    assert!(seen.reason.unwrap().starts_with("5 runs failed in a row: "));
    let failed = &office.service.schedule_runs(&local, id).unwrap()[0];
    let again = office.service.retry(&local, failed.id, retort_model::JobKind::Export);
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    // Once it works again, nothing is missing.
    std::fs::write(&template, "{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    let resumed = office.service.pause_schedule(&local, id, false).unwrap().schedule;
    assert_eq!((resumed.state, resumed.failures), (ScheduleState::Active, 0));
    office.wait_until(resumed.next_at.unwrap());
    assert!(office.work_all().is_empty());
    assert_eq!(office.see(&local, id).schedule.delivered, 1);
}

#[test]
fn old_datasets_go_as_new_ones_come() {
    for (keep, expect) in [(Keep::Datasets(2), 2), (Keep::Days(3), 4)] {
        let office = Office::new();
        let local = office.local();
        office.import(&[chat("a")], None);
        let other = office.export(&local, "by-hand", everything());
        let plan = SchedulePlan { keep: Some(keep), ..plan(WindowKind::All, everything()) };
        let made = office.schedule(&local, plan);
        office.wait_until(made.schedule.next_at.unwrap());
        for _ in 0..6 {
            assert!(office.work_all().is_empty());
            office.clock.advance(DAY);
        }
        let mut left: Vec<_> =
            office.service.datasets(&local).unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(left.pop().unwrap(), other.name);
        assert_eq!(left.len(), expect, "{left:?}");
        assert_eq!(left[0], "nightly_2027-01-21");
    }
}

#[test]
fn an_edit_that_changes_what_is_exported_begins_anew_and_others_go_on() {
    let office = Office::new();
    let local = office.local();
    office.import(&[chat("a"), chat("b")], None);
    let made = office.schedule(&local, plan(WindowKind::Changed, everything()));
    let id = made.schedule.id;
    assert!(office.service.run_schedule(&local, id).unwrap().is_some());
    let under_way = office.service.run_schedule(&local, id);
    assert!(matches!(under_way, Err(Error::Conflict(_))), "{under_way:?}");
    let edited = office.service.edit_schedule(&local, id, plan(WindowKind::Changed, everything()));
    assert!(matches!(edited, Err(Error::Conflict(_))));
    office.work_all();
    let timing = timing("0 5 * * *", "UTC", WindowKind::Changed);
    let later = SchedulePlan { timing, ..plan(WindowKind::Changed, everything()) };
    let edited = office.service.edit_schedule(&local, id, later.clone()).unwrap();
    assert_eq!(edited.schedule.next_at.unwrap().to_string(), "2027-01-16T05:00:00Z");
    assert!(office.service.run_schedule(&local, id).unwrap().is_none(), "all is delivered");
    office.service.edit(&local, &named(&["b"]), &Edit::Favorite(true)).unwrap();
    let favorites = ConversationFilter { statuses: vec![Status::Favorite], ..everything() };
    let selection = ItemFilter::Conversations(favorites);
    office.service.edit_schedule(&local, id, SchedulePlan { selection, ..later }).unwrap();
    assert!(office.service.run_schedule(&local, id).unwrap().is_some());
    office.work_all();
    assert_eq!(office.delivered_ids(&local), [vec!["a", "b"], vec!["b"]]);
    // A conversation that becomes a favorite is new to the schedule.
    office.service.edit(&local, &named(&["a"]), &Edit::Favorite(true)).unwrap();
    office.service.run_schedule(&local, id).unwrap().unwrap();
    office.work_all();
    assert_eq!(office.delivered_ids(&local)[2], ["a"]);
}

#[test]
fn what_cannot_be_scheduled_is_refused() {
    let office = Office::new();
    let (_, ann) = office.join("ann@example.com", ProjectRole::Member);
    let refused = |plan: SchedulePlan| {
        office.service.add_schedule(&ann, "s", plan).map(|_| ()).unwrap_err().to_string()
    };
    let limited = ConversationFilter { limit: Some(5), ..everything() };
    assert!(refused(plan(WindowKind::Changed, limited)).contains("a limit would leave items out"));
    let mut settled = plan(WindowKind::All, everything());
    settled.timing.settle_minutes = 5;
    assert!(refused(settled).contains("only the window `period`"));
    let mut never = plan(WindowKind::All, everything());
    never.timing.rule = TimeRule::EveryHours(0, office.clock.now());
    assert!(refused(never).contains("every 1 to 8784 hours"));
    let none =
        SchedulePlan { keep: Some(Keep::Datasets(0)), ..plan(WindowKind::All, everything()) };
    assert!(refused(none).contains("keep at least one"));
    let split = ExportOptions::default()
        .with("data_format", "history")
        .and_then(|options| options.with("split", "train=0.5,test=0.5"))
        .and_then(|options| options.with("split_from", "no-such-dataset"))
        .and_then(|options| options.resolve("any".parse().unwrap(), None))
        .unwrap();
    let split = SchedulePlan { dataset: split, ..plan(WindowKind::All, everything()) };
    assert!(refused(split).contains("no-such-dataset"));
    let documents = ItemFilter::Documents(Default::default());
    let documents = SchedulePlan {
        selection: documents,
        dataset: ExportOptions::default()
            .with("data_format", "chunks")
            .and_then(|options| options.resolve("any".parse().unwrap(), None))
            .unwrap_or_else(|_| history("any")),
        ..plan(WindowKind::All, everything())
    };
    assert!(!refused(documents).is_empty());
    let (_, bob) = office.join("bob@example.com", ProjectRole::Member);
    let made = office.service.add_schedule(&ann, "s", plan(WindowKind::All, everything())).unwrap();
    let id = made.schedule.id;
    assert!(matches!(office.service.schedule(&bob, id), Err(Error::NotFound { .. })));
    assert!(matches!(office.service.delete_schedule(&bob, id), Err(Error::NotFound { .. })));
    assert!(matches!(office.service.schedules(&bob, true), Err(Error::NotAllowed(_))));
    let taken = office.service.add_schedule(&ann, "s", plan(WindowKind::All, everything()));
    assert!(matches!(taken, Err(Error::Conflict(_))));
    // An owner may pause and delete it, but not run it in her own name.
    let (_, owner) = office.join("owner@example.com", ProjectRole::Owner);
    assert!(matches!(office.service.run_schedule(&owner, id), Err(Error::NotFound { .. })));
    assert_eq!(office.service.pause_schedule(&owner, id, true).unwrap().schedule.next_at, None);
    office.service.delete_schedule(&owner, id).unwrap();
}
