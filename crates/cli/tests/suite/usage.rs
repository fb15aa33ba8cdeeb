//! Wrong usage: what is said of it, and how the command ends.
//!
//! `data/usage.txt` has the commands and what each prints to standard error. `UPDATE_DOCS=1 cargo test` writes what they
//! print now.

use std::fmt::Write;
use std::fs;

use crate::support::*;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/usage.txt");

/// What a command prints, without the lists of values, which grow with the formats, and without the place of the test.
fn said(place: &Place, command: &str) -> String {
    let args: Vec<_> = command.split(' ').skip(1).collect();
    let ran = place.run(&args);
    assert!(ran.out.is_empty(), "{command}: {}", ran.out);
    let folder = place.0.path().display().to_string();
    let mut said = format!("$ {command}\n");
    for line in ran.err.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with("  [possible values: ")
            && line != "For more information, try '--help'."
        {
            writeln!(said, "{}", line.replace(&folder, "/home/ann")).unwrap();
        }
    }
    writeln!(said, "[{}]", ran.code.unwrap()).unwrap();
    said
}

#[test]
fn errors_are_json_where_the_output_is() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    let said = |args: &[&str]| {
        let ran = place.run(args);
        assert_eq!(ran.out, "");
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(error["error"]["exit_code"], ran.code.unwrap());
        error["error"].clone()
    };
    let error = said(&["convert", "in.jsonl", "-o", "out", "--purpse", "x", "--json"]);
    assert_eq!(error["kind"], "usage");
    assert!(error["message"].as_str().unwrap().starts_with("unexpected argument '--purpse'"));
    let error = said(&["convert", "gone.jsonl", "-o", "out", "--json"]);
    assert_eq!((&error["kind"], error["exit_code"].as_u64()), (&"failed".into(), Some(1)));
    place.ok(&["import", "in.jsonl", "-q"]);
    let error = said(&["show", "c2", "--json"]);
    assert_eq!(error["problem"], "not-found", "{error}");
    // A value that looks like the option does not ask for JSON.
    assert!(
        place.run(&["convert", "gone", "-o", "out", "--", "--json"]).err.starts_with("error: ")
    );
}

#[test]
fn options_of_a_server_are_refused_where_there_is_none_to_ask() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    for args in [
        &["convert", "in.jsonl", "-o", "out", "--server", "https://a.org"][..],
        &["--token", "t", "formats"],
        &["preview", "in.jsonl", "--insecure"],
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.err.contains("does not use a server"), "{}", ran.err);
    }
    assert!(!place.path("out").exists());
    place.ok(&["convert", "in.jsonl", "-o", "out", "--server", ""]);
    for (command, is_there) in [("list", true), ("convert", false), ("backup", false)] {
        let help = place.ok(&[command, "--help"]).out;
        assert_eq!(help.contains("--server"), is_there, "{command}");
    }
}

#[test]
fn commands_that_change_things_tell_first_what_they_would_do() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "all", "-q"]);
    for (args, what) in [
        (&["delete", "--all"][..], "delete 3 of 3 conversations"),
        (&["conversations", "purge", "--all"], "purge 3 of 3 conversations"),
        (&["tag", "--all", "--add", "x"], "change 3 of 3 conversations"),
        (&["export", "more"], "export 3 conversations"),
        (&["conversations", "export", "more"], "export 3 conversations"),
    ] {
        let ran = place.ok(&[args, &["--dry-run"]].concat());
        let told = format!("would {what}; nothing was changed (`--dry-run`)\n");
        assert_eq!(ran.err, told, "{args:?}");
    }
    assert!(
        place.ok(&["datasets", "purge", "all", "--dry-run"]).err.contains("nothing was changed")
    );
    assert_eq!(place.ok(&["conversations", "list", "--count"]).out, "3\n");
    assert_eq!(place.ok(&["list", "--tag", "x", "--count"]).out, "0\n");
    assert_eq!(place.printed(&["datasets", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn the_data_file_of_a_dataset_can_be_downloaded_alone() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "v1.2", "-q", "-d", "chat"]);
    place.ok(&["datasets", "download", "v1.2", "-q", "-o", "alone.jsonl"]);
    assert_eq!(fs::read_to_string(place.path("alone.jsonl")).unwrap().lines().count(), 3);
    place.refused(&["datasets", "download", "v1.2", "-o", "alone.jsonl"], "exists");
    let ran =
        place.refused(&["datasets", "download", "v1.2", "-o", "x.csv"], "is in the format `jsonl`");
    assert_eq!(ran.code, Some(2));
    place.ok(&["export", "two", "-q", "-d", "chat", "--split", "a=0.5,b=0.5"]);
    place.refused(&["datasets", "download", "two", "-o", "x.jsonl"], "data files");
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    place.ok(&["man", "pages/man1"]);
    let pages = place.names("pages/man1");
    for page in ["retort.1", "retort-convert.1", "retort-datasets-download.1"] {
        assert!(pages.iter().any(|one| one == page), "{page} in {pages:?}");
    }
    let page = fs::read_to_string(place.path("pages/man1/retort-convert.1")).unwrap();
    assert!(page.contains("Examples:") && page.contains("redact"), "{page}");
}

#[test]
fn wrong_usage_is_told_as_it_was() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    place.file("empty.jsonl", "");
    place.file("broken.jsonl", "{\"id\":\n");
    place.file("picture.png", b"\x89PNG\r\n\x1a\n\0\0");
    place.file("key.txt", "short");
    let kept = fs::read_to_string(SNAPSHOT).unwrap();
    let commands: Vec<_> = kept.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 40, "{}", commands.len());
    let said: Vec<_> = commands.iter().map(|command| said(&place, command)).collect();
    assert!(!place.path("out").exists(), "something was written");
    let now = said.join("\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(SNAPSHOT, now).unwrap();
        return;
    }
    assert_eq!(kept, now);
}
