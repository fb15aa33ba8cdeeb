//! LM Studio's files of conversations (`*.conversation.json`). There is no specification; written from public code that reads
//! them.
//!
//! A message has versions, one of which is shown. An answer is a list of steps: blocks of content, some of them thoughts, and
//! blocks with calls and results.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Message, Role, Status};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::parts::{self, Segment};
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct LmStudio;

impl ImportFormat for LmStudio {
    fn name(&self) -> &'static str {
        "lm-studio"
    }

    fn about(&self) -> &'static str {
        "LM Studio's conversations: the files `*.conversation.json`"
    }

    fn notes(&self) -> &'static str {
        "LM Studio keeps a file for each conversation in `~/.lmstudio/conversations`: give Retort the folder. Versions \
         of a message are sibling rounds; the selected one is shown. Thinking blocks become the reasoning, calls and \
         results messages, the system prompt a system message. Statistics of the generation are kept as metadata. \
         Written from public code that reads such files, as no specification is public; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["messages", "versions"]) == Some(Kind::Array)
            && sniff.holds(&["messages", "currentlySelected"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["messages"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `messages` in the item")
        })?;
        let mut conversation = Conversation {
            title: map.take(&["name"], RawJson::text),
            created_at: map.take(&["createdAt"], fields::time),
            updated_at: map.take(&["assistantLastMessagedAt", "userLastMessagedAt"], fields::time),
            ..Conversation::default()
        };
        if map.is_true("pinned") {
            conversation.status = Status::Favorite;
        }
        let model = map.peek("lastUsedModel").and_then(|raw| FieldMap::of(raw, notes));
        conversation.model = model
            .and_then(|mut map| map.take(&["indexedModelIdentifier", "identifier"], RawJson::text));
        let (mut turns, mut paths) = (Vec::new(), Vec::new());
        let mut above = None;
        for (at, raw) in list.iter().enumerate() {
            let message = FieldMap::of(raw, notes);
            let Some(mut message) = message else {
                notes.unplaced(format!("messages[{at}]"), raw);
                continue;
            };
            let selected = message.take(&["currentlySelected"], fields::count).unwrap_or(0);
            let versions = message.take(&["versions"], fields::list).unwrap_or_default();
            let mut shown = None;
            for (version, raw) in versions.iter().enumerate() {
                let mark = notes.mark();
                let path = format!("messages[{at}].versions[{version}]");
                let mut turn = turn(raw, notes)?;
                notes.under(mark, || path.clone());
                let id: Text<'a> = format!("{at}.{version}").into();
                if u64::try_from(version) == Ok(selected) {
                    shown = Some(id.clone());
                }
                turn.links = Links { id, parent: above.clone(), children: Vec::new() };
                turns.push(turn);
                paths.push(path);
            }
            above = shown.or(above);
            notes.unplaced_fields(&message.rest(), &[], Least::Prose);
        }
        let path = |at: usize| paths.get(at).cloned().unwrap_or_default();
        thread::grow(turns, above.as_ref(), &mut conversation, notes, path);
        thread::instruct(&mut conversation, map.take(&["systemPrompt"], RawJson::text));
        conversation.metadata = map.rest();
        let known = ["usePerChatPredictionConfig", "perChatPredictionConfig", "plugins", "notes"];
        notes.unplaced_fields(&conversation.metadata, &known, Least::Prose);
        Ok(conversation.into())
    }
}

fn turn<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Turn::default());
    };
    let word = map.take(&["role"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    if who == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("role={}", short(&word)), raw);
    }
    let mut message = Message { role: who, source_role, ..Message::default() };
    let mut segments = Vec::new();
    let content = map.take(&["content"], |raw| fields::list(raw).map(|_| raw.clone()));
    if let Some(raw) = content {
        let mark = notes.mark();
        contents(&raw, &mut segments, notes)?;
        notes.under(mark, || "content".into());
    }
    let mut model = None;
    for (at, raw) in map.take(&["steps"], fields::list).unwrap_or_default().iter().enumerate() {
        let mark = notes.mark();
        let Some(mut step) = FieldMap::of(raw, notes) else {
            notes.unplaced(format!("steps[{at}]"), raw);
            continue;
        };
        let kind = step.peek("type").and_then(RawJson::as_text).unwrap_or_default();
        match kind.as_str() {
            "contentBlock" => {
                let style = step.peek("style").and_then(|raw| FieldMap::of(raw, notes));
                let style = style.and_then(|mut map| map.take(&["type"], RawJson::text));
                let from = segments.len();
                if let Some(raw) = step.take(&["content"], fields::json) {
                    contents(&raw, &mut segments, notes)?;
                }
                if style.is_some_and(|style| style == *"thinking") {
                    for segment in segments.iter_mut().skip(from) {
                        if let Segment::Part(part) = segment
                            && let Some(text) = part.text.take()
                        {
                            *segment = Segment::Reasoning(text);
                        }
                    }
                }
                let about = step.peek("genInfo").and_then(|raw| FieldMap::of(raw, notes));
                model =
                    about.and_then(|mut map| map.take(&["identifier"], RawJson::text)).or(model);
                notes.unplaced_fields(
                    &step.rest(),
                    &["genInfo", "style", "prefix", "suffix"],
                    Least::Prose,
                );
            }
            "debugInfoBlock" | "status" => {}
            _ => notes.unplaced(format!("type={}", short(&kind)), raw),
        }
        segments.push(Segment::Kept("steps", raw.clone()));
        notes.under(mark, || format!("steps[{at}]"));
    }
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &["preprocessed", "senderInfo"], Least::Prose);
    Ok(Turn { model, ..Turn::of(message, segments) })
}

/// Reads contents: texts, files, and the calls and results of tools.
fn contents<'a>(
    raw: &RawJson<'a>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    for (at, raw) in fields::list(raw).unwrap_or_default().iter().enumerate() {
        let mark = notes.mark();
        let map = FieldMap::of(raw, notes);
        let kind = map.as_ref().and_then(|map| map.peek("type")?.as_text()).unwrap_or_default();
        match (kind.as_str(), map) {
            ("toolCallRequest", Some(mut map)) => {
                let call = retort_model::ToolCall {
                    id: map.take_id(&["toolCallRequestId", "callId"]).unwrap_or_default(),
                    name: map.take(&["name"], RawJson::text).unwrap_or_default(),
                    arguments: map
                        .take(&["parameters", "arguments"], fields::words)
                        .unwrap_or_default(),
                    metadata: map.rest(),
                };
                segments.push(Segment::Call(call));
            }
            ("toolCallResult", Some(mut map)) => {
                let content = map.take(&["content"], fields::json);
                let content = content.map(|raw| parts::result_content(raw, notes)).transpose()?;
                segments.push(Segment::Result(Message {
                    role: Role::Tool,
                    tool_call_id: map.take_id(&["toolCallRequestId", "toolCallId", "callId"]),
                    content: content.flatten(),
                    metadata: map.rest(),
                    ..Message::default()
                }));
            }
            _ => parts::segments_of(raw, notes, segments)?,
        }
        notes.under(mark, || format!("[{at}]"));
    }
    Ok(())
}
