//! Continue's sessions, `~/.continue/sessions/….json`. Source: the types of `continuedev/continue` (`core/index.d.ts`).
//!
//! An entry of the history is a message, with the calls that it made and what came of each beside it.

use retort_json::{Kind, RawJson};
use retort_model::{Content, Conversation, Kind as Held, Message, Role};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Continue;

/// Fields of entries that say nothing more than is read, or what Continue gathered for the model.
const KNOWN: [&str; 11] = [
    "toolCallStates",
    "toolCallState",
    "contextItems",
    "editorState",
    "promptLogs",
    "modifiers",
    "appliedRules",
    "checkpoint",
    "conversationSummary",
    "isGatheringContext",
    "reasoning",
];

impl ImportFormat for Continue {
    fn name(&self) -> &'static str {
        "continue"
    }

    fn about(&self) -> &'static str {
        "Continue's sessions: the files below `~/.continue/sessions`"
    }

    fn notes(&self) -> &'static str {
        "Continue keeps a file for each session below `~/.continue/sessions`; give the folder to Retort as it is. Calls, results, \
         errors and reasoning are kept. The files and pieces of code that Continue added to a question, and its logs of prompts, are kept \
         as metadata."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("sessionId")
            && sniff.kind(&["history"]) == Some(Kind::Array)
            && (sniff.has("workspaceDirectory") || sniff.holds(&["history", "contextItems"]))
            && (sniff.holds(&["history", "message", "role"]) || !sniff.has_keys(&["history"]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["history"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `history` in the item")
        })?;
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(list.len());
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            steps.push(step(raw, notes)?);
            notes.under(mark, || format!("history[{at}]"));
        }
        once(&mut steps);
        // Sessions that were opened and never used.
        if steps.iter().all(|step| step.messages.is_empty()) {
            return Ok(Items::default());
        }
        let mut conversation = Conversation {
            id: map.take_id(&["sessionId"]).unwrap_or_default(),
            kind: Held::Agent,
            title: map.take(&["title"], RawJson::text),
            model: map.take(&["chatModelTitle"], RawJson::text),
            created_at: map.take(&["dateCreated"], fields::time),
            ..Conversation::default()
        };
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        let rest = map.rest();
        notes.unplaced_texts(&rest);
        conversation.metadata = rest;
        Ok(conversation.into())
    }
}

fn step<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let entry = FieldMap::of(raw, notes);
    let Some((entry, message)) = entry.and_then(|mut entry| {
        let message = entry.take(&["message"], fields::object)?;
        Some((entry, message))
    }) else {
        notes.unplaced("", raw);
        return Ok(Step::default());
    };
    let mark = notes.mark();
    let mut messages = match thought(&message) {
        Some(thought) => vec![thought],
        None => chat::message_of(&message, None, &["id", "usage"], notes)?,
    };
    notes.under(mark, || "message".into());
    let reasoning = entry.peek("reasoning").and_then(fields::map);
    let reasoning = reasoning.and_then(|mut map| map.take(&["text"], RawJson::text));
    if let Some(answer) = messages.iter_mut().rfind(|one| one.role == Role::Assistant) {
        answer.reasoning = answer.reasoning.take().or(reasoning.filter(|text| !text.is_blank()));
    }
    let states = entry.peek("toolCallStates").and_then(fields::list).unwrap_or_default();
    let old = entry.peek("toolCallState").cloned();
    for (at, raw) in states.iter().chain(&old).enumerate() {
        let mark = notes.mark();
        messages.extend(result(raw, notes));
        notes.under(mark, || format!("toolCallStates[{at}]"));
    }
    let rest = entry.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    if let Some(first) = messages.first_mut() {
        first.metadata.extend(rest);
    }
    Ok(Step { messages, ..Step::default() })
}

/// Reasoning that stands alone, as older versions keep it.
fn thought<'a>(raw: &RawJson<'a>) -> Option<Message<'a>> {
    let mut map = fields::map(raw).filter(|map| {
        map.peek("role").is_some_and(|role| role.as_str() == "\"thinking\"")
            && !map.has(&["toolCalls"])
    })?;
    map.take(&["role"], fields::json);
    let reasoning = map.take(&["content"], RawJson::text);
    Some(Message { role: Role::Assistant, reasoning, metadata: map.rest(), ..Message::default() })
}

/// What came of a call.
fn result<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<Message<'a>> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return None;
    };
    let id = map.take_id(&["toolCallId"]);
    let status = map.take(&["status"], RawJson::as_text).unwrap_or_default();
    let output = map.take(&["output"], fields::list).unwrap_or_default();
    let texts: Vec<_> = output
        .iter()
        .filter_map(|raw| fields::map(raw)?.take(&["content"], RawJson::as_text))
        .collect();
    if texts.len() < output.len() {
        notes.unplaced("output", raw);
    }
    let error = match status.as_str() {
        "errored" | "canceled" => Some(status.into()),
        "done" => None,
        // It has not ended.
        "generating" | "generated" | "calling" => return None,
        other => {
            notes.unplaced(format!("status={}", short(other)), raw);
            return None;
        }
    };
    let content = (!texts.is_empty()).then(|| Content::Text(texts.join("\n\n").into()));
    Some(Message { role: Role::Tool, tool_call_id: id, content, error, ..Message::default() })
}

/// Takes out results that messages of their own tell again.
fn once(steps: &mut [Step<'_>]) {
    for at in 0..steps.len() {
        let Some((before, after)) = steps.split_at_mut_checked(at + 1) else { continue };
        let Some(step) = before.last_mut() else { continue };
        let is_told = |message: &Message<'_>| {
            after
                .iter()
                .filter_map(|step| step.messages.first())
                .any(|later| later.role == Role::Tool && later.tool_call_id == message.tool_call_id)
        };
        let mut first = true;
        step.messages.retain(|message| {
            std::mem::take(&mut first) || message.role != Role::Tool || !is_told(message)
        });
    }
}
