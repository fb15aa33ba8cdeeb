//! Where datasets are delivered for other programs to read: a folder, or a bucket. Each dataset is a folder of its files
//! there. The receipt comes last, and each file appears whole: under a temporary name that is then renamed, or as the
//! object that an upload makes when it ends. So a program that waits for `manifest.json` finds all files beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use object_store::path::Path as ObjectPath;
use retort_formats::package::MANIFEST;
use sha2::{Digest, Sha256};

use crate::error::{Error, io_reason};
use crate::objects::{NewLocal, Objects, under_way_in};
use crate::storage::{Folder, NewFile, Storage, StoredFile, hex};

/// What is written, and removed again, to see whether a destination takes files.
const TRIAL: &str = "retort-trial";

/// Bytes that are copied at once.
const COPIED_AT_ONCE: usize = 1 << 20;

/// A place for datasets that other programs read.
pub struct Destination {
    place: Target,
}

enum Target {
    Folder(PathBuf),
    Bucket(Objects),
    /// A folder that is slow and fails now and then, as a network share.
    #[cfg(test)]
    Share(Box<dyn Storage>),
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The files were written.
    Now,
    /// They were there already, from an attempt whose end was not noted.
    Before,
}

impl Destination {
    /// Opens a folder that exists, or a bucket (`s3://…`, `gs://…`, `az://…`). `options` are those of the bucket's
    /// service, such as `aws_access_key_id`; what they do not say comes from the environment. Requests are repeated for
    /// `patience`.
    ///
    /// # Errors
    /// The folder does not exist, or the location or an option is of no known kind.
    pub fn open(
        location: &str,
        options: &BTreeMap<String, String>,
        patience: Duration,
    ) -> Result<Self, Error> {
        let place = match Objects::open_bucket(location, options, patience)? {
            Some(bucket) => Target::Bucket(bucket),
            None => Target::Folder(location.strip_prefix("file://").unwrap_or(location).into()),
        };
        let destination = Self { place };
        destination.check_folder()?;
        Ok(destination)
    }

    /// A folder is never made: where a disk is not mounted, its files would go to the disk beneath.
    fn check_folder(&self) -> Result<(), Error> {
        match &self.place {
            Target::Folder(folder) if !folder.is_dir() => {
                Err(failed("write to it", "", "there is no such folder; is its disk mounted?"))
            }
            _ => Ok(()),
        }
    }

    /// Writes a small file and removes it again.
    ///
    /// # Errors
    /// It cannot be written. That it cannot be removed is none, as deliveries remove nothing.
    pub fn try_out(&self) -> Result<(), Error> {
        self.put(TRIAL, "Retort wrote this file to test that it can write here.\n")?;
        match &self.place {
            Target::Folder(root) => fs::remove_file(root.join(TRIAL))
                .map_err(|error| failed("remove", TRIAL, &io_reason(&error)))?,
            Target::Bucket(objects) => {
                let _ = objects.remove_path(&ObjectPath::from(TRIAL));
            }
            #[cfg(test)]
            Target::Share(share) => share.remove(TRIAL)?,
        }
        Ok(())
    }

