//! Messages of AutoGen's AgentChat: what agents said, called and got, each with the `source` that it came from. A line
//! each, as loggers write them, or the `messages` of a task's result. Reference: the message types of
//! `autogen_agentchat.messages` and `autogen_core.models`.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Content, Conversation, Message, Role, ToolCall};

use super::calls::tool_call;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::marks;
use super::parts;
use super::parts::result_of;
use super::rounds::Rounds;
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct AutoGen;

impl ImportFormat for AutoGen {
    fn name(&self) -> &'static str {
        "autogen"
    }

    fn about(&self) -> &'static str {
        "AutoGen's AgentChat messages: `type`, `source` and `content`, one per line or in a task's result"
    }

    fn notes(&self) -> &'static str {
        "Messages as `model_dump` writes them: `TextMessage`, `MultiModalMessage`, `ToolCallRequestEvent` and the \
         others, and those of a model's context (`UserMessage`, `FunctionExecutionResultMessage`). Messages of the \
         source `user` are questions; those of every other agent are answers with the agent's name. The lines of one \
         file are one conversation, as they have no conversation id. A `ThoughtEvent` is the reasoning of the answer \
         that follows it. Requests for input, queries of a memory and choices of a speaker are kept as metadata; \
         streamed chunks, which the complete message repeats, are dropped."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_one = |within: &[&str]| {
            let path = |key| [within, &[key]].concat();
            sniff.holds(&path("content"))
                && sniff.text(&path("type")).is_some_and(|word| Speech::of(&word).is_some())
                && (sniff.holds(&path("source"))
                    || sniff.holds(&path("thought"))
                    || sniff.holds(&path("id")))
        };
        let is_plain = !["role", "from", "uuid"].iter().any(|key| sniff.holds(&[key]));
        (is_plain && is_one(&[])) || is_one(&["messages"])
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        if sniff.kind_of_item() == Some(Kind::Object)
            && !sniff.has("messages")
            && self.recognises(&sniff)
        {
            into.push(Fragment { key: entry.path.to_owned(), order: 0, text: text.into() });
        }
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let (list, rest) = if parser.kind()? == Kind::Array {
            let mut list = Vec::new();
            parser.array()?;
            while parser.next_element()? {
                list.push(parser.raw()?);
            }
            (list, FieldMap::default())
        } else {
            let at = parser.at();
            let whole = parser.clone().raw()?;
            let mut map = FieldMap::read(&mut parser, notes)?;
            match map.take(&["messages"], fields::list) {
                Some(list) => (list, map),
                None if map.has(&["type"]) => (vec![whole], FieldMap::default()),
                None => return Err(unknown(at)),
            }
        };
        parser.end()?;
        notes.count(&parser);
        let mut rounds = Rounds::default();
        let (mut thought, mut events) = (None, Vec::new());
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            match kind_of(raw) {
                Some(Speech::Chunk) => {}
                Some(Speech::Event) => events.push(raw.clone()),
                _ => message(raw, &mut thought, notes)?
                    .into_iter()
                    .for_each(|message| rounds.push(message)),
            }
            notes.under(mark, || format!("messages[{at}]"));
        }
        if let Some(reasoning) = thought {
            rounds.push(Message {
                role: Role::Assistant,
                reasoning: Some(reasoning),
                ..Message::default()
            });
        }
        let mut conversation =
            Conversation { rounds: rounds.finish(Vec::new()), ..Conversation::default() };
        let mut rest = rest;
        conversation.id = rest.take_id(&["id", "task_id"]).unwrap_or_default();
        conversation.metadata = rest.rest();
        if !events.is_empty() {
            conversation.metadata.put("events".into(), RawJson::array(&events));
        }
        Ok(conversation.into())
    }
}

fn unknown(at: usize) -> ItemError {
    ItemError::new(Refusal::UnknownShape, at, "no messages of AutoGen in the item")
}

/// What messages of a type are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// Words of the user, or of an agent.
    Said,
    System,
    Calls,
    Results,
    Thought,
    /// A piece of a message that follows whole.
    Chunk,
    /// Something that happened and is no message.
    Event,
}

impl Speech {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "TextMessage"
            | "MultiModalMessage"
            | "StopMessage"
            | "HandoffMessage"
            | "ToolCallSummaryMessage"
            | "UserMessage"
            | "AssistantMessage" => Self::Said,
            word if word.starts_with("StructuredMessage") => Self::Said,
            "SystemMessage" => Self::System,
            "ToolCallRequestEvent" | "ToolCallMessage" => Self::Calls,
            "ToolCallExecutionEvent"
            | "ToolCallResultMessage"
            | "FunctionExecutionResultMessage" => Self::Results,
            "ThoughtEvent" => Self::Thought,
            "ModelClientStreamingChunkEvent" => Self::Chunk,
            "UserInputRequestedEvent"
            | "MemoryQueryEvent"
            | "SelectorEvent"
            | "SelectSpeakerEvent" => Self::Event,
            _ => return None,
        })
    }
}

fn kind_of(raw: &RawJson<'_>) -> Option<Speech> {
    let mut map = fields::map(raw)?;
    Speech::of(&map.take(&["type"], RawJson::text)?.decoded())
}

