//! Tables in CSV as items: each row an object under the names of the header.
//!
//! Columns that Retort writes as JSON text become JSON again, and what the spreadsheet dialect guards is unguarded, so
//! every CSV file that Retort writes is read. Delimiter and byte order mark are found out.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::LazyLock;

use retort_json::{Kind, Parser, write_string};

use super::python;
use crate::data::{self, ShapeOptions, Type};
use crate::file::unguard;

/// Bytes of the header that are looked at.
const HEADER_BYTES: usize = 64 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The rows of a table, each as the JSON text of an object.
pub struct Table<R> {
    records: csv::ByteRecordsIntoIter<io::Chain<io::Cursor<Vec<u8>>, R>>,
    columns: Vec<String>,
    /// Whether cells may be guarded: Retort's spreadsheet dialect begins with a byte order mark.
    is_guarded: bool,
}

impl<R: Read> Table<R> {
    /// A table whose first row is its header.
    ///
    /// # Errors
    /// Those of the input.
    pub fn read(mut input: R) -> io::Result<Self> {
        let mut start = Vec::new();
        (&mut input).take(HEADER_BYTES as u64).read_to_end(&mut start)?;
        let is_guarded = start.starts_with(BOM);
        if is_guarded {
            start.drain(..BOM.len());
        }
        let delimiter = match named_delimiter(&start) {
            Some((delimiter, line)) => {
                start.drain(..line);
                delimiter
            }
            None => delimiter_of(&start),
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(io::Cursor::new(start).chain(input));
        let columns = reader
            .byte_headers()?
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        Ok(Self { records: reader.into_byte_records(), columns, is_guarded })
    }

    /// The names in the header.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    fn row(&self, record: &csv::ByteRecord) -> String {
        let mut out = String::from("{");
        for (at, cell) in record.iter().enumerate() {
            // An empty cell is how CSV says that there is nothing.
            if cell.is_empty() {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            match self.columns.get(at).filter(|name| !name.is_empty()) {
                Some(name) => write_string(name, &mut out),
                None => write_string(&format!("column {}", at + 1), &mut out),
            }
            out.push(':');
            let cell = String::from_utf8_lossy(cell);
            let cell = if self.is_guarded { unguard(&cell) } else { &cell };
            let name = self.columns.get(at).map_or("", String::as_str);
            match value(name, cell) {
                Some(json) => out.push_str(&json),
                None => write_string(cell, &mut out),
            }
        }
        out.push('}');
        out
    }
}

impl<R: Read> Iterator for Table<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.map(|record| self.row(&record)).map_err(io::Error::from))
    }
}

/// The delimiter from a first line such as Excel's `sep=;`, and the length of that line.
fn named_delimiter(start: &[u8]) -> Option<(u8, usize)> {
    let line = start.iter().position(|byte| *byte == b'\n')? + 1;
    match start.get(..line)?.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some((*delimiter, line)),
        _ => None,
    }
}

/// The delimiter that the header has most of, outside of quotes.
fn delimiter_of(start: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut is_quoted = false;
    for &byte in start {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            _ if !is_quoted => {
                for (delimiter, count) in &mut counts {
                    *count += u32::from(byte == *delimiter);
                }
            }
            _ => {}
        }
    }
    // Of those with the same count the first.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

/// Columns of any data format that hold something else than text.
static JSON_COLUMNS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let options = ShapeOptions::default();
    let mut columns = BTreeSet::from(["conversations", "messages", "tools"].map(str::to_owned));
    for format in data::FORMATS {
        let schema = format.schema(&options, true);
        let nested = schema.columns().filter(|one| !matches!(one.kind, Type::Text | Type::Word));
        columns.extend(nested.map(|column| column.name.to_owned()));
    }
    columns
});

/// The JSON value of a cell, if its column contains JSON or, as pandas writes it, lists and dicts as Python prints them.
fn value(name: &str, cell: &str) -> Option<String> {
    if !JSON_COLUMNS.contains(name) {
        return None;
    }
    if let Some(json) = json_in(cell) {
        return Some(json);
    }
    python::json_of(cell)
}

/// The JSON value of a cell that is JSON, but not a string.
fn json_in(cell: &str) -> Option<String> {
    let mut parser = Parser::lenient(cell);
    let is_text = matches!(parser.kind().ok()?, Kind::String);
    let raw = parser.raw().ok()?;
    parser.end().ok()?;
    (!is_text).then(|| raw.as_str().to_owned())
}
