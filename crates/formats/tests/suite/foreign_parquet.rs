//! Parquet files as other systems write them: every codec and type becomes the JSON that says the same. Tests that stand
//! for a public report name it.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{
    BrotliLevel, Compression, GzipLevel, LogicalType, Repetition, Type, ZstdLevel,
};
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type as ParquetType;
use retort_formats::file;

fn read(bytes: Vec<u8>) -> std::io::Result<Vec<String>> {
    file::by_name("parquet").unwrap().read(Box::new(Cursor::new(bytes)))?.collect()
}

fn write(columns: Vec<(&str, ArrayRef)>, codec: Compression) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let properties = WriterProperties::builder().set_compression(codec).build();
    let options = ArrowWriterOptions::new().with_properties(properties);
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut out, schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

fn check(column: ArrayRef, expect: &str) {
    let kind = column.data_type().clone();
    let rows = read(write(vec![("x", column)], Compression::SNAPPY)).unwrap();
    assert_eq!(rows.join(" "), expect, "{kind}");
}

#[test]
fn every_codec_is_read() {
    // Reports parquet-snappy, parquet-lz4, parquet-hf-datasets.
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let text = "a longer text, a longer text, a longer text";
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
        let rows = read(write(vec![("t", column)], codec)).unwrap();
        assert_eq!(rows, [format!(r#"{{"t":"{text}"}}"#), "{}".into()], "{codec}");
    }
}

#[test]
fn moments_in_every_unit_and_zone_are_written_as_rfc_3339() {
    // Report parquet-timestamp-ns.
    let nanos = 1_704_164_645_678_901_234_i64;
    let expect = |fraction: &str| format!(r#"{{"x":"2024-01-02T03:04:05{fraction}Z"}}"#);
    let zones = [None, Some("UTC"), Some("Europe/Paris"), Some("+05:30")];
    for zone in zones.map(|zone| zone.map(Arc::<str>::from)) {
        check(
            Arc::new(TimestampNanosecondArray::from(vec![nanos]).with_timezone_opt(zone.clone())),
            &expect(".678901234"),
        );
        check(
            Arc::new(
                TimestampMicrosecondArray::from(vec![nanos / 1000]).with_timezone_opt(zone.clone()),
            ),
            &expect(".678901"),
        );
        check(
            Arc::new(
                TimestampMillisecondArray::from(vec![nanos / 1_000_000])
                    .with_timezone_opt(zone.clone()),
            ),
            &expect(".678"),
        );
        check(
            Arc::new(
                TimestampSecondArray::from(vec![nanos / 1_000_000_000]).with_timezone_opt(zone),
            ),
            // Parquet has no seconds: they stand as numbers, which readers of dates take as such.
            r#"{"x":1704164645}"#,
        );
    }
    check(Arc::new(Date32Array::from(vec![19_724])), r#"{"x":"2024-01-02"}"#);
    check(Arc::new(Time32MillisecondArray::from(vec![11_045_678])), r#"{"x":"03:04:05.678"}"#);
    check(
        Arc::new(Time64NanosecondArray::from(vec![11_045_000_000_001])),
        r#"{"x":"03:04:05.000000001"}"#,
    );
    // Far-off and infinite ones are no moments, and are told as such.
    for (micros, text) in
        [(i64::MAX, "9223372036854 s since 1970"), (i64::MIN, "-9223372036855 s since 1970")]
    {
        check(
            Arc::new(TimestampMicrosecondArray::from(vec![micros])),
            &format!(r#"{{"x":"{text}"}}"#),
        );
    }
    check(Arc::new(Date32Array::from(vec![i32::MAX])), r#"{"x":"2147483647 days since 1970"}"#);
}

#[test]
fn numbers_keep_all_that_they_say() {
    check(Arc::new(UInt64Array::from(vec![u64::MAX])), r#"{"x":18446744073709551615}"#);
    check(Arc::new(Int8Array::from(vec![-128])), r#"{"x":-128}"#);
    check(Arc::new(Float32Array::from(vec![0.1, f32::NAN])), r#"{"x":0.1} {"x":NaN}"#);
    check(
        Arc::new(Float64Array::from(vec![1e300, f64::INFINITY, f64::NEG_INFINITY])),
        r#"{"x":1e+300} {"x":Infinity} {"x":-Infinity}"#,
    );
    let decimals = Decimal128Array::from(vec![1230, -5]).with_precision_and_scale(20, 2).unwrap();
    check(Arc::new(decimals), r#"{"x":12.30} {"x":-0.05}"#);
    let small = Decimal128Array::from(vec![1230]).with_precision_and_scale(5, 2).unwrap();
    check(Arc::new(small), r#"{"x":12.30}"#);
    check(Arc::new(BooleanArray::from(vec![true, false])), r#"{"x":true} {"x":false}"#);
}

#[test]
fn bytes_that_are_text_are_text_and_maps_are_objects() {
    // Reports parquet-binary-strings and parquet-map-column.
    check(
        Arc::new(BinaryArray::from(vec![&b"q0"[..], &b"\xff\xfe"[..]])),
        r#"{"x":"q0"} {"x":"//4="}"#,
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k\"");
    map.values().append_value(1);
    map.keys().append_value("z");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    check(Arc::new(map.finish()), r#"{"x":{"k\"":1,"z":null}} {}"#);
    let mut numbered = MapBuilder::new(None, Int64Builder::new(), Int64Builder::new());
    numbered.keys().append_value(7);
    numbered.values().append_value(1);
    numbered.append(true).unwrap();
    check(Arc::new(numbered.finish()), r#"{"x":{"7":1}}"#);
}

#[test]
fn nested_columns_keep_their_shape() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let fields = vec![
        (Arc::new(Field::new("role", DataType::Utf8, true)), texts),
        (
            Arc::new(Field::new("n", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![None, Some(2), None])) as ArrayRef,
        ),
    ];
    let item = Arc::new(StructArray::from(fields));
    let lists = arrow_list(item, &[2, 0, 1]);
    check(lists, r#"{"x":[{"role":"a"},{"n":2}]} {"x":[]} {"x":[{"role":"c"}]}"#);
}

/// Lists of these lengths over the items.
fn arrow_list(items: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = arrow_buffer::OffsetBuffer::<i32>::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::new(field, offsets, items, None))
}

/// A file with one column, as it is in Parquet.
fn raw<T: parquet::data_type::DataType>(
    physical: Type,
    logical: Option<LogicalType>,
    length: i32,
    values: &[T::T],
) -> Vec<u8> {
    let column = ParquetType::primitive_type_builder("x", physical)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(logical)
        .with_length(length)
        .build()
        .unwrap();
    write_raw::<T>(column, values)
}

fn write_raw<T: parquet::data_type::DataType>(column: ParquetType, values: &[T::T]) -> Vec<u8> {
    let root = ParquetType::group_type_builder("schema")
        .with_fields(vec![Arc::new(column)])
        .build()
        .unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(root), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn marks_of_parquet_are_understood() {
    // Reports parquet-encodings (INT96) and parquet-interval-column.
    let bytes = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
    let file = raw::<FixedLenByteArrayType>(
        Type::FIXED_LEN_BYTE_ARRAY,
        Some(LogicalType::Uuid),
        16,
        &[bytes],
    );
    assert_eq!(read(file).unwrap(), [r#"{"x":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#]);
    let half = FixedLenByteArray::from(vec![0x00, 0x3e]);
    let file = raw::<FixedLenByteArrayType>(
        Type::FIXED_LEN_BYTE_ARRAY,
        Some(LogicalType::Float16),
        2,
        &[half],
    );
    assert_eq!(read(file).unwrap(), [r#"{"x":1.5}"#]);
    let json = [r#"[{"role": "user"}]"#, "no JSON"].map(ByteArray::from);
    let file = raw::<ByteArrayType>(Type::BYTE_ARRAY, Some(LogicalType::Json), 0, &json);
    assert_eq!(read(file).unwrap(), [r#"{"x":[{"role": "user"}]}"#, r#"{"x":"no JSON"}"#]);
    // 9999-12-31T23:59:59: as nanoseconds it would be a moment of the 19th century.
    let mut far = Int96::new();
    let nanos: u64 = 86_399_000_000_000;
    far.set_data(nanos as u32, (nanos >> 32) as u32, 5_373_484);
    let file = raw::<Int96Type>(Type::INT96, None, 0, &[far]);
    assert_eq!(read(file).unwrap(), [r#"{"x":"9999-12-31T23:59:59Z"}"#]);
    let interval = ParquetType::primitive_type_builder("took", Type::FIXED_LEN_BYTE_ARRAY)
        .with_repetition(Repetition::REQUIRED)
        .with_converted_type(parquet::basic::ConvertedType::INTERVAL)
        .with_length(12)
        .build()
        .unwrap();
    let value = FixedLenByteArray::from(vec![1, 0, 0, 0, 2, 0, 0, 0, 0x2c, 0x0c, 0, 0]);
    let rows = read(write_raw::<FixedLenByteArrayType>(interval, &[value]));
    assert_eq!(rows.unwrap(), [r#"{"took":"P1M2DT3.116S"}"#]);
}

#[test]
fn a_damaged_file_is_an_error_whatever_is_damaged() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["some text"; 100]));
    let whole = write(vec![("t", column)], Compression::SNAPPY);
    assert_eq!(read(whole.clone()).unwrap().len(), 100);
    for length in (0..whole.len()).step_by(7) {
        let read = std::panic::catch_unwind(|| read(whole[..length].to_vec()));
        assert!(read.is_ok_and(|rows| rows.is_err()), "cut at {length}");
    }
}
