//! File formats: the rows of a dataset as bytes. One file a format; [`FORMATS`] is the list of them.
//!
//! Rows are gathered by many threads, each a batch ([`Rows`]); some batches are joined to a group, a group is
//! encoded by whichever thread filled it ([`FileFormat::encode`]), and one writer puts the chunks into the file
//! in order ([`FileWriter`]).

mod arrow_rows;
mod cells;
mod csv;
mod format;
mod jsonl;
mod parquet;
mod saved;

pub use arrow_rows::{ARROW_MAGIC, arrow_rows};
pub(crate) use csv::unguard;
pub use format::{Chunk, CsvDialect, FileFormat, FileOptions, FileWriter, ReadSeek, Rows};

/// All file formats.
pub static FORMATS: &[&dyn FileFormat] = &[&jsonl::JsonLines, &csv::Csv, &parquet::Parquet];

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn FileFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}