    /// Writes a small file, which replaces one that is there, and removes what attempts that were killed left of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, path: &str, text: &str) -> Result<(), Error> {
        if let Target::Folder(root) = &self.place {
            let path = root.join(path);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = |other: &str| other.starts_with(&format!("{name}#"));
            let swept = path.parent().map_or(Ok(()), |folder| sweep_folder(folder, &is_ours));
            swept.map_err(|error| failed("clear", &name, &io_reason(&error)))?;
        }
        let mut file = self.create(path)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.finish());
        written.map_err(|error| failed("write", path, &io_reason(&error)))
    }

    fn create(&self, path: &str) -> Result<Box<dyn NewFile>, Error> {
        let created: Result<Box<dyn NewFile>, Error> = match &self.place {
            Target::Folder(root) => NewLocal::numbered(Folder::new(root.clone()), path.into())
                .map(|file| Box::new(file) as Box<dyn NewFile>),
            Target::Bucket(objects) => objects.create(&self.object(path)?),
            #[cfg(test)]
            Target::Share(share) => share.create(path),
        };
        created.map_err(|error| failed("write", path, &reason(error)))
    }

    fn object(&self, path: &str) -> Result<ObjectPath, Error> {
        ObjectPath::parse(path).map_err(|error| failed("write", path, &error.to_string()))
    }

    /// The SHA-256 of a file; none if it is not there.
    fn hash_of(&self, path: &str) -> Result<Option<String>, Error> {
        let fail = |error: io::Error| failed("read", path, &io_reason(&error));
        let mut file: Box<dyn Read> = match &self.place {
            Target::Folder(root) => match fs::File::open(root.join(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => Box::new(file.map_err(fail)?),
            },
            Target::Bucket(objects) => {
                let read = objects.read(&self.object(path)?);
                match read.map_err(|error| failed("read", path, &reason(error)))? {
                    None => return Ok(None),
                    Some(bytes) => Box::new(io::Cursor::new(bytes)),
                }
            }
            #[cfg(test)]
            Target::Share(share) => match share.open(path) {
                Ok(file) => Box::new(file),
                Err(_) => return Ok(None),
            },
        };
        let (_, sha256, _) = crate::storage::read_through(&mut *file).map_err(fail)?;
        Ok(Some(sha256))
    }

    /// Delivers the files of a dataset to a folder of the destination, the receipt last. `going_on` is asked between
    /// pieces whether to go on.
    ///
    /// # Errors
    /// The folder has another dataset; a file in `from` is not what was made; failing I/O; those of `going_on`.
    pub fn deliver(
        &self,
        folder: &str,
        from: &dyn Storage,
        files: &[StoredFile],
        going_on: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Delivered, Error> {
        self.check_folder()?;
        let receipt = files.iter().find(|file| file.path == MANIFEST);
        let receipt = receipt.ok_or_else(|| Error::bug("a dataset without a receipt"))?;
        match self.hash_of(&format!("{folder}/{MANIFEST}"))? {
            Some(there) if there == receipt.sha256 => return Ok(Delivered::Before),
            Some(_) => {
                return Err(failed(
                    "deliver to",
                    folder,
                    "another dataset is there; choose another prefix, or remove that one",
                ));
            }
            None => {}
        }
        self.sweep(folder, files)?;
        let data = files.iter().filter(|file| file.path != MANIFEST);
        for file in data.chain([receipt]) {
            self.copy(&format!("{folder}/{}", file.path), from, file, going_on)?;
        }
        Ok(Delivered::Now)
    }

    /// Removes what attempts that were killed left unfinished in the folders of a dataset.
    fn sweep(&self, folder: &str, files: &[StoredFile]) -> Result<(), Error> {
        let Target::Folder(root) = &self.place else { return Ok(()) };
        let mut folders: Vec<PathBuf> = files
            .iter()
            .filter_map(|file| Some(root.join(folder).join(&file.path).parent()?.to_owned()))
            .collect();
        folders.sort();
        folders.dedup();
        for one in folders {
            sweep_folder(&one, &|_| true)
                .map_err(|error| failed("clear", folder, &io_reason(&error)))?;
        }
        Ok(())
    }

    fn copy(
        &self,
        path: &str,
        from: &dyn Storage,
        file: &StoredFile,
        going_on: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fail = |error: io::Error| failed("write", path, &io_reason(&error));
        let mut input = from.open(&file.key)?;
        let mut out = self.create(path)?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; COPIED_AT_ONCE];
        loop {
            let length = input
                .read(&mut piece)
                .map_err(|error| Error::read(&from.describe(&file.key), error))?;
            if length == 0 {
                break;
            }
            let read = piece.get(..length).unwrap_or_default();
            hash.update(read);
            out.write_all(read).map_err(fail)?;
            going_on()?;
        }
        if hex(&hash.finalize()) != file.sha256 {
            return Err(Error::Objects {
                doing: "deliver",
                object: file.path.clone(),
                reason: "its content has changed: its SHA-256 differs from the store's".into(),
            });
        }
        out.finish().map_err(fail)
    }
}

