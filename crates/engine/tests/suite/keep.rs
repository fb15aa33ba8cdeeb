//! The archive of sessions that other programs delete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use retort_engine::Input;
use retort_engine::keep::{Archive, Pass, Watched, agents};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Bench, records, run};

/// A folder that a tool writes into, and the archive of it.
struct Home {
    folder: TempDir,
    archive: Archive,
}

impl Home {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("tool")).unwrap();
        let archive = Archive::open(&folder.path().join("kept")).unwrap();
        Self { folder, archive }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("tool").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn pass(&mut self) -> Pass {
        let folder = self.folder.path().join("tool");
        let watched = Watched { name: "tool".into(), folder, within: None, only: None };
        self.archive.pass(&[watched], &AtomicBool::new(false)).unwrap()
    }

    /// What is kept of a file.
    fn kept(&self, name: &str) -> String {
        unpacked(&self.archive.folder().join(format!("tool/{name}.zst")))
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.archive.folder().join("tool")).unwrap() {
            names.push(entry.unwrap().file_name().to_string_lossy().into_owned());
        }
        names.sort();
        names
    }
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap();
    zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn lines_stay_when_their_file_is_cut_rewritten_or_deleted() {
    let mut home = Home::new();
    home.write("a.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":2}\n");
    let pass = home.pass();
    assert_eq!((pass.files, pass.changed, pass.new_lines), (1, 1, 3));
    assert_eq!(pass.names, ["tool"]);
    assert_eq!(home.pass(), Pass { files: 1, bytes: 24, ..Pass::default() });
    home.write("a.jsonl", "{\"n\":1}\n");
    assert_eq!(home.pass().new_lines, 0);
    home.write("a.jsonl", "{\"n\":9}\n{\"n\":2}\n{\"n\":2}\n{\"n\":2}\n");
    assert_eq!(home.pass().new_lines, 2);
    fs::remove_file(home.path("a.jsonl")).unwrap();
    assert_eq!(home.pass(), Pass::default());
    assert_eq!(home.kept("a.jsonl"), "{\"n\":1}\n{\"n\":2}\n{\"n\":2}\n{\"n\":9}\n{\"n\":2}\n");
}

#[test]
fn a_line_that_is_being_written_waits_and_a_whole_one_without_an_end_does_not() {
    let mut home = Home::new();
    home.write("a.jsonl", "{\"n\":1}\n{\"n\":");
    assert_eq!(home.pass().new_lines, 1);
    home.write("a.jsonl", "{\"n\":1}\n{\"n\":2}");
    assert_eq!(home.pass().new_lines, 1);
    home.write("a.jsonl", "{\"n\":1}\r\n{\"n\":2}\r\n\n");
    assert_eq!(home.pass().new_lines, 0);
    assert_eq!(home.kept("a.jsonl"), "{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn of_whole_files_an_older_state_stays_only_if_it_says_more() {
    let mut home = Home::new();
    let state = |texts: &[&str], at: &str| json!({"updated": at, "messages": texts}).to_string();
    home.write("chat.json", &state(&["q"], "2026-01-01T00:00:00Z"));
    assert_eq!(home.pass().changed, 1);
    home.write("chat.json", &state(&["q", "a"], "2026-01-02T00:00:00Z"));
    assert_eq!((home.pass().older_states, home.names()), (0, vec!["chat.json.zst".to_owned()]));
    home.write("chat.json", &state(&["other"], "2026-01-03T00:00:00Z"));
    assert_eq!(home.pass().older_states, 1);
    assert_eq!(home.names(), ["chat.json.zst", "chat~1.json.zst"]);
    assert_eq!(home.kept("chat~1.json"), state(&["q", "a"], "2026-01-02T00:00:00Z"));
    // What is half written is left for the next pass.
    home.write("chat.json", "{\"messages\":[\"ot");
    let pass = home.pass();
    assert_eq!((pass.changed, pass.failed), (0, 1));
    assert!(pass.failures[0].contains("a program may be writing it"), "{:?}", pass.failures);
    home.write("chat.json", &state(&["other", "b"], "2026-01-04T00:00:00Z"));
    assert_eq!((home.pass().changed, home.kept("chat.json").contains("\"b\"")), (1, true));
}

#[test]
fn a_second_process_is_refused_and_a_lost_state_keeps_nothing_twice() {
    let mut home = Home::new();
    home.write("a.jsonl", "{\"n\":1}\n");
    home.pass();
    let folder = home.archive.folder().to_owned();
    let error = Archive::open(&folder).unwrap_err().to_string();
    assert!(error.contains("another `retort keep`"), "{error}");
    fs::remove_file(folder.join(".seen.json")).unwrap();
    let Home { folder: whole, archive } = home;
    drop(archive);
    let mut home = Home { archive: Archive::open(&folder).unwrap(), folder: whole };
    assert_eq!(home.pass().new_lines, 0);
}

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// The lines of the files that are there, as often as they are there.
fn whole_lines(folder: &Path) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).unwrap();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        for line in whole.split('\n').filter(|line| !line.is_empty()) {
            *counts.entry((name.clone(), line.to_owned())).or_default() += 1;
        }
    }
    counts
}

