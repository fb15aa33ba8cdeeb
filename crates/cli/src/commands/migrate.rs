//! `retort migrate`.

use std::process::ExitCode;

use clap::Args;
use retort_service::migrate;
use serde_json::json;

use super::{Failure, print};
use crate::changing::tell_would;
use crate::config::StoreArgs;

/// Upgrade the store's schema to this release.
///
/// Make a backup first.
#[derive(Args)]
pub struct Migrate {
    /// Only show from which schema to which it would be upgraded.
    #[arg(long)]
    dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

impl Migrate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.keeping.here()?;
        let (settings, _) = self.keeping.settings()?;
        let (from, to) = migrate(&settings, self.dry_run)?;
        if self.json {
            print(json!({"from": from, "to": to, "dry_run": self.dry_run}))?;
        } else if from == to {
            eprintln!("the store already has the newest schema, {to}");
        } else if self.dry_run {
            tell_would(&format!("upgrade the store from schema {from} to {to}"));
        } else {
            eprintln!("upgraded the store from schema {from} to {to}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
