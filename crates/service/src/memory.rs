//! Memory for what is large.
//!
//! A server answers many requests at once, and one conversation may take hundreds of megabytes. So the server lends memory
//! to each call ([`lent`]), and a call says how much it is about to take before it reads anything large.

use std::cell::RefCell;

use retort_model::bounds::SERVED_ITEM_BYTES;

use crate::error::Error;

/// Waits until there is room for so many bytes; false if there was none in time.
type Take = Box<dyn Fn(u64) -> bool>;

thread_local! {
    static LENDER: RefCell<Option<Take>> = const { RefCell::new(None) };
}

/// Sets the thread's lender back to what it was.
struct Restored(Option<Take>);

impl Drop for Restored {
    fn drop(&mut self) {
        LENDER.replace(self.0.take());
    }
}

/// Does `act` on this thread. Before it reads something large, `take` is called with the bytes of memory that it will
/// need; if that returns false, the call ends with an error.
pub fn lent<T>(take: impl Fn(u64) -> bool + 'static, act: impl FnOnce() -> T) -> T {
    let _before = Restored(LENDER.replace(Some(Box::new(take))));
    act()
}

/// Waits for memory to read an item of `bytes` in `messages`, and to write it again.
///
/// # Errors
/// There was none in time, or the call was stopped.
pub(crate) fn take_for_item(bytes: u64, messages: u64) -> Result<(), Error> {
    take(bytes.saturating_mul(COPIES).saturating_add(messages.saturating_mul(MESSAGE_BYTES)))
}

/// Waits for memory to stream an item of `bytes` in `messages`: it is held packed, with what its messages belong to.
///
/// # Errors
/// As [`take_for_item`].
pub(crate) fn take_to_stream(bytes: u64, messages: u64) -> Result<(), Error> {
    take(bytes.saturating_add(messages.saturating_mul(PLACE_BYTES)))
}

/// Waits for memory to stream an item of `bytes` in `messages` through a filter: what [`take_to_stream`] takes, the files
/// in the messages, and one message at a time.
///
/// # Errors
/// As [`take_for_item`].
pub(crate) fn take_to_filter(bytes: u64, messages: u64) -> Result<(), Error> {
    let message = bytes.min(SERVED_ITEM_BYTES as u64).saturating_mul(COPIES);
    take_to_stream(bytes.saturating_add(message), messages)
}

/// Waits for so many bytes of memory.
///
/// # Errors
/// As [`take_for_item`].
pub(crate) fn take(bytes: u64) -> Result<(), Error> {
    let is_taken = LENDER.with_borrow(|lender| lender.as_ref().is_none_or(|take| take(bytes)));
    if is_taken { Ok(()) } else { Err(Error::NoMemory) }
}

/// How many times an item is in memory while it is answered: as it is stored, with what was set beside it, and as the
/// answer, plain and packed.
const COPIES: u64 = 4;

/// What a message takes besides its text while its conversation is read.
const MESSAGE_BYTES: u64 = 1_000;

/// What is kept of a message, and of its round, while its conversation streams by.
const PLACE_BYTES: u64 = 500;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn memory_is_asked_of_the_lender_and_may_be_refused() {
        take(u64::MAX).unwrap();
        let asked = Rc::new(Cell::new(0));
        let ask = Rc::clone(&asked);
        let take_some = move |bytes| {
            ask.set(ask.get() + bytes);
            bytes < 100_000
        };
        lent(take_some, || {
            take_for_item(10, 2).unwrap();
            assert!(matches!(take(100_000), Err(Error::NoMemory)));
        });
        assert_eq!(asked.get(), 102_040);
        take(u64::MAX).unwrap();
    }
}
