//! LibreChat's export of a conversation as JSON: a flat list of messages that name the one before them, or a tree of them
//! (`recursive`). Written from exports that LibreChat tests its own import with, and from its code
//! (`client/src/hooks/Conversations/useExportConversation.ts`).

use std::collections::HashMap;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Message, Role, Time, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::parts::{self, Segment};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct LibreChat;

/// What first messages name as the one before them.
const ROOT: &str = "00000000-0000-0000-0000-000000000000";

impl ImportFormat for LibreChat {
    fn name(&self) -> &'static str {
        "librechat"
    }

    fn about(&self) -> &'static str {
        "LibreChat's export of a conversation as JSON"
    }

    fn notes(&self) -> &'static str {
        "In LibreChat, a conversation's menu → Export → Filename, type `json` gives one conversation; tick `Export all message \
         branches` for the other answers, too. Both shapes are read, `recursive` or not, and so are the rows of the \
         collection `messages` of its database, as `mongoexport` and `mongodump` write them. Regenerated answers and edits are \
         sibling rounds, and the newest message is shown. Calls become messages with their results, thoughts (`think` parts, or \
         `:::thinking` in the text) the reasoning, `promptPrefix` a system message, thumbs feedback, files parts without \
         their bytes. An answer that is marked as `error` or `unfinished` is never trained on. `exportAt` is only a time of \
         day and stays with the metadata. Written from LibreChat's code and the exports that it tests its import with."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        is_row(sniff)
            || sniff.has("conversationId")
                && ["messages", "messagesTree"]
                    .iter()
                    .any(|list| sniff.holds(&[list, "isCreatedByUser"]))
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        if is_row(&sniff)
            && let Some(key) = sniff.word("conversationId")
        {
            let order = sniff.raw("createdAt").and_then(|raw| fields::micros(&raw)).unwrap_or(0);
            into.push(Fragment { key, order, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let mut map = FieldMap::default();
        if parser.kind()? == Kind::Array {
            let rows = parser.raw()?;
            let first = fields::list(&rows).and_then(|list| fields::map(list.first()?));
            if let Some(id) = first.and_then(|mut row| row.take(&["conversationId"], fields::json))
            {
                map.put("conversationId", id);
            }
            map.put("messages", rows);
        } else {
            map = FieldMap::read(&mut parser, notes)?;
        }
        parser.end()?;
        notes.count(&parser);
        let name = if map.has(&["messages"]) { "messages" } else { "messagesTree" };
        let list = map.take(&[name], fields::list).ok_or_else(unknown)?;
        let options = map.peek("options").and_then(|raw| FieldMap::of(raw, notes));
        let mut options = options.unwrap_or_default();
        let mut conversation = Conversation {
            id: map.take_id(&["conversationId"]).unwrap_or_default(),
            title: map.take(&["title"], RawJson::text),
            model: options.take(&["model"], RawJson::text),
            created_at: map.take(&["createdAt"], fields::time),
            updated_at: map.take(&["updatedAt"], fields::time),
            ..Conversation::default()
        };
        let (turns, paths) = turns(list, name, notes)?;
        let newest = newest(&turns);
        let path = |at: usize| {
            paths.get(at).map(|path| format!("{path}.parentMessageId")).unwrap_or_default()
        };
        thread::grow(turns, newest.as_ref(), &mut conversation, notes, path);
        let prompt = ["promptPrefix", "instructions", "system"];
        thread::instruct(&mut conversation, options.take(&prompt, RawJson::text));
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no list of `messages` in the item")
}

/// Whether it is a message from the database of LibreChat.
fn is_row(sniff: &Sniff<'_>) -> bool {
    ["messageId", "conversationId", "isCreatedByUser"].iter().all(|key| sniff.has(key))
}

/// The newest message anywhere in a tree, which is the one shown. A message without a time has the time of its parent.
fn newest<'a>(turns: &[Turn<'a>]) -> Option<Text<'a>> {
    let mut times: HashMap<&str, Option<Time>> = HashMap::new();
    let mut newest = None;
    for turn in turns {
        let own = turn.messages.iter().filter_map(|one| one.created_at).max();
        let before = turn.links.parent.as_ref().and_then(|id| *times.get(id.as_written())?);
        let time = own.or(before);
        times.insert(turn.links.id.as_written(), time);
        if newest.as_ref().is_none_or(|(before, _)| *before <= time) {
            newest = Some((time, turn.links.id.clone()));
        }
    }
    newest.map(|(_, id)| id)
}

/// The messages, and where each is. Without recursion, as a tree may be as deep as JSON may.
fn turns<'a>(
    list: Vec<RawJson<'a>>,
    name: &str,
    notes: &mut Notes,
) -> Result<(Vec<Turn<'a>>, Vec<String>), ItemError> {
    let path = |at: usize, above: &str| format!("{above}[{at}]");
    let mut waiting: Vec<(RawJson<'a>, Option<Text<'a>>, String)> =
        list.into_iter().enumerate().map(|(at, raw)| (raw, None, path(at, name))).rev().collect();
    let (mut turns, mut paths) = (Vec::new(), Vec::new());
    while let Some((raw, above, place)) = waiting.pop() {
        let mark = notes.mark();
        match FieldMap::of(&raw, notes) {
            Some(mut map) => {
                let children = map.take(&["children"], fields::list).unwrap_or_default();
                let turn = turn(map, above, notes)?;
                let id = &turn.links.id;
                let below = children.into_iter().enumerate().map(|(at, raw)| {
                    (raw, Some(id.clone()), path(at, &format!("{place}.children")))
                });
                waiting.extend(below.collect::<Vec<_>>().into_iter().rev());
                turns.push(turn);
            }
            None => {
                notes.unplaced("", &raw);
                turns.push(Turn::default());
            }
        }
        notes.under(mark, || place.clone());
        paths.push(place);
    }
    Ok((turns, paths))
}

