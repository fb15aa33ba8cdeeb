//! Logs of model APIs: recorded exchanges, batches and their results, streams put together. Public reports are beside
//! the cases that they led to.

use serde_json::{Value, json};

use crate::datasets::{check_as, joined, read_as};
use crate::understanding::{paths, told};

fn events(events: &[Value]) -> String {
    let event = |one: &Value| {
        let kind = one["type"].as_str().unwrap_or_default();
        if kind.is_empty() {
            format!("data: {one}\n\n")
        } else {
            format!("event: {kind}\ndata: {one}\n\n")
        }
    };
    events.iter().map(event).collect::<String>() + "data: [DONE]\n\n"
}

/// Reads a log whose response is a stream, as text and as a list of its pieces.
fn check_stream(request: &Value, pieces: &[Value], expected: &[&str]) {
    for response in [json!(events(pieces)), json!(pieces)] {
        check_as("requests", json!({"request_body": request, "response_body": response}), expected);
    }
}

#[test]
fn an_answer_whose_stream_broke_off_is_incomplete() {
    let delta = |reason: Value| json!({"choices": [{"index": 0, "delta": {"content": "It wa"}, "finish_reason": reason}]});
    let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It wa"}});
    let start = json!({"type": "message_start", "message": {"role": "assistant", "content": []}});
    let google = |end: Option<&str>| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": "It wa"}]}});
        end.into_iter().for_each(|end| candidate["finishReason"] = json!(end));
        json!({"candidates": [candidate]})
    };
    let ollama =
        |done: bool| json!({"message": {"role": "assistant", "content": "It wa"}, "done": done});
    for (pieces, is_broken) in [
        (vec![delta(Value::Null)], true),
        (vec![delta(json!("stop"))], false),
        (vec![start.clone(), text.clone()], true),
        (vec![start, text, json!({"type": "message_stop"})], false),
        (vec![google(None)], true),
        (vec![google(Some("STOP"))], false),
        (vec![ollama(false)], true),
        (vec![ollama(false), ollama(true)], false),
    ] {
        let item = json!({"request_body": {"messages": [{"role": "user", "content": "q"}]}, "response_body": pieces});
        let read = read_as("requests", &item.to_string());
        assert_eq!(read[0].messages().last().unwrap().is_cut_off(), is_broken, "{item}");
    }
    let ended = format!("data: {}\n\ndata: [DONE]\n\n", delta(Value::Null));
    let item = json!({"request_body": {"messages": [{"role": "user", "content": "q"}]}, "response_body": ended});
    assert!(!read_as("requests", &item.to_string())[0].messages().last().unwrap().is_cut_off());
    // Inside an answer, it is not the end mark.
    let delta = json!({"choices": [{"index": 0, "delta": {"content": "it ends with [DONE]"}, "finish_reason": null}]});
    let broken = format!("data: {delta}\n\n");
    let item = json!({"request_body": {"messages": [{"role": "user", "content": "q"}]}, "response_body": broken});
    assert!(read_as("requests", &item.to_string())[0].messages().last().unwrap().is_cut_off());
}

#[test]
fn bodies_next_to_their_encoding_are_read() {
    // As Ruby's VCR records them.
    let body = |body: Value| json!({"encoding": "UTF-8", "string": body.to_string()});
    let asked = json!({"messages": [{"role": "user", "content": "q"}]});
    let answered = json!({"choices": [{"message": {"role": "assistant", "content": "a"}}]});
    let one = json!({"request": {"method": "post", "uri": "https://api.openai.com/v1/chat/completions", "body": body(asked)},
        "response": {"status": {"code": 200}, "body": body(answered)}});
    check_as("recorded", json!({"http_interactions": [one]}), &["user q", "assistant a"]);
}

