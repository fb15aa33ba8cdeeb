//! The whole server as people, programs and attackers meet it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod access;
mod attacks;
mod bounds;
mod contract;
mod filters;
mod flows;
mod identity;
mod in_process;
mod lives;
mod oidc;
mod outgoing;
mod pages;
mod people;
mod runs;
mod server;
mod sharing;
mod traces;
