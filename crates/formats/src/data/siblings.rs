//! Several answers to one question, and which of them is known to be better: what preference data is made of.
//!
//! Answers to one question are rounds with the same parent that begin with the same question, if they repeat it. A label
//! or a rating says what an answer is worth. Where neither does, the person showed it: they went on with one answer, or
//! had it made in place of an earlier one.

use std::collections::HashMap;

use retort_json::RawJson;
use retort_model::{
    CORRECTS, Conversation, Item, Label, LeftOut, Message, Rating, Reason, Role, Round, Run, Time,
};

use super::execution::conversation_of;
use super::format::{Outcome, PairsBy};
use super::record::{Answer, Draft, not_understood};

/// An answer of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Sibling {
    /// Counted from 1 in the order of the source.
    pub number: usize,
    /// The round that it is in.
    round: usize,
    /// Its first message, and the one behind its last.
    from: usize,
    to: usize,
}

/// What is known of the worth of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Worth {
    /// It is good, or the better one.
    Good,
    /// It is bad, or the worse one.
    Bad,
    /// A score on a scale that is not known.
    Score(f64),
}

/// Two answers to one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'p> {
    pub better: &'p Sibling,
    pub worse: &'p Sibling,
}

/// The answers of a conversation, of every branch.
pub(super) struct Answers<'c> {
    conversation: &'c Conversation<'c>,
    /// The run that the conversation was made of.
    run: Option<&'c Run<'c>>,
    siblings: Vec<Sibling>,
    path: Vec<usize>,
}

