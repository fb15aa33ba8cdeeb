//! The threads that parse and shape.

use std::borrow::Cow;
use std::sync::mpsc::SyncSender;

use retort_formats::data::{Noted, Outcome, ShapeContext, ToolCache};
use retort_formats::import::split::{Batch, Fault, Span};
use retort_formats::import::{ImportFormat, ItemError, Items, Notes, Refusal, Sniff, recognise};
use retort_formats::package::{FindingLine, List, Reject, write_extra};
use retort_json::Parser;
use retort_model::bounds::ITEM_BYTES;
use retort_model::{
    Account, Conversation, ConversationFilter, Document, Item, ItemKind, LeftOut, Reason, Status,
    Tally, Warning, canonical,
};

use super::feed::is_between;
use super::gather::{Gathering, OutputRows, Shaped};
use super::ids::ContentHash;
use super::measured::Measuring;
use super::packed::{Edits, PackedBatch};
use super::part::KeptItems;
use super::redacting::{ListedHit, Redacted};
use super::repeats::{Verdict, order_of};
use super::splitting::Assigned;
use super::stage::Standing;
use super::stages::{OrderedStages, Stages};
use super::workers::{Output, ReorderBuffer, Sequencer};
use super::{Delivery, Ends, Job, RefusedInput, Shaping, Source, Work};
use crate::error::Error;
use crate::panics::point;
use crate::seen::IdHash;
use crate::split::write_group;

/// What the cells of a batch are counted by.
pub(super) const CELLS: [Warning; 3] =
    [Warning::GuardedCell, Warning::LongCell, Warning::AmbiguousCell];

/// A thread that parses and shapes.
pub(super) struct Worker<'p> {
    pub(super) shaping: &'p Shaping<'p>,
    pub(super) ends: &'p Ends<'p>,
    pub(super) stages: &'p Stages<'p>,
    pub(super) ordered: &'p Sequencer<OrderedStages>,
    pub(super) gathering: &'p ReorderBuffer<Option<Shaped>, Gathering>,
    /// The selection, with the deleted conversations that it does not ask for.
    pub(super) widened: Option<ConversationFilter>,
    pub(super) spent: SyncSender<Batch>,
    pub(super) tools: ToolCache,
}

/// An item that was read, and where it stood.
pub struct ReadItem<'b> {
    /// The item.
    pub item: Item<'b>,
    /// Its place in the batch, from 1. Several items of one text have the same.
    pub(super) place: u64,
    /// Its place among all items of the batch, from 0.
    pub(super) index: usize,
    /// Where it is in its batch and its input.
    pub span: Span,
    /// Whether the source gave it its id.
    pub has_id: bool,
    /// What it holds, if it came without an id.
    pub(super) content: Option<ContentHash>,
    /// Of its id, where it is asked whether that came before.
    pub(super) hash: Option<IdHash>,
    pub(super) standing: Standing,
    /// What was decided on it, if its id is repeated.
    pub(super) verdict: Option<Verdict>,
    /// Whether its id was changed, as other items have it.
    pub(super) is_kept_apart: bool,
    /// Its output, if there are several.
    pub(super) assigned: Option<Assigned>,
}

impl<'b> ReadItem<'b> {
    /// An item before the stages, with its place in the batch and its index.
    pub(super) fn new(
        item: Item<'b>,
        (place, index): (u64, usize),
        span: Span,
        has_id: bool,
    ) -> Self {
        Self {
            item,
            place,
            index,
            span,
            has_id,
            content: None,
            hash: None,
            standing: Standing::Open,
            verdict: None,
            is_kept_apart: false,
            assigned: None,
        }
    }

    /// Its place in the order of all items, in a batch behind so many.
    pub(super) fn order(&self, items_before: u64) -> u64 {
        order_of(items_before, self.index)
    }
}

