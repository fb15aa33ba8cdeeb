//! A flat list of messages, cut into rounds.

use retort_json::{Parser, RawJson};
use retort_model::{Message, Role, Round};

use super::chat::each_message;
use super::format::{ItemError, Notes};

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

    /// Adds the input of a request to the Responses API: a question, or a list of items.
    pub(super) fn push_input(
        &mut self,
        input: &RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        match input.text() {
            Some(text) => {
                self.push(Message::text(Role::User, text));
                Ok(())
            }
            None => self.push_items(input, notes),
        }
    }

    /// Adds a list of items of the Responses API.
    pub(super) fn push_items(
        &mut self,
        items: &RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let mut parser = Parser::lenient(items.as_str());
        each_message(&mut parser, &[], notes, |message| self.push(message.into_owned()))
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
