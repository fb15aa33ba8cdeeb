//! `retort export`.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Args;
use retort_formats::package::Counts;
use retort_model::{DatasetName, ItemFilter, JobState, Reason};
use retort_service::{EngineError, Error, ExportRequest, Wanted};
use retort_web::wire;

use super::push::PushArgs;
use super::{Failure, STOPPED, misuse, print_json, stop_flag};
use crate::changing::tell_dry;
use crate::client::{Client, Opened};
use crate::config::StoreArgs;
use crate::display::{bytes, several};
use crate::filters::{ExportFilterArgs, ExportSelection};
use crate::options::{Model, Package, Records};
use crate::progress::Bar;
use crate::views::Views;

/// The arguments of an export of any kind of item.
pub type Export = ExportOf<ExportFilterArgs>;

/// Export conversations, runs or documents as a dataset.
///
/// What is imported, edited or deleted later does not change the dataset.
#[derive(Args)]
pub struct ExportOf<F: Args + ExportSelection> {
    /// Name of the dataset.
    #[arg(value_name = "NAME")]
    name: DatasetName,

    /// Only queue the job, for `retort worker` to run.
    #[arg(long)]
    detach: bool,

    /// Only show what would be exported.
    #[arg(long, conflicts_with = "detach")]
    dry_run: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the job as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    view: F::Views,

    #[command(flatten)]
    filtering: F,

    #[command(flatten)]
    records: Records,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    package: Package,

    #[command(flatten)]
    pushing: PushArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl<F: Args + ExportSelection> ExportOf<F> {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let selection = self.filtering.filter().map_err(misuse)?;
        let selection = self.view.selection(&client, selection)?;
        let kind = selection.kind();
        let options = self.records.0.and(self.model.0).and(self.package.0);
        let mut dataset = options.resolve(self.name, Some(kind))?;
        self.pushing.check(dataset.redaction.is_any())?;
        if self.pushing.is_any() && self.detach {
            return Err(misuse(
                "`--push` waits for the dataset, so it does not work with `--detach`",
            ));
        }
        if self.dry_run {
            let meant = match &selection {
                ItemFilter::Conversations(filter) => client.count(filter)?,
                ItemFilter::Runs(filter) => client.count_runs(filter)?,
                ItemFilter::Documents(filter) => client.count_documents(filter)?,
            };
            let most = selection.limit().unwrap_or(u64::MAX);
            return tell_dry("export", meant.min(most), kind.as_str(), self.json);
        }
        let job = match client.opened() {
            // A template, a tokenizer or a benchmark is a file of this machine, which no request can carry.
            Some(Opened { service, caller, .. }) => {
                service.open_local_files(&mut dataset)?;
                client.job(service.submit_export(caller, &ExportRequest { selection, dataset })?)?
            }
            None => client.submit_export(&ExportRequest { selection, dataset })?,
        };
        if !self.quiet {
            eprintln!("job {}      {} selected", job.id, several(job.items.total, kind.as_str()));
        }
        let stopped = stop_flag()?;
        let code = match self.detach {
            true => ExitCode::SUCCESS,
            false => finish_until(&client, &job, self.quiet, &stopped)?,
        };
        let job = client.job(job.id)?;
        if self.json {
            print_json(&job)?;
        }
        let Some(dataset) = job.dataset.filter(|_| self.pushing.is_any()) else { return Ok(code) };
        let dataset = client.dataset_numbered(dataset)?;
        let bar = Bar::new(self.quiet);
        let opened = client.package(&dataset, &bar, &stopped);
        bar.finish();
        match opened? {
            Some((mut package, _file)) => self.pushing.run(&mut package, &stopped, self.quiet),
            None => Ok(ExitCode::from(STOPPED)),
        }
    }
}

/// What came of a job.
enum Outcome {
    Ended(Box<wire::Job>),
    Failed(String),
    Stopped,
}

/// Does the job, or waits until the server has done it, and says what came of it.
pub fn finish(client: &Client, job: &wire::Job, quiet: bool) -> Result<ExitCode, Failure> {
    let stopped = stop_flag()?;
    finish_until(client, job, quiet, &stopped)
}

