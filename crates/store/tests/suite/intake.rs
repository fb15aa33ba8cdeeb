//! Conversations coming in, and their bodies.

use std::io::Read;

use retort_model::{ConversationFilter, Kind, Relation, Scope, Status};
use retort_store::{Compared, Comparing, Edit, Error, Importer, Incoming, Taken};

use crate::support::*;

#[test]
fn what_comes_in_is_there() {
    on_both(|place| {
        let one = Incoming {
            owner: Some("ann@example.org".into()),
            kind: Kind::Graph,
            status: Status::Favorite,
            title: Some("Ärger 💬".into()),
            tags: vec!["旅行".into(), "a\"b\\".into()],
            model: Some("m".into()),
            created_at: Some(at(1)),
            updated_at: Some(at(2)),
            rounds: 3,
            messages: 7,
            ..place.incoming("c-1", "the line")
        };
        assert_eq!(place.take(&[one.clone(), place.incoming("bare", "x")]), [Taken::New; 2]);
        let found = place.one("c-1");
        assert_eq!(
            (&found.id, &found.source, &found.owner, found.kind, found.status),
            (&one.id, &one.source, &one.owner, one.kind, one.status)
        );
        assert_eq!((&found.title, &found.tags, &found.model), (&one.title, &one.tags, &one.model));
        assert_eq!((found.created_at, found.updated_at), (one.created_at, one.updated_at));
        assert_eq!((found.rounds, found.messages, found.size), (3, 7, 8));
        assert_eq!(place.text("c-1"), "the line");
        let bare = place.one("bare");
        assert_eq!((bare.created_at, bare.title, bare.tags), (None, None, vec![]));
        assert_eq!(place.take(&[]), []);
    });
}

#[test]
fn the_newer_state_wins_across_imports() {
    on_both(|place| {
        let state = |text: &str, updated| Incoming {
            updated_at: Some(at(updated)),
            ..place.incoming("c", text)
        };
        for (text, updated, taken, kept) in [
            ("one", 10, Taken::New, "one"),
            ("one", 10, Taken::Same, "one"),
            ("older", 9, Taken::Older, "one"),
            ("newer", 11, Taken::Updated, "newer"),
            ("as new", 11, Taken::Updated, "as new"),
            ("older", 9, Taken::Older, "as new"),
        ] {
            assert_eq!(place.take(&[state(text, updated)]), [taken], "{text}");
            assert_eq!(place.text("c"), kept);
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 1);
        // An unknown moment is older than any.
        assert_eq!(place.take(&[place.incoming("c", "unknown")]), [Taken::Older]);
    });
}

#[test]
fn an_id_that_comes_twice_in_one_import_is_the_first_unless_the_second_is_newer() {
    on_both(|place| {
        let state = |id: &str, text: &str, updated, repeated| Incoming {
            updated_at: Some(at(updated)),
            repeated,
            ..place.incoming(id, text)
        };
        let taken = place.take(&[
            state("a", "a1", 5, false),
            state("b", "b1", 5, false),
            state("a", "a2", 5, true),
            state("b", "b2", 6, true),
            state("a", "a3", 4, true),
            state("a", "a1", 5, true),
            state("c", "c1", 5, false),
        ]);
        use Taken::{New, Older, Repeated, Same, Updated};
        assert_eq!(taken, [New, New, Repeated, Updated, Older, Same, New]);
        assert_eq!(["a", "b", "c"].map(|id| place.text(id)), ["a1", "b2", "c1"]);
        // The same again in a later batch of that import.
        let taken = place.take(&[state("a", "a4", 5, true), state("b", "b4", 7, true)]);
        assert_eq!(taken, [Repeated, Updated]);
        // Twice in one batch, and known before it.
        let taken = place.take(&[state("a", "a5", 8, false), state("a", "a6", 9, true)]);
        assert_eq!(taken, [Updated, Updated]);
        assert_eq!(["a", "b", "c"].map(|id| place.text(id)), ["a6", "b4", "c1"]);
        assert_eq!(place.number("SELECT COUNT(*) FROM conversation"), 3);
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 3);
    });
}

