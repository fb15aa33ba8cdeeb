//! Where histories are read from: files, folders, archives and standard input, one stream after another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use retort_formats::file::{self, ReadSeek};
use retort_model::Time;
use retort_model::bounds::{
    ARCHIVE_ENTRIES, ARCHIVE_FREE_BYTES, ARCHIVE_RATIO, FOLDER_DEPTH, REQUEST_UNPACKED_BYTES,
};

use crate::Error;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, folder or archive.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A file that is called otherwise than its path.
    Named(PathBuf, String),
    /// Bytes at hand, and what they are called.
    Bytes(Arc<[u8]>, String),
}

/// One file among the inputs.
#[derive(Clone, Debug)]
pub(crate) struct InputFile {
    from: From,
    /// What it is called in reports: its path below the folder that was named.
    label: String,
}

#[derive(Clone, Debug)]
enum From {
    Stdin,
    Path(PathBuf),
    Bytes(Arc<[u8]>),
}

/// All that is to be read.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) files: Vec<InputFile>,
    /// Files in folders that by their endings are no histories.
    pub(crate) passed_over: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// The newest change of any file.
    pub(crate) newest: Option<Time>,
    /// What an earlier run wrote where this one will write.
    output: Option<PathBuf>,
    /// What came through a pipe and is read more than once.
    kept: Vec<tempfile::NamedTempFile>,
}

/// What a stream is called.
#[derive(Debug)]
pub(crate) struct SourceName {
    /// In reports, and in ids that are made from places.
    pub(crate) label: String,
    /// The file's name without its endings.
    pub(crate) stem: String,
}

/// A stream, or an entry of an archive that is not read.
pub(crate) enum Stream<'r> {
    Items(&'r mut dyn Read),
    Refused(&'static str),
}

const ENDINGS: [&str; 7] = ["json", "jsonl", "ndjson", "parquet", "gz", "zst", "zip"];

/// The first bytes of a Parquet file.
const PARQUET: &[u8] = b"PAR1";

/// Files that Retort writes beside the data of a package: no histories.
const PACKAGE_FILES: [&str; 4] =
    ["dataset_info.json", "manifest.json", "rejects.jsonl", "extra.jsonl"];

impl Inputs {
    /// Finds the files behind the inputs. What stands at `output` is none of them.
    pub(crate) fn find(inputs: &[Input], output: Option<&Path>) -> Result<Self, Error> {
        let output = output.and_then(|output| output.canonicalize().ok());
        let mut found = Self { output, ..Self::default() };
        for input in inputs {
            match input {
                Input::Stdin => {
                    found
                        .files
                        .push(InputFile { from: From::Stdin, label: "standard input".into() });
                }
                Input::Bytes(bytes, label) => {
                    found.bytes += bytes.len() as u64;
                    let from = From::Bytes(Arc::clone(bytes));
                    found.files.push(InputFile { from, label: label.clone() });
                }
                Input::Named(path, label) => {
                    let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
                    found.add(path.clone(), label.clone(), &metadata);
                }
                Input::Path(path) => {
                    let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
                    if metadata.is_dir() {
                        found.walk(path, "", 0)?;
                    } else {
                        let label = path
                            .file_name()
                            .unwrap_or(path.as_os_str())
                            .to_string_lossy()
                            .into_owned();
                        found.add(path.clone(), label, &metadata);
                    }
                }
            }
        }
        found.tell_apart();
        Ok(found)
    }

    /// Keeps what comes through a pipe, so that it can be read more than once.
    pub(crate) fn keep_stdin(&mut self) -> Result<(), Error> {
        for file in self.files.iter_mut().filter(|file| matches!(file.from, From::Stdin)) {
            let fail = |source| Error::Unpack { name: file.label.clone(), source };
            let mut kept = tempfile::NamedTempFile::new().map_err(fail)?;
            self.bytes += io::copy(&mut io::stdin().lock(), &mut kept).map_err(fail)?;
            file.from = From::Path(kept.path().to_owned());
            self.kept.push(kept);
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, label: String, metadata: &fs::Metadata) {
        let changed =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.and_then(|since| Time::from_epoch(&since.as_secs().to_string()));
        self.newest = self.newest.max(changed);
        self.bytes += metadata.len();
        self.files.push(InputFile { from: From::Path(path), label });
    }

    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let entries = fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::read(folder, error))?;
            names.push((entry.file_name(), entry.path()));
        }
        names.sort();
        let is_package = names.iter().any(|(name, _)| name == "manifest.json")
            && names.iter().any(|(name, _)| name == "dataset_info.json");
        for (name, path) in names {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with('.') || (is_package && PACKAGE_FILES.contains(&name.as_str())) {
                continue;
            }
            let metadata =
                fs::symlink_metadata(&path).map_err(|error| Error::read(&path, error))?;
            let label = format!("{prefix}{name}");
            if self.output.is_some() && path.canonicalize().ok() == self.output {
                continue;
            }
            if metadata.is_dir() {
                if depth < FOLDER_DEPTH {
                    self.walk(&path, &format!("{label}/"), depth + 1)?;
                }
            } else if metadata.is_file() && has_known_ending(&name) {
                self.add(path, label, &metadata);
            } else {
                self.passed_over += 1;
            }
        }
        Ok(())
    }

    /// Gives files that would be called alike names of their own, as ids are made from them.
    fn tell_apart(&mut self) {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for file in &mut self.files {
            let count = counts.entry(file.label.clone()).or_default();
            *count += 1;
            if *count > 1 {
                file.label = format!("{} ({count})", file.label);
            }
        }
    }
}

