//! Rows that follow one another as a rule: joined as they are read, if they do. The first are held until that is known.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use retort_formats::import::ImportFormat;
use retort_formats::import::split::{Batch, Fault, Span};
use retort_model::bounds::ROWS_WATCHED_BYTES;

use super::key::{Found, Key, key_of};
use super::scattered::Scattered;
use crate::pipeline::job::Source;
use crate::pipeline::spill::Batches;

/// The rows of all inputs.
pub(super) struct Rows {
    state: State,
    /// Bytes of the largest item.
    item_bytes: usize,
}

enum State {
    /// The first rows: how those of one item stand shows after some.
    Watched(Watch),
    /// Those of one item follow one another.
    Together(Open),
    /// Those of one item may be anywhere.
    Apart,
}

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

fn keys_of(batch: &Batch, source: &Source, format: &dyn ImportFormat) -> Vec<Option<Key>> {
    let mut fragments = Vec::new();
    let key = |span: &Span| {
        let row = std::str::from_utf8(batch.item(span)).ok().filter(|_| span.fault.is_none())?;
        fragments.clear();
        format.fragments(row, source.name.entry(), &mut fragments);
        fragments.first().map(|row| key_of(format, &row.key))
    };
    batch.items.iter().map(key).collect()
}

impl Rows {
    /// Brings rows together to items of up to so many bytes.
    pub(super) fn bounded(item_bytes: usize) -> Self {
        Self::watching(ROWS_WATCHED_BYTES, item_bytes)
    }

    fn watching(most: usize, item_bytes: usize) -> Self {
        Self { state: State::Watched(Watch { most, ..Watch::default() }), item_bytes }
    }

    /// Takes rows, and gives the items that are complete now.
    pub(super) fn take(
        &mut self,
        batch: Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
        scattered: &mut Scattered,
        whole: &mut Batches,
    ) -> io::Result<()> {
        let keys = keys_of(&batch, source, format);
        self.put(Keyed { source: Arc::clone(source), batch, keys }, scattered, whole)
    }

    fn put(
        &mut self,
        rows: Keyed,
        scattered: &mut Scattered,
        whole: &mut Batches,
    ) -> io::Result<()> {
        match &mut self.state {
            State::Together(open) => open.put(&rows, self.item_bytes, whole),
            State::Apart => {
                for (span, bytes, key) in rows.rows() {
                    match key {
                        Some(key) => {
                            scattered.put(key, Found { source: &rows.source, span }, 0, bytes)?;
                        }
                        None => whole.add(&rows.source, span, bytes),
                    }
                }
            }
            State::Watched(watch) => {
                watch.put(rows);
                if watch.apart || watch.bytes >= watch.most {
                    self.decide(scattered, whole)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the watch, if it goes on.
    fn decide(&mut self, scattered: &mut Scattered, whole: &mut Batches) -> io::Result<()> {
        let State::Watched(watch) = &mut self.state else { return Ok(()) };
        let watch = std::mem::take(watch);
        self.state = if watch.apart { State::Apart } else { State::Together(Open::default()) };
        watch.held.into_iter().try_for_each(|rows| self.put(rows, scattered, whole))
    }

    /// Gives the last item when all rows have come.
    pub(super) fn end(&mut self, scattered: &mut Scattered, whole: &mut Batches) -> io::Result<()> {
        self.decide(scattered, whole)?;
        if let State::Together(open) = &mut self.state {
            open.end(whole);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use retort_formats::import::by_name;

    use super::*;
    use crate::pipeline::spill::push;
    use crate::source::SourceName;

    fn source(place: usize) -> Arc<Source> {
        let name = SourceName { label: format!("in{place}"), side_of: None };
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
        let mut rows = Rows::watching(most, 1 << 20);
        let mut scattered = Scattered::bounded(1 << 20);
        let mut whole = Batches::default();
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
            let source = source(place);
            rows.take(batch(input), &source, format, &mut scattered, &mut whole).unwrap();
        }
        rows.end(&mut scattered, &mut whole).unwrap();
        whole.send(&mut look);
        scattered.end(&mut look, &mut |_| panic!("no side files")).unwrap();
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
