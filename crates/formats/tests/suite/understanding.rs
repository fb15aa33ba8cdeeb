//! What readers understand of messages as systems write them, and what they say that they did not. The names of public
//! reports are beside the cases that they led to.

use crate::support::{checked, read, read_item, shape, shape_conversation, shape_item};
use retort_model::{Conversation, Label, Message};
use serde_json::{Value, json};

/// Messages on the path, in words: role, reasoning, text, calls and results.
pub fn told(conversation: &Conversation<'_>) -> Vec<String> {
    let path = conversation.active_path();
    path.iter().flat_map(|&at| &conversation.rounds[at].messages).map(words).collect()
}

fn words(message: &Message<'_>) -> String {
    let mut words = message.role.to_string();
    if let Some(id) = &message.tool_call_id {
        words.push_str(&format!(" {}", id.decoded()));
    }
    if let Some(reasoning) = &message.reasoning {
        words.push_str(&format!(" ({})", reasoning.decoded()));
    }
    if message.content.is_some() {
        words.push_str(&format!(" {}", message.words().decoded()));
    }
    for call in &message.tool_calls {
        words.push_str(&format!(" <{} {}>", call.name.decoded(), call.arguments.decoded()));
    }
    if let Some(error) = &message.error {
        words.push_str(&format!(" !{}", error.decoded()));
    }
    words
}

pub fn paths<'c>(conversation: &'c Conversation<'_>) -> Vec<&'c str> {
    conversation.not_understood.iter().map(|one| one.path.as_str()).collect()
}

/// Reads an item, of which all is understood, and compares the messages.
fn check(item: Value, expected: &[&str]) {
    let text = item.to_string();
    let conversation = read(&text);
    assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
    assert_eq!(told(&conversation), expected, "{text}");
}

/// Reads an item, of which this is not understood, and makes sure that nothing is trained on it.
fn check_not(item: Value, expected: &[&str]) {
    let text = item.to_string();
    let conversation = read(&text);
    assert_eq!(paths(&conversation), expected, "{text}");
    for format in retort_formats::data::FORMATS.iter().filter(|one| one.is_for_training()) {
        let format = format.name();
        let shaped = shape_conversation(&conversation, format, checked(retort_model::Check::Off));
        assert_eq!(shaped.findings(), "left-out:not-understood", "{format} of {text}");
    }
    let line = shape_conversation(&conversation, "retort", Default::default()).text;
    assert_eq!(paths(&read(line.trim())), expected, "the line keeps it");
}

#[test]
fn anthropic_blocks_are_calls_results_and_reasoning() {
    // NVIDIA-NeMo/Gym#1341, langchain-ai/langchainjs#9972, BerriAI/litellm#39222
    check(
        json!({
            "system": [{"type": "text", "text": "Count.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "How many?"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Ask.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "b3BhcXVl"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "count", "input": {"of": "birds"}},
                    {"type": "tool_use", "id": "t2", "name": "count", "input": {"of": "fish"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "3"}]},
                    {"type": "tool_result", "tool_use_id": "t2", "content": "none", "is_error": true},
                    {"type": "text", "text": "Both?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "3 birds."}], "stop_reason": "end_turn"}],
            "tools": [{"name": "count", "description": "Counts.", "input_schema": {"type": "object",
                "properties": {"of": {"type": "string"}}}}]
        }),
        &[
            "system Count.",
            "user How many?",
            "assistant (Ask.) I look. <count {\"of\":\"birds\"}> <count {\"of\":\"fish\"}>",
            "tool t1 3",
            "tool t2 none !failed",
            "user Both?",
            "assistant 3 birds.",
        ],
    );
    // What a server ran for the model goes between what the model says.
    check(
        json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": [
            {"type": "text", "text": "I search."},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "s",
                "content": [{"type": "web_search_result", "title": "T", "url": "u"}]},
            {"type": "text", "text": "Found."}]}]),
        &[
            "user q",
            "assistant I search. <web_search {\"query\":\"q\"}>",
            "tool s [{\"title\":\"T\",\"type\":\"web_search_result\",\"url\":\"u\"}]",
            "assistant Found.",
        ],
    );
}

#[test]
fn langchain_messages_are_read() {
    // langchain-ai/docs#655
    let call = json!({"name": "add", "args": {"a": 1}, "id": "k", "type": "tool_call"});
    let expected = ["user q", "assistant  <add {\"a\":1}>", "tool k 2", "assistant Two."];
    check(
        json!({"messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "2", "tool_call_id": "k", "name": "add"},
            {"role": "assistant", "content": "Two."}]}),
        &expected,
    );
    check(
        json!({"messages": [
            {"type": "human", "content": "q", "additional_kwargs": {}, "example": false, "id": null},
            {"type": "ai", "content": "", "tool_calls": [call], "invalid_tool_calls": [],
                "usage_metadata": {"input_tokens": 3}, "response_metadata": {"finish_reason": "stop"}},
            {"type": "tool", "content": "2", "tool_call_id": "k", "status": "success", "artifact": null},
            {"type": "ai", "content": "Two."}]}),
        &expected,
    );
    check(
        json!({"messages": [
            {"type": "human", "data": {"content": "q", "type": "human"}},
            {"type": "ai", "data": {"content": "", "tool_calls": [call]}},
            {"type": "tool", "data": {"content": "2", "tool_call_id": "k"}},
            {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"],
                "kwargs": {"content": "Two."}}]}),
        &expected,
    );
    // Blocks and `tool_calls` of one message say the same.
    check(
        json!({"messages": [{"type": "human", "content": "q"}, {"type": "ai", "tool_calls": [call], "content": [
            {"type": "text", "text": "I add."}, {"type": "tool_use", "id": "k", "name": "add", "input": {"a": 1}}]}]}),
        &["user q", "assistant I add. <add {\"a\":1}>"],
    );
}

#[test]
fn invocations_of_vercel_are_calls_with_results() {
    // suitenumerique/conversations#680, vercel/ai#7180
    let ran = json!({"state": "result", "step": 0, "toolCallId": "k", "toolName": "add", "args": {"a": 1}, "result": {"sum": 2}});
    let expected = ["user q", "assistant <add {\"a\":1}>", "tool k {\"sum\":2}", "assistant Two."];
    check(
        json!({"id": "x", "messages": [
            {"id": "m1", "role": "user", "content": "q"},
            {"id": "m2", "role": "assistant", "content": "Two.", "toolInvocations": [ran]}]}),
        &expected,
    );
    check(
        json!({"messages": [{"role": "user", "content": "q", "parts": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": "Two.", "toolInvocations": [ran], "parts": [
                {"type": "step-start"}, {"type": "tool-invocation", "toolInvocation": ran},
                {"type": "step-start"}, {"type": "text", "text": "Two."}]}]}),
        &expected,
    );
    check(
        json!({"messages": [{"role": "user", "parts": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "parts": [
                {"type": "step-start"}, {"type": "reasoning", "text": "Hm.", "state": "done"},
                {"type": "tool-add", "toolCallId": "k", "state": "output-available", "input": {"a": 1}, "output": {"sum": 2}},
                {"type": "tool-add", "toolCallId": "l", "state": "output-error", "input": {"a": 2}, "errorText": "too many"},
                {"type": "step-start"}, {"type": "text", "text": "Two."}]}]}),
        &[
            "user q",
            "assistant (Hm.) <add {\"a\":1}> <add {\"a\":2}>",
            "tool k {\"sum\":2}",
            "tool l !too many",
            "assistant Two.",
        ],
    );
    check(
        json!([{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "k", "toolName": "add", "input": {"a": 1}}]},
            {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "k", "toolName": "add",
                "output": {"type": "json", "value": {"sum": 2}}}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Two."}]}]),
        &expected,
    );
}

