//! Runs on the command line: from their history to the dataset of each purpose.

use crate::support::*;
use serde_json::{Value, json};

const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/data/runs.jsonl");

/// A run whose node had these variables.
fn run(id: usize, variables: Value) -> Value {
    json!({"request_id": format!("r{id}"), "recipe_id": "x", "status": "success", "question": "q", "answer": "a",
        "nodes": [{"node": "n", "variables": variables, "output": "o"}]})
}

#[test]
fn the_receipt_accounts_for_runs_under_their_own_name() {
    let place = Place::new();
    place.ok(&["convert", RUNS, "-o", "set", "--purpose", "recipe-evaluation", "-f", "csv"]);
    let manifest = place.json("set/manifest.json");
    assert_eq!(
        (&manifest["purpose"], &manifest["data_format"], &manifest["node"]),
        (&json!("recipe-evaluation"), &json!("recipe-evaluation"), &Value::Null)
    );
    assert_eq!(
        (
            &manifest["runs"]["selected"],
            &manifest["runs"]["written"],
            &manifest["runs"]["left_out"]
        ),
        (&json!(10), &json!(6), &json!(4))
    );
    assert!(manifest.get("conversations").is_none(), "{manifest}");
    assert_eq!((&manifest["read"]["runs"], &manifest["read"]["items"]), (&json!(10), &json!(10)));
    let rejects: Vec<_> = place
        .rows("set/rejects.jsonl")
        .iter()
        .map(|row| (row["request_id"].clone(), row["reason"].clone()))
        .collect();
    let expect = [
        ("r05", "not-finished"),
        ("r06", "not-finished"),
        ("r09", "no-answer"),
        ("r10", "no-input"),
    ];
    assert_eq!(rejects, expect.map(|(id, reason)| (json!(id), json!(reason))));
    let card = String::from_utf8(place.bytes("set/README.md")).unwrap();
    assert!(
        card.contains("| runs left out | 4 |") && card.contains("Purpose `recipe-evaluation`"),
        "{card}"
    );
    place.ok(&["verify", "set"]);
}

