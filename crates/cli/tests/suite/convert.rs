//! `retort convert` from outside: the same history gives the same dataset whatever way it comes in or goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::*;
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/conversations");

/// A small history with every trait that data formats look at.
fn history() -> Vec<Value> {
    let calls = json!([{"id": "k1", "type": "function", "function": {"name": "f.x", "arguments": "{\"a\": 1}"}}]);
    let tools = json!([{"type": "function", "function": {"name": "f.x", "description": "d", "parameters": {"type": "object", "properties": {}}}}]);
    let mut items: Vec<_> = (0..40).map(|n| chat(&format!("c{n}"))).collect();
    items.push(json!({"id": "=1+1", "title": "T", "tags": ["旅行", "=cmd"], "model": "m", "created_at": "2024-03-01T00:00:00Z", "user_email": "a@b.c", "tools": tools,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "=SUM(A1)\n\"q\", 'x'"}, {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "k1", "content": "r"}, {"role": "assistant", "content": "-1 💡 \u{0} \\"}]}));
    items.push(json!({"id": "unanswered", "messages": [{"role": "user", "content": "?"}]}));
    items.extend((50..60).map(|n| chat(&format!("c{n}"))));
    items
}

#[test]
fn the_examples_become_a_package_that_verifies() {
    let place = Place::new();
    let ran = place.ok(&["convert", EXAMPLES, "-o", "dataset"]);
    assert!(ran.out.is_empty(), "data alone goes to standard output: {}", ran.out);
    assert_eq!(
        place.names("dataset"),
        ["README.md", "conversations.jsonl", "dataset_info.json", "manifest.json", "rejects.jsonl"]
    );
    assert_eq!(
        place.names("."),
        [
            "dataset",
            "dataset/README.md",
            "dataset/conversations.jsonl",
            "dataset/dataset_info.json",
            "dataset/manifest.json",
            "dataset/rejects.jsonl"
        ]
    );
    let manifest = place.json("dataset/manifest.json");
    assert_balanced(&manifest);
    assert_eq!(manifest["conversations"]["selected"], 31, "32, of which one is deleted");
    let rejects: Vec<_> = place
        .rows("dataset/rejects.jsonl")
        .iter()
        .map(|row| (row["conversation_id"].clone(), row["reason"].clone()))
        .collect();
    assert_eq!(
        rejects,
        [
            (json!("8d0f6a52-6c0b-4c33-9f2e-4a5b7d1e0c02"), json!("needs-attachment")),
            (json!("sc-0004"), json!("needs-attachment")),
            (json!("sc-0011"), json!("no-answer")),
            (json!("trip-lisbon-04"), json!("arguments-not-json"))
        ]
    );
    let info = place.json("dataset/dataset_info.json");
    assert_eq!(info["dataset"]["num_samples"], manifest["records"]["written"]);
    assert_eq!(info["dataset"]["columns"], json!({"messages": "messages", "tools": "tools"}));
    place.ok(&["verify", "dataset"]);
}

