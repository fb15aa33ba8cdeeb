//! SQLite databases: their tables as rows, and what is refused.

use std::fs;
use std::path::Path;

use retort_engine::{ConvertPlan, Input};
use retort_formats::import::Mapping;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, asked, records, run};

/// A database with a table of conversations, one of nothing that is known, an empty one, and a view.
fn chats(path: &Path, count: usize) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(
        "CREATE TABLE settings (name TEXT, value BLOB);
         CREATE TABLE chats (id TEXT PRIMARY KEY, messages JSON, score REAL, notes TEXT,
                             shout TEXT GENERATED ALWAYS AS (upper(notes)) VIRTUAL);
         CREATE TABLE empty (id INTEGER);
         CREATE VIEW shown AS SELECT * FROM chats;
         INSERT INTO settings VALUES ('theme', x'00ff');",
    )
    .unwrap();
    db.execute_batch("BEGIN").unwrap();
    for number in 0..count {
        // Pretty-printed, as a row of JSON Lines must not be.
        let messages = json!([
            {"role": "user", "content": format!("Where is {number}?")},
            {"role": "assistant", "content": format!("{number} is here.")},
        ]);
        let messages = serde_json::to_string_pretty(&messages).unwrap();
        let row = (format!("c{number}"), messages, 0.5, "{\"a\": 1}");
        db.execute("INSERT INTO chats VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    db
}

fn plan_of(bench: &Bench, path: &Path) -> ConvertPlan {
    bench.plan(vec![Input::Path(path.to_owned())], &[("data_format", "openai")])
}

#[test]
fn each_table_is_read_like_a_file_of_rows() {
    let bench = Bench::new();
    let path = bench.path("any.db");
    drop(chats(&path, 3));
    let plan = plan_of(&bench, &path);
    let (report, rejects) = run(&plan);
    let report = report.unwrap();
    assert_eq!(rejects, Vec::<Value>::new());
    assert_eq!((report.found.account.read, report.found.account.refused), (3, 0));
    let asked: Vec<_> = records(&plan).iter().map(|record| asked(record).to_owned()).collect();
    assert_eq!(asked, ["Where is 0?", "Where is 1?", "Where is 2?"]);
    // The table without histories is passed over by name; an empty one says nothing.
    let passed: Vec<_> = report.found.passed_over.iter().map(|(why, ..)| why.as_str()).collect();
    assert_eq!(passed, ["not-a-history"]);
}

#[test]
fn what_a_program_has_only_written_to_its_log_is_read_and_nothing_is_written() {
    let bench = Bench::new();
    let folder = bench.path("live");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("live.sqlite");
    let open = Connection::open(&path).unwrap();
    open.pragma_update(None, "journal_mode", "wal").unwrap();
    open.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let open = {
        drop(open);
        let db = chats(&path, 0);
        db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let messages = json!([{"role": "user", "content": "Only in the log?"},
                              {"role": "assistant", "content": "Yes."}]);
        let row = ("late", messages.to_string());
        db.execute("INSERT INTO chats (id, messages) VALUES (?1, ?2)", row).unwrap();
        db
    };
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name(), fs::read(entry.path()).unwrap())
            })
            .collect();
        names.sort();
        names
    };
    let before = names();
    let plan = plan_of(&bench, &path);
    run(&plan).0.unwrap();
    assert_eq!(records(&plan).iter().map(asked).collect::<Vec<_>>(), ["Only in the log?"]);
    assert!(before == names(), "the program's files stay as they are");
    drop(open);
}

#[test]
fn a_damaged_database_is_refused_and_the_rest_is_read() {
    let bench = Bench::new();
    let folder = bench.path("histories");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("cut.db");
    drop(chats(&path, 2_000));
    let bytes = fs::read(&path).unwrap();
    // Its schema is there, and half of its rows.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(folder.join("noise.db"), [&b"SQLite format 3\0"[..], &[7; 5000]].concat()).unwrap();
    let chat = crate::support::chat("whole");
    fs::write(folder.join("whole.jsonl"), chat.to_string()).unwrap();
    let plan = plan_of(&bench, &folder);
    let (report, rejects) = run(&plan);
    let account = report.unwrap().found.account;
    assert!(records(&plan).iter().any(|record| asked(record) == "Where is whole?"));
    let told: Vec<_> = rejects.iter().map(ToString::to_string).collect();
    assert_eq!(account.refused, 2, "{told:#?}");
    assert!(told.iter().all(|why| why.contains("damaged") && why.contains("SQLite")), "{told:#?}");
}

