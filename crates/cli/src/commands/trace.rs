//! `retort trace`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::datasets::list;
use crate::config::StoreArgs;

/// List the datasets that contain an item, or a person's items.
///
/// Items are conversations, runs and documents.
///
/// Purged items are found, too. Owners of the project see everyone's datasets. To make a dataset again without the item, use
/// `retort datasets rebuild NUMBER --without ID`; to delete it, `retort datasets purge NUMBER`.
#[derive(Args)]
pub struct Trace {
    /// Id of the conversation or document, or request id of the run.
    #[arg(value_name = "ID", required_unless_present = "person", conflicts_with = "person")]
    id: Option<String>,

    /// List everyone's datasets that contain items of this person: those that they own or imported, and that were not purged.
    /// For owners of the project.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Trace {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let datasets = match (&self.id, &self.person) {
            (_, Some(name)) => client.trace_person(name)?,
            (id, None) => client.trace(id.as_deref().unwrap_or_default())?,
        };
        list(&datasets, self.json, "no dataset contains it")
    }
}
