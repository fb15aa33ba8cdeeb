//! Traces of OpenTelemetry: requests of its protocol in JSON, one a file or a line (as the Collector's file exporter
//! writes them), and single spans as SDKs, Phoenix and Logfire write them. The framing is read in `raw_spans.rs`, the
//! conventions for models, agents and tools in `conventions.rs`, runs are made in `spans.rs`, and conversations in `histories.rs`.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>, <https://opentelemetry.io/docs/specs/semconv/gen-ai/>,
//! <https://github.com/Arize-ai/openinference/tree/main/spec>

use std::borrow::Cow;
use std::collections::HashMap;

use retort_json::{Kind, Parser, RawJson, write_string};

use super::conventions;
use super::fields::{self, list};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::histories::converse;
use super::raw_spans::{self, each_of_request, framed, trace_id};
use super::sniff::{Entry, Sniff};
use super::spans::Trace;

/// The format.
pub(super) struct Otlp;

impl ImportFormat for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn about(&self) -> &'static str {
        "OpenTelemetry traces (OTLP JSON, SDK spans, Phoenix, Logfire): GenAI, OpenInference, OpenLLMetry, Vercel AI"
    }

    fn notes(&self) -> &'static str {
        "Requests of OTLP, in JSON, one per file or one per line, or in protobuf, one per file or each preceded by its \
         length, as exporters and the Collector's file exporter (`format: json` or `proto`) write them, with their \
         logs (`resourceLogs`) where events carry the messages; spans as the SDKs for Python and JavaScript, Phoenix \
         (`/v1/projects/…/spans`) and Logfire write them. The spans of a trace may be in any order and in any number \
         of files, and repeated: a trace is a run of an application (`service.name`), and its spans are nodes, nested, \
         with kind, model, input, output, tokens, cost, status and error. Attributes of OpenTelemetry's GenAI \
         conventions (`gen_ai.input.messages`, events, `gen_ai.prompt`), OpenInference, OpenLLMetry \
         (`gen_ai.prompt.0.role`, `traceloop.*`), Vercel's AI SDK (`ai.*`), Logfire, Langfuse and MLflow are \
         understood; the others stay in the node's `metadata`. The traces of a session (`session.id`, \
         `gen_ai.conversation.id`, …), or one trace without a session, are a conversation as well. Its messages come \
         from the model calls: of calls inside one another the innermost counts, and only without any the outermost \
         agents. What a call repeats is not added again; another answer to the same question is a branch; calls inside \
         a tool are the task of a sub-agent; results of tools that no call repeats come from the spans of the tools."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        let is_request = has(&["resourceSpans", "resource_spans", "resourceLogs", "resource_logs"]);
        let is_sdk = sniff.has("attributes")
            && (sniff.holds(&["spanContext", "spanId"]) || sniff.holds(&["context", "span_id"]));
        let is_row = has(&["context.span_id"])
            || has(&["trace_id", "traceId"])
                && has(&["span_id", "spanId"])
                && has(&["attributes", "span_name", "startTimeUnixNano"]);
        let is_listed =
            sniff.holds(&["data", "context", "span_id"]) && sniff.holds(&["data", "attributes"]);
        let is_bare = has(&[
            "gen_ai.operation.name",
            "gen_ai.request.model",
            "gen_ai.system",
            "openinference.span.kind",
            "traceloop.span.kind",
            "llm.request.type",
            "ai.operationId",
        ]);
        is_request || is_sdk || is_row || is_listed || is_bare
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Some(raw) = raw_spans::parsed(text) else { return };
        let mut spans = Vec::new();
        let mut is_whole = true;
        let is_request = each_of_request(&raw, &mut |resource, scope, span, what| {
            match trace_id(span) {
                Some(key) => {
                    spans.push((key, resource.cloned(), scope.cloned(), span.clone(), what));
                }
                // Events without a trace say nothing of any span.
                None => is_whole &= what == "log",
            }
        });
        if is_request {
            // Without ids its spans belong together, if to anything.
            if !is_whole {
                return;
            }
            if spans.windows(2).all(|pair| matches!(pair, [one, next] if one.0 == next.0)) {
                // All of one trace, as requests are kept that came over HTTP.
                let key = spans.into_iter().next().map(|(key, ..)| key);
                into.extend(key.map(|key| Fragment { key, order: 0, text: raw.into_cow() }));
                return;
            }
            into.extend(spans.into_iter().map(|(key, resource, scope, span, what)| {
                let text = Cow::Owned(framed(resource.as_ref(), scope.as_ref(), &span, what));
                Fragment { key, order: 0, text }
            }));
            return;
        }
        // Spans with their resource and scope, as they are gathered over HTTP.
        let framed = fields::map(&raw).and_then(|mut map| {
            map.take(&["span", "log"], |raw| {
                trace_id(raw).filter(|_| fields::kind(raw) == Some(Kind::Object))
            })
        });
        if let Some(key) = framed.or_else(|| trace_id(&raw)) {
            into.push(Fragment { key, order: 0, text: Cow::Borrowed(text) });
            return;
        }
        let listed = fields::map(&raw).and_then(|mut map| map.take(&["data", "spans"], list));
        for one in listed.unwrap_or_default() {
            if let Some(key) = trace_id(&one) {
                into.push(Fragment { key, order: 0, text: one.into_cow() });
            }
        }
    }

    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        // Most traces name no session, and need not be read to find none.
        conventions::may_name_session(joined).then(|| session_fragment(joined, &read_traces))?
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        parse(text, notes, &read_traces)
    }
}

