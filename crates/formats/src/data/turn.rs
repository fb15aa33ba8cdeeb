//! A turn of a record: the messages that are joined to one question, answer, call or list of results.

use retort_json::Text;
use retort_model::{Content, Label, LeftOut, Message, Reason, Role, ToolCall};

use super::attachments::has_attachments;

/// Who has the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A person asks.
    Question,
    /// The model answers without tools.
    Answer,
    /// The model calls tools.
    Call,
    /// Tools answer.
    Results,
}

/// One turn, of one message or of several that were joined.
#[derive(Clone, Debug)]
pub(super) struct Turn<'c> {
    pub side: Side,
    /// The first message; none for results that no message holds.
    pub first: Option<&'c Message<'c>>,
    /// The messages joined to it.
    pub more: Vec<&'c Message<'c>>,
    /// For results that were put into the order of the calls: one for each call, none where none was recorded.
    pub results: Vec<Option<&'c Message<'c>>>,
    /// Why the turn is only context for those behind it; none if it is learnt.
    pub unlearnt: Option<Reason>,
    /// Whether results that came right before this question were cut, so that what follows rests on more than is there.
    pub hides_results: bool,
    /// Whether the source marks none of its messages as excluded from training.
    pub is_learnt: bool,
}

impl<'c> Turn<'c> {
    /// A turn of one message.
    pub fn of(side: Side, message: &'c Message<'c>) -> Self {
        let is_learnt = why_not_to_learn(message).is_none();
        Self { first: Some(message), is_learnt, ..Self::without_messages(side, Vec::new()) }
    }

    /// A turn that no message holds.
    pub fn without_messages(side: Side, results: Vec<Option<&'c Message<'c>>>) -> Self {
        Self {
            side,
            first: None,
            more: Vec::new(),
            results,
            unlearnt: None,
            hides_results: false,
            is_learnt: true,
        }
    }

    /// The messages of the turn, in order.
    pub fn messages(&self) -> impl Iterator<Item = &'c Message<'c>> + Clone {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    /// The calls of the turn.
    pub fn calls(&self) -> impl Iterator<Item = &'c ToolCall<'c>> {
        self.messages().flat_map(|message| message.tool_calls.iter())
    }

    /// The text of the turn; several joined with a blank line.
    pub fn text(&self) -> Text<'c> {
        let mut texts = self.messages().filter_map(said).filter(|text| !text.is_blank());
        let Some(first) = texts.next() else {
            return self.first.map(|message| message.words()).unwrap_or_default();
        };
        let Some(second) = texts.next() else { return first };
        let mut joined = first.into_cow().into_owned();
        for text in std::iter::once(second).chain(texts) {
            joined.push_str("\n\n");
            text.push_to(&mut joined);
        }
        joined.into()
    }

    /// The model's reasoning; that of several messages joined with a blank line.
    pub fn reasoning(&self) -> Option<Text<'c>> {
        let texts = self.messages().filter_map(|message| message.reasoning.as_ref());
        let mut texts = texts.filter(|text| !text.is_blank());
        let first = texts.next()?.borrowed();
        let rest: Vec<_> = texts.map(Text::decoded).collect();
        if rest.is_empty() {
            return Some(first);
        }
        Some(format!("{}\n\n{}", first.decoded(), rest.join("\n\n")).into())
    }

    /// Whether it is a question that says nothing.
    pub fn is_empty_question(&self) -> bool {
        self.side == Side::Question && self.is_blank()
    }

    /// Whether nothing is said in it.
    pub fn is_blank(&self) -> bool {
        self.messages().all(|message| is_blank(message))
    }

    /// Whether the source marks it by name as one that is not to be learnt.
    pub fn is_marked(&self) -> bool {
        self.messages().any(|message| message.train == Some(false))
    }

    /// Whether pictures, sound or files are in it.
    pub fn has_attachments(&self) -> bool {
        self.messages().any(|message| has_attachments(message))
    }

    /// Why it is not to be learnt, if what its source says is a reason.
    pub fn why_not_to_learn(&self) -> Option<LeftOut> {
        self.messages().find_map(|message| why_not_to_learn(message))
    }

    /// Whether a call has no result in it.
    pub fn lacks_results(&self) -> bool {
        self.side == Side::Results && self.results.iter().any(Option::is_none)
    }
}

/// Why an answer is not to be learnt, if what its source says of it is a reason.
fn why_not_to_learn(message: &Message<'_>) -> Option<LeftOut> {
    if message.role != Role::Assistant {
        return None;
    }
    let start = |text: &Option<Text<'_>>| -> String {
        text.as_ref().map(|text| text.decoded().chars().take(80).collect()).unwrap_or_default()
    };
    if message.error.is_some() {
        return Some(LeftOut::new(Reason::FailedAnswer, start(&message.error)));
    }
    if message.is_cut_off() {
        let detail = format!("it ended with `{}`", start(&message.finish_reason).escape_debug());
        return Some(LeftOut::new(Reason::CutOffAnswer, detail));
    }
    let detail = match (message.train, message.label) {
        (Some(false), _) => "an answer marked as not to train on",
        (_, Some(Label::Rejected)) => "an answer labeled as rejected",
        _ => return None,
    };
    Some(LeftOut::new(Reason::NotToLearn, detail))
}

/// What a tool gave back, with its error.
pub(super) fn result_words<'c>(message: &'c Message<'c>) -> Text<'c> {
    let text = message.words();
    let Some(error) = &message.error else { return text };
    if text.is_blank() {
        return error.borrowed();
    }
    let error = error.decoded();
    // A bare flag has no words of its own; what went wrong is the result then.
    if error == "failed" || text.decoded().contains(&*error) {
        return text;
    }
    format!("{}\n\n{error}", text.decoded()).into()
}

/// Whether a message says nothing.
pub(super) fn is_blank(message: &Message<'_>) -> bool {
    said(message).is_none_or(|text| text.is_blank())
}

/// What a message says. Some systems write the reasoning of an answer twice, in `<think>` in front of it and in a field of
/// its own: it is not part of the answer then.
fn said<'c>(message: &'c Message<'c>) -> Option<Text<'c>> {
    let text = message.content.as_ref().map(Content::text)?;
    let Some(reasoning) = &message.reasoning else { return Some(text) };
    let decoded = text.decoded();
    let thought = decoded.trim_start().strip_prefix("<think>");
    let again = thought
        .and_then(|thought| thought.split_once("</think>"))
        .filter(|(thought, _)| thought.trim() == reasoning.decoded().trim());
    match again {
        Some((_, answer)) => Some(answer.trim_start().to_owned().into()),
        None => Some(text),
    }
}
