//! Imports, exports and workers that are killed at any moment, on both kinds of store: nothing is lost, doubled or
//! seen half-made, and what is made in the end is what an undisturbed run makes. `RETORT_KILLS` says how often.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "what a test takes is told")]

use std::time::{Duration, Instant};

use crate::support::bucket::Bucket;
use crate::support::keeping::*;
use crate::support::{chats, ended};
use retort_testing::postgres;

/// About 3 MB.
const CONVERSATIONS: u64 = 1000;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(6, |kills| kills.parse().unwrap())
}

fn on_postgres(case: impl Fn(&dyn Fn() -> Keep)) {
    if postgres::new_database().is_some() {
        case(&|| Keep::postgres(postgres::new_database().unwrap()));
    }
}

fn with_history(count: u64) -> impl Fn(Keep) -> Keep {
    let text = history(count, 5);
    move |keep| {
        keep.place.file("in.jsonl", &text);
        keep
    }
}

fn all_statuses() -> [&'static str; 6] {
    ["--status", "active", "--status", "favorite", "--status", "deleted"]
}

/// Everything in the store, as it is kept there.
fn everything(keep: &Keep) -> Vec<u8> {
    let mut args = vec!["export", "everything", "-q", "-d", "retort", "--check", "off"];
    args.extend(all_statuses());
    keep.ok(&args);
    let files = keep.dataset("everything");
    let data = files.iter().filter(|(path, _)| path.starts_with("conversations"));
    data.flat_map(|(_, bytes)| bytes.clone()).collect()
}

fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}

/// A moment of something that takes so long, or a little later.
fn moment(chance: &mut Chance, whole: Duration) -> Duration {
    let micros = u64::try_from(whole.as_micros()).unwrap();
    Duration::from_micros(chance.below(micros + micros / 20))
}

fn killed_imports(new: &dyn Fn() -> Keep) {
    let mut chance = Chance::new();
    let prepared = with_history(CONVERSATIONS);
    let undisturbed = prepared(new());
    let took = timed(|| {
        undisturbed.ok(&["import", "in.jsonl", "-q"]);
    });
    let whole = everything(&undisturbed);
    assert!(whole.len() > 1_000_000);
    let mut left = kills();
    while left > 0 {
        let keep = prepared(new());
        for _ in 0..left.min(1 + chance.below(3)) {
            let child = keep.spawn("said", &["import", "in.jsonl", "-q"]);
            std::thread::sleep(moment(&mut chance, took));
            kill(child);
            left -= 1;
        }
        keep.ok(&["import", "in.jsonl", "-q"]);
        keep.ok(&["worker", "--once", "-q"]);
        keep.assert_all_ended();
        assert!(everything(&keep) == whole, "items were lost, doubled or put in another order");
        assert!(!keep.said("said").contains("bug in Retort"), "{}", keep.said("said"));
    }
}

#[test]
fn imports_into_sqlite_lose_and_double_nothing() {
    killed_imports(&Keep::sqlite);
}

#[test]
fn imports_into_postgres_lose_and_double_nothing() {
    on_postgres(killed_imports);
}

const SHAPES: [&[&str]; 5] = [
    &["-d", "openai"],
    &["-d", "openai", "--compress", "zstd"],
    &["-d", "standard", "-f", "parquet", "--file-name", "名前 1"],
    &["-d", "standard", "-f", "csv", "--tasks"],
    &["--runs", "-d", "node-evaluation", "--node", "answer", "-f", "csv"],
];

fn killed_exports(new: &dyn Fn() -> Keep) {
    let mut chance = Chance::new();
    let keep = with_history(CONVERSATIONS)(new());
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.place.file("runs.jsonl", runs(CONVERSATIONS, 3));
    keep.ok(&["import", "runs.jsonl", "-q"]);
    let undisturbed: Vec<(String, Duration)> = (0..SHAPES.len())
        .map(|shape| {
            let name = format!("whole-{shape}");
            keep.ok(&[&["export", &name, "--detach", "-q"], SHAPES[shape]].concat());
            let took = timed(|| {
                keep.ok(&["worker", "--once", "-q"]);
            });
            assert!(keep.dataset(&name).len() > 6, "several parts, and rejects");
            (name, took)
        })
        .collect();
    let mut left = kills();
    for number in 0.. {
        if left == 0 {
            break;
        }
        let shape = number % SHAPES.len();
        let (like, took) = &undisturbed[shape];
        let name = format!("killed-{number}");
        keep.ok(&[&["export", &name, "--detach", "-q"], SHAPES[shape]].concat());
        for _ in 0..left.min(1 + chance.below(2)) {
            let child = keep.spawn("said", &["worker", "--once", "-q"]);
            // At times another helps it, and either may be the first to die.
            let other = keep.spawn("other", &["worker", "--once", "-q"]);
            let (first, last) = if chance.below(2) == 0 { (child, other) } else { (other, child) };
            std::thread::sleep(moment(&mut chance, *took));
            kill(first);
            std::thread::sleep(moment(&mut chance, *took));
            kill(last);
            left -= 1;
            keep.assert_none_half_made();
            if keep.job(&name)["dataset"].is_i64() {
                break;
            }
            // Its lease has to end before another takes it.
            std::thread::sleep(Duration::from_millis(1000 * chance.below(2)));
        }
        keep.ok(&["worker", "--once", "-q"]);
        keep.assert_all_ended();
        assert_same((&name, keep.dataset(&name)), (like, keep.dataset(like)));
    }
    for log in ["said", "other"] {
        assert!(!keep.said(log).contains("bug in Retort"), "{}", keep.said(log));
    }
}

