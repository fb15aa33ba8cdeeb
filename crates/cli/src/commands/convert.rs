//! `retort convert`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use retort_formats::package::{self, Finding};
use retort_model::{DatasetName, Reason, Repair, Tally, Warning, bounds};
use retort_service::{
    AskedPart, EngineError, Found, OutputForm, PartNumber, PassedOver, Report, convert, discard,
    io_reason, output_stem, threads,
};

use super::push::PushArgs;
use super::{Failure, STOPPED, misuse};
use crate::args::{InputArgs, RedactKey, plan, whole};
use crate::display::{bytes, count, one_line, several};
use crate::filters::SelectionArgs;
use crate::options::{Model, Package, Records};
use crate::progress::Bar;

/// Read histories and write a dataset package.
#[derive(Args)]
pub struct Convert {
    #[command(flatten)]
    reading: InputArgs,

    /// Where to write the package: a folder, or one archive if the name ends in `.zip`. A name that ends in `.jsonl`,
    /// `.csv` or `.parquet` (or `.jsonl.gz`, for example) gets the data file alone, and `-` prints it.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,

    #[command(flatten)]
    selecting: SelectionArgs,

    #[command(flatten)]
    records: Records,

    #[command(flatten)]
    key: RedactKey,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    writing: Writing,

    #[command(flatten)]
    pushing: PushArgs,
}

/// The output that is printed.
const PRINTED: &str = "-";

/// Most items could not be read.
const MOST_REFUSED: u8 = 3;

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
    package: Package,

    /// Start a new data file after at most this many megabytes [default: 4294, or 500 with --push]. Files end earlier
    /// where their content says so: if a dataset grows in one place, its other files stay the same.
    #[arg(long, value_name = "MB", value_parser = whole::<u64, 1, { u64::MAX }>)]
    shard_size: Option<u64>,

    /// Replace an existing package.
    #[arg(long)]
    force: bool,

    /// Number of threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = whole::<usize, 1, 4096>)]
    threads: Option<usize>,

    /// Fail without writing a package if anything cannot be read.
    #[arg(long)]
    strict: bool,

    /// Convert one part of the inputs, such as 2/7, to a folder for `retort merge`. Parts can be made on any machine and in
    /// any order, with the same inputs and options.
    #[arg(long, value_name = "PART/PARTS")]
    part: Option<PartNumber>,

    /// File in which `retort merge` wrote its decisions on ids that several parts contain.
    #[arg(long, value_name = "FILE", requires = "part")]
    repeats: Option<PathBuf>,

    /// Also write to this file one line of JSON for each item that cannot be read or is left out.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

/// What an output is called in the summary.
pub fn what_of(output: &Path) -> &'static str {
    match OutputForm::of(output) {
        OutputForm::DataFile => "data file",
        OutputForm::Folder | OutputForm::Archive => "package",
    }
}

impl Convert {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let writing = self.writing;
        let is_printed = self.output == Path::new(PRINTED);
        if is_printed && writing.json {
            let why = "`--output -` prints the data, so `--json` cannot print the receipt as well";
            return Err(misuse(why));
        }
        let name = match writing.name {
            Some(name) => name,
            None if is_printed => "data".parse()?,
            None => name_of(&self.output)?,
        };
        let options = self.records.0.and(self.model.0).and(writing.package.0);
        let options = options.for_output(&self.output)?;
        let mut plan = plan(&self.reading, self.selecting, &options, name)?;
        let made = if is_printed { Some(tempfile::tempdir()?) } else { None };
        plan.output = match &made {
            Some(folder) => folder.path().join(format!("data.{}", plan.dataset.ending())),
            None => self.output,
        };
        plan.shard_bytes = match OutputForm::of(&plan.output) {
            OutputForm::DataFile => u64::MAX,
            _ => match writing.shard_size {
                Some(megabytes) => megabytes.saturating_mul(1_000_000),
                None if self.pushing.is_any() => bounds::PUSHED_SHARD_BYTES,
                None => bounds::SHARD_BYTES,
            },
        };
        plan.threads = threads(writing.threads);
        plan.force = writing.force;
        plan.strict = writing.strict;
        let repeats = writing.repeats;
        plan.part = writing.part.map(|part| AskedPart { part, repeats });
        let key = self.key.redact_key.as_deref();
        retort_service::allow_all_programs();
        plan.dataset.redaction.prepare_from(key, plan.part.is_some())?;
        self.pushing.check(plan.dataset.redaction.is_any())?;
        if self.pushing.is_any()
            && (plan.part.is_some() || OutputForm::of(&plan.output) == OutputForm::DataFile)
        {
            return Err(misuse(
                "`--push` needs a package: write to a folder or to a `.zip`, without `--part`",
            ));
        }
        let mut rejects = rejects_to(writing.rejects.as_deref())?;

