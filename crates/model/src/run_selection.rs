//! Which runs are meant, and which items of any kind.

use std::collections::BTreeSet;

use crate::item::ItemKind;
use crate::run::{Run, RunSource, RunStatus};
use crate::selection::{DateRange, Selection};

/// A choice of runs: all that match, at most `limit` of them. Within one field any value may match; the fields must
/// all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSelection {
    /// What ran: copilots or recipes; none means both.
    pub source: Option<RunSource>,
    /// Id of the copilot or recipe; none means all.
    pub flow: Option<String>,
    /// Its versions; none means all.
    pub versions: Vec<String>,
    /// How they ended; none means any way, also not at all.
    pub statuses: Vec<RunStatus>,
    /// When they began.
    pub started: DateRange,
    /// Texts sought in the request id and at the start of question, answer and error, whatever their case.
    pub search: Vec<String>,
    /// Whether someone judged the answer, or that of a node.
    pub has_feedback: Option<bool>,
    /// Whether they failed, or name an error.
    pub has_error: Option<bool>,
    /// A node that they passed.
    pub node: Option<String>,
    /// Request ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many, the most recent.
    pub limit: Option<u64>,
}

impl Run<'_> {
    /// Whether someone judged its answer, or that of a node.
    pub fn has_feedback(&self) -> bool {
        self.feedback.is_some() || self.nodes.iter().any(|node| node.feedback.is_some())
    }

    /// Whether it failed or names an error.
    pub fn has_error(&self) -> bool {
        self.status == RunStatus::Failure || self.error.is_some()
    }
}

/// A choice of documents: all that match, at most `limit` of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentSelection {
    /// Texts sought in name, address and path, whatever their case.
    pub search: Vec<String>,
    /// When they were taken in at the source.
    pub created: DateRange,
    /// Ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many, the newest.
    pub limit: Option<u64>,
}

/// Which items of one kind are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemSelection {
    /// Conversations.
    Conversations(Selection),
    /// Runs.
    Runs(RunSelection),
    /// Documents.
    Documents(DocumentSelection),
}

impl ItemSelection {
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

impl From<Selection> for ItemSelection {
    fn from(selection: Selection) -> Self {
        Self::Conversations(selection)
    }
}

impl From<RunSelection> for ItemSelection {
    fn from(selection: RunSelection) -> Self {
        Self::Runs(selection)
    }
}

impl From<DocumentSelection> for ItemSelection {
    fn from(selection: DocumentSelection) -> Self {
        Self::Documents(selection)
    }
}
