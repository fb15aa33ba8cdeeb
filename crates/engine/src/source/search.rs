//! Whether texts are left in files: in their raw bytes, in what they pack, and in single Zstandard frames among other
//! bytes, as databases keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use memchr::memmem;
use retort_formats::file::ReadSeek;
use retort_model::bounds::ARCHIVE_DEPTH;

use super::bytes::{Bounded, Budget, Kind, START_BYTES, Utf16, damaged, kind_of, of_zip, unpacked};
use super::open::{parquet_rows, to_temporary_file};
use crate::sought::SoughtTexts;

/// Bytes that are searched at once.
const WINDOW_BYTES: usize = 4 << 20;

/// Bytes of a window that are searched again with the next: the longest pattern, and most frames, are shorter.
const OVERLAP_BYTES: usize = 1 << 20;

/// Places that are named; where there are more, that is said.
const PLACES: usize = 1_000;

/// The largest window that a Zstandard stream may ask for.
const ZSTD_WINDOW: u64 = 1 << 31;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// [`ZSTD_MAGIC`] as dumps of PostgreSQL write it.
const ZSTD_MAGIC_IN_HEX: &[u8] = b"28b52ffd";

/// A text that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundText {
    /// The line of the text among those that were looked for.
    pub line: usize,
    /// Whether all of it was found there.
    pub is_whole: bool,
    /// Where, without the text.
    pub place: String,
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read, packed and unpacked.
    pub bytes: u64,
    /// What was found.
    pub found: Vec<FoundText>,
    /// Whether there was more than is listed.
    pub is_cut: bool,
    /// What could not be searched, or only as it lies, and why.
    pub not_searched: Vec<(String, String)>,
}

/// A search for texts.
pub struct Search<'s> {
    texts: &'s SoughtTexts,
    /// What bytes unpack to that begin as a Zstandard frame does, as far as they go.
    unpack: &'s dyn Fn(&[u8]) -> Vec<u8>,
    found: BTreeMap<String, BTreeSet<usize>>,
    result: Searched,
}

impl<'s> Search<'s> {
    /// A search that unpacks frames with `unpack`.
    pub fn new(texts: &'s SoughtTexts, unpack: &'s dyn Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { texts, unpack, found: BTreeMap::new(), result: Searched::default() }
    }

    /// Searches a file, as it lies and unpacked.
    pub fn file(&mut self, place: &str, mut input: Box<dyn ReadSeek>) {
        self.result.files += 1;
        self.look(place, place.as_bytes(), place.len());
        let done = self.raw(place, &mut input).and_then(|()| {
            input.rewind()?;
            self.inside(place, input)
        });
        if let Err(error) = done {
            self.not_searched(place, &error.to_string());
        }
    }

    /// Searches a line, and says where it stands if anything is found.
    pub fn line(&mut self, line: &[u8], place: impl FnOnce() -> String) {
        self.result.bytes += line.len() as u64;
        if self.texts.is_in(line) {
            self.look(&place(), line, line.len());
        }
    }

    /// Searches what is read, as it is.
    ///
    /// # Errors
    /// Those of `input`.
    pub fn raw(&mut self, place: &str, input: &mut dyn Read) -> io::Result<()> {
        let mut window = Vec::new();
        loop {
            let room = WINDOW_BYTES - window.len();
            let length = input.take(room as u64).read_to_end(&mut window)?;
            self.result.bytes += length as u64;
            let is_end = length < room;
            let until = if is_end { window.len() } else { window.len() - OVERLAP_BYTES };
            self.look(place, &window, until);
            self.frames(place, &window, until);
            if is_end {
                return Ok(());
            }
            window.drain(..until);
        }
    }

