//! `runs`: every field of a run and of its nodes, a row a run. The reader of that name reads it back as it was.

use retort_json::RawJson;
use retort_model::{
    Feedback, Fields, FileReference, Item, ItemKind, Judgement, NodeRun, Run, canonical,
};

use super::execution::{put_int, put_json, put_number, put_text, put_time, tokens};
use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct Runs;

const FEEDBACK: Type = Type::Struct(&[
    Field::optional("rating", Type::Json),
    Field::optional("label", Type::Text),
    Field::optional("comment", Type::Text),
]);

const FILE: Type = Type::Struct(&[
    Field::required("uri", Type::Text),
    Field::optional("name", Type::Text),
    Field::optional("media_type", Type::Word),
    Field::optional("size_bytes", Type::Int),
    Field::optional("metadata", Type::Json),
]);

const NODE: Type = Type::Struct(&[
    Field::required("node", Type::Word),
    Field::required("kind", Type::Word),
    Field::optional("parent", Type::Int),
    Field::optional("model", Type::Word),
    Field::optional("prompt", Type::Text),
    Field::optional("variables", Type::Json),
    Field::optional("input", Type::Json),
    Field::optional("output", Type::Json),
    Field::required("status", Type::Word),
    Field::optional("error", Type::Text),
    Field::optional("feedback", FEEDBACK),
    Field::optional("ground_truth", Type::Text),
    Field::optional("started_at", Type::Text),
    Field::optional("finished_at", Type::Text),
    Field::optional("input_tokens", Type::Int),
    Field::optional("output_tokens", Type::Int),
    Field::optional("cost_usd", Type::Json),
    Field::optional("metadata", Type::Json),
]);

static SCHEMA: Schema = Schema::of(&[
    Field::required("request_id", Type::Text),
    Field::required("source", Type::Word),
    Field::required("source_id", Type::Word),
    Field::nullable("source_name", Type::Word),
    Field::nullable("version", Type::Word),
    Field::nullable("thread", Type::Text),
    Field::nullable("project", Type::Word),
    Field::nullable("owner", Type::Word),
    Field::required("status", Type::Word),
    Field::nullable("question", Type::Text),
    Field::nullable("inputs", Type::Json),
    Field::nullable("answer", Type::Text),
    Field::nullable("error", Type::Text),
    Field::required("files", Type::List(&FILE)),
    Field::required("contexts", Type::List(&Type::Json)),
    Field::required("nodes", Type::List(&NODE)),
    Field::nullable("feedback", FEEDBACK),
    Field::nullable("ground_truth", Type::Text),
    Field::optional("judgements", Type::Json),
    Field::nullable("started_at", Type::Text),
    Field::nullable("finished_at", Type::Text),
    Field::nullable("metadata", Type::Json),
]);

impl DataFormat for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn about(&self) -> &'static str {
        "every field of a run with its nodes: prompts, inputs, outputs, status, files, metadata"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run]
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "A row is a run, as it was read; `nodes` has the nodes that ran, in order, each with the position of the node \
         inside which it ran (`parent`). Inputs, outputs and metadata can be any JSON: in JSON Lines they are JSON \
         values, in CSV and Parquet JSON text, because readers there need one type per column."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        _context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Run(run) = item else { return Outcome::other_kind(item) };
        out.begin_row();
        write(run, out);
        out.end_row();
        Outcome { records: vec![RecordNotes::default()], ..Outcome::default() }
    }
}

fn write(run: &Run<'_>, out: &mut dyn Sink) {
    out.text(&run.request_id);
    out.str(run.source.as_str());
    out.text(&run.source_id);
    put_text(run.source_name.as_ref(), out);
    put_text(run.version.as_ref(), out);
    put_text(run.thread.as_ref(), out);
    put_text(run.project.as_ref(), out);
    put_text(run.owner.as_ref(), out);
    out.str(run.status.as_str());
    put_text(run.question.as_ref(), out);
    put_json(run.inputs.as_ref(), out);
    put_text(run.answer.as_ref(), out);
    put_text(run.error.as_ref(), out);
    put_list(&run.files, out, put_file);
    put_list(&run.contexts, out, |raw, out| out.json(raw.as_str()));
    put_list(&run.nodes, out, put_node);
    put_feedback(run.feedback.as_deref(), out);
    put_text(run.ground_truth.as_ref(), out);
    put_judgements(&run.judgements, out);
    put_time(run.started_at, out);
    put_time(run.finished_at, out);
    put_fields(&run.metadata, out);
}

fn put_judgements(judgements: &[Judgement<'_>], out: &mut dyn Sink) {
    if judgements.is_empty() {
        return out.absent();
    }
    let mut list = Vec::new();
    canonical::write_judgements(judgements, &mut list);
    out.json(&String::from_utf8_lossy(&list));
}

fn put_list<T>(items: &[T], out: &mut dyn Sink, put: impl Fn(&T, &mut dyn Sink)) {
    out.open_list();
    for item in items {
        put(item, out);
    }
    out.close_list();
}

fn put_file(file: &FileReference<'_>, out: &mut dyn Sink) {
    out.open_struct();
    out.text(&file.uri);
    put_text(file.name.as_ref(), out);
    put_text(file.media_type.as_ref(), out);
    put_int(file.size_bytes.and_then(|size| i64::try_from(size).ok()), out);
    put_fields(&file.metadata, out);
    out.close_struct();
}

fn put_node(node: &NodeRun<'_>, out: &mut dyn Sink) {
    out.open_struct();
    out.text(&node.node);
    out.str(node.kind.as_str());
    put_int(node.parent.and_then(|parent| i64::try_from(parent).ok()), out);
    put_text(node.model.as_ref(), out);
    put_text(node.prompt.as_ref(), out);
    put_json(node.variables.as_ref(), out);
    put_json(node.input.as_ref(), out);
    put_json(node.output.as_ref(), out);
    out.str(node.status.as_str());
    put_text(node.error.as_ref(), out);
    put_feedback(node.feedback.as_deref(), out);
    put_text(node.ground_truth.as_ref(), out);
    put_time(node.started_at, out);
    put_time(node.finished_at, out);
    put_int(tokens(node.usage.input_tokens), out);
    put_int(tokens(node.usage.output_tokens), out);
    put_number(node.cost_usd, out);
    put_fields(&node.metadata, out);
    out.close_struct();
}

fn put_feedback(feedback: Option<&Feedback<'_>>, out: &mut dyn Sink) {
    let Some(feedback) = feedback else { return out.absent() };
    out.open_struct();
    put_json(feedback.rating.as_ref(), out);
    put_text(feedback.label.as_ref(), out);
    put_text(feedback.comment.as_ref(), out);
    out.close_struct();
}

fn put_fields(fields: &Fields<'_>, out: &mut dyn Sink) {
    match RawJson::object(fields) {
        Some(object) => out.json(object.as_str()),
        None => out.absent(),
    }
}
