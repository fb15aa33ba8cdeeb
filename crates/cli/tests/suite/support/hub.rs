//! A small server that speaks the part of the Hub's API that pushes and reads datasets, as documented, and checks what it is
//! sent: the token, hashes and sizes, and that a commit names only objects that are there. Objects are downloaded from
//! another address, which must not see the token.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::http::{Request, read_request};

pub const TOKEN: &str = "hf_that-nobody-may-see";

/// Bytes of a piece; larger files are uploaded in pieces.
pub const PIECE: usize = 4096;

/// Entries on a page of a list.
const PAGE: usize = 2;

/// Files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

#[derive(Default)]
struct Kept {
    address: String,
    /// Where objects are downloaded from.
    storage: String,
    /// Whether each repository is private.
    repositories: BTreeMap<String, bool>,
    objects: BTreeMap<String, Vec<u8>>,
    pieces: BTreeMap<(String, usize), Vec<u8>>,
    verified: BTreeSet<String>,
    /// Files of each repository.
    files: BTreeMap<String, Files>,
    commits: Vec<Vec<Value>>,
    /// Commits of each repository with their files, the last one last.
    history: BTreeMap<String, Vec<(String, Files)>>,
    /// Gated repositories: access must be requested.
    gated: BTreeSet<String>,
    /// After how many bytes the storage closes the connection, and for how many downloads.
    cut: Option<(usize, usize)>,
    /// Whether the storage sends bytes that differ from what was stored.
    is_damaged: bool,
    requests: Vec<String>,
    /// Uploads that are still answered before the Hub fails for good.
    uploads_left: Option<usize>,
    /// Requests that are still answered with 503.
    busy: usize,
}

pub struct FakeHub(Arc<Mutex<Kept>>);

impl FakeHub {
    pub fn new() -> Self {
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            (listener, address)
        };
        let ((hub, address), (files, storage)) = (listen(), listen());
        let kept = Arc::new(Mutex::new(Kept { address, storage, ..Kept::default() }));
        for (listener, is_storage) in [(hub, false), (files, true)] {
            let serving = Arc::clone(&kept);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (stream, kept) = (stream.unwrap(), Arc::clone(&serving));
                    std::thread::spawn(move || answer_all(&stream, &kept, is_storage));
                }
            });
        }
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

    /// Makes a private repository, or a commit to it, with these files, and returns the commit.
    pub fn commit(&self, repository: &str, files: &[(&str, &[u8])]) -> String {
        let mut kept = self.0.lock().unwrap();
        kept.repositories.entry(repository.into()).or_insert(true);
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()));
        let files = files.collect::<BTreeMap<_, _>>();
        kept.commits.push(Vec::new());
        kept.committed(repository, files)
    }

    pub fn set_gated(&self, repository: &str) {
        self.0.lock().unwrap().gated.insert(repository.into());
    }

    /// Makes the storage close the connection after `bytes`, for the next `downloads`.
    pub fn cut(&self, bytes: usize, downloads: usize) {
        self.0.lock().unwrap().cut = Some((bytes, downloads));
    }

    pub fn set_damaged(&self, is_damaged: bool) {
        self.0.lock().unwrap().is_damaged = is_damaged;
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    cut: Option<usize>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into(), cut: None }
}

fn refused(status: u16, why: &str) -> Answer {
    answer(status, json!({"error": why}).to_string())
}

/// A refusal to read, as the Hub sends it.
fn refused_as(status: u16, code: &str, why: &str) -> Answer {
    Answer { headers: vec![("X-Error-Code", code.into())], ..refused(status, why) }
}

fn answer_all(stream: &TcpStream, kept: &Mutex<Kept>, is_storage: bool) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Ok(Some(request)) = read_request(&mut reader) {
        let answer = match is_storage {
            true => kept.lock().unwrap().stored(&request),
            false => kept.lock().unwrap().answer(&request),
        };
        let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!(
            "HTTP/1.1 {} So\r\n{}Content-Length: {}\r\n\r\n",
            answer.status,
            headers.collect::<String>(),
            answer.body.len()
        );
        let written = writer.write_all(head.as_bytes());
        let body = &answer.body[..answer.cut.unwrap_or(answer.body.len()).min(answer.body.len())];
        if written.and_then(|()| writer.write_all(body)).is_err() || answer.cut.is_some() {
            return;
        }
    }
}

