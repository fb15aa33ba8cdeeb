//! The canonical JSON of a conversation: one line that holds everything the model holds, with a version, and
//! that every later release reads. The store keeps it, and `retort` files are lines of it.

mod document;
mod excerpt;
mod run;

use retort_json::{JsonError, Kind as JsonKind, Parser, RawJson, Text, write_string};
use std::borrow::Cow;
use std::fmt;

use crate::conversation::{Conversation, Parent, Round, Task};
use crate::fields::Fields;
use crate::item::{Item, ItemKind};
use crate::message::{Content, Feedback, Label, Message, NotUnderstood, Part, ToolCall};
use crate::time::Time;

pub use document::{read_document, read_document_from, write_document};
pub use excerpt::{Cutter, Excerpt, Level, MessagePlace, Piece};
pub(crate) use run::write_node;
pub use run::{read_run, read_run_from, write_run};

/// The version of the lines of conversations and documents.
pub const VERSION: u32 = 1;

/// The latest version of the lines of runs. A run is written in the oldest that has all it holds, so that earlier
/// releases read what they can: 2 for a run of an application or with costs, 1 for any other.
pub const RUN_VERSION: u32 = 2;

/// Why a text is no canonical conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalError {
    /// It is no JSON.
    Json(JsonError),
    /// It was written by a later release, in a version after the one that is read.
    Version(String, u32),
    /// A field holds what it must not hold.
    Field(&'static str, usize),
}

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Version(version, latest) => {
                write!(
                    f,
                    "written in version {version} of the format; this release reads up to {latest}"
                )
            }
            Self::Field(name, _) => write!(f, "`{name}` holds something else than it must"),
        }
    }
}

impl std::error::Error for CanonicalError {}

impl From<JsonError> for CanonicalError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl CanonicalError {
    /// The byte at which the text is at fault.
    pub fn at(&self) -> usize {
        match self {
            Self::Json(error) => error.at,
            Self::Version(..) => 0,
            Self::Field(_, at) => *at,
        }
    }
}

/// Appends an item of any kind as one line, without the line's end.
pub fn write_item(item: &Item<'_>, out: &mut Vec<u8>) {
    match item {
        Item::Conversation(conversation) => write(conversation, out),
        Item::Run(run) => write_run(run, out),
        Item::Document(document) => write_document(document, out),
    }
}

/// Reads the line of an item whose kind is known.
///
/// # Errors
/// It is no such line.
pub fn read_item(kind: ItemKind, line: &str) -> Result<Item<'_>, CanonicalError> {
    Ok(match kind {
        ItemKind::Conversation => read(line)?.into(),
        ItemKind::Run => read_run(line)?.into(),
        ItemKind::Document => read_document(line)?.into(),
    })
}

/// Appends the conversation as one line, without the line's end.
pub fn write(conversation: &Conversation<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.raw("retort", &VERSION.to_string());
    object.text("id", &conversation.id);
    object.text("source", &conversation.source);
    object.optional("project", conversation.project.as_ref());
    object.optional("owner", conversation.owner.as_ref());
    object.name("kind", conversation.kind.as_str());
    object.optional("title", conversation.title.as_ref());
    object.list("tags", &conversation.tags, Text::write_string);
    object.name("status", conversation.status.as_str());
    object.optional("model", conversation.model.as_ref());
    object.time("created_at", conversation.created_at);
    object.time("updated_at", conversation.updated_at);
    object.number("current", conversation.current.map(|current| current as u64));
    object.key("rounds");
    write_list(&conversation.rounds, object.out, write_round);
    object.list("tasks", &conversation.tasks, write_task);
    object.label(conversation.label);
    object.list("not_understood", &conversation.not_understood, write_not_understood);
    object.fields("metadata", &conversation.metadata);
    object.end();
}

fn write_round(round: &Round<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.number("number", Some(u64::from(round.number)));
    match round.parent {
        Parent::Previous => {}
        Parent::Root => object.raw("parent", "null"),
        Parent::Round(parent) => object.number("parent", Some(parent as u64)),
    }
    object.optional("node", round.node.as_ref());
    object.optional("agent", round.agent.as_ref());
    object.optional("model", round.model.as_ref());
    object.list("tools", &round.tools, |tool, out| out.extend_from_slice(tool.as_str().as_bytes()));
    object.key("messages");
    write_list(&round.messages, object.out, write_message);
    object.number("input_tokens", round.usage.input_tokens);
    object.number("output_tokens", round.usage.output_tokens);
    object.fields("metadata", &round.metadata);
    object.end();
}

