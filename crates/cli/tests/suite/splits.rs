//! `--split`: several data files, between which no group is divided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::keeping::files_below;
use crate::support::*;

const SPLIT: &str = "train=0.8,validation=0.1,test=0.1";

/// Conversations of so many users, a few of each.
fn histories(place: &Place, name: &str, users: usize) {
    let chats = (0..users * 3).map(|n| {
        let one = with(chat(&format!("c{n}")), "owner", json!(format!("user-{}", n % users)));
        if n % 10 == 9 {
            json!({"id": format!("bad{n}"), "messages": [{"role": "user", "content": "?"}]})
        } else {
            one
        }
    });
    place.file(name, lines(chats));
}

/// The user of a conversation of [`histories`]; the bad ones name none.
fn user_of(id: &str, users: usize) -> Option<usize> {
    id.strip_prefix('c')?.parse::<usize>().ok().map(|number| number % users)
}

/// The ids in each data file of a package.
fn ids_by_output(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, BTreeSet<String>> {
    let receipt: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let split = receipt["split"].clone();
    let outputs = split["outputs"].as_array().unwrap();
    let ids = |file: &Value| {
        let text = String::from_utf8(files[file.as_str().unwrap()].clone()).unwrap();
        let id = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["id"].as_str().unwrap().to_owned()
        };
        text.lines().map(id).collect::<Vec<_>>()
    };
    outputs
        .iter()
        .map(|one| {
            let files = one["files"].as_array().unwrap();
            (one["name"].as_str().unwrap().to_owned(), files.iter().flat_map(ids).collect())
        })
        .collect()
}

#[test]
fn a_split_writes_a_data_file_an_output_and_divides_no_user() {
    let place = Place::new();
    histories(&place, "in.jsonl", 200);
    let ran = place.ok(&[
        "convert",
        "in.jsonl",
        "-o",
        "set",
        "-d",
        "retort",
        "--split",
        SPLIT,
        "--group-by",
        "user",
    ]);
    assert!(ran.err.contains("  validation   "), "{}", ran.err);
    place.ok(&["verify", "set"]);
    let receipt = place.json("set/manifest.json");
    let split = &receipt["split"];
    assert_eq!(
        (&split["group_by"], &split["groups_in_several_outputs"]),
        (&json!("user"), &json!(0))
    );
    let sum = |key: &str| {
        split["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one[key].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(sum("records"), receipt["records"]["written"].as_u64().unwrap());
    assert_eq!(sum("selected"), 600);
    let by_output = ids_by_output(&files_below(&place.path("set")));
    assert_eq!(by_output.keys().collect::<Vec<_>>(), ["test", "train", "validation"]);
    let mut output_of_user = BTreeMap::new();
    for (output, ids) in &by_output {
        assert!(!ids.is_empty(), "{output}");
        for id in ids {
            let Some(user) = user_of(id, 200) else { continue };
            let before = output_of_user.insert(user, output);
            assert!(before.is_none_or(|before| before == output), "{id}");
        }
    }
    let card = String::from_utf8(place.bytes("set/README.md")).unwrap();
    for output in ["train", "validation", "test"] {
        let config = format!("  - split: {output}\n    path: \"conversations-{output}.jsonl\"\n");
        assert!(card.contains(&config), "{card}");
    }
}

#[test]
fn nobody_moves_as_a_dataset_grows() {
    let place = Place::new();
    for (name, users) in [("small", 50), ("large", 500)] {
        let input = format!("{name}.jsonl");
        histories(&place, &input, users);
        place.ok(&[
            "convert",
            &input,
            "-o",
            name,
            "-d",
            "retort",
            "--split",
            SPLIT,
            "--group-by",
            "user",
        ]);
    }
    let ids = |name| ids_by_output(&files_below(&place.path(name)));
    let (small, large) = (ids("small"), ids("large"));
    for (output, ids) in &small {
        for id in ids {
            let Some(user) = user_of(id, 50) else { continue };
            let others = large.iter().filter(|(other, _)| *other != output);
            let moved = others.flat_map(|(_, ids)| ids).any(|id| user_of(id, 500) == Some(user));
            assert!(!moved, "user {user} of {output} moved");
        }
    }
}

#[test]
fn trainers_find_each_output_under_a_name_of_its_own() {
    let place = Place::new();
    histories(&place, "in.jsonl", 100);
    place.ok(&["convert", "in.jsonl", "-o", "set", "--split", "train=0.999999,test=0.000001"]);
    let info = place.json("set/dataset_info.json");
    // No conversation went to the other, so there is no file of it.
    assert_eq!(info.as_object().unwrap().keys().collect::<Vec<_>>(), ["set-train"]);
    assert_eq!(info["set-train"]["file_name"], "conversations-train.jsonl");
    place.ok(&["verify", "set"]);
    place
        .refused(&["convert", "in.jsonl", "-o", "x", "--split", "train=0.9"], "do not add up to 1");
}

#[test]
fn the_store_splits_as_convert_does() {
    let place = Place::new();
    histories(&place, "in.jsonl", 100);
    let options = ["-d", "retort", "--split", SPLIT, "--group-by", "user"];
    place.ok(&[&["convert", "in.jsonl", "-o", "converted"][..], &options].concat());
    place.ok(&["import", "in.jsonl", "-q"]);
    place.ok(&[&["export", "exported"][..], &options].concat());
    place.ok(&["datasets", "verify", "exported"]);
    let converted = ids_by_output(&files_below(&place.path("converted")));
    assert_eq!(ids_by_output(&place.downloaded("exported")), converted);
}
