//! `retort completions`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Failure;

/// Print completions for a shell.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints the completions of `cli`.
    pub fn run(self, mut cli: Command) -> Result<ExitCode, Failure> {
        // The generator ends the process where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli, "retort", &mut script);
        std::io::stdout().lock().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
