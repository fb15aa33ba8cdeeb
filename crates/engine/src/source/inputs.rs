//! Finding what is to be read: files, in folders and behind links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::UNIX_EPOCH;

use retort_formats::data;
use retort_formats::import::{self, ImportFormat, Refusal, Side};
use retort_formats::package::{CARD, DataFile, MANIFEST, Manifest, SERIES_ENDING, SourceRead};
use retort_model::bounds::{FOLDER_DEPTH, REQUEST_UNPACKED_BYTES};
use retort_model::{Tally, Time};

use super::beside::Beside;
use super::bytes::Budget;
use super::fetched::FetchedFiles;
use super::open::{Expected, Opener, StreamInfo, expected_by_name};
use super::stream::{PassedOver, ReadOptions, SourceName, Stream, Wanted};
use crate::disk::temporary_file;
use crate::error::{Error, io_reason};

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
    /// Copies of files from another machine.
    Fetched(Arc<FetchedFiles>),
}

/// One file among the inputs.
#[derive(Clone, Debug)]
pub struct InputFile {
    from: From,
    /// What it is called in reports: its path below the folder that was named.
    pub label: String,
    expected: Expected,
    /// Its bytes on disk; 0 if they are not known.
    pub bytes: u64,
    /// The package that it is a data file of, and its path there.
    package: Option<(PathBuf, String)>,
    /// Where standard input is kept as it is read.
    kept: Option<Arc<tempfile::NamedTempFile>>,
}

/// Keeps in a file what is read through it.
struct Tee<R> {
    inner: R,
    kept: Option<Arc<tempfile::NamedTempFile>>,
}

impl<R: io::Read> io::Read for Tee<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        if let Some(kept) = &self.kept {
            kept.as_file().write_all(into.get(..length).unwrap_or_default())?;
        }
        Ok(length)
    }
}

#[derive(Clone, Debug)]
enum From {
    Stdin,
    /// A file that can be read from any place.
    Path(PathBuf),
    /// Something that can be read once, such as a named pipe.
    Pipe(PathBuf),
    Bytes(Arc<[u8]>),
    /// A folder that cannot be listed, and why.
    Unreadable(String),
}

/// All that is to be read.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The files to read.
    pub files: Vec<InputFile>,
    /// What is not read, by reason.
    pub passed_over: Tally<PassedOver>,
    /// Bytes on disk.
    pub bytes: u64,
    /// The newest change of any file.
    pub newest: Option<Time>,
    /// Origins of the inputs that were copied from other machines.
    pub sources: Vec<SourceRead>,
    /// How they are read.
    pub options: ReadOptions,
    /// What an earlier run wrote where this one will write.
    output: Option<PathBuf>,
    /// What came through a pipe and is read more than once.
    kept: Vec<Arc<tempfile::NamedTempFile>>,
    /// Links that were met, each with the folder that was named.
    links: Vec<Link>,
    /// What the packages among them keep beside their rows, which is no history.
    attached: Vec<(String, PathBuf)>,
    /// The copies that are being listed.
    fetched: Option<Arc<FetchedFiles>>,
}

/// A link in a folder.
#[derive(Debug)]
struct Link {
    path: PathBuf,
    label: String,
    /// The folder that was named, whatever links lead to it.
    root: PathBuf,
}

/// Where the Hugging Face hub's cache keeps the files that its snapshots link to.
const BLOBS: &str = "blobs";

impl Inputs {
    /// Finds the files behind the inputs. What is at `output` is none of them.
    pub fn find(
        inputs: &[Input],
        output: Option<&Path>,
        options: ReadOptions,
    ) -> Result<Self, Error> {
        let output = output.and_then(|output| output.canonicalize().ok());
        let mut found = Self { output, options, ..Self::default() };
        for input in inputs {
            match input {
                Input::Stdin => {
                    found.push(From::Stdin, "standard input".into(), Expected::Named, 0);
                }
                Input::Bytes(bytes, label) => {
                    found.bytes += bytes.len() as u64;
                    let length = bytes.len() as u64;
                    let from = From::Bytes(Arc::clone(bytes));
                    found.push(from, label.clone(), Expected::Named, length);
                }
                Input::Named(path, label) => {
                    let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
                    found.add(path.clone(), label.clone(), Expected::Named, &metadata);
                }
                Input::Path(path) => found.add_path(path)?,
                Input::Fetched(fetched) => {
                    found.sources.push(fetched.source.clone());
                    for (why, path) in &fetched.passed_over {
                        found.passed_over.add(*why, path);
                    }
                    found.fetched = Some(Arc::clone(fetched));
                    found.add_path(&fetched.root)?;
                    found.fetched = None;
                }
            }
        }
        found.follow_links();
        found.tell_apart();
        Ok(found)
    }

