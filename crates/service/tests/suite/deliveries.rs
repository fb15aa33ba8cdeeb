//! Deliveries: the datasets of schedules in folders that other programs read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use retort_model::{
    ConversationFilter, DeliverTo, ItemFilter, JobKind, JobState, ProjectRole, ScheduleState,
    TimeRule, Timing, WindowKind,
};
use retort_service::{Clock, Error, ExportOptions, SchedulePlan, verify};

use serde_json::{Value, json};

use crate::support::{self, *};

fn to(destination: &str, prefix: &str, by_date: bool) -> Option<DeliverTo> {
    let prefix = prefix.parse().unwrap();
    Some(DeliverTo { destination: destination.into(), prefix, by_date })
}

fn plan(deliver_to: Option<DeliverTo>) -> SchedulePlan {
    let options = ExportOptions::default().with("data_format", "history").unwrap();
    SchedulePlan {
        selection: ItemFilter::Conversations(ConversationFilter::default()),
        dataset: options.resolve("any".parse().unwrap(), None).unwrap(),
        pattern: "n-{n}".parse().unwrap(),
        timing: Timing {
            rule: TimeRule::Cron("0 2 * * *".parse().unwrap()),
            zone: "Europe/Berlin".parse().unwrap(),
            window: WindowKind::Changed,
            settle_minutes: 0,
        },
        keep: Some(retort_model::Keep::Datasets(1)),
        deliver_to,
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Office {
    /// Does all that is due; what was delivered to the folder: each dataset's path with its records.
    fn deliver(&self, folder: &Path) -> BTreeMap<String, u64> {
        while self.work().unwrap().is_some() {}
        let mut found = BTreeMap::new();
        datasets_in(folder, folder, &mut found);
        found
    }
}

fn datasets_in(root: &Path, folder: &Path, found: &mut BTreeMap<String, u64>) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| path.is_dir()) {
        if path.join("manifest.json").exists() {
            let verified = verify(&path).unwrap();
            assert_eq!(verified.differences, []);
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, verified.records);
        } else {
            datasets_in(root, &path, found);
        }
    }
}

#[test]
fn each_dataset_is_delivered_once_to_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::with_destinations(&[("lake", folder.path())]);
    let local = office.local();
    assert_eq!(office.service.destinations(&local).unwrap(), ["lake"]);
    office.import(&[chat("a"), chat("b")], None);
    let plan = plan(to("lake", "team/x", true));
    let made = office.service.add_schedule(&local, "nightly", plan).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "tried, and nothing left");
    // 2027-01-16T02:00 in Berlin.
    for (day, chats) in [(17, 1), (18, 0), (19, 2)] {
        office.clock.advance(DAY);
        let found = office.deliver(folder.path());
        assert!(found.contains_key("team/x/date=2027-01-16/n-1"), "{found:?}");
        for number in 0..chats {
            office.import(&[chat(&format!("{day}-{number}"))], None);
        }
    }
    office.clock.advance(DAY);
    let found = office.deliver(folder.path());
    let expect = [
        ("team/x/date=2027-01-16/n-1", 2),
        ("team/x/date=2027-01-17/n-2", 1),
        ("team/x/date=2027-01-19/n-3", 2),
    ];
    assert_eq!(found, expect.map(|(path, records)| (path.to_owned(), records)).into());
    // The store keeps only the newest.
    assert_eq!(office.service.datasets(&local).unwrap().len(), 1);
    let listed = office.service.schedule_deliveries(&local, made.schedule.id).unwrap();
    let last = &listed[0];
    assert_eq!(last.path.as_deref(), Some("team/x/date=2027-01-19/n-3"));
    assert_eq!((listed.len(), last.delivered_at), (3, Some(office.clock.now())));
}

/// A conversation in which nobody answered: nothing to train on.
fn question(id: &str) -> Value {
    json!({"id": id, "messages": [{"role": "user", "content": "anyone there?"}]})
}

#[test]
fn a_run_whose_items_are_all_left_out_is_no_failure_and_leaves_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::with_destinations(&[("lake", folder.path())]);
    let local = office.local();
    let plan = SchedulePlan { dataset: support::plan("any", &[]), ..plan(to("lake", "", false)) };
    let made = office.service.add_schedule(&local, "nightly", plan).unwrap();
    let id = made.schedule.id;
    let see = || office.service.schedule(&local, id).unwrap().schedule;
    office.import(&[chat("a")], None);
    office.clock.advance(DAY);
    assert_eq!(office.deliver(folder.path()).len(), 1);
    for night in 0..6 {
        office.import(&[question(&format!("q{night}"))], None);
        office.clock.advance(DAY);
        assert_eq!(office.deliver(folder.path()).len(), 1);
        let why = format!("of {} conversation", night + 1);
        assert!(see().last_note.unwrap().contains(&why), "{:?}", see().last_note);
        assert_eq!((see().state, see().failures, see().undelivered), (ScheduleState::Active, 0, 0));
    }
    let runs = office.service.schedule_runs(&local, id).unwrap();
    let last = &runs[0];
    assert_eq!((last.state, last.dataset), (JobState::CompletedWithSkips, None));
    assert!(last.report.as_deref().unwrap().contains("\"left_out\":6"), "{:?}", last.report);
    assert!(matches!(
        office.service.retry(&local, last.id, JobKind::Export),
        Err(Error::Conflict(_))
    ));
    // Its dataset accounts for all that were left out, and its window begins where the one before ended.
    office.import(&[chat("b")], None);
    office.clock.advance(DAY);
    assert_eq!(office.deliver(folder.path()).len(), 2);
    let receipt =
        |number: u64| verify(&folder.path().join(format!("n-{number}"))).unwrap().manifest;
    let counts = receipt(2).conversations;
    assert_eq!((counts.selected, counts.written, counts.left_out), (7, 1, 6));
    let [before, after] = [1, 2].map(|number| receipt(number).window.unwrap());
    assert_eq!((after.span.number, after.span.changes_after), (2, before.span.changes_to));
    assert_eq!(see().last_note, None);
}

