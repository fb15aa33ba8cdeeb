//! Schedules: runs that are queued once, and windows that follow one another.

use std::collections::BTreeMap;

use retort_model::bounds::SCHEDULE_FAILURES;
use retort_model::{JobState, ScheduleState, Time, Window};
use retort_store::{
    Edit, Error, NewDataset, NewExport, NewRun, NewSchedule, RunQueued, RunWindow, Schedule,
    ScheduleChange, Store,
};

use crate::support::*;

fn add(place: &Place, name: &str, period_to: Option<Time>) -> i64 {
    let new = NewSchedule {
        creator: "ann",
        person: None,
        name,
        plan: "{}",
        next_at: Some(at(1000)),
        period_to,
    };
    place.store.add_schedule(place.project, &new, at(10)).unwrap()
}

fn schedule(place: &Place, id: i64) -> Schedule {
    place.store.schedule(&place.scope(), id).unwrap().unwrap()
}

fn submit(
    place: &Place,
    store: &Store,
    schedule: &Schedule,
    (name, window, now): (&str, RunWindow, i64),
) -> Result<RunQueued, Error> {
    let new = NewExport { creator: "ann", person: None, name, plan: "{}", part_bytes: 1 << 30 };
    let run = NewRun { schedule, window, next_at: Some(at(now + 1000)) };
    store.submit_run(&place.scope(), &everything().into(), &new, &run, at(now))
}

/// Queues a run, which has something to do; its job.
fn run(place: &Place, id: i64, name: &str, window: RunWindow) -> i64 {
    match submit(place, &place.store, &schedule(place, id), (name, window, 1000)).unwrap() {
        RunQueued::Job(job) => job,
        other => panic!("{other:?}"),
    }
}

/// Makes the dataset of a run.
fn deliver(place: &Place, job: i64) {
    place.claim("w", job);
    let dataset = NewDataset { name: place.job(job).name, ..NewDataset::default() };
    place.store.finish_export(job, "w", JobState::Completed, "{}", &dataset, at(300)).unwrap();
}

fn fail(place: &Place, job: i64) {
    place.claim("w", job);
    place.store.end(job, "w", JobState::Failed, Some("no disk"), None, at(300)).unwrap();
}

fn window(place: &Place, job: i64) -> Window {
    place.store.window_of(job).unwrap().unwrap().1
}

/// The ids of a run's items.
fn items(place: &Place, job: i64) -> Vec<String> {
    let found = place.all(&everything());
    let mut taken: Vec<_> = found
        .into_iter()
        .filter(|one| {
            let sql = format!(
                "SELECT COUNT(*) FROM job_item i JOIN conversation c ON c.key = i.item
                 WHERE i.job = {job} AND c.id = '{}'",
                one.id
            );
            place.number(&sql) > 0
        })
        .map(|one| one.id)
        .collect();
    taken.sort();
    taken
}

#[test]
fn a_due_run_is_queued_once_however_many_servers_look() {
    on_both(|place| {
        place.add("a", "1");
        let id = add(place, "nightly", None);
        assert_eq!(place.store.due_schedules(at(999), 9).unwrap(), []);
        let seen = place.store.due_schedules(at(1000), 9).unwrap();
        assert_eq!(seen.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
        let other = place.again();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let servers = [&place.store, &other, &place.store, &other].map(|store| {
                let seen = &seen[0];
                scope
                    .spawn(move || submit(place, store, seen, ("d", RunWindow::All, 1000)).unwrap())
            });
            servers.into_iter().map(|server| server.join().unwrap()).collect()
        });
        let queued = outcomes.iter().filter(|one| matches!(one, RunQueued::Job(_))).count();
        assert_eq!(queued, 1, "{outcomes:?}");
        assert_eq!(place.number("SELECT COUNT(*) FROM job"), 1);
        assert_eq!(place.store.due_schedules(at(1000), 9).unwrap(), []);
        // Nor while it is under way.
        let now = schedule(place, id);
        let again = submit(place, &other, &now, ("e", RunWindow::All, 2000)).unwrap();
        assert_eq!(again, RunQueued::Elsewhere);
    });
}

