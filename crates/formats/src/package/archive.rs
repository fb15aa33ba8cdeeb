//! A package as one ZIP archive (APPNOTE 6.3.10) whose bytes are known before they are written.
//!
//! The entries are stored as they are, or were packed before, so their lengths and CRCs are known and written before
//! them; nothing has to be corrected afterwards. From the names and lengths alone follows where each byte of the archive comes
//! from ([`Segment`]): its own headers and listing, or a range of an entry. So a server sends any range of an archive that
//! it never wrote to a disk, and a download that broke off goes on where it was. ZIP64 fields are written where a number
//! needs them.

use std::ops::Range;

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, with `/`; at most 65,535 bytes.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its CRC-32.
    pub crc32: u32,
    /// Its length as raw deflate, if the archive holds it packed.
    pub packed_bytes: Option<u64>,
}

impl Entry {
    /// Its bytes in the archive.
    fn held_bytes(&self) -> u64 {
        self.packed_bytes.unwrap_or(self.bytes)
    }
}

/// The archive of some entries, in their order.
pub struct Archive {
    entries: Vec<Placed>,
    /// Where the entries are listed, behind the last.
    directory: Range<u64>,
}

/// A stretch of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes of the archive itself.
    Bytes(Vec<u8>),
    /// Bytes of an entry, packed if the archive holds it so.
    Entry {
        /// Its place among the entries.
        index: usize,
        /// Which of its bytes.
        range: Range<u64>,
    },
}

/// An entry, and where its header begins.
struct Placed {
    entry: Entry,
    start: u64,
}

/// What the archive consists of, in this order.
#[derive(Clone, Copy)]
enum Piece {
    Header(usize),
    Content(usize),
    Listing(usize),
    End,
}

const HEADER: &[u8] = b"PK\x03\x04";
const LISTING: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";

/// What is in a field of 16 or 32 bits whose value is in the wide one.
const WIDE_16: u16 = u16::MAX;
const WIDE_32: u32 = u32::MAX;
/// The extra field of wide values.
const EXTRA_64: u16 = 1;

/// The version of the format that has folders, and the one that has wide fields.
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
const MADE_ON_UNIX: u16 = 3 << 8;
const NAMES_ARE_UTF_8: u16 = 1 << 11;
/// Methods of packing.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 1980-01-01, the first that can be told: the same package has the same bytes whenever it is written.
const DATE: u16 = (1 << 5) | 1;
/// An ordinary file that its owner may write and all may read.
const MODE: u32 = 0o100_644 << 16;

/// Bytes of the parts of fixed length.
const HEADER_BYTES: u64 = 30;
const LISTING_BYTES: u64 = 46;
const END_BYTES: u64 = 22;
const END_64_BYTES: u64 = 56;
const LOCATOR_64_BYTES: u64 = 20;
const EXTRA_HEAD_BYTES: u64 = 4;

