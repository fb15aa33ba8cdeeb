//! The formats from outside: what is read, what is written, and what is told of it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

mod agents;
mod api_logs;
mod arrow;
mod atif;
mod attachments;
mod chat;
mod chatgpt;
mod claude;
mod claude_code;
mod databases;
mod datasets;
mod documents;
mod evaluation;
mod fast_agent;
mod foreign_parquet;
mod frameworks;
mod growth;
mod history;
mod marks;
mod media;
mod openai;
mod parquet;
mod preference;
mod products;
mod purposes;
mod read_back;
mod readers;
mod real;
mod real_text;
mod retort;
mod runs;
mod saved_rows;
mod session_files;
mod sessions;
mod standard;
mod tau2;
mod template;
mod tool_sets;
mod trace_tables;
mod traces;
mod understanding;
mod verifiers;
