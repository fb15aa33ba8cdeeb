//! `export`: a frozen selection of the store to a dataset, part by part.

use retort_engine::DatasetPlan;
use retort_engine::Error as EngineError;
use retort_engine::ModelFiles;
use retort_engine::Objects;
use retort_engine::SourceName;
use retort_engine::panics::point;
use retort_engine::pipeline::{
    Edits, Feed, More, Outlet, PackedBatch, Shaping, Source, Survey, Totals, Unpacked, Work,
    keep_duplicates, run, variables,
};
use retort_engine::{Assembled, Part, PartWriter, assemble, write_text};
use retort_engine::{Checkpoint, STORE};
use retort_engine::{Dedup, Duplicates};
use retort_engine::{Origin, manifest};
use retort_engine::{Storage, StoredFile};
use retort_formats::package::{DataFile, FilterAsked, MANIFEST};
use retort_model::bounds::ITEM_BYTES;
use retort_model::{ConversationFilter, ItemKind, JobState, LeftOut, Reason, Scope};
use retort_store::{DatasetFile, Job, NewDataset, SelectedBatch, SelectedItem, Shard, Store};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Error;
use crate::lease::Lease;
use crate::models::reopen_measure;

/// What the job table keeps of an export that is to be made.
pub(crate) struct KeptExport {
    pub(crate) dataset: DatasetPlan,
    pub(crate) selection: FilterAsked,
    /// The moment whose state is exported, if the job was asked for later.
    pub(crate) snapshot: Option<String>,
    /// The files of the chat template and the tokenizer.
    pub(crate) model: ModelFiles,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptJson {
    dataset: Box<RawValue>,
    selection: FilterAsked,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    snapshot: Option<String>,
    #[serde(skip_serializing_if = "ModelFiles::is_empty", default)]
    model: ModelFiles,
}

impl KeptExport {
    pub(crate) fn json(&self) -> Result<String, Error> {
        let fail = |error: serde_json::Error| Error::Choice(error.to_string());
        let dataset = RawValue::from_string(self.dataset.to_json()).map_err(fail)?;
        let (selection, snapshot) = (self.selection.clone(), self.snapshot.clone());
        let model = self.model.clone();
        serde_json::to_string(&KeptJson { dataset, selection, snapshot, model }).map_err(fail)
    }

    pub(crate) fn read(job: &Job) -> Result<Self, Error> {
        let fail = |why: String| Error::Choice(format!("the plan of job {}: {why}", job.id));
        let kept: KeptJson =
            serde_json::from_str(&job.plan).map_err(|error| fail(error.to_string()))?;
        let dataset = DatasetPlan::from_json(kept.dataset.get()).map_err(fail)?;
        let KeptJson { selection, snapshot, model, .. } = kept;
        Ok(Self { dataset, selection, snapshot, model })
    }
}

/// Items of a part of a frozen selection.
struct SelectedFeed<'f> {
    store: &'f Arc<Store>,
    job: i64,
    shard: &'f Shard,
    /// Bytes of history before the part.
    ends: u64,
}

