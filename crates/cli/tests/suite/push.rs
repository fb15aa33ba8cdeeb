//! `retort push`, against a Hub of the test's own that checks the protocol.

use std::collections::BTreeMap;
use std::fs;

use crate::support::hub::{FakeHub, PIECE, TOKEN};
use crate::support::{Place, Ran, chat, lines};
use serde_json::{Value, json};

const ADDRESS: &str = "hf://datasets/acme/support";
const NAME: &str = "acme/support";

fn history(place: &Place, count: usize) {
    let mut lines = String::new();
    for number in 0..count {
        let text = format!("Where is parcel {number}? {:x}", number * 7_919_999_983);
        lines += &json!({"id": format!("c{number}"), "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": "On its way."},
        ]})
        .to_string();
        lines.push('\n');
    }
    place.file("in.jsonl", lines);
}

fn run(place: &Place, hub: &FakeHub, args: &[&str]) -> Ran {
    let variables = [("HF_TOKEN", TOKEN), ("HF_ENDPOINT", &*hub.address()), ("NO_PROXY", "*")];
    let ran = place.run_with(&variables, args);
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is shown");
    ran
}

fn ok(place: &Place, hub: &FakeHub, args: &[&str]) -> Ran {
    let ran = run(place, hub, args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    ran
}

fn refused(place: &Place, hub: &FakeHub, args: &[&str], code: i32, words: &str) {
    let ran = run(place, hub, args);
    assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
    assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
}

/// The files of a package on disk.
fn files(place: &Place, package: &str) -> BTreeMap<String, Vec<u8>> {
    let names = place.names(package).into_iter();
    let files = names.filter(|name| place.path(package).join(name).is_file());
    files.map(|name| (name.clone(), fs::read(place.path(package).join(name)).unwrap())).collect()
}

fn uploads(hub: &FakeHub) -> usize {
    hub.take_requests().iter().filter(|request| request.starts_with("PUT ")).count()
}

#[test]
fn a_package_is_pushed_in_one_commit_to_a_private_repository() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 600);
    place.ok(&["convert", "in.jsonl", "-q", "-f", "parquet", "--redact", "pii", "-o", "p"]);
    let pushed = ok(&place, &hub, &["push", "p", ADDRESS, "--json"]);
    let pushed: Value = serde_json::from_str(&pushed.out).unwrap();
    assert!(hub.is_private(NAME));
    assert_eq!(hub.files(NAME), files(&place, "p"));
    let data = &hub.files(NAME)["conversations.parquet"];
    assert!(data.len() > PIECE, "the data is uploaded in pieces: {} bytes", data.len());
    assert_eq!(hub.commits().len(), 1);
    assert!(pushed["url"].as_str().unwrap().ends_with("/datasets/acme/support"), "{pushed}");
    assert_eq!(pushed["commit"].as_str().unwrap().len(), 40);
    // Again: there is nothing to do.
    hub.take_requests();
    let again = ok(&place, &hub, &["push", "p", ADDRESS]);
    assert!(again.err.contains("already there"), "{}", again.err);
    assert_eq!((uploads(&hub), hub.commits().len()), (0, 1));
}

#[test]
fn a_push_that_broke_off_goes_on_and_a_grown_dataset_replaces_the_one_before() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 600);
    let convert = ["convert", "in.jsonl", "-q", "-f", "parquet", "--redact", "pii"];
    let split = ["--split", "train=0.5,test=0.5", "-o", "p"];
    place.ok(&[&convert[..], &split].concat());
    let pieces: usize = files(&place, "p")
        .iter()
        .filter(|(name, _)| name.ends_with(".parquet"))
        .map(|(_, bytes)| bytes.len().div_ceil(PIECE))
        .sum();
    let first = files(&place, "p")["conversations-train.parquet"].len().div_ceil(PIECE);
    hub.fail_after(Some(first));
    refused(&place, &hub, &["push", "p", ADDRESS], 1, "the storage is full");
    assert!(hub.commits().is_empty() && hub.files(NAME).is_empty());
    hub.fail_after(None);
    hub.take_requests();
    ok(&place, &hub, &["push", "p", ADDRESS]);
    assert_eq!(uploads(&hub), pieces - first, "what was uploaded is not sent again");
    assert_eq!(hub.files(NAME), files(&place, "p"));
    // Without a split there is one data file: those of the split go, and a file of someone else stays.
    place.ok(&[&convert[..], &["-o", "p", "--force"]].concat());
    ok(&place, &hub, &["push", "p", ADDRESS]);
    assert_eq!(hub.files(NAME), files(&place, "p"));
    assert_eq!(hub.commits().len(), 2);
}

/// A chat whose text hardly compresses, the same for the same number.
fn noise(number: u64) -> Value {
    let mut chance = number;
    let words: String = (0..1000)
        .map(|_| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            format!("{:x} ", chance >> 20)
        })
        .collect();
    let mut chat = chat(&format!("c{number:05}"));
    chat["messages"][1]["content"] = json!(words);
    chat
}

