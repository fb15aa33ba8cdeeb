//! Where the files of packages are, each under a key: a folder, a ZIP archive or the objects of `objects.rs`; and what is
//! known of a file once it is finished.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use retort_formats::file::ReadSeek;
use retort_formats::package::DataFile;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::disk::{DiskFile, make_private_folder};
use crate::error::Error;
use crate::sorter::write_row;

/// Files under keys, which are relative paths with `/`.
pub trait Storage: Send + Sync {
    /// What errors call the file.
    fn describe(&self, key: &str) -> PathBuf;

    /// The keys of all finished files, in order.
    fn keys(&self) -> Result<Vec<String>, Error>;

    /// Opens a finished file.
    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error>;

    /// Begins the file of this key, which replaces one that is there. Without a method of its own, a storage is only
    /// read.
    fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error> {
        Err(Error::write(&self.describe(key), io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    /// Removes a file; one that is not there is no error, as removing may be done again after a kill.
    fn remove(&self, key: &str) -> Result<(), Error> {
        Err(Error::write(&self.describe(key), io::ErrorKind::ReadOnlyFilesystem.into()))
    }
}

/// A file under way. One that is dropped unfinished is no file of the storage, whatever is left of it.
pub trait NewFile: Write + Send {
    /// Writes everything that is still held.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl NewFile for DiskFile {
    fn finish(self: Box<Self>) -> io::Result<()> {
        DiskFile::finish(*self)
    }
}

/// A folder on disk.
pub struct Folder {
    root: PathBuf,
    /// Whether what is made in it is for this account alone.
    is_private: bool,
}

impl Folder {
    pub fn new(root: PathBuf) -> Self {
        Self { root, is_private: false }
    }

    /// One whose files and folders are for this account alone.
    pub fn private(root: PathBuf) -> Self {
        Self { root, is_private: true }
    }
}

/// Opens what is at the path to be read: a folder, or a file that must be an archive.
pub fn storage_at(path: &Path) -> Result<Box<dyn Storage>, Error> {
    let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
    if !metadata.is_file() {
        return Ok(Box::new(Folder::new(path.to_owned())));
    }
    let file = File::open(path).map_err(|error| Error::read(path, error))?;
    let archive = zip::ZipArchive::new(file).map_err(|_| Error::NotWhole {
        path: path.to_owned(),
        reason: "it is neither a folder nor a complete ZIP archive".into(),
    })?;
    Ok(Box::new(ZipFile { path: path.to_owned(), archive: Mutex::new(archive) }))
}

/// How often the folder of a new file is made again. A folder of objects goes with its last object, and another thread or
/// process may remove that one just before the new file is made.
const FOLDER_TRIES: u32 = 100;

/// Whether a folder may have gone while it was made. If it is there, and goes before that is looked at, the error is that it
/// exists.
fn folder_went(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

impl Storage for Folder {
    fn keys(&self) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        walk(&self.root, "", &mut keys).map_err(|error| Error::read(&self.root, error))?;
        keys.sort();
        Ok(keys)
    }

    fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error> {
        let path = self.describe(key);
        let mut tries = FOLDER_TRIES;
        loop {
            if let Some(parent) = path.parent() {
                let made = match self.is_private {
                    true => make_private_folder(parent),
                    false => fs::create_dir_all(parent),
                };
                match made {
                    Err(error) if folder_went(&error) && tries > 0 => {
                        tries -= 1;
                        continue;
                    }
                    made => made.map_err(|error| Error::write(parent, error))?,
                }
            }
            self.remove(key)?;
            match DiskFile::create(&path, self.is_private) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries > 0 => tries -= 1,
                file => return Ok(Box::new(file.map_err(|error| Error::write(&path, error))?)),
            }
        }
    }

    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
        let path = self.describe(key);
        // The receipt of a foreign package may name anything.
        if Path::new(key).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(Error::read(&path, io::Error::other("its path leads out of the package")));
        }
        let file = File::open(&path).map_err(|error| Error::read(&path, error))?;
        Ok(Box::new(file))
    }

    fn remove(&self, key: &str) -> Result<(), Error> {
        let path = self.describe(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::write(&path, error))
            }
            _ => Ok(()),
        }
    }

    fn describe(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }
}

