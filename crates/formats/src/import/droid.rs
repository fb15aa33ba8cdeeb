//! Sessions of Factory's Droid: `~/.factory/sessions/….jsonl`. There is no specification; the shapes are those of sessions
//! that people have shared.
//!
//! Behind a `session_start` stand messages with Anthropic's blocks, each with the id of the one before.

use retort_json::RawJson;
use retort_model::{Conversation, Kind as Held, Message, Role};

use super::chat;
use super::fields;
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Droid;

/// Fields of messages that say nothing more than is read.
const KNOWN: [&str; 4] = [
    "openaiMessageId",
    "chatCompletionReasoningField",
    "chatCompletionReasoningContent",
    "visibility",
];

/// What Droid says in the person's name when they stopped the model.
const STOPS: [&str; 2] = ["Request interrupted by user", "[Request interrupted by user]"];

impl ImportFormat for Droid {
    fn name(&self) -> &'static str {
        "droid"
    }

    fn about(&self) -> &'static str {
        "Sessions of Factory's Droid: the JSONL files below `~/.factory/sessions`"
    }

    fn notes(&self) -> &'static str {
        "Droid keeps its sessions below `~/.factory/sessions`; give the folder to Retort as it is (the settings beside \
         a session are skipped). Calls, results, errors and thinking are kept; lists of things to do are kept under \
         `events`. The summary of a compaction follows what it sums up."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.text(&["type"]).as_deref() == Some("session_start") && sniff.holds(&["id"])
    }

    fn side_files(&self) -> Option<&'static super::format::SideFiles> {
        Some(&super::format::SideFiles {
            items: &["*.jsonl"],
            read: &[],
            ignored: &["*.settings.json"],
        })
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let (mut steps, mut events) = (Vec::new(), Vec::new());
        for (at, line) in session::lines(text, notes)?.into_iter().enumerate() {
            let session::Line { raw, mut map } = line;
            let mark = notes.mark();
            let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
            let time = map.peek("timestamp").and_then(fields::time);
            let links = Links {
                id: map.peek("id").and_then(fields::id).unwrap_or_default(),
                parent: map.peek("parentId").and_then(fields::id),
                children: Vec::new(),
            };
            match &*kind.decoded() {
                "session_start" => {
                    conversation.id = map.take_id(&["id"]).unwrap_or_default();
                    conversation.title = map.take(&["sessionTitle", "title"], RawJson::text);
                    conversation.owner = map.take(&["owner"], RawJson::text);
                    conversation.metadata = map.rest();
                }
                "message" => {
                    let Some(message) = map.take(&["message"], fields::object) else {
                        notes.unplaced("message", &raw);
                        continue;
                    };
                    let mut messages = chat::message_of(&message, None, &KNOWN, notes)?;
                    notes.under(mark, || "message".into());
                    let is_stop = messages.last().is_some_and(|message| {
                        message.role == Role::User
                            && STOPS.contains(&message.words().decoded().trim())
                    });
                    let before =
                        steps.last_mut().and_then(|step: &mut Step<'_>| step.messages.last_mut());
                    if let Some(answer) =
                        before.filter(|one| is_stop && one.role == Role::Assistant)
                    {
                        session::interrupt(answer);
                    }
                    for message in &mut messages {
                        message.created_at = message.created_at.or(time);
                    }
                    let rest = map.rest();
                    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
                    if let Some(first) = messages.first_mut() {
                        first.metadata.extend(rest);
                    }
                    steps.push(Step { links, messages, ..Step::default() });
                }
                "compaction_state" => {
                    let text = map.take(&["summaryText", "summary"], RawJson::text);
                    let message = text.map(|text| Message {
                        source_role: Some(kind.clone()),
                        created_at: time,
                        metadata: map.rest(),
                        ..Message::text(Role::User, text)
                    });
                    steps.push(Step {
                        links,
                        messages: message.into_iter().collect(),
                        ..Step::default()
                    });
                }
                "todo_state" | "session_end" => events.push(raw),
                other => {
                    notes.unplaced(format!("type={}", short(other)), &raw);
                    events.push(raw);
                }
            }
            notes.under(mark, || format!("lines[{at}]"));
        }
        // What the harness tells the model first is beside the chain of messages.
        chain_roots(&mut steps);
        session::finish(&mut conversation, steps)?;
        session::keep_events(&mut conversation, &events);
        Ok(conversation.into())
    }
}

/// A message without one before it follows the one that comes before it.
fn chain_roots(steps: &mut [Step<'_>]) {
    let mut before = None;
    for step in steps {
        if step.links.parent.is_none() {
            step.links.parent = before.take();
        }
        before = Some(step.links.id.clone());
    }
}
