//! `verify`: reads a package whole and holds it against its receipt.

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use retort_formats::file::by_name as file_format_named;
use retort_formats::package::{
    CARD, DATASET_INFO, DataFile, FINDINGS, IDS, MANIFEST, Manifest, REJECTS, findings_differ,
};
use retort_json::{Kind, Parser};
use retort_model::Warning;
use retort_model::display::several;

use crate::compression::Compression;
use crate::error::Error;
use crate::package::Package;
use crate::packed::unpacked;
use crate::storage::read_through;

/// Something that is not as the receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// What differs.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// The receipt.
    pub manifest: Manifest,
    /// Files that were read.
    pub files: u64,
    /// Records that were read.
    pub records: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// All that differs; none if the package is as it was written.
    pub differences: Vec<Difference>,
}

/// Differences told of one file; a damaged file may have as many as it has records.
const DIFFERENCES_PER_FILE: usize = 10;

/// As [`verify_package`], of the folder or archive at the path.
///
/// # Errors
/// The package cannot be read at all.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    verify_package(&mut Package::open(path)?, &AtomicBool::new(false))
}

/// Reads a package and holds it against its receipt: every file's bytes and hash, every record's columns, all
/// counts.
///
/// # Errors
/// The package cannot be read at all, or the work is stopped. What differs is no error but the result.
pub fn verify_package(package: &mut Package, stopped: &AtomicBool) -> Result<Verified, Error> {
    let manifest = package.manifest().clone();
    let mut verified = Verified { manifest: manifest.clone(), ..Verified::default() };
    if !manifest.balances() {
        verified.differ(MANIFEST, "its counts do not balance".into());
    }
    let listed: HashSet<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    for name in &package.names()? {
        if name != MANIFEST && !listed.contains(&**name) {
            verified.differ(name, "it is in the package, but not in the receipt".into());
        }
    }
    // Beside cells that were guarded for spreadsheets there is nothing for a trainer.
    let is_guarded =
        manifest.records.warnings.iter().any(|one| one.kind == Warning::GuardedCell.as_str());
    let records = &manifest.records;
    let lists_findings = manifest.options.contains_key("findings")
        && [&records.repaired_by_kind, &records.would_be_refused, &records.warnings]
            .into_iter()
            .any(|list| !list.is_empty());
    let needed = [(CARD, true), (DATASET_INFO, !is_guarded), (FINDINGS, lists_findings)];
    for (name, _) in needed.into_iter().filter(|(_, is_needed)| *is_needed) {
        if !manifest.files.iter().any(|file| file.path == name) {
            verified.differ(name, "the receipt does not list it".into());
        }
    }
    for file in &manifest.files {
        verified.files += 1;
        if let Err(error) = verified.file(package, &manifest, file, stopped) {
            verified.differ(&file.path, error.to_string());
        }
        if stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
    }
    Ok(verified)
}

impl Verified {
    fn differ(&mut self, file: &str, what: String) {
        let told = self.differences.iter().filter(|difference| difference.file == file).count();
        if told < DIFFERENCES_PER_FILE {
            self.differences.push(Difference { file: file.to_owned(), what });
        }
    }

    fn file(
        &mut self,
        package: &mut Package,
        manifest: &Manifest,
        file: &DataFile,
        stopped: &AtomicBool,
    ) -> io::Result<()> {
        let (bytes, hash, lines) = read_through(&mut package.file(&file.path)?)?;
        self.bytes += bytes;
        if bytes != file.bytes {
            self.differ(&file.path, format!("{bytes} bytes, the receipt says {}", file.bytes));
        }
        if hash != file.sha256 {
            self.differ(&file.path, format!("SHA-256 {hash}, the receipt says {}", file.sha256));
        }
        if file.records.is_some() {
            return self.data(package, manifest, file, stopped);
        }
        let beside = match file.path.as_str() {
            REJECTS => {
                let refused: u64 = manifest.read.refused.iter().map(|finding| finding.count).sum();
                let parts: u64 =
                    manifest.records.left_out_by_reason.iter().map(|finding| finding.count).sum();
                // A graph that was left out whole has a line for each of its rounds.
                let items: u64 = manifest.counts().map(|(_, counts)| counts.left_out).sum();
                let least = refused + parts + items;
                (lines < least)
                    .then(|| format!("{}, but {least} were left out", several(lines, "line")))
            }
            IDS => (lines != manifest.records.written).then(|| {
                let lines = several(lines, "line");
                format!("{lines} for {}", several(manifest.records.written, "record"))
            }),
            FINDINGS => {
                let lines = BufReader::new(package.file(&file.path)?);
                for what in findings_differ(lines, manifest)? {
                    self.differ(&file.path, what);
                }
                None
            }
            DATASET_INFO => samples_differ(&mut package.file(&file.path)?, manifest)?,
            _ => None,
        };
        if let Some(what) = beside {
            self.differ(&file.path, what);
        }
        Ok(())
    }

    fn data(
        &mut self,
        package: &mut Package,
        manifest: &Manifest,
        file: &DataFile,
        stopped: &AtomicBool,
    ) -> io::Result<()> {
        let mut records = 0;
        for row in rows_of(package, manifest, &file.path)? {
            if stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            records += 1;
            let problem = match row {
                Ok(row) => row_problem(&row, manifest),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                self.differ(&file.path, format!("record {records}: {problem}"));
            }
        }
        self.records += records;
        if file.records != Some(records) {
            self.differ(
                &file.path,
                format!(
                    "{}, the receipt says {}",
                    several(records, "record"),
                    file.records.unwrap_or(0)
                ),
            );
        }
        Ok(())
    }
}

