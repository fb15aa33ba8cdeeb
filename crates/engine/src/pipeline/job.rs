//! Where items come from, and in what portions.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Receiver;

use retort_formats::import::split::Batch;
use retort_formats::import::{ImportFormat, Refusal};

use super::large::{LargeBatches, LargeTurn};
use super::packed::PackedBatch;
use super::workers::Ends;
use crate::error::Error;
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
    fn items(&self) -> u64 {
        match self {
            Self::Items(batch) => batch.items.len() as u64,
            Self::Refused(_) => 1,
            Self::Packed(batch) => batch.items(),
        }
    }

    /// Bytes of the items, unpacked.
    fn bytes(&self) -> u64 {
        match self {
            Self::Items(batch) => batch.bytes.len() as u64,
            Self::Refused(_) => 0,
            Self::Packed(batch) => batch.bytes(),
        }
    }
}

/// Where a feed puts its batches.
pub struct Outlet<'o> {
    jobs: &'o mut dyn FnMut(Job) -> bool,
    ends: &'o Ends<'o>,
    spent: Option<Receiver<Batch>>,
    sequence: u64,
    items: u64,
    large: Arc<LargeBatches>,
    /// Bytes read so far.
    pub read_bytes: Arc<AtomicU64>,
}

impl<'o> Outlet<'o> {
    /// An outlet for a feed that serves so many threads, and comes after so many items.
    pub fn new(
        threads: usize,
        jobs: &'o mut dyn FnMut(Job) -> bool,
        ends: &'o Ends<'o>,
        spent: Option<Receiver<Batch>>,
        items_before: u64,
        read_bytes: Arc<AtomicU64>,
    ) -> Self {
        let large = Arc::new(LargeBatches::new(threads));
        Self { jobs, ends, spent, sequence: 0, items: items_before, large, read_bytes }
    }

    /// A batch whose memory can be used again.
    pub(super) fn spent_batch(&self) -> Batch {
        self.spent.as_ref().and_then(|spent| spent.try_recv().ok()).unwrap_or_default()
    }

    pub(super) fn more_wanted(&self) -> bool {
        self.ends.more_wanted()
    }

    /// Sends work, and returns whether more is wanted. Waits while earlier large batches take up the memory.
    pub fn send(&mut self, source: Arc<Source>, work: Work) -> bool {
        let items = work.items();
        let Ok(turn) = LargeBatches::enter(&self.large, work.bytes(), self.ends) else {
            return false;
        };
        let job = Job { sequence: self.sequence, source, items_before: self.items, work, turn };
        self.sequence += 1;
        self.items += items;
        (self.jobs)(job)
    }
}

/// Where items come from.
pub trait Feed {
    /// Bytes to read; 0 if unknown.
    fn total_bytes(&self) -> u64;

    /// Sends everything, or until no more is wanted.
    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error>;

    /// Items that came before the first of it.
    fn items_before(&self) -> u64 {
        0
    }
}
