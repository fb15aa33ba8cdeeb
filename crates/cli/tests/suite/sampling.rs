//! `--sample` and `--balance`: the same choice in any number of threads and parts, in files and in the store.

use serde_json::{Value, json};

use crate::support::*;

/// So many conversations, of which every fourth is rated bad and every second of those left good.
fn histories(place: &Place, count: usize) {
    let chats = (0..count).map(|n| {
        let rating = match n % 4 {
            0 => json!({"rating": -1}),
            1 | 2 => json!({"rating": 1}),
            _ => Value::Null,
        };
        let mut one = chat(&format!("c{n}"));
        one["messages"][0]["content"] = json!(format!("question {n}"));
        one["messages"][1]["feedback"] = rating;
        with(one, "owner", json!(format!("user-{}", n % 3)))
    });
    place.file("in.jsonl", lines(chats));
}

/// The ids of rows in the format `retort`.
fn ids_of(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn convert(place: &Place, output: &str, more: &[&str]) -> Vec<String> {
    let args = ["convert", "in.jsonl", "--force", "-d", "retort", "-o", output];
    place.ok(&[&args[..], more].concat());
    place.ok(&["verify", output]);
    ids_of(&place.rows(&format!("{output}/conversations.jsonl")))
}

#[test]
fn a_sample_is_the_same_in_any_number_of_threads_and_counted_in_the_receipt() {
    let place = Place::new();
    histories(&place, 2000);
    let one = convert(&place, "one", &["--sample", "50", "--threads", "1"]);
    assert_eq!(one.len(), 50);
    assert_eq!(convert(&place, "four", &["--sample", "50", "--threads", "4"]), one);
    assert_ne!(convert(&place, "other", &["--sample", "50", "--seed", "1"]), one);
    let receipt = place.json("one/manifest.json");
    assert_eq!(receipt["options"]["sample"], "50");
    assert_eq!(receipt["options"]["seed"], "0");
    assert_eq!(receipt["selection"]["not_sampled"], 1950);
    assert_eq!(receipt["read"]["items"], 2000);
    assert_eq!(receipt["conversations"]["selected"], 50);
    assert!(!place.path("one/rejects.jsonl").exists());
    // A larger sample has all of the smaller one.
    let larger = convert(&place, "larger", &["--sample", "500"]);
    assert!(larger.len() == 500 && one.iter().all(|id| larger.contains(id)));
}

#[test]
fn duplicates_and_what_the_filter_leaves_out_take_nobodys_place_in_a_sample() {
    let place = Place::new();
    histories(&place, 200);
    let again = String::from_utf8(place.bytes("in.jsonl")).unwrap();
    place.file("in.jsonl", format!("{again}{}", again.replace("\"id\":\"c", "\"id\":\"d")));
    let args = ["--sample", "30", "--dedup", "exact", "--owner", "user-1"];
    let found = convert(&place, "set", &args);
    assert_eq!(found.len(), 30);
    assert!(found.iter().all(|id| id.starts_with('c')), "{found:?}");
    let receipt = place.json("set/manifest.json");
    let left_out = &receipt["conversations"]["left_out_by_reason"][0];
    assert_eq!((&left_out["kind"], &left_out["count"]), (&json!("duplicate"), &json!(67)));
    assert_eq!(receipt["selection"]["not_sampled"], 67 - 30);
}

#[test]
fn a_share_is_the_same_in_parts_and_a_number_is_refused_in_them() {
    let place = Place::new();
    histories(&place, 2000);
    let whole = convert(&place, "whole", &["--sample", "10%"]);
    assert!((150..250).contains(&whole.len()), "{}", whole.len());
    let part = |number: &str| {
        let args = ["convert", "in.jsonl", "-d", "retort", "--sample", "10%", "--name", "whole"];
        let output = format!("part-{number}");
        place.ok(&[&args[..], &["--part", &format!("{number}/3"), "-o", &output]].concat());
        output
    };
    let parts = ["1", "2", "3"].map(part);
    place.ok(&["merge", &parts[0], &parts[1], &parts[2], "-o", "merged"]);
    for file in ["conversations.jsonl", "manifest.json"] {
        let of = |package: &str| place.bytes(&format!("{package}/{file}"));
        assert!(of("merged") == of("whole"), "{file}");
    }
    let args = ["convert", "in.jsonl", "-o", "x", "--part", "1/2"];
    place.refused(&[&args[..], &["--sample", "10"]].concat(), "use a share such as `--sample 5%`");
    place.refused(&[&args[..], &["--balance", "rating"]].concat(), "use a share");
}

#[test]
fn balance_writes_as_many_of_each_value() {
    let place = Place::new();
    histories(&place, 400);
    let count = |found: &[String], rest: &[usize]| {
        let number = |id: &String| id[1..].parse::<usize>().unwrap() % 4;
        found.iter().filter(|id| rest.contains(&number(id))).count()
    };
    let found = convert(&place, "set", &["--balance", "rating"]);
    assert_eq!([&[0][..], &[1, 2], &[3]].map(|rest| count(&found, rest)), [100, 100, 100]);
    let found = convert(&place, "set", &["--balance", "rating", "--sample", "31"]);
    assert_eq!([&[0][..], &[1, 2], &[3]].map(|rest| count(&found, rest)), [10, 10, 10]);
    let found = convert(&place, "set", &["--sample", "40", "--sample-by", "rating"]);
    assert_eq!([&[0][..], &[1, 2], &[3]].map(|rest| count(&found, rest)), [10, 20, 10]);
    let args = ["convert", "in.jsonl", "-o", "x", "--sample-by", "rating"];
    place.refused(&args, "`--sample-by` needs `--sample` with a number");
}

#[test]
fn the_store_samples_as_convert_does_and_a_rebuilt_dataset_keeps_its_other_rows() {
    let place = Place::new();
    histories(&place, 300);
    let mut expected = convert(&place, "files", &["--sample", "20"]);
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&["export", "few", "-d", "retort", "--sample", "20"]);
    let of_store = |name: &str| {
        let files = place.downloaded(name);
        let text = String::from_utf8(files["conversations.jsonl"].clone()).unwrap();
        let receipt: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        (text.lines().map(str::to_owned).collect::<Vec<_>>(), receipt)
    };
    let (before, receipt) = of_store("few");
    assert_eq!(receipt["selection"]["not_sampled"], 280);
    let mut found = ids_of(&rows(&before.join("\n")));
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let trace = |id: &str| place.ok(&["trace", id]).out;
    let (inside, outside) = (&found[0], (0..300).map(|n| format!("c{n}")));
    let outside = outside.into_iter().find(|id| !found.contains(id)).unwrap();
    assert!(trace(inside).contains("few") && !trace(&outside).contains("few"));
    place.ok(&["datasets", "rebuild", "few", "--without", inside, "--yes"]);
    let (after, receipt) = of_store("few");
    let kept: Vec<_> =
        before.into_iter().filter(|row| !row.contains(&format!("\"{inside}\""))).collect();
    assert_eq!(after, kept);
    assert_eq!(receipt["selection"]["sampled"]["sample"], "20");
}
