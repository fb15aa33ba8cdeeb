//! Whose words, which conversation: owners, importers, and ids that come more than once.

use crate::support::*;
use serde_json::{Value, json};

/// A conversation of these messages, of the person and the model in turn.
fn said(id: Value, messages: &[&str]) -> Value {
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<_> =
        roles.zip(messages).map(|(role, text)| json!({"role": role, "content": text})).collect();
    json!({"id": id, "messages": messages})
}

/// What is told of a conversation: how many messages, its owner and its importer.
fn shown(place: &Place, id: &str) -> (u64, Value, Value) {
    let found = rows(&place.ok(&["list", "--lines", "--all", "--id", id]).out);
    assert_eq!(found.len(), 1, "{found:?}");
    let one = &found[0];
    (one["messages"].as_u64().unwrap(), one["owner"].clone(), one["importer"].clone())
}

fn imported(place: &Place, args: &[&str]) -> Value {
    place.printed(&[&["import", "-q", "--json"], args].concat())
}

#[test]
fn an_unnamed_owner_stays_unnamed_in_the_store_and_in_what_comes_out() {
    let place = Place::new();
    place.file(
        "in.jsonl",
        lines([
            said(json!("anonymous"), &["q", "a"]),
            with(said(json!("anns"), &["q", "a"]), "user_email", json!("ann@example.org")),
        ]),
    );
    imported(&place, &["in.jsonl"]);
    assert_eq!(shown(&place, "anonymous"), (2, Value::Null, json!("local")));
    assert_eq!(shown(&place, "anns"), (2, json!("ann@example.org"), json!("local")));
    place.ok(&["export", "h", "-q", "--data-format", "history"]);
    let rows =
        rows(&String::from_utf8(place.downloaded("h")["conversations.jsonl"].clone()).unwrap());
    let emails: Vec<_> = rows.iter().map(|row| row["user_email"].clone()).collect();
    assert_eq!(emails, [Value::Null, json!("ann@example.org")]);
    // Whose they are can be said later, and taken back by the same importer.
    let report = imported(&place, &["in.jsonl", "--owner", "bob@example.org"]);
    assert_eq!((&report["updated"], &report["same"]), (&json!(1), &json!(1)));
    assert_eq!(shown(&place, "anonymous").1, json!("bob@example.org"));
    let report = imported(&place, &["in.jsonl"]);
    assert_eq!((&report["updated"], &report["same"]), (&json!(1), &json!(1)));
    assert_eq!(shown(&place, "anonymous").1, Value::Null);
}

/// Report `growing-history`: each call logs the history so far under one id.
#[test]
fn the_longest_of_a_growing_history_is_kept_whatever_the_order() {
    let whole = ["q1", "a1", "q2", "a2", "q3", "a3"];
    for order in [[2, 4, 6], [6, 2, 4], [4, 6, 2]] {
        let place = Place::new();
        place.file("in.jsonl", lines(order.map(|count| said(json!("g1"), &whole[..count]))));
        let report = imported(&place, &["in.jsonl"]);
        assert_eq!((&report["read"], &report["new"]), (&json!(3), &json!(1)), "{order:?}");
        assert_eq!(shown(&place, "g1").0, 6, "{order:?}");
        // One after the other, too; and nothing is lost when the first comes again.
        let place = Place::new();
        for count in order {
            place.file("one.jsonl", lines([said(json!("g1"), &whole[..count])]));
            imported(&place, &["one.jsonl"]);
        }
        assert_eq!(shown(&place, "g1").0, 6, "{order:?}");
    }
}

/// Report `two-files-with-id-1`: ids that only count.
#[test]
fn another_conversation_under_the_same_id_is_refused_unless_it_is_to_replace_or_apart() {
    let place = Place::new();
    place.file("a.jsonl", lines([said(json!(1), &["file A one", "a"])]));
    place.file(
        "b.jsonl",
        lines([
            said(json!(1), &["file B one", "b", "and more"]),
            said(json!(2), &["file B two", "b"]),
            said(json!(3), &["file B three", "b"]),
        ]),
    );
    imported(&place, &["a.jsonl"]);
    let report = imported(&place, &["b.jsonl", "--rejects", "rejects.jsonl"]);
    assert_eq!((&report["new"], &report["updated"]), (&json!(2), &json!(0)));
    let refused = json!([{"kind": "id-taken", "count": 1, "first_ids": ["1"]}]);
    assert_eq!(report["refused"], refused);
    assert!(report["first_refused"][0].as_str().unwrap().contains("`--namespace`"), "{report}");
    let rejects = place.rows("rejects.jsonl");
    assert_eq!(
        (&rejects[0]["conversation_id"], &rejects[0]["reason"]),
        (&json!("1"), &json!("id-taken"))
    );
    assert_eq!(shown(&place, "1").0, 2);
    let told = place.ok(&["import", "b.jsonl"]).err;
    assert!(told.contains("id-taken") && told.contains("--replace"), "{told}");
    // In one import as in two.
    let both = Place::new();
    both.file("a.jsonl", place.bytes("a.jsonl"));
    both.file("b.jsonl", place.bytes("b.jsonl"));
    let report = imported(&both, &["a.jsonl", "b.jsonl"]);
    assert_eq!((&report["new"], &report["refused"]), (&json!(3), &refused));
    // Apart, and instead.
    let report = imported(&place, &["b.jsonl", "--namespace", "b"]);
    assert_eq!(report["new"], 3);
    assert_eq!((shown(&place, "1").0, shown(&place, "b/1").0), (2, 3));
    let report = imported(&place, &["b.jsonl", "--replace"]);
    assert_eq!(report["updated"], 1);
    assert_eq!(shown(&place, "1").0, 3);
}

