//! `keep`: an archive of files that other programs delete. Coding agents write their sessions to files, and rotate, shorten
//! and delete them; whatever a pass finds in such a file stays in the archive.
//!
//! The archive is a folder of compressed files, one for each file that was seen, below the name of the watched folder. It is
//! read like any other folder. For a file of lines (`lines.rs`), it has every line that was seen, in the order of the first
//! time. Of a database (`rows.rs`), it has the rows that an import format knows, as a folder with a file of lines for each table.
//! For any other file (`whole.rs`), it has the newest state, and each older one with text that the next one lacks. A file is
//! only read when its size, its modification time or its inode changed.

mod agents;
mod draft;
mod lines;
mod rows;
mod watched;
mod whole;

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use retort_formats::import::is_text_file;
use retort_model::bounds::FOLDER_DEPTH;
use serde::{Deserialize, Serialize};

pub use self::agents::agents;
use self::draft::{Mode, write_whole};
pub use self::watched::Watched;
use crate::disk::make_private_folder;
use crate::error::{Error, io_reason};
use crate::source::sqlite::log_of;

/// What was seen of each file at the last pass. Hidden, so that it is not read as a history.
const SEEN: &str = ".seen.json";

/// Held while the archive is written.
const LOCK: &str = ".lock";

/// Failures that a pass lists.
const FAILURES: usize = 20;

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pass {
    /// Files found.
    pub files: u64,
    /// Files that had something new.
    pub changed: u64,
    /// Lines that were new, and rows of databases that were new or changed.
    pub new_lines: u64,
    /// Older states of whole files and of rows that are kept beside the newest.
    pub older_states: u64,
    /// Bytes of the files found.
    pub bytes: u64,
    /// Files that could not be kept; the next pass tries again.
    pub failed: u64,
    /// The first of them, and why.
    pub failures: Vec<String>,
    /// The names under which something new was kept.
    pub names: Vec<String>,
}

/// By what a file is recognised as unchanged since the last pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    bytes: u64,
    changed_ns: u64,
    place: u64,
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        #[cfg(unix)]
        let place = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let place = 0;
        let changed_ns = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Self { bytes: metadata.len(), changed_ns, place }
    }

    /// The state of a file; of a database together with its write-ahead log.
    fn at(path: &Path) -> io::Result<Self> {
        let mut state = Self::of(&fs::metadata(path)?);
        if Kept::by_name(&path.to_string_lossy()) == Some(Kept::Rows)
            && let Ok(log) = fs::metadata(log_of(&path.to_string_lossy()))
        {
            let log = Self::of(&log);
            state.bytes += log.bytes;
            state.changed_ns = state.changed_ns.max(log.changed_ns);
        }
        Ok(state)
    }
}

/// An archive that is open to be added to.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    seen: BTreeMap<String, State>,
    mode: Mode,
    /// The lock, held until this is dropped; none in a dry run.
    _lock: Option<File>,
}

