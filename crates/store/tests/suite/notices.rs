//! Notices that exports ended, and webhooks.

use std::collections::BTreeSet;

use retort_model::bounds::JOB_ATTEMPTS;
use retort_model::{JobKind, JobState, ProjectRole, ScheduleState, Scope};
use retort_store::{
    Delivery, DeliveryState, NewExport, NewImport, NewRun, NewSchedule, Notice, RunQueued,
    RunWindow, Schedule, Store, Wanted,
};

use crate::support::*;

fn notices(place: &Place, creator: &str) -> Vec<Notice> {
    let scope = Scope::person(place.project, creator);
    place.store.notices(&scope, None, 100).unwrap()
}

fn export(place: &Place, creator: &str, name: &str) -> i64 {
    let new = NewExport { creator, person: None, name, plan: "{}", part_bytes: 1 };
    place.store.submit_export(&place.scope(), &everything().into(), &new, at(100)).unwrap()
}

fn webhook(place: &Place, creator: &str, url: &str) -> i64 {
    place.store.add_webhook(place.project, creator, &webhook_to(url, None), at(1)).unwrap().unwrap()
}

fn schedule(place: &Place, creator: &str, name: &str) -> Schedule {
    let next_at = Some(at(1000));
    let new = NewSchedule { creator, person: None, name, plan: "{}", next_at, period_to: None };
    let id = place.store.add_schedule(place.project, &new, at(10)).unwrap();
    place.store.schedule(&place.scope(), id).unwrap().unwrap()
}

/// Has an export of ann's end, and so a notice made.
fn end_one(place: &Place, name: &str) {
    let job = export(place, "ann", name);
    place.store.cancel(&place.scope(), job, at(300)).unwrap();
}

fn claim(store: &Store, now: i64) -> Vec<Delivery> {
    store.claim_deliveries(at(now), at(now + 60), 100).unwrap()
}

#[test]
fn every_end_of_an_export_is_told() {
    on_both(|place| {
        use JobState::{Cancelled, Completed, CompletedWithSkips, Failed};
        let store = &place.store;
        let dataset = place.dataset("made", &everything());
        let skips = place.export("skips", &everything());
        place.claim("w", skips);
        let new = retort_store::NewDataset { name: "skips".into(), ..Default::default() };
        let state = CompletedWithSkips;
        let skipped = store.finish_export(skips, "w", state, "{}", &new, at(301)).unwrap();
        let failed = place.export("failed", &everything());
        place.claim("w", failed);
        store.end(failed, "w", Failed, Some("x"), None, at(302)).unwrap();
        let queued = place.export("queued", &everything());
        assert!(store.cancel(&place.scope(), queued, at(303)).unwrap());
        let running = place.export("running", &everything());
        place.claim("w", running);
        assert!(store.cancel(&place.scope(), running, at(304)).unwrap());
        assert_eq!(notices(place, "ann").len(), 4, "it goes on until its worker ends it");
        store.end(running, "w", Cancelled, None, None, at(305)).unwrap();
        // It can be tried again, and ends again.
        assert!(store.retry(&place.scope(), failed).unwrap());
        place.claim("w", failed);
        store.end(failed, "w", Failed, Some("x"), None, at(306)).unwrap();

        let told: Vec<_> = notices(place, "ann")
            .into_iter()
            .map(|one| (one.name, one.state, one.dataset, one.at.unwrap()))
            .collect();
        let expect = [
            ("made", Completed, Some(dataset), 300),
            ("skips", CompletedWithSkips, Some(skipped), 301),
            ("failed", Failed, None, 302),
            ("queued", Cancelled, None, 303),
            ("running", Cancelled, None, 305),
            ("failed", Failed, None, 306),
        ];
        assert_eq!(told, expect.map(|(name, state, set, now)| (name.into(), state, set, at(now))));
        assert_eq!(notices(place, "ann")[4].job, running);
    });
}

