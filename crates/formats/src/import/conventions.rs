//! What the attributes of a span say, in every convention that applications write: OpenTelemetry's for generative AI, old
//! and new, OpenInference, OpenLLMetry, Vercel's AI SDK, Logfire, Langfuse's and MLflow's over OpenTelemetry.
//!
//! Attributes are flat: names with dots, lists by number (`llm.input_messages.0.message.role`). Each convention's names
//! are looked for in the order in which the lists below have them; what none takes stays in the node's metadata.

use std::collections::{BTreeMap, HashMap};

use retort_json::{Kind as JsonKind, RawJson, Text, write_string};
use retort_model::{Message, NodeKind, Role, RunStatus};

use super::fields::{self, FieldMap, count, list, number};
use super::format::Notes;
use super::marks;
use super::otlp_names::{KIND, KINDS, NODE_KIND, kind_word};
use super::runs::kind_of_word;
use super::span_messages::{answered, asked};
use super::spans::{Score, Span, Trace};

/// Something that happened while a span ran.
pub(super) struct Event {
    pub(super) name: String,
    pub(super) attributes: FieldMap<'static>,
}

/// Names of attributes, the special before the general.
const MODEL: [&str; 9] = [
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "ai.response.model",
    "ai.model.id",
    "langfuse.observation.model.name",
    "embedding.model_name",
    "reranker.model_name",
    "llm.request.model",
];
const INPUT_TOKENS: [&str; 8] = [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.promptTokens",
    "ai.usage.inputTokens",
    "llm.usage.prompt_tokens",
    "ai.usage.tokens",
    "input_tokens",
];
const OUTPUT_TOKENS: [&str; 7] = [
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.completionTokens",
    "ai.usage.outputTokens",
    "llm.usage.completion_tokens",
    "output_tokens",
];
const COST: [&str; 6] = [
    "gen_ai.usage.cost",
    "gen_ai.usage.total_cost",
    "llm.cost.total",
    "operation.cost",
    "llm.usage.cost",
    "cost_usd",
];
const SESSION: [&str; 14] = [
    "session.id",
    "langfuse.session.id",
    "gen_ai.conversation.id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.session_id",
    "ai.telemetry.metadata.threadId",
    "langsmith.trace.session_id",
    "langsmith.metadata.thread_id",
    "mlflow.trace.session",
    "session_id",
];
const USER: [&str; 9] = [
    "user.id",
    "enduser.id",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
    "ai.telemetry.metadata.user_id",
    "mlflow.trace.user",
    "user.email",
    "user_id",
];
const VERSION: [&str; 4] =
    ["service.version", "langfuse.version", "langfuse.release", "gen_ai.agent.version"];
const ENVIRONMENT: [&str; 4] = [
    "deployment.environment.name",
    "deployment.environment",
    "langfuse.environment",
    "ai.telemetry.metadata.environment",
];
const AGENT: [&str; 5] =
    ["gen_ai.agent.name", "agent.name", "agent_name", "traceloop.entity.name", "graph.node.id"];
const CALL_ID: [&str; 5] =
    ["gen_ai.tool.call.id", "tool_call.id", "ai.toolCall.id", "tool.call_id", "tool.id"];
const TOOL_NAME: [&str; 3] = ["gen_ai.tool.name", "tool.name", "ai.toolCall.name"];
const INPUT: [&str; 13] = [
    "gen_ai.tool.call.arguments",
    "ai.toolCall.args",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "traceloop.entity.input",
    "input.value",
    "ai.prompt",
    "gen_ai.retrieval.query.text",
    "tool_arguments",
    "ai.value",
    "ai.values",
    "input",
    "lk.input_text",
];
const OUTPUT: [&str; 13] = [
    "gen_ai.tool.call.result",
    "ai.toolCall.result",
    "langfuse.observation.output",
    "mlflow.spanOutputs",
    "traceloop.entity.output",
    "output.value",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "tool_response",
    "final_result",
    "output",
    "lk.response.text",
];
/// Lists of messages that were asked, as JSON or as its text.
const ASKED: [&str; 7] = [
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "ai.prompt.messages",
    "langfuse.observation.input",
    "mlflow.chat.messages",
    "request_data",
    "input.messages",
];
const ANSWERED: [&str; 4] =
    ["gen_ai.output.messages", "gen_ai.completion", "langfuse.observation.output", "response_data"];