/// What came of one batch.
#[derive(Default)]
pub struct BatchDone {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// With the item's place, by which they are put in order.
    pub rejects: Vec<Reject>,
    /// Repairs and warnings, where they are listed; they are put in order as well.
    pub(super) findings: Vec<FindingLine>,
    pub(super) lists_findings: bool,
    pub(super) extras: Vec<u8>,
    /// For each item that was written, the hash of its group and its output, if there are several.
    pub(super) groups: Vec<u8>,
    pub(super) renamed_tools: Vec<(String, String)>,
    /// Places of packed items of which nothing was written.
    pub(super) without_records: Vec<u64>,
    /// The first hits of redaction, where they are listed.
    pub(super) hits: Vec<ListedHit>,
}

/// An item, and where it is.
#[derive(Clone, Copy)]
struct Located<'i> {
    kind: ItemKind,
    id: &'i str,
    source: &'i Source,
    span: &'i Span,
}

impl Worker<'_> {
    /// One batch; false if everything ends.
    pub(super) fn one(&mut self, job: Job, output: &Output<'_, Delivery>) -> bool {
        let Job { sequence, source, items_before, work } = job;
        let mut done =
            BatchDone { lists_findings: self.shaping.lists_findings, ..BatchDone::default() };
        done.account.outputs = self.shaping.split.portions();
        let schema = self
            .shaping
            .data_format
            .schema(&self.shaping.shape_options, !self.shaping.file_format.is_nested());
        let output_rows = || OutputRows {
            rows: self.shaping.file_format.rows(&schema, self.shaping.file_options),
            ids: Vec::new(),
        };
        let mut outputs: Vec<OutputRows> =
            std::iter::repeat_with(output_rows).take(self.shaping.split.outputs()).collect();
        point("unpack");
        let (batch, packed) = lines(work, &source, &mut done);
        point("parse");
        let from = self.shaping.from;
        let mut read = read(&batch, packed.as_ref(), from, items_before, &source, &mut done);
        let items = done.account.read;
        let are_chosen = packed.is_some();
        self.stages.examine(&mut read, are_chosen, &mut |one, warning| {
            let id = one.item.id().decoded();
            let at = Located { kind: one.item.kind(), id: &id, source: &source, span: &one.span };
            done.warn(warning, at);
        });
        let keeps = self.shaping.keeps_batches;
        let mut kept = keeps.then(|| KeptItems::of(&read, items_before));
        let passed = self.ordered.pass(sequence, self.ends, |stages| {
            point("admit");
            stages.pass(&mut read, items_before, are_chosen)
        });
        let is_wanted = match passed {
            Some(Ok(is_wanted)) => is_wanted,
            Some(Err(source)) => {
                self.ends.fail(Error::Failed { what: "the decisions on items in order", source });
                return false;
            }
            None => return false,
        };
        if is_wanted {
            self.shape(&read, &source, items_before, &mut outputs, &mut done);
        }
        if let Some(redactor) = &self.shaping.redactor {
            done.redact(redactor);
        }
        if let Some(kept) = &mut kept {
            kept.add_verdicts(&read, items_before);
        }
        drop(read);
        if !are_chosen {
            done.without_records.clear();
        }
        let _ = self.spent.try_send(batch);
        if !is_wanted || (self.shaping.selection.limit.is_some() && self.ordered.lock().1.finished)
        {
            self.ends.set_enough();
        }
        let shaped = is_wanted.then_some(Shaped { done, outputs, source, items, kept });
        let mut due = Vec::new();
        let goes_on = self.gathering.bring(sequence, shaped, self.ends, |gathering, shaped| {
            due.extend(shaped.into_iter().flat_map(|shaped| gathering.add(shaped, self.shaping)));
        });
        goes_on && due.into_iter().all(|(place, due)| output.send(place, due.encode(self.shaping)))
    }

    fn shape(
        &mut self,
        read: &[ReadItem<'_>],
        source: &Source,
        items_before: u64,
        outputs: &mut [OutputRows],
        done: &mut BatchDone,
    ) {
        point("shape");
        for one in read {
            if one.standing == Standing::NotSelected {
                done.account.deleted += u64::from(self.is_left_out_as_deleted(&one.item));
                continue;
            }
            let (kind, id) = (one.item.kind(), one.item.id().decoded());
            let id = match &self.shaping.redactor {
                Some(redactor) => redactor.name(&id).into_owned().into(),
                None => id,
            };
            done.account.select_one(kind);
            let at = Located { kind, id: &id, source, span: &one.span };
            if let Standing::LeftOut(why) = &one.standing {
                done.leave_out(at, None, why);
                done.put_out(one, &id, 0, Some(why.reason));
                done.account.leave_out_one(kind, why.reason, &id);
                continue;
            }
            if one.is_kept_apart {
                done.warn(Warning::IdKeptApart, at);
            }
            let redacted = match &self.shaping.redactor {
                Some(redactor) => Redacted::of(redactor, &one.item, self.shaping.hits_listed, done),
                None => Redacted::Unchanged,
            };
            let item = match redacted.item(&one.item) {
                Ok(item) => item,
                Err(why) => {
                    done.leave_out(at, None, &why);
                    done.put_out(one, &id, 0, Some(why.reason));
                    done.account.leave_out_one(kind, why.reason, &id);
                    continue;
                }
            };
            let ordinal = items_before + one.place;
            let tools = &mut self.tools;
            let output = one.assigned.map_or(0, |assigned| assigned.output);
            let Some(OutputRows { rows, ids }) = outputs.get_mut(output) else { continue };
            let cells = rows.cells();
            let outcome = match &self.shaping.measure {
                Some(measure) => {
                    let mut measuring = Measuring { measure, shaping: self.shaping, tools };
                    measuring.shape(&item, &mut **rows, &mut done.account.seen)
                }
                None => {
                    let options = &self.shaping.shape_options;
                    let flat = !self.shaping.file_format.is_nested();
                    let mut context = ShapeContext { options, flat, tools };
                    self.shaping.data_format.shape(&item, &mut context, &mut **rows)
                }
            };
            if done.lists_findings {
                for ((warning, before), after) in CELLS.into_iter().zip(cells).zip(rows.cells()) {
                    done.list_cells(warning, after - before, at);
                }
            }
            if outcome.records.is_empty() {
                done.without_records.push(ordinal);
            }
            let records = outcome.records.len() as u64;
            let first = outcome.left_out.first().map(|left| left.why.reason);
            done.put_out(one, &id, records, first);
            let ids = self.shaping.data_format.has_ids_apart().then_some(ids);
            done.count(at, outcome, ids);
        }
    }

    /// Whether the filter would match an item if it asked for deleted ones.
    fn is_left_out_as_deleted(&self, item: &Item<'_>) -> bool {
        let Item::Conversation(conversation) = item else { return false };
        conversation.status == Status::Deleted
            && !self.shaping.selection.matches(conversation)
            && self.widened.as_ref().is_some_and(|widened| widened.matches(conversation))
    }
}

