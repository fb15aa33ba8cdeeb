//! Where items come from, and how they go to the workers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Receiver;

use retort_formats::import::split::Batch;

use super::ends::Ends;
use super::job::{Job, Source, Work};
use super::large::LargeBatches;
use crate::error::Error;

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
