//! Deliveries: the datasets of schedules, copied to a destination that the operator configured. A dataset is delivered
//! after its run has ended, from the store, so that an attempt can be repeated as often as it takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use retort_engine::panics::{caught_in, point};
use retort_engine::{Destination, Error as EngineError, StoredFile};
use retort_formats::package::MANIFEST;
use retort_model::{Grant, Scope};
use retort_store::{DatasetFile, ScheduleDelivery};

use super::{SchedulePlan, Scheduled};
use crate::caller::Caller;
use crate::clock::later;
use crate::error::Error;
use crate::service::Service;
use crate::settings::DestinationSettings;

/// How long a destination has to answer when it is tried: someone waits for it.
const TRIAL_PATIENCE: Duration = Duration::from_secs(10);

/// Deliveries of a schedule that are shown.
const DELIVERIES_SHOWN: usize = 50;

impl Service {
    /// Names of the destinations that schedules of the project may deliver to.
    ///
    /// # Errors
    /// The caller may not export.
    pub fn destinations(&self, caller: &Caller) -> Result<Vec<String>, Error> {
        caller.needs(Grant::Export)?;
        let all = self.settings.destinations.iter();
        let allowed = all.filter(|(_, one)| is_allowed(one, &caller.project.name));
        Ok(allowed.map(|(name, _)| name.clone()).collect())
    }

    fn open_destination(
        &self,
        project: &str,
        name: &str,
        patience: Duration,
    ) -> Result<Destination, Error> {
        let settings = self.settings.destinations.get(name);
        let Some(settings) = settings.filter(|one| is_allowed(one, project)) else {
            return Err(Error::Choice(format!(
                "project `{project}` has no destination `{name}`; the operator of the server configures destinations"
            )));
        };
        Ok(Destination::open(&settings.location, &settings.options, patience)?)
    }

    /// Refuses a plan whose destination does not take files.
    pub(super) fn try_destination(
        &self,
        caller: &Caller,
        plan: &SchedulePlan,
    ) -> Result<(), Error> {
        let Some(to) = &plan.deliver_to else { return Ok(()) };
        let name = &to.destination;
        let destination = self
            .open_destination(&caller.project.name, name, TRIAL_PATIENCE)
            .map_err(|error| in_destination(name, error))?;
        let tried = destination.try_out().map_err(Error::from);
        tried.map_err(|error| in_destination(name, error))
    }

