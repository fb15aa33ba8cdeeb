//! Messages as the turns that trainers read: questions and results on one side, answers and calls on the other,
//! strictly in turn. Here is what is mended when they are not, and what is cut is kept to be told.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use retort_model::{LeftOut, Message, Reason, Repair, Role, ToolCall};

use super::attachments::has_attachments;
use super::carried::Carried;
use super::open_calls::OpenCalls;
use super::repairs::Repairs;
use super::turn::{Side, Turn};

/// What a record may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Results of parallel calls are in one message.
    pub joins_results: bool,
    /// Every call must have its results, and every result must be followed by the model.
    pub calls_are_answered: bool,
    /// A question must say something.
    pub questions_have_words: bool,
    /// What becomes of answers that are not to be learnt.
    pub unlearnt: Unlearnt,
    /// Gaps are filled with placeholders instead of being cut out.
    pub fill: bool,
    /// Answers after a picture, sound or file rest on what the row does not carry.
    pub needs_attachments: bool,
    /// The row is there for its last answer.
    pub last_is_learnt: bool,
    /// The row is a prompt, which may end with a question.
    pub may_ask: bool,
}

/// What a data format can do with an answer in the middle that is not to be learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlearnt {
    /// It is written with a mark of its own.
    Marked,
    /// Only the last answer is learnt anyway; those before it are context.
    Context,
    /// Every answer is learnt, so that the record is left out.
    Refused,
}

/// The turns of a record.
#[derive(Debug, Default)]
pub(super) struct Turns<'c> {
    /// The system message that counts: the last.
    pub system: Option<&'c Message<'c>>,
    /// The system messages before it that differ from it.
    pub other_systems: Vec<&'c Message<'c>>,
    /// Whether it was said only after the first turn.
    pub is_system_moved: bool,
    /// The turns.
    pub turns: Vec<Turn<'c>>,
    /// Messages that were cut, with the number of turns that stood before them.
    pub cut: Vec<(usize, &'c Message<'c>)>,
    /// What was done.
    pub repairs: Repairs<'c>,
    /// The first message of a speaker that trainers do not know.
    pub unknown: Option<&'c Message<'c>>,
    /// The first call that is content and names no tool.
    pub prose_call: Option<&'c Message<'c>>,
    /// Why the first answer that is not to be learnt is not.
    pub not_learnt: Option<LeftOut>,
    /// What of the attachments goes with the row.
    pub carried: Rc<Carried>,
}

/// Why a record is left out in which a call is only text.
fn call_in_words(message: &Message<'_>) -> LeftOut {
    let start = start_of(&message.words().decoded(), 60);
    LeftOut::new(Reason::CallWithoutTool, format!("the call is written as `{start}`"))
}

/// The first characters of a text, `most` at most, to be shown in a sentence.
fn start_of(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().escape_debug().to_string()
}

/// Why a record is left out in which two speakers answer one after the other: neither answer is an attempt at the other.
fn other_speaker(last: &Turn<'_>, next: &Turn<'_>) -> Option<LeftOut> {
    if last.side != Side::Answer || next.side != Side::Answer || next.is_blank() {
        return None;
    }
    let name = |turn: &Turn<'_>| {
        turn.messages().last()?.name.as_ref().map(|name| name.decoded().into_owned())
    };
    let (one, other) = (name(last)?, name(next)?);
    let detail = || {
        format!(
            "`{}` and `{}` answer one after the other",
            start_of(&one, 40),
            start_of(&other, 40)
        )
    };
    (one != other).then(|| LeftOut::new(Reason::UnknownRole, detail()))
}

/// Why an answer is not to be learnt that rests on what the row does not carry.
pub(super) fn needs_attachment(missing: Option<&str>) -> LeftOut {
    LeftOut::new(Reason::NeedsAttachment, missing.unwrap_or("it follows images, sound or files"))
}

/// What becomes of system messages behind the first turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateSystems {
    /// The last of all is moved to the front. Those behind the last answer are cut: no answer was given under them.
    Move,
    /// As `Move`, but a question at the end is to be answered, so those before it count.
    MoveForQuestion,
    /// They stay where they are, but for those that repeat the one in front.
    Stay,
}

/// The turns as the messages stand, with the rule for system messages and nothing mended.
pub(super) fn collect<'c>(
    messages: impl Iterator<Item = &'c Message<'c>>,
    late_systems: LateSystems,
) -> Turns<'c> {
    let mut turns = Turns { turns: Vec::with_capacity(12), ..Turns::default() };
    // Each with the turns before it.
    let mut systems: Vec<(usize, &Message<'_>)> = Vec::new();
    // How many of them come before all turns.
    let mut in_front = 0;
    for message in messages {
        let side = match message.role {
            Role::System => {
                let is_late = !turns.turns.is_empty();
                if !is_late || late_systems != LateSystems::Stay {
                    in_front += usize::from(!is_late);
                    systems.push((turns.turns.len(), message));
                    continue;
                }
                if systems.last().is_some_and(|(_, one)| one.words() == message.words()) {
                    continue;
                }
                Side::Question
            }
            Role::User => Side::Question,
            Role::Assistant => {
                let is_call = !message.tool_calls.is_empty();
                if message.source_role.as_ref().is_some_and(|word| word == "function_call")
                    && !is_call
                {
                    turns.prose_call.get_or_insert(message);
                }
                if is_call { Side::Call } else { Side::Answer }
            }
            Role::Tool => Side::Results,
            Role::Other => {
                turns.unknown.get_or_insert(message);
                Side::Question
            }
        };
        turns.turns.push(Turn::of(side, message));
    }
    let behind = match turns.end_for_systems(late_systems) {
        Some(end) => systems.split_off(systems.partition_point(|(at, _)| *at <= end)),
        None => Vec::new(),
    };
    let mut systems: Vec<_> = systems.into_iter().map(|(_, message)| message).collect();
    for (at, message) in behind {
        if !systems.iter().any(|one| one.words() == message.words()) {
            turns.cut.push((at, message));
            turns.repairs.add_at(Repair::CutEnd, Some(message));
        }
    }
    turns.system = systems.pop();
    if let Some(system) = turns.system {
        let repeats = |one: &&Message<'c>| one.words() == system.words();
        turns.is_system_moved =
            in_front <= systems.len() && !systems.iter().take(in_front).any(repeats);
        if turns.is_system_moved {
            turns.repairs.add_at(Repair::MovedSystem, Some(system));
        }
        let text = |message: &Message<'c>| {
            message.content.as_ref().map(|c| c.text().into_cow().into_owned())
        };
        let mut seen = HashSet::new();
        if !systems.is_empty() {
            seen.insert(text(system));
        }
        turns.other_systems = systems.into_iter().filter(|one| seen.insert(text(one))).collect();
        if !turns.other_systems.is_empty() {
            turns.repairs.add_at(Repair::ReplacedSystem, turns.other_systems.first().copied());
        }
    }
    turns
}

