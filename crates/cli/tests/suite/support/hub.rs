//! A small server that speaks the part of the Hub's API that pushes datasets, as documented, and checks what it is sent: the
//! token, hashes and sizes, and that a commit names only objects that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::{Request, read_request};

pub const TOKEN: &str = "hf_that-nobody-may-see";

/// Bytes of a piece; larger files are uploaded in pieces.
pub const PIECE: usize = 4096;

#[derive(Default)]
struct Kept {
    address: String,
    /// Whether each repository is private.
    repositories: BTreeMap<String, bool>,
    objects: BTreeMap<String, Vec<u8>>,
    pieces: BTreeMap<(String, usize), Vec<u8>>,
    verified: BTreeSet<String>,
    /// Files of each repository.
    files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    commits: Vec<Vec<Value>>,
    requests: Vec<String>,
    /// Uploads that are still answered before the Hub fails for good.
    uploads_left: Option<usize>,
    /// Requests that are still answered with 503.
    busy: usize,
}

pub struct FakeHub(Arc<Mutex<Kept>>);

impl FakeHub {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept { address, ..Kept::default() }));
        let serving = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&serving));
                std::thread::spawn(move || answer_all(&stream, &kept));
            }
        });
        Self(kept)
    }

    pub fn address(&self) -> String {
        self.0.lock().unwrap().address.clone()
    }

    pub fn is_private(&self, repository: &str) -> bool {
        self.0.lock().unwrap().repositories[repository]
    }

    pub fn create(&self, repository: &str, is_private: bool) {
        self.0.lock().unwrap().repositories.insert(repository.into(), is_private);
    }

    pub fn files(&self, repository: &str) -> BTreeMap<String, Vec<u8>> {
        self.0.lock().unwrap().files.get(repository).cloned().unwrap_or_default()
    }

    pub fn commits(&self) -> Vec<Vec<Value>> {
        self.0.lock().unwrap().commits.clone()
    }

    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    /// Fails for good after so many uploads.
    pub fn fail_after(&self, uploads: Option<usize>) {
        self.0.lock().unwrap().uploads_left = uploads;
    }

    pub fn set_busy(&self, requests: usize) {
        self.0.lock().unwrap().busy = requests;
    }
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Vec<u8>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, etag: None, body: body.into() }
}

fn refused(status: u16, why: &str) -> Answer {
    answer(status, json!({"error": why}).to_string())
}

fn answer_all(stream: &TcpStream, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Ok(Some(request)) = read_request(&mut reader) {
        let answer = kept.lock().unwrap().answer(&request);
        let etag = answer.etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {} So\r\n{etag}Content-Length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        let written = writer.write_all(head.as_bytes());
        if written.and_then(|()| writer.write_all(&answer.body)).is_err() {
            return;
        }
    }
}

impl Kept {
    fn answer(&mut self, request: &Request) -> Answer {
        let Request { method, path, headers, body, .. } = request;
        self.requests.push(format!("{method} {path}"));
        if self.busy > 0 {
            self.busy -= 1;
            return refused(503, "busy");
        }
        let is_signed = headers.get("authorization").map(String::as_str);
        let parts: Vec<&str> = path.split('/').collect();
        // The storage is elsewhere in truth, so it must not see the token; the test's has the same address.
        if let ["upload", oid, piece @ ..] = &parts[..] {
            return self.upload(method, oid, piece, body);
        }
        if is_signed != Some(&format!("Bearer {TOKEN}")) {
            return refused(401, "Invalid credentials in Authorization header");
        }
        let sent = || serde_json::from_slice::<Value>(body).unwrap();
        match (method.as_str(), &parts[..]) {
            ("POST", ["api", "repos", "create"]) => {
                let sent = sent();
                assert_eq!(sent["type"], "dataset");
                let name = format!(
                    "{}/{}",
                    sent["organization"].as_str().unwrap(),
                    sent["name"].as_str().unwrap()
                );
                if self.repositories.contains_key(&name) {
                    return refused(409, "You already created this dataset repo");
                }
                self.repositories.insert(name.clone(), sent["private"].as_bool().unwrap());
                answer(200, json!({"url": format!("/datasets/{name}")}).to_string())
            }
            ("GET", ["api", "datasets", organization, name]) => {
                let private = self.repositories[&format!("{organization}/{name}")];
                answer(200, json!({"private": private}).to_string())
            }
            ("GET", ["datasets", organization, name, "raw", "main", file @ ..]) => {
                let files = self.files.get(&format!("{organization}/{name}"));
                match files.and_then(|files| files.get(&file.join("/"))) {
                    Some(bytes) => answer(200, bytes.clone()),
                    None => refused(404, "Entry not found"),
                }
            }
            ("POST", ["api", "datasets", _, _, "preupload", "main"]) => {
                let modes =
                    sent()["files"].as_array().unwrap().iter().map(mode).collect::<Vec<_>>();
                answer(200, json!({"files": modes}).to_string())
            }
            ("POST", ["datasets", _, _, "info", "lfs", "objects", "batch"]) => {
                assert_eq!(headers["content-type"], "application/vnd.git-lfs+json");
                assert_eq!(headers["accept"], "application/vnd.git-lfs+json");
                let sent = sent();
                assert_eq!(sent["operation"], "upload");
                assert_eq!(sent["hash_algo"], "sha256");
                let objects: Vec<_> = sent["objects"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| self.object(one))
                    .collect();
                answer(200, json!({"transfer": "multipart", "objects": objects}).to_string())
            }
            ("POST", ["complete", oid]) => self.complete(oid, &sent()),
            ("POST", ["verify"]) => {
                let sent = sent();
                let oid = sent["oid"].as_str().unwrap();
                assert_eq!(self.objects[oid].len() as u64, sent["size"].as_u64().unwrap());
                self.verified.insert(oid.to_owned());
                answer(200, "{}")
            }
            ("POST", ["api", "datasets", organization, name, "commit", "main"]) => {
                assert_eq!(headers["content-type"], "application/x-ndjson");
                self.commit(&format!("{organization}/{name}"), body)
            }
            _ => refused(404, &format!("no such address: {method} {path}")),
        }
    }

