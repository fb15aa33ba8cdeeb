//! Files among the inputs that histories name: pictures and sound in the same folder or archive. Nothing outside of the
//! inputs is read, whatever a history names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use retort_formats::data::{GivenFile, GivenFiles, Open};
use retort_model::bounds::{ATTACHMENT_BYTES, RECORD_FILES};

use super::inputs::Inputs;
use crate::storage::read_through;

/// The files among the inputs, by what they are called in reports.
pub struct AttachedFiles {
    files: HashMap<String, PathBuf>,
    names: Names,
    by_path: HashMap<PathBuf, String>,
    /// By name; none for files that are no archives.
    archives: Mutex<HashMap<String, Option<Arc<Archive>>>>,
    /// Hashes that were taken before, by name.
    hashes: Mutex<HashMap<String, String>>,
}

/// Files by the ids that ChatGPT gives them, with which their names begin.
#[derive(Default)]
struct Names {
    by_id: HashMap<String, String>,
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Some(id) = id_of(name) {
            self.by_id.entry(id.to_owned()).or_insert_with(|| name.to_owned());
        }
    }

    /// The file of an id, as ChatGPT writes it: `file-service://file-…` or `sediment://file_…`.
    fn of_id(&self, name: &str) -> Option<&str> {
        let (_, id) = name.split_once("://")?;
        self.by_id.get(id_of(id)?).map(String::as_str)
    }
}

/// The id with which the name of a file begins: `file-abc` of `file-abc-cat.png`, `file_abc` of `file_abc-sanitized.png`.
fn id_of(name: &str) -> Option<&str> {
    let name = name.rsplit('/').next()?;
    let rest = name.strip_prefix("file-").or_else(|| name.strip_prefix("file_"))?;
    let length = rest.find(['-', '.', '#', '?']).unwrap_or(rest.len());
    (length >= 8).then(|| name.get(..5 + length)).flatten()
}

/// An archive among the inputs.
struct Archive {
    zip: Mutex<zip::ZipArchive<File>>,
    entries: HashMap<String, usize>,
    names: Names,
}

impl Archive {
    fn open(path: &PathBuf) -> io::Result<Self> {
        let zip = zip::ZipArchive::new(File::open(path)?)?;
        let mut names = Names::default();
        let entries: HashMap<String, usize> = (0..zip.len())
            .filter_map(|index| {
                let name = zip.name_for_index(index)?.ok()?.into_owned();
                names.add(&name);
                Some((name, index))
            })
            .collect();
        Ok(Self { zip: Mutex::new(zip), entries, names })
    }

    /// A copy of an entry.
    fn read(&self, index: usize) -> io::Result<File> {
        let mut zip = self.zip.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = zip.by_index(index)?.take(ATTACHMENT_BYTES + 1);
        let mut kept = tempfile::tempfile()?;
        if io::copy(&mut entry, &mut kept)? > ATTACHMENT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        kept.seek(SeekFrom::Start(0))?;
        Ok(kept)
    }
}

impl AttachedFiles {
    /// Those of the inputs.
    pub fn of(inputs: &Inputs) -> Self {
        let (mut files, mut by_path) = (HashMap::new(), HashMap::new());
        let mut names = Names::default();
        for (label, path) in inputs.paths() {
            names.add(label);
            if let Ok(path) = path.canonicalize() {
                by_path.insert(path, label.clone());
            }
            files.insert(label.clone(), path.clone());
        }
        Self { files, names, by_path, archives: Mutex::default(), hashes: Mutex::default() }
    }

    /// Those beside a history of this name.
    pub fn beside<'g>(&'g self, history: &'g str) -> BesideHistory<'g> {
        BesideHistory { all: self, history }
    }

