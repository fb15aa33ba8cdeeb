//! Rehearsals: a thread's changes in one transaction that is rolled back at the end. See `Store::rehearse`.
//!
//! The transaction's connection is kept for the thread, so that every call of the store uses it. In a rehearsal, calls
//! use savepoints instead of transactions.

use std::cell::RefCell;

use crate::dialect::Connection;

struct Rehearsal {
    /// The address of the store.
    store: usize,
    /// None while a call of the store uses it.
    connection: Option<Connection>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rehearsal>> = const { RefCell::new(None) };
}

/// Ends the thread's rehearsal.
pub(crate) struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        let ended = CURRENT.take();
        if let Some(mut connection) = ended.and_then(|ended| ended.connection) {
            // If this fails, closing the connection rolls the changes back.
            let _ = connection.script("ROLLBACK");
        }
    }
}

/// Begins a rehearsal of the store at that address, with a connection that has begun a transaction.
pub(crate) fn begin(store: usize, connection: Connection) -> Ends {
    CURRENT.set(Some(Rehearsal { store, connection: Some(connection) }));
    Ends
}

/// Whether this thread rehearses.
pub(crate) fn is_under_way() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// The connection, if this thread rehearses with the store at that address.
pub(crate) fn take(store: usize) -> Option<Connection> {
    CURRENT.with_borrow_mut(|current| {
        let current = current.as_mut().filter(|one| one.store == store)?;
        current.connection.take()
    })
}

/// Gives the connection back for the next call.
pub(crate) fn put_back(connection: Connection) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(current) = current {
            current.connection = Some(connection);
        }
    });
}
