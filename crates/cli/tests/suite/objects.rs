//! Datasets in a bucket that fails in every way a bucket can.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "what a test takes is told")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::keeping::*;
use crate::support::{Place, chat, ended, with};

/// Half a part of history that is written to a bucket in several requests, and smaller parts.
const LARGE: usize = 9 << 20;

fn new() -> (Keep, Bucket) {
    let bucket = Bucket::new();
    let mut keep = Keep::sqlite();
    let mut command = std::process::Command::new("true");
    bucket.known_to(&mut command);
    for (name, value) in command.get_envs() {
        keep = keep.set(name.to_str().unwrap(), value.unwrap().to_str().unwrap());
    }
    (keep, bucket)
}

/// The store holds some parts' worth of history.
fn with_parts() -> (Keep, Bucket) {
    let (keep, bucket) = new();
    keep.place.file("in.jsonl", history(1000, 3));
    keep.ok(&["import", "in.jsonl", "-q"]);
    (keep, bucket)
}

/// The objects of a job's dataset.
fn objects_of(keep: &Keep, bucket: &Bucket, name: &str) -> BTreeMap<String, Vec<u8>> {
    let end = format!("-{}/", keep.job(name)["id"]);
    let key = |key: String| Some(key.split_once(&end)?.1.to_owned());
    bucket.objects().into_iter().filter_map(|(path, bytes)| Some((key(path)?, bytes))).collect()
}

/// A folder as the place of the datasets, on the same store.
fn in_folder(keep: &Keep, name: &str, args: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let folder = keep.place.path("folder").to_str().unwrap().to_owned();
    keep.ok(&[&["export", name, "-q", "--objects", &folder], args].concat());
    let datasets = std::fs::read_dir(keep.place.path("folder/datasets")).unwrap();
    let end = format!("-{}", keep.job(name)["id"]);
    let mut found = datasets.map(|entry| entry.unwrap().path());
    let found = found.find(|path| path.to_string_lossy().ends_with(&end)).unwrap();
    package(files_below(&found))
}

fn assert_secret(told: &str) {
    assert!(!told.contains(SECRET) && !told.contains(KEY), "{told}");
}

#[test]
fn a_dataset_in_a_bucket_has_the_bytes_of_one_in_a_folder() {
    let (keep, bucket) = with_parts();
    for (number, args) in
        [&["-d", "openai"][..], &["-f", "parquet"], &["-f", "csv", "--compress", "gzip"]]
            .into_iter()
            .enumerate()
    {
        let (there, here) = (format!("in-bucket-{number}"), format!("in-folder-{number}"));
        keep.ok(&[&["export", &there, "-q"], args].concat());
        let like = in_folder(&keep, &here, args);
        assert!(like.len() > 6, "several parts: {:?}", like.keys());
        assert_same((&there, package(objects_of(&keep, &bucket, &there))), (&here, like));
    }
    assert_eq!(bucket.open_uploads(), 0);
    assert!(bucket.objects().keys().all(|key| key.starts_with("some/prefix/datasets/")));
}

#[test]
fn a_file_that_is_larger_than_one_request_is_sent_in_several() {
    let (keep, bucket) = new();
    let keep = keep.set("RETORT_PART_MEGABYTES", "100");
    let mut chance = Chance::of(1);
    let mut text = String::new();
    while text.len() < LARGE {
        let chat = with(
            chat(&format!("c{}", text.len())),
            "title",
            serde_json::json!(chance.sentence(100)),
        );
        let answer = serde_json::json!({"role": "assistant", "content": chance.sentence(20_000)});
        let question = chat["messages"][0].clone();
        let chat = with(chat, "messages", serde_json::json!([question, answer]));
        writeln!(text, "{chat}").unwrap();
    }
    keep.place.file("in.jsonl", text);
    keep.ok(&["import", "in.jsonl", "-q"]);
    bucket.take_requests();
    keep.ok(&["export", "in-bucket", "-q"]);
    let sent = bucket.take_requests();
    let parts = sent.iter().filter(|it| it.starts_with("PUT") && it.contains("data-")).count();
    assert_eq!(parts, 2, "{sent:?}");
    let like = in_folder(&keep, "in-folder", &[]);
    assert_same(
        ("in-bucket", package(objects_of(&keep, &bucket, "in-bucket"))),
        ("in-folder", like),
    );
}

