//! Cursor's chats, as its editor keeps them: rows of the table `cursorDiskKV` in `state.vscdb`, under the keys
//! `composerData:CHAT` and `bubbleId:CHAT:BUBBLE`. There is no specification; written from public code that reads them.
//!
//! A chat lists its bubbles in order, and only those count: the database keeps bubbles of answers that were taken back. Older
//! versions hold the bubbles in the chat itself.

use std::collections::BTreeMap;

use retort_json::{RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Part, PartKind, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts::Segment;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct CursorChats;

/// What the keys of rows that are read begin with.
const CHAT: &str = "composerData:";
const BUBBLE: &str = "bubbleId:";

/// The table.
const TABLE: &str = "cursorDiskKV";

impl ImportFormat for CursorChats {
    fn name(&self) -> &'static str {
        "cursor-chats"
    }

    fn about(&self) -> &'static str {
        "Cursor's chats: the editor's database `state.vscdb`"
    }

    fn notes(&self) -> &'static str {
        "Cursor keeps its chats in `User/globalStorage/state.vscdb` in its configuration folder (`~/.config/Cursor`, \
         `~/Library/Application Support/Cursor` or `%APPDATA%/Cursor`). What was asked and answered, thinking, calls \
         with their results and errors, pictures, models and tokens are kept; the code and files that Cursor attached \
         to a question are kept as metadata. A chat whose list names a bubble that the database no longer has is not \
         understood; bubbles that are in no list, such as those of answers that were undone, are kept as metadata. \
         Chats of versions before 0.40, which are in the databases of the workspaces, are skipped. Written from public \
         code that reads such databases, as no specification is public; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("key")
            && sniff.has("value")
            && (sniff.entry().name() == TABLE
                || sniff.text(&["key"]).is_some_and(|key| chat_of(&key).is_some()))
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::of(text);
        let Some(key) = sniff.text(&["key"]) else { return };
        // A row without a value is of a bubble that was deleted.
        if let (Some(chat), true, true) =
            (chat_of(&key), sniff.text(&["value"]).is_some(), session::is_object(text))
        {
            let order = u64::from(key.starts_with(BUBBLE));
            into.push(Fragment { key: format!("chat {chat}"), order, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let (mut chat, mut bubbles) = (None, BTreeMap::new());
        for session::Line { raw, mut map } in session::lines(text, notes)? {
            let key = map.take(&["key"], RawJson::as_text).unwrap_or_default();
            let Some(id) = chat_of(&key) else { continue };
            let value = map.take(&["value"], fields::object_within);
            let Some(value) = value.and_then(|raw| FieldMap::of(&raw, notes)) else {
                if map.has(&["value"]) {
                    notes.unplaced(short(&key), &raw);
                }
                continue;
            };
            conversation.id = id.to_owned().into();
            match key.rsplit(':').next().filter(|_| key.starts_with(BUBBLE)) {
                Some(bubble) => drop(bubbles.insert(bubble.to_owned(), value)),
                None => chat = Some(value),
            }
        }
        let listed = listed(chat.as_mut(), &mut bubbles, notes);
        let mut steps = Vec::with_capacity(listed.len());
        for (id, bubble) in listed {
            let mark = notes.mark();
            steps.push(step(bubble, notes)?);
            notes.under(mark, || format!("bubbles.{}", short(&id)));
        }
        // Chats that were opened and never used, and rows of other keys.
        if steps.iter().all(|step| step.messages.is_empty()) && bubbles.is_empty() {
            return Ok(Items::default());
        }
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        if let Some(chat) = chat {
            describe(chat, &mut conversation, notes);
        }
        let unlisted: Vec<_> = bubbles.into_values().filter_map(FieldMap::rest_object).collect();
        if !unlisted.is_empty() {
            conversation.metadata.put("unlisted".into(), RawJson::array(&unlisted).into_owned());
        }
        session::date(&mut conversation);
        Ok(conversation.into())
    }
}

/// The chat that a key is of.
fn chat_of(key: &str) -> Option<&str> {
    let bubble = || key.strip_prefix(BUBBLE)?.split_once(':').map(|(chat, _)| chat);
    key.strip_prefix(CHAT).or_else(bubble).filter(|chat| !chat.is_empty())
}

/// The bubbles that a chat lists, in order; without a chat all of them, as they were made.
fn listed<'a>(
    chat: Option<&mut FieldMap<'a>>,
    bubbles: &mut BTreeMap<String, FieldMap<'a>>,
    notes: &mut Notes,
) -> Vec<(String, FieldMap<'a>)> {
    let id_of = |raw: &RawJson<'_>| fields::map(raw)?.take(&["bubbleId"], RawJson::as_text);
    let mut list = Vec::new();
    let Some(chat) = chat else {
        list.extend(std::mem::take(bubbles));
        list.sort_by_cached_key(|(_, bubble)| bubble.peek("createdAt").and_then(fields::time));
        return list;
    };
    for raw in chat.take(&["conversation"], fields::list).unwrap_or_default() {
        let id = id_of(&raw).unwrap_or_default();
        match FieldMap::of(&raw, notes) {
            Some(bubble) => list.push((id, bubble)),
            None => notes.unplaced("conversation", &raw),
        }
    }
    let headers = chat.take(&["fullConversationHeadersOnly"], fields::list).unwrap_or_default();
    for (at, raw) in headers.iter().enumerate() {
        let id = id_of(raw).unwrap_or_default();
        match bubbles.remove(&id) {
            Some(bubble) => list.push((id, bubble)),
            None if list.iter().any(|(one, _)| *one == id) => {}
            None => notes.unplaced(format!("fullConversationHeadersOnly[{at}]"), raw),
        }
    }
    list
}

