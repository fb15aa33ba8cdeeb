//! Texts within lists and structs, which conversations are made of, as the pages of a column chunk: they come from where
//! they were gathered into the page by one copy, and from there through the compressor.
//! Source: the Parquet format, "Data Pages" (version 1), "Plain" and "Run Length Encoding / Bit-Packing Hybrid".

use std::io;
use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::columns::{Columns, Levels};
use super::pieces::{ColumnChunk, Pieces};
use super::settings::{PAGE_BYTES, ZSTD_LEVEL, broken};

/// Bytes before the values of a page, where its levels are put once all are known.
const LEVELS_ROOM: usize = 16 << 10;

/// Makes the pages of one column chunk.
pub(super) struct TextPages {
    column: ColumnDescPtr,
    most: Levels,
    compressor: Compressor<'static>,
    /// The page that is being made: room for levels, and values behind it.
    page: Vec<u8>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    /// Rows of that page.
    page_rows: usize,
    sink: TrackedWrite<Pieces>,
    index: OffsetIndexBuilder,
    pages: i32,
    rows: usize,
    values: i64,
    uncompressed: i64,
}

impl TextPages {
    /// For a column chunk.
    pub(super) fn new(column: ColumnDescPtr) -> io::Result<Self> {
        let most =
            Levels { definition: column.max_def_level(), repetition: column.max_rep_level() };
        Ok(Self {
            column,
            most,
            compressor: Compressor::new(ZSTD_LEVEL)?,
            page: vec![0; LEVELS_ROOM],
            definitions: Vec::new(),
            repetitions: Vec::new(),
            page_rows: 0,
            sink: TrackedWrite::new(Pieces::default()),
            index: OffsetIndexBuilder::new(),
            pages: 0,
            rows: 0,
            values: 0,
            uncompressed: 0,
        })
    }

    /// Appends some rows of a leaf column of a batch. A row is never on two pages.
    pub(super) fn add(
        &mut self,
        batch: &Columns,
        index: usize,
        rows: Range<usize>,
    ) -> io::Result<()> {
        let Some(leaf) = batch.leaves.get(index) else { return Ok(()) };
        let mut level = batch.levels_before(rows.start, index);
        let mut value = leaf.values_in(0..level);
        let mut row = rows.start;
        while row < rows.end {
            let (first_row, first_level) = (row, level);
            let first = leaf.texts.end_of(value);
            let mut end = first;
            // To the row that fills the page.
            while row < rows.end && self.page.len() + end - first < LEVELS_ROOM + PAGE_BYTES {
                row += 1;
                let next = batch.levels_before(row, index);
                value += leaf.values_in(level..next);
                level = next;
                end = leaf.texts.end_of(value);
            }
            let levels = first_level..level;
            self.definitions
                .extend_from_slice(leaf.definitions.get(levels.clone()).unwrap_or_default());
            self.repetitions.extend_from_slice(leaf.repetitions.get(levels).unwrap_or_default());
            self.page.extend_from_slice(leaf.texts.bytes.get(first..end).unwrap_or_default());
            self.page_rows += row - first_row;
            if self.page.len() >= LEVELS_ROOM + PAGE_BYTES {
                self.end_page()?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self) -> io::Result<()> {
        let mut levels = Vec::new();
        push_levels(&self.repetitions, self.most.repetition, &mut levels);
        push_levels(&self.definitions, self.most.definition, &mut levels);
        if let Some(missing) = levels.len().checked_sub(LEVELS_ROOM) {
            self.page.splice(..0, std::iter::repeat_n(0, missing));
        }
        let start = LEVELS_ROOM.saturating_sub(levels.len());
        if let Some(place) = self.page.get_mut(start..start + levels.len()) {
            place.copy_from_slice(&levels);
        }
        let plain = self.page.get(start..).unwrap_or_default();
        let mut compressed = Vec::with_capacity(compress_bound(plain.len()));
        self.compressor.compress_to_buffer(plain, &mut compressed)?;
        let page = Page::DataPage {
            buf: Bytes::from(compressed),
            num_values: u32::try_from(self.definitions.len()).map_err(broken)?,
            encoding: Encoding::PLAIN,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, plain.len());
        let told = SerializedPageWriter::new(&mut self.sink).write_page(page).map_err(broken)?;
        let offset = i64::try_from(told.offset).map_err(broken)?;
        let size = i32::try_from(told.compressed_size).map_err(broken)?;
        self.index.append_row_count(i64::try_from(self.page_rows).map_err(broken)?);
        self.index.append_offset_and_size(offset, size);
        self.pages += 1;
        self.rows += self.page_rows;
        self.values += i64::from(told.num_values);
        self.uncompressed += i64::try_from(told.uncompressed_size).map_err(broken)?;
        self.page.truncate(LEVELS_ROOM);
        self.definitions.clear();
        self.repetitions.clear();
        self.page_rows = 0;
        Ok(())
    }

    /// Ends the column chunk.
    pub(super) fn close(mut self) -> io::Result<ColumnChunk> {
        if self.page_rows > 0 {
            self.end_page()?;
        }
        let pieces = self.sink.into_inner().map_err(broken)?;
        let bytes = pieces.bytes();
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(broken)?;
        let stats = PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: Encoding::PLAIN,
            count: self.pages,
        };
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(level))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
            .set_page_encoding_stats(vec![stats])
            .set_num_values(self.values)
            .set_total_compressed_size(i64::try_from(bytes).map_err(broken)?)
            .set_total_uncompressed_size(self.uncompressed)
            .set_data_page_offset(0)
            .build()
            .map_err(broken)?;
        let close = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.index.build()),
        };
        Ok((pieces, close))
    }
}

/// Appends levels behind their length in bytes: runs of one level, and else groups of eight, packed.
fn push_levels(levels: &[i16], most: i16, out: &mut Vec<u8>) {
    let bits = (i16::BITS - most.leading_zeros()) as usize;
    if bits == 0 {
        return;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut left = levels;
    let mut apart = levels;
    while let Some(&level) = left.first() {
        let run = left.iter().take_while(|&&other| other == level).count();
        if run < 8 {
            left = left.get(8..).unwrap_or_default();
            continue;
        }
        push_packed(apart.get(..apart.len() - left.len()).unwrap_or_default(), bits, out);
        push_varint(run << 1, out);
        out.extend_from_slice(level.to_le_bytes().get(..bits.div_ceil(8)).unwrap_or_default());
        left = left.get(run..).unwrap_or_default();
        apart = left;
    }
    push_packed(apart, bits, out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Appends groups of eight levels, each of so many bits, the lowest bits first.
fn push_packed(levels: &[i16], bits: usize, out: &mut Vec<u8>) {
    if levels.is_empty() {
        return;
    }
    push_varint(levels.len().div_ceil(8) << 1 | 1, out);
    for group in levels.chunks(8) {
        let packed = group
            .iter()
            .rev()
            .fold(0_u128, |packed, &level| packed << bits | u128::from(level.unsigned_abs()));
        out.extend_from_slice(packed.to_le_bytes().get(..bits).unwrap_or_default());
    }
}

fn push_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    out.push(low_byte(number));
}

fn low_byte(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}
