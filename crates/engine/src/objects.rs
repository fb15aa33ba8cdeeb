//! Where datasets lie: a local folder, or a bucket of S3, Google Cloud Storage or Azure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, ObjectStoreScheme, RetryConfig, WriteMultipart};
use retort_formats::file::ReadSeek;
use retort_model::bounds::{OBJECT_PART_BYTES, OBJECT_PARTS_IN_FLIGHT, OBJECT_READ_BYTES};
use retort_model::{Time, with_causes};
use tokio::runtime::Runtime;
use url::Url;

use crate::disk::make_private_folder;
use crate::error::Error;
use crate::storage::{Folder, NewFile, Storage};

/// The place of the datasets.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    /// The folder, if it is one.
    root: Option<PathBuf>,
    location: String,
}

fn failed(doing: &'static str, object: &str, error: &object_store::Error) -> Error {
    let mut reason = with_causes(error);
    if reason.contains("URL scheme is not allowed") {
        reason.push_str("; an endpoint without TLS takes `AWS_ALLOW_HTTP=true`");
    }
    Error::Objects { doing, object: object.to_owned(), reason }
}

impl Objects {
    /// Opens the place at `location`: a folder, or a URL such as `s3://bucket/prefix`, `gs://…`, `az://…`. What the
    /// service needs to know beyond that (keys, endpoints) comes from its usual environment variables. Requests are
    /// repeated for `patience`. The process has set the cryptography of `rustls` before.
    ///
    /// # Errors
    /// The folder cannot be made, or the URL is of no kind that is known.
    pub fn open(location: &str, patience: Duration) -> Result<Self, Error> {
        if let Some(bucket) = Self::open_bucket(location, &BTreeMap::new(), patience)? {
            return Ok(bucket);
        }
        let folder = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
        make_private_folder(&folder).map_err(|error| Error::write(&folder, error))?;
        let folder = folder.canonicalize().map_err(|error| Error::read(&folder, error))?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| failed("open", location, &error))?
            .with_automatic_cleanup(true);
        Self::on(Arc::new(store), Some(folder), location)
    }

    /// Opens a bucket, with options of its service that go before the environment; none if the location is a folder.
    pub(crate) fn open_bucket(
        location: &str,
        options: &BTreeMap<String, String>,
        patience: Duration,
    ) -> Result<Option<Self>, Error> {
        match Url::parse(location) {
            // A drive's letter is no scheme.
            Ok(url) if url.scheme().len() > 1 && url.scheme() != "file" => {
                Self::on(bucket(location, &url, options, patience)?, None, location).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn on(
        store: Arc<dyn ObjectStore>,
        root: Option<PathBuf>,
        location: &str,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|source| Error::Failed { what: "the threads for the datasets", source })?;
        Ok(Self { store, runtime: Arc::new(runtime), root, location: location.to_owned() })
    }

    /// Where it is.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The folder, if it is one.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The part of it below a prefix.
    pub fn below(&self, prefix: &str) -> Prefix {
        Prefix { objects: self.clone(), prefix: prefix.to_owned() }
    }

    /// Paths and sizes of all objects below a prefix.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Error> {
        let path = ObjectPath::from(prefix);
        let found: Vec<_> = self
            .runtime
            .block_on(self.store.list(Some(&path)).try_collect())
            .map_err(|error| failed("list", prefix, &error))?;
        let mut found: Vec<(String, u64)> =
            found.into_iter().map(|meta| (meta.location.to_string(), meta.size)).collect();
        found.sort();
        Ok(found)
    }

    /// What is below a prefix and was last changed before a moment, also files that were under way when their process
    /// was killed. Of those a service only removes what it shows: parts that were never put together it keeps.
    ///
    /// # Errors
    /// The place cannot be asked.
    pub fn unchanged_since(&self, prefix: &str, moment: Time) -> Result<Vec<Unchanged>, Error> {
        let path = ObjectPath::from(prefix);
        let found: Vec<_> = self
            .runtime
            .block_on(self.store.list(Some(&path)).try_collect())
            .map_err(|error| failed("list", prefix, &error))?;
        let is_old = |at: Option<Time>| at.is_some_and(|at| at < moment);
        let mut all: Vec<Unchanged> = found
            .into_iter()
            .filter(|meta| is_old(Time::from_unix_micros(meta.last_modified.timestamp_micros())))
            .filter_map(|meta| {
                let key = meta.location.filename()?.to_owned();
                Some(Unchanged { key, bytes: meta.size, partial: None })
            })
            .collect();
        if let Some(root) = &self.root {
            let folder = root.join(prefix);
            let under_way = under_way_in(&folder).map_err(|error| Error::read(&folder, error))?;
            all.extend(under_way.into_iter().filter_map(|(file, bytes, changed)| {
                let name = file.file_name()?.to_string_lossy().into_owned();
                let (key, _) = name.rsplit_once('#')?;
                let changed = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
                let changed = Time::from_unix_micros(i64::try_from(changed.as_micros()).ok()?);
                is_old(changed).then(|| Unchanged {
                    key: key.to_owned(),
                    bytes,
                    partial: Some(file),
                })
            }));
        }
        Ok(all)
    }

    /// Removes what [`unchanged_since`](Self::unchanged_since) found below a prefix.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_unchanged(&self, prefix: &str, one: &Unchanged) -> Result<(), Error> {
        match &one.partial {
            None => self.below(prefix).remove(&one.key),
            Some(file) => match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(Error::write(file, error))
                }
                _ => Ok(()),
            },
        }
    }

    /// Removes everything below a prefix.
    pub fn remove_all(&self, prefix: &str) -> Result<(), Error> {
        self.keep_only(prefix, &[])
    }

    /// Removes everything below a prefix but the objects of these keys, with what a killed process left of others.
    pub fn keep_only(&self, prefix: &str, keys: &[&str]) -> Result<(), Error> {
        let kept: BTreeSet<String> =
            keys.iter().map(|key| ObjectPath::from(format!("{prefix}/{key}")).into()).collect();
        for (path, _) in self.list(prefix)? {
            if !kept.contains(&path) {
                self.remove_path(
                    &ObjectPath::parse(&path).unwrap_or_else(|_| ObjectPath::from(&*path)),
                )?;
            }
        }
        match &self.root {
            Some(root) => {
                let folder = root.join(prefix);
                sweep(&folder).map_err(|error| Error::write(&folder, error))
            }
            None => Ok(()),
        }
    }

    /// The bytes of a small object; none if it is not there.
    pub(crate) fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, Error> {
        let read = async { self.store.get(path).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", path.as_ref(), &error)),
        }
    }

    /// Begins an object of a bucket. It is there once it is finished.
    pub(crate) fn create(&self, path: &ObjectPath) -> Result<Box<dyn NewFile>, Error> {
        let upload = self
            .runtime
            .block_on(self.store.put_multipart(path))
            .map_err(|error| failed("write", path.as_ref(), &error))?;
        let upload = WriteMultipart::new_with_chunk_size(upload, OBJECT_PART_BYTES);
        Ok(Box::new(NewObject { objects: self.clone(), upload: Some(upload) }))
    }

    pub(crate) fn remove_path(&self, path: &ObjectPath) -> Result<(), Error> {
        match self.runtime.block_on(self.store.delete(path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("remove", path.as_ref(), &error)),
        }
    }

    /// The size of an object; none if it is not there.
    pub fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        Ok(self.look_at(path)?.map(|(size, _)| size))
    }

    /// The size of an object, and when it was last changed; none if it is not there.
    pub fn look_at(&self, path: &str) -> Result<Option<(u64, Option<Time>)>, Error> {
        match self.runtime.block_on(self.store.head(&ObjectPath::from(path))) {
            Ok(meta) => {
                let changed = Time::from_unix_micros(meta.last_modified.timestamp_micros());
                Ok(Some((meta.size, changed)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("look at", path, &error)),
        }
    }
}

/// An object that was not changed for a while.
#[derive(Debug)]
pub struct Unchanged {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The file that has its bytes so far, if it was never finished.
    partial: Option<PathBuf>,
}

/// The files of a folder that are under way, which no list shows: their size, and when they were last written to.
pub(crate) fn under_way_in(
    folder: &Path,
) -> io::Result<Vec<(PathBuf, u64, std::time::SystemTime)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_file() && is_under_way(&entry.file_name().to_string_lossy()) {
            found.push((entry.path(), meta.len(), meta.modified()?));
        }
    }
    Ok(found)
}