/// Pushes a dataset of a few megabytes, adds 1 % at a place, and pushes it again.
fn sends_what_is_new(file_format: &str, at: usize) {
    let (place, hub) = (Place::new(), FakeHub::new());
    let mut chats: Vec<Value> = (1..=400).map(noise).collect();
    let sent = |chats: &[Value]| -> (u64, u64) {
        place.file("in.jsonl", lines(chats.iter().cloned()));
        let convert = ["convert", "in.jsonl", "-q", "-d", "openai", "-f", file_format];
        place.ok(&[&convert[..], &["--shard-size", "1", "--redact", "pii", "--force", "-o", "p"]]
            .concat());
        let pushed = ok(&place, &hub, &["push", "p", ADDRESS, "--json"]);
        let pushed: Value = serde_json::from_str(&pushed.out).unwrap();
        assert_eq!(hub.files(NAME), files(&place, "p"));
        (pushed["files_sent"].as_u64().unwrap(), pushed["bytes_sent"].as_u64().unwrap())
    };
    let (all_files, all_bytes) = sent(&chats);
    let data = files(&place, "p").into_keys().filter(|name| name.contains("-of-")).count() as u64;
    assert!(data > 5, "{data} data files");
    chats.splice(at..at, (401..=404).map(noise));
    let (new_files, new_bytes) = sent(&chats);
    println!(
        "{file_format}: {all_bytes} bytes in {all_files} files, then {new_bytes} in {new_files}"
    );
    // Where the new ones are, and the small files that describe the package.
    assert!(new_files <= all_files - data + 3, "{new_files} of {all_files} files");
    assert!(new_bytes < all_bytes / 3, "{new_bytes} of {all_bytes} bytes");
}

#[test]
fn a_dataset_that_grew_in_one_place_sends_the_files_that_changed() {
    for at in [0, 200, 400] {
        sends_what_is_new("parquet", at);
    }
    sends_what_is_new("jsonl", 400);
}

#[test]
fn convert_and_export_push_what_they_made() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 20);
    let push = ["--redact", "pii", "--push", ADDRESS];
    ok(&place, &hub, &[&["convert", "in.jsonl", "-q", "-o", "p"][..], &push].concat());
    assert_eq!(hub.files(NAME), files(&place, "p"));
    place.ok(&["import", "-q", "in.jsonl"]);
    let other = "hf://datasets/acme/other";
    ok(&place, &hub, &["export", "d", "-q", "--redact", "pii", "--push", other]);
    let pushed = hub.files("acme/other");
    assert!(pushed["README.md"].starts_with(b"---\n"), "the card is there");
    let receipt: Value = serde_json::from_slice(&pushed["manifest.json"]).unwrap();
    assert_eq!(receipt["records"]["written"], 20);
}

#[test]
fn nobody_publishes_by_mistake() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 3);
    place.ok(&["convert", "in.jsonl", "-q", "-o", "p"]);
    refused(&place, &hub, &["push", "p", ADDRESS], 2, "is not redacted");
    let convert = ["convert", "in.jsonl", "-q", "-o", "q", "--push", ADDRESS];
    refused(&place, &hub, &convert, 2, "is not redacted");
    assert!(!place.path("q").exists(), "it is refused before the work");
    hub.create(NAME, false);
    let anyway = ["push", "p", ADDRESS, "--not-redacted"];
    refused(&place, &hub, &anyway, 2, "is public");
    assert!(hub.commits().is_empty());
    ok(&place, &hub, &[&anyway[..], &["--public"]].concat());
    assert_eq!(hub.files(NAME), files(&place, "p"));
}

#[test]
fn what_is_wrong_is_said() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 3);
    place.ok(&["convert", "in.jsonl", "-q", "--redact", "pii", "-o", "p"]);
    for address in ["hf://models/acme/support", "hf://datasets/acme", "hf://datasets/acme/../x"] {
        refused(&place, &hub, &["push", "p", address], 2, "hf://datasets/ORGANIZATION/NAME");
    }
    refused(&place, &hub, &["push", "in.jsonl", ADDRESS], 1, "is not a complete package");
    place.refused(&["push", "p", ADDRESS, "--hub", "http://hub.example"], "HF_TOKEN");
    let plain = ["push", "p", ADDRESS, "--hub", "http://hub.example"];
    refused(&place, &hub, &plain, 2, "unencrypted");
    let to_convert = ["convert", "in.jsonl", "-o", "x.jsonl", "--redact", "pii", "--push", ADDRESS];
    refused(&place, &hub, &to_convert, 2, "a package");
    let wrong = place.run_with(
        &[("HF_TOKEN", "hf_wrong"), ("HF_ENDPOINT", &*hub.address()), ("NO_PROXY", "*")],
        &["push", "p", ADDRESS],
    );
    assert!(wrong.err.contains("401") && wrong.err.contains("HF_TOKEN"), "{}", wrong.err);
    // A Hub that is busy for a moment is asked again.
    hub.set_busy(2);
    ok(&place, &hub, &["push", "p", ADDRESS]);
    assert_eq!(hub.files(NAME), files(&place, "p"));
}

#[test]
fn the_token_is_read_from_the_file_of_the_hub_s_own_programs() {
    let (place, hub) = (Place::new(), FakeHub::new());
    history(&place, 3);
    place.ok(&["convert", "in.jsonl", "-q", "--redact", "pii", "-o", "p"]);
    place.file("home/token", format!("{TOKEN}\n"));
    let home = place.path("home");
    let variables = [
        ("HF_HOME", home.to_str().unwrap()),
        ("HF_TOKEN", ""),
        ("HF_ENDPOINT", &*hub.address()),
        ("NO_PROXY", "*"),
    ];
    let ran = place.run_with(&variables, &["push", "p", ADDRESS]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(hub.commits().len(), 1);
}
