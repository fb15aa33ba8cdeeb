//! The ATIF data format: a trajectory comes out as it came in, and other histories take its shape.

use std::fs;
use std::path::Path;

use retort_formats::data::ShapeOptions;
use retort_model::Content;
use serde_json::{Value, json};

use crate::support::*;

fn trajectory() -> Value {
    let child = json!({"schema_version": "ATIF-v1.7", "trajectory_id": "c", "session_id": "s",
        "agent": {"name": "worker", "version": "1", "model_name": "small"},
        "steps": [{"step_id": 1, "source": "system", "message": "S", "extra": {"k": 1}},
            {"step_id": 2, "source": "user", "message": "inspect", "is_copied_context": true},
            {"step_id": 3, "source": "agent", "message": "complete"}]});
    json!({"schema_version": "ATIF-v1.8", "session_id": "s", "trajectory_id": "t", "notes": "n",
        "agent": {"name": "lead", "version": "1", "model_name": "m", "extra": {"k": 1.50},
            "tool_definitions": [{"type": "function", "function": {"name": "worker"}}]},
        "steps": [
            {"step_id": 1, "source": "system", "message": "S", "timestamp": "2026-07-12T12:00:01Z", "extra": {"from": "file"}},
            {"step_id": 2, "source": "user", "message": [{"type": "text", "text": "go"}, {"type": "image", "source": {"media_type": "image/png", "path": "a.png"}}]},
            {"step_id": 3, "source": "agent", "message": "I do.", "reasoning_content": "Hm.", "model_name": "m2", "reasoning_effort": "high",
                "tool_calls": [{"tool_call_id": "k", "function_name": "worker", "arguments": {"task": "inspect"}, "extra": {"retry": 1}},
                    {"tool_call_id": "l", "function_name": "worker", "arguments": {}}],
                "observation": {"results": [
                    {"source_call_id": "l", "content": "other"},
                    {"source_call_id": "k", "content": "complete", "subagent_trajectory_ref": [{"trajectory_id": "c", "session_id": "s"}], "extra": {"is_error": true}}]},
                "metrics": {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.10}, "llm_call_count": 1},
            {"step_id": 4, "source": "agent", "message": "by a program", "llm_call_count": 0},
            {"step_id": 5, "source": "agent", "message": "", "tool_calls": [{"tool_call_id": "m", "function_name": "worker", "arguments": {}}],
                "observation": {"results": [{"content": "of the only call"}]}},
            {"step_id": 6, "source": "agent", "message": "", "observation": {"results": [{"content": "parse error"}]}},
        ],
        "subagent_trajectories": [child], "final_metrics": {"total_steps": 6}})
}

fn written(input: &Value) -> Value {
    let shaped = shape(input, "atif", ShapeOptions::default());
    assert_eq!(shaped.findings(), "", "{input}");
    shaped.rows.into_iter().next().expect("a trajectory")
}

#[test]
fn a_trajectory_comes_out_as_it_came_in() {
    let input = trajectory();
    assert_eq!(written(&input), input);
    let bare = json!({"schema_version": "ATIF-v1.5", "trajectory_id": "only", "agent": {"name": "a", "version": "1"},
        "steps": [{"step_id": 1, "source": "user", "message": "q"}, {"step_id": 2, "source": "agent", "message": "a"}]});
    assert_eq!(written(&bare), bare);
}

#[test]
fn sub_agents_that_stood_beside_the_trajectory_are_embedded_and_referred_to_by_id() {
    let inner = json!({"schema_version": "ATIF-v1.6", "session_id": "child", "agent": {"name": "b", "version": "1"},
        "steps": [{"step_id": 1, "source": "agent", "message": "a"}]});
    let parent = json!({"schema_version": "ATIF-v1.6", "session_id": "s", "agent": {"name": "a", "version": "1"},
        "steps": [{"step_id": 1, "source": "agent", "message": "", "tool_calls": [{"tool_call_id": "k", "function_name": "f", "arguments": {}}],
            "observation": {"results": [{"source_call_id": "k", "subagent_trajectory_ref": [{"session_id": "child"}]}]}}]});
    let row = written(&json!({"parent": parent, "child": inner}));
    assert_eq!(row["subagent_trajectories"][0]["trajectory_id"], "child");
    assert_eq!(
        row["steps"][0]["observation"]["results"][0]["subagent_trajectory_ref"],
        json!([{"trajectory_id": "child"}])
    );
}