#[test]
fn what_no_worker_lives_to_end_is_told_too() {
    on_both(|place| {
        let store = &place.store;
        webhook(place, "ann", "https://one");
        let lost = place.export("lost", &everything());
        place.claim("w", lost);
        assert!(store.cancel(&place.scope(), lost, at(300)).unwrap());
        let killer = place.export("killer", &everything());
        for attempt in 0..JOB_ATTEMPTS as i64 {
            let now = 2000 + attempt * 10;
            let taken = store.claim("v", Wanted::One(killer), at(now), at(now + 1)).unwrap();
            assert!(taken.is_some(), "{attempt}");
        }
        assert!(store.claim("v", Wanted::Any, at(5000), at(5001)).unwrap().is_none());
        let told: Vec<_> =
            notices(place, "ann").into_iter().map(|one| (one.job, one.state)).collect();
        assert_eq!(told, [(lost, JobState::Cancelled), (killer, JobState::Failed)]);
        assert_eq!(claim(store, 5000).len(), 2);
    });
}

#[test]
fn an_import_is_not_told() {
    on_both(|place| {
        let new = NewImport {
            creator: "ann",
            person: None,
            needs: ProjectRole::Member,
            name: "i",
            plan: "{}",
            bytes: 0,
        };
        let job = place.store.submit_import(place.project, &new, at(1)).unwrap();
        place.claim("w", job);
        place.store.end(job, "w", JobState::Completed, None, None, at(2)).unwrap();
        assert_eq!(notices(place, "ann"), []);
    });
}

#[test]
fn notices_go_on_from_the_last_one_seen() {
    on_both(|place| {
        for name in ["a", "b", "c", "d"] {
            end_one(place, name);
        }
        let bobs = export(place, "bob", "e");
        place.store.cancel(&place.scope(), bobs, at(300)).unwrap();
        let q = place.store.project_or_new("q", at(0)).unwrap().id;
        let read = |scope: &Scope, after, most| {
            let found = place.store.notices(scope, after, most).unwrap();
            found.into_iter().map(|one| (one.id, one.name)).collect::<Vec<_>>()
        };
        let ann = Scope::person(place.project, "ann");
        let all = read(&ann, None, 10);
        let names: Vec<_> = all.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(read(&ann, None, 2), all[2..]);
        assert_eq!(read(&ann, Some(all[0].0), 2), all[1..3]);
        assert_eq!(read(&ann, Some(all[3].0), 2), []);
        assert_eq!(read(&place.scope(), None, 10).len(), 5);
        assert_eq!(read(&Scope::person(q, "ann"), None, 10), []);
    });
}

#[test]
fn a_notice_goes_to_the_webhooks_of_the_person_who_asked() {
    on_both(|place| {
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap().id;
        let first = webhook(place, "ann", "https://one");
        let second = webhook(place, "ann", "https://two");
        webhook(place, "bob", "https://bob");
        store.add_webhook(q, "ann", &webhook_to("https://q", None), at(1)).unwrap();
        end_one(place, "d");
        webhook(place, "ann", "https://too-late");
        assert_eq!(claim(store, 299), []);
        let told = claim(store, 300);
        let urls: Vec<_> = told.iter().map(|one| one.url.as_str()).collect();
        assert_eq!(urls, ["https://one", "https://two"]);
        assert_eq!(told[0].notice, notices(place, "ann")[0]);
        assert_eq!((told[0].webhook, told[1].webhook), (first, second));
        assert_eq!((told[0].project.as_str(), told[0].secret.as_str()), ("p", "key"));
        assert_eq!(told[0].attempts, 1);
    });
}

