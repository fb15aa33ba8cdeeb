//! Sorts more than memory holds: byte strings, in sorted runs on disk that are merged as they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use retort_model::bounds::{SORTED_IN_MEMORY_BYTES, SORTED_RUNS};

/// What one row takes in memory besides its bytes.
const ROW_BYTES: usize = 32;

/// Gathers rows to be sorted.
pub struct Sorter {
    rows: Vec<Box<[u8]>>,
    bytes: usize,
    most_bytes: usize,
    runs: Vec<File>,
}

/// The rows of a [`Sorter`], in order.
pub struct Sorted {
    /// Those in memory, the last first.
    rows: Vec<Box<[u8]>>,
    runs: Vec<BufReader<File>>,
    /// The next row of each run.
    heads: BinaryHeap<Reverse<(Box<[u8]>, usize)>>,
}

impl Sorter {
    pub fn new() -> Self {
        Self::with_most(SORTED_IN_MEMORY_BYTES)
    }

    fn with_most(most_bytes: usize) -> Self {
        Self { rows: Vec::new(), bytes: 0, most_bytes, runs: Vec::new() }
    }

    pub fn push(&mut self, row: &[u8]) -> io::Result<()> {
        self.bytes += row.len() + ROW_BYTES;
        self.rows.push(row.into());
        if self.bytes >= self.most_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.bytes = 0;
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable();
        let run = written(rows.into_iter().map(Ok))?;
        self.runs.push(run);
        if self.runs.len() >= SORTED_RUNS {
            let merged = Sorted::of(Vec::new(), std::mem::take(&mut self.runs))?;
            self.runs.push(written(merged)?);
        }
        Ok(())
    }

    pub fn sorted(self) -> io::Result<Sorted> {
        let Self { mut rows, runs, .. } = self;
        rows.sort_unstable_by(|one, other| other.cmp(one));
        Sorted::of(rows, runs)
    }
}

/// Bytes for which there is room before they are read.
const ROW_BYTES_EXPECTED: usize = 1 << 20;

/// Writes a row behind its length.
pub fn write_row(row: &[u8], out: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(row.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(row)
}

/// Appends the row that `write` appends, as [`write_row`] does.
pub fn write_row_of(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; size_of::<u32>()]);
    let row = out.len();
    write(out);
    let length = u32::try_from(out.len() - row).map_err(io::Error::other)?;
    if let Some(place) = out.get_mut(start..row) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// Reads the next row that [`write_row`] wrote; none at the end.
pub fn read_row(input: &mut impl Read) -> io::Result<Option<Box<[u8]>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_le_bytes(length) as usize;
    // What is no row may tell any length.
    let mut row = Vec::with_capacity(length.min(ROW_BYTES_EXPECTED));
    input.take(length as u64).read_to_end(&mut row)?;
    match row.len() == length {
        true => Ok(Some(row.into())),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A file of rows.
fn written(rows: impl Iterator<Item = io::Result<Box<[u8]>>>) -> io::Result<File> {
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for row in rows {
        write_row(&row?, &mut file)?;
    }
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

impl Sorted {
    fn of(rows: Vec<Box<[u8]>>, runs: Vec<File>) -> io::Result<Self> {
        let runs = runs.into_iter().map(BufReader::new).collect();
        let mut sorted = Self { rows, runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    /// Takes the next row of a run into view.
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let Some(file) = self.runs.get_mut(run) else { return Ok(()) };
        self.heads.extend(read_row(file)?.map(|row| Reverse((row, run))));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Box<[u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        let here = self.rows.last();
        let is_here = match (here, self.heads.peek()) {
            (None, None) => return None,
            (Some(here), Some(Reverse((head, _)))) => here <= head,
            (here, _) => here.is_some(),
        };
        if is_here {
            return self.rows.pop().map(Ok);
        }
        let Reverse((row, run)) = self.heads.pop()?;
        Some(self.advance(run).map(|()| row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_from_memory_and_from_disk() {
        for most in [1, 100, 1000, 1 << 20] {
            let mut sorter = Sorter::with_most(most);
            let mut rows: Vec<Vec<u8>> = Vec::new();
            for n in 0..500_u32 {
                let row = n.wrapping_mul(2_654_435_761).to_be_bytes();
                let row = row[..(n as usize % 5)].to_vec();
                sorter.push(&row).unwrap();
                rows.push(row);
            }
            rows.sort();
            assert!(sorter.runs.len() <= SORTED_RUNS);
            let sorted: Vec<Vec<u8>> =
                sorter.sorted().unwrap().map(|row| row.unwrap().to_vec()).collect();
            assert_eq!(sorted, rows, "{most}");
        }
    }
}
