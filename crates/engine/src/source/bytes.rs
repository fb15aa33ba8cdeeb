//! Bytes as they come: what packs them, how much they may unpack to, and their encoding.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retort_formats::file::ARROW_MAGIC;
use retort_formats::import::{Refusal, otlp_protobuf};
use retort_model::bounds::{ARCHIVE_FREE_BYTES, ARCHIVE_RATIO};
use zip::result::ZipError;

/// How much one file may unpack to, with all that is packed inside it.
pub(super) struct Budget {
    /// Bytes of the file that were read so far.
    packed: AtomicU64,
    unpacked: AtomicU64,
    /// What it may unpack to, whatever its size.
    most: Option<u64>,
}

impl Budget {
    pub(super) fn new(most: Option<u64>) -> Self {
        Self { packed: AtomicU64::new(0), unpacked: AtomicU64::new(0), most }
    }

    /// Counts the whole file as read, where it is read from any place.
    pub(super) fn read_whole(&self, bytes: u64) {
        self.packed.store(bytes, Ordering::Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let unpacked = self.unpacked.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        let why = match self.most {
            Some(most) if unpacked > most => {
                format!("it unpacks to more than {} MiB; import the file instead", most >> 20)
            }
            _ if unpacked > ARCHIVE_FREE_BYTES.max(packed.saturating_mul(ARCHIVE_RATIO)) => {
                format!(
                    "it unpacks to more than {ARCHIVE_RATIO} times its size, which histories do not do"
                )
            }
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
    }
}

/// Counts what is read from the disk, for progress and for the bound on unpacking.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) all: Arc<AtomicU64>,
    /// None where the whole file counts from the start.
    pub(super) budget: Option<Arc<Budget>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.all.fetch_add(length as u64, Ordering::Relaxed);
        if let Some(budget) = &self.budget {
            budget.packed.fetch_add(length as u64, Ordering::Relaxed);
        }
        Ok(length)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Ends a stream that unpacks to more than an honest one does.
pub(super) struct Bounded<R> {
    pub(super) inner: R,
    pub(super) budget: Arc<Budget>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into).map_err(damaged)?;
        self.budget.spend(length)?;
        Ok(length)
    }
}

/// What a decompressor says, some of which name no kind: the bytes are damaged.
pub(super) fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
        _ => error,
    }
}

/// What kind of fault a failure to read is.
pub fn refusal_of(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            Refusal::Damaged
        }
        io::ErrorKind::Unsupported => Refusal::Unsupported,
        io::ErrorKind::FileTooLarge => Refusal::TooLarge,
        _ => Refusal::Unreadable,
    }
}

pub(super) fn unsupported(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why.into())
}

/// What is wrong with a ZIP archive.
pub(super) fn of_zip(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => damaged(error),
        ZipError::UnsupportedArchive(why) => unsupported(format!("{why} is not supported")),
        ZipError::InvalidPassword => unsupported("it is encrypted"),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON, or another text.
    Text,
    Utf16 {
        big_endian: bool,
    },
    Packed(Packing),
    Zip,
    Tar,
    Parquet,
    Arrow,
    Sqlite,
    /// Requests of OpenTelemetry's protocol in protobuf.
    OtlpProtobuf,
    /// Something that no reader takes, and what it is.
    Foreign(&'static str),
}

/// What packs a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    /// The predecessor of the xz format, without a magic number.
    Lzma,
}

/// Bytes that tell what a file is: the first header of a tar archive.
pub(super) const START_BYTES: usize = 512;

/// How a database of SQLite begins.
pub(super) const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether bytes may unpack to many more.
pub fn is_packed(start: &[u8]) -> bool {
    matches!(kind_of(start), Kind::Packed(_) | Kind::Zip | Kind::Parquet)
}

