//! Histories of chat products: messages that name the one before them, or follow one another, made into the rounds of a
//! conversation. A product's message may become several of ours, where calls and their results are inside an answer.

use std::borrow::Cow;

use retort_json::{Parser, RawJson, Text};
use retort_model::{
    Content, Conversation, Feedback, Message, Parent, Part, PartKind, Role, Round, ToolCall, Usage,
};

use super::assemble::assemble;
use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ItemError, Items, Notes, Refusal};
use super::parts::Segment;
use super::tree::{Broken, Links, Tree};
use super::unplaced::{Least, says};

/// A message of a product.
#[derive(Default)]
pub(super) struct Turn<'a> {
    pub(super) links: Links<'a>,
    pub(super) messages: Vec<Message<'a>>,
    /// The model that answered.
    pub(super) model: Option<Text<'a>>,
    pub(super) usage: Usage,
}

impl<'a> Turn<'a> {
    /// A message that only follows the one before it.
    pub(super) fn plain(messages: Vec<Message<'a>>) -> Self {
        Self { messages, ..Self::default() }
    }

    /// A message and its parts. A call and its result that are among them become messages.
    pub(super) fn of(message: Message<'a>, segments: Vec<Segment<'a>>) -> Self {
        let mut messages = Vec::new();
        assemble(message, segments, |message| messages.push(message));
        // A text alone needs no parts.
        for message in &mut messages {
            if let Some(Content::Parts(parts)) = &mut message.content {
                message.content = super::parts::content(std::mem::take(parts));
            }
        }
        Self::plain(messages)
    }

    /// The messages of [`Self::of`], or none of a message that neither says anything nor failed.
    pub(super) fn said(message: Message<'a>, segments: Vec<Segment<'a>>) -> Vec<Message<'a>> {
        if segments.is_empty() && message.error.is_none() {
            Vec::new()
        } else {
            Self::of(message, segments).messages
        }
    }
}

/// Makes the rounds of a conversation. Without a `current` message, the last of the list is shown. `path` names a message
/// by its place in the list.
pub(super) fn grow<'a>(
    turns: Vec<Turn<'a>>,
    current: Option<&Text<'a>>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
    path: impl Fn(usize) -> String,
) {
    let links: Vec<_> = turns.iter().map(|turn| turn.links.clone()).collect();
    let current = current.or_else(|| links.last().map(|links| &links.id)).cloned();
    let (mut tree, broken) = Tree::of(&links, current.as_ref());
    for Broken::NoParent(at) | Broken::Circle(at) in broken {
        let parent = links.get(at).and_then(|links| links.parent.as_ref());
        let parent = parent.map_or(RawJson::null(), |id| RawJson::string(&id.decoded()));
        notes.unplaced(path(at), &parent);
    }
    let mut turns: Vec<_> = turns.into_iter().map(Some).collect();
    let mut drafts: Vec<Round<'a>> = Vec::new();
    for at in tree.order() {
        let Some(turn) = turns.get_mut(at).and_then(Option::take) else { continue };
        let Some(first) = turn.messages.first() else {
            tree.pass(at);
            continue;
        };
        let asks = first.role == Role::User;
        let answers = !matches!(first.role, Role::User | Role::System);
        let round = tree.enter(at, asks, answers);
        drafts.resize_with(drafts.len().max(round + 1), Round::default);
        if let Some(round) = drafts.get_mut(round) {
            round.messages.extend(turn.messages);
            round.model = turn.model.or(round.model.take());
            round.usage.input_tokens = turn.usage.input_tokens.or(round.usage.input_tokens);
            round.usage.output_tokens = turn.usage.output_tokens.or(round.usage.output_tokens);
        }
    }
    let (mut rounds, shown) = tree.rounds();
    for (round, draft) in rounds.iter_mut().zip(drafts) {
        *round = Round { number: round.number, parent: round.parent, ..draft };
    }
    (conversation.rounds, conversation.current) = (rounds, shown);
}

/// Puts instructions that a product keeps beside the messages in front of them, unless they are there.
pub(super) fn instruct<'a>(conversation: &mut Conversation<'a>, text: Option<Text<'a>>) {
    let Some(text) = text.filter(|text| !text.is_blank()) else { return };
    let is_there = conversation.messages().any(|message| {
        message.role == Role::System && message.words().decoded().trim() == text.decoded().trim()
    });
    if is_there {
        return;
    }
    for (at, round) in conversation.rounds.iter_mut().enumerate() {
        if round.parent == Parent::Root || at == 0 {
            let content = Some(Content::Text(text.clone()));
            let message = Message { role: Role::System, content, ..Message::default() };
            round.messages.insert(0, message);
        }
    }
}

/// Reads a message as most chat systems write it.
pub(super) fn message<'a>(
    raw: &RawJson<'a>,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let read = match raw.clone().into_cow() {
        Cow::Borrowed(text) => chat::message(&mut Parser::lenient(text), known, notes),
        Cow::Owned(text) => chat::message(&mut Parser::lenient(&text), known, notes)
            .map(|all| all.into_iter().map(Message::into_owned).collect()),
    };
    read.map_err(|error| ItemError { at: 0, ..error })
}

