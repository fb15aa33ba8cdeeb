//! Windsurf's transcripts of Cascade: a line for each step, which has its fields under the name of its type. There is no
//! specification; written from a transcript that another tool tests with.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Content, Conversation, Kind as Held, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts::Segment;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::Least;

/// The format.
pub(super) struct Windsurf;

/// Fields of a tool's step with its result. The others are the arguments.
const RESULTS: [&str; 16] = [
    "content",
    "output",
    "stdout",
    "stderr",
    "full_output",
    "exit_code",
    "user_rejected",
    "acknowledgement_type",
    "result",
    "results",
    "total_results",
    "response",
    "error",
    "matches",
    "resources",
    "summary",
];

impl ImportFormat for Windsurf {
    fn name(&self) -> &'static str {
        "windsurf"
    }

    fn about(&self) -> &'static str {
        "Windsurf's transcripts of Cascade: JSONL files with one step per line, as its hooks get them"
    }

    fn notes(&self) -> &'static str {
        "Hooks of Windsurf get the path of a transcript: keep these files. What was typed is a question, responses of \
         the planner are answers, and every other step is a call with its result: fields such as `output`, `content` \
         and `exit_code` are the result, the others the arguments. Steps have no ids and no times. Written from a \
         shared transcript, as no specification is public."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_known = |key: &String, kind: &String| {
            key == kind || ["type", "status", "timestamp", "id"].contains(&key.as_str())
        };
        sniff.holds(&["status"])
            && !sniff.holds(&["role"])
            && sniff.text(&["type"]).is_some_and(|kind| {
                sniff.kind(&[&kind]) == Some(Kind::Object)
                    && sniff.keys().iter().all(|key| is_known(key, &kind))
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
        let mut steps = Vec::new();
        session::each_line(text, notes, |line, notes| {
            steps.push(step(line, notes)?);
            Ok(())
        })?;
        session::finish(&mut conversation, steps)?;
        Ok(conversation.into())
    }
}

fn step<'a>(line: session::Line<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let session::Line { raw, mut map } = line;
    let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
    let created_at = map.take(&["timestamp"], fields::time);
    let status = map.take(&["status"], RawJson::text);
    let Some(mut inner) = map.take(&[&kind.decoded()], fields::map) else {
        notes.unplaced("", &raw);
        return Ok(Step::default());
    };
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_empty());
    let mut message = Message { role: Role::Assistant, created_at, ..Message::default() };
    let mut segments = Vec::new();
    match &*kind.decoded() {
        "user_input" => {
            message.role = Role::User;
            message.content = inner.take(&["user_response", "text"], text).map(Content::Text);
            message.metadata = inner.rest();
            notes.unplaced_fields(&message.metadata, &[], Least::Prose);
            let messages = message.content.is_some().then_some(message).into_iter().collect();
            return Ok(Step { messages, ..Step::default() });
        }
        "planner_response" => {
            segments.extend(inner.take(&["thinking", "reasoning"], text).map(Segment::Reasoning));
            segments.extend(inner.take(&["response"], text).map(Segment::text));
            message.metadata = inner.rest();
            notes.unplaced_fields(&message.metadata, &[], Least::Prose);
        }
        _ => segments.push(ran(kind.clone(), inner, status, notes)?),
    }
    let mut messages = Turn::said(message, segments);
    for message in &mut messages {
        message.created_at = message.created_at.or(created_at);
    }
    Ok(Step { messages, ..Step::default() })
}

/// The step of a tool: its fields are the arguments and the result.
fn ran<'a>(
    name: Text<'a>,
    mut inner: FieldMap<'a>,
    status: Option<Text<'a>>,
    notes: &mut Notes,
) -> Result<Segment<'a>, ItemError> {
    let error = inner.take(&["error"], fields::words).filter(|text| !text.is_empty());
    let failed = status.is_some_and(|status| matches!(&*status.decoded(), "error" | "failed"));
    let error = error.or_else(|| failed.then(|| "failed".into()));
    let mut result = FieldMap::default();
    for name in RESULTS {
        if let Some(raw) = inner.take(&[name], fields::json) {
            result.put(name, raw);
        }
    }
    let alone = ["output", "content"]
        .iter()
        .find_map(|name| result.peek(name)?.text())
        .filter(|_| !result.has(&["stderr", "results", "matches"]));
    let output = match alone {
        Some(text) => Some(RawJson::string(&text.decoded())),
        None => result.rest_object(),
    };
    let arguments = inner.rest_object().map(|raw| Text::from(raw.into_cow().into_owned()));
    let arguments = arguments.unwrap_or_else(|| "{}".into());
    let call = ToolCall { name, arguments, ..ToolCall::default() };
    thread::ran(call, output, error, notes)
}
