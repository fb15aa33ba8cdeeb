//! `export`: a frozen selection of the store to a dataset.

use retort_engine::panics::point;
use retort_engine::pipeline::Totals;
use retort_engine::{
    Assembled, BenchmarkFile, DatasetPlan, Error as EngineError, ModelFiles, Objects, Origin,
    PlanPaths, Storage, StoredFile, assemble, manifest, write_text,
};
use retort_formats::package::{DataFile, FilterAsked, MANIFEST, Manifest, WindowSpan, WindowTold};
use retort_model::{JobState, Scope, Time, Window};
use retort_store::{DatasetFile, Job, NewDataset, Shard, Store};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::datasets::open_dataset;
use crate::error::Error;
use crate::export_parts::{Prepared, RunningExport, in_objects, is_there, prepare};
use crate::lease::Lease;

/// What the job table keeps of an export that is to be made.
pub(crate) struct KeptExport {
    pub(crate) dataset: DatasetPlan,
    pub(crate) selection: FilterAsked,
    /// The moment whose state is exported, if the job was asked for later.
    pub(crate) snapshot: Option<String>,
    /// The files of the chat template and the tokenizer.
    pub(crate) model: ModelFiles,
    /// The files of the benchmarks.
    pub(crate) benchmarks: Vec<BenchmarkFile>,
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
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    benchmarks: Vec<BenchmarkFile>,
}

impl KeptExport {
    pub(crate) fn json(&self) -> Result<String, Error> {
        let fail = |error: serde_json::Error| Error::Choice(error.to_string());
        let dataset = RawValue::from_string(self.dataset.to_json()).map_err(fail)?;
        let (selection, snapshot) = (self.selection.clone(), self.snapshot.clone());
        let (model, benchmarks) = (self.model.clone(), self.benchmarks.clone());
        serde_json::to_string(&KeptJson { dataset, selection, snapshot, model, benchmarks })
            .map_err(fail)
    }

    pub(crate) fn read(job: &Job) -> Result<Self, Error> {
        let fail = |why: String| Error::Choice(format!("the plan of job {}: {why}", job.id));
        let kept: KeptJson =
            serde_json::from_str(&job.plan).map_err(|error| fail(error.to_string()))?;
        let dataset = DatasetPlan::from_json(kept.dataset.get()).map_err(fail)?;
        let KeptJson { selection, snapshot, model, benchmarks, .. } = kept;
        Ok(Self { dataset, selection, snapshot, model, benchmarks })
    }

    /// What a job is to make, ready to be made.
    fn opened(job: &Job, lease: &Lease<'_>) -> Result<Self, Error> {
        let mut kept = Self::read(job)?;
        // Templates print the day on which the export was submitted, whenever it runs.
        let submitted = job.created_at.unwrap_or_else(|| lease.clock.now());
        kept.open_files(submitted)?;
        Ok(kept)
    }

    /// Opens what the plan measures records with and the benchmarks, from the files that it was submitted with.
    fn open_files(&mut self, now: Time) -> Result<(), Error> {
        let Self { dataset, model, benchmarks, .. } = self;
        let paths = PlanPaths {
            model: dataset.measuring.paths_of(model),
            benchmarks: benchmarks.clone(),
            split_from: None,
        };
        dataset.open_files(&paths, now)?;
        match &dataset.measure {
            Some(measure) => Ok(model.check(measure.files())?),
            None => Ok(()),
        }
    }
}

/// Where the objects of a job's dataset are.
pub(crate) fn prefix(store: &Store, job: i64) -> String {
    format!("datasets/{}-{job}", store.identity())
}

