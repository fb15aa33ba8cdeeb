//! The whole server as people, programs and attackers meet it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "../support/house.rs"]
mod house;
#[path = "../support/provider.rs"]
mod provider;

mod access;
mod attacks;
mod bounds;
mod flows;
mod identity;
mod lives;
mod pages;
mod people;
mod runs;
mod sharing;
