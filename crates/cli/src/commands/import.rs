//! `retort import`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use retort_formats::import::Refusal;
use retort_formats::package::{Finding, findings};
use retort_model::bounds::IDS_LISTED;
use retort_model::{Account, ConversationFilter, Status, Warning};
use retort_service::{
    ConvertPlan, EngineError, ExportOptions, Found, ImportPlan, ImportReport, Input, NamedInputs,
    PassedOver, convert, files_of, files_together,
};
use retort_web::wire;

use super::convert::{exit_code, list_passed_over, rejects_to, warn_of_most};
use super::{Failure, STOPPED, misuse, print_json, stop_flag};
use crate::args::InputArgs;
use crate::changing::NOTHING_CHANGED;
use crate::client::{Client, Source, request_key};
use crate::config::StoreArgs;
use crate::display::{count, several};
use crate::progress::Bar;

/// Read histories into the store.
///
/// You can import the same history again at any time: only items that are new or changed are stored.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    reading: InputArgs,

    /// Owner of items that name none [default: no owner].
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// Replace what the store has under an id, even if it is a different conversation.
    #[arg(long)]
    replace: bool,

    /// Store pictures, sound and other files from the folder or archive of the histories with the conversations that
    /// show them, up to 20 MB per conversation.
    #[arg(long)]
    with_files: bool,

    /// Only show what would happen.
    #[arg(long)]
    dry_run: bool,

    /// Write to this file one line of JSON for each item that cannot be read.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Exit with an error if anything cannot be read; everything else is still imported.
    #[arg(long)]
    strict: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print the report as JSON.
    #[arg(long)]
    json: bool,

    /// Do not wait for the server to finish once it has the files.
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Import {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let inputs = self.reading.inputs()?;
        let missing = inputs.iter().find_map(|input| match input {
            Input::Path(path) if !path.exists() => Some(path),
            _ => None,
        });
        if let Some(path) = missing {
            return Err(EngineError::read(path, std::io::ErrorKind::NotFound.into()).into());
        }
        if let Some(client) = self.keeping.server()? {
            return self.send(&client, &inputs);
        }
        if self.detach {
            return Err(misuse("`--detach` works with a server only"));
        }
        let opened =
            if self.dry_run { self.keeping.open_to_look()? } else { self.keeping.open_or_new()? };
        let plan = ImportPlan {
            inputs,
            from: self.reading.from(),
            owner: self.owner.clone(),
            adopts: false,
            namespace: self.reading.namespace.clone(),
            replace: self.replace,
            keeps_files: self.with_files,
            threads: opened.settings.threads,
            dry_run: self.dry_run,
            names: false,
            reading: self.reading.options(),
        };
        let mut rejects = rejects_to(self.rejects.as_deref())?;
        let stopped = stop_flag()?;
        let bar = Bar::new(self.quiet);
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let report = opened.service.import(&opened.caller, &plan, &bar, &stopped, &mut *rejects);
        bar.finish();
        let report = match report {
            Err(error) if error.is_stopped() => {
                eprintln!(
                    "stopped; what was imported so far is kept. Run the same command again to import the rest."
                );
                return Ok(ExitCode::from(STOPPED));
            }
            report => report?,
        };
        rejects.flush()?;
        self.tell(&report, began.elapsed())
    }

    /// Prints what was imported. With `--quiet`, only the warning is left.
    fn tell(&self, report: &ImportReport, took: Duration) -> Result<ExitCode, Failure> {
        let mut out = std::io::stderr().lock();
        match self.quiet {
            true => warn_of_most(report.read, report.refused_count(), &mut out)?,
            false => summary(report, took, &mut out)?,
        }
        if self.json {
            print_json(report)?;
        }
        ended(report, self.strict)
    }

    /// Sends the files to a server, one after another, and waits until it has imported them.
    fn send(self, client: &Client, inputs: &[Input]) -> Result<ExitCode, Failure> {
        if self.rejects.is_some() && self.detach {
            return Err(misuse(
                "`--rejects` cannot be combined with `--detach`: download the list later with `retort jobs rejects NUMBER`",
            ));
        }
        if self.reading.max_item.is_some() {
            return Err(misuse(
                "`--max-item` works with a local store only; a server takes `item_megabytes` from its configuration",
            ));
        }
        if self.reading.is_mapped() && self.with_files {
            return Err(misuse("`--map` and `--with-files` work together with a local store only"));
        }
        client.check_import()?;
        let mut rejects = rejects_to(self.rejects.as_deref())?;
        let stopped = stop_flag()?;
        let bar = Bar::new(self.quiet);
        // A server finds the files beside a history only in the archive that it comes in, and knows no mappings.
        let together = self.with_files.then(|| files_together(inputs)).transpose()?;
        let is_mapped = self.reading.is_mapped();
        let mapped =
            is_mapped.then(|| self.mapped(inputs, &bar, &stopped, &mut *rejects)).transpose()?;
        let (files, passed_over) = match (&together, &mapped) {
            (Some(together), _) => (together.files.clone(), together.passed_over.clone()),
            (None, Some(mapped)) => (mapped.files.clone(), mapped.found.passed_over.clone()),
            (None, None) => files_of(inputs, self.reading.from())?,
        };
        let number = files.len();
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let began = Instant::now();
        let mut jobs = Vec::new();
        for (input, label) in files {
            let source = match input {
                Input::Path(path) => Source::File(path),
                _ => Source::Stdin,
            };
            let mut about = vec![("name", label)];
            let from = if is_mapped { None } else { self.reading.from() };
            about.extend(from.map(|from| ("from", from.name().to_owned())));
            about.extend(self.owner.clone().map(|owner| ("owner", owner)));
            about.extend(self.reading.namespace.clone().map(|name| ("namespace", name)));
            about.extend(self.replace.then(|| ("replace", "true".to_owned())));
            about.extend(self.with_files.then(|| ("with_files", "true".to_owned())));
            about.extend(self.dry_run.then(|| ("dry_run", "true".to_owned())));
            match client.upload(&source, &about, &request_key(), &bar, &stopped)? {
                Some(job) => jobs.push(job),
                None => return stop(client, &jobs, &bar),
            }
        }
        if self.detach {
            bar.finish();
            return super::jobs::list(&jobs, self.json);
        }
        let mut report = ImportReport {
            dry_run: self.dry_run,
            files_passed_over: passed_over.total(),
            passed_over: findings(&passed_over, PassedOver::as_str),
            ..ImportReport::default()
        };
        mapped.iter().for_each(|mapped| mapped.count(&mut report));
        for at in 0..number {
            let Some(job) = jobs.get(at) else { break };
            let Some(ended) = client.follow(job, &bar, &stopped)? else {
                return stop(client, jobs.get(at..).unwrap_or_default(), &bar);
            };
            if !ended.is_completed() {
                bar.finish();
                let why = ended.error.unwrap_or_else(|| format!("it is {}", ended.state));
                return Err(format!("job {} failed: {why}", ended.id).into());
            }
            add(&mut report, serde_json::from_value(ended.report.unwrap_or_default())?);
            if self.rejects.is_some() {
                client.rejects(ended.id, &mut *rejects)?;
            }
        }
        rejects.flush()?;
        bar.finish();
        self.tell(&report, began.elapsed())
    }

    /// Reads the inputs by their mapping, into files that any Retort reads.
    fn mapped(
        &self,
        inputs: &[Input],
        bar: &Bar,
        stopped: &AtomicBool,
        rejects: &mut (dyn Write + Send),
    ) -> Result<Mapped, Failure> {
        let folder = tempfile::tempdir()?;
        let options = ExportOptions::default().with("data_format", "retort")?;
        let plan = ConvertPlan::new(inputs.to_vec(), &options, "mapped".parse()?)?;
        let selection = ConversationFilter { statuses: Status::ALL.to_vec(), ..plan.selection };
        let output = folder.path().join("mapped");
        let (from, reading) = (self.reading.from(), self.reading.options());
        let plan = ConvertPlan { from, selection, reading, output, ..plan };
        let report = convert(&plan, bar, stopped, rejects)?;
        let data = report.manifest.files.iter().filter(|file| file.records.is_some());
        let files = data.map(|file| {
            (Input::Path(plan.output.join(&file.path)), format!("mapped/{}", file.path))
        });
        Ok(Mapped { files: files.collect(), found: report.found, _folder: folder })
    }
}

