//! The rules of the standard data format, one case a rule: an input's JSON, and the records it makes.

use crate::support::*;
use retort_formats::data::{Attachments, ShapeOptions};
use retort_model::Check::{self, Off, Reject, Repair};
use serde_json::{Value, json};

const COLUMNS: [&str; 7] =
    ["data_source", "ability", "messages", "tools", "model", "conversation_id", "extra"];

/// The rows, as far as `rows` names their keys (messages as `[role, content]`), and the findings.
fn check_with(options: ShapeOptions, input: &Value, rows: Value, findings: &str) {
    let shaped = shape(input, "standard", options);
    for row in &shaped.rows {
        assert_eq!(row.as_object().unwrap().len(), COLUMNS.len());
        for message in row["messages"].as_array().unwrap() {
            assert_eq!(
                message.as_object().unwrap().len(),
                2,
                "exactly role and content: {message}"
            );
            assert!(message["role"].is_string() && message["content"].is_string(), "{message}");
        }
        for column in ["data_source", "model", "conversation_id", "extra"] {
            assert!(row[column].is_string(), "{column}: {row}");
        }
    }
    if !shaped.rows.is_empty() {
        assert_eq!(shaped.keys(), COLUMNS);
    }
    let pairs = |mut row: Value| {
        let messages = row["messages"].as_array().unwrap();
        row["messages"] = messages.iter().map(|m| json!([m["role"], m["content"]])).collect();
        row
    };
    let found: Value = shaped.rows.iter().cloned().map(pairs).collect();
    assert_matches(&found, &rows, &format!("rows of {input}"));
    assert_eq!(shaped.findings(), findings, "{input}");
}

fn check(input: &Value, rows: Value, findings: &str) {
    check_with(ShapeOptions::default(), input, rows, findings);
}

fn check_as(check: Check, input: &Value, rows: Value, findings: &str) {
    check_with(checked(check), input, rows, findings);
}

fn qa() -> [Value; 2] {
    [say("user", "q"), say("assistant", "a")]
}

#[test]
fn a_chat_is_one_record_of_seven_columns() {
    let input = json!({"id": "x", "title": "T", "tags": ["t1", "t2"], "model": "m",
        "messages": [say("system", "S"), say("user", "q"), say("assistant", "a")]});
    check(
        &input,
        json!([{"data_source": "chat", "ability": ["t1", "t2"], "messages": [["system", "S"], ["user", "q"], ["assistant", "a"]],
            "tools": "", "model": "m", "conversation_id": "x", "extra": ""}]),
        "",
    );
}

#[test]
fn the_rounds_of_an_agent_are_merged_into_one_record_with_its_last_model() {
    let input = agent_rounds(json!([
        {"round": 1, "model": "m1", "messages": [say("system", "S"), say("user", "q1"), say("assistant", "a1")]},
        {"round": 2, "messages": []},
        {"round": 3, "model": "m2", "messages": [say("system", "S"), say("user", "q2"), say("assistant", "a2")]},
        {"round": 4, "model": "", "messages": [say("user", "q3"), say("assistant", "a3")]},
    ]));
    let turns = json!([
        ["system", "S"],
        ["user", "q1"],
        ["assistant", "a1"],
        ["user", "q2"],
        ["assistant", "a2"],
        ["user", "q3"],
        ["assistant", "a3"]
    ]);
    check(&input, json!([{"data_source": "agent", "messages": turns, "model": "m2"}]), "");
}

#[test]
fn a_graph_is_one_record_a_round_but_for_every_start_and_extra_tells_them_apart() {
    let start = |number| json!({"round": number, "node_name": "start", "messages": [say("user", "go")], "tools": []});
    let node = |number, name, model| json!({"round": number, "node_name": name, "agent_name": "bot", "model": model, "messages": qa()});
    let input = graph(json!([
        start(1),
        node(2, "plan", "m1"),
        start(3),
        node(4, "write", "m2"),
        node(5, "write", "m2")
    ]));
    check(
        &input,
        json!([
            {"data_source": "graph", "ability": ["Agent graph"], "conversation_id": "g-1", "model": "m1", "extra": {"round": 2, "node": "plan", "agent": "bot"}},
            {"conversation_id": "g-1", "model": "m2", "extra": {"round": 4, "node": "write"}},
            {"conversation_id": "g-1", "model": "m2", "extra": {"round": 5, "node": "write"}},
        ]),
        "",
    );
}

