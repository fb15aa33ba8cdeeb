//! Rehearsals: what a thread does within one transaction that is undone at the end. See `Store::rehearse`.
//!
//! The connection of the transaction belongs to the thread, so that every call of the store finds it. What is a transaction
//! otherwise is a savepoint there.

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
            // It is closed next, which undoes what this could not.
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