#[test]
fn a_time_in_the_future_wins_over_nothing() {
    let place = Place::new();
    let at =
        |messages: &[&str], time: &str| with(said(json!("f"), messages), "updated_at", json!(time));
    place.file("future.jsonl", lines([at(&["q", "forged"], "2999-01-01T00:00:00Z")]));
    place.file("real.jsonl", lines([at(&["q", "a"], "2024-01-01T00:00:00Z")]));
    imported(&place, &["future.jsonl"]);
    let report = imported(&place, &["real.jsonl"]);
    assert_eq!((&report["updated"], &report["older"]), (&json!(1), &json!(0)));
}

/// The rows of a conversion, each as its id and its number of messages.
fn converted(place: &Place, args: &[&str]) -> Vec<(String, usize)> {
    place.ok(&[&["convert", "-q", "--force", "-o", "o"], args].concat());
    place.ok(&["verify", "o"]);
    assert_balanced(&place.json("o/manifest.json"));
    let row = |row: &Value| {
        let id = row["conversation_id"].as_str().unwrap().to_owned();
        (id, row["messages"].as_array().unwrap().len())
    };
    place.rows("o/conversations.jsonl").iter().map(row).collect()
}

/// Reasons and ids of what the last conversion left out.
fn left_out(place: &Place) -> Vec<(String, String)> {
    let told = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = place.rows("o/rejects.jsonl");
    rows.iter().map(|row| (told(row, "conversation_id"), told(row, "reason"))).collect()
}

/// Report `growing-history`.
#[test]
fn a_conversion_writes_the_longest_of_a_growing_history_whatever_the_order() {
    let whole = ["q1", "a1", "q2", "a2", "q3", "a3"];
    for order in [[2, 4, 6], [6, 2, 4], [4, 6, 2]] {
        let place = Place::new();
        let states = order.map(|count| said(json!("g1"), &whole[..count]));
        let before = said(json!("before"), &["q", "a"]);
        let items = lines([before].into_iter().chain(states));
        place.file("in.jsonl", &items);
        let expect = [("before".to_owned(), 2), ("g1".to_owned(), 6)];
        assert_eq!(converted(&place, &["in.jsonl"]), expect, "{order:?}");
        let earlier = ("g1".to_owned(), "earlier-state".to_owned());
        assert_eq!(left_out(&place), [earlier.clone(), earlier]);
        let bytes = place.bytes("o/conversations.jsonl");
        // From a pipe, packed, and with one thread it is the same.
        for (args, input) in [
            (vec!["-"], items.clone().into_bytes()),
            (vec!["-"], gzip(items.as_bytes())),
            (vec!["-", "--threads", "1"], items.clone().into_bytes()),
        ] {
            let ran =
                place.run_on(&[&["convert", "-q", "--force", "-o", "p"], &*args].concat(), input);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            assert_eq!(place.bytes("p/conversations.jsonl"), bytes);
        }
        let shown = place.printed(&["preview", "in.jsonl", "--json"])["records"].to_string();
        assert_eq!(shown.matches("\"g1\"").count(), 1, "{shown}");
        assert!(shown.contains("a3"), "{shown}");
    }
}

/// Report `two-files-with-id-1`.
#[test]
fn a_conversion_keeps_different_items_of_one_id_apart_and_tells_it() {
    let place = Place::new();
    place.file(
        "a.jsonl",
        lines([said(json!(1), &["file A one", "a"]), said(json!(2), &["q", "a"])]),
    );
    place.file(
        "b.jsonl",
        lines([said(json!(1), &["file B one", "b"]), said(json!(2), &["q", "a"])]),
    );
    place.file("c.jsonl", lines([said(json!(1), &["file C one", "c"])]));
    let own = |pairs: &[(&str, usize)]| -> Vec<(String, usize)> {
        pairs.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect()
    };
    let found = converted(&place, &["a.jsonl", "b.jsonl", "c.jsonl"]);
    assert_eq!(found, own(&[("1", 2), ("2", 2), ("1#2", 2), ("1#3", 2)]));
    assert_eq!(left_out(&place), [("2".to_owned(), "repeated-id".to_owned())]);
    let manifest = place.json("o/manifest.json");
    let apart = json!([{"kind": "id-kept-apart", "count": 2, "first_ids": ["1#2", "1#3"]}]);
    assert_eq!(manifest["records"]["warnings"], apart);
    let found = converted(&place, &["b.jsonl", "--namespace", "b"]);
    assert_eq!(found, own(&[("b/1", 2), ("b/2", 2)]));
    assert_eq!(place.json("o/manifest.json")["options"]["namespace"], "b");
    // A limit counts what is written, and an id is meant by its name in the dataset.
    let found = converted(&place, &["a.jsonl", "b.jsonl", "--limit", "3"]);
    assert_eq!(found, own(&[("1", 2), ("2", 2), ("1#2", 2)]));
    let found = converted(&place, &["a.jsonl", "b.jsonl", "--namespace", "n", "--id", "n/2"]);
    assert_eq!(found, own(&[("n/2", 2)]));
}