#[test]
fn parts_of_opentelemetry_google_and_bedrock_are_read() {
    // uezo/aiavatarkit#367, and OpenTelemetry's GenAI messages
    let expected = ["user q", "assistant <add {\"a\":1}>", "tool k 2", "assistant Two."];
    check(
        json!({"messages": [
            {"role": "user", "parts": [{"type": "text", "content": "q"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "k", "name": "add", "arguments": {"a": 1}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "k", "response": "2"}]},
            {"role": "assistant", "parts": [{"type": "text", "content": "Two."}], "finish_reason": "stop"}]}),
        &expected,
    );
    check(
        json!({"messages": [
            {"role": "user", "content": [{"text": "q"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "k", "name": "add", "input": {"a": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "k", "content": [{"text": "2"}], "status": "success"}}]},
            {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Two."}]}]}),
        &["user q", "assistant <add {\"a\":1}>", "tool k 2", "assistant (Hm.) Two."],
    );
    check(
        json!({"messages": [
            {"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": [{"text": "Hm.", "thought": true}, {"functionCall": {"id": "k", "name": "add", "args": {"a": 1}}}]},
            {"role": "function", "parts": [{"functionResponse": {"id": "k", "name": "add", "response": {"sum": 2}}}]},
            {"role": "model", "parts": [{"text": "Two."}]}]}),
        &["user q", "assistant (Hm.) <add {\"a\":1}>", "tool k {\"sum\":2}", "assistant Two."],
    );
}

#[test]
fn texts_of_parts_are_found_where_systems_keep_them() {
    // ankit373/hydra#971
    for part in [
        json!({"text": "q"}),
        json!({"type": "text", "content": "q"}),
        json!({"type": "input_text", "text": "q", "annotations": [{"type": "url", "title": "a b"}]}),
        json!({"type": "text", "text": {"value": "q", "annotations": []}}),
        json!({"type": "text", "text": "q", "image_url": null}),
    ] {
        check(
            json!([{"role": "user", "content": [part]}, {"role": "assistant", "content": "a"}]),
            &["user q", "assistant a"],
        );
    }
    check_not(
        json!([{"role": "user", "content": [{"type": "text", "body": "q"}]}, {"role": "assistant", "content": "a"}]),
        &["[0].content[0].type=text"],
    );
    check_not(
        json!([{"role": "user", "content": [{"type": "text", "text": "q", "and": "more words"}]}, {"role": "assistant", "content": "a"}]),
        &["[0].content[0].and"],
    );
}

#[test]
fn items_of_the_responses_api_are_messages() {
    // tenstorrent/tt-inference-server#3494, ogx-ai/ogx#2094
    check(
        json!([
            {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "x"},
            {"type": "function_call", "id": "f", "call_id": "k", "name": "add", "arguments": "{\"a\":1}", "status": "completed"},
            {"type": "function_call", "id": "g", "call_id": "l", "name": "add", "arguments": "{\"a\":2}"},
            {"type": "function_call_output", "call_id": "k", "output": "2"},
            {"type": "function_call_output", "call_id": "l", "output": "3"},
            {"type": "message", "id": "m", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Two and three.", "annotations": []}]}]),
        &[
            "user q",
            "assistant (Hm.) <add {\"a\":1}> <add {\"a\":2}>",
            "tool k 2",
            "tool l 3",
            "assistant Two and three.",
        ],
    );
    for kind in ["item_reference", "compaction", "mcp_approval_request"] {
        check_not(
            json!([{"role": "user", "content": "q"}, {"type": kind, "id": "w", "name": "f"},
                {"role": "assistant", "content": "a"}]),
            &[&format!("[1].type={kind}")],
        );
    }
}

#[test]
fn tools_that_a_provider_hosts_are_calls_with_what_came_of_them() {
    let between = |items: &[Value]| {
        let mut all = vec![json!({"role": "user", "content": "q"})];
        all.push(json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]}));
        all.extend(items.iter().cloned());
        all.push(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}));
        Value::Array(all)
    };
    for (items, call, result) in [
        (
            vec![json!({"type": "web_search_call", "id": "k", "status": "completed",
                "action": {"type": "search", "query": "birds"}})],
            "web_search {\"query\":\"birds\",\"type\":\"search\"}",
            "",
        ),
        (
            vec![
                json!({"type": "file_search_call", "id": "k", "status": "completed", "queries": ["birds"],
                "results": [{"file_id": "f", "filename": "b.md", "score": 0.5, "text": "3 birds"}]}),
            ],
            "file_search {\"queries\":[\"birds\"]}",
            "tool k [{\"file_id\":\"f\",\"filename\":\"b.md\",\"score\":0.5,\"text\":\"3 birds\"}]",
        ),
        (
            vec![
                json!({"type": "code_interpreter_call", "id": "k", "code": "1+1", "container_id": "c",
                "outputs": [{"type": "logs", "logs": "2"}]}),
            ],
            "code_interpreter {\"code\":\"1+1\"}",
            "tool k [{\"logs\":\"2\",\"type\":\"logs\"}]",
        ),
        (
            vec![
                json!({"type": "local_shell_call", "id": "i", "call_id": "k", "status": "completed",
                    "action": {"type": "exec", "command": ["ls"]}}),
                json!({"type": "local_shell_call_output", "id": "k", "output": "x"}),
            ],
            "local_shell {\"command\":[\"ls\"],\"type\":\"exec\"}",
            "tool k x",
        ),
        (
            vec![
                json!({"type": "computer_call", "id": "i", "call_id": "k", "action": {"type": "wait"}}),
                json!({"type": "computer_call_output", "call_id": "k",
                    "output": {"type": "computer_screenshot", "image_url": "data:,x"}}),
            ],
            "computer {\"type\":\"wait\"}",
            "tool k ",
        ),
        (
            vec![
                json!({"type": "image_generation_call", "id": "k", "revised_prompt": "A bird.", "result": "aGk="}),
            ],
            "image_generation {\"revised_prompt\":\"A bird.\"}",
            "tool k ",
        ),
        (
            vec![
                json!({"type": "mcp_call", "id": "k", "name": "count", "server_label": "s", "arguments": "{\"of\":1}", "output": "3"}),
            ],
            "count {\"of\":1}",
            "tool k 3",
        ),
        (
            vec![
                json!({"type": "custom_tool_call", "call_id": "k", "name": "grep", "input": "birds"}),
                json!({"type": "custom_tool_call_output", "call_id": "k", "output": "3"}),
            ],
            "grep birds",
            "tool k 3",
        ),
    ] {
        let mut expected = vec!["user q".to_owned(), format!("assistant (Hm.) <{call}>")];
        expected.extend((!result.is_empty()).then(|| result.to_owned()));
        expected.push("assistant a".into());
        check(between(&items), &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
    // Codex wrote some without what was asked; the provider did not log it.
    check(
        between(&[json!({"type": "web_search_call", "id": "k"})]),
        &["user q", "assistant (Hm.) <web_search >", "assistant a"],
    );
    // One that says nothing of what a client ran is not understood.
    check_not(
        between(&[json!({"type": "local_shell_call", "id": "k"})]),
        &["[2].type=local_shell_call"],
    );
}

#[test]
fn marks_and_labels_may_be_text() {
    // Neighbours of openai/openai-cookbook#1074: tables hold them so.
    for (mark, expected) in [
        (json!({"weight": "0"}), Some(false)),
        (json!({"weight": "1.0"}), Some(true)),
        (json!({"train": "False"}), Some(false)),
        (json!({"loss": ""}), None),
    ] {
        let mut answer = json!({"role": "assistant", "content": "a"});
        answer.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        let text = json!([{"role": "user", "content": "q"}, answer]).to_string();
        assert_eq!(read(&text).rounds[0].messages[1].train, expected, "{mark}");
    }
    for (label, expected) in
        [("False", Label::Rejected), ("rejected", Label::Rejected), ("true", Label::Preferred)]
    {
        let text = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "label": label}).to_string();
        assert_eq!(read(&text).label, Some(expected), "{label}");
    }
}

#[test]
fn answers_that_did_not_end_by_themselves_are_never_trained_on() {
    // Neighbours of THU-KEG/RM-Bench#3.
    let q = json!({"role": "user", "content": "q"});
    let answer = |more: Value| {
        let mut answer = json!({"role": "assistant", "content": "a"});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"messages": [q, answer]})
    };
    for (item, reason) in [
        (answer(json!({"status": "incomplete"})), "cut-off-answer"),
        (answer(json!({"unfinished": true})), "cut-off-answer"),
        (answer(json!({"stop_reason": "refusal"})), "cut-off-answer"),
        (answer(json!({"finish_reason": "error"})), "cut-off-answer"),
        (answer(json!({"finish_details": {"type": "max_tokens"}})), "cut-off-answer"),
        (answer(json!({"is_error": true})), "failed-answer"),
        (
            answer(json!({"content": [{"type": "text", "text": "a", "state": "streaming"}]})),
            "cut-off-answer",
        ),
        (answer(json!({"deleted": true})), "not-to-learn"),
        (
            json!({"object": "response", "id": "r", "status": "incomplete", "input": "q", "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]}),
            "cut-off-answer",
        ),
    ] {
        let text = item.to_string();
        let conversation = read(&text);
        assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
        let shaped = shape_conversation(&conversation, "openai", Default::default());
        assert_eq!(shaped.findings(), format!("left-out:{reason}"), "{text}");
    }
    for fine in [
        json!({"status": "completed"}),
        json!({"unfinished": false}),
        json!({"finish_reason": "stop"}),
    ] {
        let text = answer(fine).to_string();
        assert_eq!(
            shape_conversation(&read(&text), "openai", Default::default()).rows.len(),
            1,
            "{text}"
        );
    }
}

#[test]
fn two_lists_of_messages_must_say_the_same() {
    let chat =
        |q: &str| json!([{"role": "user", "content": q}, {"role": "assistant", "content": "a"}]);
    let turns = |q: &str| json!([{"from": "human", "value": q}, {"from": "gpt", "value": "a"}]);
    check(json!({"messages": chat("q"), "conversations": turns("q")}), &["user q", "assistant a"]);
    let conversations = || format!(r#""conversations":{}"#, turns("one"));
    let messages = || format!(r#""messages":{}"#, chat("other"));
    for (item, told, path) in [
        (format!("{{{},{}}}", conversations(), messages()), "user other", "conversations"),
        (format!("{{{},{}}}", messages(), conversations()), "user one", "messages"),
    ] {
        let conversation = read(&item);
        assert_eq!(
            (self::told(&conversation)[0].as_str(), paths(&conversation)),
            (told, vec![path])
        );
    }
}

#[test]
fn what_langchain_keeps_beside_a_message_is_read() {
    let call = json!({"id": "k", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}});
    let expected = ["user q", "assistant  <add {\"a\":1}>", "tool k 2", "assistant (Hm.) Two."];
    let with = |calls: Value| {
        json!({"messages": [
            {"type": "human", "content": "q"},
            {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [call]}, "tool_calls": calls},
            {"type": "tool", "content": "2", "tool_call_id": "k"},
            {"type": "ai", "content": "Two.", "additional_kwargs": {"reasoning_content": "Hm.", "refusal": null}}]})
    };
    check(with(json!([])), &expected);
    check(
        with(json!([{"name": "add", "args": {"a": 1}, "id": "k", "type": "tool_call"}])),
        &expected,
    );
    check_not(
        with(json!([{"name": "sub", "args": {"a": 1}, "id": "l"}])),
        &["messages[1].additional_kwargs.tool_calls"],
    );
    check_not(
        json!({"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "a", "additional_kwargs": {"said": "more words"}}]}),
        &["messages[1].additional_kwargs.said"],
    );
}

#[test]
fn tool_definitions_are_found_or_told() {
    let messages = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]);
    let spec = json!({"name": "f", "description": "d", "inputSchema": {"json": {"type": "object", "properties": {}}}});
    let text =
        json!({"messages": messages, "toolConfig": {"tools": [{"toolSpec": spec}]}}).to_string();
    let conversation = read(&text);
    assert_eq!(paths(&conversation), Vec::<&str>::new());
    let rows = shape_conversation(&conversation, "openai", Default::default()).rows;
    assert_eq!(rows[0]["tools"][0]["function"]["name"], "f");
    assert_eq!(rows[0]["tools"][0]["function"]["parameters"]["type"], "object", "{}", rows[0]);
    check_not(json!({"messages": messages, "tools": "f(x): does it"}), &["tools"]);
    let function = json!({"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}});
    let texts = json!([function.to_string()]);
    for (key, value) in [
        ("available_tools", json!([function])),
        ("tool_definitions", json!([{"type": "function", "function": function}])),
        ("tool_list", json!([function]).to_string().into()),
        ("tools_json", function.to_string().into()),
        ("tool_schemas", texts.clone()),
        ("functions_list", json!([function])),
        ("api_list", json!([function])),
        // When2Call's
        ("tools", texts.clone()),
        // SmolTalk2's
        (
            "chat_template_kwargs",
            json!({"xml_tools": texts, "python_tools": [], "enable_thinking": false}),
        ),
        ("chat_template_kwargs", json!({"xml_tools": texts.to_string(), "python_tools": ""})),
        ("chat_template_kwargs", json!({"python_tools": texts})),
    ] {
        let text = json!({"messages": messages, key: value}).to_string();
        let conversation = read(&text);
        assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
        let rows = shape_conversation(&conversation, "openai", Default::default()).rows;
        assert_eq!(rows[0]["tools"][0]["function"], function, "{text}");
    }
    // Names are no definitions.
    check(json!({"messages": messages, "available_tools": ["f", "g"]}), &["user q", "assistant a"]);
    for code in [json!("def f(): ..."), json!(["def f(): ..."])] {
        let path = match code {
            Value::Array(_) => "chat_template_kwargs.python_tools[0]",
            _ => "chat_template_kwargs.python_tools",
        };
        check_not(
            json!({"messages": messages, "chat_template_kwargs": {"python_tools": code}}),
            &[path],
        );
    }
    check_not(
        json!({"messages": messages, "toolConfig": {"tools": ["f"]}}),
        &["toolConfig.tools[0]"],
    );
}

#[test]
fn a_prompt_that_its_answers_repeat_is_said_once() {
    let q = json!({"role": "user", "content": "q"});
    let answer = |text: &str| json!({"role": "assistant", "content": text});
    for item in [
        json!({"prompt": "q", "chosen": [q, answer("good")], "rejected": [q, answer("bad")], "score_chosen": 5}),
        json!({"prompt": [q], "chosen": [q, answer("good")], "rejected": [q, answer("bad")]}),
        json!({"prompt": "q", "chosen": "good", "rejected": "bad"}),
    ] {
        let text = item.to_string();
        let conversation = read(&text);
        assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
        assert_eq!(told(&conversation), ["user q", "assistant good"], "{text}");
        assert_eq!(conversation.messages().last().map(words).unwrap(), "assistant bad", "{text}");
    }
    check_not(
        json!({"prompt": "another question", "chosen": [q, answer("good")], "rejected": [q, answer("bad")]}),
        &["prompt"],
    );
}

#[test]
fn nothing_is_judged_on_runs_that_were_not_understood() {
    let run = |more: Value| {
        let mut run = json!({"request_id": "r", "recipe_id": "p", "question": "q", "answer": "a",
            "nodes": [{"node": "n", "kind": "model-call", "input": "i", "output": "o"}]});
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run.to_string()
    };
    let options =
        || retort_formats::data::ShapeOptions { node: Some("n".into()), ..Default::default() };
    let formats =
        ["standard", "openai", "recipe-evaluation", "node-evaluation", "node-optimization"];
    let said = json!([{"role": "narrator", "content": "Meanwhile …"}]);
    for (more, path) in [
        (json!({"conversation": said}), "conversation"),
        (
            json!({"nodes": [{"node": "n", "kind": "model-call", "input": "i", "output": "o", "dialogue": said}]}),
            "nodes[0].dialogue",
        ),
    ] {
        let text = run(more);
        let item = read_item(&text);
        assert_eq!(item.not_understood().iter().map(|one| &*one.path).collect::<Vec<_>>(), [path]);
        for format in formats {
            let shaped = shape_item(&item, format, options());
            assert_eq!(shaped.findings(), "left-out:not-understood", "{format}");
        }
    }
    let text = run(json!({}));
    for format in formats {
        assert_eq!(shape_item(&read_item(&text), format, options()).rows.len(), 1, "{format}");
    }
}

#[test]
fn words_for_roles_that_are_well_known_are_read() {
    // lm-sys/FastChat#181, axolotl-ai-cloud/axolotl#752, modelscope/ms-swift#4681
    for word in ["chatgpt", "bing", "bard", "gpt", "Assistant", "model"] {
        check(
            json!({"conversations": [{"from": "human", "value": "q"}, {"from": word, "value": "a"}]}),
            &["user q", "assistant a"],
        );
    }
    for word in ["bot", "ai", "CHATBOT", "ASSISTANT"] {
        check(
            json!({"messages": [{"role": "prompter", "content": "q"}, {"role": word, "content": "a"}]}),
            &["user q", "assistant a"],
        );
    }
    check(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "tool_call", "content": "{\"name\":\"f\",\"arguments\":{\"x\":1}}"},
            {"role": "tool_response", "content": "1"}, {"role": "assistant", "content": "a"}]}),
        &["user q", "assistant <f {\"x\":1}>", "tool 1", "assistant a"],
    );
    check_not(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "narrator", "content": "Meanwhile …"}, {"role": "assistant", "content": "a"}]}),
        &["messages[1].role=narrator"],
    );
    check_not(
        json!({"messages": [{"role": "user", "content": "q"}, {"content": "a"}]}),
        &["messages[1]"],
    );
}

