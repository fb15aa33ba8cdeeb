//! Histories from another machine, which were copied to this one before they are read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use retort_formats::import;
use retort_formats::package::SourceRead;
use retort_model::Time;

use super::open::{Expected, expected_by_name};
use super::stream::PassedOver;

/// The copies, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFiles {
    /// Where they come from, as the receipt records it.
    pub source: SourceRead,
    /// The copy of the folder or file that was named.
    pub root: PathBuf,
    /// Paths below the root of the files to read, with `/`; other files there are ignored. Empty for a single file.
    pub names: BTreeSet<String>,
    /// Files that were not copied, and why.
    pub passed_over: Vec<(PassedOver, String)>,
    /// When they were changed last.
    pub changed: Option<Time>,
}

impl FetchedFiles {
    /// Whether the file or folder at this path below the root is read.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        let below = || self.names.range(folder.clone()..).next();
        self.names.contains(path) || below().is_some_and(|name| name.starts_with(&folder))
    }
}

/// Why a file with this path cannot contain a history; none if it may.
pub(crate) fn passed_over_by_path(path: &str) -> Option<PassedOver> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_hidden = |name: &str| name.starts_with('.');
    let is_text = import::is_text_file(name);
    if folders.split('/').any(is_hidden) || is_hidden(name) && !is_text {
        return Some(PassedOver::Hidden);
    }
    (!is_text && expected_by_name(name) == Expected::Odd).then_some(PassedOver::NotAHistory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_what_may_be_a_history() {
        for (path, why) in [
            ("data/train.jsonl.gz", None),
            ("x.PARQUET", None),
            (".aider.chat.history.md", None),
            ("README.md", Some(PassedOver::NotAHistory)),
            ("pictures/cat.png", Some(PassedOver::NotAHistory)),
            (".gitattributes", Some(PassedOver::Hidden)),
            (".cache/x.jsonl", Some(PassedOver::Hidden)),
        ] {
            assert_eq!(passed_over_by_path(path), why, "{path}");
        }
    }
}
