//! The store from outside: histories come in, are looked through, changed and exported.

use std::fs;
use std::process::Command;

use crate::support::*;
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/conversations");

/// A store in a folder of its own.
struct Keep(Place);

impl Keep {
    fn new() -> Self {
        Self(Place::new())
    }

    fn with(history: impl AsRef<[u8]>) -> Self {
        let keep = Self::new();
        keep.0.file("in.jsonl", history);
        keep.ok(&["import", "in.jsonl"]);
        keep
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = retort();
        command.current_dir(self.0.path(".")).args(args);
        for name in ["RETORT_STORE", "RETORT_OBJECTS", "RETORT_PROJECT", "RETORT_CONFIG"] {
            command.env_remove(name);
        }
        command
            .env("RETORT_DATA", self.0.path("data"))
            .env("XDG_CONFIG_HOME", self.0.path("config"));
        command
    }

    fn run_with(&self, args: &[&str], settings: &[(&str, &str)], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        command.envs(settings.iter().copied());
        finish(command, input.to_vec())
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[], b"")
    }

    fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran
    }

    fn refused(&self, args: &[&str], words: &str) {
        let ran = self.run(args);
        assert!(matches!(ran.code, Some(1 | 2)), "{args:?} ended with {:?}", ran.code);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args).out).unwrap()
    }

    fn count(&self, args: &[&str]) -> u64 {
        let args: Vec<&str> = ["list", "--count"].iter().chain(args).copied().collect();
        self.ok(&args).out.trim().parse().unwrap()
    }

    /// The first rows of a dataset.
    fn rows(&self, dataset: &str) -> Vec<Value> {
        rows(&self.ok(&["datasets", "preview", dataset, "--lines"]).out)
    }

    /// Brings a dataset into a folder of that name.
    fn brought(&self, dataset: &str) {
        let archive = format!("{dataset}.zip");
        self.ok(&["datasets", "download", dataset]);
        self.ok(&["verify", &archive]);
        let mut archive =
            zip::ZipArchive::new(fs::File::open(self.0.path(&archive)).unwrap()).unwrap();
        archive.extract(self.0.path(dataset)).unwrap();
    }
}

fn titled(id: &str, title: &str, created: &str) -> Value {
    with(with(chat(id), "title", json!(title)), "created_at", json!(created))
}

#[test]
fn the_same_history_again_changes_nothing() {
    let keep = Keep::new();
    let first = keep.json(&["import", EXAMPLES, "--json", "-q"]);
    assert_eq!((&first["read"], &first["new"]), (&json!(32), &json!(32)));
    let again = keep.json(&["import", EXAMPLES, "--json", "-q"]);
    assert_eq!(
        (&again["read"], &again["new"], &again["same"]),
        (&json!(32), &json!(0), &json!(32))
    );
    assert_eq!(keep.count(&[]), 31, "one is deleted");
    assert_eq!(keep.count(&["--status", "deleted"]), 1);
}

#[test]
fn what_is_newer_is_taken_and_what_is_older_is_not() {
    let keep = Keep::with(lines([with(chat("a"), "updated_at", json!("2024-02-01"))]));
    let import = |updated: &str, answer: &str| {
        let mut item = with(chat("a"), "updated_at", json!(updated));
        item["messages"][1]["content"] = json!(answer);
        keep.0.file("next.jsonl", lines([item]));
        keep.json(&["import", "next.jsonl", "--json", "-q"])
    };
    assert_eq!(import("2024-01-01", "old")["older"], 1);
    assert_eq!(import("2024-03-01", "new")["updated"], 1);
    let line = keep.json(&["show", "a", "--json"]);
    assert_eq!(line["rounds"][0]["messages"][1]["content"], "new");
}

#[test]
fn conversations_without_ids_are_neither_lost_nor_doubled() {
    let bare = |text: &str| json!([{"role": "user", "content": text}, {"role": "assistant", "content": "a"}]);
    let history = lines([bare("x"), bare("y"), bare("x")]);
    let keep = Keep::with(&history);
    assert_eq!(keep.count(&[]), 3);
    keep.0.file("other.jsonl", lines([bare("x"), bare("z"), bare("x")]));
    let report = keep.json(&["import", "other.jsonl", "--json", "-q"]);
    assert_eq!((&report["new"], &report["same"]), (&json!(1), &json!(2)));
    assert_eq!(keep.count(&[]), 4);
}

