//! Threads of OpenAI's Assistants API: messages, runs and their steps, one by one or as the pages of lists; and Jan's threads,
//! which have the same messages. References: the API's objects `thread.message`, `thread.run` and `thread.run.step`, and Jan's
//! type `ThreadMessage`.

use retort_json::{Parser, RawJson, Text};
use retort_model::{Conversation, Message, Role, ToolCall};

use super::calls::tool_call;
use super::chat;
use super::definitions;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts::Segment;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Threads;

/// The objects that are read.
const OBJECTS: [&str; 4] = ["thread.message", "thread.run", "thread.run.step", "thread"];

impl ImportFormat for Threads {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn about(&self) -> &'static str {
        "Threads of OpenAI's Assistants API (messages, runs, steps) and of Jan"
    }

    fn notes(&self) -> &'static str {
        "Save the pages of `GET /v1/threads/ID/messages`, and of `…/runs` and `…/runs/ID/steps` with them: objects, \
         one per line, or lists as the API returns them, in any order and in any number of files. They are joined by \
         `thread_id` and ordered by time. Steps become calls with their results, a run's instructions a system \
         message, its tools the tools; citations stay with the text. Jan keeps one folder per thread in `jan/threads`, \
         with `thread.json` and `messages.jsonl`: give Retort the folder. Written from the API's reference and Jan's \
         code."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_one =
            |path: &[&str]| sniff.text(path).is_some_and(|word| OBJECTS.contains(&word.as_str()));
        is_one(&["object"]) || is_one(&["data", "object"])
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !self.recognises(&Sniff::found(text, entry)) {
            return;
        }
        let Ok(raw) = RawJson::parse(text) else { return };
        for (order, raw) in rows(raw) {
            let map = fields::map(&raw).unwrap_or_default();
            let is_thread = is_text(&map, "object", "thread");
            let id = map.peek(if is_thread { "id" } else { "thread_id" }).and_then(fields::id);
            let key = id.map_or_else(
                || session::key_of_file(entry),
                |id| format!("thread {}", id.decoded()),
            );
            into.push(Fragment { key, order, text: raw.into_cow() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation::default();
        let mut read = Read::default();
        let lines = session::lines(text, notes)?.into_iter().map(|line| line.raw);
        for (at, (_, raw)) in lines.flat_map(rows).enumerate() {
            let mark = notes.mark();
            let Some(map) = FieldMap::of(&raw, notes) else {
                notes.unplaced(format!("[{at}]"), &raw);
                continue;
            };
            read.object(map, &raw, &mut conversation, notes)?;
            notes.under(mark, || format!("[{at}]"));
        }
        session::finish(&mut conversation, read.steps)?;
        if let Some(first) = conversation.rounds.first_mut() {
            first.tools = read.tools;
        }
        thread::instruct(&mut conversation, read.instructions);
        session::keep_events(&mut conversation, &read.runs);
        Ok(conversation.into())
    }
}

/// The objects of a text in order, each with its place. The API lists the newest first.
fn rows(raw: RawJson<'_>) -> Vec<(u64, RawJson<'_>)> {
    let list = fields::map(&raw).and_then(|map| map.peek("data").and_then(fields::list));
    let rows = list.unwrap_or_else(|| vec![raw]);
    let mut rows: Vec<_> = rows.into_iter().map(|raw| (place(&raw), raw)).collect();
    if rows.first().map(|(place, _)| place) >= rows.last().map(|(place, _)| place) {
        rows.reverse();
    }
    rows.sort_by_key(|(place, _)| *place);
    rows
}

/// Where an object belongs in its thread: by its time, which is in seconds. Of one second, the question comes first, then
/// calls, then the answer. The thread itself comes before all others.
fn place(raw: &RawJson<'_>) -> u64 {
    let Some(map) = fields::map(raw) else { return 0 };
    if is_text(&map, "object", "thread") {
        return 0;
    }
    let time = map.peek("created_at").and_then(fields::micros).unwrap_or(0);
    let among = if is_text(&map, "role", "assistant") {
        2
    } else {
        u64::from(is_text(&map, "object", "thread.run.step"))
    };
    time.saturating_add(among)
}

fn is_text(map: &FieldMap<'_>, key: &str, word: &str) -> bool {
    map.peek(key).and_then(RawJson::text).is_some_and(|text| text == *word)
}

/// What was read of a thread.
#[derive(Default)]
struct Read<'a> {
    steps: Vec<Step<'a>>,
    instructions: Option<Text<'a>>,
    tools: Vec<RawJson<'a>>,
    runs: Vec<RawJson<'a>>,
}

/// Fields of messages that add nothing to the chat.
const KNOWN: [&str; 8] = [
    "object",
    "status",
    "incomplete_details",
    "assistant_id",
    "run_id",
    "attachments",
    "metadata",
    "file_ids",
];

