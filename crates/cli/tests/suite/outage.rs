//! A PostgreSQL that goes away under load and comes back: server and worker wait for it, answer 503 meanwhile, and go
//! on by themselves; nothing is lost or doubled. `RETORT_OUTAGES` says how long each outage is, in seconds.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::asking::Server;
use crate::support::keeping::*;
use crate::support::{ended, ids, rows};
use retort_testing::postgres;
use serde_json::json;

/// Of seconds: shorter than a lease, and longer, by many.
fn outages() -> Vec<f64> {
    let told = std::env::var("RETORT_OUTAGES").unwrap_or_else(|_| "0.2,1,4".into());
    told.split(',').map(|seconds| seconds.trim().parse().unwrap()).collect()
}

#[test]
fn a_database_that_goes_away_holds_up_and_loses_nothing() {
    let Some(database) = postgres::Server::start("-c listen_addresses=''") else { return };
    let keep = Keep::postgres(database.new_database("outage"));
    let mut server = Server::begin(&keep, "serve.log", &[]);
    let mut worker = keep.spawn("worker.log", &["worker"]);
    let client = server.token(&server.sign_in(&keep));
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let base = &*server.base;
    let (taken, exports, statuses) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut taken = BTreeSet::new();
            let mut statuses = BTreeMap::<u16, u64>::new();
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("c{number}");
                let chat = json!({"id": id, "messages": [{"role": "user", "content": "q ".repeat(200)},
                    {"role": "assistant", "content": "a ".repeat(400)}]});
                let answer =
                    client.ask(base, "POST", "/conversations", &[], &chat.to_string()).unwrap();
                *statuses.entry(answer.status).or_default() += 1;
                match answer.status {
                    200 => {
                        written.fetch_add(1, Ordering::SeqCst);
                        taken.insert(id);
                    }
                    503 => assert!(answer.body.contains("/problems/unavailable"), "{}", answer.body),
                    status => panic!("{status}: {}", answer.body),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (taken, statuses)
        });
        let exporting = scope.spawn(|| {
            let mut exports = Vec::new();
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let body = json!({"dataset_name": format!("x{number}"), "data_format": "openai"});
                let answer = client.ask(base, "POST", "/exports", &[], &body.to_string()).unwrap();
                match answer.status {
                    202 => exports.push(answer.json()["id"].as_i64().unwrap()),
                    // The database went when it was asked; so many run already; there is nothing yet; it came through.
                    503 | 429 | 422 | 409 => {}
                    status => panic!("{status}: {}", answer.body),
                }
                std::thread::sleep(Duration::from_millis(30));
            }
            exports
        });
        let ready = || client.status(base, "/readyz");
        // However long it takes on a machine that does much else.
        let writes_go_on = || {
            let before = written.load(Ordering::SeqCst);
            let more = (0..6000).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                written.load(Ordering::SeqCst) >= before + 10
            });
            assert!(more, "no writes: {}", keep.said("serve.log"));
        };
        writes_go_on();
        for seconds in outages() {
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(ready(), 200);
            database.stop();
            assert_eq!(ready(), 503, "while the database is away");
            std::thread::sleep(Duration::from_secs_f64(seconds));
            database.go_on();
            let is_back = (0..1000).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                ready() == 200
            });
            assert!(is_back, "{}", keep.said("serve.log"));
            writes_go_on();
        }
        is_over.store(true, Ordering::SeqCst);
        let (taken, statuses) = writing.join().unwrap();
        (taken, exporting.join().unwrap(), statuses)
    });
    assert!(statuses.contains_key(&503) && exports.len() > 3, "{statuses:?} {}", exports.len());
    for id in exports {
        let path = format!("/exports/{id}");
        let state = |_| {
            std::thread::sleep(Duration::from_millis(50));
            let job = client.get(base, &path);
            (!matches!(job["state"].as_str(), Some("queued" | "running"))).then_some(job)
        };
        let job = (0..600).find_map(state).unwrap_or_else(|| panic!("{id} does not end"));
        assert_eq!(job["state"], "completed", "{job}");
    }
    let total = client.get(base, "/conversations/count")["total"].as_u64().unwrap();
    // What was answered 503 may have come in all the same.
    assert!(total >= taken.len() as u64, "{total} of {}", taken.len());
    keep.ok(&["export", "whole", "--detach", "-q", "-d", "standard"]);
    keep.wait_for("whole", |job| job["state"] == "completed");
    let data = keep.dataset("whole");
    // A file for each part, of which there are several if many writes came through.
    let parts = data.iter().filter(|(name, _)| name.starts_with("conversations"));
    let found: Vec<String> =
        parts.flat_map(|(_, bytes)| ids(&rows(std::str::from_utf8(bytes).unwrap()))).collect();
    assert_eq!(found.len() as u64, total, "each once");
    let found: BTreeSet<String> = found.into_iter().collect();
    assert!(taken.is_subset(&found) && found.len() as u64 == total);
    for child in [&mut server.child, &mut worker] {
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        assert!(ended(child, 10).expect("SIGTERM ends it").success());
    }
}

#[test]
fn a_request_that_waits_for_the_database_ends_with_its_deadline_and_with_the_server() {
    let Some(database) = postgres::Server::start("-c listen_addresses=''") else { return };
    let url = database.new_database("locked");
    let keep = Keep::postgres(url.clone());
    let mut quick = Server::begin(&keep, "quick.log", &["--no-worker", "--request-seconds", "2"]);
    let client = quick.token(&quick.sign_in(&keep));
    let mut patient = Server::begin(&keep, "patient.log", &["--no-worker"]);
    let held = ["-c", "BEGIN", "-c", "LOCK TABLE conversation", "-c", "SELECT pg_sleep(120)"];
    let mut lock = database.psql(&url).args(held).spawn().unwrap();
    let list = |base: &str| client.ask(base, "GET", "/conversations", &[], "");
    let stopped = (0..50).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        list(&quick.base).filter(|answer| answer.status == 503)
    });
    let stopped = stopped.expect("the lock holds requests up");
    assert!(stopped.body.contains("took longer than 2 seconds"), "{}", stopped.body);
    // What else it is asked is answered.
    assert_eq!(client.ask(&quick.base, "GET", "/tokens", &[], "").unwrap().status, 200);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| list(&patient.base));
        }
        std::thread::sleep(Duration::from_millis(500));
        let pid = patient.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let ended = ended(&mut patient.child, 10);
        lock.kill().unwrap();
        lock.wait().unwrap();
        assert!(ended.expect("SIGTERM ends it within ten seconds").success());
    });
    quick.child.kill().unwrap();
    quick.child.wait().unwrap();
}
