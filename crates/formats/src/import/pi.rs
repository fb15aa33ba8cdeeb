//! Pi's sessions: `~/.pi/agent/sessions/PROJECT/….jsonl`, and those of OpenClaw, which is built on it. Source: the shapes
//! of `packages/coding-agent` of `badlogic/pi-mono`, versions 1 to 3.
//!
//! Behind a line about the session stand entries, since version 2 with an id and the id of the one before, so that a
//! session is a tree. What another session said, from which this one branched, is older than it.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Content, Conversation, Kind as Held, Message, Role, Time};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Line, Step};
use super::sniff::{Entry, Sniff};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Pi;

impl ImportFormat for Pi {
    fn name(&self) -> &'static str {
        "pi"
    }

    fn about(&self) -> &'static str {
        "Sessions of Pi and OpenClaw: the JSONL files below `~/.pi/agent/sessions`"
    }

    fn notes(&self) -> &'static str {
        "Pi keeps its sessions below `~/.pi/agent/sessions`, OpenClaw below `~/.openclaw/agents`; give the folder to \
         Retort as it is. Versions 1 to 3 are read; branches are sibling rounds. Calls, results, errors, thinking, \
         models and tokens are kept. Summaries of compactions and branches follow what they sum up. A command that the \
         person ran is written as Pi shows it to the model. What a branched session repeats from the earlier one is \
         context (`train: false`)."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        match sniff.text(&["type"]).as_deref() {
            Some("session") => {
                sniff.holds(&["id"])
                    && !sniff.holds(&["harness"])
                    && (sniff.holds(&["cwd"]) || sniff.holds(&["version"]))
            }
            Some("message") => {
                sniff.kind(&["message"]) == Some(Kind::Object)
                    && sniff.holds(&["message", "role"])
                    && sniff.holds(&["timestamp"])
                    && (sniff.holds(&["message", "api"])
                        || sniff.holds(&["message", "toolCallId"])
                        || sniff.holds(&["message", "timestamp"]))
            }
            _ => false,
        }
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        read(text, notes)
    }
}

/// Fields of messages and entries that say nothing more than is read.
const KNOWN: [&str; 5] = ["details", "api", "partialJson", "fullOutputPath", "diagnostics"];

/// Reads a session of messages behind a line about it.
pub(super) fn read<'a>(text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
    let mut read = Read::default();
    session::each_line(text, notes, |line, notes| read.line(line, notes))?;
    read.finish()
}

#[derive(Default)]
struct Read<'a> {
    conversation: Conversation<'a>,
    own_since: Option<Time>,
    steps: Vec<Step<'a>>,
    events: Vec<RawJson<'a>>,
    model: Option<Text<'a>>,
}

impl<'a> Read<'a> {
    fn line(&mut self, line: Line<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        let Line { raw, mut map } = line;
        let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
        let kind = kind.decoded();
        if kind == "session" {
            self.begin(map);
            return Ok(());
        }
        let at = map.peek("timestamp").and_then(fields::time);
        let links = Links {
            id: map.peek("id").and_then(fields::id).unwrap_or_default(),
            parent: map.peek("parentId").and_then(fields::id),
            children: Vec::new(),
        };
        let mut step = Step { links, ..Step::default() };
        match &*kind {
            "message" => {
                let message = map.take(&["message"], fields::object);
                let Some(message) = message else {
                    notes.unplaced("message", &raw);
                    return Ok(());
                };
                self.message(&message, map, &mut step, notes)?;
            }
            "compaction" | "branch_summary" | "compactionSummary" | "branchSummary"
            | "custom_message" => {
                let content = map.take(&["summary", "content"], fields::json);
                if let Some(content) = content {
                    let mut message = Message { role: Role::User, ..Message::default() };
                    message.source_role = Some(kind.clone().into_owned().into());
                    message.content = super::parts::result_content(content, notes)?;
                    message.metadata = map.rest();
                    step.messages.push(message);
                }
            }
            "model_change" => {
                self.model = map.take(&["modelId"], RawJson::text).or(self.model.take());
                self.events.push(raw);
            }
            "session_info" => {
                let name = map.take(&["name"], RawJson::text);
                self.conversation.title = name.or(self.conversation.title.take());
                self.events.push(raw);
            }
            "thinking_level_change" | "custom" | "label" | "active_tools_change" | "leaf" => {
                self.events.push(raw);
            }
            other => {
                notes.unplaced(format!("type={}", short(other)), &raw);
                self.events.push(raw);
            }
        }
        for message in &mut step.messages {
            message.created_at = message.created_at.or(at);
            // Entries that came along when the session branched are older than it.
            if self.own_since.zip(at).is_some_and(|(since, at)| at < since) && self.is_branch() {
                message.train = Some(false);
            }
        }
        self.steps.push(step);
        Ok(())
    }

