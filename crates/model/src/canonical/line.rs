//! What the lines of all kinds of items share: their versions, their errors, and how an object is written and read.

use std::borrow::Cow;
use std::fmt;

use retort_json::{JsonError, Parser, RawJson, Text, write_string};

use crate::fields::Fields;
use crate::judgement::Label;
use crate::time::Time;

/// The version of the lines of conversations and documents.
pub const VERSION: u32 = 1;

/// The latest version of the lines of runs. A run is written in the oldest that has all it holds, so that earlier
/// releases read what they can: 3 for a run that people judged, 2 for one of an application or with costs, 1 for any other.
pub const RUN_VERSION: u32 = 3;

/// Why a text is no canonical conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalError {
    /// It is no JSON.
    Json(JsonError),
    /// It was written by a later release, in a version after the one that is read.
    Version(String, u32),
    /// A field holds what it must not hold.
    Field(&'static str, usize),
}

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Version(version, latest) => {
                write!(
                    f,
                    "written in version {version} of the format; this release reads up to {latest}"
                )
            }
            Self::Field(name, _) => write!(f, "`{name}` has a value of the wrong kind"),
        }
    }
}

impl std::error::Error for CanonicalError {}

impl From<JsonError> for CanonicalError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl CanonicalError {
    /// The byte at which the text is at fault.
    pub fn at(&self) -> usize {
        match self {
            Self::Json(error) => error.at,
            Self::Version(..) => 0,
            Self::Field(_, at) => *at,
        }
    }
}

pub(super) fn write_list<T>(
    items: &[T],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Writes one object, leaving out what is empty.
pub(super) struct Object<'o> {
    pub(super) out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    pub(super) fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(key, self.out);
        self.out.push(b':');
    }

    pub(super) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    pub(super) fn name(&mut self, key: &str, name: &'static str) {
        self.key(key);
        write_string(name, self.out);
    }

    pub(super) fn label(&mut self, label: Option<Label>) {
        if let Some(label) = label {
            self.name("label", label.as_str());
        }
    }

    pub(super) fn text(&mut self, key: &str, text: &Text<'_>) {
        self.key(key);
        text.write_string(self.out);
    }

    pub(super) fn optional(&mut self, key: &str, text: Option<&Text<'_>>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn optional_raw(&mut self, key: &str, raw: Option<&RawJson<'_>>) {
        if let Some(raw) = raw {
            self.raw(key, raw.as_str());
        }
    }

    pub(super) fn number(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.raw(key, &number.to_string());
        }
    }

    pub(super) fn time(&mut self, key: &str, time: Option<Time>) {
        if let Some(time) = time {
            self.key(key);
            write_string(&time.to_string(), self.out);
        }
    }

    pub(super) fn list<T>(&mut self, key: &str, items: &[T], write: impl FnMut(&T, &mut Vec<u8>)) {
        if !items.is_empty() {
            self.key(key);
            write_list(items, self.out, write);
        }
    }

    pub(super) fn fields(&mut self, key: &str, fields: &Fields<'_>) {
        if fields.is_empty() {
            return;
        }
        self.key(key);
        let mut object = Object::begin(self.out);
        for (name, value) in fields {
            if !std::mem::take(&mut object.first) {
                object.out.push(b',');
            }
            name.write_string(object.out);
            object.out.push(b':');
            object.out.extend_from_slice(value.as_str().as_bytes());
        }
        object.end();
    }
}

pub(super) fn check_version(parser: &mut Parser<'_>, latest: u32) -> Result<(), CanonicalError> {
    let version = parser.number()?;
    if version.parse::<u32>().is_ok_and(|version| version <= latest) {
        Ok(())
    } else {
        Err(CanonicalError::Version(version.to_owned(), latest))
    }
}

pub(super) fn each_key<'a>(
    parser: &mut Parser<'a>,
    mut take: impl FnMut(&str, &mut Parser<'a>) -> Result<(), CanonicalError>,
) -> Result<(), CanonicalError> {
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        take(&key, parser)?;
    }
    Ok(())
}

pub(super) fn list<'a, T>(
    parser: &mut Parser<'a>,
    mut take: impl FnMut(&mut Parser<'a>) -> Result<T, CanonicalError>,
) -> Result<Vec<T>, CanonicalError> {
    let mut items = Vec::new();
    parser.array()?;
    while parser.next_element()? {
        items.push(take(parser)?);
    }
    Ok(items)
}

pub(super) fn optional_text<'a>(
    parser: &mut Parser<'a>,
) -> Result<Option<Text<'a>>, CanonicalError> {
    if parser.null()? { Ok(None) } else { Ok(Some(parser.string()?)) }
}

pub(super) fn named<T: std::str::FromStr>(
    parser: &mut Parser<'_>,
    name: &'static str,
) -> Result<T, CanonicalError> {
    let at = parser.at();
    let text: Cow<'_, str> = parser.string()?.into_cow();
    text.parse().map_err(|_| CanonicalError::Field(name, at))
}

pub(super) fn time(
    parser: &mut Parser<'_>,
    name: &'static str,
) -> Result<Option<Time>, CanonicalError> {
    let at = parser.at();
    match optional_text(parser)? {
        None => Ok(None),
        Some(text) => {
            Time::parse(&text.decoded()).map(Some).map_err(|_| CanonicalError::Field(name, at))
        }
    }
}

pub(super) fn count(
    parser: &mut Parser<'_>,
    name: &'static str,
) -> Result<Option<u64>, CanonicalError> {
    let at = parser.at();
    if parser.null()? {
        return Ok(None);
    }
    parser.number()?.parse().map(Some).map_err(|_| CanonicalError::Field(name, at))
}

pub(super) fn position(
    parser: &mut Parser<'_>,
    name: &'static str,
) -> Result<Option<usize>, CanonicalError> {
    let at = parser.at();
    let number = count(parser, name)?;
    number.map(|n| usize::try_from(n).map_err(|_| CanonicalError::Field(name, at))).transpose()
}

pub(super) fn fields<'a>(parser: &mut Parser<'a>) -> Result<Fields<'a>, CanonicalError> {
    let mut fields = Fields::new();
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        fields.put(key.into(), parser.raw()?);
    }
    Ok(fields)
}
