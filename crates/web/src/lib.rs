//! The doors of Retort over HTTP: a JSON API and pages over the service's verbs.

pub mod bounds;
pub mod extract;
mod pace;
pub mod problem;