pub(super) fn kind_of(start: &[u8]) -> Kind {
    match start {
        [0x1f, 0x8b, ..] => Kind::Packed(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Kind::Packed(Packing::Zstd)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => {
            Kind::Packed(Packing::Bzip2)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Packed(Packing::Xz),
        _ if is_lzma(start) => Kind::Packed(Packing::Lzma),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
        [b'P', b'A', b'R', b'1', ..] => Kind::Parquet,
        [b'P', b'A', b'R', b'E', ..] => Kind::Foreign("an encrypted Parquet file"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Kind::Foreign("a 7z archive"),
        [b'R', b'a', b'r', b'!', ..] => Kind::Foreign("a RAR archive"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Kind::Foreign("an LZ4 stream"),
        [0xff, 6, 0, 0, b's', b'N', b'a', b'P', ..] => Kind::Foreign("a Snappy stream"),
        [0x1f, 0x9d, ..] => Kind::Foreign("a stream of `compress`"),
        [b'O', b'b', b'j', 1, ..] => Kind::Foreign("an Avro file"),
        [0xff, 0xff, 0xff, 0xff, ..] => Kind::Arrow,
        _ if start.starts_with(ARROW_MAGIC) => Kind::Arrow,
        [b'O', b'R', b'C', ..] => Kind::Foreign("an ORC file"),
        _ if start.starts_with(SQLITE_MAGIC) => Kind::Sqlite,
        [b'%', b'P', b'D', b'F', ..] => Kind::Foreign("a PDF file"),
        [0x89, b'H', b'D', b'F', ..] => Kind::Foreign("an HDF5 file"),
        _ if otlp_protobuf::begins(start) => Kind::OtlpProtobuf,
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Kind::Foreign("text in UTF-32"),
        [0xff, 0xfe, ..] | [b'{' | b'[' | b'"' | b'\n' | b'\r' | b' ', 0, 1..=255, 0, ..] => {
            Kind::Utf16 { big_endian: false }
        }
        [0xfe, 0xff, ..] | [0, b'{' | b'[' | b'"' | b'\n' | b'\r' | b' ', 0, 1..=255, ..] => {
            Kind::Utf16 { big_endian: true }
        }
        _ if is_tar(start) => Kind::Tar,
        _ => Kind::Text,
    }
}

/// Whether this is an LZMA header with the usual properties: the size of the dictionary is a power of two, and the length
/// is unknown or below 2^48. In a text, these bytes are a larger number.
fn is_lzma(start: &[u8]) -> bool {
    let Some((&[0x5d, a, b, c, d], rest)) = start.split_first_chunk() else { return false };
    let Some(length) = rest.first_chunk() else { return false };
    let length = u64::from_le_bytes(*length);
    u32::from_le_bytes([a, b, c, d]).is_power_of_two() && (length == u64::MAX || length < 1 << 48)
}

/// What text is that somebody has in place of the file that they meant.
pub(super) fn mistaken_text(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start();
    let begins =
        |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins(b"version https://git-lfs.github.com/spec/") {
        return Some("a Git LFS pointer (`git lfs pull` gets the file)");
    }
    (begins(b"<!doctype html") || begins(b"<html")).then_some("an HTML page")
}

/// Whether the header's checksum is right, as there are archives without a mark.
fn is_tar(start: &[u8]) -> bool {
    let Some(header) = start.get(..START_BYTES) else { return false };
    let field = header.get(148..156).unwrap_or_default();
    let digits: String = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    let Ok(sum) = u64::from_str_radix(&digits, 8) else { return false };
    let outside = header.iter().enumerate().filter(|(at, _)| !(148..156).contains(at));
    sum == outside.map(|(_, byte)| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ')
}

/// The stream without what packs it.
pub(super) fn unpacked<'r>(
    packing: Packing,
    start: &[u8],
    input: impl Read + 'r,
    max_window: u64,
) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match packing {
        Packing::Gzip => Box::new(Gzip::new(BufReader::with_capacity(1 << 17, input))),
        Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(input)),
        Packing::Xz => {
            let input = BufReader::with_capacity(1 << 17, input);
            let inner = lzma_rust2::XzReader::new_mem_limit(input, true, lzma_kib(max_window));
            Box::new(Dictionary { inner, max_window })
        }
        Packing::Lzma => {
            let input = BufReader::with_capacity(1 << 17, input);
            let inner = lzma_rust2::LzmaReader::new_mem_limit(input, lzma_kib(max_window), None);
            let inner = inner.map_err(|error| too_wide(error, max_window))?;
            Box::new(Dictionary { inner, max_window })
        }
        Packing::Zstd => {
            let window = window_of(start).unwrap_or_default();
            if window > max_window {
                return Err(unsupported(format!(
                    "its Zstandard window takes {} MiB, more than the {} MiB that are allowed; allow it with \
                     `--max-window {}`, or compress it again with `zstd --long=27`",
                    window >> 20,
                    max_window >> 20,
                    window.div_ceil(1_000_000)
                )));
            }
            let mut decoder = zstd::stream::read::Decoder::new(input)?;
            decoder
                .window_log_max(max_window.max(window).next_power_of_two().ilog2().clamp(10, 31))?;
            Box::new(decoder)
        }
    })
}

/// Memory for a dictionary of this size, and for the rest of the LZMA decoder.
fn lzma_kib(window: u64) -> u32 {
    u32::try_from((window >> 10) + 1024).unwrap_or(u32::MAX)
}

/// Explains the error of an LZMA decoder if the dictionary is larger than allowed.
fn too_wide(error: io::Error, max_window: u64) -> io::Error {
    if error.kind() != io::ErrorKind::OutOfMemory {
        return error;
    }
    unsupported(format!(
        "its LZMA dictionary takes more than the {} MiB that are allowed; allow more with `--max-window`, or compress it \
         again with `xz -9`",
        max_window >> 20
    ))
}

/// An LZMA stream.
struct Dictionary<R> {
    inner: R,
    max_window: u64,
}

impl<R: Read> Read for Dictionary<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read(into).map_err(|error| too_wide(error, self.max_window))
    }
}

/// The window of a Zstandard frame, in bytes (RFC 8878, 3.1.1.1.2); none where the frame says its size instead.
fn window_of(start: &[u8]) -> Option<u64> {
    let (flags, descriptor) = (start.get(4)?, start.get(5)?);
    if start.first()? != &0x28 || flags & 0x20 != 0 {
        return None;
    }
    let base = 1_u64 << (10 + (descriptor >> 3));
    Some(base + base / 8 * u64::from(descriptor & 7))
}

