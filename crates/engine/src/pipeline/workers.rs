//! Several threads that work and hand on in order what they made; one of them feeds, too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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

/// What several threads bring and one at a time takes, in order and without a gap: whoever comes with what is due takes
/// it and what is there behind it, while the others go on. Only who is far ahead waits.
pub struct ReorderBuffer<T, S> {
    line: Mutex<Line<T, S>>,
    moved: Condvar,
    /// How far ahead of what is due something may be brought without waiting.
    ahead: u64,
}

struct Line<T, S> {
    next: u64,
    early: BTreeMap<u64, T>,
    /// What takes; not here while a thread is at it.
    taker: Option<S>,
    /// Threads that wait for the line to move.
    waiting: usize,
}

impl<T, S> ReorderBuffer<T, S> {
    pub(super) fn new(taker: S, threads: usize) -> Self {
        let taker = Some(taker);
        let line = Line { next: 0, early: BTreeMap::new(), taker, waiting: 0 };
        Self { line: Mutex::new(line), moved: Condvar::new(), ahead: ahead(threads) as u64 }
    }

    fn lock(&self) -> MutexGuard<'_, Line<T, S>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What took, when all is brought.
    ///
    /// # Errors
    /// A thread broke off while it took.
    pub(super) fn into_inner(self) -> Result<S, Error> {
        let taker = self.line.into_inner().unwrap_or_else(PoisonError::into_inner).taker;
        taker.ok_or_else(broke_off)
    }

    /// Brings what stands at `sequence`, and does `act` on all that is due, if no other thread is at that; false if
    /// everything ends.
    pub(super) fn bring(
        &self,
        sequence: u64,
        one: T,
        ends: &Ends<'_>,
        mut act: impl FnMut(&mut S, T),
    ) -> bool {
        let mut line = self.lock();
        line.early.insert(sequence, one);
        let mut taker = loop {
            if ends.now() {
                return false;
            }
            if line.early.contains_key(&line.next)
                && let Some(taker) = line.taker.take()
            {
                break taker;
            }
            if sequence < line.next + self.ahead {
                return true;
            }
            line.waiting += 1;
            line = wait(&self.moved, line);
            line.waiting -= 1;
        };
        loop {
            let next = line.next;
            let Some(one) = line.early.remove(&next) else { break };
            line.next += 1;
            if line.waiting > 0 {
                self.moved.notify_all();
            }
            drop(line);
            act(&mut taker, one);
            line = self.lock();
        }
        line.taker = Some(taker);
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

/// Where workers put what they made, each with its place in the order.
pub struct Output<'m, T> {
    taker: ReorderBuffer<Result<T, Error>, Taker<'m, T>>,
    ends: &'m Ends<'m>,
}

impl<T> Output<'_, T> {
    /// Puts something there; it may be taken at once by this thread. False if everything ends.
    pub fn send(&self, sequence: u64, one: Result<T, Error>) -> bool {
        let ends = self.ends;
        self.taker.bring(sequence, one, ends, |taker, one| {
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

/// How many jobs wait for so many workers, at most: the feed rests until half of them are done.
pub(super) fn jobs_waiting(threads: usize) -> usize {
    2 * threads * BATCHES_WAITING_PER_WORKER
}

/// Jobs that wait for a worker, in order.
struct Jobs<J> {
    queue: Mutex<Queue<J>>,
    came: Condvar,
    /// Half of those that may wait are gone.
    halved: Condvar,
    most: usize,
}

struct Queue<J> {
    jobs: VecDeque<J>,
    /// Workers that wait.
    idle: usize,
    /// The feed waits.
    is_full: bool,
    /// No more will come.
    ended: bool,
}

impl<J> Jobs<J> {
    fn new(most: usize) -> Self {
        let jobs = VecDeque::with_capacity(most);
        let queue = Queue { jobs, idle: 0, is_full: false, ended: false };
        Self { queue: Mutex::new(queue), came: Condvar::new(), halved: Condvar::new(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job behind the others, where there is room. When there was none, it waits for more than one place, as
    /// each waking costs the workers time.
    fn give(&self, job: J) {
        let mut queue = self.lock();
        queue.is_full = queue.jobs.len() >= self.most;
        while queue.is_full && !queue.ended {
            queue = self.halved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.jobs.push_back(job);
        if queue.idle > 0 {
            self.came.notify_one();
        }
    }

    /// The first job, waited for; none when all are done.
    fn take(&self) -> Option<J> {
        let mut queue = self.lock();
        loop {
            let job = queue.jobs.pop_front();
            if queue.is_full && queue.jobs.len() <= self.most / 2 {
                queue.is_full = false;
                self.halved.notify_one();
            }
            if job.is_some() || queue.ended {
                return job;
            }
            queue.idle += 1;
            queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn end(&self) {
        self.lock().ended = true;
        self.came.notify_all();
        self.halved.notify_all();
    }
}

/// Stands for a thread: when it goes, no more jobs come.
struct Present<'j, J>(&'j Jobs<J>);

impl<J> Drop for Present<'_, J> {
    fn drop(&mut self) {
        self.0.end();
    }
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
    let jobs = Jobs::new(jobs_waiting(threads));
    let output =
        Output { taker: ReorderBuffer::new(Taker { take, more: More::Wanted }, threads), ends };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (mut work, jobs, output) = (worker(), &jobs, &output);
            scope.spawn(move || {
                let _present = Present(jobs);
                while let Some(job) = jobs.take() {
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
        let _present = Present(&jobs);
        let fed = caught_in(|| {
            feed(&mut |job| {
                jobs.give(job);
                ends.more_wanted()
            })
        });
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
    fn all_is_taken_in_order_whoever_is_quick() {
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
