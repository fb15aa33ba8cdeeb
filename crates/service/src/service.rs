//! The service: a store, a place for datasets, and what people ask of them.

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retort_formats::import;
use retort_model::{
    Conversation, DatasetName, JobKind, JobState, Scope, Selection, Time, canonical,
};
use retort_store::{
    Cursor, Dataset, DatasetFile, Edit, Job, NewExport, NewImport, Order, Page, Project, Store,
    Summary,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::export::{KeptExport, export, prefix};
use crate::import::{ImportPlan, ImportReport};
use crate::keeper::{Ending, Keeper};
use crate::objects::{ObjectShelf, Objects};
use crate::package::Package;
use crate::pipeline::Observer;
use crate::plan::DatasetPlan;
use crate::receipt::asked;
use crate::source::Input;

/// What time it is.
pub trait Clock: Send + Sync {
    /// The moment.
    fn now(&self) -> Time;
}

/// A moment a while after another.
pub(crate) fn later(time: Time, by: Duration) -> Time {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Time::from_unix_micros(time.unix_micros().saturating_add(by)).unwrap_or(time)
}

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store: a file's path, or `postgres://…`.
    pub store: String,
    /// The place of the datasets: a folder, or a URL.
    pub objects: String,
    /// What this worker is called.
    pub worker: String,
    /// What a store is called that has to be made.
    pub identity: String,
    /// How long a worker may be silent before another takes its job.
    pub lease: Duration,
    /// How long requests to the place of the datasets are repeated.
    pub patience: Duration,
    /// Threads of one job.
    pub threads: usize,
    /// Bytes of history in one part of an export.
    pub part_bytes: u64,
}

/// Someone who asks, and what they may see.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What they are called: datasets and jobs are theirs by it.
    pub name: String,
    /// The conversations they may see.
    pub scope: Scope,
}

impl Caller {
    /// Whoever holds the store's file: they see everything in a project.
    pub fn local(project: &Project) -> Self {
        Self { name: "local".into(), scope: Scope::project(project.id) }
    }

    /// Datasets and jobs are seen by who made them, and no one else.
    fn own(&self) -> Scope {
        Scope::person(self.scope.project, self.name.as_str())
    }
}

/// An export that is asked for.
#[derive(Clone)]
pub struct ExportRequest {
    /// Which conversations; a limit takes the most recent.
    pub selection: Selection,
    /// What is to be made of them.
    pub dataset: DatasetPlan,
}

/// What the job table keeps of an import that is to be done.
#[derive(Serialize, Deserialize)]
struct KeptImport {
    paths: Vec<std::path::PathBuf>,
    stdin: bool,
    from: Option<String>,
    owner: Option<String>,
}

/// What became of a job that this worker took.
#[derive(Debug)]
pub enum Done {
    /// An import.
    Import(ImportReport),
    /// An export: its dataset.
    Export(Dataset),
}

/// A job that a worker took, and what became of it.
pub type Worked = (Job, Result<Done, Error>);

/// A store, a place for datasets, and a worker.
pub struct Service {
    pub(crate) store: Store,
    pub(crate) objects: Objects,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) settings: Settings,
    /// Where a store lies that goes with the service.
    _scratch: Option<tempfile::TempDir>,
}

