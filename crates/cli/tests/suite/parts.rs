//! An export in parts: whatever their number, order and grouping, they merge to the package of one run.

use std::fs;
use std::path::Path;

use crate::support::keeping::{Chance, files_below, history, runs};
use crate::support::*;
use serde_json::json;

/// Inputs of every kind that is cut in a way of its own: long and short files, packed ones, streams with faults, files
/// that are not read, and items that need something that only others have.
fn write_inputs(place: &Place) {
    let text = history(500, 3);
    let (long, rest) = text.split_at(text.len() / 2);
    let cut = rest.find('\n').unwrap() + 1;
    place.file("in/a.jsonl", format!("{long}{}", &rest[..cut]));
    place.file("in/b.jsonl.gz", gzip(&rest.as_bytes()[cut..]));
    place.file("in/c/empty.jsonl", "");
    place.file("in/c/broken.jsonl", format!("{}{{\"id\": \n{}", chats(5), chats(3)));
    let list: Vec<_> = (0..300).map(|n| long_chat(&format!("l{n}"), 2000)).collect();
    place.file("in/d.json", json!(list).to_string());
    let nameless: Vec<_> =
        (0..40).map(|n| json!({"messages": chat(&format!("{}", n % 7))["messages"]})).collect();
    let entries = [("x.jsonl", lines(nameless.clone())), ("notes.txt", "no".into())];
    let entries: Vec<_> = entries.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    place.file("in/e.zip", zip(&entries));
    place.file("in/f.txt", "a poem");
    place.file("in/g.jsonl.gz", &gzip(chats(50).as_bytes())[..60]);
    // What no row before has, and what a file of ids and the names of tools are beside.
    let late = (0..60).map(|n| {
        let late = with(long_chat(&format!("t{n}"), 3000), "tags", json!([format!("tag {n}")]));
        with(late, "model", json!("late"))
    });
    place.file("in/h.jsonl", lines(late.chain(nameless)));
}

struct Parts<'p> {
    place: &'p Place,
    options: &'p [&'p str],
    count: u64,
}

impl Parts<'_> {
    fn args<'a>(&'a self, part: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let fixed = ["convert", "in", "-q", "--name", "set", "--part", part, "-o", output];
        [&fixed[..], self.options, more].concat()
    }

    /// Makes all parts, in any order, some of them twice and some after one that was killed.
    fn make(&self, chance: &mut Chance, more: &[&str]) -> Vec<String> {
        let mut left: Vec<u64> = (1..=self.count).collect();
        let mut made = Vec::new();
        while !left.is_empty() {
            let number = left.swap_remove(chance.below(left.len() as u64) as usize);
            let (part, output) = (format!("{number}/{}", self.count), format!("part-{number}"));
            let force = [more, &["--force"]].concat();
            if chance.below(4) == 0 {
                let mut child =
                    self.place.command(&self.args(&part, &output, &force)).spawn().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(chance.below(60)));
                let _ = child.kill();
                child.wait().unwrap();
            }
            self.place.ok(&self.args(&part, &output, &force));
            if chance.below(4) == 0 {
                let again = format!("again-{number}");
                self.place.ok(&self.args(&part, &again, &force));
                made.push(again);
            }
            made.push(output);
        }
        made
    }

    /// Merges the parts in any grouping: some of them first, until few are left.
    fn merge(&self, chance: &mut Chance, mut parts: Vec<String>, output: &str) -> Ran {
        for group in 0.. {
            if parts.len() < 4 || chance.below(4) == 0 {
                break;
            }
            let some: Vec<String> = (0..1 + chance.below(parts.len() as u64 / 2))
                .map(|_| parts.swap_remove(chance.below(parts.len() as u64) as usize))
                .collect();
            let merged = format!("group-{group}");
            let some: Vec<&str> = some.iter().map(|name| &**name).collect();
            let fixed = ["merge", "-q", "--partial", "--force", "-o", &merged];
            self.place.ok(&[&fixed[..], &some].concat());
            parts.push(merged);
        }
        let parts: Vec<&str> = parts.iter().map(|name| &**name).collect();
        self.place.run(&[&["merge", "-q", "--force", "-o", output], &parts[..]].concat())
    }

    /// Makes the package by way of the parts, those again that have ids of others.
    fn package(&self, chance: &mut Chance, output: &str) {
        let parts = self.make(chance, &[]);
        let mut ran = self.merge(chance, parts, output);
        if ran.code == Some(1) && ran.err.contains("ids are repeated in several parts") {
            let repeats = format!("{output}.repeats");
            let parts = self.make(chance, &["--repeats", &repeats]);
            ran = self.merge(chance, parts, output);
        }
        assert_eq!(ran.code, Some(0), "{} parts: {}", self.count, ran.err);
    }
}

