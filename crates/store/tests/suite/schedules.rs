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
    let run = NewRun { schedule, window, next_at: Some(at(now + 1000)), delivers: None };
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
            drops_deliveries: false,
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
        place.store.delete_schedule(&schedule(place, id)).unwrap();
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

/// Makes a dataset of everything that is to be delivered, named after that moment and number.
fn run_to_deliver(place: &Place, id: i64, name: &str, number: u64) -> i64 {
    let new = NewExport { creator: "ann", person: None, name, plan: "{}", part_bytes: 1 << 30 };
    let schedule = &schedule(place, id);
    let delivers = Some((at(500), number));
    let run = NewRun { schedule, window: RunWindow::Changed, next_at: Some(at(2000)), delivers };
    let queued =
        place.store.submit_run(&place.scope(), &everything().into(), &new, &run, at(1000)).unwrap();
    let RunQueued::Job(job) = queued else { panic!("{queued:?}") };
    assert_eq!(place.store.schedule_delivery(job).unwrap(), None, "not before it is made");
    deliver(place, job);
    job
}

fn claim(place: &Place, worker: &str, now: i64) -> Option<retort_store::ScheduleDelivery> {
    place.store.claim_schedule_delivery(None, worker, at(now), at(now + 60)).unwrap()
}

#[test]
fn datasets_are_delivered_once_and_in_order() {
    on_both(|place| {
        let id = add(place, "nightly", None);
        let mut jobs = Vec::new();
        for number in 1..=3 {
            place.add(&format!("c{number}"), "1");
            jobs.push(run_to_deliver(place, id, &format!("d{number}"), number));
        }
        let now = schedule(place, id);
        assert_eq!((now.delivered, now.undelivered, now.delivery_error), (3, 3, None));
        // Not deleted before they are delivered.
        assert_eq!(place.store.schedule_datasets(id).unwrap(), []);
        let first = claim(place, "w", 1000).unwrap();
        assert_eq!((first.job, first.named_at, first.number), (jobs[0], at(500), 1));
        assert_eq!(claim(place, "v", 1030), None, "the others wait for it");
        place.store.keep_schedule_delivery(first.job, "w", at(1100)).unwrap();
        assert_eq!(claim(place, "v", 1090), None);
        let placed = |delivery, worker| {
            place.store.place_schedule_delivery(delivery, worker, ("lake", "x/d"))
        };
        assert_eq!(placed(&first, "w").unwrap(), "x/d");
        // Its worker died, and another one continues.
        let again = claim(place, "v", 1101).unwrap();
        assert_eq!((again.job, again.path.as_deref()), (jobs[0], Some("x/d")));
        assert_eq!(placed(&again, "v").unwrap(), "x/d");
        let late = place.store.keep_schedule_delivery(first.job, "w", at(2000));
        assert!(matches!(late, Err(Error::NotHeld)), "{late:?}");
        let late = place.store.end_schedule_delivery(&first, "w", ("x/d", "abc"), at(1102));
        assert!(matches!(late, Err(Error::NotHeld)), "{late:?}");
        place.store.end_schedule_delivery(&again, "v", ("x/d", "abc"), at(1102)).unwrap();
        assert_eq!(place.store.schedule_datasets(id).unwrap().len(), 1);
        // The folder is taken.
        let second = claim(place, "w", 1103).unwrap();
        assert_eq!((second.job, placed(&second, "w").unwrap()), (jobs[1], "x/d-2".into()));
        place.store.end_schedule_delivery(&second, "w", ("x/d-2", "def"), at(1104)).unwrap();
        let (series, windows) = place.store.series_windows(&schedule(place, id), None).unwrap();
        assert!(series.ends_with(&format!("/{id}/1")), "{series}");
        let paths: Vec<_> = windows.iter().map(|one| one.path.as_deref()).collect();
        assert_eq!(paths, [Some("x/d"), Some("x/d-2"), None]);
        assert_eq!(windows[0].changes_to, windows[1].changes_after);
        assert_eq!(windows[1].dataset, Some(("d2".into(), "def".into())));
        // A dataset that is deleted is not delivered, which is told.
        let dataset = place.store.datasets(&place.scope()).unwrap().remove(0);
        place.store.delete_dataset(&dataset).unwrap();
        assert_eq!(claim(place, "w", 9000), None);
        let now = schedule(place, id);
        assert_eq!(now.last_note.unwrap(), "dataset `d3` was deleted before it was delivered");
        place.store.delete_schedule(&schedule(place, id)).unwrap();
    });
}

#[test]
fn deliveries_that_fail_are_repeated_until_the_schedule_is_disabled() {
    on_both(|place| {
        let id = add(place, "nightly", None);
        place.add("a", "1");
        let job = run_to_deliver(place, id, "d", 1);
        let (mut now, mut waits) = (1000, Vec::new());
        while let Some(delivery) = claim(place, "w", now) {
            place.store.fail_schedule_delivery(&delivery, "w", "no such bucket", at(now)).unwrap();
            let delivery = place.store.schedule_delivery(job).unwrap().unwrap();
            assert_eq!(delivery.error.as_deref(), Some("no such bucket"));
            let Some(next) = delivery.next_at else { break };
            assert_eq!(claim(place, "w", now + 1), None);
            let next = (next.unix_micros() - at(0).unix_micros()) / 1_000_000;
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [60, 300, 1800, 7200]);
        let seen = schedule(place, id);
        assert_eq!((seen.state, seen.next_at), (ScheduleState::Disabled, None));
        assert_eq!(seen.reason.as_deref(), Some("5 deliveries failed in a row: no such bucket"));
        assert_eq!((seen.undelivered, seen.delivery_error.as_deref()), (1, Some("no such bucket")));
        assert_eq!(place.store.waiting_deliveries().unwrap(), (1, 1));
        let told = place.store.notices(&place.scope(), None, 10).unwrap().pop().unwrap();
        assert_eq!((told.job, told.state), (job, JobState::Completed));
        assert!(told.disabled.unwrap().contains("no such bucket"));
        assert_eq!(claim(place, "w", now + 1_000_000), None, "it waits for someone");
        let change = ScheduleChange {
            plan: "{}".into(),
            state: ScheduleState::Active,
            next_at: Some(at(now)),
            restarts: false,
            period_to: None,
            drops_deliveries: false,
        };
        assert!(place.store.change_schedule(&seen, &change, at(now)).unwrap());
        let delivery = claim(place, "w", now).unwrap();
        assert_eq!((delivery.job, delivery.failures), (job, 0));
        // A new destination gets everything anew: what waits for the old one is dropped.
        let change = ScheduleChange { restarts: true, drops_deliveries: true, ..change };
        assert!(place.store.change_schedule(&schedule(place, id), &change, at(now)).unwrap());
        let gone = place.store.keep_schedule_delivery(job, "w", at(now + 9));
        assert!(matches!(gone, Err(Error::NotHeld)), "{gone:?}");
        // A run that fails is not delivered.
        let new = NewExport { creator: "ann", person: None, name: "e", plan: "{}", part_bytes: 1 };
        let schedule = &schedule(place, id);
        let delivers = Some((at(500), 2));
        let run = NewRun { schedule, window: RunWindow::All, next_at: None, delivers };
        let queued =
            place.store.submit_run(&place.scope(), &everything().into(), &new, &run, at(9));
        let Ok(RunQueued::Job(failed)) = queued else { panic!("{queued:?}") };
        fail(place, failed);
        assert_eq!(place.number("SELECT COUNT(*) FROM schedule_delivery"), 0);
    });
}
