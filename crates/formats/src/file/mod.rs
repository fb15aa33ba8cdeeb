//! File formats: the rows of a dataset as bytes. One file a format; [`FORMATS`] is the list of them.
//!
//! Rows are gathered by many threads, each a batch ([`Rows`]); some batches are joined to a group, a group is
//! encoded by whichever thread filled it ([`FileFormat::encode`]), and one writer puts the chunks into the file
//! in order ([`FileWriter`]).

mod arrow_rows;
mod cells;
mod format;
mod saved;

use crate::list::formats;

pub(crate) use self::csv::unguard;
pub use arrow_rows::{ARROW_MAGIC, arrow_rows};
pub use format::{Chunk, CsvDialect, FileFormat, FileOptions, FileWriter, ReadSeek, Rows};

formats! {
    /// All file formats.
    FORMATS: FileFormat;
    jsonl::JsonLines,
    csv::Csv,
    parquet::Parquet,
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn FileFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}
