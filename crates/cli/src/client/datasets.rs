//! Datasets: listed, looked into, downloaded, verified, changed.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use reqwest::Method;
use retort_model::DatasetName;
use retort_service::{EngineError, Observer, Package, Verified, io_reason};
use retort_web::wire;
use serde::Deserialize;
use tempfile::NamedTempFile;

use super::verbs::{dry, page_behind};
use super::{Client, ClientError, Query, with_json};
use crate::commands::{Failure, misuse};
use crate::pages::all_of;

/// As the API answers it; its lines stay as they are.
#[derive(Deserialize)]
struct Preview {
    records: Vec<Box<serde_json::value::RawValue>>,
}

impl Client {
    pub fn datasets(&self, everyone: bool) -> Result<Vec<wire::Dataset>, ClientError> {
        all_of(|after| {
            let page: wire::Datasets = self.get(&["datasets"], page_behind(after, everyone))?;
            Ok((page.datasets, page.next))
        })
    }

    /// The dataset of that name, or else of that number.
    pub fn dataset(&self, name: &str) -> Result<wire::Dataset, ClientError> {
        let mut all = self.datasets(false)?;
        let at = all
            .iter()
            .position(|one| one.name == name)
            .or_else(|| all.iter().position(|one| one.id.to_string() == name));
        match (at, name.parse()) {
            (Some(at), _) => Ok(all.swap_remove(at)),
            // Owners name the datasets of others by their numbers.
            (None, Ok(id)) => self.dataset_numbered(id),
            (None, Err(_)) => Err(ClientError::Ended(format!("there is no dataset `{name}`"))),
        }
    }

    pub fn dataset_numbered(&self, id: i64) -> Result<wire::Dataset, ClientError> {
        self.get(&["datasets", &id.to_string()], Query::new())
    }

    pub fn preview(&self, id: i64) -> Result<Vec<String>, ClientError> {
        let found: Preview = self.get(&["datasets", &id.to_string(), "preview"], Query::new())?;
        Ok(found.records.into_iter().map(|record| record.get().to_owned()).collect())
    }

    pub fn rename_dataset(&self, id: i64, name: &DatasetName) -> Result<(), ClientError> {
        let request = self.request(Method::PATCH, &["datasets", &id.to_string()], Query::new())?;
        self.done(with_json(request, &wire::Rename { name: name.to_string() })?)
    }

    /// Queues an export that makes a dataset again without some of its items; in a dry run, returns the job that would be
    /// queued.
    pub fn rebuild_dataset(
        &self,
        id: i64,
        asked: &wire::Rebuild,
        is_dry: bool,
    ) -> Result<wire::Job, ClientError> {
        self.post_once(&["datasets", &id.to_string(), "rebuild"], dry(is_dry), asked)
    }

    pub fn delete_dataset(&self, id: i64) -> Result<(), ClientError> {
        self.remove(&["datasets", &id.to_string()])
    }

    /// Writes the archive of a dataset to a file, which appears whole or not at all; returns how many bytes it has, or
    /// none if the person stopped it.
    pub fn save(
        &self,
        dataset: &wire::Dataset,
        path: &Path,
        force: bool,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, Failure> {
        publish(path, force, |out| self.download(dataset.id, out, observer, stopped))
    }

    /// Writes the archive of a dataset to standard output.
    pub fn print_archive(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, Failure> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(
                "an archive cannot be shown in a terminal; redirect standard output to a file"
                    .into(),
            );
        }
        let bytes = self.download(dataset.id, &mut out, observer, stopped)?;
        out.flush()?;
        Ok(bytes)
    }

