//! The hash by which Git knows a file: SHA-1 of a header and the content.

use sha1::{Digest, Sha1};

use crate::storage::hex;

/// A hash that is being computed.
pub(super) struct GitOid(Sha1);

impl GitOid {
    /// For a file of this many bytes.
    pub(super) fn of(bytes: u64) -> Self {
        Self(Sha1::new().chain_update(format!("blob {bytes}\0")))
    }

    pub(super) fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// In hexadecimal.
    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_git_hash_object() {
        for (content, expect) in [
            (&b""[..], "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ] {
            let mut oid = GitOid::of(content.len() as u64);
            oid.update(content);
            assert_eq!(oid.finish(), expect);
        }
    }
}
