//! Messages as chat systems write them: OpenAI's fields, ShareGPT's `from` and `value`, and the words that
//! others use for the same things. Shared by the formats whose messages look like that.

use std::borrow::Cow;

use retort_model::json::{Kind, Parser};
use retort_model::{
    Content, Feedback, Fields, Message, Part, PartKind, RawJson, Role, Round, Text, ToolCall,
};

use super::fields::{each_field, keep, put, raws_or_keep, text_or_keep, time_or_keep};
use super::{ItemError, Notes, Refusal};

/// Reads a list of messages.
pub(super) fn messages<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut messages = Vec::new();
    each_message(parser, notes, |message| messages.push(message))?;
    Ok(messages)
}

/// Reads a list of messages, one by one.
pub(super) fn each_message<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    mut take: impl FnMut(Message<'a>),
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Array => {
            parser.array()?;
            while parser.next_element()? {
                if parser.kind()? != Kind::Object {
                    return Err(ItemError::new(
                        Refusal::BadField,
                        parser.at(),
                        "a message that is no object",
                    ));
                }
                take(message(parser, notes)?);
            }
        }
        Kind::Null => drop(parser.null()?),
        _ => {
            return Err(ItemError::new(Refusal::BadField, parser.at(), "the messages are no list"));
        }
    }
    Ok(())
}

/// Reads one message.
pub(super) fn message<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
) -> Result<Message<'a>, ItemError> {
    // Most say this and no more.
    let mut message = match parser.pair(["role", "content"]) {
        Some([word, text]) => {
            let (role, source_role) = role(word);
            Message { role, source_role, content: Some(Content::Text(text)), ..Message::default() }
        }
        None => fields(parser, notes)?,
    };
    if message.source_role.as_ref().is_some_and(|word| word == "function_call")
        && message.tool_calls.is_empty()
    {
        take_calls_from_content(&mut message);
    }
    Ok(message)
}

/// Reads one message, whatever its fields.
fn fields<'a>(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Message<'a>, ItemError> {
    let mut message = Message { role: Role::Other, ..Message::default() };
    let mut legacy_call = None;
    let mut has_role = false;
    each_field(parser, notes, |parser, key, notes| {
        let rest = &mut message.metadata;
        match &*key {
            "role" | "from" if !has_role => {
                if let Some(word) = text_or_keep(parser, key, rest)? {
                    has_role = true;
                    (message.role, message.source_role) = role(word);
                }
            }
            "content" | "value" if message.content.is_none() => content(parser, &mut message)?,
            "tool_calls" => tool_calls(parser, key, &mut message, notes)?,
            "function_call" => {
                legacy_call = if parser.kind()? == Kind::Object {
                    Some(tool_call(parser, notes)?)
                } else {
                    keep_unless_null(parser, key, rest)?;
                    None
                }
            }
            "tool_call_id" => message.tool_call_id = text_or_keep(parser, key, rest)?,
            "name" => message.name = text_or_keep(parser, key, rest)?,
            "reasoning_content" | "reasoning" | "thinking" if message.reasoning.is_none() => {
                message.reasoning = text_or_keep(parser, key, rest)?;
            }
            "contexts" => message.contexts = raws_or_keep(parser, key, rest)?,
            "feedback" => feedback(parser, key, &mut message, notes)?,
            "created_at" | "timestamp" | "create_time" if message.created_at.is_none() => {
                message.created_at = time_or_keep(parser, key, rest, notes)?;
            }
            "error" => error(parser, key, &mut message)?,
            _ => keep(parser, key, rest)?,
        }
        Ok(())
    })?;
    if let Some(call) = legacy_call {
        message.tool_calls.push(call);
    }
    if message.content.is_none() {
        take_refusal(&mut message);
    }
    Ok(message)
}

/// The role of a word, and the word where it is not Retort's own.
fn role(word: Text<'_>) -> (Role, Option<Text<'_>>) {
    let role = match word.as_written() {
        "user" => return (Role::User, None),
        "assistant" => return (Role::Assistant, None),
        "system" => return (Role::System, None),
        "tool" => return (Role::Tool, None),
        other => match other.to_ascii_lowercase().as_str() {
            "human" | "user" => Role::User,
            "gpt" | "assistant" | "function_call" | "model" => Role::Assistant,
            "system" | "developer" => Role::System,
            "tool" | "function" | "observation" => Role::Tool,
            _ => Role::Other,
        },
    };
    (role, Some(word))
}

fn keep_unless_null<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<(), ItemError> {
    if !parser.null()? {
        keep(parser, key, rest)?;
    }
    Ok(())
}

