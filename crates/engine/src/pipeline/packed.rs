//! Items that are stored compressed elsewhere, such as in a database: a feed sends them as they are, and the worker
//! threads unpack them.

use std::ops::Range;

use retort_model::{Conversation, ItemKind, LeftOut, Status};

/// Some items of one kind, still packed.
pub trait PackedBatch: Send {
    /// What the items are.
    fn kind(&self) -> ItemKind;

    /// How many items there are.
    fn items(&self) -> u64;

    /// About how many bytes their lines have.
    fn bytes(&self) -> u64;

    /// Appends the canonical lines of all items to `out`.
    fn unpack(&self, out: &mut Vec<u8>) -> Vec<Unpacked>;

    /// The id of the item at an ordinal, where its line cannot tell it; empty if it is not known.
    fn id(&self, ordinal: u64) -> String;
}

/// One item of a batch.
#[derive(Debug)]
pub struct Unpacked {
    /// Its place among all items of the feed, from 1.
    pub ordinal: u64,
    /// Where its line is, or why there is none, with its id if that is known.
    pub line: Result<Range<usize>, (Option<String>, LeftOut)>,
    /// What was edited where it is stored; replaces what the line says.
    pub edits: Edits,
}

/// What people edited of a conversation after its import.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// The status.
    pub status: Option<Status>,
    /// The title; an empty one was removed.
    pub title: Option<String>,
    /// The tags.
    pub tags: Option<Vec<String>>,
}

impl Edits {
    /// Puts the edits into the conversation.
    pub fn apply(&self, conversation: &mut Conversation<'_>) {
        if let Some(status) = self.status {
            conversation.status = status;
        }
        if let Some(title) = &self.title {
            conversation.title =
                Some(title.clone()).filter(|title| !title.is_empty()).map(Into::into);
        }
        if let Some(tags) = &self.tags {
            conversation.tags = tags.iter().map(|tag| tag.clone().into()).collect();
        }
    }
}
