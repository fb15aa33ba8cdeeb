//! The rules of the openai data format: rows with nothing but messages and tools, as strict validators take them.

use std::collections::HashSet;

use crate::support::*;
use retort_formats::data::{Attachments, CallText, RowsPer, ShapeOptions, ToolsOf};
use retort_model::Check::{Off, Reject, Repair};
use serde_json::{Value, json};

const NO_RESULT: &str = r#"{"error":"no result recorded"}"#;
const JUST_ASKED: &str = "{\"a\":1}";

/// Holds a row to what OpenAI, Mistral and Together demand.
fn assert_trainable(row: &Value) {
    let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(keys == ["messages"] || keys == ["messages", "tools"], "{keys:?}");
    let messages = row["messages"].as_array().unwrap();
    let (mut ids, mut open) = (HashSet::new(), Vec::new());
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap();
        assert!(message["content"].is_string(), "{message}");
        assert!(role != "system" || index == 0, "{row}");
        if role == "tool" {
            assert_eq!(message["tool_call_id"], open.remove(0), "{row}");
            continue;
        }
        assert!(open.is_empty(), "a call without its results: {row}");
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let id = call["id"].as_str().unwrap();
            assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
            assert!(ids.insert(id.to_owned()), "twice in a row: {id}");
            assert_eq!(call["type"], "function");
            let arguments: Value =
                serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            assert!(arguments.is_object());
            open.push(call["id"].clone());
        }
    }
    assert_eq!(messages.last().unwrap()["role"], "assistant", "{row}");
}

fn check(input: &Value, rows: Value, findings: &str) {
    check_with(ShapeOptions::default(), input, rows, findings);
}

fn check_with(options: ShapeOptions, input: &Value, rows: Value, findings: &str) {
    let shaped = shape(input, "openai", options);
    shaped.rows.iter().for_each(assert_trainable);
    assert_matches(&json!(shaped.rows), &rows, &format!("rows of {input}"));
    assert_eq!(shaped.findings(), findings, "{input}");
}

fn with_tools(tools: Value, messages: &[Value]) -> Value {
    agent_rounds(json!([{"round": 1, "tools": tools, "messages": messages}]))
}

#[test]
fn a_row_without_tools_holds_messages_and_nothing_else() {
    let input = json!({"id": "x", "title": "T", "tags": ["t"], "model": "m", "messages": [say("developer", "S"), say("user", "q"), say("assistant", "a")]});
    let shaped = shape(&input, "openai", checked(Repair));
    assert_eq!(
        shaped.rows,
        [json!({"messages": [say("system", "S"), say("user", "q"), say("assistant", "a")]})]
    );
}