fn write_task(task: &Task<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.text("id", &task.id);
    object.optional("agent", task.agent.as_ref());
    object.optional("tool_call_id", task.tool_call_id.as_ref());
    object.key("rounds");
    write_list(&task.rounds, object.out, write_round);
    object.fields("metadata", &task.metadata);
    object.end();
}

fn write_message(message: &Message<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.name("role", message.role.as_str());
    object.optional("source_role", message.source_role.as_ref());
    object.optional("name", message.name.as_ref());
    match &message.content {
        None => object.raw("content", "null"),
        Some(Content::Text(text)) => object.text("content", text),
        Some(Content::Parts(parts)) => {
            object.key("content");
            write_list(parts, object.out, write_part);
        }
    }
    object.optional("reasoning", message.reasoning.as_ref());
    object.list("tool_calls", &message.tool_calls, |call, out| {
        let mut object = Object::begin(out);
        object.text("id", &call.id);
        object.text("name", &call.name);
        object.text("arguments", &call.arguments);
        object.fields("metadata", &call.metadata);
        object.end();
    });
    object.optional("tool_call_id", message.tool_call_id.as_ref());
    object.list("contexts", &message.contexts, |raw, out| {
        out.extend_from_slice(raw.as_str().as_bytes());
    });
    if let Some(feedback) = &message.feedback {
        object.key("feedback");
        write_feedback(feedback, object.out);
    }
    object.time("created_at", message.created_at);
    object.optional("error", message.error.as_ref());
    object.optional("finish_reason", message.finish_reason.as_ref());
    if let Some(train) = message.train {
        object.raw("train", if train { "true" } else { "false" });
    }
    object.label(message.label);
    object.fields("metadata", &message.metadata);
    object.end();
}

fn write_not_understood(one: &NotUnderstood<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.key("path");
    write_string(&one.path, object.out);
    object.raw("raw", one.raw.as_str());
    object.end();
}

fn write_feedback(feedback: &Feedback<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.optional_raw("rating", feedback.rating.as_ref());
    object.optional("label", feedback.label.as_ref());
    object.optional("comment", feedback.comment.as_ref());
    object.end();
}

fn write_part(part: &Part<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.name("type", part.kind.as_str());
    object.optional("text", part.text.as_ref());
    object.optional_raw("raw", part.raw.as_ref());
    object.end();
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Writes one object, leaving out what is empty.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(key, self.out);
        self.out.push(b':');
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    fn name(&mut self, key: &str, name: &'static str) {
        self.key(key);
        write_string(name, self.out);
    }

    fn label(&mut self, label: Option<Label>) {
        if let Some(label) = label {
            self.name("label", label.as_str());
        }
    }

    fn text(&mut self, key: &str, text: &Text<'_>) {
        self.key(key);
        text.write_string(self.out);
    }

    fn optional(&mut self, key: &str, text: Option<&Text<'_>>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn optional_raw(&mut self, key: &str, raw: Option<&RawJson<'_>>) {
        if let Some(raw) = raw {
            self.raw(key, raw.as_str());
        }
    }

    fn number(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.raw(key, &number.to_string());
        }
    }

    fn time(&mut self, key: &str, time: Option<Time>) {
        if let Some(time) = time {
            self.key(key);
            write_string(&time.to_string(), self.out);
        }
    }

    fn list<T>(&mut self, key: &str, items: &[T], write: impl FnMut(&T, &mut Vec<u8>)) {
        if !items.is_empty() {
            self.key(key);
            write_list(items, self.out, write);
        }
    }

    fn fields(&mut self, key: &str, fields: &Fields<'_>) {
        if fields.is_empty() {
            return;
        }
        self.key(key);
        let mut object = Object::begin(self.out);
        for (name, value) in fields {
            if !std::mem::take(&mut object.first) {
                object.out.push(b',');
            }
            name.write_string(object.out);
            object.out.push(b':');
            object.out.extend_from_slice(value.as_str().as_bytes());
        }
        object.end();
    }
}

/// Reads a conversation from one canonical line, borrowing from it.
///
/// # Errors
/// What is wrong with the text and at which byte; a version of a later release.
pub fn read(line: &str) -> Result<Conversation<'_>, CanonicalError> {
    let mut parser = Parser::new(line);
    let conversation = read_from(&mut parser)?;
    parser.end()?;
    Ok(conversation)
}