impl<'c> Turns<'c> {
    /// The first message of a turn that has more retrieved passages than are carried.
    pub fn with_more_contexts(&self, most: usize) -> Option<&'c Message<'c>> {
        let count = |turn: &&Turn<'c>| turn.messages().map(|one| one.contexts.len()).sum::<usize>();
        let turn = self.turns.iter().find(|turn| count(turn) > most)?;
        turn.messages().find(|message| !message.contexts.is_empty())
    }

    /// The last turn of the model that is not cut, behind which no system message counts; none if all of them do.
    fn end_for_systems(&self, late_systems: LateSystems) -> Option<usize> {
        let asks = self.turns.last().is_some_and(|turn| turn.side == Side::Question);
        match late_systems {
            LateSystems::Stay => None,
            LateSystems::MoveForQuestion if asks => None,
            LateSystems::Move | LateSystems::MoveForQuestion => {
                self.turns.iter().rposition(|turn| match turn.side {
                    Side::Answer => turn.is_learnt && !turn.is_blank(),
                    Side::Call => turn.is_learnt,
                    Side::Question | Side::Results => false,
                })
            }
        }
    }

    /// Whether the turns need no mending at all: questions and answers, one after the other, and all to be learnt.
    fn is_plain(&self) -> bool {
        self.turns.len().is_multiple_of(2)
            && !self.turns.is_empty()
            && !self.system.is_some_and(|system| has_attachments(system))
            && self.turns.chunks(2).all(|pair| {
                matches!(pair, [question, answer]
                    if question.side == Side::Question && answer.side == Side::Answer
                        && !question.is_blank() && !answer.is_blank()
                        && !question.has_attachments() && !answer.has_attachments()
                        && answer.why_not_to_learn().is_none())
            })
    }

    /// Why no mending can help, if so.
    pub fn hopeless(&self) -> Option<LeftOut> {
        if let Some(message) = self.unknown {
            let word = message.role_word();
            let role = format!("the role `{}`", start_of(&word, 40));
            return Some(LeftOut::new(Reason::UnknownRole, role));
        }
        if let Some(message) = self.prose_call {
            return Some(call_in_words(message));
        }
        None
    }

    /// Puts the turns in order.
    ///
    /// # Errors
    /// Nothing is left to learn from.
    pub fn mend(&mut self, rules: Rules) -> Result<(), LeftOut> {
        if self.turns.is_empty() {
            return Err(LeftOut::new(Reason::NoMessages, "no messages but the system's"));
        }
        if self.is_plain() {
            return Ok(());
        }
        let unordered = std::mem::take(&mut self.turns);
        let order = self.order(&unordered);
        let mut open = None;
        // An answer that a tool's result follows: what it says is a call that its source did not tell as one.
        let mut calls_in_words = None;
        for turn in unordered {
            if turn.side == Side::Results {
                if self.last() == Some(Side::Answer) {
                    calls_in_words = self.turns.last().and_then(|turn| turn.first);
                }
                self.take_results(turn, &mut open);
                continue;
            }
            let calls_in_words = calls_in_words.take();
            if let (Side::Answer | Side::Call, Some(message)) = (turn.side, calls_in_words) {
                return Err(call_in_words(message));
            }
            open = None;
            if let Some(why) = self.turns.last().and_then(|last| other_speaker(last, &turn)) {
                return Err(why);
            }
            self.take(turn, rules);
        }
        self.cut_end(rules);
        if rules.questions_have_words && !rules.fill {
            self.cut_empty_questions(rules);
        }
        if !rules.fill {
            self.cut_hosted();
        }
        self.settle_unlearnt(rules)?;
        self.sort_cut(&order);
        let asks = self.turns.iter().any(|turn| turn.side == Side::Question);
        if self.turns.is_empty() || !asks {
            let nothing = || LeftOut::new(Reason::NoAnswer, "no question with an answer is left");
            return Err(self.not_learnt.clone().unwrap_or_else(nothing));
        }
        Ok(())
    }

