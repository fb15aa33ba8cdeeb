//! Claude's data export: `conversations.json` in a ZIP archive or unpacked. There is no specification; the shapes are
//! those of exports that people have shared.
//!
//! An answer has its calls and their results among its blocks: it becomes a message for each time that the model spoke,
//! with the results as messages between them. `text` says again what the blocks say, and counts where there are none.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Feedback, Message, Part, PartKind, Role, Status, ToolCall};

use super::fields::{self, FieldMap, keep_in_list};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal, SideFiles};
use super::marks;
use super::openai;
use super::parts::{self, Segment};
use super::roles::role;
use super::sniff::Sniff;
use super::thread;
use super::tree::Links;
use super::unplaced::{Least, says, short};

/// The format.
pub(super) struct Claude;

impl ImportFormat for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn about(&self) -> &'static str {
        "Claude's data export: its ZIP archive, or `conversations.json` from it"
    }

    fn notes(&self) -> &'static str {
        "In Claude, Settings → Privacy → Export data sends a ZIP archive; give it to Retort as it is, or unpack it. An \
         answer with calls becomes a message for each time that the model spoke, with the results between them; \
         thinking is the reasoning; text extracted from attached files is part of the question, other files are parts \
         without their bytes. Edited questions and answers are sibling rounds. `users.json`, `projects.json` and \
         `memories.json` are skipped."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["chat_messages"]) == Some(Kind::Array)
    }

    fn side_files(&self) -> Option<&'static SideFiles> {
        Some(&SideFiles {
            items: &["conversations.json"],
            read: &[],
            ignored: &["users.json", "projects.json", "memories.json"],
        })
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["chat_messages"], fields::list).ok_or_else(unknown)?;
        let mut conversation = Conversation {
            id: map.take_id(&["uuid", "conversation_id", "id"]).unwrap_or_default(),
            title: map.take(&["name", "title"], RawJson::text),
            model: map.take(&["model"], RawJson::text),
            created_at: map.take(&["created_at", "create_time"], fields::time),
            updated_at: map.take(&["updated_at", "update_time"], fields::time),
            ..Conversation::default()
        };
        if map.is_true("is_starred") {
            conversation.status = Status::Favorite;
        }
        let current = map.peek("current_leaf_message_uuid").and_then(RawJson::text);
        grow(&list, current.as_ref(), &mut conversation, notes)?;
        conversation.metadata = map.rest();
        openai::account_for_messages(&conversation, notes);
        Ok(conversation.into())
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no list of `chat_messages` in the item")
}

/// What the first messages name as the one before them.
const ROOT: &str = "00000000-0000-4000-8000-000000000000";

/// Reads the rounds of a conversation.
fn grow<'a>(
    list: &[RawJson<'a>],
    current: Option<&Text<'a>>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let mut turns = Vec::with_capacity(list.len());
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes) {
            Some(map) => {
                let parent = map.peek("parent_message_uuid").and_then(fields::id);
                let links = Links {
                    id: map.peek("uuid").and_then(fields::id).unwrap_or_default(),
                    parent: parent.filter(|parent| *parent != *ROOT),
                    children: Vec::new(),
                };
                let messages = turn(map, raw, notes)?;
                turns.push(thread::Turn { links, ..thread::Turn::plain(messages) });
            }
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("chat_messages[{at}]"));
    }
    let path = |at| format!("chat_messages[{at}].parent_message_uuid");
    thread::grow(turns, current, conversation, notes, path);
    Ok(())
}

/// Fields of messages that say nothing more than is read.
const KNOWN: [&str; 3] = ["text", "files_v2", "sync_sources"];

