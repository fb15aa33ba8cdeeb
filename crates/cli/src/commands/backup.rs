//! `retort backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::config::StoreArgs;
use crate::display::bytes;

/// Copy the store and its datasets while they are in use.
#[derive(Args)]
pub struct Backup {
    /// Folder to create for the copy.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

impl Backup {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let size = self.keeping.service()?.backup(&self.folder)?;
        if !self.quiet {
            let folder = self.folder.display();
            eprintln!("copied the store and {} of datasets to `{folder}`", bytes(size));
            if self.folder.join("retort.sqlite").exists() {
                eprintln!("`--data {folder}` opens the copy");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
