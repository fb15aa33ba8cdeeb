//! Parquet files as rows of JSON, whatever wrote them.
//!
//! The Arrow reader decodes batches of rows; each cell is written as the JSON that says the same: moments as RFC 3339,
//! maps as objects, decimals as numbers with all their digits, bytes as text if they are UTF-8 and else as base64.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnDescPtr;
use retort_json::{Parser, write_string};
use retort_model::Time;

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

/// Refuses columns that cannot be read, by name.
pub(in crate::file) fn check(name: &str, kind: &DataType) -> io::Result<()> {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => check(name, item.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .try_for_each(|field| check(&format!("{name}.{}", field.name()), field.data_type())),
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => Ok(()),
        other => {
            let what = match other {
                DataType::Interval(_) => "an interval".to_owned(),
                other => format!("of the type {other}"),
            };
            let why = format!(
                "the column `{name}` is {what}, which is not read; leave it out or make it text"
            );
            Err(io::Error::new(io::ErrorKind::Unsupported, why))
        }
    }
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

/// What a column is beyond the type in which it is decoded.
pub(in crate::file) struct Column {
    name: String,
    kind: ColumnKind,
    children: Vec<Column>,
}

impl Column {
    /// A column of which only its type is known.
    pub(in crate::file) fn plain(field: &Field) -> Self {
        column(field, &mut std::iter::empty())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    Plain,
    /// Text that is marked as JSON.
    Json,
    Uuid,
}

/// The leaves that Retort says hold JSON text.
fn json_leaves(metadata: &ParquetMetaData) -> BTreeSet<usize> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let listed = pairs.into_iter().flatten().find(|pair| pair.key == JSON_LEAVES);
    let listed = listed.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
    listed.split(',').filter_map(|number| number.parse().ok()).collect()
}

/// The leaves of a file in their order, and whether Retort says that they hold JSON text.
type Leaves<'l, 'i> = &'i mut dyn Iterator<Item = (&'l ColumnDescPtr, bool)>;

fn columns(fields: &Fields, leaves: Leaves<'_, '_>) -> Vec<Column> {
    fields.iter().map(|field| column(field, leaves)).collect()
}

fn column(field: &Field, leaves: Leaves<'_, '_>) -> Column {
    let (kind, children) = match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => (ColumnKind::Plain, vec![column(item, leaves)]),
        DataType::Struct(fields) => (ColumnKind::Plain, columns(fields, leaves)),
        _ => {
            let (leaf, is_ours) = leaves.next().unzip();
            let is_ours = is_ours.unwrap_or_default();
            let is_json =
                is_ours || leaf.is_some_and(|leaf| leaf.converted_type() == ConvertedType::JSON);
            let kind = match leaf.and_then(|leaf| leaf.logical_type_ref()) {
                Some(LogicalType::Json) => ColumnKind::Json,
                Some(LogicalType::Uuid) => ColumnKind::Uuid,
                _ if is_json => ColumnKind::Json,
                _ => ColumnKind::Plain,
            };
            (kind, Vec::new())
        }
    };
    Column { name: field.name().clone(), kind, children }
}

/// Writes an object; what is absent is left out, as in JSON Lines.
pub(in crate::file) fn write_object<'a>(
    fields: impl Iterator<Item = (&'a Column, &'a dyn Array)>,
    row: usize,
    out: &mut String,
) {
    out.push('{');
    let mut first = true;
    for (column, array) in fields {
        if array.is_null(row) || matches!(array.data_type(), DataType::Null) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(&column.name, out);
        out.push(':');
        write_value(column, array, row, out);
    }
    out.push('}');
}

