//! Dry runs: requests that change nothing.

use axum::http::StatusCode;
use retort_service::Caller;
use serde::Deserialize;

/// Whether a request is a dry run.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DryRun {
    /// Check everything and answer as usual, but change nothing.
    pub dry_run: bool,
}

impl DryRun {
    /// The caller, whose changes are undone in a dry run.
    pub fn of(self, caller: Caller) -> Caller {
        if self.dry_run { caller.rehearsing() } else { caller }
    }

    /// The status of the answer: `done`, or in a dry run 200, because nothing was created or queued.
    pub fn status(self, done: StatusCode) -> StatusCode {
        if self.dry_run { StatusCode::OK } else { done }
    }
}
