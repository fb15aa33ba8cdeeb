//! The worker pool: threads that do jobs in parallel and submit the results, which are delivered in order.
//!
//! The calling thread feeds jobs into a bounded channel, from which the workers take them. Each job has a number, and each
//! output a place in the order. The result does not depend on the number of threads, and memory is bounded:
//!
//! - [`Sequencer`] lets the workers through one at a time, in the order of the jobs, between two steps that run in parallel.
//! - [`ReorderBuffer`] holds outputs that came too early. The worker that submits the next one in order also takes the later
//!   ones that are ready, so no thread does nothing but wait and write. A worker that is far ahead waits: this bounds what
//!   is held in memory when one job takes long.
//! - The channel is bounded too: the feed does not read faster than the workers work.
//!
//! Something may end the work early: the person, a failure, a panic, or that no more is wanted ([`Ends`]). No signal tells
//! of that, so threads that wait look at it every few milliseconds.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use retort_model::bounds::{BATCHES_WAITING_PER_WORKER, THREADS};

use super::ends::{Ends, More, broke_off};
use crate::error::Error;
use crate::panics::{caught, caught_in};

/// Lets batches through in order, one at a time.
pub struct Sequencer<T> {
    turn: Mutex<(u64, T)>,
    moved: Condvar,
}

impl<T> Sequencer<T> {
    /// State that is passed around in the order of the batches.
    pub fn new(state: T) -> Self {
        Self { turn: Mutex::new((0, state)), moved: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, (u64, T)> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of `sequence` and does `act`; `None` if everything ends before.
    pub fn pass<R>(
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
            turn = wait(&self.moved, turn);
        }
        let result = act(&mut turn.1);
        turn.0 += 1;
        drop(turn);
        self.moved.notify_all();
        Some(result)
    }
}

/// Outputs that several threads submit and one thread at a time takes, in order and without a gap: the thread that submits
/// the next one also takes those after it that are ready, while the others go on. Only a thread that is far ahead waits.
pub struct ReorderBuffer<T, S> {
    state: Mutex<Waiting<T, S>>,
    moved: Condvar,
    /// How far ahead of the next one something may be submitted without waiting.
    ahead: u64,
}

struct Waiting<T, S> {
    next: u64,
    early: BTreeMap<u64, T>,
    /// What takes the outputs; not here while a thread uses it.
    taker: Option<S>,
    /// Threads that wait for `next` to move.
    threads: usize,
}

impl<T, S> ReorderBuffer<T, S> {
    pub(super) fn new(taker: S, threads: usize) -> Self {
        let state = Waiting { next: 0, early: BTreeMap::new(), taker: Some(taker), threads: 0 };
        Self { state: Mutex::new(state), moved: Condvar::new(), ahead: ahead(threads) as u64 }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What took the outputs, when all are submitted.
    ///
    /// # Errors
    /// A thread ended while it took one.
    pub(super) fn into_inner(self) -> Result<S, Error> {
        let taker = self.state.into_inner().unwrap_or_else(PoisonError::into_inner).taker;
        taker.ok_or_else(broke_off)
    }

    /// Submits the output at `sequence`, and does `act` on all that are next in order, if no other thread does; false if
    /// everything ends.
    pub(super) fn submit(
        &self,
        sequence: u64,
        one: T,
        ends: &Ends<'_>,
        mut act: impl FnMut(&mut S, T),
    ) -> bool {
        let mut state = self.lock();
        state.early.insert(sequence, one);
        let mut taker = loop {
            if ends.now() {
                return false;
            }
            if state.early.contains_key(&state.next)
                && let Some(taker) = state.taker.take()
            {
                break taker;
            }
            if sequence < state.next + self.ahead {
                return true;
            }
            state.threads += 1;
            state = wait(&self.moved, state);
            state.threads -= 1;
        };
        loop {
            let next = state.next;
            let Some(one) = state.early.remove(&next) else { break };
            state.next += 1;
            if state.threads > 0 {
                self.moved.notify_all();
            }
            drop(state);
            act(&mut taker, one);
            state = self.lock();
        }
        state.taker = Some(taker);
        true
    }
}

/// Waits for a signal, but not for long: everything may end without one.
fn wait<'g, T>(moved: &Condvar, guard: MutexGuard<'g, T>) -> MutexGuard<'g, T> {
    moved.wait_timeout(guard, Duration::from_millis(20)).unwrap_or_else(PoisonError::into_inner).0
}

