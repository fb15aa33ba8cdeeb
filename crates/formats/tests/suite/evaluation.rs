//! Answers as evaluators read them.

use retort_formats::data::{Evaluator, RowsPer, ShapeContext, ShapeOptions, ToolCache, by_name};
use retort_formats::file::{CsvDialect, FileOptions, by_name as file_format};
use retort_model::Item;
use serde_json::{Value, json};

use crate::support::{read, read_run, shape, shape_item};

fn options(evaluator: Evaluator) -> ShapeOptions {
    ShapeOptions { evaluator, ..ShapeOptions::default() }
}

fn run() -> Value {
    json!({"request_id": "r1", "source": "recipe", "source_id": "s", "status": "success",
        "question": "How many days?", "answer": "30 days.", "ground_truth": "Thirty.",
        "contexts": [{"text": "30 days | all staff"}, "Part two"], "nodes": [], "files": [],
        "feedback": {"rating": 0.5, "label": "correct", "comment": "Fine."}})
}

fn chat() -> Value {
    json!({"id": "c1", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"Rome\"}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sun"},
        {"role": "assistant", "content": "Sunny."},
        {"role": "user", "content": "And tomorrow?"},
        {"role": "assistant", "content": "Rain.", "feedback": {"rating": "good", "comment": "yes"}},
    ]})
}

#[track_caller]
fn check_run(evaluator: Evaluator, expect: Value) {
    let text = run().to_string();
    let shaped = shape_item(&Item::Run(read_run(&text)), "evaluation", options(evaluator));
    assert_eq!(shaped.findings(), "");
    assert_eq!(shaped.rows, [expect]);
}

#[test]
fn each_evaluator_gets_its_own_columns() {
    check_run(
        Evaluator::Ragas,
        json!({"user_input": "How many days?", "response": "30 days.",
            "retrieved_contexts": ["30 days | all staff", "Part two"], "reference": "Thirty.", "id": "r1", "score": 0.5,
            "label": "correct", "comment": "Fine.", "model": null}),
    );
    check_run(
        Evaluator::DeepEval,
        json!({"input": "How many days?", "actual_output": "30 days.", "expected_output": "Thirty.",
            "retrieval_context": ["30 days | all staff", "Part two"], "name": "r1", "score": 0.5, "label": "correct",
            "comments": "Fine.", "model": null}),
    );
    check_run(
        Evaluator::Inspect,
        json!({"input": [{"role": "user", "content": "How many days?"}], "target": "Thirty.", "id": "r1",
            "metadata": {"output": "30 days.", "contexts": ["30 days | all staff", "Part two"], "score": 0.5,
                "label": "correct", "comment": "Fine.", "model": null}}),
    );
    check_run(
        Evaluator::Promptfoo,
        json!({"vars": {"input": "How many days?", "context": "30 days | all staff\n\nPart two"},
            "assert": [{"type": "equals", "value": "Thirty."}], "providerOutput": "30 days.", "description": "r1",
            "metadata": {"score": 0.5, "label": "correct", "comment": "Fine.", "model": null}}),
    );
    check_run(
        Evaluator::OpenAiEvals,
        json!({"item": {"id": "r1", "input": "How many days?", "messages": [{"role": "user", "content": "How many days?"}],
            "output": "30 days.", "ground_truth": "Thirty.", "contexts": ["30 days | all staff", "Part two"],
            "score": 0.5, "label": "correct", "comment": "Fine.", "model": null}}),
    );
}

