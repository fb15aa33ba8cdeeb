//! Fragments that may be anywhere in the inputs. Their texts are written to a file as they come. What is known of each
//! is sorted twice on disk: by key, which brings the fragments of one item together, and then by where the first of
//! them was read, which puts the items in the order of the inputs and the fragments in their order in the item.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use retort_formats::import::split::{Fault, Span};
use retort_formats::import::{ImportFormat, Spread};

use super::key::{Found, Key, key_of};
use crate::pipeline::job::Source;
use crate::pipeline::spill::{Batches, SendBatch, Spill};
use crate::sorter::Sorter;

/// Fragments on disk.
pub(super) struct Scattered {
    /// Bytes of the largest item.
    item_bytes: usize,
    kept: Option<Kept>,
}

struct Kept {
    spill: Spill,
    sorter: Sorter,
    sources: Vec<Arc<Source>>,
    count: u64,
}

/// What is known of a fragment.
#[derive(Clone, Copy, Default)]
pub(super) struct Record {
    /// What it is sorted by in its item.
    rank: u64,
    /// Its place among all fragments.
    sequence: u64,
    /// What its format says is its order.
    pub(super) order: u64,
    /// Where its text lies, and how long it is.
    at: u64,
    length: u64,
    /// Where it was found.
    source: u64,
    index: u64,
    line: u64,
    byte: u64,
}

const NUMBERS: usize = 9;