    /// All messages in their order: those of turns, and those that were cut before they were turns.
    fn order(&self, turns: &[Turn<'c>]) -> Vec<&'c Message<'c>> {
        let cut_before = |at: usize| {
            self.cut.iter().filter(move |(before, _)| *before == at).map(|(_, message)| *message)
        };
        let turns = turns.iter().map(|turn| turn.first).chain([None]).enumerate();
        turns.flat_map(|(at, first)| cut_before(at).chain(first)).collect()
    }

    /// Puts what was cut into the order in which it was said.
    fn sort_cut(&mut self, order: &[&'c Message<'c>]) {
        let kept = self.turns.len();
        if self.cut.len() > 1 {
            let places: HashMap<*const Message<'_>, usize> = order
                .iter()
                .enumerate()
                .map(|(place, &message)| (std::ptr::from_ref(message), place))
                .collect();
            self.cut.sort_by_key(|(_, message)| places.get(&std::ptr::from_ref(*message)).copied());
        }
        for (before, _) in &mut self.cut {
            *before = (*before).min(kept);
        }
    }

    fn cut(&mut self, turn: &Turn<'c>, repair: Repair) {
        let before = self.turns.len();
        self.cut.extend(turn.messages().map(|message| (before, message)));
        self.repairs.add_at(repair, turn.messages().next());
    }

    fn last(&self) -> Option<Side> {
        self.turns.last().map(|turn| turn.side)
    }

    fn take(&mut self, turn: Turn<'c>, rules: Rules) {
        match turn.side {
            Side::Question => self.take_question(turn, rules),
            Side::Answer if turn.is_blank() => {
                self.not_learnt = self.not_learnt.take().or_else(|| turn.why_not_to_learn());
                self.cut(&turn, Repair::CutEmptyAnswer);
            }
            Side::Answer | Side::Call | Side::Results => self.take_answer(turn, rules),
        }
    }

    fn take_question(&mut self, mut turn: Turn<'c>, rules: Rules) {
        // The model saw these results before it answered.
        turn.hides_results = self.last() == Some(Side::Results);
        if matches!(self.last(), Some(Side::Results | Side::Call)) {
            self.cut_unfinished(rules);
        }
        match self.turns.last_mut() {
            Some(last) if last.side == Side::Question => {
                last.more.extend(turn.messages());
                last.hides_results |= turn.hides_results;
                self.repairs.add_at(Repair::MergedTurns, turn.first);
            }
            _ => self.turns.push(turn),
        }
    }

    /// Makes room for a question behind calls or results that nothing answered. Where calls may stay open, the
    /// last result goes; where not, the whole exchange.
    fn cut_unfinished(&mut self, rules: Rules) {
        if !rules.calls_are_answered {
            if self.last() == Some(Side::Results) {
                self.cut_last(Repair::CutUnfinishedCall);
            }
            return;
        }
        while matches!(self.last(), Some(Side::Results | Side::Call)) {
            self.cut_last(Repair::CutUnfinishedCall);
        }
    }

    fn cut_last(&mut self, repair: Repair) {
        if let Some(turn) = self.turns.pop() {
            self.cut(&turn, repair);
        }
    }

    fn take_answer(&mut self, turn: Turn<'c>, rules: Rules) {
        let (last_is_learnt, is_learnt) = match self.turns.last() {
            Some(last) => (last.is_learnt, turn.is_learnt),
            None => return self.cut(&turn, Repair::CutGreeting),
        };
        match (self.last(), turn.side) {
            (Some(Side::Call), Side::Answer) => {
                // The model went on without a result.
                self.add_missing_results(rules);
                self.turns.push(turn);
            }
            // Of several attempts the last counts that is to be learnt.
            (Some(Side::Answer), Side::Answer) if last_is_learnt && !is_learnt => {
                self.cut(&turn, Repair::CutAttempt);
            }
            (Some(Side::Answer), Side::Answer) => {
                self.cut_last(Repair::CutAttempt);
                self.turns.push(turn);
            }
            (Some(Side::Answer | Side::Call), _) if !last_is_learnt && is_learnt => {
                self.cut_last(Repair::CutAttempt);
                self.turns.push(turn);
            }
            (Some(Side::Answer | Side::Call), _) => {
                // A text in front of calls, or calls made at once: one turn that its source took apart.
                if let Some(last) = self.turns.last_mut() {
                    last.more.extend(turn.messages());
                    last.side = Side::Call;
                    last.is_learnt &= is_learnt;
                }
                self.repairs.add_at(Repair::MergedTurns, turn.first);
            }
            (None | Some(Side::Question | Side::Results), _) => {
                self.complete_results(rules);
                self.turns.push(turn);
            }
        }
    }

    fn add_missing_results(&mut self, rules: Rules) {
        let last = self.turns.last();
        let (calls, caller) =
            last.map_or((0, None), |turn| (turn.calls().count(), turn.messages().next()));
        self.turns.push(Turn::without_messages(Side::Results, vec![None; calls]));
        if rules.fill {
            self.repairs.add_at(Repair::AddedMissingResult, caller);
        }
    }

    /// Results that follow calls join them; others answer nothing. `open` is what is known of those calls from the
    /// results before.
    fn take_results(&mut self, turn: Turn<'c>, open: &mut Option<OpenCalls<'c>>) {
        let (calls, is_first) = match self.turns.as_slice() {
            [.., call] if call.side == Side::Call => (call, true),
            [.., call, results] if call.side == Side::Call && results.side == Side::Results => {
                (call, false)
            }
            _ => return self.cut(&turn, Repair::CutOrphanResult),
        };
        let open = open.get_or_insert_with(|| OpenCalls::of(calls));
        if is_first && open.are_answered_at_once(&turn) {
            self.turns.push(turn);
            return;
        }
        for message in turn.messages() {
            let Some(place) = open.answer(message) else {
                self.cut.push((self.turns.len(), message));
                self.repairs.add_at(Repair::CutOrphanResult, Some(message));
                continue;
            };
            if self.last() == Some(Side::Call) {
                let results = vec![None; open.calls()];
                self.turns.push(Turn::without_messages(Side::Results, results));
            }
            if let Some(last) = self.turns.last_mut() {
                if let Some(slot) = last.results.get_mut(place) {
                    *slot = Some(message);
                }
                match last.first {
                    None => last.first = Some(message),
                    Some(_) => last.more.push(message),
                }
            }
        }
    }

    /// Notes what the last results lack, once the model goes on behind them.
    fn complete_results(&mut self, rules: Rules) {
        self.cut_attempted_calls();
        let Some(last) = self.turns.last().filter(|turn| turn.side == Side::Results) else {
            return;
        };
        let several = last.results.len() > 1;
        if last.lacks_results() && rules.fill {
            self.repairs.add_at(Repair::AddedMissingResult, last.first);
        }
        if several && rules.joins_results {
            self.repairs.add_at(Repair::JoinedResults, last.first);
        }
    }

    /// Cuts the calls of messages of which none was answered, where others were: attempts that were given up.
    fn cut_attempted_calls(&mut self) {
        let [.., calls, results] = self.turns.as_mut_slice() else { return };
        if calls.side != Side::Call || calls.more.is_empty() || !results.lacks_results() {
            return;
        }
        let messages: Vec<_> = calls.messages().collect();
        let (mut kept, mut given_up, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for message in messages {
            let end = at + message.tool_calls.len();
            let own = results.results.get(at..end).unwrap_or_default();
            at = end;
            // The model saw what a hosted tool found.
            let is_hosted = message.tool_calls.iter().any(ToolCall::is_hosted);
            if !own.is_empty() && own.iter().all(Option::is_none) && !is_hosted {
                given_up.push(message);
            } else {
                kept.push(message);
                answers.extend_from_slice(own);
            }
        }
        if given_up.is_empty() || answers.is_empty() {
            return;
        }
        let mut kept = kept.into_iter();
        (calls.first, calls.more) = (kept.next(), kept.collect());
        results.results = answers;
        let before = self.turns.len().saturating_sub(2);
        self.repairs.add_at(Repair::CutAttempt, given_up.first().copied());
        self.cut.extend(given_up.into_iter().map(|message| (before, message)));
    }

    /// Cuts what follows the last answer or call.
    fn cut_end(&mut self, rules: Rules) {
        self.cut_attempted_calls();
        if rules.may_ask && self.asks_at_end() {
            return;
        }
        // A call at the very end may stay open: it is what the model said last.
        while matches!(self.last(), Some(Side::Question | Side::Results)) {
            self.cut_last(Repair::CutEnd);
        }
    }

    /// Whether a question that says something is the last turn.
    fn asks_at_end(&self) -> bool {
        self.turns.last().is_some_and(|last| last.side == Side::Question && !last.is_blank())
    }

    /// Cuts questions that say nothing, with all that answers them.
    fn cut_empty_questions(&mut self, rules: Rules) {
        let carried = Rc::clone(&self.carried);
        let is_empty = |turn: &Turn<'_>| {
            turn.is_empty_question() && !turn.messages().any(|message| carried.has(message))
        };
        let mut empty = self.turns.iter().filter(|turn| is_empty(turn)).peekable();
        if empty.peek().is_none() {
            return;
        }
        if rules.needs_attachments && empty.any(Turn::has_attachments) {
            self.not_learnt.get_or_insert_with(|| needs_attachment(carried.missing()));
        }
        let turns = std::mem::take(&mut self.turns);
        // Where the turns stand once those before them are cut.
        let mut places = Vec::with_capacity(turns.len() + 1);
        let (mut cut, mut cuts) = (Vec::new(), false);
        for turn in turns {
            places.push(self.turns.len());
            cuts = if turn.side == Side::Question { is_empty(&turn) } else { cuts };
            if cuts {
                cut.extend(turn.messages().map(|message| (self.turns.len(), message)));
            } else {
                self.turns.push(turn);
            }
        }
        places.push(self.turns.len());
        for (before, _) in &mut self.cut {
            *before = places.get(*before).copied().unwrap_or(self.turns.len());
        }
        self.repairs.add_at(Repair::CutEmptyQuestion, cut.first().map(|(_, message)| *message));
        self.cut.extend(cut);
    }

    /// Cuts calls of tools that the provider ran without logging a result, where the conversation goes on after the answer.
    /// The answer to that question rests on what nobody can see, but what follows has the answer itself.
    fn cut_hosted(&mut self) {
        let is_hidden = |calls: &Turn<'_>, results: &Turn<'_>| {
            calls.side == Side::Call
                && results.side == Side::Results
                && calls
                    .calls()
                    .zip(&results.results)
                    .any(|(call, result)| result.is_none() && call.is_hosted())
        };
        let last = self.turns.iter().rposition(|turn| turn.side == Side::Question);
        let before = self.turns.get(..last.unwrap_or(0)).unwrap_or_default();
        let pairs = before.windows(2).enumerate();
        let hidden: Vec<usize> = pairs
            .filter(|(_, pair)| matches!(pair, [calls, results] if is_hidden(calls, results)))
            .flat_map(|(at, _)| [at, at + 1])
            .collect();
        if hidden.is_empty() {
            return;
        }
        let turns = std::mem::take(&mut self.turns);
        // Where the turns stand once those before them are cut.
        let mut places = Vec::with_capacity(turns.len() + 1);
        let mut cut = Vec::new();
        for (at, turn) in turns.into_iter().enumerate() {
            places.push(self.turns.len());
            if hidden.binary_search(&at).is_err() {
                self.turns.push(turn);
                continue;
            }
            cut.extend(turn.messages().map(|message| (self.turns.len(), message)));
            let question = self.turns.iter_mut().rfind(|turn| turn.side == Side::Question);
            if let Some(question) = question {
                question.hides_results = true;
            }
        }
        places.push(self.turns.len());
        for (before, _) in &mut self.cut {
            *before = places.get(*before).copied().unwrap_or(self.turns.len());
        }
        self.repairs.add_at(Repair::CutUnfinishedCall, cut.first().map(|(_, message)| *message));
        self.cut.extend(cut);
    }

    /// Sees to it that no answer is learnt that is not meant to be. Where none that is follows, they are cut; else they
    /// are kept as context where the data format has a way to say so.
    fn settle_unlearnt(&mut self, rules: Rules) -> Result<(), LeftOut> {
        let whys = self.whys(rules);
        let Some(first) = whys.iter().flatten().next() else { return Ok(()) };
        self.not_learnt.get_or_insert_with(|| first.clone());
        let learnt = |(turn, why): (&Turn<'_>, &Option<LeftOut>)| {
            matches!(turn.side, Side::Answer | Side::Call) && why.is_none()
        };
        if rules.last_is_learnt
            && let Some(Some(why)) = whys.last()
        {
            return Err(why.clone());
        }
        let last = match rules.may_ask && self.asks_at_end() {
            true => self.turns.len().checked_sub(1),
            false => self.turns.iter().zip(&whys).rposition(learnt),
        };
        let Some(mut last) = last else { return Err(first.clone()) };
        if rules.unlearnt == Unlearnt::Marked {
            // A mark that the source has is written back where it was.
            let marked = self.turns.iter().rposition(Turn::is_marked);
            last = last.max(marked.unwrap_or_default());
        }
        let mut is_whole = false;
        for (turn, why) in self.turns.iter_mut().zip(&whys).take(last + 1) {
            if turn.side == Side::Question {
                // What is left of an exchange that was cut is in order.
                is_whole = turn.hides_results;
            }
            let Some(why) = why else { continue };
            let is_broken = why.reason == Reason::MissingResult && !is_whole;
            if rules.unlearnt == Unlearnt::Refused || is_broken {
                return Err(why.clone());
            }
            turn.unlearnt = Some(why.reason);
            self.repairs.add_at(Repair::KeptAsContext, turn.first);
        }
        let mut repair = Repair::CutNotToLearn;
        while self.turns.len() > last + 1 {
            if let Some(why) = whys.get(self.turns.len() - 1).and_then(Option::as_ref) {
                repair = match why.reason {
                    Reason::MissingResult => Repair::CutUnfinishedCall,
                    _ => Repair::CutNotToLearn,
                };
            }
            self.cut_last(repair);
        }
        Ok(())
    }

    /// Why the turns are not to be learnt; none for those that are, or that are not the model's.
    fn whys(&self, rules: Rules) -> Vec<Option<LeftOut>> {
        let (mut is_blind, mut lacks_result, mut hides_result) = (false, false, false);
        let mut blind = |by: bool| {
            is_blind |= by && rules.needs_attachments;
            is_blind.then(|| needs_attachment(self.carried.missing()))
        };
        let is_unseen =
            |message: &Message<'_>| has_attachments(message) && !self.carried.has(message);
        blind(self.system.is_some_and(is_unseen));
        let why = |turn: &Turn<'c>| {
            let rests_on_more = blind(turn.messages().any(is_unseen));
            match turn.side {
                Side::Question => (lacks_result, hides_result) = (false, turn.hides_results),
                Side::Results => lacks_result |= turn.lacks_results() && !rules.fill,
                Side::Call
                    if turn.calls().any(|call| call.is_hosted() && call.arguments.is_blank()) =>
                {
                    let detail = "a call that its log does not describe";
                    return Some(LeftOut::new(Reason::MissingResult, detail));
                }
                Side::Answer | Side::Call if lacks_result => {
                    let detail = "an answer to a call without a result";
                    return Some(LeftOut::new(Reason::MissingResult, detail));
                }
                Side::Answer | Side::Call if hides_result => {
                    let detail = "an answer based on a tool result that is not in the record";
                    return Some(LeftOut::new(Reason::MissingResult, detail));
                }
                Side::Answer | Side::Call => return turn.why_not_to_learn().or(rests_on_more),
            }
            None
        };
        self.turns.iter().map(why).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retort_json::{RawJson, Text};
    use retort_model::Label;

    const JOINED: Rules = Rules {
        joins_results: true,
        calls_are_answered: false,
        questions_have_words: false,
        unlearnt: Unlearnt::Refused,
        fill: false,
        needs_attachments: true,
        last_is_learnt: false,
        may_ask: false,
    };
    const ANSWERED: Rules = Rules {
        joins_results: false,
        calls_are_answered: true,
        questions_have_words: true,
        unlearnt: Unlearnt::Marked,
        ..JOINED
    };

    fn filling(rules: Rules) -> Rules {
        Rules { fill: true, ..rules }
    }

    /// Messages from a sketch: `u` asks, `q` asks nothing, `i` asks about a picture, `p` is a picture alone, `a` answers, `c1,2` calls, `t1` is
    /// the result of call 1, `e` is an empty answer, `s` is a system message. Not to be learnt are `w`, by a mark, `r`,
    /// which was rejected, `l`, which was cut off, and `x`, which failed.
    fn messages(sketch: &str) -> Vec<Message<'static>> {
        sketch
            .split_whitespace()
            .map(|word| {
                let (kind, ids) = word.split_at(1);
                let mut message = match kind {
                    "u" | "i" => Message::text(Role::User, word.to_owned()),
                    "s" => Message::text(Role::System, word.to_owned()),
                    "t" => Message::text(Role::Tool, word.to_owned()),
                    "a" | "w" | "r" | "l" | "x" => Message::text(Role::Assistant, word.to_owned()),
                    "q" | "p" => Message::text(Role::User, " "),
                    _ => Message::text(Role::Assistant, ""),
                };
                if kind == "t" {
                    message.tool_call_id = Some(ids.to_owned().into());
                }
                match kind {
                    "i" | "p" => {
                        message.metadata = [("images".into(), RawJson::parse("[1]").unwrap())]
                            .into_iter()
                            .collect();
                    }
                    "w" => message.train = Some(false),
                    "r" => message.label = Some(Label::Rejected),
                    "l" => message.finish_reason = Some("length".into()),
                    "x" => message.error = Some("timeout".into()),
                    _ => {}
                }
                if matches!(kind, "c" | "h") {
                    let hosted = [("type".into(), RawJson::string("web_search_call"))];
                    message.tool_calls = ids
                        .split(',')
                        .map(|id| ToolCall {
                            id: id.to_owned().into(),
                            name: "f".into(),
                            arguments: "{}".into(),
                            metadata: hosted.iter().filter(|_| kind == "h").cloned().collect(),
                        })
                        .collect();
                }
                message
            })
            .collect()
    }