/// Removes files that were under way when their process was killed, which no list shows, and empty folders.
fn sweep(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sweep(&entry.path())?;
        } else if is_under_way(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Whether the folder's driver calls a file so before it is finished.
pub(crate) fn is_under_way(name: &str) -> bool {
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A bucket of one of the services.
fn bucket(
    location: &str,
    url: &Url,
    options: &BTreeMap<String, String>,
    patience: Duration,
) -> Result<Arc<dyn ObjectStore>, Error> {
    let fail = |error: object_store::Error| failed("open", location, &error);
    let retry = RetryConfig { retry_timeout: patience, ..RetryConfig::default() };
    let (scheme, prefix) = ObjectStoreScheme::parse(url).map_err(|error| fail(error.into()))?;
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::from_env().with_url(location).with_retry(retry);
            for (name, value) in options {
                builder = builder.with_config(option(name)?, value);
            }
            Arc::new(builder.build().map_err(fail)?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(location);
            for (name, value) in options {
                builder = builder.with_config(option(name)?, value);
            }
            Arc::new(builder.with_retry(retry).build().map_err(fail)?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(location);
            for (name, value) in options {
                builder = builder.with_config(option(name)?, value);
            }
            Arc::new(builder.with_retry(retry).build().map_err(fail)?)
        }
        _ => {
            return Err(Error::Choice(format!(
                "datasets cannot be stored at `{location}`: name a folder, or a location that begins with `s3://`, \
                 `gs://` or `az://`"
            )));
        }
    };
    if prefix.as_ref().is_empty() {
        return Ok(store);
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// An option of a service, by its name.
fn option<K: std::str::FromStr>(name: &str) -> Result<K, Error> {
    let unknown = || Error::Choice(format!("the bucket's service has no option `{name}`"));
    name.to_ascii_lowercase().parse().map_err(|_| unknown())
}

/// The objects of one dataset.
pub struct Prefix {
    objects: Objects,
    prefix: String,
}

impl Prefix {
    /// The whole path of an object.
    pub fn path(&self, key: &str) -> ObjectPath {
        ObjectPath::from(format!("{}/{key}", self.prefix))
    }

    /// The folder in which the object is a file, if objects are in one and it spells their names in the same way.
    fn folder_of(&self, key: &str, path: &ObjectPath) -> Option<Folder> {
        let root = self.objects.root.as_ref()?;
        (path.as_ref() == format!("{}/{key}", self.prefix)).then(|| Folder::private(root.clone()))
    }
}

impl Storage for Prefix {
    fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error> {
        let path = self.path(key);
        if let Some(folder) = self.folder_of(key, &path) {
            return Ok(Box::new(NewLocal::create(folder, path.into())?));
        }
        self.objects.create(&path)
    }

    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
        let path = self.path(key);
        let meta = self
            .objects
            .runtime
            .block_on(self.objects.store.head(&path))
            .map_err(|error| failed("read", path.as_ref(), &error))?;
        Ok(Box::new(ObjectReader {
            objects: self.objects.clone(),
            path,
            size: meta.size,
            at: 0,
            window: Bytes::new(),
            window_at: 0,
        }))
    }

    fn remove(&self, key: &str) -> Result<(), Error> {
        self.objects.remove_path(&self.path(key))
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        let below = format!("{}/", ObjectPath::from(&*self.prefix));
        let objects = self.objects.list(&self.prefix)?.into_iter();
        Ok(objects.filter_map(|(path, _)| Some(path.strip_prefix(&below)?.to_owned())).collect())
    }

    fn describe(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.prefix))
    }
}

/// An object of a folder under way. Until it is finished, it has the name that the folder's driver gives such a file.
pub(crate) struct NewLocal {
    folder: Folder,
    key: String,
    partial: String,
    file: Option<Box<dyn NewFile>>,
}

impl NewLocal {
    fn create(folder: Folder, key: String) -> Result<Self, Error> {
        let partial = format!("{key}#1");
        Self::named(folder, key, partial)
    }

    /// One that several processes may write at the same time: each of them to a file of its own until it is finished.
    pub(crate) fn numbered(folder: Folder, key: String) -> Result<Self, Error> {
        let mut number = [0; 4];
        getrandom::fill(&mut number).map_err(|error| Error::Failed {
            what: "random bytes for a temporary name",
            source: io::Error::other(error.to_string()),
        })?;
        let partial = format!("{key}#{}", u32::from_le_bytes(number));
        Self::named(folder, key, partial)
    }

    fn named(folder: Folder, key: String, partial: String) -> Result<Self, Error> {
        let file = Some(folder.create(&partial)?);
        Ok(Self { folder, key, partial, file })
    }
}

impl Write for NewLocal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the object is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for NewLocal {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.finish()?;
        let [partial, path] = [&self.partial, &self.key].map(|key| self.folder.describe(key));
        // A dataset that the store names is on the disk.
        fs::File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &path)?;
        path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
    }
}

