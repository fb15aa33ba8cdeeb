//! Erasures whose processes are killed at any moment, on both kinds of store: they are completed by the next process, the
//! receipt counts everything once, and nothing is left of the person. `RETORT_KILLS` says how often.
#![cfg(unix)]

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::asking::Server;
use crate::support::keeping::*;
use crate::support::*;
use retort_testing::postgres;

const ANN: &str = "zqnamenvogel@example.org";
const CANARY: &str = "zqkanarienvogel";
const COUNT: usize = 60;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(3, |kills| kills.parse().unwrap())
}

/// Conversations of two people, datasets with something of hers, with hers alone and with none of hers, and one with a
/// conversation that she only judged.
fn stored(keep: &Keep) {
    let chats = (0..COUNT).map(|n| {
        let is_hers = n.is_multiple_of(3);
        let owner = if is_hers { ANN } else { "bob@example.org" };
        let word = if is_hers { CANARY } else { "sparrow" };
        json!({"id": format!("c{n:02}"), "owner": owner, "title": word, "tags": [format!("t{}", n % 4)],
            "messages": [{"role": "user", "content": format!("{word} {n}?")}, {"role": "assistant", "content": word}]})
    });
    keep.place.file("in.jsonl", lines(chats));
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.place.file(
        "judgements.jsonl",
        lines([json!({"conversation_id": "c01", "score": 1, "comment": CANARY, "author": ANN})]),
    );
    keep.ok(&["judge", "judgements.jsonl"]);
    for tag in 0..4 {
        keep.ok(&["export", &format!("d{tag}"), "-q", "-d", "retort", "--tag", &format!("t{tag}")]);
    }
    keep.ok(&["export", "hers", "-q", "--owner", ANN]);
    keep.ok(&["export", "judged", "-q", "-d", "retort", "--id", "c01"]);
    keep.ok(&["export", "his", "-q", "--id", "c02"]);
}

/// What the receipt of the one erasure says.
fn receipt(keep: &Keep) -> Value {
    let listed: Value = serde_json::from_str(&keep.ok(&["erase", "--list", "--json"]).out).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let id = listed[0]["id"].to_string();
    keep.place.file("receipt.json", keep.ok(&["erase", "--receipt", &id]).out);
    keep.place.file("key.pem", keep.ok(&["erase", "--public-key"]).out);
    let told = keep.ok(&["verify", "receipt.json", "--key", "key.pem"]).out;
    serde_json::from_str(&told).unwrap()
}

/// The erasure is what an undisturbed one would have been.
fn check(keep: &Keep, words: &str) {
    let told = receipt(keep);
    let erased = &told["erased"];
    assert_eq!(erased["conversations"], COUNT / 3, "{words}: {told}");
    assert_eq!(erased["judged_conversations_of_others"], 1, "{words}: {told}");
    let datasets = told["datasets"].as_array().unwrap();
    let mut actions: Vec<_> = datasets
        .iter()
        .map(|one| {
            let action = one["action"].as_str().unwrap();
            let is_made =
                one["rebuilt_as"].is_i64() && !one["after"].as_array().unwrap().is_empty();
            assert_eq!(action == "rebuilt", is_made, "{words}: {one}");
            assert!(!one["before"].as_array().unwrap().is_empty(), "{words}: {one}");
            (action, one["items_erased"].as_u64().unwrap())
        })
        .collect();
    actions.sort_unstable();
    let expect = [
        ("deleted", 20),
        ("rebuilt", 0),
        ("rebuilt", 5),
        ("rebuilt", 5),
        ("rebuilt", 5),
        ("rebuilt", 5),
    ];
    assert_eq!(actions, expect, "{words}: {told}");
    for (name, count) in [("d0", 10), ("d1", 10), ("d2", 10), ("d3", 10), ("judged", 1), ("his", 1)]
    {
        let text = keep.dataset(name)["conversations.jsonl"].clone();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), count, "{words}: {name}");
        keep.ok(&["datasets", "verify", name]);
    }
    keep.place.file("texts", format!("{CANARY}\n{ANN}\n"));
    let ran = keep.run(&["doctor", "--erased", "texts", "--json"]);
    let searched: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let places = searched["found"].as_array().unwrap().iter();
    let places = places.map(|one| one["place"].as_str().unwrap());
    let places: Vec<_> = places.filter(|place| !place.contains("/retort-tmp-")).collect();
    assert!(places.is_empty(), "{words}: {places:?}");
    keep.ok(&["doctor"]);
}

#[test]
fn an_erasure_that_broke_off_at_any_step_is_completed_by_the_next_call() {
    let points = [
        "erasure.judgements",
        "erasure.datasets",
        "erasure.noted",
        "dataset.delete",
        "erasure.queued",
        "erasure.purge",
        "erasure.purging",
        "erasure.complete",
    ];
    for point in points {
        let keep = Keep::sqlite();
        let file = keep.place.path("panic-at").to_str().unwrap().to_owned();
        let keep = keep.set("RETORT_PANIC_AT", file);
        stored(&keep);
        keep.place.file("panic-at", point);
        let ran = keep.run(&["erase", "--person", ANN, "--yes"]);
        assert!(ran.code != Some(0) && ran.err.contains("bug in Retort"), "{point}: {}", ran.err);
        // Until its lease expires, no other process resumes it.
        std::thread::sleep(Duration::from_millis(1200));
        keep.ok(&["erase", "--person", ANN, "--yes"]);
        check(&keep, point);
    }
}

fn killed(keep: &Keep, chance: &mut Chance) {
    stored(keep);
    let server = Server::begin(keep, "server-0", &[]);
    let client = server.token(&server.sign_in(keep));
    let (base, asks) = (server.base.clone(), client.clone());
    let asked = std::thread::spawn(move || {
        asks.ask(&base, "POST", "/erasures", &[], &json!({ "person": ANN }).to_string())
    });
    let mut child = server.child;
    let mut told = Vec::new();
    for number in 1..=3 {
        let wait = chance.below(700);
        told.push(wait);
        std::thread::sleep(Duration::from_millis(wait));
        kill(child);
        child = Server::begin(keep, &format!("server-{number}"), &[]).child;
    }
    // It may have been killed before it began.
    let _ = asked.join();
    let begun: Value = serde_json::from_str(&keep.ok(&["erase", "--list", "--json"]).out).unwrap();
    if begun.as_array().unwrap().is_empty() {
        keep.ok(&["erase", "--person", ANN, "--yes"]);
    }
    let listed = || keep.ok(&["erase", "--list"]).out;
    for _ in 0..1200 {
        if listed().contains("completed") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(listed().contains("completed"), "after {told:?}: {}", listed());
    signal(&child, "TERM");
    assert!(ended(&mut child, 40).expect("it ends when it is asked to").success());
    check(keep, &format!("after {told:?} ms"));
}

#[test]
fn a_killed_server_completes_an_erasure_on_sqlite() {
    let mut chance = Chance::new();
    for _ in 0..kills() {
        killed(&Keep::sqlite(), &mut chance);
    }
}

#[test]
fn a_killed_server_completes_an_erasure_on_postgres() {
    let mut chance = Chance::new();
    for _ in 0..kills() {
        let Some(url) = postgres::new_database() else { return };
        killed(&Keep::postgres(url), &mut chance);
    }
}