#[test]
fn prompts_of_completions_are_requests() {
    for (response, expected) in [
        (json!({"choices": [{"text": "a", "finish_reason": "stop"}]}), false),
        (json!({"response": "a", "done": true, "done_reason": "stop", "context": [1, 2]}), false),
        (json!({"response": "a", "done": true, "done_reason": "length"}), true),
    ] {
        let item =
            json!({"request": {"model": "m", "prompt": "q", "system": "s"}, "response": response});
        let read = check_as("requests", item, &["system s", "user q", "assistant a"]);
        assert_eq!(read.messages().last().unwrap().is_cut_off(), expected);
    }
}

#[test]
fn streams_are_put_together() {
    let asked = json!({"messages": [{"role": "user", "content": "Rain?"}], "stream": true});
    let delta = |delta: Value, reason: Value| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    check_stream(
        &asked,
        &[
            delta(json!({"role": "assistant", "content": "I "}), Value::Null),
            delta(json!({"content": "look."}), Value::Null),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "k", "function": {"name": "rain", "arguments": "{\"in\":"}}]}),
                Value::Null,
            ),
            delta(
                json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Oslo\"}"}}]}),
                Value::Null,
            ),
            delta(json!({}), json!("tool_calls")),
            json!({"choices": [], "usage": {"total_tokens": 3}}),
        ],
        &["user Rain?", "assistant I look. <rain {\"in\":\"Oslo\"}>"],
    );
    check_stream(
        &asked,
        &[
            json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "k", "name": "rain", "input": {}}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"in\": "}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"Oslo\"}"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
            json!({"type": "message_stop"}),
        ],
        &["user Rain?", "assistant (Hm.) <rain {\"in\": \"Oslo\"}>"],
    );
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Rain?"}]}]});
    let piece =
        |parts: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}}]});
    check_stream(
        &contents,
        &[
            piece(json!([{"text": "Hm", "thought": true}])),
            piece(json!([{"text": ".", "thought": true}])),
            piece(json!([{"text": "No"}])),
            piece(json!([{"text": "."}])),
        ],
        &["user Rain?", "assistant (Hm.) No."],
    );
    let item = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "No."}]});
    let input = json!({"input": "Rain?"});
    check_stream(
        &input,
        &[
            json!({"type": "response.created", "response": {"id": "r", "output": []}}),
            json!({"type": "response.output_item.done", "item": item}),
            json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [item]}}),
        ],
        &["user Rain?", "assistant No."],
    );
    // One that broke off is not whole.
    let cut = json!({"request_body": input, "response_body": [json!({"type": "response.created", "response": {}}), json!({"type": "response.output_item.done", "item": item})]});
    let read = &read_as("requests", &cut.to_string())[0];
    assert_eq!(
        read.messages().last().unwrap().finish_reason.as_ref().unwrap().decoded(),
        "incomplete"
    );
    check_stream(
        &asked,
        &[
            json!({"messageStart": {"role": "assistant"}}),
            json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "I look."}}}),
            json!({"contentBlockStart": {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "k", "name": "rain"}}}}),
            json!({"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"in\":\"Oslo\"}"}}}}),
            json!({"messageStop": {"stopReason": "tool_use"}}),
        ],
        &["user Rain?", "assistant I look. <rain {\"in\":\"Oslo\"}>"],
    );
}

#[test]
fn lines_of_a_batch_and_of_its_results_are_one() {
    // vllm-project/vllm#4794, neo4j-labs/text2cypher#1
    let asks = |id: &str| json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [{"role": "user", "content": id}]}});
    let answers = |id: &str, text: &str| json!({"id": "b", "custom_id": id, "response": {"status_code": 200, "body": {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}}, "error": null});
    let read = joined(&[asks("q"), asks("r"), answers("r", "b"), answers("q", "a")], "");
    assert_eq!(told(&read[0]), ["user q", "assistant a"]);
    assert_eq!(told(&read[1]), ["user r", "assistant b"]);
    assert!(paths(&read[0]).is_empty());
    let asks =
        json!({"custom_id": "q", "params": {"messages": [{"role": "user", "content": "q"}]}});
    let answers = json!({"custom_id": "q", "result": {"type": "succeeded", "message": {"role": "assistant", "content": [{"type": "text", "text": "a"}]}}});
    assert_eq!(told(&joined(&[asks, answers], "")[0]), ["user q", "assistant a"]);
}

