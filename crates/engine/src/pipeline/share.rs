//! The share of the inputs that one part of an export reads.
//!
//! The bytes of the files on disk, one file behind the other, are cut into as many ranges of one size as there are
//! parts. A batch belongs to the part in whose range it begins; in a packed file, whose bytes unpacked are more, what
//! is behind the end of the file counts as its last byte. So each batch belongs to one part, the parts are in the
//! order of the input, and a part opens no file that lies outside its range.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use retort_model::bounds::PARTS;
use serde::{Deserialize, Serialize};

/// One of the parts of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartNumber {
    /// From 1.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

impl FromStr for PartNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        numbers
            .and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)))
            .filter(|&(number, count)| (1..=count).contains(&number) && count <= PARTS)
            .map(|(number, count)| Self { number, count })
            .ok_or_else(|| {
                format!("`{text}` is not a part; write `2/7` for the second of seven parts, with at most {PARTS} parts")
            })
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// To which part something belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Earlier,
    Own,
    Later,
}

/// What one part reads, and where the reading stands.
#[derive(Debug)]
pub(super) struct Share {
    range: Range<u64>,
    /// The range of the file that is read.
    file: Range<u64>,
    /// Bytes of its streams before the one that is read.
    before: u64,
    /// Whether something of the share was met.
    begun: bool,
    /// What of it was read.
    extent: Extent,
}

/// How much a part read, by which the next one is known to follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Items of the first stream that belong to earlier parts, if its beginning does.
    pub continues: Option<u64>,
    /// Items that were cut out of the streams.
    pub items: u64,
    /// Items of the last stream, from its beginning.
    pub last_items: u64,
}

impl Share {
    /// Everything.
    pub(super) fn whole() -> Self {
        Self::of(0..u64::MAX)
    }

    /// The share of a part in inputs of so many bytes.
    pub(super) fn of_part(part: PartNumber, bytes: u64) -> Self {
        let end_of = |parts: u32| {
            let end = u128::from(bytes) * u128::from(parts) / u128::from(part.count);
            u64::try_from(end).unwrap_or(u64::MAX)
        };
        // What is behind the last byte, such as an empty file, belongs to the last part.
        let end = if part.number == part.count { u64::MAX } else { end_of(part.number) };
        Self::of(end_of(part.number - 1)..end)
    }

    fn of(range: Range<u64>) -> Self {
        Self { range, file: 0..0, before: 0, begun: false, extent: Extent::default() }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.range == (0..u64::MAX)
    }

    /// Steps to the next file, of so many bytes: whose is all of it that is not [`Whose::Own`].
    pub(super) fn next_file(&mut self, bytes: u64) -> Whose {
        self.file = self.file.end..self.file.end + bytes;
        self.before = 0;
        match self.whose(u64::MAX) {
            Whose::Earlier => Whose::Earlier,
            _ if self.whose(0) == Whose::Later => Whose::Later,
            _ => Whose::Own,
        }
    }

    /// Whose is what begins at this byte of the stream that is read.
    pub(super) fn whose(&self, byte: u64) -> Whose {
        let last = self.file.end.saturating_sub(1).max(self.file.start);
        let at = self.file.start.saturating_add(self.before).saturating_add(byte).min(last);
        match () {
            () if at < self.range.start => Whose::Earlier,
            () if at < self.range.end => Whose::Own,
            () => Whose::Later,
        }
    }

    /// Notes that so many items of the share are met, behind others of their stream, of which `skipped` belong to
    /// earlier parts, if any does.
    pub(super) fn meet(&mut self, items: usize, before: u64, skipped: Option<u64>) {
        if !self.begun {
            self.begun = true;
            self.extent.continues = skipped;
        }
        self.extent.items += items as u64;
        self.extent.last_items = before + items as u64;
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Ends a stream of so many bytes.
    pub(super) fn end_stream(&mut self, bytes: u64) {
        self.before = self.before.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_number_and_a_count() {
        assert_eq!("2/7".parse(), Ok(PartNumber { number: 2, count: 7 }));
        assert_eq!(PartNumber { number: 2, count: 7 }.to_string(), "2/7");
        for text in ["", "2", "0/7", "8/7", "a/b", "-1/7", "1/0", "1/4294967295", "2/7/9"] {
            assert!(text.parse::<PartNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_byte_belongs_to_one_part_and_the_parts_are_in_order() {
        let files = [0, 3, 100, 0, 1, 57, 0];
        let bytes = files.iter().sum();
        for count in [1, 2, 7, 64, 1000] {
            let parts = (1..=count).map(|number| PartNumber { number, count });
            let mut shares: Vec<Share> = parts.map(|part| Share::of_part(part, bytes)).collect();
            let mut last = 0;
            for file in files {
                let whose: Vec<Whose> =
                    shares.iter_mut().map(|share| share.next_file(file)).collect();
                // Packed, the file holds three times as many bytes.
                for byte in 0..=3 * file {
                    let owners: Vec<usize> = (0..shares.len())
                        .filter(|&part| shares[part].whose(byte) == Whose::Own)
                        .collect();
                    let [owner] = owners[..] else { panic!("{owners:?} own byte {byte}") };
                    assert_eq!(whose[owner], Whose::Own);
                    assert!(owner >= last);
                    last = owner;
                }
            }
        }
    }
}
