//! Histories of Pydantic AI: what `result.all_messages_json()` and `ModelMessagesTypeAdapter` write, a list of requests and
//! responses, each with its parts. Reference: `pydantic_ai.messages`.

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Content, Conversation, Kind as Held, Message, Part, PartKind, Role};

use super::calls::tool_call;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::parts::result_content;
use super::parts::{self, Segment};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::thread::{Turn, file_part};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct PydanticAi;

impl ImportFormat for PydanticAi {
    fn name(&self) -> &'static str {
        "pydantic-ai"
    }

    fn about(&self) -> &'static str {
        "Pydantic AI's messages: `all_messages_json()`, a list of requests and responses with their parts"
    }

    fn notes(&self) -> &'static str {
        "Write `result.all_messages_json()` to a file, or one such list a line; an object with the list under `messages` is read, \
         too. Instructions and system prompts become system messages, thinking the reasoning, tool returns results, and a retry \
         that a tool asked for a result with an error. Model and tokens of each response are kept. Written from the library's \
         code."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_one = |within: &[&str]| {
            sniff.holds(&[within, &["parts", "part_kind"]].concat())
                && sniff
                    .text(&[within, &["kind"]].concat())
                    .is_some_and(|kind| matches!(&*kind, "request" | "response"))
        };
        is_one(&[]) || is_one(&["messages"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let list = if Parser::lenient(text).kind()? == Kind::Array {
            session::lines(text, notes)?.into_iter().map(|line| line.raw).collect()
        } else {
            let mut map = FieldMap::item(text, notes)?;
            let list = map.take(&["messages"], fields::list).ok_or_else(|| {
                ItemError::new(Refusal::UnknownShape, 0, "no list of `messages` in the item")
            })?;
            conversation.id = map.take_id(&["id", "conversation_id"]).unwrap_or_default();
            conversation.metadata = map.rest();
            notes.unplaced_fields(&conversation.metadata, &["metadata"], Least::Prose);
            list
        };
        let mut steps = Vec::with_capacity(list.len());
        let mut instructions = String::new();
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            match FieldMap::of(raw, notes) {
                Some(map) => steps.push(step(map, &mut instructions, notes)?),
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || format!("messages[{at}]"));
        }
        session::finish(&mut conversation, steps)?;
        Ok(conversation.into())
    }
}

/// Fields of messages that add nothing to the chat.
const KNOWN: [&str; 4] = ["provider_details", "vendor_details", "metadata", "provider_url"];

/// Reads a request or a response. `instructions` are those of the request before it.
fn step<'a>(
    mut map: FieldMap<'a>,
    instructions: &mut String,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let answers = map.take(&["kind"], RawJson::text).is_some_and(|kind| kind == *"response");
    let list = map.take(&["parts"], fields::list).unwrap_or_default();
    let created_at = map.take(&["timestamp"], fields::time);
    let mut messages = Vec::new();
    if let Some(text) = map.take(&["instructions"], RawJson::text)
        && *text.decoded() != **instructions
    {
        *instructions = text.decoded().into_owned();
        messages.push(Message::text(Role::System, text));
    }
    let mut segments = Vec::new();
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        part(raw, &mut messages, &mut segments, notes)?;
        notes.under(mark, || format!("parts[{at}]"));
    }
    let model = map.take(&["model_name"], RawJson::text);
    let usage = map.take(&["usage"], |raw| Some(session::usage_of(raw))).unwrap_or_default();
    if answers {
        let message = Message {
            role: Role::Assistant,
            created_at,
            finish_reason: map.take(&["finish_reason"], marks::ended),
            metadata: map.rest(),
            ..Message::default()
        };
        notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
        messages.extend(Turn::said(message, segments));
    } else {
        notes.unplaced_fields(&map.rest(), &KNOWN, Least::Prose);
    }
    for message in &mut messages {
        message.created_at = message.created_at.or(created_at);
    }
    Ok(Step { messages, model, usage, ..Step::default() })
}

