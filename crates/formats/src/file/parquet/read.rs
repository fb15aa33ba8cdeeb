//! Parquet files as rows of JSON, whatever wrote them.
//!
//! The Arrow reader decodes batches of rows, and each cell is written as JSON (`cells.rs`).

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnDescPtr;

use super::super::cells::{check, columns, write_object};
use super::super::format::ReadSeek;
use super::schema::JSON_LEAVES;

/// Bytes of rows, before decoding, that are decoded at a time, and rows.
const BATCH_BYTES: i64 = 8 << 20;
const BATCH_ROWS: i64 = 1024;

/// The rows of a file, each a JSON object.
pub(super) fn rows(
    input: Box<dyn ReadSeek>,
) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let input = SharedInput::new(input)?;
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let mut metadata = ArrowReaderMetadata::load(&input, plain.clone()).map_err(broken)?;
    let leaves = metadata.metadata().file_metadata().schema_descr().columns().to_vec();
    let mut intervals = Vec::new();
    for (at, field) in metadata.schema().fields().iter().enumerate() {
        match field.data_type() {
            DataType::Interval(_) => intervals.push(at),
            kind => check(field.name(), kind)?,
        }
    }
    // As nanoseconds, which is how it would be read, it holds the years 1677 to 2262 alone.
    if leaves.iter().any(|leaf| leaf.physical_type() == PhysicalType::INT96) {
        let fields = hinted(metadata.schema().fields(), &mut leaves.iter());
        let hint = plain.clone().with_schema(Arc::new(Schema::new(fields)));
        metadata = ArrowReaderMetadata::load(&input, hint).map_err(broken)?;
    }
    let json = json_leaves(metadata.metadata());
    let mut numbered =
        leaves.iter().enumerate().map(|(number, leaf)| (leaf, json.contains(&number)));
    let columns = columns(metadata.schema().fields(), &mut numbered);
    let batch_rows = batch_rows(metadata.metadata());
    let mut months = None;
    if !intervals.is_empty() {
        let of_months = with_months(metadata.schema().fields());
        let mask = ProjectionMask::roots(
            metadata.metadata().file_metadata().schema_descr(),
            intervals.iter().copied(),
        );
        let hint =
            ArrowReaderMetadata::load(&input, plain.with_schema(of_months)).map_err(broken)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input.clone(), hint);
        let reader = reader.with_projection(mask).with_batch_size(batch_rows);
        months = Some(reader.build().map_err(broken)?);
    }
    let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
        .with_batch_size(batch_rows)
        .build()
        .map_err(broken)?;
    let mut next = move || -> Option<Result<Batch, ArrowError>> {
        let batch = match batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let mut arrays = batch.columns().to_vec();
        if let Some(months) = &mut months {
            let months = match months.next()? {
                Ok(months) => months,
                Err(error) => return Some(Err(error)),
            };
            for (&at, months) in intervals.iter().zip(months.columns()) {
                if let Some(array) = arrays.get_mut(at) {
                    *array = Arc::new(interval_texts(months.as_ref(), array.as_ref()));
                }
            }
        }
        Some(Ok(Batch { arrays, rows: batch.num_rows() }))
    };
    let mut batch = Batch::default();
    let mut row = 0;
    let mut has_failed = false;
    Ok(std::iter::from_fn(move || {
        while row >= batch.rows {
            if has_failed {
                return None;
            }
            (batch, row) = match next()? {
                Ok(batch) => (batch, 0),
                Err(error) => {
                    has_failed = true;
                    let error = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
                    return Some(Err(error));
                }
            };
        }
        let mut out = String::new();
        let arrays = columns.iter().zip(&batch.arrays);
        write_object(arrays.map(|(column, array)| (column, array.as_ref())), row, &mut out);
        row += 1;
        Some(Ok(out))
    }))
}

/// Some rows, column by column.
#[derive(Default)]
struct Batch {
    arrays: Vec<ArrayRef>,
    rows: usize,
}

/// The same columns, with the months of intervals: the reader decodes either those or the days.
fn with_months(fields: &Fields) -> Arc<Schema> {
    let kind_of = |field: &Field| match field.data_type() {
        DataType::Interval(_) => DataType::Interval(IntervalUnit::YearMonth),
        kind => kind.clone(),
    };
    let fields = fields.iter();
    let fields = fields.map(|field| Field::new(field.name(), kind_of(field), field.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Intervals as ISO 8601 writes them.
fn interval_texts(months: &dyn Array, rest: &dyn Array) -> StringArray {
    let text = |row: usize| {
        if rest.is_null(row) {
            return None;
        }
        let months = months.as_primitive::<arrow::IntervalYearMonthType>().value(row);
        let rest = rest.as_primitive::<arrow::IntervalDayTimeType>().value(row);
        // The format has no signs.
        let [months, days, ms] = [months, rest.days, rest.milliseconds].map(i32::cast_unsigned);
        let seconds = match ms % 1000 {
            0 => format!("{}", ms / 1000),
            rest => format!("{}.{rest:03}", ms / 1000).trim_end_matches('0').to_owned(),
        };
        Some(format!("P{months}M{days}DT{seconds}S"))
    };
    (0..rest.len()).map(text).collect()
}

/// What the library says against a file: it is damaged, or holds what the library cannot read.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn broken(error: parquet::errors::ParquetError) -> io::Error {
    use parquet::errors::ParquetError;
    let kind = match error {
        ParquetError::NYI(_) => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error.to_string())
}

fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups();
    let bytes: i64 = groups.iter().map(|group| group.total_byte_size().max(0)).sum();
    let rows: i64 = groups.iter().map(|group| group.num_rows().max(0)).sum();
    let fit = rows.saturating_mul(BATCH_BYTES) / bytes.max(1);
    usize::try_from(fit.clamp(1, BATCH_ROWS)).unwrap_or(1)
}

/// The same fields, with the moments of Impala and old Spark in microseconds.
fn hinted<'l>(fields: &Fields, leaves: &mut impl Iterator<Item = &'l ColumnDescPtr>) -> Fields {
    let mut kind_of = |kind: &DataType| hinted_type(kind, leaves);
    fields
        .iter()
        .map(|field| Field::new(field.name(), kind_of(field.data_type()), field.is_nullable()))
        .collect()
}

fn hinted_type(kind: &DataType, leaves: &mut dyn Iterator<Item = &ColumnDescPtr>) -> DataType {
    let mut inner = |item: &Arc<Field>| {
        let kind = hinted_type(item.data_type(), leaves);
        Arc::new(Field::new(item.name(), kind, item.is_nullable()))
    };
    match kind {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::Map(item, sorted) => DataType::Map(inner(item), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        kind => match leaves.next().map(|leaf| leaf.physical_type()) {
            Some(PhysicalType::INT96) => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => kind.clone(),
        },
    }
}

/// The leaves that Retort says hold JSON text.
fn json_leaves(metadata: &ParquetMetaData) -> BTreeSet<usize> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let listed = pairs.into_iter().flatten().find(|pair| pair.key == JSON_LEAVES);
    let listed = listed.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
    listed.split(',').filter_map(|number| number.parse().ok()).collect()
}

/// An input that several column readers share.
#[derive(Clone)]
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
    type T = io::BufReader<From>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::new(From { input: Arc::clone(&self.input), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // A damaged file may ask for more than it has.
        if start.saturating_add(length as u64) > self.length {
            return Err(parquet::errors::ParquetError::EOF("the file ends early".into()));
        }
        let mut bytes = vec![0; length];
        From { input: Arc::clone(&self.input), at: start }.read_exact(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }
}
