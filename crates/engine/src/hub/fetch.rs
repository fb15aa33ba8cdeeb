//! Copies datasets from the Hub to this machine, to be read there.
//!
//! A revision is resolved to a commit once, and everything else is requested for that commit: the list of files, and each
//! file that may be a history. The copies stay in the caller's folder, one folder per commit; a file that is the same in
//! several commits is downloaded once. If a connection is lost or a run is killed, the next attempt continues the partial
//! file with a range request. A file gets its final name only when its size and hash match the list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_RANGE, LINK, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use retort_formats::package::{CARD, MANIFEST, Manifest, SourceRead};
use retort_model::{Time, with_causes};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::address::{HubRepository, HubSource, is_safe_path, segment, segments};
use super::client::{
    ATTEMPTS, Hub, asked_wait, failed, header, is_passing, parsed, read_bounded, told, watched,
};
use super::oid::GitOid;
use crate::disk::make_private_folder;
use crate::error::Error;
use crate::pipeline::{Observer, Progress};
use crate::source::{FetchedFiles, ItemFiles, PassedOver, passed_over_by_path};
use crate::storage::hex;

/// Redirects that are followed for one request: one to the storage, and one for a dataset that was renamed.
const REDIRECTS: usize = 5;

/// Files that are copied at a time, since each waits for the network most of the time.
const AT_ONCE: usize = 4;

/// The most files of a dataset that are listed. The list is held in memory.
const LISTED_FILES: usize = 200_000;

/// Bytes of a file that are hashed at once.
const HASHED_AT_ONCE: usize = 1 << 16;

/// How often to check whether another process has finished copying a file.
const TURN: Duration = Duration::from_millis(200);

/// The Hub's answer about a revision.
#[derive(Deserialize)]
struct Revision {
    /// The name of the dataset, which may have been renamed.
    id: Option<String>,
    sha: String,
}

#[derive(Deserialize)]
struct Commit {
    date: Option<String>,
}

/// An entry in the list of a folder.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    /// The hash of the file as Git knows it.
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Clone, Debug, Deserialize)]
struct Lfs {
    /// SHA-256 of the content.
    oid: String,
    size: u64,
}

/// A file of the dataset.
#[derive(Clone, Debug)]
struct Listed {
    path: String,
    bytes: u64,
    hash: Hash,
}

/// The hash that a file's content must have.
#[derive(Clone, Debug)]
enum Hash {
    Sha256(String),
    /// As Git knows the file.
    Git(String),
}

impl From<Entry> for Listed {
    fn from(entry: Entry) -> Self {
        let Entry { path, oid, size, lfs, .. } = entry;
        match lfs {
            Some(lfs) => Self { path, bytes: lfs.size, hash: Hash::Sha256(lfs.oid) },
            None => Self { path, bytes: size, hash: Hash::Git(oid) },
        }
    }
}

impl Listed {
    /// The hash in hexadecimal, which names the copy.
    fn oid(&self) -> &str {
        let (Hash::Sha256(oid) | Hash::Git(oid)) = &self.hash;
        oid
    }
}

/// A hash that is being computed.
enum Hashing {
    Sha256(Sha256),
    Git(GitOid),
}

impl Hashing {
    fn of(file: &Listed) -> Self {
        match file.hash {
            Hash::Sha256(_) => Self::Sha256(Sha256::new()),
            Hash::Git(_) => Self::Git(GitOid::of(file.bytes)),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Git(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hash) => hex(&hash.finalize()),
            Self::Git(hash) => hash.finish(),
        }
    }
}

/// A file that is partly downloaded.
struct Partial {
    path: PathBuf,
    file: File,
    hash: Hashing,
    bytes: u64,
}

