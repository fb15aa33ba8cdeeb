//! Parts of an export: what is kept of each batch, and how the batches of all parts become one dataset.
//!
//! A part does what needs its own items alone: it reads, parses and shapes them. Groups of rows, the ends of files and
//! the rows in front that complete the types depend on all rows before. So a part keeps each batch as it was shaped,
//! and [`regroup`] gives the batches of all parts to the same [`Gathering`] that a run without parts has.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::delivery::Delivery;
use super::ends::Ends;
use super::ends::More;
use super::gather::{Due, Gathering};
use super::kept::{failed, unpacked};
use super::observer::{Observer, observed};
use super::shaping::Shaping;
use super::totals::Totals;
use super::workers::{Output, ReorderBuffer, in_order};
use crate::error::Error;
use crate::panics::point;

/// Makes the chunks of a dataset of the batches of all its parts, which `next` gives packed and in their order.
/// `before` is what was counted in all of them, `total_bytes` how many bytes there are packed.
pub fn regroup(
    next: &mut dyn FnMut() -> Result<Option<Box<[u8]>>, Error>,
    total_bytes: u64,
    shaping: &Shaping<'_>,
    before: Totals,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    take: &mut (dyn FnMut(Delivery) -> Result<More, Error> + Send),
) -> Result<Totals, Error> {
    let (ends, read) = (Ends::new(stopped), AtomicU64::new(0));
    let (ends, read) = (&ends, &read);
    let gathering = ReorderBuffer::new(Gathering::after(before), shaping.threads);
    let gathering_now = &gathering;
    let more = in_order(
        shaping.threads,
        ends,
        |jobs| {
            let mut sequence = 0;
            while let Some(batch) = next()? {
                read.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if !jobs((sequence, batch)) {
                    break;
                }
                sequence += 1;
            }
            Ok(())
        },
        || {
            move |(sequence, packed): (u64, Box<[u8]>), output: &Output<'_, Delivery>| {
                point("unpack");
                let batch = match unpacked(&packed, shaping) {
                    Ok(batch) => batch,
                    Err(error) => {
                        ends.fail(failed(error));
                        return false;
                    }
                };
                let mut due: Vec<(u64, Due)> = Vec::new();
                let goes_on = gathering_now.submit(sequence, batch, ends, |gathering, batch| {
                    due.extend(gathering.join(batch, shaping));
                });
                goes_on
                    && due.into_iter().all(|(place, due)| output.send(place, due.encode(shaping)))
            }
        },
        &mut observed((0, total_bytes), read, observer, take),
    )?;
    gathering.into_inner()?.finish(&more, shaping, take)
}
