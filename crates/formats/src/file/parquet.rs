//! Parquet: one explicit schema whatever the data, real nested types, zstd, a page index, bounded row groups.
//!
//! Rows are taken apart into columns of values with their definition and repetition levels as they come
//! (Melnik et al., "Dremel", VLDB 2010), so that no Arrow arrays are built in between.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel,
};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::record::reader::RowIter;
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType, TypePtr};
use retort_model::bounds::{BATCH_BYTES, ROW_GROUP_ROWS};
use retort_model::json::write_string;
use retort_model::{Text, Vector};

use super::arrow::{self, Lengths};
use super::{Chunk, FileFormat, FileOptions, FileWriter, ReadSeek, Rows, body, group_is_full, own};
use crate::data::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct Parquet;

/// The level that other writers take by default.
const ZSTD_LEVEL: i32 = 3;

/// Bytes of a page before compression. The tables of the compressor then fit the cache: a fifth of the CPU seconds
/// of a conversion, for a file that is a twelfth larger.
const PAGE_BYTES: usize = 128 << 10;

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl FileFormat for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "Parquet, for large histories: smallest, typed, quick to query"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.apache.parquet"
    }

    fn is_text(&self) -> bool {
        false
    }

    fn rows(&self, schema: &Schema, _options: FileOptions) -> Box<dyn Rows> {
        let mut leaves = Vec::new();
        for column in schema.columns() {
            add_leaves(column.kind, Levels::default().below(column.optional), &mut leaves);
        }
        let starts = vec![0; leaves.len()];
        Box::new(Columns {
            schema: schema.clone(),
            leaves,
            open: Vec::new(),
            size: 0,
            row_start: 0,
            starts,
            sizes: Vec::new(),
            evidence: Vec::new(),
        })
    }

    fn is_full(&self, rows: usize, bytes: usize) -> bool {
        group_is_full(rows, bytes)
    }

    fn encode(&self, group: Vec<Box<dyn Rows>>, _options: FileOptions) -> io::Result<Chunk> {
        let mut batches = Vec::with_capacity(group.len());
        for batch in group {
            batches.push(*own::<Columns>(batch)?);
        }
        let Some(schema) = batches.first().map(|batch| batch.schema.clone()) else {
            return Ok(Chunk { rows: 0, body: Box::new(Encoded::default()) });
        };
        let rows: usize = batches.iter().map(|batch| batch.sizes.len()).sum();
        let root = root_of(&schema)?;
        let properties = properties_of(&schema, &SchemaDescriptor::new(Arc::clone(&root)));
        let mut groups = Vec::new();
        let mut lengths = Vec::new();
        batches
            .iter()
            .for_each(|batch| merge(&mut lengths, batch.leaves.iter().map(|leaf| leaf.lengths)));
        let mut from = 0;
        while from < rows {
            let to = rows.min(from + ROW_GROUP_ROWS);
            groups.push(encode_group(&mut batches, &root, &properties, from, to)?);
            from = to;
        }
        Ok(Chunk { rows: rows as u64, body: Box::new(Encoded { groups, lengths }) })
    }

    fn writer(&self, schema: &Schema, _options: FileOptions) -> io::Result<Box<dyn FileWriter>> {
        let root = root_of(schema)?;
        let properties = properties_of(schema, &SchemaDescriptor::new(Arc::clone(&root)));
        let pending = Pending::default();
        let writer =
            SerializedFileWriter::new(pending.clone(), root, properties).map_err(broken)?;
        Ok(Box::new(Groups { writer, pending, schema: schema.clone(), lengths: Vec::new() }))
    }

    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>>>> {
        let reader = SerializedFileReader::new(SharedInput::new(input)?).map_err(broken)?;
        let rows = RowIter::from_file_into(Box::new(reader));
        Ok(Box::new(rows.map(|row| {
            let row = row.map_err(broken)?;
            let mut out = Vec::new();
            write_row(&row, &mut out);
            String::from_utf8(out).map_err(broken)
        })))
    }
}

