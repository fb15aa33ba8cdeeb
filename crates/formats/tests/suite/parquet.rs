//! Parquet gives back what was written, wherever pages, batches and row groups end.

use std::io::Cursor;

use bytes::Bytes;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use retort_formats::data::{Field, Schema, Sink, Type};
use retort_formats::file::{self, FileFormat, FileOptions, Rows};

static CALL: &[Field] =
    &[Field::required("name", Type::Text), Field::optional("arguments", Type::Text)];
static MESSAGE: &[Field] = &[
    Field::required("role", Type::Word),
    Field::optional("content", Type::Text),
    Field::optional("calls", Type::List(&Type::Struct(CALL))),
];
static COLUMNS: &[Field] = &[
    Field::required("id", Type::Text),
    Field::required("messages", Type::List(&Type::Struct(MESSAGE))),
    Field::optional("note", Type::Text),
];

/// The same numbers at each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn text(&mut self, most: u64) -> String {
        (0..self.below(most))
            .map(|_| ["a", "é", "\"", "\n", "語"][self.below(5) as usize])
            .collect()
    }

    fn text_or_not(&mut self, out: &mut dyn Sink, most: u64) {
        if self.below(3) == 0 { out.absent() } else { out.str(&self.text(most)) }
    }

    fn row(&mut self, id: u64, out: &mut dyn Sink) {
        // Stretches of empty rows make long runs of levels, and now and then a text is larger than a page.
        let empty = (id / 100).is_multiple_of(7);
        out.begin_row();
        out.str(&id.to_string());
        out.open_list();
        for _ in 0..if empty { 0 } else { self.below(4) } {
            out.open_struct();
            out.str(["user", "assistant"][self.below(2) as usize]);
            let most = if self.below(1000) == 0 { 200_000 } else { 40 };
            self.text_or_not(out, most);
            if self.below(2) == 0 {
                out.absent();
            } else {
                out.open_list();
                // Once there are more levels than texts.
                let (calls, most) =
                    if id % 10_000 == 117 { (150_000, 2) } else { (self.below(4), 20) };
                for _ in 0..calls {
                    out.open_struct();
                    out.str(&self.text(most));
                    self.text_or_not(out, most);
                    out.close_struct();
                }
                out.close_list();
            }
            out.close_struct();
        }
        out.close_list();
        self.text_or_not(out, 10);
        out.end_row();
    }
}

/// A file of so many rows, in batches and groups of many sizes.
fn written(format: &dyn FileFormat, rows: u64) -> Vec<u8> {
    let schema = Schema::of(COLUMNS);
    let options = FileOptions::default();
    let mut numbers = Numbers(7);
    let mut sizes = Numbers(11);
    let mut out = Vec::new();
    let mut writer = format.writer(&schema, options).unwrap();
    let mut id = 0;
    while id < rows {
        let mut group: Vec<Box<dyn Rows>> = Vec::new();
        for _ in 0..=sizes.below(60) {
            let mut batch = format.rows(&schema, options);
            for _ in 0..sizes.below(500).min(rows - id) {
                numbers.row(id, &mut *batch);
                id += 1;
            }
            group.push(batch);
        }
        writer.write(format.encode(group, options).unwrap(), &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    out
}

fn read(format: &dyn FileFormat, bytes: Vec<u8>) -> Vec<String> {
    format.read(Box::new(Cursor::new(bytes))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn rows_come_back_as_lines_of_json_have_them() {
    let (parquet, jsonl) = (file::by_name("parquet").unwrap(), file::by_name("jsonl").unwrap());
    let (rows, lines) =
        (read(parquet, written(parquet, 30_000)), read(jsonl, written(jsonl, 30_000)));
    assert_eq!(rows.len(), 30_000);
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(row, line);
    }
}

#[test]
fn the_page_index_knows_every_page() {
    let bytes = Bytes::from(written(file::by_name("parquet").unwrap(), 30_000));
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(bytes, options).unwrap();
    let metadata = reader.metadata();
    let mut several = 0;
    for (group, index) in metadata.row_groups().iter().zip(metadata.offset_index().unwrap()) {
        for (column, index) in group.columns().iter().zip(index) {
            let pages = index.page_locations();
            let mut at = i64::try_from(column.byte_range().0).unwrap();
            at = column.dictionary_page_offset().map_or(at, |_| column.data_page_offset());
            for page in pages {
                assert_eq!(page.offset, at);
                at += i64::from(page.compressed_page_size);
            }
            assert_eq!(at, column.byte_range().0 as i64 + column.compressed_size());
            let rows: Vec<_> = pages.iter().map(|page| page.first_row_index).collect();
            assert!(rows[0] == 0 && rows.is_sorted() && rows[rows.len() - 1] < group.num_rows());
            several += usize::from(pages.len() > 1);
        }
    }
    assert!(several > 0);
}
