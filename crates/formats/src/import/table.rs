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

/// The rows of a table, each as the JSON text of an object. A row whose cells are not UTF-8 is not UTF-8 either.
pub struct Table<R> {
    records: csv::ByteRecordsIntoIter<Quotes<io::Chain<io::Cursor<Vec<u8>>, R>>>,
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
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(Quotes {
                input: io::Cursor::new(start).chain(input),
                delimiter,
                state: Cell::Start,
                is_at_end: false,
            });
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

    fn row(&self, record: &csv::ByteRecord) -> Vec<u8> {
        let mut out = String::from("{");
        let mut row = Vec::new();
        for (at, cell) in record.iter().enumerate() {
            // An empty cell is how CSV says that there is nothing.
            if cell.is_empty() {
                continue;
            }
            if row.len() + out.len() > 1 {
                out.push(',');
            }
            match self.columns.get(at).filter(|name| !name.is_empty()) {
                Some(name) => write_string(name, &mut out),
                None => write_string(&format!("column {}", at + 1), &mut out),
            }
            out.push(':');
            let Ok(cell) = std::str::from_utf8(cell) else {
                // The row is refused for these bytes, so the others of the cell do not matter.
                row.append(&mut std::mem::take(&mut out).into_bytes());
                row.push(b'"');
                row.extend(cell.iter().filter(|byte| !byte.is_ascii()));
                row.push(b'"');
                continue;
            };
            let cell = if self.is_guarded { unguard(cell) } else { cell };
            let name = self.columns.get(at).map_or("", String::as_str);
            match value(name, cell) {
                Some(json) => out.push_str(&json),
                None => write_string(cell, &mut out),
            }
        }
        out.push('}');
        row.append(&mut out.into_bytes());
        row
    }
}

impl<R: Read> Iterator for Table<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error.into())),
        };
        if self.records.reader().get_ref().is_left_open() {
            // What follows the quote may be many rows.
            let line = record.position().map_or(0, csv::Position::line);
            let why = format!("a quote in the row that begins on line {line} is never closed");
            return Some(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Some(Ok(self.row(&record)))
    }
}

/// Where a cell is at a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Before its first byte.
    Start,
    /// In one without quotes, or behind them.
    Plain,
    Quoted,
    /// Behind a quote within quotes, which ends them or is one of two that mean one.
    Quote,
}

/// Follows the quotes of a table while it is read: the reader of rows takes one that ends within quotes for whole.
struct Quotes<R> {
    input: R,
    delimiter: u8,
    state: Cell,
    is_at_end: bool,
}

impl<R> Quotes<R> {
    /// Whether all was read, and the last cell is not closed.
    fn is_left_open(&self) -> bool {
        self.is_at_end && self.state == Cell::Quoted
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.is_at_end = length == 0 && !into.is_empty();
        for &byte in into.get(..length).unwrap_or_default() {
            let is_end = byte == self.delimiter || matches!(byte, b'\n' | b'\r');
            self.state = match self.state {
                Cell::Start | Cell::Quote if byte == b'"' => Cell::Quoted,
                Cell::Quoted if byte == b'"' => Cell::Quote,
                Cell::Quoted => Cell::Quoted,
                _ if is_end => Cell::Start,
                _ => Cell::Plain,
            };
        }
        Ok(length)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &[u8]) -> Vec<Result<String, String>> {
        let rows = Table::read(table).unwrap();
        let told = |row: io::Result<Vec<u8>>| match row {
            Ok(row) => String::from_utf8(row).map_err(|_| "not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        rows.map(told).collect()
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_no_other_rows_into_its_cell() {
        let row = |text: &str| Ok(text.to_owned());
        assert_eq!(
            rows(b"q,a\nx,\"y\"\nz,\"b\nc,d\n"),
            [
                row(r#"{"q":"x","a":"y"}"#),
                Err("a quote in the row that begins on line 3 is never closed".into())
            ]
        );
        for whole in ["q,a\nx,\"y\"\"\"\n", "q,a\nx,\"y\"\"\"", "q,a\r\nx,\"y\"\"\"\r\n"] {
            assert_eq!(rows(whole.as_bytes()), [row(r#"{"q":"x","a":"y\""}"#)]);
        }
        // Quotes within a cell that does not begin with one are as any other letter.
        assert_eq!(rows(b"q,a\nx,5\" wide"), [row(r#"{"q":"x","a":"5\" wide"}"#)]);
    }

    #[test]
    fn a_row_in_another_encoding_stays_what_it_is() {
        let read = rows(b"q,a\nx,caf\xe9\ny,tea\n");
        assert_eq!(read, [Err("not UTF-8".into()), Ok(r#"{"q":"y","a":"tea"}"#.into())]);
    }
}