const TOOLS: [&str; 5] = [
    "gen_ai.tool.definitions",
    "mlflow.chat.tools",
    "ai.prompt.tools",
    "gen_ai.request.tools",
    "llm.request.functions",
];
const PROMPT: [&str; 4] = [
    "llm.prompt_template.template",
    "gen_ai.prompt.template",
    "prompt.template",
    "logfire.msg_template",
];
const VARIABLES: [&str; 3] =
    ["llm.prompt_template.variables", "gen_ai.prompt.variables", "prompt.variables"];

/// Whether any of these names is one that only spans of models, agents and their tools have.
pub(super) fn is_convention(name: &str) -> bool {
    const STEMS: [&str; 6] =
        ["gen_ai.", "openinference.", "llm.", "traceloop.", "ai.operationId", "mlflow.span"];
    STEMS.iter().any(|stem| name.starts_with(stem))
}

/// The first of the names under which there is a text, which stays.
fn peek(map: &FieldMap<'_>, names: &[&str]) -> Option<String> {
    let found = names.iter().filter_map(|name| map.peek(name).and_then(fields::id));
    let mut texts = found.map(|text| text.decoded().into_owned());
    texts.find(|text| !text.is_empty())
}

/// Takes what the attributes of a resource say of all its traces.
pub(super) fn describe_resource(resource: &FieldMap<'_>, trace: &mut Trace) {
    let service = peek(resource, &["service.name"]);
    let service = service.filter(|name| !name.starts_with("unknown_service"));
    trace.application = trace.application.take().or(service);
    trace.version = trace.version.take().or_else(|| peek(resource, &VERSION));
    trace.environment = trace.environment.take().or_else(|| peek(resource, &ENVIRONMENT));
    trace.session = trace.session.take().or_else(|| peek(resource, &SESSION));
    trace.user = trace.user.take().or_else(|| peek(resource, &USER));
    if trace.metadata.get("resource").is_none()
        && let Some(object) = RawJson::object(resource.fields())
    {
        trace.metadata.put("resource".into(), object);
    }
}

/// Whether an attribute of this name may say the session: a product's own name ends like the common ones.
pub(super) fn names_session(key: &str) -> bool {
    SESSION.contains(&key) || key.ends_with(".session_id") || key.ends_with(".session.id")
}

/// Whether a session may be named in this JSON text. Where characters are escaped, that is not seen without reading it.
pub(super) fn may_name_session(text: &str) -> bool {
    ["ession", "hread", "onversation", "chat_id", "\\u"].iter().any(|part| text.contains(part))
}

/// The session that a span names.
pub(super) fn session_of(map: &FieldMap<'_>) -> Option<String> {
    peek(map, &SESSION).or_else(|| {
        let own = map.fields().iter().find(|(key, raw)| {
            names_session(&key.decoded()) && raw.as_text().is_some_and(|text| !text.is_empty())
        });
        own.and_then(|(_, raw)| raw.as_text())
    })
}

/// Reads the attributes and events of a span into what is known of it and of its trace.
pub(super) fn describe(
    mut map: FieldMap<'static>,
    events: Vec<Event>,
    span: &mut Span,
    trace: &mut Trace,
    notes: &mut Notes,
) {
    let mark = notes.mark();
    let mut exceptions = Vec::new();
    let mut told: (Vec<Message<'static>>, Vec<Message<'static>>) = Default::default();
    let mut kept = Vec::new();
    for event in events {
        take_event(event, &mut map, &mut told, &mut exceptions, &mut kept, notes);
    }
    let is_at_top = span.parent.is_empty();
    if let Some(session) = session_of(&map).filter(|_| is_at_top || trace.session.is_none()) {
        trace.session = Some(session);
    }
    trace.user = trace.user.take().or_else(|| peek(&map, &USER));
    trace.version = trace.version.take().or_else(|| peek(&map, &VERSION));
    trace.environment = trace.environment.take().or_else(|| peek(&map, &ENVIRONMENT));
    describe_trace(&mut map, is_at_top, trace);

    span.node.kind = kind(&mut map).unwrap_or(span.node.kind);
    span.agent = peek(&map, &AGENT);
    if span.node.kind == NodeKind::Tool {
        span.call_id = peek(&map, &CALL_ID);
        if let Some(name) = map.take(&TOOL_NAME, RawJson::text) {
            let said = std::mem::replace(&mut span.node.node, name);
            if said != span.node.node {
                map.put("span_name", RawJson::string(&said.decoded()));
            }
        }
    }
    span.node.model = map.take(&MODEL, |raw| raw.text().filter(|text| !text.is_empty()));
    span.node.usage.input_tokens = map.take(&INPUT_TOKENS, count);
    span.node.usage.output_tokens = map.take(&OUTPUT_TOKENS, count);
    span.node.cost_usd = map.take(&COST, number);
    langfuse_numbers(&mut map, span);
    span.node.prompt = map.take(&PROMPT, RawJson::text);
    span.node.variables = map.take(&VARIABLES, fields::object_within);
    documents(&mut map, span);
    span.tools = tools(&mut map);
    if !exceptions.is_empty() && span.node.error.is_none() {
        span.node.error = exceptions.pop().map(Text::from);
    }
    messages(&mut map, told, span, notes);
    values(&mut map, span);
    if !matches!(span.node.kind, NodeKind::ModelCall | NodeKind::Agent) {
        notes.forget(mark);
    }
    if !kept.is_empty() {
        map.put("events", RawJson::array(&kept));
    }
    span.node.metadata = map.rest();
    notes.under(mark, || format!("spans[{}]", super::unplaced::short(&span.id)));
}

