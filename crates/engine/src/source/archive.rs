//! Archives: ZIP, which is read from its end, and tar, which is read as it comes.
//!
//! Each entry is a stream of its own and goes through the same opener as a file, so archives may hold compressed files and
//! archives. Nothing is written to the disk but what has to be read from any place, such as a database.
//!
//! A ZIP archive lists its entries at its end, so they are read sorted by name, side files first; of two entries of one
//! name the last is read, as ZIP programs do. The list is not trusted: entries whose bytes overlap are refused, as a small
//! archive could unpack to anything, and all that is unpacked counts against the archive's [`Budget`]. A tar archive can
//! only be read in its order. So a database waits until the end for its log, which may come after it.
//!
//! An entry is refused, and counted, if its path leaves the archive or it is a link; the others are still read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use retort_formats::import::{Refusal, is_text_file};
use retort_formats::package::{
    CARD, DATASET_INFO, EXTRA, FINDINGS, IDS, MANIFEST, Manifest, REJECTS,
};
use retort_model::bounds::ARCHIVE_ENTRIES;
use zip::CompressionMethod;

use super::beside::Beside;
use super::bytes::{Bounded, Budget, SQLITE_MAGIC, damaged, of_zip};
use super::inputs::ItemFiles;
use super::open::{Opener, Start, StreamInfo, temporary, to_temporary_file};
use super::sqlite::{LOG, is_log, log_of};
use super::stream::PassedOver;
use super::workbook::WORKBOOK;
use crate::error::{Error, io_reason};

/// Files that Retort writes beside the data of a package: no histories.
const PACKAGE_FILES: [&str; 7] = [CARD, DATASET_INFO, EXTRA, FINDINGS, IDS, MANIFEST, REJECTS];

/// Bytes of a receipt that are read: one of as many files as a dataset may have is a third of that.
const RECEIPT_BYTES: u64 = 64 << 20;

/// What is told of an entry without its content being read.
struct Entry {
    index: usize,
    name: String,
    /// Why it is not read.
    refused: Option<(Refusal, String)>,
    /// Where its bytes are in the archive.
    start: u64,
    end: u64,
}