impl Service {
    /// A service on an empty store that is gone with it: to look at what would happen to one that is not there yet.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn open_scratch(mut settings: Settings, clock: Box<dyn Clock>) -> Result<Self, Error> {
        let fail = |source| Error::Unpack { name: "a temporary store".into(), source };
        let folder = tempfile::tempdir().map_err(fail)?;
        settings.store = folder.path().join("store").to_string_lossy().into_owned();
        settings.objects = folder.path().join("objects").to_string_lossy().into_owned();
        let service = Self::open(settings, clock, true)?;
        Ok(Self { _scratch: Some(folder), ..service })
    }

    /// Opens the store and the place of the datasets. With `create`, a store that is not there is made.
    ///
    /// # Errors
    /// One of them cannot be reached.
    pub fn open(settings: Settings, clock: Box<dyn Clock>, create: bool) -> Result<Self, Error> {
        let store = if create {
            Store::open(&settings.store, &settings.identity)?
        } else {
            Store::open_existing(&settings.store)?
        };
        let objects = Objects::open(&settings.objects, settings.patience)?;
        Ok(Self { store, objects, clock, settings, _scratch: None })
    }

    /// Whether there is a store to open, as far as that is known without asking a server.
    pub fn has_store(settings: &Settings) -> bool {
        Store::is_there(&settings.store)
    }

    /// Where the store is, without passwords.
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// The project of that name.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn project(&self, name: &str) -> Result<Project, Error> {
        let found = self.store.project(name)?;
        found.ok_or_else(|| Error::NotFound { what: "project", name: name.to_owned() })
    }

    /// The project of that name, made if it is not there.
    ///
    /// # Errors
    /// Those of the store.
    pub fn project_or_new(&self, name: &str) -> Result<Project, Error> {
        Ok(self.store.project_or_new(name, self.clock.now())?)
    }

    /// Reads histories into the caller's project, as a job that this worker does at once. `rejects` gets a line for
    /// each item that could not be read.
    ///
    /// # Errors
    /// Failing I/O or a failing store; what was committed before stays.
    pub fn import(
        &self,
        caller: &Caller,
        plan: &ImportPlan,
        observer: &dyn Observer,
        stopped: &AtomicBool,
        rejects: &mut dyn Write,
    ) -> Result<ImportReport, Error> {
        let project = caller.scope.project;
        if plan.dry_run {
            return crate::import::import(&self.store, project, plan, observer, stopped, rejects);
        }
        let (kept, name) = kept_import(plan)?;
        let new = NewImport { creator: &caller.name, name: &name, plan: &kept };
        let id = self.store.submit_import(project, &new, self.clock.now())?;
        let Some(job) = self.claim(Some(id))? else { return Err(Error::Stopped) };
        match self.work(&job, Some(plan), observer, stopped, rejects)? {
            Done::Import(report) => Ok(report),
            Done::Export(_) => Err(Error::Choice("an import became an export".into())),
        }
    }

    /// A page of the conversations.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(
        &self,
        caller: &Caller,
        selection: &Selection,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        Ok(self.store.list(&caller.scope, selection, order, after, most)?)
    }

    /// How many conversations the selection means.
    ///
    /// # Errors
    /// Those of the store.
    pub fn count(&self, caller: &Caller, selection: &Selection) -> Result<u64, Error> {
        Ok(self.store.count(&caller.scope, selection)?)
    }

    /// The conversations with that id, each with its canonical line as it stands now.
    ///
    /// # Errors
    /// There is none; it is damaged; those of the store.
    pub fn show(&self, caller: &Caller, id: &str) -> Result<Vec<(Summary, Vec<u8>)>, Error> {
        let found = self.store.find(&caller.scope, id)?;
        if found.is_empty() {
            return Err(Error::NotFound { what: "conversation", name: id.to_owned() });
        }
        let mut unpacker = self.store.unpacker();
        found
            .into_iter()
            .map(|summary| {
                let line = self.store.line(&summary, &mut unpacker)?;
                let line = with_edits(&summary, &line)?;
                Ok((summary, line))
            })
            .collect()
    }

    /// Changes the conversations that the selection means; says how many were changed.
    ///
    /// # Errors
    /// Those of the store.
    pub fn edit(&self, caller: &Caller, selection: &Selection, edit: &Edit) -> Result<u64, Error> {
        Ok(self.store.edit(&caller.scope, selection, edit)?)
    }

    /// Which of the ids the caller has no conversation of.
    ///
    /// # Errors
    /// Those of the store.
    pub fn unknown_ids(
        &self,
        caller: &Caller,
        selection: &Selection,
    ) -> Result<Vec<String>, Error> {
        let mut unknown = Vec::new();
        for id in &selection.ids {
            if self.store.find(&caller.scope, id)?.is_empty() {
                unknown.push(id.clone());
            }
        }
        Ok(unknown)
    }

    /// Queues an export; from this moment its selection is frozen.
    ///
    /// # Errors
    /// Choices that the formats do not allow, a name in use, or nothing that matches; those of the store.
    pub fn submit_export(&self, caller: &Caller, request: &ExportRequest) -> Result<i64, Error> {
        request.dataset.check()?;
        let unknown = self.unknown_ids(caller, &request.selection)?;
        if let Some(first) = unknown.first() {
            return Err(Error::NotFound { what: "conversation", name: first.clone() });
        }
        if self.store.count(&caller.scope, &request.selection)? == 0 {
            return Err(Error::Nothing("nothing matches the selection".into()));
        }
        let name = request.dataset.dataset_name.as_str();
        let kept = KeptExport::json(&request.dataset, asked(&request.selection))?;
        let new = NewExport {
            creator: &caller.name,
            name,
            plan: &kept,
            part_bytes: self.settings.part_bytes,
        };
        let now = self.clock.now();
        match self.store.submit_export(&caller.scope, &request.selection, &new, now) {
            Err(retort_store::Error::NameTaken(name)) => {
                let free = self.free_name(caller, &name)?;
                Err(Error::NameTaken { name, free })
            }
            result => Ok(result?),
        }
    }

    /// A name like this one that is not in use.
    fn free_name(&self, caller: &Caller, name: &str) -> Result<String, Error> {
        let taken: Vec<String> = self
            .store
            .datasets(&caller.own())?
            .into_iter()
            .map(|dataset| dataset.name)
            .chain(self.store.jobs(&caller.own(), usize::MAX)?.into_iter().map(|job| job.name))
            .collect();
        let free = (2..)
            .map(|number| format!("{name}-{number}"))
            .find(|name| !taken.contains(name) && name.parse::<DatasetName>().is_ok());
        // A name that is as long as names may be has no such neighbour; then one of the store's numbers serves.
        Ok(free.unwrap_or_else(|| format!("dataset-{}", taken.len() + 1)))
    }

    /// Does a job that waits, or that another worker did not live to end; `only` names the one wanted. None if there
    /// is nothing to do; then what killed workers left of exports that have ended is cleared up.
    ///
    /// # Errors
    /// The job failed, which its entry says, too; [`Error::Stopped`] if the worker was stopped or the job cancelled.
    pub fn work_one(
        &self,
        only: Option<i64>,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<Worked>, Error> {
        let Some(job) = self.claim(only)? else {
            if only.is_none() {
                self.clear_left()?;
            }
            return Ok(None);
        };
        let done = self.work(&job, None, observer, stopped, &mut std::io::sink());
        Ok(Some((job, done)))
    }

    fn claim(&self, only: Option<i64>) -> Result<Option<Job>, Error> {
        let now = self.clock.now();
        Ok(self.store.claim(&self.settings.worker, only, now, later(now, self.settings.lease))?)
    }

    /// Does a job that this worker holds, and ends it.
    fn work(
        &self,
        job: &Job,
        plan: Option<&ImportPlan>,
        observer: &dyn Observer,
        stopped: &AtomicBool,
        rejects: &mut dyn Write,
    ) -> Result<Done, Error> {
        let place = (&self.store, &*self.clock);
        let worker = self.settings.worker.as_str();
        let keeper = Keeper::new(place, job, worker, self.settings.lease, stopped, observer);
        let done = keeper.keep_while(|| match job.kind {
            JobKind::Import => self.do_import(job, plan, &keeper, rejects).map(Done::Import),
            JobKind::Export => self.do_export(job, &keeper).map(Done::Export),
        });
        let Err(error) = &done else { return done };
        let now = self.clock.now();
        let ended = match (error, keeper.ending()) {
            (_, Some(Ending::Lost)) | (Error::Store(retort_store::Error::NotHeld), _) => Ok(()),
            (Error::Stopped, Some(Ending::Cancelled)) => self
                .store
                .end(job.id, worker, JobState::Cancelled, None, None, now)
                .map_err(Error::from)
                .and_then(|()| self.clear_parts(job)),
            (Error::Stopped, _) => self.store.give_back(job.id, worker).map_err(Error::from),
            _ => {
                let why = error.to_string();
                let end = self.store.end(job.id, worker, JobState::Failed, Some(&why), None, now);
                end.map_err(Error::from)
            }
        };
        // What ended the work says more than that the job could not be ended: its lease will.
        let _ = ended;
        done
    }

    fn do_import(
        &self,
        job: &Job,
        plan: Option<&ImportPlan>,
        keeper: &Keeper<'_>,
        rejects: &mut dyn Write,
    ) -> Result<ImportReport, Error> {
        let again;
        let plan = match plan {
            Some(plan) => plan,
            None => {
                again = plan_of(job, self.settings.threads)?;
                &again
            }
        };
        let report = crate::import::import(
            &self.store,
            job.project,
            plan,
            keeper,
            &keeper.stopped,
            rejects,
        )?;
        keeper.tell()?;
        let state = match report.refused_count() {
            0 => JobState::Completed,
            _ => JobState::CompletedWithSkips,
        };
        let json = serde_json::to_string(&report).unwrap_or_default();
        let now = self.clock.now();
        self.store.end(job.id, keeper.worker, state, None, Some(&json), now)?;
        Ok(report)
    }

    fn do_export(&self, job: &Job, keeper: &Keeper<'_>) -> Result<Dataset, Error> {
        let id = export(&self.objects, job, keeper, self.settings.threads)?;
        let scope = Scope::project(job.project);
        let found = self.store.dataset_numbered(&scope, id)?;
        found.ok_or_else(|| Error::NotFound { what: "dataset", name: id.to_string() })
    }

    /// Removes what a job made before it was cancelled.
    fn clear_parts(&self, job: &Job) -> Result<(), Error> {
        if job.kind == JobKind::Export && job.dataset.is_none() {
            self.store.forget_parts(job.id)?;
            self.objects.remove_all(&prefix(&self.store, job.id))?;
            self.store.cleared(job.id)?;
        }
        Ok(())
    }

    /// Removes what workers that were killed left of exports that have ended.
    fn clear_left(&self) -> Result<(), Error> {
        for job in self.store.uncleared(self.clock.now())? {
            let scope = Scope::project(job.project);
            let Some(id) = job.dataset else {
                self.clear_parts(&job)?;
                continue;
            };
            if let Some(dataset) = self.store.dataset_numbered(&scope, id)? {
                let files = self.store.dataset_files(&dataset)?;
                let keys: Vec<&str> = files.iter().map(|file| &*file.object).collect();
                self.objects.keep_only(&dataset.prefix, &keys)?;
                self.store.cleared(job.id)?;
            }
        }
        Ok(())
    }

    /// Whether a job waits, is under way or is to be cleared up after, anyone's.
    ///
    /// # Errors
    /// Those of the store.
    pub fn has_open_jobs(&self) -> Result<bool, Error> {
        Ok(self.store.has_open_jobs()?)
    }

    /// The caller's jobs, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn jobs(&self, caller: &Caller, most: usize) -> Result<Vec<Job>, Error> {
        Ok(self.store.jobs(&caller.own(), most)?)
    }

    /// One of the caller's jobs.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn job(&self, caller: &Caller, id: i64) -> Result<Job, Error> {
        let found = self.store.job(&caller.own(), id)?;
        found.ok_or_else(|| Error::NotFound { what: "job", name: id.to_string() })
    }

    /// Asks one of the caller's jobs to end.
    ///
    /// # Errors
    /// There is none, or it has ended; those of the store.
    pub fn cancel(&self, caller: &Caller, id: i64) -> Result<Job, Error> {
        let job = self.job(caller, id)?;
        if !self.store.cancel(&caller.own(), id, self.clock.now())? {
            return Err(Error::Choice(format!("job {id} has ended: it is {}", job.state)));
        }
        let job = self.job(caller, id)?;
        if job.state == JobState::Cancelled {
            // What cannot be removed now, a worker will.
            let _ = self.clear_parts(&job);
        }
        Ok(job)
    }

    /// Queues one of the caller's jobs again that failed or was cancelled, with the selection that was frozen.
    ///
    /// # Errors
    /// There is none, it did not fail, or its name is in use by now; those of the store.
    pub fn retry(&self, caller: &Caller, id: i64) -> Result<Job, Error> {
        let job = self.job(caller, id)?;
        let has_failed = matches!(job.state, JobState::Failed | JobState::Cancelled);
        match has_failed.then(|| self.store.retry(&caller.own(), id)) {
            Some(Ok(true)) => self.job(caller, id),
            Some(Err(retort_store::Error::NameTaken(name))) => Err(Error::Choice(format!(
                "the name `{name}` is in use by now; give that dataset another, then try again"
            ))),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(false)) | None => Err(Error::Choice(format!(
                "job {id} is {}: only what failed or was cancelled is tried again",
                job.state
            ))),
        }
    }

    /// The caller's datasets, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn datasets(&self, caller: &Caller) -> Result<Vec<Dataset>, Error> {
        Ok(self.store.datasets(&caller.own())?)
    }

    /// One of the caller's datasets, by name or number.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn dataset(&self, caller: &Caller, name: &str) -> Result<Dataset, Error> {
        let found = self.store.dataset(&caller.own(), name)?;
        found.ok_or_else(|| Error::NotFound { what: "dataset", name: name.to_owned() })
    }

    /// The files of a dataset, the receipt last.
    ///
    /// # Errors
    /// Those of the store.
    pub fn dataset_files(&self, dataset: &Dataset) -> Result<Vec<DatasetFile>, Error> {
        Ok(self.store.dataset_files(dataset)?)
    }

    /// Opens a dataset where it lies, to be previewed or verified.
    ///
    /// # Errors
    /// Its objects are not there, or not whole.
    pub fn open_dataset(&self, dataset: &Dataset) -> Result<Package, Error> {
        let files = self.store.dataset_files(dataset)?;
        let files = files.into_iter().map(|file| (file.path, file.object)).collect();
        let shelf = ObjectShelf::new(self.objects.below(&dataset.prefix), files);
        Package::on(Box::new(shelf), dataset.name.as_ref())
    }

    /// Gives a dataset another name. Its files stay as they were made.
    ///
    /// # Errors
    /// The name is in use; those of the store.
    pub fn rename_dataset(
        &self,
        caller: &Caller,
        dataset: &Dataset,
        name: &DatasetName,
    ) -> Result<(), Error> {
        match self.store.rename_dataset(dataset, name.as_str()) {
            Err(retort_store::Error::NameTaken(name)) => {
                let free = self.free_name(caller, &name)?;
                Err(Error::NameTaken { name, free })
            }
            result => Ok(result?),
        }
    }

    /// Deletes a dataset for good, with its objects.
    ///
    /// # Errors
    /// Those of the store and of the place of the datasets; what is left of the latter is found by `doctor`.
    pub fn delete_dataset(&self, dataset: &Dataset) -> Result<(), Error> {
        self.store.delete_dataset(dataset)?;
        self.objects.remove_all(&dataset.prefix)
    }

    /// The caller's datasets that hold something of a conversation, also if it was purged.
    ///
    /// # Errors
    /// Nothing is known of such a conversation; those of the store.
    pub fn trace(&self, caller: &Caller, id: &str) -> Result<Vec<Dataset>, Error> {
        if !self.store.knows(&caller.scope, id)? {
            return Err(Error::NotFound { what: "conversation", name: id.to_owned() });
        }
        Ok(self.store.trace(&caller.own(), id)?)
    }
}

