//! Packages: their names, what is replaced and what never is, and what `retort verify` finds.

use std::fs;

use crate::support::*;
use serde_json::json;

fn packaged(args: &[&str]) -> Place {
    let place = Place::new();
    let unanswered = json!({"id": "unanswered", "messages": [{"role": "user", "content": "?"}]});
    place.file("in.jsonl", format!("{}{}", chats(30), lines([unanswered])));
    place.ok(&[&["convert", "in.jsonl", "-q", "-o", "o"], args].concat());
    place
}

#[test]
fn names_that_could_leave_the_folder_or_confuse_are_refused_and_nothing_is_written() {
    let place = Place::new();
    place.file("in.jsonl", chats(2));
    let (long, longer) = ("x".repeat(65), "x".repeat(129));
    let bad = [
        "",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "a\nb",
        "a\u{7}b",
        "a\u{202e}b",
        " a",
        "a.",
        "dataset_info",
        "Manifest",
        "README",
        "rejects",
        "CON",
        &longer,
    ];
    for name in bad {
        for option in ["--name", "--file-name"] {
            place.refused(
                &["convert", "in.jsonl", "-o", "o", &format!("{option}={name}")],
                "letters and digits",
            );
        }
    }
    place.refused(&["convert", "in.jsonl", "-o", "o", "--name", &long], "has 65 characters");
    // The output's name is the dataset's, unless one is given.
    place.refused(&["convert", "in.jsonl", "-o", "what?"], "name the dataset with `--name`");
    assert_eq!(place.names("."), ["in.jsonl"]);
    let longest = "é".repeat(100);
    place.ok(&[
        "convert",
        "in.jsonl",
        "-q",
        "-o",
        "what?",
        "--name",
        "对话 数据",
        "--file-name",
        &longest,
    ]);
    assert!(place.path(&format!("what?/{longest}.jsonl")).exists());
    assert_eq!(place.json("what?/dataset_info.json")["对话 数据"]["num_samples"], 2);
    assert!(fs::read(place.path("what?/dataset_info.json")).unwrap().is_ascii());
    place.ok(&["verify", "what?"]);
}

#[test]
fn a_package_that_is_there_is_replaced_only_when_that_is_asked() {
    for output in ["o", "o.zip"] {
        let place = Place::new();
        place.file("in.jsonl", chats(3));
        place.file("more.jsonl", chats(5));
        place.ok(&["convert", "in.jsonl", "-q", "-o", output]);
        place.refused(&["convert", "more.jsonl", "-q", "-o", output], "already exists");
        let records = || place.ok(&["preview", output, "--lines"]).out.lines().count();
        assert_eq!(records(), 3);
        place.ok(&[
            "convert",
            "more.jsonl",
            "-q",
            "-o",
            output,
            "--force",
            "--file-name",
            "other",
            "-f",
            "csv",
        ]);
        assert_eq!(records(), 5);
        place.ok(&["verify", output]);
        // A run that fails leaves the old package as it was.
        place.file("empty.jsonl", "");
        place.refused(
            &["convert", "empty.jsonl", "-q", "-o", output, "--force"],
            "no records to write",
        );
        place.ok(&["verify", output]);
        let names: Vec<_> =
            place.names(".").into_iter().filter(|name| !name.starts_with("o/")).collect();
        assert_eq!(names, ["empty.jsonl", "in.jsonl", "more.jsonl", output]);
    }
}

#[test]
fn what_is_no_package_is_never_replaced() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.file("folder/letter.txt", "dear");
    place.file("file.zip", "no archive");
    place.file("foreign.zip", zip(&[("letter.txt", b"dear")]));
    place.file("half/manifest.json", "{}");
    std::os::unix::fs::symlink("nowhere", place.path("link")).unwrap();
    for output in ["folder", "file.zip", "foreign.zip", "half", "link"] {
        place
            .refused(&["convert", "in.jsonl", "-q", "-o", output, "--name", "n"], "already exists");
        place.refused(
            &["convert", "in.jsonl", "-q", "-o", output, "--name", "n", "--force"],
            "is not a package of Retort",
        );
    }
    let replacing = ["convert", "in.jsonl", "-q", "-o", "in.jsonl", "--force"];
    place.refused(&replacing, "`in.jsonl` is among the inputs");
    place.file("history/in.jsonl", chats(3));
    place.refused(
        &["convert", "history", "-q", "-o", "history/in.jsonl", "--force"],
        "is among the inputs",
    );
    assert_eq!(place.rows("history/in.jsonl").len(), 3);
    assert_eq!(place.bytes("folder/letter.txt"), b"dear");
    assert_eq!(place.bytes("file.zip"), b"no archive");
    assert_eq!(
        place.names("."),
        [
            "file.zip",
            "folder",
            "folder/letter.txt",
            "foreign.zip",
            "half",
            "half/manifest.json",
            "history",
            "history/in.jsonl",
            "in.jsonl",
            "link"
        ]
    );
}

