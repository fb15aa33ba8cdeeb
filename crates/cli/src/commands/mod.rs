//! One file a command.

pub mod completions;
pub mod convert;
pub mod datasets;
pub mod edit;
pub mod export;
pub mod formats;
pub mod import;
pub mod jobs;
pub mod list;
pub mod preview;
pub mod show;
pub mod upkeep;
pub mod verify;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whatever ends a command.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What shells report of a run that was interrupted.
pub const STOPPED: u8 = 130;

/// What was checked is not as it should be.
pub const NOT_AS_IT_SHOULD_BE: u8 = 3;

/// A flag that is set when the person wants the command to stop; the second wish ends it at once.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(STOPPED.into());
        }
    })?;
    Ok(stopped)
}
