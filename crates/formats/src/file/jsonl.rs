//! JSON Lines: UTF-8, one object a line, no blank lines, a final line end.

use std::io::{self, BufRead, BufReader, Write};

use retort_model::bounds::BATCH_BYTES;
use retort_model::json::write_string;
use retort_model::{Text, Vector};

use super::{Chunk, FileFormat, FileOptions, FileWriter, ReadSeek, Rows, body, own};
use crate::data::{Field, Schema, Sink, Type, write_vector};

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

    fn encode(&self, group: Vec<Box<dyn Rows>>, _options: FileOptions) -> io::Result<Chunk> {
        let mut bytes = Vec::new();
        let mut rows = 0;
        for batch in group {
            let batch = own::<JsonRows>(batch)?;
            rows += batch.ends.len() as u64;
            if bytes.is_empty() {
                bytes = batch.bytes;
            } else {
                bytes.extend_from_slice(&batch.bytes);
            }
        }
        Ok(Chunk { rows, body: Box::new(bytes) })
    }

    fn writer(&self, _schema: &Schema, _options: FileOptions) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Lines))
    }

    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>>>> {
        Ok(Box::new(BufReader::with_capacity(1 << 18, input).lines()))
    }
}

struct Lines;

impl FileWriter for Lines {
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&body::<Vec<u8>>(chunk)?)
    }

    fn finish(self: Box<Self>, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Rows as lines of JSON.
pub(super) struct JsonRows {
    schema: Schema,
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
    sizes: Vec<u32>,
    evidence: Vec<u64>,
    seen: u64,
    /// Where the writer stands: the containers that are open.
    open: Vec<Frame>,
}

enum Frame {
    Row { at: usize, begun: bool, node: u32 },
    Struct { fields: &'static [Field], at: usize, begun: bool, node: u32 },
    List { item: &'static Type, filled: bool, node: u32 },
}

/// Bits of evidence below a type, so that each list and optional field of a schema has its own.
fn nodes(kind: &Type) -> u32 {
    match kind {
        Type::List(item) => 1 + nodes(item),
        Type::Struct(fields) => {
            fields.iter().map(|field| u32::from(field.optional) + nodes(&field.kind)).sum()
        }
        Type::Text | Type::Word | Type::Int | Type::Json | Type::Vector32 | Type::Vector64 => 0,
    }
}

impl JsonRows {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.clone(),
            bytes: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 2),
            ends: Vec::new(),
            sizes: Vec::new(),
            evidence: Vec::new(),
            seen: 0,
            open: Vec::with_capacity(8),
        }
    }

    /// Steps to the place of the next value and writes what stands before it: its key, or a comma.
    fn place(&mut self, present: bool) {
        let (column, begun, node) = match self.open.last_mut() {
            Some(Frame::Row { at, begun, node }) => (self.schema.column(*at), begun, *node),
            Some(Frame::Struct { fields, at, begun, node }) => {
                (fields.get(*at).map(Field::as_column), begun, *node)
            }
            Some(Frame::List { filled, node, .. }) => {
                self.bytes.push(if *filled { b',' } else { b'[' });
                *filled = true;
                self.seen |= 1_u64.checked_shl(*node).unwrap_or(0);
                return;
            }
            None => return,
        };
        let Some(column) = column.filter(|column| present || column.null_if_absent) else { return };
        self.bytes.extend_from_slice(if *begun { b",\"" } else { b"{\"" });
        *begun = true;
        self.bytes.extend_from_slice(column.name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        if !present {
            self.bytes.extend_from_slice(b"null");
        } else if column.optional {
            self.seen |= 1_u64.checked_shl(node).unwrap_or(0);
        }
    }

    /// Steps behind a value.
    fn pass(&mut self) {
        let (column, at, node) = match self.open.last_mut() {
            Some(Frame::Row { at, node, .. }) => (self.schema.column(*at), at, node),
            Some(Frame::Struct { fields, at, node, .. }) => {
                (fields.get(*at).map(Field::as_column), at, node)
            }
            Some(Frame::List { .. }) | None => return,
        };
        if let Some(column) = column {
            *node += u32::from(column.optional) + nodes(column.kind);
        }
        *at += 1;
    }

    /// Begins to write the value of one column alone.
    pub(super) fn begin_column(&mut self, column: usize) {
        self.bytes.clear();
        self.open.clear();
        self.open.push(Frame::Row { at: column, begun: false, node: 0 });
    }

    /// The JSON text of the column that was begun.
    pub(super) fn end_column(&mut self) -> String {
        self.open.clear();
        let text = String::from_utf8_lossy(&self.bytes);
        // Behind `{"name":`, which stands before the value.
        text.split_once(':').map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// The type that is due, and its bit of evidence.
    fn due(&self) -> (Option<&'static Type>, u32) {
        match self.open.last() {
            Some(Frame::Row { at, node, .. }) => match self.schema.column(*at) {
                Some(column) => (Some(column.kind), node + u32::from(column.optional)),
                None => (None, *node),
            },
            Some(Frame::Struct { fields, at, node, .. }) => match fields.get(*at) {
                Some(field) => (Some(&field.kind), node + u32::from(field.optional)),
                None => (None, *node),
            },
            Some(Frame::List { item, node, .. }) => (Some(item), node + 1),
            None => (None, 0),
        }
    }
}

impl Sink for JsonRows {
    fn begin_row(&mut self) {
        self.seen = 0;
        self.open.clear();
        if !self.schema.is_empty() {
            self.open.push(Frame::Row { at: 0, begun: false, node: 0 });
        }
    }

    fn end_row(&mut self) {
        if let Some(Frame::Row { begun, .. }) = self.open.pop() {
            self.bytes.extend_from_slice(if begun { b"}" } else { b"{}" });
        }
        self.bytes.push(b'\n');
        let start = self.ends.last().copied().unwrap_or(0);
        self.sizes.push(u32::try_from(self.bytes.len() - start - 1).unwrap_or(u32::MAX));
        self.ends.push(self.bytes.len());
        self.evidence.push(self.seen);
    }

    fn text(&mut self, text: &Text<'_>) {
        self.place(true);
        self.bytes.push(b'"');
        text.write_escaped(&mut self.bytes);
        self.bytes.push(b'"');
        self.pass();
    }

    fn int(&mut self, number: i64) {
        self.place(true);
        self.bytes.extend_from_slice(number.to_string().as_bytes());
        self.pass();
    }

    fn json(&mut self, text: &str) {
        self.place(true);
        self.bytes.extend_from_slice(text.as_bytes());
        self.pass();
    }

    fn vector(&mut self, vector: &Vector) {
        self.place(true);
        write_vector(vector, &mut self.bytes);
        self.pass();
    }

    fn absent(&mut self) {
        self.place(false);
        self.pass();
    }

    fn open_list(&mut self) {
        self.place(true);
        if let (Some(Type::List(item)), node) = self.due() {
            self.open.push(Frame::List { item, filled: false, node });
        }
    }

    fn close_list(&mut self) {
        if let Some(Frame::List { filled, .. }) = self.open.pop() {
            self.bytes.extend_from_slice(if filled { b"]" } else { b"[]" });
        }
        self.pass();
    }

    fn open_struct(&mut self) {
        self.place(true);
        if let (Some(Type::Struct(fields)), node) = self.due() {
            self.open.push(Frame::Struct { fields, at: 0, begun: false, node });
        }
    }

    fn close_struct(&mut self) {
        if let Some(Frame::Struct { begun, .. }) = self.open.pop() {
            self.bytes.extend_from_slice(if begun { b"}" } else { b"{}" });
        }
        self.pass();
    }

    fn str(&mut self, text: &str) {
        self.place(true);
        write_string(text, &mut self.bytes);
        self.pass();
    }
}

impl Rows for JsonRows {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
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
}
