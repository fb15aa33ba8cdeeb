//! What a part keeps of each batch, packed.

use std::io;

use retort_formats::file::Rows;

use super::delivery::{Delivery, PartBatch};
use super::item::ReadItem;
use super::repeats::{row_of_verdict, shared_rows};
use super::shaping::Shaping;
use crate::error::Error;
use crate::panics::point;
use crate::sorter::{read_row, write_row};

/// The rows of a batch for one output, and their ids, if those stand apart.
pub(super) struct OutputRows {
    pub(super) rows: Box<dyn Rows>,
    pub(super) ids: Vec<String>,
}

/// The rows of a batch, and what goes beside them. Everything that is done with it from here on depends on the batches
/// before.
pub(super) struct BatchRows {
    pub(super) outputs: Vec<OutputRows>,
    pub(super) groups: Vec<u8>,
    pub(super) rejects: Vec<u8>,
    pub(super) findings: Vec<u8>,
    pub(super) extras: Vec<u8>,
    pub(super) renamed_tools: Vec<(String, String)>,
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

/// Packs rows that were read from a package, with their ids and the lines that go beside them.
///
/// # Errors
/// They are too many for a batch.
pub fn packed_rows(
    rows: Box<dyn Rows>,
    ids: Vec<String>,
    [rejects, findings, extras]: [Vec<u8>; 3],
) -> Result<Box<[u8]>, Error> {
    let outputs = vec![OutputRows { rows, ids }];
    let (groups, renamed_tools) = (Vec::new(), Vec::new());
    let batch = BatchRows { outputs, groups, rejects, findings, extras, renamed_tools };
    packed(&batch).map(Vec::into_boxed_slice).map_err(failed)
}

pub(super) fn failed(source: io::Error) -> Error {
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

pub(super) fn unpacked(packed: &[u8], shaping: &Shaping<'_>) -> io::Result<BatchRows> {
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
