//! Panics: a bug in one job or call ends that one, with a message, and nothing else.
//!
//! Every thread that works on a job catches its panics ([`caught`]), so that none is left waiting for a thread that is
//! gone. [`watch`] tells the process of each as it happens.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use crate::error::Error;

/// Characters of a panic's message that are kept.
const MESSAGE_CHARS: usize = 300;

thread_local! {
    /// Where in the source the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has `tell` called with the place in the source of every panic from now on, in place of the message that the
/// standard library prints: that may hold text of a conversation. With `RUST_BACKTRACE` set, it is printed as well.
pub fn watch(tell: impl Fn(&str) + Send + Sync + 'static) {
    let usual = take_hook();
    let is_debugged = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if is_debugged {
            usual(panic);
        }
        tell(&place);
        PLACE.with_borrow_mut(|last| *last = Some(place));
    }));
}

/// Does `act`; a panic in it is an error.
///
/// # Errors
/// [`Error::Bug`] if it panicked.
pub fn caught<T>(act: impl FnOnce() -> T) -> Result<T, Error> {
    PLACE.with_borrow_mut(|last| *last = None);
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| bug(&*panic))
}

/// As [`caught`], for what may fail by itself.
///
/// # Errors
/// Those of `act`; [`Error::Bug`] if it panicked.
pub fn caught_in<T, E: From<Error>>(act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    caught(act)?
}

fn bug(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::Bug {
        place: PLACE.with_borrow_mut(Option::take).unwrap_or_else(|| "an unknown place".into()),
        message: message.chars().take(MESSAGE_CHARS).collect(),
    }
}

/// A place at which tests cause a panic: the next time that a thread comes by while the file that `RETORT_PANIC_AT`
/// names holds the name of the place. The file is removed first, so it happens once. Release builds have none of it.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "on purpose")]
pub fn point(name: &str) {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("RETORT_PANIC_AT").map(PathBuf::from));
    let Some(file) = &*FILE else { return };
    let is_meant = std::fs::read_to_string(file).is_ok_and(|wanted| wanted.trim() == name);
    if is_meant && std::fs::remove_file(file).is_ok() {
        panic!("injected at {name}");
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
/// Nothing in release builds.
pub fn point(_name: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_it_is_a_bug() {
        assert_eq!(caught(|| 7).unwrap(), 7);
        let error = caught(|| panic!("no {}", "way")).map(|(): ()| ()).unwrap_err().to_string();
        assert!(error.contains("bug in Retort") && error.contains("no way"), "{error}");
        let long = caught(|| panic!("{}", "é".repeat(5000))).map(|(): ()| ()).unwrap_err();
        assert!(long.to_string().len() < 1000);
    }
}
