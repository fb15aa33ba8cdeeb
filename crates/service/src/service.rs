//! The service: a store, a place for datasets, and what people ask of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use retort_engine::Error as EngineError;
use retort_engine::panics::caught_in;
use retort_engine::pipeline::Observer;
use retort_engine::{Objects, TEMPORARY_PREFIX};
use retort_model::bounds::{JOB_ATTEMPTS, SERVED_ITEM_BYTES, TRACE_BYTES};
use retort_model::{JobKind, JobState, Scope, Time};
use retort_store::{Dataset, Job, Project, QueueStats, Store, Wanted};

use crate::audit_limits::AuditLimits;
use crate::caller::Caller;
use crate::doctor::free_bytes;
use crate::error::Error;
use crate::export::{export, help, prefix};
use crate::import::ImportReport;
use crate::intake::Given;
use crate::lease::{Ending, Lease, Pulse};

/// How soon a store that is away is asked again to end a job.
const STORE_AWAY: Duration = Duration::from_millis(250);

/// How often it is looked for what is older than is kept.
const CLEAR_OLD: Duration = Duration::from_secs(60 * 60);

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

/// A moment a while before another.
pub(crate) fn earlier(time: Time, by: Duration) -> Time {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Time::from_unix_micros(time.unix_micros().saturating_sub(by)).unwrap_or(time)
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
    /// How long what nobody needs any more is kept.
    pub retention: Retention,
    /// How much one person and one project may have.
    pub quotas: Quotas,
    /// The models whose chat templates and tokenizers exports may name, with their folders or files.
    pub models: BTreeMap<String, String>,
}

/// For how many days what has ended is kept; none keeps it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Jobs that have ended without a dataset that is still there.
    pub job_days: Option<u64>,
    /// Notices that exports ended, and their deliveries to webhooks.
    pub notice_days: Option<u64>,
    /// Entries of the audit log.
    pub audit_days: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { job_days: Some(365), notice_days: Some(90), audit_days: None }
    }
}

/// How much one person and one project may have; none is as much as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Imports of one person that wait or run.
    pub imports_per_person: u64,
    /// Bytes of one person: their datasets, and uploads that wait to be imported.
    pub person_bytes: Option<u64>,
    /// Bytes of a project: its conversations, runs and documents, and everyone's datasets.
    pub project_bytes: Option<u64>,
    /// Bytes of one conversation, run or document that comes through the network.
    pub item_bytes: usize,
    /// Entries that one person can add to the audit log of a project in a day. Further ones are only counted.
    pub audit_per_day: u64,
    /// Bytes on disk of spans of a project that wait for the rest of their traces.
    pub trace_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            imports_per_person: 20,
            person_bytes: None,
            project_bytes: None,
            item_bytes: SERVED_ITEM_BYTES,
            audit_per_day: 10_000,
            trace_bytes: TRACE_BYTES,
        }
    }
}

/// What became of a job that this worker took.
#[derive(Debug)]
pub enum Done {
    /// An import.
    Import(ImportReport),
    /// An export: its dataset.
    Export(Dataset),
    /// A part of an export that another worker holds.
    Part {
        /// Its number, from 0.
        number: u64,
        /// Why it was not finished: then it is left to that worker.
        error: Option<Error>,
    },
}

/// A job that a worker took, and what became of it.
pub type Worked = (Job, Result<Done, Error>);

/// A store, a place for datasets, and a worker.
pub struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) objects: Objects,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) settings: Settings,
    pulse: Pulse,
    pub(crate) audit_limits: AuditLimits,
    /// When what is older than is kept was last removed, in microseconds since 1970.
    cleared_at: AtomicI64,
    /// Where a store lies that goes with the service.
    _scratch: Option<tempfile::TempDir>,
}

