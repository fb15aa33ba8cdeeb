//! What a reader says of an item: what it noticed, or why it refuses it.

use std::fmt;

use retort_json::{JsonError, Parser};
use retort_model::canonical::CanonicalError;
use retort_model::{NotUnderstood, named};

/// What a reader noticed in an item that it could read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Lone surrogates read as U+FFFD.
    pub lone_surrogates: u64,
    /// Keys that stood twice in one object; the last counted.
    pub duplicate_keys: u64,
    /// Numbers that are not finite (`NaN`, `Infinity`), read as null.
    pub non_finite: u64,
    /// Dates and times that could not be read.
    pub unread_times: u64,
    /// What the reader of the item at hand could not place so far.
    pub(super) unplaced: Vec<NotUnderstood<'static>>,
}

impl Notes {
    /// Counts what the parser of a whole item noticed.
    pub(crate) fn count(&mut self, parser: &Parser<'_>) {
        self.lone_surrogates += u64::from(parser.lone_surrogates());
        self.non_finite += u64::from(parser.non_finite());
    }
}

/// Why an item was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemError {
    /// What kind of fault.
    pub refusal: Refusal,
    /// Bytes from the start of the item.
    pub at: usize,
    /// The fault in words.
    pub message: String,
}

/// Kinds of fault for which items are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// Text that is no JSON.
    NotJson,
    /// JSON in which no import format finds an item.
    UnknownShape,
    /// A field holds what it cannot hold.
    BadField,
    /// Larger than the item size limit.
    TooLarge,
    /// An entry of an archive that is not read.
    Entry,
    /// A file or entry whose bytes are damaged or end early.
    Damaged,
    /// A file or entry in a form that is not read.
    Unsupported,
    /// A file that cannot be opened or read.
    Unreadable,
}

named!(
    Refusal,
    "reason to refuse an item",
    NotUtf8 = "not-utf8",
    NotJson = "not-json",
    UnknownShape = "unknown-shape",
    BadField = "bad-field",
    TooLarge = "too-large",
    Entry = "refused-entry",
    Damaged = "damaged",
    Unsupported = "not-supported",
    Unreadable = "unreadable"
);

impl Refusal {
    /// What is wrong with the item, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not text in UTF-8",
            Self::NotJson => "not valid JSON",
            Self::UnknownShape => "of no known format",
            Self::BadField => "with a value that its field cannot have",
            Self::TooLarge => "over the item size limit",
            Self::Entry => "in an archive entry that is not read",
            Self::Damaged => "in a damaged file",
            Self::Unsupported => "in a file of a kind that is not supported",
            Self::Unreadable => "in a file that cannot be opened",
        }
    }
}

impl ItemError {
    /// A fault at a byte of the item.
    pub fn new(refusal: Refusal, at: usize, message: impl Into<String>) -> Self {
        Self { refusal, at, message: message.into() }
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ItemError {}

impl From<JsonError> for ItemError {
    fn from(error: JsonError) -> Self {
        Self::new(Refusal::NotJson, error.at, error.to_string())
    }
}

impl From<CanonicalError> for ItemError {
    fn from(error: CanonicalError) -> Self {
        let refusal = if matches!(error, CanonicalError::Json(_)) {
            Refusal::NotJson
        } else {
            Refusal::BadField
        };
        Self::new(refusal, error.at(), error.to_string())
    }
}
