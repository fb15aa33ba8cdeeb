//! XLSX workbooks. A sheet is read like an entry of an archive, called `WORKBOOK/SHEET`, as the CSV table that a spreadsheet
//! program would save: the first row with cells is its header. A formula has the value that was saved with it, and a number
//! in a date format becomes that date. Sheets stream; only the workbook's shared texts are in memory.
//! Reference: ECMA-376, part 1, section 18.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use retort_model::Time;
use retort_model::bounds::WORKBOOK_TEXT_BYTES;
use zip::ZipArchive;
use zip::result::{ZipError, ZipResult};

use super::bytes::{Bounded, Budget, Lines, of_zip};
use super::open::{Expected, Opener, StreamInfo};
use crate::error::Error;

/// The part of a package that makes it a workbook.
pub(super) const WORKBOOK: &str = "xl/workbook.xml";

/// Columns of a sheet.
const COLUMNS: usize = 16_384;

/// Attributes of a tag that are looked at. Each is compared with those before it; the tags that are read have under 20.
const ATTRIBUTES: usize = 100;

impl Opener<'_> {
    /// The sheets of a workbook, in its order.
    pub(super) fn workbook(
        &mut self,
        place: &StreamInfo,
        archive: &mut ZipArchive<impl Read + Seek>,
    ) -> Result<bool, Error> {
        let (sheets, context) = match read(archive, &self.budget) {
            Ok(read) => read,
            Err(error) => return self.fail(place, &error),
        };
        let is_alone = sheets.len() == 1;
        for (name, path) in sheets {
            let mut inside = place.entry(&name);
            // One sheet among others may hold something else.
            inside.expected = if is_alone { place.expected } else { Expected::ByName };
            let more = match part(archive, &path, &self.budget) {
                Ok(xml) => {
                    let rows =
                        Box::new(Rows { xml, context: &context, buffer: Vec::new(), ended: false });
                    self.table(&inside, &mut Lines { rows, line: io::Cursor::default() })?
                }
                Err(error) => self.fail(&inside, &of_zip(error))?,
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What the cells of all sheets refer to.
#[derive(Default)]
struct Context {
    texts: Texts,
    /// Whether each style of a cell shows numbers as dates.
    dates: Vec<bool>,
    /// Whether days count from 1904, as on old Macs.
    from_1904: bool,
}

/// The texts that cells share, joined together.
#[derive(Default)]
struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, at: usize) -> Option<&str> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.all.get(start..*self.ends.get(at)?)
    }
}

type Part<'a, R> = Reader<BufReader<Bounded<zip::read::ZipFile<'a, R>>>>;

/// A part of the package. Its name is ASCII, so it is found by its bytes: a look for a name that has to be decoded takes
/// time with the number of entries.
fn part<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    name: &str,
    budget: &Arc<Budget>,
) -> ZipResult<Part<'a, R>> {
    let index = archive.index_for_name_raw(name.as_bytes()).ok_or(ZipError::FileNotFound)?;
    let inner = Bounded { inner: archive.by_index(index)?, budget: Arc::clone(budget) };
    Ok(Reader::from_reader(BufReader::new(inner)))
}

/// As [`part`]; none if the package has no such part.
fn optional_part<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    name: &str,
    budget: &Arc<Budget>,
) -> io::Result<Option<Part<'a, R>>> {
    match part(archive, name, budget) {
        Ok(part) => Ok(Some(part)),
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(of_zip(error)),
    }
}

