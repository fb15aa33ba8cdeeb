//! The queue: who takes what, who holds it, how it ends.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use retort_model::bounds::{JOB_ATTEMPTS, PAGE_BYTES};
use retort_model::{Action, ConversationFilter, JobKind, JobState, ProjectRole, Scope};
use retort_store::{
    AuditFilter, Error, JobProgress, NewAudit, NewDataset, NewExport, NewImport, NewShare, Wanted,
};

use crate::support::*;

fn import(place: &Place, name: &str, seconds: i64) -> i64 {
    import_of(place, "ann", name, seconds)
}

fn import_of(place: &Place, creator: &str, name: &str, seconds: i64) -> i64 {
    let new = NewImport {
        creator,
        person: None,
        needs: ProjectRole::Member,
        name,
        plan: "{\"plan\":1}",
        bytes: 0,
    };
    place.store.submit_import(place.project, &new, at(seconds)).unwrap()
}

/// Whatever a worker that lost its job tries is refused, and changes nothing.
fn is_lost(place: &Place, job: i64, worker: &str) {
    let before = format!("{:?} {:?}", place.job(job), place.store.shards(job).unwrap());
    let store = &place.store;
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::NotHeld)), "{result:?}");
    };
    refused(store.keep(job, worker, &JobProgress::default(), at(9000)).map(|_| ()));
    refused(store.take_shard(job, worker, at(250), at(9000)).map(|_| ()));
    refused(store.prepare(job, worker, "late"));
    refused(store.reopen_shard(job, worker, 0));
    let dataset = NewDataset { name: "late".into(), ..NewDataset::default() };
    let finished = store.finish_export(job, worker, JobState::Completed, "late", &dataset, at(900));
    refused(finished.map(|_| ()));
    refused(store.end(job, worker, JobState::Failed, Some("late"), None, at(900)));
    refused(store.give_back(job, worker));
    assert_eq!(format!("{:?} {:?}", place.job(job), store.shards(job).unwrap()), before);
    assert_eq!(place.number("SELECT COUNT(*) FROM job_left_out"), 0);
    assert_eq!(store.datasets(&place.scope()).unwrap(), []);
}

#[test]
fn a_job_is_what_was_asked_for() {
    on_both(|place| {
        let id = import(place, "history.zip", 5);
        let job = place.job(id);
        assert_eq!((job.kind, job.state), (JobKind::Import, JobState::Queued));
        assert_eq!((job.creator.as_str(), job.name.as_str()), ("ann", "history.zip"));
        assert_eq!((job.plan.as_str(), job.project), ("{\"plan\":1}", place.project));
        assert_eq!((job.created_at, job.started_at, job.finished_at), (Some(at(5)), None, None));
        assert_eq!((job.worker, job.attempts, job.is_cancelled), (None, 0, false));
        let taken = place.claim("w", id);
        assert_eq!((taken.state, taken.attempts), (JobState::Running, 1));
        assert_eq!((taken.started_at, taken.lease_until), (Some(at(200)), Some(at(1000))));
        let progress = JobProgress {
            items_total: 5,
            items_done: 4,
            bytes_total: 3,
            bytes_done: 2,
            records: 1,
        };
        assert!(!place.store.keep(id, "w", &progress, at(1100)).unwrap());
        let state = JobState::CompletedWithSkips;
        place.store.end(id, "w", state, None, Some("{\"report\":1}"), at(300)).unwrap();
        let job = place.job(id);
        assert_eq!((job.state, job.progress, job.finished_at), (state, progress, Some(at(300))));
        assert_eq!(
            (job.report.as_deref(), job.error, job.lease_until),
            (Some("{\"report\":1}"), None, None)
        );
        is_lost(place, id, "w");
    });
}

