//! Langfuse: its blob export and batch export (rows of observations, traces and scores), the download of one trace, and
//! the events that its SDKs send. What is known of one trace may be spread over rows of all three tables.
//!
//! <https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage>,
//! <https://langfuse.com/docs/observability/data-model>

use std::borrow::Cow;

use retort_json::{Kind, RawJson, Text, write_string};
use retort_model::{Feedback, NodeKind, RunStatus};

use super::fields::{self, FieldMap, count, json, list, number};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::otlp::{parse, session_fragment};
use super::raw_spans::parsed;
use super::runs::kind_of_word;
use super::sniff::{Entry, Sniff};
use super::span_rows::{Traces, kept};
use super::spans::{Score, Span, Trace};

/// The format.
pub(super) struct Langfuse;

const TRACE_ID: [&str; 2] = ["traceId", "trace_id"];
const STARTED: [&str; 2] = ["startTime", "start_time"];
const TYPES: [&str; 10] = [
    "SPAN",
    "EVENT",
    "GENERATION",
    "AGENT",
    "TOOL",
    "CHAIN",
    "RETRIEVER",
    "EVALUATOR",
    "EMBEDDING",
    "GUARDRAIL",
];

impl ImportFormat for Langfuse {
    fn name(&self) -> &'static str {
        "langfuse"
    }

    fn about(&self) -> &'static str {
        "Langfuse: blob and batch exports of observations, traces and scores, and downloaded traces"
    }

    fn notes(&self) -> &'static str {
        "In Langfuse, Project Settings → Integrations → Blob Storage exports the tables `observations`, `traces` and \
         `scores` (JSON, JSONL or CSV, packed or not): give Retort all files of an export at once. Tables in the \
         interface have an Export button (JSON, JSONL, CSV), and a trace can be downloaded as JSON; the API's \
         `/api/public/traces/ID` and `/api/public/observations` give the same. Versions 2 and 3 and the events that \
         SDKs send (`{batch: [{type, body}]}`) are read. A trace is a run of an application, an observation a node, a \
         score the feedback on either; what the model has no field for stays in `metadata`. Langfuse leaves inputs and \
         outputs out of downloads of traces with 350 observations or more: take the blob export for these. Sessions \
         become conversations by the same rule as with `otlp`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        let is_typed =
            |path: &[&str]| sniff.text(path).is_some_and(|word| TYPES.contains(&word.as_str()));
        let is_observation = has(&TRACE_ID) && has(&STARTED) && is_typed(&["type"]);
        let is_download = sniff.kind(&["observations"]) == Some(Kind::Array)
            && (sniff.holds(&["trace", "id"]) || has(&["timestamp"]));
        let is_trace =
            has(&["bookmarked"]) && has(&["session_id", "sessionId", "user_id", "userId"]);
        let is_score =
            has(&TRACE_ID) && has(&["data_type", "dataType"]) && has(&["source", "comment"]);
        let is_batch = sniff.holds(&["batch", "body"]) && sniff.holds(&["batch", "type"]);
        is_observation || is_download || is_trace || is_score || is_batch
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Some(raw) = parsed(text) else { return };
        let Some(mut map) = fields::map(&raw) else { return };
        if let Some(batch) = map.take(&["batch"], list) {
            let only = only_trace(&batch);
            for one in batch {
                let Some(mut event) = fields::map(&one) else { continue };
                let word = event.take(&["type"], RawJson::text).unwrap_or_default();
                let Some(body) = event.take(&["body"], fields::object) else { continue };
                let key = key_of_event(&word.decoded(), &body).or_else(|| only.clone());
                let Some(key) = key else { continue };
                let mut text = String::from("{\"event\":");
                write_string(&word.decoded(), &mut text);
                text.push_str(",\"trace_id\":");
                write_string(&key, &mut text);
                text.push_str(",\"body\":");
                text.push_str(body.as_str());
                text.push('}');
                into.push(Fragment { key, order: 0, text: Cow::Owned(text) });
            }
            return;
        }
        if let Some(key) = key_of(&mut map) {
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

/// The trace that a row or a download is of.
fn key_of(map: &mut FieldMap<'_>) -> Option<String> {
    let own = |map: &mut FieldMap<'_>| map.take_id(&TRACE_ID).map(|id| id.decoded().into_owned());
    if let Some(id) = own(map) {
        return Some(id);
    }
    let inner = map.peek("trace").and_then(fields::map);
    let id = inner.and_then(|mut inner| inner.take_id(&["id"]).map(|id| id.decoded().into_owned()));
    id.or_else(|| map.take_id(&["id"]).map(|id| id.decoded().into_owned()))
}

fn key_of_event(word: &str, body: &RawJson<'_>) -> Option<String> {
    let mut map = fields::map(body)?;
    let names: &[&str] = if word == "trace-create" { &["id"] } else { &TRACE_ID };
    map.take_id(names).map(|id| id.decoded().into_owned())
}

/// The trace of a batch that has one alone: what does not say its trace is of that.
fn only_trace(batch: &[RawJson<'_>]) -> Option<String> {
    let created = |one: &RawJson<'_>| {
        let mut event = fields::map(one)?;
        let word = event.take(&["type"], RawJson::text)?;
        let body = event.take(&["body"], fields::object)?;
        (word == *"trace-create").then(|| key_of_event("trace-create", &body))?
    };
    let mut traces = batch.iter().filter_map(created);
    let only = traces.next()?;
    traces.all(|other| other == only).then_some(only)
}

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut traces = Traces::default();
    for raw in fragments {
        let Some(map) = FieldMap::of(raw, notes) else { continue };
        let mut map = map.owned();
        if let Some(batch) = map.take(&["batch"], list) {
            let only = only_trace(&batch);
            for one in batch {
                let Some(event) = FieldMap::of(&one, notes) else { continue };
                let mut event = event.owned();
                if let Some(only) = &only {
                    event.put("trace_id", RawJson::string(only));
                }
                read_event(event, &mut traces, notes);
            }
        } else if map.has(&["event"]) && map.has(&["body"]) {
            read_event(map, &mut traces, notes);
        } else {
            read_row(map, &mut traces, notes);
        }
    }
    traces.with_messages("observations", notes)
}