impl Archive {
    /// The archive of these entries.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut at = 0;
        let mut placed = Vec::with_capacity(entries.len());
        for entry in entries {
            let one = Placed { entry, start: at };
            at += one.header_bytes() + one.entry.held_bytes();
            placed.push(one);
        }
        let listings: u64 = placed.iter().map(Placed::listing_bytes).sum();
        Self { entries: placed, directory: at..at + listings }
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "even an archive of nothing has an end record")]
    pub fn len(&self) -> u64 {
        self.directory.end + self.end_bytes()
    }

    /// The bytes of a range, cut to the archive's length.
    pub fn segments(&self, range: Range<u64>) -> impl Iterator<Item = Segment> + '_ {
        let count = self.entries.len();
        let pieces = (0..count)
            .flat_map(|index| [Piece::Header(index), Piece::Content(index)])
            .chain((0..count).map(Piece::Listing))
            .chain([Piece::End]);
        let mut next = 0;
        pieces.filter_map(move |piece| {
            let start = next;
            let bytes = self.bytes_of(piece);
            next += bytes;
            let from = range.start.saturating_sub(start);
            let to = range.end.saturating_sub(start).min(bytes);
            (from < to).then(|| self.segment(piece, from..to))
        })
    }

    fn bytes_of(&self, piece: Piece) -> u64 {
        let of = |index: usize, bytes: fn(&Placed) -> u64| self.entries.get(index).map_or(0, bytes);
        match piece {
            Piece::Header(index) => of(index, Placed::header_bytes),
            Piece::Content(index) => of(index, |placed| placed.entry.held_bytes()),
            Piece::Listing(index) => of(index, Placed::listing_bytes),
            Piece::End => self.end_bytes(),
        }
    }

    fn segment(&self, piece: Piece, range: Range<u64>) -> Segment {
        let of = |index: usize, write: fn(&Placed) -> Vec<u8>| {
            self.entries.get(index).map(write).unwrap_or_default()
        };
        let bytes = match piece {
            Piece::Content(index) => return Segment::Entry { index, range },
            Piece::Header(index) => of(index, Placed::header),
            Piece::Listing(index) => of(index, Placed::listing),
            Piece::End => self.end(),
        };
        let end = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        Segment::Bytes(bytes.get(end(range.start)..end(range.end)).unwrap_or_default().to_vec())
    }

    fn end_is_wide(&self) -> bool {
        self.entries.len() >= usize::from(WIDE_16) || self.directory.end >= u64::from(WIDE_32)
    }

    fn end_bytes(&self) -> u64 {
        END_BYTES + if self.end_is_wide() { END_64_BYTES + LOCATOR_64_BYTES } else { 0 }
    }

    /// The record behind the directory, by which readers find it.
    fn end(&self) -> Vec<u8> {
        let mut out = Fields::default();
        let count = self.entries.len() as u64;
        let (start, bytes) = (self.directory.start, self.directory.end - self.directory.start);
        if self.end_is_wide() {
            // Its length is told without the signature and this field.
            out.bytes(END_64).u64(END_64_BYTES - 12);
            out.u16(MADE_ON_UNIX | VERSION_64).u16(VERSION_64);
            // This disk, and that of the directory.
            out.u32(0).u32(0).u64(count).u64(count).u64(bytes).u64(start);
            out.bytes(LOCATOR_64).u32(0).u64(self.directory.end).u32(1);
        }
        let short = u16::try_from(count).unwrap_or(WIDE_16);
        out.bytes(END).u16(0).u16(0).u16(short).u16(short);
        // No comment.
        out.u32(narrow(bytes)).u32(narrow(start)).u16(0);
        out.0
    }
}

impl Placed {
    fn name(&self) -> &[u8] {
        let name = self.entry.name.as_bytes();
        name.get(..usize::from(u16::MAX)).unwrap_or(name)
    }

    fn is_wide(&self) -> bool {
        self.entry.bytes.max(self.entry.held_bytes()) >= u64::from(WIDE_32)
    }

    fn starts_wide(&self) -> bool {
        self.start >= u64::from(WIDE_32)
    }

    fn header_bytes(&self) -> u64 {
        let extra = if self.is_wide() { EXTRA_HEAD_BYTES + 16 } else { 0 };
        HEADER_BYTES + self.name().len() as u64 + extra
    }

    /// Bytes of wide values in the listing.
    fn listing_wide_bytes(&self) -> u16 {
        u16::from(self.is_wide()) * 16 + u16::from(self.starts_wide()) * 8
    }

    fn listing_bytes(&self) -> u64 {
        let extra = match self.listing_wide_bytes() {
            0 => 0,
            wide => EXTRA_HEAD_BYTES + u64::from(wide),
        };
        LISTING_BYTES + self.name().len() as u64 + extra
    }

    /// The version of the format that a reader must know.
    fn version(&self) -> u16 {
        if self.is_wide() || self.starts_wide() { VERSION_64 } else { VERSION }
    }

    /// What headers and listings have in common, up to the length of the name.
    fn common(&self, out: &mut Fields) {
        // Both lengths are in the wide field if one of them must.
        let short = |bytes| if self.is_wide() { WIDE_32 } else { narrow(bytes) };
        let method = if self.entry.packed_bytes.is_some() { DEFLATED } else { STORED };
        // Midnight.
        out.u16(self.version()).u16(NAMES_ARE_UTF_8).u16(method).u16(0).u16(DATE);
        out.u32(self.entry.crc32);
        out.u32(short(self.entry.held_bytes())).u32(short(self.entry.bytes));
        out.u16(u16::try_from(self.name().len()).unwrap_or(u16::MAX));
    }