#[test]
fn a_dry_run_tells_what_would_happen_and_makes_nothing() {
    let keep = Keep::new();
    keep.0.file("in.jsonl", lines([chat("a"), chat("b"), chat("a")]) + "{\"broken\": \n");
    let report = keep.json(&["import", "in.jsonl", "--dry-run", "--json", "-q"]);
    assert_eq!(
        (&report["new"], &report["same"], &report["read"]),
        (&json!(2), &json!(1), &json!(4))
    );
    assert!(!keep.0.path("data/retort.sqlite").exists());
    keep.ok(&["import", "in.jsonl"]);
    assert_eq!(keep.json(&["import", "in.jsonl", "--dry-run", "--json", "-q"])["new"], 0);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let keep = Keep::new();
    let good = lines(["a", "b", "c"].map(chat));
    keep.0.file("in.jsonl", good + "{\"id\": 1, \"foo\": 2}\nnonsense\n");
    let ran = keep.ok(&["import", "in.jsonl", "--rejects", "bad.jsonl"]);
    assert!(ran.err.contains("refused    2 items") && ran.err.contains("line 5"), "{}", ran.err);
    let bad = keep.0.rows("bad.jsonl");
    assert_eq!(bad.len(), 2);
    assert_eq!(bad[1]["line"], 5);
    let job = &keep.json(&["jobs", "list", "--json"])[0];
    assert_eq!(job["state"], "completed_with_skips");
}

#[test]
fn histories_come_in_by_every_way() {
    let keep = Keep::new();
    let text = lines([chat("a")]);
    keep.0.file("a.jsonl.gz", gzip(text.as_bytes()));
    keep.0.file("b.zip", zip(&[("b.jsonl", lines([chat("b")]).as_bytes())]));
    keep.ok(&["import", "a.jsonl.gz", "b.zip"]);
    let ran = keep.run_with(&["import", "-"], &[], lines([chat("c")]).as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(keep.count(&[]), 3);
    keep.refused(&["import", "nowhere.jsonl"], "nowhere.jsonl");
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let history = lines([
        with(titled("a", "Züge nach Köln", "2024-01-01"), "tags", json!(["旅行"])),
        with(titled("b", "Trains", "2024-02-01"), "type", json!("agent")),
        with(titled("c", "\u{1b}[31mred\nline", "2024-03-01"), "status", json!("favorite")),
        chat("d"),
    ]);
    let keep = Keep::with(history);
    let listed = |args: &[&str]| -> Vec<String> {
        let args: Vec<&str> = ["list", "--lines"].iter().chain(args).copied().collect();
        rows(&keep.ok(&args).out).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]), ["c", "b", "a", "d"]);
    assert_eq!(listed(&["--sort", "oldest"]), ["d", "a", "b", "c"]);
    assert_eq!(listed(&["--search", "zÜGE"]), ["a"]);
    assert_eq!(listed(&["--search", "旅"]), ["a"]);
    assert_eq!(
        listed(&["--type", "agent", "--type", "chat", "--created-from", "2024-02-01"]),
        ["c", "b"]
    );
    assert_eq!(listed(&["--created-before", "2024-02-01"]), ["a"]);
    assert_eq!(listed(&["--status", "favorite"]), ["c"]);
    let page = keep.json(&["list", "--limit", "3", "--json"]);
    assert_eq!(
        (page["total"].as_u64(), page["conversations"].as_array().unwrap().len()),
        (Some(4), 3)
    );
    assert_eq!(listed(&["--limit", "3", "--after", page["next"].as_str().unwrap()]), ["d"]);
    assert_eq!(listed(&["--limit", "1", "--all"]).len(), 4);
    assert!(!keep.ok(&["list"]).out.contains('\u{1b}'));
    assert!(!keep.ok(&["show", "c"]).out.contains('\u{1b}'));
    keep.refused(&["list", "--after", "x"], "is not a cursor");
    keep.refused(&["list", "--search", ""], "--search");
}

