//! Datasets, and what they were made of.

use retort_model::{JobState, Scope};
use retort_store::{DatasetFile, Edit, Error, Incoming, NewDataset};

use crate::support::*;

#[test]
fn a_dataset_is_seen_when_its_export_ends() {
    on_both(|place| {
        place.add("c", "x");
        let job = place.export("d", &everything());
        place.claim("w", job);
        assert_eq!(place.store.datasets(&place.scope()).unwrap(), []);
        let file = |path: &str, records| DatasetFile {
            path: path.into(),
            object: format!("o/{path}"),
            records,
            bytes: 5_000_000_000,
            sha256: "ab".into(),
            crc32: u32::MAX,
        };
        let new = NewDataset {
            name: "d".into(),
            purpose: "training".into(),
            node: Some("n".into()),
            data_format: "openai".into(),
            file_format: "jsonl".into(),
            records: 3,
            prefix: "p/1".into(),
            files: vec![file("z.jsonl", Some(3)), file("a.json", None)],
        };
        let finish =
            || place.store.finish_export(job, "w", JobState::Completed, "r", &new, at(300));
        let id = finish().unwrap();
        assert!(matches!(finish(), Err(Error::NotHeld)));
        let found = place.store.dataset(&place.scope(), "d").unwrap().unwrap();
        assert_eq!(place.store.datasets(&place.scope()).unwrap(), std::slice::from_ref(&found));
        assert_eq!((found.id, found.job, found.records, found.bytes), (id, job, 3, 10_000_000_000));
        assert_eq!((found.creator.as_str(), found.created_at), ("ann", Some(at(300))));
        assert_eq!(
            (&found.purpose, &found.node, &found.prefix),
            (&new.purpose, &new.node, &new.prefix)
        );
        assert_eq!((&found.data_format, &found.file_format), (&new.data_format, &new.file_format));
        assert_eq!(place.store.dataset_files(&found).unwrap(), new.files);
        let ended = place.job(job);
        assert_eq!((ended.state, ended.dataset), (JobState::Completed, Some(id)));
        assert_eq!((ended.progress.items_done, ended.progress.records), (1, 3));
    });
}

#[test]
fn datasets_are_found_by_name_and_then_by_number() {
    on_both(|place| {
        let first = place.dataset("first", &everything());
        let second = place.dataset(&first.to_string(), &everything());
        let found =
            |name: &str| place.store.dataset(&place.scope(), name).unwrap().map(|one| one.id);
        assert_eq!(found("first"), Some(first));
        assert_eq!(found(&first.to_string()), Some(second), "a name comes before a number");
        assert_eq!(found(&second.to_string()), Some(second));
        assert_eq!((found("missing"), found("-1"), found("")), (None, None, None));
        let all: Vec<_> =
            place.store.datasets(&place.scope()).unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(all, [second, first]);
    });
}

#[test]
fn a_dataset_takes_only_a_free_name() {
    on_both(|place| {
        place.dataset("a", &everything());
        place.dataset("b", &everything());
        let running = place.export("c", &everything());
        let get = |name: &str| place.store.dataset(&place.scope(), name).unwrap().unwrap();
        let a = get("a");
        for name in ["b", "c"] {
            let renamed = place.store.rename_dataset(&a, name);
            assert!(matches!(renamed, Err(Error::NameTaken(_))), "{name}: {renamed:?}");
        }
        place.store.rename_dataset(&a, "a").unwrap();
        place.store.cancel(&place.scope(), running, at(400)).unwrap();
        place.store.rename_dataset(&a, "c").unwrap();
        assert_eq!(get("c").id, a.id);
        assert_eq!(place.store.dataset(&place.scope(), "a").unwrap(), None);
    });
}

#[test]
fn a_deleted_dataset_leaves_its_conversations() {
    on_both(|place| {
        place.add("c", "x");
        place.dataset("a", &everything());
        let b = place.dataset("b", &everything());
        let a = place.store.dataset(&place.scope(), "a").unwrap().unwrap();
        place.store.delete_dataset(&a).unwrap();
        assert_eq!(place.store.dataset(&place.scope(), "a").unwrap(), None);
        assert_eq!(place.store.dataset_files(&a).unwrap(), []);
        assert_eq!((place.job(a.job).dataset, place.store.shards(a.job).unwrap()), (None, vec![]));
        let (traced, _) = place.store.trace(&place.scope(), "c", None, 10).unwrap();
        assert_eq!(traced.iter().map(|one| one.id).collect::<Vec<_>>(), [b]);
        assert_eq!(place.text("c"), "x");
        place.dataset("a", &everything());
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_conversation_is_traced_to_what_was_made_of_it() {
    on_both(|place| {
        place.take(&["a", "b", "c"].map(|id| place.incoming(id, id)));
        place.take(&[Incoming { source: "y".into(), ..place.incoming("a", "of y") }]);
        let all = place.dataset("all", &everything());
        let job = place.export("some", &ids(&["a", "b"]));
        place.claim("w", job);
        // The second item, `b`, was left out; the others are both conversations called `a`.
        let shard = place.store.take_shard(job, "w", at(200), at(300)).unwrap().unwrap();
        place.store.finish_shard(job, &shard, ("r", 1), &[2]).unwrap();
        let dataset = NewDataset { name: "some".into(), ..NewDataset::default() };
        let some = place
            .store
            .finish_export(job, "w", JobState::Completed, "", &dataset, at(300))
            .unwrap();
        place.export("running", &everything());
        let trace = |id: &str| -> Vec<i64> {
            let (found, has_more) = place.store.trace(&place.scope(), id, None, 10).unwrap();
            assert!(!has_more);
            found.into_iter().map(|one| one.id).collect()
        };
        assert_eq!((trace("a"), trace("b"), trace("c")), (vec![some, all], vec![all], vec![all]));
        let page = |after, most| {
            let (found, has_more) = place.store.trace(&place.scope(), "a", after, most).unwrap();
            (found.into_iter().map(|one| one.id).collect::<Vec<_>>(), has_more)
        };
        assert_eq!(page(None, 1), (vec![some], true));
        assert_eq!(page(Some(some), 1), (vec![all], false));
        assert_eq!(trace("missing"), []);
        assert_eq!(place.store.edit(&place.scope(), &ids(&["a"]), &Edit::Purge).unwrap(), 2);
        assert_eq!(trace("a"), [some, all]);
        assert!(place.store.knows(&place.scope(), "a").unwrap());
        assert!(place.store.knows(&Scope::person(place.project, "ann"), "a").unwrap());
        assert!(!place.store.knows(&Scope::person(place.project, "bob"), "a").unwrap());
        assert!(!place.store.knows(&place.scope(), "missing").unwrap());
    });
}

#[test]
fn datasets_stay_within_their_scope() {
    on_both(|place| {
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        place.add("c", "x");
        take_in(&place.store, &Scope::project(other), &[place.incoming("c", "x")]);
        let id = place.dataset("d", &everything());
        for scope in [
            Scope::project(other),
            Scope::person(place.project, "bob"),
            Scope::person(other, "ann"),
        ] {
            assert_eq!(place.store.datasets(&scope).unwrap(), []);
            for name in ["d", &id.to_string()] {
                assert_eq!(place.store.dataset(&scope, name).unwrap(), None);
            }
            assert_eq!(place.store.trace(&scope, "c", None, 10).unwrap(), (vec![], false));
        }
        let ann = Scope::person(place.project, "ann");
        assert_eq!(place.store.datasets(&ann).unwrap().len(), 1);
        assert_eq!(place.store.trace(&ann, "c", None, 10).unwrap().0.len(), 1);
    });
}