    /// Says that something could not be searched.
    pub fn not_searched(&mut self, place: &str, why: &str) {
        if self.result.not_searched.len() < PLACES {
            let place = self.texts.redacted(place);
            self.result.not_searched.push((place, why.to_owned()));
        } else {
            self.result.is_cut = true;
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Searched {
        for (place, pieces) in self.found {
            let place = self.texts.redacted(&place);
            for (line, is_whole) in self.texts.lines(&pieces) {
                self.result.found.push(FoundText { line, is_whole, place: place.clone() });
            }
        }
        self.result
    }

    fn look(&mut self, place: &str, bytes: &[u8], until: usize) {
        let mut pieces = BTreeSet::new();
        self.texts.find(bytes, until, &mut |piece, _| {
            pieces.insert(piece);
        });
        if pieces.is_empty() {
            return;
        }
        if self.found.len() >= PLACES && !self.found.contains_key(place) {
            self.result.is_cut = true;
            return;
        }
        self.found.entry(place.to_owned()).or_default().extend(pieces);
    }

    /// Frames that start before `until`.
    fn frames(&mut self, place: &str, bytes: &[u8], until: usize) {
        for at in memmem::find_iter(bytes, &ZSTD_MAGIC).take_while(|at| *at < until) {
            let line = (self.unpack)(bytes.get(at..).unwrap_or_default());
            self.look(place, &line, line.len());
        }
        for at in memmem::find_iter(bytes, ZSTD_MAGIC_IN_HEX).take_while(|at| *at < until) {
            let line = (self.unpack)(&of_hex(bytes.get(at..).unwrap_or_default()));
            self.look(place, &line, line.len());
        }
    }

    /// What a file packs that was searched as it lies.
    fn inside(&mut self, place: &str, mut input: Box<dyn ReadSeek>) -> io::Result<()> {
        let bytes = input.seek(io::SeekFrom::End(0))?;
        input.rewind()?;
        let budget = Arc::new(Budget::new(None));
        budget.read_whole(bytes);
        let start = start_of(&mut input)?;
        input.rewind()?;
        match kind_of(&start) {
            Kind::Zip => self.zip(place, input, &budget, 0),
            Kind::Parquet => self.rows(place, input),
            // Their values are in the file as they are.
            Kind::Sqlite | Kind::Arrow | Kind::OtlpProtobuf => Ok(()),
            Kind::Foreign(what) => {
                self.foreign(place, what);
                Ok(())
            }
            Kind::Text if place.ends_with(".deflate") => {
                let inner = flate2::read::DeflateDecoder::new(input);
                self.raw(place, &mut Bounded { inner, budget })
            }
            Kind::Text => Ok(()),
            Kind::Packed(_) | Kind::Tar | Kind::Utf16 { .. } => {
                self.stream(place, &mut input, &budget, 0)
            }
        }
    }

    /// A stream, which may be packed.
    fn stream(
        &mut self,
        place: &str,
        input: &mut dyn Read,
        budget: &Arc<Budget>,
        depth: usize,
    ) -> io::Result<()> {
        if depth > ARCHIVE_DEPTH {
            self.not_searched(place, "it is in too many nested archives");
            return Ok(());
        }
        let start = start_of(input)?;
        let mut whole = Cursor::new(start.clone()).chain(input);
        match kind_of(&start) {
            Kind::Packed(packing) => {
                let inner = unpacked(packing, &start, whole, ZSTD_WINDOW)?;
                let mut inner = Bounded { inner, budget: Arc::clone(budget) };
                self.stream(place, &mut inner, budget, depth + 1)
            }
            Kind::Zip => self.zip(place, kept(&mut whole)?, budget, depth),
            Kind::Parquet => self.rows(place, kept(&mut whole)?),
            Kind::Tar => {
                for entry in tar::Archive::new(whole).entries()? {
                    let mut entry = entry?;
                    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                    self.entry(&format!("{place}/{name}"), &mut entry, budget, depth);
                }
                Ok(())
            }
            Kind::Utf16 { big_endian } => self.raw(place, &mut Utf16::new(whole, big_endian)),
            Kind::Foreign(what) => {
                self.foreign(place, what);
                self.raw(place, &mut whole)
            }
            Kind::Text | Kind::Sqlite | Kind::Arrow | Kind::OtlpProtobuf => {
                self.raw(place, &mut whole)
            }
        }
    }

    /// An entry of an archive; one that is damaged does not end the others.
    fn entry(&mut self, place: &str, input: &mut dyn Read, budget: &Arc<Budget>, depth: usize) {
        self.look(place, place.as_bytes(), place.len());
        if let Err(error) = self.stream(place, input, budget, depth + 1) {
            self.not_searched(place, &error.to_string());
        }
    }

    /// The entries of a ZIP archive.
    fn zip(
        &mut self,
        place: &str,
        input: Box<dyn ReadSeek>,
        budget: &Arc<Budget>,
        depth: usize,
    ) -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(io::BufReader::new(input)).map_err(of_zip)?;
        for index in 0..archive.len() {
            match archive.by_index(index) {
                Ok(entry) => {
                    let place = format!("{place}/{}", entry.name().map_err(of_zip)?);
                    let mut inner = Bounded { inner: entry, budget: Arc::clone(budget) };
                    self.entry(&place, &mut inner, budget, depth);
                }
                Err(error) => {
                    self.not_searched(&format!("{place}, entry {index}"), &error.to_string());
                }
            }
        }
        Ok(())
    }

    /// The rows of a Parquet file, whose pages are packed.
    fn rows(&mut self, place: &str, input: Box<dyn ReadSeek>) -> io::Result<()> {
        for row in parquet_rows(input).map_err(io::Error::other)?? {
            let row = row.map_err(damaged)?;
            self.look(place, row.as_bytes(), row.len());
        }
        Ok(())
    }

    fn foreign(&mut self, place: &str, what: &str) {
        // Its pages are searched for frames.
        if what != "an SQLite database" {
            self.not_searched(place, &format!("searched without unpacking: it is {what}"));
        }
    }
}

/// A stream kept on disk, to be read from its end.
fn kept(input: &mut dyn Read) -> io::Result<Box<dyn ReadSeek>> {
    Ok(Box::new(to_temporary_file(input).map_err(io::Error::other)??))
}

fn start_of(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.take(START_BYTES as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Bytes that are in hexadecimal digits, as far as those go.
fn of_hex(digits: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map_while(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &str = "zx-0007-77123";

    /// What a search of a file of that name finds, and says of it.
    fn search(name: &str, bytes: &[u8]) -> Searched {
        let texts = SoughtTexts::read("texts", &mut TEXT.as_bytes()).unwrap();
        let unpack = |packed: &[u8]| {
            let mut line = Vec::new();
            let mut decoder = zstd::stream::read::Decoder::new(packed).unwrap();
            let _ = decoder.read_to_end(&mut line);
            line
        };
        let mut search = Search::new(&texts, &unpack);
        search.file(name, Box::new(Cursor::new(bytes.to_vec())));
        search.finish()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut writer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        writer.append_data(&mut header, name, bytes).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_text_is_found_however_it_is_packed() {
        let text = format!("{{\"content\": \"number {TEXT} is mine\"}}\n").into_bytes();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        let page = [&vec![7; 5_000_000][..], &zstd, &[9; 100]].concat();
        let hex: String = zstd.iter().map(|byte| format!("{byte:02x}")).collect();
        let utf16: Vec<u8> =
            String::from_utf8_lossy(&text).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut deflated = Vec::new();
        crate::deflate(&mut &text[..], &mut deflated, 1).unwrap();
        let inner = zip(&[("a.json", &text), ("b.json", b"{}")]);
        for (name, place, bytes) in [
            ("plain", "plain", text.clone()),
            ("x.gz", "x.gz", gzip(&text)),
            ("x.zst", "x.zst", zstd.clone()),
            ("x.gz", "x.gz", gzip(&gzip(&text))),
            ("x.deflate", "x.deflate", deflated),
            ("database", "database", page),
            ("dump.sql", "dump.sql", format!("1\t\\\\x{hex}\t2\n").into_bytes()),
            ("x.txt", "x.txt", utf16),
            ("x.zip", "x.zip/a.json", inner.clone()),
            ("x.gz", "x.gz/a.json", gzip(&inner)),
            ("x.tar", "x.tar/y.gz", tar("y.gz", &gzip(&text))),
        ] {
            let searched = search(name, &bytes);
            let found = FoundText { line: 1, is_whole: true, place: place.to_owned() };
            assert_eq!(
                (&searched.found[..], &searched.not_searched[..]),
                (&[found][..], &[][..]),
                "{name}"
            );
        }
    }

    #[test]
    fn a_text_that_windows_share_is_found() {
        let before = WINDOW_BYTES - OVERLAP_BYTES - 5;
        let bytes = [&vec![b'.'; before][..], TEXT.as_bytes(), &vec![b'.'; 2 << 20]].concat();
        assert_eq!(search("x", &bytes).found.len(), 1);
        let at_end = [&vec![b'.'; WINDOW_BYTES - 5][..], TEXT.as_bytes()].concat();
        assert_eq!(search("x", &at_end).found.len(), 1);
    }

    #[test]
    fn what_cannot_be_searched_is_said_and_a_text_is_never_shown() {
        let pdf = search("a.pdf", b"%PDF-1.7 and so on");
        assert!(pdf.not_searched[0].1.contains("it is a PDF file"), "{pdf:?}");
        let mut damaged = gzip(&vec![b'x'; 100_000]);
        damaged.truncate(50);
        assert_eq!(search("x.gz", &damaged).not_searched.len(), 1);

        let named = search(&format!("of {TEXT}.pdf"), b"%PDF-1.7");
        assert_eq!(named.found[0].place, "of *************.pdf");
        assert!(!format!("{named:?}").contains(TEXT), "{named:?}");
        let none = search("x", b"zx-0007-7712");
        assert_eq!((none.files, none.bytes, none.found.len()), (1, 12, 0));
    }
}
