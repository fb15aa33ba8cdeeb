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
