//! Bodies: the canonical line of an item, compressed.

use std::sync::Arc;

use retort_model::bounds::{ITEM_BYTES, PAGE_ITEMS};
use zstd::zstd_safe::{CCtx, DCtx, get_frame_content_size};

use crate::dialect::Value;
use crate::dictionaries::{Dictionary, NONE, SHIPPED};
use crate::error::Error;

/// A body as the store keeps it.
#[derive(Clone, Debug, Default)]
pub struct PackedBody {
    pub(crate) dictionary: i64,
    pub(crate) crc32: u32,
    pub(crate) bytes: Vec<u8>,
}

impl PackedBody {
    /// What the store keeps of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What it takes to read a body back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyHead {
    pub(crate) dictionary: i64,
    pub(crate) crc32: i64,
    /// Bytes of the line.
    pub(crate) size: usize,
}

/// Compresses bodies; one for each thread.
pub struct Packer {
    context: CCtx<'static>,
}

impl crate::Store {
    /// A compressor for one thread.
    pub fn packer(&self) -> Packer {
        Packer { context: CCtx::create() }
    }

    /// A decompressor for one thread.
    pub fn unpacker(&self) -> Unpacker<'_> {
        Unpacker { store: self, context: DCtx::create() }
    }
}

impl Packer {
    /// Compresses the canonical line of an item.
    ///
    /// # Errors
    /// The compressor's.
    pub fn pack(&mut self, line: &[u8]) -> Result<PackedBody, Error> {
        let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(line.len()));
        let packed =
            self.context.compress_using_cdict(&mut bytes, line, &Dictionary::shipped().pack);
        packed.map_err(|code| Error::Sql(format!("compressing: {}", zstd_words(code))))?;
        bytes.shrink_to_fit();
        Ok(PackedBody { dictionary: SHIPPED, crc32: crc32fast::hash(line), bytes })
    }
}

pub(crate) fn zstd_words(code: usize) -> &'static str {
    zstd::zstd_safe::get_error_name(code)
}

/// Decompresses bodies; one for each thread.
pub struct Unpacker<'s> {
    store: &'s crate::Store,
    context: DCtx<'static>,
}

impl Unpacker<'_> {
    /// Decompresses a body behind what is in `out`.
    pub(crate) fn unpack(
        &mut self,
        head: BodyHead,
        packed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let BodyHead { crc32, size, .. } = head;
        if size > ITEM_BYTES.saturating_mul(2) {
            return Err(Error::Damaged(format!("a body of {size} bytes is larger than any")));
        }
        let start = out.len();
        out.resize(start + size, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let result = match self.store.dictionary_of(head)? {
            None => self.context.decompress(room, packed),
            Some(one) => self.context.decompress_using_ddict(room, packed, &one.unpack),
        };
        match result {
            Ok(length) if length == size && i64::from(crc32fast::hash(room)) == crc32 => Ok(()),
            result => {
                out.truncate(start);
                let why = result.map_or_else(zstd_words, |_| "it is not what was written");
                Err(Error::Damaged(format!("a conversation cannot be unpacked: {why}")))
            }
        }
    }
}

impl crate::Store {
    /// The dictionary that a body was compressed with, if there was one.
    pub(crate) fn dictionary_of(&self, head: BodyHead) -> Result<Option<Arc<Dictionary>>, Error> {
        if head.dictionary == NONE { Ok(None) } else { self.dictionary(head.dictionary).map(Some) }
    }

    fn dictionary(&self, id: i64) -> Result<Arc<Dictionary>, Error> {
        if let Some(dictionary) = self.dictionaries.get(id) {
            return Ok(dictionary);
        }
        self.read(|connection| self.dictionaries.load(connection))?;
        self.dictionaries
            .get(id)
            .ok_or_else(|| Error::Damaged(format!("the dictionary {id} is missing")))
    }

    /// Bodies that were compressed with a dictionary that the store learnt from people's conversations under an
    /// earlier release, which keeps words of theirs; and whether one is still there.
    pub fn learnt_dictionaries(&self) -> Result<(u64, u64), Error> {
        self.read(|connection| {
            let mut count = |sql: &str| {
                let found = connection.row(sql, &[], |row| row.int(0))?;
                Ok::<_, Error>(found.unwrap_or(0).unsigned_abs())
            };
            let dictionaries = count("SELECT COUNT(*) FROM dictionary")?;
            // Without one, no body is under one.
            let bodies =
                format!("SELECT COUNT(*) FROM body WHERE dictionary NOT IN ({NONE}, {SHIPPED})");
            Ok((if dictionaries == 0 { 0 } else { count(&bodies)? }, dictionaries))
        })
    }

    /// Writes bodies under learnt dictionaries again, a page in each transaction, and deletes the dictionaries that
    /// none needs any more; says how many were written. What is left after a kill is done by the next call. A damaged
    /// body stays, and its dictionary with it.
    pub fn rewrite_bodies(&self) -> Result<u64, Error> {
        if self.learnt_dictionaries()?.1 == 0 {
            return Ok(0);
        }
        let (mut behind, mut written) = (0, 0);
        let (mut packer, mut unpacker) = (self.packer(), self.unpacker());
        loop {
            let last = self.write(|connection| {
                // While nobody else takes a body's place.
                crate::store::take_turn(connection)?;
                let sql = format!(
                    "SELECT key, dictionary, crc32, bytes FROM body
                     WHERE dictionary NOT IN ({NONE}, {SHIPPED}) AND key > $1 ORDER BY key LIMIT {PAGE_ITEMS}"
                );
                let mut page_bytes = 0;
                let mut last = None;
                let page = connection.rows(&sql, &[Value::Int(behind)], |row| {
                    let packed = row.bytes(3)?.unwrap_or_default().to_vec();
                    Ok((row.int(0)?, row.int(1)?, row.int(2)?, packed))
                })?;
                for (key, dictionary, crc32, packed) in page {
                    last = Some(key);
                    let size = get_frame_content_size(&packed).ok().flatten().unwrap_or(0);
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    let mut line = Vec::new();
                    let head = BodyHead { dictionary, crc32, size };
                    if unpacker.unpack(head, &packed, &mut line).is_err() {
                        continue;
                    }
                    let body = packer.pack(&line)?;
                    let sql = "UPDATE body SET dictionary = $1, bytes = $2 WHERE key = $3";
                    let values =
                        [Value::Int(SHIPPED), Value::Bytes(&body.bytes), Value::Int(key)];
                    written += connection.execute(sql, &values)?;
                    page_bytes += line.len();
                    if page_bytes > ITEM_BYTES {
                        break;
                    }
                }
                Ok(last)
            })?;
            match last {
                Some(last) => behind = last,
                None => break,
            }
        }
        self.write(|connection| {
            let sql = "DELETE FROM dictionary WHERE NOT EXISTS (
                           SELECT 1 FROM body b WHERE b.dictionary = dictionary.id)";
            connection.execute(sql, &[])
        })?;
        self.empty_log()?;
        Ok(written)
    }
}
