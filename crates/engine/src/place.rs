//! Where the files of a package are made, each under a key, and what is known of a file once it is made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use retort_formats::file::ReadSeek;
use retort_formats::package::DataFile;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::disk::{DiskFile, make_private_folder};
use crate::error::Error;
use crate::sorter::write_row;

/// A place for files. Keys are relative paths with `/`.
pub trait Place: Send + Sync {
    /// Begins the file of this key; one that is there gives way to it.
    fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error>;

    /// Opens a finished file.
    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error>;

    /// Removes a file; one that is not there is no error, as removing may be done again after a kill.
    fn remove(&self, key: &str) -> Result<(), Error>;

    /// What errors call the file.
    fn describe(&self, key: &str) -> PathBuf;
}

/// A file under way. One that is dropped unfinished is no file of the place, whatever is left of it.
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

    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Place for Folder {
    fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error> {
        let path = self.describe(key);
        if let Some(parent) = path.parent() {
            let made = match self.is_private {
                true => make_private_folder(parent),
                false => fs::create_dir_all(parent),
            };
            made.map_err(|error| Error::write(parent, error))?;
        }
        self.remove(key)?;
        let file =
            DiskFile::create(&path, self.is_private).map_err(|error| Error::write(&path, error))?;
        Ok(Box::new(file))
    }

    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
        let path = self.describe(key);
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

/// A finished file of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its path in the package; empty for data files until their number is known.
    pub path: String,
    /// Its key in the place.
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

impl From<&Made> for DataFile {
    fn from(made: &Made) -> Self {
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
    pub fn create(place: &dyn Place, key: String) -> Result<Self, Error> {
        Ok(Self {
            file: place.create(&key)?,
            described: place.describe(&key),
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

    /// Ends the file, which stands at `path` in the package.
    pub fn finish(self, path: String, records: Option<u64>) -> Result<Made, Error> {
        self.file.finish().map_err(|error| Error::write(&self.described, error))?;
        Ok(Made {
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

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
