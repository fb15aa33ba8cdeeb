//! What went into a span and came out of it, read as messages: in any of the shapes that APIs, SDKs, frameworks and
//! conventions of telemetry have.

use retort_json::{Kind as JsonKind, RawJson, Text};
use retort_model::{Message, NodeKind, Role};

use super::answers;
use super::chat;
use super::fields::{self, FieldMap, list};
use super::format::Notes;
use super::marks;
use super::spans::{Span, Trace, plain_text};

/// Reads what was asked: a list of messages in any dialect, a request that holds one, or a text. Definitions of tools
/// beside or among them are given, too. None if it is none of these.
pub(super) fn asked(
    raw: &RawJson<'_>,
    notes: &mut Notes,
    tools: &mut Vec<RawJson<'static>>,
) -> Option<Vec<Message<'static>>> {
    if let Some(text) = plain_text(raw) {
        return Some(vec![Message::text(Role::User, text)]);
    }
    let raw = &fields::unquoted(raw);
    match fields::kind(raw)? {
        JsonKind::Array => messages_of(raw, notes, tools),
        JsonKind::Object => {
            let mut map = FieldMap::of(raw, notes)?.owned();
            if map.has(&["role"]) && map.has(&["content", "parts", "tool_calls"]) {
                return messages_of(&RawJson::array(&[raw.clone().into_owned()]), notes, tools);
            }
            let listed = map.take(&["tools", "functions"], list).unwrap_or_default();
            tools.extend(listed.into_iter().map(RawJson::into_owned));
            let system = map.take(&["system", "instructions", "system_instruction"], RawJson::text);
            let names = [
                "messages",
                "input",
                "prompt",
                "prompts",
                "contents",
                "chat_history",
                "history",
                "args",
            ];
            let found = map.take(&names, |raw| {
                if let Some(text) = plain_text(raw) {
                    return Some(vec![Message::text(Role::User, text)]);
                }
                let raw = &fields::unquoted(raw);
                let inner = nested(raw);
                let raw = inner.as_ref().unwrap_or(raw);
                let texts: Option<Vec<_>> = list(raw)?.iter().map(plain_text).collect();
                match texts {
                    Some(texts) if texts.len() == 1 => {
                        texts.into_iter().next().map(|text| vec![Message::text(Role::User, text)])
                    }
                    _ => messages_of(raw, notes, tools),
                }
            })?;
            let system = system.map(|text| Message::text(Role::System, text.into_owned()));
            Some(system.into_iter().chain(found).collect())
        }
        _ => None,
    }
}

/// Reads the messages of all spans of a trace, once each is whole; `what` is what their source calls them.
pub(super) fn read_all_messages(trace: &mut Trace, what: &str, notes: &mut Notes) {
    trace.settle();
    for span in &mut trace.spans {
        let mark = notes.mark();
        read_messages(span, notes);
        notes.under(mark, || format!("{what}[{}]", super::unplaced::short(&span.id)));
    }
}

/// Reads the messages of a span that calls a model or is an agent from what went in and came out, with the instructions
/// and tools that a response of OpenAI repeats.
fn read_messages(span: &mut Span, notes: &mut Notes) {
    if !matches!(span.node.kind, NodeKind::ModelCall | NodeKind::Agent) {
        return;
    }
    if let Some(input) = &span.node.input {
        span.asked = asked(input, notes, &mut span.tools);
    }
    let Some(output) = &span.node.output else { return };
    span.answered = answered(output, notes);
    let Some(mut map) = fields::map(output) else { return };
    if !map.has(&["output"]) {
        return;
    }
    if span.tools.is_empty() {
        span.tools = map.take(&["tools"], list).unwrap_or_default();
    }
    if let Some(asked) = &mut span.asked
        && asked.first().is_none_or(|first| first.role != Role::System)
        && let Some(system) = map.take(&["instructions"], RawJson::text)
    {
        asked.insert(0, Message::text(Role::System, system.into_owned()));
    }
}

/// LangChain gives lists of lists of messages, one for each of a batch; the only one is meant.
fn nested(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let [only] = &*list(raw)? else { return None };
    (fields::kind(only)? == JsonKind::Array).then(|| only.clone().into_owned())
}

