//! Preference pairs and labelled answers: made only of answers to one question of which one is known to be better.

use crate::support::*;
use retort_formats::data::{Layout, PairsBy, ShapeOptions};
use retort_model::Check::Repair;
use serde_json::{Value, json};

fn laid_out(layout: Layout) -> ShapeOptions {
    ShapeOptions { layout, ..ShapeOptions::default() }
}

/// A line of Retort's own: a question, and its answers as rounds of their own; `current` is the one shown.
fn siblings(answers: &[Value], current: usize) -> Value {
    let mut rounds = vec![json!({"number": 1, "messages": [say("system", "S"), say("user", "q")]})];
    for (at, answer) in answers.iter().enumerate() {
        rounds.push(json!({"number": at + 2, "parent": 0, "messages": [answer]}));
    }
    json!({"retort": 1, "id": "x", "source": "s", "kind": "chat", "status": "active", "rounds": rounds, "current": current + 1})
}

fn answer(text: &str, more: Value) -> Value {
    let mut answer = say("assistant", text);
    for (key, value) in more.as_object().unwrap() {
        answer[key] = value.clone();
    }
    answer
}

fn rated(text: &str, rating: Value) -> Value {
    answer(text, json!({"feedback": {"rating": rating}}))
}

/// The pairs that are made of some answers, as `better>worse`.
#[track_caller]
fn check_with(options: ShapeOptions, input: &Value, pairs: &[&str], findings: &str) {
    let shaped = shape(input, "preference", options);
    let found: Vec<_> = (shaped.rows.iter())
        .map(|row| {
            let text = |key: &str| row[key][0]["content"].as_str().unwrap().to_owned();
            format!("{}>{}", text("chosen"), text("rejected"))
        })
        .collect();
    assert_eq!(found, pairs, "{input}");
    assert_eq!(shaped.findings(), findings, "{input}");
    for row in &shaped.rows {
        assert_eq!(row["prompt"], json!([say("system", "S"), say("user", "q")]));
    }
}

#[track_caller]
fn check(input: &Value, pairs: &[&str], findings: &str) {
    check_with(ShapeOptions::default(), input, pairs, findings);
}

const BRANCHES: &str = "";

#[test]
fn labels_and_ratings_make_pairs() {
    let label = |text: &str, label: &str| answer(text, json!({"label": label}));
    check(&siblings(&[label("a", "preferred"), label("b", "rejected")], 0), &["a>b"], BRANCHES);
    check(
        &siblings(&[rated("a", json!(2)), rated("b", json!(4.5)), rated("c", json!(3))], 0),
        &["b>a", "b>c"],
        BRANCHES,
    );
    check(&siblings(&[rated("a", json!(false)), rated("b", json!("good"))], 0), &["b>a"], BRANCHES);
    check(&siblings(&[rated("a", json!(4)), rated("b", json!(4))], 0), &[], "left-out:no-pair");
    let one = json!([say("user", "q"), say("assistant", "a")]);
    check(&one, &[], "left-out:no-pair");
}

#[test]
fn an_answer_that_replaced_another_or_was_continued_is_the_better_one() {
    let at = |text: &str, time: &str| answer(text, json!({"created_at": time}));
    let replaced = [at("a", "2024-01-01T00:00:00Z"), at("b", "2024-01-01T00:01:00Z")];
    check(&siblings(&replaced, 1), &["b>a"], BRANCHES);
    // The person went back to the first.
    check(&siblings(&replaced, 0), &[], "left-out:no-pair");
    let rated_only = ShapeOptions { pairs: PairsBy::Rated, ..ShapeOptions::default() };
    check_with(rated_only, &siblings(&replaced, 1), &[], "left-out:no-pair");
    // Choices that a model gave at once.
    let choices = siblings(&[say("assistant", "a"), say("assistant", "b")], 0);
    check(&choices, &[], "left-out:no-pair");
    let mut continued = choices.clone();
    let next = json!({"number": 4, "parent": 1, "messages": [say("user", "go on"), say("assistant", "c")]});
    continued["rounds"].as_array_mut().unwrap().push(next);
    continued["current"] = json!(3);
    check(&continued, &["a>b"], BRANCHES);
    // What was rated good and then replaced all the same says nothing.
    let doubtful = [
        answer("a", json!({"created_at": "2024-01-01T00:00:00Z", "feedback": {"rating": true}})),
        replaced[1].clone(),
    ];
    check(&siblings(&doubtful, 1), &[], "left-out:no-pair");
}