/// What was read by a mapping, for a server.
struct Mapped {
    files: NamedInputs,
    found: Found,
    /// Where the files are, which are deleted with this.
    _folder: tempfile::TempDir,
}

impl Mapped {
    /// Adds what the server does not see: items that could not be read, or whose id came more than once.
    fn count(&self, report: &mut ImportReport) {
        let Account { read, refused, written, lone_surrogates, duplicate_keys, .. } =
            self.found.account;
        report.read += read - written;
        report.repeated += read - refused - written;
        report.lone_surrogates += lone_surrogates;
        report.duplicate_keys += duplicate_keys;
        add_findings(&mut report.refused, findings(&self.found.refused, Refusal::as_str));
        report.first_refused.extend(self.found.first_refused.values().cloned());
    }
}

/// How an import ends, by what it could not read.
fn ended(report: &ImportReport, strict: bool) -> Result<ExitCode, Failure> {
    match report.refused_count() {
        refused if strict && refused > 0 => Err(format!(
            "{} could not be read; with `--strict`, this is a failure",
            several(refused, "item")
        )
        .into()),
        refused => Ok(exit_code(report.read, refused)),
    }
}

/// Cancels imports at a server that the person does not want any more.
fn stop(client: &Client, jobs: &[wire::Job], bar: &Bar) -> Result<ExitCode, Failure> {
    bar.finish();
    for job in jobs {
        let job = client.job(job.id)?;
        if !job.is_ended() {
            client.cancel(job.id)?;
        }
    }
    eprintln!(
        "stopped; what was imported so far is kept. Run the same command again to import the rest."
    );
    Ok(ExitCode::from(STOPPED))
}

