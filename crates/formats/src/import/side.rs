//! Files that archives and folders of a product hold beside the items: what is read with them, and what is nothing to
//! read. A format declares them by their names, so that they are not taken for items that cannot be read.

use std::collections::HashSet;

use super::format::{ImportFormat, SideFiles};

/// What a side file is for.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Its texts are fragments of items of this format.
    Read(&'static dyn ImportFormat),
    /// It holds no items.
    Ignored,
}

/// The side files of one archive or folder.
pub struct Sides {
    /// Formats, each with the folders that hold files of its items.
    formats: Vec<(&'static dyn ImportFormat, &'static SideFiles, HashSet<String>)>,
}

impl Sides {
    /// Those among files of these names, with their folders before them, for the formats that are asked for.
    pub fn among(formats: &[&'static dyn ImportFormat], names: &[&str]) -> Self {
        let with_folders = |format: &&'static dyn ImportFormat| {
            let files = format.side_files()?;
            let items = names.iter().map(|name| parted(unpacked(name)));
            let items = items.filter(|(_, name)| is_one(files.items, name));
            let folders: HashSet<_> = items.map(|(folder, _)| folder.to_owned()).collect();
            (!folders.is_empty()).then_some((*format, files, folders))
        };
        Self { formats: formats.iter().filter_map(with_folders).collect() }
    }

    /// Whether a file is read with the items beside it.
    pub fn is_read(&self, name: &str) -> bool {
        matches!(self.of(name), Some(Side::Read(_)))
    }

    /// What a file is for, if it is a side file.
    pub fn of(&self, name: &str) -> Option<Side> {
        let (folder, name) = parted(unpacked(name));
        let here = || self.formats.iter().filter(|(.., folders)| folders.contains(folder));
        let read = here().find(|(_, files, _)| is_one(files.read, name));
        let ignored = || here().any(|(_, files, _)| is_one(files.ignored, name));
        read.map(|(format, ..)| Side::Read(*format)).or_else(|| ignored().then_some(Side::Ignored))
    }
}

/// The name of a file without the ending of what packs it.
pub(super) fn unpacked(name: &str) -> &str {
    const PACKED: [&str; 6] = [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz"];
    PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The folder of a file and its own name.
pub(super) fn parted(path: &str) -> (&str, &str) {
    path.rsplit_once(['/', '\\']).unwrap_or(("", path))
}

pub(super) fn is_one(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => name == *pattern,
    })
}
