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

/// What was decided on items, read in the order of the items: each row begins with the position of its item.
pub struct Decided<T> {
    rows: Rows,
    read: fn(&[u8]) -> Option<T>,
    next: Option<(u64, T)>,
}

impl<T> Decided<T> {
    /// The decisions in these rows. `read` reads what follows the position; a row that it cannot read ends them.
    pub fn of(
        rows: impl Iterator<Item = io::Result<Box<[u8]>>> + Send + 'static,
        read: fn(&[u8]) -> Option<T>,
    ) -> io::Result<Self> {
        let mut decided = Self { rows: Box::new(rows), read, next: None };
        decided.advance()?;
        Ok(decided)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next = self.rows.next().transpose()?.and_then(|row| {
            let (order, rest) = row.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*order), (self.read)(rest)?))
        });
        Ok(())
    }

    /// The next decision, whatever item it is on.
    pub fn take(&mut self) -> io::Result<Option<T>> {
        let Some((_, decided)) = self.next.take() else { return Ok(None) };
        self.advance()?;
        Ok(Some(decided))
    }

    /// The decision on an item. Items are asked for in their order.
    pub fn on(&mut self, order: u64) -> io::Result<Option<T>> {
        while self.next.as_ref().is_some_and(|(at, _)| *at < order) {
            self.advance()?;
        }
        match &self.next {
            Some((at, _)) if *at == order => self.take(),
            _ => Ok(None),
        }
    }
}
