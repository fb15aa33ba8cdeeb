//! Pushes packages to the Hub.
//!
//! The Hub says which files it keeps as Git LFS objects (`preupload`). The LFS batch call returns the ones that are
//! missing, with the URLs to upload them to, so files that an earlier push uploaded are not sent again. In the end, a
//! single commit adds all files and removes those that only the previous receipt lists, so the repository never shows
//! half a dataset. See <https://huggingface.co/docs/hub/api> and the [batch API of Git
//! LFS](https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use retort_formats::package::{MANIFEST, Manifest};
use retort_model::display::several;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::address::{BRANCH, HubRepository};
use super::client::{Hub, failed};
use super::oid::GitOid;
use crate::error::{Error, io_reason};
use crate::package::Package;
use crate::storage::hex;

/// Bytes from the beginning of each file that the Hub looks at to decide how to keep it.
const SAMPLE_BYTES: u64 = 512;

/// The largest file that is sent in the commit itself, which is held in memory. The Hub accepts no larger ones there.
const COMMITTED_BYTES: u64 = 10 << 20;

/// Files in one call of `preupload` or of the LFS batch, as the Hub's own client sends them.
const FILES_AT_ONCE: usize = 256;

/// Bytes that are read from a file at once.
const READ_AT_ONCE: usize = 1 << 20;

/// The largest piece of a file that is uploaded in pieces. A piece is held in memory, so that it can be sent again.
const PIECE_BYTES: u64 = 256 << 20;

/// The media type of Git LFS's requests and responses.
const LFS: &str = "application/vnd.git-lfs+json";

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The page of the dataset.
    pub url: String,
    /// The commit; none if the repository had the same dataset already.
    pub commit: Option<String>,
    /// Files whose content was sent.
    pub sent: u64,
    /// Bytes of those files.
    pub sent_bytes: u64,
    /// Files that the Hub had already.
    pub there: u64,
}

/// A file to be pushed.
#[derive(Clone, Debug)]
struct Pushing {
    path: String,
    bytes: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    path: String,
    upload_mode: String,
    /// The hash of the file that is there, as Git knows it.
    oid: Option<String>,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<BatchObject>,
}

#[derive(Deserialize)]
struct BatchObject {
    oid: String,
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    error: Option<BatchError>,
}

#[derive(Deserialize)]
struct BatchError {
    message: String,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Committed {
    commit_oid: String,
}

/// Why a file of the package cannot be pushed.
fn unread(path: &str) -> impl Fn(io::Error) -> Error {
    move |error| failed(format!("read `{path}`"), io_reason(&error))
}

impl Hub {
    /// Pushes a package in one commit, to a private repository unless `is_public`. Creates the repository if it is
    /// missing.
    ///
    /// # Errors
    /// The Hub refuses or cannot be reached; the repository is public without `is_public`; a file of the package cannot
    /// be read or has changed. What was uploaded remains there and is not sent again.
    pub fn push(
        &self,
        package: &mut Package,
        repository: &HubRepository,
        is_public: bool,
        stopped: &AtomicBool,
    ) -> Result<Pushed, Error> {
        let url = format!("{}datasets/{repository}", self.endpoint);
        self.create(repository, is_public)?;
        let before = self.receipt(repository)?;
        let files = files_of(package)?;
        let (before, is_same) = match &before {
            Some(text) => {
                let is_same = hex(&Sha256::digest(text)) == package.manifest_sha256();
                let files =
                    Manifest::parse(text).map(|manifest| manifest.files).unwrap_or_default();
                (files.into_iter().map(|file| file.path).collect::<BTreeSet<_>>(), is_same)
            }
            None => (BTreeSet::new(), false),
        };
        let mut pushed =
            Pushed { url, commit: None, sent: 0, sent_bytes: 0, there: files.len() as u64 };
        if is_same {
            return Ok(pushed);
        }
        let mut operations = Vec::new();
        for some in files.chunks(FILES_AT_ONCE) {
            self.upload(package, repository, some, stopped, (&mut operations, &mut pushed))?;
        }
        pushed.there = files.len() as u64 - pushed.sent;
        let kept: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        for path in before.iter().filter(|path| !kept.contains(path.as_str())) {
            operations.push(json!({"key": "deletedFile", "value": {"path": path}}));
        }
        pushed.commit = Some(self.commit(repository, package.manifest(), &operations)?);
        Ok(pushed)
    }