#[test]
fn a_bucket_that_fails_for_a_while_is_asked_again() {
    let (keep, bucket) = with_parts();
    let keep = keep.set("RETORT_PATIENCE_SECONDS", "20");
    keep.ok(&["export", "whole", "-q"]);
    for (number, status) in [(0, 503), (1, 500), (2, 429)] {
        let name = format!("patient-{number}");
        bucket.fail_next(3, status);
        keep.ok(&["export", &name, "-q"]);
        assert_eq!(bucket.failing(), 0);
        assert_same(
            (&name, package(objects_of(&keep, &bucket, &name))),
            ("whole", package(objects_of(&keep, &bucket, "whole"))),
        );
    }
    // In the midst of it, too.
    let mut export = keep.spawn("said", &["export", "midway", "-q"]);
    bucket.set_delay(30);
    keep.wait_for("midway", |job| job["items"]["done"].as_u64() > Some(0));
    bucket.fail_next(4, 503);
    bucket.set_delay(0);
    let status = ended(&mut export, 50).unwrap();
    assert!(status.success(), "{}", keep.said("said"));
    assert_same(
        ("midway", package(objects_of(&keep, &bucket, "midway"))),
        ("whole", package(objects_of(&keep, &bucket, "whole"))),
    );
}

#[test]
fn a_bucket_that_is_gone_fails_the_job_and_a_retry_does_only_what_is_missing() {
    let (keep, bucket) = with_parts();
    keep.ok(&["export", "whole", "-q", "-d", "openai"]);
    let whole = package(objects_of(&keep, &bucket, "whole"));
    bucket.take_requests();
    // The first part has four files.
    bucket.set_down_after(6);
    let ran =
        keep.refused(&["export", "gone", "-q", "-d", "openai"], "in the storage of the datasets");
    assert!(ran.err.contains("/.parts/00001/"), "{}", ran.err);
    assert_secret(&ran.err);
    let job = keep.job("gone");
    assert_eq!((&job["state"], &job["dataset"]), (&"failed".into(), &serde_json::Value::Null));
    assert!(job["error"].as_str().unwrap().contains("/.parts/00001/"), "{job}");
    assert_secret(&job.to_string());
    let made = objects_of(&keep, &bucket, "gone");
    assert!(!made.contains_key("manifest.json") && made.len() >= 4, "{:?}", made.keys());

    // It is still gone, and says so again.
    let id = job["id"].to_string();
    keep.refused(&["jobs", "retry", &id], "in the storage of the datasets");
    assert_eq!(keep.job("gone")["state"], "failed");

    bucket.set_down(false);
    bucket.take_requests();
    keep.ok(&["jobs", "retry", &id]);
    let again = bucket.take_requests();
    let redone = again.iter().filter(|it| it.starts_with("PUT") && it.contains("/.parts/00000/"));
    assert_eq!(redone.count(), 0, "{again:?}");
    assert_same(("gone", package(objects_of(&keep, &bucket, "gone"))), ("whole", whole));
}

#[test]
fn a_part_that_is_lost_is_made_again() {
    let (keep, bucket) = with_parts();
    keep.ok(&["export", "whole", "-q", "-d", "openai"]);
    bucket.set_down_after(10);
    keep.refused(&["export", "lost", "-q", "-d", "openai"], "in the storage of the datasets");
    bucket.set_down(false);
    let objects = bucket.objects();
    let end = format!("-{}/.parts/00000/1/data-00000.jsonl", keep.job("lost")["id"]);
    let key = objects.keys().find(|key| key.ends_with(&end)).unwrap();
    bucket.remove(key);
    keep.ok(&["jobs", "retry", &keep.job("lost")["id"].to_string()]);
    assert_same(
        ("lost", package(objects_of(&keep, &bucket, "lost"))),
        ("whole", package(objects_of(&keep, &bucket, "whole"))),
    );
}

