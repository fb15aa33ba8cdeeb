//! Rows of which several make up one item: brought together while they are read where those of one item stand one
//! after another, else on disk.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use retort_formats::import::ImportFormat;
use retort_formats::import::split::{Batch, Fault, Span};
use retort_model::bounds::{ITEM_BYTES, ROWS_WATCHED_BYTES};
use sha2::{Digest, Sha256};

use super::Source;
use super::aside::{Batches, SendBatch, Spool};

/// The rows of all inputs.
pub(super) struct Rows {
    state: State,
    /// Bytes of the largest item.
    item_bytes: usize,
}

enum State {
    /// The first rows: how those of one item stand shows after some.
    Watched(Watch),
    /// Those of one item stand one after another.
    Together(Open),
    /// Those of one item stand anywhere.
    Apart(Spread),
}

/// A hash of what the rows of one item have in common.
type Key = [u8; 16];

/// Some rows, and the key of each, if it has one.
struct Keyed {
    source: Arc<Source>,
    batch: Batch,
    keys: Vec<Option<Key>>,
}

impl Keyed {
    fn rows(&self) -> impl Iterator<Item = (&Span, &[u8], Option<Key>)> {
        let keys = self.keys.iter().copied();
        self.batch.items.iter().zip(keys).map(|(span, key)| (span, self.batch.item(span), key))
    }
}

fn key_of(batch: &Batch, span: &Span, format: &dyn ImportFormat) -> Option<Key> {
    let row = std::str::from_utf8(batch.item(span)).ok().filter(|_| span.fault.is_none())?;
    Sha256::digest(format.row_key(row)?).first_chunk().copied()
}

impl Default for Rows {
    fn default() -> Self {
        Self::watching(ROWS_WATCHED_BYTES)
    }
}

impl Rows {
    fn watching(most: usize) -> Self {
        Self { state: State::Watched(Watch { most, ..Watch::default() }), item_bytes: ITEM_BYTES }
    }

    /// Brings rows together to items of up to so many bytes.
    pub(super) fn bounded(item_bytes: usize) -> Self {
        Self { item_bytes, ..Self::default() }
    }

    /// Takes rows, and gives the items that are whole now.
    pub(super) fn take(
        &mut self,
        batch: Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
    ) -> io::Result<Batches> {
        let keys = batch.items.iter().map(|span| key_of(&batch, span, format)).collect();
        let mut whole = Batches::default();
        self.put(Keyed { source: Arc::clone(source), batch, keys }, &mut whole)?;
        Ok(whole)
    }

