//! `otlp`: a run as a request of OpenTelemetry's protocol, to send to any collector. The reader of that name reads it back,
//! and a run that came from OpenTelemetry is then the same as before.
//!
//! A node's metadata becomes its attributes again. The rest is written under the names that the reader prefers, so that it
//! does not take attributes of the source for them.

use std::borrow::Cow;
use std::fmt::Write;

use retort_json::{Kind, Parser, RawJson, Text, write_string};
use retort_model::{Feedback, Item, ItemKind, NodeKind, NodeRun, Run, RunStatus};

use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::object::{Lazy, list};
use super::schema::{Schema, Sink};
use crate::import::otlp_names::{
    KIND, NODE_KIND, PARENT_ID, SPAN_ID, UNNAMED, kind_word, names_kind,
};

/// The format.
pub(super) struct Otlp;

impl DataFormat for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn about(&self) -> &'static str {
        "a run as OpenTelemetry spans (OTLP JSON), to send to any collector"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        Schema::of(&[])
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run]
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "A line is a run: a request of OpenTelemetry's protocol in JSON, which a collector accepts at `/v1/traces`. \
         Its spans are the nodes. The run's project and files, expected answers, and passages that no node returned \
         are left out."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        _context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Run(run) = item else { return Outcome::other_kind(item) };
        out.begin_row();
        out.json(&request(run));
        out.end_row();
        Outcome { records: vec![RecordNotes::default()], ..Outcome::default() }
    }
}

/// The run as the JSON text of a request.
fn request(run: &Run<'_>) -> String {
    let mut out = String::from("{\"resourceSpans\":[{\"resource\":{\"attributes\":");
    out.push_str(&resource(run).end());
    out.push_str("},\"scopeSpans\":[");
    let alone;
    let nodes = if run.nodes.is_empty() {
        alone = [run_alone(run)];
        &alone[..]
    } else {
        &run.nodes
    };
    let passages = passages(run, nodes);
    let trace = hex_id(&run.request_id.decoded(), 32);
    let ids: Vec<String> = (0..nodes.len()).map(|at| span_id(run, nodes, at)).collect();
    let mut scope = None;
    for (at, node) in nodes.iter().enumerate() {
        let own = node.metadata.get("scope").filter(|raw| is(raw, Kind::Object));
        if at > 0 && scope == Some(own) {
            out.push(',');
        } else {
            out.push_str(if at > 0 { "]},{" } else { "{" });
            if let Some(own) = own {
                let _ = write!(out, "\"scope\":{own},");
            }
            out.push_str("\"spans\":[");
            scope = Some(own);
        }
        let parent = node.parent.and_then(|parent| ids.get(parent)).map(String::as_str);
        let place = SpanPosition {
            is_first: at == 0,
            gave_passages: passages.get(at) == Some(&true),
            trace: &trace,
            id: ids.get(at).map_or("", String::as_str),
            parent,
        };
        span(run, node, &place, &mut out);
    }
    out.push_str("]}]}]}");
    out
}

/// Which nodes gave the passages of the run, in their order.
fn passages(run: &Run<'_>, nodes: &[NodeRun<'_>]) -> Vec<bool> {
    let mut rest = run.contexts.as_slice();
    let mut gave = |node: &NodeRun<'_>| {
        let given = node.output.as_ref().map(elements).unwrap_or_default();
        let is_next = !given.is_empty() && rest.iter().take(given.len()).eq(&given);
        if is_next {
            rest = rest.get(given.len()..).unwrap_or_default();
        }
        is_next
    };
    nodes.iter().map(&mut gave).collect()
}

/// A run without nodes has one span.
fn run_alone<'r>(run: &Run<'r>) -> NodeRun<'r> {
    NodeRun {
        node: run.source_name.clone().unwrap_or_else(|| run.source_id.clone()),
        kind: NodeKind::Agent,
        status: run.status,
        error: run.error.clone(),
        started_at: run.started_at,
        finished_at: run.finished_at,
        ..NodeRun::default()
    }
}

/// The attributes of the resource: as they were, or what is known of the application.
fn resource(run: &Run<'_>) -> Attributes {
    let mut attributes = Attributes::default();
    if let Some(known) = run.metadata.get("resource").filter(|raw| is(raw, Kind::Object)) {
        attributes.all(known);
        return attributes;
    }
    if run.source_name.is_some() || *run.source_id.decoded() != *UNNAMED {
        attributes.text("service.name", &run.source_id.decoded());
    }
    if let Some(version) = &run.version {
        attributes.text("service.version", &version.decoded());
    }
    attributes
}

