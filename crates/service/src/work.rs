//! A worker: takes jobs, does them, ends them, and clears up what killed workers left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retort_engine::panics::caught_in;
use retort_engine::pipeline::Observer;
use retort_model::bounds::JOB_ATTEMPTS;
use retort_model::{JobKind, JobState, Scope};
use retort_store::{Dataset, Job, Wanted};

use crate::clock::{earlier, later};
use crate::error::Error;
use crate::export::{export, help, prefix};
use crate::import::{Given, ImportReport};
use crate::lease::{Ending, Lease};
use crate::service::Service;
use crate::settings::Retention;

/// How soon a store that is away is asked again to end a job.
const STORE_AWAY: Duration = Duration::from_millis(250);

/// How often it is looked for what is older than is kept.
const CLEAR_OLD: Duration = Duration::from_secs(60 * 60);

/// What became of a job that this worker took.
#[derive(Debug)]
pub enum Done {
    /// An import.
    Import(ImportReport),
    /// An export: its dataset; none if it is a run of a schedule that had nothing to write.
    Export(Option<Dataset>),
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

impl Service {
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
            if wanted == Wanted::Any {
                while !stopped.load(Ordering::Relaxed) && self.deliver_due(None, stopped)? {}
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
        if done.is_ok() && job.replaces.is_some() {
            // What cannot be completed now is completed later.
            let _ = self.complete_erasures();
        }
        if let (Ok(_), Some(schedule)) = (&done, job.schedule) {
            // What cannot be delivered now is delivered later, and what cannot be removed is removed after the next run.
            let _ = self.deliver_due(Some(job.id), stopped);
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

    fn do_export(&self, job: &Job, lease: &Lease<'_>) -> Result<Option<Dataset>, Error> {
        let made = export(&self.objects, job, lease, self.settings.threads)?;
        let Some(id) = made else { return Ok(None) };
        let found = self.store.dataset_numbered(&Scope::project(job.project), id)?;
        let gone = || Error::NotFound { what: "dataset", name: id.to_string() };
        found.map(Some).ok_or_else(gone)
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
        self.complete_erasures()?;
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
}
