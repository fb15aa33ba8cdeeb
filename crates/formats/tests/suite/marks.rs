//! Marks of what is to be learnt, in the dialects and places in which sources write them. Wherever one forbids, no format
//! teaches the answer, and what it says nothing of is learnt.

use retort_formats::data::{RowsPer, ShapeOptions};
use serde_json::{Value, json};

use crate::support::*;

const BAD: &str = "Lyon, I think.";
const GOOD: &str = "It is Paris.";

/// The answers that trainers learn of the rows of a format.
fn learnt(input: &Value, format: &str) -> Vec<String> {
    let rows = match format {
        "prompt-completion" => RowsPer::Answer,
        _ => RowsPer::Conversation,
    };
    let shaped = shape(input, format, ShapeOptions { rows, ..ShapeOptions::default() });
    let mut learnt = Vec::new();
    for row in &shaped.rows {
        let messages = match format {
            "prompt-completion" => &row["completion"],
            _ => &row["messages"],
        };
        if format == "alpaca" {
            learnt.push(row["output"].to_string());
            learnt.push(row["history"].to_string());
        }
        for one in messages.as_array().into_iter().flatten() {
            if one["role"] == "assistant" && one["weight"] != 0 && one["loss"] != false {
                learnt.push(one["content"].to_string());
            }
        }
    }
    learnt
}

const FORMATS: [&str; 6] =
    ["openai", "standard", "chat", "prompt-completion", "ms-swift", "alpaca"];

#[track_caller]
fn check(input: &Value, learns_good: bool) {
    for format in FORMATS {
        let learnt = learnt(input, format);
        let has = |words: &str| learnt.iter().any(|one| one.contains(words));
        assert!(!has(BAD), "{format} learns it: {input}");
        // Those without a mark of their own leave the record out.
        let marks = ["openai", "prompt-completion", "ms-swift"].contains(&format);
        assert!(!learns_good || !marks || has(GOOD), "{format} learns nothing: {input}");
    }
}

fn with(mut object: Value, fields: &Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(fields);
    object
}

/// What forbids a message, as fields.
fn forbidding() -> Vec<Value> {
    let mut all = Vec::new();
    for name in [
        "weight",
        "loss",
        "loss_weight",
        "loss_scale",
        "loss_mask",
        "train",
        "trainable",
        "sampled",
        "output_with_loss",
    ] {
        for value in [json!(0), json!(0.0), json!(false), json!("0"), json!("False"), json!("no")] {
            all.push(json!({name: value}));
        }
    }
    for name in ["Weight", "lossWeight", "Loss weight"] {
        all.push(json!({name: 0}));
    }
    for name in [
        "is_copied_context",
        "isCopiedContext",
        "masked",
        "mask",
        "ignore_loss",
        "deleted",
        "is_deleted",
        "isDeleted",
        "is_hidden",
        "hidden",
        "exclude",
        "excluded",
        "discarded",
    ] {
        for value in [json!(1), json!(true), json!("true"), json!("1"), json!("t")] {
            all.push(json!({name: value}));
        }
    }
    for name in
        ["is_safe", "is_correct", "correct", "valid", "visible", "accepted", "success", "passed"]
    {
        for value in [json!(0), json!(false), json!("False")] {
            all.push(json!({name: value}));
        }
    }
    all.push(json!({"deleted_at": "2026-01-02T03:04:05Z"}));
    all.push(json!({"deletedAt": 1767322800}));
    all
}

/// What says that an answer is bad or did not end, as fields.
fn unfit() -> Vec<Value> {
    let mut all = Vec::new();
    for value in [json!(false), json!("false"), json!(0), json!("rejected"), json!("bad")] {
        all.push(json!({"label": value}));
    }
    for value in [json!(true), json!("true"), json!(1)] {
        all.push(json!({"rejected": value}));
    }
    all.push(json!({"chosen": false}));
    for name in ["finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason"] {
        for value in [
            "length",
            "LENGTH",
            "content_filter",
            "max_tokens",
            "MAX_TOKENS",
            "FinishReason.LENGTH",
            "<FinishReason.MAX_TOKENS: 2>",
            "FINISH_REASON_MAX_TOKENS",
            "REASON_MAX_LEN",
            "maxTokens",
            "ContentFilter",
            "SAFETY",
            "OTHER",
            "repetition",
            "repetition_truncation",
            "repetition_detected",
        ] {
            all.push(json!({name: value}));
        }
    }
    all.push(json!({"finishReason": 2}));
    all.push(json!({"finishReason": 3}));
    all.push(json!({"finishReason": "2"}));
    all.push(json!({"finish_reason": {"type": "length", "length": 64}}));
    all.push(json!({"Label": "False"}));
    all.push(json!({"truncated": true}));
    all.push(json!({"is_truncated": true}));
    all
}

