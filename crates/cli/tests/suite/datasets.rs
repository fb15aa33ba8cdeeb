//! Datasets of conversations in the store: exported as jobs, looked into, downloaded, kept.

use std::fs;

use crate::support::*;
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/conversations");

/// A place with a store of so many chats, `in.jsonl`, a day apart.
fn with_chats(count: usize) -> Place {
    let place = Place::new();
    let item =
        |n: usize| with(chat(&format!("c{n:05}")), "created_at", json!(1_700_000_000 + n * 86_400));
    place.file("in.jsonl", lines((0..count).map(item)));
    place.ok(&["import", "-q", "in.jsonl"]);
    place
}

/// The ids in the data file of a `standard` dataset in JSON lines.
fn exported(place: &Place, dataset: &str) -> Vec<String> {
    let files = place.downloaded(dataset);
    ids(&rows(std::str::from_utf8(&files["conversations.jsonl"]).unwrap()))
}

fn job(place: &Place, id: u64) -> Value {
    let jobs = place.printed(&["jobs", "--json"]);
    jobs.as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone()
}

fn datasets(place: &Place, args: &[&str]) -> Vec<String> {
    let list = place.printed(&[&["datasets", "list", "--json"], args].concat());
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// The only object whose name ends so.
fn object(place: &Place, ending: &str) -> std::path::PathBuf {
    let names = place.names("data/objects");
    let mut found = names.iter().filter(|name| name.ends_with(ending));
    let name = found.next().unwrap_or_else(|| panic!("no {ending} in {names:?}"));
    assert!(found.next().is_none(), "several: {names:?}");
    place.path("data/objects").join(name)
}

#[test]
fn all_that_match_some_by_id_and_the_most_recent_are_exported() {
    let place = with_chats(6);
    place.ok(&["favorite", "c00001", "c00004"]);
    place.ok(&["delete", "c00002"]);
    for (name, args, expect) in [
        ("all", &[][..], &["c00000", "c00001", "c00003", "c00004", "c00005"][..]),
        ("favorites", &["--status", "favorite"], &["c00001", "c00004"]),
        ("deleted", &["--status", "deleted"], &["c00002"]),
        ("by id", &["--id", "c00003", "--id", "c00000"], &["c00000", "c00003"]),
        ("recent", &["--limit", "2"], &["c00004", "c00005"]),
        ("recent favorite", &["--limit", "1", "--status", "favorite"], &["c00004"]),
        ("created", &["--created-before", "2023-11-16"], &["c00000", "c00001"]),
    ] {
        let ran = place.ok(&[&["export", name], args].concat());
        let selected = format!(
            "{} selected",
            if expect.len() == 1 {
                "1 conversation".into()
            } else {
                format!("{} conversations", expect.len())
            }
        );
        assert!(ran.err.contains(&selected), "{name}: {}", ran.err);
        let mut found = exported(&place, name);
        found.sort();
        assert_eq!(found, expect, "{name}");
        assert!(place.ok(&["datasets", "verify", name]).err.contains("OK: matches its receipt"));
    }
    place.refused(&["export", "none", "--search", "nobody"], "nothing matches the selection");
    place.refused(&["export", "none", "--id", "nobody"], "there is no conversation `nobody`");
    assert!(!datasets(&place, &[]).contains(&"none".to_owned()));
}

#[test]
fn the_one_rule_for_names_holds_for_exports_and_new_names() {
    let place = with_chats(2);
    place.ok(&["export", "-q", "support 2024_01"]);
    place.refused(
        &["export", "support 2024_01"],
        "the name `support 2024_01` is in use; `support 2024_01-2` is free",
    );
    place.ok(&["export", "-q", "support 2024_01-2"]);
    place.refused(&["export", "support 2024_01", "--detach"], "`support 2024_01-3` is free");
    place.refused(
        &["datasets", "rename", "support 2024_01-2", "support 2024_01"],
        "`support 2024_01-3` is free",
    );
    for name in ["../x", "a/b", ".a", "", "manifest", "x\u{1b}", &"x".repeat(65)] {
        place.refused(&["export", name], "use 1 to 64 letters and digits of any script");
        place.refused(&["datasets", "rename", "support 2024_01", name], "use 1 to 64 letters");
        place.refused(
            &["export", "n", "--file-name", name.trim_end_matches('x')],
            "use 1 to 128 letters",
        );
    }
    place.ok(&["datasets", "rename", "support 2024_01", "对话"]);
    assert_eq!(datasets(&place, &["--sort", "name"]), ["support 2024_01-2", "对话"]);
    place.ok(&["datasets", "download", "对话"]);
    assert!(place.path("对话.zip").exists());
    // Its old name is free again.
    place.ok(&["export", "-q", "support 2024_01"]);
    place.refused(&["datasets", "rename", "nobody", "x"], "there is no dataset `nobody`");
}

#[test]
fn what_is_left_out_is_counted_and_the_job_says_so() {
    let place = Place::new();
    let question = json!({"id": "q", "messages": [{"role": "user", "content": "q"}]});
    place.file("in.jsonl", lines([chat("a"), question]));
    place.ok(&["import", "-q", "in.jsonl"]);
    let ran = place.ok(&["export", "d", "--json"]);
    assert!(ran.err.contains("left out   1 conversation\n"), "{}", ran.err);
    let job: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&job["state"], &job["items"]["total"]),
        (&json!("completed_with_skips"), &json!(2))
    );
    let files = place.downloaded("d");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["conversations"]["left_out"], 1);
    assert!(std::str::from_utf8(&files["rejects.jsonl"]).unwrap().contains("no-answer"));
    // What was left out is in no dataset.
    assert!(place.ok(&["trace", "q"]).out.is_empty());
    place.refused(&["export", "e", "--id", "q"], "no records to write");
}

