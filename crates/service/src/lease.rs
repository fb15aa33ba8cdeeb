//! Keeps a job while it is worked on: says now and then that its worker is still there, and hears when it is to
//! end.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use retort_engine::panics::{caught, caught_in, point};
use retort_engine::pipeline::{Observer, Progress};
use retort_model::{JobKind, Time};
use retort_store::{Job, JobProgress, Shard, ShardsDone, Store};

use crate::clock::{Clock, later};
use crate::error::Error;

/// How often the wish to stop is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// How often progress is told, at least.
const TELL: Duration = Duration::from_millis(500);

/// When the workers of this process last looked at the queue, or told the store that they are at a job, in
/// microseconds since 1970.
#[derive(Default)]
pub(crate) struct Pulse(AtomicI64);

impl Pulse {
    pub(crate) fn beat(&self, now: Time) {
        self.0.store(now.unix_micros(), Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Does `act`, and calls `keep` each `every` meanwhile. What keeps a lease may fail: it then ends by itself.
pub(crate) fn while_kept<T, E>(
    every: Duration,
    keep: &(dyn Fn() -> Result<(), E> + Sync),
    act: impl FnOnce() -> T,
) -> T {
    let (ended, changed) = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut over = ended.lock().unwrap_or_else(PoisonError::into_inner);
            while !*over {
                let waited = changed.wait_timeout(over, every);
                over = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !*over {
                    let _ = keep();
                }
            }
        });
        // The thread ends even if `act` panics.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A job in the hands of this worker, or a part of one that another worker holds.
pub(crate) struct Lease<'k> {
    pub(crate) store: &'k Arc<Store>,
    pub(crate) clock: &'k dyn Clock,
    pub(crate) job: &'k Job,
    /// The part, if it is not the job.
    part: Option<&'k Shard>,
    pub(crate) worker: &'k str,
    pub(crate) lease: Duration,
    /// The person or the process wants the worker to stop.
    pub(crate) stopped_outside: &'k AtomicBool,
    /// Who else is told how far it is.
    pub(crate) observer: &'k dyn Observer,
    /// When the worker last showed that it lives.
    pulse: &'k Pulse,
    /// Ends the work.
    pub(crate) stopped: AtomicBool,
    cancelled: AtomicBool,
    lost: AtomicBool,
    role_lost: AtomicBool,
    /// How far the other parts are.
    others: Mutex<Others>,
    items_total: AtomicU64,
    bytes_total: AtomicU64,
    bytes_done: AtomicU64,
    records: AtomicU64,
}

/// The parts of an export but the one that is being made here.
#[derive(Clone, Copy, Default)]
struct Others {
    own_part: Option<u64>,
    done: ShardsDone,
}

/// Why work ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Someone cancelled the job.
    Cancelled,
    /// The worker is to stop.
    Stopped,
    /// Another worker has it.
    Lost,
    /// The person who asked for it has lost the role that it needs.
    RoleLost,
}

