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
    // All at once: the writer ends pages at values that it counts from the beginning of each call, and the file must not
    // depend on where batches end.
    let mut all = Leaf::default();
    each_part(batches, index, rows, |batch, rows| {
        let levels = batch.levels_before(rows.start, index)..batch.levels_before(rows.end, index);
        if let Some(leaf) = batch.leaves.get(index) {
            all.append(leaf, levels);
        }
        Ok(())
    })?;
    write_values(&mut writer, all)?;
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

/// Writes the values of a leaf column.
fn write_values(writer: &mut ColumnWriter<'_>, leaf: Leaf) -> io::Result<()> {
    let Leaf { most, mut definitions, mut repetitions, texts, ints, singles, doubles, .. } = leaf;
    if let Some(dimensions) = &leaf.dimensions {
        (definitions, repetitions) =
            levels_of_numbers((&definitions, &repetitions), most, dimensions);
    }
    let definitions = (most.definition > 0).then_some(&*definitions);
    let repetitions = (most.repetition > 0).then_some(&*repetitions);
    let written = match writer {
        ColumnWriter::Int64ColumnWriter(writer) => {
            writer.write_batch(&ints, definitions, repetitions)
        }
        ColumnWriter::BoolColumnWriter(writer) => {
            let values: Vec<bool> = ints.iter().map(|&value| value != 0).collect();
            writer.write_batch(&values, definitions, repetitions)
        }
        ColumnWriter::FloatColumnWriter(writer) => {
            writer.write_batch(&singles, definitions, repetitions)
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            writer.write_batch(&doubles, definitions, repetitions)
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            // The values share the memory in which they were gathered.
            let bytes = Bytes::from(texts.bytes);
            let mut start = 0;
            let values: Vec<ByteArray> = (texts.ends.iter())
                .map(|&end| {
                    let value = bytes.slice(start..end as usize);
                    start = end as usize;
                    ByteArray::from(value)
                })
                .collect();
            writer.write_batch(&values, definitions, repetitions)
        }
        _ => return Err(io::Error::other("a column of another type")),
    };
    written.map(|_| ()).map_err(broken)
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
