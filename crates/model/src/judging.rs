//! How judgements decide about the marks of messages, conversations and runs.
//!
//! A message, a conversation or a run has at most one judgement by each person. Its own marks (of a message `feedback`,
//! `label`, `train`, and the field `ground_truth`) are always those that count: the source's, and over them what was said
//! last about each. To take a judgement back, the source's own marks are kept as a judgement by nobody, the first of the
//! list.
//!
//! No answer is overwritten. A corrected answer is a round beside the one that it corrects, or of a run, part of the
//! judgement.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::RandomState;

use retort_json::{RawJson, Text};

use crate::conversation::{Conversation, Parent, Round};
use crate::judgement::{Judgement, Label};
use crate::message::{AUTHOR, CORRECTED_BY, CORRECTS, Feedback, GROUND_TRUTH, Message, Role};
use crate::relation::hash_of;
use crate::run::Run;
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
    /// Whether it is to be trained on.
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
        weighed.corrected = one.corrected.or(weighed.corrected.take());
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

/// The judgement of a person, or an empty one.
fn of_person<'a>(judgements: &[Judgement<'a>], by: &str) -> Judgement<'a> {
    judgements.iter().find(|one| one.is_by(by)).cloned().unwrap_or_default()
}

/// What people say something of.
pub trait Judged<'a> {
    /// What people said, and what the source had said before.
    fn judgements(&mut self) -> &mut Vec<Judgement<'a>>;

    /// What its own marks say.
    fn marks(&self) -> Judgement<'a>;

    /// Sets its own marks.
    fn mark(&mut self, counts: Judgement<'a>);

    /// Changes what a person says, and the marks with it; whether that says something new.
    fn judge(&mut self, by: &str, at: Time, what: &Judging) -> bool {
        self.change_judgement((by, at), &|judgement| what.apply(judgement))
    }

    /// As [`Self::judge`], by a change of the person's judgement.
    fn change_judgement(
        &mut self,
        (by, at): (&str, Time),
        change: &dyn Fn(&mut Judgement<'a>),
    ) -> bool {
        let known = of_person(self.judgements(), by);
        let mut new = known.clone();
        change(&mut new);
        if known == new {
            return false;
        }
        self.keep_source();
        new.by = Some(by.to_owned().into());
        new.at = Some(at);
        put(self.judgements(), new);
        self.weigh();
        true
    }

    /// Keeps what the source says, before anyone says more.
    fn keep_source(&mut self) {
        if self.judgements().is_empty() {
            let source = self.marks();
            put(self.judgements(), source);
        }
    }

    /// Sets the marks to those that count.
    fn weigh(&mut self) {
        let counts = weighed(self.judgements());
        self.mark(counts);
        without_source_alone(self.judgements());
    }

    /// Removes what a person said; whether they had said anything.
    fn forget(&mut self, by: &str) -> bool {
        let is_there = self.judgements().iter().any(|one| one.is_by(by));
        if is_there {
            self.judgements().retain(|one| !one.is_by(by));
            self.weigh();
        }
        is_there
    }

    /// Takes out what people said, so that the marks are the source's.
    fn take_judgements(&mut self) -> Vec<Judgement<'a>> {
        let mut judgements = std::mem::take(self.judgements());
        if !judgements.is_empty() {
            let source = judgements.iter().position(|one| one.by.is_none());
            self.mark(source.map(|at| judgements.remove(at)).unwrap_or_default());
        }
        judgements
    }

    /// Adds what people said of another state of the same.
    fn carry(&mut self, others: &[Judgement<'_>]) {
        if others.iter().any(|one| one.by.is_some()) {
            self.keep_source();
            add_newer(self.judgements(), others);
            self.weigh();
        }
    }
}

impl<'a> Judged<'a> for Message<'a> {
    fn judgements(&mut self) -> &mut Vec<Judgement<'a>> {
        &mut self.judgements
    }

    fn marks(&self) -> Judgement<'a> {
        let feedback = self.feedback.as_deref().cloned().unwrap_or_default();
        Judgement {
            rating: feedback.rating,
            label: feedback.label,
            comment: feedback.comment,
            ground_truth: self.metadata.get(GROUND_TRUTH).cloned(),
            preference: self.label,
            train: self.train,
            ..Judgement::default()
        }
    }

    fn mark(&mut self, counts: Judgement<'a>) {
        let Judgement { rating, label, comment, ground_truth, preference, train, .. } = counts;
        self.feedback = Feedback { rating, label, comment }.if_any();
        self.label = preference;
        self.train = train;
        match ground_truth {
            Some(truth) => self.metadata.put(GROUND_TRUTH.into(), truth),
            None => drop(self.metadata.take(GROUND_TRUTH)),
        }
    }
}