fn content<'a>(parser: &mut Parser<'a>, message: &mut Message<'a>) -> Result<(), ItemError> {
    message.content = match parser.kind()? {
        Kind::String => Some(Content::Text(parser.string()?)),
        Kind::Null => {
            parser.null()?;
            None
        }
        Kind::Array => {
            let mut parts = Vec::new();
            parser.array()?;
            while parser.next_element()? {
                if let Some(part) = part(parser, message)? {
                    parts.push(part);
                }
            }
            // Parts that were all calls or reasoning leave a message without content.
            if parts.is_empty() && !(message.tool_calls.is_empty() && message.reasoning.is_none()) {
                None
            } else {
                Some(Content::Parts(parts))
            }
        }
        Kind::Object => Some(Content::Parts(part(parser, message)?.into_iter().collect())),
        Kind::Number | Kind::Bool => Some(Content::Text(parser.raw()?.into_cow().into())),
    };
    Ok(())
}

/// One part of a content. Reasoning and calls that stand among the parts go to their own fields.
fn part<'a>(
    parser: &mut Parser<'a>,
    message: &mut Message<'a>,
) -> Result<Option<Part<'a>>, ItemError> {
    match parser.kind()? {
        Kind::String => {
            return Ok(Some(Part {
                kind: PartKind::Text,
                text: Some(parser.string()?),
                raw: None,
            }));
        }
        Kind::Object => {}
        _ => return Ok(Some(Part { kind: PartKind::Other, text: None, raw: Some(parser.raw()?) })),
    }
    let mut whole = parser.clone();
    let (mut kind, mut text, mut others) = (Text::from(""), None, false);
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "type" if parser.kind()? == Kind::String => kind = parser.string()?,
            "text" | "value" | "refusal" if parser.kind()? == Kind::String => {
                text = Some(parser.string()?);
            }
            _ => {
                others = true;
                parser.skip()?;
            }
        }
    }
    let word = kind.decoded();
    let kind = match &*word {
        "text" | "input_text" | "output_text" | "refusal" => PartKind::Text,
        "reasoning" if text.is_some() && message.reasoning.is_none() => {
            message.reasoning = text;
            return Ok(None);
        }
        "tool_call" => {
            let calls = text.as_ref().and_then(|text| calls_in(&text.decoded()));
            if let Some(calls) = calls {
                message.tool_calls.extend(calls);
                return Ok(None);
            }
            PartKind::Other
        }
        word if word.contains("image") => PartKind::Image,
        word if word.contains("audio") => PartKind::Audio,
        word if word.contains("file") => PartKind::File,
        _ => PartKind::Other,
    };
    let is_plain = kind == PartKind::Text && text.is_some() && !others && word == "text";
    let raw = if is_plain { None } else { Some(whole.raw()?) };
    let text = if kind == PartKind::Text { text } else { None };
    Ok(Some(Part { kind, text, raw }))
}

fn tool_calls<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Array => {
            parser.array()?;
            while parser.next_element()? {
                if parser.kind()? == Kind::Object {
                    message.tool_calls.push(tool_call(parser, notes)?);
                } else {
                    return Err(ItemError::new(
                        Refusal::BadField,
                        parser.at(),
                        "a tool call that is no object",
                    ));
                }
            }
            Ok(())
        }
        _ => keep_unless_null(parser, key, &mut message.metadata),
    }
}

/// A call: OpenAI's `{id, type, function: {name, arguments}}`, or `{name, arguments}` alone.
pub(super) fn tool_call<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
) -> Result<ToolCall<'a>, ItemError> {
    let mut call = ToolCall::default();
    each_field(parser, notes, |parser, key, notes| match &*key {
        "function" | "custom" if parser.kind()? == Kind::Object => {
            if key == "custom" {
                put(&mut call.metadata, "type".into(), RawJson::string("custom"));
            }
            each_field(parser, notes, |parser, key, _| call_field(parser, key, &mut call))
        }
        "id" | "call_id" => {
            call.id = text_or_keep(parser, key, &mut call.metadata)?.unwrap_or_default();
            Ok(())
        }
        "type" => {
            let word = text_or_keep(parser, key, &mut call.metadata)?;
            if let Some(word) = word.filter(|word| *word != *"function") {
                put(&mut call.metadata, "type".into(), RawJson::string(&word.decoded()));
            }
            Ok(())
        }
        _ => call_field(parser, key, &mut call),
    })?;
    Ok(call)
}

fn call_field<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    call: &mut ToolCall<'a>,
) -> Result<(), ItemError> {
    match &*key {
        "name" => call.name = text_or_keep(parser, key, &mut call.metadata)?.unwrap_or_default(),
        "arguments" | "input" => {
            call.arguments = match parser.kind()? {
                Kind::String => parser.string()?,
                Kind::Null => {
                    parser.null()?;
                    Text::default()
                }
                _ => parser.raw()?.into_cow().into(),
            }
        }
        _ => keep(parser, key, &mut call.metadata)?,
    }
    Ok(())
}