#[test]
fn sources_and_projects_are_kept_apart() {
    on_both(|place| {
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        let from =
            |source: &str, text| Incoming { source: source.into(), ..place.incoming("c", text) };
        assert_eq!(place.take(&[from("x", "of x"), from("y", "of y")]), [Taken::New; 2]);
        let taken = take_in(&place.store, &Scope::project(other), &[from("x", "of q")]);
        assert_eq!(taken, [Taken::New]);
        let found = place.store.find(&place.scope(), "c").unwrap();
        let mut unpacker = place.store.unpacker();
        let lines: Vec<_> = found
            .iter()
            .map(|one| place.store.line(one, &mut unpacker).unwrap().unwrap())
            .collect();
        assert_eq!(lines, [b"of x", b"of y"]);
    });
}

#[test]
fn a_nul_is_no_fault() {
    on_both(|place| {
        let one = Incoming {
            title: Some("a\0b".into()),
            tags: vec!["t\0".into()],
            owner: Some("o\0".into()),
            model: Some("m\0".into()),
            ..place.incoming("i\0d", "l\0ine")
        };
        assert_eq!(place.take(std::slice::from_ref(&one)), [Taken::New]);
        assert_eq!(place.take(&[one]), [Taken::Same]);
        assert_eq!(place.text("i\0d"), "l\0ine");
        assert_eq!(place.all(&ids(&["i\0d"])).len(), 1);
        let sought = |text: &str| {
            let selection =
                ConversationFilter { search: vec![text.parse().unwrap()], ..everything() };
            place.all(&selection).len()
        };
        assert_eq!((sought("t"), sought("A\0B"), sought("\0b a")), (1, 1, 1));
        let scope = Scope::person(place.project, "o\0");
        assert_eq!(place.store.count(&scope, &everything()).unwrap(), 1);
        let edit = |edit| place.store.edit(&place.scope(), &everything(), &edit).unwrap();
        assert_eq!(edit(Edit::Title(Some("x\0y".into()))), 1);
        assert_eq!(edit(Edit::Title(Some("x\0y".into()))), 0);
        assert_eq!(edit(Edit::Tags { add: vec!["n\0".into()], remove: vec!["t\0".into()] }), 1);
        assert_eq!(place.one("i\0d").tags.len(), 1);
    });
}

#[test]
fn long_ids_and_titles_are_no_fault() {
    on_both(|place| {
        let mut dice = Dice(1);
        let long = |dice: &mut Dice| -> String {
            (0..20_000).map(|_| char::from(b'!' + dice.below(90) as u8)).collect()
        };
        let (id, owner) = (long(&mut dice), long(&mut dice));
        let one = Incoming {
            title: Some(long(&mut dice)),
            owner: Some(owner.clone()),
            source: "generic".into(),
            ..place.incoming(&id, "x")
        };
        assert_eq!(place.take(&[one]), [Taken::New]);
        assert_eq!(place.text(&id), "x");
        let scope = Scope::person(place.project, owner);
        assert_eq!(place.store.count(&scope, &ids(&[&id])).unwrap(), 1);
    });
}

