//! Opik (Comet): files of `opik export`, and traces and spans as its API and SDK give them.
//!
//! <https://www.comet.com/docs/opik/tracing/advanced/export-data>; the fields are those of the classes `TracePublic` and
//! `SpanPublic` of the Python package `opik`.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Feedback, NodeKind, RunStatus};

use super::fields::{self, FieldMap, count, list, number};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::runs::kind_of_word;
use super::sniff::{Entry, Sniff};
use super::span_rows::{Traces, each_row, kept, row_fragments, said, text, texts, value};
use super::spans::{Score, Span, Trace};

/// The format.
pub(super) struct Opik;

const TRACE_ID: [&str; 2] = ["trace_id", "traceId"];
const STARTED: [&str; 2] = ["start_time", "startTime"];
const FINISHED: [&str; 2] = ["end_time", "endTime"];
const TYPES: [&str; 4] = ["general", "tool", "llm", "guardrail"];
/// Under what lists of traces and spans stand: pages of the API, and batches that its clients send.
const PAGES: [&str; 4] = ["content", "traces", "spans", "data"];
/// What traces have, and spans and other systems' rows do not.
const OF_TRACES: [&str; 8] = [
    "span_count",
    "spanCount",
    "llm_span_count",
    "llmSpanCount",
    "thread_id",
    "threadId",
    "visibility_mode",
    "visibilityMode",
];

impl ImportFormat for Opik {
    fn name(&self) -> &'static str {
        "opik"
    }

    fn about(&self) -> &'static str {
        "Opik (Comet): files of `opik export`, and traces and spans of its API"
    }

    fn notes(&self) -> &'static str {
        "Run `opik export WORKSPACE project NAME`, and give Retort the folder: each `trace_….json` is a trace with its \
         spans. Or write what `search_traces()` and `search_spans()` of the SDK give as JSON Lines (`trace.json()`), \
         both in one import, or pages of the API (`/v1/private/traces`, `/v1/private/spans`). A trace is a run of the \
         project, its spans are nodes, feedback scores are the feedback on either; the traces of a thread (`thread_id`) \
         make a conversation, by the same rule as with `otlp`. Prompts of the prompt library become the node's prompt. \
         What the model has no field for stays in `metadata`. CSV files of `opik export` are not read: they hold lists \
         as Python writes them. Written from the classes of the Python package `opik` 2.2 and the files that its \
         exporter writes."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        let is_typed =
            |path: &[&str]| sniff.text(path).is_some_and(|word| TYPES.contains(&word.as_str()));
        let is_file = sniff.holds(&["trace", "start_time"])
            && sniff.kind(&["spans"]) == Some(Kind::Array)
            && has(&["downloaded_at", "project_name", "attachments"]);
        let is_span = has(&TRACE_ID) && has(&STARTED) && has(&["id"]) && is_typed(&["type"]);
        let is_trace = has(&["id"])
            && has(&STARTED)
            && has(&["project_id", "projectId", "project_name", "projectName"])
            && has(&OF_TRACES)
            && !has(&TRACE_ID);
        let is_page = |list: &str| {
            let holds = |name: &str| sniff.holds(&[list, name]);
            let starts = STARTED.iter().any(|name| holds(name));
            let is_span = TRACE_ID.iter().any(|name| holds(name)) && is_typed(&[list, "type"]);
            let is_trace = holds("id") && OF_TRACES.iter().any(|name| holds(name));
            starts && (is_span || is_trace)
        };
        is_file || is_span || is_trace || PAGES.iter().any(|list| is_page(list))
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

/// Whether an object is a trace, a span, or a file of one trace; else it is a page of them.
fn is_row(map: &FieldMap<'_>) -> bool {
    map.has(&STARTED) || map.has(&["trace"])
}

/// The trace that a row or a file is of.
fn key_of(raw: &RawJson<'_>) -> Option<String> {
    let mut map = fields::map(raw).filter(is_row)?;
    let own = |map: &mut FieldMap<'_>, names: &[&str]| {
        map.take_id(names).map(|id| id.decoded().into_owned())
    };
    if let Some(mut trace) = map.take(&["trace"], fields::map) {
        return own(&mut trace, &["id"]);
    }
    own(&mut map, &TRACE_ID).or_else(|| own(&mut map, &["id"]))
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut traces = Traces::default();
    each_row(fragments, &PAGES, is_row, notes, |row, notes| read_row(row, &mut traces, notes));
    traces.with_messages("spans", notes)
}

fn read_row(mut map: FieldMap<'static>, traces: &mut Traces, notes: &mut Notes) {
    if let Some(id) = map.take_id(&TRACE_ID) {
        traces.with(&id.decoded(), |trace| read_span(map, trace));
        return;
    }
    let Some(mut of_trace) = map.take(&["trace"], fields::map) else {
        let id = map.take_id(&["id"]).unwrap_or_default();
        return traces.with(&id.decoded(), |trace| read_trace(map, trace));
    };
    let id = of_trace.take_id(&["id"]).unwrap_or_default().decoded().into_owned();
    traces.with(&id, |trace| {
        trace.project = text(&mut map, &["project_name"]);
        if let Some(attachments) = map.take(&["attachments"], list).filter(|all| !all.is_empty()) {
            trace.metadata.put("attachments".into(), RawJson::array(&attachments));
        }
        read_trace(of_trace, trace);
        for one in map.take(&["spans"], list).unwrap_or_default() {
            if let Some(mut span) = FieldMap::of(&one, notes).map(FieldMap::owned) {
                span.take_id(&TRACE_ID);
                read_span(span, trace);
            }
        }
    });
}

