//! Documents and their chunks: read, written, and every number as it came.

use std::io::Cursor;

use crate::support::*;
use retort_formats::data::{Embeddings, ShapeContext, ShapeOptions, ToolCache, by_name as data};
use retort_formats::file::{FileOptions, by_name as file};
use retort_formats::import::{Entry, Notes, Refusal, by_name as import};
use retort_model::{Document, Item, Reason, Vector};
use serde_json::{Value, json};

fn document(item: &Value) -> Document<'static> {
    match read_item(&item.to_string()) {
        Item::Document(document) => document.into_owned(),
        other => panic!("a {}", other.kind()),
    }
}

fn uiuc() -> Value {
    json!({
        "id": 3476, "s3_path": "courses/x/a.pdf", "course_name": "x", "url": "", "base_url": "https://a.b",
        "created_at": "2023-08-14T16:35:40.508062-07:00", "readable_filename": "A – é.pdf",
        "contexts": [
            {"text": "one", "pagenumber": 1, "timestamp": "", "chunk_index": 0,
             "embedding": [-0.006_929_283_495_992_422, 0.25]},
            {"text": "two\n“”", "pagenumber": "ii", "timestamp": "1:02", "chunk_index": 1, "score": 0.5,
             "embedding": null},
        ],
    })
}

fn written(item: &Item<'_>, format: &str, kind: &str, options: &ShapeOptions) -> (Vec<u8>, usize) {
    let (format, kind) = (data(format).unwrap(), file(kind).unwrap());
    let schema = format.schema(options, false);
    let mut rows = kind.rows(&schema, FileOptions::default());
    let mut tools = ToolCache::default();
    let mut context =
        ShapeContext { options, flat: false, output: None, given: None, tools: &mut tools };
    let outcome = format.shape(item, &mut context, &mut *rows);
    assert_eq!(outcome.records.len(), rows.count());
    let count = rows.count();
    let mut bytes = Vec::new();
    let mut writer = kind.writer(&schema, FileOptions::default()).unwrap();
    writer.write(kind.encode(vec![rows], FileOptions::default()).unwrap(), &mut bytes).unwrap();
    writer.finish(&mut bytes).unwrap();
    (bytes, count)
}

#[test]
fn a_document_of_uiuc_comes_out_as_it_came_in() {
    let shaped = shape_item(&document(&uiuc()).into(), "documents", ShapeOptions::default());
    let mut expect = uiuc();
    for context in expect["contexts"].as_array_mut().unwrap() {
        let context = context.as_object_mut().unwrap();
        context.entry("embedding").or_insert(Value::Null);
    }
    assert_eq!(shaped.rows, [expect]);
    // Read again, it is the same document.
    assert_eq!(document(&shaped.rows[0]), document(&uiuc()));
}

#[test]
fn embeddings_stay_out_on_request() {
    let options = ShapeOptions { embeddings: Embeddings::Without, ..ShapeOptions::default() };
    for format in ["documents", "chunks"] {
        let shaped = shape_item(&document(&uiuc()).into(), format, options.clone());
        assert!(!shaped.text.contains("embedding"), "{}", shaped.text);
    }
}

#[test]
fn rows_of_chunks_make_up_the_document_again() {
    let whole: Item<'_> = document(&uiuc()).into();
    let shaped = shape_item(&whole, "chunks", ShapeOptions::default());
    assert_eq!(shaped.rows.len(), 2);
    assert_eq!(shaped.rows[0]["document_id"], "3476");
    let rows = format!("[{}]", shaped.text.trim_end().replace('\n', ","));
    let format = import("chunks").unwrap();
    let mut fragments = Vec::new();
    for row in shaped.text.lines() {
        format.fragments(row, Entry::default(), &mut fragments);
    }
    assert_eq!((fragments.len(), &fragments[0].key), (2, &fragments[1].key));
    let Item::Document(again) = format.read(&rows, &mut Notes::default()).unwrap() else {
        panic!("a document")
    };
    let document = document(&uiuc());
    assert_eq!((again.id, again.chunks), (document.id, document.chunks));
    assert_eq!(again.readable_filename, document.readable_filename);
}