/// The sheets of a workbook, each with its name and the part that holds it, and what their cells refer to.
fn read<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    budget: &Arc<Budget>,
) -> io::Result<(Vec<(String, String)>, Context)> {
    let mut parts: HashMap<String, String> = HashMap::new();
    if let Some(mut xml) = optional_part(archive, "xl/_rels/workbook.xml.rels", budget)? {
        each_tag(&mut xml, |tag| {
            if tag.local_name().as_ref() == b"Relationship"
                && let (Some(id), Some(target)) =
                    (attribute(tag, b"Id")?, attribute(tag, b"Target")?)
            {
                let path = match target.strip_prefix('/') {
                    Some(path) => path.to_owned(),
                    None => format!("xl/{target}"),
                };
                parts.entry(id.into_owned()).or_insert(path);
            }
            Ok(())
        })?;
    }
    let (mut sheets, mut context) = (Vec::new(), Context::default());
    if let Some(mut xml) = optional_part(archive, WORKBOOK, budget)? {
        each_tag(&mut xml, |tag| {
            match tag.local_name().as_ref() {
                b"workbookPr" => {
                    let since = attribute(tag, b"date1904")?;
                    context.from_1904 = since.is_some_and(|word| word == "1" || word == "true");
                }
                b"sheet" => {
                    if let (Some(name), Some(id)) =
                        (attribute(tag, b"name")?, attribute(tag, b"id")?)
                        && let Some(path) = parts.get(&*id)
                        // Sheets of charts have no cells.
                        && path.contains("worksheets/")
                    {
                        sheets.push((name.into_owned(), path.clone()));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
    }
    if sheets.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the workbook has no sheets"));
    }
    if let Some(mut xml) = optional_part(archive, "xl/sharedStrings.xml", budget)? {
        context.texts = texts(&mut xml)?;
    }
    if let Some(mut xml) = optional_part(archive, "xl/styles.xml", budget)? {
        context.dates = dates(&mut xml)?;
    }
    Ok((sheets, context))
}

impl Context {
    /// The text of a number in a style.
    fn number(&self, text: &str, style: usize) -> String {
        let is_date = self.dates.get(style).copied().unwrap_or(false);
        let date = text.parse().ok().filter(|_| is_date).and_then(|days| self.date(days));
        date.unwrap_or_else(|| text.to_owned())
    }

    /// The date of a number of days, without the time of day if that is midnight. Less than one day is only a time.
    fn date(&self, days: f64) -> Option<String> {
        /// Days from the workbook's first to 1970.
        const TO_1970: [f64; 2] = [25_569.0, 24_107.0];
        const DAY_MS: f64 = 86_400_000.0;
        if !(1.0..3_000_000.0).contains(&days) {
            return None;
        }
        let ms = ((days - TO_1970[usize::from(self.from_1904)]) * DAY_MS).round();
        #[allow(clippy::cast_possible_truncation, reason = "the days are bounded above")]
        let text = Time::from_epoch_ms(ms as i64)?.to_string();
        let text = text.trim_end_matches('Z');
        Some(text.strip_suffix("T00:00:00").unwrap_or(text).to_owned())
    }
}

fn texts(xml: &mut Reader<impl BufRead>) -> io::Result<Texts> {
    let (mut texts, mut inside) = (Texts::default(), Inside::default());
    each_event(xml, |event| {
        match event {
            Event::Start(tag) => inside.set(tag.local_name().as_ref(), true),
            Event::End(tag) => {
                inside.set(tag.local_name().as_ref(), false);
                if tag.local_name().as_ref() == b"si" {
                    texts.ends.push(texts.all.len());
                }
            }
            event if inside.is_text() => add_text(event, &mut texts.all)?,
            _ => {}
        }
        if texts.all.len() > WORKBOOK_TEXT_BYTES {
            let most = WORKBOOK_TEXT_BYTES >> 20;
            let why = format!("its shared texts have more than {most} MiB; save it as CSV");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(())
    })?;
    Ok(texts)
}

/// Whether the reader is inside `t`, but not in a reading aid (`rPh`).
#[derive(Default)]
struct Inside {
    text: bool,
    aid: bool,
}

impl Inside {
    fn set(&mut self, name: &[u8], is_inside: bool) {
        match name {
            b"t" => self.text = is_inside,
            b"rPh" => self.aid = is_inside,
            _ => {}
        }
    }

    fn is_text(&self) -> bool {
        self.text && !self.aid
    }
}

/// Formats of dates and times that have no code of their own in a file.
const DATE_FORMATS: [std::ops::RangeInclusive<u32>; 4] = [14..=22, 27..=36, 45..=47, 50..=58];

/// Whether each style of a cell shows numbers as dates.
fn dates(xml: &mut Reader<impl BufRead>) -> io::Result<Vec<bool>> {
    let (mut own, mut styles, mut in_cells) = (HashSet::new(), Vec::new(), false);
    let format_of = |tag: &BytesStart<'_>| {
        attribute(tag, b"numFmtId").map(|id| id.and_then(|id| id.parse::<u32>().ok()))
    };
    each_event(xml, |event| {
        match event {
            Event::Start(tag) => match tag.local_name().as_ref() {
                b"numFmt" => {
                    let code = attribute(tag, b"formatCode")?.unwrap_or_default();
                    own.extend(format_of(tag)?.filter(|_| is_date_code(&code)));
                }
                b"cellXfs" => in_cells = true,
                b"xf" if in_cells => styles.push(format_of(tag)?.is_some_and(|id| {
                    own.contains(&id) || DATE_FORMATS.iter().any(|range| range.contains(&id))
                })),
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == b"cellXfs" => in_cells = false,
            _ => {}
        }
        Ok(())
    })?;
    Ok(styles)
}

/// Whether the code of a format has a part of a date, outside of quotes and brackets.
fn is_date_code(code: &str) -> bool {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    code.chars().any(|c| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match c {
            '\\' | '_' => escaped = true,
            '"' => quoted = !quoted,
            '[' => bracketed = true,
            ']' => bracketed = false,
            'y' | 'Y' | 'd' | 'D' | 'h' | 'H' => return !quoted && !bracketed,
            _ => {}
        }
        false
    })
}

/// The rows of a sheet, as lines of CSV.
struct Rows<'c, R: BufRead> {
    xml: Reader<R>,
    context: &'c Context,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Rows<'_, R> {
    /// The cells of the next row that has any.
    fn row(&mut self) -> io::Result<Option<Vec<String>>> {
        let mut cells: Vec<String> = Vec::new();
        let mut cell = Cell::default();
        let (mut inside, mut in_value) = (Inside::default(), false);
        loop {
            self.buffer.clear();
            match self.xml.read_event_into(&mut self.buffer).map_err(broken)? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    b"c" => cell = Cell::of(&tag, cells.len())?,
                    b"v" => in_value = true,
                    name => inside.set(name, true),
                },
                Event::End(tag) => match tag.local_name().as_ref() {
                    b"c" => {
                        let at = cell.column;
                        if at >= COLUMNS {
                            let why = format!("a cell is in column {}", at + 1);
                            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                        }
                        let text = std::mem::take(&mut cell).text_in(self.context);
                        if !text.is_empty() {
                            cells.resize(cells.len().max(at + 1), String::new());
                            if let Some(slot) = cells.get_mut(at) {
                                *slot = text;
                            }
                        }
                    }
                    b"v" => in_value = false,
                    b"row" if !cells.is_empty() => return Ok(Some(cells)),
                    name => inside.set(name, false),
                },
                Event::Eof => return Ok(None),
                event if in_value || inside.is_text() => add_text(&event, &mut cell.text)?,
                _ => {}
            }
        }
    }
}

impl<R: BufRead> Iterator for Rows<'_, R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        Some(row?.map(|cells| {
            let quoted = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
            quoted.collect::<Vec<_>>().join(",")
        }))
    }
}

