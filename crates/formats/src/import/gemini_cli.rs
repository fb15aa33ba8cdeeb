//! Gemini CLI's sessions: `~/.gemini/tmp/PROJECT/chats/session-….json`, and in newer versions `….jsonl`, where a line is
//! a message or a change of what is known of the session. Source: `chatRecordingService.ts` of `google-gemini/gemini-cli`.

use std::collections::HashMap;

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts;
use super::session::{self, Step, Trail};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct GeminiCli;

/// What messages have, and nothing else.
const FIELDS: [&str; 9] = [
    "id",
    "timestamp",
    "type",
    "content",
    "displayContent",
    "model",
    "toolCalls",
    "thoughts",
    "tokens",
];

/// Fields that say nothing more than is read.
const KNOWN: [&str; 6] = [
    "resultDisplay",
    "renderOutputAsMarkdown",
    "description",
    "displayName",
    "tokens",
    "displayContent",
];

/// What the program says when a person stopped an answer.
const CANCELLED: &str = "Request cancelled.";

impl ImportFormat for GeminiCli {
    fn name(&self) -> &'static str {
        "gemini-cli"
    }

    fn about(&self) -> &'static str {
        "Gemini CLI's sessions: the files below `~/.gemini/tmp/*/chats`"
    }

    fn notes(&self) -> &'static str {
        "Gemini CLI keeps its sessions below `~/.gemini/tmp/PROJECT/chats`; give the folder to Retort as it is. Thoughts \
         are the reasoning; results and errors are joined to their calls; models and tokens are kept. Rewound \
         messages are sibling rounds that are not trained on. An answer that was cancelled ends with `interrupted`, one \
         that failed has the error. Notices of the program (`info`, `error`, `warning`) are kept under `events`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_type = |path: &[&str]| {
            sniff.text(path).is_some_and(|kind| matches!(&*kind, "user" | "gemini"))
        };
        (sniff.holds(&["sessionId"])
            && (sniff.holds(&["projectHash"]) || sniff.holds(&["startTime"]))
            && (!sniff.holds(&["messages"])
                || is_type(&["messages", "type"])
                || !sniff.has_keys(&["messages"])))
            || (is_type(&["type"])
                && sniff.holds(&["id"])
                && sniff.holds(&["content"])
                && sniff.holds(&["timestamp"])
                && sniff.keys().iter().all(|key| FIELDS.contains(&key.as_str())))
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        // A session may be one object.
        if !Sniff::of(text).holds(&["messages"]) {
            session::line_of_file(text, entry, into);
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let mut read = Read::default();
        for (at, line) in session::lines(text, notes)?.into_iter().enumerate() {
            let session::Line { raw, mut map } = line;
            let mark = notes.mark();
            if map.has(&["type"]) && map.has(&["content", "toolCalls", "thoughts"]) {
                read.message(map, raw, notes)?;
                notes.under(mark, || format!("lines[{at}]"));
                continue;
            }
            if let Some(id) = map.take_id(&["$rewindTo"]) {
                read.rewind(&id.decoded());
            }
            // What is known of the session, or a change of it.
            if let Some(set) = map.take(&["$set"], fields::map) {
                map = set;
            }
            let list = map.take(&["messages"], fields::list).unwrap_or_default();
            for (at, raw) in list.into_iter().enumerate() {
                let mark = notes.mark();
                match FieldMap::of(&raw, notes) {
                    Some(map) => read.message(map, raw, notes)?,
                    None => notes.unplaced("", &raw),
                }
                notes.under(mark, || format!("messages[{at}]"));
            }
            if let Some(id) = map.take_id(&["sessionId"]) {
                conversation.id = id;
            }
            conversation.title =
                map.take(&["summary"], RawJson::text).or(conversation.title.take());
            conversation.created_at =
                map.take(&["startTime"], fields::time).or(conversation.created_at);
            conversation.updated_at =
                map.take(&["lastUpdated"], fields::time).or(conversation.updated_at);
            let rest = map.rest();
            notes.unplaced_texts(&rest);
            for (key, raw) in rest {
                conversation.metadata.put(key, raw);
            }
        }
        read.trail.finish(&mut conversation)?;
        session::keep_events(&mut conversation, &read.events);
        Ok(conversation.into())
    }
}

#[derive(Default)]
struct Read<'a> {
    trail: Trail<'a>,
    /// Where the messages are that were not rewound, by their ids, and these ids in order.
    places: HashMap<String, usize>,
    ids: Vec<String>,
    events: Vec<RawJson<'a>>,
}

impl<'a> Read<'a> {
    fn message(
        &mut self,
        map: FieldMap<'a>,
        raw: RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let id = map.peek("id").and_then(fields::id).map(|id| id.decoded().into_owned());
        let before = id.as_ref().and_then(|id| self.places.get(id)).copied();
        let kind = map.peek("type").and_then(RawJson::as_text).unwrap_or_default();
        let mut step = Step::default();
        if matches!(&*kind, "info" | "error" | "warning") {
            if before.is_none() {
                self.notice(&kind, &map);
            }
            self.events.push(raw);
        } else {
            step = message(map, &raw, notes)?;
        }
        // A message that is told again has changed.
        match before.and_then(|place| self.trail.step_mut(place)) {
            Some(before) => {
                let ends = (before.messages.last_mut(), step.messages.last_mut());
                if let (Some(before), Some(now)) = ends
                    && before.role == Role::Assistant
                    && now.role == Role::Assistant
                {
                    now.finish_reason = now.finish_reason.take().or(before.finish_reason.take());
                    now.error = now.error.take().or(before.error.take());
                }
                *before = step;
            }
            None => {
                let place = self.trail.push(step);
                if let Some(id) = id {
                    self.places.insert(id.clone(), place);
                    self.ids.push(id);
                }
            }
        }
        Ok(())
    }