    fn sketch(turns: &Turns<'_>) -> String {
        let words = turns.turns.iter().map(|turn| match turn.side {
            Side::Answer if turn.unlearnt.is_some() => format!("({})", turn.text().into_cow()),
            Side::Question | Side::Answer => turn.text().into_cow().replace("\n\n", "+"),
            Side::Call => format!(
                "c{}",
                turn.calls()
                    .map(|call| call.id.decoded().into_owned())
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            Side::Results => {
                let one = |r: &Option<&Message<'_>>| {
                    r.map_or("-".into(), |m| {
                        m.content.as_ref().unwrap().text().into_cow().into_owned()
                    })
                };
                turn.results.iter().map(one).collect::<Vec<String>>().join("&")
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Checks what becomes of a sketch: the turns with those that are context in brackets, or why it is left out.
    fn check(before: &str, rules: Rules, after: Result<&str, Reason>, repairs: &[Repair]) {
        let messages = messages(before);
        let mut turns = collect(messages.iter(), LateSystems::Move);
        let result = turns.mend(rules);
        if after.is_ok() {
            // Every message is in a turn, was cut, or is the system's.
            let kept: usize = turns.turns.iter().map(|turn| turn.messages().count()).sum();
            let systems = messages.iter().filter(|m| m.role == Role::System).count();
            assert_eq!(kept + turns.cut.len() + systems, messages.len(), "{before}");
            let places: Vec<_> = turns.cut.iter().map(|(before, _)| *before).collect();
            assert!(places.is_sorted(), "{before}: {places:?}");
            assert_eq!(turns.repairs.kinds().collect::<Vec<_>>(), repairs, "{before}");
        }
        let got = result.map(|()| sketch(&turns)).map_err(|why| why.reason);
        assert_eq!(got, after.map(str::to_owned), "{before}");
    }

    #[test]
    fn what_is_in_order_stays() {
        check("u1 a1 u2 a2", JOINED, Ok("u1 a1 u2 a2"), &[]);
        check("s u1 c1 t1 a1", JOINED, Ok("u1 c1 t1 a1"), &[]);
        check("u1 c1 t1 c2 t2 a1", ANSWERED, Ok("u1 c1 t1 c2 t2 a1"), &[]);
        check("u1 c1", JOINED, Ok("u1 c1"), &[]);
    }

    #[test]
    fn questions_in_a_row_and_what_a_source_took_apart_are_joined() {
        check("u1 u2 a1", JOINED, Ok("u1+u2 a1"), &[Repair::MergedTurns]);
        check("u1 a1 c1 t1 a2", JOINED, Ok("u1 c1 t1 a2"), &[Repair::MergedTurns]);
        check(
            "u1 c1 c2 t1 t2 a1",
            JOINED,
            Ok("u1 c1,2 t1&t2 a1"),
            &[Repair::MergedTurns, Repair::JoinedResults],
        );
    }

    #[test]
    fn attempts_are_not_joined_and_the_last_that_is_to_be_learnt_counts() {
        check("u1 a1 a2 a3 u2 a4", JOINED, Ok("u1 a3 u2 a4"), &[Repair::CutAttempt]);
        check("u1 x1 a2", JOINED, Ok("u1 a2"), &[Repair::CutAttempt]);
        check("u1 a1 x2", JOINED, Ok("u1 a1"), &[Repair::CutAttempt]);
        check("u1 x1 c2 t2 a2", JOINED, Ok("u1 c2 t2 a2"), &[Repair::CutAttempt]);
        check(
            "u1 c1 c2 t2 a1",
            ANSWERED,
            Ok("u1 c2 t2 a1"),
            &[Repair::MergedTurns, Repair::CutAttempt],
        );
    }

    #[test]
    fn the_ends_are_cut() {
        check("a0 u1 a1", JOINED, Ok("u1 a1"), &[Repair::CutGreeting]);
        check("u1 a1 u2", JOINED, Ok("u1 a1"), &[Repair::CutEnd]);
        check("u1 c1 t1", JOINED, Ok("u1 c1"), &[Repair::CutEnd]);
        check("u1 a1 e", JOINED, Ok("u1 a1"), &[Repair::CutEmptyAnswer]);
        check("u1", JOINED, Err(Reason::NoAnswer), &[]);
        check("a1", JOINED, Err(Reason::NoAnswer), &[]);
        check("s", JOINED, Err(Reason::NoMessages), &[]);
    }

    #[test]
    fn parallel_results_are_joined_in_the_order_of_the_calls() {
        check("u1 c1,2 t2 t1 a1", JOINED, Ok("u1 c1,2 t1&t2 a1"), &[Repair::JoinedResults]);
        check("u1 c1,2 t2 t1 a1", ANSWERED, Ok("u1 c1,2 t1&t2 a1"), &[]);
        check(
            "u1 c1,2 t1 tunknown a1",
            JOINED,
            Ok("u1 c1,2 t1&tunknown a1"),
            &[Repair::JoinedResults],
        );
    }

    #[test]
    fn ids_that_come_again_and_ids_that_are_empty_are_matched_in_order() {
        check("u1 c1 t1 c1 t1 a1", JOINED, Ok("u1 c1 t1 c1 t1 a1"), &[]);
        check("u1 c1,1 t1 t1 a1", JOINED, Ok("u1 c1,1 t1&t1 a1"), &[Repair::JoinedResults]);
        check("u1 c, t t a1", JOINED, Ok("u1 c, t&t a1"), &[Repair::JoinedResults]);
    }

    #[test]
    fn results_without_a_call_are_cut() {
        check("u1 t9 a1", JOINED, Ok("u1 a1"), &[Repair::CutOrphanResult]);
        check("u1 c1 t1 t1 a1", JOINED, Ok("u1 c1 t1 a1"), &[Repair::CutOrphanResult]);
        check("u1 c1 t7 t1 a1", JOINED, Ok("u1 c1 t1 a1"), &[Repair::CutOrphanResult]);
        check("u1 a1 t1 u2 a2", JOINED, Ok("u1 a1 u2 a2"), &[Repair::CutOrphanResult]);
    }

    #[test]
    fn an_answer_that_a_result_and_an_answer_follow_is_a_call_in_words() {
        // Rows as Hermes and ReAct write them: `<tool_call>…</tool_call>` or `Action: …`, and the observation.
        for before in ["u1 a1 t1 a2", "u1 a1 t1 t2 c3 t3 a3"] {
            check(before, JOINED, Err(Reason::CallWithoutTool), &[]);
            check(before, ANSWERED, Err(Reason::CallWithoutTool), &[]);
        }
    }

    #[test]
    fn an_answer_to_a_call_without_a_result_is_never_learnt() {
        let cut = &[Repair::CutUnfinishedCall];
        for rules in [JOINED, ANSWERED] {
            check("u1 c1 a1", rules, Ok("u1 c1"), cut);
            check(
                "u1 a1 u2 c1 a2 u3",
                rules,
                Ok("u1 a1 u2 c1"),
                &[Repair::CutEnd, Repair::CutUnfinishedCall],
            );
            // Something to learn follows that may rest on it.
            check("u1 c1 a1 u2 a2", rules, Err(Reason::MissingResult), &[]);
            check("u1 c1,2 t2 a1 u2 a2", rules, Err(Reason::MissingResult), &[]);
        }
        check("u1 c1,2 t2 a1", ANSWERED, Ok("u1 c1,2"), cut);
        let added = &[Repair::AddedMissingResult];
        check("u1 c1 a1 u2 a2", filling(JOINED), Ok("u1 c1 - a1 u2 a2"), added);
        check("u1 c1,2 t2 a1", filling(ANSWERED), Ok("u1 c1,2 -&t2 a1"), added);
    }

    #[test]
    fn an_answer_after_a_hosted_tool_whose_result_is_not_logged_is_context() {
        check("u1 h1 a1", ANSWERED, Ok("u1 c1"), &[Repair::CutUnfinishedCall]);
        let kept = &[Repair::CutUnfinishedCall, Repair::KeptAsContext];
        check("u1 h1 a1 u2 a2", ANSWERED, Ok("u1 (a1) u2 a2"), kept);
        check("u1 h1 c2 t2 a1 u2 h3 t3 a2", ANSWERED, Ok("u1 (a1) u2 c3 t3 a2"), {
            &[Repair::MergedTurns, Repair::CutUnfinishedCall, Repair::KeptAsContext]
        });
        check("u1 h1 a1 u2 a2", JOINED, Err(Reason::MissingResult), &[]);
        check("u1 h1 a1 u2 a2", filling(JOINED), Ok("u1 c1 - a1 u2 a2"), {
            &[Repair::AddedMissingResult]
        });
    }

    #[test]
    fn a_question_behind_an_unfinished_exchange_cuts_it() {
        check("u1 c1 u2 a1", JOINED, Ok("u1 c1 u2 a1"), &[]);
        check(
            "u1 c1 u2 a1",
            ANSWERED,
            Ok("u1+u2 a1"),
            &[Repair::CutUnfinishedCall, Repair::MergedTurns],
        );
    }

    #[test]
    fn an_answer_based_on_results_that_were_cut_is_never_learnt() {
        let cut = &[Repair::CutUnfinishedCall];
        check("u1 c1 t1 c2 t2 u2 a1", JOINED, Ok("u1 c1 t1 c2"), cut);
        let merged = &[Repair::CutUnfinishedCall, Repair::MergedTurns];
        check("u1 a0 u2 c1 t1 u3 a1", ANSWERED, Ok("u1 a0"), merged);
        check("u1 a0 u2 c1 t1 u3 c2 t2 a1", ANSWERED, Ok("u1 a0"), merged);
        // Something to learn follows that may rest on it, too.
        check("u1 c1 t1 u2 a1 u3 a2", JOINED, Err(Reason::MissingResult), &[]);
        let kept = &[Repair::CutUnfinishedCall, Repair::MergedTurns, Repair::KeptAsContext];
        check("u1 c1 t1 u2 a1 u3 a2", ANSWERED, Ok("u1+u2 (a1) u3 a2"), kept);
        check("u1 c1 t1 u2 a1", ANSWERED, Err(Reason::MissingResult), &[]);
    }

    #[test]
    fn what_is_not_to_be_learnt_is_cut_where_nothing_to_learn_follows() {
        for unlearnt in ["w2", "r2", "l2", "x2"] {
            let before = format!("u1 a1 u2 {unlearnt}");
            check(&before, JOINED, Ok("u1 a1"), &[Repair::CutNotToLearn]);
        }
        check("u1 a1 i2 a2 u3 a3", JOINED, Ok("u1 a1"), &[Repair::CutNotToLearn]);
        check("u1 c1 t1 l1", ANSWERED, Ok("u1 c1"), &[Repair::CutNotToLearn]);
        for (unlearnt, reason) in [
            ("u1 w1", Reason::NotToLearn),
            ("u1 r1", Reason::NotToLearn),
            ("u1 l1", Reason::CutOffAnswer),
            ("u1 x1", Reason::FailedAnswer),
            ("i1 a1 u2 a2", Reason::NeedsAttachment),
        ] {
            check(unlearnt, JOINED, Err(reason), &[]);
            check(unlearnt, ANSWERED, Err(reason), &[]);
        }
    }

    #[test]
    fn what_is_not_to_be_learnt_in_front_of_what_is_is_context_or_the_record_is_left_out() {
        for (unlearnt, reason) in [
            ("w1", Reason::NotToLearn),
            ("r1", Reason::NotToLearn),
            ("l1", Reason::CutOffAnswer),
            ("x1", Reason::FailedAnswer),
        ] {
            let before = format!("u1 {unlearnt} u2 a2");
            check(&before, JOINED, Err(reason), &[]);
            let after = format!("u1 ({unlearnt}) u2 a2");
            check(&before, ANSWERED, Ok(&after), &[Repair::KeptAsContext]);
            let context = Rules { unlearnt: Unlearnt::Context, ..ANSWERED };
            check(&before, context, Ok(&after), &[Repair::KeptAsContext]);
        }
        // A mark of the source is written back where the row knows it, also behind all that is learnt.
        check("u1 a1 u2 w2", ANSWERED, Ok("u1 a1 u2 (w2)"), &[Repair::KeptAsContext]);
        check("u1 a1 u2 l2", ANSWERED, Ok("u1 a1"), &[Repair::CutNotToLearn]);
    }

    #[test]
    fn empty_questions_are_cut_with_their_answers_where_they_must_say_something() {
        check("q a1 u2 a2", JOINED, Ok("  a1 u2 a2"), &[]);
        check(
            "u1 a1 q c2 t2 a2 u3 a3 t9 u4",
            ANSWERED,
            Ok("u1 a1 u3 a3"),
            &[Repair::CutOrphanResult, Repair::CutEnd, Repair::CutEmptyQuestion],
        );
        check("q a1", ANSWERED, Err(Reason::NoAnswer), &[]);
        check("p a1", ANSWERED, Err(Reason::NeedsAttachment), &[]);
        let dropped = Rules { needs_attachments: false, ..ANSWERED };
        check("p a1", dropped, Err(Reason::NoAnswer), &[]);
        check("q u1 a1", ANSWERED, Ok("u1 a1"), &[Repair::MergedTurns]);
        check("q a1", filling(ANSWERED), Ok("  a1"), &[]);
    }

    #[test]
    fn what_was_cut_stays_in_its_order() {
        let messages = messages("u1 a1 u2 c1 t9 t1 t8 u3 t7 a3 u4 a4 u5");
        let mut turns = collect(messages.iter(), LateSystems::Move);
        turns.mend(ANSWERED).unwrap();
        let cut: Vec<_> = turns.cut.iter().map(|(_, message)| message.words()).collect();
        let cut: Vec<_> = cut.iter().map(Text::decoded).collect();
        assert_eq!(cut, ["", "t9", "t1", "t8", "t7", "u5"]);
    }

    /// Checks which system message counts, and the repairs with the messages that they concern.
    fn check_systems(before: &str, late: LateSystems, system: &str, repairs: &[(Repair, &str)]) {
        let messages = messages(before);
        let turns = collect(messages.iter(), late);
        let words = |message: &Message<'_>| message.words().decoded().into_owned();
        assert_eq!(turns.system.map(words), Some(system.to_owned()), "{before}");
        let told: Vec<_> =
            turns.repairs.iter().map(|(repair, at)| (repair, at.map(words))).collect();
        let expected: Vec<_> =
            repairs.iter().map(|(repair, at)| (*repair, Some((*at).to_owned()))).collect();
        assert_eq!(told, expected, "{before}");
    }

    #[test]
    fn the_last_system_message_counts() {
        use LateSystems::Move;
        let replaced = (Repair::ReplacedSystem, "s1");
        check_systems("s1 s2 u1 a1", Move, "s2", &[replaced]);
        let moved = (Repair::MovedSystem, "s2");
        check_systems("s1 u1 s2 a1 s2 u2 a2", Move, "s2", &[moved, replaced]);
    }

    #[test]
    fn a_system_message_behind_the_last_answer_is_cut() {
        use LateSystems::{Move, MoveForQuestion};
        let cut = (Repair::CutEnd, "s2");
        check_systems("s1 u1 a1 s2", Move, "s1", &[cut]);
        check_systems("s1 u1 a1 s2 u2", Move, "s1", &[cut]);
        check_systems("s1 u1 a1 s2", MoveForQuestion, "s1", &[cut]);
        // Behind it are answers, but none that is trained on.
        check_systems("s1 u1 a1 s2 u2 e u3 w", Move, "s1", &[cut]);
        // A prompt: what is to be answered is asked under it.
        let told = [(Repair::MovedSystem, "s2"), (Repair::ReplacedSystem, "s1")];
        check_systems("s1 u1 a1 s2 u2", MoveForQuestion, "s2", &told);
        // One that only repeats what was said before.
        check_systems("s1 u1 a1 s1", Move, "s1", &[]);
        let messages = messages("u1 a1 u2 c1 s1 u3");
        let mut turns = collect(messages.iter(), Move);
        assert!(turns.system.is_none());
        turns.mend(ANSWERED).unwrap();
        let cut: Vec<_> = turns.cut.iter().map(|(_, message)| message.words()).collect();
        let cut: Vec<_> = cut.iter().map(Text::decoded).collect();
        assert_eq!(cut, ["u2", "", "s1", "u3"]);
    }

    #[test]
    fn a_system_message_behind_the_first_turn_is_moved_and_told() {
        use LateSystems::{Move, Stay};
        check_systems("u1 s1 a1", Move, "s1", &[(Repair::MovedSystem, "s1")]);
        // Sources that repeat it in every round said it in front.
        check_systems("s1 u1 a1 s1 u2 a2", Move, "s1", &[]);
        check_systems("s1 u1 a1 s1 u2 a2", Stay, "s1", &[]);
        let messages = messages("s1 u1 a1 s2 u2 a2");
        assert_eq!(sketch(&collect(messages.iter(), Stay)), "u1 a1 s2 u2 a2");
    }
}