#[test]
fn round_one_of_a_graph_is_the_start_where_nodes_have_no_names() {
    let input = graph(json!([{"round": 1, "messages": qa()}, {"round": 2, "messages": qa()}]));
    check(&input, json!([{"extra": {"round": 2}}]), "");
    let named = graph(json!([{"round": 1, "node_name": "plan", "messages": qa()}]));
    check(&named, json!([{"extra": {"round": 1, "node": "plan"}}]), "");
}

#[test]
fn a_graph_with_nothing_after_its_start_is_left_out_with_that_reason() {
    let input = graph(
        json!([{"round": 1, "node_name": "start", "messages": [say("user", "go")]}, {"round": 2, "node_name": "n", "messages": []}]),
    );
    check(&input, json!([]), "left-out:only-start-round");
}

#[test]
fn each_round_of_a_graph_has_its_own_last_system_and_its_own_tools() {
    let round = |number, system: &str, tool_name| {
        json!({"round": number, "node_name": "n", "tools": [tool(tool_name, "d"), tool(tool_name, "d")],
            "messages": [say("system", "old"), say("user", "q"), say("system", system), say("assistant", "a")]})
    };
    check(
        &graph(json!([round(2, "S2", "f"), round(3, "S3", "g")])),
        json!([
            {"messages": [["system", "S2"], ["user", "q"], ["assistant", "a"]], "tools": [tool("f", "d")], "extra": {"other_systems": ["old"]}},
            {"messages": [["system", "S3"], ["user", "q"], ["assistant", "a"]], "tools": [tool("g", "d")]},
        ]),
        "repaired:moved-system repaired:replaced-system repaired:moved-system repaired:replaced-system",
    );
}

#[test]
fn only_the_last_system_message_is_kept_and_is_the_first_message() {
    let input =
        agent(&[say("system", "S1"), say("system", "S2"), say("user", "q"), say("assistant", "a")]);
    for how in [Repair, Reject, Off] {
        check_as(
            how,
            &input,
            json!([{"messages": [["system", "S2"], ["user", "q"], ["assistant", "a"]], "extra": {"other_systems": ["S1"]}}]),
            "repaired:replaced-system",
        );
    }
    let late =
        agent(&[say("system", "S1"), say("user", "q"), say("system", "S2"), say("assistant", "a")]);
    check(
        &late,
        json!([{"messages": [["system", "S2"], ["user", "q"], ["assistant", "a"]],
            "extra": {"other_systems": ["S1"], "system_from": 2}}]),
        "repaired:moved-system repaired:replaced-system",
    );
    check_as(Reject, &late, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &late,
        json!([{"messages": [["system", "S1"], ["user", "q"], ["system", "S2"], ["assistant", "a"]], "extra": ""}]),
        "needs:moved-system",
    );
    let same = agent(&[
        say("system", "S"),
        say("user", "q"),
        say("assistant", "a"),
        say("system", "S"),
        say("user", "r"),
        say("assistant", "b"),
    ]);
    check(
        &same,
        json!([{"messages": [["system", "S"], ["user", "q"], ["assistant", "a"], ["user", "r"], ["assistant", "b"]], "extra": ""}]),
        "",
    );
    check(&agent(&qa()), json!([{"messages": [["user", "q"], ["assistant", "a"]]}]), "");
}

#[test]
fn tools_are_unique_and_of_two_definitions_of_a_name_the_later_wins() {
    let rounds = |second: Value| {
        agent_rounds(json!([
            {"round": 1, "tools": [tool("f", "old"), tool("g", "d")], "messages": qa()},
            {"round": 2, "tools": second, "messages": qa()},
        ]))
    };
    check(
        &rounds(json!([tool("g", "d"), tool("f", "old")])),
        json!([{"tools": [tool("f", "old"), tool("g", "d")]}]),
        "",
    );
    check(
        &rounds(json!([tool("f", "new")])),
        json!([{"tools": [tool("f", "new"), tool("g", "d")]}]),
        "repaired:replaced-tool",
    );
}

