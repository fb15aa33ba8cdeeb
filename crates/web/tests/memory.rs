//! What is sent or asked for to fill the memory does not. Alone in its process, and one after the other: what it held at
//! the most is everyone's.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use bytes::Bytes;
use futures_util::stream;
use retort_testing_server::server::{As, TestServer, on_sqlite, said};
use serde_json::json;

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const GIB: usize = 1 << 30;
const PIECE: usize = 1 << 20;

/// The most memory that this process ever held, in MiB.
fn most_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

/// A conversation with a text of a gibibyte, made while it is sent.
fn endless() -> reqwest::Body {
    let piece = Bytes::from(vec![b'a'; PIECE]);
    let start =
        Bytes::from_static(b"{\"id\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    let pieces = std::iter::once(start)
        .chain(std::iter::repeat_n(piece, GIB / PIECE))
        .chain(std::iter::once(Bytes::from_static(b"\"}]}")))
        .map(Ok::<_, std::io::Error>);
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

/// The same packed.
fn packed<W: Write>(mut into: W) -> W {
    into.write_all(b"{\"id\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"").unwrap();
    let piece = vec![b'a'; PIECE];
    for _ in 0..GIB / PIECE {
        into.write_all(&piece).unwrap();
    }
    into.write_all(b"\"}]}").unwrap();
    into
}

async fn import(server: &TestServer, ann: &As, body: reqwest::Body) -> serde_json::Value {
    let job = server.request("POST", "/api/v1/imports").by(ann).body(body).send().await.id();
    server.ended_job("imports", job, ann).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_of_text_and_bombs_are_refused_in_bounded_memory() {
    let _alone = ALONE.lock().await;
    let gzip = packed(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let gzip = gzip.finish().unwrap();
    let zstd = packed(zstd::Encoder::new(Vec::new(), 1).unwrap()).finish().unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    archive.start_file("conversations.jsonl", options).unwrap();
    let archive = packed(archive).finish().unwrap().into_inner();

    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        import(server, &ann, said("small").to_string().into()).await;
        let before = most_mib();

        let ask = server.request("POST", "/api/v1/conversations").by(&ann).body(endless());
        ask.send().await.refused(413, "too-large");
        let after = most_mib();
        assert!(after < before + 100, "{before} MiB before, {after} MiB after");

        for bomb in [&gzip, &zstd, &archive] {
            let ask = server.request("POST", "/api/v1/conversations").by(&ann).body(bomb.clone());
            ask.send().await.refused(422, "unreadable");
            let after = most_mib();
            assert!(after < before + 300, "{before} MiB before, {after} MiB after");
        }
        for bomb in [endless(), gzip.clone().into(), zstd.clone().into(), archive.clone().into()] {
            let job = import(server, &ann, bomb).await;
            assert!(job["records"] == 0, "{job}");
        }
        // One item is held whole, up to its bound of 256 MiB, and the buffer that holds it grows by doubling.
        let after = most_mib();
        assert!(after < before + 700, "{before} MiB before, {after} MiB after");

        let list = server.get("/api/v1/conversations", &ann).await.ok();
        assert_eq!(list["conversations"].as_array().unwrap().len(), 1, "{list}");
    })
    .await;
}

/// Has the most be counted from now on.
fn forget_the_most() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The bytes of an answer, none of which is kept.
async fn bytes_of(server: &TestServer, path: &str, who: &As) -> usize {
    let As::Session(secret) = who else { panic!("a session") };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(format!("http://{}{path}", server.address));
    let asked =
        asked.header("cookie", format!("retort={secret}")).header("x-forwarded-for", "203.0.113.9");
    let mut answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        bytes += chunk.len();
    }
    bytes
}

/// Imports a conversation of about so many bytes; its length.
async fn import_large(server: &TestServer, ann: &As, id: &str, bytes: usize) -> usize {
    let text = "some words ".repeat(200);
    let message = |role: &str| format!("{{\"role\":\"{role}\",\"content\":\"{text}\"}}");
    let round = format!("{},{}", message("user"), message("assistant"));
    let rounds = vec![round; bytes / (2 * text.len())].join(",");
    let large = format!("{{\"id\":\"{id}\",\"messages\":[{rounds}]}}");
    let length = large.len();
    import(server, ann, large.into()).await;
    length
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_large_conversations_take_memory_for_one_at_a_time() {
    let _alone = ALONE.lock().await;
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let mut length = 0;
        for id in ["a", "b", "c"] {
            length = import_large(server, &ann, id, 12_000_000).await >> 20;
        }
        for (name, file_format, times) in [("j", "jsonl", 4), ("c", "csv", 6)] {
            forget_the_most();
            let before = most_mib();
            let asked = json!({"dataset_name": name, "file_format": file_format});
            let job = server.post("/api/v1/exports", &ann, asked).await.id();
            let job = server.ended_job("exports", job, &ann).await;
            assert_eq!((&job["state"], &job["records"]), (&json!("completed"), &json!(3)), "{job}");
            let after = most_mib();
            let most = before + (length * times) as u64;
            assert!(after < most, "{name}: {before} MiB before, {after} MiB after, not {most}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_the_json_of_a_large_conversation_take_little_memory() {
    let _alone = ALONE.lock().await;
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let length = import_large(server, &ann, "large", 18_000_000).await;
        let share = async |asked| {
            let shared = server.post("/api/v1/shares", &ann, asked).await;
            shared.json()["path"].as_str().unwrap().to_owned()
        };
        let page = share(json!({"conversation": "large"})).await + "?after=5000";
        // Without the redaction of megabytes, which takes seconds.
        let json = share(json!({"conversation": "large", "unredacted": true})).await;
        let json = json.replace("/s/", "/api/v1/shared/");
        for (path, most) in [
            ("/conversations/large", 5 << 20),
            ("/conversations/large?after=5000", 5 << 20),
            ("/api/v1/conversations/large", length * 2),
            (&*page, 5 << 20),
            (&*json, length * 2),
        ] {
            // Once, so that what everything takes once is not counted.
            server.get("/conversations/none", &ann).await;
            forget_the_most();
            let before = most_mib();
            let bytes = bytes_of(server, path, &ann).await;
            let after = most_mib();
            assert!(bytes < most && bytes > 1 << 20, "{path}: {bytes}");
            assert!(after < before + 40, "{path}: {before} MiB before, {after} MiB after");
        }
    })
    .await;
}
