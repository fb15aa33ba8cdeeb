//! What must not do harm: hostile archives, signals in the middle of a run, disks that are full.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::*;
use serde_json::json;

#[test]
fn entries_that_leave_the_archive_are_refused_and_counted() {
    let place = Place::new();
    let outside = place.path("in/../../escaped.jsonl");
    let absolute = place.path("absolute.jsonl");
    let hostile = ["../escaped.jsonl", "a/../../escaped.jsonl", absolute.to_str().unwrap()];
    let (good, bad) = (chats(2), lines([chat("evil")]));
    let entries: Vec<(&str, &[u8])> = hostile
        .iter()
        .map(|name| (*name, bad.as_bytes()))
        .chain([("good.jsonl", good.as_bytes())])
        .collect();
    place.file("in/hostile.zip", zip(&entries));
    let mut writer =
        zip::ZipWriter::new_append(std::io::Cursor::new(zip(&[("good.jsonl", good.as_bytes())])))
            .unwrap();
    writer
        .add_symlink("link.jsonl", "/etc/passwd", zip::write::SimpleFileOptions::default())
        .unwrap();
    place.file("in/link.zip", writer.finish().unwrap().into_inner());
    for (input, refused) in [("in/hostile.zip", 3), ("in/link.zip", 1)] {
        let output = format!("{input}.o").replace('/', "-");
        let ran = place.run(&["convert", input, "-o", &output, "--name", "n"]);
        assert_eq!(ran.code, Some(if refused > 2 { 3 } else { 0 }), "{}", ran.err);
        assert!(
            ran.err.contains(&format!(
                "refused    {refused} in an archive entry that is not read (refused-entry"
            )),
            "{}",
            ran.err
        );
        assert_eq!(
            ids(&place.rows(&format!("{output}/conversations.jsonl"))),
            ["c00000", "c00001"]
        );
        let manifest = place.json(&format!("{output}/manifest.json"));
        assert_balanced(&manifest);
        assert_eq!(manifest["read"]["refused"][0]["count"], refused);
        assert_eq!(place.rows(&format!("{output}/rejects.jsonl")).len(), refused);
    }
    assert!(!outside.exists() && !absolute.exists());
}

#[test]
fn archives_that_unpack_to_far_more_than_they_hold_end_with_a_clear_error() {
    let place = Place::new();
    // 320 MB of long lines, which are refused at their first byte.
    let line = [vec![b'x'; 1 << 16], b"\n".to_vec()].concat();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..5000 {
        encoder.write_all(&line).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    place.file("bomb.jsonl.zst", &bomb);
    place.file("bomb.zip", zip(&[("a.jsonl", chats(2).as_bytes()), ("b.jsonl.zst", &bomb)]));
    // Each entry alone is within the bound; together they are not.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..2500 {
        encoder.write_all(&line).unwrap();
    }
    let half = encoder.finish().unwrap();
    place.file("halves.zip", zip(&[("a.jsonl.zst", &half), ("b.jsonl.zst", &half)]));
    for input in ["bomb.jsonl.zst", "bomb.zip", "halves.zip"] {
        let output = format!("{input}.out");
        let ran = place.run(&["convert", input, "-o", &output, "--name", "o"]);
        assert!(ran.err.contains("unpacks to more than 200 times its size"), "{}", ran.err);
        // What is beside it is read.
        assert_eq!(ran.code, Some(if input == "bomb.zip" { 3 } else { 1 }), "{}", ran.err);
        assert_eq!(place.path(&output).exists(), input == "bomb.zip");
    }
}

#[test]
fn damaged_archives_end_with_a_clear_error() {
    let place = Place::new();
    let packed = gzip(chats(5000).as_bytes());
    place.file("cut.jsonl.gz", &packed[..packed.len() / 2]);
    let whole = zip(&[("a.jsonl", chats(100).as_bytes())]);
    place.file("cut.zip", &whole[..whole.len() - 30]);
    let mut flipped = whole;
    flipped[60] ^= 0xff;
    place.file("flipped.zip", flipped);
    // A count of the summary, or the reason why there is nothing to write.
    for (input, told) in [
        ("cut.jsonl.gz", "refused    1 in a damaged file (damaged"),
        ("cut.zip", "1 in a damaged file"),
        ("flipped.zip", "1 in a damaged file"),
    ] {
        let ran = place.run(&["convert", input, "-o", input.split('.').next().unwrap(), "--force"]);
        assert!(ran.err.contains(told), "{input}: {}", ran.err);
        assert!(ran.err.contains(input), "{}", ran.err);
        // What stood before the damage is written, if there was any.
        let whole = place.refused(&["convert", input, "-o", "o", "--strict"], "damaged");
        assert!(!place.path("o").exists() && !place.path(".o.partial").exists(), "{}", whole.err);
    }
}