impl<'k> Lease<'k> {
    pub(crate) fn new(
        (store, clock, pulse): (&'k Arc<Store>, &'k dyn Clock, &'k Pulse),
        (job, part): (&'k Job, Option<&'k Shard>),
        worker: &'k str,
        lease: Duration,
        stopped_outside: &'k AtomicBool,
        observer: &'k dyn Observer,
    ) -> Self {
        Self {
            store,
            clock,
            job,
            part,
            worker,
            lease,
            stopped_outside,
            observer,
            pulse,
            stopped: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            role_lost: AtomicBool::new(false),
            others: Mutex::default(),
            items_total: AtomicU64::new(job.progress.items_total),
            bytes_total: AtomicU64::new(match part {
                Some(part) => part.bytes,
                None => job.progress.bytes_total,
            }),
            bytes_done: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Does `act` while the job is kept.
    ///
    /// # Errors
    /// Those of `act`; a bug if it, or what keeps the job, panicked.
    pub(crate) fn keep_while<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let ended = (Mutex::new(false), Condvar::new());
        std::thread::scope(|scope| {
            let keeping = scope.spawn(|| {
                let kept = caught(|| self.tell_until(&ended));
                if kept.is_err() {
                    // Without a lease, another worker may begin at any moment.
                    self.stopped.store(true, Ordering::Relaxed);
                }
                kept
            });
            let result = caught_in(act);
            *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            ended.1.notify_all();
            match (result, keeping.join()) {
                (Err(error), Ok(Err(bug))) if error.is_stopped() => Err(bug.into()),
                (result, _) => result,
            }
        })
    }

    fn tell_until(&self, (ended, changed): &(Mutex<bool>, Condvar)) {
        let every = TELL.min(self.lease / 4);
        let mut since_told = every;
        let mut kept_until = later(self.clock.now(), self.lease);
        loop {
            if since_told >= every {
                since_told = Duration::ZERO;
                let until = later(self.clock.now(), self.lease);
                point("keep");
                match self.renew(until) {
                    Ok(()) => {
                        self.pulse.beat(self.clock.now());
                        kept_until = until;
                    }
                    Err(retort_store::Error::NotHeld) => self.lost.store(true, Ordering::Relaxed),
                    // The store may be back before the lease is over.
                    Err(_) if self.clock.now() < kept_until => {}
                    Err(_) => self.lost.store(true, Ordering::Relaxed),
                }
            }
            if self.ending().is_some() {
                self.stopped.store(true, Ordering::Relaxed);
            }
            let over = ended.lock().unwrap_or_else(PoisonError::into_inner);
            if *over {
                return;
            }
            let (over, _) =
                changed.wait_timeout(over, LOOK).unwrap_or_else(PoisonError::into_inner);
            if *over {
                return;
            }
            since_told += LOOK;
        }
    }

    fn renew(&self, until: Time) -> Result<(), retort_store::Error> {
        if let Some(part) = self.part {
            // Whether the job goes on is for its holder to decide.
            let done = (&self.bytes_done, &self.records);
            let done = (done.0.load(Ordering::Relaxed), done.1.load(Ordering::Relaxed));
            return self.store.keep_shard(self.job.id, part, done, until);
        }
        self.look_at_others()?;
        let cancelled =
            self.store.keep(self.job.id, self.worker, &self.progress_so_far(), until)?;
        self.cancelled.fetch_or(cancelled, Ordering::Relaxed);
        let role = self.store.refuse_lost_role(self.job);
        let is_lost = matches!(role, Err(retort_store::Error::RoleLost(..)));
        self.role_lost.fetch_or(is_lost, Ordering::Relaxed);
        Ok(())
    }

    /// Looks how far other workers are with their parts, where there are such.
    fn look_at_others(&self) -> Result<(), retort_store::Error> {
        if self.job.kind != JobKind::Export {
            return Ok(());
        }
        let others = || self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let own_part = others().own_part;
        let done = self.store.shards_done(self.job.id, own_part)?;
        let mut others = others();
        if others.own_part == own_part {
            others.done = done;
        }
        Ok(())
    }

    /// Says how far the job is once more, as it is about to end.
    pub(crate) fn tell(&self) -> Result<(), Error> {
        let until = later(self.clock.now(), self.lease);
        self.store.keep(self.job.id, self.worker, &self.progress_so_far(), until)?;
        Ok(())
    }

    /// Why the work is to end, if it is.
    pub(crate) fn ending(&self) -> Option<Ending> {
        if self.lost.load(Ordering::Relaxed) {
            Some(Ending::Lost)
        } else if self.cancelled.load(Ordering::Relaxed) {
            Some(Ending::Cancelled)
        } else if self.role_lost.load(Ordering::Relaxed) {
            Some(Ending::RoleLost)
        } else if self.stopped_outside.load(Ordering::Relaxed) {
            Some(Ending::Stopped)
        } else {
            None
        }
    }

    /// Ends the work if it is to end.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.ending() {
            Some(_) => Err(Error::STOPPED),
            None => Ok(()),
        }
    }

    /// Says which part of an export is made from now on.
    pub(crate) fn begin_part(&self, number: u64) -> Result<(), Error> {
        self.turn_to(Some(number))
    }

    /// Says that the part is finished.
    pub(crate) fn end_part(&self) -> Result<(), Error> {
        self.turn_to(None)
    }

    fn turn_to(&self, own_part: Option<u64>) -> Result<(), Error> {
        if self.part.is_some() {
            return Ok(());
        }
        let done = self.store.shards_done(self.job.id, own_part)?;
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        *others = Others { own_part, done };
        self.bytes_done.store(0, Ordering::Relaxed);
        self.records.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn others_done(&self) -> ShardsDone {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).done
    }

    fn progress_so_far(&self) -> JobProgress {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let others = self.others_done();
        JobProgress {
            items_total: read(&self.items_total),
            items_done: others.items,
            bytes_total: read(&self.bytes_total),
            bytes_done: others.bytes + read(&self.bytes_done),
            records: others.records + read(&self.records),
        }
    }
}

impl Observer for Lease<'_> {
    fn progress(&self, progress: Progress) {
        let others = self.others_done();
        self.bytes_done.store(progress.read_bytes, Ordering::Relaxed);
        self.records.store(progress.records, Ordering::Relaxed);
        // A part knows only its own bytes; an import finds out how many there are.
        let total = self.bytes_total.fetch_max(progress.total_bytes, Ordering::Relaxed);
        self.observer.progress(Progress {
            read_bytes: others.bytes + progress.read_bytes,
            total_bytes: total.max(progress.total_bytes),
            records: others.records + progress.records,
        });
    }
}
