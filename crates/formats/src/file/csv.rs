//! CSV, RFC 4180: text as it stands, other values as their JSON text.
//!
//! The spreadsheet dialect begins with a byte order mark, without which Excel takes the file for another
//! encoding, and guards cells that a spreadsheet would run as formulas with a leading `'`. Retort's own reader
//! takes the guard away again; the plain dialect does none of it.

use std::io::{self, Read, Write};

use retort_json::{Text, Value, write_string};
use retort_model::bounds::SPREADSHEET_CELL;
use retort_model::{Time, Vector};

use super::format::{
    Chunk, CsvDialect, FileFormat, FileOptions, FileWriter, ReadSeek, Rows, front_of, texts,
    write_texts,
};
use super::jsonl::JsonRows;
use super::saved::{Saved, put_bytes, put_numbers};
use crate::data::{Schema, Sink, Type, vector_json};

/// The format.
pub(super) struct Csv;

/// Bytes from which on the room for a cell is made to measure, and not kept for the next.
const LARGE_CELL: usize = 1 << 20;

/// Bytes of a nested cell after which it is written as it comes, instead of as a whole.
const CELL_PIECE: usize = 256 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

impl FileFormat for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "CSV, for spreadsheets (not for training)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn is_nested(&self) -> bool {
        false
    }

    fn rows(&self, schema: &Schema, options: FileOptions) -> Box<dyn Rows> {
        Box::new(CsvRows::new(schema, options))
    }

    fn load(
        &self,
        schema: &Schema,
        options: FileOptions,
        saved: &[u8],
    ) -> io::Result<Box<dyn Rows>> {
        let mut saved = Saved(saved);
        let mut rows = CsvRows::new(schema, options);
        rows.bytes.extend_from_slice(saved.bytes()?);
        rows.sizes = saved.numbers()?;
        rows.evidence = vec![0; rows.sizes.len()];
        Ok(Box::new(rows))
    }

    fn encode(&self, group: Vec<Box<dyn Rows>>, _options: FileOptions) -> io::Result<Chunk> {
        texts(group, |batch: CsvRows| (batch.sizes.len(), batch.bytes))
    }

    fn writer(&self, schema: &Schema, options: FileOptions) -> io::Result<Box<dyn FileWriter>> {
        let mut header = Vec::new();
        if options.csv == CsvDialect::Spreadsheet {
            header.extend_from_slice(BOM);
        }
        let names: Vec<_> = schema.columns().map(|column| column.name).collect();
        header.extend_from_slice(names.join(",").as_bytes());
        header.extend_from_slice(b"\r\n");
        Ok(Box::new(Cells { header }))
    }

    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>> {
        let mut input = io::BufReader::new(input);
        let mut start = [0; 3];
        let length = read_up_to(&mut input, &mut start)?;
        let guarded = start.get(..length) == Some(BOM);
        let rest = if guarded { &[][..] } else { start.get(..length).unwrap_or_default() };
        let input = io::Cursor::new(rest.to_vec()).chain(input);
        let mut reader = csv::ReaderBuilder::new().from_reader(input);
        let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        Ok(Box::new(
            reader.into_records().map(move |record| Ok(object_of(&names, &record?, guarded))),
        ))
    }
}

fn read_up_to(input: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < into.len() {
        match input.read(into.get_mut(length..).unwrap_or_default())? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn object_of(names: &[String], record: &csv::StringRecord, guarded: bool) -> String {
    let mut out = String::from("{");
    for (index, (name, cell)) in names.iter().zip(record).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, &mut out);
        out.push(':');
        write_string(if guarded { unguard(cell) } else { cell }, &mut out);
    }
    out.push('}');
    out
}

/// Characters that begin a formula, also as full-width forms, and white space that spreadsheets pass over before one.
const BEGIN_FORMULAS: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Whether a spreadsheet would run the cell, or might take it for one that was guarded. Numbers are no formulas.
fn needs_guard(cell: &str) -> bool {
    let cell = cell.trim_start_matches('\'');
    cell.starts_with(BEGIN_FORMULAS) && !is_number(cell)
}

/// Whether the cell is a plain number, such as `-0.5` or `+1e-9`.
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.parse::<f64>().is_ok()
}

pub(crate) fn unguard(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if needs_guard(rest) => rest,
        _ => cell,
    }
}

/// Whether CSV readers take the cell for something else than text.
fn is_ambiguous(cell: &str) -> bool {
    if cell.is_empty() || cell.len() > 40 {
        return false;
    }
    matches!(
        cell,
        "NA" | "N/A"
            | "n/a"
            | "NaN"
            | "nan"
            | "null"
            | "NULL"
            | "None"
            | "#N/A"
            | "<NA>"
            | "-nan"
            | "true"
            | "false"
            | "True"
            | "False"
    ) || cell.trim().parse::<f64>().is_ok()
        || Time::parse(cell).is_ok()
}

/// Whether a cell has to be quoted for a character in it.
fn has_special(cell: &str) -> bool {
    cell.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'))
}

struct Cells {
    header: Vec<u8>,
}

