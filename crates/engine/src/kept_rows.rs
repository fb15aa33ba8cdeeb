//! Sorted rows that are kept beside the parts of a dataset, so that every worker follows the same decisions.

use std::io::{self, BufReader};

use crate::error::Error;
use crate::sorter::{Sorted, read_row};
use crate::storage::{HashingFile, Storage, write_text};

/// Ending of the marker file that is written once all rows are.
const WHOLE: &str = ".whole";

/// Rows that are read one by one.
pub type Rows = Box<dyn Iterator<Item = io::Result<Box<[u8]>>> + Send>;

/// Keeps rows under a name, for [`kept_rows`]. `failed` makes the error if the rows cannot be read.
pub fn keep_rows(
    rows: Sorted,
    name: &str,
    storage: &dyn Storage,
    failed: fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut file = HashingFile::create(storage, name.into())?;
    for row in rows {
        file.append_row(&row.map_err(failed)?)?;
    }
    let file = file.finish(String::new(), None)?;
    write_text(storage, &format!("{name}{WHOLE}"), &file.sha256).map(|_| ())
}

/// The rows that were kept under a name, if all of them are there.
pub fn kept_rows(name: &str, storage: &dyn Storage) -> Option<Rows> {
    storage.open(&format!("{name}{WHOLE}")).ok()?;
    let mut input = BufReader::new(storage.open(name).ok()?);
    Some(Box::new(std::iter::from_fn(move || read_row(&mut input).transpose())))
}
