//! `--redact` with a user's program: what it finds is replaced with any number of threads, and anything that it does wrong
//! stops the export.
#![cfg(unix)]

use serde_json::{Value, json};

use crate::support::keeping::Keep;
use crate::support::*;

const SCRIPT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/redaction/names.py"));
const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redaction.md"));

fn rules(program: &str, more: &str) -> String {
    format!("[[rule]]\nname = \"names\"\nprogram = {program}\n{more}\n")
}

/// Conversations with a name in many places, and the rules of the page.
fn place() -> Place {
    let place = Place::new();
    let chats = (0..300).map(|n| {
        let call = json!({"id": "k", "type": "function", "function": {"name": "call", "arguments": "{\"to\":\"Zoë Ünal\"}"}});
        json!({"id": format!("c{n:03}"), "title": "about Anna Schmidt", "metadata": {"Anna Frank": ["Zoë Brown"]}, "messages": [
            {"role": "user", "content": format!("{n}: does Anna Schmidt know Zoë Brown?\nÄ 日本 Anna Ömer.")},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "k", "content": "{\"who\": \"Anna Schmidt\"}"},
            {"role": "assistant", "content": "Anna does."}]})
    });
    place.file("in.jsonl", lines(chats));
    place.file("names.py", SCRIPT);
    place.file("rules.toml", rules("[\"python3\", \"names.py\"]", ""));
    place
}

fn has_python() -> bool {
    let found = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("passed over: there is no python3");
    }
    found
}

#[test]
fn the_script_of_the_page_is_the_one_of_the_examples() {
    let code = SCRIPT.split_once("\"\"\"\n\n").expect("a docstring").1;
    assert!(DOCS.contains(code), "docs/redaction.md shows another script");
}

#[test]
fn what_a_program_finds_is_replaced_by_any_number_of_threads_and_in_parts() {
    if !has_python() {
        return;
    }
    let place = place();
    let args =
        ["convert", "in.jsonl", "--to", "retort", "--redact", "secrets,rules.toml", "-q", "-o"];
    let run = |out: &str, more: &[&str]| {
        place.ok(&[&args[..], &[out, "--name", "names"], more].concat());
    };
    // The field name has a pseudonym.
    place.file("key", [7; 32]);
    run("one", &["--threads", "1", "--redact-key", "key"]);
    run("many", &["--threads", "4", "--redact-key", "key"]);
    let data = place.bytes("one/conversations.jsonl");
    assert_eq!(data, place.bytes("many/conversations.jsonl"));
    let text = String::from_utf8(data.clone()).unwrap();
    for name in ["Anna Schmidt", "Zoë", "Anna Ömer", "Anna Frank", "Ünal"] {
        assert!(!text.contains(name), "{name} is left");
    }
    assert!(text.contains("Anna does.") && text.contains("Ä 日本 [NAMES]."));
    let told = &place.json("one/manifest.json")["redaction"];
    let program = &told["programs"][0];
    assert_eq!((&program["rule"], &program["program"]), (&json!("names"), &json!("names.py")));
    let hash = program["sha256"].as_str().unwrap().to_owned();
    assert_eq!((hash.len(), &told["found"][0]["items"]), (64, &json!(300)));

    for part in ["1/2", "2/2"] {
        let out = format!("part-{}", &part[..1]);
        run(&out, &["--part", part, "--redact-key", "key"]);
    }
    place.ok(&["merge", "part-1", "part-2", "-o", "merged", "-q"]);
    assert_eq!(place.bytes("merged/conversations.jsonl"), data);

    // A pinned program, and another one.
    place
        .file("pinned.toml", rules("[\"python3\", \"names.py\"]", &format!("sha256 = \"{hash}\"")));
    let pinned = [
        "convert",
        "in.jsonl",
        "--to",
        "retort",
        "--redact",
        "pinned.toml",
        "-q",
        "--force",
        "-o",
        "pinned",
    ];
    place.ok(&pinned);
    place.file("names.py", format!("{SCRIPT}# changed\n"));
    place.refused(&pinned, "not the one that the rule names");
    run("part-2", &["--part", "2/2", "--redact-key", "key", "--force"]);
    place.refused(
        &["merge", "part-1", "part-2", "-o", "mixed", "-q"],
        "are parts of different exports",
    );

    let shown = place.ok(&["preview", "in.jsonl", "--redact", "rules.toml"]);
    let shown = format!("{}{}", shown.out, shown.err);
    assert!(shown.contains("[NAMES]") && !shown.contains("Zoë Brown"), "{shown}");
}