/// Reads an event: a message of the older convention, an exception, or attributes that stand there and not on the span.
fn take_event(
    mut event: Event,
    map: &mut FieldMap<'static>,
    told: &mut (Vec<Message<'static>>, Vec<Message<'static>>),
    exceptions: &mut Vec<String>,
    kept: &mut Vec<RawJson<'static>>,
    notes: &mut Notes,
) {
    match event.name.as_str() {
        "exception" => {
            let message = peek(&event.attributes, &["exception.message", "exception.type"]);
            exceptions.extend(message);
        }
        "gen_ai.client.inference.operation.details"
        | "gen_ai.content.prompt"
        | "gen_ai.content.completion" => {
            for (key, raw) in event.attributes.rest() {
                map.put_field(key, raw);
            }
            return;
        }
        name => {
            let role = match name {
                "gen_ai.system.message" => Some("system"),
                "gen_ai.user.message" => Some("user"),
                "gen_ai.assistant.message" => Some("assistant"),
                "gen_ai.tool.message" => Some("tool"),
                "gen_ai.choice" => Some("choice"),
                _ => None,
            };
            if let Some(role) = role {
                let body =
                    event.attributes.take(&["gen_ai.event.content", "event_body", "body"], |raw| {
                        fields::json_within(raw)
                            .or_else(|| fields::object(raw).map(RawJson::into_owned))
                    });
                let body = body.and_then(|raw| Some(FieldMap::of(&raw, notes)?.owned()));
                let body = body.unwrap_or_else(|| std::mem::take(&mut event.attributes));
                old_message(body, role, told, notes);
                return;
            }
        }
    }
    let mut out = String::from("{\"name\":");
    write_string(&event.name, &mut out);
    if let Some(attributes) = event.attributes.rest_object() {
        out.push_str(",\"attributes\":");
        out.push_str(attributes.as_str());
    }
    out.push('}');
    kept.extend(RawJson::owned(&out));
}

/// A message of the older convention, where each is an event.
fn old_message(
    mut body: FieldMap<'static>,
    role: &str,
    told: &mut (Vec<Message<'static>>, Vec<Message<'static>>),
    notes: &mut Notes,
) {
    let is_choice = role == "choice";
    let mut fields = retort_model::Fields::new();
    let reason = body.take(&["finish_reason"], marks::ended);
    if let Some(inner) = body.take(&["message"], fields::map_within) {
        body = inner;
    }
    let said = body.peek("role").is_none();
    if said {
        let role = if is_choice { "assistant" } else { role };
        fields.put("role".into(), RawJson::string(role));
    }
    for (key, raw) in body.rest() {
        let name = key.decoded().into_owned();
        // Attributes hold lists as their JSON text.
        let raw = match &*name {
            "tool_calls" => fields::json_within(&raw).unwrap_or(raw),
            _ => raw,
        };
        let key = if name == "id" && role == "tool" { "tool_call_id".into() } else { key };
        if !matches!(&*name, "index" | "gen_ai.system" | "event.name" | "gen_ai.message.index") {
            fields.put(key, raw);
        }
    }
    let Some(object) = RawJson::object(&fields) else { return };
    let Some(mut read) = asked(&RawJson::array(&[object]), notes, &mut Vec::new()) else { return };
    if is_choice {
        if let Some(last) = read.last_mut() {
            last.finish_reason = last.finish_reason.take().or(reason);
        }
        told.1.extend(read);
    } else {
        told.0.extend(read);
    }
}

