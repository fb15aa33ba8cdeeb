//! Where finished packages stand: a folder or a ZIP archive.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use retort_formats::file::ReadSeek;

use crate::error::Error;
use crate::place::Folder;

/// The files of one finished package.
pub trait Shelf: Send {
    /// Paths of all files, in order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens one.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn ReadSeek>>;
}

/// What stands at the path, a folder or a file that must be an archive.
pub fn shelf_at(path: &Path) -> Result<Box<dyn Shelf>, Error> {
    let metadata = fs::metadata(path).map_err(|error| Error::read(path, error))?;
    if !metadata.is_file() {
        return Ok(Box::new(Folder::new(path.to_owned())));
    }
    let file = File::open(path).map_err(|error| Error::read(path, error))?;
    let archive = zip::ZipArchive::new(file).map_err(|error| Error::NotWhole {
        path: path.to_owned(),
        reason: format!("no ZIP archive: {error}"),
    })?;
    Ok(Box::new(ZipFile { path: path.to_owned(), archive }))
}

impl Shelf for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        walk(self.root(), "", &mut names)?;
        names.sort();
        Ok(names)
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn ReadSeek>> {
        // The receipt of a foreign package may name anything.
        if Path::new(name).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(io::Error::other("its path leaves the package"));
        }
        Ok(Box::new(File::open(self.root().join(name))?))
    }
}

/// Paths of the files below a folder, with `/`.
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

/// A ZIP archive on disk.
struct ZipFile {
    path: PathBuf,
    archive: zip::ZipArchive<File>,
}

impl Shelf for ZipFile {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self
            .archive
            .file_names()
            .map(|name| Ok(name?.into_owned()))
            .collect::<io::Result<Vec<String>>>()?;
        names.retain(|name| !name.ends_with('/'));
        names.sort();
        Ok(names)
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn ReadSeek>> {
        let mut entry = self.archive.by_name(name)?;
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
