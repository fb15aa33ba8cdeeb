//! Conversations edited and purged here.

use retort_model::{Conversation, ConversationFilter, Scope, Status, canonical};
use retort_store::{Edit, Incoming, Store};

use crate::support::*;

fn searched(text: &str) -> ConversationFilter {
    ConversationFilter { search: vec![text.parse().unwrap()], ..everything() }
}

fn with(status: Status) -> ConversationFilter {
    ConversationFilter { statuses: vec![status], ..everything() }
}

#[test]
fn an_edit_counts_what_it_changed() {
    on_both(|place| {
        let one = |id: &str, title: Option<&str>, status| Incoming {
            title: title.map(str::to_owned),
            tags: vec!["old".into()],
            status,
            ..place.incoming(id, "x")
        };
        place.take(&[
            one("a", Some("First"), Status::Active),
            one("b", None, Status::Favorite),
            one("d", Some("Gone"), Status::Deleted),
        ]);
        let edit = |selection: &ConversationFilter, edit: Edit| {
            place.store.edit(&place.scope(), selection, &edit).unwrap()
        };
        let title = |text: Option<&str>| Edit::Title(text.map(str::to_owned));
        let tags = |add: &[&str], remove: &[&str]| Edit::Tags {
            add: add.iter().map(|&tag| tag.into()).collect(),
            remove: remove.iter().map(|&tag| tag.into()).collect(),
        };
        for (change, counts) in [
            (title(Some("First")), [1, 0]),
            (title(Some("Überall")), [2, 0]),
            (title(None), [2, 0]),
            (tags(&["old"], &["missing"]), [0, 0]),
            (tags(&["new", "new"], &["old"]), [2, 0]),
            (tags(&[], &["new"]), [2, 0]),
            (Edit::Favorite(true), [1, 0]),
            (Edit::Favorite(false), [2, 0]),
            (Edit::Restore, [0, 0]),
        ] {
            assert_eq!([(); 2].map(|()| edit(&everything(), change.clone())), counts, "{change:?}");
        }
        assert_eq!(place.all(&with(Status::Deleted))[0].title.as_deref(), Some("Gone"));
        assert_eq!(edit(&with(Status::Deleted), Edit::Delete), 0);
        assert_eq!(edit(&ids(&["missing"]), Edit::Purge), 0);
    });
}

