//! `--split`: several data files, between which no group is divided.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

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

/// Texts of families of near copies: each is a chain of edits, of which neighbours are alike and the ends are not.
fn copies(
    place: &Place,
    name: &str,
    families: std::ops::Range<usize>,
    members: std::ops::Range<usize>,
) {
    let chats = families.flat_map(|family| {
        members.clone().map(move |member| {
            let words: Vec<String> = (0..200)
                .map(|at| match at < member * 4 {
                    true => format!("edit{family}x{at}"),
                    false => format!("word{family}x{at}"),
                })
                .collect();
            json!({"id": format!("f{family}m{member}"), "messages": [
                {"role": "user", "content": "Go on."},
                {"role": "assistant", "content": words.join(" ")},
            ]})
        })
    });
    place.file(name, lines(chats));
}

/// The shingles of five words that an item of [`copies`] says, as hashes.
fn shingles(row: &Value) -> BTreeSet<u64> {
    let mut words = Vec::new();
    for turn in row["messages"].as_array().unwrap() {
        words.push(format!("\n{}", turn["role"].as_str().unwrap()));
        let text = turn["content"].as_str().unwrap().to_lowercase();
        words.extend(text.split_whitespace().map(str::to_owned));
    }
    let hash = |five: &[String]| {
        let mut hasher = DefaultHasher::new();
        five.hash(&mut hasher);
        hasher.finish()
    };
    words.windows(5).map(hash).collect()
}

/// Pairs of items that are at least 0.9 similar and in different outputs.
fn pairs_across(inputs: &str, by_output: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let output =
        |id: &str| by_output.iter().find(|(_, ids)| ids.contains(id)).map(|(name, _)| name);
    let rows = rows(inputs);
    let sets: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((output(row["id"].as_str().unwrap())?, shingles(row))))
        .collect();
    let mut across = 0;
    for (at, (one, set)) in sets.iter().enumerate() {
        for (_, others) in sets.iter().skip(at + 1).filter(|(other, _)| other != one) {
            // Sets that have nothing of the first few in common are not alike: a tenth may differ.
            if set.iter().take(set.len() / 5).all(|one| !others.contains(one)) {
                continue;
            }
            let shared = set.iter().filter(|one| others.contains(one)).count();
            let all = set.len() + others.len() - shared;
            across += usize::from(shared * 10 >= all * 9);
        }
    }
    across
}

fn text(place: &Place, name: &str) -> String {
    String::from_utf8(place.bytes(name)).unwrap()
}

#[test]
fn near_duplicates_fall_in_one_output_and_nobody_moves_as_a_dataset_grows() {
    let place = Place::new();
    copies(&place, "some.jsonl", 0..20, 0..2);
    copies(&place, "all.jsonl", 0..80, 0..5);
    let split = "train=0.5,validation=0.25,test=0.25";
    let args = |input: &'static str, out: &'static str| {
        ["convert", input, "--to", "retort", "-q", "--split", split, "-o", out]
    };
    place.ok(&args("all.jsonl", "loose"));
    let loose = ids_by_output(&files_below(&place.path("loose")));
    assert!(pairs_across(&text(&place, "all.jsonl"), &loose) > 50, "the test has no pairs");
    let by = ["--group-by", "duplicates"];
    place.ok(&[&args("some.jsonl", "before")[..], &by].concat());
    let before = ids_by_output(&files_below(&place.path("before")));
    assert_eq!(pairs_across(&text(&place, "some.jsonl"), &before), 0);
    let from = ["--group-by", "duplicates", "--split-from", "before"];
    let mut made = Vec::new();
    for threads in ["1", "4"] {
        place
            .ok(&[&args("all.jsonl", "after")[..], &from, &["--force", "--threads", threads]]
                .concat());
        made.push(files_below(&place.path("after")));
    }
    assert!(made[0] == made[1]);
    place.ok(&["verify", "after"]);
    let after = ids_by_output(&made[0]);
    assert_eq!(pairs_across(&text(&place, "all.jsonl"), &after), 0);
    for (output, ids) in &before {
        assert!(ids.is_subset(&after[output]), "{output}");
    }
    // Members of one family are linked by others, so all of them are together.
    for family in 0..80 {
        let of =
            |ids: &BTreeSet<String>| ids.iter().any(|id| id.starts_with(&format!("f{family}m")));
        assert_eq!(after.values().filter(|ids| of(ids)).count(), 1, "{family}");
    }
    let receipt = place.json("after/manifest.json");
    assert_eq!(receipt["split"]["group_by"], "duplicates");
    assert_eq!(receipt["split"]["groups_in_several_outputs"], 0);
    assert!(receipt["split"]["from_sha256"].is_string());
    // With the same items again, nothing changes.
    place.ok(&[
        &args("all.jsonl", "again")[..],
        &["--group-by", "duplicates", "--split-from", "after", "--name", "after"],
    ]
    .concat());
    assert_eq!(ids_by_output(&files_below(&place.path("again"))), after);
}

