//! Judgements: what people and evaluators say about answers, added to the runs and conversations of these answers. A
//! corrected answer becomes a sibling of the original, with its author; no answer is overwritten.

use std::io::BufRead;

use retort_formats::judgements::{Judgement, Rows};
use retort_json::RawJson;
use retort_model::bounds::IDS_LISTED;
use retort_model::{
    Action, CORRECTS, Conversation, Feedback, Grant, Label, Message, Parent, Role, Round, Run,
    RunStatus, Time, canonical,
};
use retort_store::{Importer, IncomingRun, Taken};

use crate::caller::{Caller, LOCAL};
use crate::error::Error;
use crate::import::{incoming_run, update_run};
use crate::service::Service;

/// The field of an answer with the answer that was expected.
const GROUND_TRUTH: &str = "ground_truth";
/// The field of a corrected answer with its author.
const AUTHOR: &str = "author";
/// The field of a run with the author of its corrected answer.
const CORRECTED_BY: &str = "corrected_by";

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
                match self.judge_one(caller, &judgement) {
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

    fn judge_one(&self, caller: &Caller, judgement: &Judgement) -> Result<bool, Error> {
        if judgement.is_empty() {
            return Ok(false);
        }
        let scope = caller.scope();
        let id = judgement.id.as_str();
        let is_there =
            |id: &str| -> Result<bool, Error> { Ok(!self.store.find(&scope, id)?.is_empty()) };
        if is_there(id)? {
            return self.judge_conversation(caller, id, None, judgement);
        }
        if let Some((whole, number)) = id.rsplit_once('#')
            && let Ok(number) = number.parse::<usize>()
            && is_there(whole)?
        {
            return self.judge_conversation(caller, whole, Some(number), judgement);
        }
        self.judge_run(caller, judgement).map_err(|error| match error {
            Error::NotFound { name, .. } => Error::NotFound { what: "run or conversation", name },
            error => error,
        })
    }

    fn judge_conversation(
        &self,
        caller: &Caller,
        id: &str,
        number: Option<usize>,
        judgement: &Judgement,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        self.rewrite(caller, (id, judgement.source.as_deref()), None, |conversation| {
            let Some(place) = answer_of(conversation, number) else {
                let which = number.map_or_else(String::new, |number| format!(" {number}"));
                return Err(Error::Choice(format!("the conversation has no answer{which}")));
            };
            let was_judged = mark(conversation, &place, judgement);
            let is_corrected = correct(conversation, &place, judgement, &caller.name, now);
            Ok(was_judged || is_corrected)
        })
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
            return Err(Error::Choice("it is held by others; an admin can judge it".into()));
        }
        let taken = self.store.take_in_runs(&importer, &incoming, &mut update)?;
        Ok(taken == [Taken::Updated])
    }
}

/// Where an answer of a conversation is.
struct Place {
    round: usize,
    message: usize,
    /// Whether anything was said after it.
    is_followed: bool,
}

/// The answer with that number on the active path, counted from 1 as in the rows of exports; without a number, the last
/// answer that has text.
fn answer_of(conversation: &Conversation<'_>, number: Option<usize>) -> Option<Place> {
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
    Some(Place { round, message, is_followed: at + 1 < said.len() })
}

fn feedback_of(judgement: &Judgement) -> Option<Feedback<'static>> {
    let feedback = Feedback {
        rating: judgement.score.as_deref().and_then(|score| RawJson::owned(score).ok()),
        label: judgement.label.clone().map(Into::into),
        comment: judgement.comment.clone().map(Into::into),
    };
    (feedback != Feedback::default()).then_some(feedback)
}

/// Adds a judgement to its answer; returns whether it says something new.
fn mark(conversation: &mut Conversation<'_>, place: &Place, judgement: &Judgement) -> bool {
    let round = conversation.rounds.get_mut(place.round);
    let Some(message) = round.and_then(|round| round.messages.get_mut(place.message)) else {
        return false;
    };
    let before = message.clone();
    if let Some(came) = feedback_of(judgement) {
        let known = message.feedback.get_or_insert_default();
        known.rating = came.rating.or(known.rating.take());
        known.label = came.label.or(known.label.take());
        known.comment = came.comment.or(known.comment.take());
    }
    if let Some(label) = judgement.label.as_deref().and_then(|label| label.parse::<Label>().ok()) {
        message.label = Some(label);
    }
    if let Some(truth) = &judgement.ground_truth {
        message.metadata.put(GROUND_TRUTH.into(), RawJson::string(truth));
    }
    *message != before
}

/// Adds a corrected answer as a sibling of the original; returns whether it is new. It becomes the active branch if nothing
/// follows the original.
fn correct(
    conversation: &mut Conversation<'_>,
    place: &Place,
    judgement: &Judgement,
    caller: &str,
    now: Time,
) -> bool {
    let Some(text) = &judgement.corrected else { return false };
    let Some(round) = conversation.rounds.get(place.round) else { return false };
    let says = |message: &Message<'_>| message.words().decoded() == **text;
    let corrects = round.number.to_string();
    let is_known = round.messages.get(place.message).is_some_and(says)
        || conversation.rounds.iter().any(|one| {
            let last = one.messages.last().filter(|message| says(message));
            let number = last.and_then(|message| message.metadata.get(CORRECTS));
            number.and_then(RawJson::as_text).is_some_and(|number| number == corrects)
        });
    if is_known {
        return false;
    }
    let mut messages = round.messages.get(..place.message).unwrap_or_default().to_vec();
    let mut answer = Message::text(Role::Assistant, text.clone());
    answer.label = Some(Label::Preferred);
    answer.created_at = Some(now);
    answer.metadata.put(CORRECTS.into(), RawJson::string(&corrects));
    let author = judgement.author.as_deref().unwrap_or(caller);
    answer.metadata.put(AUTHOR.into(), RawJson::string(author));
    messages.push(answer);
    let parent = conversation.parent_of(place.round).map_or(Parent::Root, Parent::Round);
    let number = conversation.rounds.iter().map(|round| round.number).max().unwrap_or(0) + 1;
    let sibling =
        Round { number, parent, messages, tools: round.tools.clone(), ..Round::default() };
    let shown = conversation.active_path().last().copied();
    conversation.current = match place.is_followed {
        true => shown,
        false => Some(conversation.rounds.len()),
    };
    conversation.rounds.push(sibling);
    true
}