#[test]
fn no_answer_is_learnt_that_carries_a_mark_against_it() {
    for fields in forbidding().into_iter().chain(unfit()) {
        let (bad, good) = (with(say("assistant", BAD), &fields), say("assistant", GOOD));
        check(&json!({"messages": [say("user", "a"), bad, say("user", "b"), good]}), true);
        check(&json!({"messages": [say("user", "a"), good, say("user", "b"), bad]}), true);
        let said = with(json!({"from": "gpt", "value": BAD}), &fields);
        check(&json!({"conversations": [{"from": "human", "value": "a"}, said]}), false);
    }
}

#[test]
fn marks_on_parts_and_calls_and_in_objects_of_the_message_count() {
    for fields in forbidding() {
        let part = with(json!({"type": "text", "text": BAD}), &fields);
        let bad = [
            say("assistant", json!([part])),
            json!({"role": "assistant", "content": BAD, "metadata": fields}),
            json!({"role": "assistant", "content": BAD, "additional_kwargs": fields}),
        ];
        for bad in bad {
            let input = json!({"messages": [say("user", "a"), bad, say("user", "b"), say("assistant", GOOD)]});
            check(&input, true);
        }
        let mut bad = call(&[("1", "look", "{}")]);
        bad["content"] = BAD.into();
        bad["tool_calls"][0] = with(bad["tool_calls"][0].clone(), &fields);
        let result = json!({"role": "tool", "tool_call_id": "1", "content": "c"});
        let input = json!({"messages": [say("user", "a"), bad, result, say("assistant", GOOD)]});
        for format in ["openai", "prompt-completion"] {
            let learnt = learnt(&input, format);
            assert!(
                learnt.iter().all(|one| one.contains(GOOD)) && learnt.len() == 1,
                "{format}: {input}"
            );
        }
    }
}

#[test]
fn marks_of_a_row_count_for_its_answers() {
    for fields in forbidding().into_iter().chain(unfit()) {
        let rows = [
            json!({"messages": [say("user", "a"), say("assistant", BAD)]}),
            json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": BAD}]}),
            json!({"prompt": [say("user", "a")], "completion": [say("assistant", BAD)]}),
        ];
        for row in rows {
            check(&with(row.clone(), &fields), false);
            let is_worth = |name: &str| ["label", "Label", "rejected", "chosen"].contains(&name);
            if !fields.as_object().unwrap().keys().any(|name| is_worth(name)) {
                check(&with(row, &json!({"metadata": fields})), false);
            }
        }
        if ["chosen", "rejected"].iter().any(|name| fields.get(name).is_some()) {
            continue;
        }
        let rows = [
            json!({"instruction": "a", "input": "", "output": BAD}),
            json!({"prompt": "a", "completion": BAD}),
        ];
        rows.into_iter().for_each(|row| check(&with(row, &fields), false));
    }
    let row = json!({"messages": [say("user", "a"), say("assistant", BAD)]});
    for fields in
        [json!({"finish_reasons": ["length"]}), json!({"finishReason": ["stop", "MAX_TOKENS"]})]
    {
        check(&with(row.clone(), &fields), false);
    }
    let pair = json!({"question": "q", "chosen": "true", "rejected": "no"});
    assert_eq!(
        shape(&pair, "preference", ShapeOptions::default()).rows.len(),
        1,
        "answers, and no marks"
    );
    // One of each message.
    let messages =
        [say("user", "a"), say("assistant", BAD), say("user", "b"), say("assistant", GOOD)];
    for marks in
        [json!([0, 0, 0, 1]), json!([false, false, true, true]), json!(["0", "0", "1", "1"])]
    {
        for name in ["loss_mask", "weights", "train"] {
            check(&json!({"messages": messages, name: marks}), true);
        }
    }
}

/// A request and its response as a log keeps them, and what says how the answer of it ended.
fn logged(words: &str, ended: &Value) -> Vec<Value> {
    let chat = json!({"model": "m", "messages": [say("user", "a")]});
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]});
    let part = |name: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": words}]}, name: ended}]});
    let choice = json!({"choices": [{"index": 0, "message": say("assistant", words), "finish_reason": ended}]});
    let block = json!([{"type": "text", "text": words}]);
    let anthropic =
        json!({"type": "message", "role": "assistant", "content": block, "stop_reason": ended});
    let bedrock = json!({"output": {"message": {"role": "assistant", "content": [{"text": words}]}}, "stopReason": ended});
    let asked = json!({"messages": [{"role": "user", "content": [{"text": "a"}]}]});
    let pairs = [
        (&google, part("finishReason")),
        (&google, part("finish_reason")),
        (&google, json!([part("finishReason")])),
        (&chat, choice),
        (&chat, anthropic),
        (&asked, bedrock),
        (&chat, json!({"message": say("assistant", words), "done": true, "done_reason": ended})),
    ];
    let logged = pairs.map(|(request, response)| json!({"request": request, "response": response}));
    logged.into()
}

