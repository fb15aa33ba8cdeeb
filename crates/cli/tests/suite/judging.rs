//! Judgements of answers, brought back to what they are about.

use crate::support::*;
use serde_json::{Value, json};

const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/data/runs.jsonl");

fn stored() -> Place {
    let place = Place::new();
    let chats = [
        json!({"id": "c1", "messages": [
            {"role": "user", "content": "Capital of Peru?"}, {"role": "assistant", "content": "Quito."},
            {"role": "user", "content": "And of Chile?"}, {"role": "assistant", "content": "Santiago de Chile."}]}),
        json!({"id": "c2", "messages": [
            {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "5"}]}),
    ];
    place.file("chats.jsonl", lines(chats));
    place.ok(&["import", "chats.jsonl"]);
    place.ok(&["import", RUNS]);
    place
}

/// The rows of an export of what is stored.
fn exported(place: &Place, name: &str, file: &str, more: &[&str]) -> Vec<Value> {
    place.ok(&[&["export", name, "-q"], more].concat());
    let files = place.downloaded(name);
    rows(std::str::from_utf8(&files[file]).expect("UTF-8"))
}

/// The counts that `judge` prints.
#[track_caller]
fn judged(place: &Place, file: &str, expect: Value) {
    let mut told = place.printed(&["judge", file, "--json"]);
    told.as_object_mut().expect("counts").remove("first");
    assert_eq!(told, expect);
}

#[test]
fn a_table_with_scores_comes_back_to_runs_and_conversations() {
    let place = stored();
    let table = "id,score,label,comment,ground_truth\nr01,0.5,partly,\"so, so\",Thirty days.\nc2,0,wrong,,4\nc1#1,1,,,Lima.\n\
                 nobody,1,,,\nc1#9,1,,,\n,1,,,\n";
    place.file("scores.csv", table);
    judged(
        &place,
        "scores.csv",
        json!({"read": 6, "changed": 3, "same": 0, "unknown": 1, "refused": 2}),
    );
    place.file(
        "again.csv",
        table.lines().take(4).map(|line| format!("{line}\n")).collect::<String>(),
    );
    judged(
        &place,
        "again.csv",
        json!({"read": 3, "changed": 0, "same": 3, "unknown": 0, "refused": 0}),
    );
    let found = place.run(&["judge", "scores.csv"]);
    let told = found.err;
    assert!(told.contains("`nobody`: there is no such run or conversation"), "{told}");
    assert!(told.contains("`c1#9`: the conversation has no answer 9"), "{told}");

    let rows =
        exported(&place, "e1", "conversations.jsonl", &["--for", "ragas", "--rows", "per-answer"]);
    let row = |id: &str| {
        let row =
            rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id}: {rows:?}"));
        [&row["score"], &row["label"], &row["comment"], &row["reference"]].map(Clone::clone)
    };
    assert_eq!(row("c2#1"), [json!(0), json!("wrong"), json!(null), json!("4")]);
    assert_eq!(row("c1#1"), [json!(1), json!(null), json!(null), json!("Lima.")]);
    let rows = exported(&place, "e2", "runs.jsonl", &["--runs", "--for", "ragas"]);
    let row = rows.iter().find(|row| row["id"] == "r01").expect("the run");
    assert_eq!(
        [&row["score"], &row["label"], &row["comment"], &row["reference"], &row["response"]],
        [
            &json!(0.5),
            &json!("partly"),
            &json!("so, so"),
            &json!("Thirty days."),
            &json!("You have 30 days.")
        ]
    );
}