#[test]
fn every_number_comes_back_from_either_file() {
    arbtest::arbtest(|u| {
        let count = u.int_in_range(1..=5)?;
        let mut singles = Vec::new();
        let mut doubles = Vec::new();
        for _ in 0..count {
            let (single, double) = (f32::from_bits(u.arbitrary()?), f64::from_bits(u.arbitrary()?));
            singles.push(if single.is_finite() { single } else { 0.0 });
            doubles.push(if double.is_finite() { double } else { -0.0 });
        }
        for (vector, embeddings) in [
            (Vector::F32(singles.clone()), Embeddings::F32),
            (Vector::F32AsF64(singles.clone()), Embeddings::F32),
            (Vector::F32(singles.clone()), Embeddings::F64),
            (Vector::F64(doubles), Embeddings::F64),
        ] {
            let mut document = document(&uiuc());
            document.chunks[0].embedding.as_mut().unwrap().vector = vector.clone();
            let item = document.into();
            let options = ShapeOptions { embeddings, ..ShapeOptions::default() };
            for (format, kind) in
                [("documents", "jsonl"), ("chunks", "jsonl"), ("chunks", "parquet")]
            {
                let (bytes, _) = written(&item, format, kind, &options);
                let rows = file(kind).unwrap().read(Box::new(Cursor::new(bytes))).unwrap();
                let first = rows.map(Result::unwrap).next().unwrap();
                let Item::Document(again) = read_item(&first) else { panic!("a document") };
                let found = &again.chunks[0].embedding.as_ref().unwrap().vector;
                let wide = |vector: &Vector| -> Vec<u64> {
                    match vector {
                        Vector::F32(some) | Vector::F32AsF64(some) => {
                            some.iter().map(|one| f64::from(*one).to_bits()).collect()
                        }
                        Vector::F64(some) => some.iter().map(|one| one.to_bits()).collect(),
                    }
                };
                // What JSON tells in the digits of 32 bits is the same number of 32 bits.
                let is_same = wide(found) == wide(&vector)
                    || (found.width() == vector.width() && found.to_bytes() == vector.to_bytes());
                assert!(is_same, "{format} {kind}: {vector:?} became {found:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn what_32_bits_would_round_is_left_out_and_told() {
    let mut document = document(&uiuc());
    document.chunks[0].embedding.as_mut().unwrap().vector = Vector::F64(vec![0.1, 1e300]);
    let options = ShapeOptions { embeddings: Embeddings::F32, ..ShapeOptions::default() };
    let shaped = shape_item(&document.into(), "chunks", options);
    assert_eq!((shaped.rows.len(), shaped.outcome.left_out.len()), (1, 1));
    assert_eq!(shaped.outcome.left_out[0].why.reason, Reason::EmbeddingTooWide);
}

#[test]
fn a_document_without_chunks_is_a_document_but_no_chunk() {
    let mut bare = uiuc();
    bare["contexts"] = json!([]);
    let item: Item<'_> = document(&bare).into();
    assert_eq!(shape_item(&item, "documents", ShapeOptions::default()).rows.len(), 1);
    let shaped = shape_item(&item, "chunks", ShapeOptions::default());
    assert_eq!(shaped.outcome.left_out[0].why.reason, Reason::NoChunks);
}

#[test]
fn numbers_that_are_none_are_refused_where_they_stand() {
    for bad in ["NaN", "Infinity", "-Infinity", "1e999", "\"0.5\"", "null"] {
        let text = format!(r#"{{"url":"u","contexts":[{{"text":"t","embedding":[0.5,{bad}]}}]}}"#);
        let error = import("uiuc-documents").unwrap().read(&text, &mut Notes::default());
        let error = error.unwrap_err();
        assert_eq!(error.refusal, Refusal::BadField, "{bad}");
        assert_eq!(error.at, text.find(bad).unwrap(), "{bad}: {error}");
        let text = format!(r#"{{"url":"u","text":"t","embedding":[{bad}]}}"#);
        let error = import("chunks").unwrap().read(&text, &mut Notes::default()).unwrap_err();
        assert_eq!(error.at, text.find(bad).unwrap(), "{bad}: {error}");
    }
}
