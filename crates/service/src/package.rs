//! Packages on disk: written under a temporary name and published whole, and read back.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use retort_formats::file::ReadSeek;
use retort_formats::package::{DATASET_INFO, DataFile, MANIFEST, Manifest};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::disk::DiskFile;

/// A package being written beside its final place. What is not published is removed.
pub(crate) struct Draft {
    output: PathBuf,
    /// The temporary folder; the package's files stand in `files` below it.
    folder: PathBuf,
    /// Held as long as the folder is in use, so that the next run knows a dead one's.
    _lock: File,
    published: bool,
    force: bool,
}

impl Draft {
    /// Begins a package for `output`, a folder or a `.zip`.
    pub(crate) fn begin(output: &Path, force: bool) -> Result<Self, Error> {
        let output = std::path::absolute(output).map_err(|error| Error::write(output, error))?;
        if fs::symlink_metadata(&output).is_ok() {
            if !force {
                return Err(Error::Exists(output));
            }
            if !is_package(&output) {
                return Err(Error::NotAPackage(output));
            }
        }
        let (Some(parent), Some(folder)) = (output.parent(), partial_folder(&output)) else {
            return Err(Error::write(&output, io::Error::other("it names no file or folder")));
        };
        fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
        let lock = lock(&folder, &output)?;
        let files = folder.join("files");
        // What a run left that was killed.
        let cleared = if files.exists() { fs::remove_dir_all(&files) } else { Ok(()) };
        cleared
            .and_then(|()| fs::create_dir(&files))
            .map_err(|error| Error::write(&files, error))?;
        Ok(Self { output, folder, _lock: lock, published: false, force })
    }

    /// Where the package's files are written.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// A place for files that do not belong to the package.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts the package into its place.
    pub(crate) fn publish(mut self) -> Result<PathBuf, Error> {
        let fail = |error| Error::write(&self.output, error);
        let files = self.files();
        let made = if is_zip(&self.output) {
            let archive = self.scratch("package.zip");
            zip_folder(&files, &archive).map_err(fail)?;
            archive
        } else {
            files
        };
        let old = self.scratch("replaced");
        let replaces = fs::symlink_metadata(&self.output).is_ok();
        if replaces && !self.force {
            return Err(Error::Exists(self.output.clone()));
        }
        if replaces {
            fs::rename(&self.output, &old).map_err(fail)?;
        }
        if let Err(error) = fs::rename(&made, &self.output) {
            if replaces {
                let _ = fs::rename(&old, &self.output);
            }
            return Err(fail(error));
        }
        self.published = true;
        Ok(self.output.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Published or not, only what is not the package is left here.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what a run for `output` has written so far, for a door that must end it at once.
pub fn discard(output: &Path) {
    if let Ok(output) = std::path::absolute(output)
        && let Some(folder) = partial_folder(&output)
    {
        let _ = fs::remove_dir_all(folder);
    }
}

/// The temporary folder of a run for `output`.
fn partial_folder(output: &Path) -> Option<PathBuf> {
    Some(output.parent()?.join(format!(".{}.partial", output.file_name()?.to_string_lossy())))
}

/// Takes the temporary folder for this run, also one that a killed run left.
fn lock(folder: &Path, output: &Path) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy(output.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(Error::write(&path, error)),
    }
}

pub(crate) fn is_zip(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// Whether the place holds a package and nothing else, which alone is replaced.
fn is_package(path: &Path) -> bool {
    let is_empty =
        |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let Ok(package) = Package::open(path) else { return path.is_dir() && is_empty(path) };
    let listed = |name: &String| {
        name == MANIFEST || package.manifest.files.iter().any(|file| file.path == *name)
    };
    package.names().is_ok_and(|names| names.iter().all(listed))
}

/// Writes the files of a folder into an archive, stored as they are: data that is to be small is compressed
/// already, and stored entries can be read from any place.
fn zip_folder(folder: &Path, archive: &Path) -> io::Result<()> {
    let mut zip =
        zip::ZipWriter::new(BufWriter::with_capacity(1 << 18, File::create_new(archive)?));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644)
        .large_file(true);
    for name in files_below(folder)? {
        zip.start_file(&name, options)?;
        io::copy(&mut File::open(folder.join(&name))?, &mut zip)?;
    }
    let mut file = zip.finish()?;
    file.flush()
}

/// Paths of the files below a folder, with `/`, the receipt last.
fn files_below(folder: &Path) -> io::Result<Vec<String>> {
    fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), names)?;
            } else {
                names.push(name);
            }
        }
        Ok(())
    }
    let mut names = Vec::new();
    walk(folder, "", &mut names)?;
    names.sort_by_key(|name| (name == MANIFEST, name.clone()));
    Ok(names)
}

