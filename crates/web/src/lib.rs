//! The doors of Retort over HTTP: a JSON API and pages over the service's verbs.

pub mod blocking;
pub mod bounds;
pub mod extract;
pub mod metrics;
pub mod oidc;
pub mod outgoing;
mod pace;
pub mod problem;
pub mod ranges;
pub mod rates;
pub mod requests;
pub mod server;