#[test]
fn a_program_that_does_anything_wrong_stops_the_export() {
    if !has_python() {
        return;
    }
    let place = place();
    let read = "import sys, json, time\nfor line in sys.stdin:\n    asked = json.loads(line)\n    n = asked['id']\n";
    let answer = "    print(json.dumps({'id': n, 'spans': []}), flush=True)\n";
    for (what, script, why) in [
        (
            "ends",
            format!("{read}    if n > 40: sys.exit(3)\n{answer}"),
            "ended before it answered (exit status: 3)",
        ),
        (
            "hangs",
            format!("{read}    if n > 40: time.sleep(1000)\n{answer}"),
            "did not answer within 1 s",
        ),
        (
            "is out of order",
            format!("{read}    if n == 40: n = 39\n{answer}"),
            "answered text 39 when it was asked for text 40",
        ),
        (
            "answers twice",
            format!("{read}{answer}{answer}"),
            "answered text 1 when it was asked for text 2",
        ),
        (
            "is no JSON",
            format!(
                "{read}    print(asked['text'] if n > 40 else json.dumps({{'id': n, 'spans': []}}), flush=True)\n"
            ),
            "is not a line such as",
        ),
        (
            "is outside",
            format!(
                "{read}    print(json.dumps({{'id': n, 'spans': [{{'start': 0, 'end': 10**6}}]}}), flush=True)\n"
            ),
            "gave the span 0 to 1000000",
        ),
        (
            "is endless",
            format!("{read}    print('x' * (9 << 20), flush=True)\n"),
            "gave an answer of more than 8 MiB",
        ),
        (
            "reads nothing",
            "import os\nos.close(1)\nos.close(0)\n".to_owned(),
            "ended before it answered",
        ),
    ] {
        place.file("wrong.py", script);
        let seconds = if what == "hangs" { 1 } else { 30 };
        let more = format!("timeout_seconds = {seconds}");
        place.file("wrong.toml", rules("[\"python3\", \"wrong.py\"]", &more));
        let args = [
            "convert",
            "in.jsonl",
            "--to",
            "retort",
            "--redact",
            "wrong.toml",
            "-q",
            "-o",
            "wrong",
        ];
        let ran = place.run(&args);
        assert_eq!(ran.code, Some(2), "{what}: {}", ran.err);
        let error = &ran.err;
        assert!(
            error.contains("the redaction rule `names` failed") && error.contains(why),
            "{what}: {}",
            ran.err
        );
        assert!(!ran.err.contains("Anna"), "{what}: {}", ran.err);
        assert!(
            !place.path("wrong").join("manifest.json").exists(),
            "{what}: something was published"
        );
    }
    place.file("wrong.toml", rules("[\"no-such-program-here\"]", ""));
    place.refused(
        &["convert", "in.jsonl", "--to", "retort", "--redact", "wrong.toml", "-q", "-o", "wrong"],
        "cannot be started",
    );
}

#[test]
fn exports_of_a_store_run_the_programs_of_the_configuration_alone() {
    if !has_python() {
        return;
    }
    let keep = Keep::sqlite();
    keep.place.file(
        "in.jsonl",
        lines((0..50).map(|n| with(chat(&format!("c{n}")), "title", json!("about Anna Schmidt")))),
    );
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.place.file("names.py", SCRIPT);
    keep.place.file("rules.toml", rules("[\"python3\", \"names.py\"]", ""));
    let export = |keep: &Keep, name: &str| {
        keep.run(&["export", name, "-q", "-d", "retort", "--redact", "rules.toml"])
    };
    let ran = export(&keep, "own");
    assert!(
        ran.code == Some(2)
            && ran.err.contains("the name of a program in the server's configuration"),
        "{}",
        ran.err
    );
    keep.place.file("rules.toml", "[[rule]]\nname = \"names\"\nrecogniser = \"people\"\n");
    let ran = export(&keep, "unknown");
    assert!(
        ran.code == Some(2) && ran.err.contains("there is no recogniser `people`"),
        "{}",
        ran.err
    );
    keep.place.file(
        "rules.toml",
        "[[rule]]\nname = \"names\"\nrecogniser = \"people\"\nprocesses = 64\n",
    );
    let ran = export(&keep, "limits");
    assert!(ran.code == Some(2) && ran.err.contains("are set in the configuration"), "{}", ran.err);
    // Two rules and one process: they share it, and wait for it.
    keep.place.file(
        "rules.toml",
        "[[rule]]\nname = \"names\"\nrecogniser = \"people\"\n[[rule]]\nname = \"others\"\nrecogniser = \"people\"\n",
    );
    let script = keep.place.path("counted.py");
    let counting =
        "import pathlib, uuid\npathlib.Path(__file__).with_name(f'ran-{uuid.uuid4()}').touch()\n";
    keep.place.file("counted.py", format!("{counting}{SCRIPT}"));
    keep.place.file(
        "config.toml",
        format!(
            "[recognisers.people]\nprogram = [\"python3\", {:?}]\nprocesses = 1\n",
            script.to_str().unwrap()
        ),
    );
    let config = keep.place.path("config.toml").to_str().unwrap().to_owned();
    let keep = keep.set("RETORT_CONFIG", config);
    let ran = export(&keep, "configured");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let files = keep.dataset("configured");
    let text = String::from_utf8(files["conversations.jsonl"].clone()).unwrap();
    assert!(text.contains("about [NAMES]") && !text.contains("Schmidt"));
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let programs = manifest["redaction"]["programs"].as_array().unwrap();
    assert!(programs.len() == 2 && programs.iter().all(|one| one["program"] == "counted.py"));
    let ran = std::fs::read_dir(keep.place.path(".")).unwrap();
    let ran =
        ran.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("ran-"));
    assert_eq!(ran.count(), 1);
}