    fn object(&self, one: &Value) -> Value {
        let (oid, size) = (one["oid"].as_str().unwrap(), one["size"].as_u64().unwrap());
        if self.objects.contains_key(oid) {
            return json!({"oid": oid, "size": size});
        }
        let address = &self.address;
        let verify = json!({"href": format!("{address}/verify")});
        let upload = if size as usize > PIECE {
            let pieces = (size as usize).div_ceil(PIECE);
            let mut header = json!({"chunk_size": PIECE.to_string()});
            for piece in 1..=pieces {
                header[piece.to_string()] = json!(format!("{address}/upload/{oid}/{piece}"));
            }
            json!({"href": format!("{address}/complete/{oid}"), "header": header})
        } else {
            json!({"href": format!("{address}/upload/{oid}")})
        };
        json!({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
    }

    fn upload(&mut self, method: &str, oid: &str, piece: &[&str], body: &[u8]) -> Answer {
        assert_eq!(method, "PUT");
        match &mut self.uploads_left {
            Some(0) => return refused(400, "the storage is full"),
            Some(left) => *left -= 1,
            None => {}
        }
        match piece {
            [] => {
                if sha256(body) != oid {
                    return refused(400, "the content is not what its hash says");
                }
                self.objects.insert(oid.to_owned(), body.to_vec());
                answer(200, "")
            }
            [piece] => {
                let piece: usize = piece.parse().unwrap();
                self.pieces.insert((oid.to_owned(), piece), body.to_vec());
                Answer { etag: Some(format!("\"e{piece}\"")), ..answer(200, "") }
            }
            _ => refused(404, "no such upload"),
        }
    }

    fn complete(&mut self, oid: &str, sent: &Value) -> Answer {
        assert_eq!(sent["oid"], oid);
        let mut whole = Vec::new();
        for (index, part) in sent["parts"].as_array().unwrap().iter().enumerate() {
            let number = index + 1;
            assert_eq!(part["partNumber"], number);
            assert_eq!(part["etag"], format!("\"e{number}\""));
            whole.extend(self.pieces.remove(&(oid.to_owned(), number)).unwrap());
        }
        assert_eq!(sha256(&whole), oid);
        self.objects.insert(oid.to_owned(), whole);
        answer(200, "{}")
    }

    fn commit(&mut self, repository: &str, body: &[u8]) -> Answer {
        let lines: Vec<Value> = std::str::from_utf8(body)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["key"], "header");
        assert!(!lines[0]["value"]["summary"].as_str().unwrap().is_empty());
        let files = self.files.entry(repository.to_owned()).or_default();
        for line in &lines[1..] {
            let (value, path) =
                (&line["value"], line["value"]["path"].as_str().unwrap().to_owned());
            match line["key"].as_str().unwrap() {
                "file" => {
                    assert_eq!(value["encoding"], "base64");
                    let content = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                    files.insert(path, content);
                }
                "lfsFile" => {
                    assert_eq!(value["algo"], "sha256");
                    let oid = value["oid"].as_str().unwrap();
                    let Some(object) = self.objects.get(oid) else {
                        return refused(400, "LFS pointer pointed to a file that does not exist");
                    };
                    assert!(self.verified.contains(oid), "{path} was not verified");
                    assert_eq!(object.len() as u64, value["size"].as_u64().unwrap());
                    files.insert(path, object.clone());
                }
                "deletedFile" => assert!(files.remove(&path).is_some(), "{path} is not there"),
                other => panic!("unknown operation {other}"),
            }
        }
        self.commits.push(lines);
        let oid = format!("{:040x}", self.commits.len());
        answer(200, json!({"success": true, "commitOid": oid}).to_string())
    }
}

/// Data files are kept as objects, as the Hub's `.gitattributes` says of Parquet.
fn mode(file: &Value) -> Value {
    let path = file["path"].as_str().unwrap();
    let sample = STANDARD.decode(file["sample"].as_str().unwrap()).unwrap();
    assert_eq!(sample.len() as u64, file["size"].as_u64().unwrap().min(512));
    let mode = if path.ends_with(".parquet") { "lfs" } else { "regular" };
    json!({"path": path, "uploadMode": mode, "shouldIgnore": false})
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