#[test]
fn jobs_are_taken_in_the_order_in_which_they_came() {
    on_both(|place| {
        let [late, early, same] =
            [(9, "late"), (1, "early"), (9, "same")].map(|(n, name)| import(place, name, n));
        let next =
            |wanted| place.store.claim("w", wanted, at(20), at(50)).unwrap().map(|job| job.id);
        assert_eq!(next(Wanted::One(same)), Some(same));
        assert_eq!(next(Wanted::One(same)), None);
        assert_eq!(
            [next(Wanted::Any), next(Wanted::Any), next(Wanted::Any)],
            [Some(early), Some(late), None]
        );
        let listed: Vec<_> =
            place.store.jobs(&place.scope(), 2).unwrap().into_iter().map(|job| job.id).collect();
        assert_eq!(listed, [same, early]);
    });
}

#[test]
fn people_take_turns_however_much_one_of_them_asked_for() {
    on_both(|place| {
        let ann: Vec<i64> = (0..5).map(|n| import_of(place, "ann", &format!("a{n}"), n)).collect();
        let ben: Vec<i64> =
            (10..12).map(|n| import_of(place, "ben", &format!("b{n}"), n)).collect();
        let next = |wanted| {
            let job = place.store.claim("w", wanted, at(20), at(50)).unwrap();
            job.map(|job| job.id)
        };
        let end = |job| {
            place.store.end(job, "w", JobState::Completed, None, None, at(30)).unwrap();
        };
        assert_eq!(next(Wanted::Any), Some(ann[0]));
        assert_eq!(next(Wanted::OfIdlePeople), Some(ben[0]), "none of ben's runs");
        assert_eq!(next(Wanted::OfIdlePeople), None);
        end(ann[0]);
        end(ben[0]);
        let cat = import_of(place, "cat", "c", 15);
        // Who had none yet goes first, then who was served longest ago.
        assert_eq!(next(Wanted::Any), Some(cat));
        end(cat);
        let mut rest = Vec::new();
        while let Some(job) = next(Wanted::Any) {
            rest.push(job);
            end(job);
        }
        assert_eq!(rest, [ann[1], ben[1], ann[2], ann[3], ann[4]]);
    });
}

#[test]
fn no_two_workers_take_one_job() {
    on_both(|place| {
        for n in 0..60 {
            import(place, &format!("j{n}"), n);
        }
        let other = place.again();
        let taken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let store = if worker % 2 == 0 { &place.store } else { &other };
                let taken = &taken;
                scope.spawn(move || {
                    let name = format!("w{worker}");
                    let mut misses = 0;
                    while misses < 3 {
                        match store.claim(&name, Wanted::Any, at(100), at(200)).unwrap() {
                            Some(job) => taken.lock().unwrap().push(job.id),
                            None => misses += 1,
                        }
                    }
                });
            }
        });
        let taken = taken.into_inner().unwrap();
        assert_eq!(taken.len(), 60);
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 60);
    });
}

#[test]
fn a_silent_workers_job_is_taken_over() {
    on_both(|place| {
        place.add("c", "x");
        let job = place.export("d", &everything());
        let take = |worker, now, until| {
            place.store.claim(worker, Wanted::One(job), at(now), at(until)).unwrap()
        };
        assert!(take("a", 200, 300).is_some());
        assert!(take("b", 300, 400).is_none(), "the lease holds to its last moment");
        assert!(!place.store.keep(job, "a", &JobProgress::default(), at(350)).unwrap());
        assert!(take("b", 340, 400).is_none());
        assert_eq!(take("b", 351, 400).unwrap().attempts, 2);
        assert_eq!(place.job(job).started_at, Some(at(200)));
        is_lost(place, job, "a");
        let shard = place.store.take_shard(job, "b", at(351), at(400)).unwrap().unwrap();
        place.store.finish_shard(job, &shard, ("done", 1), &[]).unwrap();
        assert_eq!(place.store.shards(job).unwrap()[0].result.as_deref(), Some("done"));
        assert_eq!(place.job(job).attempts, 1);
    });
}

