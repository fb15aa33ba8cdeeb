//! What every fuzz target does: cuts bytes into items, reads each with one format, and shapes what was read into
//! every data format. Nothing of it may panic, and a refused item names a byte inside itself.

use retort_formats::data::{self, ShapeContext, ShapeOptions, ToolCache};
use retort_formats::file::{self, FileOptions};
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{self, Entry, Notes};
use retort_model::{Item, canonical};

/// Reads `bytes` with the import format of that name.
///
/// # Panics
/// On a fault of Retort's.
pub fn read(format: &str, bytes: &[u8]) {
    let format = import::by_name(format).expect("an import format");
    let mut splitter = Splitter::new(bytes);
    let mut spent = Batch::default();
    while let Some(batch) = splitter.next(spent).expect("bytes in memory") {
        for span in &batch.items {
            let Ok(item) = std::str::from_utf8(batch.item(span)) else { continue };
            format.fragments(item, Entry { path: "stem.json" }, &mut Vec::new());
            match format.read_all(item, &mut Notes::default()) {
                Ok(items) => items.into_iter().for_each(|item| shape(&item)),
                Err(error) => assert!(error.at <= item.len(), "byte {} of {}", error.at, item.len()),
            }
        }
        spent = batch;
    }
}

fn shape(item: &Item<'_>) {
    let mut line = Vec::new();
    match item {
        Item::Conversation(conversation) => canonical::write(conversation, &mut line),
        Item::Run(run) => canonical::write_run(run, &mut line),
        Item::Document(document) => canonical::write_document(document, &mut line),
    }
    let line = String::from_utf8(line).expect("canonical lines are UTF-8");
    let again = match item {
        Item::Run(_) => canonical::read_run(&line).map(Item::from),
        Item::Conversation(_) => canonical::read(&line).map(Item::from),
        Item::Document(_) => canonical::read_document(&line).map(Item::from),
    };
    assert_eq!(&again.expect("canonical lines are read back"), item, "a canonical line loses nothing");
    let options = ShapeOptions { tasks: true, ..ShapeOptions::default() };
    for data in data::FORMATS {
        for file in data.file_formats().iter().filter_map(|name| file::by_name(name)) {
            let flat = !file.is_nested();
            let mut rows = file.rows(&data.schema(&options, flat), FileOptions::default());
            let mut tools = ToolCache::default();
            let mut context =
                ShapeContext { options: &options, flat, output: None, given: None, tools: &mut tools };
            let outcome = data.shape(item, &mut context, &mut *rows);
            assert_eq!(outcome.records.len(), rows.count(), "every record is a row");
            assert!(!(outcome.records.is_empty() && outcome.left_out.is_empty()), "every item is accounted for");
            file.encode(vec![rows], FileOptions::default()).expect("rows in memory are encoded");
        }
    }
}