    /// The files, those that are read with the items of others before them, each with what formats declare it to be. A
    /// side file has its items beside it: in its folder, or among the files that were named.
    pub fn in_order(
        &self,
        from: Option<&'static dyn ImportFormat>,
    ) -> Vec<(&InputFile, Option<Side>)> {
        let labels: Vec<_> = self.files.iter().map(|file| file.label.as_str()).collect();
        let sides = Wanted::of(from).sides_among(&labels);
        let mut files: Vec<_> =
            self.files.iter().map(|file| (file, sides.of(&file.label))).collect();
        files.sort_by_key(|(_, side)| !matches!(side, Some(Side::Read(_))));
        files
    }

    /// Keeps what comes through a pipe, so that it can be read more than once.
    pub fn keep_stdin(&mut self) -> Result<(), Error> {
        self.keep_pipes(true)
    }

    /// Keeps what comes through named pipes, and with `all` through standard input.
    fn keep_pipes(&mut self, all: bool) -> Result<(), Error> {
        for file in &mut self.files {
            let fail = |source| Error::Unpack { name: file.label.clone(), source };
            let mut input: Box<dyn io::Read> = match &file.from {
                From::Stdin if all => Box::new(io::stdin().lock()),
                From::Pipe(path) => {
                    Box::new(fs::File::open(path).map_err(|error| Error::read(path, error))?)
                }
                From::Stdin | From::Path(_) | From::Bytes(_) | From::Unreadable(_) => continue,
            };
            let mut kept = temporary_file().map_err(fail)?;
            self.bytes += io::copy(&mut input, &mut kept).map_err(fail)?;
            file.from = From::Path(kept.path().to_owned());
            self.kept.push(Arc::new(kept));
        }
        Ok(())
    }

    /// Keeps standard input while it is read, so that it can be read again; what comes through named pipes is kept
    /// before.
    pub fn keep_as_read(&mut self) -> Result<(), Error> {
        self.keep_pipes(false)?;
        for file in &mut self.files {
            if matches!(file.from, From::Stdin) {
                let fail = |source| Error::Unpack { name: file.label.clone(), source };
                file.kept = Some(Arc::new(temporary_file().map_err(fail)?));
            }
        }
        Ok(())
    }

    /// Keeps what is left of what comes through a pipe and was not read to its end; it is read again from where it is
    /// kept.
    pub fn keep_rest(&mut self) -> Result<(), Error> {
        for file in &mut self.files {
            let Some(kept) = file.kept.take() else { continue };
            let fail = |source| Error::Unpack { name: file.label.clone(), source };
            self.bytes += io::copy(&mut io::stdin().lock(), &mut kept.as_file()).map_err(fail)?;
            file.from = From::Path(kept.path().to_owned());
            self.kept.push(kept);
        }
        Ok(())
    }

    fn push(&mut self, from: From, label: String, expected: Expected, bytes: u64) {
        self.files.push(InputFile { from, label, expected, bytes, package: None, kept: None });
    }