#[test]
fn a_worker_is_refused_while_its_job_is_being_taken_over() {
    on_postgres(|place| {
        place.add("c", "x");
        for finish in [false, true] {
            let job = place.export("d", &everything());
            place.claim("a", job);
            let mut client = place.client();
            let mut takeover = client.transaction().unwrap();
            takeover.execute("UPDATE job SET worker = 'b' WHERE id = $1", &[&job]).unwrap();
            std::thread::scope(|scope| {
                let late = scope.spawn(|| {
                    let dataset = NewDataset { name: "d".into(), ..NewDataset::default() };
                    if finish {
                        let state = JobState::Completed;
                        place
                            .store
                            .finish_export(job, "a", state, "", &dataset, at(300))
                            .map(|_| ())
                    } else {
                        place.store.end(job, "a", JobState::Failed, None, None, at(300))
                    }
                });
                std::thread::sleep(Duration::from_millis(300));
                takeover.commit().unwrap();
                let late = late.join().unwrap();
                assert!(matches!(late, Err(Error::NotHeld)), "{late:?}");
            });
            assert_eq!(place.job(job).state, JobState::Running);
            place.store.end(job, "b", JobState::Failed, None, None, at(300)).unwrap();
        }
    });
}

#[test]
fn a_job_that_kills_its_workers_fails() {
    on_both(|place| {
        let job = import(place, "j", 0);
        let attempts = i64::try_from(JOB_ATTEMPTS).unwrap();
        let take = |n: i64| {
            place.store.claim("w", Wanted::One(job), at(n * 100), at(n * 100 + 50)).unwrap()
        };
        for n in 1..=attempts {
            assert_eq!(take(n).unwrap().attempts, n.unsigned_abs());
        }
        assert!(take(attempts + 1).is_none());
        let ended = place.job(job);
        assert_eq!((ended.state, ended.error.is_some()), (JobState::Failed, true));
        is_lost(place, job, "w");
        assert!(place.store.retry(&place.scope(), job).unwrap());
        assert!(!place.store.retry(&place.scope(), job).unwrap());
        let again = take(attempts + 2).unwrap();
        assert_eq!((again.attempts, again.error), (1, None));
    });
}

#[test]
fn a_worker_that_stops_gives_its_job_back() {
    on_both(|place| {
        let job = import(place, "j", 0);
        for _ in 0..JOB_ATTEMPTS + 2 {
            place.claim("a", job);
            place.store.give_back(job, "a").unwrap();
            assert_eq!(place.job(job).state, JobState::Queued);
            is_lost(place, job, "a");
        }
        // Those who stopped in good order were not ended by the job.
        assert_eq!(place.claim("b", job).attempts, 1);
    });
}

#[test]
fn a_cancelled_job_ends_when_its_worker_hears_of_it() {
    on_both(|place| {
        let (queued, running, silent) =
            (import(place, "q", 0), import(place, "r", 0), import(place, "s", 0));
        place.claim("w", running);
        place.claim("w", silent);
        let cancel = |job| place.store.cancel(&place.scope(), job, at(300)).unwrap();
        for job in [queued, running, silent] {
            assert!(cancel(job));
        }
        let ended = place.job(queued);
        assert_eq!((ended.state, ended.finished_at), (JobState::Cancelled, Some(at(300))));
        assert!(!cancel(queued));
        assert_eq!(place.job(running).state, JobState::Running);
        assert!(place.store.keep(running, "w", &JobProgress::default(), at(1000)).unwrap());
        place.store.end(running, "w", JobState::Cancelled, None, None, at(310)).unwrap();
        assert!(place.store.claim("v", Wanted::Any, at(1001), at(2000)).unwrap().is_none());
        assert_eq!(place.job(silent).state, JobState::Cancelled);
        is_lost(place, silent, "w");
        assert!(place.store.retry(&place.scope(), queued).unwrap());
        let again = place.claim("w", queued);
        assert!(!again.is_cancelled);
        place.store.cancel(&place.scope(), queued, at(400)).unwrap();
        place.store.give_back(queued, "w").unwrap();
        assert!(place.store.claim("v", Wanted::One(queued), at(500), at(600)).unwrap().is_none());
        assert_eq!(place.job(queued).state, JobState::Cancelled);
    });
}

