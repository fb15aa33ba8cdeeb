//! What each purpose makes of one set of runs: successes, failures, one that runs and one that was cancelled, several
//! versions, nodes that did not run and one that ran several times. `docs/purposes.md` shows rows of it.

use std::path::Path;

use crate::support::*;
use retort_formats::data::{self, ShapeOptions, by_name};
use retort_model::bounds::COLUMN_NAME;
use retort_model::{Item, ItemKind, Purpose, Time};
use serde_json::{Value, json};

const RUNS: &str = include_str!("../data/runs.jsonl");

fn options(data_format: &str) -> ShapeOptions {
    let format = by_name(data_format).unwrap();
    let needs_node = format.purposes().iter().any(|purpose| purpose.needs_node());
    let mut options =
        ShapeOptions { node: needs_node.then(|| "answer".into()), ..ShapeOptions::default() };
    let mut variables = Vec::new();
    for line in RUNS.lines() {
        format.each_variable(&read_item(line), &options, &mut |name| {
            if !variables.iter().any(|one| one == name) {
                variables.push(name.to_owned());
            }
        });
    }
    options.variables = variables.into_iter().map(Into::into).collect();
    options
}

/// All rows, and what was left out as `id part: reason`.
fn made(data_format: &str) -> (Vec<Value>, Vec<String>) {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for line in RUNS.lines() {
        let item = read_item(line);
        let shaped = shape_item(&item, data_format, options(data_format));
        assert!(
            !shaped.rows.is_empty() || !shaped.outcome.left_out.is_empty(),
            "accounted for: {line}"
        );
        rows.extend(shaped.rows);
        for one in &shaped.outcome.left_out {
            let part = one.part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
            left_out.push(format!("{}{part}: {}", item.id().decoded(), one.why.reason));
        }
    }
    (rows, left_out)
}

/// The columns named, of each row.
fn picked(rows: &[Value], columns: &[&str]) -> Vec<Value> {
    rows.iter().map(|row| columns.iter().map(|column| row[column].clone()).collect()).collect()
}

#[test]
fn runs_keep_every_field() {
    let (rows, left_out) = made("runs");
    assert_eq!((rows.len(), left_out), (10, Vec::new()));
    for line in RUNS.lines() {
        let run = read_item(line);
        let row = shape_item(&run, "runs", ShapeOptions::default()).text;
        assert_eq!(read_item(&row), run, "{row}");
    }
}

#[test]
fn a_recipe_is_evaluated_on_what_finished() {
    let (rows, left_out) = made("recipe-evaluation");
    assert_eq!(
        left_out,
        ["r05: not-finished", "r06: not-finished", "r09: no-answer", "r10: no-input"]
    );
    assert_eq!(
        picked(
            &rows,
            &[
                "request_id",
                "version",
                "status",
                "input",
                "output",
                "ground_truth",
                "latency_ms",
                "contexts"
            ]
        ),
        [
            json!([
                "r01",
                "1",
                "success",
                "How many days of leave do I have?",
                "You have 30 days.",
                "30 days.",
                1750,
                ["Employees have 30 days of leave."]
            ]),
            json!([
                "r02",
                "2",
                "success",
                "How many days of leave do I have?",
                "Thirty.",
                null,
                1000,
                ["Employees have 30 days of leave.", "Half days count half."]
            ]),
            json!([
                "r03",
                "2",
                "success",
                "“Été” à Noël? 🎄 <image>",
                "=SUM(1) ist “Text”,\nmit Umbruch",
                null,
                null,
                []
            ]),
            json!(["r04", "2", "failure", "What of the year before?", null, null, 30004, []]),
            json!([
                "r07",
                "3",
                "success",
                "{\"rows\": [1, 2], \"mode\": \"sum\"}",
                "3",
                null,
                null,
                []
            ]),
            json!(["r08", null, "success", "Hello", "Good day!", null, null, []]),
        ]
    );
    assert_eq!(rows[3]["error"], "the model did not answer in 30 s");
}

