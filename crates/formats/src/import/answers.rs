//! Answers that a source keeps apart from the messages: responses of model APIs in logs of requests, and the chosen and
//! rejected answers of preference data. The answer that counts goes on from the last question; the others become
//! siblings of it, which are kept and never learnt.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{
    Content, Conversation, Fields, Label, Message, Parent, Part, PartKind, Role, Round,
};

use super::assemble::joined;
use super::chat::keep_also;
use super::fields::{self, FieldMap};
use super::format::Notes;
use super::streams;
use super::unplaced::{Least, says};
use super::{chat, marks};

/// One answer: its messages, and what the source thinks of it.
pub(super) type Answer = (Vec<Message<'static>>, Option<Label>);

/// Reads what an API answered, in any of the shapes that such APIs have: OpenAI's `choices` (the one with index 0 is the
/// answer) and `output`, Google's `candidates`, Ollama's and Anthropic's message, a list of messages, a text. None if it
/// is none of these.
pub(super) fn of_response(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Answer>> {
    let mark = notes.mark();
    let answers = response(raw, notes, 0);
    if answers.is_none() {
        notes.forget(mark);
    }
    answers
}

/// Bodies in bodies that are looked into, as proxies wrap what they log.
const WRAPPINGS: usize = 4;

fn response(raw: &RawJson<'_>, notes: &mut Notes, depth: usize) -> Option<Vec<Answer>> {
    if depth > WRAPPINGS {
        return None;
    }
    match fields::kind(raw)? {
        Kind::Null => Some(Vec::new()),
        Kind::String => match fields::json_within(raw) {
            Some(inner) => response(&inner, notes, depth + 1),
            None => {
                let text = raw.as_text()?;
                if let Some(whole) = streams::joined(raw) {
                    return response(&whole, notes, depth + 1);
                }
                let message = Message::text(Role::Assistant, text.clone());
                Some(if text.is_empty() { Vec::new() } else { vec![(vec![message], None)] })
            }
        },
        Kind::Array => match streams::joined(raw) {
            Some(whole) => response(&whole, notes, depth + 1),
            None => Some(one(list_of(raw, notes)?)),
        },
        Kind::Object => object(raw, notes, depth),
        Kind::Bool | Kind::Number => None,
    }
}

fn one(messages: Vec<Message<'static>>) -> Vec<Answer> {
    if messages.is_empty() { Vec::new() } else { vec![(messages, None)] }
}

fn object(raw: &RawJson<'_>, notes: &mut Notes, depth: usize) -> Option<Vec<Answer>> {
    let mut map = FieldMap::of(raw, notes)?;
    for (name, path) in [("choices", "choices"), ("candidates", "candidates")] {
        if let Some(listed) = map.take(&[name], fields::list) {
            let mark = notes.mark();
            let answers = choices(&listed, notes)?;
            notes.under(mark, || path.into());
            return Some(answers);
        }
    }
    // Bedrock's Converse.
    if let Some(output) = map.take(&["output"], fields::object) {
        let mark = notes.mark();
        let mut messages = match response(&output, notes, depth + 1)?.pop() {
            Some((messages, _)) => messages,
            None => Vec::new(),
        };
        notes.under(mark, || "output".into());
        let reason = map.take(&["stopReason", "stop_reason"], marks::ended);
        end_with(&mut messages, reason.map(Text::into_owned));
        return Some(one(messages));
    }
    if let Some(items) = map.take(&["output"], fields::list) {
        let mark = notes.mark();
        let mut messages = messages_of(&items, notes)?;
        notes.under(mark, || "output".into());
        let reason = map
            .take(&["incomplete_details"], |raw| fields::map(raw)?.take(&["reason"], RawJson::text))
            .or_else(|| map.take(&["status"], RawJson::text).filter(marks::cut_off));
        end_with(&mut messages, reason.map(Text::into_owned));
        return Some(one(messages));
    }
    if map.has(&["role", "from"]) || map.has(&["type"]) && map.has(&["content", "data", "kwargs"]) {
        return Some(one(message_of(raw, notes)?));
    }
    if let Some(message) = map.take(&["message"], fields::object) {
        let mark = notes.mark();
        let mut messages = message_of(&message, notes)?;
        notes.under(mark, || "message".into());
        let reason = map.take(&["done_reason", "finish_reason", "stop_reason"], marks::ended);
        // Ollama's word for a piece of a stream.
        let is_open = map.peek("done").is_some_and(|done| done.as_str() == "false");
        let reason = reason.map(Text::into_owned).or_else(|| is_open.then(|| "incomplete".into()));
        end_with(&mut messages, reason);
        return Some(one(messages));
    }
    if let Some(error) =
        map.take(&["error"], |raw| says(raw, Least::Word).then(|| fields::words(raw))?)
    {
        let failed = Message {
            role: Role::Assistant,
            error: Some(error.into_owned()),
            ..Message::default()
        };
        return Some(one(vec![failed]));
    }
    if map.has(&["generation_id"])
        && let Some(text) = map.take(&["text"], fields::json)
    {
        return of_cohere(map, text, notes);
    }
    for name in ["body", "response"] {
        if let Some(inner) = map.peek(name).cloned() {
            let mark = notes.mark();
            let mut answers = response(&inner, notes, depth + 1)?;
            notes.under(mark, || name.into());
            let reason = map.take(&["done_reason"], marks::ended).map(Text::into_owned);
            if let Some((messages, _)) = answers.first_mut() {
                end_with(messages, reason);
            }
            return Some(answers);
        }
    }
    (!says(raw, Least::Word)).then(Vec::new)
}

/// The answer of the first version of Cohere's API, which repeats the history that it was asked with.
fn of_cohere(mut map: FieldMap<'_>, text: RawJson<'_>, notes: &mut Notes) -> Option<Vec<Answer>> {
    let mut message = vec![("role", RawJson::string("assistant")), ("content", text)];
    if let Some(calls) = map.take(&["tool_calls"], fields::json) {
        message.push(("tool_calls", calls));
    }
    let mut messages = message_of(&fields::object_of(message), notes)?;
    end_with(&mut messages, map.take(&["finish_reason"], marks::ended).map(Text::into_owned));
    for name in ["citations", "documents", "search_results"] {
        if let Some(raw) = map.take(&[name], fields::json).filter(|raw| says(raw, Least::Prose)) {
            notes.unplaced(name, &raw);
        }
    }
    Some(one(messages))
}

/// The answers of a list of choices, in the order of their index.
fn choices(listed: &[RawJson<'_>], notes: &mut Notes) -> Option<Vec<Answer>> {
    let mut answers = Vec::new();
    for (at, raw) in listed.iter().enumerate() {
        let mark = notes.mark();
        let mut map = FieldMap::of(raw, notes)?;
        let index = map.take(&["index"], fields::count).unwrap_or(at as u64);
        let reason = map.take(&["finish_reason", "finishReason", "stop_reason"], marks::ended);
        let content = map.take(&["message", "content"], fields::object);
        // OpenRouter's, where the answer broke off.
        let error = map
            .take(&["error"], |raw| says(raw, Least::Word).then(|| fields::words(raw))?)
            .map(Text::into_owned);
        let mut messages = match content {
            Some(message) => message_of(&message, notes)?,
            None => {
                let text = map.take(&["text"], RawJson::text);
                let text = text.or_else(|| error.is_some().then(Text::default))?;
                vec![Message::text(Role::Assistant, text.into_owned())]
            }
        };
        if let Some(message) = messages.iter_mut().rfind(|one| one.role == Role::Assistant) {
            message.error = message.error.take().or(error);
        }
        end_with(&mut messages, reason.map(Text::into_owned));
        notes.under(mark, || format!("[{at}].message"));
        answers.push((index, messages));
    }
    answers.sort_by_key(|(index, _)| *index);
    Some(answers.into_iter().map(|(_, messages)| (messages, None)).collect())
}

/// Says how an answer ended, where its last message does not.
fn end_with(messages: &mut [Message<'static>], reason: Option<Text<'static>>) {
    if let Some(message) = messages.iter_mut().rfind(|message| message.role == Role::Assistant)
        && message.finish_reason.is_none()
    {
        message.finish_reason = reason;
    }
}

/// The messages that an object makes; one without a role is an answer. None if it is no message.
fn message_of(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    let has = fields::map(raw)?;
    let says = [
        "content",
        "parts",
        "value",
        "tool_calls",
        "function_call",
        "data",
        "kwargs",
        "refusal",
        "text",
    ];
    let is_one =
        has.has(&says) || has.has(&["role", "from"]) || says.iter().any(|key| has.is_null(key));
    if !is_one {
        return None;
    }
    let text = if has.has(&["role", "from", "type"]) {
        raw.as_str().to_owned()
    } else {
        format!("{{\"role\":\"assistant\",{}", raw.as_str().trim_start().strip_prefix('{')?)
    };
    let messages = chat::message(&mut Parser::new(&text), &[], notes).ok()?;
    Some(messages.into_iter().map(Message::into_owned).collect())
}

fn messages_of(items: &[RawJson<'_>], notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    list_of(&RawJson::array(items), notes)
}

/// The messages of a list of them.
fn list_of(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    let mut messages = Vec::new();
    let take = |message: Message<'_>| messages.push(message.into_owned());
    chat::each_message(&mut Parser::new(raw.as_str()), &[], notes, take).ok()?;
    Some(messages)
}

/// Reads an answer of preference data: a text, a message, or a list of messages.
pub(super) fn of_preference(
    raw: &RawJson<'_>,
    label: Label,
    notes: &mut Notes,
) -> Option<Vec<Answer>> {
    let mut answers = of_response(raw, notes)?;
    for (_, own) in &mut answers {
        *own = Some(label);
    }
    Some(answers)
}

/// Flags of a request, and of its last message, that say that the answer goes on where this message ends.
const CONTINUES: [&str; 1] = ["continue_final_message"];
const IS_BEGUN: [&str; 2] = ["prefix", "partial"];

/// Joins answers to the beginning that the request gave them: a last message of the assistant that they continue. Anthropic's
/// API always continues such a message, others where the message or the request says so. A beginning without an answer is
/// never learnt.
pub(super) fn join_begun(
    conversation: &mut Conversation<'_>,
    answers: &mut [Answer],
    response: Option<&RawJson<'_>>,
) {
    let is_asked = flagged(&conversation.metadata, &CONTINUES)
        || conversation
            .metadata
            .get("extra_body")
            .and_then(fields::map)
            .is_some_and(|more| flagged(more.fields(), &CONTINUES));
    let Some(round) = conversation.rounds.last_mut() else { return };
    let Some(begun) = round.messages.last() else { return };
    let is_beginning = begun.role == Role::Assistant
        && begun.tool_calls.is_empty()
        && begun.attachments().next().is_none()
        && !begun.words().is_blank();
    let is_told = is_asked || flagged(&begun.metadata, &IS_BEGUN);
    if !is_beginning || !(is_told || response.is_some_and(|raw| is_anthropic(raw, 0))) {
        return;
    }
    let is_again = |(messages, _): &Answer| match messages.as_slice() {
        [answer] => is_same((begun, answer)),
        _ => false,
    };
    if answers.iter().any(is_again) {
        return;
    }
    let goes_on = |(messages, _): &Answer| {
        messages.first().is_some_and(|first| first.role == Role::Assistant)
    };
    if !answers.iter().any(goes_on) {
        if let Some(begun) = round.messages.last_mut().filter(|_| is_told) {
            begun.train = Some(false);
        }
        return;
    }
    let Some(begun) = round.messages.pop().map(Message::into_owned) else { return };
    for (messages, _) in answers.iter_mut() {
        if let Some(answer) = messages.first_mut().filter(|one| one.role == Role::Assistant) {
            go_on(&begun, answer);
        }
    }
}

fn flagged(fields: &Fields<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| fields.get(name).and_then(marks::flag_of) == Some(true))
}

/// Puts the beginning of an answer in front of the rest of it.
fn go_on(begun: &Message<'static>, answer: &mut Message<'static>) {
    let start = begun.words().decoded().into_owned();
    let whole = |rest: &Text<'_>| Text::from(format!("{start}{}", rest.decoded()));
    match &mut answer.content {
        Some(Content::Text(text)) => *text = whole(text),
        Some(Content::Parts(parts)) => match parts.first_mut() {
            Some(Part { kind: PartKind::Text, text: Some(text), .. }) => *text = whole(text),
            _ => parts.insert(0, Part::text(start.into())),
        },
        None => answer.content = Some(Content::Text(start.into())),
    }
    answer.reasoning = joined(begun.reasoning.iter().chain(&answer.reasoning).cloned());
    if begun.train == Some(false) {
        answer.train = begun.train;
    }
    keep_also(answer, begun.metadata.clone());
}

/// Whether it is what Anthropic's API answered, in what proxies wrap around it.
fn is_anthropic(raw: &RawJson<'_>, depth: usize) -> bool {
    if depth > WRAPPINGS {
        return false;
    }
    if fields::kind(raw) != Some(Kind::Object) {
        if streams::joined(raw).is_some() {
            return raw.as_str().contains("message_start");
        }
        return fields::json_within(raw).is_some_and(|inner| is_anthropic(&inner, depth + 1));
    }
    let Some(map) = fields::map(raw) else { return false };
    let is = |name: &str, word: &str| {
        map.peek(name).and_then(RawJson::text).is_some_and(|it| it == *word)
    };
    // An item of the Responses API has a status.
    (is("role", "assistant")
        && (is("type", "message") || map.has(&["stop_reason"]))
        && !map.has(&["status"]))
        || (is("type", "error") && map.has(&["error"]))
        || ["body", "response", "message", "result"]
            .iter()
            .filter_map(|name| map.peek(name))
            .any(|inner| is_anthropic(inner, depth + 1))
}

/// Adds answers to a conversation. The first one that is not rejected follows the last question; the others become its
/// siblings, and so does the answer that the conversation ends with, unless it is one of them.
pub(super) fn add(conversation: &mut Conversation<'_>, answers: Vec<Answer>) {
    if answers.is_empty() {
        return;
    }
    let mut answers = answers;
    let rounds = &mut conversation.rounds;
    drop_questions(rounds, &mut answers);
    let chosen = answers
        .iter()
        .position(|(_, label)| *label != Some(Label::Rejected))
        .map(|at| answers.remove(at));
    if let Some((messages, label)) = &chosen {
        let own = last_answer(rounds);
        let is_again = own.len() == messages.len() && own.iter().zip(messages).all(is_same);
        if is_again || (label.is_some() && !own.is_empty()) {
            let own = split_answer(rounds);
            answers.extend(
                (!is_again)
                    .then(|| own.into_iter().map(Message::into_owned).collect())
                    .map(|own| (own, None)),
            );
        }
    }
    if answers.is_empty() {
        // One answer alone simply follows.
        let Some((messages, label)) = chosen else { return };
        let messages = labelled(messages, label);
        match rounds.last_mut() {
            Some(round) => round.messages.extend(messages),
            None => rounds.push(Round { number: 1, messages, ..Round::default() }),
        }
        return;
    }
    let answer = match chosen {
        Some((messages, label)) => labelled(messages, label),
        None => own_answer(rounds),
    };
    let question = rounds.len().checked_sub(1);
    let parent = question.map_or(Parent::Root, Parent::Round);
    let mut push = |messages, parent| {
        let number = u32::try_from(rounds.len() + 1).unwrap_or(u32::MAX);
        rounds.push(Round { number, messages, parent, ..Round::default() });
        rounds.len() - 1
    };
    conversation.current = if answer.is_empty() { question } else { Some(push(answer, parent)) };
    for (messages, label) in answers {
        push(labelled(messages, label), parent);
    }
}

/// Adds answers of which none counts: siblings behind the last question.
pub(super) fn add_undecided(conversation: &mut Conversation<'_>, answers: Vec<Answer>) {
    let rounds = &mut conversation.rounds;
    let question = rounds.len().checked_sub(1);
    for (messages, _) in answers {
        rounds.push(Round {
            number: u32::try_from(rounds.len() + 1).unwrap_or(u32::MAX),
            parent: question.map_or(Parent::Root, Parent::Round),
            messages,
            ..Round::default()
        });
    }
    conversation.current = question;
}

fn labelled(mut messages: Vec<Message<'static>>, label: Option<Label>) -> Vec<Message<'static>> {
    for message in messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        message.label = message.label.or(label);
    }
    messages
}

/// Shortens answers that repeat the whole conversation: removes the messages that the rounds have before their last
/// answer. Such an answer may lack the system message at the beginning.
fn drop_questions(rounds: &[Round<'_>], answers: &mut [Answer]) {
    let said: Vec<_> = rounds.iter().flat_map(|round| &round.messages).collect();
    let question = said.len() - last_answer(rounds).len();
    let asked = said.get(..question).unwrap_or_default();
    for (messages, _) in answers {
        let begins = |role| messages.first().is_some_and(|first| first.role == role);
        if begins(Role::Assistant) {
            continue;
        }
        let systems = if begins(Role::System) {
            0
        } else {
            asked.iter().take_while(|one| one.role == Role::System).count()
        };
        let asked = asked.get(systems..).unwrap_or_default();
        let is_repeated = messages.len() > asked.len()
            && asked.iter().zip(messages.iter()).all(|(one, other)| is_same((one, other)));
        if is_repeated {
            messages.drain(..asked.len());
        }
    }
}

/// Whether two messages say the same.
fn is_same((one, other): (&Message<'_>, &Message<'_>)) -> bool {
    one.role == other.role
        && one.words() == other.words()
        && one.tool_calls.len() == other.tool_calls.len()
        && one
            .tool_calls
            .iter()
            .zip(&other.tool_calls)
            .all(|(one, other)| one.name == other.name && one.arguments == other.arguments)
}

/// The answer at the end of the rounds.
fn last_answer<'r, 'a>(rounds: &'r [Round<'a>]) -> &'r [Message<'a>] {
    let messages = rounds.last().map_or(&[][..], |round| &round.messages);
    let answers = messages.iter().rev().take_while(|one| one.role == Role::Assistant).count();
    messages.get(messages.len() - answers..).unwrap_or_default()
}

/// Removes the answer at the end of the rounds, and returns it.
fn split_answer<'a>(rounds: &mut [Round<'a>]) -> Vec<Message<'a>> {
    let answers = last_answer(rounds).len();
    let Some(round) = rounds.last_mut() else { return Vec::new() };
    round.messages.split_off(round.messages.len() - answers)
}

/// Takes the answer at the end of the rounds out of them, so that it has siblings.
fn own_answer<'a>(rounds: &mut [Round<'a>]) -> Vec<Message<'a>> {
    let mut answer = split_answer(rounds);
    for message in &mut answer {
        message.label = message.label.or(Some(Label::Preferred));
    }
    answer
}

/// Where preference data keeps its answers.
pub(super) const PREFERRED: [&str; 4] =
    ["chosen", "preferred_output", "chosen_response", "chosen_messages"];
pub(super) const REJECTED: [&str; 4] =
    ["rejected", "non_preferred_output", "rejected_response", "rejected_messages"];
