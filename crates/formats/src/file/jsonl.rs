//! JSON Lines: UTF-8, one object a line, no blank lines, a final line end.

use std::io::{self, BufRead, BufReader, Write};

use retort_json::{Text, write_string};
use retort_model::Vector;
use retort_model::bounds::BATCH_BYTES;

use super::format::{
    Chunk, FileFormat, FileOptions, FileWriter, ReadSeek, Rows, front_of, texts, write_texts,
};
use super::saved::{Saved, put_bytes, put_numbers};
use crate::data::{Column, Schema, Sink, Type, write_vector};

/// The format.
pub(super) struct JsonLines;

impl FileFormat for JsonLines {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn about(&self) -> &'static str {
        "JSON Lines, for training and easy reading"
    }

    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn types_are_inferred(&self) -> bool {
        true
    }

    fn rows(&self, schema: &Schema, _options: FileOptions) -> Box<dyn Rows> {
        Box::new(JsonRows::new(schema))
    }

    fn load(
        &self,
        schema: &Schema,
        _options: FileOptions,
        saved: &[u8],
    ) -> io::Result<Box<dyn Rows>> {
        let mut saved = Saved(saved);
        let mut rows = JsonRows::new(schema);
        rows.bytes.extend_from_slice(saved.bytes()?);
        rows.ends = saved.numbers()?;
        rows.sizes = saved.numbers()?;
        rows.evidence = saved.numbers()?;
        Ok(Box::new(rows))
    }

    fn encode(&self, group: Vec<Box<dyn Rows>>, _options: FileOptions) -> io::Result<Chunk> {
        texts(group, |batch: JsonRows| (batch.ends.len(), batch.bytes))
    }

    fn writer(&self, _schema: &Schema, _options: FileOptions) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Lines))
    }

    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>> {
        Ok(Box::new(BufReader::with_capacity(1 << 18, input).lines()))
    }
}

struct Lines;

impl FileWriter for Lines {
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
        write_texts(chunk, out)
    }

    fn finish(self: Box<Self>, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Rows as lines of JSON.
pub(super) struct JsonRows {
    places: Places,
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
    sizes: Vec<u32>,
    evidence: Vec<u64>,
    seen: u64,
    /// Where the writer stands: the containers that are open.
    open: Vec<Frame>,
}

/// The places that a schema has for values: its columns first, then what is inside them.
struct Places(Vec<ValuePlace>);

/// A column, a field of a struct or the items of a list.
#[derive(Default)]
struct ValuePlace {
    /// `"name":`; nothing for items.
    key: Box<str>,
    null_if_absent: bool,
    /// The bit of what readers can learn from a value that is there.
    evidence: u64,
    /// Where the first place inside stands.
    inside: usize,
}

/// A container that is open.
struct Frame {
    /// The place that is due.
    at: usize,
    is_list: bool,
    /// Whether anything is in it.
    begun: bool,
}

impl Places {
    fn of(schema: &Schema) -> Self {
        let mut places = Self(Vec::with_capacity(2 * schema.len()));
        places.add_fields(schema.columns(), &mut 0);
        places
    }

    /// Adds columns or fields, one behind the other. Each list and each optional value has a bit of its own.
    fn add_fields<'c>(
        &mut self,
        fields: impl Iterator<Item = Column<'c>>,
        bits: &mut u32,
    ) -> usize {
        let first = self.0.len();
        let mut kinds = Vec::new();
        for field in fields {
            kinds.push((field.kind, field.optional));
            let key = format!("\"{}\":", field.name).into();
            let null_if_absent = field.null_if_absent;
            self.0.push(ValuePlace { key, null_if_absent, ..ValuePlace::default() });
        }
        for (at, (kind, optional)) in (first..).zip(kinds) {
            let evidence = if optional { next_bit(bits) } else { 0 };
            let inside = self.add_inside(kind, bits);
            if let Some(place) = self.0.get_mut(at) {
                (place.evidence, place.inside) = (evidence, inside);
            }
        }
        first
    }

    /// Adds what is inside a value of this type.
    fn add_inside(&mut self, kind: Type, bits: &mut u32) -> usize {
        match kind {
            Type::List(item) => {
                let at = self.0.len();
                let evidence = next_bit(bits);
                self.0.push(ValuePlace { evidence, ..ValuePlace::default() });
                let inside = self.add_inside(*item, bits);
                if let Some(place) = self.0.get_mut(at) {
                    place.inside = inside;
                }
                at
            }
            Type::Struct(fields) => {
                self.add_fields(fields.iter().map(|field| field.as_column()), bits)
            }
            Type::Text
            | Type::Word
            | Type::Int
            | Type::Bool
            | Type::Json
            | Type::Object
            | Type::Vector32
            | Type::Vector64 => 0,
        }
    }
}

/// A bit that is not taken yet; none when there are no more.
fn next_bit(taken: &mut u32) -> u64 {
    *taken += 1;
    1_u64.checked_shl(*taken - 1).unwrap_or(0)
}