impl Feed for SelectedFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.shard.bytes
    }

    fn items_before(&self) -> u64 {
        self.shard.first.saturating_sub(1)
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), EngineError> {
        let name = SourceName { label: STORE.into(), side_of: None };
        let source = Arc::new(Source { place: 0, name, format: None });
        let mut after = self.items_before();
        let mut ends = self.ends;
        while after < self.shard.last {
            point("export.read");
            let batch = self.store.selected(self.job, after, self.shard.last, ends);
            let batch = batch.map_err(failed)?;
            let in_a_row =
                (after + 1..).zip(&batch.items).all(|(place, item)| item.ordinal == place);
            let Some(last) = batch.items.last().filter(|_| in_a_row) else {
                let why = format!("items of job {} behind {after} are gone", self.job);
                return Err(failed(retort_store::Error::Damaged(why)));
            };
            after = last.ordinal;
            to.read_bytes.fetch_add(batch.ends.saturating_sub(ends), Ordering::Relaxed);
            ends = batch.ends;
            if !to.send(
                Arc::clone(&source),
                Work::Packed(Box::new(StoredBatch { store: Arc::clone(self.store), batch })),
            ) {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: retort_store::Error) -> EngineError {
    Error::Store(error).into()
}

/// Items of a frozen selection as the store keeps them.
struct StoredBatch {
    store: Arc<Store>,
    batch: SelectedBatch,
}

impl PackedBatch for StoredBatch {
    fn kind(&self) -> ItemKind {
        self.batch.kind
    }

    fn items(&self) -> u64 {
        self.batch.items.len() as u64
    }

    fn unpack(&self, out: &mut Vec<u8>) -> Vec<Unpacked> {
        out.reserve(self.batch.size().min(ITEM_BYTES));
        let mut unpacker = self.store.unpacker();
        let mut unpack = |item: &SelectedItem| {
            if item.purged_id.is_some() {
                let why =
                    LeftOut::new(Reason::Purged, "it was purged after the selection was made");
                return Err((item.purged_id.clone(), why));
            }
            let start = out.len();
            match self.batch.unpack(item, &mut unpacker, out) {
                Ok(()) => Ok(start..out.len()),
                Err(error) => {
                    out.truncate(start);
                    Err((None, LeftOut::new(Reason::Damaged, error.to_string())))
                }
            }
        };
        let items = self.batch.items.iter();
        items
            .map(|item| Unpacked {
                ordinal: item.ordinal,
                line: unpack(item),
                edits: Edits {
                    status: item.status,
                    title: item.title.clone(),
                    tags: item.tags.clone(),
                },
            })
            .collect()
    }

    fn id(&self, ordinal: u64) -> String {
        self.store.selected_id(&self.batch, ordinal).unwrap_or_default()
    }
}

/// Where the objects of a job's dataset are.
pub(crate) fn prefix(store: &Store, job: i64) -> String {
    format!("datasets/{}-{job}", store.identity())
}

/// Makes the dataset of a job, from where its last worker came to. When it is back, the dataset is there.
///
/// # Errors
/// Failing I/O, a failing store, or nothing to write.
pub(crate) fn export(
    objects: &Objects,
    job: &Job,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<i64, Error> {
    point("export.plan");
    let KeptExport { dataset: mut plan, selection, snapshot, model } = KeptExport::read(job)?;
    let store = lease.store;
    // Templates print the day on which the export was submitted, whenever it runs.
    let submitted = job.created_at.unwrap_or_else(|| lease.clock.now());
    reopen_measure(&mut plan, &model, submitted)?;
    if plan.data_format.has_variables() {
        plan.shape_options.variables = told_variables(&plan, job, lease, threads)?;
    }
    let storage = objects.below(&prefix(store, job.id));
    if plan.dedup != Dedup::None && Duplicates::kept_in(&storage).is_none() {
        let all = everything(&store.shards(job.id)?);
        let mut feed = SelectedFeed { store, job: job.id, shard: &all, ends: 0 };
        let chosen = ConversationFilter::default();
        let shaping = Shaping::of(&plan, &chosen, threads);
        keep_duplicates(&mut feed, &shaping, &storage, &lease.stopped).map_err(in_objects)?;
    }
    let (parts, totals) = parts(&plan, objects, &storage, job, lease, threads)?;
    if totals.account.records == 0 {
        return Err(EngineError::Nothing(why_nothing(&totals)).into());
    }
    let Assembled { mut files, outputs } =
        assemble(&plan, &storage, &parts, &totals, threads).map_err(in_objects)?;
    let listed: Vec<DataFile> = files.iter().map(DataFile::from).collect();
    let origin = Origin {
        passed_over: Vec::new(),
        outputs,
        measured: plan.measured(),
        namespace: None,
        from: None,
        selection,
        snapshot: snapshot.or(job.created_at.map(|time| time.to_string())),
        inputs: totals.sources.iter().map(Into::into).collect(),
    };
    point("receipt");
    let manifest = manifest(&plan, origin, &totals, listed);
    debug_assert!(manifest.balances() && totals.account.balances());
    files.push(write_text(&storage, MANIFEST, &manifest.to_json()).map_err(in_objects)?);
    lease.check()?;
    for made in &files {
        if !is_there(objects, &prefix(store, job.id), made)? {
            let object = storage.describe(&made.key).display().to_string();
            let reason = "it is no longer as it was written".into();
            return Err(EngineError::Objects { doing: "find", object, reason }.into());
        }
    }
    let skipped =
        !totals.account.left_out.is_empty() || !totals.account.records_left_out.is_empty();
    let state = if skipped { JobState::CompletedWithSkips } else { JobState::Completed };
    point("export.end");
    let new = NewDataset {
        name: plan.dataset_name.to_string(),
        purpose: plan.purpose.as_str().into(),
        node: plan.node().map(Into::into),
        data_format: plan.data_format.name().into(),
        file_format: plan.file_format.name().into(),
        records: totals.account.records,
        prefix: prefix(store, job.id),
        files: files.iter().map(listed_file).collect(),
    };
    // All items of a selection are of one kind.
    let report = manifest.counts().next().map(|(_, counts)| serde_json::to_string(counts));
    let report = report.and_then(Result::ok).unwrap_or_default();
    let (id, worker) = (job.id, lease.worker);
    let replaced =
        job.replaces.map(|old| store.dataset_numbered(&Scope::project(job.project), old));
    let replaced = replaced.transpose()?.flatten();
    let dataset = store.finish_export(id, worker, state, &report, &new, lease.clock.now())?;
    // From here on the dataset is there; what is left of its parts only takes room, and is not forgotten.
    let keys: Vec<&str> = files.iter().map(|made| &*made.key).collect();
    let _ = objects
        .keep_only(&new.prefix, &keys)
        .map_err(Error::from)
        .and_then(|()| Ok(store.cleared(job.id)?));
    if let Some(old) = replaced {
        // What cannot be removed now, a worker will.
        let _ = objects
            .remove_all(&old.prefix)
            .map_err(Error::from)
            .and_then(|()| Ok(store.cleared(old.job)?));
    }
    Ok(dataset)
}

/// The variables that have columns: as they were when the first part was made, else as the first items tell them.
fn told_variables(
    plan: &DatasetPlan,
    job: &Job,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<Arc<[Arc<str>]>, Error> {
    let shards = lease.store.shards(job.id)?;
    let kept = shards.first().and_then(|shard| shard.result.as_deref());
    if let Some(kept) = kept.and_then(|kept| Checkpoint::from_json(kept).ok()) {
        return Ok(kept.variables.iter().map(|name| (&**name).into()).collect());
    }
    let all = everything(&shards);
    let mut feed = SelectedFeed { store: lease.store, job: job.id, shard: &all, ends: 0 };
    let everything = ConversationFilter::default();
    let shaping = Shaping::of(plan, &everything, threads);
    Ok(variables(&mut feed, &shaping, &lease.stopped)?)
}

/// All parts as one.
fn everything(shards: &[Shard]) -> Shard {
    Shard {
        number: 0,
        first: shards.first().map_or(1, |shard| shard.first),
        last: shards.last().map_or(0, |shard| shard.last),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        result: None,
    }
}

/// Whether a file lies there as it was made.
fn is_there(objects: &Objects, prefix: &str, made: &StoredFile) -> Result<bool, Error> {
    Ok(objects.size(&format!("{prefix}/{}", made.key))? == Some(made.bytes))
}

fn listed_file(made: &StoredFile) -> DatasetFile {
    DatasetFile {
        path: made.path.clone(),
        object: made.key.clone(),
        records: made.records,
        bytes: made.bytes,
        sha256: made.sha256.clone(),
        crc32: made.crc32,
    }
}

/// What was finished before is taken as it is up to the first part that is no longer there, the rest is done.
fn parts(
    plan: &DatasetPlan,
    objects: &Objects,
    storage: &dyn Storage,
    job: &Job,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<(Vec<Part>, Totals), Error> {
    let store = lease.store;
    let mut parts = Vec::new();
    let (mut totals, mut ends) = (Totals::default(), 0);
    let mut is_resuming = true;
    for shard in store.shards(job.id)? {
        let fail = |why: String| {
            let why = format!("part {} of job {}: {why}", shard.number, job.id);
            Error::Store(retort_store::Error::Damaged(why))
        };
        let kept = match shard.result.as_deref().filter(|_| is_resuming) {
            Some(kept) => {
                let checkpoint = Checkpoint::from_json(kept).map_err(fail)?;
                // A part's account goes on from those before it, so what follows a lost one is done again, too.
                is_resuming = is_whole(objects, &prefix(store, job.id), &checkpoint.part)?;
                is_resuming.then_some(checkpoint)
            }
            None => None,
        };
        if let Some(checkpoint) = kept {
            totals = checkpoint.totals().map_err(fail)?;
            parts.push(checkpoint.part);
        } else {
            is_resuming = false;
            lease.begin_at(shard.first.saturating_sub(1), ends);
            let part = part(plan, storage, job, (&shard, ends), &mut totals, lease, threads)?;
            let left_out = std::mem::take(&mut totals.without_records);
            let kept = Checkpoint::new(part, &totals, &plan.shape_options.variables);
            let json = kept.to_json();
            point("export.checkpoint");
            store.finish_shard(job.id, lease.worker, shard.number, &json, &left_out)?;
            parts.push(kept.part);
        }
        ends += shard.bytes;
        lease.begin_at(shard.last, ends);
    }
    Ok((parts, totals))
}

fn is_whole(objects: &Objects, prefix: &str, part: &Part) -> Result<bool, Error> {
    for made in part.files() {
        if !is_there(objects, prefix, made)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes one part.
fn part(
    plan: &DatasetPlan,
    storage: &dyn Storage,
    job: &Job,
    (shard, ends): (&Shard, u64),
    totals: &mut Totals,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<Part, Error> {
    let all = ConversationFilter::default();
    let mut shaping = Shaping::of(plan, &all, threads);
    if totals.account.records > 0 {
        // What comes after the first file comes too late for it.
        shaping.inference_bytes = 0;
    }
    let number = usize::try_from(shard.number).unwrap_or(usize::MAX);
    let mut writer = PartWriter::begin(plan, storage, number, u64::MAX, threads);
    let mut feed = SelectedFeed { store: lease.store, job: job.id, shard, ends };
    let before = std::mem::take(totals);
    let duplicates = match plan.dedup {
        Dedup::None => None,
        Dedup::Exact | Dedup::Near => Some(Duplicates::kept_in(storage).ok_or_else(|| {
            EngineError::bug("the decisions on duplicates are not beside the parts")
        })?),
    };
    let survey = Survey { repeats: None, duplicates };
    *totals = run(&mut feed, &shaping, (before, survey), lease, &lease.stopped, &mut |delivery| {
        writer.take(delivery).map(|()| More::Wanted)
    })
    .map_err(in_objects)?;
    Ok(writer.finish().map_err(in_objects)?)
}

/// A failure to write, as one of the place of the datasets: what was finished stays for the next try.
fn in_objects(error: EngineError) -> EngineError {
    match error {
        EngineError::Write { path, source } => EngineError::Objects {
            doing: "write",
            object: path.display().to_string(),
            reason: source.to_string(),
        },
        other => other,
    }
}

fn why_nothing(totals: &Totals) -> String {
    let account = &totals.account;
    if account.selected == 0 {
        return "nothing matches the selection".into();
    }
    let reasons: Vec<String> = account
        .left_out
        .iter()
        .map(|(reason, count, _)| format!("{count} {}", reason.words()))
        .collect();
    format!("of {} {}s, {}", account.selected, account.noun(), reasons.join(", "))
}
