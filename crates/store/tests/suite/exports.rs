//! Selections that exports freeze, and their parts.

use retort_model::bounds::SELECTED_ROWS;
use retort_model::{ConversationFilter, JobState, Scope, Status};
use retort_store::{Edit, Error, Incoming, NewExport, SelectedItem};

use crate::support::*;

/// The whole frozen selection: each item with its line, if it has one.
fn walk(place: &Place, job: i64) -> Vec<(SelectedItem, Option<String>)> {
    let last = place.job(job).progress.items_total;
    let (mut found, mut after, mut ends) = (Vec::new(), 0, 0);
    let mut unpacker = place.store.unpacker();
    loop {
        let batch = place.store.selected(job, after, last, ends).unwrap();
        if batch.items.is_empty() {
            assert_eq!(after, last);
            return found;
        }
        for item in &batch.items {
            after += 1;
            assert_eq!(item.ordinal, after);
            let mut line = Vec::new();
            let line = item.purged_id.is_none().then(|| {
                batch.unpack(item, &mut unpacker, &mut line).unwrap();
                String::from_utf8(line).unwrap()
            });
            found.push((item.clone(), line));
        }
        ends = batch.ends;
    }
}

fn lines(place: &Place, job: i64) -> Vec<String> {
    walk(place, job)
        .into_iter()
        .map(|(item, line)| line.unwrap_or(format!("purged {:?}", item.purged_id)))
        .collect()
}

