//! `stats`: what is in items before and after all that a dataset leaves out, with nothing written.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;

use retort_model::{ConversationFilter, Reason, Tally};

use crate::convert::Found;
use crate::convert_plan::ConvertPlan;
use crate::dedup::{Dedup, DuplicateCounts, Duplicates};
use crate::disk::temporary_folder;
use crate::error::Error;
use crate::export_options::ExportOptions;
use crate::package::Package;
use crate::pipeline::{
    Contents, Feed, More, Nobody, Shaping, SourceCount, Survey, Totals, run, survey, variables,
};
use crate::plan::DatasetPlan;
use crate::source::{Input, Inputs};

/// What is in items.
#[derive(Debug, Default)]
pub struct Stats {
    /// In those that are selected, and in those of which a dataset would have something.
    pub contents: Contents,
    /// How many of the selected are duplicates of others; none if they were not looked for.
    pub duplicates: Option<DuplicateCounts>,
    /// The streams, each with the format that it was read as.
    pub sources: Vec<SourceCount>,
    /// What an export would report.
    pub found: Found,
}

/// Reads the inputs of a plan to their end, twice. Duplicates are looked for as the dataset's options say, or else as
/// `counting` says, which leaves none of them out; not with a limit or a sample, which they would change.
///
/// # Errors
/// Failing I/O, or choices that the formats do not allow.
pub fn stats(plan: &ConvertPlan, counting: Dedup, stopped: &AtomicBool) -> Result<Stats, Error> {
    plan.dataset.check()?;
    let mut inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let plan = &plan.completed(&mut inputs, stopped)?;
    inputs.keep_as_read()?;
    let shaping = Shaping { counts_contents: true, ..plan.shaping() };
    let counting = if plan.selection.limit.is_some() { Dedup::None } else { counting };
    let (survey, duplicates) = surveyed(&mut plan.feed(&inputs), &shaping, counting, stopped)?;
    inputs.keep_rest()?;
    let mut feed = plan.feed(&inputs);
    let mut stats = counted(&mut feed, &shaping, (survey, duplicates), stopped)?;
    stats.found.passed_over = plan.told(feed.passed_over);
    Ok(stats)
}

/// What is in the data of a finished package, which is read back from a copy on this machine. It was selected before, so
/// that only [`Contents::selected`] tells something.
///
/// # Errors
/// The package cannot be read.
pub fn stats_of_package(
    package: &mut Package,
    counting: Dedup,
    stopped: &AtomicBool,
) -> Result<Stats, Error> {
    let failed = |source| Error::Failed { what: "the copy of the dataset", source };
    let folder = temporary_folder().map_err(failed)?;
    let files: Vec<_> =
        package.manifest().files.iter().filter(|file| file.records.is_some()).cloned().collect();
    let mut inputs = Vec::new();
    for file in files {
        let name = file.path.replace('/', "-");
        let fail = |source| Error::Unpack { name: file.path.clone(), source };
        let path = folder.path().join(name);
        let mut copy = File::create(&path).map_err(failed)?;
        io::copy(&mut package.file(&file.path).map_err(fail)?, &mut copy).map_err(fail)?;
        inputs.push(Input::Path(path));
    }
    let options = ExportOptions::default().with("data_format", "history");
    let name = "stats".parse().map_err(|error| Error::bug(format!("the name: {error}")))?;
    let plan = options.and_then(|options| ConvertPlan::new(inputs, &options, name));
    stats(&plan.map_err(Error::Choice)?, counting, stopped)
}

/// As [`stats`], of items that were chosen where they are kept. The feed is read once, and once more for each thing that
/// takes all items to decide: columns, and duplicates or a sample.
///
/// # Errors
/// Those of the feed, or choices that the formats do not allow.
pub fn stats_of(
    dataset: &DatasetPlan,
    feed: &mut dyn Feed,
    counting: Dedup,
    threads: usize,
    stopped: &AtomicBool,
) -> Result<Stats, Error> {
    dataset.check()?;
    let everything = ConversationFilter::default();
    let mut dataset = dataset.clone();
    if dataset.data_format.has_variables() {
        let shaping = Shaping::of(&dataset, &everything, threads);
        dataset.shape_options.variables = variables(feed, &shaping, stopped)?;
    }
    let shaping = Shaping { counts_contents: true, ..Shaping::of(&dataset, &everything, threads) };
    let is_decided_at_once = counting == Dedup::None
        && dataset.dedup == Dedup::None
        && !dataset.sampling.needs_survey()
        && !dataset.split_needs_survey();
    let before = match is_decided_at_once {
        true => (Survey::default(), None),
        false => surveyed(feed, &shaping, counting, stopped)?,
    };
    counted(feed, &shaping, before, stopped)
}

/// What is decided on all items, and how many duplicates there are of which none is left out.
fn surveyed(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    counting: Dedup,
    stopped: &AtomicBool,
) -> Result<(Survey, Option<DuplicateCounts>), Error> {
    let is_counted = counting != Dedup::None && !shaping.sampling.is_any();
    if shaping.dedup != Dedup::None || !is_counted {
        return Ok((survey(feed, shaping, None, stopped)?, None));
    }
    let looking = Shaping { dedup: counting, ..shaping.clone() };
    let mut decided = survey(feed, &looking, None, stopped)?;
    let failed = |source: io::Error| Error::Failed { what: "the count of duplicates", source };
    let duplicates = decided.duplicates.take().map(Duplicates::count);
    Ok((decided, duplicates.transpose().map_err(failed)?))
}

fn counted(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    (survey, duplicates): (Survey, Option<DuplicateCounts>),
    stopped: &AtomicBool,
) -> Result<Stats, Error> {
    let before = (Totals::default(), survey);
    let mut totals = run(feed, shaping, before, &Nobody, stopped, &mut |_| Ok(More::Wanted))?;
    let left_out = &totals.account.left_out;
    let duplicates = duplicates.or_else(|| {
        (shaping.dedup != Dedup::None).then(|| DuplicateCounts {
            exact: left_out.count(Reason::Duplicate),
            near: left_out.count(Reason::NearDuplicate),
        })
    });
    Ok(Stats {
        contents: totals.contents.take().map(|contents| *contents).unwrap_or_default(),
        duplicates,
        sources: std::mem::take(&mut totals.sources),
        found: Found::of(totals, Tally::default()),
    })
}
