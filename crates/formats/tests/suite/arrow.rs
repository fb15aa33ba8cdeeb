//! Arrow files and streams as rows.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use retort_formats::file::arrow_rows;

fn batch() -> RecordBatch {
    let message = StructArray::from(vec![
        (
            Arc::new(Field::new("role", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["user", "assistant"])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("content", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("q \"x\""), None])) as ArrayRef,
        ),
    ]);
    let numbers =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    RecordBatch::try_from_iter_with_nullable([
        ("message", Arc::new(message) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![7, 8])) as ArrayRef, true),
        ("list", Arc::new(numbers) as ArrayRef, true),
    ])
    .unwrap()
}

const ROWS: [&str; 2] = [
    r#"{"message":{"role":"user","content":"q \"x\""},"n":7,"list":[1,null]}"#,
    r#"{"message":{"role":"assistant"},"n":8}"#,
];

fn stream() -> Vec<u8> {
    let batch = batch();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let rows =
        arrow_rows(Box::new(Cursor::new(bytes.to_vec()))).map_err(|error| error.to_string())?;
    rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[test]
fn files_and_streams_give_the_same_rows() {
    let batch = batch();
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let file = writer.into_inner().unwrap();
    assert_eq!(read(&file).unwrap(), ROWS);
    assert_eq!(read(&stream()).unwrap(), [ROWS, ROWS].concat());
    // A stream that was not closed has no end mark.
    let open = stream();
    assert_eq!(read(&open[..open.len() - 8]).unwrap().len(), 4);
}

/// A stream of a batch of repeated text, compressed.
fn compressed(codec: CompressionType) -> Vec<u8> {
    let texts: StringArray = (0..300).map(|_| Some("the same text again and again")).collect();
    let batch = RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn compressed_batches_are_read() {
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let rows = read(&compressed(codec)).unwrap();
        assert_eq!(rows.len(), 300);
        assert_eq!(rows[299], r#"{"text":"the same text again and again"}"#);
    }
}

#[test]
fn a_batch_that_says_it_unpacks_to_more_than_is_read_is_refused_before_anything_is_allocated() {
    let mut bytes = compressed(CompressionType::ZSTD);
    // The unpacked length of the texts comes before them.
    let length = 300_u64 * "the same text again and again".len() as u64;
    let at = bytes.windows(8).position(|eight| eight == length.to_le_bytes()).unwrap();
    bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert!(read(&bytes).unwrap_err().contains("smaller batches"));
}

#[test]
fn a_length_that_is_not_true_is_refused_before_anything_is_allocated() {
    let whole = stream();
    for end in [9, whole.len() / 3, whole.len() / 2] {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    let mut long = whole.clone();
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(read(&long).unwrap_err().contains("ends within a message"));
    assert!(read(&[0xff; 64]).is_err());
    // Any byte of the metadata may be anything: it is refused, or read, and nothing else.
    for at in 0..whole.len().min(600) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let _ = std::panic::catch_unwind(|| read(&bytes).map(|rows| rows.len()));
    }
}

#[test]
fn a_column_that_is_not_read_is_named() {
    let field = Field::new("span", DataType::Duration(arrow_schema::TimeUnit::Second), true);
    let batch = RecordBatch::new_empty(Arc::new(Schema::new(vec![field])));
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    assert!(read(&writer.into_inner().unwrap()).unwrap_err().contains("`span`"));
}
