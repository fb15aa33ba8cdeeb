//! `retort stats`: what is in files, packages and the store, before and after what a dataset leaves out.

use serde_json::{Value, json};

use crate::support::*;

fn said(id: &str, model: &str, month: &str, question: &str, answer: &str) -> Value {
    json!({"id": id, "model": model, "created_at": format!("2026-{month}-03T00:00:00Z"), "usage":
        {"prompt_tokens": 7, "completion_tokens": 5}, "messages": [
        {"role": "user", "content": question}, {"role": "assistant", "content": answer}]})
}

/// Four conversations, two of which say the same, and one that no trainer takes.
fn history() -> String {
    lines([
        said("a", "m1", "01", "Where did you put the keys to the kitchen door?", "On the table."),
        said("b", "m1", "01", "where did you put the KEYS to the kitchen door?", "On the table."),
        said("c", "m2", "03", "What is the highest mountain of the country?", "It is that one."),
        json!({"id": "d", "messages": [{"role": "user", "content": "q"}]}),
    ])
}

#[test]
fn what_is_in_files_is_counted_before_and_after() {
    let place = Place::new();
    place.file("in.jsonl", history());
    let found = place.printed(&["stats", "in.jsonl", "--json"]);
    let (selected, written) = (&found["selected"], &found["written"]);
    assert_eq!((&selected["items"], &written["items"]), (&json!(4), &json!(3)));
    assert_eq!((&selected["turns"], &written["turns"]), (&json!(4), &json!(3)));
    assert_eq!(selected["models"], json!({"m1": 2, "m2": 1}));
    assert_eq!(selected["months"], json!({"2026-01": 2, "2026-03": 1}));
    assert_eq!((&selected["undated"], &written["undated"]), (&json!(1), &json!(0)));
    assert_eq!(
        selected["messages_each"],
        json!({"total": 7, "median": 2, "p90": 2, "p99": 2, "longest": 2})
    );
    let characters = "What is the highest mountain of the country?It is that one.".len();
    assert_eq!(written["characters_each"]["longest"], characters + 1);
    assert_eq!(found["duplicates"], json!({"exact": 1, "near": 0}));
    assert_eq!((&found["records"], &found["left_out"]), (&json!(3), &json!({"no-answer": 1})));
    // With `--dedup`, the duplicate is not in the dataset.
    let found = place.printed(&["stats", "in.jsonl", "--dedup", "exact", "--json"]);
    assert_eq!(found["duplicates"], json!({"exact": 1, "near": 0}));
    assert_eq!(found["written"]["models"], json!({"m1": 1, "m2": 1}));
    let found = place.printed(&["stats", "in.jsonl", "--model", "m2", "--limit", "1", "--json"]);
    assert_eq!((&found["selected"]["items"], &found["duplicates"]), (&json!(1), &json!(null)));
}

#[test]
fn a_table_fits_on_80_columns() {
    let place = Place::new();
    let long = format!("model-{}", "x".repeat(100));
    place.file("in.jsonl", history() + &lines([said("e", &long, "04", "A question", "\u{1b}[1m")]));
    let told = place.ok(&["stats", "in.jsonl", "--tools-of", "answer"]).out;
    let (table, _) = told.split_once("\nas a dataset (standard):").unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    for (label, selected, written) in
        [("conversations", "5", "4"), ("user turns", "5", "4"), ("  m1", "2", "2")]
    {
        let line = format!("{label:<48}{selected:>15}{written:>15}");
        assert!(table.lines().any(|one| one == line), "{line:?} is not in:\n{table}");
    }
}

#[test]
fn what_redaction_replaces_is_not_counted_as_written() {
    let place = Place::new();
    place.file("in.jsonl", lines([said("a", "of-ann@example.org", "01", "Hello", "Hi")]));
    let found = place.printed(&["stats", "in.jsonl", "--redact", "pii", "--json"]);
    assert!(found["selected"]["models"]["of-ann@example.org"] == 1, "{found}");
    assert!(!found["written"].to_string().contains("ann@example.org"), "{found}");
    assert_eq!(found["written"]["items"], 1);
}

#[test]
fn what_is_in_a_package_is_counted_whatever_its_files() {
    let place = Place::new();
    place.file("in.jsonl", history());
    for (format, output) in [("jsonl", "a"), ("parquet", "b.zip"), ("csv", "c")] {
        let made = ["convert", "in.jsonl", "-q", "-o", output, "--file-format", format];
        place.ok(&[&made[..], &["-d", "history"]].concat());
        let found = place.printed(&["stats", output, "--json"]);
        assert_eq!(found["selected"]["kinds"], json!({"conversation": 4}), "{format}");
        assert_eq!(found["duplicates"], json!({"exact": 1, "near": 0}));
        let told = place.ok(&["stats", output]).out;
        assert!(told.contains("conversations: 4 selected, 4 written"), "{told}");
    }
    for choice in [["--model", "m1"], ["--limit", "1"], ["-d", "openai"]] {
        let ran = place.refused(&[&["stats", "a"][..], &choice].concat(), "counted as it is");
        assert_eq!(ran.code, Some(2));
    }
}

#[test]
fn what_is_in_the_store_and_in_a_dataset_is_counted() {
    let place = Place::new();
    place.file("in.jsonl", history());
    place.ok(&["import", "in.jsonl", "-q"]);
    let of_files = place.printed(&["stats", "in.jsonl", "--json"]);
    let of_store = place.printed(&["stats", "--json"]);
    for name in ["selected", "written", "duplicates", "left_out", "records"] {
        assert_eq!(of_store[name], of_files[name], "{name}");
    }
    let found = place.printed(&["stats", "--model", "m1", "--dedup", "near", "--json"]);
    assert_eq!((&found["selected"]["items"], &found["records"]), (&json!(2), &json!(1)));
    place.refused(&["stats", "--model", "m9"], "nothing matches the selection");
    place.refused(&["stats", "in.jsonl", "--runs"], "only conversations can be selected, not runs");
    place.ok(&["export", "mine", "-q", "--model", "m1", "-d", "standard"]);
    let found = place.printed(&["datasets", "stats", "mine", "--json"]);
    assert_eq!(found["selected"]["items"], 2);
    let told = place.ok(&["datasets", "stats", "mine"]).out;
    assert!(told.contains("conversations: 2 selected, 2 written"), "{told}");
}
