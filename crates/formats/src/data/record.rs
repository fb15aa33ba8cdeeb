//! What becomes one record of training data: its rounds, its turns in order, and what was found in them. Shared by
//! the data formats that trainers read.

use std::collections::HashSet;
use std::rc::Rc;

use retort_json::Text;
use retort_model::{
    Check, Conversation, Item, Kind, Label, LeftOut, Message, Reason, Repair, Role, Round, Run,
    Warning,
};

use super::attachments::lists_attachments;
use super::carried::Carried;
use super::execution::conversation_of;
use super::format::{
    Attachments, Branches, Noted, Outcome, RecordLeftOut, RecordNotes, RowsPer, ShapeOptions,
    ToolsOf,
};
use super::repairs::Repairs;
use super::tools::{ToolCache, Tools};
use super::turns::{LateSystems, Rules, Turns, collect, needs_attachment};

/// What stands where no result of a call was recorded.
pub(super) const NO_RESULT: &str = r#"{"error":"no result recorded"}"#;

/// Why a conversation makes no record at all.
fn nothing_to_write(conversation: &Conversation<'_>) -> LeftOut {
    match conversation.kind {
        Kind::Graph if !conversation.rounds.is_empty() => {
            LeftOut::new(Reason::OnlyStartRound, "no round with messages after the start round")
        }
        _ => no_messages(),
    }
}

fn no_messages() -> LeftOut {
    LeftOut::new(Reason::NoMessages, "no messages")
}

/// Why a conversation is left out in which nobody says anything; none if someone does.
pub(super) fn is_silent(conversation: &Conversation<'_>) -> Option<LeftOut> {
    conversation.rounds.iter().all(|round| round.messages.is_empty()).then(no_messages)
}

/// What becomes one record.
pub(super) struct Draft<'c> {
    /// The conversation that it is of.
    pub conversation: &'c Conversation<'c>,
    /// Whether it is the first record of it.
    pub is_first: bool,
    /// The rounds, in order.
    pub rounds: Vec<&'c Round<'c>>,
    /// How many of their messages it has, if not all: it is there for the answer that is then the last.
    pub answer_at: Option<Answer>,
    /// Whether the row itself says if the conversation is good or bad, so that a bad one may be written.
    pub is_judged: bool,
    /// Which branch it is, counted from 1, where a conversation makes records of several.
    pub branch: Option<usize>,
    /// The model to name.
    pub model: Option<&'c Text<'c>>,
    /// The round of a graph that it is.
    pub graph_round: Option<&'c Round<'c>>,
    /// The id and agent of the sub-agent's task that it is.
    pub task: Option<&'c retort_model::Task<'c>>,
    /// The run that the conversation was made of.
    pub run: Option<&'c Run<'c>>,
    /// The last answer on the active path of the conversation, which may be in another draft.
    pub last_answer: Option<&'c Message<'c>>,
}

/// An answer that a record is there for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Counted from 1 among the answers of the draft, or of the whole conversation for siblings.
    pub number: usize,
    /// How many messages of the draft's rounds there are up to its end.
    pub end: usize,
}

impl<'c> Draft<'c> {
    /// The messages, in order.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'c Message<'c>> + use<'c, '_> {
        let end = self.answer_at.map_or(usize::MAX, |answer| answer.end);
        self.rounds.iter().flat_map(|round| round.messages.iter()).take(end)
    }
}