    /// Creates the repository if it does not exist. An existing one must be private unless `is_public`.
    fn create(&self, repository: &HubRepository, is_public: bool) -> Result<(), Error> {
        let what = format!("create the dataset `{repository}` on the Hub");
        let body = json!({
            "type": "dataset",
            "organization": repository.organization,
            "name": repository.name,
            "private": !is_public,
        });
        let url = self.url("api/repos/create")?;
        let answer = self.send(&what, || self.authorized(Method::POST, &url).json(&body))?;
        if answer.status() != StatusCode::CONFLICT {
            return self.body(&what, answer).map(drop);
        }
        #[derive(Deserialize)]
        struct Seen {
            private: bool,
        }
        let url = self.url(&format!("api/datasets/{repository}"))?;
        let answer = self.send(&what, || self.authorized(Method::GET, &url))?;
        let seen: Seen = self.json(&what, answer)?;
        if !seen.private && !is_public {
            return Err(Error::Choice(format!(
                "the dataset `{repository}` on the Hub is public, so everyone could read it; make it private there, or \
                 add `--public`"
            )));
        }
        Ok(())
    }

    /// The receipt that the repository has; none if it has none.
    fn receipt(&self, repository: &HubRepository) -> Result<Option<String>, Error> {
        let what = format!("read the receipt of `{repository}` on the Hub");
        let url = self.url(&format!("datasets/{repository}/raw/{BRANCH}/{MANIFEST}"))?;
        let answer = self.send(&what, || self.authorized(Method::GET, &url))?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.body(&what, answer).map(Some),
        }
    }

    /// Uploads the files that the Hub must have before the commit, and adds the operations of the commit.
    fn upload(
        &self,
        package: &mut Package,
        repository: &HubRepository,
        files: &[Pushing],
        stopped: &AtomicBool,
        (operations, pushed): (&mut Vec<Value>, &mut Pushed),
    ) -> Result<(), Error> {
        let modes = self.modes(package, repository, files)?;
        let kept =
            |file: &Pushing| modes.get(&file.path).is_some_and(|mode| mode.upload_mode == "lfs");
        let (objects, committed): (Vec<_>, Vec<_>) =
            files.iter().partition(|file| file.bytes > COMMITTED_BYTES || kept(file));
        let mut missing = self.missing(repository, &objects)?;
        for file in objects {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            // Files with the same content are sent once.
            if let Some(actions) = missing.remove(&file.sha256) {
                self.send_object(package, file, &actions)?;
                pushed.sent += 1;
                pushed.sent_bytes += file.bytes;
            }
            operations.push(json!({"key": "lfsFile", "value": {
                "path": file.path, "algo": "sha256", "oid": file.sha256, "size": file.bytes,
            }}));
        }
        for file in committed {
            let mut content = Vec::new();
            let read = package.file(&file.path).and_then(|mut open| open.read_to_end(&mut content));
            read.map_err(unread(&file.path))?;
            let there = modes.get(&file.path).and_then(|mode| mode.oid.as_deref());
            if there == Some(&*git_oid(&content)) {
                continue;
            }
            pushed.sent += 1;
            pushed.sent_bytes += file.bytes;
            operations.push(json!({"key": "file", "value": {
                "path": file.path, "content": STANDARD.encode(&content), "encoding": "base64",
            }}));
        }
        Ok(())
    }