fn read_trace(mut map: FieldMap<'static>, trace: &mut Trace) {
    common(&mut map, trace);
    trace.name = text(&mut map, &["name"]).or(trace.name.take());
    trace.session = text(&mut map, &["thread_id", "threadId"]).or(trace.session.take());
    trace.started_at = map.take(&STARTED, fields::time).or(trace.started_at);
    trace.finished_at = map.take(&FINISHED, fields::time).or(trace.finished_at);
    trace.input = value(&mut map, "input").or(trace.input.take());
    trace.output = value(&mut map, "output").or(trace.output.take());
    trace.error = error(&mut map).or(trace.error.take());
    trace.tags = texts(&mut map, "tags").unwrap_or_else(|| std::mem::take(&mut trace.tags));
    scores(&mut map, None, trace);
    trace.metadata.extend(kept(map));
}

/// What both a trace and each of its spans say of the trace.
fn common(map: &mut FieldMap<'static>, trace: &mut Trace) {
    let metadata = map.peek("metadata").and_then(fields::map_within);
    let user = said(metadata.as_ref(), &["user_id", "userId", "user"]);
    trace.user = trace.user.take().or(user);
    let project = text(map, &["project_name", "projectName"]);
    let project_id = text(map, &["project_id", "projectId"]);
    trace.project = trace.project.take().or(project).or(project_id);
    trace.application = trace.project.clone();
    trace.environment = text(map, &["environment"]).or(trace.environment.take());
}

/// What went wrong: its message, or else the exception's name.
fn error(map: &mut FieldMap<'static>) -> Option<String> {
    for name in ["error_info", "errorInfo"] {
        let Some(mut info) = map.peek(name).and_then(fields::map_within) else { continue };
        let names = ["message", "exception_type", "exceptionType", "traceback"];
        let found = info.take(&names, |raw| raw.text().filter(|text| !text.is_blank()));
        return found.map(|text| text.decoded().into_owned());
    }
    None
}

fn scores(map: &mut FieldMap<'static>, span: Option<&str>, trace: &mut Trace) {
    let listed = map.take(&["feedback_scores", "feedbackScores"], fields::list_within);
    for raw in listed.unwrap_or_default() {
        let Some(mut one) = fields::map(&raw) else { continue };
        let filled = |raw: &RawJson<'_>| raw.text().is_some_and(|text| !text.is_empty());
        let category = one.take(&["category_name", "categoryName"], |raw| {
            filled(raw).then(|| raw.clone().into_owned())
        });
        let rating = one.take(&["value"], |raw| Some(raw.clone().into_owned()));
        let label = one.take(&["name"], RawJson::text).map(Text::into_owned);
        let comment = one.take(&["reason"], |raw| raw.text().filter(|text| !text.is_blank()));
        let feedback =
            Feedback { rating: category.or(rating), label, comment: comment.map(Text::into_owned) };
        let span = span.map(str::to_owned);
        trace.scores.push(Score { span, feedback, raw: Some(raw.into_owned()) });
    }
}

fn read_span(mut map: FieldMap<'static>, trace: &mut Trace) {
    common(&mut map, trace);
    let id = text(&mut map, &["id"]).unwrap_or_default();
    let parent = text(&mut map, &["parent_span_id", "parentSpanId"]).unwrap_or_default();
    scores(&mut map, Some(&id), trace);
    let mut span = Span { id, parent, ..Span::default() };
    let node = &mut span.node;
    node.node = map.take(&["name"], RawJson::text).unwrap_or_default();
    let word = text(&mut map, &["type"]).unwrap_or_default();
    node.kind = kind_of_word(&word).unwrap_or_default();
    if node.kind == NodeKind::Other && !matches!(word.as_str(), "general" | "") {
        map.put("type", RawJson::string(&word));
    }
    node.started_at = map.take(&STARTED, fields::time);
    node.finished_at = map.take(&FINISHED, fields::time);
    node.input = value(&mut map, "input");
    node.output = value(&mut map, "output");
    node.model = map.take(&["model"], RawJson::text).filter(|model| !model.is_blank());
    if let Some(mut usage) = map.take(&["usage"], fields::map_within) {
        node.usage.input_tokens = usage.take(&["prompt_tokens", "input_tokens"], count);
        node.usage.output_tokens = usage.take(&["completion_tokens", "output_tokens"], count);
        if let Some(rest) = usage.rest_object() {
            map.put("usage", rest);
        }
    }
    node.cost_usd = map.take(&["total_estimated_cost", "totalEstimatedCost"], number);
    node.error = error(&mut map).map(Text::from);
    node.status = match (&node.error, node.finished_at) {
        (Some(_), _) => RunStatus::Failure,
        (None, None) if node.started_at.is_some() && node.output.is_none() => RunStatus::Running,
        _ => RunStatus::Success,
    };
    if let Some(metadata) = map.take(&["metadata"], fields::map_within) {
        beside(metadata.owned(), &mut map, &mut span);
    }
    span.node.metadata = kept(map);
    trace.spans.push(span);
}

/// What the metadata of a span say: the tools that were offered, and the prompt of the library.
fn beside(mut metadata: FieldMap<'static>, map: &mut FieldMap<'static>, span: &mut Span) {
    if span.node.kind == NodeKind::ModelCall {
        span.tools =
            metadata.take(&["tools", "functions"], fields::list_within).unwrap_or_default();
    }
    let prompts = metadata.peek("opik_prompts").and_then(fields::list_within);
    if let Some([only]) = prompts.as_deref() {
        let version = fields::map(only).and_then(|mut one| one.take(&["version"], fields::map));
        span.node.prompt = version.and_then(|mut version| {
            version.take(&["template"], |raw| fields::words(raw).map(Text::into_owned))
        });
    }
    if let Some(rest) = metadata.rest_object() {
        map.put("metadata", rest);
    }
}