#[test]
fn edited_questions_and_broken_answers_make_no_pair() {
    let mut edited = siblings(&[], 0);
    edited["rounds"] = json!([
        {"number": 1, "messages": [say("user", "q1"), rated("a", json!(1))]},
        {"number": 2, "parent": null, "messages": [say("user", "q2"), rated("b", json!(5))]}]);
    edited["current"] = json!(1);
    check(&edited, &[], "left-out:no-pair");
    let cut = answer("b", json!({"label": "rejected", "finish_reason": "length"}));
    let shaped = shape(
        &siblings(&[answer("a", json!({"label": "preferred"})), cut], 0),
        "preference",
        checked(Repair),
    );
    assert_eq!(shaped.findings(), "left-out:cut-off-answer");
    assert_eq!(shaped.outcome.left_out[0].part.as_deref(), Some("answer 2"));
}

#[test]
fn pairs_have_the_layout_of_their_trainer() {
    let label = |text: &str, label: &str| answer(text, json!({"label": label}));
    let input = siblings(&[label("a", "preferred"), label("b", "rejected")], 0);
    let prompt = json!([say("system", "S"), say("user", "q")]);
    let (a, b) = (say("assistant", "a"), say("assistant", "b"));
    for (layout, row) in [
        (Layout::Trl, json!({"prompt": prompt, "chosen": [a], "rejected": [b], "tools": null})),
        (
            Layout::LlamaFactory,
            json!({"messages": prompt, "chosen": a, "rejected": b, "tools": ""}),
        ),
        (
            Layout::OpenAi,
            json!({"input": {"messages": prompt}, "preferred_output": [a], "non_preferred_output": [b]}),
        ),
    ] {
        let shaped = shape(&input, "preference", laid_out(layout));
        assert_eq!(shaped.rows, [row], "{layout}");
        assert_eq!(shaped.outcome.records[0].suffix.as_deref(), Some("#2"));
        // What was written is read again, and makes the same row.
        let mut read = shaped.rows[0].clone();
        if layout == Layout::LlamaFactory {
            read["id"] = json!("y");
        }
        let again = shape(&read, "preference", laid_out(layout));
        assert_eq!(again.rows, shaped.rows, "{layout}");
    }
}

#[test]
fn answers_that_call_tools_differ_in_one_message() {
    let round = |number: usize, messages: Value| json!({"number": number, "parent": 0, "messages": messages});
    let calls = |argument: u8| {
        let mut calls = call(&[("k", "f", &format!("{{\"a\":{argument}}}"))]);
        calls["label"] = json!(if argument == 1 { "preferred" } else { "rejected" });
        calls
    };
    let line = |first: Value, second: Value| {
        json!({"retort": 1, "id": "x", "source": "s", "kind": "agent", "status": "active", "current": 1,
        "rounds": [{"number": 1, "tools": [tool("f", "d")], "messages": [say("user", "q")]}, round(2, first), round(3, second)]})
    };
    let canonical_call = |argument: u8| {
        let mut one = calls(argument);
        one["tool_calls"] =
            json!([{"id": "k", "name": "f", "arguments": format!("{{\"a\":{argument}}}")}]);
        one["content"] = json!(null);
        one
    };
    let input = line(json!([canonical_call(1)]), json!([canonical_call(2)]));
    let shaped = shape(&input, "preference", checked(Repair));
    assert_eq!(shaped.findings(), "");
    let function = &shaped.rows[0]["rejected"][0]["tool_calls"][0]["function"];
    assert_eq!(function, &json!({"name": "f", "arguments": {"a": 2}}));
    let ranking = shape(&input, "preference", laid_out(Layout::LlamaFactory));
    assert_eq!(
        ranking.rows[0]["chosen"],
        json!({"role": "function_call", "content": "[{\"name\": \"f\", \"arguments\": {\"a\":1}}]"})
    );
    let longer = line(
        json!([canonical_call(1), result("k", "r"), say("assistant", "a")]),
        json!([canonical_call(2), result("k", "r"), say("assistant", "b")]),
    );
    assert_eq!(
        shape(&longer, "preference", checked(Repair)).findings(),
        "left-out:several-messages"
    );
}