    /// The files that are read and those that packages keep beside their rows, each with its label, as far as they have a
    /// path.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&String, &PathBuf)> {
        let read = self.files.iter().filter_map(|file| match &file.from {
            From::Path(path) => Some((&file.label, path)),
            _ => None,
        });
        read.chain(self.attached.iter().map(|(label, path)| (label, path)))
    }

    /// Those without a path that can be read from any place.
    pub(super) fn without_path(&self) -> Result<NamedInputs, Error> {
        let files = self.files.iter().filter(|file| !matches!(file.from, From::Path(_)));
        files.map(InputFile::named).collect()
    }

    /// The first of them that can be read only once.
    pub fn readable_once(&self) -> Option<&str> {
        let file = self.files.iter().find(|file| matches!(file.from, From::Stdin | From::Pipe(_)));
        file.map(|file| &*file.label)
    }

    /// Adds a file, or the files in a folder.
    fn add_path(&mut self, path: &Path) -> Result<(), Error> {
        let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
        if metadata.is_dir() {
            let root = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            self.walk(path, "", 0, &root);
        } else {
            let label = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            self.add(path.to_owned(), label, Expected::Named, &metadata);
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, label: String, expected: Expected, metadata: &fs::Metadata) {
        if expected != Expected::Odd {
            let changed = match &self.fetched {
                // A copy counts as being as old as its original.
                Some(fetched) => fetched.changed,
                None => changed(metadata),
            };
            self.newest = self.newest.max(changed);
        }
        self.bytes += metadata.len();
        let from = if metadata.is_file() { From::Path(path) } else { From::Pipe(path) };
        self.push(from, label, expected, metadata.len());
    }

    /// Lists a folder below the one that was named, `root`.
    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize, root: &Path) {
        let mut names = match list(folder) {
            Ok(names) => names,
            Err(error) => {
                let label = prefix.trim_end_matches('/');
                let label = if label.is_empty() { folder.to_string_lossy() } else { label.into() };
                let why = format!("the folder cannot be listed: {}", io_reason(&error));
                return self.push(From::Unreadable(why), label.into_owned(), Expected::Named, 0);
            }
        };
        if let Some(fetched) = &self.fetched {
            names.retain(|(name, _)| fetched.has(&format!("{prefix}{name}")));
        }
        let package = package_in(folder, &names);
        let item_files = package.as_ref().map(ItemFiles::of);
        if package.is_some() && depth > 0 {
            return self.passed_over.add(PassedOver::Package, prefix.trim_end_matches('/'));
        }
        if item_files.as_ref().is_some_and(ItemFiles::is_for_people) {
            let label = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
            return self.passed_over.add(PassedOver::ForPeople, &label);
        }
        let is_hub_cache = names.iter().any(|(name, _)| name == "snapshots");
        for (name, path) in names {
            let label = format!("{prefix}{name}");
            if name.starts_with('.') && !import::is_text_file(&name) {
                let why =
                    if name.starts_with("._") { PassedOver::Macos } else { PassedOver::Hidden };
                self.passed_over.add(why, &label);
                continue;
            }
            if name.ends_with(SERIES_ENDING) {
                self.passed_over.add(PassedOver::Package, &label);
                continue;
            }
            if let Some(package) = &package
                && item_files.as_ref().is_some_and(|items| !items.has(&name))
            {
                if item_files.as_ref().is_some_and(|items| items.has_below(&name)) {
                    self.add_shards(package, &name, folder, prefix);
                    continue;
                }
                // What is written beside the data is read with it.
                self.list_attached(&path, &label);
                let is_listed = |file: &DataFile| file.path == name || is_below(&file.path, &name);
                if name != MANIFEST && !package.files.iter().any(is_listed) {
                    self.passed_over.add(PassedOver::NotAHistory, &label);
                }
                continue;
            }
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) => {
                    self.push(From::Unreadable(error.to_string()), label, Expected::Named, 0);
                    continue;
                }
            };
            if self.output.is_some() && path.canonicalize().ok() == self.output {
                self.passed_over.add(PassedOver::Output, &label);
            } else if metadata.is_symlink() {
                self.links.push(Link { path, label, root: root.to_owned() });
            } else if metadata.is_dir() {
                if is_hub_cache && name == BLOBS {
                    // They are read by the names that the snapshots give them.
                } else if name == "__MACOSX" {
                    self.passed_over.add(PassedOver::Macos, &label);
                } else if depth < FOLDER_DEPTH {
                    self.walk(&path, &format!("{label}/"), depth + 1, root);
                } else {
                    self.passed_over.add(PassedOver::TooDeep, &label);
                }
            } else if metadata.is_file() {
                let expected = expected_by_name(&name);
                self.add(path, label, expected, &metadata);
                if let Some(file) = self.files.last_mut().filter(|_| package.is_some()) {
                    file.package = Some((folder.to_owned(), name));
                }
            } else {
                self.passed_over.add(PassedOver::Special, &label);
            }
        }
    }

    /// Adds the data files in a folder of a package, in their order.
    fn add_shards(&mut self, package: &Manifest, below: &str, folder: &Path, prefix: &str) {
        for file in package.files.iter().filter(|file| file.records.is_some()) {
            if !is_below(&file.path, below) {
                continue;
            }
            let (path, label) = (folder.join(&file.path), format!("{prefix}{}", file.path));
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let expected = expected_by_name(&file.path);
                    self.add(path, label, expected, &metadata);
                    if let Some(added) = self.files.last_mut() {
                        added.package = Some((folder.to_owned(), file.path.clone()));
                    }
                }
                Ok(_) => self.passed_over.add(PassedOver::Special, &label),
                Err(error) => {
                    self.push(From::Unreadable(error.to_string()), label, Expected::Named, 0);
                }
            }
        }
    }

    /// Lists the files in a folder of a package.
    fn list_attached(&mut self, folder: &Path, label: &str) {
        let Ok(metadata) = fs::symlink_metadata(folder) else { return };
        if metadata.is_file() {
            self.attached.push((label.to_owned(), folder.to_owned()));
        } else if metadata.is_dir() && label.matches('/').count() < FOLDER_DEPTH {
            for (name, path) in list(folder).unwrap_or_default() {
                self.list_attached(&path, &format!("{label}/{name}"));
            }
        }
    }

    /// Adds the files that links lead to, if they are in the folder that was named or are blobs of a cache, and
    /// are not read anyway.
    fn follow_links(&mut self) {
        let links = std::mem::take(&mut self.links);
        if links.is_empty() {
            return;
        }
        let canonical = |file: &InputFile| match &file.from {
            From::Path(path) => path.canonicalize().ok(),
            _ => None,
        };
        let mut read: BTreeSet<PathBuf> = self.files.iter().filter_map(canonical).collect();
        for Link { path, label, root } in links {
            let Ok(target) = path.canonicalize() else {
                self.passed_over.add(PassedOver::BrokenLink, &label);
                continue;
            };
            let is_inside = target.starts_with(&root);
            let is_blob =
                target.parent().and_then(Path::file_name).is_some_and(|name| name == BLOBS);
            let why = match fs::metadata(&target) {
                Err(_) => Some(PassedOver::BrokenLink),
                Ok(metadata) if metadata.is_dir() => {
                    Some(if folder_of(&path).starts_with(&target) {
                        PassedOver::LinkLoop
                    } else if is_inside {
                        PassedOver::SameFile
                    } else {
                        PassedOver::LinkOutside
                    })
                }
                Ok(_) if !is_inside && !is_blob => Some(PassedOver::LinkOutside),
                Ok(metadata) if !metadata.is_file() => Some(PassedOver::Special),
                Ok(_) if !read.insert(target.clone()) => Some(PassedOver::SameFile),
                Ok(metadata) => {
                    let expected = expected_by_name(&label);
                    self.add(target, label.clone(), expected, &metadata);
                    None
                }
            };
            if let Some(why) = why {
                self.passed_over.add(why, &label);
            }
        }
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

/// When a file was changed.
fn changed(metadata: &fs::Metadata) -> Option<Time> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Time::from_epoch(&since.as_secs().to_string())
}