    /// The last deliveries of a schedule, the newest first.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn schedule_deliveries(
        &self,
        caller: &Caller,
        id: i64,
    ) -> Result<Vec<ScheduleDelivery>, Error> {
        let found = self.schedule(caller, id)?;
        Ok(self.store.schedule_deliveries(found.schedule.id, DELIVERIES_SHOWN)?)
    }

    /// Delivers the dataset that is due longest, or the one of a run. Whether one was due.
    ///
    /// # Errors
    /// The store cannot be reached. An attempt that fails is no error: it is noted, and made again later.
    pub(crate) fn deliver_due(
        &self,
        job: Option<i64>,
        stopped: &AtomicBool,
    ) -> Result<bool, Error> {
        let (worker, now) = (&*self.settings.worker, self.clock.now());
        let until = later(now, self.settings.lease);
        let claimed = self.store.claim_schedule_delivery(job, worker, now, until)?;
        let Some(delivery) = claimed else { return Ok(false) };
        point("delivery.begin");
        let now = || self.clock.now();
        match self.deliver_while_held(&delivery, stopped) {
            Ok(()) => {}
            // Another worker has it, or nobody wants it any more.
            Err(Error::Store(retort_store::Error::NotHeld)) => {}
            Err(error) if error.is_stopped() => {
                self.store.release_schedule_delivery(delivery.job, worker, now())?;
            }
            // It is due again when its lease is over.
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                let why = error.to_string();
                self.store.fail_schedule_delivery(&delivery, worker, &why, now())?;
            }
        }
        Ok(true)
    }

    /// Delivers while another thread shows that this worker is at it.
    fn deliver_while_held(
        &self,
        delivery: &ScheduleDelivery,
        stopped: &AtomicBool,
    ) -> Result<(), Error> {
        let lost = AtomicBool::new(false);
        let (end, ended) = channel::<()>();
        std::thread::scope(|scope| {
            let lost = &lost;
            scope.spawn(move || {
                let every = self.settings.lease / 4;
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    let now = self.clock.now();
                    let until = later(now, self.settings.lease);
                    let worker = &self.settings.worker;
                    let kept = self.store.keep_schedule_delivery(delivery.job, worker, until);
                    lost.fetch_or(
                        matches!(kept, Err(retort_store::Error::NotHeld)),
                        Ordering::Relaxed,
                    );
                    self.pulse.beat(now);
                }
            });
            let going_on = || {
                if lost.load(Ordering::Relaxed) {
                    Err(Error::Store(retort_store::Error::NotHeld))
                } else if stopped.load(Ordering::Relaxed) {
                    Err(Error::STOPPED)
                } else {
                    Ok(())
                }
            };
            let delivered = caught_in(|| self.deliver(delivery, &going_on));
            drop(end);
            delivered
        })
    }

    fn deliver(
        &self,
        delivery: &ScheduleDelivery,
        going_on: &dyn Fn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let scope = Scope::project(delivery.project);
        let schedule = self.store.schedule(&scope, delivery.schedule)?;
        let dataset = self.store.dataset_numbered(&scope, delivery.dataset)?;
        let project = self.store.project_numbered(delivery.project)?;
        let (Some(schedule), Some(dataset), Some(project)) = (schedule, dataset, project) else {
            return Err(Error::Store(retort_store::Error::NotHeld));
        };
        if let Err(gone) = self.owner_of(&schedule)? {
            return Err(Error::Choice(gone));
        }
        let plan = SchedulePlan::read(&schedule)?;
        let Some(to) = &plan.deliver_to else {
            return Err(Error::Choice("the schedule has no destination any more".into()));
        };
        let named_after = (delivery.named_at, delivery.number);
        let folder = plan.timing.folder(to, named_after, &dataset.name);
        let name = &*to.destination;
        let worker = &*self.settings.worker;
        let folder = self.store.place_schedule_delivery(delivery, worker, (name, &folder))?;
        let patience = self.settings.patience;
        let files = self.store.dataset_files(&dataset)?;
        let receipt = files.iter().find(|file| file.path == MANIFEST);
        let receipt = receipt.map(|file| file.sha256.clone()).unwrap_or_default();
        let files: Vec<StoredFile> = files.into_iter().map(stored).collect();
        let from = self.objects.below(&dataset.prefix);
        let destination = self
            .open_destination(&project.name, name, patience)
            .map_err(|error| in_destination(name, error))?;
        let going_on = &mut || going_on().map_err(EngineError::from);
        let delivered = destination.deliver(&folder, &from, &files, going_on);
        delivered.map_err(|error| in_destination(name, error.into()))?;
        point("delivery.series");
        let mut series = self.series_receipt(&schedule, Some(delivery.job))?;
        if let Some((_, window)) = self.store.window_of(delivery.job)?
            && let Some(last) =
                series.windows.last_mut().filter(|last| last.span.number == window.number)
        {
            last.path = Some(folder.clone());
            let above = to.prefix.fixed();
            let above = if above.is_empty() { above } else { above + "/" };
            let put = destination.put(&format!("{above}{}", series.file_name()), &series.to_json());
            put.map_err(|error| in_destination(name, error.into()))?;
        }
        point("delivery.end");
        let now = self.clock.now();
        Ok(self.store.end_schedule_delivery(delivery, worker, (&folder, &receipt), now)?)
    }
}

impl Scheduled {
    /// Name of the destination that its datasets are delivered to.
    pub fn destination(&self) -> Option<&str> {
        self.plan.deliver_to.as_ref().map(|to| &*to.destination)
    }
}

fn is_allowed(destination: &DestinationSettings, project: &str) -> bool {
    let projects = destination.projects.as_ref();
    projects.is_none_or(|projects| projects.iter().any(|one| one == project))
}

/// A failure of a destination, which its name comes before.
fn in_destination(name: &str, error: Error) -> Error {
    match error {
        Error::Engine(error @ (EngineError::Destination { .. } | EngineError::Objects { .. })) => {
            Error::Choice(format!("destination `{name}`: {error}"))
        }
        other => other,
    }
}

fn stored(file: DatasetFile) -> StoredFile {
    StoredFile {
        path: file.path,
        key: file.object,
        records: file.records,
        bytes: file.bytes,
        sha256: file.sha256,
        crc32: file.crc32,
    }
}