/// Reads a message, which may be several.
fn turn<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let word = map.take(&["sender"], RawJson::text);
    let (role, source_role) = match word {
        Some(word) => role(word),
        None => (Role::Other, None),
    };
    if role == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("sender={}", short(&word)), raw);
    }
    let created_at = map.take(&["created_at"], fields::time);
    let content = map.take(&["content"], fields::json);
    let mut read = ReadMessages { role, source_role, done: Vec::new(), open: None };
    for part in attached(&map) {
        read.message().parts.push(part);
    }
    let mark = notes.mark();
    match content.as_ref().map(|raw| (raw, fields::list(raw))) {
        Some((_, Some(blocks))) => {
            for (at, raw) in blocks.iter().enumerate() {
                let mark = notes.mark();
                block(raw, &mut read, notes)?;
                notes.under(mark, || format!("[{at}]"));
            }
        }
        Some((raw, None)) => match raw.text() {
            Some(text) => read.message().parts.extend(text_part(text, None)),
            None if says(raw, Least::Word) => notes.unplaced("", raw),
            None => {}
        },
        None => {}
    }
    notes.under(mark, || "content".into());
    let text = map.take(&["text"], RawJson::text).filter(|text| !text.is_blank());
    if let Some(text) = text {
        let said = read.said();
        if said.is_empty() {
            read.message().parts.extend(text_part(text, None));
        } else if text.decoded().trim() != said.trim() {
            map.put("text", RawJson::string(&text.decoded()));
        }
    }
    let feedback = map.take(&["chat_feedback"], fields::map);
    let finish_reason = map.take(&["stop_reason"], marks::ended);
    let rest = map.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    let mut messages = read.finish();
    if let Some(first) = messages.first_mut() {
        let of_blocks = std::mem::replace(&mut first.metadata, rest);
        for (name, raw) in of_blocks {
            first.metadata.put(name, raw);
        }
    }
    for message in &mut messages {
        message.created_at = created_at;
    }
    if let Some(last) = messages.iter_mut().rfind(|message| message.role == Role::Assistant) {
        last.finish_reason = finish_reason;
        last.feedback = feedback.map(|mut map| {
            let rating = map.take(&["type", "rating"], fields::json);
            let comment = map.take(&["reason", "text"], RawJson::text);
            Box::new(Feedback { rating, label: None, comment })
        });
    }
    Ok(messages)
}

/// The messages that the blocks of one make.
struct ReadMessages<'a> {
    role: Role,
    source_role: Option<Text<'a>>,
    done: Vec<Turn<'a>>,
    /// The message that goes on.
    open: Option<Turn<'a>>,
}

#[derive(Default)]
struct Turn<'a> {
    message: Message<'a>,
    parts: Vec<Part<'a>>,
}

impl<'a> ReadMessages<'a> {
    /// The message that goes on.
    fn message(&mut self) -> &mut Turn<'a> {
        self.open.get_or_insert_with(|| {
            let (role, source_role) = (self.role, self.source_role.clone());
            let message = Message { role, source_role, ..Message::default() };
            Turn { message, parts: Vec::new() }
        })
    }

    /// Adds a result, behind which a next message begins.
    fn result(&mut self, message: Message<'a>) {
        self.done.extend(self.open.take());
        self.done.push(Turn { message, parts: Vec::new() });
    }

    /// The texts of the blocks, as `text` has them.
    fn said(&self) -> String {
        let parts = self.done.iter().chain(&self.open).flat_map(|turn| &turn.parts);
        let texts = parts.filter(|part| part.kind == PartKind::Text && !is_attached(part));
        let texts: Vec<_> = texts.filter_map(|part| Some(part.text.as_ref()?.decoded())).collect();
        texts.join("")
    }

    fn finish(mut self) -> Vec<Message<'a>> {
        if self.done.is_empty() {
            self.message();
        }
        let is_alone = self.done.is_empty();
        self.done.extend(self.open);
        let says = |turn: &Turn<'_>| {
            let Turn { message, parts } = turn;
            message.role == Role::Tool
                || !parts.is_empty()
                || message.reasoning.is_some()
                || !message.tool_calls.is_empty()
                || !message.metadata.is_empty()
        };
        let turns = self.done.into_iter().filter(|turn| is_alone || says(turn));
        turns.map(Turn::finish).collect()
    }
}

impl<'a> Turn<'a> {
    fn finish(self) -> Message<'a> {
        let Self { message, parts } = self;
        // A result has its content already.
        let content = parts::content(parts).or(message.content);
        Message { content, ..message }
    }
}