    /// How the Hub keeps each file, and what it has of it.
    fn modes(
        &self,
        package: &mut Package,
        repository: &HubRepository,
        files: &[Pushing],
    ) -> Result<BTreeMap<String, Mode>, Error> {
        let what = format!("prepare the upload to `{repository}` on the Hub");
        let mut asked = Vec::new();
        for file in files {
            let mut sample = Vec::new();
            let read = package
                .file(&file.path)
                .and_then(|open| open.take(SAMPLE_BYTES).read_to_end(&mut sample));
            read.map_err(unread(&file.path))?;
            let sample = STANDARD.encode(&sample);
            asked.push(json!({"path": file.path, "size": file.bytes, "sample": sample}));
        }
        let body = json!({"files": asked});
        let url = self.url(&format!("api/datasets/{repository}/preupload/{BRANCH}"))?;
        let answer = self.send(&what, || self.authorized(Method::POST, &url).json(&body))?;
        let modes: Modes = self.json(&what, answer)?;
        Ok(modes.files.into_iter().map(|mode| (mode.path.clone(), mode)).collect())
    }

    /// The objects that the Hub does not have, each with the actions that upload it.
    fn missing(
        &self,
        repository: &HubRepository,
        files: &[&Pushing],
    ) -> Result<BTreeMap<String, BTreeMap<String, Action>>, Error> {
        if files.is_empty() {
            return Ok(BTreeMap::new());
        }
        let what = format!("prepare the upload to `{repository}` on the Hub");
        let objects = files.iter().map(|file| json!({"oid": file.sha256, "size": file.bytes}));
        let body = json!({
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": objects.collect::<Vec<_>>(),
            "hash_algo": "sha256",
            "ref": {"name": BRANCH},
        })
        .to_string();
        let url = self.url(&format!("datasets/{repository}.git/info/lfs/objects/batch"))?;
        let answer = self.send(&what, || {
            let request = self.authorized(Method::POST, &url).body(body.clone());
            request.header(ACCEPT, LFS).header(CONTENT_TYPE, LFS)
        })?;
        let batch: Batch = self.json(&what, answer)?;
        let mut missing = BTreeMap::new();
        for object in batch.objects {
            if let Some(error) = object.error {
                return Err(failed(what, error.message));
            }
            if object.actions.contains_key("upload") {
                missing.insert(object.oid, object.actions);
            }
        }
        Ok(missing)
    }

    /// Uploads the content of one file.
    fn send_object(
        &self,
        package: &mut Package,
        file: &Pushing,
        actions: &BTreeMap<String, Action>,
    ) -> Result<(), Error> {
        let what = format!("upload `{}` to the Hub", file.path);
        let Some(upload) = actions.get("upload") else { return Ok(()) };
        match upload.header.get("chunk_size").and_then(number_of) {
            Some(piece) => self.send_pieces(package, file, upload, piece)?,
            None => self.send_whole(&what, package, file, upload)?,
        }
        if let Some(verify) = actions.get("verify") {
            let url = parsed_url(&verify.href)?;
            let body = json!({"oid": file.sha256, "size": file.bytes});
            let answer = self.send(&what, || self.request(Method::POST, &url).json(&body))?;
            self.body(&what, answer)?;
        }
        Ok(())
    }

