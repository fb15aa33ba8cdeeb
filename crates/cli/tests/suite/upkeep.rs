//! What an operator relies on: who may read the files, what a kill leaves, what notices a changed file, how a server is
//! set up.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::asking::{Client, Server};
use crate::support::bucket::Bucket;
use crate::support::keeping::*;
use crate::support::{chats, ended, finish};
use retort_testing::postgres;
use serde_json::{Value, json};

fn with_dataset() -> Keep {
    let keep = Keep::sqlite();
    keep.place.file("in.jsonl", chats(50));
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.ok(&["export", "x", "-q"]);
    keep
}

fn each_below(path: &Path, look: &mut dyn FnMut(&Path)) {
    look(path);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            each_below(&entry.unwrap().path(), look);
        }
    }
}

/// Changes the files' times to a moment that is clearly later.
fn touch(files: &[&Path]) {
    for path in files {
        let file = fs::OpenOptions::new().append(true).open(path).unwrap();
        let later = file.metadata().unwrap().modified().unwrap() + Duration::from_secs(60);
        file.set_modified(later).unwrap();
    }
}

/// The object of the dataset `x` whose package calls it so.
fn object(keep: &Keep, end: &str) -> PathBuf {
    let mut found = None;
    each_below(&keep.place.path("data/objects"), &mut |path| {
        if path.to_string_lossy().ends_with(end) {
            found = Some(path.to_owned());
        }
    });
    found.unwrap_or_else(|| panic!("no object `{end}`"))
}

#[test]
fn the_store_and_its_files_are_for_its_own_account_alone() {
    let keep = with_dataset();
    let mut server = Server::begin(&keep, "serve.log", &[]);
    let client = server.token(&server.sign_in(&keep));
    let chat = chats(1);
    assert_eq!(client.ask(&server.base, "POST", "/conversations", &[], &chat).unwrap().status, 200);
    keep.ok(&["backup", "copy"]);
    let mut count = 0;
    for folder in ["data", "copy"] {
        each_below(&keep.place.path(folder), &mut |path| {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{}: {mode:o}", path.display());
            count += 1;
        });
    }
    assert!(count > 15, "the store, its log, and objects: {count}");
    server.child.kill().unwrap();
    ended(&mut server.child, 5);
    // What is written for someone is as their system has it.
    keep.ok(&["datasets", "download", "x", "-q"]);
    let mode = fs::metadata(keep.place.path("x.zip")).unwrap().permissions().mode() & 0o777;
    assert_ne!(mode, 0o600, "{mode:o}");
}

#[test]
#[cfg(debug_assertions)]
fn a_dataset_whose_deletion_broke_off_is_removed_by_a_worker() {
    let keep = with_dataset();
    let file = keep.place.path("panic-at");
    let keep = keep.set("RETORT_PANIC_AT", file.to_str().unwrap());
    keep.place.file("panic-at", "dataset.delete");
    assert_eq!(keep.run(&["datasets", "delete", "x", "--yes"]).code, Some(70));
    let left = || files_below(&keep.place.path("data/objects")).len();
    assert!(left() > 3);
    keep.ok(&["worker", "--once", "-q"]);
    assert_eq!(left(), 0);
    keep.ok(&["doctor"]);
}