#[test]
fn what_came_or_changed_is_in_the_next_window_and_what_was_delivered_is_not() {
    on_both(|place| {
        let id = add(place, "changes", None);
        for name in ["a", "b", "c"] {
            place.add(name, "1");
        }
        let first = run(place, id, "d1", RunWindow::Changed);
        assert_eq!(items(place, first), ["a", "b", "c"]);
        // What comes while it runs is for the next one.
        place.add("d", "1");
        place.add("a", "2");
        deliver(place, first);
        place.store.edit(&place.scope(), &ids(&["b"]), &Edit::Favorite(true)).unwrap();
        let second = run(place, id, "d2", RunWindow::Changed);
        assert_eq!(items(place, second), ["a", "b", "d"]);
        // One that fails leaves its window to the next.
        fail(place, second);
        place.store.edit(&place.scope(), &ids(&["d"]), &Edit::Delete).unwrap();
        let third = run(place, id, "d2", RunWindow::Changed);
        assert_eq!(items(place, third), ["a", "b"]);
        deliver(place, third);
        let (one, two) = (window(place, first), window(place, third));
        assert_eq!((one.number, one.changes_after), (1, 0));
        assert_eq!((two.number, two.changes_after), (2, one.changes_to));
        assert_eq!(two.series, one.series);
        let now = schedule(place, id);
        let none = submit(place, &place.store, &now, ("d3", RunWindow::Changed, 1000)).unwrap();
        assert_eq!(none, RunQueued::Nothing);
        let now = schedule(place, id);
        assert_eq!((now.delivered, now.job, now.next_at), (2, None, Some(at(2000))));
        assert_eq!(now.last_note.as_deref(), Some("nothing new"));
        // Another series begins with everything.
        let change = ScheduleChange {
            plan: "{}".into(),
            state: ScheduleState::Active,
            next_at: Some(at(5000)),
            restarts: true,
            period_to: None,
        };
        assert!(place.store.change_schedule(&now, &change, at(50)).unwrap());
        assert!(!place.store.change_schedule(&now, &change, at(50)).unwrap());
        let all = run(place, id, "d4", RunWindow::Changed);
        assert_eq!(items(place, all), ["a", "b", "c"]);
        assert_ne!(window(place, all).series, one.series);
    });
}

#[test]
fn a_period_takes_what_began_in_it_and_what_came_late() {
    on_both(|place| {
        let made = |id: &str, day: i64| {
            let created_at = Some(at(day * 86_400));
            place.take(&[retort_store::Incoming { created_at, ..place.incoming(id, "1") }]);
        };
        made("before", -1);
        made("in-first", 0);
        let id = add(place, "days", Some(at(0)));
        made("also-first", 0);
        made("in-second", 1);
        made("in-third", 2);
        let period = |day: i64| RunWindow::Period(at(day * 86_400), at((day + 1) * 86_400));
        let first = run(place, id, "d1", period(0));
        deliver(place, first);
        made("late", 0);
        made("later", -5);
        let second = run(place, id, "d2", period(1));
        deliver(place, second);
        let third = run(place, id, "d3", period(2));
        assert_eq!(items(place, first), ["also-first", "in-first"]);
        assert_eq!(items(place, second), ["in-second", "late", "later"]);
        assert_eq!(items(place, third), ["in-third"]);
        assert_eq!([first, second, third].map(|job| window(place, job).late), [0, 2, 0]);
        assert_eq!(window(place, second).period, Some((at(86_400), at(2 * 86_400))));
        assert_eq!(schedule(place, id).period_to, Some(at(2 * 86_400)));
    });
}

