//! What all parts of the Parquet writer share: its sizes, and its errors.

use std::io;

/// The level that other writers take by default.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// Bytes of a page before compression. Page and tables of the compressor then fit the second cache: with larger pages
/// a conversion takes more CPU seconds, with smaller ones the file grows.
pub(super) const PAGE_BYTES: usize = 256 << 10;

pub(super) fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}