impl Draft<'_> {
    /// Which part of the conversation it is, in words; none if it is the whole.
    pub(super) fn part_words(&self) -> Option<String> {
        let part = match (self.graph_round, self.task) {
            (_, Some(task)) => Some(format!("task {}", task.id.decoded())),
            (Some(round), None) => Some(format!("round {}", round.number)),
            (None, None) => None,
        };
        let branch = self.branch.map(|branch| format!("branch {branch}"));
        let answer = self.answer_at.map(|answer| format!("answer {}", answer.number));
        let words: Vec<_> = [branch, part, answer].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// What is added to the id of the conversation to name the record, where it makes one for each branch or answer.
    pub(super) fn suffix(&self) -> Option<String> {
        let branch = self.branch.map(|branch| format!("#branch-{branch}"));
        let answer = self.answer();
        branch.map(|branch| branch + answer.as_deref().unwrap_or_default()).or(answer)
    }

    fn answer(&self) -> Option<String> {
        let answer = self.answer_at?.number;
        Some(match (self.graph_round, self.task) {
            (_, Some(task)) => format!("#{}.{answer}", task.id.decoded()),
            (Some(round), None) => format!("#{}.{answer}", round.number),
            (None, None) => format!("#{answer}"),
        })
    }

    /// The position of a message among those of the draft.
    pub(super) fn position_of(&self, message: &Message<'_>) -> Option<usize> {
        self.messages().position(|one| std::ptr::eq(one, message))
    }

    /// A finding with the position of the message that it concerns.
    pub(super) fn noted<K>(&self, kind: K, message: Option<&Message<'_>>) -> Noted<K> {
        Noted { kind, message: message.and_then(|message| self.position_of(message)) }
    }
}

/// The records of a conversation: one of all rounds of the active path, or of each branch, or one a round of a graph but
/// its start; with `tasks`, one for each sub-agent's task too. Rounds without messages make none.
fn each_record<'c>(
    conversation: &'c Conversation<'c>,
    run: Option<&'c Run<'c>>,
    options: &ShapeOptions,
    mut take: impl FnMut(Draft<'c>),
) {
    let mut answers = HashSet::new();
    let mut take = |draft: Draft<'c>| match options.rows {
        RowsPer::Conversation => take(draft),
        RowsPer::Answer => each_answer(draft, &mut answers, &mut take),
    };
    let mut is_first = true;
    let last_answer = last_answer(conversation);
    let mut draft = |rounds, model| Draft {
        conversation,
        is_first: std::mem::take(&mut is_first),
        rounds,
        answer_at: None,
        is_judged: false,
        model,
        branch: None,
        graph_round: None,
        task: None,
        run: None,
        last_answer,
    };
    for (branch, path) in options.branches.paths(conversation) {
        each_of_path(conversation, &path, |rounds, model, graph_round| {
            let run = run.filter(|_| graph_round.is_none());
            take(Draft { branch, graph_round, run, ..draft(rounds, model) });
        });
    }
    for task in conversation.tasks.iter().filter(|_| options.tasks) {
        let rounds: Vec<_> = task.rounds.iter().collect();
        if rounds.iter().any(|round| !round.messages.is_empty()) {
            let model = rounds
                .iter()
                .rev()
                .find_map(|round| round.model.as_ref())
                .or(conversation.model.as_ref());
            take(Draft { task: Some(task), ..draft(rounds, model) });
        }
    }
}

fn last_answer<'c>(conversation: &'c Conversation<'c>) -> Option<&'c Message<'c>> {
    let from_the_end = std::iter::successors(conversation.leaf(), |&at| conversation.parent_of(at));
    let rounds = from_the_end.filter_map(|at| conversation.rounds.get(at));
    let mut messages = rounds.flat_map(|round| round.messages.iter().rev());
    messages.find(|message| message.role == Role::Assistant)
}

