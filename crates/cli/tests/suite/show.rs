//! What the other commands print: data to standard output, everything else to standard error.

use crate::support::*;
use serde_json::{Value, json};

fn with_chats(count: usize) -> Place {
    let place = Place::new();
    place.file("in.jsonl", chats(count));
    place
}

#[test]
fn a_preview_shows_the_first_twenty_records_and_writes_nothing() {
    let place = with_chats(50);
    let ran = place.ok(&["preview", "in.jsonl"]);
    assert!(
        ran.out.starts_with("1. c00000")
            && ran.out.contains("20. c00019")
            && !ran.out.contains("c00020"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("question c00019"));
    assert!(ran.err.contains("written"), "{}", ran.err);
    assert_eq!(place.names("."), ["in.jsonl"]);
}

#[test]
fn a_preview_as_json_holds_the_records_as_they_would_be_written_and_the_findings() {
    let place = with_chats(50);
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o"]);
    let written = place.rows("o/conversations.jsonl");
    for input in ["in.jsonl", "o"] {
        let shown: Value =
            serde_json::from_str(&place.ok(&["preview", input, "--json"]).out).unwrap();
        assert_eq!(shown["records"], json!(written[..20]), "{input}");
        assert_eq!(shown.get("findings").is_some(), input == "in.jsonl");
    }
    assert_eq!(rows(&place.ok(&["preview", "in.jsonl", "--lines"]).out), written[..20]);
    let few = with_chats(3);
    let shown: Value =
        serde_json::from_str(&few.ok(&["preview", "in.jsonl", "--json"]).out).unwrap();
    assert_eq!(
        (shown["records"].as_array().unwrap().len(), &shown["findings"]["selected"]),
        (3, &json!(3))
    );
}

#[test]
fn a_preview_shows_what_would_be_left_out_and_mended() {
    let place = Place::new();
    let trailing = json!({"id": "t", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}]});
    place.file(
        "in.jsonl",
        lines([trailing, json!({"id": "u", "messages": [{"role": "user", "content": "q"}]})]),
    );
    let findings = |args: &[&str]| -> Value {
        let shown: Value = serde_json::from_str(
            &place.ok(&[&["preview", "in.jsonl", "--json"], args].concat()).out,
        )
        .unwrap();
        shown["findings"].clone()
    };
    let mended = findings(&[]);
    assert_eq!(
        (&mended["left_out"], &mended["repaired"]),
        (&json!({"no-answer": 1}), &json!({"cut-end": 1}))
    );
    assert_eq!(
        findings(&["--check", "reject"])["left_out"],
        json!({"no-answer": 1, "needs-repair": 1})
    );
    let off = findings(&["--check", "off"]);
    assert_eq!(
        (&off["records"], &off["would_be_refused"], &off["unfit"]),
        (&json!(2), &json!({"cut-end": 2}), &json!({"no-answer": 1}))
    );
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let place = Place::new();
    place.file("in.jsonl", lines([json!({"id": "x\u{1b}[2J", "messages": [{"role": "user", "content": "a\u{1b}]0;title\u{7}b\u{202e}c"}, {"role": "assistant", "content": "\u{9b}31m"}]})]));
    let ran = place.ok(&["preview", "in.jsonl"]);
    assert!(
        !format!("{}{}", ran.out, ran.err).contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']),
        "{:?}",
        ran.out
    );
}

#[test]
fn the_formats_are_listed_for_people_and_for_programs() {
    let place = Place::new();
    let listed: Value = serde_json::from_str(&place.ok(&["formats", "--json"]).out).unwrap();
    let names = |list: &str| -> Vec<String> {
        listed[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let text = place.ok(&["formats"]).out;
    for (list, known) in [
        ("import_formats", &["retort", "uiuc-chat", "mcp-agent-graph", "sharegpt", "openai"][..]),
        ("data_formats", &["standard", "openai", "history", "retort"]),
        ("file_formats", &["jsonl", "csv", "parquet"]),
    ] {
        let names = names(list);
        assert!(known.iter().all(|name| names.iter().any(|one| one == name)), "{list}: {names:?}");
        assert!(names.iter().all(|name| text.contains(name.as_str())));
    }
}

#[test]
fn completions_are_printed() {
    let place = Place::new();
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef retort"), ("fish", "complete -c retort")]
    {
        let ran = place.ok(&["completions", shell]);
        assert!(ran.out.contains(word) && ran.out.contains("file-format"), "{shell}");
    }
}

#[test]
fn wrong_choices_are_told_in_words() {
    let place = with_chats(2);
    for (args, words) in [
        (&["convert", "nowhere.jsonl", "-o", "o"][..], "cannot read `nowhere.jsonl`"),
        (&["convert", "in.jsonl", "-o", "o", "-f", "xlsx"], "invalid value 'xlsx'"),
        (
            &["convert", "in.jsonl", "-o", "o", "--check", "maybe"],
            "[possible values: repair, reject, off]",
        ),
        (&["convert", "in.jsonl", "-o", "o", "--max-contexts", "81"], "a whole number up to 80"),
        (
            &["convert", "in.jsonl", "-o", "o", "-f", "parquet", "--compress", "gzip"],
            "leave out `--compress`",
        ),
        (
            &["convert", "in.jsonl", "-o", "o", "--shard-size", "0"],
            "write a whole number of at least 1",
        ),
        (&["convert", "in.jsonl", "-o", "o", "--from", "retort"], "no records to write"),
        (&["convert", "in.jsonl"], "--output"),
    ] {
        let ran = place.refused(args, words);
        assert!(ran.out.is_empty());
    }
    assert_eq!(place.names("."), ["in.jsonl"]);
}

#[test]
fn what_is_no_history_is_named() {
    let place = Place::new();
    place.file("in.json", r#"[{"colour": "red", "size": 1}, "text"]"#);
    place.refused(&["convert", "in.json", "-o", "o"], "2 could not be read (2 of no known format)");
    place.file("empty.json", "");
    place.refused(&["convert", "empty.json", "-o", "o"], "the inputs hold no items");
    place.file("folder/notes.txt", "x");
    place.refused(
        &["convert", "folder", "-o", "o"],
        "1 skipped: neither its name nor its content looks like a history (first: notes.txt)",
    );
}

#[test]
fn a_quiet_run_says_nothing() {
    let place = with_chats(2);
    let ran = place.ok(&["convert", "in.jsonl", "-q", "-o", "o"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}

#[test]
fn a_quiet_run_says_why_it_ended_with_3() {
    let place = with_chats(1);
    let chat = std::fs::read_to_string(place.path("in.jsonl")).unwrap();
    place.file("in.jsonl", format!("{chat}{{\"a\":1}}\n{{\"a\":2}}\n"));
    for args in [&["convert", "in.jsonl", "-q", "-o", "o"][..], &["import", "-q", "in.jsonl"]] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert_eq!(ran.err, "warning: 2 of 3 items could not be read\n");
    }
}

#[test]
fn a_reader_that_has_seen_enough_may_close_the_output() {
    let place = with_chats(500);
    place.ok(&["import", "-q", "in.jsonl"]);
    place.ok(&["export", "-q", "d"]);
    for args in [
        &["list", "--all"][..],
        &["list", "--json"],
        &["show", "c00000"],
        &["jobs"],
        &["datasets"],
        &["datasets", "preview", "d"],
        &["datasets", "download", "d", "-o", "-"],
        &["trace", "c00000"],
        &["doctor"],
        &["formats"],
        &["preview", "in.jsonl"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(args);
        let ran = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.success() && !err.contains("error"), "{args:?}: {err}");
    }
}