/// A cell while it is read.
#[derive(Default)]
struct Cell {
    column: usize,
    kind: CellKind,
    style: usize,
    text: String,
}

/// What the text of a cell is.
#[derive(Default)]
enum CellKind {
    /// A number, in the style of the cell.
    #[default]
    Number,
    /// The position of a shared text.
    Shared,
    /// A text, with escapes.
    Text,
    Flag,
    /// A date or an error.
    Other,
}

impl Cell {
    /// The cell that a tag begins; without a place it follows those before it.
    fn of(tag: &BytesStart<'_>, next: usize) -> io::Result<Self> {
        let place = attribute(tag, b"r")?.and_then(|place| column(&place));
        Ok(Self {
            column: place.unwrap_or(next),
            kind: match attribute(tag, b"t")?.as_deref() {
                None | Some("" | "n") => CellKind::Number,
                Some("s") => CellKind::Shared,
                Some("str" | "inlineStr") => CellKind::Text,
                Some("b") => CellKind::Flag,
                Some(_) => CellKind::Other,
            },
            style: attribute(tag, b"s")?.and_then(|style| style.parse().ok()).unwrap_or(0),
            text: String::new(),
        })
    }

    fn text_in(self, context: &Context) -> String {
        match self.kind {
            CellKind::Shared => {
                let at = self.text.trim().parse().ok();
                unescaped(at.and_then(|at| context.texts.get(at)).unwrap_or_default())
            }
            CellKind::Text => unescaped(&self.text),
            CellKind::Flag => (if self.text.trim() == "1" { "true" } else { "false" }).to_owned(),
            CellKind::Number => context.number(self.text.trim(), self.style),
            CellKind::Other => self.text,
        }
    }
}

