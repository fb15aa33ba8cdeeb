//! From the texts of a batch to items.

use retort_formats::import::split::{Batch, Fault, Span};
use retort_formats::import::{
    ImportFormat, ItemError, Items, Notes, Refusal, Sniff, recognise, refused,
};
use retort_json::Parser;
use retort_model::bounds::ITEM_BYTES;
use retort_model::{Conversation, Document, Item, ItemKind, LeftOut, Reason, canonical};

use super::done::{BatchDone, Located};
use super::feed::is_between;
use super::item::ReadItem;
use super::job::{RefusedInput, Source, Work};
use super::packed::{Edits, PackedBatch};

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
        let is_comment = || {
            let line = str::from_utf8(batch.item(span)).unwrap_or_default();
            refused::is_comment(&source.name.label, line)
        };
        if first.as_ref().is_err_and(|error| error.refusal == Refusal::NotJson) && is_comment() {
            continue;
        }
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
                    "; `--max-item` on the command line or `item_megabytes` in the server's settings raises it"
                } else {
                    ""
                };
                let what = format!("larger than the item size limit of {most} MB{more}");
                ItemError::new(Refusal::TooLarge, 0, what)
            }
            Fault::Comma => {
                let what = "not valid JSON: a missing or extra comma between two array elements";
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
    // Numbers, texts and the like are JSON, but no conversation in any format, but for the JSON text of an item.
    let start = text.trim_start();
    let nests = start.starts_with(['{', '['])
        || start.strip_prefix('"').is_some_and(|text| text.trim_start().starts_with(['{', '[']));
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
    if let Err(error) = sniff.check() {
        let error = ItemError::from(error);
        let what = refused::what_text(&source.name.label).filter(|_| error.at == 0);
        return Err(match what {
            Some(what) => ItemError::new(error.refusal, 0, what),
            None => error,
        });
    }
    let why = match refused::why_unknown(&sniff) {
        Some(why) => why.to_owned(),
        None => format!("{}: no import format knows it; name one with `--from`", sniff.words()),
    };
    Err(ItemError::new(Refusal::UnknownShape, 0, why))
}