/// What the lines of a packed batch do not say themselves.
pub(super) struct Packed {
    batch: Box<dyn PackedBatch>,
    /// Of the items that were unpacked, in their order.
    edits: Vec<Edits>,
}

/// The lines of a job's items; what cannot be read is counted.
pub(super) fn lines(work: Work, source: &Source, done: &mut BatchDone) -> (Batch, Option<Packed>) {
    match work {
        Work::Items(batch) => (batch, None),
        Work::Packed(packed) => {
            let (batch, edits) = unpacked(&*packed, source, done);
            (batch, Some(Packed { batch: packed, edits }))
        }
        Work::Refused(refused) => {
            refuse_input(done, source, refused);
            (Batch::default(), None)
        }
    }
}

/// Parses the lines of a job's items; `from` is the import format, if it was named.
pub(super) fn read<'b>(
    batch: &'b Batch,
    packed: Option<&Packed>,
    from: Option<&'static dyn ImportFormat>,
    items_before: u64,
    source: &Source,
    done: &mut BatchDone,
) -> Vec<ReadItem<'b>> {
    match packed {
        None => parse(batch, source, from, done),
        Some(packed) => parse_packed(batch, packed, items_before, source, done),
    }
}

/// The lines of packed items, one after another; what cannot be read is left out and counted.
fn unpacked(
    packed: &dyn PackedBatch,
    source: &Source,
    done: &mut BatchDone,
) -> (Batch, Vec<Edits>) {
    let mut batch = Batch::default();
    let mut all_edits = Vec::new();
    for one in packed.unpack(&mut batch.bytes) {
        let span =
            |start, end| Span { start, end, index: one.ordinal, line: 0, byte: 0, fault: None };
        match one.line {
            Ok(line) => {
                batch.items.push(span(line.start, line.end));
                all_edits.push(one.edits);
            }
            Err((id, why)) => {
                let id = id.unwrap_or_else(|| packed.id(one.ordinal));
                let at = Located { kind: packed.kind(), id: &id, source, span: &span(0, 0) };
                done.lose(at, &why);
            }
        }
    }
    (batch, all_edits)
}