#[test]
fn tools_are_json_text_and_empty_text_where_there_are_none() {
    let with = |tools: Value| agent_rounds(json!([{"round": 1, "tools": tools, "messages": qa()}]));
    check(&with(json!([])), json!([{"tools": ""}]), "");
    check(&with(Value::Null), json!([{"tools": ""}]), "");
    assert!(
        shape(&with(json!([tool("f", "d")])), "standard", checked(Repair)).rows[0]["tools"]
            .is_string()
    );
}

#[test]
fn as_an_array_tools_are_one_even_where_there_are_none() {
    let options =
        ShapeOptions { tools: retort_formats::data::ToolsAs::Array, ..ShapeOptions::default() };
    let with = |tools: Value| {
        shape(
            &agent_rounds(json!([{"round": 1, "tools": tools, "messages": qa()}])),
            "standard",
            options.clone(),
        )
    };
    assert_eq!(with(json!([])).rows[0]["tools"], json!([]));
    assert_eq!(with(json!([tool("f", "d")])).rows[0]["tools"], json!([tool("f", "d")]));
}

#[test]
fn tool_definitions_get_what_trainers_demand() {
    let input = agent_rounds(json!([{"round": 1, "messages": qa(), "tools": [
        {"type": "function", "function": {"name": "f", "description": null, "parameters": {"properties": {"a": true, "b": {"enum": [1, "x"]}}}}},
    ]}]));
    let whole = json!([{"type": "function", "function": {"name": "f", "description": "",
        "parameters": {"type": "object", "properties": {"a": {}, "b": {"enum": ["1", "x"]}}}}}]);
    check(&input, json!([{"tools": whole}]), "repaired:mended-tools");
    check_as(Reject, &input, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &input,
        json!([{"tools": [{"function": {"name": "f", "description": null}}]}]),
        "needs:mended-tools",
    );
}

#[test]
fn a_tool_without_a_name_goes_to_extra() {
    let input = agent_rounds(
        json!([{"round": 1, "messages": qa(), "tools": [{"type": "web_search"}, tool("f", "d")]}]),
    );
    check(
        &input,
        json!([{"tools": [tool("f", "d")], "extra": {"other_tools": [{"type": "web_search"}]}}]),
        "repaired:dropped-tool",
    );
}

#[test]
fn calls_are_function_call_messages_whose_content_is_the_json_text_of_the_calls() {
    let arguments = r#"{"b": 1.50, "a": "<think>"}"#;
    let input = agent(&[
        say("user", "q"),
        call(&[("k1", "f", arguments)]),
        result("k1", "<r>"),
        say("assistant", "a"),
    ]);
    let written = r#"[{"name": "f", "arguments": {"b": 1.50, "a": "\u003cthink>"}}]"#;
    for how in [Repair, Reject, Off] {
        check_as(
            how,
            &input,
            json!([{"messages": [["user", "q"], ["function_call", written], ["tool", "<r>"], ["assistant", "a"]],
                "extra": {"turns": [{"at": 1, "call_ids": ["k1"]}]}}]),
            "",
        );
    }
}