#[test]
fn a_database_that_no_format_knows_names_its_tables() {
    let bench = Bench::new();
    let path = bench.path("other.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE birds (name TEXT); INSERT INTO birds VALUES ('owl');").unwrap();
    drop(db);
    let (report, _) = run(&plan_of(&bench, &path));
    let told = report.unwrap_err().to_string();
    assert!(told.contains("`birds`") && told.contains("--map"), "{told}");
}

#[test]
fn a_row_that_is_too_large_does_not_end_its_table() {
    let bench = Bench::new();
    let path = bench.path("large.db");
    let db = chats(&path, 2);
    db.execute("UPDATE chats SET notes = printf('%.*c', 300000, 'x') WHERE id = 'c0'", []).unwrap();
    drop(db);
    let mut plan = plan_of(&bench, &path);
    plan.reading.max_item = 100_000;
    let (report, rejects) = run(&plan);
    assert_eq!(report.unwrap().found.account.refused, 1, "{rejects:?}");
    assert!(rejects.first().unwrap().to_string().contains("1 of its rows"), "{rejects:?}");
    assert_eq!(records(&plan).len(), 1);
}

/// A database that another tool archives chats in, of the real histories.
#[test]
fn a_real_archive_with_a_full_text_index_is_read_row_for_row() {
    let Some(root) = retort_testing::real_data() else { return };
    let path = root.join("chat-structurer/sample_archive.sqlite");
    let db = Connection::open_with_flags(
        format!("file:{}?immutable=1", path.display()),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
    )
    .unwrap();
    let mut texts =
        db.prepare("SELECT text FROM messages ORDER BY canonical_thread_id, ts").unwrap();
    let there: Vec<String> =
        texts.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let bench = Bench::new();
    let mapping = json!({"table": "messages",
        "rows": {"key": "canonical_thread_id", "order": "ts"},
        "message": {"role": "role", "text": "text"}});
    let mapping: Mapping = serde_json::from_value(mapping).unwrap();
    let mut plan = plan_of(&bench, &path);
    plan.from = Some(mapping.into_format().unwrap());
    let (report, rejects) = run(&plan);
    assert_eq!(report.unwrap().found.account.read, 3, "{rejects:?}");
    let mut read: Vec<String> = records(&plan)
        .iter()
        .flat_map(|record| record["messages"].as_array().unwrap().clone())
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect();
    let mut there = there;
    read.sort();
    there.sort();
    assert_eq!(read, there);
}

/// A real session of OpenCode's, in its database and in the files of older versions: its parts are joined to messages, and
/// those to the session.
#[test]
fn a_real_session_of_opencode_is_joined_from_its_tables_and_from_its_files() {
    let Some(root) = retort_testing::real_data() else { return };
    let root = root.join("git-ai/fixtures");
    for (input, said) in [
        (
            "opencode-sqlite/opencode.db",
            [
                "Please update index.ts using sqlite transcript data",
                "I will make the edit from sqlite.",
                "Edit applied",
                "Done from sqlite source.",
            ],
        ),
        (
            "opencode-storage",
            [
                "Update the comment in index.ts to say 'Hello World'",
                "I'll update the comment in index.ts for you.",
                "Edit applied successfully.",
                "Done! I've updated the comment to 'Hello World'.",
            ],
        ),
    ] {
        let bench = Bench::new();
        let plan = plan_of(&bench, &root.join(input));
        let (report, rejects) = run(&plan);
        let account = report.unwrap().found.account;
        assert_eq!((account.read, account.refused), (1, 0), "{input}: {rejects:?}");
        let records = records(&plan);
        let messages = records[0]["messages"].as_array().unwrap().iter();
        let texts: Vec<_> = messages.filter_map(|one| one["content"].as_str()).collect();
        assert_eq!(texts, said, "{input}");
        assert_eq!(records[0]["messages"][1]["tool_calls"][0]["function"]["name"], "edit");
    }
}