    /// The archive that a history is in, if it is one, and its name there.
    fn archive_of<'h>(&self, history: &'h str) -> Option<(Arc<Archive>, String, &'h str)> {
        for (at, _) in history.match_indices('/') {
            let (label, inner) = (history.get(..at)?, history.get(at + 1..)?);
            let Some(path) = self.files.get(label) else { continue };
            let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
            let archive = archives
                .entry(label.to_owned())
                .or_insert_with(|| Archive::open(path).ok().map(Arc::new))
                .clone()?;
            return Some((archive, label.to_owned(), inner));
        }
        None
    }

    fn hash(
        &self,
        label: &str,
        open: &dyn Fn() -> io::Result<Box<dyn Read>>,
    ) -> io::Result<String> {
        let known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(label).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (bytes, hash, _) = read_through(&mut open()?.take(ATTACHMENT_BYTES + 1))?;
        if bytes > ATTACHMENT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() < RECORD_FILES {
            hashes.insert(label.to_owned(), hash.clone());
        }
        Ok(hash)
    }
}

/// The files beside one history.
pub struct BesideHistory<'g> {
    all: &'g AttachedFiles,
    history: &'g str,
}

impl GivenFiles for BesideHistory<'_> {
    fn find(&self, name: &str) -> Option<GivenFile> {
        let all = self.all;
        let (label, open): (String, Open) = match all.archive_of(self.history) {
            Some((archive, label, history)) => {
                let found = found(history, name, &archive.names, |name| {
                    archive.entries.contains_key(name)
                })?;
                let index = *archive.entries.get(&found)?;
                let open = move || archive.read(index).map(|file| Box::new(file) as Box<dyn Read>);
                (format!("{label}/{found}"), Arc::new(open))
            }
            None => {
                let found = all.on_disk(name).or_else(|| {
                    found(self.history, name, &all.names, |name| all.files.contains_key(name))
                })?;
                let path = all.files.get(&found)?.clone();
                let open = move || File::open(&path).map(|file| Box::new(file) as Box<dyn Read>);
                (found, Arc::new(open))
            }
        };
        let sha256 = all.hash(&label, &*open).ok()?;
        Some(GivenFile { sha256, name: label, open })
    }
}

impl AttachedFiles {
    /// A file that a history names by its whole path on this machine, if it is among the inputs.
    fn on_disk(&self, name: &str) -> Option<String> {
        let path = match name.strip_prefix("file://") {
            Some(url) => percent_decode_str(url).decode_utf8().ok()?.into_owned().into(),
            None => PathBuf::from(name),
        };
        let path = Some(path).filter(|path| path.is_absolute())?.canonicalize().ok()?;
        self.by_path.get(&path).cloned()
    }
}

/// The file that a history names: by its id, or by its path from the folder of the history or one above.
fn found(
    history: &str,
    name: &str,
    names: &Names,
    is_there: impl Fn(&str) -> bool,
) -> Option<String> {
    if let Some(found) = names.of_id(name) {
        return Some(found.to_owned());
    }
    let mut folder = history;
    loop {
        folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(path) = joined(folder, name).filter(|path| is_there(path)) {
            return Some(path);
        }
        if folder.is_empty() {
            return None;
        }
    }
}

/// A path from a folder, with `/`; none if it leaves the inputs.
fn joined(folder: &str, name: &str) -> Option<String> {
    if name.starts_with(['/', '\\']) || name.contains("://") || name.get(1..2) == Some(":") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_below_the_inputs_or_nothing() {
        for (folder, name, path) in [
            ("a/b", "c.png", Some("a/b/c.png")),
            ("a/b", "./../c.png", Some("a/c.png")),
            ("a", "..\\x\\c.png", Some("x/c.png")),
            ("a", "../../c.png", None),
            ("", "/etc/passwd", None),
            ("", "C:\\x", None),
            ("", "file:///etc/passwd", None),
        ] {
            assert_eq!(joined(folder, name).as_deref(), path, "{name}");
        }
    }

    #[test]
    fn ids_are_what_names_begin_with() {
        for (name, id) in [
            ("user-x/file_0000abcd-sanitized.png", Some("file_0000abcd")),
            ("file-AbCdEfGh12-cat.png", Some("file-AbCdEfGh12")),
            ("file-AbCdEfGh12", Some("file-AbCdEfGh12")),
            ("file-a.png", None),
            ("profile-AbCdEfGh12.png", None),
        ] {
            assert_eq!(id_of(name), id, "{name}");
        }
    }
}
