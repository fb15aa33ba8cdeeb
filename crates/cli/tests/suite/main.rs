//! The built binary from outside: what people type, what they get, and what is left after a kill.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

mod as_model;
mod contract;
mod conversations;
mod convert;
mod datasets;
mod decontaminate;
mod dedup;
mod deliveries;
mod diff;
mod disk;
mod docs;
mod embedded;
mod erasure;
mod erasure_kills;
mod erasure_traces;
mod faults;
mod filters;
mod from_hub;
mod identity;
mod inspect;
mod judging;
mod keep;
mod kills;
mod mapping;
mod objects;
mod originals;
mod outage;
mod package;
mod panics;
mod papers;
mod parts;
mod push;
mod reading;
mod recognisers;
mod redaction;
mod reports;
mod runs;
mod safety;
mod sampling;
mod schedules;
mod server;
mod server_kills;
mod settings;
mod show;
mod splits;
mod stats;
mod store;
mod trace_kills;
mod training;
mod upkeep;
mod usage;
