//! One file, however it is packed: its streams, one after another.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use retort_formats::file::{self, ReadSeek};
use retort_formats::import::bson::Documents;
use retort_formats::import::otlp_protobuf::Requests;
use retort_formats::import::split::Splitter;
use retort_formats::import::table::Table;
use retort_formats::import::{ImportFormat, Refusal, Side, Sniff, with_text};
use retort_model::bounds::{ARCHIVE_DEPTH, SNIFFED_BYTES};

use super::beside::Beside;
use super::bytes::{
    Bounded, Budget, Counted, Kind, Lines, START_BYTES, Utf16, damaged, kind_of, mistaken_text,
    refusal_of, unpacked,
};
use super::stream::{PassedOver, ReadOptions, SourceName, Stream, Wanted};
use crate::error::Error;
use crate::panics::caught;

/// Hands the streams of one file to `take`.
pub(super) struct Opener<'o> {
    pub(super) take: &'o mut dyn FnMut(SourceName, Stream<'_>) -> Result<bool, Error>,
    pub(super) budget: Arc<Budget>,
    /// Bytes read from the disk, of all files.
    pub(super) all: &'o Arc<AtomicU64>,
    pub(super) options: ReadOptions,
    pub(super) wanted: Wanted,
    /// What the package keeps beside the rows.
    pub(super) beside: Option<Beside>,
    /// The write-ahead log of the database that is read next, where both are in an archive.
    pub(super) log: Option<File>,
}

/// Whether a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It was named, so it is read whatever it is called.
    Named,
    /// Its name is that of a history.
    ByName,
    /// Its name says nothing: it is read if its content is that of a history.
    Odd,
    /// Its name is that of a file beside a history that holds none: as [`Self::Odd`].
    Side,
}

impl Expected {
    /// Why a file that is read only if its content is that of a history is passed over, and it is none.
    pub(super) fn passed_over(self) -> Option<PassedOver> {
        match self {
            Self::Named | Self::ByName => None,
            Self::Odd => Some(PassedOver::NotAHistory),
            Self::Side => Some(PassedOver::SideFile),
        }
    }
}

/// A stream inside a file.
#[derive(Clone, Debug)]
pub(super) struct StreamInfo {
    pub(super) label: String,
    pub(super) expected: Expected,
    /// The format with whose items it is read.
    pub(super) side_of: Option<&'static dyn ImportFormat>,
    /// What it is packed in.
    depth: usize,
}

/// Endings of histories, and of what packs them.
const ENDINGS: [&str; 27] = [
    "json",
    "jsonl",
    "ndjson",
    "jsonlines",
    "jsonlist",
    "parquet",
    "arrow",
    "bson",
    "traj",
    "eval",
    "csv",
    "tsv",
    "xlsx",
    "xlsm",
    "gz",
    "gzip",
    "zst",
    "zstd",
    "bz2",
    "xz",
    "lzma",
    "zip",
    "tar",
    "tgz",
    "tbz2",
    "txz",
    "tzst",
];

/// Whether the file's name is that of a history.
pub(super) fn expected_by_name(name: &str) -> Expected {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_known = ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known));
    if is_known { Expected::ByName } else { Expected::Odd }
}

impl StreamInfo {
    pub(super) fn new(label: &str, expected: Expected) -> Self {
        Self { label: label.to_owned(), expected, side_of: None, depth: 0 }
    }

    /// An entry of the archive that stands here.
    pub(super) fn entry(&self, name: &str) -> Self {
        let visible: String = name.chars().flat_map(char::escape_debug).collect();
        Self {
            label: format!("{}/{visible}", self.label),
            expected: expected_by_name(name),
            side_of: None,
            depth: self.depth + 1,
        }
    }

    /// The same as what formats declare it to be.
    pub(super) fn declared(mut self, side: Option<Side>) -> Self {
        match side {
            Some(Side::Read(format)) => self.side_of = Some(format),
            Some(Side::Ignored) => self.expected = Expected::Side,
            None => {}
        }
        self
    }

    pub(super) fn name(&self) -> SourceName {
        SourceName { label: self.label.clone(), side_of: self.side_of }
    }

    /// Whether one of the endings is this.
    pub(super) fn ends(&self, ending: &str) -> bool {
        let name = self.label.rsplit(['/', '\\']).next().unwrap_or(&self.label);
        name.split('.').skip(1).any(|one| one.eq_ignore_ascii_case(ending))
    }
}