/// The calls of a JSON text: one `{name, arguments}` or a list of them. None if it is anything else.
fn calls_in(text: &str) -> Option<Vec<ToolCall<'static>>> {
    let mut parser = Parser::new(text);
    let mut notes = Notes::default();
    let mut calls = Vec::new();
    if parser.kind().ok()? == Kind::Array {
        parser.array().ok()?;
        while parser.next_element().ok()? {
            calls.push(tool_call(&mut parser, &mut notes).ok()?.into_owned());
        }
    } else {
        calls.push(tool_call(&mut parser, &mut notes).ok()?.into_owned());
    }
    parser.end().ok()?;
    let named = !calls.is_empty() && calls.iter().all(|call| !call.name.is_empty());
    named.then_some(calls)
}

/// ShareGPT's `function_call` messages hold their calls as JSON text. What is no such text stays content.
fn take_calls_from_content(message: &mut Message<'_>) {
    let Some(Content::Text(text)) = &message.content else { return };
    if let Some(calls) = calls_in(&text.decoded()) {
        message.tool_calls = calls;
        message.content = None;
    }
}

/// A refusal is what the model said when it said nothing else.
fn take_refusal(message: &mut Message<'_>) {
    let refusal = message.metadata.iter().find(|(key, _)| key == "refusal");
    if let Some(text) = refusal.and_then(|(_, raw)| raw.as_text()) {
        message.content = Some(Content::Text(text.into()));
    }
}

fn feedback<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    if parser.kind()? != Kind::Object {
        return keep_unless_null(parser, key, &mut message.metadata);
    }
    let mut feedback = Feedback::default();
    let rest = &mut message.metadata;
    each_field(parser, notes, |parser, key, _| {
        match &*key {
            "isPositive" | "rating" | "thumb" | "score" if feedback.rating.is_none() => {
                feedback.rating = Some(parser.raw()?).filter(|raw| !raw.is_null());
            }
            "category" | "label" | "tag" => feedback.label = text_or_keep(parser, key, rest)?,
            "details" | "comment" | "text" => feedback.comment = text_or_keep(parser, key, rest)?,
            _ => keep(parser, key, rest)?,
        }
        Ok(())
    })?;
    message.feedback = Some(Box::new(feedback));
    Ok(())
}

/// Whatever a source sets as an error, other than nothing.
fn error<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Null => drop(parser.null()?),
        Kind::Bool => {
            if parser.bool()? {
                message.error = Some("failed".into());
            }
        }
        Kind::String => {
            let text = parser.string()?;
            message.error = Some(text).filter(|text| !text.is_empty());
        }
        _ => {
            let raw = parser.raw()?;
            if !matches!(raw.as_str(), "{}" | "[]" | "0") {
                message.error = Some(raw.as_str().to_owned().into());
            }
            put(&mut message.metadata, key.into(), raw);
        }
    }
    Ok(())
}

/// A flat list of messages that is cut into rounds: each begins with a question that follows something else. System
/// messages before the first question belong to its round.
#[derive(Default)]
pub(super) struct Rounds<'a> {
    rounds: Vec<Round<'a>>,
    /// Whether the last of them has more than questions.
    answered: bool,
}

/// Messages that a round has room for at first: a question and its answer.
const MESSAGES: usize = 2;

impl<'a> Rounds<'a> {
    pub(super) fn push(&mut self, message: Message<'a>) {
        let asks = message.role == Role::User;
        let answers = !(asks || message.role == Role::System);
        match self.rounds.last_mut().filter(|_| !(asks && self.answered)) {
            Some(round) => {
                self.answered |= answers;
                round.messages.push(message);
            }
            None => {
                self.answered = answers;
                let number = u32::try_from(self.rounds.len() + 1).unwrap_or(u32::MAX);
                let mut messages = Vec::with_capacity(MESSAGES);
                messages.push(message);
                self.rounds.push(Round { number, messages, ..Round::default() });
            }
        }
    }

    /// The rounds; the tools are those of the first.
    pub(super) fn finish(mut self, tools: Vec<RawJson<'a>>) -> Vec<Round<'a>> {
        if self.rounds.is_empty() && !tools.is_empty() {
            self.rounds.push(Round { number: 1, ..Round::default() });
        }
        if let Some(first) = self.rounds.first_mut() {
            first.tools = tools;
        }
        self.rounds
    }
}

impl<'a> Extend<Message<'a>> for Rounds<'a> {
    fn extend<I: IntoIterator<Item = Message<'a>>>(&mut self, messages: I) {
        messages.into_iter().for_each(|message| self.push(message));
    }
}
