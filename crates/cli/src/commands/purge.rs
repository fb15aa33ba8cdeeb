//! `retort purge`.

use std::process::ExitCode;

use clap::Args;
use retort_model::{ConversationFilter, Status};
use retort_service::Edit;

use super::{Failure, confirm};
use crate::args::Choosing;
use crate::changing::{change, known};
use crate::config::StoreArgs;
use crate::display::several;

/// Permanently delete conversations.
///
/// Datasets that contain them stay; `retort trace` lists them.
#[derive(Args)]
pub struct Purge {
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Purge {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let how = self.choosing.how();
        let selection = self.choosing.selection(&[])?;
        let client = self.keeping.client()?;
        let number = known(&client, &selection)?;
        if number > 0 && !how.is_dry {
            let question = format!(
                "{} will be permanently deleted; datasets made from them stay",
                several(number, "conversation")
            );
            confirm(&question, self.yes)?;
        }
        let code = change(&client, &selection, &Edit::Purge, how)?;
        if selection.statuses.is_empty() {
            let deleted = ConversationFilter { statuses: vec![Status::Deleted], ..selection };
            let number = client.count(&deleted)?;
            if number > 0 {
                let number = several(number, "deleted conversation");
                eprintln!(
                    "also matching, but not purged: {number}; `--status deleted` selects them"
                );
            }
        }
        Ok(code)
    }
}
