//! Reading what others write: bytes, containers and types as they are found in the wild. Tests that stand for a public
//! report name it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::*;

/// The count of a finding in a list of the receipt, and the ids that it names.
fn finding(list: &Value, kind: &str) -> (u64, Vec<String>) {
    let found = list.as_array().into_iter().flatten().find(|one| one["kind"] == kind);
    found.map_or((0, Vec::new()), |one| {
        let ids = one["first_ids"].as_array().into_iter().flatten();
        (one["count"].as_u64().unwrap(), ids.map(|id| id.as_str().unwrap().to_owned()).collect())
    })
}

#[test]
fn numbers_that_are_not_finite_are_read_as_null_and_counted() {
    // Report json-nan: Python writes NaN by default.
    let place = Place::new();
    let line = chat("c1").to_string();
    let line = line.replacen('{', r#"{"score":NaN,"scores":[Infinity,-Infinity,1],"#, 1);
    place.file("nan.jsonl", format!("{line}\n{}\n", chat("c2")));
    place.ok(&["convert", "nan.jsonl", "-d", "retort", "-o", "out"]);
    let manifest = place.json("out/manifest.json");
    assert_balanced(&manifest);
    assert_eq!(manifest["records"]["written"], 2);
    let warnings = &manifest["records"]["warnings"];
    assert_eq!(finding(warnings, "non-finite-number"), (1, vec!["c1".into()]));
    let text = place.rows("out/conversations.jsonl")[0].to_string();
    assert!(text.contains(r#"[null,null,1]"#), "{text}");
}

#[test]
fn dates_are_read_in_every_unit_and_spelling_and_those_not_understood_are_told() {
    // Reports time-microseconds and time-with-utc-word.
    let place = Place::new();
    let times = [
        json!(1_704_164_645_678_901_i64),
        json!(1_704_164_645_678_901_234_i64),
        json!("2024-01-02 03:04:05.678901 UTC"),
        json!("Tue, 02 Jan 2024 03:04:05 +0000"),
        json!({"seconds": 1_704_164_645, "nanos": 5}),
        json!("02.01.2024"),
        json!(null),
        json!("2023-01-01"),
    ];
    let items = times
        .into_iter()
        .enumerate()
        .map(|(n, time)| with(chat(&format!("c{n}")), "created_at", time));
    place.file("in.jsonl", lines(items));
    let args = ["convert", "in.jsonl", "-o", "out", "--created-from", "2024-01-01"];
    let ran = place.ok(&args);
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["conversations"]["selected"], 5, "{}", ran.err);
    let warnings = &manifest["records"]["warnings"];
    assert_eq!(finding(warnings, "unread-time"), (1, vec!["c5".into()]));
    assert_eq!(finding(warnings, "undated"), (2, vec!["c5".into(), "c6".into()]));
    assert!(ran.err.contains("dates or times that could not be read"), "{}", ran.err);
    let report = place.printed(&["import", "in.jsonl", "--json"]);
    assert_eq!(finding(&report["warnings"], "unread-time"), (1, vec!["c5".into()]));
}