fn read_event(mut event: FieldMap<'static>, traces: &mut Traces, notes: &mut Notes) {
    let word = event.take(&["event", "type"], RawJson::text).unwrap_or_default();
    let word = word.decoded().into_owned();
    let body = event.take(&["body"], fields::map);
    let Some(mut body) = body.map(FieldMap::owned) else { return };
    if let Some(id) = event.take_id(&TRACE_ID)
        && !body.has(&TRACE_ID)
    {
        body.put("traceId", RawJson::string(&id.decoded()));
    }
    match word.split_once('-').map(|(what, _)| what) {
        Some("trace") => {
            body.take_id(&TRACE_ID);
            let id = body.take_id(&["id"]).unwrap_or_default();
            traces.with(&id.decoded(), |trace| read_trace(body, trace, notes));
        }
        Some("score") => read_row(body, traces, notes),
        Some(what) => {
            if !body.has(&["type"]) && what != "observation" {
                body.put("type", RawJson::string(&what.to_ascii_uppercase()));
            }
            let id = body.take_id(&TRACE_ID).unwrap_or_default();
            traces.with(&id.decoded(), |trace| read_observation(body, trace));
        }
        None => {}
    }
}

/// Reads a row of one of the tables, or a download.
fn read_row(mut map: FieldMap<'static>, traces: &mut Traces, notes: &mut Notes) {
    let observations = map.take(&["observations"], list);
    let of_trace = map.take(&["trace"], fields::map);
    if let Some(id) = map.take_id(&TRACE_ID) {
        traces.with(&id.decoded(), |trace| {
            if map.has(&["data_type", "dataType"]) || !map.has(&STARTED) && map.has(&["value"]) {
                trace.scores.extend(score(map));
            } else {
                read_observation(map, trace);
            }
        });
        return;
    }
    let mut trace_map = of_trace.map_or_else(|| std::mem::take(&mut map), FieldMap::owned);
    const OWN: [&str; 6] =
        ["timestamp", "bookmarked", "session_id", "sessionId", "input", "observations"];
    if !trace_map.has(&OWN) && observations.is_none() {
        return;
    }
    let own = trace_map.take(&["observations"], |raw| {
        list(raw).filter(|all| all.iter().all(|one| fields::kind(one) == Some(Kind::Object)))
    });
    let observations = observations.or(own);
    let id = trace_map.take_id(&["id"]).unwrap_or_default();
    traces.with(&id.decoded(), |trace| {
        read_trace(trace_map, trace, notes);
        for one in observations.unwrap_or_default() {
            if let Some(mut one) = FieldMap::of(&one, notes).map(FieldMap::owned) {
                one.take_id(&TRACE_ID);
                read_observation(one, trace);
            }
        }
    });
}

/// A text; an empty one is none.
fn text(map: &mut FieldMap<'static>, names: &[&str]) -> Option<String> {
    let found = map.take(names, |raw| raw.text().filter(|text| !text.is_blank()));
    found.map(|text| text.decoded().into_owned())
}