/// Definition and repetition level of a place in the schema.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    fn below(self, optional: bool) -> Self {
        Self { definition: self.definition + i16::from(optional), ..self }
    }

    fn inside_list(self) -> Self {
        Self { definition: self.definition + 1, repetition: self.repetition + 1 }
    }
}

/// The values of one leaf column.
#[derive(Debug, Default)]
struct Leaf {
    most: Levels,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    bytes: Vec<u8>,
    /// The same bytes, once no more are added.
    frozen: Bytes,
    ends: Vec<u32>,
    ints: Vec<i64>,
    singles: Vec<f32>,
    doubles: Vec<f64>,
    /// Of vectors, how many numbers each has that has any; levels stand only for its first number, until it is written.
    dimensions: Option<Vec<u32>>,
    /// How many numbers its vectors have.
    lengths: Lengths,
}

fn add_leaves(kind: &Type, levels: Levels, leaves: &mut Vec<Leaf>) {
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Int => {
            // Texts in lists are what conversations are made of.
            let room =
                if matches!(kind, Type::Text) && levels.repetition > 0 { BATCH_BYTES } else { 0 };
            leaves.push(Leaf { most: levels, bytes: Vec::with_capacity(room), ..Leaf::default() });
        }
        Type::Vector32 | Type::Vector64 => {
            let dimensions = Some(Vec::new());
            leaves.push(Leaf { most: levels.inside_list(), dimensions, ..Leaf::default() });
        }
        Type::List(item) => add_leaves(item, levels.inside_list(), leaves),
        Type::Struct(fields) => {
            for field in *fields {
                add_leaves(&field.kind, levels.below(field.optional), leaves);
            }
        }
    }
}

fn leaf_count(kind: &Type) -> usize {
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Int | Type::Vector32 | Type::Vector64 => 1,
        Type::List(item) => leaf_count(item),
        Type::Struct(fields) => fields.iter().map(|field| leaf_count(&field.kind)).sum(),
    }
}

