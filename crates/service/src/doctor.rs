//! `doctor` and `backup`: whether all is as it should be, and a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use retort_engine::{Error as EngineError, Objects, Storage, hex, read_through};
use retort_model::{JobState, Scope};
use retort_store::private::{make_file, make_folder};
use retort_store::{Dataset, Finding, Job, Store};
use sha2::{Digest, Sha256};
use url::Url;

use crate::clock::later;
use crate::error::Error;
use crate::export::prefix;
use crate::rejects::{REJECTS, rejects_key};
use crate::service::Service;

/// The store in a backup, of SQLite or of PostgreSQL, and the folder of datasets and original files.
pub(crate) const BACKUP_SQLITE: &str = "retort.sqlite";
pub(crate) const BACKUP_DUMP: &str = "retort.dump";
pub(crate) const BACKUP_OBJECTS: &str = "objects";

/// Free room under which a disk is told of: what one part of an export and its file may take.
const LOW_DISK_BYTES: u64 = 2 << 30;

/// How far the clock of the place of the datasets may be ahead of ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// What there is: what it is called, and how much.
    pub sizes: Vec<(String, u64)>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What was mended.
    pub mended: Vec<String>,
}

fn finding(what: impl Into<String>, problem: impl Into<String>) -> Finding {
    Finding { what: what.into(), problem: problem.into() }
}

