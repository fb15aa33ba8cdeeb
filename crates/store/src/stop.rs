//! Work that is to end before its time, because its client has gone, its deadline has passed, or the server stops.
//!
//! A thread works under a [`Stop`], and any other thread that has it may ask it to stop. SQLite looks at it while a
//! statement runs, and a query of PostgreSQL is cancelled. What reads and shapes looks at [`Stop::flag`].

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ends a query at its server.
type Cancel = Box<dyn FnOnce() + Send>;

/// Whether work is to end. Clones are of the same.
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: AtomicBool,
    /// Held while a query is being cancelled, so that its connection does no other meanwhile.
    query: Mutex<Option<Cancel>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Sets the thread's stop back to what it was.
struct Restored(Option<Stop>);

impl Drop for Restored {
    fn drop(&mut self) {
        CURRENT.replace(self.0.take());
    }
}

impl Stop {
    /// What this thread works under; one that nobody asks, if it is nothing.
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone).unwrap_or_default()
    }

    /// Does `act` on this thread under it.
    pub fn under<T>(&self, act: impl FnOnce() -> T) -> T {
        let _before = Restored(CURRENT.replace(Some(self.clone())));
        act()
    }

    /// Asks the work to end.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        let stop = self.clone();
        let has_query = |query: &Mutex<Option<Cancel>>| {
            // One that is being set looks at `asked` afterwards.
            query.try_lock().map_or(true, |query| query.is_some())
        };
        if has_query(&self.0.query) {
            // It goes over the network.
            std::thread::spawn(move || {
                let mut query = stop.lock();
                if let Some(cancel) = query.take() {
                    cancel();
                }
            });
        }
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.flag().load(Ordering::Relaxed)
    }

    /// The flag that is set when it is asked.
    pub fn flag(&self) -> &AtomicBool {
        &self.0.asked
    }

    /// Says how the query that begins can be cancelled, or that it has ended.
    pub(crate) fn set_query(&self, cancel: Option<Cancel>) {
        *self.lock() = cancel;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Cancel>> {
        self.0.query.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what this thread does is to end.
pub(crate) fn is_asked() -> bool {
    CURRENT.with_borrow(|stop| stop.as_ref().is_some_and(Stop::is_asked))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Store;
    use crate::error::Error;

    const SLOW: &str =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000000000)
                        SELECT COUNT(*) FROM n";

    fn ends_when_it_is_asked_to(url: &str) {
        let store = Store::open(url, "identity").unwrap();
        let count = |sql: &str| store.read(|connection| connection.row(sql, &[], |row| row.int(0)));
        let stop = Stop::default();
        let asking = stop.clone();
        let asked = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            asking.ask();
        });
        assert!(matches!(stop.under(|| count(SLOW)), Err(Error::Stopped)));
        asked.join().unwrap();
        // The next thread is not stopped; one that works under the stop is.
        assert_eq!(count("SELECT CAST(7 AS BIGINT)").unwrap(), Some(7));
        assert!(matches!(stop.under(|| count("SELECT 7")), Err(Error::Stopped)));
    }

    #[test]
    fn a_query_of_sqlite_ends_when_it_is_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        ends_when_it_is_asked_to(folder.path().join("store").to_str().unwrap());
    }

    #[test]
    fn a_query_of_postgresql_ends_when_it_is_asked_to() {
        if let Some(url) = retort_testing::postgres::new_database() {
            ends_when_it_is_asked_to(&url);
        }
    }
}