#[test]
fn an_answer_of_a_logged_response_that_was_cut_off_is_not_learnt() {
    for fields in unfit() {
        let fields = fields.as_object().unwrap();
        let Some(ended) = fields.get("finishReason").or_else(|| fields.get("finish_reason")) else {
            continue;
        };
        logged(BAD, ended).iter().for_each(|one| check(one, false));
    }
    // Google's numbers: only 1 is a natural end.
    for number in 2..=16 {
        logged(BAD, &json!(number)).iter().for_each(|one| check(one, false));
    }
    for ended in
        [json!(1), json!(0), json!("STOP"), json!({"type": "stop"}), json!("other"), Value::Null]
    {
        for one in logged(GOOD, &ended) {
            assert!(learnt(&one, "openai").iter().any(|said| said.contains(GOOD)), "{one}");
        }
    }
}

#[test]
fn what_forbids_nothing_is_learnt() {
    let nothing = [
        json!({"weight": 1}),
        json!({"weight": 0.5}),
        json!({"weight": null}),
        json!({"loss": "true"}),
        json!({"train": "yes"}),
        json!({"is_copied_context": false}),
        json!({"masked": 0}),
        json!({"mask": "user"}),
        json!({"label": true}),
        json!({"label": "sports"}),
        json!({"label": 3}),
        json!({"rejected": false}),
        json!({"finish_reason": "stop"}),
        json!({"finishReason": 1}),
        json!({"stop_reason": "end_turn"}),
        json!({"finish_reason": null}),
        json!({"finish_reason": "tool_calls"}),
        json!({"truncated": false}),
        json!({"loss_mask": [1, 1]}),
        json!({"is_deleted": false}),
        json!({"isDeleted": "f"}),
        json!({"deleted_at": null}),
        json!({"deleted_at": ""}),
        json!({"is_safe": true}),
        json!({"is_correct": 1}),
        json!({"correct": "B"}),
        json!({"success": true}),
        json!({"hidden": false}),
        json!({"step_loss_mask": 1}),
        json!({"is_correct": null}),
        json!({"output_with_loss": true}),
        json!({"error": null}),
        json!({"error": ""}),
        json!({"status": "completed"}),
    ];
    for fields in nothing {
        let answer = with(say("assistant", GOOD), &fields);
        check(&json!({"messages": [say("user", "a"), answer]}), true);
        let row = json!({"messages": [say("user", "a"), say("assistant", GOOD)]});
        check(&with(row, &fields), true);
    }
}

#[test]
fn marks_of_a_row_are_not_applied_again_to_lines_of_retort() {
    let input =
        json!({"id": "a", "messages": [say("user", "a"), say("assistant", GOOD)], "weight": 0});
    let mut line = shape(&input, "retort", ShapeOptions::default()).rows.remove(0);
    let answer = line["rounds"][0]["messages"][1].as_object_mut().unwrap();
    assert_eq!(answer["train"], false);
    answer["train"] = true.into();
    assert_eq!(learnt(&line, "openai"), [format!("\"{GOOD}\"")]);
}

#[test]
fn a_row_of_what_failed_is_not_learnt() {
    let messages = json!([say("user", "a"), say("assistant", BAD)]);
    for fields in [
        json!({"error": "the server is overloaded"}),
        json!({"error": {"message": "overloaded", "code": 529}}),
        json!({"status": "failed"}),
        json!({"status": "failure", "error_str": "Timeout"}),
        json!({"status": "ERROR"}),
        json!({"status_code": 400}),
        json!({"status_code": "503"}),
        json!({"response_status": 500}),
    ] {
        check(&with(json!({"messages": messages}), &fields), false);
        check(&with(json!({"prompt": "a", "completion": BAD}), &fields), false);
    }
    for fields in [
        json!({"error": "None"}),
        json!({"error": false}),
        json!({"error": {}}),
        json!({"status": "success", "error_str": null}),
        json!({"status_code": 200}),
    ] {
        let messages = json!([say("user", "a"), say("assistant", GOOD)]);
        check(&with(json!({"messages": messages}), &fields), true);
    }
}

#[test]
fn marks_beside_a_question_and_its_answer_count() {
    let turn = |words: &str, is_learnt: bool| json!({"system": "s", "input": "a", "output": words, "output_with_loss": is_learnt});
    let row = json!({"conversation": [turn(BAD, false), turn(GOOD, true)]});
    check(&row, true);
    let row =
        json!({"prompt": "a", "response": BAD, "category": {"violence": true}, "is_safe": false});
    check(&row, false);
    check(&json!({"question": "a", "answer": BAD, "is_correct": false}), false);
}