#[test]
fn names_are_given_once() {
    on_both(|place| {
        let submit = |creator, name| {
            let new = NewExport { creator, person: None, name, plan: "", part_bytes: 1 };
            place.store.submit_export(&place.scope(), &everything().into(), &new, at(0))
        };
        let taken = |result: Result<i64, Error>| {
            assert!(matches!(&result, Err(Error::NameTaken(name)) if name == "d"), "{result:?}");
        };
        let first = submit("ann", "d").unwrap();
        taken(submit("ann", "d"));
        submit("bob", "d").unwrap();
        place.store.cancel(&place.scope(), first, at(1)).unwrap();
        let second = submit("ann", "d").unwrap();
        let retried = place.store.retry(&place.scope(), first);
        assert!(matches!(retried, Err(Error::NameTaken(_))), "{retried:?}");
        place.claim("w", second);
        let finish = |name: &str| {
            let dataset = NewDataset { name: name.into(), ..NewDataset::default() };
            place.store.finish_export(second, "w", JobState::Completed, "", &dataset, at(2))
        };
        finish("d").unwrap();
        taken(submit("ann", "d"));
        // Imports have no names to give.
        import(place, "d", 0);
        import(place, "d", 0);
        let all = std::thread::scope(|scope| {
            let other = place.again();
            let all = [0; 6].map(|_| {
                let store = other.project("p").map(|_| place.again()).unwrap();
                scope.spawn(move || {
                    let new = NewExport {
                        creator: "eve",
                        person: None,
                        name: "d",
                        plan: "",
                        part_bytes: 1,
                    };
                    store
                        .submit_export(&Scope::project(1), &everything().into(), &new, at(0))
                        .is_ok()
                })
            });
            all.map(|one| one.join().unwrap())
        });
        assert_eq!(all.iter().filter(|given| **given).count(), 1);
    });
}

#[test]
fn jobs_stay_within_their_scope() {
    on_both(|place| {
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        let job = import(place, "j", 0);
        for scope in [
            Scope::project(other),
            Scope::person(place.project, "bob"),
            Scope::person(other, "ann"),
        ] {
            assert!(place.store.job(&scope, job).unwrap().is_none());
            assert!(place.store.jobs(&scope, 10).unwrap().is_empty());
            assert!(!place.store.cancel(&scope, job, at(1)).unwrap());
        }
        let ann = Scope::person(place.project, "ann");
        assert_eq!(place.store.jobs(&ann, 10).unwrap().len(), 1);
        assert!(place.store.job(&ann, job).unwrap().is_some());
        assert!(place.store.cancel(&ann, job, at(1)).unwrap());
        for scope in [Scope::project(other), Scope::person(place.project, "bob")] {
            assert!(!place.store.retry(&scope, job).unwrap());
        }
        assert!(place.store.retry(&ann, job).unwrap());
    });
}

#[test]
fn what_a_failed_job_needs_for_another_try_is_kept_for_a_week() {
    on_both(|place| {
        place.add("c", "one");
        let export = place.export("set", &everything());
        let import = import(place, "history.zip", 5);
        for job in [export, import] {
            place.claim("w", job);
            place.store.end(job, "w", JobState::Failed, Some("no room"), None, at(300)).unwrap();
        }
        assert!(!place.store.has_open_jobs().unwrap());
        let day = 86_400;
        let uncleared = |now| -> Vec<i64> {
            let mut jobs: Vec<i64> =
                place.store.uncleared(now).unwrap().iter().map(|job| job.id).collect();
            jobs.sort_unstable();
            jobs
        };
        assert_eq!(uncleared(at(300 + 7 * day)), [0; 0]);
        assert_eq!(uncleared(at(301 + 7 * day)), [export, import]);
        assert!(place.store.retry(&place.scope(), export).unwrap());
        assert_eq!(uncleared(at(301 + 7 * day)), [import]);
        place.store.cleared(import).unwrap();
        assert_eq!(uncleared(at(301 + 7 * day)), [0; 0]);
    });
}

