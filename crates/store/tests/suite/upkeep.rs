//! Checking, copying, measuring.

use retort_model::{Action, JobState, ProjectRole, Scope};
use retort_store::{AuditFilter, Edit, Finding, Incoming, NewImport, SessionKind, Store};

use crate::support::*;

fn found(place: &Place, deep: bool) -> Vec<String> {
    let told = |one: Finding| format!("{}: {}", one.what, one.problem);
    place.store.check(deep, at(2000)).unwrap().into_iter().map(told).collect()
}

#[test]
fn a_healthy_store_has_nothing_to_find() {
    on_both(|place| {
        let one = |n: i64, state: i64| Incoming {
            title: Some(format!("title {n}")),
            updated_at: Some(at(state)),
            ..place.incoming(&format!("c{n}"), &format!("{n} {state}"))
        };
        let all = |state| (0..100).map(|n| one(n, state)).collect::<Vec<_>>();
        place.take(&all(1));
        place.dataset("a", &everything());
        place.export("b", &everything());
        place.take(&all(2));
        let edit = |selection, edit| place.store.edit(&place.scope(), &selection, &edit).unwrap();
        assert_eq!(edit(ids(&["c1", "c2"]), Edit::Title(None)), 2);
        assert_eq!(edit(ids(&["c2", "c3"]), Edit::Purge), 2);
        for deep in [false, true] {
            assert_eq!(found(place, deep), [""; 0]);
        }
        let sizes: Vec<_> = place.store.sizes().unwrap();
        for expect in [
            ("projects", 1),
            ("conversations", 98),
            ("purged", 2),
            ("datasets", 1),
            ("open jobs", 1),
        ] {
            assert!(sizes.contains(&expect), "{expect:?} in {sizes:?}");
        }
    });
}

#[test]
fn what_is_damaged_is_found() {
    on_both(|place| {
        place.take(&["a", "b", "c"].map(|id| place.incoming(id, &format!("line of {id}"))));
        place.sql("UPDATE body SET crc32 = crc32 + 1 WHERE key = (SELECT body FROM conversation WHERE id = 'b')");
        assert_eq!(found(place, false), [""; 0]);
        let deep = found(place, true);
        assert!(deep.len() == 1 && deep[0].contains("conversation `b`"), "{deep:?}");
        place.sql("DELETE FROM body WHERE key = (SELECT body FROM conversation WHERE id = 'b')");
        let shallow = found(place, false);
        assert!(shallow.len() == 1 && shallow[0].contains("1 have no content"), "{shallow:?}");
    });
}

#[test]
fn a_body_without_a_conversation_is_found() {
    on_both(|place| {
        place.add("a", "line");
        let copied = "INSERT INTO body (key, dictionary, superseded, crc32, bytes)
                      SELECT 99, dictionary, 0, crc32, bytes FROM body";
        place.sql(copied);
        let shallow = found(place, false);
        assert!(shallow.len() == 1 && shallow[0].contains("1 belong to no"), "{shallow:?}");
    });
}

#[test]
fn a_job_without_a_worker_is_found() {
    on_both(|place| {
        let job = place.export("d", &everything());
        place.claim("lost", job);
        let shallow = found(place, false);
        assert_eq!(shallow.len(), 1);
        assert!(
            shallow[0].contains(&format!("job {job}")) && shallow[0].contains("`lost`"),
            "{shallow:?}"
        );
    });
}

#[test]
fn a_copy_is_whole_while_others_write() {
    on_sqlite(|place| {
        let batch = |n: i64| {
            (0..50)
                .map(|c| Incoming {
                    title: Some(format!("title {n}")),
                    ..place.incoming(&format!("{n}-{c}"), &format!("line {n}-{c}"))
                })
                .collect::<Vec<_>>()
        };
        place.take(&batch(0));
        let writer = place.again();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..20 {
                    take_in(&writer, &place.scope(), &batch(n));
                }
            });
            for n in 0..4 {
                let path = place.path(&format!("copy{n}.db"));
                place.store.copy_to(&path).unwrap();
                let copy = Store::open_existing(path.to_str().unwrap()).unwrap();
                assert_eq!(copy.identity(), place.store.identity());
                let count = copy.count(&place.scope(), &everything()).unwrap();
                assert_eq!(count % 50, 0, "only whole batches");
                assert_eq!(copy.check(true, at(0)).unwrap(), []);
                let one = copy.find(&place.scope(), "0-7").unwrap().remove(0);
                assert_eq!(copy.line(&one, &mut copy.unpacker()).unwrap().unwrap(), b"line 0-7");
            }
        });
        assert!(
            place.store.copy_to(&place.path("copy0.db")).is_err(),
            "what is there is not overwritten"
        );
    });
}

#[test]
fn a_server_is_copied_by_its_own_tools() {
    on_postgres(|place| {
        let error = place.store.copy_to(&place.path("copy.db")).unwrap_err().to_string();
        assert!(error.contains("pg_dump"), "{error}");
    });
}

