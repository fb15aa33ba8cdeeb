//! Dictionaries with which bodies are compressed.
//!
//! What all lines have in common (keys of JSON, words of everyday language and of programs) is in a dictionary that
//! Retort ships: `examples/dictionary.rs` learns it from items that it invents. Earlier releases learnt one from the
//! first bodies of a store and kept it there, so that people's words outlived a purge. Bodies under such a one are
//! written again ([`Store::rewrite_bodies`](crate::Store::rewrite_bodies)), and it is deleted with the last of them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use zstd::zstd_safe::{CDict, DDict, get_dict_id_from_frame};

use crate::dialect::Connection;
use crate::error::Error;

/// The fastest: an import then spends a third of the time it would with the usual 3, for a store a tenth larger.
const LEVEL: i32 = 1;

/// The number for "no dictionary".
pub(crate) const NONE: i64 = 0;

/// The number of the shipped dictionary, above all that stores learnt.
pub(crate) const SHIPPED: i64 = 1_000;

/// The dictionaries of a store: the shipped one, and those that it learnt under earlier releases.
#[derive(Default)]
pub(crate) struct Dictionaries {
    learnt: RwLock<HashMap<i64, Arc<Dictionary>>>,
}

pub(crate) struct Dictionary {
    pub(crate) pack: CDict<'static>,
    pub(crate) unpack: DDict<'static>,
}

impl Dictionary {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { pack: CDict::create(bytes, LEVEL), unpack: DDict::create(bytes) }
    }

    pub(crate) fn shipped() -> &'static Arc<Self> {
        static SHIPPED: OnceLock<Arc<Dictionary>> = OnceLock::new();
        SHIPPED.get_or_init(|| Arc::new(Self::new(include_bytes!("dictionary.bin"))))
    }
}

impl Dictionaries {
    pub(crate) fn load(&self, connection: &mut Connection) -> Result<(), Error> {
        let found =
            connection.rows("SELECT id, bytes FROM dictionary ORDER BY id", &[], |row| {
                Ok((row.int(0)?, Arc::new(Dictionary::new(row.bytes(1)?.unwrap_or_default()))))
            })?;
        self.learnt.write().unwrap_or_else(PoisonError::into_inner).extend(found);
        Ok(())
    }

    /// The dictionary that the compressor names at the start of a frame, of those that were loaded; none where it took
    /// none.
    pub(crate) fn of_frame(&self, packed: &[u8]) -> Option<Option<Arc<Dictionary>>> {
        let named = get_dict_id_from_frame(packed)?;
        let is_it = |one: &&Arc<Dictionary>| one.unpack.get_dict_id() == Some(named);
        let learnt = self.learnt.read().unwrap_or_else(PoisonError::into_inner);
        Some(learnt.values().chain([Dictionary::shipped()]).find(is_it).cloned())
    }

    pub(crate) fn get(&self, id: i64) -> Option<Arc<Dictionary>> {
        if id == SHIPPED {
            return Some(Arc::clone(Dictionary::shipped()));
        }
        self.learnt.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}