fn write_value(column: &Column, array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        return out.push_str("null");
    }
    match array.data_type() {
        DataType::Boolean => {
            out.push_str(if array.as_boolean().value(row) { "true" } else { "false" });
        }
        DataType::Int8 => number::<arrow::Int8Type>(array, row, out),
        DataType::Int16 => number::<arrow::Int16Type>(array, row, out),
        DataType::Int32 => number::<arrow::Int32Type>(array, row, out),
        DataType::Int64 => number::<arrow::Int64Type>(array, row, out),
        DataType::UInt8 => number::<arrow::UInt8Type>(array, row, out),
        DataType::UInt16 => number::<arrow::UInt16Type>(array, row, out),
        DataType::UInt32 => number::<arrow::UInt32Type>(array, row, out),
        DataType::UInt64 => number::<arrow::UInt64Type>(array, row, out),
        DataType::Float16 => {
            single(array.as_primitive::<arrow::Float16Type>().value(row).to_f32(), out);
        }
        DataType::Float32 => single(array.as_primitive::<arrow::Float32Type>().value(row), out),
        DataType::Float64 => {
            let number = array.as_primitive::<arrow::Float64Type>().value(row);
            if number.is_finite() {
                out.push_str(zmij::Buffer::new().format_finite(number));
            } else {
                out.push_str(not_finite(number.is_nan(), number > 0.0));
            }
        }
        DataType::Decimal32(_, _) => {
            out.push_str(&array.as_primitive::<arrow::Decimal32Type>().value_as_string(row));
        }
        DataType::Decimal64(_, _) => {
            out.push_str(&array.as_primitive::<arrow::Decimal64Type>().value_as_string(row));
        }
        DataType::Decimal128(_, _) => {
            out.push_str(&array.as_primitive::<arrow::Decimal128Type>().value_as_string(row));
        }
        DataType::Decimal256(_, _) => {
            out.push_str(&array.as_primitive::<arrow::Decimal256Type>().value_as_string(row));
        }
        DataType::Utf8 => text(column, array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => text(column, array.as_string::<i64>().value(row), out),
        DataType::Binary => binary(column, array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => binary(column, array.as_binary::<i64>().value(row), out),
        DataType::FixedSizeBinary(_) => {
            binary(column, array.as_fixed_size_binary().value(row), out);
        }
        DataType::Timestamp(unit, _) => {
            let (count, nanos) = match unit {
                TimeUnit::Second => {
                    (whole::<arrow::TimestampSecondType>(array, row), 1_000_000_000)
                }
                TimeUnit::Millisecond => {
                    (whole::<arrow::TimestampMillisecondType>(array, row), 1_000_000)
                }
                TimeUnit::Microsecond => {
                    (whole::<arrow::TimestampMicrosecondType>(array, row), 1000)
                }
                TimeUnit::Nanosecond => (whole::<arrow::TimestampNanosecondType>(array, row), 1),
            };
            moment(i128::from(count) * nanos, out);
        }
        DataType::Date32 => {
            let days = array.as_primitive::<arrow::Date32Type>().value(row);
            date(i128::from(days) * DAY, out);
        }
        DataType::Date64 => {
            let ms = array.as_primitive::<arrow::Date64Type>().value(row);
            date(i128::from(ms) * 1_000_000, out);
        }
        DataType::Time32(unit) => {
            let (count, nanos) = match unit {
                TimeUnit::Second => {
                    (array.as_primitive::<arrow::Time32SecondType>().value(row), 1_000_000_000)
                }
                _ => (array.as_primitive::<arrow::Time32MillisecondType>().value(row), 1_000_000),
            };
            time_of_day(i128::from(count) * nanos, out);
        }
        DataType::Time64(unit) => {
            let (count, nanos) = match unit {
                TimeUnit::Nanosecond => {
                    (array.as_primitive::<arrow::Time64NanosecondType>().value(row), 1)
                }
                _ => (array.as_primitive::<arrow::Time64MicrosecondType>().value(row), 1000),
            };
            time_of_day(i128::from(count) * nanos, out);
        }
        DataType::List(_) => list(column, array.as_list::<i32>().value(row).as_ref(), out),
        DataType::LargeList(_) => list(column, array.as_list::<i64>().value(row).as_ref(), out),
        DataType::FixedSizeList(_, _) => {
            list(column, array.as_fixed_size_list().value(row).as_ref(), out);
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns();
            let fields = column.children.iter().zip(fields);
            write_object(fields.map(|(column, array)| (column, array.as_ref())), row, out);
        }
        DataType::Map(_, _) => map(column, &array.as_map().value(row), out),
        // The schema was checked: there is no other.
        _ => out.push_str("null"),
    }
}

fn number<T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    array: &dyn Array,
    row: usize,
    out: &mut String,
) {
    use std::fmt::Write;
    // Writing to a text does not fail.
    let _ = write!(out, "{}", array.as_primitive::<T>().value(row));
}

