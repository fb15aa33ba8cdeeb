//! Judgements: what people and evaluators say about answers, added to the runs and conversations of these answers. A
//! corrected answer becomes a sibling of the original, with its author, or part of the judgement of a run; no answer is
//! overwritten.

use std::collections::HashMap;
use std::io::BufRead;

use retort_formats::judgements::{Judgement, Rows};
use retort_json::RawJson;
use retort_model::bounds::{IDS_LISTED, JUDGEMENT_CHARACTERS};
use retort_model::{
    Action, Conversation, ConversationFilter, Grant, Judged, Judging, Message, MessagePosition,
    Query, Role, RunFilter, RunSource, canonical, condition, fnv1a,
};
use retort_store::{Cursor, Order, RunOrder, RunSummary, Summary};

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// What became of judgements. `read = changed + same + unknown + refused`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgementReport {
    /// Rows that were read.
    pub read: u64,
    /// Rows that said something new.
    pub changed: u64,
    /// Rows that said what was known already, or nothing.
    pub same: u64,
    /// Rows about runs and conversations that do not exist.
    pub unknown: u64,
    /// Rows that could not be used.
    pub refused: u64,
    /// The first of the unknown and refused rows, each with the reason.
    pub first: Vec<String>,
}

/// What one person says of a conversation, of one of its messages, or of a run.
#[derive(Clone, Debug, Default)]
pub struct OneJudgement {
    /// Which message; of a run, its answer is meant in any case.
    pub target: JudgementTarget,
    /// Who says so; none means the caller.
    pub author: Option<String>,
    /// What changes in what they say.
    pub says: Judging,
    /// How the message began when they read it, as [`beginning`] tells; it is refused if another one is there now.
    pub read: Option<u64>,
    /// A better answer, which is added beside the one that it corrects; `Some(None)` takes their correction back.
    pub corrected: Option<Option<String>>,
}

/// What a judgement is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JudgementTarget {
    /// The whole conversation.
    #[default]
    Conversation,
    /// The last answer with text of the branch that is shown.
    LastAnswer,
    /// The answer with this number on the branch that is shown, counted from 1 as in the rows of exports.
    Answer(usize),
    /// A message, by its position.
    Message(MessagePosition),
}

/// Whose judgements a queue leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Those of the caller: everyone judges everything.
    Mine,
    /// Those of anyone: each conversation is judged once.
    Anyone,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 2] = [Self::Mine, Self::Anyone];

    /// Its name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Anyone => "anyone",
        }
    }

    /// The same of runs.
    fn rest_of_runs(self, filter: &RunFilter, name: &str) -> RunFilter {
        let mut rest = filter.clone();
        match self {
            Self::Mine => rest.not_judges.push(name.to_owned()),
            Self::Anyone => rest.judged = Some(false),
        }
        rest
    }

    /// The next item behind `behind`, or from the beginning; for several people, another one for each of them. `list` gives
    /// a page of what is left.
    fn next<T>(
        self,
        name: &str,
        behind: Option<Cursor>,
        list: impl Fn(Option<Cursor>, usize) -> Result<Vec<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let most = if self == Self::Anyone { QUEUE_SPREAD } else { 1 };
        let is_behind = behind.is_some();
        let mut found = list(behind, most)?;
        if found.is_empty() && is_behind {
            found = list(None, most)?;
        }
        let at = usize::try_from(fnv1a(name)).unwrap_or(0).checked_rem(found.len());
        Ok(at.map(|at| found.swap_remove(at)))
    }

    /// What is left of what a filter means.
    fn rest(self, filter: &ConversationFilter, name: &str) -> ConversationFilter {
        let mut rest = filter.clone();
        // A name that no query can hold has to do with the other queue.
        let condition = condition("judged_by", name).filter(|_| self == Self::Mine);
        let Some(condition) = condition else {
            rest.judged = Some(false);
            return rest;
        };
        let narrowed = |text: &str| format!("{text} -{condition}").parse::<Query>();
        let narrower: Result<Vec<_>, _> = match filter.search.as_slice() {
            [] => narrowed("").map(|one| vec![one]),
            some => some.iter().map(|one| narrowed(one.as_str())).collect(),
        };
        match narrower {
            Ok(search) => rest.search = search,
            // The query is as long as it may be.
            Err(_) => rest.judged = Some(false),
        }
        rest
    }
}

