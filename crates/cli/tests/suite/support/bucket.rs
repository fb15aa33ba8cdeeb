//! A small server that speaks enough of S3 for datasets: in memory, on a port of its own, and able to fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::http::{Request, read_request};

pub const KEY: &str = "AKIDFORTESTSONLY";
pub const SECRET: &str = "a-secret-that-nobody-may-see";

/// Keys on one page of a list: few, so that there are several pages.
const PAGE: usize = 3;

#[derive(Default)]
struct State {
    kept: Mutex<Kept>,
    ended: AtomicBool,
    down: AtomicBool,
    /// Answers that are still to fail, and with which status.
    failing: AtomicU64,
    status: AtomicU16,
    /// Objects that may still be begun before it goes down.
    down_after: Mutex<Option<u64>>,
    delay_ms: AtomicU64,
}

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, (String, BTreeMap<u32, Vec<u8>>)>,
    begun: u64,
    /// Method, key and query of each request that was answered.
    requests: Vec<String>,
}

pub struct Bucket {
    address: SocketAddr,
    state: Arc<State>,
}

impl Bucket {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        std::thread::spawn(move || serve(listener, address, &serving));
        Self { address, state }
    }

    /// Tells a command where it is.
    pub fn known_to(&self, command: &mut Command) {
        command
            .env("RETORT_OBJECTS", "s3://bucket/some/prefix")
            .env("AWS_ENDPOINT", format!("http://{}", self.address))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("NO_PROXY", "*");
    }

    /// From now on it refuses connections and ends those that are there, or no longer does.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
        // The listener is given up, or back.
        while TcpStream::connect(self.address).is_ok() == down {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Goes down when one object more than so many is begun.
    pub fn set_down_after(&self, objects: u64) {
        *self.state.down_after.lock().unwrap() = Some(objects);
    }

    /// The next so many requests are answered with this status.
    pub fn fail_next(&self, requests: u64, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
        self.state.failing.store(requests, Ordering::SeqCst);
    }

    /// Requests that are still to fail.
    pub fn failing(&self) -> u64 {
        self.state.failing.load(Ordering::SeqCst)
    }

    /// Each answer takes so long.
    pub fn set_delay(&self, delay_ms: u64) {
        self.state.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Key and bytes of all objects.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.kept.lock().unwrap().objects.clone()
    }

    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.state.kept.lock().unwrap().objects.insert(key.to_owned(), bytes.to_vec());
    }

    pub fn remove(&self, key: &str) {
        assert!(self.state.kept.lock().unwrap().objects.remove(key).is_some(), "no `{key}`");
    }

    /// What was asked for since this was asked last.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.kept.lock().unwrap().requests)
    }

    /// Objects of which parts came that were neither put together nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state.kept.lock().unwrap().uploads.len()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
    }
}