        let stopped = stops_writing(&plan.output)?;
        let bar = Bar::new(writing.quiet);
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let report = convert(&plan, &bar, &stopped, &mut *rejects);
        bar.finish();
        rejects.flush()?;
        if let Err(stopped @ EngineError::Stopped) = &report {
            eprintln!("error: {stopped}");
            return Ok(ExitCode::from(STOPPED));
        }
        let mut report = report?;
        if is_printed {
            let mut file = File::open(&report.output)?;
            std::io::copy(&mut file, &mut std::io::stdout().lock())?;
            report.output = "standard output".into();
        }
        let what = if plan.part.is_some() { "part" } else { what_of(&plan.output) };
        let code = finish(&report, what, (writing.quiet, writing.json), began.elapsed())?;
        if !self.pushing.is_any() {
            return Ok(code);
        }
        let mut package = retort_service::Package::open(&report.output)?;
        self.pushing.run(&mut package, &stopped, writing.quiet)
    }
}

/// Prints the result of a run, and its receipt if `json`. If `quiet`, only the warning is left of the result.
pub fn finish(
    report: &Report,
    what: &str,
    (quiet, json): (bool, bool),
    took: Duration,
) -> Result<ExitCode, Failure> {
    let account = &report.found.account;
    let mut out = std::io::stderr().lock();
    warn_of_most(account.read, account.refused, &mut out)?;
    if !quiet {
        summary(report, what, took, &mut out)?;
    }
    if json {
        write!(std::io::stdout().lock(), "{}", report.manifest.to_json())?;
    }
    Ok(exit_code(account.read, account.refused))
}

/// A flag that is set when the person wants the command to stop. If the command does not stop soon, the process ends,
/// and what it has written for `output` is removed.
pub fn stops_writing(output: &Path) -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    let output = output.to_owned();
    ctrlc::set_handler(move || {
        flag.store(true, Ordering::Relaxed);
        // A run that waits for its input does not see the flag.
        std::thread::sleep(PATIENCE);
        discard(&output);
        std::process::exit(STOPPED.into());
    })?;
    Ok(stopped)
}

/// A file for the lines of what cannot be read, if one was named.
pub fn rejects_to(path: Option<&Path>) -> Result<Box<dyn Write + Send>, Failure> {
    let Some(path) = path else { return Ok(Box::new(std::io::sink())) };
    let file = File::create(path)
        .map_err(|error| format!("cannot write `{}`: {}", path.display(), io_reason(&error)))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// The exit code of a run, by how many of its items were refused.
pub fn exit_code(read: u64, refused: u64) -> ExitCode {
    if are_most(read, refused) { ExitCode::from(MOST_REFUSED) } else { ExitCode::SUCCESS }
}

fn are_most(read: u64, refused: u64) -> bool {
    refused > read / 2
}

/// Warns if most items could not be read.
pub fn warn_of_most(read: u64, refused: u64, out: &mut impl Write) -> std::io::Result<()> {
    if are_most(read, refused) {
        writeln!(
            out,
            "warning: {} of {} could not be read",
            count(refused),
            several(read, "item")
        )?;
    }
    Ok(())
}

/// The dataset's name from the output's.
fn name_of(output: &Path) -> Result<DatasetName, Failure> {
    let stem = output_stem(output).unwrap_or_default().to_string_lossy().into_owned();
    stem.parse().map_err(|error| format!("{error}; name the dataset with `--name`").into())
}

/// Prints what was found, and where the package or part is.
fn summary(
    report: &Report,
    what: &str,
    took: Duration,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let account = &report.found.account;
    writeln!(
        out,
        "read       {} in {}",
        several(account.read, "item"),
        several(report.manifest.read.inputs.len() as u64, "file")
    )?;
    findings(&report.found, out)?;
    let has_findings = account.records_repaired > 0 || !account.warned.is_empty();
    if has_findings && !report.manifest.options.contains_key("findings") {
        writeln!(out, "  `--findings` lists each of them in findings.jsonl")?;
    }
    let seconds = took.as_secs_f64().max(0.001);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed to read"
    )]
    let speed = (report.input_bytes as f64 / seconds) as u64;
    // How long standard input is, nobody says.
    let speed = if speed > 0 { format!(", {}/s", bytes(speed)) } else { String::new() };
    let files = report.manifest.files.iter().filter(|file| file.records.is_some()).count();
    let data = if files > 1 {
        format!("{} in {files} files", bytes(report.data_bytes))
    } else {
        bytes(report.data_bytes)
    };
    writeln!(out, "{what:<10} {} ({data}; {seconds:.1} s{speed})", report.output.display(),)
}

