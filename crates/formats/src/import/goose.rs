//! Goose's sessions. Newer versions keep them in `sessions.db`, tables `sessions` and `messages`; older ones in a JSONL file
//! each, whose first line describes the session; `goose session export --format json` writes one as an object. Source: the
//! code of `block/goose` (`session_manager.rs`, `conversation/message.rs`).

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts::{self, Segment};
use super::roles;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::thread::Turn;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Goose;

/// What lines of older sessions have, and nothing else.
const FIELDS: [&str; 5] = ["id", "role", "created", "content", "metadata"];

impl ImportFormat for Goose {
    fn name(&self) -> &'static str {
        "goose"
    }

    fn about(&self) -> &'static str {
        "Goose's sessions: `sessions.db`, the older JSONL files, and `goose session export`"
    }

    fn notes(&self) -> &'static str {
        "Goose keeps its sessions in `~/.local/share/goose/sessions`: `sessions.db`, and a JSONL file for each session of \
         an older version; give the folder to Retort as it is, or write one session with `goose session export --format \
         json`. Thinking, calls, results and errors are kept; requests for a confirmation and notices of the program are \
         kept under `events`. Messages that Goose hid from the model after a compaction stay, in their order, with \
         `agentVisible` in their metadata. Sessions of sub-agents are conversations of their own. A call that Goose could \
         not parse is not understood. Written from Goose's code."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_row = || sniff.has("content_json") && sniff.has("session_id") && sniff.has("role");
        let is_session = || {
            sniff.has("working_dir")
                && ["extension_data", "message_count", "conversation"]
                    .iter()
                    .any(|key| sniff.has(key))
        };
        let is_line = || {
            sniff.text(&["role"]).is_some_and(|role| matches!(&*role, "user" | "assistant"))
                && sniff.kind(&["created"]) == Some(Kind::Number)
                && sniff.first_kind(&["content"]) == Some(Kind::Object)
                && sniff.keys().iter().all(|key| FIELDS.contains(&key.as_str()))
        };
        is_row() || is_session() || is_line()
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::of(text);
        let (key, order) = if sniff.has("content_json") {
            let order = sniff.word("id").and_then(|id| id.parse().ok()).unwrap_or(u64::MAX);
            (sniff.word("session_id"), order)
        } else if sniff.has("extension_data") && !sniff.has("conversation") {
            (sniff.word("id"), 0)
        } else {
            if !sniff.has("conversation") {
                session::line_of_file(text, entry, into);
            }
            return;
        };
        if let Some(key) = key.filter(|_| session::is_object(text)) {
            into.push(Fragment { key: format!("session {key}"), order, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let mut steps = Vec::new();
        for (at, session::Line { mut map, .. }) in
            session::lines(text, notes)?.into_iter().enumerate()
        {
            let mark = notes.mark();
            if map.has(&["role"]) && map.has(&["content_json", "content"]) {
                steps.push(message(map, &mut conversation, notes)?);
            } else {
                let list = map.take(&["conversation"], fields::list_within).unwrap_or_default();
                describe(map, &mut conversation, notes);
                for (at, raw) in list.into_iter().enumerate() {
                    let mark = notes.mark();
                    match FieldMap::of(&raw, notes) {
                        Some(map) => steps.push(message(map, &mut conversation, notes)?),
                        None => notes.unplaced("", &raw),
                    }
                    notes.under(mark, || format!("conversation[{at}]"));
                }
            }
            notes.under(mark, || format!("lines[{at}]"));
        }
        // Many sessions were opened and never used.
        if steps.iter().all(|step: &Step<'_>| step.messages.is_empty()) {
            return Ok(Items::default());
        }
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        session::date(&mut conversation);
        Ok(conversation.into())
    }
}

/// Fields of sessions that say nothing of what was said.
const OF_SESSIONS: [&str; 10] = [
    "description",
    "working_dir",
    "extension_data",
    "recipe",
    "recipe_json",
    "user_recipe_values",
    "user_recipe_values_json",
    "model_config",
    "model_config_json",
    "last_message_snippet",
];

/// Takes what is known of the session.
fn describe<'a>(mut map: FieldMap<'a>, conversation: &mut Conversation<'a>, notes: &mut Notes) {
    if let Some(id) = map.take_id(&["id"]) {
        conversation.id = id;
    }
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_blank());
    conversation.title = map.take(&["name"], text).or_else(|| map.take(&["description"], text));
    conversation.created_at = map.take(&["created_at"], fields::time);
    conversation.updated_at = map.take(&["updated_at"], fields::time);
    let config = ["model_config_json", "model_config"];
    conversation.model = config
        .iter()
        .find_map(|name| fields::map_within(map.peek(name)?))
        .and_then(|mut config| config.take(&["model_name", "model"], RawJson::text));
    let mut rest = map.rest();
    rest.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&rest, &OF_SESSIONS, Least::Prose);
    conversation.metadata.extend(rest);
}

