//! `retort trace`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::datasets::list;
use crate::config::Keeping;

/// List the datasets that hold something of a conversation or run, also if it was purged.
#[derive(Args)]
pub struct Trace {
    /// The id of the conversation, or the request id of the run.
    #[arg(value_name = "ID")]
    id: String,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

impl Trace {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let datasets = self.keeping.house()?.trace(&self.id)?;
        list(&datasets, self.json, "no dataset holds it")
    }
}