/// Brings the tables of a store to this release's; says from which schema to which.
///
/// # Errors
/// There is none, it cannot be reached, or it is newer than this release.
pub fn migrate(settings: &Settings) -> Result<(i64, i64), Error> {
    match Store::open_existing(&settings.store) {
        Ok(_) | Err(retort_store::Error::Schema { .. }) => {
            Ok(Store::migrate(&settings.store, &settings.identity)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// A canonical line with what was set in the store.
fn with_edits(summary: &Summary, line: &[u8]) -> Result<Vec<u8>, Error> {
    let damaged = |why: String| {
        retort_store::Error::Damaged(format!("the conversation `{}`: {why}", summary.id))
    };
    let text = std::str::from_utf8(line).map_err(|error| damaged(error.to_string()))?;
    let mut conversation: Conversation<'_> =
        canonical::read(text).map_err(|error| damaged(error.to_string()))?;
    conversation.status = summary.status;
    conversation.title = summary.title.clone().map(Into::into);
    conversation.tags = summary.tags.iter().map(|tag| tag.clone().into()).collect();
    let mut out = Vec::with_capacity(line.len());
    canonical::write(&conversation, &mut out);
    Ok(out)
}

/// An import as the job table keeps it, and what it is called there.
fn kept_import(plan: &ImportPlan) -> Result<(String, String), Error> {
    let mut kept = KeptImport {
        paths: Vec::new(),
        stdin: false,
        from: plan.from.map(|format| format.name().to_owned()),
        owner: plan.owner.clone(),
    };
    let mut names = Vec::new();
    for input in &plan.inputs {
        match input {
            Input::Stdin => {
                kept.stdin = true;
                names.push("standard input".to_owned());
            }
            Input::Path(path) => {
                let whole = std::path::absolute(path).map_err(|error| Error::read(path, error))?;
                let name = whole.file_name().unwrap_or(whole.as_os_str());
                names.push(name.to_string_lossy().into_owned());
                kept.paths.push(whole);
            }
        }
    }
    let json = serde_json::to_string(&kept).map_err(|error| Error::Choice(error.to_string()))?;
    Ok((json, names.join(", ")))
}

/// The plan of an import that is done again, or by another worker.
fn plan_of(job: &Job, threads: usize) -> Result<ImportPlan, Error> {
    let fail = |why: String| Error::Choice(format!("the plan of job {}: {why}", job.id));
    let kept: KeptImport =
        serde_json::from_str(&job.plan).map_err(|error| fail(error.to_string()))?;
    if kept.stdin {
        return Err(fail(
            "what came through standard input cannot be read again; import it anew".into(),
        ));
    }
    let from = match &kept.from {
        Some(name) => Some(
            import::by_name(name).ok_or_else(|| fail(format!("unknown import format `{name}`")))?,
        ),
        None => None,
    };
    Ok(ImportPlan {
        inputs: kept.paths.into_iter().map(Input::Path).collect(),
        from,
        owner: kept.owner,
        threads,
        dry_run: false,
    })
}
