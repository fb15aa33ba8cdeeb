//! MLflow's traces, as `mlflow.get_trace(…).to_json()` and its artifacts have them, and rows of `search_traces`. Its spans
//! are OpenTelemetry's, with what goes in and out as JSON texts in attributes of its own.
//!
//! <https://mlflow.org/docs/latest/genai/tracing/concepts/trace/>

use std::borrow::Cow;

use retort_json::{Kind, RawJson, Text};
use retort_model::Feedback;

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::raw_spans::{self, parsed};
use super::sniff::{Entry, Sniff};
use super::spans::{Score, Trace};

/// The format.
pub(super) struct MlFlow;

impl ImportFormat for MlFlow {
    fn name(&self) -> &'static str {
        "mlflow"
    }

    fn about(&self) -> &'static str {
        "MLflow traces (`trace.to_json()`, `search_traces`), with their assessments"
    }

    fn notes(&self) -> &'static str {
        "Write traces as JSON with `mlflow.get_trace(id).to_json()`, one per line, or export the table that \
         `mlflow.search_traces()` gives. A trace is a run of an application, its spans are nodes, assessments are \
         feedback; expectations are the ground truth. The session (`mlflow.trace.session`) makes conversations, by the \
         same rule as with `otlp`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_json = sniff.has("info") && sniff.holds(&["data", "spans"]);
        let is_row = sniff.has("spans")
            && ["trace_metadata", "request_metadata", "execution_duration", "request_preview"]
                .iter()
                .any(|name| sniff.has(name));
        is_json || is_row
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Some(raw) = parsed(text) else { return };
        let Some(map) = fields::map(&raw) else { return };
        if let Some(key) = info(map.owned()).and_then(|mut info| id(&mut info)) {
            into.push(Fragment { key, order: 0, text: Cow::Borrowed(text) });
        }
    }

    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        session_fragment(joined, &read_traces)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        parse(text, notes, &read_traces)
    }
}

/// What is said of the trace: under `info`, or in the row itself.
fn info(mut map: FieldMap<'static>) -> Option<FieldMap<'static>> {
    if map.has(&["info"]) {
        return map.take(&["info"], fields::map_within);
    }
    Some(map)
}

fn id(info: &mut FieldMap<'static>) -> Option<String> {
    info.take_id(&["trace_id", "request_id"]).map(|id| id.decoded().into_owned())
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    fragments.iter().filter_map(|raw| read_trace(raw, notes)).collect()
}

fn read_trace(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Trace> {
    let mut map = FieldMap::of(raw, notes)?.owned();
    let spans =
        map.take(&["data"], |raw| fields::map_within(raw)?.take(&["spans"], fields::list_within));
    let spans = spans.or_else(|| map.take(&["spans"], fields::list_within));
    let mut info = info(map)?;
    let mut trace = Trace { id: id(&mut info)?, ..Trace::default() };
    for name in ["trace_metadata", "request_metadata", "tags"] {
        let Some(mut metadata) = info.take(&[name], fields::map_within) else { continue };
        let mut text = |slot: &mut Option<String>, names: &[&str]| {
            let found = metadata.take(names, |raw| raw.as_text().filter(|text| !text.is_empty()));
            *slot = slot.take().or(found);
        };
        text(&mut trace.session, &["mlflow.trace.session"]);
        text(&mut trace.user, &["mlflow.trace.user"]);
        text(&mut trace.name, &["mlflow.traceName"]);
        text(&mut trace.version, &["mlflow.source.git.commit"]);
        text(&mut trace.environment, &["mlflow.source.type"]);
        for (slot, name) in
            [(&mut trace.input, "mlflow.traceInputs"), (&mut trace.output, "mlflow.traceOutputs")]
        {
            let found = metadata.take(&[name], |raw| Some(fields::unquoted(raw)));
            *slot = slot.take().or(found);
        }
        if let Some(rest) = metadata.rest_object() {
            info.put(if name == "tags" { "tags" } else { "trace_metadata" }, rest);
        }
    }
    trace.project = info.peek("trace_location").and_then(|raw| {
        let mut place = fields::map(raw)?;
        let experiment = ["mlflow_experiment", "mlflowExperiment"];
        let mut place = place.take(&experiment, fields::map)?;
        place.take_id(&["experiment_id", "experimentId"]).map(|id| id.decoded().into_owned())
    });
    trace.project = trace
        .project
        .take()
        .or_else(|| info.take_id(&["experiment_id"]).map(|id| id.decoded().into_owned()));
    trace.application = trace.project.clone();
    trace.started_at = info.take(&["request_time", "timestamp_ms"], fields::time);
    for one in info.take(&["assessments"], fields::list_within).unwrap_or_default() {
        assess(&one, &mut trace, notes);
    }
    let mut raws = Vec::new();
    for one in spans.unwrap_or_default() {
        raw_spans::read_all(&fields::unquoted(&one), notes, &mut raws);
    }
    for mut raw in raws {
        // Every value is a JSON text, words too.
        raw.attributes = plain(raw.attributes);
        raw_spans::add(raw, &mut trace, notes);
    }
    info.retain(|_, raw| !matches!(raw.as_str(), "null" | "[]" | "{}" | "\"\""));
    trace.metadata.extend(info.rest());
    Some(trace)
}

fn plain(attributes: FieldMap<'static>) -> FieldMap<'static> {
    let mut plain = FieldMap::default();
    for (key, raw) in attributes.rest() {
        let inner = raw.as_text().filter(|text| {
            key.decoded().starts_with("mlflow.") && text.starts_with(['"', '{', '['])
        });
        let inner = inner.and_then(|text| RawJson::owned(&text).ok());
        plain.put_field(key, inner.unwrap_or(raw));
    }
    plain
}

fn assess(raw: &RawJson<'static>, trace: &mut Trace, notes: &mut Notes) {
    let Some(mut map) = FieldMap::of(raw, notes).map(FieldMap::owned) else { return };
    let label = map.take(&["assessment_name", "name"], RawJson::text);
    let value = |raw: &RawJson<'_>| {
        let inner = fields::map(raw)
            .filter(|_| fields::kind(raw) == Some(Kind::Object))
            .and_then(|mut map| map.take(&["value"], fields::json));
        Some(inner.unwrap_or_else(|| raw.clone()).into_owned())
    };
    if let Some(expected) = map.take(&["expectation"], value) {
        trace.ground_truth = trace.ground_truth.take().or(Some(expected));
        return;
    }
    let rating = map.take(&["feedback", "value"], value);
    let comment = map.take(&["rationale"], RawJson::text);
    let span = map.take_id(&["span_id"]).map(|id: Text<'_>| id.decoded().into_owned());
    let feedback = Feedback { rating, label, comment };
    trace.scores.push(Score { span, feedback, raw: Some(raw.clone()) });
}