#[test]
fn a_corrected_answer_is_a_sibling_with_its_author() {
    let place = stored();
    place.file(
        "corrections.jsonl",
        lines([
            json!({"conversation_id": "c2", "corrected_answer": "4", "author": "ann"}),
            json!({"conversation_id": "c1#1", "corrected_answer": "Lima.", "author": "ann"}),
        ]),
    );
    let counts = |changed, same| json!({"read": 2, "changed": changed, "same": same, "unknown": 0, "refused": 0});
    judged(&place, "corrections.jsonl", counts(2, 0));
    judged(&place, "corrections.jsonl", counts(0, 2));

    let mut pairs: Vec<_> =
        exported(&place, "pairs", "conversations.jsonl", &["--to", "preference"])
            .iter()
            .map(|row| [&row["chosen"], &row["rejected"]].map(|one| one[0]["content"].to_string()))
            .collect();
    pairs.sort();
    assert_eq!(pairs, [["\"4\"", "\"5\""], ["\"Lima.\"", "\"Quito.\""]]);

    // What ends with the corrected answer is trained on with the better one; what goes on behind it stays as it was held.
    let mut answers: Vec<_> = exported(&place, "rows", "conversations.jsonl", &["--to", "openai"])
        .iter()
        .map(|row| row["messages"][1]["content"].to_string())
        .collect();
    answers.sort();
    assert_eq!(answers, ["\"4\"", "\"Quito.\""]);
    let kept = exported(&place, "kept", "conversations.jsonl", &["--to", "retort"]);
    let kept = kept.iter().find(|row| row["id"] == "c2").expect("the conversation");
    assert_eq!(kept["rounds"][0]["messages"][1]["content"], "5");
    let answer = &kept["rounds"][1]["messages"][1];
    assert_eq!((&answer["content"], &answer["label"]), (&json!("4"), &json!("preferred")));
    assert_eq!(answer["metadata"], json!({"corrects": "1", "author": "ann"}));
}

#[test]
fn the_corrected_answer_of_a_run_is_trained_on_and_what_it_should_have_been_in_evaluations() {
    let place = stored();
    place.file(
        "said.jsonl",
        lines([
            json!({"id": "r01", "corrected_answer": "Thirty-one days.", "author": "ann"}),
            json!({"id": "r03", "score": false, "author": "ann"}),
        ]),
    );
    judged(
        &place,
        "said.jsonl",
        json!({"read": 2, "changed": 2, "same": 0, "unknown": 0, "refused": 0}),
    );
    let rows = exported(&place, "train", "runs.jsonl", &["--runs", "--to", "openai"]);
    let answers: Vec<_> = rows.iter().map(|row| &row["messages"][1]["content"]).collect();
    assert!(answers.contains(&&json!("Thirty-one days.")), "{answers:?}");
    assert!(!answers.contains(&&json!("You have 30 days.")), "{answers:?}");
    let pairs = exported(&place, "pairs", "runs.jsonl", &["--runs", "--to", "preference"]);
    assert_eq!(pairs.len(), 1, "{pairs:?}");
    assert_eq!(pairs[0]["chosen"][0]["content"], "Thirty-one days.");
    assert_eq!(pairs[0]["rejected"][0]["content"], "You have 30 days.");
    let labels = exported(&place, "labels", "runs.jsonl", &["--runs", "--to", "kto"]);
    let mut good: Vec<_> = labels.iter().map(|row| row["label"].as_bool()).collect();
    good.sort();
    assert!(good.contains(&Some(false)) && good.contains(&Some(true)), "{labels:?}");
    // An evaluation is of what was answered.
    let rows = exported(&place, "eval", "runs.jsonl", &["--runs", "--for", "ragas"]);
    let row = rows.iter().find(|row| row["id"] == "r01").expect("the run");
    assert_eq!(row["response"], "You have 30 days.");
    assert_eq!(row["reference"], "Thirty-one days.");
    let kept = exported(&place, "kept", "runs.jsonl", &["--runs", "--to", "retort"]);
    let kept = kept.iter().find(|row| row["request_id"] == "r01").expect("the run");
    let said = kept["judgements"].as_array().expect("judgements").last().expect("one");
    assert_eq!(
        (&said["by"], &said["corrected_answer"]),
        (&json!("ann"), &json!("Thirty-one days."))
    );
    let found = place.ok(&["runs", "list", "--judged-by", "ann"]).out;
    assert!(found.contains("r01") && found.contains("r03") && !found.contains("r02"), "{found}");
}
