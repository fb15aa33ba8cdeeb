//! Panics at every stage of jobs: the job fails with its message and is not tried again, nothing else ends, and the
//! next job runs at once (report server-panic-wedges-worker). They are caused at the places that
//! `retort_service::panics` has for it, which release builds do not have.
#![cfg(all(unix, debug_assertions))]

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::asking::{Client, Server};
use crate::support::ended;
use crate::support::keeping::*;
use serde_json::{Value, json};

const IMPORT: [&str; 12] = [
    "import.fetch",
    "import.find",
    "open",
    "split",
    "import.parse",
    "import.pack",
    "import.place",
    "import.gather",
    "import.commit",
    "import.update",
    "import.report",
    "import.end",
];

const EXPORT: [&str; 16] = [
    "export.plan",
    "learn",
    "export.read",
    "unpack",
    "parse",
    "admit",
    "shape",
    "gather",
    "encode",
    "write",
    "finish",
    "export.checkpoint",
    "assemble",
    "receipt",
    "export.end",
    "keep",
];

const CONVERT: [&str; 12] = [
    "open", "split", "parse", "admit", "shape", "gather", "encode", "write", "finish", "assemble",
    "receipt", "learn",
];

/// A store with runs in it, in which the next panic is caused by a file.
fn prepared() -> Keep {
    let keep = Keep::sqlite();
    let file = keep.place.path("panic-at").to_str().unwrap().to_owned();
    let keep = keep.set("RETORT_PANIC_AT", file);
    keep.place.file("runs.jsonl", runs(60, 3));
    keep.ok(&["import", "runs.jsonl", "-q"]);
    keep
}

fn arm(keep: &Keep, place: &str) {
    keep.place.file("panic-at", place);
}

fn assert_happened(keep: &Keep, place: &str) {
    assert!(!keep.place.path("panic-at").exists(), "nothing came by `{place}`");
}

/// The job once it has ended, waited for ten seconds.
fn end_of(client: &Client, base: &str, kind: &str, job: &Value) -> Value {
    let path = format!("/{kind}/{}", job["id"]);
    for _ in 0..500 {
        let job = client.get(base, &path);
        if !matches!(job["state"].as_str().unwrap(), "queued" | "running") {
            return job;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{path} does not end: {}", client.get(base, &path));
}

struct Served {
    keep: Keep,
    server: Server,
    client: Client,
    jobs: u32,
}

impl Served {
    fn new() -> Self {
        let keep = prepared();
        let server = Server::begin(&keep, "serve.log", &[]);
        let client = server.token(&server.sign_in(&keep));
        Self { keep, server, client, jobs: 0 }
    }

    fn begin(&mut self, kind: &str) -> Value {
        self.jobs += 1;
        let body = match kind {
            // Runs that are there already, with other answers.
            "imports" => runs(60, 3 + u64::from(self.jobs)),
            _ => json!({"dataset_name": format!("x{}", self.jobs), "runs": {}, "data_format": "node-evaluation",
                "node": "answer", "file_format": "jsonl"})
            .to_string(),
        };
        let path = format!("/{kind}");
        let answer = self.client.ask(&self.server.base, "POST", &path, &[], &body).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()
    }

    fn end(&self, kind: &str, job: &Value) -> Value {
        end_of(&self.client, &self.server.base, kind, job)
    }
}

#[test]
fn a_panic_in_a_servers_job_fails_that_job_alone() {
    let mut served = Served::new();
    for (kind, places) in [("imports", &IMPORT[..]), ("exports", &EXPORT[..])] {
        for place in places {
            arm(&served.keep, place);
            let job = served.begin(kind);
            let failed = served.end(kind, &job);
            assert_happened(&served.keep, place);
            assert_eq!(failed["state"], "failed", "{place}: {failed}");
            let why = failed["error"].as_str().unwrap();
            assert!(why.contains("bug in Retort"), "{place}: {why}");
            assert!(why.contains(&format!("injected at {place}")), "{place}: {why}");
            let job = served.begin(kind);
            let next = served.end(kind, &job);
            assert!(next["state"].as_str().unwrap().starts_with("completed"), "{place}: {next}");
        }
    }
    // The log says where, and nothing of what the panic said.
    let log = served.keep.said("serve.log");
    assert!(log.contains("a bug in Retort") && !log.contains("injected at"), "{log}");
    let child = &mut served.server.child;
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(ended(child, 10).expect("SIGTERM ends it").success());
}

#[test]
fn a_panic_on_the_command_line_is_told_as_a_bug() {
    let keep = prepared();
    let check = |place: &str, args: &[&str]| {
        arm(&keep, place);
        let ran = keep.run(args);
        assert_happened(&keep, place);
        assert_eq!(ran.code, Some(70), "{place}: {}", ran.err);
        assert!(ran.err.contains("this is a bug in Retort, at "), "{place}: {}", ran.err);
        assert!(ran.err.contains(&format!("injected at {place}")), "{place}: {}", ran.err);
    };
    let shape = ["-d", "node-evaluation", "--node", "answer", "-q"];
    for place in CONVERT {
        check(place, &[&["convert", "runs.jsonl", "-o", "out"], &shape[..]].concat());
        let left = fs::read_dir(keep.place.0.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("out")), "{left:?}");
    }
    keep.ok(&[&["convert", "runs.jsonl", "-o", "out"], &shape[..]].concat());
    keep.place.file("runs.jsonl", runs(60, 4));
    for place in IMPORT.into_iter().filter(|place| *place != "import.fetch") {
        check(place, &["import", "runs.jsonl", "-q"]);
    }
    keep.ok(&["import", "runs.jsonl", "-q"]);
    for place in EXPORT {
        check(place, &[&["export", "x", "--runs"], &shape[..]].concat());
    }
    keep.ok(&[&["export", "x", "--runs"], &shape[..]].concat());
}

#[test]
fn a_worker_lives_on_after_a_panic() {
    let keep = prepared();
    for (number, place) in ["shape", "keep", "receipt"].into_iter().enumerate() {
        let name = format!("x{number}");
        keep.ok(&["export", &name, "--runs", "--detach", "-q"]);
        arm(&keep, place);
        let ran = keep.ok(&["worker", "--once"]);
        assert_happened(&keep, place);
        assert!(ran.err.contains(&format!("injected at {place}")), "{}", ran.err);
        keep.assert_all_ended();
    }
}