/// A container that is open while a row is taken apart.
#[derive(Clone, Copy, Debug)]
struct Frame {
    place: Place,
    /// First leaf column of the value that comes next.
    leaf: usize,
    /// Definition level of the container itself.
    definition: i16,
    /// Repetition level of its first value.
    repetition: i16,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Row { at: usize },
    Fields { fields: &'static [Field], at: usize },
    Items { item: &'static Type, level: i16, filled: bool },
}

/// Rows as columns.
struct Columns {
    schema: Schema,
    leaves: Vec<Leaf>,
    open: Vec<Frame>,
    size: usize,
    row_start: usize,
    /// How many levels each leaf column has before each row, and behind the last: row by row.
    starts: Vec<usize>,
    sizes: Vec<u32>,
    evidence: Vec<u64>,
}

impl Columns {
    /// The value that is due: its leaf, its levels and its type; steps behind it.
    fn next(&mut self, present: bool) -> Option<(usize, i16, i16, &'static Type)> {
        let frame = self.open.last_mut()?;
        let (kind, optional): (&'static Type, bool) = match &mut frame.place {
            Place::Row { at } => {
                let column = self.schema.column(*at)?;
                *at += 1;
                (column.kind, column.optional)
            }
            Place::Fields { fields, at } => {
                let field = fields.get(*at)?;
                *at += 1;
                (&field.kind, field.optional)
            }
            Place::Items { item, level, filled } => {
                let repetition =
                    if std::mem::replace(filled, true) { *level } else { frame.repetition };
                return Some((frame.leaf, frame.definition + 1, repetition, item));
            }
        };
        let leaf = frame.leaf;
        frame.leaf += leaf_count(kind);
        let definition = frame.definition + i16::from(optional && present);
        Some((leaf, definition, frame.repetition, kind))
    }

    /// Notes for all leaves of a type that no value is there.
    fn nothing(&mut self, leaf: usize, definition: i16, repetition: i16, kind: &Type) {
        for leaf in self.leaves.iter_mut().skip(leaf).take(leaf_count(kind)) {
            leaf.definitions.push(definition);
            leaf.repetitions.push(repetition);
        }
    }

    fn value(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some((leaf, definition, repetition, _)) = self.next(true) else { return };
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        leaf.definitions.push(definition);
        leaf.repetitions.push(repetition);
        let before = leaf.bytes.len();
        write(&mut leaf.bytes);
        self.size += leaf.bytes.len() - before + 8;
        leaf.ends.push(u32::try_from(leaf.bytes.len()).unwrap_or(u32::MAX));
    }
}

impl Sink for Columns {
    fn begin_row(&mut self) {
        self.row_start = self.size;
        self.open.clear();
        let place = Place::Row { at: 0 };
        self.open.push(Frame { place, leaf: 0, definition: 0, repetition: 0 });
    }

    fn end_row(&mut self) {
        self.sizes.push(u32::try_from(self.size - self.row_start).unwrap_or(u32::MAX));
        self.evidence.push(0);
        self.starts.extend(self.leaves.iter().map(|leaf| leaf.definitions.len()));
    }

    fn text(&mut self, text: &Text<'_>) {
        self.value(|bytes| text.push_bytes(bytes));
    }

    fn int(&mut self, number: i64) {
        let Some((leaf, definition, repetition, _)) = self.next(true) else { return };
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        leaf.definitions.push(definition);
        leaf.repetitions.push(repetition);
        leaf.ints.push(number);
        self.size += 8;
    }

    fn json(&mut self, text: &str) {
        self.value(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    fn vector(&mut self, vector: &Vector) {
        let Some((leaf, definition, repetition, kind)) = self.next(true) else { return };
        if vector.dimension() == 0 {
            if let Some(leaf) = self.leaves.get_mut(leaf) {
                leaf.lengths.add(0);
            }
            return self.nothing(leaf, definition, repetition, kind);
        }
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        let more = vector.dimension();
        leaf.lengths.add(more);
        leaf.definitions.push(leaf.most.definition);
        leaf.repetitions.push(repetition);
        leaf.dimensions.get_or_insert_default().push(u32::try_from(more).unwrap_or(u32::MAX));
        match (kind, vector) {
            (Type::Vector32, Vector::F32(numbers) | Vector::F32AsF64(numbers)) => {
                leaf.singles.extend_from_slice(numbers);
            }
            #[expect(clippy::cast_possible_truncation, reason = "such a row is left out before")]
            (Type::Vector32, Vector::F64(numbers)) => {
                leaf.singles.extend(numbers.iter().map(|number| *number as f32));
            }
            (_, Vector::F32(numbers)) => {
                // The number that the digits say, which those of 32 bits are told by.
                let mut digits = zmij::Buffer::new();
                leaf.doubles.extend(numbers.iter().map(|number| {
                    digits.format_finite(*number).parse().unwrap_or_else(|_| f64::from(*number))
                }));
            }
            (_, Vector::F32AsF64(numbers)) => {
                leaf.doubles.extend(numbers.iter().map(|number| f64::from(*number)));
            }
            (_, Vector::F64(numbers)) => leaf.doubles.extend_from_slice(numbers),
        }
        // Encoded they hardly become fewer: what is gathered, encoded, joined and written at a time is four times that.
        self.size += more * if matches!(kind, Type::Vector32) { 16 } else { 32 };
    }

    fn absent(&mut self) {
        if let Some((leaf, definition, repetition, kind)) = self.next(false) {
            self.nothing(leaf, definition, repetition, kind);
        }
    }

    fn open_list(&mut self) {
        if let Some((leaf, definition, repetition, Type::List(item))) = self.next(true) {
            let level =
                self.leaves.get(leaf).map_or(1, |leaf| leaf.most.repetition) - lists_in(item);
            let place = Place::Items { item, level, filled: false };
            self.open.push(Frame { place, leaf, definition, repetition });
        }
    }

    fn close_list(&mut self) {
        if let Some(Frame {
            place: Place::Items { item, filled: false, .. },
            leaf,
            definition,
            repetition,
        }) = self.open.pop()
        {
            self.nothing(leaf, definition, repetition, item);
        }
    }

    fn open_struct(&mut self) {
        if let Some((leaf, definition, repetition, Type::Struct(fields))) = self.next(true) {
            let place = Place::Fields { fields, at: 0 };
            self.open.push(Frame { place, leaf, definition, repetition });
        }
    }

    fn close_struct(&mut self) {
        self.open.pop();
    }

    fn str(&mut self, text: &str) {
        self.value(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }
}

/// How many lists stand above the first leaf of a type.
fn lists_in(kind: &Type) -> i16 {
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Int => 0,
        Type::Vector32 | Type::Vector64 => 1,
        Type::List(item) => 1 + lists_in(item),
        Type::Struct(fields) => fields.first().map_or(0, |field| lists_in(&field.kind)),
    }
}

impl Rows for Columns {
    fn count(&self) -> usize {
        self.sizes.len()
    }

    fn size_bytes(&self) -> usize {
        self.size
    }

    fn row_sizes(&self) -> &[u32] {
        &self.sizes
    }

    fn evidence(&self) -> &[u64] {
        &self.evidence
    }
}

/// Encoded row groups, and how many numbers the vectors of each leaf column have.
#[derive(Default)]
struct Encoded {
    groups: Vec<RowGroup>,
    lengths: Vec<Lengths>,
}

fn merge(lengths: &mut Vec<Lengths>, more: impl Iterator<Item = Lengths>) {
    for (leaf, more) in more.enumerate() {
        match lengths.get_mut(leaf) {
            Some(lengths) => lengths.merge(more),
            None => lengths.push(more),
        }
    }
}

/// An encoded row group: its columns, each with what the file's footer says of it.
struct RowGroup(Vec<(Bytes, ColumnCloseResult)>);

fn encode_group(
    batches: &mut [Columns],
    root: &TypePtr,
    properties: &WriterPropertiesPtr,
    from: usize,
    to: usize,
) -> io::Result<RowGroup> {
    let descriptor = SchemaDescriptor::new(Arc::clone(root));
    let mut columns = Vec::with_capacity(descriptor.num_columns());
    for index in 0..descriptor.num_columns() {
        // Numbers hardly become fewer bytes, and memory that is not written to takes none.
        let numbers = |leaf: &Leaf| leaf.singles.len() * 4 + leaf.doubles.len() * 8;
        let leaves = batches.iter().filter_map(|batch| batch.leaves.get(index));
        let mut sink = TrackedWrite::new(Vec::with_capacity(leaves.map(numbers).sum()));
        let mut writer = get_column_writer(
            descriptor.column(index),
            Arc::clone(properties),
            Box::new(SerializedPageWriter::new(&mut sink)),
        );
        let mut start = 0;
        for batch in batches.iter_mut() {
            let end = start + batch.sizes.len();
            let (first, last) = (from.max(start), to.min(end));
            if first < last {
                write_rows(&mut writer, batch, index, first - start, last - start)?;
                // What is written is let go at once: it makes room for what it became.
                if let Some(leaf) = batch.leaves.get_mut(index).filter(|_| last == end) {
                    *leaf = Leaf::default();
                }
            }
            start = end;
        }
        let close = writer.close().map_err(broken)?;
        columns.push((Bytes::from(sink.into_inner().map_err(broken)?), close));
    }
    Ok(RowGroup(columns))
}

/// Writes the rows `from..to` of one leaf column of a batch.
fn write_rows(
    writer: &mut ColumnWriter<'_>,
    batch: &mut Columns,
    index: usize,
    from: usize,
    to: usize,
) -> io::Result<()> {
    let level_at =
        |row: usize| batch.starts.get(row * batch.leaves.len() + index).copied().unwrap_or(0);
    let (first, last) = (level_at(from), level_at(to));
    let Some(leaf) = batch.leaves.get_mut(index) else { return Ok(()) };
    let present =
        |levels: &[i16]| levels.iter().filter(|&&level| level == leaf.most.definition).count();
    let skipped = present(leaf.definitions.get(..first).unwrap_or_default());
    let definitions = leaf.definitions.get(first..last).unwrap_or_default();
    let count = present(definitions);
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
        ColumnWriter::FloatColumnWriter(writer) => {
            let values = leaf.singles.get(skipped..skipped + count).unwrap_or_default();
            writer.write_batch(values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values = leaf.doubles.get(skipped..skipped + count).unwrap_or_default();
            writer.write_batch(values, definitions, repetitions).map_err(broken)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let ends = leaf.ends.get(skipped..skipped + count).unwrap_or_default();
            let before = skipped.checked_sub(1).and_then(|before| leaf.ends.get(before));
            let mut start = before.map_or(0, |&end| end as usize);
            // The values share the memory in which they were gathered.
            if leaf.frozen.is_empty() {
                leaf.frozen = Bytes::from(std::mem::take(&mut leaf.bytes));
            }
            let values: Vec<ByteArray> = ends
                .iter()
                .map(|&end| {
                    let value = leaf.frozen.slice(start..end as usize);
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

/// Appends encoded row groups to a file.
struct Groups {
    writer: SerializedFileWriter<Pending>,
    pending: Pending,
    schema: Schema,
    lengths: Vec<Lengths>,
}

/// Where the file writer puts its bytes until they are written out.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<Vec<u8>>>);

impl Pending {
    fn reserve(&self, room: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reserve(room);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileWriter for Groups {
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
        let Encoded { groups, lengths } = body(chunk)?;
        merge(&mut self.lengths, lengths.into_iter());
        for RowGroup(columns) in groups {
            let mut group = self.writer.next_row_group().map_err(broken)?;
            for (bytes, close) in columns {
                self.pending.reserve(bytes.len());
                group.append_column(&bytes, close).map_err(broken)?;
                out.write_all(&self.pending.take())?;
            }
            group.close().map_err(broken)?;
            self.writer.flush()?;
            out.write_all(&self.pending.take())?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        if let Some(described) = arrow::described(&self.schema, &self.lengths) {
            let pair = KeyValue::new(arrow::KEY.to_owned(), described);
            self.writer.append_key_value_metadata(pair);
        }
        self.writer.finish().map_err(broken)?;
        self.writer.flush()?;
        out.write_all(&self.pending.take())
    }
}

fn properties_of(schema: &Schema, descriptor: &SchemaDescriptor) -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let numbers = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("retort ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_data_page_size_limit(PAGE_BYTES)
        // A dictionary of long texts is built in vain.
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None);
    let mut words = Vec::new();
    for column in schema.columns() {
        mark_words(column.kind, &mut words);
    }
    for (index, is_word) in words.into_iter().enumerate() {
        let column = descriptor.column(index);
        let path = column.path().clone();
        if matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE) {
            // The signs and exponents of numbers are alike, and only they are to be compressed.
            properties = properties
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_compression(path.clone(), Compression::ZSTD(numbers));
        }
        if is_word {
            properties = properties.set_column_dictionary_enabled(path.clone(), true);
        }
        if is_word || path.parts().len() == 1 {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    Arc::new(properties.build())
}

/// For each leaf, whether it is a word that comes again and again.
fn mark_words(kind: &Type, words: &mut Vec<bool>) {
    match kind {
        Type::Word => words.push(true),
        Type::Text | Type::Json | Type::Int | Type::Vector32 | Type::Vector64 => words.push(false),
        Type::List(item) => mark_words(item, words),
        Type::Struct(fields) => {
            for field in *fields {
                mark_words(&field.kind, words);
            }
        }
    }
}

fn root_of(schema: &Schema) -> io::Result<TypePtr> {
    let fields = schema
        .columns()
        .map(|column| type_of(column.name, column.kind, column.optional))
        .collect::<io::Result<_>>()?;
    Ok(Arc::new(
        ParquetType::group_type_builder("schema").with_fields(fields).build().map_err(broken)?,
    ))
}

fn type_of(name: &str, kind: &Type, optional: bool) -> io::Result<TypePtr> {
    let repetition = if optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let built = match kind {
        Type::Text | Type::Word | Type::Json => {
            ParquetType::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
                .with_repetition(repetition)
                .with_logical_type(Some(LogicalType::String))
                .build()
        }
        Type::Int => ParquetType::primitive_type_builder(name, PhysicalType::INT64)
            .with_repetition(repetition)
            .build(),
        Type::List(item) => return list_of(name, type_of("element", item, false)?, repetition),
        Type::Vector32 | Type::Vector64 => {
            let physical = match kind {
                Type::Vector32 => PhysicalType::FLOAT,
                _ => PhysicalType::DOUBLE,
            };
            let number = ParquetType::primitive_type_builder("element", physical)
                .with_repetition(Repetition::REQUIRED)
                .build()
                .map_err(broken)?;
            return list_of(name, Arc::new(number), repetition);
        }
        Type::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| type_of(field.name, &field.kind, field.optional))
                .collect::<io::Result<_>>()?;
            ParquetType::group_type_builder(name)
                .with_repetition(repetition)
                .with_fields(fields)
                .build()
        }
    };
    Ok(Arc::new(built.map_err(broken)?))
}

fn list_of(name: &str, item: TypePtr, repetition: Repetition) -> io::Result<TypePtr> {
    let list = ParquetType::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![item])
        .build()
        .map_err(broken)?;
    let built = ParquetType::group_type_builder(name)
        .with_repetition(repetition)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build();
    Ok(Arc::new(built.map_err(broken)?))
}

/// An input that several column readers share.
struct SharedInput {
    input: Arc<Mutex<Box<dyn ReadSeek>>>,
    length: u64,
}

impl SharedInput {
    fn new(mut input: Box<dyn ReadSeek>) -> io::Result<Self> {
        let length = input.seek(SeekFrom::End(0))?;
        Ok(Self { input: Arc::new(Mutex::new(input)), length })
    }
}

impl Length for SharedInput {
    fn len(&self) -> u64 {
        self.length
    }
}

/// Reads on from a place of the shared input.
struct From {
    input: Arc<Mutex<Box<dyn ReadSeek>>>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.seek(SeekFrom::Start(self.at))?;
        let length = input.read(into)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl ChunkReader for SharedInput {
    type T = From;

    fn get_read(&self, start: u64) -> parquet::errors::Result<From> {
        Ok(From { input: Arc::clone(&self.input), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        From { input: Arc::clone(&self.input), at: start }.read_exact(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }
}

fn write_row(row: &parquet::record::Row, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in row.get_column_iter() {
        // What is absent is left out, as in JSON Lines.
        if matches!(value, parquet::record::Field::Null) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

fn write_value(value: &parquet::record::Field, out: &mut Vec<u8>) {
    use parquet::record::Field as Value;
    match value {
        Value::Str(text) => write_string(text, out),
        Value::Long(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Float(number) if number.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes());
        }
        Value::Double(number) if number.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes());
        }
        Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::UByte(_)
        | Value::UShort(_)
        | Value::UInt(_)
        | Value::ULong(_) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Group(row) => write_row(row, out),
        Value::ListInternal(list) => {
            out.push(b'[');
            for (index, item) in list.elements().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        other => write_string(&other.to_string(), out),
    }
}
