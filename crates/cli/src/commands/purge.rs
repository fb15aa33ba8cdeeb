//! `retort purge`.

use std::process::ExitCode;

use clap::Args;
use retort_model::{Selection, Status};
use retort_service::Edit;

use super::{Failure, confirm};
use crate::args::Choosing;
use crate::changing::{change, known};
use crate::config::Keeping;
use crate::words::several;

/// Remove conversations for good. Datasets that were made of them stay.
#[derive(Args)]
pub struct Purge {
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,

    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: Keeping,
}

impl Purge {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let selection = self.choosing.selection(&[])?;
        let house = self.keeping.house()?;
        let number = known(&house, &selection)?;
        if number > 0 {
            let question = format!(
                "{} will be gone for good; datasets that were made of them stay",
                several(number, "conversation")
            );
            confirm(&question, self.yes)?;
        }
        let code = change(&house, &selection, &Edit::Purge, self.json)?;
        if selection.statuses.is_empty() {
            let deleted = Selection { statuses: vec![Status::Deleted], ..selection };
            let number = house.count(&deleted)?;
            if number > 0 {
                let number = several(number, "deleted conversation");
                eprintln!("{number} would match, too; `--status deleted` means them");
            }
        }
        Ok(code)
    }
}
