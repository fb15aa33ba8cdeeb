//! `preview`: the first records as they would be written, and what was found in them, with nothing written.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::atomic::AtomicBool;

use retort_formats::file::{Chunk, FileFormat, FileWriter, by_name as file_format_named};
use retort_formats::package::{FINDINGS, List, REJECTS};
use retort_model::bounds::{ITEMS_INFERRED_FROM, PREVIEW_BYTES, PREVIEW_RECORDS};
use retort_model::{ConversationFilter, Tally};

use crate::convert::{Found, surveyed_if_needed};
use crate::convert_plan::ConvertPlan;
use crate::dedup::Dedup;
use crate::error::Error;
use crate::package::Package;
use crate::pipeline::{
    Counted, Feed, More, Nobody, Shaping, Survey, Totals, run, survey, variables,
};
use crate::plan::DatasetPlan;
use crate::sampling::Sampling;
use crate::source::Inputs;

/// Hits of redaction that a preview lists: a screen or two.
const HITS: usize = 50;

/// The first records of a dataset.
#[derive(Debug, Default)]
pub struct Preview {
    /// The records, each as the JSON text of an object.
    pub records: Vec<String>,
    /// What was found in the items that were read.
    pub found: Found,
}

/// Shows the first records that the plan would write. Reading stops soon behind them. `rejects` gets a line for each
/// item that could not be read or was left out.
///
/// # Errors
/// Failing I/O, or choices that the formats do not allow.
pub fn preview(
    plan: &ConvertPlan,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<Preview, Error> {
    look(plan, stopped, rejects)
}

/// Shows the first records that a dataset would have, and what was found in all items of the feed, which were chosen
/// already; no sample is taken. The feed is read to its end, and twice where columns are learnt from the items.
///
/// # Errors
/// Those of the feed, or choices that the formats do not allow.
pub fn sample(
    dataset: &DatasetPlan,
    feed: &mut dyn Feed,
    stopped: &AtomicBool,
) -> Result<Preview, Error> {
    dataset.check()?;
    let everything = ConversationFilter::default();
    let mut dataset = DatasetPlan { sampling: Sampling::default(), ..dataset.clone() };
    if dataset.data_format.has_variables() {
        let variables = variables(feed, &Shaping::of(&dataset, &everything, 1), stopped)?;
        dataset.shape_options.variables = variables;
    }
    let mut first = First::of(&dataset)?;
    let shaping = Shaping {
        file_format: jsonl()?,
        hits_listed: HITS,
        ..Shaping::of(&dataset, &everything, 1)
    };
    let before = (Totals::default(), surveyed(feed, &shaping, stopped)?);
    let totals = run(feed, &shaping, before, &Nobody, stopped, &mut |delivery| {
        first.take(delivery.chunk).map(|()| More::Wanted)
    })?;
    Ok(Preview { records: first.records(), found: Found::of(totals, Tally::default()) })
}

/// What is decided on the items of a feed, where duplicates are to be left out.
fn surveyed(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    stopped: &AtomicBool,
) -> Result<Survey, Error> {
    match shaping.dedup {
        Dedup::None => Ok(Survey::default()),
        Dedup::Exact | Dedup::Near => survey(feed, shaping, Some(ITEMS_INFERRED_FROM), stopped),
    }
}

/// The first records as JSON Lines.
struct First {
    writer: Box<dyn FileWriter>,
    lines: Vec<u8>,
    count: u64,
}

impl First {
    fn of(dataset: &DatasetPlan) -> Result<Self, Error> {
        let schema = dataset.data_format.schema(&dataset.shape_options, false);
        let writer = jsonl()?.writer(&schema, dataset.file_options).map_err(failed)?;
        Ok(Self { writer, lines: Vec::new(), count: 0 })
    }

    fn is_enough(&self) -> bool {
        self.count >= PREVIEW_RECORDS as u64 || self.lines.len() >= PREVIEW_BYTES
    }

    /// Takes the records of a chunk until there are enough.
    fn take(&mut self, chunk: Option<Chunk>) -> Result<(), Error> {
        if let Some(chunk) = chunk.filter(|_| !self.is_enough()) {
            self.count += chunk.rows;
            self.writer.write(chunk, &mut self.lines).map_err(failed)?;
        }
        Ok(())
    }

    fn records(&self) -> Vec<String> {
        let lines = String::from_utf8_lossy(&self.lines);
        let mut room = Room::default();
        let fits = lines.lines().take(PREVIEW_RECORDS).take_while(|line| room.has(line));
        fits.map(str::to_owned).collect()
    }
}

/// Whether a preview has room for another record. There is always some for the first.
#[derive(Default)]
struct Room {
    bytes: usize,
}

impl Room {
    fn has(&mut self, record: &str) -> bool {
        let is_first = self.bytes == 0;
        self.bytes += record.len();
        is_first || self.bytes <= PREVIEW_BYTES
    }
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the preview", source }
}

fn jsonl() -> Result<&'static dyn FileFormat, Error> {
    file_format_named("jsonl").ok_or_else(|| Error::bug("no file format `jsonl`"))
}

