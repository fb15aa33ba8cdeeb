//! Filters: the same of files and of a store, and the same in the receipt.

use crate::support::*;
use serde_json::{Value, json};

fn one(id: &str, model: &str, tags: Value, messages: Value) -> Value {
    json!({"retort": 1, "id": id, "source": "retort", "kind": "chat", "tags": tags, "status": "active",
        "rounds": [{"number": 1, "model": model, "messages": messages}]})
}

fn asked(question: &str) -> Value {
    json!({"role": "user", "content": question})
}

fn answered(more: Value) -> Value {
    let mut answer = json!({"role": "assistant", "content": "Good."});
    for (name, value) in more.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

/// A conversation in German whose answer has a score, and for which the source counted tokens.
fn scored() -> Value {
    let question = "Wie kann ich eine Liste von Zahlen sortieren, ohne sie selbst zu verändern?";
    let answer = answered(json!({"feedback": {"rating": 4.5}}));
    let mut scored = one("scored", "m-4", json!([]), json!([asked(question), answer]));
    for (name, tokens) in [("input_tokens", 7), ("output_tokens", 5)] {
        scored["rounds"][0][name] = json!(tokens);
    }
    scored
}

/// Five conversations, each with something that only it has.
fn stored() -> Place {
    let call = json!({"id": "t", "name": "rain", "arguments": "{}"});
    let image = json!([{"type": "image", "raw": {"url": "https://example.org/a.png"}}]);
    let place = Place::new();
    place.file(
        "in.jsonl",
        lines([
            one("plain", "m-1", json!(["a", "b"]), json!([asked("q"), answered(json!({}))])),
            one(
                "called",
                "m-2",
                json!(["b"]),
                json!([
                    asked("q"),
                    answered(json!({"tool_calls": [call], "content": null})),
                    json!({"role": "tool", "content": "no", "tool_call_id": "t"}),
                    answered(json!({})),
                    asked("and now?"),
                    answered(json!({"label": "preferred"})),
                ]),
            ),
            with(
                one(
                    "rated",
                    "m-2",
                    json!([]),
                    json!([asked("q"), answered(json!({"feedback": {"rating": true}})),]),
                ),
                "owner",
                json!("ann@example.org"),
            ),
            one(
                "failed",
                "m-3",
                json!(["a,b"]),
                json!([
                    asked("q"),
                    json!({"role": "user", "content": image}),
                    answered(json!({"error": "broke off", "feedback": {"rating": "thumbs_down"}})),
                ]),
            ),
            scored(),
        ]),
    );
    place.ok(&["import", "-q", "in.jsonl"]);
    place
}

#[test]
fn a_filter_means_the_same_of_files_as_of_a_store() {
    let place = stored();
    for (filter, expect) in [
        (&["--tag", "b"][..], &["called", "plain"][..]),
        (&["--tag", "a,b"], &["failed"]),
        (&["--model", "m-1", "--model", "m-3"], &["failed", "plain"]),
        (&["--owner", "ann@example.org"], &["rated"]),
        (&["--format", "retort"], &["called", "failed", "plain", "rated", "scored"]),
        (&["--format", "openai"], &[]),
        (&["--turns", "2.."], &["called", "failed"]),
        (&["--turns", "1"], &["plain", "rated", "scored"]),
        (&["--calls", "1..", "--turns", "..2"], &["called"]),
        (&["--calls", "0"], &["failed", "plain", "rated", "scored"]),
        (&["--rating", "good"], &["rated"]),
        (&["--rating", "good", "--rating", "bad"], &["failed", "rated"]),
        (&["--label", "preferred"], &["called"]),
        (&["--score", "4..5"], &["scored"]),
        (&["--score", "..3"], &[]),
        (&["--tokens", "12"], &["scored"]),
        (&["--tokens", "..11"], &["called", "failed", "plain", "rated"]),
        (&["--language", "de"], &["scored"]),
        (&["--language", "fr"], &[]),
        (&["--has-error"], &["failed"]),
        (&["--has-error=false", "--tag", "b"], &["called", "plain"]),
        (&["--has-attachment"], &["failed"]),
    ] {
        let mut of_store = place.listed(filter);
        of_store.sort();
        assert_eq!(of_store, expect, "{filter:?}");
        let converting = ["convert", "-q", "in.jsonl", "-o", "out", "--force", "-d", "retort"];
        let converted = place.run(&[&converting[..], filter].concat());
        let of_files = match converted.code {
            Some(0) => place.rows("out/conversations.jsonl"),
            _ => Vec::new(),
        };
        let mut of_files: Vec<_> = of_files.iter().map(|row| row["id"].as_str().unwrap()).collect();
        of_files.sort_unstable();
        assert_eq!(of_files, expect, "{filter:?}: {}", converted.err);
    }
}

#[test]
fn a_receipt_names_filters_as_they_were_asked() {
    let place = stored();
    place.ok(&[
        "convert",
        "-q",
        "in.jsonl",
        "-o",
        "out",
        "--turns",
        "2..",
        "--tag",
        "b",
        "--has-error=false",
    ]);
    let expect = json!({"tag": ["b"], "turns": "2..", "has_error": false});
    assert_eq!(place.json("out/manifest.json")["selection"], expect);
    let export = ["export", "there", "-q", "--turns", "2..", "--tag", "b", "--has-error=false"];
    place.ok(&export);
    let receipt: Value =
        serde_json::from_slice(&place.downloaded("there")["manifest.json"]).unwrap();
    assert_eq!(receipt["selection"], expect, "{receipt}");
}

#[test]
fn a_wrong_value_of_a_filter_is_wrong_usage() {
    let place = Place::new();
    for (filter, words) in [
        (&["--turns", "many"][..], "write `4..10`"),
        (&["--score", "good"], "write `0.5..4`"),
        (&["--turns", "4..2"], "not a range"),
        (&["--rating", "superb"], "possible values: good, bad"),
        (&["--has-error=maybe"], "neither `true` nor `false`"),
        (&["--tag", ""], "`tag` is empty"),
        (&["--tags", "a"], "--tag"),
    ] {
        let ran = place.run(&[&["list"][..], filter].concat());
        assert_eq!(ran.code, Some(2), "{filter:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{filter:?}: {}", ran.err);
    }
}
