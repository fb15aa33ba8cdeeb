//! GitHub Copilot's sessions: those of Copilot CLI (`~/.copilot/session-state/SESSION/events.jsonl`) and the transcripts of
//! Copilot Chat in VS Code, which are lines of events. There is no specification; the shapes are those of sessions that
//! people have shared.

use std::collections::HashMap;

use retort_json::{Kind, RawJson, Text};
use retort_model::{Content, Conversation, Kind as Held, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Step, Trail};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Copilot;

/// Fields that say nothing more than is read.
const KNOWN: [&str; 9] = [
    "attachments",
    "transformedContent",
    "encryptedContent",
    "reasoningOpaque",
    "parentToolCallId",
    "interactionId",
    "toolTelemetry",
    "phase",
    "source",
];

impl ImportFormat for Copilot {
    fn name(&self) -> &'static str {
        "copilot"
    }

    fn about(&self) -> &'static str {
        "Sessions of GitHub Copilot CLI and transcripts of Copilot Chat: JSONL files of events"
    }

    fn notes(&self) -> &'static str {
        "Copilot CLI keeps its sessions below `~/.copilot/session-state`, VS Code the transcripts of Copilot Chat in \
         its workspace storage, below `GitHub.copilot-chat/transcripts`. Messages, reasoning, calls, results and \
         models are kept; a call that is not part of an answer in the transcript becomes an answer of its own. An \
         answer that was aborted ends with `interrupted`, one that failed has the error. Other events are kept \
         under `events`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_event = |kind: String| {
            matches!(
                kind.as_str(),
                "session.start" | "session.resume" | "user.message" | "assistant.message"
            ) || kind.starts_with("tool.execution_")
        };
        sniff.kind(&["data"]) == Some(Kind::Object) && sniff.text(&["type"]).is_some_and(is_event)
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut read = Read::default();
        session::each_line(text, notes, |line, notes| read.line(line, notes))?;
        read.finish()
    }
}

#[derive(Default)]
struct Read<'a> {
    conversation: Conversation<'a>,
    model: Option<Text<'a>>,
    trail: Trail<'a>,
    events: Vec<RawJson<'a>>,
    /// Names of the tools of the calls so far.
    calls: HashMap<String, Text<'a>>,
}

impl<'a> Read<'a> {
    fn line(&mut self, line: session::Line<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        let session::Line { raw, mut map } = line;
        let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
        let at = map.take(&["timestamp"], fields::time);
        if kind == *"abort" {
            self.trail.broke_off(None, |_| false);
        }
        let Some(data) = map.take(&["data"], fields::object) else {
            self.events.push(raw);
            return Ok(());
        };
        let mut data = FieldMap::of(&data, notes).unwrap_or_default();
        let mark = notes.mark();
        let mut message = match &*kind.decoded() {
            "session.start" | "session.resume" => {
                if self.conversation.id.is_empty() {
                    self.conversation.id = data.take_id(&["sessionId"]).unwrap_or_default();
                    self.conversation.created_at = data.take(&["startTime"], fields::time);
                    self.model = data.take(&["selectedModel"], RawJson::text);
                    self.conversation.metadata = data.rest();
                } else {
                    self.events.push(raw);
                }
                return Ok(());
            }
            "session.model_change" => {
                self.model = data.take(&["newModel"], RawJson::text).or(self.model.take());
                self.events.push(raw);
                return Ok(());
            }
            "user.message" => Message { role: Role::User, ..Message::default() },
            "system.message" => Message { role: Role::System, ..Message::default() },
            "assistant.message" => self.answer(&mut data, notes),
            "tool.execution_start" => {
                let id = data.take_id(&["toolCallId"]).unwrap_or_default();
                if self.calls.contains_key(&*id.decoded()) {
                    self.events.push(raw);
                    return Ok(());
                }
                let mut message = Message { role: Role::Assistant, ..Message::default() };
                self.call(id, &mut data, &["toolName"], &mut message);
                message
            }
            "tool.execution_complete" => self.result(&mut data, notes)?,
            "session.error" => {
                let why = data.take(&["message", "errorType"], RawJson::text);
                self.trail.broke_off(Some(why.unwrap_or_else(|| "failed".into())), |_| false);
                self.events.push(raw);
                return Ok(());
            }
            other => {
                if other.ends_with(".message") {
                    notes.unplaced(format!("type={}", short(other)), &raw);
                }
                self.events.push(raw);
                return Ok(());
            }
        };
        message.created_at = at;
        if message.content.is_none() {
            message.content = data.take(&["content"], RawJson::text).map(Content::Text);
        }
        let rest = data.rest();
        notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
        notes.under(mark, || "data".into());
        message.metadata.extend(rest);
        fields::put_missing(&mut message.metadata, map.rest());
        let model = self.model.clone().filter(|_| message.role == Role::Assistant);
        self.trail.push(Step { messages: vec![message], model, ..Step::default() });
        Ok(())
    }

