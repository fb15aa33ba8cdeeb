//! The engine's verbs, asked as the command line and the service ask them: no database, no process.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

mod attached;
mod branches;
mod bson;
mod convert;
mod keep;
mod measure;
mod merge;
mod otlp_protobuf;
mod packages;
mod preview;
mod record_files;
mod sessions;
mod sqlite;
mod survey;
mod verify;
mod workbook;