/// The records of one branch: the rounds of each, its model, and the round of a graph that it is.
fn each_of_path<'c>(
    conversation: &'c Conversation<'c>,
    path: &[usize],
    mut take: impl FnMut(Vec<&'c Round<'c>>, Option<&'c Text<'c>>, Option<&'c Round<'c>>),
) {
    if conversation.kind == Kind::Graph {
        let is_start = |round: &Round<'_>| {
            round.node.as_ref().map_or(round.number <= 1, |node| node == "start")
        };
        for &position in path {
            let Some(round) = conversation.rounds.get(position) else { continue };
            if is_start(round) || round.messages.is_empty() {
                continue;
            }
            let model = round
                .model
                .as_ref()
                .filter(|model| !model.is_empty())
                .or(conversation.model.as_ref());
            take(vec![round], model, Some(round));
        }
    } else {
        let rounds: Vec<_> =
            path.iter().filter_map(|&position| conversation.rounds.get(position)).collect();
        if rounds.iter().any(|round| !round.messages.is_empty()) {
            let model = conversation.model_of(path.iter().copied());
            take(rounds, model, None);
        }
    }
}

/// A draft for each answer, with everything before it; the draft itself if nothing answers. Answers that another branch
/// had, too, are in `taken`.
fn each_answer<'c>(
    draft: Draft<'c>,
    taken: &mut HashSet<*const Message<'c>>,
    take: &mut impl FnMut(Draft<'c>),
) {
    let messages: Vec<_> = draft.messages().collect();
    let is_answer = |at: usize| messages.get(at).is_some_and(|one| one.role == Role::Assistant);
    let ends = (0..messages.len()).filter(|&at| is_answer(at) && !is_answer(at + 1));
    let answers = ends.enumerate().map(|(number, at)| Answer { number: number + 1, end: at + 1 });
    let mut is_first = draft.is_first;
    let mut any = false;
    for answer in answers {
        any = true;
        let last = messages.get(answer.end - 1).map(|&one| std::ptr::from_ref(one));
        if last.is_some_and(|last| !taken.insert(last)) {
            continue;
        }
        let rounds = draft.rounds.clone();
        let is_first = std::mem::take(&mut is_first);
        take(Draft { rounds, is_first, answer_at: Some(answer), ..draft });
    }
    if !any {
        take(draft);
    }
}

/// Writes the records of a conversation, or of what was said in a run, one by one and accounts for each.
pub(super) fn shape_records(
    item: &Item<'_>,
    options: &ShapeOptions,
    write: impl FnMut(&Conversation<'_>, &Draft<'_>) -> Result<RecordNotes, LeftOut>,
) -> Outcome {
    if let Some(why) = not_understood(item) {
        return Outcome::left_out(None, why);
    }
    match item {
        Item::Conversation(conversation) => shape_conversation(conversation, None, options, write),
        Item::Run(run) => match conversation_of(run) {
            Ok(conversation) => shape_conversation(&conversation, Some(run), options, write),
            Err(why) => Outcome::left_out(None, why),
        },
        Item::Document(_) => Outcome::other_kind(item),
    }
}

/// Why an item is left out of which not all was understood: nothing is trained or judged on it, whatever the check.
pub(super) fn not_understood(item: &Item<'_>) -> Option<LeftOut> {
    let [first, others @ ..] = item.not_understood() else { return None };
    let mut detail = first.path.clone();
    if !others.is_empty() {
        detail.push_str(&format!(" and {} more", others.len()));
    }
    Some(LeftOut::new(Reason::NotUnderstood, detail))
}

fn shape_conversation<'c>(
    conversation: &'c Conversation<'c>,
    run: Option<&'c Run<'c>>,
    options: &ShapeOptions,
    mut write: impl FnMut(&Conversation<'_>, &Draft<'_>) -> Result<RecordNotes, LeftOut>,
) -> Outcome {
    let mut outcome = Outcome::default();
    each_record(conversation, run, options, |draft| {
        outcome.take(&draft, write(conversation, &draft));
    });
    let mut outcome = outcome.or_left_out(|| nothing_to_write(conversation));
    if let Some(first) = outcome.records.first_mut() {
        let left_behind = left_behind(conversation, options.tasks)
            .filter(|one| *one != Warning::OtherBranches || options.branches == Branches::Active);
        first.warnings.extend(left_behind.map(Noted::from));
    }
    outcome
}

