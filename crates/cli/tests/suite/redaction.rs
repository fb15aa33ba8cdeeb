//! `--redact`: no secret and no personal data gets into any file of a package, in whatever field or encoding it was.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::keeping::files_below;
use crate::support::*;

/// A check digit by which the sum of all digits, of which every second is doubled, is divisible by ten.
fn luhn(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn iban(account: u64) -> String {
    let account = format!("{account:018}");
    // `DE00` behind the account, in digits.
    let rest = format!("{account}131400")
        .bytes()
        .fold(0, |rest, one| (rest * 10 + u64::from(one - b'0')) % 97);
    format!("DE{:02}{account}", 98 - rest)
}

/// Letters and digits that nobody else has.
fn noise(n: u64, count: usize) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(letters[(state >> 33) as usize % letters.len()])
        })
        .collect()
}

/// The kinds of canaries.
const KINDS: u64 = 12;

/// A canary of a kind, and what of it must be nowhere. Parts of keys are joined here, so that nobody who looks for keys
/// finds one in this file.
fn canary(kind: u64, n: u64) -> (String, String) {
    let whole = |text: String| (text.clone(), text);
    let core = |text: String, core: String| (text, core);
    match kind {
        0 => whole(format!("user.{n}@mail{n}.example.org")),
        1 => {
            let n = 1_000_000 + n;
            core(format!("+49 170 {n}"), format!("170 {n}"))
        }
        2 => whole(iban(37_040_044 * 10_000_000_000 + n)),
        3 => whole(luhn(&format!("411111{:09}", n))),
        4 => whole(format!("{:03}-{:02}-{:04}", 100 + n / 90 % 500, 10 + n % 90, 1000 + n % 9000)),
        5 => {
            whole(format!("{}.{}.{}.{}", 81 + n % 20, n / 250 % 250 + 1, n % 250 + 1, 7 + n % 100))
        }
        6 => whole(format!("sk-proj-{}7x9", noise(n, 40))),
        7 => whole(format!("ghp_{}", noise(n, 36))),
        8 => {
            let secret = format!("{}!4x", noise(n, 9));
            core(format!("password: {secret}"), secret)
        }
        9 => {
            let body = noise(n, 40);
            core(format!("eyJhbGciOiJIUzI1NiJ9.eyJ{body}.{}", noise(n + 1, 30)), body)
        }
        10 => {
            let body = noise(n, 48);
            core(
                format!("-----BEGIN PRIVATE {0}-----\n{body}\n-----END PRIVATE {0}-----", "KEY"),
                body,
            )
        }
        _ => {
            let secret = format!("{}8", noise(n, 12));
            core(format!("postgres://app:{secret}@db.internal:5432/app"), secret)
        }
    }
}

fn percent(text: &str) -> String {
    let is_plain = |one: u8| one.is_ascii_alphanumeric() || b"-._~".contains(&one);
    text.bytes()
        .map(|one| if is_plain(one) { char::from(one).to_string() } else { format!("%{one:02X}") })
        .collect()
}

/// Places of a conversation in which a canary can be.
const PLACES: u64 = 14;

/// A conversation with canaries at all places.
fn conversation(n: u64, at: impl Fn(u64) -> String) -> Value {
    json!({
        "id": format!("c{n}: {}", at(0)),
        "title": format!("About {}", at(1)),
        "user": at(2),
        "tags": [at(3)],
        "metadata": {"note": at(4), "list": [{"deep": at(5)}]},
        "messages": [
            {"role": "system", "content": format!("You help {}.", at(6))},
            {"role": "user", "content": format!("Write to {}, please.\nThank you", at(7))},
            {"role": "assistant", "content": format!("I do so. `{}`", at(8)), "tool_calls": [{
                "id": "call_1",
                "type": "function",
                "function": {
                    "name": "send",
                    "arguments": json!({"to": at(9), "more": json!({"q": at(10)}).to_string()}).to_string(),
                },
            }]},
            {"role": "tool", "tool_call_id": "call_1", "content":
                format!("sent: https://example.org/sent?to={}&x=1", percent(&at(11)))},
            {"role": "user", "content":
                format!("the log is {}", STANDARD.encode(format!("log of {} follows", at(12))))},
            {"role": "assistant", "content": format!("Done: {{\"to\": {}}}", json!(at(13)))},
        ],
    })
}

