//! What the store promises, on SQLite and on PostgreSQL alike.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

#[path = "contract/edits.rs"]
mod edits;
#[path = "contract/exports.rs"]
mod exports;
#[path = "contract/intake.rs"]
mod intake;
#[path = "contract/listing.rs"]
mod listing;
#[path = "contract/places.rs"]
mod places;