#[test]
fn new_items_that_would_link_two_outputs_are_left_out() {
    let place = Place::new();
    // The ends of a chain, which are not alike, and what is between them.
    copies(&place, "ends.jsonl", 0..30, 0..1);
    let ends = text(&place, "ends.jsonl");
    copies(&place, "far.jsonl", 0..30, 6..7);
    let far = text(&place, "far.jsonl");
    place.file("apart.jsonl", format!("{ends}{far}"));
    copies(&place, "all.jsonl", 0..30, 0..7);
    let split = "train=0.5,test=0.5";
    let args = ["--to", "retort", "-q", "--split", split, "--group-by", "duplicates"];
    place.ok(&[&["convert", "apart.jsonl", "-o", "before"], &args[..]].concat());
    place
        .ok(&[&["convert", "all.jsonl", "-o", "after", "--split-from", "before"], &args[..]]
            .concat());
    let [before, after] =
        ["before", "after"].map(|name| ids_by_output(&files_below(&place.path(name))));
    for (output, ids) in &before {
        assert!(ids.is_subset(&after[output]), "{output}");
    }
    assert_eq!(pairs_across(&text(&place, "all.jsonl"), &after), 0);
    let receipt = place.json("after/manifest.json");
    assert_eq!(receipt["split"]["groups_in_several_outputs"], 0);
    let rejects = text(&place, "after/rejects.jsonl");
    assert!(rejects.contains("links-outputs"), "{rejects}");
}

#[test]
fn a_user_stays_where_they_were_whatever_the_shares() {
    let place = Place::new();
    let of_users = |name: &str, users: usize| {
        let owned =
            |n: usize| with(chat(&format!("c{n}")), "owner", json!(format!("user-{}", n / 3)));
        place.file(name, lines((0..users * 3).map(owned)));
    };
    of_users("some.jsonl", 40);
    of_users("all.jsonl", 400);
    let convert = |input: &str, out: &str, split: &str, more: &[&str]| {
        let args = [
            "convert",
            input,
            "--to",
            "retort",
            "-q",
            "-o",
            out,
            "--split",
            split,
            "--group-by",
            "user",
        ];
        place.ok(&[&args[..], more].concat());
        ids_by_output(&files_below(&place.path(out)))
    };
    let before = convert("some.jsonl", "before", SPLIT, &[]);
    // Where ids stand apart from the rows, they count as well.
    place.ok(&[
        "convert",
        "some.jsonl",
        "--to",
        "openai",
        "-q",
        "-o",
        "apart",
        "--split",
        SPLIT,
        "--group-by",
        "user",
    ]);
    let shares = "train=0.1,validation=0.1,test=0.8";
    let after = convert("all.jsonl", "after", shares, &["--split-from", "apart"]);
    let mut moved = 0;
    for (output, ids) in &before {
        moved += ids.difference(&after[output]).count();
    }
    assert_eq!(moved, 0);
    assert_eq!(place.json("after/manifest.json")["split"]["groups_in_several_outputs"], 0);
    let refused = |more: &[&str], words: &str| {
        let args =
            ["convert", "all.jsonl", "--to", "retort", "-q", "-o", "x", "--split-from", "before"];
        place.refused(&[&args[..], more].concat(), words);
    };
    refused(&["--group-by", "user"], "this dataset has the output `train`, and `--split` does not");
    refused(&["--split", SPLIT], "this dataset is split by `user`");
    refused(&["--split", "a=1", "--group-by", "user"], "this dataset has the output `train`");
    refused(
        &["--split", SPLIT, "--group-by", "user", "--part", "1/2"],
        "cannot be used with `--part`",
    );
    refused(
        &["--split", SPLIT, "--group-by", "user", "--limit", "3"],
        "cannot be used with `--limit`",
    );
}

#[test]
fn a_dataset_of_a_store_grows_as_a_package_does() {
    let place = Place::new();
    copies(&place, "some.jsonl", 0..40, 0..2);
    copies(&place, "all.jsonl", 0..40, 0..5);
    let export = |name: &str, more: &[&str]| {
        let args =
            ["export", name, "-q", "--to", "retort", "--split", SPLIT, "--group-by", "duplicates"];
        place.ok(&[&args[..], more].concat());
        ids_by_output(&place.downloaded(name))
    };
    place.ok(&["import", "some.jsonl", "-q"]);
    let before = export("before", &[]);
    place.ok(&["import", "all.jsonl", "-q"]);
    let after = export("after", &["--split-from", "before"]);
    assert_eq!(pairs_across(&text(&place, "all.jsonl"), &after), 0);
    for (output, ids) in &before {
        assert!(ids.is_subset(&after[output]), "{output}");
    }
    place.ok(&["datasets", "verify", "after"]);
    place.refused(&["export", "x", "-q", "--split", SPLIT, "--split-from", "nothing"], "nothing");
}