/// Shows the first records; no sample is taken. Where an id is repeated, the first items alone decide on it.
fn look(
    plan: &ConvertPlan,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<Preview, Error> {
    plan.dataset.check()?;
    let mut inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let mut plan = plan.completed(&mut inputs, stopped)?;
    plan.dataset.sampling = Sampling::default();
    let plan = &plan;
    inputs.keep_as_read()?;
    let most = Some(ITEMS_INFERRED_FROM);
    let preview = surveyed_if_needed(
        plan,
        &mut inputs,
        most,
        stopped,
        rejects,
        |inputs, survey, rejects| look_once(plan, inputs, survey, stopped, rejects),
    )?;
    Ok(preview.unwrap_or_default())
}

/// Shows the first records; none if an id is repeated and nothing is decided on it.
fn look_once(
    plan: &ConvertPlan,
    inputs: &Inputs,
    survey: Survey,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<Option<Preview>, Error> {
    let shaping = Shaping {
        file_format: jsonl()?,
        threads: 1,
        tells_account: true,
        hits_listed: HITS,
        attached: plan.attached(inputs),
        ..plan.shaping()
    };
    let mut first = First::of(&plan.dataset)?;
    let mut found = Found::default();
    let mut feed = plan.feed(inputs);
    let before = (Totals::default(), survey);
    let totals = run(&mut feed, &shaping, before, &Nobody, stopped, &mut |delivery| {
        rejects.write_all(&delivery.rejects).map_err(failed)?;
        first.take(delivery.chunk)?;
        if let Some(Counted { account, refused, first_refused, hits }) = delivery.account {
            found = Found { account, refused, first_refused, passed_over: Tally::default(), hits };
        }
        Ok(if first.is_enough() { More::Enough } else { More::Wanted })
    })?;
    if totals.is_undecided && !first.is_enough() {
        return Ok(None);
    }
    if !first.is_enough() {
        found = Found::of(totals, Tally::default());
    }
    found.passed_over = plan.told(feed.passed_over);
    Ok(Some(Preview { records: first.records(), found }))
}

/// Items that a receipt counts.
#[derive(Clone, Copy, Debug)]
pub enum Lines<'k> {
    /// What was left out, for one reason if it is named.
    LeftOut(Option<&'k str>),
    /// Records with a repair or a warning of that kind.
    Findings(List, &'k str),
}

impl Lines<'_> {
    /// The file that lists them.
    fn file(self) -> &'static str {
        match self {
            Self::LeftOut(_) => REJECTS,
            Self::Findings(..) => FINDINGS,
        }
    }

    fn is_in(self, line: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Why<'l> {
            #[serde(borrow)]
            reason: std::borrow::Cow<'l, str>,
        }
        #[derive(serde::Deserialize)]
        struct Finding<'l> {
            finding: List,
            #[serde(borrow)]
            kind: std::borrow::Cow<'l, str>,
        }
        match self {
            Self::LeftOut(None) => true,
            Self::LeftOut(Some(reason)) => {
                serde_json::from_str::<Why<'_>>(line).is_ok_and(|line| line.reason == reason)
            }
            Self::Findings(list, kind) => serde_json::from_str::<Finding<'_>>(line)
                .is_ok_and(|line| line.finding == list && line.kind == kind),
        }
    }
}

/// Lines of `rejects.jsonl` or `findings.jsonl` in a finished package: at most so many behind the first `after`, and no more
/// bytes than a preview has; and whether there are more.
///
/// # Errors
/// The file cannot be read.
pub fn lines_of(
    package: &mut Package,
    lines: Lines<'_>,
    after: usize,
    most: usize,
) -> Result<(Vec<String>, bool), Error> {
    let name = lines.file();
    if !package.manifest().files.iter().any(|file| file.path == name) {
        return Ok((Vec::new(), false));
    }
    let fail = |source| Error::Unpack { name: name.into(), source };
    let file = package.file(name).map_err(fail)?;
    let (mut found, mut room) = (Vec::new(), Room::default());
    let mut passed = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(fail)?;
        if !lines.is_in(&line) {
            continue;
        }
        if passed < after {
            passed += 1;
        } else if found.len() == most || !room.has(&line) {
            return Ok((found, true));
        } else {
            found.push(line);
        }
    }
    Ok((found, false))
}

/// Which of these items `rejects.jsonl` in a finished package lists, by their ids.
///
/// # Errors
/// The file cannot be read.
pub fn left_out_among(
    package: &mut Package,
    ids: &HashSet<String>,
) -> Result<HashSet<String>, Error> {
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(alias = "request_id", alias = "document_id")]
        conversation_id: Option<String>,
    }
    if !package.manifest().files.iter().any(|file| file.path == REJECTS) {
        return Ok(HashSet::new());
    }
    let fail = |source| Error::Unpack { name: REJECTS.into(), source };
    let mut found = HashSet::new();
    for line in BufReader::new(package.file(REJECTS).map_err(fail)?).lines() {
        let item = serde_json::from_str::<Item>(&line.map_err(fail)?).ok();
        found.extend(item.and_then(|item| item.conversation_id).filter(|id| ids.contains(id)));
    }
    Ok(found)
}

/// Shows the first records of a finished package.
///
/// # Errors
/// It cannot be read.
pub fn preview_package(package: &mut Package) -> Result<Vec<String>, Error> {
    let manifest = package.manifest().clone();
    let fail = |source| Error::Unpack { name: manifest.dataset_name.clone(), source };
    let (mut records, mut room) = (Vec::new(), Room::default());
    for file in manifest.files.iter().filter(|file| file.records.is_some()) {
        let left = PREVIEW_RECORDS - records.len();
        if left == 0 {
            break;
        }
        let rows = crate::verify::rows_of(package, &manifest, &file.path).map_err(fail)?;
        for row in rows.take(left) {
            let row = row.map_err(fail)?;
            if !room.has(&row) {
                return Ok(records);
            }
            records.push(row);
        }
    }
    Ok(records)
}