/// Makes the dataset of a job: what workers before and beside this one finished of it is taken as it is. When it is
/// back, the dataset is there. None for a run of a schedule whose items are all left out: it ends without a dataset.
///
/// # Errors
/// Failing I/O, a failing store, or nothing to write and no schedule that asked for it.
pub(crate) fn export(
    objects: &Objects,
    job: &Job,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<Option<i64>, Error> {
    point("export.plan");
    let KeptExport { dataset: mut plan, selection, snapshot, .. } = KeptExport::opened(job, lease)?;
    let store = lease.store;
    pin(&mut plan, objects, job, lease)?;
    let selection = match plan.redaction.redactor() {
        Some(redactor) => selection.renamed(&|text| redactor.name(text).into_owned()),
        None => selection,
    };
    let prefix = prefix(store, job.id);
    let storage = objects.below(&prefix);
    prepare(&mut plan, &storage, job, lease, threads)?;
    let running = RunningExport { plan: &plan, objects, prefix: &prefix, job, lease, threads };
    let (parts, totals) = running.all()?;
    if totals.account.records == 0 {
        let nothing = EngineError::Nothing(why_nothing(&totals));
        if job.schedule.is_none() {
            return Err(nothing.into());
        }
        let manifest = manifest(&plan, Origin::default(), &totals, Vec::new());
        let (report, why) = (report(&manifest), nothing.to_string());
        store.end_without_dataset(job.id, lease.worker, &report, &why, lease.clock.now())?;
        // A worker removes what cannot be removed now.
        let _ = objects
            .remove_all(&prefix)
            .map_err(Error::from)
            .and_then(|()| Ok(store.cleared(job.id)?));
        return Ok(None);
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
        window: store.window_of(job.id)?.map(window_told),
        sources: Vec::new(),
        inputs: totals.sources.iter().map(Into::into).collect(),
        decontamination: plan.benchmarks.as_ref().map(|benchmarks| benchmarks.told()),
    };
    point("receipt");
    let manifest = manifest(&plan, origin, &totals, listed);
    debug_assert!(manifest.balances() && totals.account.balances());
    files.push(write_text(&storage, MANIFEST, &manifest.to_json()).map_err(in_objects)?);
    lease.check()?;
    for made in &files {
        if !is_there(objects, &prefix, made)? {
            let object = storage.describe(&made.key).display().to_string();
            let reason = "it was changed after it was written".into();
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
        prefix,
        files: files.iter().map(listed_file).collect(),
    };
    let report = report(&manifest);
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
    Ok(Some(dataset))
}

/// Has the items of an earlier dataset stay in their outputs, if that is asked.
fn pin(
    plan: &mut DatasetPlan,
    objects: &Objects,
    job: &Job,
    lease: &Lease<'_>,
) -> Result<(), Error> {
    let Some(number) = &plan.split_from else { return Ok(()) };
    let gone = || Error::NotFound { what: "dataset", name: number.clone() };
    let id = number.parse().map_err(|_| gone())?;
    let dataset = lease.store.dataset_numbered(&Scope::project(job.project), id)?;
    let dataset = dataset.ok_or_else(gone)?;
    let mut package = open_dataset(lease.store, objects, &dataset)?;
    Ok(plan.pin(&mut package, dataset.name.as_ref())?)
}

/// What the job table keeps of a receipt: its counts. All items of a selection are of one kind.
fn report(manifest: &Manifest) -> String {
    let counts = manifest.counts().next().map(|(_, counts)| serde_json::to_string(counts));
    counts.and_then(Result::ok).unwrap_or_default()
}

/// Makes a part of a job that another worker holds.
///
/// # Errors
/// Failing I/O, or a failing store.
pub(crate) fn help(
    objects: &Objects,
    (job, shard): (&Job, &Shard),
    lease: &Lease<'_>,
    threads: usize,
) -> Result<(), Error> {
    point("export.plan");
    let mut plan = KeptExport::opened(job, lease)?.dataset;
    Prepared::of(job)?.complete(&mut plan);
    let prefix = prefix(lease.store, job.id);
    RunningExport { plan: &plan, objects, prefix: &prefix, job, lease, threads }.part(shard)
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

fn window_told((schedule, window): (String, Window)) -> WindowTold {
    let (from, before) = window.period.unzip();
    let span = WindowSpan {
        number: window.number,
        changes_after: window.changes_after,
        changes_to: window.changes_to,
        from: from.map(|time| time.to_string()),
        before: before.map(|time| time.to_string()),
        late: window.late,
    };
    WindowTold { schedule, series: window.series, span }
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
    let ending = if account.selected == 1 { "" } else { "s" };
    let (selected, noun) = (account.selected, account.noun());
    format!("of {selected} {noun}{ending}, {}", reasons.join(", "))
}