/// Reads a list of messages; definitions of tools that stand among them are taken out.
fn messages_of(
    raw: &RawJson<'_>,
    notes: &mut Notes,
    tools: &mut Vec<RawJson<'static>>,
) -> Option<Vec<Message<'static>>> {
    let inner = nested(raw);
    let mut kept = Vec::new();
    for one in list(inner.as_ref().unwrap_or(raw))? {
        // Langfuse's handler for LangChain puts definitions into messages of the role `tool`.
        let definition = fields::map(&one).and_then(|mut map| {
            let is_tool = map.peek("role").is_some_and(|role| role.as_str() == "\"tool\"");
            let content = map.take(&["content"], fields::object).filter(|_| is_tool)?;
            let content_map = fields::map(&content)?;
            content_map.has(&["function"]).then(|| content.into_owned())
        });
        match definition {
            Some(definition) => {
                if !tools.contains(&definition) {
                    tools.push(definition);
                }
            }
            None => kept.push(one.into_owned()),
        }
    }
    let text = RawJson::array(&kept).into_cow().into_owned();
    let mark = notes.mark();
    let read = chat::messages(&mut retort_json::Parser::lenient(&text), &[], notes);
    match read {
        Ok(messages) => Some(messages.into_iter().map(Message::into_owned).collect()),
        Err(_) => {
            notes.forget(mark);
            None
        }
    }
}

/// Reads what was answered, in any of the shapes that APIs, SDKs and conventions have; none if it is in none of them.
pub(super) fn answered(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    if let Some(text) = plain_text(raw) {
        return Some(vec![Message::text(Role::Assistant, text)]);
    }
    let raw = &fields::unquoted(raw);
    if let Some(calls) = bare_calls(raw, notes) {
        return Some(calls);
    }
    let mark = notes.mark();
    if let Some(mut map) = fields::map(raw) {
        if let Some(generations) = map.take(&["generations"], list) {
            let mut messages = generation(&generations, notes)?;
            let ended = map.peek("llm_output").and_then(marks::ended_within);
            end_with(&mut messages, ended);
            return Some(messages);
        }
        let is_message = map.has(&["role"])
            || map.has(&["type"]) && map.has(&["content"])
            || map.peek("content").is_some_and(|raw| super::parts::are_parts(raw.as_str()));
        if is_message && !map.has(&["choices", "output"]) {
            return messages_of(
                &RawJson::array(&[raw.clone().into_owned()]),
                notes,
                &mut Vec::new(),
            );
        }
        if map.has(&["text"]) && !map.has(&["choices", "output"]) {
            let text = map.take(&["text"], RawJson::text)?;
            let mut message = Message::text(Role::Assistant, text.into_owned());
            message.finish_reason =
                map.take(&["finish_reason", "finishReason"], marks::ended).map(Text::into_owned);
            return Some(vec![message]);
        }
        if map.has(&["messages"]) && !map.has(&["choices", "output"]) {
            // The state of a graph: what follows the last question was answered.
            let all = map.take(&["messages"], |raw| messages_of(raw, notes, &mut Vec::new()))?;
            let from = all.iter().rposition(|one| one.role == Role::User).map_or(0, |at| at + 1);
            return Some(all.into_iter().skip(from).collect());
        }
    }
    let answers = answers::of_response(raw, notes);
    if answers.is_none() {
        notes.forget(mark);
    }
    let mut answers = answers?.into_iter();
    Some(answers.next().map(|(messages, _)| messages).unwrap_or_default())
}

/// LangChain's `generations`: of each call a list of alternatives, of which the first is meant.
fn generation(generations: &[RawJson<'_>], notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    let first = generations.first()?;
    let first =
        list(first).and_then(|inner| inner.first().cloned()).unwrap_or_else(|| first.clone());
    let mut map = FieldMap::of(&first, notes)?;
    let ended = map.peek("generation_info").and_then(marks::ended_within);
    let mut messages = match map.take(&["message"], fields::object) {
        Some(message) => {
            let list = RawJson::array(&[message.into_owned()]);
            messages_of(&list, notes, &mut Vec::new())?
        }
        None => {
            let text = map.take(&["text"], RawJson::text)?;
            vec![Message::text(Role::Assistant, text.into_owned())]
        }
    };
    end_with(&mut messages, ended);
    Some(messages)
}

/// Says how the last of the messages ended, if it does not say so itself.
fn end_with(messages: &mut [Message<'_>], ended: Option<Text<'static>>) {
    if let Some(last) = messages.last_mut() {
        last.finish_reason = last.finish_reason.take().or(ended);
    }
}

/// A list of calls alone, as Vercel's SDK and Langfuse write an answer that only calls.
fn bare_calls(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    let listed = list(raw)?;
    let is_call = |one: &RawJson<'_>| {
        let map = fields::map(one);
        map.is_some_and(|map| {
            !map.has(&["role"])
                && map.has(&["toolName", "name", "function"])
                && map.has(&["args", "input", "arguments", "function"])
                && !map.peek("type").is_some_and(|kind| {
                    matches!(kind.as_str(), "\"function_call\"" | "\"tool_use\"")
                })
        })
    };
    if listed.is_empty() || !listed.iter().all(is_call) {
        return None;
    }
    let tool_calls = super::calls::calls_in(raw.as_str(), notes)?;
    Some(vec![Message { role: Role::Assistant, tool_calls, ..Message::default() }])
}
