//! How judgements decide about the marks of messages and conversations.
//!
//! A message has at most one judgement by each person. Its own marks (`feedback`, `label`, `train`, and the field
//! `ground_truth`) are always those that count: the source's, and over them what was said last about each. To take a
//! judgement back, the source's own marks are kept as a judgement by nobody, the first of the list.
//!
//! A corrected answer is a round beside the one that it corrects: no answer is overwritten.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::RandomState;

use retort_json::{RawJson, Text};

use crate::conversation::{Conversation, Parent, Round};
use crate::judgement::{Judgement, Label};
use crate::message::{AUTHOR, CORRECTS, Feedback, GROUND_TRUTH, Message, Role};
use crate::relation::hash_of;
use crate::time::Time;

/// What changes in a person's judgement: what is missing stays, and `Some(None)` takes back what they said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judging {
    /// A rating: a boolean, a number or a word, as JSON.
    pub rating: Option<Option<RawJson<'static>>>,
    /// A category; `preferred` and `rejected` decide about training.
    pub label: Option<Option<String>>,
    /// Words.
    pub comment: Option<Option<String>>,
    /// What the answer should have been.
    pub ground_truth: Option<Option<String>>,
    /// Whether it is to be learnt.
    pub train: Option<Option<bool>>,
}

impl Judging {
    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn apply(&self, judgement: &mut Judgement<'_>) {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        if let Some(rating) = &self.rating {
            judgement.rating.clone_from(rating);
        }
        if let Some(label) = &self.label {
            let label = text(label);
            judgement.preference = label.as_deref().and_then(|label| label.trim().parse().ok());
            judgement.label = label.map(Text::from);
        }
        if let Some(comment) = &self.comment {
            judgement.comment = text(comment).map(Text::from);
        }
        if let Some(truth) = &self.ground_truth {
            judgement.ground_truth = text(truth).map(|text| RawJson::string(&text));
        }
        if let Some(train) = self.train {
            judgement.train = train;
        }
    }
}

/// What was said last about each: the source first, then people by the time.
fn weighed<'a>(judgements: &[Judgement<'a>]) -> Judgement<'a> {
    let mut weighed = Judgement::default();
    for one in judgements.iter().cloned() {
        weighed.rating = one.rating.or(weighed.rating.take());
        weighed.label = one.label.or(weighed.label.take());
        weighed.comment = one.comment.or(weighed.comment.take());
        weighed.ground_truth = one.ground_truth.or(weighed.ground_truth.take());
        weighed.preference = one.preference.or(weighed.preference);
        weighed.train = one.train.or(weighed.train);
    }
    weighed
}

/// Puts a judgement in the place of the same person's; the source's is the first, the others are in the order of time. One
/// that says nothing is taken out.
fn put<'a>(judgements: &mut Vec<Judgement<'a>>, new: Judgement<'a>) {
    judgements.retain(|one| one.by != new.by);
    if !new.is_empty() {
        judgements.push(new);
    }
    judgements.sort_by(|one, other| {
        let key = |one: &Judgement<'a>| (one.by.is_some(), one.at);
        key(one).cmp(&key(other)).then_with(|| {
            let name = |one: &Judgement<'a>| one.by.as_ref().map(|by| by.decoded().into_owned());
            name(one).cmp(&name(other))
        })
    });
}

/// Adds the judgements that people made of another state. Of two by one person the newer stays.
fn add_newer(judgements: &mut Vec<Judgement<'_>>, others: &[Judgement<'_>]) {
    for one in others.iter().filter(|one| one.by.is_some()) {
        let known = judgements.iter().find(|known| known.by == one.by);
        if known.is_none_or(|known| known.at < one.at) {
            put(judgements, one.clone().into_owned());
        }
    }
}

/// Leaves out what the source says if nobody says more.
fn without_source_alone(judgements: &mut Vec<Judgement<'_>>) {
    if judgements.iter().all(|one| one.by.is_none()) {
        judgements.clear();
    }
}

