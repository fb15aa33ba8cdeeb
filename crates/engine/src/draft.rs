//! Packages being written: under a temporary name, and published whole.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use retort_formats::package::{Archive, Entry, MANIFEST, Segment};

use crate::deflate::{deflate, is_worth_packing};
use crate::error::Error;
use crate::output::OutputForm;
use crate::package::Package;
use crate::parts::Parts;
use crate::storage::storage_at;
use crate::storage::{Folder, Storage, StoredFile};

/// Where files are made, below the temporary folder.
const MADE: &str = "made";
/// Where the package's files stand together before it is published.
const FILES: &str = "files";
/// The archive before it is published.
const ARCHIVE: &str = "package.zip";
/// What was at the output, until the new package is there.
const REPLACED: &str = "replaced";

/// A package that is being written next to its final path. It is removed unless it is published.
pub struct Draft {
    output: PathBuf,
    /// The temporary folder.
    folder: PathBuf,
    /// Held as long as the folder is in use, so that the next run knows a dead one's.
    _lock: File,
    force: bool,
}

impl Draft {
    /// Begins a folder of parts of an export.
    pub fn begin_parts(output: &Path, force: bool) -> Result<Self, Error> {
        if OutputForm::of(output) != OutputForm::Folder {
            return Err(Error::Choice(format!(
                "cannot write a part to `{}`: parts are folders; `retort merge` can write archives and data files",
                output.display()
            )));
        }
        Self::begin(output, force)
    }

    /// Begins the package or data file that the name of `output` asks for.
    pub fn begin(output: &Path, force: bool) -> Result<Self, Error> {
        let output = std::path::absolute(output).map_err(|error| Error::write(output, error))?;
        if fs::symlink_metadata(&output).is_ok() {
            if !force {
                return Err(Error::Exists(output));
            }
            if !is_replaceable(&output) {
                return Err(Error::NotAPackage(output));
            }
        }
        let (Some(parent), Some(folder)) = (output.parent(), partial_folder(&output)) else {
            return Err(Error::write(&output, io::Error::other("it names no file or folder")));
        };
        fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
        let lock = lock(&folder, &output)?;
        let draft = Self { output, folder, _lock: lock, force };
        draft.put_back()?;
        draft.clear()?;
        Ok(draft)
    }

    /// Puts back what a run replaced that was killed before the new package was in its place.
    fn put_back(&self) -> Result<(), Error> {
        let old = self.folder.join(REPLACED);
        if fs::symlink_metadata(&old).is_err() || fs::symlink_metadata(&self.output).is_ok() {
            return Ok(());
        }
        fs::rename(&old, &self.output).map_err(|error| Error::write(&self.output, error))?;
        if self.force { Ok(()) } else { Err(Error::Exists(self.output.clone())) }
    }

    /// Clears what a run left that was killed.
    fn clear(&self) -> Result<(), Error> {
        for name in [MADE, FILES, ARCHIVE, REPLACED] {
            let path = self.folder.join(name);
            let removed = match fs::symlink_metadata(&path) {
                Ok(there) if there.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(_) => Ok(()),
            };
            removed.map_err(|error| Error::write(&path, error))?;
        }
        Ok(())
    }

    /// Where the package's files are made.
    pub fn storage(&self) -> Folder {
        Folder::new(self.folder.join(MADE))
    }

    /// Puts the package of these files into its place.
    pub fn publish(self, files: &[StoredFile], threads: usize) -> Result<PathBuf, Error> {
        let fail = |error| Error::write(&self.output, error);
        let made = match OutputForm::of(&self.output) {
            OutputForm::Archive => {
                let archive = self.folder.join(ARCHIVE);
                write_archive(&self.storage(), files, &archive, threads)?;
                archive
            }
            OutputForm::Folder => {
                let folder = self.folder.join(FILES);
                move_files(&self.storage(), files, &folder)?;
                folder
            }
            OutputForm::DataFile => self.data_file(files)?,
        };
        let old = self.folder.join(REPLACED);
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
        Ok(self.output.clone())
    }