/// Reads a part: of a request a message, of a response a segment of the answer.
fn part<'a>(
    raw: &RawJson<'a>,
    messages: &mut Vec<Message<'a>>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(());
    };
    let kind = map.take(&["part_kind"], RawJson::as_text).unwrap_or_default();
    let mut told = |role, map: &mut FieldMap<'a>, notes: &mut Notes| {
        let content = map.take(&["content"], fields::json).unwrap_or(RawJson::null());
        let mark = notes.mark();
        let content = words(&content, notes)?;
        notes.under(mark, || "content".into());
        messages.push(Message {
            role,
            content,
            created_at: map.take(&["timestamp"], fields::time),
            name: map.take(&["tool_name"], RawJson::text),
            tool_call_id: map.take_id(&["tool_call_id"]),
            ..Message::default()
        });
        Ok::<_, ItemError>(())
    };
    match kind.as_str() {
        "system-prompt" => told(Role::System, &mut map, notes)?,
        "user-prompt" => told(Role::User, &mut map, notes)?,
        "tool-return" => told(Role::Tool, &mut map, notes)?,
        "retry-prompt" if map.has(&["tool_name"]) => {
            told(Role::Tool, &mut map, notes)?;
            if let Some(message) = messages.last_mut() {
                message.error = Some("retry".into());
            }
        }
        "retry-prompt" => told(Role::User, &mut map, notes)?,
        "text" => segments.extend(map.take(&["content"], RawJson::text).map(Segment::text)),
        "thinking" => {
            let text = map.take(&["content"], RawJson::text).filter(|text| !text.is_empty());
            segments.extend(text.map(Segment::Reasoning));
            // Providers want it back as it was.
            segments.push(Segment::Kept("thinking", raw.clone()));
        }
        "tool-call" | "builtin-tool-call" => {
            let text = map.rest_object().unwrap_or(RawJson::null()).into_cow();
            segments.push(Segment::Call(tool_call(&mut Parser::new(&text), notes)?.into_owned()));
            return Ok(());
        }
        "builtin-tool-return" => {
            let content = map.take(&["content"], fields::json);
            segments.push(Segment::Result(Message {
                role: Role::Tool,
                name: map.take(&["tool_name"], RawJson::text),
                tool_call_id: map.take_id(&["tool_call_id"]),
                content: content.map(|raw| result_content(raw, notes)).transpose()?.flatten(),
                ..Message::default()
            }));
        }
        "file" => segments.push(Segment::Part(file_part(raw, &["media_type"]))),
        other => notes.unplaced(format!("part_kind={}", short(other)), raw),
    }
    let known = ["content", "signature", "provider_name", "provider_details", "metadata"];
    notes.unplaced_fields(&map.rest(), &known, Least::Prose);
    Ok(())
}

/// What a part says: a text, texts and files, or the JSON text of anything else.
fn words<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Content<'a>>, ItemError> {
    let Some(list) = fields::list(raw) else { return result_content(raw.clone(), notes) };
    let is_prompt = list.iter().all(|one| {
        fields::kind(one) == Some(Kind::String) || kind_of(one).is_some_and(|kind| is_file(&kind))
    });
    if !is_prompt || list.is_empty() {
        return result_content(raw.clone(), notes);
    }
    let part = |raw: &RawJson<'a>| match raw.text() {
        Some(text) => Part::text(text),
        None => file(raw),
    };
    Ok(parts::content(list.iter().map(part).collect()))
}

fn kind_of(raw: &RawJson<'_>) -> Option<String> {
    fields::map(raw)?.peek("kind")?.as_text()
}

/// Whether a part of a prompt is a file: at an address, or its bytes.
fn is_file(kind: &str) -> bool {
    kind == "binary" || kind.ends_with("-url") || kind == "uploaded-file"
}

fn file<'a>(raw: &RawJson<'a>) -> Part<'a> {
    let part = file_part(raw, &["media_type"]);
    match kind_of(raw).as_deref().unwrap_or_default() {
        "image-url" => Part { kind: PartKind::Image, ..part },
        "audio-url" => Part { kind: PartKind::Audio, ..part },
        "video-url" => Part { kind: PartKind::Other, ..part },
        _ => part,
    }
}
