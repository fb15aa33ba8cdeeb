//! What an import format is, and what its reader says of an item.

use std::fmt;

use retort_json::{JsonError, Parser};
use retort_model::{Conversation, Item, NotUnderstood, Run, canonical::CanonicalError};

use super::shape::Shape;

/// A shape of histories that can be read.
pub trait ImportFormat: Sync {
    /// The name to say on the command line.
    fn name(&self) -> &'static str;

    /// Where such histories come from, in one line.
    fn about(&self) -> &'static str;

    /// Whether an item of this shape is one of this format.
    fn recognises(&self, shape: &Shape<'_>) -> bool;

    /// Parses one item; what the reader cannot place goes to the notes.
    ///
    /// # Errors
    /// What is wrong with the item, and at which byte of it.
    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError>;

    /// Reads one item, with what its reader could not place.
    ///
    /// # Errors
    /// What is wrong with the item, and at which byte of it.
    fn read<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError> {
        let mut item = self.parse(item, notes);
        let unplaced = notes.take_unplaced();
        if let Ok(
            Item::Conversation(Conversation { not_understood, .. })
            | Item::Run(Run { not_understood, .. }),
        ) = &mut item
        {
            // A row of Retort's own tells what was met before.
            let before: Vec<_> = not_understood.iter().map(|one| one.raw.clone()).collect();
            not_understood.extend(unplaced.into_iter().filter(|one| !before.contains(&one.raw)));
        }
        item
    }

    /// Whether its sources may keep one conversation in two places.
    fn has_halves(&self) -> bool {
        false
    }

    /// The key that joins the item with its other half, for sources that keep one conversation in two places.
    /// `stem` is the name of the item's file without its ending.
    fn half(&self, _item: &str, _stem: &str) -> Option<Half> {
        None
    }

    /// Whether its items are rows of which several make up one.
    fn has_rows(&self) -> bool {
        false
    }

    /// What the rows of one item have in common. They are read together, as a list.
    fn row_key(&self, _item: &str) -> Option<String> {
        None
    }

    /// One item of the two halves of a conversation.
    fn join(&self, first: &str, second: &str) -> String {
        format!("[{first},{second}]")
    }
}

/// Half of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// What both halves have in common.
    pub key: String,
    /// Which half it is: whether it holds the messages.
    pub has_messages: bool,
}

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
    /// Larger than the bound for one item.
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

impl Refusal {
    /// The name as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not-utf8",
            Self::NotJson => "not-json",
            Self::UnknownShape => "unknown-shape",
            Self::BadField => "bad-field",
            Self::TooLarge => "too-large",
            Self::Entry => "refused-entry",
            Self::Damaged => "damaged",
            Self::Unsupported => "not-supported",
            Self::Unreadable => "unreadable",
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