/// The next conversation or run of a queue, and how many are left with it.
#[derive(Clone, Debug, Default)]
pub struct QueueNext<T> {
    /// The next one; none if nothing is left.
    pub next: Option<T>,
    /// How many are left.
    pub left: u64,
}

/// Items of a queue for several people among which each gets another one.
const QUEUE_SPREAD: usize = 50;

/// Items of each kind whose labels are suggested, bytes of one of them, labels that are suggested, and characters of one:
/// they are read each time a form of a judgement is opened.
const LABELS_FROM: usize = 50;
const LABELS_BYTES: u64 = 256 * 1024;
const LABELS: usize = 50;
const LABEL_CHARACTERS: usize = 60;

/// How a run is named: by its id and, where that is not enough, by what ran.
pub type RunName<'n> = (&'n str, (Option<RunSource>, Option<&'n str>));

impl JudgementReport {
    fn note(&mut self, why: String) {
        if self.first.len() < IDS_LISTED {
            self.first.push(why);
        }
    }
}

impl Service {
    /// Adds judgements to the runs and conversations of the caller's project. A refused judgement does not stop the others.
    ///
    /// # Errors
    /// The input cannot be read; a failing store. Judgements that were added before stay.
    pub fn judge(&self, caller: &Caller, input: impl BufRead) -> Result<JudgementReport, Error> {
        self.audited(caller, Action::Edit, "judgements", || {
            caller.needs(Grant::Write)?;
            let unreadable = |error: std::io::Error| {
                Error::Choice(format!("the judgements cannot be read: {error}"))
            };
            let mut report = JudgementReport::default();
            for row in Rows::open(input).map_err(unreadable)? {
                let row = row.map_err(unreadable)?;
                report.read += 1;
                let judgement = match Judgement::read(&row) {
                    Ok(judgement) => judgement,
                    Err(why) => {
                        report.refused += 1;
                        report.note(format!("row {}: {why}", report.read));
                        continue;
                    }
                };
                match self.judge_row(caller, &judgement) {
                    Ok(true) => report.changed += 1,
                    Ok(false) => report.same += 1,
                    Err(Error::NotFound { what, .. }) => {
                        report.unknown += 1;
                        report.note(format!("`{}`: there is no such {what}", judgement.id));
                    }
                    Err(Error::Choice(why) | Error::Conflict(why)) => {
                        report.refused += 1;
                        report.note(format!("`{}`: {why}", judgement.id));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(report)
        })
    }

    /// Changes what the caller says of a conversation or of one of its messages; returns whether that says something new.
    /// With an `author`, it is what they say.
    ///
    /// # Errors
    /// There is no such conversation or message; the conversation is deleted; only answers can be corrected; a text is too
    /// long.
    pub fn judge_one(
        &self,
        caller: &Caller,
        (id, source): (&str, Option<&str>),
        one: &OneJudgement,
    ) -> Result<bool, Error> {
        self.audited(caller, Action::Edit, &format!("{id}: judged"), || {
            caller.needs(Grant::Write)?;
            self.judge_conversation(caller, (id, source), one)
        })
    }

    /// Changes what the caller says of a run, of its answer; returns whether that says something new. With an `author`, it
    /// is what they say.
    ///
    /// # Errors
    /// There is no such run, or there are several; its answer is another one by now; a text is too long.
    pub fn judge_run(
        &self,
        caller: &Caller,
        which: RunName<'_>,
        one: &OneJudgement,
    ) -> Result<bool, Error> {
        self.audited(caller, Action::Edit, &format!("{}: judged", which.0), || {
            caller.needs(Grant::Write)?;
            self.judge_answer(caller, which, one)
        })
    }

    /// The next conversation that a filter means and that the queue has left: of a queue for several people, another one
    /// for each of them; of one's own, the one behind `behind`, or the first.
    ///
    /// # Errors
    /// The caller may not read; those of the store.
    pub fn next_to_judge(
        &self,
        caller: &Caller,
        filter: &ConversationFilter,
        queue: Queue,
        behind: Option<&Summary>,
    ) -> Result<QueueNext<Summary>, Error> {
        let rest = queue.rest(filter, &caller.name);
        let left = self.count(caller, &rest)?;
        let behind = behind.map(|one| Cursor::behind(one, Order::Newest));
        let next = queue.next(&caller.name, behind, |after, most| {
            Ok(self.list(caller, &rest, Order::Newest, after, most)?.conversations)
        })?;
        Ok(QueueNext { next, left })
    }

    /// As [`Self::next_to_judge`], of runs.
    ///
    /// # Errors
    /// The caller may not read; those of the store.
    pub fn next_run_to_judge(
        &self,
        caller: &Caller,
        filter: &RunFilter,
        queue: Queue,
        behind: Option<&RunSummary>,
    ) -> Result<QueueNext<RunSummary>, Error> {
        let rest = queue.rest_of_runs(filter, &caller.name);
        let left = self.count_runs(caller, &rest)?;
        let behind = behind.map(|one| Cursor::behind(one, RunOrder::Newest));
        let next = queue.next(&caller.name, behind, |after, most| {
            Ok(self.runs(caller, &rest, RunOrder::Newest, after, most)?.runs)
        })?;
        Ok(QueueNext { next, left })
    }

    /// Labels to suggest: those of the conversations and runs that were judged last, as far as the caller may see them, the
    /// most frequent first.
    ///
    /// # Errors
    /// The caller may not read; those of the store.
    pub fn labels_used(&self, caller: &Caller) -> Result<Vec<String>, Error> {
        let mut counts = HashMap::<String, u64>::new();
        let mut add = |judgements: &[retort_model::Judgement<'_>]| {
            for label in judgements.iter().filter_map(|one| one.label.as_ref()) {
                let label = label.decoded();
                if label.chars().count() <= LABEL_CHARACTERS {
                    *counts.entry(label.into_owned()).or_default() += 1;
                }
            }
        };
        let mut unpacker = self.store.unpacker();
        let judged = ConversationFilter { judged: Some(true), ..ConversationFilter::default() };
        let page = self.list(caller, &judged, Order::Changed, None, LABELS_FROM)?;
        for one in page.conversations.iter().filter(|one| one.size <= LABELS_BYTES) {
            let Some(line) = self.store.line(one, &mut unpacker)? else { continue };
            let text = String::from_utf8_lossy(&line);
            let Ok(whole) = canonical::read(&text) else { continue };
            add(&whole.judgements);
            whole.messages().for_each(|message| add(&message.judgements));
        }
        let judged = RunFilter { judged: Some(true), ..RunFilter::default() };
        let page = self.runs(caller, &judged, RunOrder::Newest, None, LABELS_FROM)?;
        for one in page.runs.iter().filter(|one| one.size <= LABELS_BYTES) {
            let Some(line) = self.store.run_line(one, &mut unpacker)? else { continue };
            let text = String::from_utf8_lossy(&line);
            let Ok(run) = canonical::read_run(&text) else { continue };
            add(&run.judgements);
        }
        let mut labels: Vec<_> = counts.into_iter().collect();
        labels.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Ok(labels.into_iter().map(|(label, _)| label).take(LABELS).collect())
    }

    fn judge_row(&self, caller: &Caller, judgement: &Judgement) -> Result<bool, Error> {
        if judgement.is_empty() {
            return Ok(false);
        }
        let scope = caller.scope();
        let id = judgement.id.as_str();
        let is_there =
            |id: &str| -> Result<bool, Error> { Ok(!self.store.find(&scope, id)?.is_empty()) };
        let target = if is_there(id)? {
            Some((id, JudgementTarget::LastAnswer))
        } else if let Some((whole, number)) = id.rsplit_once('#')
            && let Ok(number) = number.parse::<usize>()
            && is_there(whole)?
        {
            Some((whole, JudgementTarget::Answer(number)))
        } else {
            None
        };
        let rating = judgement.score.as_deref().and_then(|score| RawJson::owned(score).ok());
        let one = OneJudgement {
            target: target.map_or(JudgementTarget::LastAnswer, |(_, target)| target),
            author: judgement.author.clone(),
            read: None,
            says: Judging {
                rating: rating.map(Some),
                label: judgement.label.clone().map(Some),
                comment: judgement.comment.clone().map(Some),
                ground_truth: judgement.ground_truth.clone().map(Some),
                train: None,
            },
            corrected: judgement.corrected.clone().map(Some),
        };
        match target {
            Some((id, _)) => {
                self.judge_conversation(caller, (id, judgement.source.as_deref()), &one)
            }
            None => {
                self.judge_answer(caller, (id, (None, None)), &one).map_err(|error| match error {
                    Error::NotFound { name, .. } => {
                        Error::NotFound { what: "run or conversation", name }
                    }
                    error => error,
                })
            }
        }
    }

    fn judge_conversation(
        &self,
        caller: &Caller,
        which: (&str, Option<&str>),
        one: &OneJudgement,
    ) -> Result<bool, Error> {
        one.check()?;
        let now = self.clock.now();
        let by = one.author.as_deref().unwrap_or(&caller.name);
        self.refuse_erased(caller, by)?;
        self.rewrite(caller, which, None, |whole| {
            if one.target == JudgementTarget::Conversation {
                if one.corrected.is_some() {
                    return Err(Error::Choice("only an answer can be corrected".into()));
                }
                return Ok(whole.judge(by, now, &one.says));
            }
            let mut place = one.target.of(whole)?;
            let is_by_number = !matches!(one.target, JudgementTarget::Message(_));
            if is_by_number && matches!(one.corrected, Some(Some(_))) {
                // The answer with this number may be what the same judgement wrote when it was imported before.
                place = whole.corrected_by(place, by).unwrap_or(place);
            }
            let round = whole.rounds.get_mut(place.round);
            // A correction is removed from the round that holds it.
            let number = round.as_ref().map(|round| round.corrects().unwrap_or(round.number));
            let Some(message) = round.and_then(|round| round.messages.get_mut(place.message))
            else {
                return Err(no_message());
            };
            if one.read.is_some_and(|read| read != beginning(message)) {
                return Err(Error::Conflict(
                    "the conversation has changed; reload the page".to_owned(),
                ));
            }
            if one.corrected.is_some() && message.role != Role::Assistant {
                return Err(Error::Choice("only an answer can be corrected".into()));
            }
            let is_judged = message.judge(by, now, &one.says);
            let is_corrected = match (&one.corrected, number) {
                (Some(Some(text)), _) => whole.correct(place, (by, now), text),
                (Some(None), Some(number)) => whole.withdraw_correction(number, by),
                _ => false,
            };
            Ok(is_judged || is_corrected)
        })
    }

    /// Refuses what a person says who was erased.
    fn refuse_erased(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let erased = self.store.erased_people(caller.project.id)?;
        match erased.is_some_and(|erased| erased.contains(name)) {
            true => Err(Error::Choice(format!(
                "`{name}` was erased in this project; a project owner can lift the erasure"
            ))),
            false => Ok(()),
        }
    }

    fn judge_answer(
        &self,
        caller: &Caller,
        which: RunName<'_>,
        one: &OneJudgement,
    ) -> Result<bool, Error> {
        one.check()?;
        let now = self.clock.now();
        let by = one.author.as_deref().unwrap_or(&caller.name);
        self.refuse_erased(caller, by)?;
        self.rewrite_run(caller, which, |run| {
            let answer = run.answer.as_ref().map(|answer| answer.decoded()).unwrap_or_default();
            if one.read.is_some_and(|read| read != beginning_of_answer(&answer)) {
                return Err(Error::Conflict("the run has changed; reload the page".to_owned()));
            }
            let is_judged = run.judge(by, now, &one.says);
            let corrected = one.corrected.as_ref();
            let is_corrected =
                corrected.is_some_and(|text| run.correct((by, now), text.as_deref()));
            Ok(is_judged || is_corrected)
        })
    }
}

impl OneJudgement {
    /// Refuses texts that nobody writes.
    fn check(&self) -> Result<(), Error> {
        let says = &self.says;
        let texts = [&says.label, &says.comment, &says.ground_truth, &self.corrected];
        let mut texts = texts.into_iter().filter_map(|text| text.as_ref()?.as_ref());
        if texts.any(|text| text.chars().nth(JUDGEMENT_CHARACTERS).is_some()) {
            return Err(Error::Choice(format!(
                "a text of a judgement has at most {JUDGEMENT_CHARACTERS} characters"
            )));
        }
        Ok(())
    }
}

impl JudgementTarget {
    /// Where it is in a conversation.
    fn of(self, conversation: &Conversation<'_>) -> Result<MessagePosition, Error> {
        match self {
            Self::Conversation => Err(no_message()),
            Self::LastAnswer | Self::Answer(_) => {
                let number = if let Self::Answer(number) = self { Some(number) } else { None };
                answer_of(conversation, number).ok_or_else(|| {
                    let which = number.map_or_else(String::new, |number| format!(" {number}"));
                    Error::Choice(format!("the conversation has no answer{which}"))
                })
            }
            Self::Message(place) => Ok(place),
        }
    }
}

/// A hash of who speaks in a message and of how it begins, by which it is known again.
pub fn beginning(message: &Message<'_>) -> u64 {
    beginning_of(message.role, &message.words().decoded())
}

/// The same of the answer of a run.
pub fn beginning_of_answer(answer: &str) -> u64 {
    beginning_of(Role::Assistant, answer)
}

fn beginning_of(role: Role, words: &str) -> u64 {
    let start: String = words.chars().take(BEGINNING).collect();
    fnv1a(&format!("{}:{start}", role.as_str()))
}

/// Characters of a message by which it is known again.
const BEGINNING: usize = 200;

fn no_message() -> Error {
    Error::Choice("the conversation has no such message".into())
}

/// The answer with that number on the active path, counted from 1 as in the rows of exports; without a number, the last
/// answer that has text.
fn answer_of(conversation: &Conversation<'_>, number: Option<usize>) -> Option<MessagePosition> {
    let mut said = Vec::new();
    for at in conversation.active_path() {
        let messages = conversation.rounds.get(at).map(|round| round.messages.iter().enumerate());
        said.extend(messages.into_iter().flatten().map(|(place, message)| (at, place, message)));
    }
    let is_answer = |at: usize| said.get(at).is_some_and(|one| one.2.role == Role::Assistant);
    let at = match number {
        Some(number) => {
            let mut ends = (0..said.len()).filter(|&at| is_answer(at) && !is_answer(at + 1));
            ends.nth(number.checked_sub(1)?)?
        }
        None => {
            let says = |at: &usize| said.get(*at).is_some_and(|one| !one.2.words().is_blank());
            let answers = (0..said.len()).rev().filter(|&at| is_answer(at));
            answers.clone().find(says).or(answers.clone().next())?
        }
    };
    let &(round, message, _) = said.get(at)?;
    Some(MessagePosition { round, message })
}
