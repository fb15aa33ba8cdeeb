//! `retort man`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use retort_service::EngineError;

use super::Failure;

/// Write the manual pages of all commands to a folder.
#[derive(Args)]
pub struct Man {
    /// Folder for the pages, such as /usr/local/share/man/man1; it is created if it is missing.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    /// Writes the pages of `cli`.
    pub fn run(self, cli: Command) -> Result<ExitCode, Failure> {
        let failed = |error| EngineError::write(&self.folder, error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(cli, &self.folder).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
