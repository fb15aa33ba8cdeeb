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