/// Reads the traces that a list of fragments, or one text, holds.
pub(super) type ReadTraces = dyn Fn(&[RawJson<'_>], &mut Notes) -> Vec<Trace>;

fn read_traces(fragments: &[RawJson<'_>], notes: &mut Notes) -> Vec<Trace> {
    let mut spans = Vec::new();
    for raw in fragments {
        raw_spans::read_all(raw, notes, &mut spans);
    }
    raw_spans::traces(spans, notes)
}

/// What a joined trace adds to its session.
pub(super) fn session_fragment<'t>(joined: &'t str, read: &ReadTraces) -> Option<Fragment<'t>> {
    let fragments = list(&raw_spans::parsed(joined)?)?;
    let trace = read(&fragments, &mut Notes::default()).into_iter().next()?;
    let session = trace.session.clone().filter(|_| trace.has_messages())?;
    let mut text = String::from("{\"session\":");
    write_string(&session, &mut text);
    text.push_str(",\"trace\":");
    text.push_str(joined);
    text.push('}');
    let key = format!("session {session}");
    Some(Fragment { key, order: 0, text: Cow::Owned(text) })
}

/// Reads a joined trace, the joined traces of a session, or a text as it was found.
pub(super) fn parse(
    text: &str,
    notes: &mut Notes,
    read: &ReadTraces,
) -> Result<Items<'static>, ItemError> {
    let mut parser = Parser::lenient(text);
    let kind = parser.kind()?;
    let raw = parser.raw()?;
    parser.end()?;
    notes.count(&parser);
    let mut items = Items::default();
    let joined = if kind == Kind::Array { list(&raw) } else { None };
    if let Some(fragments) = &joined {
        let of_session: Option<Vec<_>> = fragments.iter().map(trace_of_session).collect();
        if let Some(groups) = of_session.filter(|groups| !groups.is_empty()) {
            let mut traces: Vec<Trace> =
                groups.iter().flat_map(|fragments| read(fragments, notes)).collect();
            traces.iter_mut().for_each(Trace::settle);
            items.extend(converse(&traces));
            return Ok(items);
        }
        for trace in read(fragments, notes) {
            items.append(trace.into_items());
        }
    } else {
        let mut traces = read(std::slice::from_ref(&raw), notes);
        let mut sessions: Vec<Vec<Trace>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for trace in &mut traces {
            trace.settle();
            let Some(session) = trace.session.clone() else { continue };
            let place = *places.entry(session).or_insert(sessions.len());
            sessions.resize_with(sessions.len().max(place + 1), Vec::new);
            if let Some(of_session) = sessions.get_mut(place) {
                of_session.push(trace.clone());
            }
        }
        for trace in traces {
            items.append(trace.into_items());
        }
        items.extend(sessions.iter().filter_map(|traces| converse(traces)));
    }
    if items.is_empty() {
        return Err(ItemError::new(Refusal::UnknownShape, 0, "no spans in the item"));
    }
    Ok(items)
}

/// The fragments of a trace that was joined to its session.
fn trace_of_session<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    let mut map = fields::map(raw)?;
    if !map.has(&["session"]) || map.has(&["span", "log"]) {
        return None;
    }
    map.take(&["trace"], |raw| list(raw).filter(|_| fields::kind(raw) == Some(Kind::Array)))
}
