//! Datasets of schedules that are delivered to a folder and to a bucket, by processes that are killed at any moment: what
//! has a receipt is whole, and each conversation is in one dataset. `RETORT_KILLS` says how often.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use retort_testing::postgres;
use serde_json::{Value, json};

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::keeping::*;

type Files = BTreeMap<String, Vec<u8>>;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(3, |kills| kills.parse().unwrap())
}

/// A configuration with a folder and a bucket as destinations. The bucket's keys are in it and nowhere else.
fn with_destinations(keep: &Keep) -> Bucket {
    let bucket = Bucket::new();
    let mut command = std::process::Command::new("true");
    bucket.known_to(&mut command);
    let known = command.get_envs().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.unwrap().to_string_lossy().into_owned())
    });
    let options: String = known
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| format!("{} = \"{value}\"\n", name.to_lowercase()))
        .collect();
    let folder = keep.place.path("out");
    fs::create_dir(&folder).unwrap();
    let config = format!(
        "[destinations.folder]\nlocation = \"{}\"\n[destinations.lake]\nlocation = \"s3://bucket/lake\"\n\
         [destinations.lake.options]\n{options}",
        folder.display()
    );
    fs::create_dir_all(keep.place.path("config/retort")).unwrap();
    keep.place.file("config/retort/config.toml", config);
    bucket
}

fn import(keep: &Keep, batch: u64, count: u64) -> BTreeSet<String> {
    let ids: Vec<String> = (0..count).map(|number| format!("k{batch}-{number}")).collect();
    let line = |id: &String| {
        let messages = json!([
            {"role": "user", "content": "w ".repeat(2000)},
            {"role": "assistant", "content": id},
        ]);
        format!("{}\n", json!({"id": id, "messages": messages}))
    };
    keep.place.file("more.jsonl", ids.iter().map(line).collect::<String>());
    keep.ok(&["import", "more.jsonl", "-q"]);
    ids.into_iter().collect()
}

/// The files at a destination, by their paths in it.
fn delivered(keep: &Keep, bucket: Option<&Bucket>) -> Files {
    match bucket {
        None => files_below(&keep.place.path("out")),
        Some(bucket) => {
            let below = |(key, bytes): (String, Vec<u8>)| {
                Some((key.strip_prefix("lake/")?.to_owned(), bytes))
            };
            bucket.objects().into_iter().filter_map(below).collect()
        }
    }
}

/// Compares each dataset that has a receipt with it; the datasets' windows in order, each with its ids.
fn windows(files: &Files) -> BTreeMap<u64, (Value, Vec<String>)> {
    let mut found = BTreeMap::new();
    for (path, text) in files {
        let Some(folder) = path.strip_suffix("/manifest.json") else { continue };
        let manifest: Value = serde_json::from_slice(text).unwrap();
        let mut ids = Vec::new();
        for file in manifest["files"].as_array().unwrap() {
            let name = file["path"].as_str().unwrap();
            let bytes = files.get(&format!("{folder}/{name}"));
            let bytes = bytes.unwrap_or_else(|| panic!("{folder} has a receipt and no {name}"));
            assert_eq!(sha256(bytes), file["sha256"].as_str().unwrap(), "{folder}/{name}");
            if file["records"].is_u64() {
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                ids.extend(lines.map(|line| {
                    let record: Value = serde_json::from_slice(line).unwrap();
                    record["id"].as_str().unwrap().to_owned()
                }));
            }
        }
        let window = manifest["window"].clone();
        let number = window["number"].as_u64().unwrap();
        let twice = found.insert(number, (window, ids));
        assert!(twice.is_none(), "window {number} was delivered twice");
    }
    found
}

const ADD: [&str; 11] = [
    "schedules",
    "add",
    "s",
    "--every-hours",
    "1",
    "--window",
    "changed",
    "-d",
    "retort",
    "--check",
    "off",
];

#[test]
fn a_schedule_delivers_to_a_bucket_and_says_where() {
    let keep = Keep::sqlite();
    let bucket = with_destinations(&keep);
    import(&keep, 0, 3);
    assert_eq!(keep.ok(&["schedules", "destinations"]).out, "folder\nlake\n");
    let refused = |args: &[&str], words: &str| {
        let ran = keep.run(&[&ADD[..], args].concat());
        assert!(ran.code == Some(2) && ran.err.contains(words), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains(SECRET) && !ran.err.contains(KEY), "{}", ran.err);
    };
    refused(&["--deliver-to", "nowhere"], "has no destination `nowhere`");
    keep.refused(&[&ADD[..], &["--by-date"]].concat(), "name a `destination`");
    let to =
        ["--deliver-to", "lake", "--prefix", "history/x", "--by-date", "--dataset-name", "s-{n}"];
    bucket.set_down(true);
    refused(&to, "destination `lake`: cannot write");
    bucket.set_down(false);
    keep.ok(&[&ADD[..], &to].concat());
    assert!(bucket.objects().is_empty(), "what was tried is removed");
    let ran = keep.ok(&["schedules", "run", "s"]);
    let day = ran.err.split("date=").nth(1).unwrap().split('/').next().unwrap();
    let place = format!("history/x/date={day}/s-1");
    assert!(ran.err.contains(&format!("delivered  lake: {place}")), "{}", ran.err);
    let files = delivered(&keep, Some(&bucket));
    assert_eq!(windows(&files)[&1].1.len(), 3);
    assert!(files.contains_key(&format!("{place}/README.md")));
    // While the bucket is away, the dataset waits; then it is delivered.
    import(&keep, 1, 2);
    bucket.set_down(true);
    let ran = keep.refused(&["schedules", "run", "s", "-q"], "in the store, but not delivered");
    assert!(ran.err.contains("destination `lake`"), "{}", ran.err);
    let shown = keep.ok(&["schedules", "show", "s"]).out;
    assert!(shown.contains(&place) && shown.contains("cannot"), "{shown}");
    bucket.set_down(false);
    keep.ok(&["schedules", "resume", "s"]);
    keep.ok(&["worker", "--once", "-q"]);
    assert_eq!(windows(&delivered(&keep, Some(&bucket)))[&2].1.len(), 2);
    // What is in the store of the schedule holds no key.
    let shown = keep.ok(&["schedules", "show", "s", "--json"]).out;
    assert!(!shown.contains(SECRET) && !shown.contains(KEY), "{shown}");
    // Elsewhere, everything comes again.
    keep.ok(&[
        "schedules",
        "edit",
        "s",
        "--deliver-to",
        "folder",
        "--by-date",
        "false",
        "--prefix",
        "",
    ]);
    keep.ok(&["schedules", "run", "s", "-q"]);
    assert_eq!(windows(&delivered(&keep, None))[&1].1.len(), 5);
}

