//! `--papers`, `retort sign` and `retort verify --key`: what others ask of a dataset.

use serde_json::{Value, json};

use crate::support::*;

const NOTES: &str = "license = 'CC-BY-4.0'\ndescription = 'Help for customers.'\n\
                     [[source]]\nname = 'help desk'\ninputs = ['help*']\ncategory = 'user-data'\nlicense = 'consent'\n";

/// Chats of two models and of none, in two files.
fn with_chats() -> Place {
    let place = Place::new();
    let of = |id: &str, model: Option<&str>| {
        let chat = with(chat(id), "created_at", json!(format!("2024-05-0{}T00:00:00Z", id.len())));
        model.map_or(chat.clone(), |model| with(chat, "model", json!(model)))
    };
    place.file("help.jsonl", lines([of("a", Some("gpt-4o")), of("bb", Some("gpt-4o"))]));
    place.file("other.jsonl", lines([of("ccc", Some("claude|3")), of("dddd", None)]));
    place.file("notes.toml", NOTES);
    place
}

fn convert(place: &Place, out: &str, more: &[&str]) {
    let args = ["convert", "help.jsonl", "other.jsonl", "-q", "-o", out, "--papers", "notes.toml"];
    place.ok(&[&args, more].concat());
}

#[test]
fn papers_say_which_models_wrote_the_answers_and_where_the_inputs_come_from() {
    let place = with_chats();
    convert(&place, "out", &[]);
    let manifest = place.json("out/manifest.json");
    let origins = &manifest["origins"];
    let models = json!([
        {"model": "", "messages": 1},
        {"model": "claude|3", "messages": 1},
        {"model": "gpt-4o", "messages": 2},
    ]);
    assert_eq!(origins["models"], models);
    assert_eq!(origins["first"], "2024-05-01T00:00:00Z");
    assert_eq!(origins["last"], "2024-05-04T00:00:00Z");
    let about = String::from_utf8(place.bytes("out/SOURCES.md")).unwrap();
    for line in [
        "| gpt-4o | 2 |",
        "| claude\\|3 | 1 |",
        "| (no model named) | 1 |",
        "| help.jsonl | openai | 2 | help desk | consent | not stated |",
        "- help desk: 2 items read; licence or ground: consent",
        "- Source not stated: other.jsonl",
    ] {
        assert!(about.contains(line), "{line:?} is not in:\n{about}");
    }
    let croissant = place.json("out/croissant.json");
    assert_eq!(croissant["license"], "CC-BY-4.0");
    let listed = |path: &str| {
        let files = manifest["files"].as_array().unwrap();
        files.iter().find(|file| file["path"] == path).unwrap()["sha256"].clone()
    };
    assert_eq!(croissant["distribution"][0]["sha256"], listed("conversations.jsonl"));
    place.ok(&["verify", "out"]);
    // Without the option, there is none of it.
    place.ok(&["convert", "help.jsonl", "-q", "-o", "bare"]);
    assert!(place.json("bare/manifest.json").get("origins").is_none());
    assert!(!place.names("bare").iter().any(|name| name == "croissant.json"));
    place.file("wrong.toml", "licence = 'x'");
    place.refused(
        &["convert", "help.jsonl", "-o", "x", "--papers", "wrong.toml"],
        "notes for papers: ",
    );
}

#[test]
fn papers_are_the_same_whatever_the_threads_the_parts_and_where_the_items_are() {
    let place = with_chats();
    let same = ["--name", "same"];
    convert(&place, "one", &[&same[..], &["--threads", "1"]].concat());
    convert(&place, "two", &[&same[..], &["--threads", "4"]].concat());
    for part in ["1/2", "2/2"] {
        let out = format!("part-{}", &part[..1]);
        convert(&place, &out, &[&same[..], &["--part", part]].concat());
    }
    place.ok(&["merge", "part-1", "part-2", "-q", "-o", "merged"]);
    for file in ["croissant.json", "SOURCES.md"] {
        let of = |folder: &str| place.bytes(&format!("{folder}/{file}"));
        assert!(of("one") == of("two") && of("one") == of("merged"), "{file}");
    }
    // From the store.
    place.ok(&["import", "help.jsonl", "other.jsonl", "-q"]);
    place.ok(&["export", "stored", "-q", "--papers", "notes.toml"]);
    let files = place.downloaded("stored");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["origins"], place.json("one/manifest.json")["origins"]);
    assert!(files.contains_key("croissant.json") && files.contains_key("SOURCES.md"));
    place.ok(&["datasets", "verify", "stored"]);
}

/// A secret key, as openssl writes it, whose bytes are all `byte`.
fn key(place: &Place, name: &str, byte: u8) {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([byte; 32]);
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    place.file(name, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"));
}

#[test]
fn a_signed_statement_holds_for_the_package_as_it_was_signed() {
    let place = with_chats();
    convert(&place, "out", &[]);
    convert(&place, "out.zip", &[]);
    key(&place, "key.pem", 7);
    key(&place, "other.pem", 8);
    for package in ["out", "out.zip"] {
        place.ok(&["sign", package, "--key", "key.pem"]);
        let statement = format!("{package}.statement.json");
        let first = place.bytes(&statement);
        place.refused(&["sign", package, "--key", "key.pem"], "already exists");
        place.ok(&["sign", package, "--key", "key.pem", "--force"]);
        assert_eq!(place.bytes(&statement), first);
        let told = place.ok(&["verify", package, "--key", "key.pem"]);
        assert!(
            told.err.contains("OK: matches its receipt and its signed statement"),
            "{}",
            told.err
        );
        let ran = place.run(&["verify", package, "--key", "other.pem"]);
        assert_eq!(ran.code, Some(3));
        assert!(ran.err.contains("does not match the key"), "{}", ran.err);
    }
    let envelope = place.json("out.statement.json");
    let payload = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        envelope["payload"].as_str().unwrap(),
    );
    let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    let names: Vec<_> =
        statement["subject"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(
        names.contains(&&json!("manifest.json")) && names.contains(&&json!("conversations.jsonl"))
    );
    assert_eq!(statement["predicate"]["records"]["written"], 4);
    // A receipt that was written anew matches the files, but not the statement.
    convert(&place, "out2", &["--dedup", "exact"]);
    std::fs::copy(place.path("out.statement.json"), place.path("out2.statement.json")).unwrap();
    let ran = place.run(&["verify", "out2", "--key", "key.pem"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("manifest.json: SHA-256"), "{}", ran.err);
    // What does not match its receipt is not signed.
    let path = place.path("out/conversations.jsonl");
    std::fs::write(&path, "{}\n").unwrap();
    place.refused(
        &["sign", "out", "--key", "key.pem", "-o", "s.json"],
        "does not match its receipt",
    );
}