/// Reads packed items, with what was set where they are kept instead of what they say.
fn parse_packed<'b>(
    batch: &'b Batch,
    packed: &Packed,
    items_before: u64,
    source: &Source,
    done: &mut BatchDone,
) -> Vec<ReadItem<'b>> {
    let mut read = Vec::with_capacity(batch.items.len());
    let kind = packed.batch.kind();
    for (span, edits) in batch.items.iter().zip(&packed.edits) {
        let line = simdutf8::basic::from_utf8(batch.item(span)).map_err(|error| error.to_string());
        match line.and_then(|line| packed_item(line, kind, edits)) {
            Ok(item) => {
                done.account.read_one(kind);
                done.warn_not_understood(&item, source, span);
                let place = span.index - items_before;
                let index = usize::try_from(place).unwrap_or(usize::MAX);
                read.push(ReadItem::new(item, (place, index), *span, true));
            }
            Err(problem) => {
                let id = packed.batch.id(span.index);
                let at = Located { kind, id: &id, source, span };
                done.lose(at, &LeftOut::new(Reason::Damaged, problem));
            }
        }
    }
    read
}

/// Counts what cannot be read of a stream as one item.
pub fn refuse_input(done: &mut BatchDone, source: &Source, refused: RefusedInput) {
    let RefusedInput { refusal, why, position: (index, line, byte) } = refused;
    let span = Span { start: 0, end: 0, index, line, byte, fault: None };
    done.refuse(source, &span, &ItemError::new(refusal, 0, why));
}

/// Reads the line of a packed item.
fn packed_item<'l>(line: &'l str, kind: ItemKind, edits: &Edits) -> Result<Item<'l>, String> {
    let mut item = canonical::read_item(kind, line).map_err(|error| error.to_string())?;
    if let Item::Conversation(conversation) = &mut item {
        edits.apply(conversation);
    }
    Ok(item)
}

/// Reads the items of a batch.
pub fn parse<'b>(
    batch: &'b Batch,
    source: &Source,
    named: Option<&'static dyn ImportFormat>,
    done: &mut BatchDone,
) -> Vec<ReadItem<'b>> {
    let mut read = Vec::with_capacity(batch.items.len());
    let mut notes = Notes::default();
    for (place, span) in (1..).zip(&batch.items) {
        let mut pieces = Pieces { place, count: 0, source };
        let before = notes.clone();
        let first = parse_one(batch, span, source, named, &mut notes);
        if first.as_ref().is_err_and(|error| error.refusal == Refusal::NotJson) {
            let values = values(batch, span);
            for span in &values {
                let before = notes.clone();
                let items = parse_one(batch, span, source, named, &mut notes);
                pieces.take(items, span, (&before, &notes), &mut read, done);
            }
            if !values.is_empty() {
                continue;
            }
        }
        pieces.take(first, span, (&before, &notes), &mut read, done);
    }
    done.account.lone_surrogates = notes.lone_surrogates;
    done.account.duplicate_keys = notes.duplicate_keys;
    read
}

