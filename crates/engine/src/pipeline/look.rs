//! Looks through inputs before anything is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::work::Reader;
use super::{Ends, Feed, Job, Made, More, Outlet, Shaping, in_order};
use crate::error::Error;

/// Reads a feed from its beginning, until `take` has enough. `look` says on any of the threads what a batch holds, and
/// `take` gets that in the order of the input.
///
/// # Errors
/// The feed fails, `take` fails, or the work is stopped.
pub(super) fn look_through<T: Send>(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    stopped: &AtomicBool,
    look: impl Fn(Job, &mut Reader<'_>) -> T + Sync,
    take: &mut (dyn FnMut(T) -> Result<More, Error> + Send),
) -> Result<(), Error> {
    let ends = Ends::new(stopped);
    let look = &look;
    in_order(
        shaping.threads,
        &ends,
        |jobs| {
            let (before, read) = (feed.items_before(), Arc::new(AtomicU64::new(0)));
            feed.feed(&mut Outlet::new(jobs, &ends, None, before, read))
        },
        || {
            let mut reader = Reader::new(shaping);
            move |job: Job, made: &Made<'_, T>| {
                let sequence = job.sequence;
                made.send(sequence, Ok(look(job, &mut reader)))
            }
        },
        take,
    )
    .map(|_| ())
}