#[test]
fn text_and_reasoning_beside_a_call_go_to_extra() {
    let mut asks = call(&[("k1", "f", "{}")]);
    asks["content"] = json!("Let me look.");
    asks["reasoning_content"] = json!("I need f.");
    check(
        &agent(&[say("user", "q"), asks, result("k1", "r"), say("assistant", "a")]),
        json!([{"messages": [["user", "q"], ["function_call", r#"[{"name": "f", "arguments": {}}]"#], ["tool", "r"], ["assistant", "a"]],
            "extra": {"turns": [{"at": 1, "text": "Let me look.", "call_ids": ["k1"], "reasoning": "I need f."}]}}]),
        "repaired:moved-call-text warns:reasoning-left-behind",
    );
}

#[test]
fn parallel_results_are_one_message_in_the_order_of_the_calls() {
    let calls = call(&[("k1", "f", "{}"), ("k2", "g", "{}")]);
    let input = agent(&[
        say("user", "q"),
        calls,
        result("k2", "two"),
        result("k1", "{\"one\":1}"),
        say("assistant", "a"),
    ]);
    let joined = r#"[{"one":1}, "two"]"#;
    check(
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{"name": "f"}, {"name": "g"}]], ["tool", joined], ["assistant", "a"]],
            "extra": {"turns": [{"at": 1}, {"at": 2, "results": [{"id": "k2", "content": "two"}, {"id": "k1", "content": "{\"one\":1}"}]}]}}]),
        "repaired:joined-results",
    );
    check_as(Reject, &input, json!([]), "left-out:needs-repair");
    let apart = json!([
        ["user", "q"],
        ["function_call", [{}, {}]],
        ["tool", "two"],
        ["tool", "{\"one\":1}"],
        ["assistant", "a"]
    ]);
    check_as(Off, &input, json!([{"messages": apart}]), "needs:joined-results");
}

#[test]
fn a_row_whose_parallel_results_are_joined_already_stays_as_it_is() {
    // As LLaMA-Factory's own datasets have it: two calls in one message, their results in one observation.
    let input = json!({"id": "s", "conversations": [
        {"from": "human", "value": "q"},
        {"from": "function_call", "value": r#"[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]"#},
        {"from": "observation", "value": "[1, 2]"},
        {"from": "gpt", "value": "a"},
    ]});
    check(
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{"name": "f"}, {"name": "g"}]], ["tool", "[1, 2]"], ["assistant", "a"]]}]),
        "",
    );
}

#[test]
fn a_call_without_a_result_gets_one_that_says_so_on_request() {
    let input = agent(&[say("user", "q"), call(&[("k1", "f", "{}")]), say("assistant", "a")]);
    let none = r#"{"error":"no result recorded"}"#;
    check(
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{}]]], "extra": {"cut": [{"before": 2, "content": "a"}]}}]),
        "repaired:cut-unfinished-call",
    );
    check_with(
        filled(),
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{}]], ["tool", none], ["assistant", "a"]]}]),
        "repaired:added-missing-result",
    );
    check_as(Reject, &input, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{}]], ["assistant", "a"]]}]),
        "needs:cut-unfinished-call unfit:missing-result",
    );
}

#[test]
fn a_result_without_a_call_is_cut_and_kept_in_extra() {
    let input = agent(&[say("user", "q"), result("k9", "r"), say("assistant", "a")]);
    check(
        &input,
        json!([{"messages": [["user", "q"], ["assistant", "a"]], "extra": {"cut": [{"before": 1, "role": "tool", "content": "r", "tool_call_id": "k9"}]}}]),
        "repaired:cut-orphan-result",
    );
    check_as(Reject, &input, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &input,
        json!([{"messages": [["user", "q"], ["tool", "r"], ["assistant", "a"]]}]),
        "needs:cut-orphan-result",
    );
}

#[test]
fn consecutive_questions_are_joined_and_of_consecutive_answers_the_last_counts() {
    let input = agent(&[
        say("user", "q1"),
        say("user", "q2"),
        say("assistant", "a1"),
        say("assistant", "a2"),
    ]);
    check(
        &input,
        json!([{"messages": [["user", "q1\n\nq2"], ["assistant", "a2"]],
            "extra": {"turns": [{"at": 0, "joined": ["q1", "q2"]}], "cut": [{"before": 1, "content": "a1"}]}}]),
        "repaired:merged-turns repaired:cut-attempt",
    );
    check_as(Reject, &input, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &input,
        json!([{"messages": [["user", "q1"], ["user", "q2"], ["assistant", "a1"], ["assistant", "a2"]]}]),
        "needs:merged-turns needs:cut-attempt",
    );
}