    fn answer(&mut self, data: &mut FieldMap<'a>, notes: &mut Notes) -> Message<'a> {
        let mut message = Message { role: Role::Assistant, ..Message::default() };
        message.reasoning =
            data.take(&["reasoningText"], RawJson::text).filter(|text| !text.is_empty());
        let requests = data.take(&["toolRequests"], fields::list).unwrap_or_default();
        for (at, raw) in requests.iter().enumerate() {
            match FieldMap::of(raw, notes) {
                Some(mut request) if request.has(&["name"]) => {
                    let id = request.take_id(&["toolCallId"]).unwrap_or_default();
                    self.call(id, &mut request, &["name"], &mut message);
                }
                _ => notes.unplaced(format!("toolRequests[{at}]"), raw),
            }
        }
        message
    }

    fn call(
        &mut self,
        id: Text<'a>,
        map: &mut FieldMap<'a>,
        names: &[&str],
        message: &mut Message<'a>,
    ) {
        let name = map.take(names, RawJson::text).unwrap_or_default();
        let arguments = map.take(&["arguments"], fields::words).unwrap_or_else(|| "{}".into());
        self.calls.insert(id.decoded().into_owned(), name.clone());
        message.tool_calls.push(ToolCall { id, name, arguments, ..ToolCall::default() });
    }

    fn result(
        &mut self,
        data: &mut FieldMap<'a>,
        notes: &mut Notes,
    ) -> Result<Message<'a>, ItemError> {
        let mut message = Message { role: Role::Tool, ..Message::default() };
        message.tool_call_id = data.take_id(&["toolCallId"]);
        let id = message.tool_call_id.as_ref().map_or("".into(), Text::decoded);
        message.name = self.calls.get(&*id).cloned();
        let failed = data.peek("success").is_some_and(|raw| raw.as_str() == "false");
        if let Some(raw) = data.take(&["result"], fields::json) {
            let mut inner = fields::map(&raw).unwrap_or_default();
            let text =
                inner.take(&["text_result_for_llm", "textResultForLlm", "content"], RawJson::text);
            message.content = match text {
                Some(text) => {
                    let ended = ["result_type", "resultType"]
                        .iter()
                        .find_map(|name| inner.peek(name)?.text());
                    let failed = ended.is_some_and(|kind| kind != *"success");
                    if failed {
                        message.error = Some("failed".into());
                    }
                    if let Some(rest) = inner.rest_object() {
                        message.metadata.put("result".into(), rest);
                    }
                    Some(Content::Text(text))
                }
                None => super::parts::result_content(raw, notes)?,
            };
        }
        let error = data.take(&["error"], |raw| fields::text_or_under(raw, &["message"]));
        message.error = error.or_else(|| failed.then(|| "failed".into())).or(message.error.take());
        Ok(message)
    }

    fn finish(self) -> Result<Items<'a>, ItemError> {
        let mut conversation = self.conversation;
        conversation.kind = Held::Agent;
        self.trail.finish(&mut conversation)?;
        session::keep_events(&mut conversation, &self.events);
        Ok(conversation.into())
    }
}
