//! `node-optimization`: one row an execution of the chosen node, with all that tells how to better its prompt: prompt,
//! variables, output, what people thought of it, error, latency and tokens.

use retort_model::{Item, ItemKind, Purpose};

use super::execution::{latency_ms, put_int, put_text, put_time, text_of, tokens};
use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::node_evaluation::{each_execution, settled};
use super::schema::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct NodeOptimization;

static SCHEMA: Schema = Schema::of(&[
    Field::nullable("prompt", Type::Text),
    Field::nullable("variables", Type::Text),
    Field::required("input", Type::Text),
    Field::nullable("output", Type::Text),
    Field::nullable("ground_truth", Type::Text),
    Field::nullable("score", Type::Text),
    Field::nullable("feedback", Type::Text),
    Field::nullable("comment", Type::Text),
    Field::nullable("feedback_on", Type::Word),
    Field::required("status", Type::Word),
    Field::nullable("error", Type::Text),
    Field::nullable("latency_ms", Type::Int),
    Field::nullable("input_tokens", Type::Int),
    Field::nullable("output_tokens", Type::Int),
    Field::nullable("model", Type::Word),
    Field::required("request_id", Type::Text),
    Field::required("execution", Type::Int),
    Field::nullable("version", Type::Word),
    Field::nullable("started_at", Type::Text),
]);

impl DataFormat for NodeOptimization {
    fn name(&self) -> &'static str {
        "node-optimization"
    }

    fn about(&self) -> &'static str {
        "executions of one node with what helps to improve its prompt: feedback, errors, time, tokens"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run]
    }

    fn purposes(&self) -> &'static [Purpose] {
        &[Purpose::NodeOptimization]
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "A row is an execution of the node that succeeded or failed; `execution` counts them within a run, from 1. \
         `variables` is the JSON text of the values of the prompt's variables. `score`, `feedback` and `comment` are a \
         person's judgement of the node's output or, if `feedback_on` is `run`, of the answer of the whole run; \
         `latency_ms` is in milliseconds."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        each_execution(item, context.options, |run, place, node| {
            let input = settled(node)?;
            let (feedback, on) = match (&node.feedback, &run.feedback) {
                (Some(feedback), _) => (Some(feedback), Some("node")),
                (None, Some(feedback)) => (Some(feedback), Some("run")),
                (None, None) => (None, None),
            };
            out.begin_row();
            put_text(node.prompt.as_ref(), out);
            match &node.variables {
                Some(variables) => out.str(variables.as_str()),
                None => out.absent(),
            }
            out.text(&input);
            put_text(node.output.as_ref().map(text_of).as_ref(), out);
            put_text(node.ground_truth.as_ref(), out);
            let score = feedback.and_then(|feedback| feedback.rating.as_ref()).map(text_of);
            put_text(score.as_ref(), out);
            put_text(feedback.and_then(|feedback| feedback.label.as_ref()), out);
            put_text(feedback.and_then(|feedback| feedback.comment.as_ref()), out);
            match on {
                Some(on) => out.str(on),
                None => out.absent(),
            }
            out.str(node.status.as_str());
            put_text(node.error.as_ref(), out);
            put_int(latency_ms(node.started_at, node.finished_at), out);
            put_int(tokens(node.usage.input_tokens), out);
            put_int(tokens(node.usage.output_tokens), out);
            put_text(node.model.as_ref(), out);
            out.text(&run.request_id);
            out.int(place);
            put_text(run.version.as_ref(), out);
            put_time(node.started_at, out);
            out.end_row();
            Ok(RecordNotes::default())
        })
    }
}
