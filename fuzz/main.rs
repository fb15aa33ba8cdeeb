//! One binary fuzzes every reader; the environment variable `RETORT_FUZZ` says which, and `RETORT_FUZZ=list` lists them.
//! For an import format, bytes are cut into items, each is read, and what was read is shaped into every data format.
//! Nothing may panic, and a refused item must name a byte inside itself.
#![no_main]

use std::sync::OnceLock;

use retort_formats::data::{self, ShapeContext, ShapeOptions, ToolCache};
use retort_formats::file::{self, FileOptions};
use retort_formats::import::bson::Documents;
use retort_formats::import::otlp_protobuf::{Requests, Signal, begins, to_json};
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{self, Entry, ImportFormat, Notes};
use retort_json::RawJson;
use retort_model::{Item, canonical};

/// What one run fuzzes.
enum Target {
    /// An import format.
    Format(&'static dyn ImportFormat),
    /// What is read before there is text: the binary forms of documents and of traces.
    Bytes(fn(&[u8])),
}

/// The readers of bytes that are not text.
const BINARY: [(&str, fn(&[u8])); 2] = [("bson", bson), ("otlp-protobuf", otlp_protobuf)];

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let wanted = std::env::var("RETORT_FUZZ").unwrap_or_default();
        let formats = import::FORMATS.iter().map(|format| (format.name(), Target::Format(*format)));
        let binary = BINARY.iter().map(|(name, read)| (*name, Target::Bytes(*read)));
        let mut targets = formats.chain(binary);
        if wanted == "list" {
            targets.for_each(|(name, _)| println!("{name}"));
            std::process::exit(0);
        }
        let Some((_, target)) = targets.find(|(name, _)| *name == wanted) else {
            eprintln!("RETORT_FUZZ names no reader: \"{wanted}\". RETORT_FUZZ=list lists them.");
            std::process::exit(2);
        };
        assert!(TARGET.set(target).is_ok(), "initialised once");
    },
    |bytes: &[u8]| match TARGET.get().expect("chosen when the program starts") {
        Target::Format(format) => read(*format, bytes),
        Target::Bytes(read) => read(bytes),
    }
);

fn bson(bytes: &[u8]) {
    Documents::read(bytes).for_each(drop);
}

fn otlp_protobuf(bytes: &[u8]) {
    begins(bytes);
    Requests::read(bytes, bytes).for_each(drop);
    for signal in [Signal::Traces, Signal::Logs] {
        // Whatever is written is JSON.
        if let Ok(text) = to_json(signal, bytes) {
            RawJson::parse(&text).expect("JSON is written");
        }
    }
}

/// Panics on a fault of Retort's.
fn read(format: &dyn ImportFormat, bytes: &[u8]) {
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