impl Service {
    /// Bytes that are free on the disks of the store, the datasets and temporary files, as far as they are here.
    pub fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        let temporary = std::env::temp_dir();
        [
            ("store", self.store.file().and_then(Path::parent)),
            ("objects", self.objects.root()),
            ("temporary", Some(&*temporary)),
        ]
        .into_iter()
        .filter_map(|(name, folder)| Some((name, free_bytes(folder?).ok()?)))
        .collect()
    }

    /// Looks at the store, the objects, the leases and the disk. `deep` reads every conversation and every dataset;
    /// `repair` removes objects that belong to nothing.
    ///
    /// # Errors
    /// The store or the objects cannot be asked at all.
    pub fn doctor(&self, deep: bool, repair: bool) -> Result<Diagnosis, Error> {
        let rewritten = if repair { self.store.rewrite_bodies()? } else { 0 };
        let is_file_rewritten = repair && self.store.rewrite_file_if_due()?;
        let mut diagnosis = Diagnosis {
            sizes: self.store.sizes()?.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            findings: self.store.check(deep, self.clock.now())?,
            mended: Vec::new(),
        };
        if rewritten > 0 {
            diagnosis.mended.push(format!(
                "recompressed {rewritten} bodies that used a dictionary of an earlier release"
            ));
        }
        if is_file_rewritten {
            diagnosis.mended.push("rewrote the store's file to erase copies of purged rows".into());
        }
        let mut known = BTreeSet::new();
        for project in self.store.projects()? {
            let scope = Scope::project(project.id);
            for job in self.store.jobs(&scope, usize::MAX)? {
                if matches!(job.state, JobState::Queued | JobState::Running | JobState::Failed) {
                    known.insert(prefix(&self.store, job.id));
                    known.insert(format!("{REJECTS}/{}", rejects_key(&self.store, job.id)));
                }
                if job.rejects_bytes.is_some() {
                    self.check_rejects(&job, &mut diagnosis)?;
                    known.insert(format!("{REJECTS}/{}", rejects_key(&self.store, job.id)));
                }
            }
            for dataset in self.store.datasets(&scope)? {
                self.check_dataset(&dataset, deep, &mut diagnosis)?;
                known.insert(dataset.prefix);
            }
        }
        self.check_orphans(&known, repair, &mut diagnosis)?;
        self.check_uploads(repair, &mut diagnosis)?;
        self.check_originals(deep, repair, &mut diagnosis)?;
        let store = self.store.file().and_then(Path::parent);
        for folder in store.into_iter().chain(self.objects.root()) {
            if let Ok(free) = free_bytes(folder)
                && free < LOW_DISK_BYTES
            {
                let problem = format!("only {} MB are free; make room", free / 1_000_000);
                diagnosis.findings.push(finding(folder.display().to_string(), problem));
            }
        }
        Ok(diagnosis)
    }

    /// Holds the objects of a dataset against what the store says of them.
    fn check_dataset(
        &self,
        dataset: &Dataset,
        deep: bool,
        diagnosis: &mut Diagnosis,
    ) -> Result<(), Error> {
        let what = format!("dataset `{}`", dataset.name);
        let mut is_whole = true;
        let made = dataset.created_at.map(|at| later(at, CLOCKS_DIFFER));
        for file in self.store.dataset_files(dataset)? {
            let path = &file.path;
            let found = self.objects.look_at(&format!("{}/{}", dataset.prefix, file.object))?;
            let problem = match found {
                None => format!("`{path}` is missing"),
                Some((bytes, _)) if bytes != file.bytes => {
                    format!("`{path}` has {bytes} bytes, it had {}", file.bytes)
                }
                // Restored from a backup, or changed: that alone is read.
                Some((_, Some(changed))) if Some(changed) > made && !deep => {
                    let fail = |source| EngineError::Unpack { name: path.clone(), source };
                    let mut input = self.objects.below(&dataset.prefix).open(&file.object)?;
                    if read_through(&mut input).map_err(fail)?.1 == file.sha256 {
                        continue;
                    }
                    format!("`{path}` was changed after it was made, at {changed}")
                }
                Some(_) => continue,
            };
            is_whole = false;
            let problem = format!("{problem}; restore a backup, or delete and export it again");
            diagnosis.findings.push(finding(&what, problem));
        }
        if deep && is_whole {
            let verified = self.verify_dataset(dataset)?;
            for difference in verified.differences {
                let problem = format!("{}: {}", difference.file, difference.what);
                diagnosis.findings.push(finding(&what, problem));
            }
        }
        Ok(())
    }

    /// Looks whether the list is there that is kept of what an import could not read.
    fn check_rejects(&self, job: &Job, diagnosis: &mut Diagnosis) -> Result<(), Error> {
        let found =
            self.objects.size(&format!("{REJECTS}/{}", rejects_key(&self.store, job.id)))?;
        if found != job.rejects_bytes {
            let problem = "its list of rejected items is missing or changed; restore a backup";
            diagnosis.findings.push(finding(format!("import {}", job.id), problem.to_owned()));
        }
        Ok(())
    }

    fn check_orphans(
        &self,
        known: &BTreeSet<String>,
        repair: bool,
        diagnosis: &mut Diagnosis,
    ) -> Result<(), Error> {
        // Other stores may share the place; their datasets bear another name.
        let mut orphans: BTreeSet<String> = BTreeSet::new();
        let mut bytes = 0;
        for top in ["datasets", REJECTS] {
            let ours = format!("{top}/{}-", self.store.identity());
            for (path, size) in self.objects.list(top)? {
                let owner: Vec<&str> = path.splitn(3, '/').take(2).collect();
                let owner = owner.join("/");
                if owner.starts_with(&ours) && !known.contains(&owner) {
                    bytes += size;
                    orphans.insert(owner);
                }
            }
        }
        if orphans.is_empty() {
            return Ok(());
        }
        let count = match orphans.len() {
            1 => "1 file or folder".to_owned(),
            more => format!("{more} files or folders"),
        };
        if repair {
            for orphan in &orphans {
                match orphan.strip_prefix(&format!("{REJECTS}/")) {
                    Some(key) => self.objects.below(REJECTS).remove(key)?,
                    None => self.objects.remove_all(orphan)?,
                }
            }
            diagnosis.mended.push(format!("removed {count} that belong to no dataset or import"));
        } else {
            let problem = format!(
                "{count} ({bytes} bytes) belong to no dataset or import; `retort doctor --repair` removes them"
            );
            diagnosis.findings.push(finding("the storage of the datasets", problem));
        }
        Ok(())
    }

    /// Looks for uploads that a server which was killed left behind.
    fn check_uploads(&self, repair: bool, diagnosis: &mut Diagnosis) -> Result<(), Error> {
        if repair {
            match self.clear_left_uploads()? {
                0 => {}
                1 => diagnosis.mended.push("removed an upload that belongs to no import".into()),
                count => diagnosis
                    .mended
                    .push(format!("removed {count} uploads that belong to no import")),
            }
            return Ok(());
        }
        let left = self.left_uploads()?;
        if !left.is_empty() {
            let bytes: u64 = left.iter().map(|one| one.bytes).sum();
            let problem = format!(
                "{} ({bytes} bytes) belong to no import; `retort doctor --repair` removes them, and so does a worker",
                left.len()
            );
            diagnosis.findings.push(finding("the uploads", problem));
        }
        Ok(())
    }

    /// Holds the originals of documents against what the store says of them.
    fn check_originals(
        &self,
        deep: bool,
        repair: bool,
        diagnosis: &mut Diagnosis,
    ) -> Result<(), Error> {
        let prefix = self.originals();
        let named: BTreeMap<String, u64> = self.store.originals()?.into_iter().collect();
        let mut there = BTreeMap::new();
        for (path, bytes) in self.objects.list(&prefix)? {
            let key = path.rsplit('/').next().unwrap_or(&path);
            there.insert(key.to_owned(), bytes);
        }
        let place = self.objects.below(&prefix);
        for (sha256, &bytes) in &named {
            let problem = match there.get(sha256) {
                None => "is missing".to_owned(),
                Some(&found) if found != bytes => format!("has {found} bytes, it had {bytes}"),
                Some(_) if deep && hash_of(&mut place.open(sha256)?, sha256)? != *sha256 => {
                    "has changed".to_owned()
                }
                Some(_) => continue,
            };
            let problem = format!("{problem}; restore a backup, or import the file again");
            diagnosis.findings.push(finding(format!("the original `{sha256}`"), problem));
        }
        let unnamed: Vec<&String> = there.keys().filter(|key| !named.contains_key(*key)).collect();
        if unnamed.is_empty() {
            return Ok(());
        }
        let count = unnamed.len();
        if repair {
            let unnamed: Vec<String> = unnamed.into_iter().cloned().collect();
            self.forget_originals(&unnamed)?;
            diagnosis.mended.push(format!("removed {count} originals that belong to no document"));
        } else {
            let problem =
                format!("{count} without a document; `retort doctor --repair` removes them");
            diagnosis.findings.push(finding("the originals of documents", problem));
        }
        Ok(())
    }

    /// Copies the store, all datasets, originals and lists of rejected items into a new folder while they are in use.
    /// A store in PostgreSQL is copied by `pg_dump`, which must be there.
    ///
    /// # Errors
    /// The folder is there already; failing I/O; nothing is left of it then.
    pub fn backup(&self, output: &Path) -> Result<u64, Error> {
        let output =
            std::path::absolute(output).map_err(|error| EngineError::write(output, error))?;
        if fs::symlink_metadata(&output).is_ok() {
            return Err(Error::Choice(format!(
                "`{}` already exists; name a folder that does not",
                output.display()
            )));
        }
        let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = output.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(|error| EngineError::write(parent, error))?;
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let partial =
            builder.tempdir_in(parent).map_err(|error| EngineError::write(parent, error))?;
        let copied = self.copy_store(partial.path())?;
        let mut bytes = 0;
        for project in copied.projects()? {
            for dataset in copied.datasets(&Scope::project(project.id))? {
                bytes += copy_dataset(&self.objects, &copied, &dataset, partial.path())?;
            }
            for job in copied.jobs(&Scope::project(project.id), usize::MAX)? {
                if job.rejects_bytes.is_some() {
                    let (place, key) = (self.objects.below(REJECTS), rejects_key(&copied, job.id));
                    bytes += copy_object(&place, REJECTS, &key, partial.path())?;
                }
            }
        }
        let prefix = self.originals();
        for (sha256, _) in copied.originals()? {
            bytes += copy_object(&self.objects.below(&prefix), &prefix, &sha256, partial.path())?;
        }
        drop(copied);
        let partial = partial.keep();
        fs::rename(&partial, &output).map_err(|error| {
            let _ = fs::remove_dir_all(&partial);
            EngineError::write(&output, error)
        })?;
        Ok(bytes)
    }

    /// Copies the store; what comes back is what was copied.
    fn copy_store(&self, folder: &Path) -> Result<Store, Error> {
        if self.store.file().is_some() {
            let path = folder.join(BACKUP_SQLITE);
            self.store.copy_to(&path)?;
            return Ok(Store::open_existing(&path.to_string_lossy())?);
        }
        let path = folder.join(BACKUP_DUMP);
        make_file(&path).map_err(|error| EngineError::write(&path, error))?;
        let mut dump = Command::new("pg_dump");
        dump.arg("--format=custom").arg("--file").arg(&path).arg(self.store.location());
        if let Some(password) = password_in(&self.settings.store) {
            // Not among the arguments, which everyone on the machine sees.
            dump.env("PGPASSWORD", password);
        }
        let done = dump.output();
        match done {
            Ok(output) if output.status.success() => {
                Ok(Store::open_existing(&self.settings.store)?)
            }
            Ok(output) => Err(Error::Choice(format!(
                "`pg_dump` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(Error::Choice(format!(
                "a store in PostgreSQL is copied by `pg_dump`, which cannot be run: {error}"
            ))),
        }
    }
}

