//! Calls and results in texts, as in training rows for Hermes and Qwen: `<tool_call>{"name": …, "arguments": …}</tool_call>`
//! in an answer, and `<tool_response>…</tool_response>` in the tool message that follows. Qwen3-Coder writes the call as
//! `<function=name><parameter=key>value</parameter></function>`: its values are texts, and become what the tool's
//! definition says they are. A last answer that no tool message follows has calls only if the row defines their tools: else it
//! may be about the tags.
//! References: `NousResearch/hermes-function-calling-v1`, the chat template of `Qwen/Qwen3-Coder-480B-A35B-Instruct`.

use retort_json::{RawJson, Value, write_string};
use retort_model::{Content, Conversation, Message, Role, ToolCall};

use super::calls::calls_in;
use super::format::Notes;

const CALL: [&str; 2] = ["<tool_call>", "</tool_call>"];
const RESULT: [&str; 2] = ["<tool_response>", "</tool_response>"];

/// Turns the tags into calls and results, in answers that a tool message follows or that end a round.
pub(super) fn take(conversation: &mut Conversation<'_>) {
    // Hardly any conversation has such tags.
    if !conversation.rounds.iter().flat_map(|round| &round.messages).any(has_call) {
        return;
    }
    // A list of messages has its tools in the first round.
    let tools = conversation.rounds.first().map(|round| round.tools.clone()).unwrap_or_default();
    for round in &mut conversation.rounds {
        if let Some(last) = round.messages.last_mut() {
            take_last(last, &tools);
        }
        let is_there = round.messages.windows(2).any(|pair| {
            matches!(pair, [answer, result] if result.role == Role::Tool && has_call(answer))
        });
        if is_there {
            let messages = std::mem::take(&mut round.messages);
            round.messages = called(messages, &tools);
        }
    }
}

/// Whether the text of an answer has the tag of a call.
fn has_call(message: &Message<'_>) -> bool {
    let Some(Content::Text(text)) = &message.content else { return false };
    message.role == Role::Assistant && text.decoded().contains(CALL[0])
}

/// Turns the tags of an answer at the end of a round into calls, if all are calls of tools that are defined.
fn take_last(message: &mut Message<'_>, tools: &[RawJson<'_>]) {
    if tools.is_empty() || !message.tool_calls.is_empty() || !has_call(message) {
        return;
    }
    let Some((words, calls)) = text_of(message).and_then(|text| parted(&text, tools)) else {
        return;
    };
    if calls.iter().all(|call| definition_of(&call.name.decoded(), tools).is_some()) {
        message.tool_calls = calls;
        message.content = (!words.is_empty()).then(|| Content::Text(words.into()));
    }
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
        let call = call.trim();
        match call.strip_prefix(FUNCTION[0]) {
            Some(rest) => calls.push(function(rest.strip_suffix(FUNCTION[1])?, tools)?),
            None => calls.extend(calls_in(call, &mut Notes::default())?),
        }
    }
    (!calls.is_empty()).then_some((words, calls))
}

const FUNCTION: [&str; 2] = ["<function=", "</function>"];
const PARAMETER: [&str; 2] = ["<parameter=", "</parameter>"];

/// The call that Qwen3-Coder wrote as `name><parameter=key>value</parameter>…`; none if it holds anything else.
fn function(text: &str, tools: &[RawJson<'_>]) -> Option<ToolCall<'static>> {
    let (name, rest) = text.split_once('>')?;
    let name = name.trim();
    let mut pieces = rest.split(PARAMETER[0]);
    if name.is_empty() || !pieces.next()?.trim().is_empty() {
        return None;
    }
    let properties = properties_of(name, tools);
    let mut arguments = String::new();
    for piece in pieces {
        let (key, rest) = piece.split_once('>')?;
        let (value, behind) = rest.rsplit_once(PARAMETER[1])?;
        if !behind.trim().is_empty() {
            return None;
        }
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        arguments.push(if arguments.is_empty() { '{' } else { ',' });
        write_string(key.trim(), &mut arguments);
        arguments.push(':');
        let property = properties.as_ref().and_then(|all| all.get(key.trim()));
        match typed(value, property) {
            Some(value) => arguments.push_str(&value),
            None => write_string(value, &mut arguments),
        }
    }
    arguments.push_str(if arguments.is_empty() { "{}" } else { "}" });
    let (name, arguments) = (name.to_owned().into(), arguments.into());
    Some(ToolCall { name, arguments, ..ToolCall::default() })
}

/// The parameters of the tool with that name, as its definition describes them.
fn properties_of<'t>(name: &str, tools: &'t [RawJson<'_>]) -> Option<Value<'t>> {
    let function = definition_of(name, tools)?;
    function.get("parameters")?.get("properties").cloned()
}

/// The function with that name.
fn definition_of<'t>(name: &str, tools: &'t [RawJson<'_>]) -> Option<Value<'t>> {
    tools.iter().find_map(|tool| {
        let tool = Value::parse(tool.as_str()).ok()?;
        let function = tool.get("function").unwrap_or(&tool);
        (function.get("name")?.as_str()? == name).then(|| function.clone())
    })
}

/// A value that is no text, if the definition of the parameter says so.
fn typed(text: &str, property: Option<&Value<'_>>) -> Option<String> {
    let kind = property?.get("type")?.as_str()?;
    let text = text.trim();
    // The template writes the values of Python.
    let text = match (kind, text) {
        ("boolean", "True") => "true",
        ("boolean", "False") => "false",
        _ => text,
    };
    let value = Value::parse(text).ok()?;
    let is_it = matches!(
        (kind, &value),
        ("integer" | "number", Value::Number(_))
            | ("boolean", Value::Bool(_))
            | ("object", Value::Object(_))
            | ("array", Value::Array(_))
    );
    is_it.then(|| value.to_json())
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