impl Record {
    fn write(self, row: &mut Vec<u8>) {
        let Self { rank, sequence, order, at, length, source, index, line, byte } = self;
        for number in [rank, sequence, order, at, length, source, index, line, byte] {
            row.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn read(row: &[u8]) -> Self {
        let mut numbers = [0; NUMBERS];
        for (number, bytes) in numbers.iter_mut().zip(row.chunks_exact(8)) {
            *number = bytes.try_into().map_or(0, u64::from_be_bytes);
        }
        let [rank, sequence, order, at, length, source, index, line, byte] = numbers;
        Self { rank, sequence, order, at, length, source, index, line, byte }
    }

    fn span(self) -> Span {
        let Self { index, line, byte, .. } = self;
        Span { start: 0, end: 0, index, line, byte, fault: None }
    }
}

impl Kept {
    fn new() -> io::Result<Self> {
        let spill = Spill::new()?;
        Ok(Self { spill, sorter: Sorter::new(), sources: Vec::new(), count: 0 })
    }
}

impl Scattered {
    pub(super) fn bounded(item_bytes: usize) -> Self {
        Self { item_bytes, kept: None }
    }

    /// Keeps a fragment.
    pub(super) fn put(
        &mut self,
        key: Key,
        found: Found<'_>,
        order: u64,
        text: &[u8],
    ) -> io::Result<()> {
        let kept = match &mut self.kept {
            Some(kept) => kept,
            None => self.kept.insert(Kept::new()?),
        };
        if kept.sources.last().is_none_or(|last| last.place != found.source.place) {
            kept.sources.push(Arc::clone(found.source));
        }
        let spread = found.source.format.map_or(Spread::No, ImportFormat::spread);
        let rank = match spread {
            Spread::Anywhere => order,
            Spread::Rows | Spread::Halves => 0,
            Spread::No => u64::from(found.source.is_side()),
        };
        let record = Record {
            rank,
            sequence: kept.count,
            order,
            at: kept.spill.length(),
            length: text.len() as u64,
            source: kept.sources.len() as u64 - 1,
            index: found.span.index,
            line: found.span.line,
            byte: found.span.byte,
        };
        kept.count += 1;
        kept.spill.put(text)?;
        let mut row = key.to_vec();
        row.extend_from_slice(&record.sequence.to_be_bytes());
        record.write(&mut row);
        kept.sorter.push(&row)
    }

    /// Sends the items of all that was kept.
    pub(super) fn end(
        self,
        send: &mut SendBatch<'_>,
        unwanted: &mut dyn FnMut(&Source),
    ) -> io::Result<()> {
        let again = Some(Self::bounded(self.item_bytes));
        if let Some(again) = self.send_joined(again, send, unwanted)? {
            again.send_joined(None, send, unwanted)?;
        }
        Ok(())
    }

    /// The same; what the items add to others is kept in `again`, to be joined once more.
    fn send_joined(
        self,
        again: Option<Self>,
        send: &mut SendBatch<'_>,
        unwanted: &mut dyn FnMut(&Source),
    ) -> io::Result<Option<Self>> {
        let Some(Kept { spill, sorter, sources, .. }) = self.kept else { return Ok(None) };
        let mut items = Sorter::new();
        let (mut of, mut first) = (None, 0);
        for row in sorter.sorted()? {
            let row = row?;
            let Some((key, record)) = row.split_first_chunk::<{ 16 + 8 }>() else { continue };
            let (key, sequence) = key.split_at(16);
            if of.as_deref() != Some(key) {
                of = Some(Box::<[u8]>::from(key));
                first = sequence.try_into().map_or(0, u64::from_be_bytes);
            }
            items.push(&[&first.to_be_bytes(), record].concat())?;
        }
        let mut joiner = Joiner {
            texts: Texts::of(spill)?,
            sources,
            item_bytes: self.item_bytes,
            whole: Batches::default(),
            again,
        };
        let (mut fragments, mut bytes) = (Vec::new(), 0);
        let mut of = None;
        for row in items.sorted()? {
            let row = row?;
            let Some((first, record)) = row.split_first_chunk::<8>() else { continue };
            let record = Record::read(record);
            if of.is_some_and(|of| of != *first) {
                joiner.join(&fragments, unwanted)?;
                fragments.clear();
                bytes = 0;
                if !joiner.whole.send_full(send) {
                    return Ok(None);
                }
            }
            of = Some(*first);
            bytes += record.length.saturating_add(size_of::<Record>() as u64);
            // Of an item that is too large, more than its size is not wanted.
            if bytes <= 2 * joiner.item_bytes as u64 || fragments.is_empty() {
                fragments.push(record);
            }
        }
        joiner.join(&fragments, unwanted)?;
        let is_more_wanted = joiner.whole.send(send);
        Ok(joiner.again.filter(|_| is_more_wanted))
    }
}

/// Makes items of fragments.
struct Joiner {
    texts: Texts,
    sources: Vec<Arc<Source>>,
    item_bytes: usize,
    whole: Batches,
    /// What the items add to others.
    again: Option<Scattered>,
}

impl Joiner {
    /// Joins the fragments that have one key.
    fn join(&mut self, fragments: &[Record], unwanted: &mut dyn FnMut(&Source)) -> io::Result<()> {
        let Some(one) = fragments.first() else { return Ok(()) };
        let source = self.source(*one)?;
        match source.format.map_or(Spread::No, ImportFormat::spread) {
            Spread::Rows | Spread::Anywhere => {
                let first = fragments.iter().min_by_key(|record| record.sequence);
                self.add(*first.unwrap_or(one), fragments)
            }
            Spread::Halves => {
                let mut waiting: Option<Record> = None;
                for half in fragments {
                    match waiting.take_if(|other| other.order != half.order) {
                        Some(other) => self.add(*half, &[other, *half])?,
                        None if waiting.is_some() => self.add_alone(*half)?,
                        None => waiting = Some(*half),
                    }
                }
                waiting.map_or(Ok(()), |half| self.add_alone(half))
            }
            Spread::No => {
                let items = fragments.iter().take_while(|record| record.rank == 0).count();
                let (items, sides) = fragments.split_at(items);
                let Some((first, others)) = items.split_first() else {
                    for side in sides {
                        unwanted(&*self.source(*side)?);
                    }
                    return Ok(());
                };
                let joined: Vec<_> = [first].into_iter().chain(sides).copied().collect();
                if sides.is_empty() {
                    self.add_alone(*first)?;
                } else {
                    self.add(*first, &joined)?;
                }
                others.iter().try_for_each(|item| self.add_alone(*item))
            }
        }
    }

    fn source(&self, record: Record) -> io::Result<Arc<Source>> {
        let place = usize::try_from(record.source).ok();
        place.and_then(|place| self.sources.get(place)).cloned().ok_or_else(lost)
    }

    /// Adds a list of fragments, as an item that was found where one of them was.
    fn add(&mut self, found: Record, fragments: &[Record]) -> io::Result<()> {
        let mut span = found.span();
        let mut text = vec![b'['];
        for (at, record) in fragments.iter().enumerate() {
            if text.len() as u64 + record.length > self.item_bytes as u64 {
                span.fault = Some(Fault::TooLarge(self.item_bytes));
                text.clear();
                break;
            }
            if at > 0 {
                text.push(b',');
            }
            self.texts.read(*record, &mut text)?;
        }
        text.push(b']');
        let source = self.source(found)?;
        if let Some(again) = &mut self.again
            && span.fault.is_none()
            && let Some(format) = source.format.filter(|format| format.spread() == Spread::Anywhere)
            && let Some(added) =
                std::str::from_utf8(&text).ok().and_then(|text| format.regroup(text))
        {
            let found = Found { source: &source, span: &span };
            again.put(key_of(format, &added.key), found, added.order, added.text.as_bytes())?;
        }
        self.whole.add(&source, &span, &text);
        Ok(())
    }

    fn add_alone(&mut self, record: Record) -> io::Result<()> {
        let mut text = Vec::new();
        self.texts.read(record, &mut text)?;
        let source = self.source(record)?;
        self.whole.add(&source, &record.span(), &text);
        Ok(())
    }
}

/// The texts of fragments, once all are written.
struct Texts {
    file: BufReader<File>,
    at: u64,
}

impl Texts {
    fn of(spill: Spill) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(spill.into_file()?), at: 0 })
    }

    /// Appends the text of a fragment.
    fn read(&mut self, record: Record, into: &mut Vec<u8>) -> io::Result<()> {
        let distance = i128::from(record.at) - i128::from(self.at);
        self.file.seek_relative(i64::try_from(distance).map_err(|_| lost())?)?;
        let read = (&mut self.file).take(record.length).read_to_end(into)? as u64;
        self.at = record.at + read;
        if read == record.length { Ok(()) } else { Err(lost()) }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a fragment is not where it was put")
}