impl FileWriter for Cells {
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&std::mem::take(&mut self.header))?;
        write_texts(chunk, out)
    }

    fn finish(self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header)
    }
}

/// Rows as lines of cells.
struct CsvRows {
    schema: Schema,
    options: FileOptions,
    /// Makes the JSON text of a nested value.
    cells: JsonRows,
    depth: usize,
    column: usize,
    cell: String,
    /// Characters that were written of the nested cell that is open, if it has begun.
    begun: Option<usize>,
    bytes: Vec<u8>,
    row_start: usize,
    sizes: Vec<u32>,
    evidence: Vec<u64>,
    counts: [u64; 3],
}

impl CsvRows {
    fn new(schema: &Schema, options: FileOptions) -> Self {
        Self {
            schema: schema.clone(),
            options,
            cells: JsonRows::new(schema),
            depth: 0,
            column: 0,
            cell: String::new(),
            begun: None,
            bytes: Vec::new(),
            row_start: 0,
            sizes: Vec::new(),
            evidence: Vec::new(),
            counts: [0; 3],
        }
    }

    fn write_cell(&mut self, cell: &str) {
        if self.column > 0 {
            self.bytes.push(b',');
        }
        self.column += 1;
        let spreadsheet = self.options.csv == CsvDialect::Spreadsheet;
        let guard = spreadsheet && needs_guard(cell);
        self.counts[0] += u64::from(guard);
        if spreadsheet && cell.len() > SPREADSHEET_CELL && cell.chars().count() > SPREADSHEET_CELL {
            self.counts[1] += 1;
        }
        if is_ambiguous(cell) {
            self.counts[2] += 1;
        }
        let quote =
            has_special(cell) || cell.starts_with([' ', '\t']) || cell.ends_with([' ', '\t']);
        if cell.len() > LARGE_CELL {
            // Growing by doubling would take up to twice the cell, and the old buffer beside the new one.
            let quotes = cell.bytes().filter(|byte| *byte == b'"').count();
            self.bytes.reserve_exact(cell.len() + quotes + 8);
        }
        if quote {
            self.bytes.push(b'"');
        }
        if guard {
            self.bytes.push(b'\'');
        }
        if quote {
            self.write_quoted(cell);
            self.bytes.push(b'"');
        } else {
            self.bytes.extend_from_slice(cell.as_bytes());
        }
    }

    /// Writes the inside of a quoted cell, or a piece of it.
    fn write_quoted(&mut self, text: &str) {
        for (index, piece) in text.split('"').enumerate() {
            if index > 0 {
                self.bytes.extend_from_slice(b"\"\"");
            }
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }

    /// Writes what there is of a nested cell if that is much, so that a large one is not in memory twice.
    fn write_piece(&mut self) {
        if self.cells.bytes.len() < CELL_PIECE {
            return;
        }
        let (buffer, start) = self.cells.take_column(self.begun.is_none());
        let piece = buffer.get(start..).unwrap_or_default();
        if self.begun.is_none() {
            if !has_special(piece) {
                // Whether it is quoted is not known yet.
                return self.cells.reuse(buffer);
            }
            if self.column > 0 {
                self.bytes.push(b',');
            }
            self.bytes.push(b'"');
        }
        self.write_quoted(piece);
        self.begun = Some(self.begun.unwrap_or(0) + piece.chars().count());
        if buffer.capacity() <= LARGE_CELL {
            self.cells.reuse(buffer);
            self.cells.bytes.clear();
        }
    }

    /// Begins to gather the JSON text of a nested column.
    fn open(&mut self) {
        if self.depth == 0 {
            self.cells.begin_column(self.column);
        }
        self.depth += 1;
    }

    /// Ends it; the outermost is a cell.
    fn close(&mut self) {
        self.depth -= 1;
        if self.depth == 0 {
            let begun = self.begun.take();
            let (buffer, start) = self.cells.end_column(begun.is_none());
            let rest = buffer.get(start..).unwrap_or_default();
            match begun {
                None => self.write_cell(rest),
                // It begins as a list or an object does, so it is no formula, number or time.
                Some(characters) => {
                    self.write_quoted(rest);
                    self.bytes.push(b'"');
                    self.column += 1;
                    let spreadsheet = self.options.csv == CsvDialect::Spreadsheet;
                    let is_long = characters + rest.chars().count() > SPREADSHEET_CELL;
                    self.counts[1] += u64::from(spreadsheet && is_long);
                }
            }
            if buffer.capacity() <= LARGE_CELL {
                self.cells.reuse(buffer);
            }
        }
    }
}

impl Sink for CsvRows {
    fn begin_row(&mut self) {
        self.column = 0;
        self.depth = 0;
        self.row_start = self.bytes.len();
    }

    fn end_row(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
        self.sizes.push(u32::try_from(self.bytes.len() - self.row_start).unwrap_or(u32::MAX));
        self.evidence.push(0);
        debug_assert_eq!(self.column, self.schema.len());
    }