impl JsonRows {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            places: Places::of(schema),
            bytes: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 2),
            ends: Vec::new(),
            sizes: Vec::new(),
            evidence: Vec::new(),
            seen: 0,
            open: Vec::with_capacity(8),
        }
    }

    /// Steps to the place of the next value and writes what comes before it: a bracket or a comma, and its key.
    fn begin(&mut self, is_there: bool) {
        let Some(frame) = self.open.last_mut() else { return };
        let Some(place) = self.places.0.get(frame.at) else { return };
        if !is_there && !place.null_if_absent {
            return;
        }
        self.bytes.push(match (frame.begun, frame.is_list) {
            (true, _) => b',',
            (false, true) => b'[',
            (false, false) => b'{',
        });
        frame.begun = true;
        self.bytes.extend_from_slice(place.key.as_bytes());
        if is_there {
            self.seen |= place.evidence;
        } else {
            self.bytes.extend_from_slice(b"null");
        }
    }

    /// Steps behind a value.
    fn end(&mut self) {
        if let Some(frame) = self.open.last_mut() {
            frame.at += usize::from(!frame.is_list);
        }
    }

    fn open(&mut self, is_list: bool) {
        self.begin(true);
        if let Some(place) = self.open.last().and_then(|frame| self.places.0.get(frame.at)) {
            self.open.push(Frame { at: place.inside, is_list, begun: false });
        }
    }

    fn close(&mut self) {
        self.bytes.extend_from_slice(match self.open.pop() {
            Some(Frame { is_list: true, begun: true, .. }) => b"]",
            Some(Frame { is_list: true, begun: false, .. }) => b"[]",
            Some(Frame { is_list: false, begun: true, .. }) => b"}",
            Some(Frame { is_list: false, begun: false, .. }) => b"{}",
            None => b"",
        });
    }

    /// Begins to write the value of one column alone.
    pub(super) fn begin_column(&mut self, column: usize) {
        self.bytes.clear();
        self.open.clear();
        self.open.push(Frame { at: column, is_list: false, begun: false });
    }

    /// The buffer that ends with the JSON text of the column that was begun, and where that text starts: behind its name
    /// if the buffer `has_name`. It is not copied: it may be as large as an item.
    pub(super) fn end_column(&mut self, has_name: bool) -> (String, usize) {
        self.open.clear();
        self.take_column(has_name)
    }

    /// As [`Self::end_column`], of what there is of a column that goes on.
    pub(super) fn take_column(&mut self, has_name: bool) -> (String, usize) {
        let text = String::from_utf8(std::mem::take(&mut self.bytes))
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        // Behind `{"name":`, which comes before the value.
        let start = if has_name { text.find(':').map_or(text.len(), |colon| colon + 1) } else { 0 };
        (text, start)
    }

    /// Takes the buffer back for the next column.
    pub(super) fn reuse(&mut self, buffer: String) {
        self.bytes = buffer.into_bytes();
    }
}

impl Sink for JsonRows {
    fn begin_row(&mut self) {
        self.seen = 0;
        self.open.clear();
        if !self.places.0.is_empty() {
            self.open.push(Frame { at: 0, is_list: false, begun: false });
        }
    }

    fn end_row(&mut self) {
        self.close();
        self.bytes.push(b'\n');
        let start = self.ends.last().copied().unwrap_or(0);
        self.sizes.push(u32::try_from(self.bytes.len() - start - 1).unwrap_or(u32::MAX));
        self.ends.push(self.bytes.len());
        self.evidence.push(self.seen);
    }

    fn text(&mut self, text: &Text<'_>) {
        self.begin(true);
        text.write_string(&mut self.bytes);
        self.end();
    }

    fn int(&mut self, number: i64) {
        self.begin(true);
        self.bytes.extend_from_slice(number.to_string().as_bytes());
        self.end();
    }

    fn json(&mut self, text: &str) {
        self.begin(true);
        self.bytes.extend_from_slice(text.as_bytes());
        self.end();
    }

    fn vector(&mut self, vector: &Vector) {
        self.begin(true);
        write_vector(vector, &mut self.bytes);
        self.end();
    }

    fn absent(&mut self) {
        self.begin(false);
        self.end();
    }

    fn open_list(&mut self) {
        self.open(true);
    }

    fn close_list(&mut self) {
        self.close();
        self.end();
    }

    fn open_struct(&mut self) {
        self.open(false);
    }

    fn close_struct(&mut self) {
        self.close();
        self.end();
    }

    fn str(&mut self, text: &str) {
        self.begin(true);
        write_string(text, &mut self.bytes);
        self.end();
    }
}

impl Rows for JsonRows {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn reserve(&mut self, item_bytes: usize) {
        self.bytes.reserve_exact(item_bytes);
    }

    fn row_sizes(&self) -> &[u32] {
        &self.sizes
    }

    fn evidence(&self) -> &[u64] {
        &self.evidence
    }

    fn row(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end)
    }

    fn remove(&mut self, index: usize) {
        let Some(length) = self.row(index).map(<[u8]>::len) else { return };
        let end = self.ends.remove(index);
        self.bytes.drain(end - length..end);
        for later in self.ends.iter_mut().skip(index) {
            *later -= length;
        }
        self.sizes.remove(index);
        self.evidence.remove(index);
    }

    fn take_front(&mut self, count: usize) -> Box<dyn Rows> {
        let ends = front_of(&mut self.ends, count);
        let end = ends.last().copied().unwrap_or(0);
        self.ends.iter_mut().for_each(|later| *later -= end);
        Box::new(Self {
            places: Places(Vec::new()),
            bytes: front_of(&mut self.bytes, end),
            ends,
            sizes: front_of(&mut self.sizes, count),
            evidence: front_of(&mut self.evidence, count),
            seen: 0,
            open: Vec::new(),
        })
    }

    fn save(&self, out: &mut Vec<u8>) {
        put_bytes(&self.bytes, out);
        put_numbers(&self.ends, out);
        put_numbers(&self.sizes, out);
        put_numbers(&self.evidence, out);
    }
}
