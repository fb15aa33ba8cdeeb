//! The files that records have beside their rows: written by the threads that shape, each once.
//!
//! A file is known by its path, and records that share one give it the same content. So it makes no difference which of
//! them comes first, and the files of several parts are simply put together.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use retort_formats::data::{FileContent, RecordFile};
use retort_model::bounds::RECORD_FILES;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::storage::{HashingFile, Storage, StoredFile, hex};

/// Writes the files of records below a folder of a storage.
pub struct RecordFiles<'s> {
    storage: &'s dyn Storage,
    folder: String,
    /// By their paths in the package.
    written: Mutex<BTreeMap<String, Written>>,
}

/// A file that is written, or that another thread is writing.
struct Written {
    sha256: String,
    stored: Option<StoredFile>,
}

impl<'s> RecordFiles<'s> {
    /// None are written yet.
    pub fn new(storage: &'s dyn Storage, folder: String) -> Self {
        Self { storage, folder, written: Mutex::default() }
    }

    /// Writes a file, unless it is there.
    ///
    /// # Errors
    /// Failing I/O; a file of the same path with other content; more files than a dataset may have.
    pub(crate) fn write(&self, file: &RecordFile) -> Result<(), Error> {
        match &file.content {
            FileContent::Bytes(bytes) => {
                let sha256 = hex(&Sha256::digest(bytes));
                self.copy(&file.path, &sha256, &mut || Ok(Box::new(&**bytes)))
            }
            FileContent::Given(given) => self.copy(&file.path, &given.sha256, &mut || {
                let fail = |source| Error::Unpack { name: given.name.clone(), source };
                (given.open)().map(|file| file as Box<dyn Read>).map_err(fail)
            }),
        }
    }

    /// Writes the file of this path and hash that `open` opens, unless it is there.
    pub(crate) fn copy<'f>(
        &self,
        path: &str,
        sha256: &str,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + 'f>, Error>,
    ) -> Result<(), Error> {
        if !self.claim(path, sha256)? {
            return Ok(());
        }
        let key = format!("{}/{path}", self.folder);
        let fail = |error| Error::write(&self.storage.describe(&key), error);
        let mut out = HashingFile::create(self.storage, key.clone())?;
        io::copy(&mut open()?, &mut out).map_err(fail)?;
        let stored = out.finish(path.to_owned(), None)?;
        if stored.sha256 != sha256 {
            return Err(fail(io::Error::other("its content has changed")));
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = written.get_mut(path) {
            written.stored = Some(stored);
        }
        Ok(())
    }

    /// Whether this thread is to write the file.
    fn claim(&self, path: &str, sha256: &str) -> Result<bool, Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = written.get(path) {
            return match there.sha256 == sha256 {
                true => Ok(false),
                false => Err(two_contents(path)),
            };
        }
        check_count(written.len() + 1)?;
        let claimed = Written { sha256: sha256.to_owned(), stored: None };
        written.insert(path.to_owned(), claimed);
        Ok(true)
    }

    /// The files that were written, by their paths.
    pub(crate) fn files(&self) -> Vec<StoredFile> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.values().filter_map(|written| written.stored.clone()).collect()
    }
}

/// The files of several parts as those of one dataset, each once.
///
/// # Errors
/// As [`RecordFiles::write`].
pub(crate) fn of_parts<'p>(
    parts: impl Iterator<Item = &'p [StoredFile]>,
) -> Result<Vec<StoredFile>, Error> {
    let mut files: BTreeMap<&str, &StoredFile> = BTreeMap::new();
    for file in parts.flatten() {
        if let Some(there) = files.get(&*file.path) {
            if there.sha256 != file.sha256 {
                return Err(two_contents(&file.path));
            }
            continue;
        }
        files.insert(&file.path, file);
        check_count(files.len())?;
    }
    Ok(files.into_values().cloned().collect())
}

fn check_count(files: usize) -> Result<(), Error> {
    if files <= RECORD_FILES {
        return Ok(());
    }
    Err(Error::Choice(format!(
        "the dataset would have more than {RECORD_FILES} files beside its rows; select fewer items, or split them over \
         several datasets"
    )))
}

fn two_contents(path: &str) -> Error {
    let why = format!("two records have different files named `{path}`");
    Error::Failed { what: "the files of records", source: io::Error::other(why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Folder;

    fn file(path: &str, content: &str) -> RecordFile {
        RecordFile { path: path.into(), content: FileContent::Bytes(content.into()) }
    }

    #[test]
    fn a_file_that_records_share_is_written_once_by_whichever_thread_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path().to_owned());
        let files = RecordFiles::new(&storage, "part".into());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..50 {
                        files.write(&file(&format!("f/{number}"), &number.to_string())).unwrap();
                    }
                });
            }
        });
        let written = files.files();
        assert_eq!(written.len(), 50);
        assert_eq!(storage.keys().unwrap().len(), 50);
        let first = &written[0];
        assert_eq!((&*first.path, &*first.key, first.bytes), ("f/0", "part/f/0", 1));
    }

    #[test]
    fn two_contents_under_one_path_are_no_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path().to_owned());
        let parts = ["a", "b"].map(|content| {
            let files = RecordFiles::new(&storage, content.into());
            files.write(&file("f", content)).unwrap();
            files.write(&file("f", content)).unwrap();
            assert!(files.write(&file("f", "else")).is_err());
            files.files()
        });
        assert!(of_parts(parts.iter().map(Vec::as_slice)).is_err());
        let twice = [&parts[0], &parts[0]];
        let one = of_parts(twice.into_iter().map(Vec::as_slice)).unwrap();
        assert_eq!(one, parts[0]);
    }
}
