//! Messages as the turns that trainers read: questions and results on one side, answers and calls on the other,
//! strictly in turn. Here is what is mended when they are not, and what is cut is kept to be told.

use std::collections::VecDeque;

use retort_model::json::Value;
use retort_model::{Content, LeftOut, Message, Reason, Repair, Role, Text};

use super::tools::push_once;

/// Who has the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A person asks.
    Question,
    /// The model answers without tools.
    Answer,
    /// The model calls tools.
    Call,
    /// Tools answer.
    Results,
}

/// One turn, of one message or of several that were joined.
#[derive(Clone, Debug)]
pub(super) struct Turn<'c> {
    pub side: Side,
    /// The first message; none for results that no message holds.
    pub first: Option<&'c Message<'c>>,
    /// The messages joined to it.
    pub more: Vec<&'c Message<'c>>,
    /// For results that were put into the order of the calls: one for each call, none where none was recorded.
    pub results: Vec<Option<&'c Message<'c>>>,
}

/// What a record may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Results of parallel calls stand in one message.
    pub joins_results: bool,
    /// Every call must have its results, and every result must be followed by the model.
    pub calls_are_answered: bool,
}

/// The turns of a record.
#[derive(Debug, Default)]
pub(super) struct Turns<'c> {
    /// The system message that counts: the last.
    pub system: Option<&'c Message<'c>>,
    /// The system messages before it that differ from it.
    pub other_systems: Vec<&'c Message<'c>>,
    /// The turns.
    pub turns: Vec<Turn<'c>>,
    /// Messages that were cut, with the number of turns that stood before them.
    pub cut: Vec<(usize, &'c Message<'c>)>,
    /// What was done.
    pub repairs: Vec<Repair>,
    /// The first message of a speaker that trainers do not know.
    pub unknown: Option<&'c Message<'c>>,
    /// The first answer that failed.
    pub failed: Option<&'c Message<'c>>,
    /// The first call that is content and names no tool.
    pub prose_call: Option<&'c Message<'c>>,
}

impl<'c> Turn<'c> {
    fn new(side: Side, message: &'c Message<'c>) -> Self {
        Self { side, first: Some(message), more: Vec::new(), results: Vec::new() }
    }

    /// The messages of the turn, in order.
    pub fn messages(&self) -> impl Iterator<Item = &'c Message<'c>> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    /// The calls of the turn.
    pub fn calls(&self) -> impl Iterator<Item = &'c retort_model::ToolCall<'c>> {
        self.messages().flat_map(|message| message.tool_calls.iter())
    }

    /// The text of the turn; several joined with a blank line.
    pub fn text(&self) -> Text<'c> {
        let mut texts = self
            .messages()
            .filter_map(|message| message.content.as_ref())
            .map(Content::text)
            .filter(|t| !t.is_empty());
        let Some(first) = texts.next() else { return Text::default() };
        let Some(second) = texts.next() else { return first };
        let mut joined = first.into_cow().into_owned();
        for text in std::iter::once(second).chain(texts) {
            joined.push_str("\n\n");
            text.push_to(&mut joined);
        }
        joined.into()
    }

    fn is_blank(&self) -> bool {
        self.messages().all(|message| is_blank(message))
    }
}

/// Whether a message says nothing.
pub(super) fn is_blank(message: &Message<'_>) -> bool {
    match &message.content {
        None => true,
        Some(Content::Text(text)) => text.is_blank(),
        Some(content) => content.text().is_blank(),
    }
}

