//! `retort sign`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use retort_service::{SecretKey, io_reason, sign_package, statement_path};

use super::Failure;

/// Sign a package with your own key.
///
/// Checks the package against its receipt, and writes a statement about it: an in-toto statement that names every file
/// with its SHA-256 and says what the receipt says, in a DSSE envelope with an Ed25519 signature. `retort verify
/// PACKAGE --key KEY` checks it. The same package and key give the same bytes.
#[derive(Args)]
pub struct Sign {
    /// Folder or archive of the package.
    package: PathBuf,

    /// Secret key: a PEM file, as `openssl genpkey -algorithm ed25519` writes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// File of the statement [default: beside the package, PACKAGE.statement.json].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

impl Sign {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let key = SecretKey::read(&self.key)?;
        let statement = sign_package(&self.package, &key)?;
        let output = self.output.unwrap_or_else(|| statement_path(&self.package));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).truncate(true);
        let opened = match self.force {
            true => options.create(true).open(&output),
            false => options.create_new(true).open(&output),
        };
        let written =
            opened.and_then(|mut file| std::io::Write::write_all(&mut file, statement.as_bytes()));
        written.map_err(|error| {
            let hint = if self.force { "" } else { "; `--force` replaces it" };
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    format!("`{}` already exists{hint}", output.display())
                }
                _ => format!("cannot write `{}`: {}", output.display(), io_reason(&error)),
            }
        })?;
        eprintln!("signed by {}: {}", key.public().id(), output.display());
        Ok(ExitCode::SUCCESS)
    }
}