impl Archive {
    /// Opens an archive, or makes a new one.
    ///
    /// # Errors
    /// It cannot be made or read, or another process adds to it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let fail = |path: &Path, source| Error::Keep { path: path.to_owned(), source };
        make_private_folder(folder).map_err(|error| fail(folder, error))?;
        let folder = folder.canonicalize().map_err(|error| fail(folder, error))?;
        let lock = folder.join(LOCK);
        let lock = File::create(&lock).map_err(|error| fail(&lock, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!("another `retort keep` adds to `{}`", folder.display());
                return Err(Error::Choice(why));
            }
            Err(TryLockError::Error(error)) => return Err(fail(&folder, error)),
        }
        let seen = seen_in(&folder)?;
        Ok(Self { folder, seen, mode: Mode::Write, _lock: Some(lock) })
    }

    /// Opens an archive for a dry run: a pass counts what it would keep, and writes nothing. There may be no archive yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_to_look(folder: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Keep { path: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(fail)?;
        let seen = seen_in(&folder)?;
        Ok(Self { folder, seen, mode: Mode::Dry, _lock: None })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps what is new in the folders. A file that fails is counted, and the others are kept.
    ///
    /// # Errors
    /// The archive's own state cannot be written.
    pub fn pass(&mut self, watched: &[Watched], stopped: &AtomicBool) -> Result<Pass, Error> {
        let mut pass = Pass::default();
        let before = self.seen.clone();
        for one in watched {
            let mut files = Vec::new();
            // Beside a single file, there may be folders that are large and none of its business.
            let depth = if one.only.is_some() { FOLDER_DEPTH } else { 0 };
            self.list(&one.folder, depth, &mut files);
            let changed = pass.changed;
            for path in files {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(below) = path.strip_prefix(&one.folder) else { continue };
                let is_within = |within: &str| below.iter().any(|part| part == within);
                let is_only = |only: &str| below == Path::new(only);
                if one.within.is_none_or(is_within) && one.only.is_none_or(is_only) {
                    self.file(&path, &format!("{}/{}", one.name, slashed(below)), &mut pass);
                }
            }
            if pass.changed > changed {
                pass.names.push(one.name.clone());
            }
        }
        if self.seen != before && self.mode == Mode::Write {
            let path = self.folder.join(SEEN);
            let text = serde_json::to_vec(&self.seen).unwrap_or_default();
            write_whole(&path, &text).map_err(|source| Error::Keep { path, source })?;
        }
        Ok(pass)
    }

    /// The size of the archive in bytes, and the number of its files.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn size(&self) -> Result<(u64, u64), Error> {
        fn add(folder: &Path, sum: &mut (u64, u64)) -> io::Result<()> {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    add(&entry.path(), sum)?;
                } else if ![SEEN, LOCK].iter().any(|name| entry.file_name() == *name) {
                    *sum = (sum.0 + metadata.len(), sum.1 + 1);
                }
            }
            Ok(())
        }
        let mut sum = (0, 0);
        if self.mode == Mode::Dry && !self.folder.exists() {
            return Ok(sum);
        }
        add(&self.folder, &mut sum).map_err(|error| Error::read(&self.folder, error))?;
        Ok(sum)
    }

    /// The files below a folder that may be kept. A folder that cannot be listed may be gone.
    fn list(&self, folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') && !is_text_file(&name) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < FOLDER_DEPTH && path != self.folder => {
                    self.list(&path, depth + 1, into);
                }
                Ok(kind) if kind.is_file() && Kept::by_name(&name).is_some() => into.push(path),
                _ => {}
            }
        }
    }

    /// Keeps what is new in a file.
    fn file(&mut self, path: &Path, name: &str, pass: &mut Pass) {
        // It may be gone by now.
        let Ok(state) = State::at(path) else { return };
        pass.files += 1;
        pass.bytes += state.bytes;
        if self.seen.get(name) == Some(&state) {
            return;
        }
        let kept = self.folder.join(format!("{name}.zst"));
        let added = match Kept::by_name(name) {
            Some(Kept::Lines) => lines::add(path, &kept, self.mode).map(|lines| {
                pass.new_lines += lines;
                lines > 0
            }),
            Some(Kept::Rows) => rows::add(path, &self.folder.join(name), self.mode).map(|added| {
                pass.new_lines += added.rows;
                pass.older_states += added.aside;
                added.rows > 0
            }),
            Some(Kept::Whole) => whole::add(path, &kept, self.mode).map(|added| {
                pass.older_states += u64::from(added.keeps_older);
                added.is_new
            }),
            None => return,
        };
        match added {
            Ok(is_new) => {
                pass.changed += u64::from(is_new);
                // If it was written to while it was read, the next pass reads it again.
                if State::at(path).is_ok_and(|now| now == state) {
                    self.seen.insert(name.to_owned(), state);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {}
            Err(error) => {
                pass.failed += 1;
                if pass.failures.len() < FAILURES {
                    pass.failures.push(format!("{}: {}", path.display(), io_reason(&error)));
                }
            }
        }
    }
}

/// What was seen of each file at the last pass over an archive.
fn seen_in(archive: &Path) -> Result<BTreeMap<String, State>, Error> {
    let path = archive.join(SEEN);
    match fs::read(&path) {
        // If it is damaged, all files are read again; nothing is kept twice.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(Error::Keep { path, source }),
    }
}

/// How a file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Line by line.
    Lines,
    /// Row by row.
    Rows,
    /// As a whole.
    Whole,
}

impl Kept {
    fn by_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let is = |known: &str| ending.eq_ignore_ascii_case(known);
        if is("jsonl") || is("ndjson") {
            return Some(Self::Lines);
        }
        if ["db", "sqlite", "sqlite3", "vscdb"].into_iter().any(is) {
            return Some(Self::Rows);
        }
        (is("json") || is_text_file(name)).then_some(Self::Whole)
    }
}

/// A path with `/` as separator on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
