//! `merge`: parts of an export to one package, or some of them to one folder.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use retort_formats::package::DataFile;
use retort_model::Tally;
use retort_model::bounds::BESIDE_BYTES;

use crate::convert::{Report, Written, named_for};
use crate::draft::Draft;
use crate::error::Error;
use crate::merging::{Merging, PackedBatches};
use crate::panics::{caught_in, point};
use crate::parts::{
    BATCHES, ITEMS, KeptPart, KeptPlan, KeptRows, PART, Parts, VERDICTS, begin_repeats,
    write_repeat,
};
use crate::pipeline::{Observer, Totals, decide, is_of_first, moved_item, moved_verdict};
use crate::series::packages_at;
use crate::series_merge::merge_series;
use crate::sorter::Sorter;
use crate::source::PassedOver;
use crate::storage::read_through;
use crate::storage::{Folder, HashingFile, Storage, StoredFile, write_text};

/// Which parts to merge, and into what.
#[derive(Clone, Debug)]
pub struct MergePlan {
    /// Folders of parts; or the packages of a series, or folders of them.
    pub parts: Vec<PathBuf>,
    /// Where the package goes, or the folder with several parts.
    pub output: PathBuf,
    /// Whether only some of the parts are merged, to a folder that is merged with others later.
    pub is_partial: bool,
    /// Replace what is there.
    pub force: bool,
    /// Threads that encode.
    pub threads: usize,
}

impl MergePlan {
    fn merging<'m>(&'m self, observer: &'m dyn Observer, stopped: &'m AtomicBool) -> Merging<'m> {
        Merging { path: &self.output, force: self.force, threads: self.threads, observer, stopped }
    }
}

/// What parts were merged into.
#[derive(Debug)]
pub enum Merged {
    /// A package.
    Package(Box<Report>),
    /// A folder with several parts.
    Parts {
        /// Where it is.
        output: PathBuf,
        /// The numbers of the parts in it.
        numbers: Vec<u32>,
        /// How many parts the export has.
        count: u32,
    },
}

/// Merges parts that `convert` made. All of them become the same package, byte for byte, that `convert` makes without
/// parts. The packages of a series become one package, with the last state of each item.
///
/// # Errors
/// Failing I/O; parts of different plans; parts that are missing, damaged, or there twice and different; or ids that
/// are repeated in several parts, which have to be made again. A series that is not complete.
pub fn merge(
    plan: &MergePlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
) -> Result<Merged, Error> {
    caught_in(|| {
        let packages = packages_of(&plan.parts)?;
        if !packages.is_empty() {
            if plan.is_partial {
                return Err(Error::Choice("`--partial` is for the parts of an export".into()));
            }
            let report = merge_series(plan.merging(observer, stopped), &packages)?;
            return Ok(Merged::Package(Box::new(report)));
        }
        let found = Found::find(&plan.parts)?;
        if plan.is_partial {
            found.merge_some(plan)
        } else {
            found.merge_all(plan.merging(observer, stopped))
        }
    })
}