/// The header and the first row of a CSV file.
fn csv(evaluator: Evaluator) -> String {
    let text = run().to_string();
    let options = options(evaluator);
    let format = by_name("evaluation").expect("the format");
    let schema = format.schema(&options, true);
    let csv = file_format("csv").expect("CSV");
    let plain = FileOptions { csv: CsvDialect::Plain };
    let mut rows = csv.rows(&schema, plain);
    let mut context = ShapeContext {
        options: &options,
        flat: true,
        output: None,
        given: None,
        tools: &mut ToolCache::default(),
    };
    format.shape(&Item::Run(read_run(&text)), &mut context, &mut *rows);
    let mut bytes = Vec::new();
    let mut writer = csv.writer(&schema, plain).expect("a writer");
    writer.write(csv.encode(vec![rows], plain).expect("a chunk"), &mut bytes).expect("a file");
    writer.finish(&mut bytes).expect("an end");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn csv_is_as_the_evaluators_loaders_take_it() {
    // DeepEval takes lists apart at `|`; a text without `equals:` could be a program for promptfoo to run.
    assert_eq!(
        csv(Evaluator::DeepEval).replace("\r\n", "\n"),
        "input,actual_output,expected_output,retrieval_context,name,score,label,comments,model\n\
         How many days?,30 days.,Thirty.,30 days ¦ all staff|Part two,r1,0.5,correct,Fine.,\n"
    );
    assert_eq!(
        csv(Evaluator::Promptfoo).replace("\r\n", "\n"),
        "input,context,__expected,__providerOutput,__description,__metadata:score,__metadata:label,__metadata:comment,\
         __metadata:model\n\
         How many days?,\"30 days | all staff\n\nPart two\",equals:Thirty.,30 days.,r1,0.5,correct,Fine.,\n"
    );
}

#[test]
fn a_conversation_asks_with_what_was_said_before() {
    let shaped = shape(&chat(), "evaluation", options(Evaluator::Ragas));
    let input = "system: Be brief.\n\nuser: Weather?\n\nassistant: [calls look: {\"at\":\"Rome\"}]\n\ntool: sun\n\n\
                 assistant: Sunny.\n\nuser: And tomorrow?";
    assert_eq!(shaped.rows[0]["user_input"], input);
    assert_eq!(
        shaped.rows,
        [
            json!({"user_input": input, "response": "Rain.", "retrieved_contexts": [], "reference": null, "id": "c1",
            "score": null, "label": "good", "comment": "yes", "model": null})
        ]
    );
    let messages =
        shape(&chat(), "evaluation", options(Evaluator::Inspect)).rows[0]["input"].take();
    assert_eq!(
        messages[2]["tool_calls"],
        json!([{"id": "1", "type": "function", "function": "look", "arguments": {"at": "Rome"}}])
    );
    assert_eq!(messages[3], json!({"role": "tool", "content": "sun", "tool_call_id": "1"}));
}

#[test]
fn each_answer_can_have_a_row() {
    let options = ShapeOptions { rows: RowsPer::Answer, ..options(Evaluator::DeepEval) };
    let shaped = shape(&chat(), "evaluation", options);
    let rows: Vec<_> =
        shaped.rows.iter().map(|row| (&row["name"], &row["actual_output"])).collect();
    assert_eq!(rows, [(&json!("c1#2"), &json!("Sunny.")), (&json!("c1#3"), &json!("Rain."))]);
    assert_eq!(shaped.findings(), "left-out:no-answer");
}

#[test]
fn bad_answers_are_evaluated_as_well_as_good_ones() {
    let bad = json!({"id": "k", "label": false, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]});
    let shaped = shape(&bad, "evaluation", options(Evaluator::Ragas));
    assert_eq!(
        (&shaped.rows[0]["response"], &shaped.rows[0]["label"]),
        (&json!("b"), &json!("rejected"))
    );
}

#[test]
fn the_reference_of_a_conversation_is_that_of_its_last_answer() {
    let round = |number: usize, messages: Value| json!({"number": number, "messages": messages});
    let asked = |number: usize| round(number, json!([{"role": "user", "content": "And then?"}]));
    let answered = |number: usize| {
        round(
            number,
            json!([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]),
        )
    };
    let rounds: Vec<_> = [answered(1), answered(2)].into_iter().chain((3..40).map(asked)).collect();
    let line = json!({"retort": 1, "id": "c", "source": "s", "kind": "chat", "status": "active", "rounds": rounds,
        "metadata": {"reference": "Because."}})
    .to_string();
    let item = Item::Conversation(retort_model::canonical::read(&line).expect("a line"));
    let options = ShapeOptions { rows: RowsPer::Answer, ..options(Evaluator::Ragas) };
    let rows = shape_item(&item, "evaluation", options).rows;
    let references: Vec<_> = rows.iter().map(|row| &row["reference"]).collect();
    assert_eq!(references, [&Value::Null, &json!("Because.")]);
}

#[test]
fn what_has_no_question_or_no_answer_is_left_out() {
    for (messages, why) in [
        (json!([{"role": "assistant", "content": "Hello"}]), "no-input"),
        (json!([{"role": "user", "content": "Hello"}]), "no-answer"),
    ] {
        let text = json!({"messages": messages}).to_string();
        let item = Item::Conversation(read(&text));
        let shaped = shape_item(&item, "evaluation", options(Evaluator::Ragas));
        assert_eq!(shaped.findings(), format!("left-out:{why}"));
    }
}
