//! The thread that reads: streams into batches of items, halves of conversations joined.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use retort_formats::import::split::{Batch, Fault, Span, Splitter};
use retort_formats::import::{ImportFormat, Shape, sniff};
use retort_model::bounds::ITEM_BYTES;

use super::{Feed, Outlet, Source, Work};
use crate::Error;
use crate::source::{Inputs, SourceName, Stream};

/// Items that are looked at to find out the format of a stream, in each batch until it is found.
const ITEMS_SNIFFED: usize = 16;

/// Items from files, folders, archives and standard input.
pub(crate) struct InputsFeed<'p> {
    inputs: &'p Inputs,
    from: Option<&'static dyn ImportFormat>,
    halves: Halves,
    sources: usize,
}

impl<'p> InputsFeed<'p> {
    pub(crate) fn new(inputs: &'p Inputs, from: Option<&'static dyn ImportFormat>) -> Self {
        Self { inputs, from, halves: Halves::default(), sources: 0 }
    }
}

impl Feed for InputsFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.inputs.bytes
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let read_bytes = Arc::clone(&to.read_bytes);
        for file in &self.inputs.files {
            let more =
                file.each_stream(&read_bytes, &mut |name, stream| self.stream(name, stream, to))?;
            if !more {
                return Ok(());
            }
        }
        self.send_halves(to)
    }
}

impl InputsFeed<'_> {
    fn stream(
        &mut self,
        name: SourceName,
        stream: Stream<'_>,
        to: &mut Outlet<'_>,
    ) -> Result<bool, Error> {
        let place = self.sources;
        self.sources += 1;
        let mut source = Arc::new(Source { place, name, format: self.from });
        let input = match stream {
            Stream::Items(input) => input,
            Stream::Refused(why) => {
                return Ok(to.send(source, Work::Refused(why), 1));
            }
        };
        let mut splitter = Splitter::new(input);
        let mut rows = GatheredRows::default();
        let mut first = true;
        loop {
            let next = splitter.next(to.spent_batch()).map_err(|error| Error::Unpack {
                name: source.name.label.clone(),
                source: error,
            })?;
            let Some(batch) = next else {
                let last = rows.last();
                // An empty stream is told of too.
                if first || !last.items.is_empty() {
                    let count = last.items.len() as u64;
                    return Ok(to.send(source, Work::Items(last), count));
                }
                return Ok(to.more_wanted());
            };
            first = false;
            if source.format.is_none()
                && let Some(format) = format_of(&batch)
            {
                let name =
                    SourceName { label: source.name.label.clone(), stem: source.name.stem.clone() };
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let batch = match source.format {
                Some(format) if format.has_rows() => rows.gather(&batch, format),
                Some(format) if format.has_halves() => {
                    self.halves.join(&batch, &source, format).map_err(|error| Error::Unpack {
                        name: source.name.label.clone(),
                        source: error,
                    })?
                }
                _ => batch,
            };
            let count = batch.items.len() as u64;
            if !to.send(Arc::clone(&source), Work::Items(batch), count) {
                return Ok(false);
            }
        }
    }

    /// Sends what never found its other half, each as an item of its own.
    fn send_halves(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let fail = |source| Error::Unpack { name: "kept halves of conversations".into(), source };
        let held = std::mem::take(&mut self.halves);
        for (source, batch) in held.left_over().map_err(fail)? {
            let count = batch.items.len() as u64;
            if !to.send(source, Work::Items(batch), count) {
                break;
            }
        }
        Ok(())
    }
}

/// The format of the first item that one recognises.
fn format_of(batch: &Batch) -> Option<&'static dyn ImportFormat> {
    batch.items.iter().take(ITEMS_SNIFFED).find_map(|span| {
        let text = std::str::from_utf8(batch.item(span)).ok()?;
        sniff(&Shape::of(text).ok()?)
    })
}

/// Rows in a row that make up one item, gathered until one comes that is of another.
#[derive(Default)]
struct GatheredRows {
    key: Option<String>,
    /// A list of them, still open.
    text: Vec<u8>,
    /// Where the first of them stands.
    span: Option<Span>,
}