/// The packages among the paths and in their folders. Folders of parts have none.
fn packages_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut packages = Vec::new();
    for path in paths.iter().filter(|path| !path.join(PART).is_file()) {
        packages.extend(packages_at(path)?);
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// The parts in all folders.
struct Found {
    plan: KeptPlan,
    count: u32,
    parts: BTreeMap<u32, FoundPart>,
}

struct FoundPart {
    folder: PathBuf,
    kept: KeptPart,
}

impl Found {
    fn find(folders: &[PathBuf]) -> Result<Self, Error> {
        let mut found: Option<(Self, &Path)> = None;
        for folder in folders {
            let Parts { plan, count, parts } = Parts::open(folder)?;
            let (found, first) = found.get_or_insert_with(|| {
                (Self { plan: plan.clone(), count, parts: BTreeMap::new() }, folder)
            });
            let mut differences = found.plan.differences(&plan);
            if count != found.count {
                differences.push("number of parts".into());
            }
            if !differences.is_empty() {
                return Err(Error::Choice(format!(
                    "`{}` and `{}` are parts of different exports, as they differ in {}; make both with the same \
                     release, options and inputs (and the same newest modification time, or set SOURCE_DATE_EPOCH)",
                    first.display(),
                    folder.display(),
                    differences.join(", ")
                )));
            }
            for (number, kept) in parts {
                found.add(number, folder, kept)?;
            }
        }
        found
            .map(|(found, _)| found)
            .ok_or_else(|| Error::Choice("there are no parts to merge".into()))
    }

    fn add(&mut self, number: u32, folder: &Path, kept: KeptPart) -> Result<(), Error> {
        if let Some(there) = self.parts.get(&number) {
            if there.kept == kept {
                return Ok(());
            }
            return Err(Error::Choice(format!(
                "part {number} in `{}` differs from part {number} in `{}`; leave out the one that was made from other \
                 inputs or before `--repeats`",
                folder.display(),
                there.folder.display()
            )));
        }
        self.parts.insert(number, FoundPart { folder: folder.to_owned(), kept });
        Ok(())
    }

    /// Compares all files with their sizes and hashes.
    fn check_files(&self) -> Result<(), Error> {
        for part in self.parts.values() {
            let storage = Folder::new(part.folder.clone());
            for file in &part.kept.files {
                let path = storage.describe(&file.path);
                let read = read_through(&mut storage.open(&file.path)?);
                let (bytes, sha256, _) = read.map_err(|error| Error::read(&path, error))?;
                check_file(&part.folder, file, bytes, &sha256)?;
            }
        }
        Ok(())
    }

    /// Copies the parts to one folder.
    fn merge_some(self, plan: &MergePlan) -> Result<Merged, Error> {
        let draft = Draft::begin_parts(&plan.output, plan.force)?;
        let storage = draft.storage();
        let mut files = Vec::new();
        for part in self.parts.values() {
            let from = Folder::new(part.folder.clone());
            for file in &part.kept.files {
                let copy = copied(&from, file, &storage)?;
                check_file(&part.folder, file, copy.bytes, &copy.sha256)?;
                files.push(copy);
            }
        }
        let numbers = self.parts.keys().copied().collect();
        let parts = self.parts.into_iter().map(|(number, part)| (number, part.kept)).collect();
        let kept = Parts { plan: self.plan, count: self.count, parts };
        files.push(write_text(&storage, PART, &kept.to_json())?);
        let output = draft.publish(&files, plan.threads)?;
        Ok(Merged::Parts { output, numbers, count: self.count })
    }

    fn merge_all(self, merging: Merging<'_>) -> Result<Merged, Error> {
        self.check_complete()?;
        self.check_files()?;
        let (totals, passed_over) = self.totals()?;
        self.check_repeats(merging.path)?;
        let dataset = self.plan.dataset().map_err(Error::Choice)?;
        let batches = PackedBatches {
            next: &mut self.batches(),
            bytes: self.batch_bytes(),
            shard_bytes: self.plan.shard_bytes,
        };
        let (draft, part, totals) = merging.write(&dataset, batches, totals, |record_files| {
            for (number, part) in &self.parts {
                let from = Folder::new(part.folder.clone());
                for (path, file) in part.kept.record_files(*number) {
                    record_files
                        .copy(&path, &file.sha256, &mut || Ok(Box::new(from.open(&file.path)?)))?;
                }
            }
            Ok(())
        })?;
        let named = named_for(&dataset, self.plan.file_name_by_kind, &totals.account);
        let origin = self.plan.origin(&totals, &passed_over);
        let (input_bytes, strict) = (self.plan.input_bytes(), self.plan.strict);
        let written = Written {
            draft,
            part,
            totals,
            passed_over,
            input_bytes,
            strict,
            threads: merging.threads,
        };
        Ok(Merged::Package(Box::new(written.publish(&named, origin)?)))
    }

    fn check_complete(&self) -> Result<(), Error> {
        let missing: Vec<String> = (1..=self.count)
            .filter(|number| !self.parts.contains_key(number))
            .map(|number| number.to_string())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (some, more) = missing.split_at(missing.len().min(PARTS_TOLD));
        let more =
            if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        Err(Error::Choice(format!(
            "of {} parts these are missing: {}{more}; add them, or use `--partial` to combine these parts in one folder \
             and merge the rest later",
            self.count,
            some.join(", ")
        )))
    }

    /// What was counted in all parts together.
    fn totals(&self) -> Result<(Totals, Tally<PassedOver>), Error> {
        let mut totals = Totals::default();
        let mut passed_over = self.plan.passed_over().map_err(Error::Choice)?;
        let mut last_items = 0;
        for (number, part) in &self.parts {
            let not_a_part = |reason| Error::NotAPart { path: part.folder.clone(), reason };
            let extent = part.kept.delta.extent;
            if extent.continues.is_some_and(|items| items != last_items) {
                return Err(not_a_part(format!(
                    "part {number} does not begin where the part before it ends, because an input changed in \
                     between; make all parts again"
                )));
            }
            if !part.kept.delta.is_empty() {
                last_items = extent.last_items;
            }
            part.kept.delta.add_to(&mut totals, &mut passed_over).map_err(not_a_part)?;
        }
        Ok((totals, passed_over))
    }

    /// Decides on all repeated ids, and refuses parts that did not follow these decisions, as they could not know of
    /// an item of another part. What is decided is left in a file beside the output.
    fn check_repeats(&self, output: &Path) -> Result<(), Error> {
        let failed = |source| Error::Failed { what: "the items of the parts", source };
        let mut items = Sorter::new();
        let mut before = 0;
        for (number, part) in &self.parts {
            let mut rows = KeptRows::open(&part.folder, *number, ITEMS)?;
            while let Some(row) = rows.next()? {
                items.push(&moved_item(&row, before)).map_err(failed)?;
            }
            before += part.kept.delta.extent.items;
        }
        let mut verdicts = decide(items).map_err(failed)?.peekable();
        let mut kept = tempfile::spooled_tempfile(BESIDE_BYTES);
        begin_repeats(&self.plan, self.count, &mut kept).map_err(failed)?;
        let mut outdated = Vec::new();
        let (mut before, mut end) = (0, 0);
        for (number, part) in &self.parts {
            end += part.kept.delta.extent.items;
            let mut followed = KeptRows::open(&part.folder, *number, VERDICTS)?;
            let mut is_outdated = false;
            while let Some(verdict) = verdicts.next_if(|row| match row {
                Ok(row) => is_of_first(row, end),
                Err(_) => true,
            }) {
                let verdict = moved_verdict(&verdict.map_err(failed)?, before);
                is_outdated |= !is_outdated && followed.next()?.as_deref() != Some(&*verdict);
                write_repeat(*number, &verdict, &mut kept).map_err(failed)?;
            }
            is_outdated |= !is_outdated && followed.next()?.is_some();
            if is_outdated {
                outdated.push(*number);
            }
            before = end;
        }
        if outdated.is_empty() {
            return Ok(());
        }
        let path = repeats_path(output);
        let fail = |error| Error::write(&path, error);
        kept.rewind().map_err(fail)?;
        let mut out = std::fs::File::create(&path).map_err(fail)?;
        io::copy(&mut kept, &mut out).and_then(|_| out.flush()).map_err(fail)?;
        Err(Error::RepeatedIds { parts: outdated, decisions: path })
    }

    fn batch_bytes(&self) -> u64 {
        let files = self.parts.values().flat_map(|part| &part.kept.files);
        files.filter(|file| file.path.ends_with(BATCHES)).map(|file| file.bytes).sum()
    }

    /// The batches of all parts, in their order.
    fn batches(&self) -> impl FnMut() -> Result<Option<Box<[u8]>>, Error> + '_ {
        let mut parts = self.parts.iter();
        let mut rows: Option<KeptRows> = None;
        move || {
            loop {
                if let Some(batch) = rows.as_mut().map(KeptRows::next).transpose()?.flatten() {
                    return Ok(Some(batch));
                }
                let Some((number, part)) = parts.next() else { return Ok(None) };
                point("open");
                rows = Some(KeptRows::open(&part.folder, *number, BATCHES)?);
            }
        }
    }
}

/// Numbers of missing parts that an error lists.
const PARTS_TOLD: usize = 20;

/// Where the verdicts on repeated ids are left when a package cannot be made.
fn repeats_path(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".repeats");
    output.with_file_name(name)
}

/// Holds what was read of a file against what its part says of it.
fn check_file(folder: &Path, file: &DataFile, bytes: u64, sha256: &str) -> Result<(), Error> {
    if (bytes, sha256) == (file.bytes, &*file.sha256) {
        return Ok(());
    }
    let reason = format!("`{}` has changed since it was written; make the part again", file.path);
    Err(Error::NotAPart { path: folder.to_owned(), reason })
}

/// Copies a file of a part.
fn copied(from: &Folder, file: &DataFile, to: &Folder) -> Result<StoredFile, Error> {
    let mut copy = HashingFile::create(to, file.path.clone())?;
    io::copy(&mut from.open(&file.path)?, &mut copy)
        .map_err(|error| Error::write(&to.describe(&file.path), error))?;
    copy.finish(file.path.clone(), None)
}
