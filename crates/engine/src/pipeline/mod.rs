//! From streams of bytes to encoded chunks of rows: the calling thread cuts items, several parse and shape them and
//! hand on the chunks in order.
//!
//! The result does not depend on the number of threads: batches are cut by the input alone, and whatever one
//! batch may learn from those before it (repeated ids, the limit, groups of rows) is decided in their order.

mod choose;
mod duplicate;
mod facts;
mod feed;
mod gather;
mod ids;
mod learn;
mod limit;
mod look;
mod measured;
mod packed;
mod part;
mod reassemble;
mod redacting;
mod repeated;
mod repeats;
mod share;
mod spill;
mod splitting;
mod stage;
mod stages;
mod survey;
mod traced;
mod work;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use retort_formats::data::{DataFormat, ShapeOptions, ToolCache};
use retort_formats::file::{Chunk, FileFormat, FileOptions};
use retort_formats::import::split::Batch;
use retort_formats::import::{ImportFormat, Refusal};
use retort_model::bounds::{INFERENCE_BYTES, RENAMED_TOOLS_LISTED};
use retort_model::{Account, ConversationFilter, Tally};
use retort_redact::Redactor;

pub use self::facts::{Facts, Unknown};
pub use self::feed::InputsFeed;
use self::gather::Gathering;
pub use self::gather::place_of;
pub use self::ids::{content_id, content_of, digest, put_into_namespace};
pub use self::learn::{first_kind, variables};
pub use self::packed::{Edits, PackedBatch, Unpacked};
pub use self::part::{PartBatch, regroup};
pub use self::redacting::ListedHit;
pub use self::repeats::{Decisions, decide, is_of_first, moved_item, moved_verdict};
pub use self::share::{Extent, PartNumber};
pub use self::survey::{Survey, keep_duplicates, survey, survey_with_facts};
use self::work::Worker;
pub use self::work::{BatchDone, ReadItem, parse, refuse_input};
use self::workers::ReorderBuffer;
pub use self::workers::{Ends, Output, Sequencer, in_order, threads};
use crate::dedup::Dedup;
use crate::error::Error;
use crate::measure::Measure;
use crate::plan::DatasetPlan;
use crate::source::SourceName;
use crate::split::{GroupBy, Split};

/// How far an export is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read from the disk.
    pub read_bytes: u64,
    /// Bytes to read; 0 if unknown.
    pub total_bytes: u64,
    /// Records written.
    pub records: u64,
}

/// Is told how far an export is.
pub trait Observer: Sync {
    /// Called often; must be cheap.
    fn progress(&self, progress: Progress);
}

/// An observer where nobody watches.
pub struct Nobody;

impl Observer for Nobody {
    fn progress(&self, _progress: Progress) {}
}

/// What happens to each item.
#[derive(Clone)]
pub struct Shaping<'p> {
    /// The import format, if it was named.
    pub from: Option<&'static dyn ImportFormat>,
    /// Which items are chosen.
    pub selection: &'p ConversationFilter,
    /// What is put before all ids.
    pub namespace: Option<&'p str>,
    /// The shape of the records.
    pub data_format: &'static dyn DataFormat,
    /// The kind of file.
    pub file_format: &'static dyn FileFormat,
    /// Options of the data format.
    pub shape_options: ShapeOptions,
    /// Options of the file format.
    pub file_options: FileOptions,
    /// Threads that parse and shape.
    pub threads: usize,
    /// Bytes at the start of the first file from which readers infer the types of its columns.
    pub inference_bytes: u64,
    /// Whether each delivery says what was counted up to it.
    pub tells_account: bool,
    /// Measures records, where that is asked.
    pub measure: Option<Arc<Measure>>,
    /// Whether each repair and warning is listed.
    pub lists_findings: bool,
    /// Whether each batch is kept by itself, as one of a part of the export.
    pub keeps_batches: bool,
    /// The outputs.
    pub split: Split,
    /// What goes to one output as a whole.
    pub group_by: GroupBy,
    /// Which duplicates are left out.
    pub dedup: Dedup,
    /// Replaces secrets and personal data, where that is asked.
    pub redactor: Option<Arc<Redactor>>,
    /// How many of its hits are listed.
    pub hits_listed: usize,
}

impl<'p> Shaping<'p> {
    /// What a dataset's plan says of items that `selection` chooses.
    pub fn of(plan: &DatasetPlan, selection: &'p ConversationFilter, threads: usize) -> Self {
        Self {
            from: None,
            selection,
            namespace: None,
            data_format: plan.data_format,
            file_format: plan.file_format,
            shape_options: plan.shape_options.clone(),
            file_options: plan.file_options,
            threads: threads.max(1),
            inference_bytes: INFERENCE_BYTES,
            tells_account: false,
            measure: plan.measure.clone(),
            lists_findings: plan.findings,
            keeps_batches: false,
            split: plan.split.clone(),
            group_by: plan.group_by,
            dedup: plan.dedup,
            redactor: plan.redaction.redactor(),
            hits_listed: 0,
        }
    }
}