    /// Uploads a file in one request, to a URL that needs no token.
    fn send_whole(
        &self,
        what: &str,
        package: &mut Package,
        file: &Pushing,
        upload: &Action,
    ) -> Result<(), Error> {
        let url = parsed_url(&upload.href)?;
        let mut attempt = || -> io::Result<RequestBuilder> {
            let open = package.file(&file.path)?;
            let stream = futures_util::stream::unfold(open, |mut open| async move {
                let mut read = vec![0; READ_AT_ONCE];
                match open.read(&mut read) {
                    Ok(0) => None,
                    Ok(length) => {
                        read.truncate(length);
                        Some((Ok(Bytes::from(read)), open))
                    }
                    Err(error) => Some((Err(error), open)),
                }
            });
            let mut request = self.request(Method::PUT, &url).body(Body::wrap_stream(stream));
            for (name, value) in &upload.header {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
            Ok(request.header(CONTENT_LENGTH, file.bytes))
        };
        let answer = self.send_again(what, || attempt().map_err(unread(&file.path)))?;
        self.body(what, answer).map(drop)
    }

    /// Uploads a file in pieces, each to a URL of its own, and then tells the Hub that all are there.
    fn send_pieces(
        &self,
        package: &mut Package,
        file: &Pushing,
        upload: &Action,
        piece: u64,
    ) -> Result<(), Error> {
        let what = format!("upload `{}` to the Hub", file.path);
        let mut addresses: Vec<(u64, &str)> = upload
            .header
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str()?)))
            .collect();
        addresses.sort_unstable();
        let expected = if piece == 0 { 0 } else { file.bytes.div_ceil(piece) };
        if piece > PIECE_BYTES || addresses.len() as u64 != expected {
            return Err(failed(what, "the Hub asks for pieces that do not fit the file"));
        }
        let mut parts = Vec::new();
        for (index, (number, address)) in addresses.into_iter().enumerate() {
            let url = parsed_url(address)?;
            let mut bytes = Vec::new();
            let read = package.file(&file.path).and_then(|mut open| {
                open.seek(SeekFrom::Start(index as u64 * piece))?;
                open.take(piece).read_to_end(&mut bytes)
            });
            read.map_err(unread(&file.path))?;
            let bytes = Bytes::from(bytes);
            let answer =
                self.send(&what, || self.request(Method::PUT, &url).body(bytes.clone()))?;
            let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
            let etag = etag.unwrap_or_default().to_owned();
            self.body(&what, answer)?;
            parts.push(json!({"partNumber": number, "etag": etag}));
        }
        let url = parsed_url(&upload.href)?;
        let body = json!({"oid": file.sha256, "parts": parts}).to_string();
        let answer = self.send(&what, || {
            let request = self.request(Method::POST, &url).body(body.clone());
            request.header(ACCEPT, LFS).header(CONTENT_TYPE, LFS)
        })?;
        self.body(&what, answer).map(drop)
    }

    /// Makes the commit, and returns its id.
    fn commit(
        &self,
        repository: &HubRepository,
        manifest: &Manifest,
        operations: &[Value],
    ) -> Result<String, Error> {
        let what = format!("commit to `{repository}` on the Hub");
        let records = manifest.records.written;
        let header = json!({"key": "header", "value": {
            "summary": format!("{}: {}", manifest.dataset_name, several(records, "record")),
            "description": format!("Written by Retort {}.", manifest.retort_version),
        }});
        let mut body = String::new();
        for line in std::iter::once(&header).chain(operations) {
            body.push_str(&line.to_string());
            body.push('\n');
        }
        let body = Bytes::from(body);
        let url = self.url(&format!("api/datasets/{repository}/commit/{BRANCH}"))?;
        let answer = self.send(&what, || {
            let request = self.authorized(Method::POST, &url).body(body.clone());
            request.header(CONTENT_TYPE, "application/x-ndjson")
        })?;
        let committed: Committed = self.json(&what, answer)?;
        Ok(committed.commit_oid)
    }
}

/// The files of a package with the receipt last, all with their hashes.
fn files_of(package: &mut Package) -> Result<Vec<Pushing>, Error> {
    let listed = package.manifest().files.iter().map(|file| Pushing {
        path: file.path.clone(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    });
    let mut files: Vec<_> = listed.collect();
    let bytes = package.file(MANIFEST).and_then(|mut file| file.seek(SeekFrom::End(0)));
    let sha256 = package.manifest_sha256().to_owned();
    files.push(Pushing { path: MANIFEST.into(), bytes: bytes.map_err(unread(MANIFEST))?, sha256 });
    Ok(files)
}

fn parsed_url(address: &str) -> Result<Url, Error> {
    Url::parse(address).map_err(|error| failed("reach the storage of the Hub", error.to_string()))
}

/// The hash of a file as Git knows it.
fn git_oid(content: &[u8]) -> String {
    let mut oid = GitOid::of(content.len() as u64);
    oid.update(content);
    oid.finish()
}

/// A number, also if it is written as text.
fn number_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