/// The id of a node's span: its own, or one made from the run's id and the node's position.
fn span_id(run: &Run<'_>, nodes: &[NodeRun<'_>], at: usize) -> String {
    let own = nodes.get(at).and_then(|node| node.metadata.get(SPAN_ID)?.as_text());
    own.filter(|id| !id.is_empty())
        .unwrap_or_else(|| hex_id(&format!("{} {at}", run.request_id.decoded()), 16))
}

/// An id of so many hexadecimal digits: the text itself if it is one, else a hash of it (FNV-1a).
fn hex_id(text: &str, digits: usize) -> String {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return text.to_owned();
    }
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let hex = format!("{hash:032x}");
    hex.get(32 - digits..).unwrap_or_default().to_owned()
}

/// Where a span is in its trace.
struct SpanPosition<'p> {
    is_first: bool,
    /// Whether the node gave the next passages of the run.
    gave_passages: bool,
    trace: &'p str,
    id: &'p str,
    parent: Option<&'p str>,
}

fn span(run: &Run<'_>, node: &NodeRun<'_>, place: &SpanPosition<'_>, out: &mut String) {
    let own_parent = node.metadata.get(PARENT_ID).and_then(RawJson::as_text);
    let parent = own_parent.as_deref().or(place.parent).unwrap_or_default();
    let said = node.metadata.get("span_name").and_then(RawJson::as_text);
    let said = said.filter(|_| node.kind == NodeKind::Tool);
    let name = said.clone().unwrap_or_else(|| node.node.decoded().into_owned());
    let mut object = Lazy::new(out);
    for (key, text) in
        [("traceId", place.trace), ("spanId", place.id), ("parentSpanId", parent), ("name", &name)]
    {
        write_string(text, object.key(key));
    }
    for key in ["traceState", "kind", "links", "flags"] {
        if let Some(raw) = node.metadata.get(key) {
            object.raw(key, raw);
        }
    }
    for (key, time) in
        [("startTimeUnixNano", node.started_at), ("endTimeUnixNano", node.finished_at)]
    {
        if let Some(time) = time {
            let _ = write!(object.key(key), "\"{}\"", time.unix_nanos());
        }
    }
    let mut attributes = attributes_of(node, said.is_some(), place.gave_passages);
    if place.is_first {
        of_run(run, node, &mut attributes);
    }
    object.key("attributes").push_str(&attributes.end());
    let events = events(run, node, place.is_first);
    if !events.is_empty() {
        list(object.key("events"), events.iter(), |event, out| out.push_str(event));
    }
    let mut status = Lazy::new(object.key("status"));
    if node.status == RunStatus::Failure {
        status.key("code").push('2');
        if let Some(error) = &node.error {
            status.text("message", error);
        }
    }
    status.end_or_empty();
    object.end();
}

/// What the reader keeps of a span beside its attributes, each in its own place.
fn is_apart(key: &str, is_named: bool) -> bool {
    matches!(
        key,
        SPAN_ID
            | PARENT_ID
            | "kind"
            | "links"
            | "flags"
            | "traceState"
            | "scope"
            | "events"
            | "exception"
    ) || is_named && key == "span_name"
}

fn attributes_of(node: &NodeRun<'_>, is_named: bool, gave_passages: bool) -> Attributes {
    let mut out = Attributes::default();
    for (key, raw) in &node.metadata {
        let key = key.decoded();
        if !is_apart(&key, is_named) {
            out.any(&key, raw);
        }
    }
    if !names_kind(|name| node.metadata.get(name).is_some()) {
        out.text(NODE_KIND, node.kind.as_str());
        out.text(KIND, kind_word(node.kind));
    }
    if is_named {
        out.text("gen_ai.tool.name", &node.node.decoded());
    }
    if let Some(model) = &node.model {
        out.text("gen_ai.response.model", &model.decoded());
    }
    for (key, count) in [
        ("gen_ai.usage.input_tokens", node.usage.input_tokens),
        ("gen_ai.usage.output_tokens", node.usage.output_tokens),
    ] {
        if let Some(count) = count {
            out.put(key, &format!("{{\"intValue\":\"{count}\"}}"));
        }
    }
    if let Some(cost) = node.cost_usd {
        out.put("gen_ai.usage.cost", &format!("{{\"doubleValue\":{cost}}}"));
    }
    if let Some(prompt) = &node.prompt {
        out.text("llm.prompt_template.template", &prompt.decoded());
    }
    if let Some(variables) = &node.variables {
        out.text("llm.prompt_template.variables", variables.as_str());
    }
    if let Some(input) = &node.input {
        let names = ["gen_ai.input.messages", "input.value", "gen_ai.tool.call.arguments"];
        out.value(name_for(node, input, names), input);
    }
    match &node.output {
        Some(output) if gave_passages => out.text("gen_ai.retrieval.documents", output.as_str()),
        Some(output) => {
            let names = ["gen_ai.output.messages", "output.value", "gen_ai.tool.call.result"];
            out.value(name_for(node, output, names), output);
        }
        None => {}
    }
    out
}

