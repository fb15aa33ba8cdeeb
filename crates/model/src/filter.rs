//! Which conversations, runs or documents are meant.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::bounds::{SEARCH_CHARACTERS, SEARCH_TEXTS};
use crate::item::ItemKind;
use crate::time::{Time, TimeError};

mod conversation;
mod document;
mod run;

pub use conversation::ConversationFilter;
pub use document::DocumentFilter;
pub use run::RunFilter;

/// Which items of one kind are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemFilter {
    /// Conversations.
    Conversations(ConversationFilter),
    /// Runs.
    Runs(RunFilter),
    /// Documents.
    Documents(DocumentFilter),
}

impl ItemFilter {
    /// What they are.
    pub fn kind(&self) -> ItemKind {
        match self {
            Self::Conversations(_) => ItemKind::Conversation,
            Self::Runs(_) => ItemKind::Run,
            Self::Documents(_) => ItemKind::Document,
        }
    }

    /// At most how many.
    pub fn limit(&self) -> Option<u64> {
        match self {
            Self::Conversations(selection) => selection.limit,
            Self::Runs(selection) => selection.limit,
            Self::Documents(selection) => selection.limit,
        }
    }

    /// The ids that are named.
    pub fn ids(&self) -> &BTreeSet<String> {
        match self {
            Self::Conversations(selection) => &selection.ids,
            Self::Runs(selection) => &selection.ids,
            Self::Documents(selection) => &selection.ids,
        }
    }
}

impl From<ConversationFilter> for ItemFilter {
    fn from(selection: ConversationFilter) -> Self {
        Self::Conversations(selection)
    }
}

impl From<RunFilter> for ItemFilter {
    fn from(selection: RunFilter) -> Self {
        Self::Runs(selection)
    }
}

impl From<DocumentFilter> for ItemFilter {
    fn from(selection: DocumentFilter) -> Self {
        Self::Documents(selection)
    }
}

/// A half-open range of moments: `from` belongs to it, `before` does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateRange {
    /// The first moment inside.
    pub from: Option<Time>,
    /// The first moment outside again.
    pub before: Option<Time>,
}

impl DateRange {
    /// Whether the moment lies in the range. An unknown moment lies only in the range without ends.
    pub fn contains(&self, time: Option<Time>) -> bool {
        match time {
            Some(time) => {
                self.from.is_none_or(|from| time >= from)
                    && self.before.is_none_or(|end| time < end)
            }
            None => self.from.is_none() && self.before.is_none(),
        }
    }
}

impl FromStr for DateRange {
    type Err = TimeError;

    /// Reads `FROM..BEFORE`, either end left out at will.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (from, before) = text.split_once("..").unwrap_or((text, ""));
        let end = |text: &str| if text.is_empty() { Ok(None) } else { Time::parse(text).map(Some) };
        Ok(Self { from: end(from)?, before: end(before)? })
    }
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, "{from}")?;
        }
        f.write_str("..")?;
        if let Some(before) = self.before {
            write!(f, "{before}")?;
        }
        Ok(())
    }
}

/// Refuses a search for nothing, for too many texts, or for one that is too long.
///
/// # Errors
/// It is one of these.
pub fn check_search(texts: &[String]) -> Result<(), String> {
    if texts.iter().any(String::is_empty) {
        return Err("`search` is empty".into());
    }
    if texts.len() > SEARCH_TEXTS {
        return Err(format!("at most {SEARCH_TEXTS} texts are searched for"));
    }
    if texts.iter().any(|text| text.chars().nth(SEARCH_CHARACTERS).is_some()) {
        return Err(format!("a text to search for has at most {SEARCH_CHARACTERS} characters"));
    }
    Ok(())
}