#[test]
fn a_purpose_takes_its_formats_and_its_node_and_nothing_else() {
    let place = Place::new();
    let convert = ["convert", RUNS, "-o", "set"];
    let with = |more: &[&'static str]| [&convert[..], more].concat();
    place.refused(&with(&["--purpose", "node-evaluation"]), "`node-evaluation` needs a node");
    place.refused(&with(&["--to", "node-optimization"]), "`node-optimization` needs a node");
    place.refused(
        &with(&["--to", "runs", "--node", "answer"]),
        "the purpose `export-dataset` has no node",
    );
    place.refused(
        &with(&["--to", "runs", "--purpose", "fine-tuning"]),
        "`runs` does not fit the purpose `fine-tuning`",
    );
    place.refused(
        &with(&["--to", "node-evaluation", "--node", "gone"]),
        "of 10 items, 10 the selected node did not run",
    );
    place.ok(&with(&["--purpose", "node-evaluation", "--node", "answer"]));
    let manifest = place.json("set/manifest.json");
    assert_eq!((&manifest["node"], &manifest["runs"]["written"]), (&json!("answer"), &json!(5)));
    let columns: Vec<_> = manifest["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns[..7],
        ["input", "context", "question", "tone", "variable_input", "rows", "output"]
    );
}

#[test]
fn conversations_and_runs_in_one_history_are_accounted_for_apart() {
    let place = Place::new();
    place.file("in.jsonl", lines([chat("c1"), run(1, json!({})), chat("c2"), run(2, json!({}))]));
    place.ok(&["convert", "in.jsonl", "-o", "both"]);
    let manifest = place.json("both/manifest.json");
    assert_eq!(
        (&manifest["conversations"]["written"], &manifest["runs"]["written"]),
        (&json!(2), &json!(2))
    );
    place.ok(&["convert", "in.jsonl", "-o", "runs", "--to", "runs"]);
    let manifest = place.json("runs/manifest.json");
    assert_eq!(manifest["conversations"]["left_out_by_reason"][0]["kind"], "other-kind");
    assert_eq!(manifest["runs"]["written"], 2);
    let rejects = place.rows("runs/rejects.jsonl");
    assert_eq!(ids(&rejects), ["c1", "c2"]);
    place.ok(&["verify", "runs"]);
}

#[test]
fn the_same_runs_give_the_same_columns_however_they_come_in() {
    let place = Place::new();
    let some = |n: usize| {
        run(n, json!({"first": n, format!("v{}", n % 50): "x".repeat(200), "late": n > 11_000}))
    };
    let text = lines((0..12_000).map(some));
    place.file("in.jsonl", &text);
    let package = |name: &str, args: &[&str], input: Vec<u8>| {
        let fixed = ["--to", "node-evaluation", "--node", "n", "--name", "d", "-q", "-o", name];
        let ran = place.run_on(&[&["convert"], args, &fixed].concat(), input);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        place.bytes(&format!("{name}/runs.jsonl"))
    };
    let one = package("one", &["in.jsonl", "--threads", "1"], Vec::new());
    assert!(one == package("four", &["in.jsonl", "--threads", "4"], Vec::new()), "four threads");
    assert!(one == package("pipe", &["-", "--from", "runs"], text.into_bytes()), "through a pipe");

    let manifest = place.json("one/manifest.json");
    assert_eq!(manifest["runs"]["written"], 12_000);
    let names: Vec<_> = manifest["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 40 + 11);
    assert_eq!(
        names[..4],
        ["input", "first", "late", "v0"],
        "in the order in which runs name them"
    );
    let warned = &manifest["records"]["warnings"][0];
    assert_eq!(
        (&warned["kind"], &warned["count"]),
        (&json!("variable-without-column"), &json!(2880))
    );
    let row: Value =
        serde_json::from_slice(one.split(|byte| *byte == b'\n').nth(48).unwrap()).unwrap();
    assert_eq!(row["other_variables"], format!("{{\"v48\":\"{}\"}}", "x".repeat(200)));
}

#[test]
fn the_preview_shows_the_columns_of_the_variables() {
    let place = Place::new();
    let args = ["preview", RUNS, "--to", "node-evaluation", "--node", "answer", "--lines"];
    let rows = rows(&place.ok(&args).out);
    assert_eq!((rows.len(), &rows[1]["tone"]), (6, &json!("short")));
}

#[test]
fn runs_that_are_purged_under_an_export_are_left_out_as_runs() {
    let place = Place::new();
    place.ok(&["import", RUNS, "-q"]);
    place.ok(&["export", "late", "-q", "--detach", "--runs"]);
    place.ok(&["runs", "purge", "r01", "--yes"]);
    place.ok(&["worker", "--once", "-q"]);
    place.ok(&["datasets", "verify", "late"]);
    let files = place.downloaded("late");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(
        (&manifest["runs"]["selected"], &manifest["runs"]["written"]),
        (&json!(10), &json!(9))
    );
    assert!(manifest.get("conversations").is_none(), "{manifest}");
    let rejects = rows(std::str::from_utf8(&files["rejects.jsonl"]).unwrap());
    assert_eq!(
        (&rejects[0]["request_id"], &rejects[0]["reason"]),
        (&json!("r01"), &json!("purged"))
    );
}

#[test]
fn an_export_of_runs_holds_all_of_them_in_a_file_of_their_name() {
    let place = Place::new();
    place.ok(&["convert", RUNS, "-o", "set", "--purpose", "export-dataset"]);
    let manifest = place.json("set/manifest.json");
    assert_eq!(manifest["data_format"], "runs");
    let rows = place.rows("set/runs.jsonl");
    assert_eq!((rows.len(), &manifest["runs"]["left_out"]), (10, &json!(0)));
    let card = String::from_utf8(place.bytes("set/README.md")).unwrap();
    assert!(card.contains("path: \"runs.jsonl\""), "{card}");
    // Also from standard input, and where the name of the file is asked for.
    let source = place.bytes("set/runs.jsonl");
    let args = ["convert", "-", "-o", "fed", "--purpose", "export-dataset", "--file-name", "mine"];
    assert_eq!(place.run_on(&args, source).code, Some(0));
    assert_eq!(place.rows("fed/mine.jsonl").len(), 10);
    place.file("chat.jsonl", chat("c").to_string());
    place.ok(&["convert", "chat.jsonl", "-o", "chat", "--purpose", "export-dataset"]);
    assert_eq!(place.json("chat/manifest.json")["data_format"], "standard");
    assert_eq!(place.rows("chat/conversations.jsonl").len(), 1);
}

/// Report csv-guards, and what evaluators and trainers are given.
#[test]
fn guarded_cells_are_never_offered_to_a_trainer_and_evaluators_get_plain_csv() {
    let place = Place::new();
    place.file(
        "in.jsonl",
        lines([
            json!({"id": "=x", "messages": [{"role": "user", "content": "-5"}, {"role": "assistant", "content": "-7"}]}),
        ]),
    );
    place.ok(&["convert", "in.jsonl", "-o", "sheet", "-f", "csv"]);
    let text = String::from_utf8(place.bytes("sheet/conversations.csv")).unwrap();
    assert!(text.contains(",'=x,") && text.contains(",-5,"), "{text}");
    assert!(!place.path("sheet/dataset_info.json").exists());
    place.ok(&["verify", "sheet"]);
    place.ok(&["convert", "in.jsonl", "-o", "plain", "-f", "csv", "--purpose", "fine-tuning"]);
    let text = String::from_utf8(place.bytes("plain/conversations.csv")).unwrap();
    assert!(text.contains(",=x,") && !text.starts_with('\u{feff}'), "{text}");
    assert!(place.path("plain/dataset_info.json").exists());
    place.ok(&["convert", RUNS, "-o", "judged", "-f", "csv", "--purpose", "recipe-evaluation"]);
    assert!(!place.bytes("judged/runs.csv").starts_with("\u{feff}".as_bytes()));
}