/// The download of one dataset.
struct Fetch<'f> {
    hub: &'f Hub,
    /// The dataset, folder or file to read, at its commit.
    source: HubSource,
    commit: String,
    /// The folder of copies named by hash, and the folder of the commit's files by path.
    blobs: PathBuf,
    folder: PathBuf,
    observer: &'f dyn Observer,
    stopped: &'f AtomicBool,
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl Hub {
    /// The same source with its revision resolved to the current commit.
    ///
    /// # Errors
    /// The Hub cannot be reached, the dataset or revision does not exist or may not be read, or the work is stopped.
    pub fn pinned(&self, source: &HubSource, stopped: &AtomicBool) -> Result<HubSource, Error> {
        self.runtime.block_on(self.resolve(source, stopped))
    }

    /// Copies the files of a dataset that may be histories to the folder `copies`, except those that are already there.
    ///
    /// # Errors
    /// As for [`Self::pinned`], or the copies cannot be written. Finished copies stay and are not made again.
    pub fn fetch(
        &self,
        source: &HubSource,
        copies: &Path,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<FetchedFiles, Error> {
        self.runtime.block_on(async {
            let pinned = self.resolve(source, stopped).await?;
            let HubRepository { organization, name } = &pinned.repository;
            let dataset = copies.join(organization).join(name);
            let commit = pinned.revision().to_owned();
            let fetch = Fetch {
                hub: self,
                blobs: dataset.join("blobs"),
                folder: dataset.join(&commit),
                source: pinned,
                commit,
                observer,
                stopped,
                done_bytes: AtomicU64::new(0),
                total_bytes: AtomicU64::new(0),
            };
            fetch.all(source.revision()).await
        })
    }

    async fn resolve(&self, source: &HubSource, stopped: &AtomicBool) -> Result<HubSource, Error> {
        let what = format!("read `{source}`");
        let HubSource { repository, .. } = source;
        let revision = segment(source.revision());
        let url = self.url(&format!("api/datasets/{repository}/revision/{revision}"))?;
        let answer = self.get(&what, &url, None, stopped).await?;
        let text = self.text(&what, source, answer, stopped).await?;
        let Revision { id, sha } = parsed(&what, &text)?;
        if sha.len() < 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(failed(what, "the Hub's answer names no commit"));
        }
        let renamed = id.as_deref().and_then(|id| id.split_once('/'));
        let renamed =
            renamed.and_then(|(organization, name)| HubRepository::of(organization, name));
        Ok(source.at(renamed.unwrap_or_else(|| repository.clone()), &sha))
    }

    /// Sends a GET request, follows redirects, and retries failures that may be temporary.
    async fn get(
        &self,
        what: &str,
        url: &Url,
        from: Option<u64>,
        stopped: &AtomicBool,
    ) -> Result<Response, Error> {
        let mut wait = self.wait;
        let mut attempt = 1;
        loop {
            let answer = match watched(stopped, self.follow(what, url, from)).await? {
                Some(answer) => answer?,
                None => Err("the Hub does not answer".into()),
            };
            let is_final =
                answer.as_ref().is_ok_and(|answer: &Response| !is_passing(answer.status()));
            if attempt == ATTEMPTS || is_final {
                return answer.map_err(|why| failed(what, why));
            }
            wait = answer.as_ref().ok().and_then(asked_wait).unwrap_or(wait);
            watched(stopped, tokio::time::sleep(wait)).await?;
            wait *= 2;
            attempt += 1;
        }
    }

    /// Sends one request and follows its redirects. The inner error is a network error.
    async fn follow(
        &self,
        what: &str,
        url: &Url,
        from: Option<u64>,
    ) -> Result<Result<Response, String>, Error> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.request(Method::GET, &url);
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(with_causes(&error.without_url()))),
            };
            if !answer.status().is_redirection() {
                return Ok(Ok(answer));
            }
            let next = header(answer.headers(), LOCATION.as_str());
            let next = next.and_then(|next| url.join(next).ok());
            url = next.ok_or_else(|| failed(what, "the Hub redirects to no valid address"))?;
            if !self.may_lead_to(&url) {
                let why = "the Hub redirects to an address that is not encrypted";
                return Err(failed(what, why));
            }
        }
        Err(failed(what, "the Hub redirects too many times"))
    }

    /// Whether a redirect may lead to this URL: it must use HTTPS, unless it is on the Hub's own host and that uses HTTP.
    fn may_lead_to(&self, url: &Url) -> bool {
        let is_here = self.endpoint.scheme() == "http" && url.host() == self.endpoint.host();
        url.scheme() == "https" || (url.scheme() == "http" && is_here)
    }

    /// The text of an answer, or an error that tells why the Hub refused.
    async fn text(
        &self,
        what: &str,
        source: &HubSource,
        answer: Response,
        stopped: &AtomicBool,
    ) -> Result<String, Error> {
        let status = answer.status();
        let code = header(answer.headers(), "x-error-code").unwrap_or_default().to_owned();
        let text = match watched(stopped, read_bounded(answer)).await? {
            Some(text) => text.map_err(|why| failed(what, why))?,
            None => return Err(failed(what, "the Hub does not answer")),
        };
        if status.is_success() {
            return Ok(text);
        }
        Err(failed(what, self.refusal(source, status, &code, &told(&text))))
    }

    /// Why the Hub refused a read, and what to do.
    fn refusal(&self, source: &HubSource, status: StatusCode, code: &str, told: &str) -> String {
        let HubSource { repository, path, .. } = source;
        let token = match self.token {
            Some(_) => "the token in use may not read it",
            None => "set HF_TOKEN or run `hf auth login` if it is private",
        };
        match (code, status) {
            ("GatedRepo", _) => format!(
                "its owners grant access on request: ask at {}datasets/{repository}, and use a token of that \
                 account ({token})",
                self.endpoint
            ),
            ("RevisionNotFound", _) => {
                format!("the dataset has no revision `{}`", source.revision())
            }
            ("EntryNotFound", _) => format!("it has no `{path}`"),
            ("RepoNotFound", _) | (_, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) => {
                format!("the Hub answered {status}: there is no dataset `{repository}`, or {token}")
            }
            (_, StatusCode::FORBIDDEN) => {
                format!("the Hub answered {status}: {told}; {token}")
            }
            _ => format!("the Hub answered {status}: {told}"),
        }
    }
}