    fn put(&mut self, rows: Keyed, whole: &mut Batches) -> io::Result<()> {
        match &mut self.state {
            State::Together(open) => open.put(&rows, self.item_bytes, whole),
            State::Apart(spread) => spread.put(&rows, whole)?,
            State::Watched(watch) => {
                watch.put(rows);
                if watch.apart || watch.bytes >= watch.most {
                    self.decide(whole)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the watch, if it goes on.
    fn decide(&mut self, whole: &mut Batches) -> io::Result<()> {
        let State::Watched(watch) = &mut self.state else { return Ok(()) };
        let watch = std::mem::take(watch);
        self.state = if watch.apart {
            State::Apart(Spread::new()?)
        } else {
            State::Together(Open::default())
        };
        watch.held.into_iter().try_for_each(|rows| self.put(rows, whole))
    }

    /// Sends what is left when all rows have come.
    pub(super) fn end(mut self, send: &mut SendBatch<'_>) -> io::Result<()> {
        let mut whole = Batches::default();
        self.decide(&mut whole)?;
        if let State::Together(open) = &mut self.state {
            open.end(&mut whole);
        }
        if !whole.send(send) {
            return Ok(());
        }
        match self.state {
            State::Apart(spread) => spread.end(self.item_bytes, send),
            _ => Ok(()),
        }
    }
}

/// Rows held until it is known how they stand.
#[derive(Default)]
struct Watch {
    held: Vec<Keyed>,
    bytes: usize,
    /// Bytes after which those of one item are taken to stand together.
    most: usize,
    /// Of the last row.
    key: Option<Key>,
    /// Those that other rows have followed.
    ended: HashSet<Key>,
    /// Whether one of these came again.
    apart: bool,
}

impl Watch {
    fn put(&mut self, rows: Keyed) {
        for key in rows.keys.iter().copied() {
            if key != self.key {
                self.ended.extend(self.key);
                self.apart |= key.is_some_and(|key| self.ended.contains(&key));
                self.key = key;
            }
        }
        self.bytes += rows.batch.bytes.len();
        self.held.push(rows);
    }
}

/// The rows of one item, until one comes that is of another.
#[derive(Default)]
struct Open {
    key: Option<Key>,
    /// A list of them, still open.
    text: Vec<u8>,
    /// Where the first of them stands.
    first: Option<(Arc<Source>, Span)>,
}

impl Open {
    fn put(&mut self, rows: &Keyed, most: usize, whole: &mut Batches) {
        for (span, bytes, key) in rows.rows() {
            if key.is_none() || key != self.key {
                self.end(whole);
            }
            match (key, &mut self.first) {
                (None, _) => whole.add(&rows.source, span, bytes),
                (Some(_), Some((_, first))) if self.text.len() + bytes.len() > most => {
                    first.fault = Some(Fault::TooLarge(most));
                    self.text.clear();
                }
                (Some(_), Some((_, first))) if first.fault.is_some() => {}
                (Some(_), first) => {
                    self.text.push(if first.is_some() { b',' } else { b'[' });
                    self.text.extend_from_slice(bytes);
                    first.get_or_insert_with(|| (Arc::clone(&rows.source), *span));
                    self.key = key;
                }
            }
        }
    }

    fn end(&mut self, whole: &mut Batches) {
        if let Some((source, span)) = self.first.take() {
            self.text.push(b']');
            whole.add(&source, &span, &self.text);
        }
        self.text.clear();
        self.key = None;
    }
}

/// Rows on disk, each with the place of the one of the same item before it.
struct Spread {
    spool: Spool,
    /// Where the last row of each item lies.
    last: HashMap<Key, u64>,
    /// In the order of their first rows.
    items: Vec<Key>,
    sources: Vec<Arc<Source>>,
}

/// What stands before a row on disk: where the one before it lies, its length, its source, and where it stood there.
const HEAD: usize = 8 * 6;

/// Where the row before lies, if there is none.
const NOWHERE: u64 = u64::MAX;

impl Spread {
    fn new() -> io::Result<Self> {
        let (last, items, sources) = Default::default();
        Ok(Self { spool: Spool::new()?, last, items, sources })
    }

    fn put(&mut self, rows: &Keyed, whole: &mut Batches) -> io::Result<()> {
        if self.sources.last().is_none_or(|last| last.place != rows.source.place) {
            self.sources.push(Arc::clone(&rows.source));
        }
        let place = self.sources.len() as u64 - 1;
        for (span, bytes, key) in rows.rows() {
            let Some(key) = key else {
                whole.add(&rows.source, span, bytes);
                continue;
            };
            let before = self.last.insert(key, self.spool.length());
            if before.is_none() {
                self.items.push(key);
            }
            let length = bytes.len() as u64;
            let before = before.unwrap_or(NOWHERE);
            for number in [before, length, place, span.index, span.line, span.byte] {
                self.spool.put(&number.to_le_bytes())?;
            }
            self.spool.put(bytes)?;
        }
        Ok(())
    }

    fn end(mut self, most: usize, send: &mut SendBatch<'_>) -> io::Result<()> {
        let mut whole = Batches::default();
        let mut text = Vec::new();
        for key in std::mem::take(&mut self.items) {
            let Some(last) = self.last.get(&key).copied() else { continue };
            let (source, span) = self.read(last, most, &mut text)?;
            whole.add(&source, &span, &text);
            if !whole.send_full(send) {
                return Ok(());
            }
        }
        whole.send(send);
        Ok(())
    }

    /// Reads the rows up to the one at `last` as a list; says where the first stood.
    fn read(
        &mut self,
        last: u64,
        most: usize,
        text: &mut Vec<u8>,
    ) -> io::Result<(Arc<Source>, Span)> {
        let lost = || io::Error::new(io::ErrorKind::InvalidData, "a row is not where it was put");
        let mut rows = Vec::new();
        let (mut at, mut size) = (last, 0);
        let mut first = [0; 6];
        while at != NOWHERE {
            let mut head = [0; HEAD];
            self.spool.read(at, &mut head)?;
            for (number, bytes) in first.iter_mut().zip(head.chunks_exact(8)) {
                *number = u64::from_le_bytes(bytes.try_into().map_err(|_| lost())?);
            }
            let length = usize::try_from(first[1]).map_err(|_| lost())?;
            rows.push((at + HEAD as u64, length));
            size += length + 1;
            at = first[0];
        }
        text.clear();
        let [_, _, place, index, line, byte] = first;
        let place = usize::try_from(place).map_err(|_| lost())?;
        let source = self.sources.get(place).cloned().ok_or_else(lost)?;
        let mut span = Span { start: 0, end: 0, index, line, byte, fault: None };
        if size > most {
            span.fault = Some(Fault::TooLarge(most));
            return Ok((source, span));
        }
        for (at, length) in rows.into_iter().rev() {
            text.push(if text.is_empty() { b'[' } else { b',' });
            let start = text.len();
            text.resize(start + length, 0);
            self.spool.read(at, text.get_mut(start..).unwrap_or_default())?;
        }
        text.push(b']');
        Ok((source, span))
    }
}

#[cfg(test)]
mod tests {
    use retort_formats::import::by_name;

    use super::super::aside::push;
    use super::*;
    use crate::source::SourceName;

    fn source(place: usize) -> Arc<Source> {
        let name = SourceName { label: format!("in{place}"), stem: String::new() };
        Arc::new(Source { place, name, format: by_name("chunks") })
    }

    /// Rows as `document.text`; one of no document is not a row.
    fn batch(rows: &str) -> Batch {
        let mut batch = Batch::default();
        for (index, row) in (1..).zip(rows.split(' ')) {
            let row = match row.split_once('.') {
                Some((id, text)) => format!(r#"{{"document_id":"{id}","text":"{text}"}}"#),
                None => format!(r#"{{"text":"{row}"}}"#),
            };
            let span = Span { start: 0, end: 0, index, line: index, byte: 0, fault: None };
            push(&mut batch, &span, row.as_bytes());
        }
        batch
    }

    /// What becomes of inputs when so many bytes are watched: where each item's first row stood, and its texts.
    fn gathered(most: usize, inputs: &[&str]) -> Vec<String> {
        let format = by_name("chunks").unwrap();
        let mut rows = Rows::watching(most);
        let mut found = Vec::new();
        let mut look = |source: Arc<Source>, batch: Batch| {
            for span in &batch.items {
                let text = std::str::from_utf8(batch.item(span)).unwrap();
                let texts = text.split("\"text\":\"").skip(1).map(|rest| &rest[..1]);
                let texts: String = texts.collect();
                found.push(format!("{}#{} {texts}", source.name.label, span.index));
            }
            true
        };
        for (place, input) in inputs.iter().enumerate() {
            rows.take(batch(input), &source(place), format).unwrap().send(&mut look);
        }
        rows.end(&mut look).unwrap();
        found
    }

    #[test]
    fn rows_one_after_another_are_one_item_also_across_inputs() {
        for most in [0, 1 << 20] {
            let found = gathered(most, &["a.1 a.2 b.3", "b.4", "b.5 c.6"]);
            assert_eq!(found, ["in0#1 12", "in0#3 345", "in2#2 6"], "{most}");
        }
    }

    #[test]
    fn rows_that_stand_apart_are_brought_together() {
        let found = gathered(1 << 20, &["a.1 b.2 a.3 x", "c.4 b.5", "a.6 c.7"]);
        assert_eq!(found, ["in0#4 x", "in0#1 136", "in0#2 25", "in1#1 47"]);
        // Seen in the first rows that are looked at, though most come later.
        let found = gathered(1, &["a.1 b.2 a.3", "b.4 a.5"]);
        assert_eq!(found, ["in0#1 135", "in0#2 24"]);
    }

    #[test]
    fn rows_that_stand_apart_too_late_to_be_seen_are_items_of_their_own() {
        let found = gathered(1, &["a.1 b.2", "a.3"]);
        assert_eq!(found, ["in0#1 1", "in0#2 2", "in1#1 3"]);
    }
}