/// Reads a block of a message.
fn block<'a>(
    raw: &RawJson<'a>,
    read: &mut ReadMessages<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        match raw.text() {
            Some(text) => read.message().parts.extend(text_part(text, None)),
            None => notes.unplaced("", raw),
        }
        return Ok(());
    };
    let kind = map.take(&["type"], RawJson::text);
    let kind = kind.as_ref().map_or("".into(), Text::decoded);
    match &*kind {
        // A voice note has its transcript as text.
        "text" | "voice_note" => {
            let is_empty = map.is_null("text");
            match map.take(&["text"], RawJson::text) {
                Some(text) => {
                    let beside = map.fields().iter().any(|(_, raw)| !raw.is_null());
                    notes.unplaced_fields(&map.rest(), &["title"], Least::Prose);
                    let raw = beside.then(|| raw.clone());
                    read.message().parts.extend(text_part(text, raw));
                }
                None if is_empty => {}
                None => notes.unplaced("text", raw),
            }
        }
        "thinking" => match map.take(&["thinking"], RawJson::text) {
            Some(text) => {
                let beside = map.fields().iter().any(|(_, raw)| !raw.is_null());
                notes.unplaced_fields(&map.rest(), &["summaries"], Least::Prose);
                let message = &mut read.message().message;
                message.reasoning = Some(match message.reasoning.take() {
                    Some(before) => format!("{}\n\n{}", before.decoded(), text.decoded()).into(),
                    None => text,
                });
                if beside {
                    keep_in_list(&mut message.metadata, "thinking", raw);
                }
            }
            None => notes.unplaced("thinking", raw),
        },
        "tool_use" if map.has(&["name"]) => {
            let id = map.take_id(&["id"]).unwrap_or_default();
            let name = map.take(&["name"], RawJson::text).unwrap_or_default();
            let arguments = map.take(&["input"], fields::words).unwrap_or_else(|| "{}".into());
            let mut metadata = map.rest();
            metadata.retain(|_, raw| !raw.is_null());
            notes.unplaced_fields(&metadata, &SHOWN, Least::Prose);
            let call = ToolCall { id, name, arguments, metadata };
            read.message().message.tool_calls.push(call);
        }
        "tool_result" => {
            let mut message = Message { role: Role::Tool, ..Message::default() };
            message.tool_call_id = map.take_id(&["tool_use_id"]);
            message.name = map.take(&["name"], RawJson::text);
            if let Some(content) = map.take(&["content"], fields::json) {
                message.content = parts::result_content(content, notes)?;
            }
            if map.take(&["is_error"], fields::json).is_some_and(|raw| raw.as_str() == "true") {
                message.error = Some("failed".into());
            }
            let mut metadata = map.rest();
            metadata.retain(|_, raw| !raw.is_null());
            notes.unplaced_fields(&metadata, &SHOWN, Least::Prose);
            message.metadata = metadata;
            read.result(message);
        }
        // How much room the model was told to have left.
        "token_budget" => keep_in_list(&mut read.message().message.metadata, "blocks", raw),
        _ => {
            let mut segments = Vec::new();
            let text = raw.as_str().to_owned();
            parts::segments(&mut Parser::new(&text), notes, &mut segments)?;
            for segment in segments {
                match segment {
                    Segment::Part(part) => read.message().parts.push(parts::own(part)),
                    _ => notes.unplaced("", raw),
                }
            }
        }
    }
    Ok(())
}

/// What is shown of calls and results beside what the model wrote and read.
const SHOWN: [&str; 8] = [
    "message",
    "integration_name",
    "integration_icon_url",
    "display_content",
    "structured_content",
    "mcp_server_url",
    "approval_options",
    "context",
];

/// What was sent along with a question: text that was taken out of files, and files.
fn attached<'a>(map: &FieldMap<'a>) -> Vec<Part<'a>> {
    let list = |name| map.peek(name).and_then(fields::list).unwrap_or_default();
    let text = |raw: &RawJson<'a>| {
        let mut map = fields::map(raw)?;
        map.take(&["extracted_content"], RawJson::text).filter(|text| !text.is_empty())
    };
    let part = |raw: RawJson<'a>| match text(&raw) {
        Some(text) => Part { kind: PartKind::Text, text: Some(text), raw: Some(raw) },
        None => Part { kind: PartKind::File, text: None, raw: Some(raw) },
    };
    let attachments = list("attachments");
    // Some messages also list a file whose text is already attached.
    let name = |raw: &RawJson<'a>| fields::map(raw)?.take(&["file_name"], RawJson::text);
    let texts: Vec<_> =
        attachments.iter().filter(|raw| text(raw).is_some()).filter_map(name).collect();
    let files = list("files").into_iter();
    let files = files.filter(|raw| name(raw).is_none_or(|name| !texts.contains(&name)));
    attachments.iter().cloned().chain(files).map(part).collect()
}

fn is_attached(part: &Part<'_>) -> bool {
    let map = part.raw.as_ref().and_then(fields::map);
    map.is_some_and(|map| map.has(&["extracted_content"]))
}

fn text_part<'a>(text: Text<'a>, raw: Option<RawJson<'a>>) -> Option<Part<'a>> {
    (!text.is_empty()).then_some(Part { kind: PartKind::Text, text: Some(text), raw })
}