/// The items at one place of a batch: what several values on a line hold, or one text that holds several.
struct Pieces<'s> {
    place: u64,
    /// Items and refusals so far.
    count: usize,
    source: &'s Source,
}

impl Pieces<'_> {
    /// Takes the items of one value, or counts why it could not be read.
    fn take<'b>(
        &mut self,
        items: Result<Items<'b>, ItemError>,
        span: &Span,
        notes: (&Notes, &Notes),
        read: &mut Vec<ReadItem<'b>>,
        done: &mut BatchDone,
    ) {
        match items {
            Ok(items) => items.into_iter().for_each(|item| {
                self.count += 1;
                self.take_one(item, span, notes, read, done);
            }),
            Err(error) => {
                self.count += 1;
                done.refuse(self.source, span, &error);
            }
        }
    }

    fn take_one<'b>(
        &self,
        mut item: Item<'b>,
        span: &Span,
        (before, after): (&Notes, &Notes),
        read: &mut Vec<ReadItem<'b>>,
        done: &mut BatchDone,
    ) {
        done.account.read_one(item.kind());
        let from = self.source.format.map_or("", ImportFormat::name);
        match &mut item {
            Item::Conversation(Conversation { source, .. })
            | Item::Document(Document { source, .. })
                if source.is_empty() =>
            {
                *source = from.into();
            }
            Item::Conversation(_) | Item::Run(_) | Item::Document(_) => {}
        }
        let has_id = !item.id().is_empty();
        if !has_id {
            let place = format!("{}#{}", self.source.name.label, span.index);
            let id = if self.count > 1 { format!("{place}.{}", self.count) } else { place };
            *item.id_mut() = id.into();
        }
        done.warn_of_reading(&item, before, after, self.source, span);
        read.push(ReadItem::new(item, (self.place, read.len()), *span, has_id));
    }
}

/// The values of a line on which several stand one behind another, or one among marks that part values elsewhere:
/// commas, as in a list without its brackets, and the separators of JSON text sequences (RFC 7464). None if it is not so.
fn values(batch: &Batch, span: &Span) -> Vec<Span> {
    let mut values = Vec::new();
    let bytes = batch.item(span);
    let Ok(text) = simdutf8::basic::from_utf8(bytes) else { return values };
    let skip = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.len() - rest.trim_start_matches(is_between).len()
    };
    let mut at = skip(0);
    while let Some(rest) = text.get(at..).filter(|rest| rest.starts_with(['{', '['])) {
        let mut parser = Parser::lenient(rest);
        // What is broken is the last value.
        let length = parser.skip().map_or(rest.len(), |()| parser.at());
        let byte = span.byte + at as u64;
        values.push(Span { start: span.start + at, end: span.start + at + length, byte, ..*span });
        at = skip(at + length);
    }
    let is_whole = values.first().is_some_and(|one| one.end - one.start == text.trim().len());
    if at < text.len() || is_whole {
        values.clear();
    }
    values
}

