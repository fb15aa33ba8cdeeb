//! Arrow files and streams as rows of JSON: what `datasets` keeps in its cache, Feather files, and what Arrow's IPC writers
//! write. The cells are written as those of Parquet files are.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;

use super::cells::{Column, check, write_object};
use super::format::ReadSeek;

/// How a file with a footer begins; a stream without one begins with the bytes `FF FF FF FF`.
pub const ARROW_MAGIC: &[u8] = b"ARROW1\0\0";
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Bytes of a file up to its first message: writers align it to 64 bytes at most.
const PADDED_BYTES: u64 = 128;

/// Bytes of one record batch that are read: its arrays are in memory at once. Writers take thousands of rows for one.
const BATCH_BYTES: u64 = 1 << 30;

/// The rows of a file or stream, each a JSON object.
///
/// # Errors
/// It is not Arrow, is damaged, or has columns or batches that are not read.
pub fn arrow_rows(
    mut input: Box<dyn ReadSeek>,
) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>> {
    let start = messages_at(&mut *input)?;
    // A length that is not true would be allocated before it is noticed.
    check_lengths(&mut *input, start)?;
    input.seek(SeekFrom::Start(start))?;
    let batches =
        StreamReader::try_new(BufReader::new(input), None).map_err(|error| broken(&error))?;
    let schema = batches.schema();
    for field in schema.fields() {
        check(field.name(), field.data_type())?;
    }
    let columns: Vec<Column> = schema.fields().iter().map(|field| Column::plain(field)).collect();
    let rows =
        batches.flat_map(move |batch| -> Box<dyn Iterator<Item = io::Result<String>> + Send> {
            match batch {
                Ok(batch) => {
                    let rows: Vec<_> = (0..batch.num_rows())
                        .map(|row| Ok(object(&columns, &batch, row)))
                        .collect();
                    Box::new(rows.into_iter())
                }
                Err(error) => Box::new(std::iter::once(Err(broken(&error)))),
            }
        });
    Ok(Box::new(rows))
}

fn object(columns: &[Column], batch: &RecordBatch, row: usize) -> String {
    let mut out = String::new();
    let arrays = columns.iter().zip(batch.columns());
    write_object(
        arrays.map(|(column, array)| (column, array.as_ref() as &dyn Array)),
        row,
        &mut out,
    );
    out
}

/// Where the messages begin: a file is a stream behind its magic.
fn messages_at(input: &mut dyn ReadSeek) -> io::Result<u64> {
    let mut start = Vec::new();
    input.seek(SeekFrom::Start(0))?;
    (&mut *input).take(PADDED_BYTES).read_to_end(&mut start)?;
    let Some(padded) = start.strip_prefix(ARROW_MAGIC) else { return Ok(0) };
    let padding = padded.iter().take_while(|byte| **byte == 0).count();
    Ok((ARROW_MAGIC.len() + padding) as u64)
}

/// Walks over the messages, and refuses those that say they are longer than the file, or than is read at once.
fn check_lengths(input: &mut dyn ReadSeek, start: u64) -> io::Result<()> {
    let end = input.seek(SeekFrom::End(0))?;
    let mut at = start;
    let mut schemas = 0;
    loop {
        input.seek(SeekFrom::Start(at))?;
        let mut prefix = [0; 8];
        match input.read_exact(&mut prefix) {
            Ok(()) => {}
            // Streams that were not closed have no end mark.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && at > start => break,
            Err(error) => return Err(error),
        }
        let [a, b, c, d, e, f, g, h] = prefix;
        if [a, b, c, d] != CONTINUATION {
            return Err(damaged("a message has an invalid header"));
        }
        let length = u64::from(u32::from_le_bytes([e, f, g, h]));
        if length == 0 {
            break;
        }
        if length > end.saturating_sub(at + 8) {
            return Err(damaged("it ends within a message"));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
        input.read_exact(&mut header)?;
        let message = arrow_ipc::root_as_message(&header)
            .map_err(|error| damaged(&format!("a message is invalid: {error}")))?;
        schemas += usize::from(message.header_as_schema().is_some());
        let body =
            u64::try_from(message.bodyLength()).map_err(|_| damaged("a message is invalid"))?;
        at += 8 + length;
        if body > end.saturating_sub(at) {
            return Err(damaged("it ends within a message"));
        }
        if body > BATCH_BYTES {
            return Err(too_large(body));
        }
        check_unpacked(input, &message, at)?;
        at += body;
    }
    if schemas == 1 { Ok(()) } else { Err(damaged("it has no schema")) }
}

/// Refuses a compressed batch that says it unpacks to more than is read at once: each buffer begins with its length, which
/// would be allocated before it is noticed that it is not true.
fn check_unpacked(
    input: &mut dyn ReadSeek,
    message: &arrow_ipc::Message<'_>,
    body_at: u64,
) -> io::Result<()> {
    let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
    let Some(batch) = message.header_as_record_batch().or(dictionary) else { return Ok(()) };
    let (Some(_), Some(buffers)) = (batch.compression(), batch.buffers()) else { return Ok(()) };
    let mut unpacked = 0_u64;
    for buffer in buffers {
        let offset = u64::try_from(buffer.offset()).map_err(|_| damaged("a message is invalid"))?;
        if buffer.length() < 8 {
            continue;
        }
        input.seek(SeekFrom::Start(body_at.saturating_add(offset)))?;
        let mut length = [0; 8];
        input.read_exact(&mut length)?;
        // -1 stands for bytes that are not compressed.
        unpacked = unpacked.saturating_add(u64::try_from(i64::from_le_bytes(length)).unwrap_or(0));
    }
    if unpacked > BATCH_BYTES {
        return Err(too_large(unpacked));
    }
    Ok(())
}

fn too_large(bytes: u64) -> io::Error {
    let why = format!(
        "one of its record batches has {} MiB, and at most {} MiB are read at once; write it in smaller batches",
        bytes >> 20,
        BATCH_BYTES >> 20
    );
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn broken(error: &ArrowError) -> io::Error {
    damaged(&error.to_string())
}
