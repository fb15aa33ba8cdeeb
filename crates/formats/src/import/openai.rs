//! OpenAI chat messages: `{messages, tools, …}` objects and bare lists of messages. Reference: the request
//! schema of `POST /v1/chat/completions` and the fine-tuning row.

use retort_model::json::{Kind, Parser, Value};
use retort_model::{Conversation, Fields, Item, Message, RawJson};

use super::chat::Rounds;
use super::fields::{
    count_or_keep, each_field, id_or_keep, keep, named_or_keep, put, raws_or_keep, text_or_keep,
    texts_or_keep, time_or_keep,
};
use super::{ImportFormat, ItemError, Notes, Refusal, Shape, chat};

/// The format.
pub(super) struct OpenAi;

impl ImportFormat for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn about(&self) -> &'static str {
        "OpenAI chat messages: objects with `messages` (and `tools`), or bare lists of messages"
    }

    fn recognises(&self, shape: &Shape<'_>) -> bool {
        shape.is_message_array()
            || ((shape.has("messages") || shape.has("traj")) && shape.message_has("role"))
    }

    fn read<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let conversation = if parser.kind()? == Kind::Array {
            let mut rounds = Rounds::default();
            chat::each_message(&mut parser, notes, |message| rounds.push(message))?;
            Conversation { rounds: rounds.finish(Vec::new()), ..Conversation::default() }
        } else {
            object(&mut parser, &["messages", "traj"], notes)?
        };
        parser.end()?;
        notes.count(&parser);
        Ok(conversation.into())
    }
}

/// Reads a conversation whose messages stand flat under the first of `message_keys` that it has.
pub(super) fn object<'a>(
    parser: &mut Parser<'a>,
    message_keys: &[&str],
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation::default();
    let mut rounds: Option<Rounds<'a>> = None;
    let mut tools = Vec::new();
    each_field(parser, notes, |parser, key, notes| {
        let rest = &mut conversation.metadata;
        match &*key {
            key if message_keys.contains(&key) => {
                // The last of two counts, as everywhere.
                let rounds = rounds.insert(Rounds::default());
                if parser.kind()? == Kind::String {
                    // Databases and tables keep them as JSON text.
                    let text = parser.string()?.decoded().into_owned();
                    let mut inner = Parser::lenient(&text);
                    let mut take = |message: Message<'_>| rounds.push(message.into_owned());
                    chat::each_message(&mut inner, notes, &mut take)?;
                    inner.end()?;
                    notes.count(&inner);
                } else {
                    chat::each_message(parser, notes, |message| rounds.push(message))?;
                }
            }
            "tools" | "functions" => tools.extend(raws_or_keep(parser, key, rest)?),
            "id" | "conversation_id" | "_id" if conversation.id.is_empty() => {
                conversation.id = id_or_keep(parser, key, rest)?.unwrap_or_default();
            }
            "title" => conversation.title = text_or_keep(parser, key, rest)?,
            "tags" | "ability" if conversation.tags.is_empty() => {
                conversation.tags = texts_or_keep(parser, key, rest)?;
            }
            "model" => conversation.model = text_or_keep(parser, key, rest)?,
            "created_at" | "create_time" if conversation.created_at.is_none() => {
                conversation.created_at = time_or_keep(parser, key, rest, notes)?;
            }
            "updated_at" | "update_time" if conversation.updated_at.is_none() => {
                conversation.updated_at = time_or_keep(parser, key, rest, notes)?;
            }
            "owner" | "user_email" if conversation.owner.is_none() => {
                conversation.owner = text_or_keep(parser, key, rest)?;
            }
            "project" => conversation.project = text_or_keep(parser, key, rest)?,
            "status" => {
                if let Some(status) = named_or_keep(parser, key, rest)? {
                    conversation.status = status;
                }
            }
            "kind" | "type" | "data_source" => {
                if let Some(kind) = named_or_keep(parser, key, rest)? {
                    conversation.kind = kind;
                }
            }
            _ => keep(parser, key, rest)?,
        }
        Ok(())
    })?;
    let Some(mut rounds) = rounds else {
        let names =
            message_keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        return Err(ItemError::new(Refusal::UnknownShape, 0, format!("no {names} in the item")));
    };
    rounds.extend(logged_answer(&conversation.metadata, notes)?);
    rounds.extend(chosen_answer(&conversation.metadata, notes)?);
    conversation.rounds = rounds.finish(tools);
    take_usage(&mut conversation)?;
    Ok(conversation)
}

/// Logs of requests keep the answer apart, under `response`: it is the last message of the conversation.
fn logged_answer(
    metadata: &[(retort_model::Text<'_>, RawJson<'_>)],
    notes: &mut Notes,
) -> Result<Option<Message<'static>>, ItemError> {
    let Some((_, response)) = metadata.iter().find(|(key, _)| key == "response") else {
        return Ok(None);
    };
    let response = Value::parse(response.as_str())?;
    let Some(Value::Array(choices)) = response.get("choices") else { return Ok(None) };
    let Some(message) = choices.first().and_then(|choice| choice.get("message")) else {
        return Ok(None);
    };
    if message.get("role").is_none() {
        return Ok(None);
    }
    // Through the canonical form, which gives a message that borrows from nothing.
    let text = message.to_json();
    let answer = chat::message(&mut Parser::new(&text), notes)?;
    Ok(Some(answer.into_owned()))
}

/// Preference data keeps the answer that was preferred apart, under `chosen`; the other stays with the metadata.
fn chosen_answer(
    metadata: &[(retort_model::Text<'_>, RawJson<'_>)],
    notes: &mut Notes,
) -> Result<Option<Message<'static>>, ItemError> {
    let Some((_, chosen)) = metadata.iter().find(|(key, _)| key == "chosen") else {
        return Ok(None);
    };
    let value = Value::parse(chosen.as_str())?;
    if value.get("role").or_else(|| value.get("from")).is_none() {
        return Ok(None);
    }
    Ok(Some(chat::message(&mut Parser::new(chosen.as_str()), notes)?.into_owned()))
}

/// A whole conversation's token counts, where the source has them beside a single round.
fn take_usage(conversation: &mut Conversation<'_>) -> Result<(), ItemError> {
    let [round] = conversation.rounds.as_mut_slice() else { return Ok(()) };
    let Some((_, usage)) = conversation.metadata.iter().find(|(key, _)| key == "usage") else {
        return Ok(());
    };
    let mut parser = Parser::new(usage.as_str());
    if parser.kind()? != Kind::Object {
        return Ok(());
    }
    let mut others = Fields::new();
    each_field(&mut parser, &mut Notes::default(), |parser, key, _| {
        match &*key {
            "prompt_tokens" | "input_tokens" => {
                round.usage.input_tokens = count_or_keep(parser, key, &mut others)?;
            }
            "completion_tokens" | "output_tokens" => {
                round.usage.output_tokens = count_or_keep(parser, key, &mut others)?;
            }
            _ => {
                let raw = parser.raw()?;
                put(&mut others, key.into(), raw);
            }
        }
        Ok(())
    })
}
