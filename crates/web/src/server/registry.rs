//! The connections that are open: how many each address has, and which of them idle.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rates::Key;

/// All connections.
#[derive(Default)]
pub(super) struct Registry {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Arc<Entry>>,
}

/// A connection that is open.
pub(super) struct Entry {
    /// Its address, as addresses are counted.
    from: String,
    /// Since when nobody has asked for anything on it; none while a request is answered.
    idle_since: Mutex<Option<Instant>>,
    close: Notify,
}

impl Entry {
    pub(super) fn set_idle(&self, is_idle: bool) {
        let since = is_idle.then(Instant::now);
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the connection is to make room for another.
    pub(super) async fn is_to_close(&self) {
        self.close.notified().await;
    }
}

/// A connection's place in the registry, as long as it is open.
pub(super) struct Registered {
    registry: Arc<Registry>,
    number: u64,
    pub(super) entry: Arc<Entry>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().entries.remove(&self.number);
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection.
    pub(super) fn add(self: &Arc<Self>, from: IpAddr) -> Registered {
        let entry = Arc::new(Entry {
            from: Key::of_address(from),
            idle_since: Mutex::new(Some(Instant::now())),
            close: Notify::new(),
        });
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.entries.insert(number, Arc::clone(&entry));
        drop(open);
        Registered { registry: Arc::clone(self), number, entry }
    }

    /// How many connections an address has.
    pub(super) fn count(&self, from: IpAddr) -> usize {
        let from = Key::of_address(from);
        self.lock().entries.values().filter(|entry| entry.from == from).count()
    }

    /// Closes the connection that has been idle for longest, of that address or of all; whether there was one.
    pub(super) fn close_idle(&self, from: Option<IpAddr>) -> bool {
        let from = from.map(Key::of_address);
        let mut open = self.lock();
        let idle = open
            .entries
            .iter()
            .filter(|(_, entry)| from.as_ref().is_none_or(|from| *from == entry.from))
            .filter_map(|(number, entry)| Some((entry.idle_since()?, *number)))
            .min();
        // Out of the list at once, so that the next one closes another.
        let Some(entry) = idle.and_then(|(_, number)| open.entries.remove(&number)) else {
            return false;
        };
        entry.close.notify_one();
        true
    }
}
