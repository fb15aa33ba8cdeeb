//! `otlp`: a run as a request of OpenTelemetry's protocol, to be sent to any collector. The reader of that name reads it
//! back: a run that came from OpenTelemetry comes back as it was.
//!
//! What a node's metadata holds are its attributes again. The rest is written under the names that the reader takes first,
//! so that attributes which the source gave beside them stay what they were.

use std::fmt::Write;

use retort_json::{Kind, Parser, RawJson, Text, write_string};
use retort_model::{Feedback, Item, ItemKind, NodeKind, NodeRun, Run, RunStatus};

use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
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
        "A line is a run: a request of OpenTelemetry's protocol in JSON, which a collector takes at `/v1/traces`. Its spans \
         are the nodes. The run's project and files, expected answers, and passages that no node gave have no place in it."
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
        let is_passages = passages.get(at) == Some(&true);
        span(run, (at, node, is_passages), (&trace, ids.get(at), parent), &mut out);
    }
    out.push_str("]}]}]}");
    out
}

/// Which nodes gave the passages of the run, in their order.
fn passages(run: &Run<'_>, nodes: &[NodeRun<'_>]) -> Vec<bool> {
    let mut rest = run.contexts.as_slice();
    let mut gave = |node: &NodeRun<'_>| {
        let mut given = Vec::new();
        if let Some(output) = node.output.as_ref().filter(|output| is(output, Kind::Array)) {
            each_element(output, &mut |one| given.push(one.clone().into_owned()));
        }
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
        each_field(known, &mut |key, raw| attributes.any(key, raw));
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

/// The id of a node's span: its own, or one that is made of the run's id and its place.
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

fn span(
    run: &Run<'_>,
    (at, node, is_passages): (usize, &NodeRun<'_>, bool),
    (trace, id, parent): (&str, Option<&String>, Option<&str>),
    out: &mut String,
) {
    let own_parent = node.metadata.get(PARENT_ID).and_then(RawJson::as_text);
    let parent = own_parent.as_deref().or(parent).unwrap_or_default();
    let said = node.metadata.get("span_name").and_then(RawJson::as_text);
    let said = said.filter(|_| node.kind == NodeKind::Tool);
    let name = said.clone().unwrap_or_else(|| node.node.decoded().into_owned());
    for (before, key, text) in [
        ("{", "traceId", trace),
        (",", "spanId", id.map_or("", String::as_str)),
        (",", "parentSpanId", parent),
        (",", "name", &name),
    ] {
        let _ = write!(out, "{before}\"{key}\":");
        write_string(text, out);
    }
    for key in ["traceState", "kind", "links", "flags"] {
        if let Some(raw) = node.metadata.get(key) {
            let _ = write!(out, ",\"{key}\":{raw}");
        }
    }
    for (key, time) in
        [("startTimeUnixNano", node.started_at), ("endTimeUnixNano", node.finished_at)]
    {
        if let Some(time) = time {
            let _ = write!(out, ",\"{key}\":\"{}\"", time.unix_nanos());
        }
    }
    let mut attributes = attributes_of(node, said.is_some(), is_passages);
    if at == 0 {
        of_run(run, node, &mut attributes);
    }
    out.push_str(",\"attributes\":");
    out.push_str(&attributes.end());
    events(run, (at, node), out);
    let failed = node.status == RunStatus::Failure;
    out.push_str(if failed { ",\"status\":{\"code\":2" } else { ",\"status\":{" });
    if let Some(error) = node.error.as_ref().filter(|_| failed) {
        out.push_str(",\"message\":");
        error.write_string(out);
    }
    out.push_str("}}");
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

fn attributes_of(node: &NodeRun<'_>, is_named: bool, is_passages: bool) -> Attributes {
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
    let is_in_metadata = |name: &str| node.metadata.get(name).is_some();
    if let Some(input) = &node.input {
        let messages = "gen_ai.input.messages";
        let is_said = speaks(node) && is(input, Kind::Array) && !is_in_metadata(messages);
        let plain = if is_in_metadata("input.value") {
            "gen_ai.tool.call.arguments"
        } else {
            "input.value"
        };
        out.value(if is_said { messages } else { plain }, input);
    }
    if let Some(output) = node.output.as_ref().filter(|_| is_passages) {
        out.text("gen_ai.retrieval.documents", output.as_str());
    } else if let Some(output) = &node.output {
        let messages = "gen_ai.output.messages";
        let is_said = speaks(node) && is(output, Kind::Array) && !is_in_metadata(messages);
        let plain =
            if is_in_metadata("output.value") { "gen_ai.tool.call.result" } else { "output.value" };
        out.value(if is_said { messages } else { plain }, output);
    }
    out
}

fn speaks(node: &NodeRun<'_>) -> bool {
    matches!(node.kind, NodeKind::ModelCall | NodeKind::Agent)
}

/// What is known of the run as a whole, on its first span, as far as that does not say it already.
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
    let mut is_in_resource = false;
    if let Some(resource) = run.metadata.get("resource") {
        each_field(resource, &mut |_, raw| is_in_resource |= has(raw));
    }
    is_in_resource || run.nodes.iter().flat_map(|node| &node.metadata).any(|(_, raw)| has(raw))
}

/// What happened during a span, and what was thought of it, as events.
fn events(run: &Run<'_>, (at, node): (usize, &NodeRun<'_>), out: &mut String) {
    let mut list = Vec::new();
    if let Some(kept) = node.metadata.get("events").filter(|raw| is(raw, Kind::Array)) {
        each_element(kept, &mut |event| list.extend(kept_event(event)));
    }
    let unsaid = node.error.as_ref().filter(|_| node.status != RunStatus::Failure);
    let exception = node.metadata.get("exception").and_then(RawJson::as_text);
    if let Some(exception) = exception.or_else(|| Some(unsaid?.decoded().into_owned())) {
        let mut attributes = Attributes::default();
        attributes.text("exception.message", &exception);
        list.push(event("exception", attributes));
    }
    let of_run = run.feedback.as_deref().filter(|_| at == 0 && node.parent.is_none());
    for feedback in of_run.into_iter().chain(node.feedback.as_deref()) {
        list.push(evaluation(feedback));
    }
    if !list.is_empty() {
        let _ = write!(out, ",\"events\":[{}]", list.join(","));
    }
}

fn event(name: &str, attributes: Attributes) -> String {
    let mut out = String::from("{\"name\":");
    write_string(name, &mut out);
    let _ = write!(out, ",\"attributes\":{}}}", attributes.end());
    out
}

/// An event as the reader keeps it: its name, and its attributes as an object.
fn kept_event(raw: &RawJson<'_>) -> Option<String> {
    let (mut name, mut attributes) = (None, Attributes::default());
    each_field(raw, &mut |key, raw| match key {
        "name" => name = raw.as_text(),
        "attributes" => each_field(raw, &mut |key, raw| attributes.any(key, raw)),
        _ => {}
    });
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
    let mut is_first = true;
    match Parser::new(text).kind() {
        Ok(Kind::Object) => {
            out.push_str("{\"kvlistValue\":{\"values\":[");
            each_field(raw, &mut |key, value| {
                out.push_str(if std::mem::take(&mut is_first) {
                    "{\"key\":"
                } else {
                    ",{\"key\":"
                });
                write_string(key, out);
                out.push_str(",\"value\":");
                write_any(value, out);
                out.push('}');
            });
            out.push_str("]}}");
        }
        Ok(Kind::Array) => {
            out.push_str("{\"arrayValue\":{\"values\":[");
            each_element(raw, &mut |value| {
                out.push_str(if std::mem::take(&mut is_first) { "" } else { "," });
                write_any(value, out);
            });
            out.push_str("]}}");
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

fn each_field(raw: &RawJson<'_>, take: &mut dyn FnMut(&str, &RawJson<'_>)) {
    let mut parser = Parser::new(raw.as_str());
    if parser.object().is_err() {
        return;
    }
    while let Ok(Some(key)) = parser.next_key() {
        let Ok(value) = parser.raw() else { return };
        take(&key, &value);
    }
}

fn each_element(raw: &RawJson<'_>, take: &mut dyn FnMut(&RawJson<'_>)) {
    let mut parser = Parser::new(raw.as_str());
    if parser.array().is_err() {
        return;
    }
    while let Ok(true) = parser.next_element() {
        let Ok(value) = parser.raw() else { return };
        take(&value);
    }
}
