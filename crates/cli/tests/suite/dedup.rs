//! `--dedup`: one of several items that say the same, or almost the same, is kept and named.

use serde_json::{Value, json};

use crate::support::*;

const SYSTEM: &str =
    "You are a careful agent. Follow these long instructions to the letter, always. ";

fn said(id: &str, question: &str, answer: &str) -> Value {
    json!({"id": id, "messages": [
        {"role": "system", "content": SYSTEM.repeat(50)},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]})
}

fn words(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
}

fn inputs(place: &Place) {
    let edited = words(0, 300).replace("w150 ", "other ");
    let items = [
        said("a", "What is Rust?", &words(0, 300)),
        said("b", "what  is RUST?", &words(0, 300)),
        said("c", "What is Rust?", &edited),
        said("d", "What is Go?", &words(1000, 300)),
        said("e", "What is Go?", &words(1000, 300)),
        said("f", "Hello", "Hi"),
        said("g", "Hello", "Hi there"),
    ];
    place.file("in.jsonl", lines(items));
}

/// The lines on duplicates: id, reason and detail.
fn duplicates(rejects: &[u8]) -> Vec<(String, String, String)> {
    let mut found: Vec<_> = rows(&String::from_utf8_lossy(rejects))
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            (text("conversation_id"), text("reason"), text("detail"))
        })
        .collect();
    found.sort();
    found
}

fn expect(near: bool) -> Vec<(String, String, String)> {
    let line = |id: &str, reason: &str, detail: &str| (id.into(), reason.into(), detail.into());
    let mut lines = vec![
        line("b", "duplicate", "it says the same as `a`, which is kept"),
        line("e", "duplicate", "it says the same as `d`, which is kept"),
    ];
    if near {
        let detail = "it is 96 % similar to `a`, which is kept";
        lines.insert(1, line("c", "near-duplicate", detail));
    }
    lines
}

