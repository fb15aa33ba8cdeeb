//! Braintrust: rows of logs and experiments, as its interface downloads them, its API answers with them and its clients
//! send them. A row is a span; rows that are merged into an earlier one complete it.
//!
//! <https://www.braintrust.dev/docs/api-reference/logs/fetch-project-logs-post-form>; the fields are those of
//! `ProjectLogsEvent` and `ExperimentEvent` in the Python package `braintrust`.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Feedback, NodeKind, RunStatus};

use super::fields::{self, FieldMap, count, list, number};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::sniff::{Entry, Sniff};
use super::span_rows::{Traces, each_row, kept, row_fragments, said, text, texts, value};
use super::spans::{Score, Span, Trace};

/// The format.
pub(super) struct Braintrust;

/// Under what lists of rows stand: answers of the API, of its queries, and what clients send.
const PAGES: [&str; 4] = ["events", "data", "rows", "objects"];

impl ImportFormat for Braintrust {
    fn name(&self) -> &'static str {
        "braintrust"
    }

    fn about(&self) -> &'static str {
        "Braintrust: rows of logs and experiments as JSON, JSON Lines or CSV"
    }

    fn notes(&self) -> &'static str {
        "In Braintrust, Logs (with the rows shown as spans) or an experiment can be downloaded as JSON or CSV; pages of \
         the API (`/v1/project_logs/ID/fetch`, `{events: […]}`) and of its queries (`/btql`, `{data: […]}`) hold the same \
         rows. Take all spans of a trace, not the top ones alone. A trace (`root_span_id`) is a run of the project, its \
         spans are nodes: those of the types `llm` and `tool` are model calls and tools. Scores are feedback, `expected` \
         is the ground truth. `session_id`, `thread_id` or `conversation_id` in the metadata makes conversations of \
         sessions, by the same rule as with `otlp`; what the model has no field for stays in `metadata`. Written from \
         the documentation, and the classes and the rows of the Python package `braintrust` 0.48."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_row = sniff.has("root_span_id")
            && (sniff.has("span_id") || sniff.has("span_attributes") || sniff.has("span_parents"));
        let is_page = |name: &&str| {
            sniff.kind(&[name]) == Some(Kind::Array)
                && sniff.holds(&[name, "root_span_id"])
                && sniff.holds(&[name, "span_id"])
        };
        is_row || PAGES.iter().any(is_page)
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        row_fragments(text, &PAGES, key_of, into);
    }

    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        session_fragment(joined, &read_traces)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        parse(text, notes, &read_traces)
    }
}

fn is_row(map: &FieldMap<'_>) -> bool {
    map.has(&["root_span_id"])
}

fn key_of(raw: &RawJson<'_>) -> Option<String> {
    fields::map(raw)?.take_id(&["root_span_id"]).map(|id| id.decoded().into_owned())
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut traces = Traces::default();
    each_row(fragments, &PAGES, is_row, notes, |mut row, _| {
        let id = row.take_id(&["root_span_id"]).unwrap_or_default();
        traces.with(&id.decoded(), |trace| read_span(row, trace));
    });
    traces.with_messages("spans", notes)
}

