//! Cursor's agent transcripts: `~/.cursor/projects/PROJECT/agent-transcripts/….jsonl`. There is no specification; the
//! shapes are those of transcripts that people have shared. They hold no results of calls, unless another tool added
//! them.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held};

use super::chat;
use super::definitions;
use super::draft::unknown_role;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Cursor;

impl ImportFormat for Cursor {
    fn name(&self) -> &'static str {
        "cursor"
    }

    fn about(&self) -> &'static str {
        "Cursor's agent transcripts: the JSONL files below `~/.cursor/projects/*/agent-transcripts`"
    }

    fn notes(&self) -> &'static str {
        "Cursor keeps transcripts of its agent below `~/.cursor/projects/PROJECT/agent-transcripts`. They contain \
         questions, answers and calls; they contain results only if another tool added them, so most calls have no \
         result. Models and tools are kept if the first line names them."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_role =
            sniff.text(&["role"]).is_some_and(|role| matches!(&*role, "user" | "assistant"));
        (is_role
            && sniff.kind(&["message"]) == Some(Kind::Object)
            && sniff.holds(&["message", "content"])
            && !sniff.holds(&["content"]))
            || sniff.text(&["type"]).is_some_and(|kind| kind.starts_with("cursor_"))
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let (mut steps, mut events, mut tools) = (Vec::new(), Vec::new(), Vec::new());
        for (at, line) in session::lines(text, notes)?.into_iter().enumerate() {
            let session::Line { raw, mut map } = line;
            let mark = notes.mark();
            let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
            match &*kind.decoded() {
                "cursor_session_meta" => {
                    conversation.id = map.take_id(&["session_id", "id"]).unwrap_or_default();
                    conversation.model = map.take(&["model"], RawJson::text);
                    conversation.title = map.take(&["title", "name"], RawJson::text);
                    conversation.metadata = map.rest();
                }
                "cursor_available_tools" => {
                    let listed = map.take(&["tools"], fields::list).unwrap_or_default();
                    tools.extend(definitions::definitions(listed, notes));
                }
                _ if map.has(&["role"]) && map.has(&["message"]) => {
                    steps.push(said(map, notes)?);
                }
                "turn_ended" | "turn_started" => events.push(raw),
                other => {
                    notes.unplaced(format!("type={}", short(other)), &raw);
                    events.push(raw);
                }
            }
            notes.under(mark, || format!("lines[{at}]"));
        }
        if steps.is_empty() {
            return Err(session::without_messages());
        }
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        if let Some(first) = conversation.rounds.first_mut() {
            first.tools = tools;
        }
        session::keep_events(&mut conversation, &events);
        session::date(&mut conversation);
        Ok(conversation.into())
    }
}

fn said<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let word = map.take(&["role"], RawJson::text);
    let role = match &*word.as_ref().map(Text::decoded).unwrap_or_default() {
        "assistant" => "assistant",
        "system" => "system",
        "user" => "user",
        _ => {
            unknown_role(word.as_ref(), notes);
            "user"
        }
    };
    let message = map.take(&["message"], fields::object).unwrap_or(RawJson::null());
    let at = map.take(&["timestamp"], fields::time);
    let mark = notes.mark();
    let mut messages = chat::message_of(&message, Some(role), &[], notes)?;
    notes.under(mark, || "message".into());
    let rest = map.rest();
    notes.unplaced_fields(&rest, &[], Least::Prose);
    if let Some(first) = messages.first_mut() {
        first.metadata.extend(rest);
    }
    for message in &mut messages {
        message.created_at = message.created_at.or(at);
    }
    Ok(Step { messages, ..Step::default() })
}
