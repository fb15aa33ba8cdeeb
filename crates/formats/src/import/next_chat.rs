//! NextChat's (ChatGPT-Next-Web's) backup of all sessions. Written from its code (`app/store/chat.ts` and `app/store/sync.ts`).

use retort_json::{RawJson, Text};
use retort_model::{Conversation, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::parts::Segment;
use super::sniff::Sniff;
use super::thread::{self, Turn};

/// The format.
pub(super) struct NextChat;

const STORE: &str = "chat-next-web-store";

impl ImportFormat for NextChat {
    fn name(&self) -> &'static str {
        "next-chat"
    }

    fn about(&self) -> &'static str {
        "NextChat's backup of all sessions"
    }

    fn notes(&self) -> &'static str {
        "In NextChat, Settings → Local data → Export saves one file. The messages of a session's mask come before its \
         own messages; tools that ran become calls and results; an answer marked as an error is never trained on. The \
         summary of what was said so far (`memoryPrompt`) is kept as metadata, settings and masks are dropped. Written \
         from NextChat's code; no real backup was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&[STORE, "sessions"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map
            .take(&[STORE], fields::object_within)
            .and_then(|raw| FieldMap::of(&raw, notes)?.take(&["sessions"], fields::list))
            .ok_or_else(|| {
                let why = "no `sessions` under `chat-next-web-store`";
                ItemError::new(Refusal::UnknownShape, 0, why)
            })?;
        thread::each(&list, "sessions", notes, session)
    }
}

/// Fields that say nothing that a person or the model said.
const KNOWN: [&str; 4] = ["tools", "streaming", "isError", "audio_url"];

fn session<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
    let mask = map.take(&["mask"], fields::map);
    let mut mask = mask.unwrap_or_default();
    let first = mask.take(&["context"], fields::list).unwrap_or_default();
    let list = map.take(&["messages"], fields::list).unwrap_or_default();
    let mut turns = Vec::with_capacity(first.len() + list.len());
    for (name, list) in [("mask.context", &first), ("messages", &list)] {
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            turns.push(turn(raw, notes)?);
            notes.under(mark, || format!("{name}[{at}]"));
        }
    }
    let settings = mask.peek("modelConfig").and_then(|raw| FieldMap::of(raw, notes));
    let mut conversation = Conversation {
        id: map.take_id(&["id"]).unwrap_or_default(),
        title: map.take(&["topic"], RawJson::text),
        model: settings.and_then(|mut settings| settings.take(&["model"], RawJson::text)),
        updated_at: map.take(&["lastUpdate"], fields::time),
        ..Conversation::default()
    };
    thread::grow(turns, None, &mut conversation, notes, |at| format!("messages[{at}]"));
    conversation.metadata = map.rest();
    if let Some(rest) = mask.rest_object() {
        conversation.metadata.put("mask".into(), rest);
    }
    Ok(conversation)
}

fn turn<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let mut turn = Turn::plain(thread::message(raw, &KNOWN, notes)?);
    turn.model = turn.messages.iter().find_map(|message| {
        message.metadata.get("model").filter(|_| message.role == Role::Assistant)?.text()
    });
    let ran = thread::take(&mut turn.messages, "tools", fields::list).unwrap_or_default();
    if let [message] = turn.messages.as_mut_slice() {
        let said = message.metadata.get("date").and_then(RawJson::as_text);
        message.created_at = message.created_at.or_else(|| retort_model::Time::parse_any(&said?));
        if message.metadata.get("isError").is_some_and(|raw| raw.as_str() == "true") {
            message.error = Some("failed".into());
        }
        if ran.is_empty() {
            return Ok(turn);
        }
        // What ran before the answer.
        let mut message = std::mem::take(message);
        let mut segments = Vec::new();
        for (at, raw) in ran.iter().enumerate() {
            let mark = notes.mark();
            match tool(raw, notes)? {
                Some(segment) => segments.push(segment),
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || format!("tools[{at}]"));
        }
        let content = message.content.take().map(|content| content.text().into_owned());
        let text = content.filter(|text| !text.is_empty());
        segments.extend(text.map(Segment::text));
        turn.messages = Turn::of(message, segments).messages;
    }
    Ok(turn)
}

/// A tool that ran: OpenAI's call, and the result as `content` or `errorMsg`.
fn tool<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Segment<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else { return Ok(None) };
    let function = map.take(&["function"], fields::map);
    let Some(mut function) = function else { return Ok(None) };
    let Some(name) = function.take(&["name"], RawJson::text) else { return Ok(None) };
    let failed = map.take(&["isError"], fields::json).is_some_and(|raw| raw.as_str() == "true");
    let output = map.take(&["content"], fields::json);
    let error = map.take(&["errorMsg"], RawJson::text).filter(|text| !text.is_blank());
    let call = ToolCall {
        id: map.take_id(&["id"]).unwrap_or_default(),
        name,
        arguments: function.take(&["arguments"], fields::words).unwrap_or_default(),
        metadata: map.rest(),
    };
    let error = error.or_else(|| failed.then(|| Text::from("failed")));
    Ok(Some(thread::ran(call, output, error, notes)?))
}