#[test]
fn what_was_edited_here_stands_above_what_comes() {
    on_both(|place| {
        let state = |updated: i64| Incoming {
            title: Some(format!("title {updated}")),
            tags: vec![format!("tag {updated}")],
            status: Status::Active,
            updated_at: Some(at(updated)),
            ..place.incoming("c", &format!("line {updated}"))
        };
        let edit = |edit| place.store.edit(&place.scope(), &everything(), &edit).unwrap();
        let seen = || {
            let one = place.store.find(&place.scope(), "c").unwrap().remove(0);
            (one.title.unwrap_or_default(), one.tags.join(","), one.status, place.text("c"))
        };
        let expect = |title: &str, tags: &str, status, line: &str| {
            assert_eq!(seen(), (title.into(), tags.into(), status, line.into()));
        };
        place.take(&[state(1)]);
        assert_eq!(edit(Edit::Title(Some("mine".into()))), 1);
        place.take(&[state(2)]);
        expect("mine", "tag 2", Status::Active, "line 2");
        assert_eq!(edit(Edit::Tags { add: vec!["more".into()], remove: vec![] }), 1);
        place.take(&[state(3)]);
        expect("mine", "tag 2,more", Status::Active, "line 3");
        assert_eq!(edit(Edit::Favorite(true)), 1);
        assert_eq!(edit(Edit::Delete), 1);
        place.take(&[state(4)]);
        expect("mine", "tag 2,more", Status::Deleted, "line 4");
        let deleted = ConversationFilter { statuses: vec![Status::Deleted], ..everything() };
        assert_eq!(place.store.edit(&place.scope(), &deleted, &Edit::Restore).unwrap(), 1);
        expect("mine", "tag 2,more", Status::Favorite, "line 4");
        let finds = |text: &str| {
            let selection =
                ConversationFilter { search: vec![text.parse().unwrap()], ..everything() };
            place.all(&selection).len()
        };
        assert_eq!(
            (finds("mine"), finds("more"), finds("\"title 4\""), finds("\"tag 4\"")),
            (1, 1, 0, 0)
        );
    });
}