    fn text(&mut self, text: &Text<'_>) {
        if self.depth > 0 {
            self.cells.text(text);
            return self.write_piece();
        }
        if let Text::Plain(cell) = text {
            return self.write_cell(cell);
        }
        let mut cell = std::mem::take(&mut self.cell);
        cell.clear();
        text.push_to(&mut cell);
        self.write_cell(&cell);
        if cell.capacity() <= LARGE_CELL {
            self.cell = cell;
        }
    }

    fn int(&mut self, number: i64) {
        if self.depth > 0 {
            self.cells.int(number);
            return self.write_piece();
        }
        self.write_cell(&number.to_string());
    }

    fn json(&mut self, text: &str) {
        if self.depth > 0 {
            self.cells.json(text);
            return self.write_piece();
        }
        // A JSON text or null as a cell: as programs expect text and nothing in CSV.
        let is_json_column =
            matches!(self.schema.column(self.column).map(|column| column.kind), Some(Type::Json));
        // A list or an object may be large, and is its text.
        let is_scalar = is_json_column && text.trim_start().starts_with(['"', 'n']);
        match is_scalar.then(|| Value::parse(text)) {
            Some(Ok(Value::String(inner))) => self.write_cell(&inner),
            Some(Ok(Value::Null)) => self.write_cell(""),
            _ => self.write_cell(text),
        }
    }

    fn vector(&mut self, vector: &Vector) {
        if self.depth > 0 {
            self.cells.vector(vector);
            return self.write_piece();
        }
        self.write_cell(&vector_json(vector));
    }

    fn absent(&mut self) {
        if self.depth > 0 {
            self.cells.absent();
            return self.write_piece();
        }
        self.write_cell("");
    }

    fn open_list(&mut self) {
        self.open();
        self.cells.open_list();
    }

    fn close_list(&mut self) {
        self.cells.close_list();
        self.close();
    }

    fn open_struct(&mut self) {
        self.open();
        self.cells.open_struct();
    }

    fn close_struct(&mut self) {
        self.cells.close_struct();
        self.close();
    }
}

impl Rows for CsvRows {
    fn count(&self) -> usize {
        self.sizes.len()
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn reserve(&mut self, item_bytes: usize) {
        // Quotation marks are doubled, and some columns repeat what others have.
        self.bytes.reserve_exact(item_bytes * 2);
    }

    fn row_sizes(&self) -> &[u32] {
        &self.sizes
    }

    fn evidence(&self) -> &[u64] {
        &self.evidence
    }

    fn cells(&self) -> [u64; 3] {
        self.counts
    }

    fn take_front(&mut self, count: usize) -> Box<dyn Rows> {
        let sizes = front_of(&mut self.sizes, count);
        let end = sizes.iter().map(|&size| size as usize).sum();
        Box::new(Self {
            bytes: front_of(&mut self.bytes, end),
            sizes,
            evidence: front_of(&mut self.evidence, count),
            ..Self::new(&self.schema, self.options)
        })
    }

    fn save(&self, out: &mut Vec<u8>) {
        put_bytes(&self.bytes, out);
        put_numbers(&self.sizes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Field;

    #[test]
    fn the_guard_is_put_on_what_spreadsheets_run_and_comes_off_again() {
        for cell in [
            "=1+1", "+x", "-x", "@x", "\tx", "\rx", "\n=1", "＝1+1", "'=1", "''=1", "'", "'x",
            "x=1", "", "'''", "-1+cmd|x", "-", "+1 234", "-inf", "'-5",
        ] {
            let written = if needs_guard(cell) { format!("'{cell}") } else { cell.to_owned() };
            assert!(!written.starts_with(BEGIN_FORMULAS), "{cell}");
            assert_eq!(unguard(&written), cell, "{cell}");
        }
    }

    #[test]
    fn a_large_nested_cell_is_written_in_pieces_as_it_would_be_as_a_whole() {
        let schema = Schema::chosen(vec![Field::required("messages", Type::List(&Type::Text))]);
        let written = |texts: &[String]| {
            let mut rows = CsvRows::new(&schema, FileOptions::default());
            rows.begin_row();
            rows.open_list();
            for text in texts {
                rows.text(&Text::from(text.as_str()));
            }
            rows.close_list();
            rows.end_row();
            (String::from_utf8(rows.bytes).unwrap(), rows.counts)
        };
        for texts in [
            vec!["say \"hi\", ".repeat(1000); 100],
            vec!["long".repeat(CELL_PIECE)],
            vec!["\u{e4}\n".repeat(CELL_PIECE / 3), "b".into()],
            vec!["a".into(), "b".into()],
        ] {
            let (line, counts) = written(&texts);
            let json = serde_json::to_string(&texts).unwrap();
            assert_eq!(line, format!("\"{}\"\r\n", json.replace('"', "\"\"")));
            assert_eq!(counts, [0, u64::from(json.chars().count() > SPREADSHEET_CELL), 0]);
        }
    }

    #[test]
    fn numbers_are_left_alone() {
        for cell in ["-5", "+1.5", "-0.25e-3", "-.5", "0", "1e9"] {
            assert!(!needs_guard(cell), "{cell}");
            assert_eq!(unguard(cell), cell);
        }
    }
}