#[test]
fn a_schedule_that_fails_too_often_is_disabled_and_told() {
    on_both(|place| {
        place.add("a", "1");
        let id = add(place, "nightly", None);
        for failed in 1..=SCHEDULE_FAILURES {
            let job = run(place, id, "d", RunWindow::All);
            fail(place, job);
            let now = schedule(place, id);
            assert_eq!(now.failures, failed);
            let waits = now.next_at.map(|next| next <= at(2000));
            assert_eq!(waits, (failed < SCHEDULE_FAILURES).then_some(true), "{failed}");
            // The schedule tries again, with what is there by then.
            assert!(!place.store.retry(&place.scope(), job).unwrap());
        }
        let now = schedule(place, id);
        assert_eq!((now.state, now.next_at), (ScheduleState::Disabled, None));
        assert_eq!(now.reason.as_deref(), Some("5 runs failed in a row: no disk"));
        let told: BTreeMap<i64, _> = place
            .store
            .notices(&place.scope(), None, 100)
            .unwrap()
            .into_iter()
            .map(|one| (one.job, (one.schedule, one.disabled)))
            .collect();
        assert_eq!(told.len(), 5);
        let (last, first) = (told.values().next_back().unwrap(), told.values().next().unwrap());
        assert_eq!(last, &(Some("nightly".into()), now.reason.clone()));
        assert_eq!(first, &(Some("nightly".into()), None));
        let stats = place.store.schedule_stats(at(9000)).unwrap();
        assert_eq!((stats.active, stats.late, stats.disabled), (0, 0, 1));
    });
}

#[test]
fn a_run_that_cannot_be_queued_is_a_failed_job() {
    on_both(|place| {
        let id = add(place, "nightly", None);
        let now = schedule(place, id);
        place.store.fail_run((&now, Some(at(9000))), "d", "no such node", false, at(1000)).unwrap();
        place.store.fail_run((&now, Some(at(9000))), "d", "again", false, at(1000)).unwrap();
        let seen = schedule(place, id);
        assert_eq!((seen.failures, seen.next_at), (1, Some(at(1060))));
        assert_eq!(seen.last_note.as_deref(), Some("no such node"));
        let runs = place.store.schedule_runs(&seen, 10).unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(
            (runs[0].state, runs[0].error.as_deref()),
            (JobState::Failed, Some("no such node"))
        );
        place.store.fail_run((&seen, Some(at(9000))), "d", "ann is gone", true, at(2000)).unwrap();
        let over = schedule(place, id);
        assert_eq!((over.state, over.next_at), (ScheduleState::Disabled, None));
        assert_eq!(over.reason.as_deref(), Some("ann is gone"));
    });
}

#[test]
fn a_plan_of_a_clock_that_was_wrong_is_looked_at_again() {
    on_both(|place| {
        let id = add(place, "nightly", None);
        let far = Some(at(900_000_000));
        place.store.put_off_schedule(&schedule(place, id), far, None, at(800_000_000)).unwrap();
        assert_eq!(place.store.due_schedules(at(100), 9).unwrap().len(), 1);
        place.store.put_off_schedule(&schedule(place, id), Some(at(500)), None, at(100)).unwrap();
        assert_eq!(place.store.due_schedules(at(100), 9).unwrap(), []);
        assert_eq!(place.store.schedule_stats(at(3000)).unwrap().late, 1);
    });
}

#[test]
fn a_deleted_schedule_leaves_its_datasets_and_a_run_that_is_under_way() {
    on_both(|place| {
        place.add("a", "1");
        let id = add(place, "nightly", None);
        let first = run(place, id, "d1", RunWindow::Changed);
        deliver(place, first);
        place.add("b", "1");
        let second = run(place, id, "d2", RunWindow::Changed);
        place.store.delete_schedule(id).unwrap();
        deliver(place, second);
        assert_eq!(place.store.datasets(&place.scope()).unwrap().len(), 2);
        assert_eq!(place.job(second).schedule, None);
        assert_eq!(place.store.schedules(&place.scope()).unwrap(), []);
        let taken = add(place, "nightly", None);
        let new = NewSchedule {
            creator: "ann",
            person: None,
            name: "nightly",
            plan: "{}",
            next_at: None,
            period_to: None,
        };
        let twice = place.store.add_schedule(place.project, &new, at(10));
        assert!(matches!(twice, Err(Error::NameTaken(_))), "{taken} {twice:?}");
    });
}