/// The files behind inputs, each with what it is called in reports, and how many in folders are no histories.
///
/// # Errors
/// One of them cannot be read.
pub fn files_of(inputs: &[Input]) -> Result<(Vec<(Input, String)>, u64), Error> {
    let found = Inputs::find(inputs, None)?;
    let file = |file: InputFile| {
        let input = match file.from {
            From::Stdin => Input::Stdin,
            From::Path(path) => Input::Path(path),
            From::Bytes(bytes) => Input::Bytes(bytes, file.label.clone()),
        };
        (input, file.label)
    };
    Ok((found.files.into_iter().map(file).collect(), found.passed_over))
}

fn has_known_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a path of an archive begins at a root, of whatever system.
fn is_absolute(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.get(1..2) == Some(":")
}

fn stem_of(label: &str) -> String {
    let name = label.rsplit(['/', '\\']).next().unwrap_or(label);
    name.split('.').next().unwrap_or(name).to_owned()
}

/// Counts what is read from the disk, for progress and for the bound on unpacking.
struct Counted<R> {
    inner: R,
    here: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.here.fetch_add(length as u64, Ordering::Relaxed);
        self.all.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Rows as lines.
struct Lines {
    rows: Box<dyn Iterator<Item = io::Result<String>>>,
    line: Cursor<Vec<u8>>,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.line.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            let Some(row) = self.rows.next() else { return Ok(0) };
            let mut row = row?.into_bytes();
            row.push(b'\n');
            self.line = Cursor::new(row);
        }
    }
}

/// Ends a stream that unpacks to more than an honest one does.
struct Bounded<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    /// What it may unpack to, whatever its size.
    most: Option<u64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into).map_err(damaged)?;
        self.unpacked += length as u64;
        let bound = ARCHIVE_FREE_BYTES
            .max(self.packed.load(Ordering::Relaxed).saturating_mul(ARCHIVE_RATIO));
        if let Some(most) = self.most
            && self.unpacked > most
        {
            let why =
                format!("it unpacks to more than {} MiB; bring it in as an import", most >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if self.unpacked > bound {
            let why = format!(
                "it unpacks to more than {ARCHIVE_RATIO} times its size, which histories do not do"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(length)
    }
}

/// What a decompressor says, some of which name no kind: the bytes are damaged.
fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
        _ => error,
    }
}

/// How a file is packed, by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
    Zip,
}

fn packing_of(start: &[u8]) -> Packing {
    match start {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Packing::Zip,
        _ => Packing::None,
    }
}

