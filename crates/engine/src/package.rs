//! Finished packages, read by their receipt.

use std::io::{self, Read};
use std::path::Path;

use retort_formats::file::ReadSeek;
use retort_formats::package::{DATASET_INFO, MANIFEST, Manifest};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::storage::{Storage, hex, storage_at};

/// A finished package, wherever it stands.
pub struct Package {
    manifest: Manifest,
    manifest_sha256: String,
    storage: Box<dyn Storage>,
}

impl Package {
    /// Opens a package, a folder or a ZIP archive.
    ///
    /// # Errors
    /// It cannot be read, or is no whole package.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::on(storage_at(path)?, path)
    }

    /// Opens the package whose files these are; errors call it by the path.
    pub fn on(storage: Box<dyn Storage>, path: &Path) -> Result<Self, Error> {
        let not_whole = |reason: String| Error::NotWhole { path: path.to_owned(), reason };
        let mut text = String::new();
        let mut receipt =
            storage.open(MANIFEST).map_err(|_| not_whole(format!("it has no `{MANIFEST}`")))?;
        receipt.read_to_string(&mut text).map_err(|error| not_whole(error.to_string()))?;
        let manifest =
            Manifest::parse(&text).map_err(|error| not_whole(format!("`{MANIFEST}`: {error}")))?;
        let manifest_sha256 = hex(&Sha256::digest(&text));
        Ok(Self { manifest, manifest_sha256, storage })
    }

    /// SHA-256 of the receipt's file.
    pub fn manifest_sha256(&self) -> &str {
        &self.manifest_sha256
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
        self.storage.open(name).map_err(|error| match error {
            Error::Read { source, .. } => source,
            other => io::Error::other(other),
        })
    }

    /// Paths of all files in the package.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        self.storage.keys()
    }

    /// Whether trainers can find the data through `dataset_info.json`.
    pub fn has_dataset_info(&self) -> bool {
        self.names().is_ok_and(|names| names.iter().any(|name| name == DATASET_INFO))
    }
}