#[test]
fn every_data_format_goes_into_every_file_format_it_names_as_folder_and_as_archive() {
    let place = Place::new();
    let run = |n: usize| {
        json!({"request_id": format!("r{n}"), "recipe_id": "x", "question": "=q", "answer": "a\n\"b\"", "status": "success",
            "nodes": [{"node": "n", "prompt": "{x}", "variables": {"x": n, "=y": null}, "output": {"n": n}}]})
    };
    let document = |n: usize| {
        json!({"id": n, "s3_path": format!("c/{n}.pdf"), "course_name": "c", "readable_filename": "=a.pdf",
            "contexts": [{"text": "one", "pagenumber": 1, "chunk_index": 0, "embedding": [0.25, -1.5]}]})
    };
    let pair = |n: usize| {
        let said = |answer: &str| json!([{"role": "user", "content": format!("Is {n} even?")}, {"role": "assistant", "content": answer}]);
        json!({"id": format!("p{n}"), "chosen": said("=yes\n\"or no\""), "rejected": said("maybe")})
    };
    let items = history().into_iter().chain((0..30).map(run)).chain((0..30).map(document));
    place.file("in.jsonl", lines(items.chain((0..30).map(pair))));
    let formats: Value = serde_json::from_str(&place.ok(&["formats", "--json"]).out).unwrap();
    let all: Vec<_> = formats["file_formats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for data in formats["data_formats"].as_array().unwrap() {
        let name = data["name"].as_str().unwrap();
        let purpose = data["purposes"][0].as_str().unwrap();
        let node: &[&str] = if purpose.starts_with("node-") { &["--node", "n"] } else { &[] };
        for file in &all {
            let output = format!("{name}-{file}");
            let fixed = ["convert", "in.jsonl", "-q", "-d", name, "-f", file, "-o", &output];
            let args = [&fixed[..], node].concat();
            if !data["file_formats"].as_array().unwrap().contains(&json!(file)) {
                place.refused(&args, "cannot be written as");
                assert!(!place.path(&output).exists());
                continue;
            }
            place.ok(&args);
            assert_balanced(&place.json(&format!("{output}/manifest.json")));
            let archive = format!("{output}.zip");
            let fixed = ["convert", "in.jsonl", "-q", "-d", name, "-f", file, "-o", &archive];
            place.ok(&[&fixed[..], node].concat());
            place.ok(&["verify", &output]);
            place.ok(&["verify", &archive]);
            let shown = place.ok(&["preview", &archive, "--lines"]);
            assert_eq!(shown.out.lines().count(), 20, "{archive}");
        }
    }
}

