//! An item on its way through the stages.

use retort_formats::import::split::Span;
use retort_model::{Item, LeftOut};

use crate::seen::IdHash;
use crate::split::GroupHash;

/// An item that was read, and where it stood.
pub struct ReadItem<'b> {
    /// The item.
    pub item: Item<'b>,
    /// Its place in the batch, from 1. Several items of one text have the same.
    pub(super) place: u64,
    /// Its place among all items of the batch, from 0.
    pub(super) index: usize,
    /// Where it is in its batch and its input.
    pub span: Span,
    /// Whether the source gave it its id.
    pub has_id: bool,
    /// What it holds, if it came without an id.
    pub(super) content: Option<ContentHash>,
    /// Of its id, where it is asked whether that came before.
    pub(super) hash: Option<IdHash>,
    pub(super) standing: Standing,
    /// What was decided on it, if its id is repeated.
    pub(super) verdict: Option<Verdict>,
    /// Whether its id was changed, as other items have it.
    pub(super) is_kept_apart: bool,
    /// Its output, if there are several.
    pub(super) assigned: Option<Assigned>,
}

impl<'b> ReadItem<'b> {
    /// An item before the stages, with its place in the batch and its index.
    pub(super) fn new(
        item: Item<'b>,
        (place, index): (u64, usize),
        span: Span,
        has_id: bool,
    ) -> Self {
        Self {
            item,
            place,
            index,
            span,
            has_id,
            content: None,
            hash: None,
            standing: Standing::Open,
            verdict: None,
            is_kept_apart: false,
            assigned: None,
        }
    }

    /// Its place in the order of all items, in a batch behind so many.
    pub(super) fn order(&self, items_before: u64) -> u64 {
        order_of(items_before, self.index)
    }
}

/// How far an item is among the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No stage objected so far.
    Open,
    /// The filter does not match it.
    NotSelected,
    /// It is not in the sample.
    NotSampled,
    /// It was selected, but nothing is written of it.
    LeftOut(LeftOut),
    /// It is shaped.
    Taken,
}

/// What becomes of an item whose id is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Left out: an item with the same messages counts.
    SameState,
    /// Left out: an item that begins with all of its messages counts.
    EarlierState,
    /// Written as the item with this number, from 2, among those that have its id.
    Number(u64),
}

/// Where an item goes, and with which group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assigned {
    pub(super) output: usize,
    pub(super) group: GroupHash,
}

/// A hash of what an item holds, of which the id is made that it has none of.
pub type ContentHash = [u8; 16];

/// The place of an item in the order of all: that of its batch, and its own in it. A line may hold several.
pub(super) fn order_of(items_before: u64, index: usize) -> u64 {
    const INDEX_BITS: u32 = 28;
    (items_before << INDEX_BITS) + index as u64
}
