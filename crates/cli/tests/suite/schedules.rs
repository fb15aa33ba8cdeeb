//! Schedules as people use them, and runs that are killed at any moment: each conversation is in one window.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::time::Duration;

use retort_testing::postgres;
use serde_json::{Value, json};

use crate::support::keeping::*;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(4, |kills| kills.parse().unwrap())
}

/// Imports conversations with ids of their own.
fn import(keep: &Keep, batch: u64, count: u64) -> BTreeSet<String> {
    let ids: Vec<String> = (0..count).map(|number| format!("k{batch}-{number}")).collect();
    let lines: String = ids
        .iter()
        .map(|id| {
            let messages = json!([
                {"role": "user", "content": "w ".repeat(2000)},
                {"role": "assistant", "content": id},
            ]);
            format!("{}\n", json!({"id": id, "messages": messages}))
        })
        .collect();
    keep.place.file("more.jsonl", lines);
    keep.ok(&["import", "more.jsonl", "-q"]);
    ids.into_iter().collect()
}

fn json_of(keep: &Keep, args: &[&str]) -> Value {
    serde_json::from_str(&keep.ok(args).out).unwrap()
}

/// The ids in each dataset, the oldest first, and their receipts.
fn windows(keep: &Keep) -> Vec<(Vec<String>, Value)> {
    let listed = json_of(keep, &["datasets", "list", "--json"]);
    let mut names: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.reverse();
    let read = |name: &str| {
        let files = keep.dataset(name);
        let data = files.iter().filter(|(path, _)| path.starts_with("conversations"));
        let lines = data.flat_map(|(_, bytes)| bytes.split(|byte| *byte == b'\n'));
        let ids = lines.filter(|line| !line.is_empty()).map(|line| {
            let record: Value = serde_json::from_slice(line).unwrap();
            record["id"].as_str().unwrap().to_owned()
        });
        (ids.collect(), serde_json::from_slice(&files["manifest.json"]).unwrap())
    };
    names.into_iter().map(read).collect()
}

#[test]
fn a_schedule_is_added_run_changed_and_deleted() {
    let keep = Keep::sqlite();
    import(&keep, 0, 3);
    keep.misused(&["schedules", "add", "nightly"], "say when it runs");
    let wrong = keep.run(&["schedules", "add", "nightly", "--cron", "0 25 * * *"]);
    assert!(wrong.code != Some(0) && wrong.err.contains("the hour is 0 to 23"), "{}", wrong.err);
    let add = ["schedules", "add", "nightly", "--cron", "0 2 * * *", "--zone", "Europe/Berlin"];
    let more = ["--window", "changed", "-d", "retort", "--dataset-name", "n-{n}", "--keep", "2"];
    let added = keep.ok(&[&add[..], &more].concat());
    assert!(added.err.contains("schedule `nightly` runs next at "), "{}", added.err);
    keep.ok(&["schedules", "run", "nightly", "-q"]);
    let nothing = keep.ok(&["schedules", "run", "nightly", "-q"]);
    assert!(nothing.err.contains("nothing new to export"), "{}", nothing.err);
    import(&keep, 1, 2);
    keep.ok(&["schedules", "run", "nightly", "-q", "--detach"]);
    keep.refused(&["schedules", "run", "nightly"], "is under way");
    keep.ok(&["worker", "--once", "-q"]);
    let sizes: Vec<_> = windows(&keep).iter().map(|(ids, _)| ids.len()).collect();
    assert_eq!(sizes, [3, 2]);
    keep.ok(&["schedules", "edit", "nightly", "--every-hours", "6", "--keep-all"]);
    let listed = keep.ok(&["schedules"]).out;
    assert!(listed.contains("every 6 hours") && listed.contains("changed"), "{listed}");
    let shown = json_of(&keep, &["schedules", "show", "nightly", "--json"]);
    assert_eq!((&shown["delivered"], &shown["plan"]["cron"]), (&json!(2), &Value::Null));
    assert_eq!(shown["plan"]["keep_datasets"], Value::Null);
    assert!(keep.ok(&["schedules", "show", "nightly"]).out.contains("n-2"));
    keep.ok(&["schedules", "pause", "nightly"]);
    assert!(keep.ok(&["schedules"]).out.contains("paused"));
    keep.ok(&["schedules", "resume", "nightly"]);
    keep.misused(&["schedules", "delete", "nightly"], "confirm with `--yes`");
    keep.ok(&["schedules", "delete", "nightly", "--yes"]);
    keep.refused(&["schedules", "show", "nightly"], "there is no schedule `nightly`");
    assert_eq!(windows(&keep).len(), 2, "its datasets stay");
}

fn killed_runs(keep: &Keep) {
    let mut chance = Chance::new();
    let add =
        ["schedules", "add", "s", "--every-hours", "1", "--window", "changed", "-d", "retort"];
    let mut all = import(keep, 0, 400);
    keep.ok(&[&add[..], &["--check", "off", "--dataset-name", "d-{n}"]].concat());
    for batch in 1..=kills() {
        let one = keep.spawn("one", &["schedules", "run", "s", "-q"]);
        let other = keep.spawn("other", &["schedules", "run", "s", "-q"]);
        std::thread::sleep(Duration::from_millis(chance.below(400)));
        kill(one);
        std::thread::sleep(Duration::from_millis(chance.below(200)));
        kill(other);
        keep.assert_none_half_made();
        all.extend(import(keep, batch, 20));
        if chance.below(2) == 0 {
            keep.ok(&["worker", "--once", "-q"]);
        }
    }
    keep.ok(&["worker", "--once", "-q"]);
    keep.ok(&["schedules", "run", "s", "-q"]);
    keep.assert_all_ended();
    let windows = windows(keep);
    let mut seen = BTreeSet::new();
    for id in windows.iter().flat_map(|(ids, _)| ids) {
        assert!(seen.insert(id.clone()), "{id} came twice");
    }
    assert!(seen == all, "of {}, {} are missing", all.len(), all.difference(&seen).count());
    for pair in windows.windows(2) {
        let [before, after] = [&pair[0].1["window"], &pair[1].1["window"]];
        assert_eq!(before["changes_to"], after["changes_after"]);
        assert_eq!(before["number"].as_u64().unwrap() + 1, after["number"].as_u64().unwrap());
    }
    for log in ["one", "other"] {
        assert!(!keep.said(log).contains("bug in Retort"), "{}", keep.said(log));
    }
}

#[test]
fn killed_runs_leave_no_gap_and_no_double_in_sqlite() {
    killed_runs(&Keep::sqlite());
}

#[test]
fn killed_runs_leave_no_gap_and_no_double_in_postgres() {
    if let Some(url) = postgres::new_database() {
        killed_runs(&Keep::postgres(url));
    }
}
