//! One thread that feeds, several that work, and the caller, who takes what they make in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retort_model::bounds::BATCHES_WAITING_PER_WORKER;

use super::More;
use crate::Error;

/// Why work may end before what feeds it does.
pub(crate) struct Ends<'p> {
    /// The person wants it.
    stopped: &'p AtomicBool,
    /// Something failed.
    failed: AtomicBool,
    /// No more is wanted.
    enough: AtomicBool,
    /// The first failure that has no other way to the caller.
    failure: Mutex<Option<Error>>,
}

impl<'p> Ends<'p> {
    pub(crate) fn new(stopped: &'p AtomicBool) -> Self {
        let (failed, enough) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { stopped, failed, enough, failure: Mutex::new(None) }
    }

    pub(super) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Whether everything ends at once.
    pub(super) fn now(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    /// Whether there is reason to read on.
    pub(super) fn more_wanted(&self) -> bool {
        !self.now() && !self.enough.load(Ordering::Relaxed)
    }
}

/// Sets the flag if its thread ends in any other way than by its own leave.
struct FailOnDrop<'f>(&'f AtomicBool, bool);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Lets batches through in order, one at a time.
pub(crate) struct Turnstile<T> {
    turn: Mutex<(u64, T)>,
    moved: Condvar,
}

impl<T> Turnstile<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { turn: Mutex::new((0, state)), moved: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, (u64, T)> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left behind it when all are through.
    pub(super) fn into_inner(self) -> T {
        self.turn.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Waits for the turn of `sequence` and does `act`; `None` if everything ends before.
    pub(crate) fn pass<R>(
        &self,
        sequence: u64,
        ends: &Ends<'_>,
        act: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut turn = self.lock();
        while turn.0 != sequence {
            if ends.now() {
                return None;
            }
            turn = self
                .moved
                .wait_timeout(turn, Duration::from_millis(20))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let result = act(&mut turn.1);
        turn.0 += 1;
        drop(turn);
        self.moved.notify_all();
        Some(result)
    }
}

/// Where workers put what they made, each with its place in the order.
pub(crate) type Made<T> = SyncSender<(u64, Result<T, Error>)>;

/// Jobs that wait between the feeder and the workers.
pub(super) fn waiting(threads: usize) -> usize {
    threads * BATCHES_WAITING_PER_WORKER
}

/// Hands the jobs of `feed` to `threads` workers, and what they make to `take`, in order without a gap. A worker
/// says false when everything is to end.
pub(crate) fn in_order<J: Send, T: Send, W: FnMut(J, &Made<T>) -> bool + Send>(
    threads: usize,
    ends: &Ends<'_>,
    feed: impl FnOnce(&SyncSender<J>) -> Result<(), Error> + Send,
    worker: impl Fn() -> W,
    take: &mut dyn FnMut(T) -> Result<More, Error>,
) -> Result<More, Error> {
    let (jobs, waiting_jobs) = sync_channel::<J>(waiting(threads));
    let (made, waiting_made) = sync_channel::<(u64, Result<T, Error>)>(waiting(threads));
    // Owned by the workers alone, so that the feeder does not wait for workers that have ended.
    let waiting_jobs = Arc::new(Mutex::new(waiting_jobs));
    let result = std::thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            let mut guard = FailOnDrop(&ends.failed, false);
            let result = feed(&jobs);
            guard.1 = result.is_ok();
            result
        });
        for _ in 0..threads {
            let (mut work, made) = (worker(), made.clone());
            let jobs = Arc::clone(&waiting_jobs);
            scope.spawn(move || {
                let mut guard = FailOnDrop(&ends.failed, false);
                loop {
                    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { break };
                    if ends.now() || !work(job, &made) {
                        // Whatever waits for this job must not wait for ever.
                        ends.failed.store(true, Ordering::Relaxed);
                        break;
                    }
                }
                guard.1 = true;
            });
        }
        drop((made, waiting_jobs));
        let mut early: BTreeMap<u64, Result<T, Error>> = BTreeMap::new();
        let mut next = 0;
        let mut taken = Ok(More::Wanted);
        for (sequence, one) in &waiting_made {
            early.insert(sequence, one);
            while let Some(one) = early.remove(&next) {
                next += 1;
                if !matches!(taken, Ok(More::Wanted)) {
                    continue;
                }
                taken = one.and_then(&mut *take);
                match &taken {
                    Ok(More::Wanted) => {}
                    Ok(More::Enough) => ends.set_enough(),
                    Err(_) => ends.failed.store(true, Ordering::Relaxed),
                }
            }
        }
        let fed =
            feeder.join().unwrap_or_else(|_| Err(Error::Choice("the reader broke off".into())));
        taken.and_then(|more| fed.map(|()| more))
    });
    if ends.stopped.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    let failure = ends.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(error) = failure {
        return Err(error);
    }
    let more = result?;
    if ends.failed.load(Ordering::Relaxed) {
        return Err(Error::Choice("a worker broke off".into()));
    }
    Ok(more)
}
