//! `node-evaluation`: one row an execution of the chosen node, as evaluators read it: `input`, the variables of its
//! prompt as columns, `output`, `ground_truth`.

use retort_model::{Item, ItemKind, LeftOut, NodeRun, Purpose, Reason, Run, RunStatus, Warning};

use super::execution::{finished, is_nothing, latency_ms, put_int, put_text, put_time, text_of};
use super::format::{DataFormat, Outcome, RecordLeftOut, RecordNotes, ShapeContext, ShapeOptions};
use super::record::not_understood;
use super::schema::{Field, Schema, Sink, Type};
use super::variables::{self, columns, input_of};

/// The format.
pub(super) struct NodeEvaluation;

static SCHEMA: Schema = Schema::of(&[
    Field::required("input", Type::Text),
    Field::nullable("output", Type::Text),
    Field::nullable("ground_truth", Type::Text),
    Field::required("status", Type::Word),
    Field::nullable("error", Type::Text),
    Field::required("request_id", Type::Text),
    Field::required("execution", Type::Int),
    Field::nullable("version", Type::Word),
    Field::nullable("latency_ms", Type::Int),
    Field::nullable("started_at", Type::Text),
    Field::nullable("other_variables", Type::Text),
]);

/// Columns before those of the variables.
const BEFORE_VARIABLES: usize = 1;

impl DataFormat for NodeEvaluation {
    fn name(&self) -> &'static str {
        "node-evaluation"
    }

    fn about(&self) -> &'static str {
        "executions of one node for evaluators, with the variables of its prompt as columns"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.with(BEFORE_VARIABLES, columns(&options.variables, &SCHEMA))
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["csv", "jsonl", "parquet"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run]
    }

    fn purposes(&self) -> &'static [Purpose] {
        &[Purpose::NodeEvaluation]
    }

    fn has_variables(&self) -> bool {
        true
    }

    fn each_variable(&self, item: &Item<'_>, options: &ShapeOptions, take: &mut dyn FnMut(&str)) {
        let Item::Run(run) = item else { return };
        executions(run, options).for_each(|node| variables::each(node, take));
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "A row is an execution of the node that succeeded or failed; `execution` counts them within a run, from 1. The \
         columns after `input` are the variables of its prompt. `latency_ms` is in milliseconds."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let options = context.options;
        each_execution(item, options, |run, place, node| {
            let input = settled(node)?;
            let mut notes = RecordNotes::default();
            out.begin_row();
            out.text(&input);
            let others = variables::write(node, &options.variables, out);
            put_text(node.output.as_ref().map(text_of).as_ref(), out);
            put_text(node.ground_truth.as_ref(), out);
            out.str(node.status.as_str());
            put_text(node.error.as_ref(), out);
            out.text(&run.request_id);
            out.int(place);
            put_text(run.version.as_ref(), out);
            put_int(latency_ms(node.started_at, node.finished_at), out);
            put_time(node.started_at, out);
            match others {
                Some(others) => {
                    notes.warnings.push(Warning::VariableWithoutColumn.into());
                    out.str(&others);
                }
                None => out.absent(),
            }
            out.end_row();
            Ok(notes)
        })
    }
}

/// The executions of the chosen node.
fn executions<'r, 'a>(
    run: &'r Run<'a>,
    options: &'r ShapeOptions,
) -> impl Iterator<Item = &'r NodeRun<'a>> {
    let chosen = options.node.as_deref();
    run.nodes.iter().filter(move |node| chosen.is_some_and(|chosen| node.node == *chosen))
}

/// Writes a record for each execution of the chosen node, with its place among them from 1, and accounts for it.
pub(super) fn each_execution(
    item: &Item<'_>,
    options: &ShapeOptions,
    mut write: impl FnMut(&Run<'_>, i64, &NodeRun<'_>) -> Result<RecordNotes, LeftOut>,
) -> Outcome {
    let Item::Run(run) = item else { return Outcome::other_kind(item) };
    if let Some(why) = not_understood(item) {
        return Outcome::left_out(None, why);
    }
    let mut outcome = Outcome::default();
    let is_one = executions(run, options).count() == 1;
    for (place, node) in (1..).zip(executions(run, options)) {
        let part = (!is_one).then(|| format!("execution {place}"));
        match write(run, place, node) {
            Ok(notes) => outcome.records.push(RecordNotes { part, ..notes }),
            Err(why) => outcome.left_out.push(RecordLeftOut { part, why }),
        }
    }
    if outcome.records.is_empty() && outcome.left_out.is_empty() {
        let node = options.node.as_deref().unwrap_or_default();
        let why = LeftOut::new(Reason::NodeDidNotRun, format!("`{node}` did not run"));
        return Outcome::left_out(None, why);
    }
    outcome
}

/// The input of an execution that ended and has what it takes to be judged.
pub(super) fn settled<'n>(node: &'n NodeRun<'_>) -> Result<retort_json::Text<'n>, LeftOut> {
    finished(node.status, "the node")?;
    let input = input_of(node)
        .ok_or_else(|| LeftOut::new(Reason::NoInput, "the node has neither input nor prompt"))?;
    if node.status == RunStatus::Success && node.output.as_ref().is_none_or(is_nothing) {
        return Err(LeftOut::new(Reason::NoAnswer, "the node has no output"));
    }
    Ok(input)
}