/// Adds what one import did to what others did before.
fn add(all: &mut ImportReport, one: ImportReport) {
    for (sum, more) in [
        (&mut all.read, one.read),
        (&mut all.new, one.new),
        (&mut all.updated, one.updated),
        (&mut all.same, one.same),
        (&mut all.older, one.older),
        (&mut all.repeated, one.repeated),
        (&mut all.foreign, one.foreign),
        (&mut all.erased, one.erased),
        (&mut all.runs, one.runs),
        (&mut all.documents, one.documents),
        (&mut all.rejects_omitted, one.rejects_omitted),
        (&mut all.lone_surrogates, one.lone_surrogates),
        (&mut all.duplicate_keys, one.duplicate_keys),
        (&mut all.files_passed_over, one.files_passed_over),
    ] {
        *sum += more;
    }
    add_findings(&mut all.refused, one.refused);
    add_findings(&mut all.warnings, one.warnings);
    add_findings(&mut all.passed_over, one.passed_over);
    all.first_refused.extend(one.first_refused);
    all.first_refused.truncate(IDS_LISTED);
    all.inputs.extend(one.inputs);
}

fn add_findings(all: &mut Vec<Finding>, more: Vec<Finding>) {
    for finding in more {
        match all.iter_mut().find(|known| known.kind == finding.kind) {
            Some(known) => {
                known.count += finding.count;
                known.first_ids.extend(finding.first_ids);
                known.first_ids.truncate(IDS_LISTED);
            }
            None => all.push(finding),
        }
    }
}

fn summary(report: &ImportReport, took: Duration, out: &mut impl Write) -> std::io::Result<()> {
    if report.dry_run {
        writeln!(out, "{NOTHING_CHANGED}")?;
    }
    warn_of_most(report.read, report.refused_count(), out)?;
    writeln!(
        out,
        "read       {} in {} ({:.1} s)",
        several(report.read, "item"),
        several(report.inputs.len() as u64, "file"),
        took.as_secs_f64()
    )?;
    let taken = report.read - report.foreign - report.erased - report.refused_count();
    let noun = match (report.runs, report.documents) {
        (0, 0) => "conversation",
        (runs, 0) if runs == taken => "run",
        (0, documents) if documents == taken => "document",
        _ => "item",
    };
    if noun == "item" {
        let conversations = taken.saturating_sub(report.runs + report.documents);
        let kinds: Vec<_> =
            [(conversations, "conversation"), (report.runs, "run"), (report.documents, "document")]
                .into_iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, kind)| several(number, kind))
                .collect();
        writeln!(out, "of these   {}", kinds.join(", "))?;
    }
    writeln!(out, "new        {}", several(report.new, noun))?;
    for (number, words) in [
        (report.updated, "updated    "),
        (report.same, "unchanged  "),
        (report.older, "older      "),
        (report.repeated, "repeated   "),
    ] {
        if number > 0 {
            writeln!(out, "{words}{}", several(number, noun))?;
        }
    }
    if report.foreign > 0 {
        writeln!(out, "not yours  {}, left out", several(report.foreign, noun))?;
    }
    if report.erased > 0 {
        let erased = several(report.erased, noun);
        writeln!(
            out,
            "erased     {erased}, left out because `retort erase` erased it or its owner"
        )?;
    }
    list_passed_over(&report.passed_over, out)?;
    for Finding { kind, count: number, .. } in &report.warnings {
        let words = kind.parse().map_or("", Warning::words);
        writeln!(out, "  {:>8}  {words} ({kind})", count(*number))?;
    }
    if report.refused_count() == 0 {
        return Ok(());
    }
    writeln!(out, "refused    {}", several(report.refused_count(), "item"))?;
    for finding in &report.refused {
        let kind = &finding.kind;
        let words = kind.parse().map_or("", Refusal::words);
        writeln!(out, "  {:>8}  {words} ({kind})", count(finding.count))?;
    }
    for line in &report.first_refused {
        writeln!(out, "  {line}")?;
    }
    if (report.first_refused.len() as u64) < report.refused_count() {
        writeln!(out, "  and others; `--rejects FILE` writes them all")?;
    }
    if report.rejects_omitted > 0 {
        writeln!(
            out,
            "  the list was full: the last {} are not in it",
            count(report.rejects_omitted)
        )?;
    }
    Ok(())
}