/// The password in a URL.
pub(crate) fn password_in(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let named = url.query_pairs().find(|(name, _)| name == "password");
    let password = match url.password() {
        Some(password) => percent_decode_str(password).decode_utf8().ok()?.into_owned(),
        None => named?.1.into_owned(),
    };
    Some(password)
}

fn copy_dataset(
    objects: &Objects,
    store: &Store,
    dataset: &Dataset,
    folder: &Path,
) -> Result<u64, Error> {
    let place = objects.below(&dataset.prefix);
    let mut bytes = 0;
    for file in store.dataset_files(dataset)? {
        bytes += copy_object(&place, &dataset.prefix, &file.object, folder)?;
    }
    Ok(bytes)
}

fn copy_object(place: &dyn Storage, prefix: &str, key: &str, folder: &Path) -> Result<u64, Error> {
    let path: PathBuf = folder.join(BACKUP_OBJECTS).join(prefix).join(key);
    let fail = |error: io::Error| EngineError::write(&path, error);
    if let Some(parent) = path.parent() {
        make_folder(parent).map_err(fail)?;
    }
    make_file(&path).map_err(fail)?;
    let mut out = OpenOptions::new().write(true).open(&path).map_err(fail)?;
    Ok(io::copy(&mut place.open(key)?, &mut out).map_err(fail)?)
}

/// The SHA-256 of what is read, in hexadecimal digits.
fn hash_of(input: &mut dyn Read, name: &str) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let mut window = vec![0; 1 << 16];
    loop {
        let fail = |source| EngineError::Unpack { name: format!("the original `{name}`"), source };
        let length = input.read(&mut window).map_err(fail)?;
        match window.get(..length) {
            Some(some) if !some.is_empty() => hash.update(some),
            _ => return Ok(hex(&hash.finalize())),
        }
    }
}

#[cfg(unix)]
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_bytes(_folder: &Path) -> io::Result<u64> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out_of_a_url() {
        for (url, password) in [
            ("postgres://ann:s%40cret@host/db", Some("s@cret")),
            ("postgres://ann@host/db?password=p%20q&x=1", Some("p q")),
            ("postgres://ann@host/db", None),
            ("store.sqlite", None),
        ] {
            assert_eq!(password_in(url).as_deref(), password, "{url}");
        }
    }
}
