//! `--decontaminate`: items with text of a benchmark are left out or reported, with that text.

use serde_json::{Value, json};

use crate::support::*;

const QUESTION: &str =
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many in May.";

fn said(id: &str, question: &str) -> Value {
    json!({"id": id, "messages": [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "72"},
    ]})
}

fn inputs(place: &Place) {
    let other = |n: usize| said(&format!("c{n}"), &format!("What is {n} and {n}?"));
    let quoted = said("quoted", &format!("Please answer: {}", QUESTION.to_uppercase()));
    let similar = said(
        "similar",
        "Natalia sold clips to 48 of her friends in May, and in April none at all.",
    );
    let chats = (0..20).map(other).chain([quoted, similar]).chain((20..40).map(other));
    place.file("in.jsonl", lines(chats));
    place.file("gsm8k.jsonl", lines([json!({"question": QUESTION, "answer": "72"})]));
}

#[test]
fn items_with_text_of_a_benchmark_are_left_out_and_the_text_is_told() {
    let place = Place::new();
    inputs(&place);
    let args = ["convert", "in.jsonl", "--decontaminate", "gsm8k.jsonl"];
    for threads in ["1", "4"] {
        place.ok(&[&args[..], &["-o", "set", "--force", "--threads", threads]].concat());
        let found = ids(&place.rows("set/conversations.jsonl"));
        assert!(found.len() == 41 && found.contains(&"similar".to_owned()), "{found:?}");
    }
    place.ok(&["verify", "set"]);
    let rejects = place.rows("set/rejects.jsonl");
    assert_eq!(
        (&rejects[0]["conversation_id"], &rejects[0]["reason"]),
        (&json!("quoted"), &json!("contaminated"))
    );
    let detail = rejects[0]["detail"].as_str().unwrap();
    let text = QUESTION.to_uppercase();
    let text = text.trim_end_matches('.');
    assert_eq!(detail, format!("it has text of example 1 of `gsm8k.jsonl`: {text}"));
    let told = &place.json("set/manifest.json")["decontamination"];
    assert_eq!((&told["words"], &told["contaminated"]), (&json!(13), &json!(1)));
    assert_eq!(
        (&told["benchmarks"][0]["name"], &told["benchmarks"][0]["examples"]),
        (&json!("gsm8k.jsonl"), &json!(1))
    );
    // In parts, it is the same.
    let part = |number: &str| {
        let output = format!("part-{number}");
        let part = ["--part", &format!("{number}/3"), "-o", &output, "--name", "set"];
        place.ok(&[&args[..], &part].concat());
        output
    };
    let parts = ["1", "2", "3"].map(part);
    place.ok(&["merge", &parts[0], &parts[1], &parts[2], "-o", "merged"]);
    for file in ["conversations.jsonl", "manifest.json", "rejects.jsonl"] {
        let of = |package: &str| place.bytes(&format!("{package}/{file}"));
        assert!(of("merged") == of("set"), "{file}");
    }
}

#[test]
fn items_with_text_of_a_benchmark_are_only_reported_if_that_is_asked() {
    let place = Place::new();
    inputs(&place);
    let args = ["convert", "in.jsonl", "-o", "set", "--decontaminate", "gsm8k.jsonl"];
    place.ok(&[&args[..], &["--contaminated", "report", "--findings"]].concat());
    place.ok(&["verify", "set"]);
    assert_eq!(place.rows("set/conversations.jsonl").len(), 42);
    let receipt = place.json("set/manifest.json");
    let warned = &receipt["records"]["warnings"][0];
    assert_eq!((&warned["kind"], &warned["count"]), (&json!("contaminated"), &json!(1)));
    let first = warned["first_ids"][0].as_str().unwrap();
    assert!(first.starts_with("quoted: it has text of example 1"), "{first}");
    assert_eq!(receipt["decontamination"]["action"], "report");
    let found = place.rows("set/findings.jsonl");
    assert!(found[0]["detail"].as_str().unwrap().contains("NATALIA SOLD CLIPS"), "{found:?}");
    place.refused(
        &["convert", "in.jsonl", "-o", "x", "--decontaminate", "nothing.txt"],
        "nothing.txt",
    );
}

#[test]
fn an_export_from_the_store_keeps_benchmarks_out_too() {
    let place = Place::new();
    inputs(&place);
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "all", "-q"]);
    place.ok(&["export", "by_path", "-q", "--decontaminate", "gsm8k.jsonl"]);
    place.file("config.toml", "[benchmarks]\ngsm8k = \"gsm8k.jsonl\"\n");
    let configured = ["--config", "config.toml", "--decontaminate", "gsm8k"];
    place.ok(&[&["export", "by_name", "-q"], &configured[..]].concat());
    let files = |dataset: &str| place.downloaded(dataset);
    let all: Vec<String> = String::from_utf8_lossy(&files("all")["conversations.jsonl"])
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(all.len(), 42);
    let clean: String = all
        .iter()
        .filter(|row| !row.contains("\"quoted\""))
        .map(|row| format!("{row}\n"))
        .collect();
    for (dataset, name) in [("by_path", "gsm8k.jsonl"), ("by_name", "gsm8k")] {
        let files = files(dataset);
        assert_eq!(String::from_utf8_lossy(&files["conversations.jsonl"]), clean, "{dataset}");
        let receipt: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let told = &receipt["decontamination"];
        assert_eq!(
            (&told["contaminated"], &told["benchmarks"][0]["name"]),
            (&json!(1), &json!(name))
        );
    }
    let unknown = [&["export", "x", "-q"], &["--decontaminate", "mmlu"][..]].concat();
    place.refused(&unknown, "mmlu");
    // The file that was submitted is the one that is read.
    place.ok(&[&["export", "later", "-q", "--detach"], &configured[..]].concat());
    place.file(
        "gsm8k.jsonl",
        lines([json!({"question": "Something else that has enough words to be looked for"})]),
    );
    let ran = place.run(&["worker", "--once"]);
    assert!(ran.err.contains("changed after the export was submitted"), "{}", ran.err);
}
