//! Finished packages, read by their receipt.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use retort_formats::file::ReadSeek;
use retort_formats::package::{DATASET_INFO, MANIFEST, Manifest};

use crate::error::Error;
use crate::shelf::{Shelf, shelf_at};

/// A finished package, wherever it stands.
pub struct Package {
    /// What errors call it.
    path: PathBuf,
    manifest: Manifest,
    shelf: Box<dyn Shelf>,
}

impl Package {
    /// Opens a package, a folder or a ZIP archive.
    ///
    /// # Errors
    /// It cannot be read, or is no whole package.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::on(shelf_at(path)?, path)
    }

    /// Opens the package whose files these are; errors call it by the path.
    pub fn on(mut shelf: Box<dyn Shelf>, path: &Path) -> Result<Self, Error> {
        let not_whole = |reason: String| Error::NotWhole { path: path.to_owned(), reason };
        let mut text = String::new();
        let mut receipt =
            shelf.open(MANIFEST).map_err(|_| not_whole(format!("it has no `{MANIFEST}`")))?;
        receipt.read_to_string(&mut text).map_err(|error| not_whole(error.to_string()))?;
        let manifest =
            Manifest::parse(&text).map_err(|error| not_whole(format!("`{MANIFEST}`: {error}")))?;
        Ok(Self { path: path.to_owned(), manifest, shelf })
    }

    /// The receipt.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens a file of the package.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn file(&mut self, name: &str) -> io::Result<Box<dyn ReadSeek>> {
        self.shelf.open(name)
    }

    /// Paths of all files in the package.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        self.shelf.names().map_err(|error| Error::read(&self.path, error))
    }

    /// Whether trainers can find the data through `dataset_info.json`.
    pub fn has_dataset_info(&self) -> bool {
        self.names().is_ok_and(|names| names.iter().any(|name| name == DATASET_INFO))
    }
}