impl InputFile {
    /// Hands each stream of the file to `take`, which may say that no more are wanted. `read_bytes` goes up with
    /// what is read from the disk.
    pub(crate) fn each_stream(
        &self,
        read_bytes: &Arc<AtomicU64>,
        take: &mut dyn FnMut(SourceName, Stream<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let here = Arc::new(AtomicU64::new(0));
        let inner: Box<dyn Read> = match &self.from {
            From::Stdin => Box::new(io::stdin().lock()),
            From::Path(path) => {
                Box::new(File::open(path).map_err(|error| Error::read(path, error))?)
            }
            From::Bytes(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        };
        let mut input = Counted { inner, here: Arc::clone(&here), all: Arc::clone(read_bytes) };
        let fail = |source| Error::Unpack { name: self.label.clone(), source };
        let start = start_of(&mut input).map_err(fail)?;
        if start == PARQUET {
            return self.each_row(start, input, &here, read_bytes, take);
        }
        if packing_of(&start) == Packing::Zip {
            return match &self.from {
                From::Path(path) => {
                    let inner = File::open(path).map_err(|error| Error::read(path, error))?;
                    let file = BufReader::new(Counted {
                        inner,
                        here: Arc::clone(&here),
                        all: Arc::clone(read_bytes),
                    });
                    self.each_entry(file, &here, take)
                }
                From::Stdin | From::Bytes(_) => {
                    // An archive is read from its end, so what comes through a pipe is kept first.
                    let mut kept = tempfile::tempfile().map_err(fail)?;
                    io::copy(&mut Cursor::new(start).chain(input), &mut kept).map_err(fail)?;
                    kept.seek(SeekFrom::Start(0)).map_err(fail)?;
                    self.each_entry(BufReader::new(kept), &here, take)
                }
            };
        }
        let name = SourceName { label: self.label.clone(), stem: stem_of(&self.label) };
        let mut stream = unpacked(start, input, &here, self.most_bytes()).map_err(fail)?;
        take(name, Stream::Items(&mut *stream))
    }

    /// The rows of a Parquet file, as JSON lines.
    fn each_row(
        &self,
        start: Vec<u8>,
        input: Counted<Box<dyn Read>>,
        here: &Arc<AtomicU64>,
        read_bytes: &Arc<AtomicU64>,
        take: &mut dyn FnMut(SourceName, Stream<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let fail = |source| Error::Unpack { name: self.label.clone(), source };
        let whole: Box<dyn ReadSeek> = match &self.from {
            From::Path(path) => {
                let inner = File::open(path).map_err(|error| Error::read(path, error))?;
                let (here, all) = (Arc::clone(here), Arc::clone(read_bytes));
                Box::new(Counted { inner, here, all })
            }
            From::Stdin | From::Bytes(_) => {
                // Such a file is read from its end, so what comes through a pipe is kept first.
                let mut kept = tempfile::tempfile().map_err(fail)?;
                io::copy(&mut Cursor::new(start).chain(input), &mut kept).map_err(fail)?;
                Box::new(kept)
            }
        };
        let parquet = file::by_name("parquet")
            .ok_or_else(|| Error::Choice("the format `parquet` is gone".into()))?;
        let rows = parquet.read(whole).map_err(damaged).map_err(fail)?;
        let name = SourceName { label: self.label.clone(), stem: stem_of(&self.label) };
        let (packed, most) = (Arc::clone(here), self.most_bytes());
        let inner = Lines { rows, line: Cursor::default() };
        take(name, Stream::Items(&mut Bounded { inner, packed, unpacked: 0, most }))
    }

    /// What it may unpack to, whatever its size.
    fn most_bytes(&self) -> Option<u64> {
        matches!(self.from, From::Bytes(_)).then_some(REQUEST_UNPACKED_BYTES)
    }

    fn each_entry<R: Read + Seek>(
        &self,
        file: R,
        packed: &Arc<AtomicU64>,
        take: &mut dyn FnMut(SourceName, Stream<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let fail = |source: zip::result::ZipError| Error::Unpack {
            name: self.label.clone(),
            source: damaged(source.into()),
        };
        let mut archive = zip::ZipArchive::new(file).map_err(fail)?;
        if archive.len() > ARCHIVE_ENTRIES {
            let why =
                format!("it has {} entries; at most {ARCHIVE_ENTRIES} are read", archive.len());
            let source = io::Error::new(io::ErrorKind::InvalidData, why);
            return Err(Error::Unpack { name: self.label.clone(), source });
        }
        let mut names: Vec<String> = archive
            .file_names()
            .map(|name| Ok(name?.into_owned()))
            .collect::<Result<_, _>>()
            .map_err(fail)?;
        names.sort();
        let is_package = ["manifest.json", "dataset_info.json"]
            .iter()
            .all(|one| names.iter().any(|name| name == one));
        for name in names {
            let mut entry = archive.by_name(&name).map_err(fail)?;
            let visible: String = name.chars().flat_map(char::escape_debug).collect();
            let label = format!("{}/{visible}", self.label);
            let source = SourceName { stem: stem_of(&label), label };
            let more = if entry.enclosed_name().is_none() || is_absolute(&name) {
                take(source, Stream::Refused("its path leaves the archive"))?
            } else if entry.is_symlink() {
                take(source, Stream::Refused("it is a link"))?
            } else if entry.is_dir()
                || !has_known_ending(&name)
                || (is_package && PACKAGE_FILES.contains(&name.as_str()))
            {
                true
            } else {
                packed.store(entry.compressed_size(), Ordering::Relaxed);
                let label = source.label.clone();
                let fail = |error| Error::Unpack { name: label.clone(), source: error };
                let start = start_of(&mut entry).map_err(fail)?;
                let bounded = Bounded {
                    inner: entry,
                    packed: Arc::clone(packed),
                    unpacked: 0,
                    most: self.most_bytes(),
                };
                let mut stream =
                    unpacked(start, bounded, packed, self.most_bytes()).map_err(fail)?;
                take(source, Stream::Items(&mut *stream))?
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn start_of(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(4);
    input.take(4).read_to_end(&mut start)?;
    Ok(start)
}

/// The stream without its packing.
fn unpacked<'r>(
    start: Vec<u8>,
    input: impl Read + 'r,
    packed: &Arc<AtomicU64>,
    most: Option<u64>,
) -> io::Result<Box<dyn Read + 'r>> {
    let packing = packing_of(&start);
    let whole = Cursor::new(start).chain(input);
    let packed = Arc::clone(packed);
    Ok(match packing {
        Packing::Gzip => {
            let inner = flate2::read::MultiGzDecoder::new(BufReader::with_capacity(1 << 17, whole));
            Box::new(Bounded { inner, packed, unpacked: 0, most })
        }
        Packing::Zstd => {
            let inner = zstd::stream::read::Decoder::new(whole)?;
            Box::new(Bounded { inner, packed, unpacked: 0, most })
        }
        Packing::None | Packing::Zip => Box::new(whole),
    })
}