/// Decodes escapes such as `_x000D_`, which XLSX writes for control characters.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("_x") {
        out.push_str(before);
        let number = after.get(..4).filter(|_| after.as_bytes().get(4) == Some(&b'_'));
        let number = number.and_then(|number| u32::from_str_radix(number, 16).ok());
        match number.and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = after.get(5..).unwrap_or_default();
            }
            None => {
                out.push_str("_x");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The column of a place such as `AB7`, from 0.
fn column(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters.take(8).fold(0_usize, |sum, letter| {
        sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1
    });
    number.checked_sub(1)
}

/// Hands each event to `take`. An empty element is one that starts and ends.
fn each_event(
    xml: &mut Reader<impl BufRead>,
    mut take: impl FnMut(&Event<'_>) -> io::Result<()>,
) -> io::Result<()> {
    xml.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        match xml.read_event_into(&mut buffer).map_err(broken)? {
            Event::Eof => return Ok(()),
            event => take(&event)?,
        }
        buffer.clear();
    }
}

/// Hands each start tag to `take`.
fn each_tag(
    xml: &mut Reader<impl BufRead>,
    mut take: impl FnMut(&BytesStart<'_>) -> io::Result<()>,
) -> io::Result<()> {
    each_event(xml, |event| match event {
        Event::Start(tag) => take(tag),
        _ => Ok(()),
    })
}

/// The value of the attribute of that name, with any prefix.
fn attribute<'a>(tag: &'a BytesStart<'_>, name: &[u8]) -> io::Result<Option<Cow<'a, str>>> {
    for (count, attribute) in tag.attributes().enumerate() {
        if count >= ATTRIBUTES {
            let why =
                format!("the workbook is damaged: a tag has more than {ATTRIBUTES} attributes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let attribute = attribute.map_err(|error| broken(error.into()))?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(broken)?;
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Adds the text of an event, which may be a reference to a character.
fn add_text(event: &Event<'_>, into: &mut String) -> io::Result<()> {
    let encoding = |error: quick_xml::encoding::EncodingError| broken(error.into());
    match event {
        Event::Text(text) => into.push_str(&text.xml10_content().map_err(encoding)?),
        Event::CData(text) => into.push_str(&text.decode().map_err(encoding)?),
        Event::GeneralRef(reference) => {
            if let Some(c) = reference.resolve_char_ref().map_err(broken)? {
                into.push(c);
            } else {
                let name = reference.decode().map_err(encoding)?;
                let known = quick_xml::escape::resolve_xml_entity(&name);
                into.push_str(known.unwrap_or_default());
            }
        }
        _ => {}
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn broken(error: quick_xml::Error) -> io::Error {
    match error {
        quick_xml::Error::Io(error) => io::Error::new(error.kind(), error.to_string()),
        other => {
            io::Error::new(io::ErrorKind::InvalidData, format!("the workbook is damaged: {other}"))
        }
    }
}