fn value(map: &mut FieldMap<'static>, name: &str) -> Option<RawJson<'static>> {
    let found = map.take(&[name], |raw| Some(fields::unquoted(raw)));
    found.filter(|raw| !matches!(raw.as_str(), "\"\"" | "null"))
}

fn read_trace(mut map: FieldMap<'static>, trace: &mut Trace, notes: &mut Notes) {
    // A trace holds its observations by their ids.
    map.take(&["observations"], |raw| {
        list(raw)?.iter().all(|one| one.as_text().is_some()).then_some(())
    });
    let mut put = |slot: &mut Option<String>, names: &[&str]| {
        if let Some(found) = text(&mut map, names) {
            *slot = Some(found);
        }
    };
    put(&mut trace.name, &["name"]);
    put(&mut trace.session, &["sessionId", "session_id"]);
    put(&mut trace.user, &["userId", "user_id"]);
    put(&mut trace.environment, &["environment"]);
    put(&mut trace.version, &["version", "release"]);
    put(&mut trace.project, &["projectId", "project_id"]);
    trace.application = trace.application.take().or_else(|| trace.project.clone());
    trace.started_at = map.take(&["timestamp"], fields::time).or(trace.started_at);
    trace.input = value(&mut map, "input").or(trace.input.take());
    trace.output = value(&mut map, "output").or(trace.output.take());
    if let Some(tags) = map.take(&["tags"], fields::list_within) {
        trace.tags = tags.iter().filter_map(RawJson::as_text).map(Text::from).collect();
    }
    for one in map.take(&["scores"], list).unwrap_or_default() {
        if let Some(one) = FieldMap::of(&one, notes) {
            trace.scores.extend(score(one.owned()));
        }
    }
    trace.metadata.extend(kept(map));
}

fn score(mut map: FieldMap<'static>) -> Option<Score> {
    let raw = RawJson::object(map.fields());
    let label = map.take(&["name"], RawJson::text)?;
    let worded = map.take(&["stringValue", "string_value"], |raw| {
        raw.text().is_some_and(|text| !text.is_empty()).then(|| raw.clone())
    });
    // CSV has numbers as texts.
    let rating = map.take(&["value"], |raw| {
        let number = raw.as_text().and_then(|text| RawJson::owned(&text).ok());
        Some(number.unwrap_or_else(|| raw.clone()))
    });
    let comment = map.take(&["comment"], |raw| raw.text().filter(|text| !text.is_blank()));
    let span = text(&mut map, &["observationId", "observation_id"]);
    Some(Score {
        span,
        feedback: Feedback { rating: worded.or(rating), label: Some(label), comment },
        raw,
    })
}

fn read_observation(mut map: FieldMap<'static>, trace: &mut Trace) {
    let id = map.take_id(&["id"]).unwrap_or_default().decoded().into_owned();
    let parent = map.take_id(&["parentObservationId", "parent_observation_id"]);
    let parent = parent.map(|id| id.decoded().into_owned()).unwrap_or_default();
    let mut span = Span { id, parent, ..Span::default() };
    let node = &mut span.node;
    node.node = map.take(&["name"], RawJson::text).unwrap_or_default();
    node.started_at = map.take(&STARTED, fields::time);
    node.finished_at = map.take(&["endTime", "end_time"], fields::time);
    let word = text(&mut map, &["type"]).unwrap_or_default();
    node.kind = kind_of_word(&word.to_ascii_lowercase()).unwrap_or_default();
    if node.kind == NodeKind::Other && !matches!(word.as_str(), "SPAN" | "") {
        map.put("type", RawJson::string(&word));
    }
    node.model = map.take(&["model", "providedModelName", "provided_model_name"], RawJson::text);
    node.model = node.model.take().filter(|model| !model.is_blank());
    node.input = value(&mut map, "input");
    node.output = value(&mut map, "output");
    numbers(&mut map, &mut span);
    let node = &mut span.node;
    let level = text(&mut map, &["level"]);
    node.error = text(&mut map, &["statusMessage", "status_message"]).map(Text::from);
    let has_ended = node.finished_at.is_some() || node.output.is_some() || word == "EVENT";
    node.status = match level.as_deref() {
        Some("ERROR") => RunStatus::Failure,
        _ if has_ended || node.started_at.is_none() => RunStatus::Success,
        _ => RunStatus::Running,
    };
    if node.status != RunStatus::Failure
        && let Some(message) = node.error.take()
    {
        map.put("status_message", RawJson::string(&message.decoded()));
    }
    if let Some(level) = level.filter(|level| !matches!(level.as_str(), "DEFAULT" | "ERROR")) {
        map.put("level", RawJson::string(&level));
    }
    // Rows of a batch export say again what the trace says.
    for (slot, names) in [
        (&mut trace.session, ["sessionId", "session_id"]),
        (&mut trace.user, ["userId", "user_id"]),
        (&mut trace.name, ["traceName", "trace_name"]),
        (&mut trace.environment, ["environment", "environment"]),
        (&mut trace.project, ["projectId", "project_id"]),
        (&mut trace.version, ["release", "version"]),
    ] {
        let found = text(&mut map, &names);
        *slot = slot.take().or(found);
    }
    trace.application = trace.application.take().or_else(|| trace.project.clone());
    tools(&mut map, &mut span);
    attributes(&map, &mut span);
    span.node.metadata = kept(map);
    trace.spans.push(span);
}

fn numbers(map: &mut FieldMap<'static>, span: &mut Span) {
    let (usage, cost) = (&mut span.node.usage, &mut span.node.cost_usd);
    usage.input_tokens = map.take(&["inputUsage", "promptTokens", "prompt_tokens"], count);
    usage.output_tokens =
        map.take(&["outputUsage", "completionTokens", "completion_tokens"], count);
    for name in ["usageDetails", "usage_details", "usage"] {
        let Some(mut details) = map.peek(name).and_then(fields::map_within) else { continue };
        const INPUT: [&str; 4] = ["input", "input_tokens", "promptTokens", "prompt_tokens"];
        const OUTPUT: [&str; 4] =
            ["output", "output_tokens", "completionTokens", "completion_tokens"];
        usage.input_tokens = details.take(&INPUT, count).or(usage.input_tokens);
        usage.output_tokens = details.take(&OUTPUT, count).or(usage.output_tokens);
    }
    *cost = map.take(
        &["totalCost", "total_cost", "calculatedTotalCost", "totalPrice", "total_price"],
        number,
    );
    for name in ["costDetails", "cost_details"] {
        let Some(mut details) = map.peek(name).and_then(fields::map_within) else { continue };
        *cost = cost.or(details.take(&["total"], number));
    }
    // Nothing is known of a span that is no model call.
    if span.node.kind == NodeKind::Other {
        if usage.input_tokens == Some(0) && usage.output_tokens == Some(0) {
            *usage = retort_model::Usage::default();
        }
        *cost = cost.filter(|cost| *cost != 0.0);
    }
}

/// Definitions of the tools offered: by name, each as its JSON text, or a list.
fn tools(map: &mut FieldMap<'static>, span: &mut Span) {
    let Some(raw) = map.take(&["toolDefinitions", "tool_definitions"], json) else { return };
    let raw = fields::unquoted(&raw);
    if let Some(listed) = list(&raw) {
        span.tools = listed.iter().map(fields::unquoted).collect();
    } else if let Some(named) = fields::map(&raw) {
        for (name, raw) in named.rest() {
            let definition = fields::unquoted(&raw);
            let is_named =
                fields::map(&definition).is_some_and(|map| map.has(&["name", "function"]));
            span.tools.push(if is_named {
                definition
            } else {
                let mut out = String::from("{\"name\":");
                name.write_string(&mut out);
                out.push_str(",\"parameters\":");
                out.push_str(definition.as_str());
                out.push('}');
                RawJson::owned(&out).unwrap_or(definition)
            });
        }
    }
}

/// What the attributes of a span that came over OpenTelemetry say beside, and LangChain's results of tools.
fn attributes(map: &FieldMap<'static>, span: &mut Span) {
    let metadata = map.peek("metadata").map(fields::unquoted);
    let inner = metadata.as_ref().and_then(fields::map);
    let attributes = inner.and_then(|mut inner| inner.take(&["attributes"], fields::map_within));
    if let Some(attributes) = attributes {
        let word = |name: &str| attributes.peek(name).and_then(RawJson::as_text);
        let operation = word("gen_ai.operation.name").or_else(|| word("openinference.span.kind"));
        if span.node.kind == NodeKind::Other
            && let Some(word) = operation
        {
            let plain: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
            span.node.kind = kind_of_word(&plain.to_ascii_lowercase()).unwrap_or_default();
        }
        span.agent = word("gen_ai.agent.name").or_else(|| word("agent_name"));
        span.call_id = word("gen_ai.tool.call.id").or_else(|| word("ai.toolCall.id"));
        if span.node.kind == NodeKind::Tool
            && let Some(name) = word("gen_ai.tool.name").or_else(|| word("ai.toolCall.name"))
        {
            span.node.node = name.into();
        }
        // Vercel's outer call holds what the inner ones do.
        if span.node.kind == NodeKind::ModelCall
            && word("ai.operationId").is_some_and(|id| id.matches('.').count() == 1)
        {
            span.node.kind = NodeKind::Agent;
        }
    }
    let output = span.node.output.as_ref();
    if let Some(mut output) = output.and_then(fields::map)
        && output.peek("type").is_some_and(|kind| kind.as_str() == "\"tool\"")
        && let Some(id) = output.take_id(&["tool_call_id"])
    {
        span.node.kind = NodeKind::Tool;
        span.call_id = Some(id.decoded().into_owned());
    }
}
