//! Conversations in the store: imported, listed, shown, changed.

use crate::support::*;
use serde_json::{Value, json};

/// The counts of an import.
fn imported(place: &Place, args: &[&str]) -> [u64; 5] {
    let report = place.printed(&[&["import", "-q", "--json"], args].concat());
    ["new", "updated", "same", "older", "repeated"].map(|name| report[name].as_u64().unwrap())
}

fn stored(items: impl IntoIterator<Item = Value>) -> Place {
    let place = Place::new();
    place.file("in.jsonl", lines(items));
    place.ok(&["import", "-q", "in.jsonl"]);
    place
}

/// A lossless line.
fn line(id: &str, source: &str, rounds: Value) -> Value {
    json!({"retort": 1, "id": id, "source": source, "kind": "chat", "tags": [], "status": "active", "rounds": rounds})
}

fn round(number: u32, question: &str, answer: &str) -> Value {
    json!({"number": number, "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})
}

/// Six conversations of all types and statuses, a day apart.
fn varied() -> Place {
    let one = |id: &str, kind: &str, status: &str, title: &str, tags: Value| {
        let day = format!("2024-01-0{}T10:00:00Z", &id[1..]);
        let item = line(id, "retort", json!([round(1, "q", "a")]));
        let item = with(with(item, "kind", json!(kind)), "status", json!(status));
        let item = with(with(item, "title", json!(title)), "tags", tags);
        with(item, "created_at", json!(day))
    };
    stored([
        one("c1", "chat", "active", "Trains to Kyoto", json!(["travel", "japan"])),
        one("c2", "agent", "favorite", "Ein Ärger mit dem Zug", json!(["travel"])),
        one("c3", "graph", "active", "notes", json!(["Agent graph"])),
        one("c4", "chat", "deleted", "old notes", json!([])),
        one("c5", "chat", "active", "成都周末美食之旅", json!(["旅行"])),
        one("c6", "agent", "active", "100% sure_", json!(["a,b"])),
    ])
}

#[test]
fn the_same_files_again_change_nothing_and_a_newer_state_takes_the_place_of_an_older() {
    let place = Place::new();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/conversations");
    let [new, ..] = imported(&place, &[examples]);
    assert!(new > 20);
    let before = place.ok(&["list", "--lines", "--all"]).out;
    assert_eq!(imported(&place, &[examples]), [0, 0, new, 0, 0]);
    assert_eq!(place.ok(&["list", "--lines", "--all"]).out, before);

    let place = Place::new();
    let state = |changed: &str, answer: &str| {
        let item = line("c", "retort", json!([round(1, "q", answer)]));
        lines([with(item, "updated_at", json!(changed))])
    };
    place.file("one", state("2024-01-02", "second"));
    place.file("newer", state("2024-01-03", "third"));
    place.file("older", state("2024-01-01", "first"));
    place.file("both", state("2024-01-04", "fourth") + &state("2024-01-04", "fifth"));
    for (name, counts) in [
        ("one", [1, 0, 0, 0, 0]),
        ("newer", [0, 1, 0, 0, 0]),
        ("older", [0, 0, 0, 1, 0]),
        ("both", [0, 1, 0, 0, 1]),
    ] {
        assert_eq!(imported(&place, &["--from", "retort", name]), counts, "{name}");
    }
    assert!(place.ok(&["show", "c"]).out.contains("fourth"));
}

#[test]
fn conversations_without_ids_are_as_many_as_the_files_hold_however_often_they_are_imported() {
    let place = Place::new();
    let without = json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]});
    let other = json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hm"}]});
    place.file("in.jsonl", lines([without.clone(), without, other]));
    assert_eq!(imported(&place, &["in.jsonl"]), [3, 0, 0, 0, 0]);
    assert_eq!(imported(&place, &["in.jsonl"]), [0, 0, 3, 0, 0]);
    assert_eq!(place.listed(&[]).len(), 3);
}

