//! The thread that reads: streams into batches of items, halves of conversations joined.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use retort_formats::import::split::{Batch, Span, Splitter};
use retort_formats::import::{ImportFormat, Shape, sniff};

use super::rows::Rows;
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
    rows: Rows,
    /// The format whose rows were met last.
    rows_of: Option<&'static dyn ImportFormat>,
    sources: usize,
}

impl<'p> InputsFeed<'p> {
    pub(crate) fn new(inputs: &'p Inputs, from: Option<&'static dyn ImportFormat>) -> Self {
        let (halves, rows) = Default::default();
        Self { inputs, from, halves, rows, rows_of: None, sources: 0 }
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
        self.send_rows(to)?;
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
        let mut sent = 0_u64;
        loop {
            let next = splitter.next(to.spent_batch()).map_err(|error| Error::Unpack {
                name: source.name.label.clone(),
                source: error,
            })?;
            let Some(batch) = next else {
                // One that is empty, or whose rows wait for others, is told of too.
                if sent == 0 {
                    return Ok(to.send(source, Work::Items(Batch::default()), 0));
                }
                return Ok(to.more_wanted());
            };
            if source.format.is_none()
                && let Some(format) = format_of(&batch)
            {
                let name =
                    SourceName { label: source.name.label.clone(), stem: source.name.stem.clone() };
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let fail = |error| Error::Unpack { name: source.name.label.clone(), source: error };
            let batches = match source.format {
                Some(format) if format.has_rows() => {
                    self.rows_of = Some(format);
                    self.rows.take(batch, &source, format).map_err(fail)?
                }
                Some(format) if format.has_halves() => {
                    let joined = self.halves.join(&batch, &source, format).map_err(fail)?;
                    vec![(Arc::clone(&source), joined)]
                }
                _ => vec![(Arc::clone(&source), batch)],
            };
            for (of, batch) in batches {
                sent += u64::from(of.place == place);
                let count = batch.items.len() as u64;
                if !to.send(of, Work::Items(batch), count) {
                    return Ok(false);
                }
            }
        }
    }

    /// Sends the items whose rows might have gone on.
    fn send_rows(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let Some(format) = self.rows_of else { return Ok(()) };
        let fail = |source| Error::Unpack { name: "kept rows of documents".into(), source };
        let mut send = |source, batch: Batch| {
            let count = batch.items.len() as u64;
            to.send(source, Work::Items(batch), count)
        };
        self.rows.end(format, &mut send).map_err(fail)
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

pub(super) fn push(batch: &mut Batch, span: &Span, bytes: &[u8]) {
    let start = batch.bytes.len();
    batch.bytes.extend_from_slice(bytes);
    batch.items.push(Span { start, end: batch.bytes.len(), ..*span });
}
