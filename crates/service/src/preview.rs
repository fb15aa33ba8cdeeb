//! `preview`: the first records as they would be written, and what was found in them, with nothing written.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use retort_formats::file::by_name as file_format_named;
use retort_formats::import::{self, Refusal};
use retort_formats::package::REJECTS;
use retort_model::bounds::{
    CHECKED_BEFORE, CHECKED_BEFORE_BYTES, ITEMS_LEARNT_FROM, PREVIEW_RECORDS, SHARD_BYTES,
};
use retort_model::{Account, Grant, ItemSelection, Selection, Status, Tally};
use retort_store::{Order, Stop};

use crate::Error;
use crate::browse::with_edits;
use crate::caller::Caller;
use crate::convert::{ByKind, ConvertPlan, FirstRejects, Found};
use crate::package::Package;
use crate::pipeline::{
    Decisions, FirstRefused, InputsFeed, More, Nobody, Shaping, Totals, repeats_failed, run, survey,
};
use crate::queue::ExportRequest;
use crate::service::Service;
use crate::source::{Input, Inputs, PassedOver, ReadOptions};

/// The first records of a dataset.
#[derive(Debug, Default)]
pub struct Preview {
    /// The records, each as the JSON text of an object.
    pub records: Vec<String>,
    /// What was found in the conversations that were looked at.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// Where the first items refused for each reason stand, and what is wrong with them.
    pub first_refused: FirstRefused,
    /// Files and entries that were not read, by reason.
    pub passed_over: Tally<PassedOver>,
}

impl Preview {
    /// What was found.
    pub fn found(&self) -> Found<'_> {
        let Self { account, refused, first_refused, passed_over, .. } = self;
        Found { account, refused, first_refused, passed_over }
    }
}

/// Shows the first records that the plan would write. Reading stops soon behind them. `rejects` gets a line for each
/// item that could not be read or was left out.
///
/// # Errors
/// Failing I/O, or choices that the formats do not allow.
pub fn preview(plan: &ConvertPlan, rejects: &mut (dyn Write + Send)) -> Result<Preview, Error> {
    look(plan, false, rejects)
}

/// Shapes and checks the first items of a selection as an export would.
#[derive(Debug, Default)]
pub struct Sample {
    /// The first records, and what was found in all that were looked at.
    pub preview: Preview,
    /// How many items were looked at: the most recent ones.
    pub looked_at: u64,
    /// How many there are.
    pub total: u64,
}

impl Service {
    /// What an export would find and write, by the most recent items of its selection; nothing is written.
    ///
    /// # Errors
    /// Choices that the formats do not allow; nothing that matches; those of the store.
    pub fn preview_export(
        &self,
        caller: &Caller,
        request: &ExportRequest,
    ) -> Result<Sample, Error> {
        caller.needs(Grant::Export)?;
        self.check_export(caller, request)?;
        let (scope, limit) = (caller.scope(), request.selection.limit());
        let total = match &request.selection {
            ItemSelection::Conversations(selection) => self.store.count(&scope, selection)?,
            ItemSelection::Runs(selection) => self.store.count_runs(&scope, selection)?,
            ItemSelection::Documents(selection) => self.store.document_facts(&scope, selection)?.0,
        };
        let total = limit.map_or(total, |limit| total.min(limit));
        if total == 0 {
            return Err(Error::Nothing("nothing matches the selection".into()));
        }
        let most = usize::try_from(total).unwrap_or(usize::MAX).min(CHECKED_BEFORE);
        let mut unpacker = self.store.unpacker();
        let mut sampling = Sampling::default();
        match &request.selection {
            ItemSelection::Conversations(selection) => {
                for summary in
                    self.store.list(&scope, selection, Order::Newest, None, most)?.conversations
                {
                    if !sampling.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.line(&summary, &mut unpacker)? {
                        sampling.push(&with_edits(&summary, &line)?);
                    }
                }
            }
            ItemSelection::Documents(selection) => {
                for summary in self.store.documents(&scope, selection, None, most)?.documents {
                    if !sampling.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.document_line(&summary, &mut unpacker)? {
                        sampling.push(&line);
                    }
                }
            }
            ItemSelection::Runs(selection) => {
                for summary in self.store.runs(&scope, selection, None, most)?.runs {
                    if !sampling.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.run_line(&summary, &mut unpacker)? {
                        sampling.push(&line);
                    }
                }
            }
        }
        let Sampling { lines, looked_at } = sampling;
        let plan = ConvertPlan {
            inputs: vec![Input::Bytes(lines.into(), request.selection.kind().plural().into())],
            from: import::by_name("retort"),
            selection: Selection { statuses: Status::ALL.to_vec(), ..Selection::default() },
            namespace: None,
            dataset: request.dataset.clone(),
            by_kind: ByKind::default(),
            output: PathBuf::new(),
            shard_bytes: SHARD_BYTES,
            threads: 1,
            force: false,
            snapshot: None,
            reading: ReadOptions::default(),
            strict: false,
        };
        Ok(Sample { preview: look(&plan, true, &mut io::sink())?, looked_at, total })
    }
}

/// Lines of items that are looked at, until they are enough.
#[derive(Default)]
struct Sampling {
    lines: Vec<u8>,
    looked_at: u64,
}

impl Sampling {
    fn takes(&self, size: u64) -> bool {
        self.looked_at == 0 || self.lines.len() as u64 + size <= CHECKED_BEFORE_BYTES
    }

