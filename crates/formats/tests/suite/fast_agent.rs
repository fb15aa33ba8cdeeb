//! fast-agent's histories.

use retort_model::Conversation;
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::support::{Gathered, read_files, told};

fn read(files: &[(&str, &Value)]) -> Gathered {
    let texts: Vec<_> = files.iter().map(|(path, value)| (*path, value.to_string())).collect();
    let files: Vec<_> = texts.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    read_files(&files)
}

fn one(files: &[(&str, &Value)]) -> Conversation<'static> {
    let mut read = read(files);
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    assert!(read.formats.iter().all(|one| *one == Some("fast-agent")), "{:?}", read.formats);
    assert_eq!(read.conversations.len(), 1);
    read.conversations.remove(0)
}

fn unplaced(conversation: &Conversation<'_>) -> Vec<String> {
    conversation.not_understood.iter().map(|one| one.path.to_string()).collect()
}

fn text(text: &str) -> Value {
    json!([{"type": "text", "text": text}])
}

/// A history as fast-agent saves it: without what is null.
fn basic() -> Value {
    json!({"messages": [
        {"role": "user", "content": text("Example?"), "is_template": true},
        {"role": "assistant", "content": text("Like this."), "is_template": true},
        {"role": "user", "content": text("Rain?"), "is_template": false, "timestamp": "2026-03-14T23:05:39Z"},
        {"role": "assistant", "content": [], "is_template": false, "stop_reason": "toolUse",
            "tool_calls": {"k": {"method": "tools/call", "params": {"name": "rain", "arguments": {"in": "Oslo"}}}},
            "channels": {"reasoning": text("Ask."), "fast-agent-usage":
                text(r#"{"turn":{"model":"m","input_tokens":7,"output_tokens":3},"summary":{"turn_count":1}}"#)}},
        {"role": "user", "content": [], "is_template": false, "tool_results": {"k": {"content": [
            {"type": "text", "text": "no"}, {"type": "resource", "resource": {"uri": "file:///r", "text": "dry"}}],
            "structuredContent": {"rain": "it does not rain"}, "isError": false}}},
        {"role": "assistant", "content": text("No."), "is_template": false, "stop_reason": "endTurn"}
    ]})
}

#[test]
fn calls_results_reasoning_and_tokens_of_a_history_are_read() {
    let one = one(&[("s/history_dev.json", &basic())]);
    assert_eq!(
        told(&one.rounds),
        [
            "user=Example?- assistant=Like this.-",
            "user=Rain? assistant=<Ask.>!k:rain:{\"in\":\"Oslo\"} tool=no\ndry(k) assistant=No.",
        ]
    );
    assert_eq!(unplaced(&one), Vec::<String>::new());
    assert_eq!(one.rounds[1].usage.input_tokens, Some(7));
    assert_eq!(one.rounds[1].model.as_ref().unwrap().decoded(), "m");
}

#[test]
fn an_answer_of_anthropic_is_read_as_it_was_sent() {
    let block = |block: Value| json!({"type": "text", "text": block.to_string()});
    let raw = json!([
        block(json!({"type": "thinking", "thinking": "Search.", "signature": "s"})),
        block(
            json!({"type": "server_tool_use", "id": "w", "name": "web_search", "input": {"query": "capital"}})
        ),
        block(
            json!({"type": "web_search_tool_result", "tool_use_id": "w", "content": [{"type": "text", "text": "Oslo"}]})
        ),
        block(json!({"type": "text", "text": "It is Oslo."}))
    ]);
    let history = json!({"messages": [{"role": "user", "content": text("Capital?"), "is_template": false},
        {"role": "assistant", "content": text("It is Oslo."), "is_template": false,
            "channels": {"anthropic-assistant-raw-content": raw, "reasoning": text("Search.")}}]});
    let one = one(&[("history_a.json", &history)]);
    assert_eq!(
        told(&one.rounds),
        [
            "user=Capital? assistant=<Search.>!w:web_search:{\"query\":\"capital\"} tool=Oslo(w) assistant=It is Oslo."
        ]
    );
    assert_eq!(unplaced(&one), Vec::<String>::new());
}

/// What is odd is told and the rest is read.
#[test]
fn what_a_history_has_beyond_what_is_known_is_told() {
    let history = json!({"messages": [
        {"role": "user", "content": [{"type": "hologram", "beam": "x"}], "is_template": false},
        {"role": "assistant", "content": [], "is_template": false, "tool_calls": {"k": {"method": "tools/call"}}},
        {"role": "narrator", "content": text("Meanwhile"), "is_template": false},
        "odd",
        {"role": "assistant", "content": text("a"), "is_template": false, "channels": {"mine": text("said")}},
        {"role": "assistant", "content": [], "is_template": false, "stop_reason": "error",
            "channels": {"fast-agent-error": text("boom")}}
    ], "more": "and some words"});
    let one = one(&[("history_a.json", &history)]);
    assert_eq!(
        unplaced(&one),
        [
            "messages[0].content[0].type=hologram",
            "messages[1].tool_calls.k",
            "messages[2].role=narrator",
            "messages[3]",
            "messages[4].channels.mine",
            "more",
        ]
    );
    let last = one.messages().last().unwrap();
    assert_eq!(last.error.as_ref().unwrap().decoded(), "boom");
    assert!(last.is_cut_off());
}

/// Objects that look a little like it and are of others.
#[test]
fn others_are_not_taken_for_it() {
    for (item, format) in [
        (
            json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
            Some("openai"),
        ),
        (json!({"session_id": "s", "continuation": "later"}), None),
        (json!({"is_template": true, "name": "n"}), None),
    ] {
        assert_eq!(read(&[("history_a.json", &item)]).formats, [format], "{item}");
    }
    let empty = read(&[(
        "history_a.json",
        &json!({"messages": [{"role": "user", "content": [], "is_template": false}]}),
    )]);
    assert!(empty.refused[0].contains("no messages"), "{:?}", empty.refused);
}

#[test]
fn recordings_of_answers_are_understood() {
    let Some(data) = real_data() else { return };
    let mut answers = 0;
    for path in files_below(&data.join("fast-agent-traces")) {
        if !path.ends_with("result.json") {
            continue;
        }
        let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let one = one(&[("result.json", &recorded)]);
        assert_eq!(unplaced(&one), Vec::<String>::new(), "{}", path.display());
        let said: String =
            one.messages().map(|message| message.words().decoded().into_owned()).collect();
        for part in recorded["content"].as_array().unwrap() {
            assert!(said.contains(part["text"].as_str().unwrap()), "{}", path.display());
        }
        let calls: Vec<_> = one.messages().flat_map(|message| &message.tool_calls).collect();
        for (_, call) in recorded["tool_calls"].as_object().into_iter().flatten() {
            let name = call["params"]["name"].as_str().unwrap();
            let call = calls.iter().find(|one| one.name.decoded() == name).unwrap();
            assert_eq!(
                serde_json::from_str::<Value>(&call.arguments.decoded()).unwrap(),
                json!({"city": "Paris"})
            );
        }
        answers += 1;
    }
    assert_eq!(answers, 11);
}