/// Reads a message: a row of the table, or a line.
fn message<'a>(
    mut map: FieldMap<'a>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    if let Some(id) = map.take_id(&["session_id"]) {
        conversation.id = id;
    }
    let word = map.take(&["role"], RawJson::text).unwrap_or_default();
    let (role, source_role) = roles::role(word.clone());
    if role == Role::Other {
        notes.unplaced(
            format!("role={}", short(&word.decoded())),
            &RawJson::string(&word.decoded()),
        );
    }
    let mut message = Message { role, source_role, ..Message::default() };
    message.created_at = map.take(&["created_timestamp", "created"], fields::time);
    let name = if map.has(&["content_json"]) { "content_json" } else { "content" };
    let content = map.take(&[name], fields::json).unwrap_or(RawJson::null());
    let mut segments = Vec::new();
    let mark = notes.mark();
    match fields::list_within(&content) {
        Some(list) => {
            for (at, raw) in list.iter().enumerate() {
                let mark = notes.mark();
                part(raw, &mut segments, notes)?;
                notes.under(mark, || format!("[{at}]"));
            }
        }
        None => notes.unplaced("", &content),
    }
    notes.under(mark, || name.into());
    // The time as the database writes it says the same again.
    map.take(&["timestamp"], fields::json);
    let mut rest = map.rest();
    rest.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&rest, &["metadata_json", "metadata"], Least::Prose);
    message.metadata = rest;
    let messages = Turn::said(message, segments);
    Ok(Step { messages, ..Step::default() })
}

/// Reads one part of a message.
fn part<'a>(
    raw: &RawJson<'a>,
    into: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let map = FieldMap::of(raw, notes);
    let kind = map.as_ref().and_then(|map| map.peek("type")?.as_text()).unwrap_or_default();
    match (kind.as_str(), map) {
        ("toolRequest" | "frontendToolRequest", Some(map)) => into.extend(request(map, raw, notes)),
        ("toolResponse", Some(map)) => into.push(response(map, raw, notes)?),
        ("redactedThinking", _) => into.push(Segment::Kept("redacted_thinking", raw.clone())),
        (
            "toolConfirmationRequest"
            | "actionRequired"
            | "systemNotification"
            | "contextLengthExceeded"
            | "summarizationRequested"
            | "conversationCompacted",
            _,
        ) => into.push(Segment::Kept("events", raw.clone())),
        _ => parts::segments_of(raw, notes, into)?,
    }
    Ok(())
}

/// What was made of what a model or a tool wrote: the value, or the error.
enum Made<'a> {
    Value(RawJson<'a>),
    Error(Text<'a>),
}

fn made<'a>(map: &mut FieldMap<'a>, name: &str) -> Option<Made<'a>> {
    let mut inner = fields::map(&map.take(&[name], fields::object)?)?;
    let value = inner.take(&["value"], fields::json).map(Made::Value);
    let value = value.or_else(|| inner.take(&["error"], fields::words).map(Made::Error));
    // The oldest versions write the value itself.
    value.or_else(|| inner.rest_object().map(Made::Value))
}

fn request<'a>(mut map: FieldMap<'a>, raw: &RawJson<'a>, notes: &mut Notes) -> Option<Segment<'a>> {
    let id = map.take_id(&["id"]).unwrap_or_default();
    let made = made(&mut map, "toolCall");
    let inner = match made {
        Some(Made::Value(value)) => FieldMap::of(&value, notes),
        Some(Made::Error(_)) | None => None,
    };
    let Some((mut inner, name)) = inner.and_then(|mut inner| {
        let name = inner.take(&["name"], RawJson::text)?;
        Some((inner, name))
    }) else {
        notes.unplaced(if map.has(&["toolCall"]) { "toolCall" } else { "" }, raw);
        return None;
    };
    let arguments = inner.take(&["arguments"], fields::words).unwrap_or_else(|| "{}".into());
    map.take(&["type"], fields::json);
    let mut metadata = map.rest();
    fields::put_missing(&mut metadata, inner.rest());
    notes.unplaced_fields(&metadata, &["metadata", "_meta", "toolMeta"], Least::Prose);
    Some(Segment::Call(ToolCall { id, name, arguments, metadata }))
}

fn response<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Segment<'a>, ItemError> {
    let mut message = Message { role: Role::Tool, ..Message::default() };
    message.tool_call_id = map.take_id(&["id"]);
    match made(&mut map, "toolResult") {
        Some(Made::Value(value)) => {
            // The protocol's result, or, in older versions, its content alone.
            let mark = notes.mark();
            let mut content = Some(value.clone());
            if let Some(mut inner) = fields::map(&value).filter(|inner| inner.has(&["content"])) {
                content = inner.take(&["content"], fields::json);
                if inner.is_true("isError") {
                    message.error = Some("failed".into());
                }
                if let Some(rest) = inner.rest_object() {
                    message.metadata.put("result".into(), rest.into_owned());
                }
            }
            if let Some(content) = content {
                message.content = parts::result_content(content, notes)?;
            }
            notes.under(mark, || "toolResult.value".into());
        }
        Some(Made::Error(error)) => message.error = Some(error),
        None => notes.unplaced("toolResult", raw),
    }
    map.take(&["type"], fields::json);
    let rest = map.rest();
    notes.unplaced_fields(&rest, &["metadata"], Least::Prose);
    message.metadata.extend(rest);
    Ok(Segment::Result(message))
}