#[test]
fn whatever_way_the_input_is_packed_the_data_is_the_same() {
    let place = Place::new();
    let items = history();
    let (first, second) = items.split_at(17);
    let (whole, first, second) =
        (lines(items.clone()), lines(first.to_vec()), lines(second.to_vec()));
    place.file("in.jsonl", &whole);
    place.file("in.json", serde_json::to_string_pretty(&items).unwrap());
    place.file("in.jsonl.gz", gzip(whole.as_bytes()));
    place.file("in.jsonl.zst", zstd::encode_all(whole.as_bytes(), 1).unwrap());
    place.file(
        "in.zip",
        zip(&[("a.jsonl", first.as_bytes()), ("deep/b.jsonl.gz", &gzip(second.as_bytes()))]),
    );
    place.file("folder/a.jsonl", &first);
    place.file("folder/b/c.json", second.replace('\n', "\r\n"));
    place.file("folder/notes.txt", "no history");
    // Two members, as `cat a.gz b.gz` makes them.
    place.file("twice.gz", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat());
    for data_format in ["standard", "openai", "history", "retort"] {
        let data = |inputs: &[&str], stdin: &[u8]| {
            let output = format!("{data_format}-{}", place.names(".").len());
            let args = [&["convert", "-q", "-d", data_format, "-o", &output], inputs].concat();
            let ran = place.run_on(&args, stdin.to_vec());
            assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
            assert_balanced(&place.json(&format!("{output}/manifest.json")));
            place.bytes(&format!("{output}/conversations.jsonl"))
        };
        let expect = data(&["in.jsonl"], b"");
        assert!(!expect.is_empty());
        for inputs in [
            &["in.json"][..],
            &["in.jsonl.gz"],
            &["in.jsonl.zst"],
            &["in.zip"],
            &["folder"],
            &["folder/a.jsonl", "folder/b/c.json"],
            &["twice.gz"],
        ] {
            assert!(data(inputs, b"") == expect, "{data_format} of {inputs:?}");
        }
        for packed in ["in.jsonl", "in.json", "in.jsonl.gz", "in.jsonl.zst", "in.zip"] {
            assert!(
                data(&["-"], &place.bytes(packed)) == expect,
                "{data_format} of {packed} through a pipe"
            );
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_byte_of_the_package() {
    let place = Place::new();
    let mut items: Vec<_> = (0..700).map(|n| long_chat(&format!("c{}", n % 650), 6000)).collect();
    items.insert(300, json!({"id": "bad", "messages": 7}));
    items.extend(history());
    place.file("in.jsonl", lines(items));
    for (name, rest) in [
        ("plain", &[][..]),
        ("zst", &["--compress", "zstd"]),
        ("gz", &["--compress", "gzip", "-d", "openai"]),
        ("shards", &["--shard-size", "1"]),
        ("limit", &["--limit", "420"]),
        ("csv", &["-f", "csv"]),
        ("parquet", &["-f", "parquet"]),
    ] {
        let package = |threads: &str| {
            let output = format!("{name}-{threads}.zip");
            place.ok(&[
                &["convert", "in.jsonl", "-q", "--name", "d", "--threads", threads, "-o", &output],
                rest,
            ]
            .concat());
            place.bytes(&output)
        };
        let expect = package("1");
        for threads in ["2", "4"] {
            assert!(package(threads) == expect, "{name} with {threads} threads");
        }
        place.ok(&["verify", &format!("{name}-1.zip")]);
    }
}

#[test]
fn filters_choose_as_they_say() {
    let place = Place::new();
    let item = |id: &str, kind: &str, status: &str, day: &str, title: &str, tag: &str| {
        with(
            with(
                with(
                    with(with(chat(id), "type", json!(kind)), "status", json!(status)),
                    "created_at",
                    json!(day),
                ),
                "title",
                json!(title),
            ),
            "tags",
            json!([tag]),
        )
    };
    place.file(
        "in.jsonl",
        lines([
            item("a", "chat", "active", "2024-01-01T00:00:00Z", "Ärger im Zug", "rail"),
            item("b", "agent", "favorite", "2024-01-31T23:59:59Z", "Trip", "ZUGFAHRT"),
            item("c", "chat", "deleted", "2024-02-01T00:00:00Z", "Gone", "x"),
            item("d", "chat", "active", "2024-02-01T00:00:00Z", "Later", "y"),
            chat("e"),
        ]),
    );
    let mut run = 0;
    let mut check = |args: &[&str], expect: &[&str]| {
        run += 1;
        let output = format!("o{run}");
        place.ok(&[&["convert", "in.jsonl", "-q", "-o", &output], args].concat());
        assert_eq!(ids(&place.rows(&format!("{output}/conversations.jsonl"))), expect, "{args:?}");
        let manifest = place.json(&format!("{output}/manifest.json"));
        assert_balanced(&manifest);
        assert_eq!(manifest["conversations"]["selected"], expect.len(), "{args:?}");
    };
    check(&[], &["a", "b", "d", "e"]);
    check(&["--search", "zug*"], &["a", "b"]);
    check(&["--search", "ärger", "--search", "LATER"], &["a", "d"]);
    check(&["--created-from", "2024-01-01"], &["a", "b", "d"]);
    check(&["--created-from", "2024-01-01", "--created-before", "2024-02-01"], &["a", "b"]);
    check(&["--created-from", "2024-02-01T01:00:00+01:00"], &["d"]);
    check(&["--type", "agent"], &["b"]);
    check(&["--type", "agent", "--type", "chat", "--created-from", "2024-01-02"], &["b", "d"]);
    check(&["--status", "deleted"], &["c"]);
    check(&["--status", "favorite", "--status", "deleted"], &["b", "c"]);
    check(&["--id", "e", "--id", "a", "--id", "nobody"], &["a", "e"]);
    check(&["--limit", "2"], &["a", "b"]);
    check(&["--limit", "1", "--search", "later"], &["d"]);
    place.refused(
        &["convert", "in.jsonl", "-o", "none", "--search", "nowhere"],
        "no records to write: of 5 items, 5 are not selected",
    );
    place.refused(
        &["convert", "in.jsonl", "-o", "none", "--created-from", "yesterday"],
        "not a date or time",
    );
    assert!(!place.path("none").exists());
}

#[test]
fn the_receipt_accounts_for_every_item() {
    let place = Place::new();
    let mut text = chats(3);
    text.push_str("{\"id\":\"cut\n\"just text\"\n{\"other\":1}\n");
    text.push_str(&lines([
        json!({"id": "x", "messages": 7}),
        json!({"id": "y", "messages": []}),
        chat("c00001"),
        with(chat("z"), "status", json!("deleted")),
    ]));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"{\"id\":\"\xff\"}\n");
    place.file("in.jsonl", bytes);
    let ran = place.ok(&["convert", "in.jsonl", "-o", "o", "--json"]);
    let manifest = place.json("o/manifest.json");
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out).unwrap(),
        manifest,
        "`--json` prints the receipt"
    );
    assert_balanced(&manifest);
    let counts = |place: &str, list: &Value| -> Vec<(String, u64)> {
        list.pointer(place)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["kind"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap()))
            .collect()
    };
    assert_eq!(manifest["read"]["items"], 11);
    let mut refused = counts("/read/refused", &manifest);
    refused.sort();
    assert_eq!(
        refused,
        [
            ("bad-field".into(), 1),
            ("not-json".into(), 1),
            ("not-utf8".into(), 1),
            ("unknown-shape".into(), 2)
        ]
    );
    assert_eq!(
        counts("/conversations/left_out_by_reason", &manifest),
        [("no-messages".into(), 1), ("repeated-id".into(), 1)]
    );
    let rejects = place.rows("o/rejects.jsonl");
    assert_eq!(
        rejects.iter().map(|one| one["line"].as_u64().unwrap()).collect::<Vec<_>>(),
        [4, 5, 6, 7, 8, 9, 11]
    );
    let input = place.bytes("in.jsonl");
    for reject in &rejects {
        let (line, byte) = (reject["line"].as_u64().unwrap(), reject["byte"].as_u64().unwrap());
        let on = 1
            + input[..usize::try_from(byte).unwrap()].iter().filter(|&&b| b == b'\n').count()
                as u64;
        assert!(
            on == line || input[usize::try_from(byte).unwrap() - 1] == b'\n',
            "byte {byte} is on line {on}: {reject}"
        );
    }
}

