//! The known faults of earlier exporters, each by its name.

use crate::support::*;
use serde_json::{Value, json};

/// What the standard data format makes of these items, by conversation.
fn check(items: &[Value], expect: &[&str]) -> Vec<Value> {
    check_with(&[], items, expect)
}

fn check_with(options: &[&str], items: &[Value], expect: &[&str]) -> Vec<Value> {
    let place = Place::new();
    place.file("in.json", json!(items).to_string());
    place.ok(&[&["convert", "in.json", "-q", "-o", "o"], options].concat());
    let rows = place.rows("o/conversations.jsonl");
    assert_eq!(ids(&rows), expect);
    assert_balanced(&place.json("o/manifest.json"));
    place.ok(&["verify", "o"]);
    rows
}

fn run(id: &str, rounds: Value) -> Value {
    json!({"_id": id, "type": "agent", "status": "active", "tags": [], "round_count": 1, "rounds": rounds})
}

fn one_round(id: &str, messages: Value) -> Value {
    run(id, json!([{"round": 1, "messages": messages}]))
}

fn calls(ids: &[&str]) -> Value {
    let calls: Vec<_> = ids.iter().map(|id| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}})).collect();
    json!({"role": "assistant", "content": "Let me look that up.", "tool_calls": calls})
}

#[test]
fn the_content_of_a_call_is_json_and_not_the_prose_beside_it() {
    let rows = check(
        &[one_round(
            "a",
            json!([{"role": "user", "content": "q"}, calls(&["k"]), {"role": "tool", "tool_call_id": "k", "content": "r"}, {"role": "assistant", "content": "a"}]),
        )],
        &["a"],
    );
    let content = rows[0]["messages"][1]["content"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(content).unwrap(),
        json!([{"name": "f", "arguments": {"a": 1}}])
    );
    assert!(rows[0]["extra"].as_str().unwrap().contains("Let me look that up."));
}

#[test]
fn parallel_results_do_not_stand_apart() {
    let rows = check(
        &[one_round(
            "a",
            json!([{"role": "user", "content": "q"}, calls(&["k1", "k2"]), {"role": "tool", "tool_call_id": "k2", "content": "2"},
                {"role": "tool", "tool_call_id": "unknown", "content": "1"}, {"role": "assistant", "content": "a"}]),
        )],
        &["a"],
    );
    let roles: Vec<_> = rows[0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "function_call", "tool", "assistant"]);
    assert_eq!(rows[0]["messages"][2]["content"], r#"["1", "2"]"#);
}

#[test]
fn tools_are_mapped_for_the_trainer() {
    let place = Place::new();
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}});
    place.file("in.jsonl", lines([with(chat("a"), "tools", json!([tool]))]));
    for (file, column) in [("jsonl", "messages"), ("parquet", "messages"), ("csv", "prompt")] {
        place.ok(&["convert", "in.jsonl", "-q", "-f", file, "-o", file, "--name", "d"]);
        let info = place.json(&format!("{file}/dataset_info.json"));
        assert_eq!(info["d"]["columns"]["tools"], "tools", "{info}");
        assert!(info["d"]["columns"].get(column).is_some(), "{info}");
        assert_eq!(info["d"]["num_samples"], 1);
    }
}

#[test]
fn one_bad_conversation_does_not_fail_the_export() {
    let good = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]);
    let bad = [
        run("tools null", json!([{"round": 1, "tools": null, "messages": good}])),
        run("rounds are text", json!("none")),
        run("message is text", json!([{"round": 1, "messages": ["hi"]}])),
        run("empty", json!([])),
        json!({"_id": "no such type", "type": "chorus", "round_count": 1, "rounds": [{"round": 1, "messages": good}]}),
        json!(null),
        json!("text"),
        one_round("good", good.clone()),
    ];
    check(&bad, &["tools null", "no such type", "good"]);
}

#[test]
fn a_new_export_does_not_mix_with_the_files_of_an_older() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o", "--file-name", "first", "-d", "openai"]);
    place.ok(&[
        "convert",
        "in.jsonl",
        "-q",
        "-o",
        "o",
        "--file-name",
        "second",
        "-f",
        "csv",
        "--force",
    ]);
    assert_eq!(place.names("o"), ["README.md", "dataset_info.json", "manifest.json", "second.csv"]);
}

