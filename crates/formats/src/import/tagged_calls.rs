//! Calls and results in texts, as in training rows for Hermes and Qwen: `<tool_call>{"name": …, "arguments": …}</tool_call>`
//! in an answer, or Qwen3-Coder's `<function=…><parameter=…>` inside the tags, and `<tool_response>…</tool_response>` in the
//! tool message that follows. A last answer that no tool message follows has calls only if the row defines their tools: else it
//! may be about the tags. References: `NousResearch/hermes-function-calling-v1`, the chat template of Qwen3-Coder.

use retort_json::{RawJson, write_string};
use retort_model::{Content, Conversation, Message, Role, ToolCall};

use super::calls::calls_in;
use super::fields;
use super::format::Notes;

const CALL: [&str; 2] = ["<tool_call>", "</tool_call>"];
const RESULT: [&str; 2] = ["<tool_response>", "</tool_response>"];

/// Turns the tags into calls and results, in answers that a tool message follows.
pub(super) fn take(conversation: &mut Conversation<'_>) {
    let tools: Vec<RawJson<'static>> = conversation
        .rounds
        .iter()
        .flat_map(|round| round.tools.iter().cloned().map(RawJson::into_owned))
        .collect();
    for round in &mut conversation.rounds {
        if let Some(last) = round.messages.last_mut() {
            take_last(last, &tools);
        }
        let is_there = round.messages.iter().any(|message| {
            message.role == Role::Tool
                && text_of(message).is_some_and(|text| text.contains(RESULT[0]))
        });
        if is_there {
            let messages = std::mem::take(&mut round.messages);
            round.messages = called(messages, &tools);
        }
    }
}

/// Turns the tags of an answer at the end of a round into calls, if all are calls of tools that are defined.
fn take_last(message: &mut Message<'_>, tools: &[RawJson<'_>]) {
    if tools.is_empty() || message.role != Role::Assistant || !message.tool_calls.is_empty() {
        return;
    }
    let text = text_of(message).filter(|text| text.contains(CALL[0]));
    let Some((words, calls)) = text.and_then(|text| parted(&text, tools)) else { return };
    if calls.iter().all(|call| tools.iter().any(|tool| is_tool(tool, &call.name.decoded()))) {
        message.tool_calls = calls;
        message.content = (!words.is_empty()).then(|| Content::Text(words.into()));
    }
}

fn is_tool(tool: &RawJson<'_>, name: &str) -> bool {
    let named = |raw: &RawJson<'_>| {
        let map = fields::map(raw)?;
        Some(map.peek("name")?.as_text()? == name)
    };
    let inner = || fields::map(tool)?.take(&["function"], fields::object);
    named(tool).or_else(|| named(&inner()?)).unwrap_or(false)
}

fn called<'a>(messages: Vec<Message<'a>>, tools: &[RawJson<'_>]) -> Vec<Message<'a>> {
    let mut all = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter().peekable();
    let mut waiting = 0;
    while let Some(mut message) = messages.next() {
        let is_answered = messages.peek().is_some_and(|next| next.role == Role::Tool);
        if message.role == Role::Assistant && message.tool_calls.is_empty() && is_answered {
            waiting = 0;
            if let Some((words, calls)) = text_of(&message).and_then(|text| parted(&text, tools)) {
                waiting = calls.len();
                message.tool_calls = calls;
                message.content = (!words.is_empty()).then(|| Content::Text(words.into()));
            }
        } else if message.role == Role::Tool && waiting > 0 {
            let results = text_of(&message).and_then(|text| results(&text));
            if let Some(results) = results.filter(|results| results.len() <= waiting) {
                waiting -= results.len();
                let mut rest = message.clone();
                for (at, text) in results.into_iter().enumerate() {
                    let base = if at == 0 {
                        std::mem::take(&mut rest)
                    } else {
                        Message { role: Role::Tool, ..Message::default() }
                    };
                    all.push(Message { content: Some(Content::Text(text.into())), ..base });
                }
                continue;
            }
        }
        all.push(message);
    }
    all
}

fn text_of(message: &Message<'_>) -> Option<String> {
    match &message.content {
        Some(Content::Text(text)) => Some(text.decoded().into_owned()),
        _ => None,
    }
}

/// The text of an answer and the calls after it; none if anything else follows a call, or a call cannot be read.
fn parted(text: &str, tools: &[RawJson<'_>]) -> Option<(String, Vec<ToolCall<'static>>)> {
    let mut pieces = text.split(CALL[0]);
    let words = pieces.next()?.trim().to_owned();
    let mut calls = Vec::new();
    for piece in pieces {
        let (call, behind) = piece.split_once(CALL[1])?;
        if !behind.trim().is_empty() {
            return None;
        }
        match call.trim().strip_prefix(FUNCTION) {
            Some(call) => calls.push(written_out(call, tools)?),
            None => calls.extend(calls_in(call.trim(), &mut Notes::default())?),
        }
    }
    (!calls.is_empty()).then_some((words, calls))
}

/// What begins a call of Qwen3-Coder, and a parameter of it.
const FUNCTION: &str = "<function=";
const PARAMETER: &str = "<parameter=";

/// A call as Qwen3-Coder writes it, behind its beginning: `name>`, parameters with their values on lines of their own, and
/// `</function>`. A value is text, unless the definition of the tool says that it is something else.
fn written_out(call: &str, tools: &[RawJson<'_>]) -> Option<ToolCall<'static>> {
    let (name, rest) = call.split_once('>')?;
    let (inside, behind) = rest.rsplit_once("</function>")?;
    let mut pieces = inside.split(PARAMETER);
    if !behind.trim().is_empty() || !pieces.next()?.trim().is_empty() {
        return None;
    }
    let schema = tools.iter().find(|tool| is_tool(tool, name)).and_then(properties);
    let mut arguments = String::from("{");
    for piece in pieces {
        let (key, value) = piece.split_once('>')?;
        let (value, behind) = value.rsplit_once("</parameter>")?;
        if !behind.trim().is_empty() {
            return None;
        }
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        let kind = schema.as_ref().and_then(|schema| {
            fields::map(schema)?.peek(key).and_then(fields::map)?.peek("type")?.as_text()
        });
        if arguments.len() > 1 {
            arguments.push(',');
        }
        write_string(key, &mut arguments);
        arguments.push(':');
        match kind.as_deref() {
            Some(kind) if kind != "string" && RawJson::parse(value.trim()).is_ok() => {
                arguments.push_str(value.trim());
            }
            _ => write_string(value, &mut arguments),
        }
    }
    arguments.push('}');
    let name = name.trim().to_owned().into();
    Some(ToolCall { name, arguments: arguments.into(), ..ToolCall::default() })
}

/// The properties in the definition of a tool.
fn properties(tool: &RawJson<'_>) -> Option<RawJson<'static>> {
    let mut map = fields::map(tool)?;
    let mut function = map.take(&["function"], fields::map).unwrap_or(map);
    let mut schema = function.take(&["parameters", "input_schema"], fields::map)?;
    schema.take(&["properties"], fields::json).map(RawJson::into_owned)
}

/// The results in a tool message; none if it contains anything else.
fn results(text: &str) -> Option<Vec<String>> {
    let mut pieces = text.split(RESULT[0]);
    if !pieces.next()?.trim().is_empty() {
        return None;
    }
    let result = |piece: &str| {
        let (result, behind) = piece.split_once(RESULT[1])?;
        behind.trim().is_empty().then(|| result.trim().to_owned())
    };
    pieces.map(result).collect()
}