/// Members of gzip one behind another, and zeros behind the last, as tapes and blocks of disks leave them.
struct Gzip<R> {
    member: Option<flate2::bufread::GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    fn new(input: R) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(input)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let length = member.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            let Some(member) = self.member.take() else { return Ok(0) };
            let mut input = member.into_inner();
            let next = loop {
                let bytes = input.fill_buf()?;
                match bytes.iter().position(|byte| *byte != 0) {
                    Some(at) => {
                        let next = bytes.get(at).copied();
                        input.consume(at);
                        break next;
                    }
                    None if bytes.is_empty() => break None,
                    None => {
                        let length = bytes.len();
                        input.consume(length);
                    }
                }
            };
            match next {
                None => return Ok(0),
                Some(0x1f) => self.member = Some(flate2::bufread::GzDecoder::new(input)),
                Some(_) => {
                    let why = "there are bytes after its last gzip member";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
    }
}

/// Text in UTF-16 as UTF-8; what is no character becomes U+FFFD.
pub(super) struct Utf16<R> {
    inner: R,
    big_endian: bool,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    ended: bool,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, big_endian: bool) -> Self {
        let (raw, text) = Default::default();
        Self { inner, big_endian, raw, text, at: 0, high: None, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let kept = self.raw.len();
        self.raw.resize(1 << 16, 0);
        let length = loop {
            match self.inner.read(self.raw.get_mut(kept..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.ended = length == 0;
        self.raw.truncate(kept + length);
        self.text.clear();
        self.at = 0;
        let units = self.raw.chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        });
        let mut units: Vec<u16> = self.high.take().into_iter().chain(units).collect();
        let odd = self.raw.len() % 2;
        let rest = self.raw.len() - odd;
        if !self.ended
            && let Some(last @ 0xd800..0xdc00) = units.last().copied()
        {
            units.pop();
            self.high = Some(last);
        }
        let mut character = [0; 4];
        for decoded in char::decode_utf16(units) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(decoded.encode_utf8(&mut character).as_bytes());
        }
        self.raw.drain(..rest);
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.text.len() && !self.ended {
            self.fill()?;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.at += length;
        Ok(length)
    }
}

/// Lines that are made as they are read.
pub(super) struct Lines<'r, T = String> {
    pub(super) rows: Box<dyn Iterator<Item = io::Result<T>> + 'r>,
    pub(super) line: io::Cursor<Vec<u8>>,
}

impl<T: Into<Vec<u8>>> Read for Lines<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.line.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            let Some(row) = self.rows.next() else { return Ok(0) };
            let mut row: Vec<u8> = row?.into();
            row.push(b'\n');
            self.line = io::Cursor::new(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use retort_testing::Dribble;

    use super::*;

    #[test]
    fn utf_16_becomes_utf_8_however_the_bytes_come() {
        let text = "{\"a\": \"é 💡 旅\"}\n";
        for big_endian in [false, true] {
            let bytes: Vec<u8> = text
                .encode_utf16()
                .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect();
            assert_eq!(kind_of(&bytes), Kind::Utf16 { big_endian });
            for step in [1, 2, 3, 7, 100] {
                let mut out = String::new();
                Utf16::new(Dribble(&bytes, step), big_endian).read_to_string(&mut out).unwrap();
                assert_eq!(out, text, "{step} bytes at a time");
            }
        }
    }

    #[test]
    fn packed_is_whatever_is_unpacked_to_be_read() {
        let packed =
            [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"BZh91AY&SY", b"\xfd7zXZ\0", b"PK\x03\x04"];
        assert!(packed.into_iter().chain([&b"PAR1"[..]]).all(is_packed));
        assert!(![&b"{}"[..], b"", b"\xff\xfe{\0", b"%PDF"].into_iter().any(is_packed));
    }

    #[test]
    fn what_a_file_is_shows_in_its_first_bytes() {
        for (start, kind) in [
            (&b"{\"a\":1}"[..], Kind::Text),
            (b"", Kind::Text),
            (b"{\n \"a\"", Kind::Text),
            (b"\xef\xbb\xbf{", Kind::Text),
            (b"\xff\xfe{\0", Kind::Utf16 { big_endian: false }),
            (b"7z\xbc\xaf\x27\x1c", Kind::Foreign("a 7z archive")),
            (b"BZh9 is how the text begins", Kind::Text),
        ] {
            assert_eq!(kind_of(start), kind, "{start:?}");
        }
    }

    #[test]
    fn a_frame_of_zstandard_says_how_wide_its_window_is() {
        assert_eq!(window_of(&[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3]), Some(1 << 31));
        assert_eq!(
            window_of(&[0x28, 0xb5, 0x2f, 0xfd, 0, (17 << 3) | 1]),
            Some((1 << 27) + (1 << 24))
        );
        assert_eq!(window_of(&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xff]), None);
        assert_eq!(window_of(b"(\xb5"), None);
    }
}