#[test]
fn a_copy_holds_people_links_and_the_audit_log() {
    on_sqlite(|place| {
        let store = &place.store;
        let ann = store.add_person("ann", Some("hash"), at(1)).unwrap();
        store.set_role(place.project, ann.id, Some(ProjectRole::Owner), at(1)).unwrap();
        store.add_identity("https://i", "1", ann.id).unwrap();
        store.add_session(SessionKind::Session, &[1; 32], ann.id, at(1), at(100)).unwrap();
        place.add("c", "line");
        let conversation = place.one("c").key;
        store.add_share(&place.scope(), &link("link", conversation), at(1)).unwrap().unwrap();
        store.add_webhook(place.project, "ann", &webhook_to("https://h", None), at(1)).unwrap();
        place.dataset("d", &everything());
        store.add_audit(&entry(None, Action::Edit, "c"), at(1)).unwrap();

        let path = place.path("copy.db");
        store.copy_to(&path).unwrap();
        let copy = Store::open_existing(path.to_str().unwrap()).unwrap();
        assert_eq!(copy.person(ann.id).unwrap().as_ref(), Some(&ann));
        assert_eq!(copy.password_of(ann.id).unwrap().as_deref(), Some("hash"));
        assert_eq!(copy.role(place.project, ann.id).unwrap(), Some(ProjectRole::Owner));
        assert!(copy.person_identified("https://i", "1").unwrap().is_some());
        assert!(copy.session(&[1; 32], at(2)).unwrap().is_some());
        assert!(copy.share_behind(&secret_of("link"), at(2)).unwrap().is_some());
        assert_eq!(copy.notices(&place.scope(), None, 10).unwrap().len(), 1);
        assert_eq!(copy.claim_deliveries(at(500), at(600), 10).unwrap().len(), 1);
        let all = AuditFilter::default();
        assert_eq!(copy.audit(place.project, false, &all, None, 10).unwrap().0.len(), 1);
        // The copy is guarded as the store is.
        let connection = rusqlite::Connection::open(&path).unwrap();
        assert!(connection.execute("DELETE FROM audit", []).is_err());
        for expect in [("people", 1), ("public links", 1), ("audit entries", 1)] {
            assert!(copy.sizes().unwrap().contains(&expect), "{expect:?}");
        }
        assert_eq!(copy.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_link_to_what_is_deleted_is_found() {
    on_both(|place| {
        place.add("c", "line");
        let conversation = place.one("c").key;
        place.store.add_share(&place.scope(), &link("link", conversation), at(1)).unwrap().unwrap();
        assert_eq!(found(place, false), [""; 0]);
        place.sql("UPDATE conversation SET status = 2");
        let shallow = found(place, false);
        assert!(shallow.len() == 1 && shallow[0].starts_with("public links: 1"), "{shallow:?}");
    });
}

#[test]
fn what_is_older_than_is_kept_is_removed_and_nothing_else() {
    on_both(|place| {
        place.add("a", "text");
        let kept = place.dataset("kept", &everything());
        let [old, young] = ["old", "young"].map(|name| place.export(name, &everything()));
        for (job, seconds) in [(old, 1000), (young, 9000)] {
            place.claim("w", job);
            let end = place.store.end(job, "w", JobState::Cancelled, None, None, at(seconds));
            end.unwrap();
            place.store.cleared(job).unwrap();
        }
        let import = NewImport {
            creator: "ann",
            person: None,
            needs: ProjectRole::Member,
            name: "in.jsonl",
            plan: "{}",
            bytes: 0,
        };
        let listed =
            place.store.begin_import(place.project, &import, ("w", at(900)), at(800)).unwrap();
        place.store.note_rejects(listed.id, "w", Some(123)).unwrap();
        place.store.end(listed.id, "w", JobState::Completed, None, None, at(1000)).unwrap();
        let ann = Scope::person(place.project, "ann");
        assert_eq!(place.store.made_bytes(&ann).unwrap(), 123);
        for seconds in [1000, 9000] {
            place
                .store
                .add_audit(&entry(Some(place.project), Action::Export, "x"), at(seconds))
                .unwrap();
        }
        let moment = Some(at(5000));
        place.store.forget_old(None, None, None).unwrap();
        let jobs = "SELECT COUNT(*) FROM job";
        assert_eq!(place.number(jobs), 4);
        let forgotten = place.store.forget_old(moment, moment, moment).unwrap();
        assert_eq!(forgotten, [listed.id], "its list is to be removed");
        assert_eq!(place.number(jobs), 2, "the one of the dataset and the young one");
        assert!(place.store.dataset_numbered(&place.scope(), kept).unwrap().is_some());
        assert_eq!(place.number("SELECT COUNT(*) FROM notice"), 1);
        assert_eq!(place.number("SELECT COUNT(*) FROM audit"), 1);
        assert!(
            place.try_sql("DELETE FROM audit").is_err(),
            "nobody else removes anything from it"
        );
        assert!(place.store.project_bytes(place.project).unwrap() >= 4);
    });
}