    fn push(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        self.looked_at += 1;
    }
}

/// Shows the first records. `whole` is for a selection from the store: it goes on to the end, so that all that was
/// found is counted, and items may have one id. Of files, the first items alone decide on ids that are repeated.
fn look(
    plan: &ConvertPlan,
    whole: bool,
    rejects: &mut (dyn Write + Send),
) -> Result<Preview, Error> {
    plan.dataset.check()?;
    let mut inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let stop = Stop::current();
    let plan = &plan.completed(&mut inputs, stop.flag())?;
    let decisions = match whole {
        true => Some(Decisions::none().map_err(repeats_failed)?),
        false => None,
    };
    inputs.keep_as_read()?;
    let mut kept = FirstRejects::new();
    if let Some(preview) = look_once(plan, &inputs, whole, decisions, &mut kept.0)? {
        kept.write_to(rejects)?;
        return Ok(preview);
    }
    inputs.keep_rest()?;
    let mut feed = InputsFeed::new(&inputs, plan.from);
    let shaping = plan.shaping();
    let decisions = survey(&mut feed, &shaping, Some(ITEMS_LEARNT_FROM), stop.flag())?;
    Ok(look_once(plan, &inputs, whole, Some(decisions), rejects)?.unwrap_or_default())
}

/// Shows the first records; none if an id is repeated and nothing is decided on it.
fn look_once(
    plan: &ConvertPlan,
    inputs: &Inputs,
    whole: bool,
    decisions: Option<Decisions>,
    rejects: &mut (dyn Write + Send),
) -> Result<Option<Preview>, Error> {
    let stop = Stop::current();
    let jsonl = file_format_named("jsonl").ok_or_else(|| Error::Choice("no JSON Lines".into()))?;
    let shaping = Shaping { file_format: jsonl, threads: 1, tells_account: true, ..plan.shaping() };
    let fail = |source| Error::Unpack { name: "the preview".into(), source };
    let schema = plan.dataset.data_format.schema(&plan.dataset.shape_options, false);
    let mut writer = jsonl.writer(&schema, plan.dataset.file_options).map_err(fail)?;
    let mut lines = Vec::new();
    let mut preview = Preview::default();
    let mut count = 0;
    let mut feed = InputsFeed::new(inputs, plan.from);
    let before = (Totals::default(), decisions);
    let totals = run(&mut feed, &shaping, before, &Nobody, stop.flag(), &mut |delivery| {
        rejects.write_all(&delivery.rejects).map_err(fail)?;
        if let Some(chunk) = delivery.chunk {
            count += chunk.rows;
            writer.write(chunk, &mut lines).map_err(fail)?;
        }
        if let Some(counted) = delivery.account {
            preview.account = counted.account;
            preview.refused = counted.refused;
            preview.first_refused = counted.first_refused;
        }
        Ok(if whole || count < PREVIEW_RECORDS as u64 { More::Wanted } else { More::Enough })
    })?;
    if totals.is_undecided && count < PREVIEW_RECORDS as u64 {
        return Ok(None);
    }
    if whole || count < PREVIEW_RECORDS as u64 {
        preview.account = totals.account;
        preview.refused = totals.refused;
        preview.first_refused = totals.first_refused;
    }
    preview.passed_over = feed.passed_over;
    preview.records =
        String::from_utf8_lossy(&lines).lines().take(PREVIEW_RECORDS).map(str::to_owned).collect();
    Ok(Some(preview))
}

/// Lines of `rejects.jsonl` in a finished package, of one reason if it is named: so many behind the first `after`, and
/// whether there are more.
///
/// # Errors
/// The file cannot be read.
pub fn left_out(
    package: &mut Package,
    reason: Option<&str>,
    after: usize,
    most: usize,
) -> Result<(Vec<String>, bool), Error> {
    let manifest = package.manifest().clone();
    if !manifest.files.iter().any(|file| file.path == REJECTS) {
        return Ok((Vec::new(), false));
    }
    let fail = |source| Error::Unpack { name: REJECTS.into(), source };
    let file = package.file(REJECTS).map_err(fail)?;
    let is_meant = |line: &str| {
        #[derive(serde::Deserialize)]
        struct Why<'l> {
            #[serde(borrow)]
            reason: std::borrow::Cow<'l, str>,
        }
        reason.is_none_or(|reason| {
            serde_json::from_str::<Why<'_>>(line).is_ok_and(|line| line.reason == reason)
        })
    };
    let mut lines = Vec::new();
    let mut passed = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(fail)?;
        if !is_meant(&line) {
            continue;
        }
        if passed < after {
            passed += 1;
        } else if lines.len() == most {
            return Ok((lines, true));
        } else {
            lines.push(line);
        }
    }
    Ok((lines, false))
}

/// Shows the first records of a finished package.
///
/// # Errors
/// It cannot be read.
pub fn preview_package(package: &mut Package) -> Result<Vec<String>, Error> {
    let manifest = package.manifest().clone();
    let fail = |source| Error::Unpack { name: manifest.dataset_name.clone(), source };
    let mut records = Vec::new();
    for file in manifest.files.iter().filter(|file| file.records.is_some()) {
        let left = PREVIEW_RECORDS - records.len();
        if left == 0 {
            break;
        }
        let rows = crate::verify::rows_of(package, &manifest, &file.path).map_err(fail)?;
        for row in rows.take(left) {
            records.push(row.map_err(fail)?);
        }
    }
    Ok(records)
}
