//! `recipe-evaluation`: finished runs end to end, as evaluators read them: `input`, `output`, `ground_truth`,
//! `contexts`, and what tells versions of a recipe or copilot apart.

use retort_json::{RawJson, Text, Value};
use retort_model::{Item, ItemKind, LeftOut, NodeKind, Purpose, Reason, Run, RunStatus, Warning};

use super::execution::{finished, input_of, latency_ms, put_int, put_text, put_time, text_of};
use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::record::not_understood;
use super::schema::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct RecipeEvaluation;

static SCHEMA: Schema = Schema::of(&[
    Field::required("input", Type::Text),
    Field::nullable("output", Type::Text),
    Field::nullable("ground_truth", Type::Text),
    Field::required("contexts", Type::List(&Type::Text)),
    Field::required("request_id", Type::Text),
    Field::required("recipe", Type::Word),
    Field::nullable("version", Type::Word),
    Field::required("status", Type::Word),
    Field::nullable("error", Type::Text),
    Field::nullable("latency_ms", Type::Int),
    Field::nullable("started_at", Type::Text),
]);

impl DataFormat for RecipeEvaluation {
    fn name(&self) -> &'static str {
        "recipe-evaluation"
    }

    fn about(&self) -> &'static str {
        "finished runs end to end for evaluators, versions comparable by `input`"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["csv", "jsonl", "parquet"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run]
    }

    fn purposes(&self) -> &'static [Purpose] {
        &[Purpose::RecipeEvaluation]
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "A row is a run that succeeded or failed. Runs of several versions with one `input` can be compared. \
         `ground_truth` is the expected answer that a person gave, if there is one. `latency_ms` is in milliseconds."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Run(run) = item else { return Outcome::other_kind(item) };
        if let Some(why) = not_understood(item) {
            return Outcome::left_out(None, why);
        }
        match write(run, context.options.max_contexts, out) {
            Ok(notes) => Outcome { records: vec![notes], ..Outcome::default() },
            Err(why) => Outcome::left_out(None, why),
        }
    }
}

fn write(run: &Run<'_>, max_contexts: usize, out: &mut dyn Sink) -> Result<RecordNotes, LeftOut> {
    finished(run.status, "the run")?;
    let input = input_of(run)?;
    let answer = run.answer.as_ref().filter(|answer| !answer.is_blank());
    if answer.is_none() && run.status == RunStatus::Success {
        return Err(LeftOut::new(Reason::NoAnswer, "the run has no answer"));
    }
    let mut notes = RecordNotes::default();
    let contexts = contexts_of(run);
    if contexts.len() > max_contexts {
        notes.warnings.push(Warning::CutContexts.into());
    }
    out.begin_row();
    out.text(&input);
    put_text(answer, out);
    put_text(run.ground_truth.as_ref(), out);
    out.open_list();
    for text in contexts.iter().take(max_contexts) {
        out.text(text);
    }
    out.close_list();
    out.text(&run.request_id);
    out.text(&run.source_id);
    put_text(run.version.as_ref(), out);
    out.str(run.status.as_str());
    put_text(run.error.as_ref(), out);
    put_int(latency_ms(run.started_at, run.finished_at), out);
    put_time(run.started_at, out);
    out.end_row();
    Ok(notes)
}

/// The passages that the answer could use: the run's own, else what its retrieving nodes gave.
pub(super) fn contexts_of(run: &Run<'_>) -> Vec<Text<'static>> {
    if !run.contexts.is_empty() {
        return run.contexts.iter().map(passage).collect();
    }
    let retrieved = run.nodes.iter().filter(|node| node.kind == NodeKind::Retrieval);
    let outputs = retrieved.filter_map(|node| node.output.as_ref());
    outputs.flat_map(passages).collect()
}

/// What a retrieving node gave, if that is passages: numbers are an embedding.
fn passages(output: &RawJson<'_>) -> Vec<Text<'static>> {
    match Value::parse(output.as_str()) {
        Ok(Value::Array(items)) => items
            .iter()
            .filter(|item| matches!(item, Value::String(_) | Value::Object(_)))
            .filter_map(|item| Some(passage(&RawJson::owned(&item.to_json()).ok()?)))
            .collect(),
        Ok(Value::String(text)) if !text.is_empty() => vec![text.into_owned().into()],
        _ => Vec::new(),
    }
}

/// The text of a passage; of one that keeps it under no name that is known, the JSON text.
pub(super) fn passage(raw: &RawJson<'_>) -> Text<'static> {
    let value = Value::parse(raw.as_str()).ok();
    let names = ["text", "content", "page_content", "chunk"];
    let said = value
        .as_ref()
        .and_then(|value| names.iter().find_map(|name| value.get(name).and_then(Value::as_str)));
    said.map_or_else(|| text_of(raw), |text| text.to_owned().into())
}
