//! Files that records have beside their rows.

use sha2::{Digest, Sha256};

use super::given::GivenFile;

/// A file that a record has beside its row.
#[derive(Clone, Debug)]
pub struct RecordFile {
    /// Its path in the package, with `/`. Records that share a file give it the same path and content.
    pub path: String,
    /// What is in it.
    pub content: FileContent,
}

/// The content of a file.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// A file beside the history.
    Given(GivenFile),
}

/// Longest name that is made of an id, without the ending: file systems take 255 bytes.
const NAME_BYTES: usize = 100;
/// Hexadecimal digits of the hash in a name.
const HASH_DIGITS: usize = 16;

/// The name of a file for a record of this id, without the ending. Ids that differ have names that differ, also on file
/// systems that do not tell upper from lower case.
pub(super) fn file_name_of(id: &str) -> String {
    let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    let ends_like_a_hash = id.rsplit_once('-').is_some_and(|(_, end)| {
        end.len() == HASH_DIGITS && end.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let is_name = !id.is_empty()
        && id.len() <= NAME_BYTES
        && id.chars().all(is_plain)
        && !id.starts_with('.')
        && !ends_like_a_hash;
    if is_name {
        return id.to_owned();
    }
    let stays = |c: char| if is_plain(c) || c.is_ascii_uppercase() { c } else { '_' };
    let start: String = id.chars().map(stays).take(NAME_BYTES - HASH_DIGITS).collect();
    let start = start.trim_start_matches('.');
    let hash: String =
        Sha256::digest(id).iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    if start.is_empty() { format!("_-{hash}") } else { format!("{start}-{hash}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_that_are_names_stay_and_others_get_a_hash() {
        for id in ["0f8fad5b-d9cb-469f-a165-70867728950e", "run_1.2#".trim_end_matches('#')] {
            assert_eq!(file_name_of(id), id);
        }
        for id in ["a/b", "../../etc/passwd", "A", ".hidden", "", "con:1", &"x".repeat(300)] {
            let name = file_name_of(id);
            assert!(!name.contains(['/', '\\', ':']) && !name.starts_with('.'), "{name}");
            assert!(name.len() <= NAME_BYTES + 1, "{name}");
        }
    }

    #[test]
    fn different_ids_have_different_names_whatever_the_case() {
        let hashed = file_name_of("a/b");
        let ids = ["a/b", "a_b", "A_b", "a_B", "a:b", &hashed, "é", "è", "", "_", ".a", "a"];
        let names: HashSet<_> = ids.iter().map(|id| file_name_of(id).to_lowercase()).collect();
        assert_eq!(names.len(), ids.len());
    }
}
