//! The parts of an export: who makes which, who lost one, and what is left of them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use retort_model::JobState;
use retort_store::{Error, NewExport, Shard, ShardsDone, Wanted};

use crate::support::*;

/// Queues an export with a part for each of so many conversations, which `holder` holds until moment 1000.
fn held_export(place: &Place, parts: usize) -> i64 {
    for number in 0..parts {
        place.add(&format!("c{number}"), "text");
    }
    let new = NewExport { creator: "ann", person: None, name: "d", plan: "{}", part_bytes: 1 };
    let selection = everything().into();
    let job = place.store.submit_export(&place.scope(), &selection, &new, at(100)).unwrap();
    assert_eq!(place.store.shards(job).unwrap().len(), parts);
    place.claim("holder", job);
    job
}

fn help(place: &Place, worker: &str, now: i64) -> Option<Shard> {
    let taken = place.store.help(worker, at(now), at(now + 100)).unwrap();
    taken.map(|(_, shard)| shard)
}

fn take(place: &Place, job: i64, now: i64) -> Option<Shard> {
    place.store.take_shard(job, "holder", at(now), at(now + 100)).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::NotHeld)), "{result:?}");
}

#[test]
fn others_help_with_all_parts_but_the_first_once_the_job_is_prepared() {
    on_both(|place| {
        let job = held_export(place, 4);
        assert_eq!(help(place, "a", 200), None, "it is not known what the parts share");
        refused(place.store.prepare(job, "a", "shared"));
        place.store.prepare(job, "holder", "shared").unwrap();
        let (helped, shard) = place.store.help("a", at(200), at(300)).unwrap().unwrap();
        assert_eq!((helped.id, helped.prepared.as_deref()), (job, Some("shared")));
        assert_eq!((shard.number, shard.first, shard.last, shard.attempt), (1, 2, 2, 1));
        assert_eq!(help(place, "holder", 200), None, "its own");
        assert_eq!(take(place, job, 200).unwrap().number, 0);
        assert_eq!(help(place, "b", 200).unwrap().number, 2);
        assert_eq!(take(place, job, 200).unwrap().number, 3);
        assert_eq!((take(place, job, 200), help(place, "a", 200)), (None, None));
        assert_eq!(place.store.unfinished_shards(job).unwrap(), 4);
        // Nobody helps with what is to end, nor with what nobody holds.
        place.store.free_shard(job, &shard, true).unwrap();
        assert_eq!(help(place, "a", 1001), None);
        place.store.cancel(&place.scope(), job, at(201)).unwrap();
        assert_eq!(help(place, "a", 202), None);
    });
}

#[test]
fn a_part_that_its_worker_lost_is_the_holders_and_the_worker_is_refused() {
    on_both(|place| {
        let job = held_export(place, 2);
        place.store.prepare(job, "holder", "").unwrap();
        let lost = help(place, "a", 200).unwrap();
        let first = take(place, job, 200).unwrap();
        place.store.finish_shard(job, &first, ("done", 1), &[]).unwrap();
        place.store.keep_shard(job, &lost, (1, 1), at(350)).unwrap();
        assert_eq!(take(place, job, 350), None, "the lease holds to its last moment");
        assert_eq!(help(place, "b", 351), None, "it may end who helps, too");
        let again = take(place, job, 351).unwrap();
        assert_eq!((again.number, again.attempt), (1, 2));
        refused(place.store.keep_shard(job, &lost, (1, 1), at(900)));
        refused(place.store.finish_shard(job, &lost, ("late", 1), &[2]));
        place.store.free_shard(job, &lost, true).unwrap();
        assert_eq!(help(place, "b", 352), None);
        place.store.finish_shard(job, &again, ("done", 1), &[]).unwrap();
        refused(place.store.finish_shard(job, &again, ("twice", 1), &[2]));
        refused(place.store.keep_shard(job, &again, (1, 1), at(900)));
        let shards = place.store.shards(job).unwrap();
        assert_eq!(shards[1].result.as_deref(), Some("done"));
        assert_eq!(place.number("SELECT COUNT(*) FROM job_left_out"), 0);
    });
}

#[test]
fn a_part_that_failed_is_left_to_the_holder_and_one_that_was_let_go_is_anyones() {
    on_both(|place| {
        let job = held_export(place, 3);
        place.store.prepare(job, "holder", "").unwrap();
        let stopped = help(place, "a", 200).unwrap();
        place.store.free_shard(job, &stopped, true).unwrap();
        let failed = help(place, "b", 200).unwrap();
        assert_eq!((failed.number, failed.attempt), (1, 2));
        place.store.free_shard(job, &failed, false).unwrap();
        refused(place.store.keep_shard(job, &stopped, (0, 0), at(300)));
        assert_eq!(help(place, "c", 200).unwrap().number, 2);
        assert_eq!(take(place, job, 200).unwrap().number, 0);
        assert_eq!(take(place, job, 200).unwrap().number, 1);
    });
}

