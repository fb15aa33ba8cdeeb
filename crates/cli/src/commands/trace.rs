//! `retort trace`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::datasets::list;
use crate::config::StoreArgs;

/// List the datasets that contain a conversation, run, document or person.
///
/// An item is found even after it was purged; owners of the project see everyone's datasets. To make one again without it,
/// use `retort datasets rebuild NUMBER --without ID`; to delete one, `retort datasets delete NUMBER`.
#[derive(Args)]
pub struct Trace {
    /// The id of the conversation or document, or the request id of the run.
    #[arg(value_name = "ID", required_unless_present = "person", conflicts_with = "person")]
    id: Option<String>,

    /// Everyone's datasets that contain something this person owns or imported and that was not purged; for owners.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Trace {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let backend = self.keeping.backend()?;
        let datasets = match (&self.id, &self.person) {
            (_, Some(name)) => backend.trace_person(name)?,
            (id, None) => backend.trace(id.as_deref().unwrap_or_default())?,
        };
        list(&datasets, self.json, "no dataset contains it")
    }
}
