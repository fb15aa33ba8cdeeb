//! Looks through inputs before anything is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::done::BatchDone;
use super::ends::Ends;
use super::ends::More;
use super::item::ReadItem;
use super::job::{Job, Source};
use super::observer::{Observer, Progress};
use super::outlet::{Feed, Outlet};
use super::parse::{lines, read};
use super::redacting::waiting_unless;
use super::shaping::Shaping;
use super::workers::{Output, in_order};
use crate::error::Error;

/// The items of one batch.
pub(super) struct Looked<'b> {
    pub(super) items: Vec<ReadItem<'b>>,
    /// Where they come from.
    pub(super) source: Arc<Source>,
    /// Items before those of this batch.
    pub(super) items_before: u64,
    /// Bytes of the batch.
    pub(super) bytes: u64,
    /// Whether the items were chosen where they are kept.
    pub(super) is_chosen: bool,
}

/// Reads a feed from its beginning, until `take` has enough. `look` says on any of the threads what a batch holds, and
/// `take` gets that in the order of the input. The observer is told how many bytes were read.
///
/// # Errors
/// The feed fails, `take` fails, or the work is stopped.
pub(super) fn look_through<T: Send>(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    (observer, stopped): (&dyn Observer, &AtomicBool),
    look: impl Fn(Looked<'_>) -> T + Sync,
    take: &mut (dyn FnMut(T) -> Result<More, Error> + Send),
) -> Result<(), Error> {
    let ends = Ends::new(stopped);
    let look = &look;
    let (total_bytes, read_bytes) = (feed.total_bytes(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&read_bytes);
    let take = &mut |looked| {
        let more = take(looked);
        let read_bytes = read_bytes.load(Ordering::Relaxed);
        observer.progress(Progress { read_bytes, total_bytes, records: 0 });
        more
    };
    let work = || {
        in_order(
            shaping.threads,
            &ends,
            |jobs| {
                let before = feed.items_before();
                feed.feed(&mut Outlet::new(shaping.threads, jobs, &ends, None, before, counted))
            },
            || {
                move |job: Job, output: &Output<'_, T>| {
                    let Job { sequence, source, items_before, work, turn: _turn } = job;
                    let mut done = BatchDone::default();
                    let (batch, packed) = lines(work, &source, &mut done);
                    let from = shaping.from;
                    let items =
                        read(&batch, packed.as_ref(), from, items_before, &source, &mut done);
                    let looked = Looked {
                        items,
                        source,
                        items_before,
                        bytes: batch.bytes.len() as u64,
                        is_chosen: packed.is_some(),
                    };
                    output.send(sequence, Ok(look(looked)))
                }
            },
            take,
        )
    };
    waiting_unless(stopped, shaping.redactor.as_deref(), work).map(|_| ())
}
