//! Spans as OpenTelemetry's exporters and the systems built on it write them, before anything is made of their
//! attributes: requests of its protocol in JSON, spans of the SDKs for Python and JavaScript, and rows with a span each
//! (Phoenix, Logfire). What differs between them is the framing alone.

use std::rc::Rc;

use retort_json::{Kind, Parser, RawJson, Text, write_string};
use retort_model::{Fields, RunStatus, Time};

use super::conventions::{self, Event};
use super::fields::{self, FieldMap, json, list};
use super::format::Notes;
use super::spans::{Score, Span, Trace};

/// A span with what it is in.
#[derive(Default)]
pub(super) struct RawSpan {
    pub(super) trace: String,
    pub(super) id: String,
    parent: String,
    name: String,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    status: RunStatus,
    error: Option<String>,
    /// The attributes of its resource, which it shares with the spans beside it.
    resource: Rc<FieldMap<'static>>,
    pub(super) attributes: FieldMap<'static>,
    events: Vec<Event>,
    rest: Fields<'static>,
    /// Whether it is an event that is told of apart from its span.
    is_log: bool,
}

const TRACE_ID: [&str; 3] = ["traceId", "trace_id", "context.trace_id"];
const SPAN_ID: [&str; 3] = ["spanId", "span_id", "context.span_id"];
const PARENT_ID: [&str; 5] =
    ["parentSpanId", "parent_span_id", "parent_id", "parentId", "parentSpanContext"];
const STARTED: [&str; 6] = [
    "startTimeUnixNano",
    "start_time_unix_nano",
    "startTime",
    "start_time",
    "start_timestamp",
    "timeUnixNano",
];
const FINISHED: [&str; 5] =
    ["endTimeUnixNano", "end_time_unix_nano", "endTime", "end_time", "end_timestamp"];

/// Takes a resource, a scope and a span or record of a log, and which of the two that is.
type TakeSpan<'t, 'a> =
    dyn FnMut(Option<&RawJson<'a>>, Option<&RawJson<'a>>, &RawJson<'a>, &'static str) + 't;

/// Calls `take` with the resource, the scope and the span of each span of a request, and with each record of a log that
/// belongs to one; says whether the value is a request. Each level is read once: a request holds thousands of spans.
pub(super) fn each_of_request<'a>(raw: &RawJson<'a>, take: &mut TakeSpan<'_, 'a>) -> bool {
    let Some(mut map) = fields::map(raw) else { return false };
    let mut is_request = false;
    for (outer, middle, inner, what) in [
        (
            ["resourceSpans", "resource_spans"],
            ["scopeSpans", "scope_spans", "instrumentationLibrarySpans"],
            ["spans", "spans"],
            "span",
        ),
        (
            ["resourceLogs", "resource_logs"],
            ["scopeLogs", "scope_logs", "instrumentationLibraryLogs"],
            ["logRecords", "log_records"],
            "log",
        ),
    ] {
        let Some(groups) = map.take(&outer, fields::maps) else { continue };
        is_request = true;
        for mut group in groups {
            let resource = group.take(&["resource"], fields::object);
            for mut scope in group.take(&middle, fields::maps).unwrap_or_default() {
                let name = scope.take(&["scope", "instrumentationLibrary"], fields::object);
                for span in scope.take(&inner, list).unwrap_or_default() {
                    take(resource.as_ref(), name.as_ref(), &span, what);
                }
            }
        }
    }
    is_request
}

/// A span with its resource and scope, as one text.
pub(super) fn framed(
    resource: Option<&RawJson<'_>>,
    scope: Option<&RawJson<'_>>,
    span: &RawJson<'_>,
    what: &'static str,
) -> String {
    let mut out = String::from("{");
    for (key, raw) in [("resource", resource), ("scope", scope)] {
        if let Some(raw) = raw {
            write_string(key, &mut out);
            out.push(':');
            out.push_str(raw.as_str());
            out.push(',');
        }
    }
    write_string(what, &mut out);
    out.push(':');
    out.push_str(span.as_str());
    out.push('}');
    out
}