    /// What comes before the content.
    fn header(&self) -> Vec<u8> {
        let mut out = Fields::default();
        out.bytes(HEADER);
        self.common(&mut out);
        if self.is_wide() {
            out.u16(20).bytes(self.name()).u16(EXTRA_64).u16(16);
            out.u64(self.entry.bytes).u64(self.entry.held_bytes());
        } else {
            out.u16(0).bytes(self.name());
        }
        out.0
    }

    /// What is in the directory.
    fn listing(&self) -> Vec<u8> {
        let mut out = Fields::default();
        out.bytes(LISTING).u16(MADE_ON_UNIX | self.version());
        self.common(&mut out);
        let wide = self.listing_wide_bytes();
        // No comment, the first disk, nothing said of its content.
        out.u16(if wide > 0 { wide + 4 } else { 0 }).u16(0).u16(0).u16(0);
        out.u32(MODE).u32(narrow(self.start)).bytes(self.name());
        if wide > 0 {
            out.u16(EXTRA_64).u16(wide);
        }
        if self.is_wide() {
            out.u64(self.entry.bytes).u64(self.entry.held_bytes());
        }
        if self.starts_wide() {
            out.u64(self.start);
        }
        out.0
    }
}

/// A value in 32 bits, or the mark that it is in the wide field.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(WIDE_32)
}