#[test]
fn a_lease_that_a_wrong_clock_wrote_is_none() {
    on_both(|place| {
        let day = 86_400;
        let [long, cancelled] = [1, 2].map(|n| import(place, &format!("{n}"), n));
        for job in [long, cancelled] {
            // A worker whose clock is a day ahead, and that is killed.
            place.store.claim("ahead", Wanted::One(job), at(day), at(day + 30)).unwrap().unwrap();
        }
        assert!(place.store.cancel(&place.scope(), cancelled, at(60)).unwrap());
        let claim = |now, until| place.store.claim("w", Wanted::Any, at(now), at(until)).unwrap();
        assert_eq!(claim(100, 130).map(|job| job.id), Some(long));
        assert_eq!(place.job(cancelled).state, JobState::Cancelled);
        // One whose clock is some minutes ahead has it.
        place.store.keep(long, "w", &JobProgress::default(), at(900)).unwrap();
        assert!(claim(110, 140).is_none());
    });
}

#[test]
fn a_job_whose_store_was_away_waits_again_and_that_was_an_attempt() {
    on_both(|place| {
        let job = import(place, "a", 1);
        place.claim("w", job);
        place.store.put_back(job, "w").unwrap();
        assert_eq!(place.job(job).state, JobState::Queued);
        assert!(matches!(place.store.put_back(job, "w"), Err(Error::NotHeld)));
        assert_eq!(place.claim("v", job).attempts, 2);
    });
}

#[test]
fn lists_of_jobs_datasets_links_and_entries_end_before_they_are_too_large() {
    const ROWS: usize = 40;
    on_both(|place| {
        let long = "\"".repeat(PAGE_BYTES / 6 / ROWS * 3);
        place.add("a", "text");
        let conversation = place.one("a").key;
        for n in 0..ROWS {
            import(place, &long, 1);
            let job = place.export(&format!("{n}"), &ConversationFilter::default());
            place.claim("w", job);
            let dataset = NewDataset { name: format!("{n}{long}"), ..NewDataset::default() };
            let store = &place.store;
            store.finish_export(job, "w", JobState::Completed, "{}", &dataset, at(300)).unwrap();
            let share = NewShare { creator: &long, ..link(&format!("{n}"), conversation) };
            store.add_share(&place.scope(), &share, at(1)).unwrap();
            let entry = NewAudit { object: &long, ..entry(Some(place.project), Action::Edit, "") };
            store.add_audit(&entry, at(1)).unwrap();
        }
        let (store, scope) = (&place.store, place.scope());
        let filter = AuditFilter::default();
        pages(|after| {
            ids(store.job_page(&scope, Some(JobKind::Import), after, 1000), |one| one.id)
        });
        pages(|after| ids(store.dataset_page(&scope, after, 1000), |one| one.id));
        pages(|after| ids(store.shares(&scope, None, after, 1000), |one| one.id));
        pages(|after| ids(store.audit(place.project, false, &filter, after, 1000), |one| one.id));

        fn ids<T>(page: Result<(Vec<T>, bool), Error>, id: impl Fn(&T) -> i64) -> (Vec<i64>, bool) {
            let (page, has_more) = page.unwrap();
            (page.iter().map(id).collect(), has_more)
        }

        /// Each page is smaller than all, and together they are all, the newest first.
        fn pages(page: impl Fn(Option<i64>) -> (Vec<i64>, bool)) {
            let mut found = Vec::new();
            loop {
                let (some, has_more) = page(found.last().copied());
                assert!((1..ROWS / 2).contains(&some.len()), "{} on a page", some.len());
                found.extend(some);
                if !has_more {
                    break;
                }
            }
            assert_eq!(found.len(), ROWS);
            assert!(found.is_sorted_by(|one, next| one > next));
        }
    });
}
