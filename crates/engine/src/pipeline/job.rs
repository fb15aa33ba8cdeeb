//! What workers get: items of one source.

use std::sync::Arc;

use retort_formats::import::split::Batch;
use retort_formats::import::{ImportFormat, Refusal};

use super::large::LargeTurn;
use super::packed::PackedBatch;
use crate::source::SourceName;

/// A stream under way.
pub struct Source {
    /// Its place among the streams.
    pub place: usize,
    /// Its names.
    pub name: SourceName,
    /// The import format, once it is known.
    pub format: Option<&'static dyn ImportFormat>,
}

impl Source {
    /// Whether it is a file beside the items, which is read with them.
    pub(super) fn is_side(&self) -> bool {
        self.name.side_of.is_some()
    }
}

/// Some items for a worker.
pub struct Job {
    /// Its place among the jobs.
    pub sequence: u64,
    /// Where the items come from.
    pub source: Arc<Source>,
    /// Items before those of this batch.
    pub items_before: u64,
    /// The items.
    pub work: Work,
    /// Permission to hold a large batch in memory, until it is done.
    pub turn: Option<LargeTurn>,
}

/// What a job holds.
pub enum Work {
    /// Items as their source wrote them.
    Items(Batch),
    /// Something that cannot be read.
    Refused(RefusedInput),
    /// Items that are kept elsewhere, and were chosen there.
    Packed(Box<dyn PackedBatch>),
}

/// What cannot be read of a stream: all of it, or the rest.
pub struct RefusedInput {
    /// The kind of fault.
    pub refusal: Refusal,
    /// What is wrong.
    pub why: String,
    /// Its place among the items, its line and its byte.
    pub position: (u64, u64, u64),
}

impl Work {
    pub(super) fn items(&self) -> u64 {
        match self {
            Self::Items(batch) => batch.items.len() as u64,
            Self::Refused(_) => 1,
            Self::Packed(batch) => batch.items(),
        }
    }

    /// Bytes of the items, unpacked.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Items(batch) => batch.bytes.len() as u64,
            Self::Refused(_) => 0,
            Self::Packed(batch) => batch.bytes(),
        }
    }
}