#[test]
fn jobs_wait_for_a_worker_and_are_cancelled_and_tried_again() {
    let place = with_chats(3);
    place.ok(&["export", "-q", "--detach", "one"]);
    place.ok(&["export", "-q", "--detach", "two"]);
    assert_eq!(
        (&job(&place, 2)["state"], &job(&place, 3)["state"]),
        (&json!("queued"), &json!("queued"))
    );
    assert!(datasets(&place, &[]).is_empty());
    assert_eq!(place.ok(&["jobs", "cancel", "2"]).err, "job 2 is cancelled\n");
    place.refused(&["jobs", "cancel", "2"], "job 2 has ended: it is cancelled");
    let ran = place.ok(&["worker", "--once"]);
    assert_eq!(ran.err, "job 3: export `two` is done\n");
    assert_eq!(datasets(&place, &[]), ["two"]);
    // The selection stays as it was frozen.
    place.file("more.jsonl", lines([chat("later")]));
    place.ok(&["import", "-q", "more.jsonl"]);
    place.ok(&["jobs", "retry", "2"]);
    assert_eq!(exported(&place, "one"), ["c00000", "c00001", "c00002"]);
    place.refused(
        &["jobs", "retry", "2"],
        "job 2 is completed: only failed or cancelled jobs can be retried",
    );
    place.ok(&["export", "-q", "--detach", "three"]);
    place.ok(&["jobs", "cancel", "5"]);
    place.ok(&["datasets", "rename", "two", "three"]);
    place.refused(&["jobs", "retry", "5"], "the name `three` is now in use");
    let watched = place.printed(&["jobs", "watch", "2", "--json"]);
    assert_eq!(watched[0]["state"], "completed");
    place.refused(&["jobs", "watch", "77"], "there is no job `77`");
    let listed = place.ok(&["jobs"]).out;
    assert!(
        listed.contains("STATE") && listed.contains("export") && listed.contains("import"),
        "{listed}"
    );
    assert_eq!(place.ok(&["worker", "--once"]).err, "");
}

#[cfg(unix)]
#[test]
fn a_job_that_failed_says_why_and_is_tried_again() {
    let place = with_chats(3);
    // Where the datasets are to lie stands a file.
    place.file("data/objects/datasets", "in the way");
    let ran = place.refused(&["export", "d"], "job 2 failed: ");
    assert!(ran.err.contains("in the storage of the datasets"), "{}", ran.err);
    let failed = job(&place, 2);
    assert_eq!(failed["state"], "failed");
    assert!(!failed["error"].as_str().unwrap().is_empty());
    assert_eq!(place.run(&["jobs", "watch", "2"]).code, Some(1));
    fs::remove_file(place.path("data/objects/datasets")).unwrap();
    place.ok(&["jobs", "retry", "2", "--detach"]);
    place.ok(&["worker", "--once", "-q"]);
    assert_eq!(exported(&place, "d").len(), 3);
}