#[test]
fn a_purged_one_comes_back_as_new() {
    on_both(|place| {
        let one = Incoming { title: Some("its title".into()), ..place.incoming("c", "line") };
        for named in [false, true] {
            place.take(std::slice::from_ref(&one));
            if named {
                place.dataset("d", &everything());
            }
            let edit = |edit| place.store.edit(&place.scope(), &everything(), &edit).unwrap();
            assert_eq!(edit(Edit::Title(Some("mine".into()))), 1);
            assert_eq!(edit(Edit::Purge), 1);
            assert_eq!(place.store.count(&place.scope(), &everything()).unwrap(), 0);
            assert_eq!(place.take(&[one.clone(), one.clone()]), [Taken::New, Taken::Same]);
            assert_eq!(place.one("c").title.as_deref(), Some("its title"));
            assert_eq!(place.text("c"), "line");
            let sought = ConversationFilter { search: queries(&["title"]), ..everything() };
            assert_eq!(place.all(&sought).len(), 1);
        }
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn bodies_of_any_size_read_back() {
    on_both(|place| {
        let mut dice = Dice(7);
        let words = ["question", "answer", "旅行", "\"role\":\"user\"", "model", "tools", "💬"];
        let mut texts: Vec<String> = (0..200)
            .map(|n| {
                let text: Vec<_> = (0..40 + dice.below(20)).map(|_| *dice.one(&words)).collect();
                format!("{n} {}", text.join(" "))
            })
            .collect();
        texts.push("long ".repeat(100_000));
        for (n, text) in texts.iter().enumerate() {
            place.add(&format!("c{n}"), text);
        }
        for (n, text) in texts.iter().enumerate() {
            assert!(place.text(&format!("c{n}")) == *text, "{n}");
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM dictionary"), 0);
    });
}

/// A line that a shipped dictionary helps with.
const LINE: &str = r#"{"retort":1,"id":"c","source":"openai","kind":"chat","rounds":[{"number":1,"messages":[{"role":"user","content":"How do I write a function?"},{"role":"assistant","content":"Sure! Here is an example of how you can do it."}]}]}"#;

#[test]
fn the_shipped_dictionary_halves_small_bodies() {
    on_sqlite(|place| {
        place.add("c", LINE);
        let packed = place.number("SELECT LENGTH(bytes) FROM body");
        let alone = zstd::bulk::compress(LINE.as_bytes(), 1).unwrap().len();
        assert!(usize::try_from(packed).unwrap() * 2 < alone, "{packed} of {alone}");
    });
}

/// Makes of a new store what an earlier release left: bodies under a dictionary that was learnt from them.
fn learn(place: &Place, texts: &[String]) {
    let dictionary = zstd::dict::from_samples(texts, 4 << 10).unwrap();
    assert!(dictionary.windows(7).any(|window| window == b"ZX-0007"), "it keeps people's words");
    let hex = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if place.is_postgres() { format!("'\\x{digits}'::bytea") } else { format!("x'{digits}'") }
    };
    place.sql(&format!("INSERT INTO dictionary (id, bytes) VALUES (1, {})", hex(&dictionary)));
    let mut packer = zstd::bulk::Compressor::with_dictionary(1, &dictionary).unwrap();
    for (n, text) in texts.iter().enumerate() {
        place.add(&format!("c{n}"), text);
        let packed = hex(&packer.compress(text.as_bytes()).unwrap());
        let sql = format!(
            "UPDATE body SET dictionary = 1, bytes = {packed} WHERE key = (
                 SELECT body FROM conversation WHERE id = 'c{n}')"
        );
        assert_eq!(place.sql(&sql), 1);
    }
}

fn letters() -> Vec<String> {
    let text = |n| format!("{n} my name is Person7, insurance number ZX-0007-77123, thank you {n}");
    (0..400).map(text).collect()
}

#[test]
fn bodies_under_a_learnt_dictionary_are_written_again_and_it_is_deleted() {
    on_both(|place| {
        let texts = letters();
        learn(place, &texts);
        assert_eq!(place.text("c3"), texts[3]);
        assert_eq!(place.store.learnt_dictionaries().unwrap(), (400, 1));
        let found = place.store.check(true, at(0)).unwrap();
        assert!(found.iter().any(|one| one.what.contains("dictionary")), "{found:?}");
        assert_eq!(place.store.rewrite_bodies().unwrap(), 400);
        assert_eq!(place.store.rewrite_bodies().unwrap(), 0);
        assert_eq!(place.store.learnt_dictionaries().unwrap(), (0, 0));
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(place.text(&format!("c{n}")), *text);
        }
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_damaged_body_keeps_its_learnt_dictionary_and_the_others_are_written_again() {
    on_both(|place| {
        let texts = letters();
        learn(place, &texts);
        place.sql("UPDATE body SET crc32 = crc32 + 1 WHERE key = 5");
        assert_eq!(place.store.rewrite_bodies().unwrap(), 399);
        assert_eq!(place.store.learnt_dictionaries().unwrap(), (1, 1));
        assert_eq!(place.store.rewrite_bodies().unwrap(), 0);
    });
}

/// Whether any file of a folder holds the bytes.
fn is_in_files(folder: &std::path::Path, sought: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(sought.len()).any(|window| window == sought.as_bytes())
    };
    files.filter(|path| path.is_file()).filter(holds).collect()
}

#[test]
fn no_byte_of_what_was_purged_is_in_the_files() {
    on_sqlite(|place| {
        learn(place, &letters());
        let edit = |selection: &ConversationFilter, edit| {
            place.store.edit(&place.scope(), selection, &edit).unwrap();
        };
        edit(&ids(&["c1"]), Edit::Title(Some("zqretitle7391".into())));
        edit(&ids(&["c1"]), Edit::Tags { add: vec!["zqtag5512".into()], remove: Vec::new() });
        place.dataset("d", &everything());
        let folder = place.store.file().unwrap().parent().unwrap().to_owned();
        for sought in ["ZX-0007-77123", "zqretitle7391", "zqtag5512"] {
            assert!(!is_in_files(&folder, sought).is_empty(), "{sought}");
        }
        edit(&everything(), Edit::Purge);
        // While the store is open: nothing was closed, which would delete the log.
        for sought in ["ZX-0007", "zqretitle", "zqtag5512"] {
            assert!(is_in_files(&folder, sought).is_empty(), "{sought}");
        }
        let copy = folder.join("copy");
        std::fs::create_dir(&copy).unwrap();
        place.store.copy_to(&copy.join("store.db")).unwrap();
        assert!(is_in_files(&copy, "ZX-0007").is_empty());
    });
}

#[test]
fn a_line_is_read_as_it_streams_by_and_a_damaged_one_ends_with_an_error() {
    on_both(|place| {
        let text: String = (0..200_000).map(|number| format!("{number} ")).collect();
        place.add("c", &text);
        let found = place.one("c");
        let whole = place.store.line(&found, &mut place.store.unpacker()).unwrap().unwrap();
        let stored = place.store.open_line(&found).unwrap().unwrap();
        assert_eq!(stored.bytes(), whole.len() as u64);
        for _ in 0..2 {
            let mut read = Vec::new();
            stored.read().unwrap().read_to_end(&mut read).unwrap();
            assert!(read == whole);
        }
        assert_eq!(place.sql("UPDATE body SET crc32 = crc32 + 1"), 1);
        let stored = place.store.open_line(&found).unwrap().unwrap();
        let error = stored.read().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    });
}

#[test]
fn a_damaged_body_is_told_of() {
    on_both(|place| {
        place.add("c", "a line of some length, so that there is something to damage");
        let one = place.one("c");
        let read = || place.store.line(&one, &mut place.store.unpacker());
        read().unwrap();
        let bytes = if place.is_postgres() { "'\\x28b52ffd00'::bytea" } else { "x'28b52ffd00'" };
        for sql in [
            "UPDATE body SET crc32 = crc32 + 1",
            "UPDATE conversation SET size = size + 1",
            "UPDATE conversation SET size = 9000000000000",
            &format!("UPDATE body SET bytes = {bytes}"),
            "UPDATE body SET dictionary = 77",
            "DELETE FROM body",
        ] {
            assert_eq!(place.sql(sql), 1);
            let one = place.one("c");
            let read = place.store.line(&one, &mut place.store.unpacker());
            assert!(matches!(read, Err(Error::Damaged(_))), "{sql}: {read:?}");
        }
    });
}

#[test]
fn importers_and_readers_at_once_lose_nothing() {
    on_both(|place| {
        let other = place.again();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let store = if worker % 2 == 0 { &place.store } else { &other };
                scope.spawn(move || {
                    for batch in 0..5 {
                        let some: Vec<_> = (0..20)
                            .map(|n| place.incoming(&format!("w{}-{batch}-{n}", worker % 3), "x"))
                            .collect();
                        take_in(store, &place.scope(), &some);
                        store.count(&place.scope(), &everything()).unwrap();
                    }
                });
            }
        });
        assert_eq!(place.store.count(&place.scope(), &everything()).unwrap(), 300);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn what_a_member_imports_meets_only_what_they_hold() {
    on_both(|place| {
        use Taken::{New, Same, Updated};
        let of = |owner: Option<&str>, id: &str, text: &str| Incoming {
            owner: owner.map(str::to_owned),
            ..place.incoming(id, text)
        };
        let long = "ö".repeat(300);
        place.take(&[
            of(Some("ann"), "anns", "1"),
            of(Some("bob"), "bobs", "1"),
            of(None, "nobodys", "1"),
            of(Some("ann"), "purged", "1"),
            of(Some(&long), "long", "1"),
        ]);
        place.dataset("d", &ids(&["purged"]));
        place.store.edit(&place.scope(), &ids(&["purged"]), &Edit::Purge).unwrap();
        let ann = Scope::person(place.project, "ann");
        let some = ["anns", "bobs", "nobodys", "purged", "long", "new", "new"]
            .map(|id| of(Some("ann"), id, "2"));
        // An id that others have is as new to her as one that nobody has.
        let expect = [Updated, New, New, New, New, New, Same];
        let importer = Importer::unnamed(&ann);
        let would = place.store.would_take_in(&importer, &some, &mut overlaps).unwrap();
        assert_eq!(would, expect);
        assert_eq!(take_in(&place.store, &ann, &some), expect);
        let unpacked = |scope: &Scope, id: &str| {
            let found = place.store.find(scope, id).unwrap();
            let mut unpacker = place.store.unpacker();
            let line = place.store.line(&found[0], &mut unpacker).unwrap().unwrap();
            (found[0].owner.clone(), String::from_utf8(line).unwrap())
        };
        for (id, owner, text) in [
            ("anns", Some("ann"), "2"),
            ("bobs", Some("bob"), "1"),
            ("nobodys", None, "1"),
            ("long", Some(&*long), "1"),
            ("new", Some("ann"), "2"),
        ] {
            let (found, line) = unpacked(&place.scope(), id);
            // A name as long as that is kept as its beginning.
            let start = |name: &str| name.chars().take(100).collect::<String>();
            assert_eq!((found.as_deref().map(start), &*line), (owner.map(start), text));
            assert_eq!(unpacked(&ann, id), (Some("ann".into()), "2".into()));
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM conversation"), 10);
        let theirs = Scope::person(place.project, &long);
        let some = [of(Some(&long), "long", "3")];
        assert_eq!(take_in(&place.store, &theirs, &some), [Updated]);
        assert_eq!(unpacked(&theirs, "long").1, "3");
        assert_eq!(unpacked(&ann, "long").1, "2");
        // Ids are known within a source and a project.
        let elsewhere = Incoming { source: "other".into(), ..of(Some("ann"), "bobs", "3") };
        assert_eq!(take_in(&place.store, &ann, &[elsewhere]), [New]);
        let q = Scope::person(place.store.project_or_new("q", at(0)).unwrap().id, "ann");
        assert_eq!(take_in(&place.store, &q, &[of(Some("ann"), "bobs", "4")]), [New]);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

/// Texts are the messages, a letter each; what comes after a `|` is beside them.
fn by_letters(states: &Comparing<'_>) -> Result<Compared, Error> {
    let messages = |line: &[u8]| {
        let text = String::from_utf8(line.to_vec()).unwrap();
        text.split('|').next().unwrap_or_default().to_owned()
    };
    let (was, came) = (messages(states.was), messages(states.came));
    let relation = match () {
        () if came == was => Relation::Same,
        () if came.starts_with(&was) => Relation::Continues,
        () if was.starts_with(&came) => Relation::Begins,
        () if came.contains(|letter| was.contains(letter)) => Relation::Overlaps,
        () => Relation::Apart,
    };
    let rewritten = states
        .keeps_owner
        .map(|owner| Box::new(Incoming { owner: Some(owner.into()), ..states.incoming.clone() }));
    Ok(Compared { relation, rewritten })
}

#[test]
fn a_state_that_continues_another_wins_whatever_the_order_and_the_times() {
    on_both(|place| {
        use Taken::{Conflict, New, Older, Repeated, Same, Updated};
        let scope = place.scope();
        let take = |replaces, text: &str, updated, repeated| {
            let one =
                Incoming { updated_at: Some(at(updated)), repeated, ..place.incoming("c", text) };
            let importer = Importer { replaces, ..Importer::unnamed(&scope) };
            let would = place
                .store
                .would_take_in(&importer, std::slice::from_ref(&one), &mut by_letters)
                .unwrap();
            let taken = place.store.take_in(&importer, &[one], &mut by_letters).unwrap();
            if !repeated {
                assert_eq!(would, taken);
            }
            (taken[0], place.text("c"))
        };
        for (text, updated, repeated, taken, kept) in [
            ("abc", 10, false, New, "abc"),
            ("abc", 10, false, Same, "abc"),
            ("ab", 20, false, Older, "abc"),
            ("ab", 20, true, Repeated, "abc"),
            ("abcd", 5, true, Updated, "abcd"),
            // The same messages, or others with something in common: the newer.
            ("abcd|title", 4, false, Older, "abcd"),
            ("abcd|title", 5, true, Repeated, "abcd"),
            ("abcd|title", 5, false, Updated, "abcd|title"),
            ("axyz", 4, false, Older, "abcd|title"),
            ("axyz", 6, true, Updated, "axyz"),
            ("opq", 100, false, Conflict, "axyz"),
        ] {
            assert_eq!(take(false, text, updated, repeated), (taken, kept.into()), "{text}");
        }
        assert_eq!(take(true, "opq", 1, false), (Updated, "opq".into()));
        assert_eq!(take(true, "o", 0, false), (Updated, "o".into()));
        // In one batch as in several.
        let some: Vec<_> = ["g", "gh", "ghi", "gh", "zz", "ghij"]
            .map(|text| Incoming { repeated: text != "g", ..place.incoming("g", text) })
            .into();
        let taken = place.store.take_in(&Importer::unnamed(&scope), &some, &mut by_letters);
        assert_eq!(taken.unwrap(), [New, Updated, Updated, Repeated, Conflict, Updated]);
        assert_eq!(place.text("g"), "ghij");
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 2);
    });
}

#[test]
fn an_unowned_one_stays_unowned_and_its_importer_sees_it() {
    on_both(|place| {
        use Taken::{New, Same, Updated};
        let project = place.scope();
        let [ann, bob] = ["ann", "bob"].map(|name| Scope::person(place.project, name));
        let admin = |name| Importer {
            name: Some(name),
            holds_unowned: true,
            ..Importer::unnamed(&project)
        };
        let take = |importer: &Importer<'_>, some: &[Incoming]| {
            place.store.take_in(importer, some, &mut by_letters).unwrap()
        };
        let seen = |scope: &Scope, id: &str| {
            let found = place.store.find(scope, id).unwrap();
            found.into_iter().map(|one| (one.owner, one.importer)).collect::<Vec<_>>()
        };
        let some = |text: &str| (None, Some(text.to_owned()));
        assert_eq!(take(&admin("ann"), &[place.incoming("c", "a")]), [New]);
        assert_eq!(seen(&project, "c"), [some("ann")]);
        assert_eq!((seen(&ann, "c").len(), seen(&bob, "c").len()), (1, 0));
        // A second importer takes nothing over.
        assert_eq!(take(&admin("bob"), &[place.incoming("c", "a")]), [Same]);
        assert_eq!(take(&admin("bob"), &[place.incoming("c", "ab")]), [Updated]);
        assert_eq!(seen(&project, "c"), [some("ann")]);
        assert_eq!((seen(&ann, "c").len(), seen(&bob, "c").len()), (1, 0));
        // An import that names an owner sets it; one that names none leaves it, but for the importer.
        let owned =
            |text: &str| Incoming { owner: Some("bob".into()), ..place.incoming("c", text) };
        assert_eq!(take(&admin("zoe"), &[owned("ab|o")]), [Updated]);
        assert_eq!(seen(&project, "c"), [(Some("bob".into()), Some("ann".into()))]);
        assert_eq!((seen(&ann, "c").len(), seen(&bob, "c").len()), (0, 1));
        assert_eq!(take(&admin("zoe"), &[place.incoming("c", "abc")]), [Updated]);
        assert_eq!(seen(&bob, "c").len(), 1);
        assert_eq!(take(&admin("ann"), &[place.incoming("c", "abc|")]), [Updated]);
        assert_eq!(seen(&project, "c"), [some("ann")]);
        // In a store of before, an owner who is the importer may have been set by the import alone.
        place.sql("UPDATE conversation SET importer = NULL, owner = 'zoe', holder = 'zoe'");
        assert_eq!(take(&admin("zoe"), &[place.incoming("c", "abc|again")]), [Updated]);
        assert_eq!(seen(&project, "c"), [some("zoe")]);

        // A member's own import is theirs to see, and the project's import of the same finds it.
        let member = Importer { name: Some("ann"), holds_unowned: true, ..Importer::unnamed(&ann) };
        assert_eq!(take(&member, &[place.incoming("m", "a")]), [New]);
        assert_eq!((seen(&ann, "m"), seen(&bob, "m").len()), (vec![some("ann")], 0));
        assert_eq!(take(&admin("bob"), &[place.incoming("m", "a")]), [Same]);
        assert_eq!(take(&admin("bob"), &[place.incoming("m", "ab")]), [Updated]);
        assert_eq!(seen(&project, "m"), [some("ann")]);
        // Something else is apart, and theirs goes on as it was.
        assert_eq!(take(&admin("bob"), &[place.incoming("m", "x")]), [New]);
        assert_eq!(seen(&project, "m"), [some("bob"), some("ann")]);
        assert_eq!(take(&member, &[place.incoming("m", "abc")]), [Updated]);
        assert_eq!(seen(&ann, "m").len(), 1);
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn nobody_takes_an_id_from_the_project() {
    on_both(|place| {
        use Taken::{New, Same};
        let project = place.scope();
        let ann = Scope::person(place.project, "ann");
        let member = Importer { name: Some("ann"), holds_unowned: true, ..Importer::unnamed(&ann) };
        let admin =
            Importer { name: Some("bob"), holds_unowned: true, ..Importer::unnamed(&project) };
        let of = |owner: &str, text: &str, updated| Incoming {
            owner: Some(owner.into()),
            updated_at: Some(at(updated)),
            ..place.incoming("c", text)
        };
        let take = |importer: &Importer<'_>, one| {
            place.store.take_in(importer, &[one], &mut by_letters).unwrap()[0]
        };
        // She takes the id first, with all that she may forge: another text, more text, a later time.
        for forged in ["x", "abcx", "a"] {
            assert_eq!(take(&member, of("ann", forged, 9_000_000)), New);
            assert_eq!(take(&admin, of("vic", "abc", 1)), New);
            assert_eq!(take(&admin, of("vic", "abc", 1)), Same);
            let found = place.store.find(&project, "c").unwrap();
            assert_eq!(found[0].owner.as_deref(), Some("vic"), "{forged}");
            assert_eq!((found[0].member.clone(), found[1].member.as_deref()), (None, Some("ann")));
            place.store.edit(&project, &everything(), &Edit::Purge).unwrap();
        }
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn columns_have_the_beginning_of_long_titles_tags_models_and_ids() {
    on_both(|place| {
        let long = |character: char, times: usize| character.to_string().repeat(times);
        let one = Incoming {
            title: Some(long('ä', 14_000)),
            tags: (0..5_000).map(|n| format!("{n}{}", long('日', 300))).collect(),
            model: Some(long('m', 100_000)),
            owner: Some(long('o', 100_000)),
            ..place.incoming(&long('i', 1_000_000), "the line")
        };
        place.take(&[one.clone(), place.incoming("short", "x")]);
        let found = place.all(&everything());
        assert_eq!(found.len(), 2);
        let found = found.iter().find(|one| one.id != "short").unwrap();
        assert_eq!(found.title, Some(format!("{}…", long('ä', 999))));
        assert_eq!(found.tags.len(), 100);
        assert_eq!(found.tags[99], format!("99{}…", long('日', 197)));
        assert_eq!(found.model, Some(format!("{}…", long('m', 999))));
        for key in [&found.id, found.owner.as_ref().unwrap()] {
            assert!(key.chars().count() <= 270, "{key}");
        }
        // It is found by its whole id and by the one that lists show, and by neither of another that begins like it.
        for id in [&one.id, &found.id] {
            assert_eq!(place.all(&ids(&[id])).len(), 1);
            assert_eq!(place.one(id).key, found.key);
        }
        assert_eq!(place.all(&ids(&[&long('i', 999_999)])), []);
        assert_eq!(place.take(&[one]), [Taken::Same]);
    });
}
