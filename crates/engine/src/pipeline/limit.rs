//! The last stage: at most so many items.

use std::io;

use super::item::ReadItem;
use super::stage::{Decision, OrderedStage};

/// Counts the items that passed all other stages.
pub(super) struct Limit {
    most: u64,
    taken: u64,
}

impl Limit {
    pub(super) fn new(most: u64) -> Self {
        Self { most, taken: 0 }
    }
}

impl OrderedStage for Limit {
    fn is_full(&self) -> bool {
        self.taken >= self.most
    }

    fn decide(&mut self, _one: &mut ReadItem<'_>, _order: u64) -> io::Result<Decision> {
        Ok(Decision::Pass)
    }

    fn took_one(&mut self) {
        self.taken += 1;
    }

    fn chooses(&self) -> bool {
        true
    }
}