#[test]
fn a_package_with_files_that_are_not_its_own_is_not_replaced() {
    let place = packaged(&[]);
    place.file("o/my notes.txt", "weeks of work");
    let ran = place.run(&["convert", "in.jsonl", "-q", "-o", "o", "--force"]);
    assert!(place.path("o/my notes.txt").exists(), "the file of a person was removed: {}", ran.err);
}

#[test]
fn an_output_inside_the_input_does_not_become_input() {
    let place = Place::new();
    place.file("histories/in.jsonl", chats(3));
    for _ in 0..2 {
        place.ok(&["convert", "histories", "-q", "-o", "histories/dataset", "--force"]);
        assert_eq!(place.rows("histories/dataset/conversations.jsonl").len(), 3);
    }
}

#[test]
fn verify_finds_a_flipped_byte_in_any_file() {
    for (args, compression) in [
        (&[][..], ""),
        (&["-d", "openai"], ""),
        (&["-f", "csv"], ""),
        (&["-f", "parquet"], ""),
        (&["--compress", "zstd"], ".zst"),
    ] {
        let place = packaged(args);
        place.ok(&["verify", "o"]);
        for name in place.names("o").into_iter().filter(|name| name != "manifest.json") {
            let whole = place.bytes(&format!("o/{name}"));
            for at in [0, whole.len() / 2, whole.len() - 1] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                place.file(&format!("o/{name}"), &bytes);
                let ran = place.run(&["verify", "o"]);
                assert_eq!(ran.code, Some(3), "{name} {compression} byte {at}: {}", ran.err);
                assert!(ran.err.contains(&format!("differs    {name}: ")), "{}", ran.err);
            }
            place.file(&format!("o/{name}"), &whole);
        }
        place.ok(&["verify", "o"]);
    }
}

#[test]
fn verify_finds_files_that_are_missing_or_added() {
    let place = packaged(&[]);
    for name in place.names("o") {
        let bytes = place.bytes(&format!("o/{name}"));
        fs::remove_file(place.path(&format!("o/{name}"))).unwrap();
        let ran = place.run(&["verify", "o"]);
        // Without its receipt it is no package at all.
        assert_eq!(
            ran.code,
            Some(if name == "manifest.json" { 1 } else { 3 }),
            "{name}: {}",
            ran.err
        );
        place.file(&format!("o/{name}"), bytes);
    }
    place.file("o/deep/extra.jsonl", "{}\n");
    let ran = place.run(&["verify", "o", "--json"]);
    assert_eq!(ran.code, Some(3));
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["whole"], false);
    assert_eq!(told["differences"][0]["file"], "deep/extra.jsonl");
}

