//! Traces of verifiers.

use retort_formats::import::{ImportFormat, Notes, Sniff, recognise};
use retort_model::Conversation;
use serde_json::{Value, json};

use crate::support::{shape_conversation, told};

fn node(parent: Option<usize>, sampled: bool, message: Value) -> Value {
    json!({"parent": parent, "message": message, "sampled": sampled, "timestamp": 1_700_000_000.5, "token_ids": [1, 2],
        "mask": [false, true], "is_content": [], "logprobs": [-0.5], "advantages": null, "loss_weights": null})
}

/// A trace of which one answer was tried again and one was given.
fn trace() -> Value {
    let call = json!([{"id": "k", "name": "calc", "arguments": "{\"x\":1}"}]);
    json!({"version": 1, "id": "t-1", "verifiers": {"version": "1.0", "commit": null},
        "task": {"type": "Sums", "data": {"prompt": "1+1?", "answer": "2"}, "key": "s", "hash": "h"},
        "agent": {"config": {"model": "m"}, "runtime": null, "name": "solver", "trainable": true},
        "tools": [{"name": "calc", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": null}],
        "nodes": [
            node(None, false, json!({"role": "system", "content": "S"})),
            node(Some(0), false, json!({"role": "user", "content": "1+1?"})),
            node(Some(1), true, json!({"role": "assistant", "content": "3", "reasoning_content": null, "tool_calls": null})),
            node(Some(1), true, json!({"role": "assistant", "content": null, "reasoning_content": "Ask.", "tool_calls": call})),
            node(Some(3), false, json!({"role": "tool", "tool_call_id": "k", "content": "2", "name": null})),
            node(Some(4), true, json!({"role": "assistant", "content": "2"})),
        ],
        "calls": [{"node": 2, "model": "m", "finish_reason": "length", "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
            {"node": 5, "model": "m", "finish_reason": "stop", "usage": {"prompt_tokens": 20, "completion_tokens": 2}},
            {"node": null, "model": "m", "error": {"type": "E", "message": "overloaded, try later"}}],
        "rewards": {"correct": {"score": 1.0, "weight": 1.0}}, "metrics": {}, "info": {}, "is_completed": true, "ok": true,
        "stop_condition": "done", "errors": [], "timing": {"start": 1.0}})
}

fn read(item: &Value) -> Conversation<'static> {
    let text = item.to_string();
    let format = recognise(&Sniff::of(&text)).unwrap();
    assert_eq!(format.name(), "verifiers");
    let item = format.read(&text, &mut Notes::default()).unwrap();
    item.into_conversation().unwrap().into_owned()
}

fn unplaced(conversation: &Conversation<'_>) -> Vec<String> {
    conversation.not_understood.iter().map(|one| one.path.to_string()).collect()
}

#[test]
fn a_trace_is_a_tree_whose_last_node_is_shown() {
    let read = read(&trace());
    assert_eq!(
        told(&read.rounds),
        [
            "system=S user=1+1?",
            "assistant=3",
            "assistant=<Ask.>!k:calc:{\"x\":1} tool=2(k) assistant=2",
        ]
    );
    assert_eq!((unplaced(&read), &*read.id.decoded()), (vec![], "t-1"));
    let rows = shape_conversation(&read, "openai", Default::default()).rows;
    let roles: Vec<_> =
        rows[0]["messages"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant"]);
    assert_eq!(rows[0]["tools"][0]["function"]["name"], "calc");
    assert_eq!(read.rounds[2].usage.input_tokens, Some(20));
    assert!(read.rounds[1].messages[0].is_cut_off());
    assert!(read.metadata.get("rewards").is_some());
}

#[test]
fn what_was_not_sampled_from_the_model_is_context() {
    let mut given = trace();
    given["nodes"][5]["sampled"] = json!(false);
    let given = read(&given);
    assert_eq!(given.rounds[2].messages[2].train, Some(false));
    assert_eq!(given.rounds[2].messages[0].train, None);
    let mut judge = trace();
    judge["agent"]["trainable"] = json!(false);
    let judge = read(&judge);
    assert!(shape_conversation(&judge, "openai", Default::default()).rows.is_empty());
}

#[test]
fn what_is_odd_is_told_and_others_are_not_taken_for_it() {
    let mut odd = trace();
    odd["nodes"][1]["message"]["role"] = json!("narrator");
    odd["nodes"][4] = json!("lost");
    odd["nodes"][5]["whisper"] = json!("something that was said");
    odd["verdict"] = json!("this was a good one");
    assert_eq!(
        unplaced(&read(&odd)),
        ["nodes[1].message.role=narrator", "nodes[4]", "nodes[5].whisper", "verdict"]
    );
    for other in [
        json!({"verifiers": {"version": "1"}, "nodes": "none"}),
        json!({"version": 1, "nodes": [{"name": "n", "parent": null}]}),
    ] {
        let found = recognise(&Sniff::of(&other.to_string())).map(ImportFormat::name);
        assert_ne!(found, Some("verifiers"), "{other}");
    }
}

/// Rows of the versions before have their tools under a name of their own.
#[test]
fn rows_of_earlier_versions_have_their_tools() {
    let row = json!({"example_id": 0, "prompt": [{"role": "user", "content": "1+1?"}],
        "completion": [{"role": "assistant", "content": "2"}], "answer": "2", "reward": 1.0,
        "tool_defs": [{"name": "calc", "description": "d", "parameters": {"type": "object", "properties": {}}}]});
    let text = row.to_string();
    let format = recognise(&Sniff::of(&text)).unwrap();
    let read = format.read(&text, &mut Notes::default()).unwrap().into_conversation().unwrap();
    assert_eq!((format.name(), read.rounds[0].tools.len()), ("prompt-completion", 1));
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
}
