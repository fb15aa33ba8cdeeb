//! `retort import`.

use std::fs::File;
use std::io::{BufWriter, Write, sink};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use retort_service::{Error, ImportPlan, ImportReport};

use super::{Failure, STOPPED, print, stop_flag};
use crate::args::Reading;
use crate::config::Keeping;
use crate::progress::Bar;
use crate::words::{count, several};

/// Read histories into the store. What is there already stays, or is brought up to date.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    reading: Reading,

    /// Who held the conversations that do not say who did.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// Look only at what would happen.
    #[arg(long)]
    dry_run: bool,

    /// Write a line of JSON for each item that cannot be read to this file.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the report as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

impl Import {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let missing = self.reading.inputs().into_iter().find_map(|input| match input {
            retort_service::Input::Path(path) if !path.exists() => Some(path),
            _ => None,
        });
        if let Some(path) = missing {
            return Err(format!(
                "cannot read `{}`: there is no such file or folder",
                path.display()
            )
            .into());
        }
        let opened =
            if self.dry_run { self.keeping.open_to_look()? } else { self.keeping.open_or_new()? };
        let plan = ImportPlan {
            inputs: self.reading.inputs(),
            from: self.reading.from(),
            owner: self.owner,
            threads: opened.settings.threads,
            dry_run: self.dry_run,
            names: false,
        };
        let mut rejects: Box<dyn Write> = match &self.rejects {
            None => Box::new(sink()),
            Some(path) => {
                let file = File::create(path)
                    .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
                Box::new(BufWriter::new(file))
            }
        };
        let stopped = stop_flag()?;
        let bar = Bar::new(self.quiet);
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let report = opened.service.import(&opened.caller, &plan, &bar, &stopped, &mut *rejects);
        bar.finish();
        let report = match report {
            Err(Error::Stopped) => {
                eprintln!(
                    "stopped; what was taken in so far is kept. The same command goes on with the rest."
                );
                cancel_open(&opened)?;
                return Ok(ExitCode::from(STOPPED));
            }
            report => report?,
        };
        rejects.flush()?;
        if !self.quiet {
            summary(&report, self.dry_run, began.elapsed(), &mut std::io::stderr().lock())?;
        }
        if self.json {
            print(serde_json::to_string_pretty(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Ends the job that was given back to the queue when the person stopped it.
fn cancel_open(opened: &crate::config::Opened) -> Result<(), Failure> {
    let job = opened.service.jobs(&opened.caller, 1)?.into_iter().next();
    if let Some(job) = job.filter(|job| !job.state.is_ended()) {
        opened.service.cancel(&opened.caller, job.id, job.kind)?;
    }
    Ok(())
}

fn summary(
    report: &ImportReport,
    dry_run: bool,
    took: Duration,
    out: &mut impl Write,
) -> std::io::Result<()> {
    if dry_run {
        writeln!(out, "nothing was changed; this is what would happen:")?;
    }
    writeln!(
        out,
        "read       {} in {} ({:.1} s)",
        several(report.read, "item"),
        several(report.inputs.len() as u64, "file"),
        took.as_secs_f64()
    )?;
    writeln!(out, "new        {}", several(report.new, "conversation"))?;
    for (number, words) in [
        (report.updated, "updated    "),
        (report.same, "unchanged  "),
        (report.older, "older      "),
        (report.repeated, "repeated   "),
    ] {
        if number > 0 {
            writeln!(out, "{words}{}", several(number, "conversation"))?;
        }
    }
    if report.files_passed_over > 0 {
        writeln!(
            out,
            "passed over {} that are no histories",
            several(report.files_passed_over, "file")
        )?;
    }
    if report.refused_count() == 0 {
        return Ok(());
    }
    writeln!(out, "refused    {}", several(report.refused_count(), "item"))?;
    for finding in &report.refused {
        writeln!(out, "  {:>8}  {}", count(finding.count), finding.kind)?;
    }
    for line in &report.first_refused {
        writeln!(out, "  {line}")?;
    }
    if (report.first_refused.len() as u64) < report.refused_count() {
        writeln!(out, "  and others; `--rejects FILE` writes them all")?;
    }
    Ok(())
}