/// A run that reads for ever, and the thread that feeds it; it has begun to write.
fn endless(place: &Place, output: &str) -> (Child, std::thread::JoinHandle<()>) {
    let mut child = retort()
        .current_dir(place.0.path())
        .args(["convert", "-", "-q", "-o", output, "--name", "n"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let mut number = 0;
        while stdin
            .write_all(format!("{}\n", long_chat(&format!("c{number}"), 50_000)).as_bytes())
            .is_ok()
        {
            number += 1;
        }
    });
    let data = place.path(&format!(".{output}.partial/made/.parts/00000/data-00000.jsonl"));
    for _ in 0..2000 {
        if fs::metadata(&data).is_ok_and(|data| data.len() > 0) {
            return (child, feeder);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the run never began to write");
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    for output in ["o", "o.zip"] {
        for name in ["-INT", "-TERM"] {
            let place = Place::new();
            let (mut child, feeder) = endless(&place, output);
            signal(&child, name);
            let status = ended(&mut child, 40).unwrap_or_else(|| panic!("it went on after {name}"));
            feeder.join().unwrap();
            assert!(!status.success(), "{name}");
            assert_eq!(place.names("."), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn a_run_that_waits_for_its_input_can_be_stopped() {
    let place = Place::new();
    let mut child = retort()
        .current_dir(place.0.path())
        .args(["convert", "-", "-q", "-o", "o"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..1000 {
        if place.path(".o.partial").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-INT");
    assert!(
        ended(&mut child, 40).is_some(),
        "nothing came through the pipe, and it could not be stopped"
    );
    assert_eq!(place.names("."), Vec::<String>::new());
}

#[test]
fn a_run_that_is_killed_leaves_no_output_and_the_next_one_succeeds() {
    for output in ["o", "o.zip"] {
        let place = Place::new();
        let (mut child, feeder) = endless(&place, output);
        child.kill().unwrap();
        child.wait().unwrap();
        feeder.join().unwrap();
        assert!(!place.path(output).exists());
        place.file("in.jsonl", chats(3));
        place.ok(&["convert", "in.jsonl", "-q", "-o", output]);
        place.ok(&["verify", output]);
        assert!(
            place.names(".").iter().all(|name| !name.contains("partial")),
            "{:?}",
            place.names(".")
        );
    }
}

#[test]
fn a_killed_run_that_was_to_replace_a_package_leaves_the_old_one() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o"]);
    place.refused(&["convert", "in.jsonl", "-q", "-o", "o"], "already exists");
    let (mut child, feeder) = endless(&place, "p");
    // While one run writes an output, another does not.
    place.refused(&["convert", "in.jsonl", "-q", "-o", "p"], "another run is writing");
    child.kill().unwrap();
    child.wait().unwrap();
    feeder.join().unwrap();
    place.ok(&["convert", "in.jsonl", "-q", "-o", "o", "--force"]);
    place.ok(&["verify", "o"]);
}

#[test]
fn a_full_disk_ends_with_a_clear_error_and_is_freed() {
    let place = Place::new();
    place.file("in.jsonl", lines((0..100).map(|n| long_chat(&format!("c{n}"), 60_000))));
    fs::create_dir(place.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=2m tmpfs disk && touch mounted && \"$0\" convert in.jsonl -q -o disk/\"$1\"; code=$?; ls -A disk >left; exit $code";
    for output in ["o", "o.zip"] {
        let mut shell = command("unshare");
        shell.current_dir(place.0.path()).args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_retort"),
            output,
        ]);
        let ran = finish(shell, Vec::new());
        if !place.path("mounted").exists() {
            eprintln!(
                "PASSED OVER: no small disk can be mounted here, so a full one is not tried: {}",
                ran.err
            );
            return;
        }
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(
            ran.err.contains("cannot write")
                && ran.err.contains("no space left")
                && ran.err.contains("what had been written was removed"),
            "{}",
            ran.err
        );
        assert_eq!(place.bytes("left"), b"", "something was left on the disk");
    }
}

#[test]
fn a_file_that_may_not_grow_ends_with_a_clear_error_and_is_removed() {
    let place = Place::new();
    place.file("in.jsonl", lines((0..100).map(|n| long_chat(&format!("c{n}"), 60_000))));
    let before = place.names(".");
    for rest in ["", "--compress gzip", "-f parquet", "-f csv"] {
        let mut shell = command("sh");
        let script =
            format!("trap '' XFSZ; ulimit -f 8; exec \"$0\" convert in.jsonl -q -o o {rest}");
        shell.current_dir(place.0.path()).args(["-c", &script, env!("CARGO_BIN_EXE_retort")]);
        let ran = finish(shell, Vec::new());
        assert_eq!(ran.code, Some(1), "{rest}: {}", ran.err);
        assert!(ran.err.contains("cannot write `"), "{rest}: {}", ran.err);
        assert_eq!(place.names("."), before, "{rest}");
    }
}

#[test]
fn a_moment_before_the_year_nought_does_not_end_the_run() {
    let place = Place::new();
    place.file(
        "in.jsonl",
        lines([with(chat("a"), "created_at", json!(-99_999_999_999_i64)), chat("b")]),
    );
    for data_format in ["retort", "history", "standard"] {
        place.ok(&["convert", "in.jsonl", "-q", "-d", data_format, "-o", data_format]);
    }
}

#[test]
fn brackets_that_close_nothing_end_no_run() {
    let place = Place::new();
    for (number, text) in ["[]]", "[{}]]", "]", "{\n}\n]", "}{"].into_iter().enumerate() {
        let name = format!("{number}.json");
        place.file(&name, text);
        place.refused(&["convert", &name, "-o", "o"], "no records to write");
    }
}
