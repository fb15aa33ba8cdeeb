//! Parquet: one explicit schema whatever the data, real nested types, zstd, a page index, bounded row groups.
//!
//! Rows come apart into columns as they are gathered (`columns.rs`); a group of them is encoded on the thread that
//! filled it (`encode.rs`), texts within lists straight from where they were gathered (`pages.rs`).

mod arrow;
mod columns;
mod encode;
mod pages;
mod pieces;
mod read;
mod schema;
mod settings;

use std::io::{self, Write};
use std::sync::Arc;

use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use retort_model::bounds::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};

use self::arrow::Lengths;
use self::columns::Columns;
use self::encode::encode_group;
use self::pieces::{Books, ColumnChunk, Elsewhere};
use self::schema::{properties_of, root_of};
use self::settings::broken;
use super::format::{Chunk, FileFormat, FileOptions, FileWriter, ReadSeek, Rows, body, own};
use crate::data::Schema;

/// The format.
pub(super) struct Parquet;

impl FileFormat for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "Parquet, for large histories: smallest, typed, quick to query"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.apache.parquet"
    }

    fn is_text(&self) -> bool {
        false
    }

    fn rows(&self, schema: &Schema, _options: FileOptions) -> Box<dyn Rows> {
        Box::new(Columns::new(schema))
    }

    fn load(
        &self,
        schema: &Schema,
        _options: FileOptions,
        saved: &[u8],
    ) -> io::Result<Box<dyn Rows>> {
        Ok(Box::new(Columns::load(schema, saved)?))
    }

    fn group_bounds(&self) -> Option<(usize, usize)> {
        Some((ROW_GROUP_ROWS, ROW_GROUP_BYTES))
    }

    fn encode(&self, group: Vec<Box<dyn Rows>>, _options: FileOptions) -> io::Result<Chunk> {
        let mut batches = Vec::with_capacity(group.len());
        for batch in group {
            batches.push(*own::<Columns>(batch)?);
        }
        let Some(schema) = batches.first().map(|batch| batch.schema.clone()) else {
            return Ok(Chunk { rows: 0, body: Box::new(Encoded::default()) });
        };
        let rows: usize = batches.iter().map(Rows::count).sum();
        let descriptor = SchemaDescriptor::new(root_of(&schema)?);
        let properties = properties_of(&schema, &descriptor);
        let mut groups = Vec::new();
        let mut lengths = Vec::new();
        batches
            .iter()
            .for_each(|batch| merge(&mut lengths, batch.leaves.iter().map(|leaf| leaf.lengths)));
        // A batch of many short rows may be more than one row group: then they are of one size.
        let count = rows.div_ceil(ROW_GROUP_ROWS);
        for index in 0..count {
            let rows = rows * index / count..rows * (index + 1) / count;
            groups.push(encode_group(&mut batches, &descriptor, &properties, &rows)?);
        }
        Ok(Chunk { rows: rows as u64, body: Box::new(Encoded { groups, lengths }) })
    }

    fn writer(&self, schema: &Schema, _options: FileOptions) -> io::Result<Box<dyn FileWriter>> {
        let root = root_of(schema)?;
        let properties = properties_of(schema, &SchemaDescriptor::new(Arc::clone(&root)));
        let books = Books::default();
        let writer = SerializedFileWriter::new(books.clone(), root, properties).map_err(broken)?;
        Ok(Box::new(Groups { writer, books, schema: schema.clone(), lengths: Vec::new() }))
    }

    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>> {
        Ok(Box::new(read::rows(input)?))
    }
}

/// Encoded row groups, and how many numbers the vectors of each leaf column have.
#[derive(Default)]
struct Encoded {
    groups: Vec<Vec<ColumnChunk>>,
    lengths: Vec<Lengths>,
}

fn merge(lengths: &mut Vec<Lengths>, more: impl Iterator<Item = Lengths>) {
    for (leaf, more) in more.enumerate() {
        match lengths.get_mut(leaf) {
            Some(lengths) => lengths.merge(more),
            None => lengths.push(more),
        }
    }
}

/// Appends encoded row groups to a file.
struct Groups {
    writer: SerializedFileWriter<Books>,
    books: Books,
    schema: Schema,
    lengths: Vec<Lengths>,
}

impl Groups {
    /// Writes out what the library's writer wrote.
    fn write_books(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.flush()?;
        out.write_all(&self.books.take())
    }
}

impl FileWriter for Groups {
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
        let Encoded { groups, lengths } = body(chunk)?;
        merge(&mut self.lengths, lengths.into_iter());
        self.write_books(out)?;
        self.books.drop_all(true);
        for columns in groups {
            let mut group = self.writer.next_row_group().map_err(broken)?;
            for (pieces, close) in columns {
                group.append_column(&Elsewhere(pieces.bytes()), close).map_err(broken)?;
                pieces.write_to(out)?;
            }
            group.close().map_err(broken)?;
        }
        self.writer.flush()?;
        self.books.drop_all(false);
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        if let Some(described) = arrow::described(&self.schema, &self.lengths) {
            let pair = KeyValue::new(arrow::KEY.to_owned(), described);
            self.writer.append_key_value_metadata(pair);
        }
        if let Some(listed) = schema::json_leaves(&self.schema) {
            let pair = KeyValue::new(schema::JSON_LEAVES.to_owned(), listed);
            self.writer.append_key_value_metadata(pair);
        }
        self.writer.finish().map_err(broken)?;
        self.write_books(out)
    }
}