    /// Compares a dataset with its receipt; one of a server is downloaded for it. None if the person stopped it.
    pub fn verify(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<Verified>, Failure> {
        if let Some(opened) = self.opened() {
            let dataset = opened.service.dataset(&opened.caller, dataset.id)?;
            return Ok(Some(opened.service.verify_dataset(&dataset)?));
        }
        let file = self.downloaded(dataset, observer, stopped)?;
        Ok(file.map(|file| retort_service::verify(file.path())).transpose()?)
    }

    /// Opens a dataset; one of a server is downloaded to a file for it, which must stay. None if the person stopped it.
    pub fn package(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<(Package, Option<NamedTempFile>)>, Failure> {
        if let Some(opened) = self.opened() {
            let dataset = opened.service.dataset(&opened.caller, dataset.id)?;
            return Ok(Some((opened.service.open_dataset(&dataset)?, None)));
        }
        let file = self.downloaded(dataset, observer, stopped)?;
        Ok(match file {
            Some(file) => Some((Package::open(file.path())?, Some(file))),
            None => None,
        })
    }

    /// The archive of a dataset in a temporary file. None if the person stopped it.
    fn downloaded(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<NamedTempFile>, Failure> {
        let mut file = tempfile::Builder::new().suffix(".zip").tempfile()?;
        let bytes = self.download(dataset.id, &mut file, observer, stopped)?;
        Ok(bytes.map(|_| file))
    }
}

impl Client {
    /// Writes the only data file of a dataset to `path`, whose name has the ending of the file. Returns its length, or none if
    /// the person wants it to stop.
    pub fn save_data_file(
        &self,
        dataset: &wire::Dataset,
        path: &Path,
        force: bool,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, Failure> {
        let opened = self.package(dataset, observer, stopped)?;
        let Some((mut package, _file)) = opened else { return Ok(None) };
        let files = package.manifest().files.iter();
        let files: Vec<_> = files.filter(|file| file.records.is_some()).collect();
        let name = &dataset.name;
        let file = match files.as_slice() {
            [file] => file.path.clone(),
            several => {
                let number = several.len();
                return Err(misuse(format!(
                    "the dataset `{name}` has {number} data files, so it cannot be written as one; name a file that ends in \
                     `.zip`"
                )));
            }
        };
        let named = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = |name: &str| name.split_once('.').map(|(_, ending)| ending.to_lowercase());
        let base = file.rsplit('/').next().unwrap_or(&file);
        // The dataset's name may have dots of its own.
        let first_name = &package.manifest().dataset_name;
        let own = base.strip_prefix(first_name.as_str()).and_then(ending).or_else(|| ending(base));
        if own.as_ref().is_none_or(|own| !named.to_lowercase().ends_with(&format!(".{own}"))) {
            let own = own.unwrap_or_else(|| base.to_owned());
            return Err(misuse(format!(
                "the data file of `{name}` is in the format `{own}`; give the output that ending, or `.zip`"
            )));
        }
        publish(path, force, |out| {
            let mut input = package.file(&file).map_err(ClientError::Output)?;
            io::copy(&mut input, out).map(Some).map_err(ClientError::Output)
        })
    }
}

/// Writes a file beside its place, and puts it there by one rename once it is whole.
fn publish(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<Option<u64>, ClientError>,
) -> Result<Option<u64>, Failure> {
    let exists = || Failure::from(EngineError::Exists(path.to_owned()));
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let fail = |error: io::Error| {
        Failure::from(format!("cannot write `{}`: {}", path.display(), io_reason(&error)))
    };
    let whole = std::path::absolute(path).map_err(fail)?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let partial = builder.tempfile_in(whole.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
    let written = write(&mut partial.as_file()).map_err(|error| match error {
        ClientError::Output(error) => fail(error),
        other => other.into(),
    })?;
    let Some(bytes) = written else { return Ok(None) };
    partial.as_file().sync_all().map_err(fail)?;
    let written = partial.as_file().metadata().map_err(fail)?.len();
    if written != bytes {
        return Err(fail(io::Error::other(format!("it has {written} bytes, not {bytes}"))));
    }
    let kept = if force { partial.persist(&whole) } else { partial.persist_noclobber(&whole) };
    kept.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists if !force => exists(),
        _ => fail(error.error),
    })?;
    Ok(Some(bytes))
}