fn failed(doing: &'static str, path: &str, reason: &str) -> Error {
    // Where the destination is, members need not know.
    let what = if path.is_empty() { doing.to_owned() } else { format!("{doing} `{path}`") };
    Error::Destination { what, reason: reason.to_owned() }
}

/// Why something failed, without where.
fn reason(error: Error) -> String {
    match error {
        Error::Read { source, .. } | Error::Write { source, .. } => io_reason(&source),
        Error::Objects { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Removes unfinished files of these names from a folder.
fn sweep_folder(folder: &Path, is_ours: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let is_ours = |file: &Path| is_ours(&file.file_name().unwrap_or_default().to_string_lossy());
    let files = under_way_in(folder)?;
    files.iter().filter(|(file, ..)| is_ours(file)).try_for_each(|(file, ..)| fs::remove_file(file))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use retort_formats::file::ReadSeek;

    use super::*;
    use crate::storage::{HashingFile, storage_at};

    fn stored(storage: &Folder, path: &str, text: &str) -> StoredFile {
        let mut file = HashingFile::create(storage, path.into()).unwrap();
        file.append(text.as_bytes()).unwrap();
        file.finish(path.into(), None).unwrap()
    }

    /// A store's dataset, and a destination beside it.
    fn place() -> (tempfile::TempDir, Folder, Vec<StoredFile>, Destination) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let storage = Folder::new(folder.path().join("in"));
        // The receipt is delivered last wherever it is listed.
        let files = [MANIFEST, "a.jsonl", "b/c.jsonl"].map(|path| stored(&storage, path, path));
        let open = Destination::open(out.to_str().unwrap(), &BTreeMap::new(), Duration::ZERO);
        (folder, storage, files.to_vec(), open.unwrap())
    }

    #[test]
    fn a_dataset_is_delivered_with_its_receipt_last_and_only_once() {
        let (folder, storage, files, destination) = place();
        let out = folder.path().join("out");
        destination.try_out().unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        let receipt = out.join("d/1").join(MANIFEST);
        let mut looks = 0;
        let delivered = destination.deliver("d/1", &storage, &files, &mut || {
            looks += 1;
            assert!(!receipt.exists());
            Ok(())
        });
        assert_eq!((delivered.unwrap(), looks), (Delivered::Now, 3));
        let mut there = storage_at(&out.join("d/1")).unwrap().keys().unwrap();
        there.sort();
        assert_eq!(there, ["a.jsonl", "b/c.jsonl", MANIFEST]);
        let again = destination.deliver("d/1", &storage, &files, &mut || panic!("nothing to copy"));
        assert_eq!(again.unwrap(), Delivered::Before);
        // Another dataset does not mix with it.
        let mut other = files.clone();
        other[0].sha256 = "0".repeat(64);
        let refused = destination.deliver("d/1", &storage, &other, &mut || Ok(()));
        assert!(refused.unwrap_err().to_string().contains("another dataset is there"));
    }

    #[test]
    fn what_a_killed_attempt_left_goes_and_what_is_damaged_never_gets_a_receipt() {
        let (folder, storage, files, destination) = place();
        let out = folder.path().join("out/d");
        fs::create_dir_all(out.join("b")).unwrap();
        fs::write(out.join("a.jsonl#123"), "hal").unwrap();
        fs::write(out.join("b/c.jsonl#4"), "hal").unwrap();
        fs::write(out.join("b/c.jsonl"), "from an earlier attempt").unwrap();
        fs::write(folder.path().join("in/b/c.jsonl"), "damaged!!").unwrap();
        let failed = destination.deliver("d", &storage, &files, &mut || Ok(()));
        assert!(failed.unwrap_err().to_string().contains("its content has changed"));
        assert_eq!(storage_at(&out).unwrap().keys().unwrap(), ["a.jsonl", "b/c.jsonl"]);
        fs::write(folder.path().join("in/b/c.jsonl"), "b/c.jsonl").unwrap();
        let delivered = destination.deliver("d", &storage, &files, &mut || Ok(()));
        assert_eq!(delivered.unwrap(), Delivered::Now);
        assert_eq!(fs::read_to_string(out.join("b/c.jsonl")).unwrap(), "b/c.jsonl");
    }

    /// A folder that takes a little at a time, slowly, and fails now and then: also when a file ends, before it is there or
    /// after.
    struct Share {
        folder: PathBuf,
        operations: Arc<AtomicU64>,
    }

    /// One operation in this many fails.
    const FAILS: u64 = 41;

    fn operate(operations: &AtomicU64) -> io::Result<()> {
        std::thread::sleep(Duration::from_micros(200));
        match operations.fetch_add(1, Ordering::Relaxed) % FAILS {
            11 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    impl Storage for Share {
        fn describe(&self, key: &str) -> PathBuf {
            self.folder.join(key)
        }

        fn keys(&self) -> Result<Vec<String>, Error> {
            Folder::new(self.folder.clone()).keys()
        }

        fn open(&self, key: &str) -> Result<Box<dyn ReadSeek>, Error> {
            Folder::new(self.folder.clone()).open(key)
        }

        fn create(&self, key: &str) -> Result<Box<dyn NewFile>, Error> {
            operate(&self.operations).map_err(|error| Error::write(&self.describe(key), error))?;
            let file = NewLocal::numbered(Folder::new(self.folder.clone()), key.into())?;
            Ok(Box::new(ShareFile {
                file: Box::new(file),
                operations: Arc::clone(&self.operations),
            }))
        }
    }

    struct ShareFile {
        file: Box<dyn NewFile>,
        operations: Arc<AtomicU64>,
    }

    impl Write for ShareFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            operate(&self.operations)?;
            self.file.write(&bytes[..bytes.len().min(700)])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl NewFile for ShareFile {
        fn finish(self: Box<Self>) -> io::Result<()> {
            operate(&self.operations)?;
            self.file.finish()?;
            operate(&self.operations)
        }
    }

    #[test]
    fn a_share_that_is_slow_and_fails_now_and_then_gets_everything_before_the_receipt() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path().join("in"));
        let names = [MANIFEST, "a.jsonl", "b.jsonl", "c/d.jsonl"];
        let files = names.map(|path| stored(&storage, path, &path.repeat(300)));
        let out = folder.path().join("out");
        let operations = Arc::new(AtomicU64::new(0));
        let share = Share { folder: out.clone(), operations: Arc::clone(&operations) };
        let destination = Destination { place: Target::Share(Box::new(share)) };
        let mut failed = 0;
        for number in 0..20 {
            let to = format!("d/{number}");
            while let Err(error) = destination.deliver(&to, &storage, &files, &mut || Ok(())) {
                assert!(error.to_string().contains("cannot write `d/"), "{error}");
                failed += 1;
                assert!(failed < 1000);
                let is_there = |file: &StoredFile| {
                    let read = fs::read(out.join(&to).join(&file.path));
                    read.is_ok_and(|bytes| hex(&Sha256::digest(&bytes)) == file.sha256)
                };
                let is_told = out.join(&to).join(MANIFEST).exists();
                assert!(!is_told || files.iter().all(is_there), "a receipt before its files");
            }
            assert!(files.iter().all(|file| out.join(&to).join(&file.path).exists()));
        }
        assert!(failed > 10, "{failed}");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_not_made() {
        let (folder, storage, files, destination) = place();
        fs::remove_dir(folder.path().join("out")).unwrap();
        for failed in [
            destination.deliver("d", &storage, &files, &mut || Ok(())).map(|_| ()),
            Destination::open(
                folder.path().join("out").to_str().unwrap(),
                &BTreeMap::new(),
                Duration::ZERO,
            )
            .map(|_| ()),
        ] {
            assert!(failed.unwrap_err().to_string().contains("is its disk mounted?"));
        }
        let refused = Destination::open("ftp://host/x", &BTreeMap::new(), Duration::ZERO);
        assert!(refused.map(|_| ()).unwrap_err().to_string().contains("ftp://host/x"));
        let options = BTreeMap::from([("bucket_of_gold".to_owned(), "secret".to_owned())]);
        let refused = Destination::open("s3://bucket/x", &options, Duration::ZERO);
        let refused = refused.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("`bucket_of_gold`") && !refused.contains("secret"), "{refused}");
    }
}