    /// Takes what a notice says of the answer before it.
    fn notice(&mut self, kind: &str, map: &FieldMap<'a>) {
        let text = map.peek("content").and_then(RawJson::text);
        match kind {
            "error" => {
                self.trail.broke_off(Some(text.unwrap_or_else(|| "failed".into())), |_| false);
            }
            "info" if text.is_some_and(|text| text.decoded().trim() == CANCELLED) => {
                self.trail.broke_off(None, |_| false);
            }
            _ => {}
        }
    }

    /// Takes back a message and all behind it; all messages, if it is not there.
    fn rewind(&mut self, id: &str) {
        let from = self.places.get(id).copied().unwrap_or(0);
        while let Some(last) = self.ids.pop_if(|last| self.places.get(last) >= Some(&from)) {
            self.places.remove(&last);
        }
        self.trail.take_back(from);
    }
}

fn message<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
    let role = match &*kind.decoded() {
        "user" => Role::User,
        "gemini" => Role::Assistant,
        other => {
            notes.unplaced(format!("type={}", short(other)), raw);
            Role::Other
        }
    };
    let mut message = Message { role, ..Message::default() };
    if role != Role::User {
        message.source_role = Some(kind.clone());
    }
    message.created_at = map.take(&["timestamp"], fields::time);
    if let Some(content) = map.take(&["content"], fields::json) {
        let mark = notes.mark();
        message.content = content_of(content, notes)?;
        notes.under(mark, || "content".into());
    }
    let thoughts = map.take(&["thoughts"], fields::list).unwrap_or_default();
    let thoughts: Vec<_> = thoughts.iter().filter_map(thought).collect();
    if !thoughts.is_empty() {
        message.reasoning = Some(thoughts.join("\n\n").into());
    }
    let mut results = Vec::new();
    for (at, raw) in map.take(&["toolCalls"], fields::list).unwrap_or_default().iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes) {
            Some(inner) => call(inner, &mut message, &mut results, notes)?,
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("toolCalls[{at}]"));
    }
    let model = map.take(&["model"], RawJson::text);
    let usage = map.peek("tokens").map(session::usage_of).unwrap_or_default();
    let rest = map.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    message.metadata = rest;
    let mut messages = vec![message];
    messages.extend(results);
    Ok(Step { messages, model, usage, ..Step::default() })
}

/// Text, or a list of Google's parts.
fn content_of<'a>(
    raw: RawJson<'a>,
    notes: &mut Notes,
) -> Result<Option<retort_model::Content<'a>>, ItemError> {
    match fields::kind(&raw) {
        Some(Kind::Array | Kind::Object) => {
            let content = parts::content_of(&raw, notes)?;
            Ok(match content {
                retort_model::Content::Parts(parts) => parts::content(parts),
                other @ retort_model::Content::Text(_) => Some(other),
            })
        }
        _ => parts::result_content(raw, notes),
    }
}

fn thought(raw: &RawJson<'_>) -> Option<String> {
    let mut map = fields::map(raw)?;
    let texts = ["subject", "description"].map(|name| map.take(&[name], RawJson::as_text));
    let texts: Vec<_> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn call<'a>(
    mut map: FieldMap<'a>,
    message: &mut Message<'a>,
    results: &mut Vec<Message<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let id = map.take_id(&["id"]).unwrap_or_default();
    let name = map.take(&["name"], RawJson::text).unwrap_or_default();
    let arguments = map.take(&["args"], fields::words).unwrap_or_else(|| "{}".into());
    let result = map.take(&["result"], fields::json);
    let status = map.peek("status").and_then(RawJson::text);
    let shown = map.peek("resultDisplay").and_then(RawJson::text);
    let failed = status.is_some_and(|status| matches!(&*status.decoded(), "error" | "cancelled"));
    if result.is_some() || failed {
        let mut answer = Message { role: Role::Tool, ..Message::default() };
        answer.tool_call_id = Some(id.clone());
        answer.name = Some(name.clone());
        answer.content = match result {
            Some(raw) => said(&raw).map_or_else(
                || parts::result_content(raw.clone(), notes),
                |text| Ok(Some(retort_model::Content::Text(text))),
            )?,
            None => shown.map(retort_model::Content::Text),
        };
        if failed {
            answer.error = Some("failed".into());
        }
        results.push(answer);
    }
    let metadata = map.rest();
    notes.unplaced_fields(&metadata, &KNOWN, Least::Prose);
    message.tool_calls.push(ToolCall { id, name, arguments, metadata });
    Ok(())
}

/// What Google's function responses say: their output or error, if they have nothing else.
fn said<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    let list = fields::list(raw)?;
    let [one] = list.as_slice() else { return None };
    let mut map = fields::map(one)?;
    let mut inner = fields::map(&map.take(&["functionResponse"], fields::object)?)?;
    let mut response = fields::map(&inner.take(&["response"], fields::object)?)?;
    let text = response.take(&["output", "error"], RawJson::text)?;
    response.fields().is_empty().then_some(text)
}