#[test]
fn a_trailing_question_and_a_greeting_are_cut_and_kept_in_extra() {
    let trailing =
        agent(&[say("system", "S"), say("user", "q"), say("assistant", "a"), say("user", "r")]);
    check(
        &trailing,
        json!([{"messages": [["system", "S"], ["user", "q"], ["assistant", "a"]], "extra": {"cut": [{"before": 3, "role": "user", "content": "r"}]}}]),
        "repaired:cut-end",
    );
    check_as(Reject, &trailing, json!([]), "left-out:needs-repair");
    check_as(
        Off,
        &trailing,
        json!([{"messages": [["system", "S"], ["user", "q"], ["assistant", "a"], ["user", "r"]]}]),
        "needs:cut-end",
    );
    let greeting = agent(&[say("assistant", "Hi!"), say("user", "q"), say("assistant", "a")]);
    check(
        &greeting,
        json!([{"messages": [["user", "q"], ["assistant", "a"]], "extra": {"cut": [{"before": 0, "role": "assistant", "content": "Hi!"}]}}]),
        "repaired:cut-greeting",
    );
    check_as(
        Off,
        &greeting,
        json!([{"messages": [["assistant", "Hi!"], ["user", "q"], ["assistant", "a"]]}]),
        "needs:cut-greeting",
    );
}

#[test]
fn a_round_that_ends_on_a_result_is_cut_back_to_its_call() {
    let input = agent(&[say("user", "q"), call(&[("k1", "f", "{}")]), result("k1", "r")]);
    check(
        &input,
        json!([{"messages": [["user", "q"], ["function_call", [{"name": "f", "arguments": {}}]]],
            "extra": {"cut": [{"before": 2, "role": "tool", "content": "r", "tool_call_id": "k1"}]}}]),
        "repaired:cut-end",
    );
}

#[test]
fn what_has_nothing_to_learn_from_is_left_out() {
    for (messages, reason) in [
        (vec![say("user", "q")], "no-answer"),
        (vec![say("assistant", "a")], "no-answer"),
        (vec![say("system", "S")], "no-messages"),
        (vec![say("user", "q"), say("assistant", "")], "no-answer"),
    ] {
        for how in [Repair, Reject] {
            check_as(how, &agent(&messages), json!([]), &format!("left-out:{reason}"));
        }
    }
    check(&agent_rounds(json!([])), json!([]), "left-out:no-messages");
    check(&agent_rounds(json!([{"round": 1, "messages": []}])), json!([]), "left-out:no-messages");
    check_as(
        Off,
        &agent(&[say("user", "q")]),
        json!([{"messages": [["user", "q"]]}]),
        "needs:cut-end unfit:no-answer",
    );
}

#[test]
fn arguments_that_are_no_object_leave_the_record_out_or_are_wrapped_on_request() {
    let with = |arguments: &str| {
        agent(&[
            say("user", "q"),
            call(&[("k1", "f", arguments)]),
            result("k1", "r"),
            say("assistant", "a"),
        ])
    };
    for (arguments, reason) in [
        ("{'a': 1}", "arguments-not-json"),
        ("{\"a\": 1", "arguments-not-json"),
        ("[1]", "arguments-not-an-object"),
        ("null", "arguments-not-an-object"),
    ] {
        check(&with(arguments), json!([]), &format!("left-out:{reason}"));
        check_as(Reject, &with(arguments), json!([]), &format!("left-out:{reason}"));
        let wrapped = json!([{"messages": [["user", "q"], ["function_call", [{"name": "f", "arguments": {"_raw": arguments}}]], ["tool", "r"], ["assistant", "a"]]}]);
        check_with(
            ShapeOptions { wrap_arguments: true, ..ShapeOptions::default() },
            &with(arguments),
            wrapped,
            "repaired:wrapped-arguments",
        );
        // Off writes the text that the model wrote: valid in type, and counted.
        let as_text = json!([{"messages": [["user", "q"], ["function_call", [{"name": "f", "arguments": arguments}]], ["tool", "r"], ["assistant", "a"]]}]);
        let shaped = shape(&with(arguments), "standard", checked(Off));
        assert_eq!(shaped.findings(), format!("unfit:{reason}"));
        let content = shaped.rows[0]["messages"][1]["content"].as_str().unwrap();
        let calls: Value = serde_json::from_str(content).unwrap();
        assert_eq!(
            calls,
            json!([{"name": "f", "arguments": as_text[0]["messages"][1][1][0]["arguments"]}])
        );
    }
    check(&with(""), json!([]), "left-out:missing-arguments");
    check_with(
        filled(),
        &with(""),
        json!([{"messages": [["user", "q"], ["function_call", [{"name": "f", "arguments": {}}]], ["tool", "r"], ["assistant", "a"]]}]),
        "repaired:filled-arguments",
    );
}

