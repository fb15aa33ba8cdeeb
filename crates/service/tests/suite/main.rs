//! What people ask of the service, asked without HTTP or a process, on a store of its own.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

mod access;
mod audit;
mod deliveries;
mod export;
mod import;
mod judgements;
mod limits;
mod removal;
mod schedules;
mod series;
mod shares;
mod uploads;
mod year;