#[test]
fn verify_finds_a_count_that_was_changed() {
    let place = packaged(&[]);
    let whole = place.json("o/manifest.json");
    for pointer in [
        "/read/items",
        "/conversations/selected",
        "/conversations/written",
        "/records/written",
        "/files/0/records",
        "/files/0/bytes",
    ] {
        let mut manifest = whole.clone();
        let number = manifest.pointer_mut(pointer).unwrap();
        *number = json!(number.as_u64().unwrap() + 1);
        place.file("o/manifest.json", manifest.to_string());
        assert_eq!(place.run(&["verify", "o"]).code, Some(3), "{pointer}");
    }
    // A record taken out, and the receipt mended by someone who forgot its hash.
    let mut manifest = whole;
    let text = String::from_utf8(place.bytes("o/conversations.jsonl")).unwrap();
    let fewer: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    manifest["files"][0]["bytes"] = json!(fewer.len());
    place.file("o/conversations.jsonl", fewer);
    place.file("o/manifest.json", manifest.to_string());
    let ran = place.run(&["verify", "o"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("29 records, the receipt says 30"), "{}", ran.err);
}

#[test]
fn verify_finds_faults_in_archives_too() {
    let place = Place::new();
    place.file("in.jsonl", chats(30));
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o.zip"]);
    place.ok(&["verify", "o.zip"]);
    let whole = place.bytes("o.zip");
    // In the middle of the packed rows.
    let at = whole.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap() / 2;
    let mut bytes = whole.clone();
    bytes[at] ^= 1;
    place.file("o.zip", &bytes);
    assert_eq!(place.run(&["verify", "o.zip"]).code, Some(3));
    place.file("o.zip", &whole[..whole.len() / 2]);
    place.refused(&["verify", "o.zip"], "is not a complete package");
    place.file("o.zip", zip(&[("letter.txt", b"dear")]));
    place.refused(&["verify", "o.zip"], "it has no `manifest.json`");
    place.refused(&["verify", "nowhere"], "cannot read `nowhere`");
}

#[test]
fn the_same_history_gives_the_same_package_to_the_byte() {
    let place = Place::new();
    place.file("in.jsonl", chats(30));
    for output in ["a.zip", "b.zip"] {
        place.ok(&["convert", "in.jsonl", "-q", "--name", "n", "-o", output]);
    }
    assert!(place.bytes("a.zip") == place.bytes("b.zip"));
}

#[test]
fn an_archive_is_packed_and_holds_the_same_package() {
    let place = Place::new();
    place.file("in.jsonl", chats(2_000));
    for file in ["jsonl", "parquet"] {
        let archive = format!("{file}.zip");
        place.ok(&["convert", "in.jsonl", "-o", file, "-f", file, "--name", "d"]);
        place.ok(&["convert", "in.jsonl", "-o", &archive, "-f", file, "--name", "d"]);
        place.ok(&["verify", &archive]);
        let files = unzip(&place.path(&archive));
        for (name, bytes) in &files {
            assert!(*bytes == place.bytes(&format!("{file}/{name}")), "{file}: {name}");
        }
        let whole: usize = files.values().map(Vec::len).sum();
        let packed = place.bytes(&archive).len();
        assert!(file == "parquet" || packed * 4 < whole, "{packed} bytes of {whole}");
    }
    // The same bytes whatever the number of threads.
    let archive = |threads: &str| {
        let output = format!("{threads}.zip");
        place.ok(&["convert", "in.jsonl", "-o", &output, "--name", "d", "--threads", threads]);
        place.bytes(&output)
    };
    assert!(archive("1") == archive("3"));
}

#[test]
fn repairs_and_warnings_are_listed_on_request_with_the_record_and_its_place() {
    let place = Place::new();
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let (q, a) = (said("user", "q"), said("assistant", "a"));
    let items = [
        json!({"id": "plain", "messages": [q, a]}),
        json!({"id": "end", "messages": [q, a, said("user", "more?")]}),
        json!({"id": "late", "messages": [said("user", "see <image>"), a, said("system", "S"), q, a]}),
        json!({"id": "time", "created_at": "01/02/2024", "messages": [q, a]}),
        json!({"id": "new", "messages": [q, said("act", "!"), a]}),
    ];
    place.file("in.jsonl", lines(items));
    let read = |package: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(place.path(&format!("{package}/findings.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let short = |line: &serde_json::Value| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        (text("conversation_id"), text("finding"), text("kind"), line["message"].as_u64())
    };
    let expect = |id: &str, finding: &str, kind: &str, message: Option<u64>| {
        (id.to_owned(), finding.to_owned(), kind.to_owned(), message)
    };

    let convert = ["convert", "in.jsonl", "--threads", "2", "-o"];
    let told = place.ok(&[&convert[..], &["without"]].concat()).err;
    assert!(told.contains("`--findings` lists each of them"), "{told}");
    assert!(!place.path("without/findings.jsonl").exists());

    place.ok(&[&convert[..], &["with", "--findings"]].concat());
    let found = read("with");
    assert_eq!(
        found.iter().map(short).collect::<Vec<_>>(),
        [
            expect("end", "repaired", "cut-end", Some(2)),
            expect("late", "repaired", "moved-system", Some(2)),
            expect("late", "warning", "template-mark", Some(0)),
            expect("time", "warning", "unread-time", None),
            expect("new", "warning", "not-understood", None),
        ]
    );
    assert_eq!(
        (&found[0]["input"], &found[0]["line"], &found[0]["item"]),
        (&json!("in.jsonl"), &json!(2), &json!(2))
    );
    assert_eq!(found[4]["detail"], "messages[1].role=act");
    let manifest = place.json("with/manifest.json");
    assert_eq!(manifest["options"]["findings"], "true");
    assert!(manifest["files"].to_string().contains("findings.jsonl"));
    place.ok(&["verify", "with"]);

    let off = ["off", "--findings", "--check", "off", "-d", "openai"];
    place.ok(&[&convert[..], &off].concat());
    assert_eq!(
        read("off").iter().map(short).collect::<Vec<_>>(),
        [
            expect("end", "would-be-refused", "cut-end", Some(2)),
            expect("late", "would-be-refused", "moved-system", Some(2)),
            expect("time", "warning", "unread-time", None),
            expect("new", "warning", "not-understood", None),
        ]
    );
    place.ok(&["verify", "off"]);
}

#[test]
fn cells_in_danger_are_listed_with_their_record() {
    let place = Place::new();
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let answer = said("assistant", "=1+1");
    place.file("in.jsonl", lines([json!({"id": "c", "messages": [said("user", "=q"), answer]})]));
    place.ok(&["convert", "in.jsonl", "-o", "o", "-f", "csv", "--findings"]);
    let text = fs::read_to_string(place.path("o/findings.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&line["conversation_id"], &line["kind"], &line["count"]),
        (&json!("c"), &json!("guarded-cell"), &json!(2))
    );
    place.ok(&["verify", "o"]);
}