impl Drop for NewLocal {
    fn drop(&mut self) {
        drop(self.file.take());
        // Nothing, once it has its own name.
        let _ = self.folder.remove(&self.partial);
    }
}

/// An object under way: its parts are sent as they fill.
struct NewObject {
    objects: Objects,
    upload: Option<WriteMultipart>,
}

fn io_error(error: &object_store::Error) -> io::Error {
    match failed("write", "", error) {
        Error::Objects { reason, .. } => io::Error::other(reason),
        other => io::Error::other(other.to_string()),
    }
}

impl Write for NewObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else {
            return Err(io::Error::other("the object is finished"));
        };
        let runtime = &self.objects.runtime;
        runtime
            .block_on(upload.wait_for_capacity(OBJECT_PARTS_IN_FLIGHT))
            .map_err(|error| io_error(&error))?;
        // Parts are sent by the runtime's thread.
        let _inside = runtime.enter();
        let length = bytes.len().min(OBJECT_PART_BYTES);
        upload.write(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for NewObject {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        let finished = self.objects.runtime.block_on(upload.finish());
        finished.map(|_| ()).map_err(|error| io_error(&error))
    }
}

impl Drop for NewObject {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            // What is left of it is found by `doctor`.
            let _ = self.objects.runtime.block_on(upload.abort());
        }
    }
}