/// Compares what was delivered with its receipts as people do, with the receipt of the series among them.
fn assert_verified(keep: &Keep, files: &Files, kills: u64) {
    assert!(files.keys().any(|path| path.ends_with(".series.json")), "{:?}", files.keys());
    for (path, bytes) in files {
        let path = keep.place.path("verified").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let ran = keep.ok(&["verify", "verified"]);
    assert!(ran.err.contains("OK: all packages match their receipts"), "{}", ran.err);
    eprintln!("after {} kills: {}", 2 * kills, ran.err.lines().last().unwrap_or_default());
}

fn killed_deliveries(keep: &Keep, to_bucket: bool) {
    let bucket = with_destinations(keep);
    let mut chance = Chance::new();
    let destination = if to_bucket { "lake" } else { "folder" };
    let read = |keep: &Keep| delivered(keep, to_bucket.then_some(&bucket));
    let mut all = import(keep, 0, 300);
    let to = ["--deliver-to", destination, "--by-date", "--dataset-name", "d-{n}"];
    keep.ok(&[&ADD[..], &to].concat());
    bucket.set_delay(10);
    for batch in 1..=kills() {
        // In turn the command that asks for the run, and a server that finds it in the queue.
        let one = if batch % 2 == 0 {
            keep.spawn("one", &["schedules", "run", "s", "-q"])
        } else {
            keep.run(&["schedules", "run", "s", "-q", "--detach"]);
            keep.spawn("one", &["serve", "--listen", "127.0.0.1:0"])
        };
        let other = keep.spawn("other", &["worker", "-q"]);
        std::thread::sleep(Duration::from_millis(chance.below(500)));
        if to_bucket && chance.below(3) == 0 {
            bucket.set_down(true);
        }
        std::thread::sleep(Duration::from_millis(chance.below(300)));
        kill(one);
        std::thread::sleep(Duration::from_millis(chance.below(300)));
        kill(other);
        bucket.set_down(false);
        windows(&read(keep));
        all.extend(import(keep, batch, 20));
        if chance.below(2) == 0 {
            keep.ok(&["schedules", "resume", "s"]);
            keep.ok(&["worker", "--once", "-q"]);
        }
    }
    bucket.set_delay(0);
    keep.ok(&["worker", "--once", "-q"]);
    keep.ok(&["schedules", "resume", "s"]);
    keep.ok(&["worker", "--once", "-q"]);
    keep.ok(&["schedules", "run", "s", "-q"]);
    keep.assert_all_ended();
    let shown: Value =
        serde_json::from_str(&keep.ok(&["schedules", "show", "s", "--json"]).out).unwrap();
    assert_eq!(shown["undelivered"], 0, "{shown}");
    let files = read(keep);
    assert_verified(keep, &files, kills());
    let windows = windows(&files);
    let mut seen = BTreeSet::new();
    for id in windows.values().flat_map(|(_, ids)| ids) {
        assert!(seen.insert(id.clone()), "{id} came twice");
    }
    assert!(seen == all, "of {}, {} are missing", all.len(), all.difference(&seen).count());
    let order: Vec<_> = windows.values().map(|(window, _)| window).collect();
    for pair in order.windows(2) {
        assert_eq!(pair[0]["changes_to"], pair[1]["changes_after"]);
        assert_eq!(pair[0]["number"].as_u64().unwrap() + 1, pair[1]["number"].as_u64().unwrap());
    }
    assert!(files.keys().all(|path| !path.contains('#')), "{:?}", files.keys());
    for log in ["one", "other"] {
        assert!(!keep.said(log).contains("bug in Retort"), "{}", keep.said(log));
    }
}

#[test]
fn killed_deliveries_to_a_folder_are_made_whole() {
    killed_deliveries(&Keep::sqlite(), false);
}

#[test]
fn killed_deliveries_to_a_bucket_are_made_whole() {
    killed_deliveries(&Keep::sqlite(), true);
}

#[test]
fn killed_deliveries_to_a_bucket_are_made_whole_in_postgres() {
    if let Some(url) = postgres::new_database() {
        killed_deliveries(&Keep::postgres(url), true);
    }
}