/// The folder of a path, with its links resolved.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default()
}

/// The names in a folder, sorted, and their paths.
fn list(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    names.sort();
    Ok(names)
}

/// The files of a package that hold its items: the data, or the files of records that the data only lists.
pub(crate) struct ItemFiles {
    folder: Option<&'static str>,
    data: BTreeSet<String>,
    is_for_people: bool,
}

impl ItemFiles {
    pub(crate) fn of(package: &Manifest) -> Self {
        let data = package.files.iter().filter(|file| file.records.is_some());
        let format = data::by_name(&package.data_format);
        Self {
            folder: format.and_then(data::DataFormat::records_folder),
            data: data.map(|file| file.path.clone()).collect(),
            is_for_people: format.is_some_and(data::DataFormat::is_for_people),
        }
    }

    /// Whether the package has no items that can be read.
    pub(crate) fn is_for_people(&self) -> bool {
        self.is_for_people
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        match self.folder {
            Some(folder) => path == folder || is_below(path, folder),
            None => self.data.contains(path),
        }
    }

    /// Whether a folder of the package has some of them.
    fn has_below(&self, folder: &str) -> bool {
        self.folder.is_none() && self.data.iter().any(|path| is_below(path, folder))
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The receipt of the package that a folder is, if it is one that Retort wrote.
fn package_in(folder: &Path, names: &[(String, PathBuf)]) -> Option<Manifest> {
    let has = |name: &str| names.iter().any(|(one, _)| one == name);
    if !has(MANIFEST) || !has(CARD) {
        return None;
    }
    Manifest::parse(&fs::read_to_string(folder.join(MANIFEST)).ok()?).ok()
}

/// Files, each with what it is called in reports.
pub type NamedInputs = Vec<(Input, String)>;

/// The files behind inputs, each with what it is called in reports, and what is passed over.
///
/// # Errors
/// One of them cannot be read.
pub fn files_of(
    inputs: &[Input],
    from: Option<&'static dyn ImportFormat>,
) -> Result<(NamedInputs, Tally<PassedOver>), Error> {
    let found = Inputs::find(inputs, None, ReadOptions::default())?;
    let mut passed_over = found.passed_over.clone();
    let mut files = Vec::new();
    for (file, side) in found.in_order(from) {
        // Each is read by itself.
        if matches!(side, Some(Side::Read(_))) {
            passed_over.add(PassedOver::SideFile, &file.label);
            continue;
        }
        if file.expected == Expected::Odd || side.is_some() {
            let mut why = None;
            file.each_stream(
                &found,
                (Wanted::of(from), side),
                &Arc::default(),
                &mut |_, stream| {
                    if let Stream::PassedOver(reason) = stream {
                        why = Some(reason);
                    }
                    Ok(false)
                },
            )?;
            if let Some(why) = why {
                passed_over.add(why, &file.label);
                continue;
            }
        }
        files.push(file.named()?);
    }
    Ok((files, passed_over))
}

impl InputFile {
    /// The file alone, with what it is called in reports.
    fn named(&self) -> Result<(Input, String), Error> {
        let label = self.label.clone();
        Ok(match &self.from {
            From::Stdin => (Input::Stdin, label),
            From::Path(path) | From::Pipe(path) => (Input::Path(path.clone()), label),
            From::Bytes(bytes) => (Input::Bytes(Arc::clone(bytes), label.clone()), label),
            From::Unreadable(why) => {
                let source = io::Error::other(why.clone());
                return Err(Error::Unpack { name: label, source });
            }
        })
    }

    /// Hands each stream of the file to `take`, which may say that no more are wanted. `read_bytes` goes up with what
    /// is read from the disk; `side` says what kind of side file the formats declare it to be, if any.
    pub fn each_stream(
        &self,
        inputs: &Inputs,
        (wanted, side): (Wanted, Option<Side>),
        read_bytes: &Arc<AtomicU64>,
        take: &mut dyn FnMut(SourceName, Stream<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let most = matches!(self.from, From::Bytes(_)).then_some(REQUEST_UNPACKED_BYTES);
        let budget = Arc::new(Budget::new(most));
        let options = inputs.options;
        let mut opener =
            Opener { take, budget, all: read_bytes, options, wanted, beside: None, log: None };
        let place = StreamInfo::new(&self.label, self.expected).declared(side);
        match &self.from {
            From::Unreadable(why) => opener.refuse(&place, Refusal::Unreadable, why.clone()),
            From::Stdin => {
                let kept = self.kept.clone();
                opener.read(&place, &mut Tee { inner: io::stdin().lock(), kept })
            }
            From::Bytes(bytes) => opener.read(&place, &mut io::Cursor::new(Arc::clone(bytes))),
            From::Path(path) => {
                if let Some((package, data_file)) = &self.package {
                    opener.beside = match Beside::in_folder(package, data_file) {
                        Ok(beside) => beside,
                        Err(error) => return opener.fail(&place, &error),
                    };
                }
                match fs::File::open(path) {
                    Ok(file) => opener.file(&place, file, path),
                    Err(error) => opener.fail(&place, &error),
                }
            }
            From::Pipe(path) => match fs::File::open(path) {
                Ok(mut file) => opener.read(&place, &mut file),
                Err(error) => opener.fail(&place, &error),
            },
        }
    }
}
