//! What fragments are brought together by.

use std::sync::Arc;

use retort_formats::import::ImportFormat;
use retort_formats::import::split::Span;
use sha2::{Digest, Sha256};

use crate::pipeline::job::Source;

/// A hash of a format and of what the fragments of one item have in common.
pub(super) type Key = [u8; 16];

pub(super) fn key_of(format: &dyn ImportFormat, key: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update(format.name());
    hash.update([0]);
    hash.update(key);
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// Where a fragment was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'f> {
    pub(super) source: &'f Arc<Source>,
    pub(super) span: &'f Span,
}