/// Numbers as ZIP writes them, the low byte first.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read, Seek, SeekFrom};

    use super::*;

    /// An archive that is read without being anywhere: what is not in `contents` is zeros.
    struct Unwritten<'a> {
        archive: &'a Archive,
        contents: &'a [&'a [u8]],
        at: u64,
    }

    impl Read for Unwritten<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let mut filled = 0;
            for segment in self.archive.segments(self.at..self.at + into.len() as u64) {
                let bytes = match segment {
                    Segment::Bytes(bytes) => bytes,
                    Segment::Entry { index, range } => match self.contents.get(index) {
                        Some(content) => content[range.start as usize..range.end as usize].to_vec(),
                        None => vec![0; (range.end - range.start) as usize],
                    },
                };
                into[filled..filled + bytes.len()].copy_from_slice(&bytes);
                filled += bytes.len();
            }
            self.at += filled as u64;
            Ok(filled)
        }
    }

    impl Seek for Unwritten<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.at = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(step) => self.archive.len().checked_add_signed(step).unwrap(),
                SeekFrom::Current(step) => self.at.checked_add_signed(step).unwrap(),
            };
            Ok(self.at)
        }
    }

    fn entry(name: &str, content: &[u8]) -> Entry {
        Entry {
            name: name.into(),
            bytes: content.len() as u64,
            crc32: crc32fast::hash(content),
            packed_bytes: None,
        }
    }

    fn whole(archive: &Archive, contents: &[&[u8]], range: Range<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for segment in archive.segments(range) {
            match segment {
                Segment::Bytes(own) => bytes.extend(own),
                Segment::Entry { index, range } => bytes
                    .extend_from_slice(&contents[index][range.start as usize..range.end as usize]),
            }
        }
        bytes
    }

    const CONTENTS: &[&[u8]] = &[b"question,answer\n", b"", b"{}\n"];

    fn small() -> Archive {
        let names = ["数据/数据-00000-of-00001.csv", "empty", "manifest.json"];
        Archive::new(
            names.iter().zip(CONTENTS).map(|(name, content)| entry(name, content)).collect(),
        )
    }

    #[test]
    fn readers_find_every_entry_as_it_was() {
        let archive = small();
        let bytes = whole(&archive, CONTENTS, 0..archive.len());
        assert_eq!(bytes.len() as u64, archive.len());
        let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(zip.len(), 3);
        for (index, content) in CONTENTS.iter().enumerate() {
            let mut read = Vec::new();
            let mut file = zip.by_index(index).unwrap();
            assert_eq!(file.unix_mode(), Some(0o100_644));
            assert_eq!(file.compression(), zip::CompressionMethod::Stored);
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, *content);
        }
        assert!(zip.by_name("数据/数据-00000-of-00001.csv").is_ok());
        // Readers of streams know the entries by their headers alone.
        let mut stream = &bytes[..];
        for content in CONTENTS {
            let mut read = Vec::new();
            let mut file = zip::read::read_zipfile_from_stream(&mut stream).unwrap().unwrap();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, *content);
        }
        assert!(zip::read::read_zipfile_from_stream(&mut stream).unwrap().is_none());
    }

    #[test]
    fn readers_unpack_entries_that_are_held_packed() {
        let content = b"question and answer, ".repeat(50);
        let mut packed = Vec::new();
        flate2::read::DeflateEncoder::new(&content[..], flate2::Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        let packed_bytes = Some(packed.len() as u64);
        let entries =
            vec![Entry { packed_bytes, ..entry("a.jsonl", &content) }, entry("b", b"as it is")];
        let archive = Archive::new(entries);
        let contents: &[&[u8]] = &[&packed, b"as it is"];
        let bytes = whole(&archive, contents, 0..archive.len());
        assert_eq!(bytes.len() as u64, archive.len());
        let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        for (name, content) in [("a.jsonl", &content[..]), ("b", b"as it is")] {
            let mut read = Vec::new();
            zip.by_name(name).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
        let middle = whole(&archive, contents, 40..60);
        assert_eq!(middle, bytes[40..60]);
    }

    #[test]
    fn any_range_is_what_stands_there_in_the_whole() {
        let archive = small();
        let bytes = whole(&archive, CONTENTS, 0..archive.len());
        for start in 0..bytes.len() {
            for end in start..=bytes.len() {
                let range = start as u64..end as u64;
                assert_eq!(whole(&archive, CONTENTS, range), bytes[start..end], "{start}..{end}");
            }
        }
        assert!(whole(&archive, CONTENTS, archive.len()..u64::MAX).is_empty());
        assert_eq!(whole(&archive, CONTENTS, 5..u64::MAX), bytes[5..]);
    }

    #[test]
    fn an_archive_of_nothing_is_one() {
        let archive = Archive::new(Vec::new());
        let bytes = whole(&archive, &[], 0..archive.len());
        assert_eq!(bytes.len(), 22);
        assert!(zip::ZipArchive::new(Cursor::new(bytes)).unwrap().is_empty());
    }

    #[test]
    fn entries_past_four_gigabytes_are_found() {
        let giant =
            |name: &str, bytes| Entry { name: name.into(), bytes, crc32: 7, packed_bytes: None };
        let limit = u64::from(u32::MAX);
        for sizes in [
            [limit - 1, 1, 1],
            [limit, 2, 3],
            [limit + 1, limit - 1, 5 << 40],
            [limit - 100, 3, 4],
            [limit - 31, 0, 0],
            [limit - 32, 0, 0],
        ] {
            let entries = ["a", "b", "c"].iter().zip(sizes).map(|(name, size)| giant(name, size));
            let archive = Archive::new(entries.collect());
            let unwritten = Unwritten { archive: &archive, contents: &[], at: 0 };
            let mut zip = zip::ZipArchive::new(unwritten).unwrap();
            let mut next = 0;
            for (index, size) in sizes.into_iter().enumerate() {
                let file = zip.by_index_raw(index).unwrap();
                assert_eq!(file.size(), size, "{sizes:?}");
                assert_eq!(file.compressed_size(), size, "{sizes:?}");
                assert_eq!(file.header_start(), next, "{sizes:?}");
                let header = 31 + if size >= limit { 20 } else { 0 };
                assert_eq!(file.data_start(), Some(next + header), "{sizes:?}");
                next += header + size;
            }
        }
    }

    #[test]
    fn more_entries_than_sixteen_bits_count_are_found() {
        for count in [65_534, 65_535, 65_536, 70_000] {
            let entries = (0..count).map(|number| entry(&number.to_string(), b""));
            let archive = Archive::new(entries.collect());
            let bytes = whole(&archive, &vec![&b""[..]; count], 0..archive.len());
            let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
            assert_eq!(zip.len(), count);
            assert!(zip.by_name(&(count - 1).to_string()).is_ok());
        }
    }
}