/// What a span of a request says of where it belongs.
pub(super) struct SpanHead<'a> {
    /// The trace's id.
    pub(super) trace: String,
    /// Whether it has no parent.
    pub(super) is_root: bool,
    attributes: Option<RawJson<'a>>,
}

impl<'a> SpanHead<'a> {
    /// The head of a span; none if it names no trace, or the zeros that mean none.
    pub(super) fn of(span: &RawJson<'a>) -> Option<Self> {
        let mut map = fields::map(span)?;
        let trace = take_trace_id(&mut map)?;
        let parent = map.take_id(&PARENT_ID);
        let is_root = parent.is_none_or(|id| plain_id(&id.decoded()).is_empty());
        Some(Self { trace, is_root, attributes: map.take(&["attributes"], json) })
    }

    /// The session that the span, or else its resource, names.
    pub(super) fn session(&self, resource: Option<&RawJson<'_>>) -> Option<String> {
        self.attributes
            .as_ref()
            .and_then(session_in)
            .or_else(|| session_in(&fields::map(resource?)?.take(&["attributes"], json)?))
    }
}

/// The session that attributes name. Of a list, only the values that may be its id are read.
fn session_in(attributes: &RawJson<'_>) -> Option<String> {
    let Some(listed) = fields::maps(attributes) else {
        return conventions::session_of(&attributes_of(attributes));
    };
    let mut named = FieldMap::default();
    for mut map in listed {
        let key = map.take(&["key"], RawJson::text);
        if let Some(key) = key.filter(|key| conventions::names_session(&key.decoded())) {
            let value = map.take(&["value"], |raw| Some(value_of(raw)));
            named.put_field(key.into_owned(), value.unwrap_or_else(RawJson::null));
        }
    }
    conventions::session_of(&named)
}

/// The trace that a span says it is of; none if it says none, or the zeros that mean none.
pub(super) fn trace_id(span: &RawJson<'_>) -> Option<String> {
    take_trace_id(&mut fields::map(span)?)
}

fn take_trace_id(map: &mut FieldMap<'_>) -> Option<String> {
    spread_context(map);
    let id = map.take_id(&TRACE_ID)?;
    let id = plain_id(&id.decoded());
    (!id.is_empty()).then_some(id)
}

/// An id without the `0x` of the SDK for Python; empty if it is made of zeros alone.
fn plain_id(id: &str) -> String {
    let id = id.strip_prefix("0x").unwrap_or(id);
    if id.bytes().all(|byte| byte == b'0') { String::new() } else { id.to_owned() }
}

/// The SDKs keep the ids of a span in a context of their own.
fn spread_context(map: &mut FieldMap<'_>) {
    for name in ["spanContext", "context"] {
        map.spread(name, &mut Notes::default());
    }
}

/// Reads all spans of a value: of a request, of a framed span, of a list of spans under `data` or `spans`, or one alone.
pub(super) fn read_all(raw: &RawJson<'_>, notes: &mut Notes, into: &mut Vec<RawSpan>) {
    let mut last = None;
    let is_request = each_of_request(raw, &mut |resource, scope, span, what| {
        // Spans of one resource are beside each other.
        let shared = resource.map(|raw| match last.take() {
            Some((text, attributes)) if text == *raw => (text, attributes),
            _ => (raw.clone(), Rc::new(resource_of(raw, notes))),
        });
        into.extend(read(shared.as_ref().map(|(_, one)| one), scope, span, what == "log", notes));
        last = shared;
    });
    if is_request {
        return;
    }
    let Some(mut map) = FieldMap::of(raw, notes) else { return };
    for what in ["span", "log"] {
        if let Some(span) = map.take(&[what], fields::object) {
            let resource = map.take(&["resource"], fields::object);
            let resource = resource.map(|raw| Rc::new(resource_of(&raw, notes)));
            let scope = map.take(&["scope"], fields::object);
            into.extend(read(resource.as_ref(), scope.as_ref(), &span, what == "log", notes));
            return;
        }
    }
    if !map.has(&TRACE_ID)
        && !map.has(&["spanContext", "context", "attributes"])
        && let Some(listed) = map.take(&["data", "spans"], list)
    {
        for one in listed {
            into.extend(read(None, None, &one, false, notes));
        }
        return;
    }
    into.extend(read(None, None, raw, false, notes));
}

