//! Histories asked in: from files, as jobs; from requests, at once; from uploads, as jobs of any worker.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retort_engine::panics::point;
use retort_engine::pipeline::{Nobody, Observer};
use retort_engine::{
    Error as EngineError, Input, NewFile, ReadOptions, Storage, Unchanged, hex, is_packed,
    temporary_file,
};
use retort_formats::import::{self, ImportFormat};
use retort_model::bounds::{NAME_CHARACTERS, PAGE_ITEMS};
use retort_model::{Action, Grant, ItemKind, JobKind, JobState, Scope};
use retort_store::{Job, NewImport, Stop};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::browse::with_next;
use crate::caller::Caller;
use crate::clock::{earlier, later};
use crate::error::Error;
use crate::import::{Destination, Given, ImportPlan, ImportReport};
use crate::lease::Lease;
use crate::memory::take_for_item;
use crate::secret::chance;
use crate::service::Service;
use crate::work::Done;

/// What the job table keeps of an import that is to be done.
#[derive(Default, Serialize, Deserialize)]
struct KeptImport {
    paths: Vec<PathBuf>,
    stdin: bool,
    from: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    replace: bool,
    /// Whether files beside the histories are put into them.
    #[serde(default)]
    keeps_files: bool,
    /// Whether to look only at what would happen.
    #[serde(default)]
    dry_run: bool,
    /// The member who imports, and so only what is theirs or nobody's.
    #[serde(default)]
    holder: Option<String>,
    /// An object that came through the network, and what it was called.
    #[serde(default)]
    upload: Option<(String, String)>,
    /// How files are read.
    #[serde(default)]
    reading: ReadOptions,
}

/// What someone wants brought in by a request.
#[derive(Clone, Default)]
pub struct IntakeRequest {
    /// The import format, if it is not to be found out.
    pub from: Option<&'static dyn ImportFormat>,
    /// Who owns the items that do not say who does; nobody, if none is named. Members name only themselves.
    pub owner: Option<String>,
    /// What keeps the ids of these items apart from others: an id becomes `NAMESPACE/ID`.
    pub namespace: Option<String>,
    /// Whether what comes replaces what is there under its id, even another conversation.
    pub replace: bool,
    /// Whether files that are beside the histories, in the same archive, are put into the messages that show them.
    pub keeps_files: bool,
    /// Whether to look only at what would happen.
    pub dry_run: bool,
    /// What is expected, as the audit log is to say.
    pub kind: ItemKind,
}

