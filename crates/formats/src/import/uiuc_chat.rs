//! UIUC.chat's project history: rows of `llm-convo-monitor` with a `convo`, and the bare `convo`. Source: its
//! `src/types/chat.ts` and `src/db/schema.ts`.
//!
//! The system prompt is in `convo.prompt`; here it becomes a system message with the source role `prompt`.
//! A message's `tools` are call and result in one; they become messages with the source role `tools`.

use retort_json::{Kind as JsonKind, Parser, RawJson, Text, Value};
use retort_model::bounds::NOT_UNDERSTOOD;
use retort_model::{Conversation, Fields, Message, NotUnderstood, Role, ToolCall};

use super::chat;
use super::fields::{self, each_field, id_or_keep, keep, put, text_or_keep, time_or_keep};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::rounds::Rounds;
use super::sniff::Sniff;
use super::unplaced::{Least, says};

/// The format.
pub(super) struct UiucChat;

impl ImportFormat for UiucChat {
    fn name(&self) -> &'static str {
        "uiuc-chat"
    }

    fn about(&self) -> &'static str {
        "UIUC.chat's conversation history: rows with a `convo`, or the bare `convo`"
    }

    fn notes(&self) -> &'static str {
        "The prompt becomes a system message; tools that ran become calls and results; contexts may be on either \
         message."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_row = sniff.has("convo") && (sniff.has("convo_id") || sniff.has("course_name"));
        let is_convo = sniff.message_has("role")
            && sniff.has("prompt")
            && (sniff.has("folderId") || (sniff.has("temperature") && sniff.has("name")));
        is_row || is_convo
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut read = Read::default();
        if is_row(parser.clone())? {
            read.row(&mut parser, notes)?;
        } else {
            read.convo(&mut parser, notes)?;
        }
        parser.end()?;
        notes.count(&parser);
        Ok(read.finish(notes).into())
    }
}

/// Whether an object is a row with a `convo`: that, or the messages of a bare one, come first.
fn is_row(mut parser: Parser<'_>) -> Result<bool, ItemError> {
    if parser.kind()? != JsonKind::Object {
        return Ok(false);
    }
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "convo" => return Ok(true),
            "messages" => return Ok(false),
            _ => parser.skip()?,
        }
    }
    Ok(false)
}

/// What its messages keep of how an answer came about. `tools` become calls and results ([`tools_of`]).
const KNOWN: [&str; 8] = [
    "tools",
    "latestSystemMessage",
    "finalPromtEngineeredMessage",
    "imageDescription",
    "queryRewriteText",
    "agentEvents",
    "processed_content",
    "wasQueryRewritten",
];

fn messages<'a>(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Vec<Message<'a>>, ItemError> {
    let mark = notes.mark();
    let messages = chat::messages(parser, &KNOWN, notes)?;
    notes.under(mark, || "convo.messages".into());
    Ok(messages)
}

/// What a row of `history` says that was not understood of its source.
fn not_understood(raw: &RawJson<'_>) -> Option<Vec<NotUnderstood<'static>>> {
    let told = |one: &RawJson<'_>| {
        let mut map = fields::map(one)?;
        let path = map.take(&["path"], RawJson::text)?.decoded().into_owned();
        let raw = map.take(&["raw"], fields::json).unwrap_or(RawJson::null()).into_owned();
        Some(NotUnderstood { path, raw })
    };
    fields::list(raw)?.iter().take(NOT_UNDERSTOOD).map(told).collect()
}

#[derive(Default)]
struct Read<'a> {
    conversation: Conversation<'a>,
    messages: Vec<Message<'a>>,
    prompt: Option<Text<'a>>,
}

impl<'a> Read<'a> {
    fn row(&mut self, parser: &mut Parser<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        let mut has_convo = false;
        let (mut id, mut project, mut owner, mut created_at) = (None, None, None, None);
        each_field(parser, notes, |parser, key, notes| {
            match &*key {
                "convo" => {
                    has_convo = true;
                    if parser.kind()? == JsonKind::String {
                        // A dump of the table holds the column as JSON text.
                        let text = parser.string()?.into_cow().into_owned();
                        let mut inner = Read::default();
                        let mut inside = Parser::lenient(&text);
                        inner.convo(&mut inside, notes)?;
                        inside.end()?;
                        notes.count(&inside);
                        self.take(inner);
                        return Ok(());
                    }
                    return self.convo(parser, notes);
                }
                "convo_id" => {
                    id = id_or_keep(parser, key, &mut self.conversation.metadata)?;
                }
                "course_name" => {
                    project = Some(text_or_keep(parser, key, &mut self.conversation.metadata)?);
                }
                "created_at" => {
                    let raw = parser.clone().raw()?;
                    let time = time_or_keep(parser, key, &mut self.conversation.metadata, notes)?;
                    if time.is_some_and(|time| {
                        raw.as_text().is_none_or(|text| text != time.to_string())
                    }) {
                        put(&mut self.conversation.metadata, "row_created_at".into(), raw);
                    }
                    created_at = Some(time);
                }
                "user_email" => {
                    owner = Some(text_or_keep(parser, key, &mut self.conversation.metadata)?);
                }
                "id" => keep(parser, "row_id".into(), &mut self.conversation.metadata)?,
                _ => keep(parser, format!("row_{key}").into(), &mut self.conversation.metadata)?,
            }
            Ok(())
        })?;
        if !has_convo {
            return Err(ItemError::new(Refusal::UnknownShape, 0, "no `convo` in the row"));
        }
        // What the row says counts, also where it says null, and wherever it stands.
        let conversation = &mut self.conversation;
        conversation.project = project.unwrap_or_else(|| conversation.project.take());
        conversation.owner = owner.unwrap_or_else(|| conversation.owner.take());
        conversation.created_at = created_at.unwrap_or(conversation.created_at);
        if let Some(id) = id {
            conversation.id = id;
        }
        Ok(())
    }