#[test]
fn exports_from_sqlite_end_as_if_undisturbed() {
    killed_exports(&Keep::sqlite);
}

#[test]
fn exports_from_postgres_end_as_if_undisturbed() {
    on_postgres(killed_exports);
}

fn two_workers(new: &dyn Fn() -> Keep) {
    let mut chance = Chance::new();
    let keep = with_history(CONVERSATIONS)(new());
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.ok(&["export", "whole", "-q", "-d", "openai"]);
    let names: Vec<String> = (0..12).map(|number| format!("queued-{number}")).collect();
    for name in &names {
        keep.ok(&["export", name, "-q", "-d", "openai", "--detach"]);
    }
    let one = keep.spawn("one", &["worker", "--once"]);
    let mut other = keep.spawn("other", &["worker", "--once"]);
    // Midway in one of the first.
    keep.wait_for("queued-2", |job| job["state"] != "queued");
    std::thread::sleep(Duration::from_micros(chance.below(100_000)));
    kill(one);
    let status = ended(&mut other, 50).expect("the other worker ends");
    let (one, other) = (keep.said("one"), keep.said("other"));
    assert!(status.success(), "{other}");
    keep.assert_all_ended();
    let whole = keep.dataset("whole");
    for name in &names {
        // Not parts of it, which either makes for the other.
        let done = format!(": export `{name}` is done");
        let times = one.matches(&done).count() + other.matches(&done).count();
        // The killed one may have done one without coming to say so.
        assert!(times <= 1, "{name} was done {times} times:\n{one}\n{other}");
        assert_same((name, keep.dataset(name)), ("whole", whole.clone()));
    }
    let jobs = |said: &str| said.matches(": export ").count();
    let said = jobs(&one) + jobs(&other);
    assert!(said >= names.len() - 1, "{one}\n{other}");
    assert!(!one.contains("failed") && !other.contains("failed"), "{one}\n{other}");
}

#[test]
fn two_workers_on_one_sqlite_do_each_job_once() {
    two_workers(&Keep::sqlite);
}

#[test]
fn two_workers_on_one_postgres_do_each_job_once() {
    on_postgres(two_workers);
}

#[test]
fn two_processes_make_one_dataset_and_one_goes_on_if_the_other_dies() {
    let (keep, bucket) = slow();
    for name in ["together", "holder-killed", "helper-killed"] {
        keep.ok(&["export", name, "--detach", "-q"]);
        let mut holder = keep.spawn(&format!("holder-{name}"), &["worker", "--once"]);
        keep.wait_for(name, |job| job["state"] == "running");
        let helps = format!("helper-{name}");
        let mut helper = keep.spawn(&helps, &["worker", "--once"]);
        let has_helped = || {
            let said = keep.said(&helps);
            said.contains(&format!("of export `{name}` is done"))
        };
        let began = Instant::now();
        while !has_helped() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(has_helped(), "{}", keep.said(&helps));
        match name {
            "holder-killed" => kill(holder),
            "helper-killed" => {
                kill(helper);
                assert!(ended(&mut holder, 60).expect("the holder ends").success());
                helper = keep.spawn(&helps, &["worker", "--once"]);
            }
            _ => assert!(ended(&mut holder, 60).expect("the holder ends").success()),
        }
        assert!(ended(&mut helper, 60).expect("the helper ends").success());
        assert_same(
            (name, package(in_bucket(&keep, &bucket, name))),
            ("whole", package(in_bucket(&keep, &bucket, "whole"))),
        );
    }
    keep.assert_all_ended();
    keep.ok(&["doctor"]);
}

/// A store whose datasets are in a bucket that takes its time, so that there is a midway; its whole dataset.
fn slow() -> (Keep, Bucket) {
    let bucket = Bucket::new();
    let mut keep = with_history(500)(Keep::sqlite());
    keep.ok(&["import", "in.jsonl", "-q"]);
    let mut command = std::process::Command::new("true");
    bucket.known_to(&mut command);
    for (name, value) in command.get_envs() {
        keep = keep.set(name.to_str().unwrap(), value.unwrap().to_str().unwrap());
    }
    keep.ok(&["export", "whole", "-q"]);
    bucket.set_delay(150);
    (keep, bucket)
}

fn in_bucket(
    keep: &Keep,
    bucket: &Bucket,
    name: &str,
) -> std::collections::BTreeMap<String, Vec<u8>> {
    let job = keep.job(name);
    let end = format!("-{}/", job["id"]);
    let objects = bucket.objects();
    let of_job = objects
        .into_iter()
        .filter_map(|(key, bytes)| Some((key.split_once(&end)?.1.to_owned(), bytes)));
    of_job.collect()
}

