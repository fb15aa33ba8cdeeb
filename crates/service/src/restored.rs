//! `restore-backup`: copies what `backup` wrote to where the store and its datasets belong.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use retort_engine::{Error as EngineError, Objects, Storage};
use retort_store::private::{make_file, make_folder};
use retort_store::{Error as StoreError, Store};
use url::Url;

use crate::doctor::{BACKUP_DUMP, BACKUP_OBJECTS, BACKUP_SQLITE, password_in};
use crate::error::Error;
use crate::settings::Settings;

/// Copies the backup in `folder` to the store and the place of the datasets that `settings` name. Returns the bytes of
/// datasets and original files.
///
/// The store appears last, so that a restore that was interrupted can be started again.
///
/// # Errors
/// The folder is not a backup, or one of another kind of store; there is a store already; failing I/O. A store in PostgreSQL
/// needs `pg_restore` and an empty database.
pub fn restore_backup(settings: &Settings, folder: &Path) -> Result<u64, Error> {
    let (file, dump) = (folder.join(BACKUP_SQLITE), folder.join(BACKUP_DUMP));
    let is_server = is_server(&settings.store);
    let shown = folder.display();
    match (file.exists(), dump.exists()) {
        (false, false) => {
            let why = if folder.exists() {
                format!(
                    "`{shown}` is not a backup: it has neither `{BACKUP_SQLITE}` nor `{BACKUP_DUMP}`"
                )
            } else {
                format!("cannot read `{shown}`: there is no such folder")
            };
            return Err(Error::Choice(why));
        }
        (true, _) if is_server => {
            return Err(Error::Choice(format!(
                "`{shown}` is a backup of a store in SQLite; restore it to a file, not to PostgreSQL"
            )));
        }
        (false, true) if !is_server => {
            return Err(Error::Choice(format!(
                "`{shown}` is a backup of a store in PostgreSQL; name an empty database with `--store postgres://…`"
            )));
        }
        _ => {}
    }
    retort_store::install_tls_provider();
    refuse_store(&settings.store, is_server)?;
    let unfinished = folder.join(format!("{BACKUP_SQLITE}-wal"));
    if fs::metadata(&unfinished).is_ok_and(|found| found.len() > 0) {
        return Err(Error::Choice(format!(
            "`{shown}` is in use: end the `retort` that has it open, and try again"
        )));
    }
    let objects = Objects::open(&settings.objects, settings.patience)?;
    let bytes = copy_folder(&objects, &folder.join(BACKUP_OBJECTS), "")?;
    if is_server {
        restore_dump(&settings.store, &dump)?;
    } else {
        copy_file(&file, Path::new(&settings.store))?;
    }
    Ok(bytes)
}

/// Refuses to restore where a store is, or what SQLite would take for the end of the restored one.
fn refuse_store(store: &str, is_server: bool) -> Result<(), Error> {
    if is_server {
        return match Store::open_existing(store) {
            Err(StoreError::Schema { found: 0, .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(there) => Err(Error::Choice(format!(
                "`{}` already contains a store; name an empty database",
                there.location()
            ))),
        };
    }
    let found = ["", "-wal", "-shm", "-journal"].map(|end| format!("{store}{end}"));
    match found.iter().find(|path| Path::new(path).exists()) {
        None => Ok(()),
        Some(path) => Err(Error::Choice(format!(
            "`{path}` already exists; move the files of that store away first, or name another place"
        ))),
    }
}

fn is_server(store: &str) -> bool {
    store.starts_with("postgres://") || store.starts_with("postgresql://")
}

/// Copies a folder of objects, and those in it.
fn copy_folder(objects: &Objects, folder: &Path, prefix: &str) -> Result<u64, Error> {
    let failed = |error| EngineError::read(folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if prefix.is_empty() && error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(failed)?,
    };
    let place = objects.below(prefix);
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(failed)?.is_dir() {
            let below = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            bytes += copy_folder(objects, &entry.path(), &below)?;
            continue;
        }
        let mut from = File::open(entry.path()).map_err(failed)?;
        let length = from.metadata().map_err(failed)?.len();
        match objects.size(place.path(&name).as_ref())? {
            None => {}
            // Keys of objects are never used again, so an interrupted restore left it.
            Some(size) if size == length => continue,
            Some(_) => {
                return Err(Error::Choice(format!(
                    "{} already exists with other content; name an empty place for the datasets",
                    place.describe(&name).display()
                )));
            }
        }
        let mut to = place.create(&name)?;
        let write = |error| EngineError::write(&place.describe(&name), error);
        bytes += io::copy(&mut from, &mut to).map_err(write)?;
        to.finish().map_err(write)?;
    }
    Ok(bytes)
}

/// Copies the store's file, which appears under its name once it is complete.
fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error| EngineError::write(to, error);
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make_folder(parent).map_err(failed)?;
    let partial = parent.join(format!(".{name}.partial"));
    let copied = make_file(&partial)
        .and_then(|()| fs::copy(from, &partial))
        .and_then(|_| File::open(&partial)?.sync_all())
        // Copying takes over who may read the backup.
        .and_then(|()| make_private(&partial))
        .and_then(|()| fs::rename(&partial, to))
        .and_then(|()| File::open(parent)?.sync_all());
    copied.map_err(|error| {
        let _ = fs::remove_file(&partial);
        failed(error).into()
    })
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn restore_dump(url: &str, dump: &Path) -> Result<(), Error> {
    let mut restore = Command::new("pg_restore");
    restore.args(["--no-owner", "--exit-on-error", "--single-transaction", "--dbname"]);
    restore.arg(without_password(url)).arg(dump);
    if let Some(password) = password_in(url) {
        // Not among the arguments, which everyone on the machine sees.
        restore.env("PGPASSWORD", password);
    }
    match restore.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Error::Choice(format!(
            "`pg_restore` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Error::Choice(format!(
            "`pg_restore`, which restores a store in PostgreSQL, cannot be run: {error}"
        ))),
    }
}

fn without_password(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let _ = parsed.set_password(None);
    let kept: Vec<_> = parsed
        .query_pairs()
        .filter(|(name, _)| name != "password")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    parsed.set_query(None);
    if !kept.is_empty() {
        parsed.query_pairs_mut().extend_pairs(kept);
    }
    parsed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_do_not_hold_the_password() {
        for (url, expect) in [
            ("postgres://ann:s%40cret@host/db", "postgres://ann@host/db"),
            (
                "postgres://ann@host/db?password=p&sslmode=require",
                "postgres://ann@host/db?sslmode=require",
            ),
            ("postgres://host/db", "postgres://host/db"),
        ] {
            assert_eq!(without_password(url), expect);
        }
    }
}
