//! `retort inspect`: what files hold, without reading them into anything.

use crate::support::*;
use serde_json::json;

fn history() -> String {
    let call =
        json!({"id": "k", "type": "function", "function": {"name": "look_up", "arguments": "{}"}});
    lines([
        json!({"id": "a", "model": "m1", "created_at": "2024-01-02T03:04:05Z", "messages": [
            {"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "k", "content": "r"},
            {"role": "assistant", "content": "a", "reasoning_content": "h", "feedback": {"rating": 1}}]}),
        json!({"id": "b", "messages": [{"role": "user", "content": "q"}, {"role": "wizard", "content": "x"}]}),
        json!({"id": "c", "created_at": "2025-01-02T03:04:05Z", "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "hologram", "text": "two words"}]}]}),
        json!({"a": 1}),
    ])
}

#[test]
fn what_files_hold_is_counted() {
    let place = Place::new();
    place.file("in.jsonl", history());
    let found = place.printed(&["inspect", "in.jsonl", "--json"]);
    assert_eq!((&found["items"], &found["understood"]), (&json!(3), &json!(1)));
    assert_eq!(
        found["sources"],
        json!([{"name": "in.jsonl", "format": "openai", "items": 4, "refused": 1}])
    );
    assert_eq!(found["roles"], json!({"assistant": 3, "tool": 1, "user": 3, "wizard": 1}));
    assert_eq!(
        (&found["calls"], &found["calls_without_result"]),
        (&json!({"look_up": 1}), &json!(0))
    );
    assert_eq!((&found["reasoning"], &found["ratings"]), (&json!(1), &json!(1)));
    assert_eq!(found["models"], json!({"m1": 1}));
    assert_eq!(
        (&found["first"], &found["last"], &found["undated"]),
        (&json!("2024-01-02T03:04:05Z"), &json!("2025-01-02T03:04:05Z"), &json!(1))
    );
    assert_eq!(
        found["not_understood"],
        json!({"messages[].content[].type=hologram": {"count": 1, "first": "c"}, "messages[].role=wizard": {"count": 1, "first": "b"}})
    );
    assert_eq!(found["dataset"]["left_out"], json!({"not-understood": 2}));
    assert_eq!(found["dataset"]["refused"], json!({"unknown-shape": 1}));
    assert!(!place.path("out").exists());
}

#[test]
fn what_files_hold_fits_on_80_columns() {
    let place = Place::new();
    place.file("in.jsonl", history());
    let told = place.ok(&["inspect", "in.jsonl"]).out;
    let (about, _) = told.split_once("\nas a dataset").unwrap();
    assert_eq!(
        about,
        "format     openai: 4 items in 1 file, 1 refused\n\
         understood 1 of 3 items; format detected from the content\n\
         kinds      3 conversations\n\
         rounds     3\n\
         messages   3 assistant, 3 user, 1 tool, 1 wizard\n\
         attached   1 other\n\
         calls      1 look_up\n\
         answers    1 with reasoning, 1 rated\n\
         models     1 m1\n\
         dates      2024-01-02 03:04 to 2025-01-02 03:04 UTC, 1 without a date\n\
         unknown    1 messages[].content[].type=hologram (first in c)\n           \
         1 messages[].role=wizard (first in b)\n"
    );
    assert!(
        told.lines().all(|line| line.chars().count() <= 80 || line.contains("first:")),
        "{told}"
    );
    assert!(told.contains("something in it was not understood"), "{told}");
}

#[test]
fn standard_input_is_inspected() {
    let place = Place::new();
    let found = place.run_on(&["inspect", "-", "--json"], history().into_bytes());
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["dataset"]["written"], 1);
}

#[test]
fn languages_are_told_where_they_are_sure() {
    let place = Place::new();
    let chat = |asked: &str, answered: &str| json!({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]});
    place.file(
        "in.jsonl",
        lines([
            chat(
                "Where did you put the keys to the kitchen door yesterday evening?",
                "They are on the table beside the lamp.",
            ),
            chat(
                "Wo hast du gestern Abend den Schlüssel für die Küche hingelegt?",
                "Er liegt auf dem Tisch neben der Lampe.",
            ),
            chat(
                "昨日の夜、台所の鍵をどこに置きましたか。",
                "ランプの横のテーブルの上にあります。",
            ),
            chat("ok", "42"),
        ]),
    );
    let found = place.printed(&["inspect", "in.jsonl", "--json"]);
    assert_eq!(found["languages"], json!({"de": 1, "en": 1, "ja": 1}));
}
