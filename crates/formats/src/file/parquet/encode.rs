//! A group of rows as the column chunks of a row group.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::writer::{ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::super::format::Rows;
use super::columns::{Columns, Leaf, Levels};
use super::pages::TextPages;
use super::pieces::{ColumnChunk, Pieces};
use super::settings::broken;

/// Encodes some of the rows of batches that follow one another.
pub(super) fn encode_group(
    batches: &mut [Columns],
    descriptor: &SchemaDescriptor,
    properties: &WriterPropertiesPtr,
    rows: &Range<usize>,
) -> io::Result<Vec<ColumnChunk>> {
    let mut chunks = Vec::with_capacity(descriptor.num_columns());
    for index in 0..descriptor.num_columns() {
        let column = descriptor.column(index);
        let mut leaves = batches.iter().filter_map(|batch| batch.leaves.get(index));
        chunks.push(if leaves.any(|leaf| leaf.texts.paged) {
            let mut pages = TextPages::new(column)?;
            each_part(batches, index, rows, |batch, rows| pages.add(batch, index, rows))?;
            pages.close()?
        } else {
            encode_values(batches, index, column, properties, rows)?
        });
    }
    Ok(chunks)
}

fn encode_values(
    batches: &mut [Columns],
    index: usize,
    column: ColumnDescPtr,
    properties: &WriterPropertiesPtr,
    rows: &Range<usize>,
) -> io::Result<ColumnChunk> {
    let mut sink = TrackedWrite::new(Pieces::default());
    let pages = Box::new(SerializedPageWriter::new(&mut sink));
    let mut writer = get_column_writer(column, Arc::clone(properties), pages);
    each_part(batches, index, rows, |batch, rows| write_rows(&mut writer, batch, index, rows))?;
    let close = writer.close().map_err(broken)?;
    Ok((sink.into_inner().map_err(broken)?, close))
}

/// Calls `write` with each batch that has some of the rows, and with which of its own they are; lets go of the leaf
/// column once all of a batch's rows are written, as that makes room for what they became.
fn each_part(
    batches: &mut [Columns],
    index: usize,
    rows: &Range<usize>,
    mut write: impl FnMut(&mut Columns, Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut start = 0;
    for batch in batches {
        let end = start + batch.count();
        let (first, last) = (rows.start.max(start), rows.end.min(end));
        if first < last {
            write(batch, first - start..last - start)?;
            if let Some(leaf) = batch.leaves.get_mut(index).filter(|_| last == end) {
                *leaf = Leaf::default();
            }
        }
        start = end;
    }
    Ok(())
}

/// Writes some rows of one leaf column of a batch.
fn write_rows(
    writer: &mut ColumnWriter<'_>,
    batch: &mut Columns,
    index: usize,
    rows: Range<usize>,
) -> io::Result<()> {
    let (first, last) =
        (batch.levels_before(rows.start, index), batch.levels_before(rows.end, index));
    let Some(leaf) = batch.leaves.get_mut(index) else { return Ok(()) };
    let skipped = leaf.values_in(0..first);
    let count = leaf.values_in(first..last);
    let definitions = leaf.definitions.get(first..last).unwrap_or_default();
    let repetitions = leaf.repetitions.get(first..last).unwrap_or_default();
    let whole;
    let (skipped, count, definitions, repetitions) = match &leaf.dimensions {
        None => (skipped, count, definitions, repetitions),
        Some(dimensions) => {
            let numbers = |of: &[u32]| of.iter().map(|&numbers| numbers as usize).sum::<usize>();
            let (before, here) = dimensions.split_at_checked(skipped).unwrap_or_default();
            let here = here.get(..count).unwrap_or_default();
            whole = levels_of_numbers((definitions, repetitions), leaf.most, here);
            (numbers(before), numbers(here), &*whole.0, &*whole.1)
        }
    };
    let definitions = (leaf.most.definition > 0).then_some(definitions);
    let repetitions = (leaf.most.repetition > 0).then_some(repetitions);
    match writer {
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values = leaf.ints.get(skipped..skipped + count).unwrap_or_default();
            writer.write_batch(values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::BoolColumnWriter(writer) => {
            let values = leaf.ints.get(skipped..skipped + count).unwrap_or_default();
            let values: Vec<bool> = values.iter().map(|&value| value != 0).collect();
            writer.write_batch(&values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::FloatColumnWriter(writer) => {
            let values = leaf.singles.get(skipped..skipped + count).unwrap_or_default();
            writer.write_batch(values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values = leaf.doubles.get(skipped..skipped + count).unwrap_or_default();
            writer.write_batch(values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let texts = &mut leaf.texts;
            let mut start = texts.end_of(skipped);
            // The values share the memory in which they were gathered.
            if texts.frozen.is_empty() {
                texts.frozen = Bytes::from(std::mem::take(&mut texts.bytes));
            }
            let values: Vec<ByteArray> = (texts.ends.iter().skip(skipped).take(count))
                .map(|&end| {
                    let value = texts.frozen.slice(start..end as usize);
                    start = end as usize;
                    ByteArray::from(value)
                })
                .collect();
            writer.write_batch(&values, definitions, repetitions).map_err(broken)?;
        }
        _ => return Err(io::Error::other("a column of another type")),
    }
    Ok(())
}

/// The levels of each number of some vectors, from those of the first of each.
fn levels_of_numbers(
    (definitions, repetitions): (&[i16], &[i16]),
    most: Levels,
    dimensions: &[u32],
) -> (Vec<i16>, Vec<i16>) {
    let room = definitions.len() + dimensions.iter().map(|&more| more as usize).sum::<usize>();
    let (mut all, mut repeated) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut dimensions = dimensions.iter();
    for (&definition, &repetition) in definitions.iter().zip(repetitions) {
        all.push(definition);
        repeated.push(repetition);
        if definition == most.definition
            && let Some(&dimension) = dimensions.next()
        {
            let length = all.len() + dimension.saturating_sub(1) as usize;
            all.resize(length, most.definition);
            repeated.resize(length, most.repetition);
        }
    }
    (all, repeated)
}
