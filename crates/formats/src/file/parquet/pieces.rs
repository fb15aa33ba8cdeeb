//! The bytes of column chunks, and the way by which they come into the file without a copy.

use std::io::{self, Repeat, Write, repeat};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a piece, at most: such as the allocator has at hand again and again.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes in pieces.
#[derive(Default)]
pub(super) struct Pieces(Vec<Vec<u8>>);

/// A column chunk, and what the file's footer says of it.
pub(super) type ColumnChunk = (Pieces, ColumnCloseResult);

impl Pieces {
    /// How many bytes there are.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Writes them out, each piece let go of behind it.
    pub(super) fn write_to(self, out: &mut dyn Write) -> io::Result<()> {
        self.0.into_iter().try_for_each(|piece| out.write_all(&piece))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.last().is_none_or(|last| last.len() >= PIECE_BYTES) {
            // Many columns are small.
            let room = if self.0.is_empty() { 0 } else { PIECE_BYTES };
            self.0.push(Vec::with_capacity(room));
        }
        let Some(last) = self.0.last_mut() else { return Ok(0) };
        let taken = bytes.len().min(PIECE_BYTES - last.len());
        last.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the library's writer of files writes. It keeps the books of column chunks that go past it: of those it is shown
/// only how long they are, and what it writes for them is dropped.
#[derive(Clone, Default)]
pub(super) struct Books(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    dropped: bool,
}

impl Books {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written since.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// Drops what is written from now on, or no longer.
    pub(super) fn drop_all(&self, dropped: bool) {
        self.lock().dropped = dropped;
    }
}

impl Write for Books {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.lock();
        if !written.dropped {
            written.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A column chunk of so many bytes, which come into the file by another way.
pub(super) struct Elsewhere(pub(super) usize);

impl Length for Elsewhere {
    fn len(&self) -> u64 {
        self.0 as u64
    }
}

impl ChunkReader for Elsewhere {
    type T = Repeat;

    fn get_read(&self, _start: u64) -> parquet::errors::Result<Repeat> {
        Ok(repeat(0))
    }

    fn get_bytes(&self, _start: u64, _length: usize) -> parquet::errors::Result<Bytes> {
        Err(ParquetError::General("the bytes are elsewhere".into()))
    }
}