impl<'a> Judged<'a> for Conversation<'a> {
    fn judgements(&mut self) -> &mut Vec<Judgement<'a>> {
        &mut self.judgements
    }

    fn marks(&self) -> Judgement<'a> {
        Judgement { preference: self.label, ..Judgement::default() }
    }

    fn mark(&mut self, counts: Judgement<'a>) {
        self.label = counts.preference;
    }
}

impl<'a> Judged<'a> for Run<'a> {
    fn judgements(&mut self) -> &mut Vec<Judgement<'a>> {
        &mut self.judgements
    }

    fn marks(&self) -> Judgement<'a> {
        let feedback = self.feedback.as_deref().cloned().unwrap_or_default();
        let truth = self.ground_truth.as_ref().map(|text| RawJson::string(&text.decoded()));
        Judgement {
            rating: feedback.rating,
            label: feedback.label,
            comment: feedback.comment,
            ground_truth: truth,
            ..Judgement::default()
        }
    }

    fn mark(&mut self, counts: Judgement<'a>) {
        let Judgement { rating, label, comment, .. } = counts;
        self.feedback = Feedback { rating, label, comment }.if_any();
        let text = |raw: RawJson<'a>| raw.as_text().unwrap_or_else(|| raw.as_str().to_owned());
        // A correction also says what the answer should have been, unless its author gives another reference.
        let last = self.judgements.iter().rev();
        let mut last = last.filter(|one| one.ground_truth.is_some() || one.corrected.is_some());
        let corrected = last.next().filter(|one| one.ground_truth.is_none());
        let corrected = corrected.and_then(|one| one.corrected.clone());
        let truth = counts.ground_truth.map(|raw| Text::from(text(raw)));
        self.ground_truth = corrected.or(truth);
    }
}

impl<'a> Run<'a> {
    /// What counts of what people said of it.
    pub fn judged(&self) -> Judgement<'a> {
        weighed(&self.judgements)
    }

    /// Who judged it, or corrected its answer.
    pub fn judges(&self) -> BTreeSet<String> {
        let earlier = self.metadata.get(CORRECTED_BY).and_then(RawJson::as_text);
        people(&self.judgements).chain(earlier).collect()
    }

    /// The answers that people wrote to correct its own, the last one last, each with who wrote it.
    pub fn corrections(&self) -> impl Iterator<Item = (&Text<'a>, &Judgement<'a>)> {
        self.judgements.iter().filter_map(|one| Some((one.corrected.as_ref()?, one)))
    }

    /// Changes the answer that a person wrote to correct that of the run; none takes it back. Returns whether that says
    /// something new.
    pub fn correct(&mut self, by: (&str, Time), text: Option<&str>) -> bool {
        let is_same = |answer: &Text<'_>, text: &str| lines(&answer.decoded()) == lines(text);
        let known = of_person(&self.judgements, by.0).corrected;
        let is_known = match (text, known.as_ref().or(self.answer.as_ref())) {
            (Some(text), Some(answer)) => is_same(answer, text),
            (_, answer) => answer.is_none() && text.is_none(),
        };
        if is_known {
            return false;
        }
        // The run's own answer corrects nothing.
        let text = text.filter(|text| !self.answer.as_ref().is_some_and(|own| is_same(own, text)));
        let text = text.map(|text| Text::from(text.to_owned()));
        self.change_judgement(by, &|judgement| judgement.corrected.clone_from(&text))
    }

    /// Removes what a person said of it. An answer that an earlier release recorded as theirs stays, without an author.
    /// Returns whether anything was removed.
    pub fn forget_judge(&mut self, by: &str) -> bool {
        let author = self.metadata.get(CORRECTED_BY).and_then(RawJson::as_text);
        let is_author = author.is_some_and(|author| author == by);
        if is_author {
            self.metadata.take(CORRECTED_BY);
        }
        self.forget(by) || is_author
    }
}

impl<'a> Message<'a> {
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
    /// What counts of what people said of the whole conversation.
    pub fn judged(&self) -> Judgement<'a> {
        weighed(&self.judgements)
    }

    /// Who judged it or one of its messages, or corrected an answer.
    pub fn judges(&self) -> BTreeSet<String> {
        people(&self.judgements).chain(self.messages().flat_map(Message::judges)).collect()
    }

    /// The answer that a message corrects, if that person wrote it.
    pub fn corrected_by(&self, position: MessagePosition, person: &str) -> Option<MessagePosition> {
        let round = self.rounds.get(position.round)?;
        let number = round.corrects()?;
        let is_theirs = round.messages.get(position.message)?.is_corrected_by(person);
        let round = self.rounds.iter().position(|one| one.number == number)?;
        is_theirs.then_some(MessagePosition { round, ..position })
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
        let mut is_changed = self.forget(by);
        for message in self.rounds.iter_mut().flat_map(|round| &mut round.messages) {
            is_changed |= message.forget(by);
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
        self.carry(&was.judgements);
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
                message.carry(&judged.judgements);
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
