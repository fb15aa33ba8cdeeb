//! `retort migrate`.

use std::process::ExitCode;

use clap::Args;
use retort_service::migrate;
use serde_json::json;

use super::{Failure, print};
use crate::config::StoreArgs;

/// Take the store to the schema of this release. Make a backup before.
#[derive(Args)]
pub struct Migrate {
    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Migrate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.keeping.here()?;
        let (settings, _) = self.keeping.settings()?;
        let (from, to) = migrate(&settings)?;
        if self.json {
            print(json!({"from": from, "to": to}))?;
        } else if from == to {
            eprintln!("the store has schema {to}, which is the newest");
        } else {
            eprintln!("the store went from schema {from} to {to}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