/// The turns as the messages stand, with the rule for system messages and nothing mended.
pub(super) fn collect<'c>(messages: impl Iterator<Item = &'c Message<'c>>) -> Turns<'c> {
    let mut turns = Turns { turns: Vec::with_capacity(12), ..Turns::default() };
    let mut systems: Vec<&Message<'_>> = Vec::new();
    for message in messages {
        let side = match message.role {
            Role::System => {
                systems.push(message);
                continue;
            }
            Role::User => Side::Question,
            Role::Assistant => {
                let is_call = !message.tool_calls.is_empty();
                if message.error.is_some() && turns.failed.is_none() {
                    turns.failed = Some(message);
                }
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
        turns.turns.push(Turn::new(side, message));
    }
    turns.system = systems.pop();
    if let Some(system) = turns.system {
        let text = |message: &Message<'c>| {
            message.content.as_ref().map(|c| c.text().into_cow().into_owned())
        };
        let kept = if systems.is_empty() { None } else { text(system) };
        for other in systems {
            if text(other) != kept
                && !turns.other_systems.iter().any(|one| text(one) == text(other))
            {
                turns.other_systems.push(other);
            }
        }
        if !turns.other_systems.is_empty() {
            turns.repairs.push(Repair::ReplacedSystem);
        }
    }
    turns
}

impl<'c> Turns<'c> {
    /// Whether the turns need no mending at all: questions and answers, one after the other.
    fn is_plain(&self) -> bool {
        self.turns.len().is_multiple_of(2)
            && !self.turns.is_empty()
            && self.turns.chunks(2).all(|pair| {
                matches!(pair, [question, answer]
                    if question.side == Side::Question && answer.side == Side::Answer && !answer.is_blank())
            })
    }

    /// Why no mending can help, if so.
    pub fn hopeless(&self) -> Option<LeftOut> {
        if let Some(message) = self.unknown {
            let word = message.role_word();
            let word: String = word.chars().take(40).collect();
            return Some(LeftOut::new(
                Reason::UnknownRole,
                format!("the role `{}`", word.escape_debug()),
            ));
        }
        if let Some(message) = self.prose_call {
            let text = message
                .content
                .as_ref()
                .map(|c| c.text().into_cow().into_owned())
                .unwrap_or_default();
            let start: String = text.chars().take(60).collect();
            return Some(LeftOut::new(
                Reason::CallWithoutTool,
                format!("the call says `{}`", start.escape_debug()),
            ));
        }
        if let Some(message) = self.failed {
            let error =
                message.error.as_ref().map(|e| e.decoded().into_owned()).unwrap_or_default();
            let error: String = error.chars().take(80).collect();
            return Some(LeftOut::new(Reason::FailedAnswer, error));
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
        let mut waiting: VecDeque<Turn<'c>> = std::mem::take(&mut self.turns).into();
        while let Some(turn) = waiting.pop_front() {
            self.take(turn, rules);
        }
        self.cut_end();
        let asks = self.turns.iter().any(|turn| turn.side == Side::Question);
        if self.turns.is_empty() || !asks {
            return Err(LeftOut::new(Reason::NoAnswer, "no question with an answer is left"));
        }
        Ok(())
    }

    fn repaired(&mut self, repair: Repair) {
        push_once(&mut self.repairs, repair);
    }

    fn cut(&mut self, turn: &Turn<'c>, repair: Repair) {
        let before = self.turns.len();
        self.cut.extend(turn.messages().map(|message| (before, message)));
        self.repaired(repair);
    }

    fn last(&self) -> Option<Side> {
        self.turns.last().map(|turn| turn.side)
    }

    fn take(&mut self, turn: Turn<'c>, rules: Rules) {
        match turn.side {
            Side::Question => self.take_question(turn, rules),
            Side::Answer if turn.is_blank() => self.cut(&turn, Repair::CutEmptyAnswer),
            Side::Answer | Side::Call => self.take_answer(turn, rules),
            Side::Results => self.take_results(&turn),
        }
    }

    fn take_question(&mut self, turn: Turn<'c>, rules: Rules) {
        if matches!(self.last(), Some(Side::Results | Side::Call)) {
            self.cut_unfinished(rules);
        }
        match self.turns.last_mut() {
            Some(last) if last.side == Side::Question => {
                last.more.extend(turn.messages());
                self.repaired(Repair::MergedTurns);
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
            let before = self.turns.len();
            // In front of what was cut behind it, so that the cut messages stay in their order.
            let at =
                self.cut.iter().rposition(|(place, _)| *place <= before).map_or(0, |at| at + 1);
            for (step, message) in turn.messages().enumerate() {
                self.cut.insert(at + step, (before, message));
            }
            self.repaired(repair);
        }
    }

    fn take_answer(&mut self, turn: Turn<'c>, rules: Rules) {
        match self.last() {
            None => self.cut(&turn, Repair::CutGreeting),
            Some(Side::Question | Side::Results) => {
                self.complete_results(rules);
                self.turns.push(turn);
            }
            Some(Side::Call) if turn.side == Side::Answer => {
                // The model went on without a result.
                self.add_missing_results();
                self.turns.push(turn);
            }
            Some(Side::Answer | Side::Call) => {
                if let Some(last) = self.turns.last_mut() {
                    last.more.extend(turn.messages());
                    last.side = if last.side == Side::Call { Side::Call } else { turn.side };
                }
                self.repaired(Repair::MergedTurns);
            }
        }
    }

    fn add_missing_results(&mut self) {
        let calls = self.turns.last().map_or(0, |turn| turn.calls().count());
        self.turns.push(Turn {
            side: Side::Results,
            first: None,
            more: Vec::new(),
            results: vec![None; calls],
        });
        self.repaired(Repair::AddedMissingResult);
    }

    /// Results that follow calls join them; others answer nothing.
    fn take_results(&mut self, turn: &Turn<'c>) {
        let calls = match self.turns.as_slice() {
            [.., call] if call.side == Side::Call => call,
            [.., call, results] if call.side == Side::Call && results.side == Side::Results => call,
            _ => return self.cut(turn, Repair::CutOrphanResult),
        };
        let ids: Vec<&Text<'_>> = calls.calls().map(|call| &call.id).collect();
        if self.last() == Some(Side::Call) && is_joined(turn, &ids) {
            self.turns.push(turn.clone());
            return;
        }
        if self.last() == Some(Side::Call) {
            let results = vec![None; ids.len()];
            self.turns.push(Turn { side: Side::Results, first: None, more: Vec::new(), results });
        }
        let mut orphans = Vec::new();
        if let Some(last) = self.turns.last_mut() {
            for message in turn.messages() {
                match place_of(message, &ids, &last.results) {
                    Some(place) => {
                        if let Some(slot) = last.results.get_mut(place) {
                            *slot = Some(message);
                        }
                        if last.first.is_none() {
                            last.first = Some(message);
                        } else {
                            last.more.push(message);
                        }
                    }
                    None => orphans.push(message),
                }
            }
            if last.first.is_none() {
                // Nothing of it answers these calls.
                self.turns.pop();
            }
        }
        for orphan in orphans {
            self.cut.push((self.turns.len(), orphan));
            self.repaired(Repair::CutOrphanResult);
        }
    }

    /// Notes what the last results lack, once the model goes on behind them.
    fn complete_results(&mut self, rules: Rules) {
        let Some(last) = self.turns.last().filter(|turn| turn.side == Side::Results) else {
            return;
        };
        let (missing, several) = (last.results.iter().any(Option::is_none), last.results.len() > 1);
        if missing {
            self.repaired(Repair::AddedMissingResult);
        }
        if several && rules.joins_results {
            self.repaired(Repair::JoinedResults);
        }
    }

    /// Cuts what follows the last answer or call.
    fn cut_end(&mut self) {
        // A call at the very end may stay open: it is what the model said last.
        while matches!(self.last(), Some(Side::Question | Side::Results)) {
            self.cut_last(Repair::CutEnd);
        }
    }
}

/// Whether the turn is the results of several calls in one message already, as ShareGPT has them: without ids, a
/// JSON array with one element for each call.
fn is_joined(turn: &Turn<'_>, ids: &[&Text<'_>]) -> bool {
    let (Some(message), true) = (turn.first, turn.more.is_empty()) else { return false };
    let has_ids = message.tool_call_id.is_some() || ids.iter().any(|id| !id.is_empty());
    ids.len() > 1
        && !has_ids
        && joined_results(message).is_some_and(|results| results.len() == ids.len())
}

/// The elements of a content that is a JSON array: texts as such, other values as their JSON text.
pub(super) fn joined_results(message: &Message<'_>) -> Option<Vec<String>> {
    let text = message.content.as_ref()?.text();
    let text = text.decoded();
    let Ok(Value::Array(items)) = Value::parse(&text) else { return None };
    let text_of = |item: &Value<'_>| item.as_str().map_or_else(|| item.to_json(), str::to_owned);
    Some(items.iter().map(text_of).collect())
}

/// Which of the calls the result answers: the first unanswered with its id, else, if it names none of them, the
/// first unanswered.
fn place_of(
    message: &Message<'_>,
    ids: &[&Text<'_>],
    results: &[Option<&Message<'_>>],
) -> Option<usize> {
    let open = |place: &usize| results.get(*place).is_some_and(Option::is_none);
    let named = message.tool_call_id.as_ref().filter(|id| !id.is_empty());
    if let Some(id) = named {
        if let Some(place) =
            (0..ids.len()).filter(open).find(|&place| ids.get(place).is_some_and(|one| *one == id))
        {
            return Some(place);
        }
        // An id that no call of the turn has: a system that lost track (`unknown`), or another call's result.
        let known = ids.contains(&id);
        let tracks = ids.iter().all(|one| !one.is_empty());
        if known || (tracks && id != "unknown") {
            return None;
        }
    }
    (0..ids.len()).find(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use retort_model::ToolCall;

    const JOINED: Rules = Rules { joins_results: true, calls_are_answered: false };
    const ANSWERED: Rules = Rules { joins_results: false, calls_are_answered: true };

    /// Messages from a sketch: `u` asks, `a` answers, `c1,2` calls, `t1` is the result of call 1, `e` is an empty
    /// answer, `s` is a system message.
    fn messages(sketch: &str) -> Vec<Message<'static>> {
        sketch
            .split_whitespace()
            .map(|word| {
                let (kind, ids) = word.split_at(1);
                let mut message = match kind {
                    "u" => Message::text(Role::User, word.to_owned()),
                    "s" => Message::text(Role::System, word.to_owned()),
                    "t" => Message::text(Role::Tool, word.to_owned()),
                    "a" => Message::text(Role::Assistant, word.to_owned()),
                    _ => Message::text(Role::Assistant, ""),
                };
                if kind == "t" {
                    message.tool_call_id = Some(ids.to_owned().into());
                }
                if kind == "c" {
                    message.tool_calls = ids
                        .split(',')
                        .map(|id| ToolCall {
                            id: id.to_owned().into(),
                            name: "f".into(),
                            ..ToolCall::default()
                        })
                        .collect();
                }
                message
            })
            .collect()
    }

    fn sketch(turns: &Turns<'_>) -> String {
        let words = turns.turns.iter().map(|turn| match turn.side {
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

    fn check(before: &str, rules: Rules, after: &str, repairs: &[Repair]) {
        let messages = messages(before);
        let mut turns = collect(messages.iter());
        let result = turns.mend(rules);
        assert_eq!(sketch(&turns), after, "{before}");
        assert_eq!(turns.repairs, repairs, "{before}");
        assert_eq!(result.is_err(), after.is_empty(), "{before}");
        // Every message stands in a turn, was cut, or is the system's.
        let kept: usize = turns.turns.iter().map(|turn| turn.messages().count()).sum();
        let systems = messages.iter().filter(|m| m.role == Role::System).count();
        assert_eq!(kept + turns.cut.len() + systems, messages.len(), "{before}");
    }

    #[test]
    fn what_is_in_order_stays() {
        check("u1 a1 u2 a2", JOINED, "u1 a1 u2 a2", &[]);
        check("s u1 c1 t1 a1", JOINED, "u1 c1 t1 a1", &[]);
        check("u1 c1 t1 c2 t2 a1", ANSWERED, "u1 c1 t1 c2 t2 a1", &[]);
        check("u1 c1", JOINED, "u1 c1", &[]);
    }

    #[test]
    fn turns_of_one_side_are_joined() {
        check("u1 u2 a1 a2", JOINED, "u1+u2 a1+a2", &[Repair::MergedTurns]);
        check("u1 a1 c1 t1 a2", JOINED, "u1 c1 t1 a2", &[Repair::MergedTurns]);
        check(
            "u1 c1 c2 t1 t2 a1",
            JOINED,
            "u1 c1,2 t1&t2 a1",
            &[Repair::MergedTurns, Repair::JoinedResults],
        );
    }

    #[test]
    fn the_ends_are_cut() {
        check("a0 u1 a1", JOINED, "u1 a1", &[Repair::CutGreeting]);
        check("u1 a1 u2", JOINED, "u1 a1", &[Repair::CutEnd]);
        check("u1 c1 t1", JOINED, "u1 c1", &[Repair::CutEnd]);
        check("u1 a1 e", JOINED, "u1 a1", &[Repair::CutEmptyAnswer]);
        check("u1", JOINED, "", &[Repair::CutEnd]);
        check("a1", JOINED, "", &[Repair::CutGreeting]);
        check("s", JOINED, "", &[]);
    }

    #[test]
    fn parallel_results_are_joined_in_the_order_of_the_calls() {
        check("u1 c1,2 t2 t1 a1", JOINED, "u1 c1,2 t1&t2 a1", &[Repair::JoinedResults]);
        check("u1 c1,2 t2 t1 a1", ANSWERED, "u1 c1,2 t1&t2 a1", &[]);
        check(
            "u1 c1,2 t2 a1",
            JOINED,
            "u1 c1,2 -&t2 a1",
            &[Repair::AddedMissingResult, Repair::JoinedResults],
        );
        check("u1 c1,2 t1 tunknown a1", JOINED, "u1 c1,2 t1&tunknown a1", &[Repair::JoinedResults]);
    }

    #[test]
    fn ids_that_come_again_and_ids_that_are_empty_are_matched_in_order() {
        check("u1 c1 t1 c1 t1 a1", JOINED, "u1 c1 t1 c1 t1 a1", &[]);
        check("u1 c1,1 t1 t1 a1", JOINED, "u1 c1,1 t1&t1 a1", &[Repair::JoinedResults]);
        check("u1 c, t t a1", JOINED, "u1 c, t&t a1", &[Repair::JoinedResults]);
    }

    #[test]
    fn results_without_a_call_are_cut() {
        check("u1 t9 a1", JOINED, "u1 a1", &[Repair::CutOrphanResult]);
        check("u1 c1 t1 t1 a1", JOINED, "u1 c1 t1 a1", &[Repair::CutOrphanResult]);
        check("u1 c1 t7 t1 a1", JOINED, "u1 c1 t1 a1", &[Repair::CutOrphanResult]);
    }

    #[test]
    fn calls_without_a_result_are_marked_or_cut() {
        check("u1 c1 a1", JOINED, "u1 c1 - a1", &[Repair::AddedMissingResult]);
        check("u1 c1 u2 a1", JOINED, "u1 c1 u2 a1", &[]);
        check(
            "u1 c1 u2 a1",
            ANSWERED,
            "u1+u2 a1",
            &[Repair::CutUnfinishedCall, Repair::MergedTurns],
        );
        check("u1 c1 t1 c2 t2 u2 a1", JOINED, "u1 c1 t1 c2 u2 a1", &[Repair::CutUnfinishedCall]);
        check(
            "u1 a0 u2 c1 t1 u3 a1",
            ANSWERED,
            "u1 a0 u2+u3 a1",
            &[Repair::CutUnfinishedCall, Repair::MergedTurns],
        );
    }

    #[test]
    fn the_last_system_message_counts() {
        let messages = messages("s1 u1 s2 a1 s2 u2 a2");
        let turns = collect(messages.iter());
        assert_eq!(turns.system.unwrap().content, messages[1 + 3].content);
        assert_eq!(turns.other_systems.len(), 1);
        assert_eq!(turns.repairs, [Repair::ReplacedSystem]);
    }
}