#[test]
fn edits_show_in_lists_and_in_datasets() {
    let keep =
        Keep::with(lines([titled("a", "one", "2024-01-01"), titled("b", "two", "2024-01-02")]));
    assert!(keep.ok(&["tag", "a", "--add", "x", "--add", "y"]).err.contains("changed 1 of 1"));
    keep.ok(&["tag", "--search", "x", "--remove", "y"]);
    keep.ok(&["favorite", "a"]);
    assert_eq!(keep.count(&["--status", "favorite"]), 1);
    keep.ok(&["delete", "b"]);
    assert_eq!(keep.count(&[]), 1);
    keep.ok(&["export", "left"]);
    assert_eq!(keep.rows("left").len(), 1);
    assert_eq!(keep.rows("left")[0]["ability"], json!(["x"]));
    keep.ok(&["export", "all", "--status", "deleted", "--status", "favorite"]);
    assert_eq!(keep.rows("all").len(), 2);
    assert!(keep.ok(&["restore", "--all"]).err.contains("restored 1 of 1"));
    assert_eq!(keep.count(&[]), 2);
    // An import leaves alone what was set here.
    keep.0.file(
        "again.jsonl",
        lines([with(titled("a", "three", "2024-01-01"), "tags", json!(["z"]))]),
    );
    keep.ok(&["import", "again.jsonl"]);
    let row = &keep.json(&["list", "--id", "a", "--json"])["conversations"][0];
    assert_eq!(
        (&row["title"], &row["tags"], &row["status"]),
        (&json!("three"), &json!(["x"]), &json!("favorite"))
    );
}

#[test]
fn edits_ask_what_they_are_of() {
    let keep = Keep::with(lines([chat("a"), chat("b")]));
    keep.refused(&["delete"], "--all");
    keep.refused(&["tag", "a"], "--add");
    keep.refused(&["favorite", "a", "nobody"], "there is no conversation `nobody`");
    assert_eq!(keep.count(&["--status", "favorite"]), 0);
    keep.refused(&["purge", "a"], "--yes");
    assert_eq!(keep.count(&[]), 2);
    keep.ok(&["purge", "a", "--yes"]);
    keep.refused(&["show", "a"], "there is no conversation `a`");
    assert_eq!(keep.count(&[]), 1);
}

