//! Calls and results in texts, as in training rows for Hermes and Qwen: `<tool_call>{"name": …, "arguments": …}</tool_call>`
//! in an answer, and `<tool_response>…</tool_response>` in the tool message that follows. An answer that no tool message
//! follows keeps its tags as text: it may be about the tags. Reference: `NousResearch/hermes-function-calling-v1`.

use retort_model::{Content, Conversation, Message, Role, ToolCall};

use super::calls::calls_in;
use super::format::Notes;

const CALL: [&str; 2] = ["<tool_call>", "</tool_call>"];
const RESULT: [&str; 2] = ["<tool_response>", "</tool_response>"];

/// Turns the tags into calls and results, in answers that a tool message follows.
pub(super) fn take(conversation: &mut Conversation<'_>) {
    for round in &mut conversation.rounds {
        let is_there = round.messages.iter().any(|message| {
            message.role == Role::Tool
                && text_of(message).is_some_and(|text| text.contains(RESULT[0]))
        });
        if is_there {
            let messages = std::mem::take(&mut round.messages);
            round.messages = called(messages);
        }
    }
}

fn called(messages: Vec<Message<'_>>) -> Vec<Message<'_>> {
    let mut all = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter().peekable();
    let mut waiting = 0;
    while let Some(mut message) = messages.next() {
        let is_answered = messages.peek().is_some_and(|next| next.role == Role::Tool);
        if message.role == Role::Assistant && message.tool_calls.is_empty() && is_answered {
            waiting = 0;
            if let Some((words, calls)) = text_of(&message).and_then(|text| parted(&text)) {
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
fn parted(text: &str) -> Option<(String, Vec<ToolCall<'static>>)> {
    let mut pieces = text.split(CALL[0]);
    let words = pieces.next()?.trim().to_owned();
    let mut calls = Vec::new();
    for piece in pieces {
        let (call, behind) = piece.split_once(CALL[1])?;
        if !behind.trim().is_empty() {
            return None;
        }
        calls.extend(calls_in(call.trim(), &mut Notes::default())?);
    }
    (!calls.is_empty()).then_some((words, calls))
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