/// As [`read`], from where a parser stands.
///
/// # Errors
/// As [`read`].
pub fn read_from<'a>(parser: &mut Parser<'a>) -> Result<Conversation<'a>, CanonicalError> {
    let mut conversation = Conversation::default();
    let mut versioned = false;
    each_key(parser, |key, parser| {
        match key {
            "retort" => {
                check_version(parser, VERSION)?;
                versioned = true;
            }
            "id" => conversation.id = parser.string()?,
            "source" => conversation.source = parser.string()?,
            "project" => conversation.project = optional_text(parser)?,
            "owner" => conversation.owner = optional_text(parser)?,
            "kind" => conversation.kind = named(parser, "kind")?,
            "title" => conversation.title = optional_text(parser)?,
            "tags" => conversation.tags = list(parser, |parser| Ok(parser.string()?))?,
            "status" => conversation.status = named(parser, "status")?,
            "model" => conversation.model = optional_text(parser)?,
            "created_at" => conversation.created_at = time(parser, "created_at")?,
            "updated_at" => conversation.updated_at = time(parser, "updated_at")?,
            "current" => conversation.current = position(parser, "current")?,
            "rounds" => conversation.rounds = list(parser, read_round)?,
            "tasks" => conversation.tasks = list(parser, read_task)?,
            "label" => conversation.label = Some(named(parser, "label")?),
            "not_understood" => conversation.not_understood = list(parser, read_not_understood)?,
            "metadata" => conversation.metadata = fields(parser)?,
            _ => conversation.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    if !versioned {
        return Err(CanonicalError::Field("retort", 0));
    }
    Ok(conversation)
}

fn check_version(parser: &mut Parser<'_>, latest: u32) -> Result<(), CanonicalError> {
    let version = parser.number()?;
    if version.parse::<u32>().is_ok_and(|version| version <= latest) {
        Ok(())
    } else {
        Err(CanonicalError::Version(version.to_owned(), latest))
    }
}

fn read_round<'a>(parser: &mut Parser<'a>) -> Result<Round<'a>, CanonicalError> {
    let mut round = Round::default();
    each_key(parser, |key, parser| {
        match key {
            "number" => {
                let at = parser.at();
                let number = parser.number()?;
                round.number = number.parse().map_err(|_| CanonicalError::Field("number", at))?;
            }
            "parent" => {
                round.parent = position(parser, "parent")?.map_or(Parent::Root, Parent::Round);
            }
            "node" => round.node = optional_text(parser)?,
            "agent" => round.agent = optional_text(parser)?,
            "model" => round.model = optional_text(parser)?,
            "tools" => round.tools = list(parser, |parser| Ok(parser.raw()?))?,
            "messages" => round.messages = list(parser, read_message)?,
            "input_tokens" => round.usage.input_tokens = count(parser, "input_tokens")?,
            "output_tokens" => round.usage.output_tokens = count(parser, "output_tokens")?,
            "metadata" => round.metadata = fields(parser)?,
            _ => round.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(round)
}

fn read_task<'a>(parser: &mut Parser<'a>) -> Result<Task<'a>, CanonicalError> {
    let mut task = Task::default();
    each_key(parser, |key, parser| {
        match key {
            "id" => task.id = parser.string()?,
            "agent" => task.agent = optional_text(parser)?,
            "tool_call_id" => task.tool_call_id = optional_text(parser)?,
            "rounds" => task.rounds = list(parser, read_round)?,
            "metadata" => task.metadata = fields(parser)?,
            _ => task.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(task)
}

fn read_message<'a>(parser: &mut Parser<'a>) -> Result<Message<'a>, CanonicalError> {
    let mut message = Message::default();
    each_key(parser, |key, parser| {
        match key {
            "role" => message.role = named(parser, "role")?,
            "source_role" => message.source_role = optional_text(parser)?,
            "name" => message.name = optional_text(parser)?,
            "content" => {
                message.content = match parser.kind()? {
                    JsonKind::Null => {
                        parser.null()?;
                        None
                    }
                    JsonKind::Array => Some(Content::Parts(list(parser, read_part)?)),
                    _ => Some(Content::Text(parser.string()?)),
                };
            }
            "reasoning" => message.reasoning = optional_text(parser)?,
            "tool_calls" => message.tool_calls = list(parser, read_call)?,
            "tool_call_id" => message.tool_call_id = optional_text(parser)?,
            "contexts" => message.contexts = list(parser, |parser| Ok(parser.raw()?))?,
            "feedback" => message.feedback = Some(Box::new(read_feedback(parser)?)),
            "created_at" => message.created_at = time(parser, "created_at")?,
            "error" => message.error = optional_text(parser)?,
            "finish_reason" => message.finish_reason = optional_text(parser)?,
            "train" => message.train = Some(parser.bool()?),
            "label" => message.label = Some(named(parser, "label")?),
            "metadata" => message.metadata = fields(parser)?,
            _ => message.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(message)
}

fn read_not_understood<'a>(parser: &mut Parser<'a>) -> Result<NotUnderstood<'a>, CanonicalError> {
    let (mut path, mut raw) = (String::new(), RawJson::null());
    each_key(parser, |key, parser| {
        match key {
            "path" => path = parser.string()?.decoded().into_owned(),
            "raw" => raw = parser.raw()?,
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    Ok(NotUnderstood { path, raw })
}

fn read_part<'a>(parser: &mut Parser<'a>) -> Result<Part<'a>, CanonicalError> {
    let mut part = Part { kind: crate::PartKind::Other, text: None, raw: None };
    each_key(parser, |key, parser| {
        match key {
            "type" => part.kind = named(parser, "type")?,
            "text" => part.text = optional_text(parser)?,
            "raw" => part.raw = Some(parser.raw()?),
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    Ok(part)
}

fn read_call<'a>(parser: &mut Parser<'a>) -> Result<ToolCall<'a>, CanonicalError> {
    let mut call = ToolCall::default();
    each_key(parser, |key, parser| {
        match key {
            "id" => call.id = parser.string()?,
            "name" => call.name = parser.string()?,
            "arguments" => call.arguments = parser.string()?,
            "metadata" => call.metadata = fields(parser)?,
            _ => call.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(call)
}

fn read_feedback<'a>(parser: &mut Parser<'a>) -> Result<Feedback<'a>, CanonicalError> {
    let mut feedback = Feedback::default();
    each_key(parser, |key, parser| {
        match key {
            "rating" => feedback.rating = Some(parser.raw()?),
            "label" => feedback.label = optional_text(parser)?,
            "comment" => feedback.comment = optional_text(parser)?,
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    Ok(feedback)
}

fn each_key<'a>(
    parser: &mut Parser<'a>,
    mut take: impl FnMut(&str, &mut Parser<'a>) -> Result<(), CanonicalError>,
) -> Result<(), CanonicalError> {
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        take(&key, parser)?;
    }
    Ok(())
}

fn list<'a, T>(
    parser: &mut Parser<'a>,
    mut take: impl FnMut(&mut Parser<'a>) -> Result<T, CanonicalError>,
) -> Result<Vec<T>, CanonicalError> {
    let mut items = Vec::new();
    parser.array()?;
    while parser.next_element()? {
        items.push(take(parser)?);
    }
    Ok(items)
}

fn optional_text<'a>(parser: &mut Parser<'a>) -> Result<Option<Text<'a>>, CanonicalError> {
    if parser.null()? { Ok(None) } else { Ok(Some(parser.string()?)) }
}

fn named<T: std::str::FromStr>(
    parser: &mut Parser<'_>,
    name: &'static str,
) -> Result<T, CanonicalError> {
    let at = parser.at();
    let text: Cow<'_, str> = parser.string()?.into_cow();
    text.parse().map_err(|_| CanonicalError::Field(name, at))
}

fn time(parser: &mut Parser<'_>, name: &'static str) -> Result<Option<Time>, CanonicalError> {
    let at = parser.at();
    match optional_text(parser)? {
        None => Ok(None),
        Some(text) => {
            Time::parse(&text.decoded()).map(Some).map_err(|_| CanonicalError::Field(name, at))
        }
    }
}

fn count(parser: &mut Parser<'_>, name: &'static str) -> Result<Option<u64>, CanonicalError> {
    let at = parser.at();
    if parser.null()? {
        return Ok(None);
    }
    parser.number()?.parse().map(Some).map_err(|_| CanonicalError::Field(name, at))
}

fn position(parser: &mut Parser<'_>, name: &'static str) -> Result<Option<usize>, CanonicalError> {
    let at = parser.at();
    let number = count(parser, name)?;
    number.map(|n| usize::try_from(n).map_err(|_| CanonicalError::Field(name, at))).transpose()
}

fn fields<'a>(parser: &mut Parser<'a>) -> Result<Fields<'a>, CanonicalError> {
    let mut fields = Fields::new();
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        fields.put(key.into(), parser.raw()?);
    }
    Ok(fields)
}