/// Fields of messages that say nothing more than is read.
const KNOWN: [&str; 3] = ["target", "context", "results"];

/// Reads a message, which may be none or several.
fn message<'a>(
    raw: &RawJson<'a>,
    thought: &mut Option<Text<'a>>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Vec::new());
    };
    let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
    let source = map.take(&["source"], RawJson::text);
    let mut message = Message {
        role: Role::Assistant,
        created_at: map.take(&["created_at"], fields::time),
        finish_reason: map.take(&["finish_reason"], marks::ended),
        ..Message::default()
    };
    let content = map.take(&["content"], fields::json).unwrap_or(RawJson::null());
    let speech = Speech::of(&kind.decoded());
    let is_user = match &*kind.decoded() {
        "UserMessage" => true,
        "AssistantMessage" => false,
        _ => source.as_ref().is_some_and(|source| {
            matches!(&*source.decoded(), "user" | "user_proxy" | "UserProxy" | "human")
        }),
    };
    match speech {
        Some(Speech::Thought) => {
            let before = thought.take();
            let text = content.text().unwrap_or_default();
            *thought = Some(match before {
                Some(before) => format!("{}\n\n{}", before.decoded(), text.decoded()).into(),
                None => text,
            });
            return Ok(Vec::new());
        }
        Some(Speech::Results) => {
            let list = fields::list(&content).unwrap_or_default();
            let mut results = Vec::with_capacity(list.len());
            for (at, one) in list.iter().enumerate() {
                let mark = notes.mark();
                match FieldMap::of(one, notes) {
                    Some(map) => results.push(result_of(map, notes)?),
                    None => notes.unplaced("", one),
                }
                notes.under(mark, || format!("content[{at}]"));
            }
            if results.is_empty() {
                notes.unplaced("content", &content);
            }
            for result in &mut results {
                result.created_at = message.created_at;
            }
            return Ok(results);
        }
        Some(Speech::Calls) => message.tool_calls = calls(&content, notes),
        Some(Speech::System) => {
            message.role = Role::System;
            message.content = words(&content, notes)?;
        }
        Some(Speech::Said) if is_user => {
            message.role = Role::User;
            message.content = words(&content, notes)?;
        }
        // An assistant's message holds words or calls.
        Some(Speech::Said) if is_calls(&content) => message.tool_calls = calls(&content, notes),
        Some(Speech::Said) => message.content = words(&content, notes)?,
        None | Some(_) => {
            message.role = Role::Other;
            message.source_role = Some(kind.clone());
            notes.unplaced(format!("type={}", short(&kind.decoded())), raw);
        }
    }
    if message.role == Role::Assistant {
        let own = map.take(&["thought"], RawJson::text);
        message.reasoning = thought.take().or(own);
    }
    message.name = source.filter(|source| *source != *"user" && *source != *"assistant");
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    message.metadata.put("type".into(), RawJson::string(&kind.decoded()));
    Ok(vec![message])
}

fn is_calls(content: &RawJson<'_>) -> bool {
    let first = fields::list(content).and_then(|list| list.into_iter().next());
    let map = first.and_then(|raw| fields::map(&raw));
    map.is_some_and(|map| map.has(&["name"]) && map.has(&["arguments"]))
}

fn calls<'a>(content: &RawJson<'a>, notes: &mut Notes) -> Vec<ToolCall<'a>> {
    let Some(list) = fields::list(content) else {
        notes.unplaced("content", content);
        return Vec::new();
    };
    let mut calls = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let mark = notes.mark();
        match raw.clone().into_cow() {
            Cow::Borrowed(text) => calls.extend(tool_call(&mut Parser::new(text), notes).ok()),
            Cow::Owned(text) => {
                let call = tool_call(&mut Parser::new(&text), notes).ok();
                calls.extend(call.map(ToolCall::into_owned));
            }
        }
        notes.under(mark, || format!("content[{at}]"));
    }
    calls
}

/// Words, or words and pictures: a picture is an object with its bytes.
fn words<'a>(content: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Content<'a>>, ItemError> {
    Ok(match fields::kind(content) {
        Some(Kind::Null) | None => None,
        Some(Kind::String) => content.text().map(Content::Text),
        Some(Kind::Array) => {
            let picture = |raw: &RawJson<'a>| -> RawJson<'a> {
                let has = fields::map(raw);
                let is_picture =
                    has.is_some_and(|map| map.has(&["data", "url"]) && !map.has(&["type"]));
                if !is_picture {
                    return raw.clone();
                }
                RawJson::owned(&format!("{{\"type\":\"image\",\"image\":{raw}}}"))
                    .unwrap_or_else(|_| raw.clone())
            };
            let list: Vec<_> =
                fields::list(content).unwrap_or_default().iter().map(picture).collect();
            let mark = notes.mark();
            let content = parts::content_of(&RawJson::array(&list), notes)?;
            notes.under(mark, || "content".into());
            Some(content)
        }
        // What a structured message holds.
        _ => Some(Content::Text(content.clone().into_cow().into())),
    })
}