    /// Where the only data file of these was made.
    fn data_file(&self, files: &[StoredFile]) -> Result<PathBuf, Error> {
        let data: Vec<_> = files.iter().filter(|file| file.records.is_some()).collect();
        match data.as_slice() {
            [file] => Ok(self.storage().describe(&file.key)),
            _ => Err(Error::Choice(format!(
                "the dataset has {} data files, and `{}` is one; name a folder or a `.zip`",
                data.len(),
                self.output.display()
            ))),
        }
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

/// Whether the place holds only what may be replaced: a data file, a package, or parts of an export.
fn is_replaceable(path: &Path) -> bool {
    if OutputForm::of(path) == OutputForm::DataFile {
        return path.is_file();
    }
    let is_empty =
        |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if let Some(listed) = Parts::names_in(path) {
        let names = storage_at(path).and_then(|storage| storage.keys());
        let listed: HashSet<String> = listed.into_iter().collect();
        return names.is_ok_and(|names| names.iter().all(|name| listed.contains(name)));
    }
    let Ok(package) = Package::open(path) else { return path.is_dir() && is_empty(path) };
    let listed: HashSet<&str> =
        package.manifest().files.iter().map(|file| &*file.path).chain([MANIFEST]).collect();
    package.names().is_ok_and(|names| names.iter().all(|name| listed.contains(&**name)))
}

/// Moves files from where they were made to their paths in the package.
fn move_files(storage: &Folder, files: &[StoredFile], folder: &Path) -> Result<(), Error> {
    for file in files {
        let path = folder.join(&file.path);
        let moved = path.parent().map_or(Ok(()), fs::create_dir_all);
        moved
            .and_then(|()| fs::rename(storage.describe(&file.key), &path))
            .map_err(|error| Error::write(&path, error))?;
    }
    Ok(())
}

/// What a file is called while it is packed.
fn packed_key(file: &StoredFile) -> String {
    format!("{}.deflate", file.key)
}

/// Packs a file beside itself. None if it is better stored.
fn packed(storage: &Folder, file: &StoredFile, threads: usize) -> Result<Option<u64>, Error> {
    if !is_worth_packing(&file.path, file.bytes) {
        return Ok(None);
    }
    let key = packed_key(file);
    let mut out = storage.create(&key)?;
    let fail = |error| Error::write(&storage.describe(&key), error);
    let bytes = deflate(&mut storage.open(&file.key)?, &mut out, threads).map_err(fail)?;
    out.finish().map_err(fail)?;
    Ok(Some(bytes))
}

/// Writes the files into an archive, packed where that makes them smaller.
fn write_archive(
    storage: &Folder,
    files: &[StoredFile],
    path: &Path,
    threads: usize,
) -> Result<(), Error> {
    let fail = |error| Error::write(path, error);
    let mut files: Vec<&StoredFile> = files.iter().collect();
    files.sort_by_key(|file| (file.path == MANIFEST, &file.path));
    let mut entries = Vec::with_capacity(files.len());
    for file in &files {
        let packed_bytes = packed(storage, file, threads)?;
        let StoredFile { path, bytes, crc32, .. } = file;
        entries.push(Entry { name: path.clone(), bytes: *bytes, crc32: *crc32, packed_bytes });
    }
    let held: Vec<_> = entries.iter().map(|entry| entry.packed_bytes).collect();
    let archive = Archive::new(entries);
    let file = File::create_new(path).map_err(fail)?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    for segment in archive.segments(0..archive.len()) {
        match segment {
            Segment::Bytes(bytes) => out.write_all(&bytes).map_err(fail)?,
            Segment::Entry { index, .. } => {
                let Some(file) = files.get(index) else { continue };
                let (key, bytes) = match held.get(index).copied().flatten() {
                    Some(bytes) => (packed_key(file), bytes),
                    None => (file.key.clone(), file.bytes),
                };
                let copied = io::copy(&mut storage.open(&key)?, &mut out).map_err(fail)?;
                if copied != bytes {
                    return Err(fail(io::Error::other(format!("`{}` has changed", file.path))));
                }
            }
        }
    }
    out.flush().map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::write_text;

    #[test]
    fn what_a_killed_run_left_does_not_stand_in_the_way() {
        for output in ["o", "o.zip"] {
            let folder = tempfile::tempdir().unwrap();
            let left = folder.path().join(format!(".{output}.partial"));
            for path in ["made/.parts/00000/data-00000.jsonl", "files/x", ARCHIVE] {
                let path = left.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "half").unwrap();
            }
            let draft = Draft::begin(&folder.path().join(output), false).unwrap();
            let made = ["z", MANIFEST, "a/b"].map(|path| {
                let made = write_text(&draft.storage(), path, path).unwrap();
                assert_eq!(made.bytes, path.len() as u64);
                made
            });
            let path = draft.publish(&made, 1).unwrap();
            assert_eq!(storage_at(&path).unwrap().keys().unwrap(), ["a/b", MANIFEST, "z"]);
            assert!(!left.exists());
        }
    }

    #[test]
    fn what_a_killed_run_was_replacing_is_put_back_or_removed() {
        let published = |draft: Draft| {
            let made = [write_text(&draft.storage(), MANIFEST, "{}").unwrap()];
            draft.publish(&made, 1).unwrap()
        };
        for was_replaced in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (output, left) = (folder.path().join("o"), folder.path().join(".o.partial"));
            fs::create_dir_all(&output).unwrap();
            if was_replaced {
                fs::create_dir_all(left.join("replaced/sub")).unwrap();
            } else {
                fs::create_dir_all(&left).unwrap();
                fs::rename(&output, left.join("replaced")).unwrap();
            }
            let refused = Draft::begin(&output, false).map(|_| ());
            assert!(matches!(refused, Err(Error::Exists(_))));
            assert!(output.is_dir(), "the old one is there again");
            published(Draft::begin(&output, true).unwrap());
            assert!(output.join(MANIFEST).is_file() && !left.exists());
        }
    }
}