#[test]
fn ollama_calls_have_no_ids() {
    check(
        json!({"model": "m", "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "add", "content": "2"}, {"role": "assistant", "content": "Two.", "thinking": "Hm."}],
            "done_reason": "stop", "done": true}),
        &["user q", "assistant  <add {\"a\":1}>", "tool 2", "assistant (Hm.) Two."],
    );
}

#[test]
fn calls_and_results_in_other_shapes_are_not_understood() {
    let with = |call: Value, result: Value| {
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [call]},
            result, {"role": "assistant", "content": "a"}]})
    };
    let result = json!({"role": "tool", "tool_call_id": "k", "content": "2"});
    let function = json!({"name": "add", "arguments": "{}"});
    check(
        with(json!({"id": "k", "index": 0, "function": function}), result.clone()),
        &["user q", "assistant  <add {}>", "tool k 2", "assistant a"],
    );
    for (call, path) in [
        (json!({"id": "k", "fn": function}), ""),
        (json!({"id": "k", "function": {"title": "add", "arguments": "{}"}}), ""),
        (json!({"id": "k", "function": {"name": "add", "params": "{}"}}), ".params"),
        (json!({"id": "k", "function": {"name": "add", "params": {}}}), ".params"),
        (json!({"id": "k", "function": function, "then": {"name": "sub"}}), ".then"),
    ] {
        check_not(with(call, result.clone()), &[&format!("messages[1].tool_calls[0]{path}")]);
    }
    let call = json!({"id": "k", "function": function});
    check_not(
        with(call.clone(), json!({"role": "tool", "answers": "k", "content": "2"})),
        &["messages[2].answers"],
    );
    check_not(
        with(call.clone(), json!({"role": "tool", "tool_call_id": "k", "returned": "2"})),
        &["messages[2].returned"],
    );
    check_not(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "calls": [call]}, {"role": "assistant", "content": "a"}]}),
        &["messages[1].calls"],
    );
    check_not(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "act", "id": "k"}]}]}),
        &["messages[1].content[0].type=act"],
    );
    check_not(
        json!({"tools": [{"type": "function", "function": {"title": "add"}}, "add"], "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
        &["tools[0]", "tools[1]"],
    );
}

#[test]
fn marks_say_what_is_to_be_learnt() {
    // openai/openai-cookbook#1074, axolotl-ai-cloud/axolotl#1702, togethercomputer/skills#35
    for (mark, expected) in [
        (json!({"weight": 0}), Some(false)),
        (json!({"weight": 1}), Some(true)),
        (json!({"weight": 0.5}), Some(true)),
        (json!({"weight": -1}), Some(false)),
        (json!({"training": false}), Some(false)),
        (json!({"loss_mask": 0}), Some(false)),
        (
            json!({"train_detail": [{"begin_offset": 0, "end_offset": 0, "train": false}]}),
            Some(false),
        ),
        (json!({"train_detail": [{"begin_offset": 0, "end_offset": 0, "train": true}]}), None),
        (json!({"loss": false}), Some(false)),
        (json!({"loss_weight": 0.0}), Some(false)),
        (json!({"train": true}), Some(true)),
        (json!({"trainable": false}), Some(false)),
        (json!({"sampled": false}), Some(false)),
        (json!({"is_copied_context": true}), Some(false)),
        (json!({"is_copied_context": false}), None),
        (json!({"weight": null}), None),
    ] {
        let mut answer = json!({"role": "assistant", "content": "a"});
        answer.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        let text = json!([{"role": "user", "content": "q"}, answer]).to_string();
        assert_eq!(read(&text).rounds[0].messages[1].train, expected, "{mark}");
    }
}

#[test]
fn the_way_an_answer_ended_is_kept() {
    // THU-KEG/RM-Bench#3, PRIME-RL/PRIME#36
    let at = |item: Value| {
        let text = item.to_string();
        let conversation = read(&text);
        assert!(conversation.not_understood.is_empty(), "{:?}", conversation.not_understood);
        let last = conversation.messages().last().unwrap().clone().into_owned();
        (last.finish_reason.clone().map(|reason| reason.decoded().into_owned()), last.is_cut_off())
    };
    let q = json!({"role": "user", "content": "q"});
    let cut = |reason: &str| (Some(reason.to_owned()), true);
    for key in ["finish_reason", "stop_reason", "done_reason", "finishReason"] {
        let mut answer = json!({"role": "assistant", "content": "a"});
        answer[key] = "length".into();
        assert_eq!(at(json!([q, answer])), cut("length"), "{key}");
    }
    assert_eq!(
        at(
            json!({"messages": [q], "response": {"choices": [{"index": 0, "finish_reason": "length",
        "message": {"role": "assistant", "content": "a"}}]}})
        ),
        cut("length")
    );
    assert_eq!(
        at(
            json!({"messages": [q], "response": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}],
        "stop_reason": "max_tokens"}})
        ),
        cut("max_tokens")
    );
    assert_eq!(
        at(
            json!({"messages": [q], "response": {"message": {"role": "assistant", "content": "a"}, "done_reason": "length"}})
        ),
        cut("length")
    );
    assert_eq!(
        at(
            json!({"messages": [q], "response": {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}})
        ),
        cut("max_output_tokens")
    );
}