#[test]
fn a_part_that_is_made_again_counts_once() {
    on_both(|place| {
        let job = held_export(place, 2);
        place.store.prepare(job, "holder", "").unwrap();
        let done = |but| place.store.shards_done(job, but).unwrap();
        assert_eq!(done(None), ShardsDone::default());
        let first = take(place, job, 200).unwrap();
        let second = help(place, "a", 200).unwrap();
        place.store.keep_shard(job, &second, (3, 1), at(300)).unwrap();
        assert_eq!(done(Some(0)), ShardsDone { items: 0, bytes: 3, records: 1 });
        place.store.finish_shard(job, &first, ("one", 1), &[1]).unwrap();
        place.store.finish_shard(job, &second, ("two", 2), &[2]).unwrap();
        let bytes = first.bytes + second.bytes;
        assert_eq!(done(None), ShardsDone { items: 2, bytes, records: 3 });
        assert_eq!(done(Some(1)), ShardsDone { items: 1, bytes: first.bytes, records: 1 });

        refused(place.store.reopen_shard(job, "a", 0));
        place.store.reopen_shard(job, "holder", 0).unwrap();
        assert_eq!(place.store.unfinished_shards(job).unwrap(), 1);
        let again = take(place, job, 200).unwrap();
        assert_eq!((again.number, again.attempt), (0, 2));
        // This time something was written of its item.
        place.store.finish_shard(job, &again, ("one", 1), &[]).unwrap();
        assert_eq!(place.number("SELECT MAX(ordinal) FROM job_left_out"), 2);
        assert_eq!(done(None), ShardsDone { items: 2, bytes, records: 3 });
    });
}

#[test]
fn nothing_is_left_of_the_parts_of_a_cancelled_job_and_it_is_told_who_was_at_them() {
    on_both(|place| {
        let job = held_export(place, 2);
        place.store.prepare(job, "holder", "").unwrap();
        let first = take(place, job, 200).unwrap();
        let helped = help(place, "a", 200).unwrap();
        place.store.finish_shard(job, &first, ("one", 1), &[1]).unwrap();
        assert!(!place.store.forget_parts(job, at(201)).unwrap(), "it goes on");
        place.store.cancel(&place.scope(), job, at(201)).unwrap();
        refused(place.store.keep_shard(job, &helped, (0, 0), at(300)));
        place.store.end(job, "holder", JobState::Cancelled, None, None, at(201)).unwrap();
        refused(place.store.finish_shard(job, &helped, ("late", 1), &[]));
        assert!(place.store.forget_parts(job, at(202)).unwrap());
        assert!(!place.store.forget_parts(job, at(203)).unwrap());
        assert_eq!(place.number("SELECT COUNT(*) FROM job_left_out"), 0);
        assert_eq!(place.store.unfinished_shards(job).unwrap(), 2);
        // Tried again, it begins anew, and who is still at a part of before is refused.
        place.store.retry(&place.scope(), job).unwrap();
        let again = place.store.claim("holder", Wanted::One(job), at(210), at(900)).unwrap();
        assert_eq!(again.unwrap().prepared, None);
        refused(place.store.finish_shard(job, &helped, ("late", 1), &[]));
        assert_eq!(take(place, job, 210).unwrap().attempt, 2);
    });
}

#[test]
fn many_workers_at_once_take_each_part_once() {
    on_both(|place| {
        const PARTS: usize = 40;
        let job = held_export(place, PARTS);
        place.store.prepare(job, "holder", "").unwrap();
        let taken = Mutex::new(BTreeMap::new());
        let note = |worker: usize, shard: Shard| {
            assert_eq!(taken.lock().unwrap().insert(shard.number, worker), None);
            place.store.finish_shard(job, &shard, ("done", 1), &[shard.first]).unwrap();
        };
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let note = &note;
                scope.spawn(move || {
                    while place.store.unfinished_shards(job).unwrap() > 0 {
                        let shard = match worker {
                            0 => take(place, job, 200),
                            _ => help(place, &format!("w{worker}"), 200),
                        };
                        if let Some(shard) = shard {
                            note(worker, shard);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner().unwrap().len(), PARTS);
        assert_eq!(place.number("SELECT COUNT(*) FROM job_left_out"), PARTS as i64);
    });
}
