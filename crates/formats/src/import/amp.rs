//! Amp's threads, `~/.local/share/amp/threads/T-….json`. There is no specification; the shapes are those of threads that
//! people have shared.
//!
//! The messages have Anthropic's blocks; a result is under `run`, with how it ended.

use retort_json::{Kind, RawJson};
use retort_model::{Conversation, Kind as Held, Message, Role};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::parts;
use super::roles;
use super::session::{self, Step};
use super::sniff::Sniff;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Amp;

/// Fields of messages and blocks that say nothing more than is read.
const KNOWN: [&str; 10] = [
    "messageId",
    "userState",
    "agentMode",
    "meta",
    "state",
    "usage",
    "turnElapsedMs",
    "provider",
    "fileMentions",
    "discoveredGuidanceFiles",
];

impl ImportFormat for Amp {
    fn name(&self) -> &'static str {
        "amp"
    }

    fn about(&self) -> &'static str {
        "Amp's threads: the files below `~/.local/share/amp/threads`"
    }

    fn notes(&self) -> &'static str {
        "Amp keeps a file for each thread below `~/.local/share/amp/threads`; give the folder to Retort as it is. Thinking, \
         calls, results with how they ended, models and tokens are kept. A result is the JSON text of what the tool gave back. \
         The environment and timings are kept as metadata. Written from threads that people have shared."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["v"]) == Some(Kind::Number)
            && sniff.has("id")
            && sniff.kind(&["created"]) == Some(Kind::Number)
            && (sniff.holds(&["messages", "messageId"])
                || (sniff.has("nextMessageId") && !sniff.has_keys(&["messages"])))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["messages"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `messages` in the item")
        })?;
        let mut steps = Vec::with_capacity(list.len());
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            steps.push(step(raw, notes)?);
            notes.under(mark, || format!("messages[{at}]"));
        }
        if steps.iter().all(|step| step.messages.is_empty()) {
            return Ok(Items::default());
        }
        let mut conversation = Conversation {
            id: map.take_id(&["id"]).unwrap_or_default(),
            kind: Held::Agent,
            title: map.take(&["title"], RawJson::text),
            created_at: map.take(&["created"], fields::time),
            ..Conversation::default()
        };
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        session::date(&mut conversation);
        let rest = map.rest();
        notes.unplaced_texts(&rest);
        conversation.metadata = rest;
        Ok(conversation.into())
    }
}

fn step<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Step::default());
    };
    let within = |map: &FieldMap<'a>, field: &str, name: &str| {
        fields::map(map.peek(field)?)?.take(&[name], fields::json)
    };
    let at = within(&map, "meta", "sentAt").or_else(|| within(&map, "usage", "timestamp"));
    let at = at.as_ref().and_then(fields::time);
    let model = within(&map, "usage", "model").and_then(|raw| raw.text());
    let usage = map.peek("usage").map(session::usage_of).unwrap_or_default();
    let ended = within(&map, "state", "stopReason").and_then(|raw| marks::ended(&raw));
    let role = map.peek("role").and_then(RawJson::as_text).unwrap_or_default();
    if roles::role_of(&role).is_none() {
        notes.unplaced(format!("role={}", short(&role)), raw);
    }
    // Results are taken first, so that what is left is a message of Anthropic's.
    let blocks = map.take(&["content"], fields::list);
    let (mut results, mut others) = (Vec::new(), Vec::new());
    for (at, block) in blocks.into_iter().flatten().enumerate() {
        let mark = notes.mark();
        match result(&block, notes)? {
            Some(result) => results.push(result),
            None => others.push(block),
        }
        notes.under(mark, || format!("content[{at}]"));
    }
    let mut messages = results;
    if !others.is_empty() || messages.is_empty() {
        map.put("content", RawJson::array(&others));
        if let Some(raw) = map.rest_object() {
            messages.extend(chat::message_of(&raw, None, &KNOWN, notes)?);
        }
    }
    for message in &mut messages {
        message.created_at = message.created_at.or(at);
        if message.role == Role::Assistant {
            message.finish_reason = message.finish_reason.take().or_else(|| ended.clone());
        }
    }
    Ok(Step { messages, model, usage, ..Step::default() })
}

/// A result, if that is what a block is.
fn result<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Message<'a>>, ItemError> {
    let is_result = |map: &FieldMap<'a>| {
        map.has(&["run"]) && map.peek("type").is_some_and(|kind| kind.as_str() == "\"tool_result\"")
    };
    let Some(mut map) = fields::map(raw).filter(is_result) else { return Ok(None) };
    let mut run = map.take(&["run"], fields::map).unwrap_or_default();
    let status = run.take(&["status"], RawJson::as_text).unwrap_or_default();
    let mut message = Message { role: Role::Tool, ..Message::default() };
    message.tool_call_id = map.take_id(&["toolUseID"]);
    if let Some(result) = run.take(&["result"], fields::json) {
        message.content = parts::result_content(result, notes)?;
    }
    let told = run.take(&["error"], |raw| fields::text_or_under(raw, &["message"]));
    match status.as_str() {
        "done" => {}
        "error" | "cancelled" | "rejected-by-user" => {
            message.error = told.or_else(|| Some(status.into()));
        }
        other => notes.unplaced(format!("run.status={}", short(other)), raw),
    }
    map.take(&["type"], fields::json);
    let mut rest = map.rest();
    fields::put_missing(&mut rest, run.rest());
    notes.unplaced_fields(&rest, &["trackFiles", "progress"], Least::Prose);
    message.metadata = rest;
    Ok(Some(message))
}