#[test]
fn of_several_choices_the_first_by_index_is_the_answer() {
    // a neighbour of THU-KEG/RM-Bench#3
    let text = json!({"messages": [{"role": "user", "content": "q"}], "response": {"choices": [
        {"index": 1, "finish_reason": "stop", "message": {"role": "assistant", "content": "second"}},
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "first"}}]}})
    .to_string();
    let conversation = read(&text);
    assert_eq!(told(&conversation), ["user q", "assistant first"]);
    assert_eq!(
        conversation.messages().map(words).collect::<Vec<_>>(),
        ["user q", "assistant first", "assistant second"]
    );
    let rows = shape_conversation(&conversation, "openai", Default::default()).rows;
    assert_eq!(rows.len(), 1);
    assert!(!rows[0]["messages"].to_string().contains("second"));
}

#[test]
fn what_an_api_responded_is_read_in_any_shape() {
    // BerriAI/litellm#1498, #34748
    let q = json!([{"role": "user", "content": "q"}]);
    let answer = json!({"role": "assistant", "content": "a"});
    for response in [
        json!({"choices": [{"message": answer, "finish_reason": "stop"}]}),
        json!({"choices": [{"text": "a"}]}),
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}),
        json!("a"),
        answer.clone(),
        json!([answer]),
        json!({"status": 200, "body": {"choices": [{"message": answer}]}}),
    ] {
        check(json!({"messages": q, "response": response}), &["user q", "assistant a"]);
        let text = response.as_str().map_or_else(|| response.to_string(), str::to_owned);
        check(json!({"messages": q.to_string(), "response": text}), &["user q", "assistant a"]);
    }
    check(
        json!({"messages": q, "response": {"error": {"message": "too busy"}}}),
        &["user q", "assistant !{\"message\":\"too busy\"}"],
    );
    check_not(json!({"messages": q, "response": {"said": "a"}}), &["response"]);
}