impl Opener<'_> {
    /// The entries of a ZIP archive, by their names.
    pub(super) fn zip(
        &mut self,
        place: &StreamInfo,
        file: &mut (impl Read + Seek),
    ) -> Result<bool, Error> {
        let (mut entries, repeated) = match entries_of(file) {
            Ok(entries) => entries,
            Err(error) => return self.fail(place, &error),
        };
        refuse_overlaps(&mut entries);
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let sides = self.wanted.sides_among(&names);
        // What is read with items comes before them.
        entries.sort_by_cached_key(|entry| (!sides.is_read(&entry.name), entry.name.clone()));
        let index_of =
            |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.index);
        let is_package = index_of(MANIFEST).is_some() && index_of(CARD).is_some();
        let receipt = index_of(MANIFEST).filter(|_| is_package);
        for name in repeated {
            if !self.pass_over(&place.entry(&name), PassedOver::RepeatedEntry)? {
                return Ok(false);
            }
        }
        let mut archive = match zip::ZipArchive::new(file) {
            Ok(archive) => archive,
            Err(error) => return self.fail(place, &of_zip(error)),
        };
        if index_of(WORKBOOK).is_some() {
            return self.workbook(place, &mut archive);
        }
        let receipt = receipt_of(&mut archive, receipt, &self.budget)?;
        let item_files = receipt.as_ref().map(ItemFiles::of);
        if item_files.as_ref().is_some_and(ItemFiles::is_for_people) {
            return self.pass_over(place, PassedOver::ForPeople);
        }
        if is_package {
            let ids = kept(&mut archive, index_of(IDS), &self.budget)?;
            let extras = kept(&mut archive, index_of(EXTRA), &self.budget)?;
            self.beside = ids.map(|ids| Beside::new(ids, extras));
        }
        let logs: BTreeMap<String, usize> = entries
            .iter()
            .filter(|entry| entry.name.ends_with(LOG))
            .map(|entry| (entry.name.clone(), entry.index))
            .collect();
        for Entry { index, name, refused, .. } in entries {
            if is_package && PACKAGE_FILES.contains(&name.as_str()) || name.ends_with(['/', '\\']) {
                continue;
            }
            if item_files.as_ref().is_some_and(|items| !items.has(&name)) {
                continue;
            }
            let place = place.entry(&name).declared(sides.of(&name));
            let more = if let Some((refusal, why)) = refused {
                self.refuse(&place, refusal, why)?
            } else if let Some(why) = passed_over(&name) {
                self.pass_over(&place, why)?
            } else {
                let log = logs.get(&log_of(&name)).copied();
                self.log = kept(&mut archive, log, &self.budget)?;
                let begun = match (&mut self.beside, &receipt) {
                    (Some(beside), Some(receipt)) => beside.begin(receipt, &name),
                    _ => Ok(()),
                };
                match begun
                    .map_err(zip::result::ZipError::Io)
                    .and_then(|()| archive.by_index(index))
                {
                    Ok(inner) => {
                        let mut inner = Bounded { inner, budget: Arc::clone(&self.budget) };
                        self.stream(&place, &mut inner)?
                    }
                    Err(error) => self.fail(&place, &of_zip(error))?,
                }
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entries of a tar archive, in its order.
    pub(super) fn tar(&mut self, place: &StreamInfo, input: &mut dyn Read) -> Result<bool, Error> {
        let mut archive = tar::Archive::new(input);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.fail(place, &damaged(error)),
        };
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        let mut databases = Databases::default();
        for (count, entry) in (1..).zip(entries) {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let why =
                        format!("the rest of the archive cannot be read: {}", io_reason(&error));
                    if !self.refuse(place, Refusal::Damaged, why)? {
                        return Ok(false);
                    }
                    break;
                }
            };
            if count > ARCHIVE_ENTRIES {
                if !self.refuse(place, Refusal::TooLarge, too_many(count))? {
                    return Ok(false);
                }
                break;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            let again = names.entry(name.clone()).or_default();
            *again += 1;
            let mut inside = place.entry(&name);
            if *again > 1 {
                inside.label = format!("{} ({again})", inside.label);
            }
            let more = if leaves(&name) {
                self.refuse(&inside, Refusal::Entry, "its path leads out of the archive".into())?
            } else if kind.is_dir() {
                true
            } else if kind.is_symlink() || kind.is_hard_link() {
                self.refuse(&inside, Refusal::Entry, "it is a link".into())?
            } else if let Some(why) = passed_over(&name) {
                self.pass_over(&inside, why)?
            } else if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                self.pass_over(&inside, PassedOver::Special)?
            } else {
                self.tar_entry(inside, name, &mut entry, &mut databases)?
            };
            if !more {
                return Ok(false);
            }
        }
        self.kept_databases(databases)
    }

    /// An entry of a tar archive. A database and a log are kept for the end, as either may come first.
    fn tar_entry(
        &mut self,
        place: StreamInfo,
        name: String,
        entry: &mut dyn Read,
        databases: &mut Databases,
    ) -> Result<bool, Error> {
        let start = match Start::read(entry, SQLITE_MAGIC.len()) {
            Ok(start) => start,
            Err(error) => return self.fail(&place, &error),
        };
        let (is_database, is_log) =
            (start.bytes().starts_with(SQLITE_MAGIC), is_log(start.bytes()));
        let mut whole = start.chain(entry);
        if !is_database && !is_log {
            return self.stream(&place, &mut whole);
        }
        match to_temporary_file(&mut whole)? {
            Ok(kept) if is_database => databases.files.push((place, name, kept)),
            Ok(kept) => {
                databases.logs.insert(name, kept);
                return self.pass_over(&place, PassedOver::NotAHistory);
            }
            Err(error) => return self.fail(&place, &error),
        }
        Ok(true)
    }

    /// Reads the databases of a tar archive, each with its log.
    fn kept_databases(&mut self, mut databases: Databases) -> Result<bool, Error> {
        for (place, name, mut kept) in databases.files {
            self.log = databases.logs.remove(&log_of(&name));
            if !self.stream(&place, &mut kept)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A copy of an entry of a ZIP archive, if it is there and whole. The entry is given by its index, as looking for a name
/// that is not there takes time with the number of entries.
fn kept(
    archive: &mut zip::ZipArchive<impl Read + Seek>,
    index: Option<usize>,
    budget: &Arc<Budget>,
) -> Result<Option<File>, Error> {
    let Some(Ok(inner)) = index.map(|index| archive.by_index(index)) else { return Ok(None) };
    Ok(to_temporary_file(&mut Bounded { inner, budget: Arc::clone(budget) })?.ok())
}

/// The receipt of the package that an archive is.
fn receipt_of(
    archive: &mut zip::ZipArchive<impl Read + Seek>,
    index: Option<usize>,
    budget: &Arc<Budget>,
) -> Result<Option<Manifest>, Error> {
    let Some(file) = kept(archive, index, budget)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(RECEIPT_BYTES).read_to_end(&mut bytes).map_err(temporary)?;
    Ok(Manifest::parse(&String::from_utf8_lossy(&bytes)).ok())
}

/// The databases of a tar archive, and their logs by name.
#[derive(Default)]
struct Databases {
    files: Vec<(StreamInfo, String, File)>,
    logs: BTreeMap<String, File>,
}

/// Why an entry is passed over by its name.
fn passed_over(name: &str) -> Option<PassedOver> {
    let mut parts = name.split(['/', '\\']);
    let last = parts.next_back().unwrap_or(name);
    if last.starts_with("._")
        || parts.clone().any(|part| part == "__MACOSX")
        || name.starts_with("__MACOSX")
    {
        return Some(PassedOver::Macos);
    }
    let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    let is_hidden_file = is_hidden(last) && !is_text_file(last);
    (is_hidden_file || parts.any(is_hidden)).then_some(PassedOver::Hidden)
}

/// Whether a path begins at a root, of whatever system, or climbs out of the archive.
fn leaves(name: &str) -> bool {
    let mut depth = 0_i64;
    let climbs = name.split(['/', '\\']).any(|part| {
        depth += match part {
            ".." => -1,
            "" | "." => 0,
            _ => 1,
        };
        depth < 0
    });
    climbs || name.starts_with(['/', '\\']) || name.get(1..2) == Some(":") || name.contains('\0')
}

fn too_many(entries: usize) -> String {
    format!("it has {entries} entries or more; at most {ARCHIVE_ENTRIES} are read")
}

/// The entries of an archive, and the names that are in it more than once.
fn entries_of(file: &mut (impl Read + Seek)) -> io::Result<(Vec<Entry>, Vec<String>)> {
    let archive = zip::ZipArchive::new(&mut *file).map_err(of_zip)?;
    if archive.len() > ARCHIVE_ENTRIES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, too_many(archive.len())));
    }
    let directory = archive.central_directory_start();
    let mut entries = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(of_zip)?;
        let name = entry.name().map_err(of_zip)?.into_owned();
        let method = entry.compression();
        let refused = if leaves(&name) {
            Some((Refusal::Entry, "its path leads out of the archive".to_owned()))
        } else if entry.is_symlink() {
            Some((Refusal::Entry, "it is a link".to_owned()))
        } else if entry.encrypted() {
            Some((Refusal::Unsupported, "it is encrypted".to_owned()))
        } else if !is_read(method) {
            let why =
                format!("its compression is not supported ({method}); compress it with Deflate");
            Some((Refusal::Unsupported, why))
        } else {
            None
        };
        let start = entry.header_start();
        // The shortest header in front of the bytes, and the name.
        let header = 30 + entry.name_raw().len() as u64;
        let end = start.saturating_add(header).saturating_add(entry.compressed_size());
        entries.push(Entry { index, name, refused, start, end });
    }
    let repeated =
        if archive.len() < usize::MAX { repeated_names(file, directory) } else { Vec::new() };
    Ok((entries, repeated))
}