fn serve(listener: TcpListener, address: SocketAddr, state: &Arc<State>) {
    let mut listening = Some(listener);
    while !state.ended.load(Ordering::SeqCst) {
        if state.down.load(Ordering::SeqCst) {
            listening = None;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let listener = listening.get_or_insert_with(|| TcpListener::bind(address).unwrap());
        listener.set_nonblocking(true).unwrap();
        match listener.accept() {
            Ok((stream, _)) => {
                let state = Arc::clone(state);
                std::thread::spawn(move || {
                    let _ = answer_all(&stream, &state);
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

fn answer_all(stream: &TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader)? {
        if state.down.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(Duration::from_millis(state.delay_ms.load(Ordering::SeqCst)));
        let is_head = request.method == "HEAD";
        let failed = state
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let answer = if failed.is_ok() {
            answer(state.status.load(Ordering::SeqCst), "<Error><Code>SlowDown</Code></Error>")
        } else if request.headers.get("authorization").is_none_or(|it| !it.contains(KEY)) {
            answer(403, "<Error><Code>AccessDenied</Code></Error>")
        } else {
            match state.answer(request) {
                Some(answer) => answer,
                None => break,
            }
        };
        let mut head = format!("HTTP/1.1 {} So\r\n", answer.status);
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") {
            write!(head, "Content-Length: {}\r\n", answer.body.len()).unwrap();
        }
        head.push_str("\r\n");
        writer.write_all(head.as_bytes())?;
        if !is_head {
            writer.write_all(&answer.body)?;
        }
        writer.flush()?;
    }
    Ok(())
}

/// What stands between two tags, each time.
fn between<'t>(text: &'t str, tag: &str) -> Vec<&'t str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&*open).skip(1).map(|rest| rest.split(&*close).next().unwrap()).collect()
}

const NO_KEY: &str = "<Error><Code>NoSuchKey</Code><Message>there is no such key</Message></Error>";
const NO_UPLOAD: &str = "<Error><Code>NoSuchUpload</Code></Error>";

impl State {
    /// None ends the connection.
    fn answer(&self, request: Request) -> Option<Answer> {
        let Request { method, path, query, headers, body } = request;
        // Of the object, without the bucket; empty for the bucket itself.
        let key = path.split_once('/').map_or("", |(_, key)| key).to_owned();
        let asked = |name: &str| query.get(name).map(String::as_str);
        let mut kept = self.kept.lock().unwrap();
        let names: Vec<&str> = query.keys().map(String::as_str).collect();
        kept.requests.push(format!("{method} {key} {}", names.join("&")));
        let etag = || ("ETag", "\"e\"".to_owned());
        Some(match (&*method, asked("uploadId")) {
            ("POST", None) if asked("uploads").is_some() => {
                let mut down_after = self.down_after.lock().unwrap();
                if let Some(left) = &mut *down_after {
                    if *left == 0 {
                        *down_after = None;
                        self.down.store(true, Ordering::SeqCst);
                        return None;
                    }
                    *left -= 1;
                }
                kept.begun += 1;
                let id = format!("upload-{}", kept.begun);
                kept.uploads.insert(id.clone(), (key, BTreeMap::new()));
                let text = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                answer(200, text)
            }
            ("PUT", Some(id)) => {
                let number = asked("partNumber").unwrap().parse().unwrap();
                let Some((_, parts)) = kept.uploads.get_mut(id) else {
                    return Some(answer(404, NO_UPLOAD));
                };
                parts.insert(number, body);
                Answer { headers: vec![etag()], ..answer(200, "") }
            }
            ("POST", Some(id)) => {
                let Some((key, parts)) = kept.uploads.remove(id) else {
                    return Some(answer(404, NO_UPLOAD));
                };
                let text = String::from_utf8(body).unwrap();
                let named: Vec<u32> =
                    between(&text, "PartNumber").iter().map(|n| n.parse().unwrap()).collect();
                assert!(named.iter().eq(parts.keys()), "{named:?}");
                kept.objects.insert(key, parts.into_values().flatten().collect());
                answer(
                    200,
                    "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
                )
            }
            ("DELETE", Some(id)) => {
                kept.uploads.remove(id);
                answer(204, "")
            }
            ("POST", None) if asked("delete").is_some() => {
                let text = String::from_utf8(body).unwrap();
                let mut told = String::from("<DeleteResult>");
                for key in between(&text, "Key") {
                    kept.objects.remove(key);
                    write!(told, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
                }
                answer(200, told + "</DeleteResult>")
            }
            ("GET", None) if asked("list-type").is_some() => answer(
                200,
                list(&kept.objects, asked("prefix").unwrap_or(""), asked("continuation-token")),
            ),
            ("PUT", None) => {
                kept.objects.insert(key, body);
                Answer { headers: vec![etag()], ..answer(200, "") }
            }
            ("DELETE", None) => {
                kept.objects.remove(&key);
                answer(204, "")
            }
            ("GET" | "HEAD", None) => match kept.objects.get(&key) {
                None => answer(404, NO_KEY),
                Some(bytes) => object(&method, bytes, headers.get("range"), etag()),
            },
            _ => answer(400, "<Error><Code>NotImplemented</Code></Error>"),
        })
    }
}

fn object(
    method: &str,
    bytes: &[u8],
    range: Option<&String>,
    etag: (&'static str, String),
) -> Answer {
    let mut headers = vec![etag, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT".into())];
    let (status, part) = match range {
        None => (200, bytes),
        Some(range) => {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let first: usize = first.parse().unwrap();
            let end = last.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
            let told = format!("bytes {first}-{}/{}", end - 1, bytes.len());
            headers.push(("Content-Range", told));
            (206, &bytes[first..end])
        }
    };
    headers.push(("Content-Length", part.len().to_string()));
    let body = if method == "HEAD" { Vec::new() } else { part.to_vec() };
    Answer { status, headers, body }
}

fn list(objects: &BTreeMap<String, Vec<u8>>, prefix: &str, after: Option<&str>) -> String {
    let found: Vec<_> = objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| &***key > after))
        .collect();
    let page = &found[..found.len().min(PAGE)];
    let mut text = String::from("<ListBucketResult>");
    write!(text, "<IsTruncated>{}</IsTruncated>", found.len() > PAGE).unwrap();
    if let Some((last, _)) = page.last().filter(|_| found.len() > PAGE) {
        write!(text, "<NextContinuationToken>{last}</NextContinuationToken>").unwrap();
    }
    for (key, bytes) in page {
        write!(
            text,
            "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"e\"</ETag>\
             <LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>",
            bytes.len()
        )
        .unwrap();
    }
    text + "</ListBucketResult>"
}