#[test]
fn no_line_is_lost_whatever_is_rotated_cut_and_deleted() {
    // RETORT_KEEPS=1000 for more.
    let steps =
        std::env::var("RETORT_KEEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut home = Home::new();
    let tool = home.folder.path().join("tool");
    let mut chance = Chance(7);
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for step in 0..steps {
        let name = format!("s{}.jsonl", chance.below(3));
        let path = home.path(&name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        match chance.below(8) {
            0 => drop(fs::remove_file(&path)),
            1 => drop(fs::rename(&path, home.path(&format!("s{}.jsonl", 3 + chance.below(3))))),
            // Cut anywhere, also within a line.
            2 => home.write(&name, &text[..chance.below(text.len() + 1)]),
            3 => home.write(&name, &format!("{{\"new\":{step}}}\n{text}")),
            4 => home.write(&name, &format!("{text}{{\"cut\":{step}")),
            _ => {
                let mut file = fs::File::options().append(true).create(true).open(&path).unwrap();
                for _ in 0..=chance.below(4) {
                    writeln!(file, "{{\"step\":{step},\"n\":{}}}", chance.below(3)).unwrap();
                }
            }
        }
        if chance.below(2) == 0 {
            for (line, count) in whole_lines(&tool) {
                let most = seen.entry(line).or_default();
                *most = (*most).max(count);
            }
            assert_eq!(home.pass().failed, 0);
        }
    }
    let names: BTreeSet<_> = seen.keys().map(|(name, _)| name.clone()).collect();
    assert!(names.len() > 3 && seen.len() > steps / 8, "{} lines of {names:?}", seen.len());
    let mut kept: BTreeMap<(String, String), usize> = BTreeMap::new();
    for name in names {
        for line in home.kept(&name).lines() {
            *kept.entry((name.clone(), line.to_owned())).or_default() += 1;
        }
    }
    for (line, count) in seen {
        assert!(kept.get(&line).is_some_and(|kept| *kept >= count), "{line:?} {count}");
    }
}

#[test]
fn the_archive_is_read_as_the_folders_were() {
    let home = TempDir::new().unwrap();
    let claude = home.path().join(".claude/projects/-w");
    let line = |role: &str, id: &str, parent: Option<&str>, text: &str| {
        json!({"type": role, "uuid": id, "parentUuid": parent, "sessionId": "s1", "timestamp": "2026-01-01T00:00:00Z",
            "message": {"role": role, "content": text}})
        .to_string()
    };
    let asked = line("user", "a", None, "Where is it?");
    let answered = line("assistant", "b", Some("a"), "Here.");
    fs::create_dir_all(&claude).unwrap();
    fs::write(claude.join("s1.jsonl"), format!("{asked}\n{answered}\n")).unwrap();
    fs::create_dir_all(home.path().join("elsewhere/sessions")).unwrap();
    let elsewhere = home.path().join("elsewhere");
    let watched = agents(home.path(), |name| (name == "CODEX_HOME").then(|| elsewhere.clone()));
    let names: Vec<_> = watched.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["claude-code", "codex"]);
    let mut archive = Archive::open(&home.path().join("kept")).unwrap();
    archive.pass(&watched, &AtomicBool::new(false)).unwrap();
    fs::remove_dir_all(home.path().join(".claude")).unwrap();
    assert_eq!(archive.size().unwrap().1, 1);
    let bench = Bench::new();
    let inputs = vec![Input::Path(archive.folder().to_owned())];
    let plan = bench.plan(inputs, &[("data_format", "openai")]);
    let (report, rejects) = run(&plan);
    assert_eq!((report.unwrap().found.account.read, rejects.len()), (1, 0));
    assert_eq!(records(&plan)[0]["messages"][1]["content"], "Here.");
}

/// A database of Goose's shape, as `sessions.db` has it.
fn goose(path: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    db.execute_batch(
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, name TEXT, working_dir TEXT, created_at TIMESTAMP, extension_data TEXT);
         CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT, role TEXT, content_json TEXT,
            created_timestamp INTEGER);
         CREATE TABLE secrets (name TEXT, token TEXT);
         INSERT INTO secrets VALUES ('api', 'sk-secret');
         INSERT INTO sessions VALUES ('s', 'T', '/w', '2026-01-01 00:00:00', '{}');",
    )
    .unwrap();
    db
}