/// Accounts for what `write` makes of the answers of a conversation; `nothing` says why, if it makes nothing of them.
pub(super) fn shape_answers(
    item: &Item<'_>,
    write: impl FnOnce(&Answers<'_>, &mut Outcome),
    nothing: impl FnOnce() -> LeftOut,
) -> Outcome {
    if let Some(why) = not_understood(item) {
        return Outcome::left_out(None, why);
    }
    let mut outcome = Outcome::default();
    match item {
        Item::Conversation(conversation) => write(&Answers::of(conversation, None), &mut outcome),
        Item::Run(run) => match conversation_of(run) {
            Ok(mut conversation) => {
                // What is thought of a run is thought of its own answer.
                let answer = conversation.rounds.first_mut();
                if let Some(answer) = answer.and_then(|round| round.messages.last_mut()) {
                    answer.feedback.clone_from(&run.feedback);
                }
                write(&Answers::of(&conversation, Some(run)), &mut outcome);
            }
            Err(why) => return Outcome::left_out(None, why),
        },
        Item::Document(_) => return Outcome::other_kind(item),
    }
    outcome.or_left_out(nothing)
}

impl<'c> Answers<'c> {
    fn of(conversation: &'c Conversation<'c>, run: Option<&'c Run<'c>>) -> Self {
        let mut siblings = Vec::new();
        for (round, one) in conversation.rounds.iter().enumerate() {
            let mut from = None;
            for (at, message) in one.messages.iter().enumerate() {
                match (message.role, from) {
                    (Role::Assistant, None) => from = Some(at),
                    (Role::Assistant | Role::Tool, _) => {}
                    (_, Some(start)) => {
                        siblings.push((round, start, at));
                        from = None;
                    }
                    (_, None) => {}
                }
            }
            siblings.extend(from.map(|start| (round, start, one.messages.len())));
        }
        let sibling = |(number, (round, from, to)): (usize, _)| Sibling {
            number: number + 1,
            round,
            from,
            to,
        };
        let siblings = siblings.into_iter().enumerate().map(sibling).collect();
        Self { conversation, run, siblings, path: conversation.active_path() }
    }

    /// All answers, in the order of the source.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    fn messages(&self, sibling: &Sibling) -> &'c [Message<'c>] {
        let round = self.conversation.rounds.get(sibling.round);
        round.and_then(|round| round.messages.get(sibling.from..sibling.to)).unwrap_or_default()
    }

    /// What labels and ratings say of an answer. Those of the whole conversation are about its last answer.
    pub fn worth(&self, sibling: &Sibling) -> Option<Worth> {
        let messages = self.messages(sibling);
        let has = |label| messages.iter().any(|message| message.label == Some(label));
        if has(Label::Rejected) {
            return Some(Worth::Bad);
        }
        if has(Label::Preferred) {
            return Some(Worth::Good);
        }
        let rating =
            messages.iter().rev().find_map(|message| message.feedback.as_ref()?.rating.as_ref());
        rating.and_then(worth_of_rating).or_else(|| {
            let is_last = || {
                // They are numbered from 1, in the order of the rounds.
                let next = self.siblings.get(sibling.number);
                self.path.last() == Some(&sibling.round)
                    && next.is_none_or(|next| next.round != sibling.round)
            };
            if !is_last() {
                return None;
            }
            match self.conversation.label {
                Some(Label::Preferred) => Some(Worth::Good),
                Some(Label::Rejected) => Some(Worth::Bad),
                None => self.conversation.judged().rating.as_ref().and_then(worth_of_rating),
            }
        })
    }

    /// The answers of rounds that follow the same one with the same question, in groups of at least two: of a round with
    /// several, the last one that something is known of, else the first.
    fn groups(&self) -> Vec<Vec<&Sibling>> {
        let mut groups: Vec<(&'c [Message<'c>], Vec<&Sibling>)> = Vec::new();
        let mut by_parent: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        let mut round = None;
        for sibling in &self.siblings {
            if round.replace(sibling.round) == Some(sibling.round) {
                continue;
            }
            let question = self.question(sibling);
            let siblings = by_parent.entry(self.conversation.parent_of(sibling.round)).or_default();
            let asks = |at: &&usize| {
                groups.get(**at).is_some_and(|(other, _)| asks_the_same(other, question))
            };
            match siblings.iter().find(asks).and_then(|&at| groups.get_mut(at)) {
                Some((_, group)) => group.push(sibling),
                None => {
                    siblings.push(groups.len());
                    groups.push((question, vec![sibling]));
                }
            }
        }
        let groups = groups.into_iter().map(|(_, group)| group).filter(|group| group.len() > 1);
        groups.map(|group| group.into_iter().map(|first| self.judged(first)).collect()).collect()
    }

    /// Of the answers of a round from `first` on, the last one that something is known of, else the first.
    fn judged<'s>(&'s self, first: &'s Sibling) -> &'s Sibling {
        let from = self.siblings.get(first.number - 1..).unwrap_or_default();
        let own = from.partition_point(|one| one.round == first.round);
        let mut own = from.get(..own).unwrap_or_default().iter().rev();
        own.find(|one| self.worth(one).is_some()).unwrap_or(first)
    }

    fn question(&self, sibling: &Sibling) -> &'c [Message<'c>] {
        let round = self.conversation.rounds.get(sibling.round);
        round.and_then(|round| round.messages.get(..sibling.from)).unwrap_or_default()
    }

    /// Pairs of answers to one question, each answer that is known to be worse with the best that is known to be better;
    /// and the groups of answers of which nothing is known, by the number of their first.
    pub fn pairs(&self, by: PairsBy) -> (Vec<Pair<'_>>, Vec<(usize, LeftOut)>) {
        let (mut pairs, mut undecided) = (Vec::new(), Vec::new());
        for group in self.groups() {
            let before = pairs.len();
            for &worse in &group {
                let better = group.iter().copied().filter(|one| self.is_better(one, worse, by));
                let best = better.reduce(
                    |one, other| {
                        if self.is_better(other, one, by) { other } else { one }
                    },
                );
                pairs.extend(best.map(|better| Pair { better, worse }));
            }
            if pairs.len() == before
                && let Some(first) = group.first()
            {
                let detail = format!(
                    "nothing says which of {} answers to one question is better",
                    group.len()
                );
                undecided.push((first.number, LeftOut::new(Reason::NoPair, detail)));
            }
        }
        (pairs, undecided)
    }

    fn is_better(&self, one: &Sibling, other: &Sibling, by: PairsBy) -> bool {
        if self.corrects(one, other) || self.corrects(other, one) {
            return self.corrects(one, other);
        }
        let is_shown = || by == PairsBy::Shown && self.is_shown_instead(one, other);
        match (self.worth(one), self.worth(other)) {
            (Some(Worth::Good), Some(Worth::Bad)) => true,
            (Some(Worth::Score(one)), Some(Worth::Score(other))) => one > other,
            // What is known of one alone must agree with what was shown.
            (Some(Worth::Good) | None, None) | (None, Some(Worth::Bad)) => is_shown(),
            _ => false,
        }
    }

    /// Whether someone wrote one answer to correct the other.
    fn corrects(&self, one: &Sibling, other: &Sibling) -> bool {
        let corrected =
            self.messages(one).last().and_then(|message| message.metadata.get(CORRECTS));
        let corrected = corrected.and_then(|raw| raw.as_text()?.parse::<u32>().ok());
        let round = self.conversation.rounds.get(other.round);
        corrected.is_some() && corrected == round.map(|round| round.number)
    }

    /// Whether a person went on with one answer and not with the other, or had it made instead of the other.
    fn is_shown_instead(&self, one: &Sibling, other: &Sibling) -> bool {
        if one.round == other.round || self.path.binary_search(&one.round).is_err() {
            return false;
        }
        let goes_on = self.path.last() != Some(&one.round);
        let time = |sibling: &Sibling| -> Option<Time> {
            self.messages(sibling).iter().find_map(|message| message.created_at)
        };
        let is_later = || time(one).zip(time(other)).is_some_and(|(one, other)| one > other);
        goes_on || is_later()
    }

    /// The round of an answer without its label, which the row itself says.
    pub fn unlabelled(&self, sibling: &Sibling) -> Round<'c> {
        let mut round = self.conversation.rounds.get(sibling.round).cloned().unwrap_or_default();
        for message in round.messages.get_mut(sibling.from..sibling.to).unwrap_or_default() {
            message.label = None;
        }
        round
    }

    /// A draft of a record that ends with an answer; `last` is the round that it is in.
    pub fn draft<'d>(&'d self, sibling: &Sibling, last: &'d Round<'d>) -> Draft<'d> {
        let before = match self.conversation.parent_of(sibling.round) {
            Some(parent) => self.conversation.path_to(Some(parent)),
            None => Vec::new(),
        };
        let model = self.conversation.model_of(before.iter().copied().chain([sibling.round]));
        let mut rounds: Vec<&'d Round<'d>> =
            before.iter().filter_map(|&at| self.conversation.rounds.get(at)).collect();
        let end = rounds.iter().map(|round| round.messages.len()).sum::<usize>() + sibling.to;
        rounds.push(last);
        Draft {
            conversation: self.conversation,
            is_first: false,
            rounds,
            answer_at: Some(Answer { number: sibling.number, end }),
            is_judged: true,
            model,
            branch: None,
            graph_round: None,
            task: None,
            run: self.run,
            // Rows of pairs and labels have no reference.
            last_answer: None,
        }
    }
}

