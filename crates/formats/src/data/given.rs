//! Files beside a history, as what reads it gives them.

use std::io::{self, Read};
use std::sync::Arc;

/// Files that are beside a history, such as the pictures in an archive.
pub trait GivenFiles {
    /// The file that the history calls so: by its path from where the history lies, or by the id that its source gave it.
    fn find(&self, name: &str) -> Option<GivenFile>;
}

/// Opens a file, as often as it is asked to.
pub type Open = Arc<dyn Fn() -> io::Result<Box<dyn Read>> + Send + Sync>;

/// A file beside a history.
#[derive(Clone)]
pub struct GivenFile {
    /// Hexadecimal SHA-256 of its content.
    pub sha256: String,
    /// Its name.
    pub name: String,
    /// Opens it.
    pub open: Open,
}

impl std::fmt::Debug for GivenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenFile").field("name", &self.name).finish_non_exhaustive()
    }
}
