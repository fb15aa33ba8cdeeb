//! `retort favorite`.

use std::process::ExitCode;

use clap::Args;
use retort_service::Edit;

use super::Failure;
use crate::args::Choosing;
use crate::changing::change;
use crate::config::StoreArgs;

/// Mark conversations as favorites.
#[derive(Args)]
pub struct Favorite {
    /// Remove the mark.
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Favorite {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let how = self.choosing.how();
        let selection = self.choosing.selection(&[])?;
        change(&self.keeping.client()?, &selection, &Edit::Favorite(!self.off), how)
    }
}