#[test]
fn an_image_as_first_part_does_not_lose_the_conversation() {
    let parts = json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}, {"type": "text", "text": "What is this?"}]);
    let row = json!({"convo": {"id": "a", "name": "n", "messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}],
        "model": {"id": "m"}, "prompt": "", "temperature": 0.1}, "convo_id": "a", "course_name": "c", "created_at": "2024-01-01T00:00:00Z", "id": 1, "user_email": null});
    let rows = check_with(&["--attachments", "drop"], &[row], &["a"]);
    assert_eq!(
        rows[0]["messages"],
        json!([{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": "a"}])
    );
}

#[test]
fn two_conversations_of_one_day_with_one_beginning_are_two() {
    let like = |id: &str| {
        with(
            with(with(chat("x"), "id", json!(id)), "created_at", json!("2024-01-01T00:00:00Z")),
            "title",
            json!("Same title"),
        )
    };
    check(&[like("a"), like("b")], &["a", "b"]);
    // Without ids they are told apart by how often their content came.
    let mut bare = like("c");
    bare.as_object_mut().unwrap().remove("id");
    let place = Place::new();
    place.file("in.json", json!([bare, bare]).to_string());
    place.ok(&["convert", "in.json", "-q", "-o", "o"]);
    let found = ids(&place.rows("o/conversations.jsonl"));
    assert_eq!((found[0].len(), &found[1]), (32, &format!("{}-2", found[0])));
}

#[test]
fn a_repeated_id_gives_no_repeated_record() {
    let place = Place::new();
    place.file("a.jsonl", lines([chat("a"), chat("b"), chat("a")]));
    place.file("b.jsonl", lines([chat("b"), chat("c")]));
    place.ok(&["convert", "a.jsonl", "b.jsonl", "-q", "-o", "o"]);
    assert_eq!(ids(&place.rows("o/conversations.jsonl")), ["a", "b", "c"]);
    let left_out: Vec<_> = place
        .rows("o/rejects.jsonl")
        .iter()
        .map(|row| (row["conversation_id"].clone(), row["reason"].clone(), row["input"].clone()))
        .collect();
    assert_eq!(
        left_out,
        [
            (json!("a"), json!("repeated-id"), json!("a.jsonl")),
            (json!("b"), json!("repeated-id"), json!("b.jsonl"))
        ]
    );
    assert_balanced(&place.json("o/manifest.json"));
}

#[test]
fn metadata_and_runs_side_by_side_in_two_files_are_joined() {
    let metadata = |id: &str, title: &str| json!({"_id": id, "user_id": "u", "type": "agent", "title": title, "tags": [format!("tag {id}")], "status": "favorite", "round_count": 1, "total_token_usage": {}});
    let runs = |id: &str| json!({"_id": format!("run of {id}"), "conversation_id": id, "rounds": [{"round": 1, "model": "m", "messages": chat(id)["messages"]}], "tasks": []});
    let place = Place::new();
    place.file("dump/agent_run.json", json!([runs("b"), runs("a"), runs("alone")]).to_string());
    place.file(
        "dump/conversations.json",
        json!([metadata("a", "A"), metadata("b", "B"), metadata("empty", "E")]).to_string(),
    );
    place.ok(&["convert", "dump", "-q", "-o", "o"]);
    let mut rows = place.rows("o/conversations.jsonl");
    rows.sort_by_key(|row| row["conversation_id"].to_string());
    assert_eq!(ids(&rows), ["a", "alone", "b"]);
    assert_eq!(rows[0]["ability"], json!(["tag a"]));
    assert_eq!(rows[0]["model"], "m");
    let manifest = place.json("o/manifest.json");
    assert_balanced(&manifest);
    assert_eq!(manifest["conversations"]["left_out_by_reason"][0]["kind"], "no-messages");
    // The halves of one conversation are chosen by what the whole says.
    place.ok(&["convert", "dump", "-q", "-o", "p", "--status", "favorite", "--search", "tag b"]);
    assert_eq!(ids(&place.rows("p/conversations.jsonl")), ["b"]);
}

#[test]
fn a_second_start_round_is_no_lone_question() {
    let start =
        json!({"node_name": "start", "messages": [{"role": "user", "content": "go"}], "tools": []});
    let node = json!({"round": 2, "node_name": "n", "messages": chat("x")["messages"]});
    let graph = json!({"_id": "g", "type": "graph", "graph_name": "g", "rounds": [with(start.clone(), "round", json!(1)), node, with(start, "round", json!(3))]});
    let rows = check(&[graph], &["g"]);
    assert_eq!(rows[0]["extra"], r#"{"round":2,"node":"n","metadata":{"graph_name":"g"}}"#);
}

#[test]
fn a_damaged_line_does_not_take_others_with_it() {
    let place = Place::new();
    // A first line longer than what is looked at for the layout of the file.
    let text = format!(
        "{}{}{}",
        lines([long_chat("long", 700_000)]),
        "{\"id\":\"cut\",\"messages\":[{\"role\":\"us\n",
        chats(5)
    );
    place.file("in.jsonl", text);
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o"]);
    assert_eq!(place.rows("o/conversations.jsonl").len(), 6);
}