impl Kept {
    fn answer(&mut self, request: &Request) -> Answer {
        let Request { method, path, headers, body, query } = request;
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
        let is_signed = match is_signed {
            Some(signed) if signed == format!("Bearer {TOKEN}") => true,
            Some(_) => return refused(401, "Invalid credentials in Authorization header"),
            None => false,
        };
        if let ("GET", ["api", "datasets", organization, name, what, revision, file @ ..])
        | ("GET", ["datasets", organization, name, what @ "resolve", revision, file @ ..]) =
            (method.as_str(), &parts[..])
        {
            let name = format!("{organization}/{name}");
            return self.read(&name, (what, revision), (&file.join("/"), query), is_signed);
        }
        if !is_signed {
            return refused(401, "Invalid username or password.");
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
            ("POST", ["api", "datasets", organization, name, "preupload", "main"]) => {
                let there = self.files.get(&format!("{organization}/{name}"));
                let sent = sent();
                let modes = sent["files"].as_array().unwrap().iter().map(|file| mode(file, there));
                let modes = modes.collect::<Vec<_>>();
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
                Answer { headers: vec![("ETag", format!("\"e{piece}\""))], ..answer(200, "") }
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
        let files = files.clone();
        let oid = self.committed(repository, files);
        answer(200, json!({"success": true, "commitOid": oid}).to_string())
    }
}

impl Kept {
    /// Finishes a commit with these files, and returns its id.
    fn committed(&mut self, repository: &str, files: Files) -> String {
        let oid = format!("{:040x}", self.commits.len());
        self.files.insert(repository.into(), files.clone());
        self.history.entry(repository.into()).or_default().push((oid.clone(), files));
        oid
    }

    /// Answers requests about a dataset at a revision.
    fn read(
        &self,
        repository: &str,
        (what, revision): (&str, &str),
        (path, query): (&str, &BTreeMap<String, String>),
        is_signed: bool,
    ) -> Answer {
        let Some(is_private) =
            self.repositories.get(repository).filter(|private| is_signed || !**private)
        else {
            return refused_as(401, "RepoNotFound", "Repository not found");
        };
        let history = &self.history[repository];
        let is_main = revision == "main";
        let commit =
            if is_main { history.last() } else { history.iter().find(|one| one.0 == revision) };
        let Some((oid, files)) = commit else {
            return refused_as(404, "RevisionNotFound", "Invalid rev id");
        };
        if what == "resolve" && self.gated.contains(repository) {
            return refused_as(403, "GatedRepo", "Access to this dataset is restricted");
        }
        match what {
            "revision" => {
                let body = json!({"id": repository, "sha": oid, "private": is_private});
                answer(200, body.to_string())
            }
            "commits" => {
                let day = history.iter().position(|one| one.0 == *oid).unwrap() + 1;
                let date = format!("2026-03-{day:02}T10:00:00.000Z");
                answer(200, json!([{"id": oid, "title": "so", "date": date}]).to_string())
            }
            "tree" => self.tree(repository, oid, files, (path, query)),
            "resolve" => match files.get(path) {
                Some(bytes) if is_object(path) => {
                    let place = format!("{}/{}", self.storage, sha256(bytes));
                    Answer { headers: vec![("Location", place)], ..answer(302, "") }
                }
                Some(bytes) => answer(200, bytes.clone()),
                None => refused_as(404, "EntryNotFound", "Entry not found"),
            },
            _ => refused(404, "no such address"),
        }
    }

    /// A page of the list of a folder.
    fn tree(
        &self,
        repository: &str,
        oid: &str,
        files: &Files,
        (path, query): (&str, &BTreeMap<String, String>),
    ) -> Answer {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let is_all = query["recursive"] == "true";
        let mut entries = BTreeMap::new();
        for (file, bytes) in files.iter().filter(|(file, _)| file.starts_with(&below)) {
            let within = &file[below.len()..];
            for (end, _) in within.match_indices('/') {
                let folder = format!("{below}{}", &within[..end]);
                let entry =
                    json!({"type": "directory", "oid": "0".repeat(40), "size": 0, "path": folder});
                entries.insert(folder, entry);
            }
            entries.insert(file.clone(), entry(file, bytes));
        }
        if entries.is_empty() {
            return refused_as(404, "EntryNotFound", "does not exist");
        }
        let is_direct = |name: &String| !name[below.len()..].contains('/');
        let entries: Vec<_> = entries
            .into_iter()
            .filter(|(name, _)| is_all || is_direct(name))
            .map(|(_, one)| one)
            .collect();
        let from = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let page = &entries[from..entries.len().min(from + PAGE)];
        let mut answer = answer(200, json!(page).to_string());
        if from + PAGE < entries.len() {
            let next = format!(
                "<{}/api/datasets/{repository}/tree/{oid}/{path}?recursive={is_all}&cursor={}>; rel=\"next\"",
                self.address,
                from + PAGE
            );
            answer.headers.push(("Link", next));
        }
        answer
    }

    /// Answers requests to the storage for an object.
    fn stored(&mut self, request: &Request) -> Answer {
        let Request { path, headers, .. } = request;
        self.requests
            .push(format!("STORAGE {path} {}", headers.get("range").map_or("", |range| range)));
        assert!(!headers.contains_key("authorization"), "the storage sees the token");
        let of_commits = self.history.values().flatten().flat_map(|(_, files)| files.values());
        let object = of_commits.into_iter().find(|bytes| sha256(bytes) == *path);
        let Some(mut bytes) = object.cloned() else { return refused(404, "no such object") };
        if self.is_damaged {
            bytes[0] ^= 1;
        }
        let mut answer = match headers.get("range") {
            None => answer(200, bytes),
            Some(range) => {
                let from: usize =
                    range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
                let told = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Answer { headers: vec![("Content-Range", told)], ..answer(206, &bytes[from..]) }
            }
        };
        if let Some((bytes, left @ 1..)) = &mut self.cut {
            *left -= 1;
            answer.cut = Some(*bytes);
        }
        answer
    }
}

/// A file as a list shows it.
fn entry(path: &str, bytes: &[u8]) -> Value {
    let size = bytes.len();
    let mut entry = json!({"type": "file", "oid": git_oid(bytes), "size": size, "path": path});
    if is_object(path) {
        entry["lfs"] = json!({"oid": sha256(bytes), "size": size, "pointerSize": 130});
        entry["oid"] = json!("1".repeat(40));
    }
    entry
}

/// The hash of a file as Git knows it.
fn git_oid(bytes: &[u8]) -> String {
    let header = format!("blob {}\0", bytes.len());
    let oid = Sha1::new().chain_update(header).chain_update(bytes).finalize();
    oid.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file is kept as an object, as the Hub's `.gitattributes` says of Parquet.
fn is_object(path: &str) -> bool {
    path.ends_with(".parquet") || path.ends_with(".gz")
}

fn mode(file: &Value, there: Option<&Files>) -> Value {
    let path = file["path"].as_str().unwrap();
    let sample = STANDARD.decode(file["sample"].as_str().unwrap()).unwrap();
    assert_eq!(sample.len() as u64, file["size"].as_u64().unwrap().min(512));
    let mode = if is_object(path) { "lfs" } else { "regular" };
    let there = there.and_then(|files| files.get(path));
    let oid = there.map(|bytes| match is_object(path) {
        true => sha256(bytes),
        false => git_oid(bytes),
    });
    json!({"path": path, "uploadMode": mode, "shouldIgnore": false, "oid": oid})
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