#[test]
fn calls_keep_their_text_and_results_and_get_ids_of_nine_characters() {
    let mut asks = call(&[
        ("toolu_01A-very_long_id", "f", r#"{"b": 1.50}"#),
        ("toolu_01A-very_long_id", "f", ""),
    ]);
    asks["content"] = json!("Let me look.");
    let id = "toolu_01A-very_long_id";
    check_with(
        filled(),
        &with_tools(
            json!([tool("f", "d")]),
            &[say("user", "q"), asks, result(id, "r1"), result(id, "r2"), say("assistant", "a")],
        ),
        json!([{"messages": [{"role": "user"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [
                {"id": "call00001", "type": "function", "function": {"name": "f", "arguments": {"b": 1.50}}},
                {"id": "call00002", "type": "function", "function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "tool_call_id": "call00001", "content": "r1"},
            {"role": "tool", "tool_call_id": "call00002", "content": "r2"},
            {"role": "assistant", "content": "a"}], "tools": [tool("f", "d")]}]),
        "repaired:filled-arguments",
    );
}

#[test]
fn text_beside_a_call_moves_to_extra_on_request() {
    let mut asks = call(&[("k", "f", "{}")]);
    asks["content"] = json!("Let me look.");
    let input = agent(&[say("user", "q"), asks, result("k", "r"), say("assistant", "a")]);
    let options = ShapeOptions { call_text: CallText::Extra, ..ShapeOptions::default() };
    let shaped = shape(&input, "openai", options);
    assert_eq!(shaped.rows[0]["messages"][1]["content"], "");
    assert_eq!(shaped.findings(), "repaired:declared-tool repaired:moved-call-text");
    let extra = shaped.outcome.records[0].extra.as_deref().unwrap();
    assert_eq!(extra, r#"{"turns":[{"at":1,"text":"Let me look.","call_ids":["k"]}]}"#);
}

#[test]
fn arguments_that_are_missing_leave_the_record_out_or_are_filled_where_none_are_required() {
    let needs = json!({"type": "function", "function": {"name": "f", "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}});
    for (tool, options, findings) in [
        (tool("f", "d"), ShapeOptions::default(), "left-out:missing-arguments"),
        (tool("f", "d"), filled(), "repaired:filled-arguments"),
        (needs, filled(), "left-out:missing-arguments"),
    ] {
        let input = with_tools(
            json!([tool]),
            &[say("user", "q"), call(&[("k", "f", "")]), result("k", "r"), say("assistant", "a")],
        );
        assert_eq!(shape(&input, "openai", options).findings(), findings);
    }
}

#[test]
fn an_error_of_a_tool_stands_in_its_result() {
    let failed = |content: &str, error: Value| json!({"role": "tool", "tool_call_id": "k", "content": content, "error": error});
    for (result, written) in [
        (failed("", json!("no such file")), "no such file"),
        (failed("half", json!("no such file")), "half\n\nno such file"),
        (failed("error: no such file", json!("no such file")), "error: no such file"),
        (failed("no such file", json!(true)), "no such file"),
    ] {
        let input = with_tools(
            json!([tool("f", "d")]),
            &[say("user", "q"), call(&[("k", "f", "{}")]), result, say("assistant", "a")],
        );
        check(&input, json!([{"messages": [{}, {}, {"content": written}, {}]}]), "");
    }
}

/// A line of Retort's own, which says of messages whatever the model knows.
fn line(messages: &[Value]) -> Value {
    json!({"retort": 1, "id": "x", "source": "s", "kind": "chat", "status": "active",
        "rounds": [{"number": 1, "messages": messages}]})
}

/// Report weight-zero.
#[test]
fn weights_are_written_back_and_answers_without_weight_are_context() {
    let weighed = |text: &str, weight: u8| json!({"role": "assistant", "content": text, "train": weight == 1});
    let input = |first: Value, second: Value| {
        line(&[say("user", "What is the capital of Peru?"), first, say("user", "Sure?"), second])
    };
    let first = input(weighed("Quito", 0), weighed("Lima", 1));
    check(
        &first,
        json!([{"messages": [{}, {"content": "Quito", "weight": 0}, {}, {"content": "Lima", "weight": 1}]}]),
        "repaired:kept-as-context",
    );
    let last = input(weighed("Lima", 1), weighed("Quito", 0));
    check(
        &last,
        json!([{"messages": [{}, {"content": "Lima", "weight": 1}, {}, {"content": "Quito", "weight": 0}]}]),
        "repaired:kept-as-context",
    );
    check(&input(weighed("Quito", 0), weighed("Cusco", 0)), json!([]), "left-out:not-to-learn");
    let plain =
        shape(&input(say("assistant", "Lima"), say("assistant", "Yes")), "openai", checked(Repair));
    assert!(!plain.text.contains("weight"), "{}", plain.text);
    for (input, findings) in
        [(&first, "left-out:not-to-learn"), (&last, "repaired:cut-not-to-learn")]
    {
        assert_eq!(shape(input, "standard", checked(Repair)).findings(), findings);
    }
    let shaped = shape(&first, "prompt-completion", checked(Repair));
    assert_eq!(shaped.rows[0]["completion"], json!([say("assistant", "Lima")]));
    assert_eq!(shaped.findings(), "repaired:kept-as-context");
}

/// Report finish-reason-length.
#[test]
fn an_answer_that_was_cut_off_is_never_learnt() {
    let input = |reason: &str| {
        let mut answer = say("assistant", "Once upon a");
        answer["finish_reason"] = json!(reason);
        line(&[say("user", "Tell a tale"), answer])
    };
    for format in ["openai", "standard", "prompt-completion"] {
        for reason in ["length", "content_filter"] {
            let shaped = shape(&input(reason), format, checked(Repair));
            assert_eq!(shaped.findings(), "left-out:cut-off-answer", "{format}");
        }
        let shaped = shape(&input("stop"), format, checked(Repair));
        assert_eq!(shaped.rows.len(), 1, "{format}");
    }
}

/// Report call-then-answer-without-result.
#[test]
fn an_answer_behind_a_call_without_a_result_is_not_learnt_and_no_result_is_invented() {
    let input = with_tools(
        json!([tool("quote", "d")]),
        &[say("user", "Price?"), call(&[("k", "quote", JUST_ASKED)]), say("assistant", "It is 5.")],
    );
    for format in ["openai", "standard", "prompt-completion"] {
        let shaped = shape(&input, format, checked(Repair));
        assert!(!shaped.text.contains("no result recorded"), "{}", shaped.text);
        assert_eq!(shaped.findings(), "repaired:cut-unfinished-call");
        let text = shaped.text.split("\"extra\"").next().unwrap();
        assert!(!text.contains("It is 5."), "{text}");
        assert_eq!(shape(&input, format, checked(Reject)).findings(), "left-out:needs-repair");
        assert!(shape(&input, format, filled()).text.contains("no result recorded"));
    }
}

#[test]
fn a_call_of_a_simulated_user_is_kept_beside_the_data() {
    let mut asks = call(&[("k", "f", "{\"n\":1}")]);
    asks["role"] = json!("user");
    asks["content"] = json!("q");
    let shaped = shape(&agent(&[asks, say("assistant", "a")]), "openai", checked(Repair));
    let extra = shaped.outcome.records[0].extra.as_deref().unwrap();
    assert_eq!(
        extra,
        r#"{"turns":[{"at":0,"calls":[{"id":"k","name":"f","arguments":"{\"n\":1}"}]}]}"#
    );
}

#[test]
fn what_a_row_may_not_hold_is_kept_beside_the_data() {
    let mut asks = call(&[("k", "f", "{}")]);
    asks["content"] = json!("Let me look.");
    asks["reasoning_content"] = json!("hm");
    let shaped = shape(
        &agent(&[say("user", "q"), asks, result("k", "r"), say("assistant", "a")]),
        "openai",
        checked(Repair),
    );
    let extra = shaped.outcome.records[0].extra.as_deref().unwrap();
    assert_eq!(extra, r#"{"turns":[{"at":1,"call_ids":["k"],"reasoning":"hm"}]}"#);
}

#[test]
fn arguments_are_the_text_that_the_model_wrote() {
    let arguments = r#"{"b": 1.50, "a": "<x>"}"#;
    let shaped = shape(
        &agent(&[
            say("user", "q"),
            call(&[("k", "f", arguments)]),
            result("k", "r"),
            say("assistant", "a"),
        ]),
        "openai",
        checked(Repair),
    );
    assert_eq!(shaped.rows[0]["messages"][1]["tool_calls"][0]["function"]["arguments"], arguments);
}

#[test]
fn results_out_of_order_follow_their_calls_in_order() {
    let calls = call(&[("k1", "f", "{}"), ("k2", "g", "{}"), ("k3", "h", "{}")]);
    check_with(
        filled(),
        &with_tools(
            json!([tool("f", "d"), tool("g", "d"), tool("h", "d")]),
            &[
                say("user", "q"),
                calls,
                result("k3", "three"),
                result("k1", "one"),
                say("assistant", "a"),
            ],
        ),
        json!([{"messages": [{}, {}, {"content": "one"}, {"content": NO_RESULT}, {"content": "three"}, {}]}]),
        "repaired:added-missing-result",
    );
}

#[test]
fn without_ids_a_result_answers_the_call_of_its_tool() {
    let calls = call(&[("", "f", "{}"), ("", "g", "{}"), ("", "g", "{}")]);
    let of = |name: &str, text: &str| json!({"role": "tool", "name": name, "content": text});
    check(
        &with_tools(
            json!([tool("f", "d"), tool("g", "d")]),
            &[
                say("user", "q"),
                calls,
                of("g", "1"),
                of("f", "2"),
                of("g", "3"),
                say("assistant", "a"),
            ],
        ),
        json!([{"messages": [{}, {}, {"content": "2"}, {"content": "1"}, {"content": "3"}, {}]}]),
        "",
    );
}

#[test]
fn tools_are_nested_however_the_source_had_them() {
    let flat = json!([{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}, {"type": "function", "name": "g"}]);
    check(
        &with_tools(flat, &[say("user", "q"), say("assistant", "a")]),
        json!([{"tools": [tool("f", "d"), tool("g", "")]}]),
        "repaired:mended-tools",
    );
}

#[test]
fn names_are_sanitised_alike_in_definitions_and_calls_and_the_mapping_is_told() {
    let long = "n".repeat(70);
    for name in ["fs.read/file", "read file", "читать", &long] {
        let input = with_tools(
            json!([tool(name, "d")]),
            &[
                say("user", "q"),
                call(&[("k", name, "{}")]),
                result("k", "r"),
                say("assistant", "a"),
            ],
        );
        let shaped = shape(&input, "openai", checked(Repair));
        let defined = shaped.rows[0]["tools"][0]["function"]["name"].as_str().unwrap();
        assert_eq!(shaped.rows[0]["messages"][1]["tool_calls"][0]["function"]["name"], defined);
        assert!(
            defined.len() <= 64
                && defined.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
            "{defined}"
        );
        assert_eq!(shaped.outcome.renamed_tools, [(name.to_owned(), defined.to_owned())]);
        assert_eq!(shaped.findings(), "repaired:renamed-tool");
    }
}

#[test]
fn two_names_that_sanitise_to_one_stay_two() {
    let calls = call(&[("1", "a.b", "{}"), ("2", "a/b", "{}"), ("3", "a_b", "{}")]);
    let input = with_tools(
        json!([tool("a.b", "1"), tool("a/b", "2"), tool("a_b", "3")]),
        &[
            say("user", "q"),
            calls,
            result("1", "r"),
            result("2", "r"),
            result("3", "r"),
            say("assistant", "a"),
        ],
    );
    let row = &shape(&input, "openai", checked(Repair)).rows[0];
    let defined: Vec<_> =
        row["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    let called: Vec<_> = row["messages"][1]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["function"]["name"])
        .collect();
    assert_eq!(defined, called);
    assert_eq!(
        defined.iter().map(|name| name.as_str().unwrap()).collect::<HashSet<_>>().len(),
        3,
        "{defined:?}"
    );
    assert_eq!(*defined[2], "a_b", "a name that is valid stays");
}

#[test]
fn a_tool_that_was_called_and_never_defined_is_declared() {
    check(
        &agent(&[
            say("user", "q"),
            call(&[("k", "f", "{}")]),
            result("k", "r"),
            say("assistant", "a"),
        ]),
        json!([{"tools": [tool("f", "")]}]),
        "repaired:declared-tool",
    );
}

#[test]
fn named_speakers_are_no_attempts_at_one_answer() {
    let named =
        |name: &str, text: &str| json!({"role": "assistant", "name": name, "content": text});
    let chat = |answers: &[Value]| {
        let messages = [&[say("user", "Plan a trip.")], answers].concat();
        json!({"id": "c-1", "messages": messages})
    };
    let other = chat(&[
        named("Planner", "Two days."),
        named("Critic", "Too few."),
        named("Planner", "Three."),
    ]);
    check(&other, json!([]), "left-out:unknown-role");
    let same = chat(&[named("Planner", "Two days."), named("Planner", "Three.")]);
    let kept = json!([{"messages": [say("user", "Plan a trip."), {"role": "assistant", "content": "Three."}]}]);
    check(&same, kept, "repaired:cut-attempt");
}

#[test]
fn unfinished_exchanges_are_cut_whole() {
    let called = [say("user", "q1"), call(&[("k", "f", "{}")])];
    let tools = || json!([tool("f", "d")]);
    check(
        &with_tools(tools(), &[&called[..], &[say("user", "q2"), say("assistant", "a")]].concat()),
        json!([{"messages": [say("user", "q1\n\nq2"), say("assistant", "a")]}]),
        "repaired:cut-unfinished-call repaired:merged-turns",
    );
    // The model had seen the result that the row cannot have before the question.
    let seen =
        [&called[..], &[result("k", "r"), say("user", "q2"), say("assistant", "a")]].concat();
    check(&with_tools(tools(), &seen), json!([]), "left-out:missing-result");
    check(
        &with_tools(tools(), &[&seen[..], &[say("user", "q3"), say("assistant", "b")]].concat()),
        json!([{"messages": [say("user", "q1\n\nq2"), {"role": "assistant", "content": "a", "weight": 0},
            say("user", "q3"), say("assistant", "b")]}]),
        "repaired:cut-unfinished-call repaired:merged-turns repaired:kept-as-context",
    );
}

#[test]
fn what_may_not_be_empty_is_cut_or_marked_on_request() {
    let empty = [say("user", ""), say("assistant", "a")];
    check(&agent(&empty), json!([]), "left-out:no-answer");
    check(
        &agent(&[say("user", "q1"), say("assistant", "a1"), empty[0].clone(), empty[1].clone()]),
        json!([{"messages": [say("user", "q1"), say("assistant", "a1")]}]),
        "repaired:cut-empty-question",
    );
    check_with(
        filled(),
        &with_tools(
            json!([tool("f", "d")]),
            &[say("user", ""), call(&[("k", "f", "{}")]), result("k", ""), say("assistant", "a")],
        ),
        json!([{"messages": [say("user", "[empty]"), {"content": ""}, {"role": "tool", "content": "\"\""}, say("assistant", "a")]}]),
        "repaired:marked-empty",
    );
    let image = json!([{"type": "image_url", "image_url": {"url": "x"}}]);
    check_with(
        ShapeOptions { attachments: Attachments::Drop, ..filled() },
        &agent(&[say("user", image), say("assistant", "a")]),
        json!([{"messages": [say("user", "[attachment]"), {}]}]),
        "repaired:marked-empty warns:attachment-left-behind",
    );
}

#[test]
fn reject_mends_nothing_and_off_writes_what_is_there() {
    let input = agent(&[
        say("user", "q"),
        call(&[("k.1", "f.g", "{}")]),
        result("k.1", "r"),
        say("assistant", "a"),
    ]);
    let rejected = shape(&input, "openai", checked(Reject));
    assert_eq!((rejected.rows.len(), rejected.findings().as_str()), (0, "left-out:needs-repair"));
    let written = shape(&input, "openai", checked(Off));
    assert_matches(
        &written.rows[0],
        &json!({"messages": [{}, {"tool_calls": [{"id": "k.1", "function": {"name": "f.g"}}]}, {"tool_call_id": "k.1"}, {}]}),
        "row",
    );
    assert_eq!(written.findings(), "needs:declared-tool needs:renamed-tool");
}

#[test]
fn arguments_that_are_no_json_leave_the_row_out() {
    let input = agent(&[
        say("user", "q"),
        call(&[("k", "f", "print('x')")]),
        result("k", "r"),
        say("assistant", "a"),
    ]);
    for how in [Repair, Reject] {
        assert_eq!(shape(&input, "openai", checked(how)).findings(), "left-out:arguments-not-json");
    }
}

#[test]
fn a_row_can_have_only_the_tools_offered_for_its_last_answer() {
    let tool = |name: &str, about: &str| {
        json!({"type": "function", "function": {"name": name, "description": about,
        "parameters": {"type": "object", "properties": {}}}})
    };
    let line = json!({"retort": 1, "id": "c", "source": "s", "kind": "agent", "status": "active", "rounds": [
        {"number": 1, "tools": [tool("search", "old"), tool("mail", "m")], "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "name": "search", "arguments": "{}"}]},
            {"role": "tool", "tool_call_id": "1", "content": "b"}, {"role": "assistant", "content": "c"}]},
        {"number": 2, "tools": [tool("pay", "p")], "messages": [
            {"role": "user", "content": "d"}, {"role": "assistant", "content": "e"}]},
        {"number": 3, "messages": [{"role": "user", "content": "f"}, {"role": "assistant", "content": "g"}]},
    ]})
    .to_string();
    let conversation = retort_model::canonical::read(&line).expect("a line");
    let names = |rows, tools_of| -> Vec<Vec<String>> {
        let options = ShapeOptions { rows, tools_of, ..ShapeOptions::default() };
        let shaped = shape_conversation(&conversation, "openai", options);
        let name = |tool: &Value| tool["function"]["name"].as_str().map(str::to_owned);
        let names =
            |row: &Value| row["tools"].as_array().into_iter().flatten().filter_map(name).collect();
        shaped.rows.iter().map(names).collect()
    };
    let all = ["search", "mail", "pay"];
    assert_eq!(names(RowsPer::Answer, ToolsOf::Conversation), [all; 4]);
    assert_eq!(
        names(RowsPer::Answer, ToolsOf::Answer),
        [
            vec!["search", "mail"],
            vec!["search", "mail"],
            vec!["search", "pay"],
            vec!["search", "pay"]
        ]
    );
    assert_eq!(names(RowsPer::Conversation, ToolsOf::Answer), [["search", "pay"]]);
}