#[test]
fn a_dataset_survives_what_it_was_made_of() {
    let keep = Keep::with(lines([chat("a"), chat("b")]));
    keep.ok(&["export", "both"]);
    keep.ok(&["export", "one", "--id", "b"]);
    keep.ok(&["purge", "a", "--yes"]);
    assert_eq!(keep.rows("both").len(), 2);
    let traced = |id: &str| -> Vec<String> {
        let found = keep.json(&["trace", id, "--json"]);
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(traced("a"), ["both"]);
    assert_eq!(traced("b"), ["one", "both"], "newest first");
    keep.refused(&["trace", "c"], "there is no conversation, run or document `c`");
    keep.ok(&["doctor", "--deep"]);
    keep.ok(&["datasets", "delete", "both", "--yes"]);
    assert_eq!(traced("b"), ["one"]);
    keep.ok(&["doctor"]);
}

#[test]
fn an_export_gives_the_bytes_of_a_conversion() {
    let keep = Keep::new();
    keep.ok(&["import", EXAMPLES]);
    for (data, file, ending) in [
        ("standard", "jsonl", "jsonl"),
        ("standard", "csv", "csv"),
        ("standard", "parquet", "parquet"),
        ("openai", "jsonl", "jsonl"),
        ("retort", "jsonl", "jsonl"),
    ] {
        let name = format!("{data}-{file}");
        keep.ok(&["export", &name, "-d", data, "-f", file]);
        keep.brought(&name);
        let converted = format!("converted-{name}");
        keep.ok(&["convert", EXAMPLES, "-o", &converted, "-d", data, "-f", file]);
        let path = format!("conversations.{ending}");
        let bytes = |folder: &str| keep.0.bytes(&format!("{folder}/{path}"));
        assert!(bytes(&name) == bytes(&converted), "{name}");
        assert_balanced(&keep.0.json(&format!("{name}/manifest.json")));
    }
}

#[test]
fn a_history_in_parts_is_whole_and_in_order() {
    let history = lines((0..900).map(|n| long_chat(&format!("c{n:04}"), 5000)));
    let keep = Keep::new();
    keep.0.file("in.jsonl", history);
    let parts = [("RETORT_PART_MEGABYTES", "1")];
    for args in
        [&["import", "in.jsonl"][..], &["export", "parts"], &["export", "columns", "-f", "parquet"]]
    {
        let ran = keep.run_with(args, &parts, b"");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    keep.brought("parts");
    keep.brought("columns");
    let data: Vec<String> = keep
        .0
        .names("parts/conversations")
        .into_iter()
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    assert!(
        data.len() > 3 && data[0].ends_with(&format!("-00000-of-{:05}.jsonl", data.len())),
        "{data:?}"
    );
    let rows: Vec<Value> =
        data.iter().flat_map(|name| keep.0.rows(&format!("parts/conversations/{name}"))).collect();
    let expected: Vec<String> = (0..900).map(|n| format!("c{n:04}")).collect();
    assert_eq!(ids(&rows), expected);
    assert_balanced(&keep.0.json("parts/manifest.json"));
}

#[test]
fn the_first_of_several_files_shows_readers_every_type() {
    let mut items: Vec<Value> = (0..300).map(|n| long_chat(&format!("c{n:04}"), 8000)).collect();
    items.push(with(chat("tagged"), "tags", json!(["x"])));
    let keep = Keep::new();
    keep.0.file("in.jsonl", lines(items));
    keep.ok(&["import", "in.jsonl"]);
    let ran = keep.run_with(&["export", "parts"], &[("RETORT_PART_MEGABYTES", "1")], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    keep.brought("parts");
    keep.ok(&["convert", "in.jsonl", "-o", "converted", "--shard-size", "1"]);
    for package in ["parts", "converted"] {
        let first = keep
            .0
            .names(&format!("{package}/conversations"))
            .into_iter()
            .find(|name| name.contains("-00000-of-00003"))
            .unwrap();
        let rows = keep.0.rows(&format!("{package}/conversations/{first}"));
        assert_eq!(rows[0]["ability"], json!(["x"]), "{package}");
        keep.ok(&["verify", package]);
    }
}

#[test]
fn an_export_takes_what_matches_what_is_named_or_the_most_recent() {
    let items = (1..=9).map(|n| titled(&format!("c{n}"), "t", &format!("2024-01-0{n}")));
    let keep = Keep::with(lines(items));
    keep.ok(&["export", "recent", "--limit", "3"]);
    assert_eq!(ids(&keep.rows("recent")), ["c7", "c8", "c9"]);
    keep.ok(&["export", "named", "--id", "c5", "--id", "c2"]);
    assert_eq!(ids(&keep.rows("named")), ["c2", "c5"]);
    keep.refused(&["export", "named"], "`named-2` is free");
    keep.refused(&["export", "none", "--search", "zzz"], "nothing matches");
    keep.refused(&["export", "who", "--id", "c77"], "there is no conversation `c77`");
    keep.refused(&["export", "../x"], "path separator");
    keep.refused(&["export", "x", "--file-name", "manifest"], "reserved");
    assert_eq!(keep.json(&["datasets", "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_queued_export_is_done_by_a_worker() {
    let keep = Keep::with(lines([
        chat("a"),
        json!({"id": "b", "messages": [{"role": "user", "content": "?"}]}),
    ]));
    let job = keep.json(&["export", "later", "--detach", "--json", "-q"]);
    assert_eq!(job["state"], "queued");
    assert!(keep.json(&["datasets", "--json"]).as_array().unwrap().is_empty());
    keep.refused(&["export", "later"], "in use");
    keep.ok(&["worker", "--once", "-q"]);
    let id = job["id"].to_string();
    let watched = keep.json(&["jobs", "watch", &id, "--json"]);
    assert_eq!(watched[0]["state"], "completed_with_skips");
    assert_eq!(watched[0]["records"], 1);
    keep.refused(&["jobs", "cancel", &id], "has ended");
    keep.refused(&["jobs", "retry", &id], "only failed or cancelled jobs");

    let second = keep.json(&["export", "never", "--detach", "--json", "-q"])["id"].to_string();
    keep.ok(&["jobs", "cancel", &second]);
    keep.ok(&["worker", "--once", "-q"]);
    assert_eq!(keep.run(&["jobs", "watch", &second]).code, Some(1));
    keep.ok(&["jobs", "retry", &second]);
    assert_eq!(keep.rows("never").len(), 1);
}

#[test]
fn datasets_are_brought_renamed_and_deleted() {
    let keep = Keep::with(chats(30));
    keep.ok(&["export", "数据 1"]);
    assert_eq!(keep.rows("数据 1").len(), 20);
    keep.ok(&["datasets", "download", "数据 1"]);
    keep.ok(&["verify", "数据 1.zip"]);
    keep.refused(&["datasets", "download", "数据 1"], "--force");
    let mut command = keep.command(&["datasets", "download", "1", "-o", "-"]);
    assert!(command.output().unwrap().stdout == keep.0.bytes("数据 1.zip"));
    keep.ok(&["export", "other"]);
    keep.refused(&["datasets", "rename", "other", "数据 1"], "in use");
    keep.ok(&["datasets", "rename", "other", "second"]);
    keep.ok(&["datasets", "verify", "second"]);
    keep.refused(&["datasets", "preview", "other"], "there is no dataset `other`");
    keep.refused(&["datasets", "delete", "second"], "--yes");
    keep.ok(&["datasets", "delete", "second", "--yes"]);
    let left = keep.json(&["datasets", "list", "--json"]);
    assert_eq!(left[0]["name"], "数据 1");
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[test]
fn the_doctor_finds_what_is_missing_and_what_is_left_over() {
    let keep = Keep::with(chats(3));
    keep.ok(&["export", "whole"]);
    let folder =
        fs::read_dir(keep.0.path("data/objects/datasets")).unwrap().next().unwrap().unwrap();
    let name = folder.file_name().into_string().unwrap();
    let identity = name.rsplit_once('-').unwrap().0;
    keep.0.file(&format!("data/objects/datasets/{identity}-77/data"), "left over");
    keep.0.file("data/objects/datasets/another-1/data", "someone else's");
    let ran = keep.run(&["doctor"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("belong to no dataset"), "{}", ran.out);
    keep.ok(&["doctor", "--repair"]);
    assert!(keep.0.path("data/objects/datasets/another-1/data").exists());
    fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let ran = keep.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("`manifest.json` is missing"), "{}", ran.out);
}

#[test]
fn a_backup_is_a_store() {
    let keep = Keep::with(chats(30));
    keep.ok(&["export", "whole"]);
    keep.ok(&["backup", "copy"]);
    keep.refused(&["backup", "copy"], "already exists");
    keep.ok(&["purge", "--all", "--yes"]);
    let settings = [("RETORT_STORE", "copy/retort.sqlite"), ("RETORT_OBJECTS", "copy/objects")];
    for args in [&["datasets", "verify", "whole"][..], &["doctor", "--deep"]] {
        let ran = keep.run_with(args, &settings, b"");
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
    assert_eq!(keep.run_with(&["list", "--count"], &settings, b"").out.trim(), "30");
    assert_eq!(keep.count(&[]), 0);
}

#[test]
fn projects_do_not_see_each_other() {
    let keep = Keep::with(chats(3));
    keep.0.file("other.jsonl", lines([chat("x")]));
    keep.ok(&["import", "other.jsonl", "--project", "second"]);
    assert_eq!(keep.count(&[]), 3);
    assert_eq!(keep.count(&["--project", "second"]), 1);
    keep.refused(&["show", "x"], "there is no conversation `x`");
    keep.ok(&["export", "same", "--project", "second"]);
    keep.ok(&["export", "same"]);
    assert_eq!(ids(&keep.rows("same")).len(), 3);
    assert_eq!(
        keep.json(&["jobs", "list", "--project", "second", "--json"]).as_array().unwrap().len(),
        2
    );
    keep.refused(&["list", "--project", "third"], "there is no project `third`");
}

#[test]
fn a_flag_weighs_more_than_the_environment_and_that_more_than_the_file() {
    let keep = Keep::with(chats(2));
    keep.0.file("config/retort/config.toml", "project = \"file\"\n");
    for (name, args, settings) in [
        ("file", &["import", "in.jsonl"][..], &[][..]),
        ("env", &["import", "in.jsonl"], &[("RETORT_PROJECT", "env")]),
        ("flag", &["import", "in.jsonl", "--project", "flag"], &[("RETORT_PROJECT", "env")]),
    ] {
        assert_eq!(keep.run_with(args, settings, b"").code, Some(0));
        assert_eq!(keep.ok(&["list", "--count", "--project", name]).out.trim(), "2", "{name}");
    }
    keep.0.file("config/retort/config.toml", "projekt = \"x\"\n");
    keep.refused(&["list"], "projekt");
    let ran = keep.run_with(
        &["list"],
        &[("RETORT_STORE", "postgres://ann:secret@127.0.0.1:1/x"), ("RETORT_CONFIG", "none.toml")],
        b"",
    );
    assert!(!ran.err.contains("secret"), "{}", ran.err);
    keep.0.file("config/retort/config.toml", "");
    let ran =
        keep.run_with(&["list"], &[("RETORT_STORE", "postgres://ann:secret@127.0.0.1:1/x")], b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("ann@127.0.0.1") && !ran.err.contains("secret"), "{}", ran.err);
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let keep = Keep::new();
    keep.refused(&["list"], "`retort import` creates one");
    keep.0.file("data/retort.sqlite", vec![7; 100_000]);
    keep.refused(&["list"], "not a Retort store");
}