    /// Takes over what a `convo` that was JSON text held.
    fn take(&mut self, inner: Read<'_>) {
        let row = std::mem::take(&mut self.conversation);
        let inner_prompt = inner.prompt.map(Text::into_owned);
        self.messages = inner.messages.into_iter().map(Message::into_owned).collect();
        self.prompt = inner_prompt;
        self.conversation = inner.conversation.into_owned();
        for (key, raw) in row.metadata {
            put(&mut self.conversation.metadata, key, raw);
        }
    }

    fn convo(&mut self, parser: &mut Parser<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        if parser.kind()? != JsonKind::Object {
            return Err(ItemError::new(Refusal::BadField, parser.at(), "`convo` is not an object"));
        }
        let conversation = &mut self.conversation;
        let mut has_messages = false;
        each_field(parser, notes, |parser, key, notes| {
            let rest = &mut conversation.metadata;
            match &*key {
                "id" => {
                    let id = id_or_keep(parser, key, rest)?;
                    if conversation.id.is_empty() {
                        conversation.id = id.unwrap_or_default();
                    }
                }
                "messages" => {
                    has_messages = true;
                    self.messages = messages(parser, notes)?;
                }
                "name" => conversation.title = text_or_keep(parser, key, rest)?,
                "prompt" => self.prompt = text_or_keep(parser, key, rest)?,
                "user_email" | "userEmail" => {
                    let raw = parser.raw()?;
                    if conversation.owner.is_none() {
                        conversation.owner = raw.as_text().map(Text::from);
                    }
                    put(rest, key.into(), raw);
                }
                "projectName" => {
                    let raw = parser.raw()?;
                    if conversation.project.is_none() {
                        conversation.project = raw.as_text().map(Text::from);
                    }
                    put(rest, key.into(), raw);
                }
                "createdAt" | "updatedAt" => {
                    let is_start = key == "createdAt";
                    let raw = parser.clone().raw()?;
                    let time = time_or_keep(parser, key.clone(), rest, notes)?;
                    if is_start {
                        conversation.created_at = conversation.created_at.or(time);
                    } else {
                        conversation.updated_at = time;
                    }
                    put(rest, key.into(), raw);
                }
                "not_understood" => {
                    let raw = parser.raw()?;
                    match not_understood(&raw) {
                        Some(told) => conversation.not_understood = told,
                        None => put(rest, key.into(), raw),
                    }
                }
                "model" => {
                    let raw = parser.raw()?;
                    conversation.model = model_id(&raw);
                    put(rest, key.into(), raw);
                }
                _ => keep(parser, key, rest)?,
            }
            Ok(())
        })?;
        if !has_messages {
            let why = "no `messages` in the conversation";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        Ok(())
    }

    fn finish(self, notes: &mut Notes) -> Conversation<'a> {
        let mut conversation = self.conversation;
        let mut messages = Vec::with_capacity(self.messages.len() + 1);
        match self.prompt {
            Some(prompt) if !prompt.is_blank() => {
                let mut system = Message::text(Role::System, prompt);
                system.source_role = Some("prompt".into());
                messages.push(system);
            }
            Some(prompt) => {
                put(
                    &mut conversation.metadata,
                    "prompt".into(),
                    RawJson::string(&prompt.decoded()),
                );
            }
            None => {}
        }
        let mut definitions = Vec::new();
        openai::account_for_messages(&conversation, notes);
        for (at, message) in self.messages.into_iter().enumerate() {
            let mark = notes.mark();
            account_for_tools(&message, notes);
            notes.under(mark, || format!("convo.messages[{at}]"));
            let ran = tools_of(&message);
            definitions.extend(ran.definitions);
            // What ran for a question comes after it, what ran for an answer before it.
            if message.role == Role::User {
                messages.push(message);
                messages.extend(ran.messages);
            } else {
                messages.extend(ran.messages);
                messages.push(message);
            }
        }
        let mut rounds = Rounds::default();
        rounds.extend(messages);
        conversation.rounds = rounds.finish(definitions);
        conversation
    }
}

