//! One file a command.

pub mod completions;
pub mod convert;
pub mod formats;
pub mod preview;
pub mod verify;

/// Whatever ends a command.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