#[test]
fn a_node_is_evaluated_on_each_of_its_executions() {
    let (rows, left_out) = made("node-evaluation");
    assert_eq!(
        left_out,
        [
            "r05: not-finished",
            "r06: node-did-not-run",
            "r07 execution 3: not-finished",
            "r08: node-did-not-run",
            "r09: node-did-not-run",
            "r10: no-input"
        ]
    );
    let columns = [
        "request_id",
        "execution",
        "status",
        "context",
        "question",
        "tone",
        "variable_input",
        "rows",
        "output",
        "ground_truth",
    ];
    let question = "How many days of leave do I have?";
    let passages = "Employees have 30 days of leave.";
    assert_eq!(
        picked(&rows, &columns),
        [
            json!([
                "r01",
                1,
                "success",
                passages,
                question,
                null,
                null,
                null,
                "You have 30 days.",
                null
            ]),
            json!([
                "r02",
                1,
                "success",
                format!("{passages}\nHalf days count half."),
                question,
                "short",
                null,
                null,
                "Thirty.",
                "You have 30 days."
            ]),
            json!([
                "r03",
                1,
                "success",
                null,
                "“Été” à Noël? 🎄 <image>",
                null,
                "{\"a\":[1,null]}",
                null,
                "{\"text\": \"=SUM(1)\"}",
                null
            ]),
            json!([
                "r04",
                1,
                "failure",
                "",
                "What of the year before?",
                null,
                null,
                null,
                null,
                null
            ]),
            json!(["r07", 1, "success", null, null, null, null, "[1,2]", "2", null]),
            json!(["r07", 2, "success", null, null, null, null, "[1,2]", "3", null]),
        ]
    );
    assert_eq!(rows[0]["input"], format!("Answer from {passages}: {question}"));
    assert_eq!(rows[4]["input"], "{\"rows\": [1, 2]}");
}

#[test]
fn a_variable_without_a_column_stands_in_the_one_for_others() {
    let line = RUNS.lines().nth(1).unwrap();
    let few = ShapeOptions { variables: ["question".into()].into(), ..options("node-evaluation") };
    let shaped = shape_item(&read_item(line), "node-evaluation", few);
    assert_eq!(shaped.findings(), "warns:variable-without-column");
    assert_matches(
        &shaped.rows[0],
        &json!({"question": "How many days of leave do I have?", "other_variables": {"tone": "short"}}),
        "row",
    );
    assert!(shaped.rows[0].get("tone").is_none());
}

#[test]
fn a_node_is_optimized_with_what_was_thought_of_it() {
    let (rows, left_out) = made("node-optimization");
    assert_eq!(left_out.len(), 6);
    let columns = [
        "request_id",
        "score",
        "feedback",
        "comment",
        "feedback_on",
        "error",
        "latency_ms",
        "input_tokens",
        "output_tokens",
        "model",
    ];
    assert_eq!(
        picked(&rows, &columns)[..4],
        [
            json!(["r01", "1", "correct", "Exactly.", "run", null, 1500, 41, 6, "m-1"]),
            json!(["r02", "false", "too short", null, "node", null, 900, 48, 2, "m-2"]),
            json!(["r03", null, null, null, null, null, null, null, null, null]),
            json!(["r04", null, null, null, null, "timeout", 30000, null, null, null]),
        ]
    );
    assert_matches(
        &rows[4],
        &json!({"prompt": "Add {rows}", "variables": {"rows": [1, 2]}, "output": "2", "execution": 1, "version": "3"}),
        "row",
    );
}

/// Formats of rows that say which answer is better, or whether one is good.
const NEED_JUDGEMENTS: [&str; 2] = ["preference", "kto"];

#[test]
fn preferences_among_answers_of_runs_are_those_of_people() {
    let (rows, left_out) = made("preference");
    assert!(rows.is_empty());
    let reasons: Vec<_> = left_out.iter().filter(|one| one.ends_with("no-pair")).collect();
    assert_eq!(
        reasons,
        ["r01: no-pair", "r02: no-pair", "r03: no-pair", "r07: no-pair", "r08: no-pair"]
    );
    let shaped = shape_item(&corrected(), "preference", options("preference"));
    let row: Value = serde_json::from_str(&shaped.text).unwrap();
    assert_eq!(row["chosen"], json!([say("assistant", CORRECTION)]));
    assert_eq!(row["rejected"], json!([say("assistant", "You have 30 days.")]));
    let shaped = shape_item(&corrected(), "kto", options("kto"));
    let labels: Vec<_> = shaped.rows.iter().map(|row| &row["label"]).collect();
    assert_eq!(labels, [false, true]);
}

const CORRECTION: &str = "You have 30 days, and 5 more from the age of 50.";

/// The first run, with a better answer that a person wrote.
fn corrected() -> Item<'static> {
    let mut item = read_item(RUNS.lines().next().unwrap());
    let Item::Run(run) = &mut item else { unreachable!("it is a run") };
    let at = Time::parse("2025-01-02T00:00:00Z").unwrap();
    assert!(run.correct(("ann", at), Some(CORRECTION)));
    item
}

