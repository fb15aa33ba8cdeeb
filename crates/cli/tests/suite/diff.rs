//! `retort diff`: what changed between two packages or datasets, and why.

use serde_json::{Value, json};

use crate::support::*;

fn said(id: &str, answer: &str) -> Value {
    json!({"id": id, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": answer},
    ]})
}

/// Two histories that have one conversation in common.
fn histories(place: &Place) {
    let unanswered = json!({"id": "d", "messages": [{"role": "user", "content": "?"}]});
    place.file("one.jsonl", lines([said("a", "1"), said("b", "2"), said("c", "3"), unanswered]));
    place.file("two.jsonl", lines([said("b", "two"), said("a", "1"), said("d", "4")]));
}

#[test]
fn packages_are_compared_and_each_record_that_differs_is_listed() {
    let place = Place::new();
    histories(&place);
    place.ok(&["convert", "one.jsonl", "-o", "one"]);
    place.ok(&["convert", "two.jsonl", "-o", "two.zip", "-f", "parquet", "--reasoning", "think"]);
    let ran = place.ok(&["diff", "one", "two.zip", "--list", "list.jsonl"]);
    for line in [
        "records    3 before, 3 after\n",
        "same       1\n",
        "added      1\n         1  left out before: no answer to train on (d)\n",
        "gone       1\n         1  not in the source now (c)\n",
        "changed    1\n         1  messages (b)\n",
        "  file_format: jsonl -> parquet\n",
        "  options.reasoning: (none) -> think\n",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in:\n{}", ran.out);
    }
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    let mut listed = place.rows("list.jsonl");
    listed.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    let expect = [
        json!({"id": "b", "change": "changed", "why": "messages"}),
        json!({"id": "c", "change": "gone", "why": "not in the source now"}),
        json!({"id": "d", "change": "added", "why": "left out before: no answer to train on"}),
    ];
    assert_eq!(listed, expect);
    let found: Value =
        serde_json::from_str(&place.ok(&["diff", "one", "one", "--json"]).out).unwrap();
    assert_eq!((&found["same"], &found["changed"]), (&json!(3), &json!([])));
    place.refused(&["diff", "one", "nothing"], "nothing");
}

#[test]
fn datasets_are_compared_as_packages_are() {
    let place = Place::new();
    histories(&place);
    place.ok(&["import", "one.jsonl", "-q"]);
    place.ok(&["export", "all", "-q"]);
    place.ok(&["export", "some", "--id", "a", "--id", "c", "-q"]);
    let ran = place.ok(&["datasets", "diff", "all", "some"]);
    for line in [
        "same       2\n",
        "gone       1\n         1  not in the selection or the source now (b)\n",
        "  selection.id: (none) -> [\"a\",\"c\"]\n",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in:\n{}", ran.out);
    }
}
