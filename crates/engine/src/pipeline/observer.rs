//! Progress reports.

use std::sync::atomic::{AtomicU64, Ordering};

use super::delivery::Delivery;
use super::ends::More;
use crate::error::Error;

/// How far an export is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read from the disk.
    pub read_bytes: u64,
    /// Bytes to read; 0 if unknown.
    pub total_bytes: u64,
    /// Records written.
    pub records: u64,
}

/// Is told how far an export is.
pub trait Observer: Sync {
    /// Called often; must be cheap.
    fn progress(&self, progress: Progress);
}

/// An observer that does nothing.
pub struct Nobody;

impl Observer for Nobody {
    fn progress(&self, _progress: Progress) {}
}

/// Reports several passes over the same input to one observer, as the progress of a single reading.
pub struct Passes<'o> {
    observer: &'o dyn Observer,
    /// The number of this pass, from 0, and the number of all passes.
    pass: u64,
    passes: u64,
}

impl<'o> Passes<'o> {
    /// An observer for each of `N` passes.
    pub fn of<const N: usize>(observer: &'o dyn Observer) -> [Self; N] {
        std::array::from_fn(|pass| Self { observer, pass: pass as u64, passes: N as u64 })
    }
}

impl Observer for Passes<'_> {
    fn progress(&self, progress: Progress) {
        let read_bytes = progress.read_bytes + self.pass * progress.total_bytes;
        let total_bytes = progress.total_bytes * self.passes;
        self.observer.progress(Progress { read_bytes, total_bytes, ..progress });
    }
}

/// Hands deliveries to `take`, and tells the observer after each how far the work is.
pub(super) fn observed<'t>(
    (mut records, total_bytes): (u64, u64),
    read_bytes: &'t AtomicU64,
    observer: &'t dyn Observer,
    take: &'t mut (dyn FnMut(Delivery) -> Result<More, Error> + Send),
) -> impl FnMut(Delivery) -> Result<More, Error> + Send + 't {
    move |delivery| {
        records += delivery.records();
        let more = take(delivery);
        let read_bytes = read_bytes.load(Ordering::Relaxed);
        observer.progress(Progress { read_bytes, total_bytes, records });
        more
    }
}
