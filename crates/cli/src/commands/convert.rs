//! `retort convert`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use retort_formats::import::Refusal;
use retort_model::{Account, DatasetName, Reason, Repair, Tally, Warning, bounds};
use retort_service::{Error, Report, convert, discard};
use serde_json::json;

use super::{Failure, STOPPED};
use crate::args::{Making, Reading, Selecting, Shaping, dataset_plan, plan, threads};
use crate::progress::Bar;
use crate::words::{bytes, count, several};

/// Read histories and write a dataset package.
#[derive(Args)]
pub struct Convert {
    #[command(flatten)]
    reading: Reading,

    /// Where the package goes: a folder, or one archive if it ends on `.zip`.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,

    #[command(flatten)]
    selecting: Selecting,

    #[command(flatten)]
    shaping: Shaping,

    #[command(flatten)]
    writing: Writing,
}

/// How long a run may take to end by itself once it is to stop.
const PATIENCE: Duration = Duration::from_secs(1);

/// How to write the package.
#[derive(Args)]
#[command(next_help_heading = "Package")]
struct Writing {
    /// Name of the dataset [default: the output's name].
    #[arg(long, value_name = "NAME")]
    name: Option<DatasetName>,

    #[command(flatten)]
    making: Making,

    /// Begin a next data file after so many megabytes.
    #[arg(long, value_name = "MB", default_value_t = bounds::SHARD_BYTES / 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    shard_size: u64,

    /// Replace a package that is there.
    #[arg(long)]
    force: bool,

    /// Threads that parse and shape [default: one a core].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

impl Convert {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let writing = self.writing;
        let mut plan = plan(&self.reading, self.selecting, &self.shaping)?;
        let name = match writing.name {
            Some(name) => name,
            None => name_of(&self.output)?,
        };
        plan.dataset = dataset_plan(&self.shaping, writing.making, name, None)?;
        plan.output = self.output;
        plan.shard_bytes = writing.shard_size.saturating_mul(1_000_000);
        plan.threads = threads(writing.threads);
        plan.force = writing.force;

        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let output = plan.output.clone();
        ctrlc::set_handler(move || {
            flag.store(true, Ordering::Relaxed);
            // A run that waits for its input does not see the flag.
            std::thread::sleep(PATIENCE);
            discard(&output);
            std::process::exit(STOPPED.into());
        })?;
        let bar = Bar::new(writing.quiet);
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let report = convert(&plan, &bar, &stopped);
        bar.finish();
        if let Err(stopped @ Error::Stopped) = &report {
            eprintln!("error: {stopped}");
            return Ok(ExitCode::from(STOPPED));
        }
        let report = report?;
        if !writing.quiet {
            summary(&report, began.elapsed(), &mut std::io::stderr().lock())?;
        }
        if writing.json {
            write!(std::io::stdout().lock(), "{}", report.manifest.to_json())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The dataset's name from the output's.
fn name_of(output: &Path) -> Result<DatasetName, Failure> {
    let stem = if output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) {
        output.file_stem()
    } else {
        output.file_name()
    };
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    stem.parse().map_err(|error| format!("{error}; name the dataset with `--name`").into())
}

fn summary(report: &Report, took: Duration, out: &mut impl Write) -> std::io::Result<()> {
    let account = &report.account;
    writeln!(
        out,
        "read       {} in {}",
        several(account.read, "item"),
        several(report.manifest.read.inputs.len() as u64, "file")
    )?;
    findings(account, &report.refused, out)?;
    let seconds = took.as_secs_f64().max(0.001);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed to read"
    )]
    let speed = (report.input_bytes as f64 / seconds) as u64;
    let files = report.manifest.files.iter().filter(|file| file.records.is_some()).count();
    let data = if files > 1 {
        format!("{} in {files} files", bytes(report.data_bytes))
    } else {
        bytes(report.data_bytes)
    };
    writeln!(
        out,
        "package    {} ({data}; {:.1} s, {}/s)",
        report.output.display(),
        seconds,
        bytes(speed)
    )
}

/// What was selected, written, left out and mended.
pub fn findings(
    account: &Account,
    refused: &Tally<Refusal>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let read = account.read - account.refused;
    for (refusal, number, places) in refused.iter() {
        let first = places.first().map(String::as_str).unwrap_or_default();
        writeln!(out, "  refused    {} {} (first: {first})", count(number), refusal.as_str())?;
    }
    let noun = account.noun();
    let not_selected = read - account.selected;
    let others = if not_selected > 0 {
        format!(", {} not selected", count(not_selected))
    } else {
        String::new()
    };
    writeln!(out, "selected   {}{others}", several(account.selected, noun))?;
    writeln!(
        out,
        "written    {} as {}",
        several(account.written, noun),
        several(account.records, "record")
    )?;
    writeln!(out, "left out   {}", several(account.left_out.total(), noun))?;
    list(out, &account.left_out, Reason::words)?;
    if !account.records_left_out.is_empty() {
        writeln!(
            out,
            "left out of written {noun}s   {}",
            several(account.records_left_out.total(), "record")
        )?;
        list(out, &account.records_left_out, Reason::words)?;
    }
    if account.records_repaired > 0 {
        writeln!(out, "repaired   {}", several(account.records_repaired, "record"))?;
        list(out, &account.repaired, Repair::words)?;
    }
    if !account.unrepaired.is_empty() || !account.unfit.is_empty() {
        writeln!(out, "trainers would refuse, as the check is off:")?;
        list(out, &account.unrepaired, Repair::words)?;
        list(out, &account.unfit, Reason::words)?;
    }
    if !account.warned.is_empty() {
        writeln!(out, "to know")?;
        list(out, &account.warned, Warning::words)?;
    }
    Ok(())
}

fn list<K: Ord + Copy>(
    out: &mut impl Write,
    tally: &Tally<K>,
    words: impl Fn(K) -> &'static str,
) -> std::io::Result<()> {
    for (kind, number, _) in tally.iter() {
        writeln!(out, "  {:>8}  {}", count(number), words(kind))?;
    }
    Ok(())
}

/// The findings as JSON.
pub fn findings_json(account: &Account, refused: &Tally<Refusal>) -> serde_json::Value {
    fn tally<K: Ord + Copy>(
        tally: &Tally<K>,
        name: impl Fn(K) -> &'static str,
    ) -> serde_json::Value {
        tally
            .iter()
            .map(|(kind, count, _)| (name(kind).to_owned(), json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
    json!({
        "read": account.read,
        "refused": tally(refused, Refusal::as_str),
        "selected": account.selected,
        "written": account.written,
        "left_out": tally(&account.left_out, Reason::as_str),
        "records": account.records,
        "records_left_out": tally(&account.records_left_out, Reason::as_str),
        "repaired": tally(&account.repaired, Repair::as_str),
        "would_be_refused": tally(&account.unrepaired, Repair::as_str),
        "unfit": tally(&account.unfit, Reason::as_str),
        "warnings": tally(&account.warned, Warning::as_str),
    })
}
