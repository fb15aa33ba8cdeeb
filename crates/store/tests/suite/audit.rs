//! The audit log.

use retort_model::Action;
use retort_store::{AuditFilter, NewAudit, Store};

use crate::support::*;

fn objects(store: &Store, project: i64, filter: &AuditFilter) -> Vec<String> {
    store
        .audit(project, false, filter, None, 100)
        .unwrap()
        .0
        .into_iter()
        .map(|one| one.object)
        .collect()
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    on_both(|place| {
        let full = NewAudit {
            is_refused: true,
            address: Some("::1"),
            request: Some("r-1\0"),
            ..entry(Some(place.project), Action::Download, "dataset 7")
        };
        place.store.add_audit(&full, at(3)).unwrap();
        let bare = NewAudit { person: None, ..entry(None, Action::SignIn, "") };
        place.store.add_audit(&bare, at(4)).unwrap();
        let found =
            place.store.audit(place.project, false, &AuditFilter::default(), None, 10).unwrap().0;
        let [second, first] = &found[..] else { panic!("{found:?}") };
        assert_eq!((first.at, first.project), (Some(at(3)), Some(place.project)));
        assert_eq!((first.person.as_deref(), first.action), (Some("ann"), Action::Download));
        assert_eq!((first.object.as_str(), first.is_refused), ("dataset 7", true));
        assert_eq!(first.address.as_deref(), Some("::1"));
        assert_eq!(first.request.as_deref(), Some("r-1\u{fffd}"));
        assert_eq!((second.project, second.action), (None, Action::SignIn));
        assert_eq!((&second.person, second.is_refused), (&None, false));
        assert_eq!((&second.address, &second.request), (&None, &None));
    });
}

#[test]
fn a_project_reads_its_own_entries_and_those_of_none() {
    on_both(|place| {
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap().id;
        for (number, project) in
            [Some(q), None, Some(place.project), None, Some(q), Some(place.project)]
                .into_iter()
                .enumerate()
        {
            store.add_audit(&entry(project, Action::Edit, &number.to_string()), at(0)).unwrap();
        }
        let all = AuditFilter::default();
        assert_eq!(objects(store, place.project, &all), ["5", "3", "2", "1"]);
        assert_eq!(objects(store, q, &all), ["4", "3", "1", "0"]);
        assert_eq!(objects(store, 99, &all), ["3", "1"]);
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            let page = store.audit(q, false, &all, after, 3).unwrap().0;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            pages.push(page.into_iter().map(|one| one.object).collect::<Vec<_>>());
        }
        assert_eq!(pages, [vec!["4", "3", "1"], vec!["0"]]);
    });
}

#[test]
fn entries_are_filtered() {
    on_both(|place| {
        let store = &place.store;
        for (second, action, person, is_refused) in [
            (1, Action::Edit, "ann", false),
            (2, Action::Edit, "bob", true),
            (3, Action::Purge, "ann", true),
            (4, Action::Purge, "bob", false),
        ] {
            let object = second.to_string();
            let project = (second % 2 == 0).then_some(place.project);
            let new =
                NewAudit { person: Some(person), is_refused, ..entry(project, action, &object) };
            store.add_audit(&new, at(second)).unwrap();
        }
        let none = AuditFilter::default;
        let ann = || Some("ann".to_owned());
        for (filter, expect) in [
            (none(), &["4", "3", "2", "1"][..]),
            (AuditFilter { action: Some(Action::Edit), ..none() }, &["2", "1"]),
            (AuditFilter { person: ann(), ..none() }, &["3", "1"]),
            (AuditFilter { only_refused: true, ..none() }, &["3", "2"]),
            (AuditFilter { from: Some(at(2)), ..none() }, &["4", "3", "2"]),
            (AuditFilter { before: Some(at(2)), ..none() }, &["1"]),
            (AuditFilter { from: Some(at(2)), before: Some(at(4)), ..none() }, &["3", "2"]),
            (AuditFilter { person: ann(), only_refused: true, ..none() }, &["3"]),
            (AuditFilter { action: Some(Action::Share), ..none() }, &[]),
        ] {
            assert_eq!(objects(store, place.project, &filter), expect, "{filter:?}");
        }
    });
}

#[test]
fn what_is_written_stays() {
    on_both(|place| {
        for number in 0..3 {
            let object = number.to_string();
            place.store.add_audit(&entry(None, Action::Edit, &object), at(number)).unwrap();
        }
        let mut attempts = vec![
            "UPDATE audit SET object = 'x' WHERE id = 1",
            "DELETE FROM audit WHERE id = 1",
            "DELETE FROM audit",
        ];
        if place.is_postgres() {
            attempts.push("TRUNCATE audit");
        } else {
            attempts.push(
                "INSERT OR REPLACE INTO audit (id, at, action, object, refused)
                 VALUES (1, 0, 'edit', 'x', 0)",
            );
            attempts.push("UPDATE OR REPLACE audit SET id = 2 WHERE id = 1");
        }
        for sql in attempts {
            let error = place.try_sql(sql).expect_err(sql);
            assert!(error.contains("only added to"), "{sql}: {error}");
        }
        let all = AuditFilter::default();
        assert_eq!(objects(&place.store, place.project, &all), ["2", "1", "0"]);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn an_entry_that_was_taken_out_by_force_is_missed() {
    on_both(|place| {
        for number in 0..3 {
            let object = number.to_string();
            place.store.add_audit(&entry(None, Action::Edit, &object), at(number)).unwrap();
        }
        if place.is_postgres() {
            place.sql("ALTER TABLE audit DISABLE TRIGGER ALL");
        } else {
            place.sql("DROP TRIGGER audit_kept_from_delete");
        }
        place.sql("DELETE FROM audit WHERE id = 2");
        let found = place.store.check(false, at(0)).unwrap();
        assert!(found.len() == 1 && found[0].problem.contains("1 entries too few"), "{found:?}");
    });
}

#[test]
fn entries_written_at_once_are_all_there() {
    on_both(|place| {
        let other = place.again();
        std::thread::scope(|scope| {
            for store in [&place.store, &other, &place.store, &other] {
                scope.spawn(move || {
                    for number in 0..25 {
                        let object = number.to_string();
                        store.add_audit(&entry(None, Action::Edit, &object), at(number)).unwrap();
                    }
                });
            }
        });
        let found =
            place.store.audit(place.project, false, &AuditFilter::default(), None, 1000).unwrap().0;
        let numbers: Vec<i64> = found.iter().map(|one| one.id).collect();
        assert_eq!(numbers, (1..=100).rev().collect::<Vec<_>>());
    });
}
