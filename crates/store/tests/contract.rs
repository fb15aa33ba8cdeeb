//! What the store promises, on SQLite and on PostgreSQL alike.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

#[path = "contract/answered.rs"]
mod answered;
#[path = "contract/audit.rs"]
mod audit;
#[path = "contract/choice.rs"]
mod choice;
#[path = "contract/datasets.rs"]
mod datasets;
#[path = "contract/documents.rs"]
mod documents;
#[path = "contract/edits.rs"]
mod edits;
#[path = "contract/exports.rs"]
mod exports;
#[path = "contract/intake.rs"]
mod intake;
#[path = "contract/jobs.rs"]
mod jobs;
#[path = "contract/listing.rs"]
mod listing;
#[path = "contract/notices.rs"]
mod notices;
#[path = "contract/people.rs"]
mod people;
#[path = "contract/places.rs"]
mod places;
#[path = "contract/runs.rs"]
mod runs;
#[path = "contract/secured.rs"]
mod secured;
#[path = "contract/shares.rs"]
mod shares;
#[path = "contract/tokens.rs"]
mod tokens;
#[path = "contract/upkeep.rs"]
mod upkeep;