impl Outcome {
    /// Accounts for what came of a draft.
    pub(super) fn take(&mut self, draft: &Draft<'_>, written: Result<RecordNotes, LeftOut>) {
        let part = draft.part_words();
        match written {
            Ok(notes) => {
                let suffix = draft.suffix();
                self.records.push(RecordNotes { part, suffix, ..notes });
            }
            Err(why) => self.left_out.push(RecordLeftOut { part, why }),
        }
    }

    /// The same, or if nothing came of the item, the whole item as left out.
    pub(super) fn or_left_out(self, why: impl FnOnce() -> LeftOut) -> Self {
        if self.records.is_empty() && self.left_out.is_empty() {
            return Self::left_out(None, why());
        }
        self
    }
}

/// What of a conversation its records do not hold.
pub(super) fn left_behind(
    conversation: &Conversation<'_>,
    tasks: bool,
) -> impl Iterator<Item = Warning> {
    let has_messages = |rounds: &[Round<'_>]| rounds.iter().any(|round| !round.messages.is_empty());
    let path = conversation.active_path();
    let branches = path.len() < conversation.rounds.len()
        && (0..conversation.rounds.len())
            .filter(|position| path.binary_search(position).is_err())
            .filter_map(|position| conversation.rounds.get(position))
            .any(|round| !round.messages.is_empty());
    let tasks = !tasks && conversation.tasks.iter().any(|task| has_messages(&task.rounds));
    let branches = branches.then_some(Warning::OtherBranches);
    branches.into_iter().chain(tasks.then_some(Warning::TasksLeftOut))
}

/// What becomes a record, put in order as the check asks, and what was found in it.
pub(super) struct Examined<'c> {
    pub turns: Turns<'c>,
    pub tools: Tools,
    pub repairs: Repairs<'c>,
    pub hopeless: Option<LeftOut>,
}

/// Puts the turns of a draft in order; `carried` is what goes with its row. With the check off they stay as they are, and what it would have taken is
/// only told.
pub(super) fn examine<'c>(
    draft: &Draft<'c>,
    bench: &mut ToolCache,
    options: &ShapeOptions,
    rules: Rules,
    carried: &Rc<Carried>,
) -> Result<Examined<'c>, LeftOut> {
    // The files of a run were put into it for its nodes; what the answer rests on are its contexts.
    let needs_attachments = options.attachments != Attachments::Drop && draft.run.is_none();
    let last_is_learnt = draft.answer_at.is_some();
    let rules = Rules { fill: options.fill, needs_attachments, last_is_learnt, ..rules };
    let messages = || draft.messages();
    let mended = if rules.may_ask { LateSystems::MoveForQuestion } else { LateSystems::Move };
    let late_systems = match options.check {
        Check::Off => LateSystems::Stay,
        Check::Repair | Check::Reject => mended,
    };
    let mut turns = Turns { carried: Rc::clone(carried), ..collect(messages(), late_systems) };
    let tools = match options.tools_of {
        ToolsOf::Conversation => {
            bench.prepare(draft.rounds.iter().flat_map(|round| round.tools.iter()))
        }
        ToolsOf::Answer => offered(draft, bench),
    };
    let mut hopeless = turns.hopeless();
    if draft.conversation.label == Some(Label::Rejected) && !draft.is_judged {
        let why = || LeftOut::new(Reason::NotToLearn, "the conversation is labeled as rejected");
        hopeless = hopeless.or_else(|| Some(why()));
    }
    if needs_attachments && lists_attachments(draft.conversation) {
        hopeless = hopeless.or_else(|| Some(needs_attachment(None)));
    }
    if options.check == Check::Off {
        // A copy is mended, to be able to say what a trainer would refuse.
        let collected = collect(messages(), mended);
        let mut mended = Turns { carried: Rc::clone(carried), ..collected };
        if let Err(why) = mended.mend(rules) {
            hopeless = hopeless.or(Some(why));
        }
        hopeless = hopeless.or(mended.not_learnt);
        for (repair, message) in mended.repairs.iter() {
            // What the data format does whatever the check is among the repairs of `turns`.
            if repair.is_needed_by_trainers() {
                turns.repairs.add_at(repair, message);
            }
        }
    } else if hopeless.is_none() {
        turns.mend(rules)?;
        if last_is_learnt && !ends_with_its_answer(draft, &turns) {
            let why = || LeftOut::new(Reason::NoAnswer, "the answer of the record was cut");
            return Err(turns.not_learnt.take().unwrap_or_else(why));
        }
    }
    let mut repairs = std::mem::take(&mut turns.repairs);
    for &repair in &tools.repairs {
        repairs.add(repair);
    }
    Ok(Examined { turns, tools, repairs, hopeless })
}