#[test]
fn what_is_not_as_the_store_has_it_is_noticed() {
    // The data is changed, and the receipt beside it made to fit.
    let keep = with_dataset();
    let (data, receipt) = (object(&keep, ".jsonl"), object(&keep, "manifest.json"));
    let text = fs::read_to_string(&data).unwrap();
    let changed = text.replacen("answer", "ANSWER", 1);
    assert_eq!(text.len(), changed.len());
    let manifest = fs::read_to_string(&receipt).unwrap();
    let manifest = manifest.replace(&sha256(text.as_bytes()), &sha256(changed.as_bytes()));
    fs::write(&data, changed).unwrap();
    fs::write(&receipt, manifest).unwrap();
    touch(&[&data, &receipt]);
    let ran = keep.run(&["datasets", "verify", "x"]);
    assert_eq!(ran.code, Some(3), "{}{}", ran.out, ran.err);
    assert!((ran.out + &ran.err).contains("the store says"));
    for doctor in [&["doctor", "--deep"][..], &["doctor"]] {
        let ran = keep.run(doctor);
        assert_eq!(ran.code, Some(3), "{doctor:?}: {}{}", ran.out, ran.err);
    }
    let ran = keep.run(&["datasets", "download", "x", "-q"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("SHA-256 differs"), "{}", ran.err);
    assert!(!keep.place.path("x.zip").exists());

    // A packed copy, which downloads send, is damaged later.
    let keep = with_dataset();
    keep.ok(&["datasets", "download", "x", "-q"]);
    let packed = object(&keep, ".jsonl.deflate");
    let mut bytes = fs::read(&packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&packed, bytes).unwrap();
    let ran = keep.run(&["datasets", "download", "x", "-q", "--force"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("SHA-256 differs"), "{}", ran.err);

    // What a backup brought back is as it was, though later.
    let keep = with_dataset();
    let receipt = object(&keep, "manifest.json");
    touch(&[&receipt]);
    keep.ok(&["doctor"]);
}

#[test]
fn a_server_is_reached_at_its_root_whatever_stands_at_the_end_of_its_address() {
    let keep = Keep::sqlite();
    // Report url-with-trailing-slash.
    let url = ["--behind-proxy", "--url", "https://example.org/"];
    let mut server = Server::begin(&keep, "serve.log", &url);
    assert!(keep.said("serve.log").contains("https://example.org/sign-in/link#"));
    server.child.kill().unwrap();
    ended(&mut server.child, 5);
    for url in [
        "https://example.org/retort",
        "example.org",
        "ftp://example.org",
        "https://a@b.c",
        "https://a/?b",
    ] {
        keep.misused(&["serve", "--listen", "127.0.0.1:0", "--behind-proxy", "--url", url], url);
    }
}

#[test]
fn an_endpoint_without_tls_is_told_how_to_be_allowed() {
    // Report s3-endpoint-without-tls.
    let keep = with_dataset();
    let bucket = Bucket::new();
    let mut command = keep.command(&["export", "y"]);
    bucket.known_to(&mut command);
    command.env_remove("AWS_ALLOW_HTTP");
    let ran = finish(command, Vec::new());
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("AWS_ALLOW_HTTP=true"), "{}", ran.err);
}

#[test]
fn a_token_of_a_store_that_was_never_served_needs_a_person() {
    let keep = with_dataset();
    let add = ["tokens", "add", "nightly", "--scope", "read"];
    keep.refused(&add, "run `retort serve` once");
    keep.ok(&["users", "add", "ann", "--role", "member"]);
    keep.ok(&[&add[..], &["--person", "ann"]].concat());
}

#[test]
fn the_owner_of_the_store_sees_and_ends_what_everyone_made() {
    let keep = with_dataset();
    let ann = "ann@example.org";
    keep.ok(&["users", "add", ann, "--role", "member"]);
    let scopes = ["--scope", "write", "--scope", "export"];
    let token = keep.ok(&[&["tokens", "add", "t", "--person", ann], &scopes[..]].concat()).out;
    let mut server = Server::begin(&keep, "serve.log", &["--no-worker"]);
    let client = Client::new(&[("authorization", &format!("Bearer {}", token.trim()))]);
    let ask = |path: &str, body: &str| {
        let answer = client.ask(&server.base, "POST", path, &[], body).unwrap();
        assert!(answer.status < 300, "{}", answer.body);
    };
    let item = chats(1).replace("c00000", "ann-1");
    ask("/conversations", &item);
    ask("/exports", r#"{"dataset_name": "hers"}"#);
    keep.ok(&["worker", "--once", "-q"]);
    ask("/exports", r#"{"dataset_name": "waits"}"#);
    server.child.kill().unwrap();
    ended(&mut server.child, 5);
    let job = keep.job("waits");
    assert_eq!((&job["creator"], &job["state"]), (&json!(ann), &json!("queued")));
    keep.ok(&["jobs", "cancel", &job["id"].to_string()]);
    assert_eq!(keep.job("waits")["state"], "cancelled");
    let listed = keep.ok(&["datasets", "list"]).out;
    assert!(listed.contains(ann) && listed.contains("hers"), "{listed}");
    keep.ok(&["datasets", "verify", "hers"]);
    assert!(keep.ok(&["trace", "ann-1"]).out.contains("hers"));
    assert!(keep.ok(&["trace", "--person", ann]).out.contains("hers"));
    let nobody = keep.ok(&["trace", "--person", "nobody"]);
    assert_eq!((nobody.out.as_str(), nobody.err.as_str()), ("", "no dataset contains it\n"));
    keep.ok(&["purge", "ann-1", "--yes"]);
    assert!(keep.ok(&["trace", "ann-1"]).out.contains("hers"));
    keep.ok(&["datasets", "delete", "hers", "--yes"]);
    assert!(!keep.ok(&["datasets", "list"]).out.contains("hers"));
}

#[test]
fn a_dataset_is_rebuilt_as_if_what_went_had_never_been_in_it() {
    let keep = Keep::sqlite();
    keep.place.file("in.jsonl", chats(60));
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.ok(&["export", "all", "--check", "off", "-q"]);
    let rows = |name: &str| {
        let files = keep.dataset(name);
        let mut data = files.iter().filter(|(path, _)| path.ends_with(".jsonl"));
        String::from_utf8(data.next().unwrap().1.clone()).unwrap()
    };
    let before = rows("all");
    let rebuild = ["datasets", "rebuild", "all", "--yes"];
    let with = |more: &[&'static str]| [&rebuild, more].concat();
    keep.refused(&with(&["--without", "nobody"]), "no such item");
    keep.ok(&with(&["--without", "c00007", "--keep", "-q"]));
    let left: String =
        before.split_inclusive('\n').filter(|line| !line.contains("c00007")).collect();
    assert_eq!((rows("all"), rows("all-2")), (before.clone(), left.clone()));
    assert_eq!((before.lines().count(), left.lines().count()), (60, 59));
    keep.ok(&["purge", "c00007", "--yes"]);
    let ran = keep.ok(&rebuild);
    assert!(ran.err.contains("59 conversations of `all` kept"), "{}", ran.err);
    assert_eq!(rows("all"), left);
    keep.ok(&["datasets", "verify", "all"]);
    let traced = keep.ok(&["trace", "c00007"]);
    assert_eq!((traced.out.as_str(), traced.err.as_str()), ("", "no dataset contains it\n"));
    keep.ok(&["doctor", "--deep"]);

    // The same through a server.
    let mut server = Server::begin(&keep, "serve.log", &[]);
    let scopes = ["--scope", "read", "--scope", "export"];
    let token = keep.ok(&[&["tokens", "add", "t", "--person", "local"], &scopes[..]].concat()).out;
    let there = ["--server", &server.base, "--token", token.trim()];
    keep.ok(&[&there, &with(&["--without", "c00009"])[..]].concat());
    server.child.kill().unwrap();
    ended(&mut server.child, 5);
    assert_eq!(rows("all").lines().count(), 58);
}

/// What `doctor --erased` says of these texts, and with which code it ends.
fn search(keep: &Keep, texts: &str, more: &[&str]) -> (Option<i32>, Value) {
    keep.place.file("texts", texts);
    let ran = keep.run(&[&["doctor", "--erased", "texts", "--json"], more].concat());
    for text in texts.lines() {
        assert!(!(ran.out.clone() + &ran.err).contains(text), "{}{}", ran.out, ran.err);
    }
    (ran.code, serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err)))
}

/// Where those texts were found.
fn places(searched: &Value) -> Vec<String> {
    let found = searched["found"].as_array().unwrap().iter();
    found.map(|one| one["place"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn doctor_proves_that_a_purged_text_is_gone() {
    let keep = Keep::sqlite();
    let (said, title) = ("my number is zx-0007-77123, thank you", "zqtitle-81 of a \"letter\"");
    let long = "a large answer without repetition, ".to_owned() + &Chance::of(5).sentence(30_000);
    let item = json!({"id": "secret", "title": title, "messages": [
        {"role": "user", "content": said}, {"role": "assistant", "content": long}]});
    keep.place.file("in.jsonl", format!("{}{item}\n", chats(50)));
    keep.ok(&["import", "in.jsonl", "-q"]);
    for (name, format, compression) in
        [("lines", "jsonl", "none"), ("columns", "parquet", "none"), ("packed", "jsonl", "zstd")]
    {
        let options = ["--file-format", format, "--compress", compression];
        keep.ok(&[&["export", name, "-q"], &options[..]].concat());
    }
    keep.ok(&["datasets", "download", "lines", "-q"]);
    keep.ok(&["backup", "copy"]);
    let middle = &long[long.len() / 2..long.len() / 2 + 300];
    let texts = format!("{said}\n{title}\n{middle}\n");

    let (code, searched) = search(&keep, &texts, &["--also", "copy"]);
    assert_eq!(code, Some(3), "{searched}");
    let found = places(&searched);
    for place in [
        "conversation `secret`",
        "table `conversation`",
        "retort.sqlite",
        "`lines`: packed/",
        "`columns`: ",
        "`packed`: ",
        "copy/objects/",
        "copy/retort.sqlite, body ",
    ] {
        assert!(found.iter().any(|one| one.contains(place)), "{place} in {found:#?}");
    }
    assert_eq!(searched["not_searched"], json!([]));

    // What is purged stays in the datasets until they are deleted, too.
    keep.ok(&["purge", "secret", "--yes"]);
    let (code, searched) = search(&keep, &texts, &[]);
    let found = places(&searched);
    assert!(code == Some(3) && found.iter().all(|place| place.contains("dataset ")), "{found:#?}");
    for name in ["lines", "columns", "packed"] {
        keep.ok(&["datasets", "delete", name, "--yes"]);
    }
    let (code, searched) = search(&keep, &texts, &[]);
    assert_eq!((code, &searched["found"]), (Some(0), &json!([])), "{searched}");
    assert!(searched["files"].as_u64() >= Some(1) && searched["bytes"].as_u64() > Some(10_000));

    // As it is told to people.
    let told = keep.ok(&["doctor", "--erased", "texts"]).out;
    assert!(told.contains("no text was found") && told.contains("files searched"), "{told}");
    let found = keep.run(&["doctor", "--erased", "texts", "--also", "in.jsonl"]);
    assert_eq!(found.code, Some(3));
    assert!(found.out.contains("line 1: in.jsonl"), "{}", found.out);
    keep.place.file("short", "a long text\nyes\n");
    let ran = keep.run(&["doctor", "--erased", "short"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("line 2"), "{}", ran.err);
    keep.refused(&["doctor", "--erased", "none"], "cannot read `none`");
}

/// What erases purged rows from the files of PostgreSQL.
const ERASES: [&str; 6] = [
    "VACUUM (FULL, ANALYZE)",
    "VACUUM FULL pg_statistic",
    "ALTER SYSTEM SET wal_recycle = off",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "CHECKPOINT",
];

#[test]
fn doctor_proves_it_of_postgresql_once_its_files_are_rewritten() {
    let on_its_socket_alone = "-c listen_addresses='' -c autovacuum=off";
    let Some(server) = postgres::Server::start(on_its_socket_alone) else { return };
    let url = server.new_database("erased");
    let sql =
        |sql: &str| postgres::succeed(server.psql(&url).args(["-v", "ON_ERROR_STOP=1", "-c", sql]));
    let keep = Keep::postgres(url.clone());
    let data = server.folder.join("data");
    let data = ["--also", data.to_str().unwrap()];
    let (said, title) = ("my number is zx-0007-77123, thank you", "zqtitle-81 of a letter");
    let item = json!({"id": "secret", "title": title, "tags": ["zqtag-5512"], "messages": [
        {"role": "user", "content": said}, {"role": "assistant", "content": "noted"}]});
    keep.place.file("in.jsonl", format!("{}{item}\n", chats(50)));
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.ok(&["export", "x", "-q"]);
    keep.ok(&["datasets", "delete", "x", "--yes"]);
    for statement in ["ANALYZE", "CHECKPOINT"] {
        sql(statement);
    }
    let dumps = keep.run(&["backup", "before"]);
    let can_dump = dumps.code == Some(0);
    if !can_dump {
        eprintln!("dumps are passed over: {}", dumps.err);
    }

    let texts = format!("{said}\n{title}\nzqtag-5512\n");
    let found_in = |more: &[&str]| {
        let (code, searched) = search(&keep, &texts, more);
        let found = places(&searched);
        assert_eq!(code, Some(if found.is_empty() { 0 } else { 3 }), "{searched}");
        assert!(searched["not_searched"].to_string().contains("its data folder"), "{searched}");
        found
    };
    let found = found_in(&data);
    for place in ["conversation `secret`", "table `conversation`", "data/base/", "data/pg_wal/"] {
        assert!(found.iter().any(|one| one.contains(place)), "{place} in {found:#?}");
    }
    if can_dump {
        let found = found_in(&["--also", "before"]);
        assert!(found.contains(&"before/retort.dump".to_owned()), "{found:#?}");
    }

    keep.ok(&["purge", "secret", "--yes"]);
    assert_eq!(found_in(&[]), [""; 0]);
    assert_ne!(found_in(&data), [""; 0], "rows that PostgreSQL marked as deleted");
    // As `docs/server.md` says.
    for statement in ERASES {
        sql(statement);
    }
    assert_eq!(found_in(&data), [""; 0]);
    if can_dump {
        keep.ok(&["backup", "after"]);
        assert_eq!(found_in(&["--also", "after"]), [""; 0]);
        let empty = server.new_database("restored");
        let objects = keep.place.path("restored");
        let place = ["--store", &empty, "--objects", objects.to_str().unwrap()];
        keep.ok(&[&["restore-backup", "after"], &place[..]].concat());
        assert_eq!(keep.ok(&[&["list", "--count"], &place[..]].concat()).out, "50\n");
    }
}