/// Writes a file and takes its hash on the way.
pub(crate) struct HashingFile {
    file: DiskFile,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl HashingFile {
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
        }
        let file = DiskFile::create(&path).map_err(|error| Error::write(&path, error))?;
        Ok(Self { file, path, hash: Sha256::new(), bytes: 0 })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the receipt says of the file.
    pub(crate) fn finish(self, name: String, records: Option<u64>) -> Result<DataFile, Error> {
        self.file.finish().map_err(|error| Error::write(&self.path, error))?;
        Ok(DataFile { path: name, records, bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hash.update(bytes.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A finished package, a folder or a ZIP archive.
pub struct Package {
    path: PathBuf,
    manifest: Manifest,
    archive: Option<zip::ZipArchive<File>>,
}

impl Package {
    /// Opens a package by its receipt.
    ///
    /// # Errors
    /// It cannot be read, or is no whole package.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let not_whole = |reason: String| Error::NotWhole { path: path.to_owned(), reason };
        let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
        let mut package =
            Self { path: path.to_owned(), manifest: Manifest::default(), archive: None };
        if metadata.is_file() {
            let file = File::open(path).map_err(|error| Error::read(path, error))?;
            let archive = zip::ZipArchive::new(file)
                .map_err(|error| not_whole(format!("no ZIP archive: {error}")))?;
            package.archive = Some(archive);
        }
        let mut text = String::new();
        let mut receipt =
            package.file(MANIFEST).map_err(|_| not_whole(format!("it has no `{MANIFEST}`")))?;
        receipt.read_to_string(&mut text).map_err(|error| not_whole(error.to_string()))?;
        package.manifest =
            Manifest::parse(&text).map_err(|error| not_whole(format!("`{MANIFEST}`: {error}")))?;
        Ok(package)
    }

    /// The receipt.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens a file of the package.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn file(&mut self, name: &str) -> io::Result<Box<dyn ReadSeek>> {
        let Some(archive) = &mut self.archive else {
            if Path::new(name)
                .components()
                .any(|part| !matches!(part, std::path::Component::Normal(_)))
            {
                return Err(io::Error::other("its path leaves the package"));
            }
            return Ok(Box::new(File::open(self.path.join(name))?));
        };
        let mut entry = archive.by_name(name)?;
        if entry.compression() != zip::CompressionMethod::Stored {
            // Packed anew by someone: kept on disk, to be read from any place.
            let mut kept = tempfile::tempfile()?;
            io::copy(&mut entry, &mut kept)?;
            kept.seek(SeekFrom::Start(0))?;
            return Ok(Box::new(kept));
        }
        let start = entry.data_start().ok_or_else(|| io::Error::other("no data in the archive"))?;
        let length = entry.size();
        drop(entry);
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(Box::new(Slice { file, start, length, at: 0 }))
    }

    /// Paths of all files in the package.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        match &self.archive {
            None => files_below(&self.path),
            Some(archive) => {
                let mut names = archive
                    .file_names()
                    .map(|name| Ok(name?.into_owned()))
                    .collect::<io::Result<Vec<String>>>()?;
                names.retain(|name| !name.ends_with('/'));
                names.sort();
                Ok(names)
            }
        }
    }

    /// Whether trainers can find the data through `dataset_info.json`.
    pub fn has_dataset_info(&self) -> bool {
        self.names().is_ok_and(|names| names.iter().any(|name| name == DATASET_INFO))
    }
}

/// A part of a file.
struct Slice {
    file: File,
    start: u64,
    length: u64,
    at: u64,
}

impl Read for Slice {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = into.len().min(left);
        let length = self.file.read(into.get_mut(..most).unwrap_or_default())?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(step) => self.length.checked_add_signed(step),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
        };
        let at = at.ok_or_else(|| io::Error::other("before the start of the file"))?;
        self.file.seek(SeekFrom::Start(self.start + at))?;
        self.at = at;
        Ok(at)
    }
}