/// Reads one span.
fn read(
    resource: Option<&Rc<FieldMap<'static>>>,
    scope: Option<&RawJson<'_>>,
    raw: &RawJson<'_>,
    is_log: bool,
    notes: &mut Notes,
) -> Option<RawSpan> {
    let framed = resource.is_some() || scope.is_some();
    let mut map = FieldMap::of(raw, notes)?;
    if !map.has(&["attributes"]) && map.fields().iter().any(|(key, _)| is_attribute(&key.decoded()))
    {
        return Some(bare(map.owned()));
    }
    spread_context(&mut map);
    // Zeros are kept with the rest.
    let mut id = |names: &[&str]| {
        let id =
            map.take(names, |raw| fields::id(raw).filter(|id| !plain_id(&id.decoded()).is_empty()));
        id.map(|id| plain_id(&id.decoded())).unwrap_or_default()
    };
    let mut span = RawSpan {
        trace: id(&TRACE_ID),
        id: id(&SPAN_ID),
        parent: id(&PARENT_ID),
        is_log,
        ..RawSpan::default()
    };
    if let Some(mut parent) = map.take(&["parentSpanContext"], fields::map) {
        span.parent =
            parent.take_id(&SPAN_ID).map(|id| plain_id(&id.decoded())).unwrap_or_default();
    }
    span.name = map
        .take(&["name", "span_name", "eventName", "event_name"], RawJson::text)
        .map(|name| name.decoded().into_owned())
        .unwrap_or_default();
    span.started_at = map.take(&STARTED, moment);
    span.finished_at = map.take(&FINISHED, moment);
    status(&mut map, &mut span);
    span.resource = resource.cloned().unwrap_or_default();
    if resource.is_none()
        && let Some(raw) = map.take(&["resource"], fields::object)
    {
        span.resource = Rc::new(resource_of(&raw, notes));
    }
    if let Some(attributes) =
        map.take(&["otel_resource_attributes"], |raw| Some(attributes_of(&fields::unquoted(raw))))
    {
        span.resource = Rc::new(attributes);
    }
    for (column, name) in [
        ("service_name", "service.name"),
        ("service_version", "service.version"),
        ("deployment_environment", "deployment.environment.name"),
    ] {
        if let Some(raw) = map.take(&[column], json) {
            Rc::make_mut(&mut span.resource).put(name, raw.into_owned());
        }
    }
    // Rows of tables have a column for each attribute.
    let mut columns = Fields::new();
    map.retain(|key, raw| {
        let name = key.decoded();
        match name.strip_prefix("attributes.") {
            Some(name) if !raw.is_null() => {
                columns.put(name.to_owned().into(), raw.clone());
                false
            }
            Some(_) => false,
            None => true,
        }
    });
    let attributes = map.take(&["attributes"], |raw| Some(attributes_of(&fields::unquoted(raw))));
    span.attributes = attributes.unwrap_or_default();
    for (key, raw) in columns {
        flatten(&key.decoded(), &raw, &mut span.attributes);
    }
    if is_log && let Some(body) = map.take(&["body"], |raw| Some(value_of(raw))) {
        span.attributes.put("event_body", body);
    }
    let events = map.take(&["events", "otel_events"], fields::list_within);
    span.events = events.unwrap_or_default().iter().filter_map(|raw| event(raw, notes)).collect();
    // Phoenix says the kind in a column of its own.
    if let Some(kind) = map.take(&["span_kind"], RawJson::text)
        && kind != *"UNKNOWN"
    {
        span.attributes.put("openinference.span.kind", RawJson::string(&kind.decoded()));
    }
    let says =
        !span.trace.is_empty() || !span.id.is_empty() || !span.attributes.fields().is_empty();
    if !says && !framed {
        return None;
    }
    let scope = scope.map(|raw| raw.clone().into_owned());
    let scope = scope.or_else(|| map.take(&["instrumentationScope", "scope"], fields::object));
    if let Some(scope) = scope {
        map.put("scope", scope);
    }
    for name in ["droppedAttributesCount", "droppedEventsCount", "droppedLinksCount", "flags"] {
        map.take(&[name], |raw| (raw.as_str() != "0").then_some(()).xor(Some(())));
    }
    map.retain(|_, raw| !matches!(raw.as_str(), "null" | "[]" | "{}" | "\"\""));
    span.rest = map.rest().into_owned();
    Some(span)
}