/// Fields of messages that say nothing more than is read.
const KNOWN: [&str; 4] = ["iconURL", "clientId", "thread_id", "manualSkills"];

fn turn<'a>(
    mut map: FieldMap<'a>,
    above: Option<Text<'a>>,
    notes: &mut Notes,
) -> Result<Turn<'a>, ItemError> {
    let id = map.peek("messageId").and_then(fields::id).unwrap_or_default();
    let parent = map.peek("parentMessageId").and_then(fields::id).filter(|id| *id != *ROOT);
    let links = Links { id, parent: parent.or(above), children: Vec::new() };
    let asks = map.take(&["isCreatedByUser"], fields::json);
    let role = match asks.as_ref().map(RawJson::as_str) {
        Some("true") => Role::User,
        Some("false") => Role::Assistant,
        _ => Role::Other,
    };
    let mut message = Message { role, ..Message::default() };
    if role == Role::Other {
        let raw = map.peek("sender").cloned().unwrap_or(RawJson::null());
        message.source_role = raw.text().or_else(|| Some(Text::default()));
        notes.unplaced("isCreatedByUser", &asks.unwrap_or(raw));
    }
    message.created_at = map.take(&["createdAt"], fields::time);
    let model = map.take(&["model"], RawJson::text).filter(|_| role == Role::Assistant);
    let mut segments = Vec::new();
    for list in ["files", "image_urls"] {
        for raw in map.take(&[list], fields::list).unwrap_or_default() {
            segments.push(Segment::Part(thread::file_part(&raw, &["type"])));
        }
    }
    let content = map.take(&["content"], fields::list).unwrap_or_default();
    for (at, raw) in content.iter().enumerate() {
        let mark = notes.mark();
        part(raw, &mut message, &mut segments, notes)?;
        notes.under(mark, || format!("content[{at}]"));
    }
    if let Some(text) = map.take(&["text"], RawJson::text).filter(|text| !text.is_blank()) {
        let said: String = segments.iter().filter_map(text_of).collect();
        if said.is_empty() {
            segments.extend(thoughts(text));
        } else if said.trim() != text.decoded().trim() {
            // It says something else than the parts, or the same once more.
            notes.unplaced("text", &RawJson::string(&text.decoded()));
        }
    }
    if message.error.is_none() && map.is_true("error") {
        message.error = Some("failed".into());
    }
    let unfinished = map.is_true("unfinished").then(|| Text::from("unfinished"));
    message.finish_reason = map.take(&["finish_reason"], RawJson::text).or(unfinished);
    let feedback = map.take(&["feedback"], fields::map);
    message.feedback =
        feedback.and_then(|mut map| thread::feedback(&mut map, &["rating"], &["tag"], &["text"]));
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    Ok(Turn { links, model, ..Turn::of(message, segments) })
}

fn text_of(segment: &Segment<'_>) -> Option<String> {
    let Segment::Part(part) = segment else { return None };
    let is_file = part.raw.is_some() && part.text.is_none();
    part.text.as_ref().filter(|_| !is_file).map(|text| text.decoded().into_owned())
}

/// A text, in front of which older versions put the thoughts.
fn thoughts(text: Text<'_>) -> Vec<Segment<'_>> {
    let whole = text.decoded();
    let inside =
        whole.trim_start().strip_prefix(":::thinking").and_then(|rest| rest.split_once("\n:::"));
    let Some((thoughts, answer)) = inside else {
        return vec![Segment::text(text)];
    };
    let reasoning = Segment::Reasoning(thoughts.trim().to_owned().into());
    let answer = answer.trim_start().to_owned();
    let answer = (!answer.is_empty()).then(|| Segment::text(answer.into()));
    [reasoning].into_iter().chain(answer).collect()
}

/// Reads a part of a message.
fn part<'a>(
    raw: &RawJson<'a>,
    message: &mut Message<'a>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        return parts::segments_of(raw, notes, segments);
    };
    let kind = map.peek("type").and_then(RawJson::as_text).unwrap_or_default();
    match kind.as_str() {
        "think" => match map.take(&["think"], value) {
            Some(text) => segments.push(Segment::Reasoning(text)),
            None => notes.unplaced("think", raw),
        },
        "text" => match map.take(&["text"], value) {
            Some(text) if text.is_empty() => {}
            Some(text) => segments.push(Segment::text(text)),
            None => notes.unplaced("text", raw),
        },
        "tool_call" => {
            let call = map.take(&["tool_call"], fields::map);
            let Some(mut call) = call.filter(|call| call.has(&["name"])) else {
                notes.unplaced("type=tool_call", raw);
                return Ok(());
            };
            let output = call.take(&["output"], fields::json);
            let made = ToolCall {
                id: call.take_id(&["id"]).unwrap_or_default(),
                name: call.take(&["name"], RawJson::text).unwrap_or_default(),
                arguments: call.take(&["args", "arguments"], fields::words).unwrap_or_default(),
                metadata: call.rest(),
            };
            notes.unplaced_fields(&made.metadata, &["auth", "progress"], Least::Prose);
            segments.push(thread::ran(made, output, None, notes)?);
        }
        "error" => message.error = map.take(&["error", "text"], value).or(Some("failed".into())),
        "agent_update" => segments.push(Segment::Kept("parts", raw.clone())),
        "" => notes.unplaced(format!("type={}", short(&kind)), raw),
        _ => parts::segments_of(raw, notes, segments)?,
    }
    Ok(())
}

/// A text, or `{"value": …}`.
fn value<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    fields::text_or_under(raw, &["value"])
}
