//! `retort verify`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use retort_service::{
    Difference, Package, PublicKey, SeriesFound, Verified, VerifiedSeries, check_statement,
    open_envelope, statement_path, verify, verify_package, verify_series,
};
use serde_json::json;

use super::{FOUND, Failure, print, print_json};
use crate::display::{bytes, one_line, several};

/// Check packages against their receipts, or against signatures.
///
/// In a folder of packages that a schedule exported or delivered, it also checks that no window is missing or duplicated.
/// With `--key`, a package is also compared with the statement that `retort sign` wrote, and a file that is the signed
/// receipt of an erasure is checked and printed.
#[derive(Args)]
pub struct Verify {
    /// Folder or archive of a package, a folder of packages, or a signed receipt.
    package: PathBuf,

    /// Key to check the signature with: a PEM file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Signed statement about the package [default: beside the package, PACKAGE.statement.json].
    #[arg(long, value_name = "FILE", requires = "key")]
    statement: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let name = self.package.display().to_string();
        let key = self.key.as_deref().map(PublicKey::read).transpose()?;
        if let Some(key) = key.as_ref().filter(|_| is_envelope(&self.package)) {
            return match open_envelope(&self.package, key)? {
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
        let Some(key) = key else {
            return match verify_series(&self.package)? {
                Some(verified) => tell_series(&verified, &name, self.json),
                None => tell(&verify(&self.package)?, &name, self.json),
            };
        };
        let mut package = Package::open(&self.package)?;
        let mut verified = verify_package(&mut package, &AtomicBool::new(false))?;
        let statement = self.statement.unwrap_or_else(|| statement_path(&self.package));
        verified.differences.extend(check_statement(&mut package, &statement, &key)?);
        tell_against(&verified, (&name, "its receipt and its signed statement"), self.json)
    }
}

/// Whether a file is JSON, as a signed receipt is, and no package.
fn is_envelope(path: &Path) -> bool {
    let mut start = [0; 1];
    let read = File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|length| length == 1 && start == *b"{")
}

/// Says what was found in a folder of packages.
fn tell_series(verified: &VerifiedSeries, name: &str, json: bool) -> Result<ExitCode, Failure> {
    let whole = verified.is_whole();
    if json {
        let series: Vec<_> = verified.series.iter().map(series_json).collect();
        let result = json!({
            "whole": whole,
            "packages": verified.packages,
            "files": verified.files,
            "records": verified.records,
            "bytes": verified.bytes,
            "differences": differences_json(&verified.differences),
            "series": series,
        });
        print_json(&result)?;
    } else {
        let mut err = std::io::stderr().lock();
        for difference in &verified.differences {
            writeln!(err, "differs    {}: {}", difference.file, difference.what)?;
        }
        for one in &verified.series {
            let (schedule, (first, last)) = (one_line(&one.schedule, 80), one.numbers);
            for fault in &one.faults {
                writeln!(err, "{:<10} {schedule}: {}", fault.kind.as_str(), fault.what)?;
            }
            let windows = match one.windows {
                0 => "no windows".to_owned(),
                1 => format!("window {first}"),
                _ => format!("windows {first} to {last}"),
            };
            writeln!(err, "series     {schedule}: {windows}, {}", several(one.records, "record"))?;
        }
        let verdict = match (verified.differences.is_empty(), whole) {
            (true, true) => "OK: all packages match their receipts",
            (true, false) => "NOT COMPLETE: windows are missing or duplicated",
            (false, _) => "DOES NOT MATCH the receipts",
        };
        let packages = several(verified.packages, "package");
        let records = several(verified.records, "record");
        writeln!(err, "{name}: {verdict} ({packages}, {records}, {})", bytes(verified.bytes))?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn series_json(one: &SeriesFound) -> serde_json::Value {
    let faults = one.faults.iter();
    let faults: Vec<_> =
        faults.map(|fault| json!({"kind": fault.kind.as_str(), "what": fault.what})).collect();
    json!({
        "schedule": one.schedule,
        "series": one.series,
        "windows": one.windows,
        "records": one.records,
        "faults": faults,
    })
}

fn differences_json(differences: &[Difference]) -> Vec<serde_json::Value> {
    differences.iter().map(|one| json!({"file": one.file, "what": one.what})).collect()
}

/// Says what was found in a package.
pub fn tell(verified: &Verified, name: &str, json: bool) -> Result<ExitCode, Failure> {
    tell_against(verified, (name, "its receipt"), json)
}

fn tell_against(
    verified: &Verified,
    (name, against): (&str, &str),
    json: bool,
) -> Result<ExitCode, Failure> {
    let whole = verified.differences.is_empty();
    if json {
        let result = json!({
            "whole": whole,
            "files": verified.files,
            "records": verified.records,
            "bytes": verified.bytes,
            "differences": differences_json(&verified.differences),
        });
        print_json(&result)?;
    } else {
        let mut err = std::io::stderr().lock();
        for difference in &verified.differences {
            writeln!(err, "differs    {}: {}", difference.file, difference.what)?;
        }
        let verdict = if whole { "OK: matches" } else { "DOES NOT MATCH" };
        let (files, records) =
            (several(verified.files, "file"), several(verified.records, "record"));
        writeln!(
            err,
            "{name}: {verdict} {against} ({files}, {records}, {})",
            bytes(verified.bytes)
        )?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}