/// What a span says of its trace as a whole.
fn describe_trace(map: &mut FieldMap<'static>, is_at_top: bool, trace: &mut Trace) {
    let name = map.take(&["langfuse.trace.name"], RawJson::text);
    trace.name = trace.name.take().or(name.map(|name| name.decoded().into_owned()));
    for (slot, names) in [
        (&mut trace.input, ["langfuse.trace.input", "mlflow.traceInputs"]),
        (&mut trace.output, ["langfuse.trace.output", "mlflow.traceOutputs"]),
    ] {
        let found = map.take(&names, |raw| Some(fields::unquoted(raw)));
        *slot = slot.take().or(found);
    }
    let tags = map.take(&["langfuse.trace.tags", "tag.tags", "tags"], |raw| {
        let listed = fields::list_within(raw)?;
        listed.iter().map(|one| one.as_text().map(Text::from)).collect::<Option<Vec<_>>>()
    });
    if is_at_top || trace.tags.is_empty() {
        trace.tags = tags.unwrap_or_else(|| std::mem::take(&mut trace.tags));
    }
}

/// Langfuse's attributes hold tokens and costs as JSON texts.
fn langfuse_numbers(map: &mut FieldMap<'static>, span: &mut Span) {
    let usage = ["langfuse.observation.usage_details", "mlflow.chat.tokenUsage"];
    if let Some(mut usage) = map.take(&usage, fields::map_within) {
        let slot = &mut span.node.usage;
        slot.input_tokens = slot.input_tokens.or(usage.take(&["input", "input_tokens"], count));
        slot.output_tokens = slot.output_tokens.or(usage.take(&["output", "output_tokens"], count));
    }
    if let Some(mut cost) =
        map.take(&["langfuse.observation.cost_details", "mlflow.llm.cost"], fields::map_within)
    {
        span.node.cost_usd = span.node.cost_usd.or(cost.take(&["total", "total_cost"], number));
    }
    if span.node.kind == NodeKind::ModelCall && map.has(&["langfuse.observation.level"]) {
        let level = map.peek("langfuse.observation.level").and_then(RawJson::as_text);
        if level.as_deref() == Some("ERROR") {
            span.node.status = RunStatus::Failure;
        }
    }
}

/// What a span is. A word that is not one of Retort's stays with the rest.
fn kind(map: &mut FieldMap<'static>) -> Option<NodeKind> {
    let known = map.take(&[NODE_KIND], |raw| raw.as_text()?.parse::<NodeKind>().ok());
    if let Some(known) = known {
        // The word that was written beside it says nothing more.
        let is_written = |raw: &RawJson<'_>| raw.as_text().as_deref() == Some(kind_word(known));
        map.take(&[KIND], |raw| is_written(raw).then_some(()));
        return Some(known);
    }
    if let Some(id) = peek(map, &["ai.operationId", "operation.name"]) {
        let id = id.split(' ').next().unwrap_or_default();
        if id.starts_with("ai.") {
            return Some(match id {
                "ai.toolCall" => NodeKind::Tool,
                id if id.ends_with(".doGenerate") || id.ends_with(".doStream") => {
                    NodeKind::ModelCall
                }
                id if id.starts_with("ai.embed") || id.starts_with("ai.rerank") => {
                    NodeKind::Retrieval
                }
                _ => NodeKind::Agent,
            });
        }
    }
    for name in KINDS {
        let Some(word) = map.peek(name).and_then(RawJson::as_text) else { continue };
        let word = word.trim_matches('"').to_owned();
        let plain: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        if let Some(kind) = kind_of_word(&plain) {
            return Some(kind);
        }
        // A word that says that it is something else.
        let others =
            ["chain", "workflow", "task", "guardrail", "evaluator", "invokeworkflow", "event"];
        if others.contains(&plain.as_str()) {
            return Some(NodeKind::Other);
        }
    }
    let fields = map.fields();
    let any = |stem: &str| fields.iter().any(|(key, _)| key.decoded().starts_with(stem));
    if any("gen_ai.tool.name") || any("tool.name") {
        return Some(NodeKind::Tool);
    }
    if any("gen_ai.request.model")
        || any("llm.input_messages.")
        || any("gen_ai.prompt")
        || any("gen_ai.input.messages")
    {
        return Some(NodeKind::ModelCall);
    }
    let is_retrieval = any("retrieval.documents.") || any("gen_ai.retrieval.") || any("db.vector.");
    is_retrieval.then_some(NodeKind::Retrieval)
}