fn assert_same_files(one: &Path, other: &Path, what: &str) {
    let (one, other) = (files_below(one), files_below(other));
    assert!(one.keys().eq(other.keys()), "{what}: {:?} and {:?}", one.keys(), other.keys());
    for ((path, bytes), others) in one.iter().zip(other.values()) {
        if bytes != others {
            let text = |bytes: &[u8]| {
                String::from_utf8_lossy(bytes).chars().take(6000).collect::<String>()
            };
            panic!("{what}: {path} differs:\n{}\n{}", text(bytes), text(others));
        }
    }
}

#[test]
fn merged_parts_are_the_package_of_one_run() {
    let place = Place::new();
    write_inputs(&place);
    let mut chance = Chance::new();
    for (options, counts) in [
        (&["-d", "standard", "--shard-size", "1"][..], &[1, 2, 7, 64][..]),
        (&["-d", "openai", "--shard-size", "1", "--compress", "zstd"], &[3]),
        (&["-d", "retort", "--compress", "gzip", "--namespace", "n"], &[2]),
        (&["-d", "history", "-f", "csv"], &[5]),
        (&["-d", "standard", "-f", "parquet"], &[7]),
        (
            &["-d", "openai", "--split", "train=0.7,validation=0.2,test=0.1", "--shard-size", "1"],
            &[5],
        ),
        (&["-f", "csv", "--csv", "plain", "--split", "a=0.5,b=0.5", "--group-by", "family"], &[3]),
        (&["-f", "parquet", "--split", "a=0.5,b=0.5", "--group-by", "user"], &[4]),
        (
            &["--purpose", "export-dataset", "--status", "active", "--check", "off", "--findings"],
            &[4],
        ),
    ] {
        let whole = [&["convert", "in", "-q", "--name", "set", "--force", "-o", "whole"], options];
        place.ok(&whole.concat());
        for &count in counts {
            let parts = Parts { place: &place, options, count };
            parts.package(&mut chance, "merged");
            let what = format!("{options:?} in {count} parts");
            assert_same_files(&place.path("merged"), &place.path("whole"), &what);
            place.ok(&["verify", "merged"]);
        }
    }
}

#[test]
fn columns_that_only_the_items_tell_are_the_same_in_all_parts() {
    let place = Place::new();
    place.file("in/runs.jsonl", runs(400, 5));
    let options =
        ["--purpose", "node-evaluation", "--node", "answer", "-f", "csv", "--csv", "plain"];
    let whole = [&["convert", "in", "-q", "--name", "set", "-o", "whole.zip"], &options[..]];
    place.ok(&whole.concat());
    let parts = Parts { place: &place, options: &options, count: 5 };
    parts.package(&mut Chance::new(), "merged.zip");
    assert_eq!(place.bytes("merged.zip"), place.bytes("whole.zip"));
}