/// Takes what workers made, in order.
struct Taker<'t, T> {
    take: &'t mut (dyn FnMut(T) -> Result<More, Error> + Send),
    more: More,
}

/// Where workers submit what they made, each with its place in the order.
pub struct Output<'m, T> {
    taker: ReorderBuffer<Result<T, Error>, Taker<'m, T>>,
    ends: &'m Ends<'m>,
}

impl<T> Output<'_, T> {
    /// Submits something; it may be taken at once by this thread. False if everything ends.
    pub fn send(&self, sequence: u64, one: Result<T, Error>) -> bool {
        let ends = self.ends;
        self.taker.submit(sequence, one, ends, |taker, one| {
            if ends.now() || matches!(taker.more, More::Enough) {
                return;
            }
            match one.and_then(&mut *taker.take) {
                Ok(More::Wanted) => {}
                Ok(More::Enough) => {
                    taker.more = More::Enough;
                    ends.set_enough();
                }
                Err(error) => ends.fail(error),
            }
        })
    }
}

/// As many threads as were asked for, else as the machine has cores; within the bound.
pub fn threads(asked: Option<usize>) -> usize {
    let cores = || available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(cores).clamp(1, THREADS)
}

/// How far one of so many workers may be ahead.
fn ahead(threads: usize) -> usize {
    threads * BATCHES_WAITING_PER_WORKER
}

/// How many jobs wait for so many workers, at most.
pub(super) fn jobs_waiting(threads: usize) -> usize {
    2 * threads * BATCHES_WAITING_PER_WORKER
}

