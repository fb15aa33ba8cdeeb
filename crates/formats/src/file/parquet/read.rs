//! Parquet files as rows of JSON.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use retort_model::json::write_string;

use super::super::ReadSeek;
use super::broken;

/// The rows of a file, each a JSON object.
pub(super) fn rows(
    input: Box<dyn ReadSeek>,
) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let reader = SerializedFileReader::new(SharedInput::new(input)?).map_err(broken)?;
    let rows = RowIter::from_file_into(Box::new(reader));
    Ok(rows.map(|row| {
        let mut out = String::new();
        write_row(&row.map_err(broken)?, &mut out);
        Ok(out)
    }))
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

fn write_row(row: &Row, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (name, value) in row.get_column_iter() {
        // What is absent is left out, as in JSON Lines.
        if matches!(value, Field::Null) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Field, out: &mut String) {
    match value {
        Field::Str(text) => write_string(text, out),
        Field::Long(number) => out.push_str(&number.to_string()),
        Field::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Field::Float(number) if number.is_finite() => {
            out.push_str(zmij::Buffer::new().format_finite(*number));
        }
        Field::Double(number) if number.is_finite() => {
            out.push_str(zmij::Buffer::new().format_finite(*number));
        }
        Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_) => out.push_str(&value.to_string()),
        Field::Null => out.push_str("null"),
        Field::Group(row) => write_row(row, out),
        Field::ListInternal(list) => {
            out.push('[');
            for (index, item) in list.elements().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        other => write_string(&other.to_string(), out),
    }
}