    fn is_branch(&self) -> bool {
        ["branchedFrom", "parentSession"]
            .iter()
            .any(|name| self.conversation.metadata.get(name).is_some_and(|raw| !raw.is_null()))
    }

    fn begin(&mut self, mut map: FieldMap<'a>) {
        self.conversation.id = map.take_id(&["id"]).unwrap_or_default();
        self.conversation.title = map.take(&["name", "title"], RawJson::text);
        self.conversation.created_at = map.take(&["timestamp"], fields::time);
        self.own_since = self.conversation.created_at;
        self.model = map.peek("modelId").and_then(RawJson::text);
        self.conversation.metadata = map.rest();
    }

    fn message(
        &mut self,
        raw: &RawJson<'a>,
        map: FieldMap<'a>,
        step: &mut Step<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let mut said = fields::map(raw).unwrap_or_default();
        let role = said.peek("role").and_then(RawJson::text).unwrap_or_default();
        let mark = notes.mark();
        let mut messages = match &*role.decoded() {
            "bashExecution" => vec![ran(said, notes)],
            "custom" | "branchSummary" | "compactionSummary" => {
                let content = said.take(&["content", "summary"], fields::json);
                let mut message = Message { role: Role::User, ..Message::default() };
                message.source_role = Some(role.clone());
                message.created_at = said.take(&["timestamp"], fields::time);
                message.content = content
                    .map(|raw| super::parts::result_content(raw, notes))
                    .transpose()?
                    .flatten();
                said.take(&["role"], fields::json);
                message.metadata = said.rest();
                vec![message]
            }
            _ => {
                step.model = said.take(&["model"], RawJson::text);
                step.usage = said.peek("usage").map(session::usage_of).unwrap_or_default();
                let error = said.take(&["errorMessage"], RawJson::text);
                let mut messages = chat::message_of(raw, None, &KNOWN_OF_MESSAGES, notes)?;
                if let (Some(message), Some(error)) = (messages.last_mut(), error) {
                    message.error = Some(error);
                }
                messages
            }
        };
        notes.under(mark, || "message".into());
        if step.model.is_none() && messages.iter().any(|one| one.role == Role::Assistant) {
            step.model.clone_from(&self.model);
        }
        let rest = map.rest();
        notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
        if let Some(first) = messages.first_mut() {
            fields::put_missing(&mut first.metadata, rest);
        }
        step.messages = messages;
        Ok(())
    }

    fn finish(self) -> Result<Items<'a>, ItemError> {
        let mut conversation = self.conversation;
        conversation.kind = Held::Agent;
        session::finish(&mut conversation, self.steps)?;
        session::keep_events(&mut conversation, &self.events);
        Ok(conversation.into())
    }
}

/// As [`KNOWN`], with what is taken of messages already.
const KNOWN_OF_MESSAGES: [&str; 6] =
    ["details", "api", "partialJson", "fullOutputPath", "diagnostics", "errorMessage"];

/// A command that the person ran, as Pi tells the model of it.
fn ran<'a>(mut said: FieldMap<'a>, notes: &mut Notes) -> Message<'a> {
    let mut take = |name| said.take(&[name], RawJson::as_text).unwrap_or_default();
    let (command, output) = (take("command"), take("output"));
    let output =
        if output.is_empty() { "(no output)".to_owned() } else { format!("```\n{output}\n```") };
    let mut message = Message { role: Role::User, ..Message::default() };
    message.source_role = said.take(&["role"], RawJson::text);
    message.content = Some(Content::Text(format!("Ran `{command}`\n{output}").into()));
    message.created_at = said.take(&["timestamp"], fields::time);
    message.metadata = said.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    message
}