/// Prints what was selected, written, left out and repaired.
pub fn findings(found: &Found, out: &mut impl Write) -> std::io::Result<()> {
    let Found { account, refused, first_refused, passed_over, .. } = found;
    let passed_over = package::findings(passed_over, PassedOver::as_str);
    list_passed_over(&passed_over, out)?;
    let read = account.read - account.refused;
    for (refusal, number, _) in refused.iter() {
        let first = first_refused.get(refusal.as_str()).map_or("", String::as_str);
        let (number, first) = (count(number), one_line(first, 400));
        let (words, slug) = (refusal.words(), refusal.as_str());
        writeln!(out, "  refused    {number} {words} ({slug}; first: {first})")?;
    }
    let noun = account.noun();
    let not_selected = read - account.selected;
    let others = if not_selected > 0 {
        format!(", {} not selected", count(not_selected))
    } else {
        String::new()
    };
    writeln!(out, "selected   {}{others}", several(account.selected, noun))?;
    if account.deleted > 0 {
        let deleted = count(account.deleted);
        writeln!(out, "  {deleted:>8}  deleted, not selected; `--status deleted` selects them")?;
    }
    if account.not_sampled > 0 {
        writeln!(out, "  {:>8}  not selected: not in the sample", count(account.not_sampled))?;
    }
    writeln!(
        out,
        "written    {} as {}",
        several(account.written, noun),
        several(account.records, "record")
    )?;
    for one in &account.outputs {
        let (name, records) = (&one.name, several(one.records, "record"));
        writeln!(out, "  {name:<12} {records} of {}", several(one.written, noun))?;
    }
    writeln!(out, "left out   {}", several(account.left_out.total(), noun))?;
    list(out, &account.left_out, (Reason::words, Reason::as_str))?;
    if !account.records_left_out.is_empty() {
        writeln!(
            out,
            "left out of written {noun}s   {}",
            several(account.records_left_out.total(), "record")
        )?;
        list(out, &account.records_left_out, (Reason::words, Reason::as_str))?;
    }
    if account.records_repaired > 0 {
        writeln!(out, "repaired   {}", several(account.records_repaired, "record"))?;
        list(out, &account.repaired, (Repair::words, Repair::as_str))?;
    }
    if !account.unrepaired.is_empty() || !account.unfit.is_empty() {
        writeln!(out, "trainers would reject (the check is off):")?;
        list(out, &account.unrepaired, (Repair::words, Repair::as_str))?;
        list(out, &account.unfit, (Reason::words, Reason::as_str))?;
    }
    if !account.warned.is_empty() {
        writeln!(out, "notes")?;
        list(out, &account.warned, (Warning::words, Warning::as_str))?;
    }
    for (place, (rule, redacted)) in account.redacted.iter().enumerate() {
        let head = if place == 0 { "redacted\n" } else { "" };
        let items = several(redacted.items, noun);
        writeln!(out, "{head}  {:>8}  {rule} in {items}", count(redacted.hits))?;
    }
    Ok(())
}

/// Files and entries that were not read, by reason.
pub fn list_passed_over(passed_over: &[Finding], out: &mut impl Write) -> std::io::Result<()> {
    let total = passed_over.iter().map(|finding| finding.count).sum();
    if total > 0 {
        writeln!(out, "not read   {}", several(total, "file"))?;
    }
    for Finding { kind, count: number, first_ids } in passed_over {
        let first = first_ids.first().map_or("", String::as_str);
        let words = PassedOver::words(kind);
        writeln!(out, "  {:>8}  {words} (first: {})", count(*number), one_line(first, 120))?;
    }
    Ok(())
}

fn list<K: Ord + Copy>(
    out: &mut impl Write,
    tally: &Tally<K>,
    (words, slug): (impl Fn(K) -> &'static str, impl Fn(K) -> &'static str),
) -> std::io::Result<()> {
    for (kind, number, _) in tally.iter() {
        writeln!(out, "  {:>8}  {} ({})", count(number), words(kind), slug(kind))?;
    }
    Ok(())
}
