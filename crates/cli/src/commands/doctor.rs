//! `retort doctor`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use retort_service::{EngineError, Searched, SoughtTexts};
use serde_json::json;

use super::{FOUND, Failure, print, print_json};
use crate::config::StoreArgs;
use crate::display::{count, one_line};

/// Longest file name that is shown, in characters.
const PLACE_CHARACTERS: usize = 400;

/// Check the store and its datasets.
///
/// The jobs and the disk are checked, too.
#[derive(Args)]
pub struct Doctor {
    /// Read every conversation and dataset completely.
    #[arg(long)]
    deep: bool,

    /// Remove files that belong to no dataset and no job.
    #[arg(long)]
    repair: bool,

    /// Prove that purged texts are gone: search for the texts in FILE, one per line (`-`: standard input).
    ///
    /// Searches the database and its logs, datasets, compressed copies, originals, uploads and temporary files; compressed
    /// files are unpacked. Never prints a text. Exits with code 3 if a text was found.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["deep", "repair"])]
    erased: Option<PathBuf>,

    /// Also search this file or folder, such as a backup, a log or PostgreSQL's data folder.
    #[arg(long, value_name = "PATH", requires = "erased")]
    also: Vec<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

/// Reads the texts to search for from a file, because other users can see arguments and shells record them.
fn texts(file: &Path) -> Result<SoughtTexts, Failure> {
    let mut input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(file).map_err(|error| EngineError::read(file, error))?;
        Box::new(BufReader::new(file))
    };
    Ok(SoughtTexts::read(&file.display().to_string(), &mut input)?)
}

impl Doctor {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if let Some(file) = &self.erased {
            return self.search(&texts(file)?);
        }
        let service = self.keeping.service()?;
        let diagnosis = service.doctor(self.deep, self.repair)?;
        let (findings, mended) = (&diagnosis.findings, &diagnosis.mended);
        if self.json {
            let sizes: serde_json::Map<_, _> =
                diagnosis.sizes.iter().map(|(name, size)| (name.clone(), json!(size))).collect();
            let findings: Vec<_> = findings
                .iter()
                .map(|finding| json!({"what": finding.what, "problem": finding.problem}))
                .collect();
            let whole = json!({
                "store": service.location(),
                "sizes": sizes,
                "findings": findings,
                "mended": mended,
            });
            print(serde_json::to_string_pretty(&whole)?)?;
        } else {
            print(service.location())?;
            for (name, size) in &diagnosis.sizes {
                print(format!("{:>12}  {name}", count(*size)))?;
            }
            for mended in mended {
                print(format!("repaired   {mended}"))?;
            }
            for finding in findings {
                print(format!("found      {}: {}", finding.what, finding.problem))?;
            }
            if findings.is_empty() {
                print("no problems found")?;
            }
        }
        Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }

    fn search(&self, texts: &SoughtTexts) -> Result<ExitCode, Failure> {
        let service = self.keeping.service()?;
        let searched = service.search_erased(texts, &self.also)?;
        let Searched { files, bytes, found, is_cut, not_searched } = &searched;
        if self.json {
            let found: Vec<_> = found
                .iter()
                .map(|one| json!({"line": one.line, "whole": one.is_whole, "place": one.place}))
                .collect();
            let not_searched: Vec<_> = not_searched
                .iter()
                .map(|(place, why)| json!({"place": place, "reason": why}))
                .collect();
            print_json(&json!({
                "store": service.location(),
                "texts": texts.count(),
                "files": files,
                "bytes": bytes,
                "found": found,
                "not_searched": not_searched,
                "more": is_cut,
            }))?;
        } else {
            print(service.location())?;
            print(format!("{:>12}  texts", count(texts.count() as u64)))?;
            print(format!("{:>12}  files searched", count(*files)))?;
            print(format!("{:>12}  bytes searched", count(*bytes)))?;
            for (place, why) in not_searched {
                print(format!("not searched  {}: {why}", one_line(place, PLACE_CHARACTERS)))?;
            }
            for one in found {
                let part = if one.is_whole { "" } else { " (part of it)" };
                print(format!(
                    "found         line {}{part}: {}",
                    one.line,
                    one_line(&one.place, PLACE_CHARACTERS)
                ))?;
            }
            if *is_cut {
                print("more matches were found than are listed")?;
            }
            print(match (found.is_empty(), not_searched.is_empty()) {
                (false, _) => {
                    "texts were found: purge the items, and delete the datasets and files"
                }
                (true, false) => "no text was found in what was searched",
                (true, true) => "no text was found",
            })?;
        }
        Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}