/// Reads a preference pair: the good answer is the conversation's, the bad one its sibling, and each is labelled.
fn read_pair(text: &str) -> Conversation<'_> {
    let conversation = read(text);
    assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
    assert_eq!(told(&conversation), ["user q", "assistant good"], "{text}");
    let labels: Vec<_> = conversation.messages().map(|one| (words(one), one.label)).collect();
    assert_eq!(labels[1], ("assistant good".into(), Some(Label::Preferred)), "{text}");
    assert_eq!(labels[2], ("assistant bad".into(), Some(Label::Rejected)), "{text}");
    conversation
}

#[test]
fn rejected_answers_are_siblings_that_nobody_learns() {
    let q = json!({"role": "user", "content": "q"});
    let answer = |text: &str| json!({"role": "assistant", "content": text});
    for item in [
        json!({"messages": [q], "chosen": answer("good"), "rejected": answer("bad")}),
        json!({"messages": [q], "chosen": [answer("good")], "rejected": [answer("bad")]}),
        json!({"messages": [q], "chosen": "good", "rejected": "bad"}),
        json!({"messages": [q], "rejected": "bad", "chosen": "good"}),
        json!({"messages": [q, answer("good")], "rejected_response": "bad"}),
        // UltraFeedback's rows have the whole conversation three times, and name the models.
        json!({"prompt": "q", "messages": [q, answer("good")], "chosen": [q, answer("good")], "rejected": [q, answer("bad")],
            "chosen_model": "m", "rejected_model": "n"}),
        json!({"messages": [q, answer("good")], "rejected_messages": [q, answer("bad")]}),
        json!({"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "good"}, "rejected": {"from": "gpt", "value": "bad"}}),
    ] {
        let text = item.to_string();
        let conversation = read_pair(&text);
        let rows = shape_conversation(&conversation, "openai", Default::default()).rows;
        assert!(!rows[0]["messages"].to_string().contains("bad"), "{text}");
    }
    for (label, expected) in [(true, Label::Preferred), (false, Label::Rejected)] {
        for key in ["label", "kto_tag"] {
            let text = json!({"messages": [q, answer("a")], key: label}).to_string();
            assert_eq!(read(&text).label, Some(expected), "{text}");
        }
    }
}

#[test]
fn an_answer_that_also_ends_the_messages_is_read_once() {
    let q = json!({"role": "user", "content": "q"});
    let answer = |text: &str| json!({"role": "assistant", "content": text});
    // Logs whose messages already include the answer.
    check(
        json!({"messages": [q, answer("a")], "response": {"choices": [{"message": answer("a")}]}}),
        &["user q", "assistant a"],
    );
    // The answer of the messages is neither the chosen nor the rejected one.
    let text = json!({"messages": [{"role": "system", "content": "s"}, q, answer("mine")],
        "chosen": [q, answer("good")], "rejected": [q, answer("bad")]})
    .to_string();
    let conversation = read(&text);
    assert_eq!(told(&conversation), ["system s", "user q", "assistant good"]);
    assert_eq!(conversation.messages().count(), 5);
}

#[test]
fn other_keys_and_words_for_the_speaker_are_known() {
    let expected = &["user q", "assistant a"];
    for item in [
        json!({"conversation": [{"speaker": "human", "text": "q"}, {"speaker": "assistant", "text": "a"}]}),
        json!({"messages": [{"author": "user", "content": "q"}, {"author": "bot", "content": "a"}]}),
        // Exporters for browsers, Flowise, Langflow.
        json!({"messages": [{"role": "Prompt", "say": "q"}, {"role": "Response", "say": "a"}]}),
        json!({"messages": [{"role": "userMessage", "content": "q"}, {"role": "apiMessage", "content": "a"}]}),
        json!({"messages": [{"sender": "User", "text": "q"}, {"sender": "Machine", "text": "a"}]}),
        // Mistral's Le Chat names the speaker twice.
        json!({"messages": [{"role": "user", "content": "q", "contentChunks": null},
            {"role": "assistant", "content": "a", "contentChunks": [{"type": "text", "text": "a"}]}]}),
        // Data that Vercel's AI SDK shows next to the text.
        json!({"messages": [{"role": "user", "parts": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "parts": [{"type": "data-weather", "id": "d", "data": {"now": "it rains"}}, {"type": "text", "text": "a"}]}]}),
    ] {
        check(item, expected);
    }
    let chunks = json!({"messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "contentChunks": [{"type": "text", "text": "b"}]}]});
    check_not(chunks, &["messages[1].contentChunks"]);
}

#[test]
fn calls_are_json_or_in_tags_that_a_tool_answers() {
    let expected = &["user q", "assistant <add {\"a\":1}>", "tool {\"b\":2}", "assistant a"];
    check(
        json!({"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": [{"name": "add", "arguments": {"a": 1}}]},
            {"from": "observation", "value": {"b": 2}}, {"from": "gpt", "value": "a"}]}),
        expected,
    );
    let called = "<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>";
    let hermes = |called: &str, result: &str| {
        json!({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": called},
            {"from": "tool", "value": result}, {"from": "gpt", "value": "a"}]})
    };
    check(hermes(called, "<tool_response>\n{\"b\":2}\n</tool_response>"), expected);
    check(
        hermes(
            &format!("Two. {called}\n{called}"),
            "<tool_response>1</tool_response><tool_response>2</tool_response>",
        ),
        &[
            "user q",
            "assistant Two. <add {\"a\":1}> <add {\"a\":1}>",
            "tool 1",
            "tool 2",
            "assistant a",
        ],
    );
    // Qwen3-Coder's tags, whose values are text unless the tool says otherwise.
    let written = "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\nx\ny\n</parameter>\n</function>\n</tool_call>";
    let with = |kind: &str| format!("assistant <add {{\"a\":{kind},\"b\":\"x\\ny\"}}>");
    let mut row = hermes(written, "<tool_response>1</tool_response>");
    check(row.clone(), &["user q", &with("\"1\""), "tool 1", "assistant a"]);
    row["tools"] = json!([{"type": "function", "function": {"name": "add", "parameters": {"type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}}}]);
    check(row.clone(), &["user q", &with("1"), "tool 1", "assistant a"]);
    // A last answer has calls if their tools are defined.
    row["conversations"].as_array_mut().unwrap().truncate(2);
    check(row.clone(), &["user q", &with("1")]);
    // Qwen3-Coder writes calls in tags, too, and its results need none.
    let tools = json!([{"type": "function", "function": {"name": "add", "parameters": {"type": "object",
        "properties": {"a": {"type": "integer"}, "ok": {"type": "boolean"}, "t": {"type": "string"}}}}}]);
    let coder = |called: &str| {
        json!({"tools": tools, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": called},
            {"role": "tool", "content": "3"}, {"role": "assistant", "content": "a"}]})
    };
    let written = "Sum.\n<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=ok>\nTrue\n</parameter>\n\
        <parameter=t>\n2\n3\n</parameter>\n</function>\n</tool_call>";
    check(
        coder(written),
        &[
            "user q",
            "assistant Sum. <add {\"a\":1,\"ok\":true,\"t\":\"2\\n3\"}>",
            "tool 3",
            "assistant a",
        ],
    );
    let none = "<tool_call>\n<function=add>\n</function>\n</tool_call>";
    check(coder(none), &["user q", "assistant <add {}>", "tool 3", "assistant a"]);
    let odd = "<tool_call>\n<function=add>\nSee below.\n</function>\n</tool_call>";
    check(coder(odd), &["user q", &format!("assistant {odd}"), "tool 3", "assistant a"]);
    // Text about the tags stays text, and calls that cannot be read stay as they are.
    let about = format!("Write {called} like this.");
    check(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": about}]}),
        &["user q", &format!("assistant {about}")],
    );
    let odd = hermes("<tool_call>add(1)</tool_call>", "<tool_response>2</tool_response>");
    check(
        odd,
        &[
            "user q",
            "assistant <tool_call>add(1)</tool_call>",
            "tool <tool_response>2</tool_response>",
            "assistant a",
        ],
    );
}

#[test]
fn what_stands_beside_the_messages_and_is_not_said_in_them_is_not_understood() {
    let messages = json!([{"role": "user", "content": "What is 6 × 7?"}, {"role": "assistant", "content": "It is 42."}]);
    for (key, value) in [
        ("prompt", json!("What is 6 × 7?")),
        ("answer", json!("42")),
        ("original_messages", messages.clone()),
        ("notes", json!({"by": "someone else", "at": 3})),
        ("metadata", json!({"from": [{"role": "user", "content": "another"}]})),
    ] {
        check(
            json!({"messages": messages, key: value}),
            &["user What is 6 × 7?", "assistant It is 42."],
        );
    }
    for (key, value) in [
        ("answer", json!("No idea.")),
        ("messages2", json!([{"role": "user", "content": "And 6 × 8?"}])),
        ("history", json!([["Hello?", "Hello!"]])),
        ("aside", json!({"turn": {"from": "human", "value": "And 6 × 8?"}})),
    ] {
        check_not(json!({"messages": messages, key: value}), &[key]);
    }
}

#[test]
fn messages_as_json_text_are_read() {
    // AI-Hypercomputer/maxtext#3559, BerriAI/litellm#1498
    let messages = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "contexts": []}]);
    check(json!({"id": 1, "messages": messages.to_string()}), &["user q", "assistant a"]);
    let turns = json!([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]);
    check(json!({"id": 2, "conversations": turns.to_string()}), &["user q", "assistant a"]);
    let item = json!({"messages": messages, "system": "S", "tools": "[{\"name\":\"f\",\"parameters\":{}}]"}).to_string();
    assert_eq!(told(&read(&item))[0], "system S");
    assert_eq!(read_item(&item).not_understood(), []);
}

#[test]
fn logs_of_requests_are_conversations() {
    // Helicone's bodies; BerriAI/litellm#1498; tenstorrent/tt-inference-server#3494; vllm-project/vllm#4794;
    // google-gemini/deprecated-generative-ai-js#70
    let q = json!([{"role": "user", "content": "q"}]);
    let answer = json!({"role": "assistant", "content": "a"});
    let response = json!({"choices": [{"message": answer}]});
    let request = json!({"model": "m", "messages": q, "temperature": 1});
    let expected = ["user q", "assistant a"];
    for item in [
        json!({"request_id": "r", "request_body": request, "response_body": response, "response_status": 200}),
        json!({"request_id": "r", "request_body": request.to_string(), "response_body": response.to_string()}),
        json!({"custom_id": "r", "method": "POST", "body": request, "response": {"status_code": 200, "body": response}}),
        json!({"id": "r", "object": "response", "model": "m", "input": q, "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]}),
        json!({"id": "r", "object": "response", "input": "q", "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]}),
        json!({"id": "r", "model": "m", "contents": [{"role": "user", "parts": [{"text": "q"}]}],
            "candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}]}),
    ] {
        check(item.clone(), &expected);
        assert_eq!(read(&item.to_string()).id.decoded(), "r", "{item}");
    }
    check(
        json!({"systemInstruction": {"parts": [{"text": "S"}]}, "contents": [{"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]},
            {"role": "function", "parts": [{"functionResponse": {"name": "add", "response": {"sum": 2}}}]},
            {"role": "model", "parts": [{"text": "Two."}]}],
            "tools": [{"functionDeclarations": [{"name": "add", "parameters": {"type": "OBJECT"}}]}]}),
        &["system S", "user q", "assistant <add {\"a\":1}>", "tool {\"sum\":2}", "assistant Two."],
    );
    check_not(
        json!({"request_body": {"messages": [{"role": "user", "content": [{"type": "act"}]}]}, "response_body": response}),
        &["request_body.messages[0].content[0].type=act"],
    );
}

#[test]
fn rows_of_trl_are_read() {
    let q = json!({"role": "user", "content": "q"});
    let answer = |text: &str| json!({"role": "assistant", "content": text});
    check(json!({"prompt": [q], "completion": [answer("good")]}), &["user q", "assistant good"]);
    for item in [
        json!({"prompt": [q], "chosen": [answer("good")], "rejected": [answer("bad")]}),
        json!({"chosen": [q, answer("good")], "rejected": [q, answer("bad")]}),
        json!({"input": {"messages": [q], "tools": []}, "preferred_output": [answer("good")], "non_preferred_output": [answer("bad")]}),
    ] {
        read_pair(&item.to_string());
    }
}

#[test]
fn a_message_tree_is_a_tree() {
    let reply = |role: &str, text: &str, rank: Value, replies: Value| json!({"role": role, "text": text, "rank": rank, "message_id": text, "replies": replies, "lang": "en"});
    let item = json!({"message_tree_id": "t", "prompt": reply("prompter", "q", Value::Null, json!([
        reply("assistant", "second", json!(1), json!([])),
        reply("assistant", "first", json!(0), json!([reply("prompter", "q2", Value::Null, json!([
            reply("assistant", "a2", json!(0), json!([]))]))]))]))});
    let text = item.to_string();
    let conversation = read(&text);
    assert_eq!(paths(&conversation), Vec::<&str>::new());
    assert_eq!(told(&conversation), ["user q", "assistant first", "user q2", "assistant a2"]);
    assert_eq!(conversation.messages().count(), 5);
}

#[test]
fn a_format_that_is_named_refuses_what_has_none_of_its_keys() {
    for name in retort_formats::import::FORMATS.iter().map(|format| format.name()) {
        let format = retort_formats::import::by_name(name).unwrap();
        for item in [r#"{"a":1}"#, r#"{"id":"x","name":"n","title":"T"}"#, "{}"] {
            let read = format.read(item, &mut retort_formats::import::Notes::default());
            assert!(read.is_err(), "{name} takes {item}");
        }
    }
}

#[test]
fn one_coincidence_is_no_format() {
    use retort_formats::import::{ImportFormat, Sniff, recognise};
    let format = |item: Value| recognise(&Sniff::of(&item.to_string())).map(ImportFormat::name);
    // BerriAI/litellm#1498: rows of a proxy are no runs of a copilot.
    assert_eq!(
        format(
            json!({"request_id": "r", "call_type": "acompletion", "messages": "{}", "response": "{}"})
        ),
        None
    );
    assert_eq!(format(json!({"request_id": "r", "response": "a"})), None);
    assert_eq!(format(json!({"rounds": 3, "title": "T"})), None);
    assert_eq!(format(json!({"request_id": "r", "question": "q", "answer": "a"})), Some("runs"));
    assert_eq!(
        format(
            json!({"messages": [{"role": "user", "content": "q"}], "prompt": null, "temperature": 0.3})
        ),
        Some("openai")
    );
}

#[test]
fn tools_that_ran_in_a_chat_of_uiuc_are_accounted_for() {
    let with = |tool: Value| {
        json!({"convo": {"id": "u", "name": "n", "prompt": "", "temperature": 0, "folderId": null, "messages": [
            {"role": "user", "content": "q", "tools": [tool]}, {"role": "assistant", "content": "a"}]},
            "convo_id": "u", "course_name": "c"})
    };
    let arguments = json!({"a": 1});
    check(
        with(
            json!({"id": "i", "name": "add", "readableName": "Add", "aiGeneratedArgumentValues": arguments, "output": {"text": "2"}}),
        ),
        &["user q", "assistant  <add {\"a\":1}>", "tool i 2", "assistant a"],
    );
    check_not(
        with(
            json!({"id": "i", "name": "add", "aiGeneratedArgumentValues": arguments, "returned": {"text": "2"}}),
        ),
        &["convo.messages[0].tools[0].returned"],
    );
    check_not(
        with(
            json!({"id": "i", "label": "add", "aiGeneratedArgumentValues": arguments, "output": {"text": "2"}}),
        ),
        &["convo.messages[0].tools[0]"],
    );
}

#[test]
fn messages_that_name_what_they_follow_are_a_tree() {
    let message = |id: &str, parent: Value, role: &str| json!({"message_id": id, "parent_id": parent, "role": role, "text": id, "message_tree_id": "t"});
    let straight =
        json!([message("q", Value::Null, "prompter"), message("a", json!("q"), "assistant")]);
    check(straight, &["user q", "assistant a"]);
    let text = json!([
        message("q", Value::Null, "prompter"),
        message("a", json!("q"), "assistant"),
        message("b", json!("q"), "assistant"),
        message("q2", json!("a"), "prompter"),
        message("a2", json!("q2"), "assistant")
    ])
    .to_string();
    let conversation = read(&text);
    assert_eq!(paths(&conversation), Vec::<&str>::new());
    assert_eq!(told(&conversation), ["user q", "assistant a", "user q2", "assistant a2"]);
    assert_eq!(conversation.messages().count(), 5);
    let mut other = message("x", Value::Null, "prompter");
    other["message_tree_id"] = "u".into();
    let text = json!([
        message("q", Value::Null, "prompter"),
        message("a", json!("q"), "assistant"),
        other
    ])
    .to_string();
    let read =
        retort_formats::import::by_name("openai").unwrap().read(&text, &mut Default::default());
    assert_eq!(
        read.unwrap_err().message,
        "a list of messages that belong to several conversations"
    );
}

#[test]
fn text_of_the_system_is_found_beside_the_messages() {
    let messages = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]);
    let turns = json!([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]);
    let expected = ["system S", "user q", "assistant a"];
    for item in [
        json!({"messages": messages, "system_message": "S"}),
        json!({"messages": messages, "system_message": {"role": "system", "content": "S"}}),
        json!({"conversations": turns, "system_message": "S"}),
        json!({"instruction": "q", "output": "a", "system_message": "S"}),
        json!({"messages": messages, "chat_template_kwargs": {"custom_instructions": "S", "enable_thinking": true}}),
    ] {
        check(item, &expected);
    }
    let item = json!({"messages": messages, "chat_template_kwargs": {"custom_instructions": "", "enable_thinking": true}});
    check(item, &expected[1..]);
}

#[test]
fn an_answer_goes_on_where_the_request_began_it() {
    let asked = |more: Value| {
        let mut begun = json!({"role": "assistant", "content": "{"});
        begun.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{"role": "user", "content": "q"}, begun])
    };
    let rest = "\"a\": 1}";
    let anthropic = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": rest}]});
    let choices = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": rest}, "finish_reason": "stop"}]});
    let whole = ["user q", "assistant {\"a\": 1}"];
    let plain = json!({"model": "m", "messages": asked(json!({}))});
    let stream = [
        json!({"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": rest}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]
    .map(|event| format!("data: {event}\n\n"))
    .concat();
    for item in [
        json!({"request_body": plain, "response_body": anthropic}),
        json!({"request_body": plain, "response_body": anthropic.to_string()}),
        json!({"request": plain, "response": {"status_code": 200, "body": anthropic}}),
        json!({"request": plain, "response": stream}),
        json!({"messages": plain["messages"], "response": anthropic}),
        json!([{"custom_id": "1", "params": plain}, {"custom_id": "1", "result": {"type": "succeeded", "message": anthropic}}]),
        json!({"request": {"messages": asked(json!({"prefix": true}))}, "response": choices}),
        json!({"request": {"messages": asked(json!({"partial": true}))}, "response": choices}),
        json!({"request": {"messages": asked(json!({})), "continue_final_message": true}, "response": choices}),
        json!({"request": {"messages": asked(json!({})), "extra_body": {"continue_final_message": true}}, "response": choices}),
    ] {
        check(item.clone(), &whole);
        let rows = shape(&item, "openai", Default::default());
        assert_eq!(rows.findings(), "", "{item}");
        assert_eq!(rows.rows[0]["messages"][1]["content"], "{\"a\": 1}", "{item}");
    }
    // Calls after a beginning are the rest of its answer.
    let calls = json!({"type": "message", "role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]});
    check(json!({"request": plain, "response": calls}), &["user q", "assistant { <f {}>"]);
    // Nothing says that these go on.
    check(
        json!({"request": plain, "response": choices}),
        &["user q", "assistant {", "assistant \"a\": 1}"],
    );
    // What has no rest is not learnt.
    for item in [
        json!({"request": plain, "response": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}}),
        json!({"messages": asked(json!({"prefix": true})), "response": null}),
        json!({"messages": asked(json!({"prefix": true}))}),
    ] {
        assert_eq!(shape(&item, "openai", Default::default()).rows.len(), 0, "{item}");
    }
}

#[test]
fn an_answer_to_what_is_stored_elsewhere_is_not_understood() {
    let item = json!({"role": "assistant", "type": "message", "content": [{"type": "output_text", "text": "a"}]});
    let response = json!({"object": "response", "id": "r", "output": [item]});
    let with = |more: Value| {
        let mut whole = response.clone();
        whole["input"] = "And then?".into();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    check_not(with(json!({"previous_response_id": "resp_1"})), &["previous_response_id"]);
    check_not(with(json!({"conversation": {"id": "conv_1"}})), &["conversation"]);
    check_not(with(json!({"conversation": "conv_1"})), &["conversation"]);
    check(
        with(json!({"previous_response_id": null, "conversation": null})),
        &["user And then?", "assistant a"],
    );
    let request = json!({"input": "And then?", "previous_response_id": "resp_1"});
    check_not(json!({"request": request, "response": response}), &["request.previous_response_id"]);
    let mut later = response.clone();
    later["previous_response_id"] = "resp_1".into();
    check_not(
        json!({"request": {"input": "And then?"}, "response": later}),
        &["response.previous_response_id"],
    );
    check_not(
        json!({"request": {"contents": [{"role": "user", "parts": [{"text": "q"}]}], "cachedContent": "cachedContents/1"},
            "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}]}}),
        &["request.cachedContent"],
    );
}

#[test]
fn tools_of_mcp_servers_are_offered() {
    let tool = json!({"name": "roll", "description": "Rolls dice", "annotations": null,
        "input_schema": {"type": "object", "properties": {"dice": {"type": "string"}}}});
    let listed = json!({"type": "mcp_list_tools", "id": "l", "server_label": "d", "tools": [tool], "error": null});
    let ran = json!({"type": "mcp_call", "id": "c", "server_label": "d", "name": "roll", "arguments": "{\"dice\": \"2d4\"}", "output": "4"});
    let said = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Four."}]});
    let expected =
        ["user Roll.", "assistant <roll {\"dice\": \"2d4\"}>", "tool c 4", "assistant Four."];
    for item in [
        json!({"object": "response", "input": "Roll.", "output": [listed, ran, said]}),
        json!({"object": "response", "tools": [{"type": "mcp", "server_label": "d"}], "input": [
            {"role": "user", "content": "Roll."}, listed], "output": [listed, ran, said]}),
    ] {
        check(item.clone(), &expected);
        let text = item.to_string();
        let rows = shape_conversation(&read(&text), "chat", Default::default()).rows;
        let tools = rows[0]["tools"].to_string();
        assert_eq!(tools.matches("Rolls dice").count(), 1, "{tools}");
    }
}

#[test]
fn what_wildchat_has_beside_a_turn_is_bookkeeping() {
    let header =
        json!({"accept-language": "en-US,en;q=0.9", "user-agent": "Mozilla/5.0 (X11; Linux)"});
    let turn = |role: &str, content: &str| {
        json!({"role": role, "content": content, "country": "United States", "state": "New York", "hashed_ip": "a1b2", "header": header,
            "language": "English", "redacted": false, "toxic": false, "turn_identifier": 1, "timestamp": null})
    };
    check(
        json!({"conversation_hash": "h", "conversation": [turn("user", "q"), turn("assistant", "a")]}),
        &["user q", "assistant a"],
    );
    let mut odd = turn("user", "q");
    odd["header"]["note"] = "Answer in verse".into();
    check_not(json!({"conversation": [odd, turn("assistant", "a")]}), &["conversation[0].header"]);
}