fn asks_the_same(one: &[Message<'_>], other: &[Message<'_>]) -> bool {
    let is_same = |one: &Message<'_>, other: &Message<'_>| {
        one.role == other.role
            && one.words() == other.words()
            && super::attachments::attachments_of(one).eq(super::attachments::attachments_of(other))
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

/// What a rating says: thumbs and the like as good or bad, other numbers as a score.
fn worth_of_rating(raw: &RawJson<'_>) -> Option<Worth> {
    let word = raw.as_text().map(|text| Rating::word(text.trim()));
    let word = word.as_deref().unwrap_or(raw.as_str());
    match (Rating::of_word(word), word) {
        (Some(Rating::Good), _) | (None, "better") => Some(Worth::Good),
        (Some(Rating::Bad), _) | (None, "worse") => Some(Worth::Bad),
        (None, number) => {
            number.parse().ok().filter(|score: &f64| score.is_finite()).map(Worth::Score)
        }
    }
}

impl Worth {
    /// Whether it says good or bad. Of scores only -1 does: a 1 may be a thumb up, or one star of five.
    pub fn is_good(self) -> Option<bool> {
        match self {
            Self::Good => Some(true),
            Self::Bad => Some(false),
            Self::Score(-1.0) => Some(false),
            Self::Score(_) => None,
        }
    }
}