/// An object read from any place, a window at a time.
struct ObjectReader {
    objects: Objects,
    path: ObjectPath,
    size: u64,
    at: u64,
    window: Bytes,
    window_at: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || into.is_empty() {
            return Ok(0);
        }
        let inside = self.at.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok());
        let mut left = inside.and_then(|at| self.window.get(at..)).unwrap_or_default();
        if left.is_empty() {
            let end = self.size.min(self.at.saturating_add(OBJECT_READ_BYTES));
            self.window = self
                .objects
                .runtime
                .block_on(self.objects.store.get_range(&self.path, self.at..end))
                .map_err(|error| io_error(&error))?;
            self.window_at = self.at;
            left = &self.window;
        }
        let length = left.len().min(into.len());
        for (into, left) in into.get_mut(..length).into_iter().zip(left.get(..length)) {
            into.copy_from_slice(left);
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(step) => self.size.checked_add_signed(step),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
        };
        self.at = at.ok_or_else(|| io::Error::other("before the start of the object"))?;
        Ok(self.at)
    }
}

/// The files of a finished dataset, by their paths in the package.
pub struct DatasetFiles {
    objects: Prefix,
    /// Path in the package, and key of the object.
    files: BTreeMap<String, String>,
}

impl DatasetFiles {
    /// A package whose files are these objects: each with its path and its key.
    pub fn new(objects: Prefix, files: Vec<(String, String)>) -> Self {
        Self { objects, files: files.into_iter().collect() }
    }
}

impl Storage for DatasetFiles {
    fn describe(&self, key: &str) -> PathBuf {
        self.objects.describe(key)
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.files.keys().cloned().collect())
    }

    fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
        let object = self.files.get(key).ok_or_else(|| {
            Error::read(&self.describe(key), io::Error::other("the dataset has no such file"))
        })?;
        self.objects.open(object)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn objects_come_and_go_in_one_folder_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().to_str().unwrap();
        let objects = Objects::open(location, Duration::from_secs(1)).unwrap();
        std::thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let below = objects.below("uploads");
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let mut file = below.create(name).unwrap();
                        file.write_all(b"text").unwrap();
                        file.finish().unwrap();
                        below.remove(name).unwrap();
                    }
                });
            }
        });
        assert_eq!(objects.list("").unwrap(), []);
    }
}
