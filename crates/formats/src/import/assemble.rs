//! The pieces of a message, put together. One message of a source may become several: a result that stands among the parts of
//! a question or an answer is a message of its own.

use retort_json::Text;
use retort_model::{Content, Fields, Message, Part, Role, ToolCall};

use super::fields::keep_in_list;
use super::parts::Segment;

/// Builds messages from a message and its parts. Results among the parts become messages of their own: those of a
/// question come before it, those of an answer come after its calls, followed by the rest of the answer.
pub(super) fn assemble<'a>(
    mut message: Message<'a>,
    segments: Vec<Segment<'a>>,
    mut take: impl FnMut(Message<'a>),
) {
    if segments.is_empty() {
        return take(message);
    }
    let own = message.content.take();
    let mut current = Open { role: message.role, ..Open::default() };
    current.reasoning.extend(message.reasoning.take());
    let mut kept: Fields<'a> = Fields::new();
    let mut last = None;
    let mut done = Vec::new();
    for segment in segments {
        match segment {
            Segment::Part(part) => {
                current.go_on(&mut done, &mut last);
                current.parts.push(part);
            }
            Segment::Reasoning(text) => {
                current.go_on(&mut done, &mut last);
                current.reasoning.push(text);
            }
            Segment::Step => current.go_on(&mut done, &mut last),
            Segment::Call(call) => {
                current.go_on(&mut done, &mut last);
                let is_told =
                    message.tool_calls.iter().any(|one| !one.id.is_empty() && one.id == call.id);
                if !is_told {
                    current.calls.push(call);
                }
            }
            Segment::Result(result) => current.results.push(result),
            Segment::Ran(call, result) => {
                current.calls.push(call);
                current.results.extend(result);
            }
            Segment::Kept(name, raw) => keep_in_list(&mut kept, name, &raw),
        }
    }
    if let Some(content) = own {
        current.go_on(&mut done, &mut last);
        current.own = Some(content);
    }
    current.calls.append(&mut message.tool_calls);
    let is_empty = current.is_empty();
    if is_empty && !done.is_empty() && current.results.is_empty() {
        // What is said of the message as a whole is said of its last part.
    } else {
        current.end(&mut done, &mut last);
    }
    message.metadata.extend(kept);
    let at = last.unwrap_or(done.len().saturating_sub(1));
    for (place, mut one) in done.into_iter().enumerate() {
        if place == at {
            let is_same = one.role == message.role;
            one = Message {
                role: one.role,
                source_role: message.source_role.take().filter(|_| is_same),
                content: one.content,
                reasoning: one.reasoning,
                tool_calls: one.tool_calls,
                tool_call_id: one.tool_call_id.or_else(|| message.tool_call_id.take()),
                name: one.name.or_else(|| message.name.take()),
                error: one.error.or_else(|| message.error.take()),
                ..std::mem::take(&mut message)
            };
        } else if one.role == message.role || message.train == Some(false) {
            one.train = message.train;
        }
        take(one);
    }
}

/// What of a message has been gathered and is not given yet.
#[derive(Default)]
struct Open<'a> {
    role: Role,
    parts: Vec<Part<'a>>,
    own: Option<Content<'a>>,
    reasoning: Vec<Text<'a>>,
    calls: Vec<ToolCall<'a>>,
    results: Vec<Message<'a>>,
}

impl<'a> Open<'a> {
    fn is_empty(&self) -> bool {
        self.parts.is_empty()
            && self.own.is_none()
            && self.reasoning.is_empty()
            && self.calls.is_empty()
    }

    /// An answer that goes on after results is another.
    fn go_on(&mut self, done: &mut Vec<Message<'a>>, last: &mut Option<usize>) {
        if self.role == Role::Assistant && !self.results.is_empty() {
            self.end(done, last);
        }
    }

    fn end(&mut self, done: &mut Vec<Message<'a>>, last: &mut Option<usize>) {
        let results = std::mem::take(&mut self.results);
        let answers_first = self.role == Role::Assistant;
        let has_results = !results.is_empty();
        if !answers_first {
            done.extend(results);
            if self.is_empty() && has_results {
                return;
            }
            self.say(done, last);
            return;
        }
        if !self.is_empty() || !has_results {
            self.say(done, last);
        }
        done.extend(results);
    }

    fn say(&mut self, done: &mut Vec<Message<'a>>, last: &mut Option<usize>) {
        let parts = std::mem::take(&mut self.parts);
        let calls = std::mem::take(&mut self.calls);
        let reasoning = joined(std::mem::take(&mut self.reasoning).into_iter());
        let content = match self.own.take() {
            Some(own) => Some(own),
            // Parts that were all calls or reasoning leave a message without content.
            None if parts.is_empty() && !(calls.is_empty() && reasoning.is_none()) => None,
            None => Some(Content::Parts(parts)),
        };
        *last = Some(done.len());
        done.push(Message {
            role: self.role,
            content,
            reasoning,
            tool_calls: calls,
            ..Message::default()
        });
    }
}

/// Texts with a blank line between; none if there are none.
pub(super) fn joined<'a>(texts: impl Iterator<Item = Text<'a>>) -> Option<Text<'a>> {
    texts.reduce(|one, other| format!("{}\n\n{}", one.decoded(), other.decoded()).into())
}