/// Takes passages that were retrieved.
fn documents(map: &mut FieldMap<'static>, span: &mut Span) {
    let listed = map.take(&["gen_ai.retrieval.documents"], fields::list_within);
    if let Some(listed) = listed {
        span.documents = listed.into_iter().map(RawJson::into_owned).collect();
    }
    for (stem, inner) in
        [("retrieval.documents", "document"), ("reranker.output_documents", "document")]
    {
        if let Some(grouped) = take_numbered(map, stem) {
            for raw in grouped {
                let within = fields::map(&raw).and_then(|mut map| {
                    map.take(&[inner], fields::object).map(RawJson::into_owned)
                });
                span.documents.push(within.unwrap_or(raw));
            }
        }
    }
    // Text under the name that passages have everywhere else.
    if !span.documents.is_empty() && span.node.output.is_none() {
        span.node.output = Some(RawJson::array(&span.documents));
    }
}

/// Takes definitions of the tools offered.
fn tools(map: &mut FieldMap<'static>) -> Vec<RawJson<'static>> {
    if let Some(listed) = map.take(&TOOLS, fields::list_within) {
        return listed.into_iter().map(|one| fields::unquoted(&one)).collect();
    }
    for stem in ["llm.tools", "llm.request.functions"] {
        if let Some(grouped) = take_numbered(map, stem) {
            let inner = |raw: &RawJson<'static>| {
                let mut map = fields::map(raw)?;
                let mut tool = map.take(&["tool"], fields::map)?;
                tool.take(&["json_schema"], |raw| Some(fields::unquoted(raw)))
            };
            return grouped.into_iter().map(|raw| inner(&raw).unwrap_or(raw)).collect();
        }
    }
    Vec::new()
}

