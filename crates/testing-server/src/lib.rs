//! A whole server and a provider of identities, for tests that ask them.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

pub mod provider;
pub mod server;