#[test]
fn content_that_is_null_or_empty_is_never_null() {
    let input = |answer: Value| {
        agent(&[
            say("user", "q"),
            say("assistant", "a"),
            say("user", "r"),
            say("assistant", answer),
        ])
    };
    for empty in [Value::Null, json!(""), json!(" \n"), json!([])] {
        check(
            &input(empty.clone()),
            json!([{"messages": [["user", "q"], ["assistant", "a"]]}]),
            "repaired:cut-empty-answer repaired:cut-end",
        );
        check_as(Reject, &input(empty.clone()), json!([]), "left-out:needs-repair");
        let written = if empty == json!(" \n") { " \n" } else { "" };
        check_as(
            Off,
            &input(empty),
            json!([{"messages": [["user", "q"], ["assistant", "a"], ["user", "r"], ["assistant", written]]}]),
            "needs:cut-empty-answer needs:cut-end",
        );
    }
    check(
        &agent(&[say("user", Value::Null), say("assistant", "a")]),
        json!([{"messages": [["user", ""], ["assistant", "a"]]}]),
        "warns:empty-question",
    );
}

#[test]
fn an_answer_to_an_image_is_not_learnt_unless_the_image_is_dropped() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
    let input = agent(&[
        say(
            "user",
            json!([image, {"type": "text", "text": "What is it?"}, {"type": "text", "text": "And why?"}]),
        ),
        say("assistant", "a"),
    ]);
    check(&input, json!([]), "left-out:needs-attachment");
    check_as(
        Off,
        &input,
        json!([{"messages": [["user", "What is it?\nAnd why?"], ["assistant", "a"]]}]),
        "unfit:needs-attachment warns:attachment-left-behind",
    );
    check_with(
        ShapeOptions { attachments: Attachments::Drop, ..ShapeOptions::default() },
        &input,
        json!([{"messages": [["user", "What is it?\nAnd why?"], ["assistant", "a"]], "extra": {"turns": [{"at": 0, "attachments": [image]}]}}]),
        "warns:attachment-left-behind",
    );
}

#[test]
fn template_marks_are_warned_of_and_left_as_they_are() {
    let marks = ["see <image>", "a < b <audio>", "{{{idx}} and", "}} {{ {{{{content}}"];
    let others = ["<images>", "a < b > c", "{{ idx }}", "{\"a\":{\"b\":{}}}"];
    let marks = marks.map(|text| (text, "warns:template-mark"));
    for (text, findings) in marks.into_iter().chain(others.map(|text| (text, ""))) {
        check(
            &agent(&[say("user", text), say("assistant", "a")]),
            json!([{"messages": [["user", text], ["assistant", "a"]]}]),
            findings,
        );
    }
}