/// Takes what was asked and answered.
fn messages(
    map: &mut FieldMap<'static>,
    told: (Vec<Message<'static>>, Vec<Message<'static>>),
    span: &mut Span,
    notes: &mut Notes,
) {
    let speaks = matches!(span.node.kind, NodeKind::ModelCall | NodeKind::Agent);
    if let Some(listed) = logfire_events(map) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let all = asked(&listed, notes, &mut span.tools).unwrap_or_default();
        let from = all.iter().rposition(|one| one.role != Role::Assistant).map_or(0, |at| at + 1);
        for (at, one) in all.into_iter().enumerate() {
            if at < from { before.push(one) } else { after.push(one) }
        }
        let mut said = list(&listed).unwrap_or_default();
        let is_answer = |raw: &RawJson<'_>| {
            let map = fields::map(raw);
            map.is_some_and(|map| {
                map.peek("role").is_some_and(|role| role.as_str() == "\"assistant\"")
            })
        };
        let from = said.iter().rposition(|raw| !is_answer(raw)).map_or(0, |at| at + 1);
        span.node.output = Some(RawJson::array(&said.split_off(from)));
        span.node.input = Some(RawJson::array(&said));
        (span.asked, span.answered) = (Some(before), Some(after));
    }
    // Lists by number: OpenInference's and OpenLLMetry's, and older ones of Langfuse.
    for (stem, is_answer) in [
        ("llm.input_messages", false),
        ("llm.output_messages", true),
        ("gen_ai.input.messages", false),
        ("gen_ai.output.messages", true),
        ("gen_ai.prompt", false),
        ("gen_ai.completion", true),
        ("llm.prompts", false),
        ("llm.completions", true),
    ] {
        let Some(grouped) = take_numbered(map, stem) else { continue };
        let listed: Vec<_> = grouped.into_iter().map(|raw| plain_message(&raw)).collect();
        let listed = RawJson::array(&listed);
        if is_answer {
            span.answered = span.answered.take().or_else(|| answered(&listed, notes));
            span.node.output.get_or_insert(listed);
        } else {
            span.asked = span.asked.take().or_else(|| asked(&listed, notes, &mut span.tools));
            span.node.input.get_or_insert(listed);
        }
    }
    if span.asked.is_none()
        && let Some(raw) = map.take(&ASKED, |raw| Some(fields::unquoted(raw)))
    {
        span.asked = if speaks { asked(&raw, notes, &mut span.tools) } else { None };
        span.node.input.get_or_insert(raw);
    }
    if span.answered.is_none()
        && let Some(raw) = map.take(&ANSWERED, |raw| Some(fields::unquoted(raw)))
    {
        span.answered = if speaks { answered(&raw, notes) } else { None };
        span.node.output.get_or_insert(raw);
    }
    // Agents that keep the whole history.
    let all = ["pydantic_ai.all_messages", "all_messages_events", "agent.messages"];
    if speaks
        && span.asked.is_none()
        && let Some(raw) = map.peek(all[0]).or_else(|| map.peek(all[1])).map(fields::unquoted)
        && let Some(mut asked) = asked(&raw, notes, &mut span.tools)
    {
        let from = asked.iter().rposition(|one| one.role != Role::Assistant);
        span.answered = Some(asked.split_off(from.map_or(0, |at| at + 1)));
        span.asked = Some(asked);
    }
    if !speaks {
        (span.asked, span.answered) = (None, None);
        return;
    }
    vercel_answer(map, span);
    if let Some(system) =
        map.take(&["gen_ai.system_instructions"], |raw| Some(fields::unquoted(raw)))
    {
        put_system(&system, span, notes);
    }
    // What a span says beside its messages, where it has none.
    if span.node.kind == NodeKind::ModelCall {
        let look = |map: &FieldMap<'static>, names: &[&str]| {
            names.iter().find_map(|name| map.peek(name)).map(fields::unquoted)
        };
        if span.asked.is_none()
            && told.0.is_empty()
            && let Some(raw) = look(map, &INPUT)
        {
            span.asked = asked(&raw, notes, &mut span.tools);
        }
        if span.answered.is_none()
            && told.1.is_empty()
            && let Some(raw) = look(map, &OUTPUT)
        {
            span.answered = answered(&raw, notes);
        }
    }
    if span.asked.is_none() && !told.0.is_empty() {
        span.asked = Some(told.0);
    }
    if span.answered.is_none() && !told.1.is_empty() {
        span.answered = Some(told.1);
    }
    if let Some(last) = span.answered.as_mut().and_then(|all| all.last_mut())
        && last.finish_reason.is_none()
    {
        let reasons = map.peek("gen_ai.response.finish_reasons").and_then(|raw| {
            fields::list_within(raw)
                .and_then(|all| marks::ended(all.first()?).map(Text::into_owned))
        });
        let own = map.peek("ai.response.finishReason").and_then(marks::ended);
        last.finish_reason = reasons.or(own);
    }
}

/// Vercel's SDK says an answer's text, reasoning and calls apart.
fn vercel_answer(map: &mut FieldMap<'static>, span: &mut Span) {
    if span.answered.is_some() || span.node.kind != NodeKind::ModelCall {
        return;
    }
    let text = map.peek("ai.response.text").or_else(|| map.peek("ai.response.object"));
    let text = text.and_then(fields::words).filter(|text| !text.is_empty());
    let calls = map.peek("ai.response.toolCalls").map(fields::unquoted);
    let calls = calls.and_then(|raw| super::calls::calls_in(raw.as_str(), &mut Notes::default()));
    if text.is_none() && calls.is_none() {
        return;
    }
    let reasoning = map.take(&["ai.response.reasoning"], RawJson::text);
    span.answered = Some(vec![Message {
        role: Role::Assistant,
        content: text.map(|text| retort_model::Content::Text(text.into_owned())),
        tool_calls: calls.unwrap_or_default(),
        reasoning,
        ..Message::default()
    }]);
}

/// Puts instructions that are beside the messages before them.
fn put_system(raw: &RawJson<'_>, span: &mut Span, notes: &mut Notes) {
    let parts = if fields::kind(raw) == Some(JsonKind::Array) {
        format!("[{{\"role\":\"system\",\"parts\":{}}}]", raw.as_str())
    } else {
        format!("[{{\"role\":\"system\",\"content\":{}}}]", raw.as_str())
    };
    let Ok(listed) = RawJson::owned(&parts) else { return };
    let asked_too = span.asked.get_or_insert_default();
    if asked_too.first().is_none_or(|first| first.role != Role::System)
        && let Some(system) = asked(&listed, notes, &mut Vec::new())
    {
        asked_too.splice(0..0, system);
    }
}

