//! `convert`: histories to a package, with no store between.

use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort_formats::import::Refusal;
use retort_formats::package::{DataFile, MANIFEST, Manifest};
use retort_model::bounds::BESIDE_BYTES;
use retort_model::display::several;
use retort_model::{Account, Tally};

use crate::convert_plan::{AskedPart, ConvertPlan};
use crate::dedup::Dedup;
use crate::draft::Draft;
use crate::error::Error;
use crate::files::{Assembled, Part, PartWriter, WHOLE, assemble, clear_up};
use crate::output::check_no_input;
use crate::panics::{caught_in, point};
use crate::parts::{KeptFiles, KeptPlan, PART, decisions};
use crate::pipeline::{
    Delivery, FirstRefused, InputsFeed, ListedHit, More, Observer, PartNumber, Shaping, Survey,
    Totals, run, survey,
};
use crate::plan::DatasetPlan;
use crate::receipt::{Origin, Outputs, manifest};
use crate::record_files::RecordFiles;
use crate::source::{Inputs, PassedOver};
use crate::storage::write_text;

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// Where the package is.
    pub output: PathBuf,
    /// What was found in the inputs.
    pub found: Found,
    /// The receipt.
    pub manifest: Manifest,
    /// Bytes of the inputs on disk.
    pub input_bytes: u64,
    /// Bytes of the data files.
    pub data_bytes: u64,
}

/// What was found in items that were read.
#[derive(Debug, Default)]
pub struct Found {
    /// What was read, selected, written and left out.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// For each reason, the position of the first item that could not be read, and what is wrong with it.
    pub first_refused: FirstRefused,
    /// Files and entries that were not read, by reason.
    pub passed_over: Tally<PassedOver>,
    /// The first hits of redaction, where they are listed.
    pub hits: Vec<ListedHit>,
}

impl Found {
    /// What was found in the items, and what was passed over beside them.
    pub(crate) fn of(totals: Totals, passed_over: Tally<PassedOver>) -> Self {
        let Totals { account, refused, first_refused, hits, .. } = totals;
        Self { account, refused, first_refused, passed_over, hits }
    }
}

