//! A server that is killed at any moment while exporters send spans: each span that it answered with 200 is a node of its
//! run, once. `RETORT_KILLS` says how often it is killed.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::asking::{Client, Server};
use crate::support::keeping::*;

/// Exporters that send at the same time.
const EXPORTERS: u64 = 4;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(4, |kills| kills.parse().unwrap())
}

/// Spans of each trace that were answered with 200.
type Taken = BTreeMap<String, BTreeSet<String>>;

/// A request with spans, each of a trace and with an id; the first of a trace is its root.
fn request(spans: &[(String, u64)]) -> String {
    let spans: Vec<Value> = spans
        .iter()
        .map(|(trace, id)| {
            json!({
                "traceId": trace, "spanId": format!("{id:016x}"), "name": "step",
                "parentSpanId": if *id == 1 { String::new() } else { format!("{:016x}", 1) },
                "startTimeUnixNano": (1_700_000_000_000_000_000 + id).to_string(),
                "endTimeUnixNano": (1_700_000_001_000_000_000 + id).to_string(),
            })
        })
        .collect();
    let name = json!({"key": "service.name", "value": {"stringValue": "killed"}});
    json!({"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": [{"spans": spans}]}]})
        .to_string()
}

/// Sends spans of ever more traces, two traces in each request, until it is over. As exporters do, it sends a request
/// again that was not answered.
fn export(who: u64, client: &Client, base: &Mutex<Arc<str>>, is_over: &AtomicBool) -> Taken {
    let mut taken = Taken::new();
    let mut chance = Chance::of(who);
    for number in 0_u64.. {
        let traces = [2 * number, 2 * number + 1].map(|one| format!("{who:08x}{one:024x}"));
        for id in [2, 3, 1] {
            let spans = traces.each_ref().map(|trace| (trace.clone(), id));
            loop {
                let base = Arc::clone(&base.lock().unwrap());
                let path = "/../../v1/traces";
                match client.ask(&base, "POST", path, &[], &request(&spans)) {
                    Some(answer) if answer.status == 200 => break,
                    Some(answer) => assert!(answer.status >= 429, "{}", answer.body),
                    None => {}
                }
                if is_over.load(Ordering::Relaxed) {
                    return taken;
                }
                std::thread::sleep(Duration::from_millis(10 + chance.below(40)));
            }
            for (trace, id) in spans {
                taken.entry(trace).or_default().insert(format!("{id:016x}"));
            }
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(Duration::from_millis(chance.below(30)));
    }
    taken
}

#[test]
fn a_killed_server_loses_no_span_that_it_answered() {
    let keep = Keep::sqlite();
    let mut chance = Chance::new();
    let first = Server::begin(&keep, "first", &["--traces"]);
    let client = first.token(&first.sign_in(&keep));
    let base = Mutex::new(Arc::clone(&first.base));
    let is_over = AtomicBool::new(false);
    let (server, mut taken) = std::thread::scope(|scope| {
        let mut server = first;
        let (client, base, is_over) = (&client, &base, &is_over);
        let exporters: Vec<_> = (1..=EXPORTERS)
            .map(|who| scope.spawn(move || export(who, client, base, is_over)))
            .collect();
        for number in 0..kills() {
            std::thread::sleep(Duration::from_millis(300 + chance.below(1500)));
            kill(server.child);
            server = Server::begin(&keep, &format!("server-{number}"), &["--traces"]);
            *base.lock().unwrap() = Arc::clone(&server.base);
        }
        std::thread::sleep(Duration::from_millis(500));
        is_over.store(true, Ordering::Relaxed);
        let mut taken = Taken::new();
        for exporter in exporters {
            taken.append(&mut exporter.join().unwrap());
        }
        (server, taken)
    });
    assert!(taken.len() > 10, "{} traces", taken.len());
    // All are due ten seconds after their roots; what has no root yet is sent one.
    let base = Arc::clone(&server.base);
    for (trace, spans) in &mut taken {
        let spans_again = [(trace.clone(), 1)];
        let answer = client.ask(&base, "POST", "/../../v1/traces", &[], &request(&spans_again));
        assert_eq!(answer.unwrap().status, 200);
        spans.insert(format!("{:016x}", 1));
    }
    let mut missing = taken.len();
    for _ in 0..600 {
        missing = taken.len();
        for (trace, spans) in &taken {
            let answer = client.ask(&base, "GET", &format!("/runs/{trace}"), &[], "").unwrap();
            if answer.status == 404 {
                break;
            }
            let run = answer.json();
            let nodes = run["run"]["nodes"].as_array().unwrap();
            let ids: Vec<_> = nodes
                .iter()
                .map(|node| node["metadata"]["span_id"].as_str().unwrap().to_owned())
                .collect();
            let found: BTreeSet<_> = ids.iter().cloned().collect();
            assert_eq!(ids.len(), found.len(), "twice: {run}");
            if !spans.is_subset(&found) {
                break;
            }
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(missing, 0, "of {} traces", taken.len());
    kill(server.child);
    keep.ok(&["doctor"]);
}
