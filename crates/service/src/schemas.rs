//! JSON Schemas of the files that the service writes.

use retort_formats::schemas::{FileSchema, count, list, object, text};
use serde_json::{Value, json};

/// All of them.
pub const FILES: &[FileSchema] = &[FileSchema {
    name: "erasure-receipt",
    about: "the statement in the signed receipt of an erasure, which `retort verify RECEIPT --key KEY` prints",
    schema: erasure_receipt,
}];

fn erasure_receipt() -> Value {
    let file =
        object([("path!", text()), ("records", count()), ("bytes!", count()), ("sha256!", text())]);
    let dataset = object([
        ("dataset!", count()),
        ("action!", json!({"enum": ["rebuilt", "deleted"]})),
        ("items!", count()),
        ("items_erased!", count()),
        ("before!", list(file.clone())),
        ("rebuilt_as!", json!({"type": ["integer", "null"]})),
        ("after!", list(file)),
    ]);
    let said = ["judged_conversations_of_others!", "judged_runs_of_others!"];
    let items = ["conversations!", "runs!", "documents!"];
    let erased = [&items[..], &["public_links!", "waiting_traces!"], &said].concat();
    let left = [&items[..], &said].concat();
    let or_null = |kind: &str| json!({"type": [kind, "null"]});
    object([
        ("receipt!", json!({"const": "erasure"})),
        ("version!", json!({"const": 1})),
        ("retort_version!", text()),
        ("store!", text()),
        ("project!", or_null("string")),
        ("erasure!", count()),
        ("person_hmac!", text()),
        ("asked_by!", or_null("string")),
        ("began_at!", or_null("string")),
        ("completed_at!", text()),
        ("erased!", object(erased.into_iter().map(|name| (name, count())))),
        ("datasets!", list(dataset)),
        ("exports_cancelled!", count()),
        ("left!", object(left.into_iter().map(|name| (name, count())))),
        ("not_covered!", list(text())),
    ])
}