#[test]
fn search_follows_every_edit() {
    on_both(|place| {
        let one = Incoming { title: Some("Erstes".into()), ..place.incoming("c", "x") };
        place.take(&[one]);
        let edit = |edit| place.store.edit(&place.scope(), &everything(), &edit).unwrap();
        let found = |text: &str| place.all(&searched(text)).len();
        assert_eq!((found("erstes"), found("zweites")), (1, 0));
        edit(Edit::Title(Some("ZWEITES".into())));
        assert_eq!((found("erstes"), found("zweites")), (0, 1));
        edit(Edit::Tags { add: vec!["旅行記".into(), "b".into()], remove: vec![] });
        assert_eq!((found("旅行記"), found("B"), found("zweites")), (1, 1, 1));
        edit(Edit::Title(None));
        edit(Edit::Tags { add: vec![], remove: vec!["旅行記".into()] });
        assert_eq!((found("旅行記"), found("b"), found("zweites")), (0, 1, 0));
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn what_is_restored_is_what_it_was() {
    on_both(|place| {
        let of = |id: &str, status| Incoming { status, ..place.incoming(id, "x") };
        place.take(&[
            of("active", Status::Active),
            of("favorite", Status::Favorite),
            of("turned", Status::Active),
            of("theirs", Status::Deleted),
        ]);
        let edit = |selection: &ConversationFilter, edit: Edit| {
            place.store.edit(&place.scope(), selection, &edit).unwrap()
        };
        let deleted = with(Status::Deleted);
        assert_eq!(edit(&everything(), Edit::Delete), 3);
        assert_eq!(place.all(&everything()).len(), 0);
        let turned = ConversationFilter { statuses: vec![Status::Deleted], ..ids(&["turned"]) };
        assert_eq!(edit(&turned, Edit::Favorite(true)), 1);
        assert_eq!(edit(&turned, Edit::Favorite(true)), 0);
        assert_eq!(edit(&deleted, Edit::Restore), 4);
        let status = |id: &str| place.one(id).status;
        assert_eq!(
            ["active", "favorite", "turned", "theirs"].map(status),
            [Status::Active, Status::Favorite, Status::Favorite, Status::Active]
        );
    });
}

#[test]
fn an_edit_stays_within_its_scope() {
    on_both(|place| {
        let of = |owner: &str, id: &str| Incoming {
            owner: Some(owner.into()),
            ..place.incoming(id, "x")
        };
        place.take(&[of("ann", "a"), of("bob", "b")]);
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        take_in(&place.store, &Scope::project(other), &[of("ann", "a")]);
        let ann = Scope::person(place.project, "ann");
        let title = Edit::Title(Some("t".into()));
        assert_eq!(place.store.edit(&ann, &everything(), &title).unwrap(), 1);
        assert_eq!(place.one("b").title, None);
        assert_eq!(place.store.edit(&ann, &ids(&["b"]), &Edit::Purge).unwrap(), 0);
        assert_eq!(place.store.edit(&ann, &everything(), &Edit::Purge).unwrap(), 1);
        let count = |scope: &Scope| place.store.count(scope, &everything()).unwrap();
        assert_eq!((count(&place.scope()), count(&Scope::project(other))), (1, 1));
    });
}

#[test]
fn an_edit_reaches_all_pages() {
    on_both(|place| {
        let all: Vec<_> = (0..2100)
            .map(|n| Incoming {
                title: Some("a title".into()),
                ..place.incoming(&format!("c{n}"), "x")
            })
            .collect();
        place.take(&all);
        let edit = |selection: &ConversationFilter, edit: Edit| {
            place.store.edit(&place.scope(), selection, &edit).unwrap()
        };
        assert_eq!(edit(&searched("title"), Edit::Title(Some("another".into()))), 2100);
        assert_eq!(edit(&everything(), Edit::Delete), 2100);
        assert_eq!(edit(&with(Status::Deleted), Edit::Purge), 2100);
        assert_eq!(place.number("SELECT COUNT(*) FROM conversation"), 0);
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 0);
    });
}

#[test]
fn a_purged_one_stays_as_its_id_only_where_an_export_names_it() {
    on_both(|place| {
        let of = |id: &str| Incoming {
            title: Some(format!("title of {id}")),
            owner: Some("ann".into()),
            ..place.incoming(id, "x")
        };
        place.take(&[of("named"), of("bare")]);
        place.dataset("d", &ids(&["named"]));
        assert_eq!(place.store.edit(&place.scope(), &everything(), &Edit::Purge).unwrap(), 2);
        assert_eq!(place.store.edit(&place.scope(), &everything(), &Edit::Purge).unwrap(), 0);
        let knows = |id: &str| place.store.knows(&place.scope(), id).unwrap();
        assert_eq!((knows("named"), knows("bare")), (true, false));
        for selection in [everything(), searched("title"), searched("id:named"), ids(&["named"])] {
            let all = ConversationFilter { statuses: Status::ALL.to_vec(), ..selection };
            assert_eq!(place.all(&all), []);
            assert_eq!(place.store.count(&place.scope(), &all).unwrap(), 0);
        }
        assert_eq!(place.store.find(&place.scope(), "named").unwrap(), []);
        let left = "SELECT COUNT(*) FROM conversation WHERE title IS NULL AND owner IS NULL";
        assert_eq!(place.number(left), 1);
        assert_eq!(place.number("SELECT COUNT(*) FROM conversation"), 1);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn nothing_of_a_purged_one_is_left_in_the_file() {
    on_sqlite(|place| {
        let of = |id: &str, title: &str| Incoming {
            title: Some(title.into()),
            tags: vec!["qwxz".into()],
            ..place.speaking(id, "words of jvkq")
        };
        place.take(&[of("named", "zqxjkv"), of("bare", "vkzqjx"), of("edited", "jqzkvx")]);
        place.dataset("d", &ids(&["named"]));
        let edit = |selection: &ConversationFilter, edit: Edit| {
            place.store.edit(&place.scope(), selection, &edit).unwrap()
        };
        edit(&ids(&["edited"]), Edit::Title(Some("wvjxqz".into())));
        edit(&everything(), Edit::Purge);
        let connection = rusqlite::Connection::open(place.store.file().unwrap()).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        // The index holds words without what they share with the one before.
        for part in ["xjkv", "qjx", "zkvx", "jxqz", "wxz", "vkq"] {
            let sql = "SELECT COUNT(*) FROM conversation_words_data WHERE instr(block, CAST($1 AS BLOB)) > 0";
            let left: i64 = connection.query_row(sql, [part], |row| row.get(0)).unwrap();
            assert_eq!(left, 0, "{part}");
        }
        let file = std::fs::read(place.store.file().unwrap()).unwrap();
        for text in ["zqxjkv", "vkzqjx", "jqzkvx", "wvjxqz", "qwxz", "jvkq"] {
            let left = file.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!left, "{text}");
        }
    });
}

#[test]
fn another_state_comes_only_in_the_place_of_the_one_that_was_seen() {
    on_both(|place| {
        let state = |text: &str| Incoming {
            owner: Some("ann".into()),
            title: Some(format!("theirs {text}")),
            tags: vec![text.to_owned()],
            rounds: text.len() as u64,
            ..place.incoming("c", text)
        };
        place.take(&[state("1")]);
        let all = place.scope();
        place.store.edit(&all, &everything(), &Edit::Title(Some("mine".into()))).unwrap();
        let before = place.one("c");
        let change = |scope: &Scope, body, text: &str| {
            let bare = Incoming { owner: None, ..state(text) };
            place.store.change_body(scope, before.key, body, &bare, None).unwrap()
        };
        let q = Scope::project(place.store.project_or_new("q", at(0)).unwrap().id);
        let bob = Scope::person(place.project, "bob");
        assert!(!change(&q, before.body, "no") && !change(&bob, before.body, "no"));
        assert!(!change(&all, before.body + 1, "no"));
        assert_eq!(place.text("c"), "1");

        let ann = Scope::person(place.project, "ann");
        assert!(change(&ann, before.body, "22"));
        let after = place.one("c");
        assert_eq!((place.text("c").as_str(), after.rounds), ("22", 2));
        assert_eq!((after.key, after.owner.as_deref()), (before.key, Some("ann")));
        assert_eq!((after.title.as_deref(), &after.tags[..]), (Some("mine"), &["22".into()][..]));
        assert!(after.body != before.body && !change(&all, before.body, "333"));
        assert!(change(&all, after.body, "333"));
        assert_eq!(place.all(&searched("333")).len(), 1);
        assert_eq!(place.all(&searched("22")).len(), 0);
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 1);
        place.dataset("d", &everything());
        place.store.edit(&all, &everything(), &Edit::Purge).unwrap();
        assert!(!change(&all, 0, "4444"), "what is purged stays so");
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn of_changes_at_once_one_comes_through() {
    on_both(|place| {
        place.add("c", "0");
        let other = place.again();
        for round in 1..=10 {
            let seen = place.one("c");
            let changed: Vec<String> = std::thread::scope(|scope| {
                let change = |store: &'_ Store, number: usize| {
                    let text = format!("{round} {number}");
                    let item = place.incoming("c", &text);
                    let changed =
                        store.change_body(&place.scope(), seen.key, seen.body, &item, None);
                    changed.unwrap().then_some(text)
                };
                let all = [(&place.store, 1), (&other, 2), (&place.store, 3)]
                    .map(|(store, number)| scope.spawn(move || change(store, number)));
                all.into_iter().filter_map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(changed, [place.text("c")]);
        }
    });
}

#[test]
fn an_edit_loses_no_tag_that_the_column_has_no_room_for() {
    on_both(|place| {
        let tagged = |id: &str, tags: Vec<String>| {
            let mut line = Vec::new();
            let of = |tag: &String| tag.clone().into();
            let conversation = Conversation {
                id: id.to_owned().into(),
                tags: tags.iter().map(of).collect(),
                ..Conversation::default()
            };
            canonical::write(&conversation, &mut line);
            Incoming { tags, ..place.incoming(id, std::str::from_utf8(&line).unwrap()) }
        };
        let many: Vec<_> = (0..101).map(|n| format!("t{n}")).collect();
        let long = vec!["x".repeat(500)];
        place.take(&[tagged("many", many), tagged("long", long.clone()), tagged("few", vec![])]);
        let add = |tag: &str| Edit::Tags { add: vec![tag.into()], remove: vec![] };
        let edit = |edit: &Edit| place.store.edit(&place.scope(), &everything(), edit).unwrap();
        // One with more tags than are set keeps those it has.
        assert_eq!(edit(&add("new")), 2);
        let many = place.one("many");
        assert_eq!((many.tags.len(), many.tags_are_set), (100, false));
        assert_eq!(place.one("few").tags, ["new"]);
        assert_eq!(place.one("long").tags, [long[0].clone(), "new".into()]);
        assert!(place.one("long").tags_are_set);
        // Once it has few enough, it is changed.
        let fewer =
            Edit::Tags { add: vec!["new".into()], remove: vec!["t100".into(), "t99".into()] };
        assert_eq!(edit(&fewer), 1);
        let tags = place.one("many").tags;
        assert_eq!((tags.len(), tags[98].as_str(), tags[99].as_str()), (100, "t98", "new"));
        assert_eq!(edit(&add("one more")), 2);
    });
}
