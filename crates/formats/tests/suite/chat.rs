//! The rules of the data formats for chat templates, alpaca, ms-swift and reinforcement learning.

use crate::support::*;
use retort_formats::data::{ReasoningAs, ReasoningField, RowsPer, ShapeOptions};
use retort_model::Check::Repair;
use serde_json::{Value, json};

fn reasoning(reasoning: ReasoningAs) -> ShapeOptions {
    ShapeOptions { reasoning, ..ShapeOptions::default() }
}

fn per_answer() -> ShapeOptions {
    ShapeOptions { rows: RowsPer::Answer, ..ShapeOptions::default() }
}

/// A question, a call with text and reasoning, its result, an answer with reasoning; another question and answer.
fn agent_with_reasoning() -> Value {
    let mut asks = call(&[("k", "f", r#"{"b": 1.50}"#)]);
    asks["content"] = json!("Let me look.");
    asks["reasoning_content"] = json!("I need f.");
    let mut answers = say("assistant", "It is 5.");
    answers["reasoning_content"] = json!("f says 5.");
    agent(&[
        say("system", "S"),
        say("user", "q"),
        asks,
        result("k", "5"),
        answers,
        say("user", "Sure?"),
        say("assistant", "Yes."),
    ])
}

#[test]
fn chat_rows_hold_text_beside_calls_reasoning_and_arguments_as_objects() {
    let shaped = shape(&agent_with_reasoning(), "chat", checked(Repair));
    assert_eq!(shaped.keys(), ["messages", "tools"]);
    assert_matches(
        &json!(shaped.rows),
        &json!([{"messages": [say("system", "S"), say("user", "q"),
            {"role": "assistant", "content": "Let me look.", "reasoning_content": "I need f.",
                "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "content": "5", "tool_call_id": "call00001"},
            {"role": "assistant", "content": "It is 5.", "reasoning_content": "f says 5."},
            say("user", "Sure?"), say("assistant", "Yes.")]}]),
        "",
    );
    // The number as the model wrote it.
    assert!(shaped.text.contains(r#""arguments":{"b": 1.50}"#), "{}", shaped.text);
    let extra = shaped.outcome.records[0].extra.as_deref().unwrap();
    assert!(!extra.contains("reasoning"), "{extra}");
    assert_eq!(shaped.findings(), "repaired:declared-tool");
    let none = shape(&json!([say("user", "q"), say("assistant", "a")]), "chat", checked(Repair));
    assert_eq!(
        none.rows,
        [json!({"messages": [say("user", "q"), say("assistant", "a")], "tools": null})]
    );
}

#[test]
fn reasoning_goes_where_it_is_asked_to() {
    let shaped = |format, options| shape(&agent_with_reasoning(), format, options);
    let thinking =
        ShapeOptions { reasoning_field: ReasoningField::Thinking, ..ShapeOptions::default() };
    for format in ["chat", "prompt-completion"] {
        let text = shaped(format, thinking.clone()).text;
        assert!(
            text.contains(r#""thinking":"f says 5.""#) && !text.contains("reasoning_"),
            "{text}"
        );
    }
    for (format, answer) in [("openai", 4), ("chat", 4), ("ms-swift", 5), ("standard", 4)] {
        let front = shaped(format, reasoning(ReasoningAs::Think));
        let messages = &front.rows[0]["messages"];
        assert_eq!(
            messages[answer]["content"], "<think>\nf says 5.\n</think>\n\nIt is 5.",
            "{format}"
        );
        let call = messages[2]["content"].as_str().unwrap();
        assert!(call.starts_with("<think>\nI need f.\n</think>\n\n"), "{format}: {call}");
        assert!(!front.findings().contains("reasoning"), "{format}");
        for left in [ReasoningAs::Extra, ReasoningAs::Drop] {
            let shaped = shaped(format, reasoning(left));
            assert!(!shaped.rows[0]["messages"].to_string().contains("f says 5."), "{format}");
            assert!(shaped.findings().contains("warns:reasoning-left-behind"), "{format}");
            let extra = shaped.outcome.records[0].extra.clone().unwrap_or_default()
                + shaped.rows[0]["extra"].as_str().unwrap_or_default();
            assert_eq!(
                extra.contains("f says 5."),
                left == ReasoningAs::Extra,
                "{format}: {extra}"
            );
        }
    }
    // Where there is no field for it, it is kept beside the rows, and that is told.
    for format in ["openai", "standard", "ms-swift"] {
        let kept = shaped(format, ShapeOptions::default());
        assert!(kept.findings().contains("warns:reasoning-left-behind"), "{format}");
    }
}

#[test]
fn reasoning_that_its_source_gives_twice_is_written_once() {
    let mut answers = say("assistant", "<think>\nHm.\n</think>\n\nYes.");
    answers["reasoning_content"] = json!("Hm.");
    let input = json!({"messages": [say("user", "q"), answers]});
    for format in ["openai", "chat", "ms-swift", "standard"] {
        for option in [ReasoningAs::Keep, ReasoningAs::Extra, ReasoningAs::Think, ReasoningAs::Drop]
        {
            let shaped = shape(&input, format, reasoning(option));
            let content = match option {
                ReasoningAs::Think => "<think>\nHm.\n</think>\n\nYes.",
                _ => "Yes.",
            };
            assert_eq!(shaped.rows[0]["messages"][1]["content"], content, "{format}");
        }
    }
    // Nothing is said but the reasoning.
    let mut answers = say("assistant", "<think>Hm.</think>");
    answers["reasoning_content"] = json!("Hm.");
    let input = json!({"messages": [say("user", "q"), answers]});
    assert_eq!(shape(&input, "chat", checked(Repair)).findings(), "left-out:no-answer");
}

#[test]
fn reasoning_in_blocks_is_read_beside_encrypted_ones() {
    let blocks = |blocks: Value| {
        let mut answers = say("assistant", "a");
        answers["reasoning_details"] = blocks;
        let shaped =
            shape(&json!({"messages": [say("user", "q"), answers]}), "chat", checked(Repair));
        let extra = shaped.outcome.records[0].extra.clone().unwrap_or_default();
        (shaped.rows[0]["messages"][1]["reasoning_content"].clone(), extra)
    };
    let text = |text: &str| json!({"type": "reasoning.text", "text": text});
    let summary = json!({"type": "reasoning.summary", "summary": "s"});
    let encrypted = json!({"type": "reasoning.encrypted", "data": "xx"});
    assert_eq!(blocks(json!([text("r")])), (json!("r"), String::new()));
    assert_eq!(blocks(json!([text("r"), summary])), (json!("r\n\ns"), String::new()));
    let (read, extra) = blocks(json!([text("r"), encrypted]));
    assert_eq!(read, "r");
    assert!(extra.contains("reasoning.encrypted"), "{extra}");
    let (read, extra) = blocks(json!([encrypted]));
    assert_eq!(read, Value::Null);
    assert!(extra.contains("reasoning.encrypted"), "{extra}");
}

#[test]
fn an_instruction_behind_the_last_answer_is_cut() {
    let messages = [say("user", "q"), say("assistant", "a"), say("system", "s2")];
    for format in ["chat", "openai", "standard", "ms-swift", "alpaca", "prompt-completion"] {
        let shaped = shape(&json!({"messages": messages}), format, checked(Repair));
        assert!(!shaped.rows[0].to_string().contains("s2\""), "{format}: {:?}", shaped.rows);
        assert_eq!(shaped.findings(), "repaired:cut-end", "{format}");
    }
    let asked = [&messages[..], &[say("user", "q2")]].concat();
    let shaped = shape(&json!({"messages": asked}), "prompt-only", checked(Repair));
    assert_eq!(shaped.rows[0]["prompt"][0], say("system", "s2"));
}

#[test]
fn a_row_per_answer_ends_with_it_and_has_an_id_of_its_own() {
    let input = agent_with_reasoning();
    let whole = shape(&input, "chat", checked(Repair));
    let apart = shape(&input, "chat", per_answer());
    let messages = |row: &Value| row["messages"].as_array().unwrap().clone();
    let all = messages(&whole.rows[0]);
    let lengths: Vec<_> = apart.rows.iter().map(|row| messages(row).len()).collect();
    assert_eq!(lengths, [3, 5, 7]);
    for row in &apart.rows {
        assert!(all.starts_with(&messages(row)), "every row begins as the conversation does");
    }
    let named: Vec<_> = (apart.outcome.records.iter())
        .map(|record| (record.part.clone().unwrap(), record.suffix.clone().unwrap()))
        .collect();
    let name = |n: usize| (format!("answer {n}"), format!("#{n}"));
    assert_eq!(named, [name(1), name(2), name(3)]);
    let standard = shape(&input, "standard", per_answer());
    let ids: Vec<_> = standard.rows.iter().map(|row| row["conversation_id"].clone()).collect();
    assert_eq!(ids, ["c-1#1", "c-1#2", "c-1#3"]);
}

#[test]
fn in_a_row_per_answer_only_that_answer_is_learnt() {
    let openai = shape(&agent_with_reasoning(), "openai", per_answer());
    let weights: Vec<Vec<Value>> = (openai.rows.iter())
        .map(|row| row["messages"].as_array().unwrap().iter())
        .map(|messages| {
            messages
                .filter(|one| one["role"] == "assistant")
                .map(|one| one["weight"].clone())
                .collect()
        })
        .collect();
    assert_eq!(json!(weights), json!([[null], [0, null], [0, 0, null]]));
    let swift = shape(&agent_with_reasoning(), "ms-swift", per_answer());
    let last = swift.rows[2]["messages"].as_array().unwrap();
    let losses: Vec<_> = last.iter().filter_map(|one| one.get("loss")).collect();
    assert_eq!(losses, [false, false, false], "{last:?}");
}

#[test]
fn an_answer_that_must_not_be_learnt_has_no_row_and_stays_context_of_the_others() {
    let mut wrong = say("assistant", "Quito");
    wrong["weight"] = json!(0);
    let input = json!({"id": "x", "messages": [say("user", "Capital of Peru?"), wrong, say("user", "Sure?"),
        say("assistant", "Lima"), say("user", "Go on"), {"role": "assistant", "content": "Once", "finish_reason": "length"}]});
    let rows = shape(&input, "prompt-completion", per_answer());
    assert_eq!(rows.rows.len(), 1);
    assert_eq!(rows.rows[0]["completion"], json!([say("assistant", "Lima")]));
    assert_eq!(rows.rows[0]["prompt"][1], say("assistant", "Quito"));
    let left: Vec<_> = (rows.outcome.left_out.iter())
        .map(|one| (one.part.as_deref().unwrap(), one.why.reason.as_str()))
        .collect();
    assert_eq!(left, [("answer 1", "not-to-learn"), ("answer 3", "cut-off-answer")]);
    assert_eq!(shape(&input, "chat", checked(Repair)).findings(), "left-out:not-to-learn");
}

#[test]
fn alpaca_rows_hold_text_in_pairs() {
    let input = json!({"id": "x", "messages": [say("system", "S"), say("user", "q1"), say("assistant", "a1"), say("user", "q2"), say("assistant", "a2")]});
    let shaped = shape(&input, "alpaca", checked(Repair));
    assert_eq!(
        shaped.rows,
        [
            json!({"instruction": "q2", "input": "", "output": "a2", "system": "S", "history": [["q1", "a1"]]})
        ]
    );
    let calls = shape(&agent_with_reasoning(), "alpaca", checked(Repair));
    assert_eq!(calls.findings(), "left-out:calls-tools");
}

#[test]
fn ms_swift_rows_have_one_message_a_call_and_marks() {
    let mut asks = call(&[("k1", "f", r#"{"a":1}"#), ("k2", "g", "{}")]);
    asks["content"] = json!("Let me look.");
    asks["weight"] = json!(0);
    let input =
        agent_rounds(json!([{"round": 1, "tools": [tool("f", "d"), tool("g", "d")], "messages": [
        say("user", "q"), asks, result("k2", "r2"), result("k1", "r1"), say("assistant", "a")]}]));
    let shaped = shape(&input, "ms-swift", checked(Repair));
    assert_eq!(
        shaped.rows[0]["messages"],
        json!([say("user", "q"),
            {"role": "assistant", "content": "Let me look.", "loss": false},
            {"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {\"a\":1}}", "loss": false},
            {"role": "tool_call", "content": "{\"name\": \"g\", \"arguments\": {}}", "loss": false},
            say("tool_response", "r1"), say("tool_response", "r2"), say("assistant", "a")])
    );
    let tools: Value = serde_json::from_str(shaped.rows[0]["tools"].as_str().unwrap()).unwrap();
    assert_eq!(tools, json!([tool("f", "d"), tool("g", "d")]));
}

#[test]
fn prompts_have_columns_for_rewards() {
    let mut answer = say("assistant", "4");
    answer["feedback"] = json!({"rating": true, "comment": "right"});
    let input = json!({"id": "x", "messages": [say("user", "2+2?"), answer]});
    let shaped = shape(&input, "prompt-only", checked(Repair));
    assert_eq!(
        shaped.rows,
        [
            json!({"prompt": [say("user", "2+2?")], "answer": "4", "ground_truth": null, "label": null, "rating": "true", "comment": "right", "tools": null})
        ]
    );
    let run = read_run(
        r#"{"request_id":"r","copilot_id":"c","question":"2+2?","answer":"4","status":"success","ground_truth":"four","feedback":{"rating":0.5}}"#,
    );
    let shaped = shape_item(&run.into(), "prompt-only", checked(Repair));
    assert_matches(
        &json!(shaped.rows),
        &json!([{"answer": "4", "ground_truth": "four", "rating": "0.5"}]),
        "",
    );
}

#[test]
fn prompts_need_no_answer() {
    // Rows of RLVR, verl and TRL's GRPO.
    let row = |prompt: Value, answer: &str, reference: Value| json!({"prompt": prompt, "answer": answer, "ground_truth": reference, "label": null, "rating": null, "comment": null, "tools": null});
    let asked = json!([say("system", "S"), say("user", "2+2?")]);
    for rewarded in [
        json!({"ground_truth": "4"}),
        json!({"reward_model": {"style": "rule", "ground_truth": "4"}}),
    ] {
        let mut input = json!({"id": "x", "prompt": asked, "data_source": "sums"});
        input.as_object_mut().unwrap().extend(rewarded.as_object().unwrap().clone());
        let shaped = shape(&input, "prompt-only", checked(Repair));
        assert_eq!(shaped.rows, [row(asked.clone(), "", json!("4"))], "{input}");
        assert_eq!(shape(&shaped.rows[0], "prompt-only", checked(Repair)).rows, shaped.rows);
        assert_eq!(shape(&input, "openai", checked(Repair)).rows, [] as [Value; 0]);
    }
    // What was said before the last question is its context, whether it may be trained on or not.
    let mut wrong = say("assistant", "5");
    wrong["train"] = json!(false);
    let talk = json!([say("user", "2+2?"), wrong, say("user", "Really?")]);
    let shaped = shape(&json!({"id": "x", "messages": talk}), "prompt-only", checked(Repair));
    let prompt = json!([say("user", "2+2?"), say("assistant", "5"), say("user", "Really?")]);
    assert_eq!(shaped.rows, [row(prompt, "", Value::Null)]);
    // Nothing is asked.
    for empty in [json!([say("user", " ")]), json!([say("system", "S")])] {
        let shaped = shape(&json!({"id": "x", "messages": empty}), "prompt-only", checked(Repair));
        assert_eq!(shaped.rows, [] as [Value; 0], "{empty}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let plain = json!({"id": "x", "messages": [say("system", "S"), say("user", "q1"), say("assistant", "a1"), say("user", "q2"), say("assistant", "a2")]});
    for format in ["chat", "prompt-completion", "prompt-only", "alpaca", "ms-swift", "openai"] {
        for input in [&plain, &agent_with_reasoning()] {
            let Some(row) = shape(input, format, checked(Repair)).rows.into_iter().next() else {
                assert_eq!(format, "alpaca");
                continue;
            };
            let again = shape(&row, format, checked(Repair));
            assert_eq!(again.rows, [row], "{format}");
        }
    }
    let calls = json!({"prompt": [say("user", "q")], "answer": "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]", "tools": [tool("f", "d")]});
    let again = shape(&calls, "prompt-only", checked(Repair));
    assert_eq!(again.rows[0]["answer"], calls["answer"]);
}

#[test]
fn alpaca_rows_of_others_are_read() {
    let row = json!({"instruction": "Add", "input": "2+2", "output": "4", "history": [["q", "a"]], "system": "S"});
    let shaped = shape(&row, "openai", checked(Repair));
    assert_eq!(
        shaped.rows[0]["messages"],
        json!([
            say("system", "S"),
            say("user", "q"),
            say("assistant", "a"),
            say("user", "Add\n2+2"),
            say("assistant", "4")
        ])
    );
    let ranked = json!({"instruction": "q", "input": "", "chosen": "a", "rejected": "b"});
    let shaped = shape(&ranked, "preference", checked(Repair));
    assert_eq!(shaped.rows[0]["rejected"], json!([say("assistant", "b")]));
}

#[test]
fn a_tag_for_reasoning_in_the_text_of_an_answer_stays_text() {
    let text = "<think>\nHm.\n</think>\n\nUse `<think>` in HTML? No.";
    let input = json!({"messages": [say("user", "q"), say("assistant", text)]});
    for option in [ReasoningAs::Keep, ReasoningAs::Extra, ReasoningAs::Think, ReasoningAs::Drop] {
        for format in ["chat", "openai", "standard", "ms-swift"] {
            let shaped = shape(&input, format, reasoning(option));
            assert_eq!(shaped.rows[0]["messages"][1]["content"], text, "{format}");
            assert_eq!(shaped.findings(), "", "{format}");
        }
    }
}
