//! Weave (Weights & Biases): calls as its export, its SDK and its service give them.
//!
//! <https://docs.wandb.ai/weave/guides/tracking/querying-calls>; the fields are those of `Call.to_dict()` in the Python
//! package `weave`.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Feedback, NodeKind, RunStatus};

use super::fields::{self, FieldMap, count, list, number};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::runs::kind_of_word;
use super::sniff::{Entry, Sniff};
use super::span_rows::{Traces, each_row, kept, row_fragments, said, text, value};
use super::spans::{Score, Span, Trace};

/// The format.
pub(super) struct Weave;

/// Under what lists of calls stand.
const PAGES: [&str; 3] = ["calls", "data", "results"];

impl ImportFormat for Weave {
    fn name(&self) -> &'static str {
        "weave"
    }

    fn about(&self) -> &'static str {
        "Weave (Weights & Biases): exported calls as JSON or JSON Lines"
    }

    fn notes(&self) -> &'static str {
        "In Weave, Traces → Export gives all rows as JSONL or JSON; the service's `/calls/stream_query` answers with \
         the same lines, and `call.to_dict()` of the SDK gives the same fields. Export calls at all levels, not only \
         those at the top, and include feedback. A trace is a run of the project, its calls are nodes; what a call is \
         comes from `attributes.weave.kind`, or else from the name of the operation of an integration \
         (`openai.chat.completions.create`). Notes, reactions and scores are feedback; a thread (`thread_id`) makes a \
         conversation, by the same rule as with `otlp`. Tokens and costs that a call sums up of the calls inside it \
         stay in its `metadata`. Objects that Weave stores separately (`weave:///…`) are not in an export; their \
         references are kept. Written from the documentation and the classes of the Python package `weave` 0.54."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_call = sniff.has("op_name")
            && sniff.has("trace_id")
            && ["started_at", "inputs", "parent_id"].iter().any(|name| sniff.has(name));
        let is_page = |list: &&str| {
            sniff.kind(&[list]) == Some(Kind::Array)
                && sniff.holds(&[list, "op_name"])
                && sniff.holds(&[list, "trace_id"])
        };
        is_call || PAGES.iter().any(is_page)
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
    map.has(&["op_name"])
}

fn key_of(raw: &RawJson<'_>) -> Option<String> {
    let mut map = fields::map(raw).filter(is_row)?;
    map.take_id(&["trace_id"]).map(|id| id.decoded().into_owned())
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut traces = Traces::default();
    each_row(fragments, &PAGES, is_row, notes, |mut row, _| {
        let id = row.take_id(&["trace_id"]).unwrap_or_default();
        traces.with(&id.decoded(), |trace| read_call(row, trace));
    });
    traces.with_messages("calls", notes)
}

fn read_call(mut map: FieldMap<'static>, trace: &mut Trace) {
    let id = text(&mut map, &["id"]).unwrap_or_default();
    let parent = text(&mut map, &["parent_id"]).unwrap_or_default();
    let mut span = Span { id, parent, ..Span::default() };
    let project = text(&mut map, &["project_id"]);
    trace.project = trace.project.take().or(project);
    trace.application = trace.project.clone();
    let session = text(&mut map, &["thread_id"]);
    trace.session = trace.session.take().or(session);
    let attributes = map.peek("attributes").and_then(fields::map_within).map(FieldMap::owned);
    let own = |names: &[&str]| said(attributes.as_ref(), names);
    trace.user = trace.user.take().or_else(|| own(&["user_id", "userId", "user"]));
    trace.environment = trace.environment.take().or_else(|| own(&["environment", "env"]));
    trace.version = trace.version.take().or_else(|| own(&["version"]));
    let weave = attributes.and_then(|mut map| map.take(&["weave"], fields::map));

    let operation = map.peek("op_name").and_then(RawJson::as_text).unwrap_or_default();
    let operation = name_of(&operation);
    let shown = map.take(&["display_name"], |raw| raw.text().filter(|text| !text.is_blank()));
    let node = &mut span.node;
    node.node = shown.unwrap_or_else(|| operation.to_owned().into());
    let word = said(weave.as_ref(), &["kind"]);
    node.kind = word.and_then(|word| kind_of_word(&word)).unwrap_or_else(|| kind_of(operation));
    node.started_at = map.take(&["started_at"], fields::time);
    node.finished_at = map.take(&["ended_at"], fields::time);
    node.input = value(&mut map, "inputs");
    node.output = value(&mut map, "output");
    node.error = text(&mut map, &["exception"]).map(Text::from);
    let mut status = None;
    if let Some(mut summary) = map.take(&["summary"], fields::map_within) {
        status = summarize(&mut summary, &mut span, trace);
        if let Some(rest) = summary.rest_object() {
            map.put("summary", rest);
        }
    }
    let node = &mut span.node;
    node.status = match status.as_deref() {
        _ if node.error.is_some() => RunStatus::Failure,
        Some("error") => RunStatus::Failure,
        Some("running") => RunStatus::Running,
        None if node.started_at.is_some() && node.finished_at.is_none() => RunStatus::Running,
        _ => RunStatus::Success,
    };
    if node.kind == NodeKind::ModelCall
        && let Some(mut input) = node.input.as_ref().and_then(fields::map).map(FieldMap::owned)
    {
        let model = input.take(&["model"], RawJson::text);
        node.model = node.model.take().or(model);
        span.tools = input.take(&["tools", "functions"], list).unwrap_or_default();
    }
    let node = &span.node;
    if node.kind == NodeKind::Retrieval {
        let passages = node.output.as_ref().and_then(list);
        span.documents = passages.unwrap_or_default();
    }
    if span.parent.is_empty() {
        trace.name = Some(node.node.decoded().into_owned());
    }
    span.node.metadata = kept(map);
    trace.spans.push(span);
}