/// A database whose last two conversations are only in its write-ahead log, and the log.
fn with_log(bench: &Bench) -> (Vec<u8>, Vec<u8>) {
    let path = bench.path("live.db");
    let db = chats(&path, 1);
    db.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;").unwrap();
    for id in ["w1", "w2"] {
        let messages = json!([{"role": "user", "content": format!("Where is {id}?")},
            {"role": "assistant", "content": "Here."}]);
        let row = (id, messages.to_string(), 0.5, "");
        db.execute("INSERT INTO chats VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    }
    // The program that it belongs to still has it open.
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    (read("live.db"), read("live.db-wal"))
}

fn asked_in(path: &Path, bench: &Bench) -> Vec<String> {
    let plan = plan_of(bench, path);
    let (report, rejects) = run(&plan);
    report.unwrap();
    assert_eq!(rejects, Vec::<Value>::new());
    let mut asked: Vec<_> = records(&plan).iter().map(|record| asked(record).to_owned()).collect();
    asked.sort();
    asked
}

#[test]
fn a_database_in_an_archive_is_read_with_its_log() {
    use std::io::Write;
    let bench = Bench::new();
    let (database, log) = with_log(&bench);
    let expect = ["Where is 0?", "Where is w1?", "Where is w2?"];
    let names = [("x/chats.db", &database), ("x/chats.db-wal", &log)];
    let zip_path = bench.path("packed.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&zip_path).unwrap());
    for (name, bytes) in names {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(asked_in(&zip_path, &bench), expect);
    // The log may come before or behind the database.
    for names in [names, [names[1], names[0]]] {
        let bench = Bench::new();
        let path = bench.path("packed.tar");
        let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
        for (name, bytes) in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.finish().unwrap();
        assert_eq!(asked_in(&path, &bench), expect);
    }
}

/// The tables of Open WebUI's `webui.db` that say something, and two that do not, after its models `chats.py`, `feedbacks.py`
/// and `chat_messages.py` (<https://github.com/open-webui/open-webui/tree/main/backend/open_webui/models>) as SQLAlchemy
/// creates them: `JSON` is declared as such, `Boolean` is a number.
const WEBUI: &str = "
    CREATE TABLE auth (id VARCHAR NOT NULL, email VARCHAR, password TEXT, active BOOLEAN, PRIMARY KEY (id));
    CREATE TABLE config (id INTEGER NOT NULL, data JSON NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (id));
    CREATE TABLE chat (
        id VARCHAR NOT NULL, user_id VARCHAR, title TEXT, chat JSON, created_at BIGINT, updated_at BIGINT,
        share_id TEXT, archived BOOLEAN, pinned BOOLEAN, meta JSON DEFAULT '{}', variables JSON, folder_id TEXT, tasks JSON,
        summary TEXT, current_message_id TEXT, last_read_at BIGINT, timer_at BIGINT, PRIMARY KEY (id), UNIQUE (share_id));
    CREATE INDEX user_id_pinned_idx ON chat (user_id, pinned);
    CREATE TABLE feedback (
        id TEXT NOT NULL, user_id TEXT, version BIGINT, type TEXT, data JSON, meta JSON, snapshot JSON, created_at BIGINT,
        updated_at BIGINT, PRIMARY KEY (id));
    CREATE TABLE chat_message (
        id TEXT NOT NULL, chat_id TEXT, user_id TEXT, role TEXT, parent_id TEXT, content JSON, output JSON, model_id TEXT,
        files JSON, sources JSON, embeds JSON, done BOOLEAN, status_history JSON, error JSON, usage JSON, created_at BIGINT,
        updated_at BIGINT, PRIMARY KEY (id));
    INSERT INTO auth VALUES ('u1', 'ann@example.org', '$2b$12$secret', 1);
    INSERT INTO config VALUES (1, '{\"version\": 0, \"ui\": {}}', 0);";

#[test]
fn the_database_of_open_webui_gives_its_chats_and_ratings_once() {
    let bench = Bench::new();
    let path = bench.path("webui.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(WEBUI).unwrap();
    let message = |id: &str, parent: Value, children: Value, role: &str, text: &str| {
        json!({"id": id, "parentId": parent, "childrenIds": children, "role": role, "content": text,
            "timestamp": 1_760_000_000, "model": "m", "done": true})
    };
    let rated = json!({"rating": 1, "model_id": "m", "reason": "accurate_information", "comment": "Right."});
    let chat = |question: &str| {
        let mut shown = message("a2", json!("q"), json!([]), "assistant", "the shown answer");
        if question == "Where?" {
            // The page writes a rating into the chat, too.
            shown["annotation"] = rated.clone();
            shown["feedbackId"] = "f1".into();
        }
        json!({"title": "T", "models": ["m"], "history": {"currentId": "a2", "messages": {
            "q": message("q", Value::Null, json!(["a1", "a2"]), "user", question),
            "a1": message("a1", json!("q"), json!([]), "assistant", "the first answer"),
            "a2": shown}}})
    };
    for (id, question) in [("c1", "Where?"), ("c2", "When?")] {
        db.execute(
            "INSERT INTO chat VALUES (?1, 'u1', 'T', ?2, 1760000000, 1760000001, NULL, 0, 0, '{\"tags\": [\"x\"]}', NULL,
                NULL, NULL, NULL, NULL, NULL, NULL)",
            (id, chat(question).to_string()),
        )
        .unwrap();
        for (message, role) in [("q", "user"), ("a1", "assistant"), ("a2", "assistant")] {
            db.execute(
                "INSERT INTO chat_message VALUES (?1, ?2, 'u1', ?3, NULL, '\"copied\"', NULL, 'm', NULL, NULL, NULL, 1, NULL,
                    NULL, NULL, 1760000000, 1760000000)",
                (format!("{id}-{message}"), id, role),
            )
            .unwrap();
        }
    }
    let meta = json!({"chat_id": "c1", "message_id": "a2", "model_id": "m"});
    let row = json!({"id": "c1", "user_id": "u1", "title": "T", "chat": chat("Where?"), "created_at": 1_760_000_000});
    db.execute(
        "INSERT INTO feedback VALUES ('f1', 'u1', 0, 'rating', ?1, ?2, ?3, 1760000002, 1760000002)",
        (rated.to_string(), meta.to_string(), json!({"chat": row}).to_string()),
    )
    .unwrap();
    drop(db);

    let plan = bench.plan(vec![Input::Path(path)], &[("data_format", "retort")]);
    let (report, rejects) = run(&plan);
    let report = report.unwrap();
    let why: Vec<_> = rejects.iter().map(|one| (&one["input"], &one["reason"])).collect();
    let again = (&json!("webui.db/feedback"), &json!("repeated-id"));
    assert_eq!(why, [again], "a rating has the chat that is there anyway");
    let rows = records(&plan);
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c1", "c2"]);
    for row in &rows {
        assert_eq!((&row["source"], &row["tags"]), (&json!("open-webui"), &json!(["x"])), "{row}");
        let said = row["rounds"].to_string();
        for answer in ["the first answer", "the shown answer"] {
            assert_eq!(said.matches(answer).count(), 1, "{row}");
        }
        assert!(!row.to_string().contains("copied") && !row.to_string().contains("secret"));
    }
    assert!(rows[0].to_string().contains("Right."), "{}", rows[0]);
    assert!(!rows[1].to_string().contains("Right."));
    let passed: Vec<_> = report.found.passed_over.iter().map(|(_, count, _)| count).collect();
    assert_eq!(passed.iter().sum::<u64>(), 3, "the tables of accounts, settings and copies");
}