/// Reads messages that follow one another, as most chat systems write them, under the `name` of their list.
pub(super) fn messages<'a>(
    list: &[RawJson<'a>],
    name: &str,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Vec<Turn<'a>>, ItemError> {
    let mut turns = Vec::with_capacity(list.len());
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        let mut turn = Turn::default();
        if fields::kind(raw) == Some(retort_json::Kind::Object) {
            turn.messages = message(raw, known, notes)?;
            turn.model = turn.messages.iter().find_map(model_of);
        } else {
            notes.unplaced("", raw);
        }
        notes.under(mark, || format!("{name}[{at}]"));
        turns.push(turn);
    }
    Ok(turns)
}

/// The model that an answer says it is of.
fn model_of<'a>(message: &Message<'a>) -> Option<Text<'a>> {
    let of_answer = message.role == Role::Assistant;
    message.metadata.get("model").filter(|_| of_answer)?.text().filter(|text| !text.is_empty())
}

/// Takes a field of any of the messages that one became.
pub(super) fn take<'a, T>(
    messages: &mut [Message<'a>],
    name: &str,
    read: impl Fn(&RawJson<'a>) -> Option<T>,
) -> Option<T> {
    let message = messages.iter_mut().find(|message| message.metadata.get(name).is_some())?;
    let found = message.metadata.get(name).and_then(read);
    if found.is_some() || message.metadata.get(name).is_some_and(RawJson::is_null) {
        message.metadata.take(name);
    }
    found
}

/// Adds parts in front of what the first of the messages says.
pub(super) fn attach<'a>(messages: &mut [Message<'a>], parts: Vec<Part<'a>>) {
    let Some(message) = messages.first_mut().filter(|_| !parts.is_empty()) else { return };
    let mut all = parts;
    match message.content.take() {
        Some(Content::Parts(own)) => all.extend(own),
        Some(Content::Text(text)) if !text.is_empty() => all.push(Part::text(text)),
        Some(Content::Text(_)) | None => {}
    }
    message.content = Some(Content::Parts(all));
}

/// A file that was sent along, by its media type or name of a type.
pub(super) fn file_part<'a>(raw: &RawJson<'a>, names: &[&str]) -> Part<'a> {
    let kind =
        fields::map(raw).and_then(|map| names.iter().find_map(|name| map.peek(name)?.as_text()));
    let kind = match kind.as_deref().unwrap_or_default().split('/').next() {
        Some("image") => PartKind::Image,
        Some("audio") => PartKind::Audio,
        Some("video") => PartKind::Other,
        _ => PartKind::File,
    };
    Part { kind, text: None, raw: Some(raw.clone()) }
}

/// A call with what came of it.
pub(super) fn ran<'a>(
    call: ToolCall<'a>,
    output: Option<RawJson<'a>>,
    error: Option<Text<'a>>,
    notes: &mut Notes,
) -> Result<Segment<'a>, ItemError> {
    if output.is_none() && error.is_none() {
        return Ok(Segment::Call(call));
    }
    let content = output.map(|raw| super::parts::result_content(raw, notes)).transpose()?.flatten();
    let result = Message {
        role: Role::Tool,
        tool_call_id: Some(call.id.clone()),
        name: Some(call.name.clone()),
        content,
        error,
        ..Message::default()
    };
    Ok(Segment::Ran(call, Some(result)))
}

/// What a person thought of an answer.
pub(super) fn feedback<'a>(
    map: &mut FieldMap<'a>,
    rating: &[&str],
    label: &[&str],
    comment: &[&str],
) -> Option<Box<Feedback<'a>>> {
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_blank());
    let feedback = Feedback {
        rating: map.take(rating, fields::json),
        label: map.take(label, text),
        comment: map.take(comment, text),
    };
    (feedback != Feedback::default()).then(|| Box::new(feedback))
}

/// Reads each of several conversations that one text holds; what is not understood of one is said of that alone.
pub(super) fn each<'a>(
    list: &[RawJson<'a>],
    name: &str,
    notes: &mut Notes,
    mut read: impl FnMut(FieldMap<'a>, &mut Notes) -> Result<Conversation<'a>, ItemError>,
) -> Result<Items<'a>, ItemError> {
    let mut items = Items::default();
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        let Some(map) = FieldMap::of(raw, notes) else {
            if says(raw, Least::Word) {
                let why = format!("{name}[{at}] is not an object");
                return Err(ItemError::new(Refusal::BadField, 0, why));
            }
            continue;
        };
        let mut conversation = read(map, notes)?;
        notes.under(mark, || format!("{name}[{at}]"));
        conversation.not_understood.extend(notes.since(mark));
        items.push(conversation);
    }
    Ok(items)
}