fn say(db: &rusqlite::Connection, role: &str, text: &str) {
    let content = json!([{"type": "text", "text": text}]).to_string();
    let row = "INSERT INTO messages (session_id, role, content_json, created_timestamp) VALUES ('s', ?1, ?2, 1767225600)";
    db.execute(row, (role, content)).unwrap();
}

#[test]
fn rows_of_a_database_stay_when_they_are_deleted_and_nothing_else_of_it_is_kept() {
    let mut home = Home::new();
    let db = goose(&home.path("sessions.db"));
    say(&db, "user", "Where is it, exactly?");
    say(&db, "assistant", "It is");
    // The session and two messages; what is in the log counts.
    assert_eq!(home.pass().new_lines, 3);
    assert_eq!((home.pass().changed, home.pass().new_lines), (0, 0));
    let answer = json!([{"type": "text", "text": "It is here, on the table."}]).to_string();
    db.execute("UPDATE messages SET content_json = ?1 WHERE id = 2", [answer]).unwrap();
    let pass = home.pass();
    assert_eq!((pass.new_lines, pass.older_states), (1, 0), "it says all that it said, and more");
    // What is said instead of it puts the old state aside; what is deleted stays.
    let other = json!([{"type": "text", "text": "I do not know where it is."}]).to_string();
    db.execute("UPDATE messages SET content_json = ?1 WHERE id = 2", [other]).unwrap();
    db.execute("DELETE FROM messages WHERE id = 1", []).unwrap();
    let pass = home.pass();
    assert_eq!((pass.new_lines, pass.older_states), (1, 1));
    assert!(home.kept("sessions.db/.older-messages.jsonl").contains("on the table"));
    drop(db);
    fs::remove_file(home.path("sessions.db")).unwrap();
    home.pass();

    let kept = home.archive.folder().join("tool/sessions.db");
    let mut names: Vec<_> =
        fs::read_dir(&kept).unwrap().map(|one| one.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".older-messages.jsonl.zst", "messages.jsonl.zst", "sessions.jsonl.zst"]);
    let bench = Bench::new();
    let plan = bench
        .plan(vec![Input::Path(home.archive.folder().to_owned())], &[("data_format", "openai")]);
    let (report, rejects) = run(&plan);
    assert_eq!((report.unwrap().found.account.read, rejects.len()), (1, 0), "{rejects:?}");
    let said: Vec<_> = records(&plan)[0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["content"].clone())
        .collect();
    assert_eq!(said, [json!("Where is it, exactly?"), json!("I do not know where it is.")]);
}

#[test]
fn no_row_is_lost_whatever_is_changed_and_deleted() {
    // RETORT_KEEPS=1000 for more.
    let steps = std::env::var("RETORT_KEEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut home = Home::new();
    let db = goose(&home.path("sessions.db"));
    let mut chance = Chance(11);
    let mut seen = BTreeSet::new();
    for step in 0..steps {
        let text = format!("What was said at step {step} of them all");
        match chance.below(6) {
            0 => drop(
                db.execute("DELETE FROM messages WHERE id % 3 = ?1", [chance.below(3) as i64])
                    .unwrap(),
            ),
            1 => {
                let text = json!([{"type": "text", "text": text}]).to_string();
                db.execute("UPDATE messages SET content_json = ?1 WHERE id = (SELECT max(id) FROM messages)", [text]).unwrap();
            }
            2 => drop(db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM;")),
            _ => say(&db, "user", &text),
        }
        if chance.below(2) == 0 {
            let mut rows = db.prepare("SELECT content_json FROM messages").unwrap();
            seen.extend(
                rows.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap),
            );
            let pass = home.pass();
            assert_eq!(pass.failed, 0, "{:?}", pass.failures);
        }
    }
    let older = home.archive.folder().join("tool/sessions.db/.older-messages.jsonl.zst");
    let older =
        if older.exists() { home.kept("sessions.db/.older-messages.jsonl") } else { String::new() };
    let kept = home.kept("sessions.db/messages.jsonl") + &older;
    assert!(seen.len() > steps / 5, "{}", seen.len());
    for content in seen {
        let text = serde_json::from_str::<serde_json::Value>(&content).unwrap()[0]["text"].clone();
        assert!(kept.contains(text.as_str().unwrap()), "{text}");
    }
}
