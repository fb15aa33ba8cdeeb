//! `retort migrate`, `doctor` and `backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Failure, NOT_AS_IT_SHOULD_BE};
use crate::config::Keeping;
use crate::words::{bytes, count};

/// Bring the tables of a store to this release's.
#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    keeping: Keeping,
}

impl Migrate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let (settings, _) = self.keeping.settings()?;
        let (from, to) = retort_service::migrate(&settings)?;
        if from == to {
            eprintln!("the store has schema {to} already");
        } else {
            eprintln!("the store had schema {from}, now it has {to}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Check the store, the objects, the jobs and the disk.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    keeping: Keeping,

    /// Read every conversation and every dataset.
    #[arg(long)]
    deep: bool,

    /// Remove objects that belong to no dataset.
    #[arg(long)]
    repair: bool,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let diagnosis = opened.service.doctor(self.deep, self.repair)?;
        if self.json {
            let findings: Vec<_> = diagnosis
                .findings
                .iter()
                .map(|finding| json!({"what": finding.what, "problem": finding.problem}))
                .collect();
            let sizes: serde_json::Map<_, _> =
                diagnosis.sizes.iter().map(|(name, n)| (name.clone(), json!(n))).collect();
            let whole = json!({"sizes": sizes, "findings": findings, "mended": diagnosis.mended});
            println!("{}", serde_json::to_string_pretty(&whole)?);
        } else {
            println!("store      {}", opened.service.location());
            for (name, size) in &diagnosis.sizes {
                println!("  {:>10}  {name}", count(*size));
            }
            for mended in &diagnosis.mended {
                println!("mended     {mended}");
            }
            for finding in &diagnosis.findings {
                println!("found      {}: {}", finding.what, finding.problem);
            }
            if diagnosis.findings.is_empty() {
                println!("all is as it should be");
            }
        }
        Ok(match diagnosis.findings.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(NOT_AS_IT_SHOULD_BE),
        })
    }
}

/// Copy the store and all datasets into a new folder, while they are in use.
#[derive(Args)]
pub struct Backup {
    /// The folder to make.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    #[command(flatten)]
    keeping: Keeping,
}

impl Backup {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let copied = opened.service.backup(&self.folder)?;
        eprintln!(
            "copied the store and {} of datasets to {}",
            bytes(copied),
            self.folder.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
