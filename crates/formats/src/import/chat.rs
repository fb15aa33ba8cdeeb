//! Lists of messages as chat systems write them, shared by the formats whose messages look like that. A message is read in
//! `draft.rs`.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Content, Fields, Message, Role, Time};

use super::assemble::joined;
use super::draft::{Draft, unknown_role};
use super::fields::keep_in_list;
use super::format::{ItemError, Notes, Refusal};
use super::roles::{role, says_calls};

/// Reads a list of messages. `known` are the fields of a source's messages that say nothing more than is read.
pub(super) fn messages<'a>(
    parser: &mut Parser<'a>,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut messages = Vec::new();
    each_message(parser, known, notes, |message| messages.push(message))?;
    Ok(messages)
}

/// Reads a list of messages, one by one; a JSON text of a list is that list.
pub(super) fn each_message<'a>(
    parser: &mut Parser<'a>,
    known: &[&str],
    notes: &mut Notes,
    mut take: impl FnMut(Message<'a>),
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Array => each_of_list(parser, known, notes, &mut take),
        Kind::Null => {
            parser.null()?;
            Ok(())
        }
        Kind::String => {
            let at = parser.at();
            let text = parser.string()?.into_cow().into_owned();
            let mut inner = Parser::lenient(&text);
            if !text.trim_start().starts_with('[') {
                return Err(ItemError::new(Refusal::BadField, at, "the messages are not a list"));
            }
            let mut take = |message: Message<'_>| take(message.into_owned());
            each_of_list(&mut inner, known, notes, &mut take)
                .and_then(|()| Ok(inner.end()?))
                .map_err(|error| ItemError { at, ..error })?;
            notes.count(&inner);
            Ok(())
        }
        _ => Err(ItemError::new(Refusal::BadField, parser.at(), "the messages are not a list")),
    }
}

fn each_of_list<'a>(
    parser: &mut Parser<'a>,
    known: &[&str],
    notes: &mut Notes,
    mut take: &mut impl FnMut(Message<'a>),
) -> Result<(), ItemError> {
    parser.array()?;
    let mut at = 0_usize;
    let mut joining = Joining::default();
    while parser.next_element()? {
        if parser.kind()? != Kind::Object {
            return Err(ItemError::new(
                Refusal::BadField,
                parser.at(),
                "a message that is not an object",
            ));
        }
        // Most say this and no more.
        match parser.pair(["role", "content"]) {
            Some([word, text]) if !says_calls(&word) => {
                let (role, source_role) = role(word);
                if role == Role::Other {
                    let mark = notes.mark();
                    unknown_role(source_role.as_ref(), notes);
                    notes.under(mark, || format!("[{at}]"));
                }
                joining.end(&mut take);
                take(Message {
                    role,
                    source_role,
                    content: Some(Content::Text(text)),
                    ..Message::default()
                });
            }
            pair => {
                let mark = notes.mark();
                let draft = match pair {
                    Some([role, text]) => Draft::of_text(role, text),
                    None => Draft::read(parser, notes)?,
                };
                let is_item = draft.is_item();
                draft.finish(known, notes, |message| joining.take(message, is_item, &mut take))?;
                notes.under(mark, || format!("[{at}]"));
            }
        }
        at += 1;
    }
    joining.end(&mut take);
    Ok(())
}

/// Reads one message.
pub(super) fn message<'a>(
    parser: &mut Parser<'a>,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut messages = Vec::new();
    Draft::read(parser, notes)?.finish(known, notes, |message| messages.push(message))?;
    Ok(messages)
}

/// Reads a message at hand, said by `role` where it does not tell.
pub(super) fn message_of<'a>(
    raw: &RawJson<'a>,
    role: Option<&'static str>,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut messages = Vec::new();
    match raw.clone().into_cow() {
        Cow::Borrowed(text) => {
            let draft = Draft::read(&mut Parser::lenient(text), notes)?.said_by(role);
            draft.finish(known, notes, |message| messages.push(message))?;
        }
        Cow::Owned(text) => {
            let draft = Draft::read(&mut Parser::lenient(&text), notes)?.said_by(role);
            draft.finish(known, notes, |message| messages.push(message.into_owned()))?;
        }
    }
    Ok(messages)
}

/// Reads an item of the Responses API at hand.
pub(super) fn item_of<'a>(
    raw: &RawJson<'a>,
    known: &[&str],
    notes: &mut Notes,
    at: Option<Time>,
    joining: &mut Joining<'a>,
    mut take: impl FnMut(Message<'a>),
) -> Result<(), ItemError> {
    let text = raw.as_str();
    let is_item = Draft::read(&mut Parser::lenient(text), &mut Notes::default())?.is_item();
    for mut message in message_of(raw, None, known, notes)? {
        message.created_at = message.created_at.or(at);
        joining.take(message, is_item, &mut take);
    }
    Ok(())
}

/// Items of the Responses API are less than messages: reasoning, the calls and the text of one answer are one message.
#[derive(Default)]
pub(super) struct Joining<'a>(Option<Message<'a>>);

impl<'a> Joining<'a> {
    fn take(&mut self, message: Message<'a>, is_item: bool, take: &mut impl FnMut(Message<'a>)) {
        if !is_item || message.role != Role::Assistant {
            self.end(take);
            return take(message);
        }
        match &mut self.0 {
            // What is said goes before what is called; reasoning begins an answer.
            Some(open) if message.reasoning.is_none() && message.content.is_none() => {
                open.tool_calls.extend(message.tool_calls);
                keep_also(open, message.metadata);
            }
            Some(open) if open.content.is_none() && open.tool_calls.is_empty() => {
                let before = std::mem::take(open);
                let reasoning = [before.reasoning, message.reasoning.clone()];
                *open = Message { reasoning: joined(reasoning.into_iter().flatten()), ..message };
                open.created_at = before.created_at.or(open.created_at);
                keep_also(open, before.metadata);
            }
            _ => {
                self.end(take);
                self.0 = Some(message);
            }
        }
    }

    pub(super) fn end(&mut self, take: &mut impl FnMut(Message<'a>)) {
        if let Some(message) = self.0.take() {
            take(message);
        }
    }
}

/// Keeps with a message what was said of another part of its answer: under its own name, or, where the message has such a
/// field already, in an object in the list `items`.
pub(super) fn keep_also<'a>(message: &mut Message<'a>, others: Fields<'a>) {
    let mut again = Fields::new();
    for (key, raw) in others {
        match message.metadata.get(&key.decoded()) {
            None => message.metadata.put(key, raw),
            Some(own) if *own == raw => {}
            Some(_) => again.put(key, raw),
        }
    }
    if let Some(raw) = RawJson::object(&again) {
        keep_in_list(&mut message.metadata, "items", &raw);
    }
}