fn model_id(raw: &RawJson<'_>) -> Option<Text<'static>> {
    let value = Value::parse(raw.as_str()).ok()?;
    let id = value
        .as_str()
        .or_else(|| value.get("id")?.as_str())
        .or_else(|| value.get("name")?.as_str())?;
    Some(id.to_owned().into())
}

#[derive(Default)]
struct ToolsRun {
    messages: Vec<Message<'static>>,
    definitions: Vec<RawJson<'static>>,
}

/// The tools that ran for a message, as a call and its results.
fn tools_of(message: &Message<'_>) -> ToolsRun {
    let mut run = ToolsRun::default();
    let Some((_, raw)) = message.metadata.iter().find(|(key, _)| key == "tools") else {
        return run;
    };
    let Ok(Value::Array(tools)) = Value::parse(raw.as_str()) else { return run };
    let mut asks =
        Message { source_role: Some("tools".into()), ..Message::text(Role::Assistant, "") };
    let mut results = Vec::new();
    for tool in &tools {
        let text =
            |key: &str| tool.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(name) = text("name").or(text("readableName")) else { continue };
        let arguments =
            tool.get("aiGeneratedArgumentValues").filter(|value| !matches!(value, Value::Null));
        let result = result_of(tool);
        if arguments.is_none() && result.is_none() {
            continue;
        }
        let id = text("invocationId").or(text("id")).unwrap_or_default().to_owned();
        asks.tool_calls.push(ToolCall {
            id: id.clone().into(),
            name: name.to_owned().into(),
            arguments: arguments.map_or("{}".to_owned(), Value::to_json).into(),
            metadata: Fields::new(),
        });
        if let Some(result) = result {
            results.push(Message {
                source_role: Some("tools".into()),
                tool_call_id: Some(id.into()),
                ..Message::text(Role::Tool, result)
            });
        }
        run.definitions.extend(definition_of(name, tool));
    }
    if !asks.tool_calls.is_empty() {
        run.messages.push(asks);
        run.messages.extend(results);
    }
    run
}

/// Fields of a tool that say what it is, what it was given and what came of it.
const TOOL: [&str; 9] = [
    "name",
    "readableName",
    "description",
    "inputParameters",
    "aiGeneratedArgumentValues",
    "output",
    "error",
    "contexts",
    "invocationId",
];

/// Tells of what a message's tools say and [`tools_of`] does not take.
fn account_for_tools(message: &Message<'_>, notes: &mut Notes) {
    let Some((_, raw)) = message.metadata.iter().find(|(key, _)| key == "tools") else { return };
    let Some(tools) = fields::list(raw) else {
        if says(raw, Least::Word) {
            notes.unplaced("tools", raw);
        }
        return;
    };
    for (at, raw) in tools.iter().enumerate() {
        let Some(tool) = fields::map(raw) else {
            notes.unplaced(format!("tools[{at}]"), raw);
            continue;
        };
        let is_named = tool.has(&["name", "readableName"]);
        if !is_named && tool.has(&["aiGeneratedArgumentValues", "output", "error"]) {
            notes.unplaced(format!("tools[{at}]"), raw);
        }
        let mark = notes.mark();
        notes.unplaced_fields(&tool.rest(), &TOOL, Least::Prose);
        notes.under(mark, || format!("tools[{at}]"));
    }
}

fn result_of(tool: &Value<'_>) -> Option<String> {
    if let Some(error) = tool.get("error").and_then(Value::as_str).filter(|error| !error.is_empty())
    {
        return Some(error.to_owned());
    }
    match tool.get("output")? {
        Value::Null => None,
        Value::String(text) => Some(text.to_string()),
        output => match output.get("text").and_then(Value::as_str) {
            Some(text) => Some(text.to_owned()),
            None => Some(output.to_json()),
        },
    }
}

fn definition_of(name: &str, tool: &Value<'_>) -> Option<RawJson<'static>> {
    let parameters = tool.get("inputParameters").filter(|value| matches!(value, Value::Object(_)));
    let description = tool.get("description").and_then(Value::as_str).unwrap_or_default();
    let function = Value::Object(vec![
        ("name".into(), Value::String(name.into())),
        ("description".into(), Value::String(description.into())),
        ("parameters".into(), parameters.cloned().unwrap_or(Value::Object(Vec::new()))),
    ]);
    let definition = Value::Object(vec![
        ("type".into(), Value::String("function".into())),
        ("function".into(), function),
    ]);
    RawJson::owned(&definition.to_json()).ok()
}