#[test]
fn models_are_tuned_on_what_succeeded() {
    let expect = [
        "r04: not-successful",
        "r05: not-finished",
        "r06: not-finished",
        "r09: no-answer",
        "r10: no-input",
    ];
    for format in data::FORMATS {
        let takes_runs =
            format.items().contains(&ItemKind::Run) && !NEED_JUDGEMENTS.contains(&format.name());
        if format.purposes().contains(&Purpose::FineTuning) && takes_runs {
            let (rows, left_out) = made(format.name());
            assert_eq!(
                (rows.len(), &*left_out),
                (5, &expect.map(str::to_owned)[..]),
                "{}",
                format.name()
            );
        }
    }
    let (rows, _) = made("standard");
    assert_matches(
        &rows[0],
        &json!({"data_source": "chat", "model": "m-1", "conversation_id": "r01",
            "messages": [say("user", "How many days of leave do I have?"), say("assistant", "You have 30 days.")],
            "extra": {"run": {"source": "recipe", "source_id": "rec-7", "version": "1", "ground_truth": "30 days.",
                "feedback": {"rating": 1, "label": "correct", "comment": "Exactly."}, "metadata": {"region": "eu"}},
                "turns": [{"at": 0, "attachments": [{"type": "file", "uri": "s3://files/policy.pdf"}]},
                    {"at": 1, "contexts": [{"text": "Employees have 30 days of leave."}]}]}}),
        "row",
    );
    let (rows, _) = made("prompt-completion");
    assert_eq!(
        rows[0],
        json!({"prompt": [say("user", "How many days of leave do I have?")],
            "completion": [say("assistant", "You have 30 days.")], "tools": null})
    );
}

#[test]
fn a_conversation_with_calls_becomes_prompt_and_completion() {
    let input = agent(&[
        say("user", "q"),
        call(&[("k", "f", "{\"a\":1}")]),
        result("k", "r"),
        say("assistant", "a"),
    ]);
    let shaped = shape(&input, "prompt-completion", ShapeOptions::default());
    assert_matches(
        &shaped.rows[0],
        &json!({"prompt": [say("user", "q"),
                {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]},
                {"role": "tool", "content": "r", "tool_call_id": "call00001"}],
            "completion": [say("assistant", "a")],
            "tools": [{"type": "function", "function": {"name": "f"}}]}),
        "row",
    );
}

#[test]
fn columns_of_evaluation_files_have_names_that_evaluators_take() {
    for format in data::FORMATS {
        let evaluates = format
            .purposes()
            .iter()
            .any(|purpose| matches!(purpose, Purpose::RecipeEvaluation | Purpose::NodeEvaluation));
        if !evaluates {
            continue;
        }
        let schema = format.schema(&options(format.name()), true);
        let names: Vec<_> = schema.columns().map(|column| column.name).collect();
        // `evaluation` has the names that one evaluator asks for.
        assert!(
            format.name() == "evaluation"
                || (names.contains(&"input") && names.contains(&"ground_truth")),
            "{names:?}"
        );
        assert!(names.iter().all(|name| name.chars().count() <= COLUMN_NAME), "{names:?}");
    }
}

/// The page, with each block of example rows made anew.
#[test]
fn the_page_of_purposes_shows_what_is_made() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/purposes.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut fresh = String::new();
    let mut lines = page.lines();
    let mut shown = Vec::new();
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        let Some(data_format) =
            line.strip_prefix("<!-- row of ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        shown.push(data_format.to_owned());
        let run: Item<'_> = match NEED_JUDGEMENTS.contains(&data_format) {
            true => corrected(),
            false => read_item(RUNS.lines().next().unwrap()),
        };
        let shaped = shape_item(&run, data_format, options(data_format));
        assert!(!shaped.rows.is_empty() && shaped.rows.iter().all(Value::is_object));
        fresh.push_str(&format!("```json\n{}```\n", shaped.text));
        for line in lines.by_ref() {
            if line == "```" {
                break;
            }
        }
    }
    if std::env::var_os("UPDATE_PURPOSES").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    } else {
        assert!(page == fresh, "docs/purposes.md shows other rows; UPDATE_PURPOSES=1 writes them");
    }
    for format in data::FORMATS.iter().filter(|format| format.items().contains(&ItemKind::Run)) {
        let name = format.name();
        assert!(
            name == "retort" || shown.contains(&name.to_owned()),
            "no row of `{name}` is shown"
        );
    }
    for purpose in Purpose::ALL {
        assert!(page.contains(&format!("## `{purpose}`")), "`{purpose}` is not on the page");
    }
}
