//! Where fragments wait: a temporary file for their texts, and batches for the items that they make.
//!
//! The thread that reads meets the fragments of an item far apart, and cannot hold all texts in memory until the item is
//! complete. A [`Spill`] is a file that is only appended to; the caller keeps the place and length of each text, and
//! reads it back when its item is joined. The file has no name (`tempfile`), so the system removes it when the process
//! ends, even if it is killed. Items that are complete are gathered in [`Batches`], one source each, in the order in which
//! they were completed: they go to the workers in batches as large as those of ordinary items.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use retort_formats::import::split::{Batch, Span};
use retort_model::bounds::BATCH_BYTES;

use super::job::Source;

/// Takes a batch of a source; says whether more is wanted.
pub(super) type SendBatch<'s> = dyn FnMut(Arc<Source>, Batch) -> bool + 's;

/// Items in their order, in batches of one source each.
#[derive(Default)]
pub(super) struct Batches(Vec<(Arc<Source>, Batch)>);

impl Batches {
    pub(super) fn of(source: &Arc<Source>, batch: Batch) -> Self {
        Self(vec![(Arc::clone(source), batch)])
    }

    pub(super) fn add(&mut self, source: &Arc<Source>, span: &Span, bytes: &[u8]) {
        match self.0.last_mut() {
            Some((last, batch)) if last.place == source.place => push(batch, span, bytes),
            _ => {
                let mut batch = Batch::default();
                push(&mut batch, span, bytes);
                self.0.push((Arc::clone(source), batch));
            }
        }
    }

    /// Sends them all; says whether more is wanted.
    pub(super) fn send(&mut self, send: &mut SendBatch<'_>) -> bool {
        self.0.drain(..).all(|(source, batch)| send(source, batch))
    }

    /// Sends them as soon as no more goes into the first of them; says whether more is wanted.
    pub(super) fn send_full(&mut self, send: &mut SendBatch<'_>) -> bool {
        let is_full = |(_, batch): &(_, Batch)| batch.bytes.len() >= BATCH_BYTES;
        let full = self.0.len() > 1 || self.0.last().is_some_and(is_full);
        !full || self.send(send)
    }
}

pub(super) fn push(batch: &mut Batch, span: &Span, bytes: &[u8]) {
    let start = batch.bytes.len();
    batch.bytes.extend_from_slice(bytes);
    batch.items.push(Span { start, end: batch.bytes.len(), ..*span });
}

/// Bytes on disk, in a file that nobody else sees and nothing is left of.
pub(super) struct Spill {
    file: BufWriter<File>,
    length: u64,
}

impl Spill {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(BATCH_BYTES, tempfile::tempfile()?), length: 0 })
    }

    /// Where the next bytes will lie.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The file from its beginning, when all is written.
    pub(super) fn into_file(self) -> io::Result<File> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Fills `bytes` with those that lie from `at`.
    pub(super) fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?; // which writes what is held first
        self.file.get_mut().read_exact(bytes)?;
        self.file.get_mut().seek(SeekFrom::Start(self.length))?;
        Ok(())
    }
}
