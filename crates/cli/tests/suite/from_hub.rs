//! Reads histories from a fake Hub.

use std::collections::BTreeMap;
use std::fs;

use crate::support::hub::{FakeHub, TOKEN};
use crate::support::{Place, Ran, chat, chats, gzip, lines, long_chat};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const NAME: &str = "acme/support";
const ADDRESS: &str = "hf://datasets/acme/support";

fn run_as(place: &Place, hub: &FakeHub, token: &str, args: &[&str]) -> Ran {
    let (cache, address) = (place.path("cache"), hub.address());
    let variables = [
        ("HF_TOKEN", token),
        ("HF_HOME", place.0.path().to_str().unwrap()),
        ("HF_ENDPOINT", &*address),
        ("XDG_CACHE_HOME", cache.to_str().unwrap()),
    ];
    let ran = place.run_with(&variables, args);
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is shown");
    ran
}

fn ok(place: &Place, hub: &FakeHub, args: &[&str]) -> Ran {
    let ran = run_as(place, hub, TOKEN, args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    ran
}

fn convert(place: &Place, hub: &FakeHub, address: &str, output: &str) -> Value {
    ok(place, hub, &["convert", address, "-q", "--name", "d", "-o", output]);
    place.json(&format!("{output}/manifest.json"))
}

fn refused(place: &Place, hub: &FakeHub, token: &str, address: &str, words: &str) {
    let ran = run_as(place, hub, token, &["convert", address, "-o", "refused"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{address}: {:?}", ran.code);
    assert!(ran.err.contains(words), "{address}: {}", ran.err);
    assert!(!place.path("refused").exists());
}

/// The same files in a folder.
fn write(place: &Place, folder: &str, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        place.file(&format!("{folder}/{path}"), bytes);
    }
}

fn downloads(hub: &FakeHub) -> Vec<String> {
    let is_download = |one: &String| one.contains("/resolve/") || one.starts_with("STORAGE");
    hub.take_requests().into_iter().filter(is_download).collect()
}

/// The reasons why files were skipped, each with its count and first files.
fn skipped(manifest: &Value) -> BTreeMap<&str, (u64, Vec<&str>)> {
    let mut skipped = BTreeMap::new();
    for one in manifest["read"]["passed_over"].as_array().unwrap() {
        let ids = one["first_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        let counted = (one["count"].as_u64().unwrap(), ids.collect());
        skipped.insert(one["kind"].as_str().unwrap(), counted);
    }
    skipped
}

#[test]
fn a_dataset_on_the_hub_is_read_like_the_same_files_on_disk() {
    let (place, hub) = (Place::new(), FakeHub::new());
    let (packed, more) = (gzip(chats(50).as_bytes()), lines([chat("x"), chat("y")]));
    let files: [(&str, &[u8]); 6] = [
        ("data/a.jsonl", more.as_bytes()),
        ("data/deep er/b#1.jsonl.gz", &packed),
        ("README.md", b"---\nlicense: mit\n---\n# Support"),
        (".gitattributes", b"*.gz filter=lfs"),
        ("pictures/one.png", b"\x89PNG"),
        ("pictures/two.png", b"\x89PNG"),
    ];
    let commit = hub.commit(NAME, &files);
    write(&place, "local", &files);
    let manifest = convert(&place, &hub, ADDRESS, "a");
    place.ok(&["convert", "local", "-q", "--name", "d", "-o", "b"]);
    assert_eq!(place.bytes("a/conversations.jsonl"), place.bytes("b/conversations.jsonl"));
    let local = place.json("b/manifest.json");
    assert_eq!(manifest["read"]["inputs"], local["read"]["inputs"]);
    assert_eq!(manifest["read"]["items"], 52);
    let source = json!([{"address": format!("{ADDRESS}@{commit}"), "revision": "main"}]);
    assert_eq!(manifest["read"]["sources"], source);
    assert_eq!(manifest["snapshot"], "2026-03-01T10:00:00Z");
    let skipped = skipped(&manifest);
    assert_eq!(skipped["hidden"], (1, vec![".gitattributes"]));
    let others = vec!["README.md", "pictures/one.png", "pictures/two.png"];
    assert_eq!(skipped["not-a-history"], (3, others));
    let asked = downloads(&hub);
    assert_eq!(asked.len(), 3, "two files, one by way of the storage: {asked:?}");
    // A second run copies nothing.
    let again = convert(&place, &hub, ADDRESS, "c");
    assert_eq!((again, downloads(&hub)), (manifest, vec![]));
    // Files that other tools put there are ignored.
    let copy = place.path("cache/retort/hub/acme/support").join(&commit);
    fs::write(copy.join("data/other.jsonl"), chats(3)).unwrap();
    fs::create_dir_all(copy.join("new")).unwrap();
    fs::write(copy.join("new/other.jsonl"), chats(3)).unwrap();
    assert_eq!(convert(&place, &hub, ADDRESS, "e")["read"]["items"], 52);
}

#[test]
fn a_revision_a_folder_or_a_file_can_be_named() {
    let (place, hub) = (Place::new(), FakeHub::new());
    let (old, new) = (chats(3), chats(5));
    let first = hub.commit(NAME, &[("data/a.jsonl", old.as_bytes()), ("b.jsonl", b"{}")]);
    let second = hub.commit(NAME, &[("data/a.jsonl", new.as_bytes()), ("b.jsonl", b"{}")]);
    let at_first = format!("{ADDRESS}@{first}/data");
    let manifest = convert(&place, &hub, &at_first, "a");
    assert_eq!(manifest["read"]["items"], 3);
    assert_eq!(manifest["read"]["inputs"][0]["name"], "a.jsonl");
    let source = json!([{"address": at_first, "revision": first}]);
    assert_eq!(manifest["read"]["sources"], source);
    let manifest = convert(&place, &hub, &format!("{ADDRESS}/data/a.jsonl"), "b");
    assert_eq!(manifest["read"]["items"], 5);
    let address = format!("{ADDRESS}@{second}/data/a.jsonl");
    assert_eq!(manifest["read"]["sources"][0]["address"], address);
    let unknown = format!("{ADDRESS}@v9");
    refused(&place, &hub, TOKEN, &unknown, "no revision `v9`");
    refused(&place, &hub, TOKEN, &format!("{ADDRESS}/data/c.jsonl"), "it has no `data/c.jsonl`");
    refused(&place, &hub, TOKEN, "hf://datasets/acme/support/../x", "@REVISION");
    refused(&place, &hub, TOKEN, "hf://models/acme/support", "hf://datasets/ORGANIZATION/NAME");
}

#[test]
fn a_download_that_breaks_off_is_continued() {
    let (place, hub) = (Place::new(), FakeHub::new());
    let data = gzip(lines((0..200).map(|n| long_chat(&format!("c{n}"), n * 37))).as_bytes());
    hub.commit(NAME, &[("a.jsonl.gz", &data)]);
    let step = data.len() / 3 + 1;
    hub.cut(step, 2);
    assert_eq!(convert(&place, &hub, ADDRESS, "a")["read"]["items"], 200);
    let oid: String = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    let storage = |range: &str| format!("STORAGE {oid} {range}");
    let asked = |hub: &FakeHub| {
        downloads(hub).into_iter().filter(|one| one.starts_with("STORAGE")).collect::<Vec<_>>()
    };
    let (one, two) = (format!("bytes={step}-"), format!("bytes={}-", 2 * step));
    assert_eq!(asked(&hub), [storage(""), storage(&one), storage(&two)]);
    // A run that was killed left a partial file.
    fs::remove_dir_all(place.path("cache")).unwrap();
    place.file(&format!("cache/retort/hub/acme/support/blobs/{oid}.part"), &data[..100]);
    convert(&place, &hub, ADDRESS, "b");
    assert_eq!(asked(&hub), [storage("bytes=100-")]);
    assert_eq!(place.bytes("a/conversations.jsonl"), place.bytes("b/conversations.jsonl"));
    // A partial file with other content is noticed, and the next run starts over.
    fs::remove_dir_all(place.path("cache")).unwrap();
    place.file(&format!("cache/retort/hub/acme/support/blobs/{oid}.part"), [7; 100]);
    refused(&place, &hub, TOKEN, ADDRESS, "does not have the hash");
    convert(&place, &hub, ADDRESS, "c");
}

#[test]
fn damaged_files_are_noticed() {
    let (place, hub) = (Place::new(), FakeHub::new());
    hub.commit(
        NAME,
        &[("a.jsonl.gz", &gzip(chats(9).as_bytes())), ("b.jsonl", chats(2).as_bytes())],
    );
    hub.set_damaged(true);
    refused(&place, &hub, TOKEN, ADDRESS, "`a.jsonl.gz`");
    hub.set_damaged(false);
    assert_eq!(convert(&place, &hub, ADDRESS, "a")["read"]["items"], 11);
}

#[test]
fn people_without_access_are_told_what_to_do() {
    let (place, hub) = (Place::new(), FakeHub::new());
    hub.commit(NAME, &[("a.jsonl", chats(2).as_bytes())]);
    refused(&place, &hub, "", ADDRESS, "set HF_TOKEN or run `hf auth login`");
    refused(&place, &hub, "hf_wrong", ADDRESS, "401");
    refused(&place, &hub, TOKEN, "hf://datasets/acme/other", "no dataset `acme/other`");
    hub.set_gated(NAME);
    refused(&place, &hub, TOKEN, ADDRESS, "grant access on request");
    let open = FakeHub::new();
    open.create("acme/open", false);
    open.commit("acme/open", &[("a.jsonl", chats(2).as_bytes())]);
    let args = ["convert", "hf://datasets/acme/open", "-q", "-o", "a"];
    assert_eq!(run_as(&place, &open, "", &args).code, Some(0), "no token is needed");
    let plain = [("HF_ENDPOINT", "http://hub.example"), ("HF_TOKEN", TOKEN)];
    let ran = place.run_with(&plain, &["convert", ADDRESS, "-o", "b"]);
    assert!(ran.code == Some(2) && ran.err.contains("unencrypted"), "{}", ran.err);
}

#[test]
fn a_package_that_was_pushed_is_read_as_a_package() {
    let (place, hub) = (Place::new(), FakeHub::new());
    place.file("in.jsonl", lines((0..60).map(|n| long_chat(&format!("c{n}"), 90))));
    let options = ["--redact", "pii", "-f", "parquet", "--data-format", "openai"];
    place.ok(&[&["convert", "in.jsonl", "-q", "-o", "p"][..], &options].concat());
    ok(&place, &hub, &["push", "p", ADDRESS]);
    let mut files = hub.files(NAME);
    files.insert("notes.jsonl".into(), chats(1).into());
    let files: Vec<_> = files.iter().map(|(path, bytes)| (&**path, &**bytes)).collect();
    hub.commit(NAME, &files);
    let manifest = convert(&place, &hub, ADDRESS, "a");
    place.file("p/notes.jsonl", chats(1));
    place.ok(&["convert", "p", "-q", "--name", "d", "-o", "b"]);
    assert_eq!(place.bytes("a/conversations.jsonl"), place.bytes("b/conversations.jsonl"));
    assert_eq!(manifest["read"]["items"], 60);
    let local = place.json("b/manifest.json");
    assert_eq!(skipped(&manifest), skipped(&local));
}

#[test]
fn parts_and_imports_read_from_the_hub() {
    let (place, hub) = (Place::new(), FakeHub::new());
    let commit = hub.commit(
        NAME,
        &[("a.jsonl", chats(40).as_bytes()), ("b.jsonl", lines([chat("x")]).as_bytes())],
    );
    let address = format!("{ADDRESS}@{commit}");
    convert(&place, &hub, &address, "whole");
    for part in ["1/2", "2/2"] {
        let output = format!("part-{}", &part[..1]);
        ok(
            &place,
            &hub,
            &["convert", &address, "-q", "--name", "d", "--part", part, "-o", &output],
        );
    }
    place.ok(&["merge", "part-1", "part-2", "-q", "-o", "merged"]);
    for name in place.names("whole") {
        let (whole, merged) = (format!("whole/{name}"), format!("merged/{name}"));
        assert_eq!(place.bytes(&whole), place.bytes(&merged), "{name}");
    }
    let report = ok(&place, &hub, &["import", ADDRESS, "-q", "--json"]);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["new"], 41);
    let seen = ok(&place, &hub, &["inspect", ADDRESS, "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&seen.out).unwrap()["sources"].as_array().unwrap().len(),
        2
    );
}