/// The people who judged.
fn people(judgements: &[Judgement<'_>]) -> impl Iterator<Item = String> {
    let people = judgements.iter().filter_map(|one| one.by.as_ref());
    people.map(|by| by.decoded().into_owned())
}

/// Changes a person's judgement; whether that says something new.
fn change(judgements: &mut Vec<Judgement<'_>>, (by, at): (&str, Time), what: &Judging) -> bool {
    let is_theirs = |one: &&Judgement<'_>| one.by.as_ref().is_some_and(|name| *name == *by);
    let known = judgements.iter().find(is_theirs).cloned();
    let mut new = known.clone().unwrap_or_default();
    what.apply(&mut new);
    if known.as_ref().map_or(new.is_empty(), |known| *known == new) {
        return false;
    }
    new.by = Some(by.to_owned().into());
    new.at = Some(at);
    put(judgements, new);
    true
}

impl<'a> Message<'a> {
    /// Changes what a person says of the message, and its marks with it; whether that says something new.
    pub fn judge(&mut self, by: &str, at: Time, what: &Judging) -> bool {
        self.keep_source();
        let is_new = change(&mut self.judgements, (by, at), what);
        self.weigh();
        is_new
    }

    /// Keeps what the source says, before anyone says more.
    fn keep_source(&mut self) {
        if !self.judgements.is_empty() {
            return;
        }
        let feedback = self.feedback.as_deref().cloned().unwrap_or_default();
        let source = Judgement {
            rating: feedback.rating,
            label: feedback.label,
            comment: feedback.comment,
            ground_truth: self.metadata.get(GROUND_TRUTH).cloned(),
            preference: self.label,
            train: self.train,
            ..Judgement::default()
        };
        put(&mut self.judgements, source);
    }

    /// Sets the marks to those that count.
    fn weigh(&mut self) {
        let Judgement { rating, label, comment, ground_truth, preference, train, .. } =
            weighed(&self.judgements);
        let feedback = Feedback { rating, label, comment };
        self.feedback = (feedback != Feedback::default()).then(|| Box::new(feedback));
        self.label = preference;
        self.train = train;
        match ground_truth {
            Some(truth) => self.metadata.put(GROUND_TRUTH.into(), truth),
            None => drop(self.metadata.take(GROUND_TRUTH)),
        }
        without_source_alone(&mut self.judgements);
    }

    /// Who wrote it to correct another answer.
    pub fn corrected_by(&self) -> Option<String> {
        self.metadata.get(AUTHOR).filter(|_| self.is_correction()).and_then(RawJson::as_text)
    }

    fn is_corrected_by(&self, person: &str) -> bool {
        self.corrected_by().is_some_and(|author| author == person)
    }

    /// Who judged it, or wrote it to correct another answer.
    fn judges(&self) -> impl Iterator<Item = String> {
        people(&self.judgements).chain(self.corrected_by())
    }

    /// Adds the judgements of another state of the same message.
    fn carry(&mut self, was: &Message<'_>) {
        self.keep_source();
        add_newer(&mut self.judgements, &was.judgements);
        self.weigh();
    }
}

/// A message of a conversation, by positions that count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessagePosition {
    /// The round's position.
    pub round: usize,
    /// The message's position in its round.
    pub message: usize,
}

impl<'a> Conversation<'a> {
    /// Changes what a person says of the whole conversation, and its label with it; whether that says something new.
    pub fn judge(&mut self, by: &str, at: Time, what: &Judging) -> bool {
        self.keep_source();
        let is_new = change(&mut self.judgements, (by, at), what);
        self.weigh();
        is_new
    }

    fn keep_source(&mut self) {
        if self.judgements.is_empty() {
            put(&mut self.judgements, Judgement { preference: self.label, ..Judgement::default() });
        }
    }

    fn weigh(&mut self) {
        self.label = weighed(&self.judgements).preference;
        without_source_alone(&mut self.judgements);
    }

