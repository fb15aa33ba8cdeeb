//! `retort merge`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use retort_service::{EngineError, MergePlan, Merged, merge, threads};
use serde_json::json;

use super::convert::{finish, stops_writing, what_of};
use super::{Failure, STOPPED, print_json};
use crate::args::whole;
use crate::progress::Bar;

/// Merge parts of an export, or datasets of a schedule.
///
/// The parts that `convert --part` wrote become one package, byte for byte the same as that of a single run. From the
/// datasets of a schedule, the package takes the last state of each item; no window may be missing.
#[derive(Args)]
pub struct Merge {
    /// Folders of parts, in any order; or the datasets of a schedule: folders, archives, or a folder that contains
    /// them.
    #[arg(required = true, value_name = "PATH")]
    parts: Vec<PathBuf>,

    /// Where to write the package: a folder, or one archive if the name ends in `.zip`. A name that ends in `.jsonl`,
    /// `.csv` or `.parquet` gets the data file alone.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,

    /// Combine some of the parts in one folder, to merge with the others later.
    #[arg(long)]
    partial: bool,

    /// Replace an existing package or folder.
    #[arg(long)]
    force: bool,

    /// Number of threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = whole::<usize, 1, 4096>)]
    threads: Option<usize>,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

impl Merge {
    pub fn run(self) -> Result<ExitCode, Failure> {
        // Only their hashes are compared: what the parts have is redacted already.
        retort_service::allow_all_programs();
        let plan = MergePlan {
            parts: self.parts,
            output: self.output,
            is_partial: self.partial,
            force: self.force,
            threads: threads(self.threads),
        };
        let stopped = stops_writing(&plan.output)?;
        let bar = Bar::new(self.quiet);
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let merged = merge(&plan, &bar, &stopped);
        bar.finish();
        if let Err(stopped @ EngineError::Stopped) = &merged {
            eprintln!("error: {stopped}");
            return Ok(ExitCode::from(STOPPED));
        }
        match merged? {
            Merged::Package(report) => {
                let series = report.manifest.series.as_ref();
                let left_out = series.map_or(&[][..], |series| &series.papers_left_out);
                if !left_out.is_empty() && !self.quiet {
                    eprintln!(
                        "left out   {}: they describe each window as a whole, so the merged package has none",
                        left_out.join(" and ")
                    );
                }
                finish(&report, what_of(&plan.output), (self.quiet, self.json), began.elapsed())
            }
            Merged::Parts { output, numbers, count } => {
                if !self.quiet {
                    let (here, output) = (numbers.len(), output.display());
                    eprintln!("parts      {output} ({here} of {count})");
                }
                if self.json {
                    print_json(&json!({"parts": numbers, "count": count}))?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
