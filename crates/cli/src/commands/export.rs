//! `retort export`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use retort_model::{DatasetName, JobKind};
use retort_service::{Done, Error, ExportRequest};

use super::{Failure, STOPPED, print, stop_flag};
use crate::args::{Making, Selecting, Shaping, dataset_plan};
use crate::config::{Keeping, Opened};
use crate::progress::Bar;
use crate::words::{bytes, several};

/// Make a dataset of conversations in the store: of all that match, of some by id, or of the most recent.
#[derive(Args)]
pub struct Export {
    /// Name of the dataset.
    #[arg(value_name = "NAME")]
    name: DatasetName,

    /// Queue it and leave it to a worker (`retort worker`).
    #[arg(long)]
    detach: bool,

    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the job as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    selecting: Selecting,

    #[command(flatten)]
    shaping: Shaping,

    #[command(flatten)]
    making: Making,

    #[command(flatten)]
    keeping: Keeping,
}

impl Export {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let request = ExportRequest {
            selection: self.selecting.into(),
            dataset: dataset_plan(&self.shaping, self.making, self.name)?,
        };
        let id = opened.service.submit_export(&opened.caller, &request)?;
        if !self.quiet {
            let total = opened.service.job(&opened.caller, id)?.progress.items_total;
            eprintln!("job {id}      {} selected", several(total, "conversation"));
        }
        let code = if self.detach { ExitCode::SUCCESS } else { finish(&opened, id, self.quiet)? };
        if self.json {
            let job = opened.service.job(&opened.caller, id)?;
            print(serde_json::to_string_pretty(&super::jobs::as_json(&job))?)?;
        }
        Ok(code)
    }
}

/// Does the job and says what came of it.
pub fn finish(opened: &Opened, id: i64, quiet: bool) -> Result<ExitCode, Failure> {
    let stopped = stop_flag()?;
    let bar = Bar::new(quiet);
    #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
    let began = Instant::now();
    let done = opened.service.work_one(Some(id), &bar, &stopped);
    bar.finish();
    let Some((job, done)) = done? else {
        return Err(format!(
            "job {id} is held by another worker; `retort jobs watch {id}` follows it"
        )
        .into());
    };
    let dataset = match done {
        Ok(Done::Export(dataset)) => dataset,
        Ok(Done::Import(_)) => return Ok(ExitCode::SUCCESS),
        Err(Error::Stopped) => {
            if !opened.service.job(&opened.caller, id)?.state.is_ended() {
                opened.service.cancel(&opened.caller, id, JobKind::Export)?;
            }
            eprintln!("stopped; nothing was published. `retort jobs retry {id}` begins again.");
            return Ok(ExitCode::from(STOPPED));
        }
        Err(error) => return Err(format!("job {id} failed: {error}").into()),
    };
    if quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let package = opened.service.open_dataset(&dataset)?;
    let found = &package.manifest().conversations;
    eprintln!(
        "written    {} as {}",
        several(found.written, "conversation"),
        several(dataset.records, "record")
    );
    eprintln!("left out   {}", several(found.left_out, "conversation"));
    for finding in &found.left_out_by_reason {
        eprintln!("  {:>8}  {}", crate::words::count(finding.count), finding.kind);
    }
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed to read"
    )]
    let speed = (job.progress.bytes_total as f64 / seconds) as u64;
    eprintln!(
        "dataset    {} ({}; {seconds:.1} s, {}/s)",
        dataset.name,
        bytes(dataset.bytes),
        bytes(speed)
    );
    eprintln!("`retort datasets download '{}'` brings it here as a ZIP archive.", dataset.name);
    Ok(ExitCode::SUCCESS)
}