#[test]
fn what_people_add_to_a_trajectory_is_in_its_extra() {
    let text = trajectory().to_string();
    let mut conversation = read(&text);
    conversation.title = Some("Title".into());
    let shaped = shape_conversation(&conversation, "atif", ShapeOptions::default());
    assert_eq!(shaped.rows[0]["extra"], json!({"retort": {"title": "Title"}}));
}

#[test]
fn other_histories_become_steps_with_their_results() {
    let input = json!({"id": "c", "model": "m", "title": "T", "tools": [tool("f", "d")], "messages": [
        say("system", "S"),
        say("user", json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}])),
        {"role": "assistant", "content": "both", "weight": 0, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1.0}"}},
            {"id": "2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        result("2", "two"),
        result("1", "one"),
        say("assistant", "done"),
    ]});
    let row = written(&input);
    assert_eq!(row["schema_version"], "ATIF-v1.8");
    assert_eq!((&row["session_id"], &row["agent"]["model_name"]), (&json!("c"), &json!("m")));
    assert_eq!(row["agent"]["tool_definitions"], json!([tool("f", "d")]));
    assert_eq!(row["extra"]["retort"]["title"], "T");
    let steps = row["steps"].as_array().unwrap();
    let sources: Vec<_> = steps.iter().map(|step| step["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["system", "user", "agent", "agent"]);
    assert_eq!(steps[1]["message"], "see");
    let attachments = &steps[1]["extra"]["retort"]["attachments"];
    assert_eq!(attachments[0]["image_url"]["url"], "https://e.org/a.png");
    assert_eq!(
        (&steps[2]["message"], &steps[2]["is_copied_context"], &steps[3]["message"]),
        (&json!("both"), &json!(true), &json!("done"))
    );
    assert_eq!(
        steps[2]["tool_calls"][0],
        json!({"tool_call_id": "1", "function_name": "f", "arguments": {"a": 1.0}})
    );
    assert_eq!(
        steps[2]["observation"]["results"],
        json!([{"source_call_id": "2", "content": "two"}, {"source_call_id": "1", "content": "one"}])
    );
    // Read back, it says the same.
    let text = row.to_string();
    let back = read(&text);
    let words: Vec<_> = back.messages().map(spoken).collect();
    assert_eq!(words.len(), 6, "{words:?}");
    assert!(matches!(back.rounds[0].messages[0].content, Some(Content::Text(_))));
    assert_eq!(written(&row), row);
}

#[test]
fn a_role_or_arguments_that_atif_cannot_hold_leave_the_trajectory_out() {
    let of = |messages: Value| {
        shape(&json!({"id": "x", "messages": messages}), "atif", ShapeOptions::default()).findings()
    };
    let calls = call(&[("k", "f", "not json")]);
    assert!(of(json!([say("user", "q"), calls])).contains("arguments-not-json"));
    assert!(of(json!([say("user", "q"), say("narrator", "m")])).contains("unknown-role"));
    let mut by_user = call(&[("k", "f", "{}")]);
    by_user["role"] = json!("user");
    assert!(of(json!([by_user, say("assistant", "a")])).contains("calls-tools"));
}

/// Real trajectories, without those whose sources were blackened.
#[test]
fn real_trajectories_come_out_as_they_came_in() {
    let Some(data) = std::env::var_os("RETORT_REAL_DATA") else {
        println!("passed over: RETORT_REAL_DATA is not set");
        return;
    };
    let mut count = 0;
    for folder in ["atif-fast-agent", "atif-nat", "atif-phoenix-more", "phoenix-atif"] {
        for entry in fs::read_dir(Path::new(&data).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let Ok(input) = serde_json::from_str::<Value>(&text) else { continue };
            if input.get("steps").is_none() {
                continue;
            }
            assert_eq!(written(&input), input, "{}", path.display());
            count += 1;
        }
    }
    assert_eq!(count, 13);
}