/// Bytes on their way into the place of the objects, to be imported from there.
pub struct Upload {
    key: String,
    label: String,
    file: Option<Box<dyn NewFile>>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Err(io::Error::other("it is finished")) };
        let length = file.write(bytes)?;
        self.hash.update(bytes.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Upload {
    /// Under what it lies among the uploads.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Bytes that came so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps what came; gives its SHA-256.
    ///
    /// # Errors
    /// The place of the objects failed.
    pub fn finish(&mut self) -> Result<[u8; 32], Error> {
        if let Some(file) = self.file.take() {
            file.finish()
                .map_err(|source| EngineError::Unpack { name: self.label.clone(), source })?;
        }
        Ok(self.hash.clone().finalize().into())
    }
}

impl Service {
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
        rejects: &mut (dyn Write + Send),
    ) -> Result<ImportReport, Error> {
        caller.needs(Grant::Write)?;
        let scope = caller.scope();
        if plan.dry_run {
            let to = self.destination(&scope, &caller.name);
            return crate::import::import(&to, plan, observer, stopped, rejects);
        }
        let (kept, name) = kept_import(plan, &scope)?;
        let object = |job: Option<&Job>| import_object(job.map(|job| job.id));
        let job = self.audited_as(caller, Action::Import, object, || {
            let new = new_import(caller, &name, &kept);
            let now = self.clock.now();
            // Begun at once, so that no other worker takes it meanwhile.
            let lease = (self.settings.worker.as_str(), later(now, self.settings.lease));
            Ok(self.store.begin_import(scope.project, &new, lease, now)?)
        })?;
        let given = Given { plan, rejects };
        match self.work(&job, Some(given), observer, stopped)? {
            Done::Import(report) => Ok(report),
            Done::Export(_) | Done::Part { .. } => {
                Err(Error::Choice("an import became an export".into()))
            }
        }
    }

    /// How what comes through the network is read.
    fn served(&self) -> ReadOptions {
        ReadOptions { max_item: self.settings.quotas.item_bytes, ..ReadOptions::default() }
    }

    fn destination<'d>(&'d self, scope: &'d Scope, importer: &'d str) -> Destination<'d> {
        Destination { store: &self.store, scope, importer, now: self.clock.now() }
    }

    /// Takes in the conversations or runs of a request at once. The report names each.
    ///
    /// # Errors
    /// Who is no admin names another owner; a failing store.
    pub fn take_in(
        &self,
        caller: &Caller,
        request: &IntakeRequest,
        bytes: Vec<u8>,
    ) -> Result<ImportReport, Error> {
        self.audited(caller, Action::Import, request.kind.plural(), || {
            caller.needs(Grant::Write)?;
            self.check_room(caller)?;
            if is_packed(&bytes) {
                take_for_item(self.settings.quotas.item_bytes as u64, 0)?;
            }
            let plan = ImportPlan {
                inputs: vec![Input::Bytes(bytes.into(), "request".into())],
                from: request.from,
                owner: owner(caller, request)?,
                adopts: false,
                namespace: request.namespace.clone(),
                replace: request.replace,
                keeps_files: request.keeps_files,
                threads: 1,
                dry_run: request.dry_run,
                names: true,
                reading: self.served(),
            };
            let (stop, scope) = (Stop::current(), caller.scope());
            let to = self.destination(&scope, &caller.name);
            crate::import::import(&to, &plan, &Nobody, stop.flag(), &mut io::sink())
        })
    }

    /// Begins to take bytes that are to be imported. `label` is what they are called.
    ///
    /// # Errors
    /// The caller may not; the place of the objects failed.
    pub fn upload(&self, caller: &Caller, label: &str) -> Result<Upload, Error> {
        let label: String =
            label.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
        self.noting_refusal(caller, Action::Import, &import_object(None), || {
            caller.needs(Grant::Write)
        })?;
        self.check_room(caller)?;
        let most = self.settings.quotas.imports_per_person;
        if caller.person.is_some() && self.store.open_jobs(&caller.own(), JobKind::Import)? >= most
        {
            return Err(Error::TooMany(format!(
                "you already have {most} imports waiting or running; wait for one to end"
            )));
        }
        let key = format!("{}-{}", self.store.identity(), hex(&chance::<16>()?));
        let file = self.objects.below(UPLOADS).create(&key)?;
        Ok(Upload { key, label, file: Some(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Queues the import of what was uploaded.
    ///
    /// # Errors
    /// Who is no admin names another owner; the place of the objects or the store failed, and then nothing is left.
    pub fn submit_upload(
        &self,
        caller: &Caller,
        mut upload: Upload,
        request: &IntakeRequest,
    ) -> Result<i64, Error> {
        let label = upload.label.clone();
        let object = |job: Option<&i64>| import_object(job.copied());
        let result = self.audited_as(caller, Action::Import, object, || {
            caller.needs(Grant::Write)?;
            upload.finish()?;
            let kept = KeptImport {
                from: request.from.map(|format| format.name().to_owned()),
                owner: owner(caller, request)?,
                namespace: request.namespace.clone(),
                replace: request.replace,
                keeps_files: request.keeps_files,
                dry_run: request.dry_run,
                holder: caller.scope().owner,
                upload: Some((upload.key.clone(), label.clone())),
                ..KeptImport::default()
            };
            let kept = json(&kept)?;
            let new = NewImport { bytes: upload.bytes(), ..new_import(caller, &label, &kept) };
            Ok(self.store.submit_import(caller.project.id, &new, self.clock.now())?)
        });
        if result.is_err() {
            self.discard_upload(upload);
        }
        result
    }

    /// Removes what was uploaded and is not to be imported.
    pub fn discard_upload(&self, mut upload: Upload) {
        drop(upload.file.take());
        // What cannot be removed now, a worker or `doctor` removes later.
        let _ = self.objects.below(UPLOADS).remove(&upload.key);
    }

    /// Uploads that no import is to be made of: the server that took them was killed, or they could not be removed.
    pub(crate) fn left_uploads(&self) -> Result<Vec<Unchanged>, Error> {
        let before = earlier(self.clock.now(), LEFT_UPLOAD);
        let ours = format!("{}-", self.store.identity());
        let mut left = self.objects.unchanged_since(UPLOADS, before)?;
        left.retain(|one| one.key.starts_with(&ours));
        if left.is_empty() {
            return Ok(left);
        }
        let mut wanted = HashSet::new();
        for project in self.store.projects()? {
            for job in self.store.jobs(&Scope::project(project.id), usize::MAX)? {
                let waits =
                    matches!(job.state, JobState::Queued | JobState::Running | JobState::Failed);
                if job.kind == JobKind::Import && waits {
                    wanted.extend(kept_of(&job)?.upload.map(|(key, _)| key));
                }
            }
        }
        left.retain(|one| !wanted.contains(&one.key));
        Ok(left)
    }

    /// Removes what [`left_uploads`](Self::left_uploads) finds; gives how many.
    pub(crate) fn clear_left_uploads(&self) -> Result<usize, Error> {
        let left = self.left_uploads()?;
        for one in &left {
            self.objects.remove_unchanged(UPLOADS, one)?;
        }
        Ok(left.len())
    }

    pub(crate) fn do_import(
        &self,
        job: &Job,
        given: Option<Given<'_>>,
        lease: &Lease<'_>,
    ) -> Result<ImportReport, Error> {
        let again;
        let mut scope = Scope::project(job.project);
        let mut fetched = None;
        let mut kept_rejects = self.rejects_file(job);
        let is_given = given.is_some();
        let (plan, rejects): (&ImportPlan, &mut (dyn Write + Send)) = match given {
            Some(given) => (given.plan, given.rejects),
            None => {
                let kept = kept_of(job)?;
                fetched = self.fetch(&kept)?;
                scope.owner = kept.holder.clone();
                again = plan_of(job, kept, fetched.as_ref(), self.settings.threads, self.served())?;
                (&again, &mut kept_rejects)
            }
        };
        let to = self.destination(&scope, &job.creator);
        let mut report = crate::import::import(&to, plan, lease, &lease.stopped, rejects)?;
        if !is_given {
            let bytes = kept_rejects.finish()?;
            report.rejects_omitted = kept_rejects.omitted;
            self.store.note_rejects(job.id, lease.worker, bytes)?;
        }
        drop(fetched);
        point("import.end");
        lease.tell()?;
        let state = match report.refused_count() + report.foreign + report.erased {
            0 => JobState::Completed,
            _ => JobState::CompletedWithSkips,
        };
        let json = serde_json::to_string(&report).unwrap_or_default();
        let now = self.clock.now();
        self.store.end(job.id, lease.worker, state, None, Some(&json), now)?;
        self.clear_upload(job)?;
        Ok(report)
    }

    /// Brings what was uploaded to this machine.
    fn fetch(&self, kept: &KeptImport) -> Result<Option<tempfile::NamedTempFile>, Error> {
        let Some((key, label)) = &kept.upload else { return Ok(None) };
        point("import.fetch");
        let fail = |source| EngineError::Unpack { name: label.clone(), source };
        let mut input = self.objects.below(UPLOADS).open(key)?;
        let mut file = temporary_file().map_err(fail)?;
        io::copy(&mut input, &mut file).map_err(fail)?;
        Ok(Some(file))
    }

    /// Forgets what the files were called that someone imported who is deleted.
    pub(crate) fn forget_file_names(&self, creator: &str) -> Result<(), Error> {
        for project in self.store.projects()? {
            self.forget_file_names_in(project.id, creator)?;
        }
        Ok(())
    }

    /// As [`Self::forget_file_names`], in one project.
    pub(crate) fn forget_file_names_in(&self, project: i64, creator: &str) -> Result<(), Error> {
        let mut plans = Vec::new();
        let scope = Scope::person(project, creator);
        let mut after = None;
        loop {
            let page = self.store.job_page(&scope, Some(JobKind::Import), after, PAGE_ITEMS)?;
            let (jobs, next) = with_next(page, |job| job.id);
            for job in jobs {
                if job.rejects_bytes.is_some() {
                    self.clear_rejects(job.id)?;
                }
                let mut kept = kept_of(&job)?;
                kept.paths.clear();
                // What is left of an upload is found under its key.
                kept.upload = kept.upload.map(|(key, _)| (key, FORGOTTEN.to_owned()));
                plans.push((job.id, json(&kept)?));
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(self.store.forget_imports(FORGOTTEN, &plans)?)
    }

    /// Removes what an import was made of that will not be done again.
    pub(crate) fn clear_upload(&self, job: &Job) -> Result<(), Error> {
        if job.kind != JobKind::Import {
            return Ok(());
        }
        match kept_of(job)?.upload {
            Some((key, _)) => Ok(self.objects.below(UPLOADS).remove(&key)?),
            None => Ok(()),
        }
    }
}

/// What the audit log calls an import. It never forgets, so names of files are left to the job.
fn import_object(job: Option<i64>) -> String {
    job.map_or_else(|| "files".to_owned(), |id| format!("job {id}"))
}

fn new_import<'n>(caller: &'n Caller, name: &'n str, plan: &'n str) -> NewImport<'n> {
    let needs = caller.needed_role();
    NewImport { creator: &caller.name, person: caller.person, needs, name, plan, bytes: 0 }
}

/// What is imported is called so once its name is forgotten.
const FORGOTTEN: &str = "files of a deleted person";

/// For how long nothing is written to an upload before it is taken for left behind: a client that sends nothing for a
/// minute is not waited for, and what came whole is queued within the deadline of its request.
const LEFT_UPLOAD: Duration = Duration::from_secs(3600);

/// Where uploads wait to be imported, in the place of the objects.
pub(crate) const UPLOADS: &str = "uploads";

/// Whose the items are that do not say.
fn owner(caller: &Caller, request: &IntakeRequest) -> Result<Option<String>, Error> {
    match (&request.owner, caller.scope().owner) {
        (Some(owner), Some(only)) if *owner != only => {
            Err(Error::Forbidden("members can only import their own conversations"))
        }
        (owner, _) => Ok(owner.clone()),
    }
}

fn json(kept: &KeptImport) -> Result<String, Error> {
    serde_json::to_string(kept).map_err(|error| Error::Choice(error.to_string()))
}

/// An import as the job table keeps it, and what it is called there.
fn kept_import(plan: &ImportPlan, scope: &Scope) -> Result<(String, String), Error> {
    let mut kept = KeptImport {
        from: plan.from.map(|format| format.name().to_owned()),
        owner: plan.owner.clone(),
        namespace: plan.namespace.clone(),
        replace: plan.replace,
        keeps_files: plan.keeps_files,
        holder: scope.owner.clone(),
        reading: plan.reading,
        ..KeptImport::default()
    };
    let mut names = Vec::new();
    for input in &plan.inputs {
        match input {
            Input::Stdin => {
                kept.stdin = true;
                names.push("standard input".to_owned());
            }
            Input::Bytes(_, label) | Input::Named(_, label) => {
                kept.stdin = true;
                names.push(label.clone());
            }
            Input::Fetched(fetched) => {
                kept.stdin = true;
                names.push(fetched.source.address.clone());
            }
            Input::Path(path) => {
                let whole =
                    std::path::absolute(path).map_err(|error| EngineError::read(path, error))?;
                let name = whole.file_name().unwrap_or(whole.as_os_str());
                names.push(name.to_string_lossy().into_owned());
                kept.paths.push(whole);
            }
        }
    }
    let name = names.join(", ").chars().take(NAME_CHARACTERS).collect();
    Ok((json(&kept)?, name))
}

fn kept_of(job: &Job) -> Result<KeptImport, Error> {
    serde_json::from_str(&job.plan).map_err(|error| broken(job, &error.to_string()))
}

fn broken(job: &Job, why: &str) -> Error {
    Error::Choice(format!("the plan of job {}: {why}", job.id))
}

/// The plan of an import that is done again, or by another worker.
fn plan_of(
    job: &Job,
    kept: KeptImport,
    fetched: Option<&tempfile::NamedTempFile>,
    threads: usize,
    served: ReadOptions,
) -> Result<ImportPlan, Error> {
    // Files beside the store are read as was asked for.
    let reading = if kept.upload.is_some() { served } else { kept.reading };
    if kept.stdin {
        return Err(broken(
            job,
            "what came from standard input or from another machine cannot be read again; start a new import",
        ));
    }
    let from = match &kept.from {
        Some(name) => Some(
            import::by_name(name)
                .ok_or_else(|| broken(job, &format!("unknown import format `{name}`")))?,
        ),
        None => None,
    };
    let mut inputs: Vec<Input> = kept.paths.into_iter().map(Input::Path).collect();
    if let (Some(file), Some((_, label))) = (fetched, kept.upload) {
        inputs.push(Input::Named(file.path().to_owned(), label));
    }
    Ok(ImportPlan {
        inputs,
        from,
        owner: kept.owner,
        adopts: false,
        namespace: kept.namespace,
        replace: kept.replace,
        keeps_files: kept.keeps_files,
        threads,
        dry_run: kept.dry_run,
        names: false,
        reading,
    })
}
