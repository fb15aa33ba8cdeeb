//! The canonical line of a conversation.

use retort_json::{Kind as JsonKind, Parser, RawJson, Text, write_string};

use super::line::{
    CanonicalError, Object, VERSION, check_version, count, each_key, fields, list, named,
    optional_text, position, time, write_list,
};
use crate::conversation::{Conversation, Parent, Round, Task};
use crate::judgement::Judgement;
use crate::message::{Content, Feedback, Message, NotUnderstood, Part, PartKind, ToolCall};

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
    object.list("judgements", &conversation.judgements, write_judgement);
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
    object.list("judgements", &message.judgements, write_judgement);
    object.fields("metadata", &message.metadata);
    object.end();
}

pub(super) fn write_not_understood(one: &NotUnderstood<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.key("path");
    write_string(&one.path, object.out);
    object.raw("raw", one.raw.as_str());
    object.end();
}

/// Appends judgements as a JSON list, as they are in the lines of what was judged.
pub fn write_judgements(judgements: &[Judgement<'_>], out: &mut Vec<u8>) {
    write_list(judgements, out, write_judgement);
}

/// Reads a JSON list of judgements.
///
/// # Errors
/// It is no such list.
pub fn read_judgements(json: &str) -> Result<Vec<Judgement<'_>>, CanonicalError> {
    let mut parser = Parser::new(json);
    let judgements = list(&mut parser, read_judgement)?;
    parser.end()?;
    Ok(judgements)
}

pub(super) fn write_judgement(judgement: &Judgement<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.optional("by", judgement.by.as_ref());
    object.time("at", judgement.at);
    object.optional_raw("rating", judgement.rating.as_ref());
    object.optional("label", judgement.label.as_ref());
    object.optional("comment", judgement.comment.as_ref());
    object.optional_raw("ground_truth", judgement.ground_truth.as_ref());
    if let Some(preference) = judgement.preference {
        object.name("preference", preference.as_str());
    }
    if let Some(train) = judgement.train {
        object.raw("train", if train { "true" } else { "false" });
    }
    object.optional("corrected_answer", judgement.corrected.as_ref());
    object.end();
}

pub(super) fn write_feedback(feedback: &Feedback<'_>, out: &mut Vec<u8>) {
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
            "judgements" => conversation.judgements = list(parser, read_judgement)?,
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
            "judgements" => message.judgements = list(parser, read_judgement)?,
            "metadata" => message.metadata = fields(parser)?,
            _ => message.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(message)
}

pub(super) fn read_not_understood<'a>(
    parser: &mut Parser<'a>,
) -> Result<NotUnderstood<'a>, CanonicalError> {
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
    let mut part = Part { kind: PartKind::Other, text: None, raw: None };
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

pub(super) fn read_judgement<'a>(parser: &mut Parser<'a>) -> Result<Judgement<'a>, CanonicalError> {
    let mut judgement = Judgement::default();
    each_key(parser, |key, parser| {
        match key {
            "by" => judgement.by = optional_text(parser)?,
            "at" => judgement.at = time(parser, "at")?,
            "rating" => judgement.rating = Some(parser.raw()?),
            "label" => judgement.label = optional_text(parser)?,
            "comment" => judgement.comment = optional_text(parser)?,
            "ground_truth" => judgement.ground_truth = Some(parser.raw()?),
            "preference" => judgement.preference = Some(named(parser, "preference")?),
            "train" => judgement.train = Some(parser.bool()?),
            "corrected_answer" => judgement.corrected = optional_text(parser)?,
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    Ok(judgement)
}

pub(super) fn read_feedback<'a>(parser: &mut Parser<'a>) -> Result<Feedback<'a>, CanonicalError> {
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
