//! `retort verify`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use retort_service::{PublicKey, Verified, open_envelope, verify};
use serde_json::json;

use super::{FOUND, Failure, print};
use crate::display::{bytes, several};

/// Check a package against its receipt, or the signature of a receipt of an erasure.
///
/// With `--key`, a file that is a signed receipt is checked with the public key, and what it says is printed.
#[derive(Args)]
pub struct Verify {
    /// Folder or archive of the package, or file of a signed receipt.
    package: PathBuf,

    /// Key to check the signature with: a PEM file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let name = self.package.display().to_string();
        if let Some(key) = &self.key {
            let key = PublicKey::read(key)?;
            return match open_envelope(&self.package, &key)? {
                Ok((_, payload)) => {
                    eprintln!("{name}: OK: signed by {}", key.id());
                    print(String::from_utf8_lossy(&payload))?;
                    Ok(ExitCode::SUCCESS)
                }
                Err(why) => {
                    eprintln!("{name}: NOT SIGNED by {}: {why}", key.id());
                    Ok(ExitCode::from(FOUND))
                }
            };
        }
        tell(&verify(&self.package)?, &name, self.json)
    }
}

/// Says what was found in a package.
pub fn tell(verified: &Verified, name: &str, json: bool) -> Result<ExitCode, Failure> {
    let whole = verified.differences.is_empty();
    if json {
        let differences: Vec<_> = verified
            .differences
            .iter()
            .map(|one| json!({"file": one.file, "what": one.what}))
            .collect();
        let result = json!({
            "whole": whole,
            "files": verified.files,
            "records": verified.records,
            "bytes": verified.bytes,
            "differences": differences,
        });
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&result)?)?;
    } else {
        let mut err = std::io::stderr().lock();
        for difference in &verified.differences {
            writeln!(err, "differs    {}: {}", difference.file, difference.what)?;
        }
        let verdict = if whole { "OK: matches its receipt" } else { "DOES NOT MATCH its receipt" };
        let (files, records) =
            (several(verified.files, "file"), several(verified.records, "record"));
        writeln!(err, "{name}: {verdict} ({files}, {records}, {})", bytes(verified.bytes))?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}