fn whole<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, row: usize) -> i64 {
    array.as_primitive::<T>().value(row)
}

fn single(number: f32, out: &mut String) {
    if number.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(number));
    } else {
        out.push_str(not_finite(number.is_nan(), number > 0.0));
    }
}

/// As Python writes it: the readers take it for null and count it.
fn not_finite(is_nan: bool, is_positive: bool) -> &'static str {
    match (is_nan, is_positive) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}

fn text(column: &Column, text: &str, out: &mut String) {
    let is_json = || {
        let mut parser = Parser::lenient(text);
        parser.skip().and_then(|()| parser.end()).is_ok()
    };
    if column.kind == ColumnKind::Json && is_json() {
        // A row is a line.
        return match Parser::lenient(text).raw() {
            Ok(raw) => out.push_str(raw.as_str()),
            Err(_) => write_string(text, out),
        };
    }
    write_string(text, out);
}

fn binary(column: &Column, bytes: &[u8], out: &mut String) {
    if let (ColumnKind::Uuid, Ok(bytes)) = (column.kind, <[u8; 16]>::try_from(bytes)) {
        use std::fmt::Write;
        out.push('"');
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push('-');
            }
            let _ = write!(out, "{byte:02x}");
        }
        return out.push('"');
    }
    match simdutf8::basic::from_utf8(bytes) {
        Ok(utf8) => text(column, utf8, out),
        Err(_) => write_string(&STANDARD.encode(bytes), out),
    }
}

fn list(column: &Column, items: &dyn Array, out: &mut String) {
    out.push('[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(',');
        }
        match column.children.first() {
            Some(item) => write_value(item, items, row, out),
            None => out.push_str("null"),
        }
    }
    out.push(']');
}

/// An object; keys that are no texts become such.
fn map(column: &Column, entries: &arrow_array::StructArray, out: &mut String) {
    let kinds = column.children.first().map(|entries| entries.children.as_slice());
    let (Some([key, value]), [keys, values]) = (kinds, entries.columns()) else {
        return out.push_str("null");
    };
    out.push('{');
    for row in 0..entries.len() {
        if row > 0 {
            out.push(',');
        }
        let mut name = String::new();
        write_value(key, keys.as_ref(), row, &mut name);
        if name.starts_with('"') {
            out.push_str(&name);
        } else {
            write_string(&name, out);
        }
        out.push(':');
        write_value(value, values.as_ref(), row, out);
    }
    out.push('}');
}

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

/// A moment as RFC 3339. One that this cannot write stays a text that says so: databases have infinite ones.
fn moment(nanos: i128, out: &mut String) {
    match Time::from_unix_nanos(nanos) {
        Some(time) => write_string(&time.to_string(), out),
        None => write_string(&format!("{} s since 1970", nanos.div_euclid(1_000_000_000)), out),
    }
}

fn date(nanos: i128, out: &mut String) {
    match Time::from_unix_nanos(nanos) {
        Some(time) => write_string(time.to_string().get(..10).unwrap_or_default(), out),
        None => write_string(&format!("{} days since 1970", nanos.div_euclid(DAY)), out),
    }
}

fn time_of_day(nanos: i128, out: &mut String) {
    match Time::from_unix_nanos(nanos.rem_euclid(DAY)) {
        Some(time) => {
            write_string(time.to_string().get(11..).unwrap_or_default().trim_end_matches('Z'), out);
        }
        None => out.push_str("null"),
    }
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