#[test]
fn failed_answers_and_unknown_speakers_leave_the_record_out() {
    let failed = agent(&[
        say("user", "q"),
        json!({"role": "assistant", "content": "half an", "error": "timeout"}),
    ]);
    let unknown = agent(&[say("user", "q"), say("narrator", "meanwhile"), say("assistant", "a")]);
    check(&failed, json!([]), "left-out:failed-answer");
    check_as(Reject, &failed, json!([]), "left-out:failed-answer");
    check_as(
        Off,
        &failed,
        json!([{"messages": [["user", "q"], ["assistant", "half an"]]}]),
        "unfit:failed-answer",
    );
    for check in [Repair, Reject, Off] {
        check_as(check, &unknown, json!([]), "left-out:not-understood");
    }
    // What was stored before readers told of such speakers says nothing of it.
    let text = unknown.to_string();
    let mut stored = read(&text);
    stored.not_understood.clear();
    let repaired = shape_conversation(&stored, "standard", checked(Repair));
    assert_eq!(repaired.findings(), "left-out:unknown-role");
    let shaped = shape_conversation(&stored, "standard", checked(Off));
    assert_eq!(shaped.rows[0]["messages"][1], json!({"role": "narrator", "content": "meanwhile"}));
    assert!(shaped.findings().contains("unfit:unknown-role"));
}

#[test]
fn a_call_whose_content_is_prose_is_left_out_and_the_json_text_of_calls_is_read() {
    let with = |value: &str| {
        json!({"id": "s", "conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": value},
            {"from": "observation", "value": "r"}, {"from": "gpt", "value": "a"}]})
    };
    check(&with("Let me look that up."), json!([]), "left-out:call-without-tool");
    check_as(Reject, &with("Let me look that up."), json!([]), "left-out:call-without-tool");
    assert!(
        shape(&with("Let me look."), "standard", checked(Off))
            .findings()
            .contains("unfit:call-without-tool")
    );
    check(
        &with(r#"{"name": "f", "arguments": {"a": 1}}"#),
        json!([{"messages": [["user", "q"], ["function_call", [{"name": "f", "arguments": {"a": 1}}]], ["tool", "r"], ["assistant", "a"]]}]),
        "",
    );
}

#[test]
fn histories_of_sub_agents_are_records_of_their_own_on_request() {
    let mut input = agent(&[
        say("user", "q"),
        call(&[("k1", "delegate", "{}")]),
        result("k1", "done"),
        say("assistant", "a"),
    ]);
    input["tasks"] = json!([{"task_id": "t-1", "agent_name": "helper", "rounds": [{"round": 1, "tool_call_id": "k1", "model": "m", "messages": qa()}]}]);
    assert_eq!(shape(&input, "standard", checked(Repair)).rows.len(), 1);
    check_with(
        ShapeOptions { tasks: true, ..ShapeOptions::default() },
        &input,
        json!([{"conversation_id": "c-1"}, {"conversation_id": "c-1", "model": "m", "messages": [["user", "q"], ["assistant", "a"]],
            "extra": {"task": "t-1", "agent": "helper", "task_of_call": "k1"}}]),
        "",
    );
}

#[test]
fn of_a_tree_only_the_active_path_is_written() {
    let line = json!({"retort": 1, "id": "x", "source": "s", "kind": "chat", "status": "active", "current": 2, "rounds": [
        {"number": 1, "messages": [say("user", "q1"), say("assistant", "a1")]},
        {"number": 2, "messages": [say("user", "q2"), say("assistant", "bad")]},
        {"number": 2, "parent": 0, "messages": [say("user", "q2"), say("assistant", "good")]},
    ]});
    check(
        &line,
        json!([{"messages": [["user", "q1"], ["assistant", "a1"], ["user", "q2"], ["assistant", "good"]]}]),
        "warns:other-branches",
    );
}

#[test]
fn tools_that_are_null_in_a_round_do_not_fail_anything() {
    let input = agent_rounds(
        json!([{"round": 1, "tools": null, "messages": qa()}, null, {"round": 2, "messages": null}]),
    );
    check(&input, json!([{"messages": [["user", "q"], ["assistant", "a"]]}]), "");
}

#[test]
fn a_conversation_labelled_as_rejected_is_left_out() {
    let line = |label: &str| {
        json!({"retort": 1, "id": "x", "source": "s", "kind": "chat", "status": "active", "label": label,
            "rounds": [{"number": 1, "messages": qa()}]})
    };
    for format in ["standard", "openai", "prompt-completion"] {
        let shaped = shape(&line("rejected"), format, checked(Repair));
        assert_eq!(shaped.findings(), "left-out:not-to-learn", "{format}");
        assert_eq!(shape(&line("preferred"), format, checked(Repair)).findings(), "", "{format}");
    }
    let off = shape(&line("rejected"), "standard", checked(Off));
    assert_eq!(off.findings(), "unfit:not-to-learn");
    check(&line("preferred"), json!([{"extra": {"label": "preferred"}}]), "");
}