impl<'a> Read<'a> {
    fn object(
        &mut self,
        mut map: FieldMap<'a>,
        raw: &RawJson<'a>,
        conversation: &mut Conversation<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let object = map.take(&["object"], RawJson::as_text).unwrap_or_default();
        let id = map.take_id(&[if object == "thread" { "id" } else { "thread_id" }]);
        if conversation.id.is_empty() {
            conversation.id = id.unwrap_or_default();
        }
        let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_blank());
        match object.as_str() {
            "thread.message" => {
                map.take(&["type"], fields::json);
                let whole = map.rest_object().unwrap_or(RawJson::null());
                let messages = chat::message_of(&whole, None, &KNOWN, notes)?;
                self.steps.push(Step { messages, ..Step::default() });
            }
            "thread.run.step" => self.step(map, raw, notes)?,
            "thread.run" => {
                conversation.model = map.take(&["model"], text).or(conversation.model.take());
                self.instructions = map.take(&["instructions"], text).or(self.instructions.take());
                let tools = map.take(&["tools"], fields::list).unwrap_or_default();
                if self.tools.is_empty() {
                    self.tools = definitions::definitions(tools, notes);
                }
                self.runs.extend(map.rest_object());
            }
            "thread" => {
                conversation.title = map.take(&["title"], RawJson::text);
                conversation.created_at = map.take(&["created_at", "created"], fields::time);
                conversation.updated_at = map.take(&["updated_at", "updated"], fields::time);
                let assistants = map.peek("assistants").and_then(fields::list).unwrap_or_default();
                if let Some(mut first) = assistants.first().and_then(fields::map) {
                    self.instructions = first.take(&["instructions"], text);
                    let model = first.take(&["model"], fields::json);
                    let model = model.and_then(|raw| fields::text_or_under(&raw, &["id"]));
                    conversation.model = model.filter(|model| !model.is_empty());
                }
                conversation.metadata = map.rest();
            }
            other => notes.unplaced(format!("object={}", short(other)), raw),
        }
        Ok(())
    }

    /// A step of a run: calls with their results, or the creation of a message, which has an object of its own.
    fn step(
        &mut self,
        mut map: FieldMap<'a>,
        raw: &RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let created_at = map.take(&["created_at"], fields::time);
        let details = map.take(&["step_details"], fields::map);
        let Some(mut details) = details else {
            notes.unplaced("step_details", raw);
            return Ok(());
        };
        let Some(calls) = details.take(&["tool_calls"], fields::list) else {
            if !details.has(&["message_creation"]) {
                notes.unplaced("step_details", raw);
            }
            return Ok(());
        };
        let mut segments = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let mark = notes.mark();
            segments.push(ran(call, notes)?);
            notes.under(mark, || format!("step_details.tool_calls[{at}]"));
        }
        let message = Message {
            role: Role::Assistant,
            created_at,
            metadata: map.rest(),
            ..Message::default()
        };
        let mut messages = Turn::of(message, segments).messages;
        for message in &mut messages {
            message.created_at = created_at;
        }
        self.steps.push(Step { messages, ..Step::default() });
        Ok(())
    }
}

/// A call of a step: a function's, with its `output`, or one of a tool that OpenAI hosts.
fn ran<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Segment<'a>, ItemError> {
    let mut map = fields::map(raw).unwrap_or_default();
    let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
    let id = map.take_id(&["id"]).unwrap_or_default();
    let inner = map.take(&[&kind.decoded()], fields::map);
    let Some(mut inner) = inner else {
        notes.unplaced("", raw);
        return Ok(Segment::Kept("tool_calls", raw.clone()));
    };
    let output = inner.take(&["output", "outputs", "results"], fields::json);
    let rest = inner.rest_object();
    if kind == *"function" {
        let text = rest.unwrap_or(RawJson::null()).into_cow();
        let call = tool_call(&mut Parser::new(&text), notes)?.into_owned();
        return thread::ran(ToolCall { id, ..call }, output, None, notes);
    }
    let arguments = rest.map(|raw| Text::from(raw.into_cow().into_owned()));
    let call = ToolCall {
        id,
        name: kind,
        arguments: arguments.unwrap_or_default(),
        ..ToolCall::default()
    };
    notes.unplaced_fields(&map.rest(), &[], Least::Prose);
    // Code leaves a list of logs and pictures.
    let output = output.map(|raw| logs(&raw).unwrap_or(raw));
    thread::ran(call, output, None, notes)
}

/// What code printed, if it left nothing but logs.
fn logs<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    let list = fields::list(raw).filter(|list| !list.is_empty())?;
    let logs = list.iter().map(|one| fields::map(one)?.take(&["logs"], RawJson::as_text));
    Some(RawJson::string(&logs.collect::<Option<String>>()?))
}