fn parse_one<'b>(
    batch: &'b Batch,
    span: &Span,
    source: &Source,
    named: Option<&'static dyn ImportFormat>,
    notes: &mut Notes,
) -> Result<Items<'b>, ItemError> {
    if let Some(fault) = span.fault {
        return Err(match fault {
            Fault::TooLarge(most) => {
                // The bound is set in megabytes, but for the largest there is.
                let most = most.div_ceil(1_000_000);
                let more = if most < ITEM_BYTES.div_ceil(1_000_000) {
                    "; `--max-item` of the command line or `item_megabytes` in the server's settings raises it"
                } else {
                    ""
                };
                let what = format!("larger than {most} MB, the bound for one item{more}");
                ItemError::new(Refusal::TooLarge, 0, what)
            }
            Fault::Comma => {
                let what = "not valid JSON: between two elements of the array a comma is missing or one too many";
                ItemError::new(Refusal::NotJson, 0, what)
            }
            Fault::Unclosed => ItemError::new(
                Refusal::NotJson,
                0,
                "not valid JSON: the input ends inside an array",
            ),
        });
    }
    let bytes = batch.item(span);
    let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
        let error = simdutf8::compat::from_utf8(bytes).err();
        let at = error.map_or(0, |error| error.valid_up_to());
        return Err(ItemError::new(Refusal::NotUtf8, at, "not valid UTF-8"));
    };
    // Numbers, texts and the like are JSON, but no conversation in any format.
    let nests = text.trim_start().starts_with(['{', '[']);
    if let Some(format) = source.format.filter(|_| nests) {
        let items = format.read_all(text, notes);
        // A stream may hold more than one shape; where the format was not named, another may know the item.
        if let Err(error) = &items
            && error.refusal == Refusal::UnknownShape
        {
            let sniff = Sniff::found(text, source.name.entry());
            sniff.check()?;
            let other = recognise(&sniff).filter(|other| other.name() != format.name());
            if let Some(other) = other.filter(|_| named.is_none()) {
                return other.read_all(text, notes);
            }
            let why = format!("{}: {}", sniff.words(), error.message);
            return Err(ItemError::new(error.refusal, error.at, why));
        }
        return items;
    }
    let sniff = Sniff::of(text);
    sniff.check()?;
    Err(ItemError::new(
        Refusal::UnknownShape,
        0,
        format!("{}: no import format knows it; name one with `--from`", sniff.words()),
    ))
}

impl BatchDone {
    fn refuse(&mut self, source: &Source, span: &Span, error: &ItemError) {
        self.account.read += 1;
        self.account.refused += 1;
        self.refused.add(error.refusal, &format!("{}#{}", source.name.label, span.index));
        self.rejects.push(Reject {
            id: None,
            part: None,
            reason: error.refusal.as_str().into(),
            detail: error.message.clone(),
            input: source.name.label.clone(),
            line: span.line,
            index: span.index,
            byte: span.byte + error.at as u64,
        });
    }

    /// Counts what people should know of how an item was read.
    fn warn_of_reading(
        &mut self,
        item: &Item<'_>,
        before: &Notes,
        after: &Notes,
        source: &Source,
        span: &Span,
    ) {
        let ragged = matches!(item, Item::Document(document) if document.is_ragged());
        for (warning, is_due) in [
            (Warning::UnreadTime, after.unread_times > before.unread_times),
            (Warning::NonFinite, after.non_finite > before.non_finite),
            (Warning::RaggedEmbedding, ragged),
        ] {
            if is_due {
                let id = item.id().decoded();
                self.warn(warning, Located { kind: item.kind(), id: &id, source, span });
            }
        }
        self.warn_not_understood(item, source, span);
    }

    /// Counts an item of which something was not understood, with the path of the first.
    fn warn_not_understood(&mut self, item: &Item<'_>, source: &Source, span: &Span) {
        let Some(first) = item.not_understood().first() else { return };
        let id = item.id().decoded();
        self.account.warned.add(Warning::NotUnderstood, &format!("{id}: {}", first.path));
        let at = Located { kind: item.kind(), id: &id, source, span };
        let kind = Warning::NotUnderstood.as_str();
        self.list(at, (List::Warning, kind), |line| line.detail = Some(first.path.clone()));
    }

    /// Counts a warning of an item.
    fn warn(&mut self, warning: Warning, at: Located<'_>) {
        self.account.warned.add(warning, at.id);
        self.list(at, (List::Warning, warning.as_str()), |_| {});
    }

    /// Lists cells of an item that are counted with their batch.
    fn list_cells(&mut self, warning: Warning, count: u64, at: Located<'_>) {
        if count > 0 {
            self.list(at, (List::Warning, warning.as_str()), |line| line.count = count);
        }
    }