#[test]
fn a_destination_that_is_away_gets_everything_later_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let office = Office::with_destinations(&[("disk", &disk)]);
    let local = office.local();
    let id = office.service.add_schedule(&local, "s", plan(to("disk", "", false))).unwrap();
    let id = id.schedule.id;
    let see = || office.service.schedule(&local, id).unwrap().schedule;
    fs::remove_dir(&disk).unwrap();
    for night in 0..2 {
        office.import(&[chat(&format!("c{night}"))], None);
        office.clock.advance(DAY);
        while office.work().unwrap().is_some() {}
    }
    assert_eq!((see().delivered, see().undelivered), (2, 2));
    let why = see().delivery_error.unwrap();
    assert_eq!(
        why,
        "destination `disk`: cannot write to it: there is no such folder; is its disk mounted?"
    );
    assert_eq!(office.service.datasets(&local).unwrap().len(), 2, "kept until it is delivered");
    for _ in 0..3 {
        office.clock.advance(Duration::from_secs(3 * 3600));
        while office.work().unwrap().is_some() {}
    }
    assert_eq!(see().state, ScheduleState::Disabled);
    assert!(see().reason.unwrap().starts_with("5 deliveries failed in a row: destination `disk`"));
    fs::create_dir(&disk).unwrap();
    office.service.pause_schedule(&local, id, false).unwrap();
    let found = office.deliver(&disk);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["n-1", "n-2"]);
    assert_eq!((see().state, see().undelivered), (ScheduleState::Active, 0));
}

#[test]
fn only_configured_destinations_are_delivered_to_and_each_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("ours")).unwrap();
    let ours = path("ours");
    let gone = path("gone");
    let office = Office::with_destinations(&[("ours", &ours), ("gone", &gone)]);
    let (_, ann) = office.join("ann@example.com", ProjectRole::Member);
    let refused = |destination: &str| {
        let added = office.service.add_schedule(&ann, "s", plan(to(destination, "", false)));
        added.map(|_| ()).unwrap_err().to_string()
    };
    for elsewhere in ["lake", "/etc", ours.to_str().unwrap(), "s3://bucket/x"] {
        let why = refused(elsewhere);
        assert!(why.contains(&format!("has no destination `{elsewhere}`")), "{why}");
    }
    let why = refused("gone");
    assert!(why.contains("is its disk mounted?"), "{why}");
    assert!(
        !why.contains(folder.path().to_str().unwrap()),
        "where it is is not for members: {why}"
    );
    // Another project may not use what is for this one.
    let other = office.service.project_or_new("q").unwrap();
    let other = retort_service::Caller::local(&other);
    assert_eq!(office.service.destinations(&other).unwrap(), ["gone"]);
    let added = office.service.add_schedule(&other, "s", plan(to("ours", "", false)));
    assert!(matches!(added, Err(Error::Choice(_))));
    // Two schedules with the same names in it do not mix.
    let (_, bob) = office.join("bob@example.com", ProjectRole::Member);
    for (caller, owner) in [(&ann, "ann@example.com"), (&bob, "bob@example.com")] {
        office.import(&[chat(owner)], Some(owner));
        office.service.prove_name(&office.local(), caller.person().unwrap()).unwrap();
        let added = office.service.add_schedule(caller, "s", plan(to("ours", "", false))).unwrap();
        office.service.run_schedule(caller, added.schedule.id).unwrap().unwrap();
    }
    assert_eq!(office.deliver(&ours), BTreeMap::from([("n-1".into(), 1), ("n-1-2".into(), 1)]));
    // A dataset of someone else in the folder is not written over.
    let found = verify(&ours.join("n-1")).unwrap();
    fs::create_dir_all(ours.join("n-2")).unwrap();
    fs::copy(ours.join("n-1/manifest.json"), ours.join("n-2/manifest.json")).unwrap();
    office.import(&[chat("more")], Some("ann@example.com"));
    office.clock.advance(DAY);
    while office.work().unwrap().is_some() {}
    let id = office.service.schedules(&ann, false).unwrap()[0].schedule.id;
    let why = office.service.schedule(&ann, id).unwrap().schedule.delivery_error.unwrap();
    assert!(why.contains("cannot deliver to `n-2`: another dataset is there"), "{why}");
    assert_eq!(verify(&ours.join("n-1")).unwrap().manifest, found.manifest);
}
