//! What a part keeps of each batch, packed.

use std::cell::RefCell;
use std::io;

use retort_formats::file::Rows;
use retort_model::bounds::BATCH_BYTES;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use super::delivery::{Delivery, PartBatch};
use super::item::ReadItem;
use super::repeats::{row_of_verdict, shared_rows};
use super::shaping::Shaping;
use crate::error::Error;
use crate::panics::point;
use crate::sorter::{read_row, write_row, write_row_of};

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

/// Rows are packed for the way between machines: a negative level takes two thirds of the time of level 1, for a fifth
/// more bytes.
const ZSTD_LEVEL: i32 = -3;

/// The memory in which a thread packs and unpacks batches: to allocate it for each of them takes about as long as the
/// compression.
struct Packer {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    bytes: Vec<u8>,
}

/// Bytes of memory that a thread keeps for the next batch; large items take more.
const KEPT_BYTES: usize = 4 * BATCH_BYTES;

thread_local! {
    static PACKER: RefCell<Option<Packer>> = const { RefCell::new(None) };
}

fn with_packer<R>(act: impl FnOnce(&mut Packer) -> io::Result<R>) -> io::Result<R> {
    PACKER.with_borrow_mut(|packer| {
        let packer = match packer {
            Some(packer) => packer,
            None => packer.insert(Packer {
                compressor: Compressor::new(ZSTD_LEVEL)?,
                decompressor: Decompressor::new()?,
                bytes: Vec::new(),
            }),
        };
        packer.bytes.clear();
        let result = act(packer);
        if packer.bytes.capacity() > KEPT_BYTES {
            packer.bytes = Vec::new();
        }
        result
    })
}

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
    let ids: Vec<&[String]> = outputs.iter().map(|one| &*one.ids).collect();
    let names = serde_json::to_vec(&(ids, renamed_tools))?;
    with_packer(|Packer { compressor, bytes, .. }| {
        for field in [&names, groups, rejects, findings, extras] {
            write_row(field, bytes)?;
        }
        for OutputRows { rows, .. } in outputs {
            bytes.reserve(rows.size_bytes());
            write_row_of(|bytes| rows.save(bytes), bytes)?;
        }
        compressor.compress(bytes)
    })
}

pub(super) fn unpacked(packed: &[u8], shaping: &Shaping<'_>) -> io::Result<BatchRows> {
    let length = get_frame_content_size(packed).ok().flatten().map(usize::try_from);
    let Some(Ok(length)) = length else { return Err(io::ErrorKind::InvalidData.into()) };
    with_packer(|Packer { decompressor, bytes, .. }| {
        bytes.try_reserve(length)?;
        decompressor.decompress_to_buffer(packed, bytes)?;
        loaded(bytes, shaping)
    })
}

fn loaded(bytes: &[u8], shaping: &Shaping<'_>) -> io::Result<BatchRows> {
    let mut rest = bytes;
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