impl Service {
    /// A service on an empty store that is gone with it: to look at what would happen to one that is not there yet.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn open_scratch(mut settings: Settings, clock: Box<dyn Clock>) -> Result<Self, Error> {
        let fail = |source| EngineError::Failed { what: "a temporary folder", source };
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir().map_err(fail)?;
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
        // The client of the objects uses TLS as the store does.
        retort_store::install_tls_provider();
        let objects = Objects::open(&settings.objects, settings.patience)?;
        let pulse = Pulse::default();
        pulse.beat(clock.now());
        let (audit_limits, cleared_at) = (AuditLimits::default(), AtomicI64::new(0));
        let store = Arc::new(store);
        Ok(Self {
            store,
            objects,
            clock,
            settings,
            pulse,
            audit_limits,
            cleared_at,
            _scratch: None,
        })
    }

    /// Whether there is a store to open, as far as that is known without asking a server.
    pub fn has_store(settings: &Settings) -> bool {
        Store::is_there(&settings.store)
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Whether the store and the place of the datasets answer.
    ///
    /// # Errors
    /// What one of them says.
    pub fn check(&self) -> Result<(), Error> {
        self.store.has_open_jobs()?;
        self.objects.size("manifest.json")?;
        Ok(())
    }

    /// What the queue is like, of all projects.
    pub fn queue_stats(&self) -> Result<QueueStats, Error> {
        Ok(self.store.queue_stats(self.clock.now())?)
    }

    /// Bytes that are free on the disks of the store, the datasets and temporary files, as far as they are here.
    pub fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        let temporary = std::env::temp_dir();
        [
            ("store", self.store.file().and_then(Path::parent)),
            ("objects", self.objects.root()),
            ("temporary", Some(&*temporary)),
        ]
        .into_iter()
        .filter_map(|(name, folder)| Some((name, free_bytes(folder?).ok()?)))
        .collect()
    }

    /// How many jobs there are in each state.
    pub fn job_counts(&self) -> Result<Vec<(JobState, u64)>, Error> {
        Ok(self.store.job_counts()?)
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
    pub fn project_or_new(&self, name: &str) -> Result<Project, Error> {
        Ok(self.store.project_or_new(name, self.clock.now())?)
    }

    /// Does a job that waits, or that another worker did not live to end. None if there is nothing to do; then, unless
    /// only some jobs are wanted, what killed workers left of exports that have ended is cleared up.
    ///
    /// # Errors
    /// The job failed, which its entry says, too; [`Error::STOPPED`] if the worker was stopped or the job cancelled.
    pub fn work_one(
        &self,
        wanted: Wanted,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<Worked>, Error> {
        caught_in(|| {
            if !matches!(wanted, Wanted::One(_)) {
                self.start_due()?;
            }
            let Some(job) = self.claim(wanted)? else {
                if wanted != Wanted::Any {
                    return Ok(None);
                }
                let helped = self.help(observer, stopped)?;
                if helped.is_none() {
                    self.clear_left()?;
                }
                return Ok(helped);
            };
            let done = self.work(&job, None, observer, stopped);
            Ok(Some((job, done)))
        })
    }

    fn claim(&self, wanted: Wanted) -> Result<Option<Job>, Error> {
        let now = self.clock.now();
        let until = later(now, self.settings.lease);
        let job = self.store.claim(&self.settings.worker, wanted, now, until)?;
        self.pulse.beat(now);
        Ok(job)
    }

    /// Makes a part of an export that another worker holds; none if there is nothing to help with.
    fn help(&self, observer: &dyn Observer, stopped: &AtomicBool) -> Result<Option<Worked>, Error> {
        let (settings, now) = (&self.settings, self.clock.now());
        let until = later(now, settings.lease);
        let Some((job, shard)) = self.store.help(&settings.worker, now, until)? else {
            return Ok(None);
        };
        let place = (&self.store, &*self.clock, &self.pulse);
        let of = (&job, Some(&shard));
        let lease = Lease::new(place, of, &settings.worker, settings.lease, stopped, observer);
        let made =
            lease.keep_while(|| help(&self.objects, (&job, &shard), &lease, settings.threads));
        if made.is_err() {
            let is_stopped = lease.ending() == Some(Ending::Stopped);
            // Where this cannot be told, it is the holder's when its lease is over.
            let _ = self.store.free_shard(job.id, &shard, is_stopped);
        }
        Ok(Some((job, Ok(Done::Part { number: shard.number, error: made.err() }))))
    }

    /// Does a job that this worker holds, and ends it.
    pub(crate) fn work(
        &self,
        job: &Job,
        given: Option<Given<'_>>,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Done, Error> {
        let is_given = given.is_some();
        let place = (&self.store, &*self.clock, &self.pulse);
        let worker = self.settings.worker.as_str();
        let lease = Lease::new(place, (job, None), worker, self.settings.lease, stopped, observer);
        let done = lease.keep_while(|| {
            self.store.refuse_lost_role(job)?;
            match job.kind {
                JobKind::Import => self.do_import(job, given, &lease).map(Done::Import),
                JobKind::Export => self.do_export(job, &lease).map(Done::Export),
            }
        });
        if let (Ok(_), Some(schedule)) = (&done, job.schedule) {
            // What cannot be removed now is removed after the next run.
            let _ = self.retain(job.project, schedule);
        }
        let Err(error) = &done else { return done };
        let may_come_again = !is_given && job.attempts < JOB_ATTEMPTS && error.may_pass();
        let end = |state, why: Option<&str>| {
            self.store.end(job.id, worker, state, why, None, self.clock.now()).map_err(Error::from)
        };
        let end_job = || match (error, lease.ending()) {
            (_, Some(Ending::Lost)) | (Error::Store(retort_store::Error::NotHeld), _) => Ok(()),
            // What this process was told to do, nobody is to go on with when it was told to stop.
            (error, ending)
                if error.is_stopped() && (is_given || ending == Some(Ending::Cancelled)) =>
            {
                end(JobState::Cancelled, None).and_then(|()| self.clear_parts(job))
            }
            (_, Some(Ending::RoleLost)) if error.is_stopped() => {
                let lost = self.store.refuse_lost_role(job).err().map(|lost| lost.to_string());
                end(JobState::Failed, Some(&lost.unwrap_or_else(|| error.to_string())))
            }
            _ if error.is_stopped() => Ok(self.store.give_back(job.id, worker)?),
            _ if may_come_again => Ok(self.store.put_back(job.id, worker)?),
            _ => end(JobState::Failed, Some(&error.to_string())),
        };
        // What ended the work says more than that the job could not be ended: its lease will. A store that is away
        // may be back before.
        let mut waited = Duration::ZERO;
        while caught_in(end_job).is_err_and(|error| error.may_pass())
            && waited < self.settings.lease
            && !stopped.load(Ordering::Relaxed)
        {
            std::thread::sleep(STORE_AWAY);
            waited += STORE_AWAY;
        }
        done
    }

    /// How long ago a worker of this process last looked at the queue, or told the store that it is at a job; or the
    /// service was opened.
    pub fn worker_silent_for(&self) -> Duration {
        let silent = self.clock.now().unix_micros().saturating_sub(self.pulse.last());
        Duration::from_micros(u64::try_from(silent).unwrap_or(0))
    }

    fn do_export(&self, job: &Job, lease: &Lease<'_>) -> Result<Dataset, Error> {
        let id = export(&self.objects, job, lease, self.settings.threads)?;
        let scope = Scope::project(job.project);
        let found = self.store.dataset_numbered(&scope, id)?;
        found.ok_or_else(|| Error::NotFound { what: "dataset", name: id.to_string() })
    }

    /// Removes what a job that was cancelled, or failed long ago, made or was to be made of.
    pub(crate) fn clear_parts(&self, job: &Job) -> Result<(), Error> {
        if job.kind == JobKind::Export && job.dataset.is_none() {
            let are_under_way = self.store.forget_parts(job.id, self.clock.now())?;
            self.objects.remove_all(&prefix(&self.store, job.id))?;
            // Who helped may write until it hears of the end: it is cleared up once more when the lease is over.
            if !are_under_way {
                self.store.cleared(job.id)?;
            }
        }
        if job.kind == JobKind::Import {
            self.clear_upload(job)?;
            self.clear_rejects(job.id)?;
            self.store.cleared(job.id)?;
        }
        Ok(())
    }

    /// Removes what workers that were killed left of exports that have ended.
    fn clear_left(&self) -> Result<(), Error> {
        self.write_counted(Some(self.clock.now()))?;
        self.clear_old()?;
        for job in self.store.uncleared(self.clock.now())? {
            self.pulse.beat(self.clock.now());
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

    /// Removes what is older than is kept, the last copies of what was purged, and uploads that were left behind, once an
    /// hour.
    fn clear_old(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let last = self.cleared_at.swap(now.unix_micros(), Ordering::Relaxed);
        let since = u64::try_from(now.unix_micros().saturating_sub(last)).unwrap_or(u64::MAX);
        if Duration::from_micros(since) < CLEAR_OLD {
            self.cleared_at.store(last, Ordering::Relaxed);
            return Ok(());
        }
        let kept_from =
            |days: Option<u64>| days.map(|days| earlier(now, Duration::from_secs(days * 86_400)));
        let Retention { job_days, notice_days, audit_days } = self.settings.retention;
        let listed = self.store.forget_old(
            kept_from(job_days),
            kept_from(notice_days),
            kept_from(audit_days),
        )?;
        for job in listed {
            // What cannot be removed now, `doctor` finds.
            let _ = self.clear_rejects(job);
        }
        self.store.rewrite_file_if_due()?;
        self.clear_left_uploads()?;
        Ok(())
    }

    /// Refuses more than the quotas let a person and a project have.
    pub(crate) fn check_room(&self, caller: &Caller) -> Result<(), Error> {
        let Quotas { person_bytes, project_bytes, .. } = self.settings.quotas;
        let full = |whose: &str, used: u64, most: u64| {
            Error::TooMany(format!(
                "{whose} has {} of {} MB; delete datasets or purge what is no longer needed",
                used / 1_000_000,
                most / 1_000_000
            ))
        };
        if let Some(most) = person_bytes.filter(|_| caller.person.is_some()) {
            let used = self.store.made_bytes(&caller.own())?;
            if used >= most {
                return Err(full("the account", used, most));
            }
        }
        if let Some(most) = project_bytes {
            let used = self.store.project_bytes(caller.project.id)?;
            if used >= most {
                return Err(full("the project", used, most));
            }
        }
        Ok(())
    }

    /// Whether a job waits, is under way or is to be cleared up after, anyone's.
    pub fn has_open_jobs(&self) -> Result<bool, Error> {
        Ok(self.store.has_open_jobs()?)
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