fn read_span(mut map: FieldMap<'static>, trace: &mut Trace) {
    let id = text(&mut map, &["span_id", "id"]).unwrap_or_default();
    let mut parents = Vec::new();
    if let Some(listed) = map.take(&["span_parents"], fields::list_within) {
        parents = listed.iter().filter_map(RawJson::as_text).collect();
    }
    // A span may be inside several; the tree shows it inside the first.
    if parents.len() > 1 {
        let all: Vec<_> = parents.iter().map(|id| RawJson::string(id)).collect();
        map.put("span_parents", RawJson::array(&all));
    }
    let parent = parents.into_iter().next().unwrap_or_default();
    let mut span = Span { id, parent, ..Span::default() };
    let node = &mut span.node;
    if let Some(mut attributes) = map.take(&["span_attributes"], fields::map_within) {
        node.node = attributes.take(&["name"], RawJson::text).unwrap_or_default();
        node.kind = attributes.take(&["type"], kind_of).unwrap_or_default();
        if let Some(rest) = attributes.rest_object() {
            map.put("span_attributes", rest);
        }
    }
    node.input = value(&mut map, "input");
    node.output = value(&mut map, "output").map(with_choices);
    node.error = map.take(&["error"], fields::words).map(Text::into_owned);
    node.error = node.error.take().filter(|error| !error.is_blank());
    let is_merged = map.is_true("_is_merge");
    if let Some(mut metrics) = map.take(&["metrics"], fields::map_within) {
        node.started_at = metrics.take(&["start"], fields::time);
        node.finished_at = metrics.take(&["end"], fields::time);
        node.usage.input_tokens = metrics.take(&["prompt_tokens"], count);
        node.usage.output_tokens = metrics.take(&["completion_tokens"], count);
        node.cost_usd = metrics.take(&["estimated_cost", "cost"], number);
        if let Some(rest) = metrics.rest_object() {
            map.put("metrics", rest);
        }
    }
    node.status = match (&node.error, node.started_at, node.finished_at) {
        (Some(_), ..) => RunStatus::Failure,
        (None, Some(_), None) => RunStatus::Running,
        _ => RunStatus::Success,
    };
    if node.started_at.is_none() && !is_merged {
        node.started_at = map.peek("created").and_then(fields::time);
    }
    let project = text(&mut map, &["project_name"]).or(text(&mut map, &["project_id"]));
    trace.project = trace.project.take().or(project);
    trace.application = trace.project.clone();
    if let Some(metadata) = map.take(&["metadata"], fields::map_within) {
        beside(metadata.owned(), &mut map, &mut span, trace);
    }
    let is_at_top = span.parent.is_empty();
    if is_at_top {
        let name = Some(span.node.node.decoded().into_owned()).filter(|name| !name.is_empty());
        trace.name = name.or(trace.name.take());
        trace.tags = texts(&mut map, "tags").unwrap_or_else(|| std::mem::take(&mut trace.tags));
    }
    if let Some(expected) = value(&mut map, "expected") {
        span.node.ground_truth = fields::words(&expected).map(Text::into_owned);
        if is_at_top {
            trace.ground_truth = Some(expected);
        }
    }
    if let Some(scores) = map.take(&["scores"], fields::map_within) {
        for (name, raw) in scores.owned().rest() {
            if raw.is_null() {
                continue;
            }
            let about = Some(span.id.clone()).filter(|_| !is_at_top);
            let told = fields::object_of([
                ("name", RawJson::string(&name.decoded())),
                ("value", raw.clone()),
            ]);
            let feedback = Feedback { rating: Some(raw), label: Some(name), comment: None };
            trace.scores.push(Score { span: about, feedback, raw: Some(told) });
        }
    }
    span.node.metadata = kept(map);
    trace.spans.push(span);
}

/// What a type says; a word that is neither stays with the rest. A `function` is one of the application's own.
fn kind_of(raw: &RawJson<'_>) -> Option<NodeKind> {
    match raw.as_text()?.as_str() {
        "llm" => Some(NodeKind::ModelCall),
        "tool" => Some(NodeKind::Tool),
        _ => None,
    }
}

/// An answer of OpenAI's, of which the wrapper logs the list of choices alone.
fn with_choices(output: RawJson<'static>) -> RawJson<'static> {
    let is_choice = |raw: &RawJson<'_>| {
        fields::map(raw)
            .is_some_and(|map| map.has(&["message"]) && map.has(&["index", "finish_reason"]))
    };
    match list(&output) {
        Some(listed) if !listed.is_empty() && listed.iter().all(is_choice) => {
            fields::object_of([("choices", output)])
        }
        _ => output,
    }
}

/// What the metadata say of the call and of the trace.
fn beside(
    mut metadata: FieldMap<'static>,
    map: &mut FieldMap<'static>,
    span: &mut Span,
    trace: &mut Trace,
) {
    let own = |names: &[&str]| said(Some(&metadata), names);
    let session = own(&["session_id", "sessionId", "thread_id", "threadId", "conversation_id"]);
    trace.session = trace.session.take().or(session);
    trace.user = trace.user.take().or_else(|| own(&["user_id", "userId", "user"]));
    trace.environment = trace.environment.take().or_else(|| own(&["environment", "env"]));
    trace.version = trace.version.take().or_else(|| own(&["version", "release"]));
    if span.node.kind == NodeKind::ModelCall {
        span.node.model = metadata.take(&["model"], RawJson::text);
        span.tools = metadata.take(&["tools", "functions"], list).unwrap_or_default();
    }
    if let Some(rest) = metadata.rest_object() {
        map.put("metadata", rest);
    }
}
