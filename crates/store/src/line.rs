//! The canonical line of an item, decompressed while it is read: a line of hundreds of megabytes is never whole in memory.

use std::io::{self, Read};
use std::sync::Arc;

use retort_model::ItemKind;
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer};

use crate::body::{BodyHead, zstd_words};
use crate::dictionaries::Dictionary;
use crate::error::Error;
use crate::summary::Summary;

/// A line as the store keeps it.
pub struct StoredLine {
    packed: Vec<u8>,
    head: BodyHead,
    dictionary: Option<Arc<Dictionary>>,
}

/// Reads a line from its beginning. Ends with an error if it is not what was written.
pub struct LineReader<'l> {
    context: DCtx<'l>,
    input: InBuffer<'l>,
    head: BodyHead,
    hash: crc32fast::Hasher,
    bytes: usize,
}

impl crate::Store {
    /// Opens the canonical line of a conversation; none if it was purged meanwhile.
    ///
    /// # Errors
    /// It is damaged; those of the database.
    pub fn open_line(&self, summary: &Summary) -> Result<Option<StoredLine>, Error> {
        let found = self.packed_line(ItemKind::Conversation, (summary.key, &summary.id))?;
        let Some((head, packed)) = found else { return Ok(None) };
        let dictionary = self.dictionary_of(head)?;
        Ok(Some(StoredLine { packed, head, dictionary }))
    }
}

impl StoredLine {
    /// Bytes of the line.
    pub fn bytes(&self) -> u64 {
        self.head.size as u64
    }

    /// Reads it from the beginning.
    ///
    /// # Errors
    /// The decompressor's.
    pub fn read(&self) -> Result<LineReader<'_>, Error> {
        let mut context = DCtx::create();
        if let Some(dictionary) = &self.dictionary {
            let used = context.ref_ddict(&dictionary.unpack);
            used.map_err(|code| Error::Damaged(format!("a dictionary: {}", zstd_words(code))))?;
        }
        Ok(LineReader {
            context,
            input: InBuffer::around(&self.packed),
            head: self.head,
            hash: crc32fast::Hasher::new(),
            bytes: 0,
        })
    }
}

impl Read for LineReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let damaged = |why: &str| {
            let why = format!("a conversation cannot be unpacked: {why}");
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let mut output = OutBuffer::around(out);
        loop {
            let before = self.input.pos();
            let result = self.context.decompress_stream(&mut output, &mut self.input);
            let left = result.map_err(|code| damaged(zstd_words(code)))?;
            if output.pos() > 0 || left == 0 || self.input.pos() == before {
                break;
            }
        }
        let length = output.pos();
        self.hash.update(out.get(..length).unwrap_or_default());
        self.bytes += length;
        let is_whole = || {
            let hash = self.hash.clone().finalize();
            self.bytes == self.head.size && i64::from(hash) == self.head.crc32
        };
        if self.bytes > self.head.size || length == 0 && !is_whole() {
            return Err(damaged("it is not what was written"));
        }
        Ok(length)
    }
}