/// The attributes of a resource; all that it holds where it has none.
fn resource_of(raw: &RawJson<'_>, notes: &mut Notes) -> FieldMap<'static> {
    let Some(mut resource) = FieldMap::of(raw, notes) else { return FieldMap::default() };
    let names = ["attributes", "_rawAttributes", "_attributes"];
    let attributes = resource.take(&names, |raw| Some(attributes_of(raw)));
    attributes.unwrap_or_else(|| resource.owned())
}

/// Attributes alone, as some write a span down.
fn bare(map: FieldMap<'static>) -> RawSpan {
    let mut attributes = FieldMap::default();
    for (key, raw) in map.rest() {
        flatten(&key.decoded(), &raw, &mut attributes);
    }
    RawSpan { attributes, ..RawSpan::default() }
}

fn is_attribute(name: &str) -> bool {
    conventions::is_convention(name) && name.contains('.')
}

fn status(map: &mut FieldMap<'_>, span: &mut RawSpan) {
    let words = |raw: &RawJson<'_>| fields::words(raw).map(|word| word.decoded().into_owned());
    let mut code = map.take(&["status_code", "otel_status_code", "statusCode"], words);
    let mut message = map.take(&["status_message", "otel_status_message", "statusMessage"], words);
    let inner = map.take(&["status"], fields::map);
    if let Some(mut inner) = inner {
        code = code.or_else(|| inner.take(&["code", "status_code"], words));
        message = message.or_else(|| inner.take(&["message", "description"], words));
    }
    let code = code.unwrap_or_default().to_ascii_uppercase();
    let is_error = code == "2" || code.ends_with("ERROR");
    span.status = match (is_error, span.finished_at) {
        (true, _) => RunStatus::Failure,
        (false, None) if span.started_at.is_some() && !span.is_log => RunStatus::Running,
        (false, _) => RunStatus::Success,
    };
    span.error = message.filter(|message| is_error && !message.is_empty());
}

/// A moment; JavaScript's SDK writes seconds and nanoseconds in a list, and zero stands for none.
fn moment(raw: &RawJson<'_>) -> Option<Time> {
    if let Some([seconds, nanos]) = list(raw).as_deref() {
        let (seconds, nanos): (i128, i128) =
            (seconds.as_str().parse().ok()?, nanos.as_str().parse().ok()?);
        return Time::from_unix_nanos(seconds * 1_000_000_000 + nanos);
    }
    let digits = raw.as_text();
    let digits = digits.as_deref().unwrap_or(raw.as_str());
    if let Ok(nanos) = digits.parse::<i128>()
        && nanos > 100_000_000_000_000_000
    {
        return Time::from_unix_nanos(nanos);
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return None;
    }
    fields::time(raw)
}

fn event(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Event> {
    let mut map = FieldMap::of(raw, notes)?;
    let name = map.take(&["name", "event_name"], RawJson::text)?;
    let attributes = map.take(&["attributes"], |raw| Some(attributes_of(raw)));
    Some(Event { name: name.decoded().into_owned(), attributes: attributes.unwrap_or_default() })
}

/// Attributes by flat names: of a list of keys and values as the protocol has them, or of an object.
fn attributes_of(raw: &RawJson<'_>) -> FieldMap<'static> {
    let mut flat = FieldMap::default();
    if let Some(listed) = fields::maps(raw) {
        for mut map in listed {
            let Some(key) = map.take(&["key"], RawJson::text) else { continue };
            let value = map.take(&["value"], |raw| Some(value_of(raw)));
            flat.put_field(key.into_owned(), value.unwrap_or_else(RawJson::null));
        }
    } else if let Some(map) = fields::map(raw) {
        for (key, raw) in map.rest() {
            flatten(&key.decoded(), &raw, &mut flat);
        }
    }
    flat
}

/// Objects inside attributes, as Phoenix writes them, by flat names. What conventions hold as objects stays.
fn flatten(key: &str, raw: &RawJson<'_>, into: &mut FieldMap<'static>) {
    const NESTED: [&str; 16] = [
        "llm",
        "gen_ai",
        "input",
        "output",
        "openinference",
        "session",
        "user",
        "retrieval",
        "tool",
        "embedding",
        "reranker",
        "traceloop",
        "ai",
        "agent",
        "graph",
        "mlflow",
    ];
    let is_list = matches!(
        key,
        "llm.input_messages"
            | "llm.output_messages"
            | "llm.tools"
            | "llm.prompts"
            | "retrieval.documents"
            | "reranker.output_documents"
            | "reranker.input_documents"
    );
    let is_nested = NESTED.contains(&key) || is_group(key);
    if is_nested
        && fields::kind(raw) == Some(Kind::Object)
        && let Some(map) = fields::map(raw)
    {
        for (inner, raw) in map.rest() {
            flatten(&format!("{key}.{}", inner.decoded()), &raw, into);
        }
    } else if is_list && let Some(listed) = list(&fields::unquoted(raw)) {
        for (at, one) in listed.iter().enumerate() {
            deep(&format!("{key}.{at}"), one, into);
        }
    } else {
        into.put_field(key.to_owned().into(), raw.clone().into_owned());
    }
}

/// Names of attributes that group others.
fn is_group(key: &str) -> bool {
    matches!(
        key,
        "openinference.span"
            | "llm.token_count"
            | "llm.token_count.prompt_details"
            | "llm.token_count.completion_details"
            | "llm.prompt_template"
            | "llm.cost"
            | "gen_ai.usage"
            | "gen_ai.request"
            | "gen_ai.response"
            | "gen_ai.operation"
            | "gen_ai.provider"
            | "gen_ai.input"
            | "gen_ai.output"
            | "gen_ai.tool"
            | "gen_ai.tool.call"
            | "gen_ai.agent"
            | "gen_ai.conversation"
            | "traceloop.span"
            | "traceloop.entity"
            | "graph.node"
    )
}

/// Everything inside a value by flat names, but for texts of JSON.
fn deep(key: &str, raw: &RawJson<'_>, into: &mut FieldMap<'static>) {
    if let Some(map) = fields::map(raw).filter(|map| !map.fields().is_empty()) {
        for (inner, raw) in map.rest() {
            deep(&format!("{key}.{}", inner.decoded()), &raw, into);
        }
    } else if let Some(listed) = list(raw).filter(|all| !all.is_empty()) {
        for (at, one) in listed.iter().enumerate() {
            deep(&format!("{key}.{at}"), one, into);
        }
    } else {
        into.put_field(key.to_owned().into(), raw.clone().into_owned());
    }
}

/// A value of the protocol (`{"stringValue": …}`) as plain JSON.
pub(super) fn value_of(raw: &RawJson<'_>) -> RawJson<'static> {
    // Nearly all are texts, and long ones: they are copied once.
    let first = fields::map(raw).and_then(|map| map.rest().into_iter().next());
    if let Some((key, value)) = first
        && matches!(&*key.decoded(), "stringValue" | "string_value")
    {
        return value.into_owned();
    }
    let mut out = String::new();
    write_value(raw, 0, &mut out);
    RawJson::owned(&out).unwrap_or_else(|_| RawJson::null())
}

fn write_value(raw: &RawJson<'_>, depth: usize, out: &mut String) {
    let Some(map) = fields::map(raw).filter(|_| depth < 64) else {
        return out.push_str(raw.as_str());
    };
    let Some((key, value)) = map.fields().first() else { return out.push_str("null") };
    match &*key.decoded() {
        "stringValue" | "string_value" | "boolValue" | "bool_value" | "bytesValue"
        | "bytes_value" => {
            out.push_str(value.as_str());
        }
        "doubleValue" | "double_value" => match value.as_text() {
            // `NaN` and `Infinity` are in texts.
            Some(text) => write_string(&text, out),
            None => out.push_str(value.as_str()),
        },
        "intValue" | "int_value" => {
            let digits = value.as_text().unwrap_or_else(|| value.as_str().to_owned());
            match digits.parse::<i64>() {
                Ok(number) => out.push_str(&number.to_string()),
                Err(_) => write_string(&digits, out),
            }
        }
        "arrayValue" | "array_value" => {
            out.push('[');
            let values = fields::map(value).and_then(|mut map| map.take(&["values"], list));
            for (at, one) in values.unwrap_or_default().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(one, depth + 1, out);
            }
            out.push(']');
        }
        "kvlistValue" | "kvlist_value" => {
            let values = fields::map(value).and_then(|mut map| map.take(&["values"], list));
            out.push('{');
            for (at, one) in values.unwrap_or_default().iter().enumerate() {
                let Some(mut map) = fields::map(one) else { continue };
                if at > 0 {
                    out.push(',');
                }
                let key = map.take(&["key"], RawJson::text).unwrap_or_default();
                key.write_string(out);
                out.push(':');
                match map.take(&["value"], json) {
                    Some(value) => write_value(&value, depth + 1, out),
                    None => out.push_str("null"),
                }
            }
            out.push('}');
        }
        _ => out.push_str(raw.as_str()),
    }
}

/// Makes traces of spans, in the order in which they were met.
pub(super) fn traces(spans: Vec<RawSpan>, notes: &mut Notes) -> Vec<Trace> {
    let mut traces: Vec<Trace> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let (logs, spans): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| span.is_log);
    let mut told: std::collections::HashMap<(String, String), Vec<Event>> =
        std::collections::HashMap::new();
    for log in logs {
        let mut attributes = log.attributes;
        let named = attributes.take(&["event.name"], RawJson::text);
        let name = named.map_or(log.name, |name| name.decoded().into_owned());
        told.entry((log.trace, log.id)).or_default().push(Event { name, attributes });
    }
    for mut raw in spans {
        let known = places.get(&raw.trace).copied();
        let place = known.unwrap_or_else(|| {
            places.insert(raw.trace.clone(), traces.len());
            traces.push(Trace { id: raw.trace.clone(), ..Trace::default() });
            traces.len() - 1
        });
        let Some(trace) = traces.get_mut(place) else { continue };
        if let Some(events) = told.remove(&(raw.trace.clone(), raw.id.clone())) {
            raw.events.extend(events);
        }
        add(raw, trace, notes);
    }
    traces
}

/// Adds a span to its trace.
pub(super) fn add(raw: RawSpan, trace: &mut Trace, notes: &mut Notes) {
    let RawSpan { id, parent, name, attributes, events, rest, resource, .. } = raw;
    conventions::describe_resource(&resource, trace);
    let mut span = Span { id, parent, ..Span::default() };
    span.node.node = name.into();
    span.node.started_at = raw.started_at;
    span.node.finished_at = raw.finished_at;
    span.node.status = raw.status;
    span.node.error = raw.error.map(Text::from);
    let mut kept = Vec::new();
    for mut event in events {
        match (event.name.as_str(), conventions::score_of(&mut event.attributes)) {
            ("gen_ai.evaluation.result", Some(score)) => {
                let about = Some(span.id.clone()).filter(|_| !span.parent.is_empty());
                trace.scores.push(Score { span: about, ..score });
            }
            _ => kept.push(event),
        }
    }
    conventions::describe(attributes, kept, &mut span, trace, notes);
    let error = span.node.metadata.get("error.type").and_then(RawJson::as_text);
    if span.node.status == RunStatus::Failure && span.node.error.is_none() {
        span.node.error = error.map(Text::from);
    }
    if span.node.status != RunStatus::Failure && span.node.error.is_some() {
        // An exception that the application dealt with.
        let error = span.node.error.take();
        let raw = error.map(|error| RawJson::string(&error.decoded()));
        span.node.metadata.extend(raw.map(|raw| (Text::from("exception"), raw)));
    }
    span.node.metadata.extend(rest);
    trace.spans.push(span);
}

/// Parses a text to a value.
pub(super) fn parsed(text: &str) -> Option<RawJson<'_>> {
    let mut parser = Parser::lenient(text);
    parser.raw().ok()
}
