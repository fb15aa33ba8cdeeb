//! What the store promises, on SQLite and on PostgreSQL alike.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

mod answered;
mod audit;
mod choice;
mod datasets;
mod documents;
mod edits;
mod erasures;
mod exports;
mod intake;
mod jobs;
mod listing;
mod notices;
mod people;
mod places;
mod raw;
mod rehearsals;
mod runs;
mod schedules;
mod secured;
mod shards;
mod shares;
mod tokens;
mod traces;
mod upkeep;
mod views;