#[test]
fn what_cannot_be_merged_is_refused_by_name() {
    let place = Place::new();
    place.file("in/a.jsonl", chats(8000));
    let part = |part: &str, output: &str, more: &[&str]| {
        let fixed = ["convert", "in", "-q", "--name", "set", "--part", part, "-o", output];
        place.ok(&[&fixed[..], more].concat());
    };
    for number in 1..=3 {
        part(&format!("{number}/3"), &format!("p{number}"), &[]);
    }
    let merge = |parts: &[&str], words: &str| {
        place.refused(&[&["merge", "-o", "merged"], parts].concat(), words);
        assert!(!place.path("merged").exists());
    };
    merge(&["p1", "p3"], "of 3 parts these are missing: 2");
    part("1/3", "other", &["-d", "openai"]);
    merge(&["p1", "p2", "p3", "other"], "differ in dataset");
    part("1/2", "half", &[]);
    merge(&["p1", "half"], "differ in number of parts");
    merge(&["in"], "`in` is not a complete part of an export: it has no `part.json`");
    // The same part of the same plan, but an input changed: nothing but its bytes tells.
    let text = chats(8000);
    place.file("in/a.jsonl", text.replacen("answer", "ANSWER", 1));
    let time = fs::File::open(place.path("p1/part.json")).unwrap().metadata().unwrap().modified();
    let input = fs::File::options().write(true).open(place.path("in/a.jsonl")).unwrap();
    input.set_modified(time.unwrap()).unwrap();
    let snapshot = place.json("p1/part.json")["plan"]["snapshot"].as_str().unwrap().to_owned();
    let args = ["convert", "in", "-q", "--name", "set", "--part", "1/3", "-o", "changed"];
    place.run_with(&[("SOURCE_DATE_EPOCH", &epoch(&snapshot))], &args);
    merge(&["p1", "changed", "p2", "p3"], "part 1 in `changed` differs from part 1 in `p1`");
    let batches = place.path("p2/00002/batches");
    let mut bytes = fs::read(&batches).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&batches, bytes).unwrap();
    merge(&["p1", "p2", "p3"], "`00002/batches` has changed since it was written");
}

/// Seconds since 1970 of a time of this century, as text.
fn epoch(time: &str) -> String {
    let output = std::process::Command::new("date").args(["-d", time, "+%s"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_cannot_be_cut_into_parts_is_refused_with_what_to_do_instead() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    let refused = |more: &[&str], words: &str| {
        place.refused(&[&["convert", "-o", "part"], more].concat(), words);
        assert!(!place.path("part").exists());
    };
    refused(&["in.jsonl", "--part", "3/2"], "`3/2` is not a part");
    refused(
        &["in.jsonl", "--part", "1/2", "--limit", "5"],
        "`--limit` counts the items of all parts",
    );
    refused(&["-", "--part", "1/2"], "standard input can be read only once");
    refused(&["in.jsonl", "--repeats", "r"], "--part");
    refused(
        &["in.jsonl", "--part", "1/2", "--repeats", "in.jsonl"],
        "has no decisions on repeated ids",
    );
    place.refused(&["convert", "in.jsonl", "--part", "1/2", "-o", "p.zip"], "parts are folders");
    let half = json!({"conversation_id": "c", "rounds": [{"round": 1, "node_name": "start",
        "messages": [{"role": "user", "content": "q"}]}]});
    place.file("halves.jsonl", lines([half]));
    refused(
        &["halves.jsonl", "--from", "mcp-agent-graph", "--part", "1/2"],
        "assembled from several places",
    );
}

#[test]
fn a_part_tells_what_it_holds() {
    let place = Place::new();
    place.file("in.jsonl", format!("{}nonsense\n", chats(4)));
    let args = ["convert", "in.jsonl", "--part", "1/2", "-o", "p1", "--rejects", "r.jsonl"];
    let ran = place.ok(&args);
    assert!(
        ran.err.contains("read       5 items") && ran.err.contains("part       "),
        "{}",
        ran.err
    );
    assert_eq!(place.rows("r.jsonl").len(), 1);
    assert_eq!(
        place.names("p1"),
        ["00001", "00001/batches", "00001/items", "00001/verdicts", "part.json"]
    );
    place.refused(&args, "already exists");
    place.refused(&["convert", "in.jsonl", "--part", "1/2", "--strict", "-o", "s"], "--strict");
    let receipt = place.printed(&["merge", "p1", "--partial", "-q", "--json", "-o", "some"]);
    assert_eq!(receipt, json!({"parts": [1], "count": 2}));
}
