//! Datasets on the Hugging Face Hub, through its HTTP API.
//!
//! The Hub says which files it keeps as Git LFS objects (`preupload`). The LFS batch call returns the ones that are
//! missing, with the URLs to upload them to, so files that an earlier push uploaded are not sent again. In the end, a
//! single commit adds all files and removes those that only the previous receipt lists, so the repository never shows
//! half a dataset. See <https://huggingface.co/docs/hub/api> and the [batch API of Git
//! LFS](https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use retort_formats::package::{MANIFEST, Manifest};
use retort_model::display::several;
use retort_model::with_causes;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use url::Url;

use crate::error::{Error, io_reason};
use crate::package::Package;
use crate::storage::hex;

/// The beginning of every dataset's address.
const SCHEME: &str = "hf://datasets/";

/// The branch that is written.
const BRANCH: &str = "main";

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

/// The longest response that is read, and the longest error in it that is shown.
const ANSWER_BYTES: usize = 64 << 20;
const REASON_CHARS: usize = 300;

/// How often a request is tried if it fails for a temporary reason.
const ATTEMPTS: u32 = 5;

/// The media type of Git LFS's requests and responses.
const LFS: &str = "application/vnd.git-lfs+json";

/// A dataset's repository on the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRepository {
    organization: String,
    name: String,
}

impl HubRepository {
    /// Whether the text is meant as an address on the Hub, valid or not.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("hf://")
    }
}

impl FromStr for HubRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty()
                && name.len() <= 96
                && name.chars().all(is_safe)
                && !name.contains("..")
        };
        let parts = text.strip_prefix(SCHEME).and_then(|path| path.split_once('/'));
        match parts {
            Some((organization, name)) if is_name(organization) && is_name(name) => {
                Ok(Self { organization: organization.into(), name: name.into() })
            }
            _ => Err(format!(
                "`{text}` is not a dataset on the Hub; write it as `{SCHEME}ORGANIZATION/NAME`"
            )),
        }
    }
}

impl fmt::Display for HubRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name)
    }
}

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

/// The Hub.
pub struct Hub {
    client: Client,
    runtime: Runtime,
    endpoint: Url,
    token: String,
    /// How long to wait before a failed request is sent again; doubled each time.
    wait: Duration,
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

fn failed(what: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Destination { what: what.into(), reason: reason.into() }
}

/// Why a file of the package cannot be pushed.
fn unread(path: &str) -> impl Fn(io::Error) -> Error {
    move |error| failed(format!("read `{path}`"), io_reason(&error))
}

impl Hub {
    /// The Hub at `endpoint`, with a token that may write. Redirects are not followed, so that the token goes nowhere
    /// else.
    ///
    /// # Errors
    /// The thread that sends the requests cannot be set up.
    pub fn new(
        client: Client,
        endpoint: Url,
        token: String,
        wait: Duration,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Failed { what: "the thread for the Hub", source })?;
        Ok(Self { client, runtime, endpoint, token, wait })
    }

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
        let kept = self.kept_as_objects(package, repository, files)?;
        let (objects, committed): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|file| file.bytes > COMMITTED_BYTES || kept.contains(&file.path));
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
            pushed.sent += 1;
            pushed.sent_bytes += file.bytes;
            operations.push(json!({"key": "file", "value": {
                "path": file.path, "content": STANDARD.encode(&content), "encoding": "base64",
            }}));
        }
        Ok(())
    }

    /// The paths of the files that the Hub keeps as LFS objects.
    fn kept_as_objects(
        &self,
        package: &mut Package,
        repository: &HubRepository,
        files: &[Pushing],
    ) -> Result<BTreeSet<String>, Error> {
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
        let kept = modes.files.into_iter().filter(|file| file.upload_mode == "lfs");
        Ok(kept.map(|file| file.path).collect())
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
            let url = self.parsed(&verify.href)?;
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
        let url = self.parsed(&upload.href)?;
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
            let url = self.parsed(address)?;
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
        let url = self.parsed(&upload.href)?;
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

    fn url(&self, path: &str) -> Result<Url, Error> {
        self.endpoint.join(path).map_err(|error| failed("reach the Hub", error.to_string()))
    }

    fn parsed(&self, address: &str) -> Result<Url, Error> {
        Url::parse(address)
            .map_err(|error| failed("reach the storage of the Hub", error.to_string()))
    }

    fn authorized(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone()).bearer_auth(&self.token)
    }

    /// A request to an address that the Hub gave. Only the Hub itself gets the token.
    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        if url.origin() == self.endpoint.origin() {
            self.authorized(method, url)
        } else {
            self.client.request(method, url.clone())
        }
    }

    fn send(&self, what: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        self.send_again(what, || Ok(request()))
    }

    /// Sends a request, and repeats it if it fails for a temporary reason.
    fn send_again(
        &self,
        what: &str,
        mut request: impl FnMut() -> Result<RequestBuilder, Error>,
    ) -> Result<Response, Error> {
        let mut wait = self.wait;
        let mut attempt = 1;
        loop {
            let request = request()?;
            let answer = self.runtime.block_on(async { request.send().await });
            let is_passing = answer.as_ref().map_or(true, |answer| is_passing(answer.status()));
            if attempt == ATTEMPTS || !is_passing {
                return answer.map_err(|error| failed(what, with_causes(&error.without_url())));
            }
            wait = answer.as_ref().ok().and_then(asked_wait).unwrap_or(wait);
            self.runtime.block_on(async { tokio::time::sleep(wait).await });
            wait *= 2;
            attempt += 1;
        }
    }

    /// The text of a response, or an error if the Hub refused the request.
    fn body(&self, what: &str, answer: Response) -> Result<String, Error> {
        let status = answer.status();
        let text = self.runtime.block_on(read_bounded(answer));
        let text = text.map_err(|why| failed(what, why))?;
        if status.is_success() {
            return Ok(text);
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let told = serde_json::from_str(&text).map_or(text, |refusal: Refusal| refusal.error);
        let told: String = told.chars().take(REASON_CHARS).collect();
        let advice = match status {
            StatusCode::UNAUTHORIZED => {
                "; check that the token in HF_TOKEN or its file is for this Hub and has not expired"
            }
            StatusCode::FORBIDDEN => "; the token needs write access to this repository",
            _ => "",
        };
        Err(failed(what, format!("the Hub answered {status}: {}{advice}", told.trim())))
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        answer: Response,
    ) -> Result<T, Error> {
        let text = self.body(what, answer)?;
        serde_json::from_str(&text)
            .map_err(|error| failed(what, format!("the Hub's answer cannot be read: {error}")))
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

/// A number, also if it is written as text.
fn number_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether another attempt may succeed.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// How long the server asks to wait, at most five minutes.
fn asked_wait(answer: &Response) -> Option<Duration> {
    let seconds: u64 = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(300)))
}

async fn read_bounded(mut answer: Response) -> Result<String, String> {
    let mut read = Vec::new();
    while let Some(more) =
        answer.chunk().await.map_err(|error| with_causes(&error.without_url()))?
    {
        if read.len() + more.len() > ANSWER_BYTES {
            return Err("its answer is too long".into());
        }
        read.extend_from_slice(&more);
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}
