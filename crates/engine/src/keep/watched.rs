//! Folders that are watched.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::storage::hex;

/// A folder that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its folder in the archive.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// Only files in a folder of this name are kept, at any depth.
    pub within: Option<&'static str>,
    /// Only this file of the folder is kept.
    pub only: Option<&'static str>,
}

impl Watched {
    /// A folder, kept under its name and a hash of its path, as other folders may have the same name.
    ///
    /// # Errors
    /// There is no such folder, or it is a file.
    pub fn folder(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        if !folder.is_dir() {
            let why = "it is a file; name the folder that contains it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let name = folder.file_name().map_or("folder".into(), |name| name.to_string_lossy());
        let mark = hex(&Sha256::digest(folder.as_os_str().as_encoded_bytes()));
        let name =
            format!("{}-{}", name.trim_start_matches('.'), mark.get(..8).unwrap_or_default());
        Ok(Self { name, folder, within: None, only: None })
    }
}
