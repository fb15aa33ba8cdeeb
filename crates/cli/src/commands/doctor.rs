//! `retort doctor`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{FOUND, Failure, print};
use crate::config::Keeping;
use crate::words::count;

/// Look whether the store, the datasets, the jobs and the disk are as they should be.
#[derive(Args)]
pub struct Doctor {
    /// Read every conversation and every dataset whole.
    #[arg(long)]
    deep: bool,

    /// Remove files that belong to no dataset and no job.
    #[arg(long)]
    repair: bool,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

impl Doctor {
    pub fn run(self) -> Result<ExitCode, Failure> {
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
                print(format!("mended     {mended}"))?;
            }
            for finding in findings {
                print(format!("found      {}: {}", finding.what, finding.problem))?;
            }
            if findings.is_empty() {
                print("all is as it should be")?;
            }
        }
        Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}