#[test]
fn what_the_columns_cannot_hold_stands_in_extra() {
    let line = json!({"retort": 1, "id": "x", "source": "s", "kind": "agent", "status": "active",
        "metadata": {"resolved": true, "score": 0.5},
        "rounds": [{"number": 1, "metadata": {"node_type": "n"}, "messages": [
            {"role": "user", "content": "q", "name": "ann"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "k", "name": "f", "arguments": "{}"}]},
            {"role": "tool", "tool_call_id": "k", "content": "half", "error": "disk full"},
            {"role": "assistant", "content": "a", "finish_reason": "stop", "train": true,
                "feedback": {"rating": 1, "comment": "good"}, "metadata": {"logprobs": [1]}},
            {"role": "user", "content": "r"},
            {"role": "assistant", "content": "b", "error": "timeout", "finish_reason": "error", "contexts": [{"text": "c"}],
                "metadata": {"images": ["i"], "cost": 1}}]}]});
    check(
        &line,
        json!([{"extra": {
            "metadata": {"resolved": true, "score": 0.5},
            "rounds": [{"node_type": "n"}],
            "turns": [
                {"at": 0, "name": "ann"},
                {"at": 1, "call_ids": ["k"]},
                {"at": 2, "error": "disk full"},
                {"at": 3, "finish_reason": "stop", "train": true, "feedback": {"rating": 1, "comment": "good"},
                    "metadata": {"logprobs": [1]}}],
            "cut": [{"before": 4, "role": "user", "content": "r"},
                {"before": 4, "role": "assistant", "content": "b", "error": "timeout", "finish_reason": "error",
                    "metadata": {"cost": 1}, "attachments": [["i"]], "contexts": [{"text": "c"}]}]}}]),
        "repaired:cut-not-to-learn",
    );
}

#[test]
fn histories_of_sub_agents_that_are_not_written_are_told() {
    let mut input = agent(&[say("user", "q"), say("assistant", "a")]);
    input["tasks"] = json!([{"task_id": "t-1", "rounds": [{"round": 1, "messages": qa()}]}]);
    check(&input, json!([{}]), "warns:tasks-left-out");
}

#[test]
fn what_calls_and_results_say_beyond_the_row_is_in_extra() {
    let call = json!({"id": "k1", "type": "function", "requestor": "user", "function": {"name": "f", "arguments": "{}"}});
    let asked =
        || [say("user", "q"), json!({"role": "assistant", "content": "", "tool_calls": [call]})];
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    let turns = |id: &str| {
        let messages = [&asked()[..], &[result(id), say("assistant", "a")]].concat();
        let shaped = shape(&agent(&messages), "standard", ShapeOptions::default());
        let extra = shaped.rows[0]["extra"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&extra).unwrap()["turns"].clone()
    };
    let called = json!({"at": 1, "call_ids": ["k1"], "call_metadata": [{"requestor": "user"}]});
    assert_eq!(turns("k1"), json!([called]));
    assert_eq!(turns("unknown"), json!([called, {"at": 2, "result_id": "unknown"}]));
}

#[test]
fn retrieved_passages_beyond_those_carried_are_told() {
    let answer = json!({"role": "assistant", "content": "a", "contexts": ["one", "two", "three"]});
    let input = json!({"id": "x", "messages": [say("user", "q"), answer]});
    for data_format in ["standard", "openai", "prompt-completion"] {
        let findings = |max_contexts| {
            let options = ShapeOptions { max_contexts, ..ShapeOptions::default() };
            shape(&input, data_format, options).findings()
        };
        assert_eq!(findings(2), "warns:cut-contexts", "{data_format}");
        assert_eq!(findings(3), "", "{data_format}");
    }
}
