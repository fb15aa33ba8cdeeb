//! Bodies: the canonical line of a conversation, compressed, with a dictionary once there is enough to learn one
//! from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use retort_model::bounds::{
    DICTIONARY_BYTES, DICTIONARY_SAMPLE_BYTES, DICTIONARY_SAMPLES, ITEM_BYTES,
};
use zstd::zstd_safe::{CCtx, CDict, DCtx, DDict};

use crate::Error;
use crate::dialect::{Connection, Value};

/// The fastest: an import then spends a third of the time it would with the usual 3, for a store a tenth larger.
const LEVEL: i32 = 1;

/// The number for "no dictionary".
const NONE: i64 = 0;

/// The dictionaries of a store.
#[derive(Default)]
pub(crate) struct Dictionaries {
    known: RwLock<HashMap<i64, Arc<Dictionary>>>,
    /// What the next dictionary is learnt from, as long as there is none.
    learning: Mutex<Samples>,
}

struct Dictionary {
    id: i64,
    bytes: Vec<u8>,
    pack: CDict<'static>,
    unpack: DDict<'static>,
}

#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
    done: bool,
}

/// A body as the store keeps it.
#[derive(Clone, Debug, Default)]
pub struct PackedBody {
    pub(crate) dictionary: i64,
    pub(crate) crc32: u32,
    pub(crate) bytes: Vec<u8>,
}

/// What it takes to read a body back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyHead {
    pub(crate) dictionary: i64,
    pub(crate) crc32: i64,
    /// Bytes of the line.
    pub(crate) size: usize,
}

impl Dictionary {
    fn new(id: i64, bytes: Vec<u8>) -> Self {
        let (pack, unpack) = (CDict::create(&bytes, LEVEL), DDict::create(&bytes));
        Self { id, bytes, pack, unpack }
    }
}

impl Dictionaries {
    pub(crate) fn load(connection: &mut Connection) -> Result<Self, Error> {
        let dictionaries = Self::default();
        dictionaries.load_missing(connection)?;
        Ok(dictionaries)
    }

    /// Takes up what other processes have learnt meanwhile.
    fn load_missing(&self, connection: &mut Connection) -> Result<(), Error> {
        let found =
            connection.rows("SELECT id, bytes FROM dictionary ORDER BY id", &[], |row| {
                Ok((row.int(0)?, row.bytes(1)?.unwrap_or_default().to_vec()))
            })?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (id, bytes) in found {
            known.entry(id).or_insert_with(|| Arc::new(Dictionary::new(id, bytes)));
        }
        Ok(())
    }

    /// The newest.
    fn current(&self) -> Option<Arc<Dictionary>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().max_by_key(|dictionary| dictionary.id).cloned()
    }

    fn get(&self, id: i64) -> Option<Arc<Dictionary>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Adds a body to learn from; gives back a dictionary when there is enough.
    fn sample(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut samples = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.done {
            return None;
        }
        // Of long bodies the start: what they have in common stands there.
        let start = body.get(..body.len().min(DICTIONARY_SAMPLE_BYTES)).unwrap_or_default();
        samples.bytes.extend_from_slice(start);
        samples.sizes.push(start.len());
        if samples.sizes.len() < DICTIONARY_SAMPLES {
            return None;
        }
        let Samples { bytes, sizes, .. } =
            std::mem::replace(&mut *samples, Samples { done: true, ..Samples::default() });
        drop(samples);
        // Too little variety to learn from is no fault: bodies then do without.
        zstd::dict::from_continuous(&bytes, &sizes, DICTIONARY_BYTES).ok()
    }
}

/// Compresses bodies; one for each thread.
pub struct Packer<'s> {
    store: &'s crate::Store,
    context: CCtx<'static>,
    dictionary: Option<Arc<Dictionary>>,
}

impl crate::Store {
    /// A compressor for one thread.
    pub fn packer(&self) -> Packer<'_> {
        Packer { store: self, context: CCtx::create(), dictionary: self.dictionaries.current() }
    }

    /// A decompressor for one thread.
    pub fn unpacker(&self) -> Unpacker<'_> {
        Unpacker { store: self, context: DCtx::create() }
    }
}

impl Packer<'_> {
    /// Compresses the canonical line of a conversation.
    ///
    /// # Errors
    /// Those of the database, when a dictionary was learnt and is kept.
    pub fn pack(&mut self, line: &[u8]) -> Result<PackedBody, Error> {
        let dictionaries = &self.store.dictionaries;
        if self.dictionary.is_none() {
            if let Some(bytes) = dictionaries.sample(line) {
                self.store.keep_dictionary(&bytes)?;
            }
            self.dictionary = dictionaries.current();
        }
        self.pack_as_known(line)
    }

    /// As [`Self::pack`], where something is written already: it learns nothing.
    ///
    /// # Errors
    /// The compressor's.
    pub fn pack_as_known(&mut self, line: &[u8]) -> Result<PackedBody, Error> {
        let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(line.len()));
        let (dictionary, result) = match &self.dictionary {
            Some(dictionary) => {
                let packed = self.context.compress_using_cdict(&mut bytes, line, &dictionary.pack);
                (dictionary.id, packed)
            }
            None => (NONE, self.context.compress(&mut bytes, line, LEVEL)),
        };
        result.map_err(|code| Error::Sql(format!("compressing: {}", zstd_words(code))))?;
        bytes.shrink_to_fit();
        Ok(PackedBody { dictionary, crc32: crc32fast::hash(line), bytes })
    }
}

fn zstd_words(code: usize) -> &'static str {
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
        let BodyHead { dictionary, crc32, size } = head;
        if size > ITEM_BYTES.saturating_mul(2) {
            return Err(Error::Damaged(format!("a body of {size} bytes is larger than any")));
        }
        let start = out.len();
        out.resize(start + size, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let result = if dictionary == NONE {
            self.context.decompress(room, packed)
        } else {
            let dictionary = self.store.dictionary(dictionary)?;
            self.context.decompress_using_ddict(room, packed, &dictionary.unpack)
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
    fn dictionary(&self, id: i64) -> Result<Arc<Dictionary>, Error> {
        if let Some(dictionary) = self.dictionaries.get(id) {
            return Ok(dictionary);
        }
        self.read(|connection| self.dictionaries.load_missing(connection))?;
        self.dictionaries
            .get(id)
            .ok_or_else(|| Error::Damaged(format!("the dictionary {id} is missing")))
    }

    /// Keeps a dictionary, unless another process was faster.
    fn keep_dictionary(&self, bytes: &[u8]) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "SELECT COUNT(*) FROM dictionary";
            if connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0) > 0 {
                return Ok(());
            }
            let sql =
                "INSERT INTO dictionary (id, bytes) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
            connection.execute(sql, &[Value::Bytes(bytes)]).map(|_| ())
        })?;
        self.read(|connection| self.dictionaries.load_missing(connection))
    }

    /// Bytes of the dictionaries, for tests and for `doctor`.
    pub(crate) fn dictionary_bytes(&self) -> u64 {
        let known = self.dictionaries.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|dictionary| dictionary.bytes.len() as u64).sum()
    }
}