/// Inputs with so many canaries, and what must be nowhere.
fn inputs(place: &Place, conversations: u64) -> Vec<String> {
    let mut cores = Vec::new();
    let mut texts = vec![String::new(); 3];
    for n in 0..conversations {
        let canaries: Vec<(String, String)> =
            (0..PLACES).map(|place| canary((n + place) % KINDS, n * PLACES + place)).collect();
        let line = conversation(n, |place| canaries[place as usize].0.clone()).to_string();
        texts[(n % 3) as usize].push_str(&format!("{line}\n"));
        cores.extend(canaries.into_iter().map(|(_, core)| core));
    }
    // The names of the inputs, of what is passed over, and what cannot be read.
    for (n, text) in texts.into_iter().enumerate() {
        let (name, _) = canary(0, 1_000_000 + n as u64);
        place.file(&format!("in/{name}.jsonl"), format!("{text}{{\"broken\": {name}\n"));
        place.file(&format!("in/of {name} x.md"), "no history");
        cores.push(name);
    }
    cores
}

/// Fails if a text of `cores` is in a file of a folder, as it is or in an encoding.
fn assert_clean(folder: &Path, cores: &[String]) {
    let escaped = |core: &String| json!(core).to_string().trim_matches('"').to_owned();
    let all: Vec<String> =
        cores.iter().flat_map(|core| [core.clone(), escaped(core), percent(core)]).collect();
    let searched = AhoCorasick::new(&all).unwrap();
    let files = files_below(folder);
    assert!(files.len() > 3, "{:?}", files.keys());
    for (name, bytes) in files {
        let found = searched.find(&bytes).map(|found| &all[found.pattern().as_usize()]);
        assert_eq!(found, None, "is in {name}");
    }
}

#[test]
fn of_ten_thousand_canaries_none_passes() {
    let place = Place::new();
    place.file("key", "0123456789abcdef0123456789abcdef\n");
    let conversations = 10_000 / PLACES + 1;
    let cores = inputs(&place, conversations);
    assert!(cores.len() > 10_000);
    let redact = ["--redact", "secrets,pii", "--redact-key", "key", "--findings", "--name", "set"];
    for data_format in ["retort", "standard"] {
        let args = ["convert", "in", "-q", "-d", data_format, "-o", data_format];
        place.ok(&[&args[..], &redact].concat());
        place.ok(&["verify", data_format]);
        assert_clean(&place.path(data_format), &cores);
        let receipt = place.json(&format!("{data_format}/manifest.json"));
        let redaction = &receipt["redaction"];
        assert_eq!(redaction["rules"], "secrets,pii");
        assert_eq!(redaction["found"].as_array().unwrap().len(), 11, "{redaction}");
        let hits: u64 = redaction["found"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["hits"].as_u64().unwrap())
            .sum();
        assert!(hits >= conversations * PLACES, "{redaction}");
        assert_eq!(receipt["conversations"]["written"], json!(conversations));
    }
    // Ids that are masked stay apart.
    let rows = place.rows("retort/conversations.jsonl");
    let ids: HashSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, conversations);
    // Parts make the same bytes, and hold no canary either.
    for part in ["1/3", "3/3", "2/3"] {
        let output = format!("part-{}", &part[..1]);
        let args = ["convert", "in", "-q", "-d", "retort", "-o", &output, "--part", part];
        place.ok(&[&args[..], &redact].concat());
        assert_clean(&place.path(&output), &cores);
        let text = fs::read_to_string(place.path(&output).join("part.json")).unwrap();
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
    place.ok(&["merge", "part-1", "part-2", "part-3", "-o", "merged", "-q"]);
    let whole = files_below(&place.path("retort"));
    assert_eq!(files_below(&place.path("merged")), whole);
}

fn small(place: &Place) {
    let item = |id: &str, text: &str| {
        json!({"id": id, "user": "eve@example.org", "messages": [
            {"role": "user", "content": text}, {"role": "assistant", "content": "Yes."},
        ]})
    };
    place.file(
        "in.jsonl",
        lines([
            item("anna@example.org", "Is anna@example.org of EMP-123456 there?"),
            item("b", "Is Anna@Example.org or ben@example.org there?"),
            item("c", "Nobody"),
        ]),
    );
}

const RULES: &str =
    "[[rule]]\nname = 'staff-number'\nregex = 'EMP-[0-9]{6}'\naction = 'leave-out'\n";

fn said(row: &Value) -> &str {
    row["messages"][0]["content"].as_str().unwrap()
}