/// The name in a reference to an operation: `weave:///ENTITY/PROJECT/op/NAME:VERSION`.
fn name_of(operation: &str) -> &str {
    let name = operation.rsplit_once("/op/").map_or(operation, |(_, name)| name);
    name.rsplit_once(':').map_or(name, |(name, _)| name)
}

/// What an operation does, by the name that an integration gives it.
fn kind_of(operation: &str) -> NodeKind {
    let words: Vec<String> = operation.split('.').map(str::to_ascii_lowercase).collect();
    let ends_with = |end: &[&str]| words.len() > end.len() && words.ends_with(&owned(end));
    if let [first, second, ..] = words.as_slice()
        && first == "langchain"
    {
        return if second == "chain" {
            NodeKind::Other
        } else {
            kind_of_word(second).unwrap_or_default()
        };
    }
    const CALLS: [&[&str]; 12] = [
        &["completions", "create"],
        &["completions", "parse"],
        &["responses", "create"],
        &["responses", "parse"],
        &["messages", "create"],
        &["messages", "stream"],
        &["chat", "complete"],
        &["chat", "stream"],
        &["completion"],
        &["acompletion"],
        &["generate_content"],
        &["generate_content_stream"],
    ];
    if CALLS.iter().any(|end| ends_with(end)) {
        return NodeKind::ModelCall;
    }
    NodeKind::Other
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Takes tokens, costs and feedback; returns how the call ended.
fn summarize(
    summary: &mut FieldMap<'static>,
    span: &mut Span,
    trace: &mut Trace,
) -> Option<String> {
    let is_call = span.node.kind == NodeKind::ModelCall;
    let usage = summary.take(&["usage"], |raw| fields::map(raw).filter(|_| is_call));
    if let Some(usage) = usage {
        let (mut input, mut output) = (None, None);
        for (model, raw) in usage.rest() {
            let Some(mut one) = fields::map(&raw) else { continue };
            add(&mut input, one.take(&["prompt_tokens", "input_tokens"], count));
            add(&mut output, one.take(&["completion_tokens", "output_tokens"], count));
            span.node.model.get_or_insert_with(|| model.into_owned());
        }
        (span.node.usage.input_tokens, span.node.usage.output_tokens) = (input, output);
    }
    let mut weave = summary.take(&["weave"], fields::map)?;
    let costs = weave.take(&["costs"], |raw| fields::map(raw).filter(|_| is_call));
    for (_, raw) in costs.map(FieldMap::rest).unwrap_or_default() {
        let Some(mut one) = fields::map(&raw) else { continue };
        for name in ["prompt_tokens_total_cost", "completion_tokens_total_cost"] {
            if let Some(cost) = one.take(&[name], number) {
                *span.node.cost_usd.get_or_insert(0.0) += cost;
            }
        }
    }
    span.node.cost_usd = span.node.cost_usd.filter(|cost| cost.is_finite());
    for raw in weave.take(&["feedback"], list).unwrap_or_default() {
        let about = Some(span.id.clone()).filter(|_| !span.parent.is_empty());
        let feedback = judged(&raw);
        trace.scores.extend(feedback.map(|feedback| Score {
            span: about,
            feedback,
            raw: Some(raw.into_owned()),
        }));
    }
    text(&mut weave, &["status"])
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

/// A reaction, a note, a score, or an annotation.
fn judged(raw: &RawJson<'_>) -> Option<Feedback<'static>> {
    let mut map = fields::map(raw)?.owned();
    let label = text(&mut map, &["feedback_type"])?;
    let payload = map.take(&["payload"], |raw| Some(raw.clone()))?;
    let mut inner = fields::map(&payload).unwrap_or_default();
    let comment = inner.take(&["note", "reason", "comment"], RawJson::text);
    let rating = inner.take(&["value", "output", "score", "alias", "emoji"], fields::json);
    let is_empty = comment.is_none() && rating.is_none();
    let rating = if is_empty { Some(payload) } else { rating };
    Some(Feedback { rating, label: Some(label.into()), comment })
}