#[test]
fn an_export_is_of_the_moment_in_which_it_was_asked_for() {
    on_both(|place| {
        let state = |id: &str, updated: i64| Incoming {
            title: Some(format!("{id} {updated}")),
            updated_at: Some(at(updated)),
            ..place.incoming(id, &format!("{id} {updated}"))
        };
        let edit = |id: &str, edit: Edit| {
            assert_eq!(place.store.edit(&place.scope(), &ids(&[id]), &edit).unwrap(), 1);
        };
        place.take(
            &["plain", "edited", "updated", "deleted", "purged", "both"].map(|id| state(id, 1)),
        );
        edit("edited", Edit::Title(Some("mine".into())));
        edit("edited", Edit::Tags { add: vec!["t".into()], remove: vec![] });
        edit("edited", Edit::Favorite(true));
        edit("updated", Edit::Title(None));
        let selection = everything();
        let job = place.export("d", &selection);

        place.add("later", "later");
        edit("plain", Edit::Title(Some("too late".into())));
        edit("edited", Edit::Title(Some("too late".into())));
        edit("deleted", Edit::Delete);
        for updated in [2, 3] {
            place.take(&[
                state("updated", updated),
                state("both", updated),
                state("edited", updated),
            ]);
        }
        edit("purged", Edit::Purge);
        edit("both", Edit::Purge);
        place.take(&[state("both", 4)]);

        let walked = walk(place, job);
        let expect =
            [Some("plain 1"), Some("edited 1"), Some("updated 1"), Some("deleted 1"), None];
        let got: Vec<_> = walked.iter().take(5).map(|(_, line)| line.as_deref()).collect();
        assert_eq!(got, expect);
        let bare = SelectedItem::default();
        let overlay = |n: usize| {
            let item = &walked[n].0;
            (item.title.as_deref(), item.tags.clone(), item.status)
        };
        assert_eq!(overlay(0), (None, bare.tags.clone(), None));
        assert_eq!(overlay(1), (Some("mine"), Some(vec!["t".into()]), Some(Status::Favorite)));
        assert_eq!(overlay(2), (Some(""), None, None));
        assert_eq!(overlay(3), (None, None, None));
        assert_eq!(walked[4].0.purged_id.as_deref(), Some("purged"));
        // Purged and brought again by an import: what is there now is what may be told of it.
        assert_eq!(walked[5].1.as_deref(), Some("both 4"));
        assert_eq!(walked.len(), 6);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn overlays_that_were_taken_away_again_are_told() {
    on_both(|place| {
        let one = Incoming {
            title: Some("theirs".into()),
            tags: vec!["a".into()],
            status: Status::Favorite,
            ..place.incoming("c", "line")
        };
        place.take(&[one]);
        let edit =
            |edit| assert_eq!(place.store.edit(&place.scope(), &everything(), &edit).unwrap(), 1);
        edit(Edit::Title(None));
        edit(Edit::Tags { add: vec![], remove: vec!["a".into()] });
        edit(Edit::Favorite(false));
        let job = place.export("d", &everything());
        let (item, line) = walk(place, job).remove(0);
        assert_eq!(item.title.as_deref(), Some(""));
        assert_eq!((item.tags, item.status), (Some(vec![]), Some(Status::Active)));
        assert_eq!(line.as_deref(), Some("line"));
    });
}

#[test]
fn earlier_states_are_kept_until_no_export_needs_them() {
    on_both(|place| {
        let state = |n: i64| Incoming {
            updated_at: Some(at(n)),
            ..place.incoming("c", &format!("state {n}"))
        };
        let bodies = || place.number("SELECT COUNT(*) FROM body");
        place.take(&[state(1)]);
        let first = place.export("first", &everything());
        place.take(&[state(2)]);
        let second = place.export("second", &everything());
        place.take(&[state(3)]);
        assert_eq!(bodies(), 3);
        assert_eq!(lines(place, first), ["state 1"]);
        place.claim("w", first);
        place.store.end(first, "w", JobState::Failed, Some("x"), None, at(300)).unwrap();
        assert_eq!(bodies(), 3, "an export is still under way");
        assert_eq!(lines(place, second), ["state 2"]);
        assert!(place.store.cancel(&place.scope(), second, at(300)).unwrap());
        assert_eq!(bodies(), 1);
        place.take(&[state(4)]);
        assert_eq!(bodies(), 1);
        // An export that failed and is begun again has the newest.
        assert!(place.store.retry(&place.scope(), first).unwrap());
        assert_eq!(lines(place, first), ["state 4"]);
    });
}

#[test]
fn the_selection_of_an_export_is_that_of_a_list() {
    on_both(|place| {
        let mut dice = Dice(11);
        let titles = ["Reise nach 東京", "ärger", "100%", "a_b", ""];
        let some: Vec<_> = (0..300)
            .map(|n| Incoming {
                title: Some((*dice.one(&titles)).into()),
                owner: Some((*dice.one(&["ann", "bob"])).into()),
                status: *dice.one(Status::ALL),
                created_at: dice.happens(90).then(|| at(dice.below(50) as i64)),
                ..place.incoming(&format!("c{n}"), &format!("c{n}"))
            })
            .collect();
        place.take(&some);
        let searches = [&[][..], &["reise"], &["100 -x"], &["東京", "ÄRGER -status:favorite"]];
        let mut number = 0;
        for search in searches {
            for limit in [None, Some(0), Some(7), Some(1000)] {
                for scope in [place.scope(), Scope::person(place.project, "ann")] {
                    let selection =
                        ConversationFilter { search: queries(search), limit, ..everything() };
                    number += 1;
                    let name = format!("d{number}");
                    let new = NewExport {
                        creator: "ann",
                        person: None,
                        name: &name,
                        plan: "",
                        part_bytes: 100,
                    };
                    let job = place
                        .store
                        .submit_export(&scope, &selection.clone().into(), &new, at(0))
                        .unwrap();
                    // The most recent, in the order in which they came.
                    let listed = place
                        .store
                        .list(&scope, &selection, Default::default(), None, 1000)
                        .unwrap();
                    let mut expect = listed.conversations;
                    expect.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
                    expect.sort_by_key(|one| one.key);
                    let expect: Vec<_> = expect.into_iter().map(|one| one.id).collect();
                    assert_eq!(lines(place, job), expect, "{selection:?} {scope:?}");
                    let progress = place.job(job).progress;
                    assert_eq!(progress.items_total, expect.len() as u64);
                    assert_eq!(progress.bytes_total, expect.iter().map(|id| id.len() as u64).sum());
                }
            }
        }
    });
}

#[test]
fn parts_hold_every_item_once() {
    on_both(|place| {
        let mut dice = Dice(5);
        let some: Vec<_> = (0..200)
            .map(|n| {
                let length = if dice.happens(5) { 5000 } else { 1 + dice.below(300) };
                place.incoming(&format!("c{n}"), &"x".repeat(length))
            })
            .collect();
        let sizes: Vec<u64> = some.iter().map(|one| one.size).collect();
        place.take(&some);
        for part_bytes in [0, 1, 100, 1000, 10_000, u64::MAX] {
            let name = format!("d{part_bytes}");
            let new = NewExport { creator: "ann", person: None, name: &name, plan: "", part_bytes };
            let job = place
                .store
                .submit_export(&place.scope(), &everything().into(), &new, at(0))
                .unwrap();
            let shards = place.store.shards(job).unwrap();
            let mut next = 1;
            for (number, shard) in shards.iter().enumerate() {
                assert_eq!((shard.number, shard.first), (number as u64, next));
                assert!(shard.last >= shard.first);
                let items = &sizes[shard.first as usize - 1..shard.last as usize];
                assert_eq!(shard.bytes, items.iter().sum::<u64>());
                let is_last = shard.last == 200;
                let but_one: u64 = items[..items.len() - 1].iter().sum();
                assert!(is_last || shard.bytes >= part_bytes, "{shard:?} is too short");
                assert!(but_one < part_bytes.max(1), "{shard:?} is too long");
                next = shard.last + 1;
                // A part is read by itself.
                let before: u64 = sizes[..shard.first as usize - 1].iter().sum();
                let batch = place.store.selected(job, shard.first - 1, shard.last, before).unwrap();
                let mut line = Vec::new();
                batch.unpack(&batch.items[0], &mut place.store.unpacker(), &mut line).unwrap();
                assert_eq!(line.len() as u64, items[0]);
            }
            assert_eq!(next, 201);
        }
    });
}

#[test]
fn a_large_selection_is_walked_in_batches() {
    on_both(|place| {
        let mut some: Vec<_> = (0..SELECTED_ROWS as usize + 300)
            .map(|n| place.incoming(&format!("c{n}"), &format!("c{n}")))
            .collect();
        some.insert(5, place.incoming("large", &"large ".repeat(100_000)));
        place.take(&some);
        let job = place.export("d", &everything());
        let expect: Vec<_> = (0..SELECTED_ROWS + 300).map(|n| format!("c{n}")).collect();
        let mut got = lines(place, job);
        assert_eq!(got.remove(5).len(), 600_000);
        assert!(got == expect);
        let one = place.store.selected(job, 5, 6, 0).unwrap();
        assert_eq!(one.items.len(), 1);
        assert!(place.store.selected(job, 6, 6, 0).unwrap().items.is_empty());
    });
}

#[test]
fn an_export_of_nothing_has_no_parts() {
    on_both(|place| {
        let job = place.export("d", &everything());
        assert_eq!(place.store.shards(job).unwrap(), []);
        assert!(place.store.selected(job, 0, 0, 0).unwrap().items.is_empty());
        assert_eq!(place.job(job).progress.items_total, 0);
    });
}

#[test]
fn a_damaged_body_is_told_of_in_an_export() {
    on_both(|place| {
        place.add("c", "a line");
        let job = place.export("d", &everything());
        place.sql("UPDATE body SET crc32 = crc32 + 1");
        let batch = place.store.selected(job, 0, 1, 0).unwrap();
        let unpacked = batch.unpack(&batch.items[0], &mut place.store.unpacker(), &mut Vec::new());
        assert!(matches!(unpacked, Err(Error::Damaged(_))));
        // One that is not found, though nobody purged it.
        place.sql("DELETE FROM body");
        let batch = place.store.selected(job, 0, 1, 0).unwrap();
        assert_eq!(batch.items[0].purged_id, None);
        let unpacked = batch.unpack(&batch.items[0], &mut place.store.unpacker(), &mut Vec::new());
        assert!(matches!(unpacked, Err(Error::Damaged(_))));
    });
}

#[test]
fn imports_while_exports_end_take_nothing_from_those_that_go_on() {
    on_both(|place| {
        let other = place.again();
        place.take(
            &(0..50).map(|n| place.incoming(&format!("c{n}"), "state 0")).collect::<Vec<_>>(),
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..30 {
                    let all: Vec<_> = (0..50)
                        .map(|c| Incoming {
                            updated_at: Some(at(n)),
                            ..place.incoming(&format!("c{c}"), &format!("state {n}"))
                        })
                        .collect();
                    take_in(&other, &place.scope(), &all);
                }
            });
            for n in 0..30 {
                let new = NewExport {
                    creator: "ann",
                    person: None,
                    name: &format!("d{n}"),
                    plan: "",
                    part_bytes: 1,
                };
                let job = place
                    .store
                    .submit_export(&place.scope(), &everything().into(), &new, at(0))
                    .unwrap();
                let first = lines(place, job);
                assert!(first.iter().all(|line| *line == first[0]), "one moment: {first:?}");
                std::thread::yield_now();
                assert_eq!(lines(place, job), first);
                place.store.cancel(&place.scope(), job, at(0)).unwrap();
            }
        });
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 50);
    });
}
