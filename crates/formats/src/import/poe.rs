//! Requests that Poe sends to bots, as bot servers log them. Reference: the Poe protocol specification
//! (`creator.poe.com/docs/poe-protocol-specification`) and the types of `fastapi_poe`.
//!
//! Every request for an answer repeats the conversation so far, so later requests of a conversation contain earlier
//! ones.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Content, Conversation, Message, Part, Role};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Poe;

/// Fields of messages that add nothing to what is read.
const KNOWN: [&str; 5] = ["content_type", "message_id", "sender_id", "parameters", "metadata"];

impl ImportFormat for Poe {
    fn name(&self) -> &'static str {
        "poe"
    }

    fn about(&self) -> &'static str {
        "requests that Poe sends to bots: `query` with the conversation so far, as bot servers log them"
    }

    fn notes(&self) -> &'static str {
        "Poe has no export of chats, but it sends the conversation so far to the bot's server with each request \
         (`type: query`). Log the requests as JSON Lines and import the log. Later requests of a conversation \
         continue earlier ones, and the last one is kept. The answer to a question is only in the next request. Likes \
         and dislikes become feedback, attachments become parts, and the text that Poe extracted from them becomes \
         part of the question. Requests of other types are skipped. Written from Poe's protocol specification."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let kind = sniff.text(&["type"]);
        sniff.has("version")
            && match kind.as_deref() {
                Some("query") => {
                    sniff.kind(&["query"]) == Some(Kind::Array) && sniff.has("conversation_id")
                }
                Some("report_feedback" | "report_reaction") => sniff.has("conversation_id"),
                _ => false,
            }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if map.take(&["type"], RawJson::as_text).as_deref() != Some("query") {
            return Ok(Items::default());
        }
        let list = map.take(&["query"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of messages under `query`")
        })?;
        let mut conversation = Conversation {
            id: map.take_id(&["conversation_id"]).unwrap_or_default(),
            owner: map.take(&["user_id"], RawJson::text),
            ..Conversation::default()
        };
        let mut turns = Vec::with_capacity(list.len());
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            turns.push(Turn::plain(message(raw, notes)));
            notes.under(mark, || format!("query[{at}]"));
        }
        thread::grow(turns, None, &mut conversation, notes, |at| format!("query[{at}]"));
        // Keys of the bot's server.
        for secret in ["api_key", "access_key"] {
            map.take(&[secret], fields::json);
        }
        conversation.metadata = map.rest();
        let known = ["message_id", "version", "stop_sequences", "logit_bias", "metadata"];
        notes.unplaced_fields(&conversation.metadata, &known, Least::Prose);
        super::session::date(&mut conversation);
        Ok(conversation.into())
    }
}

fn message<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Vec<Message<'a>> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Vec::new();
    };
    let word = map.take(&["role"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    if who == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("role={}", short(&word)), raw);
    }
    let mut message = Message {
        role: who,
        source_role,
        content: map.take(&["content"], RawJson::text).map(Content::Text),
        created_at: map.take(&["timestamp"], fields::time),
        ..Message::default()
    };
    let feedback = map.take(&["feedback"], fields::maps).unwrap_or_default();
    for mut one in feedback.into_iter().rev() {
        if message.feedback.is_none() {
            message.feedback = thread::feedback(&mut one, &["type"], &[], &["reason"]);
        }
    }
    let mut parts = Vec::new();
    for raw in map.take(&["attachments"], fields::list).unwrap_or_default() {
        let text =
            fields::map(&raw).and_then(|mut map| map.take(&["parsed_content"], RawJson::text));
        parts.push(match text.filter(|text| !text.is_blank()) {
            Some(text) => Part { raw: Some(raw), ..Part::text(text) },
            None => thread::file_part(&raw, &["content_type"]),
        });
    }
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    let mut messages = vec![message];
    thread::attach(&mut messages, parts);
    messages
}