/// As [`finish`], for a command that goes on after it.
pub fn finish_until(
    client: &Client,
    job: &wire::Job,
    quiet: bool,
    stopped: &AtomicBool,
) -> Result<ExitCode, Failure> {
    let bar = Bar::new(quiet);
    #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
    let began = Instant::now();
    let id = job.id;
    let outcome = done(client, job, &bar, stopped);
    bar.finish();
    let job = match outcome? {
        Outcome::Ended(job) => job,
        Outcome::Failed(why) => return Err(format!("job {id} failed: {why}").into()),
        Outcome::Stopped => {
            if !client.job(id)?.is_ended() {
                client.cancel(id)?;
            }
            eprintln!("stopped; nothing was published. `retort jobs retry {id}` starts it again.");
            return Ok(ExitCode::from(STOPPED));
        }
    };
    if quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(dataset) = job.dataset else {
        // A run of a schedule that left everything out.
        if let Some(why) = &job.error {
            eprintln!("no dataset: {why}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    let dataset = client.dataset_numbered(dataset)?;
    // Only the dataset's creator may read the receipt itself.
    if let Some(report) = job.report {
        let found: Counts = serde_json::from_value(report)?;
        eprintln!(
            "written    {} as {}",
            several(found.written, job.of.as_deref().unwrap_or("item")),
            several(dataset.records, "record")
        );
        eprintln!("left out   {}", several(found.left_out, job.of.as_deref().unwrap_or("item")));
        for finding in &found.left_out_by_reason {
            let words =
                finding.kind.parse().map_or(finding.kind.as_str(), |reason: Reason| reason.words());
            let kind = &finding.kind;
            eprintln!("  {:>8}  {words} ({kind})", crate::display::count(finding.count));
        }
    }
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed to read"
    )]
    let speed = (job.bytes.total as f64 / seconds) as u64;
    eprintln!(
        "dataset    {} ({}; {seconds:.1} s, {}/s)",
        dataset.name,
        bytes(dataset.bytes),
        bytes(speed)
    );
    eprintln!("`retort datasets download '{}'` downloads it as a ZIP archive.", dataset.name);
    Ok(ExitCode::SUCCESS)
}

impl Outcome {
    /// What a job that has ended came to.
    fn of(job: wire::Job) -> Self {
        if job.is_completed() {
            return Self::Ended(Box::new(job));
        }
        if job.state == JobState::Cancelled.as_str() {
            return Self::Stopped;
        }
        Self::Failed(job.error.unwrap_or_else(|| format!("it is {}", job.state)))
    }
}

/// Does a job here if nobody else does, or waits until it has ended.
fn done(
    client: &Client,
    job: &wire::Job,
    bar: &Bar,
    stopped: &AtomicBool,
) -> Result<Outcome, Failure> {
    if let Some(opened) = client.opened()
        && let Some(outcome) = do_here(opened, job.id, bar, stopped)?
    {
        return Ok(outcome);
    }
    let ended = client.follow(&client.job(job.id)?, bar, stopped)?;
    Ok(ended.map_or(Outcome::Stopped, Outcome::of))
}

/// Does a job; none if a worker of another process holds it, such as that of a server beside this command.
fn do_here(
    opened: &Opened,
    id: i64,
    bar: &Bar,
    stopped: &AtomicBool,
) -> Result<Option<Outcome>, Failure> {
    match opened.service.work_one(Wanted::One(id), bar, stopped)? {
        None => Ok(None),
        Some((_, Ok(_))) => {
            Ok(Some(Outcome::Ended(Box::new((&opened.service.job(&opened.caller, id)?).into()))))
        }
        Some((_, Err(error))) if error.is_stopped() => Ok(Some(Outcome::Stopped)),
        Some((_, Err(bug @ Error::Engine(EngineError::Bug { .. })))) => Err(bug.into()),
        Some((_, Err(error))) => Ok(Some(Outcome::Failed(error.to_string()))),
    }
}