#[test]
fn an_object_that_is_lost_while_the_dataset_is_put_together_is_named() {
    let (keep, bucket) = with_parts();
    keep.ok(&["export", "whole", "-q"]);
    bucket.set_delay(40);
    let mut export = keep.spawn("said", &["export", "lost", "-q"]);
    keep.wait_for("lost", |job| job["items"]["done"].as_u64() > Some(0));
    let end = format!("-{}/.parts/00000/1/data-00000.jsonl", keep.job("lost")["id"]);
    let key = bucket.objects().keys().find(|key| key.ends_with(&end)).unwrap().clone();
    bucket.remove(&key);
    bucket.set_delay(0);
    let status = ended(&mut export, 50).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(keep.said("said").contains(".parts/00000/1/data-00000.jsonl"), "{}", keep.said("said"));
    let job = keep.job("lost");
    assert_eq!((&job["state"], &job["dataset"]), (&"failed".into(), &serde_json::Value::Null));
    keep.ok(&["jobs", "retry", &job["id"].to_string()]);
    assert_same(
        ("lost", package(objects_of(&keep, &bucket, "lost"))),
        ("whole", package(objects_of(&keep, &bucket, "whole"))),
    );
}

#[test]
fn a_bucket_that_lets_nobody_in_is_told_without_the_key() {
    let (keep, bucket) = with_parts();
    let wrong = Keep { place: Place::new(), settings: keep.settings.clone() }
        .set("AWS_ACCESS_KEY_ID", "WRONGKEY")
        .set("AWS_SECRET_ACCESS_KEY", SECRET);
    let ran = wrong.refused(&["export", "closed", "-q"], "in the storage of the datasets");
    assert_secret(&ran.err);
    assert_eq!(keep.job("closed")["state"], "failed");
    assert_secret(&keep.job("closed").to_string());
    assert!(bucket.objects().is_empty());
}

#[test]
fn uploads_that_a_killed_server_left_in_a_bucket_are_found_and_removed() {
    let (keep, bucket) = with_parts();
    keep.ok(&["export", "d", "-q"]);
    let ours = bucket.objects().into_keys().find_map(|key| {
        Some(key.strip_prefix("some/prefix/datasets/")?.rsplit_once('/')?.0.to_owned())
    });
    let (store, _) = ours.as_deref().unwrap().rsplit_once('-').unwrap();
    let dead = format!("some/prefix/uploads/{store}-0123");
    let of_others = "some/prefix/uploads/another-store-0123";
    bucket.put(&dead, b"never queued");
    bucket.put(of_others, b"not ours");
    let found = keep.run(&["doctor"]);
    assert_eq!(found.code, Some(3), "{}", found.out);
    assert!(found.out.contains("the uploads: 1 (12 bytes) belong to no import"), "{}", found.out);
    let mended = keep.run(&["doctor", "--repair"]);
    assert!(mended.out.contains("removed an upload that belongs to no import"), "{}", mended.out);
    let left = bucket.objects();
    assert!(!left.contains_key(&dead) && left.contains_key(of_others));
}

#[test]
fn a_worker_outlives_a_bucket_that_is_gone() {
    let (keep, bucket) = with_parts();
    keep.ok(&["export", "waiting", "--detach", "-q"]);
    bucket.set_down(true);
    let mut worker = keep.spawn("worker", &["worker"]);
    keep.wait_for("waiting", |job| job["state"] == "failed");
    bucket.set_down(false);
    assert!(worker.try_wait().unwrap().is_none(), "{}", keep.said("worker"));
    keep.ok(&["jobs", "retry", &keep.job("waiting")["id"].to_string(), "--detach"]);
    keep.wait_for("waiting", |job| job["dataset"].is_i64());
    signal(&worker, "TERM");
    assert!(ended(&mut worker, 40).unwrap().success());
    assert_secret(&keep.said("worker"));
    package(objects_of(&keep, &bucket, "waiting"));
}