/// Reads histories and writes a package. `rejects` gets a line for each item that could not be read or was left out.
///
/// # Errors
/// Failing I/O, an output that is there already, or nothing to write. Bad items are no errors: the report
/// counts them.
pub fn convert(
    plan: &ConvertPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<Report, Error> {
    caught_in(|| convert_all(plan, observer, stopped, rejects))
}

fn convert_all(
    plan: &ConvertPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<Report, Error> {
    let (plan, mut inputs, kept_plan) = prepared(plan, stopped)?;
    let plan = &plan;
    let given = match &plan.part {
        Some(AskedPart { part, repeats: Some(path) }) => Some(decisions(path, &kept_plan, *part)?),
        _ => None,
    };
    let conversion = Conversion { plan, kept_plan: &kept_plan, observer, stopped };
    let report = match given {
        Some(given) => {
            let survey = Survey { repeats: Some(given), ..Survey::default() };
            conversion.make(&inputs, survey, rejects)?
        }
        None => surveyed_if_needed(
            plan,
            &mut inputs,
            None,
            stopped,
            rejects,
            |inputs, survey, rejects| conversion.make(inputs, survey, rejects),
        )?,
    };
    report.ok_or_else(|| Error::Failed {
        what: "the inputs",
        source: io::Error::other("they changed while they were read"),
    })
}

/// The plan with what the inputs decide, the inputs, and everything that the bytes depend on.
fn prepared(
    plan: &ConvertPlan,
    stopped: &AtomicBool,
) -> Result<(ConvertPlan, Inputs, KeptPlan), Error> {
    plan.dataset.check()?;
    plan.dataset.check_output(&plan.output)?;
    check_no_input(&plan.output, &plan.inputs)?;
    let mut inputs = Inputs::find(&plan.inputs, Some(&plan.output), plan.reading)?;
    plan.check_ways(&inputs)?;
    let plan = plan.completed(&mut inputs, stopped)?;
    inputs.keep_as_read()?;
    let kept_plan = KeptPlan::of(&plan, &inputs);
    Ok((plan, inputs, kept_plan))
}

/// Checks the plan of a part without making it, and returns a hash of everything that the bytes of all parts depend on: the
/// options, and the names, sizes and newest time of the inputs.
///
/// # Errors
/// As for [`convert`]; above all, an option that cannot be used with parts.
pub fn hash_of_parts(plan: &ConvertPlan, stopped: &AtomicBool) -> Result<String, Error> {
    caught_in(|| {
        let (_, _, kept_plan) = prepared(plan, stopped)?;
        kept_plan.hash()
    })
}

/// Calls `make` without a survey, and again with one of the first `most` items, or of all, if the first call returned
/// none because an id is repeated: that is rare. Duplicates and samples are always surveyed. `rejects` gets the lines of
/// the call whose result is returned.
pub fn surveyed_if_needed<T>(
    plan: &ConvertPlan,
    inputs: &mut Inputs,
    most: Option<u64>,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
    make: impl Fn(&Inputs, Survey, &mut (dyn Write + Send)) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let dataset = &plan.dataset;
    let is_decided = dataset.dedup != Dedup::None || dataset.split_needs_survey();
    if !is_decided && !dataset.sampling.needs_survey() {
        let mut kept = tempfile::spooled_tempfile(BESIDE_BYTES);
        if let Some(made) = make(inputs, Survey::default(), &mut kept)? {
            let written = kept.rewind().and_then(|()| io::copy(&mut kept, rejects));
            written.map_err(failed_rejects)?;
            return Ok(Some(made));
        }
    }
    inputs.keep_rest()?;
    let survey = survey(&mut plan.feed(inputs), &plan.shaping(), most, stopped)?;
    make(inputs, survey, rejects)
}

/// What is to be made of the inputs.
struct Conversion<'m> {
    plan: &'m ConvertPlan,
    kept_plan: &'m KeptPlan,
    observer: &'m dyn Observer,
    stopped: &'m AtomicBool,
}

impl Conversion<'_> {
    /// Makes the package, or the part of it that was asked for; none if an id is repeated and nothing is decided on it.
    fn make(
        &self,
        inputs: &Inputs,
        survey: Survey,
        rejects: &mut (dyn Write + Send),
    ) -> Result<Option<Report>, Error> {
        match &self.plan.part {
            Some(asked) => self.part(asked.part, inputs, survey, rejects),
            None => self.package(inputs, survey, rejects),
        }
    }

    fn package(
        &self,
        inputs: &Inputs,
        survey: Survey,
        rejects: &mut (dyn Write + Send),
    ) -> Result<Option<Report>, Error> {
        let plan = self.plan;
        let draft = Draft::begin(&plan.output, plan.force)?;
        let storage = draft.storage();
        let mut part = PartWriter::begin(
            &plan.dataset,
            &storage,
            WHOLE.into(),
            plan.shard_bytes,
            plan.threads,
        );
        let files = part.record_files();
        let run = self.run(inputs, survey, files, rejects, &mut |delivery| part.take(delivery))?;
        let Some((totals, feed)) = run else { return Ok(None) };
        let passed_over = plan.told(feed.passed_over);
        let part = part.finish()?;
        let dataset = named_for(&plan.dataset, plan.by_kind.file_name, &totals.account);
        let origin = self.kept_plan.origin(&totals, &passed_over);
        let (input_bytes, strict, threads) = (inputs.bytes, plan.strict, plan.threads);
        let written = Written { draft, part, totals, passed_over, input_bytes, strict, threads };
        written.publish(&dataset, origin).map(Some)
    }

    fn part(
        &self,
        part: PartNumber,
        inputs: &Inputs,
        survey: Survey,
        rejects: &mut (dyn Write + Send),
    ) -> Result<Option<Report>, Error> {
        let plan = self.plan;
        let draft = Draft::begin_parts(&plan.output, plan.force)?;
        let storage = draft.storage();
        let mut files = KeptFiles::begin(&storage, part)?;
        let record_files = files.record_files();
        let run = self.run(inputs, survey, record_files, rejects, &mut |delivery| {
            delivery.batch.map_or(Ok(()), |batch| files.take(&batch))
        })?;
        let Some((totals, feed)) = run else { return Ok(None) };
        if plan.strict && totals.account.refused > 0 {
            return Err(Error::Strict(why_refused(&totals)));
        }
        let (extent, passed_over) = (feed.extent(), plan.told(feed.passed_over));
        let origin = self.kept_plan.origin(&totals, &passed_over);
        let kept_plan = self.kept_plan.clone();
        let (kept, mut files) =
            files.finish(&storage, kept_plan, (&totals, &passed_over), extent)?;
        point("receipt");
        files.push(write_text(&storage, PART, &kept.to_json())?);
        let output = draft.publish(&files, plan.threads)?;
        Ok(Some(Report {
            output,
            manifest: manifest(&plan.dataset, origin, &totals, Vec::new()),
            found: Found::of(totals, passed_over),
            input_bytes: inputs.bytes,
            data_bytes: files.iter().map(|file| file.bytes).sum(),
        }))
    }

    /// Runs the pipeline over the inputs; none if an id is repeated and nothing is decided on it.
    fn run<'i>(
        &self,
        inputs: &'i Inputs,
        survey: Survey,
        files: Arc<RecordFiles<'_>>,
        rejects: &mut (dyn Write + Send),
        take: &mut (dyn FnMut(Delivery) -> Result<(), Error> + Send),
    ) -> Result<Option<(Totals, InputsFeed<'i>)>, Error> {
        let mut feed = self.plan.feed(inputs);
        let totals = run(
            &mut feed,
            &Shaping {
                record_files: Some(files),
                attached: self.plan.attached(inputs),
                ..self.plan.shaping()
            },
            (Totals::default(), survey),
            self.observer,
            self.stopped,
            &mut |delivery| {
                rejects.write_all(&delivery.rejects).map_err(failed_rejects)?;
                take(delivery).map(|()| More::Wanted)
            },
        )?;
        Ok((!totals.is_undecided).then_some((totals, feed)))
    }
}