impl Fetch<'_> {
    fn what(&self) -> String {
        format!("read `{}`", self.source)
    }

    async fn all(&self, revision: &str) -> Result<FetchedFiles, Error> {
        let changed = self.date().await?;
        let (files, is_file) = self.listed().await?;
        for folder in [&self.blobs, &self.folder] {
            make_private_folder(folder).map_err(|error| Error::write(folder, error))?;
        }
        let below = if self.source.path.is_empty() || is_file {
            String::new()
        } else {
            format!("{}/", self.source.path)
        };
        let (wanted, passed_over) =
            if is_file { (files, Vec::new()) } else { self.wanted(&below, files).await? };
        let root = self.path_of(&self.source.path);
        if !is_file {
            make_private_folder(&root).map_err(|error| Error::write(&root, error))?;
        }
        self.copy_all(&wanted).await?;
        let relative = |path: &str| path.strip_prefix(&below).unwrap_or(path).to_owned();
        Ok(FetchedFiles {
            source: SourceRead { address: self.source.to_string(), revision: revision.to_owned() },
            root,
            names: match is_file {
                true => BTreeSet::new(),
                false => wanted.iter().map(|file| relative(&file.path)).collect(),
            },
            passed_over: passed_over
                .into_iter()
                .map(|(why, path)| (why, relative(&path)))
                .collect(),
            changed,
        })
    }

    /// When the commit was made, if the Hub says so.
    async fn date(&self) -> Result<Option<Time>, Error> {
        let what = self.what();
        let (repository, commit) = (&self.source.repository, &self.commit);
        let url = self.hub.url(&format!("api/datasets/{repository}/commits/{commit}?limit=1"))?;
        let answer = self.hub.get(&what, &url, None, self.stopped).await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let text = self.hub.text(&what, &self.source, answer, self.stopped).await?;
        let commits: Vec<Commit> = parsed(&what, &text)?;
        let date = commits.into_iter().next().and_then(|commit| commit.date);
        Ok(date.and_then(|date| Time::parse(&date).ok()))
    }

    /// The files in the named folder, or only the named file; and whether a file was named.
    async fn listed(&self) -> Result<(Vec<Listed>, bool), Error> {
        let path = &self.source.path;
        if let Some(files) = self.list(path, true).await? {
            return Ok((files, false));
        }
        let missing = || {
            let why = self.hub.refusal(&self.source, StatusCode::NOT_FOUND, "EntryNotFound", "");
            failed(self.what(), why)
        };
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let beside = self.list(parent, false).await?.ok_or_else(missing)?;
        let file = beside.into_iter().find(|file| file.path == *path).ok_or_else(missing)?;
        Ok((vec![file], true))
    }

    /// The files in a folder, with `all` also those in its subfolders; none if there is no such folder.
    async fn list(&self, path: &str, all: bool) -> Result<Option<Vec<Listed>>, Error> {
        let what = format!("list `{}`", self.source);
        let (repository, commit) = (&self.source.repository, &self.commit);
        let tree = format!("api/datasets/{repository}/tree/{commit}");
        let path = if path.is_empty() { String::new() } else { format!("/{}", segments(path)) };
        let mut next = Some(self.hub.url(&format!("{tree}{path}?recursive={all}"))?);
        let mut files = Vec::new();
        while let Some(url) = next {
            let answer = self.hub.get(&what, &url, None, self.stopped).await?;
            if answer.status() == StatusCode::NOT_FOUND && !path.is_empty() {
                return Ok(None);
            }
            next = next_page(&url, &answer);
            let text = self.hub.text(&what, &self.source, answer, self.stopped).await?;
            let entries: Vec<Entry> = parsed(&what, &text)?;
            for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
                let file = Listed::from(entry);
                let is_hash = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_safe_path(&file.path) || file.oid().len() < 40 || !is_hash(file.oid()) {
                    let why = format!(
                        "the Hub lists a file with an invalid path or hash: `{}`",
                        file.path
                    );
                    return Err(failed(what, why));
                }
                files.push(file);
            }
            if files.len() > LISTED_FILES {
                let why = format!("it has more than {LISTED_FILES} files; name one of its folders");
                return Err(failed(what, why));
            }
        }
        Ok(Some(files))
    }

    /// Which files may hold histories, and why the others do not. If there is a package of Retort, its receipt decides.
    async fn wanted(
        &self,
        below: &str,
        mut files: Vec<Listed>,
    ) -> Result<(Vec<Listed>, Vec<(PassedOver, String)>), Error> {
        let (receipt, card) = (format!("{below}{MANIFEST}"), format!("{below}{CARD}"));
        let papers: Vec<_> = files
            .iter()
            .filter(|file| file.path == receipt || file.path == card)
            .cloned()
            .collect();
        let has_papers = papers.len() == 2;
        let package = if has_papers {
            self.copy_all(&papers).await?;
            let text = fs::read_to_string(self.path_of(&receipt)).unwrap_or_default();
            Manifest::parse(&text).ok()
        } else {
            None
        };
        let items = package.as_ref().map(ItemFiles::of);
        let listed: BTreeSet<&str> =
            package.iter().flat_map(|package| &package.files).map(|file| &*file.path).collect();
        // A subfolder with a receipt and a card is a package, and is skipped as a whole.
        let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let receipts: BTreeSet<String> = files
            .iter()
            .filter(|file| file.path.ends_with(&format!("/{MANIFEST}")))
            .map(|file| folder(&file.path))
            .collect();
        let (mut wanted, mut others) = (Vec::new(), Vec::new());
        files.sort_by(|one, other| one.path.cmp(&other.path));
        for file in files {
            let relative = file.path.strip_prefix(below).unwrap_or(&file.path);
            let why = match &items {
                _ if has_papers && (file.path == receipt || file.path == card) => None,
                Some(items) => {
                    let is_its_own = listed.contains(relative) || items.has(relative);
                    let why = passed_over_by_path(relative).unwrap_or(PassedOver::NotAHistory);
                    (!is_its_own).then_some(why)
                }
                None if file.path.ends_with(&format!("/{CARD}"))
                    && receipts.contains(&folder(&file.path)) =>
                {
                    None
                }
                None => passed_over_by_path(relative),
            };
            match why {
                None => wanted.push(file),
                Some(why) => others.push((why, file.path)),
            }
        }
        Ok((wanted, others))
    }

    fn path_of(&self, path: &str) -> PathBuf {
        path.split('/')
            .filter(|one| !one.is_empty())
            .fold(self.folder.clone(), |folder, one| folder.join(one))
    }

    /// Copies files, several at a time.
    async fn copy_all(&self, files: &[Listed]) -> Result<(), Error> {
        // Files with the same content are downloaded once, for all their paths.
        let mut missing: BTreeMap<&str, Vec<&Listed>> = BTreeMap::new();
        for file in files {
            let there = fs::metadata(self.path_of(&file.path));
            if !there.is_ok_and(|there| there.is_file() && there.len() == file.bytes) {
                missing.entry(file.oid()).or_default().push(file);
            }
        }
        let bytes: u64 = missing.values().filter_map(|paths| paths.first()).map(|f| f.bytes).sum();
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        let copies = missing.values().map(|paths| self.copy(paths));
        let mut copies = futures_util::stream::iter(copies).buffer_unordered(AT_ONCE);
        while let Some(copied) = copies.next().await {
            copied?;
        }
        Ok(())
    }

    /// Downloads one content and places it at all its paths.
    async fn copy(&self, paths: &[&Listed]) -> Result<(), Error> {
        let Some(file) = paths.first() else { return Ok(()) };
        let blob = self.blobs.join(file.oid());
        let there = fs::metadata(&blob);
        if there.is_ok_and(|there| there.len() == file.bytes) {
            self.advance(file.bytes);
        } else {
            self.download(file, &blob).await?;
        }
        for file in paths {
            let path = self.path_of(&file.path);
            let placed = place(&blob, &path);
            placed.map_err(|error| Error::write(&path, error))?;
        }
        Ok(())
    }

    fn advance(&self, bytes: u64) {
        let read_bytes = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total_bytes = self.total_bytes.load(Ordering::Relaxed);
        self.observer.progress(Progress { read_bytes, total_bytes, records: 0 });
    }

    /// Downloads a file, continuing where an earlier attempt ended.
    async fn download(&self, file: &Listed, blob: &Path) -> Result<(), Error> {
        let what = format!("read `{}` of `{}`", file.path, self.source);
        let Some(mut partial) = self.partial(file, blob).await? else { return Ok(()) };
        self.advance(partial.bytes);
        let (repository, commit) = (&self.source.repository, &self.commit);
        let path = segments(&file.path);
        let url = self.hub.url(&format!("datasets/{repository}/resolve/{commit}/{path}"))?;
        let (mut attempt, mut wait) = (1, self.hub.wait);
        while partial.bytes < file.bytes {
            let begun = partial.bytes;
            let from = (begun > 0).then_some(begun);
            let answer = self.hub.get(&what, &url, from, self.stopped).await?;
            let broken = match answer.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                    if !continues(&answer, begun) {
                        partial.restart(file)?;
                    }
                    self.receive(&what, file, answer, &mut partial).await?
                }
                StatusCode::RANGE_NOT_SATISFIABLE if begun > 0 => {
                    partial.restart(file)?;
                    Some("the Hub refuses to continue it".to_owned())
                }
                _ => {
                    self.hub.text(&what, &self.source, answer, self.stopped).await?;
                    return Err(failed(what, "the Hub's answer is not a file"));
                }
            };
            let Some(why) = broken else { continue };
            attempt = if partial.bytes > begun { 1 } else { attempt + 1 };
            if attempt > ATTEMPTS {
                return Err(failed(what, why));
            }
            watched(self.stopped, tokio::time::sleep(wait)).await?;
            wait = if partial.bytes > begun { self.hub.wait } else { wait * 2 };
        }
        partial.finish(&what, file, blob)
    }

    /// Opens the partial download of a file; none if another process has finished it meanwhile.
    async fn partial(&self, file: &Listed, blob: &Path) -> Result<Option<Partial>, Error> {
        let path = blob.with_extension("part");
        loop {
            let opened =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let opened = opened.map_err(|error| Error::write(&path, error))?;
            match opened.try_lock() {
                Ok(()) if fs::metadata(blob).is_ok_and(|there| there.len() == file.bytes) => {
                    let _ = fs::remove_file(&path);
                    self.advance(file.bytes);
                    return Ok(None);
                }
                // The process that held the lock may have renamed the file.
                Ok(()) if is_same_file(&opened, &path) => {
                    return Partial::resume(path, opened, file).map(Some);
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    watched(self.stopped, tokio::time::sleep(TURN)).await?;
                }
                Err(TryLockError::Error(error)) => return Err(Error::write(&path, error)),
            }
        }
    }

    /// Writes the body of a response. Returns why it ended early; none if the file is complete.
    async fn receive(
        &self,
        what: &str,
        file: &Listed,
        mut answer: Response,
        partial: &mut Partial,
    ) -> Result<Option<String>, Error> {
        loop {
            let chunk = match watched(self.stopped, answer.chunk()).await? {
                Some(Ok(Some(chunk))) => chunk,
                Some(Ok(None)) if partial.bytes < file.bytes => {
                    return Ok(Some("the connection was closed before the end of the file".into()));
                }
                Some(Ok(None)) => return Ok(None),
                Some(Err(error)) => return Ok(Some(with_causes(&error.without_url()))),
                None => return Ok(Some("the Hub does not answer".into())),
            };
            if partial.bytes + chunk.len() as u64 > file.bytes {
                partial.discard();
                let why = format!("it is longer than the {} bytes that the Hub lists", file.bytes);
                return Err(failed(what, why));
            }
            partial.write(&chunk)?;
            self.advance(chunk.len() as u64);
        }
    }
}