#[test]
fn a_webhook_of_a_schedule_is_told_of_its_runs_alone_and_goes_with_it() {
    on_both(|place| {
        let store = &place.store;
        place.add("a", "1");
        let [nightly, weekly] = ["nightly", "weekly"].map(|name| schedule(place, "ann", name));
        let limited = |creator: &str, url: &str, schedule: &Schedule| {
            let new = webhook_to(url, Some(schedule.id));
            store.add_webhook(place.project, creator, &new, at(1)).unwrap()
        };
        webhook(place, "ann", "https://all");
        let hook = limited("ann", "https://nightly", &nightly).unwrap();
        limited("ann", "https://weekly", &weekly).unwrap();
        assert_eq!(limited("bob", "https://bob", &nightly), None);
        let ann = Scope::person(place.project, "ann");
        let kept = store.webhooks(&ann).unwrap();
        assert_eq!(kept.iter().map(|one| one.schedule).collect::<Vec<_>>(), {
            [None, Some(nightly.id), Some(weekly.id)]
        });
        let told = || -> Vec<_> {
            let told = claim(store, 2000);
            told.into_iter().map(|one| (one.url, one.notice.name, one.notice.disabled)).collect()
        };
        let expect = |urls: &[&str], name: &str, why: Option<&str>| -> Vec<_> {
            let each = urls.iter().map(|url| (*url, name, why));
            each.map(|(url, name, why)| (url.into(), name.into(), why.map(String::from))).collect()
        };
        end_one(place, "other");
        assert_eq!(told(), expect(&["https://all"], "other", None));

        let new = NewExport { creator: "ann", person: None, name: "n", plan: "{}", part_bytes: 1 };
        let next_at = Some(at(5000));
        let run = NewRun { schedule: &nightly, window: RunWindow::All, next_at, delivers: None };
        let queued = store.submit_run(&place.scope(), &everything().into(), &new, &run, at(1000));
        let RunQueued::Job(job) = queued.unwrap() else { panic!("it has something to export") };
        place.claim("w", job);
        store.end(job, "w", JobState::Failed, Some("no disk"), None, at(1100)).unwrap();
        assert_eq!(told(), expect(&["https://all", "https://nightly"], "n", None));

        let fail = |is_over| {
            let now = store.schedule(&place.scope(), nightly.id).unwrap().unwrap();
            store.fail_run((&now, None), "n", "not allowed", is_over, at(1200)).unwrap();
        };
        fail(true);
        assert_eq!(told(), expect(&["https://all", "https://nightly"], "n", Some("not allowed")));
        let disabled = store.schedule(&place.scope(), nightly.id).unwrap().unwrap();
        assert_eq!(disabled.state, ScheduleState::Disabled);

        // What is on its way goes too.
        fail(false);
        store.delete_schedule(&nightly).unwrap();
        assert_eq!(told().len(), 1);
        let left: Vec<_> = store.webhooks(&ann).unwrap().into_iter().map(|one| one.url).collect();
        assert_eq!(left, ["https://all", "https://weekly"]);
        assert_eq!(store.webhook_owner(hook).unwrap(), None, "its links end");
        assert_eq!(limited("ann", "https://gone", &nightly), None);
        assert_eq!(store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_webhook_that_is_added_while_its_schedule_goes_does_not_stay() {
    on_both(|place| {
        let other = place.again();
        let schedules: Vec<_> =
            (0..30).map(|number| schedule(place, "ann", &format!("s{number}"))).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for one in &schedules {
                    let new = webhook_to("https://h", Some(one.id));
                    other.add_webhook(place.project, "ann", &new, at(1)).unwrap();
                }
            });
            for one in &schedules {
                place.store.delete_schedule(one).unwrap();
            }
        });
        assert_eq!(place.number("SELECT COUNT(*) FROM schedule"), 0);
        assert_eq!(place.number("SELECT COUNT(*) FROM webhook"), 0);
    });
}

#[test]
fn a_delivery_is_tried_until_it_ends() {
    on_both(|place| {
        let store = &place.store;
        let ann = Scope::person(place.project, "ann");
        let hook = webhook(place, "ann", "https://one");
        end_one(place, "d");
        let notice = notices(place, "ann")[0].id;
        let state = || store.deliveries(&ann, hook).unwrap().remove(0);
        let bare = DeliveryState { notice, attempts: 0, next_at: None, status: None, error: None };
        assert_eq!(state(), DeliveryState { next_at: Some(at(300)), ..bare.clone() });
        assert_eq!(claim(store, 300).len(), 1);
        assert_eq!(claim(store, 300), [], "someone is at it");
        assert_eq!(state(), DeliveryState { attempts: 1, next_at: Some(at(360)), ..bare.clone() });
        // The worker that took it is gone.
        assert_eq!(claim(store, 360)[0].attempts, 2);
        let error = Some("it said no\0");
        store.put_off_delivery(hook, notice, at(500), Some(503), error).unwrap();
        let put_off = DeliveryState {
            attempts: 2,
            next_at: Some(at(500)),
            status: Some(503),
            error: Some("it said no\u{fffd}".into()),
            ..bare.clone()
        };
        assert_eq!(state(), put_off);
        assert_eq!(claim(store, 499), []);
        assert_eq!(claim(store, 500)[0].attempts, 3);
        store.end_delivery(hook, notice, Some(204), None).unwrap();
        assert_eq!(state(), DeliveryState { attempts: 3, status: Some(204), ..bare });
        assert_eq!(claim(store, 1_000_000), []);
    });
}

