//! A filter of any kind of item.

use std::collections::BTreeSet;

use super::conversation::ConversationFilter;
use super::document::DocumentFilter;
use super::run::RunFilter;
use crate::item::ItemKind;

/// Which items of one kind are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one an export")]
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
