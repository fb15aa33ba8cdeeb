//! Parts of an export: what is kept of each batch, and how the batches of all parts become one dataset.
//!
//! A part does what needs its own items alone: it reads, parses and shapes them. Groups of rows, the ends of files and
//! the rows in front that complete the types depend on all rows before. So a part keeps each batch as it was shaped,
//! and [`regroup`] gives the batches of all parts to the same [`Gathering`] that a run without parts has.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gather::{BatchRows, Due, Gathering, OutputRows};
use super::repeats::{row_of_verdict, shared_rows};
use super::work::ReadItem;
use super::workers::{Ends, Output, ReorderBuffer, in_order};
use super::{Delivery, More, Observer, Shaping, Totals, observed};
use crate::error::Error;
use crate::panics::point;
use crate::sorter::{read_row, write_row};

/// What a part keeps of one batch.
pub struct PartBatch {
    /// Its rows and what goes beside them, packed.
    pub rows: Vec<u8>,
    /// How many rows.
    pub records: u64,
    /// What repeated ids are decided on by, item by item.
    pub items: Vec<Vec<u8>>,
    /// The verdicts on repeated ids that were followed.
    pub verdicts: Vec<Vec<u8>>,
}

/// What a part keeps of the items of a batch.
pub(super) struct KeptItems {
    items: Vec<Vec<u8>>,
    verdicts: Vec<Vec<u8>>,
}

impl KeptItems {
    /// Of items that are not admitted yet.
    pub(super) fn of(items: &[ReadItem<'_>], items_before: u64) -> Self {
        Self { items: shared_rows(items, items_before), verdicts: Vec::new() }
    }

    pub(super) fn add_verdicts(&mut self, items: &[ReadItem<'_>], items_before: u64) {
        let row = |one: &ReadItem<'_>| Some(row_of_verdict(one.order(items_before), one.verdict?));
        self.verdicts = items.iter().filter_map(row).collect();
    }
}

/// Rows are packed for the way between machines; more would cost the part more time than it saves.
const ZSTD_LEVEL: i32 = 1;

/// Packs a batch. What was rejected of it is told beside it, too.
pub(super) fn keep(batch: BatchRows, kept: KeptItems) -> Result<Delivery, Error> {
    point("encode");
    let KeptItems { items, verdicts } = kept;
    let records = batch.outputs.iter().map(|one| one.rows.count() as u64).sum();
    let rows = packed(&batch).map_err(failed)?;
    let kept = PartBatch { rows, records, items, verdicts };
    Ok(Delivery { batch: Some(kept), rejects: batch.rejects, ..Delivery::default() })
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "a batch of a part", source }
}

fn packed(batch: &BatchRows) -> io::Result<Vec<u8>> {
    let BatchRows { outputs, groups, rejects, findings, extras, renamed_tools } = batch;
    let saved: Vec<Vec<u8>> = outputs
        .iter()
        .map(|OutputRows { rows, .. }| {
            let mut saved = Vec::with_capacity(rows.size_bytes());
            rows.save(&mut saved);
            saved
        })
        .collect();
    let ids: Vec<&[String]> = outputs.iter().map(|one| &*one.ids).collect();
    let names = serde_json::to_vec(&(ids, renamed_tools))?;
    let fields = [&names, groups, rejects, findings, extras].into_iter().chain(&saved);
    let fields: Vec<&Vec<u8>> = fields.collect();
    let length: usize = fields.iter().map(|field| field.len() + size_of::<u32>()).sum();
    let mut bytes = Vec::with_capacity(length);
    for field in fields {
        write_row(field, &mut bytes)?;
    }
    zstd::bulk::compress(&bytes, ZSTD_LEVEL)
}

fn unpacked(packed: &[u8], shaping: &Shaping<'_>) -> io::Result<BatchRows> {
    let bytes = zstd::stream::decode_all(packed)?;
    let mut rest = bytes.as_slice();
    let mut field =
        || read_row(&mut rest)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
    let names = field()?;
    let groups = field()?.into_vec();
    let (rejects, findings) = (field()?.into_vec(), field()?.into_vec());
    let extras = field()?.into_vec();
    let file = shaping.file_format;
    let schema = shaping.data_format.schema(&shaping.shape_options, !file.is_nested());
    let (ids, renamed_tools): (Vec<Vec<String>>, _) = serde_json::from_slice(&names)?;
    let mut outputs = Vec::with_capacity(ids.len());
    for ids in ids {
        let rows = file.load(&schema, shaping.file_options, &field()?)?;
        outputs.push(OutputRows { rows, ids });
    }
    Ok(BatchRows { outputs, groups, rejects, findings, extras, renamed_tools })
}

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
                let goes_on = gathering_now.bring(sequence, batch, ends, |gathering, batch| {
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