    /// Lists a finding, where that is asked; `complete` adds what is known beyond its name.
    fn list(
        &mut self,
        at: Located<'_>,
        (list, kind): (List, &'static str),
        complete: impl FnOnce(&mut FindingLine),
    ) {
        if !self.lists_findings {
            return;
        }
        let mut line = FindingLine {
            item: at.kind,
            id: at.id.to_owned(),
            part: None,
            list,
            kind,
            message: None,
            detail: None,
            count: 1,
            input: at.source.name.label.clone(),
            line: at.span.line,
            index: at.span.index,
            byte: at.span.byte,
        };
        complete(&mut line);
        self.findings.push(line);
    }

    /// Counts a packed item that is no longer there to be read.
    fn lose(&mut self, at: Located<'_>, why: &LeftOut) {
        self.account.read_one(at.kind);
        self.account.select_one(at.kind);
        self.account.leave_out_one(at.kind, why.reason, at.id);
        self.without_records.push(at.span.index);
        self.leave_out(at, None, why);
    }

    fn leave_out(&mut self, at: Located<'_>, part: Option<&String>, why: &LeftOut) {
        self.rejects.push(Reject {
            id: Some((at.kind, at.id.to_owned())),
            part: part.cloned(),
            reason: why.reason.as_str().into(),
            detail: why.detail.clone(),
            input: at.source.name.label.clone(),
            line: at.span.line,
            index: at.span.index,
            byte: at.span.byte,
        });
    }

    /// Counts what came of an item of an output, if there are several.
    fn put_out(&mut self, one: &ReadItem<'_>, id: &str, records: u64, left_out: Option<Reason>) {
        let Some(Assigned { output, group }) = one.assigned else { return };
        self.account.put_out(output, records, left_out, id);
        if records > 0 {
            write_group(&group, output, &mut self.groups);
        }
    }

    /// Counts what came of an item; `ids` are those that stand apart from the rows.
    fn count(&mut self, at: Located<'_>, outcome: Outcome, mut ids: Option<&mut Vec<String>>) {
        let Located { kind, id, .. } = at;
        for left in &outcome.left_out {
            self.leave_out(at, left.part.as_ref(), &left.why);
        }
        if outcome.records.is_empty() {
            if let Some(first) = outcome.left_out.first() {
                self.account.leave_out_one(kind, first.why.reason, id);
            }
        } else {
            self.account.write_one(kind);
            for left in &outcome.left_out {
                self.account.records_left_out.add(left.why.reason, id);
            }
        }
        for record in outcome.records {
            self.account.records += 1;
            self.account.records_repaired += u64::from(!record.repairs.is_empty());
            let part = record.part.as_deref();
            for Noted { kind, message } in record.repairs {
                self.account.repaired.add(kind, id);
                self.list_noted(at, part, (List::Repaired, kind.as_str()), message);
            }
            for Noted { kind, message } in record.unrepaired {
                self.account.unrepaired.add(kind, id);
                self.list_noted(at, part, (List::WouldBeRefused, kind.as_str()), message);
            }
            if let Some(reason) = record.unfit {
                self.account.unfit.add(reason, id);
                self.list_noted(at, part, (List::WouldBeRefused, reason.as_str()), None);
            }
            for Noted { kind, message } in record.warnings {
                self.account.warned.add(kind, id);
                self.list_noted(at, part, (List::Warning, kind.as_str()), message);
            }
            let row_id = match record.suffix {
                Some(suffix) => Cow::Owned(format!("{id}{suffix}")),
                None => Cow::Borrowed(id),
            };
            if let Some(ids) = &mut ids {
                ids.push(row_id.to_string());
            }
            if let Some(extra) = record.extra {
                write_extra((kind, &row_id), part, &extra, &mut self.extras);
            }
        }
        self.renamed_tools.extend(outcome.renamed_tools);
    }

    /// Lists what was found in a record.
    fn list_noted(
        &mut self,
        at: Located<'_>,
        part: Option<&str>,
        what: (List, &'static str),
        message: Option<usize>,
    ) {
        self.list(at, what, |line| {
            line.part = part.map(str::to_owned);
            line.message = message;
        });
    }
}
