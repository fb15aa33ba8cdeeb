//! `retort restore`.

use std::process::ExitCode;

use clap::Args;
use retort_model::Status;
use retort_service::Edit;

use super::Failure;
use crate::args::Choosing;
use crate::changing::change;
use crate::config::StoreArgs;

/// Restore deleted conversations.
///
/// Without `--status`, a filter selects deleted conversations only.
#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Restore {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let how = self.choosing.how();
        let selection = self.choosing.selection(&[Status::Deleted])?;
        change(&self.keeping.client()?, &selection, &Edit::Restore, how)
    }
}
