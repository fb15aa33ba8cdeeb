//! When the work of several threads ends before what feeds it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// Whether the receiver wants more.
pub enum More {
    /// Send more.
    Wanted,
    /// It has enough.
    Enough,
}

/// Why work may end before what feeds it does.
pub struct Ends<'p> {
    /// The person wants it.
    stopped: &'p AtomicBool,
    /// Something failed.
    failed: AtomicBool,
    /// No more is wanted.
    enough: AtomicBool,
    /// The first failure that has no other way to the caller.
    failure: Mutex<Option<Error>>,
}

impl<'p> Ends<'p> {
    /// Work that ends early once `stopped` is set.
    pub fn new(stopped: &'p AtomicBool) -> Self {
        let (failed, enough) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { stopped, failed, enough, failure: Mutex::new(None) }
    }

    pub(super) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Ends everything, as a worker leaves before its work is done: whatever waits for it must not wait for ever.
    pub(super) fn break_off(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Whether everything ends at once.
    pub(super) fn now(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    /// Whether there is reason to read on.
    pub(super) fn more_wanted(&self) -> bool {
        !self.now() && !self.enough.load(Ordering::Relaxed)
    }

    /// Whether the work came to its end.
    ///
    /// # Errors
    /// It was stopped, or something failed.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        if self.failed.load(Ordering::Relaxed) { Err(broke_off()) } else { Ok(()) }
    }
}

/// A worker ended before its work did.
pub(super) fn broke_off() -> Error {
    Error::bug("a worker ended before its work did")
}