fn is_midway(job: &serde_json::Value) -> bool {
    assert!(!job["state"].as_str().unwrap().starts_with("completed"), "too fast: {job}");
    job["state"] == "running" && job["items"]["done"].as_u64() > Some(0)
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_its_job_back() {
    let (keep, bucket) = slow();
    keep.ok(&["export", "given", "--detach", "-q"]);
    let mut worker = keep.spawn("worker", &["worker"]);
    keep.wait_for("given", is_midway);
    signal(&worker, "TERM");
    let status = ended(&mut worker, 40).expect("it ends");
    assert!(status.success(), "{}", keep.said("worker"));
    assert_eq!(keep.job("given")["state"], "queued");
    bucket.set_delay(0);
    keep.ok(&["worker", "--once", "-q"]);
    assert_same(
        ("given", package(in_bucket(&keep, &bucket, "given"))),
        ("whole", package(in_bucket(&keep, &bucket, "whole"))),
    );
}

#[test]
fn interrupting_an_export_cancels_it() {
    let (keep, bucket) = slow();
    let mut export = keep.spawn("export", &["export", "stopped"]);
    keep.wait_for("stopped", is_midway);
    signal(&export, "INT");
    let status = ended(&mut export, 40).expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", keep.said("export"));
    assert_eq!(keep.job("stopped")["state"], "cancelled");
    assert!(in_bucket(&keep, &bucket, "stopped").is_empty());
    assert_eq!(bucket.open_uploads(), 0);
    retried(&keep, &bucket, "stopped");
}

#[test]
fn cancelling_from_elsewhere_ends_an_export_within_moments() {
    let (keep, bucket) = slow();
    let mut export = keep.spawn("export", &["export", "cancelled"]);
    let job = keep.wait_for("cancelled", is_midway);
    keep.ok(&["jobs", "cancel", &job["id"].to_string()]);
    let status = ended(&mut export, 40).expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", keep.said("export"));
    assert_eq!(keep.job("cancelled")["state"], "cancelled");
    assert!(in_bucket(&keep, &bucket, "cancelled").is_empty());
    retried(&keep, &bucket, "cancelled");
}

/// Tried again, it becomes what it was to be.
fn retried(keep: &Keep, bucket: &Bucket, name: &str) {
    bucket.set_delay(0);
    let id = keep.job(name)["id"].to_string();
    keep.ok(&["jobs", "retry", &id]);
    assert_same(
        (name, package(in_bucket(keep, bucket, name))),
        ("whole", package(in_bucket(keep, bucket, "whole"))),
    );
    keep.refused(&["jobs", "retry", &id], "only failed or cancelled jobs");
    keep.refused(&["jobs", "cancel", &id], "has ended");
}

/// A worker that dies with a job that was cancelled leaves nothing of it behind.
#[test]
fn what_a_dead_worker_made_of_a_cancelled_job_is_removed() {
    let (slow, bucket) = slow();
    slow.ok(&["export", "left", "--detach", "-q"]);
    let worker = slow.spawn("worker", &["worker"]);
    let job = slow.wait_for("left", is_midway);
    kill(worker);
    bucket.set_delay(0);
    slow.ok(&["jobs", "cancel", &job["id"].to_string()]);
    slow.ok(&["worker", "--once", "-q"]);
    assert_eq!(slow.job("left")["state"], "cancelled");
    assert!(in_bucket(&slow, &bucket, "left").is_empty());
}

fn frozen(new: &dyn Fn() -> Keep) {
    let keep = with_history(400)(new());
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.ok(&["export", "before", "-q", "-d", "openai"]);
    keep.ok(&["export", "frozen", "-q", "-d", "openai", "--detach"]);
    // Newer states of all, and others.
    let newer = keep.said("in.jsonl").replace(
        "\"messages\":",
        "\"updated_at\":\"2030-01-01T00:00:00Z\",\"title\":\"New\",\"messages\":",
    );
    let newer = newer
        .replace("w1", "changed")
        .replace("\"rounds\":", "\"updated_at\":\"2030-01-01T00:00:00Z\",\"rounds\":");
    keep.place.file("newer.jsonl", newer);
    keep.place.file("more.jsonl", chats(50));
    let report = keep.ok(&["import", "newer.jsonl", "more.jsonl", "--replace", "-q", "--json"]).out;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["updated"].as_u64() > Some(300), "{report}");
    keep.ok(&["worker", "--once", "-q"]);
    keep.ok(&["export", "after", "-q", "-d", "openai"]);
    assert_same(("frozen", keep.dataset("frozen")), ("before", keep.dataset("before")));
    assert!(keep.dataset("after") != keep.dataset("before"));
    let read =
        |name| String::from_utf8(keep.dataset(name)["ids.txt"].clone()).unwrap().lines().count();
    assert!(read("after") > read("before"));
}

#[test]
fn a_selection_in_sqlite_is_frozen_when_it_is_made() {
    frozen(&Keep::sqlite);
}

#[test]
fn a_selection_in_postgres_is_frozen_when_it_is_made() {
    on_postgres(frozen);
}