impl Partial {
    fn resume(path: PathBuf, mut file: File, listed: &Listed) -> Result<Self, Error> {
        let mut hash = Hashing::of(listed);
        let mut bytes = 0;
        let mut read = vec![0; HASHED_AT_ONCE];
        loop {
            let length = file.read(&mut read).map_err(|error| Error::read(&path, error))?;
            let Some(some) = read.get(..length).filter(|some| !some.is_empty()) else { break };
            hash.update(some);
            bytes += length as u64;
        }
        let mut partial = Self { path, file, hash, bytes };
        if bytes > listed.bytes {
            partial.restart(listed)?;
        }
        Ok(partial)
    }

    fn restart(&mut self, listed: &Listed) -> Result<(), Error> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| Error::write(&self.path, error))?;
        (self.hash, self.bytes) = (Hashing::of(listed), 0);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.file.write_all(bytes) {
            // It takes up space that is needed, and nobody knows how much of the chunk was written.
            self.discard();
            return Err(Error::write(&self.path, error));
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn discard(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Gives a complete file its final name.
    fn finish(self, what: &str, listed: &Listed, blob: &Path) -> Result<(), Error> {
        let Self { path, file, hash, .. } = self;
        if !hash.finish().eq_ignore_ascii_case(listed.oid()) {
            let _ = fs::remove_file(&path);
            return Err(failed(what, "its content does not have the hash that the Hub lists"));
        }
        let renamed = file.sync_data().and_then(|()| fs::rename(&path, blob));
        renamed.map_err(|error| Error::write(&path, error))
    }
}

/// Whether a response contains the file from this byte on.
fn continues(answer: &Response, from: u64) -> bool {
    let told = header(answer.headers(), CONTENT_RANGE.as_str());
    let told = told.and_then(|told| told.strip_prefix("bytes "));
    let begin =
        told.and_then(|told| told.split_once('-')).and_then(|(begin, _)| begin.parse().ok());
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => begin == Some(from),
        _ => from == 0,
    }
}

/// The address of the next page of a list, on the same server.
fn next_page(url: &Url, answer: &Response) -> Option<Url> {
    let links = header(answer.headers(), LINK.as_str())?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let next = next.trim().strip_prefix('<')?.split_once('>')?.0;
    url.join(next).ok().filter(|next| next.origin() == url.origin())
}

/// Whether the path leads to this open file.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Whether the path leads to this open file. An open file cannot be renamed here.
#[cfg(not(unix))]
fn is_same_file(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Places a file at another path: as a hard link if the file system can, else as a copy.
fn place(blob: &Path, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if fs::hard_link(blob, path).is_ok() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let new = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut File::open(blob)?, &mut new.as_file())?;
    new.persist(path).map(drop).map_err(|error| error.error)
}