#[test]
fn whole_conversations_are_judged_by_their_last_answers() {
    let talk = |first: &str, last: &str| {
        json!([
            say("user", "q"),
            say("assistant", first),
            say("user", "q2"),
            say("assistant", last)
        ])
    };
    let input = json!({"chosen": talk("x", "good"), "rejected": talk("y", "bad")});
    for layout in [Layout::Trl, Layout::LlamaFactory, Layout::OpenAi] {
        let shaped = shape(&input, "preference", laid_out(layout));
        assert!(shaped.rows.is_empty(), "{:?}", shaped.rows);
        assert_eq!(shaped.findings(), "left-out:several-messages");
    }
    let input = json!({"chosen": talk("x", "good"), "rejected": talk("x", "bad")});
    let shaped = shape(&input, "preference", ShapeOptions::default());
    assert_eq!(shaped.rows[0]["chosen"], json!([say("assistant", "good")]));
    assert_eq!(shaped.rows[0]["rejected"], json!([say("assistant", "bad")]));
}

#[test]
fn labelled_answers_make_rows_for_kto() {
    let label = |text: &str, label: &str| answer(text, json!({"label": label}));
    let input =
        siblings(&[label("a", "preferred"), label("b", "rejected"), rated("c", json!(3))], 0);
    let prompt = json!([say("system", "S"), say("user", "q")]);
    let shaped = shape(&input, "kto", checked(Repair));
    let row = |text: &str, label: bool| json!({"prompt": prompt, "completion": [say("assistant", text)], "label": label, "tools": null});
    assert_eq!(shaped.rows, [row("a", true), row("b", false)]);
    let shaped = shape(&input, "kto", laid_out(Layout::LlamaFactory));
    let row = |text: &str, label: bool| json!({"messages": [say("system", "S"), say("user", "q"), say("assistant", text)], "label": label, "tools": ""});
    assert_eq!(shaped.rows, [row("a", true), row("b", false)]);
    for row in &shaped.rows {
        let again = shape(row, "kto", laid_out(Layout::LlamaFactory));
        assert_eq!(again.rows, std::slice::from_ref(row), "what was written is read again");
    }
    let thumbs = json!([
        say("user", "q"),
        rated("a", json!(true)),
        say("user", "q2"),
        rated("b", json!(-1)),
        say("user", "q3"),
        say("assistant", "c")
    ]);
    let shaped = shape(&json!({"messages": thumbs}), "kto", checked(Repair));
    let labels: Vec<_> = shaped
        .rows
        .iter()
        .map(|row| (row["completion"][0]["content"].clone(), row["label"].clone()))
        .collect();
    assert_eq!(json!(labels), json!([["a", true], ["b", false]]));
    // One star of five is no thumb up, and the worse of two scores is bad.
    let stars = json!([say("user", "q"), rated("a", json!(1))]);
    assert_eq!(shape(&stars, "kto", checked(Repair)).findings(), "left-out:no-label");
    let scores = siblings(&[rated("a", json!(5)), rated("b", json!(1))], 0);
    let labels: Vec<_> = shape(&scores, "kto", checked(Repair))
        .rows
        .iter()
        .map(|row| row["label"].clone())
        .collect();
    assert_eq!(json!(labels), json!([true, false]));
    let unrated = json!([say("user", "q"), say("assistant", "a")]);
    assert_eq!(shape(&unrated, "kto", checked(Repair)).findings(), "left-out:no-label");
}

#[test]
fn rows_of_kto_that_trl_reads_are_read_again() {
    let row = json!({"prompt": [say("user", "q")], "completion": [say("assistant", "a")], "label": false, "tools": null});
    assert_eq!(shape(&row, "kto", checked(Repair)).rows, std::slice::from_ref(&row));
    assert_eq!(shape(&row, "standard", checked(Repair)).findings(), "left-out:not-to-learn");
}
