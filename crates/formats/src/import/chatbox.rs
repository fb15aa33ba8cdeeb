//! Chatbox's backup of all sessions. Written from its code (`src/shared/types/session.ts`).
//!
//! A session has a list of messages, older threads of its own, and forks: for a message, the lists that once came behind it.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Message, Role, Status, Usage};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::parts::{self, Segment};
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Chatbox;

impl ImportFormat for Chatbox {
    fn name(&self) -> &'static str {
        "chatbox"
    }

    fn about(&self) -> &'static str {
        "Chatbox's backup of all sessions"
    }

    fn notes(&self) -> &'static str {
        "In Chatbox, Settings → General → Data Backup saves one file; tick the conversation history. Threads of a \
         session are conversations of their own, named `SESSION#THREAD`; forks of a message are sibling rounds. Tool \
         parts become calls and results, reasoning parts the reasoning, pictures, files and links parts without their \
         bytes. What Chatbox itself noted (`info` parts) is kept as metadata; settings, keys and copilots are dropped. \
         Written from Chatbox's code; no real backup was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["chat-sessions-list"]) == Some(Kind::Array)
            || sniff.holds(&["chat-sessions", "messages"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if let Some(list) = map.take(&["chat-sessions"], fields::list) {
            return sessions(list.iter().map(|raw| ("chat-sessions", raw)), notes);
        }
        let stored = map.rest();
        let is_session = |key: &Text<'_>| key.decoded().starts_with("session:");
        if !stored.iter().any(|(key, _)| is_session(key) || *key == *"chat-sessions-list") {
            let why = "no `chat-sessions-list` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        let all = stored.iter().filter(|(key, _)| is_session(key));
        let names: Vec<_> = all.clone().map(|(key, _)| key.decoded()).collect();
        sessions(names.iter().map(|name| &**name).zip(all.map(|(_, raw)| raw)), notes)
    }
}

fn sessions<'a, 's>(
    all: impl Iterator<Item = (&'s str, &'s RawJson<'a>)>,
    notes: &mut Notes,
) -> Result<Items<'a>, ItemError>
where
    'a: 's,
{
    let mut items = Items::default();
    for (name, raw) in all {
        let mark = notes.mark();
        let Some(mut map) = FieldMap::of(raw, notes) else { continue };
        let threads = map.take(&["threads"], fields::list).unwrap_or_default();
        let id = map.peek("id").and_then(fields::id).unwrap_or_default();
        let mut found = vec![conversation(map, notes)?];
        for (at, raw) in threads.iter().enumerate() {
            let mark = notes.mark();
            let Some(map) = FieldMap::of(raw, notes) else { continue };
            let mut thread = conversation(map, notes)?;
            notes.under(mark, || format!("threads[{at}]"));
            thread.id = format!("{}#{}", id.decoded(), thread.id.decoded()).into();
            found.push(thread);
        }
        notes.under(mark, || name.to_owned());
        let unplaced = notes.since(mark);
        for mut conversation in found {
            // A session with its threads is looked at as one.
            conversation.not_understood.clone_from(&unplaced);
            items.push(conversation);
        }
    }
    Ok(items)
}

fn conversation<'a>(
    mut map: FieldMap<'a>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let list = map.take(&["messages"], fields::list).unwrap_or_default();
    let forks = map.take(&["messageForksHash"], fields::map);
    let mut conversation = Conversation {
        id: map.take_id(&["id"]).unwrap_or_default(),
        title: map.take(&["name"], RawJson::text),
        created_at: map.take(&["createdAt"], fields::time),
        ..Conversation::default()
    };
    if map.is_true("starred") {
        conversation.status = Status::Favorite;
    }
    let (mut turns, mut paths) = (Vec::new(), Vec::new());
    let mut chain =
        |list: &[RawJson<'a>], above: Option<Text<'a>>, name: &str, notes: &mut Notes| {
            let mut above = above;
            for (at, raw) in list.iter().enumerate() {
                let mark = notes.mark();
                let mut turn = turn(raw, notes)?;
                let path = format!("{name}[{at}]");
                notes.under(mark, || path.clone());
                if turn.links.id.is_empty() {
                    turn.links.id = path.clone().into();
                }
                turn.links.parent = above.replace(turn.links.id.clone());
                turns.push(turn);
                paths.push(path);
            }
            Ok::<_, ItemError>(())
        };
    // What came behind a message before, then what is shown.
    let forks = forks.unwrap_or_default().rest();
    chain(&list, None, "messages", notes)?;
    for (id, raw) in &forks {
        let lists = FieldMap::of(raw, notes).and_then(|mut map| map.take(&["lists"], fields::list));
        for (at, raw) in lists.unwrap_or_default().iter().enumerate() {
            let list =
                FieldMap::of(raw, notes).and_then(|mut map| map.take(&["messages"], fields::list));
            let name = format!("messageForksHash.{}.lists[{at}].messages", short(&id.decoded()));
            chain(&list.unwrap_or_default(), Some(id.clone()), &name, notes)?;
        }
    }
    let current =
        list.len().checked_sub(1).and_then(|at| turns.get(at)).map(|turn| turn.links.id.clone());
    let path = |at: usize| paths.get(at).cloned().unwrap_or_default();
    thread::grow(turns, current.as_ref(), &mut conversation, notes, path);
    conversation.metadata = map.rest();
    Ok(conversation)
}

/// Fields of messages that say nothing that a person or the model said.
const KNOWN: [&str; 6] =
    ["aiProvider", "errorExtra", "status", "style", "tokenCountMap", "searchResults"];

fn turn<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Turn::default());
    };
    let id = map.peek("id").and_then(fields::id).unwrap_or_default();
    let word = map.take(&["role"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    if who == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("role={}", short(&word)), raw);
    }
    let mut message = Message { role: who, source_role, ..Message::default() };
    message.created_at = map.take(&["timestamp"], fields::time);
    message.name = map.take(&["name"], RawJson::text).filter(|name| !name.is_empty());
    message.finish_reason = map.take(&["finishReason"], marks::ended);
    message.error = map.take(&["error"], RawJson::text).filter(|text| !text.is_empty());
    if map.is_true("generating") {
        message.finish_reason = Some("unfinished".into());
    }
    let mut segments = Vec::new();
    for name in ["files", "links", "pictures"] {
        for raw in map.take(&[name], fields::list).unwrap_or_default() {
            let mut part = thread::file_part(&raw, &["fileType"]);
            if name == "pictures" {
                part.kind = retort_model::PartKind::Image;
            }
            segments.push(Segment::Part(part));
        }
    }
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_empty());
    segments.extend(map.take(&["reasoningContent"], text).map(Segment::Reasoning));
    let list = map.take(&["contentParts"], fields::list).unwrap_or_default();
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        let kind = FieldMap::of(raw, notes).and_then(|map| map.peek("type")?.as_text());
        if kind.as_deref() == Some("info") {
            segments.push(Segment::Kept("info", raw.clone()));
        } else if kind.as_deref() == Some("tool-call") {
            let map = FieldMap::of(raw, notes).unwrap_or_default();
            if !parts::invocation(map, None, notes, &mut segments)? {
                notes.unplaced("", raw);
            }
        } else {
            parts::segments_of(raw, notes, &mut segments)?;
        }
        notes.under(mark, || format!("contentParts[{at}]"));
    }
    // Older backups have a text.
    let content = map.take(&["content"], text).filter(|_| list.is_empty());
    segments.extend(content.map(Segment::text));
    let usage = map.peek("usage").and_then(|raw| FieldMap::of(raw, notes));
    let usage = usage.map(|mut map| Usage {
        input_tokens: map.take(&["inputTokens", "promptTokens"], fields::count),
        output_tokens: map.take(&["outputTokens", "completionTokens"], fields::count),
    });
    let model = map.peek("model").and_then(RawJson::text).filter(|_| who == Role::Assistant);
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    let links = Links { id, ..Links::default() };
    Ok(Turn { links, model, usage: usage.unwrap_or_default(), ..Turn::of(message, segments) })
}
