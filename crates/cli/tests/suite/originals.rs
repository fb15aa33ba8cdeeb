//! Documents at their edges, and the original files that they were made of.

use std::fs;
use std::path::PathBuf;

use crate::support::*;
use serde_json::{Value, json};
use sha2::Digest;

fn document(id: u64, chunks: Value) -> Value {
    json!({
        "id": id, "s3_path": format!("courses/p/{id}.pdf"), "course_name": "p", "url": null, "base_url": "",
        "created_at": "2024-01-02T03:04:05+00:00", "readable_filename": "A name.pdf", "contexts": chunks,
    })
}

fn with_documents(count: u64) -> Place {
    let place = Place::new();
    let chunks = json!([{"text": "one", "chunk_index": 0, "embedding": [0.1, -2.5]}]);
    place.file("in.jsonl", lines((1..=count).map(|id| document(id, chunks.clone()))));
    place.ok(&["import", "-q", "in.jsonl"]);
    place
}

/// The originals that are with the objects.
fn originals(place: &Place) -> Vec<String> {
    let mut names = place.names("data/objects");
    names.retain(|name| name.starts_with("originals/") && name.len() > 64);
    names
}

/// Where the original of that text lies.
fn object(place: &Place, text: &str) -> PathBuf {
    let hash: String =
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let names = originals(place);
    let found: Vec<_> = names.iter().filter(|name| name.ends_with(&hash)).collect();
    assert_eq!(found.len(), 1, "{names:?}");
    place.path("data/objects").join(found[0])
}

fn findings(place: &Place, args: &[&str]) -> String {
    let ran = place.run(&[&["doctor", "--json"], args].concat());
    assert_eq!(ran.code, Some(3), "{}{}", ran.out, ran.err);
    serde_json::from_str::<Value>(&ran.out).unwrap()["findings"].to_string()
}

/// The rows of the data file of a dataset in JSON lines.
fn records(place: &Place, dataset: &str) -> Vec<Value> {
    let files = place.downloaded(dataset);
    let is_data = |name: &str| name.ends_with(".jsonl") && name != "rejects.jsonl";
    let (_, data) = files.iter().find(|(name, _)| is_data(name)).unwrap();
    rows(std::str::from_utf8(data).unwrap())
}

#[test]
fn an_original_lies_once_and_goes_with_its_last_document() {
    let place = with_documents(3);
    place.file("a.pdf", "one text");
    place.file("b.pdf", "other");
    for id in ["1", "2"] {
        place.ok(&["documents", "original", id, "--keep", "a.pdf"]);
    }
    let kept = object(&place, "one text");
    assert_eq!(fs::read(&kept).unwrap(), b"one text");
    place.ok(&["documents", "original", "2", "--output", "back.pdf"]);
    assert_eq!(place.bytes("back.pdf"), b"one text");
    place.refused(&["documents", "original", "3", "--output", "none.pdf"], "original");
    assert!(!place.path("none.pdf").exists());
    // The same document again keeps its original.
    place.ok(&["import", "-q", "in.jsonl"]);
    place.ok(&["documents", "delete", "1", "--yes"]);
    assert!(kept.exists());
    place.ok(&["documents", "original", "2", "--keep", "b.pdf"]);
    assert!(!kept.exists());
    place.ok(&["documents", "delete", "2", "3", "--yes"]);
    assert_eq!(originals(&place), [""; 0]);
    place.ok(&["doctor", "--deep"]);
}

#[test]
fn the_doctor_knows_the_originals() {
    let place = with_documents(2);
    place.file("a.pdf", "one text");
    place.ok(&["documents", "original", "1", "--keep", "a.pdf"]);
    place.ok(&["doctor", "--deep"]);
    let kept = object(&place, "one text");
    fs::write(&kept, "two text").unwrap();
    place.ok(&["doctor"]);
    assert!(findings(&place, &["--deep"]).contains("has changed"));
    fs::write(&kept, "short").unwrap();
    assert!(findings(&place, &[]).contains("has 5 bytes, it had 8"));
    fs::remove_file(&kept).unwrap();
    assert!(findings(&place, &[]).contains("is missing"));
    let ran = place.run(&["documents", "original", "1", "--output", "back.pdf"]);
    assert_ne!(ran.code, Some(0));
    // Brought in again, it is there again.
    place.ok(&["documents", "original", "1", "--keep", "a.pdf"]);
    let orphan = kept.with_file_name("0".repeat(64));
    fs::write(&orphan, "x").unwrap();
    assert!(findings(&place, &[]).contains("1 without a document"));
    place.ok(&["doctor", "--repair"]);
    assert!(!orphan.exists() && kept.exists());
    place.ok(&["doctor", "--deep"]);
}