#[test]
fn the_way_through_the_store_changes_no_byte_of_the_data() {
    let place = Place::new();
    let mut inputs: Vec<_> =
        fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    for (number, input) in inputs.iter().enumerate() {
        let (input, project) = (input.to_str().unwrap(), format!("p{number}"));
        place.ok(&["import", "-q", "--project", &project, input]);
        for data_format in ["standard", "openai", "history", "retort"] {
            for (file_format, checks) in
                [("jsonl", &["repair", "off"][..]), ("csv", &["repair"]), ("parquet", &["repair"])]
            {
                for check in checks {
                    let how = ["-d", data_format, "-f", file_format, "--check", check, "-q"];
                    let name = format!("{data_format}-{file_format}-{check}");
                    let output = format!("{project}-{name}.zip");
                    let converted = place.run(
                        &[&["convert", input, "-o", &output, "--name", &name], &how[..]].concat(),
                    );
                    let stored =
                        place.run(&[&["export", &name, "--project", &project], &how[..]].concat());
                    assert_eq!(
                        converted.code, stored.code,
                        "{input} {name}: {} / {}",
                        converted.err, stored.err
                    );
                    if converted.code != Some(0) {
                        continue;
                    }
                    let got = place.path("got.zip");
                    place.ok(&[
                        "datasets",
                        "download",
                        &name,
                        "--project",
                        &project,
                        "-q",
                        "--force",
                        "-o",
                        "got.zip",
                    ]);
                    let (mut converted, mut stored) = (unzip(&place.path(&output)), unzip(&got));
                    for files in [&mut converted, &mut stored] {
                        // The receipt, and the card that repeats it, say where it came from and when.
                        assert!(files.remove("manifest.json").is_some());
                        files.remove("README.md");
                        // A store knows no lines and bytes of files.
                        let told = |bytes: &Vec<u8>| {
                            rows(std::str::from_utf8(bytes).unwrap())
                                .iter()
                                .map(|one| {
                                    format!(
                                        "{} {} {}\n",
                                        one["conversation_id"], one["reason"], one["detail"]
                                    )
                                })
                                .collect::<String>()
                                .into_bytes()
                        };
                        if let Some(rejects) = files.get_mut("rejects.jsonl") {
                            *rejects = told(rejects);
                        }
                    }
                    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
                        files.keys().cloned().collect::<Vec<_>>()
                    };
                    assert_eq!(names(&converted), names(&stored), "{input} {name}");
                    if data_format == "history" {
                        // Its rows are numbered by what was read: here also what a filter passes over.
                        let records = |path: &str| {
                            let mut records = rows(&place.ok(&["preview", path, "--lines"]).out);
                            records.iter_mut().for_each(|record| record["id"] = Value::Null);
                            records
                        };
                        assert_eq!(records(&output), records("got.zip"), "{input} {name}");
                        continue;
                    }
                    for (file, bytes) in &converted {
                        assert!(
                            bytes == &stored[file],
                            "{input} {name}: {file} differs:\n{}\n{}",
                            String::from_utf8_lossy(bytes),
                            String::from_utf8_lossy(&stored[file])
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_export_in_several_parts_holds_the_same_records_in_the_same_order() {
    let place = Place::new();
    let item = |n: usize| {
        with(long_chat(&format!("c{n:05}"), 2000 + n * 7 % 3000), "title", json!(format!("t{n}")))
    };
    place.file("in.jsonl", lines((0..1200).map(item)));
    place.ok(&["import", "-q", "in.jsonl"]);
    for format in ["jsonl", "csv", "parquet"] {
        let parts = format!("parts-{format}");
        let ran = place
            .run_with(&[("RETORT_PART_MEGABYTES", "1")], &["export", &parts, "-q", "-f", format]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        place.ok(&["export", "-q", &format!("one-{format}"), "-f", format]);
        for name in [parts, format!("one-{format}")] {
            assert!(
                place.ok(&["datasets", "verify", &name]).err.contains("1,200 records"),
                "{name}"
            );
        }
    }
    let one = &place.downloaded("one-jsonl")["conversations.jsonl"];
    let mut parts = place.downloaded("parts-jsonl");
    parts.retain(|name, _| name.starts_with("conversations/"));
    assert!(parts.len() > 2, "{:?}", parts.keys());
    assert!(parts.into_values().flatten().eq(one.iter().copied()));
    // Each is a package that is on its own.
    for format in ["jsonl", "csv", "parquet"] {
        place.ok(&[
            "datasets",
            "download",
            &format!("parts-{format}"),
            "-q",
            "-o",
            "p.zip",
            "--force",
        ]);
        place.ok(&["verify", "p.zip"]);
    }
    let shown = place.printed(&["datasets", "preview", "parts-csv", "--json"]);
    let same = place.printed(&["datasets", "preview", "one-csv", "--json"]);
    assert_eq!(shown, same);
    assert_eq!(shown["records"].as_array().unwrap().len(), 20);
}

#[test]
fn what_was_changed_in_the_store_is_what_a_dataset_holds() {
    let place = with_chats(3);
    place.ok(&["tag", "c00001", "--add", "good", "--add", "旅行"]);
    place.ok(&["favorite", "c00001"]);
    place.ok(&["delete", "c00002"]);
    place.ok(&["export", "-q", "d"]);
    let files = place.downloaded("d");
    let records = rows(std::str::from_utf8(&files["conversations.jsonl"]).unwrap());
    assert_eq!(ids(&records), ["c00000", "c00001"]);
    assert_eq!(records[1]["ability"], json!(["good", "旅行"]));
    place.ok(&[
        "export", "-q", "whole", "-d", "retort", "--status", "favorite", "--status", "deleted",
    ]);
    let whole =
        rows(std::str::from_utf8(&place.downloaded("whole")["conversations.jsonl"]).unwrap());
    let statuses: Vec<_> = whole.iter().map(|one| (&one["id"], &one["status"])).collect();
    assert_eq!(
        statuses,
        [(&json!("c00001"), &json!("favorite")), (&json!("c00002"), &json!("deleted"))]
    );
    assert_eq!(whole[0]["tags"], json!(["good", "旅行"]));
}

#[test]
fn datasets_outlive_their_conversations_and_say_from_which_they_came() {
    let place = with_chats(3);
    place.ok(&["export", "-q", "all"]);
    place.ok(&["export", "-q", "one", "--id", "c00001"]);
    place.ok(&["export", "-q", "other", "--id", "c00002"]);
    let before = place.downloaded("one");
    place.ok(&["purge", "c00001", "--yes"]);
    assert_eq!(place.downloaded("one"), before);
    assert!(place.ok(&["datasets", "verify", "one"]).err.contains("OK: matches its receipt"));
    let names = |id: &str| -> Vec<String> {
        let list = place.printed(&["trace", id, "--json"]);
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("c00001"), ["one", "all"]);
    assert_eq!(names("c00002"), ["other", "all"]);
    assert!(place.ok(&["trace", "c00001"]).out.contains("all"));
    place.ok(&["datasets", "delete", "all", "other", "--yes"]);
    assert_eq!(names("c00001"), ["one"]);
    assert_eq!(place.ok(&["trace", "c00002"]).err, "no dataset contains it\n");
    place.refused(&["trace", "nobody"], "there is no conversation, run or document `nobody`");
    // A purged one is left out of an export that froze it before.
    place.ok(&["export", "-q", "--detach", "late"]);
    place.ok(&["purge", "c00002", "--yes"]);
    place.ok(&["worker", "--once", "-q"]);
    assert_eq!(exported(&place, "late"), ["c00000"]);
    let manifest: Value =
        serde_json::from_slice(&place.downloaded("late")["manifest.json"]).unwrap();
    assert_eq!(
        (&manifest["conversations"]["selected"], &manifest["conversations"]["left_out"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn datasets_are_listed_sorted_and_sought() {
    let place = with_chats(9);
    assert_eq!(place.ok(&["datasets"]).err, "no dataset matches; `retort export` creates one\n");
    place.ok(&["export", "-q", "beta", "--limit", "2"]);
    place.ok(&["export", "-q", "Alpha", "-f", "csv", "--limit", "9"]);
    place.ok(&["export", "-q", "gamma", "-d", "openai", "--limit", "1"]);
    assert_eq!(datasets(&place, &[]), ["gamma", "Alpha", "beta"]);
    assert_eq!(datasets(&place, &["--sort", "name"]), ["Alpha", "beta", "gamma"]);
    assert_eq!(datasets(&place, &["--sort", "records"]), ["Alpha", "beta", "gamma"]);
    assert_eq!(datasets(&place, &["--sort", "size"])[0], "Alpha");
    assert_eq!(datasets(&place, &["--search", "ALPH"]), ["Alpha"]);
    let shown = place.ok(&["datasets"]).out;
    for words in [
        "NAME",
        "PURPOSE",
        "DATA FORMAT",
        "NODE",
        "RECORDS",
        "SIZE",
        "CREATOR",
        "CREATED",
        "export-dataset",
        "openai",
        "csv",
        "local",
    ] {
        assert!(shown.contains(words), "no {words} in {shown}");
    }
    let list = place.printed(&["datasets", "--json"]);
    assert_eq!(
        (&list[1]["file_format"], &list[1]["records"], &list[1]["data_format"]),
        (&json!("csv"), &json!(9), &json!("standard"))
    );
}

#[test]
fn a_preview_of_a_dataset_reads_no_more_than_its_first_records() {
    let place = Place::new();
    place.file("in.jsonl", lines((0..500).map(|n| long_chat(&format!("c{n:05}"), 20_000))));
    place.ok(&["import", "-q", "in.jsonl"]);
    place.ok(&["export", "-q", "d"]);
    let whole = place.printed(&["datasets", "preview", "d", "--json"]);
    assert_eq!(whole["records"].as_array().unwrap().len(), 20);
    // With its end gone it shows the same.
    let file = object(&place, "data-00000.jsonl");
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(3_000_000).unwrap();
    assert_eq!(place.printed(&["datasets", "preview", "d", "--json"]), whole);
    let shown = place.ok(&["datasets", "preview", "d"]).out;
    assert!(shown.starts_with("1. c00000") && shown.contains("20. c00019"), "{shown}");
    assert_eq!(rows(&place.ok(&["datasets", "preview", "d", "--lines"]).out).len(), 20);
    let ran = place.run(&["datasets", "verify", "d"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.err.contains("differs    conversations.jsonl")
            && ran.err.contains("d: DOES NOT MATCH its receipt"),
        "{}",
        ran.err
    );
}

#[test]
fn a_download_is_a_package_that_appears_whole_or_not_at_all() {
    let place = with_chats(300);
    place.ok(&["export", "-q", "d"]);
    let ran = place.ok(&["datasets", "download", "d"]);
    assert!(ran.err.starts_with("downloaded d.zip ("), "{}", ran.err);
    place.ok(&["verify", "d.zip"]);
    let whole = place.bytes("d.zip");
    place.file("d.zip", "mine");
    place.refused(&["datasets", "download", "d"], "`d.zip` already exists");
    assert_eq!(place.bytes("d.zip"), b"mine");
    place.ok(&["datasets", "download", "d", "--force", "-q"]);
    assert_eq!(place.bytes("d.zip"), whole);
    // By number, into a folder; and to standard output.
    fs::create_dir(place.path("folder")).unwrap();
    place.ok(&["datasets", "download", "1", "-o", "folder"]);
    assert_eq!(place.bytes("folder/d.zip"), whole);
    let mut command = place.command(&["datasets", "download", "d", "-o", "-"]);
    let out = command.output().unwrap();
    assert!(out.status.success() && out.stdout == whole);
    place.refused(
        &["datasets", "download", "d", "-o", "no/folder/d.zip"],
        "cannot write `no/folder/d.zip`",
    );
    place.refused(&["datasets", "download", "e"], "there is no dataset `e`");
    // A dataset that lost its data leaves no archive.
    let file = object(&place, "data-00000.jsonl");
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(100).unwrap();
    place.refused(&["datasets", "download", "d", "-o", "cut.zip"], "too soon");
    fs::remove_file(&file).unwrap();
    place.refused(&["datasets", "download", "d", "-o", "cut.zip"], "not found");
    let left: Vec<_> = place
        .names(".")
        .into_iter()
        .filter(|name| name.contains("cut.zip") || name.contains(".partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn deleted_datasets_are_gone_with_their_files() {
    let place = with_chats(2);
    place.ok(&["export", "-q", "a"]);
    place.ok(&["export", "-q", "b"]);
    let ran = place.refused(&["datasets", "delete", "a", "b"], "2 datasets (`a`, `b`, ");
    assert!(ran.err.contains("will be permanently deleted; confirm with `--yes`"), "{}", ran.err);
    place.refused(&["datasets", "delete", "a", "c", "--yes"], "there is no dataset `c`");
    assert_eq!(datasets(&place, &[]), ["b", "a"]);
    assert_eq!(place.ok(&["datasets", "purge", "a", "a", "--yes"]).err, "purged `a`\n");
    assert_eq!(datasets(&place, &[]), ["b"]);
    assert!(object(&place, "manifest.json").exists());
    place.ok(&["datasets", "delete", "b", "--yes"]);
    assert!(!place.names("data/objects").iter().any(|name| name.contains('.')));
    place.ok(&["doctor", "--deep"]);
}

#[test]
fn the_doctor_finds_what_is_missing_changed_or_belongs_to_nothing() {
    let place = with_chats(20);
    place.ok(&["export", "-q", "d"]);
    let well = place.ok(&["doctor", "--deep"]);
    assert!(well.out.ends_with("no problems found\n"), "{}", well.out);
    assert!(
        well.out.contains("20  conversations") && well.out.contains("1  datasets"),
        "{}",
        well.out
    );
    assert_eq!(place.printed(&["doctor", "--json"])["findings"], json!([]));
    let found = |args: &[&str]| {
        let ran = place.run(&[&["doctor", "--json"], args].concat());
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        serde_json::from_str::<Value>(&ran.out).unwrap()["findings"].to_string()
    };
    let file = object(&place, "data-00000.jsonl");
    let bytes = fs::read(&file).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    fs::write(&file, &flipped).unwrap();
    place.ok(&["doctor"]);
    assert!(found(&["--deep"]).contains("conversations.jsonl"));
    fs::write(&file, &bytes[..100]).unwrap();
    assert!(found(&[]).contains("has 100 bytes"));
    fs::remove_file(&file).unwrap();
    assert!(found(&[]).contains("`conversations.jsonl` is missing"));
    fs::write(&file, &bytes).unwrap();

    let manifest = object(&place, "manifest.json");
    let package = manifest.parent().unwrap();
    let prefix = package.file_name().unwrap().to_str().unwrap();
    let orphan = package.with_file_name(format!("{}-77", prefix.rsplit_once('-').unwrap().0));
    let foreign = package.with_file_name("0123456789abcdef-1");
    for folder in [&orphan, &foreign] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("data"), "12345").unwrap();
    }
    let problem = found(&[]);
    assert!(
        problem.contains("1 file or folder")
            && problem.contains("5 bytes")
            && problem.contains("--repair"),
        "{problem}"
    );
    assert!(place.ok(&["doctor", "--repair"]).out.contains("repaired   removed 1 file or folder"));
    assert!(!orphan.join("data").exists() && foreign.join("data").exists());
    place.ok(&["doctor", "--deep"]);
}

#[test]
fn a_backup_is_a_store_with_its_datasets() {
    let place = with_chats(30);
    place.ok(&["export", "-q", "a"]);
    place.ok(&["export", "-q", "b", "-f", "parquet", "--limit", "3"]);
    let ran = place.ok(&["backup", "kept/backup"]);
    assert!(ran.err.contains("`--data kept/backup` opens the copy"), "{}", ran.err);
    place.refused(&["backup", "kept/backup"], "already exists");
    // What happens afterwards does not reach it.
    place.ok(&["purge", "--all", "--yes"]);
    place.ok(&["datasets", "delete", "a", "b", "--yes"]);
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let (store, objects) = (path("kept/backup/retort.sqlite"), path("kept/backup/objects"));
    let copy = [("RETORT_STORE", store.as_str()), ("RETORT_OBJECTS", objects.as_str())];
    let run = |args: &[&str]| {
        let ran = place.run_with(&copy, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran
    };
    assert_eq!(run(&["list", "--count"]).out, "30\n");
    for name in ["a", "b"] {
        run(&["datasets", "verify", name]);
    }
    run(&["doctor", "--deep"]);
    // It goes on like any store.
    run(&["export", "-q", "c"]);
    run(&["import", "-q", "in.jsonl"]);
    assert_eq!(run(&["trace", "c00029", "--json"]).out.matches("\"name\"").count(), 3);
    // A backup is restored to where there is no store.
    place.ok(&["datasets", "purge", "c", "--yes", "--data", "kept/backup"]);
    place.refused(
        &["restore-backup", "kept/backup"],
        "already exists; move the files of that store away",
    );
    place.refused(&["restore-backup", "kept"], "is not a backup");
    place.refused(&["restore-backup", "gone"], "there is no such folder");
    place.ok(&["restore-backup", "kept/backup", "--data", "kept/again"]);
    place.ok(&["doctor", "--deep", "--data", "kept/again"]);
    place.ok(&["datasets", "verify", "b", "--data", "kept/again"]);
    assert_eq!(place.ok(&["list", "--count", "--data", "kept/again"]).out, "30\n");
    let left: Vec<_> =
        place.names("kept").into_iter().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}