#[test]
fn duplicates_are_left_out_and_name_what_is_kept() {
    let place = Place::new();
    inputs(&place);
    for (dedup, near) in [("exact", false), ("near", true)] {
        for threads in ["1", "4"] {
            let args = ["convert", "in.jsonl", "--force", "-o", dedup, "--dedup", dedup];
            place.ok(&[&args[..], &["--threads", threads]].concat());
            place.ok(&["verify", dedup]);
            let rejects = place.bytes(&format!("{dedup}/rejects.jsonl"));
            assert_eq!(duplicates(&rejects), expect(near));
            let receipt = place.json(&format!("{dedup}/manifest.json"));
            assert_eq!(receipt["options"]["dedup"], dedup);
            assert_eq!(receipt["conversations"]["written"], json!(5 - u64::from(near)));
        }
    }
    // Piped input is read twice, too.
    let args = ["convert", "-", "-o", "piped", "--dedup", "near", "--name", "near"];
    let ran = place.run_on(&args, place.bytes("in.jsonl"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let file = "conversations.jsonl";
    let made = |name: &str| place.bytes(&format!("{name}/{file}"));
    assert_eq!(made("piped"), made("near"));
    let preview = place.ok(&["preview", "in.jsonl", "--dedup", "exact"]);
    assert!(preview.err.contains("2  a duplicate of an item that is kept"), "{}", preview.err);
}

#[test]
fn states_that_another_continues_are_never_what_is_kept() {
    let place = Place::new();
    // The first state of `x` is left out, as another one continues it; so `y` says something that nothing else does.
    let longer = json!({"id": "x", "messages": [
        {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"}, {"role": "assistant", "content": "four"},
    ]});
    let short = |id: &str| {
        json!({"id": id, "messages": [
            {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
        ]})
    };
    place.file("in.jsonl", lines([short("x"), longer, short("y"), short("z")]));
    place.ok(&["convert", "in.jsonl", "-o", "set", "--dedup", "exact"]);
    let found = duplicates(&place.bytes("set/rejects.jsonl"));
    let reasons: Vec<_> = found.iter().map(|(id, reason, _)| (&**id, &**reason)).collect();
    assert_eq!(reasons, [("x", "earlier-state"), ("z", "duplicate")]);
    assert!(found[1].2.contains("`y`"), "{found:?}");
}

/// Answers of a token limit, of a source that says no, that are too long with their instruction, and broken ones: each
/// item says the same as the next, which can be trained on.
fn untrainable(place: &Place) {
    let asked = |id: &str, messages: &[Value]| json!({"id": id, "messages": messages});
    let user = |text: &str| json!({"role": "user", "content": text});
    let answer = |text: &str| json!({"role": "assistant", "content": text});
    let with = |mut message: Value, key: &str, value: Value| {
        message[key] = value;
        message
    };
    let cut = with(answer("one"), "finish_reason", json!("length"));
    let unwanted = with(answer("two"), "weight", json!(0));
    let long = json!({"role": "system", "content": "Be brief. ".repeat(100)});
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}});
    let broken = with(answer("four"), "tool_calls", json!([call]));
    place.file(
        "bad.jsonl",
        lines([
            asked("cut", &[user("1"), cut]),
            asked("whole", &[user("1"), answer("one")]),
            asked("unwanted", &[user("2"), unwanted]),
            asked("wanted", &[user("2"), answer("two")]),
            asked("long", &[long, user("3"), answer("three")]),
            asked("short", &[user("3"), answer("three")]),
            asked("broken", &[user("4"), broken.clone()]),
            asked("broken too", &[user("4"), broken]),
        ]),
    );
}

const UNTRAINABLE: [(&str, &str); 5] = [
    ("broken", "arguments-not-json"),
    ("broken too", "arguments-not-json"),
    ("cut", "cut-off-answer"),
    ("long", "too-long"),
    ("unwanted", "not-to-learn"),
];

#[test]
fn what_is_not_written_makes_no_other_item_a_duplicate() {
    let place = Place::new();
    untrainable(&place);
    let made = |name: &str, rows: &[Value], rejects: &[u8]| {
        let mut asked: Vec<_> = rows.iter().map(|row| &row["messages"][0]["content"]).collect();
        asked.sort_by_key(|text| text.as_str());
        assert_eq!(asked, ["1", "2", "3"], "{name}");
        let found = duplicates(rejects);
        let reasons: Vec<_> = found.iter().map(|(id, reason, _)| (&**id, &**reason)).collect();
        assert_eq!(reasons, UNTRAINABLE, "{name}");
    };
    let options = ["-d", "chat", "--max-characters", "500", "--dedup"];
    for dedup in ["exact", "near"] {
        place.ok(&[&["convert", "bad.jsonl", "-o", dedup], &options[..], &[dedup]].concat());
        let rows = place.rows(&format!("{dedup}/conversations.jsonl"));
        made(dedup, &rows, &place.bytes(&format!("{dedup}/rejects.jsonl")));
    }
    place.ok(&["import", "bad.jsonl", "-q"]);
    place.ok(&[&["export", "stored"], &options[..], &["exact"]].concat());
    let files = place.downloaded("stored");
    let rows = rows(&String::from_utf8_lossy(&files["conversations.jsonl"]));
    made("stored", &rows, &files["rejects.jsonl"]);
}

#[test]
fn the_store_leaves_out_the_same() {
    let place = Place::new();
    inputs(&place);
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "near", "--dedup", "near"]);
    place.ok(&["datasets", "verify", "near"]);
    let files = place.downloaded("near");
    let found = duplicates(&files["rejects.jsonl"]);
    let left_out: Vec<_> = found.iter().map(|(_, reason, _)| &**reason).collect();
    assert_eq!(left_out, ["duplicate", "near-duplicate", "duplicate"]);
}

#[test]
fn what_cannot_be_decided_is_refused_by_name() {
    let place = Place::new();
    inputs(&place);
    let refused = |more: &[&str], words: &str| {
        place.refused(&[&["convert", "in.jsonl", "-o", "x"], more].concat(), words);
    };
    refused(&["--dedup", "exact", "--part", "1/2"], "cannot be used with `--part`");
    refused(
        &["--dedup", "near", "--limit", "2"],
        "`--dedup near` may keep an item that comes after",
    );
    place.ok(&["convert", "in.jsonl", "-o", "limited", "--dedup", "exact", "--limit", "2"]);
    let rows = place.rows("limited/conversations.jsonl");
    assert_eq!(ids(&rows), ["a", "c"]);
}
