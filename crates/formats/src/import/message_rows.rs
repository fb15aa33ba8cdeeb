//! One message a row: the role and the content of a message with a key that its conversation's rows have in common, as
//! databases and logs keep them. Rows without such a key are the conversation of their file.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::Fields;

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::gemini_cli::GeminiCli;
use super::open_webui;
use super::openai;
use super::opencode;
use super::roles::{role_of, speaker};
use super::sniff::{Entry, Sniff};

/// The format.
pub(super) struct MessageRows;

/// Columns with the word for who speaks.
const ROLE: [&str; 7] = ["role", "from", "sender", "author", "speaker", "message_type", "type"];

/// Columns with what is said.
const CONTENT: [&str; 8] =
    ["content", "value", "text", "message", "parts", "data", "kwargs", "tool_calls"];

/// Columns with the conversation that a message belongs to, the surest first.
const CONVERSATION: [&str; 18] = [
    "conversation_id",
    "conversationId",
    "conv_id",
    "chat_id",
    "chatId",
    "thread_id",
    "threadId",
    "session_id",
    "sessionId",
    "SessionId",
    "dialog_id",
    "dialogue_id",
    "dialogue",
    "conversation",
    "thread",
    "session",
    "trace_id",
    "traceId",
];

/// Columns with a message as an object, or its JSON text.
const STORED: [&str; 3] = ["message", "message_data", "History"];

/// Columns with the place of a message in its conversation.
const PLACE: [&str; 11] = [
    "turn",
    "turn_id",
    "turn_index",
    "turn_idx",
    "message_index",
    "message_idx",
    "index",
    "position",
    "seq",
    "sequence",
    "order",
];

/// Columns with the time of a message.
const TIME: [&str; 6] =
    ["created_at", "createdAt", "timestamp", "create_time", "created_date", "time"];

/// Columns that say something of the whole conversation.
const WHOLE: [&str; 3] = ["title", "conversation_title", "model"];

/// Keys of items that hold more than a message.
const OTHERS: [&str; 10] = [
    "messages",
    "conversations",
    "rounds",
    "mapping",
    "chat_messages",
    "uuid",
    "parentUuid",
    "payload",
    "prompt",
    "is_template",
];

impl ImportFormat for MessageRows {
    fn name(&self) -> &'static str {
        "message-rows"
    }

    fn about(&self) -> &'static str {
        "one message per row, with a `conversation_id`, `session_id` or the like that joins them"
    }

    fn notes(&self) -> &'static str {
        "Rows in JSON Lines, CSV or Parquet with a `role` (or `from`, `sender`, `author`, `speaker`) and a `content` (or \
         `value`, `text`, `message`), and LangChain's stored messages (`message` with a `type`, as n8n and LangChain's \
         history tables keep them, `History` with a `SessionId` in LangChain's MongoDB, or `message_data`, as in sessions of OpenAI's Agents SDK). The rows of one conversation may \
         be anywhere in the input; `turn` or `index`, or else the time of each, orders them. Rows without any key are the \
         conversation of their file."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        if sniff.kind_of_item() != Some(Kind::Object)
            || OTHERS.iter().any(|key| sniff.has(key))
            || GeminiCli.recognises(sniff)
            || opencode::is_copy(sniff)
            || open_webui::is_copy(sniff)
        {
            return false;
        }
        let speaks =
            ROLE.iter().any(|name| sniff.text(&[name]).is_some_and(|word| speaks(name, &word)));
        // A message in a message is a line of an agent's session.
        let says = CONTENT.iter().any(|name| sniff.has(name))
            && sniff.kind(&["message"]) != Some(Kind::Object);
        (speaks && says) || is_stored(sniff)
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        if !self.recognises(&sniff) {
            return;
        }
        let named = CONVERSATION.iter().find_map(|name| sniff.word(name));
        let key = named.map_or_else(|| format!("in {}", entry.path), |id| format!("of {id}"));
        let place = PLACE.iter().find_map(|name| sniff.word(name)?.parse::<u64>().ok());
        let time = || fields::micros(&TIME.iter().find_map(|name| sniff.raw(name))?);
        let order = place.or_else(time).unwrap_or(0);
        into.push(Fragment { key, order, text: text.into() });
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut rows = Vec::new();
        if parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                rows.push((parser.at(), parser.raw()?));
            }
        } else {
            rows.push((parser.at(), parser.raw()?));
        }
        parser.end()?;
        notes.count(&parser);
        let mut fields = Fields::new();
        let mut messages = Vec::with_capacity(rows.len());
        for (at, raw) in rows {
            let row = FieldMap::of(&raw, notes).ok_or_else(|| unknown(at))?;
            messages.push(message(row, &mut fields).ok_or_else(|| unknown(at))?);
        }
        Ok(openai::with_messages(fields, RawJson::array(&messages), &[], notes)?.into())
    }
}

/// Whether a column names the speaker. A column `type` may mean many other things.
fn speaks(column: &str, word: &str) -> bool {
    let of =
        if ["role", "from", "sender", "speaker"].contains(&column) { speaker } else { role_of };
    of(word).is_some()
}

fn unknown(at: usize) -> ItemError {
    ItemError::new(Refusal::UnknownShape, at, "a row without the role and the content of a message")
}

/// Whether it is a row of a table of messages that are objects.
fn is_stored(sniff: &Sniff<'_>) -> bool {
    let is_known = |key: &String| {
        ["id", "_id", "messages_id"].contains(&key.as_str())
            || STORED.contains(&key.as_str())
            || CONVERSATION.contains(&key.as_str())
            || TIME.contains(&key.as_str())
    };
    let holds = |name: &&'static str| ["type", "role"].iter().any(|key| sniff.holds(&[name, key]));
    STORED.iter().any(holds)
        && CONVERSATION.iter().any(|name| sniff.has(name))
        && sniff.keys().iter().all(is_known)
}

/// The message of a row. What the row says of its conversation goes to `whole`.
fn message<'a>(mut row: FieldMap<'a>, whole: &mut Fields<'a>) -> Option<RawJson<'static>> {
    if let Some(id) = row.take_id(&CONVERSATION) {
        whole.put("id".into(), RawJson::string(&id.decoded()));
    }
    for name in WHOLE {
        if let Some(value) = row.take(&[name], fields::json) {
            let name = if name == "conversation_title" { "title" } else { name };
            whole.put(name.into(), value);
        }
    }
    if let Some(stored) = row.take(&STORED, fields::object_within) {
        let mut message = fields::map(&stored)?;
        for (key, value) in row.rest() {
            let key: Cow<'_, str> = key.decoded().into_owned().into();
            let is_taken = message.has(&[&key]);
            let key = if is_taken { format!("row.{key}").into() } else { key };
            message.add(key.into(), value);
        }
        return message.rest_object();
    }
    let kind_speaks =
        row.peek("type").and_then(RawJson::as_text).is_some_and(|it| speaks("type", &it));
    if !kind_speaks && !row.has(&["role", "from"]) {
        let word = row.take(&ROLE, RawJson::text)?;
        row.add("role".into(), RawJson::string(&word.decoded()));
    }
    if !row.has(&["content", "value", "text", "parts", "data", "kwargs"])
        && let Some(text) = row.take(&["message"], fields::json)
    {
        row.add(Text::from("content"), text);
    }
    row.rest_object()
}