    /// What counts of what people said of the whole conversation.
    pub fn judged(&self) -> Judgement<'a> {
        weighed(&self.judgements)
    }

    /// Who judged it or one of its messages, or corrected an answer.
    pub fn judges(&self) -> BTreeSet<String> {
        people(&self.judgements).chain(self.messages().flat_map(Message::judges)).collect()
    }

    /// Adds an answer that a person wrote to correct another, as a round beside that one; whether it says something new. A
    /// person's next correction takes the place of their last, unless something follows it. The corrected answer is shown
    /// from now on if nothing follows the original.
    pub fn correct(
        &mut self,
        position: MessagePosition,
        (by, at): (&str, Time),
        text: &str,
    ) -> bool {
        let Some(round) = self.rounds.get(position.round) else { return false };
        let Some(original) = round.messages.get(position.message) else { return false };
        let number = round.number;
        let is_same = |message: &Message<'_>| lines(&message.words().decoded()) == lines(text);
        if is_same(original) {
            return false;
        }
        let leaves = self.leaves();
        let is_by = |message: &Message<'_>| message.is_corrected_by(by);
        let is_own = is_by(original) && leaves.contains(&position.round);
        let corrected = if is_own { round.corrects().unwrap_or(number) } else { number };
        let last = |at: usize| self.rounds.get(at).and_then(|one| one.messages.last());
        let corrections = self.rounds.iter().enumerate();
        let corrections = corrections.filter(|(_, one)| one.corrects() == Some(corrected));
        let corrections: Vec<usize> = corrections.map(|(at, _)| at).collect();
        if corrections.iter().any(|&at| last(at).is_some_and(is_same)) {
            return false;
        }
        let is_theirs = |at: &usize| leaves.contains(at) && last(*at).is_some_and(is_by);
        let theirs = corrections.into_iter().find(is_theirs);
        let mut answer = Message::text(Role::Assistant, text.to_owned());
        answer.label = Some(Label::Preferred);
        answer.created_at = Some(at);
        answer.metadata.put(CORRECTS.into(), RawJson::string(&corrected.to_string()));
        answer.metadata.put(AUTHOR.into(), RawJson::string(by));
        match theirs {
            Some(at) => {
                if let Some(last) = self.rounds.get_mut(at).and_then(|one| one.messages.last_mut())
                {
                    *last = answer;
                }
            }
            None => self.add_correction(position, answer),
        }
        true
    }

    fn add_correction(&mut self, position: MessagePosition, answer: Message<'a>) {
        let Some(round) = self.rounds.get(position.round) else { return };
        let mut messages = round.messages.get(..position.message).unwrap_or_default().to_vec();
        messages.iter_mut().for_each(|message| message.judgements.clear());
        messages.push(answer);
        // Another correction of the same answer is no more than that.
        let shown = self.leaf().and_then(|at| self.rounds.get(at));
        let is_shown = self.leaf() == Some(position.round)
            || shown.is_some_and(|shown| shown.corrects() == Some(round.number));
        let is_followed = position.message + 1 < round.messages.len() || !is_shown;
        let parent = self.parent_of(position.round).map_or(Parent::Root, Parent::Round);
        let tools = round.tools.clone();
        let number = self.rounds.iter().map(|round| round.number).max().unwrap_or(0) + 1;
        let shown = self.leaf();
        self.current = if is_followed { shown } else { Some(self.rounds.len()) };
        self.rounds.push(Round { number, parent, messages, tools, ..Round::default() });
    }

    /// Removes a person's judgements of the conversation and its messages, and the answers that they wrote to correct
    /// others. A correction with messages after it stays, without an author. Returns whether anything was removed.
    pub fn forget_judge(&mut self, by: &str) -> bool {
        let is_by = |name: &Option<Text<'_>>| name.as_ref().is_some_and(|name| *name == *by);
        let mut is_changed = false;
        if self.judgements.iter().any(|one| is_by(&one.by)) {
            self.judgements.retain(|one| !is_by(&one.by));
            self.weigh();
            is_changed = true;
        }
        for message in self.rounds.iter_mut().flat_map(|round| &mut round.messages) {
            if message.judgements.iter().any(|one| is_by(&one.by)) {
                message.judgements.retain(|one| !is_by(&one.by));
                message.weigh();
                is_changed = true;
            }
        }
        let corrected: BTreeSet<u32> = self.rounds.iter().filter_map(Round::corrects).collect();
        for number in corrected {
            while self.withdraw_correction(number, by) {
                is_changed = true;
            }
        }
        for message in self.rounds.iter_mut().flat_map(|round| &mut round.messages) {
            let author = message.metadata.get(AUTHOR).filter(|_| message.is_correction());
            if author.and_then(RawJson::as_text).is_some_and(|author| author == by) {
                message.metadata.take(AUTHOR);
                is_changed = true;
            }
        }
        is_changed
    }

    /// Takes back a person's correction of the answer in the round with that number; whether there was one that nothing
    /// follows.
    pub fn withdraw_correction(&mut self, number: u32, by: &str) -> bool {
        let leaves = self.leaves();
        let found = self.rounds.iter().enumerate().position(|(at, one)| {
            one.corrects() == Some(number)
                && one.messages.last().is_some_and(|last| last.is_corrected_by(by))
                && leaves.contains(&at)
        });
        let Some(gone) = found else { return false };
        let corrected = self.rounds.iter().position(|one| one.number == number);
        let moved = |at: usize| if at > gone { at - 1 } else { at };
        let parents: Vec<_> = (0..self.rounds.len()).map(|at| self.parent_of(at)).collect();
        self.current = match self.current {
            Some(at) if at == gone => corrected.map(moved),
            current => current.map(moved),
        };
        self.rounds.remove(gone);
        for (at, round) in self.rounds.iter_mut().enumerate().skip(gone) {
            // The round before it may be another one now.
            if let Some(parent) = parents.get(at + 1) {
                round.parent = parent.map_or(Parent::Root, |at| Parent::Round(moved(at)));
            }
        }
        true
    }

    /// Adds what was said of an earlier state of the same conversation: judgements of the messages that are still there, and
    /// corrections of the answers that are. Returns whether that changed anything.
    pub fn carry_judgements(&mut self, was: &Conversation<'_>) -> bool {
        let is_judged = |round: &Round<'_>| {
            round.is_correction() || round.messages.iter().any(|one| !one.judgements.is_empty())
        };
        if was.judgements.is_empty() && !was.rounds.iter().any(is_judged) {
            return false;
        }
        let before = (self.judgements.clone(), self.rounds.clone());
        if !was.judgements.is_empty() {
            self.keep_source();
            add_newer(&mut self.judgements, &was.judgements);
            self.weigh();
        }
        self.carry_corrections(was);
        self.carry_marks(was);
        before.0 != self.judgements || before.1 != self.rounds
    }

    fn carry_corrections(&mut self, was: &Conversation<'_>) {
        let there = counterparts(was, self);
        for round in was.rounds.iter().filter(|round| round.is_correction()) {
            let Some(answer) = round.messages.last() else { continue };
            let corrected = was.rounds.iter().position(|one| Some(one.number) == round.corrects());
            let Some(corrected) = corrected else { continue };
            let message = round.messages.len() - 1;
            let Some(&position) = there.get(&MessagePosition { round: corrected, message }) else {
                continue;
            };
            let Some(number) = self.rounds.get(position.round).map(|round| round.number) else {
                continue;
            };
            let is_known = self.rounds.iter().any(|one| {
                let same = |last: &Message<'_>| {
                    last.words() == answer.words() && last.corrected_by() == answer.corrected_by()
                };
                one.corrects() == Some(number) && one.messages.last().is_some_and(same)
            });
            if !is_known {
                let mut answer = answer.clone().into_owned();
                answer.metadata.put(CORRECTS.into(), RawJson::string(&number.to_string()));
                self.add_correction(position, answer);
            }
        }
    }

    fn carry_marks(&mut self, was: &Conversation<'_>) {
        let there = counterparts(was, self);
        for (position, judged) in
            positions(was).filter(|(_, message)| !message.judgements.is_empty())
        {
            let message = there.get(&position).and_then(|position| {
                self.rounds.get_mut(position.round)?.messages.get_mut(position.message)
            });
            if let Some(message) = message {
                message.carry(judged);
            }
        }
    }
}

/// A text with line ends as forms give them back.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Where the messages of one state of a conversation are in another: those that say the same. Of several, the first is the
/// first.
fn counterparts(
    was: &Conversation<'_>,
    now: &Conversation<'_>,
) -> HashMap<MessagePosition, MessagePosition> {
    let hasher = RandomState::new();
    let mut there: HashMap<u64, VecDeque<MessagePosition>> = HashMap::new();
    for (position, message) in positions(now) {
        there.entry(hash_of(message, &hasher)).or_default().push_back(position);
    }
    let same = positions(was).filter_map(|(position, message)| {
        Some((position, there.get_mut(&hash_of(message, &hasher))?.pop_front()?))
    });
    same.collect()
}

fn positions<'c, 'a>(
    conversation: &'c Conversation<'a>,
) -> impl Iterator<Item = (MessagePosition, &'c Message<'a>)> {
    conversation.rounds.iter().enumerate().flat_map(|(round, one)| {
        let messages = one.messages.iter().enumerate();
        messages.map(move |(message, what)| (MessagePosition { round, message }, what))
    })
}
