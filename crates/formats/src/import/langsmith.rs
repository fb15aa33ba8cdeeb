//! LangSmith: runs as its SDK lists them (one a line), as it exports them in bulk (Parquet), and as its clients send them
//! (`post` and `patch`). A run is a span; what its clients patch later completes it.
//!
//! <https://docs.langchain.com/langsmith/run-data-format>, <https://docs.langchain.com/langsmith/data-export>

use std::borrow::Cow;

use retort_json::{RawJson, Text};
use retort_model::{Feedback, NodeKind, RunStatus};

use super::fields::{self, FieldMap, count, list, number};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::raw_spans::parsed;
use super::runs::kind_of_word;
use super::sniff::{Entry, Sniff};
use super::span_rows::{Traces, text, value};
use super::spans::{Score, Span, Trace};

/// The format.
pub(super) struct LangSmith;

impl ImportFormat for LangSmith {
    fn name(&self) -> &'static str {
        "langsmith"
    }

    fn about(&self) -> &'static str {
        "LangSmith: runs as JSON Lines, its bulk export (Parquet), and batches that its clients send"
    }

    fn notes(&self) -> &'static str {
        "Export in bulk from LangSmith's API (Parquet), or write the runs that `client.list_runs()` gives as JSON Lines \
         (`run.json()`), those of all types and not the top ones alone. Batches of its clients (`{post: [run], patch: \
         [run]}`) are read as well. A trace is a run of an application (the project's name), its runs are nodes; \
         `thread_id`, `session_id` or `conversation_id` in the metadata makes conversations of threads, by the same \
         rule as with `otlp`. `feedback_stats` and what the model has no field for stays in `metadata`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        let is_run = sniff.has("run_type")
            && has(&["dotted_order", "trace_id", "parent_run_id", "inputs", "session_name"]);
        is_run
            || sniff.holds(&["post", "dotted_order"])
            || sniff.holds(&["patch", "dotted_order"])
            || sniff.holds(&["post", "run_type"])
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Some(raw) = parsed(text) else { return };
        let Some(mut map) = fields::map(&raw) else { return };
        if map.has(&["post", "patch"]) {
            for name in ["post", "patch"] {
                for one in map.take(&[name], list).unwrap_or_default() {
                    let Some(mut run) = fields::map(&one) else { continue };
                    if let Some(key) = trace_id(&mut run) {
                        into.push(Fragment { key, order: 0, text: one.into_cow() });
                    }
                }
            }
        } else if let Some(key) = trace_id(&mut map) {
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

/// The trace of a run: said, the first of its dotted order, or its own id at the top.
fn trace_id(map: &mut FieldMap<'_>) -> Option<String> {
    if let Some(id) = map.take_id(&["trace_id", "traceId"]) {
        return Some(id.decoded().into_owned());
    }
    let dotted = map.peek("dotted_order").and_then(RawJson::as_text);
    let first = dotted.as_deref().and_then(|dotted| dotted.split('.').next()?.split_once('Z'));
    let id = first.map(|(_, id)| id.to_owned());
    id.or_else(|| {
        let is_at_top = map.peek("parent_run_id").is_none();
        map.peek("id")
            .and_then(fields::id)
            .filter(|_| is_at_top)
            .map(|id| id.decoded().into_owned())
    })
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut traces = Traces::default();
    for raw in fragments {
        let Some(mut map) = FieldMap::of(raw, notes).map(FieldMap::owned) else { continue };
        let mut runs = Vec::new();
        for name in ["post", "patch"] {
            runs.extend(map.take(&[name], list).unwrap_or_default());
        }
        if runs.is_empty() {
            read_row(map, &mut traces, notes);
        }
        for one in runs {
            if let Some(run) = FieldMap::of(&one, notes).map(FieldMap::owned) {
                read_row(run, &mut traces, notes);
            }
        }
    }
    let mut traces = traces.with_messages("runs", notes);
    for span in traces.iter_mut().flat_map(|trace| &mut trace.spans) {
        usage_of_output(span);
        retrieved(span);
    }
    traces
}

fn read_row(mut map: FieldMap<'static>, traces: &mut Traces, notes: &mut Notes) {
    if map.has(&["run_type", "inputs", "outputs", "dotted_order", "trace_id"]) {
        let trace_id = trace_id(&mut map).unwrap_or_default();
        traces.with(&trace_id, |trace| read_run(map, trace, notes));
    }
}

fn read_run(mut map: FieldMap<'static>, trace: &mut Trace, notes: &mut Notes) {
    let id = text(&mut map, &["id", "run_id"]).unwrap_or_default();
    let parent = text(&mut map, &["parent_run_id"]).unwrap_or_default();
    let mut span = Span { id, parent, ..Span::default() };
    let node = &mut span.node;
    node.node = map.take(&["name"], RawJson::text).unwrap_or_default();
    let word = text(&mut map, &["run_type"]);
    node.kind = word.as_deref().and_then(kind_of_run).unwrap_or_default();
    if let Some(word) = word.filter(|_| node.kind == NodeKind::Other) {
        map.put("run_type", RawJson::string(&word));
    }
    node.started_at = map.take(&["start_time"], fields::time);
    node.finished_at = map.take(&["end_time"], fields::time);
    node.input = value(&mut map, "inputs");
    node.output = value(&mut map, "outputs");
    node.error = text(&mut map, &["error"]).map(Text::from);
    let status = text(&mut map, &["status"]);
    node.status = match (status.as_deref(), &node.error) {
        (Some("error"), _) | (_, Some(_)) => RunStatus::Failure,
        (Some("pending"), _) => RunStatus::Running,
        (Some("interrupted"), _) => RunStatus::Cancelled,
        (Some("success"), _) => RunStatus::Success,
        _ if node.finished_at.is_none() => RunStatus::Running,
        _ => RunStatus::Success,
    };
    node.usage.input_tokens = map.take(&["prompt_tokens", "input_tokens"], count);
    node.usage.output_tokens = map.take(&["completion_tokens", "output_tokens"], count);
    node.cost_usd = map.take(&["total_cost"], number);
    extra(&mut map, &mut span, trace);
    let project = text(&mut map, &["session_name", "project_name"]);
    trace.project = trace.project.take().or(project);
    trace.application = trace.application.take().or_else(|| trace.project.clone());
    if span.parent.is_empty() {
        trace.name = Some(span.node.node.decoded().into_owned());
        if let Some(tags) = map.take(&["tags"], fields::list_within) {
            trace.tags = tags.iter().filter_map(RawJson::as_text).map(Text::from).collect();
        }
    }
    for one in map.take(&["feedback", "feedbacks"], list).unwrap_or_default() {
        let Some(mut said) = FieldMap::of(&one, notes).map(FieldMap::owned) else { continue };
        let feedback = Feedback {
            rating: said.take(&["score", "value"], fields::json),
            label: said.take(&["key"], RawJson::text),
            comment: said.take(&["comment"], RawJson::text),
        };
        let about = Some(span.id.clone()).filter(|_| !span.parent.is_empty());
        trace.scores.push(Score { span: about, feedback, raw: Some(one.into_owned()) });
    }
    map.retain(|_, raw| !matches!(raw.as_str(), "null" | "\"\"" | "[]" | "{}"));
    span.node.metadata = map.rest();
    trace.spans.push(span);
}

fn kind_of_run(word: &str) -> Option<NodeKind> {
    match word {
        "prompt" | "chain" | "parser" => Some(NodeKind::Other),
        _ => kind_of_word(&word.to_ascii_lowercase()),
    }
}

/// What is said beside the run: the model, the thread, the user and the tools offered.
fn extra(map: &mut FieldMap<'static>, span: &mut Span, trace: &mut Trace) {
    let Some(raw) = map.peek("extra").map(fields::unquoted) else { return };
    let Some(mut extra) = fields::map(&raw).map(FieldMap::owned) else {
        return;
    };
    if let Some(mut metadata) = extra.take(&["metadata"], fields::map_within) {
        let session = text(&mut metadata, &["session_id", "thread_id", "conversation_id"]);
        trace.session = trace.session.take().or(session);
        let user = text(&mut metadata, &["user_id", "user"]);
        trace.user = trace.user.take().or(user);
        let environment = text(&mut metadata, &["environment", "env"]);
        trace.environment = trace.environment.take().or(environment);
        let version = text(&mut metadata, &["LANGSMITH_AGENT_VERSION", "version"]);
        trace.version = trace.version.take().or(version);
        span.node.model = metadata.take(&["ls_model_name"], RawJson::text);
        span.agent = text(&mut metadata, &["lc_agent_name", "agent_name"]);
    }
    if let Some(mut parameters) = extra.take(&["invocation_params"], fields::map_within) {
        let model = parameters.take(&["model", "model_name"], RawJson::text);
        span.node.model = span.node.model.take().or(model);
        span.tools = parameters.take(&["tools", "functions"], list).unwrap_or_default();
    }
    span.call_id = extra.take(&["tool_call_id"], RawJson::as_text);
}

/// Tokens that the answer says, where the run does not.
fn usage_of_output(span: &mut Span) {
    let Some(output) = &span.node.output else { return };
    let Some(mut map) = fields::map(output) else { return };
    if let Some(mut usage) = map.take(&["usage_metadata", "usage"], fields::map) {
        let (slot, names) = (&mut span.node.usage, ["input_tokens", "prompt_tokens"]);
        slot.input_tokens = slot.input_tokens.or(usage.take(&names, count));
        let names = ["output_tokens", "completion_tokens"];
        slot.output_tokens = slot.output_tokens.or(usage.take(&names, count));
    }
    if span.node.kind == NodeKind::Tool
        && let Some(mut inner) = map.take(&["output"], fields::map)
        && let Some(id) = inner.take_id(&["tool_call_id"])
    {
        span.call_id = Some(id.decoded().into_owned());
    }
}

/// Passages that a retriever gave.
fn retrieved(span: &mut Span) {
    if span.node.kind != NodeKind::Retrieval {
        return;
    }
    let Some(output) = &span.node.output else { return };
    let listed = list(output).or_else(|| fields::map(output)?.take(&["documents", "output"], list));
    span.documents = listed.unwrap_or_default().into_iter().map(RawJson::into_owned).collect();
}