#[test]
fn a_backup_has_the_originals() {
    let place = with_documents(1);
    place.file("a.pdf", "one text");
    place.ok(&["documents", "original", "1", "--keep", "a.pdf"]);
    place.ok(&["backup", "kept"]);
    place.ok(&["documents", "delete", "1", "--yes"]);
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let (store, objects) = (path("kept/retort.sqlite"), path("kept/objects"));
    let copy = [("RETORT_STORE", store.as_str()), ("RETORT_OBJECTS", objects.as_str())];
    for args in [&["doctor", "--deep"][..], &["documents", "original", "1", "--output", "back.pdf"]]
    {
        let ran = place.run_with(&copy, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    }
    assert_eq!(place.bytes("back.pdf"), b"one text");
}

#[test]
fn a_chunk_of_200_mb_goes_in_and_out() {
    let place = Place::new();
    let of = |id: u64, bytes: usize| {
        document(id, json!([{"text": "x".repeat(bytes), "embedding": [1.5]}]))
    };
    place.file("in.jsonl", lines([of(1, 205 << 20), of(2, 1)]));
    place.ok(&["import", "-q", "in.jsonl"]);
    place.ok(&["export", "-q", "d", "--documents", "--data-format", "documents"]);
    let read = records(&place, "d");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0]["contexts"][0]["text"].as_str().unwrap().len(), 205 << 20);
}

#[test]
fn documents_without_chunks_and_two_of_one_name_are_exported_and_accounted_for() {
    let place = Place::new();
    let chunk = json!([{"text": "one", "embedding": [0.25, 3]}]);
    let some = [document(1, json!([])), document(2, chunk.clone()), document(3, chunk)];
    place.file("in.jsonl", lines(some));
    place.ok(&["import", "-q", "in.jsonl"]);
    place.ok(&["export", "-q", "lines", "--documents", "--data-format", "documents"]);
    let read = records(&place, "lines");
    assert_eq!(read.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(read[0]["contexts"], json!([]));
    assert_eq!(read[2]["readable_filename"], read[1]["readable_filename"]);
    place.ok(&["export", "-q", "rows", "--documents", "--data-format", "chunks", "-f", "parquet"]);
    let files = place.downloaded("rows");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let number = |place: &str| manifest.pointer(place).and_then(Value::as_u64).unwrap();
    assert_eq!(
        ["selected", "written", "left_out"].map(|name| number(&format!("/documents/{name}"))),
        [3, 2, 1]
    );
    assert_eq!((number("/read/documents"), number("/records/written")), (3, 2), "{manifest}");
    let rejects = rows(std::str::from_utf8(&files["rejects.jsonl"]).unwrap());
    assert_eq!(rejects.len(), 1);
    assert_eq!(
        (&rejects[0]["document_id"], &rejects[0]["reason"]),
        (&json!("1"), &json!("no-chunks"))
    );
}

#[test]
fn rows_that_vector_stores_give_in_any_order_make_up_their_documents() {
    let row = |at: usize| {
        json!({"doc_id": format!("d{}", at % 30), "text": format!("text {at}"), "chunk_index": at / 30,
            "embedding": [at, 0.5]})
    };
    let (ordered, mixed, taken) = (Place::new(), Place::new(), 30 * 20);
    let document = |at: usize| (0..20).map(move |chunk| row(chunk * 30 + at));
    ordered.file("in/a.jsonl", lines((0..30).flat_map(document)));
    // Each third row from any place, over three files.
    let some = |part: usize| lines((0..taken / 3).map(|at| row((at * 3 + part) * 7 % taken)));
    for part in 0..3 {
        mixed.file(&format!("in/{part}.jsonl"), some(part));
    }
    for place in [&ordered, &mixed] {
        let report = place.printed(&["import", "in", "--from", "chunks", "--json"]);
        assert_eq!((&report["read"], &report["new"]), (&json!(30), &json!(30)), "{report}");
        let again = place.printed(&["import", "in", "--from", "chunks", "--json"]);
        assert_eq!(again["same"], 30, "{again}");
        place.ok(&["export", "-q", "d", "--documents", "--data-format", "documents"]);
    }
    let in_order = |place: &Place| {
        let mut read = records(place, "d");
        read.sort_by_key(|document| document["id"].to_string());
        read
    };
    let whole = in_order(&mixed);
    assert_eq!(whole, in_order(&ordered));
    let chunks = whole[29]["contexts"].as_array().unwrap();
    assert_eq!(chunks.len(), 20);
    assert!((0..).zip(chunks).all(|(at, chunk)| chunk["chunk_index"] == at), "{chunks:?}");
    // So they do without a store.
    mixed.ok(&["convert", "in", "-q", "--from", "chunks", "--to", "documents", "-o", "set"]);
    assert_eq!(mixed.json("set/manifest.json")["documents"]["written"], 30);
}
