//! Large batches take turns.
//!
//! Batches of small items have a bound, so a batch is large only if one of its items is. Shaping an item takes several times
//! its size in memory, so threads that each worked on one of hundreds of megabytes would need many gigabytes. The feed waits
//! before it sends a large batch. It sends batches in order, so no batch waits for a later one.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use retort_model::bounds::{BATCH_BYTES, LARGE_BATCH_BYTES_PER_WORKER};

use super::ends::Ends;

/// Bytes of large batches that are in memory.
pub(super) struct LargeBatches {
    bytes: Mutex<u64>,
    fewer: Condvar,
    most: u64,
}

/// Permission to hold a large batch in memory, until it is dropped.
pub struct LargeTurn {
    of: Arc<LargeBatches>,
    bytes: u64,
}

/// The work has ended, so there is no turn.
pub(super) struct Ended;

impl LargeBatches {
    pub(super) fn new(threads: usize) -> Self {
        let most = (threads * LARGE_BATCH_BYTES_PER_WORKER) as u64;
        Self { bytes: Mutex::new(0), fewer: Condvar::new(), most }
    }

    /// Waits until there is room for a batch of so many bytes, or no large one is in memory. Small batches need no turn.
    pub(super) fn enter(
        this: &Arc<Self>,
        bytes: u64,
        ends: &Ends<'_>,
    ) -> Result<Option<LargeTurn>, Ended> {
        if bytes < 2 * BATCH_BYTES as u64 {
            return Ok(None);
        }
        let mut held = this.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *held > 0 && *held + bytes > this.most {
            if !ends.more_wanted() {
                return Err(Ended);
            }
            let waited = this.fewer.wait_timeout(held, Duration::from_millis(20));
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *held += bytes;
        Ok(Some(LargeTurn { of: Arc::clone(this), bytes }))
    }
}

impl LargeTurn {
    /// Bytes of the batch.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for LargeTurn {
    fn drop(&mut self) {
        *self.of.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.of.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn large_batches_have_no_more_memory_together_than_there_is() {
        let stopped = AtomicBool::new(false);
        let ends = Ends::new(&stopped);
        let large = Arc::new(LargeBatches::new(2));
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [3, 30, 10, 300, 20, 1, 40] {
                let turn = LargeBatches::enter(&large, bytes * MIB, &ends);
                let turn = turn.unwrap_or_else(|_| panic!("ended")).expect("it is large");
                most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                let now = &now;
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(turn.bytes() / MIB, Ordering::SeqCst);
                    drop(turn);
                });
            }
        });
        // A batch larger than the limit is in memory alone.
        assert_eq!(most.load(Ordering::SeqCst), 300);
    }

    #[test]
    fn small_batches_do_not_wait_and_nobody_waits_when_all_ends() {
        let stopped = AtomicBool::new(false);
        let ends = Ends::new(&stopped);
        let large = Arc::new(LargeBatches::new(1));
        let enter = |bytes| LargeBatches::enter(&large, bytes, &ends);
        let _first = enter(100 * MIB);
        assert!(matches!(enter(BATCH_BYTES as u64), Ok(None)));
        stopped.store(true, Ordering::Relaxed);
        assert!(enter(100 * MIB).is_err());
    }
}
