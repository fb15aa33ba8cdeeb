//! What the tests of several crates share; it needs none of our crates.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[cfg(unix)]
pub mod growth;
#[cfg(unix)]
pub mod postgres;
mod real;
mod slow;

pub use real::{files_below, real_data};
pub use slow::Dribble;