/// The tools that were offered for the last answer of a draft, and those that it calls. A round that lists none has those
/// of the round before.
fn offered(draft: &Draft<'_>, bench: &mut ToolCache) -> Tools {
    let end = draft.answer_at.map_or(usize::MAX, |answer| answer.end);
    let mut messages = 0;
    let last = draft.rounds.iter().position(|round| {
        messages += round.messages.len();
        messages >= end
    });
    let rounds = last.and_then(|last| draft.rounds.get(..=last)).unwrap_or(&draft.rounds);
    let listed = rounds.iter().rev().map(|round| &round.tools).find(|tools| !tools.is_empty());
    let listed = || listed.into_iter().flatten();
    // Behind all others, as the later of two definitions counts.
    let all = rounds.iter().flat_map(|round| round.tools.iter());
    let mut tools = bench.prepare(all.chain(listed()));
    let now = bench.prepare(listed());
    let called: HashSet<_> = draft
        .messages()
        .flat_map(|message| message.tool_calls.iter().map(|call| call.name.decoded()))
        .collect();
    tools.retain(|name| now.defines(name) || called.contains(name));
    tools.nameless = now.nameless;
    tools
}

/// Whether the last turn is of the messages with which the draft ends, after mending.
fn ends_with_its_answer(draft: &Draft<'_>, turns: &Turns<'_>) -> bool {
    let messages: Vec<_> = draft.messages().collect();
    let mut answer = messages.iter().rev().take_while(|one| one.role == Role::Assistant);
    let is_last = |one: &Message<'_>| {
        let last = turns.turns.last();
        last.is_some_and(|turn| turn.messages().any(|other| std::ptr::eq(one, other)))
    };
    answer.any(|one| is_last(one))
}

/// Sorts what a check found into what was done and what was not, by what was asked.
pub(super) fn settle(
    draft: &Draft<'_>,
    check: Check,
    hopeless: Option<LeftOut>,
    repairs: &Repairs<'_>,
) -> Result<RecordNotes, LeftOut> {
    let noted = || repairs.iter().map(|(repair, message)| draft.noted(repair, message));
    match (check, hopeless) {
        (Check::Off, hopeless) => {
            let (unrepaired, repairs) =
                noted().partition(|noted| noted.kind.is_needed_by_trainers());
            Ok(RecordNotes {
                repairs,
                unrepaired,
                unfit: hopeless.map(|why| why.reason),
                ..RecordNotes::default()
            })
        }
        (_, Some(why)) => Err(why),
        (Check::Reject, None) => {
            let needed: Vec<_> = repairs
                .kinds()
                .filter(|repair| repair.is_needed_by_trainers())
                .map(Repair::words)
                .collect();
            if needed.is_empty() {
                Ok(RecordNotes { repairs: noted().collect(), ..RecordNotes::default() })
            } else {
                Err(LeftOut::new(Reason::NeedsRepair, needed.join("; ")))
            }
        }
        (Check::Repair, None) => {
            Ok(RecordNotes { repairs: noted().collect(), ..RecordNotes::default() })
        }
    }
}
