//! Judgements: what people and evaluators say about answers, added to the runs and conversations of these answers. A
//! corrected answer becomes a sibling of the original, with its author; no answer is overwritten.

use std::io::BufRead;

use retort_formats::judgements::{Judgement, Rows};
use retort_json::RawJson;
use retort_model::bounds::{IDS_LISTED, JUDGEMENT_CHARACTERS};
use retort_model::{
    Action, CORRECTED_BY, Conversation, ConversationFilter, Feedback, Grant, Judging, Message,
    MessagePosition, Query, Role, Run, RunStatus, canonical, condition, fnv1a,
};
use retort_store::{Cursor, Importer, IncomingRun, Order, Summary, Taken};

use crate::caller::{Caller, LOCAL};
use crate::error::Error;
use crate::import::{incoming_run, update_run};
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

/// What one person says of a conversation or of one of its messages.
#[derive(Clone, Debug, Default)]
pub struct OneJudgement {
    /// Which.
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
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mine, Self::Anyone];

    /// Its name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Anyone => "anyone",
        }
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

/// The next conversation of a queue, and how many are left with it.
#[derive(Clone, Debug, Default)]
pub struct QueueNext {
    /// The next one; none if nothing is left.
    pub next: Option<Summary>,
    /// How many are left.
    pub left: u64,
}

/// Conversations of a queue for several people among which each gets another one.
const QUEUE_SPREAD: usize = 50;

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
    ) -> Result<QueueNext, Error> {
        let rest = queue.rest(filter, &caller.name);
        let left = self.count(caller, &rest)?;
        let most = if queue == Queue::Anyone { QUEUE_SPREAD } else { 1 };
        let list = |after| self.list(caller, &rest, Order::Newest, after, most);
        let mut page = list(behind.map(|one| Cursor::behind(one, Order::Newest)))?;
        if page.conversations.is_empty() && behind.is_some() {
            page = list(None)?;
        }
        let mut found = page.conversations;
        let at = usize::try_from(fnv1a(&caller.name)).unwrap_or(0).checked_rem(found.len());
        let next = at.map(|at| found.swap_remove(at));
        Ok(QueueNext { next, left })
    }

    fn judge_row(&self, caller: &Caller, judgement: &Judgement) -> Result<bool, Error> {
        if judgement.is_empty() {
            return Ok(false);
        }
        let scope = caller.scope();
        let id = judgement.id.as_str();
        let is_there =
            |id: &str| -> Result<bool, Error> { Ok(!self.store.find(&scope, id)?.is_empty()) };
        let (id, target) = if is_there(id)? {
            (id, JudgementTarget::LastAnswer)
        } else if let Some((whole, number)) = id.rsplit_once('#')
            && let Ok(number) = number.parse::<usize>()
            && is_there(whole)?
        {
            (whole, JudgementTarget::Answer(number))
        } else {
            return self.judge_run(caller, judgement).map_err(|error| match error {
                Error::NotFound { name, .. } => {
                    Error::NotFound { what: "run or conversation", name }
                }
                error => error,
            });
        };
        let rating = judgement.score.as_deref().and_then(|score| RawJson::owned(score).ok());
        let one = OneJudgement {
            target,
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
        self.judge_conversation(caller, (id, judgement.source.as_deref()), &one)
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
            let place = one.target.of(whole)?;
            let round = whole.rounds.get_mut(place.round);
            // A correction is taken back where it is, too.
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

    fn judge_run(&self, caller: &Caller, judgement: &Judgement) -> Result<bool, Error> {
        let (summary, line) = self.run(caller, &judgement.id, (None, None))?;
        let damaged = |why: String| {
            Error::from(retort_store::Error::Damaged(format!("the run `{}`: {why}", summary.id)))
        };
        let text = std::str::from_utf8(&line).map_err(|error| damaged(error.to_string()))?;
        let was = canonical::read_run(text).map_err(|error| damaged(error.to_string()))?;
        let mut run = Run {
            request_id: was.request_id.clone(),
            source: was.source,
            source_id: was.source_id.clone(),
            status: RunStatus::Success,
            ..Run::default()
        };
        let truth = judgement.ground_truth.as_ref().or(judgement.corrected.as_ref());
        run.ground_truth = truth.map(|text| text.clone().into());
        run.feedback = feedback_of(judgement).map(Box::new);
        if judgement.corrected.is_some() {
            let author = judgement.author.as_deref().unwrap_or(&caller.name);
            self.refuse_erased(caller, author)?;
            run.metadata.put(CORRECTED_BY.into(), RawJson::string(author));
        }
        let mut line = Vec::new();
        canonical::write_run(&run, &mut line);
        let mut packer = self.store.packer();
        let body = packer.pack(&line)?;
        let incoming = [incoming_run(&run, &line, body)];
        let (scope, now) = (caller.scope(), self.clock.now());
        let importer = Importer {
            scope: &scope,
            name: Some(&caller.name),
            holds_unowned: caller.name != LOCAL,
            replaces: false,
        };
        let mut update = |was: &[u8], came: &[u8], run: &IncomingRun| {
            update_run(was, came, run, &mut packer, now)
        };
        // What a member imports never changes a run that others hold: it would become another run.
        if self.store.would_take_in_runs(&importer, &incoming, &mut update)? == [Taken::New] {
            return Err(Error::Choice("it belongs to someone else; an admin can judge it".into()));
        }
        let taken = self.store.take_in_runs(&importer, &incoming, &mut update)?;
        Ok(taken == [Taken::Updated])
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
    let words = message.words();
    let start: String = words.decoded().chars().take(BEGINNING).collect();
    fnv1a(&format!("{}:{start}", message.role.as_str()))
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

fn feedback_of(judgement: &Judgement) -> Option<Feedback<'static>> {
    let feedback = Feedback {
        rating: judgement.score.as_deref().and_then(|score| RawJson::owned(score).ok()),
        label: judgement.label.clone().map(Into::into),
        comment: judgement.comment.clone().map(Into::into),
    };
    (feedback != Feedback::default()).then_some(feedback)
}