/// Takes what is known of the chat.
fn describe<'a>(mut chat: FieldMap<'a>, conversation: &mut Conversation<'a>, notes: &mut Notes) {
    if let Some(id) = chat.take_id(&["composerId"]) {
        conversation.id = id;
    }
    conversation.title = chat.take(&["name"], RawJson::text).filter(|name| !name.is_blank());
    conversation.created_at = chat.take(&["createdAt"], fields::time);
    conversation.updated_at = chat.take(&["lastUpdatedAt"], fields::time);
    let config = chat.peek("modelConfig").and_then(fields::map_within);
    conversation.model = config.and_then(|mut config| config.take(&["modelName"], model));
    let mut rest = chat.rest();
    rest.retain(|_, raw| holds(raw));
    notes.unplaced_texts(&rest);
    conversation.metadata.extend(rest);
}

/// The name of a model; the default has none.
fn model<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    raw.text().filter(|name| !matches!(name.as_written(), "" | "default"))
}

/// Whether a value is more than nothing: bubbles have scores of fields, of which most are empty.
fn holds(raw: &RawJson<'_>) -> bool {
    !matches!(raw.as_str(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}

/// Fields of bubbles that say nothing more than is read, or what Cursor gathered for the model.
const KNOWN: [&str; 38] = [
    "allThinkingBlocks",
    "approximateLintErrors",
    "assistantSuggestedDiffs",
    "attachedCodeChunks",
    "attachedFileCodeChunksUris",
    "attachedFolders",
    "attachedFoldersNew",
    "capabilities",
    "capabilityContexts",
    "codeBlocks",
    "commits",
    "consoleLogs",
    "context",
    "contextPieces",
    "contextWindowStatusAtCreation",
    "cursorRules",
    "deletedFiles",
    "diffHistories",
    "diffsSinceLastApply",
    "docsReferences",
    "documentationSelections",
    "editTrailContexts",
    "externalLinks",
    "fileDiffTrajectories",
    "gitDiffs",
    "humanChanges",
    "images",
    "interpreterResults",
    "knowledgeItems",
    "lints",
    "multiFileLinterErrors",
    "notepads",
    "projectLayouts",
    "recentLocationsHistory",
    "recentlyViewedFiles",
    "relevantFiles",
    "summarizedComposers",
    "workspaceUris",
];

/// Reads a bubble.
fn step<'a>(mut bubble: FieldMap<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let kind = bubble.take(&["type"], fields::json);
    let role = match kind.as_ref().map(RawJson::as_str) {
        Some("1") => Role::User,
        Some("2") => Role::Assistant,
        _ => {
            let kind = kind.unwrap_or(RawJson::null());
            notes.unplaced(format!("type={}", short(kind.as_str())), &kind);
            Role::Other
        }
    };
    let mut message = Message { role, ..Message::default() };
    message.created_at = bubble.take(&["createdAt"], fields::time);
    let model = bubble.take(&["modelInfo"], |raw| fields::map(raw)?.take(&["modelName"], model));
    let usage = bubble.take(&["tokenCount"], |raw| Some(session::usage_of(raw)));
    let mut segments = Vec::new();
    if let Some(text) = bubble.take(&["thinking"], |raw| fields::text_or_under(raw, &["text"])) {
        segments.extend((!text.is_blank()).then_some(Segment::Reasoning(text)));
    }
    for raw in bubble.take(&["images"], fields::list).unwrap_or_default() {
        segments.push(Segment::Part(Part { kind: PartKind::Image, text: None, raw: Some(raw) }));
    }
    let rich = bubble.take(&["richText"], fields::json);
    match bubble.take(&["text"], RawJson::text).filter(|text| !text.is_empty()) {
        Some(text) => segments.push(Segment::text(text)),
        // The text with its format, as the editor has it: it says the same as the plain one, which is missing.
        None => {
            if let Some(raw) = rich.filter(|raw| raw.as_str().contains("\\\"text\\\":")) {
                notes.unplaced("richText", &raw);
            }
        }
    }
    if let Some(data) = bubble.take(&["toolFormerData"], fields::object).filter(holds) {
        let mark = notes.mark();
        segments.extend(tool(&data, notes)?);
        notes.under(mark, || "toolFormerData".into());
    }
    if let Some(error) =
        bubble.take(&["errorDetails"], fields::words).filter(|text| !text.is_empty())
    {
        message.error = Some(error);
    }
    let mut rest = bubble.rest();
    rest.retain(|_, raw| holds(raw));
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    message.metadata = rest;
    let messages = Turn::said(message, segments);
    Ok(Step { messages, model, usage: usage.unwrap_or_default(), ..Step::default() })
}

/// A call, with what came of it.
fn tool<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Segment<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else { return Ok(None) };
    // Older versions say the tool by a number alone.
    let Some(name) =
        map.take(&["name"], RawJson::text).or_else(|| map.take(&["tool"], RawJson::text))
    else {
        notes.unplaced("tool", raw);
        return Ok(None);
    };
    let id = map.take_id(&["toolCallId", "modelCallId"]).unwrap_or_default();
    let said = |raw: &RawJson<'a>| fields::words(raw).filter(|text| !text.is_empty());
    let arguments = map.take(&["rawArgs"], said).or_else(|| map.take(&["params"], said));
    let result = map.take(&["result"], fields::json).filter(|raw| raw.as_str() != "\"\"");
    let status = map.peek("status").and_then(RawJson::as_text).unwrap_or_default();
    let failed = matches!(status.as_str(), "error" | "cancelled" | "rejected");
    let error = map.take(&["error"], said).or_else(|| failed.then(|| status.into()));
    let mut metadata = map.rest();
    metadata.retain(|_, raw| holds(raw));
    notes.unplaced_fields(&metadata, &["params", "additionalData"], Least::Prose);
    let arguments = arguments.unwrap_or_else(|| "{}".into());
    let call = ToolCall { id, name, arguments, metadata };
    thread::ran(call, result, error, notes).map(Some)
}
