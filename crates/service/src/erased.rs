//! `doctor --erased`: whether texts that were to be erased are left in the store or beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use retort_engine::{Search, Searched, SoughtTexts, Storage, TEMPORARY_PREFIX};
use retort_model::Scope;
use retort_model::bounds::FOLDER_DEPTH;
use retort_store::Store;

use crate::error::Error;
use crate::intake::UPLOADS;
use crate::rejects::REJECTS;
use crate::service::Service;

/// How a file of SQLite begins, and a dump of PostgreSQL in its own format.
const SQLITE: &[u8] = b"SQLite format 3\0";
const PG_DUMP: &[u8] = b"PGDMP";

impl Service {
    /// Looks for texts in the bytes of the store, in the objects and temporary files of this machine, and in the files
    /// and folders `also`, with what is compressed unpacked. Nobody else uses this service meanwhile.
    ///
    /// # Errors
    /// The store or the objects cannot be read at all. What else cannot be, the result says.
    pub fn search_erased(&self, texts: &SoughtTexts, also: &[PathBuf]) -> Result<Searched, Error> {
        let unpack = |packed: &[u8]| self.store.unpack_start(packed).0;
        let mut search = Search::new(texts, &unpack);
        self.search_rows(&mut search)?;
        let names = self.dataset_names()?;
        if self.store.is_rewrite_due()? {
            let why = "a purge left compressed copies that cannot be decompressed; `retort doctor --repair` erases them";
            search.not_searched(&self.store.location(), why);
        }
        // Close our idle connections first: closing a second handle to a SQLite file would release their locks.
        self.store.rest();
        self.search_files(&mut search);
        self.search_objects(&mut search, &names)?;
        let temporary = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        for entry in temporary {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                walk(&mut search, &entry.path(), &|path| path.display().to_string(), 1);
            }
        }
        for path in also {
            walk(&mut search, path, &|path| path.display().to_string(), 0);
        }
        Ok(search.finish())
    }

    fn search_rows(&self, search: &mut Search<'_>) -> Result<(), Error> {
        self.store.each_body(&mut |key, line| {
            let place = || match self.store.item_of_body(key) {
                Ok(Some((kind, id))) => format!("{kind} `{id}`"),
                _ => format!("body {key}, which an export still needs"),
            };
            match line {
                Some(line) => search.line(line, place),
                None => search.not_searched(&place(), "its body is damaged"),
            }
        })?;
        let mut look =
            |table: &str, rows: &mut dyn Read| search.raw(&format!("table `{table}`"), rows);
        Ok(self.store.each_table(&mut look)?)
    }

    /// The files of the database.
    fn search_files(&self, search: &mut Search<'_>) {
        if self.store.file().is_none() {
            let why = "PostgreSQL's own files; give its data folder, archived logs and dumps with `--also`";
            search.not_searched(&self.store.location(), why);
        }
        for path in self.store.files() {
            search_path(search, &path.display().to_string(), &path);
        }
    }

    fn search_objects(
        &self,
        search: &mut Search<'_>,
        names: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let named = |path: &str| {
            let name = names.range(..=path.to_owned()).next_back();
            let name = name.and_then(|(prefix, name)| Some((path.strip_prefix(prefix)?, name)));
            name.map_or_else(|| path.to_owned(), |(rest, name)| format!("{name}: {rest}"))
        };
        if let Some(root) = self.objects.root() {
            let inside = |path: &Path| {
                named(&path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/"))
            };
            walk(search, root, &inside, 0);
            return Ok(());
        }
        let datasets = format!("datasets/{}-", self.store.identity());
        for prefix in ["datasets", &self.originals(), UPLOADS, REJECTS] {
            for (path, _) in self.objects.list(prefix)? {
                // Other stores may share the place.
                if prefix != "datasets" || path.starts_with(&datasets) {
                    let key = path.strip_prefix(prefix).unwrap_or(&path).trim_start_matches('/');
                    search.file(&named(&path), self.objects.below(prefix).open(key)?);
                }
            }
        }
        search.not_searched(
            self.objects.location(),
            "earlier versions of objects that the storage service keeps",
        );
        Ok(())
    }

    /// Names of datasets, by the prefix of their objects.
    fn dataset_names(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut names = BTreeMap::new();
        for project in self.store.projects()? {
            for dataset in self.store.datasets(&Scope::project(project.id))? {
                let name = format!("dataset {} `{}`", dataset.id, dataset.name);
                names.insert(format!("{}/", dataset.prefix), name);
            }
        }
        Ok(names)
    }
}

/// Searches a file, or all files of a folder.
fn walk(search: &mut Search<'_>, path: &Path, named: &dyn Fn(&Path) -> String, depth: usize) {
    let fail = |search: &mut Search<'_>, why: &str| search.not_searched(&named(path), why);
    // What was named may be a link.
    let metadata = if depth == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match metadata {
        Ok(metadata) if metadata.is_dir() && depth <= FOLDER_DEPTH => {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            match entries {
                Ok(mut entries) => {
                    entries.sort_by_key(fs::DirEntry::file_name);
                    for entry in entries {
                        walk(search, &entry.path(), named, depth + 1);
                    }
                }
                Err(error) => fail(search, &error.to_string()),
            }
        }
        Ok(metadata) if metadata.is_dir() => fail(search, "it is too many folders deep"),
        Ok(metadata) if metadata.is_file() => search_path(search, &named(path), path),
        Ok(metadata) if metadata.is_symlink() => {
            fail(search, "it is a link; give its target with `--also`");
        }
        // Sockets and pipes hold nothing.
        Ok(_) => {}
        // It was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => {}
        Err(error) => fail(search, &error.to_string()),
    }
}

fn search_path(search: &mut Search<'_>, place: &str, path: &Path) {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return search.not_searched(place, &error.to_string()),
    };
    search.file(place, Box::new(file));
    let mut start = Vec::new();
    let length = SQLITE.len() as u64;
    if File::open(path).and_then(|file| file.take(length).read_to_end(&mut start)).is_err() {
        return;
    }
    if start == SQLITE {
        search_copy(search, place, path);
    } else if start.starts_with(PG_DUMP) {
        search_dump(search, place, path);
    }
}

/// The bodies of a copy of a store. Only SQLite can read large ones completely.
fn search_copy(search: &mut Search<'_>, place: &str, path: &Path) {
    let searched = Store::open_existing(&path.to_string_lossy()).and_then(|copy| {
        copy.each_body(&mut |key, line| match line {
            Some(line) => search.line(line, || format!("{place}, body {key}")),
            None => search.not_searched(&format!("{place}, body {key}"), "it is damaged"),
        })
    });
    if let Err(error) = searched {
        search.not_searched(place, &format!("large bodies could not be decompressed: {error}"));
    }
}

/// A dump made by `pg_dump`, read through `pg_restore`.
fn search_dump(search: &mut Search<'_>, place: &str, path: &Path) {
    let mut restore = Command::new("pg_restore");
    restore.arg("--file=-").arg(path).stdin(Stdio::null()).stderr(Stdio::null());
    let searched = restore.stdout(Stdio::piped()).spawn().and_then(|mut running| {
        if let Some(mut output) = running.stdout.take() {
            search.raw(place, &mut output)?;
        }
        match running.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("it ended with an error")),
        }
    });
    if let Err(error) = searched {
        let why = format!("`pg_restore`, which reads dumps, failed: {error}");
        search.not_searched(place, &why);
    }
}
