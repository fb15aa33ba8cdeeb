//! Cells of Arrow arrays as JSON: what Parquet files and Arrow files are read through.
//!
//! Each cell is written as the JSON that says the same: moments as RFC 3339, maps as objects, decimals as numbers with all
//! their digits, bytes as text if they are UTF-8 and else as base64.

use std::io;

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::schema::types::ColumnDescPtr;
use retort_json::{Parser, write_string};
use retort_model::Time;

/// Refuses columns that cannot be read, by name.
pub(super) fn check(name: &str, kind: &DataType) -> io::Result<()> {
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

/// What a column is beyond the type in which it is decoded.
pub(super) struct Column {
    name: String,
    kind: ColumnKind,
    children: Vec<Column>,
}

impl Column {
    /// A column of which only its type is known.
    pub(super) fn plain(field: &Field) -> Self {
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

/// The leaves of a file in their order, and whether Retort says that they hold JSON text.
pub(super) type Leaves<'l, 'i> = &'i mut dyn Iterator<Item = (&'l ColumnDescPtr, bool)>;

/// The columns of these fields.
pub(super) fn columns(fields: &Fields, leaves: Leaves<'_, '_>) -> Vec<Column> {
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
pub(super) fn write_object<'a>(
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