/// The name for what went into a node or came out of it: that of messages for a list of a model or an agent, else the
/// plain one, or the third if the source gave an attribute of that name.
fn name_for(
    node: &NodeRun<'_>,
    value: &RawJson<'_>,
    [messages, plain, other]: [&'static str; 3],
) -> &'static str {
    let is_free = |name: &str| node.metadata.get(name).is_none();
    let speaks = matches!(node.kind, NodeKind::ModelCall | NodeKind::Agent);
    if speaks && is(value, Kind::Array) && is_free(messages) {
        messages
    } else if is_free(plain) {
        plain
    } else {
        other
    }
}

/// Adds to the first span what is known of the run as a whole and no span says already.
fn of_run(run: &Run<'_>, first: &NodeRun<'_>, out: &mut Attributes) {
    let metadata = |key: &str| run.metadata.get(key);
    let environment = metadata("environment").and_then(RawJson::as_text);
    let decoded = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.decoded().into_owned());
    for (key, value) in [
        ("session.id", decoded(&run.thread)),
        ("user.id", decoded(&run.owner)),
        ("service.version", decoded(&run.version)),
        ("deployment.environment.name", environment),
    ] {
        if let Some(value) = value.filter(|value| !is_said(run, value)) {
            out.text(key, &value);
        }
    }
    let name = metadata("name").and_then(RawJson::as_text);
    if let Some(name) = name.filter(|name| *first.node.decoded() != **name) {
        out.text("langfuse.trace.name", &name);
    }
    if let Some(tags) = metadata("tags") {
        out.any("langfuse.trace.tags", tags);
    }
    let question = run.question.as_ref().map(plain);
    if let Some(input) = run.inputs.clone().map(RawJson::into_owned).or(question)
        && first.input.as_ref() != Some(&input)
    {
        out.value("langfuse.trace.input", &input);
    }
    let is_other = |answer: &RawJson<'_>| first.output.as_ref() != Some(answer);
    if let Some(answer) = run.answer.as_ref().map(plain).filter(is_other) {
        out.value("langfuse.trace.output", &answer);
    }
}