#[test]
fn a_response_alone_is_an_answer() {
    check_as(
        "requests",
        json!({"custom_id": "r", "response": {"status_code": 200, "body": {"choices": [{"message": {"role": "assistant", "content": "4"}}]}}, "error": null}),
        &["assistant 4"],
    );
    check_as(
        "requests",
        json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}}]}),
        &["assistant 4"],
    );
    check_as(
        "requests",
        json!({"output": {"message": {"role": "assistant", "content": [{"text": "4"}]}}, "stopReason": "end_turn"}),
        &["assistant 4"],
    );
}

#[test]
fn recorded_exchanges_of_one_run_are_one_conversation() {
    let exchange = |messages: Value, answer: Value| {
        json!({"request": {"method": "POST", "uri": "https://x/v1/chat/completions", "body": {"messages": messages}},
        "response": {"status": 200, "body": {"choices": [{"message": answer}]}}})
    };
    let question = json!({"role": "user", "content": "Rain?"});
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "k", "type": "function", "function": {"name": "rain", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "k", "content": "no"});
    let answer = json!({"role": "assistant", "content": "No."});
    let files = json!({"request": {"method": "POST", "uri": "https://x/v1/files", "body": ""}, "response": {"status": 200, "body": {}}});
    let cassette = json!({"cassette": "c.yaml", "interactions": [files, exchange(json!([question]), call.clone()), exchange(json!([question, call, result]), answer.clone())]});
    let read = check_as(
        "recorded",
        cassette,
        &["user Rain?", "assistant <rain {}>", "tool k no", "assistant No."],
    );
    assert_eq!(read.id.decoded(), "c.yaml");
    let two = json!({"cassette": "c", "interactions": [exchange(json!([question]), answer.clone()), exchange(json!([{"role": "user", "content": "Snow?"}]), answer)]});
    let read = read_as("recorded", &two.to_string());
    assert_eq!(
        read.iter().map(|one| one.id.decoded().into_owned()).collect::<Vec<_>>(),
        ["c#1", "c#2"]
    );
    let asks = |input: &str, before: Value, id: &str| {
        json!({"request": {"url": "u", "body": {"input": input, "previous_response_id": before}},
        "response": {"status": 200, "body": {"id": id, "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": id}]}]}}})
    };
    let read = check_as(
        "recorded",
        json!({"interactions": [asks("q", Value::Null, "a"), asks("r", json!("a"), "b")]}),
        &["user q", "assistant a", "user r", "assistant b"],
    );
    assert_eq!(read.rounds.len(), 2);
    let failed = json!({"request": {"url": "u", "body": {"messages": [question]}}, "response": {"status": 400, "body": {"message": "no such model"}}});
    let read = &read_as("recorded", &failed.to_string())[0];
    assert_eq!(told(read), ["user Rain?", "assistant !{\"message\":\"no such model\"}"]);
}

#[test]
fn invocations_that_bedrock_logs_are_requests_with_their_answers() {
    let log = |input: Value, output: Value| {
        json!({"schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2025-01-01T00:00:00Z", "requestId": "r",
            "region": "us-east-1", "operation": "Converse", "modelId": "m",
            "input": {"inputContentType": "application/json", "inputBodyJson": input, "inputTokenCount": 1},
            "output": {"outputContentType": "application/json", "outputBodyJson": output, "outputTokenCount": 1}})
    };
    let converse = log(
        json!({"system": [{"text": "S"}], "messages": [{"role": "user", "content": [{"text": "Rain?"}]}]}),
        json!({"output": {"message": {"role": "assistant", "content": [{"text": "No."}]}}, "stopReason": "end_turn"}),
    );
    check_as("requests", converse, &["system S", "user Rain?", "assistant No."]);
    let invoked = log(
        json!({"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "Rain?"}]}),
        json!({"id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "No."}], "stop_reason": "end_turn"}),
    );
    check_as("requests", invoked, &["user Rain?", "assistant No."]);
}
