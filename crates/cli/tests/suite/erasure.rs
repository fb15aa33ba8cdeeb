//! `retort erase`: everything of a person goes, and everything else stays as it was.

use serde_json::{Value, json};

use crate::support::keeping::{files_below, sha256};
use crate::support::*;

const ANN: &str = "ann@example.org";

/// Conversations of two people, some in turn.
fn stored() -> Place {
    let place = Place::new();
    let owner = |n: usize| if n.is_multiple_of(3) { ANN } else { "bob@example.org" };
    let chats = (0..30).map(|n| with(chat(&format!("c{n:02}")), "owner", json!(owner(n))));
    place.file("in.jsonl", lines(chats));
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "all", "-q"]);
    place.ok(&["export", "hers", "-q", "--owner", ANN]);
    place.ok(&["export", "his", "-q", "--owner", "bob@example.org"]);
    place
}

fn rows_of(place: &Place, dataset: &str) -> Vec<String> {
    let files = place.downloaded(dataset);
    let text = String::from_utf8(files["conversations.jsonl"].clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn everything_of_a_person_is_erased_and_other_rows_stay_as_they_were() {
    let place = stored();
    let (all, his) = (rows_of(&place, "all"), place.downloaded("his"));
    let dry = place.ok(&["erase", "--person", ANN, "--dry-run"]);
    for line in [
        "to erase   10 conversations, 0 runs, 0 documents",
        "to rebuild `all` of local (10 items of 30)",
        "to delete  `hers` of local (10 items of 10)",
    ] {
        assert!(dry.err.contains(line), "{line:?} is not in:\n{}", dry.err);
    }
    assert!(!dry.err.contains("`his`") && rows_of(&place, "all") == all);
    place.refused(&["erase", "--person", ANN], "confirm with `--yes`");
    place.refused(
        &["erase", "--person", "nobody", "--yes"],
        "nothing in this project belongs to `nobody`",
    );
    let ran = place.ok(&["erase", "--person", ANN, "--yes", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&told["conversations"], &told["datasets"][0]["action"]),
        (&json!(10), &json!("delete"))
    );
    assert_eq!(told["rebuilt_as"].as_array().unwrap().len(), 1);
    assert!(!ran.out.contains(ANN), "{}", ran.out);
    let is_hers = |row: &String| {
        let row: Value = serde_json::from_str(row).unwrap();
        row["conversation_id"].as_str().unwrap()[1..].parse::<usize>().unwrap().is_multiple_of(3)
    };
    let kept: Vec<String> = all.iter().filter(|row| !is_hers(row)).cloned().collect();
    assert_eq!((kept.len(), rows_of(&place, "all")), (20, kept.clone()));
    assert_eq!(place.downloaded("his"), his);
    assert!(!place.ok(&["datasets", "list"]).out.contains("hers"));
    place.ok(&["datasets", "verify", "all"]);
    // Nothing of it is found in the files of the store.
    place.file(
        "texts",
        (0..30).step_by(3).map(|n| format!("question c{n:02}\n")).collect::<String>(),
    );
    // What others have left in the folder for temporary files is searched as well.
    let ran = place.run(&["doctor", "--erased", "texts", "--json"]);
    let searched: Value = serde_json::from_str(&ran.out).unwrap();
    let found = searched["found"].as_array().unwrap().iter();
    let places: Vec<_> = found.map(|one| one["place"].as_str().unwrap()).collect();
    assert!(places.iter().all(|place| place.contains("/retort-tmp-")), "{places:?}");
    place.refused(&["erase", "--person", ANN, "--yes"], "nothing in this project belongs to");
}

/// What must be found nowhere. It is in everything of hers.
const CANARY: &str = "zqkanarienvogel";

/// Conversations of two people; hers have the canary in ids, titles, tags, texts, calls and metadata.
fn with_canaries() -> (Place, Vec<Value>) {
    let place = Place::new();
    let chats: Vec<Value> = (0..24)
        .map(|n| {
            let is_hers = n % 3 == 0;
            let word = if is_hers { CANARY } else { "sparrow" };
            let call = json!({"name": "look", "arguments": format!("{{\"of\":\"{word}\"}}")});
            json!({
                // The audit log keeps the ids of what was shared.
                "id": if n == 3 { "shared".into() } else { format!("{word}-{n}") },
                "owner": if is_hers { ANN } else { "bob@example.org" },
                "title": format!("about {word} {n}"),
                "tags": [word],
                "metadata": {"note": word},
                "messages": [
                    {"role": "user", "content": format!("What is a {word} {n}?")},
                    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": call}]},
                    {"role": "tool", "tool_call_id": "1", "content": format!("{word} found")},
                    {"role": "assistant", "content": format!("A {word} is a bird.")},
                ],
            })
        })
        .collect();
    place.file("in.jsonl", lines(chats.iter().cloned()));
    place.ok(&["import", "in.jsonl", "-q"]);
    (place, chats)
}

/// The files below the folder of the store that hold a text.
fn holding(place: &Place, text: &str) -> Vec<String> {
    let found = files_below(&place.path("data")).into_iter();
    found
        .filter(|(_, bytes)| bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn nothing_of_a_person_is_left_in_any_file_of_the_store() {
    let (place, _) = with_canaries();
    place.ok(&["export", "all", "-q", "-d", "retort"]);
    place.ok(&["export", "hers", "-q", "--owner", ANN, "-d", "retort"]);
    place.ok(&[
        "export",
        "both",
        "-q",
        "--owner",
        ANN,
        "--owner",
        "bob@example.org",
        "-d",
        "retort",
    ]);
    place.ok(&["share", "make", "shared"]);
    let before = rows_of(&place, "all");
    assert!(!holding(&place, CANARY).is_empty() && !holding(&place, ANN).is_empty());
    let ran = place.ok(&["erase", "--person", ANN, "--yes"]);
    assert!(ran.err.contains("8 conversations, 0 runs, 0 documents, 1 public link"), "{}", ran.err);
    let kept: Vec<_> = before.into_iter().filter(|row| !row.contains(CANARY)).collect();
    assert_eq!((kept.len(), rows_of(&place, "all")), (16, kept.clone()));
    assert_eq!(rows_of(&place, "both"), kept);
    assert!(place.ok(&["share", "list"]).out.trim().is_empty());
    for text in [ANN, CANARY] {
        assert_eq!(holding(&place, text), [] as [String; 0]);
    }
    place.file("texts", format!("{CANARY}\n"));
    let ran = place.run(&["doctor", "--erased", "texts", "--json"]);
    let searched: Value = serde_json::from_str(&ran.out).unwrap();
    let found = searched["found"].as_array().unwrap().iter();
    let places: Vec<_> = found.map(|one| one["place"].as_str().unwrap()).collect();
    assert!(places.iter().all(|place| place.contains("/retort-tmp-")), "{places:?}");
}

#[test]
fn what_was_erased_does_not_come_back_by_an_import_until_that_is_lifted() {
    let (place, chats) = with_canaries();
    place.ok(&["erase", "--person", ANN, "--yes", "-q"]);
    let erased = |args: &[&str]| {
        let ran = place.ok(&[&["import", "--json"], args].concat());
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert!(!ran.out.contains(CANARY) && !ran.out.contains(ANN), "{}", ran.out);
        (told["erased"].as_u64().unwrap_or(0), told["new"].as_u64().unwrap(), ran.err)
    };
    let (number, new, told) = erased(&["in.jsonl"]);
    assert_eq!((number, new), (8, 0));
    assert!(
        told.contains(
            "erased     8 conversations, left out because `retort erase` erased it or its owner"
        ),
        "{told}"
    );
    // Under other ids they still are hers; without an owner they have the ids of what was erased.
    let (number, new, _) = erased(&["in.jsonl", "--namespace", "backup"]);
    assert_eq!((number, new), (8, 16));
    let unowned = chats.iter().map(|chat| with(chat.clone(), "owner", Value::Null));
    place.file("unowned.jsonl", lines(unowned));
    assert_eq!(erased(&["unowned.jsonl", "--dry-run"]).0, 8);
    assert_eq!(erased(&["unowned.jsonl"]).0, 8);
    // Another person's conversation may have one of the ids.
    let other = with(chats[0].clone(), "owner", json!("carl@example.org"));
    place.file("other.jsonl", lines([other]));
    let (number, new, _) = erased(&["other.jsonl"]);
    assert_eq!((number, new), (0, 1));
    place.ok(&["erase", "--person", ANN, "--lift"]);
    place.refused(&["erase", "--person", ANN, "--lift"], "no completed erasure");
    place.file("hers.jsonl", lines([chats[3].clone()]));
    let (number, new, _) = erased(&["hers.jsonl"]);
    assert_eq!((number, new), (0, 1));
}

#[test]
fn an_erasure_has_a_receipt_that_only_the_key_of_the_store_signed() {
    let (place, _) = with_canaries();
    place.ok(&["export", "all", "-q"]);
    place.ok(&["export", "hers", "-q", "--owner", ANN]);
    let ran = place.ok(&["erase", "--person", ANN, "--yes", "--json"]);
    let id = serde_json::from_str::<Value>(&ran.out).unwrap()["erasure"].to_string();
    let receipt = place.ok(&["erase", "--receipt", &id]).out;
    assert!(!receipt.contains(ANN));
    place.file("receipt.json", &receipt);
    place.file("key.pem", place.ok(&["erase", "--public-key"]).out);
    let told = place.ok(&["verify", "receipt.json", "--key", "key.pem"]);
    assert!(told.err.contains("OK: signed by"), "{}", told.err);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["erased"]["conversations"], 8);
    let datasets = told["datasets"].as_array().unwrap();
    let actions: Vec<_> = datasets.iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["deleted", "rebuilt"]);
    let data = place.downloaded("all")["conversations.jsonl"].clone();
    let after = datasets[1]["after"].as_array().unwrap();
    let listed = after.iter().find(|file| file["path"] == "conversations.jsonl").unwrap();
    assert_eq!((listed["records"].as_u64(), &listed["sha256"]), (Some(16), &json!(sha256(&data))));
    assert!(!told.to_string().contains(ANN) && !told.to_string().contains(CANARY), "{told}");
    // Neither another receipt nor another key passes.
    let ran = place.ok(&["erase", "--list"]);
    assert!(
        ran.out.contains("completed") && ran.out.contains("8 items, 2 datasets"),
        "{}",
        ran.out
    );
    let mut envelope: Value = serde_json::from_str(&receipt).unwrap();
    let payload = envelope["payload"].as_str().unwrap().replacen('e', "f", 1);
    envelope["payload"] = json!(payload);
    place.file("changed.json", envelope.to_string());
    let ran = place.run(&["verify", "changed.json", "--key", "key.pem"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("NOT SIGNED"), "{}", ran.err);
}