#[test]
fn webhooks_stay_within_their_scope() {
    on_both(|place| {
        let store = &place.store;
        let [ann, bob] = ["ann", "bob"].map(|one| Scope::person(place.project, one));
        let hook = webhook(place, "ann", "https://one");
        webhook(place, "bob", "https://two");
        end_one(place, "d");
        let urls = |scope: &Scope| -> Vec<String> {
            store.webhooks(scope).unwrap().into_iter().map(|one| one.url).collect()
        };
        assert_eq!(urls(&ann), ["https://one"]);
        assert_eq!(urls(&place.scope()), ["https://one", "https://two"]);
        let one = &store.webhooks(&ann).unwrap()[0];
        assert_eq!((one.id, one.secret.as_str(), one.created_at), (hook, "key", Some(at(1))));
        assert_eq!(store.deliveries(&bob, hook).unwrap(), []);
        assert!(!store.end_webhook(&bob, hook).unwrap());
        assert!(store.end_webhook(&ann, hook).unwrap());
        assert!(!store.end_webhook(&ann, hook).unwrap());
        assert_eq!((urls(&ann).len(), urls(&bob).len()), (0, 1));
        assert_eq!(claim(store, 300), []);
        assert_eq!(store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_delivery_is_taken_by_one_server() {
    on_both(|place| {
        let hooks = [webhook(place, "ann", "https://one"), webhook(place, "ann", "https://two")];
        for number in 0..20 {
            end_one(place, &format!("d{number}"));
        }
        let other = place.again();
        let taken: Vec<(i64, i64)> = std::thread::scope(|scope| {
            let take = |store: &'_ Store| {
                let mut taken = Vec::new();
                loop {
                    let some = store.claim_deliveries(at(300), at(360), 3).unwrap();
                    if some.is_empty() {
                        return taken;
                    }
                    taken.extend(some.iter().map(|one| (one.webhook, one.notice.id)));
                }
            };
            let all = [&place.store, &other, &place.store, &other]
                .map(|store| scope.spawn(move || take(store)));
            all.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 40);
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 40);
        assert!(hooks.iter().all(|hook| taken.iter().filter(|one| one.0 == *hook).count() == 20));
    });
}

#[test]
fn a_webhook_that_goes_while_exports_end_does_not_keep_them_from_it() {
    on_both(|place| {
        let other = place.again();
        let ann = Scope::person(place.project, "ann");
        let hooks: Vec<i64> = (0..30).map(|_| webhook(place, "ann", "https://h")).collect();
        let jobs: Vec<i64> = (0..30).map(|n| export(place, "ann", &format!("d{n}"))).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for hook in hooks {
                    assert!(other.end_webhook(&ann, hook).unwrap());
                }
            });
            for job in jobs {
                assert!(place.store.cancel(&ann, job, at(300)).unwrap());
            }
        });
        assert_eq!(notices(place, "ann").len(), 30);
        assert_eq!(place.number("SELECT COUNT(*) FROM delivery"), 0);
    });
}

#[test]
fn open_jobs_are_counted_within_a_scope() {
    on_both(|place| {
        let open = |scope: &Scope, kind| place.store.open_jobs(scope, kind).unwrap();
        let [ann, bob] = ["ann", "bob"].map(|one| Scope::person(place.project, one));
        let first = export(place, "ann", "a");
        place.claim("w", first);
        export(place, "ann", "b");
        export(place, "bob", "c");
        end_one(place, "d");
        assert_eq!((open(&ann, JobKind::Export), open(&bob, JobKind::Export)), (2, 1));
        assert_eq!(open(&place.scope(), JobKind::Export), 3);
        assert_eq!(open(&ann, JobKind::Import), 0);
    });
}