fn is_read(method: CompressionMethod) -> bool {
    matches!(
        method,
        CompressionMethod::Stored
            | CompressionMethod::Deflated
            | CompressionMethod::Deflate64
            | CompressionMethod::Bzip2
    )
}

/// Names that the central directory lists more than once: the library keeps the last alone.
fn repeated_names(file: &mut (impl Read + Seek), directory: u64) -> Vec<String> {
    let mut repeated = Vec::new();
    let mut names = BTreeSet::new();
    let mut look = || -> io::Result<()> {
        file.seek(SeekFrom::Start(directory))?;
        loop {
            let mut header = [0; 46];
            file.read_exact(&mut header)?;
            if !header.starts_with(b"PK\x01\x02") {
                return Ok(());
            }
            let length = |at: usize| -> u64 {
                u64::from(header.get(at).copied().unwrap_or(0))
                    | u64::from(header.get(at + 1).copied().unwrap_or(0)) << 8
            };
            let mut name = vec![0; usize::try_from(length(28)).unwrap_or(0)];
            file.read_exact(&mut name)?;
            file.seek_relative(i64::try_from(length(30) + length(32)).unwrap_or(0))?;
            let name = String::from_utf8_lossy(&name).into_owned();
            if names.len() + repeated.len() >= ARCHIVE_ENTRIES {
                return Ok(());
            }
            if !names.insert(name.clone()) {
                repeated.push(name);
            }
        }
    };
    // What ends it is the end of the directory; damage is told by the library.
    let _ = look();
    repeated
}

/// Refuses entries whose bytes are those of others, too: a few bytes would unpack to any number of files.
fn refuse_overlaps(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.start, entry.end));
    let mut end = 0;
    let mut before: Option<usize> = None;
    for at in 0..entries.len() {
        let (start, own_end) = entries.get(at).map_or((0, 0), |entry| (entry.start, entry.end));
        if start < end {
            for place in [before, Some(at)].into_iter().flatten() {
                if let Some(entry) = entries.get_mut(place) {
                    let why = "it shares its bytes with another entry".to_owned();
                    entry.refused.get_or_insert((Refusal::Entry, why));
                }
            }
        }
        if own_end > end {
            (end, before) = (own_end, Some(at));
        }
    }
}