#[test]
fn rows_of_a_history_have_the_same_numbers_in_every_export() {
    let place = Place::new();
    // More than one batch of half a megabyte in the first file.
    place.file("a.jsonl", lines((0..300).map(|n| long_chat(&format!("a{n}"), 4000))));
    place.file("b.jsonl", chats(50));
    let numbers = |inputs: &[&str], output: &str| -> BTreeMap<String, u64> {
        let fixed = ["-q", "-d", "history", "-o", output];
        place.ok(&[&["convert"][..], inputs, &fixed].concat());
        place
            .rows(&format!("{output}/conversations.jsonl"))
            .iter()
            .map(|row| (row["convo_id"].as_str().unwrap().into(), row["id"].as_u64().unwrap()))
            .collect()
    };
    let all = numbers(&["a.jsonl", "b.jsonl"], "o");
    assert_eq!(all.values().collect::<BTreeSet<_>>().len(), 350);
    assert!(numbers(&["b.jsonl"], "p").iter().all(|(id, number)| all[id] == *number));
}

#[test]
fn the_ids_beside_openai_rows_name_the_conversation_of_each_row() {
    let place = Place::new();
    place.file("in.jsonl", lines(history()));
    place.ok(&["convert", "in.jsonl", "-q", "-d", "openai", "-o", "o"]);
    place.ok(&["convert", "in.jsonl", "-q", "-o", "s"]);
    let listed: Vec<_> =
        fs::read_to_string(place.path("o/ids.txt")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(listed, ids(&place.rows("s/conversations.jsonl")));
    assert_eq!(listed.len(), place.rows("o/conversations.jsonl").len());
}

#[test]
fn a_first_tag_that_comes_late_moves_its_record_to_the_front_with_its_id() {
    let place = Place::new();
    let mut items: Vec<_> = (0..95).map(|n| long_chat(&format!("c{n}"), 100_000)).collect();
    items.push(with(chat("tagged"), "tags", json!(["late"])));
    items.push(with(chat("tagged too"), "tags", json!(["later"])));
    items.push(json!({"id": "tools", "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}],
        "messages": chat("x")["messages"]}));
    place.file("in.jsonl", lines(items));
    for compression in ["none", "gzip", "zstd"] {
        let package = format!("{compression}.zip");
        place.ok(&["convert", "in.jsonl", "-q", "--compress", compression, "-o", &package]);
        place.ok(&["verify", &package]);
        let first = &rows(&place.ok(&["preview", &package, "--lines"]).out)[0];
        assert_eq!(
            (&first["conversation_id"], &first["ability"]),
            (&json!("tagged"), &json!(["late"]))
        );
    }
    place.ok(&["convert", "in.jsonl", "-q", "-o", "s"]);
    let order = ids(&place.rows("s/conversations.jsonl"));
    assert_eq!(
        (order[0].as_str(), order[1].as_str(), order[96].as_str()),
        ("tagged", "c0", "tagged too")
    );
    place.ok(&["convert", "in.jsonl", "-q", "-d", "openai", "-o", "o"]);
    place.ok(&["verify", "o"]);
    assert!(
        place.rows("o/conversations.jsonl")[0].get("tools").is_some(),
        "the first row with tools comes first"
    );
    assert!(fs::read_to_string(place.path("o/ids.txt")).unwrap().starts_with("tools\nc0\n"));
}

#[test]
fn what_goes_beside_a_row_that_moves_to_the_front_stays() {
    let place = Place::new();
    place.file("1.jsonl", lines((0..30).map(|n| long_chat(&format!("c{n}"), 60_000))));
    // The last batch is this alone.
    let call = json!({"id": "k", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let last = json!({
        "id": "last", "title": "T", "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "k", "content": "r"}, {"role": "assistant", "content": "a"}],
    });
    place.file("2.jsonl", lines([last]));
    let args = ["-q", "-d", "openai", "--shard-size", "1", "-o", "o"];
    place.ok(&[&["convert", "1.jsonl", "2.jsonl"], &args[..]].concat());
    assert!(fs::read_to_string(place.path("o/ids.txt")).unwrap().starts_with("last\nc0\n"));
    assert!(fs::read_to_string(place.path("o/extra.jsonl")).unwrap().contains("\"last\""));
    place.ok(&["verify", "o"]);
}

#[test]
fn shards_are_numbered_of_how_many_and_hold_all_records() {
    let place = Place::new();
    place.file("in.jsonl", lines((0..60).map(|n| long_chat(&format!("c{n}"), 60_000))));
    place.ok(&["convert", "in.jsonl", "-q", "--shard-size", "1", "--file-name", "part", "-o", "o"]);
    let manifest = place.json("o/manifest.json");
    let shards: Vec<_> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file.get("records").is_some())
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(shards.len() >= 3, "{shards:?}");
    let expect: Vec<_> = (0..shards.len())
        .map(|n| format!("part/part-{n:05}-of-{:05}.jsonl", shards.len()))
        .collect();
    assert_eq!(shards, expect);
    let rows: Vec<_> = shards.iter().flat_map(|shard| place.rows(&format!("o/{shard}"))).collect();
    assert_eq!(ids(&rows), (0..60).map(|n| format!("c{n}")).collect::<Vec<_>>());
    place.ok(&["verify", "o"]);
    assert_eq!(place.ok(&["preview", "o", "--lines"]).out.lines().count(), 20);
    assert!(fs::read_to_string(place.path("o/README.md")).unwrap().contains("part/*.jsonl"));
}

#[test]
fn tools_as_an_array_are_for_standard_json_lines_alone() {
    let place = Place::new();
    place.file("in.jsonl", lines(history()));
    place.ok(&["convert", "in.jsonl", "-q", "--tools", "array", "-o", "o"]);
    let rows = place.rows("o/conversations.jsonl");
    assert!(rows.iter().all(|row| row["tools"].is_array()));
    assert!(rows.iter().any(|row| row["tools"][0]["function"]["name"] == "f.x"));
    place.ok(&["verify", "o"]);
    for args in [["-f", "csv"], ["-f", "parquet"], ["-d", "openai"]] {
        place.refused(
            &[&["convert", "in.jsonl", "--tools", "array", "-o", "x"], &args[..]].concat(),
            "`--tools array` only works with",
        );
    }
}

#[test]
fn the_guard_of_spreadsheets_comes_off_again() {
    let place = Place::new();
    place.file("in.jsonl", lines(history()));
    place.ok(&["convert", "in.jsonl", "-q", "-f", "csv", "-o", "sheet"]);
    place.ok(&["convert", "in.jsonl", "-q", "-f", "csv", "--csv", "plain", "-o", "plain"]);
    let (sheet, plain) =
        (place.bytes("sheet/conversations.csv"), place.bytes("plain/conversations.csv"));
    assert!(sheet.starts_with(b"\xef\xbb\xbfdata_source,") && plain.starts_with(b"data_source,"));
    let text = String::from_utf8(sheet).unwrap();
    assert!(text.contains(",'=1+1,") && !String::from_utf8(plain).unwrap().contains("'=1+1"));
    let shown = |package: &str| {
        place.ok(&["verify", package]);
        place.ok(&["preview", package, "--lines"]).out
    };
    place.ok(&["convert", "in.jsonl", "-q", "-f", "csv", "--id", "=1+1", "-o", "one"]);
    let one = &rows(&shown("one"))[0];
    assert_eq!(
        (&one["conversation_id"], &one["output"]),
        (&json!("=1+1"), &json!("-1 💡 \u{0} \\"))
    );
    assert_eq!(shown("sheet"), shown("plain"));
    let warned = place.json("sheet/manifest.json")["records"]["warnings"].to_string();
    assert!(warned.contains("guarded-cell"), "{warned}");
}

#[test]
fn an_output_named_as_a_data_file_is_the_data_file_alone() {
    let place = Place::new();
    place.ok(&["convert", EXAMPLES, "-o", "set", "-f", "jsonl"]);
    let rows = place.bytes("set/conversations.jsonl");
    let ran = place.ok(&["convert", EXAMPLES, "-o", "alone.jsonl"]);
    assert!(place.bytes("alone.jsonl") == rows && ran.err.contains("data file"), "{}", ran.err);
    place.refused(&["convert", EXAMPLES, "-o", "alone.jsonl"], "already exists");
    place.ok(&["convert", EXAMPLES, "-o", "alone.jsonl", "--force"]);

    let printed = place.ok(&["convert", EXAMPLES, "-o", "-"]);
    assert_eq!(printed.out.as_bytes(), rows);
    assert!(printed.err.contains("written    27 conversations as 32 records"), "{}", printed.err);
    place.refused(&["convert", EXAMPLES, "-o", "-", "--json"], "cannot print the receipt as well");

    place.ok(&["convert", EXAMPLES, "-d", "history", "-o", "table.csv.gz"]);
    assert_eq!(place.bytes("table.csv.gz").get(..2), Some(&[0x1f, 0x8b][..]));
    place.ok(&["convert", EXAMPLES, "-o", "rows.parquet"]);
    assert_eq!(place.bytes("rows.parquet").get(..4), Some(&b"PAR1"[..]));
    assert_eq!(
        place.names("."),
        [
            "alone.jsonl",
            "rows.parquet",
            "set",
            "set/README.md",
            "set/conversations.jsonl",
            "set/dataset_info.json",
            "set/manifest.json",
            "set/rejects.jsonl",
            "table.csv.gz"
        ]
    );

    for (more, words) in [
        (&["-o", "x.csv", "-f", "parquet"][..], "`x.csv` would hold `parquet`"),
        (&["-o", "x.jsonl", "--split", "train=0.5,test=0.5"], "several data files"),
        (&["-o", "x.jsonl", "--part", "1/2"], "parts are folders"),
    ] {
        let ran = place.refused(&[&["convert", EXAMPLES], more].concat(), words);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
    }
    assert!(!place.names(".").iter().any(|name| name.starts_with('x')));
}