/// A text as JSON; one that holds JSON is quoted once more, as readers would take it for a value.
fn plain(text: &Text<'_>) -> RawJson<'static> {
    let text = RawJson::string(&text.decoded());
    let inner = text.as_text().unwrap_or_default();
    let holds_json = inner.trim_start().starts_with(['{', '[']) && RawJson::parse(&inner).is_ok();
    if holds_json { RawJson::string(text.as_str()) } else { text }
}

/// Whether the resource or a span has this text for the value of an attribute.
fn is_said(run: &Run<'_>, text: &str) -> bool {
    let has = |raw: &RawJson<'_>| raw.as_text().as_deref() == Some(text);
    let resource = run.metadata.get("resource").map(fields).unwrap_or_default();
    resource.iter().any(|(_, raw)| has(raw))
        || run.nodes.iter().flat_map(|node| &node.metadata).any(|(_, raw)| has(raw))
}

/// What happened during a span, and what was thought of it, as events.
fn events(run: &Run<'_>, node: &NodeRun<'_>, is_first: bool) -> Vec<String> {
    let kept = node.metadata.get("events").map(elements).unwrap_or_default();
    let mut list: Vec<_> = kept.iter().filter_map(kept_event).collect();
    let unsaid = node.error.as_ref().filter(|_| node.status != RunStatus::Failure);
    let exception = node.metadata.get("exception").and_then(RawJson::as_text);
    if let Some(exception) = exception.or_else(|| Some(unsaid?.decoded().into_owned())) {
        let mut attributes = Attributes::default();
        attributes.text("exception.message", &exception);
        list.push(event("exception", attributes));
    }
    let of_run = run.feedback.as_deref().filter(|_| is_first && node.parent.is_none());
    list.extend(of_run.into_iter().chain(node.feedback.as_deref()).map(evaluation));
    list
}

fn event(name: &str, attributes: Attributes) -> String {
    let mut out = String::new();
    let mut object = Lazy::new(&mut out);
    write_string(name, object.key("name"));
    object.key("attributes").push_str(&attributes.end());
    object.end();
    out
}

/// An event as the reader keeps it: its name, and its attributes as an object.
fn kept_event(raw: &RawJson<'_>) -> Option<String> {
    let (mut name, mut attributes) = (None, Attributes::default());
    for (key, value) in fields(raw) {
        match &*key {
            "name" => name = value.as_text(),
            "attributes" => attributes.all(&value),
            _ => {}
        }
    }
    Some(event(&name?, attributes))
}

fn evaluation(feedback: &Feedback<'_>) -> String {
    let mut attributes = Attributes::default();
    let name = feedback.label.as_ref().map(|label| label.decoded().into_owned());
    attributes.text("gen_ai.evaluation.name", name.as_deref().unwrap_or("feedback"));
    if let Some(rating) = &feedback.rating {
        attributes.any("gen_ai.evaluation.score.value", rating);
    }
    if let Some(comment) = &feedback.comment {
        attributes.text("gen_ai.evaluation.explanation", &comment.decoded());
    }
    event("gen_ai.evaluation.result", attributes)
}

/// A list of attributes, as the protocol has them.
#[derive(Default)]
struct Attributes(String);

impl Attributes {
    /// An attribute whose value is in the protocol's form.
    fn put(&mut self, key: &str, value: &str) {
        self.0.push_str(if self.0.is_empty() { "[{\"key\":" } else { ",{\"key\":" });
        write_string(key, &mut self.0);
        let _ = write!(self.0, ",\"value\":{value}}}");
    }

    fn text(&mut self, key: &str, text: &str) {
        let mut value = String::from("{\"stringValue\":");
        write_string(text, &mut value);
        value.push('}');
        self.put(key, &value);
    }

    /// Any JSON in the protocol's form.
    fn any(&mut self, key: &str, raw: &RawJson<'_>) {
        let mut value = String::new();
        write_any(raw, &mut value);
        self.put(key, &value);
    }

    /// The fields of an object, an attribute each.
    fn all(&mut self, object: &RawJson<'_>) {
        for (key, raw) in fields(object) {
            self.any(&key, &raw);
        }
    }

    /// What went in or came out: objects and lists as their JSON text, as every convention has them.
    fn value(&mut self, key: &str, raw: &RawJson<'_>) {
        if is(raw, Kind::Object) || is(raw, Kind::Array) {
            self.text(key, raw.as_str());
        } else {
            self.any(key, raw);
        }
    }

    fn end(self) -> String {
        if self.0.is_empty() { "[]".into() } else { self.0 + "]" }
    }
}

fn is(raw: &RawJson<'_>, kind: Kind) -> bool {
    Parser::new(raw.as_str()).kind().is_ok_and(|found| found == kind)
}

/// Writes any JSON as a value of the protocol.
fn write_any(raw: &RawJson<'_>, out: &mut String) {
    let text = raw.as_str();
    match Parser::new(text).kind() {
        Ok(Kind::Object) => {
            let mut values = Attributes::default();
            values.all(raw);
            let _ = write!(out, "{{\"kvlistValue\":{{\"values\":{}}}}}", values.end());
        }
        Ok(Kind::Array) => {
            out.push_str("{\"arrayValue\":{\"values\":");
            list(out, elements(raw).iter(), write_any);
            out.push_str("}}");
        }
        Ok(Kind::String) => {
            let _ = write!(out, "{{\"stringValue\":{text}}}");
        }
        Ok(Kind::Number) if text.parse::<i64>().is_ok() => {
            let _ = write!(out, "{{\"intValue\":\"{text}\"}}");
        }
        Ok(Kind::Number) => {
            let _ = write!(out, "{{\"doubleValue\":{text}}}");
        }
        _ if raw.is_null() => out.push_str("{}"),
        _ => {
            let _ = write!(out, "{{\"boolValue\":{text}}}");
        }
    }
}

/// The fields of an object; none of another value.
fn fields<'r>(raw: &'r RawJson<'_>) -> Vec<(Cow<'r, str>, RawJson<'r>)> {
    let mut parser = Parser::new(raw.as_str());
    let mut fields = Vec::new();
    if parser.object().is_ok() {
        while let Ok(Some(key)) = parser.next_key()
            && let Ok(value) = parser.raw()
        {
            fields.push((key, value));
        }
    }
    fields
}

/// The elements of a list; none of another value.
fn elements<'r>(raw: &'r RawJson<'_>) -> Vec<RawJson<'r>> {
    let mut parser = Parser::new(raw.as_str());
    let mut elements = Vec::new();
    if parser.array().is_ok() {
        while let Ok(true) = parser.next_element()
            && let Ok(value) = parser.raw()
        {
            elements.push(value);
        }
    }
    elements
}
