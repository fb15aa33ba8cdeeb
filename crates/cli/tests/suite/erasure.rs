//! `retort erase`: everything of a person goes, and everything else stays as it was.

use serde_json::{Value, json};

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
    place.refused(&["erase", "--person", "nobody", "--yes"], "there is nothing of `nobody`");
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
    place.refused(&["erase", "--person", ANN, "--yes"], "there is nothing of");
}