/// The rows of a data file, each as the JSON text of an object.
pub fn rows_of(
    package: &mut Package,
    manifest: &Manifest,
    path: &str,
) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>> {
    let format = file_format_named(&manifest.file_format).ok_or_else(|| {
        io::Error::other(format!("unknown file format `{}`", manifest.file_format))
    })?;
    let compression: Compression = manifest.compression.parse().map_err(io::Error::other)?;
    let file = package.file(path)?;
    format.read(match compression {
        Compression::None => file,
        _ => Box::new(on_disk(&mut unpacked(file, compression)?)?),
    })
}

/// What is read, on disk, to be read from any place.
fn on_disk(input: &mut dyn Read) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// What is wrong with a row: it is no JSON, or lacks a column, or has one too many.
fn row_problem(row: &str, manifest: &Manifest) -> Option<String> {
    let mut parser = Parser::new(row);
    let mut seen = vec![false; manifest.schema.len()];
    let mut walk = || -> Result<Option<String>, retort_json::JsonError> {
        if parser.kind()? != Kind::Object {
            return Ok(Some("not an object".into()));
        }
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            parser.skip()?;
            match manifest.schema.iter().position(|column| column.name == key) {
                Some(place) => seen.iter_mut().skip(place).take(1).for_each(|seen| *seen = true),
                // A data format without columns of its own is free in its keys.
                None if manifest.schema.is_empty() => {}
                None => {
                    return Ok(Some(format!(
                        "the column `{}` is not in the schema",
                        key.escape_debug()
                    )));
                }
            }
        }
        parser.end()?;
        Ok(None)
    };
    match walk() {
        Ok(None) => manifest
            .schema
            .iter()
            .zip(seen)
            .find(|(column, seen)| !seen && !column.optional)
            .map(|(column, _)| format!("the column `{}` is missing", column.name)),
        Ok(problem) => problem,
        Err(error) => Some(format!("byte {}: {error}", error.at)),
    }
}

fn samples_differ(input: &mut dyn Read, manifest: &Manifest) -> io::Result<Option<String>> {
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    let samples = text.lines().filter_map(|line| line.trim().strip_prefix("\"num_samples\": "));
    let found: u64 =
        samples.filter_map(|number| number.trim_end_matches(',').parse::<u64>().ok()).sum();
    Ok((found != manifest.records.written).then(|| {
        format!("`num_samples` is not the {} records of the data", manifest.records.written)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Cursor;
    use std::path::PathBuf;
    use std::sync::atomic::AtomicBool;

    use retort_formats::file::ReadSeek;

    use super::*;
    use crate::pipeline::Nobody;
    use crate::storage::{Storage, storage_at};
    use crate::{ConvertPlan, ExportOptions, Input, convert, preview_package};

    /// A package that is in memory.
    #[derive(Clone)]
    struct Memory(BTreeMap<String, Vec<u8>>);

    impl Storage for Memory {
        fn describe(&self, key: &str) -> PathBuf {
            key.into()
        }

        fn keys(&self) -> Result<Vec<String>, Error> {
            Ok(self.0.keys().cloned().collect())
        }

        fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
            let not_found = || Error::read(&self.describe(key), io::ErrorKind::NotFound.into());
            Ok(Box::new(Cursor::new(self.0.get(key).cloned().ok_or_else(not_found)?)))
        }
    }

    /// A package of two chats, made at the path and read from there.
    fn read_back(output: &Path, input: &Path, compression: Compression) -> Memory {
        let options = [("compress", compression.as_str()), ("file_name", "data")];
        let options = options
            .iter()
            .try_fold(ExportOptions::default(), |options, (name, value)| options.with(name, value));
        let inputs = vec![Input::Path(input.to_owned())];
        let plan = ConvertPlan {
            output: output.to_owned(),
            shard_bytes: 1,
            threads: 1,
            ..ConvertPlan::new(inputs, &options.unwrap(), "n".parse().unwrap()).unwrap()
        };
        convert(&plan, &Nobody, &AtomicBool::new(false), &mut io::sink()).unwrap();
        let storage = storage_at(output).unwrap();
        let mut files = BTreeMap::new();
        for name in storage.keys().unwrap() {
            let mut bytes = Vec::new();
            storage.open(&name).unwrap().read_to_end(&mut bytes).unwrap();
            files.insert(name, bytes);
        }
        Memory(files)
    }

    #[test]
    fn a_package_is_verified_and_shown_the_same_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.jsonl");
        let chat = |id: &str| {
            format!(
                "{{\"id\":\"{id}\",\"messages\":[{{\"role\":\"user\",\"content\":\"q\"}},\
                 {{\"role\":\"assistant\",\"content\":\"a\"}}]}}\n"
            )
        };
        fs::write(&input, chat("c1") + &chat("c2")).unwrap();
        for &compression in Compression::ALL {
            let output = folder.path().join(compression.as_str());
            let memory = read_back(&output, &input, compression);
            let zipped = read_back(&output.with_extension("zip"), &input, compression);
            assert_eq!(memory.0, zipped.0);

            let mut package = Package::on(Box::new(memory.clone()), Path::new("n")).unwrap();
            let verified = verify_package(&mut package, &AtomicBool::new(false)).unwrap();
            assert_eq!(verified.differences, []);
            assert_eq!(verified.records, 2);
            assert_eq!(preview_package(&mut package).unwrap().len(), 2);

            let mut damaged = memory;
            damaged.0.get_mut(CARD).unwrap().push(b'!');
            let mut package = Package::on(Box::new(damaged), Path::new("n")).unwrap();
            let differences =
                verify_package(&mut package, &AtomicBool::new(false)).unwrap().differences;
            assert!(differences.iter().all(|one| one.file == CARD) && differences.len() == 2);
        }
    }
}