/// Paths of the files below a folder, with `/`.
fn walk(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// A ZIP archive on disk.
struct ZipFile {
    path: PathBuf,
    archive: Mutex<zip::ZipArchive<File>>,
}

impl Storage for ZipFile {
    fn describe(&self, key: &str) -> PathBuf {
        self.path.join(key)
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        let archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let names = archive.file_names().map(|name| Ok(name?.into_owned()));
        let mut keys = names
            .collect::<io::Result<Vec<String>>>()
            .map_err(|error| Error::read(&self.path, error))?;
        keys.retain(|key| !key.ends_with('/'));
        keys.sort();
        Ok(keys)
    }

    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
        self.entry(key).map_err(|error| Error::read(&self.describe(key), error))
    }
}

impl ZipFile {
    fn entry(&self, name: &str) -> io::Result<Box<dyn ReadSeek>> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A finished file of a storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path in the package; empty for data files until their number is known.
    pub path: String,
    /// Its key in the storage.
    pub key: String,
    /// Records in it, for data files.
    pub records: Option<u64>,
    /// Its size.
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// What archives want to know before they begin.
    pub crc32: u32,
}

impl From<&StoredFile> for DataFile {
    fn from(made: &StoredFile) -> Self {
        Self {
            path: made.path.clone(),
            records: made.records,
            bytes: made.bytes,
            sha256: made.sha256.clone(),
        }
    }
}

/// Writes a file and takes its sums on the way.
pub struct HashingFile {
    file: Box<dyn NewFile>,
    key: String,
    described: PathBuf,
    sha256: Sha256,
    crc32: crc32fast::Hasher,
    bytes: u64,
}

impl HashingFile {
    pub fn create(storage: &dyn Storage, key: String) -> Result<Self, Error> {
        Ok(Self {
            file: storage.create(&key)?,
            described: storage.describe(&key),
            key,
            sha256: Sha256::new(),
            crc32: crc32fast::Hasher::new(),
            bytes: 0,
        })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// As [`Write::write_all`], with an error that names the file.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).map_err(|error| Error::write(&self.described, error))
    }

    /// Appends a row behind its length, as [`write_row`] does.
    pub fn append_row(&mut self, row: &[u8]) -> Result<(), Error> {
        write_row(row, self).map_err(|error| Error::write(&self.described, error))
    }

    /// Ends the file, which is at `path` in the package.
    pub fn finish(self, path: String, records: Option<u64>) -> Result<StoredFile, Error> {
        self.file.finish().map_err(|error| Error::write(&self.described, error))?;
        Ok(StoredFile {
            path,
            key: self.key,
            records,
            bytes: self.bytes,
            sha256: hex(&self.sha256.finalize()),
            crc32: self.crc32.finalize(),
        })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        let written = bytes.get(..length).unwrap_or_default();
        self.sha256.update(written);
        self.crc32.update(written);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a small file whole; `most` bytes of it, and `what` it is to be.
///
/// # Errors
/// The file cannot be read, or is larger.
pub(crate) fn read_small(path: &Path, most: u64, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    if read.map_err(|error| Error::read(path, error))? as u64 > most {
        let (path, most) = (path.display(), most >> 10);
        return Err(Error::Choice(format!(
            "`{path}` is larger than {most} KiB, so it is not a {what}"
        )));
    }
    Ok(bytes)
}

/// Bytes, SHA-256 and line ends of what is read.
pub fn read_through(input: &mut dyn Read) -> io::Result<(u64, String, u64)> {
    let mut hash = Sha256::new();
    let (mut bytes, mut lines) = (0, 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            return Ok((bytes, hex(&hash.finalize()), lines));
        }
        let read = buffer.get(..length).unwrap_or_default();
        hash.update(read);
        bytes += length as u64;
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a small file of the package.
pub fn write_text(storage: &dyn Storage, path: &str, text: &str) -> Result<StoredFile, Error> {
    let mut file = HashingFile::create(storage, path.into())?;
    file.append(text.as_bytes())?;
    file.finish(path.into(), None)
}
