//! The service: a store, a place for datasets, and what people ask of them.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use retort_engine::{Error as EngineError, Objects, allow_programs, temporary_folder};
use retort_model::{JobState, Time};
use retort_store::{Project, QueueStats, Store};

use crate::audit_limits::AuditLimits;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::comparisons::KeptComparisons;
use crate::error::Error;
use crate::lease::Pulse;
use crate::settings::{Quotas, Settings};

/// A store, a place for datasets, and a worker.
pub struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) objects: Objects,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) pulse: Pulse,
    pub(crate) audit_limits: AuditLimits,
    pub(crate) comparisons: KeptComparisons,
    /// When what is older than is kept was last removed, in microseconds since 1970.
    pub(crate) cleared_at: AtomicI64,
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
        let folder = temporary_folder().map_err(fail)?;
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
        allow_programs(&settings.recognisers);
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
            comparisons: KeptComparisons::default(),
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

    /// Whether a job waits, is under way or is to be cleared up after, or a dataset is to be delivered, anyone's.
    pub fn has_open_jobs(&self) -> Result<bool, Error> {
        Ok(self.store.has_open_jobs()? || self.store.has_open_deliveries()?)
    }
}

/// Brings the tables of a store to this release's, unless that is only to be tried; says from which schema to which.
///
/// # Errors
/// There is none, it cannot be reached, or it is newer than this release.
pub fn migrate(settings: &Settings, dry_run: bool) -> Result<(i64, i64), Error> {
    if dry_run {
        return Ok(Store::migration(&settings.store)?);
    }
    match Store::open_existing(&settings.store) {
        Ok(_) | Err(retort_store::Error::Schema { .. }) => {
            Ok(Store::migrate(&settings.store, &settings.identity)?)
        }
        Err(error) => Err(error.into()),
    }
}