impl Opener<'_> {
    pub(super) fn refuse(
        &mut self,
        place: &StreamInfo,
        refusal: Refusal,
        why: String,
    ) -> Result<bool, Error> {
        (self.take)(place.name(), Stream::Refused(refusal, why))
    }

    /// A stream of items, with what the package keeps beside them.
    pub(super) fn items(
        &mut self,
        place: &StreamInfo,
        input: &mut dyn Read,
    ) -> Result<bool, Error> {
        match &mut self.beside {
            Some(beside) => (self.take)(place.name(), Stream::Items(&mut beside.rows(input))),
            None => (self.take)(place.name(), Stream::Items(input)),
        }
    }

    /// Refuses what failed to be read.
    pub(super) fn fail(&mut self, place: &StreamInfo, error: &io::Error) -> Result<bool, Error> {
        self.refuse(place, refusal_of(error), error.to_string())
    }

    pub(super) fn pass_over(&mut self, place: &StreamInfo, why: PassedOver) -> Result<bool, Error> {
        (self.take)(place.name(), Stream::PassedOver(why))
    }

    /// A file that can be read from any place.
    pub(super) fn file(
        &mut self,
        place: &StreamInfo,
        file: File,
        path: &Path,
    ) -> Result<bool, Error> {
        let (all, budget) = (Arc::clone(self.all), Some(Arc::clone(&self.budget)));
        let mut input = Counted { inner: file, all, budget };
        let start = match Start::read(&mut input, START_BYTES) {
            Ok(start) => start,
            Err(error) => return self.fail(place, &error),
        };
        match kind_of(&start.bytes) {
            Kind::Zip | Kind::Parquet | Kind::Arrow => {
                let whole = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                match whole {
                    Ok((bytes, inner)) => {
                        self.budget.read_whole(bytes);
                        let all = Arc::clone(self.all);
                        self.whole(
                            place,
                            &start.bytes,
                            Box::new(Counted { inner, all, budget: None }),
                        )
                    }
                    Err(error) => self.fail(place, &error),
                }
            }
            Kind::Sqlite => self.database(place, &mut start.chain(&mut input), Some(path)),
            _ => self.begun(place, start, &mut input),
        }
    }

    /// What comes as a stream, from the disk or through a pipe.
    pub(super) fn read(&mut self, place: &StreamInfo, input: &mut dyn Read) -> Result<bool, Error> {
        let (all, budget) = (Arc::clone(self.all), Some(Arc::clone(&self.budget)));
        self.stream(place, &mut Counted { inner: input, all, budget })
    }

    /// A stream, which may be packed.
    pub(super) fn stream(
        &mut self,
        place: &StreamInfo,
        input: &mut dyn Read,
    ) -> Result<bool, Error> {
        match Start::read(input, START_BYTES) {
            Ok(start) => self.begun(place, start, input),
            Err(error) => self.fail(place, &error),
        }
    }

    /// A stream whose first bytes were read.
    fn begun(
        &mut self,
        place: &StreamInfo,
        start: Start,
        input: &mut dyn Read,
    ) -> Result<bool, Error> {
        if place.depth > ARCHIVE_DEPTH {
            let why =
                format!("archives inside archives are read up to {ARCHIVE_DEPTH} levels deep");
            return self.refuse(place, Refusal::Unsupported, why);
        }
        let bytes = start.bytes.clone();
        let kind = match (kind_of(&bytes), mistaken_text(&bytes)) {
            (Kind::Text, Some(what)) => Kind::Foreign(what),
            (kind, _) => kind,
        };
        let mut whole = start.chain(input);
        match kind {
            Kind::Packed(packing) => {
                match unpacked(packing, &bytes, whole, self.options.max_window) {
                    Ok(inner) => {
                        let mut inner = Bounded { inner, budget: Arc::clone(&self.budget) };
                        self.stream(
                            &StreamInfo { depth: place.depth + 1, ..place.clone() },
                            &mut inner,
                        )
                    }
                    Err(error) => self.fail(place, &error),
                }
            }
            Kind::Zip | Kind::Parquet | Kind::Arrow => match to_temporary_file(&mut whole)? {
                Ok(kept) => self.whole(place, &bytes, Box::new(kept)),
                Err(error) => self.fail(place, &error),
            },
            Kind::Sqlite => self.database(place, &mut whole, None),
            Kind::Tar => self.tar(place, &mut whole),
            Kind::Utf16 { .. } | Kind::Text if place.ends("bson") => {
                let rows = Box::new(Documents::read(whole));
                self.items(place, &mut Lines { rows, line: Cursor::default() })
            }
            Kind::OtlpProtobuf => self.rows(place, Ok(Requests::read(whole, &bytes))),
            Kind::Foreign(what) => match place.expected {
                Expected::Named | Expected::ByName => {
                    let why = format!("it is {what}, which is not supported");
                    self.refuse(place, Refusal::Unsupported, why)
                }
                Expected::Odd => self.pass_over(place, PassedOver::NotSupported),
                Expected::Side => self.pass_over(place, PassedOver::SideFile),
            },
            Kind::Utf16 { big_endian } => self.text(place, &mut Utf16::new(whole, big_endian)),
            Kind::Text => self.text(place, &mut whole),
        }
    }

    /// A file that is read from its end.
    fn whole(
        &mut self,
        place: &StreamInfo,
        start: &[u8],
        input: Box<dyn ReadSeek>,
    ) -> Result<bool, Error> {
        if kind_of(start) == Kind::Parquet {
            return self.rows(place, parquet_rows(input)?);
        }
        if kind_of(start) == Kind::Arrow {
            return self.rows(place, arrow_rows(input));
        }
        // Documents of offices are ZIP archives, too.
        if let Some(why) = place.expected.passed_over().filter(|_| !place.ends("zip")) {
            return self.pass_over(place, why);
        }
        self.zip(place, &mut BufReader::new(input))
    }

    /// The rows of a file, as JSON lines.
    fn rows(
        &mut self,
        place: &StreamInfo,
        rows: io::Result<impl Iterator<Item = io::Result<String>>>,
    ) -> Result<bool, Error> {
        let rows = match rows {
            Ok(rows) => Box::new(rows),
            Err(error) => return self.fail(place, &error),
        };
        let inner = Lines { rows, line: Cursor::default() };
        let budget = Arc::clone(&self.budget);
        self.items(place, &mut Bounded { inner, budget })
    }

    /// Text: JSON or a table.
    fn text(&mut self, place: &StreamInfo, input: &mut dyn Read) -> Result<bool, Error> {
        if place.ends("csv") || place.ends("tsv") {
            return self.table(place, input);
        }
        let first = match Start::read(input, 1) {
            Ok(first) => first,
            Err(error) => return self.fail(place, &error),
        };
        // What begins as JSON does is not looked at further, unless its name says nothing.
        let is_plain = matches!(first.bytes.first(), Some(b'{' | b'[') | None);
        if is_plain && place.expected.passed_over().is_none() {
            return self.items(place, &mut first.chain(input));
        }
        let start = match Start::read(&mut first.chain(&mut *input), SNIFFED_BYTES) {
            Ok(start) => start,
            Err(error) => return self.fail(place, &error),
        };
        let text = with_text(&place.label, &start.bytes).filter(|(format, _)| {
            !is_plain
                && match self.wanted {
                    Wanted::Known => true,
                    Wanted::Format(named) => named.name() == format.name(),
                    Wanted::Any => false,
                }
        });
        if let Some((_, files)) = text {
            let whole = BufReader::new(start.chain(input));
            let rows = (files.items)(Box::new(whole));
            return self.items(place, &mut Lines { rows, line: Cursor::default() });
        }
        let row = || Table::read(start.bytes.as_slice()).ok()?.next()?.ok();
        if !is_plain && row().is_some_and(|row| self.is_history_row(place, &row)) {
            return self.table(place, &mut start.chain(input));
        }
        if let Some(why) =
            place.expected.passed_over().filter(|_| !self.is_history(place, &start.bytes))
        {
            return self.pass_over(place, why);
        }
        self.items(place, &mut start.chain(input))
    }

    /// A table in CSV, whose rows are items.
    pub(super) fn table(
        &mut self,
        place: &StreamInfo,
        input: &mut dyn Read,
    ) -> Result<bool, Error> {
        let mut table = match Table::read(input) {
            Ok(table) => table,
            Err(error) => return self.fail(place, &error),
        };
        let columns = table.columns().to_vec();
        let first = match table.next().transpose() {
            Ok(first) => first,
            Err(error) => return self.fail(place, &error),
        };
        if let Some(row) = &first
            && !self.is_history_row(place, row)
        {
            if place.expected != Expected::Named {
                return self.pass_over(place, PassedOver::NotAHistory);
            }
            let why =
                format!("no import format knows a table with the columns {}", named(&columns));
            return self.refuse(place, Refusal::UnknownShape, why);
        }
        let rows = Box::new(first.map(Ok).into_iter().chain(table));
        self.items(place, &mut Lines { rows, line: Cursor::default() })
    }

    /// Whether a row of a table is wanted, whatever its encoding.
    fn is_history_row(&self, place: &StreamInfo, row: &[u8]) -> bool {
        self.is_history(place, String::from_utf8_lossy(row).as_bytes())
    }

    /// Whether one of the first items is wanted. If a format was named, any item will do, except in side files.
    fn is_history(&self, place: &StreamInfo, start: &[u8]) -> bool {
        let Ok(Some(batch)) = Splitter::new(start).next(Default::default()) else { return false };
        let is_cut = start.len() >= SNIFFED_BYTES && batch.items.len() < 2;
        batch.items.iter().take(16).any(|span| {
            let Ok(text) = std::str::from_utf8(batch.item(span)) else { return false };
            let text = text.trim_start();
            let nests = text.starts_with(['{', '[']);
            let sniff = Sniff::of(text);
            match sniff.check() {
                Ok(()) => {
                    nests
                        && match self.wanted {
                            Wanted::Format(_) if place.expected != Expected::Side => true,
                            wanted => wanted.knows(&sniff),
                        }
                }
                Err(_) => nests && is_cut,
            }
        })
    }
}