fn failed_rejects(source: io::Error) -> Error {
    Error::Failed { what: "the list of refused items", source }
}

/// A dataset whose data is written, and what is needed to make it a package.
pub struct Written {
    pub draft: Draft,
    pub part: Part,
    pub totals: Totals,
    pub passed_over: Tally<PassedOver>,
    pub input_bytes: u64,
    pub strict: bool,
    pub threads: usize,
}

impl Written {
    /// Makes the package.
    ///
    /// # Errors
    /// Failing I/O, or nothing to write.
    pub fn publish(self, dataset: &DatasetPlan, origin: Origin) -> Result<Report, Error> {
        let totals = &self.totals;
        if totals.account.records == 0 {
            return Err(Error::Nothing(why_nothing(totals, &self.passed_over)));
        }
        if self.strict && totals.account.refused > 0 {
            return Err(Error::Strict(why_refused(totals)));
        }
        self.publish_with(dataset, |outputs, totals, files| {
            manifest(dataset, Origin { outputs, ..origin }, totals, files)
        })
    }

    /// Makes the package, with a receipt that is made of its outputs, what was counted, and its files.
    ///
    /// # Errors
    /// Failing I/O.
    pub fn publish_with(
        self,
        dataset: &DatasetPlan,
        receipt: impl FnOnce(Option<Outputs>, &Totals, Vec<DataFile>) -> Manifest,
    ) -> Result<Report, Error> {
        let Self { draft, part, totals, passed_over, input_bytes, strict: _, threads } = self;
        let (storage, parts) = (draft.storage(), [part]);
        let Assembled { mut files, outputs } =
            assemble(dataset, &storage, &parts, &totals, threads)?;
        clear_up(&storage, &parts, &files)?;
        let listed: Vec<DataFile> = files.iter().map(DataFile::from).collect();
        point("receipt");
        // Names of inputs were redacted beside the batches.
        dataset.redaction.check()?;
        let manifest = receipt(outputs, &totals, listed);
        debug_assert!(manifest.balances() && totals.account.balances());
        files.push(write_text(&storage, MANIFEST, &manifest.to_json())?);
        let output = draft.publish(&files, threads)?;
        let data = files.iter().filter(|file| file.records.is_some());
        let data_bytes = data.map(|file| file.bytes).sum();
        let found = Found::of(totals, passed_over);
        Ok(Report { output, found, manifest, input_bytes, data_bytes })
    }
}

/// The dataset with a data file that is named for the kind of what it holds, if that is asked for.
pub fn named_for(dataset: &DatasetPlan, by_kind: bool, account: &Account) -> DatasetPlan {
    let mut dataset = dataset.clone();
    let mut kinds = account.kinds.iter().filter(|(_, portion)| portion.written > 0);
    if by_kind
        && let (Some((kind, _)), None) = (kinds.next(), kinds.next())
        && let Ok(name) = kind.plural().parse()
    {
        dataset.file_name = name;
    }
    dataset
}

/// How many items could not be read, and where the first stand.
fn why_refused(totals: &Totals) -> String {
    let kinds: Vec<_> =
        totals.refused.iter().map(|(kind, count, _)| format!("{count} {}", kind.words())).collect();
    let count = totals.account.refused;
    let first: Vec<_> = totals.first_refused.values().map(String::as_str).collect();
    let more =
        if count > first.len() as u64 { "\n  and others; `--rejects FILE` lists all" } else { "" };
    format!("{count} could not be read ({})\n  {}{more}", kinds.join(", "), first.join("\n  "))
}

/// What a person needs to know when there is nothing to write.
fn why_nothing(totals: &Totals, passed_over: &Tally<PassedOver>) -> String {
    let account = &totals.account;
    if account.read == 0 {
        let kinds: Vec<_> = passed_over
            .iter()
            .map(|(why, count, first)| {
                let first = first.first().map_or("", String::as_str);
                format!("{count} skipped: {} (first: {first})", PassedOver::words(why.as_str()))
            })
            .collect();
        return match kinds.as_slice() {
            [] => "the inputs hold no items".into(),
            kinds => format!("the inputs hold no histories; {}", kinds.join("; ")),
        };
    }
    let read = account.read - account.refused;
    let mut reasons: Vec<String> = account
        .left_out
        .iter()
        .map(|(reason, count, _)| format!("{count} {}", reason.words()))
        .collect();
    if account.refused > 0 {
        reasons.push(why_refused(totals));
    }
    if read > account.selected {
        reasons.insert(0, format!("{} are not selected", read - account.selected));
    }
    format!("of {}, {}", several(account.read, "item"), reasons.join(", "))
}