#[test]
fn an_unsafe_answer_of_a_pair_is_learnt_only_as_the_worse_one() {
    let row = |safe: [bool; 2]| {
        json!({"prompt": "q", "response_0": "zero", "response_1": "one", "better_response_id": 0,
            "is_response_0_safe": safe[0], "is_response_1_safe": safe[1]})
    };
    let pairs = |safe| shape(&row(safe), "preference", ShapeOptions::default()).rows.len();
    assert_eq!([[true, true], [true, false]].map(pairs), [1, 1]);
    assert_eq!([[false, true], [false, false]].map(pairs), [0, 0]);
    let openai = |safe| shape(&row(safe), "openai", ShapeOptions::default()).rows.len();
    assert_eq!([[true, false], [false, true]].map(openai), [1, 0]);
}

#[test]
fn an_answer_that_ends_in_its_reasoning_is_not_learnt() {
    let answer = |words: String, ended: Value| {
        let mut answer = say("assistant", words);
        answer["finish_reason"] = ended;
        json!({"messages": [say("user", "a"), answer]})
    };
    for ended in [Value::Null, json!("stop")] {
        for words in [
            format!("<think>{BAD}"),
            format!("<think>{BAD}</think>\n"),
            format!("<thinking>\n{BAD}"),
            format!("{BAD}\n<tool_call>\n{{\"name\": \"f\", \"argu"),
            format!("\n<think>\nHm.\n\n{BAD}"),
            format!("<think>a</think>\n<think>\n{BAD}"),
        ] {
            check(&answer(words, ended.clone()), false);
        }
        for words in [
            format!("<think>a</think>{GOOD}"),
            format!("Write <think> in front. {GOOD}"),
            format!("I think> {GOOD}"),
        ] {
            check(&answer(words, ended.clone()), true);
        }
    }
}

#[test]
fn a_choice_with_an_error_failed() {
    let error = json!({"code": 502, "message": "Upstream error"});
    for message in [say("assistant", BAD), Value::Null] {
        let choice =
            json!({"index": 0, "message": message, "finish_reason": "stop", "error": error});
        let row = json!({"messages": [say("user", "a")], "response": {"choices": [choice]}});
        let found = shape(&row, "openai", ShapeOptions::default()).findings();
        assert_eq!(found, "left-out:failed-answer", "{row}");
    }
}

#[test]
fn an_answer_that_was_hidden_stopped_or_left_unfinished_is_not_learnt() {
    for mark in [
        json!({"hidden": true}),
        json!({"removed": true}),
        json!({"draft": true}),
        json!({"is_blocked": true}),
        json!({"superseded": true}),
        json!({"flagged": true}),
        json!({"review_result": false}),
        json!({"is_valid": false}),
        json!({"stopped": true}),
        json!({"isPartial": true}),
        json!({"isStreaming": true}),
        json!({"loading": true}),
        json!({"pending": true}),
        json!({"complete": false}),
        json!({"is_finished": false}),
    ] {
        let answer = with(json!({"role": "assistant", "content": "a"}), &mark);
        let item = json!({"messages": [{"role": "user", "content": "q"}, answer]});
        assert_eq!(learnt(&item, "openai"), Vec::<String>::new(), "{mark}");
    }
    for mark in [json!({"hidden": false}), json!({"stopped": false}), json!({"done": true})] {
        let answer = with(json!({"role": "assistant", "content": "a"}), &mark);
        let item = json!({"messages": [{"role": "user", "content": "q"}, answer]});
        assert_eq!(learnt(&item, "openai"), ["\"a\""], "{mark}");
    }
}

#[test]
fn a_conversation_ends_before_a_question_that_was_deleted() {
    let say = |role: &str, content: &str| json!({"role": role, "content": content});
    for mark in
        [json!({"is_deleted": true}), json!({"deleted": 1}), json!({"deletedAt": "2026-01-01"})]
    {
        let gone = with(say("user", "q2"), &mark);
        let item = json!({"messages": [say("user", "q1"), say("assistant", "a1"), gone, say("assistant", "a2"),
            say("user", "q3"), say("assistant", "a3")]});
        assert_eq!(learnt(&item, "openai"), ["\"a1\""], "{mark}");
        // Its answer is no answer to the question before it.
        let gone = with(say("user", "q2"), &mark);
        let item = json!({"messages": [say("user", "q1"), gone, say("assistant", "a2")]});
        assert_eq!(learnt(&item, "openai"), Vec::<String>::new(), "{mark}");
    }
}