#[test]
fn a_dry_run_tells_what_would_happen_and_changes_nothing() {
    let place = Place::new();
    place.file("in.jsonl", chats(5));
    let ran = place.ok(&["import", "--dry-run", "in.jsonl"]);
    assert!(ran.err.starts_with("nothing was changed"), "{}", ran.err);
    assert!(ran.err.contains("new        5 conversations"), "{}", ran.err);
    assert_eq!(place.names("."), ["in.jsonl"], "it made a store");
    assert_eq!(imported(&place, &["in.jsonl"]), [5, 0, 0, 0, 0]);
    place.file("more.jsonl", chats(7));
    assert_eq!(imported(&place, &["--dry-run", "more.jsonl"]), [2, 0, 5, 0, 0]);
    // Another project has none of them, and is not made.
    let other = ["--dry-run", "--project", "other", "more.jsonl"];
    assert_eq!(imported(&place, &other), [7, 0, 0, 0, 0]);
    place.refused(&["list", "--project", "other"], "there is no project `other`");
    assert_eq!(place.listed(&[]).len(), 5);
}

#[test]
fn whatever_way_a_history_is_packed_it_is_imported_once() {
    let place = Place::new();
    let text = chats(40);
    place.file("in.jsonl", &text);
    place.file("in.jsonl.gz", gzip(text.as_bytes()));
    place.file("in.jsonl.zst", zstd::encode_all(text.as_bytes(), 0).unwrap());
    place.file("in.zip", zip(&[("a/in.jsonl", text.as_bytes())]));
    place.file("folder/in.jsonl", &text);
    let ran = place.run_on(&["import", "-q", "--json", "-"], text.into_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for input in ["in.jsonl", "in.jsonl.gz", "in.jsonl.zst", "in.zip", "folder"] {
        assert_eq!(imported(&place, &[input]), [0, 0, 40, 0, 0], "{input}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_written_to_the_rejects() {
    let place = Place::new();
    place.file("in.jsonl", format!("{}{{broken\n{}", chats(2), json!({"colour": "red"})));
    let ran = place.ok(&["import", "in.jsonl", "--rejects", "rejects.jsonl", "--json"]);
    assert!(ran.err.contains("refused    2 items") && ran.err.contains("line 3"), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["read"], &report["new"]), (&json!(4), &json!(2)));
    let rejects = place.rows("rejects.jsonl");
    assert_eq!(rejects.len(), 2, "{rejects:?}");
    assert_eq!(place.printed(&["jobs", "list", "--json"])[0]["state"], "completed_with_skips");
    place.refused(&["import", "nowhere.jsonl"], "cannot read `nowhere.jsonl`");
}

#[test]
fn an_owner_is_given_to_those_who_have_none() {
    let place = Place::new();
    let owned = with(line("b", "retort", json!([])), "owner", json!("ben"));
    place.file("in.jsonl", lines([line("a", "retort", json!([])), owned]));
    place.ok(&["import", "-q", "in.jsonl", "--owner", "ann"]);
    let list = place.printed(&["list", "--json"]);
    let owners: Vec<_> = list["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["id"], &one["owner"]))
        .collect();
    assert!(owners.contains(&(&json!("a"), &json!("ann"))), "{owners:?}");
    assert!(owners.contains(&(&json!("b"), &json!("ben"))), "{owners:?}");
}

#[test]
fn a_list_is_filtered_as_the_specification_says() {
    let place = varied();
    for (args, expect) in [
        (&[][..], &["c6", "c5", "c3", "c2", "c1"][..]),
        (&["--sort", "oldest"], &["c1", "c2", "c3", "c5", "c6"]),
        (&["--search", "ärger"], &["c2"]),
        (&["--search", "TRAVEL"], &["c2", "c1"]),
        (&["--search", "旅"], &["c5"]),
        (&["--search", "100% sure_"], &["c6"]),
        (&["kyoto travel"], &["c1"]),
        (&["--query", "tag:travel -kyoto"], &["c2"]),
        (&["--search", "kyoto", "--search", "notes"], &["c3", "c1"]),
        (&["--search", "nobody"], &[]),
        (&["--type", "chat"], &["c5", "c1"]),
        (&["--type", "agent", "--type", "graph"], &["c6", "c3", "c2"]),
        (&["--status", "favorite"], &["c2"]),
        (&["--status", "deleted"], &["c4"]),
        (&["--status", "deleted", "--status", "active"], &["c6", "c5", "c4", "c3", "c1"]),
        (&["--created-from", "2024-01-03", "--created-before", "2024-01-06"], &["c5", "c3"]),
        (&["--id", "c1", "--id", "c2", "--type", "agent"], &["c2"]),
    ] {
        assert_eq!(place.listed(args), expect, "{args:?}");
        let count = place.ok(&[&["list", "--count"], args].concat()).out;
        let sorted = !args.contains(&"--sort");
        assert!(!sorted || count.trim() == expect.len().to_string(), "{args:?}: {count}");
    }
}

#[test]
fn a_list_goes_on_where_the_page_before_ended() {
    let place = Place::new();
    // Half of them have the same moment.
    let item = |n: usize| {
        with(chat(&format!("c{n:03}")), "created_at", json!(1_700_000_000 + (n / 2 * 2).min(20)))
    };
    place.file("in.jsonl", lines((0..45).map(item)));
    place.ok(&["import", "-q", "in.jsonl"]);
    for sort in ["newest", "oldest", "changed"] {
        let whole = place.listed(&["--sort", sort]);
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut args = vec!["list", "--sort", sort, "--limit", "10", "--json"];
            if let Some(after) = &after {
                args.extend(["--after", after]);
            }
            let page = place.printed(&args);
            assert_eq!(page["total"], 45);
            let ids = page["conversations"].as_array().unwrap();
            paged.extend(ids.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{sort}");
        assert_eq!(paged.len(), 45);
    }
    let first = place.ok(&["list", "--limit", "10"]);
    assert!(first.out.contains("TITLE") && first.out.lines().count() == 11, "{}", first.out);
    assert!(first.err.starts_with("10 of 45 conversations; `--after "), "{}", first.err);
    let after = first.err.split('`').nth(1).unwrap().strip_prefix("--after ").unwrap();
    assert_eq!(place.ok(&["list", "--limit", "40", "--after", after]).out.lines().count(), 36);
    assert_eq!(
        place.printed(&["list", "--json", "--all"])["conversations"].as_array().unwrap().len(),
        45
    );
}

#[test]
fn wrong_choices_of_a_list_are_told_in_words() {
    let place = varied();
    for (args, words) in [
        (&["list", "--limit", "0"][..], "1 to 1000 conversations"),
        (&["list", "--after", "there"], "is not a cursor"),
        (&["list", "--sort", "colour"], "newest, oldest, changed"),
        (&["list", "--type", "chorus"], "possible values: chat, agent, graph"),
        (&["list", "--created-from", "yesterday"], "not a date or time"),
        (&["list", "--data", "elsewhere"], "`retort import` creates one"),
        (&["list", "--search", &"x".repeat(1001)], "at most 1000 characters"),
        (&["list", "tga:travel"], "unknown field `tga`; did you mean `tag`?"),
        (&["list", "%"], "`%` has no letters or digits to search for"),
    ] {
        assert!(place.refused(args, words).out.is_empty());
    }
    assert!(!place.path("elsewhere").exists());
    assert_eq!(place.ok(&["list", "--search", "nobody"]).err, "no conversation matches\n");
}

#[test]
fn hostile_text_in_the_store_does_not_reach_the_terminal() {
    let evil = "e\u{1b}[2J\u{9b}1m\u{7}\u{202e}\r!";
    let mut item = line(evil, "retort", json!([round(1, evil, evil)]));
    item["title"] = json!(evil);
    item["tags"] = json!([evil]);
    item["model"] = json!(evil);
    item["rounds"][0]["messages"][1]["tool_calls"] =
        json!([{"id": evil, "name": evil, "arguments": evil}]);
    item["rounds"][0]["messages"][1]["reasoning"] = json!(evil);
    let place = stored([item]);
    for args in [
        &["list"][..],
        &["list", "--lines"],
        &["show", evil],
        &["show", "--json", evil],
        &["delete", &format!("{evil}x")],
    ] {
        let ran = place.run(args);
        let text = format!("{}{}", ran.out, ran.err);
        let dangerous = ['\u{1b}', '\u{7}', '\r'];
        assert!(!text.contains(dangerous), "{args:?}: {text:?}");
        let json = args.iter().any(|arg| arg.starts_with("--"));
        assert!(json || !text.contains(['\u{9b}', '\u{202e}']), "{args:?}: {text:?}");
    }
}

#[test]
fn a_conversation_is_shown_whole_with_its_branches() {
    let mut second = round(2, "and then?", "this");
    second["messages"][1]["contexts"] =
        json!([{"readable_filename": "soil.pdf", "text": "clay"}, {"text": "x"}]);
    second["messages"][1]["feedback"] = json!({"rating": true, "comment": "good"});
    let long = "word ".repeat(4000);
    let mut other = round(3, "and then?", &long);
    other["parent"] = json!(0);
    other["messages"][1]["tool_calls"] =
        json!([{"id": "k1", "name": "search", "arguments": "{\"q\": \"clay\"}"}]);
    other["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": "tool", "tool_call_id": "k1", "content": "found"}));
    let mut item = line("c", "retort", json!([round(1, "first\nline", "answer"), second, other]));
    item["current"] = json!(2);
    item["tasks"] = json!([{"id": "t1", "agent": "digger", "tool_call_id": "k1", "rounds": [round(1, "dig", "dug")]}]);
    let place = stored([with(item, "title", json!("Clay"))]);
    let shown = place.ok(&["show", "c"]).out;
    for words in [
        "Clay\nc · chat, active · imported by local · read as retort\n",
        "--- round 1 a beginning, on the active path ---\nuser:\n  first\n  line\nassistant:\n  answer\n",
        "··· round 2 after round 1, on another branch ···",
        "[2 retrieved passages: soil.pdf]",
        "[feedback: true, good]",
        "--- round 3 after round 1, on the active path ---",
        "  calls search (k1)\n    {\"q\": \"clay\"}\ntool (answers k1):\n  found\n",
        "=== task t1 of digger, called by k1 ===",
        "  user:\n    dig\n",
        long.trim(),
    ] {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
    place.refused(&["show", "nobody"], "there is no conversation `nobody`");
}

#[test]
fn conversations_of_several_sources_with_one_id_are_told_apart() {
    let place = stored([
        line("c", "one", json!([round(1, "q", "from one")])),
        line("c", "two", json!([round(1, "q", "from two")])),
    ]);
    let ran = place.ok(&["show", "c"]);
    assert!(ran.out.contains("read as one") && ran.out.contains("read as two"), "{}", ran.out);
    assert!(ran.err.contains("2 conversations of different formats"), "{}", ran.err);
    let both = rows(&place.ok(&["show", "c", "--json"]).out);
    assert_eq!(both.iter().map(|one| &one["source"]).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(
        place.printed(&["tag", "c", "--add", "x", "--json"]),
        json!({"changed": 2, "meant": 2})
    );
}

#[test]
fn tags_are_added_and_taken_away_of_ids_or_of_a_filter() {
    let place = varied();
    let ran = place.ok(&["tag", "c1", "c3", "--add", "new", "--remove", "travel"]);
    assert_eq!(ran.err, "changed 2 of 2 conversations\n");
    let shown = place.printed(&["show", "c1", "--json"]);
    assert_eq!(shown["tags"], json!(["japan", "new"]));
    let counts = |args: &[&str]| place.printed(&[args, &["--json"]].concat());
    assert_eq!(counts(&["tag", "--id", "c1", "--add", "new"]), json!({"changed": 0, "meant": 1}));
    assert_eq!(
        counts(&["tag", "--search", "travel", "--add", "go"]),
        json!({"changed": 1, "meant": 1})
    );
    assert_eq!(
        counts(&["tag", "--type", "chat", "c1", "c3", "--add", "go"]),
        json!({"changed": 1, "meant": 1})
    );
    assert_eq!(place.listed(&["--search", "go"]), ["c2", "c1"]);
    assert_eq!(counts(&["tag", "--all", "--add", "all"]), json!({"changed": 5, "meant": 5}));
    // An import of the same does not undo it.
    place.ok(&["import", "-q", "in.jsonl"]);
    assert_eq!(place.listed(&["--search", "new"]), ["c3", "c1"]);
    let ran = place.ok(&["tag", "--search", "nobody", "--add", "x"]);
    assert_eq!(ran.err, "no conversation matches; nothing was changed\n");
}

#[test]
fn favorites_are_marked_and_unmarked() {
    let place = varied();
    place.ok(&["favorite", "c1"]);
    assert_eq!(place.listed(&["--status", "favorite"]), ["c2", "c1"]);
    let ran = place.ok(&["favorite", "--off", "--status", "favorite"]);
    assert_eq!(ran.err, "unmarked 2 of 2 conversations\n");
    assert!(place.listed(&["--status", "favorite"]).is_empty());
}

#[test]
fn what_was_deleted_is_restored_as_it_was() {
    let place = varied();
    let ran = place.ok(&["delete", "c1", "c2"]);
    assert_eq!(ran.err, "deleted 2 of 2 conversations; `retort restore` restores them\n");
    assert_eq!(place.listed(&["--status", "deleted"]), ["c4", "c2", "c1"]);
    assert_eq!(place.ok(&["delete", "c1"]).err, "deleted 0 of 1 conversation\n");
    // A filter of `restore` means the deleted.
    let ran = place.ok(&["restore", "--search", "travel"]);
    assert_eq!(ran.err, "restored 2 of 2 conversations\n");
    assert_eq!(place.listed(&["--status", "favorite"]), ["c2"]);
    assert_eq!(place.ok(&["restore", "c4", "c5"]).err, "restored 1 of 2 conversations\n");
    place.ok(&["delete", "--all"]);
    assert!(place.listed(&[]).is_empty());
    place.ok(&["restore", "--all"]);
    assert_eq!(place.listed(&[]).len(), 6);
}

#[test]
fn what_is_purged_is_gone_and_asked_for_before() {
    let place = varied();
    let ran = place.refused(&["purge", "c1", "c4"], "2 conversations will be permanently deleted");
    assert!(ran.err.contains("datasets made from them stay; confirm with `--yes`"), "{}", ran.err);
    assert_eq!(place.listed(&[]).len(), 5);
    assert_eq!(place.ok(&["purge", "c1", "c4", "--yes"]).err, "purged 2 of 2 conversations\n");
    place.refused(&["show", "c1"], "there is no conversation `c1`");
    place.ok(&["delete", "c2"]);
    let ran = place.ok(&["purge", "--type", "agent", "--yes"]);
    assert!(
        ran.err.contains("also matching, but not purged: 1 deleted conversation;"),
        "{}",
        ran.err
    );
    assert_eq!(place.listed(&["--status", "deleted"]), ["c2"]);
    place.ok(&["purge", "--status", "deleted", "--yes"]);
    assert_eq!(place.listed(&["--status", "deleted", "--status", "active"]), ["c5", "c3"]);
    // It comes back only by another import.
    assert_eq!(imported(&place, &["in.jsonl"])[0], 4);
}

#[test]
fn nothing_is_changed_unless_it_is_said_what() {
    let place = varied();
    for verb in
        [&["tag", "--add", "x"][..], &["favorite"], &["delete"], &["restore"], &["purge", "--yes"]]
    {
        place.refused(
            verb,
            "select conversations: ids, a filter such as `--search TEXT`, or `--all`",
        );
        place.refused(
            &[verb, &["c1", "nobody", "noone"]].concat(),
            "there is no conversation `nobody`; nothing was changed",
        );
        place.refused(&[verb, &["--all", "c1"]].concat(), "cannot be used with");
        place.refused(
            &[verb, &["--all", "--type", "chat"]].concat(),
            "`--all` cannot be combined with ids or filters",
        );
    }
    place.refused(&["tag", "c1"], "--add");
    place.refused(&["tag", "c1", "--add", " "], "at least one letter");
    assert_eq!(place.listed(&[]), ["c6", "c5", "c3", "c2", "c1"]);
    assert_eq!(place.listed(&["--search", "x"]), Vec::<String>::new());
}

#[test]
fn a_project_sees_only_its_own() {
    let place = varied();
    place.file("other.jsonl", chats(2));
    place.ok(&["import", "-q", "other.jsonl", "--project", "other"]);
    assert_eq!(place.listed(&["--project", "other"]).len(), 2);
    assert_eq!(place.listed(&[]).len(), 5);
    place.refused(&["delete", "c00001"], "there is no conversation `c00001`");
    place.refused(&["show", "c1", "--project", "other"], "there is no conversation");
}