/// The events that Logfire's integrations write as one list.
fn logfire_events(map: &mut FieldMap<'static>) -> Option<RawJson<'static>> {
    let is_message =
        |raw: &RawJson<'_>| fields::map(raw).is_some_and(|map| map.has(&["event.name"]));
    let listed = map.take(&["events", "all_messages_events"], |raw| {
        let listed = fields::list_within(raw)?;
        (!listed.is_empty() && listed.iter().all(is_message)).then_some(listed)
    })?;
    let message = |raw: &RawJson<'_>| {
        let mut map = fields::map(raw)?.owned();
        let name = map.take(&["event.name"], RawJson::text)?;
        map.take(&["gen_ai.message.index", "gen_ai.system", "index"], fields::json);
        if let Some(inner) = map.take(&["message"], fields::object) {
            return Some(inner);
        }
        if !map.has(&["role"]) {
            let role = name.decoded().trim_start_matches("gen_ai.").replace(".message", "");
            map.put("role", RawJson::string(if role == "choice" { "assistant" } else { &role }));
        }
        if let Some(id) = map.take(&["id"], fields::json) {
            map.put("tool_call_id", id);
        }
        map.rest_object()
    };
    let messages: Vec<_> = listed.iter().filter_map(message).collect();
    Some(RawJson::array(&messages))
}

/// Takes inputs and outputs that are no messages.
fn values(map: &mut FieldMap<'static>, span: &mut Span) {
    if span.node.input.is_none() {
        span.node.input = map.take(&INPUT, |raw| Some(fields::unquoted(raw)));
    }
    if span.node.output.is_none() {
        span.node.output = map.take(&OUTPUT, |raw| Some(fields::unquoted(raw)));
    }
}

/// Takes the attributes `STEM.N.…` as objects, in the order of their numbers; none if there are none.
fn take_numbered(map: &mut FieldMap<'static>, stem: &str) -> Option<Vec<RawJson<'static>>> {
    let number = |key: &str| -> Option<(usize, String)> {
        let rest = key.strip_prefix(stem)?.strip_prefix('.')?;
        let (number, below) = rest.split_once('.').unwrap_or((rest, ""));
        Some((number.parse().ok()?, below.to_owned()))
    };
    let mut tree: BTreeMap<usize, Branch> = BTreeMap::new();
    map.retain(|key, raw| {
        let Some((at, below)) = number(&key.decoded()) else { return true };
        let path: Vec<&str> = below.split('.').filter(|part| !part.is_empty()).collect();
        tree.entry(at).or_default().put(&path, raw);
        false
    });
    if tree.is_empty() {
        return None;
    }
    let write = |branch: &Branch| {
        let mut out = String::new();
        branch.write(&mut out);
        RawJson::owned(&out).ok()
    };
    Some(tree.values().filter_map(write).collect())
}

/// Flat names, put back into objects and lists.
#[derive(Default)]
struct Branch {
    value: Option<RawJson<'static>>,
    below: Vec<(String, Branch)>,
    places: HashMap<String, usize>,
}

impl Branch {
    fn put(&mut self, path: &[&str], raw: &RawJson<'static>) {
        let Some((first, rest)) = path.split_first() else {
            self.value = Some(raw.clone());
            return;
        };
        let place = self.places.get(*first).copied().unwrap_or_else(|| {
            self.places.insert((*first).to_owned(), self.below.len());
            self.below.push(((*first).to_owned(), Self::default()));
            self.below.len() - 1
        });
        if let Some((_, branch)) = self.below.get_mut(place) {
            branch.put(rest, raw);
        }
    }

    fn write(&self, out: &mut String) {
        if self.below.is_empty() {
            out.push_str(self.value.as_ref().map_or("null", RawJson::as_str));
            return;
        }
        let mut numbered: Vec<(usize, &Self)> = Vec::new();
        for (name, branch) in &self.below {
            if let Ok(number) = name.parse() {
                numbered.push((number, branch));
            }
        }
        if numbered.len() == self.below.len() {
            numbered.sort_by_key(|(number, _)| *number);
            out.push('[');
            for (at, (_, branch)) in numbered.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                branch.write(out);
            }
            out.push(']');
            return;
        }
        out.push('{');
        for (at, (name, branch)) in self.below.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(name, out);
            out.push(':');
            branch.write(out);
        }
        out.push('}');
    }
}