/// The next job, waited for; none when all are done.
fn next<J>(jobs: &Mutex<Receiver<J>>) -> Option<J> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Has the jobs that `feed` sends, on the calling thread, done by `threads` workers. What they make goes to `take` in
/// order and without a gap, on whichever of their threads. A worker says false when everything is to end, and so does
/// what `feed` sends to.
pub fn in_order<J: Send, T: Send, W: FnMut(J, &Output<'_, T>) -> bool + Send>(
    threads: usize,
    ends: &Ends<'_>,
    feed: impl FnOnce(&mut dyn FnMut(J) -> bool) -> Result<(), Error>,
    worker: impl Fn() -> W,
    take: &mut (dyn FnMut(T) -> Result<More, Error> + Send),
) -> Result<More, Error> {
    let (sender, jobs) = sync_channel(jobs_waiting(threads));
    // The workers alone hold it: when the last of them ends, the feed waits for nobody.
    let jobs = Arc::new(Mutex::new(jobs));
    let output =
        Output { taker: ReorderBuffer::new(Taker { take, more: More::Wanted }, threads), ends };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (mut work, jobs, output) = (worker(), Arc::clone(&jobs), &output);
            scope.spawn(move || {
                while let Some(job) = next(&jobs) {
                    let goes_on = !ends.now()
                        && caught(|| work(job, output)).unwrap_or_else(|bug| {
                            ends.fail(bug);
                            false
                        });
                    if !goes_on {
                        ends.break_off();
                        break;
                    }
                }
            });
        }
        drop(jobs);
        let fed = caught_in(|| feed(&mut |job| sender.send(job).is_ok() && ends.more_wanted()));
        drop(sender);
        if let Err(error) = fed {
            ends.fail(error);
        }
    });
    ends.check()?;
    Ok(output.taker.into_inner()?.more)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// Does `jobs` jobs, of which each takes as long as `takes` says.
    fn done(
        jobs: u64,
        threads: usize,
        takes: impl Fn(u64) -> Duration + Sync,
        take: &mut (dyn FnMut(u64) -> Result<More, Error> + Send),
    ) -> (Result<More, Error>, u64) {
        let stopped = AtomicBool::new(false);
        let ends = Ends::new(&stopped);
        let mut fed = 0;
        let more = in_order(
            threads,
            &ends,
            |send| {
                while fed < jobs && send(fed) {
                    fed += 1;
                }
                Ok(())
            },
            || {
                |job, output: &Output<'_, u64>| {
                    std::thread::sleep(takes(job));
                    output.send(job, Ok(job))
                }
            },
            take,
        );
        (more, fed)
    }

    #[test]
    fn all_is_taken_in_order_whichever_worker_is_quick() {
        for threads in [1, 2, 5] {
            let mut taken = Vec::new();
            let (more, _) =
                done(200, threads, |job| Duration::from_micros(job * 7919 % 300), &mut |one| {
                    taken.push(one);
                    Ok(More::Wanted)
                });
            assert!(matches!(more, Ok(More::Wanted)));
            assert_eq!(taken, (0..200).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn nobody_is_further_ahead_than_allowed() {
        let begun = AtomicU64::new(0);
        let mut most = 0;
        let takes = |job| {
            begun.fetch_max(job, Ordering::Relaxed);
            Duration::from_millis(if job % 20 == 0 { 20 } else { 0 })
        };
        let (more, _) = done(100, 3, takes, &mut |one| {
            most = most.max(begun.load(Ordering::Relaxed) - one);
            Ok(More::Wanted)
        });
        assert!(more.is_ok());
        // Those that wait have done one, and what is being taken is not taken yet.
        assert!(most <= ahead(3) as u64 + 3, "{most}");
    }

    #[test]
    fn who_wants_no_more_or_fails_ends_the_feed() {
        let mut last = 0;
        let (more, fed) = done(100_000, 2, |_| Duration::ZERO, &mut |one| {
            last = one;
            Ok(if one < 50 { More::Wanted } else { More::Enough })
        });
        assert!(matches!(more, Ok(More::Enough)));
        assert!(last == 50 && fed < 100_000, "{last} {fed}");
        let (more, fed) = done(100_000, 2, |_| Duration::ZERO, &mut |one| {
            if one < 50 { Ok(More::Wanted) } else { Err(Error::Choice(format!("no {one}"))) }
        });
        assert_eq!(more.err().map(|error| error.to_string()).as_deref(), Some("no 50"));
        assert!(fed < 100_000, "{fed}");
    }

    #[test]
    fn a_panic_of_any_thread_ends_the_work_and_is_told() {
        let stopped = AtomicBool::new(false);
        for threads in [1, 3] {
            for place in ["feed", "work", "take"] {
                let in_order = in_order(
                    threads,
                    &Ends::new(&stopped),
                    |send| {
                        for job in 0..1000 {
                            assert!(place != "feed" || job != 30, "broken in {place}");
                            if !send(job) {
                                break;
                            }
                        }
                        Ok(())
                    },
                    || {
                        |job, output: &Output<'_, u64>| {
                            assert!(place != "work" || job != 30, "broken in {place}");
                            output.send(job, Ok(job))
                        }
                    },
                    &mut |job| {
                        assert!(place != "take" || job != 30, "broken in {place}");
                        Ok(More::Wanted)
                    },
                );
                let why = in_order.map(|_| ()).unwrap_err().to_string();
                assert!(why.contains(&format!("broken in {place}")), "{why}");
            }
        }
    }

    #[test]
    fn a_job_that_is_lost_holds_up_nobody() {
        let stopped = AtomicBool::new(false);
        let ends = Ends::new(&stopped);
        let lost = in_order(
            3,
            &ends,
            |send| {
                (0..1000).all(send);
                Ok(())
            },
            || |job, output: &Output<'_, u64>| job != 30 && output.send(job, Ok(job)),
            &mut |_| Ok(More::Wanted),
        );
        assert!(lost.is_err());
        let ends = Ends::new(&stopped);
        let failed = in_order(
            3,
            &ends,
            |send| {
                send(0);
                Err(Error::Choice("unreadable".into()))
            },
            || |job, output: &Output<'_, u64>| output.send(job, Ok(job)),
            &mut |_| Ok(More::Wanted),
        );
        assert_eq!(failed.err().map(|error| error.to_string()).as_deref(), Some("unreadable"));
        stopped.store(true, Ordering::Relaxed);
        let stopped = in_order(
            2,
            &Ends::new(&stopped),
            |send| {
                (0..1000).all(send);
                Ok(())
            },
            || |job, output: &Output<'_, u64>| output.send(job, Ok(job)),
            &mut |_| Ok(More::Wanted),
        );
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
