//! `retort delete`.

use std::process::ExitCode;

use clap::Args;
use retort_service::Edit;

use super::Failure;
use crate::args::Choosing;
use crate::changing::change;
use crate::config::StoreArgs;

/// Delete conversations (they can be restored).
///
/// Exports leave out deleted conversations unless you select them with `--status deleted`.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Delete {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let how = self.choosing.how();
        let selection = self.choosing.selection(&[])?;
        change(&self.keeping.client()?, &selection, &Edit::Delete, how)
    }
}