#[test]
fn what_is_found_is_masked_given_a_pseudonym_or_left_out() {
    let place = Place::new();
    small(&place);
    place.file("rules.toml", RULES);
    let convert = |output: &str, more: &[&str]| {
        place.ok(&[&["convert", "in.jsonl", "-q", "-o", output, "-d", "standard"], more].concat());
        place.rows(&format!("{output}/conversations.jsonl"))
    };
    let masked = convert("masked", &["--redact", "pii"]);
    assert_eq!(said(&masked[0]), "Is [EMAIL] of EMP-123456 there?");
    assert_eq!(said(&masked[1]), "Is [EMAIL] or [EMAIL] there?");
    let named = convert("named", &["--redact", "pii", "--redact-with", "pseudonym"]);
    let words: Vec<&str> = said(&named[0]).split(' ').chain(said(&named[1]).split(' ')).collect();
    assert!(
        words[1].starts_with("[EMAIL_") && words[1] == words[6] && words[6] != words[8],
        "{words:?}"
    );
    // Another run has another key.
    let again = convert("again", &["--redact", "pii", "--redact-with", "pseudonym"]);
    assert_ne!(said(&again[0]), said(&named[0]));
    let left = convert("left", &["--redact", "rules.toml,pii", "--limit", "2"]);
    assert_eq!(left.len(), 2);
    let rejects = place.rows("left/rejects.jsonl");
    assert_eq!(rejects[0]["reason"], "redacted");
    assert!(rejects[0]["conversation_id"].as_str().unwrap().starts_with("[EMAIL_"), "{rejects:?}");
    let receipt = place.json("left/manifest.json");
    assert_eq!(receipt["redaction"]["own_rules"], json!(["staff-number"]));
    assert_eq!(receipt["options"]["redact"], "pii");
    // Each names its user.
    place.refused(
        &["convert", "in.jsonl", "-o", "none", "--redact", "pii", "--redact-with", "leave-out"],
        "3 left out by a redaction rule",
    );
}

#[test]
fn the_preview_shows_each_hit_without_the_secret() {
    let place = Place::new();
    small(&place);
    let shown = place.ok(&["preview", "in.jsonl", "--redact", "pii"]);
    assert!(shown.err.contains("rounds[0].messages[0].content"), "{}", shown.err);
    assert!(shown.err.contains("Is [EMAIL] of EMP-123456 there?"), "{}", shown.err);
    assert!(!shown.err.contains("anna@") && !shown.out.contains("anna@"), "{}", shown.err);
    let json = place.ok(&["preview", "in.jsonl", "--redact", "pii", "--json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["findings"]["redacted"]["email"]["items"], json!(3), "{json}");
    let hits = json["findings"]["redaction_hits"].as_array().unwrap();
    assert_eq!(hits[0]["rule"], "email");
}

#[test]
fn rules_that_cannot_run_stop_the_export_by_name() {
    let place = Place::new();
    small(&place);
    place.file("bad.toml", "[[rule]]\nname = 'x'\nregex = '('\n");
    place.file("short", "abc");
    let refused = |more: &[&str], words: &str| {
        place.refused(&[&["convert", "in.jsonl", "-o", "x"], more].concat(), words);
    };
    refused(
        &["--redact", "bad.toml"],
        "bad.toml: line 1: rule `x`: the regular expression does not compile",
    );
    refused(&["--redact", "none.toml"], "cannot read `none.toml`: there is no such file");
    refused(&["--redact", "names"], "unknown redaction rules `names`");
    refused(
        &["--redact", "pii", "--redact-key", "short"],
        "a redaction key needs at least 16 bytes",
    );
    refused(&["--redact-key", "short"], "`--redact-key` needs `--redact`");
    refused(&["--redact", "pii", "--part", "1/2"], "need one key");
}

#[test]
fn each_redaction_is_a_finding_and_is_held_against_the_receipt() {
    let place = Place::new();
    small(&place);
    place.ok(&["convert", "in.jsonl", "-o", "set", "--redact", "pii", "--findings"]);
    place.ok(&["verify", "set"]);
    let redacted: Vec<_> = place
        .rows("set/findings.jsonl")
        .into_iter()
        .filter(|line| line["finding"] == "redacted")
        .collect();
    let receipt: Value = serde_json::from_slice(&place.bytes("set/manifest.json")).unwrap();
    let counted = receipt["redaction"]["found"].as_array().unwrap();
    assert!(!counted.is_empty() && !redacted.is_empty(), "{receipt}");
    for one in counted {
        let lines = redacted.iter().filter(|line| line["kind"] == one["rule"]);
        let hits = lines.clone().map(|line| line["count"].as_u64().unwrap_or(1)).sum::<u64>();
        assert_eq!(
            (json!(hits), json!(lines.count())),
            (one["hits"].clone(), one["items"].clone())
        );
    }
}

#[test]
fn the_store_redacts_as_convert_does() {
    let place = Place::new();
    small(&place);
    place.file("rules.toml", RULES.replace("leave-out", "mask"));
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "clean", "-d", "standard", "--redact", "pii,rules.toml"]);
    place.ok(&["datasets", "verify", "clean"]);
    let files = place.downloaded("clean");
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("@example.org") && !text.contains("EMP-1"), "{name}: {text}");
    }
    let rows = rows(&String::from_utf8_lossy(&files["conversations.jsonl"]));
    assert!(rows.iter().any(|row| said(row) == "Is [EMAIL] of [STAFF_NUMBER] there?"), "{rows:?}");
    let receipt: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(receipt["redaction"]["own_rules"], json!(["staff-number"]));
}