/// A message of a numbered list with the fields that chat systems have: OpenInference wraps what it says
/// (`message.contents[0].message_content.text`, `tool_calls[0].tool_call.function`).
fn plain_message(raw: &RawJson<'static>) -> RawJson<'static> {
    if let Some(text) = raw.as_text() {
        return RawJson::string(&text);
    }
    let Some(mut map) = fields::map(raw) else { return raw.clone() };
    if let Some(inner) = map.take(&["message"], fields::object)
        && let Some(inner) = fields::map(&inner)
    {
        map = inner;
    }
    let unwrapped = |raw: &RawJson<'_>, name: &str| -> Option<Vec<RawJson<'static>>> {
        let inner = |one: &RawJson<'_>| {
            let mut map = fields::map(one)?.owned();
            map.take(&[name], fields::object).or_else(|| Some(one.clone().into_owned()))
        };
        list(raw)?.iter().map(inner).collect()
    };
    if let Some(parts) = map.take(&["contents"], |raw| unwrapped(raw, "message_content")) {
        let parts: Vec<_> = parts.iter().map(plain_part).collect();
        // The text is beside the parts as well.
        map.put("content", RawJson::array(&parts));
    }
    if let Some(calls) = map.take(&["tool_calls"], |raw| unwrapped(raw, "tool_call")) {
        let with_arguments = |raw: &RawJson<'static>| {
            let has = ["arguments", "args", "input"];
            let mut map = fields::map(raw)?;
            if let Some(mut inner) = map.take(&["function"], fields::map) {
                // Empty arguments are not written.
                if !inner.has(&has) {
                    inner.put("arguments", RawJson::string("{}"));
                }
                map.put("function", inner.rest_object()?);
            } else if !map.has(&has) {
                map.put("arguments", RawJson::string("{}"));
            }
            map.rest_object()
        };
        let calls: Vec<_> =
            calls.into_iter().map(|raw| with_arguments(&raw).unwrap_or(raw)).collect();
        map.put("tool_calls", RawJson::array(&calls));
    }
    // OpenLLMetry writes lists of parts as their JSON text.
    if let Some(content) = map.take(&["content"], |raw| {
        let inner = fields::json_within(raw)?;
        super::parts::are_parts(inner.as_str()).then_some(inner)
    }) {
        map.put("content", content);
    }
    if !map.has(&["role"]) && map.has(&["content", "tool_calls", "finish_reason"]) {
        map.put("role", RawJson::string("assistant"));
    }
    map.rest_object().unwrap_or_else(|| raw.clone())
}

/// A part of OpenInference: `image` holds `image.url`.
fn plain_part(raw: &RawJson<'static>) -> RawJson<'static> {
    let inner = fields::map(raw).and_then(|mut map| {
        let image = map.take(&["image"], fields::object)?;
        let mut image = fields::map(&image)?;
        let image = image.take(&["image"], fields::map);
        let url = image?.take(&["url"], RawJson::text)?;
        let mut out = String::from("{\"type\":\"image_url\",\"image_url\":{\"url\":");
        url.write_string(&mut out);
        out.push_str("}}");
        RawJson::owned(&out).ok()
    });
    inner.unwrap_or_else(|| raw.clone())
}

/// A score that a span of an evaluation tells.
pub(super) fn score_of(map: &mut FieldMap<'static>) -> Option<Score> {
    let name = map.take(&["gen_ai.evaluation.name"], RawJson::text)?;
    let value = map.take(&["gen_ai.evaluation.score.value"], fields::json);
    let label = map.take(&["gen_ai.evaluation.score.label"], RawJson::text);
    let comment = map.take(&["gen_ai.evaluation.explanation"], RawJson::text);
    let feedback = retort_model::Feedback {
        rating: value.or_else(|| label.as_ref().map(|label| RawJson::string(&label.decoded()))),
        label: Some(name),
        comment,
    };
    Some(Score { feedback, ..Score::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_session_is_overlooked() {
        for name in SESSION.into_iter().chain(["acme.session.id", "acme.session_id"]) {
            assert!(names_session(name), "{name}");
            assert!(may_name_session(name), "{name}");
        }
        assert!(may_name_session(r"\u0073ession.id"));
        assert!(!may_name_session("gen_ai.request.model"));
    }
}
