//! Runs the engine next to the interpreter: without its lock, with progress, and until `KeyboardInterrupt`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use retort_engine::Error;
use retort_engine::pipeline::{Observer, Progress};

use crate::error::raised;

/// How often signals are checked and progress is reported.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Watch {
    done: AtomicU64,
    total: AtomicU64,
}

impl Observer for Watch {
    fn progress(&self, progress: Progress) {
        self.done.store(progress.read_bytes, Ordering::Relaxed);
        self.total.store(progress.total_bytes, Ordering::Relaxed);
    }
}

/// Does the work on its own thread. Meanwhile, `progress` is called with the bytes read so far and the total. A signal,
/// or an exception in `progress`, stops the work and is raised.
pub fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Observer, &AtomicBool) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (watch, stopped, is_done) =
        (Watch::default(), AtomicBool::new(false), AtomicBool::new(false));
    let waiting = thread::current();
    let mut interrupted = None;
    let result = thread::scope(|scope| {
        let (watch, stopped, is_done) = (&watch, &stopped, &is_done);
        let working = scope.spawn(move || {
            let result = work(watch, stopped);
            is_done.store(true, Ordering::Release);
            waiting.unpark();
            result
        });
        while !is_done.load(Ordering::Acquire) && !working.is_finished() {
            py.detach(|| thread::park_timeout(LOOK));
            if interrupted.is_some() {
                continue;
            }
            let told = match progress {
                Some(progress) => {
                    let (done, total) = (&watch.done, &watch.total);
                    let bytes = (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                    progress.call1(bytes).map(drop)
                }
                None => Ok(()),
            };
            if let Err(raised) = told.and_then(|()| py.check_signals()) {
                stopped.store(true, Ordering::Relaxed);
                interrupted = Some(raised);
            }
        }
        py.detach(|| working.join())
    });
    match (interrupted, result) {
        (Some(interrupted), _) => Err(interrupted),
        (None, Ok(result)) => result.map_err(|error| raised(py, &error)),
        (None, Err(_)) => Err(raised(py, &Error::bug("the engine's thread panicked"))),
    }
}
