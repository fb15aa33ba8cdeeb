//! A run: everything from a feed to the deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::sync_channel;

use retort_formats::data::ToolCache;
use retort_formats::import::split::Batch;

use super::decided::Survey;
use super::delivery::Delivery;
use super::ends::Ends;
use super::ends::More;
use super::gather::Gathering;
use super::observer::{Observer, observed};
use super::outlet::{Feed, Outlet};
use super::redacting::waiting_unless;
use super::shaping::Shaping;
use super::stages;
use super::totals::Totals;
use super::work::Worker;
use super::workers::{Output, ReorderBuffer, Sequencer, in_order, jobs_waiting};
use crate::error::Error;

/// Reads all that `feed` gives and hands the chunks to `take`, in order, on whichever thread made them. `before` is
/// what was counted before, `survey` what was decided on all items; where nothing was on repeated ids, the first such
/// id ends the run.
pub fn run(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    (before, survey): (Totals, Survey),
    observer: &dyn Observer,
    stopped: &AtomicBool,
    take: &mut (dyn FnMut(Delivery) -> Result<More, Error> + Send),
) -> Result<Totals, Error> {
    let ends = Ends::new(stopped);
    let (stages, ordered) = stages::of(shaping, survey);
    let ordered = Sequencer::new(ordered);
    let records = before.account.records;
    let gathering = ReorderBuffer::new(Gathering::after(before), shaping.threads);
    let (spent, spent_batches) = sync_channel::<Batch>(jobs_waiting(shaping.threads));
    let read_bytes = Arc::new(AtomicU64::new(0));
    let total_bytes = feed.total_bytes();
    let more = {
        let (ends, read) = (&ends, Arc::clone(&read_bytes));
        let work = || {
            in_order(
                shaping.threads,
                ends,
                |jobs| {
                    let before = feed.items_before();
                    feed.feed(&mut Outlet::new(
                        shaping.threads,
                        jobs,
                        ends,
                        Some(spent_batches),
                        before,
                        read,
                    ))
                },
                || {
                    let mut worker = Worker {
                        shaping,
                        ends,
                        stages: &stages,
                        ordered: &ordered,
                        gathering: &gathering,
                        widened: shaping.selection.with_deleted(),
                        spent: spent.clone(),
                        tools: ToolCache::default(),
                    };
                    move |job, made: &Output<'_, Delivery>| worker.one(job, made)
                },
                &mut observed((records, total_bytes), &read_bytes, observer, take),
            )
        };
        waiting_unless(stopped, shaping.redactor.as_deref(), work)?
    };
    let gathering = gathering.into_inner()?;
    if ordered.lock().1.needs_survey {
        return Ok(Totals { is_undecided: true, ..Totals::default() });
    }
    gathering.finish(&more, shaping, take)
}
