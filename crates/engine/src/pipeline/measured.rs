//! Shaping where records are measured: each is shaped twice, first to be
//! measured, and then to be written if it is not left out for its length.

use std::ops::Range;

use retort_formats::data::{
    GivenFiles, Outcome, RecordLeftOut, RecordNotes, RowsPer, ShapeContext, Sink, ToolCache,
};
use retort_formats::file::{Rows, by_name as file_format_named};
use retort_formats::template::TokenCount;
use retort_json::Text;
use retort_model::{
    Conversation, Item, Kind, LeftOut, Message, Parent, Reason, Role, Round, SeenLengths, Vector,
};

use super::shaping::Shaping;
use crate::measure::{Measure, OverLong};

/// Shapes items into rows of those records that are not left out for their length.
pub(super) struct Measuring<'m> {
    pub(super) measure: &'m Measure,
    pub(super) shaping: &'m Shaping<'m>,
    /// The name of the output, if there are several.
    pub(super) output: Option<&'m str>,
    /// The files beside the history.
    pub(super) given: Option<&'m dyn GivenFiles>,
    pub(super) tools: &'m mut ToolCache,
}

/// What came of one item in rows that are not written.
struct Tried {
    outcome: Outcome,
    /// For each record its length, or why it is left out.
    lengths: Vec<Result<TokenCount, LeftOut>>,
}

impl Measuring<'_> {
    /// Shapes an item; the lengths of what is written are added to `seen`.
    pub(super) fn shape(
        &mut self,
        item: &Item<'_>,
        rows: &mut dyn Rows,
        seen: &mut SeenLengths,
    ) -> Outcome {
        let tried = self.attempt(item);
        if let Some(conversation) = self.splits(item, &tried) {
            return self.split(conversation, rows, seen);
        }
        self.write(item, &tried.lengths, rows, seen)
    }

    /// Makes the records of an item as JSON Lines that are not written, and measures them.
    fn attempt(&mut self, item: &Item<'_>) -> Tried {
        let Some(jsonl) = file_format_named("jsonl") else {
            return Tried { outcome: Outcome::default(), lengths: Vec::new() };
        };
        let format = self.shaping.data_format;
        let options = &self.shaping.shape_options;
        let mut rows = jsonl.rows(&format.schema(options, false), self.shaping.file_options);
        let mut context = ShapeContext {
            options,
            flat: false,
            output: self.output,
            given: self.given,
            tools: self.tools,
        };
        let outcome = format.shape(item, &mut context, &mut *rows);
        let measured = |index| {
            let row = rows.row(index).and_then(|row| std::str::from_utf8(row).ok());
            self.measure.row(format, row.unwrap_or_default())
        };
        let lengths = (0..rows.count()).map(measured).collect();
        Tried { outcome, lengths }
    }

    /// Writes the records of an item that were not left out when they were measured.
    fn write(
        &mut self,
        item: &Item<'_>,
        lengths: &[Result<TokenCount, LeftOut>],
        rows: &mut dyn Rows,
        seen: &mut SeenLengths,
    ) -> Outcome {
        let options = &self.shaping.shape_options;
        let flat = !self.shaping.file_format.is_nested();
        let mut context = ShapeContext {
            options,
            flat,
            output: self.output,
            given: self.given,
            tools: self.tools,
        };
        let skipped: Vec<bool> = lengths.iter().map(Result::is_err).collect();
        let mut some = NotSkipped { rows, skipped: &skipped, at: 0, skips: false };
        let outcome = self.shaping.data_format.shape(item, &mut context, &mut some);
        let mut kept = Outcome { records: Vec::new(), ..outcome };
        for (notes, length) in outcome.records.into_iter().zip(lengths) {
            match length {
                Ok(TokenCount { all, learnt }) => {
                    seen.add(*all as u64, *learnt as u64);
                    kept.records.push(notes);
                }
                Err(why) => {
                    kept.left_out.push(RecordLeftOut { part: notes.part, why: why.clone() });
                }
            }
        }
        kept
    }

    /// The conversation of an item, if it is to become several records: it makes one alone, which is too long.
    fn splits<'i, 'a>(&self, item: &'i Item<'a>, tried: &Tried) -> Option<&'i Conversation<'a>> {
        let Item::Conversation(conversation) = item else { return None };
        let is_too_long = match tried.lengths.as_slice() {
            [Err(why)] => why.reason == Reason::TooLong,
            _ => false,
        };
        let is_whole = matches!(tried.outcome.records.as_slice(), [RecordNotes { part: None, .. }]);
        let is_asked = self.measure.over_long == OverLong::Split
            && self.shaping.shape_options.rows == RowsPer::Conversation;
        (is_asked && is_too_long && is_whole && conversation.kind != Kind::Graph)
            .then_some(conversation)
    }

    /// Writes a conversation as several records, each of as many exchanges as fit.
    fn split(
        &mut self,
        conversation: &Conversation<'_>,
        rows: &mut dyn Rows,
        seen: &mut SeenLengths,
    ) -> Outcome {
        let exchanges = Exchanges::of(conversation);
        let mut outcome = Outcome::default();
        let (mut start, mut part) = (0, 0);
        while start < exchanges.count() {
            part += 1;
            let mut end = start + 1;
            let mut fitting = self.attempt(&exchanges.item(start..end));
            while end < exchanges.count() && !fitting.is_too_long() {
                let more = self.attempt(&exchanges.item(start..end + 1));
                if more.is_too_long() {
                    break;
                }
                (fitting, end) = (more, end + 1);
            }
            let item = exchanges.item(start..end);
            let one = self.write(&item, &fitting.lengths, rows, seen);
            let name = || Some(format!("part {part}"));
            outcome.records.extend(one.records.into_iter().map(|notes| RecordNotes {
                part: name(),
                suffix: Some(format!("#{part}")),
                ..notes
            }));
            outcome.left_out.extend(
                one.left_out.into_iter().map(|left| RecordLeftOut { part: name(), ..left }),
            );
            outcome.renamed_tools.extend(one.renamed_tools);
            start = end;
        }
        outcome
    }
}

