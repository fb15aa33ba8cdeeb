//! `retort restore-backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use retort_service::restore_backup;

use super::Failure;
use crate::config::StoreArgs;
use crate::display::bytes;

/// Restore the store and its datasets from a backup.
///
/// There must be no store yet; nothing is replaced. A store in PostgreSQL is restored by `pg_restore` into an empty database.
#[derive(Args)]
pub struct RestoreBackup {
    /// Folder that `retort backup` wrote.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

impl RestoreBackup {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.keeping.here()?;
        let (settings, _) = self.keeping.settings()?;
        let size = restore_backup(&settings, &self.folder)?;
        if !self.quiet {
            eprintln!("restored the store and {} of datasets", bytes(size));
            eprintln!("`retort doctor` checks them");
        }
        Ok(ExitCode::SUCCESS)
    }
}
