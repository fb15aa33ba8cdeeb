//! Threads for calls that block.
//!
//! A call begins at the priority of its pool and can be lowered while it runs, so that the system prefers shorter ones.
//! Raising a priority again takes rights that a server does not have, so a thread that was lowered ends with its call.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::bounds::THREAD_IDLE;

/// A pool whose threads begin when they are needed and end when they are idle. What bounds their number is the
/// [`Gate`](crate::blocking::Gate) before it.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Pool>);

struct Pool {
    /// The niceness of its threads; 0 for that of the process.
    niceness: i32,
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    idle: usize,
}

struct Task {
    seat: Arc<Seat>,
    act: Box<dyn FnOnce() + Send>,
}

/// Where a call runs.
#[derive(Default)]
struct Seat(Mutex<Seated>);

#[derive(Default)]
struct Seated {
    /// The system's number of the thread, while the call runs.
    thread: Option<i32>,
    is_lowered: bool,
}

/// A call that waits for its thread or runs.
pub(crate) struct Running<T> {
    seat: Arc<Seat>,
    /// What it returned; closed if it panicked.
    pub(crate) returned: oneshot::Receiver<T>,
}

impl<T> Running<T> {
    /// Gives the call's thread this niceness, if it runs.
    pub(crate) fn lower(&self, niceness: i32) {
        let mut seated = self.seat.lock();
        if let Some(thread) = seated.thread {
            seated.is_lowered |= set_niceness(Some(thread), niceness);
        }
    }
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Seated> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    /// A pool whose threads have this niceness; 0 for that of the process.
    pub(crate) fn new(niceness: i32) -> Self {
        Self(Arc::new(Pool { niceness, state: Mutex::default(), ready: Condvar::new() }))
    }

    /// Does `act` on one of the threads.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Running<T> {
        let (send, returned) = oneshot::channel();
        let act = move || {
            // The caller may have gone.
            let _ = send.send(act());
        };
        let seat = Arc::<Seat>::default();
        let mut state = self.0.lock();
        state.tasks.push_back(Task { seat: Arc::clone(&seat), act: Box::new(act) });
        if state.tasks.len() <= state.idle {
            self.0.ready.notify_one();
        } else {
            let pool = Arc::clone(&self.0);
            let begun = std::thread::Builder::new().name("call".into()).spawn(move || pool.work());
            if begun.is_err() && state.idle == 0 {
                // None of them may be there to do it.
                state.tasks.pop_back();
            }
        }
        Running { seat, returned }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        if self.niceness > 0 {
            set_niceness(None, self.niceness);
        }
        let mut state = self.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                drop(state);
                if task.run() {
                    return;
                }
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.ready.wait_timeout(state, THREAD_IDLE);
            let (next, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if timed_out.timed_out() && state.tasks.is_empty() {
                return;
            }
        }
    }
}

impl Task {
    /// Does it; whether the thread was lowered meanwhile.
    fn run(self) -> bool {
        self.seat.lock().thread = this_thread();
        // The panic itself is told by the process's hook.
        let _ = catch_unwind(AssertUnwindSafe(self.act));
        let mut seated = self.seat.lock();
        seated.thread = None;
        seated.is_lowered
    }
}

/// The system's number of this thread, where a thread has a priority of its own.
fn this_thread() -> Option<i32> {
    #[cfg(target_os = "linux")]
    return Some(rustix::thread::gettid().as_raw_nonzero().get());
    #[cfg(not(target_os = "linux"))]
    None
}

/// Gives a thread, or this one, another niceness; whether the system let it.
fn set_niceness(thread: Option<i32>, niceness: i32) -> bool {
    #[cfg(target_os = "linux")]
    {
        let thread = thread.and_then(rustix::process::Pid::from_raw);
        rustix::process::setpriority_process(thread, niceness).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (thread, niceness);
        false
    }
}

/// Gives this thread, and those that it begins, a niceness, so that those that answer short requests go first.
pub fn stand_back(niceness: i32) {
    set_niceness(None, niceness);
}

/// How long this thread has worked.
pub(crate) fn worked() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    }
    #[cfg(not(unix))]
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_pool_gives_what_calls_return_and_goes_on_after_a_panic() {
        let threads = Threads::new(0);
        assert!(threads.run(|| panic!("on purpose")).returned.await.map(|(): ()| ()).is_err());
        for number in 0..100 {
            assert_eq!(threads.run(move || number).returned.await, Ok(number));
        }
    }

    #[tokio::test]
    async fn calls_never_wait_for_one_another() {
        let threads = Threads::new(0);
        let (go, wait) = mpsc::channel::<()>();
        let first = threads.run(move || wait.recv().is_ok());
        for _ in 0..3 {
            threads.run(|| ()).returned.await.unwrap();
        }
        let second = threads.run(move || go.send(()).is_ok());
        assert_eq!((second.returned.await, first.returned.await), (Ok(true), Ok(true)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_call_that_is_lowered_takes_its_thread_with_it() {
        let niceness = || {
            rustix::process::getpriority_process(rustix::process::Pid::from_raw(
                rustix::thread::gettid().as_raw_nonzero().get(),
            ))
        };
        let usual = niceness().unwrap();
        let threads = Threads::new(0);
        let (begun, begins) = mpsc::channel::<()>();
        let (go, wait) = mpsc::channel::<()>();
        let long = threads.run(move || {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            niceness().unwrap()
        });
        begins.recv().unwrap();
        long.lower(18);
        go.send(()).unwrap();
        assert_eq!(long.returned.await, Ok(18));
        assert_eq!(threads.run(move || niceness().unwrap()).returned.await, Ok(usual));
        let low = Threads::new(19);
        assert_eq!(low.run(move || niceness().unwrap()).returned.await, Ok(19));
    }
}