/// Some rows for the file of an output, and what goes to the files beside it.
#[derive(Default)]
pub struct Delivery {
    /// The output.
    pub output: usize,
    /// None if there is something beside the data alone.
    pub chunk: Option<Chunk>,
    /// Lines of `rejects.jsonl`.
    pub rejects: Vec<u8>,
    /// Lines of `findings.jsonl`.
    pub findings: Vec<u8>,
    /// Lines of the output's file of ids.
    pub ids: Vec<u8>,
    /// For each item that was written, the hash of its group and its output.
    pub groups: Vec<u8>,
    /// Lines of the file of extras.
    pub extras: Vec<u8>,
    /// What was counted up to here, where that was asked.
    pub account: Option<Counted>,
    /// A batch of a part, instead of all else.
    pub batch: Option<PartBatch>,
}

impl Delivery {
    fn records(&self) -> u64 {
        let chunk = self.chunk.as_ref().map(|chunk| chunk.rows);
        chunk.or(self.batch.as_ref().map(|batch| batch.records)).unwrap_or(0)
    }
}

/// What was counted up to a delivery.
pub struct Counted {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// The first items that could not be read.
    pub first_refused: FirstRefused,
    /// The first hits of redaction, where they are listed.
    pub hits: Vec<ListedHit>,
}

/// What the taker of deliveries says.
pub enum More {
    /// It takes more.
    Wanted,
    /// It has enough.
    Enough,
}

/// By reason, where the first item stands that was refused for it, and what is wrong with it.
pub type FirstRefused = BTreeMap<String, String>;

/// What was counted on the way.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// The first items that could not be read.
    pub first_refused: FirstRefused,
    /// The streams that were read.
    pub sources: Vec<SourceCount>,
    /// What readers can learn from the rows of each output.
    pub learnt: Vec<Learnt>,
    /// Tools whose names were changed, with their new names.
    pub renamed_tools: BTreeMap<String, String>,
    /// Places of packed items of which nothing was written.
    pub without_records: Vec<u64>,
    /// The first hits of redaction, where they are listed.
    pub hits: Vec<ListedHit>,
    /// Whether an id is repeated on which nothing was decided, so that all has to begin again.
    pub is_undecided: bool,
}

impl Totals {
    /// Adds tools whose names were changed, as far as they are listed.
    pub fn add_renamed_tools(&mut self, renamed: impl IntoIterator<Item = (String, String)>) {
        for (from, to) in renamed {
            if self.renamed_tools.len() < RENAMED_TOOLS_LISTED {
                self.renamed_tools.insert(from, to);
            }
        }
    }
}

/// What readers that infer types can learn from the rows of an output.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// Rows that must stand before all others, as they complete the types of the columns.
    pub front: Vec<FrontRow>,
    /// What can be learnt from the rows so far, with what was known before them.
    pub evidence: u64,
    /// What the rows themselves show, wherever they are written.
    pub shown: u64,
    /// Bytes of rows written so far.
    pub bytes_before: u64,
}

/// A row moved to the front, and the line of its id.
#[derive(Clone, Debug, Default)]
pub struct FrontRow {
    /// The encoded row.
    pub row: Vec<u8>,
    /// Its line in the file of ids.
    pub id: Vec<u8>,
}

/// What was found in one stream.
#[derive(Clone, Debug, Default)]
pub struct SourceCount {
    /// What errors and receipts call it.
    pub name: String,
    /// The import format it was read as.
    pub format: Option<&'static str>,
    /// Items that were found in it.
    pub items: u64,
    /// Items that could not be read.
    pub refused: u64,
}

/// A stream under way.
pub struct Source {
    /// Its place among the streams.
    pub place: usize,
    /// Its names.
    pub name: SourceName,
    /// The import format, once it is known.
    pub format: Option<&'static dyn ImportFormat>,
}

impl Source {
    /// Whether it is a file beside the items, which is read with them.
    fn is_side(&self) -> bool {
        self.name.side_of.is_some()
    }
}

/// Some items for a worker.
pub struct Job {
    /// Its place among the jobs.
    pub sequence: u64,
    /// Where the items come from.
    pub source: Arc<Source>,
    /// Items before those of this batch.
    pub items_before: u64,
    /// The items.
    pub work: Work,
}

/// What a job holds.
pub enum Work {
    /// Items as their source wrote them.
    Items(Batch),
    /// Something that cannot be read.
    Refused(RefusedInput),
    /// Items that are kept elsewhere, and were chosen there.
    Packed(Box<dyn PackedBatch>),
}

