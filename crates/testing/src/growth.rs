//! Whether work grows no faster than n log n, by the time that this thread or process itself had a processor for, so that
//! a busy machine does not matter.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The larger input is so many times the smaller.
pub const TIMES: usize = 4;

/// n log n takes little more than [`TIMES`] as long, n² sixteen times.
const MOST: u32 = 7;

/// What takes less than this for the larger input is not looked at.
const SHORT: Duration = Duration::from_millis(60);

/// Tries before it fails: caches and the allocator make single ones slow.
const TRIES: usize = 10;

/// Fails if `large`, which has [`TIMES`] as much to do as `small`, takes out of proportion longer.
#[track_caller]
pub fn check(what: &str, small: impl Fn(), large: impl Fn()) {
    check_by(ClockId::ThreadCPUTime, what, small, large);
}

/// As [`check`], for work that other threads do: nothing else may run in the process.
#[track_caller]
pub fn check_process(what: &str, small: impl Fn(), large: impl Fn()) {
    check_by(ClockId::ProcessCPUTime, what, small, large);
}

#[track_caller]
fn check_by(clock: ClockId, what: &str, small: impl Fn(), large: impl Fn()) {
    let (mut little, mut much) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        much = much.min(time(clock, &large));
        if much < SHORT {
            return;
        }
        // Of the smaller, which takes a part of the time, a few more, so that its best is no worse than the larger's.
        little = (0..3).map(|_| time(clock, &small)).min().unwrap_or(little).min(little);
        if much < little * MOST {
            return;
        }
    }
    panic!("{what}: {little:?}, and {much:?} for {TIMES} times as much");
}

/// CPU time of all threads of the process while `act` runs.
pub fn process_time(act: impl Fn()) -> Duration {
    time(ClockId::ProcessCPUTime, act)
}

fn time(clock: ClockId, act: impl Fn()) -> Duration {
    let start = now(clock);
    act();
    now(clock).saturating_sub(start)
}

/// How long this thread has had a processor for.
pub fn thread_time() -> Duration {
    now(ClockId::ThreadCPUTime)
}

fn now(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The elements of a list, without its brackets.
#[allow(dead_code, reason = "not every crate that times itself makes JSON")]
pub fn list(elements: impl Iterator<Item = String>) -> String {
    elements.collect::<Vec<_>>().join(",")
}