impl Tried {
    fn is_too_long(&self) -> bool {
        let is_too_long = |length: &Result<TokenCount, LeftOut>| {
            length.as_ref().is_err_and(|why| why.reason == Reason::TooLong)
        };
        self.lengths.iter().any(is_too_long)
    }
}

/// The shown path of a conversation as exchanges, each from a question to before the next.
struct Exchanges<'c, 'a> {
    conversation: &'c Conversation<'a>,
    systems: Vec<&'c Message<'a>>,
    messages: Vec<&'c Message<'a>>,
    /// Where each begins, and the end of all.
    bounds: Vec<usize>,
    rounds: Vec<&'c Round<'a>>,
}

impl<'c, 'a> Exchanges<'c, 'a> {
    fn of(conversation: &'c Conversation<'a>) -> Self {
        let path = conversation.active_path();
        let rounds: Vec<_> =
            path.into_iter().filter_map(|at| conversation.rounds.get(at)).collect();
        let all = rounds.iter().flat_map(|round| &round.messages);
        let (systems, messages): (Vec<_>, Vec<_>) =
            all.partition(|message| message.role == Role::System);
        let begins = |at: &usize| {
            let is_question = |at: usize| {
                messages.get(at).is_some_and(|message: &&Message<'_>| message.role == Role::User)
            };
            is_question(*at) && (*at == 0 || !is_question(*at - 1))
        };
        let mut bounds: Vec<_> = (0..messages.len()).filter(begins).collect();
        match bounds.first_mut() {
            // What comes before the first question goes with it.
            Some(first) => *first = 0,
            None => bounds.push(0),
        }
        bounds.push(messages.len());
        Self { conversation, systems, messages, bounds, rounds }
    }

    fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Some of them as a conversation of one round, with the system messages and tools of all.
    fn item(&self, exchanges: Range<usize>) -> Item<'a> {
        let bound = |at: usize| self.bounds.get(at).copied().unwrap_or(self.messages.len());
        let own = self.messages.get(bound(exchanges.start)..bound(exchanges.end));
        let messages =
            self.systems.iter().chain(own.unwrap_or_default()).map(|&message| message.clone());
        let model = self.rounds.iter().rev().find_map(|round| round.model.clone());
        let round = Round {
            number: 1,
            parent: Parent::Root,
            model,
            tools: self.rounds.iter().flat_map(|round| round.tools.iter().cloned()).collect(),
            messages: messages.collect(),
            ..Round::default()
        };
        let conversation = Conversation {
            rounds: vec![round],
            current: None,
            tasks: Vec::new(),
            ..self.conversation.clone()
        };
        conversation.into()
    }
}

/// Takes the rows that are not skipped.
struct NotSkipped<'s> {
    rows: &'s mut dyn Rows,
    skipped: &'s [bool],
    at: usize,
    skips: bool,
}

impl NotSkipped<'_> {
    fn hand_on(&mut self, value: impl FnOnce(&mut dyn Rows)) {
        if !self.skips {
            value(self.rows);
        }
    }
}

impl Sink for NotSkipped<'_> {
    fn begin_row(&mut self) {
        self.skips = self.skipped.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        self.hand_on(Sink::begin_row);
    }

    fn end_row(&mut self) {
        self.hand_on(Sink::end_row);
    }

    fn text(&mut self, text: &Text<'_>) {
        self.hand_on(|rows| rows.text(text));
    }

    fn int(&mut self, number: i64) {
        self.hand_on(|rows| rows.int(number));
    }

    fn bool(&mut self, is_true: bool) {
        self.hand_on(|rows| rows.bool(is_true));
    }

    fn json(&mut self, text: &str) {
        self.hand_on(|rows| rows.json(text));
    }

    fn vector(&mut self, vector: &Vector) {
        self.hand_on(|rows| rows.vector(vector));
    }

    fn absent(&mut self) {
        self.hand_on(Sink::absent);
    }

    fn open_list(&mut self) {
        self.hand_on(Sink::open_list);
    }

    fn close_list(&mut self) {
        self.hand_on(Sink::close_list);
    }

    fn open_struct(&mut self) {
        self.hand_on(Sink::open_struct);
    }

    fn close_struct(&mut self) {
        self.hand_on(Sink::close_struct);
    }

    fn str(&mut self, text: &str) {
        self.hand_on(|rows| rows.str(text));
    }
}