#[test]
fn many_states_of_many_conversations_are_decided_alike_by_any_number_of_threads() {
    let place = Place::new();
    let texts: Vec<String> = (0..12).map(|n| format!("message {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // Each conversation comes in every length, all mixed.
    let states = (0..1200).map(|n| {
        let (id, count) = (n * 7 % 100, n * 5 % 12 + 1);
        said(json!(format!("c{id}")), &texts[..count])
    });
    place.file("in.jsonl", lines(states));
    let found = converted(&place, &["in.jsonl", "--check", "off", "--threads", "1"]);
    let bytes = place.bytes("o/conversations.jsonl");
    assert!(found.len() >= 100, "{}", found.len());
    let mut ids: Vec<_> = found.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), found.len());
    for threads in ["2", "7"] {
        converted(&place, &["in.jsonl", "--check", "off", "--threads", threads]);
        assert!(place.bytes("o/conversations.jsonl") == bytes, "{threads}");
    }
}

#[test]
fn an_item_without_an_id_has_one_id_in_a_conversion_and_in_the_store() {
    let place = Place::new();
    let bare = |text: &str| {
        let mut one = said(json!(""), &[text, "a"]);
        one.as_object_mut().unwrap().remove("id");
        one
    };
    place.file("in.jsonl", lines([bare("x"), bare("y"), bare("x")]));
    let found: Vec<_> = converted(&place, &["in.jsonl"]).into_iter().map(|(id, _)| id).collect();
    assert_eq!(found[2], format!("{}-2", found[0]));
    // The owner that is given.
    imported(&place, &["in.jsonl", "--owner", "ann@example.org"]);
    let mut listed = place.listed(&[]);
    let mut expect = found.clone();
    listed.sort();
    expect.sort();
    assert_eq!(listed, expect);
    assert_eq!(imported(&place, &["in.jsonl", "--owner", "bob@example.org"])["updated"], 3);
    assert_eq!(imported(&place, &["in.jsonl", "--namespace", "n"])["new"], 3);
    let apart: Vec<_> = converted(&place, &["in.jsonl", "--namespace", "n"]);
    assert_eq!(apart[2].0, format!("n/{}-2", found[0]));
}

#[test]
fn the_ids_of_a_history_stay_the_same_whatever_is_exported_with_them() {
    let place = Place::new();
    place.file("in.jsonl", lines([said(json!("a"), &["q", "a"]), said(json!("b"), &["q", "a"])]));
    let row_ids = |args: &[&str]| -> Vec<Value> {
        place.ok(&[&["convert", "in.jsonl", "-q", "--force", "--to", "history", "-o", "o"], args]
            .concat());
        place.rows("o/conversations.jsonl").iter().map(|row| row["id"].clone()).collect()
    };
    let (all, one) = (row_ids(&[]), row_ids(&["--id", "b"]));
    assert_eq!(all[1..], one);
    assert_ne!(all[0], all[1]);
    assert!(all.iter().all(|id| id.as_u64().is_some_and(|id| id < 1 << 53)), "{all:?}");
}

#[test]
fn a_deleted_conversation_is_exported_by_its_id_and_told_of_where_all_are() {
    let place = Place::new();
    place.file(
        "in.jsonl",
        lines(["a", "b", "c"].map(|id| {
            let status = if id == "c" { "deleted" } else { "active" };
            with(said(json!(id), &["q", id]), "status", json!(status))
        })),
    );
    let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let ids_of =
        |found: Vec<(String, usize)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids_of(converted(&place, &["in.jsonl"])), own(&["a", "b"]));
    assert_eq!(place.json("o/manifest.json")["selection"]["deleted_left_out"], 1);
    assert_eq!(ids_of(converted(&place, &["in.jsonl", "--id", "c"])), own(&["c"]));
    assert_eq!(place.json("o/manifest.json")["selection"]["deleted_left_out"], Value::Null);

    imported(&place, &["in.jsonl"]);
    place.ok(&["delete", "b"]);
    let manifest = |name: &str| -> Value {
        serde_json::from_slice(&place.downloaded(name)["manifest.json"]).unwrap()
    };
    place.ok(&["export", "all", "-q"]);
    assert_eq!(manifest("all")["selection"]["deleted_left_out"], 2);
    assert_eq!(manifest("all")["records"]["written"], 1);
    place.ok(&["export", "named", "-q", "--id", "b"]);
    assert_eq!(manifest("named")["records"]["written"], 1);
}