/// The first of these names, for a message.
pub(super) fn named(names: &[String]) -> String {
    let names: Vec<_> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The rows of a Parquet file, as JSON. The inner error is that of the file.
pub(super) fn parquet_rows(
    input: Box<dyn ReadSeek>,
) -> Result<io::Result<impl Iterator<Item = io::Result<String>>>, Error> {
    let parquet = file::by_name("parquet").ok_or_else(|| Error::bug("no file format `parquet`"))?;
    // The library panics on some damaged files.
    let rows = caught(|| parquet.read(input)).unwrap_or_else(|_| Err(panicked("Parquet")));
    Ok(rows.map_err(damaged).map(|rows| Guarded { rows, ended: false, what: "Parquet" }))
}

/// The rows of an Arrow file or stream, as JSON.
fn arrow_rows(input: Box<dyn ReadSeek>) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let rows = caught(|| file::arrow_rows(input)).unwrap_or_else(|_| Err(panicked("Arrow")));
    rows.map_err(damaged).map(|rows| Guarded { rows, ended: false, what: "Arrow" })
}

/// Rows, of which a panic ends the file alone.
struct Guarded<I> {
    rows: I,
    ended: bool,
    what: &'static str,
}

impl<I: Iterator<Item = io::Result<String>>> Iterator for Guarded<I> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = caught(|| self.rows.next()).unwrap_or_else(|_| Some(Err(panicked(self.what))));
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn panicked(what: &str) -> io::Error {
    let why = format!("the {what} reader gave up on it; the file is damaged");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The first bytes of a stream, and what failed behind them.
pub(super) struct Start {
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

impl Start {
    /// Reads so many bytes, unless the stream ends or fails before.
    pub(super) fn read(input: &mut dyn Read, most: usize) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let failed = input.take(most as u64).read_to_end(&mut bytes).err();
        match failed {
            Some(error) if bytes.is_empty() => Err(error),
            failed => Ok(Self { bytes, failed }),
        }
    }

    /// The bytes that were read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole stream again.
    pub(super) fn chain(self, rest: &mut dyn Read) -> impl Read {
        Cursor::new(self.bytes).chain(Fails(self.failed)).chain(rest)
    }
}

/// Fails once, if there is something to fail with.
struct Fails(Option<io::Error>);

impl Read for Fails {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Keeps a stream, so that it can be read from its end. The inner error is that of the stream, the outer that of the
/// disk.
pub(super) fn to_temporary_file(input: &mut dyn Read) -> Result<io::Result<File>, Error> {
    let mut kept = tempfile::tempfile().map_err(temporary)?;
    if let Err(error) = copy_to(input, &mut kept)? {
        return Ok(Err(error));
    }
    kept.seek(SeekFrom::Start(0)).map_err(temporary)?;
    Ok(Ok(kept))
}

/// Copies a stream to a temporary file. The inner error is that of the stream, the outer that of the disk.
pub(super) fn copy_to(input: &mut dyn Read, kept: &mut File) -> Result<io::Result<()>, Error> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(length) => io::Write::write_all(kept, buffer.get(..length).unwrap_or_default())
                .map_err(temporary)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The error of a temporary file.
pub(super) fn temporary(source: io::Error) -> Error {
    Error::Failed { what: "a temporary file", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_evaluations_and_trajectories_are_histories_by_their_names() {
        for name in ["logs/2026-01-02_task.eval", "fix.traj", "a.jsonl.gz"] {
            assert_eq!(expected_by_name(name), Expected::ByName, "{name}");
        }
        assert_eq!(expected_by_name("notes.docx"), Expected::Odd);
    }
}