impl GatheredRows {
    /// The items that are whole now; the rows that came last wait for more.
    fn gather(&mut self, batch: &Batch, format: &dyn ImportFormat) -> Batch {
        let mut whole = Batch::default();
        for span in &batch.items {
            let bytes = batch.item(span);
            let row = std::str::from_utf8(bytes).ok().filter(|_| span.fault.is_none());
            let key = row.and_then(|row| format.row_key(row));
            if key.is_none() || key != self.key {
                self.end(&mut whole);
            }
            match (key, &mut self.span) {
                (None, _) => push(&mut whole, span, bytes),
                (Some(_), Some(first)) if self.text.len() + bytes.len() > ITEM_BYTES => {
                    first.fault = Some(Fault::TooLarge);
                    self.text.clear();
                }
                (Some(_), Some(first)) if first.fault.is_some() => {}
                (Some(key), first) => {
                    self.text.push(if first.is_some() { b',' } else { b'[' });
                    self.text.extend_from_slice(bytes);
                    first.get_or_insert(*span);
                    self.key = Some(key);
                }
            }
        }
        whole
    }

    fn end(&mut self, whole: &mut Batch) {
        if let Some(span) = self.span.take() {
            self.text.push(b']');
            push(whole, &span, &self.text);
        }
        self.text.clear();
        self.key = None;
    }

    fn last(&mut self) -> Batch {
        let mut whole = Batch::default();
        self.end(&mut whole);
        whole
    }
}

/// Halves of conversations that wait for the other, on disk.
#[derive(Default)]
pub(super) struct Halves {
    waiting: HashMap<String, Held>,
    file: Option<std::fs::File>,
    end: u64,
}

struct Held {
    source: Arc<Source>,
    span: Span,
    at: u64,
    length: usize,
    has_messages: bool,
}

impl Halves {
    /// The batch with halves joined or held back.
    fn join(
        &mut self,
        batch: &Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
    ) -> io::Result<Batch> {
        let mut joined = Batch::default();
        for span in &batch.items {
            let bytes = batch.item(span);
            let half = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| format.half(text, &source.name.stem));
            let Some(half) = half else {
                push(&mut joined, span, bytes);
                continue;
            };
            let other = match self.waiting.get(&half.key) {
                Some(held) if held.has_messages != half.has_messages => {
                    self.waiting.remove(&half.key)
                }
                Some(_) => {
                    // Twice the same half: the second is an item of its own.
                    push(&mut joined, span, bytes);
                    continue;
                }
                None => None,
            };
            match other {
                Some(held) => {
                    let first = self.load(&held)?;
                    let (first, second) =
                        (String::from_utf8_lossy(&first), String::from_utf8_lossy(bytes));
                    push(&mut joined, span, format.join(&first, &second).as_bytes());
                }
                None => self.hold(half.key, half.has_messages, source, span, bytes)?,
            }
        }
        Ok(joined)
    }

    fn hold(
        &mut self,
        key: String,
        has_messages: bool,
        source: &Arc<Source>,
        span: &Span,
        bytes: &[u8],
    ) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.end))?;
            file.write_all(bytes)?;
        }
        let held = Held {
            source: Arc::clone(source),
            span: *span,
            at: self.end,
            length: bytes.len(),
            has_messages,
        };
        self.end += bytes.len() as u64;
        self.waiting.insert(key, held);
        Ok(())
    }

    fn load(&mut self, held: &Held) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; held.length];
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(held.at))?;
            file.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// What is left at the end, in the order it came.
    fn left_over(mut self) -> io::Result<Vec<(Arc<Source>, Batch)>> {
        let mut held: Vec<Held> = std::mem::take(&mut self.waiting).into_values().collect();
        held.sort_by_key(|held| held.at);
        let mut batches: Vec<(Arc<Source>, Batch)> = Vec::new();
        for one in held {
            let bytes = self.load(&one)?;
            match batches.last_mut() {
                Some((source, batch)) if source.place == one.source.place => {
                    push(batch, &one.span, &bytes);
                }
                _ => {
                    let mut batch = Batch::default();
                    push(&mut batch, &one.span, &bytes);
                    batches.push((one.source, batch));
                }
            }
        }
        Ok(batches)
    }
}

fn push(batch: &mut Batch, span: &Span, bytes: &[u8]) {
    let start = batch.bytes.len();
    batch.bytes.extend_from_slice(bytes);
    batch.items.push(Span { start, end: batch.bytes.len(), ..*span });
}