/// What cannot be read of a stream: all of it, or the rest.
pub struct RefusedInput {
    /// The kind of fault.
    pub refusal: Refusal,
    /// What is wrong.
    pub why: String,
    /// Its place among the items, its line and its byte.
    pub position: (u64, u64, u64),
}

impl Work {
    fn items(&self) -> u64 {
        match self {
            Self::Items(batch) => batch.items.len() as u64,
            Self::Refused(_) => 1,
            Self::Packed(batch) => batch.items(),
        }
    }
}

/// Where a feed puts its batches.
pub struct Outlet<'o> {
    jobs: &'o mut dyn FnMut(Job) -> bool,
    ends: &'o Ends<'o>,
    spent: Option<Receiver<Batch>>,
    sequence: u64,
    items: u64,
    /// Bytes read so far.
    pub read_bytes: Arc<AtomicU64>,
}

impl<'o> Outlet<'o> {
    /// An outlet for a feed, behind so many items before it.
    pub fn new(
        jobs: &'o mut dyn FnMut(Job) -> bool,
        ends: &'o Ends<'o>,
        spent: Option<Receiver<Batch>>,
        items_before: u64,
        read_bytes: Arc<AtomicU64>,
    ) -> Self {
        Self { jobs, ends, spent, sequence: 0, items: items_before, read_bytes }
    }

    /// A batch whose memory can be used again.
    fn spent_batch(&self) -> Batch {
        self.spent.as_ref().and_then(|spent| spent.try_recv().ok()).unwrap_or_default()
    }

    fn more_wanted(&self) -> bool {
        self.ends.more_wanted()
    }

    /// Sends work; says whether more is wanted.
    pub fn send(&mut self, source: Arc<Source>, work: Work) -> bool {
        let items = work.items();
        let job = Job { sequence: self.sequence, source, items_before: self.items, work };
        self.sequence += 1;
        self.items += items;
        (self.jobs)(job)
    }
}

/// Where items come from.
pub trait Feed {
    /// Bytes to read; 0 if unknown.
    fn total_bytes(&self) -> u64;

    /// Sends everything, or until no more is wanted.
    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error>;

    /// Items that came before the first of it.
    fn items_before(&self) -> u64 {
        0
    }
}

/// Reads all that `feed` gives and hands the chunks to `take`, in order, on whichever thread made them. `before` is
/// what was counted before, `survey` what was decided on all items; where nothing was on repeated ids, the first such
/// id ends the run.
pub fn run(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    (before, survey): (Totals, Survey),
    observer: &dyn Observer,
    stopped: &AtomicBool,
    take: &mut (dyn FnMut(Delivery) -> Result<More, Error> + Send),
) -> Result<Totals, Error> {
    let ends = Ends::new(stopped);
    let (stages, ordered) = stages::of(shaping, survey);
    let ordered = Sequencer::new(ordered);
    let records = before.account.records;
    let gathering = ReorderBuffer::new(Gathering::after(before), shaping.threads);
    let (spent, spent_batches) = sync_channel::<Batch>(workers::jobs_waiting(shaping.threads));
    let read_bytes = Arc::new(AtomicU64::new(0));
    let total_bytes = feed.total_bytes();
    let more = {
        let (ends, read) = (&ends, Arc::clone(&read_bytes));
        in_order(
            shaping.threads,
            ends,
            |jobs| {
                let before = feed.items_before();
                feed.feed(&mut Outlet::new(jobs, ends, Some(spent_batches), before, read))
            },
            || {
                let mut worker = Worker {
                    shaping,
                    ends,
                    stages: &stages,
                    ordered: &ordered,
                    gathering: &gathering,
                    widened: shaping.selection.with_deleted(),
                    spent: spent.clone(),
                    tools: ToolCache::default(),
                };
                move |job, made: &Output<'_, Delivery>| worker.one(job, made)
            },
            &mut observed((records, total_bytes), &read_bytes, observer, take),
        )?
    };
    let gathering = gathering.into_inner()?;
    if ordered.lock().1.needs_survey {
        return Ok(Totals { is_undecided: true, ..Totals::default() });
    }
    gathering.finish(&more, shaping, take)
}

/// Hands deliveries to `take`, and tells the observer after each how far the work is.
fn observed<'t>(
    (mut records, total_bytes): (u64, u64),
    read_bytes: &'t AtomicU64,
    observer: &'t dyn Observer,
    take: &'t mut (dyn FnMut(Delivery) -> Result<More, Error> + Send),
) -> impl FnMut(Delivery) -> Result<More, Error> + Send + 't {
    move |delivery| {
        records += delivery.records();
        let more = take(delivery);
        let read_bytes = read_bytes.load(Ordering::Relaxed);
        observer.progress(Progress { read_bytes, total_bytes, records });
        more
    }
}
